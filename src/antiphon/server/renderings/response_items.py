"""The items of a Response that tools leave: how each looks while it is made, what is told meanwhile, what is shown.

API reference: https://platform.openai.com/docs/api-reference/responses-streaming
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, Final, TypeAlias

from .chunks import chunks

__all__ = ("INCLUDABLE", "begun", "progress", "said", "shown")

Item: TypeAlias = dict[str, Any]
Event: TypeAlias = tuple[str, dict[str, Any]]
"""The type of an event behind `response.`, and its fields."""


# While it is made


def begun(item: Item) -> Item:
    """An item as it is when its making begins."""
    blank = _BLANK.get(item["type"], {})
    first = {**item, **{name: value for name, value in blank.items() if name in item}}
    if "status" in item:
        first["status"] = "in_progress"
    return first


_BLANK: Final[Mapping[str, Item]] = {
    "file_search_call": {"queries": [], "results": None},
    "code_interpreter_call": {"code": "", "outputs": None},
    "image_generation_call": {"result": None, "error": None, "revised_prompt": None},
    "mcp_list_tools": {"tools": []},
    "mcp_call": {"arguments": "", "output": None, "error": None},
    "shell_call_output": {"output": []},
    "compaction": {"encrypted_content": ""},
}
"""Fields that are filled in later, and what they are before."""


def progress(item: Item, tools: Collection[Mapping[str, Any]]) -> Iterator[Event]:
    """What is told between the beginning and the end of an item. `tools` are those of the request."""
    tell = _PROGRESS.get(item["type"])
    if tell is not None:
        yield from tell(item, tools)


def _steps(kind: str, *names: str) -> Callable[[Item, Any], Iterator[Event]]:
    def tell(item: Item, tools: Any) -> Iterator[Event]:
        for name in names:
            yield f"{kind}.{name}", {"item_id": item["id"]}

    return tell


def _code(item: Item, tools: Any) -> Iterator[Event]:
    place = {"item_id": item["id"]}
    yield "code_interpreter_call.in_progress", place
    for part in chunks(item["code"] or ""):
        yield "code_interpreter_call_code.delta", {**place, "delta": part}
    yield "code_interpreter_call_code.done", {**place, "code": item["code"] or ""}
    yield "code_interpreter_call.interpreting", place
    yield "code_interpreter_call.completed", place


def _image(item: Item, tools: Collection[Mapping[str, Any]]) -> Iterator[Event]:
    place = {"item_id": item["id"]}
    yield "image_generation_call.in_progress", place
    yield "image_generation_call.generating", place
    tool: Mapping[str, Any] = next((tool for tool in tools if tool.get("type") == "image_generation"), {})
    partial, form = tool.get("partial_images") or 0, item.get("output_format") or "png"
    if item.get("result") and partial and form not in ("gif", "svg"):
        from ..pictures import preview

        drawn = b64decode(item["result"])
        about = {name: item[name] for name in ("background", "output_format", "quality", "size") if item.get(name)}
        for index in range(partial):
            half_done = b64encode(preview(drawn, form, partial - index)).decode()
            fields = {"partial_image_index": index, "partial_image_b64": half_done, **about}
            yield "image_generation_call.partial_image", {**place, **fields}
    if item["status"] != "failed":
        yield "image_generation_call.completed", place


def _listing(item: Item, tools: Any) -> Iterator[Event]:
    yield "mcp_list_tools.in_progress", {"item_id": item["id"]}
    yield f"mcp_list_tools.{'failed' if item.get('error') else 'completed'}", {"item_id": item["id"]}


def _mcp(item: Item, tools: Any) -> Iterator[Event]:
    place = {"item_id": item["id"]}
    yield "mcp_call.in_progress", place
    for part in chunks(item["arguments"]):
        yield "mcp_call_arguments.delta", {**place, "delta": part}
    yield "mcp_call_arguments.done", {**place, "arguments": item["arguments"]}
    yield f"mcp_call.{'failed' if item.get('error') else 'completed'}", place


def _commands(item: Item, tools: Any) -> Iterator[Event]:
    for index, command in enumerate(item["action"]["commands"]):
        place = {"command_index": index}
        yield "shell_call_command.added", {**place, "command": ""}
        for part in chunks(command):
            yield "shell_call_command.delta", {**place, "delta": part}
        yield "shell_call_command.done", {**place, "command": command}


def _outputs(item: Item, tools: Any) -> Iterator[Event]:
    for index, output in enumerate(item["output"]):
        place = {"item_id": item["id"], "command_index": index}
        told = {name: output[name] for name in ("stdout", "stderr") if output.get(name)}
        if told:
            yield "shell_call_output_content.delta", {**place, "delta": told}
        yield "shell_call_output_content.done", {**place, "output": [output]}


_PROGRESS: Final[Mapping[str, Callable[[Item, Any], Iterator[Event]]]] = {
    "web_search_call": _steps("web_search_call", "in_progress", "searching", "completed"),
    "file_search_call": _steps("file_search_call", "in_progress", "searching", "completed"),
    "code_interpreter_call": _code,
    "image_generation_call": _image,
    "mcp_list_tools": _listing,
    "mcp_call": _mcp,
    "shell_call": _commands,
    "shell_call_output": _outputs,
    "compaction": _steps("compaction", "compacting"),
}


# What is shown only to those who ask


def shown(item: Item, include: Collection[str]) -> Item:
    """An item without what is only shown where `include` asks for it; the same one where nothing is left out."""
    for name, hide in INCLUDABLE.get(item["type"], ()):
        if name not in include:
            item = hide(item)
    return item


def _without_sources(item: Item) -> Item:
    action = item.get("action") or {}
    if "sources" not in action:
        return item
    return {**item, "action": {name: value for name, value in action.items() if name != "sources"}}


def _nulled(field: str) -> Callable[[Item], Item]:
    return lambda item: {**item, field: None} if item.get(field) is not None else item


INCLUDABLE: Final[Mapping[str, tuple[tuple[str, Callable[[Item], Item]], ...]]] = {
    "web_search_call": (("web_search_call.action.sources", _without_sources),),
    "file_search_call": (("file_search_call.results", _nulled("results")),),
    "code_interpreter_call": (("code_interpreter_call.outputs", _nulled("outputs")),),
}
"""Kinds of items with such fields: what `include` calls them, and how the item is without."""


# What the model wrote


def said(item: Item) -> str:
    """What of an item the model wrote, for the count of its tokens."""
    write = _SAID.get(item["type"])
    return write(item) if write is not None else ""


_SAID: Final[Mapping[str, Callable[[Item], str]]] = {
    "web_search_call": lambda item: " ".join(str(item["action"].get(name, "")) for name in ("query", "url", "pattern")),
    "file_search_call": lambda item: " ".join(item["queries"]),
    "code_interpreter_call": lambda item: item["code"] or "",
    "image_generation_call": lambda item: item.get("revised_prompt") or "",
    "mcp_call": lambda item: f"{item['name']} {item['arguments']}",
    "mcp_approval_request": lambda item: f"{item['name']} {item['arguments']}",
    "shell_call": lambda item: " ".join(item["action"]["commands"]),
    "local_shell_call": lambda item: " ".join(item["action"]["command"]),
    "apply_patch_call": lambda item: f"{item['operation']['path']} {item['operation'].get('diff', '')}",
    "computer_call": lambda item: str(item.get("action") or item.get("actions") or ""),
}
