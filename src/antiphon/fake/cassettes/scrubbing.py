r"""Secrets: what they look like, how they are taken out of a recording, and how one that is still there is found.

    scrubber = Scrubber([r"customer-\d+"])
    scrubber.scrubbed({"api_key": "abcdefgh"})      # {"api_key": "SCRUBBED"}
    scrubber.findings({"api_key": "abcdefgh"})      # one, at ("api_key",)

Both go by the same rules, so nothing is found in what was scrubbed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple

__all__ = ("SCRUBBED", "Finding", "Place", "Scrubber", "secret_name")

SCRUBBED: Final = "SCRUBBED"
"""What stands where a secret was."""

Place = tuple["str | int", ...]
"""Where something is: the keys and numbers that lead to it."""

_CLEAN: Final = rf"(?!{SCRUBBED}(?![A-Za-z0-9_]))"
_NAME: Final = re.compile(
    r"(?:^|[_.-])(?:api[_-]?key|(?:access|auth|refresh|session|security|subject|actor|id|bearer)[_-]?token|client[_-]?secret"
    r"|secret(?:[_-]?(?:access[_-]?)?key)?|private[_-]?key|pass(?:word|wd|phrase)|authorization|set-cookie|cookie"
    r"|credentials?|openai-organization|openai-project|organization[_-]id|x-amz-[a-z-]*(?:token|signature|credential))$",
    re.IGNORECASE | re.ASCII,
)
_VARIABLE: Final = re.compile(
    r"(?:^|_)(?:API_?KEY|KEY|TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIALS?)(?:_(?:DEV|TEST|STAGING|PROD|\d+))?$",
    re.IGNORECASE,
)
_SCHEMES: Final = re.compile(r"(?i)(basic|bearer|negotiate|digest)\s+(?=\S)")

_HOST: Final = "a key of OpenAI's or of a host like it"
_KEYS: Final[tuple[tuple[str, str, str], ...]] = (
    ("sk-", r"sk-[A-Za-z0-9_-]{14,}", _HOST),
    ("ek_", r"ek_[A-Za-z0-9]{16,}", "a short-lived key of OpenAI's"),
    ("org-", r"org-[A-Za-z0-9]{16,}", "the id of an organization"),
    ("proj_", r"proj_[A-Za-z0-9]{16,}", "the id of a project"),
    ("user-", r"user-[A-Za-z0-9]{20,}", "the id of a user"),
    ("gh", r"gh[opsur]_[A-Za-z0-9]{30,}", "a token of GitHub's"),
    ("github_", r"github_pat_[A-Za-z0-9_]{30,}", "a token of GitHub's"),
    ("xox", r"xox[abeoprs]-[A-Za-z0-9-]{10,}", "a token of Slack's"),
    ("akia", r"AKIA[A-Z0-9]{16}", "a key of Amazon's"),
    ("asia", r"ASIA[A-Z0-9]{16}", "a key of Amazon's"),
    ("aiza", r"AIza[A-Za-z0-9_-]{30,}", "a key of Google's"),
    ("hf_", r"hf_[A-Za-z0-9]{20,}", "a key of Hugging Face's"),
    ("gsk_", r"gsk_[A-Za-z0-9]{20,}", "a key of Groq's"),
    ("r8_", r"r8_[A-Za-z0-9]{20,}", "a key of Replicate's"),
    ("xai-", r"xai-[A-Za-z0-9]{20,}", "a key of xAI's"),
    ("pplx-", r"pplx-[A-Za-z0-9]{20,}", "a key of Perplexity's"),
    ("eyj", r"eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*", "a signed token"),
)
"""How keys begin, in small letters; what they look like, and what they are."""

_LEAST: Final = 12
"""Letters that a value of the environment, or of a header, has to have to be looked for elsewhere."""


class _Rule(NamedTuple):
    what: str
    hint: str
    """What is in every text in which something is found, in small letters: looking for it first is quick."""
    pattern: re.Pattern[str]
    replaced: Callable[[re.Match[str]], str]
    anywhere: bool = False
    """Whether it can be looked for in the file's lines as they stand, comments included."""


def _whole(match: re.Match[str]) -> str:
    return SCRUBBED


def _value(match: re.Match[str]) -> str:
    """What was found with its group `value` scrubbed."""
    start, end = match.span("value")
    begin = match.start()
    return match[0][: start - begin] + SCRUBBED + match[0][end - begin :]


_RULES: Final = (
    _Rule(
        "a private key",
        "private key-----",
        re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL),
        _whole,
        anywhere=True,
    ),
    _Rule(
        _HOST,  # these cannot be part of something else
        "sk-",
        re.compile(r"sk-(?:proj|ant|admin|svcacct|or)-[A-Za-z0-9_-]{14,}"),
        _whole,
        anywhere=True,
    ),
    *(
        _Rule(what, begins, re.compile(rf"(?<![A-Za-z0-9_-])(?:{key})"), _whole, anywhere=True)
        for begins, key, what in _KEYS
    ),
    _Rule(
        "a token in a header's words",
        "bearer",
        re.compile(rf"(?i:\bbearer)\s+{_CLEAN}(?P<value>[A-Za-z0-9._~+/-]{{12,}}=*)", re.ASCII),
        _value,
    ),
    _Rule(
        "a password in an address",
        "://",
        re.compile(rf"://{_CLEAN}(?P<value>[^\s/:@\"'<>]+:[^\s/@\"'<>]+)@"),
        _value,
    ),
    *(
        _Rule(
            "a secret in an address",
            f"{first}",
            re.compile(
                rf"{re.escape(first)}(?:sig|signature|key|api[_-]?key|code|token|access_token|password|client_secret"
                r"|x-(?:amz|goog)-(?:signature|credential|security-token))"
                rf"={_CLEAN}(?P<value>[^&#\s\"'<>]+)",
                re.IGNORECASE | re.ASCII,
            ),
            _value,
        )
        for first in "?&"
    ),
    *(
        _Rule(
            "a secret beside its name",
            name,
            re.compile(
                rf"{pattern}\\?[\"']?\s*[:=]\s*\\?[\"']?{_CLEAN}(?P<value>[^\s\"'\\,;:&<>{{}}\[\]()]{{8,}})",
                re.IGNORECASE | re.ASCII,
            ),
            _value,
        )
        for name, pattern in (
            ("key", "(?:api|private)[_-]?key"),
            ("token", "(?:access|auth|refresh|session|security|subject|actor|id)[_-]?token"),
            ("secret", "client[_-]?secret"),
            ("passw", "passw(?:or)?d"),
        )
    ),
)


class Finding(NamedTuple):
    """A secret that is where it should not be."""

    place: Place
    what: str
    text: str
    """The secret, all but its beginning left out."""
    line: int = 0
    """Lines of the text before the one it is in."""


@lru_cache(maxsize=4096)
def secret_name(name: str) -> bool:
    """Whether what has this name is a secret, whatever it looks like."""
    return _NAME.search(name) is not None


class Scrubber:
    """Takes secrets out, and finds them.

    `patterns` are regular expressions of one's own for what else is not to be recorded. What the environment calls a
    key, a token, a secret or a password is looked for as it is. Raises `ValueError` for what is no pattern, and for one
    that would find what is put in its place.
    """

    def __init__(self, patterns: Iterable[str] = (), *, environment: bool = True) -> None:
        if isinstance(patterns, str):
            raise ValueError(f"patterns to scrub are a list, such as [{patterns!r}], not a text")
        self.patterns = tuple(patterns)
        """The patterns of one's own."""
        self._rules = [*_RULES, *(_own(each) for each in self.patterns)]
        self._least = 0 if self.patterns else 6  # no rule of ours finds anything in less
        self._literals: frozenset[str] = frozenset()
        if environment:
            for name, value in os.environ.items():
                if _VARIABLE.search(name):
                    self._learn(value)

    def learn(self, headers: Iterable[tuple[str, str]]) -> None:
        """Take the secrets of a request for such wherever else they are."""
        for name, value in headers:
            if secret_name(name) and not name.startswith("openai-"):
                self._learn(_SCHEMES.sub("", value, count=1))

    def _learn(self, value: str) -> None:
        value = value.strip()
        if value in self._literals:
            return
        # A path says where a secret is; it is none.
        if (
            len(value) >= _LEAST
            and SCRUBBED not in value
            and not value.startswith(("/", ".", "~"))
            and " " not in value
        ):
            self._literals |= {value}  # another set: somebody may be going through the old one

    # Taking out

    def text(self, text: str) -> str:
        """A text without secrets."""
        if len(text) < self._least:
            return text
        for literal in self._literals:
            if literal in text:
                text = text.replace(literal, SCRUBBED)
        for _ in range(20):  # what is left of one may, with what is beside it, look like another
            before = text
            small = text.lower()
            for rule in self._rules:
                if rule.hint in small:
                    text = rule.pattern.sub(rule.replaced, text)
                    small = text.lower() if text is not before else small
            if text == before:
                return text
        raise ValueError("these patterns find ever more in what they have scrubbed: " + ", ".join(self.patterns))

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Where in a text there are secrets: beginnings and ends, in order, none within another."""
        found: list[tuple[int, int]] = []
        for literal in self._literals:
            at = text.find(literal)
            while at >= 0:
                found.append((at, at + len(literal)))
                at = text.find(literal, at + len(literal))
        small = text.lower()
        for rule in self._rules:
            if rule.hint in small:
                found += [
                    match.span("value" if rule.replaced is _value else 0) for match in rule.pattern.finditer(text)
                ]
        apart: list[tuple[int, int]] = []
        for start, end in sorted(found):
            if apart and start < apart[-1][1]:
                apart[-1] = (apart[-1][0], max(end, apart[-1][1]))
            else:
                apart.append((start, end))
        return apart

    def header(self, name: str, value: str) -> str:
        """A header's value without secrets."""
        return SCRUBBED if secret_name(name) else self.text(value)

    def query(self, query: str) -> str:
        """A query as it stands in an address, without secrets."""
        return self.text("?" + query)[1:] if query else query

    def scrubbed(self, value: Any) -> Any:
        """JSON without secrets: the value itself where there is none."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self._key(name): self._named(name, each) for name, each in value.items()}
        if isinstance(value, list):
            return [self.scrubbed(each) for each in value]
        return value

    def _key(self, name: Any) -> Any:
        return self.text(name) if isinstance(name, str) else name

    def _named(self, name: Any, value: Any) -> Any:
        if isinstance(value, str) and value and isinstance(name, str) and secret_name(name):
            return SCRUBBED
        return self.scrubbed(value)

    def data(self, data: bytes) -> bytes:
        """Bytes without secrets."""
        text = data.decode("latin-1")
        clean = self.text(text)
        return data if clean is text or clean == text else clean.encode("latin-1", "replace")

    # Finding

    def findings(self, value: Any, place: Place = ()) -> Iterator[Finding]:
        """The secrets in a value, with where they are."""
        if isinstance(value, str):
            yield from self._in_text(value, place)
        elif isinstance(value, Mapping):
            for name, each in value.items():
                inner = (*place, name)
                if isinstance(name, str):
                    yield from self._in_text(name, inner)
                    if isinstance(each, str) and each not in ("", SCRUBBED) and secret_name(name):
                        yield Finding(inner, f"what is named {name}", _hint(each))
                        continue
                yield from self.findings(each, inner)
        elif isinstance(value, list):
            for number, each in enumerate(value):
                yield from self.findings(each, (*place, number))

    def _in_text(self, text: str, place: Place) -> Iterator[Finding]:
        for literal in self._literals:
            at = text.find(literal)
            if at >= 0:
                yield Finding(place, "a secret of the environment", _hint(literal), text.count("\n", 0, at))
        yield from self._by_rules(text, place, self._rules)

    def in_line(self, line: str) -> Iterator[Finding]:
        """The secrets that can be told from a line of a file as it stands, such as one in a comment."""
        yield from self._by_rules(line, (), [rule for rule in self._rules if rule.anywhere])
        for literal in self._literals:
            if literal in line:
                yield Finding((), "a secret of the environment", _hint(literal))

    def _by_rules(self, text: str, place: Place, rules: Iterable[_Rule]) -> Iterator[Finding]:
        for rule in rules:
            for match in rule.pattern.finditer(text):
                group = "value" if rule.replaced is _value else 0
                yield Finding(place, rule.what, _hint(match[group]), text.count("\n", 0, match.start(group)))


def _own(pattern: str) -> _Rule:
    try:
        compiled = re.compile(pattern)
    except (re.error, TypeError) as error:
        raise ValueError(f"a pattern to scrub is a regular expression; {pattern!r} is none: {error}") from None
    if compiled.search("") or compiled.search(SCRUBBED) or compiled.search(f" {SCRUBBED} "):
        raise ValueError(f"the pattern {pattern!r} finds nothing at all, or {SCRUBBED!r}, which is put in its place")
    return _Rule(f"what {pattern!r} finds", "", compiled, _whole, anywhere=True)


def _hint(secret: str) -> str:
    """Enough of a secret to find it by, and no more."""
    first = secret.split("\n", 1)[0]
    return f"{first[:6]}…" if len(first) > 12 else f"{first[:2]}…"
