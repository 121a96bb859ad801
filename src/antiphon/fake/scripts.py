r"""Conversations as scripts: what is said, what is answered to it, and what is said then.

    fake.script("weather") \
        .user("weather").call_tool("get_weather", city="Oslo") \
        .tool("-4").reply("It is freezing.") \
        .user("thanks").reply("You are welcome.")

How far a conversation has come is read from the conversation itself, which every request brings along: any number of
them can follow a script at the same time, and a request that is sent again gets the same answer.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self, TypeAlias
from zlib import crc32

from ..server.engine import text_of
from .answers import CONVERSATIONS, Answer, Stateful
from .asked import Asked, Conditions
from .rules import Answering, Rule

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..server.engine import ChatRequest, Message
    from .asked import Words

__all__ = ("Departure", "Leg", "Script", "explained", "find", "left")

_REMEMBERED: Final = 100
_CONVERSATIONS: Final = 10_000
"""Of how many conversations it is known what they were answered."""

_RETRIED: Final = "x-stainless-retry-count"


class Leg(Rule):
    """One thing that is said, and what is answered to it. Several answers are given to one who asks again."""

    def __init__(self, script: Script, place: int, conditions: Conditions, said: str) -> None:
        super().__init__(conditions, place, None, script.where)
        self.script = script
        self.said = said
        """What is said here, in a few words."""
        self._asked_again: dict[int, int] = {}

    @property
    def is_for_tools(self) -> bool:
        """Whether it is tools that have spoken."""
        return self.conditions.given.get("tool_result") not in (None, False)

    @property
    def answers(self) -> Sequence[Answer]:
        """What is answered."""
        return self._answers

    def answer_to(self, asked: Asked) -> Answer:
        """What is answered next to one conversation."""
        if len(self._answers) == 1:
            return self._answers[0]
        key = _print(asked)
        count = self._asked_again.get(key, 0)
        self._asked_again[key] = count + 1
        if len(self._asked_again) > _CONVERSATIONS:
            self._asked_again.pop(next(iter(self._asked_again)))
        return self._answers[min(count, len(self._answers) - 1)]

    def begin_anew(self) -> None:
        """Forget who has been answered."""
        self.calls = 0
        self._asked_again.clear()

    def __str__(self) -> str:
        return f"leg {self.number}, {self.said}, of {self.script}"


def _print(asked: Asked) -> int:
    """A number for a conversation as it stands: its messages, and whose it is."""
    import orjson

    body = asked.body
    whose = [body.get(name) for name in ("user", "safety_identifier", "prompt_cache_key", "metadata", "conversation")]
    messages = () if asked.chat is None else asked.chat.messages
    return crc32(orjson.dumps([whose, list(messages)], default=str))


class Departure(NamedTuple):
    """A request of a conversation that followed a script and says something else."""

    script: Script
    place: int
    """The leg that it should have been, from 0; as many as there are legs: the script was over."""
    asked: Asked
    differences: Sequence[str]

    def __str__(self) -> str:
        if self.place == len(self.script.legs):
            return f"{self.script} is over after leg {self.place}"
        leg = self.script.legs[self.place]
        return f"it leaves {self.script} at leg {self.place + 1}, {leg.said}: {'; '.join(self.differences)}"


class Script(Answering):
    """A conversation: legs that begin with `user`, `tool` or `when`, and the answers that follow each."""

    kept = False
    """Whether it is there again after a reset."""
    source: Any = None
    """The data it was made of, where it was."""

    def __init__(self, number: int, name: str | None, where: str, given: Mapping[str, Any], strict: bool) -> None:
        self.number = number
        """Its place among the scripts of the fake, the first being 1."""
        self.name = name
        self.where = where
        """The file and line it was made at."""
        self.strict = strict
        """Whether it is an error to leave it."""
        self.legs: list[Leg] = []
        self.departures: deque[Departure] = deque(maxlen=_REMEMBERED)
        """Requests of conversations that left it, the last hundred."""
        self._given = given
        self._at: list[int] = []
        self._began: dict[int, None] = {}
        self.families = (CONVERSATIONS,)
        Conditions(given)  # so that what is wrong with it is told here

    # Making

    def user(self, text: Words | None = None, /, **conditions: Any) -> Self:
        """Begin a leg: the user says something with `text` in it, or that is as `exactly(...)` or a pattern says.

        `conditions` are more of those that `FakeOpenAI.when` takes.
        """
        said = "user()" if text is None else f"user({_told(text)})"
        return self._leg(said, {**conditions, "text": text, "tool_result": False})

    def tool(self, result: Words | None = None, /, **conditions: Any) -> Self:
        """Begin a leg: tools have answered something with `result` in it."""
        said = "tool()" if result is None else f"tool({_told(result)})"
        return self._leg(said, {**conditions, "tool_result": True if result is None else result})

    def when(self, **conditions: Any) -> Self:
        """Begin a leg with conditions of `FakeOpenAI.when`."""
        return self._leg(f"when({Conditions(conditions)})", conditions)

    def _leg(self, said: str, conditions: Mapping[str, Any]) -> Self:
        if self.legs and not self.legs[-1].answers:
            raise TypeError(
                f"leg {len(self.legs)}, {self.legs[-1].said}, has no answer yet, so that nothing can follow"
            )
        both = {**self._given, **{name: value for name, value in conditions.items() if value is not None}}
        self.legs.append(Leg(self, len(self.legs) + 1, Conditions(both), said))
        self._at.append(0)
        return self

    def add(self, answer: Answer) -> Self:
        if not self.legs:
            raise TypeError("a script begins with what is said: user, tool or when; then comes what is answered")
        self.legs[-1].add(answer)
        return self

    @property
    def pinned(self) -> bool:
        return True

    @property
    def conditions(self) -> Conditions:
        """Those of the leg that was begun last."""
        return self.legs[-1].conditions if self.legs else Conditions({})

    # What became of it

    @property
    def begun(self) -> int:
        """How many conversations have followed it."""
        return sum(self._at)

    @property
    def played(self) -> int:
        """How many conversations have followed it to its end."""
        return self._at[-1] if self._at else 0

    def assert_played(self, *, times: int | None = None) -> None:
        """See that conversations followed it to its end: `times`, or at least one, and none stopped or left before.

        Raises `AssertionError` with how far each came.
        """
        __tracebackhide__ = True
        stopped = self.begun - self.played
        good = self.played > 0 if times is None else self.played == times
        if good and not stopped and not self.departures:
            return
        wanted = "" if times is None else f" {times} times"
        lines = [f"expected {self} to be played to its end{wanted}, and it was {self.played or 'never'}{_times(self)}."]
        lines += [
            f"  {count} stopped after leg {leg.number}, {leg.said}"
            for leg, count in zip(self.legs[:-1], self._at[:-1], strict=True)
            if count
        ]
        lines += [f"  {each.asked}: {each}" for each in self.departures]
        if not self.begun and not self.departures:
            lines.append("  no conversation has begun it")
        raise AssertionError("\n".join(lines))

    def begin_anew(self) -> None:
        """Forget who has followed it."""
        self._at = [0] * len(self.legs)
        self._began.clear()
        self.departures.clear()
        for leg in self.legs:
            leg.begin_anew()

    def advance(self, place: int, asked: Asked, others: Sequence[Script]) -> None:
        """Note that a leg was answered. `others` have had the same conversation until here."""
        if place == 0:
            key = _print(asked)
            if key not in self._began or asked.headers.get(_RETRIED) in (None, "0"):
                self._at[0] += 1
            self._began[key] = None
            if len(self._began) > _CONVERSATIONS:
                self._began.pop(next(iter(self._began)))
            return
        for script in (self, *others):
            if script._at[place - 1]:
                script._at[place - 1] -= 1
                self._at[place] += 1
                return
        if not self._at[place]:
            self._at[place] = 1

    def __str__(self) -> str:
        return f"script {self.name or self.number!r}, of {self.where}"

    def __repr__(self) -> str:
        return f"<{self}>"


def _told(text: Any) -> str:
    return f"re.compile({text.pattern!r})" if hasattr(text, "pattern") else repr(text)


def _times(script: Script) -> str:
    return f" time{'' if script.played == 1 else 's'}" if script.played else ""


# Following

Found: TypeAlias = "tuple[Leg, Any] | Departure"


class _Told:
    """A conversation, cut where the model has spoken."""

    def __init__(self, asked: Asked, chat: ChatRequest) -> None:
        self.asked = asked
        self._chat = chat
        messages = self.messages = list(chat.messages)
        while messages and messages[-1].get("role") == "assistant":
            messages.pop()  # words that the caller begins the answer with
        self.cuts = [
            place for place in range(1, len(messages)) if _speaks(messages[place]) and not _speaks(messages[place - 1])
        ]
        self._asked: dict[int, Asked] = {}

    def until(self, part: int) -> Asked:
        """What was asked when the model had spoken so many times."""
        found = self._asked.get(part)
        if found is None:
            asked, end = self.asked, self.cuts[part] if part < len(self.cuts) else len(self.messages)
            request = replace(self._chat, messages=self.messages[:end])
            found = Asked(asked.operation, asked.model, asked.body, asked.headers, request)
            results = [
                text_of(each)
                for each in self.messages[self.cuts[part - 1] if part else 0 : end]
                if each.get("role") in ("tool", "function")
            ]
            found.__dict__["tool_result"] = "\n".join(results) if results else None
            self._asked[part] = found
        return found

    def answer(self, part: int) -> Iterator[Message]:
        """What the model said then."""
        place = self.cuts[part]
        while place < len(self.messages) and _speaks(self.messages[place]):
            yield self.messages[place]
            place += 1

    def gave(self, leg: Leg, part: int) -> bool:
        """Whether the model said then what a leg says, as far as that is known."""
        messages = list(self.answer(part))
        text = "".join(text_of(each) or str(each.get("refusal") or "") for each in messages)
        names = [_name(call) for each in messages for call in each.get("tool_calls") or ()]
        for answer in leg.answers:
            if answer.fails:
                continue
            if answer.said is None:
                return True
            words, tools = answer.said
            # What was cut off at a limit of tokens is a beginning of it.
            if list(tools) == names and (words is None or words.strip().startswith(text.strip())):
                return True
        return False


def _speaks(message: Message) -> bool:
    return message.get("role") == "assistant"


def _name(call: Mapping[str, Any]) -> str:
    return str((call.get("function") or call.get("custom") or call).get("name"))


def _follow(script: Script, told: _Told) -> tuple[int, Sequence[str]] | None:
    """How far a conversation has followed a script: the leg that comes next, and why it does not.

    `None` where it does not follow it at all.
    """
    parts, legs = len(told.cuts), script.legs
    departed: tuple[int, Sequence[str]] | None = None
    for start in range(max(0, parts - len(legs)), parts + 1):
        place = 0
        for part in range(start, parts):
            after = _next(legs, place, told, part)
            if after is None:
                break
            place = after
        else:
            if place == len(legs):
                departed = departed or (place, [])
            elif legs[place].conditions.hold(told.until(parts)):
                return place, ()
            elif place:
                departed = departed or (place, legs[place].conditions.differences(told.until(parts)))
    return departed


def _next(legs: Sequence[Leg], place: int, told: _Told, part: int) -> int | None:
    """The leg after what the model said at a part of the conversation; `None` where a leg does not say that.

    What became of calls of tools may be left out of a conversation that has gone on since, as threads of assistants do.
    """
    if place == len(legs) or not legs[place].conditions.hold(told.until(part)):
        return None
    if told.gave(legs[place], part):
        return place + 1
    after = place + 1
    while after < len(legs) and legs[after].is_for_tools:
        after += 1
    return after if after > place + 1 and told.gave(legs[after - 1], part) else None


def _followed(scripts: Sequence[Script], told: _Told) -> list[tuple[Script, tuple[int, Sequence[str]]]]:
    """The scripts that a conversation follows, or has followed until now."""
    if not told.cuts:  # it begins, and there may be many that it does not begin
        now = told.until(0)
        return [(each, (0, ())) for each in scripts if each.legs and each.legs[0].conditions.hold(now)]
    return [(script, found) for script in scripts if script.legs and (found := _follow(script, told)) is not None]


def find(scripts: Sequence[Script], asked: Asked, bound: Callable[[Leg, Stateful], Any]) -> Found | None:
    """The leg that answers, with its engine; where none does, the script that the conversation leaves, if it does."""
    if asked.chat is None:
        return None
    told = _Told(asked, asked.chat)
    followed = _followed(scripts, told)
    there = [(script, place) for script, (place, why) in followed if not why and place < len(script.legs)]
    if not there:
        if not followed:
            return None
        script, (place, why) = max(followed, key=lambda each: each[1][0])
        return Departure(script, place, told.until(len(told.cuts)), why)
    script, place = max(there, key=lambda each: (each[1], each[0].legs[each[1]].conditions.rank, each[0].number))
    leg = script.legs[place]
    if not leg.answers:
        return Departure(
            script, place, told.until(len(told.cuts)), ["it has no answer: add one with reply, call_tool …"]
        )
    answer = leg.answer_to(asked)
    leg.calls += 1
    if not answer.fails:
        script.advance(place, asked, [each for each, (at, _) in followed if each is not script and at >= place])
    engine = answer.engines[CONVERSATIONS]
    return leg, bound(leg, engine) if engine.__class__ is Stateful else engine


def explained(scripts: Sequence[Script], asked: Asked) -> Iterator[tuple[Script, bool, str]]:
    """What each script makes of a conversation: whether it would answer, and why."""
    if asked.chat is None:
        return
    told = _Told(asked, asked.chat)
    for script in scripts:
        found = _follow(script, told)
        if found is None:
            now = told.until(len(told.cuts))
            lacking = script.legs[0].conditions.differences(now) if script.legs else ["it has no legs"]
            yield script, False, f"no: {'; '.join(lacking)}"
            continue
        place, why = found
        if place == len(script.legs):
            yield script, False, "no: it is over"
            continue
        leg = script.legs[place]
        if why:
            yield script, False, f"no: leg {place + 1}, {leg.said}, comes next, and {'; '.join(why)}"
        else:
            yield script, True, f"answers with leg {place + 1}, {leg.said}"


def left(scripts: Sequence[Script], asked: Asked) -> str | None:
    """How a conversation leaves a script, or does not begin the only one; `None` where it has followed none."""
    if asked.chat is None:
        return None
    told = _Told(asked, asked.chat)
    followed = _followed(scripts, told)
    if not followed:
        return None
    script, (place, differences) = max(followed, key=lambda each: each[1][0])
    return str(Departure(script, place, asked, differences))
