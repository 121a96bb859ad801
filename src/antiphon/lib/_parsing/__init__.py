"""Structured output: what is sent to ask for it, and how answers are read."""

from __future__ import annotations

from ._completions import (
    ResponseFormatT,
    has_parseable_input,
    parse_chat_completion,
    type_to_response_format_param,
    validate_input_tools,
)

__all__ = (
    "ResponseFormatT",
    "has_parseable_input",
    "parse_chat_completion",
    "type_to_response_format_param",
    "validate_input_tools",
)
