"""The installed official client and `antiphon.api`, walked side by side: nothing is missing and nothing is extra.

The official side is read by introspection here, where the generator reads source: two ways to the same facts.
"""

from __future__ import annotations

import inspect
import re
import types
import typing
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import openai
import pytest
from openai._resource import SyncAPIResource

from antiphon.api import API, operations
from antiphon.kernel.lazy import evaluate
from antiphon.kernel.operation import OPTIONS, AnyOperation, Resource

HELPERS = {
    "chat.completions": {"parse", "stream"},
    "files": {"wait_for_processing"},
    "vector_stores.files": {"create_and_poll", "upload", "upload_and_poll", "poll"},
    "vector_stores.file_batches": {"create_and_poll", "upload_and_poll", "poll"},
    "webhooks": {"unwrap", "verify_signature"},
    "beta.realtime": {"connect"},
    "beta.agents.environments.files": {"prepare", "prepare_directory", "upload"},
    "beta.agents.sessions": {"stream"},
    "beta.agents.sessions.artifacts": {"for_result"},
    "beta.responses": {"connect"},
    "beta.threads": {"create_and_run_poll", "create_and_run_stream"},
    "beta.threads.runs": {
        "create_and_poll",
        "create_and_stream",
        "poll",
        "stream",
        "submit_tool_outputs_and_poll",
        "submit_tool_outputs_stream",
    },
    "uploads": {"upload_file_chunked"},
    "responses": {"parse", "stream", "connect"},
    "live": {"connect"},
    "live.sideband": {"connect"},
    "live.forks": {"connect"},
    "realtime": {"connect"},
    "realtime.translations": {"connect"},
    "videos": {"create_and_poll", "poll"},
}
"""Methods that are code on top of operations: they come with the client, not with the generated signatures."""

_SAME = {"SequenceNotStr": "Sequence", "NotGiven": "Omit"}
"""Types of the official package, and those of ours that say the same."""
RESULTS = {
    # A stream of these events, with the result of a turn.
    "AgentSessionEventStream[OutputT]": "Stream[AgentSessionEvent]",
}
WIDER = {"with_raw_response", "with_streaming_response"}
"""Properties of every resource that are views of it, not resources: they come with the client."""


class _Core:
    def _call(self, operation: Any, args: Any, kwargs: Any) -> Any:
        raise AssertionError


def _official_resources() -> dict[str, SyncAPIResource]:
    found: dict[str, SyncAPIResource] = {}

    def walk(path: str, holder: object) -> None:
        for name in dir(type(holder)):
            kind = inspect.getattr_static(type(holder), name)
            if name.startswith("_") or name in WIDER or not isinstance(kind, (cached_property, property)):
                continue
            value = getattr(holder, name)
            if isinstance(value, SyncAPIResource):
                here = f"{path}.{name}".lstrip(".")
                found[here] = value
                walk(here, value)

    walk("", openai.OpenAI(api_key="none", admin_api_key="none"))
    return found


def _our_resources() -> dict[str, Resource[Any]]:
    found: dict[str, Resource[Any]] = {}

    def walk(path: str, holder: object) -> None:
        for name in dir(type(holder)):
            if isinstance(inspect.getattr_static(type(holder), name), cached_property):
                value = getattr(holder, name)
                here = f"{path}.{name}".lstrip(".")
                found[here] = value
                walk(here, value)

    walk("", API(_Core()))
    return found


OFFICIAL = _official_resources()
OURS = _our_resources()


def _methods(resource: SyncAPIResource) -> dict[str, Any]:
    return {
        name: inspect.getattr_static(type(resource), name)
        for name in dir(type(resource))
        if not name.startswith("_") and inspect.isfunction(inspect.getattr_static(type(resource), name))
    }


def _pairs() -> Iterator[tuple[str, Any, AnyOperation]]:
    for path, resource in OFFICIAL.items():
        for name, method in _methods(resource).items():
            if name not in HELPERS.get(path.removeprefix("beta.") if path.startswith("beta.chat") else path, ()):
                yield f"{path}.{name}", method, inspect.getattr_static(type(OURS[path]), name)


PAIRS = list(_pairs())


def test_every_resource_is_there() -> None:
    assert set(OURS) == set(OFFICIAL)
    assert len(OURS) > 120


def test_resources_have_the_official_names() -> None:
    assert {path: type(value).__name__ for path, value in OURS.items()} == {
        path: type(value).__name__ for path, value in OFFICIAL.items()
    }


def test_every_method_is_there_and_no_other() -> None:
    for path, resource in OFFICIAL.items():
        ours = {name for name, value in vars(type(OURS[path])).items() if isinstance(value, AnyOperation)}
        helpers = HELPERS.get(path.removeprefix("beta.") if path.startswith("beta.chat") else path, set())
        assert ours | helpers == set(_methods(resource)), path


def test_every_helper_is_there_with_the_official_parameters() -> None:
    def parameters(resource: Any, name: str) -> list[tuple[str, Any, bool]]:
        found = inspect.signature(getattr(resource, name)).parameters.values()
        return [(each.name, each.kind, each.default is each.empty) for each in found]

    for path, names in HELPERS.items():
        for name in names:
            assert parameters(OURS[path], name) == parameters(OFFICIAL[path], name), f"{path}.{name}"
            assert getattr(OURS[path], name).__doc__, f"{path}.{name}"


def test_every_operation_is_listed_once() -> None:
    listed = operations()
    assert len(listed) == 390
    assert {id(operation) for operation in listed.values()} == {id(operation) for _, _, operation in PAIRS}
    assert all(operation.name == name for name, operation in listed.items())


def test_beta_chat_is_chat() -> None:
    assert type(OURS["beta.chat"]) is type(OURS["chat"])


def test_every_parameter_has_the_official_name_kind_and_need() -> None:
    for name, method, operation in PAIRS:
        theirs = {
            parameter.name: (parameter.kind, parameter.default is parameter.empty)
            for parameter in list(inspect.signature(method).parameters.values())[1:]
        }
        ours = {
            parameter.name: (parameter.kind, parameter.default is parameter.empty)
            for parameter in operation.__signature__.parameters.values()
        }
        assert ours == theirs, name
        assert operation.required == {key for key, (_, required) in theirs.items() if required}
        assert operation.parameters == theirs.keys() - OPTIONS


def test_positional_parameters_are_in_the_official_order() -> None:
    for name, method, operation in PAIRS:
        code = inspect.unwrap(method).__code__
        assert operation.positional == code.co_varnames[1 : code.co_argcount], name


def _name(annotation: Any) -> str:
    """A type by its names, without its module."""
    if isinstance(annotation, list):  # the parameters of a function
        return f"[{', '.join(map(_name, annotation))}]"
    origin, members = typing.get_origin(annotation), typing.get_args(annotation)
    if hasattr(annotation, "__metadata__"):
        return _name(members[0])
    if origin is typing.Literal:
        return f"Literal{sorted(map(repr, members))}"
    if origin is typing.Union or origin is types.UnionType:
        return " | ".join(sorted({_SAME.get(_name(each), _name(each)) for each in members}))
    if pydantic := getattr(annotation, "__pydantic_generic_metadata__", {}).get("origin"):
        return f"{pydantic.__name__}[{', '.join(map(_name, annotation.__pydantic_generic_metadata__['args']))}]"
    if origin is not None:
        return f"{_SAME.get(origin.__name__, origin.__name__)}[{', '.join(map(_name, members))}]"
    return "None" if annotation in (None, type(None)) else getattr(annotation, "__name__", str(annotation))


def _official_result(method: Any) -> str:
    text = str(inspect.signature(method).return_annotation).strip("'")
    for helper, plain in RESULTS.items():
        text = text.replace(helper, plain)
    return text


def _evaluated(method: Any, text: str) -> str:
    from openai.types.beta.agent_session_event import AgentSessionEvent

    return _name(eval(text, {"AgentSessionEvent": AgentSessionEvent, **inspect.unwrap(method).__globals__}))


def test_every_parameter_has_the_official_type() -> None:
    for name, method, operation in PAIRS:
        for parameter in list(inspect.signature(method).parameters.values())[1:]:
            if parameter.name in OPTIONS:
                continue
            ours = _name(evaluate(operation.spec.__annotations__[parameter.name], operation.module))
            theirs = _evaluated(method, str(parameter.annotation))
            assert ours.replace("PathLike[str]", "PathLike") == theirs, (name, parameter.name)


def _unstreamed(text: str) -> str:
    members = [member.strip() for member in text.split(" | ")]
    plain = [member for member in members if not member.startswith("Stream[")]
    return " | ".join(plain or members)


def test_every_result_has_the_official_name() -> None:
    for name, method, operation in PAIRS:
        assert _name(operation.result) == _evaluated(method, _unstreamed(_official_result(method))), name


def test_every_event_has_the_official_name() -> None:
    streamed: list[str] = []
    for name, method, operation in PAIRS:
        found = re.search(r"Stream\[([\w.]+)\]", _official_result(method))
        assert (operation.events is None) == (found is None), name
        if found is not None:
            streamed.append(name)
            assert _name(operation.event) == _evaluated(method, found.group(1)), name
    assert len(streamed) == 15


def test_deprecated_operations_are_marked() -> None:
    for name, method, operation in PAIRS:
        marks = [
            getattr(each, "__deprecated__", None) for each in (method, *typing.get_overloads(inspect.unwrap(method)))
        ]
        assert (operation.deprecated is not None) == any(mark is not None for mark in marks), name


def _source(method: Any) -> str:
    return inspect.getsource(inspect.unwrap(method))


@pytest.mark.parametrize(("mark", "flag"), [("admin_api_key_auth", "admin"), ("multipart/form-data", "form")])
def test_marks_in_the_official_source_are_ours(mark: str, flag: str) -> None:
    for name, method, operation in PAIRS:
        assert bool(getattr(operation, flag)) == (
            mark in _source(method) or (flag == "form" and "encode_multipart(" in _source(method))
        ), name


def test_addresses_and_headers_are_the_official_ones() -> None:
    for name, method, operation in PAIRS:
        source = _source(method)
        query = f"?{operation.fixed_query}" if operation.fixed_query else ""
        assert f'"{operation.path}{query}"' in source, name
        for header, value in operation.fixed_headers.items():
            assert f'"{header}": "{value}"' in source, (name, header)
        for parameter, header in operation.header_params.items():
            assert f'"{header}":' in source, (name, header)
            assert parameter in operation.parameters
