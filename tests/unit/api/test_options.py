"""Timeouts, and the behaviour that some response types have of their own."""

from __future__ import annotations

import copy
import pickle

import pytest

from antiphon.kernel.options import Timeout
from antiphon.types.beta import AgentSessionMessage
from antiphon.types.responses import Response


def test_one_number_is_all_four() -> None:
    timeout = Timeout(2.5)
    assert (timeout.connect, timeout.read, timeout.write, timeout.pool) == (2.5, 2.5, 2.5, 2.5)
    assert repr(timeout) == "Timeout(2.5)"


def test_a_part_of_its_own() -> None:
    timeout = Timeout(600, connect=5.0)
    assert (timeout.connect, timeout.read, timeout.write, timeout.pool) == (5.0, 600, 600, 600)
    assert repr(timeout) == "Timeout(connect=5.0, read=600, write=600, pool=600)"
    assert Timeout(timeout, read=None) == Timeout(connect=5.0, read=None, write=600, pool=600)


def test_for_ever_and_forgotten_are_two_things() -> None:
    assert Timeout(None).read is None
    with pytest.raises(TypeError, match="pool is missing"):
        Timeout(connect=1, read=1, write=1)


def test_timeouts_are_values() -> None:
    timeout = Timeout(3, pool=None)
    assert timeout == Timeout(3, pool=None)
    assert timeout != Timeout(3)
    assert timeout != 3
    assert len({timeout, Timeout(3, pool=None)}) == 1
    assert copy.deepcopy(timeout) == timeout
    assert pickle.loads(pickle.dumps(timeout)) == timeout
    with pytest.raises(AttributeError):
        timeout.read = 1


def test_output_text_joins_the_text_of_messages() -> None:
    response = Response.of(
        {
            "output": [
                {"type": "reasoning", "content": [{"type": "output_text", "text": "no"}]},
                {
                    "type": "message",
                    "content": [{"type": "output_text", "text": "a"}, {"type": "refusal", "refusal": "x"}],
                },
                {
                    "type": "message",
                    "content": [{"type": "output_text", "text": "b"}, {"type": "output_text", "text": None}],
                },
                {"type": "message", "content": None},
            ]
        }
    )
    assert response.output_text == "ab"
    assert Response.of({}).output_text == ""
    assert Response.of({"output": None}).output_text == ""
    assert AgentSessionMessage.of({"content": [{"type": "output_text", "text": "hi"}]}).output_text == "hi"
