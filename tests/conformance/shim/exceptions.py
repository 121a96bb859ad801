"""Cases of the official suite that do not apply to a client that is not made of httpx2 and pydantic."""

from __future__ import annotations

EXCEPTIONS: dict[str, str] = {}
"""Patterns of cases (`fnmatch`, against `path::Class::test[parameters]`) and why they cannot pass."""
