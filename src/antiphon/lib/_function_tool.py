"""Plain typed functions as tools that a model can call.

def weather(city: str, unit: Literal["c", "f"] = "c") -> str:
    \"\"\"How the weather is.

    Args:
        city: Its name, in English.
    \"\"\"

tool = FunctionTool(weather)
tool.to_param()                          what goes into `tools=[…]` of a chat completion
tool.to_responses_param()                what goes into `tools=[…]` of a response
tool.arguments('{"city": "Lisbon"}')     what the model wrote, as the types the function declares
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, get_type_hints

from ..kernel.flow import Await, Call
from ._docstrings import described
from ._schemas import Field, Shapes
from ._strict import strict as in_strict_form

if TYPE_CHECKING:
    from ..kernel.flow import Flow
    from ..types.chat import ChatCompletionFunctionToolParam
    from ..types.responses.function_tool_param import FunctionToolParam

__all__ = ("FunctionTool", "as_text")

_EMPTY = inspect.Parameter.empty
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")


class FunctionTool:
    """A function a model can call: its name, what it does, the schema of its arguments, and the function itself."""

    __slots__ = (
        "__weakref__",
        "_known",
        "_load",
        "description",
        "function",
        "is_async",
        "name",
        "parameters",
        "strict",
    )
    name: str
    description: str
    parameters: dict[str, Any]
    """The JSON Schema of the arguments, an object."""
    function: Callable[..., Any]
    strict: bool
    """Whether the API is to hold the model to the schema exactly, which not every host can."""
    is_async: bool

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        name: str | None = None,
        description: str | None = None,
        parameters: dict[str, Any] | None = None,
        strict: bool = False,
    ) -> None:
        """What is not given is read from the function: its name, its docstring, its annotations.

        With `parameters`, the JSON Schema of an object, the function is called with the arguments as the model wrote
        them. Raises `TypeError` for a parameter without a type, with a type JSON has no schema for, and for one that
        cannot be given by name; `ValueError` for a name the API does not take.
        """
        plain = _unbound(function)
        self.function = function
        self.name = name or getattr(plain, "__name__", None) or type(function).__name__
        if not _NAME.fullmatch(self.name):
            raise ValueError(
                f"a tool has a name of up to 64 letters, digits, - and _; {self.name!r} is none: give name="
            )
        self.strict = strict
        self.is_async = inspect.iscoroutinefunction(plain)
        words, of_parameters = described(plain.__doc__)
        self.description = words if description is None else description
        self._load: Callable[[Any], dict[str, Any]] | None = None
        self._known: frozenset[str] = frozenset()
        self.parameters = self._read(plain, of_parameters) if parameters is None else parameters

    @classmethod
    def of(cls, function: Callable[..., Any] | FunctionTool) -> FunctionTool:
        """A function as a tool; a tool as it is."""
        return function if isinstance(function, FunctionTool) else cls(function)

    def _read(self, plain: Any, of_parameters: dict[str, str]) -> dict[str, Any]:
        """The schema of the function's parameters."""
        try:
            hints = get_type_hints(plain, include_extras=True)
        except NameError as error:
            raise TypeError(
                f"the types of {self.name}() cannot be read: {error}. Define what they mention beside it."
            ) from None
        fields: list[Field] = []
        defaults: dict[str, Any] = {}
        for name, parameter in inspect.signature(self.function).parameters.items():
            if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
                raise TypeError(f"{self.name}() cannot be a tool: its parameter {name!r} is not given by name")
            if name not in hints:
                raise TypeError(f"{self.name}() cannot be a tool: its parameter {name!r} has no type")
            fields.append(Field(name, hints[name], of_parameters.get(name), parameter.default is not _EMPTY))
            if parameter.default is None or isinstance(parameter.default, (str, int, float)):
                defaults[name] = parameter.default
        shapes = Shapes()
        schema, self._load = shapes.document(shapes.object(fields, lambda values: values))
        self._known = frozenset(field.name for field in fields)
        if self.strict:
            return in_strict_form(schema)
        # What has a default may be left out: more hosts understand that than a `null` that stands for it.
        properties = dict(schema["properties"])
        for field in fields:
            if field.optional:
                own = shapes.of(field.annotation).schema
                written = {"description": field.description} if field.description else {}
                default = {"default": defaults[field.name]} if field.name in defaults else {}
                properties[field.name] = {**own, **written, **default}
        required = [field.name for field in fields if not field.optional]
        return {**schema, "properties": properties, "required": required}

    def to_param(self) -> ChatCompletionFunctionToolParam:
        """The tool as chat completions take it."""
        function: dict[str, Any] = {"name": self.name}
        if self.description:
            function["description"] = self.description
        function["parameters"] = self.parameters
        if self.strict:
            function["strict"] = True
        return {"type": "function", "function": function}  # type: ignore[typeddict-item]

    def to_responses_param(self) -> FunctionToolParam:
        """The tool as the Responses API takes it."""
        function: Any = self.to_param()["function"]
        tool: Any = {"type": "function", "strict": False, **function}
        return tool  # type: ignore[no-any-return]

    def arguments(self, text: Any) -> dict[str, Any]:
        """What a model wrote as the arguments of a call, by name.

        Raises `ValueError`, in words for the model, where that is no JSON or does not fit the types.
        """
        given = text
        # Some hosts send an object where text is due, and nothing where there are no arguments.
        if not isinstance(text, dict):
            from orjson import loads

            try:
                given = loads(text) if text and text.strip() else {}
            except ValueError as error:
                raise ValueError(f"the arguments are not valid JSON: {error}") from None
        if given is None:
            given = {}
        if not isinstance(given, dict):
            raise ValueError(f"the arguments must be a JSON object, not {text!r}")
        if self._load is None:
            return given
        unknown = [repr(name) for name in given if name not in self._known]
        if unknown:
            raise ValueError(
                f"unknown arguments: {', '.join(unknown)}; known are {', '.join(sorted(self._known)) or 'none'}"
            )
        try:
            return self._load(given)
        except Exception as error:  # of the class that the arguments are read into
            raise ValueError(f"the arguments do not fit: {error}") from error

    def call(self, text: Any) -> Flow[Any]:
        """Call the function with what a model wrote; what it returns.

        One that may block runs on a worker thread where the flow is driven from an event loop. Raises `ValueError`
        for arguments that do not fit, and whatever the function raises.
        """
        return (yield from self.made(self.arguments(text)))

    def made(self, arguments: dict[str, Any]) -> Flow[Any]:
        """`call` with arguments that have been read."""
        if self.is_async:
            result = self.function(**arguments)
        else:
            result = yield Call(self.function, **arguments)
        if hasattr(result, "__await__"):
            result = yield Await(result)
        return result

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function as it is."""
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"FunctionTool({self.name})"


def _unbound(function: Any) -> Any:
    """The function with the name, the words and the types: of a partial, of an object that can be called."""
    while hasattr(function, "func"):
        function = function.func
    if not inspect.isroutine(function):
        if inspect.isclass(function) or not callable(function):
            raise TypeError(f"a tool is a function, not {function!r}")
        function = type(function).__call__
    return inspect.unwrap(function)


def as_text(result: Any) -> str:
    """What a tool returned, as text for a model: text as it is, data and models as JSON, the rest as `str` has it."""
    if isinstance(result, str):
        return result
    from orjson import OPT_NON_STR_KEYS, dumps

    try:
        return dumps(result, default=_data, option=OPT_NON_STR_KEYS).decode()
    except TypeError:
        return str(result)


def _data(value: Any) -> Any:
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    if hasattr(value, "__struct_fields__"):
        return {name: getattr(value, name) for name in value.__struct_fields__}
    if isinstance(value, (set, frozenset)):
        return list(value)
    if isinstance(value, bytes):
        raise TypeError
    return str(value)
