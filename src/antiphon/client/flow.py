"""What a call does, written once for both colours: build the request, try and try again, say what went wrong.

    retried          connection errors, timeouts, 408, 409, 429, 500 and above
    x-should-retry   `true` or `false` overrules the status
    retry-after-ms,  used as they stand up to 120 s; a server that asks for more is not asked again,
    retry-after      whatever x-should-retry says
    otherwise        0.5 s, 1 s, 2 s … 8 s, less up to a quarter at random

A body that can be sent only once (a pipe, a generator) is not sent again.
"""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any

from ..kernel.errors import APIConnectionError, APIError, from_response
from ..kernel.flow import Flow, Pause, Read, Send
from ..kernel.http import Headers, Request, Response
from . import log
from .hooks import watched

if TYPE_CHECKING:
    from .credentials import Credential
    from .hooks import Hooks
    from .plan import Prepared

__all__ = ("backoff", "exchange", "may_retry", "retry_after")

LONGEST_DELAY = 120.0
"""Seconds a server may ask us to wait; beyond that the call fails at once."""
RETRY_COUNT = "x-stainless-retry-count"
_FIRST_DELAY = 0.5
_LAST_DELAY = 8.0


def exchange(
    prepared: Prepared, credential: Credential | None, max_retries: int, hooks: tuple[Hooks, ...] = ()
) -> Flow[Response]:
    """The successful response to a prepared request. Raises `APIError` where there is none.

    `credential` proves anew for every attempt who is asking; it is `None` where the headers do it already. Where it
    has something else to say after a 401, the request is sent once more. `hooks` are called around every attempt.
    """
    request, timeout, stream = prepared.request, prepared.timeout, prepared.stream
    if credential is not None and credential.header in prepared.explicit:
        credential = None
    signer: Any = credential if credential is not None and credential.signs else None
    taken = sent = 0
    proof: str | None = None
    renewed = False
    while True:
        attempt = request
        if credential is not None or taken:
            if credential is not None and signer is None:
                proof = yield from credential.value()
            attempt = request._replace(
                headers=_attempt_headers(request.headers, prepared.explicit, credential, proof, taken)
            )
            if signer is not None and not hooks:
                attempt = yield from signer.signed(attempt, timeout)
        listener, begin = log.logger(), 0.0
        if listener is not None:
            log.sent(listener, attempt, taken + 1)
            begin = perf_counter()
        headers: Headers | None = None
        failed: APIError
        try:
            response: Response
            if hooks:
                sent += 1
                response = yield from watched(attempt, timeout, stream, sent, hooks, signer)
            else:
                response = yield Send(attempt, timeout, stream=stream)
        except APIConnectionError as error:
            if listener is not None:
                log.failed(listener, attempt, error, perf_counter() - begin)
            if taken >= max_retries or not _replayable(request):
                raise
            failed = error
        else:
            headers = response.headers
            status: int = response.status
            if listener is not None:
                log.answered(listener, attempt, response, perf_counter() - begin)
            if 200 <= status < 300:
                return response
            if not isinstance(response.body, bytes):
                response = yield from _read(response)
            if status == 401 and credential is not None and proof is not None:
                another = credential.refused(proof)
                if another and not renewed and _replayable(request):
                    renewed = True
                    continue
            failed = from_response(response)
            if taken >= max_retries or not may_retry(response) or not _replayable(request):
                raise failed
        delay = backoff(taken, headers)
        if listener is not None:
            listener.info(
                "Retrying %s %s in %.3f s, retry %d of %d", request.method, request.path, delay, taken + 1, max_retries
            )
        yield Pause(delay)
        if not _replayable(request):
            # A file that was closed meanwhile.
            raise failed
        taken += 1


def _attempt_headers(
    headers: Headers, explicit: frozenset[str], credential: Credential | None, proof: str | None, taken: int
) -> Headers:
    pairs = headers.pairs
    added: list[tuple[str, str]] = []
    if credential is not None and proof is not None:
        pairs = [pair for pair in pairs if pair[0] != credential.header]
        added.append((credential.header, proof))
    if taken and RETRY_COUNT not in explicit:
        added.append((RETRY_COUNT, str(taken)))
    return Headers.of([*pairs, *added])


def _replayable(request: Request) -> bool:
    return isinstance(request.body, bytes) or request.body.replayable


def _read(response: Response) -> Flow[Response]:
    """A streamed response with its body read: errors are not streamed."""
    pieces: list[bytes] = []
    while (piece := (yield Read(response.body))) is not None:
        pieces.append(piece)
    return response._replace(body=b"".join(pieces))


def may_retry(response: Response) -> bool:
    """Whether the server may be asked again after this response."""
    asked = retry_after(response.headers)
    if asked is not None and asked > LONGEST_DELAY:
        return False
    said = response.headers.get("x-should-retry")
    if said in ("true", "false"):
        return bool(said == "true")
    return response.status in (408, 409, 429) or response.status >= 500


def backoff(taken: int, headers: Headers | None) -> float:
    """Seconds to wait before the next attempt, after `taken` retries."""
    asked = None if headers is None else retry_after(headers)
    if asked is not None and 0 < asked <= LONGEST_DELAY:
        return asked
    from random import random

    return min(_FIRST_DELAY * 2.0 ** min(taken, 1000), _LAST_DELAY) * (1 - 0.25 * random())


def retry_after(headers: Headers) -> float | None:
    """Seconds the server asks us to wait, or `None` where it says nothing that can be read."""
    plain = headers.get("retry-after")
    milliseconds, seconds = _number(headers.get("retry-after-ms")), _number(plain)
    if milliseconds is None and seconds is None:
        return _until(plain)
    wait = milliseconds / 1000 if milliseconds is not None else seconds
    return None if wait != wait else wait


def _number(text: str | None) -> float | None:
    """What is written as a number: infinite where it is too large to be one; a word such as `inf` is NaN."""
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if any(map(str.isdigit, text or "")) else float("nan")


def _until(date: str | None) -> float | None:
    import time
    from email.utils import parsedate_to_datetime

    try:
        return parsedate_to_datetime(date).timestamp() - time.time() if date else None
    except (ArithmeticError, OSError, TypeError, ValueError):
        return None
