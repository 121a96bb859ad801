"""Audio: texts are spoken, recordings are written down, in every format the API lists, whole or as they come.

What this server has spoken it recognizes word for word when it is sent back: a test that speaks and then transcribes
gets its words again, whatever engine transcribes. Anything else is up to the engine.

API reference: https://platform.openai.com/docs/api-reference/audio
"""

from __future__ import annotations

from base64 import b64encode
from hashlib import blake2b
from math import ceil
from types import GeneratorType
from typing import TYPE_CHECKING, Any, Final

import orjson

from ...api.audio.speech import Speech
from ...api.audio.transcriptions import Transcriptions
from ...api.audio.translations import Translations
from ...kernel.errors import BadRequestError
from ...kernel.http import Headers, Response
from .. import tokens
from ..behaviour import Call, UploadedFile, serves
from ..engine import SpeechRequest, TranscriptionRequest
from ..renderings.logprobs import token_logprobs
from ..renderings.sinks import EVENT_STREAM
from ..sounds import CONTENT_TYPES, RATE, Sound, Unreadable, encoded, read
from ..transcripts import Transcript, diarized, srt, verbose, vtt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ...kernel.flow import Flow
    from ..app import Server
    from ..behaviour import Reply

__all__ = ("SPOKEN", "recognized", "remember")

SPOKEN: Final = "audio/spoken"
"""The collection of what was spoken: texts, by the digest of the sound."""

VOICES: Final = (
    "alloy", "ash", "ballad", "coral", "echo", "fable", "nova", "onyx", "sage", "shimmer", "verse", "marin", "cedar",
)  # fmt: skip
_OLD_VOICES: Final = ("alloy", "ash", "coral", "echo", "fable", "nova", "onyx", "sage", "shimmer")
_OLD_SPEAKERS: Final = ("tts-1", "tts-1-hd", "tts-1-1106", "tts-1-hd-1106")
_CHUNK: Final = 16 * 1024
_EVENT_CHUNK: Final = 8 * 1024
_BARE: Final = ("pcm", "wav")
"""Formats whose samples are what was spoken: they may come back without their file."""

_EXTENSIONS: Final = ("flac", "m4a", "mp3", "mp4", "mpeg", "mpga", "oga", "ogg", "opus", "wav", "webm")


# Speech


@serves(Speech.create)
def speak(call: Call) -> Reply:
    """Speak a text: a sound file, or events with pieces of it.

    Follows https://developers.openai.com/api/reference/resources/audio/subresources/speech/methods/create
    """
    body = call.body
    model: str = body["model"]
    engine = call.server.engines.speech(model)
    voice = body["voice"]["id"] if isinstance(body["voice"], dict) else body["voice"]
    if not call.server.conjures:
        _check_speech(body, model, voice)
    request = SpeechRequest(model, body["input"], voice, body.get("instructions") or "", body.get("speed") or 1.0, body)
    found: Any = engine(request)
    return _spoken_later(call, request, found) if isinstance(found, GeneratorType) else _spoken(call, request, found)


def _check_speech(body: dict[str, Any], model: str, voice: str) -> None:
    if not body["input"]:
        raise BadRequestError.because(
            "Invalid 'input': string too short. Expected a string with minimum length 1, but got an empty string "
            "instead.",
            param="input",
            code="string_below_min_length",
        )
    known = _OLD_VOICES if model in _OLD_SPEAKERS else VOICES
    if isinstance(body["voice"], str) and voice not in known and not voice.startswith("voice_"):
        raise BadRequestError.because(
            f"Invalid value: '{voice}'. Supported values are: {', '.join(map(repr, known))}.",
            param="voice",
            code="invalid_value",
        )
    if body.get("stream_format") == "sse" and model in _OLD_SPEAKERS:
        raise BadRequestError.because(
            f"'stream_format' 'sse' is not supported with {model}.", param="stream_format", code="unsupported_value"
        )


def _spoken_later(call: Call, request: SpeechRequest, flow: Flow[Sound | bytes]) -> Flow[Response]:
    return _spoken(call, request, (yield from flow))


def _spoken(call: Call, request: SpeechRequest, sound: Sound | bytes) -> Response:
    body = call.body
    form: str = body.get("response_format") or "mp3"
    data = sound if isinstance(sound, bytes) else encoded(sound, form)
    _remember(call.server, data, request.input)
    if form in _BARE and isinstance(sound, Sound):
        remember(call.server, sound, request.input)
    if body.get("stream_format") == "sse":
        return Response(200, EVENT_STREAM, _speech_events(data, request, _length(sound)))
    headers = Headers.of([("content-type", CONTENT_TYPES[form])])
    return Response(200, headers, _pieces(data, _CHUNK) if len(data) > _CHUNK else data)


def _pieces(data: bytes, size: int) -> Iterator[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


def _length(sound: Sound | bytes) -> float:
    """How many seconds a sound lasts; nought for a file that cannot be read."""
    try:
        return (read(sound) if isinstance(sound, bytes) else sound).seconds
    except Unreadable:
        return 0.0


def _speech_events(data: bytes, request: SpeechRequest, seconds: float) -> Iterator[bytes]:
    for piece in _pieces(data, _EVENT_CHUNK):
        yield _event({"type": "speech.audio.delta", "audio": b64encode(piece).decode()})
    given = tokens.count(request.input, request.model) + tokens.count(request.instructions, request.model)
    heard = ceil(seconds * 20)
    usage = {"input_tokens": given, "output_tokens": heard, "total_tokens": given + heard}
    yield _event({"type": "speech.audio.done", "usage": usage})


def _event(event: dict[str, Any]) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (event["type"].encode(), orjson.dumps(event))


def _digest(data: bytes) -> str:
    return blake2b(data, digest_size=16).hexdigest()


def _remember(server: Server, data: bytes, text: str) -> None:
    server.store.put(SPOKEN, _digest(data), {"id": _digest(data), "text": text})


def remember(server: Server, sound: Sound, text: str) -> None:
    """Keep what a sound says, to recognize it in whatever comes back of it: with more or less silence around it."""
    _remember(server, _core(sound), text)


def recognized(server: Server, sound: Sound) -> str | None:
    """What a sound says that this server has spoken; `None` for any other."""
    known = server.store.get(SPOKEN, _digest(_core(sound)))
    return None if known is None else known["text"]


def _core(sound: Sound) -> bytes:
    """The samples of a sound from the first that is not silence to the last."""
    data = sound.resampled(RATE).little_endian()
    begin = len(data) - len(data.lstrip(b"\0"))
    end = len(data.rstrip(b"\0"))
    return data[begin & ~1 : (end + 1) & ~1]


# Transcriptions and translations


@serves(Transcriptions.create)
def transcribe(call: Call) -> Reply:
    """Write a recording down, in the form that is asked for, or as events while it is listened to.

    Follows https://developers.openai.com/api/reference/resources/audio/subresources/transcriptions/methods/create
    """
    return _written(call, translate=False)


@serves(Translations.create)
def translate(call: Call) -> Reply:
    """Write a recording down in English.

    Follows https://developers.openai.com/api/reference/resources/audio/subresources/translations/methods/create
    """
    return _written(call, translate=True)


def _written(call: Call, *, translate: bool) -> Reply:
    server, body = call.server, call.body
    model: str = body["model"]
    engine = server.engines.transcriptions(model)
    form: str = body.get("response_format") or ("diarized_json" if _diarizes(model) and server.conjures else "json")
    if not server.conjures:
        _check_transcription(body, model, form, translate=translate)
    file: UploadedFile = body["file"]
    request = TranscriptionRequest(
        model,
        file.content,
        file.filename,
        _seconds(file, strict=not server.conjures),
        body.get("language"),
        body.get("prompt") or "",
        translate,
        body,
    )
    known = server.store.get(SPOKEN, _digest(file.content))
    if known is not None:
        request.spoken = known["text"]
    asked = known is None or getattr(engine, "asked_anyway", False)
    found: Any = engine(request) if asked else request.spoken
    if isinstance(found, GeneratorType):
        return _written_later(call, request, found, form)
    answer: Reply = _answered(call, request, found, form)
    return answer


def _diarizes(model: str) -> bool:
    return "diarize" in model


def _check_transcription(body: dict[str, Any], model: str, format: str, *, translate: bool) -> None:
    """What goes with which model."""
    modern = model.startswith("gpt-4o") or "-transcribe" in model
    allowed = ("json", "text", "diarized_json") if _diarizes(model) else ("json", "text") if modern else None
    if allowed is not None and format not in allowed:
        raise BadRequestError.because(
            f"response_format '{format}' is not compatible with model '{model}'. Use {_either(allowed)} instead.",
            param="response_format",
            code="unsupported_value",
        )
    if format == "diarized_json" and not _diarizes(model):
        raise BadRequestError.because(
            f"response_format 'diarized_json' is not compatible with model '{model}'. Use 'json' instead.",
            param="response_format",
            code="unsupported_value",
        )
    if body.get("timestamp_granularities") and format != "verbose_json":
        raise BadRequestError.because(
            "'timestamp_granularities' needs response_format 'verbose_json'.",
            param="timestamp_granularities",
            code="unsupported_value",
        )
    if "logprobs" in (body.get("include") or ()) and (not modern or format != "json"):
        raise BadRequestError.because(
            "'include' of 'logprobs' needs response_format 'json' and a model such as 'gpt-4o-transcribe'.",
            param="include",
            code="unsupported_value",
        )
    if translate and modern:
        raise BadRequestError.because(
            f"Model '{model}' cannot translate. Use 'whisper-1' instead.", param="model", code="unsupported_model"
        )


def _either(names: tuple[str, ...]) -> str:
    *first, last = map(repr, names)
    return f"{', '.join(first)} or {last}" if first else last


def _seconds(file: UploadedFile, *, strict: bool) -> float:
    extension = file.filename.rpartition(".")[2].lower()
    if strict and extension not in _EXTENSIONS:
        raise BadRequestError.because(
            f"Invalid file format. Supported formats: {list(_EXTENSIONS)}", param="file", code="unsupported_format"
        )
    try:
        return read(file.content).seconds
    except Unreadable as error:
        if strict:
            raise BadRequestError.because(
                f"The audio file could not be decoded or its format is not supported: {error}.",
                param="file",
                code="invalid_audio",
            ) from None
        return 1.0


def _written_later(call: Call, request: TranscriptionRequest, flow: Flow[str], format: str) -> Flow[Any]:
    return _answered(call, request, (yield from flow), format)


_TEXTS: Final[dict[str, tuple[str, Callable[[Transcript], str]]]] = {
    "text": ("text/plain; charset=utf-8", lambda transcript: transcript.text + "\n"),
    "srt": ("text/plain; charset=utf-8", srt),
    "vtt": ("text/plain; charset=utf-8", vtt),
}


def _answered(call: Call, request: TranscriptionRequest, text: str, format: str) -> Any:
    transcript = Transcript(text, request.seconds, request.language or "en", request.model)
    # The API knows no streams of whisper's, and passes the wish for one over.
    streams = not request.translate and (call.server.conjures or not request.model.startswith("whisper"))
    if call.body.get("stream") and streams:
        return Response(200, EVENT_STREAM, _transcript_events(call, request, transcript, format))
    if format in _TEXTS:
        media, write = _TEXTS[format]
        return Response(200, Headers.of([("content-type", media)]), write(transcript).encode("utf-8", "replace"))
    usage = _usage(request, text)
    if format == "verbose_json":
        asked = call.body.get("timestamp_granularities") or ["segment"]
        task = "translate" if request.translate else "transcribe"
        return {
            "task": task,
            **verbose(transcript, asked),
            "usage": {"type": "duration", "seconds": ceil(request.seconds)},
        }
    if format == "diarized_json":
        names = call.body.get("known_speaker_names") or ()
        return {
            "task": "transcribe",
            "duration": transcript.seconds,
            "text": text,
            "segments": diarized(transcript, names),
            "usage": usage,
        }
    if request.translate:
        return {"text": text}
    answer: dict[str, Any] = {"text": text, "usage": usage}
    if "logprobs" in (call.body.get("include") or ()):
        answer["logprobs"] = _logprobs(text, request.model)
    return answer


def _usage(request: TranscriptionRequest, text: str) -> dict[str, Any]:
    if request.model.startswith("whisper"):
        return {"type": "duration", "seconds": ceil(request.seconds)}
    return _tokens(request, text)


def _tokens(request: TranscriptionRequest, text: str) -> dict[str, Any]:
    heard, told = ceil(request.seconds * 10), tokens.count(request.prompt, request.model)
    written = tokens.count(text, request.model)
    return {
        "type": "tokens",
        "input_tokens": heard + told,
        "input_token_details": {"audio_tokens": heard, "text_tokens": told},
        "output_tokens": written,
        "total_tokens": heard + told + written,
    }


def _logprobs(text: str, model: str) -> list[dict[str, Any]]:
    return [
        {"token": each["token"], "bytes": each["bytes"], "logprob": each["logprob"]}
        for each in token_logprobs(text, model)
    ]


def _transcript_events(
    call: Call, request: TranscriptionRequest, transcript: Transcript, format: str
) -> Iterator[bytes]:
    scored = "logprobs" in (call.body.get("include") or ())
    segments = diarized(transcript, call.body.get("known_speaker_names") or ()) if format == "diarized_json" else []
    pieces: list[tuple[str, dict[str, Any] | None]] = [(each["text"], each) for each in segments]
    pieces = pieces or [(transcript.text, None)]
    for index, (text, segment) in enumerate(pieces):
        said = text if index == 0 or text.startswith(" ") else f" {text}"
        for piece in tokens.pieces(said, request.model):
            event: dict[str, Any] = {"type": "transcript.text.delta", "delta": piece.text}
            if segment is not None:
                event["segment_id"] = segment["id"]
            if scored:
                event["logprobs"] = _logprobs(piece.text, request.model)
            if piece.text:
                yield _event(event)
        if segment is not None:
            yield _event(segment)
    done: dict[str, Any] = {"type": "transcript.text.done", "text": transcript.text}
    if scored:
        done["logprobs"] = _logprobs(transcript.text, request.model)
    done["usage"] = _tokens(request, transcript.text)
    yield _event(done)
    yield b"data: [DONE]\n\n"
