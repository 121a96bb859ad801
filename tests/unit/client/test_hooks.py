"""Hooks see every attempt of every call, may change what is sent, and cost nothing where there are none."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from antiphon import (
    APIConnectionError,
    AsyncAzureOpenAI,
    AsyncOpenAI,
    Attempt,
    AzureOpenAI,
    Hooks,
    InternalServerError,
    OpenAI,
)
from antiphon.kernel.http import Request
from tests.unit.client.wire import STREAM, chunk, reply, wire
from tests.unit.client.worlds import MODEL, OK, Scripted, both, failure

KINDS = pytest.mark.parametrize("kind", [OpenAI, AsyncOpenAI])


class Seen(Hooks):
    """Writes down what it sees."""

    def __init__(self, name: str = "", log: list[Any] | None = None) -> None:
        self.name = name
        self.log: list[Any] = [] if log is None else log

    def before(self, attempt: Attempt) -> None:
        self.log.append((f"before{self.name}", attempt.number))

    def after(self, attempt: Attempt) -> None:
        outcome = type(attempt.error) if attempt.response is None else attempt.response.status
        self.log.append((f"after{self.name}", attempt.number, outcome))


def retrieved(kind: Any, handler: Any, **settings: Any) -> Any:
    (outcome,) = both(lambda c: c.models.retrieve("m"), kind(api_key="k", transport=handler, **settings))
    return outcome


@KINDS
def test_every_attempt_is_seen(kind: Any) -> None:
    hooks = Seen()
    handler = Scripted(failure(500), APIConnectionError(request=Request("GET", "/")), OK)
    assert retrieved(kind, handler, hooks=hooks).id == "m"
    assert hooks.log == [
        ("before", 1),
        ("after", 1, 500),
        ("before", 2),
        ("after", 2, APIConnectionError),
        ("before", 3),
        ("after", 3, 200),
    ]


@KINDS
def test_headers_may_be_changed_for_one_attempt(kind: Any) -> None:
    def before(attempt: Attempt) -> None:
        attempt.set_header("X-Attempt", str(attempt.number))
        attempt.set_header("User-Agent", None)
        if attempt.number == 1:
            attempt.set_header("X-First", "yes")

    handler = Scripted(failure(500), OK)
    retrieved(kind, handler, hooks=Hooks(before))
    first, second = (request.headers for request in handler.requests)
    assert (first["x-attempt"], second["x-attempt"]) == ("1", "2")
    assert (first["x-first"], second.get("x-first")) == ("yes", None)
    assert "user-agent" not in first
    assert second["authorization"] == "Bearer k"


@KINDS
def test_several_hooks_lie_around_each_other(kind: Any) -> None:
    log: list[Any] = []
    retrieved(kind, Scripted(OK), hooks=[Seen("1", log), Seen("2", log)])
    assert [entry[0] for entry in log] == ["before1", "before2", "after2", "after1"]


@KINDS
def test_the_attempt_is_one_object_with_its_time_and_answer(kind: Any) -> None:
    attempts: list[Attempt] = []

    def before(attempt: Attempt) -> None:
        attempt.state["span"] = 7

    with wire((0.05, reply(MODEL, headers={"x-request-id": "r"}))) as server:
        (model,) = both(
            lambda c: c.models.retrieve("m"),
            kind(api_key="k", base_url=server.base, hooks=Hooks(before, attempts.append)),
        )
    (attempt,) = attempts
    assert model.id == "m"
    assert attempt.state == {"span": 7}
    assert 0.04 < attempt.elapsed < 5
    assert attempt.response is not None
    assert attempt.response.headers["x-request-id"] == "r"
    assert attempt.response.json() == MODEL
    assert attempt.request.url == f"{server.base}/models/m"
    assert repr(attempt).startswith("<attempt 1 of GET /v1/models/m, 200 after 0.")


def test_streams_are_seen_when_their_headers_are_there() -> None:
    hooks = Seen()
    with wire((STREAM, chunk(b'data: {"id": "c"}\n\n'), chunk(b"data: [DONE]\n\n"))) as server:
        client = OpenAI(api_key="k", base_url=server.base, hooks=hooks)
        with client.chat.completions.create(model="m", messages=[], stream=True) as stream:
            assert hooks.log == [("before", 1), ("after", 1, 200)]
            assert [each.id for each in stream] == ["c"]


async def test_a_stream_that_a_hook_refuses_is_closed() -> None:
    def no(attempt: Attempt) -> None:
        raise LookupError

    for kind in (OpenAI, AsyncOpenAI):
        with wire((STREAM, chunk(b'data: {"id": "c"}\n\n'), 5.0)) as server:
            client: Any = kind(api_key="k", base_url=server.base, hooks=Hooks(after=no))

            async def called(client: Any = client) -> Any:
                return await client.chat.completions.create(model="m", messages=[], stream=True)

            with pytest.raises(LookupError):
                await called()
            assert server.wait_closed()


def test_hooks_of_an_async_client_may_be_awaited() -> None:
    log: list[Any] = []

    async def before(attempt: Attempt) -> None:
        await asyncio.sleep(0)
        attempt.set_header("x-token", "t")

    async def after(attempt: Attempt) -> None:
        await asyncio.sleep(0)
        log.append(attempt.number)

    handler = Scripted(OK)
    assert retrieved(AsyncOpenAI, handler, hooks=Hooks(before, after)).id == "m"
    assert (handler.last.headers["x-token"], log) == ("t", [1])
    # Driven from a thread they work as well.
    assert retrieved(OpenAI, handler, hooks=Hooks(before, after)).id == "m"
    assert log == [1, 1]


async def test_what_is_cancelled_is_seen_too() -> None:
    hooks = Seen()
    with wire((5.0,)) as server:
        client = AsyncOpenAI(api_key="k", base_url=server.base, hooks=hooks)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await client.models.retrieve("m")
    assert hooks.log == [("before", 1), ("after", 1, asyncio.CancelledError)]


@KINDS
def test_what_a_hook_raises_comes_out_of_the_call(kind: Any) -> None:
    def no(attempt: Attempt) -> None:
        raise LookupError("no span")

    handler = Scripted(OK)
    for hooks, sent in ((Hooks(before=no), 0), (Hooks(after=no), 1)):
        assert isinstance(retrieved(kind, handler, hooks=hooks), LookupError)
        assert len(handler.requests) == sent


@KINDS
def test_every_way_to_call_has_them(kind: Any) -> None:
    hooks, handler = Seen(), Scripted(OK)
    client = kind(api_key="k", transport=handler, hooks=hooks)
    for ask in (
        lambda c: c.models.retrieve("m"),
        lambda c: c.models.with_raw_response.retrieve("m"),
        lambda c: c.models.with_result.retrieve("m"),
        lambda c: c.get("/models/m", cast_to=dict),
        lambda c: c.copy(timeout=3).models.retrieve("m"),
        lambda c: c.copy(hooks=[]).models.retrieve("m"),
    ):
        assert not isinstance(both(ask, client)[0], Exception)
    assert len(hooks.log) == 2 * 5


@pytest.mark.parametrize("kind", [AzureOpenAI, AsyncAzureOpenAI])
def test_azure_has_them(kind: Any) -> None:
    hooks = Seen()
    client = kind(
        azure_endpoint="https://r.test", api_version="1", api_key="k", transport=Scripted(failure(500)), hooks=hooks
    )
    (outcome,) = both(lambda c: c.with_options(max_retries=1).models.retrieve("m"), client)
    assert isinstance(outcome, InternalServerError)
    assert [entry[1] for entry in hooks.log] == [1, 1, 2, 2]


def test_what_is_no_hook_is_refused() -> None:
    with pytest.raises(TypeError, match="Hooks"):
        OpenAI(api_key="k", hooks=[print])  # type: ignore[list-item]
    with pytest.raises(TypeError, match="before"):
        Hooks(before=3)  # type: ignore[arg-type]
