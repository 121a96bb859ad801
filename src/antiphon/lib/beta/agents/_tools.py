"""Functions and models as tools of an agent: a definition for the session, and a handler for its stream.

@function_tool
def weather(city: str, days: int = 1) -> str: ...

agent={"model": ..., "tools": [weather.definition]}
tool_handlers={weather.name: weather}
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Awaitable, Callable, Generator, Iterable, Mapping
from copy import deepcopy
from functools import partial
from inspect import getdoc, isawaitable, iscoroutinefunction
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, cast, overload

from ....kernel.omit import Omit, omit
from ....kernel.view import View, plain
from ._arguments import Arguments, of_function, of_model

if TYPE_CHECKING:
    from ....types.beta.agent_tool_param import AgentToolConfigParamFunction
    from ...streaming.agents._types import ToolOutput
    from ._tool_error import ToolErrorStage

__all__ = ("FunctionTool", "function_tool", "pydantic_function_tool")

ModelT = TypeVar("ModelT")
OutputT_co = TypeVar("OutputT_co", covariant=True)
Reach = Callable[["ToolErrorStage"], None]


def _nowhere(stage: ToolErrorStage) -> None:
    """Nobody wants to know."""


class FunctionTool(Generic[OutputT_co]):
    """A tool that runs here: what the agent is told of it, and the function that is called.

    `definition` is one of the agent's tools, and the object itself the handler: `tool_handlers={tool.name: tool}`.
    Calling it checks the arguments, which raises a `ValueError` where they do not fit, and calls the function.
    """

    def __init__(
        self,
        model: type[ModelT] | Arguments,
        handler: Callable[[ModelT], OutputT_co],
        *,
        name: str,
        description: str,
        defer_loading: bool | Omit = omit,
    ) -> None:
        """`model` is that of the arguments: of pydantic, a dataclass, a struct of msgspec or a TypedDict.

        With `defer_loading` the tool is left to be found by tool search. Raises `ValueError` without a name,
        `TypeError` where the arguments are no object.
        """
        if not name:
            raise ValueError("a tool needs a name")
        arguments = model if isinstance(model, Arguments) else of_model(model)
        self._definition: dict[str, Any] = {
            "type": "function",
            "name": name,
            "description": description,
            "parameters": arguments.schema,
        }
        if not isinstance(defer_loading, Omit):
            self._definition["defer_loading"] = defer_loading
        self._load = arguments.load
        self._handler = handler
        self._as_output: Callable[[Any], Any] | None = None

    @property
    def name(self) -> str:
        """The name the agent knows it by."""
        name: str = self._definition["name"]
        return name

    @property
    def definition(self) -> AgentToolConfigParamFunction:
        """What the agent is told, as one of `tools`. A copy."""
        return cast("AgentToolConfigParamFunction", deepcopy(self._definition))

    def __call__(self, arguments: dict[str, Any]) -> OutputT_co:
        return self.run(arguments)

    def run(self, arguments: dict[str, Any], reach: Reach = _nowhere) -> OutputT_co:
        """Call it, telling how far it has come."""
        reach("arguments")
        values: Any = self._load(arguments)
        reach("execution")
        output: Any = None
        if self._as_output is None:
            output = self._handler(values)
        elif iscoroutinefunction(self._handler):
            output = self._awaited(values, reach)
        else:
            output = self._handler(values)
            if isawaitable(output):
                output = _Promise(output, self._as_output, reach)
            else:
                reach("output")
                output = self._as_output(output)
        return cast("OutputT_co", output)

    async def _awaited(self, values: Any, reach: Reach) -> Any:
        output = await cast("Awaitable[Any]", self._handler(values))
        reach("output")
        return _output(output)

    def __repr__(self) -> str:
        return f"<tool {self.name}>"


class _Promise:
    """What a function promised, and in what form it will be had. Who does not want it can close it."""

    def __init__(self, promised: Awaitable[Any], as_output: Callable[[Any], Any], reach: Reach) -> None:
        self._promised, self._as_output, self._reach = promised, as_output, reach

    def __await__(self) -> Generator[Any, None, Any]:
        output = yield from self._promised.__await__()
        self._reach("output")
        return self._as_output(output)

    def close(self) -> None:
        promised: Any = self._promised
        close = getattr(promised, "close", None) or getattr(promised, "cancel", None)
        if close is not None:
            close()


# What functions return, as the API takes it

_PARTS = {"input_text": "text", "input_image": "image_url"}
"""Parts of content by type, with the one field they have beside it."""


def _output(value: Any) -> ToolOutput:
    """Texts, nothing and parts of content as they are; anything else as JSON. Raises `TypeError` where it is none, and
    `ValueError` for numbers that JSON has not got.
    """
    value = _data(value)
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        value = value if isinstance(value, dict) else dict(value)
    elif isinstance(value, Iterable) and not isinstance(value, (bytes, bytearray)):
        value = value if isinstance(value, (list, tuple)) else list(value)
        if value and all(map(_is_part, value)):
            parts: ToolOutput = value
            return parts
    return json.dumps(value, separators=(",", ":"), allow_nan=False, default=_data_or_error)


def _is_part(value: Any) -> bool:
    field = _PARTS.get(value.get("type", "")) if isinstance(value, dict) and len(value) == 2 else None
    return field is not None and isinstance(value.get(field), str)


def _data(value: Any) -> Any:
    """What a model of any kind holds; other values as they are."""
    if isinstance(value, View):
        return plain(value)
    if isinstance(value, type):
        return value
    if hasattr(value, "__pydantic_validator__") and hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if hasattr(value, "__struct_fields__"):
        import msgspec

        return msgspec.to_builtins(value)
    return value


def _data_or_error(value: Any) -> Any:
    data = _data(value)
    if data is value:
        raise TypeError(f"{type(value).__name__} is no JSON: a tool returns text, numbers, lists, dicts or models")
    return data


# Making them


if TYPE_CHECKING:

    class _Decorator(Protocol):
        @overload
        def __call__(  # type: ignore[overload-overlap]  # pyright: ignore[reportOverlappingOverload]
            self, function: Callable[..., Awaitable[object]]
        ) -> FunctionTool[Awaitable[ToolOutput]]: ...
        @overload
        def __call__(self, function: Callable[..., object]) -> FunctionTool[ToolOutput]: ...


@overload
def pydantic_function_tool(  # type: ignore[overload-overlap]
    model: type[ModelT],
    *,
    handler: Callable[[ModelT], Awaitable[object]],
    name: str | None = None,
    description: str | None = None,
    defer_loading: bool | Omit = omit,
) -> FunctionTool[Awaitable[ToolOutput]]: ...
@overload
def pydantic_function_tool(
    model: type[ModelT],
    *,
    handler: Callable[[ModelT], object],
    name: str | None = None,
    description: str | None = None,
    defer_loading: bool | Omit = omit,
) -> FunctionTool[ToolOutput]: ...
def pydantic_function_tool(
    model: type[ModelT],
    *,
    handler: Callable[[ModelT], object],
    name: str | None = None,
    description: str | None = None,
    defer_loading: bool | Omit = omit,
) -> FunctionTool[Any]:
    """A tool whose arguments are a model; `handler` is called with one, and may be a coroutine function.

    Name and description are the model's unless others are given. What the handler returns becomes JSON where it is
    neither text nor parts of content. Raises `TypeError` for a model that is no object.
    """
    return _made(
        of_model(model),
        handler,
        model.__name__ if name is None else name,
        (model.__doc__ or "") if description is None else description,
        defer_loading,
    )


@overload
def function_tool(  # type: ignore[overload-overlap]  # pyright: ignore[reportOverlappingOverload]
    function: Callable[..., Awaitable[object]],
    *,
    name: str | None = None,
    description: str | None = None,
    defer_loading: bool | Omit = omit,
) -> FunctionTool[Awaitable[ToolOutput]]: ...
@overload
def function_tool(
    function: Callable[..., object],
    *,
    name: str | None = None,
    description: str | None = None,
    defer_loading: bool | Omit = omit,
) -> FunctionTool[ToolOutput]: ...
@overload
def function_tool(
    function: None = None,
    *,
    name: str | None = None,
    description: str | None = None,
    defer_loading: bool | Omit = omit,
) -> _Decorator: ...
def function_tool(
    function: Callable[..., object] | None = None,
    *,
    name: str | None = None,
    description: str | None = None,
    defer_loading: bool | Omit = omit,
) -> FunctionTool[Any] | _Decorator:
    """A tool from a typed function or a bound method: `@function_tool`, `@function_tool(name=...)` or called.

    Every parameter needs a type and is given by name; defaults stay. Name and docstring are the function's unless
    others are given. What it returns becomes JSON where it is neither text nor parts of content. Raises `TypeError`
    for a parameter that cannot be told to a model.
    """
    if function is None:
        return partial(  # type: ignore[return-value]
            function_tool, name=name, description=description, defer_loading=defer_loading
        )
    called = function

    def invoke(values: dict[str, Any]) -> Any:
        return called(**values)

    async def invoke_async(values: dict[str, Any]) -> Any:
        return await called(**values)  # type: ignore[misc]

    return _made(
        of_function(function),
        invoke_async if iscoroutinefunction(function) else invoke,
        getattr(function, "__name__", "tool") if name is None else name,
        (getdoc(function) or "") if description is None else description,
        defer_loading,
    )


def _made(
    arguments: Arguments, handler: Callable[..., Any], name: str, description: str, defer_loading: bool | Omit
) -> FunctionTool[Any]:
    tool: FunctionTool[Any] = FunctionTool(
        arguments, handler, name=name, description=description, defer_loading=defer_loading
    )
    tool._as_output = _output
    return tool
