"""The Messages API of Anthropic: `POST /v1/messages`, streamed too, and `/v1/messages/count_tokens`, `/v1/models`.

API reference: https://docs.anthropic.com/en/api/messages
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import orjson

from ...kernel.errors import APIStatusError, BadRequestError, NotFoundError
from ...kernel.http import Response
from ...server.tokens import message_tokens
from ...server.vocabulary import model_ids
from ..faults.streams import is_events
from .translating import (
    EVENTS,
    OBJECT,
    TEXT,
    asked,
    body_of,
    checked,
    having,
    json_answer,
    member,
    relayed_events,
    several,
)

if TYPE_CHECKING:
    from ...kernel.flow import Flow
    from ...kernel.http import Request
    from ...server.app import Server

__all__ = ("answer",)

_ERRORS: Final = {
    400: "invalid_request_error", 401: "authentication_error", 403: "permission_error", 404: "not_found_error",
    413: "request_too_large", 429: "rate_limit_error", 529: "overloaded_error",
}  # fmt: skip
_STOPS: Final = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "content_filter": "refusal"}
_CHOICES: Final = {"auto": "auto", "any": "required", "none": "none"}


def answer(server: Server, request: Request) -> Response | Flow[Response]:
    """Answer a request in this dialect."""
    try:
        if request.method == "GET" and request.path.startswith("/v1/models"):
            return _models(server, request)
        if request.method != "POST" or request.path not in ("/v1/messages", "/v1/messages/count_tokens"):
            raise NotFoundError.because(f"There is no {request.method} {request.path}.")
        body = body_of(request)
        chat = _chat(checked(body, _BODY, dotted=True))
        if request.path.endswith("count_tokens"):
            counted = message_tokens(chat["messages"], chat["model"], chat.get("tools"))
            return json_answer(Response(200), 200, {"input_tokens": counted})
        member(body, "max_tokens", int, required=True)
        key = request.headers.get("x-api-key") or (request.headers.get("authorization") or "").removeprefix("Bearer ")
        made: Any = asked(server, request, key, "/v1/chat/completions", chat, lambda said: _said(said, chat))
        return made  # type: ignore[no-any-return]
    except APIStatusError as error:
        return _error(error.to_response())


def _models(server: Server, request: Request) -> Response:
    names = model_ids(server)
    told = [{"type": "model", "id": name, "display_name": name, "created_at": "2026-01-01T00:00:00Z"} for name in names]
    wanted = request.path.removeprefix("/v1/models").strip("/")
    if wanted:
        found = next((each for each in told if each["id"] == wanted), None)
        if found is None:
            raise NotFoundError.because(f"model: {wanted}")
        return json_answer(Response(200), 200, found)
    page = {
        "data": told,
        "has_more": False,
        "first_id": names[0] if names else None,
        "last_id": names[-1] if names else None,
    }
    return json_answer(Response(200), 200, page)


# What is asked

_SAID: Final = {"anyOf": [TEXT, several(having(text=TEXT))]}
_BLOCK: Final = having(type=TEXT, text=TEXT, source=OBJECT, content=_SAID)
_BODY: Final = having(
    system=_SAID,
    messages=several({"properties": {"role": TEXT, "content": {"anyOf": [TEXT, several(_BLOCK)]}}}),
    tools=several({"type": "object"}),
    tool_choice=having(type=TEXT, name=TEXT),
    stop_sequences=several({"type": "string"}),
)
"""What is read of a body, by its kinds."""


def _chat(body: Mapping[str, Any]) -> dict[str, Any]:
    """The chat completion that asks the same."""
    messages: list[dict[str, Any]] = []
    system = body.get("system")
    if system:
        messages.append({"role": "system", "content": system if isinstance(system, str) else _texts(system)})
    given = member(body, "messages", list, required=True)
    if not given:
        raise BadRequestError.because("messages: at least one message is required", param="messages")
    for place, each in enumerate(given):
        messages += _messages(each, f"messages.{place}")
    chat: dict[str, Any] = {
        "model": member(body, "model", str, required=True),
        "messages": messages,
        "max_completion_tokens": member(body, "max_tokens", int),
        "temperature": body.get("temperature"),
        "top_p": body.get("top_p"),
        "stop": (body.get("stop_sequences") or [])[:4] or None,
        "stream": True if body.get("stream") else None,
    }
    if chat["stream"]:
        chat["stream_options"] = {"include_usage": True}
    tools = [_tool(each) for each in body.get("tools") or () if isinstance(each, dict) and "input_schema" in each]
    if tools:
        chat["tools"] = tools
        choice: Any = body.get("tool_choice") or {"type": "auto"}
        if choice.get("type") == "tool":
            chat["tool_choice"] = {"type": "function", "function": {"name": choice.get("name")}}
        else:
            chat["tool_choice"] = _CHOICES.get(choice.get("type"), "auto")
        if choice.get("disable_parallel_tool_use"):
            chat["parallel_tool_calls"] = False
    return {name: value for name, value in chat.items() if value is not None}


def _tool(tool: Mapping[str, Any]) -> dict[str, Any]:
    function = {
        "name": member(tool, "name", str, required=True),
        "description": tool.get("description") or "",
        "parameters": tool["input_schema"],
    }
    return {"type": "function", "function": function}


def _messages(message: Any, where: str) -> Iterator[dict[str, Any]]:
    if not isinstance(message, dict) or message.get("role") not in ("user", "assistant"):
        raise BadRequestError.because(f'{where}.role: Input should be "user" or "assistant"', param=where)
    role, content = message["role"], message.get("content")
    if isinstance(content, str):
        yield {"role": role, "content": content}
        return
    if not isinstance(content, list):
        raise BadRequestError.because(f"{where}.content: Input should be a text or a list of blocks", param=where)
    parts: list[dict[str, Any]] = []
    calls: list[dict[str, Any]] = []
    for at, block in enumerate(content):
        kind = block.get("type") if isinstance(block, dict) else None
        read = _BLOCKS.get(kind or "")
        if read is None:
            raise BadRequestError.because(
                f"{where}.content.{at}.type: there are no blocks of type {kind!r}", param=where
            )
        if kind == "tool_result":
            yield read(block)
        elif kind == "tool_use":
            calls.append(read(block))
        else:
            parts.append(read(block))
    parts = [part for part in parts if part]
    if role == "assistant":
        text = "".join(part.get("text", "") for part in parts)
        yield {"role": role, "content": text or None, **({"tool_calls": calls} if calls else {})}
    elif parts:
        yield {"role": role, "content": parts}


def _image(block: Mapping[str, Any]) -> dict[str, Any]:
    source: Any = block.get("source") or {}
    url = source.get("url") or f"data:{source.get('media_type')};base64,{source.get('data')}"
    return {"type": "image_url", "image_url": {"url": url}}


def _call(block: Mapping[str, Any]) -> dict[str, Any]:
    arguments = orjson.dumps(block.get("input") or {}).decode()
    return {"id": block.get("id"), "type": "function", "function": {"name": block.get("name"), "arguments": arguments}}


def _result(block: Mapping[str, Any]) -> dict[str, Any]:
    content: Any = block.get("content") or ""
    return {
        "role": "tool",
        "tool_call_id": block.get("tool_use_id"),
        "content": content if isinstance(content, str) else _texts(content),
    }


_BLOCKS: Final[dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]]] = {
    "text": lambda block: {"type": "text", "text": block.get("text") or ""},
    "image": _image,
    "document": lambda block: {"type": "text", "text": str((block.get("source") or {}).get("data") or "")},
    "tool_use": _call,
    "tool_result": _result,
    "thinking": lambda block: {},
    "redacted_thinking": lambda block: {},
}


def _texts(blocks: Any) -> str:
    return "\n".join(each.get("text") or "" for each in blocks if isinstance(each, dict))


# What is answered


def _said(said: Response, chat: Mapping[str, Any]) -> Response:
    if said.status != 200:
        return _error(said)
    if is_events(said):
        events = _Events(chat["model"])
        return Response(200, EVENTS, relayed_events(said, events.feed, events.end), said.request)
    body = orjson.loads(said.content)
    choice = body["choices"][0]
    message = choice["message"]
    content: list[dict[str, Any]] = []
    text = message.get("content") or message.get("refusal")
    if text:
        content.append({"type": "text", "text": text, "citations": None})
    for call in message.get("tool_calls") or ():
        function = call["function"]
        content.append({"type": "tool_use", "id": _id(call["id"]), "name": function["name"], "input": _input(function)})
    stop = "refusal" if message.get("refusal") else _STOPS.get(choice["finish_reason"], "end_turn")
    told = _message(body["id"], chat["model"], content, stop, body["usage"])
    return json_answer(said, 200, told, [("request-id", f"req_{body['id'][9:]}")])


def _message(id: str, model: str, content: list[Any], stop: str | None, usage: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": f"msg_{id.removeprefix('chatcmpl-')}",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": content,
        "stop_reason": stop,
        "stop_sequence": None,
        "usage": _usage(usage),
    }


def _usage(usage: Mapping[str, Any]) -> dict[str, int]:
    """Tokens that were read anew are told apart from those of the cache."""
    cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
    return {
        "input_tokens": max(0, usage.get("prompt_tokens", 0) - cached),
        "output_tokens": usage.get("completion_tokens", 0),
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": cached,
    }


def _id(id: str) -> str:
    return f"toolu_{id.removeprefix('call_')}"


def _input(function: Mapping[str, Any]) -> Any:
    try:
        return orjson.loads(function["arguments"] or "{}")
    except orjson.JSONDecodeError:  # a model that misbehaves
        return {"_invalid": function["arguments"]}


class _Events:
    """The events of a streamed message."""

    def __init__(self, model: str) -> None:
        self.model = model
        self.index = -1
        self.open: str | None = None
        self.stop = "end_turn"
        self.usage: Mapping[str, Any] = {}
        self.begun = self.failed = False

    def feed(self, chunk: dict[str, Any]) -> Iterable[bytes]:
        if chunk.get("error"):
            self.failed = True
            kind = _ERRORS.get(chunk["error"].get("code"), "api_error")
            yield _event("error", error={"type": kind, "message": chunk["error"].get("message")})
            return
        if not self.begun:
            self.begun = True
            yield _event("message_start", message=_message(chunk["id"], self.model, [], None, {}))
            yield _event("ping")
        if chunk.get("usage"):
            self.usage = chunk["usage"]
        for choice in chunk.get("choices") or ():
            delta = choice["delta"]
            text = delta.get("content") or delta.get("refusal")
            if text:
                if self.open != "text":
                    yield from self._start("text", {"type": "text", "text": ""})
                yield _event("content_block_delta", index=self.index, delta={"type": "text_delta", "text": text})
            for call in delta.get("tool_calls") or ():
                function = call.get("function") or {}
                if call.get("id"):
                    block: dict[str, Any] = {
                        "type": "tool_use",
                        "id": _id(call["id"]),
                        "name": function.get("name"),
                        "input": {},
                    }
                    yield from self._start("tool", block)
                if function.get("arguments"):
                    part = {"type": "input_json_delta", "partial_json": function["arguments"]}
                    yield _event("content_block_delta", index=self.index, delta=part)
            if delta.get("refusal"):
                self.stop = "refusal"
            elif choice.get("finish_reason") and self.stop != "refusal":
                self.stop = _STOPS.get(choice["finish_reason"], "end_turn")

    def _start(self, kind: str, block: dict[str, Any]) -> Iterable[bytes]:
        yield from self._end_block()
        self.open = kind
        self.index += 1
        yield _event("content_block_start", index=self.index, content_block=block)

    def _end_block(self) -> Iterable[bytes]:
        if self.open is not None:
            self.open = None
            yield _event("content_block_stop", index=self.index)

    def end(self) -> Iterable[bytes]:
        if self.failed or not self.begun:
            return
        yield from self._end_block()
        usage = _usage(self.usage)
        yield _event("message_delta", delta={"stop_reason": self.stop, "stop_sequence": None}, usage=usage)
        yield _event("message_stop")


def _event(kind: str, **members: Any) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), orjson.dumps({"type": kind, **members}))


def _error(said: Response) -> Response:
    try:
        error: Any = orjson.loads(said.content)["error"]
        message = error.get("message")
    except (ValueError, KeyError, TypeError, AttributeError):
        return said
    status = said.status
    told = {"type": "error", "error": {"type": _ERRORS.get(status, "api_error"), "message": message}}
    return json_answer(said, status, told)
