"""A view is a typed face on a JSON object. The dict is the state; the class only says how to read it.

Nothing is built until it is read, unknown fields survive, and what is missing, null or new never raises:
a declared field that is absent reads as `None`. Fields are read with `view.field`; `view["field"]` gives the
JSON value itself. Assigning a field writes through to the dict. A field that holds a list of objects is read
as a fresh list of views over them: to change the list itself, change `view["field"]`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from types import NoneType, UnionType
from typing import (
    TYPE_CHECKING,
    Any,
    ClassVar,
    Literal,
    Self,
    TypeAlias,
    Union,
    dataclass_transform,
    get_args,
    get_origin,
)

from .lazy import Stated, evaluate

__all__ = ("View", "plain", "wrapper")

Wrap: TypeAlias = Callable[[Any], Any]

_VOCABULARY = re.compile(r"(Literal\[[^\[\]]*\])(?: \| (?:str|int|float|bool|None))*")
_PLAIN = frozenset(
    text + suffix
    for text in (
        "str",
        "int",
        "float",
        "bool",
        "object",
        "dict[str, str]",
        "dict[str, object]",
        "list[str]",
        "list[int]",
        "list[float]",
    )
    for suffix in ("", " | None")
)


_SECRET = frozenset(("signing_secret",))
"""Fields that are not printed: what is printed ends up in logs."""


@dataclass_transform(kw_only_default=True)
class View:
    """Base of every response type. Construct one from its fields, or lay one over a dict with `View.of`."""

    __slots__ = ("__weakref__", "_data", "_request_id")
    _data: dict[str, Any]
    _request_id: str | None
    _keys: ClassVar[dict[str, str]] = {}
    """Attribute names whose JSON key differs, such as `schema_`."""
    __view_fields__: ClassVar[dict[str, str]] = {}
    """Every declared field in order, with its annotation as text."""

    def __init__(self, **fields: Any) -> None:
        keys = type(self)._keys
        self._data = {keys.get(name, name): plain(value) for name, value in fields.items()}

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Self:
        """A view over `data`, which is not copied."""
        self = cls.__new__(cls)
        self._data = data  # type: ignore[assignment]
        return self

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        annotations = {name: Stated.of(each) for name, each in cls.__annotations__.items()}
        own = {
            name: text
            for name, text in annotations.items()
            if not name.startswith("_") and not text.startswith("ClassVar")
        }
        cls.__view_fields__ = {**cls.__view_fields__, **own}
        for name, text in own.items():
            key = cls._keys.get(name, name)
            plainly = text in _PLAIN or _VOCABULARY.fullmatch(text)
            setattr(cls, name, _field(key) if plainly else _wrapped(cls, name, key, text))

    # Reading

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            if name == "_request_id":
                return None
            if name != "_data" and name in self._data:
                return self._data[name]
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

        def __setattr__(self, name: str, value: Any) -> None:
            if name in View.__slots__ or name in self.__view_fields__:
                object.__setattr__(self, name, value)
            elif name == "__orig_class__":  # what `typing` puts on an instance of `Class[T](...)`
                return
            else:
                self._data[name] = plain(value)

    def __getitem__(self, key: str) -> Any:
        return self._data[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self._data[key] = plain(value)

    def __contains__(self, key: object) -> bool:
        return key in self._data

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        """Names and values: of every declared field in the order of the type, then of the others."""
        for name in self.__view_fields__:
            yield name, getattr(self, name)
        yield from self.model_extra.items()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, View):
            return NotImplemented
        return type(self) is type(other) and self._data == other._data

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.__rich_repr__())})"

    def __rich_repr__(self) -> Iterator[tuple[str, Any]]:
        names = {key: name for name, key in self._keys.items()}
        for key, value in self._data.items():
            if key in _SECRET:
                continue
            name = names.get(key, key)
            yield name, getattr(self, name) if isinstance(getattr(type(self), name, None), property) else value

    def __dir__(self) -> list[str]:
        return sorted({*object.__dir__(self), *self._data})

    def _sent(self) -> dict[str, Any]:
        """The JSON object as it goes into a request."""
        return self._data

    # Copies

    def __copy__(self) -> Self:
        return self._like(dict(self._data))

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        from copy import deepcopy

        return self._like(deepcopy(self._data, memo))

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (type(self), self._data, self._request_id)

    def _like(self, data: dict[str, Any]) -> Self:
        copy = self.of(data)
        copy._request_id = self._request_id
        return copy

    # The methods pydantic's models have

    @property
    def model_fields_set(self) -> set[str]:
        """Names of the declared fields that the object has."""
        return {name for name in self.__view_fields__ if self._keys.get(name, name) in self._data}

    @property
    def model_extra(self) -> dict[str, Any]:
        """Fields that the object has and the type does not declare."""
        declared = {self._keys.get(name, name) for name in self.__view_fields__}
        return {key: value for key, value in self._data.items() if key not in declared}

    def to_dict(
        self,
        *,
        mode: Literal["json", "python"] | str = "python",
        use_api_names: bool = True,
        exclude_unset: bool = True,
        exclude_defaults: bool = False,
        exclude_none: bool = False,
        warnings: bool = True,
    ) -> dict[str, Any]:
        """A copy of the JSON object: what the API sent, unless told to fill in or leave out."""
        return _dump(self, not use_api_names, not exclude_unset, exclude_none or exclude_defaults)

    def to_json(
        self,
        *,
        indent: int | None = 2,
        use_api_names: bool = True,
        exclude_unset: bool = True,
        exclude_defaults: bool = False,
        exclude_none: bool = False,
        warnings: bool = True,
    ) -> str:
        """`to_dict` as JSON text."""
        return _json(_dump(self, not use_api_names, not exclude_unset, exclude_none or exclude_defaults), indent)

    def model_dump(
        self,
        *,
        mode: Literal["json", "python"] | str = "python",
        include: set[str] | None = None,
        exclude: set[str] | None = None,
        by_alias: bool | None = None,
        exclude_unset: bool = False,
        exclude_defaults: bool = False,
        exclude_none: bool = False,
        **ignored: Any,
    ) -> dict[str, Any]:
        """The object as nested dicts, declared fields that are absent as `None`."""
        dumped = _dump(self, not by_alias, not (exclude_unset or exclude_defaults), exclude_none or exclude_defaults)
        return {
            name: value
            for name, value in dumped.items()
            if (include is None or name in include) and (exclude is None or name not in exclude)
        }

    def model_dump_json(self, *, indent: int | None = None, **options: Any) -> str:
        """`model_dump` as JSON text."""
        return _json(self.model_dump(**options), indent)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy, with some fields set anew."""
        copy = self.__deepcopy__({}) if deep else self.__copy__()
        for name, value in (update or {}).items():
            setattr(copy, name, value)
        return copy

    @classmethod
    def model_construct(cls, _fields_set: set[str] | None = None, **values: Any) -> Self:
        """`View.of` over keyword arguments; nothing is checked."""
        return cls(**values)

    construct = model_construct

    @classmethod
    def model_validate(cls, obj: Any, **ignored: Any) -> Self:
        """A view over a mapping or over what another view lies over. Raises `ValueError` for anything else."""
        if isinstance(obj, cls):
            return obj
        data = obj._data if isinstance(obj, View) else obj
        if not isinstance(data, Mapping):
            raise ValueError(f"a {cls.__name__} is made from a mapping, not from {type(obj).__name__}")
        return cls.of(data if isinstance(data, dict) else dict(data))

    @classmethod
    def model_validate_json(cls, json_data: str | bytes, **ignored: Any) -> Self:
        """A view over JSON text. Raises `ValueError` when it is not a JSON object."""
        import orjson

        return cls.model_validate(orjson.loads(json_data))

    @classmethod
    def model_json_schema(cls, **ignored: Any) -> dict[str, Any]:
        """The JSON Schema of the type, with the types inside it under `$defs`."""
        from .view_schema import json_schema

        return json_schema(cls)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        from .view_schema import core_schema_of

        return core_schema_of(cls)

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: Any, handler: Any) -> Any:
        from .view_schema import pydantic_json_schema

        return pydantic_json_schema(cls, handler)


_DATA: Any = View.__dict__["_data"]
"""The slot itself: a plain assignment would go through `View.__setattr__`."""


def _restore(cls: type[View], data: Any, request_id: str | None) -> View:
    view = cls.of(data)
    view._request_id = request_id
    return view


def plain(value: Any) -> Any:
    """JSON data with every view in it replaced by the dict it lies over."""
    if isinstance(value, View):
        return value._data
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return value


# Fields


def _field(key: str) -> property:
    def get(self: View) -> Any:
        return self._data.get(key)

    def put(self: View, value: Any) -> None:
        self._data[key] = plain(value)

    return property(get, put)


def _wrapped(cls: type[View], name: str, key: str, annotation: str) -> property:
    """A field of other types than JSON's; which they are is found out when it is first read."""

    def get(self: View) -> Any:
        made = property(_getter(key, evaluate(annotation, cls.__module__)), put)
        setattr(cls, name, made)
        return made.__get__(self)

    def put(self: View, value: Any) -> None:
        self._data[key] = plain(value)

    return property(get, put)


def _getter(key: str, annotation: Any) -> Callable[[View], Any]:
    """What reads a field. An object, and a list of objects, are what is read most: they take one call of Python."""
    members = [each for each in get_args(annotation) if each is not NoneType] if _is_union(annotation) else [annotation]
    member = members[0] if len(members) == 1 else None
    if isinstance(member, type) and issubclass(member, View):
        return _get_object(key, member)
    if get_origin(member) is list:
        item = get_args(member)[0]
        if isinstance(item, type) and issubclass(item, View):
            return _get_objects(key, item)
    return _get_wrapped(key, wrapper(annotation) or _same)


def _is_union(annotation: Any) -> bool:
    return get_origin(annotation) in (Union, UnionType)


def _get_object(key: str, cls: type[View]) -> Callable[[View], Any]:
    new, put = cls.__new__, _DATA.__set__

    def get(self: View) -> Any:
        value = self._data.get(key)
        if value.__class__ is not dict:
            return value
        view = new(cls)
        put(view, value)
        return view

    return get


def _get_objects(key: str, cls: type[View]) -> Callable[[View], Any]:
    new, put = cls.__new__, _DATA.__set__

    def get(self: View) -> Any:
        value: Any = self._data.get(key)
        if value.__class__ is not list:
            return value
        views: list[Any] = []
        for each in value:
            if each.__class__ is dict:
                view = new(cls)
                put(view, each)
                views.append(view)
            else:
                views.append(each)
        return views

    return get


def _get_wrapped(key: str, wrap: Wrap) -> Callable[[View], Any]:
    def get(self: View) -> Any:
        value = self._data.get(key)
        return None if value is None else wrap(value)

    return get


def _same(value: Any) -> Any:
    return value


# Wrapping: from an annotation to the function that reads a JSON value as it


def wrapper(annotation: Any) -> Wrap | None:
    """How to read a JSON value as `annotation`; `None` where it is read as it stands."""
    if isinstance(annotation, type) and issubclass(annotation, View):
        return _object(annotation)
    origin = get_origin(annotation)
    if origin is None or origin is Literal:
        return None
    members = get_args(annotation)
    if origin is list:
        return _list(wrapper(members[0]))
    if origin is dict:
        return _dict(wrapper(members[1]))
    if isinstance(origin, type) and issubclass(origin, View):
        return _object(origin)
    return _union(list(_flat(members)))


def _object(cls: type[View]) -> Wrap:
    new, put = cls.__new__, _DATA.__set__

    def wrap(value: Any) -> Any:
        if value.__class__ is not dict:
            return value
        view = new(cls)
        put(view, value)
        return view

    return wrap


def _list(item: Wrap | None) -> Wrap | None:
    if item is None:
        return None

    def wrap(value: Any) -> Any:
        return [item(each) for each in value] if value.__class__ is list else value

    return wrap


def _dict(item: Wrap | None) -> Wrap | None:
    if item is None:
        return None

    def wrap(value: Any) -> Any:
        return {key: item(each) for key, each in value.items()} if value.__class__ is dict else value

    return wrap


def _flat(members: tuple[Any, ...]) -> Iterator[Any]:
    for member in members:
        origin = get_origin(member)
        if isinstance(origin, type) and issubclass(origin, View):
            yield origin
        elif not isinstance(member, type) and origin not in (None, list, dict, Literal):
            yield from _flat(get_args(member))
        else:
            yield member


def _union(members: list[Any]) -> Wrap | None:
    """An object goes to the member its tag or its keys point to, a list to the list member, the rest as it is."""
    views = [member for member in members if isinstance(member, type) and issubclass(member, View)]
    as_object = (_tagged(views) if len(views) > 1 else _object(views[0])) if views else None
    if as_object is None:
        as_object = next((w for m in members if get_origin(m) is dict and (w := wrapper(m))), None)
    as_list = next((w for m in members if get_origin(m) is list and (w := wrapper(m))), None)
    if as_object is None and as_list is None:
        return None

    def wrap(value: Any) -> Any:
        kind = value.__class__
        if kind is dict:
            return as_object(value) if as_object is not None else value
        if kind is list:
            return as_list(value) if as_list is not None else value
        return value

    return wrap


def _tagged(members: list[type[View]]) -> Wrap:
    tags = {member: _literals(member) for member in members}
    counts: dict[str, int] = {}
    for literals in tags.values():
        for key in literals:
            counts[key] = counts.get(key, 0) + 1
    shared = [key for key in counts if counts[key] > 1]
    tag = max(shared, key=lambda key: (*_telling([tags[m].get(key, ()) for m in members]), counts[key]), default=None)
    by_tag: dict[Any, list[type[View]]] = {}
    untagged = [member for member in members if tag is None or tag not in tags[member] or tag not in _required(member)]
    for member in members:
        for value in tags[member].get(tag or "", ()):
            by_tag.setdefault(value, []).append(member)
    required = {member: _required(member) for member in members}

    def choose(value: dict[str, Any]) -> type[View]:
        try:
            found = by_tag.get(value.get(tag)) if tag is not None else None
        except TypeError:  # a tag that is itself an object
            found = None
        candidates = found or untagged or members
        if len(candidates) == 1:
            return candidates[0]
        keys = value.keys()
        most = False, False, -1_000_000
        alike: list[type[View]] = []
        for member in candidates:
            literals, needed = tags[member], required[member]
            likeness = (
                needed <= keys,
                not literals or all(value.get(k) in v for k, v in literals.items() if k in value),
                len(keys & member.__view_fields__.keys()) - len(needed - keys),
            )
            if likeness > most:
                most, alike = likeness, [member]
            elif likeness == most:
                alike = [*alike, member]
        return alike[0] if len(alike) == 1 else max(alike, key=lambda member: _fitting(member, value))

    if tag is not None and all(len(found) == 1 for found in by_tag.values()):
        direct = {value: _object(found[0]) for value, found in by_tag.items()}

        def wrap_direct(value: dict[str, Any]) -> Any:
            try:
                known = direct.get(value.get(tag))
            except TypeError:
                known = None
            return known(value) if known is not None else choose(value).of(value)

        return wrap_direct
    return lambda value: choose(value).of(value)


_SCALARS = {"str": (str,), "int": (int,), "float": (int, float), "bool": (bool,)}


def _fitting(cls: type[View], value: dict[str, Any]) -> int:
    """How many fields of plain types have a value of that type. `True` is no number."""
    fitting = 0
    for name, text in cls.__view_fields__.items():
        types = _SCALARS.get(text.removesuffix(" | None"))
        found = value.get(cls._keys.get(name, name))
        if types is not None and isinstance(found, types) and (types == (bool,) or not isinstance(found, bool)):
            fitting += 1
    return fitting


def _telling(vocabularies: list[tuple[Any, ...]]) -> tuple[int, int]:
    """How well a field tells members apart: how many have values of their own only, and how many values there are."""
    holders: dict[Any, int] = {}
    for values in vocabularies:
        for value in values:
            holders[value] = holders.get(value, 0) + 1
    return sum(1 for values in vocabularies if values and all(holders[v] == 1 for v in values)), len(holders)


def _literals(cls: type[View]) -> dict[str, tuple[Any, ...]]:
    """The fields of a type that have certain values, under their JSON keys."""
    return {
        cls._keys.get(name, name): get_args(evaluate(found[1], cls.__module__))
        for name, text in cls.__view_fields__.items()
        if (found := _VOCABULARY.fullmatch(text))
    }


def _required(cls: type[View]) -> frozenset[str]:
    return frozenset(
        cls._keys.get(name, name) for name, text in cls.__view_fields__.items() if not text.endswith("| None")
    )


# Dumping


def _dump(view: View, python_names: bool, fill: bool, drop_none: bool) -> dict[str, Any]:
    names = {key: name for name, key in view._keys.items()} if python_names else {}
    dumped: dict[str, Any] = {}
    for name in view.__view_fields__:
        key = view._keys.get(name, name)
        if key in view._data:
            dumped[name if python_names else key] = _dumped(getattr(view, name), python_names, fill, drop_none)
        elif fill:
            dumped[name if python_names else key] = None
    for key, value in view._data.items():
        name = names.get(key, key)
        if name not in dumped:
            dumped[name] = _dumped(value, python_names, fill, drop_none)
    return {key: value for key, value in dumped.items() if value is not None} if drop_none else dumped


def _dumped(value: Any, python_names: bool, fill: bool, drop_none: bool) -> Any:
    if isinstance(value, View):
        return _dump(value, python_names, fill, drop_none)
    if isinstance(value, list):
        return [_dumped(item, python_names, fill, drop_none) for item in value]
    if isinstance(value, dict):
        return {key: _dumped(item, python_names, fill, drop_none) for key, item in value.items()}
    return value if isinstance(value, _JSON) else _plainly(value)


_JSON = (str, int, float, NoneType)


def _plainly(value: Any) -> Any:
    """What an answer was parsed into, as JSON again: a model of pydantic, a dataclass, a struct of msgspec."""
    import dataclasses

    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    if hasattr(value, "__struct_fields__"):
        import msgspec

        return msgspec.to_builtins(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {each.name: _plainly(getattr(value, each.name)) for each in dataclasses.fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plainly(item) for item in value]
    if isinstance(value, dict):
        return {key: _plainly(item) for key, item in value.items()}
    return value if isinstance(value, _JSON) else str(value)


def _json(value: Any, indent: int | None) -> str:
    import json

    if indent is None:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return json.dumps(value, ensure_ascii=False, indent=indent)
