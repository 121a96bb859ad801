"""Views: reading, writing, comparing, copying and dumping JSON objects through typed faces."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Annotated, Any, ClassVar, Generic, Literal, Optional, TypeVar, Union

import openai.types as official
import openai.types.chat as official_chat
import openai.types.responses as official_responses
import pytest
from hypothesis import given
from hypothesis import strategies as st

import antiphon.types as ours
import antiphon.types.chat as our_chat
import antiphon.types.responses as our_responses
from antiphon.kernel.view import View, plain, wrapper

T = TypeVar("T")


class Point(View):
    x: int
    y: int | None = None


class Circle(View):
    type: Literal["circle"]
    centre: Point
    radius: float


class Square(View):
    type: Literal["square"]
    corner: Point
    side: float


class Blob(View):
    type: Literal["blob", "cloud"]
    points: list[Point]
    label: str | None = None


Shape = Circle | Square | Blob


class Tree(View):
    name: str
    children: list[Tree] | None = None
    parent: Tree | None = None


class Drawing(View):
    _keys: ClassVar[dict[str, str]] = {"schema_": "schema", "class_": "class"}
    kind: ClassVar[str] = "drawing"
    id: str
    shapes: list[Shape]
    first: Shape | None = None
    named: dict[str, Point] | None = None
    grid: list[list[Point]] | None = None
    origin: Point | str | None = None
    many: list[Point] | Point | None = None
    mood: Literal["good", "bad"] | str | None = None
    schema_: Point | None = None
    class_: str | None = None
    anything: object | None = None
    counts: dict[str, int] | None = None
    old: Optional[Union[Point, dict[str, Point]]] = None


class Later(Drawing):
    extra: Point | None = None


class Box(View, Generic[T]):
    item: Point | None = None


class Holder(View):
    boxes: list[Box[int]] | None = None
    noted: Annotated[Point | list[Point], "a note"] | None = None
    box: Box[int] | None = None
    either: Box[int] | str | None = None


# Unions that their keys tell apart


class ByName(View):
    name: str
    size: int | None = None


class ByNumber(View):
    number: int
    size: int | None = None


class Loose(View):
    type: Literal["circle"] | None = None
    anything: int


class Twice(View):
    """Two types with the same tag."""

    type: Literal["circle"]
    diameter: float


class Unions(View):
    keys: ByName | ByNumber | None = None
    loose: Circle | Square | Loose | None = None
    twice: Circle | Twice | Square | None = None
    tagged: Circle | Square | None = None


DATA: dict[str, Any] = {
    "id": "d1",
    "shapes": [
        {"type": "circle", "centre": {"x": 1, "y": 2}, "radius": 3},
        {"type": "cloud", "points": [{"x": 5}], "label": "a"},
        {"type": "hexagon", "new": True},
    ],
    "first": {"type": "square", "corner": {"x": 0}, "side": 1},
    "named": {"a": {"x": 7}},
    "grid": [[{"x": 1}], []],
    "origin": {"x": 9},
    "many": [{"x": 1}],
    "mood": "strange",
    "schema": {"x": 11},
    "class": "c",
    "unknown": {"deep": [1]},
}


def drawing() -> Drawing:
    return Drawing.of(copy.deepcopy(DATA))


# Reading


def test_fields_are_read_as_their_types() -> None:
    view = drawing()
    assert view.id == "d1"
    circle, cloud, strange = view.shapes
    assert isinstance(circle, Circle)
    assert circle.centre.x == 1
    assert circle.centre.y == 2
    assert circle.radius == 3
    assert isinstance(cloud, Blob)
    assert [point.x for point in cloud.points] == [5]
    assert isinstance(view.first, Square)
    assert view.named is not None
    assert view.named["a"].x == 7
    assert view.grid is not None
    assert view.grid[0][0].x == 1
    assert view.grid[1] == []
    assert isinstance(view.origin, Point)
    assert isinstance(view.many, list)
    assert isinstance(view.many[0], Point)
    assert view.mood == "strange"
    assert strange["new"] is True  # a type nobody knew: some face, all of its data


def test_a_union_of_an_object_and_others_reads_each_as_it_is() -> None:
    assert Drawing.of({"origin": "top"}).origin == "top"
    assert Drawing.of({"origin": 5}).origin == 5
    assert isinstance(Drawing.of({"many": {"x": 1}}).many, Point)
    assert isinstance(Drawing.of({"old": {"x": 1}}).old, Point)
    assert Drawing.of({"origin": [1]}).origin == [1]
    assert Drawing.of({"first": "not an object"}).first == "not an object"


def test_what_is_missing_null_or_wrong_never_raises() -> None:
    view = Drawing.of({"first": None, "shapes": "many", "named": [1], "grid": {"a": 1}, "schema": 5, "id": 3})
    assert view.first is None
    assert view.mood is None
    assert view.shapes == "many"
    assert view.named == [1]
    assert view.grid == {"a": 1}
    assert view.schema_ == 5
    assert view.id == 3
    assert Drawing.of({"shapes": [None, 1, {"type": "circle"}]}).shapes[:2] == [None, 1]
    points: Any = Blob.of({"points": [None, {"x": 1}, 3]}).points
    assert points == [None, Point(x=1), 3]
    assert Blob.of({"points": "many"}).points == "many"
    assert Circle.of({"centre": [1, 2]}).centre == [1, 2]


def test_unknown_fields_survive_and_are_read_by_name() -> None:
    view = drawing()
    assert view.unknown == {"deep": [1]}  # type: ignore[attr-defined]
    assert view["unknown"] == {"deep": [1]}
    assert view.model_extra == {"unknown": {"deep": [1]}}
    with pytest.raises(AttributeError, match="'Drawing' object has no attribute 'never'"):
        view.never  # type: ignore[attr-defined]  # noqa: B018
    with pytest.raises(KeyError):
        view["never"]
    assert "unknown" in view
    assert "mood" in view
    assert "never" not in view
    assert {"unknown", "id", "shapes"} <= set(dir(view))


def test_names_that_python_reserves_have_other_attributes() -> None:
    view = drawing()
    assert view.schema_ is not None
    assert view.schema_.x == 11
    assert view.class_ == "c"
    assert view["schema"] == {"x": 11}
    assert Drawing.kind == "drawing"


def test_types_that_contain_themselves() -> None:
    tree = Tree.of({"name": "a", "children": [{"name": "b", "parent": {"name": "c"}}]})
    assert tree.children is not None
    assert tree.children[0].parent is not None
    assert tree.children[0].parent.name == "c"
    assert tree.children[0].children is None


def test_inherited_and_generic_types() -> None:
    later = Later.of({"id": "x", "extra": {"x": 1}, "shapes": []})
    assert later.extra is not None
    assert later.extra.x == 1
    assert list(Later.__view_fields__) == [*Drawing.__view_fields__, "extra"]
    holder = Holder.of({"box": {"item": {"x": 1}}, "either": {"item": None}})
    assert isinstance(holder.box, Box)
    assert holder.box.item is not None
    assert holder.box.item.x == 1
    assert isinstance(holder.either, Box)
    assert isinstance(Holder.of({"boxes": [{}]}).boxes[0], Box)  # type: ignore[index]
    assert isinstance(Holder.of({"noted": {"x": 1}}).noted, Point)
    assert isinstance(Holder.of({"noted": [{"x": 1}]}).noted[0], Point)  # type: ignore[index]
    assert isinstance(Box[int](item=Point(x=1)).item, Point)


def test_unions_without_a_tag_are_told_apart_by_their_keys() -> None:
    assert isinstance(Unions.of({"keys": {"name": "a"}}).keys, ByName)
    assert isinstance(Unions.of({"keys": {"number": 1, "size": 2}}).keys, ByNumber)
    assert isinstance(Unions.of({"loose": {"anything": 1}}).loose, Loose)
    assert isinstance(Unions.of({"loose": {"type": "square", "corner": {}, "side": 1}}).loose, Square)
    assert isinstance(Unions.of({"twice": {"type": "circle", "diameter": 1}}).twice, Twice)
    assert isinstance(Unions.of({"twice": {"type": "circle", "centre": {}, "radius": 1}}).twice, Circle)
    assert isinstance(Unions.of({"tagged": {"type": {"odd": 1}, "corner": {}, "side": 1}}).tagged, Square)
    assert isinstance(Unions.of({"twice": {"type": ["odd"], "diameter": 1}}).twice, Twice)
    assert isinstance(Unions.of({"tagged": {}}).tagged, View)


class Counted(View):
    value: int
    exact: bool | None


class Worded(View):
    value: str
    exact: bool | None


class Measured(View):
    value: float
    exact: bool | None


class Flagged(View):
    value: bool
    exact: bool | None


def test_members_with_the_same_keys_are_told_apart_by_plain_types() -> None:
    wrap = wrapper(Counted | Worded | Flagged | Measured)
    assert wrap is not None
    values = (1, "a", True, 1.5, None, [], "1")
    expected = [Counted, Worded, Flagged, Measured, Counted, Counted, Worded]
    assert [type(wrap({"value": value})) for value in values] == expected
    assert type(wrap({"value": "a", "exact": True})) is Worded


def test_match_and_isinstance() -> None:
    found: list[Any] = []
    for shape in drawing().shapes:
        match shape:
            case Circle(radius=radius):
                found.append(radius)
            case Blob(label=label, points=[Point(x=x)]):
                found.append((label, x))
            case _:
                found.append(type(shape))
    assert found[:2] == [3, ("a", 5)]


def test_annotations_that_are_read_as_they_stand() -> None:
    for annotation in (int, str | None, list[int], dict[str, int], Literal["a"], Union[int, list[str]], Any):
        assert wrapper(annotation) is None
    assert wrapper(dict[str, Point]) is not None


# Making and changing


def test_a_view_is_made_of_its_fields() -> None:
    view = Drawing(
        id="d", shapes=[Circle(type="circle", centre=Point(x=1, y=2), radius=1.5)], schema_=Point(x=3), more=[1]
    )  # type: ignore[call-arg]
    assert view.to_dict() == {
        "id": "d",
        "shapes": [{"type": "circle", "centre": {"x": 1, "y": 2}, "radius": 1.5}],
        "schema": {"x": 3},
        "more": [1],
    }
    assert Drawing.model_construct(id="e")["id"] == Drawing.construct({"id"}, id="e")["id"] == "e"


def test_setting_writes_through_to_the_object() -> None:
    data = copy.deepcopy(DATA)
    view = Drawing.of(data)
    view.id = "d2"
    view.first = Circle(type="circle", centre=Point(x=0), radius=1)
    view.schema_ = Point(x=12)
    view.anything = {"views": [Point(x=1)], "more": (Point(x=2),)}
    view.unknown = Point(x=4)  # type: ignore[attr-defined]
    view["also"] = [Point(x=5)]
    assert data["id"] == "d2"
    assert data["first"] == {"type": "circle", "centre": {"x": 0}, "radius": 1}
    assert data["schema"] == {"x": 12}
    assert "schema_" not in data
    assert data["anything"] == {"views": [{"x": 1}], "more": [{"x": 2}]}
    assert data["unknown"] == {"x": 4}
    assert data["also"] == [{"x": 5}]
    view.shapes[0].centre.x = 99  # type: ignore[union-attr]
    assert data["shapes"][0]["centre"]["x"] == 99
    json.dumps(data)


def test_plain() -> None:
    assert plain({"a": [Point(x=1), (Point(x=2),)], "b": "c"}) == {"a": [{"x": 1}, [{"x": 2}]], "b": "c"}


def test_validate() -> None:
    view = drawing()
    assert Drawing.model_validate(view) is view
    assert Drawing.model_validate(Later.of(DATA)).id == "d1"
    assert isinstance(Later.model_validate(view), Later)
    assert Drawing.model_validate_json(json.dumps(DATA)) == view

    from types import MappingProxyType

    shown = Drawing.model_validate(MappingProxyType(DATA))
    assert isinstance(shown.first, Square)
    assert shown.to_dict() == DATA
    for wrong in ("x", None, [1]):
        with pytest.raises(ValueError, match="a Drawing is made from a mapping"):
            Drawing.model_validate(wrong)
    for text in ("[1]", "{"):
        with pytest.raises(ValueError):
            Drawing.model_validate_json(text)


# Comparing and copying


def test_equality_is_of_type_and_data() -> None:
    assert drawing() == drawing()
    assert drawing() != Drawing.of({**DATA, "id": "other"})
    assert drawing() != Later.of(DATA)
    assert drawing() != DATA
    with pytest.raises(TypeError, match="unhashable"):
        hash(drawing())


def test_copies() -> None:
    view = drawing()
    view._request_id = "req_1"
    shallow, deep = copy.copy(view), copy.deepcopy(view)
    assert shallow == deep == view
    assert shallow._request_id == deep._request_id == "req_1"
    shallow["named"]["a"]["x"] = 8
    shallow.id = "changed"
    assert view.id == "d1"
    assert view.named is not None
    assert view.named["a"].x == 8
    assert deep.named is not None
    assert deep.named["a"].x == 7
    updated = view.model_copy(update={"id": "u", "schema_": Point(x=1)})
    assert (updated.id, updated["schema"], view.id) == ("u", {"x": 1}, "d1")
    assert view.model_copy(deep=True)["shapes"] is not view["shapes"]


def test_pickling() -> None:
    view = drawing()
    assert view._request_id is None
    view._request_id = "req_1"
    again = pickle.loads(pickle.dumps(view))
    assert again == view
    assert again._request_id == "req_1"
    assert isinstance(again, Drawing)


# Showing


def test_repr_shows_what_is_there_in_the_order_it_came() -> None:
    assert repr(Point.of({"y": None, "z": 3, "x": 1})) == "Point(y=None, z=3, x=1)"
    assert repr(Drawing(id="d", schema_=Point(x=1))) == "Drawing(id='d', schema_=Point(x=1))"  # type: ignore[call-arg]
    assert list(Point.of({"x": 1}).__rich_repr__()) == [("x", 1)]
    assert repr(Point.of({"to_dict": 1})) == "Point(to_dict=1)"


def test_iterating_gives_every_declared_field_then_the_others() -> None:
    assert list(Point.of({"z": 3, "x": 1})) == [("x", 1), ("y", None), ("z", 3)]
    assert Drawing.of({"schema": {}, "z": 1}).model_fields_set == {"schema_"}


# Dumping: what the official package's models do


COMPLETION = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-4o",
    "choices": [
        {
            "index": 0,
            "finish_reason": "stop",
            "logprobs": None,
            "message": {
                "role": "assistant",
                "content": "hé",
                "refusal": None,
                "tool_calls": [
                    {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}, "extra": 1}
                ],
                "annotations": [],
            },
        }
    ],
    "usage": {
        "prompt_tokens": 1,
        "completion_tokens": 2,
        "total_tokens": 3,
        "prompt_tokens_details": {"cached_tokens": 0},
    },
    "x_new": {"a": [1, {"b": None}]},
}
RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1.5,
    "model": "gpt-4o",
    "output": [
        {
            "type": "message",
            "id": "m",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": "hi", "annotations": []}],
        }
    ],
    "text": {"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}}},
    "tools": [{"type": "function", "name": "f", "parameters": {}, "strict": True}],
    "tool_choice": "auto",
    "parallel_tool_calls": True,
    "metadata": {},
    "reasoning": {"effort": "low"},
}
EMBEDDINGS = {
    "object": "list",
    "data": [{"object": "embedding", "index": 0, "embedding": [0.1, 0.2]}],
    "model": "m",
    "usage": {"prompt_tokens": 1, "total_tokens": 1},
}

dumps = pytest.mark.parametrize(
    ("method", "options"),
    [
        ("to_dict", {}),
        ("to_dict", {"mode": "json"}),
        ("to_dict", {"use_api_names": False}),
        ("to_dict", {"exclude_unset": False}),
        ("to_dict", {"exclude_none": True}),
        ("to_dict", {"exclude_defaults": True}),
        ("to_json", {}),
        ("to_json", {"indent": None}),
        ("to_json", {"use_api_names": False, "exclude_unset": False}),
        ("model_dump", {}),
        ("model_dump", {"mode": "json"}),
        ("model_dump", {"by_alias": True}),
        ("model_dump", {"exclude_unset": True}),
        ("model_dump", {"exclude_none": True}),
        ("model_dump", {"exclude_defaults": True}),
        ("model_dump", {"include": {"id", "usage"}}),
        ("model_dump", {"exclude": {"id", "choices", "model"}}),
        ("model_dump_json", {}),
        ("model_dump_json", {"indent": 2, "by_alias": True}),
        ("model_dump_json", {"exclude_unset": True}),
    ],
)


@dumps
@pytest.mark.parametrize(
    ("theirs", "view", "data"),
    [
        (official_chat.ChatCompletion, our_chat.ChatCompletion, COMPLETION),
        (official_responses.Response, our_responses.Response, RESPONSE),
        (official.CreateEmbeddingResponse, ours.CreateEmbeddingResponse, EMBEDDINGS),
    ],
)
@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")
def test_dumps_are_those_of_the_official_models(theirs: Any, view: Any, data: Any, method: str, options: Any) -> None:
    expected = getattr(theirs.construct(**copy.deepcopy(data)), method)(**options)
    found = getattr(view.of(copy.deepcopy(data)), method)(**options)
    assert found == expected
    if not isinstance(found, str):
        assert json.dumps(found) == json.dumps(expected)  # the same order too


def test_fields_set_and_extra_are_those_of_the_official_models() -> None:
    theirs = official_chat.ChatCompletion.construct(**copy.deepcopy(COMPLETION))
    view = our_chat.ChatCompletion.of(COMPLETION)
    assert view.model_fields_set == theirs.model_fields_set
    assert view.model_extra == theirs.model_extra
    assert [name for name, _ in view] == [name for name, _ in theirs]


def test_a_dump_is_a_copy() -> None:
    view = drawing()
    view.to_dict()["shapes"][0]["centre"]["x"] = 100
    assert view["shapes"][0]["centre"]["x"] == 1


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=12,
)
names = st.sampled_from(
    [
        *sorted(Drawing.__view_fields__.keys() - {"schema_", "class_"}),
        "schema",
        "class",
        "type",
        "x",
        "y",
        "centre",
        "points",
        "other",
    ]
)


@given(
    st.dictionaries(
        names,
        st.recursive(
            json_values,
            lambda inner: st.dictionaries(names, inner, max_size=4) | st.lists(inner, max_size=3),
            max_leaves=10,
        ),
        max_size=8,
    )
)
def test_no_json_object_makes_a_view_raise(data: dict[str, Any]) -> None:
    before = copy.deepcopy(data)
    view = Drawing.of(data)
    for name, value in view:
        assert value == getattr(view, name, value)
    assert repr(view)
    assert view.to_dict() == before  # nothing is lost, nothing is added
    assert data == before
    assert json.loads(view.to_json()) == before
    assert Drawing.model_validate_json(view.model_dump_json(exclude_unset=True, by_alias=True)) == view
    view.model_dump()


def test_a_signing_secret_is_not_printed() -> None:
    from antiphon.types.webhooks import WebhookEndpointWithSecret

    endpoint = WebhookEndpointWithSecret.of({"id": "we_1", "signing_secret": "whsec_1", "signing_secret_hint": "...1"})
    for text in (repr(endpoint), str(endpoint), repr([endpoint])):
        assert "whsec_1" not in text
        assert "we_1" in text
        assert "...1" in text
    assert endpoint.signing_secret == "whsec_1"
    assert endpoint.to_dict()["signing_secret"] == "whsec_1"
