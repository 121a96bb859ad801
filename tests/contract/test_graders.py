"""Graders: run on a sample, by comparing, by asking a model, by a formula, by Python where that is allowed."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon import FakeOpenAI
from antiphon.server.similarity import MEASURES

SAID = "{{sample.output_text}}"
JUDGE: Any = [{"role": "user", "content": f"Judge: {SAID}"}]


def string_check(operation: str = "eq", **changes: Any) -> dict[str, Any]:
    return {
        "type": "string_check",
        "name": "same",
        "operation": operation,
        "input": SAID,
        "reference": "{{item.answer}}",
        **changes,
    }


def similarity(metric: str, reference: str = "the cat sat on the mat") -> dict[str, Any]:
    return {
        "type": "text_similarity",
        "name": "near",
        "evaluation_metric": metric,
        "input": SAID,
        "reference": reference,
    }


async def graded(api: Any, grader: Any, sample: str = "Paris", item: Any = None) -> Any:
    item = {"answer": "Paris", "list": [{"n": 1}]} if item is None else item
    return await api.call("fine_tuning.alpha.graders.run", grader=grader, model_sample=sample, item=item)


@pytest.mark.parametrize(
    ("operation", "sample", "reward"),
    [
        ("eq", "Paris", 1),
        ("eq", "paris", 0),
        ("ne", "Rome", 1),
        ("like", "It is Paris.", 1),
        ("like", "it is paris", 0),
        ("ilike", "it is paris", 1),
    ],
)
async def test_strings_are_compared(api: Any, operation: str, sample: str, reward: float) -> None:
    found = await graded(api, string_check(operation), sample)
    assert found.reward == reward
    assert found.metadata.name == "same"
    assert found.metadata.type == "string_check"
    assert found.metadata.scores == {"same": reward}
    assert not any(value is True for value in found.metadata.errors.to_dict().values())


async def test_templates_reach_into_item_and_sample(api: Any) -> None:
    deep = string_check(input="{{ sample.output_json.a[0].b }}", reference="{{item.list[0].n}}")
    assert (await graded(api, deep, '{"a": [{"b": 1}]}')).reward == 1
    bad = await graded(api, deep, "no json")
    assert bad.reward == 0
    assert bad.metadata.errors.sample_parse_error
    assert (await graded(api, string_check(reference="{{item.nothing}}"))).metadata.errors.invalid_variable_error


@pytest.mark.parametrize("metric", ["cosine", *MEASURES])
async def test_texts_are_alike_or_not(api: Any, metric: str) -> None:
    same = await graded(api, similarity(metric), "the cat sat on the mat")
    near = await graded(api, similarity(metric), "the cat sat on the mat again")
    far = await graded(api, similarity(metric), "quarterly revenue grew")
    assert same.reward == pytest.approx(1, abs=1e-4)
    assert 1 > near.reward > far.reward >= 0


@pytest.mark.fake(engines={"score": lambda request: "0.75", "label": lambda request: '{"label": "good"}'})
async def test_models_judge(api: Any) -> None:
    score = {"type": "score_model", "name": "s", "model": "score", "input": JUDGE}
    found = await graded(api, score)
    assert found.reward == 0.75
    assert found.metadata.token_usage > 0
    assert found.metadata.sampled_model_name == "score"
    assert (await graded(api, {**score, "range": [0, 0.5]})).reward == 0.5
    made_up = await graded(api, {**score, "model": "gpt-5", "range": [2, 3]})
    assert 2 <= made_up.reward <= 3
    label = {"type": "label_model", "name": "l", "model": "label", "input": JUDGE, "labels": ["good", "bad"]}
    formula = {
        "type": "multi",
        "name": "both",
        "graders": {
            "type": "label_model",
            "name": "l",
            "model": "label",
            "input": JUDGE,
            "labels": ["good", "bad"],
            "passing_labels": ["good"],
        },
        "calculate_output": "max(0, 2 * l - 1)",
    }
    assert (await graded(api, formula)).reward == 1
    formula["graders"] = {**label, "passing_labels": ["bad"]}
    assert (await graded(api, formula)).reward == 0


@pytest.mark.fake(engines={"words": lambda request: "rather good", "no": lambda request: {"refusal": "I will not."}})
async def test_models_that_do_not_judge(api: Any) -> None:
    score = {"type": "score_model", "name": "s", "model": "words", "input": JUDGE}
    assert (await graded(api, score)).metadata.errors.to_dict()["model_grader_parse_error"] is True
    assert (await graded(api, {**score, "model": "no"})).metadata.errors.to_dict()["model_grader_refusal_error"] is True


async def test_graders_are_validated(api: Any) -> None:
    valid = (await api.call("fine_tuning.alpha.graders.validate", grader=string_check())).grader
    assert valid.name == "same"
    source = "def grade(sample, item):\n    return 1.0\n"
    python = {"type": "python", "name": "p", "source": source}
    assert (await api.call("fine_tuning.alpha.graders.validate", grader=python)).grader.source == source
    wrong: list[tuple[Any, str]] = [
        (string_check(input="{{answer}}"), r"'grader.input': \{\{answer\}\} is neither"),
        ({**python, "source": "def grade(:"}, "'grader.source': line 1: "),
        ({**python, "source": "x = 1"}, "it has no function `grade"),
        ({"type": "multi", "name": "m", "graders": string_check(), "calculate_output": "a +"}, "it is no formula"),
        ({"type": "multi", "name": "m", "graders": string_check(), "calculate_output": "b"}, "no grader named b"),
        ({"type": "magic", "name": "m"}, "Supported values are: 'string_check'"),
    ]
    for grader, message in wrong:
        for verb in ("run", "validate"):
            more = {"model_sample": "x"} if verb == "run" else {}
            with pytest.raises(api.errors.BadRequestError, match=message):
                await api.call(f"fine_tuning.alpha.graders.{verb}", grader=grader, **more)


async def test_python_does_not_run_unless_it_may(api: Any) -> None:
    found = await graded(api, {"type": "python", "name": "p", "source": "def grade(sample, item): return 1"})
    assert found.reward == 0
    assert found.metadata.errors.python_grader_server_error
    assert "python_graders=True" in found.metadata.errors.python_grader_server_error_type


@pytest.mark.fake(python_graders=True)
@pytest.mark.parametrize(
    ("source", "reward", "wrong"),
    [
        ("def grade(sample, item):\n    print('!')\n    return len(sample['output_text']) / 10", 0.5, None),
        ("def grade(sample, item):\n    return sample['output_text'] == item['answer']", 1, None),
        ("def grade(sample, item):\n    return 1 / 0", 0, "ZeroDivisionError"),
        ("def grade(sample, item):\n    import os\n    return len(os.environ.get('PATH', ''))", 0, None),
    ],
)
async def test_python_runs_where_it_may(api: Any, source: str, reward: float, wrong: str | None) -> None:
    found = await graded(api, {"type": "python", "name": "p", "source": source})
    assert found.reward == reward
    if wrong is not None:
        assert found.metadata.errors.python_grader_runtime_error
        assert wrong in found.metadata.errors.python_grader_runtime_error_details


texts = st.text(st.characters(codec="utf-8", categories=["L", "P", "Z"]), max_size=40)


@given(texts, texts, st.sampled_from(sorted(MEASURES)))
def test_every_measure_keeps_its_bounds(one: str, other: str, name: str) -> None:
    assert 0 <= MEASURES[name](one, other) <= 1 + 1e-9
    if one.split():
        assert MEASURES[name](one, one) == pytest.approx(1)


def test_formulas_know_arithmetic_and_nothing_else() -> None:
    client = FakeOpenAI().client(max_retries=0)

    def calculated(formula: str) -> Any:
        grader: Any = {"type": "multi", "name": "m", "graders": string_check(), "calculate_output": formula}
        item = {"answer": "Paris"}
        return client.fine_tuning.alpha.graders.run(grader=grader, model_sample="Paris", item=item)

    assert calculated("-(same + 1) * 2 / 4 % 3 // 1 + ceil(0.2) + sqrt(4) + abs(-1) + floor(1.5)").reward == 7
    assert calculated("same / 0").metadata.errors.other_error
    for formula in ("same.real", "same ** 9999999", "[same]", "'x'"):
        assert calculated(formula).metadata.errors.formula_parse_error, formula
