"""Answers that are bytes rather than JSON."""

from __future__ import annotations

__all__ = ("HttpxBinaryResponseContent",)


class HttpxBinaryResponseContent:
    """The bytes of an answer."""
