"""Runs of assistants and their steps.

API reference: https://platform.openai.com/docs/api-reference/runs and …/run-steps
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import TYPE_CHECKING, Any, Final

from ...api.beta.threads import Threads
from ...api.beta.threads.runs import Runs
from ...api.beta.threads.runs.steps import Steps
from ...kernel.errors import BadRequestError
from ...kernel.http import Response
from ..behaviour import Call, serves
from ..facts import made
from ..kept import check_parents, check_reference, family, now
from ..renderings.run_request import named_choice
from ..renderings.runs import shown
from ..renderings.sinks import EVENT_STREAM, settled
from ..runs import LIFE, OVER, active, begin, followed, resume, stop
from .assistants import check_length, check_model, check_resources
from .threads import attach, check_idle, check_messages, check_thread, new_thread, say

if TYPE_CHECKING:
    from ..behaviour import Reply

Doc = dict[str, Any]

RUNS: Final = "beta.threads.runs"
STEPS: Final = "beta.threads.runs.steps"
_FEWEST: Final = 256
"""Tokens that a limit of a run may not be below."""


@serves(Runs.create)
def create(call: Call) -> Reply:
    """Queue a run, or follow it at once.

    Follows https://platform.openai.com/docs/api-reference/runs/createRun
    """
    server, thread_id = call.server, call.params["thread_id"]
    if _conjured(call, thread_id):
        return family(RUNS).create(call)  # type: ignore[no-any-return]
    check_parents(call)
    _check(call)
    check_messages(call, call.body.get("additional_messages") or (), "additional_messages")
    check_idle(server, thread_id)
    return settled(_created(call, thread_id))


def _created(call: Call, thread_id: str) -> Generator[Any, Any, Any]:
    messages = call.body.get("additional_messages") or ()
    yield from attach(call.server, thread_id, messages)
    with call.server.lock:
        if _conjured(call, thread_id):
            return family(RUNS).create(call)
        check_idle(call.server, thread_id)
        for message in messages:
            say(call, thread_id, message)
        return _begun(call, thread_id, None)


def _conjured(call: Call, thread_id: str) -> bool:
    """Whether a run is made up: where nobody made its thread or assistant, and where its thread, of a name that several
    tests share, has one under way.
    """
    server = call.server
    return server.conjures and (
        server.store.get("threads", thread_id) is None
        or _assistant(call) is None
        or active(server, thread_id) is not None
    )


@serves(Threads.create_and_run)
def create_and_run(call: Call) -> Reply:
    """Make a thread and queue a run in it, or follow it at once.

    Follows https://platform.openai.com/docs/api-reference/runs/createThreadAndRun
    """
    if call.server.conjures and _assistant(call) is None:
        return family("beta.threads").each.others["create_and_run"](call)
    _check(call)
    check_resources(call, call.body.get("tool_resources"))
    if not call.server.conjures:
        check_thread(call, call.body.get("thread") or {}, "thread.")
    return settled(_created_with_thread(call))


def _created_with_thread(call: Call) -> Generator[Any, Any, Any]:
    thread = yield from new_thread(call, call.body.get("thread") or {})
    return _begun(call, thread["id"], thread)


def _begun(call: Call, thread_id: str, thread: Doc | None) -> Any:
    server, body = call.server, call.body
    assistant = _assistant(call)
    assert assistant is not None, "a run is begun of an assistant that was looked for"
    run = _new(call, assistant, thread_id)
    extra = {
        "reasoning_effort": body.get("reasoning_effort") or assistant.get("reasoning_effort"),
        "tool_resources": body.get("tool_resources") or assistant.get("tool_resources"),
        "include": call.query.get("include"),
    }
    begin(server, run, extra, thread=thread, streamed=bool(body.get("stream")))
    return Response(200, EVENT_STREAM, followed(server, run["id"])) if body.get("stream") else run


def _assistant(call: Call) -> Doc | None:
    return call.server.store.get("assistants", call.body["assistant_id"])


def _new(call: Call, assistant: Mapping[str, Any], thread_id: str) -> Doc:
    """The run that is asked for."""
    body, at = call.body, now(call)
    said = {**_DEFAULTS, **{k: v for k, v in assistant.items() if k in _DEFAULTS and v is not None}}
    said |= {k: v for k, v in body.items() if k in _DEFAULTS and v is not None}
    more = body.get("additional_instructions")
    if more:
        said["instructions"] = f"{said['instructions']}\n{more}" if said["instructions"] else more
    facts = {
        **said,
        "id": call.server.ids.new("run_"),
        "object": "thread.run",
        "created_at": at,
        "thread_id": thread_id,
        "assistant_id": assistant["id"],
        "status": "queued",
        "started_at": None,
        "expires_at": at + LIFE,
        "cancelled_at": None,
        "failed_at": None,
        "completed_at": None,
        "required_action": None,
        "last_error": None,
        "incomplete_details": None,
        "usage": None,
    }
    run = made(call.server, family(RUNS).schema, facts)
    run["truncation_strategy"] = {"last_messages": None, **said["truncation_strategy"]}
    return run


_DEFAULTS: Final[Doc] = {
    "model": "",
    "instructions": "",
    "tools": [],
    "metadata": {},
    "temperature": 1.0,
    "top_p": 1.0,
    "response_format": "auto",
    "tool_choice": "auto",
    "parallel_tool_calls": True,
    "truncation_strategy": {"type": "auto"},
    "max_prompt_tokens": None,
    "max_completion_tokens": None,
}
"""Fields of a run, and what they are where neither the request nor the assistant says."""


def _check(call: Call) -> None:
    """Raise the API's errors for what a schema cannot say."""
    body = call.body
    check_reference(call, "assistant_id", "beta.assistants")
    check_model(call.server, body.get("model"))
    for field in ("instructions", "additional_instructions"):
        check_length(body, field)
    for field in ("max_prompt_tokens", "max_completion_tokens"):
        if body.get(field) is not None and body[field] < _FEWEST:
            raise BadRequestError.because(
                f"Invalid '{field}': integer below minimum value. Expected a value >= {_FEWEST}, but got "
                f"{body[field]} instead.",
                param=field,
                code="integer_below_min_value",
            )
    strategy: Any = body.get("truncation_strategy") or {}
    if strategy.get("type") == "last_messages" and (strategy.get("last_messages") or 0) < 1:
        raise BadRequestError.because(
            "Invalid 'truncation_strategy': with the type 'last_messages', 'last_messages' has to be at least 1.",
            param="truncation_strategy.last_messages",
        )
    _check_choice(body, _assistant(call) or {})


def _check_choice(body: Mapping[str, Any], assistant: Mapping[str, Any]) -> None:
    kind, name = named_choice(body.get("tool_choice"))
    tools: Any = assistant.get("tools") or () if body.get("tools") is None else body["tools"]
    fits = any(tool["type"] == kind and name in (None, (tool.get("function") or {}).get("name")) for tool in tools)
    if kind is not None and not fits:
        wanted = f"{kind} '{name}'" if name else kind
        raise BadRequestError.because(
            f"Invalid value for 'tool_choice': the tool {wanted} is not among the run's tools.", param="tool_choice"
        )


# What callers do with a run


@serves(Runs.cancel)
def cancel(call: Call) -> Reply:
    """Begin to cancel a run. Raises `BadRequestError` for one that is over.

    Follows https://platform.openai.com/docs/api-reference/runs/cancelRun
    """
    server, keeper = call.server, family(RUNS)
    with server.lock:
        run = keeper.found(call)
        if server.conjures and active(server, run["thread_id"]) != run["id"]:
            return keeper.act(call)  # type: ignore[no-any-return]
        if run["status"] in OVER or run["status"] == "cancelling":
            raise BadRequestError.because(f"Cannot cancel run with status '{run['status']}'.")
        return stop(server, run)


@serves(Runs.submit_tool_outputs)
def submit(call: Call) -> Reply:
    """Give the outputs of all calls that a run waits for; it goes on then.

    Follows https://platform.openai.com/docs/api-reference/runs/submitToolOutputs
    """
    server, keeper = call.server, family(RUNS)
    with server.lock:
        run = keeper.found(call)
        if server.conjures and active(server, run["thread_id"]) != run["id"]:
            return keeper.act(call)  # type: ignore[no-any-return]
        if run["status"] != "requires_action":
            raise BadRequestError.because(f'Runs in status "{run["status"]}" do not accept tool outputs.')
        given = [(str(each.get("tool_call_id")), each.get("output") or "") for each in call.body["tool_outputs"]]
        waiting = [each["id"] for each in run["required_action"]["submit_tool_outputs"]["tool_calls"]]
        if sorted(key for key, _ in given) != sorted(waiting):
            raise BadRequestError.because(
                f"Expected tool outputs for call_ids {waiting}, got {[key for key, _ in given]}", param="tool_outputs"
            )
        streamed = bool(call.body.get("stream"))
        run = resume(server, run, dict(given), streamed=streamed)
    return Response(200, EVENT_STREAM, followed(server, run["id"])) if streamed else run


# Steps


@serves(Steps.list)
def list_steps(call: Call) -> Reply:
    """The steps of a run; the texts that a search found where `include` asks for them.

    Follows https://platform.openai.com/docs/api-reference/run-steps/listRunSteps
    """
    found: Doc = family(STEPS).list(call)
    return {**found, "data": [shown(each, call.query.get("include")) for each in found["data"]]}


@serves(Steps.retrieve)
def retrieve_step(call: Call) -> Reply:
    """A step of a run; the texts that a search found where `include` asks for them.

    Follows https://platform.openai.com/docs/api-reference/run-steps/getRunStep
    """
    return shown(family(STEPS).retrieve(call), call.query.get("include"))
