"""What a store is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

__all__ = ("Store", "key")


class Store(Protocol):
    """Values, counters and claims by key, which are forgotten after some seconds where those are given.

    Keys are printable ASCII, their parts parted by `/`. The three kinds do not see each other. Each method is whole:
    whoever asks at the same time, on another task, thread, process or machine, finds all of what it did or nothing.
    That is all that is asked of Redis (GET, SET EX, DEL, HINCRBYFLOAT, SET NX PX), of a database, or of a dict.
    """

    async def get(self, key: str) -> bytes | None:
        """The value; `None` where there is none, or no more."""
        ...

    async def set(self, key: str, value: bytes, seconds: float | None = None) -> None:
        """Keep a value, in place of any other, for so many seconds."""
        ...

    async def delete(self, key: str) -> None:
        """Forget the value and the counters of a key, where there are any."""
        ...

    async def keys(self, prefix: str) -> list[str]:
        """The keys of values that begin so, in order."""
        ...

    async def add(self, key: str, amounts: Mapping[str, float], seconds: float | None = None) -> dict[str, float]:
        """Add to the counters of a key, by name, and give all of its counters; without amounts, look at them.

        Counters that are not there are 0. `seconds` counts from the first amount of a key.
        """
        ...

    async def claim(self, key: str, owner: str, seconds: float) -> bool:
        """Take a key for its owner alone, or hold it for longer; whether it is the owner's now.

        A key is free that nobody holds, or that its owner has not claimed again within the seconds given.
        """
        ...

    async def release(self, key: str, owner: str) -> None:
        """Let go of a claim; nothing where it is somebody else's."""
        ...


def key(*parts: str) -> str:
    """A key of a store, of any texts."""
    from urllib.parse import quote

    return "/".join(quote(part, safe="", errors="surrogatepass") for part in parts)
