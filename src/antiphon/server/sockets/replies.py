"""A text that a model says, asked of the server as a Response is, for sessions that tell it in their own events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from ...kernel.dialogue import messages_of
from ...kernel.errors import APIStatusError, BadRequestError, InternalServerError
from .talk import through

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .talk import JSON, Said, Talk

__all__ = ("Reply",)


class Reply:
    """One answer of a model. `each` is told every piece of its text, `seen` every event."""

    def __init__(self, talk: Talk, each: Callable[[str], None], seen: Callable[[JSON], None] | None = None) -> None:
        self._talk = talk
        self._each = each
        self._seen = seen
        self.text = ""
        self.response: JSON = {}
        """The whole Response, once it is complete."""
        self.stopped = False
        """Set to have it say no more."""

    def said(self, body: Mapping[str, Any]) -> Said:
        """Ask, and hear the answer out. Raises the API's errors."""
        answer = yield from self._talk.ask("/v1/responses", {"store": False, **body, "stream": True})
        if answer.status >= 400:
            raise _error(answer.status, orjson.loads(answer.content))
        yield from through(messages_of(answer.body, lambda data: data), self._heard, lambda: self.stopped)

    def _heard(self, data: bytes) -> Said:
        try:
            event = orjson.loads(data)
        except ValueError:
            if data != b"[DONE]":
                yield data  # a fault: it is not ours to mend
            return
        kind = event.get("type", "error")
        if self._seen is not None:
            self._seen(event)
        if kind in ("response.output_text.delta", "response.refusal.delta"):
            self.text += event["delta"]
            self._each(event["delta"])
        elif kind in ("response.completed", "response.incomplete"):
            self.response = event["response"]
        elif kind in ("response.failed", "error"):
            failed = event.get("response") or event
            raise _error(500, {"error": failed.get("error") or failed})
        yield from self._talk.flush()


def _error(status: int, body: Any) -> APIStatusError:
    error = body.get("error", body) if isinstance(body, dict) else {"message": str(body)}
    cls = BadRequestError if status < 500 else InternalServerError
    return cls.because(
        error.get("message") or "The server had an error.",
        type=error.get("type"),
        code=error.get("code"),
        param=error.get("param"),
        status=status,
    )
