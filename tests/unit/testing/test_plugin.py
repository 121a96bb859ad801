"""The plugin as its users have it: runs of pytest in directories of their own."""

from __future__ import annotations

import pytest

pytest_plugins = ["pytester"]

ASK = """
import os
import pytest
import antiphon

def ask(client, text="hello"):
    return client.chat.completions.create(
        model="gpt-5", messages=[{"role": "user", "content": text}]
    ).choices[0].message.content
"""


@pytest.fixture
def run(pytester: pytest.Pytester):
    def run(source: str, *args: str, ini: str = "", plugins: bool = True) -> pytest.RunResult:
        pytester.makepyfile(source)
        pytester.makeini(f"[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\n{ini}")
        # By its module, for installations that are older than the entry point.
        loaded = ("-p", "antiphon.testing.plugin") if plugins else ()
        return pytester.runpytest_subprocess(
            "-p", "no:antiphon", *loaded, "-p", "no:cacheprovider", "-p", "no:cov", "-q", *args
        )

    return run


def test_every_test_has_a_fake_of_its_own_and_clients_wired_to_it(run) -> None:
    source = (
        ASK
        + """
def test_first(fake_openai, openai_client):
    openai_client.files.create(file=("a.txt", b"a"), purpose="assistants")
    assert len(list(openai_client.files.list())) == 1
    assert len(list(fake_openai.client().files.list())) == 1

def test_second(openai_client):
    assert list(openai_client.files.list()) == []

async def test_third(async_openai_client):
    assert (await async_openai_client.models.retrieve("gpt-5")).id == "gpt-5"
"""
    )
    run(source).assert_outcomes(passed=3)


def test_the_environment_points_at_the_fake_and_is_put_back(run) -> None:
    source = (
        ASK
        + """
os.environ["OPENAI_BASE_URL"] = "https://before.test/v1"
os.environ.pop("AZURE_OPENAI_API_KEY", None)

def test_during(fake_openai):
    assert os.environ["OPENAI_BASE_URL"] == "http://fake.test/v1"
    assert ask(antiphon.OpenAI())
    assert ask(antiphon.AzureOpenAI())
    assert antiphon.chat.completions.create(model="gpt-5", messages=[{"role": "user", "content": "hi"}]).choices

def test_after():
    assert os.environ["OPENAI_BASE_URL"] == "https://before.test/v1"
    assert "AZURE_OPENAI_API_KEY" not in os.environ
    assert antiphon.api_type is None
"""
    )
    run(source).assert_outcomes(passed=2)


def test_markers_and_the_configuration_say_how_the_fake_is_made(run) -> None:
    source = (
        ASK
        + """
pytestmark = pytest.mark.fake_openai(seed=7)

def test_configured(openai_client):
    assert ask(openai_client, "abc") == "abc"

@pytest.mark.fake_openai("reverse")
def test_marked(openai_client):
    assert ask(openai_client, "abc") == "cba"

@pytest.mark.fake_openai(engine=lambda request: request.user_text * 2)
def test_a_marker_brings_the_fake():
    assert os.environ["OPENAI_API_KEY"] == "sk-fake"
    assert ask(antiphon.OpenAI(), "ab") == "abab"

def test_the_seed_of_the_module(fake_openai):
    assert fake_openai.server.seed == 7
    assert fake_openai.server.models == ("gpt-5", "mine")
"""
    )
    ini = "fake_openai_engine = echo\nfake_openai_seed = 3\nfake_openai_models =\n    gpt-5\n    mine\n"
    run(source, ini=ini).assert_outcomes(passed=4)


@pytest.mark.parametrize(("seed", "meant"), [("-3", -3), ("--3", "--3"), ("²", "²"), ("a day", "a day")])
def test_a_seed_is_a_number_or_a_text(run, seed: str, meant: int | str) -> None:
    source = f"def test_seed(fake_openai):\n    assert fake_openai.server.seed == {meant!r}\n"
    run(source, ini=f"fake_openai_seed = {seed}\n").assert_outcomes(passed=1)


def test_rules_of_files(run, pytester) -> None:
    pytester.makefile(".yaml", everywhere="- {when: {text: a}, reply: by the file}\n")
    pytester.makefile(".yaml", here="- {when: {text: b}, reply: beside the test}\n", broken="- replay: x\n")
    source = (
        ASK
        + """
def test_of_the_configuration(openai_client):
    assert ask(openai_client, "a") == "by the file"
    with pytest.raises(antiphon.NotFoundError):
        ask(openai_client, "b")

@pytest.mark.fake_openai(rules="here.yaml", strict=False)
def test_of_the_marker(openai_client):
    assert ask(openai_client, "b") == "beside the test"
    assert ask(openai_client, "a") == "a"

@pytest.mark.fake_openai(rules="broken.yaml")
def test_broken(openai_client): ...

@pytest.mark.fake_openai(rules="nowhere.yaml")
def test_nowhere(openai_client): ...
"""
    )
    ini = "fake_openai_engine = echo\nfake_openai_rules = everywhere.yaml\nfake_openai_strict = true\n"
    result = run(source, ini=ini)
    result.assert_outcomes(passed=2, errors=2)
    result.stdout.fnmatch_lines(
        [
            "*broken.yaml:1:3: there is no 'replay' here; did you mean 'reply'?",
            "*No such file or directory: *nowhere.yaml'",
        ]
    )


def test_every_test_may_have_one_unasked(run) -> None:
    source = (
        ASK
        + """
def test_unasked():
    assert ask(antiphon.OpenAI(api_key="any", base_url="https://api.openai.com/v1"))
"""
    )
    run(source, ini="fake_openai_autouse = true\n").assert_outcomes(passed=1)


def test_options_that_cannot_be_are_explained(run) -> None:
    source = (
        ASK
        + """
@pytest.mark.fake_openai(engin="echo")
def test_misspelt(fake_openai): ...

@pytest.mark.fake_openai(engine="nonsense")
def test_unknown(fake_openai): ...

@pytest.mark.fake_openai(hosts="llm.corp.example")
def test_text(fake_openai): ...
"""
    )
    result = run(source)
    result.assert_outcomes(errors=3)
    result.stdout.fnmatch_lines_random(["*engin*", "*nonsense*", "*hosts is a list of hosts, such as*"])
    result.stdout.no_fnmatch_line("*plugin.py*")


def test_escapes_fail_the_test_with_the_stack_even_where_the_error_is_swallowed(run) -> None:
    source = (
        ASK
        + """
import urllib.request

def careless():
    try:
        urllib.request.urlopen("https://models.example/v1/models")
    except BaseException:
        pass

def test_swallowed(fake_openai):
    careless()

def test_raised(fake_openai):
    ask(antiphon.OpenAI(base_url="https://api.mistral.ai/v1"))

@pytest.mark.fake_openai(intercept=False)
def test_not_intercepted(fake_openai):
    ask(antiphon.OpenAI(base_url="https://api.openai.com/v1"))

@pytest.mark.fake_openai(hosts=["*.corp.example"])
def test_a_host_of_ones_own(fake_openai):
    assert ask(antiphon.OpenAI(base_url="https://llm.corp.example/v1"))

def test_the_next_is_not_blamed(fake_openai): ...
"""
    )
    result = run(source)
    result.assert_outcomes(failed=3, passed=2)
    result.stdout.fnmatch_lines(
        [
            "*https://models.example (http.client) was about to leave this machine*",
            "*in careless*",
            "*urllib.request.urlopen(*",
            "*hosts=?'models.example'?*allow=?'models.example'?*",
            "*POST https://api.mistral.ai/v1/chat/completions (antiphon)*",
            "*in test_raised*",
            "*POST https://api.openai.com/v1/chat/completions (antiphon)*",
        ]
    )


def test_an_escape_while_fixtures_are_made_or_left_is_an_error(run) -> None:
    source = (
        ASK
        + """
import socket

@pytest.fixture
def nosy(fake_openai):
    yield
    try:
        socket.getaddrinfo("api.openai.com", 443)
    except BaseException:
        pass

def test_it(nosy): ...
"""
    )
    result = run(source)
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*A connection to api.openai.com (socket)*", "*fake_openai_server*"])


def test_the_server_is_shared_and_each_test_has_its_own_fake_behind_it(run) -> None:
    source = (
        ASK
        + """
import subprocess, sys, urllib.error, urllib.request
from antiphon.server.clock import VirtualClock

seen = []
PROGRAM = (
    "import antiphon; c = antiphon.OpenAI(); "
    "c.files.create(file=('b.txt', b'b'), purpose='assistants'); print(len(list(c.files.list())))"
)

def get(server, key):
    url = server.base_url + "/files"
    return urllib.request.urlopen(urllib.request.Request(url, headers={"authorization": "Bearer " + key}))

def test_first(fake_openai_server, openai_client):
    seen.append(fake_openai_server)
    openai_client.files.create(file=("a.txt", b"a"), purpose="assistants")
    assert os.environ["OPENAI_BASE_URL"] == fake_openai_server.base_url
    found = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "2"
    assert get(fake_openai_server, "a-key-of-ones-own").status == 200

def test_second(fake_openai_server, fake_openai):
    assert fake_openai_server.port == seen[0].port
    assert fake_openai_server.api_key != seen[0].api_key
    assert fake_openai_server.fake is fake_openai
    assert list(antiphon.OpenAI().files.list()) == []
    with pytest.raises(urllib.error.HTTPError) as caught:
        get(fake_openai_server, seen[0].api_key)
    assert caught.value.code == 401
    assert "of a test that has ended" in caught.value.read().decode()

@pytest.mark.fake_openai(latency=(3600, 3600), clock=VirtualClock(1_700_000_000))
def test_time_passes_as_the_fake_has_it(fake_openai_server):
    chunks = antiphon.OpenAI().chat.completions.create(
        model="gpt-5", messages=[{"role": "user", "content": "hello"}], stream=True
    )
    assert len(list(chunks)) > 2
    assert fake_openai_server.fake.clock.now() > 1_700_003_600
"""
    )
    run(source).assert_outcomes(passed=3)


def test_a_run_that_does_not_use_it_loads_nothing_of_the_package(run) -> None:
    source = """
import sys

def test_nothing_is_loaded():
    loaded = {name for name in sys.modules if name.startswith("antiphon.")}
    heavy = {"antiphon.fake", "antiphon.server", "antiphon.client", "antiphon.testing.interception"}
    assert "antiphon.testing.plugin" in loaded
    assert not loaded & heavy, loaded & heavy
    assert len(loaded) < 10, loaded
"""
    run(source).assert_outcomes(passed=1)
