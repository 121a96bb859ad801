"""The clock, the seed and the latency."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from ...engines.latency import PROFILES, Latency, latencies_of, latency_of
from ...server.clock import VirtualClock, seconds_of
from .operations import Call, operation, refused

__all__ = ("LAST",)

LAST: Final = 253_402_300_799.0
"""The last second that calendars here know."""


def _told(call: Call) -> dict[str, Any]:
    now = call.fake.clock.now()
    return {
        "object": "clock",
        "kind": "virtual" if isinstance(call.fake.clock, VirtualClock) else "real",
        "now": now,
        "iso": datetime.fromtimestamp(now, UTC).isoformat(),
    }


@operation("clock.get", "GET", "/clock", returns="the clock")
def clock_get(call: Call) -> Any:
    """What time it is, in Unix time and as ISO 8601 has it."""
    return _told(call)


@operation(
    "clock.advance",
    "POST",
    "/clock/advance",
    body={
        "type": "object",
        "properties": {"by": {"anyOf": [{"type": "number"}, {"type": "string"}]}},
        "required": ["by"],
        "additionalProperties": False,
    },
    example={"by": "24h"},
    returns="the clock",
)
def clock_advance(call: Call) -> Any:
    """Let time pass: seconds, or a text such as `24h` or `1h 30m`. What was to happen in it, happens."""
    try:
        ahead = seconds_of(call.body["by"])
    except ValueError as error:
        raise refused(str(error), param="by") from None
    return _advanced(call, ahead, "by")


def _advanced(call: Call, seconds: float, param: str) -> dict[str, Any]:
    if not call.fake.clock.now() + seconds < LAST:
        raise refused("there are no clocks after the year 9999", param=param)
    call.fake.clock.advance(seconds)
    return _told(call)


@operation(
    "clock.set",
    "PUT",
    "/clock",
    body={
        "type": "object",
        "properties": {"now": {"anyOf": [{"type": "number"}, {"type": "string"}]}},
        "required": ["now"],
        "additionalProperties": False,
    },
    example={"now": "2030-01-01T00:00:00Z"},
    returns="the clock",
)
def clock_set(call: Call) -> Any:
    """Have it be a later time, in Unix time or as ISO 8601 has it. A clock does not go back."""
    wanted: Any = call.body["now"]
    if isinstance(wanted, str):
        try:
            moment = datetime.fromisoformat(wanted)
        except ValueError:
            raise refused(
                f"now is Unix time or a text such as '2030-01-01T00:00:00Z', not {wanted!r}", param="now"
            ) from None
        wanted = (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()
    ahead = wanted - call.fake.clock.now()
    if ahead < 0:
        raise refused(f"a clock does not go back: it is {call.fake.clock.now():.3f} already", param="now")
    return _advanced(call, ahead, "now")


_SEED = {"anyOf": [{"type": "integer"}, {"type": "string"}]}


@operation("seed.get", "GET", "/seed", returns="the seed")
def seed_get(call: Call) -> Any:
    """What decides what is made up."""
    return {"object": "seed", "seed": call.fake.server.seed}


@operation(
    "seed.set",
    "PUT",
    "/seed",
    body={"type": "object", "properties": {"seed": _SEED}, "required": ["seed"], "additionalProperties": False},
    example={"seed": 7},
    returns="the seed",
)
def seed_set(call: Call) -> Any:
    """Begin anew with another seed: everything is forgotten, as by a reset."""
    call.fake.reset(call.body["seed"])
    return seed_get(call)


_SECONDS: Final[dict[str, Any]] = {"type": "number", "minimum": 0}
_LATENCY: Final[dict[str, Any]] = {
    "first": {**_SECONDS, "description": "seconds to the first token"},
    "each": {**_SECONDS, "description": "seconds to each further token"},
    "prefill": {**_SECONDS, "description": "seconds for each token of the prompt"},
    "jitter": {**_SECONDS, "maximum": 1, "description": "how much times vary, as a share of them"},
    "load": {**_SECONDS, "description": "how much longer all takes for each other answer under way, as a share"},
    "cache": {"type": "integer", "minimum": 0, "description": "blocks of prompts that each model remembers"},
    "block": {"type": "integer", "minimum": 1, "description": "tokens of a block"},
    "least": {"type": "integer", "minimum": 0, "description": "tokens that prompts have in common at least"},
}


@operation("latency.get", "GET", "/latency", returns="the latency")
def latency_get(call: Call) -> Any:
    """How long models take; `models` has those of models by name or pattern."""
    named = {name: each.to_dict() for name, each in latencies_of(call.fake.latency).named.items()}
    every = named.pop("*", Latency().to_dict())
    return {"object": "latency", **every, "models": named}


@operation(
    "latency.set",
    "PUT",
    "/latency",
    body={
        "type": "object",
        "properties": {
            **_LATENCY,
            "profile": {"type": "string", "description": f"what holds but for these: {', '.join(PROFILES)}"},
            "models": {
                "type": "object",
                "description": "latencies of models by name or pattern: objects as this one, profiles, or seconds",
            },
        },
        "additionalProperties": False,
    },
    example={"first": 0.3, "each": 0.02},
    returns="the latency",
)
def latency_set(call: Call) -> Any:
    """Have models take so long from now on."""
    given = dict(call.body)
    models: Any = given.pop("models", {})
    profile: Any = given.pop("profile", None)
    try:
        if profile is not None:
            given = {**latency_of(profile).to_dict(), **given}
        call.fake.latency = {**models, "*": given}
    except (TypeError, ValueError) as error:
        raise refused(str(error), code="invalid_latency") from None
    return latency_get(call)
