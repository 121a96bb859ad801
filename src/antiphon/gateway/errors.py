"""What went wrong at a model's server, in the words of the API, with the right advice on whether to try again.

An official client tries again on 408, 409, 429 and 5xx unless the header `x-should-retry` says otherwise. Where a
model may have run already it must not: an answer costs time and money, and a tool may be called twice.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from ..kernel.errors import (
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    AuthenticationError,
    BadRequestError,
    InternalServerError,
    NotFoundError,
    PermissionDeniedError,
)

if TYPE_CHECKING:
    from .config import ModelConfig, Patience
    from .oip.messages import ModelMetadata

__all__ = (
    "OPENAI",
    "SENSELESS",
    "broken",
    "failed",
    "failed_call",
    "full",
    "impossible",
    "lost",
    "message_of",
    "misconfigured",
    "reason",
    "refused",
    "senseless",
    "slow",
    "speaks_openai",
    "unreachable",
    "untouched",
    "waited",
)

log = logging.getLogger("antiphon.gateway")

NO_RETRY: Final = {"x-should-retry": "false"}
_ADDRESS: Final = "model_not_found"


def message_of(content: bytes) -> str:
    """What a server says in the body of an error: `error`, `detail`, or the text itself; in an event, or as it is."""
    import orjson

    content = content.strip()
    if content.startswith(b"data:"):
        content = content[5:].partition(b"\n\n")[0].strip()
    try:
        value: Any = orjson.loads(content)
    except orjson.JSONDecodeError:
        text = content.decode("utf-8", "replace")
        if text.startswith("Traceback (most recent call last)"):
            text = text.rpartition("\n")[2]  # where in its program a server failed is nobody's business
        return text[:_LONGEST]
    if isinstance(value, dict):
        for key in ("error", "detail", "message"):
            found = value.get(key)
            if isinstance(found, str):
                return found[:_LONGEST]
            if isinstance(found, dict) and isinstance(found.get("message"), str):
                return str(found["message"])[:_LONGEST]
            if isinstance(found, list) and found:
                return "; ".join(_place(each) for each in found)[:_LONGEST]
    return content.decode("utf-8", "replace")[:_LONGEST]


def speaks_openai(content: bytes) -> bool:
    """Whether this 404 of an address of the protocol looks like that of a server which speaks the OpenAI API instead.

    Servers of the protocol have a text for an error. FastAPI's own words come of an address that nothing stands at.
    """
    import orjson

    try:
        value: Any = orjson.loads(content)
    except orjson.JSONDecodeError:
        return False
    if not isinstance(value, dict):
        return False
    error = value.get("error")
    if isinstance(error, dict):
        return "message" in error and "type" in error and error.get("code") != _ADDRESS  # which a gateway says
    return bool(value == {"detail": "Not Found"})


OPENAI: Final = 'if it speaks the OpenAI API, say backend = "openai" in the gateway\'s configuration'
"""What may help where `speaks_openai`."""


def _place(each: Any) -> str:
    if not isinstance(each, dict):
        return str(each)
    where = ".".join(str(part) for part in each.get("loc") or ())
    return f"{where}: {each.get('msg')}" if where else str(each.get("msg"))


def refused(status: int, message: str, model: str, headers: Mapping[str, str] | None = None) -> APIStatusError:
    """The error for what a server answered in place of an answer."""
    said = message or f"The server answered {status}, and said nothing about it."
    if status in (400, 422, 503) and _NOT_READY.search(said):
        status = 503  # MLServer says 400 of a model that is being loaded
    made = _REFUSALS.get(status)
    if made is not None:
        return made(said, model, headers or {})
    why = "" if 500 <= status < 600 else f" (it answered {status})"
    return InternalServerError.because(
        f"The model `{model}` failed: {said}{why}", status=502, code="upstream_error", headers=NO_RETRY
    )


_LONGEST: Final = 4000
"""Characters of what a server says; a web page may come in place of an error."""
_NOT_READY: Final = re.compile(r"is not ready|not ready yet|is not at ready state|is loading", re.IGNORECASE)


def _invalid(said: str, model: str, headers: Mapping[str, str]) -> APIStatusError:
    return APIStatusError.because(
        f"The model `{model}` refused the request: {said}",
        status=400,
        type="invalid_request_error",
        code="upstream_invalid_request",
    )


def _unauthenticated(said: str, model: str, headers: Mapping[str, str]) -> APIStatusError:
    return AuthenticationError.because(
        f"The server of the model `{model}` wants other credentials: {said}", code="upstream_unauthenticated"
    )


def _forbidden(said: str, model: str, headers: Mapping[str, str]) -> APIStatusError:
    return PermissionDeniedError.because(
        f"The server of the model `{model}` does not allow this: {said}", code="upstream_forbidden"
    )


def _missing(said: str, model: str, headers: Mapping[str, str]) -> APIStatusError:
    return NotFoundError.because(f"The model `{model}`: {said}", param="model", code=_ADDRESS)


def _too_large(said: str, model: str, headers: Mapping[str, str]) -> APIStatusError:
    return APIStatusError.because(
        f"The request is too large for the server of the model `{model}`: {said}",
        status=413,
        type="invalid_request_error",
        code="upstream_too_large",
    )


def _busy(said: str, model: str, headers: Mapping[str, str]) -> APIStatusError:
    return APIStatusError.because(
        f"The model `{model}`: {said}",
        status=429,
        type="rate_limit_error",
        code="rate_limit_exceeded",
        headers={"retry-after": _after(headers)},
    )


def _unsupported(said: str, model: str, headers: Mapping[str, str]) -> APIStatusError:
    return InternalServerError.because(
        f"The server of the model `{model}` cannot do what it was asked for: {said}",
        status=501,
        code="upstream_unsupported",
        headers=NO_RETRY,
    )


def _not_ready(said: str, model: str, headers: Mapping[str, str]) -> APIStatusError:
    return InternalServerError.because(
        f"The model `{model}` is not ready: {said}",
        status=503,
        code="model_not_ready",
        headers={"retry-after": _after(headers)},
    )


def _late(said: str, model: str, headers: Mapping[str, str]) -> APIStatusError:
    return InternalServerError.because(
        f"The model `{model}` took too long: {said}", status=504, code="upstream_timeout", headers=NO_RETRY
    )


_REFUSALS: Final[dict[int, Callable[[str, str, Mapping[str, str]], APIStatusError]]] = {
    400: _invalid,
    401: _unauthenticated,
    403: _forbidden,
    404: _missing,
    408: _late,
    413: _too_large,
    422: _invalid,
    429: _busy,
    501: _unsupported,
    503: _not_ready,
    504: _late,
}


def _after(headers: Mapping[str, str]) -> str:
    """For how many seconds a server wants to be left alone: one, where it does not say."""
    said = headers.get("retry-after", "")
    return said if said.isdigit() else "1"


_STATUSES: Final[dict[str, int]] = {
    "INVALID_ARGUMENT": 400,
    "OUT_OF_RANGE": 400,
    "FAILED_PRECONDITION": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "RESOURCE_EXHAUSTED": 429,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}
_UNCONNECTED: Final = re.compile(
    r"failed to connect|connection refused|DNS resolution failed|errors resolving|backends failing|handshake",
    re.IGNORECASE,
)
_DROPPED: Final = re.compile(r"socket closed|connection reset|stream removed|goaway|transport closed", re.IGNORECASE)


def failed_call(code: str, details: str, model: str) -> APIStatusError:
    """The error for a call over gRPC that ended with this status in place of an answer."""
    if code == "UNAVAILABLE":
        if _UNCONNECTED.search(details):
            return unreachable(model, reason(details))
        if _DROPPED.search(details):
            return broken(model, reason(details))
    if code == "RESOURCE_EXHAUSTED" and "message larger than" in details:
        return refused(413, details, model)
    return refused(_STATUSES.get(code, 500), " ".join(details.split()), model)


def failed(model: str, message: str, *, begun: bool = False) -> APIStatusError:
    """The error for a message in the place of an answer, which says what went wrong and nothing else.

    Where answers have `begun` already, it is one that broke off.
    """
    if begun:
        return broken(model, message)
    status = next((status for status, words in _WORDS.items() if words.search(message)), 400)
    return refused(status, message, model)


_WORDS: Final = {
    404: re.compile(r"unknown model|is not found|has no available versions", re.IGNORECASE),
    503: re.compile(r"exceeds maximum queue size|unavailable|not healthy", re.IGNORECASE),
    504: re.compile(r"request timeout expired|deadline exceeded", re.IGNORECASE),
}


def impossible(model: str, why: str) -> APIStatusError:
    """The error for a request that cannot be said in the protocol."""
    return BadRequestError.because(f"The request to the model `{model}` cannot be sent: {why}")


_REASONS: Final = re.compile(
    r"connection refused|connection reset[a-z ]*|connection closed[a-z ]*|broken pipe|no route to host|"
    r"network is unreachable|dns error|domain name not found|name resolution[a-z ]*|name or service not known|"
    r"DNS resolution failed|timed out|timeout|socket closed|stream removed|goaway|certificate[a-z ]*|"
    r"unexpected (?:eof|end of file)[a-z ]*|end of file before message length reached|error decoding response body|"
    r"error reading a body from connection",
    re.IGNORECASE,
)


def reason(error: object) -> str:
    """Why there is no connection, or no longer, without saying to where: callers have no use for addresses."""
    texts: list[str] = []
    while error is not None and len(texts) < 8:
        texts.append(str(error))
        if isinstance(error, OSError) and error.errno is not None:
            texts.append(os.strerror(error.errno))
        error = error.__cause__ if isinstance(error, BaseException) else None
    found = _REASONS.findall("; ".join(texts))
    return found[-1].strip().lower() if found else "the connection failed"


def unreachable(model: str, why: str) -> APIStatusError:
    """The error for a server that cannot be reached: no model has run, so trying again is good advice."""
    return InternalServerError.because(
        f"The server of the model `{model}` cannot be reached: {why}",
        status=503,
        code="upstream_unreachable",
        headers={"retry-after": "1"},
    )


_NO_CONNECTION: Final = frozenset({"ConnectError", "ConnectTimeout", "ConnectTimeoutError", "PoolTimeoutError"})
"""What HTTP clients raise before they have sent anything."""


def lost(model: str, error: APIConnectionError, patience: Patience | None = None) -> APIStatusError:
    """The error for a request that got no answer: whether a model may have run depends on how far it came."""
    sent = _sent(error.__cause__)
    if isinstance(error, APITimeoutError):
        if sent:
            return slow(model, "an answer", None if patience is None else patience.first)
        return slow(model, "a connection", None if patience is None else patience.connect, ran=False)
    return broken(model, reason(error)) if sent else unreachable(model, reason(error))


def _sent(cause: BaseException | None) -> bool:
    """Whether anything was sent before this went wrong."""
    if cause is None or not any(each.__name__ in _NO_CONNECTION for each in type(cause).__mro__):
        return True
    details = getattr(cause, "details", None)
    causes: list[Any] = (details.get("causes") if isinstance(details, dict) else None) or []
    # reqwest is said to fail at connecting whatever happens before an answer begins; what failed is told behind it.
    return bool(causes) and not any("(Connect)" in str(each) for each in causes)


def slow(model: str, what: str, seconds: float | None, *, ran: bool = True) -> APIStatusError:
    """The error for a server that took longer than the gateway's patience, which was for `what`."""
    took = "too long" if seconds is None else f"more than {seconds:g} seconds"
    return InternalServerError.because(
        f"The server of the model `{model}` took {took} for {what}.",
        status=504,
        code="upstream_timeout" if ran else "upstream_connect_timeout",
        headers=NO_RETRY if ran else {"x-should-retry": "true"},
    )


def full(model: str, waiting: int) -> APIStatusError:
    """The error for a request that finds so many others waiting that it may not."""
    return APIStatusError.because(
        f"The model `{model}` is busy, and {waiting} requests wait for it already. Try again later.",
        status=429,
        type="rate_limit_error",
        code="queue_full",
        headers={"retry-after": "1"},
    )


def waited(model: str, seconds: float) -> APIStatusError:
    """The error for a request that has waited for its turn for so long."""
    return InternalServerError.because(
        f"The model `{model}` is busy: the request waited {seconds:g} seconds for its turn. Try again later.",
        status=503,
        code="queue_timeout",
        headers={"retry-after": "1"},
    )


_UNTOUCHED: Final = frozenset({"upstream_unreachable", "upstream_connect_timeout", "model_not_ready", _ADDRESS})


def untouched(error: BaseException) -> bool:
    """Whether no model can have run where a server's answer was this error, so that another one may be asked."""
    return isinstance(error, APIStatusError) and (error.status_code == 429 or error.code in _UNTOUCHED)


def broken(model: str, why: str) -> APIStatusError:
    """The error for an answer that broke off."""
    return InternalServerError.because(
        f"The answer of the model `{model}` broke off: {why}", status=502, code="upstream_error", headers=NO_RETRY
    )


SENSELESS: Final = (ValueError, TypeError, KeyError, IndexError, AttributeError)
"""What reading an answer raises that is not as it should be."""


def senseless(model: str, error: Exception) -> APIStatusError:
    """The error for an answer that could not be read, by what reading it raised."""
    if isinstance(error, ValueError):
        return broken(model, str(error))
    log.warning("An answer of the model %s could not be read", model, exc_info=error)
    return broken(model, f"it cannot be read ({type(error).__name__}: {error})")


def misconfigured(config: ModelConfig, metadata: ModelMetadata) -> APIStatusError:
    """The error for a model of which nobody knows how it is to be asked."""
    ins = ", ".join(f"{t.name} {t.datatype}{list(t.shape)}" for t in metadata.inputs) or "none"
    outs = ", ".join(f"{t.name} {t.datatype}{list(t.shape)}" for t in metadata.outputs) or "none"
    return InternalServerError.because(
        f"The gateway does not know how to ask the model `{config.name}`: it tells of the inputs {ins} and the outputs "
        f'{outs}, which no convention fits. Name one in the gateway\'s configuration: `convention = "…"`.',
        status=500,
        code="gateway_misconfigured",
        headers=NO_RETRY,
    )
