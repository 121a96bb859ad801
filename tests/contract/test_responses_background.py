"""Responses that are made in the background: they go on with the clock, and are polled, followed and cancelled."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import antiphon
from antiphon.server.clock import VirtualClock

MODEL = "gpt-5"
SLOW = pytest.mark.fake(clock=VirtualClock(), job_seconds=8)
"""Queued for two seconds and in progress for six, by a clock that the test moves."""


async def begin(api: Any, **options: Any) -> Any:
    return await api.call("responses.create", **{"model": MODEL, "input": "Hello", "background": True, **options})


async def look(api: Any, response: Any, **options: Any) -> Any:
    return await api.call("responses.retrieve", response.id, **options)


async def test_it_is_done_soon(api: Any) -> None:
    response = await begin(api)
    assert (response.status, response.background, response.output, response.usage) == ("queued", True, [], None)
    for _ in range(200):
        response = await look(api, response)
        if response.status not in ("queued", "in_progress"):
            break
        await asyncio.sleep(0.02)
    assert response.status == "completed"
    assert response.output_text
    assert response.completed_at >= response.created_at
    assert response.usage.output_tokens > 0


@SLOW
async def test_it_goes_on_with_the_clock(api: Any) -> None:
    tool = {"type": "code_interpreter", "container": {"type": "auto"}}
    first = await begin(api, input="code_interpreter 2+2", tools=[tool], metadata={"a": "b"})
    api.fake.clock.advance(1)
    assert (await look(api, first)).status == "queued"
    api.fake.clock.advance(1)
    response = await look(api, first)
    assert (response.status, response.output, response.metadata) == ("in_progress", [], {"a": "b"})
    api.fake.clock.advance(5)
    response = await look(api, first)
    # What is finished of the output is there already.
    assert (response.status, [item.type for item in response.output]) == ("in_progress", ["code_interpreter_call"])
    api.fake.clock.advance("24h")
    response = await look(api, first)
    assert response.status == "completed"
    assert [item.type for item in response.output] == ["code_interpreter_call", "message"]
    assert response.completed_at == first.created_at + 8
    assert (await look(api, first)).to_dict() == response.to_dict()


@SLOW
async def test_it_is_followed_and_taken_up_again(api: Any) -> None:
    stream = await begin(api, stream=True)
    first = await api.items(stream, most=6)
    await api.settled(stream.close())
    key = first[0].response.id
    assert [event.type for event in first[:3]] == ["response.created", "response.queued", "response.in_progress"]
    assert first[0].response.status == "queued"
    rest = await api.items(await api.call("responses.retrieve", key, stream=True, starting_after=5))
    assert [event.sequence_number for event in [*first, *rest]] == list(range(len(first) + len(rest)))
    assert rest[-1].type == "response.completed"
    again = await api.items(await api.call("responses.retrieve", key, stream=True))
    assert [event.to_dict() for event in again] == [event.to_dict() for event in [*first, *rest]]
    assert rest[-1].response.output_text == (await api.call("responses.retrieve", key)).output_text


@SLOW
async def test_it_is_cancelled(api: Any) -> None:
    first = await begin(api)
    gone = await api.call("responses.cancel", first.id)
    assert (gone.status, gone.output) == ("cancelled", [])
    api.fake.clock.advance("1h")
    assert (await look(api, first)).status == "cancelled"
    # To cancel it again, or once it has ended, changes nothing.
    assert (await api.call("responses.cancel", first.id)).status == "cancelled"
    done = await begin(api)
    api.fake.clock.advance("1h")
    assert (await api.call("responses.cancel", done.id)).status == "completed"
    plain = await begin(api, background=False)
    with pytest.raises(api.errors.BadRequestError, match="Cannot cancel a synchronous response"):
        await api.call("responses.cancel", plain.id)
    with pytest.raises(api.errors.NotFoundError, match="Response with id 'resp_no' not found"):
        await api.call("responses.cancel", "resp_no")


@SLOW
async def test_what_was_finished_stays_when_it_is_cancelled(api: Any) -> None:
    tool = {"type": "code_interpreter", "container": {"type": "auto"}}
    first = await begin(api, input="code_interpreter 2+2", tools=[tool])
    api.fake.clock.advance(2)
    await look(api, first)
    api.fake.clock.advance(5)
    gone = await api.call("responses.cancel", first.id)
    assert [item.type for item in gone.output] == ["code_interpreter_call"]
    events = await api.items(await api.call("responses.retrieve", first.id, stream=True))
    assert events[-1].type == "response.output_item.done"


@SLOW
async def test_it_is_deleted_under_way(api: Any) -> None:
    first = await begin(api)
    api.fake.clock.advance(2)
    await look(api, first)
    await api.call("responses.delete", first.id)
    api.fake.clock.advance(10)
    with pytest.raises(api.errors.NotFoundError):
        await look(api, first)


@SLOW
async def test_nothing_goes_on_from_one_that_is_under_way(api: Any) -> None:
    first = await begin(api)
    with pytest.raises(api.errors.BadRequestError, match="still queued") as caught:
        await begin(api, background=False, previous_response_id=first.id)
    assert caught.value.param == "previous_response_id"
    api.fake.clock.advance(8)
    await look(api, first)
    following = await begin(api, background=False, previous_response_id=first.id)
    assert following.status == "completed"
    items = await api.items(await api.call("responses.input_items.list", following.id, order="asc"))
    assert [item.role for item in items] == ["user", "assistant", "user"]


@SLOW
async def test_a_conversation_is_locked_until_it_has_ended(api: Any) -> None:
    conversation = await api.call("conversations.create", items=[{"role": "user", "content": "Before"}])
    first = await begin(api, conversation=conversation.id)
    for locked in (
        begin(api, background=False, conversation=conversation.id),
        api.call("conversations.items.create", conversation.id, items=[{"role": "user", "content": "Now"}]),
    ):
        with pytest.raises(api.errors.BadRequestError, match="Another process is currently operating") as caught:
            await locked
        assert caught.value.code == "conversation_locked"
    assert len(await api.items(await api.call("conversations.items.list", conversation.id))) == 1
    api.fake.clock.advance(8)
    done = await look(api, first)
    items = await api.items(await api.call("conversations.items.list", conversation.id, order="asc"))
    assert [item.role for item in items] == ["user", "user", "assistant"]
    assert items[-1].id == done.output[-1].id


async def test_it_has_to_be_stored(api: Any) -> None:
    with pytest.raises(api.errors.BadRequestError, match="'background' requires 'store'") as caught:
        await begin(api, store=False)
    assert caught.value.param == "store"


def failing(request: Any) -> Any:
    raise antiphon.RateLimitError.because("Slow down", code="rate_limit_exceeded")


def broken(request: Any) -> Any:
    raise ZeroDivisionError


@pytest.mark.fake(engines={"failing": failing, "broken": broken}, clock=VirtualClock(), job_seconds=8)
@pytest.mark.parametrize(
    ("model", "code", "message"),
    [
        ("failing", "rate_limit_exceeded", "Slow down"),
        ("broken", "server_error", "The server had an error while processing your request. Sorry about that!"),
    ],
)
async def test_an_engine_that_fails_is_a_failed_response(api: Any, model: str, code: str, message: str) -> None:
    first = await begin(api, model=model)
    assert first.status == "queued"
    api.fake.clock.advance(10)
    response = await look(api, first)
    assert (response.status, response.error.code, response.error.message) == ("failed", code, message)
    events = await api.items(await api.call("responses.retrieve", first.id, stream=True))
    assert events[-1].type == "response.failed"


@pytest.mark.fake(latency=(30, 0.5), clock=VirtualClock())
async def test_an_engine_with_latency_takes_its_time(api: Any) -> None:
    first = await begin(api)
    api.fake.clock.advance(20)
    assert (await look(api, first)).status == "in_progress"
    api.fake.clock.advance(100)
    assert (await look(api, first)).status == "completed"


@SLOW
async def test_a_snapshot_carries_it(api: Any) -> None:
    first = await begin(api)
    before = api.fake.snapshot()
    api.fake.clock.advance(8)
    done = await look(api, first)
    api.fake.restore(before)
    assert (await look(api, first)).to_dict() == done.to_dict()
    assert done.status == "completed"
    api.fake.reset()
    with pytest.raises(api.errors.NotFoundError):
        await look(api, first)
