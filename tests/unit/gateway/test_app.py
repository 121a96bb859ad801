"""The gateway as a whole: what it is made of, what it is told anew, whether it is healthy."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest

from antiphon import APIStatusError, BadRequestError, Gateway, NotFoundError
from antiphon.gateway import ConfigError, GatewayConfig, KeyConfig, ModelConfig
from antiphon.gateway.keys import hashed, new_key
from antiphon.hosting.run import serve_in_background
from antiphon.kernel.flow import arun, run
from antiphon.kernel.http import Request, Response, json_response
from tests.unit.gateway.repeating import Repeating

HELLO: Any = [{"role": "user", "content": "hello there"}]


def page(gateway: Gateway, path: str) -> tuple[int, Any]:
    answer: Any = gateway(Request("GET", path))
    whole: Response = answer if isinstance(answer, Response) else run(answer, gateway.world)
    return whole.status, json.loads(whole.content)


def said(gateway: Gateway, model: str) -> str | None:
    answer = gateway.client().chat.completions.create(model=model, messages=HELLO)
    return answer.choices[0].message.content


def test_it_is_made_of_a_file_a_mapping_or_values(tmp_path: Path) -> None:
    with serve_in_background(Repeating("chat", "other")) as upstream:
        file = tmp_path / "gateway.toml"
        file.write_text(f'organization = "org-mine"\n[models.chat]\nurl = "{upstream.url}"\n')
        for config in (
            file,
            str(file),
            {"models": {"chat": upstream.url}},
            GatewayConfig({"chat": ModelConfig("chat", (upstream.url,))}),
        ):
            with Gateway(config, models={"mine": ModelConfig("mine", (upstream.url,), model="other")}) as gateway:
                assert [each.id for each in gateway.client().models.list()] == ["chat", "mine"]
                assert said(gateway, "chat") == said(gateway, "mine") == "hello there"
                assert repr(gateway) == "<Gateway to chat, mine>"
            assert repr(gateway) == "<Gateway to chat, mine, closed>"
            gateway.close()
        assert Gateway(file).server.organization == "org-mine"
    assert repr(Gateway()) == "<Gateway to no models>"
    with pytest.raises(ConfigError, match=r"models\.chat\.que"):
        Gateway({"models": {"chat": {"url": "http://x", "que": 1}}})
    with pytest.raises(FileNotFoundError):
        Gateway(tmp_path / "none.toml")


async def test_every_way_to_it() -> None:
    with serve_in_background(Repeating()) as upstream:
        gateway = Gateway(models={"chat": upstream.url})
        answer = await gateway.async_client().chat.completions.create(model="chat", messages=HELLO)
        assert answer.choices[0].message.content == "hello there"
        transports: list[Any] = [gateway.official_transport(), httpx2.ASGITransport(gateway.asgi())]
        for transport in transports:
            http_client = httpx2.AsyncClient(transport=transport)
            client = openai.AsyncOpenAI(api_key="x", base_url="http://gateway.test/v1", http_client=http_client)
            stream = await client.chat.completions.create(model="chat", messages=HELLO, stream=True)
            assert "".join([c.choices[0].delta.content or "" async for c in stream]) == "hello there "
        async with gateway.start(port=0) as running:
            client = openai.AsyncOpenAI(api_key="x", base_url=running.base_url)
            assert (await client.responses.create(model="chat", input="a b")).output_text == "a b"
            await client.close()


def test_it_is_told_something_else_and_keeps_what_it_has() -> None:
    first, second = Repeating("chat", "old"), Repeating("chat", "new")
    with serve_in_background(first) as one, serve_in_background(second) as two:
        before = {"models": {"chat": one.url, "old": one.url}}
        gateway = Gateway(before)
        client = gateway.client(max_retries=0)
        file = client.files.create(file=("a.txt", b"a"), purpose="user_data")
        kept = gateway.backends["chat"]
        stream = client.chat.completions.create(
            model="old", messages=[{"role": "user", "content": "a /slow 0.3 b c"}], stream=True
        )
        pieces = iter(stream)
        text = next(pieces).choices[0].delta.content or ""
        gateway.reload({"models": {"chat": one.url, "new": two.url}})
        text += "".join(chunk.choices[0].delta.content or "" for chunk in pieces)
        assert text == "a /slow 0.3 b c "
        assert [each.id for each in client.models.list()] == ["chat", "new"]
        assert client.files.content(file.id).read() == b"a"
        assert said(gateway, "new") == "hello there"
        assert gateway.backends["chat"] is kept
        with pytest.raises(Exception, match="`old` does not exist"):
            said(gateway, "old")
        with pytest.raises(ConfigError):
            gateway.reload({"models": {"chat": {"convention": "none"}}})
        assert [each.id for each in client.models.list()] == ["chat", "new"]
        with pytest.raises(ValueError, match="hexadecimal"):
            gateway.reload(GatewayConfig({"other": ModelConfig("other", (two.url,))}, (KeyConfig("a", "a"),)))
        assert [each.id for each in client.models.list()] == ["chat", "new"]
        key = new_key()
        gateway.reload(GatewayConfig({"chat": ModelConfig("chat", (two.url,))}, (KeyConfig("a", hashed(key)),)))
        with pytest.raises(Exception, match="is not known here"):
            said(gateway, "chat")
        asked = len(second.asked)
        gateway.client(api_key=key).chat.completions.create(model="chat", messages=HELLO)
        assert len(second.asked) > asked


def test_requests_from_many_threads_while_it_is_told_something_else() -> None:
    with serve_in_background(Repeating("chat", "a", "b")) as upstream:
        gateway = Gateway({"models": {"chat": upstream.url}})
        failures: list[BaseException] = []
        stop = threading.Event()

        def ask() -> None:
            client = gateway.client(max_retries=0)
            while not stop.is_set():
                try:
                    client.chat.completions.create(model="chat", messages=HELLO)
                except BaseException as error:
                    failures.append(error)

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for each in threads:
            each.start()
        for number in range(20):
            gateway.reload(
                {"models": {"chat": {"url": upstream.url, "queue": 100 + number}, "ab"[number % 2]: upstream.url}}
            )
        stop.set()
        for each in threads:
            each.join()
        assert failures == []


def test_health() -> None:
    upstream = Repeating("chat", "other")
    with serve_in_background(upstream) as running:
        models = {name: ModelConfig(name, (running.url,)) for name in ("chat", "other")}
        gateway = Gateway(GatewayConfig(models))
        for path in ("/health/live", "/healthz"):
            assert page(gateway, path) == (200, {"status": "live"})
        for path in ("/health/ready", "/readyz"):
            assert page(gateway, path) == (200, {"status": "ready", "models": {"chat": True, "other": True}})
        assert run_async(gateway, "/readyz").status == 200
        upstream.away.add("other")
        assert page(gateway, "/readyz") == (503, {"status": "not ready", "models": {"chat": True, "other": False}})
        anyone = Gateway(GatewayConfig(models, (KeyConfig("a", hashed("a")),), ready="any"))
        assert page(anyone, "/readyz") == (200, {"status": "ready"})  # names are for those with a key
        upstream.away.add("chat")
        assert page(anyone, "/readyz") == (503, {"status": "not ready"})
        upstream.away.clear()
        anyone.close()
        assert page(anyone, "/readyz")[0] == 503
    assert page(gateway, "/readyz")[0] == 503
    assert page(gateway, "/healthz")[0] == 200


def run_async(gateway: Gateway, path: str) -> Response:
    answer: Any = gateway(Request("GET", path))
    return asyncio.run(arun(answer, gateway.world))


def test_models_are_found_in_repositories(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = Repeating("chat", "own", "shared", away=("shared",)), Repeating("chat", "more")
    with serve_in_background(first) as one, serve_in_background(second) as two:
        config = {
            "discover": [one.url, two.url],
            "models": {"*": {"queue": 7}, "own": {"url": two.url, "model": "more"}},
        }
        gateway = Gateway(config)
        client = gateway.client(max_retries=0)
        assert [each.id for each in client.models.list()] == ["own", "chat", "more"]
        assert gateway.backends["chat"].config == ModelConfig("chat", (one.url, two.url), queue=7)
        assert said(gateway, "chat") == said(gateway, "own") == "hello there"
        first.away.clear()
        second.models.remove("more")
        second.models.append("new")
        asked = len(first.asked)
        with pytest.raises(Exception, match="does not exist"):
            said(gateway, "new")  # it is not looked again so soon
        assert len(first.asked) == asked
        gateway.discovery._due = 0.0
        assert said(gateway, "new") == "hello there"
        assert [each.id for each in client.models.list()] == ["own", "chat", "shared", "new"]
        gateway.reload({"discover": [one.url, two.url], "models": {"other": one.url}})
        assert [each.id for each in client.models.list()] == ["other", "chat", "own", "shared", "new"]
    gateway.discovery._due = 0.0  # nobody answers any more: what there was, stays
    assert [each.id for each in client.models.list()] == ["other", "chat", "own", "shared", "new"]
    with serve_in_background(Repeating("chat")) as three:
        fresh = Gateway({"discover": [three.url], "protocol": True})
        seldon = fresh.client(base_url="http://gateway.test/v2/models/chat/infer")
        answer = seldon.chat.completions.create(model="chat", messages=HELLO)
        assert answer.choices[0].message.content == "hello there"
        fresh = Gateway({"discover": [three.url], "protocol": True})
        ready = fresh(Request("GET", "/v2/models/chat/ready"))
        assert run(ready, fresh.world).status == 200  # type: ignore[arg-type]
    lost = Gateway({"discover": [one.url]})
    assert [each.id for each in lost.client().models.list()] == []


class Repository:
    """A transport to servers that all have the models `x` and `y`; `meanwhile` is done before they say so."""

    def __init__(self, meanwhile: Callable[[], object]) -> None:
        self.meanwhile = [meanwhile]
        self.away = False

    def send(self, request: Request, timeout: Any, stream: bool) -> Response:
        if self.away:
            return json_response(503, {"error": "away"})
        if request.path != "/v2/repository/index":
            return json_response(200, {"name": "s", "version": "1", "extensions": []})
        if self.meanwhile:
            self.meanwhile.pop()()
        return json_response(200, [{"name": name, "state": "READY"} for name in "xy"])


def test_what_was_looked_for_before_a_reload_is_not_served_after_it() -> None:
    own = ModelConfig("x", ("http://own.test",))
    server = Repository(lambda: gateway.reload(GatewayConfig({"x": own})))
    gateway = Gateway({"discover": ["http://servers.test"]}, transport=server)
    assert [each.id for each in gateway.client().models.list()] == ["x"]
    assert gateway.backends["x"].config == own


def test_what_was_found_is_kept_however_often_a_gateway_is_told_the_same() -> None:
    server = Repository(lambda: None)
    gateway = Gateway({"discover": ["http://servers.test"]}, transport=server)
    assert [each.id for each in gateway.client().models.list()] == ["x", "y"]
    server.away = True
    for _ in range(3):
        gateway.reload({"discover": ["http://servers.test"]})
    assert [each.id for each in gateway.client().models.list()] == ["x", "y"]
    gateway.reload({"discover": ["http://others.test"]})
    assert [each.id for each in gateway.client().models.list()] == []


def test_answers_tell_limits_only_where_there_are_some() -> None:
    key = new_key()
    model = ModelConfig("chat", ("http://127.0.0.1:9",), backend="openai")
    open_to_all = Gateway(GatewayConfig({"chat": model})).client().models.with_raw_response.list()
    assert not [name for name in open_to_all.headers if "ratelimit" in name]
    config = GatewayConfig({"chat": model}, keys=(KeyConfig("a", hashed(key), requests_per_minute=2),))
    with pytest.raises(APIStatusError) as caught:
        Gateway(config).client(api_key=key, max_retries=0).chat.completions.create(model="chat", messages=HELLO)
    headers = caught.value.response.headers
    assert headers["x-ratelimit-remaining-requests"] == "1"
    assert "x-ratelimit-limit-tokens" not in headers


def test_what_a_model_does_not_do_is_told() -> None:
    gateway = Gateway(
        {"models": {"chat": {"url": "http://x/v1", "backend": "openai", "kinds": ["chat"]}, "any": {"url": "http://x"}}}
    )
    client = gateway.client(max_retries=0)
    with pytest.raises(BadRequestError, match="The model `chat` does not do embeddings: it does chat") as caught:
        client.embeddings.create(model="chat", input="x")
    assert caught.value.code == "model_not_supported"
    with pytest.raises(BadRequestError, match="The model `any` does not do speech"):
        client.audio.speech.create(model="any", input="x", voice="alloy")
    with pytest.raises(NotFoundError, match="does not exist"):
        client.embeddings.create(model="none", input="x")


@pytest.mark.filterwarnings("ignore:videos:DeprecationWarning")
def test_videos_are_refused_before_they_are_queued() -> None:
    gateway = Gateway(
        {"models": {"chat": {"url": "http://x/v1", "backend": "openai", "kinds": ["chat"]}, "any": {"url": "http://x"}}}
    )
    client = gateway.client(max_retries=0)
    for name, words in (
        ("chat", "The model `chat` does not do videos: it does chat"),
        ("any", "`any` does not do vid"),
    ):
        with pytest.raises(BadRequestError, match=words) as caught:
            client.videos.create(model=name, prompt="x")
        assert (caught.value.code, caught.value.param) == ("model_not_supported", "model")
    for ask in (
        lambda: client.videos.create(model="none", prompt="x"),
        lambda: client.videos.create(prompt="x"),  # sora-2, which is none of this gateway's
        lambda: client.videos.edit(prompt="x", video=("a.mp4", b"film", "video/mp4")),
        lambda: client.videos.extend(prompt="x", seconds="4", video=("a.mp4", b"film", "video/mp4")),
    ):
        with pytest.raises(NotFoundError, match="does not exist or you do not have access") as missing:
            ask()
        assert missing.value.code == "model_not_found"
    with pytest.raises(NotFoundError, match="Video with id 'video_none' not found"):
        client.videos.remix("video_none", prompt="x")
    assert list(client.videos.list()) == []


@pytest.mark.filterwarnings("ignore:videos:DeprecationWarning")
def test_a_video_kept_from_before_is_not_changed_by_a_model_that_films_nothing() -> None:
    gateway = Gateway({"models": {"any": {"url": "http://x"}}})
    gateway.server.store.put("videos", "video_old", {"id": "video_old", "object": "video", "model": "any"})
    client = gateway.client(max_retries=0)
    for ask in (
        lambda: client.videos.remix("video_old", prompt="x"),
        lambda: client.videos.edit(prompt="x", video={"id": "video_old"}),
        lambda: client.videos.extend(prompt="x", seconds="4", video={"id": "video_old"}),
    ):
        with pytest.raises(BadRequestError, match="The model `any` does not do videos") as caught:
            ask()
        assert caught.value.code == "model_not_supported"


def test_a_request_that_is_too_large_is_refused() -> None:
    with serve_in_background(Repeating()) as upstream:
        gateway = Gateway({"models": {"chat": upstream.url}, "max_body": 2000})
        assert gateway.max_body == 2000
        with gateway.start(port=0) as running:
            client = openai.OpenAI(api_key="x", base_url=running.base_url, max_retries=0)
            long: Any = [{"role": "user", "content": "x" * 3000}]
            with pytest.raises(openai.APIStatusError) as caught:
                client.chat.completions.create(model="chat", messages=long)
            assert (caught.value.status_code, caught.value.code) == (413, "content_too_large")
            assert client.chat.completions.create(model="chat", messages=HELLO).choices


async def test_a_gateway_that_is_closed_holds_no_connections() -> None:
    with serve_in_background(Repeating("chat")) as upstream:
        gateway = Gateway(models={"chat": upstream.url})
        answer = await gateway.async_client().chat.completions.create(model="chat", messages=HELLO)
        assert answer.choices[0].message.content == "hello there"
        connections = gateway._world.connections
        assert connections is not None
        kept = [each for origins in connections._idle.values() for idle in origins.values() for each in idle]
        assert kept
        gateway.close()
        assert all(each.transport.is_closing() for each in kept)
        assert not any(idle for origins in connections._idle.values() for idle in origins.values())
