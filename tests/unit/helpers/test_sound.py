"""The microphone and the loudspeaker, on devices that are played."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import wave
from collections.abc import AsyncIterator, Callable, Iterator
from types import SimpleNamespace
from typing import Any, Self

import numpy as np
import pytest

from antiphon import FakeOpenAI
from antiphon.helpers import LocalAudioPlayer, Microphone, local_audio_player, microphone
from antiphon.kernel.binary import HttpxBinaryResponseContent


class CallbackStop(Exception):
    pass


class Device:
    """A stream of sounddevice: calls back from a thread of its own, until it is told to stop."""

    made: list[Device]

    def __init__(self, turn: Callable[[Device], bool], **settings: Any) -> None:
        self.settings = settings
        self.turn = turn
        self.stopped = threading.Event()
        self.heard: list[Any] = []
        self.thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        try:
            while not self.stopped.is_set() and self.turn(self):
                pass
        except CallbackStop:
            pass
        if "finished_callback" in self.settings and not self.stopped.is_set():
            self.settings["finished_callback"]()

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stopped.set()
        self.thread.join(5)


def speak(*blocks: Any) -> Callable[..., Device]:
    """A microphone that hears these blocks, then silence."""
    left: Iterator[Any] = iter(blocks)

    def turn(device: Device) -> bool:
        silence = np.zeros((1, device.settings["channels"]), dtype=device.settings["dtype"])
        block = next(left, silence)
        device.settings["callback"](block, len(block), None, None)
        return True

    return lambda **settings: Device(turn, **settings)


def listen(size: int, devices: list[Device]) -> Callable[..., Device]:
    """A loudspeaker that asks for blocks of a size."""

    def turn(device: Device) -> bool:
        block = np.full((size, device.settings["channels"]), 9, dtype=np.float32)
        try:
            device.settings["callback"](block, size, None, None)
        except CallbackStop:
            if "partial" in device.settings:
                device.heard.append(block)
            raise
        device.heard.append(block.copy())
        return True

    def make(**settings: Any) -> Device:
        devices.append(Device(turn, **settings))
        return devices[-1]

    return make


@pytest.fixture
def sd(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    found = SimpleNamespace(CallbackStop=CallbackStop)
    monkeypatch.setattr(microphone, "sd", found)
    monkeypatch.setattr(local_audio_player, "sd", found)
    return found


def counting(times: int) -> Callable[[], bool]:
    left = iter(range(times))
    return lambda: next(left, None) is not None


# The microphone


async def test_what_is_recorded_is_a_file_that_calls_take(sd: SimpleNamespace) -> None:
    block = np.array([[0], [1000], [-1000]], dtype=np.int16)
    sd.InputStream = speak(block, block)
    recorder: Microphone[np.int16] = Microphone(should_record=counting(2))
    assert recorder.has_record_function
    name, file, media = await recorder.record()
    assert (name, media) == ("audio.wav", "audio/wav")
    with wave.open(file) as wav:
        assert (wav.getnchannels(), wav.getframerate(), wav.getsampwidth()) == (1, 24000, 2)
        assert wav.readframes(6) == np.concatenate([block, block]).tobytes()
    file.seek(0)
    client = FakeOpenAI().client()
    sent = client.files.create(file=(name, file, media), purpose="user_data")
    assert client.files.content(sent.id).read() == file.getvalue()


async def test_samples_as_they_are(sd: SimpleNamespace) -> None:
    block = np.array([[0.5, -0.5]], dtype=np.float32)
    sd.InputStream = speak(block)
    recorder = Microphone(channels=2, dtype=np.float32, should_record=counting(1))
    samples = await recorder.record(return_ndarray=True)
    np.testing.assert_array_equal(samples, block)
    assert len(recorder.buffer_chunks) == 1


async def test_a_recording_ends_in_time_and_may_be_of_nothing(sd: SimpleNamespace) -> None:
    sd.InputStream = speak()
    assert len(await Microphone(timeout=0.05).record(return_ndarray=True)) > 0
    assert (await Microphone(should_record=lambda: False).record(return_ndarray=True)).shape == (0, 1)
    _, file, _ = await Microphone(should_record=lambda: False).record()
    with wave.open(file) as wav:
        assert wav.getnframes() == 0


async def test_what_should_record_raises_is_raised(sd: SimpleNamespace) -> None:
    sd.InputStream = speak()
    with pytest.raises(ZeroDivisionError):
        await Microphone(should_record=lambda: bool(1 / 0)).record()


async def test_a_device_that_is_gone_ends_a_recording(sd: SimpleNamespace) -> None:
    sd.InputStream = lambda **settings: Device(lambda device: False, **settings)
    assert len(await asyncio.wait_for(Microphone().record(return_ndarray=True), 5)) == 0


# The loudspeaker


def heard(device: Device) -> list[float]:
    return [float(each) for block in device.heard for each in block[:, 0]]


async def test_samples_are_played_to_their_end(sd: SimpleNamespace) -> None:
    devices: list[Device] = []
    sd.OutputStream = listen(2, devices)
    player = LocalAudioPlayer()
    await player.play(np.array([0.1, 0.2, 0.3], dtype=np.float32))
    await player.play(np.array([32767, -32767], dtype=np.int16))
    await player.play(np.array([[0.5, 0.0], [1.0, 0.0]], dtype=np.float32))
    assert [device.settings["samplerate"] for device in devices] == [24000] * 3
    assert [device.settings["channels"] for device in devices] == [1, 1, 2]
    np.testing.assert_allclose(heard(devices[0]), [0.1, 0.2, 0.3, 0.0], atol=1e-6)
    assert heard(devices[1]) == [1.0, -1.0]
    assert heard(devices[2]) == [0.5, 1.0]
    with pytest.raises(ValueError, match="float64"):
        await player.play(np.zeros(3))  # type: ignore[arg-type]


async def test_speech_is_played(sd: SimpleNamespace) -> None:
    devices: list[Device] = []
    sd.OutputStream = listen(3, devices)
    samples = np.array([0, 32767, -32767], dtype=np.int16)
    body = samples.tobytes() + b"x"
    await LocalAudioPlayer().play(HttpxBinaryResponseContent(_answer(body)))
    client = FakeOpenAI().client()
    spoken = {"model": "tts-1", "voice": "alloy", "input": "Hello", "response_format": "pcm"}
    with client.audio.speech.with_streaming_response.create(**spoken) as response:  # type: ignore[arg-type]
        await LocalAudioPlayer().play(response)
    other = FakeOpenAI().async_client()
    async with other.audio.speech.with_streaming_response.create(**spoken) as answered:  # type: ignore[arg-type]
        await LocalAudioPlayer().play(answered)
    assert heard(devices[0]) == [0.0, 1.0, -1.0]
    assert heard(devices[1]) == heard(devices[2])
    assert len(heard(devices[1])) > 0


def _answer(body: bytes) -> Any:
    from antiphon.kernel.http import Response

    return Response(200, body=body)


async def pieces(*given: Any, error: Exception | None = None) -> AsyncIterator[Any]:
    for each in given:
        await asyncio.sleep(0)
        yield each
    if error is not None:
        raise error


async def test_a_stream_is_played_with_silence_where_it_is_late(sd: SimpleNamespace) -> None:
    devices: list[Device] = []
    sd.OutputStream = listen(2, devices)
    many = [np.full(3, number / 100, dtype=np.float32) for number in range(1, 101)]
    await LocalAudioPlayer().play_stream(pieces(*many, np.array([32767], dtype=np.int16), None, np.ones(5)))
    played = [each for each in heard(devices[0]) if each]
    np.testing.assert_allclose(played, [*(number / 100 for number in range(1, 101) for _ in range(3)), 1.0], atol=1e-6)


async def test_what_breaks_a_stream_is_raised_after_what_came_before(sd: SimpleNamespace) -> None:
    devices: list[Device] = []
    sd.OutputStream = listen(2, devices)
    stream = pieces(np.ones(2, dtype=np.float32), error=OSError("gone"))
    with pytest.raises(OSError, match="gone"):
        await asyncio.wait_for(LocalAudioPlayer().play_stream(stream), 5)
    assert [each for each in heard(devices[0]) if each] == [1.0, 1.0]


async def test_playing_stops_when_it_should(sd: SimpleNamespace) -> None:
    devices: list[Device] = []
    sd.OutputStream = listen(1, devices)

    async def endless() -> AsyncIterator[Any]:
        while True:
            yield np.ones(4, dtype=np.float32)

    go_on = counting(3)
    await asyncio.wait_for(LocalAudioPlayer(lambda: not go_on()).play_stream(endless()), 5)
    assert len(devices[0].heard) == 3
    go_on_too = counting(2)
    await LocalAudioPlayer(lambda: not go_on_too()).play(np.ones(100, dtype=np.float32))
    assert len(devices[1].heard) == 2
    with pytest.raises(ZeroDivisionError):
        await LocalAudioPlayer(lambda: bool(1 / 0)).play(np.ones(100, dtype=np.float32))


def test_nothing_is_loaded_before_it_is_needed_and_what_is_missing_is_named() -> None:
    code = (
        "import sys; sys.modules['numpy'] = None\n"
        "import antiphon.helpers; from antiphon.helpers import Microphone, LocalAudioPlayer\n"
        "import antiphon\n"
        "for each in (Microphone, LocalAudioPlayer):\n"
        "    try: each()\n"
        "    except antiphon.OpenAIError as error: assert 'antiphon[voice_helpers]' in str(error), error\n"
        "    else: raise AssertionError\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
