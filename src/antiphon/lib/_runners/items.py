"""The items of responses and histories that a runner understands well enough to send them back."""

from __future__ import annotations

from typing import Any

from .shapes import JSON, anything, each, filled, flag, maybe, number, one_of, record, tagged, text, whole

__all__ = (
    "SERVER_ITEMS",
    "SERVER_TOOLS",
    "arguments_of",
    "computer_fault",
    "describes_function_call",
    "describes_function_output",
    "function_output",
    "is_compaction",
    "is_input_message",
    "is_message",
    "is_reasoning",
    "is_screenshot_output",
    "same_output",
    "server_fault",
    "wire",
)

_STATUS = one_of("completed", "incomplete", "in_progress")
_PHASE = maybe(one_of("commentary", "final_answer"))

# Messages and reasoning

_SCORED = {"token": text, "bytes": each(whole), "logprob": number}
_RANGE = {"start_index": whole, "end_index": whole}
_ANNOTATION = tagged(
    {
        "file_citation": record({"file_id": text, "filename": text, "index": whole}),
        "url_citation": record({"title": text, "url": text, **_RANGE}),
        "container_file_citation": record({"container_id": text, "file_id": text, "filename": text, **_RANGE}),
        "file_path": record({"file_id": text, "index": whole}),
    }
)
is_message = record(
    {
        "id": text,
        "role": one_of("assistant"),
        "status": _STATUS,
        "content": each(
            tagged(
                {
                    "output_text": record(
                        {"text": text, "annotations": each(_ANNOTATION)},
                        {"logprobs": maybe(each(record({**_SCORED, "top_logprobs": each(record(_SCORED))})))},
                    ),
                    "refusal": record({"refusal": text}),
                }
            )
        ),
    },
    {"phase": _PHASE},
)
"""A message of the assistant, as responses have it."""
is_reasoning = record(
    {"id": text, "summary": each(tagged({"summary_text": record({"text": text})}))},
    {
        "content": each(tagged({"reasoning_text": record({"text": text})})),
        "encrypted_content": maybe(text),
        "status": _STATUS,
    },
)
is_compaction = record({"encrypted_content": text}, {"id": maybe(text)})

_CACHED = {"prompt_cache_breakpoint": record({"mode": one_of("explicit")})}
_INPUT_PART = tagged(
    {
        "input_text": record({"text": text}, _CACHED),
        "input_image": record(
            {"detail": one_of("auto", "low", "high", "original")},
            {"image_url": maybe(text), "file_id": maybe(text), **_CACHED},
        ),
        "input_file": record(
            optional={
                "detail": one_of("auto", "low", "high"),
                "file_id": maybe(text),
                "file_data": text,
                "file_url": text,
                "filename": text,
                **_CACHED,
            }
        ),
    }
)
_ASKED = record({"role": one_of("user", "assistant", "system", "developer")})
_INPUT_PARTS = each(_INPUT_PART)


def is_input_message(item: JSON) -> bool:
    """A message of a history: one that was answered, or one that was written for the model."""
    content = item.get("content")
    if not _ASKED(item) or ((text(content) or item["role"] == "assistant") and not _PHASE(item.get("phase"))):
        return False
    if text(content):
        return True
    if type(content) is list and any(_kind(part) in ("output_text", "refusal") for part in content):
        return is_message(item)
    return _INPUT_PARTS(content)


def _kind(item: Any) -> Any:
    return item.get("type") if type(item) is dict else None


# Functions

_CALLER = maybe(tagged({"direct": anything, "program": record({"caller_id": text})}))
describes_function_call = record(optional={"id": text, "async": flag, "namespace": text, "caller": _CALLER})
"""Whether what may be said about a call of a function is said in the API's words."""
describes_function_output = record(
    optional={
        "caller": _CALLER,
        "id": maybe(text),
        "name": maybe(text),
        "namespace": maybe(text),
        "status": maybe(_STATUS),
    }
)


def arguments_of(item: JSON) -> JSON:
    """The arguments of a call. Raises `ValueError` where they are no JSON object."""
    from json import loads

    arguments = loads(item["arguments"], parse_constant=_no_constant)
    if type(arguments) is not dict:
        raise ValueError("the arguments of a function are a JSON object")
    return arguments


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not valid JSON")


_BLOCKS: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "input_text": ({"text": text}, ()),
    "input_image": (
        {
            "image_url": maybe(text),
            "file_id": maybe(text),
            "detail": maybe(one_of("auto", "low", "high", "original")),
        },
        ("image_url", "file_id"),
    ),
    "input_file": (
        {
            "file_data": maybe(text),
            "file_id": maybe(text),
            "file_url": maybe(text),
            "filename": maybe(text),
            "detail": one_of("auto", "low", "high"),
        },
        ("file_data", "file_id", "file_url"),
    ),
}
"""The blocks an output may be made of: their fields, and those of which one has to be there."""


def function_output(value: Any) -> Any:
    """A copy of what a function gives: text, or a list of blocks. Raises `ValueError` for anything else."""
    if type(value) is str:
        return value
    if type(value) is not list:
        raise ValueError(f"the output of a function is text or a list of blocks, not {type(value).__name__}")
    return [_block(block) for block in value]


def _block(block: Any) -> JSON:
    if type(block) is not dict or any(type(key) is not str for key in block):
        raise ValueError("a block of an output is a plain dict")
    kind = block.get("type")
    if type(kind) is not str or kind not in _BLOCKS:
        raise ValueError(f"a block of an output is one of {', '.join(_BLOCKS)}, not {kind!r}")
    fields, sources = _BLOCKS[kind]
    copy: JSON = {"type": kind}
    for name, value in block.items():
        if name == "prompt_cache_breakpoint":
            if value is not None and (type(value) is not dict or value != {"mode": "explicit"}):
                raise ValueError("a prompt_cache_breakpoint is {'mode': 'explicit'}")
            copy[name] = None if value is None else {"mode": "explicit"}
        elif name != "type":
            if name not in fields:
                raise ValueError(f"a block {kind!r} has no field {name!r}")
            if not fields[name](value):
                raise ValueError(f"the {name} of a block {kind!r} cannot be {type(value).__name__}")
            copy[name] = value
    if kind == "input_text" and "text" not in copy:
        raise ValueError("a block 'input_text' needs a text")
    if sources and not any(filled(copy.get(name)) for name in sources):
        raise ValueError(f"a block {kind!r} needs one of {', '.join(sources)}")
    return copy


# Computers

_POINT = {"x": whole, "y": whole}
_KEYS = {"keys": maybe(each(text))}
_ACTION = tagged(
    {
        "click": record({**_POINT, "button": one_of("left", "right", "wheel", "back", "forward")}, _KEYS),
        "double_click": record(_POINT, _KEYS),
        "move": record(_POINT, _KEYS),
        "scroll": record({**_POINT, "scroll_x": whole, "scroll_y": whole}, _KEYS),
        "drag": record({"path": each(record(_POINT))}, _KEYS),
        "keypress": record({"keys": each(text)}),
        "type": record({"text": text}, _KEYS),
        "screenshot": record(optional=_KEYS),
        "wait": record(optional=_KEYS),
    }
)
_CHECKS = each(record({"id": text}, {"code": maybe(text), "message": maybe(text)}))


def computer_fault(item: JSON) -> str | None:
    """What is wrong with a call of a computer; `None` where nothing is."""
    for name in ("id", "call_id"):
        if not text(item.get(name)):
            return f"Computer call needs a {name}."
    if ("actions" in item) == ("action" in item):
        return "Computer call needs either an action or a list of actions."
    actions = item["actions"] if "actions" in item else [item["action"]]
    if type(actions) is not list or not actions:
        return "Computer call has no actions."
    if "pending_safety_checks" in item:
        if not _CHECKS(item["pending_safety_checks"]):
            return "Computer call has malformed safety checks."
    elif "action" in item:
        return "Computer call of the former kind needs its safety checks."
    if not all(_ACTION(action) for action in actions):
        return "Computer call has an invalid action."
    return None


_SCREENSHOT = record(
    {"type": one_of("computer_screenshot")},
    {"image_url": maybe(text), "file_id": maybe(text)},
)


def is_screenshot_output(item: JSON) -> bool:
    """Whether an output of a computer is one the API gave or takes."""
    shown: Any = item.get("output")
    return (
        maybe(text)(item.get("id"))
        and maybe(_STATUS)(item.get("status"))
        and maybe(_CHECKS)(item.get("acknowledged_safety_checks"))
        and _SCREENSHOT(shown)
        and any(filled(shown.get(name)) for name in ("image_url", "file_id"))
    )


# Tools that run at the server

_SEARCH = {"web_search", "web_search_2025_08_26", "web_search_preview", "web_search_preview_2025_03_11"}
SERVER_ITEMS: dict[str, frozenset[str]] = {
    "web_search_call": frozenset(_SEARCH),
    "file_search_call": frozenset({"file_search"}),
    "code_interpreter_call": frozenset({"code_interpreter"}),
    "image_generation_call": frozenset({"image_generation"}),
    "mcp_call": frozenset({"mcp"}),
    "mcp_list_tools": frozenset({"mcp"}),
    "mcp_approval_request": frozenset({"mcp"}),
}
"""Items that tell of a tool of the server's, and the tools that may be declared for them."""
SERVER_TOOLS = frozenset[str]().union(*SERVER_ITEMS.values())

_DONE = {"status": one_of("completed")}
_NAMED = {"name": text, "arguments": text}


def _attributes(value: Any) -> bool:
    return type(value) is dict and all(text(each) or flag(each) or number(each) for each in value.values())


_SERVER_SHAPES = {
    "web_search_call": record(
        {
            **_DONE,
            "action": tagged(
                {
                    "search": record(
                        optional={
                            "query": text,
                            "queries": each(text),
                            "sources": each(tagged({"url": record({"url": text})})),
                        }
                    ),
                    "open_page": record(optional={"url": maybe(text)}),
                    "find_in_page": record({"pattern": text, "url": text}),
                }
            ),
        }
    ),
    "file_search_call": record(
        {**_DONE, "queries": each(text)},
        {
            "results": maybe(
                each(
                    record(
                        optional={
                            "file_id": text,
                            "filename": text,
                            "text": text,
                            "score": number,
                            "attributes": maybe(_attributes),
                        }
                    )
                )
            )
        },
    ),
    "code_interpreter_call": record(
        {
            **_DONE,
            "container_id": text,
            "code": maybe(text),
            "outputs": maybe(each(tagged({"logs": record({"logs": text}), "image": record({"url": text})}))),
        }
    ),
    "image_generation_call": record(
        {**_DONE, "result": maybe(text)},
        {
            "action": maybe(one_of("generate", "edit", "auto")),
            "background": maybe(one_of("transparent", "opaque", "auto")),
            "output_format": maybe(one_of("png", "webp", "jpeg", "gif", "svg")),
            "quality": maybe(one_of("low", "medium", "high", "xhigh", "max", "auto")),
            "revised_prompt": maybe(text),
            "size": maybe(text),
        },
    ),
    "mcp_list_tools": record(
        {"tools": each(record({"name": text, "input_schema": anything}, {"description": maybe(text)}))}
    ),
    "mcp_call": record(_NAMED, {"output": maybe(text)}),
    "mcp_approval_request": record({**_NAMED, "id": filled}),
}


def server_fault(item: JSON, tools: list[JSON]) -> str | None:
    """What keeps an item of a server's tool from being replayed; `None` where nothing does."""
    kind = item["type"]
    declared = [tool for tool in tools if tool["type"] in SERVER_ITEMS[kind]]
    if not declared:
        return "a server's tool was not declared for this run"
    if "mcp" in SERVER_ITEMS[kind]:
        label = item.get("server_label")
        if not text(label) or not label or all(tool["server_label"] != label for tool in declared):
            return "an MCP item names no server that was declared"
    if item.get("status") not in (None, "completed") or item.get("error") is not None:
        return "a server's tool did not complete"
    if not text(item.get("id")) or not _SERVER_SHAPES[kind](item):
        return "an item of a server's tool lacks fields it has to be replayed with"
    if kind == "code_interpreter_call" and not any(
        tool["container"] == item["container_id"]
        or (type(tool["container"]) is dict and tool["container"].get("type") == "auto")
        for tool in declared
    ):
        return "the code ran in a container that was not declared"
    return None


# The wire


def wire(item: Any) -> Any:
    """An item as it is sent back: without what a client has added, and what the API does not take."""
    if type(item) is not dict:
        return item
    sent = {key: value for key, value in item.items() if key != "created_by"}
    kind = sent.get("type")
    if kind == "function_call":
        sent.pop("parsed_arguments", None)
        if sent.get("id") is None:
            # A response may say `null` here, a request may only leave it out.
            sent.pop("id", None)
    elif kind == "message" and type(sent.get("content")) is list:
        sent["content"] = [
            {key: value for key, value in part.items() if key != "parsed"} if _kind(part) == "output_text" else part
            for part in sent["content"]
        ]
    return sent


def same_output(seen: list[JSON], completed: list[JSON]) -> bool:
    """Whether a completed response has the items that were seen before it was complete."""
    return len(seen) == len(completed) and all(
        {**before, **_told_late(before, after)} == after for before, after in zip(seen, completed, strict=True)
    )


def _told_late(before: JSON, after: JSON) -> JSON:
    """What may change between an item and the completed response: a cipher, an id that was not known yet."""
    kind = before.get("type")
    if kind != after.get("type"):
        return {}
    if kind == "reasoning":
        sealed = [item.get("encrypted_content") for item in (before, after)]
        return {"encrypted_content": sealed[1]} if all(text(each) and each for each in sealed) else {}
    if kind == "function_call" and "id" not in before and text(after.get("id")):
        return {"id": after["id"]}
    return {}
