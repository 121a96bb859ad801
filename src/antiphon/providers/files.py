"""Providers and aliases from a file.

    default = "groq"                          the provider of plain model names; "openai" unless said

    [providers.work]
    base_url = "https://llm.example.com/v1"
    api_key = "${WORK_KEY}"                   or WORK_API_KEY in the environment

    [providers.groq]                          a preset: what is said here overrides it
    timeout = 20

    [models]
    fast = "groq:llama-3.1-8b-instant"        an alias
    smart = { provider = "work", model = "big" }

JSON has the same shape; `baseURL` and `apiKey` are understood too.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, NamedTuple

from .lines import line_in_json, line_in_toml
from .presets import PRESETS
from .provider import Provider, ProviderError

__all__ = ("ENVIRONMENT", "Alias", "Said", "find", "read", "read_data")

ENVIRONMENT: Final = "ANTIPHON_PROVIDERS"
"""The variable that names the file."""

_STRINGS = ("base_url", "api_key", "organization", "project")
_KEYS: Final[dict[str, str]] = {
    "baseurl": "base_url",
    "apikey": "api_key",
    "maxretries": "max_retries",
    "keynames": "key_names",
    "keyneeded": "key_needed",
}
"""Other ways of writing the keys, without case and underscores."""
_KNOWN: Final = (*_STRINGS, "key_names", "key_needed", "headers", "query", "timeout", "max_retries")


class Alias(NamedTuple):
    """A name for a model of a provider."""

    provider: str
    model: str


class Said(NamedTuple):
    """What a file, or the arguments, say."""

    providers: dict[str, Provider]
    models: dict[str, Alias]
    default: str | None


def places() -> Iterator[Path]:
    """Where a file is looked for, in order: the first that is there is read, the others are not."""
    names = ("antiphon-providers.toml", "antiphon-providers.json")
    for name in names:
        yield Path(name)
    home = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    for name in names:
        yield Path(home).expanduser() / "antiphon" / name.removeprefix("antiphon-")


def find() -> Path | None:
    """The file to read: `ANTIPHON_PROVIDERS`, else `antiphon-providers.toml` or `.json` in the working directory, else
    `antiphon/providers.toml` or `.json` under `XDG_CONFIG_HOME` (`~/.config`). `None` where there is none.

    Raises `ProviderError` where the variable names a file that is not there.
    """
    named = os.environ.get(ENVIRONMENT)
    if named:
        path = Path(named).expanduser()
        if not path.is_file():
            raise ProviderError(f"{ENVIRONMENT} names {named}, which is not a file")
        return path
    return next((path for path in places() if path.is_file()), None)


def read(path: str | os.PathLike[str]) -> Said:
    """Read a file. Raises `ProviderError` with the line for what is wrong in it, `OSError` where it cannot be read."""
    where = Path(path).expanduser()
    text = where.read_text(encoding="utf-8")
    decode, line_of = (_json, line_in_json) if where.suffix.lower() == ".json" else (_toml, line_in_toml)
    data = decode(text, str(where))

    def line(way: tuple[str, ...]) -> int | None:
        return line_of(text, way)

    return read_data(data, str(where), line)


def _toml(text: str, file: str) -> Any:
    import re
    import tomllib

    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r" \(at line (\d+), column \d+\)", str(error))
        line = int(found[1]) if found else text.count("\n") + 1
        raise ProviderError(f"this is not TOML: {str(error).partition(' (at ')[0]}", file, line) from None


def _json(text: str, file: str) -> Any:
    from json import JSONDecodeError, loads

    try:
        return loads(text)
    except JSONDecodeError as error:
        raise ProviderError(f"this is not JSON: {error.msg}", file, error.lineno) from None


class _Reader:
    """Reads decoded data, and says where something is wrong."""

    def __init__(self, file: str | None, line: Callable[[tuple[str, ...]], int | None]) -> None:
        self.file = file
        self.line = line

    def wrong(self, message: str, *way: str) -> ProviderError:
        return ProviderError(message, self.file, self.line(way))

    def table(self, value: Any, what: str, *way: str) -> Mapping[str, Any]:
        if not isinstance(value, Mapping):
            raise self.wrong(f"{what} must be a table, not {_kind(value)}", *way)
        return value

    def text(self, value: Any, what: str, *way: str) -> str:
        if not isinstance(value, str) or not value:
            raise self.wrong(f"{what} must be a text, not {_kind(value) if value != '' else 'an empty one'}", *way)
        return value

    def provider(self, name: str, value: Any) -> Provider:
        way = ("providers", name)
        if isinstance(value, Provider):
            return replace(value, name=name)
        if isinstance(value, str):
            value = {"base_url": value}
        said: dict[str, Any] = {}
        for key, each in self.table(value, f"provider '{name}'", *way).items():
            known = _KEYS.get(key.replace("_", "").replace("-", "").lower(), key)
            if known not in _KNOWN:
                raise self.wrong(
                    f"provider '{name}' has an unknown key '{key}'; known are {', '.join(_KNOWN)}", *way, key
                )
            said[known] = self.checked(known, each, f"'{key}' of provider '{name}'", (*way, key))
        preset = PRESETS.get(name)
        if preset is None and "base_url" not in said:
            raise self.wrong(f"provider '{name}' needs a base_url, for it is no preset", *way)
        base = preset or Provider(name, "")
        return replace(base, **said, file=self.file, line=self.line(way))

    def checked(self, key: str, value: Any, what: str, way: tuple[str, ...]) -> Any:
        if key in _STRINGS:
            if key == "base_url" and isinstance(value, str) and not value.startswith(("http://", "https://", "${")):
                raise self.wrong(f"{what} must begin with http:// or https://; it is {value!r}", *way)
            return self.text(value, what, *way)
        if key in ("headers", "query"):
            table = self.table(value, what, *way)
            return {name: self.text(each, f"'{name}' in {what}", *way, name) for name, each in table.items()}
        if key == "key_names":
            names = [value] if isinstance(value, str) else value
            if not isinstance(names, (list, tuple)):
                raise self.wrong(f"{what} must be a list of names, not {_kind(value)}", *way)
            return tuple(self.text(each, f"a name in {what}", *way) for each in names)
        if key == "key_needed":
            if not isinstance(value, bool):
                raise self.wrong(f"{what} must be true or false, not {_kind(value)}", *way)
            return value
        number = isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0
        if not number or (key == "max_retries" and not isinstance(value, int)):
            kind = "a whole number" if key == "max_retries" else "a number of seconds"
            raise self.wrong(f"{what} must be {kind}, not {value!r}", *way)
        return value

    def alias(self, name: str, value: Any, providers: Mapping[str, Provider]) -> Alias:
        way = ("models", name)
        if isinstance(value, tuple) and len(value) == 2:
            provider, model = value
        elif isinstance(value, str):
            provider, colon, model = self.text(value, f"alias '{name}'", *way).partition(":")
            if not colon:
                raise self.wrong(f"alias '{name}' must be 'provider:model'; it is {value!r}", *way)
        else:
            table = self.table(value, f"alias '{name}'", *way)
            provider = self.text(table.get("provider"), f"'provider' of alias '{name}'", *way, "provider")
            model = self.text(table.get("model"), f"'model' of alias '{name}'", *way, "model")
        if provider not in providers and provider not in PRESETS:
            raise self.wrong(f"alias '{name}' names the provider '{provider}', which there is not", *way, "provider")
        return Alias(provider, model)


def read_data(
    data: Any, file: str | None = None, line: Callable[[tuple[str, ...]], int | None] = lambda way: None
) -> Said:
    """What decoded data says. Raises `ProviderError` for what it may not say."""
    reader = _Reader(file, line)
    whole = reader.table(data, "the file")
    for key in whole:
        if key not in ("providers", "models", "default"):
            raise reader.wrong(f"unknown key '{key}'; known are providers, models and default", key)
    providers: dict[str, Provider] = {}
    for name, value in reader.table(whole.get("providers") or {}, "'providers'", "providers").items():
        if ":" in name:
            raise reader.wrong(f"a provider's name has no colon: {name!r}", "providers", name)
        providers[name] = reader.provider(name, value)
    aliases = reader.table(whole.get("models") or {}, "'models'", "models")
    models = {name: reader.alias(name, value, providers) for name, value in aliases.items()}
    default = whole.get("default")
    if default is not None and default not in providers and default not in PRESETS:
        raise reader.wrong(f"the default provider {default!r} is none there is", "default")
    return Said(providers, models, default)


def _kind(value: Any) -> str:
    kinds = {str: "a text", bool: "true or false", int: "a number", float: "a number", list: "a list", dict: "a table"}
    return "nothing" if value is None else kinds.get(type(value), type(value).__name__)
