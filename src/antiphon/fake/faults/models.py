"""What goes wrong with what a model says: the answer is in order, and what it says is not."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Final

from ...kernel.flow import Step
from ...server.engine import Tool, ToolChoice
from ...server.turns import Finish, Refusal, Text, ToolArguments, ToolCall
from .behaviours import Behaviour, relayed
from .parts import choice, integer, text

if TYPE_CHECKING:
    from random import Random

    from ...server.engine import ChatRequest
    from ...server.turns import Turn
    from .behaviours import Scene
    from .triggers import Seen

__all__ = ("Decline", "EndlessToolCalls", "HallucinatedIds", "InvalidArguments", "RepeatedText", "UnknownTool")

CONVERSATIONS: Final = frozenset(
    ("chat.completions.create", "responses.create", "beta.threads.runs.create", "beta.threads.create_and_run")
)
"""Operations in which a model speaks and may call tools."""


class _Misled(Behaviour):
    twists: ClassVar[bool] = True
    needs_tools: ClassVar[bool] = False

    def suits(self, seen: Seen) -> bool:
        if seen.operation not in CONVERSATIONS:
            return False
        return not self.needs_tools or seen.asked.chat is None or bool(seen.asked.chat.callable_tools)


def _gathered(turn: Turn) -> Generator[Step[Any], Any, list[Any]]:
    """The pieces of a turn."""
    found: list[Any] = []

    def feed(piece: Any) -> Iterable[Any]:
        found.append(piece)
        return ()

    yield from relayed([turn] if isinstance(turn, str) else turn, feed)
    return found


def _left(turn: Turn) -> None:
    """Let go of a turn that nobody will hear."""
    close = getattr(turn, "close", None)
    if close is not None:
        close()


@dataclass(frozen=True, repr=False)
class UnknownTool(_Misled):
    """The model calls a tool that it was not offered."""

    name: ClassVar[str] = "unknown_tool"
    tool: str | None = None

    def __post_init__(self) -> None:
        text(self, "tool")

    def twist(self, turn: Turn, request: ChatRequest, scene: Scene) -> Turn:
        _left(turn)
        offered = {tool.name for tool in request.tools}
        made = self.tool or (f"{request.tools[0].name}_v2" if request.tools else "look_up_everything")
        while self.tool is None and made in offered:
            made += "_v2"
        return [ToolCall(None, made), ToolArguments("{}")]


@dataclass(frozen=True, repr=False)
class InvalidArguments(_Misled):
    """The model calls a tool with arguments that are no JSON (`how="json"`), or not valid for its schema (`"schema"`).

    It is the tool that it would have called, or else the first that is offered.
    """

    name: ClassVar[str] = "invalid_arguments"
    needs_tools: ClassVar[bool] = True
    how: str = "json"

    def __post_init__(self) -> None:
        choice(self, "how", "json", "schema")

    def twist(self, turn: Turn, request: ChatRequest, scene: Scene) -> Turn:
        return self._twisted(turn, request)

    def _twisted(self, turn: Turn, request: ChatRequest) -> Generator[Any, Any, None]:
        pieces = yield from _gathered(turn)
        tools = {tool.name: tool for tool in request.callable_tools}
        called = next((piece for piece in pieces if isinstance(piece, ToolCall) and piece.name in tools), None)
        if called is None and not tools:
            yield from pieces
            return
        tool = tools[called.name] if called is not None else next(iter(tools.values()))
        yield ToolCall(None, tool.name, tool.custom)
        yield ToolArguments(_torn(tool) if self.how == "json" else _mistaken(tool))


def _torn(tool: Tool) -> str:
    names = list((tool.parameters or {}).get("properties") or ("value",))
    return f'{{"{names[0]}": "'


_WRONG: Final[dict[Any, Any]] = {
    "string": 12345,
    "integer": "many",
    "number": "many",
    "boolean": "maybe",
    "array": {"0": None},
    "object": ["nothing"],
    "null": "something",
}
"""For each type of JSON a value that is not of it."""


def _mistaken(tool: Tool) -> str:
    """Arguments of which as few as possible are of the types that the schema wants."""
    import orjson

    properties: dict[str, Any] = dict((tool.parameters or {}).get("properties") or {})
    if not properties:
        return "[]"  # arguments are an object
    wrong: dict[str, Any] = {}
    for name, schema in properties.items():
        kind = schema.get("type") if isinstance(schema, dict) else None
        kinds = set(kind if isinstance(kind, list) else [kind])
        wrong[name] = next((_WRONG[each] for each in _WRONG if each in kinds and not _is_of(_WRONG[each], kinds)), [])
    return orjson.dumps(wrong).decode()


def _is_of(value: Any, kinds: set[Any]) -> bool:
    names = {int: ("integer", "number"), str: ("string",), dict: ("object",), list: ("array",)}[type(value)]
    return not kinds.isdisjoint(names)


@dataclass(frozen=True, repr=False)
class HallucinatedIds(_Misled):
    """Ids in what the model says, and in the arguments of its calls, are others: they look alike and lead nowhere."""

    name: ClassVar[str] = "hallucinated_ids"

    def twist(self, turn: Turn, request: ChatRequest, scene: Scene) -> Turn:
        return self._twisted(turn, scene.random)

    def _twisted(self, turn: Turn, random: Random) -> Generator[Any, Any, None]:
        pieces = yield from _gathered(turn)
        said: list[Any] = []
        for piece in pieces:  # an id may lie across the pieces of a text
            last = said[-1] if said else None
            if isinstance(piece, ToolArguments) and isinstance(last, ToolArguments):
                said[-1] = ToolArguments(last.text + piece.text)
            elif isinstance(piece, str) and isinstance(last, str):
                said[-1] = last + piece
            else:
                said.append(piece)
        for piece in said:
            if isinstance(piece, ToolArguments):
                yield ToolArguments(_other_arguments(piece.text, random))
            elif isinstance(piece, Text):
                yield Text(_ID.sub(lambda found: _other(found[0], random), piece.text))
            elif isinstance(piece, str):
                yield _ID.sub(lambda found: _other(found[0], random), piece)
            else:
                yield piece


_ID: Final = re.compile(
    r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"
    r"|\b[A-Za-z]{1,16}[-_](?=[A-Za-z0-9]*\d)[A-Za-z0-9]{3,}\b"
    r"|(?<![\w.,:-])\d{4,}(?![\w:-]|[.,]\d)"
)
"""What looks like an id: a UUID, a prefix with letters and digits behind it, a number of four digits or more."""

_ID_NAME: Final = re.compile(r"(?:^|_)ids?$|I[Dd]s?$|(?:^|_)(?:uuid|number|key|ref)$")


def _other_arguments(text: str, random: Random) -> str:
    import orjson

    try:
        given = orjson.loads(text)
    except ValueError:
        return _ID.sub(lambda found: _other(found[0], random), text)
    return orjson.dumps(_others(given, random, named=False)).decode()


def _others(value: Any, random: Random, *, named: bool) -> Any:
    if isinstance(value, dict):
        return {name: _others(each, random, named=bool(_ID_NAME.search(name))) for name, each in value.items()}
    if isinstance(value, list):
        return [_others(each, random, named=named) for each in value]
    if isinstance(value, str):
        return _other(value, random) if named else _ID.sub(lambda found: _other(found[0], random), value)
    if named and value.__class__ is int:
        made = int(_other(str(abs(value)), random)) * (-1 if value < 0 else 1)
        return made if -(2**63) <= made < 2**64 else value // 2  # JSON is written with 64 bits
    return value


def _other(given: str, random: Random) -> str:
    """A text of the same shape that is another: digits for digits, letters for letters, the prefix kept."""
    prefix = re.match(r"[A-Za-z]{1,16}[-_]", given)
    kept = prefix[0] if prefix else ""
    rest = given[len(kept) :]
    hexadecimal = re.fullmatch(r"[0-9a-f-]+", rest) is not None
    while any(c.isascii() and c.isalnum() for c in rest):
        made = kept + "".join(_another(c, place, random, hexadecimal) for place, c in enumerate(rest))
        if made != given:
            return made
    return given


def _another(c: str, place: int, random: Random, hexadecimal: bool) -> str:
    if not c.isascii() or not c.isalnum():
        return c
    if c.isdigit():
        return random.choice("123456789" if place == 0 else "0123456789")
    letters = "abcdef" if hexadecimal else "abcdefghijklmnopqrstuvwxyz"
    return random.choice(letters if c.islower() else letters.upper())


@dataclass(frozen=True, repr=False)
class Decline(_Misled):
    """The model refuses."""

    name: ClassVar[str] = "refusal"
    text: str = "I'm sorry, but I can't help with that."

    def __post_init__(self) -> None:
        text(self, "text")

    def twist(self, turn: Turn, request: ChatRequest, scene: Scene) -> Turn:
        _left(turn)
        return [Refusal(self.text)]


@dataclass(frozen=True, repr=False)
class EndlessToolCalls(_Misled):
    """The model calls a tool whatever the tool has answered: the first that is offered, or the one named."""

    name: ClassVar[str] = "endless_tool_calls"
    needs_tools: ClassVar[bool] = True
    tool: str | None = None

    def __post_init__(self) -> None:
        text(self, "tool")

    def twist(self, turn: Turn, request: ChatRequest, scene: Scene) -> Turn:
        from ...engines.default import Default

        tools = request.callable_tools
        names = [self.tool] if self.tool is not None else [tool.name for tool in tools[:1]]
        if not tools or names[0] not in {tool.name for tool in tools}:
            return turn
        _left(turn)
        forced = ToolChoice("required", (names[0],))
        asked = replace(request, tool_choice=forced, parallel_tool_calls=False, hosted_tools=(), reasoning_effort=None)
        return Default(refuse_when="")(asked)


@dataclass(frozen=True, repr=False)
class RepeatedText(_Misled):
    """The model says the same again and again, until it is cut off."""

    name: ClassVar[str] = "repeated_text"
    times: int = 50
    text: str | None = None

    def __post_init__(self) -> None:
        integer(self, "times", 2, 100_000)
        text(self, "text")

    def twist(self, turn: Turn, request: ChatRequest, scene: Scene) -> Turn:
        return self._twisted(turn)

    def _twisted(self, turn: Turn) -> Generator[Any, Any, None]:
        pieces = yield from _gathered(turn)
        said = "".join(
            piece if isinstance(piece, str) else piece.text for piece in pieces if isinstance(piece, (str, Text))
        )
        repeated = said if self.text is None else self.text
        if not repeated:
            yield from pieces
            return
        for _ in range(self.times):
            yield f"{repeated} "
        yield Finish("length")
