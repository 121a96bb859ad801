"""What all resources are."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Mapping, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from fastapi import Query

from ..answers import Asked
from ..errors import Failed, Refused
from ..events import Error, Event, Text
from ..models import ChatRequest
from ..upstream.callers import Caller, caller_of

if TYPE_CHECKING:
    from pydantic import BaseModel
    from starlette.requests import Request
    from starlette.responses import Response

    from ..answers import Answer
    from ..endpoints import Route

__all__ = ("Resource", "StreamingResource", "checked")

_CALL = frozenset(("extra_headers", "extra_query", "extra_body", "timeout"))


class Resource:
    """A call of the API that is ready but for what the caller says.

    `client` is who is asked; `None` is the client of the router, an `AsyncOpenAI` of the environment unless it was
    given another.
    """

    path: ClassVar[str]
    """The resource of the client that is called, such as `chat.completions`."""
    engine_kind: ClassVar[str] = "chat"
    stream: bool = False
    """Whether the answer comes in pieces, unless the caller says otherwise."""
    client: Any
    options: dict[str, Any]
    """Parameters of the call."""

    def __init__(self, client: Any, options: Mapping[str, Any]) -> None:
        self.client = client
        self.options = dict(options)

    @classmethod
    def request_parameters(cls, *, bodiless: bool) -> list[inspect.Parameter]:
        """The parameters of an endpoint through which callers speak, as FastAPI reads them."""
        raise NotImplementedError

    @classmethod
    def answer_content(cls, route: Route) -> dict[str, Any]:
        """What an endpoint answers, as OpenAPI's `content`."""
        return {"application/json": {"schema": {"type": "object"}}}

    @classmethod
    def openapi_extra(cls) -> dict[str, Any]:
        """What an endpoint's description says beside that."""
        return {}

    async def open(self, asked: Asked) -> Answer:
        """Ask. Raises the client's errors where the upstream says no."""
        raise NotImplementedError

    async def respond(self, route: Route, request: Request, given: Mapping[str, Any]) -> Response:
        """The answer to a request whose parameters were read. Raises `Refused` for one that is not answered."""
        raise NotImplementedError

    def caller(self) -> Caller:
        """Who asks."""
        client = self.client
        if client is None:
            from ...client import AsyncOpenAI

            client = self.client = AsyncOpenAI()
        return caller_of(client, self.engine_kind)


class StreamingResource(Resource):
    """A resource whose answers may come in pieces, and in any wire format."""

    request_model: ClassVar[type[BaseModel]] = ChatRequest

    @classmethod
    def request_parameters(cls, *, bodiless: bool) -> list[inspect.Parameter]:
        if not bodiless:
            return [_parameter("body", cls.request_model)]
        one = Annotated[str | None, Query(description="What the user says, where that is the whole conversation.")]
        many = Annotated[str | None, Query(description="The conversation as JSON: a list of messages.")]
        return [_parameter("message", one, None), _parameter("messages", many, None)]

    @classmethod
    def answer_content(cls, route: Route) -> dict[str, Any]:
        content: dict[str, Any] = {}
        for each in (route.format, *route.formats):
            words = f"{each.key}: {each.summary}"
            known = content.get(each.media_type)
            if known is None:
                schema = {"type": "object" if each.media_type == "application/json" else "string"}
                content[each.media_type] = {"schema": {**schema, "description": words}}
            elif words not in known["schema"]["description"]:
                known["schema"]["description"] += f"\n\n{words}"
        return content

    async def respond(self, route: Route, request: Request, given: Mapping[str, Any]) -> Response:
        wire = route.negotiate(request)
        body: Any = given.get("body")
        said = self.said(_in_query(given) if body is None else body.model_dump(exclude_unset=True))
        return route.response(self, route.asked(wire, said, request), wire)

    @classmethod
    def said(cls, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """What a caller said, with the conversation in `messages`."""
        return body

    async def open(self, asked: Asked) -> Answer:
        """Ask. Raises the client's errors where the upstream says no."""
        body = self.body(asked)
        stream = self.stream if asked.stream is None else asked.stream
        caller = self.caller()
        return await (caller.stream if stream else caller.whole)(self.path, body)

    def body(self, asked: Asked) -> dict[str, Any]:
        """What is sent, but for whether to stream."""
        raise NotImplementedError

    async def __call__(self, messages: Sequence[Mapping[str, Any]]) -> Any:
        """The answer as a whole, as the client gives it. Raises the client's errors."""
        body = self.body(Asked([dict(each) for each in messages], False))
        return await self.caller().result(self.path, body)

    async def events(self, messages: Sequence[Mapping[str, Any]], *, stream: bool = True) -> AsyncIterator[Event]:
        """Ask, and give the answer's events as they come. Raises `APIError` where the upstream says no at once."""
        answer = await self.open(Asked([dict(each) for each in messages], stream))
        async for event in answer:
            yield event

    async def stream_response(self, messages: Sequence[Mapping[str, Any]]) -> AsyncIterator[str]:
        """Ask, and give the text as it comes. Raises what `events` raises, and `Failed` where the answer breaks off."""
        async for event in self.events(messages, stream=self.stream):
            if isinstance(event, Text):
                yield event.text
            elif isinstance(event, Error):
                raise Failed(event)


def checked(given: Mapping[str, Any], known: frozenset[str], name: str, own: Sequence[str]) -> dict[str, Any]:
    """Options of a resource. Raises `TypeError` for one that its call does not have."""
    for option in given:
        if option in own:
            raise TypeError(f"{name} gives `{option}` itself")
        if option not in known and option not in _CALL:
            near = get_close_matches(option, known, 1)
            hint = f"; did you mean '{near[0]}'?" if near else ""
            raise TypeError(f"{name} has no option '{option}'{hint}")
    return dict(given)


def messages_of(asked: Asked) -> list[dict[str, Any]]:
    """The messages of a question. Raises `Refused` where there are none."""
    if not asked.messages:
        raise Refused("`messages` is empty: there is nothing to answer.", status=422, param="messages")
    return asked.messages


def _parameter(name: str, annotation: Any, default: Any = inspect.Parameter.empty) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default)


def _in_query(given: Mapping[str, Any]) -> dict[str, Any]:
    """What a request without a body says."""
    from orjson import JSONDecodeError, loads

    one, many = given.get("message"), given.get("messages")
    if (one is None) == (many is None):
        raise Refused("Give `message`, a text, or `messages`, a list as JSON.", status=422, param="messages")
    if one is not None:
        return {"messages": [{"role": "user", "content": one}]}
    try:
        messages = loads(many or "")
    except JSONDecodeError as error:
        raise Refused(f"`messages` is not valid JSON: {error}", status=422, param="messages") from None
    if not isinstance(messages, list) or not all(isinstance(each, dict) for each in messages):
        raise Refused("`messages` is a list of objects with `role` and `content`.", status=422, param="messages")
    return {"messages": messages}
