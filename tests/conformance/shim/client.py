"""`openai` itself: the names of `antiphon`, with clients that do what the suite takes for granted.

- They send with our own transport over the network, but with httpx2 while the suite mocks that.
- They send `X-Stainless-Lang`, which half of the cases look for in the request; ours leave it out
  (docs/decisions/0008).
- They take `_strict_response_validation`, a private argument. What it would check, `matching` checks.
"""

from __future__ import annotations

import sys
from functools import wraps
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

import antiphon
import antiphon as _ours
import antiphon.client.module
from antiphon.client.base import BaseClient
from antiphon.client.flow import may_retry
from antiphon.transports import async_transport, transport

from . import private
from . import responses as _responses  # the package has a resource of this name


def _mocked() -> bool:
    from tests.respx2.mocks import Mocker

    return any(mocker.routers for mocker in Mocker.registry.values())


class _Sender:
    """Our transport, or httpx2 where that is mocked."""

    def __init__(self, make: Any, library_client: Any) -> None:
        self._make, self._library_client = make, library_client
        self._made: dict[bool, Any] = {}

    def _current(self) -> Any:
        mocked = _mocked()
        if mocked not in self._made:
            self._made[mocked] = self._make(self._library_client() if mocked else None)
        return self._made[mocked]

    def like(self, *, follow_redirects: bool) -> Any:
        return self._current().like(follow_redirects=follow_redirects)


class _SyncSender(_Sender):
    def send(self, request: Any, timeout: Any, stream: bool) -> Any:
        return self._current().send(request, timeout, stream)

    def close(self) -> None:
        for made in self._made.values():
            made.close()


class _AsyncSender(_Sender):
    async def asend(self, request: Any, timeout: Any, stream: bool) -> Any:
        return await self._current().asend(request, timeout, stream)

    async def aclose(self) -> None:
        for made in self._made.values():
            await made.aclose()


class Address(str):
    """An address as the suite looks at it: text with the parts a URL of httpx2 has."""

    __slots__ = ()

    @property
    def host(self) -> str:
        return urlsplit(self).hostname or ""

    @property
    def path(self) -> str:
        return urlsplit(self).path


class _Expected:
    """What the suite takes for granted of a client."""

    _sender: Any

    @property
    def _client(self) -> Any:
        return self._given_transport  # type: ignore[attr-defined]

    @property
    def base_url(self) -> Any:
        return Address(super().base_url)  # type: ignore[misc]

    @base_url.setter
    def base_url(self, url: Any) -> None:
        BaseClient.base_url.fset(self, url)  # type: ignore[attr-defined]

    @property
    def _provider(self) -> Any:
        return self._cloud  # type: ignore[attr-defined]

    def _prepare_options(self, options: Any) -> Any:
        return options

    def __init__(self, *, _strict_response_validation: bool = False, **settings: Any) -> None:
        if settings.get("http_client") is None and settings.get("transport") is None:
            settings["transport"] = self._sender()
        self._strict_response_validation = _strict_response_validation
        super().__init__(**settings)

    @property
    def default_headers(self) -> Any:
        headers = super().default_headers  # type: ignore[misc]
        headers.setdefault("x-stainless-lang", "python")
        return headers

    # What the suite asks of the official client's insides, said with ours.

    def _build_request(self, options: Any, **ignored: Any) -> Any:
        return private.build_request(self, options)

    def _calculate_retry_timeout(self, remaining: int, options: Any, headers: Any = None) -> float:
        return private.BaseClient._calculate_retry_timeout(self, remaining, options, headers)  # type: ignore[arg-type]

    def _should_retry(self, response: Any) -> bool:
        return may_retry(_responses.ours(response))


class OpenAI(_Expected, antiphon.OpenAI):
    @wraps(antiphon.OpenAI.__init__)
    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)

    @staticmethod
    def _sender() -> Any:
        return _SyncSender(transport, antiphon.DefaultHttpx2Client)


class AsyncOpenAI(_Expected, antiphon.AsyncOpenAI):
    @wraps(antiphon.AsyncOpenAI.__init__)
    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)

    @staticmethod
    def _sender() -> Any:
        return _AsyncSender(async_transport, antiphon.DefaultAsyncHttpx2Client)


Client, AsyncClient = OpenAI, AsyncOpenAI


_SETTINGS = frozenset(
    "api_key admin_api_key organization project webhook_secret base_url timeout max_retries default_headers "
    "default_query http_client api_type api_version azure_endpoint azure_ad_token azure_ad_token_provider "
    "bedrock_token_provider".split()
)


class _Package(ModuleType):
    """The module, whose settings are those of our package."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _SETTINGS:
            setattr(_ours, name, value)
        else:
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def _client_of(proxy: Any) -> Any:
    """The client behind a resource of the package, with the settings of this moment."""
    client = antiphon.client.module.load()
    client.__dict__.setdefault("_client", client._given_transport)
    return client


antiphon.client.module._Proxy._client = property(_client_of)  # type: ignore[attr-defined]


def __getattr__(name: str) -> Any:
    if name in ("AzureOpenAI", "AsyncAzureOpenAI"):
        from . import azure

        return getattr(azure, name)
    return getattr(_ours, name)
