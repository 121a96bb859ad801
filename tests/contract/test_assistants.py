"""Assistants: threads, messages, runs and their steps, polled, streamed, cancelled and left to expire."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from antiphon.kernel.errors import RateLimitError
from antiphon.kernel.flow import Pause
from antiphon.server.clock import VirtualClock
from antiphon.server.turns import (
    CodeInterpreter,
    FileSearch,
    Finish,
    Refusal,
    ToolArguments,
    ToolCall,
    Usage,
)

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
PICTURE = "data:image/png;base64,iVBORw0KGgo="


async def assistant(api: Any, **options: Any) -> str:
    made: str = (await api.call("beta.assistants.create", **{"model": "gpt-4o", **options})).id
    return made


async def thread(api: Any, *texts: str, **options: Any) -> str:
    messages = [{"role": "user", "content": text} for text in texts or ("Hello",)]
    made: str = (await api.call("beta.threads.create", messages=messages, **options)).id
    return made


async def over(api: Any, run: Any) -> Any:
    for _ in range(500):
        run = await api.call("beta.threads.runs.retrieve", run.id, thread_id=run.thread_id)
        if run.status not in ("queued", "in_progress", "cancelling"):
            return run
        await asyncio.sleep(0.02)
    raise AssertionError(run)


async def said(api: Any, thread_id: str) -> list[tuple[str, str]]:
    messages = await api.items(await api.call("beta.threads.messages.list", thread_id, order="asc"))
    return [(each.role, "".join(part.text.value for part in each.content if part.type == "text")) for each in messages]


async def steps(api: Any, run: Any, **options: Any) -> list[Any]:
    listed = await api.call("beta.threads.runs.steps.list", run.id, thread_id=run.thread_id, order="asc", **options)
    return await api.items(listed)


def names(events: list[Any]) -> list[str]:
    """The events of a stream by name, those that repeat once."""
    found = [event.event.removeprefix("thread.") for event in events]
    return [name for place, name in enumerate(found) if found[place - 1 : place] != [name]]


# Runs that speak


@pytest.mark.fake(engine="echo")
async def test_a_run_from_queue_to_message(api: Any) -> None:
    helper = await assistant(api, instructions="Be brief.", metadata={"team": "a"})
    talk = await thread(api, "Hello there")
    run = await api.call("beta.threads.runs.create", talk, assistant_id=helper, metadata={"n": "1"})
    assert (run.object, run.status, run.instructions, run.model) == ("thread.run", "queued", "Be brief.", "gpt-4o")
    assert run.id.startswith("run_")
    assert run.expires_at == run.created_at + 600
    assert (run.usage, run.started_at, run.completed_at, run.required_action) == (None, None, None, None)
    done = await over(api, run)
    assert done.status == "completed"
    assert done.created_at <= done.started_at <= done.completed_at
    assert done.expires_at is None
    assert done.metadata == {"n": "1"}
    assert done.usage.total_tokens == done.usage.prompt_tokens + done.usage.completion_tokens
    assert done.usage.completion_tokens == 2
    assert await said(api, talk) == [("user", "Hello there"), ("assistant", "Hello there")]
    message = (await api.items(await api.call("beta.threads.messages.list", talk, run_id=run.id)))[0]
    assert (message.run_id, message.assistant_id, message.status) == (run.id, helper, "completed")
    (step,) = await steps(api, done)
    assert (step.type, step.status) == ("message_creation", "completed")
    assert step.usage.to_dict() == done.usage.to_dict()
    assert step.step_details.message_creation.message_id == message.id
    same = await api.call("beta.threads.runs.steps.retrieve", step.id, thread_id=talk, run_id=run.id)
    assert same == step


@pytest.mark.fake(engine="echo")
async def test_the_helpers_poll_and_stream(api: Any) -> None:
    helper, talk = await assistant(api), await thread(api, "One")
    run = await api.call("beta.threads.runs.create_and_poll", thread_id=talk, assistant_id=helper, poll_interval_ms=10)
    assert run.status == "completed"
    manager = api.client.beta.threads.runs.stream(thread_id=talk, assistant_id=helper)
    if api.is_async:
        async with manager as stream:
            final, texts = await stream.get_final_run(), await stream.get_final_messages()
    else:
        with manager as stream:
            final, texts = stream.get_final_run(), stream.get_final_messages()
    assert final.status == "completed"
    assert texts[0].content[0].text.value == "One"
    both = await api.call(
        "beta.threads.create_and_run_poll",
        assistant_id=helper,
        thread={"messages": [{"role": "user", "content": "Two"}]},
        poll_interval_ms=10,
    )
    assert both.status == "completed"
    assert (await said(api, both.thread_id))[-1] == ("assistant", "Two")


@pytest.mark.fake(engine="echo")
async def test_the_events_of_a_message(api: Any) -> None:
    helper = await assistant(api)
    asked = {"messages": [{"role": "user", "content": "One two three"}]}
    stream = await api.call("beta.threads.create_and_run", assistant_id=helper, thread=asked, stream=True)
    events = await api.items(stream)
    assert names(events) == [
        "created",
        "run.created",
        "run.queued",
        "run.in_progress",
        "run.step.created",
        "run.step.in_progress",
        "message.created",
        "message.in_progress",
        "message.delta",
        "message.completed",
        "run.step.completed",
        "run.completed",
    ]
    deltas = [event.data.delta.content[0] for event in events if event.event == "thread.message.delta"]
    assert "".join(part.text.value for part in deltas) == "One two three"
    assert {part.index for part in deltas} == {0}
    last = events[-1].data
    assert last == await api.call("beta.threads.runs.retrieve", last.id, thread_id=events[0].data.id)
    assert [event.data.status for event in events if event.event.startswith("thread.run.step.")][:2] == [
        "in_progress",
        "in_progress",
    ]


@pytest.mark.fake(engine=lambda request: f"{request.instructions} | {request.temperature:.1f} | {request.model}")
async def test_what_a_run_overrides(api: Any) -> None:
    helper, talk = await assistant(api, instructions="Be kind.", temperature=0.5), await thread(api)

    async def answer(**options: Any) -> str:
        run = await over(api, await api.call("beta.threads.runs.create", talk, assistant_id=helper, **options))
        assert run.status == "completed"
        return (await said(api, talk))[-1][1]

    assert await answer() == "Be kind. | 0.5 | gpt-4o"
    assert await answer(instructions="Be terse.", model="gpt-4.1") == "Be terse. | 0.5 | gpt-4.1"
    assert await answer(additional_instructions="And quick.", temperature=0) == "Be kind.\nAnd quick. | 0.0 | gpt-4o"


@pytest.mark.fake(engine=lambda request: str(request.reasoning_effort))
async def test_how_hard_a_run_thinks(api: Any) -> None:
    helper, talk = await assistant(api, reasoning_effort="low"), await thread(api)
    await api.call("beta.assistants.update", helper, name="Thinker")
    for options, effort in (({}, "low"), ({"reasoning_effort": "high"}, "high")):
        await over(api, await api.call("beta.threads.runs.create", talk, assistant_id=helper, **options))
        assert (await said(api, talk))[-1] == ("assistant", effort)


@pytest.mark.fake(engine=lambda request: json.dumps([each["content"] for each in request.messages]))
async def test_what_a_run_reads_of_its_thread(api: Any) -> None:
    helper, talk = await assistant(api), await thread(api, "one", "two", "three")
    more = [{"role": "user", "content": "four"}, {"role": "assistant", "content": "five"}]
    run = await over(
        api, await api.call("beta.threads.runs.create", talk, assistant_id=helper, additional_messages=more)
    )
    read = json.loads((await said(api, talk))[-1][1])
    assert read == ["one", "two", "three", "four", "five"]
    last = {"type": "last_messages", "last_messages": 2}
    run = await over(
        api, await api.call("beta.threads.runs.create", talk, assistant_id=helper, truncation_strategy=last)
    )
    assert json.loads((await said(api, talk))[-1][1]) == ["five", json.dumps(read)]
    assert run.truncation_strategy.last_messages == 2


@pytest.mark.fake(engine=lambda request: str(len(request.messages)))
async def test_a_limited_prompt_loses_its_middle(api: Any) -> None:
    helper, talk = await assistant(api), await thread(api, *("word " * 60 for _ in range(10)))
    run = await api.call("beta.threads.runs.create", talk, assistant_id=helper, max_prompt_tokens=256)
    done = await over(api, run)
    assert done.status == "completed"
    assert (await said(api, talk))[-1][1] == "3"
    assert done.usage.prompt_tokens <= 256
    long = await thread(api, "word " * 400)
    run = await over(api, await api.call("beta.threads.runs.create", long, assistant_id=helper, max_prompt_tokens=256))
    assert (run.status, run.incomplete_details.reason) == ("incomplete", "max_prompt_tokens")


@pytest.mark.fake(engine=lambda request: "word " * 400)
async def test_a_limited_answer_is_incomplete(api: Any) -> None:
    helper, talk = await assistant(api), await thread(api)
    run = await api.call("beta.threads.runs.create", talk, assistant_id=helper, max_completion_tokens=256)
    done = await over(api, run)
    assert (done.status, done.incomplete_details.reason) == ("incomplete", "max_completion_tokens")
    assert done.usage.completion_tokens == 256
    message = (await api.items(await api.call("beta.threads.messages.list", talk)))[0]
    assert (message.status, message.incomplete_details.reason) == ("incomplete", "max_tokens")
    assert message.content[0].text.value == ("word " * 256).rstrip()
    events = await api.items(
        await api.call("beta.threads.runs.create", talk, assistant_id=helper, max_completion_tokens=256, stream=True)
    )
    assert names(events)[-3:] == ["message.incomplete", "run.step.completed", "run.incomplete"]


def declining(request: Any) -> Any:
    yield Refusal("I'd ")
    yield Refusal("rather not.")
    yield Usage(100, 7)


@pytest.mark.fake(engine=declining)
async def test_refusals_and_told_tokens(api: Any) -> None:
    helper, talk = await assistant(api), await thread(api)
    run = await over(api, await api.call("beta.threads.runs.create", talk, assistant_id=helper))
    message = (await api.items(await api.call("beta.threads.messages.list", talk)))[0]
    assert (message.content[0].type, message.content[0].refusal) == ("refusal", "I'd rather not.")
    assert (run.usage.prompt_tokens, run.usage.completion_tokens) == (100, 7)
    assert (await steps(api, run))[0].usage.to_dict() == run.usage.to_dict()


# Tools of the caller's


async def test_functions_are_called_and_answered(api: Any) -> None:
    helper = await assistant(api, tools=[WEATHER])
    talk = await thread(api, "What is the weather in Paris?")
    run = await over(api, await api.call("beta.threads.runs.create", talk, assistant_id=helper))
    assert run.status == "requires_action"
    assert run.required_action.type == "submit_tool_outputs"
    (call,) = run.required_action.submit_tool_outputs.tool_calls
    assert (call.type, call.function.name, json.loads(call.function.arguments)) == (
        "function",
        "get_weather",
        {"city": "Paris"},
    )
    (step,) = await steps(api, run)
    assert (step.type, step.status, step.usage) == ("tool_calls", "in_progress", None)
    assert step.step_details.tool_calls[0].function.arguments == call.function.arguments
    assert step.step_details.tool_calls[0].function.output is None
    with pytest.raises(api.errors.BadRequestError, match=r"Expected tool outputs for call_ids \['call_.*'\], got \[\]"):
        await api.call("beta.threads.runs.submit_tool_outputs", run.id, thread_id=talk, tool_outputs=[])
    output = [{"tool_call_id": call.id, "output": "22 degrees"}]
    again = await api.call("beta.threads.runs.submit_tool_outputs", run.id, thread_id=talk, tool_outputs=output)
    assert (again.status, again.required_action) == ("queued", None)
    done = await over(api, run)
    assert done.status == "completed"
    called, spoken = await steps(api, done)
    assert called.status == spoken.status == "completed"
    assert called.step_details.tool_calls[0].function.output == "22 degrees"
    assert done.usage.total_tokens == called.usage.total_tokens + spoken.usage.total_tokens
    with pytest.raises(api.errors.BadRequestError, match='Runs in status "completed" do not accept tool outputs'):
        await api.call("beta.threads.runs.submit_tool_outputs", run.id, thread_id=talk, tool_outputs=output)


def twice(request: Any) -> Any:
    if not request.answers_tool:
        yield "Let me see. "
        for city in ("Rome", "Oslo"):
            yield ToolCall(None, "get_weather")
            yield ToolArguments('{"city":')
            yield ToolArguments(f'"{city}"}}')
        return
    yield " and ".join(each["content"] for each in request.messages if each["role"] == "tool")


@pytest.mark.fake(engine=twice)
async def test_the_events_of_calls(api: Any) -> None:
    helper, talk = await assistant(api, tools=[WEATHER]), await thread(api)
    events = await api.items(
        await api.call("beta.threads.runs.create", talk, assistant_id=helper, stream=True, parallel_tool_calls=True)
    )
    assert names(events)[3:] == [
        "run.step.created",
        "run.step.in_progress",
        "message.created",
        "message.in_progress",
        "message.delta",
        "message.completed",
        "run.step.completed",
        "run.step.created",
        "run.step.in_progress",
        "run.step.delta",
        "run.requires_action",
    ]
    deltas = [event.data.delta.step_details.tool_calls[0] for event in events if event.event.endswith("step.delta")]
    assert [delta.index for delta in deltas] == [0, 0, 0, 1, 1, 1]
    assert deltas[0].id.startswith("call_")
    assert deltas[0].function.name == "get_weather"
    run = events[-1].data
    calls = run.required_action.submit_tool_outputs.tool_calls
    assert [call.function.arguments for call in calls] == ['{"city":"Rome"}', '{"city":"Oslo"}']
    outputs = [{"tool_call_id": call.id, "output": text} for call, text in zip(calls, ("warm", "cold"), strict=True)]
    with pytest.raises(api.errors.BadRequestError, match="Expected tool outputs for call_ids"):
        await api.call("beta.threads.runs.submit_tool_outputs", run.id, thread_id=talk, tool_outputs=outputs[:1])
    told = await api.items(
        await api.call(
            "beta.threads.runs.submit_tool_outputs", run.id, thread_id=talk, tool_outputs=outputs, stream=True
        )
    )
    assert names(told)[:6] == [
        "run.step.completed",
        "run.queued",
        "run.in_progress",
        "run.step.created",
        "run.step.in_progress",
        "message.created",
    ]
    assert told[0].data.step_details.tool_calls[1].function.output == "cold"
    assert names(told)[-1] == "run.completed"
    assert await said(api, talk) == [("user", "Hello"), ("assistant", "Let me see. "), ("assistant", "warm and cold")]


async def test_the_helpers_submit_outputs(api: Any) -> None:
    helper, talk = await assistant(api, tools=[WEATHER]), await thread(api, "The weather in Rome?")
    run = await api.call("beta.threads.runs.create_and_poll", thread_id=talk, assistant_id=helper, poll_interval_ms=10)
    outputs = [
        {"tool_call_id": call.id, "output": "warm"} for call in run.required_action.submit_tool_outputs.tool_calls
    ]
    done = await api.call(
        "beta.threads.runs.submit_tool_outputs_and_poll",
        run_id=run.id,
        thread_id=talk,
        tool_outputs=outputs,
        poll_interval_ms=10,
    )
    assert done.status == "completed"


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "get_weather"}}])
async def test_a_forced_tool_is_called_once(api: Any, choice: Any) -> None:
    helper, talk = await assistant(api, tools=[WEATHER]), await thread(api)
    run = await over(api, await api.call("beta.threads.runs.create", talk, assistant_id=helper, tool_choice=choice))
    assert run.status == "requires_action"
    (call,) = run.required_action.submit_tool_outputs.tool_calls
    await api.call(
        "beta.threads.runs.submit_tool_outputs",
        run.id,
        thread_id=talk,
        tool_outputs=[{"tool_call_id": call.id, "output": "x"}],
    )
    assert (await over(api, run)).status == "completed"


# Tools of the server's


async def test_files_are_searched(api: Any) -> None:
    file = await api.call("files.create", file=("hours.md", b"The cafe closes at five."), purpose="assistants")
    store = await api.call("vector_stores.create", file_ids=[file.id])
    helper = await assistant(
        api, tools=[{"type": "file_search"}], tool_resources={"file_search": {"vector_store_ids": [store.id]}}
    )
    talk = await thread(api, "When does the cafe close?")
    run = await over(api, await api.call("beta.threads.runs.create", talk, assistant_id=helper))
    assert run.status == "completed"
    searched, spoken = await steps(api, run)
    (call,) = searched.step_details.tool_calls
    assert (call.type, call.file_search.results[0].file_name) == ("file_search", "hours.md")
    assert call.file_search.results[0].content is None
    assert spoken.type == "message_creation"
    full = await steps(api, run, include=["step_details.tool_calls[*].file_search.results[*].content"])
    assert full[0].step_details.tool_calls[0].file_search.results[0].content[0].text == "The cafe closes at five."
    message = (await api.items(await api.call("beta.threads.messages.list", talk)))[0]
    text = message.content[0].text
    (cited,) = text.annotations
    assert cited.file_citation.file_id == file.id
    assert text.value[cited.start_index : cited.end_index] == cited.text


@pytest.mark.fake(engine=lambda request: [FileSearch(["closing"]), "Found."])
async def test_attachments_are_searched(api: Any) -> None:
    file = await api.call("files.create", file=("hours.md", b"closing at five"), purpose="assistants")
    talk = (await api.call("beta.threads.create")).id
    attachment = {"file_id": file.id, "tools": [{"type": "file_search"}, {"type": "code_interpreter"}]}
    await api.call("beta.threads.messages.create", talk, role="user", content="When?", attachments=[attachment])
    made = await api.call("beta.threads.retrieve", talk)
    assert made.tool_resources.code_interpreter.file_ids == [file.id]
    (store,) = made.tool_resources.file_search.vector_store_ids
    for _ in range(100):
        if (await api.call("vector_stores.retrieve", store)).file_counts.completed == 1:
            break
        await asyncio.sleep(0.02)
    helper = await assistant(api, tools=[{"type": "file_search"}])
    run = await over(api, await api.call("beta.threads.runs.create", talk, assistant_id=helper))
    (call,) = (await steps(api, run))[0].step_details.tool_calls
    assert [each.file_id for each in call.file_search.results] == [file.id]


@pytest.mark.fake(engine=lambda request: [CodeInterpreter("6 * 7", "42\n", [PICTURE]), "It is 42."])
async def test_code_is_run(api: Any) -> None:
    helper, talk = await assistant(api, tools=[{"type": "code_interpreter"}]), await thread(api, "6 * 7?")
    events = await api.items(await api.call("beta.threads.runs.create", talk, assistant_id=helper, stream=True))
    run = events[-1].data
    assert run.status == "completed"
    ran, _ = await steps(api, run)
    (call,) = ran.step_details.tool_calls
    assert (call.code_interpreter.input, call.code_interpreter.outputs[0].logs) == ("6 * 7", "42\n")
    picture = call.code_interpreter.outputs[1].image.file_id
    assert (await api.read(await api.call("files.content", picture))).startswith(b"\x89PNG")
    deltas = [event.data.delta.step_details.tool_calls[0] for event in events if event.event.endswith("step.delta")]
    assert "".join(each.code_interpreter.input or "" for each in deltas) == "6 * 7"
    assert deltas[-1].code_interpreter.outputs[0].image.file_id == picture
    message = (await api.items(await api.call("beta.threads.messages.list", talk)))[0]
    assert [part.type for part in message.content] == ["image_file", "text"]
    assert message.content[0].image_file.file_id == picture


# What ends runs early


@pytest.mark.fake(job_seconds=30)
async def test_a_cancelled_run(api: Any) -> None:
    helper, talk = await assistant(api), await thread(api)
    run = await api.call("beta.threads.runs.create", talk, assistant_id=helper)
    with pytest.raises(api.errors.BadRequestError, match=f"Thread {talk} already has an active run {run.id}"):
        await api.call("beta.threads.runs.create", talk, assistant_id=helper)
    with pytest.raises(api.errors.BadRequestError, match=f"Can't add messages to {talk} while a run {run.id} is"):
        await api.call("beta.threads.messages.create", talk, role="user", content="And?")
    stopped = await api.call("beta.threads.runs.cancel", run.id, thread_id=talk)
    assert stopped.status == "cancelling"
    with pytest.raises(api.errors.BadRequestError, match="Cannot cancel run with status 'cancelling'"):
        await api.call("beta.threads.runs.cancel", run.id, thread_id=talk)
    api.fake.clock.advance(30)
    done = await api.call("beta.threads.runs.retrieve", run.id, thread_id=talk)
    assert (done.status, done.expires_at) == ("cancelled", None)
    assert done.cancelled_at >= done.created_at
    await api.call("beta.threads.messages.create", talk, role="user", content="And?")


@pytest.mark.fake(engine=lambda request: "word " * 200, clock=VirtualClock(1000), job_seconds=40)
async def test_a_run_cancelled_while_it_speaks(api: Any) -> None:
    helper, talk = await assistant(api), await thread(api)
    run = await api.call("beta.threads.runs.create", talk, assistant_id=helper)
    api.fake.clock.advance(25)
    before = await api.call("beta.threads.runs.retrieve", run.id, thread_id=talk)
    assert (before.status, before.started_at - before.created_at) == ("in_progress", 10)
    (step,) = await steps(api, run)
    assert (step.status, step.usage) == ("in_progress", None)
    await api.call("beta.threads.runs.cancel", run.id, thread_id=talk)
    api.fake.clock.advance(10)
    assert (await api.call("beta.threads.runs.retrieve", run.id, thread_id=talk)).status == "cancelled"
    assert (await steps(api, run))[0].status == "cancelled"
    message = (await api.items(await api.call("beta.threads.messages.list", talk)))[0]
    assert (message.status, message.incomplete_details.reason) == ("incomplete", "run_cancelled")
    assert 50 < message.content[0].text.value.count("word") < 150


@pytest.mark.fake(clock=VirtualClock(1000))
async def test_a_run_that_waits_too_long_expires(api: Any) -> None:
    helper, talk = await assistant(api, tools=[WEATHER]), await thread(api, "The weather in Rome?")
    run = await api.call("beta.threads.runs.create", talk, assistant_id=helper)
    api.fake.clock.advance("9m")
    waiting = await api.call("beta.threads.runs.retrieve", run.id, thread_id=talk)
    assert waiting.status == "requires_action"
    api.fake.clock.advance("1h")
    done = await api.call("beta.threads.runs.retrieve", run.id, thread_id=talk)
    assert (done.status, done.required_action, done.expires_at) == ("expired", None, run.expires_at)
    (step,) = await steps(api, run)
    assert (step.status, step.expired_at) == ("expired", run.expires_at)
    assert (await api.call("beta.threads.runs.create", talk, assistant_id=helper)).status == "queued"


def slow(request: Any) -> Any:
    yield "Well, "
    yield Pause(700)
    yield "at last."


@pytest.mark.fake(engine=slow, clock=VirtualClock(1000))
async def test_a_run_that_takes_too_long_expires(api: Any) -> None:
    helper, talk = await assistant(api), await thread(api)
    events = await api.items(await api.call("beta.threads.runs.create", talk, assistant_id=helper, stream=True))
    assert names(events)[-4:] == ["message.delta", "message.incomplete", "run.step.expired", "run.expired"]
    message = (await api.items(await api.call("beta.threads.messages.list", talk)))[0]
    assert (message.content[0].text.value, message.incomplete_details.reason) == ("Well, ", "run_expired")


def limited(request: Any) -> Any:
    yield "Hold "
    raise RateLimitError.because("You exceeded your current quota.")


@pytest.mark.fake(engine=limited)
async def test_a_run_whose_model_fails(api: Any) -> None:
    helper, talk = await assistant(api), await thread(api)
    events = await api.items(await api.call("beta.threads.runs.create", talk, assistant_id=helper, stream=True))
    assert names(events)[-3:] == ["message.incomplete", "run.step.failed", "run.failed"]
    run = events[-1].data
    assert (run.status, run.last_error.code) == ("failed", "rate_limit_exceeded")
    assert run.last_error.message == "You exceeded your current quota."
    assert run.failed_at >= run.started_at
    assert (await steps(api, run))[0].last_error.code == "rate_limit_exceeded"


@pytest.mark.fake(engine=lambda request: [" and ", "so on", Finish("content_filter")])
async def test_a_filtered_answer(api: Any) -> None:
    helper, talk = await assistant(api), await thread(api)
    run = await over(api, await api.call("beta.threads.runs.create", talk, assistant_id=helper))
    message = (await api.items(await api.call("beta.threads.messages.list", talk)))[0]
    assert (run.status, message.incomplete_details.reason) == ("incomplete", "content_filter")


def pausing(request: Any) -> Any:
    for _ in range(20):
        yield "word "
        yield Pause(0.05)


@pytest.mark.fake(engine=pausing)
async def test_a_run_goes_on_when_its_stream_is_left(api: Any) -> None:
    helper, talk = await assistant(api), await thread(api)
    stream = await api.call("beta.threads.runs.create", talk, assistant_id=helper, stream=True)
    run = (await api.items(stream, most=1))[0].data
    await api.settled(stream.close())
    done = await over(api, run)
    assert done.status == "completed"
    assert (await said(api, talk))[-1][1] == "word " * 20


# What is refused


LONG = "x" * 256_001


@pytest.mark.parametrize(
    ("options", "param"),
    [
        ({"name": "x" * 257}, "name"),
        ({"description": "x" * 513}, "description"),
        ({"instructions": LONG}, "instructions"),
        ({"tools": [{"type": "file_search"}] * 129}, "tools"),
        ({"metadata": {str(n): "x" for n in range(17)}}, "metadata"),
        ({"metadata": {"x" * 65: "x"}}, "metadata"),
        ({"metadata": {"x": "x" * 513}}, "metadata"),
        ({"temperature": 2.1}, "temperature"),
        ({"top_p": 1.1}, "top_p"),
        ({"tool_resources": {"code_interpreter": {"file_ids": ["file-x"] * 21}}}, "tool_resources"),
        ({"tool_resources": {"file_search": {"vector_store_ids": ["vs_1", "vs_2"]}}}, "tool_resources"),
    ],
)
async def test_assistants_that_are_refused(api: Any, options: Any, param: str) -> None:
    with pytest.raises(api.errors.BadRequestError) as caught:
        await assistant(api, **options)
    assert caught.value.param.startswith(param)
    assert await api.items(await api.call("beta.assistants.list")) == []


async def test_assistants_name_what_is_there(api: Any) -> None:
    for resources in ({"code_interpreter": {"file_ids": ["file-x"]}}, {"file_search": {"vector_store_ids": ["vs_x"]}}):
        with pytest.raises(api.errors.NotFoundError):
            await assistant(api, tool_resources=resources)
    file = await api.call("files.create", file=("a.md", b"cats"), purpose="assistants")
    described = {"file_search": {"vector_stores": [{"file_ids": [file.id], "metadata": {"a": "b"}}]}}
    made = await api.call("beta.assistants.create", model="gpt-4o", tool_resources=described)
    (store,) = made.tool_resources.file_search.vector_store_ids
    assert (await api.call("vector_stores.retrieve", store)).metadata == {"a": "b"}
    changed = await api.call("beta.assistants.update", made.id, name="Other", instructions="Be.")
    assert (changed.name, changed.instructions, changed.tool_resources) == ("Other", "Be.", made.tool_resources)


@pytest.mark.fake(models=["gpt-4o"])
async def test_models_that_do_not_exist(api: Any) -> None:
    with pytest.raises(api.errors.BadRequestError) as caught:
        await assistant(api, model="gpt-9")
    assert caught.value.code == "model_not_found"
    helper, talk = await assistant(api), await thread(api)
    with pytest.raises(api.errors.BadRequestError, match="The requested model 'gpt-9' does not exist"):
        await api.call("beta.threads.runs.create", talk, assistant_id=helper, model="gpt-9")


@pytest.mark.parametrize(
    ("options", "param"),
    [
        ({"max_prompt_tokens": 255}, "max_prompt_tokens"),
        ({"max_completion_tokens": 1}, "max_completion_tokens"),
        ({"truncation_strategy": {"type": "last_messages"}}, "truncation_strategy.last_messages"),
        ({"tool_choice": {"type": "function", "function": {"name": "nothing"}}}, "tool_choice"),
        ({"tool_choice": {"type": "file_search"}}, "tool_choice"),
        ({"additional_messages": [{"role": "user", "content": ""}]}, "additional_messages[0].content"),
        ({"instructions": LONG}, "instructions"),
    ],
)
async def test_runs_that_are_refused(api: Any, options: Any, param: str) -> None:
    helper, talk = await assistant(api, tools=[WEATHER]), await thread(api)
    for stream in (False, True):
        with pytest.raises(api.errors.BadRequestError) as caught:
            await api.call("beta.threads.runs.create", talk, assistant_id=helper, stream=stream, **options)
        assert caught.value.param == param
    assert await api.items(await api.call("beta.threads.runs.list", talk)) == []
    assert await said(api, talk) == [("user", "Hello")]


async def test_messages_that_are_refused(api: Any) -> None:
    talk = await thread(api)
    with pytest.raises(api.errors.BadRequestError, match="Message content must be non-empty"):
        await api.call("beta.threads.messages.create", talk, role="user", content="")
    with pytest.raises(api.errors.BadRequestError, match="string too long"):
        await api.call("beta.threads.messages.create", talk, role="user", content=LONG)
    picture = [{"type": "image_file", "image_file": {"file_id": "file-x"}}]
    with pytest.raises(api.errors.NotFoundError, match="No such File object: file-x"):
        await api.call("beta.threads.messages.create", talk, role="user", content=picture)
    attached = [{"file_id": "file-y", "tools": [{"type": "file_search"}]}]
    with pytest.raises(api.errors.NotFoundError, match="No such File object: file-y"):
        await api.call("beta.threads.messages.create", talk, role="user", content="Hi", attachments=attached)
    with pytest.raises(api.errors.NotFoundError, match="No thread found with id 'thread_x'"):
        await api.call("beta.threads.messages.create", "thread_x", role="user", content="Hi")
    assert len(await said(api, talk)) == 1


async def test_what_is_not_there(api: Any) -> None:
    helper, talk = await assistant(api), await thread(api)
    with pytest.raises(api.errors.NotFoundError, match="No assistant found with id 'asst_x'"):
        await api.call("beta.threads.create_and_run", assistant_id="asst_x", thread={})
    with pytest.raises(api.errors.NotFoundError, match="No thread found"):
        await api.call("beta.threads.runs.create", "thread_x", assistant_id=helper)
    with pytest.raises(api.errors.NotFoundError, match="No run found with id 'run_x'"):
        await api.call("beta.threads.runs.cancel", "run_x", thread_id=talk)


# Messages and threads


@pytest.mark.fake(engine=lambda request: json.dumps(request.messages[-1]["content"]))
async def test_messages_with_pictures(api: Any) -> None:
    file = await api.call("files.create", file=("a.png", b"\x89PNG\r\n\x1a\n"), purpose="vision")
    talk = (await api.call("beta.threads.create")).id
    content = [
        {"type": "text", "text": "See:"},
        {"type": "image_url", "image_url": {"url": "https://x.test/a.png", "detail": "low"}},
        {"type": "image_file", "image_file": {"file_id": file.id}},
    ]
    message = await api.call("beta.threads.messages.create", talk, role="user", content=content)
    assert [part.type for part in message.content] == ["text", "image_url", "image_file"]
    changed = await api.call("beta.threads.messages.update", message.id, thread_id=talk, metadata={"a": "b"})
    assert (changed.metadata, changed.content) == ({"a": "b"}, message.content)
    run = await api.call("beta.threads.runs.create", talk, assistant_id=await assistant(api))
    await over(api, run)
    seen = json.loads((await said(api, talk))[-1][1])
    assert [part["type"] for part in seen] == ["text", "image_url", "image_url"]
    assert seen[2]["image_url"]["url"].startswith("data:image/png;base64,")


@pytest.mark.fake(job_seconds=30)
async def test_deleting_ends_what_is_under_way(api: Any) -> None:
    helper, talk = await assistant(api), await thread(api)
    run = await api.call("beta.threads.runs.create", talk, assistant_id=helper)
    assert (await api.call("beta.threads.delete", talk)).deleted
    api.fake.clock.advance(30)
    for name, key in (("messages.list", {}), ("runs.retrieve", {"run_id": run.id})):
        with pytest.raises(api.errors.NotFoundError):
            await api.call(f"beta.threads.{name}", thread_id=talk, **key)
    kept = api.fake.server.store
    assert kept.list(f"threads/{talk}/messages") == kept.list(f"threads/{talk}/runs") == []


@pytest.mark.fake(engine="echo")
async def test_metadata_told_during_a_run_is_kept(api: Any) -> None:
    helper, talk = await assistant(api), await thread(api)
    run = await api.call("beta.threads.runs.create", talk, assistant_id=helper)
    await api.call("beta.threads.runs.update", run.id, thread_id=talk, metadata={"a": "b"})
    assert (await over(api, run)).metadata == {"a": "b"}


def dragging(request: Any) -> Any:
    for _ in range(20):
        yield "word "
        yield Pause(1)


@pytest.mark.fake(engine=dragging)
async def test_a_stream_tells_that_its_run_is_cancelled(api: Any) -> None:
    helper, talk = await assistant(api), await thread(api)
    stream = await api.call("beta.threads.runs.create", talk, assistant_id=helper, stream=True)
    events = await api.items(stream, most=8)
    run = events[0].data
    assert (await api.call("beta.threads.runs.cancel", run.id, thread_id=talk)).status == "cancelling"
    events += await api.items(stream)
    assert names(events)[-4:] == ["run.cancelling", "message.incomplete", "run.step.cancelled", "run.cancelled"]
    told = "".join(event.data.delta.content[0].text.value for event in events if event.event.endswith("message.delta"))
    message = (await api.items(await api.call("beta.threads.messages.list", talk)))[0]
    assert message.content[0].text.value == told
    assert 0 < len(told) < len("word " * 20)
