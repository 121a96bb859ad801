"""Assistants, threads, messages, runs: what the generic engine knows of them. How they behave is in `behaviours/`.

API reference: https://platform.openai.com/docs/api-reference/assistants
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..kept import Kept, check_reference, family, later, now

if TYPE_CHECKING:
    from ..behaviour import Call

_NO_TOOLS: list[Any] = []


def blocks(content: Any) -> list[Any]:
    """The content of a message as blocks, as the API answers it."""
    if isinstance(content, str):
        return [{"type": "text", "text": {"value": content, "annotations": []}}]
    return [
        {"type": "text", "text": {"value": part["text"], "annotations": []}} if part.get("type") == "text" else part
        for part in content or []
    ]


def _content(call: Call) -> list[Any]:
    return blocks(call.body.get("content", ""))


def _add_messages(call: Call, thread: dict[str, Any]) -> None:
    """A thread may be created with messages in it."""
    keeper = family("beta.threads.messages")
    for message in call.body.get("messages") or ():
        keeper.add(call, {"thread_id": thread["id"]}, {**message, "content": blocks(message.get("content", ""))})


def _emptied(call: Call, thread: dict[str, Any]) -> None:
    """With a thread goes all that is in it."""
    from ..runs import forget

    forget(call.server, thread["id"])


def _assistant(field: str, default: Any) -> Any:
    """What the assistant of a run says in a field."""

    def value(call: Call) -> Any:
        assistant = call.server.store.get("assistants", call.body.get("assistant_id", ""))
        found = None if assistant is None else assistant.get(field)
        return default if found is None else found

    return value


def _run(call: Call) -> Any:
    """Create a thread and a run in it."""
    from ..samples import stream

    check_reference(call, "assistant_id", "beta.assistants")
    described = call.body.get("thread") or {}
    thread = family("beta.threads").add(call, {}, described)
    for message in described.get("messages") or ():
        family("beta.threads.messages").add(
            call, {"thread_id": thread["id"]}, {**message, "content": blocks(message.get("content", ""))}
        )
    run = family("beta.threads.runs").add(call, {"thread_id": thread["id"]}, call.body)
    return stream(call, run) if call.body.get("stream") else run


FAMILIES = (
    Kept(
        "beta.assistants",
        "asst_",
        new={"tools": _NO_TOOLS, "metadata": {}, "temperature": 1.0, "top_p": 1.0, "response_format": "auto"},
    ),
    Kept(
        "beta.threads",
        "thread_",
        new={"metadata": {}, "tool_resources": {}},
        created=_add_messages,
        removed=_emptied,
        others={"create_and_run": _run},
    ),
    Kept(
        "beta.threads.messages",
        "msg_",
        forced={"content": _content},
        new={"status": "completed", "completed_at": now, "attachments": _NO_TOOLS, "metadata": {}},
    ),
    Kept(
        "beta.threads.runs",
        "run_",
        new={
            "status": "queued",
            "expires_at": later(600),
            "model": _assistant("model", "gpt-4o"),
            "instructions": _assistant("instructions", ""),
            "tools": _assistant("tools", _NO_TOOLS),
            "tool_choice": "auto",
            "response_format": "auto",
            "truncation_strategy": {"type": "auto", "last_messages": None},
            "parallel_tool_calls": True,
            "temperature": 1.0,
            "top_p": 1.0,
            "metadata": {},
        },
        actions={"cancel": {"status": "cancelled", "cancelled_at": now}, "submit_tool_outputs": {"status": "queued"}},
        refers={"assistant_id": "beta.assistants"},
    ),
    Kept("beta.threads.runs.steps", "step_", noun="run step"),
)
