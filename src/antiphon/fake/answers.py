"""What a rule answers, and whom: a text to a conversation, a vector to a request for embeddings, an error to anybody.

A *family* is what is asked in one way: conversations, embeddings, images, speech, transcriptions, moderations,
the content of videos, and all the rest of the API, which reaches no engine. An answer is made once for each family it
fits.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from inspect import Parameter, isawaitable, iscoroutinefunction, signature
from pathlib import Path
from types import GeneratorType
from typing import TYPE_CHECKING, Any, ClassVar, Final, NamedTuple, NoReturn

from ..engines.functions import Saying
from ..engines.functions import engine as made
from ..engines.moderation import CATEGORIES, scores
from ..kernel.errors import (
    APIStatusError,
    AuthenticationError,
    BadRequestError,
    ConflictError,
    InternalServerError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    UnprocessableEntityError,
)
from ..kernel.flow import Await, Call
from ..kernel.http import Headers, Response
from ..server.turns import PIECES, Refusal

if TYPE_CHECKING:
    from ..kernel.flow import Flow
    from ..server.engine import EmbeddingRequest, ImageRequest, VideoRequest
    from . import FakeOpenAI
    from .asked import Asked
    from .rules import Rule

__all__ = (
    "CONVERSATIONS",
    "FAMILIES",
    "MOST_TIMES",
    "OTHERS",
    "Answer",
    "State",
    "failure",
    "family_of",
    "refusal",
    "reply",
    "tools",
)

CONVERSATIONS: Final = "conversations"
OTHERS: Final = "other operations"
"""What reaches no engine."""

MOST_TIMES: Final = 10_000
"""How often an answer is given at most before the next. The last is given again and again."""

ERRORS: Final[dict[int, type[APIStatusError]]] = {
    each.status: each
    for each in (
        BadRequestError,
        AuthenticationError,
        PermissionDeniedError,
        NotFoundError,
        ConflictError,
        UnprocessableEntityError,
        RateLimitError,
    )
}

REFUSED: Final = "I'm sorry, but I can't help with that."
"""The words of a refusal that has none of its own."""

_MESSAGES: Final = {
    401: "Incorrect API key provided.",
    429: "Rate limit reached for requests.",
    500: "The server had an error while processing your request. Sorry about that!",
    503: "The engine is currently overloaded, please try again later.",
}


class State:
    """What a function that answers sees beside the request, as its second parameter."""

    __slots__ = ("asked", "call", "fake", "memory", "rule")

    def __init__(self, fake: FakeOpenAI, rule: Rule, asked: Asked, call: int, memory: dict[str, Any]) -> None:
        self.fake = fake
        """The fake that answers, with its clock, journal, server and store."""
        self.rule = rule
        self.asked = asked
        """What is asked, with its headers."""
        self.call = call
        """How many requests the rule has answered, this one among them."""
        self.memory = memory
        """Whatever functions of this fake keep between requests, until `reset`."""


class Stateful:
    """A function of a request and a state, on its way to be an engine."""

    __slots__ = ("function", "make")

    def __init__(self, function: Callable[..., Any], make: Callable[[Callable[[Any], Any]], Any]) -> None:
        self.function = function
        self.make = make

    def bound(self, state: State) -> Any:
        """The engine that asks the function with this state."""
        function = self.function
        return self.make(lambda request: function(request, state))


def _takes_state(function: Any) -> bool:
    try:
        parameters = signature(function).parameters.values()
    except (TypeError, ValueError):  # some functions written in C
        return False
    plain = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
    return len([each for each in parameters if each.kind in plain and each.default is Parameter.empty]) > 1


def _is_function(value: Any) -> bool:
    return callable(value) and not isinstance(value, PIECES) and not hasattr(value, "to_dict")


def _file(value: Any) -> bytes:
    """The bytes that were given, or those of the file whose path was."""
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    try:
        return Path(value).read_bytes()
    except OSError as error:
        raise ValueError(f"the file {str(value)!r} cannot be read: {error.strerror or error}") from None


# An answer to each family


class _Given:
    """A function as an engine of a family: what it gives is read as an answer of the family's."""

    never_blocks: ClassVar[bool] = True

    def __init__(self, function: Callable[[Any], Any], fixed: Callable[[Any, bool], Any]) -> None:
        self.function = function
        self._fixed = fixed
        self._in_thread = not iscoroutinefunction(function)

    def __call__(self, request: Any) -> Flow[Any]:
        found = (yield Call(self.function, request)) if self._in_thread else self.function(request)
        if isawaitable(found):
            found = yield Await(found)
        if isinstance(found, Iterator):
            found = yield Call(list, found)
        answer: Any = self._fixed(found, True)(request)
        return (yield from answer) if isinstance(answer, GeneratorType) else answer

    def __repr__(self) -> str:
        return f"{type(self).__name__[1:]}({getattr(self.function, '__name__', self.function)!r})"


class _Fixed:
    """An engine that gives one thing, fitted to the request."""

    never_blocks: ClassVar[bool] = True

    def __init__(self, give: Callable[[Any], Any]) -> None:
        self.give = give

    def __call__(self, request: Any) -> Any:
        return self.give(request)


def _conversation(value: Any, pinned: bool) -> Any:
    if _is_function(value):
        return Stateful(value, made) if _takes_state(value) else made(value)
    if isinstance(value, Awaitable):
        raise TypeError("an answer that is awaited is an async function, and not what it gives")
    if isinstance(value, (tuple, Iterator)) and not isinstance(value, PIECES):
        value = list(value)
    return Saying(value)


def _is_vector(value: Any) -> bool:
    return (
        isinstance(value, Sequence)
        and not isinstance(value, (str, bytes))
        and bool(value)
        and all(isinstance(each, (int, float)) and not isinstance(each, bool) for each in value)
    )


def _vectors(value: Any, pinned: bool) -> Any:
    if hasattr(value, "tolist"):  # numpy's
        value = value.tolist()
    if hasattr(value, "to_dict"):
        value = value.to_dict()
    if isinstance(value, Mapping) and isinstance(value.get("data"), list):
        value = [each["embedding"] for each in value["data"]]
    several: list[Any] = [value] if _is_vector(value) else list(value) if isinstance(value, Sequence) else []
    several = [each.tolist() if hasattr(each, "tolist") else each for each in several]
    if isinstance(value, str) or not several or not all(map(_is_vector, several)):
        raise TypeError(f"embeddings are answered with a vector, a list of them or a function, not {value!r}")
    vectors = [[float(each) for each in vector] for vector in several]

    def give(request: EmbeddingRequest) -> list[list[float]]:
        from ..engines.embeddings import shortened

        return [
            list(shortened(vectors[place % len(vectors)], request.dimensions)) for place in range(len(request.inputs))
        ]

    return _Fixed(give)


_PICTURES: Final = (b"\x89PNG", b"\xff\xd8\xff", b"RIFF", b"GIF8", b"<svg", b"<?xml")


def _images(value: Any, pinned: bool) -> Any:
    several: list[Any] = list(value) if isinstance(value, (list, tuple)) else [value]
    if isinstance(value, Mapping) and isinstance(value.get("data"), list):
        from base64 import b64decode

        if not all(each.get("b64_json") for each in value["data"]):
            raise TypeError("of a body of images its pictures are answered: each needs its `b64_json`")
        several = [b64decode(each["b64_json"]) for each in value["data"]]
    if not several:
        raise TypeError("images are answered with at least one picture")
    files: list[Any] = []
    for each in several:
        drawn = hasattr(each, "save") and hasattr(each, "size")  # pillow's
        named = isinstance(each, Path) or (pinned and isinstance(each, str))
        if not drawn and not named and not isinstance(each, (bytes, bytearray)):
            raise TypeError(f"images are answered with bytes, the path of a file or an image of pillow's, not {each!r}")
        files.append(each if drawn else _file(each))
        if not pinned and not drawn and not files[-1].lstrip().startswith(_PICTURES):
            raise TypeError("these bytes are no picture; say operation='images.generate' if they are to be one")
        if not pinned and not drawn and files[-1][8:12] == b"WAVE":
            raise TypeError("these bytes are a sound, no picture")

    def give(request: ImageRequest) -> list[bytes]:
        from ..server.pictures import encoded

        chosen = [files[place % len(files)] for place in range(request.n)]
        return [
            each if isinstance(each, bytes) else encoded([each], request.format, request.compression) for each in chosen
        ]

    return _Fixed(give)


def _speech(value: Any, pinned: bool) -> Any:
    from ..server.sounds import Sound

    if isinstance(value, Sound):
        return _Fixed(lambda request: value)
    named = isinstance(value, Path) or (pinned and isinstance(value, str))
    if not named and not isinstance(value, (bytes, bytearray)):
        raise TypeError(f"speech is answered with the bytes of a sound, the path of a file or a Sound, not {value!r}")
    data = _file(value)
    if not pinned and data.lstrip().startswith(_PICTURES) and data[8:12] != b"WAVE":
        raise TypeError("these bytes are a picture, no sound")
    return _Fixed(lambda request: data)


def _transcription(value: Any, pinned: bool) -> Any:
    if hasattr(value, "to_dict"):
        value = value.to_dict()
    if isinstance(value, Mapping):
        value = value.get("text")
    if not isinstance(value, str) or not pinned:
        raise TypeError(f"transcriptions are answered with a text or a function, not {value!r}")
    return _Fixed(lambda request: value)


def _video(value: Any, pinned: bool) -> Any:
    """The file of a video. A picture is its thumbnail and its sheet; for those of a video there are drawn ones."""
    named = isinstance(value, Path) or (pinned and isinstance(value, str))
    if not named and not isinstance(value, (bytes, bytearray)):
        raise TypeError(f"videos are answered with the bytes of a file or its path, not {value!r}")
    data = _file(value)
    pictured = data.lstrip().startswith(_PICTURES)
    if not pinned and data[4:8] != b"ftyp":
        raise TypeError("these bytes are no MP4; say operation='videos.download_content' if they are to be a video")

    def give(request: VideoRequest) -> Any:
        if pictured or request.variant == "video":
            return data
        from ..engines.videos import DrawnVideos

        return DrawnVideos()(request)

    return _Fixed(give)


def _scores(value: Any, pinned: bool) -> Any:
    fits = isinstance(value, Mapping) and bool(value) and all(each in CATEGORIES for each in value)
    if not pinned and not fits:
        raise TypeError(f"moderations are answered with scores by category, not {value!r}")
    if not isinstance(value, (bool, str, Mapping, list, tuple, set, frozenset)):
        raise TypeError(
            "moderations are answered with scores by category, the names of those that are flagged, or True or False, "
            f"not {value!r}"
        )
    found = scores(value)
    return _Fixed(lambda request: found)


def _plain(value: Any) -> Any:
    if hasattr(value, "to_dict"):
        return value.to_dict()
    raise TypeError(f"{type(value).__name__} is not JSON")


def _response(value: Any, pinned: bool) -> Any:
    """An answer without an engine: JSON, bytes or a file as they are."""
    import orjson

    if isinstance(value, Response):
        return _Fixed(lambda request: value)
    if isinstance(value, Path):
        from mimetypes import guess_type

        data, kind = _file(value), guess_type(value.name)[0] or "application/octet-stream"
    elif isinstance(value, (bytes, bytearray)):
        data, kind = bytes(value), "application/octet-stream"
    elif isinstance(value, str):
        data, kind = value.encode(), "text/plain; charset=utf-8"
    else:
        try:
            data, kind = orjson.dumps(value, default=_plain), "application/json"
        except TypeError:
            raise TypeError(
                f"an operation is answered with JSON, an object, bytes or the path of a file, not {value!r}"
            ) from None
    answer = Response(200, Headers.of([("content-type", kind)]), data)
    return _Fixed(lambda request: answer)


class Family(NamedTuple):
    """Operations that are asked in one way."""

    operations: tuple[str, ...]
    fixed: Callable[[Any, bool], Any]
    """The engine that gives a value, the second argument saying whether the rule names an operation or a model.

    Raises `TypeError` or `ValueError` for what does not fit.
    """


FAMILIES: Final[dict[str, Family]] = {
    CONVERSATIONS: Family(
        ("chat.completions.create", "completions.create", "responses.create", "beta.threads.runs.create"),
        _conversation,
    ),
    "embeddings": Family(("embeddings.create",), _vectors),
    "images": Family(("images.generate", "images.edit", "images.create_variation"), _images),
    "speech": Family(("audio.speech.create",), _speech),
    "transcriptions": Family(("audio.transcriptions.create", "audio.translations.create"), _transcription),
    "moderations": Family(("moderations.create",), _scores),
    "videos": Family(("videos.download_content",), _video),
    OTHERS: Family((), _response),
}
"""Every family by name."""

_FAMILY_OF: Final = {operation: name for name, family in FAMILIES.items() for operation in family.operations}


def family_of(operation: str) -> str:
    """The family of an operation."""
    return _FAMILY_OF.get(operation, OTHERS)


def _engine(family: str, value: Any, pinned: bool) -> Any:
    fixed = FAMILIES[family].fixed
    if family == CONVERSATIONS or not _is_function(value):
        return fixed(value, pinned)
    if not pinned:
        raise TypeError("functions answer conversations, unless the rule names an operation or a model")

    def given(function: Callable[[Any], Any]) -> _Given:
        return _Given(function, fixed)

    return Stateful(value, given) if _takes_state(value) else given(value)


# Answers


class Answer(NamedTuple):
    """One answer of a rule."""

    engines: Mapping[str, Any]
    """What gives it, for each family it fits."""
    told: str
    """What it is, in a few words."""
    calls_tool: bool = False
    fails: bool = False
    said: tuple[str | None, tuple[str, ...]] | None = None
    """The text it says and the tools it calls, where that is known beforehand."""


def reply(value: Any, families: Iterable[str], pinned: bool) -> Answer:
    """The answer that a value is. Raises `TypeError` or `ValueError` for one that fits none of the families."""
    engines: dict[str, Any] = {}
    first: Exception | None = None
    for family in families:
        if family == OTHERS and engines:
            break  # a pattern such as `responses.*`: what fits its conversations is meant for them
        try:
            engines[family] = _engine(family, value, pinned)
        except (TypeError, ValueError) as error:
            first = first or error
    if not engines and first is not None:
        raise first
    told = repr(value)
    return Answer(engines, f"reply({told if len(told) <= 60 else told[:59] + '…'})", said=_said(value))


def _said(value: Any) -> tuple[str | None, tuple[str, ...]] | None:
    if isinstance(value, str) and not isinstance(value, PIECES):
        return value, ()
    if isinstance(value, (list, tuple)) and value and all(type(each) is str for each in value):
        return "".join(value), ()
    return None


_FIELDS: Final = ("text", "model", "system", "tool_result", "turn")


def template(text: str, families: Iterable[str], pinned: bool, pattern: re.Pattern[str] | None) -> Answer:
    """A text in which `{text}`, `{model}`, `{system}`, `{tool_result}`, `{turn}` and groups of `pattern` are filled in.

    Raises `ValueError` for another name in it.
    """
    from string import Formatter

    groups = {} if pattern is None else pattern.groupindex
    try:
        fields = [name for _, name, _, _ in Formatter().parse(text) if name is not None]
    except ValueError as error:
        raise ValueError(f"{text!r} is no template: {error} (braces that are meant are doubled)") from None
    for name in fields:
        place = int(name) if name.isdigit() else None
        if name not in _FIELDS and name not in groups and (place is None or pattern is None or place > pattern.groups):
            known = ", ".join(f"{{{each}}}" for each in (*_FIELDS, *groups))
            raise ValueError(
                f"there is no {{{name}}} in templates; there are {known} (braces that are meant are doubled)"
            )

    def filled(request: Any, state: State) -> str:
        asked = state.asked
        found = pattern.search(asked.text) if pattern is not None else None
        named = {name: getattr(asked, name) or "" for name in _FIELDS}
        if found is not None:
            named |= {name: each or "" for name, each in found.groupdict().items()}
        numbered = [] if found is None else [found.group(), *(each or "" for each in found.groups())]
        return text.format(*numbered, **named)

    meant = [name for name in families if name == CONVERSATIONS or (pinned and name == "transcriptions")]
    if not meant:
        raise TypeError("templates are for what is answered with a text: conversations and transcriptions")
    return reply(filled, meant, True)._replace(told=f"template({text!r})")


def tools(calls: Sequence[tuple[str, Mapping[str, Any] | str]], families: Iterable[str]) -> Answer:
    """Calls of functions, at once where there are several. Raises `TypeError` for what cannot be one."""
    import orjson

    if not calls:
        raise TypeError("call_tools needs a call: a name and its arguments")
    if CONVERSATIONS not in families:
        raise TypeError("tools are called in conversations, which this rule's operation is not")
    made: list[dict[str, Any]] = []
    given: Sequence[Any] = calls
    for each in given:
        name, arguments = each if isinstance(each, (tuple, list)) and len(each) == 2 else (each, {})
        if not isinstance(name, str) or not isinstance(arguments, (Mapping, str)):
            raise TypeError(f"a call of a tool is a name and its arguments, not {each!r}")
        text = arguments if isinstance(arguments, str) else orjson.dumps(arguments).decode()
        made.append({"name": name, "arguments": text})
    names = tuple(each["name"] for each in made)
    engine = Saying(made[0] if len(made) == 1 else made)
    return Answer({CONVERSATIONS: engine}, f"call_tool({', '.join(names)})", calls_tool=True, said=(None, names))


def refusal(text: str, families: Iterable[str], pinned: bool) -> Answer:
    """A refusal: the model's in a conversation, the API's elsewhere.

    Unless the rule says what it is for, that is pictures, since it is not said whether what else there is is refused.
    """

    def refused(request: Any) -> NoReturn:
        raise BadRequestError.because(text, code="moderation_blocked", type="invalid_request_error")

    engines: dict[str, Any] = {
        name: Saying([Refusal(text)]) if name == CONVERSATIONS else refused
        for name in families
        if pinned or name in (CONVERSATIONS, "images")
    }
    return Answer(engines, f"refuse({text!r})", said=(text, ()))


def failure(
    families: Iterable[str],
    status: int,
    *,
    message: str | None = None,
    code: str | None = None,
    type: str | None = None,
    param: str | None = None,
    retry_after: float | None = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """An error of the API. Raises `ValueError` for no error's status."""
    raised = error(status, message=message, code=code, type=type, param=param, retry_after=retry_after, headers=headers)

    def failing(request: Any) -> NoReturn:
        raise raised()

    return Answer(dict.fromkeys(families, failing), f"fail({status})", fails=True)


def error(
    status: int,
    *,
    message: str | None = None,
    code: str | None = None,
    type: str | None = None,
    param: str | None = None,
    retry_after: float | None = None,
    headers: Mapping[str, str] | None = None,
) -> Callable[[], APIStatusError]:
    """What makes an error of the API. Raises `ValueError` for no error's status, `TypeError` for what is no text."""
    if status.__class__ is not int or not 400 <= status <= 599:
        raise ValueError(f"the status of an error is a number from 400 to 599, not {status!r}")
    texts: dict[str, Any] = {"message": message, "code": code, "type": type, "param": param}
    seconds: Any = retry_after
    pairs: Any = headers
    for name, value in texts.items():
        if value is not None and not isinstance(value, str):
            raise TypeError(f"{name} of an error is a text, not {value!r}")
    if seconds is not None and (isinstance(seconds, bool) or not isinstance(seconds, (int, float))):
        raise TypeError(f"retry_after is a number of seconds, not {seconds!r}")
    if pairs is not None and not isinstance(pairs, Mapping):
        raise TypeError(f"headers of an error are a mapping of names to values, not {pairs!r}")
    kind = ERRORS.get(status, InternalServerError if status >= 500 else APIStatusError)
    told = {str(name): str(value) for name, value in (headers or {}).items()}
    if retry_after is not None:
        told["retry-after"] = f"{retry_after:g}"
    said = message or _MESSAGES.get(status, f"The request was answered with status {status}.")
    return lambda: kind.because(said, code=code, type=type, param=param, status=status, headers=told)
