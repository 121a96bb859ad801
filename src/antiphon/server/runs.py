"""Runs of assistants: queued, in progress, waiting for outputs of tools, ended, as the clock goes on.

The engine is asked when a run comes to be in progress. What happens then is known as a list of events with their times,
the log of the run: the store has a run, its steps and its messages as they are after the events that have happened, and
a stream tells the events one by one. A run that is cancelled loses the events that were still to come.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from ..kernel.errors import APIStatusError, BadRequestError, RateLimitError
from ..kernel.flow import Pause, through
from .engine import ChatRequest
from .envelope import APOLOGY
from .hosted import LOOK, PATIENCE, Bench, being_read, performed
from .jobs import Again, Job, job
from .renderings.cuts import cut
from .renderings.run_request import TooLong, hosted_tools, run_request
from .renderings.runs import Event, RunTurn, added, shown
from .renderings.sinks import driven

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Mapping

    from ..kernel.flow import Flow, Step
    from .app import Server

__all__ = ("LIFE", "OVER", "active", "begin", "followed", "forget", "resume", "stop")

log = logging.getLogger("antiphon.server")

Doc = dict[str, Any]
Happened = list[Any]
"""A line of a log: its time, the name of the event, and the event's data."""

LIFE: Final = 600
"""Seconds after which a run expires."""
_MOST: Final = 60.0
"""Seconds that a run takes at the most, where it is not its engine that takes long: it is not to expire."""
OVER: Final = frozenset(("completed", "failed", "cancelled", "expired", "incomplete"))

_KIND: Final = "runs.go_on"
_LOGS: Final = "threads/logs"
_ACTIVE: Final = "threads/active"
_WAIT: Final = 0.25
"""The part of its time that a run is queued, and that cancelling it takes."""
_RHYTHM: Final = 0.01
"""Seconds between two looks at a run that somebody else is working out."""
_LAST: Final = frozenset(f"thread.run.{status}" for status in (*OVER, "requires_action"))
"""Events that end a stream."""
_STAMPS: Final = {
    "thread.run.in_progress": "started_at",
    **{f"thread.run.{status}": f"{status}_at" for status in ("completed", "failed", "cancelled")},
    **{f"thread.run.step.{status}": f"{status}_at" for status in ("completed", "failed", "cancelled", "expired")},
    **{f"thread.{kind}.created": "created_at" for kind in ("run.step", "message")},
    **{f"thread.message.{status}": f"{status}_at" for status in ("completed", "incomplete")},
}
"""Fields that tell when something happened."""


def active(server: Server, thread_id: str) -> str | None:
    """The run that is under way in a thread."""
    found = server.store.get(_ACTIVE, thread_id)
    return None if found is None else found["run_id"]


def begin(server: Server, run: Doc, extra: Mapping[str, Any], *, thread: Doc | None, streamed: bool) -> None:
    """Queue a run. `extra` is what it was asked for and does not tell, `thread` the one that was made for it.

    A run that is streamed takes the time of its engine and no more.
    """
    now = server.clock.now()
    events: list[Happened] = [] if thread is None else [[now, "thread.created", thread]]
    events += [[now, f"thread.run.{state}", run] for state in ("created", "queued")]
    about = {"id": run["id"], "thread_id": run["thread_id"], "extra": dict(extra), "usage": {}, "round": 0}
    with server.lock:
        server.store.put(_runs(run["thread_id"]), run["id"], run)
        server.store.put(_ACTIVE, run["thread_id"], {"id": run["thread_id"], "run_id": run["id"]})
        _queue(server, about, events, streamed)
    server.left(run["id"])


def _queue(server: Server, about: Doc, events: list[Happened], streamed: bool) -> None:
    seconds = 0.0 if streamed else min(server.job_seconds, _MOST)
    told = {"events": events, "told": len(events), "streamed": streamed, "seconds": seconds}
    server.store.put(_LOGS, about["id"], {**about, **told})
    server.jobs.schedule(_KIND, about["id"], after=_WAIT * seconds)


def resume(server: Server, run: Doc, outputs: Mapping[str, str], *, streamed: bool) -> Doc:
    """Go on with a run, given the outputs of its calls; the run as it is then."""
    now = server.clock.now()
    with server.lock:
        about = _log(server, run["id"])
        (step,), _ = _unfinished(about["events"])
        calls = [
            {**call, "function": {**call["function"], "output": outputs[call["id"]]}}
            for call in step["step_details"]["tool_calls"]
        ]
        step = {
            **step,
            "status": "completed",
            "completed_at": int(now),
            "step_details": {**step["step_details"], "tool_calls": calls},
            "usage": about["usage"][step["id"]],
        }
        run = {**run, "status": "queued", "required_action": None}
        events: list[Happened] = [[now, "thread.run.step.completed", step], [now, "thread.run.queued", run]]
        for _, name, data in events:
            _keep(server, about, name, data)
        _queue(server, {**about, "round": about["round"] + 1}, events, streamed)
    return run


def stop(server: Server, run: Doc) -> Doc:
    """Begin to cancel a run; the run as it is then."""
    now = server.clock.now()
    with server.lock:
        about = _log(server, run["id"])
        run = {**run, "status": "cancelling", "required_action": None}
        events: list[Happened] = [*about["events"][: about["told"]], [now, "thread.run.cancelling", run]]
        takes = _WAIT * about["seconds"]
        events += _broken(events, run, about, "cancelled", now + takes)
        server.store.put(_LOGS, run["id"], {**about, "events": events})
        server.jobs.schedule(_KIND, run["id"], after=takes)
        _happen(server, run["id"], now)
    return run


def forget(server: Server, thread_id: str) -> None:
    """Do not go on with what is under way in a thread, and forget all that is in it."""
    with server.lock:
        key = active(server, thread_id)
        if key is not None:
            server.jobs.cancel(_KIND, key)
            server.store.delete(_ACTIVE, thread_id)
        for run in server.store.list(_runs(thread_id)):
            server.store.delete(_LOGS, run["id"])
            _empty(server, f"{_runs(thread_id)}/{run['id']}/steps")
        _empty(server, _runs(thread_id))
        _empty(server, f"threads/{thread_id}/messages")


def _empty(server: Server, collection: str) -> None:
    for each in server.store.list(collection):
        server.store.delete(collection, each["id"])


def _runs(thread_id: str) -> str:
    return f"threads/{thread_id}/runs"


def _log(server: Server, key: str) -> Doc:
    found = server.store.get(_LOGS, key)
    assert found is not None, f"{key} is under way without a log"
    return found


def _run(server: Server, about: Doc) -> Doc:
    found = server.store.get(_runs(about["thread_id"]), about["id"])
    assert found is not None, f"{about['id']} has a log and is not stored"
    return found


# What happens to a run


@job(_KIND)
def _go_on(server: Server, due: Job) -> Flow[Again | None]:
    about = server.store.get(_LOGS, due.subject)
    if about is None:
        return None
    run = _run(server, about)
    if about["told"] == len(about["events"]):
        if run["status"] in ("queued", "in_progress"):  # one in progress was left alone by whoever asked its engine
            tools = hosted_tools(server, run, about["extra"])
            if due.at < run["created_at"] + PATIENCE and being_read(server, tools):
                return Again(LOOK)
            yield from _turn(server, about, run, due.at)
        elif run["status"] == "requires_action":
            _append(server, about, _broken(about["events"], run, about, "expired", due.at))
    return _happen(server, due.subject, due.at)


def _append(server: Server, about: Doc, events: Iterable[Happened]) -> None:
    server.store.put(_LOGS, about["id"], {**about, "events": [*about["events"], *events]})


def _happen(server: Server, key: str, now: float) -> Again | None:
    """Let the events happen that are due, and say when it is time for the next."""
    with server.lock:
        about = server.store.get(_LOGS, key)
        if about is None:
            return None
        events, told = about["events"], about["told"]
        while told < len(events) and events[told][0] <= now:
            _keep(server, about, events[told][1], events[told][2])
            told += 1
        server.store.put(_LOGS, key, {**about, "told": told})
        if told < len(events):
            return Again(events[told][0] - now)
        run = _run(server, about)
        if run["status"] == "requires_action":
            return Again(max(0.0, run["expires_at"] - now))
        if run["status"] in OVER:
            server.store.delete(_ACTIVE, about["thread_id"])
            if not about["streamed"]:
                server.store.delete(_LOGS, key)
        return None


def _keep(server: Server, about: Doc, name: str, data: Doc) -> None:
    """Have the store know what an event tells."""
    kind = data["object"].removesuffix(".delta")
    if kind == "thread":
        return
    place = _PLACES[kind].format(thread=about["thread_id"], run=about["id"])
    known = server.store.get(place, data["id"])
    if "delta" in data:
        if known is not None:
            server.store.put(place, data["id"], _grown(known, data["delta"]))
    elif known is not None:  # meanwhile somebody may have told something else about it
        server.store.put(place, data["id"], {**data, "metadata": known["metadata"]})
    elif name.endswith(".created"):  # what was deleted meanwhile stays so
        server.store.put(place, data["id"], data)


_PLACES: Final = {
    "thread.run": "threads/{thread}/runs",
    "thread.run.step": "threads/{thread}/runs/{run}/steps",
    "thread.message": "threads/{thread}/messages",
}


def _turn(server: Server, about: Doc, run: Doc, began: float) -> Flow[None]:
    """Have the model speak, and write down what happens and when."""
    if run["status"] == "queued":
        started = int(began) if run["started_at"] is None else run["started_at"]
        run = {**run, "status": "in_progress", "started_at": started}
        with server.lock:
            _append(server, about, [[began, "thread.run.in_progress", run]])
            _happen(server, run["id"], began)
    turn, ending = yield from _said(server, run, about)
    with server.lock:
        # Meanwhile it may have been cancelled or deleted, or the state may be another.
        found = server.store.get(_LOGS, run["id"])
        if found is None or found["round"] != about["round"] or _run(server, found)["status"] != "in_progress":
            return
        now: Doc = {**found, "usage": {**found["usage"], **turn.usage}}
        events = _timed(turn.events, began, turn.spent, (1 - _WAIT) * now["seconds"])
        ends = max(began + turn.spent, events[-1][0] if events else began + (1 - _WAIT) * now["seconds"])
        if ends > run["expires_at"]:
            events = [event for event in events if event[0] < run["expires_at"]]
            events += _broken([*now["events"], *events], run, now, "expired", run["expires_at"])
        elif ending["status"] == "failed":
            events += _broken([*now["events"], *events], run, now, "failed", ends, ending["last_error"])
        elif ending["status"] == "requires_action":
            events.append([ends, "thread.run.requires_action", {**run, **ending}])
        else:
            events.append(_over(run, now, ending, ends))
        _append(server, now, events)


def _said(server: Server, run: Doc, about: Doc) -> Flow[tuple[RunTurn, Doc]]:
    """The turn, and how the run is after it."""

    def keep(data: bytes, filename: str) -> str:
        from .behaviours.files import keep_file

        name: str = keep_file(server, data, filename, "assistants_output", at=int(server.clock.now()))["id"]
        return name

    try:
        request = run_request(server, run, about["extra"])
    except TooLong:
        return RunTurn(server, ChatRequest(run["model"], []), run, keep), _incomplete("max_prompt_tokens")
    if not about["round"]:
        request.job = run["id"]
    turn = RunTurn(server, request, run, keep)
    most = run["max_completion_tokens"]
    if most is not None and sum(each["completion_tokens"] for each in about["usage"].values()) >= most:
        return turn, _incomplete("max_completion_tokens")
    try:
        said = performed(server.engines.chat(run["model"])(request), Bench(server, request))
        yield from _unhurried(server, driven([(said, cut(turn, request, server.engines))], []), turn)
    except APIStatusError as error:
        return turn, {"status": "failed", "last_error": _error(error)}
    except Exception:
        log.exception("The engine of %s failed in a run", run["model"])
        return turn, {"status": "failed", "last_error": {"code": "server_error", "message": APOLOGY}}
    if turn.calls:
        return turn, {"status": "requires_action", "required_action": turn.required()}
    if turn.finish == "length":
        return turn, _incomplete("max_completion_tokens")
    if turn.finish == "content_filter":
        return turn, {"status": "incomplete", "incomplete_details": {}}
    return turn, {"status": "completed"}


def _unhurried(server: Server, steps: Any, turn: RunTurn) -> Flow[None]:
    """An engine's steps without its pauses. How long they would last, and how long others do, the turn is told."""

    def each(step: Step[Any]) -> Flow[Any]:
        if isinstance(step, Pause):
            turn.spent += step.seconds
            return None
        began = server.clock.now()
        result = yield step
        turn.spent += max(0.0, server.clock.now() - began)
        return result

    return through(steps, each, over=lambda: turn.spent > LIFE)  # nobody waits for the rest


def _incomplete(reason: str) -> Doc:
    return {"status": "incomplete", "incomplete_details": {"reason": reason}}


def _error(error: APIStatusError) -> Doc:
    refused = "invalid_prompt" if isinstance(error, BadRequestError) else "server_error"
    return {"code": "rate_limit_exceeded" if isinstance(error, RateLimitError) else refused, "message": error.message}


def _timed(events: Iterable[Event], began: float, spent: float, span: float) -> list[Happened]:
    """The events with their times: those of an engine that takes its time, and otherwise evenly over the span."""
    told = list(events)
    stamps: dict[str, Doc] = {}
    timed: list[Happened] = []
    for place, (after, name, data) in enumerate(told, 1):
        at = began + max(after, span * place / len(told) if spent < span else 0.0)
        field = _STAMPS.get(name)
        if field is not None:
            stamps.setdefault(data["id"], {})[field] = int(at)
        timed.append([at, name, {**data, **stamps.get(data["id"], {})} if "status" in data else data])
    return timed


# How it ends


def _over(run: Doc, about: Doc, ending: Doc, at: float) -> Happened:
    """The last event of a run."""
    counts = about["usage"].values()
    kinds = ("prompt_tokens", "completion_tokens", "total_tokens")
    usage = {kind: sum(each[kind] for each in counts) for kind in kinds}
    name = f"thread.run.{ending['status']}"
    stamp = {_STAMPS[name]: int(at)} if name in _STAMPS else {}
    expires = run["expires_at"] if ending["status"] == "expired" else None
    over = {**run, "required_action": None, "expires_at": expires, "usage": usage, **ending, **stamp}
    return [at, name, over]


def _broken(
    events: Iterable[Happened], run: Doc, about: Doc, how: str, at: float, error: Doc | None = None
) -> list[Happened]:
    """How a run ends that was cancelled, failed or expired, with what it leaves unfinished."""
    steps, messages = _unfinished(events)
    found: list[Happened] = []
    for message in messages:
        reason = {"status": "incomplete", "incomplete_at": int(at), "incomplete_details": {"reason": f"run_{how}"}}
        found.append([at, "thread.message.incomplete", {**message, **reason}])
    for step in steps:
        name = f"thread.run.step.{how}"
        used = about["usage"].get(step["id"])
        told = None if error is None else {**error, "code": error["code"].replace("invalid_prompt", "server_error")}
        left = {"status": how, "last_error": told, "usage": used, _STAMPS[name]: int(at)}
        found.append([at, name, {**step, **left}])
    ending = {"status": how} if error is None else {"status": how, "last_error": error}
    return [*found, _over(run, about, ending, at)]


def _unfinished(events: Iterable[Happened]) -> tuple[list[Doc], list[Doc]]:
    """The steps and the messages that are in progress after some events, as far as they have come."""
    docs: dict[str, Doc] = {}
    for _, _, data in events:
        if "delta" in data:
            docs[data["id"]] = _grown(docs[data["id"]], data["delta"])
        elif data["object"] in ("thread.run.step", "thread.message"):
            docs[data["id"]] = data
    under_way = [each for each in docs.values() if each["status"] == "in_progress"]
    return (
        [each for each in under_way if each["object"] == "thread.run.step"],
        [each for each in under_way if each["object"] == "thread.message"],
    )


def _grown(doc: Doc, delta: Doc) -> Doc:
    """A message or a step with a piece added to it."""
    if "content" in delta:
        (piece,) = delta["content"]
        return {**doc, "content": added(doc["content"], piece)}
    details = doc["step_details"]
    calls = list(details["tool_calls"])
    (piece,) = delta["step_details"]["tool_calls"]
    index, kind = piece["index"], piece["type"]
    if index == len(calls):
        calls.append(_plain(piece))
    else:
        call = dict(calls[index][kind])
        for name, value in piece[kind].items():
            call[name] = [*call[name], *map(_plain, value)] if isinstance(value, list) else call[name] + value
        calls[index] = {**calls[index], kind: call}
    return {**doc, "step_details": {**details, "tool_calls": calls}}


def _plain(piece: Doc) -> Doc:
    return {name: value for name, value in piece.items() if name != "index"}


# Streams


def followed(server: Server, key: str) -> Generator[bytes | Step[Any], Any, None]:
    """The events of a run until it has ended or waits for outputs. Whoever leaves earlier leaves the run to itself."""
    import orjson

    known = _log(server, key)
    told = 0
    try:
        while True:
            now = server.store.get(_LOGS, key)
            if now is not None and now["round"] == known["round"]:
                known = now
                until = now["told"]
            else:  # somebody else went on with it, or deleted it
                until = len(known["events"]) if now is not None else known["told"]
            lines = [
                b"event: %s\ndata: %s\n\n" % (name.encode(), orjson.dumps(shown(data, known["extra"].get("include"))))
                for _, name, data in known["events"][told:until]
            ]
            if lines:
                yield b"".join(lines)
                told = until
            if now is not known or known["events"][told - 1][1] in _LAST:
                break
            yield from server.jobs.running()
            waiting = server.jobs.waiting(_KIND, key)
            later = server.store.get(_LOGS, key)
            if later is not None and later["told"] == told and later["round"] == known["round"]:
                yield Pause(max(_RHYTHM, 0.0 if waiting is None else waiting.at - server.clock.now()))
        yield b"event: done\ndata: [DONE]\n\n"
    finally:
        with server.lock:
            now = server.store.get(_LOGS, key)
            if now is not None and now["round"] == known["round"]:
                server.store.put(_LOGS, key, {**now, "streamed": False})
                if active(server, now["thread_id"]) != key:
                    server.store.delete(_LOGS, key)
