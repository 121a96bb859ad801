"""What all readers are: an answer's bytes in any split, read as events."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from orjson import JSONDecodeError, dumps, loads

from ...kernel.sse import Decoder
from ..errors import scrubbed, told
from ..events import Error, Event

__all__ = ("Reader",)


class Reader:
    """Reads one answer of one API."""

    __slots__ = ("_decoder", "cut", "done", "failed", "garbled", "request_id", "secrets")
    dialect: ClassVar[str]
    """Which API's answers are read: `chat` or `responses`."""

    def __init__(self) -> None:
        self.done = False
        """Whether the upstream said that no more comes."""
        self.cut = False
        """Whether its stream ended without saying so."""
        self.garbled = False
        """Whether it sent what is no JSON."""
        self.failed: Error | None = None
        """Why there is no more, where it went wrong."""
        self.request_id: str | None = None
        self.secrets: Iterable[str] = ()
        self._decoder = Decoder()

    def read(self, piece: bytes) -> list[Event]:
        """The events that a piece of a stream completes."""
        out: list[Event] = []
        feed = self.feed
        for data, _ in self._decoder.data(piece):
            if data[:1] != b"{":
                if data[:6] == b"[DONE]":
                    self.done = True
                    break
                if not data:
                    continue
            try:
                value = loads(data)
            except JSONDecodeError:
                self.failed = self._no_json()
                break
            if value.__class__ is dict:
                feed(value, out)
                if self.failed is not None:
                    break
        if self.failed is not None:
            self.done = True
        return out

    def split(self, piece: bytes) -> list[tuple[bytes, str | None]]:
        """The events that a piece completes as the upstream wrote them, data and name, but for secrets in errors."""
        pairs = self._decoder.data(piece)
        checked: list[tuple[bytes, str | None]] = []
        for data, name in pairs:
            if data[:6] == b"[DONE]":
                self.done = True
                break
            if data:
                checked.append((self._checked(data) if b'error"' in data else data, name))
        return checked

    def _checked(self, data: bytes) -> bytes:
        """An event that may be an error. Errors are told as everywhere, and end the stream."""
        try:
            value = loads(data)
        except JSONDecodeError:
            return data
        response: Any = value.get("response") if value.__class__ is dict else None
        error: Any = value.get("error") if value.__class__ is dict else None
        if error is None and response.__class__ is dict:
            error = response.get("error")
        if error is None and not (value.__class__ is dict and value.get("type") == "error"):
            return data
        if isinstance(error, dict) and self.request_id is not None and value.get("type") is None:
            error.setdefault("request_id", self.request_id)
        return scrubbed(dumps(value).decode(), self.secrets).encode()

    def refusal(self, data: bytes) -> Error | None:
        """The error that the first event of a stream is, if it is one."""
        if b'error"' not in data:
            return None
        try:
            value = loads(data)
        except JSONDecodeError:
            return None
        if value.__class__ is not dict or not (value.get("error") or value.get("type") == "error"):
            return None
        return told(value.get("error") or value, self.secrets, self.request_id)

    def feed_data(self, data: bytes, out: list[Event]) -> None:
        """`feed` for data that has not been decoded."""
        try:
            value = loads(data)
        except JSONDecodeError:
            self.failed = self.failed or self._no_json()
            return
        if value.__class__ is dict and self.failed is None:
            self.feed(value, out)

    def close(self) -> list[Event]:
        """The last events, once the stream has ended."""
        out: list[Event] = []
        self.cut = not self.done
        left = self._decoder.close() if self.cut else b""
        if left and left[:6] != b"[DONE]":
            try:
                value = loads(left)
            except JSONDecodeError:
                self.failed = self.failed or self.broken()
            else:
                if value.__class__ is dict:
                    self.feed(value, out)
        self.done = True
        self.end(out)
        return out

    def whole(self, value: dict[str, Any]) -> list[Event]:
        """The events of an answer that came in one piece."""
        out: list[Event] = []
        self.feed(value, out)
        self.done = True
        self.end(out)
        return out

    def broken(self) -> Error:
        """The error of an answer that was broken off."""
        return Error("The model's host broke its answer off.", 502, code="upstream_broken", request_id=self.request_id)

    def _no_json(self) -> Error:
        self.garbled = True
        return Error(
            "The model's host sent an event that is not JSON.", 502, code="upstream_broken", request_id=self.request_id
        )

    def feed(self, value: dict[str, Any], out: list[Event]) -> None:
        """Append the events of one decoded event of the stream."""
        raise NotImplementedError

    def end(self, out: list[Event]) -> None:
        """Append what is known only at the end: the usage, and `Finish` or `Error`."""
        raise NotImplementedError
