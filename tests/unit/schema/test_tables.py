"""The generated tables: complete, in agreement with the declared operations, and schemas any validator can read."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import jsonschema_rs
import orjson
import pytest

from antiphon import schema
from antiphon.api import operations as declared

NAMES = sorted(schema.operations())


def test_every_declared_operation_has_a_schema_and_no_other() -> None:
    assert set(NAMES) == set(declared())


@pytest.mark.parametrize("name", NAMES)
def test_addresses_parameters_and_required_flags_are_those_of_the_declaration(name: str) -> None:
    operation, table = declared()[name], schema.operation(name)
    assert (table.http, table.path) == (operation.method, operation.path)
    assert (table.media == "multipart") is operation.form
    renamed = {key.rstrip("_") for key in (*operation.body_params, *operation.query_params)}
    for part, names in ((table.body, operation.body_params), (table.query, operation.query_params)):
        properties = set(part["properties"]) if part else set()
        assert {key.rstrip("_") for key in properties} == {key.rstrip("_") for key in names} <= renamed
        required = set(part.get("required", ())) if part else set()
        assert required == operation.required & set(names)


@pytest.mark.parametrize("name", NAMES)
def test_schemas_stand_alone(name: str) -> None:
    table = schema.operation(name)
    for part in (table.body, table.query, table.response, table.event):
        if part is not None:
            assert jsonschema_rs.meta.is_valid(schema.standalone(part))
            jsonschema_rs.validator_for(schema.standalone(part))


def test_streamed_operations_have_events_and_files_are_binary() -> None:
    streamed = {name for name in NAMES if schema.operation(name).event is not None}
    assert {"chat.completions.create", "responses.create", "images.generate", "beta.threads.runs.create"} <= streamed
    assert "embeddings.create" not in streamed
    form = schema.operation("files.create").body
    assert form is not None
    assert form["properties"]["file"] == {"type": "string", "format": "binary"}


def test_names_of_models_are_not_enumerated() -> None:
    body = schema.operation("chat.completions.create").body
    assert body is not None
    assert body["properties"]["model"] == {"type": "string", "minLength": 1}


def test_bounds_the_types_do_not_state_are_there() -> None:
    body = schema.operation("chat.completions.create").body
    assert body is not None
    assert body["properties"]["temperature"] == {"type": ["number", "null"], "minimum": 0, "maximum": 2}
    assert body["properties"]["messages"]["minItems"] == 1


def test_unknown_names_are_key_errors() -> None:
    with pytest.raises(KeyError):
        schema.operation("chat.completions.bake")
    with pytest.raises(KeyError):
        schema.resolve("#/$defs/nowhere.Nothing")


def test_no_prose_is_in_the_tables() -> None:
    for name in NAMES:
        table = schema.operation(name)
        for part in (table.body, table.query, table.response, table.event):
            assert not _mentions(schema.standalone(part or {}), ("description", "title", "default", "examples"))


def _mentions(node: object, keywords: tuple[str, ...]) -> bool:
    """Whether a keyword is used as one: as a sibling of others, not as the name of a property."""
    if isinstance(node, dict):
        places = ("properties", "$defs")
        direct = any(key in node and isinstance(node[key], str) for key in keywords)
        below = (child for key, value in node.items() for child in (value.values() if key in places else (value,)))
        return direct or any(_mentions(child, keywords) for child in below)
    return isinstance(node, list) and any(_mentions(child, keywords) for child in node)


def test_loading_decodes_nothing() -> None:
    def least(work: Callable[[], object]) -> float:
        times: list[float] = []
        for _ in range(5):
            began = time.process_time()
            work()
            times.append(time.process_time() - began)
        return min(times)

    def load() -> None:
        schema._table.cache_clear()
        assert schema._table("definitions.json").get("chat.chat_completion.Choice")

    whole = (Path(schema.__file__).parent / "definitions.json").read_bytes()
    assert least(load) < least(lambda: orjson.loads(whole))


@pytest.mark.parametrize("file", ["definitions.json", "events.json", "legacy.json", "operations.json"])
def test_each_member_is_found_in_its_table(file: str) -> None:
    table = schema._table(file)
    whole = orjson.loads((Path(schema.__file__).parent / file).read_bytes())
    assert list(whole) == table.names() == sorted(whole)
    assert {name: orjson.loads(table[name]) for name in whole} == whole
    for name in ("", "a", "m", "~", *(f"{name}~" for name in whole), *(name[:-1] for name in whole)):
        assert (table.get(name) is None) == (name not in whole)
