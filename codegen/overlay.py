"""What is not taken over as it stands, and what is written by hand in its place. Every line has its reason."""

from __future__ import annotations

__all__ = (
    "BASES",
    "DEPRECATIONS",
    "HELPERS",
    "LOCAL_PARAMETERS",
    "SKIPPED_MEMBERS",
    "WRITTEN",
    "WRITTEN_MODULES",
)

WRITTEN_MODULES = {
    "openai.types.websocket_connection_options": "antiphon.kernel.websocket",
    "openai.types.websocket_reconnection": "antiphon.kernel.websocket",
}
"""Modules of `openai.types` that are written by hand, and where."""

SKIPPED_MEMBERS = {
    "__api_exclude__": "tells pydantic what to leave out of a dump",
    "__pydantic_extra__": "pydantic's own bookkeeping; a view keeps unknown fields anyway",
}
"""Class members that are left out."""

BASES = {
    "openai.types.embedding.Embedding": "VectorOf",
    "openai.types.responses.response.Response": "ResponseText",
    "openai.types.chat.parsed_chat_completion.ParsedChatCompletionMessage": "Parsed",
    "openai.types.chat.parsed_function_tool_call.ParsedFunctionToolCall": "Parsed",
    "openai.types.responses.parsed_response.ParsedResponse": "ParsedOutput[ContentType]",
    "openai.types.responses.parsed_response.ParsedResponseFunctionToolCall": "Parsed",
    "openai.types.responses.parsed_response.ParsedResponseOutputMessage": "Parsed",
    "openai.types.responses.parsed_response.ParsedResponseOutputText": "Parsed",
    "openai.types.beta.agent_session_message.AgentSessionMessage": "MessageText",
}
"""Classes with behaviour of their own: the base in `antiphon.kernel.extras` that has it."""

HELPERS: dict[str, str] = {
    "beta.agents.environments.files": "agents:EnvironmentFiles",
    "beta.agents.sessions": "agents:SessionStreams",
    "beta.agents.sessions.artifacts": "agents:ResultArtifacts",
    "beta.realtime": "connect:BetaRealtimeConnect",
    "beta.responses": "connect:BetaResponsesConnect",
    "beta.threads": "polling:ThreadPolling ._typed.threads:ThreadStreams",
    "beta.threads.runs": "polling:RunPolling ._typed.runs:RunStreams",
    "chat.completions": "._typed.completions:ChatStructured",
    "files": "polling:FileProcessing",
    "live": "connect:LiveConnect",
    "live.forks": "connect:ForksConnect",
    "live.sideband": "connect:SidebandConnect",
    "realtime": "connect:RealtimeConnect",
    "realtime.translations": "connect:TranslationsConnect",
    "responses": "connect:ResponsesConnect ._typed.responses:ResponsesStructured",
    "uploads": "polling:ChunkedUploads",
    "vector_stores.file_batches": "polling:FileBatchPolling",
    "vector_stores.files": "polling:VectorStoreFilePolling",
    "videos": "polling:VideoPolling",
    "webhooks": "webhooks:WebhookReceiver",
}
"""Resources with methods of their own beside operations, such as `chat.completions` with `parse` and `stream`: the
class that has them, by the path of the resource, as `module:Class` of `antiphon.api._helpers`, or, with a dot, of
`antiphon.api`; several are separated by spaces. That folder is written by hand; the class is generic in the voice like
any resource, and becomes a base of the generated one.
"""

LOCAL_PARAMETERS = {
    "output_type": "of `beta.agents.sessions.create`: a Python class to read the answer into",
    "tool_handlers": "of `beta.agents.sessions.create`: Python functions to run",
}
"""Parameters that are no part of a request: the client acts on them."""

DEPRECATIONS = {
    "beta.assistants": "the Assistants API gave way to the Responses API",
    "beta.threads": "the Assistants API gave way to the Responses API",
    "videos": "the video API ends on 24 September 2026",
    "files.retrieve_content": "use `files.content`",
    "fine_tuning.checkpoints.permissions.retrieve": "use `fine_tuning.checkpoints.permissions.list`",
    "audio.translations": "the API no longer recommends it",
    "images.create_variation": "the API no longer recommends it",
}
"""Why an operation that the official package marks as deprecated is, in our words, by name or by the start of it."""

WRITTEN = frozenset(
    (
        "api/edits.py",
        "api/fine_tunes.py",
        "schema/legacy.json",
        "types/edit.py",
        "types/fine_tune.py",
        "types/fine_tune_event.py",
    )
)
"""Modules among the generated ones that are written by hand: what the official package has dropped."""
