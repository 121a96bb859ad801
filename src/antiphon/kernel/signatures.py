"""Signatures of webhooks: who sent a payload, and when. The scheme is that of Standard Webhooks, version 1.

    webhook-id         names the delivery
    webhook-timestamp  when it was sent, in Unix seconds
    webhook-signature  `v1,<base64>`, several separated by spaces while a secret is being replaced

Signed is `{id}.{timestamp}.{payload}` by HMAC-SHA256. A secret that begins with `whsec_` is base64 after that.
https://platform.openai.com/docs/guides/webhooks
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from .errors import InvalidWebhookSignatureError

__all__ = ("TOLERANCE", "HeadersLike", "sign", "verify")

HeadersLike: TypeAlias = Mapping[str, str] | Iterable[tuple[str | bytes, str | bytes]]
"""Headers as a framework gives them: a mapping, whatever the case of its names, or pairs, as in ASGI."""

TOLERANCE = 300
"""Seconds a payload may be old, or ahead of this machine's clock."""


def sign(payload: str | bytes, *, id: str, timestamp: int, secret: str) -> str:
    """The `webhook-signature` of a payload. Raises `ValueError` for a secret that cannot be decoded."""
    import base64
    import hashlib
    import hmac

    body = payload.encode() if isinstance(payload, str) else payload
    signed = f"{id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(_key(secret), signed, hashlib.sha256).digest()).decode()


def _key(secret: str) -> bytes:
    if not secret.startswith("whsec_"):
        return secret.encode()
    import base64
    import binascii

    try:
        return base64.b64decode(secret.removeprefix("whsec_"))
    except binascii.Error as error:
        raise ValueError(f"a webhook secret is base64 after `whsec_`; this one is not: {error}") from None


def verify(
    payload: str | bytes, headers: HeadersLike, *, secret: str, tolerance: float = TOLERANCE, now: float | None = None
) -> None:
    """Check that a payload was signed with a secret, and lately.

    `now` is the time in Unix seconds, the machine's unless given. Raises `InvalidWebhookSignatureError` where no
    signature fits or the time is off by more than `tolerance` seconds, `ValueError` where a header is missing or the
    secret cannot be decoded. Comparing takes the same time whatever was sent.
    """
    import hmac
    import time

    named = _named(headers)
    for name in ("webhook-signature", "webhook-timestamp", "webhook-id"):
        if name not in named:
            raise ValueError(f"the webhook has no header {name}")
    try:
        sent = int(named["webhook-timestamp"])
    except ValueError:
        raise InvalidWebhookSignatureError("The webhook's timestamp is not a number of seconds") from None
    age = int(time.time() if now is None else now) - sent
    if age > tolerance:
        raise InvalidWebhookSignatureError(f"The webhook is too old: it was sent {age} seconds ago")
    if -age > tolerance:
        raise InvalidWebhookSignatureError(f"The webhook is from the future: {-age} seconds from now")
    expected = sign(payload, id=named["webhook-id"], timestamp=sent, secret=secret).removeprefix("v1,").encode()
    # What is signed is the timestamp as it was sent.
    if str(sent) != named["webhook-timestamp"]:
        raise InvalidWebhookSignatureError("The webhook's timestamp is not a number of seconds")
    given = [part.removeprefix("v1,").encode() for part in named["webhook-signature"].split()]
    fitting = [each for each in given if hmac.compare_digest(expected, each)]  # every one is looked at
    if not fitting:
        raise InvalidWebhookSignatureError("The webhook was not signed with this secret")


def _named(headers: HeadersLike) -> dict[str, str]:
    items: Any = headers.items() if isinstance(headers, Mapping) else headers
    return {_text(name).lower(): _text(value) for name, value in items}


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("latin-1")
    # Some frameworks give every value of a name.
    return str(value[0]) if isinstance(value, (list, tuple)) and value else str(value)
