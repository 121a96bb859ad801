"""The opening handshake beside the official client's, asked of the same server: path, query and headers."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import openai
import pytest

from antiphon import AsyncOpenAI, OpenAI, OpenAIError, omit
from antiphon.client.azure import AsyncAzureOpenAI, AzureOpenAI

from .sockets import Handshake, Peer, Scripted, blocking

OWN = {"host", "upgrade", "connection", "sec-websocket-key", "sec-websocket-version", "user-agent"}
"""Headers that differ by nature."""


def nothing(peer: Peer) -> None:
    peer.listen()


@pytest.fixture(scope="module")
def server() -> Iterator[Scripted]:
    with Scripted(nothing) as running:
        yield running


@pytest.fixture(params=["sync", "async"])
def pair(request: pytest.FixtureRequest) -> Iterator[Callable[..., tuple[Any, Any]]]:
    """Makes our client and the official one in one colour, with the same settings."""
    if request.param == "sync":
        yield lambda **settings: (OpenAI(**settings), openai.OpenAI(**settings))
        return
    with blocking() as twin:
        yield lambda **settings: (twin(AsyncOpenAI(**settings)), twin(openai.AsyncOpenAI(**settings)))


def asked(server: Scripted, client: Any, path: str, arguments: dict[str, Any]) -> Handshake:
    method = client
    for name in path.split("."):
        method = getattr(method, name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        with method.connect(**arguments):
            return server.handshakes[-1]


def compare(ours: Handshake, theirs: Handshake) -> None:
    assert ours.path == theirs.path
    assert ours.query == theirs.query
    assert headers(ours) == headers(theirs)


def headers(handshake: Handshake) -> dict[str, str]:
    return {name: value for name, value in handshake.headers if name not in OWN and not name.startswith("x-stainless")}


ARGUMENTS: dict[str, list[dict[str, Any]]] = {
    "realtime": [
        {},
        {"model": "gpt-realtime"},
        {"call_id": "rtc_1"},
        {"extra_query": {"intent": "transcription"}},
        {
            "model": "a b/ü",
            "extra_query": {"model": "mine", "list": [1, None, True], "deep": {"x": ["y", "z"]}, "no": None},
        },
        {"call_id": "rtc_1", "extra_query": {"call_id": "mine", "left": openai.omit}},
    ],
    "realtime.translations": [{"model": "gpt-realtime-translate"}, {"model": "m", "extra_query": {"model": "n"}}],
    "live": [{}, {"extra_query": {"a": "b"}}],
    "live.sideband": [{"session_id": "sess/1 ?"}, {"session_id": "sess_1", "graceful_close": True}],
    "live.forks": [{"session_id": "sess_1"}],
    "responses": [{}, {"extra_query": {"a": ["b", "c"]}}],
    "beta.responses": [{}],
    "beta.realtime": [{"model": "gpt-4o-realtime"}],
}
CASES = [(path, arguments) for path, each in ARGUMENTS.items() for arguments in each]


def translated(arguments: dict[str, Any]) -> dict[str, Any]:
    query = arguments.get("extra_query")
    if not query:
        return arguments
    return {**arguments, "extra_query": {key: omit if value is openai.omit else value for key, value in query.items()}}


SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {"api_key": "sk-1"},
    "much": {
        "api_key": "sk-1",
        "organization": "org-1",
        "project": "proj-1",
        "default_headers": {"X-Mine": "a", "OpenAI-Beta": "mine"},
        "default_query": {"a": "default", "list": ["1", "2"], "deep": {"x": "default"}, "intent": "default"},
    },
}


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize(("path", "arguments"), CASES)
def test_every_connection_is_asked_for_as_officially(
    server: Scripted, pair: Callable[..., tuple[Any, Any]], path: str, arguments: dict[str, Any], settings: str
) -> None:
    where = {"base_url": server.url, "websocket_base_url": f"ws://127.0.0.1:{server.port}/v1"}
    ours, theirs = pair(**SETTINGS[settings], **where)
    compare(
        asked(server, ours, path, translated(arguments)),
        asked(server, theirs, path, arguments),
    )


@pytest.mark.parametrize(
    ("base_url", "websocket_base_url"),
    [
        ("http://127.0.0.1:{}/v1/", None),
        ("http://127.0.0.1:{}/deep/v1?fixed=1&a=base", None),
        ("http://127.0.0.1:1/v1", "ws://127.0.0.1:{}/other"),
        ("http://127.0.0.1:1/v1", "http://127.0.0.1:{}/other/?fixed=2&model=base"),
        ("http://127.0.0.1:1/v1?a=ignored", "ws://127.0.0.1:{}"),
    ],
)
def test_the_address_is_put_together_as_officially(
    server: Scripted, pair: Callable[..., tuple[Any, Any]], base_url: str, websocket_base_url: str | None
) -> None:
    ours, theirs = pair(
        api_key="sk-1",
        base_url=base_url.format(server.port),
        websocket_base_url=None if websocket_base_url is None else websocket_base_url.format(server.port),
        default_query={"a": "default", "b": "default"},
    )
    arguments = {"model": "m", "extra_query": {"b": "own"}}
    compare(asked(server, ours, "realtime", arguments), asked(server, theirs, "realtime", arguments))


def test_the_callers_headers_win_as_officially(server: Scripted, pair: Callable[..., tuple[Any, Any]]) -> None:
    ours, theirs = pair(api_key="sk-1", base_url=server.url, default_headers={"X-A": "default", "X-B": "default"})
    extra: dict[str, Any] = {"x-a": "own", "AUTHORIZATION": "Bearer mine", "Accept": "*/*"}
    compare(
        asked(server, ours, "responses", {"extra_headers": {**extra, "X-b": omit}}),
        asked(server, theirs, "responses", {"extra_headers": {**extra, "X-b": openai.omit}}),
    )


def test_a_key_that_is_a_function_is_called_for_each_connection(
    server: Scripted, pair: Callable[..., tuple[Any, Any]]
) -> None:
    keys = iter(range(100))

    def key() -> str:
        return f"key-{next(keys)}"

    async def async_key() -> str:
        return key()

    ours = pair(api_key="x")[0]
    is_async = hasattr(ours, "loop")
    ours, theirs = pair(api_key=async_key if is_async else key, base_url=server.url)
    for number, client in enumerate((ours, ours, theirs)):
        assert asked(server, client, "responses", {}).header("authorization") == f"Bearer key-{number}"
    given = asked(server, ours, "responses", {"extra_headers": {"Authorization": "mine"}})
    assert given.header("authorization") == "mine"
    assert next(keys) == 3


def test_without_a_key_nothing_is_sent(server: Scripted) -> None:
    before = len(server.handshakes)
    client = OpenAI(admin_api_key="admin", base_url=server.url)
    with pytest.raises(TypeError, match="needs an API key"):
        client.responses.connect().enter()
    assert len(server.handshakes) == before
    connection = client.responses.connect(extra_headers={"Authorization": omit}).enter()
    connection.close()
    assert server.handshakes[-1].header("authorization") is None


def test_compression_is_asked_for_where_messages_are_limited(
    server: Scripted, pair: Callable[..., tuple[Any, Any]]
) -> None:
    ours, theirs = pair(api_key="k", base_url=server.url)
    for options in ({}, {"max_size": 1000}, {"max_size": 1000, "compression": None}, {"compression": "deflate"}):
        arguments = {"websocket_connection_options": options}
        extensions = [
            asked(server, client, "responses", arguments).header("sec-websocket-extensions")
            for client in (ours, theirs)
        ]
        assert extensions[0] == extensions[1], options


def test_a_session_needs_an_id() -> None:
    with pytest.raises(ValueError, match=r"live\.sideband\.connect\(\) needs a value for 'session_id'"):
        OpenAI(api_key="k").live.sideband.connect(session_id="")


def test_an_address_that_is_none_is_refused() -> None:
    client = OpenAI(api_key="k", websocket_base_url="nowhere")
    with pytest.raises(OpenAIError, match="needs a scheme and a host"):
        client.responses.connect().enter()


@pytest.mark.parametrize("who", [{"api_key": "k"}, {"azure_ad_token": "t"}, {"azure_ad_token_provider": lambda: "p"}])
@pytest.mark.parametrize("deployment", [None, "dep"])
def test_azure_is_asked_as_officially(server: Scripted, who: dict[str, Any], deployment: str | None) -> None:
    settings: dict[str, Any] = {
        "api_version": "2024-10-21",
        "azure_endpoint": f"http://127.0.0.1:{server.port}",
        "azure_deployment": deployment,
        "websocket_base_url": f"ws://127.0.0.1:{server.port}/openai",
        **who,
    }
    arguments = {"model": "gpt-realtime", "extra_query": {"a": "b"}}
    theirs = asked(server, openai.AzureOpenAI(**settings), "realtime", arguments)
    ours = asked(server, AzureOpenAI(**settings), "realtime", arguments)
    compare(ours, theirs)
    del settings["websocket_base_url"]
    assert asked(server, AzureOpenAI(**settings), "realtime", arguments).target == ours.target
    with blocking() as twin:
        compare(asked(server, twin(AsyncAzureOpenAI(**settings)), "realtime", arguments), theirs)
