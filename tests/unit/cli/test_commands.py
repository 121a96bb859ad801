"""Each command, as scripts use it: against a fake, with nothing that is a terminal."""

from __future__ import annotations

import re
import signal
import subprocess
import time
from base64 import b64decode
from pathlib import Path

import pytest

from antiphon import FakeOpenAI

from .conftest import ANTIPHON, Run, environment

PNG = b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")


def test_chat_answers_stdin_once(antiphon: Run) -> None:
    assert antiphon("chat", input="olleh\n") == (0, "hello\n", "", b"hello\n")
    assert antiphon("chat", "gpt-4o", "-p", "cba").out == "abc\n"
    assert antiphon("chat", "-p", "-", input="cba").out == "abc\n"


def test_what_chat_sends(tmp_path: Path) -> None:
    seen: list[dict[str, object]] = []

    def engine(request: object) -> str:
        seen.append(request.body)  # type: ignore[attr-defined]
        return "fine"

    (tmp_path / "cat.png").write_bytes(PNG)
    (tmp_path / "notes.md").write_text("milk\n```\n")
    (tmp_path / "paper.pdf").write_bytes(b"%PDF-1.4\n")
    files = [word for name in ("cat.png", "notes.md", "paper.pdf") for word in ("--attach", name)]
    with FakeOpenAI(engine).start(port=0) as running:
        done = subprocess.run(
            [*ANTIPHON, "chat", "gpt-4o", "-p", "what?", "--system", "be terse", "--max-tokens", "9", *files],
            env=environment(running.base_url, tmp_path),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
    assert (done.stdout, done.stderr) == ("fine\n", "")
    (body,) = seen
    assert (body["model"], body["stream"], body["max_completion_tokens"]) == ("gpt-4o", True, 9)
    system, user = body["messages"]  # type: ignore[misc]
    assert system == {"role": "system", "content": "be terse"}
    picture, text, paper, words = user["content"]  # type: ignore[index]
    assert picture["image_url"]["url"].startswith("data:image/png;base64,")
    assert text == {"type": "text", "text": "notes.md:\n````\nmilk\n```\n````"}
    assert paper["file"]["filename"] == "paper.pdf"
    assert words == {"type": "text", "text": "what?"}


def test_models(antiphon: Run) -> None:
    done = antiphon("models", "gpt-4o", "mini")
    rows = [line.split("\t") for line in done.out.splitlines()]
    assert ["gpt-4o-mini"] == [row[0] for row in rows if row[0] == "gpt-4o-mini"]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d", row[1]) and "mini" in row[0] for row in rows)
    assert antiphon("models", "gpt-4o", "--json").json()[0]["object"] == "model"
    assert antiphon("models", "nothing-like-this")[:2] == (1, "")


def test_embed(antiphon: Run) -> None:
    done = antiphon("embed", "one", "-", "-d", "4", input="two\nthree\n")
    assert [len(vector) for vector in done.lines()] == [4, 4]
    assert len(antiphon("embed", "-", "--lines", "-d", "4", input="one\n\ntwo\nthree\n").lines()) == 3
    answer = antiphon("embed", "one", "--dimensions", "2", "--model", "text-embedding-3-large", "--json").json()
    assert answer["model"] == "text-embedding-3-large"
    assert len(answer["data"][0]["embedding"]) == 2


def test_image(antiphon: Run, tmp_path: Path) -> None:
    assert antiphon("image", "a cat", "-o", "cat.png", "--size", "1024x1024").out == "cat.png\n"
    assert (tmp_path / "cat.png").read_bytes().startswith(b"\x89PNG")
    assert antiphon("image", "a cat", "-o", "cat.webp", "-n", "2").out == "cat-1.webp\ncat-2.webp\n"
    assert (tmp_path / "cat-2.webp").read_bytes()[8:12] == b"WEBP"
    assert antiphon("image", "a cat", "-f", "jpeg").raw[:3] == b"\xff\xd8\xff"
    assert antiphon("image", "a cat", "-o", "there/cat.png")[::2] == (2, "antiphon: there is not a directory\n")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cat-1.webp", "cat-2.webp", "cat.png"]


def test_speak_and_transcribe(antiphon: Run, tmp_path: Path) -> None:
    assert antiphon("speak", "good morning", "-o", "a.wav", "--voice", "coral")[:3] == (0, "", "")
    data = (tmp_path / "a.wav").read_bytes()
    assert (data[:4], data[8:12]) == (b"RIFF", b"WAVE")
    assert antiphon("speak", "-", "-f", "wav", input="good morning").raw[:4] == b"RIFF"
    heard = antiphon("transcribe", "a.wav")
    assert (heard.code, heard.err) == (0, "")
    assert "text" in antiphon("transcribe", "-", "--format", "json", "--name", "b.wav", input=data).json()
    assert antiphon("transcribe", "no.wav")[::2] == (1, "antiphon: no.wav: No such file or directory\n")


def test_upload_and_files(antiphon: Run, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("remember the milk")
    (tmp_path / "large.bin").write_bytes(bytes(range(256)) * 10_000)
    done = antiphon("upload", "notes.txt", "large.bin", "--parts", "1", "--purpose", "assistants", "--wait")
    assert (done.code, done.err) == (0, "")
    notes, large = done.out.split()
    rows = [line.split("\t") for line in antiphon("files").out.splitlines()]
    sizes = {row[0]: (row[1], row[3], row[4]) for row in rows}
    assert sizes[notes] == ("17 B", "assistants", "notes.txt")
    assert sizes[large] == ("2.6 MB", "assistants", "large.bin")
    assert antiphon("files", "get", large, "-o", "back.bin").code == 0
    assert (tmp_path / "back.bin").read_bytes() == (tmp_path / "large.bin").read_bytes()
    assert antiphon("files", "get", notes).out == "remember the milk"
    assert antiphon("files", "show", notes).json()["filename"] == "notes.txt"
    assert antiphon("files", "delete", notes).out == f"{notes} deleted\n"
    gone = antiphon("files", "get", notes, "-o", "gone.txt")
    assert gone.code == 3
    assert re.fullmatch(rf"antiphon: 404: [^\n]*{notes} \(request req_\w+\)\n", gone.err)
    assert not (tmp_path / "gone.txt").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        (
            ("models", "--base-url", "http://127.0.0.1:9/v1", "--max-retries", "0"),
            4,
            "no connection to http://127.0.0.1:9",
        ),
        (("models", "--base-url", "nonsense"), 2, "base_url needs a scheme"),
        (("models", "--provider", "groqq"), 1, "did you mean 'groq'?"),
        (("models", "--provider", "groq"), 1, "set GROQ_API_KEY"),
        (("models", "--provider", "groq", "--base-url", "http://x"), 2, "give one"),
        (("models", "--timeout", "-1"), 2, "a number of seconds was expected"),
        (("chat", "-p", " "), 2, "the text is empty"),
        (("chat", "Hello"), 2, "there is no question: give it with -p, or on stdin"),
        (("chat", "groq:llama", "-p", "x"), 1, "set GROQ_API_KEY"),
        (("chat", "--attach", "no.png", "-p", "x"), 2, "no.png: No such file"),
        (("chat", "--load", "no.json", "-p", "x"), 1, "no.json: No such file"),
        (("embed", "x", "--dimensions", "0"), 2, "at least one dimension"),
        (("image", "x", "-n", "99"), 2, "from 1 to 10"),
        (("image", "x", "-n", "2"), 2, "name them with -o"),
        (("files", "get"), 2, "takes the id of a file"),
        (("files", "sing"), 2, "invalid choice: 'sing'"),
        (("upload", "."), 2, "is a directory"),
        (("speak", "x", "--speed", "9"), 2, "from 0.25 to 4"),
    ],
)
def test_mistakes_are_one_line(antiphon: Run, arguments: tuple[str, ...], code: int, expected: str) -> None:
    done = antiphon(*arguments)
    assert (done.code, done.out) == (code, "")
    assert expected in done.err
    assert done.err.splitlines()[-1].startswith("antiphon")
    assert done.err.count("\n") == 1 or done.err.startswith("usage:")


def test_a_key_is_asked_for(antiphon: Run) -> None:
    done = antiphon("models", OPENAI_API_KEY="")
    assert done[::2] == (1, "antiphon: there is no key: set OPENAI_API_KEY, or give --api-key\n")
    assert antiphon("models", "gpt-5", "--api-key", "x", OPENAI_API_KEY="").code == 0


def test_a_provider_of_ones_own(antiphon: Run, reversing: str, tmp_path: Path) -> None:
    (tmp_path / "antiphon-providers.toml").write_text(
        f'[providers.here]\nbase_url = "{reversing}"\n[models]\nfast = "here:gpt-4o"\n'
    )
    key = {"OPENAI_API_KEY": "", "OPENAI_BASE_URL": "http://127.0.0.1:9/v1", "HERE_API_KEY": "x"}
    assert antiphon("chat", "fast", "-p", "cba", **key).out == "abc\n"
    assert antiphon("chat", "here:gpt-4o", "-p", "cba", **key).out == "abc\n"
    assert antiphon("models", "gpt-5", "--provider", "here", **key).code == 0
    created = ("api", "chat.completions.create", "--model", "fast", "--messages", '{"role": "user", "content": "ab"}')
    assert antiphon(*created, **key).json()["model"] == "gpt-4o"
    assert (
        antiphon("chat", "--provider", "here", "-p", "x", **key).err == "antiphon: say which model of here is meant\n"
    )


def test_the_log(antiphon: Run) -> None:
    err = antiphon("models", "gpt-5", "-v").err
    assert re.search(r"antiphon: HTTP request: GET http://[\d.:]+/v1/models, attempt 1", err)
    assert "sk-test" not in err


def test_a_broken_pipe_is_quiet(reversing: str, tmp_path: Path) -> None:
    command = [*ANTIPHON, "api", "chat.completions.create", "--model", "m", "--stream", "--messages"]
    process = subprocess.Popen(
        [*command, '{"role": "user", "content": "' + "a b " * 20_000 + '"}'],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(reversing, tmp_path),
    )
    assert process.stdout is not None and process.stderr is not None
    assert process.stdout.readline().startswith(b"{")
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(30) == 141


def test_help_into_a_closed_pipe_is_quiet(tmp_path: Path) -> None:
    done = subprocess.run(
        f"{' '.join(ANTIPHON)} --help | true; echo $? $PIPESTATUS",
        shell=True,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.stderr == ""


def test_ctrl_c_ends_a_command_quietly(tmp_path: Path) -> None:
    with FakeOpenAI(latency=60).start(port=0) as running:
        process = subprocess.Popen(
            [*ANTIPHON, "chat", "-p", "x"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(running.base_url, tmp_path),
        )
        time.sleep(2)
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=20) == (b"", b"")
        assert process.returncode == 130
