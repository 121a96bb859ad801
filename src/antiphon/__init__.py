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
    from . import types
    from .client import AsyncOpenAI, OpenAI
    from .client.azure import AsyncAzureOpenAI, AzureOpenAI
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
    from .lib import (
        function_tool,
        pydantic_function_tool,
        pydantic_responses_function_tool,
        responses_function_tool,
    )
    from .lib.streaming import AssistantEventHandler, AsyncAssistantEventHandler
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
    "AsyncOpenAI",
    "AsyncStream",
    "AuthenticationError",
    "AzureOpenAI",
    "BadRequestError",
    "ConflictError",
    "ContentFilterFinishReasonError",
    "DataResidency",
    "Err",
    "Failure",
    "FakeOpenAI",
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
    "RateLimitError",
    "Result",
    "Stream",
    "SubjectTokenProviderError",
    "Timeout",
    "UnprocessableEntityError",
    "WebSocketConnectionClosedError",
    "WebSocketQueueFullError",
    "__version__",
    "function_tool",
    "not_given",
    "omit",
    "pydantic_function_tool",
    "pydantic_responses_function_tool",
    "responses_function_tool",
    "types",
)

if not TYPE_CHECKING:
    _HOMES = {
        ".client": ("AsyncOpenAI", "OpenAI"),
        ".client.azure": ("AsyncAzureOpenAI", "AzureOpenAI"),
        ".client.client": ("DataResidency",),
        ".fake": ("FakeOpenAI",),
        ".kernel.errors": tuple(name for name in __all__ if name.endswith("Error")),
        ".kernel.omit": ("NOT_GIVEN", "NotGiven", "Omit", "not_given", "omit"),
        ".kernel.options": ("Timeout",),
        ".kernel.raw": ("APIResponse", "AsyncAPIResponse"),
        ".kernel.result": ("Err", "Failure", "Ok", "Result"),
        ".kernel.stream": ("AsyncStream", "Stream"),
        ".lib": tuple(name for name in __all__ if name.endswith("_tool")),
        ".lib.streaming": ("AssistantEventHandler", "AsyncAssistantEventHandler"),
        ".transports.network": ("NetworkTransport",),
    }
    __getattr__, __dir__ = lazily(
        __name__, {**{name: home for home, names in _HOMES.items() for name in names}, "types": ".types:"}
    )
