"""Sound as the server handles it: samples, the files they are sent as, and what a file that was sent to it holds.

WAV and bare samples need nothing but the standard library. The other formats are written and read by PyAV, which has
the codecs in its wheel: `pip install 'antiphon[audio]'`.
"""

from __future__ import annotations

import io
import wave
from array import array
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ..kernel.errors import BadRequestError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ("CONTENT_TYPES", "RATE", "Sound", "Unreadable", "encoded", "read")

RATE: Final = 24_000
"""Samples a second of the API's speech."""

CONTENT_TYPES: Final = {
    "mp3": "audio/mpeg",
    "opus": "audio/opus",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "pcm": "audio/pcm",
}
"""What a format of speech is called on the wire."""

_CODECS: Final = {
    "mp3": ("mp3", "libmp3lame", RATE, "s16p"),
    "opus": ("ogg", "libopus", 48_000, "flt"),
    "aac": ("adts", "aac", RATE, "fltp"),
    "flac": ("flac", "flac", RATE, "s16"),
}
"""Container, codec, its rate and its form of samples."""


class Sound(NamedTuple):
    """Samples of one channel: 16 bits, signed, in the order of this machine."""

    samples: array[int]
    rate: int = RATE

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return len(self.samples) / self.rate

    def resampled(self, rate: int) -> Sound:
        """The same at another rate, by straight lines between the samples."""
        if rate == self.rate or not self.samples:
            return Sound(self.samples, rate)
        old, step = self.samples, self.rate / rate
        count = int(len(old) / step)
        made = array("h", bytes(2 * count))
        last = len(old) - 1
        for at in range(count):
            place = at * step
            low = int(place)
            high = low + 1 if low < last else last
            made[at] = int(old[low] + (old[high] - old[low]) * (place - low))
        return Sound(made, rate)

    def little_endian(self) -> bytes:
        """The bare samples, as they are sent."""
        import sys

        if sys.byteorder == "little":
            return self.samples.tobytes()
        swapped = array("h", self.samples)
        swapped.byteswap()
        return swapped.tobytes()


class Unreadable(ValueError):
    """These bytes are no sound, or none that can be read here."""


def encoded(sound: Sound, format: str) -> bytes:
    """A sound as a file. Raises `BadRequestError` where the codecs for its format are not installed."""
    if format == "pcm":
        return sound.resampled(RATE).little_endian()
    if format == "wav":
        return _wav(sound.resampled(RATE))
    if find_spec("av") is None:
        raise BadRequestError.because(
            f"This server cannot make {format}: install 'antiphon[audio]' where it runs, or ask for wav or pcm.",
            param="response_format",
            code="unsupported_value",
        )
    return _compressed(sound, format)


def _wav(sound: Sound) -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(sound.rate)
        file.writeframes(sound.little_endian())
    return buffer.getvalue()


def _compressed(sound: Sound, format: str) -> bytes:
    import av

    container, codec, rate, form = _CODECS[format]
    buffer = io.BytesIO()
    output: Any
    # Without the time of writing in it, so that the same words make the same bytes.
    with av.open(buffer, "w", format=container, options={"fflags": "+bitexact"}) as output:
        stream: Any = output.add_stream(codec, rate=rate, layout="mono")
        stream.codec_context.format = form
        stream.codec_context.flags |= 1 << 23  # bit exact
        resampler = av.AudioResampler(format=form, layout="mono", rate=rate)
        for frame in _frames(sound):
            for ready in resampler.resample(frame):
                output.mux(stream.encode(ready))
        for ready in resampler.resample(None):
            output.mux(stream.encode(ready))
        output.mux(stream.encode(None))
    return buffer.getvalue()


def _frames(sound: Sound) -> Sequence[Any]:
    import av

    frames: list[Any] = []
    size = 1024
    for begin in range(0, max(len(sound.samples), 1), size):
        part = sound.samples[begin : begin + size] or array("h", bytes(2 * size))
        frame = av.AudioFrame(format="s16", layout="mono", samples=len(part))
        frame.planes[0].update(part.tobytes() + bytes(frame.planes[0].buffer_size - 2 * len(part)))
        frame.sample_rate = sound.rate
        frame.pts = begin
        frames.append(frame)
    return frames


def read(data: bytes, rate: int | None = None) -> Sound:
    """The sound in a file, mixed to one channel, at its own rate or at another. Raises `Unreadable`."""
    try:
        sound = _read_wav(data)
    except (wave.Error, EOFError, Unreadable):
        sound = _decoded(data, rate)
    return sound if rate is None else sound.resampled(rate)


def _read_wav(data: bytes) -> Sound:
    with wave.open(io.BytesIO(data)) as file:
        channels, width = file.getnchannels(), file.getsampwidth()
        if width != 2 or not file.getframerate():
            raise Unreadable("not 16 bits")
        samples = array("h", file.readframes(file.getnframes()))
        if channels > 1:
            samples = array(
                "h", (sum(samples[at : at + channels]) // channels for at in range(0, len(samples), channels))
            )
        return Sound(samples, file.getframerate())


def _decoded(data: bytes, rate: int | None) -> Sound:
    if find_spec("av") is None:
        raise Unreadable("only WAV files of 16 bits can be read without the codecs of antiphon[audio]")
    import av
    from av.error import FFmpegError

    found = array("h")
    try:
        source: Any
        with av.open(io.BytesIO(data)) as source:
            if not source.streams.audio:
                raise Unreadable("there is no sound in it")
            kept = rate or source.streams.audio[0].rate or RATE
            resampler = av.AudioResampler(format="s16", layout="mono", rate=kept)
            for frame in source.decode(audio=0):
                for ready in resampler.resample(frame):
                    found.frombytes(bytes(ready.planes[0])[: 2 * ready.samples])
            for ready in resampler.resample(None):
                found.frombytes(bytes(ready.planes[0])[: 2 * ready.samples])
    except FFmpegError as error:
        raise Unreadable(error.strerror) from None
    except (ValueError, IndexError) as error:
        raise Unreadable(str(error)) from None
    if not found:
        raise Unreadable("there is no sound in it")
    return Sound(found, kept)
