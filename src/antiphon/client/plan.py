"""What a client knows of an operation once it has been called: how its answers are read and its requests begin."""

from __future__ import annotations

from collections.abc import Callable
from types import UnionType
from typing import TYPE_CHECKING, Any, NamedTuple, Union, get_args, get_origin

from ..kernel.binary import HttpxBinaryResponseContent
from ..kernel.lazy import evaluate
from ..kernel.pages import page_type
from ..kernel.stream import AsyncStream, Reading, Stream
from ..kernel.view import View, wrapper
from .special import SPECIAL, Special

if TYPE_CHECKING:
    from ..kernel.http import Request, Response
    from ..kernel.operation import AnyOperation

__all__ = ("Plan", "Prepared", "plan_of")

_TEXT_FORMATS = ("text", "srt", "vtt")


class Prepared(NamedTuple):
    """A request that is ready to be sent, as often as it takes."""

    request: Request
    timeout: Any
    stream: bool
    explicit: frozenset[str]
    """Names of the headers the caller gave, or left out, for this call: they are not touched."""


class Plan:
    """How one operation is called in one colour. Made once, kept by the operation's name."""

    __slots__ = ("forced", "in_query", "json_body", "makes_text", "operation", "read", "reading", "special", "streams")

    def __init__(self, operation: AnyOperation, is_async: bool) -> None:
        self.operation = operation
        self.streams = operation.streams
        self.forced = operation.streams and "stream" not in operation.parameters
        self.in_query = "stream" in operation.query_params
        self.json_body = operation.method == "POST" and bool(operation.body_params) and not operation.form
        self.special: Special | None = SPECIAL.get(operation.name)
        self.makes_text = False
        self.reading: Reading | None = None
        self.read: Callable[[Response], Any] = self._reader(is_async)

    def streamed(self, body: dict[str, Any] | None, query: dict[str, Any]) -> bool:
        """Whether this call's answer is a stream."""
        if not self.streams:
            return False
        return self.forced or bool((query if self.in_query else body or {}).get("stream"))

    def events(self) -> Reading:
        """How the events of the operation's stream are read."""
        if self.reading is None:
            self.reading = _reading(self.operation.event)
        return self.reading

    def stream(self, response: Response, is_async: bool) -> Any:
        """A streamed response as a stream of the operation's events."""
        reading = self.events()
        return AsyncStream(response, reading) if is_async else Stream(response, reading)

    def as_text(self, body: dict[str, Any] | None) -> bool:
        """Whether the caller asked for text where the operation can answer with it."""
        return self.makes_text and body is not None and body.get("response_format") in _TEXT_FORMATS

    def _reader(self, is_async: bool) -> Callable[[Response], Any]:
        result = evaluate(self.operation.spec.__annotations__["return"], self.operation.module)
        members = [each for each in _members(result) if get_origin(each) is not Stream]
        self.makes_text = str in members and len(members) > 1
        if members in ([None], [type(None)]):
            return _nothing
        if members == [HttpxBinaryResponseContent]:
            return HttpxBinaryResponseContent
        if members == [str]:
            return _text
        if self.operation.paged:
            return _page(*page_type(result, is_async=is_async))
        if len(members) == 1 and isinstance(members[0], type) and issubclass(members[0], View):
            return _view(members[0])
        return _value(wrapper(result))


_plans: dict[AnyOperation, Plan] = {}
_async_plans: dict[AnyOperation, Plan] = {}


def plan_of(operation: AnyOperation, is_async: bool) -> Plan:
    """The plan of an operation in one colour."""
    plans = _async_plans if is_async else _plans
    plan = plans.get(operation)
    if plan is None:
        plan = plans[operation] = Plan(operation, is_async)
    return plan


def _members(annotation: Any) -> list[Any]:
    """The members of a union, or the one type there is."""
    if get_origin(annotation) in (Union, UnionType):
        return [leaf for member in get_args(annotation) for leaf in _members(member)]
    return [annotation]


def _reading(event: Any) -> Reading:
    """How the events of a union are read; which follows from what its members declare.

    Members with the fields `event` and `data` are named by the event's name, as the assistants' are. Where a
    member is itself the error of the stream (`type: "error"` with an `error` field), errors are events.
    """
    views = [each for each in _members(event) if isinstance(each, type) and issubclass(each, View)]
    named = bool(views) and all({"event", "data"} <= each.__view_fields__.keys() for each in views)
    errors = [
        get_args(evaluate(each.__view_fields__.get("type", "None"), each.__module__))
        for each in views
        if "error" in each.__view_fields__
    ]
    own = ("error",) in errors
    return Reading(wrapper(event) or _same, named, not own)


def _same(value: Any) -> Any:
    return value


# Readers: from a response that was read to the call's result


def _nothing(response: Response) -> None:
    return None


def _text(response: Response) -> str:
    return HttpxBinaryResponseContent(response).text


def _is_json(response: Response) -> bool:
    content_type: str = response.headers.get("content-type", "")
    return content_type.partition(";")[0].rstrip().endswith("json")


def _view(cls: type[View]) -> Callable[[Response], Any]:
    from orjson import loads

    new = cls.__new__
    put, put_id = View.__dict__["_data"].__set__, View.__dict__["_request_id"].__set__

    def read(response: Response) -> Any:
        headers = response.headers
        if headers.get("content-type", "")[:16] != "application/json" and not _is_json(response):
            try:
                value = loads(response.body)  # type: ignore[arg-type]
            except ValueError:
                # Not JSON after all: the text, so that something can be made of it.
                return _text(response)
        else:
            value = loads(response.body)  # type: ignore[arg-type]
        if value.__class__ is not dict:
            return value
        view = new(cls)
        put(view, value)
        put_id(view, headers.get("x-request-id"))
        return view

    return read


def _value(wrap: Callable[[Any], Any] | None) -> Callable[[Response], Any]:
    """Unions, lists, and whatever else an operation may answer."""

    def read(response: Response) -> Any:
        if not _is_json(response):
            return _text(response)
        value = response.json()
        result = value if wrap is None else wrap(value)
        if isinstance(result, View):
            result._request_id = response.headers.get("x-request-id")
        return result

    return read


def _page(cls: Any, item: Callable[[Any], Any] | None) -> Callable[[Response], Any]:
    def read(response: Response) -> Any:
        try:
            value = response.json()
        except ValueError:
            if _is_json(response):
                raise
            return _text(response)
        page = cls.of(value if isinstance(value, dict) else {"data": value})
        page._item = item
        page._request_id = response.headers.get("x-request-id")
        return page

    return read
