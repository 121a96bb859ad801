"""Flows: the same story told by both drivers."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Generator, Iterable, Iterator
from typing import Any

import pytest

from antiphon.kernel.flow import (
    Await,
    Call,
    Flow,
    Next,
    Pause,
    Read,
    Send,
    Step,
    Together,
    World,
    aiterate,
    arun,
    atell,
    iterate,
    run,
    tell,
    through,
)
from antiphon.kernel.http import Request, Response

Driver = Callable[..., Any]


class Recorder(World):
    """A world in which sending answers at once and sleeping takes no time."""

    def __init__(self) -> None:
        self.sent: list[tuple[Any, ...]] = []
        self.slept: list[float] = []

    def send(self, request: Request, timeout: Any, stream: bool) -> Response:
        self.sent.append((request.path, timeout, stream))
        if request.path == "/fail":
            raise ConnectionError("nobody there")
        return Response(200, body=request.path.encode())

    async def asend(self, request: Request, timeout: Any, stream: bool) -> Response:
        return self.send(request, timeout, stream)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    async def asleep(self, seconds: float) -> None:
        self.slept.append(seconds)


def blocking(flow: Flow[Any], world: World) -> Any:
    return run(flow, world)


def awaiting(flow: Flow[Any], world: World) -> Any:
    return asyncio.run(arun(flow, world))


def iterating(body: Iterable[Any], world: World) -> list[bytes]:
    return list(iterate(body, world))


def aiterating(body: Iterable[Any], world: World) -> list[bytes]:
    async def collect() -> list[bytes]:
        return [piece async for piece in aiterate(body, world)]

    return asyncio.run(collect())


drivers = pytest.mark.parametrize("drive", [blocking, awaiting])
readers = pytest.mark.parametrize("read", [iterating, aiterating])


async def double(number: int) -> int:
    await asyncio.sleep(0)
    return 2 * number


@drivers
def test_steps_give_their_results_and_the_flow_its_own(drive: Driver) -> None:
    def flow() -> Flow[Any]:
        response = yield Send(Request("GET", "/a"), 5, stream=True)
        yield Pause(0.5)
        doubled = yield Await(double(21))
        called = yield Call(lambda a, b=0: a + b, 1, b=2)
        plain = yield Call(lambda: "plain")
        return response.content, doubled, called, plain

    world = Recorder()
    assert drive(flow(), world) == (b"/a", 42, 3, "plain")
    assert world.sent == [("/a", 5, True)]
    assert world.slept == [0.5]


@drivers
def test_a_flow_without_steps_just_returns(drive: Driver) -> None:
    def flow() -> Flow[int]:
        if False:
            yield Pause(1)
        return 1

    assert drive(flow(), World()) == 1


@drivers
def test_exceptions_of_steps_are_thrown_into_the_flow(drive: Driver) -> None:
    def flow() -> Flow[str]:
        try:
            yield Send(Request("GET", "/fail"))
        except ConnectionError as error:
            yield Pause(1)
            return f"caught {error}"
        return "not caught"

    assert drive(flow(), Recorder()) == "caught nobody there"


@drivers
def test_an_exception_nobody_catches_leaves_the_driver(drive: Driver) -> None:
    closed: list[int] = []

    def flow() -> Flow[None]:
        try:
            yield Call(lambda: 1 / 0)
        finally:
            closed.append(1)

    with pytest.raises(ZeroDivisionError):
        drive(flow(), World())
    assert closed == [1]


@drivers
def test_a_flow_may_end_in_answer_to_an_exception(drive: Driver) -> None:
    def flow() -> Flow[str]:
        try:
            yield Call(lambda: 1 / 0)
        except ZeroDivisionError:
            pass
        return "ended"

    assert drive(flow(), World()) == "ended"


@readers
def test_a_function_that_raises_stop_iteration_does_not_end_the_body(read: Driver) -> None:
    with pytest.raises(RuntimeError, match="StopIteration"):
        read([b"a", Call(lambda: next(iter(())))], World())


async def test_cancelling_throws_into_the_flow() -> None:
    seen: list[str] = []

    def flow() -> Flow[None]:
        try:
            yield Await(asyncio.sleep(60))
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    task = asyncio.create_task(arun(flow(), World()))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert seen == ["cancelled"]


async def test_a_call_in_a_loop_runs_on_another_thread() -> None:
    def flow() -> Flow[Any]:
        return (yield Call(threading.current_thread))

    assert await arun(flow(), World()) is not threading.current_thread()
    assert run(flow(), World()) is threading.current_thread()


def test_awaiting_without_a_loop_uses_one_kept_in_the_background() -> None:
    async def where() -> str:
        return threading.current_thread().name

    def flow() -> Flow[Any]:
        return (yield Await(where())), (yield Await(where()))

    assert run(flow(), World()) == ("antiphon-portal", "antiphon-portal")


def test_awaiting_from_several_threads_at_once() -> None:
    def flow(number: int) -> Flow[int]:
        return (yield Await(double(number)))

    found: dict[int, int] = {}
    threads = [
        threading.Thread(target=lambda number=number: found.update({number: run(flow(number), World())}))
        for number in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {number: 2 * number for number in range(8)}


def test_exceptions_of_awaitables_come_through_the_portal() -> None:
    async def fail() -> None:
        raise LookupError("inside")

    def flow() -> Flow[None]:
        yield Await(fail())

    with pytest.raises(LookupError, match="inside"):
        run(flow(), World())


def test_read_takes_the_next_piece_and_none_at_the_end() -> None:
    def flow(stream: Any) -> Flow[list[Any]]:
        pieces = []
        while (piece := (yield Read(stream))) is not None:
            pieces.append(piece)
        return pieces

    async def pieces() -> AsyncIterator[bytes]:
        yield b"a"
        yield b"b"

    assert run(flow(iter([b"a", b"b"])), World()) == [b"a", b"b"]
    assert asyncio.run(arun(flow(pieces()), World())) == [b"a", b"b"]


def test_the_plain_world_sleeps_and_cannot_send() -> None:
    began = time.monotonic()
    run(iter_flow(Pause(0.02)), World())
    asyncio.run(arun(iter_flow(Pause(0.02)), World()))
    assert time.monotonic() - began >= 0.04
    for drive in (blocking, awaiting):
        with pytest.raises(TypeError, match="no transport"):
            drive(iter_flow(Send(Request("GET", "/"))), World())
    assert not World().keeps_time


def iter_flow(*steps: Step[Any]) -> Flow[None]:
    yield from steps


def test_steps_say_what_they_are() -> None:
    assert repr(Send(Request("GET", "/a"))) == "Send(GET /a)"
    assert repr(Pause(2)) == "Pause(2)"
    with pytest.raises(NotImplementedError):
        Step[None]().perform(World())
    with pytest.raises(NotImplementedError):
        asyncio.run(Step[None]().aperform(World()))


# Bodies


@readers
def test_a_body_gives_its_pieces_and_takes_its_steps(read: Driver) -> None:
    def body() -> Generator[Any, Any, None]:
        yield b"a"
        yield Pause(1)
        number = yield Await(double(2))
        yield b"%d" % number
        yield Pause(2)

    world = Recorder()
    assert read(body(), world) == [b"a", b"4"]
    assert world.slept == [1, 2]


@readers
def test_a_body_may_be_a_list_with_steps_in_it(read: Driver) -> None:
    world = Recorder()
    assert read([b"a", Pause(1), b"b"], world) == [b"a", b"b"]
    assert read([], world) == []
    assert read([Pause(3)], world) == []
    assert world.slept == [1, 3]


@readers
def test_a_body_that_catches_the_exception_of_a_step_goes_on(read: Driver) -> None:
    def body() -> Generator[Any, Any, None]:
        try:
            yield Call(lambda: 1 / 0)
        except ZeroDivisionError:
            yield b"caught"
        try:
            yield Call(lambda: 1 / 0)
        except ZeroDivisionError:
            return

    assert read(body(), World()) == [b"caught"]


@readers
@pytest.mark.parametrize("make", [lambda steps: iter(steps), lambda steps: (step for step in steps)])
def test_a_body_that_does_not_catch_it_ends_with_it(read: Driver, make: Any) -> None:
    with pytest.raises(ZeroDivisionError):
        read(make([b"a", Call(lambda: 1 / 0), b"b"]), World())


class Closing:
    """A body of a transport: an iterator with `close`."""

    def __init__(self) -> None:
        self.closed = 0

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return b"x"

    def close(self) -> None:
        self.closed += 1


def test_a_body_that_is_left_is_closed() -> None:
    body = Closing()
    pieces = iterate(body, World())
    assert next(pieces) == b"x"
    pieces.close()
    assert body.closed == 1


async def test_a_body_that_is_left_in_a_loop_is_closed() -> None:
    body = Closing()
    pieces = aiterate(body, World())
    assert await anext(pieces) == b"x"
    await pieces.aclose()
    assert body.closed == 1


@readers
def test_a_generator_that_is_read_to_its_end_runs_its_finally(read: Driver) -> None:
    ended: list[int] = []

    def body() -> Generator[Any, Any, None]:
        try:
            yield b"a"
        finally:
            ended.append(1)

    assert read(body(), World()) == [b"a"]
    assert ended == [1]


# Flows that tell things


def telling(flow: Generator[Any, Any, Any], world: World) -> list[Any]:
    return list(tell(flow, world))


def atelling(flow: Generator[Any, Any, Any], world: World) -> list[Any]:
    async def told() -> list[Any]:
        return [item async for item in atell(flow, world)]

    return asyncio.run(told())


TELLERS = pytest.mark.parametrize("tell_all", [telling, atelling])


@TELLERS
def test_what_a_flow_tells_comes_between_its_steps(tell_all: Driver) -> None:
    world = Recorder()

    def flow() -> Generator[Any, Any, int]:
        yield "begun"
        response = yield Send(Request("GET", "/a"))
        yield response.body
        yield Pause(2)
        yield "ended"
        return 7

    assert tell_all(flow(), world) == ["begun", b"/a", "ended"]
    assert world.slept == [2]


@TELLERS
def test_a_telling_flow_hears_of_exceptions(tell_all: Driver) -> None:
    def flow() -> Generator[Any, Any, None]:
        try:
            yield Send(Request("GET", "/fail"))
        except ConnectionError as error:
            yield str(error)
        yield Pause(1)

    assert tell_all(flow(), Recorder()) == ["nobody there"]

    def careless() -> Generator[Any, Any, None]:
        yield Send(Request("GET", "/fail"))

    with pytest.raises(ConnectionError, match="nobody there"):
        tell_all(careless(), Recorder())


def test_a_telling_flow_that_is_left_is_closed() -> None:
    closed: list[str] = []

    def flow(name: str) -> Generator[Any, Any, None]:
        try:
            yield 1
            yield 2
        finally:
            closed.append(name)

    telling = tell(flow("blocking"), Recorder())
    assert next(telling) == 1
    telling.close()

    async def leave() -> None:
        told = atell(flow("awaited"), Recorder())
        assert await anext(told) == 1
        await told.aclose()

    asyncio.run(leave())
    assert closed == ["blocking", "awaited"]


@pytest.mark.parametrize("drive", [blocking, awaiting])
def test_next_takes_the_next_item_and_none_at_the_end(drive: Driver) -> None:
    async def items() -> AsyncIterator[str]:
        yield "a"

    def flow(of: Any) -> Flow[list[Any]]:
        return [(yield Next(of)), (yield Next(of))]

    assert drive(flow(iter("a") if drive is blocking else items()), Recorder()) == ["a", None]


@drivers
def test_several_flows_together(drive: Driver) -> None:
    world = Recorder()

    def one(number: int) -> Flow[int]:
        yield Pause(number)
        return number * 2

    def story() -> Flow[list[int]]:
        found: list[int] = yield Together([one(number) for number in range(5)], 2)
        return found

    assert repr(Together([], 2)) == "Together(0)"
    assert drive(story(), world) == [0, 2, 4, 6, 8]
    assert sorted(world.slept) == [0, 1, 2, 3, 4]


@drivers
def test_where_one_of_several_fails_so_do_all(drive: Driver) -> None:
    def fails() -> Flow[None]:
        yield Pause(0)
        raise ValueError("no")

    def goes() -> Flow[None]:
        yield Pause(0)

    def story() -> Flow[str]:
        try:
            yield Together([goes(), fails(), goes()], 1)
        except ValueError as error:
            return str(error)
        return ""

    assert drive(story(), Recorder()) == "no"


def heard(*yielded: Any, told: list[Any], closed: list[str]) -> Generator[Any, Any, str]:
    try:
        for item in yielded:
            try:
                told.append((yield item))
            except ValueError as error:
                told.append(str(error))
        return "done"
    finally:
        closed.append("closed")


def test_what_is_made_of_an_item_is_sent_to_who_yielded_it() -> None:
    told: list[Any] = []
    closed: list[str] = []
    bad = Pause(1)

    def each(item: Any) -> Generator[Any, Any, Any]:
        if item is bad:
            raise ValueError("no")
        return (yield item)

    pause = Pause(2)
    passed = through(heard("a", bad, pause, told=told, closed=closed), each)
    assert next(passed) == "a"
    assert passed.send("b") is pause
    with pytest.raises(StopIteration) as done:
        passed.throw(ValueError("thrown"))
    assert done.value.value == "done"
    assert told == ["b", "no", "thrown"]
    assert closed == ["closed"]


def test_what_goes_wrong_with_anything_but_a_step_is_not_told_to_who_yielded_it() -> None:
    told: list[Any] = []
    closed: list[str] = []

    def each(item: Any) -> Generator[Any, Any, None]:
        yield item
        raise ValueError("no")

    passed = through(heard("a", "b", told=told, closed=closed), each)
    with pytest.raises(ValueError, match="no"):
        list(passed)
    assert told == []
    assert closed == ["closed"]


def test_going_through_an_iterable_that_hears_nothing() -> None:
    bad = Pause(3)

    def each(item: Any) -> Generator[Any, Any, str]:
        yield item
        if item is bad:
            raise ValueError("no")
        return "unheard"

    assert list(through([1, 2], each)) == [1, 2]
    assert list(through(iter([2]), each, 1)) == [1, 2]  # the first was taken already
    with pytest.raises(ValueError, match="no"):
        list(through([bad], each))


@pytest.mark.parametrize("left", [True, False])
def test_who_goes_through_a_generator_closes_it(left: bool) -> None:
    closed: list[str] = []

    def each(item: Any) -> Generator[Any, Any, None]:
        yield item

    passed = through(heard(1, 2, told=[], closed=closed), each, over=lambda: not left)
    assert next(passed) == 1
    if left:
        passed.close()
    else:
        assert list(passed) == []
    assert closed == ["closed"]
