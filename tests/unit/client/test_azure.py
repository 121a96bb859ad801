"""The API as Azure serves it: addresses, credentials and redirects, beside the official package."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import Callable
from typing import Any

import httpx2
import openai
import pytest

from antiphon import APIConnectionError, AsyncAzureOpenAI, AzureOpenAI, FakeOpenAI, OpenAIError, omit
from antiphon.kernel.http import Headers, Request, Response, json_response
from antiphon.transports.httpx2 import HandlerTransport

ENDPOINT = "https://res.openai.azure.com"
VERSION = "2024-10-21"


class Recorder:
    def __init__(self, *answers: Response) -> None:
        self.answers = list(answers)
        self.requests: list[Request] = []

    def __call__(self, request: Request) -> Response:
        self.requests.append(request)
        return self.answers.pop(0) if self.answers else json_response(200, {"id": "x", "data": [{"embedding": [1.0]}]})

    @property
    def last(self) -> Request:
        return self.requests[-1]


def _json(request: Request) -> Any:
    is_json = request.headers.get("content-type") == "application/json"
    return json.loads(request.content()) if is_json and request.content() else None


def done(outcome: Any) -> Any:
    async def awaited() -> Any:
        return await outcome

    return asyncio.run(awaited()) if hasattr(outcome, "__await__") else outcome


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AZURE_OPENAI_API_KEY", "AZURE_OPENAI_AD_TOKEN", "AZURE_OPENAI_ENDPOINT", "OPENAI_API_VERSION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-not-for-azure")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://not-for-azure/v1")


def trio(recorder: Any, **settings: Any) -> list[Any]:
    """Our two clients and the official one, over the same handler."""
    given = {"api_version": VERSION, "api_key": "az-key", "max_retries": 0, **settings}
    if "base_url" not in given:
        given = {"azure_endpoint": ENDPOINT, **given}
    official = openai.AzureOpenAI(**given, http_client=httpx2.Client(transport=HandlerTransport(recorder)))
    return [AzureOpenAI(**given, transport=recorder), AsyncAzureOpenAI(**given, transport=recorder), official]


CALLS: dict[str, Callable[[Any], Any]] = {
    "completions": lambda c: c.completions.create(model="m 1", prompt="x"),
    "chat": lambda c: c.chat.completions.create(model="m/é", messages=[]),
    "chat stored": lambda c: c.chat.completions.retrieve("chat_1"),
    "embeddings": lambda c: c.embeddings.create(model="m", input="x", encoding_format="float"),
    "transcriptions": lambda c: c.audio.transcriptions.create(model="m", file=b"x"),
    "translations": lambda c: c.audio.translations.create(model="m", file=b"x"),
    "speech": lambda c: c.audio.speech.create(model="m", input="x", voice="alloy"),
    "images": lambda c: c.images.generate(model="m", prompt="x"),
    "images without a model": lambda c: c.images.generate(prompt="x"),
    "edits": lambda c: c.images.edit(model="m", image=b"x", prompt="x"),
    "responses": lambda c: c.responses.create(model="m", input="x"),
    "models": lambda c: c.models.retrieve("m"),
    "files": lambda c: c.files.create(file=b"x", purpose="assistants"),
    "delete": lambda c: c.files.delete("file-1"),
    "admin": lambda c: c.admin.organization.projects.retrieve("p"),
}
PLACES: dict[str, dict[str, Any]] = {
    "endpoint": {},
    "endpoint with a slash": {"azure_endpoint": f"{ENDPOINT}/"},
    "endpoint below a path": {"azure_endpoint": "https://gw.example.com/azure/"},
    "deployment": {"azure_deployment": "dep"},
    "deployment below a path": {"azure_deployment": "dep", "azure_endpoint": "https://gw.example.com/azure"},
    "base_url": {"base_url": f"{ENDPOINT}/openai/v1/"},
    "base_url of a deployment": {"base_url": f"{ENDPOINT}/openai/deployments/d"},
    "more query": {"default_query": {"x": "1"}},
    "a token": {"api_key": None, "azure_ad_token": "tok"},
    "a token of a function": {"api_key": None, "azure_ad_token_provider": lambda: "tok"},
}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("place", PLACES)
def test_requests_are_those_of_the_official_client(place: str) -> None:
    for name, call in CALLS.items():
        seen: list[Any] = []
        for index in range(3):
            recorder = Recorder()
            done(call(trio(recorder, **PLACES[place])[index]))
            request = recorder.last
            seen.append(
                (
                    request.method,
                    request.url,
                    request.headers.get("api-key"),
                    request.headers.get("authorization"),
                    _json(request),
                )
            )
        assert seen[0] == seen[1] == seen[2], name


def test_an_own_header_stands() -> None:
    recorder = Recorder()
    trio(recorder, default_headers={"API-Key": "mine"})[0].models.retrieve("m")
    assert recorder.last.headers.get_list("api-key") == ["mine"]


@pytest.mark.parametrize("cls", [AzureOpenAI, AsyncAzureOpenAI])
def test_one_credential_and_one_address(cls: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    where = {"azure_endpoint": ENDPOINT, "api_version": VERSION}
    with pytest.raises(OpenAIError, match="AZURE_OPENAI_API_KEY"):
        cls(**where)
    for two in (
        {"api_key": "k", "azure_ad_token": "t"},
        {"api_key": "k", "azure_ad_token_provider": lambda: "t"},
        {"azure_ad_token": "t", "azure_ad_token_provider": lambda: "t"},
    ):
        with pytest.raises(OpenAIError, match="give one"):
            cls(**where, **two)
    with pytest.raises(ValueError, match="OPENAI_API_VERSION"):
        cls(azure_endpoint=ENDPOINT, api_key="k")
    with pytest.raises(ValueError, match="AZURE_OPENAI_ENDPOINT"):
        cls(api_key="k", api_version=VERSION)
    with pytest.raises(ValueError, match="give one"):
        cls(**where, api_key="k", base_url="https://x/openai")
    monkeypatch.setenv("OPENAI_API_VERSION", "2030-01-01")
    monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", "https://env.azure.com/")
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", "env-key")
    recorder = Recorder()
    done(cls(transport=recorder).models.retrieve("m"))
    assert recorder.last.url == "https://env.azure.com/openai/models/m?api-version=2030-01-01"
    assert recorder.last.headers.get("api-key") == "env-key"
    monkeypatch.setenv("AZURE_OPENAI_AD_TOKEN", "env-token")
    done(cls(transport=recorder).models.retrieve("m"))
    assert recorder.last.headers.get("api-key") is None
    assert recorder.last.headers.get("authorization") == "Bearer env-token"
    done(cls(transport=recorder, api_key="given").models.retrieve("m"))
    assert recorder.last.headers.get("api-key") == "given"
    assert recorder.last.headers.get("authorization") is None


@pytest.mark.parametrize("index", [0, 1])
@pytest.mark.parametrize("awaited", [False, True])
def test_functions_are_asked_before_every_attempt(index: int, awaited: bool) -> None:
    counted: list[int] = []

    def plain() -> str:
        counted.append(1)
        return f"v{len(counted)}"

    async def later() -> str:
        return plain()

    function = later if awaited else plain
    hurry = {"retry-after-ms": "1"}
    for header, prefix, settings in (
        ("api-key", "", {"api_key": function}),
        ("authorization", "Bearer ", {"api_key": None, "azure_ad_token_provider": function}),
    ):
        counted.clear()
        recorder = Recorder(json_response(500, {}, list(hurry.items())))
        given: Any = {"azure_endpoint": ENDPOINT, "api_version": VERSION, "transport": recorder, **settings}
        client = (AzureOpenAI, AsyncAzureOpenAI)[index](**given)
        done(client.models.retrieve("m"))
        assert [request.headers.get(header) for request in recorder.requests] == [f"{prefix}v1", f"{prefix}v2"]
        done(client.models.retrieve("m", extra_headers={header: "mine"}))
        assert recorder.last.headers.get_list(header) == ["mine"]


@pytest.mark.parametrize("nothing", ["", None, 5])
def test_a_token_is_a_string(nothing: Any) -> None:
    client = AzureOpenAI(
        azure_endpoint=ENDPOINT, api_version=VERSION, azure_ad_token_provider=lambda: nothing, transport=Recorder()
    )
    with pytest.raises(ValueError, match="azure_ad_token_provider"):
        client.models.retrieve("m")


def test_without_credentials_a_call_says_so() -> None:
    recorder = Recorder()
    client = AzureOpenAI(azure_endpoint=ENDPOINT, api_version=VERSION, transport=recorder, _enforce_credentials=False)
    with pytest.raises(TypeError, match="azure_ad_token"):
        client.models.retrieve("m")
    client.models.retrieve("m", extra_headers={"api-key": "k"})
    client.models.retrieve("m", extra_headers={"Authorization": "Bearer t"})
    client.models.retrieve("m", extra_headers={"api-key": omit})
    assert len(recorder.requests) == 3


@pytest.mark.parametrize("index", [0, 1])
def test_copies(index: int) -> None:
    recorder = Recorder()
    client = trio(recorder, azure_deployment="dep", default_query={"x": "1"})[index]
    for copied, url, key, token in (
        (client.copy(timeout=3), f"{ENDPOINT}/openai/models/m?x=1&api-version={VERSION}", "az-key", None),
        (client.copy(api_version="v2"), f"{ENDPOINT}/openai/models/m?x=1&api-version=v2", "az-key", None),
        (client.copy(api_key="k2"), f"{ENDPOINT}/openai/models/m?x=1&api-version={VERSION}", "k2", None),
        (client.copy(azure_ad_token="t"), f"{ENDPOINT}/openai/models/m?x=1&api-version={VERSION}", None, "Bearer t"),
        (
            client.copy(azure_ad_token_provider=lambda: "p").copy(max_retries=1),
            f"{ENDPOINT}/openai/models/m?x=1&api-version={VERSION}",
            None,
            "Bearer p",
        ),
        (
            client.with_options(base_url="https://y/z"),
            f"https://y/z/models/m?x=1&api-version={VERSION}",
            "az-key",
            None,
        ),
    ):
        done(copied.models.retrieve("m"))
        assert recorder.last.url == url
        assert (recorder.last.headers.get("api-key"), recorder.last.headers.get("authorization")) == (key, token)


def test_the_fake_answers_as_azure() -> None:
    fake = FakeOpenAI()
    client = AzureOpenAI(azure_endpoint="http://fake.test", api_version=VERSION, api_key="k", transport=fake)
    answer = client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "hi"}])
    assert answer.model == "gpt-4o" and answer.choices[0].message.content
    with client.chat.completions.create(
        model="gpt-4o", messages=[{"role": "user", "content": "hi"}], stream=True
    ) as stream:
        assert len(list(stream)) > 3
    assert len(client.embeddings.create(model="text-embedding-3-small", input="x").data[0].embedding) == 1536


# Redirects


def _redirect(status: int, to: str) -> Response:
    return Response(status, Headers({"location": to}), b"")


@pytest.mark.parametrize("index", [0, 1])
@pytest.mark.parametrize(
    ("to", "kept"),
    [
        (f"{ENDPOINT}/elsewhere?a=1", True),
        ("/elsewhere?a=1", True),
        (f"{ENDPOINT}:443/elsewhere?a=1", True),
        ("https://other.example.com/elsewhere?a=1", False),
        ("http://res.openai.azure.com/elsewhere?a=1", False),
        (f"{ENDPOINT}:8443/elsewhere?a=1", False),
    ],
)
def test_secrets_stay_with_their_origin(index: int, to: str, kept: bool) -> None:
    for settings in ({}, {"api_key": None, "azure_ad_token": "t"}):
        recorder = Recorder(_redirect(307, to))
        done(trio(recorder, **settings)[index].models.retrieve("m"))
        first, second = recorder.requests
        assert second.path == "/elsewhere" and second.query == "a=1"
        for name in ("api-key", "authorization"):
            assert second.headers.get(name) == (first.headers.get(name) if kept else None)


@pytest.mark.parametrize("index", [0, 1])
def test_a_secret_does_not_come_back(index: int) -> None:
    recorder = Recorder(_redirect(302, "https://other.example.com/a"), _redirect(302, f"{ENDPOINT}/b"))
    done(trio(recorder)[index].models.retrieve("m"))
    assert [request.headers.get("api-key") for request in recorder.requests] == ["az-key", None, None]


@pytest.mark.parametrize(("status", "method"), [(301, "GET"), (302, "GET"), (303, "GET"), (307, "POST"), (308, "POST")])
def test_methods_and_bodies_after_a_redirect(status: int, method: str) -> None:
    recorder = Recorder(_redirect(status, "/b"))
    trio(recorder)[0].responses.create(model="m", input="x")
    assert (recorder.last.method, bool(recorder.last.content())) == (method, method == "POST")
    assert (recorder.last.headers.get("content-type") is None) == (method == "GET")


@pytest.mark.parametrize("index", [0, 1])
def test_redirects_have_an_end(index: int) -> None:
    recorder = Recorder(*[_redirect(302, "/again")] * 30)
    with pytest.raises(APIConnectionError, match="20 redirects"):
        done(trio(recorder)[index].models.retrieve("m"))
    assert len(recorder.requests) == 21
    with pytest.raises(openai.APIStatusError if index > 1 else Exception, match="302"):
        done(trio(Recorder(_redirect(302, "ftp://x/y")))[index].models.retrieve("m"))


@pytest.mark.parametrize("index", [0, 1])
def test_streams_are_redirected_too(index: int) -> None:
    fake = FakeOpenAI()

    def handler(request: Request) -> Any:
        if request.path.startswith("/openai"):
            return Response(307, Headers({"location": "/v1/chat/completions"}), iter([b"mo", b"ved"]))
        return fake(request)

    client = trio(handler)[index]

    async def main() -> int:
        count = 0
        async for _ in await client.chat.completions.create(
            model="m", messages=[{"role": "user", "content": "x"}], stream=True
        ):
            count += 1
        return count

    if inspect.iscoroutinefunction(client.close):
        assert asyncio.run(main()) > 3
    else:
        call = client.chat.completions.create
        assert len(list(call(model="m", messages=[{"role": "user", "content": "x"}], stream=True))) > 3


def test_over_the_network_and_through_httpx2() -> None:
    other, seen = FakeOpenAI(), []

    def first(handler: Any) -> Any:
        def moved(request: Request) -> Any:
            seen.append(request.headers.get("api-key"))
            return Response(307, Headers({"location": f"{elsewhere.url}/v1/models/gpt-4o"}))

        return moved

    def second(handler: Any) -> Any:
        def watched(request: Request) -> Any:
            seen.append(request.headers.get("api-key"))
            return json_response(200, {"id": "moved"})

        return watched

    with FakeOpenAI(filters=[second]).start(port=0) as elsewhere, FakeOpenAI(filters=[first]).start(port=0) as server:
        given: Any = {"azure_endpoint": server.url, "api_version": VERSION, "api_key": "k", "max_retries": 0}
        with AzureOpenAI(**given) as client:
            assert client.models.retrieve("m").id == "moved"
        with AzureOpenAI(**given, http_client=httpx2.Client(follow_redirects=True)) as client:
            assert client.models.retrieve("m").id == "moved"
        with AzureOpenAI(**given, http_client=httpx2.Client()) as client, pytest.raises(Exception, match="307"):
            client.models.retrieve("m")
    assert seen == ["k", None, "k", None, "k"]
    assert other


def test_what_no_operation_has_goes_to_a_deployment_as_well() -> None:
    asked = Recorder()
    client = AzureOpenAI(azure_endpoint=ENDPOINT, api_version=VERSION, api_key="k", transport=asked)
    client.post("/chat/completions", cast_to=dict, body={"model": "team/a=1", "messages": []})
    assert asked.last.path == "/openai/deployments/team%2Fa=1/chat/completions"
    client.get("/models", cast_to=dict)
    assert asked.last.path == "/openai/models"
    for name in (".", ".."):
        with pytest.raises(ValueError, match="dot-segment"):
            client.embeddings.create(model=name, input="x")
        with pytest.raises(ValueError, match="dot-segment"):
            AzureOpenAI(azure_endpoint=ENDPOINT, api_version=VERSION, api_key="k", azure_deployment=name)


def test_a_function_that_gives_no_key_is_told_of() -> None:
    asked = Recorder()
    client = AzureOpenAI(azure_endpoint=ENDPOINT, api_version=VERSION, api_key=lambda: "", transport=asked)
    with pytest.raises(TypeError, match="gave no key"):
        client.models.list()
    assert not asked.requests


def test_a_class_is_no_value_of_a_body() -> None:
    client = AzureOpenAI(azure_endpoint=ENDPOINT, api_version=VERSION, api_key="k", transport=Recorder())
    given: Any = Recorder
    with pytest.raises(TypeError, match="Recorder is a class"):
        client.chat.completions.create(model="m", messages=[], response_format=given)
