"""How long models take."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon import FakeOpenAI
from antiphon.cli import serve
from antiphon.engines.latency import PROFILES, Latency, Pacing, latencies_of, latency_of
from antiphon.fake import Latency as Offered
from antiphon.kernel.flow import World
from antiphon.server.clock import RealClock, VirtualClock
from antiphon.server.engine import ChatRequest

TEXT = "one two three four five"


def took(latency: Any, text: str = TEXT, *, model: str = "gpt-5", stream: bool = False, **options: Any) -> float:
    """The seconds of an answer, by a clock that stands still but for pauses."""
    clock = VirtualClock(0)
    fake = FakeOpenAI("echo", latency=latency, clock=clock, **options)
    answer = fake.client().responses.create(model=model, input=text, stream=stream)  # type: ignore[call-overload]
    if stream:
        for _ in answer:
            pass
    return round(clock.now(), 6)


@pytest.mark.parametrize("stream", [False, True])
def test_a_first_token_and_further_ones(stream: bool) -> None:
    assert took(0, stream=stream) == 0
    assert took(0.5, stream=stream) == 0.5
    assert took("500ms", stream=stream) == 0.5
    assert took((0.5, 0.1), stream=stream) == pytest.approx(0.9)
    assert took(Latency(first=0.5, each=0.1), stream=stream) == pytest.approx(0.9)
    assert took("0.5/0.1", stream=stream) == pytest.approx(0.9)
    assert took("first=0.5, each=0.1", stream=stream) == pytest.approx(0.9)
    assert took("instant", stream=stream) == 0


def test_the_prompt_takes_time_too() -> None:
    short, long = took(Latency(prefill=0.01)), took(Latency(prefill=0.01), TEXT * 20)
    assert short == pytest.approx(0.05)
    assert long > 10 * short
    assert took(Latency(first=1, prefill=0.01)) == pytest.approx(1.05)


def test_a_piece_counts_for_its_tokens() -> None:
    clock = VirtualClock(0)
    fake = FakeOpenAI(lambda request: iter(["one ", "two three four"]), latency=Latency(each=1), clock=clock)
    stream = fake.client().responses.create(model="gpt-5", input="x", stream=True)
    times = [clock.now() for event in stream if event.type == "response.output_text.delta"]
    assert times == [0, 3]


def test_times_vary_and_are_the_same_for_a_seed() -> None:
    shaky = Latency(first=1, each=0.1, jitter=0.3)
    assert took(shaky) == took(shaky) != took(shaky, seed=1)
    assert took(shaky) != took(shaky, "six seven eight nine ten")
    times = [took(Latency(first=1, jitter=0.3), f"number {number}") for number in range(60)]
    assert 0.8 < sum(times) / len(times) < 1.2
    assert len(set(times)) == 60
    assert min(times) > 0


def test_each_model_has_its_own() -> None:
    latency = {"gpt-4o*": 2, "gpt-4o-mini": "500ms", "*": (0.1, 0)}
    assert took(latency, model="gpt-4o") == 2
    assert took(latency, model="gpt-4o-mini") == 0.5
    assert took(latency, model="gpt-5") == 0.1
    assert took({"gpt-4o": 2}, model="gpt-5") == 0
    fake = FakeOpenAI(engines={"mine": "echo"}, latency={"mine": 3}, clock=VirtualClock(0))
    fake.client().responses.create(model="mine", input="x")
    assert fake.clock.now() == 3


def test_the_more_answers_are_under_way_the_longer_each_takes() -> None:
    pacing = Pacing(latencies_of(Latency(first=1, each=1, load=0.5)))
    tempo = pacing.begin(ChatRequest("m", [{"role": "user", "content": "x"}]))
    pacing.active = 1
    assert tempo.next(1, first=True) == 1
    pacing.active = 3
    assert tempo.next(1) == 2
    pacing.active = 1
    assert tempo.next(2) == 2


def test_answers_under_way_are_counted() -> None:
    fake = FakeOpenAI("echo", latency=Latency(first=1, load=1), clock=VirtualClock(0))
    client = fake.client()

    def stream() -> Any:
        return client.chat.completions.create(model="gpt-5", messages=[{"role": "user", "content": TEXT}], stream=True)

    one, two = stream(), stream()
    for _ in range(2):  # the role is told before there is a word
        next(one)
    began = fake.clock.now()
    for _ in range(2):
        next(two)
    assert fake.clock.now() - began == 2
    one.close()
    list(two)
    began = fake.clock.now()
    list(stream())
    assert fake.clock.now() - began == 1


def test_pauses_that_last_too_long_do_not_add_up() -> None:
    class Late(RealClock):
        """A clock whose pauses last a tenth of a second too long."""

        def __init__(self) -> None:
            super().__init__()
            self.time = 0.0

        def now(self) -> float:
            return self.time

        def world(self) -> World:
            clock = self

            class Sleepy(World):
                def sleep(self, seconds: float) -> None:
                    clock.time += seconds + 0.1

            return Sleepy()

    clock = Late()
    fake = FakeOpenAI("echo", latency=Latency(first=1, each=0.3), clock=clock)
    for _ in fake.client().responses.create(model="gpt-5", input=TEXT * 20, stream=True):
        pass
    tokens = len((TEXT * 20).split())
    assert clock.now() == pytest.approx(1 + 0.3 * (tokens - 1) + 0.1, abs=0.5)


def test_it_can_be_changed() -> None:
    fake = FakeOpenAI("echo", latency="typical", clock=VirtualClock(0))
    assert fake.latency == "typical"
    fake.latency = Offered(first=2)
    fake.client().responses.create(model="gpt-5", input="x")
    assert fake.clock.now() == 2
    with pytest.raises(ValueError, match="the name of a profile"):
        fake.latency = "slowish"
    assert fake.latency == Offered(first=2)


def test_latency_costs_no_real_time_under_a_virtual_clock_whoever_asks() -> None:
    fake = FakeOpenAI("echo", latency="overloaded", clock=VirtualClock(0))
    done: list[str] = []

    def ask(number: int) -> None:
        done.append(fake.client().responses.create(model="gpt-5", input=f"number {number}").output_text)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(20)
    assert sorted(done) == [f"number {number}" for number in range(4)]
    assert fake.clock.now() > 2


@pytest.mark.parametrize("name", PROFILES)
def test_profiles_take_what_they_say(name: str) -> None:
    assert (took(name) > 0) is (name != "instant")
    assert latency_of(name) is PROFILES[name]
    assert latency_of(PROFILES[name].to_dict()) == PROFILES[name]


def test_the_command_line_knows_the_profiles() -> None:
    assert tuple(PROFILES) == serve.PROFILES
    assert serve._latency("gpt-4o*=small") == ("gpt-4o*", PROFILES["small"])
    assert serve._latency("first=0.5, each=0.02") == ("*", Latency(0.5, 0.02))
    assert serve._latency("x=first=0.5") == ("x", Latency(0.5))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("x", r"or the name of a profile \(instant, small, typical, large, .*\), or a text such as '500ms'.*, not 'x'"),
        ("first=1, lst=2", "a latency has no 'lst'; it has first, each, prefill, jitter, load"),
        ("first=soon", "could not convert"),
        (-1, "a pause cannot be shorter than nothing: first is -1"),
        ((1, -1), "a pause cannot be shorter than nothing: each is -1"),
        ((1, 2, 3), "a latency is a number of seconds, a pair"),
        (None, r"a latency is a number of seconds, .* not None"),
        (True, "not True"),
        (float("nan"), "first of a latency is a number, not nan"),
        (float("inf"), "first of a latency is a number, not inf"),
        ({"gpt-5": "slowish"}, "not 'slowish'"),
        ({"gpt-5": {"frist": 1}}, "a latency has no 'frist'"),
    ],
)
def test_what_is_no_latency_is_refused(given: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        FakeOpenAI(latency=given)


@pytest.mark.parametrize("options", [{"jitter": 1.5}, {"load": -1}, {"prefill": "x"}])
def test_bad_settings_are_refused(options: Any) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        Latency(**options)


seconds = st.floats(0, 10)


@given(st.builds(Latency, seconds, seconds, seconds, st.floats(0, 1), seconds))
def test_latencies_can_be_told_as_json(latency: Latency) -> None:
    assert latency_of(latency.to_dict()) == latency


@given(st.floats(0, 5), st.floats(0, 1), st.integers(1, 30))
def test_a_stream_and_a_whole_answer_take_as_long(first: float, each: float, count: int) -> None:
    text = " ".join(["word"] * count)
    whole = took((first, each), text)
    assert took((first, each), text, stream=True) == pytest.approx(whole, abs=1e-3)
    assert whole == pytest.approx(first + each * (count - 1), abs=1e-3)
