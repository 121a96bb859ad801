"""Classes of resources, one of each colour, as the suite patches their methods. Ours are one class for both."""

from __future__ import annotations

from functools import partial
from typing import Any

from antiphon.api.responses import Responses as _Responses
from antiphon.kernel.operation import Resource


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


class _Asynchronous(type):
    """A resource of asynchronous clients: the same class as of the others."""

    of: Any

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, cls.of) and _is_async(instance)

    def __call__(cls, *args: Any) -> Any:
        return cls.of(*args)

    def __getattr__(cls, name: str) -> Any:
        return getattr(cls.of, name)


def in_both_colours(module: Any) -> None:
    """Give the resources of a module the names of their asynchronous twins, too."""
    for name in getattr(module, "__all__", ()):
        found = getattr(module, name)
        if isinstance(found, type) and issubclass(found, Resource) and not hasattr(module, f"Async{name}"):
            setattr(module, f"Async{name}", _Asynchronous(f"Async{name}", (), {"of": found}))


class Responses(metaclass=_Colour):
    is_async = False


class AsyncResponses(metaclass=_Colour):
    is_async = True


def __getattr__(name: str) -> Any:
    # Connections are beside the resources with us.
    from antiphon.api.connections import responses

    return getattr(responses, name)
