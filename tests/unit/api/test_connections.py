"""Websocket connections beside those of the official package: every sender, its parameters, and the event it sends."""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys
import typing
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import openai
import pytest

import antiphon
from antiphon.api import connections
from antiphon.kernel.lazy import evaluate
from codegen.connections import CONNECTIONS

BASE = {"send", "send_raw", "recv", "recv_bytes", "parse_event", "on", "off", "once", "dispatch_events", "close"}


class Recorder:
    """Stands for a connection."""

    def __init__(self) -> None:
        self.sent: list[Any] = []

    def send(self, event: Any) -> None:
        self.sent.append(event)


def _official(name: str, class_name: str) -> Any:
    return getattr(importlib.import_module(f"openai.resources.{CONNECTIONS[name][0]}"), class_name)


def _ours(name: str, class_name: str) -> Any:
    return getattr(importlib.import_module(f"antiphon.api.connections.{name}"), class_name)


def _stem(name: str) -> str:
    home = importlib.import_module(f"openai.resources.{CONNECTIONS[name][0]}")
    return next(
        each for each in vars(home) if each.endswith("Connection") and not each.startswith(("Async", "WebS", "Webs"))
    )


def _children(holder: Any) -> set[str]:
    kind = type(holder)
    return {each for each in dir(kind) if isinstance(inspect.getattr_static(kind, each), cached_property)}


def _senders(name: str) -> Iterator[tuple[str, Any, Any]]:
    """Every sender below a connection: the way to it, the official one and ours."""
    stem = _stem(name)
    official = _official(name, stem)
    try:
        theirs = official(Recorder())
    except TypeError:
        theirs = official(connection=Recorder())
    ours = _ours(name, stem)(Recorder(), None)

    def walk(way: str, theirs: Any, ours: Any) -> Iterator[tuple[str, Any, Any]]:
        yield way, theirs, ours
        for attribute in sorted(_children(theirs)):
            yield from walk(f"{way}.{attribute}", getattr(theirs, attribute), getattr(ours, attribute))

    for attribute in typing.get_type_hints(
        official, localns=dict.fromkeys(("WebSocketConnection", "WebsocketConnection"))
    ):
        if not attribute.startswith("_"):
            yield from walk(attribute, getattr(theirs, attribute), getattr(ours, attribute))


WALK = [pytest.param(*each, id=f"{name}-{each[0]}") for name in CONNECTIONS for each in _senders(name)]
every_sender = pytest.mark.parametrize(("way", "theirs", "ours"), WALK)


def _methods(holder: Any) -> set[str]:
    return {
        name
        for name in dir(type(holder))
        if not name.startswith("_") and inspect.isfunction(inspect.getattr_static(type(holder), name))
    }


def test_there_are_connections_of_every_kind() -> None:
    assert len(WALK) == 52
    assert sum(len(_methods(theirs)) for _, theirs, _ in (each.values for each in WALK)) == 75
    for name in CONNECTIONS:
        stem = _stem(name)
        for each in (stem, f"Async{stem}"):
            theirs = {member for member in dir(_official(name, each)) if not member.startswith("_")}
            assert {member for member in theirs if member not in dir(_ours(name, each))} == set(), each
            assert set(dir(_ours(name, each))) >= BASE
            theirs = {member for member in dir(_official(name, f"{each}Manager")) if not member.startswith("_")}
            assert theirs <= set(dir(_ours(name, f"{each}Manager"))), each


@every_sender
def test_every_sender_is_there_with_its_official_name(way: str, theirs: Any, ours: Any) -> None:
    assert type(ours).__name__ == type(theirs).__name__
    assert _methods(ours) == _methods(theirs)
    children = {
        each for each in dir(type(theirs)) if isinstance(inspect.getattr_static(type(theirs), each), cached_property)
    }
    assert children == {
        each for each in dir(type(ours)) if isinstance(inspect.getattr_static(type(ours), each), cached_property)
    }


@every_sender
def test_every_sender_sends_the_official_event(way: str, theirs: Any, ours: Any) -> None:
    for method in _methods(theirs):
        official, spec = getattr(theirs, method), getattr(ours, method)
        parameters = inspect.signature(official).parameters
        assert {key: (each.kind, each.default is each.empty) for key, each in parameters.items()} == {
            key: (each.kind, each.default is each.empty) for key, each in inspect.signature(spec).parameters.items()
        }
        required = [key for key, each in parameters.items() if each.default is each.empty]
        for names in (required, list(parameters)):
            arguments = {key: f"value of {key}" for key in names}
            ends = Recorder(), Recorder()
            for holder, end in zip((theirs, ours), ends, strict=True):
                connection = holder._connection
                holder._connection = end
                getattr(holder, method)(**arguments)
                holder._connection = connection
            # The official sender leaves dropping what is omitted to the connection.
            sent = [{key: value for key, value in each.items() if value is not openai.omit} for each in ends[0].sent]
            assert ends[1].sent == sent, (way, method)
        assert getattr(ours, method).__doc__ == f"Send `{ends[1].sent[0]['type']}`."


def _type_names(annotation: Any) -> set[str]:
    members = typing.get_args(annotation)
    if hasattr(annotation, "__metadata__"):
        return _type_names(members[0])
    if not members:
        return {annotation.__name__}
    return {name for member in members for name in _type_names(member)}


def test_what_arrives_is_of_the_official_types() -> None:
    for name in CONNECTIONS:
        ours = _ours(name, _stem(name))
        home = sys.modules[_official(name, _stem(name)).__module__]
        text = str(inspect.signature(_official(name, _stem(name)).recv).return_annotation)
        assert ours._received == text
        assert _type_names(evaluate(ours._received, ours.__module__)) == _type_names(vars(home)[text])


def test_connect_takes_what_it_officially_takes() -> None:
    theirs: Any = openai.OpenAI(api_key="none")
    ours: Any = antiphon.OpenAI(api_key="none")
    for path in [path for _, path, _ in CONNECTIONS.values()]:
        there, here = theirs, ours
        for part in path.split("."):
            there, here = getattr(there, part), getattr(here, part)
        official = inspect.signature(there.connect).parameters
        parameters = dict(inspect.signature(type(here).connect).parameters)
        del parameters["self"]
        assert list(parameters) == list(official), path
        for name, each in official.items():
            assert parameters[name].kind == each.kind, (path, name)
            if isinstance(each.default, (int, float)):
                assert parameters[name].default == each.default, (path, name)
            assert (parameters[name].default is each.empty) == (each.default is each.empty), (path, name)


def test_names_lead_to_connections() -> None:
    assert len(connections.__all__) == 4 * len(CONNECTIONS)
    for name in connections.__all__:
        assert getattr(connections, name).__name__ == name.removeprefix("Beta").replace("AsyncBeta", "Async")


def test_making_a_manager_needs_no_library() -> None:
    code = (
        "import sys, antiphon; manager = antiphon.OpenAI(api_key='k').realtime.connect(model='m'); "
        "print('websockets' in sys.modules, any(name.startswith('antiphon.types.') for name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
