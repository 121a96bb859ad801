"""Evals and their runs: each item of a run is answered by this server, unless it was, and graded.

A run waits a tenth of `job_seconds`, reads its items, and is worked off in parts by the server's clock (`server.jobs`).
Whatever is found of an item is an output item of the run at once; what the run sums up of them is its counts.

API reference: https://platform.openai.com/docs/api-reference/evals
"""

from __future__ import annotations

import logging
from math import ceil
from typing import TYPE_CHECKING, Any, Final

from ...api.evals import Evals
from ...api.evals.runs import Runs
from ...api.evals.runs.output_items import OutputItems
from ...kernel.errors import BadRequestError
from ...kernel.flow import Pause
from ..behaviour import Call, serves
from ..evals.checks import check_config, check_criteria, check_source
from ..evals.rows import Unfit, check_rows, rows_of, schema_of
from ..evals.samples import Sampled, failed, of_chat, of_row, sample, used_by
from ..facts import deleted, made
from ..graders import grade
from ..jobs import Again, Job, job
from ..kept import amend, check_parents, family
from ..paging import page, page_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ...kernel.flow import Flow
    from ..app import Server
    from ..behaviour import Reply
    from ..graders import Grade

    Used = tuple[str, Mapping[str, int]]

__all__ = ("OVER",)

log = logging.getLogger("antiphon.server")

OVER: Final = frozenset(("completed", "failed", "canceled"))
_CHANGED: Final = "evals/changed"
"""The evals in the order in which they were changed last."""
_ROWS: Final = "evals/rows"
"""The items of the runs that are under way."""
_PARTS: Final = 8
"""In so many parts a run is worked off at the most."""
_BREATH: Final = 20
"""After so many items whoever else waits for the server gets a turn."""
_JOBS: Final = ("evals.begin", "evals.run")
_FEW: Final = {"total": 0, "errored": 0, "failed": 0, "passed": 0}


# Evals


@serves(Evals.create)
def create(call: Call) -> Reply:
    """Keep an eval. Raises `BadRequestError` for a schema that is none, and for graders that could not grade."""
    server, body = call.server, call.body
    given: dict[str, Any] = body["data_source_config"]
    criteria: list[dict[str, Any]] = body["testing_criteria"]
    if not server.conjures:
        check_config(given)
        check_criteria(given, criteria)
    config: dict[str, Any] = {"type": given["type"], "schema": schema_of(given)}
    if given["type"] != "custom":
        config["metadata"] = given.get("metadata") or {}
    facts = {
        "id": server.ids.new("eval_"),
        "object": "eval",
        "created_at": int(server.clock.now()),
        "name": body.get("name") or "",
        "metadata": body.get("metadata") or {},
        "data_source_config": config,
        "testing_criteria": criteria,
    }
    doc = made(server, family("evals").schema, facts)
    if not server.conjures:  # what was found to be right is told just as it was said
        doc |= {"data_source_config": config, "testing_criteria": criteria}
    with server.lock:
        server.store.put("evals", doc["id"], doc)
        server.store.put(_CHANGED, doc["id"], {"id": doc["id"]})
    return doc


@serves(Evals.update)
def update(call: Call) -> Reply:
    """Give an eval another name, or other metadata."""
    server = call.server
    changes: dict[str, Any] = {
        name: call.body[name] or empty for name, empty in (("name", ""), ("metadata", {})) if name in call.body
    }
    with server.lock:
        doc = family("evals").changed(call, changes)
        server.store.delete(_CHANGED, doc["id"])  # and to the end of the order
        server.store.put(_CHANGED, doc["id"], {"id": doc["id"]})
    return doc


@serves(Evals.list)
def list_evals(call: Call) -> Reply:
    """Evals in the order in which they were made, or changed last."""
    if call.query.get("order_by") != "updated_at":
        return _listed(call, "evals")
    store = call.server.store
    docs = (store.get("evals", each["id"]) for each in store.list(_CHANGED))
    return page([doc for doc in docs if doc is not None], call.query, order="asc", lenient=call.server.conjures)


@serves(Runs.list)
def list_runs(call: Call) -> Reply:
    """The runs of an eval, all or those of a status."""
    return _listed(call, _runs(call.params["eval_id"]))


@serves(OutputItems.list)
def list_items(call: Call) -> Reply:
    """What was found so far of the items of a run, all or those that passed or failed."""
    return _listed(call, _items(call.params["eval_id"], call.params["run_id"]))


def _listed(call: Call, place: str) -> dict[str, Any]:
    check_parents(call)
    server, status = call.server, call.query.get("status")
    keep = None if status is None else lambda doc: doc["status"] == status
    return page_of(server.store, place, call.query, keep=keep, order="asc", lenient=server.conjures)


@serves(Evals.delete)
def delete(call: Call) -> Reply:
    """Forget an eval with its runs; those under way end."""
    server = call.server
    with server.lock:
        doc = family("evals").found(call)
        for each in server.store.list(_runs(doc["id"])):
            _forget(server, doc["id"], each["id"])
        server.store.delete("evals", doc["id"])
        server.store.delete(_CHANGED, doc["id"])
    return deleted(call, doc)


# Runs


@serves(Runs.create)
def create_run(call: Call) -> Reply:
    """Begin with a run; it is in the queue at first.

    Raises `BadRequestError` for items that do not fit the eval and for templates that cannot be filled,
    `NotFoundError` for unknown files and models.
    """
    server, body = call.server, call.body
    check_parents(call)
    key = call.params["eval_id"]
    of = family("evals").get(call, {}, key)
    source: dict[str, Any] = body["data_source"]
    if not server.conjures:
        check_source(call)
        _check_content(of, source["source"])
    run_id = server.ids.new("evalrun_")
    model = source.get("model") or ""
    facts: dict[str, Any] = {
        "id": run_id,
        "object": "eval.run",
        "eval_id": key,
        "created_at": int(server.clock.now()),
        "status": "queued",
        "model": model,
        "name": body.get("name") or model,
        "metadata": body.get("metadata") or {},
        "report_url": f"{call.origin}/evaluations/{key}?run_id={run_id}",
        "result_counts": _FEW,
        "per_model_usage": [],
        "per_testing_criteria_results": [],
        "error": None,
    }
    doc = made(server, family("evals.runs").schema, {**facts, "data_source": source})
    if not server.conjures:  # what was found to be right is told just as it was said, and no error is null
        doc |= {"data_source": source, "error": None}
    with server.lock:
        server.store.put(_runs(key), run_id, doc)
        if server.store.get("evals", key) is not None:
            data = {"eval": key, "origin": call.origin}
            server.jobs.schedule("evals.begin", run_id, after=server.job_seconds * 0.1, data=data)
    return doc


def _check_content(of: Mapping[str, Any], source: Mapping[str, Any]) -> None:
    try:
        check_rows(of["data_source_config"], source)
    except Unfit as error:
        where = f"data_source.source.content[{(error.row or 1) - 1}]"
        raise BadRequestError.because(f"Invalid '{where}': {error.message}.", param=where, code=error.code) from None


@serves(Runs.cancel)
def cancel(call: Call) -> Reply:
    """Stop a run; what was found so far stays. Raises `BadRequestError` for one that is over."""
    server = call.server
    with server.lock:
        doc = family("evals.runs").found(call)
        if doc["status"] in OVER and not server.conjures:
            raise BadRequestError.because(
                f"Cannot cancel the eval run '{doc['id']}': its status is '{doc['status']}'.",
                code="invalid_status_for_cancel",
            )
        doc = {**doc, "status": "canceled"}
        place = _runs(call.params["eval_id"])
        if server.store.get(place, doc["id"]) is not None:
            _halt(server, doc["id"])
            server.store.put(place, doc["id"], doc)
    return doc


@serves(Runs.delete)
def delete_run(call: Call) -> Reply:
    """Forget a run and what was found; one that is under way ends."""
    with call.server.lock:
        doc = family("evals.runs").found(call)
        _forget(call.server, call.params["eval_id"], doc["id"])
    return deleted(call, doc)


def _runs(of: str) -> str:
    return f"evals/{of}/runs"


def _items(of: str, run: str) -> str:
    return f"evals/{of}/runs/{run}/output_items"


def _halt(server: Server, run: str) -> None:
    for kind in _JOBS:
        server.jobs.cancel(kind, run)
    server.store.delete(_ROWS, run)


def _forget(server: Server, of: str, run: str) -> None:
    _halt(server, run)
    for item in server.store.list(_items(of, run)):
        server.store.delete(_items(of, run), item["id"])
    server.store.delete(_runs(of), run)


# The life of a run


@job("evals.begin")
def begin(server: Server, due: Job) -> None:
    """Read what the run is about. One with items that do not fit its eval has failed."""
    key: str = due.data["eval"]
    with server.lock:  # whoever cancels the run does so before or after
        doc, of = server.store.get(_runs(key), due.subject), server.store.get("evals", key)
        if doc is None or of is None or doc["status"] != "queued":
            return
        try:
            rows = rows_of(server, of["data_source_config"], doc["data_source"]["source"])
        except Unfit as error:
            told = {"code": error.code, "message": error.message}
            amend(server, _runs(key), due.subject, status="failed", error=told)
            return
        criteria = [{"testing_criteria": each["name"], "passed": 0, "failed": 0} for each in of["testing_criteria"]]
        server.store.put(_ROWS, due.subject, {"id": due.subject, "rows": rows})
        amend(server, _runs(key), due.subject, status="in_progress", per_testing_criteria_results=criteria)
        size = ceil(len(rows) / _PARTS)
        every = server.job_seconds * 0.9 / ceil(len(rows) / size)
        data = {**due.data, "row": 0, "size": size, "every": every}
        server.jobs.schedule("evals.run", due.subject, at=due.at + every, data=data)


@job("evals.run")
def run(server: Server, due: Job) -> Flow[Again | None]:
    """Sample and grade the next part of the items."""
    key: str = due.data["eval"]
    doc, of = server.store.get(_runs(key), due.subject), server.store.get("evals", key)
    kept = server.store.get(_ROWS, due.subject)
    if doc is None or of is None or kept is None:
        return None
    rows: list[dict[str, Any]] = kept["rows"]
    first: int = due.data["row"]
    last = min(len(rows), first + due.data["size"])
    found: list[dict[str, Any]] = []
    used: list[Used] = []
    for number in range(first, last):
        row = rows[number]
        try:
            item = yield from _worked_off(server, of, doc["data_source"], row, due.data["origin"], used)
        except Exception:
            log.exception("The item %d of the eval run %s could not be worked off", number, due.subject)
            item = _errored(row, "server_error", "The item could not be worked off.")
        found.append({**item, "datasource_item_id": number})
        if len(found) % _BREATH == 0:
            yield Pause(0)
    with server.lock:
        current = server.store.get(_runs(key), due.subject)
        if current is None or current["status"] != "in_progress":
            return None  # it was cancelled in the middle: this part counts as not begun
        for item in found:
            _keep(server, current, item, int(due.at))
        over = last == len(rows)
        sums = {"per_model_usage": _usage(current["per_model_usage"], used), **_counted(current, found)}
        amend(server, _runs(key), due.subject, status="completed" if over else "in_progress", **sums)
        if not over:
            return Again(due.data["every"], {**due.data, "row": last})
        server.store.delete(_ROWS, due.subject)
        return None


def _worked_off(
    server: Server,
    of: Mapping[str, Any],
    source: Mapping[str, Any],
    row: Mapping[str, Any],
    origin: str,
    used: list[Used],
) -> Flow[dict[str, Any]]:
    """What is found of an item. What models used on the way is added to `used`."""
    if source.get("model"):
        said: Sampled = yield from sample(server, source, row["item"], origin)
        if said.told["error"] is None:
            used.append((said.told["model"], said.told["usage"]))
    else:
        said = Sampled(row.get("sample") or {}, row.get("told") or of_row({}))
    if said.told["error"] is not None:
        return {"datasource_item": row["item"], "sample": said.told, "results": [], "status": "error"}
    results: list[dict[str, Any]] = []
    wrong = False
    text = said.fields.get("output_text")
    for criterion in of["testing_criteria"]:
        found = yield from grade(server, criterion, text if isinstance(text, str) else None, row["item"], said.fields)
        used += [used_by(each.answer) for each in found.asked]
        wrong = wrong or bool(found.errors)
        results.append(_result(criterion, found))
    status = "error" if wrong else "pass" if all(each["passed"] for each in results) else "fail"
    return {"datasource_item": row["item"], "sample": said.told, "results": results, "status": status}


# What is told of it


def _errored(row: Mapping[str, Any], code: str, message: str) -> dict[str, Any]:
    told = failed({"model": ""}, code, message).told
    return {"datasource_item": row["item"], "sample": told, "results": [], "status": "error"}


def _result(criterion: Mapping[str, Any], found: Grade) -> dict[str, Any]:
    """What a grader found, with what its model said; where it could not grade, why."""
    told: dict[str, Any] | None = None
    for asked in found.asked:
        if "choices" in asked.answer:
            told = of_chat(asked.body, asked.answer).told
    if found.errors:
        code = next(name for name, value in found.errors.items() if value is True)
        details = [value for value in found.errors.values() if isinstance(value, str)]
        message = details[0] if details else f"The grader could not be carried out: {code.replace('_', ' ')}."
        told = {**(told or {}), "error": {"code": code, "message": message}}
    return {
        "name": criterion["name"],
        "type": f"{criterion['type'].replace('_', '-')}-grader",
        "passed": not found.errors and found.reward >= _threshold(criterion),
        "score": found.reward,
        "sample": told,
    }


def _threshold(criterion: Mapping[str, Any]) -> float:
    """The least score that passes: where nothing is said, the middle of what there may be."""
    threshold: float | None = criterion.get("pass_threshold")
    if threshold is not None:
        return threshold
    bounds: list[float] = list(criterion.get("range") or (0, 1))
    return sum(bounds) / 2 if len(bounds) == 2 else 0.5


def _keep(server: Server, of: Mapping[str, Any], item: dict[str, Any], at: int) -> None:
    keeper = family("evals.runs.output_items")
    facts = {
        "id": server.ids.new("outputitem_"),
        "object": "eval.run.output_item",
        "created_at": at,
        "run_id": of["id"],
        "eval_id": of["eval_id"],
        **item,
    }
    kept = made(server, keeper.schema, facts)
    if not server.conjures:  # as the API has it: what is not known is null, whatever its types say
        kept |= {"sample": item["sample"], "results": item["results"]}
    server.store.put(_items(of["eval_id"], of["id"]), kept["id"], kept)


def _counted(before: Mapping[str, Any], items: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The counts of a run with more items."""
    counts = dict(before["result_counts"])
    criteria = [dict(each) for each in before["per_testing_criteria_results"]]
    for item in items:
        counts["total"] += 1
        counts[_COUNTED[item["status"]]] += 1
        for criterion, result in zip(criteria, item["results"], strict=False):
            criterion["passed" if result["passed"] else "failed"] += 1
    return {"result_counts": counts, "per_testing_criteria_results": criteria}


_COUNTED: Final = {"pass": "passed", "fail": "failed", "error": "errored"}


def _usage(before: Iterable[Mapping[str, Any]], used: Iterable[Used]) -> list[dict[str, Any]]:
    """What each model used, with more of it."""
    sums: dict[str, dict[str, Any]] = {each["model_name"]: dict(each) for each in before}
    for model, usage in used:
        of = sums.setdefault(model, {"model_name": model, "invocation_count": 0})
        of["invocation_count"] += 1
        for name, count in usage.items():
            of[name] = of.get(name, 0) + count
    return list(sums.values())
