"""What all dialects have in common: a request is put another way, and so is the answer, whole or event by event."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterable, Mapping
from types import GeneratorType
from typing import TYPE_CHECKING, Any, Final

import orjson

from ...kernel.errors import BadRequestError
from ...kernel.http import Headers, Request, Response
from ...server.faults import first_fault
from ..faults.behaviours import relayed
from ..faults.streams import data_of, events, is_events

if TYPE_CHECKING:
    from ...kernel.flow import Flow
    from ...server.app import Server

__all__ = (
    "EVENTS",
    "OBJECT",
    "TEXT",
    "Talk",
    "asked",
    "body_of",
    "checked",
    "having",
    "json_answer",
    "member",
    "relayed_events",
    "several",
)

EVENTS: Final = Headers.of([("content-type", "text/event-stream; charset=utf-8"), ("cache-control", "no-cache")])
_JSON: Final = ("content-type", "application/json")

if TYPE_CHECKING:
    Talk = Callable[[Response], Response | Flow[Response]]


def body_of(request: Request) -> dict[str, Any]:
    """The JSON object in a body. Raises `BadRequestError` where there is none."""
    try:
        value: Any = orjson.loads(request.content() or b"{}")
    except orjson.JSONDecodeError as error:
        raise BadRequestError.because(f"The body is no JSON: {error}.") from None
    if not isinstance(value, dict):
        raise BadRequestError.because("The body has to be a JSON object.")
    return value


TEXT: Final = {"type": ["string", "null"]}
OBJECT: Final = {"type": ["object", "null"]}


def several(items: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of a list of such, or of none."""
    return {"type": ["array", "null"], "items": items}


def having(**properties: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of an object with such members, or of none."""
    return {**OBJECT, "properties": properties}


def checked(body: Mapping[str, Any], schema: Mapping[str, Any], *, dotted: bool = False) -> Mapping[str, Any]:
    """A body in which everything that is read is of the kind it is read as. Raises `BadRequestError` for another.

    `dotted` says places as `messages.0.content`, and not as `messages[0].content`.
    """
    fault = first_fault("", dict(schema), body, unknown="pass")
    if fault is not None:
        message = re.sub(r"\[(\d+)\]", r".\1", fault.message) if dotted else fault.message
        raise BadRequestError.because(message, param=fault.param, code=fault.code)
    return body


def member(body: Mapping[str, Any], name: str, kind: type[Any], *, required: bool = False) -> Any:
    """A member of a body. Raises `BadRequestError` for one of another kind, or one that is missing."""
    value = body.get(name)
    if value is None:
        if required:
            raise BadRequestError.because(f"{name}: Field required", param=name)
        return None
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise BadRequestError.because(f"{name}: Input should be a valid {kind.__name__}", param=name)
    return value


def asked(server: Server, request: Request, key: str | None, path: str, body: Mapping[str, Any], talk: Talk) -> Any:
    """What a server says to another request, said by `talk` in the dialect of this one."""
    pairs = [
        pair for pair in request.headers.pairs if pair[0] not in ("authorization", "content-length", "content-type")
    ]
    if key:
        pairs.append(("authorization", f"Bearer {key}"))
    inner = Request("POST", path, "", Headers.of([*pairs, _JSON]), orjson.dumps(body), request.origin)
    answer = server(inner)
    if isinstance(answer, GeneratorType):
        return _told(answer, talk)
    return talk(answer)  # type: ignore[arg-type]


def _told(flow: Flow[Response], talk: Talk) -> Flow[Response]:
    answer: Any = talk((yield from flow))
    whole: Response = (yield from answer) if isinstance(answer, GeneratorType) else answer
    return whole


def json_answer(answer: Response, status: int, value: Any, headers: Iterable[tuple[str, str]] = ()) -> Response:
    """An answer with another body, and the headers of ours that mean something to others."""
    kept = [pair for pair in answer.headers.pairs if pair[0] in ("retry-after", "x-request-id")]
    return Response(status, Headers.of([_JSON, *kept, *headers]), orjson.dumps(value), answer.request)


def relayed_events(
    answer: Response, feed: Callable[[dict[str, Any]], Iterable[bytes]], end: Callable[[], Iterable[bytes]]
) -> Generator[Any, Any, None]:
    """The chunks of a stream told in another way."""
    assert is_events(answer)

    def told(event: bytes) -> Iterable[bytes]:
        data = data_of(event)
        return () if data is None else feed(data)

    return relayed(events(answer.body), told, end=end)
