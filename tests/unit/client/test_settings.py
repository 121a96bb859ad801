"""What a client is made of: arguments, the environment, headers, copies."""

from __future__ import annotations

import gc
import inspect
import weakref
from typing import Any

import httpx2
import openai
import pytest

import antiphon
from antiphon import AsyncOpenAI, OpenAI, OpenAIError, Timeout, omit
from tests.unit.client.worlds import OK, Scripted, both

VARIABLES = (
    "OPENAI_API_KEY",
    "OPENAI_ADMIN_KEY",
    "OPENAI_ORG_ID",
    "OPENAI_PROJECT_ID",
    "OPENAI_WEBHOOK_SECRET",
    "OPENAI_BASE_URL",
    "OPENAI_CUSTOM_HEADERS",
    "OPENAI_LOG",
    "ANTIPHON_LOG",
)


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


KINDS = pytest.mark.parametrize("kind", [OpenAI, AsyncOpenAI])


@KINDS
def test_everything_comes_from_the_environment(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    values = (
        "sk-e",
        "admin-e",
        "org-e",
        "proj-e",
        "whsec-e",
        "https://host.test:8443/base/",
        "X-A: 1\nbad\nX-B:two: three \n",
    )
    for name, value in zip(VARIABLES, values, strict=False):
        monkeypatch.setenv(name, value)
    client = kind()
    official = getattr(openai, kind.__name__)()
    for name in ("api_key", "admin_api_key", "organization", "project", "webhook_secret", "max_retries"):
        assert getattr(client, name) == getattr(official, name), name
    assert client.base_url == str(official.base_url) == "https://host.test:8443/base/"
    theirs = {name.lower(): value for name, value in official.default_headers.items() if isinstance(value, str)}
    for name, value in client.default_headers.items():
        if name != "user-agent":
            assert theirs[name] == value
    assert client.default_headers["x-b"] == "two: three"


@KINDS
def test_arguments_come_before_the_environment(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES[:5]:
        monkeypatch.setenv(name, "from the environment")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://environment.test")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-A: environment\nX-B: environment")
    client = kind(
        api_key="k",
        admin_api_key="a",
        organization="o",
        project="p",
        webhook_secret="w",
        base_url="http://argument.test",
        default_headers={"x-a": "argument"},
    )
    assert (client.api_key, client.admin_api_key, client.organization) == ("k", "a", "o")
    assert (client.project, client.webhook_secret, client.base_url) == ("p", "w", "http://argument.test/")
    assert (client.default_headers["x-a"], client.default_headers["x-b"]) == ("argument", "environment")


@KINDS
def test_without_a_key_there_is_no_client(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OpenAIError, match="OPENAI_API_KEY"):
        kind()
    monkeypatch.setenv("OPENAI_ADMIN_KEY", "admin")
    assert kind().api_key == ""


@KINDS
def test_each_operation_gets_its_key(kind: Any) -> None:
    handler = Scripted(OK)
    client = kind(api_key="user", admin_api_key="admin", transport=handler)
    both(lambda c: c.models.retrieve("m"), client)
    assert handler.last.headers["authorization"] == "Bearer user"
    both(lambda c: c.admin.organization.projects.retrieve("p"), client)
    assert handler.last.headers["authorization"] == "Bearer admin"
    client.api_key = "other"
    both(lambda c: c.models.retrieve("m"), client)
    assert handler.last.headers["authorization"] == "Bearer other"


@KINDS
def test_an_operation_whose_key_is_missing_is_refused(kind: Any) -> None:
    handler = Scripted(OK)
    ways: list[tuple[Any, Any]] = [
        (kind(admin_api_key="a", transport=handler), lambda c, **o: c.models.retrieve("m", **o)),
        (kind(admin_api_key="a", transport=handler), lambda c, **o: c.responses.create(model="m", **o)),
        (kind(api_key="k", transport=handler), lambda c, **o: c.admin.organization.projects.retrieve("p", **o)),
    ]
    for client, call in ways:
        for _ in range(2):  # also once the operation is known
            (error,) = both(call, client)
            assert isinstance(error, TypeError)
            assert "Could not resolve authentication method" in str(error)
        both(lambda c, call=call: call(c, extra_headers={"AUTHORIZATION": omit}), client)
        assert "authorization" not in handler.requests.pop().headers
        both(lambda c, call=call: call(c, extra_headers={"authorization": "Basic x"}), client)
        assert handler.requests.pop().headers.get_list("authorization") == ["Basic x"]
    assert not handler.requests


def test_headers_of_the_client_the_operation_and_the_call() -> None:
    handler = Scripted(OK)
    client = OpenAI(
        api_key="k",
        organization="org",
        default_headers={
            "Accept": "client/x",
            "openai-beta": "client",
            "X-Gone": "x",
            "User-Agent": "me",
            "OpenAI-Organization": omit,
        },
        transport=handler,
    )
    with pytest.deprecated_call():
        client.beta.assistants.create(model="m", extra_headers={"x-gone": omit, "X-Call": "1", "ACCEPT": "call/x"})
    headers = handler.last.headers
    assert (headers["accept"], headers["openai-beta"], headers["user-agent"]) == ("call/x", "assistants=v2", "me")
    assert (headers["x-call"], "x-gone" in headers, "openai-organization" in headers) == ("1", False, False)
    assert len(headers.pairs) == len(headers)


def test_a_key_in_the_client_s_headers_wins() -> None:
    handler = Scripted(OK)
    OpenAI(api_key="k", default_headers={"authorization": "Other x"}, transport=handler).models.retrieve("m")
    assert handler.last.headers.get_list("authorization") == ["Other x"]
    OpenAI(api_key=lambda: "f", default_headers={"Authorization": "Other x"}, transport=handler).models.retrieve("m")
    assert handler.last.headers.get_list("authorization") == ["Other x"]
    OpenAI(api_key="k", default_headers={"Authorization": omit}, transport=handler).models.retrieve("m")
    assert "authorization" not in handler.last.headers


@pytest.mark.parametrize(
    ("base_url", "origin", "path", "query"),
    [
        ("https://api.test", "https://api.test", "/models/m", ""),
        ("https://api.test/", "https://api.test", "/models/m", ""),
        ("http://[::1]:80/a/b/", "http://[::1]:80", "/a/b/models/m", ""),
        ("http://h/v1?tenant=a&x=1", "http://h", "/v1/models/m", "tenant=a&x=1"),
        ("HTTP://user:pw@h/v1", "HTTP://user:pw@h", "/v1/models/m", ""),
    ],
)
def test_where_the_api_is(base_url: str, origin: str, path: str, query: str) -> None:
    handler = Scripted(OK)
    client = OpenAI(api_key="k", base_url=base_url, transport=handler)
    client.models.retrieve("m")
    assert (handler.last.origin, handler.last.path, handler.last.query) == (origin, path, query)
    assert client.base_url.partition("?")[0].endswith("/")
    client.base_url = "http://moved.test/x"
    client.models.retrieve("m")
    assert handler.last.url == "http://moved.test/x/models/m"


@pytest.mark.parametrize("url", ["", "api.test/v1", "ftp://x/y", "http://", "/v1"])
def test_an_address_that_is_none(url: str) -> None:
    with pytest.raises(ValueError, match="base_url"):
        OpenAI(api_key="k", base_url=url)


def test_queries_of_the_address_the_client_the_operation_and_the_call() -> None:
    handler = Scripted(OK)
    client = OpenAI(
        api_key="k",
        base_url="http://h/v1?a=base&b=base",
        default_query={"b": "client", "c": "client"},
        transport=handler,
    )
    client.files.list(purpose="p", extra_query={"c": "call", "purpose": "q"})
    assert handler.last.query == "a=base&b=client&c=call&purpose=q"
    client.beta.responses.create(model="m", input="i")
    assert handler.last.query == "a=base&b=client&beta=true&c=client"


@KINDS
@pytest.mark.parametrize("value", [-1, None, 1.5, "2"])
def test_numbers_of_retries_that_are_none(kind: Any, value: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="max_retries"):
        kind(api_key="k", max_retries=value)
    with pytest.raises((TypeError, ValueError), match="max_retries"):
        kind(api_key="k").max_retries = value


@KINDS
@pytest.mark.parametrize("value", [-1, float("nan"), float("inf"), "3", [1, 2]])
def test_timeouts_that_are_none(kind: Any, value: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="timeout is a number of seconds"):
        kind(api_key="k", timeout=value)
    (error,) = both(lambda c: c.models.retrieve("m", timeout=value), kind(api_key="k", transport=lambda request: OK))
    assert isinstance(error, (TypeError, ValueError))
    assert str(error).startswith("timeout is a number of seconds")


@KINDS
def test_timeouts_in_every_form(kind: Any) -> None:
    class Sees:
        def send(self, request: Any, timeout: Any, stream: bool) -> Any:
            self.timeout = timeout
            return OK

        async def asend(self, request: Any, timeout: Any, stream: bool) -> Any:
            return self.send(request, timeout, stream)

        def close(self) -> None: ...

        async def aclose(self) -> None: ...

    sees = Sees()
    client = kind(api_key="k", transport=sees)

    def seen(**options: Any) -> Any:
        both(lambda c: c.models.retrieve("m", **options), client)
        return sees.timeout

    assert client.timeout == Timeout(600, connect=5)
    assert seen() == Timeout(600, connect=5)
    assert seen(timeout=3) == 3
    assert seen(timeout=None) is None
    assert seen(timeout=Timeout(1, read=2)) == Timeout(1, read=2)
    assert seen(timeout=httpx2.Timeout(1, read=2)) == Timeout(1, read=2)
    assert seen(timeout=(1, 2, 3, 4)) == Timeout(connect=1, read=2, write=3, pool=4)
    assert seen(timeout=antiphon.not_given) == Timeout(600, connect=5)
    client.timeout = 9
    assert seen() == 9
    assert kind(api_key="k", timeout=None).timeout is None


@KINDS
def test_a_copy_differs_where_it_was_told_to(kind: Any) -> None:
    handler = Scripted(OK)
    client = kind(
        api_key="k",
        organization="o",
        default_headers={"a": "1"},
        default_query={"q": 1},
        max_retries=4,
        transport=handler,
    )
    copy = client.with_options(project="p", default_headers={"b": "2"}, default_query={"r": 2}, timeout=None)
    assert isinstance(copy, kind)
    assert (copy.api_key, copy.organization, copy.project, copy.max_retries, copy.timeout) == ("k", "o", "p", 4, None)
    assert (copy.default_headers["a"], copy.default_headers["b"], copy.default_query) == ("1", "2", {"q": 1, "r": 2})
    assert copy.transport is client.transport
    alone = client.copy(set_default_headers={}, set_default_query={"s": 3}, max_retries=0)
    assert "a" not in alone.default_headers
    assert (alone.default_query, alone.max_retries, client.max_retries) == ({"s": 3}, 0, 4)
    for both_ways in (
        {"default_headers": {}, "set_default_headers": {}},
        {"default_query": {}, "set_default_query": {}},
    ):
        with pytest.raises(ValueError, match="give one"):
            client.copy(**both_ways)
    both(lambda c: c.models.retrieve("m"), copy)
    assert handler.last.headers["openai-project"] == "p"
    assert handler.last.query == "q=1&r=2"
    with_function = kind(api_key=lambda: "made", transport=handler).copy(max_retries=1)
    both(lambda c: c.models.retrieve("m"), with_function)
    assert handler.last.headers["authorization"] == "Bearer made"


@KINDS
def test_a_closed_client_does_not_send(kind: Any) -> None:
    client = kind(api_key="k", transport=Scripted(OK))
    both(lambda c: c.models.retrieve("m"), client)
    assert not client.is_closed()
    both(lambda c: c.close(), client)
    both(lambda c: c.close(), client)
    assert client.is_closed()
    (error,) = both(lambda c: c.models.retrieve("m"), client)
    assert isinstance(error, RuntimeError)
    assert "closed" in str(error)


async def test_clients_are_context_managers() -> None:
    with OpenAI(api_key="k", transport=Scripted(OK)) as client:
        assert client.models.retrieve("m").id == "m"
    assert client.is_closed()
    async with AsyncOpenAI(api_key="k", transport=Scripted(OK)) as awaited:
        assert (await awaited.models.retrieve("m")).id == "m"
    assert awaited.is_closed()


def test_a_transport_is_what_can_send() -> None:
    for wrong in (3, "http://proxy", object()):
        with pytest.raises(TypeError, match="transport="):
            OpenAI(api_key="k", transport=wrong).models.retrieve("m")
    with pytest.raises(TypeError, match="async"):
        OpenAI(api_key="k", transport=httpx2.AsyncClient()).models.retrieve("m")


def test_making_a_client_connects_to_nothing_and_leaves_nothing() -> None:
    client = OpenAI(api_key="k")
    assert client._transport is None
    assert client.chat.completions
    gone = weakref.ref(client)
    del client
    gc.collect()
    assert gone() is None


@pytest.mark.parametrize("name", ["OpenAI", "AsyncOpenAI"])
def test_arguments_are_the_official_ones(name: str) -> None:
    later = {"workload_identity", "provider", "data_residency", "websocket_base_url"}
    private = {"_strict_response_validation", "_enforce_credentials"}
    for method in ("__init__", "copy"):
        official = inspect.signature(getattr(getattr(openai, name), method)).parameters
        ours = inspect.signature(getattr(getattr(antiphon, name), method)).parameters
        missing = set(official) - set(ours) - later - private - {"http_client", "_extra_kwargs"}
        assert not missing
        assert all(ours[each].kind is inspect.Parameter.KEYWORD_ONLY for each in ours if each != "self")
