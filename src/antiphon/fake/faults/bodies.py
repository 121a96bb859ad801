"""What goes wrong with what is sent: too little of it, the wrong kind, what cannot be read, what nobody knows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final

from ...kernel.http import Headers, Response
from .behaviours import Behaviour, relayed
from .parts import integer, text
from .streams import DONE, _Stream, data_of, is_events, whole, with_data

if TYPE_CHECKING:
    from random import Random

    from ...kernel.flow import Step
    from ...kernel.http import Request
    from .behaviours import Scene
    from .triggers import Seen

__all__ = ("EmptyBody", "MalformedJSON", "SnipRequest", "Truncate", "UnknownFields", "WrongContentType")


def _discard(answer: Response) -> None:
    close = getattr(answer.body, "close", None)
    if close is not None:
        close()


def _with(answer: Response, body: Any) -> Response:
    """An answer with another body. A length that was told for the old one is not."""
    headers = answer.headers
    if headers.get("content-length") is not None:
        headers = headers.replaced({"content-length": None})
    return answer._replace(headers=headers, body=body)


@dataclass(frozen=True, repr=False)
class EmptyBody(Behaviour):
    """The answer has its status and its headers, and no body."""

    name: ClassVar[str] = "empty_body"

    def altered(self, answer: Response, scene: Scene) -> Response:
        _discard(answer)
        return _with(answer, b"")


@dataclass(frozen=True, repr=False)
class WrongContentType(Behaviour):
    """The answer says it is something else; with `body` it is."""

    name: ClassVar[str] = "content_type"
    content_type: str = "text/html; charset=utf-8"
    body: str | None = None

    def __post_init__(self) -> None:
        text(self, "content_type")
        text(self, "body")

    def altered(self, answer: Response, scene: Scene) -> Response:
        if self.body is not None:
            _discard(answer)
            answer = _with(answer, self.body.encode())
        return answer._replace(headers=answer.headers.replaced({"content-type": self.content_type}))


@dataclass(frozen=True, repr=False)
class Truncate(_Stream):
    """The answer ends too early, and as if that were its end: a stream after so many events, another body in its middle
    or after so many bytes. With `after_bytes` that is where a stream ends, too.
    """

    name: ClassVar[str] = "truncate"
    after: int | None = None
    after_bytes: int | None = None

    def __post_init__(self) -> None:
        for name in ("after", "after_bytes"):
            if getattr(self, name) is not None:
                integer(self, name)
        if self.after is not None and self.after_bytes is not None:
            raise ValueError("truncate takes after or after_bytes, and not both")

    def suits(self, seen: Seen) -> bool:
        return self.after is None or seen.streams

    def altered(self, answer: Response, scene: Scene) -> Response:
        if is_events(answer) and self.after_bytes is None:
            return super().altered(answer, scene)
        body = whole(answer)
        if body is not None:
            return _with(answer, body[: len(body) // 2 if self.after_bytes is None else self.after_bytes])
        left = self.after_bytes

        def feed(piece: bytes) -> Iterable[bytes]:
            nonlocal left
            if left is None:
                left = len(piece) // 2
            kept = piece[:left]
            left -= len(kept)
            return (kept,)

        return _with(answer, relayed(answer.body, feed, over=lambda: left == 0))

    def event(self, event: bytes, place: int, scene: Scene) -> Iterable[bytes | Step[Any]]:
        return (event,) if place <= self._most else ()

    def ends(self, place: int) -> bool:
        return place >= self._most

    @property
    def _most(self) -> int:
        return 3 if self.after is None else self.after


@dataclass(frozen=True, repr=False)
class MalformedJSON(_Stream):
    """What should be JSON cannot be read: the body, or of a stream the event behind so many good ones."""

    name: ClassVar[str] = "malformed_json"
    after: int = 0

    def __post_init__(self) -> None:
        integer(self, "after")

    def suits(self, seen: Seen) -> bool:
        return seen.streams or not self.after

    def altered(self, answer: Response, scene: Scene) -> Response:
        if is_events(answer):
            return super().altered(answer, scene)
        body = whole(answer)
        if body is None or "json" not in (answer.headers.get("content-type") or ""):
            return answer
        return _with(answer, _broken(body))

    def event(self, event: bytes, place: int, scene: Scene) -> Iterable[bytes | Step[Any]]:
        if place != self.after + 1 or event.startswith(DONE):
            return (event,)
        return (_broken(event.rstrip(b"\n")) + b"\n\n",)


def _broken(data: bytes) -> bytes:
    """JSON with its end torn off. What was within a text is within it still."""
    return data[: max(1, len(data) - max(2, len(data) // 5))]


_FREE: Final = frozenset(("metadata", "parameters", "schema", "logit_bias", "attributes", "headers", "arguments"))
"""Fields whose objects are the caller's own."""


@dataclass(frozen=True, repr=False)
class UnknownFields(_Stream):
    """Objects of the answer have fields that nobody has heard of."""

    name: ClassVar[str] = "unknown_fields"

    def suits(self, seen: Seen) -> bool:
        return True

    def altered(self, answer: Response, scene: Scene) -> Response:
        import orjson

        if is_events(answer):
            return super().altered(answer, scene)
        body = whole(answer)
        if body is None or "json" not in (answer.headers.get("content-type") or ""):
            return answer
        try:
            told = orjson.loads(body)
        except ValueError:  # another fault has broken it
            return answer
        return _with(answer, orjson.dumps(_surprising(told, scene.random)))

    def event(self, event: bytes, place: int, scene: Scene) -> Iterable[bytes | Step[Any]]:
        told = data_of(event)
        return (event,) if told is None else (with_data(event, _surprising(told, scene.random)),)


def _surprising(value: Any, random: Random) -> Any:
    if isinstance(value, list):
        return [_surprising(each, random) for each in value]
    if not isinstance(value, dict):
        return value
    made = {name: each if name in _FREE else _surprising(each, random) for name, each in value.items()}
    number = random.randrange(1000)
    return {**made, f"surprise_{number}": {"kind": "surprise", "numbers": [number]}}


@dataclass(frozen=True, repr=False)
class SnipRequest(Behaviour):
    """The request comes with only a part of its body: so many bytes, or half of it."""

    name: ClassVar[str] = "snip_request"
    after_bytes: int | None = None

    def __post_init__(self) -> None:
        if self.after_bytes is not None:
            integer(self, "after_bytes")

    def request(self, request: Request, scene: Scene) -> Request:
        body = request.content()
        headers = request.headers
        if headers.get("content-length") is not None:
            headers = Headers(headers.pairs).replaced({"content-length": None})
        return request._replace(
            headers=headers, body=body[: len(body) // 2 if self.after_bytes is None else self.after_bytes]
        )
