"""The control API from another language: a script of node that sets rules, asks with the official package, and looks at the
journal, in two sessions at once.

Needs node and npm, as the router's clients in JavaScript do.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from antiphon import FakeOpenAI
from tests.conformance.router import javascript

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
def said() -> Iterator[dict[str, Any]]:
    if os.environ.get(javascript.SKIP) == "1":
        pytest.skip(f"{javascript.SKIP} is set")
    missing = javascript.missing()
    if missing is not None:  # where everything has to run it fails; a newcomer's machine may do without
        (pytest.fail if os.environ.get("CI") else pytest.skip)(missing)
    with FakeOpenAI("echo").start(port=0) as server:
        yield javascript.run("control.mjs", server.url, of=Path(__file__).parent)


@pytest.mark.parametrize("city", ["Oslo", "Porto"])
def test_a_session_sees_its_own_rules_and_requests(said: dict[str, Any], city: str) -> None:
    told = said[city.lower()]
    sunny = f"{city} is sunny."
    assert (told["text"], told["streamed"]) == (sunny, sunny)
    assert told["call"] == {"name": "look", "arguments": {"at": city}}
    assert [(each["text"], each["status"]) for each in told["journal"]] == [
        (f"The weather in {city}?", 429),
        (f"The weather in {city}?", 200),
        ("And the weather now?", 200),
        ("Use the tool", 200),
    ]
    assert [each["rule"] for each in told["journal"]] == [None, 1, 1, 2]
    assert "429" in told["journal"][0]["fault"]
    assert 0 < told["cost"] < 0.01
    assert told["ended"] == 200


@pytest.mark.parametrize("city", ["oslo", "porto"])
def test_assertions_the_verdict_and_the_clock(said: dict[str, Any], city: str) -> None:
    told = said[city]
    assert told["held"] == {"status": 200, "value": {"passed": True}}
    assert told["failed"]["status"] == 422
    assert "which has no 'snow' in it" in told["failed"]["value"]["error"]["message"]
    # The official package waits as it is told: there is nothing to complain about.
    assert (told["verdict"]["findings"], told["verdict"]["retries"]) == ([], 1)
    assert told["clock"]["kind"] == "virtual"


def test_what_there_is(said: dict[str, Any]) -> None:
    assert said["health"]["value"]["status"] == "ok"
    assert said["operations"] > 20
