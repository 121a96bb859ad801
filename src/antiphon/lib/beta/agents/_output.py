"""The type of a turn's answer: its schema among the agent's settings, and the answer read into it."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from ..._formats import Format, format_of

if TYPE_CHECKING:
    from ....types.beta.text_format_param import TextFormatParamJSONSchema

__all__ = ("agent_text_format", "answer_format", "with_output_schema")


def answer_format(output_type: Any) -> Format[Any]:
    """How an answer is asked for and read. Raises `TypeError` for what is no type with fields."""
    if not isinstance(output_type, type):
        # A function would do as the format of a tool's arguments, never of an answer.
        raise TypeError(
            f"output_type is a model of pydantic, a dataclass, a struct of msgspec or a TypedDict, not {output_type!r}"
        )
    return format_of(output_type)


def agent_text_format(output_type: type[Any]) -> TextFormatParamJSONSchema:
    """The `text.format` of an agent whose answers are of a type: its strict schema.

    The type is a model of pydantic, a dataclass, a struct of msgspec or a TypedDict. Raises `TypeError` for others.
    """
    return {"type": "json_schema", "schema": deepcopy(answer_format(output_type).schema)}


def with_output_schema(agent: Mapping[str, Any] | None, output_type: type[Any]) -> dict[str, Any]:
    """An agent's settings with the schema of its answers. Raises `ValueError` where they have a format already."""
    settings = dict(agent or {})
    text = dict(settings.get("text") or {})
    if text.get("format") is not None:
        raise ValueError("the format of the answer is given as output_type or as agent.text.format, not both")
    text["format"] = agent_text_format(output_type)
    settings["text"] = text
    return settings
