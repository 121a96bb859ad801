"""The microphone of this machine."""

from __future__ import annotations

import asyncio
import io
import time
import wave
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, overload

from ._extras import SAMPLE_RATE
from ._extras import numpy as np
from ._extras import sounddevice as sd

if TYPE_CHECKING:
    import numpy
    import numpy.typing as npt

    DType = TypeVar("DType", bound=numpy.generic)
else:
    DType = TypeVar("DType")

__all__ = ("SAMPLE_RATE", "Microphone")


class Microphone(Generic[DType]):
    """Records from the default input device, at 24,000 samples a second.

    - `channels`: how many there are in a recording.
    - `dtype`: what a sample is, such as `numpy.int16`, the default, or `numpy.float32` from -1 to 1.
    - `should_record`: asked with every block of samples; the recording ends when it says no.
    - `timeout`: seconds after which the recording ends. Without either it ends when it is cancelled.

    Raises `OpenAIError` where numpy or sounddevice is not installed.
    """

    def __init__(
        self,
        channels: int = 1,
        dtype: type[DType] | None = None,
        should_record: Callable[[], bool] | None = None,
        timeout: float | None = None,
    ) -> None:
        self.channels = channels
        self.dtype: type[DType] = np.int16 if dtype is None else dtype
        self.should_record = should_record
        self.timeout = timeout
        self.has_record_function = callable(should_record)
        self.buffer_chunks: list[npt.NDArray[DType]] = []
        """The blocks of the last recording, each of shape (samples, channels)."""

    @overload
    async def record(self, return_ndarray: Literal[True]) -> npt.NDArray[DType]: ...
    @overload
    async def record(self, return_ndarray: Literal[False] | None = False) -> tuple[str, io.BytesIO, str]: ...
    async def record(self, return_ndarray: bool | None = False) -> npt.NDArray[DType] | tuple[str, io.BytesIO, str]:
        """Record: a WAV file to be given to any method that takes one, or the samples, of shape (samples, channels).

        Raises what `should_record` raises, and what sounddevice raises where there is no device.
        """
        loop = asyncio.get_running_loop()
        ended = asyncio.Event()
        failed: list[BaseException] = []
        self.buffer_chunks = chunks = []
        begun = time.perf_counter()

        def goes_on() -> bool:
            if self.timeout is not None and time.perf_counter() - begun > self.timeout:
                return False
            return self.should_record is None or bool(self.should_record())

        def heard(block: npt.NDArray[DType], frames: int, when: Any, status: Any) -> None:
            # Called in a thread of PortAudio's, which would only print an error.
            try:
                recording = goes_on()
            except BaseException as error:
                failed.append(error)
                recording = False
            if not recording:
                loop.call_soon_threadsafe(ended.set)
                raise sd.CallbackStop
            chunks.append(block.copy())

        with sd.InputStream(
            samplerate=SAMPLE_RATE,
            channels=self.channels,
            dtype=self.dtype,
            callback=heard,
            finished_callback=lambda: loop.call_soon_threadsafe(ended.set),
        ):
            await ended.wait()
        if failed:
            raise failed[0]
        samples: npt.NDArray[DType] = (
            np.concatenate(chunks, axis=0) if chunks else np.empty((0, self.channels), dtype=self.dtype)
        )
        return samples if return_ndarray else ("audio.wav", self._wav(samples), "audio/wav")

    def _wav(self, samples: Any) -> io.BytesIO:
        if samples.dtype == np.float32:
            samples = (np.clip(samples, -1, 1) * 32767).astype(np.int16)
        elif samples.dtype == np.int8:
            # One byte a sample is without a sign in WAV.
            samples = (samples.astype(np.int16) + 128).astype(np.uint8)
        file = io.BytesIO()
        with wave.open(file, "wb") as wav:
            wav.setnchannels(self.channels)
            wav.setsampwidth(samples.dtype.itemsize)
            wav.setframerate(SAMPLE_RATE)
            wav.writeframes(samples.tobytes())
        file.seek(0)
        return file
