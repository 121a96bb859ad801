"""What `provider=` takes: who gives the address and the proof of who is asking, in place of a key."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from ...kernel.errors import OpenAIError
from ...kernel.flow import Step, World
from ..credentials import Credential

if TYPE_CHECKING:
    from collections.abc import Callable

    from ...kernel.flow import Flow
    from ...kernel.http import Request

__all__ = ("CloudProvider", "Route", "Signer", "Token", "origin", "route_of")

_PORTS = {"http": 80, "https": 443}


class Signer(Credential):
    """Proves each attempt as a whole, when it is about to be sent."""

    header = ""
    signs = True

    def value(self) -> Flow[str | None]:
        # Only a connection asks for a header; an attempt is proved as a whole.
        raise OpenAIError("A cloud's credentials are not supported by WebSocket connections")
        yield  # type: ignore[unreachable]

    def signed(self, request: Request, timeout: Any) -> Flow[Request]:
        """The attempt as it is sent."""
        raise NotImplementedError


class Route(NamedTuple):
    """Where a provider leads one client."""

    base_url: str
    signer: Signer
    follows: bool
    """Whether redirects are followed."""
    region: str | None = None


class CloudProvider:
    """A cloud that serves the API, as `bedrock(...)` and `vertex(...)` make it. One may serve many clients."""

    __slots__ = ("__weakref__",)
    name: str

    def _route(self) -> Route:
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"<provider {self.name}>"


def route_of(provider: object, beside: Mapping[str, object], data_residency: object) -> Route:
    """Where a client goes. `beside` are the arguments that a provider takes the place of."""
    if not isinstance(provider, CloudProvider):
        raise OpenAIError(
            f"`provider` is made by a function of antiphon.providers, such as bedrock(...) or vertex(...); it was of "
            f"type {type(provider).__name__}"
        )
    if data_residency is not None:
        raise OpenAIError("`data_residency` is an address of OpenAI: it is given without `provider`")
    given = [f"`{name}`" for name, value in beside.items() if value is not None]
    if given:
        raise OpenAIError(
            f"`provider` says where to go and who is asking: it is given without {', '.join(given)}, which belongs "
            f"into `{provider.name}(...)`"
        )
    return provider._route()


def origin(url: str) -> tuple[str, str | None, int | None]:
    """Scheme, host and port of an address."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or _PORTS.get(parts.scheme)


class Token(Step[Any]):
    """Ask a function of the user's for a token. In an event loop it may be a coroutine function."""

    __slots__ = ("complaint", "function")

    def __init__(self, function: Callable[[], Any], complaint: str) -> None:
        self.function, self.complaint = function, complaint

    def perform(self, world: World) -> Any:
        token = self.function()
        if inspect.isawaitable(token):
            if inspect.iscoroutine(token):
                token.close()
            raise OpenAIError(self.complaint)
        return token

    async def aperform(self, world: World) -> Any:
        token = self.function()
        return await token if inspect.isawaitable(token) else token
