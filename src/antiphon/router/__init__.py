"""FastAPI endpoints that answer with a model, each made of one function.

    from antiphon.router import ChatCompletionResource, OpenAIAPIRouter

    router = OpenAIAPIRouter()

    @router.post("/chat")
    def chat(stream: bool = True) -> ChatCompletionResource:
        return ChatCompletionResource(stream=stream, system="You are terse.")

    app.include_router(router)

Needs `antiphon[router]`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..kernel.lazy import lazily

if TYPE_CHECKING:
    from .answers import Answer as Answer
    from .answers import Asked as Asked
    from .answers import ComposedAnswer as ComposedAnswer
    from .answers import Layer as Layer
    from .answers import Opening as Opening
    from .answers import PassedAnswer as PassedAnswer
    from .answers import StreamedAnswer as StreamedAnswer
    from .answers import WholeAnswer as WholeAnswer
    from .clients.exchange import ServerSentEvent as ServerSentEvent
    from .clients.sockets import AsyncWebSocketClient as AsyncWebSocketClient
    from .clients.sockets import AsyncWebSocketConnection as AsyncWebSocketConnection
    from .clients.sockets import WebSocketClient as WebSocketClient
    from .clients.sockets import WebSocketConnection as WebSocketConnection
    from .clients.streaming import AsyncStreamingClient as AsyncStreamingClient
    from .clients.streaming import StreamingClient as StreamingClient
    from .clients.talk import DataMode as DataMode
    from .depends import Depends as Depends
    from .errors import Failed as Failed
    from .errors import Refused as Refused
    from .events import Citation as Citation
    from .events import Error as Error
    from .events import Event as Event
    from .events import Finish as Finish
    from .events import Reasoning as Reasoning
    from .events import Refusal as Refusal
    from .events import Start as Start
    from .events import Step as Step
    from .events import Text as Text
    from .events import ToolArguments as ToolArguments
    from .events import ToolCall as ToolCall
    from .events import ToolResult as ToolResult
    from .events import Usage as Usage
    from .formats import Format as Format
    from .formats import Writer as Writer
    from .layers import Accounting as Accounting
    from .layers import Budget as Budget
    from .layers import Memory as Memory
    from .layers import Price as Price
    from .layers import SemanticCache as SemanticCache
    from .layers import Spent as Spent
    from .layers import Totals as Totals
    from .limits import Limits as Limits
    from .resources import AgentResource as AgentResource
    from .resources import ChatCompletionResource as ChatCompletionResource
    from .resources import EmbeddingsResource as EmbeddingsResource
    from .resources import ImagesResource as ImagesResource
    from .resources import Resource as Resource
    from .resources import ResponsesResource as ResponsesResource
    from .resources import SpeechResource as SpeechResource
    from .resources import StreamingResource as StreamingResource
    from .resources import TranscriptionResource as TranscriptionResource
    from .routing import OpenAIAPIRouter as OpenAIAPIRouter
    from .sockets import WebSocketSession as WebSocketSession
    from .stores import MemoryStore as MemoryStore
    from .stores import SQLiteStore as SQLiteStore
    from .stores import Store as Store
    from .streaming import StreamingResponse as StreamingResponse

_WHERE = {
    "Accounting": ".layers",
    "AgentResource": ".resources",
    "Answer": ".answers",
    "Asked": ".answers",
    "AsyncStreamingClient": ".clients.streaming",
    "AsyncWebSocketClient": ".clients.sockets",
    "AsyncWebSocketConnection": ".clients.sockets",
    "Budget": ".layers",
    "ChatCompletionResource": ".resources",
    "Citation": ".events",
    "ComposedAnswer": ".answers",
    "DataMode": ".clients.talk",
    "Depends": ".depends",
    "EmbeddingsResource": ".resources",
    "Error": ".events",
    "Event": ".events",
    "Failed": ".errors",
    "Finish": ".events",
    "Format": ".formats",
    "ImagesResource": ".resources",
    "Layer": ".answers",
    "Limits": ".limits",
    "Memory": ".layers",
    "MemoryStore": ".stores",
    "OpenAIAPIRouter": ".routing",
    "Opening": ".answers",
    "PassedAnswer": ".answers",
    "Price": ".layers",
    "Reasoning": ".events",
    "Refusal": ".events",
    "Refused": ".errors",
    "Resource": ".resources",
    "ResponsesResource": ".resources",
    "SQLiteStore": ".stores",
    "SemanticCache": ".layers",
    "ServerSentEvent": ".clients.exchange",
    "SpeechResource": ".resources",
    "Spent": ".layers",
    "Start": ".events",
    "Step": ".events",
    "Store": ".stores",
    "StreamedAnswer": ".answers",
    "StreamingClient": ".clients.streaming",
    "StreamingResource": ".resources",
    "StreamingResponse": ".streaming",
    "Text": ".events",
    "ToolArguments": ".events",
    "ToolCall": ".events",
    "ToolResult": ".events",
    "Totals": ".layers",
    "TranscriptionResource": ".resources",
    "Usage": ".events",
    "WebSocketClient": ".clients.sockets",
    "WebSocketConnection": ".clients.sockets",
    "WebSocketSession": ".sockets",
    "WholeAnswer": ".answers",
    "Writer": ".formats",
}

__all__ = tuple(sorted(_WHERE))  # pyright: ignore[reportUnsupportedDunderAll]
_find, __dir__ = lazily(__name__, _WHERE)


def __getattr__(name: str) -> Any:
    try:
        return _find(name)
    except ModuleNotFoundError as error:
        if error.name in ("fastapi", "starlette", "pydantic"):
            raise ImportError("the router needs FastAPI: install `antiphon[router]`") from error
        raise
