"""The realtime beta's words for a session: flat settings, other names of events, and of what is said.

A session is held in the words of today. What comes is put into them, and what is told out of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final

from .session import Session

if TYPE_CHECKING:
    from ..talk import JSON, Command

__all__ = ("BetaSession", "flat", "nested")

_FORMATS: Final[dict[str, dict[str, Any]]] = {
    "pcm16": {"type": "audio/pcm", "rate": 24_000},
    "g711_ulaw": {"type": "audio/pcmu"},
    "g711_alaw": {"type": "audio/pcma"},
}
_FORMAT_NAMES: Final = {form["type"]: name for name, form in _FORMATS.items()}

_INPUT: Final = {
    "input_audio_format": "format",
    "input_audio_transcription": "transcription",
    "input_audio_noise_reduction": "noise_reduction",
    "turn_detection": "turn_detection",
}
_OUTPUT: Final = {"output_audio_format": "format", "voice": "voice", "speed": "speed"}
_SAME: Final = ("id", "model", "instructions", "tools", "tool_choice", "tracing", "prompt", "expires_at", "include")
_PARTS: Final = {"text": "output_text", "audio": "output_audio"}
_OLD_PARTS: Final = {new: old for old, new in _PARTS.items()}

_EVENTS: Final = {
    "conversation.item.added": "conversation.item.created",
    **{f"response.output_text.{end}": f"response.text.{end}" for end in ("delta", "done")},
    **{f"response.output_audio.{end}": f"response.audio.{end}" for end in ("delta", "done")},
    **{f"response.output_audio_transcript.{end}": f"response.audio_transcript.{end}" for end in ("delta", "done")},
}
"""Names of events, and what the beta called them."""


def nested(session: Mapping[str, Any]) -> JSON:
    """Settings of the beta as those of today."""
    made: JSON = {name: session[name] for name in _SAME if name in session}
    for names, side in ((_INPUT, "input"), (_OUTPUT, "output")):
        for old, new in names.items():
            if old in session:
                value = session[old]
                if new == "format":
                    value = dict(_FORMATS[value])
                made.setdefault("audio", {}).setdefault(side, {})[new] = value
    for name in ("max_response_output_tokens", "max_output_tokens"):
        if name in session:
            made["max_output_tokens"] = session[name]
    if session.get("modalities") is not None:
        made["output_modalities"] = ["audio"] if "audio" in session["modalities"] else ["text"]
    return made


def flat(session: Mapping[str, Any]) -> JSON:
    """Settings of today as the beta had them."""
    made: JSON = {name: session[name] for name in _SAME if name in session}
    made["object"] = session["object"]
    for names, side in ((_INPUT, "input"), (_OUTPUT, "output")):
        said = session["audio"].get(side) or {}
        for old, new in names.items():
            if new in said:
                made[old] = _FORMAT_NAMES[said[new]["type"]] if new == "format" else said[new]
    if "output_modalities" in session:
        made["modalities"] = _modalities(session["output_modalities"])
        made["max_response_output_tokens"] = session["max_output_tokens"]
        made["temperature"] = 0.8
    return made


def _modalities(given: Any) -> list[str]:
    return ["text", "audio"] if "audio" in (given or ()) else ["text"]


class BetaSession(Session):
    """One connection, in the words of the beta."""

    connection: ClassVar[str] = "beta_realtime"

    def greet(self) -> None:
        super().greet()
        if self.settings["type"] == "realtime":
            self.say(
                "conversation.created", conversation={"id": self.conversation.key, "object": "realtime.conversation"}
            )

    # What comes

    def checked(self, event: JSON) -> JSON:
        # `null` turns a setting off, which the schema does not know.
        super().checked(_without_nulls(event))
        change = _COMES.get(event["type"])
        return event if change is None else change(event)

    def _transcription(self, event: JSON) -> None:
        Session.commands["session.update"](
            self, {**event, "session": {**event["session"], "type": self.settings["type"]}}
        )

    commands: ClassVar[Mapping[str, Command]] = {**Session.commands, "transcription_session.update": _transcription}

    # What is told

    def told(self, event: JSON) -> Iterator[JSON]:
        kind = event["type"]
        if kind == "conversation.item.done":
            return
        if kind.startswith("session.") and self.settings["type"] == "transcription":
            kind = f"transcription_{kind}"
        event = {**event, "type": _EVENTS.get(kind, kind)}
        for field, change in _TOLD.items():
            if event.get(field) is not None:
                event[field] = change(event[field])
        yield event


def _without_nulls(event: JSON) -> JSON:
    session = event.get("session")
    if not isinstance(session, dict):
        return event
    return {**event, "session": {name: value for name, value in session.items() if value is not None}}


def _session_comes(event: JSON) -> JSON:
    return {**event, "session": nested(event["session"])}


def _response_comes(event: JSON) -> JSON:
    if event.get("response") is None:
        return event
    response = event["response"]
    made = nested(response)
    made |= {name: response[name] for name in ("conversation", "metadata") if name in response}
    if response.get("input") is not None:
        made["input"] = [_item_of(each) for each in response["input"]]
    return {**event, "response": made}


def _item_comes(event: JSON) -> JSON:
    return {**event, "item": _item_of(event["item"])}


def _item_of(item: JSON) -> JSON:
    item = {"type": "item_reference" if set(item) == {"id"} else "message", **item}
    if item.get("role") == "assistant" and item.get("content"):
        parts = [{**part, "type": _PARTS.get(part.get("type", "text"), part.get("type"))} for part in item["content"]]
        item["content"] = parts
    return item


_COMES: Final[dict[str, Callable[[JSON], JSON]]] = {
    "session.update": _session_comes,
    "transcription_session.update": _session_comes,
    "response.create": _response_comes,
    "conversation.item.create": _item_comes,
}


def _item_told(item: JSON) -> JSON:
    if item.get("role") != "assistant" or "content" not in item:
        return item
    parts = [{**part, "type": _OLD_PARTS.get(part["type"], part["type"])} for part in item["content"]]
    return {**item, "content": parts}


def _response_told(response: JSON) -> JSON:
    made = {name: value for name, value in response.items() if name not in ("audio", "output_modalities")}
    output = response["audio"]["output"]
    return {
        **made,
        "output": [_item_told(item) for item in response["output"]],
        "modalities": _modalities(response["output_modalities"]),
        "voice": output["voice"],
        "output_audio_format": _FORMAT_NAMES[output["format"]["type"]],
        "temperature": 0.8,
    }


_TOLD: Final[dict[str, Callable[[Any], Any]]] = {"session": flat, "response": _response_told, "item": _item_told}
