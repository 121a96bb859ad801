"""The two colours of a client, side by side: calls that block, and calls that are awaited."""

from __future__ import annotations

import os
from _thread import allocate_lock
from typing import TYPE_CHECKING, Any, ClassVar, Self

from ..kernel.flow import arun, run
from ..kernel.pages import AsyncPaginator, Fetch
from ..transports import async_transport, transport
from .base import ClientWorld
from .direct import AsyncDirect, Direct
from .flow import exchange
from .plan import Plan, plan_of

if TYPE_CHECKING:
    from ..kernel.flow import Flow
    from ..kernel.operation import AnyOperation
    from ..kernel.websocket import Dial
    from ..transports import AsyncTransport, Transport
    from .websockets.pumps import AsyncWebSocket, SyncWebSocket

__all__ = ("AsyncClient", "SyncClient")

_making = allocate_lock()


def _after_fork() -> None:
    global _making
    _making = allocate_lock()  # the thread that held it may not be here


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


class SyncClient(Direct):
    """Calls operations and waits for them."""

    _is_async: ClassVar[bool] = False

    def _call(self, operation: AnyOperation, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        plan = plan_of(operation, False)
        fetch = Fetch(self, operation, args, dict(kwargs)) if operation.paged else None
        bound = operation.bind(args, kwargs)
        after = None if plan.special is None else plan.special(self, bound)
        prepared = self._prepare(plan, bound)
        world = self._world
        response = run(exchange(prepared, self._token(operation), self.max_retries, self._hooks), world)
        result = self._finish(plan, prepared, response, bound.body, after)
        if fetch is not None and not isinstance(result, str):
            result._fetch = fetch
        return result

    def _drive(self, flow: Flow[Any]) -> Any:
        return run(flow, self._world)

    def _socket(self, dial: Dial) -> SyncWebSocket:
        from .websockets.pumps import SyncWebSocket

        return SyncWebSocket(self, dial)

    @property
    def transport(self) -> Transport:
        """What the requests are sent with. Made when the first one is."""
        with _making:
            made: Transport | None = self._transport
            if made is None:
                if self._closed:
                    raise RuntimeError("Cannot send a request: the client has been closed.")
                sender: Transport = self._sending(transport(self._given_transport))
                made = sender
                vars(self).update(_transport=made, _world=ClientWorld(made))
        return made

    def _shared_transport(self) -> Any:
        return self.transport

    def __getattr__(self, name: str) -> Any:
        if name == "_world":
            # The transport is made when the first request is sent.
            _ = self.transport
            return vars(self)["_world"]
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def is_closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    def close(self) -> None:
        """Close the connections. The client, and those copied from it, cannot be used any more."""
        made, attributes = self._to_close(), vars(self)
        attributes.update(_closed=True, _transport=None)
        attributes.pop("_world", None)
        if made is not None:
            made.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


class AsyncClient(AsyncDirect):
    """Calls operations as coroutines."""

    _is_async: ClassVar[bool] = True

    def _call(self, operation: AnyOperation, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if operation.paged:
            return AsyncPaginator(lambda: self._awaited(operation, args, dict(kwargs)).__await__())
        return self._awaited(operation, args, kwargs)

    async def _awaited(self, operation: AnyOperation, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        plan: Plan = plan_of(operation, True)
        fetch = Fetch(self, operation, args, dict(kwargs)) if operation.paged else None
        bound = operation.bind(args, kwargs)
        after = None if plan.special is None else plan.special(self, bound)
        prepared = self._prepare(plan, bound)
        world = self._world
        response = await arun(exchange(prepared, self._token(operation), self.max_retries, self._hooks), world)
        result = self._finish(plan, prepared, response, bound.body, after)
        if fetch is not None and not isinstance(result, str):
            result._fetch = fetch
        return result

    async def _drive(self, flow: Flow[Any]) -> Any:
        return await arun(flow, self._world)

    def _socket(self, dial: Dial) -> AsyncWebSocket:
        from .websockets.pumps import AsyncWebSocket

        return AsyncWebSocket(self, dial)

    @property
    def transport(self) -> AsyncTransport:
        """What the requests are sent with. Made when the first one is."""
        with _making:
            made: AsyncTransport | None = self._transport
            if made is None:
                if self._closed:
                    raise RuntimeError("Cannot send a request: the client has been closed.")
                sender: AsyncTransport = self._sending(async_transport(self._given_transport))
                made = sender
                vars(self).update(_transport=made, _world=ClientWorld(made))
        return made

    def _shared_transport(self) -> Any:
        return self.transport

    def __getattr__(self, name: str) -> Any:
        if name == "_world":
            # The transport is made when the first request is sent.
            _ = self.transport
            return vars(self)["_world"]
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def is_closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    async def close(self) -> None:
        """Close the connections. The client, and those copied from it, cannot be used any more."""
        made, attributes = self._to_close(), vars(self)
        attributes.update(_closed=True, _transport=None)
        attributes.pop("_world", None)
        if made is not None:
            await made.aclose()

    async def aclose(self) -> None:
        """The same as `close`."""
        await self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()
