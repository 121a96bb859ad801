"""What is spent, by whom: a layer that counts tokens and money, and says no where a budget is used up."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from inspect import isawaitable
from time import time
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypeAlias

from ...client.chat.history import Tokens
from ..errors import Failed, Refused
from ..events import Error, Usage
from ..stores.base import key
from ..stores.memory import MemoryStore
from .asking import Named, named, place_of
from .said import Said, messages_of

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from ..answers import Answer, Asked, Opening
    from ..stores import Store

    Prices: TypeAlias = Mapping[str, "Price"] | Callable[[str], "Price | None"]

__all__ = ("Accounting", "Budget", "Price", "Spent", "Totals")

log = logging.getLogger("antiphon.router")

_MILLION: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What a million tokens of a model cost, in whatever currency you count."""

    input: float
    output: float
    cached: float | None = None
    """Of the input, those that the host read from its cache; the price of the others unless told."""

    def __post_init__(self) -> None:
        for name in ("input", "output", "cached"):
            value: Any = getattr(self, name)
            if value is not None and not value >= 0:
                raise ValueError(f"the price of {name} tokens is not negative; it was {value!r}")

    def of(self, usage: Usage) -> float:
        """What some tokens cost."""
        read = usage.input_tokens or 0
        cached = min(usage.cached_tokens or 0, read)
        again = self.input if self.cached is None else self.cached
        return ((read - cached) * self.input + cached * again + (usage.output_tokens or 0) * self.output) / _MILLION


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What may be spent: money, tokens, or questions, whichever is used up first.

    `per` user, session, or all together; `seconds` begin anew each such span, counted from 1970 UTC (86,400 is a day
    of UTC), `None` never. `status` is what callers are told, 429 or 402. Raises `ValueError` where nothing is limited.
    """

    cost: float | None = None
    tokens: int | None = None
    requests: int | None = None
    per: Literal["user", "session", "all"] = "user"
    seconds: float | None = None
    status: int = 429

    def __post_init__(self) -> None:
        limits = (self.cost, self.tokens, self.requests)
        if all(each is None for each in limits):
            raise ValueError("a budget limits at least one of cost, tokens and requests")
        if any(each is not None and not each >= 0 for each in limits):
            raise ValueError("what a budget allows is not negative")
        if self.per not in _WHOSE:
            raise ValueError(f"a budget is per {', '.join(_WHOSE)}; not per {self.per!r}")
        if self.seconds is not None and not self.seconds > 0:
            raise ValueError("a budget's seconds are more than 0, or None")
        if not 400 <= self.status < 500:
            raise ValueError(f"a budget that is used up answers with a status such as 429 or 402, not {self.status}")


class Spent(NamedTuple):
    """What one answer has cost."""

    user: str | None
    session: str | None
    model: str
    """As the host names it; as it was asked for, where the host does not."""
    usage: Usage
    cost: float | None
    """By the table of prices; `None` for a model that has none."""
    estimated: bool
    """Whether the tokens are an estimate: the answer was left before the host told, or it never does."""
    request_id: str | None
    """The upstream's name for the request."""


class Totals(NamedTuple):
    """What has been spent so far."""

    requests: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    cost: float = 0.0


class Accounting:
    """A layer that counts what answers cost, for each user and session, and refuses what is beyond a budget.

        Accounting(prices={"gpt-5": Price(input=1.0, cached=0.1, output=8.0)}, user=signed_in,
                   budgets=[Budget(cost=5.0, seconds=86_400)])

    - `prices`: a `Price` for each model, by its name at the host or as it is asked for, `"*"` for any other; or a
      function from the name. There are none built in.
    - `budgets`: `Budget`s, or a function from the question to those that hold for it. Whoever has used one up is
      refused as by the API, `insufficient_quota`, until it begins anew. The answer that uses it up is given whole.
    - `user`, `session`: who asks, a function from the question to a name, and the session, as `Memory` takes them.
      Unless told, they are what a `Memory` before this layer has found.
    - `spent`: a function, plain or a coroutine function, that is told of each answer (`Spent`).
    - `store`: where the counters are kept: a `MemoryStore`, an `SQLiteStore`, any `Store`.

    Answers that are left before their end are counted, too, by an estimate.
    """

    def __init__(
        self,
        *,
        prices: Prices | None = None,
        budgets: Sequence[Budget] | Callable[[Asked], Sequence[Budget]] = (),
        user: Named | None = None,
        session: str | Named | None = None,
        spent: Callable[[Spent], Awaitable[None] | None] | None = None,
        store: Store | None = None,
        clock: Callable[[], float] = time,
    ) -> None:
        self.store: Store = MemoryStore() if store is None else store
        self._prices: Prices = {} if prices is None else prices
        self._budgets = budgets if callable(budgets) else tuple(budgets)
        self._user = user
        self._session: Named | None = place_of(session).find if isinstance(session, str) else session
        self._hook = spent
        self._clock = clock

    # For endpoints

    async def totals(self, *, user: str | None = None, session: str | None = None) -> Totals:
        """What was spent so far: by a user, in a session (of that user, where it has one), or by all."""
        found = await self.store.add(_total(user, session), {})
        counts: Any = {name: int(found.get(name, 0)) for name in Totals._fields if name != "cost"}
        return Totals(**counts, cost=found.get("cost", 0.0))

    async def forget(self, *, user: str | None = None, session: str | None = None) -> None:
        """Begin the totals of a user or a session anew. Budgets go by counters of their own."""
        await self.store.delete(_total(user, session))

    def price(self, *models: str) -> Price | None:
        """The price of a model, by the first of its names that has one."""
        if callable(self._prices):
            find: Callable[[str], Price | None] = self._prices
        else:
            find = self._prices.get
            models = (*models, "*")
        return next((price for model in models if model and (price := find(model)) is not None), None)

    # The layer

    async def __call__(self, asked: Asked, ask: Opening) -> Answer:
        """Refuse what is beyond a budget, ask, and count the answer."""
        user = await named(self._user, asked, "user")
        session = await named(self._session, asked, "session")
        budgets = self._budgets(asked) if callable(self._budgets) else self._budgets
        model = str(asked.options.get("model") or getattr(asked.resource, "model", ""))
        counters = await self._begin(budgets, user, session, model)
        words = [dict(each) for each in asked.messages]
        answer = await ask(asked)
        said = Said()

        async def ended() -> None:
            await self._end(answer, asked, words, said, (user, session, model), counters)

        answer.watch(said.add, ended)
        return answer

    async def _begin(
        self, budgets: Sequence[Budget], user: str | None, session: str | None, model: str
    ) -> dict[str, float | None]:
        """Look whether there is something left of each budget, and count the question.

        The counters for what it costs, with how long each is kept.
        """
        now = self._clock()
        counters: dict[str, float | None] = {}
        for budget in budgets:
            if budget.cost is not None and self.price(model) is None:
                raise Refused(
                    f"There is no price for the model {model!r}, and what it costs is limited.",
                    status=403,
                    code="model_without_price",
                    param="model",
                )
            place, left = _counter(budget, user, session, now)
            spent = await self.store.add(place, {})
            for name, limit in (("cost", budget.cost), ("tokens", budget.tokens), ("requests", budget.requests)):
                if limit is not None and spent.get(name, 0.0) >= limit:
                    raise _used_up(budget, name, limit, left)
            counters[place] = left
        # Many may ask at once: who is one too many is seen by what the count is after, not before.
        counts = {place: await self.store.add(place, {"requests": 1}, left) for place, left in counters.items()}
        for budget in budgets:
            place, left = _counter(budget, user, session, now)
            if budget.requests is not None and counts[place]["requests"] > budget.requests:
                raise _used_up(budget, "requests", budget.requests, left)
        return counters

    async def _end(
        self,
        answer: Answer,
        asked: Asked,
        words: list[dict[str, Any]],
        said: Said,
        who: tuple[str | None, str | None, str],
        counters: Mapping[str, float | None],
    ) -> None:
        try:
            user, session, model = who
            heard = said.start.model if said.start is not None else ""
            usage, estimated = said.usage, False
            if usage is None:
                if said.failed is not None and said.start is None:
                    return  # nothing was said
                usage, estimated = Usage() if answer.dialect == "passed" else _estimate(asked, words, said), True
            price = self.price(heard, model)
            cost = None if price is None else price.of(usage)
            amounts = {
                "requests": 1,
                "input_tokens": usage.input_tokens or 0,
                "cached_tokens": usage.cached_tokens or 0,
                "output_tokens": usage.output_tokens or 0,
                "reasoning_tokens": usage.reasoning_tokens or 0,
                "cost": cost or 0.0,
            }
            places = [(None, None), (user, None)] if user is not None else [(None, None)]
            for place in [*places, *([(user, session)] if session is not None else [])]:
                await self.store.add(_total(*place), amounts)
            tokens = (usage.input_tokens or 0) + (usage.output_tokens or 0)
            for counter, seconds in counters.items():
                await self.store.add(counter, {"tokens": tokens, "cost": cost or 0.0}, seconds)
            if self._hook is not None:
                told = self._hook(Spent(user, session, heard or model, usage, cost, estimated, answer.request_id))
                if isawaitable(told):
                    await told
        except Exception:
            log.exception("what an answer has cost could not be counted")


_WHOSE: Final[Mapping[str, Callable[[str | None, str | None], tuple[str, ...]]]] = {
    "user": lambda user, session: (_name(user),),
    "session": lambda user, session: (_name(user), _name(session)),
    "all": lambda user, session: (),
}


def _name(name: str | None) -> str:
    return "" if name is None else f"={name}"


def _total(user: str | None, session: str | None) -> str:
    return key("spent", _name(user), _name(session))


def _counter(budget: Budget, user: str | None, session: str | None, now: float) -> tuple[str, float | None]:
    """Where what counts for a budget is kept, and the seconds until it begins anew."""
    span = budget.seconds
    whose = _WHOSE[budget.per](user, session)
    if span is None:
        return key("budget", budget.per, *whose), None
    number = int(now // span)
    return key("budget", budget.per, *whose, f"{span:g}", str(number)), max((number + 1) * span - now, 0.001)


def _used_up(budget: Budget, name: str, limit: float, left: float | None) -> Failed:
    what = {"cost": f"cost of {limit:g}", "tokens": f"{limit:g} tokens", "requests": f"{limit:g} questions"}[name]
    whose = {"user": "this user", "session": "this session", "all": "everybody"}[budget.per]
    again = "" if left is None else f" It begins anew in {int(left) + 1} seconds."
    return Failed(
        Error(
            f"The budget of {what} for {whose} is used up.{again}",
            budget.status,
            "insufficient_quota",
            "insufficient_quota",
            retry_after=None if left is None else str(int(left) + 1),
        )
    )


def _estimate(asked: Asked, words: list[dict[str, Any]], said: Said) -> Usage:
    """Tokens of an answer of which the host told none."""
    tokens = Tokens()
    try:
        read = tokens.of(messages_of(words), getattr(asked.resource, "system", None) or "")
    except TypeError:
        read = 0
    spoken = said.words()
    return Usage(read * said.rounds, tokens.of(each for each in spoken if each["role"] == "assistant"))
