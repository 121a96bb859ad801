"""Speech without a model: a synthesizer where one is installed, tones elsewhere, or a function of yours.

    Engines(speech=Synthesizer())                     espeak-ng, from `antiphon[audio]`: words one can understand
    Engines(speech=Tones())                           a tone for each word
    Engines(speech=SpeechFunction(lambda text: wav))  bytes of a sound file

The same text sounds the same every time.
"""

from __future__ import annotations

import re
import subprocess
import sys
from array import array
from functools import lru_cache
from importlib.util import find_spec
from math import pi, sin
from typing import TYPE_CHECKING, Any, ClassVar, Final
from zlib import crc32

from ..kernel.flow import Call
from ..server.sounds import RATE, Sound, read
from .wrapping import Wrapped, wrapped

if TYPE_CHECKING:
    from ..kernel.flow import Flow
    from ..server.engine import SpeechEngine, SpeechRequest

__all__ = ("SpeechFunction", "Synthesizer", "Tones", "speech_engine")

_PITCHES: Final = {
    "alloy": 50, "ash": 35, "ballad": 42, "cedar": 25, "coral": 62, "echo": 38, "fable": 55, "marin": 66,
    "nova": 70, "onyx": 18, "sage": 58, "shimmer": 78, "verse": 45,
}  # fmt: skip
"""How high the API's voices speak here, 0 to 99."""

_LONGEST: Final = 0.6


class Tones:
    """A tone for each word, as long as the word is, with a rest behind it: music rather than speech, and quick."""

    never_blocks: ClassVar[bool] = True

    def __call__(self, request: SpeechRequest) -> Sound:
        """The sound of a text."""
        samples = array("h")
        base = 110 * 2 ** (_pitch(request.voice) / 50)
        for word in re.findall(r"\S+", request.input) or ["."]:
            seconds = min(_LONGEST, 0.06 + 0.035 * len(word)) / request.speed
            pitch = base * 2 ** ((crc32(word.encode("utf-8", "replace")) % 13) / 12)
            samples.extend(_tone(pitch, seconds))
            samples.extend(bytes(int(RATE * 0.04 / request.speed)))
        return Sound(samples)


def _tone(pitch: float, seconds: float) -> array[int]:
    count = int(RATE * seconds)
    # One period is made and repeated; the ends are faded so that nothing clicks.
    period = max(2, round(RATE / pitch))
    wave = array("h", (int(9000 * sin(2 * pi * at / period)) for at in range(period)))
    tone = (wave * (count // period + 1))[:count]
    fade = min(240, count // 2)
    for at in range(fade):
        tone[at] = tone[at] * at // fade
        tone[-1 - at] = tone[-1 - at] * at // fade
    return tone


def _pitch(voice: str) -> int:
    known = _PITCHES.get(voice)
    return 20 + crc32(voice.encode("utf-8", "replace")) % 60 if known is None else known


class Synthesizer:
    """espeak-ng, which speaks some hundred languages as robots do. Needs `antiphon[audio]`; raises `ImportError`.

    `language` is a voice of espeak's, such as `en-us` or `de`.
    """

    never_blocks: ClassVar[bool] = True

    def __init__(self, language: str = "en-us") -> None:
        if find_spec("espeakng_loader") is None:
            raise ImportError("the synthesizer is missing; install it with: pip install 'antiphon[audio]'")
        self.language = language

    def __call__(self, request: SpeechRequest) -> Flow[Sound]:
        """The sound of a text."""
        made: Sound = yield Call(_espeak, request.input, self.language, _pitch(request.voice), request.speed)
        return made


_WORDS_A_MINUTE: Final = 165

_SPEAKER: Final = r"""
import ctypes, json, sys
given = json.load(sys.stdin)
library = ctypes.cdll.LoadLibrary(given["library"])
rate = library.espeak_Initialize(1, 0, given["data"].encode(), 0)
if rate <= 0:
    sys.exit("espeak-ng could not be started")
samples = bytearray()
def take(wave, count, events):
    if wave and count > 0:
        samples.extend(ctypes.string_at(wave, 2 * count))
    return 0
callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)(take)
library.espeak_SetSynthCallback(callback)
library.espeak_SetVoiceByName(given["voice"].encode())
library.espeak_SetParameter(1, given["speed"], 0)
library.espeak_SetParameter(3, given["pitch"], 0)
text = given["text"].encode() + b"\0"
library.espeak_Synth(text, len(text), 0, 0, 0, 1, None, None)
library.espeak_Synchronize()
sys.stdout.buffer.write(rate.to_bytes(4, "little") + samples)
"""
"""How espeak-ng is called. How it says something depends on what its process said before: each text has its own."""


@lru_cache(maxsize=64)
def _espeak(text: str, language: str, pitch: int, speed: float) -> Sound:
    import json

    import espeakng_loader  # type: ignore[import-untyped]  # pyright: ignore[reportMissingTypeStubs]

    given = {
        "library": str(espeakng_loader.get_library_path()),
        "data": str(espeakng_loader.get_data_path()),
        "voice": f"{language}+Alex",  # a variant that does not flutter: what flutters is different every time
        "speed": max(80, min(450, int(_WORDS_A_MINUTE * speed))),
        "pitch": pitch,
        "text": text.encode("utf-8", "replace").decode().replace("\0", " "),
    }
    done = subprocess.run(  # noqa: S603 (nothing of it is the caller's but the text)
        [sys.executable, "-I", "-S", "-c", _SPEAKER],
        input=json.dumps(given).encode(),
        capture_output=True,
        timeout=60,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stderr.decode("utf-8", "replace").strip() or "espeak-ng broke off")
    samples = array("h", done.stdout[4:] or bytes(RATE // 5))
    return Sound(samples, int.from_bytes(done.stdout[:4], "little"))


class SpeechFunction(Wrapped):
    """An engine made of a function from a text to a sound: bytes of a file, or a `Sound`. It may block or be async.

    A function whose first parameter is named `request` gets the whole `SpeechRequest` instead.
    """

    def __call__(self, request: SpeechRequest) -> Flow[Sound]:
        found = yield from self._asked(request, request.input)
        return found if isinstance(found, Sound) else read(bytes(found))


def speech_engine(source: Any = None) -> SpeechEngine:
    """The engine that `source` stands for: an engine, a function of a text, or none for what is there to speak with.

    Without one it is the `Synthesizer` where it is installed, and `Tones` elsewhere. What has a true attribute
    `never_blocks`, or yields steps, is an engine; any other callable is a function. Raises `TypeError` for what cannot
    be called.
    """
    if source is None:
        return Synthesizer() if find_spec("espeakng_loader") is not None else Tones()
    return wrapped(source, SpeechFunction, "a speech engine is a function of a text")
