"""What the processes of a gateway answer by themselves, and what they leave to the first."""

from __future__ import annotations

import json
import threading
from typing import Any

import httpx2
import pytest

from antiphon import Gateway, InternalServerError, NotFoundError, OpenAI
from antiphon.gateway.sharing import OfOthers, Others, needs_the_first
from antiphon.hosting.run import serve_in_background
from antiphon.kernel.flow import run
from antiphon.kernel.http import Headers, Request, Response, json_response
from antiphon.kernel.spool import spooled
from tests.unit.gateway.repeating import Repeating

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


def test_another_process_passes_on_as_if_it_had_come_to_the_first() -> None:
    upstream = Leaving()
    with serve_in_background(upstream) as running:
        first, other = (Gateway(models={"chat": running.url}) for _ in range(2))
        with serve_in_background(OfOthers(first), world=first.world) as home:
            others = Others(other, home.url)
            with serve_in_background(others, world=others.world) as served:
                client = OpenAI(api_key="x", base_url=served.base_url, max_retries=0)
                kept = client.responses.create(model="chat", input="a b")
                assert first.client().responses.retrieve(kept.id).output_text == "a b"
                with pytest.raises(NotFoundError):
                    other.client().responses.retrieve(kept.id)
                page = client.chat.completions.create(model="chat", messages=CHAT["messages"], store=True)
                assert client.chat.completions.retrieve(page.id).id == page.id
                with pytest.raises(NotFoundError, match="No such File") as caught:
                    client.files.retrieve("file-none")
                assert caught.value.request_id
                stream = client.responses.create(model="chat", input="a /slow 30 b", stream=True)
                for event in stream:
                    if event.type == "response.output_text.delta":
                        break
                stream.close()
                assert upstream.left.wait(10)
        with serve_in_background(others, world=others.world) as served:
            client = OpenAI(api_key="x", base_url=served.base_url, max_retries=0)
            with pytest.raises(InternalServerError, match="is being started anew") as failed:
                client.files.list()
            assert failed.value.status_code == 503


def test_links_begin_where_the_caller_is() -> None:
    seen: list[Request] = []

    def first(request: Request) -> Response:
        seen.append(request)
        return json_response(200, {"origin": request.origin})

    with serve_in_background(OfOthers(first)) as home:
        others = Others(Gateway(models={"chat": "http://x"}), home.url)
        asked = Request(
            "GET",
            "/v1/files",
            "limit=2",
            Headers({"host": "gateway.example", "a": "1", "x-antiphon-origin": "https://elsewhere.example"}),
            b"",
            "https://gateway.example",
        )
        answer: Any = run(others(asked), others.world)  # type: ignore[arg-type]
        assert json.loads(answer.content) == {"origin": "https://gateway.example"}
        assert (seen[0].query, seen[0].headers.get("a"), seen[0].headers.get("x-antiphon-origin")) == (
            "limit=2",
            "1",
            None,
        )
        direct = httpx2.get(f"{home.url}/v1/files").json()
        assert direct == {"origin": home.url}


class Leaving(Repeating):
    """Knows when a stream is left."""

    def __init__(self) -> None:
        super().__init__("chat")
        self.left = threading.Event()

    def __call__(self, request: Request) -> Response:
        answer = super().__call__(request)
        return answer if isinstance(answer.body, bytes) else answer._replace(body=self._watched(answer.body))

    def _watched(self, body: Any) -> Any:
        try:
            yield from body
        except GeneratorExit:
            self.left.set()
            raise
