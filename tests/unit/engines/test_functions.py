"""Functions as engines: whatever they answer, in whichever colour, plain and streamed."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from openai.types.chat import ChatCompletion

from antiphon.engines.default import Default
from antiphon.engines.functions import BUILT_IN, Function, engine, never_blocks
from antiphon.engines.text import Echo
from antiphon.kernel.errors import NotFoundError, RateLimitError
from antiphon.kernel.flow import Await, Call, Pause, arun
from antiphon.kernel.http import Request, Response
from antiphon.server.engine import Engines
from antiphon.server.turns import Finish, Refusal, ToolArguments, ToolCall
from tests.unit.server.sdk import HEADERS, Answer, ask, chat, official_async, serve


def message(answer: Answer) -> dict[str, Any]:
    return answer.json["choices"][0]["message"]


def deltas(answer: Answer) -> list[dict[str, Any]]:
    return [choice["delta"] for event in answer.events for choice in event["choices"]]


def spoken(answer: Answer) -> list[str]:
    return [delta["content"] for delta in deltas(answer) if delta.get("content")]


# Colours


def plain(request: Any) -> str:
    return f"Hello {request.user_text}"


async def coroutine(request: Any) -> str:
    await asyncio.sleep(0)
    return f"Hello {request.user_text}"


def generator(request: Any) -> Any:
    yield "Hello"
    yield f" {request.user_text}"


async def asynchronous(request: Any) -> Any:
    yield "Hello"
    await asyncio.sleep(0)
    yield f" {request.user_text}"


class Callable:
    def __call__(self, request: Any) -> str:
        return f"Hello {request.user_text}"


class AsyncCallable:
    async def __call__(self, request: Any) -> Any:
        yield "Hello"
        yield f" {request.user_text}"


async def returns_generator(request: Any) -> Any:
    return asynchronous(request)


COLOURS = [
    plain,
    coroutine,
    generator,
    asynchronous,
    Callable(),
    AsyncCallable(),
    returns_generator,
    lambda r: generator(r),
]


@pytest.mark.parametrize("source", COLOURS)
def test_every_colour_of_function_is_an_engine(source: Any) -> None:
    server = serve(source)
    assert message(chat(server, "you"))["content"] == "Hello you"
    assert "".join(spoken(chat(server, "you", stream=True))) == "Hello you"


@pytest.mark.parametrize("source", COLOURS)
async def test_every_colour_works_in_an_event_loop(source: Any) -> None:
    client = official_async(serve(source))
    messages: Any = [{"role": "user", "content": "you"}]
    answer = await client.chat.completions.create(model="m", messages=messages)
    assert answer.choices[0].message.content == "Hello you"
    stream = await client.chat.completions.create(model="m", messages=messages, stream=True)
    assert "".join([chunk.choices[0].delta.content or "" async for chunk in stream]) == "Hello you"


async def test_functions_that_block_are_called_off_the_loop() -> None:
    threads: list[bool] = []

    def blocking(request: Any) -> Any:
        threads.append(threading.current_thread() is threading.main_thread())
        yield "a"
        threads.append(threading.current_thread() is threading.main_thread())

    client = official_async(serve(blocking))
    await client.chat.completions.create(model="m", messages=[{"role": "user", "content": "x"}])
    assert threads == [False, False]


def test_a_stream_delivers_each_piece_before_the_next_is_asked_for() -> None:
    server = serve(generator)
    body = b'{"model":"m","stream":true,"messages":[{"role":"user","content":"you"}]}'
    steps: list[Any] = []
    response: Any = server(Request("POST", "/v1/chat/completions", "", HEADERS, body))

    async def read() -> None:
        nonlocal response
        if not isinstance(response, Response):
            response = await arun(response, server.world)
        pieces = iter(response.body)
        piece = next(pieces, None)
        while piece is not None:
            steps.append(piece)
            try:
                piece = (
                    next(pieces, None) if isinstance(piece, bytes) else pieces.send(await piece.aperform(server.world))
                )
            except StopIteration:
                break

    asyncio.run(read())
    kinds = [b"Hello" in s if isinstance(s, bytes) else type(s) for s in steps]
    assert kinds.index(True) < len(kinds) - 1
    assert Call in kinds[kinds.index(True) :]


# Answers


@pytest.mark.parametrize(
    "answer",
    [
        {
            "role": "assistant",
            "content": "x",
            "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}],
        },
        {"content": "x", "tool_calls": [{"id": "call_1", "name": "f", "arguments": {"a": 1}}]},
        ["x", {"name": "f", "arguments": {"a": 1}, "id": "call_1"}],
        ["x", {"id": "call_1", "function": {"name": "f", "arguments": '{"a":1}'}}],
        ["x", ToolCall("call_1", "f"), ToolArguments('{"a":'), ToolArguments("1}")],
    ],
)
def test_messages_calls_and_pieces_say_the_same(answer: Any) -> None:
    server = serve(lambda request: answer)
    said = message(chat(server))
    assert said["content"] == "x"
    call = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}
    assert said["tool_calls"] == [call]
    if isinstance(said["tool_calls"][0]["function"]["arguments"], str):
        streamed = [delta["tool_calls"][0] for delta in deltas(chat(server, stream=True)) if "tool_calls" in delta]
        assert "".join(part["function"]["arguments"] for part in streamed).replace(" ", "") == '{"a":1}'


def test_a_refusal_and_nothing_at_all() -> None:
    assert message(chat(serve(lambda request: {"refusal": "no"})))["refusal"] == "no"
    assert message(chat(serve(lambda request: None)))["content"] == ""


BODY: dict[str, Any] = {
    "id": "chatcmpl-mine",
    "object": "chat.completion",
    "created": 1,
    "model": "other",
    "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "mine"}, "finish_reason": "length", "logprobs": None}
    ],
    "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
    "unknown": {"kept": True},
}


@pytest.mark.parametrize("body", [BODY, ChatCompletion.model_validate(BODY)])
def test_a_whole_completion_passes_through(body: Any) -> None:
    assert chat(serve(lambda request: body)).json == BODY


def test_a_whole_completion_is_taken_apart_where_something_else_is_asked_for() -> None:
    server = serve(lambda request: BODY)
    streamed = chat(server, stream=True, stream_options={"include_usage": True})
    assert "".join(spoken(streamed)) == "mine"
    assert streamed.events[-1]["usage"]["completion_tokens"] == 2
    assert streamed.events[-2]["choices"][0]["finish_reason"] == "length"
    assert [c["message"]["content"] for c in chat(server, n=2).json["choices"]] == ["mine", "mine"]
    response = ask(server, "POST", "/responses", {"model": "m", "input": "x"}).json
    assert response["output"][0]["content"][0]["text"] == "mine"
    assert response["status"] == "incomplete"


def test_a_whole_response_passes_through_and_is_rendered_for_chat() -> None:
    made = ask(serve(Echo()), "POST", "/responses", {"model": "m", "input": "mine"}).json
    server = serve(lambda request: {**made, "unknown": 1})
    assert ask(server, "POST", "/responses", {"model": "m", "input": "x"}).json == {**made, "unknown": 1}
    assert message(chat(server))["content"] == "mine"
    streamed = ask(server, "POST", "/responses", {"model": "m", "input": "x", "stream": True})
    assert streamed.events[-1]["response"]["output"][0]["content"][0]["text"] == "mine"


def test_what_is_none_of_these_is_a_type_error(caplog: pytest.LogCaptureFixture) -> None:
    assert chat(serve(lambda request: 42)).status == 500
    assert "an engine's function answers a str" in caplog.text


@pytest.mark.parametrize("streamed", [False, True])
def test_an_error_is_sent_as_its_envelope(streamed: bool) -> None:
    def fails(request: Any) -> str:
        raise RateLimitError.because("Slow down", code="rate_limit_exceeded", headers={"retry-after": "2"})

    answer = chat(serve(fails), stream=streamed)
    assert (answer.status, answer.headers["retry-after"]) == (429, "2")
    assert answer.json["error"] == {
        "message": "Slow down",
        "type": "rate_limit_error",
        "param": None,
        "code": "rate_limit_exceeded",
    }


def test_an_error_in_the_middle_of_a_stream_is_an_event() -> None:
    def fails(request: Any) -> Any:
        yield "Hel"
        raise RateLimitError.because("Slow down")

    answer = chat(serve(fails), stream=True)
    assert answer.status == 200
    assert "".join(d["content"] for e in answer.events[:-1] for d in [e["choices"][0]["delta"]]) == "Hel"
    assert answer.events[-1]["error"]["message"] == "Slow down"
    assert b"[DONE]" not in answer.body


def test_a_generator_is_sent_the_results_of_its_steps_and_their_errors() -> None:
    async def double(n: int) -> int:
        return n * 2

    async def fail() -> int:
        raise KeyError("lost")

    def steps(request: Any) -> Any:
        yield f"{(yield Await(double(21)))} "
        yield Pause(5)
        try:
            yield Await(fail())
        except KeyError as error:
            yield f"{error}"
        yield Finish("content_filter")
        yield "never said"

    server = serve(steps)
    before = server.clock.now()
    choice = chat(server).json["choices"][0]
    assert choice["message"]["content"] == "42 'lost'"
    assert choice["finish_reason"] == "content_filter"
    assert server.clock.now() == before + 5


def test_a_generator_is_closed_when_nobody_listens() -> None:
    closed: list[str] = []

    def endless(request: Any) -> Any:
        try:
            while True:
                yield "again "
        finally:
            closed.append("yes")

    chat(serve(endless), max_tokens=5)
    assert closed == ["yes"]
    body = b'{"model":"m","stream":true,"messages":[{"role":"user","content":"you"}]}'
    server = serve(endless)
    response: Any = server(Request("POST", "/v1/chat/completions", "", HEADERS, body))
    if not isinstance(response, Response):
        from antiphon.kernel.flow import run

        response = run(response, server.world)
    pieces = iter(response.body)
    next(pieces)
    pieces.close()
    assert closed == ["yes", "yes"]


# Making engines


def test_sources_of_engines() -> None:
    assert isinstance(engine(), Default)
    assert isinstance(engine("echo"), Echo)
    assert all(callable(engine(name)) for name in BUILT_IN)
    own = Echo()
    assert engine(own) is own
    assert isinstance(engine(plain), Function)
    assert engine(never_blocks(lambda request: "x"))(None) == "x"  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="there are default, lorem, echo, reverse"):
        engine("ecko")
    with pytest.raises(TypeError, match="an engine is a function"):
        engine(42)


def test_engines_are_chosen_by_model_the_exact_name_first() -> None:
    say = {name: never_blocks(lambda request, name=name: name) for name in ("gpt-4o", "gpt-4*", "gpt-4o-*", "*")}
    server = serve(Engines(chat=say))
    said = {
        model: message(chat(server, model=model))["content"] for model in ("gpt-4o", "gpt-4o-mini", "gpt-4.1", "o3")
    }
    assert said == {"gpt-4o": "gpt-4o", "gpt-4o-mini": "gpt-4o-*", "gpt-4.1": "gpt-4*", "o3": "*"}


def test_a_strict_list_of_models_refuses_others() -> None:
    only = serve(Engines(chat=Echo(), models=["mine", "ft:*"]))
    assert chat(only, model="mine").status == chat(only, model="ft:mine:x").status == 200
    for server in (only, serve(Engines(chat={"mine": Echo()}))):
        answer = chat(server, model="gpt-4o")
        assert answer.status == 404
        assert answer.json["error"] == {
            "message": "The model `gpt-4o` does not exist or you do not have access to it.",
            "type": "invalid_request_error",
            "param": None,
            "code": "model_not_found",
        }
    with pytest.raises(NotFoundError):
        Engines().chat("any")


def test_pieces_that_belong_to_nothing_are_the_engines_fault(caplog: pytest.LogCaptureFixture) -> None:
    assert chat(serve(lambda request: [ToolArguments("{}")])).status == 500
    assert "before it began a call" in caplog.text
    assert message(chat(serve(lambda request: [Refusal("a"), Refusal("b")])))["refusal"] == "ab"
