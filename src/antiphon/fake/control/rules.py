"""Rules: what is answered to what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ...kernel.errors import BadRequestError, NotFoundError
from ..rulefile import RuleError, add_rule, add_rules
from ..rules import Rule
from .exchanges import conditions_json
from .operations import Call, listed, operation, refused

if TYPE_CHECKING:
    from ..scripts import Script

__all__ = ()


def _told(rule: Rule) -> dict[str, Any]:
    return {
        "object": "rule",
        "number": rule.number,
        "where": rule.where,
        "when": conditions_json(rule.conditions),
        "times": rule.times,
        "calls": rule.calls,
        "answers": [each.told for each in rule._answers],
    }


def _script(script: Script) -> dict[str, Any]:
    return {
        "object": "script",
        "number": script.number,
        "name": script.name,
        "where": script.where,
        "legs": [
            {"said": leg.said, "calls": leg.calls, "answers": [each.told for each in leg.answers]}
            for leg in script.legs
        ],
        "begun": script.begun,
        "played": script.played,
        "departures": [f"{each.asked}: {each}" for each in script.departures],
    }


@operation("scripts.list", "GET", "/scripts", returns="a list of scripts, in the order they were made")
def scripts_list(call: Call) -> Any:
    """The scripts, each with how many conversations began it, came to its end, and left it."""
    return listed([_script(each) for each in call.fake.rules.scripts])


@operation("rules.list", "GET", "/rules", returns="a list of rules, in the order they were made")
def rules_list(call: Call) -> Any:
    """The rules, each with the number of requests it has answered."""
    return listed([_told(each) for each in call.fake.rules])


@operation(
    "rules.add",
    "POST",
    "/rules",
    body={"anyOf": [{"$ref": "#/components/schemas/rule"}, {"$ref": "#/components/schemas/document"}]},
    example={"when": {"text": "weather"}, "reply": "It is sunny."},
    returns="a list of the rules and scripts that were added",
    status=201,
)
def rules_add(call: Call) -> Any:
    """Add a rule, a list of rules, or a document with `rules` and `scripts`, as they stand in rule files."""
    data = call.body
    where = f"{call.request.method} {call.request.path}"
    try:
        if isinstance(data, Mapping) and not {"rules", "scripts"} & data.keys():
            added: list[Any] = [add_rule(call.fake, data, where=where)]
        else:
            added = list(add_rules(call.fake, data, where=where))
    except RuleError as error:
        first = error.problems[0] if error.problems else None
        place = "" if first is None else ".".join(map(str, first.path))
        raise BadRequestError.because(str(error), param=place or None, code="invalid_rule") from None
    return listed([_told(each) if isinstance(each, Rule) else _script(each) for each in added])


@operation("rules.clear", "DELETE", "/rules", returns="how many rules there were")
def rules_clear(call: Call) -> Any:
    """Forget all rules."""
    count = len(call.fake.rules)
    call.fake.rules.clear()
    return {"deleted": count}


def _rule(call: Call) -> Rule:
    wanted = call.params["number"]
    found = next((each for each in call.fake.rules if str(each.number) == wanted), None)
    if found is None:
        raise NotFoundError.because(f"There is no rule {wanted!r}.", param="number")
    return found


@operation("rules.get", "GET", "/rules/{number}", returns="a rule")
def rules_get(call: Call) -> Any:
    """One rule, by its number."""
    return _told(_rule(call))


@operation("rules.remove", "DELETE", "/rules/{number}", returns="the rule")
def rules_remove(call: Call) -> Any:
    """Forget one rule."""
    rule = _rule(call)
    call.fake.rules.replace([rule], [])
    return {**_told(rule), "deleted": True}


@operation(
    "rules.explain",
    "POST",
    "/rules/explain",
    body={
        "type": "object",
        "properties": {
            "body": {"type": "object", "description": "the body of a request"},
            "operation": {"type": "string", "description": "of the body, such as `embeddings.create`"},
            "place": {"type": "integer", "description": "in place of a body: an exchange of the journal"},
        },
        "additionalProperties": False,
    },
    example={"body": {"model": "gpt-5", "input": "How is the weather?"}},
    returns="what each rule makes of it, as text",
)
def rules_explain(call: Call) -> Any:
    """What each rule makes of a request, as the rules stand now, and why."""
    body = call.body
    if ("place" in body) is ("body" in body):
        raise refused("either the body of a request is explained, or the exchange at a place of the journal")
    try:
        asked: Any = body["body"] if "body" in body else call.fake.journal[body["place"]]
        return {"object": "explanation", "text": call.fake.explain(asked, body.get("operation"))}
    except IndexError as error:
        raise NotFoundError.because(f"{error}.", param="place") from None
    except TypeError as error:
        raise refused(str(error), param="body") from None
