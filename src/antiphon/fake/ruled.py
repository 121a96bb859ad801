"""Where rules are asked: in front of each engine, and, for what reaches none, at the door of the server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import GeneratorType
from typing import TYPE_CHECKING, Any, ClassVar, Final

from ..kernel.http import Headers
from ..server.dispatch import rendered
from ..server.engine import ChatRequest
from .answers import OTHERS, family_of
from .asked import Asked
from .journal import Exchange, asked_of, under_way

if TYPE_CHECKING:
    from ..kernel.flow import Flow
    from ..kernel.http import Filter, Handler, Request, Response
    from ..server.engine import (
        ChatEngine,
        EmbeddingRequest,
        ImageRequest,
        ModerationRequest,
        SpeechRequest,
        TranscriptionRequest,
        VideoRequest,
    )
    from ..server.turns import Turn
    from .rules import Rule, Rules

__all__ = ("Ruled", "asked_by", "at_the_door", "ruled")

_OPERATIONS: Final = {
    "chat": "chat.completions.create",
    "completions": "completions.create",
    "responses": "responses.create",
    "assistants": "beta.threads.runs.create",
}
"""The operation of each dialect in which engines are asked."""


class Ruled:
    """An engine of conversations behind rules."""

    never_blocks: ClassVar[bool] = True

    def __init__(self, rules: Rules, engine: ChatEngine) -> None:
        self.rules = rules
        self.engine = engine

    def __call__(self, request: ChatRequest) -> Turn:
        exchange = under_way.get()
        if request.job:
            twist = self.rules.twist(request.job)
        elif exchange is not None and exchange.twist is not None and _is_of(request, exchange):
            twist = exchange.twist
        else:
            twist = None
        turn = self._turn(request, exchange)
        return turn if twist is None else twist(turn, request)

    def _turn(self, request: ChatRequest, exchange: Exchange | None) -> Turn:
        rules = self.rules
        if rules.active:
            if exchange is not None and not _is_of(request, exchange):
                exchange = None  # a job that is done on the way of another request
            if request.choice and exchange is not None and exchange.given is not None:
                again: ChatEngine = exchange.given
                return again(request)
            asked = _asked(request, exchange)
            if exchange is not None and exchange.operation == asked.operation:
                exchange.__dict__["asked"] = asked  # with what a Response goes on from
            taken = rules.take(asked)
            if taken is not None:
                if exchange is not None:
                    exchange.rule, exchange.given = taken
                turn: Turn = taken[1](request)
                return turn
            if rules.strict:
                raise rules.refusal(asked)
        if exchange is not None:
            exchange.engine = self.engine
        return self.engine(request)

    def __repr__(self) -> str:
        return f"Ruled({self.engine!r})"


def _is_of(request: ChatRequest, exchange: Exchange) -> bool:
    """Whether it is for this exchange that the engine is asked."""
    if request.dialect == "assistants":
        return exchange.operation.startswith("beta.threads.")
    return exchange.operation == _OPERATIONS.get(request.dialect)


def _asked(request: ChatRequest, exchange: Exchange | None) -> Asked:
    operation = _OPERATIONS.get(request.dialect, request.dialect)
    headers = Headers() if exchange is None else exchange._request.headers
    asked = Asked(operation, request.model, request.body, headers, request)
    if exchange is not None:
        asked.path = exchange.path
    return asked


# The other engines


class _Ruled:
    """An engine that is asked for one thing, behind rules."""

    never_blocks: ClassVar[bool] = True
    family: ClassVar[str]

    def __init__(self, rules: Rules, engine: Any) -> None:
        self.rules = rules
        self.engine = engine

    def __call__(self, request: Any) -> Any:
        exchange = under_way.get()
        if exchange is not None and family_of(exchange.operation) != self.family:
            exchange = None
        if not request.body or not self.rules.active:  # what the server asks for itself has no body
            if exchange is not None:
                exchange.engine = self.engine
            return self.otherwise(request)
        return self.answered(request, exchange)

    def answered(self, request: Any, exchange: Exchange | None) -> Any:
        """What a rule answers, or the engine."""
        engines: dict[Rule, Any] = {}
        rule = self.taken(self.asked(request, exchange), exchange, engines)
        return self.otherwise(request) if rule is None else engines[rule](request)

    def taken(self, asked: Asked, exchange: Exchange | None, engines: dict[Rule, Any]) -> Rule | None:
        """The rule that answers; its engine is left in `engines`. Raises `NotFoundError` where one has to answer."""
        found = self.rules.take(asked, self.family, engines)
        if found is None:
            if self.rules.strict:
                raise self.rules.refusal(asked)
            if exchange is not None:
                exchange.engine = self.engine
            return None
        rule, engines[found[0]] = found
        if exchange is not None:
            exchange.rule = rule
        return rule

    def asked(self, request: Any, exchange: Exchange | None) -> Asked:
        """What is asked, as rules see it."""
        operation, text = self.about(request)
        headers = Headers() if exchange is None else exchange._request.headers
        return Asked(operation, request.model, request.body, headers, subject=text)

    def about(self, request: Any) -> tuple[str, str]:
        """The operation of a request, and its text."""
        raise NotImplementedError

    def otherwise(self, request: Any) -> Any:
        """What is answered without a rule."""
        return self.engine(request)

    def __repr__(self) -> str:
        return f"Ruled({self.engine!r})"


class _Embeddings(_Ruled):
    """Each text is looked at for itself; those that meet one rule are its to answer together."""

    family = "embeddings"

    def about(self, request: EmbeddingRequest) -> tuple[str, str]:
        return "embeddings.create", "\n".join(request.inputs)

    def answered(self, request: EmbeddingRequest, exchange: Exchange | None) -> Any:
        whole = self.asked(request, exchange)
        engines: dict[Rule, Any] = {}
        places: dict[Rule | None, list[int]] = {}
        for place, text in enumerate(request.inputs):
            asked = Asked(whole.operation, whole.model, whole.body, whole.headers, subject=text)
            rule = self.taken(asked, exchange, engines)
            places.setdefault(rule, []).append(place)
        parts = [(self.engine if rule is None else engines[rule], found) for rule, found in places.items()]
        return parts[0][0](request) if len(parts) == 1 else self._together(request, parts)

    def _together(self, request: EmbeddingRequest, parts: list[tuple[Any, list[int]]]) -> Flow[list[list[float]]]:
        vectors: list[list[float]] = [[] for _ in request.inputs]
        for engine, places in parts:
            made = engine(replace(request, inputs=[request.inputs[place] for place in places]))
            if isinstance(made, GeneratorType):
                made = yield from made
            for place, vector in zip(places, made, strict=True):
                vectors[place] = vector
        return vectors


class _Images(_Ruled):
    family = "images"

    def about(self, request: ImageRequest) -> tuple[str, str]:
        return {
            "generate": "images.generate",
            "edit": "images.edit",
            "variation": "images.create_variation",
        }[request.kind], request.prompt


class _Speech(_Ruled):
    family = "speech"

    def about(self, request: SpeechRequest) -> tuple[str, str]:
        return "audio.speech.create", request.input


class _Transcriptions(_Ruled):
    """The text of a transcription is what its prompt says, or the name of the file."""

    family = "transcriptions"
    asked_anyway: ClassVar[bool] = True

    def about(self, request: TranscriptionRequest) -> tuple[str, str]:
        operation = "audio.translations.create" if request.translate else "audio.transcriptions.create"
        return operation, request.prompt or request.filename

    def otherwise(self, request: TranscriptionRequest) -> Any:
        return self.engine(request) if request.spoken is None else request.spoken


class _Moderations(_Ruled):
    family = "moderations"

    def about(self, request: ModerationRequest) -> tuple[str, str]:
        return "moderations.create", request.text


class _Videos(_Ruled):
    """What is asked is the content: its text is the video's prompt, and its body what the video says of itself."""

    family = "videos"

    def asked(self, request: VideoRequest, exchange: Exchange | None) -> Asked:
        asked = super().asked(request, exchange)
        if exchange is not None:
            asked.path = exchange.path
            exchange.__dict__["asked"] = asked  # the request itself says no more than an id
        return asked

    def about(self, request: VideoRequest) -> tuple[str, str]:
        return "videos.download_content", request.prompt


_RULED: Final = {each.family: each for each in (_Embeddings, _Images, _Speech, _Transcriptions, _Moderations, _Videos)}


def ruled(rules: Rules, family: str, engines: Mapping[str, Any]) -> dict[str, Any]:
    """Engines of a family, by model, behind rules."""
    return {name: _RULED[family](rules, engine) for name, engine in engines.items()}


# What reaches no engine


def at_the_door(rules: Rules) -> Filter:
    """A filter that answers by rules what reaches no engine."""

    def filtering(handler: Handler) -> Handler:
        def answered(request: Request) -> Response | Flow[Response]:
            if rules.at_door:
                exchange = under_way.get()
                if exchange is not None and exchange.operation and family_of(exchange.operation) == OTHERS:
                    asked = exchange.asked
                    taken = rules.take(asked, OTHERS)
                    if taken is not None:
                        exchange.rule = taken[0]
                        answer: Any = taken[1](asked)
                        return _rendered(answer) if isinstance(answer, GeneratorType) else rendered(answer)
            return handler(request)

        return answered

    return filtering


def _rendered(flow: Flow[Any]) -> Flow[Response]:
    return rendered((yield from flow))


# Requests that were not made


def asked_by(question: Any, operation: str | None = None) -> Asked:
    """What an exchange, a request to an engine, or a body asks. Raises `TypeError` for something else."""
    if isinstance(question, Exchange):
        return question.asked
    if isinstance(question, Mapping):
        body: Mapping[str, Any] = question
        if operation is not None:
            return asked_of(operation, body, Headers())
        for name, found in _BODIES.items():
            if name in body:
                return asked_of(found, body, Headers())
    elif isinstance(question, ChatRequest):
        return _asked(question, None)
    raise TypeError(
        f"an exchange of the journal, or the body of a request, is explained, not {question!r} (a body without "
        f"{', '.join(_BODIES)} needs the name of its operation, as in explain(body, 'files.create'))"
    )


_BODIES: Final = {"messages": "chat.completions.create", "input": "responses.create", "prompt": "completions.create"}
