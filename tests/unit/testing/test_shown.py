"""What pytest shows of a test that fails: the test, and nothing of the inside of the fake."""

from __future__ import annotations

import pytest

pytest_plugins = ["pytester"]

SOURCE = """
import pytest

def test_asserts(fake_openai):
    fake_openai.assert_called(text="weather")

def test_order(fake_openai):
    fake_openai.assert_called_in_order({"text": "a"})

def test_script(fake_openai):
    fake_openai.script("one").user("a").reply("b").assert_played()

def test_verdict(fake_openai, openai_client):
    fake_openai.when(text="x").fail(400)
    for _ in range(2):
        with pytest.raises(Exception):
            openai_client.responses.create(model="gpt-5", input="x")
    fake_openai.assert_well_behaved()

@pytest.mark.fake_openai(engin="echo")
def test_option(): ...
"""


def test_failures_are_shown_where_they_were_asserted(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(SOURCE)
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    options = ("-p", "no:antiphon", "-p", "antiphon.testing.plugin", "-p", "no:cacheprovider", "-p", "no:cov", "-q")
    result = pytester.runpytest_subprocess(*options)
    result.assert_outcomes(failed=4, errors=1)
    result.stdout.fnmatch_lines_random(
        [
            "E * expected a request with text='weather', and there were none.",
            "E * expected script 'one', *",
            "E * expected a client that behaves well. *",
            "*options of the fake OpenAI cannot be used: *engin*",
        ]
    )
    for inside in ("*antiphon/fake/*", "*another exception*"):
        result.stdout.no_fnmatch_line(inside)
