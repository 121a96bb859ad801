"""Streams of typed events, as a call with `stream=True` gives them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

T = TypeVar("T")

__all__ = ("AsyncStream", "Stream")


class Stream(Generic[T]):
    """Events as they arrive."""

    if TYPE_CHECKING:

        def __iter__(self) -> Iterator[T]: ...
        def __next__(self) -> T: ...
        def __enter__(self) -> Self: ...
        def __exit__(self, *exc: Any) -> None: ...
        def close(self) -> None: ...


class AsyncStream(Generic[T]):
    """Events as they arrive."""

    if TYPE_CHECKING:

        def __aiter__(self) -> AsyncIterator[T]: ...
        async def __anext__(self) -> T: ...
        async def __aenter__(self) -> Self: ...
        async def __aexit__(self, *exc: Any) -> None: ...
        async def close(self) -> None: ...
