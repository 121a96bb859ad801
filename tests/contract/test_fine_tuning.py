"""Fine-tuning: files are validated, jobs run and end, and a model comes of them."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest


def example(text: str = "Hi", **changes: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}, {"role": "assistant", "content": "Hello!"}], **changes}


async def uploaded(api: Any, lines: list[Any], purpose: str = "fine-tune") -> str:
    data = b"\n".join(line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines)
    sound = all(isinstance(line, dict) for line in lines)
    # What is no object would be refused when it is uploaded: what a job makes of it is seen when it is damaged later.
    found: str = (await api.call("files.create", file=("train.jsonl", data if sound else b"{}"), purpose=purpose)).id
    if not sound:
        api.fake.server.store.put_blob(found, data)
    return found


async def begun(api: Any, lines: list[Any] | None = None, **options: Any) -> Any:
    file = await uploaded(api, [example(f"Hi {n}") for n in range(12)] if lines is None else lines)
    asked = {"model": "gpt-4o-mini-2024-07-18", "training_file": file, **options}
    return await api.call("fine_tuning.jobs.create", **asked)


async def over(api: Any, job: Any) -> Any:
    for _ in range(500):
        job = await api.call("fine_tuning.jobs.retrieve", job.id)
        if job.status in ("succeeded", "failed", "cancelled"):
            return job
        await asyncio.sleep(0.02)
    raise AssertionError(job)


async def test_a_job_from_files_to_model(api: Any) -> None:
    valid = await uploaded(api, [example("Bye")])
    job = await begun(api, validation_file=valid, suffix="My Café", seed=7, metadata={"who": "me"})
    assert job.id.startswith("ftjob-")
    assert job.object == "fine_tuning.job"
    assert job.status == "validating_files"
    assert job.hyperparameters.n_epochs == "auto"
    assert job.method.type == "supervised"
    assert job.seed == 7
    done = await over(api, job)
    assert done.status == "succeeded"
    assert done.fine_tuned_model.startswith("ft:gpt-4o-mini-2024-07-18:antiphon:my-caf:")
    assert done.finished_at >= done.created_at
    assert (done.hyperparameters.n_epochs, done.hyperparameters.batch_size) == (3, 1)
    assert done.trained_tokens > 12 * 3
    assert done.error is None
    events = await api.items(await api.call("fine_tuning.jobs.list_events", job.id))
    assert events[0].message == "The job has successfully completed"
    assert events[-1].message == f"Created fine-tuning job: {job.id}"
    metrics = [event.data for event in reversed(events) if event.type == "metrics"]
    assert [each["step"] for each in metrics] == list(range(1, 37))
    assert metrics[0]["train_loss"] > 2 > 0.5 > metrics[-1]["train_loss"]
    assert metrics[-1]["full_valid_loss"] > 0
    checkpoints = await api.items(await api.call("fine_tuning.jobs.checkpoints.list", job.id))
    assert [each.step_number for each in checkpoints] == [36, 24, 12]
    assert checkpoints[0].fine_tuned_model_checkpoint == done.fine_tuned_model
    assert checkpoints[1].fine_tuned_model_checkpoint == f"{done.fine_tuned_model}:ckpt-step-24"
    results = await api.read(await api.call("files.content", done.result_files[0]))
    assert results.startswith(b"step,train_loss,")
    assert results.count(b"\n") == 37


@pytest.mark.fake(engine="echo")
async def test_the_model_is_listed_used_and_deleted(api: Any) -> None:
    done = await over(api, await begun(api))
    name = done.fine_tuned_model
    assert name in [each.id for each in await api.items(await api.call("models.list"))]
    assert (await api.call("models.retrieve", name)).created == done.finished_at
    messages = [{"role": "user", "content": "Hello"}]
    answer = await api.call("chat.completions.create", model=name, messages=messages)
    assert answer.model == name
    assert answer.choices[0].message.content == "Hello"
    again = await over(api, await begun(api, model=name, suffix="more"))
    assert again.fine_tuned_model.startswith("ft:gpt-4o-mini-2024-07-18:antiphon:more:")
    assert (await api.call("models.delete", name)).deleted
    assert name not in [each.id for each in await api.items(await api.call("models.list"))]
    with pytest.raises(api.errors.NotFoundError):
        await api.call("models.retrieve", name)


@pytest.mark.parametrize(
    ("method", "good", "bad", "message"),
    [
        (None, example(), {"messages": [{"role": "user", "content": "Hi"}]}, "has no message of the assistant"),
        (None, example(), {"prompt": "Hi"}, "'messages' is missing"),
        (None, example(), example(messages=[{"role": "pirate", "content": "Hi"}]), "role' is 'pirate'"),
        (None, example(), b"{nope", "Line 11 is not valid JSON"),
        (None, example(), [1], "Line 11 is not a JSON object"),
        (
            {"type": "dpo"},
            {
                "input": {"messages": [{"role": "user", "content": "Hi"}]},
                "preferred_output": [{"role": "assistant", "content": "Hello"}],
                "non_preferred_output": [{"role": "assistant", "content": "Go away"}],
            },
            example(),
            "'input' has to be an object",
        ),
        (
            {
                "type": "reinforcement",
                "reinforcement": {
                    "grader": {
                        "type": "string_check",
                        "name": "same",
                        "operation": "eq",
                        "input": "{{sample.output_text}}",
                        "reference": "{{item.answer}}",
                    }
                },
            },
            {"messages": [{"role": "user", "content": "Hi"}], "answer": "Hello"},
            example(),
            "ends with a message of the assistant",
        ),
    ],
)
async def test_each_method_has_files_of_its_own(api: Any, method: Any, good: Any, bad: Any, message: str) -> None:
    options = {} if method is None else {"method": method}
    done = await over(api, await begun(api, [good] * 10, **options))
    assert done.status == "succeeded", done.error
    assert done.method.type == (method or {"type": "supervised"})["type"]
    failed = await over(api, await begun(api, [*[good] * 10, bad], **options))
    assert failed.status == "failed"
    assert failed.error.code == "invalid_training_file"
    assert failed.error.param == "training_file"
    assert message in failed.error.message
    assert failed.fine_tuned_model is None


async def test_too_few_examples_and_models_that_continue_texts(api: Any) -> None:
    few = await over(api, await begun(api, [example()] * 3))
    assert (few.error.code, few.error.param) == ("invalid_n_examples", "training_file")
    assert "has 3 examples, but must have at least 10" in few.error.message
    rows = [{"prompt": "One, two,", "completion": " three"}] * 10
    assert (await over(api, await begun(api, rows, model="babbage-002"))).status == "succeeded"
    assert (await over(api, await begun(api, model="babbage-002"))).status == "failed"


async def test_what_cannot_begin(api: Any) -> None:
    with pytest.raises(api.errors.NotFoundError):
        await api.call("fine_tuning.jobs.create", model="gpt-4o-mini", training_file="file-nowhere")
    file = await uploaded(api, [example()] * 10, purpose="assistants")
    with pytest.raises(api.errors.BadRequestError, match="has to be 'fine-tune'") as caught:
        await api.call("fine_tuning.jobs.create", model="gpt-4o-mini", training_file=file)
    assert caught.value.param == "training_file"
    for model in ("text-embedding-3-small", "dall-e-3", "gpt-4o-audio-preview", "whisper-1"):
        with pytest.raises(api.errors.BadRequestError, match="is not available for fine-tuning") as caught:
            await begun(api, model=model)
        assert caught.value.code == "model_not_available"
    with pytest.raises(api.errors.BadRequestError, match="grader"):
        await begun(api, method={"type": "reinforcement"})
    for verb in ("retrieve", "cancel", "pause", "resume", "list_events"):
        with pytest.raises(api.errors.NotFoundError):
            await api.call(f"fine_tuning.jobs.{verb}", "ftjob-nowhere")


@pytest.mark.fake(job_seconds=600)
async def test_a_job_that_is_cancelled(api: Any) -> None:
    job = await begun(api)
    with pytest.raises(api.errors.BadRequestError, match="its status is 'validating_files'"):
        await api.call("fine_tuning.jobs.pause", job.id)
    stopped = await api.call("fine_tuning.jobs.cancel", job.id)
    assert stopped.status == "cancelled"
    assert stopped.finished_at >= job.created_at
    with pytest.raises(api.errors.BadRequestError, match="its status is 'cancelled'"):
        await api.call("fine_tuning.jobs.cancel", job.id)


@pytest.mark.filterwarnings("ignore")
async def test_permissions_on_a_checkpoint(api: Any) -> None:
    done = await over(api, await begun(api))
    where = done.fine_tuned_model
    granted = await api.call("fine_tuning.checkpoints.permissions.create", where, project_ids=["proj_a", "proj_b"])
    given = await api.items(granted)
    assert [each.project_id for each in given] == ["proj_a", "proj_b"]
    listed = await api.items(await api.call("fine_tuning.checkpoints.permissions.list", where))
    assert {each.id for each in listed} == {each.id for each in given}
    gone = await api.call("fine_tuning.checkpoints.permissions.delete", given[0].id, fine_tuned_model_checkpoint=where)
    assert gone.deleted
