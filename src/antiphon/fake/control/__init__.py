"""The control API: what tests do with a fake, over HTTP, for those that are written in other languages.

    POST /_antiphon/rules            {"when": {"text": "weather"}, "reply": "Sunny"}
    GET  /_antiphon/journal?text=weather
    POST /_antiphon/assert/called    {"query": {"text": "weather"}, "times": 1}

Each group of operations is a file of this package, which registers them (`operations`); the document that describes
them and the page that shows them are made from what is registered. No key is needed. A request is about the fake of the
session it names by its key or by `x-antiphon-test`, and otherwise about the server's.
"""

from __future__ import annotations

import logging
from importlib import import_module
from types import GeneratorType
from typing import TYPE_CHECKING, Any, Final

from ...kernel.errors import APIStatusError, BadRequestError, InternalServerError, PermissionDeniedError
from ...kernel.http import Headers, Response
from ..door import PREFIX
from .operations import answer_of, found

if TYPE_CHECKING:
    from ...kernel.flow import Flow
    from ...kernel.http import Request
    from .. import FakeOpenAI
    from ..door import Door

__all__ = ("answer",)

GROUPS: Final = ("journal", "asserts", "verdict", "rules", "faults", "state", "clock", "metrics", "sessions", "about")
"""The files that register operations, in the order of the documentation."""

for _group in GROUPS:
    import_module(f".{_group}", __package__)

log = logging.getLogger("antiphon.fake")


def answer(fake: FakeOpenAI, request: Request, door: Door | None = None) -> Response | Flow[Response]:
    """Answer a request below `/_antiphon`. Raises nothing."""
    server = fake.server
    if server.jobs.next <= fake.clock.now():  # what is due is done by whoever looks
        due = server.jobs.advance()
        if due is not None:
            return _after(due, fake, request, door)
    try:
        _check_origin(request)
        each, params = found(request, request.path.removeprefix(PREFIX))
        reply: Any = answer_of(each, params, fake, door, request)
    except Exception as error:
        reply = _failure(error, request)
    if isinstance(reply, GeneratorType):
        return _finished(reply, request)
    return reply._replace(body=b"") if request.method == "HEAD" else reply  # type: ignore[no-any-return]


def _after(due: Flow[None], fake: FakeOpenAI, request: Request, door: Door | None) -> Flow[Response]:
    yield from due
    reply: Any = answer(fake, request, door)
    answered: Response = (yield from reply) if isinstance(reply, GeneratorType) else reply
    return answered


def _finished(flow: Flow[Response], request: Request) -> Flow[Response]:
    try:
        answer: Response = yield from flow
        return answer
    except Exception as error:
        return _failure(error, request)


def _failure(error: Exception, request: Request) -> Response:
    if isinstance(error, RecursionError):
        error = BadRequestError.because("The body is nested too deeply.", code="invalid_value")
    if isinstance(error, APIStatusError):
        answer = error.to_response()
    else:
        log.error("%s %s failed", request.method, request.path, exc_info=error)
        answer = InternalServerError.because(
            f"The fake could not answer {request.method} {request.path}: {type(error).__name__}. Its log says more."
        ).to_response()
    # What is refused here is refused again: clients that retry are told not to.
    return answer._replace(headers=Headers([*answer.headers.pairs, ("x-should-retry", "false")]))


def _check_origin(request: Request) -> None:
    """Refuse pages of other origins, which browsers let send requests to this machine."""
    origin = request.headers.get("origin")
    if origin is not None and origin != request.origin:
        raise PermissionDeniedError.because(
            f"The control API does not answer pages of {origin}.", code="foreign_origin"
        )
