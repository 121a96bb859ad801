"""A filter that notes every request once it is over."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

from ..kernel.http import Request, Response
from ..kernel.spool import Spooled

if TYPE_CHECKING:
    from ..kernel.flow import Flow, Step
    from ..kernel.http import Filter, Handler

__all__ = ("Entry", "logged")


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


_TOKENS = re.compile(rb'"total_tokens":\s*(\d+)')


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
