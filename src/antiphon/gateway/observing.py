"""What a gateway tells of itself while it works: numbers for Prometheus, spans for OpenTelemetry.

There are two places to look at. A filter about everything sees requests and statuses, whatever becomes of them; what is
put about each engine sees which model is asked, its tokens, and when they come. What the second knows and the first
wants is noted for the request, which both know by its headers.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import lru_cache, partial
from time import perf_counter
from types import GeneratorType
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar

from ..kernel.errors import APIStatusError
from ..kernel.flow import Step
from ..kernel.http import Headers, Response
from ..server.endpoint import routes
from ..server.tokens import count, message_tokens
from ..server.turns import Usage, Whole
from .metrics import CONTENT_TYPE, GatewayMeters, Metrics, ModelMeters

if TYPE_CHECKING:
    from collections.abc import Generator

    from ..kernel.flow import Flow
    from ..kernel.http import Handler, Request
    from .backends import Backend
    from .config import GatewayConfig, ModelConfig
    from .tracing import Span, Tracer

__all__ = ("Note", "Observer")

_COUNTED: Final = re.compile(rb'"(?:prompt|input)_tokens":\s*(\d+)')
_WRITTEN: Final = re.compile(rb'"(?:completion|output)_tokens":\s*(\d+)')
_TAIL: Final = 600
"""In so many last bytes of an answer its usage is looked for."""
_SELDON: Final = re.compile(r"/v2/(?:models|pipelines)/[^/]+(?:/versions/[^/]+)?/infer(?:_stream)?(/.+)")


_FIRST: Final[Any] = None
"""What a generator of ours yields to whoever makes it."""

G = TypeVar("G", bound="Generator[Any, Any, Any]")


class Note:
    """What is learned about a request while it is answered."""

    __slots__ = ("model", "over", "read", "written")

    def __init__(self) -> None:
        self.model = ""
        """The model that was asked, where it came so far."""
        self.read: int | None = None
        """Tokens of the question, and of the answer, where anybody counted them."""
        self.written: int | None = None
        self.over = False
        """Whether the model has said all, so that whoever leaves now misses nothing."""


class Observer:
    """Watches a gateway. `metrics` are told, and `tracer` where traces are wanted."""

    def __init__(self, config: GatewayConfig, metrics: Metrics | None = None) -> None:
        self.metrics = metrics or Metrics()
        self.requests = GatewayMeters(self.metrics)
        self.models: dict[str, ModelMeters] = {}
        self.tracer: Tracer | None = None
        if config.traces:
            from .tracing import Tracer

            self.tracer = Tracer()
        self._notes: dict[int, Note] = {}

    # Requests

    def note(self, headers: Headers | None) -> Note | None:
        """What is noted about the request with these headers, while it is being answered."""
        return self._notes.get(id(headers))

    def page(self, request: Request) -> Response:
        """What `/metrics` answers."""
        return Response(200, Headers.of([("content-type", CONTENT_TYPE)]), self.metrics.text())

    def filter(self, handler: Handler) -> Handler:
        """Count requests, from their arrival to the end of their answer."""

        def handle(request: Request) -> Response | Flow[Response]:
            began = perf_counter()
            self.requests.begun()
            note = self._notes[id(request.headers)] = Note()
            try:
                answer = handler(request)
            except BaseException:
                self._over(request, note, 500, began)
                raise
            if answer.__class__ is GeneratorType:
                return _begun(driven(answer, request, note, began))  # type: ignore[arg-type]
            return answered(answer, request, note, began)  # type: ignore[arg-type]

        def driven(flow: Flow[Response], request: Request, note: Note, began: float) -> Flow[Response]:
            try:
                yield _FIRST
                answer = yield from flow
            except BaseException as error:
                self._over(request, note, 500 if isinstance(error, Exception) else 499, began)
                raise
            return answered(answer, request, note, began)

        def answered(answer: Response, request: Request, note: Note, began: float) -> Response:
            body = answer.body
            if isinstance(body, bytes):
                if note.model and note.written is None:
                    at = body.rfind(b'"usage"', -_TAIL)
                    if at >= 0:
                        self._counted(note, body[at:])
                self._over(request, note, answer.status, began)
                return answer
            if not isinstance(body, GeneratorType):
                self._over(request, note, answer.status, began)  # a file, which hosts send by themselves
                return answer
            return answer._replace(body=_begun(streamed(body, answer.status, request, note, began)))

        def streamed(
            body: Any, status: int, request: Request, note: Note, began: float
        ) -> Generator[bytes | Step[Any], Any, None]:
            try:
                yield _FIRST
                yield from body
            except GeneratorExit:
                status = status if note.over else 499
                raise
            except BaseException:
                status = 500
                raise
            finally:
                self._over(request, note, status, began)

        return handle

    def _over(self, request: Request, note: Note, status: int, began: float) -> None:
        if self._notes.get(id(request.headers)) is note:
            del self._notes[id(request.headers)]
        told = getattr(request.headers, "notes", None)  # the access log's
        if told is not None and note.written is not None:
            told["input_tokens"], told["output_tokens"] = note.read, note.written
        self.requests.answered(note.model, _operation(request.method, request.path), status, perf_counter() - began)

    def _counted(self, note: Note, body: bytes) -> None:
        """Tokens, where an answer tells them and its engine has not."""
        read, written = _COUNTED.search(body), _WRITTEN.search(body)
        if read is not None:
            self._used(note.model, note, int(read[1]), 0 if written is None else int(written[1]))

    def _used(self, model: str, note: Note | None, read: int, written: int) -> None:
        self.models[model].used(read, written)
        if note is not None:
            note.read = (note.read or 0) + read
            note.written = (note.written or 0) + written

    # Models

    def meters(self, config: ModelConfig) -> ModelMeters:
        """The numbers about a model."""
        found = self.models.get(config.name)
        if found is None:
            found = self.models[config.name] = ModelMeters(self.metrics, config.name, config.price)
        found.price = config.price
        return found

    def engine(self, config: ModelConfig, kind: str, engine: Any) -> Any:
        """An engine that is watched."""
        if kind != "chat":
            return _Watched(self, config, kind, engine)
        return (_SpeakingAtOnce if hasattr(engine, "turns") else _Speaking)(self, config, kind, engine)

    def passed(self, backend: Backend, path: str, request: Request, body: dict[str, Any] | None) -> Flow[Response]:
        """A request that is passed on as it is."""
        config = backend.config
        note = self.note(request.headers)
        if note is not None and not note.model:
            note.model = config.name
        span: Span | None = None
        if self.tracer is not None:
            span, headers = self.tracer.passed(path, config, body or {}, request.headers)
            request = request._replace(headers=headers)
        began = perf_counter()
        try:
            answer = yield from backend.forward(path, request, body)
        except BaseException as error:
            if span is not None:
                span.failed(error)
                span.end()
            raise
        if isinstance(answer.body, GeneratorType):
            return answer._replace(body=_begun(self._timed(answer.body, config, note, span, began)))
        if span is not None:
            span.answered(answer)
            span.end()
        return answer

    def _timed(
        self, body: Any, config: ModelConfig, note: Note | None, span: Span | None, began: float
    ) -> Generator[Any, Any, None]:
        meters = self.meters(config)
        first = True
        try:
            yield _FIRST
            item: Any = next(body)
            while True:
                if isinstance(item, bytes):
                    now = perf_counter()
                    (meters.first if first else meters.between)(now - began)
                    began, first = now, False
                    if note is not None and b"[DONE]" in item:
                        note.over = True
                    if b'"usage"' in item:
                        read, written = _COUNTED.search(item), _WRITTEN.search(item)
                        if read is not None and written is not None:
                            self._used(config.name, note, int(read[1]), int(written[1]))
                            if span is not None:
                                span.used(int(read[1]), int(written[1]))
                try:
                    result = yield item
                except BaseException as error:
                    item = body.throw(error)
                else:
                    item = body.send(result)
        except StopIteration:
            return
        except BaseException as error:
            if span is not None:
                span.failed(error)
            raise
        finally:
            if span is not None:
                span.end()


class _Watched:
    """An engine that gives what it finds at once."""

    never_blocks: ClassVar[bool] = True

    def __init__(self, observer: Observer, config: ModelConfig, kind: str, engine: Any) -> None:
        self.observer = observer
        self.config = config
        self.kind = kind
        self.engine = engine
        self.meters = observer.meters(config)

    def __call__(self, request: Any) -> Flow[Any]:
        self._noted(request)
        tracer = self.observer.tracer
        if tracer is None:
            return _found(self.engine, request)
        return self._traced(tracer, request)

    def _traced(self, tracer: Tracer, request: Any) -> Flow[Any]:
        span, request = tracer.begun(self.kind, self.config, request)
        try:
            return (yield from _found(self.engine, request))
        except BaseException as error:
            span.failed(error)
            raise
        finally:
            span.end()

    def _noted(self, request: Any) -> Note | None:
        note = self.observer.note(getattr(request, "headers", None))
        if note is not None and not note.model:
            note.model = self.config.name
        return note


class _Speaking(_Watched):
    """An engine that gives a turn."""

    def turns(self, request: Any, n: int) -> list[Generator[Any, Any, None]]:
        """The turns of `n` choices, which some engines give at once."""
        at_once = getattr(self.engine, "turns", None)
        if at_once is None:
            return [self(replace(request, choice=place)) for place in range(n)]
        return [
            _Speaking(self.observer, self.config, self.kind, partial(_same, turn))(request)
            for turn in at_once(request, n)
        ]

    def __call__(self, request: Any) -> Generator[Any, Any, None]:
        note = self._noted(request)
        asked, span = self._begun(request)
        turn = self.engine(asked)
        return self._spoken(turn, request, note, span)

    def _begun(self, request: Any) -> tuple[Any, Span | None]:
        tracer = self.observer.tracer
        if tracer is None:
            return request, None
        span, asked = tracer.begun(self.kind, self.config, request)
        return asked, span

    def _spoken(self, turn: Any, request: Any, note: Note | None, span: Span | None) -> Generator[Any, Any, None]:
        timed = request.stream
        began = perf_counter() if timed else 0.0
        first, waited = True, False
        words: list[str] = []
        read: int | None = None
        written: int | None = None
        if not isinstance(turn, GeneratorType):
            turn = _given(turn)
        try:
            item: Any = next(turn)
            while True:
                kind = item.__class__
                if kind is not str and isinstance(item, Step):
                    waited = True
                else:
                    if timed and (waited or first):
                        # What came together with the piece before it was not waited for.
                        now = perf_counter()
                        (self.meters.first if first else self.meters.between)(now - began)
                        if first and span is not None:
                            span.first()
                        began, first, waited = now, False, False
                    if kind is str:
                        words.append(item)
                    elif kind is Usage:
                        read, written = item.input_tokens, item.output_tokens
                    elif kind is Whole:
                        used = item.body.get("usage") or {}
                        read, written = used.get("prompt_tokens", 0), used.get("completion_tokens", 0)
                    else:
                        words.append(getattr(item, "text", "") or getattr(item, "name", ""))
                    if span is not None:
                        span.said(item)
                try:
                    result = yield item
                except BaseException as error:
                    item = turn.throw(error)
                else:
                    item = turn.send(result)
        except StopIteration:
            if note is not None:
                note.over = True
            if span is not None:
                span.complete()
        except BaseException as error:
            if span is not None:
                span.failed(error)
            raise
        finally:
            if words or written is not None:
                self._counted(request, "".join(words), read, written, note, span)
            if span is not None:
                span.end()

    def _counted(
        self, request: Any, text: str, read: int | None, written: int | None, note: Note | None, span: Span | None
    ) -> None:
        """Tokens of a turn: those that its model told, and the server's count of the others, as in its answer."""
        told = read is not None and written is not None
        if read is None:
            tools = request.body.get("tools") or request.body.get("functions")
            # One question, however many answers it has.
            read = 0 if request.choice else message_tokens(request.messages, request.model, tools)
        if written is None:
            written = count(text, request.model)
        self.observer._used(self.config.name, note, read, written)
        if span is not None and not told:
            span.used(read, written)


class _SpeakingAtOnce(_Speaking):
    """An engine that gives several turns of one question."""

    def turns(self, request: Any, n: int) -> list[Generator[Any, Any, None]]:
        note = self._noted(request)
        asked, span = self._begun(request)
        turns: list[Any] = self.engine.turns(asked, n)
        # The question is one, and so is its span; it ends with the first turn.
        return [
            self._spoken(turn, replace(request, choice=place) if place else request, note, None if place else span)
            for place, turn in enumerate(turns)
        ]


def _begun(generator: G) -> G:
    """A generator that stands at its `yield _FIRST`: its `finally` is reached even where nobody ever goes on."""
    next(generator)
    return generator


def _same(turn: Any, request: Any) -> Any:
    return turn


def _given(turn: Any) -> Generator[Any, Any, None]:
    yield from (turn,) if isinstance(turn, str) else turn


def _found(engine: Any, request: Any) -> Flow[Any]:
    found = engine(request)
    return (yield from found) if isinstance(found, GeneratorType) else found


@lru_cache(maxsize=1024)
def _operation(method: str, path: str) -> str:
    """The operation of the API at an address, such as `chat.completions.create`; `other` for what is none."""
    seldon = _SELDON.fullmatch(path)
    if seldon is not None:
        path = f"/v1{seldon[1]}"
    try:
        return routes().match(method, path, "")[0].name
    except APIStatusError:
        return "other"
