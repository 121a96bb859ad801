"""The verdict on the client."""

from __future__ import annotations

from typing import Any

from .operations import Call, operation

__all__ = ()


@operation("verdict.get", "GET", "/verdict", returns="the findings, and the report as text")
def verdict_get(call: Call) -> Any:
    """What the code under test did wrong, as far as the journal shows it."""
    found = call.fake.verdict()
    return {**found.to_dict(), "report": str(found)}
