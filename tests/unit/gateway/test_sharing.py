"""What the processes of a gateway answer by themselves, and what they leave to the first."""

from __future__ import annotations

import json
from typing import Any

import pytest

from antiphon.gateway.sharing import needs_the_first
from antiphon.kernel.http import Headers, Request
from antiphon.kernel.spool import spooled

CHAT = {"model": "chat", "messages": [{"role": "user", "content": 'say "store": true'}]}


def asked(method: str, path: str, body: Any = None) -> bool:
    content = b"" if body is None else json.dumps(body).encode()
    return needs_the_first(Request(method, path, "", Headers({"content-type": "application/json"}), content))


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v1/chat/completions", CHAT),
        ("POST", "/v1/chat/completions", {**CHAT, "store": False}),
        ("POST", "/chat/completions", CHAT),
        ("POST", "/openai/deployments/chat/chat/completions", CHAT),
        ("POST", "/v2/models/chat/infer/chat/completions", CHAT),
        ("POST", "/v2/models/chat/versions/1/infer_stream/embeddings", {"model": "chat", "input": "a"}),
        ("POST", "/v2/models/chat/infer", {"inputs": []}),
        ("GET", "/v2/models/chat/ready", None),
        ("GET", "/v1/models", None),
        ("GET", "/v1/models/chat", None),
        ("OPTIONS", "/v1/files", None),
        ("POST", "/v1/embeddings", {"model": "chat", "input": "a"}),
        ("POST", "/v1/completions", {"model": "chat", "prompt": "a"}),
        ("POST", "/v1/responses", {"model": "chat", "input": "a", "store": False}),
        ("POST", "/v1/images/generations", {"model": "chat", "prompt": "a", "response_format": "b64_json"}),
    ],
)
def test_what_any_process_answers(method: str, path: str, body: Any) -> None:
    assert not asked(method, path, body)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v1/chat/completions", {**CHAT, "store": True}),
        ("GET", "/v1/chat/completions", None),
        ("POST", "/v1/responses", {"model": "chat", "input": "a"}),
        ("POST", "/v1/responses", {"model": "chat", "input": "a", "store": False, "previous_response_id": "r"}),
        ("POST", "/v1/responses", {"model": "chat", "input": "a", "store": False, "conversation": "c"}),
        ("POST", "/v2/models/chat/infer/responses", {"model": "chat", "input": "a"}),
        ("GET", "/v2/models/chat/infer/files", None),
        ("POST", "/v1/images/generations", {"model": "chat", "prompt": "a"}),
        ("GET", "/blobs/blob_1.png", None),
        ("GET", "/v1/files", None),
        ("POST", "/v1/batches", {}),
        ("POST", "/v1/vector_stores", {}),
        ("DELETE", "/v1/files/file-1", None),
        ("POST", "/v1/what/nobody/knows", {}),
    ],
)
def test_what_the_first_answers(method: str, path: str, body: Any) -> None:
    assert asked(method, path, body)


def test_what_cannot_be_looked_at_is_left_to_the_first() -> None:
    body = spooled(iter([b" " * 2_000_000]), 3_000_000)
    request = Request("POST", "/v1/chat/completions", "", Headers(), body)
    assert needs_the_first(request)
