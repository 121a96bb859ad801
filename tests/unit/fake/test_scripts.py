"""Scripts: conversations of several legs, as clients have them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import httpx2
import openai
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import antiphon
from antiphon import FakeOpenAI
from antiphon.fake import exactly

TOOLS: Any = [{"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object"}}}]
FUNCTIONS: Any = [{"type": "function", "name": "get_weather", "parameters": {"type": "object"}, "strict": False}]


def weather(fake: FakeOpenAI, **options: Any) -> Any:
    return (
        fake.script("weather", **options)
        .user("weather")
        .call_tool("get_weather", city="Oslo")
        .tool("-4")
        .reply("It is freezing.")
        .user(re.compile("(?i)thanks"))
        .reply("You are welcome.")
    )


class Chat:
    """A conversation by chat completions."""

    def __init__(self, client: Any, *messages: Any) -> None:
        self.create = client.chat.completions.create
        self.messages: list[Any] = list(messages)

    def ask(self, **options: Any) -> Any:
        answer = self.create(**{"model": "gpt-5", "messages": self.messages, "tools": TOOLS, **options})
        message = answer.choices[0].message
        self.messages.append(message.to_dict())
        return message

    def say(self, text: str, **options: Any) -> Any:
        self.messages.append({"role": "user", "content": text})
        return self.ask(**options).content

    def result(self, text: str, **options: Any) -> Any:
        (call,) = self.messages[-1]["tool_calls"]
        self.messages.append({"role": "tool", "tool_call_id": call["id"], "content": text})
        return self.ask(**options).content


def played(chat: Chat) -> Iterator[Any]:
    yield chat.say("How is the weather?")
    yield chat.result("-4 C")
    yield chat.say("Thanks!")


PLAYED = [None, "It is freezing.", "You are welcome."]


def test_a_conversation_with_a_tool() -> None:
    fake = FakeOpenAI("echo")
    script = weather(fake)
    assert list(played(Chat(fake.client(), {"role": "system", "content": "Be brief."}))) == PLAYED
    assert (script.begun, script.played) == (1, 1)
    script.assert_played(times=1)
    assert [call.answered_by for call in fake.journal] == [str(leg) for leg in script.legs]
    assert str(script.legs[1]).startswith("leg 2, tool('-4'), of script 'weather', of test_scripts.py:")


def test_the_official_client_has_it_too() -> None:
    fake = FakeOpenAI("echo")
    script = weather(fake)
    transport = httpx2.Client(transport=fake.official_transport())
    client = openai.OpenAI(api_key="any", base_url="http://fake.test/v1", http_client=transport)
    assert list(played(Chat(client))) == PLAYED
    script.assert_played(times=1)


def test_conversations_do_not_meet() -> None:
    fake = FakeOpenAI("echo")
    script = weather(fake)
    client = fake.client()
    several = [played(Chat(client, {"role": "system", "content": f"{number % 2}"})) for number in range(4)]
    for expected in PLAYED:
        assert [next(each) for each in several] == [expected] * 4
    script.assert_played(times=4)


def test_responses_that_go_on_from_each_other_and_conversations() -> None:
    fake = FakeOpenAI("echo")
    script = weather(fake)
    create = fake.client().responses.create
    first = create(model="gpt-5", input="weather", tools=FUNCTIONS)
    output: Any = [{"type": "function_call_output", "call_id": first.output[0].call_id, "output": "-4"}]
    second = create(model="gpt-5", input=output, previous_response_id=first.id)
    assert second.output_text == "It is freezing."
    assert create(model="gpt-5", input="thanks", previous_response_id=second.id).output_text == "You are welcome."
    script.assert_played(times=1)
    conversation = fake.client().conversations.create()
    first = create(model="gpt-5", input="weather", tools=FUNCTIONS, conversation=conversation.id)
    output[0]["call_id"] = first.output[0].call_id
    assert create(model="gpt-5", input=output, conversation=conversation.id).output_text == "It is freezing."
    assert create(model="gpt-5", input="thanks", conversation=conversation.id).output_text == "You are welcome."
    script.assert_played(times=2)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_runs_of_assistants() -> None:
    fake = FakeOpenAI("echo", job_seconds=0)
    script = weather(fake)
    beta: Any = fake.client().beta
    assistant = beta.assistants.create(model="gpt-4o", tools=TOOLS)
    thread = beta.threads.create(messages=[{"role": "user", "content": "weather"}])

    def run() -> Any:
        begun = beta.threads.runs.create(thread.id, assistant_id=assistant.id)
        return beta.threads.runs.retrieve(begun.id, thread_id=thread.id)

    def last() -> str:
        message = next(iter(beta.threads.messages.list(thread.id)))
        return message.content[0].text.value  # type: ignore[no-any-return]

    waiting = run()
    (call,) = waiting.required_action.submit_tool_outputs.tool_calls
    outputs = [{"tool_call_id": call.id, "output": "-4"}]
    beta.threads.runs.submit_tool_outputs(waiting.id, thread_id=thread.id, tool_outputs=outputs)
    beta.threads.runs.retrieve(waiting.id, thread_id=thread.id)
    assert last() == "It is freezing."
    beta.threads.messages.create(thread.id, role="user", content="thanks")  # the call is in no message of the thread
    run()
    assert last() == "You are welcome."
    script.assert_played(times=1)


def test_calls_of_tools_may_be_left_out_later() -> None:
    fake = FakeOpenAI("echo")
    script = weather(fake)
    chat = Chat(fake.client())
    chat.say("weather")
    assert chat.result("-4") == "It is freezing."
    del chat.messages[1:3]
    assert chat.say("thanks") == "You are welcome."
    script.assert_played(times=1)


def test_streams() -> None:
    fake = FakeOpenAI("echo")
    weather(fake)
    chat = Chat(fake.client())
    assert chat.say("weather") is None
    (call,) = chat.messages[-1]["tool_calls"]
    chat.messages.append({"role": "tool", "tool_call_id": call["id"], "content": "-4"})
    stream = chat.create(model="gpt-5", messages=chat.messages, stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in stream) == "It is freezing."


def test_a_request_that_is_sent_again_gets_the_answer_again() -> None:
    fake = FakeOpenAI("echo")
    script = weather(fake)
    chat = Chat(fake.client())
    chat.say("weather")
    for _ in range(3):
        assert chat.result("-4") == "It is freezing."
        del chat.messages[-2:]
    assert (script.begun, script.played) == (1, 0)


def test_several_answers_of_a_leg_are_each_conversations_own() -> None:
    fake = FakeOpenAI()
    script = fake.script().user("hello").fail(503, retry_after=0.01).fail(429, retry_after=0.01).reply("At last.")
    for number in range(2):
        chat = Chat(fake.client(max_retries=2), {"role": "system", "content": str(number)})
        assert chat.say("hello") == "At last."
    fake.assert_called(status=503, times=2)
    fake.assert_called(status=429, times=2)
    script.assert_played(times=2)


def test_what_was_said_before_does_not_matter() -> None:
    fake = FakeOpenAI("echo")
    script = weather(fake)
    before = [
        {"role": "user", "content": "An example"},
        {"role": "assistant", "content": "An answer"},
        {"role": "user", "content": "Another"},
        {"role": "assistant", "content": "Another answer"},
    ]
    assert list(played(Chat(fake.client(), *before))) == PLAYED
    script.assert_played(times=1)


def test_whoever_leaves_a_script_gets_the_engine_and_the_test_is_told() -> None:
    fake = FakeOpenAI("echo")
    script = weather(fake)
    chat = Chat(fake.client())
    assert chat.say("weather") is None
    assert chat.result("it is warm") != "It is freezing."
    with pytest.raises(AssertionError) as failed:
        script.assert_played()
    told = str(failed.value)
    assert re.match(
        r"expected script 'weather', of test_scripts.py:\d+ to be played to its end, and it was never.", told
    )
    assert "  1 stopped after leg 1, user('weather')" in told
    assert "it leaves script 'weather'" in told
    assert "at leg 2, tool('-4'): tool_result is 'it is warm', which has no '-4' in it" in told
    fake.reset()
    with pytest.raises(AssertionError, match="no conversation has begun it"):
        weather(fake).assert_played()


def test_a_rule_may_answer_what_a_script_does_not() -> None:
    fake = FakeOpenAI(strict=True)
    weather(fake)
    fake.when(text="bye").reply("Bye.")
    chat = Chat(fake.client())
    list(played(chat))
    assert chat.say("bye") == "Bye."
    with pytest.raises(antiphon.NotFoundError, match=r"No rule answers .*: the nearest is rule 1"):
        chat.say("more")
    with pytest.raises(antiphon.NotFoundError, match="the nearest is rule 1, when"):
        Chat(fake.client()).say("hello")


def test_a_strict_script_may_not_be_left() -> None:
    fake = FakeOpenAI("echo")
    weather(fake, strict=True)
    client = fake.client()
    assert Chat(client).say("hello") == "hello"
    chat = Chat(client)
    chat.say("weather")
    with pytest.raises(antiphon.NotFoundError, match=r"at leg 2, tool\('-4'\): tool_result is 'warm'") as left:
        chat.result("warm")
    assert left.value.code == "no_rule"
    chat.messages.pop()
    assert chat.result("-4") == "It is freezing."
    assert chat.say("thanks") == "You are welcome."
    with pytest.raises(antiphon.NotFoundError, match="is over after leg 3"):
        chat.say("thanks")


def test_scripts_that_begin_alike_part_where_they_differ() -> None:
    fake = FakeOpenAI()
    left = fake.script("left").user("go").reply("Left or right?").user("left").reply("A wall.")
    right = fake.script("right").user("go").reply("Left or right?").user("right").reply("A door.")
    for turn, found in (("left", "A wall."), ("right", "A door.")):
        chat = Chat(fake.client())
        assert chat.say("go") == "Left or right?"
        assert chat.say(turn) == found
    left.assert_played(times=1)
    right.assert_played(times=1)


def test_the_script_that_spoke_goes_on() -> None:
    fake = FakeOpenAI()
    fake.script("one").user("go").reply("I am one.").user("go on").reply("One still.")
    fake.script("two", model="gpt-5-mini").user("go").reply("I am two.").user("go on").reply("Two still.")
    for model, first, then in (("gpt-5", "I am one.", "One still."), ("gpt-5-mini", "I am two.", "Two still.")):
        chat = Chat(fake.client())
        assert chat.say("go", model=model) == first
        assert chat.say("go on", model=model) == then


def test_what_was_cut_off_is_what_was_said() -> None:
    fake = FakeOpenAI()
    fake.script().user("go").reply("one two three four five").user("on").reply("six")
    chat = Chat(fake.client())
    assert chat.say("go", max_completion_tokens=2) != "one two three four five"
    assert chat.say("on") == "six"


def test_answers_of_every_kind() -> None:
    fake = FakeOpenAI()
    script = (
        fake.script()
        .user(exactly("a"), tools="get_weather")
        .call_tools(("get_weather", {"city": "Oslo"}), ("get_weather", {"city": "Bergen"}))
        .tool()
        .reply(lambda request, state: f"{state.rule.script.name} {state.asked.tool_result}")
        .when(text="b", turn=3)
        .refuse("No.")
        .user()
        .template("{text}?")
    )
    chat = Chat(fake.client())
    chat.say("a")
    for call, text in zip(chat.messages[-1]["tool_calls"], ("-4", "2"), strict=True):
        chat.messages.append({"role": "tool", "tool_call_id": call["id"], "content": text})
    assert chat.ask().content == "None -4\n2"
    chat.say("b")
    assert chat.messages[-1]["refusal"] == "No."
    assert chat.say("c") == "c?"
    script.assert_played(times=1)
    fake.assert_all_rules_used()


def test_legs_that_were_not_reached_are_unused_rules() -> None:
    fake = FakeOpenAI()
    weather(fake)
    Chat(fake.client()).say("weather")
    with pytest.raises(AssertionError, match=r"leg 2, tool\('-4'\), of script 'weather'"):
        fake.assert_all_rules_used()


def test_explained() -> None:
    fake = FakeOpenAI("echo")
    weather(fake)
    chat = Chat(fake.client())
    assert "script 'weather'" in fake.explain({"messages": [{"role": "user", "content": "weather"}], "model": "m"})
    chat.say("weather")
    asked = {"model": "m", "messages": [*chat.messages, {"role": "tool", "tool_call_id": "x", "content": "warm"}]}
    told = fake.explain(asked)
    assert "no: leg 2, tool('-4'), comes next, and tool_result is 'warm', which has no '-4' in it" in told
    asked["messages"][-1]["content"] = "-4"
    assert ": answers with leg 2, tool('-4')" in fake.explain(asked)
    assert "no rule answers" not in fake.explain(asked)
    create = fake.client().responses.create
    first = create(model="gpt-5", input="weather", tools=FUNCTIONS)
    create(
        model="gpt-5",
        input=[{"type": "function_call_output", "call_id": first.output[0].call_id, "output": "warm"}],  # type: ignore[attr-defined, union-attr]
        previous_response_id=first.id,
    )
    assert "comes next, and tool_result is 'warm'" in fake.explain(fake.journal[-1])


def test_reset_forgets_scripts() -> None:
    fake = FakeOpenAI("echo")
    weather(fake)
    fake.reset()
    assert fake.rules.scripts == []
    assert Chat(fake.client()).say("weather") == "weather"


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (lambda fake: fake.script().reply("x"), "a script begins with what is said"),
        (lambda fake: fake.script().user("x").user("y"), "leg 1, user('x'), has no answer yet"),
        (lambda fake: fake.script().user(3), "text is a str"),
        (lambda fake: fake.script(txt="x"), "there is no condition 'txt'"),
        (lambda fake: fake.script().user("x").reply(3), "an engine's function answers a str"),
        (lambda fake: fake.script().user("x").reply([1.0]), "an engine's function answers a str"),
    ],
)
def test_what_cannot_be_a_script_is_refused_when_it_is_made(wrong: Any, told: str) -> None:
    with pytest.raises((TypeError, ValueError)) as error:
        wrong(FakeOpenAI())
    assert told in str(error.value)


async def test_over_http_many_at_once_and_over_a_websocket() -> None:
    import asyncio

    fake = FakeOpenAI("echo")
    script = fake.script().user("go").reply("Where to?").user("home").reply("There.")
    async with fake.start(port=0) as server, openai.AsyncOpenAI(api_key="any", base_url=server.base_url) as client:

        async def converse(number: int) -> list[str]:
            messages: list[Any] = [{"role": "user", "content": f"go {number}"}]
            for text in ("home", ""):
                stream: Any = await client.chat.completions.create(model="m", messages=messages, stream=True)
                said = "".join([chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices])
                messages += [{"role": "assistant", "content": said}, {"role": "user", "content": text}]
            return [each["content"] for each in messages if each["role"] == "assistant"]

        assert await asyncio.gather(*map(converse, range(20))) == [["Where to?", "There."]] * 20
        script.assert_played(times=20)
        connection: Any
        async with client.responses.connect() as connection:
            previous: dict[str, str] = {}
            for text in ("go", "home"):
                await connection.response.create(model="m", input=text, **previous)
                async for event in connection:
                    if event.type == "response.completed":
                        previous = {"previous_response_id": event.response.id}
                        break
    script.assert_played(times=21)


LEGS = st.lists(st.tuples(st.sampled_from(["user", "tool"]), st.booleans()), min_size=1, max_size=6)


@settings(max_examples=40, deadline=None)
@given(st.lists(LEGS, min_size=1, max_size=3), st.randoms(use_true_random=False))
def test_whoever_says_what_a_script_has_hears_what_it_has(shapes: list[Any], random: Any) -> None:
    """Several scripts, each played by two conversations, a leg of one after a leg of another."""
    fake = FakeOpenAI(strict=True)
    client = fake.client()
    playing: list[Iterator[None]] = []
    scripts: list[Any] = []
    for number, shape in enumerate(shapes):
        script: Any = fake.script(f"{number}")
        lines: list[tuple[bool, str, str | None]] = []
        called = False
        for place, (kind, calls) in enumerate(shape):
            said = f"{number}.{place} " if place else f"{number}. "
            is_tool = kind == "tool" and called
            script = script.tool(said) if is_tool else script.user(said)
            # A conversation may not go on without the result of a tool, so only a leg before a tool's calls one.
            called = calls and place + 1 < len(shape) and shape[place + 1][0] == "tool"
            answer = None if called else f"answer {number}.{place}"
            script = script.call_tool("get_weather") if answer is None else script.reply(answer)
            lines.append((is_tool, said, answer))

        def play(lines: Any = lines) -> Iterator[None]:
            chat = Chat(client)
            for is_tool, said, answer in lines:
                assert (chat.result if is_tool else chat.say)(f"say {said}") == answer
                yield

        scripts.append(script)
        playing += [play(), play()]
    while playing:
        one = random.choice(playing)
        if next(one, one) is one:
            playing.remove(one)
    for script in scripts:
        script.assert_played(times=2)
