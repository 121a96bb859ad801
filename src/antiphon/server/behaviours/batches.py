"""Batches: each line of the input file is a request, answered by this server as if it had come by itself.

A batch is validated as a whole, then worked off in parts, then put into files, each at its time (`server.jobs`): a
tenth of `job_seconds` for the first and the last, the rest for the lines. What is not done within 24 hours expires,
and what was done by then is kept. The input file is read once, and not needed any more then.

API reference: https://platform.openai.com/docs/api-reference/batch
"""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import orjson

from ...api.batches import Batches
from ...kernel.errors import BadRequestError, ConflictError
from ...kernel.flow import Pause
from ..asking import asked
from ..behaviour import Call, serves
from ..facts import made
from ..jobs import Again, Job, job
from ..kept import amend, check_reference, family
from ..store import bytes_of
from .files import keep_file

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...kernel.flow import Flow
    from ..app import Server
    from ..behaviour import Reply

__all__ = ("DAY",)

DAY: Final = 86_400
MOST_LINES: Final = 50_000
MOST_BYTES: Final = 200 * 1024 * 1024
_MOST_ERRORS: Final = 100
"""So many errors of an input file are told."""
_PARTS: Final = 8
"""In so many parts the lines of a batch are worked off."""
_BREATH: Final = 100
"""After so many lines whoever else waits for the server gets a turn."""
_OVER: Final = frozenset(("completed", "failed", "expired", "cancelled", "cancelling"))


class _Line(NamedTuple):
    custom_id: str
    body: dict[str, Any]


@serves(Batches.create)
def create(call: Call) -> Reply:
    """Begin with a batch; it is validated a little later. Raises `NotFoundError` for an unknown input file."""
    server, body = call.server, call.body
    check_reference(call, "input_file_id", "files")
    file = server.store.get("files", body["input_file_id"])
    if file is not None and file["purpose"] != "batch" and not server.conjures:
        raise BadRequestError.because(
            f"Invalid 'input_file_id': the purpose of the file is '{file['purpose']}', but it has to be 'batch'.",
            param="input_file_id",
        )
    made_at = int(server.clock.now())
    facts = {
        **body,
        "id": server.ids.new("batch_"),
        "object": "batch",
        "status": "validating",
        "created_at": made_at,
        "expires_at": made_at + DAY,
        "request_counts": {"total": 0, "completed": 0, "failed": 0},
        "metadata": body.get("metadata"),
    }
    batch = made(server, family("batches").schema, facts)
    server.store.put("batches", batch["id"], batch)
    if file is not None:
        kept_for = (body.get("output_expires_after") or {}).get("seconds")
        data = {"part": 0, "origin": call.origin, "kept_for": kept_for}
        server.jobs.schedule("batches.validate", batch["id"], after=server.job_seconds * 0.1, data=data)
        server.jobs.schedule("batches.expire", batch["id"], after=DAY, data=data)
    return batch


@serves(Batches.cancel)
def cancel(call: Call) -> Reply:
    """Stop a batch; what was done so far is put into its files. Raises `ConflictError` for one that is over."""
    server = call.server
    with server.lock:
        found = family("batches").found(call)
        if found["status"] in _OVER and not server.conjures:
            raise ConflictError.because(f"Cannot cancel a batch with status '{found['status']}'.")
        moment = int(server.clock.now())
        batch: dict[str, Any] = {**found, "status": "cancelling", "cancelling_at": moment}
        if server.store.get("batches", batch["id"]) is not None:
            under_way = _halted(server, batch["id"])
            server.store.put("batches", batch["id"], batch)
            data = under_way.data if under_way else {}
            server.jobs.schedule("batches.cancel", batch["id"], after=server.job_seconds * 0.1, data=data)
    return batch


def _halted(server: Server, batch: str) -> Job | None:
    """Have no job of a batch happen any more; the one that was next to do something with it."""
    found: Job | None = None
    for kind in ("batches.validate", "batches.run", "batches.finish", "batches.expire"):
        waiting = server.jobs.waiting(kind, batch)
        found = found or waiting
        server.jobs.cancel(kind, batch)
    return found


# The life of a batch


@job("batches.validate")
def validate(server: Server, due: Job) -> None:
    """See that every line is a request for the batch's endpoint. A batch with a line that is not has failed."""
    batch = _kept(server, due)
    if batch is None:
        return
    lines, errors = _read(server, batch)
    if errors:
        _halted(server, batch["id"])
        told = {"object": "list", "data": errors[:_MOST_ERRORS]}
        amend(server, "batches", due.subject, status="failed", failed_at=int(due.at), errors=told)
        return
    counts = {"total": len(lines), "completed": 0, "failed": 0}
    model = lines[0].body.get("model")
    amend(
        server,
        "batches",
        due.subject,
        status="in_progress",
        in_progress_at=int(due.at),
        request_counts=counts,
        model=model,
    )
    size = ceil(len(lines) / _PARTS)
    parts = [lines[first : first + size] for first in range(0, len(lines), size)]
    for number, part in enumerate(parts):
        _put(server, batch["id"], "input", number, orjson.dumps([[*line] for line in part]))
    at = due.at + server.job_seconds * 0.8 / _PARTS
    server.jobs.schedule("batches.run", batch["id"], at=at, data={**due.data, "parts": len(parts)})


@job("batches.run")
def run(server: Server, due: Job) -> Flow[Again | None]:
    """Answer the next part of the lines."""
    batch = _kept(server, due)
    if batch is None:
        return None
    part: int = due.data["part"]
    answered: list[bytes] = []
    refused: list[bytes] = []
    used = dict(batch.get("usage") or _UNUSED)
    for number, line in enumerate(_lines(server, batch["id"], part), 1):
        response = yield from _response(server, batch["endpoint"], line, due.data["origin"])
        (answered if response["status_code"] < 400 else refused).append(_written(server, line, response, None))
        _add(used, response["body"])
        if number % _BREATH == 0:
            yield Pause(0)
    with server.lock:
        current = _kept(server, due)
        if current is None or current["status"] != "in_progress":
            return None  # it was cancelled in the middle: this part counts as not begun
        counts = dict(current["request_counts"])
        counts["completed"] += len(answered)
        counts["failed"] += len(refused)
        _put(server, batch["id"], "output", part, b"".join(answered))
        _put(server, batch["id"], "error", part, b"".join(refused))
        amend(server, "batches", due.subject, request_counts=counts, usage=used)
        data = {**due.data, "part": part + 1}
        if part + 1 < due.data["parts"]:
            return Again(server.job_seconds * 0.8 / _PARTS, data)
        amend(server, "batches", due.subject, status="finalizing", finalizing_at=int(due.at))
        server.jobs.schedule("batches.finish", batch["id"], at=due.at + server.job_seconds * 0.1, data=data)
        return None


@job("batches.finish")
def finish(server: Server, due: Job) -> None:
    """Put what was said into files."""
    server.jobs.cancel("batches.expire", due.subject)
    _close(server, due, status="completed", completed_at=int(due.at))


@job("batches.expire")
def expire(server: Server, due: Job) -> None:
    """The time is over: what was done is put into files, and for the rest the error file says why it was not."""
    batch = _kept(server, due)
    if batch is None:
        return
    under_way = _halted(server, due.subject)
    first = under_way.data["part"] if under_way is not None and batch["status"] == "in_progress" else _PARTS
    error = {
        "code": "batch_expired",
        "message": "This request could not be executed before the completion window expired.",
    }
    left = [line for part in range(first, _PARTS) for line in _lines(server, batch["id"], part)]
    late = [_written(server, line, None, error) for line in left]
    _put(server, batch["id"], "error", _PARTS, b"".join(late))
    counts = {**batch["request_counts"], "failed": batch["request_counts"]["failed"] + len(late)}
    _close(server, due, status="expired", expired_at=int(due.at), request_counts=counts)


@job("batches.cancel")
def cancelled(server: Server, due: Job) -> None:
    """A cancelled batch has come to rest."""
    _close(server, due, status="cancelled", cancelled_at=int(due.at))


def _kept(server: Server, due: Job) -> dict[str, Any] | None:
    return server.store.get("batches", due.subject)


def _close(server: Server, due: Job, **fields: Any) -> None:
    files: dict[str, Any] = {}
    _taken(server, due.subject, "input")
    for kind in ("output", "error"):
        data = _taken(server, due.subject, kind)
        if data:
            name = f"{due.subject}_{kind}.jsonl"
            file = keep_file(server, data, name, "batch_output", at=int(due.at), expires_after=due.data.get("kept_for"))
            files[f"{kind}_file_id"] = file["id"]
    amend(server, "batches", due.subject, **files, **fields)


# Lines that are to be answered, and those that were, until they are put into files


def _put(server: Server, batch: str, kind: str, part: int, data: bytes) -> None:
    if data:
        server.store.put_blob(_part(batch, kind, part), data, "application/json")


def _lines(server: Server, batch: str, part: int) -> list[_Line]:
    """The lines of a part; none where the batch has not so many parts."""
    data = bytes_of(server.store, _part(batch, "input", part))
    return [_Line(*line) for line in orjson.loads(data)] if data else []


def _taken(server: Server, batch: str, kind: str) -> bytes:
    names = [_part(batch, kind, part) for part in range(_PARTS + 1)]
    data = b"".join([bytes_of(server.store, name) for name in names])
    for name in names:
        server.store.delete_blob(name)
    return data


def _part(batch: str, kind: str, number: int) -> str:
    return f"batches/{batch}/{kind}/{number}"


def _written(server: Server, line: _Line, response: dict[str, Any] | None, error: dict[str, Any] | None) -> bytes:
    row = {
        "id": server.ids.new("batch_req_"),
        "custom_id": line.custom_id,
        "response": response,
        "error": error,
    }
    return orjson.dumps(row) + b"\n"


# Requests


def _response(server: Server, endpoint: str, line: _Line, origin: str) -> Flow[dict[str, Any]]:
    """What this server answers to a line."""
    if line.body.get("stream"):
        error = BadRequestError.because("Streaming is not supported in the Batch API.", param="stream")
        return {"status_code": 400, "request_id": server.ids.new("req_"), "body": {"error": error.body}}
    answer = yield from asked(server, endpoint, line.body, origin)
    body = orjson.loads(answer.content)
    return {"status_code": answer.status, "request_id": answer.headers["x-request-id"], "body": body}


_UNUSED: Final[dict[str, Any]] = {
    "input_tokens": 0,
    "input_tokens_details": {"cached_tokens": 0},
    "output_tokens": 0,
    "output_tokens_details": {"reasoning_tokens": 0},
    "total_tokens": 0,
}


def _add(used: dict[str, Any], body: Any) -> None:
    """Add what an answer says it has used."""
    usage = body.get("usage") if isinstance(body, dict) else None
    if not isinstance(usage, dict):
        return
    read = usage.get("input_tokens", usage.get("prompt_tokens")) or 0
    written = usage.get("output_tokens", usage.get("completion_tokens")) or 0
    thought = usage.get("output_tokens_details") or usage.get("completion_tokens_details") or {}
    reasoning = used["output_tokens_details"]["reasoning_tokens"] + (thought.get("reasoning_tokens") or 0)
    used["input_tokens"] += read
    used["output_tokens"] += written
    used["output_tokens_details"] = {"reasoning_tokens": reasoning}
    used["total_tokens"] += read + written


def _read(server: Server, batch: dict[str, Any]) -> tuple[list[_Line], list[dict[str, Any]]]:
    """The lines of a batch's input file, and what is wrong with it."""
    data = bytes_of(server.store, batch["input_file_id"])
    if len(data) > MOST_BYTES:
        message = f"The input file is {len(data)} bytes large; {MOST_BYTES} are allowed."
        return [], [_error("file_too_large", message, None, None)]
    lines: list[_Line] = []
    errors: list[dict[str, Any]] = []
    seen: dict[str, int] = {}
    for number, text in enumerate(data.split(b"\n"), 1):
        if text.strip():
            errors += _wrong(text, batch["endpoint"], seen, number, lines)
    if not lines and not errors:
        errors.append(_error("empty_file", "The input file has no requests.", None, None))
    if len(lines) > MOST_LINES:
        message = f"The input file has {len(lines)} requests; {MOST_LINES} are allowed."
        errors.append(_error("too_many_tasks", message, None, None))
    return lines, errors


def _wrong(
    text: bytes, endpoint: str, seen: dict[str, int], number: int, lines: list[_Line]
) -> Iterator[dict[str, Any]]:
    """What is wrong with a line; where nothing is, it is added to the lines."""
    try:
        row: Any = orjson.loads(text)
    except orjson.JSONDecodeError:
        yield _error("invalid_json_line", "This line is not parseable as valid JSON.", None, number)
        return
    if not isinstance(row, dict):
        yield _error("invalid_json_line", "This line is not a JSON object.", None, number)
        return
    missing = [name for name in ("custom_id", "method", "url", "body") if name not in row]
    for name in missing:
        yield _error("missing_required_parameter", f"Missing required parameter: '{name}'.", name, number)
    if missing:
        return
    custom_id, body = row["custom_id"], row["body"]
    wrong = False
    for name, expected, good in (
        ("custom_id", "a string", isinstance(custom_id, str) and custom_id != ""),
        ("body", "an object", isinstance(body, dict)),
    ):
        if not good:
            yield _error("invalid_type", f"Invalid type for '{name}': expected {expected}.", name, number)
            wrong = True
    if row["method"] != "POST":
        yield _error("invalid_method", "The method of a request has to be 'POST'.", "method", number)
        wrong = True
    if row["url"] != endpoint:
        message = f"The URL provided for this request does not match the batch endpoint '{endpoint}'."
        yield _error("invalid_url", message, "url", number)
        wrong = True
    if wrong:
        return
    if custom_id in seen:
        message = f"The custom_id '{custom_id}' for this request is a duplicate of the one in line {seen[custom_id]}."
        yield _error("duplicate_custom_id", message, "custom_id", number)
        return
    seen[custom_id] = number
    if lines and body.get("model") != lines[0].body.get("model"):
        message = (
            f"The model '{body.get('model')}' of this request is not '{lines[0].body.get('model')}', the model of the "
            "requests before: a batch is for one model."
        )
        yield _error("mismatched_model", message, "body.model", number)
        return
    lines.append(_Line(custom_id, body))


def _error(code: str, message: str, param: str | None, line: int | None) -> dict[str, Any]:
    return {"code": code, "message": message, "param": param, "line": line}
