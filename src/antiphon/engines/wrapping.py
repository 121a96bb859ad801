"""What the engines that are made of a function have in common: what counts as one, and how it is called."""

from __future__ import annotations

from inspect import isawaitable, iscoroutinefunction, isgeneratorfunction, signature
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from ..kernel.flow import Await, Call

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..kernel.flow import Flow

__all__ = ("Later", "Wrapped", "wrapped")

EngineT = TypeVar("EngineT")


class Wrapped:
    """An engine made of a function, which may block or be async.

    A function whose first parameter is named `request` gets the whole request, any other the one thing it is about.
    """

    never_blocks: ClassVar[bool] = True

    def __init__(self, function: Callable[..., Any], *, blocks: bool = True) -> None:
        """`blocks`: whether the function may take long, so that it has to run on a thread of its own."""
        self.function = function
        self._in_thread = blocks and not iscoroutinefunction(function)
        self._parameters = _parameters(function)
        self._takes_request = self._parameters[:1] == ["request"]

    def _asked(self, request: Any, subject: Any, **options: Any) -> Flow[Any]:
        """What the function answers, once it is there."""
        given = request if self._takes_request else subject
        found = (yield Call(self.function, given, **options)) if self._in_thread else self.function(given, **options)
        return (yield Await(found)) if isawaitable(found) else found

    def __repr__(self) -> str:
        return f"{type(self).__name__}({getattr(self.function, '__name__', self.function)!r})"


class Later:
    """An engine that is not made, and whose module is not loaded, before it is asked for the first time."""

    never_blocks: ClassVar[bool] = True

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._made: Any = None

    def __call__(self, request: Any) -> Any:
        if self._made is None:
            self._made = self._make()
        return self._made(request)

    def __repr__(self) -> str:
        made = self._made
        if made is None:
            return f"Later({self._make!r})"
        kind: Any = type(made)
        # Where it lies in memory tells nobody anything.
        return str(kind.__name__) if kind.__repr__ is object.__repr__ else repr(made)


def _parameters(function: Callable[..., object]) -> list[str]:
    """The names of a function's parameters; none for a function that does not say."""
    try:
        return list(signature(function).parameters)
    except (TypeError, ValueError):  # some functions written in C
        return []


def wrapped(source: Any, make: Callable[[Any], EngineT], expected: str) -> EngineT:
    """`source` where it is an engine itself (it says `never_blocks`, or yields steps), or what `make` makes of it.

    Raises `TypeError`, which says what was `expected`, for what cannot be called.
    """
    if not callable(source):
        raise TypeError(f"{expected}, not {source!r}")
    function: Any = source
    if getattr(function, "never_blocks", False) or isgeneratorfunction(function):
        engine: EngineT = function
        return engine
    return make(function)
