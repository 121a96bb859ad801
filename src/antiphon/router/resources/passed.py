"""Resources whose answers are no conversation, and are passed on: vectors, pictures, speech, transcripts."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Unpack

from pydantic import BaseModel, ConfigDict, Field

from ...api.audio.speech import Speech
from ...api.audio.transcriptions import Transcriptions
from ...api.embeddings import Embeddings
from ...api.images import Images
from ..answers import Answer, Asked
from ..errors import Refused
from ..formats.passed import BYTES, EVENTS
from ..streaming import StreamingResponse
from .base import Resource, _parameter, checked
from .options import EmbeddingOptions, ImageOptions, SpeechOptions, TranscriptionOptions

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from ..endpoints import Route
    from ..formats import Format

__all__ = ("EmbeddingsResource", "ImagesResource", "SpeechResource", "TranscriptionResource")


class _Passed(Resource):
    """What these have in common."""

    wire: ClassVar[Format] = EVENTS
    request_model: ClassVar[type[BaseModel]]

    @classmethod
    def request_parameters(cls, *, bodiless: bool) -> list[inspect.Parameter]:
        if bodiless:
            raise TypeError(f"a {cls.__name__} is asked with a body: use post, put or patch")
        return [_parameter("body", cls.request_model)]

    async def respond(self, route: Route, request: Request, given: Mapping[str, Any]) -> Response:
        return self._answered(route, request, given["body"].model_dump(exclude_unset=True))

    def _answered(self, route: Route, request: Request, said: Mapping[str, Any]) -> Response:
        asked = Asked([], self.stream, body=said, connection=request)
        asked.options.update({name: said[name] for name in route.parameters if said.get(name) is not None})
        opening = route.opening(self)
        return StreamingResponse.of(opening, asked, self.wire, route.limits, route.answering, self.stream)


class EmbeddingRequest(BaseModel):
    """Texts to be turned into vectors."""

    model_config = ConfigDict(extra="allow")

    input: str | list[str] | list[int] | list[list[int]] = Field(examples=["Hello"])


class EmbeddingsResource(_Passed):
    """Vectors of the caller's texts. Every other argument is one of `embeddings.create`; `client` is as everywhere."""

    path: ClassVar[str] = "embeddings"
    engine_kind: ClassVar[str] = "embeddings"
    request_model: ClassVar[type[BaseModel]] = EmbeddingRequest

    def __init__(
        self, *, client: Any = None, model: str = "text-embedding-3-small", **options: Unpack[EmbeddingOptions]
    ) -> None:
        super().__init__(client, checked(options, Embeddings.create.parameters, type(self).__name__, ("input",)))
        self.model = model

    async def open(self, asked: Asked) -> Answer:
        """Ask. Raises the client's errors."""
        said = asked.body.get("input")
        if said in ("", [], None):
            raise Refused("`input` is empty: there is nothing to embed.", status=422, param="input")
        # JSON that is passed on says vectors as numbers, which is what callers without a decoder expect.
        body = {"encoding_format": "float", **self.options, "model": self.model, "input": said, **asked.options}
        return await self.caller().passed(self.path, body)


class ImageRequest(BaseModel):
    """A picture to be drawn."""

    model_config = ConfigDict(extra="allow")

    prompt: str = Field(examples=["A lighthouse at dusk"])


class ImagesResource(_Passed):
    """Pictures of the caller's prompt. Every other argument is one of `images.generate`; `client` is as everywhere.

    With `stream` they come as the API's events, with `partial_images` on the way.
    """

    path: ClassVar[str] = "images"
    engine_kind: ClassVar[str] = "images"
    request_model: ClassVar[type[BaseModel]] = ImageRequest

    def __init__(
        self, *, client: Any = None, model: str = "gpt-image-1", stream: bool = False, **options: Unpack[ImageOptions]
    ) -> None:
        super().__init__(client, checked(options, Images.generate.parameters, type(self).__name__, ("prompt",)))
        self.model = model
        self.stream = stream

    @classmethod
    def answer_content(cls, route: Route) -> dict[str, Any]:
        return {**super().answer_content(route), "text/event-stream": {"schema": {"type": "string"}}}

    async def open(self, asked: Asked) -> Answer:
        """Ask. Raises the client's errors."""
        body = {**self.options, "model": self.model, "prompt": asked.body.get("prompt"), **asked.options}
        caller = self.caller()
        if self.stream:
            return await caller.stream(self.path, body)
        return await caller.passed(self.path, body, "generate")


class SpeechRequest(BaseModel):
    """A text to be spoken."""

    model_config = ConfigDict(extra="allow")

    input: str = Field(examples=["Hello"])


class SpeechResource(_Passed):
    """The caller's text, spoken: the sound as it comes. Every other argument is one of `audio.speech.create`."""

    path: ClassVar[str] = "audio.speech"
    request_model: ClassVar[type[BaseModel]] = SpeechRequest
    wire: ClassVar[Format] = BYTES
    stream = True

    def __init__(
        self,
        *,
        client: Any = None,
        model: str = "gpt-4o-mini-tts",
        voice: str = "alloy",
        **options: Unpack[SpeechOptions],
    ) -> None:
        super().__init__(client, checked(options, Speech.create.parameters, type(self).__name__, ("input",)))
        self.model = model
        self.voice = voice

    @classmethod
    def answer_content(cls, route: Route) -> dict[str, Any]:
        return {"audio/mpeg": {"schema": {"type": "string", "format": "binary"}}}

    async def open(self, asked: Asked) -> Answer:
        """Ask. Raises the client's errors."""
        said = asked.body.get("input")
        body = {**self.options, "model": self.model, "voice": self.voice, "input": said, **asked.options}
        return await self.caller().pieces(self.path, body)


class TranscriptionResource(_Passed):
    """What is said in the caller's recording: a form with a `file`, or the recording itself as the body.

    Every other argument is one of `audio.transcriptions.create`. With `stream` the text comes as the API's events.
    """

    path: ClassVar[str] = "audio.transcriptions"

    def __init__(
        self,
        *,
        client: Any = None,
        model: str = "gpt-4o-transcribe",
        stream: bool = False,
        **options: Unpack[TranscriptionOptions],
    ) -> None:
        super().__init__(client, checked(options, Transcriptions.create.parameters, type(self).__name__, ("file",)))
        self.model = model
        self.stream = stream

    @classmethod
    def request_parameters(cls, *, bodiless: bool) -> list[inspect.Parameter]:
        if bodiless:
            raise TypeError(f"a {cls.__name__} is asked with a recording: use post, put or patch")
        return []

    @classmethod
    def openapi_extra(cls) -> dict[str, Any]:
        recording = {"type": "string", "format": "binary"}
        form = {"type": "object", "properties": {"file": recording}, "required": ["file"]}
        content = {"multipart/form-data": {"schema": form}, "audio/*": {"schema": recording}}
        return {"requestBody": {"required": True, "content": content}}

    @classmethod
    def answer_content(cls, route: Route) -> dict[str, Any]:
        text = {"schema": {"type": "string"}}
        return {**super().answer_content(route), "text/plain": text, "text/event-stream": text}

    async def respond(self, route: Route, request: Request, given: Mapping[str, Any]) -> Response:
        content_type = request.headers.get("content-type") or ""
        return self._answered(route, request, _recording(content_type, await request.body()))

    async def open(self, asked: Asked) -> Answer:
        """Ask. Raises the client's errors."""
        body = {**self.options, "model": self.model, "file": asked.body["file"], **asked.options}
        caller = self.caller()
        return await (caller.stream if self.stream else caller.passed)(self.path, body)


def _recording(content_type: str, body: bytes) -> dict[str, Any]:
    """The fields of a request with a recording. Raises `Refused` where there is none."""
    if not content_type.startswith("multipart/form-data"):
        if not body:
            raise Refused("The body is empty: send a form with a `file`, or the recording.", status=422, param="file")
        kind = content_type.partition(";")[0].strip()
        ending = kind.rpartition("/")[2].removeprefix("x-")
        name = f"recording.{ending}" if kind.startswith("audio/") and ending.isalnum() else "recording.wav"
        return {"file": (name, body, kind or "audio/wav")}
    from ...kernel.multipart import decode
    from ...kernel.spool import pieces_of

    try:
        parts = decode(content_type, body)
    except ValueError as error:
        raise Refused(f"The form cannot be read: {error}", status=422) from None
    said: dict[str, Any] = {}
    for part in parts:
        content = b"".join(pieces_of(part.content))
        if part.filename is None:
            said[part.name] = content.decode("utf-8", "replace")
        else:
            said[part.name] = (part.filename or "recording.wav", content, part.content_type or "audio/wav")
    if not isinstance(said.get("file"), tuple):
        raise Refused("The form has no `file` with a recording.", status=422, param="file")
    return said
