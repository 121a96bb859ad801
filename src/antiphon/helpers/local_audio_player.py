"""The loudspeaker of this machine."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterable, Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from ._extras import SAMPLE_RATE
from ._extras import numpy as np
from ._extras import sounddevice as sd

if TYPE_CHECKING:
    import numpy
    import numpy.typing as npt

    from ..kernel.binary import HttpxBinaryResponseContent
    from ..kernel.raw import AsyncStreamedBinaryAPIResponse, StreamedBinaryAPIResponse

    Samples: TypeAlias = npt.NDArray[numpy.int16] | npt.NDArray[numpy.float32]
    Spoken: TypeAlias = HttpxBinaryResponseContent | StreamedBinaryAPIResponse | AsyncStreamedBinaryAPIResponse

__all__ = ("SAMPLE_RATE", "LocalAudioPlayer")

AHEAD = 50
"""How many pieces of a stream are fetched before they can be heard."""


class LocalAudioPlayer:
    """Plays through the default output device, at 24,000 samples a second.

    `should_stop` is asked with every block of samples; what is played ends when it says yes. Raises `OpenAIError` where
    numpy or sounddevice is not installed.
    """

    def __init__(self, should_stop: Callable[[], bool] | None = None) -> None:
        self.channels = 1
        self.dtype = np.float32
        self.should_stop = should_stop

    async def play(self, input: Samples | Spoken) -> None:
        """Play samples, or an answer of `audio.speech` in the format `pcm`; returns when they were heard.

        Samples are of shape (samples,) or (samples, channels), as `float32` from -1 to 1 or as `int16`; others raise
        `ValueError`.
        """
        if isinstance(input, np.ndarray):
            samples = self._floats(input)
        else:
            data = await _read(input)
            samples = self._floats(np.frombuffer(data[: len(data) & ~1], dtype=np.int16))
        buffers: deque[Any] = deque((samples, None))
        await self._play(_Feed(buffers, lambda: None), samples.shape[1])

    async def play_stream(self, buffer_stream: AsyncIterable[Samples | None]) -> None:
        """Play samples as they come, with silence where none are there yet, until the stream or a `None` in it ends.

        Raises what the stream raises, after what came before was heard.
        """
        loop = asyncio.get_running_loop()
        room = asyncio.Semaphore(AHEAD)
        buffers: deque[Any] = deque()

        async def fetch() -> None:
            try:
                async for samples in buffer_stream:
                    if samples is None:
                        break
                    await room.acquire()
                    buffers.append(self._floats(samples))
            finally:
                buffers.append(None)

        fetching = loop.create_task(fetch())
        try:
            await self._play(_Feed(buffers, lambda: loop.call_soon_threadsafe(room.release)), self.channels)
        finally:
            if not fetching.done():
                fetching.cancel()
                await asyncio.wait((fetching,))
        if not fetching.cancelled():
            fetching.result()

    async def _play(self, feed: _Feed, channels: int) -> None:
        loop = asyncio.get_running_loop()
        ended = asyncio.Event()
        failed: list[BaseException] = []

        def wanted(block: npt.NDArray[numpy.float32], frames: int, when: Any, status: Any) -> None:
            # Called in a thread of PortAudio's, which would only print an error.
            try:
                playing = not (self.should_stop is not None and self.should_stop()) and feed.fill(block)
            except BaseException as error:
                failed.append(error)
                playing = False
            if not playing:
                loop.call_soon_threadsafe(ended.set)
                raise sd.CallbackStop

        with sd.OutputStream(
            samplerate=SAMPLE_RATE,
            channels=channels,
            dtype=self.dtype,
            callback=wanted,
            finished_callback=lambda: loop.call_soon_threadsafe(ended.set),
        ):
            await ended.wait()
        if failed:
            raise failed[0]

    def _floats(self, samples: Any) -> Any:
        """Samples as they are played, of shape (samples, channels)."""
        if samples.dtype == np.int16:
            samples = samples.astype(np.float32) / 32767.0
        elif samples.dtype != np.float32:
            raise ValueError(f"samples are float32 or int16, not {samples.dtype}")
        return samples if samples.ndim == 2 else samples.reshape(-1, self.channels)


class _Feed:
    """Cuts pieces of any length into blocks. `None` is the end."""

    def __init__(self, buffers: deque[Any], taken: Callable[[], object]) -> None:
        self._buffers = buffers
        self._taken = taken
        self._current: Any = ()
        self._at = 0
        self._ended = False

    def fill(self, block: Any) -> bool:
        """Fill a block, with silence where nothing is there; `False` where there is no more for it."""
        filled = 0
        while filled < len(block):
            if self._at == len(self._current) and not self._advance():
                block[filled:] = 0
                return filled > 0 or not self._ended
            piece = self._current[self._at : self._at + len(block) - filled]
            block[filled : filled + len(piece)] = piece
            self._at += len(piece)
            filled += len(piece)
        return True

    def _advance(self) -> bool:
        if not self._buffers:
            return False
        if self._buffers[0] is None:
            self._ended = True
            return False
        self._current, self._at = self._buffers.popleft(), 0
        self._taken()
        return True


async def _read(response: Any) -> bytes:
    pieces = response.iter_bytes(chunk_size=1024)
    if hasattr(pieces, "__aiter__"):
        return b"".join([piece async for piece in pieces])
    # A stream that blocks is read where it blocks nobody.
    return await asyncio.to_thread(b"".join, pieces)
