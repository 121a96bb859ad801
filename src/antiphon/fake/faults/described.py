"""Faults told as JSON, or in one line: for files, for HTTP, for a header and for the command line.

    {"type": "status", "status": 503, "when": {"type": "once"}}
    status=503; once
    status=429, retry_after=2; percentage=20, seed=7; model=gpt-4o*
    status=503; until=2; then truncate=3

A line has parts between semicolons. The first item of a part is the name of a behaviour, of a trigger, or of a
condition of `matching`, with its main setting behind `=`; further items are its other settings. All behaviours happen,
when all triggers hold; `then` begins what follows once that is over, and `repeat` at the end begins it all anew. Quotes
keep commas and semicolons together. The JSON of http4k's chaos API is read as well.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from difflib import get_close_matches
from functools import reduce
from typing import TYPE_CHECKING, Any, Final

from ...server.clock import seconds_of
from ..asked import exactly
from .behaviours import Behaviour, Both, Delay, Nothing, RateLimit, ReturnResponse, ReturnStatus
from .bodies import EmptyBody, MalformedJSON, SnipRequest, Truncate, UnknownFields, WrongContentType
from .connections import HangUp, RefuseConnection, ResetConnection
from .fault import Fault, Stage
from .models import Decline, EndlessToolCalls, HallucinatedIds, InvalidArguments, RepeatedText, UnknownTool
from .parts import DAY, Part
from .streams import Duplicate, ErrorEvent, Reorder, SlowFirstToken, Split, Stall, UnknownEvents
from .triggers import TRIGGERS, After, All, Always, Either, Matching, Not, Once, Percentage, Trigger

if TYPE_CHECKING:
    JSON = Mapping[str, Any]

__all__ = ("BEHAVIOURS", "fault_of", "told_condition", "trigger_of")

BEHAVIOURS: Final[dict[str, type[Behaviour]]] = {
    each.name: each
    for each in (
        *(Delay, ReturnStatus, RateLimit, ReturnResponse, Nothing),
        *(RefuseConnection, ResetConnection, HangUp),
        *(EmptyBody, WrongContentType, MalformedJSON, Truncate, UnknownFields, SnipRequest),
        *(SlowFirstToken, Stall, ErrorEvent, Duplicate, Reorder, Split, UnknownEvents),
        *(UnknownTool, InvalidArguments, HallucinatedIds, Decline, EndlessToolCalls, RepeatedText),
    )
}
"""Behaviours by their names."""

CONDITIONS: Final = (
    "operation",
    "model",
    "text",
    "system",
    "tools",
    "tool_result",
    "turn",
    "response_format",
    "stream",
)
"""Conditions that can be told in a line; JSON has `headers` and `metadata`, too."""


def fault_of(data: Mapping[str, Any] | Sequence[Any] | str) -> Fault:
    """The fault that JSON, or a line, tells: see the module's page, and the guide to faults.

    An object has the `type` of a behaviour and its settings, and may have `when` (a trigger, or a list of triggers that
    all have to hold) and `until`. A list is one fault after the other. Raises `ValueError` or `TypeError`, which say
    what is wrong and what would be right.
    """
    try:
        return _fault_of(data)
    except RecursionError:
        raise ValueError("a fault is not nested as deeply as this") from None


def _fault_of(given: Any) -> Fault:
    if isinstance(given, str):
        return _line(given)
    if isinstance(given, Sequence):
        if not given:
            raise ValueError("a list of faults, one after the other, is empty")
        return reduce(Fault.then, (_fault_of(each) for each in given))
    if not isinstance(given, Mapping):
        raise TypeError(f"a fault is an object with a type, a list of them, or a text, not {given!r}")
    return _FORMS.get(str(given.get("type")), _simple)(given)


def trigger_of(data: Mapping[str, Any] | Sequence[Any] | str) -> Trigger:
    """The trigger that JSON, or a line, tells. Raises as `fault_of` does."""
    told: Any = data
    if isinstance(told, str):
        _, triggers = _parts(told, "a trigger", behaviours=False)
        return _all(triggers)
    if isinstance(told, Sequence):
        return _all([trigger_of(each) for each in told])
    if not isinstance(told, Mapping):
        raise TypeError(f"a trigger is an object with a type, a list of them, or a text, not {told!r}")
    given = dict(told)
    kind = _kind(given.pop("type", Matching.name))
    read = _TRIGGERS.get(kind)
    if read is not None:
        return read(given)
    made = TRIGGERS.get(kind)
    if made is None:
        raise ValueError(f"{_missing(kind, 'trigger')}{_near(kind, (*TRIGGERS, *_TRIGGERS))}")
    trigger: Trigger = _made(made, given)
    return trigger


def _kind(name: Any) -> str:
    if name is not None and not isinstance(name, str):
        raise TypeError(f"a type is a text, not {name!r}")
    return name or ""


def _all(triggers: Sequence[Trigger]) -> Trigger:
    return Always() if not triggers else triggers[0] if len(triggers) == 1 else All(tuple(triggers))


def _missing(kind: str, what: str) -> str:
    return f"there is no {what} {kind!r}" if kind else f"a {what} has a type"


def _near(name: Any, known: Sequence[str]) -> str:
    """What may have been meant instead, and what there is."""
    close = get_close_matches(str(name), known, 1)
    meant = f"; did you mean {close[0]!r}?" if close else "."
    return f"{meant} There are {', '.join(dict.fromkeys(known))}"


def _made(kind: type[Any], settings: Mapping[str, Any]) -> Any:
    known = {each.name: each for each in fields(kind)}
    for name in settings:
        if name not in known:
            has = f"it has {', '.join(known)}" if known else "it has no settings"
            raise ValueError(f"{kind.name} has no setting {name!r}; {has}")
    missing = [each for name, each in known.items() if name not in settings and _is_needed(each)]
    if missing:
        raise ValueError(f"{kind.name} needs {missing[0].name!r}")
    return kind(**settings)


def _is_needed(field: Any) -> bool:
    from dataclasses import MISSING

    return field.default is MISSING and field.default_factory is MISSING


# Faults as JSON


def _simple(data: JSON) -> Fault:
    """One behaviour, with its trigger."""
    given = dict(data)
    held, until = given.pop("when", None), given.pop("until", None)
    when = Always() if held is None else trigger_of(held)
    return Fault((Stage(_behaviour(given), when, None if until is None else trigger_of(until)),))


def _behaviour(data: Any) -> Behaviour:
    if not isinstance(data, Mapping):
        raise TypeError(f"a behaviour is an object with a type, not {data!r}")
    given = dict(data)
    kind = _kind(given.pop("type", None))
    read = _BEHAVIOURS.get(kind)
    if read is not None:
        return read(given)
    made = BEHAVIOURS.get(kind)
    if made is None:
        raise ValueError(f"{_missing(kind, 'fault')}{_near(kind, tuple(BEHAVIOURS))}")
    behaviour: Behaviour = _made(made, given)
    return behaviour


def _several(given: dict[str, Any]) -> Behaviour:
    several: Any = given.get("behaviours")
    if not isinstance(several, Sequence) or not several or isinstance(several, str):
        raise ValueError(f"behaviours are a list of objects, each with a type, not {several!r}")
    return Both(tuple(_behaviour(each) for each in several))


def _stages(data: JSON) -> Fault:
    several: Any = data.get("stages")
    if not isinstance(several, Sequence) or isinstance(several, str):
        raise ValueError(f"stages are a list of faults, not {several!r}")
    return _fault_of(several)


# What http4k has other words for


def _trigger_stage(data: JSON) -> Fault:
    behaviour = _behaviour(data.get("behaviour"))
    when = Always() if data.get("trigger") is None else trigger_of(data["trigger"])
    until = None if data.get("until") is None else trigger_of(data["until"])
    return Fault((Stage(behaviour, when, until),))


def _wait(data: JSON) -> Fault:
    return Fault((Stage(Nothing(), Always(), None if data.get("until") is None else trigger_of(data["until"])),))


_FORMS: Final[dict[str, Callable[[Any], Fault]]] = {
    "stages": _stages,
    "repeat": lambda data: _stages(data).repeated(),
    "trigger": _trigger_stage,
    "wait": _wait,
}

_ISO: Final = re.compile(r"P(?:(\d+)D)?T?(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?")


def _duration(given: Any) -> float:
    """Seconds: a number, a text such as `250ms`, or one of ISO 8601 such as `PT0.25S`."""
    if isinstance(given, str):
        found = _ISO.fullmatch(given)
        if found and any(found.groups()):
            days, hours, minutes, seconds = (float(each or 0) for each in found.groups())
            return ((days * 24 + hours) * 60 + minutes) * 60 + seconds
    if isinstance(given, bool) or not isinstance(given, (str, int, float)):
        raise ValueError(f"a duration is a text such as 'PT0.5S' or '500ms', not {given!r}")
    return float(seconds_of(given))


def _latency(given: dict[str, Any]) -> Behaviour:
    if not {"min", "max"} & given.keys():
        made: Delay = _made(Delay, given)
        return made
    least = _duration(given.pop("min", 0.1))
    most = _duration(given.pop("max", max(least, 0.5)))
    if given:
        raise ValueError(f"latency has no setting {next(iter(given))!r}; it has min and max, or seconds and most")
    return Delay(least, most)


def _not_here(what: str) -> Callable[[dict[str, Any]], Behaviour]:
    def read(given: dict[str, Any]) -> Behaviour:
        raise ValueError(f"a fake may share its process with the tests, so it does not {what}")

    return read


_BEHAVIOURS: Final[dict[Any, Callable[[dict[str, Any]], Behaviour]]] = {
    Both.name: _several,
    "latency": _latency,
    "throw": lambda given: ReturnStatus(500, given.get("message")),
    "body": lambda given: EmptyBody(),
    "snip": lambda given: Truncate(after_bytes=given.get("limit")),
    "sniprequest": lambda given: SnipRequest(given.get("limit")),
    "block": lambda given: Delay(DAY),
    "kill": _not_here("kill it; `refuse`, `reset` and `hang_up` look the same from outside"),
    "memory": _not_here("eat its memory"),
    "overflow": _not_here("overflow its stack; `status` with 500 is what that is answered with"),
}


def _once(given: dict[str, Any]) -> Trigger:
    inner = given.pop("trigger", None)
    once: Trigger = _made(Once, given)
    return once if inner is None else trigger_of(inner) & once


def _percentage(given: dict[str, Any]) -> Trigger:
    if "percentage" in given:
        given["percent"] = given.pop("percentage")
    if isinstance(given.get("percent"), str):
        given["percent"] = _number(given["percent"])
    made: Trigger = _made(Percentage, given)
    return made


def _moment(name: str, given: Any) -> Any:
    if given is None:
        raise ValueError(f"{name} is missing")
    return given


def _joined(kind: Callable[[tuple[Trigger, ...]], Trigger]) -> Callable[[dict[str, Any]], Trigger]:
    def read(given: dict[str, Any]) -> Trigger:
        several: Any = given.get("triggers")
        if not isinstance(several, Sequence) or not several or isinstance(several, str):
            raise ValueError(f"triggers are a list of objects, each with a type, not {several!r}")
        return kind(tuple(trigger_of(each) for each in several))

    return read


def _matching(given: dict[str, Any]) -> Trigger:
    """Conditions as they stand in rule files, and `stream`."""
    from ..rulefile import conditions
    from ..schema import check

    asked = {name: value for name, value in given.items() if name != "stream"}
    problems = check(asked, "conditions")
    made = {} if problems else conditions(asked, (), problems)
    if problems:
        raise ValueError(
            "; ".join(f"{'.'.join(map(str, each.path))}: {each.message}".lstrip(": ") for each in problems)
        )
    return Matching(given.get("stream"), **made)


def told_condition(name: str, value: Any) -> Any:
    """A condition as JSON. A function has its name, which nobody can read back."""
    if isinstance(value, re.Pattern):
        return {"matches": value.pattern, **({"ignore_case": True} if value.flags & re.IGNORECASE else {})}
    if isinstance(value, exactly):
        return {"exactly": str.__str__(value)}
    if isinstance(value, Mapping):
        return {key: told_condition(name, each) for key, each in value.items()}
    if callable(value):
        return getattr(value, "__name__", repr(value))
    return value if isinstance(value, (str, int, float, bool)) else list(value)


_TRIGGERS: Final[dict[Any, Callable[[dict[str, Any]], Trigger]]] = {
    Matching.name: _matching,
    All.name: _joined(All),
    Either.name: _joined(Either),
    Not.name: lambda given: Not(trigger_of(_moment("the trigger of 'not'", given.get("trigger")))),
    "once": _once,
    "percentage": _percentage,
    "deadline": lambda given: After(_moment("endTime", given.get("endTime"))),
    "delay": lambda given: After(f"{_duration(_moment('period', given.get('period')))}s"),
    "countdown": lambda given: After(_number(str(_moment("count", given.get("count"))))),
}


# In a line


def _line(line: str) -> Fault:
    repeats = False
    stages: list[list[str]] = [[]]
    for part in _split(line, ";"):
        if part == "repeat":
            repeats = True
            continue
        if part.startswith("then ") or part == "then":
            stages.append([])
            part = part[4:].strip()
        if part:
            stages[-1].append(part)
    made = reduce(Fault.then, (_stage(parts, line) for parts in stages))
    return made.repeated() if repeats else made


def _stage(parts: Sequence[str], line: str) -> Fault:
    behaviours, triggers = _parts("; ".join(parts), "a fault")
    if not behaviours:
        raise ValueError(f"{line!r} has no behaviour in it, such as 'status=503'{_near('', tuple(BEHAVIOURS))}")
    behaviour = behaviours[0] if len(behaviours) == 1 else Both(tuple(behaviours))
    return Fault((Stage(behaviour, _all(triggers)),))


def _parts(line: str, what: str, *, behaviours: bool = True) -> tuple[list[Behaviour], list[Trigger]]:
    found: list[Behaviour] = []
    triggers: list[Trigger] = []
    parts = _split(line, ";")
    if not parts:
        raise ValueError(f"{what} is a text such as {'status=503; once' if behaviours else 'once'!r}, not {line!r}")
    for part in parts:
        turned = part.startswith("not ")
        items = _split(part[4:] if turned else part, ",")
        if not items:
            raise ValueError(f"{what} has nothing but commas in its part {part!r}")
        name = _name(items[0])
        if not turned and behaviours and (name in BEHAVIOURS or name in _BEHAVIOURS):
            found.append(_behaviour({"type": name, **_settings(BEHAVIOURS.get(name), items)}))
            continue
        if name in CONDITIONS:
            held: Trigger = Matching(**dict(_conditions(items)))
        elif name in TRIGGERS:
            held = trigger_of({"type": name, **_settings(TRIGGERS[name], items)})
        else:
            known = (*(BEHAVIOURS if behaviours else ()), *TRIGGERS, *CONDITIONS)
            raise ValueError(f"there is no {name!r} in {what}{_near(name, known)}")
        triggers.append(Not(held) if turned else held)
    return found, triggers


def _split(text: str, mark: str) -> list[str]:
    """The parts of a text between marks that are not within quotes, without space around them; none that is empty."""
    parts, quote, part = [], "", ""
    for character in text:
        if character == mark and not quote:
            parts.append(part)
            part = ""
            continue
        if character in "\"'" and (quote == character or (not quote and (not part.strip() or part.endswith("=")))):
            quote = "" if quote else character
        part += character
    if quote:
        raise ValueError(f"a quote is not closed in {text!r}")
    return [each.strip() for each in (*parts, part) if each.strip()]


def _name(item: str) -> str:
    return item.partition("=")[0].strip().replace("-", "_")


def _value(item: str) -> str | None:
    _, equals, value = item.partition("=")
    if not equals:
        return None
    value = value.strip()
    return value[1:-1] if len(value) > 1 and value[0] in "\"'" and value[-1] == value[0] else value


def _settings(kind: type[Part] | None, items: Sequence[str]) -> dict[str, Any]:
    """The settings of a part of a line: the main one stands behind its name."""
    known = {} if kind is None else {each.name: str(each.type) for each in fields(kind)}  # type: ignore[arg-type]
    given: dict[str, Any] = {}
    for place, item in enumerate(items):
        value = _value(item)
        if place == 0:
            if value is None:
                continue
            if not known:
                raise ValueError(f"{_name(item)} takes no value, and {value!r} was given")
            name = next(iter(known))
        else:
            name = _name(item)
            if value is None:
                raise ValueError(f"{item!r} has no value: a setting is told as name=value")
        given[name] = _read(value, known.get(name, "str"))
    return given


def _read(value: str, kind: str) -> Any:
    """A setting of a line as its type has it. What cannot be one stays a text, which is then complained about."""
    if kind.startswith("tuple[int"):
        return [_number(each) for each in value.split()]
    if kind.startswith(("int", "float")):
        made = _number(value)
        if isinstance(made, str) and kind.startswith("float"):
            try:
                return seconds_of(made)
            except ValueError:
                return made
        return float(made) if kind.startswith("float") and isinstance(made, int) else made
    return value


def _number(value: str) -> Any:
    for kind in (int, float):
        try:
            return kind(value)
        except ValueError:
            continue
    return value


def _pattern(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise ValueError(f"{text!r} is no pattern: {error}") from None


_WORDS: Final[dict[str, Any]] = {"true": True, "false": False, "yes": True, "no": False}


def _conditions(items: Sequence[str]) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for item in items:
        name, value = _name(item), _value(item)
        if name not in CONDITIONS:
            raise ValueError(f"there is no condition {name!r}{_near(name, CONDITIONS)}")
        if value is None:
            raise ValueError(f"{item!r} has no value: a condition is told as name=value")
        made: Any = value
        if name == "turn":
            made = _number(value)
        elif name in ("stream", "tool_result") and value.lower() in _WORDS:
            made = _WORDS[value.lower()]
        elif len(value) > 2 and value[0] == value[-1] == "/":
            made = _pattern(value[1:-1])
        elif value.startswith("="):
            made = exactly(value[1:])
        found.append((name, made))
    return found
