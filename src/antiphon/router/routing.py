"""`OpenAIAPIRouter`: an `APIRouter` whose functions may return a resource in place of an answer."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar, Unpack

from fastapi import APIRouter
from fastapi.routing import APIRoute
from starlette.requests import Request

from .endpoints import ROLES, Route, described, endpoint_of, resource_of, wary, websocket_of
from .errors import Refused, error_response
from .formats import KEYS, Format, find
from .limits import Limits
from .playground import Place, listed, page_of
from .resources.base import Resource
from .streaming import StreamingResponse
from .vigil import Answering

if TYPE_CHECKING:
    from enum import Enum

    from fastapi import params
    from starlette.responses import Response
    from starlette.routing import BaseRoute
    from starlette.types import ASGIApp, Lifespan, Message, Receive, Scope, Send

    from .answers import Layer

__all__ = ("OpenAIAPIRouter",)

F = TypeVar("F", bound=Callable[..., Any])


class RouteOptions(TypedDict, total=False):
    """What a route may say beside its path: what FastAPI's own routes take, and this router's settings anew."""

    # This router's
    resource: type[Resource] | None
    format: str | Format | None
    formats: Sequence[str | Format] | None
    limits: Limits | None
    layers: Sequence[Layer] | None
    roles: Sequence[str] | None
    parameters: Iterable[str] | None
    # FastAPI's
    response_model: Any
    status_code: int | None
    tags: list[str | Enum] | None
    dependencies: Sequence[params.Depends] | None
    summary: str | None
    description: str | None
    response_description: str
    responses: dict[int | str, dict[str, Any]] | None
    deprecated: bool | None
    operation_id: str | None
    response_model_include: Any
    response_model_exclude: Any
    response_model_by_alias: bool
    response_model_exclude_unset: bool
    response_model_exclude_defaults: bool
    response_model_exclude_none: bool
    include_in_schema: bool
    response_class: type[Response]
    name: str | None
    callbacks: list[BaseRoute] | None
    openapi_extra: dict[str, Any] | None
    generate_unique_id_function: Callable[[APIRoute], str]


_OURS = ("resource", "format", "formats", "limits", "layers", "roles", "parameters")


class RouterOptions(TypedDict, total=False):
    """What FastAPI's own router takes."""

    prefix: str
    tags: list[str | Enum] | None
    dependencies: Sequence[params.Depends] | None
    default_response_class: type[Response]
    responses: dict[int | str, dict[str, Any]] | None
    callbacks: list[BaseRoute] | None
    routes: list[BaseRoute] | None
    redirect_slashes: bool
    default: ASGIApp | None
    dependency_overrides_provider: Any | None
    on_startup: Sequence[Callable[[], Any]] | None
    on_shutdown: Sequence[Callable[[], Any]] | None
    deprecated: bool | None
    include_in_schema: bool
    generate_unique_id_function: Callable[[APIRoute], str]


class OpenAIAPIRouter(APIRouter):
    """A router whose functions may be factories: annotated as returning a resource, they answer with a model.

        router = OpenAIAPIRouter()

        @router.post("/chat")
        def chat(stream: bool = True) -> ChatCompletionResource:
            return ChatCompletionResource(stream=stream, system="You are terse.")

        app.include_router(router)

    A factory's parameters are those of any FastAPI endpoint: of the query, the path, headers, cookies, dependencies.
    It is called for each request, or once for each websocket, and never before. Any other function is an endpoint as
    on any `APIRouter`, which this is, with all it takes.

    - `client`: whom resources ask that name nobody: a client, a handler, an engine. Without it an `AsyncOpenAI` of the
      environment is made when the first question comes.
    - `format`: the wire format of the routes: `lanarky`, `openai`, `vercel`, `ag-ui`, `text`, `json`, or a `Format`.
    - `formats`: which formats callers may ask for in `Accept`, all of them unless told.
    - `limits`: how much callers may ask for, see `Limits`.
    - `layers`: functions between the endpoints and the resources, the first outermost.
    - `roles`: who may speak in the messages of callers: `user`, `assistant` and `tool`. Add `system` and `developer`
      where callers are trusted with the system prompt.
    - `parameters`: parameters of the call that callers may give in their bodies, such as `model` or `temperature`;
      others in a body are passed over.
    - `grace`: seconds that answers under way have to end when the application shuts down.

    Each route may be given these anew. Raises `ValueError` for a format there is not.
    """

    def __init__(
        self,
        *,
        client: Any = None,
        format: str | Format = "lanarky",
        formats: Sequence[str | Format] = KEYS,
        limits: Limits | None = None,
        layers: Sequence[Layer] = (),
        roles: Sequence[str] = ROLES,
        parameters: Iterable[str] = (),
        grace: float = 5.0,
        lifespan: Lifespan[Any] | None = None,
        route_class: type[APIRoute] = APIRoute,
        **options: Unpack[RouterOptions],
    ) -> None:
        self._client = client
        self._made: Any = None
        self._places: list[Place] = []
        self._included: list[tuple[OpenAIAPIRouter, str]] = []
        self._settings: dict[str, Any] = {
            "format": format,
            "formats": formats,
            "limits": limits or Limits(),
            "layers": layers,
            "roles": roles,
            "parameters": parameters,
        }
        find(format)
        self.grace = grace
        self.answering = Answering()
        """The answers under way on all routes."""
        theirs = lifespan

        @asynccontextmanager
        async def lived(app: Any) -> AsyncGenerator[Any, None]:
            try:
                if theirs is None:
                    yield
                else:
                    async with theirs(app) as state:
                        yield state
            finally:
                await self.shutdown()
                self.answering.stopped = False  # the application may be started again

        super().__init__(route_class=route_class, lifespan=lived, **options)

    # Whom resources ask

    @property
    def client(self) -> Any:
        """Whom resources ask that name nobody. Made when it is first wanted, if it was not given."""
        if self._client is not None:
            return self._client
        if self._made is None:
            from ..client import AsyncOpenAI

            self._made = AsyncOpenAI()
        return self._made

    @client.setter
    def client(self, client: Any) -> None:
        self._client = client

    async def shutdown(self, grace: float | None = None) -> None:
        """Take no more questions, let answers under way end, and end those that do not within `grace` seconds.

        They end with an error of their format, `server_stopped`. It is called when the application shuts down.
        """
        await self.answering.stop(self.grace if grace is None else grace)
        made, self._made = self._made, None
        if made is not None:
            await made.close()

    # Routes

    def _route(self, ours: Mapping[str, Any]) -> Route:
        given = {**self._settings, **{name: value for name, value in ours.items() if value is not None}}
        own = find(given["format"])
        formats = [find(each) for each in given["formats"]]
        return Route(
            own,
            formats if own in formats else [own, *formats],
            given["limits"],
            tuple(given["layers"]),
            tuple(given["roles"]),
            frozenset(given["parameters"]),
            lambda: self.client,
            Answering(self.answering),
        )

    def add_api_route(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:  # type: ignore[override]
        """Add a route: a factory's, or any other as `APIRouter` does."""
        ours = {name: options.pop(name) for name in _OURS if name in options}
        kind = ours.pop("resource", None) or resource_of(endpoint)
        if kind is None:
            if ours:
                raise TypeError(
                    f"{', '.join(ours)} belongs to a factory, and {_name(endpoint)}() does not say that it returns a "
                    "resource: annotate it, such as `-> ChatCompletionResource`, or give the route resource="
                )
            if "return" not in getattr(endpoint, "__annotations__", {}):
                endpoint = wary(endpoint)
            super().add_api_route(path, endpoint, **options)
            return
        route = self._route(ours)
        methods = list(options.get("methods") or ["GET"])
        made = endpoint_of(endpoint, kind, route, methods)
        options["responses"] = described(kind, route, options.get("responses"))
        extra = kind.openapi_extra()
        if extra:
            options["openapi_extra"] = {**extra, **(options.get("openapi_extra") or {})}
        options["response_model"] = None
        options["response_class"] = StreamingResponse
        if options.get("name") is None:
            options["name"] = _name(endpoint)
        options.setdefault("route_class_override", _limited(self.route_class, route.limits.size))
        super().add_api_route(path, made, **options)
        for method in methods:
            self._place(path, method, made, kind, route, options.get("dependencies"))

    def api_route(
        self, path: str, *, methods: list[str] | None = None, **options: Unpack[RouteOptions]
    ) -> Callable[[F], F]:  # type: ignore[override]
        """A decorator that adds a route with these methods."""

        def decorator(function: F) -> F:
            self.add_api_route(path, function, methods=methods, **options)
            return function

        return decorator

    def get(self, path: str, **options: Unpack[RouteOptions]) -> Callable[[F], F]:  # type: ignore[override]
        """A route for `GET`. A factory's callers say `message`, or `messages` as JSON, in the query."""
        return self.api_route(path, methods=["GET"], **options)

    def post(self, path: str, **options: Unpack[RouteOptions]) -> Callable[[F], F]:  # type: ignore[override]
        """A route for `POST`."""
        return self.api_route(path, methods=["POST"], **options)

    def put(self, path: str, **options: Unpack[RouteOptions]) -> Callable[[F], F]:  # type: ignore[override]
        """A route for `PUT`."""
        return self.api_route(path, methods=["PUT"], **options)

    def patch(self, path: str, **options: Unpack[RouteOptions]) -> Callable[[F], F]:  # type: ignore[override]
        """A route for `PATCH`."""
        return self.api_route(path, methods=["PATCH"], **options)

    def delete(self, path: str, **options: Unpack[RouteOptions]) -> Callable[[F], F]:  # type: ignore[override]
        """A route for `DELETE`."""
        return self.api_route(path, methods=["DELETE"], **options)

    def options(self, path: str, **options: Unpack[RouteOptions]) -> Callable[[F], F]:  # type: ignore[override]
        """A route for `OPTIONS`."""
        return self.api_route(path, methods=["OPTIONS"], **options)

    def head(self, path: str, **options: Unpack[RouteOptions]) -> Callable[[F], F]:  # type: ignore[override]
        """A route for `HEAD`."""
        return self.api_route(path, methods=["HEAD"], **options)

    def trace(self, path: str, **options: Unpack[RouteOptions]) -> Callable[[F], F]:  # type: ignore[override]
        """A route for `TRACE`."""
        return self.api_route(path, methods=["TRACE"], **options)

    def add_api_websocket_route(  # type: ignore[override]
        self,
        path: str,
        endpoint: Callable[..., Any],
        name: str | None = None,
        *,
        dependencies: Sequence[params.Depends] | None = None,
        **ours: Any,
    ) -> None:
        """Add a websocket route: a factory's, or any other as `APIRouter` does."""
        kind = ours.pop("resource", None) or resource_of(endpoint)
        if kind is not None:
            route = self._route(ours)
            made = websocket_of(endpoint, kind, route)
            super().add_api_websocket_route(path, made, name or _name(endpoint), dependencies=dependencies)
            self._place(path, "WS", made, kind, route, dependencies)
        else:
            super().add_api_websocket_route(path, endpoint, name, dependencies=dependencies)

    def websocket(  # type: ignore[override]
        self,
        path: str,
        name: str | None = None,
        *,
        dependencies: Sequence[params.Depends] | None = None,
        resource: type[Resource] | None = None,
        format: str | Format | None = None,
        formats: Sequence[str | Format] | None = None,
        limits: Limits | None = None,
        layers: Sequence[Layer] | None = None,
        roles: Sequence[str] | None = None,
        parameters: Iterable[str] | None = None,
    ) -> Callable[[F], F]:
        """A websocket on which a factory's resource answers one question after the other."""
        ours = {
            "resource": resource,
            "format": format,
            "formats": formats,
            "limits": limits,
            "layers": layers,
            "roles": roles,
            "parameters": parameters,
        }

        def decorator(function: F) -> F:
            self.add_api_websocket_route(path, function, name, dependencies=dependencies, **ours)
            return function

        return decorator

    # The page

    def playground(
        self,
        path: str = "/",
        *,
        routes: Sequence[str] | None = None,
        title: str = "Playground",
        dependencies: Sequence[params.Depends] | None = None,
        name: str = "playground",
    ) -> None:
        """Serve a page at `path` that talks to the router's conversations, for whoever tries them in a browser.

        It shows answers as they are written, calls of tools, usage, errors and every event as it was sent, and fetches
        nothing but itself. `routes` are the paths it offers: all of this router and of those it includes unless told.
        Like FastAPI's own pages it is not behind the router's dependencies; `dependencies` of its own may guard it.
        Raises `ValueError` for a path that does not begin with `/`.
        """
        if not path.startswith("/"):
            raise ValueError(f"the path of a playground begins with '/'; it was {path!r}")
        whole = self.prefix + path

        async def page(request: Request) -> Response:
            told, missing = listed(list(self._conversations()), routes)
            return page_of(title, {"page": whole, "routes": told, "missing": missing})

        if dependencies is None:
            self.add_route(whole, page, ["GET"], name, include_in_schema=False)
        else:
            super().add_api_route(path, page, dependencies=dependencies, name=name, include_in_schema=False)

    def _place(
        self,
        path: str,
        method: str,
        made: Callable[..., Any],
        kind: type[Resource],
        route: Route,
        dependencies: Sequence[params.Depends] | None,
    ) -> None:
        guards = (*self.dependencies, *(dependencies or ()))
        self._places.append(Place(self.prefix + path, method, made, kind, route, guards))

    def _conversations(self, prefix: str = "") -> Iterator[Place]:
        """The factories' routes of this router and of those it includes."""
        for place in self._places:
            yield place.under(prefix)
        for router, further in self._included:
            yield from router._conversations(prefix + further)

    def include_router(self, router: APIRouter, *, prefix: str = "", **options: Any) -> None:  # type: ignore[override]
        """Include another router, as `APIRouter` does."""
        super().include_router(router, prefix=prefix, **options)
        if isinstance(router, OpenAIAPIRouter):
            self._included.append((router, self.prefix + prefix))


def _name(function: Callable[..., Any]) -> str:
    return getattr(function, "__name__", None) or type(function).__name__


# The size of requests


_classes: dict[tuple[type[APIRoute], int], type[APIRoute]] = {}


def _limited(route_class: type[APIRoute], size: int | None) -> type[APIRoute]:
    """A class of routes that take no more than some bytes, of which nothing is parsed before they are counted."""
    if size is None:
        return route_class
    found = _classes.get((route_class, size))
    if found is None:
        most = size

        class Limited(route_class):  # type: ignore[misc,valid-type]
            async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
                await _bounded(super().handle, most, scope, receive, send)

        Limited.__name__ = Limited.__qualname__ = route_class.__name__
        found = _classes[route_class, size] = Limited
    return found


async def _bounded(handle: Callable[..., Any], size: int, scope: Scope, receive: Receive, send: Send) -> None:
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit() and int(value) > size:
            await _too_large(size)(scope, receive, send)
            return
    taken = 0

    async def counted() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        # Whoever reads on is told that the caller has left, and what it then answers is passed over.
        return message if taken <= size else {"type": "http.disconnect"}

    async def sent(message: Message) -> None:
        if taken <= size:
            await send(message)

    await handle(scope, counted, sent)
    if taken > size:
        await _too_large(size)(scope, receive, send)


def _too_large(size: int) -> Response:
    refused = Refused(f"The request's body is larger than {size} bytes.", status=413, code="request_too_large")
    return error_response(refused.error)  # type: ignore[no-any-return]
