"""Transcription without a model: words made up from the sound, a real recognizer, or a function of yours.

    Engines(transcriptions=MadeUp())                                  about as many words as were spoken in the time
    Engines(transcriptions=Recognizer())                              pocketsphinx: English, and hard of hearing
    Engines(transcriptions=TranscriptionFunction(lambda audio: "…"))  bytes of the file that was sent

What the same server has spoken is recognized word for word, whatever engine transcribes: see `behaviours/audio.py`.
"""

from __future__ import annotations

from importlib.util import find_spec
from random import Random
from typing import TYPE_CHECKING, Any, ClassVar, Final
from zlib import crc32

from ..kernel.flow import Call
from .text import filler
from .wrapping import Wrapped, wrapped

if TYPE_CHECKING:
    from ..kernel.flow import Flow
    from ..server.engine import TranscriptionEngine, TranscriptionRequest

__all__ = ("MadeUp", "Recognizer", "TranscriptionFunction", "transcription_engine")

_PACE: Final = 2.4
"""Words a second."""
_MOST: Final = 2_000


class MadeUp:
    """Sentences that follow from the sound and the seed: the same recording says the same every time."""

    never_blocks: ClassVar[bool] = True

    def __init__(self, seed: int | str = 0) -> None:
        self.seed = seed

    def __call__(self, request: TranscriptionRequest) -> str:
        """What was said."""
        wanted = min(_MOST, max(1, round(request.seconds * _PACE)))
        return filler(Random(f"{self.seed} {crc32(request.audio)}"), wanted, wanted)


class Recognizer:
    """pocketsphinx with the English model in its wheel. Needs `antiphon[recognizer]`; raises `ImportError`."""

    never_blocks: ClassVar[bool] = True

    def __init__(self) -> None:
        if find_spec("pocketsphinx") is None:
            raise ImportError("the recognizer is missing; install it with: pip install 'antiphon[recognizer]'")

    def __call__(self, request: TranscriptionRequest) -> Flow[str]:
        """What was said, as far as it is understood."""
        heard: str = yield Call(_heard, request.audio)
        return heard


def _heard(audio: bytes) -> str:
    import pocketsphinx  # type: ignore[import-untyped]  # pyright: ignore[reportMissingTypeStubs]

    from ..server.sounds import read

    decoder: Any = pocketsphinx.Decoder(samprate=16_000, loglevel="FATAL")
    decoder.start_utt()
    decoder.process_raw(read(audio, 16_000).little_endian(), full_utt=True)
    decoder.end_utt()
    found = decoder.hyp()
    return "" if found is None else str(found.hypstr)


class TranscriptionFunction(Wrapped):
    """An engine made of a function from the bytes of a file to a text. It may block or be async.

    A function whose first parameter is named `request` gets the whole `TranscriptionRequest` instead.
    """

    def __call__(self, request: TranscriptionRequest) -> Flow[str]:
        return str((yield from self._asked(request, request.audio)))


def transcription_engine(source: Any = None, *, seed: int | str = 0) -> TranscriptionEngine:
    """The engine that `source` stands for: an engine, a function of a recording, a text, or none for `MadeUp`.

    What has a true attribute `never_blocks`, or yields steps, is an engine; any other callable is a function. Raises
    `TypeError` for anything else.
    """
    if source is None:
        return MadeUp(seed)
    if isinstance(source, str):
        return TranscriptionFunction(lambda audio: source, blocks=False)
    expected = "a transcription engine is a text, or a function of the bytes of a recording"
    return wrapped(source, TranscriptionFunction, expected)
