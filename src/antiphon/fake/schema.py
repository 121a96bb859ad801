"""What rules and scripts are as JSON: the schema that is published, and the check by it that says what is wrong.

The check knows as much of JSON Schema as the schema uses. A union is told apart by the JSON types of its members, and
what a value has to be is told in the words of its `description`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple, TypeAlias

from ..engines.moderation import CATEGORIES
from .answers import MOST_TIMES

__all__ = ("ANSWERS", "SCHEMA", "Path", "Problem", "as_component", "check", "schema")

Path: TypeAlias = tuple[str | int, ...]
"""Where something is: names of fields and places in lists, from the outermost."""


class Problem(NamedTuple):
    """Something that is wrong, and where."""

    path: Path
    message: str
    at_key: bool = False
    """Whether it is the name of the field that is wrong, and not its value."""


def _text(description: str, **more: Any) -> dict[str, Any]:
    return {"type": "string", "description": description, **more}


def _words(description: str, *, more: tuple[Any, ...] = ()) -> dict[str, Any]:
    return {"description": description, "anyOf": [{"type": "string"}, {"$ref": "#/$defs/words"}, *more]}


_ARGUMENTS: Final = {"type": "object", "description": "the arguments, as an object"}
_CALL: Final = {
    "description": "the name of a tool, or an object with name and arguments",
    "anyOf": [
        {"type": "string"},
        {
            "type": "object",
            "properties": {"name": _text("the tool's name"), "arguments": _ARGUMENTS},
            "required": ["name"],
            "additionalProperties": False,
        },
    ],
}
_VECTOR: Final = {"type": "array", "items": {"type": "number", "description": "a number"}, "minItems": 1}
_BASE64: Final = {
    "type": "object",
    "properties": {"base64": _text("bytes in base64")},
    "required": ["base64"],
    "additionalProperties": False,
}
_BYTES: Final = {
    "description": "the path of a file, seen from the rule file, or {base64: …}",
    "anyOf": [{"type": "string"}, _BASE64],
}
_CATEGORY: Final = {"type": "string", "enum": list(CATEGORIES), "description": "a category of moderations"}

ANSWERS: Final[dict[str, dict[str, Any]]] = {
    "reply": _text("a text"),
    "template": _text("a text with {text}, {model}, {system}, {tool_result}, {turn} or groups of the text's pattern"),
    "pieces": {"type": "array", "items": _text("a text"), "minItems": 1, "description": "texts, streamed as they are"},
    "message": {"type": "object", "description": "the assistant's message, as the API has it"},
    "object": {"type": "object", "description": "the whole body of the answer"},
    "call_tool": _CALL,
    "call_tools": {"type": "array", "items": _CALL, "minItems": 1, "description": "calls of tools, made at once"},
    "refuse": {"description": "true, or the words of a refusal", "anyOf": [{"const": True}, {"type": "string"}]},
    "fail": {
        "description": "the status of an error, or an object with status, code, message, retry_after …",
        "anyOf": [
            {"type": "integer", "minimum": 400, "maximum": 599},
            {
                "type": "object",
                "properties": {
                    "status": {
                        "type": "integer",
                        "minimum": 400,
                        "maximum": 599,
                        "description": "a number from 400 to 599",
                    },
                    "code": _text("a text"),
                    "message": _text("a text"),
                    "type": _text("a text"),
                    "param": _text("a text"),
                    "retry_after": {"type": "number", "minimum": 0, "description": "a number of seconds"},
                    "headers": {
                        "type": "object",
                        "additionalProperties": _text("a text"),
                        "description": "an object of texts",
                    },
                },
                "required": ["status"],
                "additionalProperties": False,
            },
        ],
    },
    "vector": {**_VECTOR, "description": "a list of numbers"},
    "vectors": {
        "type": "array",
        "items": {**_VECTOR, "description": "a list of numbers"},
        "minItems": 1,
        "description": "a vector for each input",
    },
    "image": _BYTES,
    "images": {"type": "array", "items": _BYTES, "minItems": 1, "description": "a list of pictures"},
    "sound": _BYTES,
    "video": _BYTES,
    "file": _BYTES,
    "scores": {
        "type": "object",
        "properties": {
            name: {"type": "number", "minimum": 0, "maximum": 1, "description": "a number from 0 to 1"}
            for name in CATEGORIES
        },
        "additionalProperties": False,
        "description": "scores by category",
    },
    "flag": {
        "description": "a category of moderations, or a list of them",
        "anyOf": [_CATEGORY, {"type": "array", "items": _CATEGORY}],
    },
}
"""Every answer by its name."""

_ONE_ANSWER: Final = [{"required": [name]} for name in ANSWERS]
_STEP: Final = {
    "description": "a text, or an answer such as {reply: …}",
    "anyOf": [{"type": "string"}, {"$ref": "#/$defs/answer"}],
}
_SEQUENCE: Final = {
    "type": "array",
    "items": _STEP,
    "minItems": 1,
    "description": "answers that are given one after the other",
}
_ANSWERING: Final = {**ANSWERS, "answers": _SEQUENCE}
_ANY_ANSWER: Final = [*_ONE_ANSWER, {"required": ["answers"]}]
_COMMENT: Final = {"comment": _text("a text for whoever reads the file")}
_TIMES: Final = {"type": "integer", "minimum": 1, "description": "a number of requests, at least 1"}

_OFTEN: Final = {**_TIMES, "maximum": MOST_TIMES, "description": f"how often it is given, from 1 to {MOST_TIMES}"}

_CONDITIONS: Final[dict[str, Any]] = {
    "operation": _words("the name of an operation, a pattern such as 'files.*', or {matches: …}"),
    "model": _words("the name of a model, a pattern such as 'gpt-4o*', or {matches: …}"),
    "text": _words("a text that is in what the user says last, or {exactly: …} or {matches: …}"),
    "system": _words("a text that is in the system prompt, or {exactly: …} or {matches: …}"),
    "tools": {
        "description": "the name of a tool that is offered, or a list of names",
        "anyOf": [{"type": "string"}, {"type": "array", "items": _text("the name of a tool"), "minItems": 1}],
    },
    "tool_result": _words("a text that is in a tool's result, or true or false", more=({"type": "boolean"},)),
    "turn": {"type": "integer", "minimum": 1, "description": "a number, 1 for the first answer of a conversation"},
    "headers": {
        "type": "object",
        "additionalProperties": _words("a text that is the whole value, or {contains: …} or {matches: …}"),
        "description": "an object from names to values",
    },
    "metadata": {
        "type": "object",
        "additionalProperties": _words("a text that is the whole value, or {contains: …} or {matches: …}"),
        "description": "an object from names to values",
    },
    "response_format": _text("'text', 'json_object', 'json_schema', or the name of a schema"),
    "body": {"type": "object", "description": "an object of fields that the body has"},
}

SCHEMA: Final[dict[str, Any]] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "Rules and scripts of Antiphon's fake OpenAI",
    "description": "an object with rules, scripts or both, or a list of rules",
    "anyOf": [
        {
            "type": "object",
            "properties": {
                "$schema": _text("the address of this schema"),
                **_COMMENT,
                "rules": {"type": "array", "items": {"$ref": "#/$defs/rule"}, "description": "a list of rules"},
                "scripts": {"type": "array", "items": {"$ref": "#/$defs/script"}, "description": "a list of scripts"},
            },
            "additionalProperties": False,
        },
        {"type": "array", "items": {"$ref": "#/$defs/rule"}},
    ],
    "$defs": {
        "words": {
            "type": "object",
            "properties": {
                "contains": _text("a text"),
                "exactly": _text("a text"),
                "matches": _text("a regular expression"),
                "ignore_case": {"type": "boolean", "description": "true or false"},
            },
            "oneOf": [{"required": ["contains"]}, {"required": ["exactly"]}, {"required": ["matches"]}],
            "additionalProperties": False,
        },
        "conditions": {
            "type": "object",
            "properties": _CONDITIONS,
            "additionalProperties": False,
            "description": "an object of conditions",
        },
        "answer": {
            "type": "object",
            "properties": {**ANSWERS, "times": _OFTEN},
            "oneOf": _ONE_ANSWER,
            "additionalProperties": False,
        },
        "rule": {
            "type": "object",
            "properties": {"when": {"$ref": "#/$defs/conditions"}, "times": _TIMES, **_COMMENT, **_ANSWERING},
            "oneOf": _ANY_ANSWER,
            "additionalProperties": False,
            "description": "an object with conditions (when) and an answer",
        },
        "script": {
            "type": "object",
            "properties": {
                **_COMMENT,
                "name": _text("a text"),
                "legs": {
                    "type": "array",
                    "items": {"$ref": "#/$defs/leg"},
                    "minItems": 1,
                    "description": "what is said and answered, one leg after the other",
                },
                "when": {"$ref": "#/$defs/conditions"},
                "strict": {"type": "boolean", "description": "true or false"},
            },
            "required": ["legs"],
            "additionalProperties": False,
            "description": "an object with legs",
        },
        "leg": {
            "type": "object",
            "properties": {
                "user": _words("a text that is in what the user says, or {exactly: …} or {matches: …}"),
                "tool": _words("a text that is in what tools have answered, or {exactly: …} or {matches: …}"),
                "when": {"$ref": "#/$defs/conditions"},
                **_COMMENT,
                **_ANSWERING,
            },
            "oneOf": _ANY_ANSWER,
            "additionalProperties": False,
            "description": "an object with what is said (user or tool) and an answer",
        },
    },
}
"""The JSON Schema of rule files."""


def schema() -> dict[str, Any]:
    """The JSON Schema of rule files, to be published."""
    return SCHEMA


def as_component(value: Any) -> Any:
    """A schema at home in a document of OpenAPI, where definitions have a place of their own."""
    if isinstance(value, Mapping):
        return {
            name: each.replace("#/$defs/", "#/components/schemas/") if name == "$ref" else as_component(each)
            for name, each in value.items()
        }
    return [as_component(each) for each in value] if isinstance(value, list) else value


_TYPES: Final[dict[str, tuple[type, ...]]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list, tuple),
    "object": (Mapping,),
}


def check(value: Any, definition: str | None = None) -> list[Problem]:
    """What is wrong with a document, or with a `rule`, a `script` or another definition of the schema."""
    return list(_problems(value, SCHEMA if definition is None else SCHEMA["$defs"][definition], (), ""))


def _resolved(form: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = form
    while "$ref" in found:
        found = SCHEMA["$defs"][found["$ref"].rpartition("/")[2]]
    return found


def _fits(value: Any, form: Mapping[str, Any]) -> bool:
    """Whether a value has the type of a form."""
    if "const" in form:
        return value is form["const"]
    kinds = _TYPES[form["type"]]
    return isinstance(value, kinds) and (not isinstance(value, bool) or bool in kinds)


def _problems(value: Any, form: Mapping[str, Any], path: Path, meant: str) -> Iterator[Problem]:
    form = _resolved(form)
    meant = form.get("description", meant)
    if "anyOf" in form:
        chosen = next((each for each in map(_resolved, form["anyOf"]) if _fits(value, each)), None)
        if chosen is None:
            yield Problem(path, _unlike(value, path, meant))
        else:
            yield from _problems(value, chosen, path, meant)
        return
    if "const" in form:
        return
    if not _fits(value, form):
        yield Problem(path, _unlike(value, path, meant))
    elif "enum" in form and value not in form["enum"]:
        yield Problem(path, f"there is no {value!r}{_near(str(value), form['enum'])}")
    elif not form.get("minimum", value) <= value <= form.get("maximum", value) if form["type"] in _NUMBERS else False:
        yield Problem(path, _unlike(value, path, meant))
    elif form["type"] == "array":
        if len(value) < form.get("minItems", 0):
            yield Problem(path, f"{_name(path)} is empty: it is {meant}")
        for place, each in enumerate(value):
            yield from _problems(each, form.get("items", {}), (*path, place), meant)
    elif form["type"] == "object":
        yield from _fields(value, form, path)


_NUMBERS: Final = ("integer", "number")


def _fields(value: Mapping[Any, Any], form: Mapping[str, Any], path: Path) -> Iterator[Problem]:
    known: Mapping[str, Any] = form.get("properties", {})
    others = form.get("additionalProperties", True)
    for name, each in value.items():
        if not isinstance(name, str):
            yield Problem((*path, name), f"the name of a field is a text, not {name!r}: quote it", at_key=True)
        elif name in known:
            yield from _problems(each, known[name], (*path, name), "")
        elif others is False:
            yield Problem((*path, name), f"there is no {name!r} here{_near(name, known)}", at_key=True)
        elif isinstance(others, Mapping):
            yield from _problems(each, others, (*path, name), "")
    for name in form.get("required", ()):
        if name not in value:
            yield Problem(path, f"{_name(path)} has no {name!r}")
    if "oneOf" in form:
        names = [each["required"][0] for each in form["oneOf"]]
        found = [name for name in names if name in value]
        if not found and not any(isinstance(name, str) and name not in known for name in value):
            lacking = "no answer; there are" if "reply" in names else "none of"
            yield Problem(path, f"{_name(path)} has {lacking} {', '.join(names)}")
        elif len(found) > 1:
            way = "; several answers stand in 'answers', one after the other" if "answers" in names else ""
            yield Problem((*path, found[1]), f"there is {found[0]!r} already: only one can be{way}", at_key=True)


def _near(name: str, known: Any) -> str:
    from difflib import get_close_matches

    near = get_close_matches(name, list(known), 1)
    return f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(known)}"


def _unlike(value: Any, path: Path, meant: str) -> str:
    told = repr(value)
    return f"{_name(path)} is {meant}, not {told if len(told) <= 60 else told[:59] + '…'}"


_SINGULAR: Final = {"rules": "a rule", "scripts": "a script", "legs": "a leg", "answers": "an answer"}


def _name(path: Path) -> str:
    """What stands at a place, in a sentence."""
    if not path:
        return "this"
    last = path[-1]
    if isinstance(last, str):
        return last
    above = path[-2] if len(path) > 1 else "rules"
    return _SINGULAR.get(str(above), f"{above}[{last}]")
