"""Cassettes in pytest, as users have them: runs of pytest in directories of their own."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import httpx2
import openai
import pytest
import yaml

from antiphon import FakeOpenAI

pytest_plugins = ["pytester"]

_IMPORTED = (httpx2, openai, yaml)  # here: what is written in C does not take it well to be imported twice

GUIDE = (Path(__file__).parents[3] / "docs" / "testing" / "record-and-replay.md").read_text()
SHOWN = re.findall(r"<!-- test: (\w+\.py) -->\n```py\n(.*?)```", GUIDE, re.DOTALL)
Run = Callable[..., pytest.RunResult]


@pytest.fixture(scope="module")
def real() -> Iterator[str]:
    """What is recorded, in place of the API."""
    with FakeOpenAI().start(port=0) as running:
        yield running.base_url


@pytest.fixture(autouse=True)
def imported() -> Iterator[dict[str, ModuleType]]:
    """What runs within this process import, but for their tests. It stays when `pytester`, which comes after this and
    goes before it, forgets it: imported again by the tests after these, there would be two of each class.
    """
    modules: dict[str, ModuleType] = {}
    yield modules
    for name, module in modules.items():
        sys.modules.setdefault(name, module)


@pytest.fixture
def run(imported: dict[str, ModuleType], pytester: pytest.Pytester, real: str, monkeypatch: pytest.MonkeyPatch) -> Run:
    def run(*args: str, key: str | None = None) -> pytest.RunResult:
        for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_API_BASE", "AZURE_OPENAI_ENDPOINT"):
            monkeypatch.delenv(name, raising=False)
        if key is not None:
            monkeypatch.setenv("OPENAI_API_KEY", key)
        # By its module, for installations that are older than the entry point.
        plugins = ("-p", "no:antiphon", "-p", "antiphon.testing.plugin", "-p", "no:cacheprovider")
        plugins += ("-p", "no:cov", "-p", "no:asyncio", "-p", "no:xdist")
        kept = Kept(pytester.path, imported)
        result = pytester.runpytest_inprocess(*plugins, "-q", "-o", f"antiphon_upstream={real}", *args, plugins=[kept])
        for name, module in imported.items():
            sys.modules.setdefault(name, module)
        return result

    return run


class Kept:
    """Notes what a run has imported."""

    def __init__(self, path: Path, modules: dict[str, ModuleType]) -> None:
        self.path = path
        self.modules = modules

    def pytest_unconfigure(self) -> None:
        for name, module in list(sys.modules.items()):
            if not str(getattr(module, "__file__", None) or "").startswith(str(self.path)):
                self.modules[name] = module


KEY = "sk-proj-of-somebody-who-records"


def written(pytester: pytest.Pytester) -> dict[str, str]:
    there = pytester.path.rglob("*.yaml")
    return {str(each.relative_to(pytester.path)): each.read_text() for each in there}


@pytest.mark.parametrize(("name", "source"), SHOWN, ids=[each[0] for each in SHOWN])
def test_a_test_of_the_guide(pytester: pytest.Pytester, run: Run, name: str, source: str) -> None:
    assert len(SHOWN) == GUIDE.count("```py\n") == 2
    pytester.makepyfile(**{name.removesuffix(".py"): source})
    run("--antiphon-record=once", key=KEY).assert_outcomes(passed=1)
    (text,) = written(pytester).values()
    assert KEY not in text
    assert "customer-12" not in text
    run("-o", "antiphon_upstream=http://127.0.0.1:9").assert_outcomes(passed=1)
    run("--antiphon-record=strict").assert_outcomes(passed=1)


SOURCE = """
import antiphon
import httpx2
import openai
import pytest

def ask(text="Hello", **options):
    return openai.OpenAI(max_retries=0, **options).responses.create(model="gpt-5", input=text).output_text

class TestOne:
    @pytest.mark.cassette
    @pytest.mark.parametrize("text", ["a", "b/c d", "e" * 200], ids=["a", "b/c d", "e" * 200])
    def test_class(self, text):
        assert ask(text)

@pytest.mark.cassette("elsewhere/shared")
def test_elsewhere():
    assert antiphon.OpenAI().responses.create(model="gpt-5", input="ours").output_text

def test_fixture(cassette):
    assert ask()
    assert cassette.journal[-1].text == "Hello"

def test_一百個字的名字%s(cassette):
    assert ask("long")
""" % ("字" * 90)


def test_cassettes_are_beside_their_tests(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile(test_app=SOURCE)
    run("--antiphon-record=once", key=KEY).assert_outcomes(passed=6)
    names = sorted(written(pytester))
    assert [name for name in names if "eeee" not in name and "字" not in name] == [
        "cassettes/test_app/TestOne.test_class[a].yaml",
        next(
            name for name in names if re.fullmatch(r"cassettes/test_app/TestOne\.test_class\[b-c-d\]-\w{8}\.yaml", name)
        ),
        "cassettes/test_app/test_fixture.yaml",
        "elsewhere/shared.yaml",
    ]
    assert all(len(Path(name).name.encode()) < 160 for name in names)  # file systems count bytes
    run().assert_outcomes(passed=6)


def test_a_request_that_is_not_recorded_fails_the_test_whatever_becomes_of_the_error(
    pytester: pytest.Pytester, run: Run
) -> None:
    pytester.makepyfile(
        test_app=SOURCE.replace("import antiphon", "import os\nimport antiphon").partition("class TestOne")[0]
        + """
@pytest.mark.cassette
def test_swallowed():
    try:
        ask(os.environ.get("QUESTION", "Hello"))
    except openai.OpenAIError:
        pass

@pytest.mark.cassette
def test_raised():
    ask(os.environ.get("QUESTION", "Hello"))
"""
    )
    result = run()
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(
        [
            "*POST /v1/responses cannot be played: there is no cassette cassettes/test_app/test_swallowed.yaml (mode none).",
            "To record it, use the mode once (with pytest: --antiphon-record=once).",
        ]
    )
    run("--antiphon-record=once", key=KEY).assert_outcomes(passed=2)
    pytester.makepyfile(test_app=(pytester.path / "test_app.py").read_text().replace('"Hello")', '"Goodbye")'))
    result = run()
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(
        [
            "*The nearest is recording 1, at line 3:",
            "  body.input: recorded 'Hello', asked 'Goodbye'",
            "It was asked at */test_app.py:*: return openai.OpenAI*",
        ]
    )
    run("--antiphon-record=new", key=KEY).assert_outcomes(passed=2)
    assert all(text.count("- request:") == 2 for text in written(pytester).values())
    result = run("--antiphon-record=strict")
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(
        ["*to be played, and this was not:", "*recording 1, at line 3: POST /v1/responses -> 200"]
    )
    run("--antiphon-record=all", key=KEY).assert_outcomes(passed=2)
    assert all(text.count("- request:") == 1 for text in written(pytester).values())


def test_without_a_key_nothing_is_recorded_and_other_hosts_are_guarded(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile(
        test_app=SOURCE.partition("class TestOne")[0]
        + """
@pytest.mark.cassette
def test_key():
    ask()

@pytest.mark.cassette
def test_guard():
    httpx2.get("https://models.example/v1")
"""
    )
    result = run("--antiphon-record=once")
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(["*api_key*", "*GET https://models.example/v1 (httpx2) was about to leave*"])
    assert written(pytester) == {}


def test_what_cannot_be_is_said(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile(
        test_app="""
import pytest

@pytest.mark.cassette(sped=1)
def test_option(): ...

@pytest.mark.cassette("broken.yaml")
def test_broken(): ...

def test_both(cassette, fake_openai): ...
"""
    )
    (pytester.path / "broken.yaml").write_text("antiphon cassette: 1\nexchanges: 3\n")
    result = run("-o", "antiphon_record=once")
    result.assert_outcomes(errors=3)
    result.stdout.fnmatch_lines(
        [
            "*The options of the cassette cannot be used:*sped*",
            "*broken.yaml:2: exchanges: a list of exchanges was expected, not a number",
            "*A test has a cassette or a fake, not both*",
        ]
    )
    result = run("-o", "antiphon_record=often")
    result.stderr.fnmatch_lines(["*antiphon_record is one of none, once, new, all, strict, not 'often'"])
    result = run("--antiphon-record=often")
    result.stderr.fnmatch_lines(["*argument --antiphon-record: invalid choice: 'often'*"])


def test_a_cassette_takes_the_place_of_a_fake_that_every_test_has(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile(test_app=SOURCE)
    pytester.makeini("[pytest]\nfake_openai_autouse = true\n")
    run("--antiphon-record=once", key=KEY).assert_outcomes(passed=6)
    assert len(written(pytester)) == 6


WORDS = """
import os
import pytest

@pytest.mark.cassette
def test_words(cassette):
    text = os.environ["WORDS"]
    assert cassette.client(max_retries=0).responses.create(model="gpt-5", input=text).output_text


@pytest.mark.cassette
def test_socket(cassette):
    with cassette.client().responses.connect() as connection:
        connection.response.create(model="gpt-5", input=os.environ["WORDS"])
        for event in connection:
            if event.type == "response.completed":
                break
"""


def test_other_words_and_websockets(pytester: pytest.Pytester, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    pytester.makepyfile(test_words=WORDS)
    monkeypatch.setenv("WORDS", "Is it cold in Oslo?")
    run("--antiphon-record=once", key=KEY).assert_outcomes(passed=2)
    assert KEY not in "".join(written(pytester).values())
    run("--antiphon-record=strict").assert_outcomes(passed=2)
    monkeypatch.setenv("WORDS", "Is it cold in Oslo today?")
    done = run("-o", "antiphon_similarity=0.7")
    done.assert_outcomes(passed=1, failed=1)  # over a websocket it is the same, or it is not
    done.stdout.fnmatch_lines(["*Message 1 of the client in the websocket /v1/responses is not in *"])
    run("-o", "antiphon_similarity=0.9").assert_outcomes(failed=2)
    done = run("-o", "antiphon_similarity=near")
    done.stdout.fnmatch_lines(["*antiphon_similarity is a number, not 'near'*"])
