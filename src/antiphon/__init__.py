"""Antiphon: the OpenAI API in Python, in both voices.

    from antiphon import OpenAI, AsyncOpenAI     # the client: the whole API, typed
    from antiphon import FakeOpenAI              # the fake: a complete stand-in, in process or on a port
    from antiphon import Gateway                 # the gateway: the API in front of models on servers of your own

Importing this package loads nothing but itself and the standard library; each name is loaded when it is used.
"""

from __future__ import annotations

import os as _os
from typing import TYPE_CHECKING, Any

from .kernel.lazy import lazily
from .version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from . import providers, types
    from .api.admin import Admin
    from .api.audio import Audio
    from .api.batches import Batches
    from .api.beta import Beta
    from .api.chat import Chat as ChatResource
    from .api.completions import Completions
    from .api.containers import Containers
    from .api.content_provenance_checks import ContentProvenanceChecks
    from .api.conversations import Conversations
    from .api.decisions import Decisions
    from .api.edits import Edits
    from .api.embeddings import Embeddings
    from .api.evals import Evals
    from .api.files import Files
    from .api.fine_tunes import FineTunes
    from .api.fine_tuning import FineTuning
    from .api.images import Images
    from .api.live import Live
    from .api.models import Models
    from .api.moderations import Moderations
    from .api.realtime import Realtime
    from .api.responses import Responses
    from .api.safety import Safety
    from .api.skills import Skills
    from .api.uploads import Uploads
    from .api.vector_stores import VectorStores
    from .api.videos import Videos
    from .api.webhooks import Webhooks
    from .client import AsyncOpenAI, OpenAI, media
    from .client import AsyncOpenAI as AsyncClient
    from .client import OpenAI as Client
    from .client.azure import AsyncAzureOpenAI, AzureOpenAI
    from .client.base import DEFAULT_MAX_RETRIES, DEFAULT_TIMEOUT
    from .client.bedrock import AsyncBedrockOpenAI, BedrockOpenAI
    from .client.chat import AsyncChat, Chat, FunctionTool
    from .client.client import DataResidency
    from .client.direct import RequestOptions
    from .client.hooks import Attempt, Hooks
    from .fake import FakeOpenAI
    from .gateway import Gateway, GatewayConfig, ModelConfig
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
    from .kernel.files import file_from_path
    from .kernel.omit import NOT_GIVEN, NotGiven, Omit, not_given, omit
    from .kernel.operation import Sync
    from .kernel.options import Timeout
    from .kernel.raw import APIResponse, AsyncAPIResponse
    from .kernel.result import Err, Failure, Ok, Result
    from .kernel.stream import AsyncStream, Stream
    from .kernel.vectors import cosine_distance, cosine_similarity
    from .kernel.view import View as BaseModel
    from .kernel.websocket import ReconnectingEvent, ReconnectingOverrides
    from .lib import (
        function_tool,
        pydantic_function_tool,
        pydantic_responses_function_tool,
        responses_function_tool,
    )
    from .lib.computer import AsyncComputerDriver, AsyncComputerToolset, ComputerDriver, ComputerToolset
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
    "DEFAULT_MAX_RETRIES",
    "DEFAULT_TIMEOUT",
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
    "AsyncBedrockOpenAI",
    "AsyncChat",
    "AsyncClient",
    "AsyncComputerDriver",
    "AsyncComputerToolset",
    "AsyncOpenAI",
    "AsyncStream",
    "Attempt",
    "AuthenticationError",
    "AzureOpenAI",
    "BadRequestError",
    "BaseModel",
    "BedrockOpenAI",
    "Chat",
    "Client",
    "ComputerDriver",
    "ComputerToolset",
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
    "Gateway",
    "GatewayConfig",
    "Hooks",
    "InternalServerError",
    "InvalidWebhookSignatureError",
    "LengthFinishReasonError",
    "ModelConfig",
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
    "ReconnectingEvent",
    "ReconnectingOverrides",
    "RequestOptions",
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
    "file_from_path",
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

# Module-level use: what the resources below are made with. `client/module.py` says how.

api_key: str | Callable[[], str] | None = None
admin_api_key: str | None = None
organization: str | None = None
project: str | None = None
webhook_secret: str | None = None
base_url: str | None = None
max_retries: int = 2
default_headers: Mapping[str, str] | None = None
default_query: Mapping[str, object] | None = None
http_client: Any = None
api_type: str | None = _os.environ.get("OPENAI_API_TYPE")
"""`openai`, `azure` or `amazon-bedrock`; `None` for whichever of the first two there are credentials for."""
api_version: str | None = _os.environ.get("OPENAI_API_VERSION")
azure_endpoint: str | None = _os.environ.get("AZURE_OPENAI_ENDPOINT")
azure_ad_token: str | None = None
azure_ad_token_provider: Callable[[], str] | None = None
bedrock_token_provider: Callable[[], str] | None = None

if TYPE_CHECKING:
    timeout: float | Timeout | None
    admin: Admin[Sync]
    audio: Audio[Sync]
    batches: Batches[Sync]
    beta: Beta[Sync]
    chat: ChatResource[Sync]
    completions: Completions[Sync]
    containers: Containers[Sync]
    content_provenance_checks: ContentProvenanceChecks[Sync]
    conversations: Conversations[Sync]
    decisions: Decisions[Sync]
    edits: Edits[Sync]
    embeddings: Embeddings[Sync]
    evals: Evals[Sync]
    files: Files[Sync]
    fine_tunes: FineTunes[Sync]
    fine_tuning: FineTuning[Sync]
    images: Images[Sync]
    live: Live[Sync]
    models: Models[Sync]
    moderations: Moderations[Sync]
    realtime: Realtime[Sync]
    responses: Responses[Sync]
    safety: Safety[Sync]
    skills: Skills[Sync]
    uploads: Uploads[Sync]
    vector_stores: VectorStores[Sync]
    videos: Videos[Sync]
    webhooks: Webhooks[Sync]

if not TYPE_CHECKING:
    _RESOURCES = (
        "admin",
        "audio",
        "batches",
        "beta",
        "chat",
        "completions",
        "containers",
        "content_provenance_checks",
        "conversations",
        "decisions",
        "edits",
        "embeddings",
        "evals",
        "files",
        "fine_tunes",
        "fine_tuning",
        "images",
        "live",
        "models",
        "moderations",
        "realtime",
        "responses",
        "safety",
        "skills",
        "uploads",
        "vector_stores",
        "videos",
        "webhooks",
    )
    _HOMES = {
        ".client": ("AsyncOpenAI", "OpenAI"),
        ".client.azure": ("AsyncAzureOpenAI", "AzureOpenAI"),
        ".client.bedrock": ("AsyncBedrockOpenAI", "BedrockOpenAI"),
        ".client.chat": ("AsyncChat", "Chat", "FunctionTool"),
        ".client.base": ("DEFAULT_MAX_RETRIES", "DEFAULT_TIMEOUT"),
        ".client.client": ("DataResidency",),
        ".client.direct": ("RequestOptions",),
        ".client.hooks": ("Attempt", "Hooks"),
        ".kernel.files": ("file_from_path",),
        ".fake": ("FakeOpenAI",),
        ".gateway": ("Gateway", "GatewayConfig", "ModelConfig"),
        ".kernel.errors": tuple(name for name in __all__ if name.endswith("Error") and name != "ProviderError"),
        ".kernel.omit": ("NOT_GIVEN", "NotGiven", "Omit", "not_given", "omit"),
        ".kernel.options": ("Timeout",),
        ".kernel.raw": ("APIResponse", "AsyncAPIResponse"),
        ".kernel.result": ("Err", "Failure", "Ok", "Result"),
        ".kernel.stream": ("AsyncStream", "Stream"),
        ".kernel.websocket": ("ReconnectingEvent", "ReconnectingOverrides"),
        ".kernel.vectors": ("cosine_distance", "cosine_similarity"),
        ".lib": tuple(name for name in __all__ if name.endswith("_tool")),
        ".lib.computer": tuple(name for name in __all__ if "Computer" in name),
        ".lib.streaming": ("AssistantEventHandler", "AsyncAssistantEventHandler"),
        ".providers": ("Provider", "ProviderError", "Providers"),
        ".transports.defaults": tuple(name for name in __all__ if name.startswith("Default")),
        ".transports.network": ("NetworkTransport",),
    }
    __getattr__, __dir__ = lazily(
        __name__,
        {
            **{name: home for home, names in _HOMES.items() for name in names},
            **dict.fromkeys(_RESOURCES, ".client.module"),
            "_reset_client": ".client.module:reset",
            "timeout": ".client.base:DEFAULT_TIMEOUT",
            "AsyncClient": ".client:AsyncOpenAI",
            "BaseModel": ".kernel.view:View",
            "Client": ".client:OpenAI",
            "media": ".client.media:",
            "providers": ".providers:",
            "types": ".types:",
        },
    )
