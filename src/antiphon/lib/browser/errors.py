"""What goes wrong with a browser."""

from __future__ import annotations

__all__ = ("BrowserCancelledError", "BrowserError")


class BrowserError(Exception):
    """A refusal, or a failure, whose text is for the model."""


class BrowserCancelledError(RuntimeError):
    """The caller did not want the call any more, and it has no output."""

    def __init__(self, message: str = "The call of the browser was cancelled") -> None:
        super().__init__(message)
