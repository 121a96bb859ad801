"""What a cassette holds: recordings, each of a request and its answer, as values that are written to its file."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlsplit

from ...kernel.http import Headers
from .bodies import bytes_of, pieces_of_events
from .messages import WEBSOCKET

__all__ = ("Recording", "kept_answer_headers", "kept_request_headers", "stamp", "wall_clock")

_ASKED_WITH: Final = ("content-type", "openai-beta", "accept-language", "prefer")
"""Headers of requests that say what is asked; all others say who asks, and by what."""

_NOT_THE_ANSWER: Final = frozenset(
    """
    connection keep-alive transfer-encoding content-length content-encoding date server set-cookie alt-svc via vary
    strict-transport-security x-content-type-options report-to nel expect-ct age p3p trailer upgrade
    x-envoy-upstream-service-time x-powered-by
    """.split()
)
_NOT_THE_ANSWER_EITHER: Final = ("cf-", "access-control-", "x-served-", "x-cache", "x-amzn-trace")


def kept_request_headers(headers: Headers) -> dict[str, str]:
    """The headers of a request that are recorded. The boundary of a form is another each time."""
    kept: dict[str, str] = {}
    for name in _ASKED_WITH:
        value = headers.get(name)
        if value is not None:
            kept[name] = value.partition(";")[0] if value.startswith("multipart/") else value
    return kept


def kept_answer_headers(headers: Headers) -> dict[str, str | list[str]]:
    """The headers of an answer that are recorded: not those of the connection, the clock, and what lay between."""
    kept: dict[str, str | list[str]] = {}
    for name, value in headers.pairs:
        if name in _NOT_THE_ANSWER or name.startswith(_NOT_THE_ANSWER_EITHER):
            continue
        before = kept.get(name)
        kept[name] = value if before is None else [*(before if isinstance(before, list) else [before]), value]
    return kept


def stamp(seconds: float) -> str:
    """A time as a cassette has it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def wall_clock() -> float:
    """When it is, whatever a clock of a test says."""
    return time.time()


class Recording:
    """One request and its answer."""

    __slots__ = ("heard", "number", "played", "value")

    def __init__(self, value: dict[str, Any]) -> None:
        self.value = value
        """What is in the file."""
        self.number = 0
        """Which it is in its cassette, the first being 1."""
        self.played = 0
        """How often it was played."""
        self.heard = 0
        """Of a dialogue, how many messages the client has said of it."""

    # The request

    @property
    def method(self) -> str:
        """The method; `WEBSOCKET` where one is opened."""
        method: str = self.value["request"]["method"]
        return WEBSOCKET if self.url.startswith(("ws://", "wss://")) else method

    @property
    def url(self) -> str:
        url: str = self.value["request"]["url"]
        return url

    @property
    def path(self) -> str:
        return urlsplit(self.url).path

    @property
    def asked(self) -> Mapping[str, Any]:
        """The body of the request by what it is: `json`, `form`, `text`, `base64` or `digest`."""
        request: Mapping[str, Any] = self.value["request"]
        return {name: request[name] for name in ("json", "form", "text", "base64", "digest") if name in request}

    @property
    def recorded(self) -> float | None:
        """When it was recorded, in Unix time; `None` where the file does not say so."""
        told = self.value.get("recorded")
        return None if told is None else datetime.fromisoformat(told).timestamp()

    # What is said over a websocket

    @property
    def is_dialogue(self) -> bool:
        """Whether it is a websocket that was opened, which has no answer."""
        return "dialogue" in self.value

    @property
    def messages(self) -> Sequence[Mapping[str, Any]]:
        """The messages of both sides, in the order in which they went; none where it is no dialogue."""
        found: Sequence[Mapping[str, Any]] = self.value.get("dialogue", {}).get("messages", ())
        return found

    @property
    def layout(self) -> str:
        """How the JSON of the server's messages is laid out."""
        layout: str = self.value["dialogue"].get("layout", "compact")
        return layout

    @property
    def closed(self) -> bool:
        """Whether the server has closed the connection."""
        return bool(self.value.get("dialogue", {}).get("closed") == "server")

    @property
    def whole(self) -> bool:
        """Whether it was played to its end."""
        if not self.is_dialogue:
            return self.played > 0
        return self.played > 0 and self.heard == sum(each["from"] == "client" for each in self.messages)

    # The answer

    @property
    def answer(self) -> Mapping[str, Any]:
        """What came back; nothing of a dialogue."""
        answer: Mapping[str, Any] = self.value.get("answer", {})
        return answer

    @property
    def status(self) -> int:
        status: int = self.answer["status"]
        return status

    @property
    def after(self) -> float:
        """Seconds from the request to the answer: to its headers where it is a stream, else to its end."""
        after: float = self.answer.get("after", 0.0)
        return after

    @property
    def headers(self) -> Headers:
        pairs: list[tuple[str, str]] = []
        for name, value in self.answer.get("headers", {}).items():
            pairs += [(name, each) for each in (value if isinstance(value, list) else [value])]
        return Headers(pairs)

    @property
    def is_stream(self) -> bool:
        """Whether the answer is a stream of events."""
        return "events" in self.answer

    @property
    def cut(self) -> str | None:
        """Why the stream ends where it does, where that is not its end."""
        return self.answer.get("cut")

    def body(self) -> bytes:
        """The bytes of the answer; of a stream all of them."""
        if self.is_stream:
            return b"".join(piece for _, piece in self.pieces())
        return bytes_of(self.answer)

    def pieces(self) -> Iterator[tuple[float, bytes]]:
        """The events of a stream: seconds after the one before, and bytes."""
        return pieces_of_events(self.answer)

    def __repr__(self) -> str:
        if self.is_dialogue:
            return f"<{self.method} {self.path}, {len(self.messages)} messages>"
        return f"<{self.method} {self.path} -> {self.status}>"
