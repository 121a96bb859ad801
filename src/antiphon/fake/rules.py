"""What a fake answers to what: rules, in front of its engines.

    fake.when(text="weather").call_tool("get_weather", city="Oslo").reply("It is cold.")
    fake.when(model="gpt-4o*").fail(429, retry_after=2)
    fake.when(operation="files.create").fail(500)

Of the rules whose conditions all hold, the one with most conditions answers; of as many, the one whose conditions are
narrower; of equals, the one that was made last, so that a test can say otherwise than what was set up before it.
"""

from __future__ import annotations

import sys
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from re import Pattern
from typing import TYPE_CHECKING, Any, Final, Self

from ..kernel.errors import NotFoundError
from . import answers
from .answers import CONVERSATIONS, FAMILIES, MOST_TIMES, OTHERS, Answer, State, Stateful, family_of
from .asked import Asked, Conditions

if TYPE_CHECKING:
    from . import FakeOpenAI
    from .faults.setting import Twist
    from .scripts import Script

__all__ = ("Answering", "Rule", "Rules", "called_at")

_SPOKEN: Final = ("system", "tools", "tool_result", "turn", "response_format")
"""Conditions that only conversations meet."""


def families_of(given: Mapping[str, Any]) -> tuple[str, ...]:
    """The families that conditions are for. Raises `ValueError` for an operation that there is none of."""
    wanted: Any = given.get("operation")
    if wanted is None:
        spoken = any(given.get(name) is not None for name in _SPOKEN)
        return (CONVERSATIONS,) if spoken else tuple(name for name in FAMILIES if name != OTHERS)
    found = [
        name
        for name, family in FAMILIES.items()
        if name != OTHERS and any(_means(wanted, each) for each in family.operations)
    ]
    if isinstance(wanted, str) and not any(c in "*?[" for c in wanted):
        if not found and wanted not in _operations():
            raise ValueError(f"there is no operation {wanted!r}{_meant(wanted)}")
        return tuple(found) or (OTHERS,)
    if any(_means(wanted, each) and family_of(each) == OTHERS for each in _operations()):
        found.append(OTHERS)
    if not found:
        raise ValueError(f"there is no operation as {wanted!r} says")
    return tuple(found)


def _meant(name: str) -> str:
    from difflib import get_close_matches

    near = get_close_matches(name, _operations(), 1)
    return f"; did you mean {near[0]!r}?" if near else ", such as 'chat.completions.create'"


def _operations() -> Mapping[str, object]:
    from ..server.endpoint import endpoints

    return endpoints()


def _means(wanted: str | Pattern[str], operation: str) -> bool:
    return fnmatchcase(operation, wanted) if isinstance(wanted, str) else bool(wanted.search(operation))


class Answering:
    """What answers are added to."""

    families: Sequence[str]
    """What it is for: conversations, embeddings …"""

    @property
    def pinned(self) -> bool:
        """Whether it says which operations or models it is for."""
        raise NotImplementedError

    @property
    def conditions(self) -> Conditions:
        """What has to hold."""
        raise NotImplementedError

    def add(self, answer: Answer) -> Self:
        """Answer with what `fake.answers` has made."""
        raise NotImplementedError

    def reply(self, *values: Any, times: int = 1) -> Self:
        """Answer with these, one after the other, each `times` times.

        In a conversation an answer is a text, a list of pieces that are streamed as they are, a message, a call of a
        tool or a whole body as a dict or an object with `to_dict()`. Embeddings are answered with a vector or a list of
        them, images with bytes, a path or a picture of pillow's, speech with bytes, a path or a `Sound`, transcriptions
        with a text, moderations with scores by category or the names of those that are flagged, the content of videos
        with bytes or a path, any other operation with JSON, bytes or a path. Or it is a function of the request, async
        or not, that gives or yields any of these; one with two parameters is given a `State`, too.

        Without `operation` or `model` among the conditions, texts and functions answer conversations only. Raises
        `TypeError` or `ValueError` for what cannot be an answer.
        """
        if not values:
            raise TypeError("reply needs an answer")
        if times.__class__ is not int or not 1 <= times <= MOST_TIMES:
            raise ValueError(f"times is how often each is given, from 1 to {MOST_TIMES}, not {times!r}")
        for each in values:
            answer = answers.reply(each, self.families, self.pinned)
            for _ in range(times):
                self.add(answer)
        return self

    def template(self, text: str) -> Self:
        """Answer with a text in which `{text}`, `{model}`, `{system}`, `{tool_result}` and `{turn}` are filled in.

        Groups of a pattern that is the condition on the text are filled in, too: `{1}` or `{name}`. Raises `ValueError`
        for another name.
        """
        wanted = self.conditions.given.get("text")
        pattern = wanted if isinstance(wanted, Pattern) else None
        return self.add(answers.template(text, self.families, self.pinned, pattern))

    def call_tool(self, name: str, /, **arguments: Any) -> Self:
        """Answer with a call of a function."""
        return self.call_tools((name, arguments))

    def call_tools(self, *calls: tuple[str, Mapping[str, Any] | str]) -> Self:
        """Answer with several calls at once: names and arguments, as in `("get_weather", {"city": "Oslo"})`."""
        return self.add(answers.tools(calls, self.families))

    def refuse(self, text: str = answers.REFUSED) -> Self:
        """Answer with a refusal: the model's in conversations, the API's elsewhere, a 400 with `moderation_blocked`.

        Without `operation` or `model` among the conditions it is for conversations and pictures.
        """
        return self.add(answers.refusal(text, self.families, self.pinned))

    def fail(
        self,
        status: int,
        code: str | None = None,
        *,
        message: str | None = None,
        type: str | None = None,
        param: str | None = None,
        retry_after: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Self:
        """Answer with an error of the API; `retry_after` is in seconds. Raises `ValueError` for no error's status."""
        return self.add(
            answers.failure(
                self.families,
                status,
                message=message,
                code=code,
                type=type,
                param=param,
                retry_after=retry_after,
                headers=headers,
            )
        )


class Rule(Answering):
    """Conditions and the answers to what meets them.

    Each answer is given once, in the order they were added, and the last again and again. A call of a tool that is the
    last is not given again to a request that brings a tool's result: another rule answers it, or the engine.
    """

    kept = False
    """Whether it is there again after a reset."""
    source: Any = None
    """The data it was made of, where it was."""

    def __init__(self, conditions: Conditions, number: int, times: int | None, where: str) -> None:
        if times is not None and (times.__class__ is not int or times < 1):
            raise ValueError(f"times is a number of requests, at least 1, not {times!r}")
        self._conditions = conditions
        self.number = number
        """Its place among the rules of the fake, the first being 1."""
        self.times = times
        """How many requests it answers at most."""
        self.where = where
        """The file and line it was made at."""
        self.calls = 0
        """How many requests it has answered."""
        self.families = families_of(conditions.given)
        self._answers: list[Answer] = []

    @property
    def conditions(self) -> Conditions:
        return self._conditions

    @property
    def pinned(self) -> bool:
        return "operation" in self._conditions.given or "model" in self._conditions.given

    def add(self, answer: Answer) -> Self:
        self._answers.append(answer)
        return self

    def asides(self, asked: Asked) -> list[str]:
        """Why it has no answer to a request that meets its conditions."""
        family = family_of(asked.operation)
        if family not in self.families:
            return [f"it is for {_listed(self.families)}, not for {family}"]
        if not self._answers:
            return ["it has no answer: add one with reply, call_tool, refuse or fail"]
        if self.times is not None and self.calls >= self.times:
            return [f"it has answered {self.calls} of {self.times} times"]
        answer = self._next
        if family not in answer.engines:
            return [f"its answer, {answer.told}, is for {_listed(answer.engines)}, not for {family}"]
        spent = self.calls >= len(self._answers)
        if spent and answer.calls_tool and asked.tool_result is not None and not self._minds_tools:
            return ["its tool has been called and has answered"]
        return []

    @property
    def _minds_tools(self) -> bool:
        return "tool_result" in self.conditions.given or "turn" in self.conditions.given

    @property
    def _next(self) -> Answer:
        return self._answers[min(self.calls, len(self._answers) - 1)]

    @property
    def gives(self) -> frozenset[str]:
        """The families that its answers are for."""
        return frozenset(family for answer in self._answers for family in answer.engines)

    def begin_anew(self) -> None:
        """Forget what it has answered."""
        self.calls = 0

    def take(self, family: str) -> Any:
        """What answers the next request: an engine, or a function that waits for its state."""
        engine = self._next.engines[family]
        self.calls += 1
        return engine

    def __str__(self) -> str:
        return f"rule {self.number}, when({self.conditions}), of {self.where}"

    def __repr__(self) -> str:
        return f"<{self}>"


def _listed(names: Iterable[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


class _Index:
    """The rules of a family, the most specific first, and a way to the few that a request may meet.

    Each rule stands in one place: under a text, a model, a header or another thing of which it lets pass only one, with
    the words it looks for, or among the rest. What is found there is then looked at as a whole.
    """

    def __init__(self, ranked: Sequence[Rule]) -> None:
        self.ranked = ranked
        self._texts: dict[str, list[int]] = {}
        self._models: dict[str, list[int]] = {}
        self._tools: dict[str, list[int]] = {}
        self._operations: dict[str, list[int]] = {}
        self._pairs: dict[tuple[str, str], dict[str, list[int]]] = {}
        self._parts: dict[str, list[tuple[str, int]]] = {}
        self._rest: list[int] = []
        common = Counter(rule.conditions.only("model") for rule in ranked)
        for place, rule in enumerate(ranked):
            self._put(place, rule.conditions, common)

    def _put(self, place: int, conditions: Conditions, common: Counter[str | None]) -> None:
        text, model, operation = map(conditions.only, ("text", "model", "operation"))
        if text is not None:
            self._texts.setdefault(text, []).append(place)
            return
        if model is not None and common[model] <= _RARE:
            self._models.setdefault(model, []).append(place)
            return
        for name in ("headers", "metadata"):
            pair = conditions.pair(name)
            if pair is not None:
                self._pairs.setdefault((name, pair[0]), {}).setdefault(pair[1], []).append(place)
                return
        for name in ("text", "tool_result", "system"):
            part = conditions.part(name)
            if part is not None:
                self._parts.setdefault(name, []).append((part, place))
                return
        tools: Any = conditions.given.get("tools")
        if tools:
            self._tools.setdefault(tools if isinstance(tools, str) else next(iter(tools)), []).append(place)
        elif model is not None:
            self._models.setdefault(model, []).append(place)
        elif operation is not None:
            self._operations.setdefault(operation, []).append(place)
        else:
            self._rest.append(place)

    def meant(self, asked: Asked) -> Iterator[Rule]:
        """The rules whose conditions a request meets, the most specific first."""
        found = list(self._rest)
        if self._texts:
            found += self._texts.get(asked.text, ())
        if self._models:
            found += self._models.get(asked.model, ())
        if self._operations:
            found += self._operations.get(asked.operation, ())
        for (name, key), held in self._pairs.items():
            value = getattr(asked, name).get(key)
            found += held.get(value, ()) if isinstance(value, str) else ()
        for name, parts in self._parts.items():
            text = getattr(asked, name)
            if text is not None:
                found += [place for part, place in parts if part in text]
        if self._tools:
            for tool in asked.tools:
                found += self._tools.get(tool, ())
        ranked = self.ranked
        for place in sorted(set(found)) if len(found) > 1 else found:
            if ranked[place].conditions.hold(asked):
                yield ranked[place]


_RARE: Final = 2
"""Rules for one model that are looked at whenever it is asked; of more, other conditions tell them apart."""

_NONE: Final = _Index(())


class Rules:
    """The rules of a fake, in the order they were made."""

    def __init__(self, fake: FakeOpenAI | None = None, *, strict: bool = False, triggers: bool = False) -> None:
        self._strict = strict
        self.triggers = triggers
        """Whether phrases in messages are answered."""
        self.active = strict or triggers
        """Whether there is anything to look at before an engine is asked."""
        self.at_door = False
        """Whether there are rules for what reaches no engine."""
        self.memory: dict[str, Any] = {}
        """What functions keep between requests."""
        self.entries: tuple[Rule | Script, ...] = ()
        """The rules and the scripts, in the order they were made."""
        self.scripts: list[Script] = []
        self._fake = fake
        self._rules: list[Rule] = []
        self._indexes: dict[str, _Index] | None = {}
        self._ranked: list[Rule] = []
        self._made = self._scripted = 0
        self._lock = threading.RLock()

    def twist(self, job: str) -> Twist | None:
        """What a fault makes of what a model says in the background."""
        return None if self._fake is None else self._fake.faults.twists.get(job)

    @property
    def strict(self) -> bool:
        """Whether what no rule answers is an error."""
        return self._strict

    @strict.setter
    def strict(self, strict: bool) -> None:
        self._strict = strict
        self.set(self.entries)

    # Making

    def add(self, given: Mapping[str, Any], times: int | None, where: str) -> Rule:
        """Make a rule. Raises `TypeError` or `ValueError` for a condition that cannot be one."""
        with self._lock:
            rule = self.made(given, times, where)
            self.extend([rule])
        return rule

    def made(self, given: Mapping[str, Any], times: int | None, where: str) -> Rule:
        """A rule that is not among them yet. Raises as `add` does."""
        rule = Rule(Conditions(given), self._made + 1, times, where)
        self._made += 1
        return rule

    def script(
        self, name: str | None, given: Mapping[str, Any], where: str, *, strict: bool = False, apart: bool = False
    ) -> Script:
        """Make a script; `apart`: one that is not among them yet. Raises as `add` does."""
        from .scripts import Script

        with self._lock:
            self._scripted += 1
            script = Script(self._scripted, name, where, given, strict)
            if not apart:
                self.extend([script])
        return script

    def extend(self, entries: Iterable[Rule | Script]) -> None:
        """Have these, too."""
        with self._lock:
            self.set([*self.entries, *entries])

    def set(self, entries: Sequence[Rule | Script]) -> None:
        """Have these rules and scripts and no others, from one request to the next."""
        with self._lock:
            self.entries = tuple(entries)
            self._rules = [each for each in entries if isinstance(each, Rule)]
            self.scripts = [each for each in entries if not isinstance(each, Rule)]
            self._indexes = None
            self.at_door = any(OTHERS in rule.families for rule in self._rules)
            self.active = self._strict or self.triggers or bool(entries)

    def replace(self, old: Sequence[Rule | Script], new: Sequence[Rule | Script]) -> None:
        """Have others in place of these, from one request to the next."""
        with self._lock:
            gone = set(map(id, old))
            first = next((at for at, each in enumerate(self.entries) if id(each) in gone), len(self.entries))
            before = [each for each in self.entries[:first] if id(each) not in gone]
            self.set([*before, *new, *(each for each in self.entries[first:] if id(each) not in gone)])

    def clear(self) -> None:
        """Forget all rules and scripts."""
        with self._lock:
            self._made = self._scripted = 0
            self.memory = {}
            self.set(())

    def reset(self) -> None:
        """Forget all rules and scripts but those the fake was made with, which begin anew."""
        with self._lock:
            kept = [each for each in self.entries if each.kept]
            self.clear()
            for each in kept:
                each.begin_anew()
                if isinstance(each, Rule):
                    self._made += 1
                    each.number = self._made
                else:
                    self._scripted += 1
                    each.number = self._scripted
            self.set(kept)

    def __iter__(self) -> Iterator[Rule]:
        return iter(list(self._rules))

    def __len__(self) -> int:
        return len(self._rules)

    # Asking

    def _index(self, family: str) -> _Index:
        indexes = self._indexes
        if indexes is None:
            indexes = self._sorted()
        return indexes.get(family, _NONE)

    def _sorted(self) -> dict[str, _Index]:
        with self._lock:
            placed = sorted(enumerate(self._rules), key=lambda each: (each[1].conditions.rank, each[0]), reverse=True)
            self._ranked = [rule for _, rule in placed]
            self._indexes = {
                name: _Index([rule for rule in self._ranked if name in rule.families]) for name in FAMILIES
            }
            return self._indexes

    def take(
        self, asked: Asked, family: str = CONVERSATIONS, given: Mapping[Rule, Any] | None = None
    ) -> tuple[Rule, Any] | None:
        """The rule for what is asked, and the engine that gives its answer.

        `given` are rules that answer the same request already, with their engines: they answer this part of it, too.
        """
        if self.triggers:
            from . import triggers

            told = triggers.find(asked, family)
            if told is not None:
                return told
        if self.scripts and family == CONVERSATIONS:
            found = self._scene(asked)
            if found is not None:
                return found
        for rule in self._index(family).meant(asked):
            if given and rule in given:
                return rule, given[rule]
            with self._lock:
                if rule.asides(asked):
                    continue
                engine = rule.take(family)
                if engine.__class__ is Stateful:
                    engine = self._bound(rule, engine, asked)
            return rule, engine
        return None

    def _bound(self, rule: Rule, engine: Stateful, asked: Asked) -> Any:
        assert self._fake is not None
        return engine.bound(State(self._fake, rule, asked, rule.calls, self.memory))

    def _scene(self, asked: Asked) -> tuple[Rule, Any] | None:
        """The leg of a script that answers, and how. Raises `NotFoundError` where a strict script is left."""
        from .scripts import Departure, find

        with self._lock:
            found = find(self.scripts, asked, lambda leg, engine: self._bound(leg, engine, asked))
            if not isinstance(found, Departure):
                return found
            found.script.departures.append(found)
        if found.script.strict:
            raise _no_rule(f"No rule answers {asked}: {found}.")
        return None

    def ranked(self) -> list[Rule]:
        """All rules, the most specific first."""
        if self._indexes is None:
            self._sorted()
        return self._ranked

    def nearest(self, asked: Asked) -> tuple[Rule, list[str]] | None:
        """The rule of which least keeps it from answering, and what does."""
        family = family_of(asked.operation)
        found = [(rule, [*rule.conditions.differences(asked), *rule.asides(asked)]) for rule in self.ranked()]
        return min(found, key=lambda pair: (family not in pair[0].families, len(pair[1])), default=None)

    def refusal(self, asked: Asked) -> NotFoundError:
        """The error for what no rule answers."""
        from .scripts import left

        told = left(self.scripts, asked) if self.scripts else None
        if told is None:
            near = self.nearest(asked)
            told = "there are no rules" if near is None else f"the nearest is {near[0]}, but {'; '.join(near[1])}"
        return _no_rule(f"No rule answers {asked}: {told}.")

    def explain(self, asked: Asked) -> str:
        """What each rule would make of a request now, the most specific first."""
        return "\n".join(line for each in asked.parts for line in self._explained(each))

    def _explained(self, asked: Asked) -> list[str]:
        from .scripts import explained

        lines, answered = [str(asked)], False
        for script, would, told in explained(self.scripts, asked):
            answered = answered or would
            lines.append(f"  {script}: {told}")
        for rule in self.ranked():
            why = [*rule.conditions.differences(asked), *rule.asides(asked)]
            told = (
                f"no: {'; '.join(why)}" if why else "would answer, were it not for another" if answered else "answers"
            )
            answered = answered or not why
            lines.append(f"  {rule}: {told}")
        if not answered:
            reaches = family_of(asked.operation) != OTHERS
            told = "an error" if self.strict and reaches else "the engine does" if reaches else "the server does"
            lines.append(f"  no rule answers: {told}")
        return lines

    def unused(self) -> list[Rule]:
        """Those that have answered nothing."""
        legs = [leg for script in self.scripts for leg in script.legs]
        return [rule for rule in (*self._rules, *legs) if not rule.calls]


def _no_rule(message: str) -> NotFoundError:
    return NotFoundError.because(message, code="no_rule")


def called_at(depth: int) -> str:
    """The file and line of a caller, so many calls up."""
    frame = sys._getframe(depth + 1)
    return f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"
