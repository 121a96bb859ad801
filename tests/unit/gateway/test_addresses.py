"""Seldon's addresses, and those of the protocol, at the gateway."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

import httpx2
import openai
import pytest

from antiphon import Gateway
from antiphon.gateway import GatewayConfig, KeyConfig, ModelConfig
from antiphon.gateway.keys import hashed, new_key
from antiphon.hosting.run import serve_in_background
from antiphon.kernel.flow import run
from antiphon.kernel.http import Headers, Request, Response, json_response
from tests.unit.gateway.double import Double, tensor

ASKED: Any = [{"role": "user", "content": "hi"}]


def chatting() -> Double:
    outputs = [tensor("role", "assistant"), tensor("content", "Hello")]
    return Double(
        ["role BYTES [-1]", "content BYTES [-1]"],
        [],
        lambda asked, stream: [outputs, [tensor("role", "assistant"), tensor("content", "!")]] if stream else outputs,
        platform="",
    )


@contextmanager
def served(upstream: Any, *names: str, **options: Any) -> Generator[str]:
    with serve_in_background(upstream) as server:
        models = {name: ModelConfig(name, (server.url,), **options) for name in names}
        gateway = Gateway(GatewayConfig(models=models, protocol=True))
        with gateway, gateway.start(port=0, host="127.0.0.1") as running:
            yield running.url


CLIENTS: list[openai.OpenAI] = []


def client(url: str) -> openai.OpenAI:
    CLIENTS.append(openai.OpenAI(base_url=url, api_key="none", max_retries=0))
    return CLIENTS[-1]


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    """Whoever asked lets go of their connections."""
    yield
    while CLIENTS:
        CLIENTS.pop().close()


@pytest.mark.parametrize("name", ["chatgpt", "my_model", "gpt-4.1", "a.b_c-d_2", "org/model v2", "infer"])
@pytest.mark.parametrize("end", ["infer", "infer_stream"])
def test_any_name_works(name: str, end: str) -> None:
    with served(chatting(), name) as url:
        path = quote(name, safe="")
        asked = client(f"{url}/v2/models/{path}/{end}").chat.completions
        assert asked.create(model=name, messages=ASKED).choices[0].message.content == "Hello"
        chunks = list(asked.create(model=name, messages=ASKED, stream=True))  # the body decides, not the address
        assert "".join(each.choices[0].delta.content or "" for each in chunks) == "Hello!"


def test_the_model_has_to_be_that_of_the_address() -> None:
    with served(chatting(), "chatgpt", "other") as url:
        with pytest.raises(openai.BadRequestError, match="'other' is not loaded at the endpoint") as caught:
            client(f"{url}/v2/models/chatgpt/infer").chat.completions.create(model="other", messages=ASKED)
        assert caught.value.code == "model_not_found"
        assert caught.value.param == "model"
        # Seldon gives each model's address the number of its version.
        numbered = client(f"{url}/v2/models/chatgpt_3/infer").chat.completions
        assert numbered.create(model="chatgpt", messages=ASKED).choices[0].message.content == "Hello"
        for wrong in ("chatgpt_x", "chatgp", "chatgpt_1_2"):
            with pytest.raises(openai.BadRequestError):
                client(f"{url}/v2/models/{wrong}/infer").chat.completions.create(model="chatgpt", messages=ASKED)
        answer = httpx2.post(f"{url}/v2/models/chatgpt/infer/chat/completions", json={"messages": ASKED})
        assert answer.status_code == 400
        assert "does not name the model" in answer.json()["error"]["message"]
        broken = {"content-type": "application/json"}
        answer = httpx2.post(f"{url}/v2/models/chatgpt/infer/chat/completions", content=b"{nope", headers=broken)
        assert answer.status_code == 400
        assert answer.json()["error"]["type"] == "invalid_request_error"


def test_versions_are_asked() -> None:
    double = chatting()
    with served(double, "chatgpt") as url:
        asked = client(f"{url}/v2/models/chatgpt/versions/7/infer")
        whole = asked.chat.completions.create(model="chatgpt", messages=ASKED)
        assert whole.model == "chatgpt"
        assert double.paths == ["/v2/models/chatgpt/versions/7/infer"]
        assert "model_version" not in json.dumps(double.bodies)
        client(f"{url}/v1").chat.completions.create(model="chatgpt", messages=ASKED, extra_body={"model_version": "8"})
        assert double.paths[-1] == "/v2/models/chatgpt/versions/8/infer"


@pytest.mark.parametrize(
    "version", ["..", ".", "../../other", "..\\x", "1/2", "a?b", "1\r\nx: y", "", "x" * 200, {}, [1], True]
)
def test_a_version_leads_to_no_other_place(version: Any) -> None:
    upstream = chatting()
    with serve_in_background(upstream) as server:
        gateway = Gateway(GatewayConfig(models={"chatgpt": ModelConfig("chatgpt", (server.url,))}, protocol=True))
        asked: list[tuple[str, dict[str, Any]]] = [
            ("/v1/chat/completions", {"model": "chatgpt", "messages": ASKED, "model_version": version}),
            ("/v1/responses", {"model": "chatgpt", "input": "x", "model_version": version}),
        ]
        if isinstance(version, str) and version:
            at = f"/v2/models/chatgpt/versions/{quote(version, safe='')}/infer"
            asked.append((f"{at}/chat/completions", {"model": "chatgpt", "messages": ASKED}))
            asked.append((at, {"inputs": []}))
            asked.append((at.replace(".", "%2e"), {"inputs": []}))
        headers = Headers({"authorization": "Bearer x", "content-type": "application/json"})
        for path, body in asked:
            request = Request("POST", path, "", headers, json.dumps(body).encode())
            answer: Any = gateway(request)
            answer = answer if isinstance(answer, Response) else run(answer, gateway.world)
            assert answer.status == 400, path
            assert answer.json()["error"]["param"] == "model_version"
    assert upstream.paths == []


def test_pipelines() -> None:
    double = chatting()
    with served(double, "talk", pipeline=True) as url:
        asked = client(f"{url}/v2/pipelines/talk/infer").chat.completions
        assert asked.create(model="talk", messages=ASKED).choices[0].message.content == "Hello"
        chunks = list(asked.create(model="talk", messages=ASKED, stream=True))
        assert "".join(each.choices[0].delta.content or "" for each in chunks) == "Hello"
        assert double.paths == ["/v2/pipelines/talk/infer"] * 2


def test_the_whole_api_is_under_a_models_address() -> None:
    with served(chatting(), "chatgpt") as url:
        asked = client(f"{url}/v2/models/chatgpt/infer")
        assert asked.completions.create(model="chatgpt", prompt="x").choices[0].text == "Hello"
        assert asked.responses.create(model="chatgpt", input="x").output_text == "Hello"
        assert [each.id for each in asked.models.list()] == ["chatgpt"]
        with pytest.raises(openai.NotFoundError):
            asked.get("/nothing/here", cast_to=object)


# The protocol


class Upstream:
    """A server of the protocol, for requests that are passed on."""

    def __init__(self) -> None:
        self.asked: list[Request] = []

    def __call__(self, request: Request) -> Response:
        self.asked.append(request)
        if request.path.endswith("/generate_stream"):
            events = Headers({"content-type": "text/event-stream"})
            return Response(200, events, iter([b"data: 1\n\n", b"data: 2\n\n"]))
        if request.path.endswith("/infer"):
            headers = Headers({"content-type": "application/octet-stream", "inference-header-content-length": "2"})
            return Response(200, headers, b"{}" + request.content()[::-1])
        return json_response(404 if "lost" in request.path else 200, {"path": request.path})


def test_the_protocol_is_passed_on_as_it_is() -> None:
    upstream = Upstream()
    with served(upstream, "chatgpt", model="inner name", headers={"x-secret": "s"}) as url:
        binary = bytes(range(256))
        headers = {
            "content-type": "application/octet-stream",
            "inference-header-content-length": "7",
            "authorization": "Bearer mine",
            "x-other": "1",
        }
        answer = httpx2.post(f"{url}/v2/models/chatgpt/infer", content=binary, headers=headers)
        assert answer.content == b"{}" + binary[::-1]
        assert answer.headers["inference-header-content-length"] == "2"
        sent = upstream.asked[-1]
        assert sent.path == "/v2/models/inner%20name/infer"
        assert sent.headers["inference-header-content-length"] == "7"
        assert sent.headers["x-secret"] == "s"
        assert "authorization" not in sent.headers
        assert "x-other" not in sent.headers
        with httpx2.stream("POST", f"{url}/v2/models/chatgpt/generate_stream", json={}) as stream:
            assert b"".join(stream.iter_bytes()) == b"data: 1\n\ndata: 2\n\n"
        told = httpx2.get(f"{url}/v2/models/chatgpt/versions/3/ready").json()
        assert told == {"path": "/v2/models/inner%20name/versions/3/ready"}
        assert httpx2.get(f"{url}/v2/models/chatgpt").json() == {"path": "/v2/models/inner%20name"}
        assert httpx2.get(f"{url}/v2/models/chatgpt/config?x=1").status_code == 200
        assert upstream.asked[-1].query == "x=1"


def test_what_is_not_passed_on_is_told() -> None:
    upstream = Upstream()
    with served(upstream, "chatgpt") as url:
        for method, path, status, code in [
            ("POST", "/v2/models/other/infer", 404, "model_not_found"),
            ("GET", "/v2/models/chatgpt/infer", 405, "method_not_supported"),
            ("POST", "/v2/anything", 404, "unknown_url"),
            ("POST", "/v2/repository/models/chatgpt/unload", 404, "unknown_url"),
        ]:
            answer = httpx2.request(method, url + path)
            assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
        assert upstream.asked == []
        assert httpx2.get(f"{url}/v2").json()["name"] == "antiphon"
        assert httpx2.get(f"{url}/v2/health/live").json() == {"live": True}
        assert httpx2.get(f"{url}/v2/health/ready").json() == {"ready": True}
        assert httpx2.get(f"{url}/v2/models").json() == {"models": ["chatgpt"]}
        index = httpx2.post(f"{url}/v2/repository/index", json={}).json()
        assert index == [{"name": "chatgpt", "version": "", "state": "READY", "reason": ""}]


def test_a_server_that_is_gone_is_told() -> None:
    with serve_in_background(Upstream()) as gone:
        url = gone.url
    gateway = Gateway(GatewayConfig(models={"m": ModelConfig("m", (url,))}, protocol=True))
    answer = httpx2.Client(transport=gateway.official_transport()).post(
        "http://gateway.test/v2/models/m/infer", json={}
    )
    assert answer.status_code == 503
    assert "cannot be reached" in answer.json()["error"]["message"]


def test_without_being_told_nothing_is_passed_on() -> None:
    gateway = Gateway(models={"m": "http://127.0.0.1:1"})
    with httpx2.Client(transport=gateway.official_transport()) as http:
        answer = http.post("http://gateway.test/v2/models/m/infer", json={})
        assert answer.status_code == 404
        assert "protocol = true" in answer.json()["error"]["message"]


def test_models_of_repositories_are_listed_and_asked() -> None:
    double = chatting()

    def repository(request: Request) -> Response:
        if request.path == "/v2/repository/index":
            return json_response(200, [{"name": "found", "state": "READY"}, {"name": "off", "state": "UNAVAILABLE"}])
        return double(request)

    with serve_in_background(repository) as server:
        config = GatewayConfig(models={"own": ModelConfig("own", (server.url,))}, discover=(server.url,))
        asked = Gateway(config).client()
        assert sorted(each.id for each in asked.models.list()) == ["found", "own"]
        assert asked.chat.completions.create(model="found", messages=ASKED).choices[0].message.content == "Hello"


def test_large_bodies_are_read_where_the_address_names_a_model() -> None:
    """Above 1 MiB a body is no bytes, but comes in pieces."""
    double = chatting()
    with served(double, "chatgpt") as url:
        asked = client(f"{url}/v2/models/chatgpt/infer").chat.completions
        large: Any = [{"role": "user", "content": "x" * 2_000_000}]
        assert asked.create(model="chatgpt", messages=large).choices[0].message.content == "Hello"
        assert len(double.asked["content"]) == 2_000_000
        with pytest.raises(openai.BadRequestError, match="not loaded at the endpoint"):
            asked.create(model="other", messages=large)


def test_keys_are_for_these_addresses_as_well() -> None:
    upstream = Upstream()
    key = new_key()
    with serve_in_background(upstream) as server:
        models = {name: ModelConfig(name, (server.url,), convention="seldon-chat") for name in ("mine", "theirs")}
        config = GatewayConfig(models=models, protocol=True, keys=(KeyConfig("a", hashed(key), ("mine",)),))
        with httpx2.Client(transport=Gateway(config).official_transport(), base_url="http://gateway.test") as http:
            own = {"authorization": f"Bearer {key}"}
            body = {"model": "theirs", "messages": ASKED}
            for path, given in (
                ("/v2/models/theirs/infer", {}),
                ("/v2/models/theirs/infer/chat/completions", body),
                ("/v2/models/theirs/versions/1/infer", {}),
            ):
                assert http.post(path, json=given).status_code == 401
                assert http.post(path, json=given, headers=own).status_code == 403
            assert upstream.asked == []
            assert http.post("/v2/models/mine/infer", json={}, headers=own).status_code == 200
