"""Responses that are made in the background: queued, in progress, ended, one after the other as the clock goes on.

The engine is asked when a Response comes to be in progress. What it says is known from then on and comes about bit by
bit until the end: what a Response has of it at some time follows from its finished form and from the clock, and so do
its events. So looking at one, following its events and taking them up again need no state of their own.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from ..kernel.errors import APIStatusError, InternalServerError
from ..kernel.flow import Pause
from .compaction import asked
from .context import CONTEXTS, PENDING, RESPONSES, Context, full_output, history, keep
from .engine import ChatRequest
from .envelope import APOLOGY
from .hosted import LOOK, PATIENCE, Bench, being_read, performed
from .jobs import Again, Job, job
from .renderings.cuts import cut
from .renderings.responses import ResponseTurn, replayed
from .renderings.responses_request import responses_request
from .renderings.sinks import driven, unhurried

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from ..kernel.flow import Flow, Step
    from .app import Server
    from .turns import Turn

__all__ = ("as_of_now", "begin", "followed", "forget", "stop")

log = logging.getLogger("antiphon.server")

_KIND: Final = "responses.background"
_WAIT: Final = 0.25
"""The part of its time that a Response is queued."""
_RHYTHM: Final = 0.01
"""Seconds in which the events of a Response that is followed are gathered."""


def begin(server: Server, body: Mapping[str, Any], context: Context, response: dict[str, Any]) -> dict[str, Any]:
    """Queue a Response."""
    key = response["id"]
    queued = {**response, "status": "queued"}
    with server.lock:
        keep(server, body, context, queued, {})
        pending = {
            "id": key,
            "conversation": context.conversation,
            "asked": len(context.items),
            "body": dict(body),
            "final": None,
        }
        server.store.put(PENDING, key, pending)
        server.jobs.schedule(_KIND, key, after=_WAIT * server.job_seconds)
    server.left(key)
    return queued


def stop(server: Server, key: str) -> dict[str, Any] | None:
    """Cancel a Response and give it; `None` where it is not made in the background now."""
    with server.lock:
        pending, found = server.store.get(PENDING, key), server.store.get(RESPONSES, key)
        if pending is None or found is None:
            return None
        stopped = {**as_of_now(server, found), "status": "cancelled"}
        forget(server, key)
        server.store.put(RESPONSES, key, stopped)
        context = server.store.get(CONTEXTS, key)
        if context is not None:
            full: dict[str, dict[str, Any]] = {} if pending["final"] is None else pending["full"]
            server.store.put(CONTEXTS, key, {**context, "output": full_output(stopped, full)})
    return stopped


def forget(server: Server, key: str) -> None:
    """Do not go on with a Response, where that was to happen."""
    with server.lock:
        server.jobs.cancel(_KIND, key)
        server.store.delete(PENDING, key)


@job(_KIND)
def _go_on(server: Server, due: Job) -> Flow[Again | None]:
    key = due.subject
    pending = server.store.get(PENDING, key)
    if pending is None:
        return None
    if pending["final"] is not None:
        _end(server, pending)
        return None
    began = (server.store.get(RESPONSES, key) or {}).get("created_at", 0)
    if due.at < began + PATIENCE and being_read(server, pending["body"].get("tools") or ()):
        return Again(LOOK)
    with server.lock:
        found = server.store.get(RESPONSES, key)
        assert found is not None, f"{key} is made in the background and not stored"
        server.store.put(RESPONSES, key, {**found, "status": "in_progress"})
    final, full, spent = yield from _made(server, pending["body"], {**found, "status": "in_progress", "output": []})
    takes = max((1 - _WAIT) * server.job_seconds, spent)
    if final["status"] == "completed":
        final["completed_at"] = int(due.at + takes)
    with server.lock:
        # Meanwhile it may have been cancelled or deleted, or the state may be another.
        now = server.store.get(PENDING, key)
        if now is not None and now["final"] is None:
            made = {**pending, "final": final, "full": full, "began": due.at, "ends": due.at + takes}
            server.store.put(PENDING, key, made)
    return Again(takes)


def _made(server: Server, body: Mapping[str, Any], response: dict[str, Any]) -> Flow[tuple[Any, Any, float]]:
    """The Response as the engine makes it, what is not shown of it, and how long an engine with latency takes."""
    key = response["id"]
    context = server.store.get(CONTEXTS, key) or {"items": [], "previous": None}
    before = [] if context["previous"] is None else history(server, context["previous"], strict=False)
    model: str = response["model"]
    request = responses_request(body, [*before, *context["items"]], model, strict=False)
    request.job = key
    gathered = ResponseTurn(server, request, response)
    pauses: list[float] = []  # their time is that of the Response
    try:
        turn: Turn = performed(asked(server.engines.chat(model), request, server), Bench(server, request))
        yield from unhurried(driven([(turn, cut(gathered, request, server.engines))], []), pauses.append)
    except APIStatusError as error:
        gathered.fail(error)
    except Exception:
        log.exception("The engine of %s failed in the background", model)
        gathered.fail(InternalServerError.because(APOLOGY))
    # An engine that gave a whole Response of its own has given it another id.
    final = {**gathered.response, "id": key, "background": True}
    return final, gathered.full, sum(pauses)


def _end(server: Server, pending: Mapping[str, Any]) -> None:
    key, final = pending["id"], pending["final"]
    with server.lock:
        context = server.store.get(CONTEXTS, key)
        assert context is not None, f"{key} is made in the background without a context"
        server.store.delete(PENDING, key)
        # Of a conversation, all that it had stands before what the Response itself was asked.
        first = len(context["items"]) - pending["asked"]
        before, items = context["items"][:first], context["items"][first:]
        keep(server, pending["body"], Context(before, items, pending["conversation"]), final, pending["full"])


# What there is of one at some time


def _events(server: Server, response: dict[str, Any]) -> list[bytes]:
    context = server.store.get(CONTEXTS, response["id"]) or {}
    body = {**response, "include": context.get("include") or ()}
    return replayed(server, ChatRequest(response["model"], [], body, "responses"), response)


def _due(server: Server, pending: Mapping[str, Any], count: int) -> int:
    """How many of the events have happened. The last one happens with the end of the Response."""
    passed = server.clock.now() - pending["began"]
    span = pending["ends"] - pending["began"]
    return min(count - 1, max(_FIRST, int(count * passed / span))) if span else count - 1


_FIRST: Final = 3
"""Events that have happened when a Response is in progress: it is created, queued and begun."""


def as_of_now(server: Server, found: dict[str, Any]) -> dict[str, Any]:
    """A stored Response with those items of its output that are finished."""
    pending = server.store.get(PENDING, found["id"])
    if pending is None or pending["final"] is None:
        return found
    final = pending["final"]
    events = _events(server, final)
    happened = events[: _due(server, pending, len(events))]
    finished = sum(event.startswith(b"event: response.output_item.done") for event in happened)
    return {**found, "output": final["output"][:finished]}


def followed(server: Server, key: str, after: int = -1) -> Generator[bytes | Step[Any], Any, None]:
    """The events of a Response from the one behind number `after`, each when it happens, until it has ended."""
    told = after + 1
    while True:
        yield from server.jobs.running()
        found, pending = server.store.get(RESPONSES, key), server.store.get(PENDING, key)
        if found is None:
            return
        if pending is None:
            yield b"".join(_events(server, found)[told:])
            return
        final = pending["final"]
        events = _events(server, found if final is None else final)
        happened = 2 if final is None else _due(server, pending, len(events))
        if told < happened:
            yield b"".join(events[told:happened])
            told = happened
        yield Pause(max(_RHYTHM, _until(server, key, pending, len(events))))


def _until(server: Server, key: str, pending: Mapping[str, Any], count: int) -> float:
    """Seconds until the next event."""
    waiting = server.jobs.waiting(_KIND, key)
    left = 0.0 if waiting is None else waiting.at - server.clock.now()
    if pending["final"] is None:
        return left
    span: float = pending["ends"] - pending["began"]
    return min(left, span / count)
