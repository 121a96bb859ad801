"""Sound in a session: the formats it comes and goes in, and when somebody speaks in it.

Speech is what is louder than silence for a moment. That is enough for tests: what they send is speech or nothing.
"""

from __future__ import annotations

import base64
import binascii
import sys
from array import array
from collections.abc import Iterator, Mapping
from functools import cache
from operator import mul
from typing import Any, Final, NamedTuple

from ....kernel.errors import BadRequestError
from ...sounds import RATE, Sound

__all__ = ("Buffer", "Detection", "Happening", "decoded", "detection_of", "from_base64", "pieces", "rate_of", "written")

SHORTEST_MS: Final = 100
"""What is committed is at least as long."""

_FRAME_MS: Final = 20
_LOUD: Final = 1000.0
"""How loud a frame has to be at a threshold of 1: the square root of the mean of squares of samples of 16 bits."""

_CHUNK_MS: Final = 200
"""How much sound one event brings."""

_EAGER: Final = {"low": 1500, "medium": 800, "auto": 800, "high": 400}
"""Milliseconds of silence that end a turn, by the eagerness of semantic detection."""


# Formats


def rate_of(form: Mapping[str, Any] | None) -> int:
    """Samples a second of a format."""
    kind = (form or {}).get("type", "audio/pcm")
    return int((form or {}).get("rate") or RATE) if kind == "audio/pcm" else 8_000


def from_base64(text: str, param: str) -> bytes:
    """Bytes of a field. Raises `BadRequestError` where it is no base64."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise BadRequestError.because(
            f"Invalid '{param}'. Expected base64-encoded audio bytes, but got something else.",
            param=param,
            code="invalid_value",
        ) from None


def decoded(data: bytes, form: Mapping[str, Any] | None) -> array[int]:
    """Samples of bytes in a format. An odd byte at the end of PCM is dropped."""
    kind = (form or {}).get("type", "audio/pcm")
    if kind != "audio/pcm":
        table = _expansion(kind)
        return array("h", [table[byte] for byte in data])
    samples = array("h", data[: len(data) & ~1])
    if sys.byteorder == "big":
        samples.byteswap()
    return samples


def written(sound: Sound, form: Mapping[str, Any] | None) -> bytes:
    """A sound as bytes in a format."""
    sound = sound.resampled(rate_of(form))
    kind = (form or {}).get("type", "audio/pcm")
    if kind == "audio/pcm":
        return sound.little_endian()
    table = _compression(kind)
    return bytes([table[sample & 0xFFFF] for sample in sound.samples])


def pieces(sound: Sound, form: Mapping[str, Any] | None) -> Iterator[str]:
    """A sound in a format, in base64, piece by piece."""
    data = written(sound, form)
    width = 2 if (form or {}).get("type", "audio/pcm") == "audio/pcm" else 1
    size = rate_of(form) * _CHUNK_MS // 1000 * width
    for begin in range(0, len(data), size):
        yield base64.b64encode(data[begin : begin + size]).decode()


@cache
def _expansion(kind: str) -> tuple[int, ...]:
    """The sample that each byte of G.711 stands for."""
    return tuple(map(_from_mulaw if kind == "audio/pcmu" else _from_alaw, range(256)))


@cache
def _compression(kind: str) -> bytes:
    """The byte of G.711 for each sample: the one whose own sample is nearest."""
    known = sorted((sample, byte) for byte, sample in enumerate(_expansion(kind)))
    table = bytearray(65_536)
    place = 0
    for sample in range(-32_768, 32_768):
        while place + 1 < len(known) and abs(known[place + 1][0] - sample) <= abs(known[place][0] - sample):
            place += 1
        table[sample & 0xFFFF] = known[place][1]
    return bytes(table)


def _from_mulaw(byte: int) -> int:
    byte = ~byte & 0xFF
    size = ((((byte & 0x0F) << 3) + 132) << ((byte & 0x70) >> 4)) - 132
    return -size if byte & 0x80 else size


def _from_alaw(byte: int) -> int:
    byte ^= 0x55
    exponent, size = (byte & 0x70) >> 4, ((byte & 0x0F) << 4) + 8
    if exponent:
        size = (size + 0x100) << (exponent - 1)
    return size if byte & 0x80 else -size


# Who speaks


class Detection(NamedTuple):
    """When a turn begins and ends."""

    threshold: float
    padding_ms: int
    silence_ms: int
    idle_ms: int = 0
    """How long nobody may speak after the model has; 0: as long as they like."""


def detection_of(setting: Mapping[str, Any] | None) -> Detection | None:
    """The detection of a session's setting; `None` where turns are the client's to end."""
    if setting is None:
        return None
    if setting.get("type") == "semantic_vad":
        return Detection(0.5, 300, _EAGER.get(setting.get("eagerness") or "auto", 800))

    def said(name: str, default: Any) -> Any:
        value = setting.get(name)
        return default if value is None else value

    return Detection(
        said("threshold", 0.5),
        said("prefix_padding_ms", 300),
        said("silence_duration_ms", 500),
        said("idle_timeout_ms", 0),
    )


class Happening(NamedTuple):
    """Somebody begins to speak, or falls silent: then `sound` is what was said. Or nobody has spoken for too long."""

    at_ms: int
    """Since the session began, in milliseconds of sound."""
    sound: Sound | None = None
    idle_since_ms: int | None = None
    """Since when nobody has spoken, where that was too long."""


class Buffer:
    """What was heard and is not yet part of the conversation."""

    def __init__(self) -> None:
        self.rate = RATE
        self._samples = array("h")
        self._before = 0
        """Samples that came before the first of the buffer."""
        self._seen = 0
        """Samples of the buffer that were listened to."""
        self._quiet = 0
        """Samples of silence since somebody spoke last."""
        self._odd = b""
        self.speaking = False
        self.idle_since_ms: float | None = None
        """From where on in the sound somebody is expected to speak; `None`: they are not."""

    @property
    def milliseconds(self) -> float:
        """How much is there."""
        return len(self._samples) * 1000 / self.rate

    def expect(self, after: float) -> None:
        """Expect somebody to speak, once these seconds of sound of the model's have been played."""
        if not self.speaking:
            heard = self._before + len(self._samples)
            self.idle_since_ms = heard * 1000 / self.rate + after * 1000

    def append(self, data: bytes, form: Mapping[str, Any] | None, detection: Detection | None) -> Iterator[Happening]:
        """Hear more. Gives what happens in it, where turns are detected, as it is gone through."""
        rate = rate_of(form)
        if rate != self.rate:
            self._before = (self._before + len(self._samples)) * rate // self.rate
            self._samples, self._seen, self.rate = array("h"), 0, rate
        if (form or {}).get("type", "audio/pcm") == "audio/pcm":
            data = self._odd + data
            self._odd = data[len(data) & ~1 :]
        self._samples.extend(decoded(data, form))
        if detection is None:
            return
        frame = rate * _FRAME_MS // 1000
        while self._seen + frame <= len(self._samples):
            part = self._samples[self._seen : self._seen + frame]
            self._seen += frame
            loud = (sum(map(mul, part, part)) / frame) ** 0.5 > _LOUD * detection.threshold
            self._quiet = 0 if loud else self._quiet + frame
            if loud and not self.speaking:
                self.speaking, self.idle_since_ms = True, None
                self._drop(max(0, self._seen - frame - rate * detection.padding_ms // 1000))
                yield Happening(self._before * 1000 // rate)
            elif self.speaking and self._quiet * 1000 >= detection.silence_ms * rate:
                yield Happening((self._before + self._seen) * 1000 // rate, self._taken(self._seen))
            elif detection.idle_ms and self.idle_since_ms is not None:
                now, since = (self._before + self._seen) * 1000 // rate, int(self.idle_since_ms)
                if now - since >= detection.idle_ms:
                    self.idle_since_ms = None
                    self._drop(max(0, self._seen - rate * (now - since) // 1000))
                    yield Happening(now, self._taken(self._seen), since)
        if not self.speaking:
            kept = max(detection.padding_ms, 0 if self.idle_since_ms is None else detection.idle_ms)
            self._drop(max(0, self._seen - rate * kept // 1000))

    def take(self) -> Sound:
        """Everything that is there. Raises `BadRequestError` where it is next to nothing."""
        if self.milliseconds < SHORTEST_MS:
            raise BadRequestError.because(
                f"Error committing input audio buffer: buffer too small. Expected at least {SHORTEST_MS}ms of audio, "
                f"but buffer only has {self.milliseconds:.2f}ms of audio.",
                code="input_audio_buffer_commit_empty",
            )
        return self._taken(len(self._samples))

    def clear(self) -> None:
        """Forget what is there."""
        self._taken(len(self._samples))

    def _taken(self, count: int) -> Sound:
        sound = Sound(self._samples[:count], self.rate)
        self._drop(count)
        self.speaking, self._quiet = False, 0
        return sound

    def _drop(self, count: int) -> None:
        if count:
            del self._samples[:count]
            self._before += count
            self._seen = max(0, self._seen - count)
