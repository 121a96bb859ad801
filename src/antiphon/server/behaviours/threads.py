"""Threads and their messages: pictures and attachments are looked for, and attachments go where tools find them.

API reference: https://platform.openai.com/docs/api-reference/threads and …/messages
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from ...api.beta.threads import Threads
from ...api.beta.threads.messages import Messages
from ...kernel.errors import BadRequestError
from ..behaviour import Call, serves
from ..families.assistants import blocks
from ..kept import check_parents, family
from ..renderings.sinks import settled
from ..runs import active
from .assistants import check_length, check_resources, granted, resources_of

if TYPE_CHECKING:
    from ..app import Server
    from ..behaviour import Reply

__all__ = ("attach", "check_idle", "check_messages", "new_thread", "say")

Doc = dict[str, Any]

_DAYS: Final = 7
"""Days without a use after which the vector store of a thread's attachments expires."""


@serves(Threads.create)
def create(call: Call) -> Reply:
    """Make a thread, with messages in it where there are any.

    Follows https://platform.openai.com/docs/api-reference/threads/createThread
    """
    if call.server.conjures:
        return family("beta.threads").create(call)  # type: ignore[no-any-return]
    check_thread(call, call.body)
    return settled(new_thread(call, call.body))


@serves(Threads.update)
def update(call: Call) -> Reply:
    """Change a thread's metadata and resources.

    Follows https://platform.openai.com/docs/api-reference/threads/modifyThread
    """
    keeper = family("beta.threads")
    keeper.found(call)
    if call.server.conjures or call.body.get("tool_resources") is None:
        return keeper.update(call)  # type: ignore[no-any-return]
    check_resources(call, call.body["tool_resources"])
    return settled(_updated(call))


def _updated(call: Call) -> Generator[Any, Any, Any]:
    call.body["tool_resources"] = yield from resources_of(call.server, call.body["tool_resources"])
    return family("beta.threads").update(call)


@serves(Messages.create)
def create_message(call: Call) -> Reply:
    """Add a message. Raises `BadRequestError` while a run is under way in the thread.

    Follows https://platform.openai.com/docs/api-reference/messages/createMessage
    """
    if call.server.conjures:
        return family("beta.threads.messages").create(call)  # type: ignore[no-any-return]
    check_parents(call)
    check_messages(call, [call.body], "")
    _check_quiet(call)
    return settled(_said(call))


def _said(call: Call) -> Generator[Any, Any, Doc]:
    thread_id = call.params["thread_id"]
    yield from attach(call.server, thread_id, [call.body])
    with call.server.lock:
        _check_quiet(call)
        return say(call, thread_id, call.body)


def _check_quiet(call: Call) -> None:
    thread_id = call.params["thread_id"]
    run = active(call.server, thread_id)
    if run is not None:
        raise BadRequestError.because(f"Can't add messages to {thread_id} while a run {run} is active.")


# Shared with runs


def check_idle(server: Server, thread_id: str) -> None:
    """Raise `BadRequestError` where a run is under way in a thread."""
    run = active(server, thread_id)
    if run is not None:
        raise BadRequestError.because(f"Thread {thread_id} already has an active run {run}.")


def check_thread(call: Call, described: Mapping[str, Any], param: str = "") -> None:
    """See that a thread can be made. Raises the API's errors."""
    check_resources(call, described.get("tool_resources"), f"{param}tool_resources")
    check_messages(call, described.get("messages") or (), f"{param}messages")


def check_messages(call: Call, messages: Iterable[Mapping[str, Any]], param: str) -> None:
    """See that messages say something, and that their files are there. Raises the API's errors."""
    for number, message in enumerate(messages):
        place = f"{param}[{number}]." if param else ""
        content: Any = message["content"]
        if not content or content == [{"type": "text", "text": ""}]:
            raise BadRequestError.because("Message content must be non-empty.", param=f"{place}content")
        for at, part in enumerate(blocks(content)):
            if part["type"] == "text":
                where = f"{place}content" if isinstance(content, str) else f"{place}content[{at}].text"
                check_length({"text": part["text"]["value"]}, "text", where)
            elif part["type"] == "image_file":
                family("files").get(call, {}, part["image_file"]["file_id"])
        for attachment in message.get("attachments") or ():
            if attachment.get("file_id"):
                family("files").get(call, {}, attachment["file_id"])


def new_thread(call: Call, described: Mapping[str, Any]) -> Generator[Any, Any, Doc]:
    """Make a thread that was checked, with its messages."""
    resources = yield from resources_of(call.server, described.get("tool_resources") or {})
    facts = {"metadata": described.get("metadata") or {}, "tool_resources": resources}
    thread: Doc = family("beta.threads").add(call, {}, facts)
    messages = described.get("messages") or ()
    for message in messages:
        say(call, thread["id"], message)
    yield from attach(call.server, thread["id"], messages)
    return call.server.store.get("threads", thread["id"]) or thread


def say(call: Call, thread_id: str, message: Mapping[str, Any]) -> Doc:
    """Keep a message that was checked."""
    facts = {
        "role": message["role"],
        "content": blocks(message["content"]),
        "attachments": message.get("attachments") or [],
        "metadata": message.get("metadata") or {},
        "assistant_id": None,
        "run_id": None,
        "incomplete_at": None,
        "incomplete_details": None,
    }
    return family("beta.threads.messages").add(call, {"thread_id": thread_id}, facts)


def attach(server: Server, thread_id: str, messages: Iterable[Mapping[str, Any]]) -> Generator[Any, Any, None]:
    """Put the attachments of messages where tools find them: files for code, and a vector store to be searched."""
    files: dict[str, list[str]] = {"code_interpreter": [], "file_search": []}
    for message in messages:
        for attachment in message.get("attachments") or ():
            for tool in attachment.get("tools") or ():
                if attachment.get("file_id"):
                    files[tool["type"]].append(attachment["file_id"])
    if not any(files.values()):
        return
    resources: Doc = dict((server.store.get("threads", thread_id) or {}).get("tool_resources") or {})
    if files["file_search"]:
        stores: list[str] = (resources.get("file_search") or {}).get("vector_store_ids") or []
        if stores:
            for key in files["file_search"]:
                yield from granted(server, f"/v1/vector_stores/{stores[0]}/files", {"file_id": key})
        else:
            expiry = {"anchor": "last_active_at", "days": _DAYS}
            described = {"file_ids": files["file_search"], "expires_after": expiry}
            stores = [(yield from granted(server, "/v1/vector_stores", described))["id"]]
        resources["file_search"] = {"vector_store_ids": stores}
    if files["code_interpreter"]:
        known = (resources.get("code_interpreter") or {}).get("file_ids") or []
        resources["code_interpreter"] = {"file_ids": list(dict.fromkeys([*known, *files["code_interpreter"]]))}
    with server.lock:
        thread = server.store.get("threads", thread_id)
        if thread is not None:
            server.store.put("threads", thread_id, {**thread, "tool_resources": resources})
