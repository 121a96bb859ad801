"""What went wrong at a model's server, in the words of the API, with the right advice on whether to try again.

An official client tries again on 408, 409, 429 and 5xx unless the header `x-should-retry` says otherwise. Where a
model may have run already it must not: an answer costs time and money, and a tool may be called twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from ..kernel.errors import APIConnectionError, APIStatusError, APITimeoutError, InternalServerError, NotFoundError

if TYPE_CHECKING:
    from .config import ModelConfig, Patience
    from .oip.messages import ModelMetadata

__all__ = ("broken", "full", "lost", "misconfigured", "refused", "slow", "unreachable", "untouched", "waited")

NO_RETRY: Final = {"x-should-retry": "false"}
_ADDRESS: Final = "model_not_found"


def message_of(content: bytes) -> str:
    """What a server says in the body of an error: `error`, `detail`, or the text itself."""
    import orjson

    try:
        value: Any = orjson.loads(content)
    except orjson.JSONDecodeError:
        return content.decode("utf-8", "replace").strip()
    if isinstance(value, dict):
        for key in ("error", "detail", "message"):
            found = value.get(key)
            if isinstance(found, str):
                return found
            if isinstance(found, dict) and isinstance(found.get("message"), str):
                return str(found["message"])
            if isinstance(found, list) and found:
                return "; ".join(_place(each) for each in found)
    return content.decode("utf-8", "replace").strip()


def _place(each: Any) -> str:
    if not isinstance(each, dict):
        return str(each)
    where = ".".join(str(part) for part in each.get("loc") or ())
    return f"{where}: {each.get('msg')}" if where else str(each.get("msg"))


def refused(status: int, message: str, model: str, headers: Mapping[str, str] | None = None) -> APIStatusError:
    """The error for what a server answered in place of an answer."""
    said = message or "The server said nothing about it."
    if status == 404:
        return NotFoundError.because(f"The model `{model}`: {said}", param="model", code=_ADDRESS)
    if status in (400, 422):
        return APIStatusError.because(
            f"The model `{model}` refused the request: {said}",
            status=400,
            type="invalid_request_error",
            code="upstream_invalid_request",
        )
    if status == 429:
        after = (headers or {}).get("retry-after", "1")
        return APIStatusError.because(
            f"The model `{model}`: {said}",
            status=429,
            type="rate_limit_error",
            code="rate_limit_exceeded",
            headers={"retry-after": after},
        )
    if status == 503:
        after = (headers or {}).get("retry-after", "1")
        return InternalServerError.because(
            f"The model `{model}` is not ready: {said}",
            status=503,
            code="model_not_ready",
            headers={"retry-after": after},
        )
    return InternalServerError.because(
        f"The model `{model}` failed: {said}", status=502, code="upstream_error", headers=NO_RETRY
    )


def unreachable(model: str, why: str) -> APIStatusError:
    """The error for a server that cannot be reached: no model has run, so trying again is good advice."""
    return InternalServerError.because(
        f"The server of the model `{model}` cannot be reached: {why}",
        status=503,
        code="upstream_unreachable",
        headers={"retry-after": "1"},
    )


_NO_CONNECTION: Final = frozenset({"ConnectError", "ConnectTimeout", "ConnectTimeoutError", "PoolTimeoutError"})
"""What HTTP clients raise before they have sent anything."""


def lost(model: str, error: APIConnectionError, patience: Patience | None = None) -> APIStatusError:
    """The error for a request that got no answer: whether a model may have run depends on how far it came."""
    cause = error.__cause__
    sent = cause is None or not any(each.__name__ in _NO_CONNECTION for each in type(cause).__mro__)
    if isinstance(error, APITimeoutError):
        if sent:
            return slow(model, "an answer", None if patience is None else patience.first)
        return slow(model, "a connection", None if patience is None else patience.connect, ran=False)
    return broken(model, str(cause or error)) if sent else unreachable(model, str(cause or error))


def slow(model: str, what: str, seconds: float | None, *, ran: bool = True) -> APIStatusError:
    """The error for a server that took longer than the gateway's patience, which was for `what`."""
    took = "too long" if seconds is None else f"more than {seconds:g} seconds"
    return InternalServerError.because(
        f"The server of the model `{model}` took {took} for {what}.",
        status=504,
        code="upstream_timeout" if ran else "upstream_connect_timeout",
        headers=NO_RETRY if ran else {"x-should-retry": "true"},
    )


def full(model: str, waiting: int) -> APIStatusError:
    """The error for a request that finds so many others waiting that it may not."""
    return APIStatusError.because(
        f"The model `{model}` is busy, and {waiting} requests wait for it already. Try again later.",
        status=429,
        type="rate_limit_error",
        code="queue_full",
        headers={"retry-after": "1"},
    )


def waited(model: str, seconds: float) -> APIStatusError:
    """The error for a request that has waited for its turn for so long."""
    return InternalServerError.because(
        f"The model `{model}` is busy: the request waited {seconds:g} seconds for its turn. Try again later.",
        status=503,
        code="queue_timeout",
        headers={"retry-after": "1"},
    )


_UNTOUCHED: Final = frozenset({"upstream_unreachable", "upstream_connect_timeout", "model_not_ready", _ADDRESS})


def untouched(error: BaseException) -> bool:
    """Whether no model can have run where a server's answer was this error, so that another one may be asked."""
    return isinstance(error, APIStatusError) and (error.status_code == 429 or error.code in _UNTOUCHED)


def broken(model: str, why: str) -> APIStatusError:
    """The error for an answer that broke off."""
    return InternalServerError.because(
        f"The answer of the model `{model}` broke off: {why}", status=502, code="upstream_error", headers=NO_RETRY
    )


def misconfigured(config: ModelConfig, metadata: ModelMetadata) -> APIStatusError:
    """The error for a model of which nobody knows how it is to be asked."""
    ins = ", ".join(f"{t.name} {t.datatype}{list(t.shape)}" for t in metadata.inputs) or "none"
    outs = ", ".join(f"{t.name} {t.datatype}{list(t.shape)}" for t in metadata.outputs) or "none"
    return InternalServerError.because(
        f"The gateway does not know how to ask the model `{config.name}`: it tells of the inputs {ins} and the outputs "
        f'{outs}, which no convention fits. Name one in the gateway\'s configuration: `convention = "…"`.',
        status=500,
        code="gateway_misconfigured",
        headers=NO_RETRY,
    )
