"""The client: the whole API, typed, in two colours."""

from __future__ import annotations

from .client import AsyncOpenAI, OpenAI

__all__ = ("AsyncOpenAI", "OpenAI")
