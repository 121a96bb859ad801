"""Requests that are passed on as they are: counted like others, and given to another model where one fails."""

from __future__ import annotations

from types import GeneratorType
from typing import TYPE_CHECKING, Any

import orjson

from ..kernel.errors import APIStatusError
from .fallbacks import may_fall_back

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..kernel.flow import Flow
    from ..kernel.http import Handler, Request, Response
    from .backends import Backend
    from .observing import Observer

__all__ = ("Forwarding",)


class Forwarding:
    """Passes a request on to the backend it is for, and to its fallbacks; `handler` has those that speak otherwise."""

    def __init__(self, backends: Mapping[str, Backend], observer: Observer | None) -> None:
        self.backends = backends
        self.observer = observer

    def __call__(
        self, backend: Backend, path: str, request: Request, body: dict[str, Any] | None, handler: Handler
    ) -> Flow[Response]:
        if body is None or not backend.config.fallbacks:
            return self._forwarded(backend, path, request, body)
        return self._first_that_answers(backend, path, request, body, handler)

    def _forwarded(self, backend: Backend, path: str, request: Request, body: dict[str, Any] | None) -> Flow[Response]:
        if self.observer is None:
            return backend.forward(path, request, body)
        return self.observer.passed(backend, path, request, body)

    def _first_that_answers(
        self, backend: Backend, path: str, request: Request, body: dict[str, Any], handler: Handler
    ) -> Flow[Response]:
        first: APIStatusError | Response | None = None
        for name in (backend.config.name, *backend.config.fallbacks):
            other = self.backends.get(name)
            if other is None:
                continue
            asked: Any
            if other is backend:
                asked = self._forwarded(backend, path, request, body)
            else:
                if self.observer is not None:
                    self.observer.meters(backend.config).fell_back(name)
                changed = {**body, "model": name}
                again = request._replace(body=orjson.dumps(changed))
                asked = self._forwarded(other, path, again, changed) if other.passes(path) else handler(again)
            try:
                answer: Response = (yield from asked) if isinstance(asked, GeneratorType) else asked
            except APIStatusError as error:
                if not may_fall_back(error.status_code):
                    raise
                first = first or error
            else:
                if not may_fall_back(answer.status):
                    return answer
                first = first or answer
        if isinstance(first, APIStatusError):
            raise first
        assert first is not None
        return first
