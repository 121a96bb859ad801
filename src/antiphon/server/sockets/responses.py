"""`/responses` as a websocket: response after response, in lanes.

`response.create` is answered with the events that `POST /responses` would stream. Its lane is its `stream_id`:
responses of one lane follow each other, those of different lanes overlap. What is not stored can be gone on from over
the same connection. `response.steer` speaks into a response under way: it is followed by another that has heard it.

Follows https://platform.openai.com/docs/guides/websocket-mode
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from types import GeneratorType
from typing import TYPE_CHECKING, Any, TypeAlias

import orjson

from ...kernel.dialogue import Turn, messages_of
from ...kernel.errors import APIStatusError, BadRequestError
from ..context import context_of, keep
from ..renderings.responses import skeleton
from ..renderings.responses_request import input_items

if TYPE_CHECKING:
    from ...kernel.flow import Step
    from ...kernel.http import Request
    from ..app import Server

__all__ = ("dialogue",)

JSON: TypeAlias = dict[str, Any]
Said: TypeAlias = Generator["bytes | Step[Any]", Any, None]

LANES = 32
"""How many names of lanes there may be in one connection."""

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,256}")
_OWN = ("type", "stream_id", "generate", "stream")
_ENDS = frozenset(("response.completed", "response.failed", "response.incomplete"))
_HANDSHAKE = ("connection", "upgrade", "content-length", "content-type", "transfer-encoding")


def dialogue(server: Server, request: Request) -> Responses:
    """The dialogue of a connection."""
    return Responses(server, request)


class _Active:
    """A response under way."""

    def __init__(self, lane: str | None, body: JSON) -> None:
        self.lane = lane
        self.body = body
        self.steers: list[JSON] = []


class Responses:
    """One connection."""

    def __init__(self, server: Server, request: Request) -> None:
        self._server = server
        headers = request.headers.replaced(
            {name: None for name, _ in request.headers.pairs if name.startswith("sec-websocket-")}
            | dict.fromkeys(_HANDSHAKE)
            | {"content-type": "application/json"}
        )
        self._request = request._replace(method="POST", headers=headers)
        self._lanes: set[str] = set()
        self._active: dict[str, _Active] = {}
        self._ended: dict[str, str | None] = {}
        """Responses of this connection that have ended, and their lanes."""
        self._local: dict[str, list[JSON]] = {}
        """What was said up to each response that is not stored."""
        self._waiting: dict[str, list[JSON]] = {}
        """What was said into responses that need the output of a tool first."""
        self._steers = 0

    def begun(self) -> Turn | None:
        return None

    def ended(self) -> None:
        self._local.clear()

    def heard(self, message: bytes) -> Turn | None:
        lane: str | None = None
        try:
            event = self._read(message)
            lane = self._lane(event)
            turn: Turn = _COMMANDS[event["type"]](self, event, lane)
            return turn
        except APIStatusError as error:
            return Turn(lane or "", iter([_failed(error.status_code, error.body, lane)]))

    def _read(self, message: bytes) -> JSON:
        try:
            event = orjson.loads(message)
        except ValueError as error:
            raise BadRequestError.because(f"The message is not JSON: {error}.", code="invalid_json") from None
        kind = event.get("type") if isinstance(event, dict) else None
        if not isinstance(kind, str) or kind not in _COMMANDS:
            known = " or ".join(f"'{each}'" for each in _COMMANDS)
            raise BadRequestError.because(
                f"A message is an object whose type is {known}, not {kind!r}.", param="type", code="invalid_value"
            )
        return event  # type: ignore[no-any-return]

    def _lane(self, event: JSON) -> str | None:
        name = event.get("stream_id")
        if name is None:
            return None
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise BadRequestError.because(
                "A stream_id is 1 to 256 ASCII letters, digits, underscores, hyphens or periods.",
                param="stream_id",
                code="invalid_stream_id",
            )
        if name not in self._lanes and len(self._lanes) >= LANES:
            raise BadRequestError.because(
                f"There are {LANES} stream ids in this connection already.",
                param="stream_id",
                code="websocket_stream_limit_reached",
            )
        self._lanes.add(name)
        return name

    # Commands

    def _create(self, event: JSON, lane: str | None) -> Turn:
        if event.get("background"):
            raise BadRequestError.because(
                "A response over a websocket is not made in the background.",
                param="background",
                code="unsupported_parameter",
            )
        body = {name: value for name, value in event.items() if name not in _OWN}
        warm = event.get("generate") is False
        return Turn(lane or "", self._warmed(body, lane) if warm else self._answered(body, lane))

    def _steer(self, event: JSON, lane: str | None) -> Turn:
        parent = event.get("previous_response_id")
        self._steers += 1
        steer = {"id": f"steer_{self._steers}", "previous_response_id": parent}
        active = self._active.get(parent) if isinstance(parent, str) else None
        if active is None:
            known = isinstance(parent, str) and parent in self._ended
            code = "response_already_completed" if known else "response_not_found"
            said: JSON = {
                "type": "response.steer.failed",
                "error": {
                    "type": "invalid_request_error",
                    "code": code,
                    "message": f"Response {parent!r} is not under way in this connection.",
                },
                "steer": {**steer, "input": event.get("input")},
            }
            lane = self._ended.get(parent) if isinstance(parent, str) else None
        else:
            active.steers.append({**steer, "input": event.get("input")})
            said, lane = {"type": "response.steer.accepted", "steer": steer}, active.lane
        # Beside what is said in the lane meanwhile, not after it.
        return Turn(steer["id"] or "", iter([_message({**said, "sequence_number": 0}, lane)]))

    # Answers

    def _answered(self, body: JSON, lane: str | None) -> Said:
        """Ask as a request would, and say what it is answered, then what follows from what was said into it."""
        asked, local = self._asked(body)
        answer: Any = self._server(self._request._replace(body=orjson.dumps({**asked, "stream": True})))
        if answer.__class__ is GeneratorType:
            answer = yield from answer
        if answer.status >= 400:
            if local is not None and lane in (None, self._ended.get(local)):
                self._local.pop(local, None)
            yield _failed(answer.status, orjson.loads(answer.content), lane)
            return
        begun: list[str] = []

        def tell(data: bytes) -> bytes | None:
            if data[:1] != b"{":
                return None
            try:
                event = orjson.loads(data)
            except ValueError:  # a fault: it is not ours to mend
                return data
            response = event.get("response")
            if isinstance(response, dict):
                begun[:] = [response["id"]]
                if local is not None:
                    response["previous_response_id"] = local
                self._follow(event["type"], response, asked, body, lane)
            return _message(event, lane)

        yield from messages_of(answer.body, tell)
        if begun:
            yield from self._steered(begun[0], body, lane)

    def _asked(self, body: JSON) -> tuple[JSON, str | None]:
        """A body as it is asked, and the response of this connection alone that it goes on from."""
        previous = body.get("previous_response_id")
        steers = self._waiting.pop(previous, []) if isinstance(previous, str) else []
        before = self._local.get(previous) if isinstance(previous, str) else None
        if before is None and not steers:
            return body, None
        own = [*input_items(body.get("input"), None), *(item for each in steers for item in _items(each))]
        if before is None:
            return {**body, "input": own}, None
        asked = {name: value for name, value in body.items() if name != "previous_response_id"}
        return {**asked, "input": [*before, *own]}, previous

    def _follow(self, kind: str, response: JSON, asked: JSON, body: JSON, lane: str | None) -> None:
        key = response["id"]
        if kind == "response.created":
            self._active[key] = _Active(lane, body)
        elif kind in _ENDS:
            self._ended[key] = lane
            if asked.get("store") is False:
                self._local[key] = [*input_items(asked.get("input"), None), *map(_kept, response.get("output") or ())]

    def _steered(self, key: str, body: JSON, lane: str | None) -> Said:
        active = self._active.pop(key, None)
        if active is None or not active.steers:
            return
        needed = self._needed(key)
        if needed:
            self._waiting[key] = active.steers
            last = active.steers[-1]
            steer = {"id": last["id"], "previous_response_id": key}
            yield _message(
                {
                    "type": "response.steer.pending",
                    "reason": "waiting_for_required_input",
                    "required_input": needed,
                    "steer": steer,
                    "sequence_number": 0,
                },
                lane,
            )
            return
        items = [item for each in active.steers for item in _items(each)]
        yield from self._answered({**body, "previous_response_id": key, "input": items}, lane)

    def _needed(self, key: str) -> list[JSON]:
        """Outputs of tools that a response waits for."""
        response = self._server.store.get("responses", key) or {"output": self._local.get(key, ())}
        return [
            {"type": f"{item['type']}_output", "call_id": item["call_id"]}
            | ({"name": item["name"]} if item["type"] == "function_call" else {})
            for item in response["output"]
            if item.get("type") in ("function_call", "custom_tool_call")
        ]

    def _warmed(self, body: JSON, lane: str | None) -> Iterator[bytes]:
        """A response that says nothing, and that others can go on from."""
        server = self._server
        asked, local = self._asked(body)
        try:
            context = context_of(server, asked, strict=not server.conjures)
        except APIStatusError as error:
            yield _failed(error.status_code, error.body, lane)
            return
        response = skeleton(server, asked, asked.get("model") or "gpt-5", context.conversation)
        if local is not None:
            response["previous_response_id"] = local
        for number, station in enumerate(("created", "in_progress")):
            yield _message({"type": f"response.{station}", "response": response, "sequence_number": number}, lane)
        response = {**response, "status": "completed", "completed_at": int(server.clock.now())}
        keep(server, asked, context, response, {})
        self._follow("response.completed", response, asked, body, lane)
        yield _message({"type": "response.completed", "response": response, "sequence_number": 2}, lane)


_COMMANDS: dict[str, Any] = {"response.create": Responses._create, "response.steer": Responses._steer}


def _items(steer: JSON) -> list[JSON]:
    return input_items(steer["input"], None)


def _kept(item: JSON) -> JSON:
    """An item of the output as one of the next input."""
    return {name: value for name, value in item.items() if value is not None}


def _message(event: JSON, lane: str | None) -> bytes:
    if "type" not in event and "error" in event:  # a stream that broke off
        event = {"type": "error", "status": 500, **event}
    return orjson.dumps(event if lane is None else {**event, "stream_id": lane})


def _failed(status: int, body: Any, lane: str | None) -> bytes:
    error = body.get("error", body) if isinstance(body, dict) else {"message": str(body), "type": "server_error"}
    return _message({"type": "error", "status": status, "error": error}, lane)
