"""Calls of the realtime API: an offer is answered, and the call has an address.

API reference: https://platform.openai.com/docs/api-reference/realtime-calls
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...api.realtime.calls import Calls
from ...kernel.http import Headers, Response
from ..behaviour import Call, serves

if TYPE_CHECKING:
    from ..behaviour import Reply


@serves(Calls.create)
def create(call: Call) -> Reply:
    """Answer a WebRTC offer: inactive, for there is no media at this end. The address of the call is in `location`."""
    name = call.server.ids.new("rtc_")
    lines = ("v=0", f"o=- {int(call.server.clock.now())} 0 IN IP4 127.0.0.1", "s=-", "t=0 0", "a=inactive", "")
    headers = [("content-type", "application/sdp"), ("location", f"/v1/realtime/calls/{name}")]
    return Response(201, Headers.of(headers), "\r\n".join(lines).encode())
