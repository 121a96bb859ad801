"""What large files cost a server in memory: next to nothing."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from antiphon import BadRequestError, FakeOpenAI, OpenAI, RateLimitError
from antiphon.server.limits import RateLimit

MIB = 1024 * 1024
SIZE = 64
HEAD = (
    b'--B\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nuser_data\r\n'
    b'--B\r\nContent-Disposition: form-data; name="file"; filename="large.bin"\r\n\r\n'
)
TAIL = b"\r\n--B--\r\n"
HEADERS = {"authorization": "Bearer sk-test", "content-type": "multipart/form-data; boundary=B"}
SERVE = """
import sys
from antiphon import FakeOpenAI
server = FakeOpenAI().start(port=0)
print(server.port, flush=True)
sys.stdin.read()
server.stop()
"""


def peak(pid: int) -> float:
    """The most resident memory that a process has had so far, in MiB."""
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return int(fields["VmHWM"].split()[0]) / 1024


@pytest.fixture
def process(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    yield process
    process.communicate(timeout=30)


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="peaks of memory are read from /proc")
def test_a_large_file_is_not_held_in_memory(process: subprocess.Popen[str], tmp_path: Path) -> None:
    assert process.stdout is not None
    connection = http.client.HTTPConnection("127.0.0.1", int(process.stdout.readline()), timeout=60)
    connection.request("POST", "/v1/files", HEAD + b"small" + TAIL, HEADERS)
    assert connection.getresponse().read()
    before = peak(process.pid)

    block = os.urandom(MIB)
    length = str(len(HEAD) + SIZE * MIB + len(TAIL))
    connection.request("POST", "/v1/files", (HEAD, *[block] * SIZE, TAIL), {**HEADERS, "content-length": length})
    made = json.loads(connection.getresponse().read())
    assert made["bytes"] == SIZE * MIB
    assert len(list(tmp_path.iterdir())) == 1

    connection.request("GET", f"/v1/files/{made['id']}/content", headers=HEADERS)
    answer = connection.getresponse()
    assert answer.headers["content-length"] == str(SIZE * MIB)
    assert all(answer.read(MIB) == block for _ in range(SIZE))
    assert answer.read() == b""
    assert peak(process.pid) - before < 32

    connection.request("DELETE", f"/v1/files/{made['id']}", headers=HEADERS)
    assert json.loads(connection.getresponse().read())["deleted"] is True
    until = time.monotonic() + 30
    while list(tmp_path.iterdir()) and time.monotonic() < until:
        time.sleep(0.05)  # it is held a little longer, for whoever has just begun to read it
    assert list(tmp_path.iterdir()) == []
    connection.close()


# Other bodies that are large


def test_a_large_question_is_answered_and_counted() -> None:
    text = "word " * (2 * MIB // 5)
    fake = FakeOpenAI("echo", rate_limits=RateLimit(tokens=len(text) // 4 + 10))
    with fake.start(port=0) as server, OpenAI(api_key="k", base_url=server.base_url, max_retries=0) as client:
        ask = {"model": "gpt-5", "messages": [{"role": "user", "content": text}]}
        raw = client.chat.completions.with_raw_response.create(**ask)  # type: ignore[call-overload]
        assert raw.parse().choices[0].message.content == text
        assert int(raw.headers["x-ratelimit-remaining-tokens"]) <= 10
        with pytest.raises(RateLimitError):
            client.chat.completions.create(**ask)  # type: ignore[call-overload]


def test_a_large_form_is_a_form_or_refused() -> None:
    fake = FakeOpenAI()
    with fake.start(port=0) as server:
        connection = http.client.HTTPConnection(server.host, server.port, timeout=60)

        def ask(body: bytes) -> tuple[int, str]:
            connection.request("POST", "/v1/files", body, HEADERS)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())["error"]["message"]

        field = b'--B\r\nContent-Disposition: form-data; name="%s"\r\n\r\n'
        assert ask(field % b"purpose" + b"x" * (17 * MIB) + TAIL) == (
            400,
            "Could not parse multipart form: the fields of the form that are no files have more than 16777216 bytes.",
        )
        many = b"".join(field % b"%d" % number + b"x" * 100 + b"\r\n" for number in range(10_001))
        assert "more than 10000 parts" in ask(many + b"--B--\r\n")[1]
        assert "ends before its closing boundary" in ask(HEAD + b"x" * (2 * MIB))[1]
        connection.close()
    assert fake.client().files.list().data == []


def test_a_large_file_that_is_not_of_its_purpose_is_refused_over_a_port() -> None:
    fake = FakeOpenAI()
    with fake.start(port=0) as server, OpenAI(api_key="k", base_url=server.base_url) as client:
        data = b'{"a": 1}\n' * MIB + b"[]\n"
        with pytest.raises(BadRequestError, match=f"Line {MIB + 1} is not a dictionary"):
            client.files.create(file=("a.jsonl", data), purpose="evals")
        assert client.files.list().data == []
