"""From sound to words and back, by the server's engines.

What this server has spoken it recognizes when it hears it again, here as in transcriptions.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from types import GeneratorType
from typing import TYPE_CHECKING, Any, Final

from ....kernel.errors import NotFoundError
from ...behaviours.audio import recognized, remember
from ...engine import SpeechRequest, TranscriptionRequest
from ...sounds import RATE, Sound, encoded, read

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ....kernel.flow import Step
    from ...app import Server

__all__ = ("heard", "spoken")

LISTENER: Final = "gpt-4o-mini-transcribe"
"""The model that listens where the session names none."""


def heard(
    server: Server, sound: Sound, setting: Mapping[str, Any] | None, model: str, *, translate: bool = False
) -> Generator[Step[Any], Any, str]:
    """What is said in a sound. Raises the engine's errors."""
    body = {name: value for name, value in (setting or {}).items() if value is not None}
    known = recognized(server, sound)
    names = [body["model"]] if body.get("model") else [LISTENER, model]
    name, engine = _found(server.engines.transcriptions, names)
    request = TranscriptionRequest(
        name,
        encoded(sound, "wav"),
        "audio.wav",
        sound.seconds,
        body.get("language"),
        body.get("prompt") or "",
        translate,
        {"model": name, **body},
        known,
    )
    if known is not None and not getattr(engine, "asked_anyway", False):
        return known
    try:
        return (yield from _answer(engine, request))  # type: ignore[no-any-return]
    except NotFoundError:
        # Where every question needs a rule, what the model hears is no question.
        request.body = {}
        return (yield from _answer(engine, request))  # type: ignore[no-any-return]


def spoken(
    server: Server, text: str, model: str, voice: Any, speed: float | None = None
) -> Generator[Step[Any], Any, Sound]:
    """A text as sound. Raises the engine's errors."""
    engine = server.engines.speech(model)
    name = voice.get("id", "alloy") if isinstance(voice, Mapping) else voice or "alloy"
    made: Any = yield from _answer(engine, SpeechRequest(model, text, name, "", speed or 1.0))
    sound: Sound = read(made) if isinstance(made, bytes) else made
    sound = sound.resampled(RATE)
    remember(server, sound, text)
    return sound


def _answer(engine: Any, request: Any) -> Generator[Step[Any], Any, Any]:
    found = engine(request)
    return (yield from found) if isinstance(found, GeneratorType) else found


def _found(choose: Any, names: Sequence[str]) -> tuple[str, Any]:
    """The engine of the first model that has one. Raises `NotFoundError`."""
    for name in names[:-1]:
        try:
            return name, choose(name)
        except NotFoundError:
            continue
    return names[-1], choose(names[-1])
