from __future__ import annotations

import base64
import inspect
import json
import time
from typing import Any

import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon import AsyncOpenAI, InvalidWebhookSignatureError, OpenAI
from antiphon.kernel.signatures import sign, verify
from antiphon.types.webhooks import (
    BatchCompletedWebhookEvent,
    ResponseCompletedWebhookEvent,
    SafetyAlertCreatedWebhookEvent,
)

SECRET = "whsec_" + base64.b64encode(b"a very secret key").decode()
PAYLOAD = json.dumps(
    {
        "id": "evt_1",
        "object": "event",
        "created_at": 1,
        "type": "response.completed",
        "data": {"id": "resp_1"},
        "new": "é",
    }
)


def no_network(request: Any) -> Any:
    raise AssertionError("nothing is sent")


CLIENTS = [
    OpenAI(api_key="k", webhook_secret=SECRET, transport=no_network),
    AsyncOpenAI(api_key="k", webhook_secret=SECRET, transport=no_network),
]
OFFICIAL = openai.OpenAI(api_key="k", webhook_secret=SECRET)


def headers(payload: str | bytes = PAYLOAD, *, at: float | None = None, secret: str = SECRET) -> dict[str, str]:
    sent = int(time.time() if at is None else at)
    return {
        "Webhook-Id": "wh_1",
        "Webhook-Timestamp": str(sent),
        "Webhook-Signature": sign(payload, id="wh_1", timestamp=sent, secret=secret),
    }


@pytest.mark.parametrize("client", CLIENTS)
def test_an_event_is_unwrapped(client: Any) -> None:
    event = client.webhooks.unwrap(PAYLOAD, headers())
    assert type(event) is ResponseCompletedWebhookEvent
    assert (event.type, event.data.id, event.new) == ("response.completed", "resp_1", "é")
    match event:
        case ResponseCompletedWebhookEvent(data=data):
            assert data.id == "resp_1"
    assert client.webhooks.unwrap(PAYLOAD.encode(), headers()) == event


def test_every_event_has_its_type() -> None:
    for name, kind in {
        "batch.completed": BatchCompletedWebhookEvent,
        "safety.alert.created": SafetyAlertCreatedWebhookEvent,
    }.items():
        payload = json.dumps({"id": "evt", "type": name, "data": {"id": "x"}})
        assert type(CLIENTS[0].webhooks.unwrap(payload, headers(payload))) is kind
    payload = json.dumps({"id": "evt", "type": "something.new", "data": {"id": "x"}})
    assert CLIENTS[0].webhooks.unwrap(payload, headers(payload))["data"]["id"] == "x"


@given(st.text(), st.text(st.characters(codec="utf-8"), min_size=1, max_size=40).filter(lambda s: s[:6] != "whsec_"))
def test_what_we_sign_the_official_package_accepts(payload: str, secret: str) -> None:
    signed = headers(payload, secret=secret)
    OFFICIAL.webhooks.verify_signature(payload, signed, secret=secret)
    verify(payload, signed, secret=secret)
    verify(payload.encode(), list(signed.items()), secret=secret)


@pytest.mark.parametrize("bare", [True, False])
def test_secrets_with_and_without_prefix(bare: bool) -> None:
    secret = "plain" if bare else SECRET
    CLIENTS[0].webhooks.verify_signature(PAYLOAD, headers(secret=secret), secret=secret)
    with pytest.raises(InvalidWebhookSignatureError, match="not signed with this secret"):
        CLIENTS[0].webhooks.verify_signature(PAYLOAD, headers(secret=secret), secret="x" + secret)
    with pytest.raises(ValueError, match="base64 after `whsec_`"):
        CLIENTS[0].webhooks.verify_signature(PAYLOAD, headers(), secret="whsec_abcde")


def test_one_of_several_signatures_is_enough() -> None:
    signed = headers()
    good = signed["Webhook-Signature"]
    for several in (f"v1,bm8= {good}", f"{good} v1,bm8=", good.removeprefix("v1,"), f"v2,x  {good}"):
        CLIENTS[0].webhooks.verify_signature(PAYLOAD, {**signed, "Webhook-Signature": several})
    for none in ("", "v1,", "v1,é", "v2," + good[3:], "v1,bm8= v1,bm8="):
        with pytest.raises(InvalidWebhookSignatureError):
            CLIENTS[0].webhooks.verify_signature(PAYLOAD, {**signed, "Webhook-Signature": none})


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"Webhook-Timestamp": "yesterday"}, "not a number"),
        ({"Webhook-Timestamp": " 12"}, "too old"),
        ({"Webhook-Id": "wh_2"}, "not signed"),
        ({"Webhook-Timestamp": "+5"}, "not signed"),
    ],
)
def test_everything_that_is_signed_counts(change: dict[str, str], why: str) -> None:
    if change.get("Webhook-Timestamp") == "+5":
        change = {"Webhook-Timestamp": str(int(time.time()) + 5)}
    with pytest.raises(openai.InvalidWebhookSignatureError):
        OFFICIAL.webhooks.verify_signature(PAYLOAD, {**headers(), **change})
    with pytest.raises(InvalidWebhookSignatureError, match=why):
        CLIENTS[0].webhooks.verify_signature(PAYLOAD, {**headers(), **change})
    with pytest.raises(InvalidWebhookSignatureError, match="not signed"):
        CLIENTS[0].webhooks.verify_signature(PAYLOAD + " ", headers())


@pytest.mark.parametrize(("offset", "why"), [(-302, "too old"), (310, "from the future")])
def test_a_payload_is_of_now(offset: int, why: str) -> None:
    signed = headers(at=time.time() + offset)
    with pytest.raises(InvalidWebhookSignatureError, match=why):
        CLIENTS[0].webhooks.verify_signature(PAYLOAD, signed)
    CLIENTS[0].webhooks.verify_signature(PAYLOAD, signed, tolerance=400)
    verify(PAYLOAD, headers(at=1000), secret=SECRET, now=1300)


@pytest.mark.parametrize("name", ["Webhook-Id", "Webhook-Timestamp", "Webhook-Signature"])
def test_headers_are_needed(name: str) -> None:
    signed = headers()
    del signed[name]
    with pytest.raises(ValueError, match=name.lower()) as refused:
        CLIENTS[0].webhooks.verify_signature(PAYLOAD, signed)
    assert not isinstance(refused.value, InvalidWebhookSignatureError)


def test_headers_come_in_many_forms() -> None:
    signed = headers()
    upper = {name.upper(): value for name, value in signed.items()}
    raw = [(name.lower().encode(), value.encode()) for name, value in signed.items()]
    lists = {name: [value] for name, value in signed.items()}
    for each in (upper, raw, lists):
        CLIENTS[0].webhooks.verify_signature(PAYLOAD, each)  # type: ignore[arg-type]


def test_a_secret_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_WEBHOOK_SECRET", raising=False)
    with pytest.raises(ValueError, match="no secret"):
        OpenAI(api_key="k").webhooks.unwrap(PAYLOAD, headers())
    monkeypatch.setenv("OPENAI_WEBHOOK_SECRET", SECRET)
    OpenAI(api_key="k").webhooks.unwrap(PAYLOAD, headers())


def test_a_payload_is_json() -> None:
    with pytest.raises(ValueError):
        CLIENTS[0].webhooks.unwrap("no", headers("no"))


def test_parameters_are_the_official_ones() -> None:
    for name in ("unwrap", "verify_signature"):
        ours, theirs = (inspect.signature(getattr(each.webhooks, name)) for each in (CLIENTS[0], OFFICIAL))
        assert [(p.name, p.kind, p.default) for p in ours.parameters.values()] == [
            (p.name, p.kind, p.default) for p in theirs.parameters.values()
        ]
