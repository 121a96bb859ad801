"""A websocket as a server sees it: messages in, messages out, and no socket.

A handler that has websockets has a method `dialogue(request)`, which is asked with the opening handshake and answers a
`Dialogue`, or a response that refuses it. Each message that is heard begins a turn: pieces as in a streamed body, each
a message of its own, and steps between them. Turns of one lane follow each other, those of different lanes overlap.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Generator, Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

from .flow import Step, aiterate, iterate, through

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Task

    from .flow import World
    from .http import Request, Response

__all__ = ("Conversation", "Dialogue", "Goodbye", "Speaks", "Turn", "Unasked", "converse", "messages_of")


class Goodbye(Exception):
    """Raised by a turn when all is said: the connection is closed, in order."""


class Turn(NamedTuple):
    """What a server says to something."""

    lane: str
    said: Iterable[bytes | Step[Any]]


class Dialogue(Protocol):
    """One connection."""

    def begun(self) -> Turn | None:
        """What is said before anything is heard."""
        ...

    def heard(self, message: bytes) -> Turn | None:
        """What is said to a message. Raises nothing: what is wrong with it is said."""
        ...

    def ended(self) -> None:
        """The connection is closed."""
        ...


@runtime_checkable
class Unasked(Protocol):
    """A dialogue that also says what nobody has asked in it, such as what goes on in another."""

    def may_speak(self, speak: Callable[[Turn], None]) -> None:
        """Before `begun`: how to say something, at any time and in any thread, until the connection is closed."""
        ...


@runtime_checkable
class Speaks(Protocol):
    """A handler that has websockets."""

    def dialogue(self, request: Request) -> Dialogue | Response: ...


async def converse(
    dialogue: Dialogue,
    world: World,
    receive: Callable[[], Awaitable[bytes | None]],
    send: Callable[[bytes], Awaitable[Any]],
) -> None:
    """Hold a dialogue in the running event loop until it says goodbye, `receive` gives `None`, or either raises."""
    import asyncio  # by now it is there: in process nothing needs it

    lanes: dict[str, deque[Turn]] = {}
    tasks: set[Task[None]] = set()

    async def speak(waiting: deque[Turn]) -> None:
        # The turn stays in its lane while it lasts: that is how the lane is known to be taken.
        while waiting:
            async for message in aiterate(waiting[0].said, world):
                await send(message)
            waiting.popleft()

    def take(turn: Turn | None) -> None:
        if turn is None:
            return
        waiting = lanes.setdefault(turn.lane, deque())
        waiting.append(turn)
        if len(waiting) == 1:
            task = asyncio.get_running_loop().create_task(speak(waiting))
            tasks.add(task)
            task.add_done_callback(ended)

    def ended(task: Task[None]) -> None:
        tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            broken.append(task.exception())
            listening.cancel()

    broken: list[Any] = []
    listening: Task[Any]

    async def listen() -> None:
        while (message := await receive()) is not None:
            take(dialogue.heard(message))

    loop = asyncio.get_running_loop()
    listening = loop.create_task(listen())
    if isinstance(dialogue, Unasked):
        dialogue.may_speak(lambda turn: None if loop.is_closed() else _soon(loop, take, turn))
    try:
        take(dialogue.begun())
        await asyncio.wait((listening,))
        if not broken:
            listening.result()
        elif not isinstance(broken[0], Goodbye):
            raise broken[0]
    finally:
        listening.cancel()
        for task in list(tasks):
            task.cancel()
        dialogue.ended()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(listening, *tasks, return_exceptions=True)


def _soon(loop: AbstractEventLoop, take: Callable[[Turn], None], turn: Turn) -> None:
    with suppress(RuntimeError):  # the loop was closed just now
        loop.call_soon_threadsafe(take, turn)


class Conversation:
    """A dialogue that is gone on with by whoever wants to hear something, blocking. One thread at a time."""

    def __init__(self, dialogue: Dialogue, world: World) -> None:
        self._dialogue = dialogue
        self._world = world
        self._lanes: dict[str, deque[Iterator[bytes]]] = {}
        self.take(dialogue.begun())

    def hear(self, message: bytes) -> None:
        """Say something to the server."""
        self.take(self._dialogue.heard(message))

    def take(self, turn: Turn | None) -> None:
        """Have something said."""
        if turn is not None:
            self._lanes.setdefault(turn.lane, deque()).append(iterate(turn.said, self._world))

    @property
    def speaking(self) -> bool:
        """Whether the server has something to say."""
        return bool(self._lanes)

    def next(self) -> bytes | None:
        """The server's next message, each lane's in turn; `None` where it has nothing to say.

        Raises `Goodbye` where all is said.
        """
        while self._lanes:
            lane = next(iter(self._lanes))
            turns = self._lanes.pop(lane)
            message = next(turns[0], None)
            if message is None:
                turns.popleft()
            if turns:
                self._lanes[lane] = deque((*turns, *self._lanes.get(lane, ())))
            if message is not None:
                return message
        return None

    def end(self) -> None:
        """Close the connection."""
        self._lanes.clear()
        self._dialogue.ended()


def messages_of(
    body: bytes | Iterable[bytes | Step[Any]], tell: Callable[[bytes], bytes | None]
) -> Generator[bytes | Step[Any], Any, None]:
    """The events of a stream, each as the message that `tell` makes of its data, and the steps between them."""
    from .sse import Decoder

    decoder = Decoder()
    if isinstance(body, bytes):
        yield from _told(decoder.data(body), tell)
        return

    def each(piece: bytes | Step[Any]) -> Generator[bytes | Step[Any], Any, Any]:
        if not isinstance(piece, bytes):
            return (yield piece)
        yield from _told(decoder.data(piece), tell)
        return None

    yield from through(body, each)


def _told(events: list[tuple[bytes, str | None]], tell: Callable[[bytes], bytes | None]) -> Iterator[bytes]:
    for data, _ in events:
        message = tell(data)
        if message is not None:
            yield message
