"""What goes wrong, and when: faults of the network, of the API and of the model, for tests of what code makes of them.

fake.misbehave(ReturnStatus(503), when=once())
fake.misbehave(Delay(2) & ReturnStatus(503), when=percentage(20) & matching(model="gpt-4o*"))
fake.misbehave(ReturnStatus(503).until(2).then(Truncate(after=3)))
fake.misbehave("status=429, retry_after=2; once")
fake.behave()
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ...kernel.lazy import lazily

if TYPE_CHECKING:
    from .behaviours import Behaviour, Delay, Nothing, RateLimit, ReturnResponse, ReturnStatus
    from .bodies import EmptyBody, MalformedJSON, SnipRequest, Truncate, UnknownFields, WrongContentType
    from .connections import HangUp, RefuseConnection, ResetConnection
    from .described import fault_of, trigger_of
    from .fault import AtWork, Fault
    from .models import Decline, EndlessToolCalls, HallucinatedIds, InvalidArguments, RepeatedText, UnknownTool
    from .setting import HEADER, Faults, Misbehaviour
    from .streams import Duplicate, ErrorEvent, Reorder, SlowFirstToken, Split, Stall, UnknownEvents
    from .triggers import (
        Trigger,
        addressed,
        after,
        always,
        attempt,
        between,
        every,
        matching,
        nth,
        once,
        percentage,
        until,
    )

__all__ = (
    "HEADER",
    "AtWork",
    "Behaviour",
    "Decline",
    "Delay",
    "Duplicate",
    "EmptyBody",
    "EndlessToolCalls",
    "ErrorEvent",
    "Fault",
    "Faults",
    "HallucinatedIds",
    "HangUp",
    "InvalidArguments",
    "MalformedJSON",
    "Misbehaviour",
    "Nothing",
    "RateLimit",
    "RefuseConnection",
    "Reorder",
    "RepeatedText",
    "ResetConnection",
    "ReturnResponse",
    "ReturnStatus",
    "SlowFirstToken",
    "SnipRequest",
    "Split",
    "Stall",
    "Trigger",
    "Truncate",
    "UnknownEvents",
    "UnknownFields",
    "UnknownTool",
    "WrongContentType",
    "addressed",
    "after",
    "always",
    "attempt",
    "between",
    "every",
    "fault_of",
    "matching",
    "nth",
    "once",
    "percentage",
    "trigger_of",
    "until",
)

_HOMES: Final = {
    ".behaviours": "Behaviour Delay Nothing RateLimit ReturnResponse ReturnStatus",
    ".bodies": "EmptyBody MalformedJSON SnipRequest Truncate UnknownFields WrongContentType",
    ".connections": "HangUp RefuseConnection ResetConnection",
    ".described": "fault_of trigger_of",
    ".fault": "AtWork Fault",
    ".models": "Decline EndlessToolCalls HallucinatedIds InvalidArguments RepeatedText UnknownTool",
    ".setting": "HEADER Faults Misbehaviour",
    ".streams": "Duplicate ErrorEvent Reorder SlowFirstToken Split Stall UnknownEvents",
    ".triggers": "Trigger addressed after always attempt between every matching nth once percentage until",
}
"""Where each name is. A fake without faults does not import them."""

__getattr__, __dir__ = lazily(__name__, {name: home for home, names in _HOMES.items() for name in names.split()})
