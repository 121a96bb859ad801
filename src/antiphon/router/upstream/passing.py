"""Streams that are no conversation: pictures as they are drawn, transcripts. Nothing is read but how they end."""

from __future__ import annotations

from typing import Any

from ..events import Event
from .reader import Reader

__all__ = ("PassingReader",)


class PassingReader(Reader):
    """Lets events pass."""

    __slots__ = ()
    dialect = "passed"

    def feed(self, value: dict[str, Any], out: list[Event]) -> None:
        """Nothing."""

    def end(self, out: list[Event]) -> None:
        """An error, where there was one."""
        if self.failed is not None:
            out.append(self.failed)
