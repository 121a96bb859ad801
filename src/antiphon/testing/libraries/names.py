"""The last net: names of hosts of models that are looked up by anything else, such as a websocket."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..interception import Interception

__all__ = ("patches",)


def patches(module: ModuleType, interception: Interception) -> Iterator[tuple[Any, str, Any]]:
    """`socket.getaddrinfo`, and that of event loops, which would ask it on a thread that knows no caller."""
    if module.__name__ == "socket":
        plain = module.getaddrinfo

        def getaddrinfo(host: Any, *args: Any, **options: Any) -> Any:
            interception.look_up(host, "socket")
            return plain(host, *args, **options)

        yield module, "getaddrinfo", getaddrinfo
        return
    owner: Any = module.BaseEventLoop
    awaited = owner.getaddrinfo

    async def agetaddrinfo(self: Any, host: Any, *args: Any, **options: Any) -> Any:
        interception.look_up(host, "asyncio")
        return await awaited(self, host, *args, **options)

    yield owner, "getaddrinfo", agetaddrinfo
