"""What every answer carries: the headers of the API, and for a refusal its envelope.

The rate limits told are those of an account whose buckets were full before this request: a server that
refuses for real does so in a filter of its own, whose headers then stand.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

import orjson

from ..kernel.errors import APIStatusError, InternalServerError
from ..kernel.http import Headers, Response

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from ..kernel.flow import Step
    from ..kernel.http import Request

__all__ = ("PREFLIGHT", "Envelope", "error_response", "guarded", "unexpected")

log = logging.getLogger("antiphon.server")

APOLOGY: Final = "The server had an error while processing your request. Sorry about that!"
REQUESTS_PER_MINUTE: Final = 10_000
TOKENS_PER_MINUTE: Final = 2_000_000
_OFTEN: Final = 4096

CORS: Final = [
    ("access-control-allow-origin", "*"),
    ("access-control-expose-headers", "*"),
]
PREFLIGHT: Final = [
    ("access-control-allow-headers", "*, authorization"),
    ("access-control-max-age", "86400"),
]

_LEFT: dict[int, list[tuple[str, str]]] = {}
"""What is left of the tokens of a minute after so many; of those that most requests have, made once."""

_MILLISECONDS = [("openai-processing-ms", str(number)) for number in range(1000)]


class Envelope:
    """The headers of one server's answers. Most are made once."""

    __slots__ = ("_fixed", "_limited", "_random")

    def __init__(self, organization: str, seed: int | str, *, limits: bool = True) -> None:
        from .ids import Ids

        # A stream of its own: how many requests came before does not change the ids of objects.
        self._random = Ids(f"requests {seed}")
        self._fixed = [
            ("openai-version", "2020-10-01"),
            ("openai-organization", organization),
        ]
        self._limited = limits
        if limits:
            self._fixed += [
                ("x-ratelimit-limit-requests", str(REQUESTS_PER_MINUTE)),
                ("x-ratelimit-limit-tokens", str(TOKENS_PER_MINUTE)),
                ("x-ratelimit-remaining-requests", str(REQUESTS_PER_MINUTE - 1)),
                ("x-ratelimit-reset-requests", f"{60_000 // REQUESTS_PER_MINUTE}ms"),
            ]

    def new_id(self) -> str:
        """A request id."""
        return self._random.new("req_")

    def reset(self, seed: int | str | None = None) -> None:
        self._random.reset(None if seed is None else f"requests {seed}")

    def snapshot(self) -> Any:
        return self._random.snapshot()

    def restore(self, state: Any) -> None:
        self._random.restore(state)

    def sealed(self, response: Response, request: Request, request_id: str, seconds: float) -> Response:
        """The response with the headers every answer has. Those it has already stay as they are."""
        own = response.headers.pairs
        milliseconds = int(seconds * 1000)
        pairs = [
            *own,
            ("x-request-id", request_id),
            _MILLISECONDS[milliseconds] if milliseconds < 1000 else ("openai-processing-ms", str(milliseconds)),
            *self._fixed,
        ]
        if self._limited:
            body = request.body
            tokens = (len(body) if body.__class__ is bytes else body.length or 0) >> 2  # type: ignore[arg-type, union-attr]
            pairs += _LEFT[tokens] if tokens in _LEFT else _left(tokens)
        if len(own) > 1:
            pairs = _first(pairs)
        if request.headers.get("origin") is not None:
            pairs += CORS
        return Response(response.status, Headers.of(pairs), response.body, response.request)


def _left(tokens: int) -> list[tuple[str, str]]:
    told = [
        ("x-ratelimit-remaining-tokens", str(max(0, TOKENS_PER_MINUTE - tokens))),
        ("x-ratelimit-reset-tokens", f"{tokens * 60_000 // TOKENS_PER_MINUTE}ms" if tokens >= 34 else "0s"),
    ]
    if tokens < _OFTEN:
        _LEFT[tokens] = told
    return told


def _first(pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Without the later of two headers of one name; a name the answer itself has twice (cookies) stays."""
    names: set[str] = set()
    kept: list[tuple[str, str]] = []
    for pair in pairs:
        if pair[0] not in names or pair[0] == "set-cookie":
            names.add(pair[0])
            kept.append(pair)
    return kept


def unexpected(error: BaseException, request: Request, request_id: str) -> InternalServerError:
    """Log an error nobody foresaw and give the API's apology for it, which says nothing of the cause."""
    log.error("%s %s failed (%s)", request.method, request.path, request_id, exc_info=error)
    return InternalServerError.because(f"{APOLOGY} (Please include the request ID {request_id} in your message.)")


def error_response(error: BaseException, request: Request, request_id: str) -> Response:
    """The answer an exception turns into."""
    if isinstance(error, APIStatusError):
        return error.to_response()
    return unexpected(error, request, request_id).to_response()


def guarded(
    first: bytes | Step[Any], pieces: Iterator[bytes | Step[Any]], answer: Response, request: Request, request_id: str
) -> Generator[bytes | Step[Any], Any, None]:
    """A streamed body, its first piece taken already, that ends in an error event instead of in an exception.

    Only a stream of events can tell an error in its middle: any other one breaks off, with the error logged.
    """
    try:
        yield first
        if hasattr(pieces, "send"):
            yield from pieces
        else:
            for piece in pieces:
                yield piece
    except Exception as error:
        told = error if isinstance(error, APIStatusError) else unexpected(error, request, request_id)
        if not (answer.headers.get("content-type") or "").startswith("text/event-stream"):
            raise
        yield b"data: " + orjson.dumps({"error": told.body}) + b"\n\n"
    finally:
        close = getattr(pieces, "close", None)
        if close is not None:
            close()
