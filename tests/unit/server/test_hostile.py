"""Whatever comes in, the server answers what its schemas promise or refuses in the API's words, and never fails.
What it refuses changes nothing.

One server is asked all the operations again and again, with what a stranger makes up: so what one request leaves
behind is there for the next. The clock goes on in between, and jobs with it.
"""

from __future__ import annotations

import logging
import re
import traceback
from functools import cache
from typing import Any

import jsonschema_rs
import orjson
import pytest

from antiphon import FakeOpenAI
from antiphon.kernel.flow import iterate, run
from antiphon.kernel.http import Headers, Request, Response
from antiphon.schema import Schema, standalone
from antiphon.server.app import Server
from antiphon.server.clock import VirtualClock
from antiphon.server.endpoint import Endpoint, endpoint, endpoints
from tests.unit.server.door import KEY, Said, form
from tests.unit.server.hostile import BATCH_LINE, CHAT_LINE, Stranger

APART = 31
"""Seconds of the server's clock between requests, sometimes."""

PRELUDE: tuple[tuple[str, Any], ...] = (
    ("/files", {"purpose": "assistants", "file": ("a.txt", b"The cafe closes at six.")}),
    ("/files", {"purpose": "batch", "file": ("a.jsonl", BATCH_LINE % 1 + BATCH_LINE % 2)}),
    ("/files", {"purpose": "fine-tune", "file": ("a.jsonl", CHAT_LINE * 12)}),
    ("/vector_stores", {"file_ids": ["{0}"]}),
    ("/batches", {"input_file_id": "{1}", "endpoint": "/v1/chat/completions", "completion_window": "24h"}),
    ("/fine_tuning/jobs", {"training_file": "{2}", "model": "gpt-4.1-mini-2025-04-14"}),
    ("/fine-tunes", {"training_file": "{2}"}),
    ("/chat/completions", {"model": "gpt-5", "store": True, "messages": [{"role": "user", "content": "Hi"}]}),
    ("/responses", {"model": "gpt-5", "input": "Hi", "background": True}),
    ("/uploads", {"purpose": "assistants", "filename": "a.txt", "bytes": 5, "mime_type": "text/plain"}),
    ("/assistants", {"model": "gpt-5", "tools": [{"type": "file_search"}]}),
    ("/threads/runs", {"assistant_id": "{10}", "thread": {"messages": [{"role": "user", "content": "Hi"}]}}),
    ("/agents/sessions", {"agent": {"model": "gpt-5"}, "environment": {"type": "openai_hosted"}}),
    ("/organization/projects", {"name": "mine"}),
    ("/organization/groups", {"name": "ours"}),
    ("/containers", {"name": "box"}),
    ("/conversations", {}),
    ("/realtime/client_secrets", {}),
)
"""What there is before the stranger comes, so that there is something of most kinds. `{0}` is the first one's id."""


@cache
def _validator(name: str, part: str) -> Any:
    schema: Schema = getattr(endpoint(name).schema, part)
    return jsonschema_rs.validator_for(standalone(schema))


class Log(logging.Handler):
    """What the server logs when something fails that nobody foresaw."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.failures: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        self.failures.append("".join(traceback.format_exception(error)[-4:]) if error else record.getMessage())


def answered(server: Server, request: Request) -> Said:
    answer = server(request)
    answer = answer if isinstance(answer, Response) else run(answer, server.world)
    whole = answer.body if isinstance(answer.body, bytes) else b"".join(iterate(answer.body, server.world))
    return Said(answer.status, answer.headers, whole)


def fault(at: Endpoint, said: Said) -> str | None:
    """What is wrong with an answer; `None` where nothing is."""
    if said.status >= 500:
        return f"status {said.status}"
    if said.status >= 400:
        return _refusal_fault(said)
    if said.headers.get("content-type", "").startswith("text/event-stream"):
        return _stream_fault(at, said)
    if at.schema.response is None or at.schema.response == {"type": "string"} or said.status == 204:
        return None
    if not said.headers.get("content-type", "").startswith("application/json"):
        return None if said.headers.get("content-type", "").startswith("text/") else "no JSON"
    return _misfit(_validator(at.name, "response"), _typed(at.name, said.json))


BEYOND_TYPES: tuple[tuple[str, str, Any, Any], ...] = (
    ("vector_stores.search", "object", "vector_store.search_results.page", "list"),
    ("vector_stores.files.content", "object", "vector_store.file_content.page", "list"),
    ("fine_tuning.jobs", "status", "paused", "queued"),
    ("files", "purpose", "evals", "assistants"),
    ("uploads", "purpose", "evals", "assistants"),
    ("fine_tunes", "purpose", "evals", "assistants"),
    ("completions", "finish_reason", None, "stop"),
    ("evals.runs", "error", None, {"code": "", "message": ""}),
    ("evals.runs", "seed", None, 0),
    ("evals.runs", "max_completion_tokens", None, 0),
    *(
        ("chat.completions.messages", "role", role, "assistant")
        for role in ("user", "system", "developer", "tool", "function")
    ),
)
"""What the API says and the package's types do not know: of which operations, in which field, and what stands for it."""


_NO_ODDS: dict[str, Any] = {"token_logprobs": 0.0, "top_logprobs": {}}
BETA_ITEMS = ("agent_message", "multi_agent_call", "multi_agent_call_output")
"""Items of the beta Responses, in lists of the others."""


def _typed(name: str, told: Any) -> Any:
    """An answer with what the types know in the place of what they do not."""
    table = [row[1:] for row in BEYOND_TYPES if name.startswith(row[0])]
    stack = [told] if table else []
    while stack:
        each = stack.pop()
        if isinstance(each, dict):
            each.update({field: known for field, said, known in table if field in each and each[field] == said})
        stack.extend(each.values() if isinstance(each, dict) else each if isinstance(each, list) else ())
    if told.get("object") == "chat.completion.chunk":  # chunks of calls of custom tools have no type of their own
        for choice in told["choices"]:
            for each in choice["delta"].get("tool_calls") or ():
                each.update({"type": "function"} if each.get("type") == "custom" else {})
    if name == "embeddings.create":
        for each in told["data"]:
            each["embedding"] = [] if isinstance(each["embedding"], str) else each["embedding"]
    if name == "completions.create":
        # The first word of an echo has no probability, and there are no alternatives where none are asked for.
        for choice in told["choices"]:
            found = choice.get("logprobs") or {}
            found.update({key: [each or one for each in found.get(key) or ()] for key, one in _NO_ODDS.items()})
    if name in ("responses.input_items.list", "conversations.items.list"):
        told["data"] = [item for item in told["data"] if item["type"] not in BETA_ITEMS]
    if name.endswith("responses.compact"):
        told["output"] = [item for item in told["output"] if item["type"] != "message" or item["role"] != "user"]
    return told


def _refusal_fault(said: Said) -> str | None:
    try:
        error = said.json["error"]
    except (ValueError, TypeError, KeyError):
        return f"no error envelope: {said.body[:200]!r}"
    if set(error) < {"message", "type", "param", "code"}:
        return f"an envelope of {sorted(error)}"
    if not (isinstance(error["message"], str) and error["message"]) or not isinstance(error["type"], str):
        return f"not an error: {error}"
    if not all(error[key] is None or isinstance(error[key], str) for key in ("param", "code")):
        return f"not an error: {error}"
    return None


_ON_DEMAND = ("audio.speech.create", "beta.agents.sessions.create")


def _stream_fault(at: Endpoint, said: Said) -> str | None:
    if at.schema.event is None:
        # Speech and sessions are streamed on demand, which the package has no types for.
        return None if at.name in _ON_DEMAND else "a stream nobody promised"
    names = [line[7:].decode() for line in said.body.split(b"\n") if line.startswith(b"event: ")]
    told = [event for event in said.events if event != "[DONE]"]
    for index, event in enumerate(told):
        if "error" in event and set(event) == {"error"}:
            return "a server's error in a stream" if event["error"]["type"] == "server_error" else None
        kind = names[index] if len(names) > index else ""
        whole = {"event": kind, "data": event} if kind.startswith("thread.") else event
        wrong = _misfit(_validator(at.name, "event"), _typed(at.name, whole))
        if wrong:
            return f"event {index}: {wrong}"
    return None


def _misfit(validator: Any, told: Any) -> str | None:
    error = next(iter(validator.iter_errors(told)), None)
    return None if error is None else f"at {'/'.join(map(str, error.instance_path))}: {error.message[:600]}"


class State:
    """What a server keeps at a moment."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.due = server.jobs.next <= server.clock.now()
        self.kept = server.store.snapshot()
        self.seeded = len(server.store.list("seeded"))

    def differs(self) -> bool:
        """Whether it is another now. Jobs go on by themselves, and what is there from the start is made when looked at."""
        if self.due or len(self.server.store.list("seeded")) != self.seeded:
            return False
        return bool(self.server.store.snapshot() != self.kept)


ONE_BY_ONE = ("beta.agents.sessions.events.create",)
"""Operations that take several things to do: what comes before the one that is refused has been done."""


def prelude(server: Server, stranger: Stranger) -> None:
    """Make one object of many kinds, and tell the stranger."""
    ids: list[str] = []
    for path, body in PRELUDE:
        if "file" in body:
            content, headers = form(list(body.items()))
        else:
            content = re.sub(rb"\{(\d+)\}", lambda found: ids[int(found[1])].encode(), orjson.dumps(body))
            headers = {**KEY, "content-type": "application/json"}
        request = Request("POST", f"/v1{path}", "", Headers(headers), content)
        said = answered(server, request)
        assert said.status in (200, 201), (path, said.body)
        made = said.json
        ids.append(made.get("id", ""))
        at = next(each for each in endpoints().values() if each.method == "POST" and each.path == path)
        stranger.learn(request, at, made)


def conversation(seed: str, rounds: int, **options: Any) -> list[str]:
    """Ask one server everything, `rounds` times. What went wrong, in words."""
    server = FakeOpenAI(clock=VirtualClock(), job_seconds=60, **options).server
    stranger = Stranger(seed)
    prelude(server, stranger)
    log = Log()
    logger = logging.getLogger("antiphon.server")
    logger.addHandler(log)
    wrong: list[str] = []
    try:
        for _ in range(rounds):
            names = sorted(endpoints())
            stranger.random.shuffle(names)
            for name in names:
                if stranger.random.random() < 0.05:
                    server.clock.advance(APART)
                at = endpoint(name)
                if at.method == "DELETE" and stranger.random.random() < 0.85:
                    continue
                request = stranger.request(at)
                before = State(server)
                try:
                    said = answered(server, request)
                except Exception as error:
                    trouble: str | None = "".join(traceback.format_exception(error)[-4:])
                else:
                    trouble = fault(at, said)
                    if not trouble and said.status >= 400 and name not in ONE_BY_ONE and before.differs():
                        trouble = f"a refusal ({said.status}) that changed something"
                    if not trouble and said.status < 300 and said.headers.get("content-type") == "application/json":
                        stranger.learn(request, at, said.json)
                if log.failures:
                    trouble = "\n".join([trouble or "", *log.failures])
                    log.failures.clear()
                if trouble:
                    asked = f"{request.method} {request.path}?{request.query} {_shortly(request)}"
                    wrong.append(f"{name}: {asked}\n{trouble}")
    finally:
        logger.removeHandler(log)
    return wrong


def _shortly(request: Request) -> str:
    body = request.body if isinstance(request.body, bytes) else b""
    return f"{request.headers.get('content-type')} {body[:1500]!r}"


def check(wrong: list[str]) -> None:
    assert not wrong, f"{len(wrong)} answers are wrong:\n\n" + "\n\n".join(wrong[:10])


@pytest.mark.parametrize("unknown_ids", ["error", "conjure"])
def test_whatever_comes_in(unknown_ids: str) -> None:
    check(conversation("ci", 20, unknown_ids=unknown_ids))


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("unknown_ids", ["error", "conjure"])
@pytest.mark.parametrize("seed", range(4))
def test_whatever_comes_in_for_long(seed: int, unknown_ids: str) -> None:
    check(conversation(f"long {seed}", 25, unknown_ids=unknown_ids))
