"""Type variables of structured output: without a format there is nothing to parse, and what is parsed is `None`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import TypeVar  # for its defaults, which checkers know

    ResponseFormatT = TypeVar("ResponseFormatT", default=None)
    TextFormatT = TypeVar("TextFormatT", default=None)
else:
    from typing import TypeVar

    ResponseFormatT = TypeVar("ResponseFormatT")
    TextFormatT = TypeVar("TextFormatT")

__all__ = ("ResponseFormatT", "TextFormatT")
