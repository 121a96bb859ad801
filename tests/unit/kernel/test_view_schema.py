"""Views in pydantic's models and FastAPI's pages."""

from __future__ import annotations

import json
from typing import Annotated, Any, ClassVar, Generic, Literal, TypeVar

import jsonschema_rs
import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from antiphon.kernel.view import View
from antiphon.kernel.view_schema import json_schema
from antiphon.types.chat import ChatCompletion
from antiphon.types.responses import Response

T = TypeVar("T")


class Leaf(View):
    """The end of a branch."""

    _keys: ClassVar[dict[str, str]] = {"schema_": "schema"}
    colour: Literal["green", "brown"] | str
    kind: Literal["leaf"]
    schema_: dict[str, int] | None = None


class Branch(View):
    leaves: list[Leaf | Branch]
    parent: Branch | None = None
    weight: float | None = None
    whatever: object | None = None
    later: T | None = None  # type: ignore[valid-type]
    bare: dict | None = None  # type: ignore[type-arg]


class Graft(Branch, Generic[T]):
    label: str | int | list[bool]


class Garden(View):
    graft: Graft[int]
    nothing: None = None


def same_name() -> type[View]:
    class Leaf(View):
        weight: int

    return Leaf


class Two(View):
    first: Leaf
    second: same_name()  # type: ignore[valid-type]


class Empty(View):
    pass


class Plant(BaseModel):
    branch: Branch
    leaves: list[Leaf] = []
    maybe: Garden | None = None


BRANCH: dict[str, Any] = {"leaves": [{"colour": "red", "kind": "leaf", "schema": {"a": 1}}, {"leaves": [], "new": 1}]}


def test_a_schema_of_its_own() -> None:
    assert json_schema(Leaf) == {
        "type": "object",
        "title": "Leaf",
        "description": "The end of a branch.",
        "properties": {
            "colour": {"anyOf": [{"enum": ["green", "brown"]}, {"type": "string"}]},
            "kind": {"const": "leaf"},
            "schema": {"anyOf": [{"type": "object", "additionalProperties": {"type": "integer"}}, {"type": "null"}]},
        },
        "required": ["colour", "kind"],
    }
    assert json_schema(Empty) == Empty.model_json_schema() == {"type": "object", "title": "Empty", "properties": {}}


def test_types_inside_are_definitions_and_may_contain_themselves() -> None:
    schema = json_schema(Garden)
    assert list(schema["$defs"]) == ["Graft", "Leaf", "Branch"]
    graft = schema["$defs"]["Graft"]["properties"]
    assert graft["leaves"] == {
        "type": "array",
        "items": {"anyOf": [{"$ref": "#/$defs/Leaf"}, {"$ref": "#/$defs/Branch"}]},
    }
    assert graft["label"] == {
        "anyOf": [{"type": "string"}, {"type": "integer"}, {"type": "array", "items": {"type": "boolean"}}]
    }
    assert graft["parent"] == {"anyOf": [{"$ref": "#/$defs/Branch"}, {"type": "null"}]}
    assert graft["whatever"] == graft["later"] == {}
    assert graft["bare"] == {"anyOf": [{"type": "object"}, {"type": "null"}]}
    assert schema["properties"]["nothing"] == {"type": "null"}
    check = jsonschema_rs.validator_for(schema)
    check.validate({"graft": {**BRANCH, "label": "x"}, "new": 1})
    assert not check.is_valid({"graft": {"leaves": [], "label": {}}})


def test_two_types_of_one_name_are_two_definitions() -> None:
    schema = json_schema(Two)
    assert schema["properties"] == {"first": {"$ref": "#/$defs/Leaf"}, "second": {"$ref": "#/$defs/Leaf_2"}}


@pytest.mark.parametrize("view", [ChatCompletion, Response])
def test_generated_types_have_schemas(view: type[View]) -> None:
    jsonschema_rs.validator_for(json_schema(view))
    jsonschema_rs.validator_for(TypeAdapter(list[view]).json_schema())  # type: ignore[valid-type]


# pydantic


def test_a_view_is_a_field_of_a_model() -> None:
    leaf = Leaf.of({"colour": "green", "kind": "leaf"})
    plant = Plant.model_validate({"branch": BRANCH, "leaves": [leaf, {"colour": "brown"}]})
    assert isinstance(plant.branch, Branch)
    assert isinstance(plant.branch.leaves[0], Leaf)
    assert plant.leaves[0] is leaf
    assert plant.leaves[1].colour == "brown"
    dumped = {
        "branch": BRANCH,
        "leaves": [{"colour": "green", "kind": "leaf"}, {"colour": "brown"}],
        "maybe": None,
    }
    assert plant.model_dump() == dumped
    assert json.loads(plant.model_dump_json()) == dumped
    assert Plant.model_validate_json(plant.model_dump_json()) == plant
    assert Plant.model_construct(branch=BRANCH).model_dump()["branch"] == BRANCH


def test_what_is_no_object_is_refused() -> None:
    with pytest.raises(ValidationError, match="a Branch is made from a mapping"):
        Plant.model_validate({"branch": "twig"})


@pytest.mark.parametrize("mode", ["validation", "serialization"])
def test_the_schema_of_a_model_has_the_views_among_its_definitions(mode: Any) -> None:
    schema = Plant.model_json_schema(mode=mode)
    assert set(schema["$defs"]) == {"Branch", "Leaf", "Garden", "Graft"}
    assert schema["properties"]["branch"] == {"$ref": "#/$defs/Branch"}
    assert schema["$defs"]["Branch"]["properties"]["parent"]["anyOf"][0] == {"$ref": "#/$defs/Branch"}
    check = jsonschema_rs.validator_for(schema)
    check.validate({"branch": BRANCH, "leaves": [], "maybe": None})
    assert not check.is_valid({"branch": {"leaves": [{"colour": 5, "kind": "stone"}]}})


# FastAPI


def test_a_view_is_what_a_fastapi_route_takes_and_returns() -> None:
    fastapi = pytest.importorskip("fastapi")
    from starlette.testclient import TestClient

    app = fastapi.FastAPI()

    def grow(branch: Any) -> Any:
        return Branch.of({**branch.to_dict(), "weight": 2})

    grow.__annotations__ = {"branch": Annotated[Branch, fastapi.Body()], "return": Branch}
    app.post("/grow")(grow)
    app.get("/completion")(_completion)
    with TestClient(app) as client:
        assert client.post("/grow", json=BRANCH).json() == {**BRANCH, "weight": 2}
        assert client.post("/grow", json=[1]).status_code == 422
        assert client.get("/completion").json() == {"id": "c", "choices": [], "x": 1}
        pages = client.get("/openapi.json").json()
    schemas = pages["components"]["schemas"]
    # What goes both in and out has two names there.
    assert {"Branch-Input", "Branch-Output", "ChatCompletion", "ChatCompletionMessage"} <= set(schemas)
    answer = pages["paths"]["/grow"]["post"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert answer == {"$ref": "#/components/schemas/Branch-Output"}
    assert "$defs" not in json.dumps(pages)


def _completion() -> ChatCompletion:
    return ChatCompletion.of({"id": "c", "choices": [], "x": 1})
