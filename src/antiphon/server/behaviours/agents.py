"""Sessions of agents: turns that a model answers, tools of the caller's, the events of both, files and artifacts.

A turn is worked out when its input comes; its events wait in the session's log for whoever follows it, with the pauses
of a slow engine between them. Files below `/workspace/outputs` when a turn is completed become its artifacts.

API reference: https://platform.openai.com/docs/api-reference/agents-sessions
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

import orjson

from ...api.beta.agents.environments.files import Files as EnvironmentFiles
from ...api.beta.agents.sessions import Sessions
from ...api.beta.agents.sessions.artifacts import Artifacts
from ...api.beta.agents.sessions.events import Events
from ...kernel.errors import APIStatusError, BadRequestError
from ...kernel.flow import Pause
from ...kernel.http import Headers, Response
from ..behaviour import Call, serves
from ..envelope import APOLOGY
from ..families.agents import agent_of, blob_of, keep_bytes
from ..kept import check_parents, check_reference, family
from ..renderings.agents import AgentTurn, agent_request, user_items
from ..renderings.sinks import EVENT_STREAM, driven, settled, unhurried
from ..samples import stream as samples_of
from ..store import bytes_of

if TYPE_CHECKING:
    from ...kernel.flow import Flow, Step
    from ..app import Server
    from ..behaviour import Reply

Doc = dict[str, Any]

log = logging.getLogger("antiphon.server")

OUTPUTS: Final = "/workspace/outputs/"
PATIENCE: Final = 30.0
"""Seconds without an event after which the stream of a session ends."""
_TICK: Final = 0.05
_DONE: Final = Headers.of([])
_SESSION: Final = "agent.session."
_TURN: Final = "agent.session.turn."


# Addresses


@serves(Sessions.create)
def create(call: Call) -> Reply:
    """Make a session, begin a turn where there is input, and follow it where a stream is asked for.

    Follows https://platform.openai.com/docs/api-reference/agents-sessions/create
    """
    keeper, server, body = family("beta.agents.sessions"), call.server, call.body
    if server.conjures:
        reply: Reply = keeper.create(call)
        return reply
    check_reference(call, "agent_id", "beta.agents")
    model, given = agent_of(call).get("model"), body.get("input")
    if not model:
        raise BadRequestError.because("Missing required parameter: 'agent.model'.", param="agent.model")
    if not given and (body.get("stream") or body["environment"]["type"] == "none"):
        raise BadRequestError.because("Missing required parameter: 'input'.", param="input")
    server.engines.chat(model)  # a session of a model that does not exist is not made
    session = keeper.document(call, None)
    server.store.put(keeper.place(call.params), session["id"], session)
    return settled(_created(call, _Session(server, session["id"]), given))


def _created(call: Call, session: _Session, given: Any) -> Flow[Any]:
    session.tell("created", session=session.doc)
    if given:
        yield from session.begin(given)
    if call.body.get("stream"):
        return Response(200, EVENT_STREAM, session.followed(0, whole_session=False))
    return session.doc


@serves(Sessions.update)
def update(call: Call) -> Reply:
    """Change a session. What is not named of its agent stays as it is; the turns that follow have the change.

    Follows https://platform.openai.com/docs/api-reference/agents-sessions/update
    """
    keeper, agent = family("beta.agents.sessions"), call.body.get("agent")
    changes = dict(call.body)
    if agent is not None:
        changes["agent"] = {**keeper.found(call)["agent"], **{k: v for k, v in agent.items() if v is not None}}
    if changes.get("metadata", ...) is None:
        changes["metadata"] = {}
    reply: Reply = keeper.changed(call, changes)
    return reply


@serves(Events.create)
def submit(call: Call) -> Reply:
    """Take input, results of tools, or the wish to stop. The answer is empty.

    Follows https://platform.openai.com/docs/api-reference/agents-sessions-events/create
    """
    check_parents(call)
    if call.server.conjures:
        return None
    session = _Session(call.server, call.params["session_id"])
    key = call.request.headers.get("idempotency-key")
    if key is not None:
        place = f"{session.place}/keys"
        with call.server.lock:
            if call.server.store.get(place, key) is not None:
                return Response(204, _DONE, b"")
            call.server.store.put(place, key, {"id": key})
    try:
        return settled(_submitted(session, call.body["events"]))
    except APIStatusError:
        if key is not None:  # what was refused may be tried again
            call.server.store.delete(f"{session.place}/keys", key)
        raise


def _submitted(session: _Session, events: Iterable[Mapping[str, Any]]) -> Flow[Response]:
    for event in events:
        turn = _INPUTS[event["type"].removeprefix("agent.session.input.")](session, event)
        if turn is not None:
            yield from turn
    return Response(204, _DONE, b"")


@serves(Events.stream)
def follow(call: Call) -> Reply:
    """Where the session stands, and its events as they happen.

    The stream ends with the session, and when nothing has happened for half a minute.

    Follows https://platform.openai.com/docs/api-reference/agents-sessions-events/stream
    """
    check_parents(call)
    if call.server.conjures:
        return samples_of(call)
    session = _Session(call.server, call.params["session_id"])
    began = len(call.server.store.list(session.log))
    return Response(200, EVENT_STREAM, session.followed(began, whole_session=True))


@serves(EnvironmentFiles.create)
def put_file(call: Call) -> Reply:
    """Put a file into an environment, in the place of one that is there.

    Follows https://platform.openai.com/docs/api-reference/agents-environments-files/create
    """
    body, server = call.body, call.server
    if not server.conjures:
        if not str(body["path"]).startswith("/workspace/"):
            raise BadRequestError.because("'path' must be an absolute path below /workspace.", param="path")
        check_reference(call, "file_id", "files")
    reply: Reply = family("beta.agents.environments.files").create(call)
    keep_bytes(call, call.params["environment_id"], body)
    return reply


@serves(Artifacts.content)
def artifact(call: Call) -> Reply:
    """The bytes of an artifact."""
    doc = family("beta.agents.sessions.artifacts").found(call)
    data = bytes_of(call.server.store, str(doc["id"]))
    return Response(200, Headers.of([("content-type", "application/octet-stream")]), data)


# A session


class _Session:
    """A session in the store, and what happens in it."""

    def __init__(self, server: Server, key: str) -> None:
        self.server = server
        self.key = key
        self.place = f"agents/sessions/{key}"
        self.log = f"{self.place}/log"
        self._later = 0.0
        """Seconds after now that the next event is told at: the pauses an engine has made."""

    @property
    def doc(self) -> Doc:
        found = self.server.store.get("agents/sessions", self.key)
        return {"status": "failed"} if found is None else found

    def change(self, **changes: Any) -> Doc:
        """Put the session back with some fields set anew."""
        with self.server.lock:
            doc = {**self.doc, **changes, "last_active_at": int(self.server.clock.now())}
            if self.server.store.get("agents/sessions", self.key) is not None:  # what was deleted meanwhile stays so
                self.server.store.put("agents/sessions", self.key, doc)
        return doc

    # Events

    def tell(self, kind: str, **fields: Any) -> None:
        """Add an event of the session to the log."""
        self._add({"type": f"{_SESSION}{kind}", **fields})

    def _add(self, event: Doc) -> None:
        event["event_id"] = self.server.ids.new("evt_")
        at = self.server.clock.now() + self._later
        self.server.store.put(self.log, event["event_id"], {"id": event["event_id"], "at": at, "event": event})

    def told_of(self, turn_id: str) -> Callable[..., None]:
        """What adds events of a turn."""

        def tell(kind: str, **fields: Any) -> None:
            self._add({"type": f"{_TURN}{kind}", "session_id": self.key, "turn_id": turn_id, **fields})

        return tell

    def followed(self, at: int, *, whole_session: bool) -> Generator[bytes | Step[Any], Any, None]:
        """The events from a place in the log on; of the whole session, or until its turn is over."""
        server = self.server
        if whole_session:
            doc = self.doc
            yield _line({"type": f"{_SESSION}{doc['status']}", "event_id": server.ids.new("evt_"), "session": doc})
        waited = 0.0
        while waited < PATIENCE:
            for entry in server.store.list(self.log)[at:]:
                at, waited = at + 1, 0.0
                due = entry["at"] - server.clock.now()
                if due > 0:
                    yield Pause(due)
                yield _line(entry["event"])
                kind = entry["event"]["type"]
                if kind == f"{_SESSION}failed" or (kind == f"{_SESSION}idle" and not whole_session):
                    return
            if self.doc["status"] == "failed":
                return
            yield Pause(_TICK)
            waited += _TICK

    # Turns

    def begin(self, given: Any) -> Flow[None]:
        """Begin a turn with what a user says. Raises `BadRequestError` while another one is under way."""
        with self.server.lock:
            doc = self.doc
            if doc["status"] != "idle":
                raise BadRequestError.because(
                    f"Session '{self.key}' is {doc['status']}; input can be added when it is idle.",
                    code="session_not_idle",
                )
            doc = self.change(status="in_progress")
        turn = self._new_turn(doc)
        for item in user_items(given, self.server.ids, turn["id"]):
            self._keep(item)
        self.tell("in_progress", session=doc)
        tell = self.told_of(turn["id"])
        tell("created", turn=turn)
        tell("in_progress", turn=turn)
        yield from self._go_on(turn)

    def _new_turn(self, doc: Doc) -> Doc:
        at = int(self.server.clock.now())
        turn: Doc = {
            "id": self.server.ids.new("turn_"),
            "object": "agent.session.turn",
            "agent_id": doc["agent"]["id"],
            "session_id": self.key,
            "subagent_id": None,
            "created_at": at,
            "started_at": at,
            "completed_at": None,
            "status": "in_progress",
            "error": None,
            "usage": None,
            "prompt_cache_options": doc.get("prompt_cache_options"),
        }
        self.server.store.put(f"{self.place}/turns", turn["id"], turn)
        return turn

    def turn(self, key: str, **changes: Any) -> Doc:
        """A turn, put back with some fields set anew."""
        with self.server.lock:
            turn = {**(self.server.store.get(f"{self.place}/turns", key) or {}), **changes}
            self.server.store.put(f"{self.place}/turns", key, turn)
        return turn

    def _keep(self, item: Doc) -> None:
        self.server.store.put(f"{self.place}/items", item["id"], item)
        self.server.store.put(f"{self.place}/turns/{item['turn_id']}/items", item["id"], item)

    def _go_on(self, turn: Doc) -> Flow[None]:
        """Have the model speak: until it is done, or calls tools of the caller's."""
        server, key = self.server, turn["id"]
        agent = self.doc["agent"]
        request = agent_request(agent, server.store.list(f"{self.place}/items"))
        said = [item for item in server.store.list(f"{self.place}/turns/{key}/items") if item.get("role") != "user"]
        sink = AgentTurn(request, server.ids, key, len(said), self.told_of(key))
        try:
            spoken = server.engines.chat(agent["model"])(request)
            yield from unhurried(driven([(spoken, sink)], []), self._wait)
        except APIStatusError as error:
            self._end(key, "failed", error={"code": "server_error", "message": error.message})
            return
        except Exception:
            log.exception("The engine of %s failed in a session", agent["model"])
            self._end(key, "failed", error={"code": "server_error", "message": APOLOGY})
            return
        except BaseException:  # whoever waited for it went away: others are not to wait for ever
            self._end(key, "cancelled")
            raise
        if not self._is_on(key):
            return
        for item in sink.items:
            self._keep(item)
        usage = _sum(turn.get("usage"), sink.usage)
        if sink.calls:
            self.turn(key, status="waiting", usage=usage)
            actions = [_action(item) for item in sink.calls]
            self.tell("requires_action", session=self.change(status="requires_action", required_actions=actions))
            return
        self._publish(key)
        self._end(key, "completed", usage=usage)

    def _wait(self, seconds: float) -> None:
        """A pause of the engine's: it is between the events, for those who follow."""
        self._later += seconds

    def _is_on(self, key: str) -> bool:
        """Whether a turn is under way still, and was not cancelled meanwhile."""
        turn = self.server.store.get(f"{self.place}/turns", key)
        return turn is not None and turn["status"] == "in_progress"

    def _end(self, key: str, how: str, **changes: Any) -> None:
        """End a turn that is under way still."""
        with self.server.lock:
            if self._is_on(key):
                self._over(key, how, **changes)

    def _over(self, key: str, how: str, **changes: Any) -> None:
        """The turn has ended, and the session is idle."""
        turn = self.turn(key, status=how, completed_at=int(self.server.clock.now()), **changes)
        fields: Doc = {"turn": turn}
        if how == "completed":
            fields["usage"] = turn["usage"]
        self.told_of(key)(how, **fields)
        usage = _sum(self.doc.get("usage"), turn["usage"])
        self.tell("idle", session=self.change(status="idle", required_actions=[], usage=usage))

    # What comes from the caller

    def message(self, event: Mapping[str, Any]) -> Flow[None]:
        """What a user says."""
        yield from self.begin(event["input"])

    def result(self, event: Mapping[str, Any]) -> Flow[None]:
        """What a tool says. Raises `BadRequestError` for a call that nobody waits for."""
        call_id, turn_id = event["call_id"], event["turn_id"]
        with self.server.lock:
            doc = self.doc
            waiting = doc["required_actions"]
            left = [action for action in waiting if (action.get("call_id"), action["turn_id"]) != (call_id, turn_id)]
            if len(left) == len(waiting):
                raise BadRequestError.because(f"Unknown pending tool call: {call_id}", code="invalid_request_error")
            self.change(required_actions=left)
        status = "completed" if event["success"] else "failed"
        place = f"{self.place}/turns/{turn_id}/items"
        own = [item for item in self.server.store.list(place) if item.get("role") != "user"]
        for index, item in enumerate(own):
            if item.get("call_id") == call_id and item["type"] == "function_call":
                done = {**item, "status": status}
                self._keep(done)
                self.told_of(turn_id)("item.done", item=done, output_index=index)
        output = event.get("output") if event["success"] else event.get("error") or "The tool failed."
        self._keep(
            {
                "id": self.server.ids.new("fco_"),
                "type": "function_call_output",
                "turn_id": turn_id,
                "call_id": call_id,
                "status": status,
                "output": output,
                "error": None if event["success"] else event.get("error"),
            }
        )
        if not left:
            turn = self.turn(turn_id, status="in_progress")
            self.tell("in_progress", session=self.change(status="in_progress"))
            yield from self._go_on(turn)

    def cancel(self, event: Mapping[str, Any]) -> None:
        """Stop the turn that is under way; without one nothing happens."""
        for turn in self.server.store.list(f"{self.place}/turns"):
            if turn["status"] in ("queued", "in_progress", "waiting"):
                self._over(turn["id"], "cancelled")

    def decision(self, event: Mapping[str, Any]) -> None:
        """What a user decides. This server's agents ask for nothing to be decided."""
        raise BadRequestError.because(
            f"Unknown pending approval request: {event['request_id']}", code="invalid_request_error"
        )

    # Artifacts

    def _publish(self, turn_id: str) -> None:
        """Make artifacts of the outputs that are new, or not as they were published last."""
        environment_id = self.doc["environment"].get("id")
        if environment_id is None:
            return
        store = self.server.store
        known = {doc["path"]: store.get_blob(doc["id"]) for doc in store.list(f"{self.place}/artifacts")}
        for file in store.list(f"agents/environments/{environment_id}/files"):
            path = file["path"]
            blob = store.get_blob(blob_of(environment_id, path))
            if not path.startswith(OUTPUTS) or blob is None or known.get(path) == blob:
                continue
            doc: Doc = {
                "id": self.server.ids.new("artifact_"),
                "object": "agent.session.artifact",
                "created_at": int(self.server.clock.now()),
                "path": path,
                "session_id": self.key,
                "turn_id": turn_id,
                "environment_id": environment_id,
                "size_bytes": len(blob[0]),
            }
            store.put(f"{self.place}/artifacts", doc["id"], doc)
            store.put_blob(doc["id"], blob[0])


_INPUTS: Final[dict[str, Callable[[_Session, Mapping[str, Any]], Flow[None] | None]]] = {
    "message": _Session.message,
    "tool_result": _Session.result,
    "cancel": _Session.cancel,
    "mcp_approval_request_result": _Session.decision,
    "computer_use_approval_request_result": _Session.decision,
}
"""What may be submitted, by the last part of its type."""


def _line(event: Doc) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (event["type"].encode(), orjson.dumps(event))


def _action(item: Doc) -> Doc:
    return {name: item[name] for name in ("type", "turn_id", "call_id", "name", "arguments")}


def _sum(one: Doc | None, other: Doc | None) -> Doc | None:
    """Token counts together."""
    if one is None or other is None:
        return one or other
    return {
        name: _sum(one[name], value) if isinstance(value, dict) else one[name] + value for name, value in other.items()
    }
