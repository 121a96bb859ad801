"""Where answers are cut does not depend on the pieces they come in."""

from __future__ import annotations

import re
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from antiphon.server import tokens
from antiphon.server.engine import ChatRequest
from antiphon.server.renderings.chunks import chunks, json_chunks
from antiphon.server.renderings.cuts import cut
from antiphon.server.renderings.logprobs import token_logprobs
from antiphon.server.renderings.sinks import driven
from antiphon.server.turns import Finish, Usage

TEXTS = st.text(st.sampled_from("ab cde.,\n'東é🙂 ") | st.characters(codec="utf-8"), max_size=60)
STOPS = st.lists(st.text("ab c.", min_size=1, max_size=4), max_size=3)


class Heard:
    """A sink that only listens."""

    def __init__(self) -> None:
        self.text = ""
        self.finish: str | None = None
        self.tokens: int | None = None
        self.ended = 0

    def feed(self, piece: Any) -> bool:
        if isinstance(piece, Finish):
            self.finish = piece.reason
        elif isinstance(piece, Usage):
            self.tokens = piece.output_tokens
        else:
            self.text += piece
        return self.finish is not None

    def whole(self, text: str) -> None:
        self.text = text

    def end(self) -> None:
        self.ended += 1


def heard(turn: Any, stop: list[str], limit: int | None) -> Heard:
    sink = Heard()
    request = ChatRequest("gpt-4o", [], stop=stop, max_tokens=limit)
    assert list(driven([(turn, cut(sink, request))], [])) == []
    assert sink.ended == 1
    return sink


@given(TEXTS, STOPS, st.data())
@settings(max_examples=200, deadline=None)
def test_stop_strings_are_found_however_the_text_is_split(text: str, stop: list[str], data: Any) -> None:
    places = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8)))
    pieces = [text[a:b] for a, b in zip([0, *places], [*places, len(text)], strict=True)]
    complete = [(found + len(each), found) for each in stop if each and (found := text.find(each)) >= 0]
    at = min(complete, default=(0, len(text)))[1]
    for said in (heard(text, stop, None), heard(pieces, stop, None)):
        assert said.text == text[:at]
        assert said.finish == ("stop" if at < len(text) else None)


@given(TEXTS, st.integers(1, 12))
@settings(max_examples=200, deadline=None)
def test_words_are_cut_at_the_token_of_the_whole(text: str, limit: int) -> None:
    words = re.split(r"(?<=\S)(?= \w)", text)
    for said in (heard(text, [], limit), heard(words, [], limit)):
        if tokens.count(text, "gpt-4o") > limit:
            first = "".join(piece.text for piece in tokens.pieces(text, "gpt-4o")[:limit])
            assert (said.text, said.finish, said.tokens) == (first, "length", limit)
        else:
            assert (said.text, said.finish) == (text, None)


@given(TEXTS, STOPS, st.integers(1, 12), st.data())
@settings(max_examples=200, deadline=None)
def test_pieces_of_words_are_cut_near_there(text: str, stop: list[str], limit: int, data: Any) -> None:
    """What was said stays said, also where the next piece would have made other tokens of it."""
    places = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8)))
    said = heard([text[a:b] for a, b in zip([0, *places], [*places, len(text)], strict=True)], stop, limit)
    assert text.startswith(said.text)
    assert said.tokens == (limit if said.finish == "length" else None)
    assert not any(each in said.text for each in stop)
    if said.finish is None:
        assert said.text == text


def test_what_is_held_back_at_the_limit_is_not_said() -> None:
    assert heard(["0:."], [".a"], 1).text == "0"


def test_of_two_stop_strings_the_one_that_is_complete_first_ends_the_text() -> None:
    for pieces in ("0 ca", ["0 ca"], ["0 c", "a"], list("0 ca")):
        assert heard(pieces, ["c", " ca"], None).text == "0 "


@given(TEXTS)
@example("  indented\n\n\tand  spaced  ")
def test_deltas_join_to_the_text(text: str) -> None:
    import json

    assert "".join(chunks(text)) == text
    assert "".join(map(json.loads, json_chunks(text))) == text


@given(TEXTS, st.integers(0, 20))
@settings(deadline=None)
def test_log_probabilities_join_to_the_text(text: str, top: int) -> None:
    items = token_logprobs(text, "gpt-4o", top)
    assert "".join(item["token"] for item in items) == text
    assert b"".join(bytes(item["bytes"]) for item in items) == text.encode()
    for item in items:
        told = [candidate["logprob"] for candidate in item["top_logprobs"]]
        assert len(told) == top
        assert told == sorted(told, reverse=True)
        assert len({candidate["token"] for candidate in item["top_logprobs"]}) == top
