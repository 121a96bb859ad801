"""Completions as dependencies of ordinary endpoints.

@app.post("/summary")
async def summary(completion: ChatCompletion = Depends(summarizer)) -> str:
    return completion.choices[0].message.content
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from fastapi import Depends as FastAPIDepends
from fastapi import HTTPException
from orjson import loads
from starlette.requests import Request
from starlette.responses import Response

from ..client import AsyncOpenAI
from .endpoints import Route, _checked, _named, _parameter, resource_of
from .errors import error_of
from .formats import find
from .limits import Limits
from .resources.base import StreamingResource

if TYPE_CHECKING:
    from .answers import Asked, Layer

__all__ = ("Depends",)


def Depends(  # noqa: N802
    factory: Callable[..., Any],
    *,
    client: Any = None,
    use_cache: bool = True,
    limits: Limits | None = None,
    layers: Sequence[Layer] = (),
) -> Any:
    """A dependency whose value is the whole answer of a factory's resource to the request's body.

    It is a `ChatCompletion`, or a `Response` of a `ResponsesResource`. The factory's parameters are those of the
    endpoint too, and the body is that of a factory's route: `{"messages": […]}`. `client` is whom resources ask that
    name nobody: an `AsyncOpenAI` of the environment unless given. `layers` are between, as on a route. Where the
    upstream says no, the endpoint is not called: the caller gets its status, with the API's error object as `detail`.
    Raises `TypeError` where the factory does not say that it returns a resource.
    """
    kind = resource_of(factory)
    if kind is None or not issubclass(kind, StreamingResource):
        name = getattr(factory, "__name__", repr(factory))
        raise TypeError(f"{name}() does not say that it returns a resource: annotate it, `-> ChatCompletionResource`")
    wire = find("json")
    made: list[Any] = [client]
    route = Route(wire, [wire], limits or Limits(), tuple(layers))

    async def completed(request: Request, response: Response, body: Any, resource: Any) -> Any:
        given = _checked(resource, kind, factory)
        secrets: tuple[str, ...] = ()
        try:
            if given.client is None:
                if made[0] is None:
                    made[0] = AsyncOpenAI()
                given.client = made[0]
            secrets = given.caller().secrets
            asked = route.asked(wire, given.said(body.model_dump(exclude_unset=True)), request)
            if not layers:
                return await given(asked.messages)
            asked.stream = False
            result = await _through_layers(route, given, asked)
            for name, value in asked.headers:
                response.headers.append(name, value)
            return result
        except Exception as error:
            told = error_of(error, secrets)
            headers = {} if told.retry_after is None else {"retry-after": told.retry_after}
            raise HTTPException(told.status, told.to_dict(), headers) from error

    parameters = [
        _parameter("request", Request),
        _parameter("response", Response),
        _parameter("body", kind.request_model),
        _parameter("resource", Any, FastAPIDepends(factory)),
    ]
    return FastAPIDepends(_named(completed, factory, parameters), use_cache=use_cache)


async def _through_layers(route: Route, resource: StreamingResource, asked: Asked) -> Any:
    """The whole answer to a question, of the type that its resource gives."""
    from ..types.chat import ChatCompletion
    from ..types.responses import Response as Responded

    answer = await route.opening(resource)(asked)
    try:
        whole = loads(await answer.body())
    finally:
        await answer.close()
    return (Responded if resource.path == "responses" else ChatCompletion).of(whole)
