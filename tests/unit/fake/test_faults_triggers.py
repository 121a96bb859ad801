"""When faults strike."""

from __future__ import annotations

import re
from datetime import UTC, datetime, time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import antiphon
from antiphon import FakeOpenAI
from antiphon.fake import exactly
from antiphon.fake.faults import (
    ReturnStatus,
    Trigger,
    addressed,
    after,
    always,
    attempt,
    between,
    every,
    fault_of,
    matching,
    nth,
    once,
    percentage,
    trigger_of,
    until,
)
from antiphon.server.clock import VirtualClock

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)


def struck(when: Any, times: int = 6, *, fake: FakeOpenAI | None = None, step: float = 0.0, **options: Any) -> str:
    """Which of so many requests are struck: `x` for each that is."""
    fake = FakeOpenAI("echo", clock=VirtualClock(NOON.timestamp())) if fake is None else fake
    fake.misbehave(ReturnStatus(500), when=when)
    create: Any = fake.client(max_retries=0).responses.create
    told = ""
    for number in range(1, times + 1):
        try:
            create(**{"model": "gpt-5", "input": f"number {number}", **options})
        except antiphon.InternalServerError:
            told += "x"
        else:
            told += "."
        fake.clock.advance(step)
    return told


@pytest.mark.parametrize(
    ("when", "told"),
    [
        (always(), "xxxxxx"),
        (once(), "x....."),
        (nth(3), "..x..."),
        (nth(2, 5), ".x..x."),
        (every(2), ".x.x.x"),
        (until(2), "xx...."),
        (after(4), "....xx"),
        (~once(), ".xxxxx"),
        (nth(1) | nth(4), "x..x.."),
        (after(1) & until(3), ".xx..."),
        (until(3) & ~nth(2), "x.x..."),
        (~(once() | nth(6)), ".xxxx."),
        (percentage(0), "......"),
        (percentage(100), "xxxxxx"),
        ("once", "x....."),
        ("nth=2 5", ".x..x."),
        ({"type": "every", "n": 3}, "..x..x"),
        ([after(1), "until=3"], ".xx..."),
        (lambda asked: "4" in asked.text, "...x.."),
    ],
)
def test_by_number(when: Any, told: str) -> None:
    assert struck(when) == told


def test_chance_is_the_same_for_a_seed() -> None:
    def told(when: Any, seed: int = 0) -> str:
        return struck(when, 40, fake=FakeOpenAI("echo", seed=seed))

    assert told(percentage(30, seed=7)) == told(percentage(30, seed=7), seed=5)
    assert told(percentage(30, seed=7)) != told(percentage(30, seed=8))
    assert told(percentage(30)) == told(percentage(30))
    assert told(percentage(30)) != told(percentage(30), seed=5)
    assert 4 < told(percentage(30, seed=7)).count("x") < 20


def test_what_counts_counts_what_everything_else_is_for() -> None:
    third = matching(text=re.compile("[2-6]"))
    assert struck(once() & third) == struck(third & once()) == ".x...."
    assert struck(nth(2) & third) == "..x..."
    assert struck([once(), third]) == ".x...."
    assert struck("once; text=/[2-6]/") == ".x...."
    assert struck({"type": "once", "trigger": {"type": "matching", "text": {"matches": "[2-6]"}}}) == ".x...."


def test_a_trigger_begins_anew_with_each_fault() -> None:
    when = once()
    assert struck(when) == struck(when) == "x....."


@pytest.mark.parametrize(
    ("when", "told"),
    [
        (until("25s"), "xxx..."),
        (after("30s"), "...xxx"),
        (until(datetime(2026, 11, 28, 12, 0, 20, tzinfo=UTC)), "xx...."),
        (after("2026-11-28T12:00:40Z"), "....xx"),
        (after("2026-11-28T12:00:40"), "....xx"),
        (between("12:00:10", "12:00:30"), ".xx..."),
        (between(time(12, 0, 10), time(12, 0, 30)), ".xx..."),
        (between("12:00:30", "12:00:10"), "x..xxx"),  # over midnight
        (between("2026-11-28T12:00:10Z", "2026-11-28T12:00:30Z"), ".xx..."),
        (once() & after("30s"), "...x.."),
        ("between=12:00:10, end=12:00:30", ".xx..."),
    ],
)
def test_by_the_clock(when: Any, told: str) -> None:
    assert struck(when, step=10) == told


@pytest.mark.parametrize(
    ("conditions", "holds"),
    [
        ({"model": "gpt-*"}, True),
        ({"model": "gpt-4"}, False),
        ({"text": exactly("number 1")}, True),
        ({"operation": "responses.create"}, True),
        ({"operation": "chat.*"}, False),
        ({"stream": False}, True),
        ({"stream": True}, False),
        ({"headers": {"x-case": "one"}}, True),
        ({"body": {"store": False}}, True),
        ({"predicate": lambda asked: asked.turn == 1}, True),
    ],
)
def test_by_what_is_asked(conditions: Any, holds: bool) -> None:
    options: Any = {"extra_headers": {"x-case": "one"}, "store": False}
    assert struck(matching(**conditions), 1, **options) == ("x" if holds else ".")
    assert struck(~matching(**conditions), 1, **options) == ("." if holds else "x")


def test_whether_a_stream_is_asked_for() -> None:
    fake = FakeOpenAI("echo")
    fake.misbehave(ReturnStatus(500), when=matching(stream=True))
    client = fake.client(max_retries=0)
    stored = client.responses.create(model="gpt-5", input="Hi", background=True)
    client.responses.retrieve(stored.id)
    with pytest.raises(antiphon.InternalServerError):
        client.responses.retrieve(stored.id, stream=True)
    with pytest.raises(antiphon.InternalServerError):
        client.completions.create(model="gpt-5", prompt="Hi", stream=True)


@pytest.mark.parametrize(
    ("trigger", "holds"),
    [
        (addressed("post"), True),
        (addressed("GET"), False),
        (addressed(path="/v1/resp.*"), True),
        (addressed(path="/v1/resp"), False),
        (addressed(headers={"x-case": "o.e"}), True),
        (addressed(headers={"x-none": ".*"}), False),
        (addressed(queries={"deployment": "a|b"}), True),
        (addressed(body=".*number 1.*"), True),
        (addressed(body=".*number 2.*"), False),
    ],
)
def test_by_how_it_goes_over_the_wire(trigger: Trigger, holds: bool) -> None:
    options: Any = {"extra_headers": {"x-case": "one"}, "extra_query": {"deployment": "b"}}
    assert struck(trigger, 1, **options) == ("x" if holds else ".")


def test_by_attempts() -> None:
    fake = FakeOpenAI("echo", clock=VirtualClock())
    fake.misbehave(ReturnStatus(503), when=attempt(2))
    client = fake.client(max_retries=2)
    for _ in range(2):
        assert client.responses.create(model="gpt-5", input="Hi").output_text == "Hi"
    assert [each.status for each in fake.journal] == [503, 503, 200] * 2


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nth(0), r"nth is the number of a request, or several, the first being 1, not \(0,\)"),
        (nth, "nth is the number of a request"),
        (lambda: every(0), "every: n is a whole number, at least 1, not 0"),
        (lambda: percentage(120), "percentage: percent is a number, from 0 to 100, not 120"),
        (lambda: percentage(5, seed=1.5), "percentage: seed is a number or a text"),  # type: ignore[arg-type]
        (lambda: until("soon"), "until takes a number of requests, a time such as '30s'"),
        (lambda: after(-1), "after takes a number of requests"),
        (lambda: between("9", "nine"), "between takes times such as '09:00'"),
        (lambda: between("09:00", NOON), "between takes two times of a day or two moments"),
        (lambda: between(NOON, NOON), "between takes the earlier moment first"),
        (matching, "matching needs a condition"),
        (lambda: matching(turn=0), "turn is a number, 1 for the first"),
        (lambda: matching(stream="yes"), "stream of matching is True or False"),  # type: ignore[arg-type]
        (lambda: addressed(path="("), "is no pattern of a request"),
        (lambda: addressed(headers=["x"]), "queries and headers of a request map names"),  # type: ignore[arg-type]
        (lambda: attempt(0), "attempt: most is a whole number, at least 1"),
        (lambda: once() & 5, "a trigger is once"),  # type: ignore[operator]
        (lambda: ReturnStatus(500).when(None), "a trigger is once"),  # type: ignore[arg-type]
        (lambda: ReturnStatus(500).when(once), r"a trigger is what once\(…\) gives, not once itself"),
    ],
)
def test_bad_triggers_are_refused_when_made(make: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        make()


simple = st.one_of(
    st.just(always()),
    st.just(once()),
    st.builds(lambda n: nth(*n), st.lists(st.integers(1, 9), min_size=1, max_size=3)),
    st.builds(every, st.integers(1, 9)),
    st.builds(until, st.one_of(st.integers(0, 9), st.sampled_from(["3s", "1m", "2027-01-01T00:00:00Z"]))),
    st.builds(after, st.integers(0, 9)),
    st.builds(lambda p, s: percentage(p, seed=s), st.integers(0, 100), st.none() | st.integers()),
    st.builds(lambda model: matching(model=model), st.text("gpt-4*", min_size=1)),
    st.builds(lambda text: matching(text=exactly(text), stream=True), st.text(min_size=1)),
    st.builds(addressed, st.sampled_from(["GET", "POST"]), st.just("/v1/.*")),
    st.builds(attempt, st.integers(1, 3)),
)
triggers = st.recursive(
    simple,
    lambda inner: st.one_of(
        st.builds(lambda a, b: a & b, inner, inner),
        st.builds(lambda a, b: a | b, inner, inner),
        st.builds(lambda a: ~a, inner),
    ),
    max_leaves=5,
)


@given(triggers)
def test_triggers_can_be_told_as_json(trigger: Trigger) -> None:
    assert trigger_of(trigger.to_dict()) == trigger
    fault = ReturnStatus(503).when(trigger)
    assert fault_of(fault.to_dict()) == fault


@given(simple, simple)
def test_joining_has_no_order_for_what_does_not_count(one: Trigger, other: Trigger) -> None:
    third = matching(text=re.compile("[135]"))
    assert struck(one & third, 5) == struck(third & one, 5)
    told, either = struck(other, 5), struck(other | other, 5)
    assert told == either
    assert struck(~~other, 5) == told
