"""`/realtime/translations` as a websocket: what is said in one language is said again in another.

What was said is translated when its speaker falls silent, and when the session is closed. The model that translates is
asked as a Response is, with what was understood: rules and scripts say what comes of it.

Follows https://platform.openai.com/docs/guides/realtime-translation
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from ....kernel.dialogue import Goodbye, Turn
from ....kernel.errors import APIStatusError, BadRequestError
from ...behaviours.realtime import session_of_key
from ..handshake import query_of
from ..replies import Reply
from ..talk import Talk
from .audio import Buffer, detection_of, from_base64, pieces
from .settings import LIFETIME, merged
from .speech import heard, spoken

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ....kernel.http import Request
    from ...app import Server
    from ...sounds import Sound
    from ..talk import JSON, Command, Said

__all__ = ("Translation", "dialogue", "settings")

_SPEECH = "speech"
"""The lane of what is said: one after the other."""


def settings(key: str, model: str, now: float) -> JSON:
    """What a translation begins with."""
    return {
        "id": key,
        "type": "translation",
        "model": model,
        "expires_at": int(now) + LIFETIME,
        "audio": {"input": {"transcription": None, "noise_reduction": None}, "output": {"language": "en"}},
    }


def dialogue(server: Server, request: Request) -> Translation:
    """The dialogue of a connection. Raises the API's errors."""
    given = session_of_key(server, request)
    model = query_of(request).get("model") or (given or {}).get("model")
    if not model:
        raise BadRequestError.because("you must provide a model parameter", param="model", code="missing_model")
    server.engines.chat(model)
    return Translation(server, request, model, given)


class Translation(Talk):
    """One connection."""

    connection: ClassVar[str] = "realtime_translations"

    def __init__(self, server: Server, request: Request, model: str, given: Mapping[str, Any] | None) -> None:
        super().__init__(server, request)
        self.settings = merged(settings(self.new("sess_"), model, server.clock.now()), given or {})
        self._buffer = Buffer()
        self._heard_ms = 0
        self._closing = False

    def greet(self) -> None:
        self.say("session.created", session=self.settings)

    def _update(self, event: JSON) -> None:
        self.settings = merged(self.settings, event["session"])
        self.say("session.updated", session=self.settings)

    def _append(self, event: JSON) -> Turn | None:
        if self._closing:
            raise BadRequestError.because("The session is closing: it hears no more.", code="session_closing")
        data = from_base64(event["audio"], "audio")
        self._heard_ms += len(data) // 48
        happenings = self._buffer.append(data, None, detection_of({"type": "server_vad"}))
        sounds = [each.sound for each in happenings if each.sound is not None]
        return Turn(_SPEECH, self._translated(sounds)) if sounds else None

    def _close(self, event: JSON) -> Turn:
        self._closing = True
        try:
            rest = [self._buffer.take()] if self._buffer.speaking else []
        except BadRequestError:
            rest = []
        return Turn(_SPEECH, self._over(rest))

    def _over(self, rest: Iterable[Sound]) -> Said:
        yield from self._translated(rest)
        self.say("session.closed")
        yield from self.flush()
        raise Goodbye

    def _translated(self, sounds: Iterable[Sound]) -> Said:
        for sound in sounds:
            try:
                yield from self._said_again(sound)
            except APIStatusError as error:
                self.wrong(error, {})
            yield from self.flush()

    def _said_again(self, sound: Sound) -> Said:
        model, audio = self.settings["model"], self.settings["audio"]
        listener = audio["input"].get("transcription")
        text = yield from heard(self.server, sound, listener, model)
        elapsed = self._heard_ms
        if listener is not None:
            self.say("session.input_transcript.delta", delta=text, elapsed_ms=elapsed)
            yield from self.flush()
        language = audio["output"].get("language") or "en"
        reply = Reply(self, lambda delta: self.say("session.output_transcript.delta", delta=delta, elapsed_ms=elapsed))
        yield from reply.said(
            {"model": model, "instructions": f"Translate what is said into the language '{language}'.", "input": text}
        )
        if not reply.text.strip():
            return
        voice = yield from spoken(self.server, reply.text, model, None)
        about = {"elapsed_ms": elapsed, "channels": 1, "format": "pcm16", "sample_rate": voice.rate}
        for piece in pieces(voice, None):
            self.say("session.output_audio.delta", delta=piece, **about)
            yield from self.flush()

    commands: ClassVar[Mapping[str, Command]] = {
        "session.update": _update,
        "session.input_audio_buffer.append": _append,
        "session.close": _close,
    }
