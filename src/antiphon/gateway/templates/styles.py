"""Built-in styles of chat templates, by the families of models that were taught them.

They are written in Python: a prompt is made of them in a fraction of the time that Jinja takes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

__all__ = ("STYLES", "Style", "Writer", "json_of")

Message: TypeAlias = Mapping[str, Any]
Writer: TypeAlias = Callable[[Sequence[Message], Sequence[Any], Mapping[str, Any]], str]
"""Writes messages and tools as a prompt. Callers may give further variables, such as `add_generation_prompt`."""


class Style(NamedTuple):
    """One style."""

    write: Writer
    stop: tuple[str, ...]
    """Strings with which a model of it ends what it says."""
    tool_parser: str
    takes_tools: bool = True


def json_of(value: Any, indent: int | None = None) -> str:
    """JSON as models were taught it: with spaces after commas and colons, and no escapes."""
    return json.dumps(value, ensure_ascii=False, indent=indent)


def _begins(variables: Mapping[str, Any]) -> bool:
    """Whether the answer is begun for the model."""
    return bool(variables.get("add_generation_prompt", True))


def _led(messages: Sequence[Message]) -> tuple[Any, Sequence[Message]]:
    """What the system says at the beginning, and what follows."""
    if messages and messages[0]["role"] == "system":
        return messages[0]["content"], messages[1:]
    return "", messages


# ChatML: Qwen and many others

_CHATML_TOOLS: Final = """\
# Tools

These functions may be called to help with what the user wants, one or several of them. <tools></tools> has the
signature of each:
<tools>
{}</tools>

To call functions, answer with a JSON object for each call, its name and its arguments, within <tool_call></tool_call>:
<tool_call>
{{"name": "<name of the function>", "arguments": <object of the arguments>}}
</tool_call>"""


def _chatml(messages: Sequence[Message], tools: Sequence[Any], variables: Mapping[str, Any]) -> str:
    system, messages = _led(messages)
    if tools:
        told = _CHATML_TOOLS.format("".join([f"{json_of(tool)}\n" for tool in tools]))
        system = f"{system}\n\n{told}" if system else told
    written = [f"<|im_start|>system\n{system}<|im_end|>\n"] if system else []
    before = ""
    for message in messages:
        role, content = message["role"], message["content"]
        if before == "tool" and role != "tool":
            written.append("<|im_end|>\n")
        if role == "tool":
            # Results that came together are said together.
            begin = "" if before == "tool" else "<|im_start|>user"
            written.append(f"{begin}\n<tool_response>\n{content}\n</tool_response>")
        else:
            calls = message.get("tool_calls")
            if calls:
                content = "\n".join([*([content] if content else ()), *map(_chatml_call, calls)])
            written.append(f"<|im_start|>{role}\n{content}<|im_end|>\n")
        before = role
    if before == "tool":
        written.append("<|im_end|>\n")
    if _begins(variables):
        written.append("<|im_start|>assistant\n")
    return "".join(written)


def _chatml_call(call: Mapping[str, Any]) -> str:
    return f"<tool_call>\n{_call(call, 'arguments')}}}\n</tool_call>"


def _call(call: Mapping[str, Any], arguments: str) -> str:
    """The JSON of a call, but for its end."""
    function = call["function"]
    return f'{{"name": {json_of(function["name"])}, "{arguments}": {json_of(function["arguments"])}'


# Llama 3

_LLAMA3_TOOLS: Final = """

These functions can be called. To call one, answer with nothing but JSON of the form
{{"name": "<name of the function>", "parameters": {{"<name of an argument>": <its value>}}}}, without variables.

{}"""


def _llama3(messages: Sequence[Message], tools: Sequence[Any], variables: Mapping[str, Any]) -> str:
    system, messages = _led(messages)
    if tools:
        told = "".join([f"{json_of(tool, 4)}\n\n" for tool in tools])
        system = f"Environment: ipython\n{system}{_LLAMA3_TOOLS.format(told)}"
    written = [_llama3_said("system", system)] if system else []
    for message in messages:
        role, content = message["role"], message["content"]
        if role == "tool":
            written.append(_llama3_said("ipython", json_of(content)))
        elif message.get("tool_calls"):
            written += [_llama3_said("assistant", f"{_call(each, 'parameters')}}}") for each in message["tool_calls"]]
        else:
            written.append(_llama3_said(role, content.strip()))
    if _begins(variables):
        written.append("<|start_header_id|>assistant<|end_header_id|>\n\n")
    return "".join(written)


def _llama3_said(role: str, content: str) -> str:
    return f"<|start_header_id|>{role}<|end_header_id|>\n\n{content}<|eot_id|>"


# Mistral


def _mistral(messages: Sequence[Message], tools: Sequence[Any], variables: Mapping[str, Any]) -> str:
    system = "".join([f"{each['content']}\n\n" for each in messages if each["role"] == "system"])
    last = max((at for at, each in enumerate(messages) if each["role"] == "user"), default=-1)
    written: list[str] = []
    for at, message in enumerate(messages):
        role, content = message["role"], message["content"]
        if role == "user":
            if at == last:
                told = f"[AVAILABLE_TOOLS] {json_of(tools)}[/AVAILABLE_TOOLS]" if tools else ""
                written.append(f"{told}[INST] {system}{content}[/INST]")
            else:
                written.append(f"[INST] {content}[/INST]")
        elif role == "tool":
            call_id = json_of(message.get("tool_call_id"))
            written.append(f'[TOOL_RESULTS] {{"content": {json_of(content)}, "call_id": {call_id}}}[/TOOL_RESULTS]')
        elif role == "assistant" and message.get("tool_calls"):
            calls = [f'{_call(each, "arguments")}, "id": {json_of(each.get("id"))}}}' for each in message["tool_calls"]]
            written.append(f"[TOOL_CALLS] [{', '.join(calls)}]</s>")
        elif role == "assistant":
            written.append(f" {content.strip()}</s>")
    return "".join(written)


# Models that were taught none


def _plain(messages: Sequence[Message], tools: Sequence[Any], variables: Mapping[str, Any]) -> str:
    written = [
        f"{each['content']}\n\n" if each["role"] == "system" else f"{each['role'].capitalize()}: {each['content']}\n"
        for each in messages
    ]
    if _begins(variables):
        written.append("Assistant:")
    return "".join(written)


STYLES: Final[dict[str, Style]] = {
    "chatml": Style(_chatml, ("<|im_end|>",), "hermes"),
    "llama3": Style(_llama3, ("<|eot_id|>", "<|eom_id|>"), "llama3"),
    "mistral": Style(_mistral, ("</s>",), "mistral"),
    "plain": Style(_plain, ("\nUser:",), "hermes", takes_tools=False),
}
"""The styles by name."""
