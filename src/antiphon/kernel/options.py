"""The options every operation takes beside its own parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from .omit import NotGiven, Omit, not_given

__all__ = ("Body", "Headers", "Query", "Timeout")

Headers: TypeAlias = Mapping[str, str | Omit]
"""`extra_headers`: added to the request's own. `omit` leaves one of the client's headers out."""
Query: TypeAlias = Mapping[str, object]
"""`extra_query`: added to the parameters of the address."""
Body: TypeAlias = object
"""`extra_body`: a mapping is merged into the body, anything else takes its place."""


class Timeout:
    """How long to wait, in seconds, for each part of an exchange; `None` waits for ever.

    `Timeout(600, connect=5.0)` waits 5 seconds for a connection and 600 for everything else.
    """

    __slots__ = ("connect", "pool", "read", "write")
    connect: float | None
    """For a connection to be made."""
    read: float | None
    """For the next piece of the answer."""
    write: float | None
    """For the next piece of the request to be taken."""
    pool: float | None
    """For a connection of the pool to be free."""

    def __init__(
        self,
        timeout: float | Timeout | NotGiven | None = not_given,
        *,
        connect: float | NotGiven | None = not_given,
        read: float | NotGiven | None = not_given,
        write: float | NotGiven | None = not_given,
        pool: float | NotGiven | None = not_given,
    ) -> None:
        """`timeout` stands for each that is not given by itself. Raises `TypeError` when one is given neither way."""
        for name, given in (("connect", connect), ("read", read), ("write", write), ("pool", pool)):
            value = given
            if isinstance(value, NotGiven):
                value = getattr(timeout, name) if isinstance(timeout, Timeout) else timeout
            if isinstance(value, NotGiven):
                raise TypeError(
                    f"Timeout() needs a default or all four of connect, read, write and pool; {name} is missing"
                )
            object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("a Timeout is not changed; make another")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Timeout):
            return NotImplemented
        return self._values() == other._values()

    def __hash__(self) -> int:
        return hash(self._values())

    def __repr__(self) -> str:
        connect, read, write, pool = self._values()
        if connect == read == write == pool:
            return f"Timeout({connect})"
        return f"Timeout(connect={connect}, read={read}, write={write}, pool={pool})"

    def __reduce__(self) -> tuple[object, ...]:
        return _timeout, self._values()

    def _values(self) -> tuple[float | None, float | None, float | None, float | None]:
        return self.connect, self.read, self.write, self.pool


def _timeout(connect: float | None, read: float | None, write: float | None, pool: float | None) -> Timeout:
    return Timeout(connect=connect, read=read, write=write, pool=pool)
