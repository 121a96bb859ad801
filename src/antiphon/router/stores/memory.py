"""A store in the process."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from time import time
from typing import Any, Final

__all__ = ("MemoryStore",)

_SWEEP: Final = 1024
"""After so many writes what nobody has asked for is looked through."""


class MemoryStore:
    """A store in the memory of one process, gone when that ends.

    It keeps `limit` values; the one that was not used for longest leaves first. Counters stay until their time is
    over. `clock` gives seconds. One of several workers does not see what the others keep: see `SQLiteStore`.
    """

    def __init__(self, *, limit: int | None = 100_000, clock: Callable[[], float] = time) -> None:
        if limit is not None and limit < 1:
            raise ValueError(f"limit is at least 1, or None for no limit; it was {limit}")
        self.limit = limit
        self._clock = clock
        self._values: OrderedDict[str, tuple[bytes, float | None]] = OrderedDict()
        self._counters: dict[str, tuple[dict[str, float], float | None]] = {}
        self._claims: dict[str, tuple[str, float]] = {}
        self._writes = 0

    async def get(self, key: str) -> bytes | None:
        """See `Store`."""
        found = self._values.get(key)
        if found is None or self._over(found[1]):
            return None
        self._values.move_to_end(key)
        return found[0]

    async def set(self, key: str, value: bytes, seconds: float | None = None) -> None:
        """See `Store`."""
        self._wrote()
        self._values[key] = (value, self._until(seconds))
        self._values.move_to_end(key)
        if self.limit is not None and len(self._values) > self.limit:
            self._values.popitem(last=False)

    async def delete(self, key: str) -> None:
        """See `Store`."""
        self._values.pop(key, None)
        self._counters.pop(key, None)

    async def keys(self, prefix: str) -> list[str]:
        """See `Store`."""
        return sorted(
            key for key, (_, until) in self._values.items() if key.startswith(prefix) and not self._over(until)
        )

    async def add(self, key: str, amounts: Mapping[str, float], seconds: float | None = None) -> dict[str, float]:
        """See `Store`."""
        counters, until = self._counters.get(key, ({}, None))
        if self._over(until):
            del self._counters[key]
            counters = {}
        if amounts:
            self._wrote()
            if not counters:
                until = self._until(seconds)
            self._counters[key] = counters, until
            for name, amount in amounts.items():
                counters[name] = counters.get(name, 0.0) + amount
        return dict(counters)

    async def claim(self, key: str, owner: str, seconds: float) -> bool:
        """See `Store`."""
        held = self._claims.get(key)
        if held is not None and held[0] != owner and not self._over(held[1]):
            return False
        self._wrote()
        self._claims[key] = (owner, self._clock() + seconds)
        return True

    async def release(self, key: str, owner: str) -> None:
        """See `Store`."""
        if self._claims.get(key, ("",))[0] == owner:
            del self._claims[key]

    def _until(self, seconds: float | None) -> float | None:
        return None if seconds is None else self._clock() + seconds

    def _over(self, until: float | None) -> bool:
        return until is not None and until <= self._clock()

    def _wrote(self) -> None:
        self._writes += 1
        if not self._writes % _SWEEP:
            kinds: tuple[dict[str, Any], ...] = (self._values, self._counters, self._claims)
            for kept in kinds:
                for key in [key for key, (_, until) in kept.items() if self._over(until)]:
                    del kept[key]
