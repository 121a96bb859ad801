"""Legal behaviour, varied: it means the same, it is valid, and clients take it."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

import httpx2
import jsonschema_rs
import openai
import pytest
from hypothesis import find, given, settings
from hypothesis import strategies as st

import antiphon
from antiphon import FakeOpenAI
from antiphon.fake.fuzz import Liberties
from antiphon.kernel.http import Headers, Request
from antiphon.schema import operation, standalone
from antiphon.server.clock import VirtualClock
from antiphon.testing import liberties
from antiphon.transports.handler import HandlerTransport

TOOLS: Any = [
    {
        "type": "function",
        "function": {"name": name, "parameters": {"type": "object", "properties": {"to": {"type": "string"}}}},
    }
    for name in ("go", "stop", "turn")
]
ASK: Any = {"model": "gpt-5", "messages": [{"role": "user", "content": "Grüße, 日本 and 🎷!"}]}
KINDS = [each.name for each in fields(Liberties)]


def fake_and_client(liberty: Any) -> tuple[FakeOpenAI, openai.OpenAI]:
    fake = FakeOpenAI("echo")
    fake.fuzz(liberty)
    http = httpx2.Client(transport=fake.official_transport())
    return fake, openai.OpenAI(api_key="any", base_url="http://fake.test/v1", http_client=http, max_retries=0)


@settings(max_examples=20, deadline=None)
@given(liberties())
def test_what_is_varied_means_the_same_to_the_official_client_and_ours(liberty: Liberties) -> None:
    fake, official = fake_and_client(liberty)
    fake.when(text="three calls").call_tools(("go", {"to": "é"}), ("stop", {}), ("turn", {"to": "left"}))
    with official, fake.client() as ours:
        for client in (official, ours):
            whole = client.chat.completions.create(**ASK)
            assert whole.choices[0].message.content == ASK["messages"][0]["content"]
            with client.chat.completions.stream(**ASK) as stream:
                assert stream.get_final_completion().choices[0].message.content == ASK["messages"][0]["content"]
            with client.responses.stream(model="gpt-5", input="one two three") as events:
                assert events.get_final_response().output_text == "one two three"
            assert client.responses.create(model="gpt-5", input="Grüße").output_text == "Grüße"
            asked: Any = {**ASK, "messages": [{"role": "user", "content": "three calls"}], "tools": TOOLS}
            for stream_it in (False, True):
                if stream_it:
                    with client.chat.completions.stream(**asked) as calling:
                        message: Any = calling.get_final_completion().choices[0].message
                else:
                    message = client.chat.completions.create(**asked).choices[0].message
                called = {call.function.name: json.loads(call.function.arguments) for call in message.tool_calls}
                assert called == {"go": {"to": "é"}, "stop": {}, "turn": {"to": "left"}}
            assert len(client.embeddings.create(model="text-embedding-3-small", input="a").data[0].embedding) == 1536
            with pytest.raises((openai.NotFoundError, antiphon.NotFoundError), match="No such File object"):
                client.files.retrieve("file-none")


def raw(fake: FakeOpenAI, path: str, body: Any) -> Any:
    request = Request(
        "POST", path, "", Headers({"authorization": "Bearer any"}), json.dumps(body).encode(), "http://fake.test"
    )
    return HandlerTransport(fake).send(request, None, stream=False)


@pytest.mark.parametrize("kind", KINDS)
def test_each_liberty_is_taken(kind: str) -> None:
    default = next(each.default for each in fields(Liberties) if each.name == kind)
    plain, varied = (FakeOpenAI("echo", clock=VirtualClock(0)) for _ in range(2))
    varied.fuzz(Liberties(**{kind: 3 if default.__class__ is int else True}))
    ask = {**ASK, "stream": True, "tools": TOOLS, "stream_options": {"include_usage": True}}
    for each in (plain, varied):
        each.when(tools="go").call_tools(("go", {}), ("stop", {}), ("turn", {}))
    if kind in ("text", "escapes"):
        ask.pop("tools")
    answers = [raw(each, "/v1/chat/completions", ask) for each in (plain, varied)]
    same = answers[0].content == answers[1].content and answers[0].headers.pairs == answers[1].headers.pairs
    if kind == "bytes":
        body = varied(
            Request(
                "POST", "/v1/chat/completions", "", Headers({"authorization": "Bearer a"}), json.dumps(ask).encode()
            )
        )
        assert not isinstance(body, bytes)
        assert same
    else:
        assert not same


@settings(max_examples=20, deadline=None)
@given(liberties())
def test_what_is_varied_is_valid(liberty: Liberties) -> None:
    fake = FakeOpenAI("echo")
    fake.fuzz(liberty)
    asked = [
        ("chat.completions.create", "/v1/chat/completions", ASK),
        ("responses.create", "/v1/responses", {"model": "gpt-5", "input": "a b"}),
        ("embeddings.create", "/v1/embeddings", {"model": "text-embedding-3-small", "input": "a"}),
        ("moderations.create", "/v1/moderations", {"input": "a"}),
    ]
    for name, path, body in asked:
        schema = operation(name).response
        assert schema is not None
        jsonschema_rs.validator_for(standalone(schema)).validate(json.loads(raw(fake, path, body).content))
        event = operation(name).event
        if event is not None:
            validator = jsonschema_rs.validator_for(standalone(event))
            told = raw(fake, path, {**body, "stream": True}).content.decode().replace("\r\n", "\n")
            for each in told.split("\n\n"):
                data = [line[6:] for line in each.splitlines() if line.startswith("data: ")]
                if data and data[0] != "[DONE]" and 'unheard_of"' not in data[0].partition("sequence_number")[0]:
                    validator.validate(json.loads(data[0]))


def test_a_seed_says_the_same_again() -> None:
    def told(seed: int) -> list[bytes]:
        fake = FakeOpenAI()
        fake.fuzz(seed)
        return [raw(fake, "/v1/chat/completions", {**ASK, "stream": stream}).content for stream in (True, False) * 5]

    assert told(7) == told(7)
    assert told(7) != told(8)
    assert len(set(told(7))) > 5  # anew for each request


def test_it_ends_and_costs_nothing_then() -> None:
    fake = FakeOpenAI("echo")
    plain = raw(fake, "/v1/embeddings", {"model": "text-embedding-3-small", "input": "a"}).content
    with fake.fuzz(Liberties(spaces=True)):
        assert raw(fake, "/v1/embeddings", {"model": "text-embedding-3-small", "input": "a"}).content != plain
        with fake.fuzz(Liberties(unknown=True)):
            assert (
                b"unheard_of" in raw(fake, "/v1/embeddings", {"model": "text-embedding-3-small", "input": "a"}).content
            )
        assert b"\n  " in raw(fake, "/v1/embeddings", {"model": "text-embedding-3-small", "input": "a"}).content
    assert raw(fake, "/v1/embeddings", {"model": "text-embedding-3-small", "input": "a"}).content == plain
    fake.fuzz(1)
    fake.reset()
    assert raw(fake, "/v1/embeddings", {"model": "text-embedding-3-small", "input": "a"}).content == plain


def test_hypothesis_finds_the_least_that_breaks_a_client() -> None:
    def naive(liberty: Liberties) -> bool:
        """A client that reads each piece of a stream as an event."""
        fake = FakeOpenAI("echo")
        fake.fuzz(liberty)
        return b": still here" in raw(fake, "/v1/chat/completions", {**ASK, "stream": True}).content

    assert find(liberties(), naive) == Liberties(comments=True)
    with pytest.raises(ValueError, match="there is no liberty coments"):
        liberties("coments")
    assert find(liberties("text", "bytes"), lambda each: each.text > 3).text == 4


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"text": -1}, ValueError, "text is a whole number from 0 on, not -1"),
        ({"text": True}, TypeError, "text is a whole number, not True"),
        ({"spaces": 1}, TypeError, "spaces is True or False, not 1"),
    ],
)
def test_what_cannot_be(given: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        Liberties(**given)
    with pytest.raises(TypeError, match="fuzz takes a seed or Liberties, not True"):
        FakeOpenAI().fuzz(True)


@given(st.integers())
def test_all_liberties_are_drawn(seed: int) -> None:
    from random import Random

    drawn = [Liberties.drawn(Random(f"{seed} {number}")) for number in range(60)]
    assert all(any(getattr(each, name) for each in drawn) for name in KINDS)
