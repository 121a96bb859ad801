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

from typing import TYPE_CHECKING

from ..kernel.lazy import lazily

if TYPE_CHECKING:
    from .answers import Answer as Answer
    from .answers import Asked as Asked
    from .answers import ComposedAnswer as ComposedAnswer
    from .answers import Layer as Layer
    from .answers import Opening as Opening
    from .errors import Failed as Failed
    from .errors import Refused as Refused
    from .formats import Format as Format
    from .formats import Writer as Writer
    from .limits import Limits as Limits
    from .resources import ChatCompletionResource as ChatCompletionResource
    from .resources import Resource as Resource
    from .routing import OpenAIAPIRouter as OpenAIAPIRouter
    from .sockets import WebSocketSession as WebSocketSession
    from .streaming import StreamingResponse as StreamingResponse

_WHERE = {
    "Answer": ".answers",
    "Asked": ".answers",
    "ChatCompletionResource": ".resources",
    "ComposedAnswer": ".answers",
    "Failed": ".errors",
    "Format": ".formats",
    "Layer": ".answers",
    "Limits": ".limits",
    "OpenAIAPIRouter": ".routing",
    "Opening": ".answers",
    "Refused": ".errors",
    "Resource": ".resources",
    "StreamingResponse": ".streaming",
    "WebSocketSession": ".sockets",
    "Writer": ".formats",
}

__all__ = tuple(sorted(_WHERE))  # pyright: ignore[reportUnsupportedDunderAll]
__getattr__, __dir__ = lazily(__name__, _WHERE)
