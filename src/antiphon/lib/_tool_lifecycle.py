"""What a runner and a set of tools have in common: one call at a time, until they are closed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from threading import Lock
from typing import Any, Literal, TypedDict

__all__ = ("CloseStatus", "ToolLifecycle", "rotated_idempotency_headers", "with_cancelled")


class CloseStatus(TypedDict):
    """What closing came to: `draining` while a call is still under way."""

    status: Literal["closed", "draining"]


class ToolLifecycle:
    """Lets one call in at a time, from whatever thread, and none once it was closed."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = Lock()
        self._active = self._closed = False

    def enter(self) -> None:
        """A call begins. Raises `RuntimeError` where another has not ended, and after `close`."""
        with self._lock:
            if self._closed:
                raise RuntimeError(f"this {self._name} is closed")
            if self._active:
                raise RuntimeError(f"this {self._name} is busy: it has one call at a time")
            self._active = True

    def exit(self) -> None:
        """The call ended."""
        with self._lock:
            self._active = False

    @contextmanager
    def entered(self) -> Iterator[None]:
        """`enter`, and `exit` at the end of the block."""
        self.enter()
        try:
            yield
        finally:
            self.exit()

    def close(self) -> CloseStatus:
        """Let no more calls in. One that is under way goes on to its end."""
        with self._lock:
            self._closed = True
            return {"status": "draining" if self._active else "closed"}


def with_cancelled(handler: Callable[..., Any], args: tuple[Any, ...], cancelled: Any) -> dict[str, Any]:
    """`cancelled` as a keyword for a handler that has a parameter of that name, and nothing for any other."""
    from inspect import signature

    try:
        signed = signature(handler)
        parameter = signed.parameters.get("cancelled")
        taken = "cancelled" in signed.bind_partial(*args).arguments
    except (TypeError, ValueError):
        return {}
    named = parameter is not None and parameter.kind in (parameter.KEYWORD_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    return {"cancelled": cancelled} if named and not taken else {}


def rotated_idempotency_headers(client: Any, extra: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The headers of a request that follows another one: under an idempotency key of its own where one is sent.

    Attempts at one request share its key. The next request of a run is another one, and the server would answer it
    with the first one's response.
    """
    from uuid import uuid4

    from ..kernel.omit import Omit

    own = dict(extra or {})
    effective = {name.lower(): value for name, value in {**client._custom_headers, **own}.items()}
    effective.update((name.lower(), value) for name, value in own.items())
    key = effective.get("idempotency-key")
    if key is None or isinstance(key, Omit):
        return own if extra is not None else None
    rest = {name: value for name, value in own.items() if name.lower() != "idempotency-key"}
    return {**rest, "Idempotency-Key": f"antiphon-{uuid4()}"}
