"""The core of a websocket connection without any socket: what its flows ask for, whatever happens when."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from antiphon import WebSocketConnectionClosedError, WebSocketQueueFullError
from antiphon.client.websockets.core import Link, Open, Receive, Shut, Wait, Write
from antiphon.kernel.websocket import Dial, is_recoverable_close


class Frame:
    def __init__(self, code: int) -> None:
        self.code = code


class Closed(Exception):
    """What the library raises, as far as the core looks at it."""

    def __init__(self, code: int | None) -> None:
        super().__init__(code)
        self.rcvd = None if code is None else Frame(code)


class ConnectionClosedOK(Closed):
    pass


def dial(**settings: Any) -> Dial:
    values: dict[str, Any] = {
        "path": "/p",
        "query": {},
        "fixed_query": {},
        "headers": {},
        "options": {},
        "extra_query": {},
        "extra_headers": {},
        "on_reconnecting": lambda event: None,
        "max_retries": 5,
        "initial_delay": 0.5,
        "max_delay": 8.0,
        "max_queue_size": 1000,
    }
    return Dial(**{**values, **settings})


class World:
    """Performs the steps of a flow from a script: for each step what it answers or raises, or a function of it."""

    def __init__(self, **answers: list[Any]) -> None:
        self.answers = answers
        self.steps: list[Any] = []

    def drive(self, flow: Any) -> Any:
        try:
            step = next(flow)
            while True:
                self.steps.append((type(step).__name__, *step.arguments))
                pending = self.answers.get(type(step).__name__, [])
                answer = pending.pop(0) if pending else None
                if callable(answer):
                    answer = answer()
                step = flow.throw(answer) if isinstance(answer, BaseException) else flow.send(answer)
        except StopIteration as done:
            return done.value


def opened(**settings: Any) -> Link:
    link = Link(dial(**settings), jitter=lambda: 0.0)
    World().drive(link.open())
    return link


def test_opening_sends_what_was_kept_in_order() -> None:
    link = Link(dial(extra_query={"a": 1}, extra_headers={"b": "2"}))
    link.keep("one")
    assert link.admit("two") is None
    world = World()
    world.drive(link.open())
    assert world.steps == [("Open", {"a": 1}, {"b": "2"}), ("Write", "one"), ("Write", "two")]
    assert link.admit("three") is True


def test_steps_say_what_they_are() -> None:
    assert [repr(step) for step in (Open({}, {}), Write("x"), Receive(), Wait(1.5), Shut())] == [
        "Open({}, {})",
        "Write('x')",
        "Receive()",
        "Wait(1.5)",
        "Shut()",
    ]


def test_delays_double_up_to_the_longest() -> None:
    link = opened(max_retries=7)
    world = World(Open=[OSError()] * 7)
    assert world.drive(link.recover(1006)) is False
    assert [step[1] for step in world.steps if step[0] == "Wait"] == [0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0]


@given(st.floats(0, 1, exclude_max=True))
def test_delays_are_up_to_a_quarter_shorter(jitter: float) -> None:
    link = Link(dial(), jitter=lambda: jitter)
    world = World(Wait=[True])
    World().drive(link.open())
    assert world.drive(link.recover(1006)) is False
    assert 0.375 <= world.steps[0][1] <= 0.5


@pytest.mark.parametrize("code", [1000, 1002, 1003, 1007, 1008, 1009, 1010, 1014, 3000, 4000])
def test_other_closes_are_final(code: int) -> None:
    assert not is_recoverable_close(code)
    world = World()
    assert world.drive(opened().recover(code)) is False
    assert world.steps == []


@pytest.mark.parametrize("code", [1001, 1005, 1006, 1011, 1012, 1013, 1015])
def test_a_connection_is_made_again(code: int) -> None:
    assert is_recoverable_close(code)
    world = World(Receive=[Closed(code), b"{}"])
    assert world.drive(opened().next()) == b"{}"
    assert [step[0] for step in world.steps] == ["Receive", "Wait", "Open", "Receive"]


def test_a_message_is_tried_once() -> None:
    link = opened()
    told: list[int] = []

    def again(event: Any) -> None:
        told.append(event.close_code)
        if len(told) == 1:
            for message in ("one", "two", "three"):
                assert link.admit(message) is None

    link._ask = again
    world = World(Receive=[Closed(None), b"{}"], Write=[None, Closed(1012)])
    assert world.drive(link.next()) == b"{}"
    assert [step for step in world.steps if step[0] != "Wait"] == [
        ("Receive",),
        ("Open", {}, {}),
        ("Write", "one"),
        ("Write", "two"),  # it may have arrived: it is not sent again
        ("Shut",),
        ("Open", {}, {}),
        ("Write", "three"),
        ("Receive",),
    ]
    assert told == [1006, 1012]


def test_a_final_close_while_flushing_ends_it() -> None:
    link = opened()
    link._ask = lambda event: link.admit("one") and None
    world = World(Receive=[Closed(1006)], Write=[Closed(1008)])
    with pytest.raises(Closed):
        world.drive(link.next())
    assert [step[0] for step in world.steps] == ["Receive", "Wait", "Open", "Write", "Shut"]


def test_any_failure_while_flushing_is_an_attempt() -> None:
    link = opened(max_retries=2)
    link._ask = lambda event: link.admit("one") and None
    world = World(Receive=[Closed(1006)], Write=[OSError(), OSError()])
    with pytest.raises(Closed):
        world.drive(link.next())
    assert [step[0] for step in world.steps] == ["Receive", *["Wait", "Open", "Write", "Shut"] * 2]


def test_what_is_lost_with_the_first_connection_is_told() -> None:
    link = Link(dial(on_reconnecting=None))
    link.keep("one")
    link.keep("two")
    World(Write=[Closed(1011)]).drive(link.open())
    assert link.admit("three") is True
    with pytest.raises(WebSocketConnectionClosedError) as caught:
        World(Receive=[Closed(1011)]).drive(link.next())
    assert (caught.value.unsent_frames, caught.value.code) == (["two"], 1011)
    assert World(Receive=[ConnectionClosedOK(1000)]).drive(link.next()) is None


def test_opening_that_fails_otherwise_closes_again() -> None:
    link = Link(dial())
    link.keep("one")
    world = World(Write=[KeyboardInterrupt()])
    with pytest.raises(KeyboardInterrupt):
        world.drive(link.open())
    assert world.steps[-1] == ("Shut",)


@pytest.mark.parametrize("when", ["Wait", "Open", "Write"])
def test_closing_on_purpose_ends_it_whenever_it_comes(when: str) -> None:
    link = opened()

    def end() -> bool:
        link.end()
        return when == "Wait"

    link._ask = lambda event: link.admit("one") and None
    world = World(Receive=[Closed(1006)], **{when: [end]})
    with pytest.raises(WebSocketConnectionClosedError if when != "Write" else Closed):
        world.drive(link.next())
    names = [step[0] for step in world.steps]
    assert names[-1] == ("Wait" if when == "Wait" else "Shut")
    assert link.admit("two") is True


def test_what_a_reader_leaves_behind_is_flushed_by_the_next_to_send() -> None:
    link = opened()
    link._ask = lambda event: [link.admit(each) for each in ("one", "two")] and None
    world = World(Receive=[Closed(1006)], Write=[KeyboardInterrupt()])
    with pytest.raises(KeyboardInterrupt):
        world.drive(link.next())
    # The new connection is there, and "two" is before all that comes.
    assert link.admit("three") is False
    assert link.admit("four") is None  # somebody flushes already
    world = World()
    world.drive(link.flush())
    assert world.steps == [("Write", "two"), ("Write", "three"), ("Write", "four")]
    assert link.admit("five") is True


def test_what_a_reader_leaves_behind_is_flushed_by_the_next_reader() -> None:
    link = opened()
    link._ask = lambda event: [link.admit(each) for each in ("one", "two")] and None
    with pytest.raises(KeyboardInterrupt):
        World(Receive=[Closed(1006)], Write=[KeyboardInterrupt()]).drive(link.next())
    world = World(Receive=[b"{}"])
    assert world.drive(link.next()) == b"{}"
    assert world.steps == [("Write", "two"), ("Receive",)]


def test_bytes_are_counted_and_given_back() -> None:
    link = Link(dial(max_queue_size=10))
    link.keep("äöü")  # six bytes
    link.keep(b"1234")
    with pytest.raises(WebSocketQueueFullError):
        link.keep("x")
    World().drive(link.open())
    link._held = True
    link.keep("0123456789")
    with pytest.raises(WebSocketQueueFullError):
        link.admit("x")


@pytest.mark.parametrize(
    ("message", "anew"),
    [
        (b'{"type": "session.created"}', True),
        (b'{"type": "error"}', False),
        (b'{"type": ""}', False),
        (b'{"type": 3}', False),
        (b"[1]", False),
        (b"no json", False),
        (b"[" * 100_000, False),
    ],
)
def test_attempts_are_counted_anew_by_an_event(message: bytes, anew: bool) -> None:
    link = opened(max_retries=2)
    for _ in range(2):
        World(Wait=[True]).drive(link.recover(1006))
    link.arrived(message)
    world = World(Wait=[True])
    world.drive(link.recover(1006))
    assert bool(world.steps) is anew


@settings(max_examples=200)
@given(st.lists(st.one_of(st.just("send"), st.just("lose"), st.just("refuse")), max_size=40))
def test_order_is_kept_and_nothing_is_sent_twice(actions: list[str]) -> None:
    """Messages sent at any time, also while the connection is made again, arrive in order, each at most once."""
    numbers = iter(range(1000))
    arrived: list[str] = []
    link = opened(max_queue_size=10**9, max_retries=1000)
    pending = list(actions)

    def send() -> None:
        message = str(next(numbers))
        if link.admit(message):
            arrived.append(message)

    def again(event: Any) -> None:
        while pending and pending[0] == "send":
            pending.pop(0)
            send()

    link._ask = again

    def write(message: str) -> Callable[[], Any]:
        def perform() -> Any:
            if pending and pending[0] == "lose":
                pending.pop(0)
                return Closed(1006)
            arrived.append(message)
            return None

        return perform

    flow = link.next()
    while pending:
        action = pending.pop(0)
        if action == "send":
            send()
            continue
        answer: Any = Closed(1006)
        try:
            step = next(flow)
            while not isinstance(step, Receive) or answer is not None:
                outcome: Any = None
                if isinstance(step, Receive):
                    outcome, answer = answer, None
                elif isinstance(step, Write):
                    outcome = write(step.arguments[0])()
                elif isinstance(step, Open) and pending and pending[0] == "refuse":
                    pending.pop(0)
                    outcome = OSError()
                step = flow.throw(outcome) if isinstance(outcome, BaseException) else flow.send(outcome)
            flow.close()
        except StopIteration:
            raise AssertionError("it went on") from None
        flow = link.next()
    order = [int(message) for message in arrived]
    assert order == sorted(set(order))
