"""What the websockets of sessions have in common: events are checked, answered in order, and what is wrong is said.

A command is a method found by the type of its event. What it says goes through one outbox, so the order in which
things happen is the order in which they are told, whichever lane tells them.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping
from types import GeneratorType
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import orjson

from ...kernel.dialogue import Turn
from ...kernel.errors import APIStatusError, BadRequestError, InternalServerError
from ...kernel.flow import through as passing
from ...kernel.severed import Severed
from ...schema import events
from ..faults import first_fault
from ..validation import accepts, refuse

if TYPE_CHECKING:
    from ...kernel.flow import Step
    from ...kernel.http import Request, Response
    from ..app import Server

__all__ = ("JSON", "Command", "Said", "Talk", "through")

JSON: TypeAlias = dict[str, Any]
Said: TypeAlias = Generator["bytes | Step[Any]", Any, None]
Command: TypeAlias = "Callable[[Any, JSON], Turn | None]"

LARGEST = 15 * 1024 * 1024
"""Characters of base64 that one event may bring."""

_HANDSHAKE = ("connection", "upgrade", "content-length", "content-type", "transfer-encoding", "openai-beta")

log = logging.getLogger("antiphon.server")


class Talk:
    """One connection whose messages are events, both ways."""

    connection: ClassVar[str]
    """The name of its events in the tables."""
    commands: ClassVar[Mapping[str, Command]]
    """What is done about each event, by its type."""

    def __init__(self, server: Server, request: Request) -> None:
        self.server = server
        headers = request.headers.replaced(
            {name: None for name, _ in request.headers.pairs if name.startswith("sec-websocket-")}
            | dict.fromkeys(_HANDSHAKE)
            | {"content-type": "application/json"}
        )
        self.request = request._replace(method="POST", query="", headers=headers)
        self._outbox: deque[bytes] = deque()

    # The dialogue

    def begun(self) -> Turn | None:
        self.greet()
        return self._told(None)

    def heard(self, message: bytes) -> Turn | None:
        event: JSON = {}
        try:
            event = self.read(message)
            turn = self._command(event)(self, self.checked(event))
        except APIStatusError as error:
            turn = None
            self.wrong(error, event)
        except Exception as error:
            log.exception("a message of %s failed", self.connection)
            turn = None
            self.wrong(InternalServerError.because(f"The server had an error: {type(error).__name__}."), event)
        return self._told(turn)

    def ended(self) -> None:
        """The connection is closed."""

    def _told(self, turn: Turn | None) -> Turn | None:
        if turn is None:
            return Turn("", self.flush()) if self._outbox else None
        return turn._replace(said=self._first(turn.said))

    def _first(self, said: Any) -> Said:
        yield from self.flush()
        yield from said

    # What subclasses say

    def greet(self) -> None:
        """Say what is said before anything is heard."""

    def wrong(self, error: APIStatusError, event: Mapping[str, Any]) -> None:
        """Say what is wrong with an event."""
        self.say("error", error=self.fault(error, event))

    def fault(self, error: APIStatusError, event: Mapping[str, Any]) -> JSON:
        """An error as an event has it."""
        return {
            "type": error.type or "invalid_request_error",
            "code": error.code,
            "message": error.message,
            "param": error.param,
            "event_id": _event_id(event),
        }

    # Tools of theirs

    def say(self, kind: str, **fields: Any) -> None:
        """Tell the client, after all that was said before."""
        for event in self.told({"type": kind, "event_id": self.new("event_"), **fields}):
            self.put(event)

    def put(self, event: JSON) -> None:
        """Tell the client an event as it is."""
        self._outbox.append(orjson.dumps(event))

    def told(self, event: JSON) -> Iterator[JSON]:
        """An event as this dialect tells it."""
        yield event

    def new(self, prefix: str) -> str:
        """A new id."""
        return self.server.ids.new(prefix)

    def flush(self) -> Iterator[bytes]:
        """What is there to be said."""
        while self._outbox:
            yield self._outbox.popleft()

    def read(self, message: bytes) -> JSON:
        """The event in a message. Raises `BadRequestError` where there is none."""
        if len(message) > LARGEST:
            raise BadRequestError.because(
                f"An event has {LARGEST} bytes at most, not {len(message)}.", code="string_above_max_length"
            )
        try:
            event = orjson.loads(message)
        except ValueError as error:
            raise BadRequestError.because(f"The message is not JSON: {error}.", code="invalid_json") from None
        if not isinstance(event, dict):
            raise BadRequestError.because("An event is a JSON object.", code="invalid_event")
        return event

    def _command(self, event: JSON) -> Command:
        """What is done about an event. Raises `BadRequestError` for one that is not known."""
        if "type" not in event:
            raise BadRequestError.because(
                "Missing required parameter: 'type'.", param="type", code="missing_required_parameter"
            )
        if not isinstance(event["type"], str) or event["type"] not in self.commands:
            known = ", ".join(map(repr, self.commands))
            raise BadRequestError.because(
                f"Invalid value: {event['type']!r}. Supported values are: {known}.", param="type", code="invalid_value"
            )
        return self.commands[event["type"]]

    def checked(self, event: JSON) -> JSON:
        """An event that fits its schema. Raises `BadRequestError` with the first thing that does not."""
        schema = events(self.connection).get(event["type"])
        if schema is None:
            return event
        unknown = self.server.unknown_fields
        unknown_ones: Any = "allow" if unknown == "allow" else "refuse"
        if not accepts(schema, unknown=unknown_ones)(event):
            fault = first_fault(self.connection, schema, event, unknown=unknown_ones)
            if fault is not None:
                raise refuse(self.connection, fault)
        return event

    def ask(self, path: str, body: Mapping[str, Any]) -> Generator[Step[Any], Any, Response]:
        """Ask the server as a request would, with the headers of the handshake."""
        request = self.request._replace(path=path, body=orjson.dumps(body))
        answer: Any = self.server(request)
        if answer.__class__ is GeneratorType:
            answer = yield from answer
        return answer  # type: ignore[no-any-return]


def _event_id(event: Mapping[str, Any]) -> str | None:
    found = event.get("event_id")
    return found if isinstance(found, str) else None


def through(pieces: Any, each: Callable[[bytes], Said], over: Callable[[], bool]) -> Said:
    """Go through what a generator yields, until it is over: `each` says something about every message, steps pass."""

    def told(piece: bytes | Step[Any]) -> Generator[bytes | Step[Any], Any, Any]:
        if isinstance(piece, bytes):
            yield from each(piece)
            return None
        try:
            return (yield piece)
        except Severed:
            pieces.close()  # who is gone is told nothing of it
            raise

    return passing(pieces, told, over=over)
