"""What a chat passes on to every completion, as `chat.completions.create` takes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Literal

    from ...kernel.omit import NotGiven
    from ...kernel.options import Body, Headers, Query, Timeout
    from ...types.chat import completion_create_params
    from ...types.chat.chat_completion_audio_param import ChatCompletionAudioParam
    from ...types.chat.chat_completion_function_call_option_param import ChatCompletionFunctionCallOptionParam
    from ...types.chat.chat_completion_prediction_content_param import ChatCompletionPredictionContentParam
    from ...types.chat.chat_completion_stream_options_param import ChatCompletionStreamOptionsParam
    from ...types.chat.chat_completion_tool_choice_option_param import ChatCompletionToolChoiceOptionParam
    from ...types.shared.reasoning_effort import ReasoningEffort
    from ...types.shared_params.metadata import Metadata

__all__ = ("ChatOptions",)


class ChatOptions(TypedDict, total=False):
    """Every parameter of `chat.completions.create` but those the chat itself gives: the model, the messages, the
    tools, and whether to stream.
    """

    audio: ChatCompletionAudioParam | None
    frequency_penalty: float | None
    function_call: Literal["none", "auto"] | ChatCompletionFunctionCallOptionParam
    functions: Iterable[completion_create_params.Function]
    logit_bias: dict[str, int] | None
    logprobs: bool | None
    max_completion_tokens: int | None
    max_tokens: int | None
    metadata: Metadata | None
    modalities: list[Literal["text", "audio"]] | None
    moderation: completion_create_params.Moderation | None
    n: int | None
    parallel_tool_calls: bool
    prediction: ChatCompletionPredictionContentParam | None
    presence_penalty: float | None
    prompt_cache_key: str
    prompt_cache_options: completion_create_params.PromptCacheOptions
    prompt_cache_retention: Literal["in_memory", "24h"] | None
    reasoning_effort: ReasoningEffort | None
    response_format: completion_create_params.ResponseFormat
    safety_identifier: str
    seed: int | None
    service_tier: Literal["auto", "default", "flex", "scale", "priority", "fast"] | None
    stop: str | Sequence[str] | None
    store: bool | None
    stream_options: ChatCompletionStreamOptionsParam | None
    temperature: float | None
    tool_choice: ChatCompletionToolChoiceOptionParam
    top_logprobs: int | None
    top_p: float | None
    user: str
    verbosity: Literal["low", "medium", "high"] | None
    web_search_options: completion_create_params.WebSearchOptions
    extra_headers: Headers | None
    extra_query: Query | None
    extra_body: Body | None
    timeout: float | Timeout | None | NotGiven
