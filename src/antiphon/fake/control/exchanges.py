"""Exchanges of the journal, and queries for them, as JSON."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from ...kernel.errors import BadRequestError
from ...server.behaviour import UploadedFile
from .. import rulefile
from ..asked import CONDITIONS, exactly
from ..schema import check

if TYPE_CHECKING:
    from ..asked import Conditions
    from ..journal import Exchange
    from ..schema import Problem

__all__ = ("QUERY", "conditions_json", "exchange_json", "plain", "query_of")

QUERY: Final[dict[str, Any]] = {
    "type": "object",
    "description": "conditions as in rules, and `tool`, the name of one that the answer calls, and `status`",
    "additionalProperties": True,
}
"""The schema of a query; what is in it is checked by that of rules."""

_WHOLE: Final = 64 * 1024
"""Bytes of a body that are told in a list."""


def query_of(data: Any, place: str = "query") -> dict[str, Any]:
    """A query as `Journal.calls` takes it. Raises `BadRequestError` with what is wrong, and where."""
    if data is None:
        return {}
    if not isinstance(data, Mapping):
        raise BadRequestError.because(f"{place} is an object of conditions, not {data!r:.60}.", param=place)
    given: Mapping[str, Any] = data
    own = {name: given[name] for name in ("tool", "status") if given.get(name) is not None}
    kinds = {"tool": str, "status": int}
    for name, value in own.items():
        if not isinstance(value, kinds[name]) or isinstance(value, bool):
            wanted = "the name of a tool" if name == "tool" else "a number"
            raise BadRequestError.because(f"{place}.{name} is {wanted}, not {value!r:.60}.", param=f"{place}.{name}")
    rest = {name: value for name, value in given.items() if name not in kinds}
    problems: list[Problem] = list(check(rest, "conditions"))
    found = {} if problems else rulefile.conditions(rest, (), problems)
    if problems:
        first = problems[0]
        where = ".".join(map(str, (place, *first.path)))
        raise BadRequestError.because(f"{where}: {first.message}.", param=where, code="invalid_query")
    return {**found, **own}


def conditions_json(conditions: Conditions) -> dict[str, Any]:
    """Conditions as rule files have them; functions by their names."""
    return {name: _condition(value) for name, value in conditions.given.items() if name in CONDITIONS}


def _condition(value: Any) -> Any:
    if isinstance(value, exactly):
        return {"exactly": str.__str__(value)}
    if isinstance(value, re.Pattern):
        return {"matches": value.pattern, **({"ignore_case": True} if value.flags & re.IGNORECASE else {})}
    if isinstance(value, Mapping):
        return {str(name): _condition(each) for name, each in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_condition(each) for each in value]
    if callable(value):
        return {"function": getattr(value, "__name__", repr(value))}
    return value


def plain(value: Any) -> Any:
    """A value as JSON: bytes that are no text in base64, files by what is known of them."""
    if isinstance(value, UploadedFile):
        return {"filename": value.filename, "content_type": value.content_type, "bytes": value.size}
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return {"base64": base64.b64encode(value).decode(), "bytes": len(value)}
    if isinstance(value, Mapping):
        return {str(name): plain(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    return value


def exchange_json(exchange: Exchange, place: int, *, whole: bool = False) -> dict[str, Any]:
    """An exchange. `whole` has the headers, the events and the pieces, too."""
    asked = exchange.asked
    kind, schema = asked.response_format
    rule: Any = exchange.rule
    script: Any = getattr(rule, "script", None)
    tokens = exchange.tokens
    answer = exchange.answer
    told: dict[str, Any] = {
        "object": "exchange",
        "place": place,
        "request_id": exchange.request_id,
        "operation": exchange.operation or None,
        "method": exchange.method,
        "path": exchange.path,
        "query": exchange._sent[2] or None,
        "model": exchange.model or None,
        "text": exchange.text,
        "system": exchange.system,
        "tools": asked.tools,
        "tool_result": asked.tool_result,
        "turn": asked.turn,
        "metadata": dict(asked.metadata),
        "response_format": {"type": kind, "name": schema},
        "status": exchange.status,
        "output_text": exchange.output_text,
        "tool_calls": [call._asdict() for call in exchange.tool_calls],
        "tokens": {**tokens._asdict(), "total": tokens.total},
        "cost": exchange.cost,
        "began": exchange.began,
        "ended": exchange.ended,
        "seconds": exchange.seconds,
        "left_early": exchange.left_early,
        "answered_by": exchange.answered_by,
        "rule": None if rule is None or script is not None else rule.number,
        "script": None if rule is None or script is None else {"number": script.number, "leg": rule.number},
        "fault": None if exchange.fault is None else str(exchange.fault),
        "body": plain(exchange.body) if whole or len(exchange._sent[4]) <= _WHOLE else None,
        "answer": plain(answer) if whole or not isinstance(answer, bytes) or len(answer) <= _WHOLE else None,
    }
    if whole:
        told["headers"] = dict(exchange.headers)
        told["answer_headers"] = dict(exchange.answer_headers)
        told["events"] = plain(exchange.events)
        told["pieces"] = [{"seconds": at, "data": plain(data)} for at, data in exchange.pieces]
    return told
