"""What is answered without rules of its own and is not one JSON object: small files, short streams of valid events."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import orjson

from ..kernel.http import Headers, Response
from ..schema import Schema
from .endpoint import endpoint
from .facts import made
from .unions import resolved

if TYPE_CHECKING:
    from .behaviour import Call

__all__ = ("DONE", "EVENT_STREAM", "sample", "stream")

EVENT_STREAM: Final = Headers.of([("content-type", "text/event-stream; charset=utf-8")])
DONE: Final = b"data: [DONE]\n\n"

_RUN = (
    "thread.run.created",
    "thread.run.queued",
    "thread.run.in_progress",
    "thread.run.step.created",
    "thread.run.step.in_progress",
    "thread.message.created",
    "thread.message.in_progress",
    "thread.message.delta",
    "thread.message.completed",
    "thread.run.step.completed",
    "thread.run.completed",
)
_SESSION = (
    "agent.session.turn.created",
    "agent.session.turn.in_progress",
    "agent.session.turn.output_text.delta",
    "agent.session.turn.output_text.done",
    "agent.session.turn.completed",
    "agent.session.idle",
)

SEQUENCES: Final[Mapping[str, tuple[str, ...]]] = {
    "audio.transcriptions.create": ("transcript.text.delta", "transcript.text.done"),
    "beta.agents.sessions.create": ("agent.session.created", *_SESSION),
    "beta.agents.sessions.events.stream": _SESSION,
    "beta.threads.create_and_run": ("thread.created", *_RUN),
    "beta.threads.runs.create": _RUN,
    "beta.threads.runs.submit_tool_outputs": _RUN,
}
"""The events of a stream that goes well, in order."""


def stream(call: Call, facts: Mapping[str, Any] | None = None) -> Response:
    """A short stream of valid events. `facts` is the object they are about, where there is one."""
    return Response(200, EVENT_STREAM, _events(call, facts or {}))


def _events(call: Call, facts: Mapping[str, Any]) -> Generator[bytes, None, None]:
    schema = endpoint(call.operation.name).schema.event
    assert schema is not None
    members = _members(call.operation.name)
    for name in SEQUENCES.get(call.operation.name, tuple(members)):
        tag, member = members[name]
        about = {**call.params, **_about(name, facts)}
        event = made(call.server, member, {**about, "data": about, tag: name})
        data = event["data"] if tag == "event" else event
        yield b"event: %s\ndata: %s\n\n" % (name.encode(), orjson.dumps(data))
    yield DONE


def _about(name: str, facts: Mapping[str, Any]) -> Mapping[str, Any]:
    """What an event says of its object. An object's own events tell the state they are named after."""
    kind, _, state = name.rpartition(".")
    if facts.get("object") != kind:
        links = {f"{facts['object'].rpartition('.')[2]}_id": facts["id"]} if "object" in facts and "id" in facts else {}
        return {name: value for name, value in facts.items() if name.endswith("_id")} | links
    return {**facts, "status": {"created": "queued"}.get(state, state)}


@cache
def _members(name: str) -> dict[str, tuple[str, Schema]]:
    """The events of an operation by name, each with the field that tells the name."""
    schema = resolved(endpoint(name).schema.event or {})
    found: dict[str, tuple[str, Schema]] = {}
    for member in schema.get("anyOf", [schema]):
        fields: dict[str, Schema] = resolved(member).get("properties", {})
        for tag in ("event", "type"):
            if "const" in fields.get(tag, {}):
                found.setdefault(fields[tag]["const"], (tag, member))
    return found


def sample(call: Call) -> Any:
    """The answer of an operation that answers a file, or nothing."""
    if "Binary" not in str(call.operation.spec.__annotations__.get("return")):
        return None
    content_type, data = _FILES.get(call.operation.name, _nothing)(call)
    return Response(200, Headers.of([("content-type", content_type)]), data)


def _nothing(call: Call) -> tuple[str, bytes]:
    return "application/octet-stream", b""


def wave(seconds: float, rate: int = 8000) -> bytes:
    """Silence as a WAV file of 16-bit mono samples."""
    size = int(seconds * rate) * 2
    head = b"RIFF" + (36 + size).to_bytes(4, "little") + b"WAVEfmt " + (16).to_bytes(4, "little")
    form = b"\x01\x00\x01\x00" + rate.to_bytes(4, "little") + (rate * 2).to_bytes(4, "little") + b"\x02\x00\x10\x00"
    return head + form + b"data" + size.to_bytes(4, "little") + bytes(size)


def _speech(call: Call) -> tuple[str, bytes]:
    """Silence as long as the text would take to say. Whatever the format asked for, it is WAV or raw samples."""
    seconds = max(0.1, len(str(call.body.get("input", ""))) / 15)
    if call.body.get("response_format") == "pcm":
        return "audio/pcm", bytes(int(seconds * 24_000) * 2)
    return "audio/wav", wave(seconds, 24_000)


def _recording(call: Call) -> tuple[str, bytes]:
    return "audio/wav", wave(1)


_FILES: Mapping[str, Callable[[Call], tuple[str, bytes]]] = {
    "audio.speech.create": _speech,
    "live.sessions.download_recording": _recording,
}
