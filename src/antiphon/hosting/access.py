"""A filter that notes every request once it is over."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Generator, Mapping
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

from ..kernel.http import Headers, Request, Response
from ..kernel.spool import Spooled

if TYPE_CHECKING:
    from ..kernel.flow import Flow, Step
    from ..kernel.http import Filter, Handler

__all__ = ("Details", "Entry", "Noted", "detailed", "logged")


class Entry(NamedTuple):
    """One request that is over."""

    method: str
    path: str
    status: int
    seconds: float
    """From the request's arrival to the end of its answer's body."""
    tokens: int | None
    """Total tokens of the usage of an answer that was not streamed, where it has one."""
    request_id: str | None
    whole: bool
    """Whether the answer was read to its end."""


class Details(NamedTuple):
    """One request that is over, and more about it."""

    entry: Entry
    request: Request
    model: str | None
    """The model that was named in its body."""
    first_seconds: float | None
    """Of a streamed answer: from the request's arrival to its first piece."""
    usage: dict[str, int]
    """The tokens that were told, streamed or not: `input`, `output`, `total`."""
    notes: dict[str, Any]
    """What those who answered noted about it."""


class Noted(Headers):
    """The headers of a request on which those who answer it may leave a note, for the log."""

    __slots__ = ("notes", "under")

    def __init__(self, under: Headers) -> None:
        self.under = under
        self.notes: dict[str, Any] = {}

    def __getattr__(self, name: str) -> Any:
        # Reached for the slot `pairs` alone, and only before it is filled.
        if name != "pairs":
            raise AttributeError(name)
        self.pairs = self.under.pairs
        return self.pairs

    def get(self, name: str, default: Any = None) -> Any:
        return self.under.get(name, default)

    def __getitem__(self, name: str) -> str:
        value: str = self.under[name]
        return value

    def replaced(self, changes: Mapping[str, str | None]) -> Headers:
        changed = Noted(super().replaced(changes))
        changed.notes = self.notes
        return changed


_TOKENS = re.compile(rb'"total_tokens":\s*(\d+)')
_USED = re.compile(rb'"(prompt|completion|input|output|total)_tokens":\s*(\d+)')
_NAMES = {b"prompt": "input", b"completion": "output", b"input": "input", b"output": "output", b"total": "total"}
_MODEL = re.compile(rb'"model"\s*:\s*"([^"\\]{1,256})"')
_LONGEST = 1000
"""Bytes of an answer's usage that are looked at."""
_TAIL = 3
"""So many pieces at the end of a stream are looked at for what was used."""


def logged(note: Callable[[Entry], object]) -> Filter:
    """A filter that calls `note` with the `Entry` of every request, streamed ones at the end of their stream."""

    def wrap(handler: Handler) -> Handler:
        def handle(request: Request) -> Response | Flow[Response]:
            began = perf_counter()
            try:
                answer = handler(request)
            except BaseException as error:
                note(_entry(request, None, began, status=getattr(error, "status_code", 500)))
                raise
            return answered(answer, request, began) if isinstance(answer, Response) else driven(answer, request, began)

        def driven(flow: Flow[Response], request: Request, began: float) -> Flow[Response]:
            try:
                answer = yield from flow
            except GeneratorExit:
                note(_entry(request, None, began, status=499, whole=False))
                raise
            except BaseException as error:
                note(_entry(request, None, began, status=getattr(error, "status_code", 500)))
                raise
            return answered(answer, request, began)

        def answered(answer: Response, request: Request, began: float) -> Response:
            if isinstance(answer.body, bytes):
                note(_entry(request, answer, began, _tokens(answer.body)))
                return answer
            if isinstance(answer.body, Spooled):
                note(_entry(request, answer, began))  # the host sends it from its file, past all filters
                return answer
            return answer._replace(body=streamed(answer, request, began))

        def streamed(answer: Response, request: Request, began: float) -> Generator[bytes | Step[Any], Any, None]:
            whole = False
            try:
                pieces: Any = answer.body
                if isinstance(pieces, Generator):
                    yield from pieces
                else:
                    for piece in pieces:
                        yield piece  # not `yield from`: an iterator takes no results
                whole = True
            finally:
                note(_entry(request, answer, began, whole=whole))

        return handle

    return wrap


def _entry(
    request: Request,
    answer: Response | None,
    began: float,
    tokens: int | None = None,
    *,
    status: int | None = None,
    whole: bool = True,
) -> Entry:
    request_id = None if answer is None else answer.headers.get("x-request-id")
    code = answer.status if answer is not None else status or 500
    return Entry(request.method, request.path, code, perf_counter() - began, tokens, request_id, whole)


def _tokens(body: bytes) -> int | None:
    found = _TOKENS.search(body)
    return None if found is None else int(found[1])


def detailed(note: Callable[[Details], object]) -> Filter:
    """`logged` with the `Details` of every request, on whose headers those who answer it may leave notes."""

    def wrap(handler: Handler) -> Handler:
        def handle(request: Request) -> Response | Flow[Response]:
            method, path, query, headers, body, origin = request
            seen = _Seen(note, Request(method, path, query, Noted(headers), body, origin))
            try:
                answer = handler(seen.request)
            except BaseException as error:
                seen.over(None, b"", status=getattr(error, "status_code", 500))
                raise
            return seen.answered(answer) if isinstance(answer, Response) else seen.driven(answer)

        return handle

    return wrap


class _Seen:
    """A request that is being answered."""

    __slots__ = ("began", "first", "note", "request")

    def __init__(self, note: Callable[[Details], object], request: Request) -> None:
        self.note = note
        self.request = request
        self.began = perf_counter()
        self.first: float | None = None

    def over(self, answer: Response | None, end: bytes, *, status: int | None = None, whole: bool = True) -> None:
        """Note it; `end` is the end of its answer's body, or all of it."""
        usage = _used(end)
        entry = _entry(self.request, answer, self.began, usage.get("total"), status=status, whole=whole)
        headers: Any = self.request.headers
        self.note(Details(entry, self.request, _model(self.request), self.first, usage, headers.notes))

    def driven(self, flow: Flow[Response]) -> Flow[Response]:
        try:
            answer = yield from flow
        except BaseException as error:
            left = isinstance(error, GeneratorExit)
            self.over(None, b"", status=499 if left else getattr(error, "status_code", 500), whole=not left)
            raise
        return self.answered(answer)

    def answered(self, answer: Response) -> Response:
        body = answer.body
        if isinstance(body, bytes):
            self.over(answer, body)
            return answer
        if isinstance(body, Spooled):
            self.over(answer, b"")  # the host sends it from its file, past all filters
            return answer
        return answer._replace(body=self.streamed(answer))

    def streamed(self, answer: Response) -> Generator[bytes | Step[Any], Any, None]:
        source: Any = iter(answer.body)  # type: ignore[arg-type]
        send = getattr(source, "send", None)
        tail: deque[bytes] = deque(maxlen=_TAIL)
        whole = False
        try:
            piece: bytes | Step[Any] = next(source)
            while True:
                if isinstance(piece, bytes):
                    if self.first is None:
                        self.first = perf_counter() - self.began
                    tail.append(piece)
                try:
                    result = yield piece
                except GeneratorExit:
                    raise
                except BaseException as error:
                    throw = getattr(source, "throw", None)
                    if throw is None:
                        raise
                    piece = throw(error)
                else:
                    piece = next(source) if send is None else send(result)
        except StopIteration:
            whole = True
        finally:
            close = getattr(source, "close", None)
            if close is not None:
                close()
            self.over(answer, b"".join(tail), whole=whole)


def _model(request: Request) -> str | None:
    body = request.body
    found = _MODEL.search(body) if isinstance(body, bytes) else None
    return None if found is None else found[1].decode("utf-8", "replace")


def _used(body: bytes) -> dict[str, int]:
    at = body.rfind(b'"usage"')
    if at < 0:
        return {}
    return {_NAMES[name]: int(number) for name, number in _USED.findall(body, at, at + _LONGEST)}
