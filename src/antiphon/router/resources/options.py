"""What resources pass on to their calls, as the API takes it. Those of a chat completion are `ChatOptions`."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Literal

    from ...kernel.omit import NotGiven
    from ...kernel.options import Body, Headers, Query, Timeout
    from ...types.audio import transcription_create_params
    from ...types.audio.transcription_include import TranscriptionInclude
    from ...types.audio_response_format import AudioResponseFormat
    from ...types.image_generate_params import Svg
    from ...types.responses import response_create_params
    from ...types.responses.response_includable import ResponseIncludable
    from ...types.responses.response_prompt_param import ResponsePromptParam
    from ...types.responses.response_text_config_param import ResponseTextConfigParam
    from ...types.responses.service_tier import ServiceTier
    from ...types.shared_params.metadata import Metadata
    from ...types.shared_params.reasoning import Reasoning

__all__ = ("EmbeddingOptions", "ImageOptions", "ResponsesOptions", "SpeechOptions", "TranscriptionOptions")


class CallOptions(TypedDict, total=False):
    """What every call takes beside its own parameters."""

    extra_headers: Headers | None
    extra_query: Query | None
    extra_body: Body | None
    timeout: float | Timeout | None | NotGiven


class ResponsesOptions(CallOptions, total=False):
    """Parameters of `responses.create`, but for those the resource gives."""

    access_programs: response_create_params.AccessPrograms
    context_management: Iterable[response_create_params.ContextManagement] | None
    conversation: response_create_params.Conversation | None
    image: response_create_params.Image
    include: list[ResponseIncludable] | None
    max_output_tokens: int | None
    max_tool_calls: int | None
    metadata: Metadata | None
    moderation: response_create_params.Moderation | None
    parallel_tool_calls: bool | None
    previous_response_id: str | None
    prompt: ResponsePromptParam | None
    prompt_cache_key: str | None
    prompt_cache_options: response_create_params.PromptCacheOptions
    prompt_cache_retention: Literal["in_memory", "24h"] | None
    reasoning: Reasoning | None
    safety_identifier: str | None
    service_tier: ServiceTier | None
    store: bool | None
    stream_options: response_create_params.StreamOptions | None
    temperature: float | None
    text: ResponseTextConfigParam
    tool_choice: response_create_params.ToolChoice
    top_logprobs: int | None
    top_p: float | None
    truncation: Literal["auto", "disabled"] | None
    user: str


class EmbeddingOptions(CallOptions, total=False):
    """Parameters of `embeddings.create`, but for those the resource gives."""

    dimensions: int
    encoding_format: Literal["float", "base64"]
    user: str


class ImageOptions(CallOptions, total=False):
    """Parameters of `images.generate`, but for those the resource gives."""

    background: Literal["transparent", "opaque", "auto"] | None
    complexity: Literal["low", "medium", "high"] | None
    frame_count: int | None
    frame_duration_ms: int | None
    moderation: Literal["low", "auto"] | None
    n: int | None
    output_compression: int | None
    output_format: Literal["png", "webp", "jpeg", "gif", "svg"] | None
    partial_images: int | None
    quality: Literal["low", "medium", "high", "xhigh", "max", "auto", "standard", "hd"] | None
    response_format: Literal["url", "b64_json"] | None
    safety_identifier: str | None
    size: str | None
    style: Literal["vivid", "natural"] | None
    svg: Svg | None
    user: str


class SpeechOptions(CallOptions, total=False):
    """Parameters of `audio.speech.create`, but for those the resource gives."""

    instructions: str
    response_format: Literal["mp3", "opus", "aac", "flac", "wav", "pcm"]
    speed: float
    stream_format: Literal["sse", "audio"]


class TranscriptionOptions(CallOptions, total=False):
    """Parameters of `audio.transcriptions.create`, but for those the resource gives."""

    chunking_strategy: transcription_create_params.ChunkingStrategy | None
    include: list[TranscriptionInclude]
    keywords: Sequence[str]
    known_speaker_names: Sequence[str]
    known_speaker_references: Sequence[str]
    language: str
    languages: Sequence[str]
    prompt: str
    response_format: AudioResponseFormat
    temperature: float
    timestamp_granularities: list[Literal["word", "segment"]]
