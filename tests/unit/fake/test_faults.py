"""Faults: what goes wrong in a fake, and what clients make of it."""

from __future__ import annotations

from typing import Any

import pytest

import antiphon
from antiphon import FakeOpenAI
from antiphon.fake.faults import (
    Decline,
    Delay,
    EmptyBody,
    ErrorEvent,
    MalformedJSON,
    Nothing,
    RateLimit,
    ReturnResponse,
    ReturnStatus,
    SlowFirstToken,
    SnipRequest,
    Stall,
    Truncate,
    UnknownEvents,
    UnknownFields,
    WrongContentType,
    always,
    matching,
    nth,
    once,
)
from antiphon.server.clock import VirtualClock


def chat(fake: FakeOpenAI, text: str = "Hello", **options: Any) -> Any:
    create: Any = fake.client(max_retries=0).chat.completions.create
    return create(**{"model": "gpt-5", "messages": [{"role": "user", "content": text}], **options})


def said(fake: FakeOpenAI, text: str = "Hello", **options: Any) -> Any:
    return chat(fake, text, **options).choices[0].message.content


def streamed(fake: FakeOpenAI, text: str = "one two three four") -> list[Any]:
    return list(fake.client(max_retries=0).responses.create(model="gpt-5", input=text, stream=True))


def status(fake: FakeOpenAI, **options: Any) -> int:
    try:
        chat(fake, **options)
    except antiphon.APIStatusError as error:
        return error.status_code
    return 200


def test_a_fake_misbehaves_until_it_behaves() -> None:
    fake = FakeOpenAI("echo")
    fake.misbehave()
    assert status(fake) == 500
    fake.misbehave(ReturnStatus(503))  # in place of the other
    assert [status(fake), status(fake)] == [503, 503]
    fake.return_status(404)
    assert status(fake) == 404
    fake.behave()
    assert said(fake) == "Hello"
    assert len(fake.faults) == 0


def test_an_error_is_as_the_api_has_it() -> None:
    fake = FakeOpenAI("echo")
    fake.misbehave(
        ReturnStatus(
            418, "No tea", code="teapot", error_type="kettle", param="leaf", retry_after=2.5, headers={"x-tea": "no"}
        )
    )
    with pytest.raises(antiphon.APIStatusError) as caught:
        chat(fake)
    error = caught.value
    assert (error.status_code, error.code, error.type, error.param) == (418, "teapot", "kettle", "leaf")
    assert error.body == {"message": "No tea", "code": "teapot", "type": "kettle", "param": "leaf"}
    headers = error.response.headers
    assert (headers["retry-after"], headers["x-tea"]) == ("2.5", "no")
    assert headers["x-request-id"] and headers["openai-version"]


def test_a_fault_is_journalled_and_explained() -> None:
    fake = FakeOpenAI("echo")
    fault = ReturnStatus(503).when(once())
    misbehaviour = fake.misbehave(fault, Delay(0.0))
    assert [status(fake), status(fake)] == [503, 200]
    first, second = fake.journal
    assert first.status == 503
    assert str(first.fault) == "ReturnStatus(503), when once() and Delay(0.0)"
    assert first.answered_by == f"fault {first.fault}"
    assert repr(first).endswith("-> 503, struck by ReturnStatus(503), when once() and Delay(0.0)>")
    assert str(second.fault) == "Delay(0.0)"
    assert [each.strikes for each in misbehaviour.faults] == [1, 2]
    assert misbehaviour.strikes == 3
    told = fake.explain(second)
    assert "fault ReturnStatus(503), when once(): no: it is over" in told
    assert "fault Delay(0.0): strikes" in told
    fake.behave()
    chat(fake)
    assert fake.journal[-1].fault is None
    assert "fault" not in fake.explain(fake.journal[-1])


def test_why_a_fault_does_not_strike_is_explained() -> None:
    fake = FakeOpenAI("echo")
    fake.misbehave(
        ReturnStatus(500).when(matching(model="gpt-4o")),
        ReturnStatus(500).when(nth(3)),
        Truncate(after=1),
        Decline().when(~always()),
    )
    chat(fake)
    told = fake.explain(fake.journal[-1])
    assert "when matching(model='gpt-4o'): no: model is 'gpt-5', not 'gpt-4o'" in told
    assert "when nth(3): no: it would be number 2, and the fault strikes number 3" in told
    assert "Truncate(1): no: it is not for such requests" in told
    assert "when ~always(): no: always() holds" in told
    told = fake.explain({"model": "gpt-4o", "input": "Hi", "stream": True})
    assert "when matching(model='gpt-4o'): strikes" in told
    assert "Truncate(1): strikes" in told


def test_a_block_of_misbehaviour_leaves_what_was_before() -> None:
    fake = FakeOpenAI("echo", faults=["status=500; text=five"])
    with fake.misbehave(ReturnStatus(503)):
        assert status(fake) == 503
        with fake.misbehave(ReturnStatus(429), when=matching(text="Hello")) as inner:
            assert status(fake) == 429
        assert inner.strikes == 1
        assert status(fake) == 503
    assert status(fake) == 200
    assert status(fake, text="five") == 500


def test_faults_are_added_and_removed_one_by_one() -> None:
    fake = FakeOpenAI("echo")
    first = fake.faults.add(ReturnStatus(503), when=matching(text="a"))
    fake.faults.add("status=429; text=b")
    assert [status(fake, text=each) for each in "abc"] == [503, 429, 200]
    fake.faults.remove(first)
    assert [status(fake, text=each) for each in "abc"] == [200, 429, 200]
    assert repr(fake.faults) == "<Faults: ReturnStatus(429), when matching(text='b')>"


def test_a_reset_goes_back_to_the_faults_of_the_beginning() -> None:
    fake = FakeOpenAI("echo", faults=ReturnStatus(503).when(once()))
    assert [status(fake), status(fake)] == [503, 200]
    fake.misbehave(ReturnStatus(500))
    fake.reset()
    assert [status(fake), status(fake)] == [503, 200]


def test_stages_follow_each_other() -> None:
    fake = FakeOpenAI("echo")
    fake.misbehave(ReturnStatus(503).until(2).then(Nothing().until(1)).then(ReturnStatus(429).when(once())))
    assert [status(fake) for _ in range(6)] == [503, 503, 200, 429, 200, 200]
    fake.misbehave(ReturnStatus(503).when(once()).then(Nothing().until(1)).repeated())
    assert [status(fake) for _ in range(5)] == [503, 200, 503, 200, 503]
    fake.misbehave(ReturnStatus(503).until(lambda asked: "stop" in asked.text))
    assert [status(fake), status(fake, text="stop"), status(fake)] == [503, 200, 503]


def test_what_is_not_struck_is_not_counted() -> None:
    fake = FakeOpenAI("echo")
    fake.misbehave(Truncate(after=2), when=once())
    client = fake.client()
    client.models.list()
    chat(fake)
    assert len(streamed(fake)) == 2
    assert len(streamed(fake)) > 2


def test_behaviours_happen_together() -> None:
    clock = VirtualClock()
    fake = FakeOpenAI("echo", clock=clock)
    fake.misbehave(Delay(2) & ReturnStatus(503) & WrongContentType("text/plain"))
    began = clock.now()
    with pytest.raises(antiphon.InternalServerError) as caught:
        chat(fake)
    assert clock.now() - began == 2
    assert caught.value.response.headers["content-type"] == "text/plain"


def test_a_delay_is_longer_than_patience() -> None:
    fake = FakeOpenAI("echo", clock=VirtualClock())
    fake.misbehave(Delay(60))
    with pytest.raises(antiphon.APITimeoutError):
        fake.client(max_retries=0, timeout=5).models.list()
    exchange = fake.journal[-1]
    assert (exchange.status, exchange.left_early) == (None, True)


def test_a_delay_by_chance_is_the_same_for_a_seed() -> None:
    def waited(seed: int) -> list[float]:
        clock = VirtualClock(0)
        fake = FakeOpenAI("echo", clock=clock, seed=seed)
        fake.misbehave(Delay(1, most=3))
        times: list[float] = []
        for _ in range(4):
            began = clock.now()
            chat(fake)
            times.append(round(clock.now() - began, 3))
        return times

    assert waited(1) == waited(1) != waited(2)
    assert all(1 <= each <= 3 for each in waited(1))
    assert len(set(waited(1))) == 4


def test_retry_after_is_true() -> None:
    clock = VirtualClock()
    fake = FakeOpenAI("echo", clock=clock)
    fake.misbehave(RateLimit(20), when=once())

    def refused() -> tuple[str, str]:
        with pytest.raises(antiphon.RateLimitError) as caught:
            chat(fake)
        assert caught.value.code == "rate_limit_exceeded"
        assert caught.value.response.headers["x-ratelimit-remaining-requests"] == "0"
        return caught.value.response.headers["retry-after"], caught.value.response.headers["retry-after-ms"]

    assert refused() == ("20", "20000")
    clock.advance("12.5s")
    assert refused() == ("8", "7500")
    clock.advance("7.5s")
    assert said(fake) == "Hello"
    fake.misbehave(RateLimit(2, limit="tokens"))  # again and again, but never for who waited
    for _ in range(3):
        with pytest.raises(antiphon.RateLimitError):
            chat(fake)
        clock.advance(2)
        assert said(fake) == "Hello"


def test_a_client_that_waits_gets_through() -> None:
    clock = VirtualClock()
    fake = FakeOpenAI("echo", clock=clock)
    fake.misbehave(RateLimit(7), when=once())
    began = clock.now()
    assert fake.client().responses.create(model="gpt-5", input="Hi").output_text == "Hi"
    assert clock.now() - began >= 7
    assert [each.status for each in fake.journal] == [429, 200]


def test_a_quota_promises_nothing() -> None:
    fake = FakeOpenAI("echo")
    fake.misbehave(RateLimit(limit="quota"))
    with pytest.raises(antiphon.RateLimitError) as caught:
        chat(fake)
    assert caught.value.code == "insufficient_quota"
    assert "retry-after" not in caught.value.response.headers


def test_a_response_of_ones_own_is_sent_as_it_is() -> None:
    fake = FakeOpenAI("echo")
    fake.misbehave(ReturnResponse(502, "<h1>Bad gateway</h1>", {"content-type": "text/html"}))
    with pytest.raises(antiphon.InternalServerError) as caught:
        chat(fake)
    assert caught.value.body == "<h1>Bad gateway</h1>"
    assert caught.value.response.headers.multi_items() == [("content-type", "text/html")]


def body_of(fake: FakeOpenAI, **options: Any) -> tuple[str, bytes]:
    import httpx2

    with httpx2.Client(transport=fake.official_transport(), base_url="http://fake.test/v1") as client:
        answer = client.post(
            "/responses",
            json={"model": "gpt-5", "input": "Hello there", **options},
            headers={"authorization": "Bearer x"},
        )
        return answer.headers["content-type"], answer.content


def test_bodies() -> None:
    import json

    fake = FakeOpenAI("echo")
    _, good = body_of(fake)
    fake.misbehave(EmptyBody())
    assert body_of(fake) == ("application/json", b"")
    fake.misbehave(Truncate())
    _, body = body_of(fake)
    assert len(body) == len(good) // 2
    fake.misbehave(Truncate(after_bytes=7))
    assert body_of(fake)[1] == good[:7]
    assert len(body_of(fake, stream=True)[1]) == 7
    fake.misbehave(MalformedJSON())
    _, body = body_of(fake)
    assert body and good.split(b'"id"')[0] in body
    with pytest.raises(ValueError):
        json.loads(body)
    fake.misbehave(WrongContentType())
    kind, body = body_of(fake)
    assert kind == "text/html; charset=utf-8"
    assert json.loads(body)["output"]
    fake.misbehave(WrongContentType("text/plain", "Nobody is here"))
    assert body_of(fake) == ("text/plain", b"Nobody is here")
    fake.misbehave(SnipRequest(12))
    with pytest.raises(antiphon.BadRequestError, match="parse the JSON"):
        chat(fake)


def test_unknown_fields_are_everywhere_but_in_what_is_the_callers() -> None:
    fake = FakeOpenAI("echo")
    fake.misbehave(UnknownFields())
    answer = fake.client().responses.create(model="gpt-5", input="Hello", metadata={"mine": "1"})
    assert answer.output_text == "Hello"
    assert answer.metadata == {"mine": "1"}
    told = answer.to_dict()
    assert sum(name.startswith("surprise_") for name in told) == 1
    assert any(name.startswith("surprise_") for name in told["output"][0])
    events = streamed(fake)
    assert events[-1].response.output_text == "one two three four"
    assert all(any(name.startswith("surprise_") for name in event.to_dict()) for event in events)


def test_times_of_streams() -> None:
    clock = VirtualClock(0)
    fake = FakeOpenAI("echo", clock=clock)
    fake.misbehave(SlowFirstToken(4) & Stall(3, after=2))
    began = clock.now()
    answer = fake.client().responses.create(model="gpt-5", input="one two", stream=True)
    assert clock.now() == began  # the answer has begun
    times = [clock.now() - began for _ in answer]
    assert times[:3] == [4, 4, 7]
    assert [at for at, _ in fake.journal[-1].pieces[:3]] == [4, 4, 7]


def test_a_stall_is_longer_than_patience() -> None:
    fake = FakeOpenAI("echo", clock=VirtualClock())
    fake.misbehave(Stall(60, after=3))
    stream = fake.client(max_retries=0, timeout=5).responses.create(model="gpt-5", input="one two", stream=True)
    seen: list[Any] = []
    with pytest.raises(antiphon.APITimeoutError):
        seen.extend(event.type for event in stream)
    assert len(seen) == len(fake.journal[-1].events) == 3
    assert fake.journal[-1].left_early


def test_an_error_in_the_middle_of_a_stream() -> None:
    fake = FakeOpenAI("echo")
    fake.misbehave(ErrorEvent(after=2, message="Out of breath", code="breathless"))
    events = fake.client(max_retries=0).responses.create(model="gpt-5", input="one two three", stream=True)
    last = list(events)[-1]
    assert (last.type, last.code, last.message, last.sequence_number) == ("error", "breathless", "Out of breath", 2)
    chunks = chat(fake, "one two three", stream=True)
    seen = [next(chunks), next(chunks)]
    with pytest.raises(antiphon.APIError, match="Out of breath") as caught:
        next(chunks)
    assert len(seen) == 2
    assert caught.value.code == "breathless"


def test_malformed_events() -> None:
    fake = FakeOpenAI("echo")
    fake.misbehave(MalformedJSON(after=2))
    seen: list[str] = []
    stream = fake.client(max_retries=0).responses.create(model="gpt-5", input="one", stream=True)
    with pytest.raises(antiphon.APIError, match="not JSON"):
        seen.extend(event.type for event in stream)
    assert seen == ["response.created", "response.in_progress"]


def test_unknown_events_are_passed_over_by_who_looks_at_types() -> None:
    fake = FakeOpenAI("echo")
    fake.misbehave(UnknownEvents(every=2))
    events = streamed(fake)
    strange = [event for event in events if event.type.startswith("antiphon.surprise_")]
    assert strange
    assert (
        "".join(event.delta for event in events if event.type == "response.output_text.delta") == "one two three four"
    )
    chunks = list(chat(fake, "one two", stream=True))
    assert any(chunk.object == "antiphon.surprise" and chunk.choices == [] for chunk in chunks)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == "one two"


async def test_async_clients_see_the_same() -> None:
    fake = FakeOpenAI("echo", clock=VirtualClock())
    client = fake.async_client(max_retries=0)
    fake.misbehave(Delay(3) & ReturnStatus(503))
    with pytest.raises(antiphon.InternalServerError):
        await client.responses.create(model="gpt-5", input="Hi")
    fake.misbehave(Truncate(after=2))
    stream = await client.responses.create(model="gpt-5", input="Hi", stream=True)
    assert len([event async for event in stream]) == 2


def test_a_browser_may_ask_whether_it_may_ask() -> None:
    import httpx2

    fake = FakeOpenAI(faults=ReturnStatus(500))
    with httpx2.Client(transport=fake.official_transport(), base_url="http://fake.test/v1") as client:
        assert client.options("/responses").status_code == 204


def test_a_journal_is_not_needed() -> None:
    fake = FakeOpenAI("echo", journal=0)
    fake.misbehave(ReturnStatus(503), when=once())
    assert [status(fake), status(fake)] == [503, 200]


def test_a_fake_without_faults_is_not_in_their_way() -> None:
    fake = FakeOpenAI("echo")
    plain = fake.server._answered
    with fake.misbehave(ReturnStatus(500)):
        assert fake.server._answered is not plain
    assert not fake.faults._filtering
    fake.faults.header = True
    assert fake.faults._filtering


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ReturnStatus(99), r"status: status is a whole number, from 200 to 599, not 99"),
        (lambda: ReturnStatus("503"), r"status: status is a whole number"),  # type: ignore[arg-type]
        (lambda: ReturnStatus(500, retry_after=-1), r"status: retry_after is a number, at least 0, not -1"),
        (lambda: ReturnStatus(500, headers={"a": 1}), r"status: headers map names to texts"),  # type: ignore[dict-item]
        (lambda: ReturnStatus(500, message=5), r"status: message is a text, not 5"),  # type: ignore[arg-type]
        (lambda: Delay(-1), r"latency: seconds is a number of seconds from 0 to 86400, not -1"),
        (lambda: Delay(3, most=2), r"latency: most is at least as long as seconds, 3, not 2"),
        (lambda: RateLimit(limit="pages"), r"rate_limit: limit is requests, tokens or quota, not 'pages'"),
        (lambda: ReturnResponse(body={}), r"response: body is a text or bytes"),  # type: ignore[arg-type]
        (lambda: Truncate(after=1, after_bytes=2), r"truncate takes after or after_bytes"),
        (lambda: Truncate(after=True), r"truncate: after is a whole number"),
        (lambda: Stall(float("nan")), r"stall: seconds is a number of seconds"),
        (lambda: FakeOpenAI(faults="stauts=503"), r"there is no 'stauts' in a fault; did you mean 'status'\?"),
        (lambda: FakeOpenAI().misbehave(503), r"a fault is a behaviour such as ReturnStatus\(503\)"),  # type: ignore[arg-type]
        (lambda: FakeOpenAI().return_status(7), r"from 200 to 599, not 7"),
    ],
)
def test_bad_settings_are_refused_when_made(make: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        make()
