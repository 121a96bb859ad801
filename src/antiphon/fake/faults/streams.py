"""What goes wrong with streams, event by event."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final

from ...kernel.flow import Pause, Step
from ...kernel.http import Response
from ...kernel.spool import Spooled
from ...kernel.sse import Blocks
from .behaviours import MESSAGES, Behaviour, relayed
from .parts import integer, seconds, text

if TYPE_CHECKING:
    from ...kernel.flow import World
    from .behaviours import Scene
    from .triggers import Seen

__all__ = (
    "Apart",
    "Duplicate",
    "ErrorEvent",
    "Reorder",
    "SlowFirstToken",
    "Split",
    "Stall",
    "UnknownEvents",
    "data_of",
    "events",
    "is_events",
    "whole",
)

DONE: Final = b"data: [DONE]"


def is_events(answer: Response) -> bool:
    """Whether an answer is a stream of events."""
    kind: str = answer.headers.get("content-type") or ""
    return kind.startswith("text/event-stream")


def whole(answer: Response) -> bytes | None:
    """A body that is there as a whole; `None` where it comes in pieces."""
    body: Any = answer.body
    if body.__class__ is bytes:
        return body  # type: ignore[no-any-return]
    return body.read() if isinstance(body, Spooled) else None


def events(body: Any) -> Generator[Any, Any, None]:
    """A stream event by event, each whole with its blank line, and the steps between them."""
    blocks = Blocks()

    def end() -> Iterable[bytes]:
        left = blocks.close()
        return (left,) if left else ()

    return relayed([body] if body.__class__ is bytes else body, blocks.feed, end=end)


def data_of(event: bytes) -> Any:
    """The decoded JSON of an event; `None` where it has none."""
    import orjson

    lines = [line[6:] for line in event.split(b"\n") if line.startswith(b"data: ")]
    try:
        found = orjson.loads(b"\n".join(lines))
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def with_data(event: bytes, data: Any) -> bytes:
    """An event with other data."""
    import orjson

    lines = [line for line in event.rstrip(b"\n").split(b"\n") if not line.startswith(b"data: ")]
    return b"\n".join([*lines, b"data: " + orjson.dumps(data)]) + b"\n\n"


class _Stream(Behaviour):
    """Something that goes wrong with the events of a stream."""

    def suits(self, seen: Seen) -> bool:
        return seen.streams

    def altered(self, answer: Response, scene: Scene) -> Response:
        if not is_events(answer):
            return answer
        return answer._replace(body=self.edited(events(answer.body), scene))

    def edited(self, stream: Generator[Any, Any, None], scene: Scene) -> Generator[Any, Any, None]:
        """The stream as it goes out."""
        place = 0

        def feed(event: bytes) -> Iterable[bytes | Step[Any]]:
            nonlocal place
            place += 1
            return self.event(event, place, scene)

        return relayed(stream, feed, over=lambda: self.ends(place), end=lambda: self.end(scene))

    def event(self, event: bytes, place: int, scene: Scene) -> Iterable[bytes | Step[Any]]:
        """What goes out for the event at a place, the first being 1."""
        return (event,)

    def ends(self, place: int) -> bool:
        """Whether the stream is over behind the event at a place."""
        return False

    def end(self, scene: Scene) -> Iterable[bytes | Step[Any]]:
        """What goes out at the end."""
        return ()


@dataclass(frozen=True, repr=False)
class SlowFirstToken(_Stream):
    """The answer begins at once, and its first event comes so many seconds later."""

    name: ClassVar[str] = "slow_first_token"
    seconds: float = 5.0

    def __post_init__(self) -> None:
        seconds(self, "seconds")

    def event(self, event: bytes, place: int, scene: Scene) -> Iterable[bytes | Step[Any]]:
        return (Pause(self.seconds), event) if place == 1 else (event,)


@dataclass(frozen=True, repr=False)
class Stall(_Stream):
    """After so many events nothing comes for a while."""

    name: ClassVar[str] = "stall"
    seconds: float = 5.0
    after: int = 3

    def __post_init__(self) -> None:
        seconds(self, "seconds")
        integer(self, "after")

    def event(self, event: bytes, place: int, scene: Scene) -> Iterable[bytes | Step[Any]]:
        return (Pause(self.seconds), event) if place == self.after + 1 else (event,)


@dataclass(frozen=True, repr=False)
class ErrorEvent(_Stream):
    """After so many events the stream says that there was an error, and ends."""

    name: ClassVar[str] = "error_event"
    after: int = 3
    message: str = MESSAGES[500]
    code: str | None = "server_error"
    error_type: str = "server_error"

    def __post_init__(self) -> None:
        integer(self, "after")
        for each in ("message", "code", "error_type"):
            text(self, each)

    def event(self, event: bytes, place: int, scene: Scene) -> Iterable[bytes | Step[Any]]:
        return (event,) if place <= self.after else (self._error(scene, place),)

    def ends(self, place: int) -> bool:
        return place > self.after

    def _error(self, scene: Scene, place: int) -> bytes:
        import orjson

        error = {"message": self.message, "type": self.error_type, "param": None, "code": self.code}
        operation = scene.seen.operation
        if operation.startswith("responses."):
            told: Any = {"type": "error", "code": self.code, "message": self.message, "param": None}
            return b"event: error\ndata: " + orjson.dumps({**told, "sequence_number": place - 1}) + b"\n\n"
        if operation.startswith("beta.threads."):
            return b"event: error\ndata: " + orjson.dumps(error) + b"\n\n"
        return b"data: " + orjson.dumps({"error": error}) + b"\n\n"


@dataclass(frozen=True, repr=False)
class Duplicate(_Stream):
    """Each so many-th event comes twice."""

    name: ClassVar[str] = "duplicate"
    every: int = 1

    def __post_init__(self) -> None:
        integer(self, "every", 1)

    def event(self, event: bytes, place: int, scene: Scene) -> Iterable[bytes | Step[Any]]:
        return (event, event) if place % self.every == 0 and not event.startswith(DONE) else (event,)


@dataclass(frozen=True, repr=False)
class Reorder(_Stream):
    """Events change places with others that are near, by chance. `[DONE]` stays the last."""

    name: ClassVar[str] = "reorder"
    within: int = 3
    """How many events are mixed up together."""

    def __post_init__(self) -> None:
        integer(self, "within", 2)

    def edited(self, stream: Generator[Any, Any, None], scene: Scene) -> Generator[Any, Any, None]:
        held: list[bytes] = []  # of this stream: there may be others at the same time

        def mixed() -> list[bytes]:
            found = held[:]
            held.clear()
            scene.random.shuffle(found)
            return found

        def feed(event: bytes) -> Iterable[bytes]:
            if event.startswith(DONE):
                return (*mixed(), event)
            held.append(event)
            return mixed() if len(held) == self.within else ()

        return relayed(stream, feed, end=mixed)


class Apart(Step[None]):
    """Nothing happens, and what was before it is not what comes behind it."""

    __slots__ = ()

    def perform(self, world: World) -> None:
        return

    async def aperform(self, world: World) -> None:
        return


@dataclass(frozen=True, repr=False)
class Split(Behaviour):
    """The bytes come in pieces of `size`, wherever that cuts: within a character, within the end of an event. With
    `most` the sizes are by chance between the two. `seconds` pass between the pieces.
    """

    name: ClassVar[str] = "split"
    size: int = 1
    most: int | None = None
    seconds: float = 0.0

    def __post_init__(self) -> None:
        integer(self, "size", 1)
        if self.most is not None:
            integer(self, "most", self.size)
        seconds(self, "seconds")

    def altered(self, answer: Response, scene: Scene) -> Response:
        body = whole(answer)
        # A step between them has a host write each piece for itself.
        apart: Step[Any] = Pause(self.seconds) if self.seconds else Apart()

        def feed(piece: bytes) -> Iterable[bytes | Step[Any]]:
            place = 0
            while place < len(piece):
                size = self.size if self.most is None else scene.random.randint(self.size, self.most)
                yield piece[place : place + size]
                yield apart
                place += size

        return answer._replace(body=relayed(answer.body if body is None else [body], feed))


@dataclass(frozen=True, repr=False)
class UnknownEvents(_Stream):
    """Behind each so many-th event comes one of a kind that nobody has heard of, and a comment."""

    name: ClassVar[str] = "unknown_events"
    every: int = 1

    def __post_init__(self) -> None:
        integer(self, "every", 1)

    def event(self, event: bytes, place: int, scene: Scene) -> Iterable[bytes | Step[Any]]:
        import orjson

        if place % self.every or event.startswith(DONE):
            return (event,)
        told = data_of(event) or {}
        number = scene.random.randrange(1000)
        if b"event: " in event or isinstance(told.get("type"), str):
            kind = f"antiphon.surprise_{number}"
            data: Any = {"type": kind, "sequence_number": told.get("sequence_number", place), "surprise": number}
            made = b"event: " + kind.encode() + b"\ndata: " + orjson.dumps(data) + b"\n\n"
        else:
            data = {**told, "object": "antiphon.surprise", "choices": [], "surprise": number}
            made = b"data: " + orjson.dumps(data) + b"\n\n"
        return (event, b": a surprise\n\n", made)
