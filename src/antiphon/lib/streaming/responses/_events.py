"""What a streamed response tells: the API's own events, four of them with more than the API sends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeAlias

from ....kernel.lazy import lazily
from ....types.responses.response_completed_event import ResponseCompletedEvent as RawResponseCompletedEvent
from ....types.responses.response_function_call_arguments_delta_event import (
    ResponseFunctionCallArgumentsDeltaEvent as RawResponseFunctionCallArgumentsDeltaEvent,
)
from ....types.responses.response_text_delta_event import ResponseTextDeltaEvent as RawResponseTextDeltaEvent
from ....types.responses.response_text_done_event import ResponseTextDoneEvent as RawResponseTextDoneEvent
from ..._late import Late
from ..._variables import TextFormatT

if TYPE_CHECKING:
    from ....types.responses.parsed_response import ParsedResponse
    from ....types.responses.response_audio_delta_event import ResponseAudioDeltaEvent
    from ....types.responses.response_audio_done_event import ResponseAudioDoneEvent
    from ....types.responses.response_audio_transcript_delta_event import ResponseAudioTranscriptDeltaEvent
    from ....types.responses.response_audio_transcript_done_event import ResponseAudioTranscriptDoneEvent
    from ....types.responses.response_code_interpreter_call_code_delta_event import (
        ResponseCodeInterpreterCallCodeDeltaEvent,
    )
    from ....types.responses.response_code_interpreter_call_code_done_event import (
        ResponseCodeInterpreterCallCodeDoneEvent,
    )
    from ....types.responses.response_code_interpreter_call_completed_event import (
        ResponseCodeInterpreterCallCompletedEvent,
    )
    from ....types.responses.response_code_interpreter_call_in_progress_event import (
        ResponseCodeInterpreterCallInProgressEvent,
    )
    from ....types.responses.response_code_interpreter_call_interpreting_event import (
        ResponseCodeInterpreterCallInterpretingEvent,
    )
    from ....types.responses.response_compaction_compacting_event import ResponseCompactionCompactingEvent
    from ....types.responses.response_content_part_added_event import ResponseContentPartAddedEvent
    from ....types.responses.response_content_part_done_event import ResponseContentPartDoneEvent
    from ....types.responses.response_created_event import ResponseCreatedEvent
    from ....types.responses.response_custom_tool_call_input_delta_event import ResponseCustomToolCallInputDeltaEvent
    from ....types.responses.response_custom_tool_call_input_done_event import ResponseCustomToolCallInputDoneEvent
    from ....types.responses.response_error_event import ResponseErrorEvent
    from ....types.responses.response_failed_event import ResponseFailedEvent
    from ....types.responses.response_file_search_call_completed_event import ResponseFileSearchCallCompletedEvent
    from ....types.responses.response_file_search_call_in_progress_event import ResponseFileSearchCallInProgressEvent
    from ....types.responses.response_file_search_call_searching_event import ResponseFileSearchCallSearchingEvent
    from ....types.responses.response_function_call_arguments_done_event import ResponseFunctionCallArgumentsDoneEvent
    from ....types.responses.response_image_gen_call_completed_event import ResponseImageGenCallCompletedEvent
    from ....types.responses.response_image_gen_call_generating_event import ResponseImageGenCallGeneratingEvent
    from ....types.responses.response_image_gen_call_in_progress_event import ResponseImageGenCallInProgressEvent
    from ....types.responses.response_image_gen_call_partial_image_event import ResponseImageGenCallPartialImageEvent
    from ....types.responses.response_in_progress_event import ResponseInProgressEvent
    from ....types.responses.response_incomplete_event import ResponseIncompleteEvent
    from ....types.responses.response_mcp_call_arguments_delta_event import ResponseMcpCallArgumentsDeltaEvent
    from ....types.responses.response_mcp_call_arguments_done_event import ResponseMcpCallArgumentsDoneEvent
    from ....types.responses.response_mcp_call_completed_event import ResponseMcpCallCompletedEvent
    from ....types.responses.response_mcp_call_failed_event import ResponseMcpCallFailedEvent
    from ....types.responses.response_mcp_call_in_progress_event import ResponseMcpCallInProgressEvent
    from ....types.responses.response_mcp_list_tools_completed_event import ResponseMcpListToolsCompletedEvent
    from ....types.responses.response_mcp_list_tools_failed_event import ResponseMcpListToolsFailedEvent
    from ....types.responses.response_mcp_list_tools_in_progress_event import ResponseMcpListToolsInProgressEvent
    from ....types.responses.response_output_item_added_event import ResponseOutputItemAddedEvent
    from ....types.responses.response_output_item_done_event import ResponseOutputItemDoneEvent
    from ....types.responses.response_output_text_annotation_added_event import ResponseOutputTextAnnotationAddedEvent
    from ....types.responses.response_queued_event import ResponseQueuedEvent
    from ....types.responses.response_reasoning_summary_part_added_event import ResponseReasoningSummaryPartAddedEvent
    from ....types.responses.response_reasoning_summary_part_done_event import ResponseReasoningSummaryPartDoneEvent
    from ....types.responses.response_reasoning_summary_text_delta_event import ResponseReasoningSummaryTextDeltaEvent
    from ....types.responses.response_reasoning_summary_text_done_event import ResponseReasoningSummaryTextDoneEvent
    from ....types.responses.response_reasoning_text_delta_event import ResponseReasoningTextDeltaEvent
    from ....types.responses.response_reasoning_text_done_event import ResponseReasoningTextDoneEvent
    from ....types.responses.response_refusal_delta_event import ResponseRefusalDeltaEvent
    from ....types.responses.response_refusal_done_event import ResponseRefusalDoneEvent
    from ....types.responses.response_shell_call_command_added_event import ResponseShellCallCommandAddedEvent
    from ....types.responses.response_shell_call_command_delta_event import ResponseShellCallCommandDeltaEvent
    from ....types.responses.response_shell_call_command_done_event import ResponseShellCallCommandDoneEvent
    from ....types.responses.response_shell_call_output_content_delta_event import (
        ResponseShellCallOutputContentDeltaEvent,
    )
    from ....types.responses.response_shell_call_output_content_done_event import (
        ResponseShellCallOutputContentDoneEvent,
    )
    from ....types.responses.response_web_search_call_completed_event import ResponseWebSearchCallCompletedEvent
    from ....types.responses.response_web_search_call_in_progress_event import ResponseWebSearchCallInProgressEvent
    from ....types.responses.response_web_search_call_searching_event import ResponseWebSearchCallSearchingEvent

__all__ = (
    "ParsedResponseSnapshot",
    "ResponseCompletedEvent",
    "ResponseFunctionCallArgumentsDeltaEvent",
    "ResponseStreamEvent",
    "ResponseTextDeltaEvent",
    "ResponseTextDoneEvent",
)


class ResponseTextDeltaEvent(RawResponseTextDeltaEvent, Late):
    """More of a text, with the text so far."""

    snapshot: str


class ResponseTextDoneEvent(RawResponseTextDoneEvent, Generic[TextFormatT]):
    """A text is complete, and parsed."""

    parsed: TextFormatT | None = None


class ResponseFunctionCallArgumentsDeltaEvent(RawResponseFunctionCallArgumentsDeltaEvent, Late):
    """More of the arguments of a call, with the arguments so far."""

    snapshot: str


class ResponseCompletedEvent(RawResponseCompletedEvent, Generic[TextFormatT]):
    """The response is complete, and parsed."""

    response: ParsedResponse[TextFormatT]  # type: ignore[assignment]


if TYPE_CHECKING:
    ParsedResponseSnapshot: TypeAlias = ParsedResponse[object]
    ResponseStreamEvent: TypeAlias = (
        ResponseTextDeltaEvent
        | ResponseTextDoneEvent[TextFormatT]
        | ResponseFunctionCallArgumentsDeltaEvent
        | ResponseCompletedEvent[TextFormatT]
        | ResponseAudioDeltaEvent
        | ResponseAudioDoneEvent
        | ResponseAudioTranscriptDeltaEvent
        | ResponseAudioTranscriptDoneEvent
        | ResponseCodeInterpreterCallCodeDeltaEvent
        | ResponseCodeInterpreterCallCodeDoneEvent
        | ResponseCodeInterpreterCallCompletedEvent
        | ResponseCodeInterpreterCallInProgressEvent
        | ResponseCodeInterpreterCallInterpretingEvent
        | ResponseCompactionCompactingEvent
        | ResponseContentPartAddedEvent
        | ResponseContentPartDoneEvent
        | ResponseCreatedEvent
        | ResponseErrorEvent
        | ResponseFileSearchCallCompletedEvent
        | ResponseFileSearchCallInProgressEvent
        | ResponseFileSearchCallSearchingEvent
        | ResponseFunctionCallArgumentsDoneEvent
        | ResponseShellCallCommandAddedEvent
        | ResponseShellCallCommandDeltaEvent
        | ResponseShellCallCommandDoneEvent
        | ResponseShellCallOutputContentDeltaEvent
        | ResponseShellCallOutputContentDoneEvent
        | ResponseInProgressEvent
        | ResponseFailedEvent
        | ResponseIncompleteEvent
        | ResponseOutputItemAddedEvent
        | ResponseOutputItemDoneEvent
        | ResponseReasoningSummaryPartAddedEvent
        | ResponseReasoningSummaryPartDoneEvent
        | ResponseReasoningSummaryTextDeltaEvent
        | ResponseReasoningSummaryTextDoneEvent
        | ResponseReasoningTextDeltaEvent
        | ResponseReasoningTextDoneEvent
        | ResponseRefusalDeltaEvent
        | ResponseRefusalDoneEvent
        | ResponseWebSearchCallCompletedEvent
        | ResponseWebSearchCallInProgressEvent
        | ResponseWebSearchCallSearchingEvent
        | ResponseImageGenCallCompletedEvent
        | ResponseImageGenCallGeneratingEvent
        | ResponseImageGenCallInProgressEvent
        | ResponseImageGenCallPartialImageEvent
        | ResponseMcpCallArgumentsDeltaEvent
        | ResponseMcpCallArgumentsDoneEvent
        | ResponseMcpCallCompletedEvent
        | ResponseMcpCallFailedEvent
        | ResponseMcpCallInProgressEvent
        | ResponseMcpListToolsCompletedEvent
        | ResponseMcpListToolsFailedEvent
        | ResponseMcpListToolsInProgressEvent
        | ResponseOutputTextAnnotationAddedEvent
        | ResponseQueuedEvent
        | ResponseCustomToolCallInputDeltaEvent
        | ResponseCustomToolCallInputDoneEvent
    )
else:
    _OTHERS = {
        "ResponseAudioDeltaEvent": "audio_delta_event",
        "ResponseAudioDoneEvent": "audio_done_event",
        "ResponseAudioTranscriptDeltaEvent": "audio_transcript_delta_event",
        "ResponseAudioTranscriptDoneEvent": "audio_transcript_done_event",
        "ResponseCodeInterpreterCallCodeDeltaEvent": "code_interpreter_call_code_delta_event",
        "ResponseCodeInterpreterCallCodeDoneEvent": "code_interpreter_call_code_done_event",
        "ResponseCodeInterpreterCallCompletedEvent": "code_interpreter_call_completed_event",
        "ResponseCodeInterpreterCallInProgressEvent": "code_interpreter_call_in_progress_event",
        "ResponseCodeInterpreterCallInterpretingEvent": "code_interpreter_call_interpreting_event",
        "ResponseCompactionCompactingEvent": "compaction_compacting_event",
        "ResponseContentPartAddedEvent": "content_part_added_event",
        "ResponseContentPartDoneEvent": "content_part_done_event",
        "ResponseCreatedEvent": "created_event",
        "ResponseErrorEvent": "error_event",
        "ResponseFileSearchCallCompletedEvent": "file_search_call_completed_event",
        "ResponseFileSearchCallInProgressEvent": "file_search_call_in_progress_event",
        "ResponseFileSearchCallSearchingEvent": "file_search_call_searching_event",
        "ResponseFunctionCallArgumentsDoneEvent": "function_call_arguments_done_event",
        "ResponseShellCallCommandAddedEvent": "shell_call_command_added_event",
        "ResponseShellCallCommandDeltaEvent": "shell_call_command_delta_event",
        "ResponseShellCallCommandDoneEvent": "shell_call_command_done_event",
        "ResponseShellCallOutputContentDeltaEvent": "shell_call_output_content_delta_event",
        "ResponseShellCallOutputContentDoneEvent": "shell_call_output_content_done_event",
        "ResponseInProgressEvent": "in_progress_event",
        "ResponseFailedEvent": "failed_event",
        "ResponseIncompleteEvent": "incomplete_event",
        "ResponseOutputItemAddedEvent": "output_item_added_event",
        "ResponseOutputItemDoneEvent": "output_item_done_event",
        "ResponseReasoningSummaryPartAddedEvent": "reasoning_summary_part_added_event",
        "ResponseReasoningSummaryPartDoneEvent": "reasoning_summary_part_done_event",
        "ResponseReasoningSummaryTextDeltaEvent": "reasoning_summary_text_delta_event",
        "ResponseReasoningSummaryTextDoneEvent": "reasoning_summary_text_done_event",
        "ResponseReasoningTextDeltaEvent": "reasoning_text_delta_event",
        "ResponseReasoningTextDoneEvent": "reasoning_text_done_event",
        "ResponseRefusalDeltaEvent": "refusal_delta_event",
        "ResponseRefusalDoneEvent": "refusal_done_event",
        "ResponseWebSearchCallCompletedEvent": "web_search_call_completed_event",
        "ResponseWebSearchCallInProgressEvent": "web_search_call_in_progress_event",
        "ResponseWebSearchCallSearchingEvent": "web_search_call_searching_event",
        "ResponseImageGenCallCompletedEvent": "image_gen_call_completed_event",
        "ResponseImageGenCallGeneratingEvent": "image_gen_call_generating_event",
        "ResponseImageGenCallInProgressEvent": "image_gen_call_in_progress_event",
        "ResponseImageGenCallPartialImageEvent": "image_gen_call_partial_image_event",
        "ResponseMcpCallArgumentsDeltaEvent": "mcp_call_arguments_delta_event",
        "ResponseMcpCallArgumentsDoneEvent": "mcp_call_arguments_done_event",
        "ResponseMcpCallCompletedEvent": "mcp_call_completed_event",
        "ResponseMcpCallFailedEvent": "mcp_call_failed_event",
        "ResponseMcpCallInProgressEvent": "mcp_call_in_progress_event",
        "ResponseMcpListToolsCompletedEvent": "mcp_list_tools_completed_event",
        "ResponseMcpListToolsFailedEvent": "mcp_list_tools_failed_event",
        "ResponseMcpListToolsInProgressEvent": "mcp_list_tools_in_progress_event",
        "ResponseOutputTextAnnotationAddedEvent": "output_text_annotation_added_event",
        "ResponseQueuedEvent": "queued_event",
        "ResponseCustomToolCallInputDeltaEvent": "custom_tool_call_input_delta_event",
        "ResponseCustomToolCallInputDoneEvent": "custom_tool_call_input_done_event",
    }
    """Events as the API sends them, and the modules they are in."""
    __getattr__, __dir__ = lazily(
        __name__,
        {name: f"antiphon.types.responses.response_{home}" for name, home in _OTHERS.items()}
        | {"ParsedResponse": "antiphon.types.responses.parsed_response"},
        {
            "ParsedResponseSnapshot": "ParsedResponse[object]",
            "ResponseStreamEvent": "ResponseTextDeltaEvent | ResponseTextDoneEvent[TextFormatT] | "
            "ResponseFunctionCallArgumentsDeltaEvent | ResponseCompletedEvent[TextFormatT] | " + " | ".join(_OTHERS),
        },
    )
