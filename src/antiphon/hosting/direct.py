"""Answers that need no waiting are given on the thread that brings the request, without a detour by the event loop.

Granian frames HTTP on one thread of Rust, hands requests over on a second one that holds the interpreter, and has
the application run as a task of the event loop, on a third: a task, two wake-ups of the loop and two changes of
threads for every request, which cost more than a whole chat completion. A handler does not wait: mostly its answer
is there when it returns. So here the second thread calls it. Only what has steps in it, or a body that is large or
of unknown length, becomes a task of the loop.

Two things make this possible. The event loop is of a class of ours, which calls an `Arrival` where it is (granian's
futures call back through `call_soon_threadsafe`). And granian's scheduler of requests, which is private to it, is
replaced in a copy of the one function that uses it, so other servers of the process keep theirs. Where granian has
changed and the pieces do not fit, `spawner` gives `None`, and the way over the loop remains.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from types import FunctionType
from typing import TYPE_CHECKING, Any

from ..kernel.http import Response
from ..kernel.spool import IN_MEMORY, Spooled
from .pump import Stream, log, sendable
from .rsgi import LazyHeaders, request_of

if TYPE_CHECKING:
    from .rsgi import RSGI

__all__ = ("DirectLoop", "loop_factory", "spawner")


def _base() -> Any:
    try:
        import uvloop
    except ImportError:
        return asyncio.SelectorEventLoop if os.name == "posix" else asyncio.ProactorEventLoop  # type: ignore[attr-defined]
    return uvloop.Loop


class DirectLoop(_base()):  # type: ignore[misc]
    """An event loop, uvloop's where it is installed, that calls an `Arrival` on the thread it arrives on."""

    def call_soon_threadsafe(self, callback: Callable[..., Any], *arguments: Any, context: Any = None) -> Any:
        if isinstance(callback, Arrival):
            return callback(*arguments)
        return super().call_soon_threadsafe(callback, *arguments, context=context)


def loop_factory() -> asyncio.AbstractEventLoop:
    """A loop to serve on."""
    loop: asyncio.AbstractEventLoop = DirectLoop()
    return loop


def spawner(app: RSGI) -> Callable[..., Any] | None:
    """What granian's embedded server is to spawn as its worker; `None` where it has no place for it."""
    if os.name != "posix" or not isinstance(asyncio.get_running_loop(), DirectLoop):
        return None  # elsewhere granian's futures are the loop's own
    if not app.at_once:
        return None
    try:
        from granian._granian import CallbackScheduler
        from granian.server.embed import AsyncWorker, Server

        spawn: Any = Server._spawn_rsgi_worker
        original: Any = spawn.__wrapped__
        wrap: Any = AsyncWorker.wrap_target
    except (ImportError, AttributeError):
        return None
    if "_new_cbscheduler" not in original.__code__.co_names:
        return None

    class Scheduler(CallbackScheduler):
        def __init__(self, loop: Any, *_: Any) -> None:
            super().__init__()
            self._schedule_fn = Direct(app, loop, self._ctx).arrived

    def scheduler(loop: Any, callback: Any, **_: Any) -> Any:
        make: Any = Scheduler
        return make(loop, callback, None, None, None)

    known: dict[str, Any] = {**original.__globals__, "_new_cbscheduler": scheduler}
    copy = FunctionType(original.__code__, known, original.__name__, original.__defaults__, original.__closure__)
    wrapped: Callable[..., Any] = wrap(copy)
    return wrapped


class Direct:
    """Takes requests from granian, on its thread."""

    __slots__ = ("app", "context", "loop")

    def __init__(self, app: RSGI, loop: asyncio.AbstractEventLoop, context: Any) -> None:
        self.app = app
        self.loop = loop
        self.context = context

    def arrived(self, watcher: Any) -> None:
        """A request is there, its body perhaps not yet. Called from Rust, where nothing may be raised."""
        try:
            scope, protocol = watcher.scope, watcher.proto
            if scope.proto != "http":
                self._later(watcher, self.app.__rsgi__(scope, protocol))
                return
            headers = LazyHeaders(scope.headers)
            length = self.app.announced(scope, headers)
            if length is None or length > IN_MEMORY or length > self.app.max_body:
                self._later(watcher, self.app.__rsgi__(scope, protocol))
            elif length:
                protocol().add_done_callback(Arrival(self, watcher, headers), context=self.context)
            else:
                self.answer(watcher, headers, b"", whole=True)
        except BaseException as error:
            self.failed(watcher, error)

    def answer(self, watcher: Any, headers: LazyHeaders, body: bytes, *, whole: bool) -> None:
        """Call the handler, and send what it says if it is there."""
        scope, protocol = watcher.scope, watcher.proto
        answer = self.app.answer(request_of(scope, headers, body), whole=whole)
        method = scope.method
        if self.app.reply(answer, method, protocol):
            watcher.done()
            return
        if isinstance(answer, Response) and method != "HEAD" and not isinstance(answer.body, Spooled):
            pieces: Any = answer.body
            stream = Stream(pieces)
            data = stream.gather()
            if stream.ended and stream.error is None:
                # The whole stream was ready. It ends when the transport is let go.
                protocol.response_stream(answer.status, sendable(answer.headers.pairs)).send_bytes(data)
                stream.close()
                watcher.done()
                return
            self._later(watcher, self.app.unhurried(answer, scope, protocol, stream, data))
        else:
            self._later(watcher, self.app.unhurried(answer, scope, protocol))

    def _later(self, watcher: Any, rest: Any) -> None:
        async def finish() -> None:
            try:
                await rest
            except BaseException as error:
                self.failed(watcher, error)
            else:
                watcher.done()

        def start() -> None:
            watcher.taskref(self.loop.create_task(finish()))

        self.loop.call_soon_threadsafe(start)

    def failed(self, watcher: Any, error: BaseException) -> None:
        """Something broke that is not the handler: granian answers with a bare 500 where nothing was sent."""
        log.error("a request could not be answered", exc_info=error)
        watcher.done()


class Arrival:
    """Called when the body of a request is there."""

    __slots__ = ("direct", "headers", "watcher")

    def __init__(self, direct: Direct, watcher: Any, headers: LazyHeaders) -> None:
        self.direct = direct
        self.watcher = watcher
        self.headers = headers

    def __call__(self, future: Any) -> None:
        try:
            try:
                body = future.result()
            except RuntimeError:
                self.watcher.done()  # the client left while sending its body
            else:
                self.direct.answer(self.watcher, self.headers, body, whole=True)
        except BaseException as error:
            self.direct.failed(self.watcher, error)
