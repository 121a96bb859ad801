"""`lib.azure`: our clients of Azure, asked as the suite asks."""

from __future__ import annotations

from typing import Any

import antiphon.client.azure
from antiphon.client.azure import _DEPLOYED, AzureADTokenProvider, MutuallyExclusiveAuthError
from antiphon.client.websockets.address import address, credential
from antiphon.kernel.flow import arun, run
from antiphon.kernel.websocket import Dial
from shim.client import Address, AsyncOpenAI, OpenAI, _Expected

__all__ = (
    "API_KEY_SENTINEL",
    "AsyncAzureOpenAI",
    "AzureADTokenProvider",
    "AzureOpenAI",
    "MutuallyExclusiveAuthError",
)

API_KEY_SENTINEL = "<no key>"
"""What the official client has for a key when there is none. Ours has nothing."""
_deployments_endpoints = _DEPLOYED


def _dial(model: str, query: Any) -> Dial:
    return Dial("/realtime", {"model": model}, {}, {}, {}, query, {}, None, 0, 0, 0, 0)


def _known(made: Any) -> Any:
    headers = {name: value for name, value in made.headers.items() if name.lower() in ("authorization", "api-key")}
    return Address(made.url), headers


def _configure_realtime(client: Any, model: str, query: Any) -> Any:
    """Where a realtime connection goes and with which key."""
    dial = _dial(model, query)
    found = credential(client, dial, {})
    if not client._is_async:
        auth = None if found is None else (found.header, run(found.value(), client._world))
        return _known(address(client, dial, query, {}, auth))

    async def configure() -> Any:
        auth = None if found is None else (found.header, await arun(found.value(), client._world))
        return _known(address(client, dial, query, {}, auth))

    return configure()


# Also of the client behind the package, which is not one of those below.
antiphon.client.azure._Azure._configure_realtime = _configure_realtime  # type: ignore[attr-defined]


class _Azure(_Expected):
    def __init__(self, **settings: Any) -> None:
        if settings.get("api_key") == API_KEY_SENTINEL:
            del settings["api_key"]
        super().__init__(**settings)

    def _prepare_url(self, path: str) -> Address:
        origin, place = self._place(path, None)  # type: ignore[attr-defined]
        return Address(origin + place)


class _Known(type):
    """Whatever is one of our clients of Azure is one of these."""

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, next(each for each in cls.__mro__ if each.__module__ == "antiphon.client.azure"))


class AzureOpenAI(_Azure, antiphon.client.azure.AzureOpenAI, metaclass=_Known):
    _sender = staticmethod(OpenAI._sender)


class AsyncAzureOpenAI(_Azure, antiphon.client.azure.AsyncAzureOpenAI, metaclass=_Known):
    _sender = staticmethod(AsyncOpenAI._sender)
