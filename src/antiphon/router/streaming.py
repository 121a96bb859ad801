"""Answers over HTTP: a response of Starlette's that hands an answer on as it comes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import anyio
from starlette.responses import Response

from .answers import Answer, Asked, ComposedAnswer, PassedAnswer
from .errors import Failed, error_of, error_response
from .events import Error, Event
from .formats import Format, find
from .limits import Limits
from .vigil import REASONS, Answering, Vigil

if TYPE_CHECKING:
    from starlette.background import BackgroundTask
    from starlette.types import Receive, Scope, Send

    from .formats import Writer
    from .resources import Resource

__all__ = ("StreamingResponse",)

_PING = b": ping\n\n"
_SHARE = 32
"""After so many pieces the loop is shared with everybody else: neither side may have made us wait."""
_CLOSING = 2.0
"""Seconds that letting go of the upstream may take when the task is being cancelled."""


class StreamingResponse(Response):
    """An answer as the response of an endpoint, in a wire format.

        return StreamingResponse(resource=resource, messages=messages)      asks, and hands the answer on
        return StreamingResponse(content=events(), format="openai")         an async iterator of events or text

    The upstream is asked when the response is sent, so that it is cancelled when the caller leaves, even before its
    first word. What it refuses is answered with its status and an envelope of JSON; once the answer has begun, with
    an error of the format.
    """

    def __init__(
        self,
        content: AsyncIterator[Event | str | list[Event]] | None = None,
        *,
        resource: Resource | None = None,
        messages: Sequence[Mapping[str, Any]] | None = None,
        format: str | Format = "lanarky",
        limits: Limits | None = None,
        status_code: int = 200,
        headers: Mapping[str, str] | None = None,
        background: BackgroundTask | None = None,
    ) -> None:
        if (content is None) == (resource is None):
            raise TypeError("a StreamingResponse has content, an async iterator, or a resource and messages")
        stream = True
        if resource is not None:
            self.asked = Asked([dict(each) for each in messages or ()], resource.stream)
            self._open: Callable[[Asked], Awaitable[Answer]] = resource.open
            stream = resource.stream
        else:
            self.asked = Asked([])
            composed = ComposedAnswer(content)  # type: ignore[arg-type]

            async def opened(asked: Asked) -> Answer:
                return composed

            self._open = opened
        self._prepare(find(format), limits or Limits(), Answering(), stream, headers, background)
        self.status_code = status_code

    @classmethod
    def of(
        cls,
        opening: Callable[[Asked], Awaitable[Answer]],
        asked: Asked,
        format: Format,
        limits: Limits,
        answering: Answering,
        stream: bool,
    ) -> StreamingResponse:
        """The response of a route."""
        self = cls.__new__(cls)
        self.asked = asked
        self._open = opening
        self._prepare(format, limits, answering, stream, None, None)
        return self

    def _prepare(
        self,
        format: Format,
        limits: Limits,
        answering: Answering,
        stream: bool,
        headers: Mapping[str, str] | None,
        background: BackgroundTask | None,
    ) -> None:
        self.status_code = 200
        self.background = background
        self.body = b""
        self._format = format
        self._limits = limits
        self._answering = answering
        self._stream = stream
        events = format.media_type == "text/event-stream"
        content_type = f"{format.media_type}; charset=utf-8"
        pairs = {"cache-control": "no-cache", "x-accel-buffering": "no", "content-type": content_type}
        pairs.update(format.headers)
        pairs.update({name.lower(): value for name, value in (headers or {}).items()})
        self.raw_headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in pairs.items()]
        self._ping = _PING if events else None
        self._started = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def gone() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass

        async def ping() -> None:
            await self._begin()
            await send({"type": "http.response.body", "body": self._ping, "more_body": True})

        self._send = send
        vigil = Vigil(self._limits, gone, ping if self._ping is not None and self._stream else None)
        answer: Answer | None = None
        writer: Writer | None = None
        vigil.start()
        try:
            self._answering.enter(vigil, self._limits.answers)
            answer = await self._open(self.asked)
            self._mark(answer)
            if not (self._stream and self._format.streams):
                await self._whole(answer, vigil)
            else:
                writer = self._format.writer(self.asked, answer.dialect)
                raw = answer.streamed and answer.has_raw and self._format.passes(answer.dialect)
                if raw:
                    writer.passing()
                await (self._hand_on_raw if raw else self._hand_on)(answer, writer, vigil)
        except asyncio.CancelledError:
            reason = vigil.settle()
            if reason in (None, "time", "stopped"):
                with anyio.move_on_after(_CLOSING, shield=True):
                    await self._fail(REASONS[reason or "stopped"], answer, writer, vigil)
            if reason is None:
                raise
        except OSError:
            pass  # the caller left while something was being sent
        except Exception as error:
            told = answer.failure(error) if answer is not None else error_of(error)
            vigil.stop()  # what is interrupted from here on would be taken for a cancellation of the task
            with anyio.move_on_after(self._limits.stall):
                await self._fail(told, answer, writer, vigil)
        finally:
            vigil.stop()
            self._answering.leave(vigil)
            if answer is not None:
                with anyio.move_on_after(_CLOSING, shield=True):
                    await answer.close()
        if self.background is not None:
            await self.background()

    async def _hand_on(self, answer: Answer, writer: Writer, vigil: Vigil) -> None:
        send, write, time = self._send, writer.write, asyncio.get_running_loop().time
        handed = 0
        while (events := await answer.next()) is not None:
            if not self._started and events and events[-1].__class__ is Error:
                raise Failed(events[-1])  # type: ignore[arg-type]
            data = write(events)
            ended = answer.ended
            if ended:
                data += writer.done()
            if data or ended:
                if vigil.pinging is not None:
                    await vigil.pinging
                if not self._started:
                    await self._begin()
                vigil.sending, vigil.touched = True, time()
                await send({"type": "http.response.body", "body": data, "more_body": not ended})
                vigil.sending, vigil.touched = False, time()
            if ended:
                return
            handed += 1
            if not handed % _SHARE:
                await asyncio.sleep(0)
        await self._end(writer.done(), vigil)

    async def _hand_on_raw(self, answer: Answer, writer: Writer, vigil: Vigil) -> None:
        send, write, time = self._send, writer.write_raw, asyncio.get_running_loop().time
        handed = 0
        while (pairs := await answer.next_raw()) is not None:
            data = write(pairs)
            if vigil.pinging is not None:
                await vigil.pinging
            if not self._started:
                await self._begin()
            vigil.sending, vigil.touched = True, time()
            await send({"type": "http.response.body", "body": data, "more_body": True})
            vigil.sending, vigil.touched = False, time()
            handed += 1
            if not handed % _SHARE:
                await asyncio.sleep(0)
        failed = answer.last
        await self._end((b"" if failed is None else writer.write([failed])) + writer.done(), vigil)

    async def _whole(self, answer: Answer, vigil: Vigil) -> None:
        body, media_type = await self._format.whole(answer, self.asked)
        headers = [pair for pair in self.raw_headers if pair[0] not in (b"content-type", b"content-length")]
        plain = media_type in ("text/event-stream", "text/plain")
        kind = f"{media_type}; charset=utf-8" if plain else media_type
        headers += [(b"content-type", kind.encode()), (b"content-length", b"%d" % len(body))]
        self.raw_headers = headers
        await self._begin()
        vigil.sending, vigil.touched = True, asyncio.get_running_loop().time()
        await self._send({"type": "http.response.body", "body": body, "more_body": False})

    def _mark(self, answer: Answer) -> None:
        """What the upstream said of its answer, in our headers."""
        if isinstance(answer, PassedAnswer) and answer.streamed:
            kind = (b"content-type", answer.media_type.encode("latin-1", "replace"))
            self.raw_headers = [pair for pair in self.raw_headers if pair[0] != b"content-type"] + [kind]
        if answer.request_id is not None:
            self.raw_headers = [*self.raw_headers, (b"x-request-id", answer.request_id.encode("latin-1", "replace"))]

    async def _begin(self) -> None:
        if not self._started:
            self._started = True
            headers = [*self.raw_headers]
            for name, value in self.asked.headers:
                headers.append((name.lower().encode(), value.encode("latin-1", "replace")))
            await self._send({"type": "http.response.start", "status": self.status_code, "headers": headers})

    async def _end(self, data: bytes, vigil: Vigil) -> None:
        if vigil.pinging is not None:
            await vigil.pinging
        await self._begin()
        vigil.sending, vigil.touched = True, asyncio.get_running_loop().time()
        await self._send({"type": "http.response.body", "body": data, "more_body": False})

    async def _fail(self, error: Error, answer: Answer | None, writer: Writer | None, vigil: Vigil) -> None:
        """Tell the caller: as a response where nothing was sent, as the last event where the answer has begun."""
        try:
            if not self._started:
                response = error_response(error)
                self._started = True
                await self._send(
                    {"type": "http.response.start", "status": response.status_code, "headers": response.raw_headers}
                )
                await self._send({"type": "http.response.body", "body": response.body, "more_body": False})
                return
            if writer is None:
                writer = self._format.writer(self.asked, None if answer is None else answer.dialect)
            if writer.tells_errors:
                await self._end(writer.write([error]) + writer.done(), vigil)
        except OSError:
            pass
