"""Closing a response lets go of its body, in either colour; one that was read has nothing to let go of."""

from __future__ import annotations

from typing import Any

from antiphon.kernel.http import Response
from antiphon.kernel.view import wrapper
from antiphon.types.beta.agents import Automation
from antiphon.types.beta.agents.one_time_automation import OneTimeAutomation


class Body:
    def __init__(self) -> None:
        self.closed: list[str] = []

    def close(self) -> None:
        self.closed.append("close")

    async def aclose(self) -> None:
        self.closed.append("aclose")


async def test_closing_a_response_closes_its_body() -> None:
    body: Any = Body()
    Response(200, body=body).close()
    await Response(200, body=body).aclose()
    assert body.closed == ["close", "aclose"]


async def test_a_response_that_was_read_has_nothing_to_close() -> None:
    response = Response(200, body=b"{}")
    response.close()
    await response.aclose()
    assert response.json() == {}


def test_the_field_that_tells_members_apart_is_the_tag_not_the_one_with_most_values() -> None:
    wrap = wrapper(Automation)
    assert wrap is not None
    assert type(wrap({"type": "once", "status": "active"})) is OneTimeAutomation
