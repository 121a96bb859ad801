"""What a fake was asked and what it answered, request by request.

    fake.journal[-1].text                              what the last request said
    fake.journal.calls(model="gpt-5", status=429)      all that are meant

Requests are written down as they come, in process, over HTTP and over websockets alike. While they are answered
nothing is worked out: what an `Exchange` tells, it reads when it is asked.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import suppress
from contextvars import ContextVar
from functools import cached_property
from time import monotonic
from types import GeneratorType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar, overload

from ..kernel.errors import APIStatusError
from ..kernel.http import Request
from ..kernel.spool import Spooled
from ..server.behaviour import UploadedFile
from ..server.clock import RealClock
from ..server.endpoint import routes
from ..server.engine import ChatRequest
from ..server.intake import read_form
from ..server.renderings.chat_request import chat_request
from ..server.renderings.responses_request import input_items, responses_request
from .asked import Asked, Conditions, masked, shown
from .prices import Prices
from .said import Called, Said, said

if TYPE_CHECKING:
    from ..kernel.flow import Flow, Step
    from ..kernel.http import Handler, Headers, Response
    from ..server.clock import Clock
    from .rules import Rule

__all__ = ("LAST", "Exchange", "Journal", "Tokens", "asked_of", "under_way")

MOST_BYTES: Final = 64 * 1024 * 1024
"""Bytes of bodies that a journal keeps; the oldest exchanges make room."""

_LIGHT: Final = 16 * 1024
"""Bytes of an exchange that are not counted: those of a thousand such are few."""

_ROOM: Final = 4096
"""Bytes that encoders of JSON take for whatever is shorter. A copy takes what it needs, and makes room for the next."""

LAST: Final = frozenset(
    """
    response.completed response.failed response.incomplete error image_generation.completed image_edit.completed
    speech.audio.done transcript.text.done
    """.split()
)
"""Events after which a stream has no other."""

T = TypeVar("T")

under_way: ContextVar[Exchange | None] = ContextVar("antiphon.fake.under_way", default=None)
"""The exchange that is being answered, for those who answer."""


class Tokens(NamedTuple):
    """Tokens of an exchange."""

    input: int
    output: int
    cached: int = 0
    """Of the input, those that came from the cache."""

    @property
    def total(self) -> int:
        return self.input + self.output


class _Record:
    """What each exchange has. It has places of its own: a dict for each request costs a fifth of what a journal may."""

    __slots__ = ("__dict__", "__weakref__", "_prices", "_sent", "_told", "began", "ended", "engine")


class Exchange(_Record):
    """One request and its answer."""

    _pieces: list[tuple[float, bytes]] | None = None
    left_early = False
    """Whether the caller went away before the answer was complete."""

    _real_began = 0.0
    _real_ended = 0.0

    rule: Rule | None = None
    """The rule that answered."""
    fault: Any = None
    """The fault that struck, where one did."""
    _weight = 0  # bytes, of a large one
    given: Any = None  # what the rule gave, for the further choices of the same request
    twist: Any = None  # what a fault makes of what the model says

    def __init__(
        self, sent: tuple[str, str, str, Headers, bytes, str], began: float, prices: Prices | None = None
    ) -> None:
        self._sent = sent
        self._prices = prices
        self._told: tuple[int, Headers, bytes] | None = None
        self.began = began
        """When the request came, in Unix time by the fake's clock."""
        self.ended: float | None = None
        """When the answer was complete, or was left, in Unix time by the fake's clock; `None`: not yet."""
        self.engine: Any = None
        """The engine that answered, where no rule did and one was asked."""

    # The request

    @cached_property
    def _request(self) -> Request:
        return Request(*self._sent)

    @property
    def method(self) -> str:
        return self._sent[0]

    @property
    def path(self) -> str:
        return self._sent[1]

    @cached_property
    def operation(self) -> str:
        """The name of the operation, such as `chat.completions.create`; empty where there is none at the address."""
        try:
            return routes().match(self._request.method, self._request.path, self._request.query)[0].name
        except APIStatusError:
            return ""

    @cached_property
    def headers(self) -> Headers:
        """The request's headers; keys, tokens and cookies are masked."""
        return masked(self._request.headers)

    @cached_property
    def body(self) -> Any:
        """The request's body: decoded JSON, the fields of a form, or bytes; `None` for none and for one above 1 MiB."""
        body: Any = self._request.body
        kind = self._request.headers.get("content-type") or ""
        if not isinstance(body, bytes) or not body:
            return None
        if kind.startswith("multipart/form-data"):
            try:
                return dict(read_form(body, kind))
            except APIStatusError:
                return body
        return _decoded(body)

    @cached_property
    def asked(self) -> Asked:
        """What the request asks, as rules see it."""
        body: Mapping[str, Any] = self.body if isinstance(self.body, Mapping) else {}
        asked = asked_of(self.operation, body, self._request.headers)
        asked.path = self.path
        return asked

    @property
    def model(self) -> str:
        """The model that was asked; empty where none was named."""
        return self.asked.model

    @property
    def text(self) -> str:
        """What the user says last; of other requests, the input or the prompt."""
        return self.asked.text

    @property
    def system(self) -> str:
        """What system and developer messages say."""
        return self.asked.system

    # The answer

    @property
    def status(self) -> int | None:
        """The status of the answer; `None` while there is none."""
        return None if self._told is None else self._told[0]

    @property
    def answer_headers(self) -> Mapping[str, str]:
        """The answer's headers."""
        return {} if self._told is None else masked(self._told[1])

    @property
    def request_id(self) -> str | None:
        """The `x-request-id` of the answer."""
        return None if self._told is None else self._told[1].get("x-request-id")

    @property
    def pieces(self) -> list[tuple[float, bytes]]:
        """What was sent of the body, piece by piece: seconds since the request came, and bytes."""
        if self._pieces is not None:
            return [(at - self.began, data) for at, data in self._pieces]
        whole = b"" if self._told is None else self._told[2]
        return [((self.ended or self.began) - self.began, whole)] if whole else []

    @property
    def answer(self) -> Any:
        """The answer's body: decoded JSON or bytes; of a stream of events, and of a file, `None`."""
        if self._told is None or self._is_events:
            return None
        whole = self._told[2] or b"".join(data for _, data in self._pieces or ())
        return _decoded(whole) if whole else None

    @property
    def events(self) -> list[Any]:
        """The events of a stream as far as they were sent, decoded; the last may be the text `[DONE]`."""
        if not self._is_events:
            return []
        from ..kernel.sse import Decoder

        return [_decoded(data) for data, _ in Decoder().data(b"".join(piece for _, piece in self.pieces))]

    @property
    def _is_events(self) -> bool:
        return self._told is not None and (self._told[1].get("content-type") or "").startswith("text/event")

    def _is_told(self) -> bool:
        """Whether the last event that was sent is the last there is: readers stop there and do not wait for more."""
        events = self.events
        last: Any = events[-1] if events else None
        if isinstance(last, dict):
            return str(last.get("type")) in LAST or (bool(last.get("error")) and "type" not in last)
        return bool(last == "[DONE]")

    @property
    def said(self) -> Said:
        """What the answer says: its text, the tools it calls, the tokens it tells."""
        return self.once("said", lambda: said(self.answer, self.events))

    def once(self, name: str, find: Callable[[], T]) -> T:
        """Something small that is read from the answer: found out once, when the answer is complete."""
        if self.ended is None:
            return find()
        found: dict[str, Any] = self.__dict__.setdefault("_found", {})
        if name not in found:
            found[name] = find()
        known: T = found[name]
        return known

    @property
    def output_text(self) -> str:
        """The text of the answer."""
        return self.said.text

    @property
    def tool_calls(self) -> list[Called]:
        """The tools that the answer calls."""
        return list(self.said.tools)

    @property
    def tokens(self) -> Tokens:
        """Tokens as the answer tells them; those of the texts where it does not."""
        from ..server.tokens import count, message_tokens

        told = self.said
        given, made = told.input_tokens, told.output_tokens
        if self.status is None or self.status >= 400:
            return Tokens(given or 0, made or 0)
        if given is None:
            chat = self.asked.chat
            given = (
                count(self.text, self.model)
                if chat is None
                else message_tokens(chat.messages, self.model, self.asked.body.get("tools"))
            )
        return Tokens(given, count(told.text, self.model) if made is None else made, told.cached_tokens or 0)

    @property
    def cost(self) -> float | None:
        """What these tokens cost in USD, by the fake's prices; `None` for a model without one. Errors are free."""
        tokens = self.tokens
        if not tokens.total:
            return 0.0
        price = None if self._prices is None else self._prices.of(self.model)
        return None if price is None else price.of(tokens)

    @property
    def seconds(self) -> float | None:
        """How long it took, by the fake's clock; `None` where it has not ended."""
        return None if self.ended is None else self.ended - self.began

    @property
    def answered_by(self) -> str:
        """Who answered: a fault, a rule, an engine, or the server itself."""
        if self.fault is not None:
            return f"fault {self.fault}"
        if self.rule is not None:
            return str(self.rule)
        if self.engine is None:
            return "server"
        kind: Any = type(self.engine)
        return str(kind.__name__) if kind.__repr__ is object.__repr__ else repr(self.engine)

    def __repr__(self) -> str:
        told = str(self.asked) if self.operation else f"{self.method} {self.path}"
        said = f" {shown(self.output_text)}" if self.output_text else ""
        calls = "".join(f" {call.name}({call.arguments})" for call in self.tool_calls)
        left = ", left early" if self.left_early else "" if self.ended is not None else ", not ended"
        left += "" if self.fault is None else f", struck by {self.fault}"
        return f"<{told} -> {'no answer' if self.status is None else self.status}{said}{calls}{left}>"


def _decoded(data: bytes) -> Any:
    import orjson

    try:
        return orjson.loads(data)
    except ValueError:
        return data.decode() if data == b"[DONE]" else data


def _completion_request(body: Mapping[str, Any]) -> ChatRequest:
    prompt: Any = body.get("prompt")
    text = prompt if isinstance(prompt, str) else "\n".join(each for each in prompt or () if isinstance(each, str))
    return ChatRequest(body["model"], [{"role": "user", "content": text}], body, "completions")


_CONVERSATIONS: Final[dict[str, Callable[[Mapping[str, Any]], ChatRequest]]] = {
    "chat.completions.create": lambda body: chat_request(body, strict=False),
    "completions.create": _completion_request,
    "responses.create": lambda body: responses_request(
        body, input_items(body.get("input")), body.get("model") or "", strict=False
    ),
}


def asked_of(operation: str, body: Mapping[str, Any], headers: Headers) -> Asked:
    """What a body asks of an operation. Of one that the API would refuse it tells no more than the model and a text."""
    model, read = body.get("model"), _CONVERSATIONS.get(operation)
    name = model if isinstance(model, str) else ""
    if read is not None:
        with suppress(Exception):  # whatever is wrong with it, the answer says
            asked = Asked(operation, name, body, headers, read(body))
            asked.read()
            return asked
    return Asked(operation, name, body, headers, subject=_subject(body))


def _subject(body: Mapping[str, Any]) -> str:
    for name in ("input", "prompt"):
        given: Any = body.get(name)
        if isinstance(given, str):
            return given
        if isinstance(given, list):
            parts = (each if isinstance(each, str) else each.get("text") for each in given if _tells(each))
            return "\n".join(part for part in parts if isinstance(part, str))
    file: Any = body.get("file")
    return file.filename if isinstance(file, UploadedFile) else ""


def _tells(part: Any) -> bool:
    return isinstance(part, (str, Mapping))


class Journal:
    """The exchanges of a fake in the order the requests came in, the last `size` of them."""

    def __init__(self, clock: Clock, size: int, prices: Prices | None = None) -> None:
        if size.__class__ is not int or size < 0:
            raise ValueError(f"journal is the number of exchanges that are kept, 0 for none, not {size!r}")
        self.size = size
        self.prices = Prices() if prices is None else prices
        """What tokens cost."""
        self._now = clock.now
        # A caller's pauses pass by the real clock, too, where the fake's stands still.
        self._real = None if clock.__class__ is RealClock else monotonic
        self._kept: deque[Exchange] = deque(maxlen=size)
        self._bytes = 0
        """Those of the large ones at the most: some of these may not be kept any more."""
        self._lock = threading.RLock()  # a stream that the collector of garbage ends may come in between

    # Reading

    def calls(
        self,
        *,
        operation: Any = None,
        model: Any = None,
        text: Any = None,
        tool: str | None = None,
        status: int | None = None,
        **others: Any,
    ) -> list[Exchange]:
        """Those exchanges for which everything holds, in order.

        `tool` is one that the answer calls, `status` the answer's. The rest, `others` too, are conditions of
        `FakeOpenAI.when`. Raises `TypeError` for another.
        """
        asked = Conditions({"operation": operation, "model": model, "text": text, **others})
        return [each for each in self if not differences(each, asked, tool, status)]

    @overload
    def __getitem__(self, place: int) -> Exchange: ...
    @overload
    def __getitem__(self, place: slice) -> list[Exchange]: ...
    def __getitem__(self, place: int | slice) -> Exchange | list[Exchange]:
        kept = list(self._kept)
        if isinstance(place, slice):
            return kept[place]
        try:
            return kept[place]
        except IndexError:
            raise IndexError(f"the journal has {len(kept)} exchanges, and none at {place}") from None

    def __len__(self) -> int:
        return len(self._kept)

    def __iter__(self) -> Iterator[Exchange]:
        return iter(list(self._kept))

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        return f"<Journal of {len(self)} exchanges>"

    def clear(self) -> None:
        """Forget all exchanges."""
        with self._lock:
            self._kept.clear()
            self._bytes = 0

    # Writing

    def __call__(self, handler: Handler) -> Handler:
        """The handler, with its requests written down: a filter."""
        now, enter, leave, keep = self._now, under_way.set, under_way.reset, self._kept.append
        prices, real = self.prices, self._real

        def observed(request: Request) -> Response | Flow[Response]:
            # This is on the way of every request: what can be found out later is.
            method, path, query, headers, body, origin = request
            if body.__class__ is bytes:
                weight = len(body)  # type: ignore[arg-type]
                if weight < _ROOM:
                    body = b"%b" % body
            else:  # a large body stays in its file, which is gone with the request
                body, weight = b"", 0
            exchange = Exchange((method, path, query, headers, body, origin), now(), prices)  # type: ignore[arg-type]
            if real is not None:
                exchange._real_began = real()
            keep(exchange)
            token = enter(exchange)
            try:
                answer: Any = handler(request)
            except BaseException:  # its connection was severed
                self._end(exchange, 0)
                raise
            finally:
                leave(token)
            if answer.__class__ is GeneratorType:
                return self._followed(answer, exchange)
            status, headers, body, _ = answer
            if body.__class__ is not bytes:
                return self._note(exchange, answer)
            size = len(body)  # type: ignore[arg-type]
            exchange._told = (status, headers, b"%b" % body if size < _ROOM else body)  # type: ignore[str-bytes-safe, assignment]
            exchange.ended = now()
            if real is not None:
                exchange._real_ended = real()
            weight += size
            if weight > _LIGHT:
                self._weigh(exchange, weight)
            return answer  # type: ignore[no-any-return]

        return observed

    def _note(self, exchange: Exchange, answer: Response) -> Response:
        body: Any = answer.body
        if body.__class__ is bytes:
            exchange._told = (answer.status, answer.headers, body)
            size = len(body)
        else:
            exchange._told = (answer.status, answer.headers, b"")
            if not isinstance(body, Spooled):
                exchange._pieces = []
                return answer._replace(body=_Watched(self, exchange, iter(body)))
            size = 0
        self._end(exchange, size)
        return answer

    def _end(self, exchange: Exchange, size: int) -> None:
        """The exchange is over, with so many bytes answered."""
        exchange.ended = self._now()
        if self._real is not None:
            exchange._real_ended = self._real()
        self._weigh(exchange, size + len(exchange._sent[4]))

    def _followed(self, flow: Flow[Response], exchange: Exchange) -> Flow[Response]:
        watched: Any = _Watched(self, exchange, flow, body=False)
        answer: Response = yield from watched
        return self._note(exchange, answer)

    def _weigh(self, exchange: Exchange, size: int) -> None:
        """Count an exchange that is large, and let the oldest go where there are too many bytes."""
        if size <= _LIGHT or not self.size:
            return
        with self._lock:
            exchange._weight = size
            self._bytes += size
            if self._bytes > MOST_BYTES:
                kept = self._kept
                self._bytes = sum(each._weight for each in kept)
                while self._bytes > MOST_BYTES and len(kept) > 1:
                    self._bytes -= kept.popleft()._weight


class _Watched(Generator["bytes | Step[Any]", Any, Any]):
    """A body, or a flow, whose exchange is under way whenever it goes on. What it sends is written down."""

    __slots__ = ("_body", "_exchange", "_iterator", "_journal")

    def __init__(self, journal: Journal, exchange: Exchange, iterator: Any, *, body: bool = True) -> None:
        self._journal = journal
        self._exchange = exchange
        self._iterator = iterator
        self._body = body

    def __next__(self) -> Any:
        return self._go(next, self._iterator)

    def send(self, value: Any, /) -> Any:
        send = getattr(self._iterator, "send", None)
        return self._go(next, self._iterator) if send is None else self._go(send, value)

    def throw(self, error: Any, value: Any = None, traceback: Any = None, /) -> Any:
        throw = getattr(self._iterator, "throw", None)
        if throw is None:
            raise error
        return self._go(throw, error)

    def close(self) -> None:
        exchange = self._exchange
        if exchange.ended is None:
            exchange.left_early = not (self._body and exchange._is_told())
            self._end()
        close = getattr(self._iterator, "close", None)
        if close is not None:
            close()

    def __del__(self) -> None:
        # What was never begun is not closed by those who hold it.
        if self._body and self._exchange.ended is None:
            self.close()

    def _go(self, act: Callable[[Any], Any], value: Any) -> Any:
        token = under_way.set(self._exchange)
        try:
            piece = act(value)
        except BaseException as error:
            done = isinstance(error, StopIteration)  # of a flow, whose answer follows
            if self._exchange.ended is None and (self._body or not done):
                self._exchange.left_early = not isinstance(error, Exception)
                self._end()
            raise
        finally:
            under_way.reset(token)
        if self._body and piece.__class__ is bytes and self._exchange._pieces is not None:
            self._exchange._pieces.append((self._journal._now(), piece))
        return piece

    def _end(self) -> None:
        exchange = self._exchange
        self._journal._end(exchange, sum(len(data) for _, data in exchange._pieces or ()))


def differences(exchange: Exchange, asked: Conditions, tool: str | None, status: int | None) -> list[str]:
    """What keeps an exchange from being meant by a query."""
    found = asked.differences(exchange.asked)
    if status is not None and exchange.status != status:
        found.append(f"status is {exchange.status}, not {status}")
    if tool is not None:
        names = [call.name for call in exchange.tool_calls]
        if tool not in names:
            found.append(f"the answer calls {', '.join(names) or 'no tool'}, not {tool}")
    return found
