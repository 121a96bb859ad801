"""Rules and scripts as data: as they stand in YAML and JSON files, and as they are sent over HTTP.

    {"when": {"text": "weather"}, "call_tool": {"name": "get_weather", "arguments": {"city": "Oslo"}}}
    {"when": {"operation": "files.create"}, "fail": {"status": 500, "code": "overloaded"}, "times": 2}
    {"when": {"model": "gpt-4o*"}, "answers": ["first", {"fail": 503}, {"reply": "second", "times": 3}]}

`antiphon.fake.schema` says what may be in them. All that is wrong is found before anything is added.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any, Final

from .asked import exactly
from .reading import Document, Fault, read
from .schema import ANSWERS, Path, Problem, check

if TYPE_CHECKING:
    from . import FakeOpenAI
    from .remote import Remote
    from .rules import Rule, Rules
    from .scripts import Script

__all__ = ("RuleError", "RuleFileError", "add_rule", "add_rules", "counted", "faults", "load", "made")


class RuleError(ValueError):
    """What is wrong with rules, scripts or a file of them. `problems` are the single ones, with their places."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = list(problems)
        super().__init__("\n".join(f"{_place(each.path)}{each.message}" for each in self.problems))


class RuleFileError(RuleError):
    """A file that is no rule file. `faults` are what is wrong, with lines and columns."""

    def __init__(self, path: FilePath | Remote, faults: Iterable[Fault], problems: Iterable[Problem] = ()) -> None:
        super().__init__(problems)
        self.path = path
        self.faults = sorted(faults)
        self.args = ("\n".join(f"{path}:{each.line}:{each.column}: {each.message}" for each in self.faults),)


def _place(path: Path) -> str:
    told = "".join(f"[{each}]" if isinstance(each, int) else f".{each}" for each in path).lstrip(".")
    return f"{told}: " if told else ""


def add_rule(fake: FakeOpenAI, data: Mapping[str, Any], *, where: str = "data") -> Rule:
    """Add a rule to a fake. `where` is what is told of where it comes from.

    Raises `RuleError`, with all that is wrong with it and where, and adds nothing.
    """
    problems = check(data, "rule")
    if problems:
        raise RuleError(problems)
    rule, problems = _rule(fake.rules, data, (), lambda path: where, None)
    if problems or rule is None:
        raise RuleError(problems)
    fake.rules.extend([rule])
    return rule


def add_rules(fake: FakeOpenAI, data: Any, *, where: str = "data") -> list[Rule | Script]:
    """Add all that stands in a document: an object with `rules` and `scripts`, or a list of rules.

    Raises `RuleError`, with all that is wrong and where, and adds nothing.
    """
    found = made(fake.rules, data, lambda path: where, None)
    fake.rules.extend(found)
    return found


def made(rules: Rules, data: Any, where: Callable[[Path], str], folder: FilePath | None) -> list[Rule | Script]:
    """What stands in a document, not yet added. Raises `RuleError`.

    `where` says where what stands at a path comes from. Paths of files are seen from `folder`; without one there can
    be none.
    """
    problems = check(data)
    wrong = {each.path[:2] for each in problems} | {each.path[:1] for each in problems}
    found: list[Rule | Script] = []
    for path, each, make in _entries(data):
        if path not in wrong:
            entry, more = make(rules, each, path, where, folder)
            problems += more
            found += [entry] if entry is not None else []
    if problems:
        raise RuleError(problems)
    return found


def _entries(data: Any) -> Iterator[tuple[Path, Any, Callable[..., tuple[Rule | Script | None, list[Problem]]]]]:
    """The rules and scripts of a document, with their paths."""
    if isinstance(data, (list, tuple)):
        yield from (((place,), each, _rule) for place, each in enumerate(data))
    elif isinstance(data, Mapping):
        for name, make in (("rules", _rule), ("scripts", _script)):
            inner = data.get(name)
            if isinstance(inner, (list, tuple)):
                yield from (((name, place), each, make) for place, each in enumerate(inner))


def _rule(
    rules: Rules,
    data: Any,
    path: Path,
    where: Callable[[Path], str],
    folder: FilePath | None,
) -> tuple[Rule | None, list[Problem]]:
    """A rule, or what is wrong with it."""
    problems: list[Problem] = []
    given = conditions(data.get("when") or {}, (*path, "when"), problems)
    if problems:
        return None, problems
    try:
        rule = rules.made(given, data.get("times"), where(path))
    except (TypeError, ValueError) as error:
        at = "when.operation" if "operation" in given else "when"
        return None, [Problem((*path, *at.split(".")), str(error))]
    rule.source = data
    answered(rule, data, path, folder, problems)
    return (None if problems else rule), problems


def _script(
    rules: Rules,
    data: Any,
    path: Path,
    where: Callable[[Path], str],
    folder: FilePath | None,
) -> tuple[Script | None, list[Problem]]:
    """A script, or what is wrong with it."""
    problems: list[Problem] = []
    given = conditions(data.get("when") or {}, (*path, "when"), problems)
    if problems:
        return None, problems
    script = rules.script(data.get("name"), given, where(path), strict=data.get("strict", False), apart=True)
    script.source = data
    for place, leg in enumerate(data["legs"]):
        at = (*path, "legs", place)
        more = conditions(leg.get("when") or {}, (*at, "when"), problems)
        said = _words(leg.get("user"), (*at, "user"), problems)
        result = _words(leg.get("tool"), (*at, "tool"), problems)
        if problems:
            return None, problems
        try:
            if "tool" in leg:
                script.tool(result, **{"text": said, **more})
            elif "user" in leg:
                script.user(said, **more)
            else:
                script.when(**more)
        except (TypeError, ValueError) as error:
            return None, [Problem((*at, "when"), str(error))]
        answered(script, leg, at, folder, problems)
        if problems:
            return None, problems
    return script, problems


# Files


def load(rules: Rules, path: FilePath | Remote) -> list[Rule | Script]:
    """What stands in a file, not yet added: YAML, or JSON where its name ends in `.json`.

    Raises `RuleFileError` with all that is wrong, `OSError` for a file that cannot be read and `ImportError` where YAML
    cannot be.
    """
    document = _document(path)
    if document.faults:
        raise RuleFileError(path, document.faults)
    try:
        return made(rules, document.data, lambda at: f"{path.name}:{document.place(at)[0]}", path.parent)
    except RuleError as error:
        faults = [Fault(*document.place(each.path, at_key=each.at_key), each.message) for each in error.problems]
        raise RuleFileError(path, faults, error.problems) from None


def faults(path: FilePath | Remote) -> tuple[list[Fault], str]:
    """All that is wrong with a file, and how much is in it. Raises `OSError` and `ImportError`."""
    from .rules import Rule, Rules

    try:
        document = _document(path)
        entries = load(Rules(), path)
    except RuleFileError as error:
        return error.faults, ""
    rules = [(place, each) for place, each in enumerate(entries) if isinstance(each, Rule)]
    found: list[Fault] = []
    for at, (place, rule) in enumerate(rules):
        later = next((each for _, each in rules[at + 1 :] if each.times is None and _alike(rule, each)), None)
        if later is not None:
            line = later.where.rpartition(":")[2]
            told = f"this never answers: the rule in line {line} has the same conditions, and the last of such counts"
            mark = document.place((place,) if isinstance(document.data, list) else ("rules", place))
            found.append(Fault(*mark, told))
    return found, counted(entries)


def _alike(rule: Rule, other: Rule) -> bool:
    def told(each: Rule) -> list[tuple[str, type, Any]]:
        return [(name, type(value), value) for name, value in sorted(each.conditions.given.items())]

    return told(rule) == told(other) and rule.gives <= other.gives


def counted(entries: Sequence[Rule | Script]) -> str:
    """How many rules and scripts there are, in words."""
    from .scripts import Script

    scripts = sum(isinstance(each, Script) for each in entries)
    rules = len(entries) - scripts
    told = f"{rules} rule{'' if rules == 1 else 's'}"
    return f"{told}, {scripts} script{'' if scripts == 1 else 's'}" if scripts else told


def _document(path: FilePath | Remote) -> Document:
    data = path.read_bytes()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        line, column = before.count(b"\n") + 1, error.start - before.rfind(b"\n")
        raise RuleFileError(path, [Fault(line, column, "this is not UTF-8")]) from None
    return _read(text, path.suffix.lower() != ".json")


@lru_cache(maxsize=32)  # each test of a project may be made with the same file
def _read(text: str, yaml: bool) -> Document:
    return read(text, yaml=yaml)


# Conditions


def conditions(data: Mapping[str, Any], path: Path, problems: list[Problem]) -> dict[str, Any]:
    """Conditions as `FakeOpenAI.when` takes them."""
    given: dict[str, Any] = {}
    for name, value in data.items():
        at = (*path, name)
        if name in ("headers", "metadata"):
            given[name] = {key: _words(each, (*at, key), problems, whole=True) for key, each in value.items()}
        elif name in ("operation", "model"):
            given[name] = _words(value, at, problems, whole=True)
        elif name in _WORDS:
            given[name] = _words(value, at, problems)
        else:
            given[name] = value
    return given


_WORDS: Final = ("text", "system", "tool_result")


def _words(value: Any, path: Path, problems: list[Problem], *, whole: bool = False) -> Any:
    """A text, or what it has to be. `whole`: a plain text is all of it, or a pattern of names."""
    if not isinstance(value, Mapping):
        return value
    kind = next(name for name in ("contains", "exactly", "matches") if name in value)
    text: str = value[kind]
    flags = re.IGNORECASE if value.get("ignore_case") else 0
    try:
        if kind == "matches":
            return re.compile(text, flags)
        if kind == "exactly":
            return re.compile(rf"\A{re.escape(text)}\Z", flags) if flags else exactly(text)
        return re.compile(re.escape(text), flags) if flags or whole else text
    except re.error as error:
        problems.append(Problem((*path, kind), f"{text!r} is no regular expression: {error}"))
        return None


# Answers


def answered(rule: Any, data: Mapping[str, Any], path: Path, folder: FilePath | None, problems: list[Problem]) -> None:
    """Have a rule, or a leg of a script, answer as the data says."""
    if "answers" in data:
        for place, each in enumerate(data["answers"]):
            one: Mapping[str, Any] = {"reply": each} if isinstance(each, str) else each
            at = (*path, "answers", place)
            _add(rule, one, at, folder, problems, one.get("times", 1), plain=isinstance(each, str))
        return
    _add(rule, data, path, folder, problems, 1)


def _add(
    rule: Any,
    data: Mapping[str, Any],
    path: Path,
    folder: FilePath | None,
    problems: list[Problem],
    times: int,
    *,
    plain: bool = False,
) -> None:
    name = next(name for name in ANSWERS if name in data)
    try:
        for _ in range(times):
            _ANSWERS[name](rule, data[name], folder)
    except (TypeError, ValueError) as error:
        problems.append(Problem(path if plain else (*path, name), str(error)))


def _bytes(value: Any, folder: FilePath | None) -> bytes:
    if isinstance(value, Mapping):
        try:
            return b64decode(value["base64"], validate=True)
        except (binascii.Error, ValueError) as error:
            raise ValueError(f"this is no base64: {error}") from None
    if folder is None:
        raise ValueError(f"paths such as {value!r} are for rule files; bytes are told as {{base64: …}}")
    try:
        return (folder / str(value)).read_bytes()
    except OSError as error:
        raise ValueError(f"the file {value!r} cannot be read: {error.strerror or error}") from None


def _calls(value: Sequence[Any]) -> list[tuple[str, Mapping[str, Any]]]:
    return [(each, {}) if isinstance(each, str) else (each["name"], each.get("arguments", {})) for each in value]


def _file(rule: Any, value: Any, folder: FilePath | None) -> None:
    data = _bytes(value, folder)  # so that it is known to be there
    rule.reply(folder / value if isinstance(value, str) and folder is not None else data)


_ANSWERS: Final[dict[str, Callable[[Any, Any, FilePath | None], object]]] = {
    "reply": lambda rule, value, folder: rule.reply(value),
    "template": lambda rule, value, folder: rule.template(value),
    "pieces": lambda rule, value, folder: rule.reply(list(value)),
    "message": lambda rule, value, folder: rule.reply({"role": "assistant", **value}),
    "object": lambda rule, value, folder: rule.reply(dict(value)),
    "call_tool": lambda rule, value, folder: rule.call_tools(*_calls([value])),
    "call_tools": lambda rule, value, folder: rule.call_tools(*_calls(value)),
    "refuse": lambda rule, value, folder: rule.refuse(*([] if value is True else [value])),
    "fail": lambda rule, value, folder: rule.fail(**({"status": value} if isinstance(value, int) else value)),
    "vector": lambda rule, value, folder: rule.reply(list(value)),
    "vectors": lambda rule, value, folder: rule.reply([list(each) for each in value]),
    "image": lambda rule, value, folder: rule.reply(_bytes(value, folder)),
    "images": lambda rule, value, folder: rule.reply([_bytes(each, folder) for each in value]),
    "sound": lambda rule, value, folder: rule.reply(_bytes(value, folder)),
    "video": lambda rule, value, folder: rule.reply(_bytes(value, folder)),
    "file": _file,
    "scores": lambda rule, value, folder: rule.reply(dict(value)),
    "flag": lambda rule, value, folder: rule.reply(dict.fromkeys([value] if isinstance(value, str) else value, 0.99)),
}
"""How each answer is given to a rule."""
