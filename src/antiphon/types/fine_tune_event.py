"""Of the fine-tunes API that `fine_tuning.jobs` took the place of. Written by hand."""

from __future__ import annotations

from typing import Literal

from antiphon.kernel.view import View

__all__ = ("FineTuneEvent", "FineTuneEventsListResponse")


class FineTuneEvent(View):
    """A `fine-tune-event` object: something that happened to a fine-tune."""

    object: Literal["fine-tune-event"]
    created_at: int
    """Unix seconds."""
    level: Literal["info", "warn", "error"] | str
    message: str


class FineTuneEventsListResponse(View):
    """A list of `fine-tune-event` objects, the oldest first."""

    object: Literal["list"]
    data: list[FineTuneEvent]
