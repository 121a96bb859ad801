"""The quick check, the slow search for a fault and another validator say the same of the same request."""

from __future__ import annotations

import copy
import random
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from antiphon import schema
from antiphon.kernel.errors import BadRequestError
from antiphon.server.faults import first_fault
from antiphon.server.instance import example, instance
from antiphon.server.validation import accepts, compile_body

BODIES = sorted(name for name, table in schema.operations().items() if table.body is not None and table.media == "json")
ANSWERS = sorted(name for name, table in schema.operations().items() if table.response is not None)
JUNK: list[Any] = [
    None,
    True,
    False,
    0,
    -1,
    7,
    2.5,
    10**20,
    "",
    "x",
    "x" * 700,
    [],
    ["x"],
    [1],
    {},
    {"x": 1},
    {"type": "x"},
]


def validator(part: dict[str, Any]) -> Any:
    return jsonschema_rs.validator_for(schema.standalone(part))


def body_of(name: str) -> dict[str, Any]:
    body = schema.operation(name).body
    assert body is not None
    return body


def random_body(name: str, rng: random.Random) -> Any:
    """A body the operation takes, with most of its optional members."""
    return example(schema.standalone(body_of(name)), rng)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to every value inside a value."""
    below = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, item in below for place in places(item, (*path, key)))]


def spoil(value: Any, rng: random.Random) -> Any:
    """The value with something in it replaced, added or taken away."""
    value = copy.deepcopy(value)
    way = rng.choice(places(value)[1:] or [()])
    if not way:
        return rng.choice(JUNK)
    node = value
    for step in way[:-1]:
        node = node[step]
    act = rng.randrange(4)
    if act == 0 and isinstance(node, dict):
        del node[way[-1]]
    elif act == 1 and isinstance(node, dict):
        node["zzz_unknown"] = 1
    else:
        node[way[-1]] = rng.choice(JUNK)
    return value


@pytest.mark.parametrize("name", BODIES)
def test_three_opinions_on_every_operation(name: str) -> None:
    rng = random.Random(name)
    body = body_of(name)
    quick, other = accepts(body), validator(body)
    good = random_body(name, rng)
    assert other.is_valid(good)
    assert quick(good)
    assert first_fault("", body, good, unknown="refuse") is None
    for _ in range(40):
        bad = spoil(good, rng)
        verdict = other.is_valid(bad)
        assert quick(bad) is verdict, bad
        assert (first_fault("", body, bad, unknown="refuse") is None) is verdict, bad


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(["chat.completions.create", "responses.create"]), st.integers(), st.integers(1, 4))
def test_three_opinions_on_the_big_ones(name: str, seed: int, times: int) -> None:
    rng = random.Random(seed)
    body = body_of(name)
    value = random_body(name, rng)
    for _ in range(times):
        value = spoil(value, rng)
    verdict = validator(body).is_valid(value)
    assert accepts(body)(value) is verdict
    fault = first_fault("", body, value, unknown="refuse")
    assert (fault is None) is verdict
    if fault is not None:
        assert fault.message
        with pytest.raises(BadRequestError):
            compile_body(name)(value)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=10,
)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(BODIES), json_values)
def test_any_body_at_all_is_taken_or_refused(name: str, value: Any) -> None:
    if accepts(body_of(name))(value):
        compile_body(name)(value)
        return
    with pytest.raises(BadRequestError) as caught:
        compile_body(name)(value)
    assert caught.value.status_code == 400
    assert caught.value.message


@pytest.mark.parametrize("name", ANSWERS)
def test_instances_of_every_answer_are_valid(name: str) -> None:
    table = schema.operation(name)
    for part in (table.response, table.event):
        if part is None:
            continue
        made = instance(part, now=1_700_000_000.5)
        assert accepts(part)(made)
        assert validator(part).is_valid(made)


def test_an_instance_reflects_what_fits_and_only_that() -> None:
    file = schema.operation("files.create").response
    assert file is not None
    given = {"filename": "a.jsonl", "purpose": "batch", "bytes": "many", "elsewhere": 1}
    made = instance(file, reflect=given, now=1_700_000_000)
    assert (made["filename"], made["purpose"], made["bytes"]) == ("a.jsonl", "batch", 0)
    assert made["id"].startswith("file-")
    assert made["created_at"] == 1_700_000_000
    assert made["status"] == "processed"
    assert "elsewhere" not in made


def test_an_instance_takes_over_nested_objects_and_chooses_the_member_they_name() -> None:
    answer = schema.operation("evals.create").response
    assert answer is not None
    config = {"type": "logs", "metadata": {"a": "b"}, "noise": 1}
    made = instance(answer, reflect={"name": "mine", "data_source_config": config}, now=1.0)
    assert made["name"] == "mine"
    assert made["data_source_config"]["type"] == "logs"
    assert made["data_source_config"]["metadata"] == {"a": "b"}


def test_an_instance_shares_nothing_with_what_it_reflects() -> None:
    answer = schema.operation("batches.create").response
    assert answer is not None
    metadata = {"a": "b"}
    made = instance(answer, reflect={"metadata": metadata}, now=1.0)
    made["metadata"]["a"] = "changed"
    assert metadata == {"a": "b"}


def test_ids_come_from_the_source_given() -> None:
    class Counting:
        def __init__(self) -> None:
            self.prefixes: list[str] = []

        def new(self, prefix: str) -> str:
            self.prefixes.append(prefix)
            return f"{prefix}{len(self.prefixes)}"

    ids = Counting()
    answer = schema.operation("beta.threads.messages.create").response
    assert answer is not None
    made = instance(answer, now=1.0, ids=ids)
    assert made["id"] == "msg_1"
    assert made["thread_id"] == "thread_2"
