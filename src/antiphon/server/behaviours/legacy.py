"""What the API once had: edits, and the fine-tunes that `fine_tuning.jobs` took the place of.

API reference: https://platform.openai.com/docs/deprecations
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson

from ...api.edits import Edits
from ...api.fine_tunes import FineTunes
from ...kernel.errors import BadRequestError, NotFoundError
from ...kernel.flow import Pause
from ...kernel.http import Response
from ..asking import asked
from ..behaviour import Call, serves
from ..ids import Ids
from ..jobs import Again, Job, job
from ..kept import amend, check_reference, now
from ..renderings.sinks import EVENT_STREAM, settled
from ..store import bytes_of
from ..training_data import examples
from .files import keep_file, require_between
from .fine_tuning import MOST
from .models import TUNED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...kernel.flow import Flow, Step
    from ..app import Server
    from ..behaviour import Reply

__all__ = ("TUNES",)

TUNES: Final = "fine-tunes"
_OVER: Final = frozenset(("succeeded", "failed", "cancelled"))
_STEPS: Final = 5
_DEFAULT: Final = "curie"


@serves(Edits.create)
def edit(call: Call) -> Reply:
    """The input as the chat engine has it, which is asked with the instruction as the system's message."""
    return settled(_edited(call))


def _edited(call: Call) -> Flow[Any]:
    body = call.body
    messages = [
        {"role": "system", "content": body["instruction"]},
        {"role": "user", "content": body.get("input") or ""},
    ]
    given = {name: body[name] for name in ("n", "temperature", "top_p") if body.get(name) is not None}
    answer = yield from asked(
        call.server, "/v1/chat/completions", {"model": body["model"], "messages": messages, **given}
    )
    if answer.status >= 400:
        return answer
    found = orjson.loads(answer.content)
    choices = [
        {"text": each["message"].get("content") or each["message"].get("refusal") or "", "index": each["index"]}
        for each in found["choices"]
    ]
    return {"object": "edit", "created": found["created"], "choices": choices, "usage": found["usage"]}


# Fine-tunes


@serves(FineTunes.create)
def create(call: Call) -> Reply:
    """Begin a fine-tune. Raises `NotFoundError` for unknown files."""
    server, body = call.server, call.body
    for field in ("training_file", "validation_file"):
        check_reference(call, field, "files")
    if body.get("n_epochs") is not None:
        require_between(call, body["n_epochs"], 1, MOST["n_epochs"], "n_epochs")
    moment = now(call)
    defaults = {
        "n_epochs": 4,
        "batch_size": None,
        "learning_rate_multiplier": None,
        "prompt_loss_weight": 0.01,
        "compute_classification_metrics": None,
        "classification_n_classes": None,
        "classification_positive_class": None,
    }
    tune: dict[str, Any] = {
        "id": server.ids.new("ft-"),
        "object": "fine-tune",
        "created_at": moment,
        "updated_at": moment,
        "model": body.get("model") or _DEFAULT,
        "fine_tuned_model": None,
        "organization_id": server.organization,
        "status": "pending",
        "hyperparams": {
            name: body.get(name, value) if body.get(name) is not None else value for name, value in defaults.items()
        },
        "training_files": _files(server, body["training_file"]),
        "validation_files": _files(server, body.get("validation_file")),
        "result_files": [],
    }
    server.store.put(TUNES, tune["id"], tune)
    _tell(server, tune["id"], moment, f"Created fine-tune: {tune['id']}")
    data = {"step": 0, "suffix": body.get("suffix") or ""}
    server.jobs.schedule("legacy.tune", tune["id"], after=server.job_seconds / (_STEPS + 1), data=data)
    return _with_events(server, tune)


@serves(FineTunes.retrieve)
def retrieve(call: Call) -> Reply:
    """A fine-tune with what has happened to it. Raises `NotFoundError`."""
    return _with_events(call.server, _found(call))


@serves(FineTunes.list)
def list_tunes(call: Call) -> Reply:
    """Every fine-tune, the oldest first."""
    return {"object": "list", "data": call.server.store.list(TUNES)}


@serves(FineTunes.cancel)
def cancel(call: Call) -> Reply:
    """Give a fine-tune up. Raises `BadRequestError` for one that is over."""
    server = call.server
    with server.lock:
        found = _found(call)
        if found["status"] in _OVER and not server.conjures:
            raise BadRequestError.because(
                f"Cannot cancel fine-tune '{found['id']}': its status is '{found['status']}'."
            )
        tune: dict[str, Any] = {**found, "status": "cancelled", "updated_at": now(call)}
        if server.store.get(TUNES, tune["id"]) is not None:
            server.jobs.cancel("legacy.tune", tune["id"])
            server.store.put(TUNES, tune["id"], tune)
            _tell(server, tune["id"], now(call), "Fine-tune cancelled")
    return _with_events(server, tune)


@serves(FineTunes.list_events)
def list_events(call: Call) -> Reply:
    """What has happened to a fine-tune; with `stream`, also what happens until it is over."""
    tune = _found(call)
    if call.query.get("stream"):
        return Response(200, EVENT_STREAM, _following(call.server, tune["id"]))
    return {"object": "list", "data": _events(call.server, tune["id"])}


def _following(server: Server, tune: str) -> Iterator[bytes | Step[Any]]:
    told = 0
    while True:
        yield from server.jobs.running()  # type: ignore[misc]
        events = _events(server, tune)
        for event in events[told:]:
            yield b"data: " + orjson.dumps(event) + b"\n\n"
        told = len(events)
        kept = server.store.get(TUNES, tune)
        if kept is None or kept["status"] in _OVER:
            break
        yield Pause(max(0.01, server.job_seconds / 20))
    yield b"data: [DONE]\n\n"


@job("legacy.tune")
def tune(server: Server, due: Job) -> Again | None:
    """One step of a fine-tune: it waits, runs through its epochs, and makes its model."""
    with server.lock:  # whoever cancels it does so before or after
        kept = server.store.get(TUNES, due.subject)
        return None if kept is None or kept["status"] in _OVER else _stepped(server, kept, due)


def _stepped(server: Server, kept: dict[str, Any], due: Job) -> Again | None:
    step, at = due.data["step"], int(due.at)
    changes: dict[str, Any] = {"updated_at": at}
    if step == 0:
        wrong = _wrong(server, kept)
        if wrong:
            _tell(server, kept["id"], at, f"Error processing the training file: {wrong}", level="error")
            changes["status"] = "failed"
        else:
            changes["status"] = "running"
            _tell(server, kept["id"], at, "Fine-tune started")
    elif step < _STEPS:
        epochs = _epochs(kept)
        _tell(server, kept["id"], at, f"Completed epoch {max(1, epochs * step // (_STEPS - 1))}/{epochs}")
    else:
        changes |= _finished(server, kept, due)
    amend(server, TUNES, kept["id"], **changes)
    if changes.get("status") in _OVER:
        return None
    return Again(server.job_seconds / (_STEPS + 1), {**due.data, "step": step + 1})


def _wrong(server: Server, kept: dict[str, Any]) -> str | None:
    for file in kept["training_files"]:
        found = examples(bytes_of(server.store, file["id"]), "supervised", "davinci-002", least=1)
        if found.wrong:
            return found.wrong[0]
    return None


def _finished(server: Server, kept: dict[str, Any], due: Job) -> dict[str, Any]:
    at = int(due.at)
    tail = Ids(f"{server.seed} {kept['id']}").new("", 8).lower()
    organization = server.organization.removeprefix("org-")
    name = ":".join(("ft", kept["model"], organization, due.data["suffix"], tail))
    server.store.put(TUNED, name, {"id": name, "object": "model", "created": at, "owned_by": server.organization})
    results = keep_file(server, _results(kept), "compiled_results.csv", "fine-tune-results", at=at)
    _tell(server, kept["id"], at, f"Uploaded model: {name}")
    _tell(server, kept["id"], at, f"Uploaded result file: {results['id']}")
    _tell(server, kept["id"], at, "Fine-tune succeeded")
    return {"status": "succeeded", "fine_tuned_model": name, "result_files": [results]}


def _epochs(kept: dict[str, Any]) -> int:
    """How often the examples are gone through: within bounds, also where nothing was refused."""
    asked: int = kept["hyperparams"]["n_epochs"]
    return max(1, min(MOST["n_epochs"], asked))


def _results(kept: dict[str, Any]) -> bytes:
    rows = (f"{epoch},{0.3 + 1.2 / epoch:.4f}\n" for epoch in range(1, _epochs(kept) + 1))
    return ("epoch,training_loss\n" + "".join(rows)).encode()


def _found(call: Call) -> dict[str, Any]:
    name = call.params["fine_tune_id"]
    kept = call.server.store.get(TUNES, name)
    if kept is not None:
        return kept
    if call.server.conjures:
        from ..facts import made

        return made(call.server, "fine_tunes.retrieve", {"id": name, "model": _DEFAULT, "status": "pending"})
    raise NotFoundError.because(f"No fine-tune job: {name}", param="fine_tune_id", code="fine_tune_not_found")


def _files(server: Server, file: str | None) -> list[dict[str, Any]]:
    kept = server.store.get("files", file) if file else None
    return [] if kept is None else [kept]


def _events(server: Server, tune: str) -> list[dict[str, Any]]:
    return [event["event"] for event in server.store.list(f"{TUNES}/{tune}/events")]


def _with_events(server: Server, tune: dict[str, Any]) -> dict[str, Any]:
    return {**tune, "events": _events(server, tune["id"])}


def _tell(server: Server, tune: str, at: int, message: str, *, level: str = "info") -> None:
    place = f"{TUNES}/{tune}/events"
    name = str(len(server.store.list(place)))
    event = {"object": "fine-tune-event", "created_at": at, "level": level, "message": message}
    server.store.put(place, name, {"id": name, "event": event})
