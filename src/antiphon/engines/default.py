"""The engine that answers whatever is asked in the form it is asked for.

What it does with a request, in this order:

1. The user's last message contains `refuse_when` ("please refuse"): it declines, in a `refusal`.
2. Tools may be called, and no result of one has come back since the user spoke (or `tool_choice` demands a
   call): it calls the tools that the last user message mentions by name, in the order of their mention; where it
   mentions none, the one whose name and description share most words with it, the first of them on a tie. With
   `parallel_tool_calls` off, or a tool named by `tool_choice`, it makes one call. Arguments are valid for the
   tool's schema. `calls=2` makes at least two calls wherever several are allowed. Tools that are no functions (see
   `hosted`) are used where the message names them; of several, functions among them, in the order of their mention.
   Where it names none and no function is offered, a web or file search is made.
3. The response format is JSON: an object that is valid for the schema. Without one it is valid for a JSON Schema that
   the messages have in their words, as libraries write it there.
4. Speech is among the modalities: a tone, with a transcript.
5. Otherwise text, by the engine in `text` (filler text by default); after it a citation where a web search was
   asked for.

A reasoning effort puts reasoning before any of 2 to 5, longer for more effort.
The same conversation, seed and choice have the same answer.
"""

from __future__ import annotations

import re
from json import JSONDecoder
from random import Random
from typing import TYPE_CHECKING, Any, ClassVar, Final

from ..kernel.errors import BadRequestError
from ..kernel.flow import through
from ..server.engine import Tool, text_of
from ..server.turns import Audio, Citation, FileCitation, Reasoning, Refusal, ToolArguments, ToolCall
from .text import LoremIpsum, filler

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping, Sequence

    from ..server.engine import ChatEngine, ChatRequest
    from ..server.turns import Piece, Turn
    from .hosted import Use

__all__ = ("Default",)

_REASONING_WORDS: Final = {"low": 24, "medium": 64, "high": 160, "xhigh": 320, "max": 640}
"""Words of reasoning for an effort; other efforts have none."""

_ATTEMPTS: Final = 100
"""At so many braces of a message a schema may begin."""

_WORD: Final = re.compile(r"[^\W_]+")
_COMMON: Final = frozenset(
    _WORD.findall("a an and are at by for from get has how i in is it me my of on or please the to what with you")
)


class Default:
    """Calls tools, fills schemas, declines, speaks, and otherwise answers with text. See the module's page."""

    never_blocks: ClassVar[bool] = True

    def __init__(
        self,
        text: ChatEngine | None = None,
        *,
        seed: int | str = 0,
        refuse_when: str = "please refuse",
        refusal: str = "I'm sorry, but I can't help with that request.",
        calls: int = 1,
        optional: float = 1.0,
    ) -> None:
        told: Any = optional
        if isinstance(told, bool) or not isinstance(told, (int, float)) or not 0 <= told <= 1:
            raise ValueError(f"optional is how likely optional arguments are, from 0 to 1, not {optional!r}")
        self.seed = seed
        self.optional = optional
        self.text: ChatEngine = LoremIpsum(seed) if text is None else text
        self.refuse_when = refuse_when.lower()
        self.refusal = refusal
        self.calls = calls

    def __call__(self, request: ChatRequest) -> Turn:
        if self.refuse_when and self.refuse_when in request.user_text.lower():
            return [Refusal(text) for text in _deltas(self.refusal, request)]
        effort = request.reasoning_effort
        formed = request.response_format.schema is not None
        if not (request.tools or request.hosted_tools or effort or formed) and _plain(request):
            return self.text(request)
        thoughts = self._reasoning(request, effort)
        uses = self._uses(request) if request.hosted_tools else []
        if uses:
            return self._using(request, thoughts, uses)
        tools = self._chosen(request) if request.tools else []
        if tools:
            return [*thoughts, *self._call(request, tools)]
        if request.response_format.kind != "text":
            text = self._json(request)
            return [*thoughts, *_deltas(text, request)] if thoughts else text
        if "audio" in request.modalities:
            return [*thoughts, *self._speech(request)]
        turn = self.text(request)
        if "web_search_options" in request.body and isinstance(turn, str):
            return [*thoughts, *_cited(turn, request)]
        if not thoughts:
            return turn
        return [*thoughts, *_deltas(turn, request)] if isinstance(turn, str) else _after(thoughts, turn)

    def __repr__(self) -> str:
        return f"Default({self.text!r}, seed={self.seed!r})"

    def _random(self, request: ChatRequest, *salt: object) -> Random:
        return Random(f"{self.seed} {request.dice} {salt}")

    def _reasoning(self, request: ChatRequest, effort: str | None) -> list[Piece]:
        words = _REASONING_WORDS.get(effort or "", 0)
        if not words:
            return []
        text = filler(self._random(request, "reasoning"), words, words)
        return [Reasoning(part) for part in _deltas(text, request)]

    # Tools

    def _chosen(self, request: ChatRequest) -> Sequence[Tool]:
        """The tools to call, by the rule in the module's page; none where it is time to speak."""
        tools = request.callable_tools
        forced = request.tool_choice.mode == "required"
        if not tools or (request.answers_tool and not forced):
            return ()
        text = request.user_text.lower()
        mentioned = sorted((place, tool) for tool in tools if (place := _mention(tool.name, text)) >= 0)
        chosen = [tool for _, tool in mentioned] or [_nearest(tools, text)]
        if not request.parallel_tool_calls:
            return chosen[:1]
        if forced and request.tool_choice.names is not None and len(tools) == 1:
            return chosen
        others = [tool for tool in tools if tool not in chosen]
        while len(chosen) < self.calls:
            chosen.append(others.pop(0) if others else chosen[len(chosen) % len(tools)])
        return chosen

    def _uses(self, request: ChatRequest) -> list[tuple[Use | Tool, str]]:
        """What to use, each with what the user said behind its name, where one of it is no function.

        Nothing where it is time to speak, or only functions are due.
        """
        from . import hosted

        calls = hosted.approved(request)
        if calls is not None:
            return [(hosted.Use((call["name"],), call, hosted.mcp_call), "") for call in calls]
        forced = request.tool_choice.mode == "required"
        if request.answers_tool and not forced:
            return []
        uses = hosted.hosted_uses(request)
        text = request.user_text.lower()
        functions = request.callable_tools
        named: list[tuple[int, int, Use | Tool]] = []
        for use in uses:
            spans = [span for name in use.names if (span := _span(name, text))]
            if spans:
                named.append((*min(spans), use))
        if not named:
            return [] if functions else [(use, "") for use in (uses[:1] if forced else hosted.unasked(uses))]
        named += [(*span, tool) for tool in functions if (span := _span(tool.name, text))]
        named.sort(key=lambda each: each[:2])
        ends = [start for start, _, _ in named[1:]] + [len(text)]
        chosen = [(each, request.user_text[end:until]) for (_, end, each), until in zip(named, ends, strict=True)]
        return chosen if request.parallel_tool_calls else chosen[:1]

    def _using(self, request: ChatRequest, thoughts: list[Piece], uses: list[tuple[Use | Tool, str]]) -> Iterator[Any]:
        """Use tools, and say what came of it unless the caller has to do something first."""
        yield from thoughts
        said: list[Any] = []
        goes_on = True
        for use, about in uses:
            if isinstance(use, Tool):
                yield from self._call(request, [use])
                goes_on = False
            else:
                goes_on &= yield from _held(use(request, about), said)
        if not goes_on:
            return
        if request.response_format.kind != "text":
            yield from _deltas(self._json(request), request)
        elif said:
            yield from _joined(said, request)
        else:
            turn = self.text(request)
            yield from _deltas(turn, request) if isinstance(turn, str) else turn

    def _call(self, request: ChatRequest, tools: Sequence[Tool]) -> Iterator[Piece]:
        for place, tool in enumerate(tools):
            random = self._random(request, tool.name, place)
            yield ToolCall(None, tool.name, tool.custom)
            text = _input(tool, random, request) if tool.custom else self._arguments(tool, random, request)
            for part in _deltas(text, request):
                yield ToolArguments(part)

    def _arguments(self, tool: Tool, random: Random, request: ChatRequest) -> str:
        if not tool.parameters:
            return "{}"
        place = list(request.tools).index(tool)
        param = f"tools[{place}].function.parameters" if request.dialect == "chat" else f"tools[{place}].parameters"
        schema = {"type": "object", **tool.parameters}
        return _instance(schema, random, request.user_text, f"function '{tool.name}'", param, self.optional)

    # Forms

    def _json(self, request: ChatRequest) -> str:
        import orjson

        random = self._random(request, "json")
        kind, schema, name, _ = request.response_format
        if schema is None:
            schema = _described(request.messages)
        if schema is None:
            return orjson.dumps({"answer": filler(random, 6, 12)}).decode()
        what, param = _FORMAT_NAMES.get(request.dialect, _FORMAT_NAMES["chat"])
        return _instance(schema, random, request.user_text, f"{what} '{name or kind}'", param)

    def _speech(self, request: ChatRequest) -> Iterator[Piece]:
        asked: Any = request.body.get("audio") or {}
        form = asked.get("format", "wav")
        render = _FORMATS.get(form)
        if render is None:
            raise BadRequestError.because(
                f"This model cannot speak in the format '{form}'. Supported formats are: {', '.join(_FORMATS)}.",
                param="audio.format",
                code="unsupported_value",
            )
        transcript = filler(self._random(request, "speech"), 8, 8)
        parts = _deltas(transcript, request)
        samples = _tone(0.06 * len(transcript.split()))
        # A stream carries its transcript bit by bit and the sound in as many bits; bits of a sample are not split.
        size = -(-len(samples) // (2 * len(parts))) * 2
        for place, part in enumerate(parts):
            data = samples[place * size : (place + 1) * size]
            yield Audio(data if request.stream else render(data), part)


def _described(messages: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The last JSON Schema of an object that is written in messages."""
    found: Mapping[str, Any] | None = None
    decode = JSONDecoder().raw_decode
    for message in messages:
        text = text_of(message)
        at = text.find("{") if '"properties"' in text else -1
        for _ in range(_ATTEMPTS):
            if at < 0:
                break
            try:
                value, end = decode(text, at)
            except (ValueError, RecursionError):
                end = at + 1
            else:
                if isinstance(value, dict) and isinstance(value.get("properties"), dict):
                    found = value
            at = text.find("{", end)
    return found


def _held(use: Any, said: list[Any]) -> Generator[Any, Any, bool]:
    """Pass on a use of a tool, and keep what is said about it for the end: texts and citations."""

    def each(piece: Any) -> Generator[Any, Any, Any]:
        if isinstance(piece, (str, Citation, FileCitation)):
            said.append(piece)
            return None
        return (yield piece)

    return through(use, each)


def _joined(said: list[Any], request: ChatRequest) -> Iterator[Any]:
    """What was said about several tools, as one text; citations point into it."""
    start = end = 0
    for piece in said:
        if isinstance(piece, str):
            text = f" {piece}" if end else piece
            start, end = end + len(text) - len(piece), end + len(text)
            yield from _deltas(text, request)
        elif isinstance(piece, Citation):
            yield piece._replace(start=start + piece.start, end=start + piece.end)
        else:
            yield piece._replace(at=start + piece.at)


def _plain(request: ChatRequest) -> bool:
    body = request.body
    return (
        request.response_format.kind == "text"
        and "audio" not in request.modalities
        and "web_search_options" not in body
    )


def _deltas(text: str, request: ChatRequest) -> Sequence[str]:
    if not request.stream:
        return (text,)
    from ..server.renderings.chunks import chunks

    return chunks(text) or ("",)


def _after(thoughts: list[Piece], turn: Any) -> Iterator[Any]:
    yield from thoughts
    yield from turn


def _mention(name: str, text: str) -> int:
    """Where a text names a tool; -1 where it does not."""
    found = _span(name, text)
    return found[0] if found else -1


def _span(name: str, text: str) -> tuple[int, int] | None:
    """From where to where a text names a tool, also with spaces for the underscores."""
    words = r"[\s_-]?".join(map(re.escape, _WORD.findall(_spaced(name).lower())))
    found = re.search(rf"(?<![^\W_]){words}(?![^\W_])", text) if words else None
    return found.span() if found else None


def _spaced(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)


def _nearest(tools: Sequence[Tool], text: str) -> Tool:
    said = set(_WORD.findall(text)) - _COMMON
    return max(tools, key=lambda tool: len(said & set(_WORD.findall(_about(tool)))))


def _about(tool: Tool) -> str:
    return f"{_spaced(tool.name)} {tool.description}".lower()


def _input(tool: Tool, random: Random, request: ChatRequest) -> str:
    """Text for a custom tool, by its grammar where that is a regular expression."""
    grammar = tool.grammar or {}
    if grammar.get("syntax") != "regex":
        return filler(random, 5, 8)
    import orjson

    pattern = f"^(?:{grammar.get('definition', '')})$"
    made = _instance({"type": "string", "pattern": pattern}, random, request.user_text, f"tool '{tool.name}'", "tools")
    return str(orjson.loads(made))


def _instance(
    schema: Mapping[str, Any], random: Random, hints: str, what: str, param: str, optional: float = 1.0
) -> str:
    """A valid instance of a schema as JSON. Raises `BadRequestError` where it has none."""
    import orjson

    from ..server.examples import ImpossibleSchema, example

    try:
        return orjson.dumps(example(schema, random, hints=hints, optional=optional)).decode()
    except ImpossibleSchema as error:
        raise BadRequestError.because(f"Invalid schema for {what}: {error}", param=param) from error


_FORMAT_NAMES: Final = {
    "chat": ("response_format", "response_format"),
    "responses": ("response_format", "text.format.schema"),
}
"""What an endpoint calls its response format, and where it stands."""


def _cited(text: str, request: ChatRequest) -> Iterator[Piece]:
    source, title = "https://example.com/", "Example Domain"
    link = f"([example.com]({source}))"
    yield from _deltas(f"{text} {link}", request)
    yield Citation(source, title, len(text) + 1, len(text) + 1 + len(link))


# Speech

_RATE: Final = 24_000
"""Samples a second of spoken answers."""


def _tone(seconds: float) -> bytes:
    """A quiet tone: 16-bit little-endian samples, mono, 24 kHz."""
    from array import array
    from math import pi, sin
    from sys import byteorder

    period = array("h", (int(3000 * sin(2 * pi * n / 75)) for n in range(75)))  # 320 Hz
    if byteorder == "big":
        period.byteswap()
    repeats = max(1, round(seconds * _RATE / 75))
    return period.tobytes() * repeats


def _wav(samples: bytes) -> bytes:
    from io import BytesIO
    from wave import open as open_wave

    file = BytesIO()
    with open_wave(file, "wb") as wave:
        wave.setnchannels(1)
        wave.setsampwidth(2)
        wave.setframerate(_RATE)
        wave.writeframes(samples)
    return file.getvalue()


_FORMATS: Final[dict[str, Callable[[bytes], bytes]]] = {"wav": _wav, "pcm16": bytes}
"""Formats of spoken answers, and how samples become a file of each."""
