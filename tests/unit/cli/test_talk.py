"""`antiphon chat` at a terminal: a pseudo-terminal stands for the person's."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from antiphon import FakeOpenAI
from antiphon.kernel.flow import Flow, Pause
from antiphon.kernel.http import Handler, Request, Response

from .conftest import ANTIPHON, environment

PROMPT = "\x1b[1m> \x1b[0m"
CTRL_C, CTRL_D = "\x03", "\x04"


class Terminal:
    def __init__(self, process: subprocess.Popen[bytes], main: int) -> None:
        self.process = process
        self.main = main
        self.seen = ""
        """All that was shown and not yet expected."""

    def expect(self, pattern: str, seconds: float = 20) -> str:
        """Wait until it is shown; what was shown until then, with it."""
        ends = time.monotonic() + seconds
        while (found := re.search(pattern, self.seen)) is None:
            assert time.monotonic() < ends, f"{pattern!r} is not in {self.seen!r}"
            if select.select([self.main], [], [], 0.1)[0]:
                try:
                    self.seen += os.read(self.main, 65536).decode(errors="replace")
                except OSError:
                    raise AssertionError(f"it ended before {pattern!r} came: {self.seen!r}") from None
        shown, self.seen = self.seen[: found.end()], self.seen[found.end() :]
        return shown

    def prompt(self) -> str:
        return self.expect(re.escape(PROMPT))

    def type(self, text: str) -> None:
        os.write(self.main, text.encode())

    def interrupt(self, pattern: str) -> None:
        """Press Ctrl-C at a prompt, until it is heard: CPython's readline misses one that comes just as it goes back to
        waiting for a key."""
        for _ in range(10):
            self.type(CTRL_C)
            try:
                self.expect(pattern, seconds=2)
            except AssertionError:
                continue
            return
        raise AssertionError(f"Ctrl-C is not heard: {self.seen!r}")

    def end(self) -> int:
        while True:
            try:
                if not select.select([self.main], [], [], 20)[0]:
                    break
                data = os.read(self.main, 65536)
            except OSError:  # the other end is closed
                break
            if not data:
                break
            self.seen += data.decode(errors="replace")
        return self.process.wait(20)


@contextmanager
def terminal(base_url: str, home: Path, *arguments: str, **more: str) -> Iterator[Terminal]:
    main, other = pty.openpty()
    fcntl.ioctl(main, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))

    def own() -> None:  # Ctrl-C goes to whoever has the terminal for their own
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    process = subprocess.Popen(
        [*ANTIPHON, *arguments],
        stdin=other,
        stdout=other,
        stderr=other,
        start_new_session=True,
        preexec_fn=own,
        env={**environment(base_url, home), "TERM": "xterm", **more},
        cwd=home,
    )
    os.close(other)
    try:
        yield Terminal(process, main)
    finally:
        process.kill()
        process.wait()
        os.close(main)


def test_a_conversation(reversing: str, tmp_path: Path) -> None:
    with terminal(reversing, tmp_path, "chat", "gpt-4o") as person:
        assert "gpt-4o · /help for help" in person.prompt()
        person.type("cba\r")
        assert "abc\r\n" in person.prompt()
        person.type("one \\\r")
        person.expect(re.escape("\x1b[1m. \x1b[0m"))
        person.type("two\r")
        assert "owt" in person.prompt()
        person.type('"""\rthree\r\rfour\r"""\r')
        assert re.search("ruof\r\n\r\neerht", person.prompt())
        person.type("/usage\r")
        assert "3 requests" in person.prompt()
        person.type("/sve x\r")
        assert "did you mean /save?" in person.prompt()
        person.type("/save talk.json\r")
        assert "antiphon chat --load talk.json" in person.prompt()
        person.type(CTRL_D)
        assert person.end() == 0
    said = [message["content"] for message in json.loads((tmp_path / "talk.json").read_text())["messages"]]
    assert said == ["cba", "abc", "one \ntwo", "owt\n eno", "three\n\nfour", "ruof\n\neerht"]
    history = tmp_path / "state" / "antiphon" / "history"
    assert "cba" in history.read_text().splitlines()
    assert history.stat().st_mode & 0o077 == 0
    with terminal(reversing, tmp_path, "chat", "--load", "talk.json") as person:
        assert "gpt-4o ·" in person.prompt()
        person.type("\x1b[A\x1b[A\r")  # the arrow upwards: what was typed last time
        assert "did you mean /save?" in person.prompt()
        person.type("/exit\r")
        assert person.end() == 0


def test_attachments_and_errors(tmp_path: Path) -> None:
    seen: list[Any] = []

    def engine(request: Any) -> str:
        seen.append(request.body["messages"][-1]["content"])
        return "\x1b[31mfine\x07"

    (tmp_path / "a b.txt").write_text("milk")
    with FakeOpenAI(engine, models=["mine"]).start(port=0) as running:
        with terminal(running.base_url, tmp_path, "chat", "yours") as person:
            person.prompt()
            person.type("/attach nothing.txt\r")
            assert "antiphon: nothing.txt: No such file or directory" in person.prompt()
            person.type("/attach a b.txt\r")
            assert "goes along with the next question" in person.prompt()
            person.type("what?\r")
            assert re.search(r"antiphon: 404: [^\r\n]*yours[^\r\n]* \(request req_\w+\)\r\n", person.prompt())
            person.type("/model mine\r")
            person.prompt()
            person.type("what?\r")
            assert "\r[31mfine\r\n" in person.prompt()  # nothing a model says drives the terminal
            person.type("more\r")
            person.prompt()
            person.type(CTRL_D)
            assert person.end() == 0
    first, second = seen
    assert [part["text"] for part in first] == ["a b.txt:\n```\nmilk\n```", "what?"]
    assert second == "more"


@pytest.mark.parametrize("pause", [0.1, 60])
def test_ctrl_c_stops_the_answer_and_not_the_program(tmp_path: Path, pause: float) -> None:
    slow = FakeOpenAI("echo", latency=(0.1, pause))
    with slow.start(port=0) as running, terminal(running.base_url, tmp_path, "chat") as person:
        person.prompt()
        person.type("one two three four five six seven eight nine ten\r")
        person.expect("ten\r\n")
        person.expect("one")
        began = time.monotonic()
        person.type(CTRL_C)
        shown = person.prompt()
        assert "stopped" in shown and "ten" not in shown
        assert time.monotonic() - began < 5
        person.type("a line that is dropped")
        person.expect("dropped")
        person.interrupt("Ctrl-D ends")
        person.prompt()
        person.type("/save talk.json\r")
        person.expect("goes on with it")
        person.prompt()  # before it, Ctrl-D would come to a terminal that nobody reads and be lost
        person.type(CTRL_D)
        assert person.end() == 0
    question, answer = json.loads((tmp_path / "talk.json").read_text())["messages"]
    assert question["content"].endswith("ten")
    assert answer["content"] and question["content"].startswith(answer["content"])


def test_ctrl_c_before_the_answer_begins(tmp_path: Path) -> None:
    with FakeOpenAI("echo", latency=60).start(port=0) as running:
        with terminal(running.base_url, tmp_path, "chat") as person:
            person.prompt()
            person.type("one\r")
            person.expect("thinking … 1 s")
            person.type(CTRL_C)
            assert "the question is forgotten" in person.prompt()
            person.type(CTRL_D)
            assert person.end() == 0


def test_an_answer_into_a_file(reversing: str, tmp_path: Path) -> None:
    with terminal(reversing, tmp_path, "api") as person:  # columns, at a terminal
        assert re.search(r"chat\.completions {5,}5 operations", person.expect("vector_stores "))
    command = " ".join([*ANTIPHON, "chat", "> answer.txt"])
    with terminal(reversing, tmp_path, "--help") as person:
        person.end()
    main, other = pty.openpty()
    process = subprocess.Popen(
        command, shell=True, stdin=other, stderr=other, cwd=tmp_path, env=environment(reversing, tmp_path)
    )
    os.close(other)
    os.write(main, b"cba\n\x04")
    assert process.wait(30) == 0
    os.close(main)
    assert (tmp_path / "answer.txt").read_text() == "abc\n"


def test_an_upload_is_shown(tmp_path: Path) -> None:
    def slow(handler: Handler) -> Handler:
        def handled(request: Request) -> Flow[Response]:
            if request.path.endswith("/parts"):
                yield Pause(0.5)
            answer = handler(request)
            return answer if isinstance(answer, Response) else (yield from answer)

        return handled

    (tmp_path / "large.bin").write_bytes(bytes(5_000_000))
    with FakeOpenAI(filters=[slow]).start(port=0) as running:
        with terminal(running.base_url, tmp_path, "upload", "large.bin", "--parts", "1") as person:
            shown = person.expect(r"file-\w+")
            assert person.end() == 0
    assert re.search(r"large\.bin  ━+╌+  +\d+%  [\d.]+ MB of 5\.0 MB  [\d.]+ [kM]B/s  \d+ s left", shown), shown
    assert shown.rpartition("\r\x1b[K")[2].startswith("file-")  # the line is gone when the id is printed


def test_bytes_are_kept_from_the_terminal(reversing: str, tmp_path: Path) -> None:
    with terminal(reversing, tmp_path, "speak", "hello") as person:
        person.expect("name a file with -o, or redirect the output")
        assert person.end() == 2


def test_ctrl_c_elsewhere_ends_with_130(tmp_path: Path) -> None:
    with FakeOpenAI(latency=60).start(port=0) as running:
        with terminal(running.base_url, tmp_path, "chat", "-p", "x") as person:
            person.expect("thinking")
            person.process.send_signal(signal.SIGINT)
            assert person.end() == 130
    assert "Traceback" not in person.seen
