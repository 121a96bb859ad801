"""Antiphon: the OpenAI API in Python, in both voices.

    from antiphon import OpenAI, AsyncOpenAI     # the client: the whole API, typed
    from antiphon import FakeOpenAI              # the fake: a complete stand-in, in process or on a port

Importing this package loads nothing but itself and the standard library; each name is loaded when it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .kernel.lazy import lazily
from .version import __version__

if TYPE_CHECKING:
    from . import providers, types
    from .client import AsyncOpenAI, OpenAI, media
    from .client.azure import AsyncAzureOpenAI, AzureOpenAI
    from .client.chat import AsyncChat, Chat, FunctionTool
    from .client.client import DataResidency
    from .fake import FakeOpenAI
    from .kernel.errors import (
        APIConnectionError,
        APIError,
        APIResponseValidationError,
        APIStatusError,
        APITimeoutError,
        AuthenticationError,
        BadRequestError,
        ConflictError,
        ContentFilterFinishReasonError,
        InternalServerError,
        InvalidWebhookSignatureError,
        LengthFinishReasonError,
        NotFoundError,
        OAuthError,
        OpenAIError,
        PermissionDeniedError,
        RateLimitError,
        SubjectTokenProviderError,
        UnprocessableEntityError,
        WebSocketConnectionClosedError,
        WebSocketQueueFullError,
    )
    from .kernel.omit import NOT_GIVEN, NotGiven, Omit, not_given, omit
    from .kernel.options import Timeout
    from .kernel.raw import APIResponse, AsyncAPIResponse
    from .kernel.result import Err, Failure, Ok, Result
    from .kernel.stream import AsyncStream, Stream
    from .kernel.vectors import cosine_distance, cosine_similarity
    from .lib import (
        function_tool,
        pydantic_function_tool,
        pydantic_responses_function_tool,
        responses_function_tool,
    )
    from .lib.streaming import AssistantEventHandler, AsyncAssistantEventHandler
    from .providers import Provider, ProviderError, Providers
    from .transports.defaults import (
        DefaultAioHttpClient,
        DefaultAsyncHttpx2Client,
        DefaultAsyncHttpxClient,
        DefaultHttpx2Client,
        DefaultHttpxClient,
    )
    from .transports.network import NetworkTransport

__all__ = (
    "NOT_GIVEN",
    "APIConnectionError",
    "APIError",
    "APIResponse",
    "APIResponseValidationError",
    "APIStatusError",
    "APITimeoutError",
    "AssistantEventHandler",
    "AsyncAPIResponse",
    "AsyncAssistantEventHandler",
    "AsyncAzureOpenAI",
    "AsyncChat",
    "AsyncOpenAI",
    "AsyncStream",
    "AuthenticationError",
    "AzureOpenAI",
    "BadRequestError",
    "Chat",
    "ConflictError",
    "ContentFilterFinishReasonError",
    "DataResidency",
    "DefaultAioHttpClient",
    "DefaultAsyncHttpx2Client",
    "DefaultAsyncHttpxClient",
    "DefaultHttpx2Client",
    "DefaultHttpxClient",
    "Err",
    "Failure",
    "FakeOpenAI",
    "FunctionTool",
    "InternalServerError",
    "InvalidWebhookSignatureError",
    "LengthFinishReasonError",
    "NetworkTransport",
    "NotFoundError",
    "NotGiven",
    "OAuthError",
    "Ok",
    "Omit",
    "OpenAI",
    "OpenAIError",
    "PermissionDeniedError",
    "Provider",
    "ProviderError",
    "Providers",
    "RateLimitError",
    "Result",
    "Stream",
    "SubjectTokenProviderError",
    "Timeout",
    "UnprocessableEntityError",
    "WebSocketConnectionClosedError",
    "WebSocketQueueFullError",
    "__version__",
    "cosine_distance",
    "cosine_similarity",
    "function_tool",
    "media",
    "not_given",
    "omit",
    "providers",
    "pydantic_function_tool",
    "pydantic_responses_function_tool",
    "responses_function_tool",
    "types",
)

if not TYPE_CHECKING:
    _HOMES = {
        ".client": ("AsyncOpenAI", "OpenAI"),
        ".client.azure": ("AsyncAzureOpenAI", "AzureOpenAI"),
        ".client.chat": ("AsyncChat", "Chat", "FunctionTool"),
        ".client.client": ("DataResidency",),
        ".fake": ("FakeOpenAI",),
        ".kernel.errors": tuple(name for name in __all__ if name.endswith("Error") and name != "ProviderError"),
        ".kernel.omit": ("NOT_GIVEN", "NotGiven", "Omit", "not_given", "omit"),
        ".kernel.options": ("Timeout",),
        ".kernel.raw": ("APIResponse", "AsyncAPIResponse"),
        ".kernel.result": ("Err", "Failure", "Ok", "Result"),
        ".kernel.stream": ("AsyncStream", "Stream"),
        ".kernel.vectors": ("cosine_distance", "cosine_similarity"),
        ".lib": tuple(name for name in __all__ if name.endswith("_tool")),
        ".lib.streaming": ("AssistantEventHandler", "AsyncAssistantEventHandler"),
        ".providers": ("Provider", "ProviderError", "Providers"),
        ".transports.defaults": tuple(name for name in __all__ if name.startswith("Default")),
        ".transports.network": ("NetworkTransport",),
    }
    __getattr__, __dir__ = lazily(
        __name__,
        {
            **{name: home for home, names in _HOMES.items() for name in names},
            "media": ".client.media:",
            "providers": ".providers:",
            "types": ".types:",
        },
    )
