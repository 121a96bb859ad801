"""Sessions: fakes of their own behind the same server, for tests that run at the same time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ...kernel.errors import NotFoundError
from ...server.clock import VirtualClock
from ..rulefile import RuleError
from ..sessions import HEADER
from .clock import LAST
from .operations import Call, listed, operation, refused

if TYPE_CHECKING:
    from .. import FakeOpenAI
    from ..door import Door

__all__ = ()

_MOST: Final = 1000

_OPTIONS: Final[dict[str, Any]] = {
    "engine": {"type": "string", "enum": ["default", "lorem", "echo", "reverse"]},
    "models": {"type": "array", "items": {"type": "string"}},
    "seed": {"anyOf": [{"type": "integer"}, {"type": "string"}]},
    "latency": {"description": "seconds, a profile, or an object of these by model"},
    "unknown_ids": {"type": "string", "enum": ["error", "conjure"]},
    "job_seconds": {"type": "number", "minimum": 0},
    "journal": {"type": "integer", "minimum": 0},
    "strict": {"type": "boolean"},
    "rate_limits": {"type": "object"},
    "prices": {"type": "object"},
    "rules": {"description": "rules from the beginning, as in rule files", "type": ["object", "array"]},
    "faults": {"type": "array", "items": {}},
}


def _door(call: Call) -> Door:
    if call.door is None:
        raise NotFoundError.because("Sessions are for a fake on a port: here each test has a fake of its own.")
    return call.door


def _told(key: str, fake: FakeOpenAI, call: Call) -> dict[str, Any]:
    return {
        "object": "session",
        "key": key,
        "headers": {HEADER: key},
        "base_url": f"{call.request.origin}/v1",
        "seed": fake.server.seed,
        "clock": "virtual" if isinstance(fake.clock, VirtualClock) else "real",
        "requests": len(fake.journal),
    }


@operation("sessions.list", "GET", "/sessions", returns="a list of sessions")
def sessions_list(call: Call) -> Any:
    """The sessions that have not ended."""
    return listed([_told(key, fake, call) for key, fake in _door(call).sessions.fakes.items()])


@operation(
    "sessions.begin",
    "POST",
    "/sessions",
    body={
        "type": "object",
        "properties": {
            "key": {"type": "string", "minLength": 1},
            "clock": {
                "description": "`real`, `virtual`, or the Unix time at which a virtual one begins",
                "anyOf": [{"type": "string"}, {"type": "number"}],
            },
            **_OPTIONS,
        },
        "additionalProperties": False,
    },
    example={"seed": 7, "clock": "virtual"},
    returns="the session: its `key` is the API key that leads to it",
    status=201,
    needs_body=False,
)
def sessions_begin(call: Call) -> Any:
    """Begin a session: a fake made as the server's, apart from what is said, with a state, a journal and rules of its
    own. Requests belong to it by their API key, or by the header `x-antiphon-test`.
    """
    door = _door(call)
    if len(door.sessions.fakes) >= _MOST:
        raise refused(f"there are {_MOST} sessions: end some, or all with DELETE /_antiphon/sessions")
    options = dict(call.body)
    key, clock = options.pop("key", None), options.pop("clock", None)
    if clock is not None:
        options["clock"] = _clock(clock)
    if key in door.sessions.fakes:
        raise refused(f"the key {key!r} leads to another session", param="key")
    try:
        fake = door.fake.another(**options)
    except RuleError as error:
        raise refused(str(error), param="rules", code="invalid_rule") from None
    except (TypeError, ValueError) as error:
        raise refused(str(error)) from None
    key = door.share().add(fake, key)
    return _told(key, fake, call)


def _clock(given: Any) -> VirtualClock | None:
    if given == "real":
        return None
    if given == "virtual":
        return VirtualClock()
    if isinstance(given, str):
        raise refused(f"clock is 'real', 'virtual' or a time in seconds, not {given!r}", param="clock")
    if not 0 <= given < LAST:
        raise refused(f"a clock begins at a Unix time before the year 9999, not at {given!r}", param="clock")
    return VirtualClock(given)


@operation("sessions.end_all", "DELETE", "/sessions", returns="how many sessions there were")
def sessions_end_all(call: Call) -> Any:
    """End all sessions."""
    fakes = _door(call).sessions.fakes
    count = len(fakes)
    fakes.clear()
    return {"deleted": count}


@operation("sessions.end", "DELETE", "/sessions/{key}", returns="the session")
def sessions_end(call: Call) -> Any:
    """End a session. What still comes with its key is refused."""
    door, key = _door(call), call.params["key"]
    fake = door.sessions.fakes.get(key)
    if fake is None:
        raise NotFoundError.because("There is no such session.", param="key")
    door.sessions.end(key)
    return {**_told(key, fake, call), "deleted": True}
