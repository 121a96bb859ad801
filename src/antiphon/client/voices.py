"""Calls in further voices: with the response they got, with its body unread, with a result instead of an exception.

Each voice is a core like the client itself: what resources hold, so that one class of resource serves them all. It
sends with the client's transport and settings, as they are at the time of the call. A helper, which may send several
requests, answers in its voice with the last response.
"""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any, Final, get_args, get_origin

from ..kernel.binary import HttpxBinaryResponseContent
from ..kernel.body import AsyncPieces, Pieces
from ..kernel.errors import APIError, APIStatusError, OpenAIError
from ..kernel.flow import World, arun, run
from ..kernel.http import Request
from ..kernel.pages import Fetch
from ..kernel.raw import (
    APIResponse,
    AsyncAPIResponse,
    AsyncResponseContextManager,
    AsyncStreamedBinaryAPIResponse,
    LegacyAPIResponse,
    ResponseContextManager,
    StreamedBinaryAPIResponse,
    read_as,
)
from ..kernel.result import Err, Failure, Ok
from ..kernel.stream import AsyncStream, Stream
from ..kernel.view import wrapper
from .flow import RETRY_COUNT, exchange
from .plan import plan_of

if TYPE_CHECKING:
    from ..kernel.flow import Flow
    from ..kernel.helper import Answer
    from ..kernel.http import Response
    from ..kernel.operation import AnyOperation
    from .base import BaseClient

__all__ = ("in_voice",)

RAW_RESPONSE: Final = "X-Stainless-Raw-Response"
"""Tells a server how its answer is read; the official client sends it, so ours does."""


def _marked(kwargs: dict[str, Any], header: str | None) -> dict[str, Any]:
    """The arguments of a call, with the header that says how its answer is read."""
    if header is None:
        return kwargs
    return {**kwargs, "extra_headers": {**(kwargs.get("extra_headers") or {}), RAW_RESPONSE: header}}


class _Call:
    """One call under way: what is sent, how often it was, and how the answer is read."""

    def __init__(
        self,
        client: BaseClient,
        operation: AnyOperation,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        header: str | None = None,
    ) -> None:
        self.fetch = Fetch(client, operation, args, dict(kwargs)) if operation.paged else None
        kwargs = _marked(kwargs, header)
        self.client = client
        self.operation = operation
        self.plan = plan_of(operation, client._is_async)
        bound = operation.bind(args, kwargs)
        self.after = None if self.plan.special is None else self.plan.special(client, bound)
        self.body = bound.body
        self.prepared = client._prepare(self.plan, bound)
        self.world = _Watch(client._world)

    @property
    def retries(self) -> int:
        """How often the call was tried again."""
        # The count travels with the request, unless the caller sent a count of their own.
        return self.world.sent - 1 if RETRY_COUNT in self.prepared.explicit else self.world.retries

    def flow(self, *, unread: bool = False) -> Flow[Response]:
        """The exchange; with `unread` the body is left unread whatever the call."""
        prepared = self.prepared._replace(stream=True) if unread else self.prepared
        client = self.client
        return exchange(prepared, client._token(self.operation), client.max_retries, client._hooks)

    def finish(self, response: Response) -> Any:
        """The result the call would have had."""
        result = self.client._finish(self.plan, self.prepared, response, self.body, self.after)
        if self.fetch is not None and not isinstance(result, str):
            result._fetch = self.fetch
        return result

    def read(self, response: Response, to: Any) -> Any:
        """The body of a response as a type, as the call's own where that is `None`."""
        if to is None:
            return self.finish(response)
        return self._stream(response, to) if self.prepared.stream else read_as(response, to)

    def read_bytes(self, response: Response, to: Any) -> Any:
        """`read` where the call's own type is bytes."""
        return read_as(response, bytes if to is None else to)

    def _stream(self, response: Response, to: Any) -> Any:
        kind = AsyncStream if self.client._is_async else Stream
        item = get_args(to)
        if get_origin(to) is not kind or not item:
            raise TypeError(f"a stream cannot be read as {to}: name {kind.__name__}[…] with the type of its events")
        wrap = wrapper(item[0])
        return kind(response, self.plan.events()._replace(wrap=wrap or (lambda value: value)))

    def legacy(self, response: Response) -> LegacyAPIResponse[Any]:
        """The answer of a raw call."""
        ended = perf_counter()
        if self.prepared.stream:
            response = self._in_pieces(response)
        return LegacyAPIResponse(response, self.read, self.retries, self.prepared.stream, self.world.began, ended)

    def unread(self, response: Response) -> Any:
        """The answer of a streaming call."""
        binary = self.plan.read is HttpxBinaryResponseContent
        kind: Any = _UNREAD[self.client._is_async, binary]
        read = self.read_bytes if binary else self.read
        return kind(self._in_pieces(response), read, self.retries, self.prepared.stream, self.world.began)

    def _in_pieces(self, response: Response) -> Response:
        pieces: Any = (AsyncPieces if self.client._is_async else Pieces)(response.body)
        return response._replace(body=pieces)

    # Results

    def ok(self, response: Response) -> Ok[Any] | Err:
        """The result of a call that was answered; an answer that cannot be read is a failure."""
        try:
            value = self.finish(response)
        except (OpenAIError, ValueError) as error:
            return self.failed(error, response)
        return Ok(value, response, self.retries)

    def failed(self, error: OpenAIError | ValueError, response: Response | None = None) -> Err:
        """The result of a call that failed."""
        if isinstance(error, APIStatusError):
            response = error.response
        return Err(Failure.of(error, self.prepared.request, response), response, self.retries)


_UNREAD = {
    (False, False): APIResponse,
    (False, True): StreamedBinaryAPIResponse,
    (True, False): AsyncAPIResponse,
    (True, True): AsyncStreamedBinaryAPIResponse,
}


class _Watch(World):
    """Another world, watched: what was sent there last, when, and what came back."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.sent = 0
        self.began = perf_counter()
        self.request: Request | None = None
        self.response: Response | None = None
        self.sleep = world.sleep  # type: ignore[method-assign]
        self.asleep = world.asleep  # type: ignore[method-assign]

    @property
    def retries(self) -> int:
        """How often the last request had been sent before."""
        count = "" if self.request is None else self.request.headers.get(RETRY_COUNT, "")
        return int(count) if count.isdigit() else 0

    def send(self, request: Request, timeout: Any, stream: bool) -> Response:
        self._begin(request)
        response = self.response = self.world.send(request, timeout, stream)
        return response

    async def asend(self, request: Request, timeout: Any, stream: bool) -> Response:
        self._begin(request)
        response = self.response = await self.world.asend(request, timeout, stream)
        return response

    def _begin(self, request: Request) -> None:
        self.sent += 1
        self.began = perf_counter()
        self.request, self.response = request, None


class _Helped:
    """A helper under way, in a voice: what it came to and the last response it got."""

    def __init__(self, client: BaseClient, flow: Flow[Any]) -> None:
        self.client = client
        self.world = _Watch(client._world)
        self.flow = self._caught(flow)
        self.value: Any = None
        self.error: OpenAIError | ValueError | None = None

    def _caught(self, flow: Flow[Any]) -> Flow[None]:
        # An answer the helper cannot make anything of is an answer: its response is given, and reading it raises.
        try:
            self.value = yield from flow
        except APIError:
            raise
        except (OpenAIError, ValueError) as error:
            if self.world.response is None:
                raise
            self.error = error

    def read(self, response: Response, to: Any) -> Any:
        """The helper's result, or the body of the last response as a type."""
        if to is not None:
            return read_as(response, to)
        if self.error is not None:
            raise self.error
        return self.value

    def response(self, kind: Any) -> Any:
        """The last response, as one class or the other."""
        world = self.world
        response = world.response
        if response is None:
            raise RuntimeError("this helper asked the server for nothing, so there is no response to be had")
        ended = perf_counter()
        return kind(response, self.read, world.retries, False, world.began, ended)

    def ok(self) -> Ok[Any] | Err:
        """The result of a helper that came to its end."""
        if self.error is not None:
            return self.failed(self.error)
        return Ok(self.value, self.world.response, self.world.retries)

    def failed(self, error: Exception) -> Err:
        """The result of a helper that failed."""
        world = self.world
        response = error.response if isinstance(error, APIStatusError) else world.response
        return Err(Failure.of(error, world.request or Request("", "", origin=""), response), response, world.retries)


_FAILURES = (OpenAIError, TimeoutError)
"""What ends a helper for what the server or the network did: `TimeoutError` when it has waited long enough."""


class _Voice:
    """A client in a further voice."""

    header: str | None = None
    """What its requests say of the way their answers are read."""

    def __init__(self, client: Any) -> None:
        self.client = client

    def _ask(self, operation: AnyOperation, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Flow[Answer[Any]]:
        asked: Flow[Answer[Any]] = self.client._ask(operation, args, _marked(kwargs, self.header))
        return asked

    def __repr__(self) -> str:
        return f"{self.client!r} in {type(self).__name__.strip('_')}"


class _Raw(_Voice):
    header = "true"

    def _call(self, operation: AnyOperation, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        call = _Call(self.client, operation, args, kwargs, self.header)
        return call.legacy(run(call.flow(), call.world))

    def _drive(self, flow: Flow[Any]) -> Any:
        helped = _Helped(self.client, flow)
        run(helped.flow, helped.world)
        return helped.response(LegacyAPIResponse)


class _AsyncRaw(_Voice):
    header = "true"

    async def _call(self, operation: AnyOperation, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        call = _Call(self.client, operation, args, kwargs, self.header)
        return call.legacy(await arun(call.flow(), call.world))

    async def _drive(self, flow: Flow[Any]) -> Any:
        helped = _Helped(self.client, flow)
        await arun(helped.flow, helped.world)
        return helped.response(LegacyAPIResponse)


class _Streaming(_Voice):
    header = "stream"

    def _call(self, operation: AnyOperation, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        def ask() -> APIResponse[Any]:
            call = _Call(self.client, operation, args, dict(kwargs), self.header)
            response: APIResponse[Any] = call.unread(run(call.flow(unread=True), call.world))
            return response

        return ResponseContextManager(ask)

    def _drive(self, flow: Flow[Any]) -> Any:
        def ask() -> APIResponse[Any]:
            helped = _Helped(self.client, flow)
            run(helped.flow, helped.world)
            response: APIResponse[Any] = helped.response(APIResponse)
            return response

        return ResponseContextManager(ask)


class _AsyncStreaming(_Voice):
    header = "stream"

    def _call(self, operation: AnyOperation, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        async def ask() -> AsyncAPIResponse[Any]:
            call = _Call(self.client, operation, args, dict(kwargs), self.header)
            response: AsyncAPIResponse[Any] = call.unread(await arun(call.flow(unread=True), call.world))
            return response

        return AsyncResponseContextManager(ask)

    def _drive(self, flow: Flow[Any]) -> Any:
        async def ask() -> AsyncAPIResponse[Any]:
            helped = _Helped(self.client, flow)
            await arun(helped.flow, helped.world)
            response: AsyncAPIResponse[Any] = helped.response(AsyncAPIResponse)
            return response

        return AsyncResponseContextManager(ask)


class _Result(_Voice):
    def _call(self, operation: AnyOperation, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        call = _Call(self.client, operation, args, kwargs)
        try:
            response = run(call.flow(), call.world)
        except OpenAIError as error:
            return call.failed(error)
        return call.ok(response)

    def _drive(self, flow: Flow[Any]) -> Any:
        helped = _Helped(self.client, flow)
        try:
            run(helped.flow, helped.world)
        except _FAILURES as error:
            return helped.failed(error)
        return helped.ok()


class _AsyncResult(_Voice):
    async def _call(self, operation: AnyOperation, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        call = _Call(self.client, operation, args, kwargs)
        try:
            response = await arun(call.flow(), call.world)
        except OpenAIError as error:
            return call.failed(error)
        return call.ok(response)

    async def _drive(self, flow: Flow[Any]) -> Any:
        helped = _Helped(self.client, flow)
        try:
            await arun(helped.flow, helped.world)
        except _FAILURES as error:
            return helped.failed(error)
        return helped.ok()


_VOICES = {
    ("raw", False): _Raw,
    ("raw", True): _AsyncRaw,
    ("streaming", False): _Streaming,
    ("streaming", True): _AsyncStreaming,
    ("result", False): _Result,
    ("result", True): _AsyncResult,
}


def in_voice(client: BaseClient, voice: str) -> Any:
    """What stands behind the resources of a client in another voice."""
    return _VOICES[voice, client._is_async](client)
