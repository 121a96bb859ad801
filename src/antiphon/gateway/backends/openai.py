"""A model behind another server of the OpenAI API: vLLM, llama.cpp, KServe's runtimes, OpenAI itself.

What its server understands is passed on untouched, streams too. What the gateway does by itself, such as Responses
where the server has none, runs of assistants or the lines of a batch, is asked as chat completions.
"""

from __future__ import annotations

import re
from array import array
from base64 import b64decode
from functools import partial
from sys import byteorder
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar
from urllib.parse import urlsplit

import orjson

from ...kernel.errors import APIConnectionError, APIStatusError
from ...kernel.http import Headers, Request, Response
from ...kernel.sse import Decoder
from ...server.renderings.chat import completion_pieces
from ...server.turns import Whole
from ..asking import chat_body
from ..carrying import carried
from ..chunks import ChunkReader
from ..errors import SENSELESS, broken, lost, message_of, refused, senseless
from ..passing import PASSED
from ..patience import Guard, transport_timeout
from ..pool import HeldBody, Pool
from ..world import Sender, heard

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence

    from ...kernel.flow import Flow, Step
    from ...server.engine import ChatRequest, EmbeddingRequest, ImageRequest, ModerationRequest
    from ...server.turns import Piece
    from ..config import ModelConfig

__all__ = ("OpenAIBackend", "serve")

T = TypeVar("T")

_KINDS: Final = {
    "chat": ("/chat/completions", "/completions"),
    "embeddings": ("/embeddings",),
    "images": ("/images/generations", "/images/edits", "/images/variations"),
    "moderations": ("/moderations",),
    "speech": ("/audio/speech",),
    "transcriptions": ("/audio/transcriptions", "/audio/translations"),
    "responses": ("/responses",),
}
"""What a model does, and the addresses of it. Without being told it does all but `responses`."""
_UNTOLD: Final = frozenset(_KINDS) - {"responses"}
_KEPT: Final = frozenset({"content-type", "cache-control", "retry-after", "retry-after-ms", "x-should-retry"})
_MODEL: Final = re.compile(
    rb"(content-disposition:[^\r\n]*\bname=\"?model\"?[^\r\n]*\r\n(?:[^\r\n]+\r\n)*\r\n)[^\r\n]*", re.IGNORECASE
)
"""The model in a form, and what is before it in its part."""
_JSON: Final = ("content-type", "application/json")


class OpenAIBackend:
    """Asks servers of the API, in turns."""

    def __init__(self, config: ModelConfig) -> None:
        self.config = config
        self.pool = Pool(config, [(url, _Address(url)) for url in config.urls], self._is_ready)
        self._send = Sender(transport_timeout(config.patience), config.roots)
        kinds = config.kinds or _UNTOLD
        self._paths = PASSED & {path for kind in kinds for path in _KINDS.get(kind, ())}
        made = {"chat": _Chat(self), "embeddings": _Embeddings(self), "images": _Images(self)}
        self.engines: dict[str, Any] = {kind: each for kind, each in made.items() if kind in kinds}
        if "moderations" in kinds:
            self.engines["moderations"] = _Moderations(self)

    def passes(self, path: str) -> bool:
        """Whether its server takes requests to this address."""
        return path in self._paths

    def forward(self, path: str, request: Request, body: dict[str, Any] | None) -> Flow[Response]:
        """Pass a request on, and its answer back."""
        config = self.config
        content = request.content()
        if body is not None and (config.upstream_name != config.name or config.defaults):
            content = orjson.dumps({**config.defaults, **body, "model": config.upstream_name})
        elif body is None and config.upstream_name != config.name:
            content = _MODEL.sub(lambda found: found[1] + config.upstream_name.encode(), content, count=1)
        kind = request.headers.get("content-type") or "application/json"
        passed = carried(config, request.headers)
        stream = body is not None and body.get("stream") is True
        notes: dict[str, Any] | None = getattr(request.headers, "notes", None)
        answer = yield from self.ask(path, content, [("content-type", kind), *passed], stream=stream, notes=notes)
        headers = Headers.of([pair for pair in answer.headers.pairs if pair[0] in _KEPT])
        if isinstance(answer.body, bytes):
            return Response(answer.status, headers, answer.body)
        events = (headers.get("content-type") or "").startswith("text/event-stream")
        return Response(answer.status, headers, self._events(answer.body) if events else self._pieces(answer.body))

    def _pieces(self, body: Any) -> Generator[bytes | Step[Any], Any, None]:
        try:
            while (piece := (yield from body.read())) is not None:
                yield piece
        finally:
            body.close()

    def _events(self, body: Any) -> Generator[bytes | Step[Any], Any, None]:
        """Events in whole numbers, so that what comes after one that broke off can be told from it."""
        held = b""
        try:
            while (piece := (yield from body.read())) is not None:
                if piece[-2:] == b"\n\n" and not held:
                    yield piece
                    continue
                held += piece
                end = max(held.rfind(b"\n\n") + 2, held.rfind(b"\r\n\r\n") + 4, 0)
                if end > 3 or held[:2] == b"\n\n":
                    yield held[:end]
                    held = held[end:]
        finally:
            body.close()
        if held:
            yield held

    def ask(
        self,
        path: str,
        content: bytes,
        headers: Sequence[tuple[str, str]],
        *,
        stream: bool = False,
        notes: dict[str, Any] | None = None,
    ) -> Flow[Response]:
        """Send something to one of its servers; a streamed body is a `HeldBody`.

        Raises an error for what is no good answer, unless that is one of the API's.
        """
        config, pool = self.config, self.pool
        pairs = [*headers, *((name.lower(), value) for name, value in config.headers.items())]

        def ask(address: _Address) -> Flow[tuple[Response, Guard]]:
            request = Request("POST", address.prefix + path, address.query, Headers.of(pairs), content, address.origin)
            if notes is not None:
                notes["upstream"] = address.origin + address.prefix
            guard = Guard(config.name, config.patience)
            try:
                return (yield from guard.over(self._sent(request, stream))), guard
            except BaseException:
                guard.stop()
                raise

        try:
            (answer, guard), place = yield from pool.ask(ask)
        except APIStatusError as error:
            if isinstance(error.__cause__, _Said):
                return error.__cause__.answer
            raise
        if stream and not isinstance(answer.body, bytes):
            return answer._replace(body=HeldBody(answer.body, place, guard, pool))  # type: ignore[arg-type]
        guard.stop()
        place.leave()
        return answer

    def _sent(self, request: Request, stream: bool) -> Flow[Response]:
        config = self.config
        answer: Response
        try:
            answer = yield self._send(request, stream=stream)
        except APIConnectionError as error:
            raise lost(config.name, error, config.patience) from error
        if answer.status == 200:
            return answer
        said = yield from heard(answer.body)
        wrong = refused(answer.status, message_of(said), config.name, answer.headers)
        if not _is_envelope(said):
            raise wrong
        # It is told as it is, unless another server has a better answer.
        whole = Response(answer.status, answer.headers, said)
        if answer.status >= 500 or answer.status in (404, 429):
            raise wrong from _Said(whole)
        return whole

    def asked(self, path: str, body: Mapping[str, Any], request: Any, *, stream: bool = False) -> Flow[Response]:
        """`ask` with JSON, for a request to an engine. Raises the error that an answer is."""
        config, headers = self.config, getattr(request, "headers", None)
        content = orjson.dumps({**config.defaults, **body, "model": config.upstream_name})
        sent = [_JSON, *carried(config, headers)]
        answer = yield from self.ask(path, content, sent, stream=stream, notes=getattr(headers, "notes", None))
        if answer.status != 200:
            error = orjson.loads(answer.content)["error"]
            kept = {name: value for name, value in answer.headers.pairs if name in _KEPT and name != "content-type"}
            raise APIStatusError.because(
                error.get("message") or "",
                status=answer.status,
                type=error.get("type"),
                code=error.get("code"),
                param=error.get("param"),
                headers=kept,
            )
        return answer

    def read(self, answer: Response, read: Callable[[Any], T]) -> T:
        """What is in an answer. Raises an error for one that is not as the API's are."""
        try:
            return read(orjson.loads(answer.content))
        except SENSELESS as error:
            raise senseless(self.config.name, error) from error

    def ready(self) -> Flow[bool]:
        """Whether any of its servers answers."""
        for each in self.pool.replicas:
            if (yield from self._is_ready(each.server)):
                return True
        return False

    def _is_ready(self, address: _Address) -> Flow[bool]:
        pairs = [(name.lower(), value) for name, value in self.config.headers.items()]
        request = Request("GET", f"{address.prefix}/models", address.query, Headers.of(pairs), b"", address.origin)
        try:
            answer = yield self._send(request)
        except APIConnectionError:
            return False
        good: bool = answer.status < 500
        return good

    def close(self) -> None:
        """Let go of connections, once nothing is under way any more."""
        self.pool.close(self._send.close)


class _Said(Exception):
    """An error as a server of the API has told it."""

    def __init__(self, answer: Response) -> None:
        super().__init__(answer.status)
        self.answer = answer


class _Address:
    __slots__ = ("origin", "prefix", "query")

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.origin = f"{parts.scheme}://{parts.netloc}"
        self.prefix = parts.path.rstrip("/") or "/v1"
        self.query = parts.query


def _is_envelope(content: bytes) -> bool:
    try:
        value: Any = orjson.loads(content)
    except orjson.JSONDecodeError:
        return False
    error: Any = value.get("error") if isinstance(value, dict) else None
    return isinstance(error, dict) and isinstance(error.get("message"), str)


class _Chat:
    """Speaks for a model."""

    never_blocks: ClassVar[bool] = True

    def __init__(self, backend: OpenAIBackend) -> None:
        self.backend = backend

    def __call__(self, request: ChatRequest) -> Generator[Piece | Step[Any], Any, None]:
        body = chat_body(request)
        if not request.stream:
            answer = yield from self.backend.asked("/chat/completions", body, request)
            whole = request.dialect == "chat" and request.body.get("n") in (None, 1)
            yield from self.backend.read(answer, partial(_whole, request.model) if whole else _pieces)
            return
        body |= {"stream": True, "stream_options": {"include_usage": True}}
        answer = yield from self.backend.asked("/chat/completions", body, request, stream=True)
        yield from _chunks(answer.body, self.backend.config.name)


def _whole(model: str, said: Any) -> list[Piece]:
    if not said["choices"]:
        raise ValueError("there are no choices in it")
    return [Whole({**said, "model": model})]


def _pieces(said: Any) -> list[Piece]:
    return list(completion_pieces(said))


def _chunks(body: Any, model: str) -> Generator[Piece | Step[Any], Any, None]:
    reader, decoder = ChunkReader(), Decoder()
    done = False
    try:
        while not done and (piece := (yield from body.read())) is not None:
            for data, _ in decoder.data(piece):
                if data[:6] == b"[DONE]":
                    done = True
                    break
                chunk = orjson.loads(data)
                if chunk.get("error"):
                    raise broken(model, message_of(data))
                yield from reader.feed(chunk)
    except orjson.JSONDecodeError as error:
        raise broken(model, f"there was an event in it that is no JSON ({error})") from error
    except SENSELESS as error:
        raise senseless(model, error) from error
    finally:
        body.close()
    if not done and not reader.finished:
        raise broken(model, "its end is missing")
    yield from reader.end()


class _Embeddings:
    """Embeds for a model."""

    never_blocks: ClassVar[bool] = True

    def __init__(self, backend: OpenAIBackend) -> None:
        self.backend = backend

    def __call__(self, request: EmbeddingRequest) -> Flow[list[Any]]:
        body = {**request.body, "input": list(request.inputs), "encoding_format": "float"}
        answer = yield from self.backend.asked("/embeddings", body, request)
        return self.backend.read(answer, partial(_vectors, len(request.inputs)))


def _vectors(count: int, said: Any) -> list[Any]:
    found = sorted(said["data"], key=lambda each: each["index"])
    if len(found) != count:
        raise ValueError(f"there are {len(found)} vectors in it, for {count} texts")
    return [_floats(v) if isinstance(v := each["embedding"], str) else v for each in found]


def _floats(packed: str) -> array[float]:
    numbers = array("f", b64decode(packed))
    if byteorder == "big":
        numbers.byteswap()
    return numbers


class _Images:
    """Draws for a model."""

    never_blocks: ClassVar[bool] = True

    def __init__(self, backend: OpenAIBackend) -> None:
        self.backend = backend

    def __call__(self, request: ImageRequest) -> Flow[list[bytes]]:
        body: dict[str, Any] = {
            "prompt": request.prompt,
            "n": request.n,
            "size": f"{request.width}x{request.height}",
            "response_format": "b64_json",
        }
        answer = yield from self.backend.asked(
            "/images/generations", {**body, **request.body, "stream": False}, request
        )
        return self.backend.read(answer, lambda said: [b64decode(each["b64_json"]) for each in said["data"]])


class _Moderations:
    """Judges for a model."""

    never_blocks: ClassVar[bool] = True

    def __init__(self, backend: OpenAIBackend) -> None:
        self.backend = backend

    def __call__(self, request: ModerationRequest) -> Flow[Mapping[str, float]]:
        given: Any = request.text
        if request.images:
            pictures = [{"type": "image_url", "image_url": {"url": url}} for url in request.images]
            given = [{"type": "text", "text": request.text}, *pictures]
        answer = yield from self.backend.asked("/moderations", {"input": given}, request)
        return self.backend.read(answer, _scores)


def _scores(said: Any) -> dict[str, float]:
    return {**said["results"][0]["category_scores"]}


def serve(config: ModelConfig) -> OpenAIBackend:
    """The backend of a model. Raises `ValueError` where its server is not told."""
    if not config.urls:
        raise ValueError(f"the model {config.name!r} has no url; its backend 'openai' needs one")
    return OpenAIBackend(config)
