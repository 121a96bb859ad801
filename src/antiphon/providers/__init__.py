"""Hosts by name: `groq:llama-3.3-70b-versatile`, an alias, or a plain name.

    from antiphon import providers

    client = providers.client("groq")
    client.chat.completions.create(model="llama-3.3-70b-versatile", …)
    client.chat.completions.create(model="mistral:mistral-large-latest", …)

Nothing is kept here: each call reads the file and makes a client of its own. A `Providers` keeps both.

The clouds, which have more than a key, are made with `bedrock` and `vertex`:

    client = OpenAI(provider=bedrock(region="us-east-1"))
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

# The functions; the modules they come from have the same names, and stand behind them.
from .bedrock import bedrock
from .files import ENVIRONMENT, Alias
from .presets import PRESETS
from .provider import Provider, ProviderError
from .registry import Providers, Resolved
from .vertex import vertex

if TYPE_CHECKING:
    from ..client import AsyncOpenAI, OpenAI

__all__ = (
    "ENVIRONMENT",
    "PRESETS",
    "Alias",
    "Provider",
    "ProviderError",
    "Providers",
    "Resolved",
    "async_client",
    "bedrock",
    "client",
    "resolve",
    "vertex",
)


def client(name: str | None = None, **settings: Any) -> OpenAI:
    """A client of a provider, by its name or that of a model. `settings` are those of `Providers`.

    Raises `ProviderError` where the file or the environment is not as it should be.
    """
    return Providers(**settings).client(name)


def async_client(name: str | None = None, **settings: Any) -> AsyncOpenAI:
    """`client` whose calls are coroutines."""
    return Providers(**settings).async_client(name)


def resolve(name: str, **settings: Any) -> Resolved:
    """The provider, the options of a client, and the model that a model's name stands for."""
    return Providers(**settings).resolve(name)
