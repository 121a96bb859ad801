"""What is asked of engines that do not converse, and how they answer. The names are those of `server.engine`.

A class of them takes as long to make as a module takes to load, and most servers are asked for words only: so they
are here, and loaded when one is asked for something else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, TypeAlias

if TYPE_CHECKING:
    from ..kernel.flow import Flow
    from ..kernel.http import Headers
    from .behaviour import UploadedFile
    from .sounds import Sound

    Embedded: TypeAlias = list[list[float]] | Sequence[Sequence[float]] | dict[str, Any]
    Drawn: TypeAlias = list[bytes] | dict[str, Any]

__all__ = (
    "EmbeddingEngine",
    "EmbeddingRequest",
    "ImageEngine",
    "ImageRequest",
    "ModerationEngine",
    "ModerationRequest",
    "Shot",
    "SpeechEngine",
    "SpeechRequest",
    "TranscriptionEngine",
    "TranscriptionRequest",
    "Vectors",
    "VideoEngine",
    "VideoRequest",
)


@dataclass(slots=True)
class EmbeddingRequest:
    """Texts to be turned into vectors."""

    model: str
    inputs: Sequence[str]
    """The texts. An input that came as tokens is here decoded."""
    dimensions: int | None = None
    """Length of the vectors that was asked for; `None`: the model's own."""
    body: Mapping[str, Any] = field(default_factory=dict[str, Any])
    headers: Headers | None = None
    """Those of the caller's request; `None` where none is there, such as in a run in the background."""


@dataclass(slots=True)
class ImageRequest:
    """Images to be made. What the caller left open is filled in by the server with the model's defaults."""

    model: str
    prompt: str
    kind: Literal["generate", "edit", "variation"] = "generate"
    n: int = 1
    width: int = 1024
    """Pixels."""
    height: int = 1024
    """Pixels."""
    format: Literal["png", "jpeg", "webp", "gif", "svg"] = "png"
    """The frames of a `gif` are told in the body: `frame_count` and `frame_duration_ms`."""
    compression: int | None = None
    """Quality of a `jpeg` or `webp`, 0 to 100."""
    transparent: bool = False
    images: Sequence[UploadedFile] = ()
    """The pictures to be edited or varied."""
    mask: UploadedFile | None = None
    whole: bool = False
    """Whether the engine may give the whole body of the answer in place of the files."""
    body: Mapping[str, Any] = field(default_factory=dict[str, Any])
    headers: Headers | None = None
    """Those of the caller's request; `None` where none is there, such as in a run in the background."""


@dataclass(slots=True)
class ModerationRequest:
    """Something to be judged: one input, of texts and pictures."""

    model: str
    text: str
    """The texts of the input, joined with line breaks."""
    images: Sequence[str] = ()
    """Addresses of the pictures of the input, `data:` ones among them."""
    body: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(slots=True)
class SpeechRequest:
    """A text to be spoken."""

    model: str
    input: str
    voice: str
    """The name of a voice, or the id of one that was made."""
    instructions: str = ""
    speed: float = 1.0
    """0.25 to 4."""
    body: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(slots=True)
class TranscriptionRequest:
    """A recording to be written down."""

    model: str
    audio: bytes
    """The file as it was sent, in whatever format."""
    filename: str
    seconds: float
    """How long it lasts."""
    language: str | None = None
    """An ISO 639-1 code, where the caller says which language is spoken."""
    prompt: str = ""
    translate: bool = False
    """Whether it is to be written in English, whatever is spoken."""
    body: Mapping[str, Any] = field(default_factory=dict[str, Any])
    spoken: str | None = None
    """What is said, where this server has spoken it itself: asked are then only engines that say `asked_anyway`."""


class Shot(NamedTuple):
    """A part of a video: what it shows for how long."""

    seconds: int
    prompts: tuple[str, ...]
    """What it was made of, and then what it was remixed or edited with."""


@dataclass(slots=True)
class VideoRequest:
    """A video to be shown: asked for not when it is made, but when its content is."""

    model: str
    prompt: str
    """What the video was last made, remixed, edited or extended with."""
    seconds: int = 4
    """Of the whole, also where it was extended."""
    width: int = 720
    """Pixels, an even number."""
    height: int = 1280
    """Pixels, an even number."""
    variant: Literal["video", "thumbnail", "spritesheet"] = "video"
    """Whether an MP4 is asked for, a picture from it, or a sheet of such pictures."""
    id: str = ""
    shots: Sequence[Shot] = ()
    """Its parts: one, and another for each time it was extended."""
    reference: bytes | None = None
    """The picture that it was to begin with."""
    body: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """What the video says of itself (`model`, `prompt`, `seconds`, `size`, `id`), and the `variant`."""
    headers: Headers | None = None
    """Those of the caller's request."""


class Vectors(list[Sequence[float]]):
    """Vectors of an engine that knows how many tokens it has read."""

    def __init__(self, vectors: Iterable[Sequence[float]], tokens: int) -> None:
        super().__init__(vectors)
        self.tokens = tokens


class EmbeddingEngine(Protocol):
    """Gives a vector for each input, in order; as `Vectors` where it knows what they cost, or a whole body."""

    def __call__(self, request: EmbeddingRequest, /) -> Embedded | Flow[Embedded]: ...


class ImageEngine(Protocol):
    """Gives `n` encoded image files of the asked format and size; or, where it is `whole`, the body to answer with."""

    def __call__(self, request: ImageRequest, /) -> Drawn | Flow[Drawn]: ...


class ModerationEngine(Protocol):
    """Gives a score from 0 to 1 for each category it has something to say of; the others score next to nothing."""

    def __call__(self, request: ModerationRequest, /) -> Mapping[str, float] | Flow[Mapping[str, float]]: ...


class SpeechEngine(Protocol):
    """Speaks. Gives a sound, which the server writes in the format that was asked for, or a file, sent as it is."""

    def __call__(self, request: SpeechRequest, /) -> Sound | bytes | Flow[Sound | bytes]: ...


class TranscriptionEngine(Protocol):
    """Writes down what is said in a recording."""

    def __call__(self, request: TranscriptionRequest, /) -> str | Flow[str]: ...


class VideoEngine(Protocol):
    """Gives the file that is asked for: an MP4, or where the variant is another, a picture."""

    def __call__(self, request: VideoRequest, /) -> bytes | Flow[bytes]: ...
