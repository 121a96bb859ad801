"""What an answer looks like, without its meaning."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from random import Random
from typing import TYPE_CHECKING, Any, Final

from ...kernel.http import Headers, Response
from ...schema import Schema, operation
from ...server.unions import resolved, tag_of
from ..faults.behaviours import relayed
from ..faults.streams import Apart, events, is_events, whole

if TYPE_CHECKING:
    from .liberties import Liberties

__all__ = ("looks_otherwise",)

_IDLE: Final = frozenset(
    (
        "annotations",
        "completion_tokens_details",
        "prompt_tokens_details",
        "service_tier",
        "system_fingerprint",
    )
)
"""Members that clients seldom look at: where the schema lets them be missing, they are, whatever they say."""

_SPARE: Final = ("openai-processing-ms", "openai-version", "openai-organization", "x-ratelimit-", "cache-control")
"""Headers that need not be there."""


def looks_otherwise(answer: Response, name: str, liberties: Liberties) -> Response:
    """The answer to an operation, laid out in another way."""
    if liberties.headers:
        answer = answer._replace(headers=_headed(answer.headers))
    if is_events(answer):
        answer = answer._replace(body=_told(answer.body, name, liberties))
    elif (answer.headers.get("content-type") or "").startswith("application/json"):
        body = whole(answer)
        read = _read(body) if body else _BROKEN
        if read is not _BROKEN:
            schema = None if answer.status >= 400 else _answer_of(name)
            told = _varied(read, schema, liberties)
            answer = answer._replace(body=_written(told, liberties, stream=False))
            if answer.headers.get("content-length") is not None:
                answer = answer._replace(headers=answer.headers.replaced({"content-length": str(len(answer.content))}))
    return _in_pieces(answer, liberties.bytes) if liberties.bytes else answer


_BROKEN: Final[Any] = object()


def _read(data: bytes) -> Any:
    """JSON, decoded; `_BROKEN` for what a fault has made of it."""
    try:
        return json.loads(data)
    except ValueError:
        return _BROKEN


def _headed(headers: Headers) -> Headers:
    kept = [pair for pair in headers.pairs if not pair[0].startswith(_SPARE)]
    return Headers.of([*kept, ("x-antiphon-unheard-of", "1")])


def _in_pieces(answer: Response, most: int) -> Response:
    body = whole(answer)
    random = Random(most)
    apart = Apart()

    def feed(piece: bytes) -> Iterable[Any]:
        place = 0
        while place < len(piece):
            size = random.randint(1, most)
            yield piece[place : place + size]
            yield apart
            place += size

    return answer._replace(body=relayed(answer.body if body is None else [body], feed))


# Streams


def _told(body: Any, name: str, liberties: Liberties) -> Any:
    schema = _event_of(name)
    place = 0

    def feed(event: bytes) -> Iterable[bytes]:
        nonlocal place
        place += 1
        return _event(event, place, schema, liberties)

    return relayed(events(body), feed)


def _event(event: bytes, place: int, schema: Schema | None, liberties: Liberties) -> list[bytes]:
    end = b"\r\n" if liberties.endings else b"\n"
    lines = event.rstrip(b"\n").split(b"\n")
    data = next((line[6:] for line in lines if line.startswith(b"data: ")), b"")
    told: Any = _read(data) if data[:1] == b"{" else _BROKEN
    if told is _BROKEN:  # such as [DONE]
        return [event.replace(b"\n", end)]
    kind = [line for line in lines if line.startswith(b"event: ")]
    text = _written(_varied(told, schema, liberties), liberties, stream=True)
    out = [end.join([*kind, b"data: " + text, b"", b""])]
    if liberties.empty and told.get("object") == "chat.completion.chunk" and told.get("choices") and not _ends(told):
        choices = [{"index": each["index"], "delta": {}, "finish_reason": None} for each in told["choices"]]
        usage = {"usage": None} if "usage" in told else {}
        data = _written({**told, "choices": choices, **usage}, liberties, stream=True)
        out.append(end.join([b"data: " + data, b"", b""]))
    if liberties.unknown and place == 1 and isinstance(told.get("type"), str) and kind:
        surprise = f"{told['type'].partition('.')[0]}.unheard_of"
        data = _written({"type": surprise, "unheard_of": place}, liberties, stream=True)
        out.append(end.join([b"event: " + surprise.encode(), b"data: " + data, b"", b""]))
    if liberties.comments:
        out.insert(0, b": still here" + end + end)
    return out


def _ends(chunk: Mapping[str, Any]) -> bool:
    return any(each.get("finish_reason") for each in chunk["choices"])


# JSON


def _written(value: Any, liberties: Liberties, *, stream: bool) -> bytes:
    laid_out: dict[str, Any] = {"separators": (",", ":")}
    if liberties.spaces:
        laid_out = {"separators": (", ", ": ")} if stream else {"indent": 2}
    return json.dumps(value, ensure_ascii=liberties.escapes, **laid_out).encode("utf-8", "surrogatepass")


def _varied(value: Any, schema: Schema | None, liberties: Liberties) -> Any:
    if not (liberties.absent or liberties.unknown or liberties.members):
        return value
    return _Varying(liberties).value(value, schema)


class _Varying:
    """One walk through a value and its schema. What no schema describes is the caller's, and left as it is."""

    def __init__(self, liberties: Liberties) -> None:
        self.liberties = liberties
        self.shuffle: Callable[[list[Any]], None] | None = (
            Random(liberties.members).shuffle if liberties.members else None
        )

    def value(self, value: Any, schema: Schema | None) -> Any:
        schema = _member(schema, value)
        if schema is None:
            return value
        if isinstance(value, list):
            items = schema.get("items")
            return [self.value(each, items) for each in value]
        if not isinstance(value, dict) or "properties" not in schema:
            return value
        properties, required = schema["properties"], schema.get("required", ())
        pairs: list[tuple[str, Any]] = []
        for key, each in value.items():
            idle = each is None or key in _IDLE
            if self.liberties.absent and idle and key in properties and key not in required:
                continue
            pairs.append((key, self.value(each, properties.get(key))))
        if self.liberties.unknown:
            pairs.append(("unheard_of", True))
        if self.shuffle is not None:
            self.shuffle(pairs)
        return dict(pairs)


def _member(schema: Schema | None, value: Any) -> Schema | None:
    """The schema of a value: of a union that of the member it is; `None` where that is not sure."""
    if schema is None:
        return None
    schema = resolved(schema)
    members: list[Schema] | None = schema.get("anyOf")
    if members is None:
        return schema
    kind = "array" if isinstance(value, list) else "object" if isinstance(value, dict) else ""
    fitting = [each for each in members if resolved(each).get("type") == kind]
    if len(fitting) == 1:
        return resolved(fitting[0])
    tag = tag_of(fitting) if isinstance(value, dict) else None
    if tag is None or not isinstance(value, dict):
        return None
    found = tag.values.get(value.get(tag.name, ""), []) if isinstance(value.get(tag.name), str) else []
    return resolved(fitting[found[0]]) if len(found) == 1 else None


@lru_cache(512)
def _answer_of(name: str) -> Schema | None:
    try:
        return operation(name).response
    except KeyError:
        return None


@lru_cache(512)
def _event_of(name: str) -> Schema | None:
    try:
        return operation(name).event
    except KeyError:
        return None
