"""Module-level use: `antiphon.chat…` with the settings of the package, beside `openai.chat…`."""

from __future__ import annotations

import importlib
import pickle
from collections.abc import Iterator
from typing import Any

import httpx2
import openai
import pytest

import antiphon
from antiphon import FakeOpenAI, OpenAIError, omit
from antiphon.api import API
from antiphon.api.chat import Chat
from antiphon.client.module import load
from antiphon.kernel.http import Request, Response, json_response
from antiphon.transports.httpx2 import HandlerTransport

SETTINGS = (
    "api_key admin_api_key organization project webhook_secret base_url timeout max_retries default_headers "
    "default_query http_client api_type api_version azure_endpoint azure_ad_token azure_ad_token_provider "
    "bedrock_token_provider"
).split()
VARIABLES = (
    "OPENAI_API_KEY OPENAI_ADMIN_KEY OPENAI_ORG_ID OPENAI_PROJECT_ID OPENAI_WEBHOOK_SECRET OPENAI_BASE_URL "
    "OPENAI_CUSTOM_HEADERS OPENAI_API_TYPE OPENAI_API_VERSION AZURE_OPENAI_API_KEY AZURE_OPENAI_AD_TOKEN "
    "AZURE_OPENAI_ENDPOINT AWS_REGION AWS_DEFAULT_REGION AWS_BEARER_TOKEN_BEDROCK AWS_BEDROCK_BASE_URL"
).split()
DEFAULTS: dict[str, Any] = {"max_retries": 2}


class Recorder:
    def __init__(self) -> None:
        self.requests: list[Request] = []

    def __call__(self, request: Request) -> Response:
        self.requests.append(request)
        return json_response(200, {"id": "m"})

    @property
    def last(self) -> Request:
        return self.requests[-1]


class Both:
    """The settings of both packages, and what each sent last."""

    def __init__(self) -> None:
        self.ours, self.theirs = Recorder(), Recorder()
        antiphon.http_client = self.ours
        openai.http_client = httpx2.Client(transport=HandlerTransport(self.theirs))

    def set(self, **settings: Any) -> None:
        for name, value in settings.items():
            setattr(antiphon, name, value)
            setattr(openai, name, value)

    def asked(self) -> tuple[Any, Any]:
        antiphon.models.retrieve("m")
        openai.models.retrieve("m")
        return _seen(self.ours.last), _seen(self.theirs.last)


def _seen(request: Request) -> dict[str, Any]:
    names = ("authorization", "api-key", "openai-organization", "openai-project", "x-mine", "x-env")
    return {"url": request.url, **{name: request.headers.get(name) for name in names}}


@pytest.fixture
def both(monkeypatch: pytest.MonkeyPatch) -> Iterator[Both]:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    kept = {module: {name: getattr(module, name) for name in SETTINGS} for module in (antiphon, openai)}
    for module in kept:
        for name in SETTINGS:
            if name != "timeout":
                setattr(module, name, DEFAULTS.get(name))
        module._reset_client()  # type: ignore[attr-defined]
    yield Both()
    for module, settings in kept.items():
        for name, value in settings.items():
            setattr(module, name, value)
        module._reset_client()  # type: ignore[attr-defined]


def test_settings_hold_for_the_calls_that_follow(both: Both) -> None:
    steps: list[dict[str, Any]] = [
        {"api_key": "sk-1"},
        {"api_key": "sk-2"},
        {"base_url": "http://x.test/v1/"},  # theirs needs the slash
        {"base_url": "http://y.test/v2/"},
        {"organization": "org-1", "project": "proj-1"},
        {"organization": None},
        {"default_headers": {"X-Mine": "1"}},
        {"default_headers": {"x-mine": "2", "Authorization": "Bearer mine"}},
        {"default_headers": {}},
        {"default_query": {"q": "1"}},
        {"default_query": {}, "base_url": None},
    ]
    for step in steps:
        both.set(**step)
        ours, theirs = both.asked()
        assert ours == theirs, step


def test_a_resource_that_is_kept_follows_too(both: Both) -> None:
    both.set(api_key="sk-1")
    models = antiphon.models.with_raw_response
    models.retrieve("m")
    both.set(api_key="sk-2", base_url="http://z.test/v1")
    models.retrieve("m")
    assert (both.ours.last.url, both.ours.last.headers.get("authorization")) == (
        "http://z.test/v1/models/m",
        "Bearer sk-2",
    )
    antiphon.default_headers = {"x-mine": "1"}
    antiphon.models.retrieve("m")
    antiphon.default_headers["x-mine"] = "2"  # type: ignore[index]
    antiphon.models.retrieve("m")
    assert both.ours.last.headers.get("x-mine") == "2"


def test_the_environment_fills_in(both: Both, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-env")
    monkeypatch.setenv("OPENAI_ORG_ID", "org-env")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://env.test/v1")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Env: 1")
    ours, theirs = both.asked()
    assert ours == theirs
    assert (antiphon.api_key, antiphon.organization) == ("sk-env", "org-env") == (openai.api_key, openai.organization)
    both.set(default_headers={"x-mine": "1"}, api_key="sk-2")
    antiphon.models.retrieve("m")
    assert _seen(both.ours.last)["x-env"] == "1"


def test_keys_of_functions(both: Both) -> None:
    keys = iter("abc")
    antiphon.api_key = lambda: next(keys)
    for key in "ab":
        antiphon.models.retrieve("m")
        assert both.ours.last.headers.get("authorization") == f"Bearer {key}"
    antiphon.api_key = "plain"
    antiphon.models.retrieve("m")
    assert both.ours.last.headers.get("authorization") == "Bearer plain"


def test_without_a_key_a_call_says_so(both: Both) -> None:
    for module in (antiphon, openai):
        with pytest.raises(TypeError, match="Could not resolve authentication method"):
            module.models.retrieve("m")
    antiphon.models.retrieve("m", extra_headers={"Authorization": omit})


def test_retries_and_timeouts_follow(both: Both) -> None:
    antiphon.api_key = "k"
    attempts: list[Any] = []

    class Failing:
        def send(self, request: Request, timeout: Any, stream: bool) -> Response:
            attempts.append(timeout)
            return json_response(500, {}, [("retry-after-ms", "1")])

        def close(self) -> None:
            pass

    antiphon.http_client, antiphon.max_retries, antiphon.timeout = Failing(), 0, 3.0
    with pytest.raises(antiphon.InternalServerError):
        antiphon.models.retrieve("m")
    antiphon.max_retries, antiphon.timeout = 1, 5.0
    with pytest.raises(antiphon.InternalServerError):
        antiphon.models.retrieve("m")
    assert attempts == [3.0, 5.0, 5.0]


def test_webhooks_and_helpers(both: Both) -> None:
    antiphon.api_key = "k"
    with pytest.raises(ValueError, match="secret"):
        antiphon.webhooks.verify_signature("{}", {})
    antiphon.webhook_secret = "s"
    with pytest.raises(ValueError, match="webhook-signature"):
        antiphon.webhooks.verify_signature("{}", {})
    antiphon.http_client = FakeOpenAI()
    store = antiphon.vector_stores.create()
    assert (
        antiphon.vector_stores.files.upload_and_poll(vector_store_id=store.id, file=("x.txt", b"x")).status
        == "completed"
    )


# Azure

AZURE: list[dict[str, Any]] = [
    {"api_type": "azure", "api_key": "az", "azure_endpoint": "https://r.azure.com", "api_version": "v1"},
    {"api_key": "az", "azure_endpoint": "https://r.azure.com", "api_version": "v1"},
    {"azure_ad_token": "t", "azure_endpoint": "https://r.azure.com", "api_version": "v1"},
    {"azure_ad_token_provider": lambda: "p", "azure_endpoint": "https://r.azure.com", "api_version": "v1"},
]


@pytest.mark.parametrize("settings", AZURE)
def test_azure_is_chosen_by_its_settings(both: Both, settings: dict[str, Any]) -> None:
    both.set(**settings)
    ours, theirs = both.asked()
    assert ours == theirs
    assert antiphon.api_type == openai.api_type == "azure"


def test_azure_follows_its_settings(both: Both) -> None:
    both.set(**AZURE[0])
    antiphon.models.retrieve("m")
    both.set(api_key="az2", default_headers={"x-mine": "1"})
    antiphon.models.retrieve("m")
    assert _seen(both.ours.last)["api-key"] == "az2"
    assert _seen(both.ours.last)["x-mine"] == "1"
    antiphon.default_query = {"q": "1"}
    antiphon.models.retrieve("m")
    assert both.ours.last.query == "q=1&api-version=v1"
    keys = iter("ab")
    antiphon.api_key = lambda: next(keys)
    antiphon.models.retrieve("m")
    assert both.ours.last.headers.get_list("api-key") == ["a"]


def test_azure_by_the_environment(both: Both, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", "az-env")
    monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", "https://env.azure.com")
    monkeypatch.setenv("OPENAI_API_VERSION", "v2")
    ours, theirs = both.asked()
    assert ours == theirs
    monkeypatch.setenv("OPENAI_API_KEY", "sk")
    for module in (antiphon, openai):
        module.api_type = None
        module._reset_client()  # type: ignore[attr-defined]
        with pytest.raises((OpenAIError, openai.OpenAIError), match=r"api_type"):
            module.models.retrieve("m")
    antiphon.api_type = "openai"
    antiphon.api_key = None
    antiphon.models.retrieve("m")
    assert both.ours.last.headers.get("authorization") == "Bearer sk"


# Bedrock


@pytest.fixture
def region(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "us-west-2")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def test_bedrock_is_chosen_by_its_type(both: Both, region: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk")
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "aws-env")
    for step in ({"api_type": "amazon-bedrock"}, {"api_key": "mine"}, {"default_headers": {"x-mine": "1"}}):
        both.set(**step)
        ours, theirs = both.asked()
        assert ours == theirs, step
    both.set(api_key=None)
    antiphon.models.retrieve("m")
    assert both.ours.last.headers["authorization"] == "Bearer aws-env"
    # Amazon's token does not become a setting, where another client would find it.
    assert antiphon.api_key is None


def test_requests_by_their_address_follow_too(both: Both) -> None:
    client = load()
    for key in ("sk-1", "sk-2"):
        antiphon.api_key = key
        client.get("/models", cast_to=object)
        assert both.ours.last.headers["authorization"] == f"Bearer {key}"


def test_bedrock_by_a_function(both: Both, region: None) -> None:
    tokens = iter("abc")
    antiphon.bedrock_token_provider = lambda: next(tokens)
    antiphon.api_type = "amazon-bedrock"
    for token in "ab":
        antiphon.models.retrieve("m")
        assert both.ours.last.headers["authorization"] == f"Bearer {token}"
    antiphon.api_key = "key"
    antiphon.models.retrieve("m")
    assert both.ours.last.headers["authorization"] == "Bearer key"
    antiphon.api_key = None
    antiphon.models.retrieve("m")
    assert both.ours.last.headers["authorization"] == "Bearer c"


# The resources


def test_every_resource_is_there(both: Both) -> None:
    antiphon.api_key = "k"
    official = vars(importlib.import_module("openai._module_client"))
    theirs = {name for name, value in official.items() if isinstance(value, openai._utils.LazyProxy)}
    client = antiphon.OpenAI(api_key="k")
    for name in theirs:
        assert name in dir(antiphon)
        assert isinstance(getattr(antiphon, name), type(getattr(client, name)))
    assert theirs <= {name for name in vars(API) if not name.startswith("_")}
    assert len(theirs) > 20


def test_a_resource_looks_like_one(both: Both) -> None:
    antiphon.api_key = "k"
    assert repr(antiphon.chat) == "<antiphon.chat>"
    assert isinstance(antiphon.chat, Chat)
    assert "completions" in dir(antiphon.chat)
    assert antiphon.chat.completions.create.operation.name == "chat.completions.create"
    with pytest.raises(AttributeError):
        antiphon.chat.nothing  # type: ignore[attr-defined] # noqa: B018
    with pytest.raises(AttributeError):
        antiphon.nothing  # type: ignore[attr-defined] # noqa: B018
    assert pickle.loads(pickle.dumps(antiphon.timeout)) == antiphon.Timeout(600, connect=5)
