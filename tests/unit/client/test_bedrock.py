"""`BedrockOpenAI`: settings that change, copies, and what the environment says, beside the official client."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest

import antiphon
from antiphon import AsyncBedrockOpenAI, BedrockOpenAI, OpenAIError
from antiphon.kernel.http import Request, Response, json_response
from antiphon.transports.httpx2 import HandlerTransport
from tests.unit.client.test_clouds import AWS
from tests.unit.client.worlds import Scripted, both, failure

KEYS = {"aws_access_key_id": "AK", "aws_secret_access_key": "secret"}
URL = "https://custom.test/openai/v1"


class Recorder:
    def __init__(self) -> None:
        self.requests: list[Request] = []

    def __call__(self, request: Request) -> Response:
        self.requests.append(request)
        return json_response(200, {"id": "m"})


@pytest.fixture
def env(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    for name in AWS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    config = tmp_path / "config"
    config.write_text(
        "[profile west]\nregion=us-west-2\naws_access_key_id=WK\naws_secret_access_key=ws\n"
        "[profile east]\nregion=us-east-1\naws_access_key_id=EK\naws_secret_access_key=es\n"
    )
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(config))
    return monkeypatch


def assigned(client: Any, **values: Any) -> Any:
    for name, value in values.items():
        setattr(client, name, value)
    return client


SCENARIOS: dict[str, Callable[[Any], Any]] = {
    "a key": lambda make: make(api_key="t", aws_region="us-east-1"),
    "a function": lambda make: make(bedrock_token_provider=lambda: "t", aws_region="us-east-1"),
    "keys of AWS": lambda make: make(aws_region="us-east-1", **KEYS),
    "a profile and its region": lambda make: make(aws_profile="west"),
    "the whole address": lambda make: make(api_key="t", base_url=f"{URL}/responses"),
    "an address that is empty": lambda make: make(api_key="t", aws_region="us-east-1", base_url=" "),
    "another key": lambda make: assigned(make(api_key="t", base_url=URL), api_key="u"),
    "a key in place of signatures": lambda make: assigned(make(aws_region="us-east-1", **KEYS), api_key="u"),
    "another region": lambda make: assigned(make(api_key="t", aws_region="us-east-1"), aws_region="eu-west-1"),
    "another region, signed": lambda make: assigned(make(aws_region="us-east-1", **KEYS), aws_region="eu-west-1"),
    "another address": lambda make: assigned(make(aws_region="us-east-1", **KEYS), base_url=URL),
    "an address and then a region": lambda make: assigned(
        make(aws_region="us-east-1", **KEYS), base_url=URL, aws_region="us-west-2"
    ),
    "a copy": lambda make: make(api_key="t", aws_region="us-east-1").copy(timeout=1),
    "a copy of what was assigned": lambda make: assigned(make(api_key="t", base_url=URL), api_key="u").copy(timeout=1),
    "a copy elsewhere": lambda make: make(api_key="t", aws_region="us-east-1").copy(aws_region="eu-west-1"),
    "a copy of a copy elsewhere": lambda make: (
        make(api_key="t", aws_region="us-east-1").copy(timeout=1).copy(aws_region="eu-west-1")
    ),
    "a copy elsewhere that keeps its address": lambda make: make(
        api_key="t", base_url=URL, aws_region="us-east-1"
    ).copy(aws_region="eu-west-1"),
    "a copy at an address": lambda make: make(aws_region="us-east-1", **KEYS).copy(base_url=URL),
    "a copy back at its region": lambda make: make(api_key="t", base_url=URL, aws_region="us-east-1").copy(base_url=""),
    "a copy that signs": lambda make: make(api_key="t", aws_region="us-east-1").copy(**KEYS),
    "a copy with a key": lambda make: make(aws_region="us-east-1", **KEYS).copy(api_key="t"),
    "a copy with a function": lambda make: make(api_key="t", aws_region="us-east-1").copy(
        bedrock_token_provider=lambda: "f"
    ),
    "a copy of another profile": lambda make: make(aws_profile="west").copy(aws_profile="east"),
    "a copy of a profile with keys": lambda make: make(aws_profile="west").copy(**KEYS),
    "a copy that signs, of one with an address": lambda make: make(
        api_key="t", base_url=URL, aws_region="eu-west-1"
    ).copy(**KEYS),
    "headers and a query": lambda make: make(
        api_key="t", base_url=URL, default_headers={"x-a": "1"}, default_query={"q": "1"}, organization="o", project="p"
    ).copy(default_headers={"x-b": "2"}),
}


def outcome(kind: Any, scenario: Callable[[Any], Any]) -> Any:
    """What a client of either package sends, and what it says of itself."""
    recorder = Recorder()
    settings: dict[str, Any] = {"http_client": recorder}
    if kind.__module__.startswith("openai"):
        settings["http_client"] = httpx2.Client(transport=HandlerTransport(recorder))
    client = scenario(lambda **given: kind(**settings, **given))
    client.models.retrieve("m")
    request = recorder.requests[-1]
    headers = {name: request.headers.get(name) for name in ("x-a", "x-b", "openai-organization", "openai-project")}
    proof = request.headers["authorization"]
    if proof.startswith("AWS4"):
        proof = proof.partition(",")[0].split("/")[::2]  # neither the day nor the signature
    return request.url, proof, headers, client.aws_region, client.api_key, str(client.base_url)


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_client_asks_where_the_official_one_does(name: str, env: pytest.MonkeyPatch) -> None:
    assert outcome(BedrockOpenAI, SCENARIOS[name]) == outcome(openai.BedrockOpenAI, SCENARIOS[name])


ENVIRONMENTS: list[dict[str, str]] = [
    {"AWS_BEARER_TOKEN_BEDROCK": "env", "AWS_REGION": "us-west-2"},
    {"AWS_BEARER_TOKEN_BEDROCK": "env", "AWS_DEFAULT_REGION": "us-west-2", "AWS_BEDROCK_BASE_URL": URL},
    {"AWS_ACCESS_KEY_ID": "AK", "AWS_SECRET_ACCESS_KEY": "s", "AWS_REGION": "us-west-2"},
]


@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize("name", ["nothing", "a copy", "a copy elsewhere", "a copy with a key", "another region"])
def test_what_the_environment_says(name: str, environment: dict[str, str], env: pytest.MonkeyPatch) -> None:
    scenarios: dict[str, Callable[[Any], Any]] = {
        "nothing": lambda make: make(),
        "a copy": lambda make: make().copy(timeout=1),
        "a copy elsewhere": lambda make: make().copy(aws_region="eu-west-1"),
        "a copy with a key": lambda make: make().copy(api_key="t"),
        "another region": lambda make: assigned(make(), aws_region="eu-west-1"),
    }
    for key, value in environment.items():
        env.setenv(key, value)
    assert outcome(BedrockOpenAI, scenarios[name]) == outcome(openai.BedrockOpenAI, scenarios[name])


def test_a_copy_is_not_changed_by_the_environment(env: pytest.MonkeyPatch) -> None:
    env.setenv("AWS_ACCESS_KEY_ID", "AK")
    env.setenv("AWS_SECRET_ACCESS_KEY", "s")
    recorder = Recorder()
    client = BedrockOpenAI(aws_region="us-east-1", transport=recorder)
    env.setenv("AWS_BEARER_TOKEN_BEDROCK", "late")
    for each in (client, client.copy(timeout=1)):
        each.models.retrieve("m")
        assert recorder.requests[-1].headers["authorization"].startswith("AWS4")


REFUSED: list[tuple[Callable[[Any], Any], str]] = [
    (lambda kind: kind(api_key="t"), "AWS_REGION"),
    (lambda kind: kind(api_key="", aws_region="us-east-1"), "empty"),
    (lambda kind: kind(api_key=lambda: "t", aws_region="us-east-1"), "bedrock_token_provider"),
    (lambda kind: kind(api_key="t", bedrock_token_provider=lambda: "t", aws_region="us-east-1"), "ambiguous"),
    (lambda kind: kind(api_key="t", aws_region="us-east-1", **KEYS), "ambiguous"),
    (lambda kind: kind(aws_access_key_id="a", aws_region="us-east-1"), "both"),
    (lambda kind: kind(api_key="t", base_url=URL).copy(provider=None), "`provider`"),
    (lambda kind: kind(api_key="t", base_url=URL).copy(admin_api_key="k"), "bearer token"),
    (lambda kind: kind(api_key="t", base_url=URL).copy(data_residency="eu"), "data_residency"),
    (lambda kind: kind(api_key="t", base_url=URL).copy(bedrock_token_provider=lambda: "t", **KEYS), "ambiguous"),
    (lambda kind: assigned(kind(api_key="t", base_url=URL), api_key=None).copy(timeout=1), "empty"),
]


@pytest.mark.parametrize("kind", [BedrockOpenAI, AsyncBedrockOpenAI])
@pytest.mark.parametrize(("make", "message"), REFUSED)
def test_what_contradicts_itself_is_refused(
    kind: Any, make: Callable[[Any], Any], message: str, env: pytest.MonkeyPatch
) -> None:
    with pytest.raises(OpenAIError, match=message):
        make(kind)


def test_a_key_that_was_taken_away_is_not_replaced_by_another_proof(env: pytest.MonkeyPatch) -> None:
    env.setenv("AWS_ACCESS_KEY_ID", "AK")
    env.setenv("AWS_SECRET_ACCESS_KEY", "s")
    recorder = Recorder()
    client = assigned(BedrockOpenAI(api_key="t", base_url=URL, transport=recorder), api_key=None)
    with pytest.raises(OpenAIError, match="must not be empty"):
        client.models.retrieve("m")
    assert not recorder.requests


async def test_both_colours(env: pytest.MonkeyPatch) -> None:
    async def later() -> str:
        return "later"

    world = Scripted(failure(500, {"retry-after-ms": "1"}), json_response(200, {"id": "m"}))
    client = AsyncBedrockOpenAI(bedrock_token_provider=later, aws_region="us-east-1", transport=world)
    assert (await client.models.retrieve("m")).id == "m"
    assert [request.headers["authorization"] for request in world.requests] == ["Bearer later"] * 2
    signing = AsyncBedrockOpenAI(aws_region="us-east-1", transport=world, **KEYS)  # type: ignore[arg-type]
    await signing.copy(aws_region="eu-west-1").models.retrieve("m")
    assert "/eu-west-1/bedrock-mantle/" in world.last.headers["authorization"]
    assert world.last.origin == "https://bedrock-mantle.eu-west-1.api.aws"


def test_administration_goes_with_the_same_proof(env: pytest.MonkeyPatch) -> None:
    recorder = Recorder()
    clients = (
        BedrockOpenAI(api_key="t", base_url=URL, transport=recorder),
        AsyncBedrockOpenAI(api_key="t", base_url=URL, transport=recorder),
    )
    both(lambda client: client.admin.organization.invites.retrieve("i"), *clients)
    assert [request.headers["authorization"] for request in recorder.requests] == ["Bearer t"] * 2


def test_no_secret_is_in_a_repr(env: pytest.MonkeyPatch) -> None:
    client = BedrockOpenAI(aws_region="us-east-1", **KEYS)  # type: ignore[arg-type]
    assert "secret" not in repr(client) + repr(client._who)
    assert asyncio.iscoroutinefunction(AsyncBedrockOpenAI.close)
    assert antiphon.BedrockOpenAI is BedrockOpenAI
