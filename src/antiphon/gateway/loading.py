"""A gateway's configuration from a file, and from the command line.

    config = load("gateway.toml")
    config = load("gateway.toml", models=["chat=http://localhost:8080,concurrency=8"])

The file is TOML, and its keys are the fields of `gateway.config`: those of `GatewayConfig` at the top, a table
`[models.NAME]` for each model, `[models."*"]` for what all of them have unless they say otherwise, a table `[[keys]]`
for each key. `${NAME}` in a text is a variable of the environment, `${NAME:-else}` one with a default, `$${` a plain
`${`. Everything is checked, and everything that is wrong is told at once.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from .checking import check
from .config import GatewayConfig
from .lines import Way, toml_lines
from .reading import MISSING, FromEnvironment, Reader

__all__ = ("ConfigError", "Problem", "example", "load", "loads", "of")

_VARIABLE = re.compile(r"\$\$\{|\$\{(\w+)(?::-([^}]*))?\}|\$\{")


class Problem(NamedTuple):
    """One thing that is wrong."""

    place: str
    """The file and the line, or the option of the command line."""
    what: str
    """Which setting, such as `models.chat.urls`; empty for the whole."""
    message: str

    def __str__(self) -> str:
        return ": ".join(part for part in self if part)


class ConfigError(ValueError):
    """A configuration that a gateway cannot be made of. `problems` has everything that is wrong with it."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = list(problems)


class Source(NamedTuple):
    """Something a configuration comes from: its data, and how places in it are told."""

    data: Mapping[str, Any]
    label: str
    """The file, or the option of the command line."""
    line: Callable[[Way], int | None] = lambda way: None
    base: Path | None = None
    """Where the paths of files in it begin."""

    def place(self, way: Way) -> str:
        line = self.line(way)
        return self.label if line is None else f"{self.label}:{line}"


def load(
    path: str | os.PathLike[str] | None = None,
    *,
    models: Iterable[str] = (),
    environment: Mapping[str, str] | None = None,
) -> GatewayConfig:
    """The configuration of a file, with the models that the command line adds: `NAME=URL[,option=value…]`.

    Raises `ConfigError` with all that is wrong, and `OSError` for a file that cannot be read.
    """
    sources: list[Source] = []
    if path is not None:
        file = Path(path)
        try:
            text = file.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise ConfigError([Problem(str(file), "", f"this is not UTF-8, at byte {error.start}")]) from None
        sources.append(_toml(text, str(file), file.parent))
    sources += _arguments(models)
    return _config(sources, os.environ if environment is None else environment)


def loads(
    text: str,
    file: str = "gateway.toml",
    *,
    base: str | os.PathLike[str] | None = None,
    environment: Mapping[str, str] | None = None,
) -> GatewayConfig:
    """The configuration that a text is, which errors call `file`; `base` is where paths in it begin."""
    source = _toml(text, file, None if base is None else Path(base))
    return _config([source], os.environ if environment is None else environment)


def of(data: Mapping[str, Any], *, environment: Mapping[str, str] | None = None) -> GatewayConfig:
    """The configuration of decoded data, of the shape the file has."""
    return _config([Source(data, "")], os.environ if environment is None else environment)


def example() -> str:
    """A file with every setting there is, and what each does."""
    return Path(__file__).with_name("example.toml").read_text(encoding="utf-8")


def _toml(text: str, file: str, base: Path | None) -> Source:
    import tomllib

    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r" \(at line (\d+), column \d+\)", str(error))
        line = found[1] if found else text.count("\n") + 1
        words = str(error).partition(" (at ")[0]
        begun = re.match(r"\s*([\w.\"'-]+)\s*=", [*text.split("\n"), ""][int(line) - 1])
        if begun is not None:  # not what is set there, which may be a secret
            words = f"{words}, where {begun[1]} is set"
        raise ConfigError([Problem(f"{file}:{line}", "", f"this is not TOML: {words}")]) from None
    lines = toml_lines(text)

    def line_of(way: Way) -> int:
        while way and way not in lines:
            alone = (*way[:-1], "url")  # another way to write `urls`
            way = alone if way[-1] == "urls" and alone in lines else way[:-1]
        return lines.get(way, 1)

    return Source(data, file, line_of, base)


class _Wrongs:
    """What is wrong, once for each setting."""

    def __init__(self) -> None:
        self.found: list[tuple[Source, Way, str]] = []

    def tell(self, source: Source, way: Way, message: str) -> None:
        self.found.append((source, way, message))

    def told(self, way: Way) -> bool:
        """Whether something is wrong with the setting already, or with what is in it or around it."""
        return any(way[: len(other)] == other[: len(way)] for _, other, _ in self.found)

    def problems(self, sources: Sequence[Source]) -> list[Problem]:
        """Everything, in the order of the sources and of their lines."""
        placed = [
            (sources.index(source), source.line(way) or 0, source, way, words) for source, way, words in self.found
        ]
        placed.sort(key=lambda each: each[:2])
        return [Problem(source.place(way), dotted(way), words) for _, _, source, way, words in placed]


def _config(sources: Sequence[Source], environment: Mapping[str, str]) -> GatewayConfig:
    wrongs = _Wrongs()
    given: dict[str, Any] = {}
    origins: dict[Way, Source] = {}
    for source in sources:
        wrong = partial(wrongs.tell, source)
        read = Reader(wrong, source.base).gateway(_expanded(source.data, (), environment, wrong))
        models = read.pop("models", {})
        origins.update({("models", name): source for name in models})
        origins.update({(name,): source for name in read})
        given = {**given, **read, "models": {**given.get("models", {}), **models}}
    sources = sources or [Source({}, "")]

    def unless_told(way: Way, message: str) -> None:
        if not wrongs.told(way):
            wrongs.tell(origins.get(way[:2]) or origins.get(way[:1]) or sources[0], way, message)

    config = Reader(unless_told, None).made(given)
    check(config, unless_told)
    if wrongs.found:
        raise ConfigError(wrongs.problems(sources))
    return config


def dotted(way: Way) -> str:
    """A way as people write it: `models.chat.inputs[0].name`."""
    text = ""
    for each in way:
        if isinstance(each, int):
            text += f"[{each}]"
        else:
            name = each if re.fullmatch(r"[\w-]+", each) else f'"{each}"'
            text += f".{name}" if text else name
    return text


# The environment


def _expanded(value: Any, way: Way, environment: Mapping[str, str], wrong: Callable[[Way, str], None]) -> Any:
    """Data with the variables in its texts put in; `MISSING` for a text with one there is not."""
    if isinstance(value, str):
        return _text(value, way, environment, wrong) if "${" in value else value
    if isinstance(value, Mapping):
        return {key: _expanded(each, (*way, key), environment, wrong) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_expanded(each, (*way, place), environment, wrong) for place, each in enumerate(value)]
    return value


def _text(text: str, way: Way, environment: Mapping[str, str], wrong: Callable[[Way, str], None]) -> Any:
    missing: list[str] = []

    def found(match: re.Match[str]) -> str:
        name, otherwise = match.groups()
        if match[0] == "$${":
            return "${"
        if name is None:
            missing.append("")
            return ""
        value = environment.get(name)
        if value is None or (value == "" and otherwise is not None):
            if otherwise is not None:
                return otherwise
            missing.append(name)
            return ""
        return value

    whole = _VARIABLE.sub(found, text)
    for name in missing:
        if name:
            wrong(way, f"the environment has no {name}; set it, or write ${{{name}:-a default}}")
        else:
            wrong(way, "a variable is written ${NAME} or ${NAME:-a default}; for a plain ${ write $${")
    return MISSING if missing else FromEnvironment(whole)


# The command line


def _arguments(texts: Iterable[str]) -> list[Source]:
    sources: dict[str, Source] = {}
    for text in texts:
        source = _argument(text)
        (name,) = source.data["models"]
        if name in sources:  # a second one may be meant as another server, and would silently take the first's place
            words = f"the model is given twice; several servers of one are written --model {name}=URL,URL"
            raise ConfigError([Problem(source.label, dotted(("models", name)), words)])
        sources[name] = source
    return list(sources.values())


def _argument(text: str) -> Source:
    """`NAME=URL[,URL…][,option=value…]`, as data of the shape the file has."""
    label = f"--model {text}"

    def bad(message: str) -> ConfigError:
        return ConfigError([Problem(label, "", f"{message}; NAME=URL[,option=value…] was expected")])

    name, equals, rest = text.partition("=")
    name = name.strip()
    if not equals or not name:
        raise bad("there is no name" if equals else "there is no address")
    model: dict[str, Any] = {}
    urls: list[str] = []
    for part in _parts(rest):
        option, equals, value = part.partition("=")
        if "://" in option or (not equals and not urls and not model):
            urls.append(part.strip())
        elif not equals:
            raise bad(f"{part.strip()!r} is neither an address nor option=value")
        else:
            table = model
            *tables, last = option.strip().replace("-", "_").split(".")
            for each in tables:
                table = table.setdefault(each, {})
                if not isinstance(table, dict):
                    raise bad(f"{option.strip()} is set within something that is no table")
            table[last] = _value(value.strip())
    if urls != [""] and urls:
        model["urls"] = urls
    return Source({"models": {name: model}}, label, base=Path())


def _parts(text: str) -> list[str]:
    """What stands between commas, but for those within quotes and brackets."""
    parts, depth, quote, begun = [], 0, "", 0
    for at, sign in enumerate(text):
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "\"'":
            quote = sign
        elif sign in "[{":
            depth += 1
        elif sign in "]}":
            depth -= 1
        elif sign == "," and depth <= 0:
            parts.append(text[begun:at])
            begun = at + 1
    return [*parts, text[begun:]]


def _value(text: str) -> Any:
    """A value as TOML has it, else the text itself."""
    import tomllib

    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (tomllib.TOMLDecodeError, KeyError):
        return text
