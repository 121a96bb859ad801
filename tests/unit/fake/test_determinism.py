"""The same seed and the same requests: the same bytes. Ids, times, texts, sounds, pictures, streams, headers, jobs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from antiphon import FakeOpenAI
from antiphon.kernel.http import Headers, Request
from antiphon.server.clock import VirtualClock
from antiphon.transports.handler import HandlerTransport

CHAT: Any = {"model": "gpt-5", "messages": [{"role": "user", "content": "Tell me of the sea, please."}]}
TOOL: Any = {
    "type": "function",
    "function": {"name": "sail", "parameters": {"type": "object", "properties": {"to": {"type": "string"}}}},
}
ASKED: list[tuple[str, str, Any]] = [
    ("POST", "/v1/chat/completions", CHAT),
    ("POST", "/v1/chat/completions", {**CHAT, "stream": True, "n": 2, "logprobs": True}),
    ("POST", "/v1/chat/completions", {**CHAT, "tools": [TOOL], "store": True}),
    ("POST", "/v1/responses", {"model": "gpt-5", "input": "a", "reasoning": {"effort": "high"}}),
    ("POST", "/v1/responses", {"model": "gpt-5", "input": "a", "stream": True}),
    ("POST", "/v1/responses", {"model": "gpt-5", "input": "later", "background": True}),
    ("POST", "/v1/embeddings", {"model": "text-embedding-3-small", "input": "a", "encoding_format": "base64"}),
    ("POST", "/v1/moderations", {"input": "I will hurt you"}),
    ("POST", "/v1/images/generations", {"model": "gpt-image-1", "prompt": "a boat", "size": "1024x1024"}),
    ("POST", "/v1/audio/speech", {"model": "tts-1", "voice": "alloy", "input": "Hello", "response_format": "wav"}),
    ("POST", "/v1/audio/speech", {"model": "tts-1", "voice": "alloy", "input": "Hello", "response_format": "mp3"}),
    (
        "POST",
        "/v1/files",
        ("a.jsonl", json.dumps({"custom_id": "1", "method": "POST", "url": "/v1/chat/completions", "body": CHAT})),
    ),
    ("POST", "/v1/vector_stores", {"name": "v"}),
    ("POST", "/v1/conversations", {"items": [{"type": "message", "role": "user", "content": "a"}]}),
    ("POST", "/v1/threads", {"messages": [{"role": "user", "content": "a"}]}),
    ("POST", "/v1/videos", {"model": "sora-2", "prompt": "a boat", "seconds": "4"}),
    ("GET", "/v1/models", None),
    ("GET", "/v1/nothing", None),
    ("POST", "/v1/chat/completions", {"model": "gpt-5"}),
]


def told(seed: int | str) -> list[bytes]:
    """Everything a fake answers, headers too, and what becomes of its jobs."""
    clock = VirtualClock(1_800_000_000)
    fake = FakeOpenAI(seed=seed, clock=clock)
    there = HandlerTransport(fake)
    out: list[bytes] = []

    def ask(method: str, path: str, body: Any) -> None:
        headers = {"authorization": "Bearer any", "content-type": "application/json"}
        content = b"" if body is None else json.dumps(body).encode()
        if isinstance(body, tuple):
            name, text = body
            boundary = "x" * 20
            part = f'--{boundary}\r\ncontent-disposition: form-data; name="{{}}"{{}}\r\n\r\n{{}}\r\n'
            content = "".join(
                (
                    part.format("purpose", "", "batch"),
                    part.format("file", f'; filename="{name}"', text),
                    f"--{boundary}--\r\n",
                )
            ).encode()
            headers["content-type"] = f"multipart/form-data; boundary={boundary}"
        answer = there.send(
            Request(method, path, "", Headers(headers), content, "http://fake.test"), None, stream=False
        )
        out.append(repr((answer.status, sorted(answer.headers.pairs))).encode() + answer.content)
        clock.advance(1)

    for each in ASKED:
        ask(*each)
    file = json.loads(out[11][out[11].index(b'{"') :])["id"]
    ask("POST", "/v1/batches", {"input_file_id": file, "endpoint": "/v1/chat/completions", "completion_window": "24h"})
    clock.advance("1h")
    for path in ("/v1/batches", "/v1/files", "/v1/chat/completions", "/v1/vector_stores"):
        ask("GET", path, None)
    return out


@pytest.mark.parametrize("seed", [0, 7, "a word"])
def test_the_same_seed_says_the_same(seed: int | str) -> None:
    first, again = told(seed), told(seed)
    for one, other in zip(first, again, strict=True):
        assert one == other


def test_another_seed_says_something_else() -> None:
    same = [place for place, (one, other) in enumerate(zip(told(1), told(2), strict=True)) if one == other]
    assert same == []  # the ids of requests alone are others


def test_another_process_says_the_same() -> None:
    """Whatever the hashes of strings are there."""
    source = (
        "import hashlib; from tests.unit.fake.test_determinism import told; "
        "print(hashlib.sha256(b''.join(told(7))).hexdigest())"
    )
    found = set()
    for salt in ("1", "2"):
        env = {**os.environ, "PYTHONHASHSEED": salt, "PYTHONPATH": os.getcwd()}
        done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, env=env, check=True)
        found.add(done.stdout)
    assert len(found) == 1
