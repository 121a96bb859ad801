"""The engines of a gateway: each asks a model the way its convention says, and gives what the server renders."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Final

from ..kernel.errors import APIStatusError, BadRequestError
from ..kernel.flow import Call, Together
from ..server.engine import Vectors
from .carrying import carried
from .conventions import Question
from .conventions._options import options_of, tools_of, version_of
from .conventions._vectors import shortened
from .errors import SENSELESS, broken, senseless
from .speaking import Mouth
from .toolcalls import parser

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..kernel.flow import Flow, Step
    from ..kernel.http import Headers
    from ..server.engine import ChatRequest, EmbeddingRequest, ImageRequest
    from ..server.turns import Piece
    from .config import ModelConfig
    from .conventions import Convention
    from .model import Model
    from .oip.messages import InferRequest, InferResponse
    from .oip.protocol import Answers
    from .toolcalls import Parser

__all__ = ("ChatModel", "EmbeddingModel", "ImageModel")

Speech = Generator["Piece | Step[Any]", Any, None]


class ChatModel:
    """Speaks for a model."""

    never_blocks: ClassVar[bool] = True

    def __init__(self, model: Model) -> None:
        self.model = model

    def __call__(self, request: ChatRequest) -> Speech:
        return self._turn(request, whole=(request.body.get("n") or 1) == 1)

    def turns(self, request: ChatRequest, n: int) -> list[Speech]:
        """The turns of `n` choices: of one request to the model where its convention allows it, or of `n`."""
        shared = _Shared(self, request, n)
        return [shared.turn(place) for place in range(n)]

    def _turn(self, request: ChatRequest, *, whole: bool = False) -> Speech:
        model = self.model.at(version_of(request.body))
        follows = model.known or (yield from model.follows())
        question, read = _question(model, follows, request, 1, whole=whole)
        answers = yield from _asked(model, follows, question)
        yield from _told(model, follows, question, read, answers, 0)


def _told(
    model: Model, follows: Convention, question: Question, read: Parser | None, answers: Answers, place: int
) -> Speech:
    """What a model says for one choice, as it comes."""
    try:
        reader = follows.reader(question, place)
        mouth = Mouth.of(follows, question, read)
        came = False
        while parts := (yield from answers.more()):
            came = True
            for part in parts:
                if mouth is None:
                    yield from reader.feed(part)
                    continue
                for piece in reader.feed(part):
                    yield from mouth.feed(piece)
            if mouth is not None and mouth.over:
                break
        if not came:
            raise ValueError("there was nothing in it")
        if not reader.silent:
            yield from reader.end() if mouth is None else mouth.end(reader.end())
            return
    except SENSELESS as error:
        raise senseless(model.config.name, error) from error
    finally:
        answers.close()
    if question.n > 1:
        # The server gave fewer choices than it was asked for: this one is asked for by itself.
        alone = replace(question.request, choice=place)
        question, read = _question(model, follows, alone, 1, whole=False)
        yield from _told(model, follows, question, read, (yield from _asked(model, follows, question)), 0)
        return
    raise broken(model.config.name, "there was nothing in it")


def _asked(model: Model, follows: Convention, question: Question) -> Flow[Answers]:
    """Ask, for a stream where the caller wants one and the server gives it."""
    asked = _carrying(model.config, follows.ask(question), question.request.headers)
    try:
        if question.stream:
            return (yield from model.servers.open(asked))
        return _Once((yield from model.servers.infer(asked)))
    except APIStatusError as error:
        model.refused(error)
        raise


def _inferred(model: Model, asked: InferRequest) -> Flow[InferResponse]:
    try:
        return (yield from model.servers.infer(asked))
    except APIStatusError as error:
        model.refused(error)
        raise


def _carrying(config: ModelConfig, asked: InferRequest, headers: Headers | None) -> InferRequest:
    asked.headers = carried(config, headers)
    asked.notes = getattr(headers, "notes", None)
    return asked


class _Once:
    """An answer that is not streamed, as a stream of one."""

    __slots__ = ("_parts",)

    def __init__(self, answer: InferResponse) -> None:
        self._parts = [answer]

    def more(self) -> Flow[list[InferResponse]]:
        parts, self._parts = self._parts, []
        yield from ()
        return parts

    def close(self) -> None:
        """Nothing is open."""


class _Shared:
    """One request whose answer has several choices. Turns read it in turn, so nothing waits for another."""

    def __init__(self, engine: ChatModel, request: ChatRequest, n: int) -> None:
        self.engine = engine
        self.request = request
        self.n = n
        self.answers: Answers | None = None
        self.question: Question | None = None
        self.waiting: dict[int, deque[list[InferResponse]]] = {place: deque() for place in range(n)}
        """What each turn that still listens has not read yet."""

    def turn(self, place: int) -> Speech:
        """The turn of one choice."""
        model = self.engine.model.at(version_of(self.request.body))
        follows = model.known or (yield from model.follows())
        if not follows.several:
            yield from self.engine._turn(replace(self.request, choice=place))
            return
        whole = self.request.dialect == "chat"
        if self.question is None or self.answers is None:
            self.question, _ = _question(model, follows, self.request, self.n, whole=whole)
            self.answers = yield from _asked(model, follows, self.question)
        read = _parser(model, follows, self.request)
        yield from _told(model, follows, self.question, read, _Share(self, place), place)

    def more(self, place: int) -> Flow[list[InferResponse]]:
        waiting = self.waiting.get(place)
        if waiting:
            return waiting.popleft()
        assert self.answers is not None
        parts = yield from self.answers.more()
        for other, queue in self.waiting.items():
            if other != place:
                queue.append(parts)
        return parts

    def leave(self, place: int) -> None:
        self.waiting.pop(place, None)
        if not self.waiting and self.answers is not None:
            self.answers.close()


class _Share:
    """The part of one turn in a request that several share."""

    __slots__ = ("_place", "_shared")

    def __init__(self, shared: _Shared, place: int) -> None:
        self._shared = shared
        self._place = place

    def more(self) -> Flow[list[InferResponse]]:
        return self._shared.more(self._place)

    def close(self) -> None:
        """Leave it to the others; the last one ends it."""
        self._shared.leave(self._place)


# The question


def _question(
    model: Model, follows: Convention, request: ChatRequest, n: int, *, whole: bool
) -> tuple[Question, Parser | None]:
    """What the model is asked, and what reads calls of tools out of its text where that is to be done."""
    config = model.config
    _check_kind(config, follows, "chat")
    options = options_of(request, config)
    stream = request.stream and model.streams and follows.streams
    whole = whole and request.dialect == "chat" and not request.stream
    question = Question(request, options, stream=stream, n=n, whole=whole)
    read = _parser(model, follows, request)
    if request.dialect == "completions" and request.body.get("echo") and request.body.get("logprobs") is not None:
        raise BadRequestError.because(
            f"The model `{config.name}` does not tell log probabilities of the prompt: 'echo' and 'logprobs' cannot "
            "be asked for together.",
            param="logprobs",
        )
    if not follows.takes_prompt:
        return question, read
    if follows.guides:
        question.schema = _schema(request)
    question.special = read is not None and read.special
    if request.dialect == "completions":
        question.prompt = request.user_text
        return question, read
    question.images = _images(request, follows, config.name)
    chat = model.template
    if chat.stop:
        options["stop"] = list(dict.fromkeys([*question.stop, *chat.stop]))
    tools = [] if request.tool_choice.mode == "none" else _callable(request)
    question.prompt = chat.render(request.messages, tools, **_variables(request))
    return question, read


def _variables(request: ChatRequest) -> Mapping[str, Any]:
    """What callers tell templates, as other servers of the API have it: `chat_template_kwargs`."""
    given = request.body.get("chat_template_kwargs")
    found: dict[str, Any] = {} if request.reasoning_effort is None else {"reasoning_effort": request.reasoning_effort}
    if isinstance(given, dict):
        found |= {key: value for key, value in given.items() if key not in ("messages", "tools")}
    return found


def _callable(request: ChatRequest) -> list[Any]:
    names = request.tool_choice.names
    tools = tools_of(request)
    if names is None:
        return tools
    return [tool for tool, known in zip(tools, request.tools, strict=False) if known.name in names]


def _parser(model: Model, follows: Convention, request: ChatRequest) -> Parser | None:
    """What reads the calls out of the text, where tools may be called and the convention has no place for calls."""
    tools = request.callable_tools if request.tools else []
    if not tools or request.dialect == "completions":
        return None
    key = model.config.tool_parser
    if not follows.takes_prompt:
        return None if key is None else parser(key)(tools)
    if follows.guides and request.tool_choice.mode == "required":
        return parser("json")(tools)
    return parser(key or model.template.tool_parser)(tools)


def _schema(request: ChatRequest) -> Mapping[str, Any] | None:
    """What the text has to fit: calls of tools where there has to be one, or the format that was asked for."""
    if request.tools and request.tool_choice.mode == "required":
        calls = [
            {
                "type": "object",
                "properties": {"name": {"enum": [tool.name]}, "arguments": tool.parameters or {"type": "object"}},
                "required": ["name", "arguments"],
            }
            for tool in request.callable_tools
        ]
        most = {} if request.parallel_tool_calls else {"maxItems": 1}
        return {"type": "array", "minItems": 1, **most, "items": {"anyOf": calls}}
    form = request.response_format
    if form.kind == "json_schema":
        return form.schema or {}
    return {} if form.kind == "json_object" else None


def _images(request: ChatRequest, follows: Convention, name: str) -> list[str]:
    """The pictures of a conversation in base64. Raises `BadRequestError` for parts it cannot be shown."""
    found: list[str] = []
    for at, message in enumerate(request.messages):
        content: Any = message.get("content")
        if not isinstance(content, (list, tuple)):
            continue
        parts: Sequence[Any] = content
        for place, part in enumerate(parts):
            kind: str = "text" if isinstance(part, str) else part.get("type", "text")
            if kind in ("text", "refusal"):
                continue
            where = f"messages[{at}].content[{place}]"
            if kind != "image_url" or not follows.reads_images:
                raise BadRequestError.because(
                    f"Invalid '{where}': the model `{name}` does not read parts of type '{kind}'.", param=where
                )
            shown: Any = part
            url: str = shown["image_url"]["url"]
            if not url.startswith("data:") or ";base64," not in url[:100]:
                raise BadRequestError.because(
                    f"Invalid '{where}': the model `{name}` reads pictures only as 'data:' addresses with base64 in "
                    "them, since its server fetches none.",
                    param=where,
                )
            found.append(url.partition(",")[2])
    return found


def _check_kind(config: ModelConfig, follows: Convention, kind: str) -> None:
    if kind not in (config.kinds or follows.kinds):
        does = " and ".join(sorted(config.kinds or follows.kinds))
        raise BadRequestError.because(
            f"The model `{config.name}` does not do {kind}: it does {does}.", param="model", code="model_not_supported"
        )


# Vectors and pictures


class EmbeddingModel:
    """Embeds for a model, in as many requests as it needs."""

    never_blocks: ClassVar[bool] = True

    def __init__(self, model: Model) -> None:
        self.model = model

    def __call__(self, request: EmbeddingRequest) -> Flow[Any]:
        model = self.model.at(version_of(request.body))
        follows = model.known or (yield from model.follows())
        config = model.config
        _check_kind(config, follows, "embeddings")
        wanted = request.dimensions
        if wanted is not None and not follows.shortens:
            _check_dimensions(config, wanted)
        texts = request.inputs
        batch = config.batch or follows.batch or len(texts)
        if len(texts) <= batch:
            found = yield from _embedded(model, follows, request, texts)
            if isinstance(found, dict) and _fits(found, wanted):
                return found
            answers = [found]
        else:
            parts = [texts[at : at + batch] for at in range(0, len(texts), batch)]
            answers = yield Together([_embedded(model, follows, request, part) for part in parts], _AT_ONCE)
        vectors: list[Sequence[float]] = []
        counts: list[int | None] = []
        for answer in answers:
            some = _of_body(answer) if isinstance(answer, dict) else answer
            vectors += some
            counts.append(some.tokens if isinstance(some, Vectors) else None)
        if wanted is not None and any(len(vector) != wanted for vector in vectors):
            _check_dimensions(config, wanted, min(map(len, vectors)))
            vectors = [shortened(vector, wanted) for vector in vectors]
        listed = [vector if isinstance(vector, list) else list(vector) for vector in vectors]
        if None in counts:
            return listed
        return Vectors(listed, sum(count for count in counts if count is not None))


_AT_ONCE: Final = 8
"""So many requests for the vectors of one are under way at a time."""


def _embedded(model: Model, follows: Convention, request: EmbeddingRequest, texts: Sequence[str]) -> Flow[Any]:
    asked = _carrying(model.config, follows.ask_vectors(request, texts), request.headers)
    try:
        return follows.vectors((yield from _inferred(model, asked)), len(texts))
    except SENSELESS as error:
        raise senseless(model.config.name, error) from error


def _fits(body: dict[str, Any], wanted: int | None) -> bool:
    return wanted is None or all(
        isinstance(each["embedding"], str) or len(each["embedding"]) == wanted for each in body["data"]
    )


def _of_body(body: dict[str, Any]) -> Vectors | list[Any]:
    from ..server.behaviours.embeddings import unpacked

    read: Any = (body.get("usage") or {}).get("prompt_tokens")
    told = [each["embedding"] for each in body["data"]]
    found = [unpacked(vector) if isinstance(vector, str) else vector for vector in told]
    return Vectors(found, read) if isinstance(read, int) else found


def _check_dimensions(config: ModelConfig, wanted: int, length: int | None = None) -> None:
    """Raise `BadRequestError` where vectors may not be cut to the length that was asked for."""
    longest = config.dimensions
    if longest is None:
        raise BadRequestError.because(
            f"The model `{config.name}` does not support specifying dimensions.", param="dimensions"
        )
    longest = longest if length is None else min(longest, length)
    if wanted > longest:
        raise BadRequestError.because(
            f"Invalid value for 'dimensions' = {wanted}. Must be less than or equal to {longest}.", param="dimensions"
        )


class ImageModel:
    """Draws for a model."""

    never_blocks: ClassVar[bool] = True

    def __init__(self, model: Model) -> None:
        self.model = model

    def __call__(self, request: ImageRequest) -> Flow[Any]:
        model = self.model.at(version_of(request.body))
        follows = model.known or (yield from model.follows())
        config = model.config
        _check_kind(config, follows, "images")
        if request.kind != "generate":
            raise BadRequestError.because(
                f"The model `{config.name}` draws from a prompt only: it does not change pictures.", param="model"
            )
        files: list[bytes] = []
        while len(files) < request.n:
            more = request if not files else replace(request, n=request.n - len(files), whole=False)
            asked = _carrying(config, follows.ask_images(more), request.headers)
            try:
                answer = yield from _inferred(model, asked)
                # Pictures may have to be decoded, made larger or smaller, and encoded again.
                found: Any = yield Call(follows.images, answer, more)
            except SENSELESS as error:
                raise senseless(config.name, error) from error
            if isinstance(found, dict):
                return found
            if not found:
                raise broken(config.name, "there are no pictures in it")
            files += found
        return files[: request.n]
