"""What is built on the operations of the API and needs no client: structured output, tools, the state of streams."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..kernel.lazy import lazily

if TYPE_CHECKING:
    from ._parsing._completions import type_to_response_format_param
    from ._schemas import Mismatch
    from ._tools import (
        function_tool,
        pydantic_function_tool,
        pydantic_responses_function_tool,
        responses_function_tool,
    )
    from ._variables import ResponseFormatT

__all__ = (
    "Mismatch",
    "ResponseFormatT",
    "function_tool",
    "pydantic_function_tool",
    "pydantic_responses_function_tool",
    "responses_function_tool",
    "type_to_response_format_param",
)

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazily(
        __name__,
        {name: "._tools" for name in __all__ if name.endswith("_tool")}
        | {
            "Mismatch": "._schemas",
            "ResponseFormatT": "._variables",
            "type_to_response_format_param": "._parsing._completions",
        },
    )
