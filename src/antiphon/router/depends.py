"""Completions as dependencies of ordinary endpoints.

@app.post("/summary")
async def summary(completion: ChatCompletion = Depends(summarizer)) -> str:
    return completion.choices[0].message.content
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import Depends as FastAPIDepends
from fastapi import HTTPException
from starlette.requests import Request

from ..client import AsyncOpenAI
from .endpoints import Route, _checked, _named, _parameter, resource_of
from .errors import error_of
from .formats import find
from .limits import Limits
from .resources.base import StreamingResource

__all__ = ("Depends",)


def Depends(  # noqa: N802
    factory: Callable[..., Any], *, client: Any = None, use_cache: bool = True, limits: Limits | None = None
) -> Any:
    """A dependency whose value is the whole answer of a factory's resource to the request's body.

    It is a `ChatCompletion`, or a `Response` of a `ResponsesResource`. The factory's parameters are those of the
    endpoint too, and the body is that of a factory's route: `{"messages": […]}`. `client` is whom resources ask that
    name nobody: an `AsyncOpenAI` of the environment unless given. Where the upstream says no, the endpoint is not
    called: the caller gets its status, with the API's error object as `detail`. Raises `TypeError` where the factory
    does not say that it returns a resource.
    """
    kind = resource_of(factory)
    if kind is None or not issubclass(kind, StreamingResource):
        name = getattr(factory, "__name__", repr(factory))
        raise TypeError(f"{name}() does not say that it returns a resource: annotate it, `-> ChatCompletionResource`")
    wire = find("json")
    made: list[Any] = [client]
    route = Route(wire, [wire], limits or Limits())

    async def completed(request: Request, body: Any, resource: Any) -> Any:
        given = _checked(resource, kind, factory)
        secrets: tuple[str, ...] = ()
        try:
            if given.client is None:
                if made[0] is None:
                    made[0] = AsyncOpenAI()
                given.client = made[0]
            secrets = given.caller().secrets
            asked = route.asked(wire, given.said(body.model_dump(exclude_unset=True)), request)
            return await given(asked.messages)
        except Exception as error:
            told = error_of(error, secrets)
            headers = {} if told.retry_after is None else {"retry-after": told.retry_after}
            raise HTTPException(told.status, told.to_dict(), headers) from error

    parameters = [
        _parameter("request", Request),
        _parameter("body", kind.request_model),
        _parameter("resource", Any, FastAPIDepends(factory)),
    ]
    return FastAPIDepends(_named(completed, factory, parameters), use_cache=use_cache)
