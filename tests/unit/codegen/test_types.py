"""Every response type of ours, read beside the official one over the same JSON."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import types
import typing
from collections.abc import Iterator
from typing import Any

import openai.types
import pytest
from openai._models import BaseModel, construct_type

import antiphon.types
from antiphon.kernel.lazy import evaluate
from antiphon.kernel.view import View, wrapper
from codegen.overlay import WRITTEN

DIFFERENT: dict[str, str] = {}
"""Fields where the official package reads another type from the same JSON, and why ours is right."""


def _modules() -> list[types.ModuleType]:
    """Every module that the official package has too."""
    return [
        importlib.import_module(found.name)
        for found in pkgutil.walk_packages(antiphon.types.__path__, "antiphon.types.")
        if f"{found.name.removeprefix('antiphon.').replace('.', '/')}.py" not in WRITTEN
    ]


def _views() -> list[type[View]]:
    return [
        value
        for module in _modules()
        for value in list(vars(module).values())
        if isinstance(value, type) and issubclass(value, View) and value.__module__ == module.__name__
    ]


VIEWS = _views()


def _official(cls: type) -> type[BaseModel]:
    return getattr(importlib.import_module("openai" + cls.__module__.removeprefix("antiphon")), cls.__name__)


def test_every_module_of_the_official_types_is_there() -> None:
    official = {
        found.name.removeprefix("openai.") for found in pkgutil.walk_packages(openai.types.__path__, "openai.types.")
    }
    ours = {module.__name__.removeprefix("antiphon.") for module in _modules()}
    assert official == ours


def test_every_public_name_of_every_module_is_there() -> None:
    missing: list[str] = []
    for module in _modules():
        official = importlib.import_module("openai" + module.__name__.removeprefix("antiphon"))
        for name, value in vars(official).items():
            home = getattr(value, "__module__", "")
            if name.startswith("_") or isinstance(value, types.ModuleType):
                continue
            public = home.startswith("openai.types") or name in getattr(official, "__all__", ())
            if public and getattr(module, name, None) is None and name != "annotations":
                missing.append(f"{module.__name__}.{name}")
    # Names that a module only uses, and does not offer, need not be found in it.
    assert [name for name in missing if _is_offered(name)] == []


def _is_offered(name: str) -> bool:
    module, _, last = name.rpartition(".")
    official = importlib.import_module("openai" + module.removeprefix("antiphon"))
    return last in getattr(official, "__all__", ()) or hasattr(official, "__path__")


def test_fields_are_the_official_ones() -> None:
    for view in VIEWS:
        official = _official(view)
        fields = {name: field.alias or name for name, field in official.model_fields.items()}
        assert {name: view._keys.get(name, name) for name in view.__view_fields__} == fields, view


def test_required_fields_are_the_official_ones() -> None:
    for view in VIEWS:
        for name, field in _official(view).model_fields.items():
            if not field.is_required() and field.default_factory is None:
                assert view.__view_fields__[name].endswith("None"), (view, name)


def test_inheritance_is_the_official_one() -> None:
    for view in VIEWS:
        theirs = [base.__name__ for base in _official(view).__bases__ if base.__module__.startswith("openai.types")]
        # A pydantic generic has its parametrised parents among its bases; we name the class itself.
        assert [base.__name__ for base in view.__bases__ if base.__module__.startswith("antiphon.types")] == [
            name.partition("[")[0] for name in theirs
        ], view


def test_no_field_hides_a_method_of_views() -> None:
    own = set(dir(View))
    assert [(view, name) for view in VIEWS for name in view.__view_fields__ if name in own] == []


def test_every_field_of_an_empty_object_reads_as_none() -> None:
    for view in VIEWS:
        empty = view.of({})
        assert {getattr(empty, name) for name in view.__view_fields__} <= {None}, view
        assert empty.to_dict() == {}


def test_every_annotation_can_be_evaluated() -> None:
    for view in VIEWS:
        for name, text in view.__view_fields__.items():
            home = next(base for base in view.__mro__ if name in inspect.get_annotations(base))
            wrapper(evaluate(text, home.__module__))


def test_every_lazy_name_is_found() -> None:
    for module in _modules():
        for name in dir(module):
            getattr(module, name)


# The same JSON, read both ways


def _samples(annotation: Any, depth: int = 0) -> Iterator[Any]:
    """JSON values of a type: one for each member of a union, and of those the simplest."""
    origin, members = typing.get_origin(annotation), typing.get_args(annotation)
    if isinstance(annotation, typing.TypeAliasType if hasattr(typing, "TypeAliasType") else ()):
        yield from _samples(annotation.__value__, depth)
    elif origin is typing.Annotated:
        yield from _samples(members[0], depth)
    elif origin in (typing.Union, types.UnionType):
        for member in members:
            yield from _samples(member, depth)
    elif origin is typing.Literal:
        yield from members
    elif origin is list:
        for item in [] if depth > 6 else _samples(members[0], depth + 1):
            yield [item]
        yield []
    elif origin is dict:
        for item in [] if depth > 6 else _samples(members[1], depth + 1):
            yield {"key": item}
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield from _objects(annotation, depth)
    elif annotation in (str, int, float, bool):
        yield {str: "text", int: 1, float: 1.5, bool: True}[annotation]
    elif annotation in (None, type(None)):
        yield None
    else:
        yield {"any": "thing"}


def _objects(model: type[BaseModel], depth: int = 0) -> Iterator[dict[str, Any]]:
    base: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        if field.is_required():
            base[field.alias or name] = next(_samples(field.annotation, depth + 1), None)
    yield base
    if depth:
        return
    for name, field in model.model_fields.items():
        for value in _samples(field.annotation, depth + 1):
            yield {**base, field.alias or name: value}


def _differences(theirs: Any, ours: Any, where: str) -> Iterator[str]:
    if isinstance(theirs, BaseModel):
        expected = type(theirs).__name__.partition("[")[0]
        if not isinstance(ours, View):
            yield f"{where}: {expected} there, {type(ours).__name__} here"
            return
        if type(ours).__name__ != expected:
            yield f"{where}: {expected} there, {type(ours).__name__} here"
            return
        for name in type(theirs).model_fields:
            yield from _differences(getattr(theirs, name, None), getattr(ours, name), f"{where}.{name}")
    elif isinstance(theirs, list) and isinstance(ours, list):
        for one, other in zip(theirs, ours, strict=True):
            yield from _differences(one, other, f"{where}[]")
    elif isinstance(theirs, dict) and isinstance(ours, dict):
        for key in theirs:
            yield from _differences(theirs[key], ours[key], f"{where}[{key}]")
    elif theirs != ours and not (isinstance(ours, View) and ours == type(ours).of(theirs)):
        yield f"{where}: {theirs!r} there, {ours!r} here"


@pytest.mark.parametrize("area", sorted({view.__module__.split(".")[2] for view in VIEWS}))
def test_the_same_json_reads_as_the_same_types(area: str) -> None:
    found: dict[str, str] = {}
    for view in VIEWS:
        if view.__module__.split(".")[2] != area:
            continue
        official = _official(view)
        for data in _objects(official):
            theirs = construct_type(value=data, type_=official)
            for line in _differences(theirs, view.of(data), view.__name__):
                found.setdefault(line.partition(":")[0], f"{line} {data}")
    assert {where: line for where, line in found.items() if where not in DIFFERENT} == {}
