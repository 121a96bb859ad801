"""Webhooks are signed, and what is not signed, or not lately, is refused."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.kernel.errors import InvalidWebhookSignatureError
from antiphon.kernel.signatures import sign, verify

KEY = b"0123456789abcdef"
SECRET = "whsec_" + base64.b64encode(KEY).decode()
NOW = 1_750_000_000
PAYLOAD = b'{"type":"response.completed"}'


def headers(payload: str | bytes = PAYLOAD, secret: str = SECRET, sent: int = NOW, **changes: str) -> dict[str, str]:
    signature = sign(payload, id="wh_1", timestamp=sent, secret=secret)
    return {"webhook-id": "wh_1", "webhook-timestamp": str(sent), "webhook-signature": signature, **changes}


def test_the_scheme() -> None:
    digest = hmac.new(KEY, b"wh_1.%d." % NOW + PAYLOAD, hashlib.sha256).digest()
    expected = "v1," + base64.b64encode(digest).decode()
    assert sign(PAYLOAD, id="wh_1", timestamp=NOW, secret=SECRET) == expected
    assert sign(PAYLOAD.decode(), id="wh_1", timestamp=NOW, secret=KEY.decode()) == expected


@given(st.binary(), st.text(min_size=1).filter(lambda text: not text.startswith("whsec_")), st.integers(-300, 300))
def test_what_was_signed_is_verified_and_nothing_else(payload: bytes, secret: str, age: int) -> None:
    signed = headers(payload, secret, NOW - age)
    verify(payload, signed, secret=secret, now=NOW)
    with pytest.raises(InvalidWebhookSignatureError, match="not signed with this secret"):
        verify(payload + b"x", signed, secret=secret, now=NOW)
    with pytest.raises(InvalidWebhookSignatureError, match="not signed with this secret"):
        verify(payload, signed, secret=f"{secret}x", now=NOW)


@pytest.mark.parametrize(
    "given",
    [
        {name.title(): value for name, value in headers().items()},
        [(name.encode(), value.encode()) for name, value in headers().items()],
        {name: [value] for name, value in headers().items()},
        headers(**{"webhook-signature": f"v1,AAAA {headers()['webhook-signature']}"}),
    ],
    ids=["mapping", "ASGI", "lists", "several"],
)
def test_headers_as_frameworks_give_them(given: Any) -> None:
    verify(PAYLOAD, given, secret=SECRET, now=NOW)


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_a_header_that_is_missing(name: str) -> None:
    given = headers()
    del given[name]
    with pytest.raises(ValueError, match=f"no header {name}"):
        verify(PAYLOAD, given, secret=SECRET, now=NOW)


def test_the_time() -> None:
    with pytest.raises(InvalidWebhookSignatureError, match="sent 301 seconds ago"):
        verify(PAYLOAD, headers(), secret=SECRET, now=NOW + 301)
    with pytest.raises(InvalidWebhookSignatureError, match="301 seconds from now"):
        verify(PAYLOAD, headers(), secret=SECRET, now=NOW - 301)
    verify(PAYLOAD, headers(), secret=SECRET, now=NOW + 301, tolerance=400)
    with pytest.raises(InvalidWebhookSignatureError, match="too old"):
        verify(PAYLOAD, headers(), secret=SECRET)  # by this machine's clock
    for text in ("lately", f"+{NOW}", f" {NOW}"):
        with pytest.raises(InvalidWebhookSignatureError, match="not a number of seconds"):
            verify(PAYLOAD, headers(**{"webhook-timestamp": text}), secret=SECRET, now=NOW)


def test_a_secret_that_cannot_be_decoded() -> None:
    with pytest.raises(ValueError, match="base64 after `whsec_`"):
        sign(PAYLOAD, id="wh_1", timestamp=NOW, secret="whsec_a")
