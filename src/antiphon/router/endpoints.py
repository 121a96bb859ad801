"""Endpoints made of factories: what FastAPI is given in place of a function that returns a resource."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial, wraps
from typing import TYPE_CHECKING, Any, Final, get_args, get_origin, get_type_hints

from fastapi import Depends as FastAPIDepends
from starlette.requests import HTTPConnection, Request
from starlette.websockets import WebSocket

from .errors import Failed, Refused, error_response
from .formats import Format, negotiated
from .limits import Limits
from .models import ErrorEnvelope
from .resources.base import Resource, StreamingResource
from .streaming import StreamingResponse
from .vigil import Answering

if TYPE_CHECKING:
    from starlette.responses import Response

    from .answers import Answer, Asked, Layer, Opening

__all__ = ("Route", "described", "endpoint_of", "resource_of", "wary", "websocket_of")

ROLES: Final = ("user", "assistant", "tool")
"""Who may speak in the messages of a caller, unless a route says otherwise."""

_AGAIN: Final = "regenerate-message"
"""What callers say in `trigger` who want another answer to their last question; the AI SDK's do."""
_BODILESS: Final = ("GET", "HEAD", "DELETE", "OPTIONS")


@dataclass(slots=True)
class Route:
    """What a route adds to its resource."""

    format: Format
    formats: Sequence[Format]
    """What `Accept` may ask for."""
    limits: Limits
    layers: Sequence[Layer] = ()
    roles: Sequence[str] = ROLES
    parameters: frozenset[str] = frozenset()
    """Parameters of the call that callers may give in their bodies."""
    client: Callable[[], Any] = lambda: None
    """The client of resources that have none."""
    answering: Answering = field(default_factory=Answering)

    def negotiate(self, connection: HTTPConnection) -> Format:
        """The format of an answer. Raises `Refused` where the caller takes none that there is."""
        return negotiated(connection.headers.get("accept"), self.format, self.formats)

    def asked(self, format: Format, body: Mapping[str, Any], connection: HTTPConnection) -> Asked:
        """The question of a request, or of a message of a websocket. Raises `Refused` for one that is none."""
        asked = format.asked(body)
        self.limits.check(asked.messages)
        for place, message in enumerate(asked.messages):
            role = message.get("role", "user")
            if role not in self.roles and message.get("type", "message") == "message":
                raise Refused(
                    f"messages[{place}].role is {role!r}; callers of this route speak as {', '.join(self.roles)}.",
                    status=422,
                    code="role_not_allowed",
                    param=f"messages[{place}].role",
                )
        if self.parameters:
            asked.options.update({name: body[name] for name in self.parameters if body.get(name) is not None})
        asked.body = body
        asked.again = body.get("trigger") == _AGAIN
        asked.connection = connection
        return asked

    def opening(self, resource: Resource) -> Opening:
        """What answers a question: the resource, behind the layers."""
        opening: Any = resource.open if resource.client is not None else partial(self._opened, resource)
        for layer in reversed(self.layers):
            opening = partial(_through, layer, opening)
        return partial(_known, resource, opening) if self.layers else opening

    async def _opened(self, resource: Resource, asked: Asked) -> Answer:
        # Not before something is asked: there may be no key, and then the caller is told as of any other error.
        if resource.client is None:
            resource.client = self.client()
        return await resource.open(asked)

    def response(self, resource: StreamingResource, asked: Asked, format: Format) -> StreamingResponse:
        """The answer to a question as a response."""
        stream = resource.stream if asked.stream is None else asked.stream
        asked.stream = stream and format.streams
        opening = self.opening(resource)
        return StreamingResponse.of(opening, asked, format, self.limits, self.answering, asked.stream)


def _known(resource: Resource, opening: Opening, asked: Asked) -> Awaitable[Answer]:
    asked.resource = resource
    return opening(asked)


def _through(layer: Layer, opening: Opening, asked: Asked) -> Awaitable[Answer]:
    return layer(asked, opening)


# Which functions are factories


def resource_of(function: Callable[..., Any]) -> type[Resource] | None:
    """The resource that a function says it returns; `None` where it says something else, or nothing."""
    try:
        returned = get_type_hints(inspect.unwrap(function)).get("return")
    except (NameError, TypeError, AttributeError):
        returned = getattr(function, "__annotations__", {}).get("return")
    for each in get_args(returned) if not isinstance(returned, type) and get_origin(returned) else (returned,):
        if isinstance(each, type) and issubclass(each, Resource):
            return each
    return None


def wary(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that says nothing of what it returns, as an endpoint: told apart from a factory that forgot to."""
    if not inspect.isroutine(function) or inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        return function
    name = getattr(function, "__name__", "the function")

    def known(result: Any) -> Any:
        if isinstance(result, Resource):
            kind = type(result).__name__
            raise TypeError(f"{name}() returned a {kind} and does not say so: write `def {name}(…) -> {kind}:`")
        return result

    if inspect.iscoroutinefunction(function):

        @wraps(function)
        async def awaited(*args: Any, **kwargs: Any) -> Any:
            return known(await function(*args, **kwargs))

        return awaited

    @wraps(function)
    def called(*args: Any, **kwargs: Any) -> Any:
        return known(function(*args, **kwargs))

    return called


def _checked(given: Any, kind: type[Resource], factory: Callable[..., Any]) -> Any:
    if not isinstance(given, Resource):
        name = getattr(factory, "__name__", "the factory")
        raise TypeError(f"{name}() is to return a {kind.__name__}; it returned a {type(given).__name__}")
    return given


# HTTP


def endpoint_of(
    factory: Callable[..., Any], kind: type[Resource], route: Route, methods: Sequence[str]
) -> Callable[..., Any]:
    """The endpoint of a factory."""
    bodiless = all(method.upper() in _BODILESS for method in methods)
    parameters = [
        _parameter("request", Request),
        *kind.request_parameters(bodiless=bodiless),
        _parameter("resource", Any, FastAPIDepends(factory)),
    ]

    async def endpoint(request: Request, resource: Any, **given: Any) -> Response:
        try:
            return await _checked(resource, kind, factory).respond(route, request, given)  # type: ignore[no-any-return]
        except Failed as error:
            return error_response(error.error)  # type: ignore[no-any-return]

    return _named(endpoint, factory, parameters)


def _parameter(name: str, annotation: Any, default: Any = inspect.Parameter.empty) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default)


def _named(
    endpoint: Callable[..., Any], factory: Callable[..., Any], parameters: Sequence[inspect.Parameter]
) -> Callable[..., Any]:
    named: Any = endpoint
    named.__signature__ = inspect.Signature(parameters)
    named.__name__ = getattr(factory, "__name__", type(factory).__name__)
    named.__doc__ = factory.__doc__
    named.__module__ = factory.__module__
    return endpoint


# Websockets


def websocket_of(factory: Callable[..., Any], kind: type[Resource], route: Route) -> Callable[..., Any]:
    """The websocket endpoint of a factory."""
    if not issubclass(kind, StreamingResource):
        raise TypeError(f"a {kind.__name__} has no conversation: it answers over HTTP")

    async def endpoint(websocket: WebSocket, resource: Any) -> None:
        from .sockets import WebSocketSession

        found = _checked(resource, kind, factory)
        await WebSocketSession.of(websocket, found, route).run()

    return _named(
        endpoint, factory, [_parameter("websocket", WebSocket), _parameter("resource", Any, FastAPIDepends(factory))]
    )


# OpenAPI


_ERRORS: Final = {
    406: "The caller takes no format that there is.",
    413: "The question is too long.",
    429: "The model's host is asked too often.",
    502: "The model's host cannot be reached, or broke off. What it refuses has its own status.",
    503: "So many questions are not answered at a time.",
    504: "There was no answer in time.",
}


def described(kind: type[Resource], route: Route, responses: Mapping[int | str, Any] | None) -> dict[int | str, Any]:
    """The responses of an endpoint."""
    own: dict[int | str, Any] = {
        200: {"description": "The answer.", "content": kind.answer_content(route)},
        **{status: {"description": words, "model": ErrorEnvelope} for status, words in _ERRORS.items()},
    }
    return {**own, **(responses or {})}
