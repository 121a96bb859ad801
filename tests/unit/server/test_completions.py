"""`POST /completions`: prompts of every kind, echo, scores, limits, plain and streamed."""

from __future__ import annotations

from typing import Any

import pytest
from openai.types import Completion

from antiphon.engines.text import Echo, LoremIpsum
from antiphon.server import tokens
from antiphon.server.app import Server
from tests.unit.server.sdk import Answer, ask, official, serve

MODEL = "gpt-3.5-turbo-instruct"


def complete(server: Server, prompt: Any = "Once upon a time", **options: Any) -> Answer:
    return ask(server, "POST", "/completions", {"model": MODEL, "prompt": prompt, **options})


def test_a_completion_has_sixteen_tokens_where_nobody_says_otherwise() -> None:
    completion = Completion.model_validate(complete(serve()).json)
    assert completion.object == "text_completion"
    assert completion.id.startswith("cmpl-")
    assert completion.choices[0].finish_reason == "length"
    assert completion.usage is not None
    assert completion.usage.completion_tokens == 16
    assert completion.usage.prompt_tokens == tokens.count("Once upon a time", MODEL)


@pytest.mark.parametrize(
    ("prompt", "said", "used"),
    [
        ("a b", ["a b"], 2),
        (["a", "b c"], ["a", "b c"], 3),
        (tokens.encode("a b", MODEL), ["a b"], 2),
        ([tokens.encode("a", MODEL), tokens.encode("b c d", MODEL)], ["a", "b c d"], 4),
        (None, ["<|endoftext|>"], 1),
    ],
)
def test_prompts_of_every_kind(prompt: Any, said: list[str], used: int) -> None:
    answer = complete(serve(Echo()), prompt, max_tokens=50).json
    assert [choice["text"] for choice in answer["choices"]] == said
    assert [choice["index"] for choice in answer["choices"]] == list(range(len(said)))
    assert answer["usage"]["prompt_tokens"] == used


def test_n_choices_for_each_prompt_and_best_of_counts_what_was_thrown_away() -> None:
    answer = complete(serve(LoremIpsum(words=40)), ["a", "b"], n=2, best_of=3, max_tokens=4).json
    assert [choice["index"] for choice in answer["choices"]] == [0, 1, 2, 3]
    assert answer["usage"]["completion_tokens"] == 2 * 3 * 4
    assert complete(serve(), n=3, best_of=2).json["error"]["param"] == "best_of"
    assert complete(serve(), n=1, best_of=2, stream=True).json["error"]["param"] == "best_of"


@pytest.mark.parametrize("streamed", [False, True])
def test_echo_with_no_new_tokens_scores_the_prompt(streamed: bool) -> None:
    answer = complete(serve(), "The naïve 🙂", echo=True, max_tokens=0, logprobs=2, stream=streamed)
    choice = next(e for e in answer.events if e["choices"])["choices"][0] if streamed else answer.json["choices"][0]
    scores = choice["logprobs"]
    assert choice["text"] == "".join(scores["tokens"]) == "The naïve 🙂"
    assert scores["token_logprobs"][0] is None and scores["top_logprobs"][0] is None
    assert all(score < 0 for score in scores["token_logprobs"][1:])
    assert all(len(top) == 2 for top in scores["top_logprobs"][1:])
    offsets = [
        choice["text"].index(token, at) for token, at in zip(scores["tokens"], scores["text_offset"], strict=True)
    ]
    assert offsets == scores["text_offset"]
    if not streamed:
        assert choice["finish_reason"] == "length"
        assert answer.json["usage"]["completion_tokens"] == 0


def test_a_stream_joins_to_the_plain_answer() -> None:
    server = serve()
    plain = complete(server, ["a", "b"], echo=True, logprobs=1, max_tokens=6).json
    answer = complete(
        server, ["a", "b"], echo=True, logprobs=1, max_tokens=6, stream=True, stream_options={"include_usage": True}
    )
    assert answer.body.endswith(b"data: [DONE]\n\n")
    for index, choice in enumerate(plain["choices"]):
        parts = [c for e in answer.events for c in e["choices"] if c["index"] == index]
        assert "".join(part["text"] for part in parts) == choice["text"]
        assert parts[-1]["finish_reason"] == choice["finish_reason"]
        for key in ("tokens", "token_logprobs", "text_offset", "top_logprobs"):
            joined = [item for part in parts if part["logprobs"] for item in part["logprobs"][key]]
            assert joined == choice["logprobs"][key]
    assert answer.events[-1]["usage"] == plain["usage"]
    assert all(event["usage"] is None for event in answer.events[:-1])


def test_a_stream_without_usage_does_not_mention_it() -> None:
    events = complete(serve(Echo()), "a b", stream=True).events
    assert [event["choices"][0]["text"] for event in events] == ["a", " b", ""]
    assert all("usage" not in event for event in events)


def test_stop_and_seed() -> None:
    server = serve(Echo())
    choice = complete(server, "one two three", stop=["two"]).json["choices"][0]
    assert (choice["text"], choice["finish_reason"]) == ("one ", "stop")
    lorem = serve()
    assert complete(lorem, seed=1).json["choices"] == complete(lorem, seed=1).json["choices"]
    assert (
        complete(lorem, seed=1, max_tokens=60).json["choices"] != complete(lorem, seed=2, max_tokens=60).json["choices"]
    )


def test_the_official_sdk_streams() -> None:
    stream = official(serve(Echo())).completions.create(model=MODEL, prompt="one two", stream=True)
    assert "".join(chunk.choices[0].text for chunk in stream) == "one two"


@pytest.mark.parametrize("prompt", [[], [10**9]])
def test_prompts_that_are_none(prompt: Any) -> None:
    answer = complete(serve(), prompt)
    assert answer.status == 400
    assert answer.json["error"]["param"] == "prompt"
