"""Recording and replaying over a port, and looking after cassettes."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from antiphon.cli import main

from .conftest import ANTIPHON, Run, environment

KEY = "sk-proj-abcdefghijklmnop"


class Served:
    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        banner = ""
        assert process.stdout is not None
        while "Ctrl-C" not in banner:
            line = process.stdout.readline()
            assert line, process.communicate()
            banner += line
        self.banner = banner
        self.url = re.findall(r"OPENAI_BASE_URL=(\S+)", banner)[0]

    def ask(self, text: str, **options: Any) -> tuple[int, bytes]:
        body = {"model": "gpt-5", "messages": [{"role": "user", "content": text}], **options}
        headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.url}/chat/completions", json.dumps(body).encode(), headers)
        try:
            with urllib.request.urlopen(request, timeout=20) as response:
                return response.status, response.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()

    def end(self) -> tuple[int, str]:
        self.process.send_signal(signal.SIGTERM)
        _, err = self.process.communicate(timeout=20)
        return self.process.returncode, err


@contextmanager
def serving(tmp_path: Path, *arguments: str) -> Generator[Served, None, None]:
    command = [*ANTIPHON, *arguments, "--port", "0", "--log", "off"]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env=environment("http://127.0.0.1:9", tmp_path),
    )
    try:
        yield Served(process)
    finally:
        process.kill()
        process.communicate()


def test_what_is_recorded_over_a_port_is_played_over_a_port(reversing: str, antiphon: Run, tmp_path: Path) -> None:
    with serving(tmp_path, "record", "c.yaml", "--upstream", reversing, "--scrub", "customer-[0-9]+") as served:
        assert "as it is recorded in c.yaml" in served.banner
        status, whole = served.ask("abc of customer-1")
        assert json.loads(whole)["choices"][0]["message"]["content"] == "1-remotsuc fo cba"
        _, stream = served.ask("abc", stream=True)
        assert (tmp_path / "c.yaml").exists()  # without waiting for the end
        assert (status, served.end()) == (200, (0, ""))
    assert antiphon("cassettes", "verify").out == "1 cassette, no secrets found\n"
    with serving(tmp_path, "replay", "c.yaml", "--strict") as served:
        assert served.ask("abc of customer-22") == (200, whole)
        code, told = served.ask("xyz")
        assert (code, json.loads(told)["error"]["code"]) == (404, "no_recording")
        assert served.end() == (1, "antiphon: not played: 2 (POST /v1/chat/completions)\n")
    with serving(tmp_path, "replay", "c.yaml", "--similarity", "0.6") as served:
        assert served.ask("abc of customer-1!") == (200, whole)
        served.end()
    with serving(tmp_path, "serve", "--replay", "c.yaml") as served:
        assert served.ask("abc", stream=True) == (200, stream)
        assert served.end() == (0, "")


def test_serve_records_too(reversing: str, tmp_path: Path) -> None:
    with serving(tmp_path, "serve", "--record", "c.yaml", "--upstream", reversing) as served:
        assert "OPENAI_API_KEY=<your own>" in served.banner
        assert served.ask("abc")[0] == 200
        served.end()
    assert KEY not in (tmp_path / "c.yaml").read_text()


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["record", "there.yaml"], 1, "there.yaml is there already; --mode new adds to it"),
        (["record", "c.yaml", "--upstream", "nowhere"], 2, "an upstream is an address such as"),
        (["record", "c.yaml", "--key-env", "NO_SUCH_KEY"], 2, "the environment has no NO_SUCH_KEY"),
        (["record", "c.yaml", "--scrub", "("], 1, "a pattern to scrub is a regular expression"),
        (["serve", "--replay", "c.yaml", "--fault", "status=503"], 2, "--fault and --latency are for the fake"),
        (["replay", "c.yaml"], 1, "there is no cassette c.yaml; `antiphon record` makes one"),
        (["replay", "there.yaml"], 1, "there.yaml:1: this is no cassette"),
        (["serve", "--upstream", "http://a.test"], 2, "give --record FILE, too"),
        (["serve", "--record", "c.yaml", "--replay", "there.yaml"], 2, "choose one"),
        (["cassettes", "verify", "nowhere"], 1, "nowhere: there is no such file or directory"),
        (["cassettes", "diff", "there.yaml"], 2, "takes two cassettes"),
        (["cassettes", "convert"], 2, "name the files to be converted"),
        (["cassettes", "convert", "there.yaml"], 1, "there.yaml:1: this is none of the files that can be converted"),
        (["cassettes", "list", "there.yaml"], 1, "there.yaml:1: this is no cassette"),
    ],
)
def test_what_cannot_be_is_said_in_a_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    says: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there.yaml").write_text("a: 1\n")
    assert main(arguments) == code
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert says in err
    assert not (tmp_path / "c.yaml").exists()


def test_cassettes_are_looked_after(antiphon: Run, tmp_path: Path) -> None:
    from antiphon import FakeOpenAI
    from antiphon.fake.cassettes import Cassette

    for name, word in (("one", "a"), ("two", "b")):
        with Cassette(tmp_path / "cassettes" / f"{name}.yaml", upstream=FakeOpenAI("echo")) as cassette:
            client = cassette.client()
            client.responses.create(model="gpt-5", input=word)
            list(client.responses.create(model="gpt-5", input=word, stream=True))
    done = antiphon("cassettes", "list")
    assert done.code == 0
    assert re.search(r"cassettes/one.yaml: 2 recordings\n +1 POST /v1/responses gpt-5 -> 200, \d+ bytes\n", done.out)
    assert re.search(r" +2 POST /v1/responses gpt-5 -> 200, \d+ events\ncassettes/two.yaml", done.out)
    done = antiphon("cassettes", "diff", "cassettes/one.yaml", "cassettes/two.yaml")
    assert (done.code, done.out.splitlines()[:2]) == (
        1,
        ["! 1 POST /v1/responses: the request is another", "    input: first 'a', second 'b'"],
    )
    assert antiphon("cassettes", "diff", "cassettes/one.yaml", "cassettes/one.yaml") == (0, "", "", b"")

    path = tmp_path / "cassettes" / "two.yaml"
    path.write_text(path.read_text().replace("input: b", f"input: {KEY}", 1))
    (tmp_path / "cassettes" / "three.yaml").write_text("antiphon cassette: 9\n")
    done = antiphon("cassettes", "verify", ".")
    assert done.code == 1
    assert done.out.splitlines() == [
        "cassettes/three.yaml:1: antiphon cassette: this version reads cassettes of version 1, not 9",
        "cassettes/two.yaml:10: exchanges[0].request.json.input: a key of OpenAI's or of a host like it, sk-pro…",
    ]
    assert done.err == "antiphon: 2 of 3 cassettes must not be committed as they are\n"
    assert antiphon("cassettes", "verify", "cassettes/one.yaml", "--scrub", "gpt-5").code == 1


def test_files_of_a_directory_that_are_no_cassettes_are_passed_over(antiphon: Run, tmp_path: Path) -> None:
    here = tmp_path / "all"
    here.mkdir()
    (here / "compose.yaml").write_text("services:\n  queue:\n    exchanges: [a]\n")
    (here / "chart.yml").write_text("{{- if .Values.on }}\n")
    (here / "rules.yaml").write_text("rules:\n- reply: Hello\n")
    over = "passed over, since they are none: all/chart.yml, all/compose.yaml, all/rules.yaml"
    for action in ("verify", "list"):
        done = antiphon("cassettes", action, "all")
        assert (done.code, done.err) == (1, f"antiphon: there are no cassettes in all; {over}\n")
    (here / "c.yaml").write_text("antiphon cassette: 1\nexchanges: []\n")
    done = antiphon("cassettes", "verify", "all")
    assert (done.code, done.out, done.err) == (0, f"1 cassette, no secrets found; {over}\n", "")
    done = antiphon("cassettes", "list", "all")
    assert (done.code, done.out, done.err) == (0, "all/c.yaml: 0 recordings\n", f"antiphon: {over}\n")
    (here / "a.yaml").write_text("a: 1\n")
    assert antiphon("cassettes", "verify", "all").out.endswith("all/compose.yaml and 1 more\n")
    done = antiphon("cassettes", "verify", "all/rules.yaml")  # what is named is meant
    assert (done.code, "all/rules.yaml:1: this is no cassette" in done.out) == (1, True)
    for broken in ("exchanges: []\n", "<<<<<<< ours\nantiphon cassette: 1\n", "{'antiphon cassette': 2}\n"):
        (here / "d.yaml").write_text(broken)
        done = antiphon("cassettes", "verify", "all")
        assert (done.code, done.out.partition(":")[0]) == (1, "all/d.yaml")
        assert done.err.startswith("antiphon: 1 of 2 cassettes must not be committed as they are; passed over")


def test_cassettes_of_vcrpy_are_converted(antiphon: Run, tmp_path: Path) -> None:
    request = {"method": "GET", "uri": "https://api.openai.com/v1/models", "body": None, "headers": {}}
    response = {"status": {"code": 200, "message": "OK"}, "headers": {}, "body": {"string": "{}"}}
    text = yaml.safe_dump({"version": 1, "interactions": [{"request": request, "response": response}]})
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "models.yaml").write_text(text)
    done = antiphon("cassettes", "convert", "old", "-o", "new")
    assert (done.code, done.out) == (0, "new/models.yaml: 1 recording of vcr\n")
    assert antiphon("cassettes", "list", "new").out.endswith("1 GET /v1/models -> 200, 2 bytes\n")
    done = antiphon("cassettes", "convert", "old", "-o", "new")
    assert (done.code, done.err) == (1, "antiphon: new/models.yaml is there already\n")


def test_rules_and_recordings_of_others_are_converted(antiphon: Run, tmp_path: Path) -> None:
    theirs = tmp_path / "theirs" / "recorded"
    theirs.mkdir(parents=True)
    for name, text in (("a", "Hello"), ("b", "Bye"), ("c", "Hello")):
        fixture = {"match": {"userMessage": text, "turnIndex": 0}, "response": {"content": name, "usage": {}}}
        (theirs / f"{name}.json").write_text(json.dumps({"fixtures": [fixture]}, indent=1))
    (theirs / "config.json").write_text("{}")
    done = antiphon("convert", "theirs", "-o", "rules.yaml")
    assert (done.code, done.out) == (1, "rules.yaml: 2 rules of aimock\n")
    other, turn, usage, double = done.err.splitlines()
    assert other == "theirs/recorded/config.json:1: this is none of the files that can be converted"
    assert turn.startswith("theirs/recorded/a.json:6: fixtures[0].match.turnIndex: a turn is the one that it says here")
    assert turn.endswith(" (and 2 more like it: -v)")
    assert usage.startswith("theirs/recorded/a.json:10: fixtures[0].response.usage: the fake counts, names and dates")
    assert double.startswith("theirs/recorded/c.json:3: fixtures[0]: it never answers: a rule of a file before it has")
    assert antiphon("lint", "rules.yaml").code == 0
    (theirs / "c.json").unlink()
    done = antiphon("convert", "theirs", "-v")
    assert (done.code, done.out.count(": 1 rule of aimock\n"), done.err.count("fixtures[0]")) == (1, 2, 4)
    done = antiphon("convert", "theirs", "-o", "new.yaml")  # what was made is not made again
    assert done.out == "new.yaml: 2 rules of aimock\n"
    har = {"log": {"entries": []}}
    (tmp_path / "theirs" / "d.har").write_text(json.dumps(har))
    done = antiphon("convert", "theirs", "-o", "both.yaml")
    assert (done.code, done.err.count("\n")) == (1, 1)
    assert "a.json:1: these are rules, and those of theirs/d.har recordings: one file has either" in done.err
    done = antiphon("convert", "theirs/d.har", "theirs/d.har", "-o", "out")
    assert done.err == "antiphon: out/d.yaml would be of theirs/d.har and of theirs/d.har\n"
    assert antiphon("convert", "theirs", "--scrub", "(").code == 2


def test_a_file_of_a_directory_that_is_refused_is_told_and_fails(antiphon: Run, tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "a.json").write_text(json.dumps({"fixtures": [{"match": {}, "response": {"content": "a"}}]}))
    assert antiphon("convert", "theirs", "-o", "whole").code == 0
    for name in ("b", "c"):
        (theirs / f"{name}.json").write_text("{}")
    done = antiphon("convert", "theirs", "-o", "part")
    assert (done.code, done.out) == (1, "part/a.yaml: 1 rule of aimock\n")
    told = "this is none of the files that can be converted"
    assert done.err == f"theirs/b.json:1: {told}\ntheirs/c.json:1: {told}\n"
