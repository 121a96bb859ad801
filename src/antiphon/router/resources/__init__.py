"""What an endpoint answers with: a call of the API and its parameters, made anew for each request by a factory."""

from __future__ import annotations

from .agent import AgentResource
from .base import Resource, StreamingResource
from .chat import ChatCompletionResource
from .passed import EmbeddingsResource, ImagesResource, SpeechResource, TranscriptionResource
from .responses import ResponsesResource

__all__ = (
    "AgentResource",
    "ChatCompletionResource",
    "EmbeddingsResource",
    "ImagesResource",
    "Resource",
    "ResponsesResource",
    "SpeechResource",
    "StreamingResource",
    "TranscriptionResource",
)
