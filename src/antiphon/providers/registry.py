"""Which host a model's name leads to, and clients that go there by themselves."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Self, TypeVar

from ..kernel.options import Timeout
from .files import Alias, find, read, read_data
from .presets import PRESETS
from .provider import Provider, ProviderError
from .routed import AsyncRouted, Routed

if TYPE_CHECKING:
    from ..client import AsyncOpenAI, OpenAI

__all__ = ("Providers", "Resolved")

ClientT = TypeVar("ClientT", Routed, AsyncRouted)

_LOCAL_TAG = re.compile(r"latest|\d+(?:\.\d+)?[mb](?:-.*)?|\d+x\d+b(?:-.*)?", re.IGNORECASE)
"""What follows the colon in the names of models on one's own machine (`mistral:7b`), and never elsewhere."""


class Resolved(NamedTuple):
    """Where a name leads: the provider, and the model as that provider calls it."""

    options: dict[str, Any]
    """The arguments that make a client of the provider."""
    model: str
    provider: str


class Providers:
    """Named hosts and names of models.

        providers = Providers(models={"fast": "groq:llama-3.1-8b-instant"})
        client = providers.client()
        client.chat.completions.create(model="fast", …)                 an alias
        client.chat.completions.create(model="mistral:codestral", …)    a provider and its model
        client.chat.completions.create(model="gpt-5", …)                a model of the default provider

    `providers` are hosts by name: a `Provider`, a mapping of its fields, or its address; presets need not be given, and
    what is given for one overrides it. `models` are aliases: `provider:model`, or a mapping of the two. `file` is read
    before, or the one `files.find` finds; `False` reads none. `default` is the provider of plain names, "openai" unless
    the file says another. What else is given goes to every client, such as `transport` and `timeout`.

    Raises `ProviderError` for what is wrong in the file or the arguments, with file and line. Clients are made once a
    provider and closed together, by `close` and `aclose`.
    """

    def __init__(
        self,
        providers: Mapping[str, Provider | Mapping[str, Any] | str] | None = None,
        models: Mapping[str, str | tuple[str, str] | Mapping[str, str]] | None = None,
        *,
        default: str | None = None,
        file: str | os.PathLike[str] | bool = True,
        transport: Any = None,
        timeout: float | Timeout | None = None,
        max_retries: int | None = None,
    ) -> None:
        path = find() if file is True else None if file is False else file
        said = read_data({}) if path is None else read(path)
        given = read_data(
            {
                "providers": {**said.providers, **(providers or {})},
                "models": {**said.models, **(models or {})},
                "default": default or said.default,
            }
        )
        self._providers: dict[str, Provider] = {**PRESETS, **given.providers}
        self._explicit = frozenset(given.providers)
        self._models = given.models
        self.default = given.default or "openai"
        """The provider of models that are called by their plain name."""
        self.file = None if path is None else os.fspath(path)
        """The file that was read."""
        common = {"transport": transport, "timeout": timeout, "max_retries": max_retries}
        self._common = {name: value for name, value in common.items() if value is not None}
        self._lock = threading.Lock()
        self._clients: dict[str, Routed] = {}
        self._async_clients: dict[str, AsyncRouted] = {}

    def __getitem__(self, name: str) -> Provider:
        return self._named(name)

    def __contains__(self, name: object) -> bool:
        return name in self._providers

    @property
    def names(self) -> list[str]:
        """The names of the providers, presets among them."""
        return sorted(self._providers)

    @property
    def models(self) -> dict[str, Alias]:
        """The aliases."""
        return dict(self._models)

    def _named(self, name: str) -> Provider:
        found = self._providers.get(name)
        if found is None:
            from difflib import get_close_matches

            near = get_close_matches(name, self._providers, 1)
            hint = f"; did you mean '{near[0]}'?" if near else ""
            raise ProviderError(f"there is no provider '{name}'{hint}")
        return found

    def split(self, name: str, default: str | None = None) -> Alias:
        """The provider a model's name leads to, and the rest of the name.

        An alias comes first, then `provider:model`, divided at the first colon. Any other name is a plain model of the
        default provider, colon or not: `llama3:8b` is one, and so is `mistral:7b`, for what follows is a size.
        """
        alias = self._models.get(name)
        if alias is not None:
            return alias
        provider, colon, model = name.partition(":")
        known = bool(colon and model) and provider in self._providers
        if known and (provider in self._explicit or not _LOCAL_TAG.fullmatch(model)):
            return Alias(provider, model)
        return Alias(default or self.default, name)

    def resolve(self, name: str) -> Resolved:
        """Where a model's name leads. Raises `ProviderError` where its provider lacks a key or an address."""
        provider, model = self.split(name)
        return Resolved(self.options(provider), model, provider)

    def options(self, provider: str) -> dict[str, Any]:
        """The arguments that make a client of a provider. Raises `ProviderError` as `resolve` does."""
        return {**self._named(provider).options(), **self._common}

    # Clients

    def _provider_of(self, name: str | None) -> str:
        if name is None:
            return self.default
        return name if name in self._providers else self.split(name).provider

    def client(self, name: str | None = None) -> OpenAI:
        """The client of a provider, by its name or that of a model; without one, of the default provider.

        It sends a call to the provider that its `model` names, whichever it was made for. Raises `ProviderError`; but
        where the default provider lacks something, that is raised by the first call that goes there.
        """
        return self._client(self._clients, Routed, name)

    def async_client(self, name: str | None = None) -> AsyncOpenAI:
        """`client` whose calls are coroutines."""
        return self._client(self._async_clients, AsyncRouted, name)

    def _client(self, made: dict[str, ClientT], kind: type[ClientT], name: str | None) -> ClientT:
        provider = self._provider_of(name)
        with self._lock:
            found = made.get(provider)
            if found is None or found.is_closed():
                lack: ProviderError | None = None
                try:
                    options = self.options(provider)
                except ProviderError as error:
                    if name is not None:
                        raise
                    lack = error
                    options = {"base_url": "https://unset.invalid", "api_key": "none", **self._common}
                found = made[provider] = kind(self, provider, options, (), lack)
            return found

    def close(self) -> None:
        """Close the blocking clients."""
        with self._lock:
            clients, self._clients = self._clients, {}
        for each in clients.values():
            each.close()

    async def aclose(self) -> None:
        """Close the clients of both colours."""
        self.close()
        with self._lock:
            clients, self._async_clients = self._async_clients, {}
        for each in clients.values():
            await each.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"<providers {', '.join(sorted(self._explicit)) or 'as preset'}, default {self.default}>"
