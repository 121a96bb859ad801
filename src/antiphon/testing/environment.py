"""What the environment says while a fake is active: where it is, and with which key."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager

__all__ = ("environment", "pointing_at")


def pointing_at(url: str, key: str) -> dict[str, str]:
    """Variables that lead clients of OpenAI and of Azure to a server, and those of Anthropic and Gemini, whose dialects
    it knows. Which of the first two is meant where nobody says so (`openai.chat…`, without a client) is OpenAI.
    """
    return {
        "OPENAI_BASE_URL": f"{url}/v1",
        "OPENAI_API_BASE": f"{url}/v1",  # what older clients read
        "OPENAI_API_KEY": key,
        "OPENAI_API_TYPE": os.environ.get("OPENAI_API_TYPE", "openai"),
        "AZURE_OPENAI_ENDPOINT": url,
        "AZURE_OPENAI_API_KEY": key,
        "OPENAI_API_VERSION": os.environ.get("OPENAI_API_VERSION", "2025-04-01-preview"),
        "ANTHROPIC_BASE_URL": f"{url}/anthropic",
        "ANTHROPIC_API_KEY": key,
        "GOOGLE_GEMINI_BASE_URL": f"{url}/gemini",
        "GEMINI_API_KEY": key,
        "GOOGLE_API_KEY": key,
    }


@contextmanager
def environment(variables: Mapping[str, str]) -> Generator[None]:
    """Set variables, and put back what was there. Packages that have read `OPENAI_API_TYPE` already are told it."""
    before = {name: os.environ.get(name) for name in variables}
    told = [
        package
        for package in map(sys.modules.get, ("openai", "antiphon"))
        if package is not None and vars(package).get("api_type", "") is None
    ]
    os.environ.update(variables)
    for package in told:
        package.api_type = variables.get("OPENAI_API_TYPE")  # type: ignore[attr-defined]
    try:
        yield
    finally:
        for package in told:
            package.api_type = None  # type: ignore[attr-defined]
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
