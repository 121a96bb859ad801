"""What the processes of one gateway share.

What is kept (files, batches, Responses, vector stores …) is in the memory of the first of them. The others answer by
themselves what needs none of it, which is what there is most of: chat completions, embeddings and the like. All else
they pass on to the first, over a port of this machine, as it came, with its key, so that a client sees one gateway
whichever process its connection has reached. Limits of keys are counted in memory that all of them share.
"""

from __future__ import annotations

import mmap
import os
import re
import tempfile
import threading
import time
import weakref
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, Final

from ..kernel.errors import APIConnectionError, InternalServerError
from ..kernel.flow import Read, Send
from ..kernel.http import Headers, Response
from ..kernel.options import Timeout
from ..kernel.spool import IN_MEMORY
from ..server.limits import RateLimit, drawn
from ..server.routes import stripped
from .addresses import beneath
from .world import leave, rest_of

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

    from ..kernel.flow import Flow, Step, World
    from ..kernel.http import Handler, Request
    from ..server.limits import Wanted
    from .app import Gateway
    from .config import KeyConfig

__all__ = ("OfOthers", "Others", "SharedBuckets", "needs_the_first")

_ORIGIN: Final = "x-antiphon-origin"
"""The origin a passed on request was sent to: links in its answer begin with it."""

_FREE: Final = frozenset(
    {
        "/audio/speech",
        "/audio/transcriptions",
        "/audio/translations",
        "/completions",
        "/embeddings",
        "/moderations",
    }
)
"""Addresses whose answers need nothing that is kept, and keep nothing."""
_STORED: Final = re.compile(rb'"store"\s*:\s*true')
_NOT_STORED: Final = re.compile(rb'"store"\s*:\s*false')
_EARLIER: Final = re.compile(rb'"(?:previous_response_id|conversation|background|file_id|vector_store_ids)"\s*:')
_AS_DATA: Final = re.compile(rb'"response_format"\s*:\s*"b64_json"')
_HOPS: Final = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length"})
"""Headers between two machines, of which each makes its own."""


def needs_the_first(request: Request) -> bool:
    """Whether a request touches what is kept. In doubt it does."""
    path = beneath(request.path) or stripped(request.path)[0]
    if request.method in ("GET", "HEAD"):
        return not (path == "/models" or path.startswith(("/models/", "/v2/")))
    if request.method == "OPTIONS" or path in _FREE or path.startswith("/v2/"):
        return False
    body = request.body
    if not isinstance(body, bytes):
        return True
    test = _TESTS.get(path)
    return True if test is None else test(body)


_TESTS: Final[dict[str, Callable[[bytes], bool]]] = {
    "/chat/completions": lambda body: _STORED.search(body) is not None or b'"file_id"' in body,
    "/responses": lambda body: _NOT_STORED.search(body) is None or _EARLIER.search(body) is not None,
    "/images/generations": lambda body: _AS_DATA.search(body) is None,
}


class Others:
    """The handler of a process that is not the first: `origin` is where the first is asked by the others."""

    at_once: ClassVar[bool] = False

    def __init__(self, gateway: Gateway, origin: str) -> None:
        self.gateway = gateway
        self.origin = origin

    @property
    def world(self) -> World:
        return self.gateway.world

    @property
    def max_body(self) -> int:
        return self.gateway.max_body

    def dialogue(self, request: Request) -> Any:
        """A websocket is this process's: what a connection says is known on that connection."""
        return self.gateway.dialogue(request)

    def __call__(self, request: Request) -> Response | Flow[Response]:
        if request.path in self.gateway.pages or not needs_the_first(request):
            return self.gateway(request)
        return self._passed(request)

    def _passed(self, request: Request) -> Flow[Response]:
        headers = request.headers.replaced({**dict.fromkeys((*_HOPS, "host", "expect")), _ORIGIN: request.origin})
        asked = request._replace(origin=self.origin, headers=headers)
        try:
            answer: Response = yield Send(asked, _PATIENCE, stream=True)
        except APIConnectionError as error:
            raise InternalServerError.because(
                "The process that keeps files, Responses and the like cannot be reached; it is being started anew.",
                status=503,
                code="gateway_restarting",
                headers={"retry-after": "1"},
            ) from error
        pairs = [pair for pair in answer.headers.pairs if pair[0] not in _HOPS]
        body: Any = answer.body
        if not isinstance(body, bytes):
            length = answer.headers.get("content-length")
            small = length is not None and int(length) <= IN_MEMORY
            body = (yield from _whole(body)) if small else _pieces(body)
        return Response(answer.status, Headers.of(pairs), body)


_PATIENCE: Final = Timeout(None, connect=5.0)


def _whole(body: Any) -> Flow[bytes]:
    try:
        return (yield from rest_of(body))
    except APIConnectionError as error:
        raise _broken() from error
    finally:
        leave(body)


def _pieces(body: Any) -> Generator[bytes | Step[Any], Any, None]:
    try:
        while (piece := (yield Read(body))) is not None:
            yield piece
    except APIConnectionError as error:
        raise _broken() from error
    finally:
        leave(body)


def _broken() -> InternalServerError:
    return InternalServerError.because(
        "The process that keeps files, Responses and the like ended before its answer did.",
        status=502,
        code="gateway_restarting",
        headers={"x-should-retry": "false"},
    )


class OfOthers:
    """What the first process answers the others: as if a request had come to where it was sent."""

    at_once: ClassVar[bool] = False

    def __init__(self, handler: Handler) -> None:
        self.handler = handler

    def __call__(self, request: Request) -> Response | Flow[Response]:
        origin = request.headers.get(_ORIGIN)
        if origin is None:
            return self.handler(request)
        return self.handler(request._replace(origin=origin, headers=request.headers.replaced({_ORIGIN: None})))


class SharedBuckets:
    """Buckets of keys, in memory that is shared with the processes that are forked after this was made.

    There is room for `most` keys. A lock on a file guards it, which the system opens where a process dies.
    """

    def __init__(self, most: int = 4096) -> None:
        self._most = most
        self._memory = mmap.mmap(-1, most * _ROW * 8)
        self._cells = memoryview(self._memory).cast("d")
        self._file, path = tempfile.mkstemp(prefix="antiphon-limits-")
        os.unlink(path)
        weakref.finalize(self, os.close, self._file)
        self._threads = threading.Lock()

    def draw(self, key: KeyConfig, limit: RateLimit, asked: Wanted) -> Mapping[str, float]:
        name = int(key.hash.removeprefix("sha256:")[:13], 16) + 1.0  # exact as a float, and never 0
        now = time.time()
        with self._held():
            at = self._row(name)
            cells = self._cells
            known = cells[at] == name
            before = dict(zip(RateLimit._fields, cells[at + 2 : at + _ROW], strict=True)) if known else {}
            before = {field: left for field, left in before.items() if left >= 0}
            left = drawn(limit, asked, before, max(0.0, now - cells[at + 1]) if known else 0.0, key.name)
            cells[at], cells[at + 1] = name, now
            for place, field in enumerate(RateLimit._fields, at + 2):
                cells[place] = left.get(field, -1.0)
        return left

    def _row(self, name: float) -> int:
        """Where a key's numbers are: where they were, or the first free place after where they would be."""
        begin = int(name) % self._most
        for step in range(self._most):
            at = (begin + step) % self._most * _ROW
            if self._cells[at] in (name, 0.0):
                return at
        return begin * _ROW  # more keys than there is room for: two share a place

    @contextmanager
    def _held(self) -> Generator[None]:
        import fcntl

        with self._threads:  # the file's lock is one of processes
            fcntl.lockf(self._file, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.lockf(self._file, fcntl.LOCK_UN)


_ROW: Final = 2 + len(RateLimit._fields)
