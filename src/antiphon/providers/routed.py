"""Clients that send each call to the host its model is of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..client import AsyncOpenAI, OpenAI
from ..client.base import BaseClient
from ..kernel.omit import NotGiven

if TYPE_CHECKING:
    from ..client.plan import Plan, Prepared
    from ..kernel.operation import Bound
    from .provider import ProviderError
    from .registry import Providers

__all__ = ("AsyncRouted", "Routed")

_OF_THE_HOST = frozenset(
    ("api_key", "admin_api_key", "organization", "project", "webhook_secret", "base_url", "transport", "http_client")
)
"""Settings that a copy changes for its own host alone."""


class _Routing(BaseClient):
    """Prepares a request with the settings of the host that the model's name leads to.

    Only the preparing differs: requests carry the address they go to, so one transport sends them all.
    """

    _providers: Providers
    _provider: str
    _changes: tuple[dict[str, Any], ...]
    _hosts: dict[str, BaseClient]
    _lack: ProviderError | None

    def _settle(
        self,
        providers: Providers,
        provider: str,
        changes: tuple[dict[str, Any], ...],
        headers: Mapping[str, Any] | None,
        lack: ProviderError | None,
    ) -> None:
        vars(self).update(
            _providers=providers,
            _provider=provider,
            _changes=changes,
            _hosts={},
            _lack=lack,
            # Headers that the environment holds for OpenAI are not for other hosts.
            _custom_headers={name.lower(): value for name, value in (headers or {}).items()},
        )

    @property
    def provider(self) -> str:
        """The name of the host that calls without a model, and models without a host, go to."""
        return self._provider

    def _prepare(self, plan: Plan, bound: Bound) -> Prepared:
        body = bound.body
        name = body.get("model") if body is not None else None
        if body is not None and isinstance(name, str):
            provider, model = self._providers.split(name, self._provider)
            if model != name:
                bound = bound._replace(body={**body, "model": model})
            if provider != self._provider:
                return self._host(provider)._prepare(plan, bound)
        if self._lack is not None:
            raise self._lack
        return super()._prepare(plan, bound)

    def _host(self, provider: str) -> BaseClient:
        """The settings of another host, changed as these were."""
        found = self._hosts.get(provider)
        if found is None:
            options: dict[str, Any] = {**self._providers.options(provider), "transport": self._shared_transport()}
            kind: Any = type(self)
            made = kind(self._providers, provider, options)
            for changes in self._changes:
                made = made.copy(**changes)
            found = self._hosts[provider] = made
        return found

    def _copied(self, changes: dict[str, Any]) -> dict[str, Any]:
        kept = {
            name: value
            for name, value in changes.items()
            if name not in _OF_THE_HOST and not isinstance(value, NotGiven) and (value is not None or name == "timeout")
        }
        options = super()._copied(changes)
        return {
            "providers": self._providers,
            "provider": self._provider,
            "options": options,
            "changes": (*self._changes, kept) if kept else self._changes,
            "lack": self._lack,
        }

    def __repr__(self) -> str:
        return f"<client of {self._provider} at {self._base_url}>"


class Routed(_Routing, OpenAI):
    """A client of one host that sends each call to the host its model is of."""

    def __init__(
        self,
        providers: Providers,
        provider: str,
        options: Mapping[str, Any],
        changes: tuple[dict[str, Any], ...] = (),
        lack: ProviderError | None = None,
    ) -> None:
        OpenAI.__init__(self, **options)
        self._settle(providers, provider, changes, options.get("default_headers"), lack)


class AsyncRouted(_Routing, AsyncOpenAI):
    """`Routed` whose calls are coroutines."""

    def __init__(
        self,
        providers: Providers,
        provider: str,
        options: Mapping[str, Any],
        changes: tuple[dict[str, Any], ...] = (),
        lack: ProviderError | None = None,
    ) -> None:
        AsyncOpenAI.__init__(self, **options)
        self._settle(providers, provider, changes, options.get("default_headers"), lack)
