"""Operations: where arguments go, what is refused, and how calls are bound to clients."""

from __future__ import annotations

import inspect
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.kernel.omit import not_given, omit
from antiphon.kernel.operation import Async, Resource, Sync, V, delete, get, get_page, post, post_page
from antiphon.kernel.pages import SyncCursorPage, SyncPage
from antiphon.kernel.view import View


class Thing(View):
    id: str


class Things(Resource[V]):
    @get("/things/{thing_id}/parts/{part_id}")
    def retrieve(
        self,
        part_id: str,
        *,
        thing_id: str,
        include: list[str] | Any = omit,
        extra_headers: Any = None,
        timeout: Any = not_given,
    ) -> Thing:
        """Get a part."""
        raise NotImplementedError

    @post("/things", events="Thing | None")
    def create(self, *, name: str, size: int | Any = omit, extra_body: Any = None) -> Thing:
        raise NotImplementedError

    @post(
        "/things/{thing_id}?beta=true",
        query=("dry_run",),
        headers={"key": "Idempotency-Key"},
        rename={"class_": "class", "options.from_": "from"},
    )
    def change(
        self,
        thing_id: str,
        *,
        class_: str | Any = omit,
        options: Any = omit,
        dry_run: bool | Any = omit,
        key: str | Any = omit,
    ) -> Thing:
        raise NotImplementedError

    @get_page("/things")
    def list(self, *, after: str | Any = omit, limit: int | Any = omit) -> SyncCursorPage[Thing]:
        raise NotImplementedError

    @post_page("/things/search")
    def search(self, *, text: str) -> SyncPage[Thing]:
        raise NotImplementedError

    @delete("/things/{thing_id}", deprecated="use archive instead")
    def delete(self, thing_id: str, *, force: bool | Any = omit) -> None:
        raise NotImplementedError


class Core:
    """Stands behind a resource and tells what it was asked to do."""

    def __repr__(self) -> str:
        return "core"

    def _call(self, operation: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return operation, args, kwargs

    def _in_voice(self, voice: str) -> Any:
        return InVoice(voice)


class InVoice(Core):
    """The same in another voice."""

    def __init__(self, voice: str) -> None:
        self.voice = voice

    def __repr__(self) -> str:
        return f"core, {self.voice}"


def test_read_from_the_class_it_is_the_operation() -> None:
    operation: Any = Things.retrieve
    assert operation.method == "GET"
    assert operation.path == "/things/{thing_id}/parts/{part_id}"
    assert operation.name.endswith("test_operation.retrieve")
    assert operation.__doc__ == "Get a part."
    assert repr(operation) == f"<GET /things/{{thing_id}}/parts/{{part_id}} {operation.name}>"
    assert operation.result is Thing
    assert operation.event is None
    assert not operation.streams
    created: Any = Things.create
    assert created.event == Thing | None
    assert created.streams
    assert Things.change.fixed_query == "beta=true"
    assert Things.change.path == "/things/{thing_id}"
    assert Things.list.paged
    assert Things.search.method == "POST"
    assert Things.search.paged


def test_read_from_a_resource_it_is_a_call() -> None:
    things: Any = Things[Sync](Core())
    call = things.create
    assert things.create is call  # found once, kept
    operation, args, kwargs = call(name="a")
    assert operation is Things.create
    assert (args, kwargs) == ((), {"name": "a"})
    assert call.__name__ == "create"
    assert list(inspect.signature(call).parameters) == ["name", "size", "extra_body"]
    assert things.retrieve.__doc__ == "Get a part."
    assert repr(call) == f"<call of {Things.create.name}>"
    assert repr(things).endswith("of core>")
    assert Things[Async](Core()).list() == (Things.list, (), {})  # type: ignore[comparison-overlap]


def test_a_resource_has_other_voices() -> None:
    things: Any = Things(Core())
    kinds: Any = Things
    assert kinds.with_raw_response is Things.__dict__.get("with_raw_response", Resource.__dict__["with_raw_response"])
    for name, voice in (("raw_response", "raw"), ("streaming_response", "streaming"), ("result", "result")):
        other = getattr(things, f"with_{name}")
        assert type(other) is Things
        assert repr(other).endswith(f"of core, {voice}>")
        assert getattr(things, f"with_{name}") is other
    assert repr(things).endswith("of core>")


def test_a_deprecated_call_says_so_where_it_is_made() -> None:
    things: Any = Things[Sync](Core())
    with pytest.warns(DeprecationWarning, match=r"delete is deprecated: use archive instead") as warned:
        things.delete("t")
    assert warned[0].filename == __file__


def test_arguments_go_where_the_declaration_puts_them() -> None:
    bound = Things.retrieve.bind(
        ("p 1",), {"thing_id": "t/1", "include": ["a"], "timeout": 3, "extra_headers": {"x": "y"}}
    )
    assert bound.path == "/things/t%2F1/parts/p%201"
    assert bound.query == {"include": ["a"]}
    assert bound.body is None
    assert bound.options == {"timeout": 3, "extra_headers": {"x": "y"}}
    given = {"from_": 1, "to": 2}
    bound = Things.change.bind(("t",), {"class_": "c", "options": given, "dry_run": True, "key": "k"})
    assert bound.query == {"dry_run": True}
    assert bound.headers == {"Idempotency-Key": "k"}
    assert bound.body == {"class": "c", "options": {"from": 1, "to": 2}}
    assert given == {"from_": 1, "to": 2}
    assert Things.change.bind(("t",), {"options": None}).body == {"options": None}
    assert Things.delete.bind(("t",), {"force": False}).query == {"force": False}
    assert Things.delete.bind(("t",), {}).body is None


def test_a_call_without_path_and_query_hands_its_arguments_over() -> None:
    assert Things.create.bind((), {"name": "a", "size": None}).body == {"name": "a", "size": None}
    assert Things.create.bind((), {"name": "a", "size": omit, "extra_body": {"z": 1}}) == (
        "/things",
        {},
        {},
        {"name": "a"},
        {"extra_body": {"z": 1}},
        {},
    )


@pytest.mark.parametrize(
    ("args", "kwargs", "message"),
    [
        (("a", "b"), {}, r"takes 1 positional arguments, 2 were given"),
        (("a",), {"part_id": "b", "thing_id": "t"}, "got two values for argument 'part_id'"),
        (("a",), {"thing_id": "t", "inclde": []}, "unexpected keyword argument 'inclde'; did you mean 'include'"),
        (("a",), {"thing_id": "t", "zzz": 1, "timeout": 1}, "unexpected keyword argument 'zzz'$"),
        (("a",), {}, "missing required arguments: 'thing_id'"),
        ((), {"part_id": omit}, "missing required arguments: 'part_id', 'thing_id'"),
    ],
)
def test_wrong_calls_are_refused(args: Any, kwargs: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        Things.retrieve.bind(args, kwargs)


def test_an_empty_part_of_the_address_is_refused() -> None:
    with pytest.raises(ValueError, match="needs a value for 'thing_id', which is part of the address; it was ''"):
        Things.delete.bind(("",), {})


@given(st.text(min_size=1), st.text(min_size=1))
def test_values_stay_in_their_segment_of_the_path(thing: str, part: str) -> None:
    if any("\ud800" <= char <= "\udfff" for char in thing + part):
        return
    path = Things.retrieve.bind((part,), {"thing_id": thing}).path
    segments = path.split("/")
    assert len(segments) == 5
    assert [unquote(segments[2]), unquote(segments[4])] == [thing, part]
    assert segments[2] not in (".", "..")
    assert not set(path) & set("?#\\ {}\r\n")


@given(st.dictionaries(st.sampled_from(["class_", "options", "dry_run", "key"]), st.integers() | st.just(omit)))
def test_every_argument_arrives_once(kwargs: dict[str, Any]) -> None:
    bound = Things.change.bind(("t",), dict(kwargs))
    arrived = [*bound.query.values(), *bound.headers.values(), *(bound.body or {}).values()]
    assert sorted(arrived) == sorted(value for value in kwargs.values() if value is not omit)


def test_local_arguments_are_no_part_of_the_request() -> None:
    def create(self: object, *, name: str, kind: type | None = None, extra_body: object = None) -> None: ...

    operation: Any = post("/things", local=("kind",))(create)
    assert operation.parameters == {"name", "kind"}
    assert operation.body_params == ("name",)
    assert operation.bind((), {"name": "a", "kind": int}) == ("/things", {}, {}, {"name": "a"}, {}, {"kind": int})
    assert operation.bind((), {"name": "a", "kind": None}).local == {}
