"""Of the edits API that chat completions took the place of. Written by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from antiphon.kernel.lazy import lazily
from antiphon.kernel.view import View

if TYPE_CHECKING:
    from antiphon.types.completion_usage import CompletionUsage

__all__ = ("Choice", "Edit")


class Choice(View):
    """One edited text."""

    text: str
    index: int


class Edit(View):
    """An `edit` object: a text, changed as an instruction says."""

    object: Literal["edit"]
    created: int
    """Unix seconds."""
    choices: list[Choice]
    usage: CompletionUsage


if not TYPE_CHECKING:
    __getattr__, __dir__ = lazily(__name__, {"CompletionUsage": "antiphon.types.completion_usage"})
