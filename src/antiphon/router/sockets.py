"""Answers over a websocket: one question after the other, on one connection.

The caller sends questions, JSON objects in the form of the wire format (`{"messages": […]}`), and gets the frames of
its answers. `{"event": "cancel"}` (or `{"type": "cancel"}`) stops the answer under way; the websocket stays. What is
no question is answered with an error in its turn, and the session goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import anyio
from orjson import JSONDecodeError, loads
from starlette.websockets import WebSocketDisconnect, WebSocketState

from .answers import Answer, Asked, ComposedAnswer
from .errors import Failed, Refused, error_of
from .events import Error, Event, Finish
from .formats import Format, find
from .limits import Limits
from .vigil import REASONS, Reason, Vigil

if TYPE_CHECKING:
    from starlette.websockets import WebSocket

    from .answers import Opening
    from .endpoints import Route
    from .formats import Writer
    from .resources.base import StreamingResource

__all__ = ("WebSocketSession",)

_GONE: Final = (WebSocketDisconnect, OSError)
_CANCEL: Final = ("cancel", "response.cancel")
_CLOSING: Final = 2.0


class WebSocketSession:
    """A websocket on which questions are answered.

        await WebSocketSession(websocket, resource=resource).run()
        await WebSocketSession(websocket, content=answer, format="openai").run()

    `content` is a function from a question (`Asked`) to an async iterator of events or text. A caller chooses another
    format by its name as a subprotocol, or in `Accept`.
    """

    __slots__ = (
        "_broken",
        "_ending",
        "_format",
        "_limits",
        "_open",
        "_pending",
        "_revoked",
        "_route",
        "_said",
        "_starting",
        "_stream",
        "_taken",
        "_vigil",
        "_worker",
        "websocket",
    )

    def __init__(
        self,
        websocket: WebSocket,
        *,
        resource: StreamingResource | None = None,
        content: Callable[[Asked], AsyncIterator[Event | str | list[Event]]] | None = None,
        format: str | Format = "lanarky",
        limits: Limits | None = None,
    ) -> None:
        if (content is None) == (resource is None):
            raise TypeError("a WebSocketSession has a resource, or content, a function from a question to its events")
        from .endpoints import Route

        own = find(format)
        route = Route(own, [own], limits or Limits())
        if resource is not None:
            self._prepare(websocket, route, route.opening(resource), resource.stream, resource.said)
        else:

            async def opened(asked: Asked) -> Answer:
                return ComposedAnswer(content(asked))  # type: ignore[misc]

            self._prepare(websocket, route, opened, True, None)

    @classmethod
    def of(cls, websocket: WebSocket, resource: StreamingResource, route: Route) -> WebSocketSession:
        """The session of a route."""
        self = cls.__new__(cls)
        self._prepare(websocket, route, route.opening(resource), resource.stream, resource.said)
        return self

    def _prepare(
        self,
        websocket: WebSocket,
        route: Route,
        opening: Opening,
        stream: bool,
        said: Callable[[Mapping[str, Any]], Mapping[str, Any]] | None,
    ) -> None:
        self.websocket = websocket
        self._route = route
        self._limits = route.limits
        self._format = route.format
        self._open = opening
        self._said = said
        self._stream = stream
        self._pending: list[Asked | Error] = []  # a few at most; a deque takes room for 64 of every idle websocket
        self._worker: asyncio.Task[None] | None = None
        self._vigil: Vigil | None = None
        self._taken = 0
        self._starting = self._revoked = False
        """Whether a question was taken and nothing done about it yet; and whether it was cancelled meanwhile."""
        self._ending: tuple[int, str] | None = None
        """With what the websocket is closed when the answers under way have ended."""
        self._broken: tuple[int, str] | None = None
        """With what it is closed because the answer under way was ended from outside."""

    async def run(self) -> None:
        """Accept, and answer until either side closes."""
        try:
            await self._accept()
            await self._receive_all()
        except _GONE:
            pass
        except asyncio.CancelledError:
            await self._stop("stopped")
            raise
        finally:
            await self._stop("left")

    async def _accept(self) -> None:
        websocket, route = self.websocket, self._route
        subprotocol: str | None = None
        offered = websocket.scope.get("subprotocols") or ()
        named = {each.key: each for each in route.formats}
        for each in offered:
            if each in named:
                subprotocol, self._format = each, named[each]
                break
        else:
            if websocket.headers.get("accept"):
                # Browsers and libraries say all kinds of things here: what is not understood is passed over.
                with suppress(Refused):
                    self._format = route.negotiate(websocket)
        await websocket.accept(subprotocol)

    # Questions

    async def _receive_all(self) -> None:
        loop, limits = asyncio.get_running_loop(), self._limits
        opened = loop.time()
        while self._ending is None:
            patience = limits.idle
            if limits.connected is not None:
                left = max(opened + limits.connected - loop.time(), 0.0)
                patience = left if patience is None else min(patience, left)
            try:
                if patience is None:
                    message = await self.websocket.receive()
                else:
                    async with asyncio.timeout(patience):
                        message = await self.websocket.receive()
            except TimeoutError:
                if limits.connected is not None and loop.time() - opened >= limits.connected:
                    self._ending = (1008, "This connection has lasted as long as it may.")
                elif self._worker is None:
                    self._ending = (1000, "Nothing was asked.")
                continue
            if message["type"] == "websocket.disconnect":
                return
            await self._take(message)
        if self._worker is not None:
            await self._settled(self._worker)
        await self._close(*self._ending)

    async def _settled(self, worker: asyncio.Task[None]) -> None:
        """Wait for the answers under way; leave when the caller does."""
        receiving = asyncio.ensure_future(self._until_gone())
        try:
            await asyncio.wait((worker, receiving), return_when=asyncio.FIRST_COMPLETED)
        finally:
            receiving.cancel()

    async def _until_gone(self) -> None:
        while (message := await self.websocket.receive())["type"] != "websocket.disconnect":
            given = _object(message)
            if given is not None and _is_cancel(given) and self._vigil is not None:
                self._vigil.interrupt("cancelled")

    async def _take(self, message: Mapping[str, Any]) -> None:
        """One message of the caller's."""
        limits = self._limits
        text = message.get("text")
        data: Any = (message.get("bytes") or b"") if text is None else text
        size = len(data)
        if limits.size is not None and text is not None and not text.isascii():
            size = len(text.encode("utf-8", "surrogatepass"))
        if limits.size is not None and size > limits.size:
            self._ending = (1009, f"A message may have {limits.size} bytes.")
            return
        given = _object(message)
        if given is not None and _is_cancel(given):
            if self._vigil is not None:
                self._vigil.interrupt("cancelled")
            else:
                self._revoked = self._starting
            return
        question: Asked | Error
        try:
            if given is None:
                raise Refused("A message is a JSON object; this is none.", code="invalid_json")
            question = self._question(given)
        except Failed as error:
            question = error.error
        except Exception as error:
            question = error_of(error)
        if self._worker is not None and len(self._pending) >= limits.waiting:
            refused = Refused(
                f"{limits.waiting} questions wait already; this one is refused.", status=429, code="too_many_questions"
            )
            await self._send(self._format.writer(Asked([]), None).frames([refused.error]))
            return
        self._taken += 1
        self._pending.append(question)
        if self._worker is None:
            self._starting = True
            self._worker = asyncio.get_running_loop().create_task(self._work())
        if limits.questions is not None and self._taken >= limits.questions:
            self._ending = (1008, f"A connection may ask {limits.questions} questions.")

    def _question(self, given: dict[str, Any]) -> Asked:
        messages = given.get("messages")
        if "messages" in given and (
            not isinstance(messages, list) or not all(isinstance(each, dict) for each in messages)
        ):
            raise Refused("`messages` is a list of objects with `role` and `content`.", status=422, param="messages")
        return self._route.asked(self._format, given if self._said is None else self._said(given), self.websocket)

    # Answers

    async def _work(self) -> None:
        """Answer what waits, one after the other."""
        try:
            while self._pending:
                question = self._pending.pop(0)
                revoked, self._starting, self._revoked = self._revoked, False, False
                if isinstance(question, Error):
                    writer = self._format.writer(Asked([]), None)
                    await self._send(writer.frames([question]) + writer.done_frames())
                elif revoked:
                    writer = self._format.writer(question, None)
                    await self._send(writer.frames([Finish("cancelled")]) + writer.done_frames())  # type: ignore[arg-type]
                else:
                    await self._answer(question)
            if self._broken is not None:
                await self._close(*self._broken)
        except _GONE:
            self._pending.clear()
        finally:
            self._worker = None

    async def _answer(self, asked: Asked) -> None:
        stream = self._stream if asked.stream is None else asked.stream
        asked.stream = stream and self._format.streams
        vigil = self._vigil = Vigil(self._limits, None, None)
        answer: Answer | None = None
        writer: Writer | None = None
        ending: list[Event] = []
        vigil.start()
        try:
            self._route.answering.enter(vigil, self._limits.answers)
            answer = await self._open(asked)
            writer = self._format.writer(asked, answer.dialect)
            if not self._format.streams:
                body, _ = await self._format.whole(answer, asked)
                await self._send([body.decode()])
                return
            raw = answer.streamed and answer.has_raw and self._format.passes(answer.dialect)
            if raw:
                writer.passing()
            await (self._hand_on_raw if raw else self._hand_on)(answer, writer, vigil)
        except asyncio.CancelledError:
            reason = vigil.settle()
            if reason is None:
                raise
            if reason in ("left", "stalled"):
                self._pending.clear()
                if reason == "stalled":
                    self._broken = (1008, REASONS[reason].message)
                return
            if reason == "stopped":
                self._pending.clear()
                self._broken = (1012, REASONS[reason].message)
            ending = [Finish("cancelled")] if reason == "cancelled" else [REASONS[reason]]  # type: ignore[arg-type]
        except _GONE:
            raise
        except Exception as error:
            ending = [answer.failure(error) if answer is not None else error_of(error)]
        finally:
            self._vigil = None
            vigil.stop()
            self._route.answering.leave(vigil)
            if answer is not None:
                with anyio.move_on_after(_CLOSING, shield=True):
                    await answer.close()
        if writer is None:
            writer = self._format.writer(asked, None if answer is None else answer.dialect)
        await self._send(writer.frames(ending) + writer.done_frames())

    async def _hand_on(self, answer: Answer, writer: Writer, vigil: Vigil) -> None:
        time = asyncio.get_running_loop().time
        while (events := await answer.next()) is not None:
            vigil.sending, vigil.touched = True, time()
            await self._send(writer.frames(events))
            vigil.sending, vigil.touched = False, time()

    async def _hand_on_raw(self, answer: Answer, writer: Writer, vigil: Vigil) -> None:
        time = asyncio.get_running_loop().time
        while (pairs := await answer.next_raw()) is not None:
            vigil.sending, vigil.touched = True, time()
            await self._send(writer.frames_raw(pairs))
            vigil.sending, vigil.touched = False, time()
        if answer.last is not None:
            await self._send(writer.frames([answer.last]))

    async def _send(self, frames: list[str]) -> None:
        send = self.websocket.send
        if self.websocket.client_state is not WebSocketState.CONNECTED:
            raise WebSocketDisconnect(1006)
        for frame in frames:
            await send({"type": "websocket.send", "text": frame})

    # The end

    async def _stop(self, reason: Reason) -> None:
        """End what is under way."""
        self._pending.clear()
        worker = self._worker
        if worker is not None:
            if self._vigil is not None:
                self._vigil.interrupt(reason)
            else:
                worker.cancel()
            with anyio.move_on_after(_CLOSING, shield=True):
                await asyncio.wait((worker,))

    async def _close(self, code: int, reason: str) -> None:
        websocket = self.websocket
        if websocket.client_state is WebSocketState.CONNECTED and (
            websocket.application_state is WebSocketState.CONNECTED
        ):
            # Whoever does not take anything does not take this either.
            with suppress(RuntimeError, OSError), anyio.move_on_after(_CLOSING):
                await websocket.close(code, reason)


def _object(message: Mapping[str, Any]) -> dict[str, Any] | None:
    """The JSON object in a message, if it is one."""
    data: Any = message.get("text")
    if data is None:
        data = message.get("bytes") or b""
    try:
        given = loads(data)
    except (JSONDecodeError, UnicodeEncodeError):
        return None
    return given if isinstance(given, dict) else None


def _is_cancel(given: Mapping[str, Any]) -> bool:
    return given.get("event") in _CANCEL or given.get("type") in _CANCEL
