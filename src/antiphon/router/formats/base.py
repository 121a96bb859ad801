"""What a wire format is: how a question is read, and how events are written on a stream and on a websocket."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from orjson import dumps

from ..answers import Asked
from ..errors import Failed
from ..events import Error, Event

if TYPE_CHECKING:
    from ..answers import Answer, Raw

__all__ = ("Format", "JSONWriter", "Writer", "event_stream")


class Writer:
    """Writes one answer. Made anew for each; it may remember what it has written."""

    tells_errors: ClassVar[bool] = True
    """Whether the format has a place for errors; otherwise an answer that fails is broken off."""

    def write(self, events: Sequence[Event]) -> bytes:
        """Events as bytes of the response's body; none where they say nothing in this format."""
        raise NotImplementedError

    def frames(self, events: Sequence[Event]) -> list[str]:
        """Events as text frames of a websocket."""
        raise NotImplementedError

    def write_raw(self, events: Sequence[Raw]) -> bytes:
        """Events of an upstream that speaks this format, as they are."""
        return b"".join(
            [
                b"data: %b\n\n" % data if name is None else b"event: %b\ndata: %b\n\n" % (name.encode(), data)
                for data, name in events
            ]
        )

    def frames_raw(self, events: Sequence[Raw]) -> list[str]:
        """Events of an upstream that speaks this format, as they are."""
        return [data.decode("utf-8", "replace") for data, _ in events]

    def passing(self) -> None:
        """Events of an upstream are passed on from here: what is written after them goes on where they end."""

    def done(self) -> bytes:
        """What follows the last event, if anything does."""
        return b""

    def done_frames(self) -> list[str]:
        """What follows the last event, if anything does."""
        return []


class JSONWriter(Writer):
    """Writes events whose data are JSON: server-sent, or a frame each."""

    def parts(self, event: Event) -> Sequence[Any]:
        """The JSON values of one event."""
        raise NotImplementedError

    def write(self, events: Sequence[Event]) -> bytes:
        return b"".join([b"data: %b\n\n" % dumps(part) for event in events for part in self.parts(event)])

    def frames(self, events: Sequence[Event]) -> list[str]:
        return [dumps(part).decode() for event in events for part in self.parts(event)]


class Format:
    """A wire format."""

    key: ClassVar[str]
    media_type: ClassVar[str] = "text/event-stream"
    by_media_type: ClassVar[bool] = False
    """Whether its media type alone asks for it."""
    also: ClassVar[Sequence[str]] = ()
    """Other media types that its callers send in `Accept`, though it is this format they read."""
    headers: ClassVar[Mapping[str, str]] = {}
    """Headers of its responses beside the usual ones."""
    streams: ClassVar[bool] = True
    """Whether answers come in pieces; otherwise they are asked for whole."""
    summary: ClassVar[str] = ""
    """What a reader of the API's description is told."""

    def asked(self, body: Mapping[str, Any]) -> Asked:
        """The question in a request's body, or in a message of a websocket."""
        return Asked([dict(each) for each in body.get("messages") or ()], body=body)

    def passes(self, dialect: str | None) -> bool:
        """Whether what the upstream writes is passed on as it is."""
        return False

    def writer(self, asked: Asked, dialect: str | None) -> Writer:
        """A writer for one answer."""
        raise NotImplementedError

    async def whole(self, answer: Answer, asked: Asked) -> tuple[bytes, str]:
        """An answer that is not streamed, and its media type. Raises `Failed` for one that fails."""
        writer = self.writer(asked, answer.dialect)
        written: list[bytes] = []
        while (events := await answer.next()) is not None:
            if events and isinstance(events[-1], Error):
                raise Failed(events[-1])
            written.append(writer.write(events))
        written.append(writer.done())
        return b"".join(written), self.media_type

    def __repr__(self) -> str:
        return f"<wire format {self.key}>"


async def json_body(answer: Answer) -> tuple[bytes, str]:
    """The whole answer as the API's object."""
    return await answer.body(), "application/json"


def event_stream(data: bytes, name: str | None = None) -> bytes:
    """One server-sent event."""
    return b"data: %b\n\n" % data if name is None else b"event: %b\ndata: %b\n\n" % (name.encode(), data)


def envelope(error: Error) -> dict[str, Any]:
    """An error as the API tells it in a stream."""
    return {"error": error.to_dict()}
