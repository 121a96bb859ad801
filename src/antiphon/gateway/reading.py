"""Reads data as the values of `gateway.config`, whose annotations say what may be where.

What is wrong is told to a function, and reading goes on: whoever writes a configuration sees all of it at once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import MISSING as NO_DEFAULT
from dataclasses import Field, fields, is_dataclass
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Final, Literal, TypeAlias, Union, get_args, get_origin, get_type_hints

from .config import GatewayConfig, KeyConfig, ModelConfig, Patience, TensorConfig
from .lines import Way

__all__ = ("MISSING", "FromEnvironment", "Reader", "nearest")

Wrong: TypeAlias = Callable[[Way, str], None]

EVERY: Final = "*"
"""The name of what all models have."""


class _Missing:
    """Stands where a value should be that has been told of as wrong already."""

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = _Missing()


class FromEnvironment(str):
    """A text that came out of the environment, so that it may be a number as well."""

    __slots__ = ()


def nearest(name: str, known: Collection[str]) -> str:
    """A question whether another name was meant; where none is near, what there is."""
    near = get_close_matches(name, known, 1)
    return f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}" if known else "there are none"


class Reader:
    """Reads the parts of a configuration. Paths of files begin at `base`."""

    def __init__(self, wrong: Wrong, base: Path | None) -> None:
        self.wrong = wrong
        self.base = base

    # What is given: dictionaries of the fields that are set

    def gateway(self, data: Any) -> dict[str, Any]:
        """What is given of a whole configuration, its models as what is given of each."""
        if not isinstance(data, Mapping):
            self.wrong((), f"a table was expected, not {_kind(data)}")
            return {}
        rest = {key: value for key, value in data.items() if key != "models"}
        given = self.record(GatewayConfig, rest, (), "the gateway", hidden=("discovered",))
        models = data.get("models", {})
        if not isinstance(models, Mapping):
            self.wrong(("models",), f"a table [models.NAME] for each model was expected, not {_kind(models)}")
        else:
            given["models"] = {str(name): self.model(str(name), each) for name, each in models.items()}
        return given

    def model(self, name: str, value: Any) -> dict[str, Any]:
        """What is given of a model. A text is the address of its server."""
        way: Way = ("models", name)
        if isinstance(value, str):
            value = {"urls": [value]}
        if isinstance(value, Mapping) and "url" in value and "urls" in value:
            self.wrong((*way, "url"), "either url or urls is written, not both")
        return self.record(ModelConfig, value, way, f"the model {name}", hidden=("name",))

    def record(self, cls: type, value: Any, way: Way, what: str, hidden: Sequence[str] = ()) -> dict[str, Any]:
        """What is given of a table: its fields that are there, `MISSING` where they are not as they should be."""
        if value is MISSING:
            return {}
        if not isinstance(value, Mapping):
            self.wrong(way, f"a table was expected, not {_kind(value)}")
            return {}
        known = {each.name: each for each in fields(cls) if each.name not in hidden}
        hints = _hints(cls)
        given: dict[str, Any] = {}
        for key, each in value.items():
            name = _ALIASES.get(str(key), str(key).replace("-", "_"))
            if name not in known or (name != key and key in _ALIASES and cls is not ModelConfig):
                self.wrong((*way, str(key)), f"{what} has no such setting; {_meant(name, list(known), top=not way)}")
                continue
            found = self.value(hints[name], each, (*way, str(key)))
            given[name] = self._placed(known[name], self._within(known[name], found, (*way, str(key))))
        return given

    def _placed(self, field: Field[Any], value: Any) -> Any:
        """A path as it is from here, where a field is one."""
        path = field.metadata.get("path")
        if path is None or self.base is None or not isinstance(value, str) or "\n" in value or "{{" in value:
            return value
        if isinstance(path, str) and path.startswith(".") and not value.endswith(path):
            return value
        whole = self.base / Path(value).expanduser()
        return str(whole) if path is True or _is_file(whole) else value

    def _within(self, field: Field[Any], value: Any, way: Way) -> Any:
        least, most = field.metadata.get("least"), field.metadata.get("most")
        if not isinstance(value, (int, float)) or (least is None and most is None):
            return value
        if (least is None or value >= least) and (most is None or value <= most):
            return value
        span = f"from {least} to {most}" if most is not None else f"from {least} on"
        self.wrong(way, f"a number {span} was expected, not {value:g}")
        return MISSING

    # Values by their annotation

    def value(self, kind: Any, value: Any, way: Way) -> Any:
        """A value of a kind that an annotation names; `MISSING` where it is none."""
        if value is MISSING:
            return MISSING
        origin = get_origin(kind)
        if origin in (Union, UnionType):
            return self._union(get_args(kind), value, way)
        if origin is Literal:
            return self._choice([str(each) for each in get_args(kind)], value, way)
        if origin is tuple or origin is Sequence or origin is frozenset:
            return self._items(kind, value, way)
        if origin is Mapping:
            return self._table(get_args(kind)[1], value, way)
        if is_dataclass(kind) and isinstance(kind, type):
            return self.record(kind, value, way, _WHAT.get(kind, "this"))
        read = _SIMPLE.get(kind)
        return value if read is None else read(self, value, way)

    def _union(self, kinds: Sequence[Any], value: Any, way: Way) -> Any:
        choices = [str(each) for kind in kinds if get_origin(kind) is Literal for each in get_args(kind)]
        others = [kind for kind in kinds if kind is not NoneType and get_origin(kind) is not Literal]
        if NoneType in kinds and (value == "none" or value is False) and others[0] not in (bool, str):
            return None  # TOML has nothing for nothing
        if choices and (others == [str] or not others or value in choices):
            return self._choice(choices, value, way)
        return self.value(others[0], value, way)

    def _choice(self, choices: Sequence[str], value: Any, way: Way) -> Any:
        if isinstance(value, str) and value in choices:
            return str(value)
        shown = f"{value!r}" if isinstance(value, str) else _kind(value)
        near = f"; {nearest(value, choices)}" if isinstance(value, str) and get_close_matches(value, choices, 1) else ""
        self.wrong(way, f"{_or(choices)} was expected, not {shown}{near}")
        return MISSING

    def _items(self, kind: Any, value: Any, way: Way) -> Any:
        origin: Any = get_origin(kind)
        of = get_args(kind)[0]
        if isinstance(value, str) and of is str:
            value = [value]
        if not isinstance(value, (list, tuple, frozenset, set)):
            self.wrong(way, f"a list was expected, not {_kind(value)}")
            return MISSING
        items = [self.value(of, each, (*way, place)) for place, each in enumerate(value)]
        if any(each is MISSING for each in items):
            return MISSING
        return frozenset(items) if origin is frozenset else tuple(items)

    def _table(self, of: Any, value: Any, way: Way) -> Any:
        if not isinstance(value, Mapping):
            self.wrong(way, f"a table was expected, not {_kind(value)}")
            return MISSING
        read = {str(key): self.value(of, each, (*way, str(key))) for key, each in value.items()}
        return MISSING if any(each is MISSING for each in read.values()) else read

    def text(self, value: Any, way: Way) -> Any:
        if isinstance(value, str):
            return str(value)
        self.wrong(way, f"a text in quotes was expected, not {_kind(value)}")
        return MISSING

    def whole(self, value: Any, way: Way) -> Any:
        if isinstance(value, FromEnvironment) and value.strip().lstrip("-").isdigit():
            value = int(value)
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        self.wrong(way, f"a whole number was expected, not {_kind(value)}")
        return MISSING

    def number(self, value: Any, way: Way) -> Any:
        if isinstance(value, FromEnvironment):
            with suppress(ValueError):
                value = float(value)
        if isinstance(value, (int, float)) and not isinstance(value, bool) and value == value:
            return float(value)
        self.wrong(way, f"a number was expected, not {_kind(value)}")
        return MISSING

    def flag(self, value: Any, way: Way) -> Any:
        if isinstance(value, FromEnvironment):
            value = {"true": True, "1": True, "false": False, "0": False}.get(value.lower(), value)
        if isinstance(value, bool):
            return value
        self.wrong(way, f"true or false was expected, not {_kind(value)}")
        return MISSING

    # What is made of it

    def made(self, given: Mapping[str, Any]) -> GatewayConfig:
        """The configuration of what is given."""
        models: Mapping[str, dict[str, Any]] = given.get("models", {})
        every = models.get(EVERY, {})
        made = {
            name: self._model(name, _merged(every, each), ("models", name))
            for name, each in models.items()
            if name != EVERY
        }
        told = enumerate(_there(given).get("keys", ()))
        keys = tuple(self._record(KeyConfig, each, ("keys", place)) for place, each in told)
        rest = {name: value for name, value in _there(given).items() if name not in ("models", "keys")}
        return GatewayConfig(**rest, models=made, keys=keys, discovered=self._model(EVERY, every, ("models", EVERY)))

    def _model(self, name: str, given: Mapping[str, Any], way: Way) -> ModelConfig:
        whole = _there(given)
        for field in ("inputs", "outputs"):
            told = enumerate(whole.get(field, ()))
            whole[field] = tuple(self._record(TensorConfig, each, (*way, field, place)) for place, each in told)
        if "patience" in whole:
            whole["patience"] = Patience(**_there(whole["patience"]))
        return ModelConfig(name=name, **whole)

    def _record(self, cls: type, given: Mapping[str, Any], way: Way) -> Any:
        """A value, with nothing in place of what it lacks, so that the rest of it is looked at as well."""
        needed = [
            each.name for each in fields(cls) if each.default is NO_DEFAULT and each.default_factory is NO_DEFAULT
        ]
        for name in needed:
            if name not in given:
                self.wrong((*way, name), f"{_WHAT.get(cls, 'this')} needs one")
        return cls(**{**dict.fromkeys(needed, ""), **_there(given)})


def _meant(name: str, known: Sequence[str], *, top: bool) -> str:
    if not top and not get_close_matches(name, known, 1):
        whole = get_close_matches(name, [each.name for each in fields(GatewayConfig)], 1)
        if whole:
            return f"{whole[0]} is one of the gateway, which stand before the first table"
    return nearest(name, known)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a text that is no path
        return False


def _there(given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if value is not MISSING}


def _merged(every: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """What a model has of its own on top of what all have; tables are merged."""
    merged = {**every, **own}
    for name, value in every.items():
        mine = own.get(name)
        if isinstance(value, dict) and isinstance(mine, dict):
            merged[name] = {**value, **mine}
    return merged


@cache
def _hints(cls: type) -> dict[str, Any]:
    return get_type_hints(cls)


def _or(choices: Sequence[str]) -> str:
    *most, last = choices
    return f"{', '.join(most)} or {last}" if most else last


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return f"the number {value}"
    if isinstance(value, str):
        return f"the text {value!r}"
    kinds = {list: "a list", tuple: "a list", dict: "a table", NoneType: "nothing"}
    return kinds.get(type(value), type(value).__name__)


_ALIASES: Final = {"url": "urls"}
_WHAT: Final[dict[type, str]] = {Patience: "patience", TensorConfig: "a tensor", KeyConfig: "a key"}
_SIMPLE: Final[dict[Any, Callable[[Reader, Any, Way], Any]]] = {
    str: Reader.text,
    int: Reader.whole,
    float: Reader.number,
    bool: Reader.flag,
}
