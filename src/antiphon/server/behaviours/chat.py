"""Chat completions: `POST /chat/completions`, plain and streamed, and those that were stored.

API reference: https://platform.openai.com/docs/api-reference/chat
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ...api.chat.completions import Completions
from ...api.chat.completions.messages import Messages
from ...kernel.errors import NotFoundError
from ...kernel.http import Response
from ..behaviour import Call, serves
from ..paging import page_of
from ..renderings.chat import Answer, Choice, StreamedChoice
from ..renderings.chat_request import chat_request
from ..renderings.chunks import chunks
from ..renderings.cuts import cut
from ..renderings.sinks import EVENT_STREAM, driven, settled

if TYPE_CHECKING:
    from collections.abc import Generator

    from ...kernel.flow import Flow, Step
    from ..behaviour import Reply
    from ..engine import ChatEngine, ChatRequest
    from ..turns import Turn

STORED: Final = "chat/completions"
"""The collection of stored completions; their messages are in `chat/completions/{id}/messages`."""

DONE: Final = b"data: [DONE]\n\n"


@serves(Completions.create)
def create(call: Call) -> Reply:
    """Answer a conversation: one body, or a stream of chunks that ends in `[DONE]`.

    Follows https://platform.openai.com/docs/api-reference/chat/create
    """
    body, server = call.body, call.server
    engine = server.engines.chat(body["model"])
    request = chat_request(body, strict=not server.conjures, limited=server.published_limits)
    request.headers = call.request.headers
    answer = Answer(server, request)
    turns = _turns(engine, request, body.get("n") or 1)
    if request.stream:
        return _streamed(call, answer, turns)
    choices = [Choice(answer, index) for index in range(len(turns))]
    sinks = (
        choices
        if request.max_tokens is None and not request.stop
        else [cut(choice, request, server.engines) for choice in choices]
    )
    if len(turns) == 1 and isinstance(turns[0], str):
        sinks[0].whole(turns[0])
        sinks[0].end()
        return _completed(call, answer, choices)
    return settled(_gathered(call, answer, choices, list(zip(turns, sinks, strict=True))))


def _turns(engine: ChatEngine, request: ChatRequest, n: int) -> list[Turn]:
    if n > 1:
        at_once = getattr(engine, "turns", None)
        if at_once is not None:
            several: list[Turn] = at_once(request, n)
            return several
    turns: list[Turn] = [engine(request)]
    if n > 1:
        from dataclasses import replace

        turns += [engine(replace(request, choice=index)) for index in range(1, n)]
    return turns


def _gathered(call: Call, answer: Answer, choices: list[Choice], turns: Any) -> Flow[dict[str, Any]]:
    yield from driven(turns, [])  # type: ignore[misc]  # nothing is written, so only steps come out
    return _completed(call, answer, choices)


def _completed(call: Call, answer: Answer, choices: list[Choice]) -> dict[str, Any]:
    completion = answer.completion(choices)
    if call.body.get("store"):
        _keep(call, answer, completion)
    return completion


def _streamed(call: Call, answer: Answer, turns: list[Turn]) -> Response:
    import orjson

    options: Any = call.body.get("stream_options") or {}
    with_usage = bool(options.get("include_usage"))
    out: list[bytes] = []
    head = answer.head()
    choices = [StreamedChoice(answer, index, out, head, usage=with_usage) for index in range(len(turns))]
    sinks = [cut(choice, answer.request, call.server.engines) for choice in choices]

    def last() -> None:
        if with_usage:
            out.append(b"data: " + orjson.dumps(answer.chunk([], answer.usage(choices))) + b"\n\n")
        out.append(DONE)
        if call.body.get("store"):
            _keep(call, answer, answer.completion(choices))

    if len(turns) == 1 and isinstance(turns[0], str):
        sinks[0].whole(turns[0])
        sinks[0].end()
        last()
        return Response(200, EVENT_STREAM, b"".join(out))
    if len(turns) > 1:
        # Choices that are known in full take turns like those that are not.
        turns = [chunks(turn) if isinstance(turn, str) else turn for turn in turns]
    body: Generator[bytes | Step[Any], Any, None] = driven(list(zip(turns, sinks, strict=True)), out, last)
    return Response(200, EVENT_STREAM, body)


# Stored completions

_REMEMBERED: Final[dict[str, Any]] = {
    "tool_choice": None,
    "seed": None,
    "top_p": 1.0,
    "temperature": 1.0,
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
    "tools": None,
    "response_format": None,
}
"""Fields of the request that a stored completion tells, and what they are where the request does not say."""


def _keep(call: Call, answer: Answer, completion: dict[str, Any]) -> None:
    body = call.body
    settings = {name: body[name] if body.get(name) is not None else value for name, value in _REMEMBERED.items()}
    metadata = body.get("metadata") or {}
    stored = {**completion, **settings, "input_user": body.get("user"), "metadata": metadata}
    store, key = call.server.store, completion["id"]
    store.put(STORED, key, stored)
    for place, message in enumerate(answer.request.messages):
        doc: dict[str, Any] = {"id": f"{key}-{place}", "name": None, "content_parts": None, **message}
        content = message.get("content")
        if not isinstance(content, str) and content is not None:
            doc["content"], doc["content_parts"] = None, content
        store.put(f"{STORED}/{key}/messages", doc["id"], doc)


def _stored(call: Call) -> dict[str, Any] | None:
    key = call.params["completion_id"]
    found = call.server.store.get(STORED, key)
    if found is None and not call.server.conjures:
        raise NotFoundError.because(f"Chat completion with ID {key} not found", code="not_found")
    return found


def _conjured(call: Call) -> Reply:
    from ..shape import shape

    return {**shape(call), "id": call.params["completion_id"]}


@serves(Completions.retrieve)
def retrieve(call: Call) -> Reply:
    """A stored completion. Follows https://platform.openai.com/docs/api-reference/chat/get"""
    found = _stored(call)
    return _conjured(call) if found is None else found


@serves(Completions.update)
def update(call: Call) -> Reply:
    """Change the metadata of a stored completion. Follows https://platform.openai.com/docs/api-reference/chat/update"""
    with call.server.lock:
        found = _stored(call)
        if found is None:
            return _conjured(call)
        changed = {**found, "metadata": call.body.get("metadata")}
        call.server.store.put(STORED, found["id"], changed)
    return changed


@serves(Completions.list)
def list_stored(call: Call) -> Reply:
    """Stored completions, by model and metadata. Follows https://platform.openai.com/docs/api-reference/chat/list"""
    query = call.query
    model, metadata = query.get("model"), query.get("metadata") or {}

    def keep(doc: dict[str, Any]) -> bool:
        if model is not None and doc["model"] != model:
            return False
        return all((doc["metadata"] or {}).get(key) == value for key, value in metadata.items())

    return page_of(call.server.store, STORED, query, keep=keep, order="asc", lenient=call.server.conjures)


@serves(Completions.delete)
def delete(call: Call) -> Reply:
    """Forget a stored completion. Follows https://platform.openai.com/docs/api-reference/chat/delete"""
    key = call.params["completion_id"]
    with call.server.lock:
        if _stored(call) is not None:
            store = call.server.store
            store.delete(STORED, key)
            for message in store.list(f"{STORED}/{key}/messages"):
                store.delete(f"{STORED}/{key}/messages", message["id"])
    return {"object": "chat.completion.deleted", "id": key, "deleted": True}


@serves(Messages.list)
def messages(call: Call) -> Reply:
    """The messages a stored completion answered. Follows https://platform.openai.com/docs/api-reference/chat/getMessages"""
    _stored(call)
    place = f"{STORED}/{call.params['completion_id']}/messages"
    return page_of(call.server.store, place, call.query, order="asc", lenient=call.server.conjures)
