"""Tools from models and functions: strict schemas for the API, and the arguments of a call read back.

    tools=[function_tool(weather)]              def weather(city: str, days: int = 1) -> str: ...
    tools=[pydantic_function_tool(Weather)]     class Weather(BaseModel): ...

Given to `parse` or `stream`, the arguments of each call are read too: into the model, or into the keyword arguments
of the function (`weather(**call.function.parsed_arguments)`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from ..kernel.omit import Omit, omit
from ._formats import Format, format_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..types.chat.chat_completion_function_tool_param import ChatCompletionFunctionToolParam
    from ..types.responses.function_tool_param import FunctionToolParam
    from ..types.shared_params.function_definition import FunctionDefinition

__all__ = (
    "PydanticFunctionTool",
    "ResponsesPydanticFunctionTool",
    "function_tool",
    "pydantic_function_tool",
    "pydantic_responses_function_tool",
    "responses_function_tool",
)


class _Tool(dict[str, Any]):
    """A definition that knows what it was made from."""

    model: Any
    """The model or the function."""

    def __init__(self, defn: Any, model: Any) -> None:
        super().__init__(defn)
        self.model = model

    def parse_arguments(self, arguments: str) -> Any:
        """The arguments of a call, as the model or as keyword arguments. Raises what the model raises."""
        return format_of(self.model).load(arguments)


class PydanticFunctionTool(_Tool):
    """The `function` of a tool of chat completions."""

    def cast(self) -> FunctionDefinition:
        """This, as the type of a request's parameter."""
        return cast("FunctionDefinition", self)


class ResponsesPydanticFunctionTool(_Tool):
    """A tool of the Responses API."""

    def cast(self) -> FunctionToolParam:
        """This, as the type of a request's parameter."""
        return cast("FunctionToolParam", self)


def _definition(format: Format[Any], name: str | None, description: str | None) -> dict[str, Any]:
    from copy import deepcopy

    definition: dict[str, Any] = {
        "name": name or format.name,
        "strict": True,
        "parameters": deepcopy(format.schema),
    }
    text = format.description if description is None else description
    if text is not None:
        definition["description"] = text
    return definition


def function_tool(
    callable_or_model: Callable[..., Any] | type[Any], *, name: str | None = None, description: str | None = None
) -> ChatCompletionFunctionToolParam:
    """A strict tool from a typed function, or from a model of its arguments.

    Types become the schema, the docstring the descriptions of the tool and of its parameters, `Annotated[T, "…"]`
    describes one as well. A parameter with a default may be left out by the model: strict schemas have no other
    way of saying so than `null`. Raises `TypeError` for a parameter without a type, and for one that cannot be
    given by name.
    """
    definition = _definition(format_of(callable_or_model), name, description)
    return {"type": "function", "function": PydanticFunctionTool(definition, callable_or_model).cast()}


def responses_function_tool(
    callable_or_model: Callable[..., Any] | type[Any],
    *,
    name: str | None = None,
    description: str | None = None,
    defer_loading: bool | Omit = omit,
) -> FunctionToolParam:
    """`function_tool` in the form of the Responses API. `defer_loading` leaves the tool to be found by tool search."""
    definition = {"type": "function", **_definition(format_of(callable_or_model), name, description)}
    tool = ResponsesPydanticFunctionTool(definition, callable_or_model)
    if not isinstance(defer_loading, Omit):
        tool["defer_loading"] = defer_loading
    return tool.cast()


def pydantic_function_tool(
    model: type[Any], *, name: str | None = None, description: str | None = None
) -> ChatCompletionFunctionToolParam:
    """A strict tool whose arguments are a model; its name and docstring are the tool's unless others are given."""
    return function_tool(model, name=name, description=description)


def pydantic_responses_function_tool(
    model: type[Any],
    *,
    name: str | None = None,
    description: str | None = None,
    defer_loading: bool | Omit = omit,
) -> FunctionToolParam:
    """`pydantic_function_tool` in the form of the Responses API."""
    return responses_function_tool(model, name=name, description=description, defer_loading=defer_loading)
