"""Conversations: history and its limits, rounds of tools, streams, errors, saving; in both colours, on the fake."""

from __future__ import annotations

import asyncio
import inspect
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from antiphon import APIError, AsyncChat, Chat, FakeOpenAI, InternalServerError
from antiphon.api.chat.completions import Completions
from antiphon.client.chat import (
    ChatOptions,
    Reasoning,
    Reply,
    Text,
    ToolCall,
    ToolResult,
    Usage,
)
from antiphon.client.chat.history import Tokens, blocks, trimmed
from antiphon.server.engine import ChatRequest

Answer = Callable[[ChatRequest], Any]


class Script:
    """An engine that answers in turn, and remembers what it was asked."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.bodies: list[dict[str, Any]] = []

    def __call__(self, request: ChatRequest) -> Any:
        self.bodies.append(json.loads(json.dumps(request.body)))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer(request) if callable(answer) else answer

    @property
    def messages(self) -> list[Any]:
        """What was sent last."""
        return list(self.bodies[-1]["messages"])


def call(name: str, arguments: Any = None, id: str | None = None) -> dict[str, Any]:
    written = arguments if isinstance(arguments, str) else json.dumps(arguments or {})
    return {"id": id or f"call_{name}", "type": "function", "function": {"name": name, "arguments": written}}


class Voice:
    """A chat of one colour, whole or streamed, behind one blocking face."""

    def __init__(self, colour: str, streamed: bool) -> None:
        self.colour, self.streamed = colour, streamed

    def chat(self, engine: Any, **settings: Any) -> Any:
        fake = FakeOpenAI(engine=engine)
        if self.colour == "sync":
            return Chat(fake.client(max_retries=0), model="m", **settings)
        return AsyncChat(fake.async_client(max_retries=0), model="m", **settings)

    def ask(self, chat: Any, content: Any, **options: Any) -> Reply:
        if self.colour == "sync":
            return chat.stream(content, **options).until_done() if self.streamed else chat.ask(content, **options)

        async def asked() -> Reply:
            if self.streamed:
                return await chat.stream(content, **options).until_done()
            return await chat.ask(content, **options)

        return asyncio.run(asked())


@pytest.fixture(params=["sync", "sync streamed", "async", "async streamed"])
def voice(request: pytest.FixtureRequest) -> Voice:
    colour, _, streamed = request.param.partition(" ")
    return Voice(colour, bool(streamed))


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def fails(why: str) -> str:
    """Fail."""
    raise RuntimeError(why)


# What is said and remembered


def test_a_chat_remembers(voice: Voice) -> None:
    engine = Script("Hello, Ada.", "You are Ada.")
    chat = voice.chat(engine, system="Be brief.", temperature=0.5)
    assert str(voice.ask(chat, "I am Ada.")) == "Hello, Ada."
    reply = voice.ask(chat, "Who am I?", temperature=0.1)
    assert (reply.text, reply.finish_reason, reply.rounds) == ("You are Ada.", "stop", 0)
    assert engine.messages == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "I am Ada."},
        {"role": "assistant", "content": "Hello, Ada."},
        {"role": "user", "content": "Who am I?"},
    ]
    assert [body["temperature"] for body in engine.bodies] == [0.5, 0.1]
    assert len(chat.history) == 4
    assert reply.messages == chat.history[2:]
    assert reply.completion is not None
    assert reply.completion.choices[0].message.content == "You are Ada."
    assert chat.usage.requests == 2
    assert chat.usage.total_tokens == chat.usage.prompt_tokens + chat.usage.completion_tokens > 0


def test_the_history_is_a_copy_and_can_be_assigned(voice: Voice) -> None:
    engine = Script("ok")
    chat = voice.chat(engine, history=[{"role": "user", "content": "before"}])
    chat.history[0]["content"] = "changed"
    assert chat.history == [{"role": "user", "content": "before"}]
    chat.history = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    voice.ask(chat, "c")
    assert [each["content"] for each in engine.messages] == ["a", "b", "c"]
    chat.clear()
    voice.ask(chat, "d")
    assert [each["content"] for each in engine.messages] == ["d"]


@pytest.mark.parametrize(
    ("content", "sent"),
    [
        (
            ["Look:", {"type": "image_url", "image_url": {"url": "https://x/y.png"}}],
            [{"type": "text", "text": "Look:"}],
        ),
        ({"type": "text", "text": "a"}, [{"type": "text", "text": "a"}]),
        ({"role": "user", "content": "a", "name": "ada"}, "a"),
    ],
)
def test_questions_have_many_forms(content: Any, sent: Any) -> None:
    engine = Script("ok")
    Chat(FakeOpenAI(engine=engine).client(), model="m").ask(content)
    said = engine.messages[-1]["content"]
    assert (said[: len(sent)] if isinstance(sent, list) else said) == sent


@pytest.mark.parametrize("content", [None, 5, b"bytes", [], [5], [{"no": "type"}]])
def test_what_is_no_question_is_refused(content: Any) -> None:
    with pytest.raises(TypeError, match="a question is"):
        Chat(FakeOpenAI().client(), model="m").ask(content)


def test_options_are_those_of_the_operation() -> None:
    ours = {"model", "messages", "stream", "tools"}
    every = Completions.create.parameters | {"extra_headers", "extra_query", "extra_body", "timeout"}
    assert set(ChatOptions.__annotations__) == every - ours
    chat: Any = Chat(FakeOpenAI().client(), model="m")
    for name in ("tempreature", "messages", "stream", "tools"):
        with pytest.raises(TypeError, match=name):
            chat.ask("x", **{name: 1})


def test_both_colours_take_the_same() -> None:
    for name in ("__init__", "ask", "stream", "load", "tool"):
        ours, theirs = (inspect.signature(getattr(cls, name)).parameters for cls in (Chat, AsyncChat))
        assert list(ours) == list(theirs), name


@pytest.mark.parametrize(
    "settings",
    [{"history_messages": 0}, {"history_tokens": 0}, {"max_rounds": -1}, {"tools_at_once": 0}],
)
def test_limits_are_checked(settings: dict[str, int]) -> None:
    with pytest.raises(ValueError):
        Chat(FakeOpenAI().client(), model="m", **settings)  # type: ignore[arg-type]


# Tools


def test_tools_are_run_until_the_model_answers(voice: Voice) -> None:
    engine = Script({"content": "Let me see.", "tool_calls": [call("add", {"a": 1, "b": 2})]}, "It is 3.")
    chat = voice.chat(engine, tools=[add])
    reply = voice.ask(chat, "1 + 2?")
    made = ToolCall("call_add", "add", '{"a": 1, "b": 2}')
    assert (reply.text, reply.rounds, reply.tools) == ("It is 3.", 1, [ToolResult(made, "3", 3)])
    assert engine.messages == [
        {"role": "user", "content": "1 + 2?"},
        {"role": "assistant", "content": "Let me see.", "tool_calls": [call("add", '{"a": 1, "b": 2}')]},
        {"role": "tool", "tool_call_id": "call_add", "content": "3"},
    ]
    assert [each["role"] for each in chat.history] == ["user", "assistant", "tool", "assistant"]
    assert reply.usage.requests == 2
    assert engine.bodies[0]["tools"][0]["function"]["name"] == "add"


def test_errors_are_told_to_the_model(voice: Voice) -> None:
    asked = [
        call("fails", {"why": "no power"}, "a"),
        call("missing", {}, "b"),
        call("add", "{", "c"),
        call("add", {"a": "x", "b": 1}, "d"),
    ]
    engine = Script({"tool_calls": asked}, "Sorry.")
    chat = voice.chat(engine, tools=[add, fails])
    reply = voice.ask(chat, "go")
    told = [each["content"] for each in engine.messages if each["role"] == "tool"]
    assert told[0] == "Error: RuntimeError: no power"
    assert told[1] == "Error: there is no tool named 'missing'; known are add, fails"
    assert "not valid JSON" in told[2]
    assert "a: expected an integer" in told[3]
    assert [type(each.error).__name__ for each in reply.tools] == [
        "RuntimeError",
        "LookupError",
        "ValueError",
        "ValueError",
    ]
    assert reply.text == "Sorry."


def test_the_caller_says_what_the_model_is_told_of_errors(voice: Voice) -> None:
    engine = Script({"tool_calls": [call("fails", {"why": "x"})]}, "ok")
    chat = voice.chat(engine, tools=[fails], tool_error=lambda call, error: f"{call.name} is out of order")
    voice.ask(chat, "go")
    assert engine.messages[-1]["content"] == "fails is out of order"

    def raised(call: ToolCall, error: Exception) -> str:
        raise error

    engine = Script({"tool_calls": [call("fails", {"why": "x"})]}, "ok")
    chat = voice.chat(engine, tools=[fails], tool_error=raised)
    with pytest.raises(RuntimeError, match="x"):
        voice.ask(chat, "go")
    assert chat.history == []


def test_rounds_have_a_limit(voice: Voice) -> None:
    def answer(request: ChatRequest) -> Any:
        if request.body.get("tool_choice") == "none":
            return "Enough."
        return {"tool_calls": [call("add", {"a": 1, "b": 1}, f"call_{len(request.body['messages'])}")]}

    engine = Script(answer)
    chat = voice.chat(engine, tools=[add], max_rounds=3)
    reply = voice.ask(chat, "go on")
    assert (reply.text, reply.rounds, len(reply.tools), len(engine.bodies)) == ("Enough.", 3, 3, 4)
    assert [body.get("tool_choice") for body in engine.bodies] == [None, None, None, "none"]


def test_a_host_that_calls_tools_all_the_same_does_not_go_on_for_ever(voice: Voice) -> None:
    engine = Script(lambda request: {"tool_calls": [call("add", {"a": 1, "b": 1})]})
    chat = voice.chat(engine, tools=[add], max_rounds=1)
    reply = voice.ask(chat, "go on")
    assert (reply.text, reply.rounds, len(engine.bodies)) == ("", 1, 2)
    assert [each["role"] for each in chat.history] == ["user", "assistant", "tool", "assistant"]
    assert "tool_calls" not in chat.history[-1]


def test_a_demanded_call_is_demanded_once(voice: Voice) -> None:
    engine = Script({"tool_calls": [call("add", {"a": 1, "b": 1})]}, "2")
    chat = voice.chat(engine, tools=[add])
    voice.ask(chat, "go", tool_choice="required")
    assert [body.get("tool_choice") for body in engine.bodies] == ["required", None]


def test_calls_of_one_message_run_at_the_same_time(voice: Voice) -> None:
    meeting = threading.Barrier(3)

    def meet(n: int) -> int:
        """Wait for the others."""
        meeting.wait(5)
        return n

    async def come(n: int) -> int:
        """Come along."""
        await asyncio.to_thread(meeting.wait, 5)
        return n

    engine = Script(
        {"tool_calls": [call("meet", {"n": 1}, "a"), call("come", {"n": 2}, "b"), call("meet", {"n": 3}, "c")]}, "ok"
    )
    reply = voice.ask(voice.chat(engine, tools=[meet, come]), "go")
    assert [(each.value, each.call.id) for each in reply.tools] == [(1, "a"), (2, "b"), (3, "c")]


def test_tools_run_one_after_the_other_when_told_so(voice: Voice) -> None:
    running: list[int] = []

    def alone(n: int) -> int:
        """Be alone."""
        running.append(n)
        time.sleep(0.01)
        assert running == [n]
        running.remove(n)
        return n

    engine = Script({"tool_calls": [call("alone", {"n": n}, str(n)) for n in range(4)]}, "ok")
    reply = voice.ask(voice.chat(engine, tools=[alone], tools_at_once=1), "go")
    assert [each.value for each in reply.tools] == [0, 1, 2, 3]


def test_tools_come_and_go() -> None:
    engine = Script("ok")
    chat = Chat(FakeOpenAI(engine=engine).client(), model="m")

    @chat.tool
    def double(n: int) -> int:
        """Twice."""
        return 2 * n

    assert double(2) == 4
    chat.register(add)
    assert list(chat.tools) == ["double", "add"]
    chat.unregister("double", "add")
    chat.ask("x")
    assert "tools" not in engine.bodies[-1]
    with pytest.raises(KeyError):
        chat.unregister("double")


def test_what_a_host_adds_to_a_call_is_sent_back() -> None:
    signed = {**call("add", {"a": 1, "b": 2}), "extra_content": {"google": {"thought_signature": "s"}}}
    bodies: list[Any] = []

    def handler(request: Any) -> Any:
        from antiphon.kernel.http import json_response

        bodies.append(json.loads(request.content()))
        first = {"role": "assistant", "content": None, "reasoning_content": "hm", "tool_calls": [signed]}
        said = first if len(bodies) == 1 else {"role": "assistant", "content": "3", "reasoning_content": "so"}
        return json_response(200, {"choices": [{"index": 0, "message": said, "finish_reason": ""}]})

    from antiphon import OpenAI

    chat = Chat(OpenAI(api_key="k", transport=handler), model="m", tools=[add])
    reply = chat.ask("go")
    sent = bodies[1]["messages"][1]
    assert sent["tool_calls"][0]["extra_content"] == {"google": {"thought_signature": "s"}}
    assert sent["reasoning_content"] == "hm"  # while the question is under way
    assert (reply.reasoning, reply.text, reply.finish_reason) == ("so", "3", None)
    assert all("reasoning_content" not in each for each in chat.history)


# Streams


def test_a_stream_gives_pieces_as_they_come() -> None:
    def first(request: ChatRequest) -> Any:
        return {"content": "One moment.", "tool_calls": [call("add", {"a": 1, "b": 2})]}

    engine = Script(first, "It is three.")
    chat = Chat(FakeOpenAI(engine=engine).client(), model="m", tools=[add])
    stream = chat.stream("1 + 2?")
    pieces = list(stream)
    kinds = [type(piece) for piece in pieces]
    assert kinds.index(ToolCall) < kinds.index(ToolResult)
    assert "".join(p.text for p in pieces[: kinds.index(ToolCall)] if isinstance(p, Text)) == "One moment."
    assert "".join(p.text for p in pieces[kinds.index(ToolResult) :] if isinstance(p, Text)) == "It is three."
    assert stream.reply.text == "It is three."
    assert stream.reply.completion is not None
    assert stream.reply.completion.object == "chat.completion"
    assert stream.reply.usage.requests == 2
    assert stream.reply.usage.total_tokens > 0
    assert engine.bodies[0]["stream_options"] == {"include_usage": True}


def test_a_stream_is_not_sent_before_it_is_read() -> None:
    engine = Script("ok")
    chat = Chat(FakeOpenAI(engine=engine).client(), model="m")
    stream = chat.stream("x")
    stream.close()
    assert engine.bodies == []
    assert chat.history == []


async def test_texts_alone() -> None:
    fake = FakeOpenAI(engine=Script("one two three"))
    assert "".join(Chat(fake.client(), model="m").stream("x").texts()) == "one two three"
    stream = AsyncChat(fake.async_client(), model="m").stream("x")
    assert "".join([text async for text in stream.texts()]) == "one two three"


async def test_leaving_early_closes_the_stream_and_keeps_what_was_said() -> None:
    closed: list[str] = []

    def forever(request: ChatRequest) -> Any:
        try:
            while True:
                yield "word "
        finally:
            closed.append(request.model)

    fake = FakeOpenAI(engine=forever)
    chat = Chat(fake.client(), model="sync")
    with chat.stream("talk") as stream:
        for n, _ in enumerate(stream):
            if n == 2:
                break
    said = {"role": "assistant", "content": "word word word "}
    assert chat.history == [{"role": "user", "content": "talk"}, said]
    assert stream.reply.text == "word word word "
    awaited = AsyncChat(fake.async_client(), model="async")
    async with awaited.stream("talk") as going:
        seen = 0
        async for _ in going:
            seen += 1
            if seen == 3:
                break
    assert awaited.history == [{"role": "user", "content": "talk"}, said]
    assert closed == ["sync", "async"]


async def test_a_cancelled_question_leaves_no_trace() -> None:
    async def slow(request: ChatRequest) -> str:
        await asyncio.sleep(30)
        return "late"

    chat = AsyncChat(FakeOpenAI(engine=slow).async_client(), model="m")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(chat.ask("x"), 0.05)
    assert chat.history == []


# Failures


def test_a_question_that_fails_leaves_no_trace(voice: Voice) -> None:
    engine = Script(
        "first",
        {"tool_calls": [call("add", {"a": 1, "b": 2})]},
        InternalServerError.because("broken"),
        "second",
    )
    chat = voice.chat(engine, tools=[add])
    voice.ask(chat, "a")
    with pytest.raises(InternalServerError):
        voice.ask(chat, "b")
    assert [each["content"] for each in chat.history] == ["a", "first"]
    assert chat.usage.requests == 2
    assert voice.ask(chat, "b").text == "second"
    assert [each["content"] for each in chat.history] == ["a", "first", "b", "second"]


# Limits


def _said(engine: Script) -> list[str]:
    return [str(each["content"]) for each in engine.messages]


def test_messages_have_a_limit(voice: Voice) -> None:
    engine = Script("answer")
    chat = voice.chat(engine, system="Always here.", history_messages=4)
    for n in range(5):
        voice.ask(chat, f"question {n}")
        assert len(chat.history) <= 4
    # Three of the four are left for what went before: an answer without its question stays behind too.
    assert _said(engine) == ["Always here.", "question 3", "answer", "question 4"]
    assert [each["content"] for each in chat.history] == ["question 3", "answer", "question 4", "answer"]


def test_calls_and_results_leave_together(voice: Voice) -> None:
    def answer(request: ChatRequest) -> Any:
        messages = request.body["messages"]
        if messages[-1]["role"] == "tool":
            return "done"
        return {"tool_calls": [call("add", {"a": 1, "b": n}, f"c{len(messages)}{n}") for n in (1, 2)]}

    for limit in range(1, 14):
        engine = Script(answer)
        chat = voice.chat(engine, tools=[add], history_messages=limit)
        for n in range(3):
            voice.ask(chat, f"q{n}")
            assert len(chat.history) <= limit
        for body in engine.bodies:
            _whole(body["messages"])
        _whole(chat.history)


def _whole(messages: list[Any]) -> None:
    """Every result of a tool has its call before it, and every call its result."""
    open_: set[str] = set()
    for each in messages:
        if each["role"] == "tool":
            open_.remove(each["tool_call_id"])
        else:
            assert not open_
            open_ = {made["id"] for made in each.get("tool_calls") or ()}
    assert not open_


def test_tokens_have_a_limit(voice: Voice) -> None:
    engine = Script("word " * 40)
    chat = voice.chat(engine, system="s", history_tokens=200, count_tokens=lambda text: len(text.split()))
    for n in range(6):
        voice.ask(chat, f"question {n} " + "word " * 20)
    sizes = [sum(len(str(each["content"]).split()) + 4 for each in body["messages"]) for body in engine.bodies]
    assert max(sizes) <= 200
    assert len(engine.messages) >= 4
    assert engine.messages[0] == {"role": "system", "content": "s"}


def test_a_question_goes_out_whole_however_long_it_is(voice: Voice) -> None:
    engine = Script("ok")
    chat = voice.chat(engine, history_tokens=1, count_tokens=len)
    voice.ask(chat, "much longer than the limit")
    voice.ask(chat, "and another")
    assert [len(body["messages"]) for body in engine.bodies] == [1, 1]


def test_estimates_learn_from_what_the_host_counts() -> None:
    tokens = Tokens()
    text = [{"role": "user", "content": "слово " * 100}]
    assert abs(tokens.of(text) - 275) < 10  # four bytes a token
    tokens.learn(text, "", 504)
    assert tokens.of(text) == 504
    tokens.learn(text, "", 10**9)
    assert tokens.of(text) < 2300  # nobody's word has that many tokens
    tokens.learn(text, "", 0)
    assert tokens.of([{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x" * 9999}}]}]) < 1000


def test_groups() -> None:
    calls = {"role": "assistant", "tool_calls": [{"id": "1"}, {"id": "2"}]}
    results = [{"role": "tool", "tool_call_id": n} for n in "12"]
    user = {"role": "user", "content": "q"}
    assert blocks([user, calls, *results, user]) == [[user], [calls, *results], [user]]
    assert trimmed([user, calls, *results], 0, lambda messages: len(messages) < 4) == [calls, *results]
    assert trimmed([user, calls, *results, user], 1, lambda messages: len(messages) < 5) == [user]
    assert trimmed([user] * 3, 3, lambda messages: False) == [user] * 3


# Saving


def test_a_conversation_is_saved_and_goes_on(voice: Voice, tmp_path: Path) -> None:
    engine = Script({"tool_calls": [call("add", {"a": 1, "b": 2})]}, "3", "still here")
    chat = voice.chat(engine, system="Be brief.", tools=[add])
    voice.ask(chat, "1 + 2?")
    path = tmp_path / "chat.json"
    chat.save(path)
    assert [each.name for each in tmp_path.iterdir()] == ["chat.json"]
    kept = type(chat).load(chat.client, path, tools=[add], history_messages=20)
    assert (kept.model, kept.system, kept.history, kept.usage) == (chat.model, chat.system, chat.history, chat.usage)
    assert voice.ask(kept, "and?").text == "still here"
    assert len(engine.messages) == 6
    again = type(chat).load(chat.client, chat.to_dict())
    again.restore(chat.to_json())
    assert again.history == chat.history
    assert "fake" not in path.read_text()  # no key


@pytest.mark.parametrize("saved", ["{}", "[]", "{", '{"messages": [5]}', '{"messages": [], "version": 99}'])
def test_what_is_no_conversation_is_refused(saved: str) -> None:
    chat = Chat(FakeOpenAI().client(), model="m", history=[{"role": "user", "content": "kept"}])
    with pytest.raises(ValueError):
        chat.restore(saved)
    assert chat.history == [{"role": "user", "content": "kept"}]


def test_usage_adds_up() -> None:
    one = Usage.of({"prompt_tokens": 3, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 1}})
    assert one == Usage(1, 3, 2, 5, 1, 0)
    assert one + one == Usage(2, 6, 4, 10, 2, 0)
    for odd in (None, "x", [], {"prompt_tokens": "7", "completion_tokens": None, "total_tokens": float("nan")}):
        assert Usage.of(odd) == Usage(1)


def test_reasoning_is_told() -> None:
    chat = Chat(FakeOpenAI().client(), model="m")
    pieces = list(chat.stream("think", reasoning_effort="low"))
    if any(isinstance(piece, Reasoning) for piece in pieces):
        assert isinstance(pieces[0], Reasoning)
    assert isinstance(pieces[-1], Text)


def test_an_answer_that_is_none_raises() -> None:
    from antiphon import OpenAI
    from antiphon.kernel.http import json_response

    for body, said in (
        ({"error": {"message": "overloaded", "code": 502}}, "overloaded"),
        ({"error": "overloaded"}, "overloaded"),
        ({"choices": []}, "no choices"),
        ({"choices": None}, "no choices"),
        ([1], "no choices"),
    ):
        client = OpenAI(api_key="k", transport=lambda request, body=body: json_response(200, body))
        chat = Chat(client, model="m")
        with pytest.raises(APIError, match=said):
            chat.ask("x")
        assert chat.history == []
