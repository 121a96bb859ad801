"""What tokens cost: a table of models, for tests that mind the money.

    FakeOpenAI(prices={"my-model": Price(input=2.0, output=8.0), "gpt-4o*": (2.5, 10.0)})

The table that comes with the package (`prices.json` beside this file) is an illustration: list prices as they were
known on the day it names, and guesses for models that had none. What a test relies on, it says itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from .journal import Tokens

__all__ = ("Price", "Prices", "table")

_DATED: Final = re.compile(r"-(?:\d{4}-\d{2}-\d{2}|\d{4})$")


class Price(NamedTuple):
    """What a million tokens cost, in USD (or in whatever you count)."""

    input: float
    output: float
    cached: float | None = None
    """Of the input, the tokens that come from the cache; what others cost, unless told."""

    def of(self, tokens: Tokens) -> float:
        """What some tokens cost."""
        cached = min(tokens.cached, tokens.input)
        again = self.input if self.cached is None else self.cached
        return ((tokens.input - cached) * self.input + cached * again + tokens.output * self.output) / 1_000_000


class Table(NamedTuple):
    """The prices that come with the package."""

    as_of: str
    """The day they are of, such as `2026-11-28`."""
    models: Mapping[str, Price]
    assumed: frozenset[str]
    """Models of `models` whose prices are a guess."""


@cache
def table() -> Table:
    """The prices that come with the package, read when they are first asked for."""
    import orjson

    told: dict[str, Any] = orjson.loads(Path(__file__).with_name("prices.json").read_bytes())
    models = {name: Price(**price) for group in ("models", "assumed") for name, price in told[group].items()}
    return Table(told["as_of"], models, frozenset(told["assumed"]))


class Prices:
    """Prices by model: those given, by name or by a pattern such as `gpt-4o*`, before those of the package.

    A price is a `Price`, a mapping with its fields, or a pair of input and output. A model with a date is the model
    without it, and a fine-tuned one the model it was made of, unless there is a price for just that. Raises `TypeError`
    and `ValueError` for what is no price.
    """

    def __init__(self, given: Mapping[str, Any] | None = None) -> None:
        told: Any = {} if given is None else given  # nobody has looked at it yet
        if not isinstance(told, Mapping):
            raise TypeError(f"prices is a mapping from models to prices, not {told!r}")
        named = {str(name): _price(name, price) for name, price in told.items()}
        self.given = dict(sorted(named.items(), key=lambda each: -sum(c not in "*?[]" for c in each[0])))
        """Prices that were given, the most particular first."""

    def of(self, model: str) -> Price | None:
        """The price of a model; `None` where it has none."""
        names = list(_names(model))
        for name in names:
            if name in self.given:
                return self.given[name]
        for pattern, price in self.given.items():
            if any(fnmatchcase(name, pattern) for name in names):
                return price
        known = table().models
        return next((known[name] for name in names if name in known), None)


def _names(model: str) -> list[str]:
    """What a model may be listed as, the most particular first."""
    names = [model]
    if model.startswith("ft:") and model.count(":") > 1:
        names.append(model.split(":")[1])
    bare = _DATED.sub("", names[-1])
    return [*names, bare] if bare != names[-1] else names


def _price(name: Any, given: Any) -> Price:
    if isinstance(given, Mapping):
        fields: Mapping[str, Any] = given
        unknown = sorted(set(fields) - set(Price._fields))
        if unknown or not {"input", "output"} <= set(fields):
            wrong = f"there is no {unknown[0]!r}" if unknown else "input and output are needed"
            raise TypeError(f"the price of {name!r} has input, output and cached, in USD a million tokens: {wrong}")
        given = Price(**fields)
    elif isinstance(given, (tuple, list)) and not isinstance(given, Price) and len(given) == 2:
        given = Price(*given)
    if not isinstance(given, Price):
        raise TypeError(f"the price of {name!r} is a Price(input=…, output=…), in USD a million tokens, not {given!r}")
    for field, value in zip(Price._fields, given, strict=True):
        amount: Any = value
        if amount is None and field == "cached":
            continue
        if isinstance(amount, bool) or not isinstance(amount, (int, float)) or not amount >= 0:
            raise ValueError(f"the price of {name!r} for {field} tokens is a number from 0 on, not {amount!r}")
    return given
