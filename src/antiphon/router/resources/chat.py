"""Chat completions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias, Unpack

from ...api.chat.completions import Completions
from ...client.chat import FunctionTool
from ...client.chat.options import ChatOptions
from .base import StreamingResource, checked, messages_of

if TYPE_CHECKING:
    from ...types.chat import ChatCompletion, ChatCompletionToolUnionParam
    from ..answers import Asked

    Tools: TypeAlias = Iterable[Callable[..., Any] | FunctionTool | ChatCompletionToolUnionParam]
else:
    Tools = object

__all__ = ("MODEL", "ChatCompletionResource")

MODEL = "gpt-5"
"""The model that is asked unless another is named."""

_OWN = ("messages", "model", "stream", "tools")


class ChatCompletionResource(StreamingResource):
    """A chat completion that continues the caller's conversation.

    `system` goes before the caller's messages. `tools` are what the model may call: typed functions, of which it is
    told names, docstrings and types, or tools as the API has them. They are not run here: calls travel to the caller
    (see `AgentResource` for those that are). `response_format` may be a class. `client` is an `AsyncOpenAI`, an
    `OpenAI`, either of the official package's, a handler such as `FakeOpenAI()`, or an engine. Every other argument is
    one of `chat.completions.create`. Raises `TypeError` for what that does not take.

    A streamed answer is asked for its usage, unless `stream_options` says otherwise.
    """

    path: ClassVar[str] = "chat.completions"

    def __init__(
        self,
        *,
        client: Any = None,
        model: str = MODEL,
        stream: bool = False,
        system: str | None = None,
        tools: Tools = (),
        **options: Unpack[ChatOptions],
    ) -> None:
        super().__init__(client, checked(options, Completions.create.parameters, type(self).__name__, _OWN))
        self.model = model
        self.stream = stream
        self.system = system
        self.tools = tuple(tools)
        given: Any = self.options.get("response_format")
        if given is not None and not isinstance(given, Mapping):
            from ...lib._parsing._completions import type_to_response_format_param

            self.options["response_format"] = type_to_response_format_param(given)

    def body(self, asked: Asked) -> dict[str, Any]:
        """What is sent, but for whether to stream."""
        messages = messages_of(asked)
        if self.system is not None:
            messages = [{"role": "system", "content": self.system}, *messages]
        body = {**self.options, "model": self.model, "messages": messages}
        if self.tools:
            body["tools"] = [_tool(each) for each in self.tools]
        body.update(asked.options)
        if asked.stream if asked.stream is not None else self.stream:
            body.setdefault("stream_options", {"include_usage": True})
        else:
            body.pop("stream_options", None)
        return body

    if TYPE_CHECKING:

        async def __call__(self, messages: Sequence[Mapping[str, Any]]) -> ChatCompletion:
            """The completion as a whole. Raises the client's errors."""
            ...


def _tool(given: Any) -> Any:
    return dict(given) if isinstance(given, Mapping) else FunctionTool.of(given).to_param()
