"""Audio: what is spoken can be played and is understood again; recordings are written down in every form."""

from __future__ import annotations

import base64
import io
import wave
from typing import Any

import av
import pytest

from antiphon import FakeOpenAI
from antiphon.engines import Recognizer, Synthesizer, Tones
from antiphon.server.sounds import RATE, Sound, encoded, read

TEXT = "Hello there. The quick brown fox jumps over the lazy dog, and then it rests."
VOICE: Any = {"model": "gpt-4o-mini-tts", "voice": "alloy"}


def tone(seconds: float = 2.0, rate: int = RATE) -> bytes:
    from array import array

    samples = array("h", (((at * 440 // rate) % 2) * 8000 - 4000 for at in range(int(seconds * rate))))
    return encoded(Sound(samples, rate), "wav")


async def spoken(api: Any, text: str = TEXT, **options: Any) -> bytes:
    data: bytes = await api.read(await api.call("audio.speech.create", input=text, **{**VOICE, **options}))
    return data


async def heard(api: Any, data: bytes, name: str = "a.wav", **options: Any) -> Any:
    return await api.call("audio.transcriptions.create", file=(name, data), **{"model": "whisper-1", **options})


@pytest.mark.parametrize(
    ("form", "codec"),
    [("mp3", "mp3float"), ("opus", "opus"), ("aac", "aac"), ("flac", "flac"), ("wav", "pcm_s16le"), (None, "mp3float")],
)
async def test_speech_can_be_played(api: Any, form: str | None, codec: str) -> None:
    options = {} if form is None else {"response_format": form}
    data = await spoken(api, **options)
    source: Any
    with av.open(io.BytesIO(data)) as source:
        assert source.streams.audio[0].codec_context.name == codec
        assert source.streams.audio[0].codec_context.channels == 1
    found = read(data)
    assert 3 < found.seconds < 10
    assert max(found.samples) > 3000
    assert data == await spoken(api, **options)


async def test_bare_samples_speed_and_voices(api: Any) -> None:
    samples = await spoken(api, response_format="pcm")
    wav = await spoken(api, response_format="wav")
    with wave.open(io.BytesIO(wav)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (RATE, 1, 2)
        assert file.readframes(file.getnframes()) == samples
    quick = await spoken(api, response_format="pcm", speed=2.0)
    assert len(quick) < 0.75 * len(samples)
    assert await spoken(api, response_format="pcm", voice="onyx") != samples
    answer = api.raw("POST", "/v1/audio/speech", b'{"model": "tts-1", "voice": "nova", "input": "Hi"}', JSON)
    assert answer.headers["content-type"] == "audio/mpeg"


JSON = {"content-type": "application/json"}


async def test_speech_as_events(api: Any) -> None:
    body = b'{"model": "gpt-4o-mini-tts", "voice": "ash", "input": "Hello there", "stream_format": "sse"}'
    answer = api.raw("POST", "/v1/audio/speech", body, JSON)
    import orjson

    events = [orjson.loads(line[6:]) for line in answer.body.split(b"\n") if line.startswith(b"data: {")]
    assert {each["type"] for each in events[:-1]} == {"speech.audio.delta"}
    assert events[-1]["type"] == "speech.audio.done"
    usage = events[-1]["usage"]
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
    sound = b"".join(base64.b64decode(each["audio"]) for each in events[:-1])
    assert read(sound).seconds > 0.3


@pytest.mark.parametrize(
    ("changes", "param", "message"),
    [
        ({"voice": "pavarotti"}, "voice", "Supported values are: 'alloy'"),
        ({"model": "tts-1", "voice": "marin"}, "voice", "Invalid value: 'marin'"),
        ({"input": ""}, "input", "empty string"),
        ({"input": "x" * 4097}, "input", ""),
        ({"speed": 9}, "speed", ""),
        ({"response_format": "midi"}, "response_format", ""),
        ({"model": "tts-1", "stream_format": "sse"}, "stream_format", "not supported with tts-1"),
    ],
)
async def test_what_is_not_spoken(api: Any, changes: Any, param: str, message: str) -> None:
    with pytest.raises(api.errors.BadRequestError, match=message or None) as caught:
        await api.call("audio.speech.create", **{**VOICE, "input": TEXT, **changes})
    assert caught.value.param == param


@pytest.mark.parametrize("form", ["mp3", "opus", "flac", "wav"])
async def test_what_was_spoken_is_understood_again(api: Any, form: str) -> None:
    data = await spoken(api, response_format=form)
    assert (await heard(api, data, f"a.{form}", model="gpt-4o-transcribe")).text == TEXT
    answer = await api.call("audio.translations.create", file=(f"a.{form}", data), model="whisper-1")
    assert answer.text == TEXT


async def test_forms_of_a_transcript(api: Any) -> None:
    data = await spoken(api, response_format="wav")
    seconds = read(data).seconds
    plain = await heard(api, data)
    assert plain.text == TEXT
    assert plain.usage.type == "duration"
    assert plain.usage.seconds >= seconds
    verbose = await heard(api, data, response_format="verbose_json", timestamp_granularities=["word", "segment"])
    assert verbose.duration == pytest.approx(seconds, abs=0.02)
    assert verbose.language == "english"
    assert [word.word for word in verbose.words][:3] == ["Hello", "there", "The"]
    assert all(one.end <= other.start for one, other in zip(verbose.words, verbose.words[1:], strict=False))
    assert "".join(segment.text for segment in verbose.segments).strip() == TEXT
    assert verbose.segments[0].text == " Hello there."
    assert verbose.segments[-1].end == pytest.approx(seconds, abs=0.02)
    only = await heard(api, data, response_format="verbose_json", language="de")
    assert only.language == "german"
    assert only.words is None
    assert only.segments
    assert await heard(api, data, response_format="text") == TEXT + "\n"
    srt = await heard(api, data, response_format="srt")
    assert srt.startswith("1\n00:00:00,000 --> 00:00:0")
    assert "\n\n2\n" in srt
    vtt = await heard(api, data, response_format="vtt")
    assert vtt.startswith("WEBVTT\n\n00:00:00.000 --> 00:00:0")
    both = await heard(api, data, model="gpt-4o-transcribe-diarize", response_format="diarized_json")
    assert [segment.speaker for segment in both.segments] == ["A", "B", "A"]
    named = await heard(
        api,
        data,
        model="gpt-4o-transcribe-diarize",
        response_format="diarized_json",
        known_speaker_names=["Ann", "Bob"],
        known_speaker_references=["data:audio/wav;base64,AA==", "data:audio/wav;base64,AA=="],
    )
    assert named.segments[0].speaker == "Ann"


async def test_tokens_and_their_probabilities(api: Any) -> None:
    data = await spoken(api, response_format="wav")
    found = await heard(api, data, model="gpt-4o-transcribe", include=["logprobs"], prompt="A fox")
    assert "".join(each.token for each in found.logprobs) == TEXT
    assert found.usage.type == "tokens"
    assert found.usage.input_token_details.text_tokens == 2
    assert found.usage.total_tokens == found.usage.input_tokens + found.usage.output_tokens


async def test_transcripts_as_they_come(api: Any) -> None:
    data = await spoken(api, response_format="wav")
    events = await api.items(await heard(api, data, model="gpt-4o-transcribe", stream=True))
    assert "".join(event.delta for event in events if event.type == "transcript.text.delta") == TEXT
    assert events[-1].type == "transcript.text.done"
    assert events[-1].text == TEXT
    assert events[-1].usage.total_tokens > 0
    asked: Any = {"model": "gpt-4o-transcribe-diarize", "response_format": "diarized_json", "stream": True}
    events = await api.items(await heard(api, data, **asked))
    assert "".join(event.delta for event in events if event.type == "transcript.text.delta") == TEXT
    segments = [event for event in events if event.type == "transcript.text.segment"]
    assert [segment.speaker for segment in segments][:2] == ["A", "B"]
    assert {event.segment_id for event in events if event.type == "transcript.text.delta"} == {
        segment.id for segment in segments
    }


async def test_a_recording_of_ones_own(api: Any) -> None:
    first, again = await heard(api, tone(5)), await heard(api, tone(5), "b.wav")
    assert first.text == again.text
    assert 8 <= len(first.text.split()) <= 16
    assert (await heard(api, tone(5.5))).text != first.text
    compressed = encoded(read(tone(3)), "mp3")
    assert (await heard(api, compressed, "a.mp3", response_format="verbose_json")).duration == pytest.approx(
        3, abs=0.15
    )


@pytest.mark.parametrize(
    ("name", "data", "options", "param"),
    [
        ("a.txt", tone(0.1), {}, "file"),
        ("a.wav", b"this is no sound", {}, "file"),
        ("a.mp3", b"", {}, "file"),
        ("a.wav", tone(0.1), {"model": "gpt-4o-transcribe", "response_format": "srt"}, "response_format"),
        ("a.wav", tone(0.1), {"response_format": "diarized_json"}, "response_format"),
        ("a.wav", tone(0.1), {"timestamp_granularities": ["word"]}, "timestamp_granularities"),
        ("a.wav", tone(0.1), {"include": ["logprobs"]}, "include"),
        ("a.wav", tone(0.1), {"temperature": 3}, "temperature"),
        ("a.wav", tone(0.1), {"response_format": "braille"}, "response_format"),
    ],
)
async def test_what_is_not_written_down(api: Any, name: str, data: bytes, options: Any, param: str) -> None:
    with pytest.raises(api.errors.BadRequestError) as caught:
        await heard(api, data, name, **options)
    assert caught.value.param == param


def test_engines_of_ones_own() -> None:
    fake = FakeOpenAI(speech=lambda text: tone(1), transcriptions={"*": "What was said.", "real": Recognizer()})
    client = fake.client()
    assert client.audio.transcriptions.create(model="whisper-1", file=("a.wav", tone(2))).text == "What was said."
    data = client.audio.speech.create(input="x", response_format="wav", model="tts-1", voice="alloy").read()
    assert read(data).seconds == pytest.approx(1)

    async def listen(request: Any) -> str:
        return f"{request.filename} {request.seconds:.0f} {request.language}"

    client = FakeOpenAI(transcriptions=listen).client()
    file = ("b.wav", tone(2))
    assert client.audio.transcriptions.create(model="whisper-1", file=file, language="fr").text == "b.wav 2 fr"
    with pytest.raises(TypeError, match="a speech engine is a function of a text"):
        FakeOpenAI(speech=5)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="a transcription engine is a text, or a function"):
        FakeOpenAI(transcriptions=5)  # type: ignore[arg-type]


@pytest.mark.slow
def test_a_real_recognizer_hears_a_real_synthesizer() -> None:
    speaking = FakeOpenAI(speech=Synthesizer()).client()
    data = speaking.audio.speech.create(
        input="one two three four five", response_format="wav", model="tts-1", voice="alloy", speed=0.8
    ).read()
    listening = FakeOpenAI(transcriptions=Recognizer()).client()
    said = listening.audio.transcriptions.create(model="whisper-1", file=("a.wav", data)).text
    assert {"one", "two", "three", "four", "five"} & set(said.split())


def test_tones_are_sounds_too() -> None:
    client = FakeOpenAI(speech=Tones()).client()
    short, long = (
        client.audio.speech.create(input=text, response_format="wav", model="tts-1", voice="alloy").read()
        for text in ("a word", "several considerably longer words than before")
    )
    assert 0 < read(short).seconds < read(long).seconds


def test_without_codecs_wav_is_what_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    import antiphon
    from antiphon.server import sounds

    monkeypatch.setattr(sounds, "find_spec", lambda name: None)
    client = FakeOpenAI(speech=Tones()).client()
    assert read(client.audio.speech.create(input="x", response_format="wav", model="tts-1", voice="alloy").read())
    with pytest.raises(antiphon.BadRequestError, match=r"install 'antiphon\[audio\]' where it runs"):
        client.audio.speech.create(input="x", model="tts-1", voice="alloy")
    with pytest.raises(antiphon.BadRequestError, match="only WAV files of 16 bits can be read"):
        client.audio.transcriptions.create(model="whisper-1", file=("a.mp3", b"x"))
