"""Fine-tuning jobs: files are validated, the loss falls by the server's clock, and a model comes of it.

A job spends a tenth of `job_seconds` on its files and a tenth in the queue; then it trains in parts, each of which
tells what its steps were like, makes a checkpoint at the end of every epoch, and at last its model. Whatever the
numbers say follows from the job's `seed`.

API reference: https://platform.openai.com/docs/api-reference/fine-tuning
"""

from __future__ import annotations

import re
from math import ceil, exp
from random import Random
from typing import TYPE_CHECKING, Any, Final

from ...api.fine_tuning.jobs import Jobs
from ...kernel.errors import BadRequestError
from ..behaviour import Call, serves
from ..facts import made
from ..ids import Ids
from ..jobs import Again, Job, job
from ..kept import amend, check_reference, family
from ..store import bytes_of
from ..training_data import examples
from ..vocabulary import known_models
from .files import keep_file, require_between
from .models import TUNED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..app import Server
    from ..behaviour import Reply

__all__ = ("MOST", "OVER")

JOBS: Final = "fine_tuning.jobs"
OVER: Final = frozenset(("succeeded", "failed", "cancelled"))
_PARTS: Final = 7
"""In so many parts a job trains, each a tenth of its time."""
_TOLD: Final = 100
"""So many steps are told of at the most."""
_KEPT_CHECKPOINTS: Final = 3
_TUNABLE: Final = ("gpt-4", "gpt-3.5-turbo", "o4-mini", "babbage-002", "davinci-002", "ft:")
_UNTUNABLE: Final = re.compile(r"audio|realtime|search|transcribe|tts|image|vision")
_SUFFIX: Final = 64
MOST: Final = {"n_epochs": 50, "batch_size": 256}
"""The largest values of hyperparameters; the least are 1."""


@serves(Jobs.create)
def create(call: Call) -> Reply:
    """Begin a job; its files are validated a little later.

    Raises `NotFoundError` for unknown files, `BadRequestError` for a model that cannot be tuned.
    """
    server, body = call.server, call.body
    model: str = body["model"]
    if not server.conjures:
        _check_model(model)
    for field in ("training_file", "validation_file"):
        _check_file(call, field)
    method = _method(body)
    _check_hyperparameters(call, method)
    moment = int(server.clock.now())
    facts = {
        "id": server.ids.new("ftjob-"),
        "object": "fine_tuning.job",
        "model": model,
        "created_at": moment,
        "status": "validating_files",
        "organization_id": server.organization,
        "training_file": body["training_file"],
        "validation_file": body.get("validation_file"),
        "hyperparameters": _hyperparameters(method),
        "method": method,
        "seed": body["seed"] if body.get("seed") is not None else server.random.randrange(1 << 31),
        "result_files": [],
        "integrations": body.get("integrations") or [],
        "metadata": body.get("metadata"),
        "error": None,
        "estimated_finish": None,
        "fine_tuned_model": None,
        "finished_at": None,
        "trained_tokens": None,
    }
    doc = made(server, family(JOBS).schema, facts)
    server.store.put("fine_tuning/jobs", doc["id"], doc)
    _tell(server, doc["id"], moment, f"Created fine-tuning job: {doc['id']}")
    if server.store.get("files", doc["training_file"]) is not None:
        _tell(server, doc["id"], moment, f"Validating training file: {doc['training_file']}")
        if doc["validation_file"]:
            _tell(server, doc["id"], moment, f"Validating validation file: {doc['validation_file']}")
        after, data = server.job_seconds * 0.1, {"suffix": body.get("suffix") or ""}
        server.jobs.schedule("fine_tuning.validate", doc["id"], after=after, data=data)
    return doc


def _check_model(model: str) -> None:
    unfit = model in known_models() and (not model.startswith(_TUNABLE) or _UNTUNABLE.search(model) is not None)
    if unfit:
        raise BadRequestError.because(
            f"Model {model} is not available for fine-tuning or does not exist.",
            param="model",
            code="model_not_available",
        )


def _check_file(call: Call, field: str) -> None:
    check_reference(call, field, "files")
    file = call.server.store.get("files", call.body.get(field) or "")
    if file is not None and file["purpose"] != "fine-tune" and not call.server.conjures:
        raise BadRequestError.because(
            f"Invalid '{field}': the purpose of the file is '{file['purpose']}', but it has to be 'fine-tune'.",
            param=field,
            code="invalid_file_purpose",
        )


def _method(body: Mapping[str, Any]) -> dict[str, Any]:
    """How is to be trained, with every hyperparameter told."""
    given: dict[str, Any] = body.get("method") or {"type": "supervised"}
    kind: str = given["type"]
    details: dict[str, Any] = dict(given.get(kind) or {})
    if kind == "reinforcement" and not details.get("grader"):
        raise BadRequestError.because(
            "Missing required parameter: 'method.reinforcement.grader'.",
            param="method.reinforcement.grader",
            code="missing_required_parameter",
        )
    details["hyperparameters"] = {
        "n_epochs": "auto",
        "batch_size": "auto",
        "learning_rate_multiplier": "auto",
        **({"beta": "auto"} if kind == "dpo" else {}),
        **(body.get("hyperparameters") or {}),
        **(details.get("hyperparameters") or {}),
    }
    return {"type": kind, kind: details}


def _check_hyperparameters(call: Call, method: Mapping[str, Any]) -> None:
    kind: str = method["type"]
    given = method[kind]["hyperparameters"]
    where = f"method.{kind}.hyperparameters" if call.body.get("method") else "hyperparameters"
    for name, most in MOST.items():
        if isinstance(given[name], int):
            require_between(call, given[name], 1, most, f"{where}.{name}")


def _hyperparameters(method: Mapping[str, Any]) -> dict[str, Any]:
    every: dict[str, Any] = method[method["type"]]["hyperparameters"]
    return {name: every[name] for name in ("n_epochs", "batch_size", "learning_rate_multiplier")}


# What callers do with a job


@serves(Jobs.cancel)
def cancel(call: Call) -> Reply:
    """Give a job up. Raises `BadRequestError` for one that is over."""
    return _turned(call, "cancelled", "cancel", finished_at=int(call.server.clock.now()))


@serves(Jobs.pause)
def pause(call: Call) -> Reply:
    """Have a job wait. Raises `BadRequestError` for one that does not train."""
    return _turned(call, "paused", "pause", only=("queued", "running"))


@serves(Jobs.resume)
def resume(call: Call) -> Reply:
    """Have a job go on. Raises `BadRequestError` for one that was not paused."""
    return _turned(call, "queued", "resume", only=("paused",))


def _turned(call: Call, status: str, verb: str, *, only: tuple[str, ...] = (), **fields: Any) -> dict[str, Any]:
    server = call.server
    with server.lock:
        doc = family(JOBS).found(call)
        before: str = doc["status"]
        if not server.conjures and (before in OVER or (only and before not in only)):
            raise BadRequestError.because(
                f"Cannot {verb} the fine-tuning job '{doc['id']}': its status is '{before}'.",
                code=f"invalid_status_for_{verb}",
            )
        doc = {**doc, "status": status, **fields}
        if server.store.get("fine_tuning/jobs", doc["id"]) is None:
            return made(server, family(JOBS).schema, doc)  # conjured: to the letter of the type, which knows no pause
        moment = int(server.clock.now())
        server.store.put("fine_tuning/jobs", doc["id"], doc)
        _RESULTS[verb](server, doc["id"])
        _tell(server, doc["id"], moment, f"The job was {_DONE[verb]}")
    return doc


_DONE: Final = {"cancel": "cancelled", "pause": "paused", "resume": "resumed"}
_KINDS: Final = ("fine_tuning.validate", "fine_tuning.train")
_PAUSED: Final = "fine_tuning/paused"


def _end(server: Server, id: str) -> None:
    for kind in _KINDS:
        server.jobs.cancel(kind, id)
    server.store.delete(_PAUSED, id)


def _hold(server: Server, id: str) -> None:
    waiting = server.jobs.waiting("fine_tuning.train", id)
    if waiting is not None:
        server.store.put(_PAUSED, id, {"id": id, "data": waiting.data})
        server.jobs.cancel("fine_tuning.train", id)


def _go_on(server: Server, id: str) -> None:
    held = server.store.get(_PAUSED, id)
    if held is not None:
        server.store.delete(_PAUSED, id)
        server.jobs.schedule("fine_tuning.train", id, after=server.job_seconds * 0.1, data=held["data"])


_RESULTS: Final = {"cancel": _end, "pause": _hold, "resume": _go_on}


# What happens to a job


@job("fine_tuning.validate")
def validate(server: Server, due: Job) -> None:
    """Read the files. What is wrong with one ends the job."""
    with server.lock:  # whoever cancels the job does so before or after
        doc = _kept(server, due.subject)
        if doc is not None and doc["status"] == "validating_files":
            _validated(server, doc, due)


def _validated(server: Server, doc: Mapping[str, Any], due: Job) -> None:
    moment = int(due.at)
    kind: str = doc["method"]["type"]
    found = {
        field: examples(
            bytes_of(server.store, doc[field]), kind, doc["model"], least=1 if field == "validation_file" else 10
        )
        for field in ("training_file", "validation_file")
        if doc[field]
    }
    for field, each in found.items():
        if each.wrong:
            short = each.wrong[-1].startswith("The file has") and len(each.wrong) == 1
            more = f" ({len(each.wrong) - 1} more)" if len(each.wrong) > 1 else ""
            error = {
                "code": "invalid_n_examples" if short else f"invalid_{field}",
                "message": f"The job failed due to an invalid {field.replace('_', ' ')}. {each.wrong[0]}{more}",
                "param": field,
            }
            amend(server, "fine_tuning/jobs", doc["id"], status="failed", finished_at=moment, error=error)
            _tell(server, doc["id"], moment, error["message"], level="error")
            return
    training = found["training_file"]
    chosen = _chosen(doc, training.lines)
    steps = max(1, ceil(training.lines / chosen["batch_size"]) * chosen["n_epochs"])
    amend(server, "fine_tuning/jobs", doc["id"], status="queued")
    _tell(server, doc["id"], moment, "Files validated, moving job to queued state")
    data = {**due.data, "step": 0, "steps": steps, "chosen": chosen, "tokens": training.tokens * chosen["n_epochs"]}
    server.jobs.schedule("fine_tuning.train", doc["id"], at=due.at + server.job_seconds * 0.1, data=data)


def _chosen(doc: Mapping[str, Any], count: int) -> dict[str, Any]:
    """The hyperparameters, those chosen for the caller among them."""
    auto = {"n_epochs": 3, "batch_size": max(1, ceil(count / 500)), "learning_rate_multiplier": 2.0}
    given: dict[str, Any] = doc["hyperparameters"]
    chosen = {name: auto[name] if given[name] in ("auto", None) else given[name] for name in auto}
    # Where nothing was refused, the work is bounded all the same.
    return {**chosen, **{name: max(1, min(most, chosen[name])) for name, most in MOST.items()}}


@job("fine_tuning.train")
def train(server: Server, due: Job) -> Again | None:
    """Train for a tenth of the job's time; the last part makes the model."""
    with server.lock:  # whoever cancels or pauses the job does so before or after
        doc = _kept(server, due.subject)
        under_way = doc is not None and doc["status"] in ("queued", "running")
        return _trained(server, doc, due) if doc is not None and under_way else None


def _trained(server: Server, doc: Mapping[str, Any], due: Job) -> Again | None:
    data = due.data
    part = server.job_seconds * 0.1
    if doc["status"] == "queued":
        left = part * (_PARTS + 1) * (1 - data["step"] / data["steps"])
        chosen = data["chosen"]
        method = doc["method"]
        kind = method["type"]
        inner = {**method[kind], "hyperparameters": {**method[kind]["hyperparameters"], **chosen}}
        amend(
            server,
            "fine_tuning/jobs",
            doc["id"],
            status="running",
            estimated_finish=int(due.at + left),
            hyperparameters=chosen,
            method={**method, kind: inner},
        )
        _tell(server, doc["id"], int(due.at), "Fine-tuning job started")
        return Again(part)
    first, steps = data["step"], data["steps"]
    last = min(steps, first + ceil(steps / _PARTS))
    every = max(1, steps // _TOLD)
    per_epoch = max(1, steps // data["chosen"]["n_epochs"])
    for step in range(first + 1, last + 1):
        if step % every == 0 or step == steps:
            measured = _measured(doc, step, steps)
            told = f"Step {step}/{steps}: training loss={measured['train_loss']:.2f}"
            if "valid_loss" in measured:
                told += f", validation loss={measured['valid_loss']:.2f}"
            _tell(server, doc["id"], int(due.at), told, kind="metrics", data=measured)
        if step % per_epoch == 0 and step // per_epoch > data["chosen"]["n_epochs"] - _KEPT_CHECKPOINTS:
            _checkpoint(server, doc, data, step, int(due.at))
    if last < steps:
        return Again(part, {**data, "step": last})
    _finish(server, doc, data, int(due.at))
    return None


def _measured(doc: Mapping[str, Any], step: int, steps: int) -> dict[str, Any]:
    """What a step was like: the loss falls, the accuracy rises, neither quite evenly."""
    dice = Random(f"{doc['seed']} {step}")
    way = step / steps
    loss = 0.35 + 2.6 * exp(-4.5 * way) + dice.uniform(-0.12, 0.12) * (1 - 0.7 * way)
    accuracy = min(0.99, 0.45 + 0.5 * (1 - exp(-3.5 * way)) + dice.uniform(-0.02, 0.02))
    found = {
        "step": step,
        "total_steps": steps,
        "train_loss": round(loss, 5),
        "train_mean_token_accuracy": round(accuracy, 5),
    }
    if doc["validation_file"]:
        worse = dice.uniform(0.02, 0.15)
        found["valid_loss"] = round(loss + worse, 5)
        found["valid_mean_token_accuracy"] = round(max(0.0, accuracy - worse / 5), 5)
        if step == steps:
            found["full_valid_loss"] = round(loss + 0.08, 5)
            found["full_valid_mean_token_accuracy"] = round(max(0.0, accuracy - 0.016), 5)
    return found


def _name(server: Server, doc: Mapping[str, Any], suffix: str) -> str:
    base = doc["model"].split(":")[1] if doc["model"].startswith("ft:") else doc["model"]
    clean = re.sub(r"[^a-z0-9-]+", "-", suffix.lower())[:_SUFFIX].strip("-")
    # The same for the model and its checkpoints, whenever they are made.
    tail = Ids(f"{server.seed} {doc['id']}").new("", 8)
    return f"ft:{base}:{server.organization.removeprefix('org-')}:{clean}:{tail}"


def _checkpoint(server: Server, doc: Mapping[str, Any], data: Mapping[str, Any], step: int, at: int) -> None:
    name = _name(server, doc, data["suffix"])
    final = step == data["steps"]
    keeper = family("fine_tuning.jobs.checkpoints")
    measured = _measured(doc, step, data["steps"])
    facts = {
        "id": server.ids.new("ftckpt_"),
        "object": "fine_tuning.job.checkpoint",
        "created_at": at,
        "fine_tuned_model_checkpoint": name if final else f"{name}:ckpt-step-{step}",
        "fine_tuning_job_id": doc["id"],
        "metrics": {key: value for key, value in measured.items() if key != "total_steps"},
        "step_number": step,
    }
    kept = made(server, keeper.schema, facts)
    kept["metrics"] = facts["metrics"]  # no more of them than were measured
    server.store.put(keeper.place({"fine_tuning_job_id": doc["id"]}), kept["id"], kept)
    if not final:
        _tell(server, doc["id"], at, f"Checkpoint created at step {step}")


def _finish(server: Server, doc: Mapping[str, Any], data: Mapping[str, Any], at: int) -> None:
    name = _name(server, doc, data["suffix"])
    model = {"id": name, "object": "model", "created": at, "owned_by": server.organization}
    server.store.put(TUNED, name, model)
    file = keep_file(server, _results(doc, data["steps"]), "step_metrics.csv", "fine-tune-results", at=at)
    amend(
        server,
        "fine_tuning/jobs",
        doc["id"],
        status="succeeded",
        fine_tuned_model=name,
        finished_at=at,
        estimated_finish=None,
        trained_tokens=data["tokens"],
        result_files=[file["id"]],
    )
    _tell(server, doc["id"], at, f"New fine-tuned model created: {name}")
    _tell(server, doc["id"], at, "The job has successfully completed")


def _results(doc: Mapping[str, Any], steps: int) -> bytes:
    names = ("train_loss", "train_mean_token_accuracy", "valid_loss", "valid_mean_token_accuracy")
    rows = ["step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy"]
    for step in range(1, steps + 1):
        measured = _measured(doc, step, steps)
        rows.append(",".join([str(step), *(str(measured.get(name, "")) for name in names)]))
    return "\n".join(rows).encode() + b"\n"


def _kept(server: Server, id: str) -> dict[str, Any] | None:
    return server.store.get("fine_tuning/jobs", id)


def _tell(
    server: Server,
    id: str,
    at: int,
    message: str,
    *,
    level: str = "info",
    kind: str = "message",
    data: dict[str, Any] | None = None,
) -> None:
    """Add an event to a job."""
    event: dict[str, Any] = {
        "object": "fine_tuning.job.event",
        "id": server.ids.new("ftevent-"),
        "created_at": at,
        "level": level,
        "message": message,
        "data": {} if data is None else data,
        "type": kind,
    }
    server.store.put(family("fine_tuning.jobs.events").place({"fine_tuning_job_id": id}), event["id"], event)
