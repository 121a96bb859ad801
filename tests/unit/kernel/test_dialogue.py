"""Dialogues: the same story told by both drivers."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Generator, Iterable
from typing import Any

import pytest

from antiphon.kernel.dialogue import Conversation, Goodbye, Speaks, Turn, _soon, converse, messages_of
from antiphon.kernel.flow import Await, Pause, Step, World, iterate
from antiphon.kernel.http import Request, Response


class Still(World):
    """A world in which nothing takes time."""

    def sleep(self, seconds: float) -> None:
        return None

    async def asleep(self, seconds: float) -> None:
        await asyncio.sleep(0)


class Echo:
    """Says back what it hears, letter by letter, in the lane of the first letter."""

    def __init__(self, greeting: str = "") -> None:
        self.greeting = greeting
        self.left = 0

    def begun(self) -> Turn | None:
        return Turn("", [self.greeting.encode()]) if self.greeting else None

    def heard(self, message: bytes) -> Turn | None:
        if message == b"-":
            return None
        return Turn(chr(message[0]), self._said(message))

    def _said(self, message: bytes) -> Generator[bytes | Step[Any], Any, None]:
        for letter in message.decode():
            if letter == "!":
                raise RuntimeError("no")
            yield Pause(1)
            yield letter.encode()

    def ended(self) -> None:
        self.left += 1


def spoken(dialogue: Echo, *heard: str) -> list[str]:
    conversation = Conversation(dialogue, Still())
    for each in heard:
        conversation.hear(each.encode())
    said = []
    while (message := conversation.next()) is not None:
        said.append(message.decode())
    assert not conversation.speaking
    conversation.end()
    return said


async def aspoken(dialogue: Echo, *heard: str, count: int) -> list[str]:
    said: list[str] = []
    enough = asyncio.Event()
    waiting = [each.encode() for each in heard]

    async def receive() -> bytes | None:
        if waiting:
            return waiting.pop(0)
        await enough.wait()
        return None

    async def send(message: bytes) -> None:
        said.append(message.decode())
        if len(said) == count:
            enough.set()

    await converse(dialogue, Still(), receive, send)
    return said


async def test_turns_of_one_lane_follow_each_other_and_those_of_others_overlap() -> None:
    for said in (spoken(Echo(), "abc", "-", "xy", "ade"), await aspoken(Echo(), "abc", "-", "xy", "ade", count=8)):
        assert "".join(each for each in said if each in "abcde") == "abcade"
        assert said.index("x") < said.index("c")
        assert said.index("x") < said.index("y")


async def test_a_server_may_speak_first() -> None:
    assert spoken(Echo("hello")) == ["hello"]
    assert await aspoken(Echo("hello"), count=1) == ["hello"]


async def test_the_end_is_told_and_what_is_being_said_is_given_up() -> None:
    echo = Echo()
    conversation = Conversation(echo, Still())
    conversation.hear(b"abc")
    assert conversation.next() == b"a"
    conversation.end()
    assert echo.left == 1
    assert conversation.next() is None
    echo = Echo()
    assert len(await aspoken(echo, "a" * 1000, count=3)) < 1000
    assert echo.left == 1


async def test_what_breaks_a_turn_breaks_the_dialogue() -> None:
    echo = Echo()
    with pytest.raises(RuntimeError, match="no"):
        spoken(Echo(), "a!")
    with pytest.raises(RuntimeError, match="no"):
        await asyncio.wait_for(aspoken(echo, "xy", "a!", count=100), 5)
    assert echo.left == 1


async def test_what_breaks_hearing_breaks_the_dialogue() -> None:
    async def receive() -> bytes | None:
        raise OSError("gone")

    async def send(message: bytes) -> None:
        raise AssertionError("nothing is said")

    echo = Echo()
    with pytest.raises(OSError, match="gone"):
        await converse(echo, Still(), receive, send)
    assert echo.left == 1


async def test_a_dialogue_that_is_cancelled_has_ended() -> None:
    echo = Echo()

    async def receive() -> bytes | None:
        await asyncio.Event().wait()
        return None

    async def send(message: bytes) -> None:
        await asyncio.Event().wait()

    holding = asyncio.create_task(converse(Echo("a"), Still(), receive, send))
    other = asyncio.create_task(converse(echo, Still(), receive, send))
    await asyncio.sleep(0.01)
    for task in (holding, other):
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert echo.left == 1


def test_who_has_websockets() -> None:
    class Both:
        def dialogue(self, request: Request) -> Echo | Response:
            return Echo()

    assert isinstance(Both(), Speaks)
    assert not isinstance(Echo(), Speaks)


# Streams as messages


def upper(data: bytes) -> bytes | None:
    return None if data == b"[DONE]" else data.upper()


def told(body: bytes | Iterable[bytes | Step[Any]]) -> list[bytes]:
    return list(iterate(messages_of(body, upper), Still()))


class Body:
    """A body that is no generator: its steps' results go nowhere."""

    def __init__(self, *pieces: bytes | Step[Any]) -> None:
        self.pieces = list(pieces)
        self.closed = False

    def __iter__(self) -> Body:
        return self

    def __next__(self) -> bytes | Step[Any]:
        if not self.pieces:
            raise StopIteration
        return self.pieces.pop(0)

    def close(self) -> None:
        self.closed = True


def test_events_are_messages_however_they_come() -> None:
    whole = b"data: a\n\nevent: x\ndata: b\n\ndata: [DONE]\n\n"
    assert told(whole) == told([whole]) == told([whole[:9], Pause(1), whole[9:]]) == [b"A", b"B"]
    body = Body(whole[:3], Pause(1), whole[3:])
    assert told(body) == [b"A", b"B"]
    assert body.closed


def failing() -> Any:
    async def fail() -> None:
        raise ValueError("not today")

    return Await(fail())


def test_a_step_gives_its_result_to_the_body_or_its_error() -> None:
    async def answer() -> bytes:
        return b"data: c\n\n"

    def body(*, catches: bool) -> Generator[bytes | Step[Any], Any, None]:
        yield (yield Await(answer()))
        try:
            yield failing()
        except ValueError:
            if not catches:
                raise
            yield b"data: caught\n\n"

    assert told(body(catches=True)) == [b"C", b"CAUGHT"]
    with pytest.raises(ValueError, match="not today"):
        told(body(catches=False))
    with pytest.raises(ValueError, match="not today"):
        told(Body(failing(), b"data: never\n\n"))


def test_a_body_may_end_with_a_step() -> None:
    def body() -> Generator[bytes | Step[Any], Any, None]:
        yield b"data: a\n\n"
        yield Pause(1)

    assert told(body()) == told(Body(b"data: a\n\n", Pause(1))) == [b"A"]


class Talker(Echo):
    """Says what it is told to from outside, too."""

    def may_speak(self, speak: Callable[[Turn], None]) -> None:
        self.speak = speak


def test_something_is_said_unasked_from_another_thread() -> None:
    talker = Talker()

    async def told() -> list[bytes]:
        said: list[bytes] = []
        enough = asyncio.Event()

        async def receive() -> bytes | None:
            threading.Thread(target=talker.speak, args=(Turn("news", [b"rain"]),)).start()
            await enough.wait()
            return None

        async def send(message: bytes) -> None:
            said.append(message)
            enough.set()

        await converse(talker, Still(), receive, send)
        return said

    assert asyncio.run(told()) == [b"rain"]
    talker.speak(Turn("news", [b"too late"]))  # nobody is there any more, which is no error
    assert talker.left == 1


def test_a_loop_that_closes_in_this_moment_is_no_error() -> None:
    loop = asyncio.new_event_loop()
    loop.close()
    _soon(loop, lambda turn: None, Turn("", []))


def test_a_goodbye_ends_a_dialogue_in_order() -> None:
    class Leaving(Echo):
        def heard(self, message: bytes) -> Turn | None:
            def said() -> Generator[bytes | Step[Any], Any, None]:
                yield b"bye"
                raise Goodbye

            return Turn("", said())

    assert asyncio.run(aspoken(Leaving(), "x", count=9)) == ["bye"]
