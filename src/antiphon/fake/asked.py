"""What a request asks, in the words that rules and queries of the journal use, and conditions on it.

    Conditions(model="gpt-5*", text=re.compile("weather|rain"), tools=["get_weather"])

A condition that does not hold says why, in a sentence to be shown.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import cached_property
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from ..kernel.http import Headers
from ..server.engine import text_of

if TYPE_CHECKING:
    from ..server.engine import ChatRequest

__all__ = ("CONDITIONS", "Asked", "Conditions", "Words", "exactly", "masked")

MASK: Final = "<masked>"
_SECRET: Final = re.compile(r"authorization|cookie|key|token|secret|password|signature|credential")
_SHOWN: Final = 80


_BY_TEXT: Final = ("embeddings.create", "moderations.create")
"""Operations whose texts are looked at one by one."""


class exactly(str):  # noqa: N801  # read in a sentence: text=exactly("Hello")
    """A text that has to be the whole, where a plain `str` only has to be in it."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"exactly({super().__repr__()})"


Words: TypeAlias = "str | re.Pattern[str]"
"""What a text has to be: a `str` that is in it, `exactly(...)` all of it, or a pattern that is found in it."""


def masked(headers: Headers) -> Headers:
    """Headers in which what might be a secret is not to be read."""
    return Headers.of([(name, MASK if _SECRET.search(name) else value) for name, value in headers.pairs])


class Asked:
    """What a request asks."""

    def __init__(
        self,
        operation: str,
        model: str,
        body: Mapping[str, Any],
        headers: Headers,
        chat: ChatRequest | None = None,
        subject: str = "",
    ) -> None:
        self.operation = operation
        """The operation's name, such as `chat.completions.create`."""
        self.path = ""
        """The address, where it is known."""
        self.model = model
        self.body = body
        """The body as it came."""
        self.headers = headers
        self.chat = chat
        """The conversation, where the request is one."""
        self._subject = subject

    @cached_property
    def text(self) -> str:
        """What the user says last; of other requests, what they are about: the input or the prompt."""
        return self._subject if self.chat is None else self.chat.user_text

    @cached_property
    def system(self) -> str:
        """What system and developer messages say."""
        return "" if self.chat is None else self.chat.instructions

    @cached_property
    def tools(self) -> list[str]:
        """The names of the tools that are offered; of those without a name, the type."""
        if self.chat is None:
            return []
        hosted = [str(tool.get("server_label") or tool.get("type")) for tool in self.chat.hosted_tools]
        return [*(tool.name for tool in self.chat.tools), *hosted]

    @cached_property
    def tool_result(self) -> str | None:
        """What tools have answered since the user spoke last, joined with line breaks; `None` where they did not."""
        found: list[str] = []
        for message in reversed(() if self.chat is None else self.chat.messages):
            if message.get("role") == "user":
                break
            if message.get("role") in ("tool", "function"):
                found.append(text_of(message))
        return "\n".join(reversed(found)) if found else None

    @cached_property
    def turn(self) -> int:
        """Which answer of the conversation is asked for, the first being 1."""
        messages = () if self.chat is None else self.chat.messages
        return 1 + len([message for message in messages if message.get("role") == "assistant"])

    @property
    def metadata(self) -> Mapping[str, Any]:
        """The request's metadata."""
        found: Any = self.body.get("metadata")
        return found if isinstance(found, Mapping) else {}

    @cached_property
    def response_format(self) -> tuple[str, str | None]:
        """What the answer has to be (`text`, `json_object`, `json_schema`), and the schema's name."""
        if self.chat is None:
            return "text", None
        return self.chat.response_format.kind, self.chat.response_format.name

    @property
    def parts(self) -> list[Asked]:
        """It as rules look at it: each text of embeddings and of moderations for itself."""
        given: Any = self.body.get("input")
        if self.operation not in _BY_TEXT or not isinstance(given, list):
            return [self]
        texts: list[Any] = given
        return [
            Asked(self.operation, self.model, self.body, self.headers, subject=each)
            for each in texts
            if isinstance(each, str)
        ] or [self]

    def read(self) -> None:
        """Find out all there is. Raises whatever a body that is not as the API wants it leads to."""
        for each in ("text", "system", "tools", "tool_result", "turn", "response_format"):
            getattr(self, each)

    def __str__(self) -> str:
        told = [self.operation, self.model, shown(self.text) if self.text else ""]
        if self.tool_result is not None:
            told.append(f"with a tool's result {shown(self.tool_result)}")
        if self.tools:
            told.append(f"offering {', '.join(self.tools)}")
        return " ".join(each for each in told if each)


def shown(text: str) -> str:
    """A text as it stands in a sentence: short and quoted."""
    return repr(text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…")


class _Condition(NamedTuple):
    weight: int
    """3 for one thing only, 2 for a pattern of things, 1 for whatever has something in it."""
    holds: Callable[[Asked], object]
    differs: Callable[[Asked], str]
    """Why a request is not meant, where it is not."""


class _Comparison(NamedTuple):
    """What a text has to be."""

    weight: int
    holds: Callable[[str | None], object]
    wanted: str
    """The end of the sentence that says what a text is: that it is not what was wanted."""

    def differs(self, found: str | None, what: str) -> str:
        return f"there is no {what}" if found is None else f"{what} is {shown(found)}, {self.wanted}"


def _words(name: str, wanted: Any) -> _Condition:
    comparison = _comparison(name, wanted)
    holds, read = comparison.holds, attrgetter(name)
    return _Condition(
        comparison.weight,
        lambda asked: holds(read(asked)),
        lambda asked: comparison.differs(read(asked), name),
    )


def _comparison(name: str, wanted: Any) -> _Comparison:
    if isinstance(wanted, re.Pattern):
        search: Callable[[str], object] = wanted.search
        said = f"in which {wanted.pattern!r} is not found"
        return _Comparison(2, lambda found: found is not None and search(found), said)
    if not isinstance(wanted, str):
        raise TypeError(f"{name} is a str, exactly(...) or a pattern of `re`, not {wanted!r}")
    plain = str.__str__(wanted)
    if isinstance(wanted, exactly):
        return _Comparison(3, lambda found: found == plain, f"not {shown(plain)}")
    return _Comparison(1, lambda found: found is not None and plain in found, f"which has no {shown(plain)} in it")


def _named(name: str, wanted: Any) -> _Condition:
    if isinstance(wanted, re.Pattern):
        return _words(name, wanted)
    if not isinstance(wanted, str):
        raise TypeError(f"{name} is a name, a pattern such as 'gpt-4o*' or one of `re`, not {wanted!r}")
    read = attrgetter(name)

    def differs(asked: Asked) -> str:
        return f"{name} is {shown(read(asked))}, not {wanted!r}"

    if not any(c in "*?[" for c in wanted[:-1]) and wanted[-1:] == "*":
        beginning = wanted[:-1]
        return _Condition(2, lambda asked: read(asked).startswith(beginning), differs)
    if any(c in "*?[" for c in wanted):
        return _Condition(2, lambda asked: fnmatchcase(read(asked), wanted), differs)
    return _Condition(3, lambda asked: read(asked) == wanted, differs)


def _tools(name: str, wanted: Any) -> _Condition:
    names = [wanted] if isinstance(wanted, str) else list(wanted)

    def missing(asked: Asked) -> list[str]:
        return [each for each in names if each not in asked.tools]

    return _Condition(
        3,
        lambda asked: not missing(asked),
        lambda asked: f"tools offered are {', '.join(asked.tools) or 'none'}, without {', '.join(missing(asked))}",
    )


def _tool_result(name: str, wanted: Any) -> _Condition:
    if not isinstance(wanted, bool):
        return _words(name, wanted)
    return _Condition(
        1,
        lambda asked: (asked.tool_result is not None) is wanted,
        lambda asked: f"there is {'no' if wanted else 'a'} tool's result",
    )


def _turn(name: str, wanted: Any) -> _Condition:
    if not isinstance(wanted, int) or wanted < 1:
        raise ValueError(f"turn is a number, 1 for the first answer of a conversation, not {wanted!r}")
    return _Condition(3, lambda asked: asked.turn == wanted, lambda asked: f"turn is {asked.turn}, not {wanted}")


def _mapping(name: str, wanted: Any) -> _Condition:
    if not isinstance(wanted, Mapping):
        raise TypeError(f"{name} is a mapping of names to what they have to be, not {wanted!r}")
    each = {
        key: _comparison(f"{name}[{key!r}]", exactly(value) if type(value) is str else value)
        for key, value in wanted.items()
    }

    def holds(asked: Asked) -> bool:
        held: Mapping[str, Any] = getattr(asked, name)
        return all(comparison.holds(held.get(key)) for key, comparison in each.items())

    def differs(asked: Asked) -> str:
        held: Mapping[str, Any] = getattr(asked, name)
        key, comparison = next((k, c) for k, c in each.items() if not c.holds(held.get(k)))
        if name == "headers" and _SECRET.search(key.lower()):
            return f"{name}[{key!r}] is another"
        return comparison.differs(held.get(key), f"{name}[{key!r}]")

    return _Condition(3, holds, differs)


def _response_format(name: str, wanted: Any) -> _Condition:
    if not isinstance(wanted, str):
        raise TypeError(f"response_format is 'text', 'json_object', 'json_schema' or a schema's name, not {wanted!r}")

    def differs(asked: Asked) -> str:
        kind, schema = asked.response_format
        return f"response_format is {kind!r}{f' with the schema {schema!r}' if schema else ''}, not {wanted!r}"

    return _Condition(3, lambda asked: wanted in asked.response_format, differs)


def _body(name: str, wanted: Any) -> _Condition:
    if not isinstance(wanted, Mapping):
        raise TypeError(f"body is a mapping of fields to what they have to be, not {wanted!r}")
    fields: Mapping[str, Any] = wanted
    return _Condition(
        3,
        lambda asked: not _differs(asked.body, fields, "body"),
        lambda asked: _differs(asked.body, fields, "body"),
    )


def _differs(held: Any, wanted: Any, name: str) -> str:
    """Why a value is not what is wanted, or has not all that is wanted of it; empty where it has."""
    if isinstance(wanted, Mapping):
        if not isinstance(held, Mapping):
            return f"{name} is {shown(str(held))}, and no object"
        for key, each in wanted.items():
            if key not in held:
                return f"{name} has no {key!r}"
            if told := _differs(held[key], each, f"{name}[{key!r}]"):
                return told
        return ""
    alike = held == wanted and isinstance(held, bool) is isinstance(wanted, bool)
    return "" if alike else f"{name} is {held!r:.80}, not {wanted!r:.80}"


def _predicate(name: str, wanted: Any) -> _Condition:
    if not callable(wanted):
        raise TypeError(f"predicate is a function of what is asked, not {wanted!r}")
    said = getattr(wanted, "__name__", repr(wanted))
    return _Condition(2, wanted, lambda asked: f"the predicate {said} says no")


_KINDS: Final[dict[str, Callable[[str, Any], _Condition]]] = {
    "operation": _named,
    "model": _named,
    "text": _words,
    "system": _words,
    "tools": _tools,
    "tool_result": _tool_result,
    "turn": _turn,
    "headers": _mapping,
    "metadata": _mapping,
    "response_format": _response_format,
    "body": _body,
    "predicate": _predicate,
}

CONDITIONS: Final = tuple(_KINDS)
"""The name of each condition."""


class Conditions:
    """Conditions on a request that have to hold all together. Raises `TypeError` for what cannot be one."""

    __slots__ = ("_conditions", "_tests", "given", "rank")

    def __init__(self, given: Mapping[str, Any]) -> None:
        self.given = {name: value for name, value in given.items() if value is not None}
        unknown = [name for name in self.given if name not in _KINDS]
        if unknown:
            raise TypeError(f"there is no condition {unknown[0]!r}; there are {', '.join(_KINDS)}")
        self._conditions = [_KINDS[name](name, value) for name, value in self.given.items()]
        self._tests = [each.holds for each in self._conditions]
        self.rank = (len(self._conditions), sum(each.weight for each in self._conditions))
        """How specific they are: so many conditions, and how narrow these are. More is more specific."""

    def only(self, name: str) -> str | None:
        """The one thing that a condition lets pass; `None` where it lets pass others, or there is none."""
        value = self.given.get(name)
        if not isinstance(value, str):
            return None
        if name in ("text", "system", "tool_result"):
            return str.__str__(value) if isinstance(value, exactly) else None
        return None if any(c in "*?[" for c in value) else value

    def part(self, name: str) -> str | None:
        """What a text has to have in it; `None` where that is not the condition."""
        value = self.given.get(name)
        return value if isinstance(value, str) and not isinstance(value, exactly) else None

    def pair(self, name: str) -> tuple[str, str] | None:
        """A header, or a field of the metadata, and the one value that it has to have; `None` where there is none."""
        held: Mapping[str, Any] = self.given.get(name) or {}
        return next(((key, str.__str__(value)) for key, value in held.items() if isinstance(value, str)), None)

    def hold(self, asked: Asked) -> bool:
        """Whether a request is meant."""
        for holds in self._tests:  # noqa: SIM110  # there may be many rules, and a generator for each costs
            if not holds(asked):
                return False
        return True

    def differences(self, asked: Asked) -> list[str]:
        """What keeps a request from being meant, a sentence for each condition that does not hold."""
        return [each.differs(asked) for each in self._conditions if not each.holds(asked)]

    def __str__(self) -> str:
        return ", ".join(f"{name}={_told(value)}" for name, value in self.given.items())


def _told(value: Any) -> str:
    if isinstance(value, re.Pattern):
        return f"re.compile({value.pattern!r})"
    if callable(value):
        return getattr(value, "__name__", repr(value))
    if isinstance(value, str) or not isinstance(value, (Sequence, Mapping)):
        return repr(value)
    if isinstance(value, Mapping):
        return repr({name: MASK if _SECRET.search(str(name).lower()) else each for name, each in value.items()})
    return repr(list(value))
