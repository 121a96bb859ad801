"""Who may ask a gateway: keys for some models, and for so much a minute."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import replace
from types import GeneratorType
from typing import Any

import httpx2
import openai
import pytest

from antiphon.gateway import Gateway, GatewayConfig, KeyConfig, ModelConfig, keys
from antiphon.gateway.keys import LocalBuckets, guarded, hashed, is_loopback, new_key
from antiphon.gateway.sharing import SharedBuckets
from antiphon.hosting.run import serve_in_background
from antiphon.kernel.errors import RateLimitError
from antiphon.kernel.flow import run
from antiphon.kernel.http import Headers, Request
from antiphon.server.limits import RateLimit, Wanted
from tests.unit.gateway.repeating import Repeating

ALL, SOME = new_key(), new_key()
HELLO: Any = [{"role": "user", "content": "hello"}]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serve_in_background(Repeating("chat", "chat-2", "secret")) as running:
        yield running.url


def gateway(url: str, *keys: KeyConfig, **settings: Any) -> Gateway:
    models = {name: ModelConfig(name, (url,)) for name in ("chat", "chat-2", "secret")}
    given = keys or (KeyConfig("all", hashed(ALL)), KeyConfig("some", hashed(SOME), ("chat", "chat-2")))
    return Gateway(GatewayConfig(models, given, **settings))


def official(gateway: Gateway, key: str) -> openai.OpenAI:
    client = httpx2.Client(transport=gateway.official_transport())
    return openai.OpenAI(api_key=key, base_url="http://gateway.test/v1", http_client=client, max_retries=0)


def test_only_known_keys_are_let_in(url: str) -> None:
    made = gateway(url)
    answer = official(made, ALL).chat.completions.create(model="secret", messages=HELLO)
    assert answer.choices[0].message.content == "hello"
    wrong = new_key()
    with pytest.raises(openai.AuthenticationError) as caught:
        official(made, wrong).chat.completions.create(model="chat", messages=HELLO)
    assert caught.value.code == "invalid_api_key"
    assert caught.value.request_id
    assert wrong not in str(caught.value)
    assert f"sk-***{wrong[-4:]}" in str(caught.value)
    nothing: Any = made(Request("GET", "/v1/models"))
    assert nothing.status == 401
    assert "Authorization: Bearer" in json.loads(nothing.content)["error"]["message"]
    basic = base64.b64encode(f":{ALL}".encode()).decode()
    for headers in ({"api-key": ALL}, {"authorization": f"Basic {basic}"}, {"authorization": f"bearer {ALL}"}):
        assert made(Request("GET", "/v1/models", "", Headers(headers))).status == 200  # type: ignore[union-attr]
    for headers in ({"api-key": "x"}, {"authorization": "Basic ?"}, {"authorization": f"Digest {ALL}"}):
        assert made(Request("GET", "/v1/models", "", Headers(headers))).status == 401  # type: ignore[union-attr]
    assert made(Request("OPTIONS", "/v1/models", "", Headers({"origin": "http://x"}))).status < 300  # type: ignore[union-attr]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_key_for_some_models(url: str) -> None:
    made = gateway(url)
    client = official(made, SOME)
    assert [each.id for each in client.models.list()] == ["chat", "chat-2"]
    assert [each.id for each in official(made, ALL).models.list()] == ["chat", "chat-2", "secret"]
    assert client.chat.completions.create(model="chat-2", messages=HELLO).choices[0].message.content == "hello"
    denied = [
        lambda: client.chat.completions.create(model="secret", messages=HELLO),
        lambda: client.chat.completions.create(model="secret", messages=HELLO, stream=True),
        lambda: client.embeddings.create(model="secret", input="x"),
        lambda: client.responses.create(model="secret", input="x"),
        lambda: client.models.retrieve("secret"),
        lambda: client.audio.transcriptions.create(model="secret", file=("a.wav", b"x")),
        lambda: client.beta.assistants.create(model="secret"),
        lambda: client.post("/chat/completions", cast_to=object, body={"model": "secret", "messages": HELLO}),
    ]
    for ask in denied:
        with pytest.raises(
            openai.PermissionDeniedError, match="The key `some` may not ask the model `secret`"
        ) as caught:
            ask()
        assert caught.value.code == "model_not_found"
    deployment = "/openai/deployments/secret/chat/completions"
    body = json.dumps({"model": "chat", "messages": HELLO}).encode()
    for path in (deployment, "/v2/models/secret/infer", "/v2/pipelines/chat/x/infer", "/v2/repository/index"):
        answer: Any = made(Request("POST", path, "", Headers({"api-key": SOME}), body))
        assert answer.status == 403, path


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_model_is_not_reached_through_what_others_kept(url: str) -> None:
    made = gateway(url)
    client, other = official(made, SOME), official(made, ALL)
    assistant = other.beta.assistants.create(model="secret")
    thread = client.beta.threads.create()
    with pytest.raises(openai.PermissionDeniedError):
        client.beta.threads.runs.create(thread.id, assistant_id=assistant.id)
    run = client.beta.threads.runs.create(thread.id, assistant_id=assistant.id, model="chat")
    assert run.model == "chat"
    line = {"custom_id": "1", "method": "POST", "url": "/v1/chat/completions"}
    for model in ("chat", "secret"):
        lines = json.dumps({**line, "body": {"model": model, "messages": HELLO}}).encode() + b"\n"
        file = client.files.create(file=("lines.jsonl", lines), purpose="batch")

        def create(id: str = file.id) -> Any:
            return client.batches.create(input_file_id=id, endpoint="/v1/chat/completions", completion_window="24h")

        if model == "chat":
            assert create().id
        else:
            with pytest.raises(openai.PermissionDeniedError):
                create()
    with pytest.raises(openai.PermissionDeniedError, match="may not do /fine_tuning/jobs"):
        client.fine_tuning.jobs.create(model="chat", training_file="file-1")


def test_so_much_a_minute(url: str) -> None:
    key = KeyConfig("alice", hashed(ALL), requests_per_minute=2, tokens_per_minute=1000)
    made = gateway(url, key)
    client = official(made, ALL)
    raw = client.chat.completions.with_raw_response.create(model="chat", messages=HELLO)
    assert raw.headers["x-ratelimit-limit-requests"] == "2"
    assert raw.headers["x-ratelimit-remaining-requests"] == "1"
    assert raw.headers["x-ratelimit-remaining-tokens"] == "998"
    stream = client.chat.completions.create(model="chat-2", messages=HELLO, stream=True)
    assert "".join(c.choices[0].delta.content or "" for c in stream) == "hello "
    with pytest.raises(openai.RateLimitError) as caught:
        client.chat.completions.create(model="chat", messages=HELLO)
    assert "alice" in str(caught.value)
    assert 25 < int(caught.value.response.headers["retry-after"]) <= 30
    assert [each.id for each in client.models.list()]  # no model is asked
    made.reload(replace(made.config, organization="org-new"))
    with pytest.raises(openai.RateLimitError):  # what was asked is not forgotten
        client.chat.completions.create(model="chat", messages=HELLO)
    large = gateway(url, key)
    with pytest.raises(openai.RateLimitError, match="Request too large") as caught:
        official(large, ALL).chat.completions.create(model="chat", messages=HELLO, max_tokens=2000)
    assert caught.value.response.headers["x-should-retry"] == "false"


@pytest.mark.parametrize("make", [LocalBuckets, SharedBuckets])
def test_buckets_keep_keys_apart_and_fill_up(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr("antiphon.gateway.keys.monotonic", lambda: now[0])
    monkeypatch.setattr("antiphon.gateway.sharing.time.time", lambda: now[0])
    buckets = make()
    alice, bob = KeyConfig("alice", hashed("a")), KeyConfig("bob", hashed("b"))
    limit, asked = RateLimit(requests=2), Wanted("chat", 10)
    assert buckets.draw(alice, limit, asked) == {"requests": 1}
    assert buckets.draw(alice, limit, asked) == {"requests": 0}
    with pytest.raises(RateLimitError):
        buckets.draw(alice, limit, asked)
    assert buckets.draw(bob, RateLimit(tokens=100), asked) == {"tokens": 90}
    now[0] += 30
    assert buckets.draw(alice, limit, asked) == {"requests": 0}
    now[0] += 3600
    assert buckets.draw(alice, limit, asked) == {"requests": 1}
    assert buckets.draw(bob, RateLimit(requests=5, tokens=100), asked) == {"requests": 4, "tokens": 90}


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_shared_buckets_are_shared_by_processes() -> None:
    import os

    buckets = SharedBuckets(most=2)
    key, limit, asked = KeyConfig("alice", hashed("a")), RateLimit(requests=1000), Wanted("chat", 0)
    children = []
    for _ in range(3):
        pid = os.fork()
        if pid == 0:
            for _ in range(100):
                buckets.draw(key, limit, asked)
            os._exit(0)
        children.append(pid)
    assert all(os.waitpid(pid, 0)[1] == 0 for pid in children)
    assert 699 <= buckets.draw(key, limit, asked)["requests"] <= 705  # some come back meanwhile
    others = [KeyConfig(str(n), hashed(str(n))) for n in range(5)]
    for other in others:  # more than there is room for
        buckets.draw(other, limit, asked)


def test_open_gateways(url: str) -> None:
    nobody = Gateway(models={"chat": url})
    assert official(nobody, "anything").models.list().data
    named = gateway(url, open=True)
    assert len(official(named, "anything").models.list().data) == 3
    assert len(official(named, SOME).models.list().data) == 2
    assert nobody(Request("GET", "/v1/models")).status == 200  # type: ignore[union-attr]


def test_nobody_is_let_in_unknowingly(url: str) -> None:
    for host in ("127.0.0.1", "::1", "localhost", "127.3.2.1"):
        assert is_loopback(host)
        guarded(GatewayConfig(), host)
    key = KeyConfig("a", hashed("a"))
    for host in ("0.0.0.0", "::", "10.0.0.1", "example.com", ""):
        assert not is_loopback(host)
        with pytest.raises(ValueError, match="anybody who reaches this machine could ask"):
            guarded(GatewayConfig(), host)
        guarded(GatewayConfig(open=True), host)
        guarded(GatewayConfig(keys=(key,)), host)
    with pytest.raises(ValueError, match="open = true"):
        Gateway(models={"chat": url}).start(port=0, host="0.0.0.0")
    with pytest.raises(ValueError, match="hexadecimal"):
        Gateway(GatewayConfig(keys=(KeyConfig("a", "a"),)))


def test_names_of_keys_are_told_to_logs_and_keys_are_not(url: str) -> None:
    keys = gateway(url).keys
    assert keys.name_of(Headers({"authorization": f"Bearer {SOME}"})) == "some"
    assert keys.name_of(Headers({"authorization": "Bearer other"})) is None
    assert keys.name_of(Headers()) is None
    assert hashed("x") == "sha256:2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
    assert len(new_key()) > 40 and new_key() != new_key()


def test_websockets_need_a_key(url: str) -> None:
    made = gateway(url)
    refused: Any = made.dialogue(Request("GET", "/v1/responses", "", Headers({"authorization": "Bearer x"})))
    assert refused.status == 401
    opened = made.dialogue(Request("GET", "/v1/responses", "", Headers({"authorization": f"Bearer {ALL}"})))
    assert not hasattr(opened, "status")
    anybody = Gateway(models={"chat": url}).dialogue(Request("GET", "/v1/responses"))
    assert not hasattr(anybody, "status")


@pytest.mark.parametrize("backend", ["oip", "openai"])
def test_no_way_of_naming_a_model_is_overlooked(url: str, backend: str) -> None:
    kinds = frozenset({"transcriptions"}) if backend == "openai" else frozenset[str]()
    models = {name: ModelConfig(name, (f"{url}/v1",), backend=backend, kinds=kinds) for name in ("chat", "secret")}
    key = KeyConfig("some", hashed(SOME), ("chat",), requests_per_minute=5)
    made = Gateway(GatewayConfig(models, (key,)))

    def form(*names: str) -> bytes:
        fields = [f'--b\r\ncontent-disposition: form-data; name="model"\r\n\r\n{name}\r\n' for name in names]
        file = '--b\r\ncontent-disposition: form-data; name="file"; filename="a.wav"\r\n\r\nx\r\n--b--\r\n'
        return "".join([*fields, file]).encode()

    for names in (("secret", "chat"), ("chat", "secret"), ("secret",)):
        for kind in ("multipart/form-data; boundary=b", "Multipart/Form-Data; boundary=b"):
            headers = Headers({"api-key": SOME, "content-type": kind})
            answer: Any = made(Request("POST", "/v1/audio/transcriptions", "", headers, form(*names)))
            assert answer.status == 403, (names, kind)
    for kind in ("multipart/form-data; boundary=b", "Multipart/Form-Data; boundary=b"):
        headers = Headers({"api-key": SOME, "content-type": kind})
        for _ in range(6):
            answer = made(Request("POST", "/v1/audio/transcriptions", "", headers, form("chat")))
            answer = run(answer, made.world) if isinstance(answer, GeneratorType) else answer
        assert answer.status == 429, kind


def test_long_names_of_models_are_not_remembered(url: str) -> None:
    made = gateway(url)
    before = keys._known.cache_info().currsize
    for number in range(20):
        body = json.dumps({"model": f"secret{number}" + "x" * 100_000, "messages": HELLO}).encode()
        answer: Any = made(Request("POST", "/v1/chat/completions", "", Headers({"api-key": SOME}), body))
        assert answer.status == 403
    assert keys._known.cache_info().currsize == before
