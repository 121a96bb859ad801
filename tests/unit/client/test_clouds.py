"""Bedrock and Vertex behind `provider=`: what goes over the wire beside the official client, and who it is shown to."""

from __future__ import annotations

import asyncio
import datetime
import hashlib
import hmac
import io
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import httpx2
import openai
import openai.providers
import pytest

import antiphon
from antiphon import APIStatusError, APITimeoutError, AsyncOpenAI, OpenAI, OpenAIError
from antiphon.kernel.http import Request, Response, json_response
from antiphon.providers import bedrock, vertex
from tests.unit.client.test_requests import CALLS, ask, seen
from tests.unit.client.wire import Received, Wire, reply
from tests.unit.client.worlds import Scripted, both, failure

KEYS = {"access_key_id": "AKIDEXAMPLE", "secret_access_key": "secret", "session_token": "session"}
AWS = (
    "AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN AWS_PROFILE AWS_DEFAULT_PROFILE AWS_REGION "
    "AWS_DEFAULT_REGION AWS_BEARER_TOKEN_BEDROCK AWS_BEDROCK_BASE_URL"
).split()
GOOGLE = ["GOOGLE_CLOUD_PROJECT", "GOOGLE_CLOUD_LOCATION", "GOOGLE_APPLICATION_CREDENTIALS"]
CREATE: dict[str, Any] = {"model": "m", "input": "x"}


@pytest.fixture(autouse=True)
def no_clouds(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    for name in (*AWS, *GOOGLE):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))


class Recorder:
    def __init__(self) -> None:
        self.requests: list[Request] = []

    def __call__(self, request: Request) -> Response:
        self.requests.append(request)
        return json_response(200, {"id": "m"})

    @property
    def last(self) -> Request:
        return self.requests[-1]


# On the wire

PROVIDERS: dict[str, Callable[[Any, str], Any]] = {
    "a token of Bedrock": lambda module, url: module.bedrock(base_url=url, api_key="token"),
    "a function for tokens of Bedrock": lambda module, url: module.bedrock(base_url=url, token_provider=lambda: "t 2"),
    "signed for Bedrock": lambda module, url: module.bedrock(base_url=url, region="us-east-1", **KEYS),
    "a token of Vertex": lambda module, url: module.vertex(base_url=url, token_provider=lambda: "token"),
}
SETTINGS: dict[str, Any] = {"max_retries": 0, "default_headers": {"X-Default": "1"}, "default_query": {"dq": "2"}}
ASKED = [
    "json",
    "json with a stream, null and numbers as keys",
    "get",
    "delete",
    "no body",
    "extra everything",
    "admin",
]


@pytest.fixture(scope="module")
def server() -> Iterator[Wire]:
    with Wire(lambda received: reply({"id": "x", "object": "list", "data": []})) as server:
        yield server
        assert not server.problems


def shown(received: Received) -> tuple[Any, ...]:
    """A request, its signature apart."""
    method, target, headers, body = seen(received)
    if "x-amz-date" in headers:
        scheme, _, rest = headers.pop("authorization").partition(" ")
        headers.update(authorization=(scheme, rest.split(",")[0].split("/")[:1] + rest.split(",")[0].split("/")[2:]))
        # Of the second it was made in, and of the order of the body's keys.
        for name in ("x-amz-date", "x-amz-content-sha256"):
            headers.pop(name)
    return method, target, headers, body


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("name", ASKED)
def test_a_request_is_the_official_one(server: Wire, provider: str, name: str) -> None:
    make = PROVIDERS[provider]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        for client in (
            openai.OpenAI(provider=make(openai.providers, server.base), **SETTINGS),
            OpenAI(provider=make(antiphon.providers, server.base), **SETTINGS),
        ):
            with client:
                ask(client, CALLS[name])
    official, ours = map(shown, server.received[-2:])
    assert ours == official


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_an_async_request_is_the_blocking_one(server: Wire, provider: str) -> None:
    make = PROVIDERS[provider]
    blocking = OpenAI(provider=make(antiphon.providers, server.base), **SETTINGS)
    await asyncio.to_thread(lambda: CALLS["json"](blocking))
    async with AsyncOpenAI(provider=make(antiphon.providers, server.base), **SETTINGS) as client:
        await CALLS["json"](client)
    first, second = map(shown, server.received[-2:])
    assert first == second


def signature_of(received: Received, region: str = "us-east-1", service: str = "bedrock-mantle") -> str:
    """What a server of Amazon's reckons from what arrived, written down from their description alone."""
    given = received.header("authorization") or ""
    names = given.partition("SignedHeaders=")[2].partition(",")[0].split(";")
    path, _, query = received.target.partition("?")
    canonical = "\n".join(
        (
            received.method,
            quote(path, safe="/-_.~"),
            "&".join(sorted(query.split("&"))) if query else "",
            *(f"{name}:{' '.join((received.header(name) or '').split())}" for name in names),
            "",
            ";".join(names),
            hashlib.sha256(received.body).hexdigest(),
        )
    )
    when = received.header("x-amz-date") or ""
    scope = f"{when[:8]}/{region}/{service}/aws4_request"
    said = f"AWS4-HMAC-SHA256\n{when}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = b"AWS4secret"
    for part in (when[:8], region, service, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return hmac.new(key, said.encode(), hashlib.sha256).hexdigest()


SIGNED = [*ASKED, "query", "get with a path to be quoted", "json with a date"]


@pytest.mark.parametrize("name", SIGNED)
def test_what_arrives_is_what_was_signed(server: Wire, name: str) -> None:
    for module, kind in ((openai.providers, openai.OpenAI), (antiphon.providers, OpenAI)):
        with kind(provider=PROVIDERS["signed for Bedrock"](module, server.base), **SETTINGS) as client:
            ask(client, CALLS[name])
        received = server.received[-1]
        assert (received.header("authorization") or "").endswith(f"Signature={signature_of(received)}")
        assert received.header("x-amz-content-sha256") == hashlib.sha256(received.body).hexdigest()
        assert received.header("x-amz-security-token") == "session"


@pytest.mark.parametrize("name", ["form with a path", "form with a file in memory", "form with several files"])
def test_forms_are_signed_too(server: Wire, name: str) -> None:
    with OpenAI(provider=PROVIDERS["signed for Bedrock"](antiphon.providers, server.base), **SETTINGS) as client:
        ask(client, CALLS[name])
    received = server.received[-1]
    assert (received.header("authorization") or "").endswith(f"Signature={signature_of(received)}")


def test_a_fake_stands_for_the_clouds() -> None:
    fake = antiphon.FakeOpenAI()
    for make in PROVIDERS.values():
        client = OpenAI(provider=make(antiphon.providers, "https://cloud.test/v1"), transport=fake)
        assert client.responses.create(**CREATE).status == "completed"
    nobody = OpenAI(api_key="k", transport=fake, default_headers={"Authorization": "AWS4-HMAC-SHA256 nothing"})
    with pytest.raises(antiphon.AuthenticationError):
        nobody.models.list()


def test_each_attempt_is_proved_anew() -> None:
    class Credentials:
        def __init__(self, number: int) -> None:
            self.access_key, self.secret_key, self.token = f"key-{number}", "secret", None

    numbers = iter((1, 2))
    world = Scripted(failure(429, {"retry-after-ms": "1"}), json_response(200, {"id": "m"}))
    provider = bedrock(region="us-east-1", credential_provider=lambda: Credentials(next(numbers)))
    OpenAI(provider=provider, transport=world).models.retrieve("m")
    first, second = (request.headers["authorization"] for request in world.requests)
    assert "Credential=key-1/" in first
    assert "Credential=key-2/" in second
    assert "x-stainless-retry-count" in second.partition("SignedHeaders=")[2]

    tokens = iter(("a", "b", "c", "d"))
    for make in (bedrock, vertex):
        world = Scripted(failure(500, {"retry-after-ms": "1"}), json_response(200, {"id": "m"}))
        url = {"base_url": "https://host.test/v1"}
        OpenAI(provider=make(**url, token_provider=lambda: next(tokens)), transport=world).models.retrieve("m")  # type: ignore[operator]
    assert next(tokens, None) is None


def test_what_hooks_add_is_signed() -> None:
    recorder = Recorder()
    hooks = antiphon.Hooks(before=lambda attempt: attempt.set_header("x-trace", "t"))
    client = OpenAI(provider=bedrock(region="us-east-1", **KEYS), transport=recorder, hooks=hooks)
    for each in (client, client.with_options(timeout=3)):
        each.models.retrieve("m")
        assert "x-trace" in recorder.last.headers["authorization"]


def test_what_can_be_sent_once_cannot_be_signed() -> None:
    recorder = Recorder()
    signed = OpenAI(provider=bedrock(region="us-east-1", **KEYS), transport=recorder)
    with pytest.raises(OpenAIError, match="replayable"):
        signed.post("/x", cast_to=object, content=(piece for piece in (b"a", b"b")))
    assert not recorder.requests
    signed.post("/x", cast_to=object, content=io.BytesIO(b"abc"))
    assert recorder.last.headers["x-amz-content-sha256"] == hashlib.sha256(b"abc").hexdigest()
    bearer = OpenAI(provider=bedrock(region="us-east-1", api_key="t"), transport=recorder)
    bearer.post("/x", cast_to=object, content=(piece for piece in (b"a", b"b")))
    assert recorder.last.content() == b"ab"


# Where they lead


@pytest.mark.parametrize(
    ("provider", "url"),
    [
        (lambda: bedrock(region="us-east-1", api_key="t"), "https://bedrock-mantle.us-east-1.api.aws/openai/v1"),
        (
            lambda: bedrock(endpoint="runtime", region="cn-north-1", api_key="t"),
            "https://bedrock-runtime.cn-north-1.amazonaws.com.cn/openai/v1",
        ),
        (
            lambda: bedrock(
                base_url="https://bedrock-runtime-fips.us-isob-east-1.api.aws.scloud/openai/v1/", api_key="t"
            ),
            "https://bedrock-runtime-fips.us-isob-east-1.api.aws.scloud/openai/v1",
        ),
        (lambda: bedrock(base_url="https://p.test/v1/responses/", api_key="t"), "https://p.test/v1"),
        (
            lambda: vertex(project="p", location="global", token_provider=lambda: "t"),
            "https://aiplatform.googleapis.com/v1/projects/p/locations/global/publishers/openai/v1",
        ),
        (
            lambda: vertex(project="example.com:p", location="us-east5", token_provider=lambda: "t"),
            "https://us-east5-aiplatform.googleapis.com/v1/projects/example.com:p/locations/us-east5/publishers/openai/v1",
        ),
    ],
)
def test_addresses(provider: Callable[[], Any], url: str) -> None:
    recorder = Recorder()
    client = OpenAI(provider=provider(), transport=recorder)
    assert client.base_url == f"{url}/"
    client.responses.create(**CREATE)
    assert recorder.last.url == f"{url}/responses"


def test_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    recorder = Recorder()

    def url(provider: Any) -> str:
        OpenAI(provider=provider, transport=recorder).models.retrieve("m")
        return recorder.last.url

    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-west-2")
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "first")
    assert url(bedrock()).startswith("https://bedrock-mantle.us-west-2.")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    assert url(bedrock()).startswith("https://bedrock-mantle.eu-west-1.")
    assert recorder.last.headers["authorization"] == "Bearer first"
    # The token is looked for before each attempt.
    client = OpenAI(provider=bedrock(), transport=recorder)
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "second")
    client.models.retrieve("m")
    assert recorder.last.headers["authorization"] == "Bearer second"
    monkeypatch.setenv("AWS_BEDROCK_BASE_URL", "https://proxy.test/openai/v1")
    assert url(bedrock()).startswith("https://proxy.test/openai/v1/models")
    assert url(bedrock(base_url=None)).startswith("https://bedrock-mantle.eu-west-1.")
    # Not the token, but AWS's own chain: here its variables, then a profile with its region.
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "chained")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    url(bedrock(api_key=None))
    assert "Credential=chained/" in recorder.last.headers["authorization"]
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_BEDROCK_BASE_URL"):
        monkeypatch.delenv(name)
    (tmp_path / "none").write_text("[profile p]\nregion=us-west-2\naws_access_key_id=pk\naws_secret_access_key=ps\n")
    assert url(bedrock(profile="p")).startswith("https://bedrock-mantle.us-west-2.")
    assert "Credential=pk/" in recorder.last.headers["authorization"]

    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "env")
    monkeypatch.setenv("GOOGLE_CLOUD_LOCATION", "eu-west4")
    assert "eu-west4-aiplatform" in url(vertex(token_provider=lambda: "t"))
    assert "/projects/env/" in recorder.last.url


def test_what_is_said_to_openai_is_not_said_to_a_cloud(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-openai")
    monkeypatch.setenv("OPENAI_ADMIN_KEY", "sk-admin")
    monkeypatch.setenv("OPENAI_BASE_URL", "https://openai.test/v1")
    monkeypatch.setenv("OPENAI_ORG_ID", "org")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Env: 1")
    monkeypatch.setenv("OPENAI_WEBHOOK_SECRET", "whsec")
    recorder = Recorder()
    plain = OpenAI(transport=recorder, default_headers={"X-Mine": "1"})
    cloud = plain.with_options(provider=bedrock(region="us-east-1", api_key="aws"))
    for client in (OpenAI(provider=bedrock(region="us-east-1", api_key="aws"), transport=recorder), cloud):
        client.models.retrieve("m")
        assert recorder.last.headers["authorization"] == "Bearer aws"
        assert not {"x-env", "x-mine", "openai-organization", "openai-project"} & set(recorder.last.headers)
        assert (client.api_key, client.admin_api_key, client.webhook_secret) == ("", None, "whsec")
    own = cloud.with_options(default_headers={"X-Cloud": "1"}, organization="o", timeout=3)
    own.models.retrieve("m")
    assert (recorder.last.headers["x-cloud"], recorder.last.headers["openai-organization"]) == ("1", "o")
    back = own.with_options(provider=None, api_key="sk-2")
    back.models.retrieve("m")
    assert recorder.last.url == "https://openai.test/v1/models/m"
    assert recorder.last.headers["authorization"] == "Bearer sk-2"
    assert "x-cloud" not in recorder.last.headers


@pytest.mark.parametrize("provider", PROVIDERS)
def test_nobody_else_is_shown_the_proof(provider: str) -> None:
    recorder = Recorder()
    client = OpenAI(provider=PROVIDERS[provider](antiphon.providers, "https://cloud.test/v1"), transport=recorder)
    with pytest.raises(OpenAIError, match="origin"):
        client.get("https://elsewhere.test/v1/models", cast_to=object)
    for header in (
        ({"Authorization": "Bearer mine"}, {"api-key": "mine"})
        if "Vertex" in provider
        else ({"Authorization": "Bearer mine"},)
    ):
        with pytest.raises(OpenAIError, match=r"authentication|custom"):
            client.models.retrieve("m", extra_headers=header)
    assert not recorder.requests
    client.get("https://CLOUD.test:443/v1/models", cast_to=object)
    assert len(recorder.requests) == 1
    with pytest.raises(OpenAIError, match="WebSocket"):
        client.realtime.connect(model="m").enter()
    with pytest.raises(OpenAIError, match="WebSocket"):
        asyncio.run(entered(AsyncOpenAI(provider=client._cloud)))  # type: ignore[arg-type]


async def entered(client: AsyncOpenAI) -> None:
    async with client.realtime.connect(model="m"):
        pass


def test_redirects_are_followed_with_a_token_of_bedrock_only() -> None:
    def answer(received: Received) -> bytes:
        if received.target.endswith("/there"):
            return reply({"id": "m"})
        return reply({}, status=307, headers={"location": "/there"})

    with Wire(answer) as server:
        for name, make in PROVIDERS.items():
            mine = httpx2.Client(follow_redirects=True, auth=("user", "password"))
            for client in (
                OpenAI(provider=make(antiphon.providers, server.base), max_retries=0),
                OpenAI(provider=make(antiphon.providers, server.base), max_retries=0, http_client=mine),
            ):
                with client:
                    if "token" in name and "Bedrock" in name:
                        client.models.retrieve("m")
                    else:
                        with pytest.raises(APIStatusError) as caught:
                            client.models.retrieve("m")
                        assert caught.value.status_code == 307
                        assert client.with_options(timeout=5).models
                assert "Basic" not in (server.received[-1].header("authorization") or "")


# What is refused

REFUSED: list[tuple[Callable[[], Any], str]] = [
    (lambda: OpenAI(provider=object()), "antiphon.providers"),  # type: ignore[arg-type]
    (lambda: OpenAI(provider=bedrock(region="us-east-1", api_key="t"), api_key="k"), "`api_key`"),
    (lambda: OpenAI(provider=bedrock(region="us-east-1", api_key="t"), base_url="https://x.test"), "`base_url`"),
    (lambda: OpenAI(provider=bedrock(region="us-east-1", api_key="t"), data_residency="eu"), "data_residency"),
    (lambda: OpenAI(provider=bedrock(api_key="t")), "AWS_REGION"),
    (lambda: bedrock(endpoint="other", region="us-east-1"), "mantle"),  # type: ignore[arg-type]
    (lambda: bedrock(region="us-east-1.evil.test/", api_key="t"), "region"),
    (lambda: bedrock(region=" ", api_key="t"), "region"),
    (lambda: bedrock(base_url=" ", api_key="t"), "base_url"),
    (lambda: bedrock(region="us-east-1", api_key=" "), "empty"),
    (lambda: bedrock(region="us-east-1", api_key="t", token_provider=lambda: "t"), "token_provider"),
    (lambda: bedrock(region="us-east-1", api_key="t", profile="p"), "ambiguous"),
    (lambda: bedrock(region="us-east-1", profile="p", credential_provider=lambda: None), "ambiguous"),
    (lambda: bedrock(region="us-east-1", access_key_id="a"), "both"),
    (lambda: bedrock(region="us-east-1", session_token="a"), "both"),
    (lambda: bedrock(region="us-east-1", access_key_id=" ", secret_access_key="s"), "access_key_id"),
    (lambda: bedrock(base_url="http://bedrock-mantle.us-east-1.api.aws/v1", api_key="t"), "HTTPS"),
    (lambda: bedrock(base_url="https://bedrock-mantle.us-east-1.api.aws/v1", region="us-east-2"), "us-east-2"),
    (lambda: bedrock(base_url="https://bedrock-mantle.us-east-1.api.aws/v1", endpoint="runtime"), "endpoint"),
    (lambda: vertex(location="global"), "GOOGLE_CLOUD_PROJECT"),
    (lambda: vertex(project="..", location="global"), "project"),
    (lambda: vertex(project="p"), "GOOGLE_CLOUD_LOCATION"),
    (lambda: vertex(project="p", location="evil.test/"), "location"),
    (lambda: vertex(base_url="https://user:password@x.test/v1"), "credentials"),
    (lambda: vertex(base_url="ftp://x.test/v1"), "HTTP"),
    (lambda: vertex(base_url="http://eu-aiplatform.googleapis.com/v1"), "HTTPS"),
    (lambda: vertex(base_url="https://x.test", credentials=object(), token_provider=lambda: "t"), "only one"),  # type: ignore[arg-type]
]


@pytest.mark.parametrize(("make", "message"), REFUSED)
def test_what_contradicts_itself_is_refused(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(OpenAIError, match=message):
        make()


def test_tokens_that_are_none() -> None:
    def fails() -> str:
        raise ValueError("a secret")

    async def later() -> str:
        return "t"

    url = "https://cloud.test/v1"
    for make in (bedrock, vertex):
        for function, expected in ((fails, ("cannot be had", "failed")), (lambda: " ", ("empty", "header"))):
            for kind in (OpenAI, AsyncOpenAI):
                [error] = both(
                    lambda client: client.models.retrieve("m"),
                    kind(provider=make(base_url=url, token_provider=function), transport=Recorder()),  # type: ignore[operator]
                )
                assert isinstance(error, OpenAIError)
                assert any(word in str(error) for word in expected)
        with pytest.raises(OpenAIError, match="AsyncOpenAI"):
            OpenAI(provider=make(base_url=url, token_provider=later), transport=Recorder()).models.retrieve("m")  # type: ignore[operator]
        recorder = Recorder()
        client = AsyncOpenAI(provider=make(base_url=url, token_provider=later), transport=recorder)  # type: ignore[operator]
        both(lambda client: client.models.retrieve("m"), client)
        assert recorder.last.headers["authorization"] == "Bearer t"


def test_no_secret_is_in_a_repr() -> None:
    for provider in (
        bedrock(region="us-east-1", **KEYS),
        bedrock(region="us-east-1", api_key="secret"),
        vertex(base_url="https://x.test/v1", token_provider=lambda: "secret"),
    ):
        client = OpenAI(provider=provider, transport=Recorder())
        assert "secret" not in repr(provider) + repr(client) + repr(client._credential)


@pytest.mark.parametrize("missing", ["botocore", "google"])
def test_packages_that_are_not_there_are_named(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == missing]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    extra = {"botocore": "bedrock", "google": "vertex"}[missing]
    provider = bedrock(region="us-east-1") if missing == "botocore" else vertex(project="p", location="global")
    for kind in (OpenAI, AsyncOpenAI):
        [error] = both(lambda client: client.models.retrieve("m"), kind(provider=provider, transport=Recorder()))
        assert isinstance(error, OpenAIError)
        assert f"pip install antiphon[{extra}]" in str(error)


def test_there_may_be_no_credentials_at_all() -> None:
    for provider in (
        bedrock(region="us-east-1", api_key=None),
        bedrock(region="us-east-1", credential_provider=lambda: None),
    ):
        with pytest.raises(OpenAIError, match="no credentials"):
            OpenAI(provider=provider, transport=Recorder()).models.retrieve("m")
    with pytest.raises(OpenAIError, match="profile"):
        OpenAI(provider=bedrock(region="us-east-1", profile="nobody"), transport=Recorder()).models.retrieve("m")


# Google's credentials


def credentials_of(refreshed: Callable[[Any], None]) -> Any:
    from google.auth.credentials import Credentials

    class Own(Credentials):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self._quota_project_id = "quota"
            self.number = 0

        def refresh(self, request: Any) -> None:
            refreshed(request)
            self.number += 1
            self.token = f"token-{self.number}"
            self.expiry = datetime.datetime.now(datetime.UTC).replace(tzinfo=None) + datetime.timedelta(hours=1)

    return Own()


def test_the_credentials_of_google_are_kept_and_renewed(monkeypatch: pytest.MonkeyPatch) -> None:
    import google.auth

    asked: list[Any] = []
    own = credentials_of(lambda request: None)
    monkeypatch.setattr(google.auth, "default", lambda **given: (asked.append(given), (own, "p"))[1])
    recorder = Recorder()
    client = OpenAI(provider=vertex(base_url="https://x.test/v1"), transport=recorder)
    threads = [threading.Thread(target=lambda: client.responses.create(**CREATE)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    client.with_options(timeout=3).responses.create(**CREATE)
    assert {request.headers["authorization"] for request in recorder.requests} == {"Bearer token-1"}
    assert recorder.last.headers["x-goog-user-project"] == "quota"
    own.expiry = datetime.datetime(2000, 1, 1)
    both(
        lambda client: client.responses.create(**CREATE),
        client,
        AsyncOpenAI(provider=vertex(base_url="https://x.test/v1", credentials=own), transport=recorder),
    )
    assert recorder.last.headers["authorization"] == "Bearer token-2"
    assert len(asked) == 1
    assert asked[0]["scopes"] == ("https://www.googleapis.com/auth/cloud-platform",)


def test_what_google_says_stays_with_google() -> None:
    def fails(request: Any) -> None:
        raise ValueError("a private key")

    client = OpenAI(
        provider=vertex(base_url="https://x.test/v1", credentials=credentials_of(fails)), transport=Recorder()
    )
    with pytest.raises(OpenAIError, match="credentials for Vertex") as caught:
        client.models.retrieve("m")
    assert caught.value.__cause__ is None
    assert "private" not in str(caught.value)


def test_google_is_asked_within_the_times_of_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    import requests

    times: list[Any] = []

    def request(session: Any, *args: Any, **given: Any) -> Any:
        times.append(given["timeout"])
        raise requests.exceptions.ReadTimeout("secret")

    monkeypatch.setattr(requests.Session, "request", request)
    client = OpenAI(
        provider=vertex(
            base_url="https://x.test/v1", credentials=credentials_of(lambda ask: ask("https://accounts.test/token"))
        ),
        transport=Recorder(),
        timeout=antiphon.Timeout(7, connect=2),
        max_retries=0,
    )
    with pytest.raises(APITimeoutError):
        client.models.retrieve("m")
    assert times == [(2, 7)]


def test_a_token_has_to_be_there_in_time() -> None:
    async def never() -> str:
        await asyncio.sleep(60)
        return "t"

    provider = vertex(base_url="https://x.test/v1", token_provider=never)
    client = AsyncOpenAI(provider=provider, transport=Recorder(), timeout=0.01)
    [error] = both(lambda client: client.models.retrieve("m"), client)
    assert isinstance(error, APITimeoutError)
