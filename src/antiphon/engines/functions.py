"""Engines made of functions.

    def answer(request: ChatRequest) -> str: ...                     a function; it may block
    async def answer(request): ...                                   a coroutine function
    def answer(request): yield "Hello"; yield " world"               a generator of pieces; it may block between them
    async def answer(request): yield "Hello"; …                      an asynchronous generator

A function may answer, and a generator may yield:

    a str                          text
    a piece of `server.turns`      that piece; a generator is sent the list of the items of a use of a tool
    a step of `kernel.flow`        it is done, and its result is sent back into the generator
    a dict with "choices"          a whole chat completion, passed through as it is
    a dict with "output"           a whole Response, likewise
    a dict with "role", "content", "tool_calls" or "refusal"      the assistant's message, or a part of it
    a dict with "function", or with "name" and "arguments"        a call of a tool
    a list of any of these; an object with `to_dict()` (a view, a model of the official SDK); None, for nothing

and it may raise `APIStatusError.because(...)`, which is sent as its envelope.
Functions that are not asynchronous run as `Call` steps: on a thread of their own where the server runs in an
event loop. `never_blocks` marks one that is quick enough to be called in place.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterable, Iterator, Mapping
from inspect import isasyncgenfunction, iscoroutinefunction, isgeneratorfunction
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar, cast

from ..kernel.flow import Await, Call, Step
from ..server.renderings.chat import completion_pieces, message_pieces
from ..server.renderings.chunks import chunks
from ..server.turns import PIECES, TOOL_USES, Whole
from .default import Default
from .text import Echo, LoremIpsum, ReverseInput

if TYPE_CHECKING:
    from ..server.engine import ChatEngine, ChatRequest
    from ..server.turns import Turn

__all__ = ("BUILT_IN", "Function", "Saying", "engine", "never_blocks")

F = TypeVar("F", bound=Callable[..., Any])

BUILT_IN: Final[dict[str, Callable[[int | str], ChatEngine]]] = {
    "default": lambda seed: Default(seed=seed),
    "lorem": LoremIpsum,
    "echo": lambda seed: Echo(),
    "reverse": lambda seed: ReverseInput(),
}
"""The engines that have a name, each made from a seed."""

_END: Final = object()


def never_blocks(function: F) -> F:
    """Mark a function as an engine that may be called in place, since it neither blocks nor takes long."""
    function.never_blocks = True  # type: ignore[attr-defined]
    return function


def engine(source: Any = None, *, seed: int | str = 0) -> ChatEngine:
    """The engine that `source` stands for: an engine, a function, the name of a built-in one, or none for the default.

    Raises `ValueError` for a name there is no engine of, `TypeError` for something that cannot be one.
    """
    if source is None:
        return Default(seed=seed)
    if isinstance(source, str):
        make = BUILT_IN.get(source)
        if make is None:
            raise ValueError(f"there is no engine named {source!r}; there are {', '.join(BUILT_IN)}")
        return make(seed)
    if not callable(source):
        raise TypeError(f"an engine is a function of a request, or the name of one, not {source!r}")
    if getattr(source, "never_blocks", False):
        return cast("ChatEngine", source)
    return Function(source)


class Function:
    """A function as an engine."""

    never_blocks: ClassVar[bool] = True

    def __init__(self, function: Callable[[ChatRequest], Any]) -> None:
        self.function = function
        called = function if hasattr(function, "__code__") else getattr(function, "__call__", function)  # noqa: B004
        # Calling these runs nothing of their body yet.
        self._lazy = isasyncgenfunction(called) or isgeneratorfunction(called) or iscoroutinefunction(called)

    def __call__(self, request: ChatRequest) -> Generator[Any, Any, None]:
        result: Any
        if self._lazy:
            result = self.function(request)
        else:
            result = yield Call(self.function, request)
        yield from _said(result, request)

    def __repr__(self) -> str:
        return f"Function({getattr(self.function, '__name__', self.function)!r})"


class Saying:
    """An engine that says one thing whatever it is asked: anything that a function may answer.

    Raises `TypeError` for what cannot be said.
    """

    never_blocks: ClassVar[bool] = True

    def __init__(self, value: Any) -> None:
        from ..server.engine import ChatRequest

        self.value = value
        if not isinstance(value, str):
            for _ in _said(value, ChatRequest("", ())):
                pass

    def __call__(self, request: ChatRequest) -> Turn:
        value = self.value
        return value if value.__class__ is str else _said(value, request)

    def __repr__(self) -> str:
        return f"Saying({self.value!r})"


def _said(value: Any, request: ChatRequest) -> Generator[Any, Any, None]:
    """What a function answered, as pieces and steps."""
    if isinstance(value, Awaitable):
        value = yield Await(value)
    if isinstance(value, str) and not isinstance(value, PIECES):
        yield from chunks(value) if request.stream else (value,)
    elif hasattr(value, "__anext__") or hasattr(value, "__aiter__"):
        yield from _asynchronous(value, request)
    elif isinstance(value, Iterator):
        yield from _blocking(value, request)
    elif isinstance(value, list):
        for item in value:
            yield from _item(item, request)
    else:
        yield from _item(value, request)


def _asynchronous(source: Any, request: ChatRequest) -> Generator[Any, Any, None]:
    # Where the caller goes away in the middle, nothing can be awaited any more: what is left of the generator
    # is finished by the hooks of its event loop.
    pieces: AsyncIterator[Any] = source.__aiter__()
    sent: Any = None
    while True:
        piece = yield Await(anext(pieces, _END) if sent is None else _asent(pieces, sent))
        if piece is _END:
            return
        sent = None
        if isinstance(piece, TOOL_USES):
            items = yield piece
            sent = (items or []) if hasattr(pieces, "asend") else None
        else:
            yield from _item(piece, request)


async def _asent(pieces: Any, sent: Any) -> Any:
    try:
        return await pieces.asend(sent)
    except StopAsyncIteration:
        return _END


def _blocking(pieces: Iterator[Any], request: ChatRequest) -> Generator[Any, Any, None]:
    step: Step[Any] = Call(_advance, pieces, None)
    try:
        while True:
            piece = yield step
            if piece is _END:
                return
            if isinstance(piece, Step):
                try:
                    result = yield piece
                except Exception as error:
                    step = Call(_throw, pieces, error)
                else:
                    step = Call(_advance, pieces, result)
            elif isinstance(piece, TOOL_USES):
                items = yield piece
                step = Call(_advance, pieces, (items or []) if hasattr(pieces, "send") else None)
            else:
                yield from _item(piece, request)
                step = Call(_advance, pieces, None)
    finally:
        close = getattr(pieces, "close", None)
        if close is not None:
            close()


def _advance(pieces: Any, sent: Any) -> Any:
    try:
        return next(pieces) if sent is None else pieces.send(sent)
    except StopIteration:
        return _END


def _throw(pieces: Any, error: BaseException) -> Any:
    throw = getattr(pieces, "throw", None)
    if throw is None:
        raise error
    try:
        return throw(error)
    except StopIteration:
        return _END


def _item(value: Any, request: ChatRequest) -> Iterator[Any]:
    """One thing a function said, as pieces and steps."""
    if value is None:
        return
    if isinstance(value, (str, *PIECES, Step)):
        yield value
        return
    if not isinstance(value, Mapping) and hasattr(value, "to_dict"):
        value = value.to_dict()
    if isinstance(value, Mapping):
        for keys, read in _SHAPES:
            if any(key in value for key in keys):
                yield from read(dict(value), request)
                return
    raise TypeError(
        "an engine's function answers a str, a message, a list of tool calls, a whole chat completion or pieces of "
        f"antiphon.server.turns, not {value!r}"
    )


def _completion(body: dict[str, Any], request: ChatRequest) -> Iterable[Any]:
    alone = request.body.get("n") in (None, 1)
    if request.dialect == "chat" and alone and not request.stream:
        return (Whole(body),)
    return completion_pieces(body)


def _response(body: dict[str, Any], request: ChatRequest) -> Iterable[Any]:
    from ..server.renderings.responses import response_pieces

    if request.dialect == "responses" and not request.stream:
        return (Whole(body),)
    return response_pieces(body)


def _message(message: dict[str, Any], request: ChatRequest) -> Iterator[Any]:
    for piece in message_pieces(message):
        if isinstance(piece, str) and request.stream:
            yield from chunks(piece)
        else:
            yield piece


def _called(call: dict[str, Any], request: ChatRequest) -> Iterable[Any]:
    if "function" not in call and "custom" not in call:
        call = {"id": call.get("id") or call.get("call_id"), "function": call}
    return message_pieces({"tool_calls": [call]})


_SHAPES: Final[tuple[tuple[tuple[str, ...], Callable[[dict[str, Any], Any], Iterable[Any]]], ...]] = (
    (("choices",), _completion),
    (("output",), _response),
    (("function", "custom"), _called),
    (("role", "content", "tool_calls", "refusal", "function_call"), _message),
    (("name",), _called),
)
"""Dicts are told apart by the first row of which they have a key."""
