"""Chat templates: a conversation written as one text, for models that are asked with a prompt.

A template is a built-in style, or Jinja as models of Hugging Face have it: a file, or the text itself. That is compiled
once, in a sandbox, and given what those templates are given: `messages`, `tools`, `add_generation_prompt`, `bos_token`,
`eos_token`, `raise_exception`, `strftime_now`. The `bos_token` is empty, since the tokenizers of the servers put theirs
before every prompt, and a model that reads it twice answers worse.
"""

from __future__ import annotations

import re
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import orjson

from ...kernel.errors import BadRequestError, InternalServerError
from .styles import STYLES, json_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .styles import Writer

__all__ = ("DEFAULT", "Template", "template")

DEFAULT: Final = "chatml"
"""The style where none is configured: what most open models were taught."""

_READS_PARTS: Final = re.compile(
    r"for\s+\w+\s+in\s+\w+(?:\.content|\[\s*['\"]content['\"]\s*\])|(?:\.content|\[\s*['\"]content['\"]\s*\])\[0\]"
)
_READS_TOOLS: Final = re.compile(r"\btools\b")
_MARKS: Final = (
    ("<tool_call>", "hermes"),
    ("[TOOL_CALLS]", "mistral"),
    ("<|python_tag|>", "llama3"),
    ("<function=", "functions"),
)
"""What gives away, in a template, how its model writes calls of tools."""


class Template:
    """How conversations are written as prompts: by a style, or by Jinja."""

    def __init__(
        self,
        write: Writer,
        *,
        stop: tuple[str, ...] = (),
        tool_parser: str = "hermes",
        takes_tools: bool = True,
        takes_parts: bool = False,
    ) -> None:
        self._write = write
        self.stop = stop
        """Strings with which the model ends what it says."""
        self.tool_parser = tool_parser
        """How calls are written by a model that was taught this template."""
        self.takes_tools = takes_tools
        self.takes_parts = takes_parts
        """Whether contents of several parts are given as they are; otherwise their texts are."""

    def render(
        self, messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]] = (), **variables: Any
    ) -> str:
        """The prompt. Raises `BadRequestError` where the template refuses the conversation."""
        told = [_message(each, parts=self.takes_parts) for each in messages]
        if tools and not self.takes_tools:
            told = _described(told, tools)
        try:
            return self._write(told, tools, variables)
        except _Refused as refusal:
            raise BadRequestError.because(
                f"The chat template of the model does not take this conversation: {refusal}",
                param="messages",
                code="chat_template_error",
            ) from None
        except Exception as error:
            if not isinstance(error, _failures()):
                raise
            raise InternalServerError.because(
                f"The chat template of the model fails for this conversation: {type(error).__name__}: {error}",
                status=500,
                code="chat_template_error",
                headers={"x-should-retry": "false"},
            ) from error


@lru_cache(256)
def template(given: str | None) -> Template:
    """The template of a configuration: the name of a style, a path, or Jinja. Raises `ValueError`."""
    if given is None or given in STYLES:
        style = STYLES[given or DEFAULT]
        return Template(style.write, stop=style.stop, tool_parser=style.tool_parser, takes_tools=style.takes_tools)
    if "{{" in given or "{%" in given:
        return _of_source(given, "template")
    path = Path(given)
    if not path.is_file():
        raise ValueError(
            f"there is no chat template {given!r}: it is the path of a file, Jinja itself, or one of the styles "
            f"{', '.join(sorted(STYLES))}"
        )
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".json":  # `tokenizer_config.json` has the template and the tokens
        return _of_tokenizer(text, str(path))
    return _of_source(text, str(path))


def _of_tokenizer(text: str, name: str) -> Template:
    try:
        told: Any = orjson.loads(text)
        source = told["chat_template"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        raise ValueError(f"{name} has no `chat_template`") from None
    if isinstance(source, list):  # several, by name
        source = next((each["template"] for each in source if each.get("name") == "default"), source[0]["template"])
    tokens: dict[str, str] = {}
    for key in ("eos_token", "unk_token", "pad_token"):
        token = told.get(key)
        token = token.get("content") if isinstance(token, dict) else token
        if isinstance(token, str):
            tokens[key] = token
    return _of_source(source, name, tokens)


def _of_source(source: str, name: str, tokens: Mapping[str, str] = {}) -> Template:
    from jinja2 import TemplateSyntaxError

    try:
        compiled = _environment().from_string(source)
    except TemplateSyntaxError as error:
        raise ValueError(f"the chat template {name} is not valid: line {error.lineno}: {error.message}") from None
    # What depends on no conversation stands here once: whatever callers give comes before it.
    given = {"bos_token": "", "eos_token": "", **tokens, "add_generation_prompt": True}
    compiled.globals = {**compiled.globals, **given}

    def write(messages: Sequence[Mapping[str, Any]], tools: Sequence[Any], variables: Mapping[str, Any]) -> str:
        text: str = compiled.render({**variables, "messages": messages, "tools": list(tools) or None})
        return text

    return Template(
        write,
        stop=(tokens["eos_token"],) if "eos_token" in tokens else (),
        tool_parser=next((parser for mark, parser in _MARKS if mark in source), "hermes"),
        takes_tools=_READS_TOOLS.search(source) is not None,
        takes_parts=_READS_PARTS.search(source) is not None,
    )


class _Refused(Exception):
    """The template itself says that it does not take something."""


@lru_cache(1)
def _failures() -> tuple[type[Exception], ...]:
    """What templates raise that cannot make a prompt of a conversation."""
    from jinja2 import TemplateError

    return TemplateError, TypeError, ValueError, LookupError, ArithmeticError, AttributeError


@lru_cache(1)
def _environment() -> Any:
    from jinja2.ext import loopcontrols
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Messages(ImmutableSandboxedEnvironment):
        """Knows that most of what templates look into are dictionaries, where Jinja tries attributes first."""

        def getattr(self, obj: Any, attribute: str) -> Any:
            if obj.__class__ is not dict or attribute in _OF_DICTIONARIES:
                return super().getattr(obj, attribute)
            found = obj.get(attribute, _ABSENT)
            return self.undefined(obj=obj, name=attribute) if found is _ABSENT else found

    environment = Messages(
        trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols, _generation()], autoescape=False
    )
    environment.filters["tojson"] = _tojson
    functions: dict[str, Any] = {"raise_exception": _raise, "strftime_now": _now}
    environment.globals.update(functions)
    return environment


_OF_DICTIONARIES: Final = frozenset(dir(dict))
"""Attributes that come before members: `message.items` is the method, whatever is in the message."""
_ABSENT: Final = object()


@lru_cache(1)
def _generation() -> Any:
    """The block `{% generation %}`, which marks for trainers what the model said; here it changes nothing."""
    from jinja2 import nodes
    from jinja2.ext import Extension

    class Generation(Extension):
        tags = {"generation"}

        def parse(self, parser: Any) -> Any:
            line = next(parser.stream).lineno
            body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
            return nodes.Scope(body, lineno=line)

    return Generation


def _tojson(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    # What models were taught is what `json.dumps` writes: spaces after commas and colons, no HTML escapes.
    import json

    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def _raise(message: str) -> Any:
    raise _Refused(message)


def _now(format: str) -> str:
    from datetime import datetime

    return datetime.now().astimezone().strftime(format)


# Messages as templates know them


def _message(message: Mapping[str, Any], *, parts: bool) -> dict[str, Any]:
    """A message without what is null, its developer's role by the older name, its arguments as what they mean."""
    told = {name: value for name, value in message.items() if value is not None}
    if told.get("role") == "developer":
        told["role"] = "system"
    content = told.get("content")
    if isinstance(content, (list, tuple)):
        if parts:
            told["content"] = [_part(each) for each in content]
        else:
            texts = (each if isinstance(each, str) else each.get("text") or each.get("refusal") for each in content)
            told["content"] = "".join(text for text in texts if isinstance(text, str))
    elif content is None:
        told["content"] = ""
    calls = told.get("tool_calls")
    if calls:
        told["tool_calls"] = [_call(each) for each in calls]
    else:
        told.pop("tool_calls", None)
    return told


def _part(part: Any) -> Any:
    if isinstance(part, str):
        return {"type": "text", "text": part}
    kind: str = part.get("type", "text")
    shown = {"image_url": "image", "input_audio": "audio", "refusal": "text"}.get(kind, kind)
    return {**part, "type": shown, **({"text": part["refusal"]} if kind == "refusal" else {})}


def _call(call: Mapping[str, Any]) -> dict[str, Any]:
    function: Any = call.get("function")
    if function is None:
        custom: Any = call.get("custom") or {}
        function = {"name": custom.get("name"), "arguments": {"input": custom.get("input")}}
    arguments = function.get("arguments")
    if isinstance(arguments, str):
        with suppress(orjson.JSONDecodeError):  # a model may have written what is none
            arguments = orjson.loads(arguments or "{}")
    return {**call, "type": "function", "function": {**function, "arguments": arguments}}


_TOOLS: Final = """\
You can call these tools. Each line is one of them, as JSON Schema:
{}
To call one, answer with a line of this form for each call, and nothing else:
<tool_call>{{"name": "…", "arguments": {{…}}}}</tool_call>"""


def _described(messages: list[dict[str, Any]], tools: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Messages that tell of the tools, for templates that do not."""
    text = _TOOLS.format("\n".join(map(json_of, tools)))
    told: list[dict[str, Any]] = []
    for message in messages:
        if message["role"] == "tool":
            content = f"<tool_response>\n{message.get('content', '')}\n</tool_response>"
            message = {"role": "user", "content": content}
        elif message.get("tool_calls"):
            calls = [
                {"name": each["function"].get("name"), "arguments": each["function"].get("arguments")}
                for each in message["tool_calls"]
            ]
            lines = [f"<tool_call>{json_of(each)}</tool_call>" for each in calls]
            message = {"role": "assistant", "content": "\n".join([*filter(None, [message.get("content")]), *lines])}
        told.append(message)
    if told and told[0]["role"] == "system" and isinstance(told[0]["content"], str):
        told[0] = {**told[0], "content": f"{told[0]['content']}\n\n{text}"}
    else:
        told.insert(0, {"role": "system", "content": text})
    return told
