"""Operations of the control API: where they are, what they take, and how a request finds its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import GeneratorType
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import parse_qsl, unquote

from ...kernel.errors import APIStatusError, BadRequestError, NotFoundError
from ...kernel.http import Response, json_response
from ...server.faults import first_fault

if TYPE_CHECKING:
    from ...kernel.http import Request
    from .. import FakeOpenAI
    from ..door import Door

__all__ = ("OPERATIONS", "Call", "Operation", "found", "listed", "operation", "refused")

JSON = Mapping[str, Any]


class Call(NamedTuple):
    """A request for an operation, checked."""

    fake: FakeOpenAI
    """The fake it is about: that of the session, where the request names one."""
    door: Door | None
    """What the fake stands behind, where it is on a port."""
    params: Mapping[str, str]
    query: Mapping[str, Any]
    body: Any
    request: Request


class Operation(NamedTuple):
    """One operation."""

    name: str
    """Such as `journal.list`: the part before the dot is its group."""
    method: str
    path: str
    """Below `/_antiphon`, with `{names}` of parameters."""
    summary: str
    answer: Callable[[Call], Any]
    query: Mapping[str, JSON]
    """Schemas of the parameters in the query."""
    body: JSON | None
    example: Any
    """A body, to be tried."""
    returns: str
    status: int
    needs_body: bool
    media: str

    @property
    def group(self) -> str:
        return self.name.partition(".")[0]

    @property
    def parameters(self) -> list[str]:
        """Names in the path."""
        return [each[1:-1] for each in self.path.split("/") if each.startswith("{")]

    def match(self, path: str) -> dict[str, str] | None:
        """The parameters in an address below `/_antiphon`; `None` for one that is another operation's."""
        wanted, given = self.path.split("/"), path.split("/")
        if len(wanted) != len(given):
            return None
        params: dict[str, str] = {}
        for pattern, part in zip(wanted, given, strict=True):
            if pattern.startswith("{") and part:
                params[pattern[1:-1]] = unquote(part)
            elif pattern != part:
                return None
        return params


OPERATIONS: Final[list[Operation]] = []
"""All of them, in the order of the documentation."""


def operation(
    name: str,
    method: str,
    path: str,
    *,
    query: Mapping[str, JSON] | None = None,
    body: JSON | None = None,
    example: Any = None,
    returns: str = "what is asked for",
    status: int = 200,
    needs_body: bool = True,
    media: str = "application/json",
) -> Callable[[Callable[[Call], Any]], Callable[[Call], Any]]:
    """Register what answers an operation. Its docstring is the documentation."""

    def register(answer: Callable[[Call], Any]) -> Callable[[Call], Any]:
        summary = " ".join((answer.__doc__ or "").split())
        OPERATIONS.append(
            Operation(
                name, method, path, summary, answer, query or {}, body, example, returns, status, needs_body, media
            )
        )
        return answer

    return register


def found(request: Request, path: str) -> tuple[Operation, dict[str, str]]:
    """The operation of a request. Raises `NotFoundError`, and with 405 where an address takes other methods."""
    method = "GET" if request.method == "HEAD" else request.method
    methods: list[str] = []
    for each in OPERATIONS:
        params = each.match(path)
        if params is not None:
            if each.method == method:
                return each, params
            methods.append(each.method)
    if methods:
        allowed = ", ".join(methods)
        raise APIStatusError.because(
            f"{request.path} takes {allowed}, and not {request.method}.", status=405, headers={"allow": allowed}
        )
    raise NotFoundError.because(
        f"There is nothing at {request.path}: GET /_antiphon/ shows what there is.", code="unknown_url"
    )


def answer_of(each: Operation, params: Mapping[str, str], fake: FakeOpenAI, door: Door | None, request: Request) -> Any:
    """What an operation answers. Raises the API's errors for what is wrong with the request."""
    query = _query(each, request.query)
    body = _body(each, request)
    reply = each.answer(Call(fake, door, params, query, body, request))
    if isinstance(reply, (Response, GeneratorType)):
        return reply
    return json_response(each.status, reply)


def _query(each: Operation, text: str) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        schema = each.query.get(name)
        if schema is None:
            known = f"there are {', '.join(each.query)}" if each.query else "there are none"
            raise BadRequestError.because(
                f"Unknown parameter of the query: {name!r}; {known}.", param=name, code="unknown_parameter"
            )
        values[name] = _value(name, value, str(schema.get("type")))
    return values


_TRUTH: Final = {"true": True, "1": True, "false": False, "0": False}


def _value(name: str, value: str, kind: str) -> Any:
    try:
        if kind == "integer":
            return int(value)
        if kind == "boolean":
            return _TRUTH[value.lower()]
    except (KeyError, ValueError):
        wanted = "a whole number" if kind == "integer" else "true or false"
        raise refused(f"{name} is {wanted}, not {value!r}", param=name) from None
    return value


def _body(each: Operation, request: Request) -> Any:
    import orjson

    if each.body is None:
        return None
    data = request.content()
    if not data and not each.needs_body:
        return {}
    kind = (request.headers.get("content-type") or "").partition(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):  # what a page of the web can send to anybody is none
        raise refused(f"the body is JSON: say so with content-type: application/json, not {kind or 'without one'}")
    try:
        value = orjson.loads(data)
    except ValueError as error:
        raise refused(f"the body is no JSON: {error}") from None
    if "type" in each.body and each.body["type"] == "object":
        fault = first_fault("antiphon.control", dict(each.body), value, unknown="refuse")
        if fault is not None:
            raise BadRequestError.because(fault.message, param=fault.param, code=fault.code)
    return value


def refused(message: str, *, param: str | None = None, code: str = "invalid_value") -> BadRequestError:
    """The error for something that cannot be done as it was said."""
    text = message[:1].upper() + message[1:]
    return BadRequestError.because(text if text.endswith((".", "!")) else f"{text}.", param=param, code=code)


def listed(data: list[Any], **more: Any) -> dict[str, Any]:
    """A list as the API has them."""
    return {"object": "list", "data": data, **more}
