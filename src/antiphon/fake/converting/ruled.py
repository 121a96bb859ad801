"""Rules of other programs as ours, in an order in which the same ones answer."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ..cassettes.files import dumped, shown_place
from ..reading import read
from ..rulefile import RuleError, _alike, made
from ..rules import Rule, Rules
from ..schema import check
from .source import Left

if TYPE_CHECKING:
    from ..cassettes.scrubbing import Place
    from .source import Converted, Source

__all__ = ("Told", "calls", "document", "failing", "finished", "rest")


class Told(NamedTuple):
    """A rule as it stands in a rule file, and where it comes from."""

    place: Place
    rule: dict[str, Any]
    line: int = 1


def finished(source: Source, found: Iterable[Told], *, first_wins: bool) -> list[Told]:
    """Rules that can be loaded. `first_wins`: of those that fit, the first in the file answers there."""
    whole: list[tuple[Told, Rule]] = []
    for each in list(found):  # what comes later may add to what came before
        try:
            problems = check(each.rule, "rule")
            if problems:
                raise RuleError(problems)
            (rule,) = made(Rules(), [each.rule], lambda at: "", None)
        except RuleError as error:
            source.leave(each.place, f"it makes no rule: {'; '.join(str(error).splitlines())}", whole=True)
            continue
        assert isinstance(rule, Rule), "it is no script"
        double = next((there for there, earlier in whole if earlier.times is None and _alike(rule, earlier)), None)
        if double is not None:
            source.leave(
                each.place, f"it never answers: {shown_place(double.place)} has the same conditions", whole=True
            )
            continue
        whole.append((each, rule))
    if first_wins:
        _told_of_order(source, whole)
    # Of equals the last answers here.
    return [each._replace(line=source.line(each.place)) for each, _ in reversed(whole)]


def _told_of_order(source: Source, whole: Sequence[tuple[Told, Rule]]) -> None:
    """Say where an earlier rule, which answers there, gives way here to a later one with more conditions."""
    for number, (each, rule) in enumerate(whole):
        for other, later in whole[number + 1 :]:
            if later.conditions.rank > rule.conditions.rank and rule.gives & later.gives and _may_both(each, other):
                told = f"{shown_place(other.place)}, which says more, answers here where both fit; there it is this one"
                source.leave(each.place, told)
                break


def _may_both(one: Told, other: Told) -> bool:
    """Whether both rules may well be for one request: what both look at is alike, or within the other."""
    ours, theirs = one.rule.get("when", {}), other.rule.get("when", {})
    return all(_within(ours[name], theirs[name]) for name in ours.keys() & theirs.keys())


def _within(one: Any, other: Any) -> bool:
    one, other = (
        next(iter(each.values())) if isinstance(each, Mapping) and "matches" not in each and each else each
        for each in (one, other)
    )
    return bool(one == other or (isinstance(one, str) and isinstance(other, str) and one in other))


def document(found: Sequence[Converted]) -> tuple[str, list[Left]]:
    """A rule file of what was read, of the first file at its end, and what is left out for answering never."""
    kept: list[tuple[Told, Rule]] = []
    left: list[Left] = []
    for each in found:
        for told in reversed(each.rules):  # the first of a file, then the others
            (rule,) = made(Rules(), [told.rule], lambda at: "", None)
            assert isinstance(rule, Rule), "it is no script"
            if any(earlier.times is None and _alike(rule, earlier) for _, earlier in kept):
                message = "it never answers: a rule of a file before it has the same conditions"
                left.append(Left(each.path, told.line, shown_place(told.place), message, True))
            else:
                kept.append((told, rule))
    rules = [told.rule for told, _ in reversed(kept)]
    names = ", ".join(dict.fromkeys(each.format for each in found))
    head = f"# Made of rules of {names}. Of those that say as much, the last answers, so their order is turned round.\n"
    text = dumped({"rules": rules})
    again = read(text, yaml=True)
    if again.faults or again.data != {"rules": rules}:  # what means something else in YAML of version 1.2
        text = json.dumps({"rules": rules}, indent=2, ensure_ascii=False) + "\n"
    return head + text, left


# What several of them have


def calls(source: Source, given: Any, place: Place) -> dict[str, Any] | None:
    """Calls of tools, as OpenAI tells them or with a name and arguments; `None` where they are none.

    With ids, or arguments that are no object, they are told as a message.
    """
    if not isinstance(given, list) or not given:
        source.leave(place, "calls of tools were expected, in a list", whole=True)
        return None
    found: list[tuple[str | None, str, Any, str]] = []
    for number, each in enumerate(given):
        function = each.get("function", each) if isinstance(each, Mapping) else None
        name = function.get("name") if isinstance(function, Mapping) else None
        if not isinstance(name, str) or not isinstance(function, Mapping):
            source.leave((*place, number), "a call of a tool has a name", whole=True)
            return None
        arguments = function.get("arguments", {})
        text = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
        if isinstance(arguments, str):
            try:
                arguments = json.loads(arguments or "{}")
            except ValueError:
                arguments = None
        identity = each.get("id")
        found.append((identity if isinstance(identity, str) else None, name, arguments, text))
    if all(identity is None and isinstance(arguments, Mapping) for identity, _, arguments, _ in found):
        told = [{"name": name, "arguments": arguments} if arguments else name for _, name, arguments, _ in found]
        return {"call_tool": told[0]} if len(told) == 1 else {"call_tools": told}
    messages = [
        {
            **({} if identity is None else {"id": identity}),
            "type": "function",
            "function": {"name": name, "arguments": text},
        }
        for identity, name, _, text in found
    ]
    return {"message": {"tool_calls": messages}}


def with_text(answer: dict[str, Any], text: str | None) -> dict[str, Any]:
    """Calls of tools that come with a text."""
    if not text:
        return answer
    if "message" in answer:
        return {"message": {"content": text, **answer["message"]}}
    given = answer.get("call_tools") or [answer["call_tool"]]
    each = [{"name": one, "arguments": {}} if isinstance(one, str) else one for one in given]
    told = [
        {
            "type": "function",
            "function": {"name": one["name"], "arguments": json.dumps(one["arguments"], ensure_ascii=False)},
        }
        for one in each
    ]
    return {"message": {"content": text, "tool_calls": told}}


def failing(source: Source, status: Any, error: Mapping[str, Any], place: Place) -> dict[str, Any] | None:
    """An error; `None` where its status is none."""
    if status.__class__ is not int or not 400 <= status <= 599:
        source.leave(place, f"an error with the status {status!r}, which is none of an error", whole=True)
        return None
    told: dict[str, Any] = {"status": status}
    for name in ("message", "type", "param", "code"):
        value = error.get(name)
        if value is not None:
            told[name] = value if isinstance(value, str) else json.dumps(value)
    return {"fail": told if len(told) > 1 else status}


def rest(source: Source, value: Mapping[str, Any], known: Iterable[str], place: Place, why: Mapping[str, str]) -> None:
    """Tell what else there is, which has no counterpart."""
    for name, each in value.items():
        if name not in known and each is not None and not str(name).startswith(("$", "_")):
            source.leave((*place, name), why.get(name, "there is no such thing here"))
