"""What went wrong, in one line, and the exit code that says so to a script."""

from __future__ import annotations

import sys
from typing import Any

__all__ = ("FAILED", "REFUSED", "UNREACHED", "USAGE", "Problem", "clean", "report", "said")

FAILED, USAGE, REFUSED, UNREACHED = 1, 2, 3, 4
_LONGEST = 1000
_CONTROLS = {code: None for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"}


class Problem(Exception):
    """Something to tell the user, in words that are ready."""

    def __init__(self, message: str, code: int = FAILED) -> None:
        super().__init__(message)
        self.code = code


def clean(text: str) -> str:
    """Text from elsewhere without what would drive the terminal: only words, line breaks and tabs are left."""
    return text.translate(_CONTROLS)


def report(error: BaseException) -> int:
    """Say on stderr what went wrong. Gives the exit code."""
    words, code = said(error)
    print(f"antiphon: {words}", file=sys.stderr, flush=True)
    return code


def said(error: BaseException) -> tuple[str, int]:
    """An error as one line, and its exit code."""
    words, code = _said(error)
    line = clean(" ".join(words.split()))
    return (line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"), code


def _said(error: BaseException) -> tuple[str, int]:
    if isinstance(error, Problem):
        return str(error), error.code
    if isinstance(error, OSError) and not isinstance(error, TimeoutError):
        words = error.strerror or str(error) or type(error).__name__
        return (f"{error.filename}: {words}" if error.filename is not None else words), FAILED
    from ..kernel import errors

    if isinstance(error, errors.APIStatusError):
        name = f" (request {error.request_id})" if error.request_id else ""
        return f"{error.status_code}: {_reason(error)}{name}", REFUSED
    if isinstance(error, errors.APITimeoutError):
        return f"no answer in time{_asked(error)}", UNREACHED
    if isinstance(error, errors.APIConnectionError):
        cause = _deepest(error.__cause__)
        return f"{_unconnected(error)}{f': {cause}' if cause else ''}", UNREACHED
    if isinstance(error, errors.APIError):
        return error.message, REFUSED
    if isinstance(error, (errors.OpenAIError, UnicodeError)):
        return str(error), FAILED
    return f"{type(error).__name__}: {error}", FAILED


def _reason(error: Any) -> str:
    from ..kernel.errors import said_by

    # A proxy that says no sends a page, not an error of the API.
    words = None if isinstance(error.body, str) and error.body.lstrip().startswith("<") else said_by(error.body)
    if words:
        return words
    from http import HTTPStatus

    try:
        return HTTPStatus(error.status_code).phrase
    except ValueError:
        return "no reason given"


def _unconnected(error: Any) -> str:
    # A message of its own says more than that there was no connection.
    return f"no connection{_asked(error, 'to')}" if error.message == "Connection error." else error.message.rstrip(".")


def _asked(error: Any, how: str = "from") -> str:
    request = error.request
    return f" {how} {request.origin}" if request is not None and request.origin else ""


def _deepest(cause: BaseException | None) -> str | None:
    """What lies at the bottom of an error of the network: "Connection refused", not "error sending request"."""
    if cause is None:
        return None
    details: Any = cause.args[1] if len(cause.args) > 1 else None
    if isinstance(details, dict) and details.get("causes"):
        return str(details["causes"][-1].get("message"))
    return str(cause) or None
