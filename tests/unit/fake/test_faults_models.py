"""Models that misbehave: the answer is in order, and what it says is not."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon import FakeOpenAI
from antiphon.fake.faults import (
    Behaviour,
    Decline,
    EndlessToolCalls,
    HallucinatedIds,
    InvalidArguments,
    RepeatedText,
    UnknownTool,
    nth,
    once,
)
from antiphon.fake.faults.models import _ID, _other_arguments
from antiphon.server.clock import VirtualClock

PARAMETERS: Any = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}, "exact": {"type": ["boolean", "null"]}},
    "required": ["city"],
}
TOOLS: Any = [
    {"type": "function", "function": {"name": "get_weather", "parameters": PARAMETERS}},
    {"type": "function", "function": {"name": "get_weather_v2", "parameters": {"type": "object", "properties": {}}}},
]
RESPONSE_TOOLS: Any = [{"type": "function", **each["function"], "strict": False} for each in TOOLS]


def chat(fake: FakeOpenAI, text: str = "How is the weather?", messages: Any = (), **options: Any) -> Any:
    create: Any = fake.client(max_retries=0).chat.completions.create
    given_messages = [{"role": "user", "content": text}, *messages]
    return create(**{"model": "gpt-5", "messages": given_messages, "tools": TOOLS, **options}).choices[0]


def called(fake: FakeOpenAI, *, stream: bool = False) -> tuple[str, str]:
    """The name and the arguments of the tool that a Response calls."""
    create: Any = fake.client(max_retries=0).responses.create
    answer = create(model="gpt-5", input="How is the weather?", tools=RESPONSE_TOOLS, stream=stream)
    if stream:
        answer = [event for event in answer if event.type == "response.completed"][-1].response
    (item,) = [each for each in answer.output if each.type == "function_call"]
    return item.name, item.arguments


@pytest.mark.parametrize("stream", [False, True])
def test_an_unknown_tool(stream: bool) -> None:
    fake = FakeOpenAI()
    fake.misbehave(UnknownTool())
    assert called(fake, stream=stream) == ("get_weather_v2_v2", "{}")
    fake.misbehave(UnknownTool("delete_everything"))
    assert called(fake, stream=stream) == ("delete_everything", "{}")
    message = chat(fake, tools=TOOLS[1:])
    assert message.message.tool_calls[0].function.name == "delete_everything"
    assert message.finish_reason == "tool_calls"
    exchange = fake.journal[-1]
    assert (exchange.status, str(exchange.fault)) == (200, "UnknownTool('delete_everything')")
    assert [call.name for call in exchange.tool_calls] == ["delete_everything"]


@pytest.mark.parametrize("stream", [False, True])
def test_invalid_arguments(stream: bool) -> None:
    fake = FakeOpenAI()
    fake.misbehave(InvalidArguments())
    name, arguments = called(fake, stream=stream)
    assert name == "get_weather"
    with pytest.raises(ValueError):
        json.loads(arguments)
    fake.misbehave(InvalidArguments("schema"))
    name, arguments = called(fake, stream=stream)
    assert name == "get_weather"
    assert json.loads(arguments) == {"city": 12345, "days": "many", "exact": "maybe"}


def test_invalid_arguments_need_a_tool() -> None:
    fake = FakeOpenAI("echo")
    fake.misbehave(InvalidArguments("schema"), when=once())
    client = fake.client()
    assert client.responses.create(model="gpt-5", input="Hello").output_text == "Hello"  # not struck, not counted
    assert fake.journal[-1].fault is None
    assert chat(fake, tools=TOOLS[1:]).message.tool_calls[0].function.arguments == "[]"  # echo would have called none
    assert chat(fake).message.content == "How is the weather?"


def test_ids_that_lead_nowhere() -> None:
    fake = FakeOpenAI("echo")
    fake.misbehave(HallucinatedIds())
    text = "Order 48213 of cus_A1b2C3 is in file-9f8e7d6c, see 6ba7b810-9dad-11d1-80b4-00c04fd430c8; 12 items"
    said = chat(fake, text, tools=[]).message.content
    assert said != text
    assert re.fullmatch(
        r"Order \d{5} of cus_[A-Z]\d[a-z]\d[A-Z]\d is in file-\d[a-f]\d[a-f]\d[a-f]\d[a-f], see [0-9a-f-]{36}; 12 items",
        said,
    )
    for each in ("48213", "cus_A1b2C3", "file-9f8e7d6c", "6ba7b810"):
        assert each not in said
    fake.misbehave(HallucinatedIds())
    assert chat(fake, text, tools=[]).message.content == said  # the same for a seed
    fake.when(text="call").call_tool("get_order", order_id=77, customer={"ref": "abc"}, note="all of ord_5f5f5f", n=5)
    arguments = json.loads(chat(fake, "call").message.tool_calls[0].function.arguments)
    assert arguments["order_id"] != 77
    assert 10 <= arguments["order_id"] <= 99
    assert arguments["customer"]["ref"] != "abc"
    assert "ord_5f5f5f" not in arguments["note"]
    assert arguments["n"] == 5


@given(
    st.dictionaries(st.sampled_from(["id", "file_ids", "name", "count"]), st.integers(0, 10**6) | st.text(max_size=9))
)
def test_arguments_with_other_ids_have_the_same_shape(arguments: dict[str, Any]) -> None:
    from random import Random

    made = json.loads(_other_arguments(json.dumps(arguments), Random(0)))
    assert made.keys() == arguments.keys()
    for name, value in arguments.items():
        assert type(made[name]) is type(value)
        assert len(str(made[name])) == len(str(value))
        if name in ("name", "count") and not _ID.search(str(value)):
            assert made[name] == value


@pytest.mark.parametrize("id", [2**64 - 1, 10**19, 2**63 - 1, -(2**63), 0])
def test_numbers_of_ids_stay_what_json_can_have(id: int) -> None:
    from random import Random

    for seed in range(40):
        made = json.loads(_other_arguments(json.dumps({"id": id}), Random(seed)))["id"]
        assert made != id
        assert -(2**63) <= made < 2**64


@pytest.mark.parametrize("stream", [False, True])
def test_a_refusal(stream: bool) -> None:
    fake = FakeOpenAI()
    fake.misbehave(Decline("Never."))
    create: Any = fake.client().responses.create
    answer = create(model="gpt-5", input="Hello", stream=stream)
    if stream:
        answer = [event for event in answer if event.type == "response.completed"][-1].response
    (part,) = answer.output[0].content
    assert (part.type, part.refusal) == ("refusal", "Never.")
    assert chat(fake).message.refusal == "Never."


def test_tools_are_called_without_an_end() -> None:
    fake = FakeOpenAI()
    fake.misbehave(EndlessToolCalls())
    messages: list[Any] = []
    for _ in range(5):
        choice = chat(fake, messages=messages)
        assert choice.finish_reason == "tool_calls"
        (call,) = choice.message.tool_calls
        assert call.function.name == "get_weather"
        assert isinstance(json.loads(call.function.arguments)["city"], str)
        messages += [choice.message.to_dict(), {"role": "tool", "tool_call_id": call.id, "content": "cold"}]
    fake.behave()
    assert chat(fake, messages=messages).message.content
    fake.misbehave(EndlessToolCalls("get_weather_v2"))
    assert chat(fake, messages=messages).message.tool_calls[0].function.name == "get_weather_v2"


def test_the_same_text_again_and_again() -> None:
    fake = FakeOpenAI("echo")
    fake.misbehave(RepeatedText(4))
    choice = chat(fake, "Hm.", tools=[])
    assert (choice.message.content, choice.finish_reason) == ("Hm. Hm. Hm. Hm. ", "length")
    fake.misbehave(RepeatedText(1000, "again"))
    choice = chat(fake, tools=[], max_tokens=7)
    assert choice.message.content.split() == ["again"] * 7
    assert choice.finish_reason == "length"
    chunks = list(fake.client().responses.create(model="gpt-5", input="x", stream=True))
    assert chunks[-1].type == "response.incomplete"


def test_every_choice_is_struck() -> None:
    fake = FakeOpenAI()
    fake.misbehave(Decline("No."), when=nth(1))
    create: Any = fake.client().chat.completions.create
    several = create(model="gpt-5", messages=[{"role": "user", "content": "Hi"}], n=3)
    assert [each.message.refusal for each in several.choices] == ["No."] * 3
    assert chat(fake, tools=[]).message.refusal is None


def test_rules_are_misled_too() -> None:
    fake = FakeOpenAI()
    fake.when(text="weather").reply("It is cold. ")
    fake.misbehave(RepeatedText(2))
    assert chat(fake, tools=[]).message.content == "It is cold.  It is cold.  "
    assert fake.journal[-1].rule is not None


@pytest.mark.parametrize(
    "behaviour", [UnknownTool(), Decline(), RepeatedText(3), EndlessToolCalls(), HallucinatedIds()], ids=str
)
def test_only_conversations_are_struck(behaviour: Behaviour) -> None:
    fake = FakeOpenAI("echo")
    fake.misbehave(behaviour)
    client = fake.client()
    client.embeddings.create(model="text-embedding-3-small", input="x")
    client.models.list()
    assert [each.fault for each in fake.journal] == [None, None]


def test_engines_that_take_their_time_are_heard_to_their_end() -> None:
    ended: list[str] = []

    async def slow(request: Any) -> Any:
        try:
            yield "one "
            yield "two"
        finally:
            ended.append("slow")

    fake = FakeOpenAI(slow)
    fake.misbehave(RepeatedText(2))
    assert chat(fake, tools=[]).message.content == "one two one two "
    fake.misbehave(Decline("No."))
    assert chat(fake, tools=[]).message.refusal == "No."


def test_runs_of_assistants_are_misled() -> None:
    import warnings

    warnings.simplefilter("ignore", DeprecationWarning)
    fake = FakeOpenAI("echo")
    client = fake.client()
    assistant = client.beta.assistants.create(model="gpt-5")
    thread = client.beta.threads.create(messages=[{"role": "user", "content": "Hi"}])
    fake.misbehave(RepeatedText(2))
    client.beta.threads.runs.create_and_poll(thread_id=thread.id, assistant_id=assistant.id)
    exchange = next(each for each in fake.journal if each.operation == "beta.threads.runs.create")
    assert str(exchange.fault) == "RepeatedText(2)"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: InvalidArguments("xml"), "invalid_arguments: how is json or schema, not 'xml'"),
        (lambda: RepeatedText(1), "repeated_text: times is a whole number, from 2 to 100000, not 1"),
        (lambda: Decline(5), "refusal: text is a text, not 5"),  # type: ignore[arg-type]
        (lambda: UnknownTool(5), "unknown_tool: tool is a text, not 5"),  # type: ignore[arg-type]
    ],
)
def test_bad_settings_are_refused(make: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        make()


@pytest.mark.parametrize("stream", [False, True])
def test_a_response_in_the_background_is_of_the_model_that_misbehaved_when_it_was_asked(stream: bool) -> None:
    fake = FakeOpenAI("echo", clock=VirtualClock(), job_seconds=10)
    create: Any = fake.client().responses.create
    sound = create(model="gpt-5", input="Hello", background=True)
    with fake.misbehave(Decline("Never."), when=once()) as faults:
        struck = create(model="gpt-5", input="Hello", background=True, stream=stream)
        if stream:  # of those that wait, each is asked while this one is followed
            struck = list(struck)[-1].response
        assert faults.strikes == 1
    state = fake.snapshot()
    for _ in range(2):
        fake.clock.advance("1m")
        retrieve: Any = fake.client().responses.retrieve
        assert retrieve(struck.id).output[0].content[0].refusal == "Never."
        assert retrieve(sound.id).output_text == "Hello"
        fake.restore(state)
    fake.reset()
    again = create(model="gpt-5", input="Hello", background=True)
    fake.clock.advance("1m")
    assert fake.client().responses.retrieve(again.id).output_text == "Hello"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_run_is_of_the_model_that_misbehaved_when_it_was_asked() -> None:
    fake = FakeOpenAI("echo", clock=VirtualClock(), job_seconds=10)
    beta: Any = fake.client().beta
    assistant = beta.assistants.create(model="gpt-5")
    thread = beta.threads.create(messages=[{"role": "user", "content": "Hello"}])
    fake.misbehave(RepeatedText(times=2), when=once())
    run = beta.threads.runs.create(thread.id, assistant_id=assistant.id)
    fake.clock.advance("1m")
    assert beta.threads.runs.retrieve(run.id, thread_id=thread.id).status == "incomplete"
    said = beta.threads.messages.list(thread.id).data[0]
    assert said.content[0].text.value.split() == ["Hello", "Hello"]
