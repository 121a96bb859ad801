"""What a server asks of a model, and how it finds the model's engine by name.

An engine is a callable: `ChatEngine` answers a `ChatRequest` with a turn, `EmbeddingEngine` an
`EmbeddingRequest` with vectors, `ImageEngine` an `ImageRequest` with image files, `ModerationEngine` a
`ModerationRequest` with scores, `SpeechEngine` a `SpeechRequest` with a sound, `TranscriptionEngine` a
`TranscriptionRequest` with a text, `VideoEngine` a `VideoRequest` with a file. None of them may sleep or block:
what takes time is a step (`Pause`, `Await`, `Call`, `Send`) yielded from the turn or the flow.
`antiphon.engines.engine` makes engines of functions that do block.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Generic, Literal, NamedTuple, Protocol, TypeAlias, TypeVar
from zlib import crc32

from ..kernel.errors import NotFoundError
from ..kernel.lazy import lazily

if TYPE_CHECKING:
    from ..kernel.http import Headers
    from .requests import (
        EmbeddingEngine,
        EmbeddingRequest,
        ImageEngine,
        ImageRequest,
        ModerationEngine,
        ModerationRequest,
        Shot,
        SpeechEngine,
        SpeechRequest,
        TranscriptionEngine,
        TranscriptionRequest,
        Vectors,
        VideoEngine,
        VideoRequest,
    )
    from .turns import Turn

__all__ = (
    "AUTO",
    "TEXT",
    "ChatEngine",
    "ChatRequest",
    "EmbeddingEngine",
    "EmbeddingRequest",
    "Engines",
    "ImageEngine",
    "ImageRequest",
    "Message",
    "ModerationEngine",
    "ModerationRequest",
    "ResponseFormat",
    "Shot",
    "SpeechEngine",
    "SpeechRequest",
    "Tool",
    "ToolChoice",
    "TranscriptionEngine",
    "TranscriptionRequest",
    "Vectors",
    "VideoEngine",
    "VideoRequest",
    "model_not_found",
    "text_of",
)

E = TypeVar("E", bound=Callable[..., Any])

Message: TypeAlias = Mapping[str, Any]
"""One message, in the shape of the `messages` of `POST /chat/completions`, whichever endpoint was called."""


class Tool(NamedTuple):
    """A tool the model may call."""

    name: str
    description: str = ""
    parameters: Mapping[str, Any] | None = None
    """JSON Schema of a function's arguments; `None` where it has none."""
    strict: bool = False
    custom: bool = False
    """Whether the tool takes text and not JSON."""
    grammar: Mapping[str, Any] | None = None
    """`{"syntax": "lark" | "regex", "definition": …}` of a custom tool whose input is bound to one."""


class ToolChoice(NamedTuple):
    """Whether tools may or must be called, and which. Naming one tool is `required` with one name."""

    mode: Literal["none", "auto", "required"] = "auto"
    names: tuple[str, ...] | None = None
    """The tools that may be called; `None`: any."""


class ResponseFormat(NamedTuple):
    """What the text has to be."""

    kind: Literal["text", "json_object", "json_schema"] = "text"
    schema: Mapping[str, Any] | None = None
    name: str | None = None
    strict: bool = False


AUTO = ToolChoice()
TEXT = ResponseFormat()


@dataclass(slots=True)
class ChatRequest:
    """One question to a model: a conversation so far and how to continue it."""

    model: str
    messages: Sequence[Message]
    body: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """The request's body as it came, in its own dialect."""
    dialect: str = "chat"
    """Which endpoint was called: `chat`, `completions`, `responses` …"""
    choice: int = 0
    """Which of the `n` answers is asked for. The engine is called once for each."""
    tools: Sequence[Tool] = ()
    hosted_tools: Sequence[Mapping[str, Any]] = ()
    """Tools that are no functions, as they came: web search, file search, MCP servers, a shell …"""
    items: Sequence[Mapping[str, Any]] = ()
    """The conversation as items, where Responses were asked: `messages` leaves out what tools left."""
    tool_choice: ToolChoice = AUTO
    parallel_tool_calls: bool = True
    response_format: ResponseFormat = TEXT
    max_tokens: int | None = None
    """Most tokens to answer with. The server cuts what goes beyond, so an engine may pass this over."""
    stop: Sequence[str] = ()
    """Strings that end the answer. The server cuts there, so an engine may pass this over."""
    seed: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    reasoning_effort: str | None = None
    modalities: Sequence[str] = ("text",)
    stream: bool = False
    headers: Headers | None = None
    """Those of the caller's request; `None` where none is there, such as in a run in the background."""
    job: str = ""
    """The id of what the server left for later, a Response in the background or a run, and begins with now."""

    @property
    def instructions(self) -> str:
        """What the system and developer messages say, joined with blank lines."""
        return "\n\n".join(text_of(m) for m in self.messages if m.get("role") in ("system", "developer"))

    @property
    def user_text(self) -> str:
        """What the last user message says; empty where there is none."""
        for message in reversed(self.messages):
            if message.get("role") == "user":
                return text_of(message)
        return ""

    @property
    def dice(self) -> int:
        """A number below 2**32 that follows from the messages, the seed and the choice, and from nothing else.

        What an engine makes up from it is the same whenever the same is asked, streamed or not.
        """
        import orjson

        return crc32(b"%d %d" % (self.seed or 0, self.choice), crc32(orjson.dumps(self.messages)))

    @property
    def answers_tool(self) -> bool:
        """Whether results of tools have come back since the user spoke last."""
        for message in reversed(self.messages):
            role = message.get("role")
            if role in ("tool", "function"):
                return True
            if role == "user":
                return False
        return False

    @property
    def callable_tools(self) -> list[Tool]:
        """The tools that the tool choice allows."""
        mode, names = self.tool_choice
        if mode == "none":
            return []
        return [tool for tool in self.tools if names is None or tool.name in names]


def text_of(message: Message) -> str:
    """The text of a message: its content, or its text parts joined; images and the like are passed over."""
    content: Any = message.get("content")
    if isinstance(content, str):
        return content
    if not content:
        return ""
    texts = (part if isinstance(part, str) else part.get("text") or part.get("refusal") for part in content)
    return "".join(text for text in texts if isinstance(text, str))


class ChatEngine(Protocol):
    """Answers a conversation. Raise an `APIStatusError.because(...)` to answer with an error.

    One that can give several answers at once has `turns(request, n)` too, which gives the turn of each choice.
    """

    def __call__(self, request: ChatRequest, /) -> Turn: ...


def model_not_found(model: str) -> NotFoundError:
    """The error for a model that this server does not have."""
    return NotFoundError.because(
        f"The model `{model}` does not exist or you do not have access to it.", code="model_not_found"
    )


class _Table(Generic[E]):
    """Engines by model name: the exact name first, then the pattern with most literal characters."""

    __slots__ = ("exact", "found", "patterns")

    def __init__(self, engines: Mapping[str, E] | E | None) -> None:
        named: Mapping[str, E] = {} if engines is None else engines if isinstance(engines, Mapping) else {"*": engines}
        self.exact = {name: engine for name, engine in named.items() if not _is_pattern(name)}
        patterns = [(name, engine) for name, engine in named.items() if _is_pattern(name)]
        self.patterns = sorted(patterns, key=lambda item: -sum(c not in "*?[]" for c in item[0]))
        self.found: dict[str, E] = dict(self.exact)

    def choose(self, model: str) -> E:
        engine = self.found.get(model)
        if engine is None:
            engine = next((e for pattern, e in self.patterns if fnmatchcase(model, pattern)), None)
            if engine is None:
                raise model_not_found(model)
            if len(self.found) < 1000:  # names come from callers: remember some, not all
                self.found[model] = engine
        return engine


def _is_pattern(name: str) -> bool:
    return any(c in "*?[" for c in name)


class Engines:
    """The engines of a server, chosen per model name.

    Each argument is one engine for every model, or a mapping from model names to engines. A key of the
    mapping is an exact name or a pattern (`gpt-4o*`, `ft:*`; `*` is the default for any other name).
    With `models`, only these names (or patterns) exist, whatever the mappings say. `bounded` says that engines keep to
    `max_tokens` and `stop` themselves, so that the server cuts nothing.
    A name without an engine is a 404 `model_not_found`.
    """

    def __init__(
        self,
        chat: Mapping[str, ChatEngine] | ChatEngine | None = None,
        embeddings: Mapping[str, EmbeddingEngine] | EmbeddingEngine | None = None,
        images: Mapping[str, ImageEngine] | ImageEngine | None = None,
        moderations: Mapping[str, ModerationEngine] | ModerationEngine | None = None,
        speech: Mapping[str, SpeechEngine] | SpeechEngine | None = None,
        transcriptions: Mapping[str, TranscriptionEngine] | TranscriptionEngine | None = None,
        videos: Mapping[str, VideoEngine] | VideoEngine | None = None,
        *,
        models: Collection[str] | None = None,
        bounded: bool = False,
    ) -> None:
        self._chat: _Table[ChatEngine] = _Table(chat)
        self._embeddings: _Table[EmbeddingEngine] = _Table(embeddings)
        self._images: _Table[ImageEngine] = _Table(images)
        self._moderations: _Table[ModerationEngine] = _Table(moderations)
        self._speech: _Table[SpeechEngine] = _Table(speech)
        self._transcriptions: _Table[TranscriptionEngine] = _Table(transcriptions)
        self._videos: _Table[VideoEngine] = _Table(videos)
        self.models = None if models is None else tuple(models)
        self.bounded = bounded

    def chat(self, model: str) -> ChatEngine:
        """The engine that speaks for `model`. Raises `NotFoundError` when there is none."""
        if self.models is not None:
            self._check(model)
        return self._chat.choose(model)

    def embeddings(self, model: str) -> EmbeddingEngine:
        """The engine that embeds for `model`. Raises `NotFoundError` when there is none."""
        if self.models is not None:
            self._check(model)
        return self._embeddings.choose(model)

    def images(self, model: str) -> ImageEngine:
        """The engine that draws for `model`. Raises `NotFoundError` when there is none."""
        if self.models is not None:
            self._check(model)
        return self._images.choose(model)

    def moderations(self, model: str) -> ModerationEngine:
        """The engine that judges for `model`. Raises `NotFoundError` when there is none."""
        if self.models is not None:
            self._check(model)
        return self._moderations.choose(model)

    def speech(self, model: str) -> SpeechEngine:
        """The engine that speaks aloud for `model`. Raises `NotFoundError` when there is none."""
        if self.models is not None:
            self._check(model)
        return self._speech.choose(model)

    def transcriptions(self, model: str) -> TranscriptionEngine:
        """The engine that listens for `model`. Raises `NotFoundError` when there is none."""
        if self.models is not None:
            self._check(model)
        return self._transcriptions.choose(model)

    def videos(self, model: str) -> VideoEngine:
        """The engine that films for `model`. Raises `NotFoundError` when there is none."""
        if self.models is not None:
            self._check(model)
        return self._videos.choose(model)

    @property
    def names(self) -> list[str]:
        """Every model name that is known exactly, for lists of models."""
        allowed = [] if self.models is None else [name for name in self.models if not _is_pattern(name)]
        tables = (
            self._chat,
            self._embeddings,
            self._images,
            self._moderations,
            self._speech,
            self._transcriptions,
            self._videos,
        )
        return list(dict.fromkeys([*allowed, *(name for table in tables for name in table.exact)]))

    def _check(self, model: str) -> None:
        assert self.models is not None
        if model not in self.models and not any(fnmatchcase(model, name) for name in self.models if _is_pattern(name)):
            raise model_not_found(model)


if not TYPE_CHECKING:
    __getattr__, __dir__ = lazily(__name__, {name: ".requests" for name in __all__ if name not in globals()})
