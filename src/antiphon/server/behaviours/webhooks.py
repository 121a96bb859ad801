"""Which events webhooks can be called for.

API reference: https://platform.openai.com/docs/api-reference/webhooks
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...api.webhooks.event_types import EventTypes
from ...schema import operation
from ..behaviour import Call, serves

if TYPE_CHECKING:
    from ..behaviour import Reply


@serves(EventTypes.list)
def list_event_types(call: Call) -> Reply:
    """The names of all events."""
    body = operation("webhooks.create").body
    assert body is not None
    return {"object": "list", "data": list(body["properties"]["event_types"]["items"]["enum"])}
