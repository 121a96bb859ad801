"""Whether a gateway lives, and whether its models can be asked: for whoever restarts it or sends it requests.

    /health/live    (or /healthz)   200: it answers
    /health/ready   (or /readyz)    200: its models can be asked; 503: they cannot, or not all

Nobody needs a key for these, so they name models only where nobody needs one for anything.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from ..kernel.flow import Await, arun
from ..kernel.http import json_response

if TYPE_CHECKING:
    from ..kernel.flow import Flow
    from ..kernel.http import Handler, Request, Response
    from .app import Gateway
    from .backends import Backend

__all__ = ("pages",)

PATIENCE: Final = 3.0
"""How many seconds a model has to say that it is ready."""


def pages(gateway: Gateway) -> dict[str, Handler]:
    """The pages about a gateway's health, by their paths."""

    def live(request: Request) -> Response:
        return json_response(200, {"status": "live"})

    def ready(request: Request) -> Flow[Response]:
        return _ready(gateway)

    return {"/health/live": live, "/healthz": live, "/health/ready": ready, "/readyz": ready}


def _ready(gateway: Gateway) -> Flow[Response]:
    yield from gateway.discovery.refreshed()
    backends = dict(gateway.backends)
    said: list[bool] = yield Await(_asked(gateway, list(backends.values())))
    every = gateway.config.ready == "all"
    ready = (all(said) if every else any(said)) and not gateway.closed
    told: dict[str, Any] = {"status": "ready" if ready else "not ready"}
    if gateway.keys.open:
        told["models"] = dict(zip(backends, said, strict=True))
    return json_response(200 if ready else 503, told)


async def _asked(gateway: Gateway, backends: list[Backend]) -> list[bool]:
    """Whether each can be asked, all of them at a time."""

    async def one(backend: Backend) -> bool:
        try:
            return await asyncio.wait_for(arun(backend.ready(), gateway.world), PATIENCE)
        except Exception:  # whatever it is, it is not ready
            return False

    return list(await asyncio.gather(*map(one, backends)))
