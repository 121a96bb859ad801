"""What went wrong, in words for whoever called: an `Error` from any exception, with nothing secret in it."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Any, Final

from ..kernel.errors import APIConnectionError, APIError, APIStatusError, APITimeoutError, said_by
from .events import Error

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ("Failed", "Refused", "error_of", "error_response", "scrubbed", "told")

log = logging.getLogger("antiphon.router")

_SECRET: Final = re.compile(
    r"\b(?:sk|rk|pk|key|sess|ek|gsk|xai)-[A-Za-z0-9_*-]{6,}|(?i:\b(bearer|basic))\s+[A-Za-z0-9._~+/=-]{8,}"
)
"""Keys as hosts write them, and what follows the name of a scheme."""

_STATUS_TYPES: Final = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    413: "invalid_request_error",
    422: "invalid_request_error",
    429: "rate_limit_error",
}


class Failed(Exception):
    """An answer failed for the reason that the caller is told."""

    def __init__(self, error: Error) -> None:
        super().__init__(error.message)
        self.error = error


class Refused(Failed):
    """The router itself says no, or a layer does.

    Raise it where a question is refused: the caller gets the status and the message as the API's envelope, or as an
    error of the format where the answer has begun.
    """

    def __init__(self, message: str, *, status: int = 400, code: str | None = None, param: str | None = None) -> None:
        super().__init__(Error(message, status, _type_of(status), code, param))


def _type_of(status: int) -> str:
    return _STATUS_TYPES.get(status) or ("server_error" if status >= 500 else "invalid_request_error")


def scrubbed(text: str, secrets: Iterable[str] = ()) -> str:
    """A text without keys: those that are known, and whatever looks like one."""
    for secret in secrets:
        if len(secret) >= 4:
            text = text.replace(secret, "[secret]")
    return _SECRET.sub("[secret]", text)


def error_of(error: BaseException, secrets: Iterable[str] = ()) -> Error:
    """What an exception says to the caller.

    Errors of this package's clients and of the official one keep their status, code and request id. A connection
    that fails is a 502, a host that does not answer in time a 504. Anything else is a bug here: it is logged, and the
    caller is told nothing but that.
    """
    if isinstance(error, Failed):
        return error.error
    # The official package's errors have the same names and attributes; it need not be installed to be told apart.
    names = {kind.__name__ for kind in type(error).__mro__}
    if isinstance(error, APITimeoutError) or "APITimeoutError" in names:
        return Error("The model's host did not answer in time.", 504, "timeout_error", "upstream_timeout")
    if isinstance(error, APIConnectionError) or "APIConnectionError" in names:
        return Error("The model's host could not be reached.", 502, "server_error", "upstream_unreachable")
    if isinstance(error, APIError) or "APIError" in names:
        return _of_api(error, secrets)
    log.error("an answer failed", exc_info=error)
    return Error("The server had an error while answering.", 500, "server_error", "internal_error")


def _of_api(error: Any, secrets: Iterable[str]) -> Error:
    body = getattr(error, "body", None)
    fields: dict[str, Any] = body if isinstance(body, dict) else {}
    response = getattr(error, "response", None)
    status = getattr(error, "status_code", None)
    if not isinstance(status, int) or not 400 <= status <= 599:
        status = 502  # said in the middle of a stream, which began with 200
    message = said_by(body) if isinstance(error, APIStatusError) or fields else None
    headers: Any = getattr(response, "headers", None) or {}
    return Error(
        scrubbed(message or getattr(error, "message", None) or str(error), secrets),
        status,
        _text(fields.get("type")) or _type_of(status),
        _text(fields.get("code")),
        _text(fields.get("param")),
        _text(getattr(error, "request_id", None)) or _text(headers.get("x-request-id")),
        _text(headers.get("retry-after")),
    )


def _text(value: Any) -> str | None:
    return None if value is None or value == "" else str(value)


def told(value: Any, secrets: Iterable[str] = (), request_id: str | None = None) -> Error:
    """The error an upstream sent as an event of its stream."""
    fields: dict[str, Any] = value if isinstance(value, dict) else {}
    message = said_by(value) or "The model's host reported an error in the stream."
    status = fields.get("status")
    if not isinstance(status, int) or not 400 <= status <= 599:
        status = 502
    kind = _text(fields.get("type"))
    return Error(
        scrubbed(message, secrets),
        status,
        "server_error" if kind in (None, "error") else str(kind),
        _text(fields.get("code")),
        _text(fields.get("param")),
        request_id,
    )


def error_response(error: Error) -> Any:
    """An error before the first byte of an answer: its status, and the API's envelope as JSON."""
    from orjson import dumps
    from starlette.responses import Response

    headers: dict[str, str] = {}
    if error.request_id is not None:
        headers["x-request-id"] = error.request_id
    if error.retry_after is not None:
        headers["retry-after"] = error.retry_after
    return Response(dumps({"error": error.to_dict()}), error.status, headers, "application/json")
