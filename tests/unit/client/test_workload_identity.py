"""Workload identity: exchange, renewal, one replay on 401, and the providers."""

from __future__ import annotations

import asyncio
import inspect
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx2
import pytest

from antiphon import (
    APIConnectionError,
    AsyncOpenAI,
    AuthenticationError,
    OAuthError,
    OpenAI,
    OpenAIError,
    SubjectTokenProviderError,
)
from antiphon.auth import (
    azure_managed_identity_token_provider,
    gcp_id_token_provider,
    k8s_service_account_token_provider,
    x509_workload_identity,
)
from antiphon.kernel.flow import World
from antiphon.kernel.http import Request, Response, json_response

MODEL = {"id": "m", "object": "model", "created": 1, "owned_by": "o"}


class Timeless(World):
    def sleep(self, seconds: float) -> None:
        pass

    async def asleep(self, seconds: float) -> None:
        pass


class Platform:
    """The API and the exchange of tokens before it. Answers of the exchange are given in turn, then tokens."""

    def __init__(self, *answers: Response | Exception, lives: float = 3600, valid: int = 0) -> None:
        self.answers = list(answers)
        self.lives = lives
        self.valid = valid
        """How many tokens, from the first, the API does not know."""
        self.exchanges: list[Request] = []
        self.calls: list[Request] = []
        self.world = Timeless()

    def __call__(self, request: Request) -> Response:
        if request.path != "/oauth/token":
            self.calls.append(request)
            token = request.headers.get("authorization", "").removeprefix("Bearer token-")
            if token.isdigit() and int(token) <= self.valid:
                return json_response(401, {"error": {"message": "expired"}})
            return json_response(200, MODEL)
        self.exchanges.append(request)
        if self.answers:
            answer = self.answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer
        return json_response(200, {"access_token": f"token-{len(self.exchanges)}", "expires_in": self.lives})

    @property
    def tokens(self) -> list[str]:
        return [request.headers.get("authorization") for request in self.calls]


def identity(**more: Any) -> Any:
    return {
        "identity_provider_id": "idp_1",
        "service_account_id": "svc_1",
        "provider": {"token_type": "jwt", "get_token": lambda: "subject"},
        **more,
    }


def clients(platform: Platform, who: Any = None, **settings: Any) -> list[Any]:
    settings = {"workload_identity": who or identity(), "transport": platform, "max_retries": 0, **settings}
    return [OpenAI(**settings), AsyncOpenAI(**settings)]


def done(outcome: Any) -> Any:
    return asyncio.run(outcome) if inspect.iscoroutine(outcome) else outcome


@pytest.fixture(params=[0, 1], ids=["sync", "async"])
def index(request: pytest.FixtureRequest) -> int:
    return request.param


@pytest.fixture(autouse=True)
def _no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-environment")


def test_a_token_is_exchanged_once_and_kept(index: int) -> None:
    platform = Platform()
    client = clients(platform)[index]
    for _ in range(3):
        assert done(client.models.retrieve("m")).id == "m"
    assert platform.tokens == ["Bearer token-1"] * 3
    (exchange,) = platform.exchanges
    assert exchange.url == "https://auth.openai.com/oauth/token"
    assert exchange.headers.get("authorization") is None
    assert json.loads(exchange.content()) == {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "subject_token": "subject",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "identity_provider_id": "idp_1",
        "service_account_id": "svc_1",
    }


def test_id_tokens_and_an_exchange_elsewhere(index: int) -> None:
    platform = Platform()
    provider = {"token_type": "id", "get_token": lambda: "subject"}
    who = identity(provider=provider, token_exchange_url="http://127.0.0.1:9/oauth/token")
    done(clients(platform, who)[index].models.retrieve("m"))
    assert platform.exchanges[0].url == "http://127.0.0.1:9/oauth/token"
    assert json.loads(platform.exchanges[0].content())["subject_token_type"].endswith(":id_token")


def test_subject_tokens_may_be_awaited(index: int) -> None:
    async def get_token() -> str:
        await asyncio.sleep(0)
        return "awaited"

    platform = Platform()
    done(
        clients(platform, identity(provider={"token_type": "jwt", "get_token": get_token}))[index].models.retrieve("m")
    )
    assert json.loads(platform.exchanges[0].content())["subject_token"] == "awaited"


def test_a_token_is_renewed_before_it_ends(index: int, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    platform = Platform(lives=3600)
    client = clients(platform)[index]
    monkeypatch.setattr(client._credential, "_clock", lambda: now[0])
    done(client.models.retrieve("m"))
    for at, exchanges in ((3399, 1), (3401, 2), (5800, 2), (5802, 3)):
        now[0] = at
        done(client.models.retrieve("m"))
        assert len(platform.exchanges) == exchanges, at


@pytest.mark.parametrize(("buffer", "until"), [(10.0, 50.0), (1200.0, 30.0), (0.0, 60.0)])
def test_the_buffer_is_half_a_life_at_most(buffer: float, until: float, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    platform = Platform(lives=60)
    client = clients(platform, identity(refresh_buffer_seconds=buffer))[0]
    monkeypatch.setattr(client._credential, "_clock", lambda: now[0])
    client.models.retrieve("m")
    now[0] = until - 1
    client.models.retrieve("m")
    assert len(platform.exchanges) == 1
    now[0] = until
    client.models.retrieve("m")
    assert len(platform.exchanges) == 2


def test_a_token_that_is_refused_is_replaced_once(index: int) -> None:
    platform = Platform(valid=1)
    assert done(clients(platform)[index].models.retrieve("m")).id == "m"
    assert platform.tokens == ["Bearer token-1", "Bearer token-2"]
    assert [request.headers.get("x-stainless-retry-count") for request in platform.calls] == [None, None]

    platform = Platform(valid=100)
    with pytest.raises(AuthenticationError, match="expired"):
        done(clients(platform)[index].models.retrieve("m"))
    assert platform.tokens == ["Bearer token-1", "Bearer token-2"]


def test_a_body_that_can_be_sent_once_is_not_sent_again(index: int) -> None:
    class Pipe:
        def __init__(self) -> None:
            self.left = b"data"

        def read(self, size: int = -1) -> bytes:
            data, self.left = self.left, b""
            return data

    class Reading(Platform):
        def __call__(self, request: Request) -> Response:
            request.content()
            return super().__call__(request)

    platform = Reading(valid=1)
    with pytest.raises(AuthenticationError):
        done(clients(platform)[index].files.create(file=("a", Pipe()), purpose="assistants"))
    assert len(platform.calls) == 1
    done(clients(platform)[index].models.retrieve("m"))


def test_an_own_header_is_left_alone(index: int) -> None:
    platform = Platform()
    done(clients(platform)[index].models.retrieve("m", extra_headers={"Authorization": "Bearer mine"}))
    done(clients(platform, default_headers={"authorization": "Bearer ours"})[index].models.retrieve("m"))
    assert platform.tokens == ["Bearer mine", "Bearer ours"]
    assert platform.exchanges == []


@pytest.mark.parametrize("status", [400, 401, 403])
def test_a_refused_exchange(index: int, status: int) -> None:
    platform = Platform(json_response(status, {"error": "invalid_grant", "error_description": "who are you?"}))
    with pytest.raises(OAuthError, match="who are you") as refused:
        done(clients(platform, max_retries=2)[index].models.retrieve("m"))
    assert refused.value.status_code == status
    assert refused.value.body == {"error": "invalid_grant", "error_description": "who are you?"}
    assert platform.calls == [] and len(platform.exchanges) == 1


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (json_response(500, {}), "status 500"),
        (json_response(404, {}), "status 404"),
        (Response(200, body=b"hello"), "access_token"),
        (Response(200, body=b""), "access_token"),
        (json_response(200, [1]), "access_token"),
        (json_response(200, {"access_token": "", "expires_in": 1}), "access_token"),
        (json_response(200, {"access_token": "t"}), "expires_in"),
        (json_response(200, {"access_token": "t", "expires_in": "60"}), "expires_in"),
        (json_response(200, {"access_token": "t", "expires_in": 0}), "expires_in"),
    ],
)
def test_an_exchange_that_makes_no_sense(index: int, answer: Response, why: str) -> None:
    with pytest.raises(OpenAIError, match=why):
        done(clients(Platform(answer))[index].models.retrieve("m"))


def test_no_way_to_the_exchange(index: int) -> None:
    with pytest.raises(APIConnectionError):
        done(clients(Platform(APIConnectionError()))[index].models.retrieve("m"))


@pytest.mark.parametrize("failure", [APIConnectionError(), json_response(503, {})])
def test_the_old_token_is_used_while_it_holds(index: int, failure: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    platform = Platform(lives=100)
    client = clients(platform)[index]
    monkeypatch.setattr(client._credential, "_clock", lambda: now[0])
    done(client.models.retrieve("m"))
    platform.answers = [failure, failure]
    now[0] = 60
    done(client.models.retrieve("m"))
    assert platform.tokens == ["Bearer token-1"] * 2
    now[0] = 101
    with pytest.raises(OpenAIError):
        done(client.models.retrieve("m"))


def test_many_at_once_get_one_token() -> None:
    platform = Platform()
    client = clients(platform)[0]
    with ThreadPoolExecutor(8) as executor:
        list(executor.map(lambda _: client.models.retrieve("m"), range(24)))
    assert len(platform.exchanges) == 1

    async def main() -> None:
        many = Platform()
        asked = clients(many)[1]
        await asyncio.gather(*[asked.models.retrieve("m") for _ in range(24)])
        assert len(many.exchanges) == 1

    asyncio.run(main())


def test_a_cancelled_exchange_leaves_the_next_one_free() -> None:
    async def main() -> None:
        gate = asyncio.Event()

        async def get_token() -> str:
            await gate.wait()
            return "subject"

        client = clients(Platform(), identity(provider={"token_type": "jwt", "get_token": get_token}))[1]
        first = asyncio.ensure_future(client.models.retrieve("m"))
        second = asyncio.ensure_future(client.models.retrieve("m"))
        await asyncio.sleep(0.01)
        for task in (second, first):
            task.cancel()
        await asyncio.gather(first, second, return_exceptions=True)
        gate.set()
        assert (await asyncio.wait_for(client.models.retrieve("m"), 5)).id == "m"

    asyncio.run(main())


def test_copies_share_their_tokens(index: int) -> None:
    platform = Platform()
    client = clients(platform)[index]
    done(client.models.retrieve("m"))
    done(client.with_options(timeout=3).models.retrieve("m"))
    assert len(platform.exchanges) == 1
    done(client.with_options(workload_identity=identity()).models.retrieve("m"))
    assert len(platform.exchanges) == 2
    done(client.with_options(api_key="sk-1").models.retrieve("m"))
    assert platform.tokens[-1] == "Bearer sk-1"
    assert len(platform.exchanges) == 2


def test_what_cannot_be() -> None:
    with pytest.raises(OpenAIError, match="give one"):
        OpenAI(api_key="k", workload_identity=identity())
    with pytest.raises(OpenAIError, match="no service_account_id and no provider"):
        OpenAI(workload_identity={"identity_provider_id": "x"})  # type: ignore[typeddict-item,arg-type]
    for provider, why in (
        ({"token_type": "saml", "get_token": lambda: "x"}, "'jwt' or 'id'"),
        ({"token_type": "jwt", "get_token": lambda: ""}, "empty token"),
    ):
        with pytest.raises(OpenAIError, match=why):
            clients(Platform(), identity(provider=provider))[0].models.retrieve("m")


# Certificates


def test_a_certificate_is_the_subject(index: int) -> None:
    platform = Platform()
    who = x509_workload_identity(identity_provider_id="idp_1", service_account_id="svc_1", refresh_buffer_seconds=60)
    client = clients(platform, who)[index]
    assert client.base_url == "https://mtls.api.openai.com/v1/"
    done(client.models.retrieve("m"))
    assert platform.exchanges[0].url == "https://mtls.auth.openai.com/oauth/token"
    assert json.loads(platform.exchanges[0].content()) == {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "subject_token_type": "urn:openai:params:oauth:token-type:x509",
        "identity_provider_id": "idp_1",
        "service_account_id": "svc_1",
    }
    assert OpenAI(workload_identity=who, data_residency="eu").base_url == "https://mtls-eu.api.openai.com/v1/"
    with pytest.raises(OpenAIError, match="no address for 'jp'"):
        OpenAI(workload_identity=who, data_residency="jp")
    with pytest.raises(OpenAIError, match="https"):
        OpenAI(workload_identity=who, base_url="http://127.0.0.1/v1")


# Providers


def test_kubernetes(tmp_path: Path) -> None:
    path = tmp_path / "token"
    provider = k8s_service_account_token_provider(path)
    assert provider["token_type"] == "jwt"
    with pytest.raises(SubjectTokenProviderError, match="cannot be read"):
        provider["get_token"]()
    path.write_text("")
    with pytest.raises(SubjectTokenProviderError, match="is empty"):
        provider["get_token"]()
    path.write_text("abc\n")
    assert provider["get_token"]() == "abc"


class _Metadata(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.server.asked.append((self.path, dict(self.headers)))  # type: ignore[attr-defined]
        status, body = self.server.answer  # type: ignore[attr-defined]
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def metadata() -> Iterator[Any]:
    server: Any = HTTPServer(("127.0.0.1", 0), _Metadata)
    server.asked, server.answer = [], (200, b"")
    server.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("theirs", [False, True])
def test_azure_managed_identity(metadata: Any, theirs: bool) -> None:
    client = httpx2.Client() if theirs else None
    provider = azure_managed_identity_token_provider(
        "https://r/", client_id="c 1", endpoint=metadata.url, http_client=client
    )
    metadata.answer = (200, b'{"access_token": "az"}')
    assert (provider["token_type"], provider["get_token"]()) == ("jwt", "az")
    path, headers = metadata.asked[0]
    asked = httpx2.URL(path)
    assert asked.path == "/metadata/identity/oauth2/token"
    assert dict(asked.params) == {"api-version": "2018-02-01", "resource": "https://r/", "client_id": "c 1"}
    assert {name.lower(): value for name, value in headers.items()}["metadata"] == "true"
    for answer, why in (((200, b"{}"), "access_token"), ((200, b"x"), "not JSON"), ((404, b"{}"), "answered 404")):
        metadata.answer = answer
        with pytest.raises(SubjectTokenProviderError, match=why):
            provider["get_token"]()
    if client is not None:
        client.close()


def test_google(metadata: Any) -> None:
    provider = gcp_id_token_provider("https://a/", endpoint=metadata.url)
    metadata.answer = (200, b"gc\n")
    assert (provider["token_type"], provider["get_token"]()) == ("id", "gc")
    path, headers = metadata.asked[0]
    assert httpx2.URL(path).path == "/computeMetadata/v1/instance/service-accounts/default/identity"
    assert dict(httpx2.URL(path).params) == {"audience": "https://a/"}
    assert {name.lower(): value for name, value in headers.items()}["metadata-flavor"] == "Google"
    metadata.answer = (200, b" ")
    with pytest.raises(SubjectTokenProviderError, match="empty"):
        provider["get_token"]()
    with pytest.raises(SubjectTokenProviderError, match="cannot be asked"):
        gcp_id_token_provider(endpoint="http://127.0.0.1:1", timeout=1)["get_token"]()
