"""Our own transport over the network."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ...fake.door import host_of

if TYPE_CHECKING:
    from ...kernel.http import Request, Response
    from ..interception import Interception

__all__ = ("patches",)


def patches(module: ModuleType, interception: Interception) -> Iterator[tuple[Any, str, Any]]:
    """`NetworkTransport`, blocking and async."""
    owner: Any = module.NetworkTransport
    send, asend = owner.send, owner.asend

    def sent(self: Any, request: Request, timeout: Any, stream: bool) -> Response:
        there = interception.route(host_of(request.origin), f"{request.method} {request.url}", "antiphon")
        response: Response = (
            send(self, request, timeout, stream) if there is None else there.send(request, timeout, stream)
        )
        return response

    async def asent(self: Any, request: Request, timeout: Any, stream: bool) -> Response:
        there = interception.route(host_of(request.origin), f"{request.method} {request.url}", "antiphon")
        if there is not None:
            return await there.asend(request, timeout, stream)
        response: Response = await asend(self, request, timeout, stream)
        return response

    yield owner, "send", sent
    yield owner, "asend", asent
