"""Responses of mockllm: `responses`, a text for each prompt, and what is said to all others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from .ruled import Told, rest

if TYPE_CHECKING:
    from .source import Source

__all__ = ("FIRST_WINS", "recognized", "rules")

FIRST_WINS: Final = False

_WHY: Final = {"settings": "how long an answer takes is said of the fake, with latency=, and not of a rule"}


def recognized(data: Any) -> bool:
    """Whether this is a file of responses of its kind."""
    return isinstance(data, Mapping) and isinstance(data.get("responses"), Mapping)


def rules(source: Source) -> Iterator[Told]:
    """Its responses as rules."""
    for prompt, answer in source.data["responses"].items():
        yield Told(("responses", prompt), {"when": {"text": {"exactly": str(prompt)}}, "reply": str(answer)})
    defaults = source.data.get("defaults")
    if isinstance(defaults, Mapping):
        if defaults.get("unknown_response") is not None:
            yield Told(("defaults", "unknown_response"), {"reply": str(defaults["unknown_response"])})
        rest(source, defaults, ("unknown_response",), ("defaults",), _WHY)
    rest(source, source.data, ("responses", "defaults"), (), _WHY)
