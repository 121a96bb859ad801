"""What checkers see of hooks and of the settings of connections. Checked, not run."""

from __future__ import annotations

from typing import assert_type

from antiphon import AsyncOpenAI, Attempt, AzureOpenAI, Hooks, NetworkTransport, OpenAI
from antiphon.kernel.http import Request, Response


def before(attempt: Attempt) -> None:
    assert_type(attempt.request, Request)
    assert_type(attempt.response, Response | None)
    assert_type(attempt.elapsed, float)
    attempt.set_header("x-trace", None)
    attempt.set_header("x-trace", 1)  # E


async def after(attempt: Attempt) -> None:
    attempt.state["span"] = attempt.number


class Spans(Hooks):
    def before(self, attempt: Attempt) -> None:
        attempt.state["span"] = 1


def clients(seen: list[Attempt]) -> None:
    OpenAI(hooks=Hooks(before, seen.append))
    AsyncOpenAI(hooks=[Spans(), Hooks(after=after)])
    AzureOpenAI(hooks=Spans()).with_options(hooks=[])
    OpenAI(hooks=before)  # E
    OpenAI(transport=NetworkTransport(proxy="socks5://p:1", cert=("cert.pem", "key.pem"), max_connections=None))
    NetworkTransport(http2="yes")  # E
