"""Responses."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Unpack

from ...api.responses import Responses
from ...lib._function_tool import FunctionTool
from ..models import ResponsesRequest
from .base import StreamingResource, checked, messages_of
from .chat import MODEL
from .options import ResponsesOptions

if TYPE_CHECKING:
    from pydantic import BaseModel

    from ...types.responses import Response, ToolParam
    from ..answers import Asked

    Tools = Iterable[Callable[..., Any] | FunctionTool | ToolParam]

__all__ = ("ResponsesResource",)

_OWN = ("input", "instructions", "model", "stream", "tools", "background")


class ResponsesResource(StreamingResource):
    """A Response to the caller's input.

    The caller sends `input`, a text or items, or `messages`. `system` are the instructions. `tools` are typed
    functions, of which the model is told, or tools as the API has them, its own included. `text_format` is a class
    that the text has to fit. Every other argument is one of `responses.create`. Raises `TypeError` for what that does
    not take. `client` is as in `ChatCompletionResource`.
    """

    path: ClassVar[str] = "responses"
    request_model: ClassVar[type[BaseModel]] = ResponsesRequest

    def __init__(
        self,
        *,
        client: Any = None,
        model: str = MODEL,
        stream: bool = False,
        system: str | None = None,
        tools: Tools = (),
        text_format: type | None = None,
        **options: Unpack[ResponsesOptions],
    ) -> None:
        super().__init__(client, checked(options, Responses.create.parameters, type(self).__name__, _OWN))
        self.model = model
        self.stream = stream
        self.system = system
        self.tools = tuple(tools)
        if text_format is not None:
            from ...lib._parsing._responses import with_format

            self.options["text"] = with_format(self.options.get("text", {}), text_format)

    @classmethod
    def said(cls, body: Mapping[str, Any]) -> Mapping[str, Any]:
        given = body.get("input")
        if given is None or body.get("messages"):
            return body
        items = [{"role": "user", "content": given}] if isinstance(given, str) else given
        return {**body, "messages": items}

    def body(self, asked: Asked) -> dict[str, Any]:
        """What is sent, but for whether to stream."""
        custom: set[Any] = set()
        items = [item for message in messages_of(asked) for item in _items(message, custom)]
        body = {**self.options, "model": self.model, "input": items}
        if self.system is not None:
            body["instructions"] = self.system
        if self.tools:
            body["tools"] = [_tool(each) for each in self.tools]
        body.update(asked.options)
        return body

    if TYPE_CHECKING:

        async def __call__(self, messages: Sequence[Mapping[str, Any]]) -> Response:
            """The Response as a whole. Raises the client's errors."""
            ...


def _tool(given: Any) -> Any:
    return dict(given) if isinstance(given, Mapping) else FunctionTool.of(given).to_responses_param()


def _items(message: Mapping[str, Any], custom: set[Any]) -> Iterator[dict[str, Any]]:
    """The items of an input that a message of a chat completion stands for; an item as it is.

    `custom` gathers the calls of custom tools, whose results are items of another kind.
    """
    role = message.get("role")
    if message.get("type", "message") != "message" or role is None:
        yield dict(message)
        return
    content = message.get("content")
    if role == "tool":
        call_id = message.get("tool_call_id")
        yield {
            "type": "custom_tool_call_output" if call_id in custom else "function_call_output",
            "call_id": call_id,
            "output": content if isinstance(content, str) else [_part(each, "input_text") for each in content or ()],
        }
        return
    if content:
        kind = "output_text" if role == "assistant" else "input_text"
        parts = content if isinstance(content, str) else [_part(each, kind) for each in content]
        kept = {key: message[key] for key in ("id", "type", "status", "phase") if key in message}
        yield {**kept, "role": role, "content": parts}
    for call in message.get("tool_calls") or ():
        if call.get("type") == "custom":
            of = call.get("custom") or {}
            custom.add(call.get("id"))
            made = {"call_id": call.get("id"), "name": of.get("name"), "input": of.get("input") or ""}
            yield {"type": "custom_tool_call", **made}
            continue
        of = call.get("function") or {}
        yield {
            "type": "function_call",
            "call_id": call.get("id"),
            "name": of.get("name"),
            "arguments": of.get("arguments") or "{}",
        }


def _part(part: Any, text: str) -> Any:
    if not isinstance(part, Mapping):
        return {"type": text, "text": str(part)}
    kind = part.get("type")
    if kind == "text":
        return {"type": text, "text": part.get("text")}
    if kind == "image_url":
        of = part.get("image_url")
        of = of if isinstance(of, Mapping) else {"url": of}
        return {"type": "input_image", "image_url": of.get("url"), "detail": of.get("detail", "auto")}
    if kind == "file":
        return {"type": "input_file", **(part.get("file") or {})}
    return dict(part)
