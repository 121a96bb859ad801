"""The protocol over gRPC.

Calls are awaited: in the running event loop, or, where a flow is driven by a thread, in the loop that is kept in the
background for that. A channel belongs to the loop it was made in, so each loop has its own.
"""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

from ...kernel.flow import Await
from ..errors import broken, failed, failed_call, impossible, reason
from . import wire
from .protocol import NOTHING, One, identified, kind_of, once

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator, Iterable, Mapping, Sequence

    from ...kernel.flow import Flow
    from .messages import InferRequest, InferResponse, ModelMetadata, RepositoryEntry, ServerMetadata
    from .protocol import Answers

__all__ = ("Grpc",)

T = TypeVar("T")
_SERVICE: Final = "/inference.GRPCInferenceService/"
_RESERVED: Final = frozenset({"connection", "content-length", "content-type", "host", "te", "user-agent"})
_BACKOFF: Final = (("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 1000))
"""How soon a server that was away is tried again."""


class Grpc:
    """A server that is spoken with over gRPC, at `grpc://host:port`, or `grpcs://host:port` with TLS.

    `headers` go with every call as metadata. `name` is what errors call its model, where that is not what the server
    calls it. `connect` is how long is waited for a connection, in seconds. `pipeline` is for pipelines of Seldon's.
    `roots` is the path of a PEM file with what is trusted in place of the usual. Raises `ImportError`, which says how
    to install it, where grpcio is not there, `OSError` for a file that cannot be read.
    """

    def __init__(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        name: str | None = None,
        connect: float | None = None,
        pipeline: bool = False,
        roots: str | None = None,
    ) -> None:
        parts = urlsplit(url)
        self.target = parts.netloc
        self.secure = parts.scheme == "grpcs"
        self.headers = _metadata((headers or {}).items())
        self._grpc = _library()
        self._name = name
        self._connect = connect
        self._roots = None if roots is None else Path(roots).read_bytes()
        self._suffix = ".pipeline" if pipeline else ""
        self._routed = any(key == "seldon-model" for key, _ in self.headers)
        self._streams = True
        self._kind: str | None = None
        self._decoupled: set[tuple[str, str | None]] = set()
        self._lock = Lock()
        self._channels: WeakKeyDictionary[asyncio.AbstractEventLoop, _Channel] = WeakKeyDictionary()

    def infer(self, request: InferRequest) -> Flow[InferResponse]:
        if (request.model, request.version) in self._decoupled:
            return (yield from once((yield from self.open(request)), self._called(request.model)))
        message = yield from self._message(identified(request))
        try:
            data = yield Await(_Later(self._unary, "ModelInfer", message, request.model, request.headers))
        except self._grpc.RpcError as error:
            if _code(error) == "UNIMPLEMENTED" and "decoupled" in _details(error):
                # Triton says so before it asks the model.
                self._decoupled.add((request.model, request.version))
                return (yield from self.infer(request))
            raise self._refusal(error, request.model) from error
        return self._read(wire.infer_response, data, request.model)

    def open(self, request: InferRequest) -> Flow[Answers]:
        if not self._streams:
            return One((yield from self.infer(request)))
        message = yield from self._message(identified(request))
        stream = _Stream(self, request)
        try:
            yield Await(_Later(stream.begin, message))
        except self._grpc.RpcError as error:
            if _code(error) != "UNIMPLEMENTED":
                raise self._refusal(error, request.model) from error
            self._streams = False  # KServe has none, and says so before it asks the model
            return One((yield from self.infer(request)))
        return stream

    def live(self) -> Flow[bool]:
        return (yield from self._is("ServerLive", b""))

    def ready(self, model: str | None = None, version: str | None = None) -> Flow[bool]:
        if model is None:
            return (yield from self._is("ServerReady", b""))
        return (yield from self._is("ModelReady", wire.named(model, version), model))

    def server(self) -> Flow[ServerMetadata]:
        said = self._read(wire.server_of, (yield from self._ask("ServerMetadata", b"")))
        self._kind = kind_of(said)
        return said

    def metadata(self, model: str, version: str | None = None) -> Flow[ModelMetadata]:
        asked = wire.named(model, version)
        said = self._read(wire.metadata_of, (yield from self._ask("ModelMetadata", asked, model)), model)
        try:
            data = yield Await(_Later(self._unary, "ModelConfig", asked, model))
        except self._grpc.RpcError:
            return said  # only Triton and its like have it, and they have it where they have the rest
        optional, decoupled, batch = self._read(wire.configuration_of, data, model)
        if decoupled:
            self._decoupled.add((model, version))
        inputs = tuple(each._replace(optional=each.name in optional) for each in said.inputs)
        return said._replace(inputs=inputs, decoupled=decoupled, max_batch_size=batch)

    def index(self) -> Flow[list[RepositoryEntry]]:
        try:
            data = yield Await(_Later(self._unary, "RepositoryIndex", b""))
        except self._grpc.RpcError as error:
            if _code(error) == "UNIMPLEMENTED":
                return []
            raise self._refusal(error) from error
        return self._read(wire.index_of, data)

    def load(self, model: str) -> Flow[None]:
        yield from self._manage("RepositoryModelLoad", model)

    def unload(self, model: str) -> Flow[None]:
        yield from self._manage("RepositoryModelUnload", model)

    def close(self) -> None:
        with self._lock:
            channels = list(self._channels.items())
            self._channels.clear()
        for loop, channel in channels:
            if not loop.is_closed():
                loop.call_soon_threadsafe(channel.close)

    # How things are said

    def _message(self, request: InferRequest) -> Flow[bytes]:
        doubles = True
        if any(isinstance(value, float) for value in request.parameters.values()):
            # MLServer and KServe do not know numbers with a fraction here, and take them for nothing at all.
            if self._kind is None:
                yield from self.server()
            doubles = self._kind not in ("mlserver", "kserve")
        try:
            return wire.infer_request(request, doubles=doubles)
        except ValueError as error:
            raise impossible(self._called(request.model), str(error)) from error

    def _manage(self, method: str, model: str) -> Flow[None]:
        if self._kind is None:
            yield from self.server()
        asked = wire.named(model) if self._kind == "kserve" else wire.repository_request(model)
        yield from self._ask(method, asked, model)
        self._decoupled = {known for known in self._decoupled if known[0] != model}

    def _is(self, method: str, message: bytes, model: str | None = None) -> Flow[bool]:
        try:
            data = yield Await(_Later(self._unary, method, message, model))
        except self._grpc.RpcError:
            return False
        return self._read(wire.flag_of, data, model)

    def _ask(self, method: str, message: bytes, model: str | None = None) -> Flow[bytes]:
        try:
            data: bytes = yield Await(_Later(self._unary, method, message, model))
        except self._grpc.RpcError as error:
            raise self._refusal(error, model) from error
        return data

    def _read(self, read: Callable[[bytes], T], data: bytes, model: str | None = None) -> T:
        try:
            return read(data)
        except ValueError as error:
            raise broken(self._called(model), f"it is not of the protocol: {error}") from error

    def _refusal(self, error: Any, model: str | None = None) -> Exception:
        return failed_call(_code(error), _details(error), self._called(model))

    def _called(self, model: str | None) -> str:
        return self._name or model or self.target

    # Calls

    async def _unary(
        self, method: str, message: bytes, model: str | None = None, headers: Sequence[tuple[str, str]] = ()
    ) -> bytes:
        answer: bytes = await self._channel().unary(method)(message, metadata=self._sent(model, headers))
        return answer

    def _sent(self, model: str | None, headers: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
        sent = [*self.headers, *_metadata(headers)] if headers else self.headers
        # Seldon finds the model by this, and nobody else minds.
        return sent if model is None or self._routed else [*sent, ("seldon-model", model + self._suffix)]

    def _channel(self) -> _Channel:
        loop = asyncio.get_running_loop()
        channel = self._channels.get(loop)
        if channel is None:
            with self._lock:
                channel = self._channels[loop] = self._opened()
        return channel

    def _opened(self) -> _Channel:
        options: list[tuple[str, Any]] = [
            ("grpc.max_receive_message_length", -1),
            ("grpc.max_send_message_length", -1),
            ("grpc.enable_retries", 0),  # a model may have run
            ("grpc.enable_http_proxy", 0),
            (
                "grpc.lb_policy_name",
                "round_robin",
            ),  # a name may have several addresses, as a service of Kubernetes does
            *_BACKOFF,
        ]
        if self._connect is not None:
            options.append(("grpc.min_reconnect_backoff_ms", max(int(self._connect * 1000), 1)))  # how long a try lasts
        if self.secure:
            credentials = self._grpc.ssl_channel_credentials(self._roots)
            return _Channel(self._grpc.aio.secure_channel(self.target, credentials, options))
        return _Channel(self._grpc.aio.insecure_channel(self.target, options))


class _Later:
    """Something to await that begins when it is awaited, which may be never: whoever asked can be gone by then."""

    __slots__ = ("_begin",)

    def __init__(self, function: Callable[..., Coroutine[Any, Any, Any]], *arguments: Any) -> None:
        self._begin = partial(function, *arguments)

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._begin().__await__()


class _Channel:
    """A channel, and the calls that were made ready on it."""

    __slots__ = ("_calls", "_closing", "_native", "stream")

    def __init__(self, native: Any) -> None:
        self._native = native
        self._calls: dict[str, Any] = {}
        self._closing: Any = None
        # One question is asked: that the method takes a stream of them makes no difference on the wire.
        self.stream = native.unary_stream(f"{_SERVICE}ModelStreamInfer")

    def unary(self, method: str) -> Any:
        call = self._calls.get(method)
        if call is None:
            call = self._calls[method] = self._native.unary_unary(_SERVICE + method)
        return call

    def close(self) -> None:
        self._closing = asyncio.ensure_future(self._native.close())


class _Stream:
    """The answers of one `ModelStreamInfer`."""

    __slots__ = ("_call", "_first", "_loop", "_said", "_server", "request")

    def __init__(self, server: Grpc, request: InferRequest) -> None:
        self.request = request
        self._server = server
        self._call: Any = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._first: list[InferResponse] | None = None
        self._said = False

    async def begin(self, message: bytes) -> None:
        """Ask, and wait for the first answer."""
        server, request = self._server, self.request
        self._loop = asyncio.get_running_loop()
        self._call = server._channel().stream(message, metadata=server._sent(request.model, request.headers))
        try:
            self._first = await self._next()
        except BaseException:
            self.close()
            raise
        if not self._first:
            raise broken(server._called(request.model), NOTHING)

    def more(self) -> Flow[list[InferResponse]]:
        first, self._first = self._first, None
        if first is not None:
            return first
        if self._call is None:
            return []
        server = self._server
        try:
            found: list[InferResponse] = yield Await(_Later(self._next))
        except server._grpc.RpcError as error:
            self.close()
            why = reason(_details(error)) if _code(error) == "UNAVAILABLE" else _details(error)
            raise broken(server._called(self.request.model), why) from error
        return found

    async def _next(self) -> list[InferResponse]:
        server, model = self._server, self.request.model
        while True:
            data = await self._call.read()
            if not isinstance(data, bytes):
                self._call = None  # the end, and a good one: any other raises
                return []
            answer = server._read(lambda data: wire.answer_of(data, model), data, model)
            if isinstance(answer, str):
                await self._rest()
                raise failed(server._called(model), answer, begun=self._said)
            if answer.outputs:
                self._said = True
                return [answer]
            # Triton's word that there is no more; the end follows.

    async def _rest(self) -> None:
        """Hear a call out that has nothing more to say: the end comes at once."""
        while isinstance(await self._call.read(), bytes):
            pass
        self._call = None

    def close(self) -> None:
        call, self._call = self._call, None
        loop = self._loop
        if call is None or loop is None or loop.is_closed():
            return
        loop.call_soon_threadsafe(call.cancel)


def _library() -> Any:
    try:
        import grpc  # type: ignore[import-untyped]
        import grpc.aio  # type: ignore[import-untyped]  # pyright: ignore[reportUnusedImport]
    except ImportError as error:
        raise ImportError(
            'a server at grpc:// is spoken with through grpcio: pip install "antiphon[gateway]"'
        ) from error
    return grpc


def _code(error: Any) -> str:
    code: str = error.code().name
    return code


def _details(error: Any) -> str:
    return error.details() or ""


def _metadata(headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Headers as far as gRPC can carry them."""
    return [
        (lower, value)
        for name, value in headers
        if (lower := name.lower()) not in _RESERVED
        and not lower.startswith((":", "grpc-"))
        and value.isascii()
        and value.isprintable()
    ]
