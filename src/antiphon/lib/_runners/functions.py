"""Functions as they are registered with a runner."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from typing import Any

from ...kernel.flow import Flow
from .._function_tool import FunctionTool, as_text
from .._tools import ResponsesPydanticFunctionTool
from .items import arguments_of
from .shapes import JSON
from .steps import Ask, with_cancelled

__all__ = ("Registered", "early_of", "registry")


@dataclass(frozen=True, slots=True)
class Registered:
    """A function of a run, as it was when it was registered: what happens to the caller's own object is no matter."""

    tool: JSON
    execute: Any
    allow_output_override: bool
    independent: bool
    is_async: bool | None
    typed: ResponsesPydanticFunctionTool | FunctionTool | None

    @classmethod
    def of(cls, function: Any, is_async: bool | None) -> Registered:
        """A registered function, or a plain typed one. Raises `ValueError` for what is none."""
        if not hasattr(function, "execute") and callable(function):
            made = FunctionTool.of(function)
            return cls(dict(made.to_responses_param()), made, False, False, None, made)
        execute, tool = getattr(function, "execute", None), getattr(function, "tool", None)
        if not callable(execute) or not isinstance(tool, Mapping):
            raise ValueError("a function is registered with its declaration and its executor, or is a typed function")
        for name in ("allow_output_override", "independent"):
            if type(getattr(function, name)) is not bool:
                raise ValueError(f"{name} of a registered function is a boolean")
        return cls(
            deepcopy(dict(tool)),
            execute,
            function.allow_output_override,
            function.independent,
            is_async,
            function._typed,
        )

    def arguments(self, item: JSON) -> Any:
        """The arguments of a call: read as the tool was made, or as JSON. Raises `ValueError` and what models raise."""
        if isinstance(self.typed, FunctionTool):
            return self.typed.arguments(item["arguments"])
        if self.typed is not None:
            return self.typed.parse_arguments(item["arguments"])
        return arguments_of(item)

    def made(self, arguments: Any, cancelled: Any) -> Flow[Any]:
        """Call the function."""
        if isinstance(self.typed, FunctionTool):
            return as_text((yield from self.typed.made(arguments)))
        keywords = with_cancelled(self.execute, (arguments,), cancelled)
        return (yield Ask(partial(self.execute, arguments, **keywords), self.is_async))


def registry(browser: Any, computer: Any, functions: list[Registered]) -> list[JSON]:
    """The declarations of what a runner has registered. Raises `ValueError` for a name that is used twice."""
    tools: list[JSON] = list(browser.tools) if browser is not None else []
    names = {tool["name"] for tool in tools}
    for function in functions:
        name = function.tool.get("name")
        if function.tool.get("type") != "function" or not isinstance(name, str) or not name or name in names:
            raise ValueError(f"the names of registered functions are unique and not empty; {name!r} is not")
        names.add(name)
        tools.append(function.tool)
    if computer is not None:
        tools.append({"type": "computer"})
    return tools


def early_of(early: Any, tools: list[JSON]) -> tuple[frozenset[str], bool] | None:
    """Which tools may run before their response is complete. Raises `ValueError` for tools that are not there."""
    if early is None:
        return None
    if type(early) is not dict or early.keys() - {"functions", "computer"}:
        raise ValueError("early_execution is a dict of functions and computer")
    names, computer = early.get("functions", []), early.get("computer", False)
    known = {tool["name"] for tool in tools if tool["type"] == "function"}
    if (
        type(names) is not list
        or not all(type(name) is str and name in known for name in names)
        or len(set(names)) != len(names)
    ):
        raise ValueError("the functions of early_execution are names of registered functions, each once")
    if type(computer) is not bool or (computer and all(tool["type"] != "computer" for tool in tools)):
        raise ValueError("the computer of early_execution is a boolean, and true only where one is registered")
    return frozenset(names), computer
