"""What the API once had, and what our client still asks for."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import antiphon
from antiphon import FakeOpenAI
from antiphon.server.clock import VirtualClock

from .conftest import SUBJECTS, Subject

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
LINES = b'{"prompt": "One, two,", "completion": " three"}\n' * 3


@pytest.fixture(params=[name for name in SUBJECTS if not name.startswith("official")])
async def api(request: pytest.FixtureRequest, served: Any) -> Any:
    """The subjects but for the official client, which has dropped these."""
    marker = request.node.get_closest_marker("fake")
    subject = Subject(request.param, *served(request.param.partition(" ")[2], **(marker.kwargs if marker else {})))
    yield subject
    await subject.close()


@pytest.mark.fake(engine=lambda request: f"{request.instructions}: {request.user_text}")
async def test_edits(api: Any) -> None:
    made = await api.call("edits.create", model="text-davinci-edit-001", input="wek", instruction="Fix it", n=2)
    assert made.object == "edit"
    assert [(each.index, each.text) for each in made.choices] == [(0, "Fix it: wek"), (1, "Fix it: wek")]
    assert made.usage.total_tokens > 0
    with pytest.raises(antiphon.BadRequestError) as caught:
        await api.call("edits.create", model="text-davinci-edit-001", input="wek", instruction=5)
    assert caught.value.param == "instruction"
    with pytest.raises(antiphon.BadRequestError):
        await api.call("edits.create", model="text-davinci-edit-001", instruction="x", temperature=9)


async def test_a_fine_tune(api: Any) -> None:
    file = await api.call("files.create", file=("a.jsonl", LINES), purpose="fine-tune")
    tune = await api.call("fine_tunes.create", training_file=file.id, model="ada", suffix="mine", n_epochs=2)
    assert tune.id.startswith("ft-")
    assert tune.status == "pending"
    assert tune.hyperparams.n_epochs == 2
    assert [each.message for each in tune.events] == [f"Created fine-tune: {tune.id}"]
    stream = await api.call("fine_tunes.list_events", tune.id, stream=True)
    seen = [event.message for event in await api.items(stream)]
    assert seen[0] == f"Created fine-tune: {tune.id}"
    assert seen[-1] == "Fine-tune succeeded"
    done = await api.call("fine_tunes.retrieve", tune.id)
    assert done.status == "succeeded"
    assert done.fine_tuned_model.startswith("ft:ada:antiphon:mine:")
    assert [event.message for event in done.events] == seen
    assert [event.message for event in (await api.call("fine_tunes.list_events", tune.id)).data] == seen
    assert (await api.read(await api.call("files.content", done.result_files[0].id))).startswith(b"epoch,")
    assert [each.id for each in await api.items(await api.call("fine_tunes.list"))] == [tune.id]
    assert (await api.call("models.retrieve", done.fine_tuned_model)).id == done.fine_tuned_model
    assert (await api.call("fine_tunes.delete_model", done.fine_tuned_model)).deleted
    with pytest.raises(antiphon.BadRequestError, match="its status is 'succeeded'"):
        await api.call("fine_tunes.cancel", tune.id)
    with pytest.raises(antiphon.NotFoundError, match="No fine-tune job: ft-nowhere"):
        await api.call("fine_tunes.retrieve", "ft-nowhere")


async def test_a_file_that_is_wrong(api: Any) -> None:
    file = await api.call("files.create", file=("a.jsonl", b'{"prompt": 5}\n'), purpose="fine-tune")
    tune = await api.call("fine_tunes.create", training_file=file.id)
    for _ in range(500):
        tune = await api.call("fine_tunes.retrieve", tune.id)
        if tune.status == "failed":
            break
        await asyncio.sleep(0.02)
    assert tune.events[-1].level == "error"
    assert "Line 1: 'prompt' has to be a string" in tune.events[-1].message


def test_cancelled_in_the_middle() -> None:
    clock = VirtualClock()
    client = FakeOpenAI(clock=clock, job_seconds=60).client()
    file = client.files.create(file=("a.jsonl", LINES), purpose="fine-tune")
    tune = client.fine_tunes.create(training_file=file.id)
    clock.advance(30)
    assert client.fine_tunes.retrieve(tune.id).status == "running"
    assert client.fine_tunes.cancel(tune.id).status == "cancelled"
    clock.advance(60)
    assert client.fine_tunes.retrieve(tune.id).status == "cancelled"
    assert client.fine_tunes.list_events(tune.id, stream=True).response is not None
