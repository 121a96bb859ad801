"""`/live/sessions` as a websocket: a session in which both sides may speak at any time.

What the user says is put to the live model when they fall silent, as a Response is asked: rules and scripts answer it.
A session that delegates offers the model a tool, `delegate`. Where it is called, the work goes to whom the session
says.

Follows https://platform.openai.com/docs/guides/live
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final

from ....kernel.dialogue import Goodbye, Turn
from ....kernel.errors import APIStatusError, BadRequestError
from ... import tokens
from ...sounds import RATE, Sound
from ..realtime.audio import Buffer, decoded, detection_of, from_base64, pieces, rate_of
from ..realtime.settings import LIFETIME, merged
from ..realtime.speech import heard, spoken
from ..replies import Reply
from ..talk import Talk
from . import delegation
from .decisions import Decisions

if TYPE_CHECKING:
    from collections.abc import Callable

    from ....kernel.http import Request
    from ...app import Server
    from ..talk import JSON, Command, Said

__all__ = ("LiveSession", "dialogue", "running", "stored")

SESSIONS: Final = "live/sessions"
"""The collection of sessions that are stored."""

_SPEECH = "speech"
"""The lane of what is said: one after the other."""

_MOST_TOKENS: Final = 500
"""Of what is appended."""

_MOST_SECONDS: Final = 30
"""Of a fixture."""


def dialogue(server: Server, request: Request) -> LiveSession:
    """The dialogue of a connection."""
    return LiveSession(server, request)


def running(server: Server) -> dict[str, LiveSession]:
    """The sessions of a server that have not ended, by their ids."""
    found: dict[str, LiveSession] = server.derived.setdefault("live sessions", {})
    return found


def stored(server: Server, key: str) -> JSON | None:
    """What is stored of a session; `None` where nothing is."""
    return server.store.get(SESSIONS, key)


class LiveSession(Talk):
    """One session, and its first connection."""

    connection: ClassVar[str] = "live"

    def __init__(self, server: Server, request: Request) -> None:
        super().__init__(server, request)
        self.id = self.new("sess_")
        self.settings: JSON = {}
        """The session's resource; empty until it has started."""
        self.history: list[JSON] = []
        """The conversation so far, as input of a Response."""
        self.delegations = delegation.Delegations(self)
        self.decisions = Decisions(self)
        self.watchers: list[Callable[[JSON], None]] = []
        """Whom else to tell what happens."""
        self.speak: Callable[[Turn], None] | None = None
        """How to say what its own connection did not ask for; `None` where it has none."""
        self._buffer = Buffer()
        self._muted = False
        self._playing = False
        self._heard_samples = 0
        self._spoken_until = 0
        self._spoken_seconds = 0.0
        self._cause: str | None = None

    # The dialogue

    def may_speak(self, speak: Callable[[Turn], None]) -> None:
        self.speak = speak

    def ended(self) -> None:
        self.speak = None
        self.over()

    def over(self) -> None:
        """The session has ended."""
        running(self.server).pop(self.id, None)

    def end(self, reason: str) -> None:
        """End the session, and say why."""
        self.keep()
        self.say("session.closed", reason=reason, session=self.settings, usage=self.usage)
        self.over()
        if self.speak is not None:
            self.speak(Turn("", self._last()))

    def _last(self) -> Said:
        yield from self.flush()
        raise Goodbye

    def heard(self, message: bytes) -> Turn | None:
        try:
            return super().heard(message)
        finally:
            self._cause = None

    def do(self, event: JSON) -> Turn | None:
        """What another connection has asked for. Raises the API's errors."""
        self._cause = event.get("event_id")
        try:
            return self.commands[event["type"]](self, event)
        finally:
            self._cause = None

    def checked(self, event: JSON) -> JSON:
        event = super().checked(event)
        self._cause = event.get("event_id")
        if (event["type"] == "session.start") == bool(self.settings):
            told = "has started already" if self.settings else "has not started: send session.start first"
            raise BadRequestError.because(f"The session {told}.", param="type", code="invalid_session_state")
        return event

    def fault(self, error: APIStatusError, event: Mapping[str, Any]) -> JSON:
        cause = event.get("event_id")
        return {
            "type": error.type or "invalid_request_error",
            "code": error.code or "invalid_value",
            "message": error.message,
            "param": error.param,
            "client_event_id": cause if isinstance(cause, str) else None,
        }

    def wrong(self, error: APIStatusError, event: Mapping[str, Any]) -> None:
        fault = self.fault(error, event)
        self.say("error", error=fault, client_event_id=fault["client_event_id"])

    def say(self, kind: str, **fields: Any) -> None:
        if self._cause is not None:
            fields.setdefault("client_event_id", self._cause)
        for watcher in list(self.watchers):
            watcher({"type": kind, "event_id": self.new("event_"), **fields})
        if kind == "session.output_audio.delta":  # without times and an id of its own
            self.put({"type": kind, "delta": fields["delta"]})
            return
        fields.pop("sound", None)
        super().say(kind, **fields)

    # Times

    @property
    def now_ms(self) -> int:
        """How far the session is."""
        return max(self._heard_samples * 1000 // RATE, self._spoken_until)

    @property
    def usage(self) -> JSON:
        """Seconds of sound, both ways."""
        return {"seconds": round(self._heard_samples / RATE + self._spoken_seconds, 3)}

    # The session

    def _start(self, event: JSON) -> None:
        self.begin(event["session"])
        self.say("session.started", session=self.settings)

    def begin(self, config: Mapping[str, Any]) -> None:
        """Set the session up. Raises `NotFoundError` for a model that is not there."""
        self.server.engines.chat(config["model"])
        begun: JSON = {
            "id": self.id,
            "status": "active",
            "expires_at": int(self.server.clock.now()) + LIFETIME,
            "audio": {"format": {"type": "audio/pcm", "rate": RATE}, "output": {"voice": "marin"}},
            "store": True,
        }
        self.settings = merged(begun, config)
        self.history += [_item(each) for each in config.get("input") or ()]
        running(self.server)[self.id] = self
        self.keep()

    def keep(self) -> None:
        """Store the session, to be forked, unless it says otherwise."""
        if self.settings.get("store") is not False:
            document = {"id": self.id, "settings": self.settings, "history": list(self.history)}
            self.server.store.put(SESSIONS, self.id, document)

    def _update(self, event: JSON) -> None:
        change = event["session"]
        known, asked = self.settings.get("delegation"), change.get("delegation")
        if asked is not None and asked["type"] != (known or {}).get("type"):
            raise BadRequestError.because(
                "The type of a session's delegation cannot change.",
                param="session.delegation.type",
                code="invalid_value",
            )
        self.settings = merged(self.settings, change)
        self.say("session.updated", session=self.settings)
        self.keep()

    def _close(self, event: JSON) -> Turn:
        return Turn(_SPEECH, self._closed(event.get("event_id")))

    def _closed(self, cause: str | None) -> Said:
        if self._buffer.speaking:
            yield from self._turns([self._buffer.take()])
        self.keep()
        fields: JSON = {} if cause is None else {"client_event_id": cause}
        self.say("session.closed", reason="close_requested", session=self.settings, usage=self.usage, **fields)
        yield from self.flush()
        self.over()
        raise Goodbye

    # What is heard

    @property
    def format(self) -> JSON | None:
        """The format of sound both ways."""
        found: JSON | None = self.settings["audio"].get("format")
        return found

    def _append(self, event: JSON) -> Turn | None:
        data = from_base64(event["audio"], "audio")
        sound = Sound(decoded(data, self.format), rate_of(self.format))
        self._heard_samples += len(sound.samples) * RATE // sound.rate
        for watcher in list(self.watchers):
            for piece in pieces(sound.resampled(RATE), None):
                watcher({"type": "session.input_audio.append", "audio": piece})
        if self._playing:
            return None
        if self._muted:
            data = bytes(2 * len(sound.samples))
        form = {"type": "audio/pcm", "rate": sound.rate} if self._muted else self.format
        happenings = self._buffer.append(data, form, detection_of({"type": "server_vad"}))
        sounds = [each.sound for each in happenings if each.sound is not None]
        return Turn(_SPEECH, self._turns(sounds)) if sounds else None

    def _mute(self, event: JSON) -> None:
        self._muted = True
        self.say("session.input_audio.muted")

    def _unmute(self, event: JSON) -> None:
        self._muted = False
        self.say("session.input_audio.unmuted")

    def _turns(self, sounds: Iterable[Sound]) -> Said:
        for sound in sounds:
            try:
                end = self._heard_samples * 1000 // RATE
                begin = max(0, end - int(sound.seconds * 1000))
                text = yield from heard(self.server, sound, None, self.settings["model"])
                self._transcribe("session.input_transcript.delta", text, begin, end)
                self.history.append({"role": "user", "content": text})
                yield from self.flush()
                yield from self.answer()
            except APIStatusError as error:
                self.wrong(error, {})
                yield from self.flush()

    def _transcribe(self, kind: str, text: str, begin: int, end: int) -> None:
        """Tell a text piece by piece, over the time it took."""
        at = 0
        for piece in tokens.pieces(text):
            if not piece.text:
                continue
            start = begin + (end - begin) * at // max(1, len(text))
            at += len(piece.text)
            self.say(kind, delta=piece.text, start_ms=start, end_ms=begin + (end - begin) * at // max(1, len(text)))
        self.decisions.triggered(kind)

    # What is said

    def answer(self, more: Iterable[JSON] = (), *, delegates: bool = True) -> Said:
        """Have the model say what it has to say now. `more` is told it for this once."""
        body: JSON = {"model": self.settings["model"], "input": [*self.history, *more]}
        if self.settings.get("instructions"):
            body["instructions"] = self.settings["instructions"]
        if delegates and self.settings.get("delegation") is not None:
            body["tools"] = [delegation.TOOL]
        reply = Reply(self, lambda delta: None)
        yield from reply.said(body)
        yield from self.utter(reply.text)
        calls = [item for item in reply.response.get("output") or () if item.get("type") == "function_call"]
        if calls:
            yield from self.delegations.made(calls[0])
        self.keep()

    def utter(self, text: str) -> Said:
        """Speak a text."""
        if not text.strip():
            return
        voice = self.settings["audio"]["output"].get("voice")
        sound = yield from spoken(self.server, text, self.settings["model"], voice)
        self.history.append({"role": "assistant", "content": text})
        begin = self.now_ms
        self._transcribe("session.output_transcript.delta", text, begin, begin + int(sound.seconds * 1000))
        yield from self._play(sound)
        self.say("session.usage.updated", usage=self.usage)
        yield from self.flush()
        yield from self.decisions.due()

    def _play(self, sound: Sound) -> Said:
        size = RATE // 5
        samples = sound.resampled(RATE).samples
        for at in range(0, len(samples), size):
            part: array[int] = samples[at : at + size]
            begin = self.now_ms
            self._spoken_until = begin + len(part) * 1000 // RATE
            (piece,) = pieces(Sound(part), self.format)
            self.say(
                "session.output_audio.delta", delta=piece, start_ms=begin, end_ms=self._spoken_until, sound=Sound(part)
            )
            yield from self.flush()
        self._spoken_seconds += sound.seconds

    def _fixture(self, event: JSON) -> Turn:
        sound = Sound(decoded(from_base64(event["audio"], "audio"), None))
        if self._playing:
            raise BadRequestError.because("Another fixture is being played.", code="fixture_active")
        if not 0 < sound.seconds <= _MOST_SECONDS:
            raise BadRequestError.because(
                f"A fixture lasts {_MOST_SECONDS} seconds at most and is not empty; this one has {sound.seconds:.1f}.",
                param="audio",
                code="invalid_value",
            )
        self._playing = True
        self.say("session.output_audio.fixture.playing")
        return Turn(_SPEECH, self._played(sound, self._cause))

    def _played(self, sound: Sound, cause: str | None) -> Said:
        try:
            yield from self._play(sound)
        finally:
            self._playing = False
        fields: JSON = {} if cause is None else {"client_event_id": cause}
        self.say("session.output_audio.fixture.played", **fields)
        yield from self.flush()

    # What is told the model

    def _appended(self, event: JSON, kind: str, role: str) -> None:
        content, about = event["content"], event["delegation_id"]
        if self._playing:
            raise BadRequestError.because("A fixture is being played.", code="fixture_active")
        count = tokens.count(content)
        if count > _MOST_TOKENS:
            raise BadRequestError.because(
                f"'content' has {_MOST_TOKENS} tokens at most, not {count}.",
                param="content",
                code="string_above_max_length",
            )
        if about is not None:
            self.delegations.check(about)
        self.history.append({"role": role, "content": content})
        self.say(f"session.{kind}.appended", start_ms=self.now_ms, end_ms=self.now_ms)
        self.keep()

    def _instruct(self, event: JSON) -> None:
        self._appended(event, "instructions", "developer")

    def _think(self, event: JSON) -> None:
        self._appended(event, "thinking", "developer")

    def _comment(self, event: JSON) -> Turn:
        self._appended(event, "commentary", "developer")
        return Turn(_SPEECH, self._commented())

    def _commented(self) -> Said:
        """Say something about what was told."""
        try:
            yield from self.answer(delegates=False)
        except APIStatusError as error:
            self.wrong(error, {})
            yield from self.flush()

    # Those who do the work

    def _item_for_response(self, event: JSON) -> None:
        self.delegations.add(event["item"])

    def _respond(self, event: JSON) -> Turn:
        return Turn(_SPEECH, self.delegations.respond())

    def _decide(self, event: JSON) -> Turn:
        return Turn(_SPEECH, self.decisions.decide(event["event_id"]))

    def _item_for_decision(self, event: JSON) -> None:
        self.decisions.add(event["item"])

    def _without_item(self, event: JSON) -> None:
        self.decisions.remove(event["item_id"])

    commands: ClassVar[Mapping[str, Command]] = {
        "session.start": _start,
        "session.update": _update,
        "session.input_audio.append": _append,
        "session.input_audio.mute": _mute,
        "session.input_audio.unmute": _unmute,
        "session.output_audio.fixture.play": _fixture,
        "session.instructions.append": _instruct,
        "session.thinking.append": _think,
        "session.commentary.append": _comment,
        "decision.create": _decide,
        "decision.item.create": _item_for_decision,
        "decision.item.delete": _without_item,
        "response.item.create": _item_for_response,
        "response.create": _respond,
        "session.close": _close,
    }


def _item(item: Mapping[str, Any]) -> JSON:
    """A first item of a session as input of a Response."""
    content = item.get("content") or ()
    text = content if isinstance(content, str) else "".join(part.get("text") or "" for part in content)
    return {"role": item["role"], "content": text}
