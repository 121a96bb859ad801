"""Assertions: answered with 200 where they hold, and where they do not with 422 and what was asked instead."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from ...kernel.errors import UnprocessableEntityError
from .exchanges import QUERY, query_of
from .operations import Call, operation, refused

__all__ = ()

_TEXTS: Final = {"type": "array", "items": {"type": "string"}}
_QUERIES: Final = {"type": "array", "items": QUERY}


def _object(**properties: Any) -> dict[str, Any]:
    required = [name for name, schema in properties.items() if schema.pop("needed", False)]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _held(assertion: Callable[..., None], *given: Any, **more: Any) -> dict[str, Any]:
    try:
        assertion(*given, **more)
    except AssertionError as error:
        raise UnprocessableEntityError.because(str(error), code="assertion_failed") from None
    except (TypeError, ValueError) as error:
        raise refused(str(error)) from None
    return {"passed": True}


_RETURNS: Final = '`{"passed": true}`; 422 with the code `assertion_failed` and a message where it does not hold'


@operation(
    "assert.called",
    "POST",
    "/assert/called",
    body=_object(query=QUERY, times={"type": "integer", "minimum": 0}),
    example={"query": {"model": "gpt-5*", "text": "Hello"}, "times": 1},
    returns=_RETURNS,
    needs_body=False,
)
def called(call: Call) -> Any:
    """Something was asked, so many times or at all."""
    return _held(call.fake.assert_called, times=call.body.get("times"), **query_of(call.body.get("query")))


@operation(
    "assert.not_called",
    "POST",
    "/assert/not_called",
    body=_object(query=QUERY),
    example={"query": {"operation": "files.*"}},
    returns=_RETURNS,
    needs_body=False,
)
def not_called(call: Call) -> Any:
    """Something was not asked; without a query, nothing was."""
    return _held(call.fake.assert_not_called, **query_of(call.body.get("query")))


@operation(
    "assert.called_in_order",
    "POST",
    "/assert/called_in_order",
    body=_object(queries={**_QUERIES, "needed": True}),
    example={"queries": [{"text": "first"}, {"text": "second"}]},
    returns=_RETURNS,
)
def called_in_order(call: Call) -> Any:
    """These were asked one after the other, whatever came between."""
    queries = [query_of(each, f"queries[{number}]") for number, each in enumerate(call.body["queries"])]
    return _held(call.fake.assert_called_in_order, *queries)


@operation(
    "assert.tokens_at_most",
    "POST",
    "/assert/tokens_at_most",
    body=_object(most={"type": "integer", "minimum": 0, "needed": True}, query=QUERY),
    example={"most": 1000},
    returns=_RETURNS,
)
def tokens_at_most(call: Call) -> Any:
    """What was asked and answered has no more tokens in all."""
    return _held(call.fake.assert_tokens_at_most, call.body["most"], **query_of(call.body.get("query")))


@operation(
    "assert.cost_at_most",
    "POST",
    "/assert/cost_at_most",
    body=_object(most={"type": "number", "minimum": 0, "needed": True}, query=QUERY),
    example={"most": 0.05},
    returns=_RETURNS,
)
def cost_at_most(call: Call) -> Any:
    """What was asked and answered has not cost more, in USD, by the fake's prices."""
    return _held(call.fake.assert_cost_at_most, call.body["most"], **query_of(call.body.get("query")))


@operation("assert.all_rules_used", "POST", "/assert/all_rules_used", returns=_RETURNS)
def all_rules_used(call: Call) -> Any:
    """Every rule has answered something."""
    return _held(call.fake.assert_all_rules_used)


@operation(
    "assert.nothing_unexpected",
    "POST",
    "/assert/nothing_unexpected",
    body=_object(expected=_QUERIES),
    example={"expected": [{"operation": "embeddings.*"}]},
    returns=_RETURNS,
    needs_body=False,
)
def nothing_unexpected(call: Call) -> Any:
    """No request was left to an engine or had no address, apart from those that are expected."""
    given = call.body.get("expected") or []
    expected = [query_of(each, f"expected[{number}]") for number, each in enumerate(given)]
    return _held(call.fake.assert_nothing_unexpected, *expected)


@operation(
    "assert.well_behaved",
    "POST",
    "/assert/well_behaved",
    body=_object(ignore=_TEXTS, warnings={"type": "boolean"}, query=QUERY),
    example={"ignore": ["abandoned_stream"], "warnings": True},
    returns=_RETURNS,
    needs_body=False,
)
def well_behaved(call: Call) -> Any:
    """The code under test did nothing wrong that the verdict finds; warnings count where it is said."""
    body = call.body
    ignore, warnings = body.get("ignore") or (), body.get("warnings", False)
    return _held(call.fake.assert_well_behaved, ignore=ignore, warnings=warnings, **query_of(body.get("query")))
