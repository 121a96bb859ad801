"""The engines that answer with text, and those that take their time."""

from __future__ import annotations

import re
from typing import Any

import pytest

from antiphon.engines.paced import Paced
from antiphon.engines.text import Echo, LoremIpsum, ReverseInput
from antiphon.kernel.flow import Await, Pause
from antiphon.server.engine import ChatRequest
from tests.unit.server.sdk import chat, serve


def asked(*texts: str, **options: Any) -> ChatRequest:
    return ChatRequest("m", [{"role": "user", "content": text} for text in texts], **options)


def test_lorem_ipsum_follows_from_the_seed_and_the_question() -> None:
    assert LoremIpsum(1)(asked("a")) == LoremIpsum(1)(asked("a"))
    answers = {LoremIpsum(seed)(asked("a")) for seed in range(20)}
    assert len(answers) == 20
    assert len({LoremIpsum(1)(asked(str(n))) for n in range(50)}) > 30
    assert LoremIpsum(1)(asked("a", seed=1)) != LoremIpsum(1)(asked("a", seed=2))
    assert LoremIpsum(1)(asked("a", choice=1)) != LoremIpsum(1)(asked("a"))


@pytest.mark.parametrize("words", [0, 1, 8, 9, 22, 23, 100, (5, 30)])
def test_lorem_ipsum_has_the_words_asked_for(words: Any) -> None:
    low, high = words if isinstance(words, tuple) else (words, words)
    lorem = LoremIpsum(words=words)
    for number in range(100):
        text = lorem.text(number)
        assert low <= len(text.split()) <= high
        assert not text or re.fullmatch(r"Lorem[\w ,.]*\.", text)


def test_lorem_ipsum_refuses_impossible_lengths() -> None:
    with pytest.raises(ValueError, match="cannot have"):
        LoremIpsum(words=(5, 3))


def test_echo_and_reverse_read_the_last_user_message() -> None:
    request = ChatRequest(
        "m",
        [
            {"role": "user", "content": "first"},
            {"role": "assistant", "content": "no"},
            {
                "role": "user",
                "content": [{"type": "text", "text": "la"}, {"type": "image_url"}, {"type": "text", "text": "st"}],
            },
            {"role": "assistant", "content": "nor this"},
        ],
    )
    assert Echo()(request) == "last"
    assert ReverseInput()(request) == "tsal"
    assert Echo()(ChatRequest("m", [])) == ""


def test_latency_is_in_the_answer_and_takes_no_time_under_a_virtual_clock() -> None:
    server = serve(Paced(Echo(), first=2, each=0.5))
    began = server.clock.now()
    streamed = chat(server, "one two three", stream=True)
    assert server.clock.now() - began == 2 + 2 * 0.5
    assert "".join(e["choices"][0]["delta"].get("content") or "" for e in streamed.events) == "one two three"
    began = server.clock.now()
    assert chat(server, "one two three").json["choices"][0]["message"]["content"] == "one two three"
    assert server.clock.now() - began == 3


def test_pace_keeps_the_steps_of_the_engine_within() -> None:
    async def one() -> int:
        return 1

    def inner(request: Any) -> Any:
        yield f"{(yield Await(one()))}"
        try:
            yield Await(fails())
        except KeyError:
            yield "caught"

    async def fails() -> None:
        raise KeyError

    pieces = list(Paced(lambda request: ["a", "b"], first=1, each=2)(asked("x")))
    assert [p.seconds if isinstance(p, Pause) else p for p in pieces] == [1, "a", 2, "b"]
    server = serve(Paced(inner, each=1))
    assert chat(server).json["choices"][0]["message"]["content"] == "1caught"


def test_pauses_are_not_negative() -> None:
    with pytest.raises(ValueError, match="shorter than nothing"):
        Paced(Echo(), first=-1)
