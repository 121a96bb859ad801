"""How long a model takes: a model of it, and some by name.

    Latency(first=0.5, each=0.02)                 half a second to the first token, then fifty a second
    Latency(first=0.3, each=0.05, prefill=0.001, jitter=0.2, load=0.5)
    Latency(prefill=0.001, cache=1000)            a prompt that begins as an earlier one did is read faster
    latencies_of({"gpt-4o*": "small", "*": 0.2})

Times are in seconds and tokens those of the answer's pieces: a piece of text counts for as many as it would be streamed
in. The server never sleeps: latency is pauses in the answer, and under a virtual clock they take no time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase
from math import inf
from random import Random
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from ..server.clock import seconds_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..server.engine import ChatRequest
    from .prefixes import Caches, Found

__all__ = ("CACHES", "PROFILES", "Latencies", "Latency", "Pacing", "latencies_of", "latency_of")


@dataclass(frozen=True)
class Latency:
    """How long a model takes. Raises `ValueError` for what cannot be."""

    first: float = 0.0
    """Seconds to the first token, whatever is asked."""
    each: float = 0.0
    """Seconds to each further token."""
    prefill: float = 0.0
    """Seconds before the first token for each token of the prompt; with a `cache` for each that it does not have."""
    jitter: float = 0.0
    """How much times vary by chance: the standard deviation as a share of their mean, 0 to 1. The same for a seed."""
    load: float = 0.0
    """How much longer everything takes for each other request that is being answered, as a share."""
    cache: int = 0
    """How many blocks of prompts each model remembers, the last used ones; none without it."""
    block: int = 128
    """Tokens of a block."""
    least: int = 1024
    """How many tokens a prompt has in common with earlier ones at least, for the cache to be of use."""

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if each.name in _WHOLE:
                if value.__class__ is not int or value < _WHOLE[each.name]:
                    raise ValueError(
                        f"{each.name} of a latency is a whole number from {_WHOLE[each.name]} on, not {value!r}"
                    )
                continue
            if value.__class__ not in (int, float) or not value < inf:
                raise ValueError(f"{each.name} of a latency is a number, not {value!r}")
            if value < 0:
                raise ValueError(f"a pause cannot be shorter than nothing: {each.name} is {value!r}")
        if self.jitter > 1:
            raise ValueError(f"jitter of a latency is a share from 0 to 1, not {self.jitter!r}")

    def to_dict(self) -> dict[str, float]:
        """It as JSON that `latency_of` reads."""
        return {each.name: getattr(self, each.name) for each in fields(self)}


_WHOLE: Final = {"cache": 0, "block": 1, "least": 0}
"""What is counted and not measured, and how much it is at least."""


PROFILES: Final[dict[str, Latency]] = {
    "instant": Latency(),
    "small": Latency(first=0.25, each=0.006, prefill=0.00001, jitter=0.2),
    "typical": Latency(first=0.5, each=0.015, prefill=0.00002, jitter=0.25),
    "large": Latency(first=1.0, each=0.03, prefill=0.00005, jitter=0.25),
    "reasoning": Latency(first=6.0, each=0.012, prefill=0.00002, jitter=0.4),
    "local": Latency(first=0.1, each=0.045, prefill=0.001, jitter=0.1, load=0.5),
    "overloaded": Latency(first=4.0, each=0.08, prefill=0.0001, jitter=0.6, load=0.1),
}
"""Latencies by name. The numbers are made up, in the order of magnitude of what such models are known for."""

if TYPE_CHECKING:
    Paces: TypeAlias = float | str | tuple[float, float] | Latency | Mapping[str, Any]
else:
    Paces = object
"""What stands for a latency: seconds to the first token, a profile's name or another text, the seconds of first and
further tokens, or the latencies of models by their names or patterns.
"""


def latency_of(given: Any) -> Latency:
    """The latency that something stands for: seconds (`0.5`, `"500ms"`) before the first token, a pair of these and the
    seconds before each further one, the name of a profile, a text or a mapping of settings (`"first=0.5, each=0.02"`),
    in a text after a profile, too (`"typical, cache=1000"`).

    Raises `ValueError` or `TypeError` for something else, with what would be right.
    """
    if isinstance(given, Latency):
        return given
    if isinstance(given, (tuple, list)) and len(given) == 2:
        return Latency(*given)
    if isinstance(given, (int, float)) and not isinstance(given, bool):
        return Latency(given)
    if isinstance(given, str):
        return _told(given)
    if isinstance(given, Mapping):
        return _settings(given)
    raise TypeError(f"a latency is {_WHAT}, not {given!r}")


_WHAT: Final = f"a number of seconds, a pair of them, a Latency(...), or the name of a profile ({', '.join(PROFILES)})"


def _settings(given: Mapping[str, Any]) -> Latency:
    known = [each.name for each in fields(Latency)]
    unknown = [name for name in given if name not in known]
    if unknown:
        raise ValueError(f"a latency has no {unknown[0]!r}; it has {', '.join(known)}")
    return Latency(**given)


def _told(text: str) -> Latency:
    found = PROFILES.get(text)
    if found is not None:
        return found
    try:
        if "=" in text:
            head, comma, rest = text.partition(",")
            based = latency_of(head.strip()).to_dict() if comma and "=" not in head else {}
            pairs = [each.partition("=") for each in (rest if based else text).split(",")]
            return _settings({**based, **{name.strip(): _number(name.strip(), told) for name, _, told in pairs}})
        first, slash, each = text.partition("/")
        return Latency(_seconds(first), _seconds(each) if slash else 0.0)
    except ValueError as error:
        said = f": {error}" if "=" in text else ""
        raise ValueError(
            f"a latency is {_WHAT}, or a text such as '500ms' or 'first=0.5, each=0.02', not {text!r}{said}"
        ) from None


def _number(name: str, text: str) -> float:
    return int(text) if name in _WHOLE else float(text)


def _seconds(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return seconds_of(text)


class Latencies:
    """The latencies of models, by name or pattern."""

    def __init__(self, named: Mapping[str, Latency]) -> None:
        self.named = dict(named)
        patterns = sorted(self.named, key=lambda name: -sum(c not in "*?[]" for c in name))
        self._patterns = [name for name in patterns if any(c in "*?[" for c in name)]

    def __bool__(self) -> bool:
        """Whether any of them takes time."""
        return any(each != _NONE for each in self.named.values())

    def of(self, model: str) -> Latency:
        """The latency of a model: by its name, then by the pattern with most of it; none where there is none."""
        found = self.named.get(model)
        if found is None:
            name = next((each for each in self._patterns if fnmatchcase(model, each)), None)
            found = _NONE if name is None else self.named[name]
        return found


_NONE: Final = Latency()


def latencies_of(given: Paces) -> Latencies:
    """The latencies that something stands for: one for every model, or a mapping from models to them.

    Raises `ValueError` or `TypeError` as `latency_of` does.
    """
    if isinstance(given, Mapping) and not (given and set(given) <= _FIELDS):
        return Latencies({name: latency_of(each) for name, each in given.items()})
    return Latencies({"*": latency_of(given)})


_FIELDS: Final = {each.name for each in fields(Latency)}


class Pacing:
    """What the answers of one server share: how many are under way, what time it is, and the dice.

    `derived` gives where models' caches of prompts are kept, for as long as the state is the same.
    """

    def __init__(
        self,
        latencies: Latencies,
        now: Callable[[], float] | None = None,
        seed: int | str = 0,
        derived: Callable[[], dict[str, Any]] | None = None,
    ) -> None:
        self.latencies = latencies
        self.now = now
        self.seed = seed
        own: dict[str, Any] = {}
        self._derived = derived or (lambda: own)
        self.active = 0
        """How many answers are under way."""

    def begin(self, request: ChatRequest) -> Tempo:
        """The tempo of an answer."""
        return Tempo(self, self.latencies.of(request.model), request)

    def find(self, latency: Latency, request: ChatRequest) -> Found:
        """What the model's cache has of a prompt, which it remembers from now on."""
        derived = self._derived()
        if CACHES not in derived:
            from .prefixes import Caches

            derived.setdefault(CACHES, Caches())
        caches: Caches = derived[CACHES]
        cache = caches.of(request.model, latency.cache, latency.block, latency.least)
        return cache.find(request, 0.0 if self.now is None else self.now())


CACHES: Final = "prefixes of prompts"
"""Where models' caches are among what a server has derived."""


class Tempo:
    """The times of one answer."""

    def __init__(self, pacing: Pacing, latency: Latency, request: ChatRequest) -> None:
        self._pacing = pacing
        self._latency = latency
        self._random = Random(f"latency {pacing.seed} {request.dice}") if latency.jitter else None
        self.first = latency.first
        self.found: Found | None = None
        """What the model's cache had of the prompt, where it has one."""
        if latency.cache:
            self.found = found = pacing.find(latency, request)
            self.first += latency.prefill * (found.prompt - found.cached)
        elif latency.prefill:
            from ..server.engine import text_of
            from ..server.tokens import counter

            count = counter(request.model)
            self.first += latency.prefill * sum(count(text_of(message)) for message in request.messages)
        self._late = 0.0

    def next(self, tokens: int, *, first: bool = False) -> float:
        """The seconds until so many tokens more have come."""
        latency = self._latency
        each = latency.each * (max(0, tokens - 1) if first else tokens)
        seconds = (self.first if first else 0.0) + each
        if not seconds:
            return 0.0
        if self._random is not None:
            spread = latency.jitter
            seconds *= self._random.lognormvariate(-spread * spread / 2, spread)
        if latency.load:
            seconds *= 1 + latency.load * max(0, self._pacing.active - 1)
        # What pauses have lasted too long is made up for, so that it does not add up.
        made_up = min(self._late, seconds)
        self._late -= made_up
        return seconds - made_up

    def begin(self) -> float:
        """The time before a pause."""
        return 0.0 if self._pacing.now is None else self._pacing.now()

    def end(self, began: float, seconds: float) -> None:
        """The pause is over."""
        if self._pacing.now is not None:
            late = self._pacing.now() - began - seconds
            if late > _PRECISE:
                self._late += late


_PRECISE: Final = 0.00005
"""Seconds below which a clock is not trusted."""
