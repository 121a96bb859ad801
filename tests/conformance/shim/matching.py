"""`assert_matches_type`, as the suite has it, for views: every field of every object against what its type declares.

A view checks nothing when it is made, so this is where it is seen whether the server's answer is what the types say
and whether it was read as the right ones.
"""

from __future__ import annotations

import types
from collections.abc import Sequence
from datetime import date, datetime
from functools import cache
from inspect import get_annotations
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from antiphon.kernel.binary import HttpxBinaryResponseContent
from antiphon.kernel.lazy import evaluate
from antiphon.kernel.view import View

_SCALARS: dict[Any, tuple[type, ...]] = {
    # JSON does not tell 1 from 1.0, and a view reads what was sent.
    float: (float, int),
    int: (int,),
    str: (str,),
    bool: (bool,),
    bytes: (bytes,),
    datetime: (datetime,),
    date: (date,),
}


@cache
def fields_of(model: type[View]) -> dict[str, Any]:
    """The declared fields of a view and their types."""
    homes = {name: each.__module__ for each in reversed(model.__mro__) for name in get_annotations(each)}
    return {name: evaluate(text, homes[name]) for name, text in model.__view_fields__.items()}


def assert_matches_model(model: Any, value: Any, *, path: list[str]) -> bool:
    cls = get_origin(model) or model
    # A member of a union was chosen by what the server sent: exactly this type, or the parametrised form of it.
    assert isinstance(value, cls), f"{'.'.join(path)}: {type(value).__name__} is not {cls.__name__}"
    for name, annotation in fields_of(cls).items():
        assert_matches_type(annotation, getattr(value, name), path=[*path, name])
    items = get_args(model)
    if items and hasattr(value, "_get_page_items"):
        assert_matches_type(list[items[0]], value.data, path=[*path, "data"])  # type: ignore[valid-type]
        assert isinstance(value["data"], list), f"{'.'.join(path)}: there is no list of data"
    return True


def assert_matches_type(type_: Any, value: Any, *, path: list[str], allow_none: bool = False) -> None:
    where = ".".join(path)
    while get_origin(type_) is Annotated or hasattr(type_, "__value__"):
        type_ = type_.__value__ if hasattr(type_, "__value__") else get_args(type_)[0]
    origin = get_origin(type_) or type_
    if type_ in (None, types.NoneType):
        assert value is None, f"{where}: {value!r} is not None"
    elif allow_none and value is None:
        return
    elif type_ in (object, Any) or isinstance(type_, TypeVar):
        return
    elif type_ in _SCALARS:
        assert isinstance(value, _SCALARS[type_]), f"{where}: {value!r} is not {type_.__name__}"
        assert type_ is bool or not isinstance(value, bool), f"{where}: {value!r} is not {type_.__name__}"
    elif origin is Literal:
        assert value in get_args(type_), f"{where}: {value!r} is not one of {get_args(type_)}"
    elif origin in (list, Sequence):
        assert isinstance(value, list), f"{where}: {value!r} is not a list"
        for index, item in enumerate(value):
            assert_matches_type(get_args(type_)[0], item, path=[*path, str(index)])
    elif origin is dict:
        assert isinstance(value, dict), f"{where}: {value!r} is not an object"
        for key, item in value.items():
            assert_matches_type(get_args(type_)[0], key, path=[*path, "<key>"])
            assert_matches_type(get_args(type_)[1], item, path=[*path, key])
    elif origin in (Union, types.UnionType):
        _assert_member(get_args(type_), value, path)
    elif isinstance(origin, type) and issubclass(origin, View):
        assert_matches_model(type_, value, path=path)
    elif origin is HttpxBinaryResponseContent:
        assert isinstance(value, HttpxBinaryResponseContent), f"{where}: {value!r} is not binary"
    else:
        raise AssertionError(f"{where}: nothing is known of {type_}")


def _assert_member(members: tuple[Any, ...], value: Any, path: list[str]) -> None:
    said: list[str] = []
    for member in members:
        try:
            return assert_matches_type(member, value, path=path)
        except AssertionError as error:
            said.append(str(error))
    raise AssertionError("no member of the union matches:\n" + "\n".join(said))
