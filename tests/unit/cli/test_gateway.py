"""`antiphon gateway`, run as a program."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import openai
import pytest
import trustme

from antiphon import FakeOpenAI
from antiphon.cli import main
from antiphon.gateway.keys import hashed, new_key
from antiphon.hosting.run import bind, serve_in_background
from antiphon.version import __version__
from tests.unit.gateway.repeating import Repeating

ANTIPHON = [sys.executable, "-m", "antiphon", "gateway"]
HELLO: Any = [{"role": "user", "content": "hello there"}]
POSIX = pytest.mark.skipif(
    not hasattr(os, "fork") or shutil.which("ps") is None, reason="several processes need fork, and these tests ps"
)


@pytest.fixture(scope="module")
def upstream() -> Iterator[str]:
    with serve_in_background(Repeating("chat", "other", "away", away=("away",))) as running:
        yield running.url


def run(*arguments: str, input: str = "", cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [*ANTIPHON, *arguments], input=input, capture_output=True, text=True, timeout=60, check=False, cwd=cwd
    )
    assert "Traceback" not in done.stderr
    return done


class Served:
    """A gateway in a process of its own; what it says is read as it comes."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[str] = []
        self.errors: list[str] = []
        self._readers = [
            threading.Thread(target=self._read, args=(stream, into), daemon=True)
            for stream, into in ((process.stdout, self.lines), (process.stderr, self.errors))
        ]
        for each in self._readers:
            each.start()
        self.until(lambda: any("Ctrl-C" in line for line in self.lines))
        found = re.search(r"(https?://\S+):(\d+) to", self.lines[0])
        assert found is not None, self.lines
        self.url = f"{found[1]}:{found[2]}"

    @staticmethod
    def _read(stream: Any, into: list[str]) -> None:
        for line in stream:
            into.append(line.rstrip("\n"))

    def until(self, done: Any, seconds: float = 40) -> None:
        over = time.monotonic() + seconds
        while not done():
            assert (time.monotonic() < over and self.process.poll() is None) or done(), (self.lines, self.errors)
            time.sleep(0.02)

    def client(self, key: str = "any", **options: Any) -> openai.OpenAI:
        return openai.OpenAI(base_url=f"{self.url}/v1", api_key=key, max_retries=0, timeout=30, **options)

    def say(self, client: openai.OpenAI, model: str = "chat") -> str | None:
        return client.chat.completions.create(model=model, messages=HELLO).choices[0].message.content

    def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        code = self.process.wait(30)
        for each in self._readers:
            each.join(10)
        return code


@contextmanager
def serving(*arguments: str, cwd: Path | None = None, **more: str) -> Iterator[Served]:
    process = subprocess.Popen(
        [*ANTIPHON, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=cwd,
        env={**os.environ, **more},
    )
    try:
        yield Served(process)
    finally:
        process.kill()
        process.wait(10)
        for stream in (process.stdout, process.stderr):
            assert stream is not None
            with contextlib.suppress(ValueError):
                stream.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_a_model_of_the_command_line_logs_and_stops(upstream: str, number: int) -> None:
    with serving("--model", f"chat={upstream},queue=3", "--port", "0") as served:
        assert served.lines[0] == f"Antiphon {__version__}, a gateway on {served.url} to chat"
        assert f"  export OPENAI_BASE_URL={served.url}/v1" in served.lines
        with served.client() as client:
            assert served.say(client) == "hello there"
            stream = client.chat.completions.create(
                model="chat", messages=HELLO, stream=True, stream_options={"include_usage": True}
            )
            assert len(list(stream)) > 3
            with pytest.raises(openai.NotFoundError):
                served.say(client, "none")
        assert served.end(number) == 0
    logged = [line for line in served.lines if " POST " in line]
    assert len(logged) == 3
    clock, request = r"\d\d:\d\d:\d\d POST /v1/chat/completions", rf"\d+\+\d+ tokens {upstream} req_\w+"
    assert re.fullmatch(rf"{clock} 200 [\d.]+ ms chat {request}", logged[0]), logged[0]
    assert re.fullmatch(rf"{clock} 200 [\d.]+ ms first [\d.]+ ms chat {request}", logged[1]), logged[1]
    assert re.fullmatch(rf"{clock} 404 [\d.]+ ms none req_\w+", logged[2]), logged[2]
    assert served.errors == []


def test_the_log_as_json_has_names_of_keys_and_no_keys(upstream: str, tmp_path: Path) -> None:
    key = new_key()
    config = (
        f'log = "json"\nport = 0\n[models.chat]\nurl = "{upstream}"\n[[keys]]\nname = "alice"\nhash = "{hashed(key)}"\n'
    )
    (tmp_path / "gateway.toml").write_text(config)
    with serving(cwd=tmp_path) as served:  # the file is found where it is
        assert any("one of 1" in line for line in served.lines)
        with served.client(key) as client, served.client("sk-wrong-key-that-is-long") as other:
            assert served.say(client) == "hello there"
            with pytest.raises(openai.AuthenticationError):
                served.say(other)
            list(client.chat.completions.create(model="chat", messages=HELLO, stream=True))
        assert served.end() == 0
    entries = [json.loads(line) for line in served.lines if line.startswith("{")]
    assert [(each["key"], each["status"], each["model"]) for each in entries] == [
        ("alice", 200, "chat"),
        (None, 401, "chat"),
        ("alice", 200, "chat"),
    ]
    assert entries[0]["input_tokens"] > 0 and entries[0]["output_tokens"] > 0
    assert entries[0]["first_seconds"] is None and entries[2]["first_seconds"] > 0
    assert [each["upstream"] for each in entries] == [upstream, None, upstream]
    assert all(each["request_id"].startswith("req_") for each in entries)
    assert key not in "\n".join(served.lines) and "sk-wrong" not in "\n".join(served.lines)


@POSIX
@pytest.mark.parametrize("workers", ["1", "2"])
def test_sighup_under_load_drops_nothing(upstream: str, tmp_path: Path, workers: str) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text(f'[models.chat]\nurl = "{upstream}"\n')
    with serving("--config", str(file), "--port", "0", "--workers", workers, "--log", "off") as served:
        failures: list[BaseException] = []
        answered: list[int] = []
        stop = threading.Event()

        def ask() -> None:
            with served.client() as client:
                while not stop.is_set():
                    try:
                        served.say(client)
                        answered.append(1)
                    except BaseException as error:
                        failures.append(error)

        threads = [threading.Thread(target=ask) for _ in range(3)]
        for each in threads:
            each.start()
        with served.client() as client:
            question: Any = [{"role": "user", "content": "a /slow 1.5 b c"}]
            stream = iter(client.chat.completions.create(model="chat", messages=question, stream=True))
            text = next(stream).choices[0].delta.content or ""
            file.write_text(f'[models.chat]\nurl = "{upstream}"\nqueue = 5\n[models.other]\nurl = "{upstream}"\n')
            served.process.send_signal(signal.SIGHUP)
            served.until(lambda: any("read again; models: chat, other" in line for line in served.errors))
            text += "".join(chunk.choices[0].delta.content or "" for chunk in stream)
            assert text == "a /slow 1.5 b c "
            for _ in range(4):
                with served.client() as another:
                    assert served.say(another, "other") == "hello there"
            file.write_text("[models.chat]\nurl = 3\nconvension = 'x'\n")
            served.process.send_signal(signal.SIGHUP)
            served.until(lambda: len(served.errors) >= 4)
            assert served.errors[1] == "antiphon: the configuration stays as it was:"
            assert served.errors[2].startswith(f"  {file}:2: models.chat.url: a list was expected, not the number 3")
            assert served.errors[3].startswith(f"  {file}:3: models.chat.convension: ")
            file.write_text(f'port = 1\nworkers = 3\n[models.other]\nurl = "{upstream}"\n')
            served.process.send_signal(signal.SIGHUP)
            served.until(lambda: len(served.errors) >= 5)
            assert served.say(client, "other") == "hello there"
        stop.set()
        for each in threads:
            each.join()
        assert all("`chat` does not exist" in str(each) for each in failures), failures
        assert len(answered) > 20
        assert served.end() == 0


@POSIX
def test_several_processes_are_one_gateway(upstream: str, tmp_path: Path) -> None:
    key, limited = new_key(), new_key()
    file = tmp_path / "gateway.toml"
    file.write_text(
        f'workers = 3\nport = 0\nlog = "off"\n[models.chat]\nurl = "{upstream}"\n'
        f'[[keys]]\nname = "alice"\nhash = "{hashed(key)}"\n'
        f'[[keys]]\nname = "bob"\nhash = "{hashed(limited)}"\nrequests_per_minute = 5\n'
    )
    with serving("--config", str(file)) as served:
        children = _children(served.process.pid)
        assert len(children) == 3
        if (tasks := Path(f"/proc/{served.process.pid}/task")).exists():
            assert len(list(tasks.iterdir())) == 1  # it forks, and threads do not survive that
        files = []
        for number in range(8):  # each over a connection of its own
            with served.client(key) as client:
                data = f"{number}".encode() * 1_500_000  # in a temporary file on its way
                files.append(client.files.create(file=("a.txt", data), purpose="user_data").id)
        refused = 0
        for _ in range(8):
            with served.client(key) as client:
                assert {each.id for each in client.files.list()} == set(files)
                assert client.files.content(files[3]).read() == b"3" * 1_500_000
                assert client.responses.create(model="chat", input="x", store=False).output_text == "x"
                kept = client.responses.create(model="chat", input="a b")
                stream = client.responses.create(model="chat", input="a b", stream=True)
                assert list(stream)[-1].type == "response.completed"
                assert client.responses.retrieve(kept.id).output_text == "a b"
            with served.client(limited) as client:
                try:
                    assert served.say(client) == "hello there"
                except openai.RateLimitError:
                    refused += 1
            with served.client("sk-none-of-these-keys") as client, pytest.raises(openai.AuthenticationError):
                client.files.list()
        assert refused == 3
        # One that dies is replaced. What the first kept is gone with it.
        os.kill(children[1], signal.SIGKILL)
        served.until(lambda: any("was ended by signal 9; another takes its place" in line for line in served.errors))
        served.until(lambda: len(_children(served.process.pid)) == 3)
        with served.client(key) as client:
            assert served.say(client) == "hello there"
        assert served.end() == 0
    assert all(not _alive(each) for each in children)


@POSIX
def test_processes_end_with_their_parent(upstream: str) -> None:
    with serving("--model", f"chat={upstream}", "--port", "0", "--workers", "2") as served:
        children = _children(served.process.pid)
        served.process.kill()
        over = time.monotonic() + 20
        while any(map(_alive, children)):
            assert time.monotonic() < over
            time.sleep(0.05)


def _children(pid: int) -> list[int]:
    done = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
    return sorted(map(int, done.stdout.split()))


def _alive(pid: int) -> bool:
    done = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return done.stdout.strip() not in ("", "Z")


def test_tls(upstream: str, tmp_path: Path) -> None:
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1", "localhost")
    certificate, private_key, root = tmp_path / "tls.crt", tmp_path / "tls.key", tmp_path / "ca.pem"
    issued.cert_chain_pems[0].write_to_path(certificate)
    issued.private_key_pem.write_to_path(private_key)
    authority.cert_pem.write_to_path(root)
    import httpx2

    file = tmp_path / "gateway.toml"
    file.write_text(f'certificate = "tls.crt"\nprivate_key = "tls.key"\nport = 0\n[models.chat]\nurl = "{upstream}"\n')
    with serving("--config", str(file)) as served:
        assert served.url.startswith("https://127.0.0.1:")
        context = ssl.create_default_context(cafile=str(root))
        with served.client(http_client=httpx2.Client(verify=context)) as client:
            assert served.say(client) == "hello there"
            assert client.files.create(file=("a.txt", b"a" * 2_000_000), purpose="user_data").bytes == 2_000_000
        with served.client(http_client=httpx2.Client()) as client, pytest.raises(openai.APIConnectionError):
            served.say(client)
        assert served.end() == 0
    private_key.write_text(trustme.CA().issue_cert("x").private_key_pem.bytes().decode())
    done = run("--config", str(file))
    assert done.returncode == 1
    assert f"{file}:1: certificate: the certificate and its key cannot be used" in done.stderr


def test_streams_under_way_are_given_the_time_there_is(upstream: str, tmp_path: Path) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text(f'port = 0\n[models.chat]\nurl = "{upstream}"\n')
    with serving("--config", str(file)) as served, served.client() as client:
        question: Any = [{"role": "user", "content": "a /slow 1 b"}]
        stream = iter(client.chat.completions.create(model="chat", messages=question, stream=True))
        text = next(stream).choices[0].delta.content or ""
        served.process.send_signal(signal.SIGTERM)
        text += "".join(chunk.choices[0].delta.content or "" for chunk in stream)
        assert text == "a /slow 1 b "
        assert served.process.wait(20) == 0


def test_check_says_what_is_found(upstream: str) -> None:
    done = run("check", "--model", f"chat={upstream}", "--model", f"other={upstream}")
    assert done.returncode == 0, done.stdout
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert rows[0] == ["MODEL", "SERVER", "LIVE", "READY", "SOFTWARE", "CONVENTION", "ANSWER"]
    assert rows[1][:6] == ["chat", upstream, "yes", "yes", "mlserver 1.7.1", "seldon-chat"]
    assert re.fullmatch(r'"Say hello\." \(\d+ ms\)', rows[1][6])
    with bind() as free:
        gone = f"http://127.0.0.1:{free.getsockname()[1]}"
    done = run("check", "--json", "--no-ask", "-m", f"chat={upstream},{gone}", "-m", f"away={upstream}")
    assert done.returncode == 4
    chat, lost, away = map(json.loads, done.stdout.splitlines())
    assert (chat["ready"], chat["answer"]) == ("yes", None)
    assert lost["server"] == gone and "cannot be reached" in lost["answer"]
    assert away["ready"] == "no" and away["live"] == "yes"
    assert run("check", "--no-ask", "-m", f"away={upstream}").returncode == 3
    done = run("check", "--discover", upstream)
    assert done.returncode == 0
    assert [line.split("\t")[0] for line in done.stdout.splitlines()] == ["MODEL", "chat", "other"]
    done = run("check", "--discover", gone)
    assert (done.returncode, done.stderr.splitlines()[-1]) == (4, f"antiphon: no models were found at {gone}")


def test_a_check_says_that_a_server_may_be_one_of_the_openai_api(capsys: pytest.CaptureFixture[str]) -> None:
    key = "headers.authorization=Bearer any"
    with serve_in_background(FakeOpenAI()) as vllm:
        assert main(["gateway", "check", "-m", f"chat={vllm.url},{key}"]) == 3
        assert 'if it speaks the OpenAI API, say backend = "openai"' in capsys.readouterr().out
        assert main(["gateway", "check", "-m", f"chat={vllm.base_url},{key},backend=openai,model=gpt-5"]) == 0
        assert "OpenAI API" not in capsys.readouterr().out


def test_keys_are_made_and_hashed(tmp_path: Path) -> None:
    done = run("hash-key", "alice", input="sk-some-key-that-is-long-enough\n")
    assert done.stdout == f'[[keys]]\nname = "alice"\nhash = "{hashed("sk-some-key-that-is-long-enough")}"\n'
    done = run("hash-key", "--new", "bob")
    key = done.stderr.split()[-1]
    assert hashed(key) in done.stdout and key not in done.stdout
    assert run("hash-key", input="short\n").returncode == 2
    assert run("hash-key", input="").returncode == 2
    assert "[models.chatgpt]" in run("example").stdout


def test_a_check_waits_for_no_server_that_says_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("antiphon.cli._check.PATIENCE", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        at = f"127.0.0.1:{silent.getsockname()[1]}"
        for url in (f"http://{at}", f"grpc://{at}"):
            assert main(["gateway", "check", "--json", "--model", f"chat={url}"]) == 4
            (line,) = capsys.readouterr().out.splitlines()
            assert json.loads(line)["answer"]


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        ((), 2, "there are no models: give --model NAME=URL, a configuration with --config FILE, or try --local"),
        (("--model", "chat"), 1, "--model chat: there is no address"),
        (("--config", "none.toml"), 1, "cannot read none.toml: No such file or directory"),
        (
            ("--model", "a=http://x", "--host", "0.0.0.0", "--port", "0"),
            1,
            "anybody who reaches this machine could ask",
        ),
        (("--model", "a=http://x", "--host", "203.0.113.1", "--open"), 1, "cannot listen at 203.0.113.1:9000: "),
        (("--model", "a=http://x", "--port", "x"), 2, "a port is a number from 0 to 65535, not 'x'"),
        (("--model", "a=http://x", "--workers", "0"), 2, "workers are a number from 1 to 512, or auto, not '0'"),
        (("--model", "a=http://x", "--key", "secret"), 2, "NAME=sha256:… was expected"),
        (("--model", "a=http://x", "--key", "a=sha256:1"), 1, "keys[0].hash: this is no hash of a key"),
        (("--model", "a=http://x", "--certificate", "x"), 1, "certificate: TLS needs private_key as well"),
        (("--model", "a=http://x,backend=magic"), 1, "'magic'"),
        (("--model", "none=,backend=local", "--port", "0"), 1, "models.none: there is no local model 'none'"),
        (("check", "--model", "none=,backend=local"), 1, "models.none: there is no local model 'none'"),
        (("sing",), 2, "invalid choice: 'sing'"),
    ],
)
def test_mistakes_are_named(
    arguments: tuple[str, ...],
    code: int,
    expected: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    try:
        ended = main(["gateway", *arguments])
    except SystemExit as error:  # argparse's way
        ended = error.code if isinstance(error.code, int) else 1
    out, err = capsys.readouterr()
    assert (ended, out) == (code, "")
    assert expected in err and "Traceback" not in err


@POSIX
def test_processes_that_cannot_begin_are_not_begun_again_and_again() -> None:
    done = run("--model", "none=,backend=local", "--port", "0", "--workers", "2")
    assert (done.returncode, done.stdout) == (1, "")
    assert "there is no local model 'none'" in done.stderr


def test_a_taken_port_is_one_line() -> None:
    with bind() as taken:
        port = taken.getsockname()[1]
        done = run("--model", "a=http://x", "--port", str(port))
    assert done.returncode == 1
    assert done.stderr.startswith(f"antiphon: 127.0.0.1:{port} is already in use; choose another port")


def test_help_is_quick() -> None:
    code = (
        "import sys, antiphon.cli\n"
        "try: antiphon.cli.main(['gateway', '--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'asyncio', 'granian', 'orjson', 'pyreqwest', 'grpc', 'antiphon.server', 'antiphon.gateway'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "[]\n"
    for word in ("--config", "--model", "--workers", "--open", "check", "hash-key", "SIGHUP", "9000"):
        assert word in done.stdout
