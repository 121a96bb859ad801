"""Which hosts are whose: answered by the fake, of models that nobody wants to reach in a test, of this machine."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Final

__all__ = ("ANSWERED", "MODELS", "is_local", "matches")

ANSWERED: Final = (
    "api.openai.com",
    "*.api.openai.com",
    "*.openai.azure.com",
    "*.services.ai.azure.com",
    "*.cognitiveservices.azure.com",
    "api.anthropic.com",
    "generativelanguage.googleapis.com",
)
"""Hosts that speak as the fake does: OpenAI's, in every region, Azure's, and those whose dialects it knows."""

MODELS: Final = (
    *ANSWERED,
    "*.openai.com",
    "*.googleapis.com",
    "*.amazonaws.com",
    "api.mistral.ai",
    "api.cohere.com",
    "api.cohere.ai",
    "api.groq.com",
    "api.deepseek.com",
    "api.together.xyz",
    "api.together.ai",
    "api.fireworks.ai",
    "api.perplexity.ai",
    "api.x.ai",
    "api.cerebras.ai",
    "api.moonshot.ai",
    "openrouter.ai",
    "*.huggingface.co",
    "*.huggingface.cloud",
)
"""Hosts of models: nobody's name is looked up among these while a guard is on, whatever library asks."""


def matches(host: str, patterns: Iterable[str]) -> bool:
    """Whether a host is one of the patterns, such as `api.openai.com` or `*.corp.example`."""
    name = host.lower().rstrip(".")
    return any(fnmatchcase(name, pattern.lower()) for pattern in patterns)


def is_local(host: str) -> bool:
    """Whether a host is this machine, by name or by number."""
    name = host.lower().strip("[]").rstrip(".")
    return (
        name in ("", "localhost", "::1", "0.0.0.0", "::", "ip6-localhost")
        or name.endswith(".localhost")
        or (name.startswith("127.") and name.replace(".", "").isdigit())
    )
