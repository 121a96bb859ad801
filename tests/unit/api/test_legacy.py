"""The APIs that the official package dropped, against a scripted server."""

from __future__ import annotations

import json
from typing import Any

import pytest

import antiphon
from antiphon import AsyncOpenAI, Ok, OpenAI
from antiphon.kernel.http import Headers, Request, Response, json_response
from antiphon.types.edit import Edit
from antiphon.types.file_object import FileObject
from antiphon.types.fine_tune import FineTune, Hyperparams
from antiphon.types.fine_tune_event import FineTuneEvent

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

EVENT = {"object": "fine-tune-event", "created_at": 2, "level": "info", "message": "Job enqueued."}
FILE = {"id": "file-1", "object": "file", "bytes": 3, "created_at": 1, "filename": "a.jsonl", "purpose": "fine-tune"}
TUNE = {
    "id": "ft-1",
    "object": "fine-tune",
    "model": "curie",
    "created_at": 1,
    "updated_at": 2,
    "fine_tuned_model": None,
    "organization_id": "org-1",
    "status": "pending",
    "hyperparams": {"n_epochs": 4, "batch_size": 1, "learning_rate_multiplier": 0.1, "prompt_loss_weight": 0.1},
    "training_files": [FILE],
    "validation_files": [],
    "result_files": [],
    "events": [EVENT],
}
ANSWERS: dict[tuple[str, str], Any] = {
    ("POST", "/v1/fine-tunes"): TUNE,
    ("GET", "/v1/fine-tunes"): {"object": "list", "data": [TUNE, TUNE]},
    ("GET", "/v1/fine-tunes/ft-1"): TUNE,
    ("POST", "/v1/fine-tunes/ft-1/cancel"): {**TUNE, "status": "cancelled"},
    ("GET", "/v1/fine-tunes/ft-1/events"): {"object": "list", "data": [EVENT]},
    ("DELETE", "/v1/models/curie:ft-acme"): {"id": "curie:ft-acme", "object": "model", "deleted": True},
    ("POST", "/v1/edits"): {
        "object": "edit",
        "created": 1,
        "choices": [{"text": "What day of the week is it?", "index": 0}],
        "usage": {"prompt_tokens": 25, "completion_tokens": 32, "total_tokens": 57},
    },
}


class Server:
    def __init__(self) -> None:
        self.requests: list[Request] = []

    def __call__(self, request: Request) -> Response:
        self.requests.append(request)
        if request.query == "stream=true":
            lines = [b"data: " + json.dumps({**EVENT, "created_at": n}).encode() + b"\n\n" for n in range(3)]
            return Response(200, Headers({"content-type": "text/event-stream"}), iter([*lines, b"data: [DONE]\n\n"]))
        return json_response(200, ANSWERS[request.method, request.path])


def clients() -> tuple[Server, OpenAI, AsyncOpenAI]:
    server = Server()
    return server, OpenAI(api_key="k", transport=server), AsyncOpenAI(api_key="k", transport=server)


async def test_fine_tunes() -> None:
    server, client, asked = clients()
    made = client.fine_tunes.create(training_file="file-1", model="curie", n_epochs=4, classification_betas=[1, 0.5])
    assert type(made) is FineTune and made == await asked.fine_tunes.create(training_file="file-1")
    assert json.loads(server.requests[0].content()) == {
        "training_file": "file-1",
        "model": "curie",
        "n_epochs": 4,
        "classification_betas": [1, 0.5],
    }
    assert type(made.hyperparams) is Hyperparams and made.hyperparams.n_epochs == 4
    assert type(made.training_files[0]) is FileObject
    assert made.events is not None and type(made.events[0]) is FineTuneEvent
    assert client.fine_tunes.retrieve("ft-1").status == "pending"
    assert client.fine_tunes.cancel("ft-1").status == (await asked.fine_tunes.cancel("ft-1")).status == "cancelled"
    assert [tune.id for tune in client.fine_tunes.list()] == ["ft-1", "ft-1"]
    assert [tune.id async for tune in asked.fine_tunes.list()] == ["ft-1", "ft-1"]
    assert client.fine_tunes.delete_model("curie:ft-acme").deleted is True


async def test_events_of_a_fine_tune() -> None:
    server, client, asked = clients()
    assert [event.message for event in client.fine_tunes.list_events("ft-1").data] == ["Job enqueued."]
    assert (await asked.fine_tunes.list_events("ft-1")).to_dict()["data"] == [EVENT]
    with client.fine_tunes.list_events("ft-1", stream=True) as stream:
        events = list(stream)
    assert [event.created_at for event in events] == [0, 1, 2]
    assert type(events[0]) is FineTuneEvent
    async with await asked.fine_tunes.list_events("ft-1", stream=True) as streamed:
        assert [event async for event in streamed] == events
    assert server.requests[-1].query == "stream=true"


async def test_edits() -> None:
    server, client, asked = clients()
    call: dict[str, Any] = {"model": "text-davinci-edit-001", "input": "What day of the wek is it?"}
    edit = client.edits.create(**call, instruction="Fix the spelling mistakes")
    assert type(edit) is Edit and edit == await asked.edits.create(**call, instruction="Fix the spelling mistakes")
    assert (edit.choices[0].text, edit.usage.total_tokens) == ("What day of the week is it?", 57)
    assert json.loads(server.requests[0].content()) == {**call, "instruction": "Fix the spelling mistakes"}
    result = client.edits.with_result.create(**call, instruction="x")
    assert isinstance(result, Ok) and result.value == edit
    assert client.fine_tunes.with_raw_response.retrieve("ft-1").parse().to_dict() == TUNE


@pytest.mark.filterwarnings("default::DeprecationWarning")
def test_they_are_deprecated() -> None:
    _, client, _ = clients()
    with pytest.warns(DeprecationWarning, match=r"edits.create is deprecated: chat completions"):
        client.edits.create(model="m", instruction="x")
    with pytest.warns(DeprecationWarning, match=r"fine_tunes.list is deprecated: `fine_tuning.jobs`"):
        client.fine_tunes.list()
    assert repr(antiphon.fine_tunes) == "<antiphon.fine_tunes>"
