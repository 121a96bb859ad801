"""Transcripts of live sessions, grouped by who speaks, in both colours and under a clock of the tests."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon import OpenAIError
from antiphon.lib.live import (
    AsyncTranscriptGrouper,
    TranscriptGrouper,
    TranscriptSegment,
    TranscriptSegmentClosedEvent,
)
from antiphon.types.live import InputTranscriptDeltaEvent, OutputTranscriptDeltaEvent
from antiphon.types.live.session_closed_event import SessionClosedEvent

KINDS: dict[str, Any] = {"user": InputTranscriptDeltaEvent, "assistant": OutputTranscriptDeltaEvent}


class Clock:
    """Time in milliseconds, and what is to happen in it."""

    def __init__(self) -> None:
        self.now = 0.0
        self.timers: list[list[Any]] = []
        self.made = 0

    def later(self, delay: float, callback: Callable[[], None]) -> Any:
        timer = [self.now + delay, callback]
        self.timers.append(timer)
        self.made += 1

        def cancel() -> None:
            self.timers[:] = [each for each in self.timers if each is not timer]

        return SimpleNamespace(cancel=cancel)

    def advance(self, milliseconds: float) -> None:
        until = self.now + milliseconds
        while due := sorted((each for each in self.timers if each[0] <= until), key=lambda each: each[0]):
            self.now = max(self.now, due[0][0])
            self.timers.remove(due[0])
            due[0][1]()
        self.now = until


class Session:
    """A grouper, what it is told, and what is shown."""

    def __init__(self, **settings: Any) -> None:
        clock = self.clock = Clock()

        class Grouper(TranscriptGrouper):
            def _now(self) -> float:
                return clock.now

            def _call_later(self, delay_ms: int, callback: Callable[[], None]) -> Any:
                return clock.later(delay_ms, callback)

        self.grouper = Grouper(**settings)
        self.shown: dict[str, TranscriptSegment] = {}
        self.closed: list[TranscriptSegmentClosedEvent] = []
        self.grouper.on("segment.updated", self.update).on("segment.closed", self.closed.append)
        self.count = 0

    def update(self, segment: TranscriptSegment) -> None:
        assert segment.text.startswith(self.shown[segment.id].text if segment.id in self.shown else "")
        assert segment.id not in [each.segment.id for each in self.closed]
        self.shown[segment.id] = segment

    def say(self, speaker: str, text: str, start: int, end: int | None = None) -> None:
        self.count += 1
        kind = "input" if speaker == "user" else "output"
        end = start + 200 if end is None else end
        self.grouper.push(
            KINDS[speaker](
                type=f"session.{kind}_transcript.delta",
                event_id=f"e{self.count}",
                delta=text,
                start_ms=start,
                end_ms=end,
            )
        )

    def end(self) -> list[tuple[str, str, str]]:
        self.grouper.close()
        assert self.clock.timers == []
        previous = [None, *(each.segment.id for each in self.closed)]
        assert [each.segment.previous_id for each in self.closed] == previous[: len(self.closed)]
        return [(each.segment.speaker, each.segment.text, each.reason) for each in self.closed]


def test_turns_follow_each_other() -> None:
    session = Session()
    session.say("user", "How is", 0)
    session.say("user", " the weather?", 200)
    session.say("assistant", "Sunny", 1200)
    session.say("assistant", " and warm.", 1400)
    session.say("user", "Thanks", 2000)
    assert session.end() == [
        ("user", "How is the weather?", "speaker_change"),
        ("assistant", "Sunny and warm.", "speaker_change"),
        ("user", "Thanks", "manual"),
    ]
    first = session.closed[0].segment
    assert (first.start_ms, first.end_ms) == (0, 400)


def test_an_assistant_that_is_silent_has_ended() -> None:
    session = Session(assistant_silence_ms=500)
    session.say("assistant", "Hello", 0)
    session.clock.advance(50)
    assert [each.text for each in session.shown.values()] == ["Hello"]
    session.clock.advance(449)
    assert session.closed == []
    session.clock.advance(1)
    assert [each.reason for each in session.closed] == ["inactivity"]


def test_a_nod_is_left_out_where_the_user_goes_on() -> None:
    for settings, expected in (
        ({}, [("user", "I went home and slept", "manual")]),
        (
            {"backchannel_max_duration_ms": 0},
            [
                ("user", "I went home", "speaker_change"),
                ("assistant", "Mhm.", "speaker_change"),
                ("user", " and slept", "manual"),
            ],
        ),
    ):
        session = Session(**settings)
        session.say("user", "I went home", 0, 1000)
        session.say("assistant", "Mhm.", 900, 1100)
        session.say("user", " and slept", 1800, 2400)
        assert session.end() == expected


def test_other_nods() -> None:
    session = Session(additional_acknowledgments=["Uh-Oh!"])
    session.say("user", "I fell", 0, 1000)
    session.say("assistant", "uh oh", 900, 1100)
    session.say("user", "but got up", 1300, 2000)
    assert session.end() == [("user", "I fell but got up", "manual")]


def test_short_words_that_are_no_nod_take_the_floor() -> None:
    session = Session()
    session.say("user", "Hello", 0, 1000)
    session.say("assistant", "No", 900, 1100)
    session.clock.advance(10_000)
    assert session.end() == [("user", "Hello", "speaker_change"), ("assistant", "No", "inactivity")]


def test_both_at_once_are_told_apart() -> None:
    for order in (("user", "assistant"), ("assistant", "user")):
        session = Session()
        for speaker in order:
            session.say(speaker, f"{speaker} speaks at some length", 0, 3000)
        assert sorted(each[0] for each in session.end()) == ["assistant", "user"]
        assert session.closed[0].segment.speaker == "user"


def test_a_clock_that_begins_anew() -> None:
    session = Session()
    session.say("user", "before", 5000)
    session.say("user", "after", 0)
    assert session.end() == [("user", "before", "timestamp_reset"), ("user", "after", "manual")]


def test_the_end_of_the_session_closes_and_repeated_events_count_once() -> None:
    session = Session()
    event = InputTranscriptDeltaEvent(
        type="session.input_transcript.delta", event_id="same", delta="Hi", start_ms=0, end_ms=100
    )
    session.grouper.push(event)
    session.grouper.push(event)
    session.grouper.push(SessionClosedEvent.of({"type": "session.closed", "event_id": "end"}))
    assert session.end() == [("user", "Hi", "session_closed")]
    with pytest.raises(OpenAIError, match="after closing"):
        session.grouper.push(event)


@pytest.mark.parametrize(
    "wrong", [{"start_ms": -1}, {"end_ms": 0.5}, {"start_ms": True}, {"delta": None}, {"event_id": ""}]
)
def test_words_that_cannot_be_placed_change_nothing(wrong: dict[str, Any]) -> None:
    session = Session()
    fields = {"event_id": "e", "delta": "Hi", "start_ms": 0, "end_ms": 100}
    with pytest.raises(OpenAIError, match="event_id"):
        session.grouper.push(
            InputTranscriptDeltaEvent.of({"type": "session.input_transcript.delta", **fields, **wrong})
        )
    session.grouper.push(InputTranscriptDeltaEvent.of({"type": "session.input_transcript.delta", **fields}))
    assert session.end() == [("user", "Hi", "manual")]


@pytest.mark.parametrize("value", [-1, True, "1", float("nan"), float("inf"), 2**31])
def test_settings_are_times(value: Any) -> None:
    for cls in (TranscriptGrouper, AsyncTranscriptGrouper):
        with pytest.raises(OpenAIError, match="assistant_silence_ms"):
            cls(assistant_silence_ms=value)


def test_words_that_keep_coming_need_few_timers() -> None:
    session = Session()
    for number in range(500):
        session.say("assistant", "word ", number * 10, number * 10 + 10)
        session.clock.advance(10)
    assert session.clock.made < 20
    session.clock.advance(10_000)
    assert [each.reason for each in session.closed] == ["inactivity"]


words = st.tuples(
    st.sampled_from(["user", "assistant"]),
    st.sampled_from(["okay", "Mhm.", "What", " do you think", "yes and no", "."]),
    st.integers(0, 1500),
    st.integers(0, 1500),
    st.integers(0, 3000),
)


@given(st.lists(words, max_size=30), st.sampled_from([0, 500, 0.1]))
def test_laws(said: list[tuple[str, str, int, int, int]], separation: float) -> None:
    """No word of the user's is lost, and none is made up; what is shown grows until it is closed, once."""
    session = Session(min_turn_separation_ms=separation)
    at = 0
    user, assistant = "", ""
    for speaker, text, gap, length, wait in said:
        at += gap
        session.say(speaker, text, at, at + length)
        session.clock.advance(wait)
        if speaker == "user":
            user += text
        else:
            assistant += text
    session.end()
    shown: dict[str, str] = {"user": "", "assistant": ""}
    for each in session.closed:
        shown[each.segment.speaker] += each.segment.text
    assert shown["user"].replace(" ", "") == user.replace(" ", "")
    left = iter(assistant.replace(" ", ""))
    assert all(letter in left for letter in shown["assistant"].replace(" ", ""))
    assert len(session.shown) == len(session.closed)
    session_silent = Session(min_turn_separation_ms=separation, backchannel_max_duration_ms=0)
    at = 0
    for speaker, text, gap, length, wait in said:
        at += gap
        session_silent.say(speaker, text, at, at + length)
        session_silent.clock.advance(wait)
    session_silent.end()
    kept = "".join(each.segment.text for each in session_silent.closed if each.segment.speaker == "assistant")
    assert kept.replace(" ", "") == assistant.replace(" ", "")


# Handlers


def hello(number: int = 0) -> InputTranscriptDeltaEvent:
    return InputTranscriptDeltaEvent(
        type="session.input_transcript.delta",
        event_id=f"h{number}",
        delta="Hi",
        start_ms=number * 100,
        end_ms=number * 100 + 100,
    )


def test_handlers_come_and_go() -> None:
    seen: list[str] = []
    with TranscriptGrouper() as grouper:

        @grouper.on("segment.updated")
        def every(segment: TranscriptSegment) -> None:
            seen.append(segment.text)

        @grouper.once("segment.updated")
        def one(segment: TranscriptSegment) -> None:
            seen.append("once")
            grouper.off("segment.updated", every)
            grouper.off("segment.updated", one)

        grouper.on("segment.closed", lambda event: seen.append(event.reason))
        grouper.push(hello(0))
        grouper.push(hello(1))
    assert seen == ["Hi", "once", "manual"]


def test_handlers_run_one_at_a_time_outside_of_locks() -> None:
    grouper = TranscriptGrouper()
    running: list[int] = []
    worst: list[int] = []

    def slow(segment: TranscriptSegment) -> None:
        running.append(1)
        worst.append(len(running))
        time.sleep(0.002)
        grouper.on("segment.closed", lambda event: None)
        running.pop()

    grouper.on("segment.updated", slow)
    threads = [threading.Thread(target=grouper.push, args=(hello(number),)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    grouper.close()
    assert max(worst) == 1


def test_a_timer_of_its_own_ends_a_segment() -> None:
    ended = threading.Event()
    with TranscriptGrouper(assistant_silence_ms=20) as grouper:
        grouper.on("segment.closed", lambda event: ended.set())
        grouper.push(
            OutputTranscriptDeltaEvent(
                type="session.output_transcript.delta", event_id="e", delta="Hi", start_ms=0, end_ms=0
            )
        )
        assert ended.wait(10)


async def test_in_an_event_loop() -> None:
    seen: list[str] = []
    ended = asyncio.Event()
    async with AsyncTranscriptGrouper(assistant_silence_ms=20) as grouper:

        @grouper.on("segment.updated")
        async def shown(segment: TranscriptSegment) -> None:
            await asyncio.sleep(0)
            seen.append(segment.text)

        grouper.on("segment.closed", lambda event: ended.set())
        await grouper.push(
            OutputTranscriptDeltaEvent(
                type="session.output_transcript.delta", event_id="e", delta="Hi", start_ms=0, end_ms=0
            )
        )
        await asyncio.wait_for(ended.wait(), 10)
    assert seen == ["Hi"]


async def test_what_a_handler_raises_is_told_to_who_waits_or_to_the_loop() -> None:
    told: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(context["exception"]))
    grouper = AsyncTranscriptGrouper(assistant_silence_ms=0)

    def fail(segment: Any) -> None:
        raise ZeroDivisionError

    grouper.once("segment.updated", fail)
    await grouper.push(hello())
    with pytest.raises(ZeroDivisionError):
        await grouper.close()
    await grouper.close()
    assert told == []
    grouper = AsyncTranscriptGrouper(assistant_silence_ms=0)
    grouper.on("segment.updated", fail)
    await grouper.push(
        OutputTranscriptDeltaEvent(
            type="session.output_transcript.delta", event_id="e", delta="Hi", start_ms=0, end_ms=0
        )
    )
    for _ in range(1000):
        if told:
            break
        await asyncio.sleep(0.01)
    assert [type(each) for each in told] == [ZeroDivisionError]


def test_a_grouper_stays_in_its_loop() -> None:
    grouper = AsyncTranscriptGrouper()
    asyncio.run(grouper.push(hello()))
    with pytest.raises(OpenAIError, match="event loop"):
        asyncio.run(grouper.push(hello(1)))
