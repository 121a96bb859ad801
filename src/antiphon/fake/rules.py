"""What a fake answers to what: rules, in front of its engines.

    fake.when(text="weather").call_tool("get_weather", city="Oslo").reply("It is cold.")
    fake.when(model="gpt-4o*").fail(429, retry_after=2)

Of the rules whose conditions all hold, the one with most conditions answers; of as many, the one whose conditions are
narrower; of equals, the one that was made last, so that a test can say otherwise than what was set up before it.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Awaitable, Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, NamedTuple, NoReturn, Self

from ..engines.functions import Saying
from ..engines.functions import engine as made
from ..kernel.errors import (
    APIStatusError,
    AuthenticationError,
    BadRequestError,
    ConflictError,
    InternalServerError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    UnprocessableEntityError,
)
from ..kernel.http import Headers
from ..server.engine import ChatRequest
from ..server.turns import PIECES, Refusal
from .asked import Asked, Conditions
from .journal import Exchange, asked_of, under_way

if TYPE_CHECKING:
    from ..server.engine import ChatEngine
    from ..server.turns import Turn

__all__ = ("Rule", "Ruled", "Rules")

_ERRORS: Final[dict[int, type[APIStatusError]]] = {
    each.status: each
    for each in (
        BadRequestError,
        AuthenticationError,
        PermissionDeniedError,
        NotFoundError,
        ConflictError,
        UnprocessableEntityError,
        RateLimitError,
    )
}

_MESSAGES: Final = {
    401: "Incorrect API key provided.",
    429: "Rate limit reached for requests.",
    500: "The server had an error while processing your request. Sorry about that!",
    503: "The engine is currently overloaded, please try again later.",
}

_OPERATIONS: Final = {
    "chat": "chat.completions.create",
    "completions": "completions.create",
    "responses": "responses.create",
    "assistants": "beta.threads.runs.create",
}
"""The operation of each dialect in which engines are asked."""


class _Answer(NamedTuple):
    engine: ChatEngine
    calls_tool: bool = False


class Rule:
    """Conditions and the answers to what meets them.

    Each answer is given once, in the order they were added, and the last again and again. A call of a tool that is the
    last is not given again to a request that brings a tool's result: another rule answers it, or the engine.
    """

    def __init__(self, conditions: Conditions, number: int, times: int | None, where: str) -> None:
        if times is not None and (times.__class__ is not int or times < 1):
            raise ValueError(f"times is a number of requests, at least 1, not {times!r}")
        self.conditions = conditions
        self.number = number
        """Its place among the rules of the fake, the first being 1."""
        self.times = times
        """How many requests it answers at most."""
        self.where = where
        """The file and line it was made at."""
        self.calls = 0
        """How many requests it has answered."""
        self._answers: list[_Answer] = []

    def reply(self, *answers: Any, times: int = 1) -> Self:
        """Answer with these, one after the other, each `times` times.

        An answer is a text, a list of pieces that are streamed as they are, a message, a call of a tool or a whole
        body as a dict or an object with `to_dict()`, or a function of the request (a `ChatRequest` of
        `antiphon.server.engine`) that gives or yields any of these, async or not. Raises `TypeError` for what cannot
        be one.
        """
        if not answers:
            raise TypeError("reply needs an answer")
        if times.__class__ is not int or times < 1:
            raise ValueError(f"times is how often each is given, at least 1, not {times!r}")
        for each in answers:
            self._answers += [_Answer(_engine(each))] * times
        return self

    def call_tool(self, name: str, /, **arguments: Any) -> Self:
        """Answer with a call of a function."""
        import orjson

        call = {"name": name, "arguments": orjson.dumps(arguments).decode()}
        self._answers.append(_Answer(Saying(call), calls_tool=True))
        return self

    def refuse(self, text: str = "I'm sorry, but I can't help with that.") -> Self:
        """Answer with a refusal."""
        self._answers.append(_Answer(Saying([Refusal(text)])))
        return self

    def fail(
        self,
        status: int,
        *,
        message: str | None = None,
        code: str | None = None,
        type: str | None = None,
        param: str | None = None,
        retry_after: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Self:
        """Answer with an error of the API; `retry_after` is in seconds. Raises `ValueError` for no error's status."""
        if status.__class__ is not int or not 400 <= status <= 599:
            raise ValueError(f"the status of an error is a number from 400 to 599, not {status!r}")
        kind = _ERRORS.get(status, InternalServerError if status >= 500 else APIStatusError)
        told = dict(headers or {})
        if retry_after is not None:
            told["retry-after"] = f"{retry_after:g}"
        said = message or _MESSAGES.get(status, f"The request was answered with status {status}.")

        def failing(request: ChatRequest) -> NoReturn:
            raise kind.because(said, code=code, type=type, param=param, status=status, headers=told)

        self._answers.append(_Answer(failing))
        return self

    def asides(self, asked: Asked) -> list[str]:
        """Why it has no answer to a request that meets its conditions."""
        if not self._answers:
            return ["it has no answer: add one with reply, call_tool, refuse or fail"]
        if self.times is not None and self.calls >= self.times:
            return [f"it has answered {self.calls} of {self.times} times"]
        spent = self.calls >= len(self._answers)
        if spent and self._answers[-1].calls_tool and asked.tool_result is not None and not self._minds_tools:
            return ["its tool has been called and has answered"]
        return []

    @property
    def _minds_tools(self) -> bool:
        return "tool_result" in self.conditions.given or "turn" in self.conditions.given

    def take(self) -> ChatEngine:
        """What answers the next request."""
        answer = self._answers[min(self.calls, len(self._answers) - 1)]
        self.calls += 1
        return answer.engine

    def __str__(self) -> str:
        return f"rule {self.number}, when({self.conditions}), of {self.where}"

    def __repr__(self) -> str:
        return f"<{self}>"


def _engine(answer: Any) -> ChatEngine:
    if callable(answer) and not isinstance(answer, PIECES):
        return made(answer)
    if isinstance(answer, Awaitable):
        raise TypeError("an answer that is awaited is an async function, and not what it gives")
    if isinstance(answer, (tuple, Iterator)) and not isinstance(answer, PIECES):
        answer = list(answer)
    return Saying(answer)


class Rules:
    """The rules of a fake, in the order they were made."""

    def __init__(self, *, strict: bool = False) -> None:
        self.strict = strict
        """Whether what no rule answers is an error."""
        self._rules: list[Rule] = []
        self._ranked: list[Rule] = []
        self._lock = threading.Lock()

    def add(self, given: Mapping[str, Any], times: int | None, where: str) -> Rule:
        """Make a rule. Raises `TypeError` or `ValueError` for a condition that cannot be one."""
        conditions = Conditions(given)
        wanted = given.get("operation")
        if isinstance(wanted, str) and not any(fnmatchcase(each, wanted) for each in _OPERATIONS.values()):
            raise ValueError(f"rules answer {', '.join(_OPERATIONS.values())}, and {wanted!r} is none of these")
        with self._lock:
            rule = Rule(conditions, len(self._rules) + 1, times, where)
            self._rules.append(rule)
            self._ranked = sorted(self._rules, key=lambda each: (each.conditions.rank, each.number), reverse=True)
        return rule

    def clear(self) -> None:
        """Forget all rules."""
        with self._lock:
            self._rules = []
            self._ranked = []

    def __iter__(self) -> Iterator[Rule]:
        return iter(list(self._rules))

    def __len__(self) -> int:
        return len(self._rules)

    def take(self, asked: Asked) -> tuple[Rule, ChatEngine] | None:
        """The rule for what is asked, and its answer."""
        for rule in self._ranked:
            if rule.conditions.hold(asked):
                with self._lock:
                    if not rule.asides(asked):
                        return rule, rule.take()
        return None

    def nearest(self, asked: Asked) -> tuple[Rule, list[str]] | None:
        """The rule of which least keeps it from answering, and what does."""
        found = [(rule, [*rule.conditions.differences(asked), *rule.asides(asked)]) for rule in self._ranked]
        return min(found, key=lambda pair: len(pair[1]), default=None)

    def refusal(self, asked: Asked) -> NotFoundError:
        """The error for what no rule answers."""
        near = self.nearest(asked)
        told = "there are no rules" if near is None else f"the nearest is {near[0]}, but {'; '.join(near[1])}"
        return NotFoundError.because(f"No rule answers {asked}: {told}.", code="no_rule")

    def explain(self, asked: Asked) -> str:
        """What each rule would make of a request now, the most specific first."""
        lines = [str(asked)]
        answered = False
        for rule in self._ranked:
            why = [*rule.conditions.differences(asked), *rule.asides(asked)]
            told = (
                f"no: {'; '.join(why)}" if why else "would answer, were it not for another" if answered else "answers"
            )
            answered = answered or not why
            lines.append(f"  {rule}: {told}")
        if not answered:
            lines.append("  no rule answers: " + ("an error" if self.strict else "the engine does"))
        return "\n".join(lines)

    def unused(self) -> list[Rule]:
        """Those that have answered nothing."""
        return [rule for rule in self._rules if not rule.calls]


class Ruled:
    """An engine behind rules."""

    never_blocks: ClassVar[bool] = True

    def __init__(self, rules: Rules, engine: ChatEngine) -> None:
        self.rules = rules
        self.engine = engine

    def __call__(self, request: ChatRequest) -> Turn:
        exchange, rules = under_way.get(), self.rules
        if rules._ranked or rules.strict:
            if exchange is not None and not _is_of(request, exchange):
                exchange = None  # a job that is done on the way of another request
            if request.choice and exchange is not None and exchange.given is not None:
                again: ChatEngine = exchange.given
                return again(request)
            asked = _asked(request, exchange)
            taken = rules.take(asked)
            if taken is not None:
                if exchange is not None:
                    exchange.rule, exchange.given = taken
                return taken[1](request)
            if rules.strict:
                raise rules.refusal(asked)
        if exchange is not None:
            exchange.engine = self.engine
        return self.engine(request)

    def __repr__(self) -> str:
        return f"Ruled({self.engine!r})"


def _is_of(request: ChatRequest, exchange: Exchange) -> bool:
    """Whether it is for this exchange that the engine is asked."""
    if request.dialect == "assistants":
        return exchange.operation.startswith("beta.threads.")
    return exchange.operation == _OPERATIONS.get(request.dialect)


def _asked(request: ChatRequest, exchange: Exchange | None) -> Asked:
    operation = _OPERATIONS.get(request.dialect, request.dialect)
    headers = Headers() if exchange is None else exchange._request.headers
    return Asked(operation, request.model, request.body, headers, request)


def asked_by(question: Any) -> Asked:
    """What an exchange, a request to an engine, or a body asks. Raises `TypeError` for something else."""
    if isinstance(question, Exchange):
        return question.asked
    if isinstance(question, Mapping):
        for name, operation in _BODIES.items():
            if name in question:
                return asked_of(operation, question, Headers())
    elif isinstance(question, ChatRequest):
        return _asked(question, None)
    raise TypeError(f"an exchange of the journal, or the body of a request, is explained, not {question!r}")


_BODIES: Final = {"messages": "chat.completions.create", "input": "responses.create", "prompt": "completions.create"}


def called_at(depth: int) -> str:
    """The file and line of a caller, so many calls up."""
    frame = sys._getframe(depth + 1)
    return f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"
