"""Classes of resources, one of each colour, as the suite patches their methods. Ours are one class for both."""

from __future__ import annotations

from functools import partial
from typing import Any

from antiphon.api.responses import Responses as _Responses


def _is_async(resource: Any) -> bool:
    return bool(getattr(resource._core, "client", resource._core)._is_async)


class _Patched:
    """An operation that is another function for the clients of a colour."""

    def __init__(self, operation: Any) -> None:
        self.operation = operation
        self.functions: dict[bool, Any] = {}

    def __get__(self, resource: Any, owner: Any) -> Any:
        function = None if resource is None else self.functions.get(_is_async(resource))
        return self.operation.__get__(resource, owner) if function is None else partial(function, resource)


class _Colour(type):
    """What is set on such a class is called for its own colour; what is read from it is the operation itself."""

    is_async: bool

    def __getattr__(cls, name: str) -> Any:
        operation = vars(_Responses)[name]
        operation = operation.operation if isinstance(operation, _Patched) else operation
        return lambda resource, *args, **kwargs: operation.__get__(resource, _Responses)(*args, **kwargs)

    def __setattr__(cls, name: str, value: Any) -> None:
        current = vars(_Responses)[name]
        patched = current if isinstance(current, _Patched) else _Patched(current)
        patched.functions[cls.is_async] = value
        setattr(_Responses, name, patched)

    def __delattr__(cls, name: str) -> None:
        patched = vars(_Responses)[name]
        del patched.functions[cls.is_async]
        if not patched.functions:
            setattr(_Responses, name, patched.operation)


class Responses(metaclass=_Colour):
    is_async = False


class AsyncResponses(metaclass=_Colour):
    is_async = True


def __getattr__(name: str) -> Any:
    # Connections are beside the resources with us.
    from antiphon.api.connections import responses

    return getattr(responses, name)
