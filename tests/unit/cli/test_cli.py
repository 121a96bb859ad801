"""The command line, run as a program."""

from __future__ import annotations

import http.client
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from antiphon.hosting.run import bind
from antiphon.version import __version__

ANTIPHON = [sys.executable, "-m", "antiphon"]
CHAT = json.dumps({"model": "gpt-5", "messages": [{"role": "user", "content": "abc"}]})
KEY = {"Authorization": "Bearer x", "Content-Type": "application/json"}


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*ANTIPHON, *arguments], capture_output=True, text=True, timeout=30, check=False)


class Served:
    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.banner: list[str] = []
        assert process.stdout is not None
        while not self.banner or "Ctrl-C" not in self.banner[-1]:
            line = process.stdout.readline()
            assert line, process.communicate()
            self.banner.append(line.rstrip("\n"))
        found = re.search(r"http://([^:]+):(\d+)", self.banner[0])
        assert found is not None
        self.host, self.port = found[1], int(found[2])

    @contextmanager
    def connect(self) -> Iterator[http.client.HTTPConnection]:
        with closing(http.client.HTTPConnection(self.host, self.port, timeout=20)) as connection:
            yield connection

    def chat(self, body: str = CHAT) -> dict[str, Any]:
        with self.connect() as connection:
            connection.request("POST", "/v1/chat/completions", body, KEY)
            answer: dict[str, Any] = json.loads(connection.getresponse().read())
            return answer

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str, str]:
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=20)
        return self.process.returncode, out, err


@contextmanager
def serving(*arguments: str) -> Iterator[Served]:
    process = subprocess.Popen(
        [*ANTIPHON, "serve", "--port", "0", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        yield Served(process)
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serve_says_where_it_is_answers_logs_and_stops(number: int) -> None:
    with serving("--engine", "reverse") as served:
        url = f"http://127.0.0.1:{served.port}"
        assert served.banner[0] == f"Antiphon {__version__}, a fake OpenAI on {url}"
        assert f"  export OPENAI_BASE_URL={url}/v1" in served.banner
        assert "  export OPENAI_API_KEY=anything" in served.banner
        answer = served.chat()
        assert answer["choices"][0]["message"]["content"] == "cba"
        code, out, err = served.end(number)
    assert (code, err) == (0, "")
    line = r"\d\d:\d\d:\d\d POST /v1/chat/completions 200 [\d.]+ ms \d+ tokens req_\w+\n"
    assert re.fullmatch(line, out), out


def test_the_log_can_be_json_or_off() -> None:
    with serving("--log", "json") as served:
        served.chat()
        entry = json.loads(served.end()[1])
        assert (entry["method"], entry["path"], entry["status"]) == ("POST", "/v1/chat/completions", 200)
    with serving("--log", "off") as served:
        served.chat()
        assert served.end() == (0, "", "")


def test_options_reach_the_fake() -> None:
    with serving(
        "--model", "mine", "--model", "other", "--unknown-ids", "conjure", "--seed", "7", "--log", "off"
    ) as one:
        with one.connect() as connection:
            connection.request("GET", "/v1/models", headers=KEY)
            assert [model["id"] for model in json.loads(connection.getresponse().read())["data"]] == ["mine", "other"]
            connection.request("GET", "/v1/files/file-123", headers=KEY)
            assert json.loads(connection.getresponse().read())["id"] == "file-123"
        assert one.chat()["error"]["code"] == "model_not_found"
        first = one.chat(CHAT.replace("gpt-5", "mine"))
    with serving("--model", "mine", "--seed", "7", "--log", "off") as two:
        second = two.chat(CHAT.replace("gpt-5", "mine"))
    assert first["choices"] == second["choices"]


def test_a_stream_is_cut_within_five_seconds() -> None:
    with serving("--latency", "60") as served, served.connect() as connection:
        connection.request("POST", "/v1/chat/completions", CHAT.replace("{", '{"stream": true, ', 1), KEY)
        time.sleep(0.3)
        began = time.monotonic()
        code, out, _ = served.end()
        assert time.monotonic() - began < 6
        assert code == 0
        assert "(cut off)" in out


def test_a_second_signal_cuts_at_once() -> None:
    with serving("--latency", "60") as served, served.connect() as connection:
        connection.request("POST", "/v1/chat/completions", CHAT, KEY)
        time.sleep(0.3)
        began = time.monotonic()
        served.process.send_signal(signal.SIGINT)
        time.sleep(0.3)
        assert served.end(signal.SIGINT)[0] == 0
        assert time.monotonic() - began < 3


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="only Linux tells what a process has loaded")
def test_the_vocabulary_is_loaded_after_the_first_answers_and_without_any() -> None:
    with serving() as served:
        loaded = Path(f"/proc/{served.process.pid}/maps")
        assert "toktok" not in loaded.read_text()
        until = time.monotonic() + 20
        while "toktok" not in loaded.read_text() and time.monotonic() < until:
            time.sleep(0.05)
        assert "toktok" in loaded.read_text()


def test_a_taken_port_is_one_line() -> None:
    with bind() as taken:
        port = taken.getsockname()[1]
        done = run("serve", "--port", str(port))
    assert (done.returncode, done.stdout) == (1, "")
    expected = (
        f"antiphon: 127.0.0.1:{port} is already in use; choose another port with --port, or --port 0 for a free one"
    )
    assert done.stderr == f"{expected}\n"


def test_an_address_that_is_not_ours_is_one_line() -> None:
    done = run("serve", "--host", "203.0.113.1", "--port", "0")
    assert done.returncode == 1
    assert done.stderr.startswith("antiphon: cannot listen at 203.0.113.1:0: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), "COMMAND"),
        (("serve", "--port", "99999"), "a port is a number from 0 to 65535, not '99999'"),
        (("serve", "--port", "x"), "a port is a number from 0 to 65535, not 'x'"),
        (("serve", "--engine", "magic"), "invalid choice: 'magic'"),
        (("serve", "--latency", "-1"), "a latency is a number of seconds"),
        (("serve", "--latency", "gpt-5=slowish"), "reasoning, local, overloaded), or a text such as"),
        (("serve", "--fault", "stauts=503"), "did you mean 'status'?"),
        (("serve", "--fault", "status=99"), "status: status is a whole number, from 200 to 599, not 99"),
        (("serve", "--unknown-ids", "maybe"), "invalid choice: 'maybe'"),
        (("sing",), "invalid choice: 'sing'"),
    ],
)
def test_mistakes_are_named(arguments: tuple[str, ...], expected: str) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert expected in done.stderr
    assert "Traceback" not in done.stderr


def test_version_and_help() -> None:
    assert run("--version").stdout == f"antiphon {__version__}\n"
    assert "serve a fake OpenAI" in run("--help").stdout
    text = run("serve", "--help").stdout
    for word in ("--port", "--host", "--model", "--engine", "--seed", "--unknown-ids", "--log", "45674", "reverse"):
        assert word in text


def test_help_is_quick() -> None:
    code = (
        "import sys, antiphon.cli\n"
        "try: antiphon.cli.main(['serve', '--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'asyncio', 'granian', 'orjson', 'pyreqwest', 'PIL', 'antiphon.server', 'antiphon.kernel.http'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stderr == "[]\n"
