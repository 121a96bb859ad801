"""Evals: each item of a run is sampled and graded, and what is found of it can be read."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "country": {"type": "string"}},
    "required": ["city", "country"],
}
CONFIG: dict[str, Any] = {"type": "custom", "item_schema": SCHEMA, "include_sample_schema": True}
SAME: dict[str, Any] = {
    "type": "string_check",
    "name": "same",
    "operation": "eq",
    "input": "{{sample.output_text}}",
    "reference": "{{item.country}}",
}
TEMPLATE: dict[str, Any] = {
    "type": "template",
    "template": [
        {"role": "developer", "content": "Name the country."},
        {"role": "user", "content": {"type": "input_text", "text": "{{ item.city }}"}},
    ],
}
ROWS: list[dict[str, Any]] = [
    {"item": {"city": "Paris", "country": "France"}},
    {"item": {"city": "Rome", "country": "Italy"}},
    {"item": {"city": "Oslo", "country": "Sweden"}},
]


def atlas(request: Any) -> Any:
    """A model that knows three cities."""
    known = {"Paris": "France", "Rome": "Italy", "Oslo": "Norway"}
    return known.get(request.user_text, "I do not know.")


def source(kind: str = "completions", rows: Any = ROWS, **more: Any) -> dict[str, Any]:
    content = {"type": "file_content", "content": rows}
    return {"type": kind, "model": "gpt-4o", "source": content, "input_messages": TEMPLATE, **more}


async def made(api: Any, criteria: Any = (SAME,), config: Any = CONFIG, **more: Any) -> Any:
    return await api.call("evals.create", data_source_config=config, testing_criteria=list(criteria), **more)


async def over(api: Any, run: Any) -> Any:
    for _ in range(500):
        run = await api.call("evals.runs.retrieve", run.id, eval_id=run.eval_id)
        if run.status in ("completed", "failed", "canceled"):
            return run
        await asyncio.sleep(0.02)
    raise AssertionError(run)


async def found(api: Any, run: Any, **query: Any) -> list[Any]:
    return await api.items(await api.call("evals.runs.output_items.list", run.id, eval_id=run.eval_id, **query))


def counts(run: Any) -> tuple[int, int, int, int]:
    told = run.result_counts
    return told.total, told.passed, told.failed, told.errored


@pytest.mark.fake(engine=atlas)
@pytest.mark.parametrize("kind", ["completions", "responses"])
async def test_items_are_sampled_and_graded(api: Any, kind: str) -> None:
    of = await made(api, name="Cities", metadata={"who": "me"})
    assert (of.object, of.name, of.metadata["who"]) == ("eval", "Cities", "me")
    assert of.data_source_config.type == "custom"
    schema = of.to_dict()["data_source_config"]["schema"]
    assert schema["properties"]["item"] == SCHEMA
    assert schema["required"] == ["item", "sample"]
    assert of.testing_criteria[0].name == "same"
    params = {"temperature": 0.5, "max_completion_tokens": 50}
    run = await api.call(
        "evals.runs.create", of.id, data_source=source(kind, sampling_params=params), metadata={"a": "b"}
    )
    assert (run.object, run.status, run.model, run.name, run.error) == ("eval.run", "queued", "gpt-4o", "gpt-4o", None)
    assert run.id.startswith("evalrun_")
    assert run.id in run.report_url
    assert counts(run) == (0, 0, 0, 0)
    run = await over(api, run)
    assert run.status == "completed"
    assert counts(run) == (3, 2, 1, 0)
    (same,) = run.per_testing_criteria_results
    assert (same.testing_criteria, same.passed, same.failed) == ("same", 2, 1)
    (usage,) = run.to_dict()["per_model_usage"]
    assert (usage["model_name"], usage["invocation_count"]) == ("gpt-4o", 3)
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"] > 30
    items = await found(api, run)
    assert [item.status for item in items] == ["pass", "pass", "fail"]
    assert [item.datasource_item_id for item in items] == [0, 1, 2]
    assert sum(item.sample.usage.total_tokens for item in items) == usage["total_tokens"]
    first = await api.call("evals.runs.output_items.retrieve", items[0].id, eval_id=of.id, run_id=run.id)
    assert first.to_dict() == items[0].to_dict()
    assert (first.object, first.run_id, first.eval_id) == ("eval.run.output_item", run.id, of.id)
    assert first.datasource_item["city"] == "Paris"
    (result,) = first.results
    assert (result.name, result.type, result.passed, result.score) == ("same", "string-check-grader", True, 1.0)
    sample = first.sample
    told = [(each.role, each.content) for each in sample.input]
    assert told == [("developer", "Name the country."), ("user", "Paris")]
    assert [(each.role, each.content) for each in sample.output] == [("assistant", "France")]
    assert (sample.finish_reason, sample.model, sample.error) == ("stop", "gpt-4o", None)
    assert (sample.temperature, sample.top_p, sample.max_completion_tokens) == (0.5, 1.0, 50)
    passed = await found(api, run, status="pass")
    assert [item.datasource_item_id for item in passed] == [0, 1]
    assert [item.datasource_item_id for item in await found(api, run, order="desc", limit=1)] == [2, 1, 0]


async def test_rows_of_a_file_with_samples_of_their_own(api: Any) -> None:
    rows = [{**row, "sample": {"output_text": said}} for row, said in zip(ROWS, ("France", "Rome", ""), strict=True)]
    data = b"\n\n".join(json.dumps(row).encode() for row in rows)
    file = await api.call("files.create", file=("rows.jsonl", data), purpose="evals")
    of = await made(api)
    jsonl = {"type": "jsonl", "source": {"type": "file_id", "id": file.id}}
    run = await over(api, await api.call("evals.runs.create", of.id, data_source=jsonl, name="told"))
    assert (run.status, run.name, run.model) == ("completed", "told", "")
    assert counts(run) == (3, 1, 2, 0)
    assert run.per_model_usage == []
    items = await found(api, run)
    assert [each.content for each in items[0].sample.output] == ["France"]
    assert items[0].sample.usage.total_tokens == 0


@pytest.mark.fake(
    engines={
        "judge": lambda request: '{"result": 0.75}',
        "sorter": lambda request: '{"label": "good"}' if "France" in request.user_text else '{"label": "bad"}',
        "*": atlas,
    }
)
async def test_every_kind_of_grader(api: Any) -> None:
    asks = [{"role": "user", "content": "Judge {{sample.output_text}} for {{item.city}}"}]
    score = {"type": "score_model", "name": "score", "model": "judge", "input": asks}
    criteria = [
        {**score, "pass_threshold": 0.7},
        {**score, "name": "strict", "pass_threshold": 0.8},
        {**score, "name": "middle", "range": [0, 2]},
        {
            "type": "label_model",
            "name": "label",
            "model": "sorter",
            "input": asks,
            "labels": ["good", "bad"],
            "passing_labels": ["good"],
        },
        {
            "type": "text_similarity",
            "name": "near",
            "evaluation_metric": "cosine",
            "pass_threshold": 0.9,
            "input": "{{sample.output_text}}",
            "reference": "{{item.country}}",
        },
    ]
    of = await made(api, criteria)
    run = await over(api, await api.call("evals.runs.create", of.id, data_source=source(rows=ROWS[:2])))
    assert counts(run) == (2, 0, 2, 0)
    told = {each.testing_criteria: (each.passed, each.failed) for each in run.per_testing_criteria_results}
    assert told == {"score": (2, 0), "strict": (0, 2), "middle": (0, 2), "label": (1, 1), "near": (2, 0)}
    used = {each["model_name"]: each["invocation_count"] for each in run.to_dict()["per_model_usage"]}
    assert used == {"gpt-4o": 2, "judge": 6, "sorter": 2, "text-embedding-3-large": 2}
    results = (await found(api, run))[0].to_dict()["results"]
    assert [(each["type"], each["score"]) for each in results[:1]] == [("score-model-grader", 0.75)]
    assert results[0]["sample"]["input"] == [{"role": "user", "content": "Judge France for Paris"}]
    assert results[0]["sample"]["output"] == [{"role": "assistant", "content": '{"result": 0.75}'}]
    assert results[4]["sample"] is None


@pytest.mark.fake(engine=atlas)
async def test_what_was_stored_is_graded_or_asked_again(api: Any) -> None:
    for city, kind in (("Paris", "a"), ("Oslo", "b"), ("Rome", "a")):
        asked = {"metadata": {"kind": kind}, "store": True, "model": "gpt-4o"}
        await api.call("chat.completions.create", messages=[{"role": "user", "content": city}], **asked)
        await api.call("responses.create", input=city, instructions="Be brief.", **asked)
    right = {**SAME, "operation": "like", "reference": "France Italy", "input": "{{sample.output_text}}"}
    right |= {"input": "France Italy", "reference": "{{sample.output_text}}"}
    of = await made(api, [right], {"type": "logs", "metadata": {"kind": "a"}})
    assert of.data_source_config.metadata["kind"] == "a"
    for kind, stored, first in (
        ("completions", "stored_completions", ["Paris"]),
        ("responses", "responses", ["Be brief.", "Paris"]),
    ):
        plain = {"type": kind, "source": {"type": stored}}
        run = await over(api, await api.call("evals.runs.create", of.id, data_source=plain))
        assert (run.status, counts(run)) == ("completed", (2, 2, 0, 0))
        assert run.per_model_usage == []
        items = await found(api, run)
        assert [each["content"] for each in items[0].datasource_item["input"]] == first
        assert [each.content for each in items[0].sample.output] == ["France"]
        assert items[0].sample.usage.total_tokens > 0
        whole = {"type": "item_reference", "item_reference": "item.input"}
        again = {**plain, "model": "gpt-5", "input_messages": whole}
        run = await over(api, await api.call("evals.runs.create", of.id, data_source=again))
        assert (run.status, counts(run)) == ("completed", (2, 2, 0, 0))
        (item, _) = await found(api, run)
        assert [each.content for each in item.sample.input] == first
        assert item.sample.model == "gpt-5"
        none = {"type": kind, "source": {"type": stored, "model": "gpt-3.5-turbo"}}
        run = await over(api, await api.call("evals.runs.create", of.id, data_source=none))
        assert (run.status, run.error.code) == ("failed", "no_items")


@pytest.mark.fake(engines={"gpt-4o": atlas})
async def test_what_cannot_be_graded_is_an_error_of_its_item(api: Any) -> None:
    missing = {**SAME, "name": "missing", "reference": "{{item.river}}"}
    python = {"type": "python", "name": "code", "source": "def grade(sample, item):\n    return 1.0"}
    of = await made(api, [SAME, missing, python])
    run = await over(api, await api.call("evals.runs.create", of.id, data_source=source(rows=ROWS[:1])))
    assert (run.status, counts(run)) == ("completed", (1, 0, 0, 1))
    (item,) = (each.to_dict() for each in await found(api, run))
    assert item["status"] == "error"
    assert item["results"][0]["passed"] is True
    assert item["results"][1]["sample"]["error"]["code"] == "invalid_variable_error"
    assert "python_graders=True" in item["results"][2]["sample"]["error"]["message"]
    # And so is what cannot be sampled.
    wrong = source(rows=ROWS[:1], sampling_params={"temperature": 7})
    run = await over(api, await api.call("evals.runs.create", of.id, data_source=wrong))
    assert (run.status, counts(run)) == ("completed", (1, 0, 0, 1))
    (each,) = await found(api, run)
    assert each.results == []
    assert "temperature" in each.sample.error.message
    nothing = {"type": "template", "template": [{"role": "user", "content": "{{item.river}}"}]}
    run = await api.call("evals.runs.create", of.id, data_source=source(rows=ROWS[:1], input_messages=nothing))
    (each,) = await found(api, await over(api, run))
    assert each.sample.error.code == "invalid_variable_error"
    assert "river" in each.sample.error.message


@pytest.mark.fake(python_graders=True, engine=atlas)
async def test_python_grades_where_it_may(api: Any) -> None:
    code = "def grade(sample, item):\n    return sample['output_text'] == item['country'] and bool(sample['choices'])"
    of = await made(api, [{"type": "python", "name": "code", "source": code, "pass_threshold": 1}])
    run = await over(api, await api.call("evals.runs.create", of.id, data_source=source()))
    assert counts(run) == (3, 2, 1, 0)


@pytest.mark.parametrize(
    ("config", "criteria", "param", "message"),
    [
        ({**CONFIG, "item_schema": {"type": "strange"}}, [SAME], "item_schema.type", "Invalid schema"),
        ({**CONFIG, "item_schema": {"type": "array"}}, [SAME], "item_schema", "has to be 'object'"),
        (
            {**CONFIG, "item_schema": {"properties": {"a": {"required": 1}}}},
            [SAME],
            "properties.a.required",
            "none that",
        ),
        ({**CONFIG, "item_schema": {"properties": {"a": {"pattern": "("}}}}, [SAME], "a.pattern", "regular expression"),
        ({**CONFIG, "item_schema": {"$ref": "#/$defs/x"}}, [SAME], "$ref", "refers to nothing"),
        ({"type": "custom", "item_schema": SCHEMA}, [SAME], "testing_criteria[0].input", "include_sample_schema"),
        (CONFIG, [SAME, {**SAME, "reference": "{{row.a}}"}], "testing_criteria[1].reference", "neither of the sample"),
        (CONFIG, [{**SAME, "type": "multi"}], None, "Supported values are"),
        (
            CONFIG,
            [{"type": "label_model", "name": "l", "model": "m", "input": [], "labels": ["a"], "passing_labels": ["b"]}],
            "testing_criteria[0].passing_labels",
            "'b' is not among 'labels'",
        ),
        (
            CONFIG,
            [{"type": "score_model", "name": "s", "model": "m", "input": [{"role": "user", "content": "{{x}}"}]}],
            "testing_criteria[0].input[0].content",
            "neither of the sample",
        ),
    ],
)
async def test_evals_that_are_refused(api: Any, config: Any, criteria: Any, param: str | None, message: str) -> None:
    with pytest.raises(api.errors.BadRequestError) as caught:
        await made(api, criteria, config)
    assert message in caught.value.message
    assert param is None or caught.value.param.endswith(param)


@pytest.mark.fake(engine=atlas, models=["gpt-4o"])
async def test_runs_that_are_refused(api: Any) -> None:
    of = await made(api)

    async def refused(error: str, param: str | None, message: str, **data_source: Any) -> None:
        with pytest.raises(getattr(api.errors, error)) as caught:
            await api.call("evals.runs.create", of.id, data_source=data_source)
        assert message in caught.value.message
        assert caught.value.param == param

    bad, where = "BadRequestError", "data_source.source.content[1]"
    await refused(bad, where, "not valid for the schema", **source(rows=[ROWS[0], {"item": {"city": 1}}]))
    await refused("NotFoundError", None, "file-x", type="jsonl", source={"type": "file_id", "id": "file-x"})
    await refused("NotFoundError", None, "gpt-9", **source(model="gpt-9"))
    without = {name: value for name, value in source().items() if name != "model"}
    await refused(bad, "data_source.model", "Missing", **without)
    without = {name: value for name, value in source().items() if name != "input_messages"}
    await refused(bad, "data_source.input_messages", "Missing", **without)
    sampled = {"type": "template", "template": [{"role": "user", "content": "{{sample.output_text}}"}]}
    await refused(
        bad, "data_source.input_messages.template[0].content", "is not of the item", **source(input_messages=sampled)
    )
    elsewhere = {"type": "item_reference", "item_reference": "input"}
    await refused(bad, "data_source.input_messages.item_reference", "item.input", **source(input_messages=elsewhere))
    await refused(bad, "data_source.type", "Supported values are", type="magic")
    with pytest.raises(api.errors.NotFoundError):
        await api.call("evals.runs.create", "eval_nowhere", data_source=source())
    with pytest.raises(api.errors.NotFoundError):
        await api.call("evals.runs.retrieve", "evalrun_nowhere", eval_id=of.id)
    with pytest.raises(api.errors.NotFoundError):
        await api.call("evals.runs.output_items.list", "evalrun_nowhere", eval_id=of.id)


@pytest.mark.parametrize(
    ("lines", "code", "message"),
    [
        (b'{"item": {"city": "a", "country": "b"}}\n{"item": {"city": "a"}}', "invalid_item", "Row 2"),
        (b'{"city": "a"}', "invalid_item", "Row 1"),
        (b'{"item": {"city": "a", "country": "b"}, "sample": "c"}', "invalid_item", "'sample' is not an object"),
        (b'{"item": {"x": ' + b"[" * 400 + b"]" * 400 + b"}}", "invalid_item", "Row 1"),
        (b"", "no_items", "no items"),
    ],
)
async def test_files_that_fail_a_run(api: Any, lines: bytes, code: str, message: str) -> None:
    of = await made(api)
    file = await api.call("files.create", file=("rows.jsonl", b"{}"), purpose="evals")
    api.fake.server.store.put_blob(file.id, lines)
    jsonl = {"type": "jsonl", "source": {"type": "file_id", "id": file.id}}
    run = await over(api, await api.call("evals.runs.create", of.id, data_source=jsonl))
    assert (run.status, run.error.code) == ("failed", code)
    assert message in run.error.message
    assert await found(api, run) == []
    assert [each.id for each in await api.items(await api.call("evals.runs.list", of.id, status="failed"))] == [run.id]
    assert await api.items(await api.call("evals.runs.list", of.id, status="completed")) == []


@pytest.mark.fake(engine=atlas, job_seconds=600)
async def test_runs_are_cancelled_and_deleted(api: Any) -> None:
    of = await made(api)
    runs = [await api.call("evals.runs.create", of.id, data_source=source()) for _ in range(3)]
    stopped = await api.call("evals.runs.cancel", runs[0].id, eval_id=of.id)
    assert (stopped.id, stopped.status) == (runs[0].id, "canceled")
    with pytest.raises(api.errors.BadRequestError, match="its status is 'canceled'"):
        await api.call("evals.runs.cancel", runs[0].id, eval_id=of.id)
    gone = await api.call("evals.runs.delete", runs[1].id, eval_id=of.id)
    assert (gone.deleted, gone.run_id, gone.object) == (True, runs[1].id, "eval.run.deleted")
    left = [runs[0].id, runs[2].id]
    assert [each.id for each in await api.items(await api.call("evals.runs.list", of.id))] == left
    back = await api.items(await api.call("evals.runs.list", of.id, order="desc", limit=1))
    assert [each.id for each in back] == left[::-1]
    gone = await api.call("evals.delete", of.id)
    assert (gone.deleted, gone.eval_id, gone.object) == (True, of.id, "eval.deleted")
    with pytest.raises(api.errors.NotFoundError):
        await api.call("evals.runs.retrieve", runs[2].id, eval_id=of.id)
    store = api.fake.server.store
    assert not [name for name in store.collections() if name.startswith("evals") or name == "jobs"]


async def test_evals_are_changed_and_listed(api: Any) -> None:
    one, two = await made(api, name="one"), await made(api, name="two")
    changed = await api.call("evals.update", one.id, name="first", metadata={"a": "b"})
    assert (changed.name, changed.metadata["a"]) == ("first", "b")
    assert (await api.call("evals.retrieve", one.id)).to_dict() == changed.to_dict()

    async def listed(**query: Any) -> list[str]:
        return [each.id for each in await api.items(await api.call("evals.list", **query))]

    assert await listed() == await listed(order_by="created_at", limit=1) == [one.id, two.id]
    assert await listed(order_by="updated_at") == await listed(order_by="updated_at", limit=1) == [two.id, one.id]
    assert await listed(order_by="updated_at", order="desc") == [one.id, two.id]


@pytest.mark.fake(unknown_ids="conjure", engine=atlas)
async def test_where_nothing_is_refused_runs_end_all_the_same(api: Any) -> None:
    strange = {"type": "custom", "item_schema": {"type": 5, "properties": []}, "include_sample_schema": True}
    of = await made(api, [{**SAME, "reference": "{{x}}"}], strange)
    run = await over(api, await api.call("evals.runs.create", of.id, data_source=source()))
    assert (run.status, counts(run)) == ("completed", (3, 0, 0, 3))
    made_up = await api.call("evals.runs.create", "eval_x", data_source=source())
    assert (made_up.eval_id, made_up.status) == ("eval_x", "queued")
    assert (await api.call("evals.runs.cancel", "evalrun_x", eval_id="eval_x")).status == "canceled"
