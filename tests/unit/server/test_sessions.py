"""Sessions over websockets, whatever their clients say in them: every answer is an event, and none is the server's fault."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import pytest

from antiphon import FakeOpenAI
from antiphon.kernel.dialogue import Conversation, Goodbye
from antiphon.kernel.flow import World
from antiphon.kernel.http import Headers, Request, Response
from antiphon.schema import events, standalone
from antiphon.server.examples import example

ADDRESSES = {
    "realtime": "/v1/realtime",
    "beta_realtime": "/v1/realtime",
    "realtime_translations": "/v1/realtime/translations",
    "live": "/v1/live/sessions",
}
HEADERS = {"beta_realtime": {"openai-beta": "realtime=v1"}}


def opened(fake: FakeOpenAI, name: str, path: str | None = None) -> Conversation:
    headers = Headers({"authorization": "Bearer sk-test", **HEADERS.get(name, {})})
    dialogue = fake.dialogue(Request("GET", path or ADDRESSES[name], "model=gpt-realtime", headers))
    assert not isinstance(dialogue, Response), dialogue.content
    return Conversation(dialogue, World())


def said(talk: Conversation) -> list[Any]:
    found: list[Any] = []
    while (message := talk.next()) is not None:
        found.append(json.loads(message))
    return found


def plausible(value: Any, rng: Random) -> Any:
    """What a schema allows, with sound that is some, and names that are good."""
    if isinstance(value, list):
        return [plausible(each, rng) for each in value]
    if not isinstance(value, dict):
        return value
    made = {name: plausible(each, rng) for name, each in value.items()}
    good = {"audio": "AEB/" * rng.randrange(6_000), "name": "name", "call_id": "call_1", "model": "gpt-realtime"}
    made |= {name: each for name, each in good.items() if isinstance(made.get(name), str)}
    if "parameters" in made:
        made["parameters"] = {"type": "object", "properties": {}}
    return made


@pytest.mark.parametrize("name", ADDRESSES)
@pytest.mark.parametrize("seed", range(4))
def test_whatever_is_said(name: str, seed: int) -> None:
    fake, rng = FakeOpenAI(engine="echo"), Random(f"{name} {seed}")
    table = events(name)
    talk = opened(fake, name)
    heard = said(talk)
    if name == "live":
        talk.hear(b'{"type": "session.start", "session": {"model": "gpt-live-1"}}')
    for _ in range(60):
        schema = standalone(table[rng.choice(sorted(table))])
        event = example(schema, rng)
        if event["type"] == "session.close":
            continue
        event = plausible(event, rng) if rng.random() < 0.9 else event
        talk.hear(json.dumps(event).encode())
        heard += said(talk)
    assert len({each["event_id"] for each in heard if "event_id" in each}) > 10
    for each in heard:
        assert isinstance(each["type"], str)
        if each["type"] == "error":
            assert each["error"]["type"] != "server_error", each
            assert each["error"]["message"]


@pytest.mark.parametrize(
    "message", [b"", b"{", b"[]", b"3", b'{"type": 3}', b'{"type": null}', b"\xff", b'{"type": {}}']
)
@pytest.mark.parametrize("name", ADDRESSES)
def test_what_is_no_event_is_refused(name: str, message: bytes) -> None:
    talk = opened(FakeOpenAI(), name)
    said(talk)
    talk.hear(message)
    (answer,) = said(talk)
    assert (answer["type"], answer["error"]["type"]) == ("error", "invalid_request_error")


@pytest.mark.parametrize("name", ["realtime_translations", "live"])
def test_what_is_closed_says_goodbye(name: str) -> None:
    talk = opened(FakeOpenAI(), name)
    if name == "live":
        talk.hear(b'{"type": "session.start", "session": {"model": "gpt-live-1"}}')
    talk.hear(b'{"type": "session.close"}')
    heard: list[str] = []

    def hear_out() -> None:
        while (message := talk.next()) is not None:
            heard.append(json.loads(message)["type"])

    with pytest.raises(Goodbye):
        hear_out()
    assert heard[-1] == "session.closed"


def test_the_same_seed_says_the_same() -> None:
    def ids(seed: int) -> list[str]:
        talk = opened(FakeOpenAI(seed=seed), "realtime")
        talk.hear(b'{"type": "session.update", "session": {"type": "realtime", "output_modalities": ["text"]}}')
        talk.hear(b'{"type": "response.create"}')
        return [each["event_id"] for each in said(talk)]

    assert ids(1) == ids(1) != ids(2)
