"""A session of the realtime API: one conversation, held by events.

What is heard and said in it follows one thread: transcriptions and responses of the conversation wait for each other,
those out of it do not wait. Everything else is answered at once, also while the model speaks.

Follows https://platform.openai.com/docs/guides/realtime-conversations
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from ....kernel.dialogue import Turn
from ....kernel.errors import APIStatusError, BadRequestError
from ... import tokens
from ...sounds import Sound
from ..talk import Talk
from .answering import Answer
from .audio import Buffer, decoded, detection_of, from_base64, rate_of
from .conversation import Conversation
from .settings import begun, merged, updated
from .speech import heard

if TYPE_CHECKING:
    from ....kernel.http import Request
    from ...app import Server
    from ..talk import JSON, Command, Said

__all__ = ("Session",)

_THREAD = "conversation"
"""The lane of what follows each other in the conversation."""


class Session(Talk):
    """One connection."""

    connection: ClassVar[str] = "realtime"

    def __init__(
        self,
        server: Server,
        request: Request,
        model: str,
        kind: str = "realtime",
        given: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(server, request)
        self.settings = merged(begun(kind, self.new("sess_"), model, server.clock.now()), given or {})
        self.conversation = Conversation(self.new("conv_"))
        self.has_spoken = False
        """Whether sound has gone out: then its voice stays as it is."""
        self._buffer = Buffer()
        self._next: str | None = None
        """The id of the item that is being spoken."""
        self._answers: dict[str, Answer] = {}

    def greet(self) -> None:
        self.say("session.created", session=self.settings)

    # What is set

    def _update(self, event: JSON) -> None:
        change = event["session"]
        self.settings = updated(self.settings, change, has_spoken=self.has_spoken)
        self.say("session.updated", session=self.settings)

    @property
    def _input(self) -> JSON:
        found: JSON = self.settings["audio"]["input"]
        return found

    # What is heard

    def _append(self, event: JSON) -> Turn | None:
        data = from_base64(event["audio"], "audio")
        setting: JSON = self._input.get("turn_detection") or {}
        turns: list[Said] = []
        for happening in self._buffer.append(data, self._input.get("format"), detection_of(setting or None)):
            if happening.sound is None:
                self._next = self.new("item_")
                self.say("input_audio_buffer.speech_started", audio_start_ms=happening.at_ms, item_id=self._next)
                if setting.get("interrupt_response") is not False:
                    self._stop("turn_detected")
                continue
            idle = happening.idle_since_ms
            if idle is None:
                self.say("input_audio_buffer.speech_stopped", audio_end_ms=happening.at_ms, item_id=self._next)
            else:
                self._next = self.new("item_")
                about = {"audio_start_ms": idle, "audio_end_ms": happening.at_ms, "item_id": self._next}
                self.say("input_audio_buffer.timeout_triggered", **about)
            turns.append(self._committed(happening.sound))
            wanted = idle is not None or setting.get("create_response") is not False
            if self.settings["type"] == "realtime" and wanted:
                turns.append(self._began(Answer(self, {})).said())
        return Turn(_THREAD, _chained(turns)) if turns else None

    def _commit(self, event: JSON) -> Turn:
        return Turn(_THREAD, self._committed(self._buffer.take()))

    def _committed(self, sound: Sound) -> Said:
        """Make an item of a sound. What is said in it is told as soon as it is known."""
        key, self._next = self._next or self.new("item_"), None
        item = {
            "id": key,
            "object": "realtime.item",
            "type": "message",
            "status": "completed",
            "role": "user",
            "content": [{"type": "input_audio", "transcript": None}],
        }
        self.say("input_audio_buffer.committed", previous_item_id=self.conversation.last, item_id=key)
        self._added(item, {0: sound})
        return self._transcribed(item, 0)

    def _clear(self, event: JSON) -> None:
        self._buffer.clear()
        self._next = None
        self.say("input_audio_buffer.cleared")

    def _clear_output(self, event: JSON) -> None:
        raise BadRequestError.because(
            "There is no output audio buffer over a WebSocket: what is played is the client's to stop.",
            code="invalid_event",
        )

    def _transcribed(self, item: JSON, place: int) -> Said:
        """Tell what is said in an item, where the session is set to."""
        setting = self._input.get("transcription")
        if setting is None:
            return
        about = {"item_id": item["id"], "content_index": place}
        kind = "conversation.item.input_audio_transcription"
        sound = self.conversation.sounds[item["id"]][place]
        model = setting.get("model") or ""
        try:
            text = yield from heard(self.server, sound, setting, self.settings.get("model") or model)
        except APIStatusError as error:
            fault = self.fault(error, {})
            self.say(f"{kind}.failed", **about, error={name: fault[name] for name in _FAULT})
            yield from self.flush()
            return
        self.conversation.words.setdefault(item["id"], {})[place] = text
        item["content"][place]["transcript"] = text
        scored = "item.input_audio_transcription.logprobs" in (self.settings.get("include") or ())
        logprobs = (lambda said: _logprobs(said, model)) if scored else (lambda said: None)
        for piece in tokens.pieces(text, model) if not model.startswith("whisper") else ():
            if piece.text:
                self.say(f"{kind}.delta", **about, delta=piece.text, logprobs=logprobs(piece.text))
        self.say(
            f"{kind}.completed", **about, transcript=text, logprobs=logprobs(text), usage=_usage(sound, text, model)
        )
        yield from self.flush()

    # The conversation

    def _added(self, item: JSON, sounds: dict[int, Sound], after: str | None = None) -> None:
        previous = self.conversation.add(item, after)
        if sounds:
            self.conversation.sounds[item["id"]] = sounds
        for kind in ("added", "done"):
            self.say(f"conversation.item.{kind}", previous_item_id=previous, item=item)

    def _create_item(self, event: JSON) -> Turn | None:
        item, sounds = self._item(event["item"])
        if item["type"] == "function_call_output":
            self._check_call(item["call_id"])
        self._added(item, sounds, event.get("previous_item_id"))
        if not sounds:
            return None
        return Turn(_THREAD, _chained([self._transcribed(item, place) for place in sounds]))

    def _check_call(self, call_id: str) -> None:
        if not any(each["type"] == "function_call" and each["call_id"] == call_id for each in self.conversation):
            raise BadRequestError.because(
                f"Tool call ID '{call_id}' not found in conversation.",
                param="item.call_id",
                code="invalid_tool_call_id",
            )

    def _item(self, given: Mapping[str, Any], param: str = "item") -> tuple[JSON, dict[int, Sound]]:
        """An item as the conversation has it, and its sounds. Raises `BadRequestError`."""
        item: JSON = {**given, "object": "realtime.item", "status": given.get("status") or "completed"}
        item["id"] = given.get("id") or self.new("item_")
        sounds: dict[int, Sound] = {}
        if item["type"] == "function_call":
            item["call_id"] = given.get("call_id") or self.new("call_")
        if item["type"] != "message":
            return item, sounds
        item["content"] = [dict(part) for part in given["content"]]
        allowed = _PARTS[item["role"]]
        for place, part in enumerate(item["content"]):
            where = f"{param}.content[{place}]"
            kind = part.setdefault("type", allowed[0])
            if kind not in allowed:
                raise BadRequestError.because(
                    f"Invalid value: '{kind}'. Supported values are: {', '.join(map(repr, allowed))}.",
                    param=f"{where}.type",
                    code="invalid_value",
                )
            if part.get("audio") is not None:
                data = from_base64(part.pop("audio"), f"{where}.audio")
                form = self._input.get("format")
                sounds[place] = Sound(decoded(data, form), rate_of(form))
                part.setdefault("transcript", None)
            needed = _NEEDED.get(kind)
            if needed is not None and part.get(needed) is None:
                raise BadRequestError.because(
                    f"Missing required parameter: '{where}.{needed}'.",
                    param=f"{where}.{needed}",
                    code="missing_required_parameter",
                )
        return item, sounds

    def _retrieve_item(self, event: JSON) -> None:
        item = self.conversation.find(event["item_id"], "retrieving", "item_retrieve_invalid_item_id")
        self.say("conversation.item.retrieved", item=self.conversation.full(item, self._input.get("format")))

    def _delete_item(self, event: JSON) -> None:
        item = self.conversation.find(event["item_id"], "deleting", "item_delete_invalid_item_id")
        self.conversation.remove(item["id"])
        self.say("conversation.item.deleted", item_id=item["id"])

    def _truncate_item(self, event: JSON) -> None:
        item = self.conversation.find(event["item_id"], "truncating", "item_truncate_invalid_item_id")
        place, end = event["content_index"], event["audio_end_ms"]
        self.conversation.truncate(item, place, end)
        self.say("conversation.item.truncated", item_id=item["id"], content_index=place, audio_end_ms=end)

    def words(self, item: JSON, place: int) -> str:
        """What a part of an item says."""
        known = self.conversation.words.get(item["id"], {}).get(place)
        found: str = item["content"][place].get("transcript") or "" if known is None else known
        return found

    def given(self, items: Iterable[Mapping[str, Any]]) -> Iterator[JSON]:
        """The input of a response of its own. Raises `BadRequestError` for a reference to nothing."""
        for place, given in enumerate(items):
            if given.get("type") == "item_reference" or set(given) <= {"id", "type"}:
                yield self.conversation.find(given.get("id"), "referencing", "item_reference_not_found")
                continue
            item, sounds = self._item(given, f"response.input[{place}]")
            if sounds:
                self.conversation.sounds[item["id"]] = sounds
            yield item

    # Responses

    def _create(self, event: JSON) -> Turn:
        if self.settings["type"] != "realtime":
            raise BadRequestError.because("A transcription session has no responses.", code="invalid_event")
        answer = Answer(self, event.get("response") or {})
        if answer.asked.get("input") is not None:
            list(self.given(answer.asked["input"]))  # what is wrong with it is said now
        if not answer.aside:
            for key, other in self._answers.items():
                if not other.aside and other.stopped is None:
                    raise BadRequestError.because(
                        f"Conversation already has an active response in progress: {key}. Wait until the response is "
                        "finished before creating a new one.",
                        code="conversation_already_has_active_response",
                    )
        return Turn(answer.id if answer.aside else _THREAD, self._began(answer).said())

    def _began(self, answer: Answer) -> Answer:
        self._answers[answer.id] = answer
        if not answer.aside:
            self._buffer.idle_since_ms = None
        return answer

    def over(self, answer: Answer) -> None:
        """A response is not under way any more."""
        self._answers.pop(answer.id, None)
        if not answer.aside:
            self._buffer.expect(answer.seconds)

    def _cancel(self, event: JSON) -> None:
        key = event.get("response_id")
        if not self._stop("client_cancelled", key):
            raise BadRequestError.because(
                "Cancellation failed: no active response found" + (f" with id '{key}'." if key is not None else "."),
                param=None if key is None else "response_id",
                code="response_cancel_not_active",
            )

    def _stop(self, reason: str, key: str | None = None) -> bool:
        """Stop a response, or those of the conversation. Gives whether there was one."""
        found = [
            each
            for each in self._answers.values()
            if each.stopped is None and (each.id == key if key is not None else not each.aside)
        ]
        for each in found:
            each.stop(reason)
        return bool(found)

    def ended(self) -> None:
        self._answers.clear()

    commands: ClassVar[Mapping[str, Command]] = {
        "session.update": _update,
        "input_audio_buffer.append": _append,
        "input_audio_buffer.commit": _commit,
        "input_audio_buffer.clear": _clear,
        "output_audio_buffer.clear": _clear_output,
        "conversation.item.create": _create_item,
        "conversation.item.retrieve": _retrieve_item,
        "conversation.item.truncate": _truncate_item,
        "conversation.item.delete": _delete_item,
        "response.create": _create,
        "response.cancel": _cancel,
    }


_FAULT = ("type", "code", "message", "param")
_PARTS = {
    "user": ("input_text", "input_audio", "input_image"),
    "system": ("input_text",),
    "assistant": ("output_text",),
}
"""What messages of each role may have in them."""
_NEEDED = {"input_text": "text", "output_text": "text", "input_image": "image_url"}


def _chained(turns: Iterable[Said]) -> Said:
    for each in turns:
        yield from each


def _usage(sound: Sound, text: str, model: str) -> JSON:
    from math import ceil

    if model.startswith("whisper"):
        return {"type": "duration", "seconds": ceil(sound.seconds)}
    listened, wrote = ceil(sound.seconds * 10), tokens.count(text, model)
    return {
        "type": "tokens",
        "total_tokens": listened + wrote,
        "input_tokens": listened,
        "input_token_details": {"text_tokens": 0, "audio_tokens": listened},
        "output_tokens": wrote,
    }


def _logprobs(text: str, model: str) -> list[JSON]:
    from ...renderings.logprobs import token_logprobs

    return [{name: each[name] for name in ("token", "logprob", "bytes")} for each in token_logprobs(text, model)]
