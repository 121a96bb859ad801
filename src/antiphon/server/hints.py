"""Plausible values for fields by their names and formats, drawn from the words of a conversation where it has some."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, timedelta
from functools import cached_property
from random import Random

__all__ = ("Hints",)

_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?![\w])")
_EMAIL = re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]*\w")
_URL = re.compile(r"https?://[^\s\"'<>)\]]+")
_DATE = re.compile(r"\b\d{4}-\d{2}-\d{2}\b")
_QUOTED = re.compile(r"\"([^\"\n]{1,200})\"|'([^'\n]{2,200})'(?!\w)|“([^”\n]{1,200})”")
_NAME = re.compile(r"(?<![.!?:]\s)(?<!^)\b[A-ZÀ-ÖØ-Þ][\w’-]*(?:\s+[A-ZÀ-ÖØ-Þ][\w’-]*)*")
_SPLIT = re.compile(r"[^a-zA-Z0-9]+|(?<=[a-z0-9])(?=[A-Z])")

_STOP = frozenset(
    """
    a about an and any are as at be been but by can could did do does for from get give had has have he her his how i
    if in is it its let like make may me my of on or our out please she should show so some tell that the their them
    then there these they this to up us use was we were what when where which who why will with would you your
    """.split()
)
_WORDS = tuple(
    """
    amber birch brook cedar clover coral dawn ember fern field harbor hazel island ivory lake lantern maple meadow mist
    moss north ocean olive pebble pine plain quartz reed river sage shore silver sky slate spring stone summer tide
    timber valley violet willow wind
    """.split()
)

_PLACES = frozenset(
    ("city", "location", "place", "country", "destination", "origin", "region", "area", "address", "town", "venue")
)
_TEXTS = frozenset(
    """
    query q search question prompt message text content body input description summary note notes comment reason
    instructions explanation answer response thought thoughts reasoning topic subject
    """.split()
)
_PEOPLE = frozenset(("person", "author", "user", "recipient", "sender", "customer", "contact", "attendee", "owner"))

_FIRST_DAY = date(2026, 1, 1)

_FORMATS: dict[str, Callable[[Hints, Random], str]] = {}


class Hints:
    """What a conversation says, sorted by what it could fill; each kind is looked for when it is asked for."""

    def __init__(self, text: str) -> None:
        self.text = text[-4000:]

    @cached_property
    def words(self) -> list[str]:
        """Every word, without addresses."""
        return _WORD.findall(_EMAIL.sub(" ", _URL.sub(" ", self.text)))

    @cached_property
    def salient(self) -> list[str]:
        """The words that carry something."""
        return [w for w in self.words if not w.isdecimal() and re.split("['’]", w.lower())[0] not in _STOP]

    @cached_property
    def numbers(self) -> list[float]:
        return [float(number) for number in _NUMBER.findall(self.text)]

    @cached_property
    def emails(self) -> list[str]:
        return _EMAIL.findall(self.text)

    @cached_property
    def urls(self) -> list[str]:
        return [url.rstrip(".,;:!?") for url in _URL.findall(self.text)]

    @cached_property
    def dates(self) -> list[str]:
        return _DATE.findall(self.text)

    @cached_property
    def quoted(self) -> list[str]:
        """What stands in quotation marks."""
        return [next(filter(None, found)) for found in _QUOTED.findall(self.text)]

    @cached_property
    def names(self) -> list[str]:
        """Capitalised words that do not begin a sentence."""
        return [name for name in _NAME.findall(self.text) if name.lower() not in _STOP]

    def string(self, name: str, rng: Random) -> str:
        """A string for a field of that name."""
        parts = {part.lower() for part in _SPLIT.split(name) if part}
        if "email" in parts or "mail" in parts:
            return self.formatted("email", rng)
        if parts & {"url", "uri", "link", "href", "website"}:
            return self.formatted("uri", rng)
        if "date" in parts or "day" in parts:
            return self.formatted("date", rng)
        if "time" in parts or "timestamp" in parts or name.endswith("_at"):
            return self.formatted("date-time", rng)
        if parts & {"id", "uuid", "guid", "key"}:
            return f"{'_'.join(sorted(parts - {'id', 'uuid', 'guid', 'key'})) or 'id'}_{rng.randrange(1 << 32):08x}"
        if parts & {"currency"}:
            return "USD"
        if parts & {"language", "lang", "locale"}:
            return "en"
        if parts & {"timezone", "tz"}:
            return "UTC"
        if parts & {"phone", "telephone", "mobile"}:
            return f"+1555{rng.randrange(10_000_000):07d}"
        if parts & {"code", "sql"} and self.quoted:
            return self.quoted[0]
        if parts & _PLACES or parts & _PEOPLE or "name" in parts:
            return self.names[-1] if self.names else self.title(rng)
        if parts & {"title", "label", "heading", "headline"}:
            return self.title(rng)
        if parts & _TEXTS:
            return self.quoted[0] if self.quoted else self.text.strip() or self.phrase(rng, 4)
        return self.phrase(rng, 2)

    def phrase(self, rng: Random, count: int) -> str:
        """Some words, in the order of the conversation where it has enough."""
        if len(self.salient) >= count:
            start = rng.randrange(len(self.salient) - count + 1)
            return " ".join(self.salient[start : start + count])
        return " ".join([*self.salient, *rng.sample(_WORDS, count - len(self.salient))])

    def title(self, rng: Random) -> str:
        return " ".join(word[:1].upper() + word[1:] for word in self.phrase(rng, 2).split())

    def formatted(self, kind: str, rng: Random) -> str:
        """A string in one of the formats of JSON Schema; a phrase for a format without rules."""
        make = _FORMATS.get(kind)
        return make(self, rng) if make is not None else self.phrase(rng, 2)

    def has_format(self, kind: str) -> bool:
        return kind in _FORMATS

    @cached_property
    def plain(self) -> str:
        return self.text.lower().replace("_", " ")

    def mentions(self, value: object) -> bool:
        """Whether the conversation names a value."""
        return isinstance(value, str) and bool(value) and value.lower().replace("_", " ") in self.plain


def _format(*names: str) -> Callable[[Callable[[Hints, Random], str]], Callable[[Hints, Random], str]]:
    def register(make: Callable[[Hints, Random], str]) -> Callable[[Hints, Random], str]:
        for name in names:
            _FORMATS[name] = make
        return make

    return register


@_format("date")
def _date(hints: Hints, rng: Random) -> str:
    for found in hints.dates:
        try:
            return date.fromisoformat(found).isoformat()
        except ValueError:
            continue
    return (_FIRST_DAY + timedelta(days=rng.randrange(365))).isoformat()


@_format("time")
def _time(hints: Hints, rng: Random) -> str:
    return f"{rng.randrange(24):02d}:{rng.randrange(0, 60, 5):02d}:00Z"


@_format("date-time", "datetime")
def _date_time(hints: Hints, rng: Random) -> str:
    return f"{_date(hints, rng)}T{_time(hints, rng)}"


@_format("duration")
def _duration(hints: Hints, rng: Random) -> str:
    return f"PT{rng.randint(1, 59)}M"


@_format("email", "idn-email")
def _email(hints: Hints, rng: Random) -> str:
    return hints.emails[0] if hints.emails and hints.emails[0].isascii() else f"{rng.choice(_WORDS)}@example.com"


@_format("hostname", "idn-hostname")
def _hostname(hints: Hints, rng: Random) -> str:
    return f"{rng.choice(_WORDS)}.example.com"


@_format("ipv4")
def _ipv4(hints: Hints, rng: Random) -> str:
    return f"192.0.2.{rng.randint(1, 254)}"


@_format("ipv6")
def _ipv6(hints: Hints, rng: Random) -> str:
    return f"2001:db8::{rng.randint(1, 0xFFFF):x}"


@_format("uuid")
def _uuid(hints: Hints, rng: Random) -> str:
    from uuid import UUID

    return str(UUID(int=rng.getrandbits(128), version=4))


@_format("uri", "url", "iri", "uri-reference", "iri-reference")
def _uri(hints: Hints, rng: Random) -> str:
    return hints.urls[0] if hints.urls and hints.urls[0].isascii() else f"https://example.com/{rng.choice(_WORDS)}"


@_format("uri-template")
def _uri_template(hints: Hints, rng: Random) -> str:
    return f"https://example.com/{{{rng.choice(_WORDS)}}}"


@_format("json-pointer")
def _json_pointer(hints: Hints, rng: Random) -> str:
    return f"/{rng.choice(_WORDS)}/0"


@_format("relative-json-pointer")
def _relative_json_pointer(hints: Hints, rng: Random) -> str:
    return f"0/{rng.choice(_WORDS)}"


@_format("regex")
def _regex(hints: Hints, rng: Random) -> str:
    return f"^{rng.choice(_WORDS)}$"


@_format("byte", "base64")
def _base64(hints: Hints, rng: Random) -> str:
    from base64 import b64encode

    return b64encode(rng.choice(_WORDS).encode()).decode()
