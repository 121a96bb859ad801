"""The Gemini API of Google: `models/{model}:generateContent`, `:streamGenerateContent`, `:countTokens`,
`:embedContent`, `:batchEmbedContents`, and the list of models.

API reference: https://ai.google.dev/api
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, unquote

import orjson

from ...kernel.errors import APIStatusError, BadRequestError, NotFoundError
from ...kernel.http import Headers, Response
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

_STATUS: Final = {
    400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND", 409: "ABORTED",
    429: "RESOURCE_EXHAUSTED", 500: "INTERNAL", 503: "UNAVAILABLE", 504: "DEADLINE_EXCEEDED",
}  # fmt: skip
_FINISH: Final = {"stop": "STOP", "length": "MAX_TOKENS", "tool_calls": "STOP", "content_filter": "SAFETY"}
_MODES: Final = {"AUTO": "auto", "ANY": "required", "NONE": "none", "VALIDATED": "auto"}
_PREFIXES: Final = ("/v1beta/models", "/v1/models", "/v1alpha/models")


def answer(server: Server, request: Request) -> Response | Flow[Response]:
    """Answer a request in this dialect."""
    try:
        prefix = next((each for each in _PREFIXES if request.path.startswith(each)), None)
        if prefix is None:
            raise NotFoundError.because(f"There is no {request.path}.")
        rest = unquote(request.path[len(prefix) :]).strip("/")
        model, _, method = rest.rpartition(":")
        if request.method == "GET":
            return _models(server, rest)
        ask = _METHODS.get(method)
        if ask is None or not model:
            raise NotFoundError.because(f"There is no method {method!r} of models; there are {', '.join(_METHODS)}.")
        answered: Response | Flow[Response] = ask(server, request, model, body_of(request))
        return answered
    except APIStatusError as error:
        return _error(error.to_response())


def _key(request: Request) -> str | None:
    found: str | None = request.headers.get("x-goog-api-key")
    return found or next(iter(parse_qs(request.query).get("key") or ()), None)


def _models(server: Server, wanted: str) -> Response:
    methods = ["generateContent", "countTokens", "embedContent"]
    told = [
        {"name": f"models/{name}", "displayName": name, "supportedGenerationMethods": methods}
        for name in model_ids(server)
    ]
    if wanted:
        found = next((each for each in told if each["name"] == f"models/{wanted}"), None)
        if found is None:
            raise NotFoundError.because(f"models/{wanted} is not found.")
        return json_answer(Response(200), 200, found)
    return json_answer(Response(200), 200, {"models": told})


# What is asked


def _generate(server: Server, request: Request, model: str, body: Mapping[str, Any]) -> Any:
    return asked(
        server, request, _key(request), "/v1/chat/completions", _chat(model, body), lambda said: _said(said, model)
    )


def _stream(server: Server, request: Request, model: str, body: Mapping[str, Any]) -> Any:
    chat = {**_chat(model, body), "stream": True, "stream_options": {"include_usage": True}}
    events = parse_qs(request.query).get("alt") == ["sse"]
    return asked(
        server, request, _key(request), "/v1/chat/completions", chat, lambda said: _streamed(said, model, events=events)
    )


def _count(server: Server, request: Request, model: str, body: Mapping[str, Any]) -> Any:
    inner: Any = body.get("generateContentRequest") or body
    chat = _chat(model, inner)
    counted = message_tokens(chat["messages"], model, chat.get("tools"))
    return json_answer(Response(200), 200, {"totalTokens": counted})


def _embed(server: Server, request: Request, model: str, body: Mapping[str, Any]) -> Any:
    def talk(said: Response) -> Response:
        if said.status != 200:
            return _error(said)
        return json_answer(said, 200, {"embedding": {"values": orjson.loads(said.content)["data"][0]["embedding"]}})

    asking = _embedding(model, [body])
    return asked(server, request, _key(request), "/v1/embeddings", asking, talk)


def _embed_all(server: Server, request: Request, model: str, body: Mapping[str, Any]) -> Any:
    def talk(said: Response) -> Response:
        if said.status != 200:
            return _error(said)
        vectors = [{"values": each["embedding"]} for each in orjson.loads(said.content)["data"]]
        return json_answer(said, 200, {"embeddings": vectors})

    asking = _embedding(model, member(body, "requests", list, required=True))
    return asked(server, request, _key(request), "/v1/embeddings", asking, talk)


def _embedding(model: str, requests: list[Any]) -> dict[str, Any]:
    texts = [_text((each.get("content") or {}).get("parts") or ()) for each in requests]
    length = requests[0].get("outputDimensionality") if requests else None
    return {"model": model, "input": texts, **({"dimensions": length} if length else {})}


_METHODS: Final[dict[str, Callable[..., Any]]] = {
    "generateContent": _generate,
    "streamGenerateContent": _stream,
    "countTokens": _count,
    "embedContent": _embed,
    "batchEmbedContents": _embed_all,
}


_NAMED: Final = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
_PARTS: Final = several(
    {
        "type": "object",
        "properties": {
            "text": TEXT,
            "inlineData": OBJECT,
            "fileData": OBJECT,
            "functionCall": _NAMED,
            "functionResponse": OBJECT,
        },
    }
)
_CONFIG: Final = having(stopSequences=several({"type": "string"}), responseMimeType=TEXT)
_BODY: Final = having(
    contents=several({"properties": {"role": TEXT, "parts": _PARTS}}),
    systemInstruction=having(parts=_PARTS),
    system_instruction=having(parts=_PARTS),
    generationConfig=_CONFIG,
    tools=several({"type": "object", "properties": {"functionDeclarations": several(_NAMED)}}),
    toolConfig=having(
        functionCallingConfig=having(mode=TEXT, allowedFunctionNames=several({"type": "string"})),
    ),
)
"""What is read of a body, by its kinds."""


def _chat(model: str, body: Mapping[str, Any]) -> dict[str, Any]:
    checked(body, _BODY)
    messages: list[dict[str, Any]] = []
    system: Any = body.get("systemInstruction") or body.get("system_instruction")
    if system:
        messages.append({"role": "system", "content": _text(system.get("parts") or ())})
    contents = member(body, "contents", list, required=True)
    if not contents:
        raise BadRequestError.because("* GenerateContentRequest.contents: contents is not specified")
    open_calls: list[tuple[str, str]] = []
    for place, each in enumerate(contents):
        messages += _turn(each, place, open_calls)
    config: Any = body.get("generationConfig") or {}
    chat: dict[str, Any] = {
        "model": model,
        "messages": messages,
        "temperature": config.get("temperature"),
        "top_p": config.get("topP"),
        "max_completion_tokens": config.get("maxOutputTokens"),
        "stop": (config.get("stopSequences") or [])[:4] or None,
        "seed": config.get("seed"),
        "n": config.get("candidateCount"),
    }
    schema = config.get("responseJsonSchema") or config.get("responseSchema")
    if schema:
        form = {"name": "response", "schema": _lower(schema)}
        chat["response_format"] = {"type": "json_schema", "json_schema": form}
    elif config.get("responseMimeType") == "application/json":
        # The API's own JSON mode wants the word somewhere.
        messages.append({"role": "system", "content": "Answer in JSON."})
        chat["response_format"] = {"type": "json_object"}
    functions = [each for tool in body.get("tools") or () for each in tool.get("functionDeclarations") or ()]
    if functions:
        chat["tools"] = [_tool(each) for each in functions]
        told: Any = (body.get("toolConfig") or {}).get("functionCallingConfig") or {}
        allowed: Any = told.get("allowedFunctionNames") or ()
        chat["tool_choice"] = _MODES.get(told.get("mode") or "AUTO", "auto")
        if len(allowed) == 1 and told.get("mode") == "ANY":
            chat["tool_choice"] = {"type": "function", "function": {"name": allowed[0]}}
    return {name: value for name, value in chat.items() if value is not None}


def _tool(function: Mapping[str, Any]) -> dict[str, Any]:
    schema = function.get("parametersJsonSchema") or _lower(
        function.get("parameters") or {"type": "object", "properties": {}}
    )
    told = {"name": function["name"], "description": function.get("description") or "", "parameters": schema}
    return {"type": "function", "function": told}


def _lower(schema: Any) -> Any:
    """A schema with the names of types that JSON Schema has for them."""
    if isinstance(schema, list):
        return [_lower(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        name: value.lower() if name == "type" and isinstance(value, str) else _lower(value)
        for name, value in schema.items()
        if name != "propertyOrdering"
    }


def _turn(content: Any, place: int, open_calls: list[tuple[str, str]]) -> Iterable[dict[str, Any]]:
    """The messages of one turn. Calls without ids are answered in the order in which they were made."""
    if not isinstance(content, dict) or content.get("role") not in (None, "user", "model", "function"):
        raise BadRequestError.because(f"* contents[{place}].role: Please use a valid role: user, model.")
    parts: list[Any] = content.get("parts") or []
    calls = [part["functionCall"] for part in parts if "functionCall" in part]
    results = [part["functionResponse"] for part in parts if "functionResponse" in part]
    rest = [part for part in parts if "functionCall" not in part and "functionResponse" not in part]
    if content.get("role") == "model":
        told: list[dict[str, Any]] = []
        for at, call in enumerate(calls):
            key = call.get("id") or f"call_{place}_{at}"
            open_calls.append((key, call["name"]))
            arguments = orjson.dumps(call.get("args") or {}).decode()
            told.append({"id": key, "type": "function", "function": {"name": call["name"], "arguments": arguments}})
        yield {"role": "assistant", "content": _text(rest) or None, **({"tool_calls": told} if told else {})}
        return
    for result in results:
        key = result.get("id") or next((key for key, name in open_calls if name == result.get("name")), "")
        open_calls[:] = [each for each in open_calls if each[0] != key]
        yield {"role": "tool", "tool_call_id": key, "content": orjson.dumps(result.get("response")).decode()}
    shown = [_part(part) for part in rest]
    if shown:
        yield {"role": "user", "content": shown}


def _part(part: Mapping[str, Any]) -> dict[str, Any]:
    data: Any = part.get("inlineData")
    if data:
        return {"type": "image_url", "image_url": {"url": f"data:{data.get('mimeType')};base64,{data.get('data')}"}}
    file: Any = part.get("fileData")
    if file:
        return {"type": "image_url", "image_url": {"url": file.get("fileUri")}}
    return {"type": "text", "text": part.get("text") or ""}


def _text(parts: Iterable[Any]) -> str:
    return "".join(part.get("text") or "" for part in parts if not part.get("thought"))


# What is answered


def _said(said: Response, model: str) -> Response:
    if said.status != 200:
        return _error(said)
    body = orjson.loads(said.content)
    candidates: list[dict[str, Any]] = []
    for choice in body["choices"]:
        message = choice["message"]
        parts: list[dict[str, Any]] = []
        text = message.get("content") or message.get("refusal")
        if text:
            parts.append({"text": text})
        parts += [_call(call["id"], call["function"]) for call in message.get("tool_calls") or ()]
        candidates.append(_candidate(parts, choice["finish_reason"], choice["index"]))
    return json_answer(said, 200, _response(candidates, model, body["id"], body["usage"]))


def _call(id: str, function: Mapping[str, Any]) -> dict[str, Any]:
    try:
        arguments = orjson.loads(function.get("arguments") or "{}")
    except orjson.JSONDecodeError:  # a model that misbehaves
        arguments = {"_invalid": function["arguments"]}
    return {"functionCall": {"id": id, "name": function.get("name"), "args": arguments}}


def _candidate(parts: list[Any], finish: str | None, index: int = 0) -> dict[str, Any]:
    told: dict[str, Any] = {"content": {"parts": parts, "role": "model"}, "index": index}
    return told if finish is None else {**told, "finishReason": _FINISH.get(finish, "OTHER")}


def _response(candidates: list[Any], model: str, id: str, usage: Mapping[str, Any] | None) -> dict[str, Any]:
    told: dict[str, Any] = {"candidates": candidates, "modelVersion": model, "responseId": id.removeprefix("chatcmpl-")}
    if usage:
        told["usageMetadata"] = {
            "promptTokenCount": usage["prompt_tokens"],
            "candidatesTokenCount": usage["completion_tokens"],
            "totalTokenCount": usage["total_tokens"],
        }
        cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens")
        if cached:
            told["usageMetadata"]["cachedContentTokenCount"] = cached
    return told


def _streamed(said: Response, model: str, *, events: bool) -> Response:
    if said.status != 200 or not is_events(said):
        return _error(said)
    parts = _Parts(model, events=events)
    headers = EVENTS if events else Headers.of([("content-type", "application/json")])
    return Response(200, headers, relayed_events(said, parts.feed, parts.end), said.request)


class _Parts:
    """The parts of a streamed answer. Calls are told whole, at the end."""

    def __init__(self, model: str, *, events: bool) -> None:
        self.model = model
        self.events = events
        self.id = ""
        self.calls: dict[int, dict[str, Any]] = {}
        self.finish: str | None = None
        self.usage: Mapping[str, Any] | None = None
        self.told = self.failed = False

    def feed(self, chunk: dict[str, Any]) -> Iterable[bytes]:
        if chunk.get("error"):
            self.failed = True
            error = {"code": 500, "message": chunk["error"].get("message"), "status": "INTERNAL"}
            yield self._out({"error": error})
            return
        self.id = chunk.get("id") or self.id
        self.usage = chunk.get("usage") or self.usage
        for choice in chunk.get("choices") or ():
            delta = choice["delta"]
            text = delta.get("content") or delta.get("refusal")
            if text:
                yield self._out(_response([_candidate([{"text": text}], None)], self.model, self.id, None))
            for call in delta.get("tool_calls") or ():
                kept = self.calls.setdefault(call["index"], {"id": call.get("id"), "name": "", "arguments": ""})
                function = call.get("function") or {}
                kept["name"] += function.get("name") or ""
                kept["arguments"] += function.get("arguments") or ""
            self.finish = choice.get("finish_reason") or self.finish

    def end(self) -> Iterable[bytes]:
        if not self.failed and self.id:
            calls = [_call(call["id"], call) for call in self.calls.values()]
            last = _candidate(calls or [{"text": ""}], self.finish or "stop")
            yield self._out(_response([last], self.model, self.id, self.usage))
        if not self.events:
            yield b"]" if self.told else b"[]"

    def _out(self, value: Any) -> bytes:
        data = orjson.dumps(value)
        if self.events:
            return b"data: %b\r\n\r\n" % data
        before = b"," if self.told else b"["
        self.told = True
        return before + data


def _error(said: Response) -> Response:
    try:
        error: Any = orjson.loads(said.content)["error"]
        message = error.get("message")
    except (ValueError, KeyError, TypeError, AttributeError):
        return said
    told = {"error": {"code": said.status, "message": message, "status": _STATUS.get(said.status, "UNKNOWN")}}
    return json_answer(said, said.status, told)
