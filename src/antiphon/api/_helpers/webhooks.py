"""Receiving webhooks: is it from OpenAI, and what does it say. Nothing is sent, so both voices do it alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from antiphon.kernel.operation import Resource, V

if TYPE_CHECKING:
    from antiphon.kernel.signatures import HeadersLike
    from antiphon.types.webhooks.unwrap_webhook_event import UnwrapWebhookEvent

__all__ = ("WebhookReceiver",)


class WebhookReceiver(Resource[V]):
    """Payloads that arrived at an endpoint of yours. Both methods return at once, in a client of either voice."""

    def unwrap(self, payload: str | bytes, headers: HeadersLike, *, secret: str | None = None) -> UnwrapWebhookEvent:
        """The event of a webhook, after its signature was checked.

        `payload` is the request's body as it came: JSON that was decoded and encoded again has another signature.
        `match` tells the events apart, by their class or by `type`. Raises what `verify_signature` raises, and
        `ValueError` where the payload is not JSON.
        """
        import json

        from antiphon.kernel.view import wrapper
        from antiphon.types.webhooks.unwrap_webhook_event import UnwrapWebhookEvent

        self.verify_signature(payload, headers, secret=secret)
        wrap: Any = wrapper(UnwrapWebhookEvent)
        return cast("UnwrapWebhookEvent", wrap(json.loads(payload)))

    def verify_signature(
        self,
        payload: str | bytes,
        headers: HeadersLike,
        *,
        secret: str | None = None,
        tolerance: int = 300,
    ) -> None:
        """Check that a webhook comes from whoever knows the secret, and not more than `tolerance` seconds ago.

        `secret` is the client's `webhook_secret` (`OPENAI_WEBHOOK_SECRET`) unless given. Raises
        `InvalidWebhookSignatureError` where the signature or the time does not fit, `ValueError` where there is no
        secret or a header is missing.

        https://platform.openai.com/docs/guides/webhooks
        """
        from antiphon.kernel.signatures import verify

        known: str | None = getattr(self._core, "webhook_secret", None) if secret is None else secret
        if known is None:
            raise ValueError(
                "there is no secret to check the webhook with: give `secret`, make the client with `webhook_secret`, "
                "or set OPENAI_WEBHOOK_SECRET"
            )
        verify(payload, headers, secret=known, tolerance=tolerance)
