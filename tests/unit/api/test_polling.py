"""Polling helpers and chunked uploads: both voices, beside the official package over the same scripted server."""

from __future__ import annotations

import asyncio
import inspect
import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest

from antiphon import AsyncOpenAI, BadRequestError, FakeOpenAI, OpenAI
from antiphon.kernel.flow import World
from antiphon.kernel.http import Request, Response, json_response
from antiphon.transports.httpx2 import HandlerTransport

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


class Timeless(World):
    def __init__(self) -> None:
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    async def asleep(self, seconds: float) -> None:
        self.slept.append(seconds)


class Slow:
    """A server whose objects go through some states, one each time they are looked at."""

    def __init__(self, *states: Any, headers: dict[str, str] | None = None) -> None:
        self.states = list(states)
        self.headers = list((headers or {}).items())
        self.requests: list[Request] = []
        self.world = Timeless()

    def __call__(self, request: Request) -> Response:
        self.requests.append(request)
        state = "created"
        if request.method == "GET":
            state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        return json_response(200, _object(request, state), self.headers)

    @property
    def asked(self) -> list[tuple[str, str]]:
        return [(request.method, request.path) for request in self.requests]

    @property
    def polls(self) -> list[Request]:
        return [request for request in self.requests if request.method == "GET"]


def _object(request: Request, state: Any) -> dict[str, Any]:
    counts = {"in_progress": state if isinstance(state, int) else 0, "completed": 1, "failed": 0, "cancelled": 0}
    return {
        "id": "id_1",
        "object": "thing",
        "thread_id": "thread_1",
        "status": state,
        "created_at": 1,
        "file_counts": {**counts, "total": 1},
    }


CALLS: dict[str, Callable[[Any], Any]] = {
    "runs.poll": lambda c: c.beta.threads.runs.poll("run_1", "thread_1"),
    "runs.create_and_poll": lambda c: c.beta.threads.runs.create_and_poll(
        thread_id="thread_1", assistant_id="asst_1", instructions="be brief", temperature=None
    ),
    "runs.submit_tool_outputs_and_poll": lambda c: c.beta.threads.runs.submit_tool_outputs_and_poll(
        thread_id="thread_1", run_id="run_1", tool_outputs=[{"tool_call_id": "call_1", "output": "4"}]
    ),
    "threads.create_and_run_poll": lambda c: c.beta.threads.create_and_run_poll(
        assistant_id="asst_1", thread={"messages": [{"role": "user", "content": "hi"}]}
    ),
    "videos.poll": lambda c: c.videos.poll("video_1"),
    "videos.create_and_poll": lambda c: c.videos.create_and_poll(prompt="a fox", seconds="4"),
    "files.poll": lambda c: c.vector_stores.files.poll("file-1", vector_store_id="vs_1"),
    "files.create_and_poll": lambda c: c.vector_stores.files.create_and_poll(
        "file-1", vector_store_id="vs_1", attributes={"a": 1}, max_wait_seconds=60
    ),
}
ENDS = {
    "runs": ("requires_action", "cancelled", "completed", "failed", "expired", "incomplete"),
    "threads": ("completed",),
    "videos": ("completed", "failed"),
    "files": ("completed", "failed", "cancelled"),
}


def _clients(server: Slow) -> list[Any]:
    settings = {"api_key": "k", "base_url": "http://fake.test/v1", "max_retries": 0}
    return [OpenAI(**settings, transport=server), AsyncOpenAI(**settings, transport=server)]


def _official(server: Slow) -> openai.OpenAI:
    client = httpx2.Client(transport=HandlerTransport(server))
    return openai.OpenAI(api_key="k", base_url="http://fake.test/v1", http_client=client)


def _done(outcome: Any) -> Any:
    return asyncio.run(outcome) if inspect.iscoroutine(outcome) else outcome


def _wire(server: Slow) -> list[tuple[Any, ...]]:
    return [
        (
            request.method,
            request.path,
            json.loads(request.content()) if request.headers.get("content-type") == "application/json" else None,
            request.headers.get("x-stainless-poll-helper"),
            request.headers.get("x-stainless-custom-poll-interval"),
        )
        for request in server.requests
    ]


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What the official package waits for, in no time."""
    waits: list[float] = []
    monkeypatch.setattr(time, "sleep", waits.append)
    return waits


@pytest.mark.parametrize("name", CALLS)
def test_polls_are_those_of_the_official_package(name: str, slept: list[float]) -> None:
    wires: list[Any] = []
    for make in (_clients(Slow())[0].__class__, AsyncOpenAI, openai.OpenAI):
        server = Slow("in_progress", "in_progress", "completed", headers={"openai-poll-after-ms": "250"})
        client = (
            _official(server)
            if make is openai.OpenAI
            else make(api_key="k", base_url="http://fake.test/v1", transport=server)
        )
        result = _done(CALLS[name](client))
        assert result.status == "completed"
        assert (slept if make is openai.OpenAI else server.world.slept) == [0.25, 0.25]
        wires.append(_wire(server))
    assert wires[0] == wires[1] == wires[2]


@pytest.mark.parametrize(("name", "end"), [(name, end) for name in CALLS for end in ENDS[name.partition(".")[0]]])
def test_every_end_is_one(name: str, end: str) -> None:
    for index in (0, 1):
        server = Slow("in_progress", end)
        assert _done(CALLS[name](_clients(server)[index])).status == end
        assert server.world.slept == [1.0]


@pytest.mark.parametrize(
    ("given", "said", "waited"),
    [(50, "700", 0.05), (None, "700", 0.7), (None, None, 1.0), (None, "soon", 1.0), (None, "-5", 0.0), (0, None, 0.0)],
)
def test_how_long_a_pause_is(given: int | None, said: str | None, waited: float) -> None:
    how = {} if given is None else {"poll_interval_ms": given}
    for index in (0, 1):
        server = Slow("queued", "completed", headers={} if said is None else {"openai-poll-after-ms": said})
        _done(_clients(server)[index].videos.poll("video_1", **how))
        assert server.world.slept == [waited]
        marks = {request.headers.get("x-stainless-custom-poll-interval") for request in server.polls}
        assert marks == {None if given is None else str(given)}


def test_options_of_a_run_go_with_every_request() -> None:
    server = Slow("queued", "completed")
    _clients(server)[0].beta.threads.runs.create_and_poll(
        thread_id="t", assistant_id="a", extra_headers={"x-mine": "1"}, extra_query={"q": "2"}
    )
    assert [request.headers.get("x-mine") for request in server.requests] == ["1", "1", "1"]
    assert {request.query for request in server.requests} == {"q=2"}


def test_an_error_ends_the_wait() -> None:
    class Failing(Slow):
        def __call__(self, request: Request) -> Response:
            answer = super().__call__(request)
            return json_response(404, {"error": {"message": "gone"}}) if len(self.requests) > 2 else answer

    for index in (0, 1):
        server = Failing("in_progress")
        with pytest.raises(Exception, match="gone"):
            _done(_clients(server)[index].videos.poll("video_1"))
        assert len(server.requests) == 3


# Vector stores


@pytest.mark.parametrize("index", [0, 1])
def test_patience_has_an_end(index: int) -> None:
    server = Slow("in_progress")
    files = _clients(server)[index].vector_stores.files
    with pytest.raises(TimeoutError, match="file-1"):
        _done(files.poll("file-1", vector_store_id="vs_1", poll_interval_ms=2000, max_wait_seconds=5))
    assert server.world.slept == [pytest.approx(2, abs=0.1), pytest.approx(2, abs=0.1), pytest.approx(1, abs=0.1)]
    assert len(server.polls) == 3


@pytest.mark.parametrize("index", [0, 1])
def test_no_patience_asks_nothing(index: int) -> None:
    server = Slow("completed")
    files = _clients(server)[index].vector_stores.files
    with pytest.raises(TimeoutError):
        _done(files.poll("file-1", vector_store_id="vs_1", max_wait_seconds=0))
    assert server.requests == []


@pytest.mark.parametrize("wait", [-1, float("nan"), float("inf")])
def test_a_wait_is_a_number(wait: float) -> None:
    server = Slow("completed")
    files = _clients(server)[0].vector_stores.files
    for call in (
        lambda: files.poll("f", vector_store_id="v", max_wait_seconds=wait),
        lambda: files.create_and_poll("f", vector_store_id="v", max_wait_seconds=wait),
        lambda: files.upload_and_poll(file=b"x", vector_store_id="v", max_wait_seconds=wait),
    ):
        with pytest.raises(ValueError, match="max_wait_seconds"):
            call()
    assert server.requests == []


def test_a_batch_is_done_when_no_file_is_in_progress() -> None:
    for index in (0, 1):
        server = Slow(3, 1, 0)
        batches = _clients(server)[index].vector_stores.file_batches
        batch = _done(batches.create_and_poll("vs_1", file_ids=["a"], poll_interval_ms=10))
        assert batch.file_counts.in_progress == 0
        assert server.world.slept == [0.01, 0.01]
        assert server.asked[0] == ("POST", "/v1/vector_stores/vs_1/file_batches")


@pytest.mark.parametrize("index", [0, 1])
def test_files_are_uploaded_and_processed(index: int) -> None:
    fake = FakeOpenAI()
    client: Any = (fake.client(), fake.async_client())[index]
    store = _done(client.vector_stores.create(name="s"))
    one = _done(client.vector_stores.files.upload(vector_store_id=store.id, file=("a.txt", b"alpha")))
    assert one.vector_store_id == store.id
    two = _done(
        client.vector_stores.files.upload_and_poll(
            vector_store_id=store.id, file=("b.txt", b"beta"), attributes={"n": 1}
        )
    )
    assert (two.status, two.attributes) == ("completed", {"n": 1})
    names = [f"{number}.txt" for number in range(12)]
    batch = _done(
        client.vector_stores.file_batches.upload_and_poll(
            store.id, files=[(name, name.encode()) for name in names], file_ids=[one.id], max_concurrency=3
        )
    )
    assert batch.file_counts.total == 13

    uploaded = {file.id: file.filename for file in fake.client().files.list()}
    listed = fake.client().vector_stores.file_batches.list_files(batch.id, vector_store_id=store.id, order="asc")
    assert sorted(uploaded[file.id] for file in listed) == sorted([*names, "a.txt"])


@pytest.mark.parametrize("index", [0, 1])
def test_a_failed_upload_makes_no_batch(index: int) -> None:
    paths: list[str] = []

    def server(request: Request) -> Response:
        paths.append(request.path)
        if b"bad" in request.content():
            return json_response(400, {"error": {"message": "unreadable"}})
        return json_response(200, {"id": "file-1"})

    batches = _clients(server)[index].vector_stores.file_batches  # type: ignore[arg-type]
    with pytest.raises(BadRequestError, match="unreadable"):
        _done(batches.upload_and_poll("vs_1", files=[b"good", b"bad", b"good"], max_concurrency=1))
    assert set(paths) == {"/v1/files"}
    with pytest.raises(ValueError, match="limit"):
        _done(batches.upload_and_poll("vs_1", files=[b"good"], max_concurrency=0))


# Files and uploads


@pytest.mark.parametrize("index", [0, 1])
@pytest.mark.parametrize("end", ["processed", "error", "deleted"])
def test_a_file_is_waited_for(index: int, end: str) -> None:
    server = Slow("uploaded", "uploaded", end)
    assert _done(_clients(server)[index].files.wait_for_processing("file-1")).status == end
    assert server.world.slept == [5.0, 5.0]


@pytest.mark.parametrize("index", [0, 1])
def test_a_file_is_not_waited_for_for_ever(index: int) -> None:
    server = Slow("uploaded")
    with pytest.raises(RuntimeError, match=re.escape("file-1 is still 'uploaded' after 1800 seconds")):
        _done(_clients(server)[index].files.wait_for_processing("file-1"))
    assert 355 < len(server.world.slept) < 365


@pytest.mark.parametrize("index", [0, 1])
@pytest.mark.parametrize("in_memory", [True, False])
def test_an_upload_in_parts(index: int, in_memory: bool, tmp_path: Path) -> None:
    data = bytes(range(256)) * 40
    path = tmp_path / "report.bin"
    path.write_bytes(data)
    fake = FakeOpenAI()
    sizes: list[int] = []

    def watched(request: Request) -> Any:
        if request.path.endswith("/parts"):
            sizes.append(len(request.content()))
        return fake(request)

    client: Any = (fake.client, fake.async_client)[index](transport=watched)
    how: dict[str, Any] = {"file": path} if not in_memory else {"file": data, "filename": "report.bin", "bytes": 10240}
    upload = _done(
        client.uploads.upload_file_chunked(
            **how, mime_type="application/octet-stream", purpose="assistants", part_size=4096
        )
    )
    assert upload.status == "completed"
    assert (upload.filename, upload.bytes) == ("report.bin", len(data))
    assert len(sizes) == 3 and max(sizes) < 4096 + 600
    assert fake.client().files.content(upload.file.id).read() == data


def test_the_checksum_is_sent_with_the_end() -> None:
    server = Slow("x")
    client = _clients(server)[0]
    client.uploads.upload_file_chunked(
        file=b"abc", filename="a", bytes=3, mime_type="text/plain", purpose="assistants", md5="900150983cd24fb0"
    )
    assert server.asked == [
        ("POST", "/v1/uploads"),
        ("POST", "/v1/uploads/id_1/parts"),
        ("POST", "/v1/uploads/id_1/complete"),
    ]
    assert server.requests[-1].content() == b'{"part_ids":["id_1"],"md5":"900150983cd24fb0"}'


@pytest.mark.parametrize("missing", ["filename", "bytes"])
def test_a_file_in_memory_has_a_name_and_a_size(missing: str) -> None:
    how: dict[str, Any] = {"filename": "a", "bytes": 3}
    del how[missing]
    with pytest.raises(TypeError, match="in memory"):
        _clients(Slow("x"))[0].uploads.upload_file_chunked(
            file=b"abc", mime_type="text/plain", purpose="assistants", **how
        )


# As the official package has them


@pytest.mark.parametrize(
    "path",
    [
        "beta.threads.create_and_run_poll",
        "beta.threads.runs.create_and_poll",
        "beta.threads.runs.poll",
        "beta.threads.runs.submit_tool_outputs_and_poll",
        "vector_stores.files.create_and_poll",
        "vector_stores.files.upload",
        "vector_stores.files.upload_and_poll",
        "vector_stores.files.poll",
        "vector_stores.file_batches.create_and_poll",
        "vector_stores.file_batches.upload_and_poll",
        "vector_stores.file_batches.poll",
        "videos.create_and_poll",
        "videos.poll",
        "files.wait_for_processing",
        "uploads.upload_file_chunked",
    ],
)
def test_parameters_are_the_official_ones(path: str) -> None:
    def found(client: Any) -> Any:
        for name in path.split("."):
            client = getattr(client, name)
        return client

    ours, theirs = found(_clients(Slow())[0]), found(openai.OpenAI(api_key="k"))

    def shape(method: Any) -> list[tuple[str, Any, bool]]:
        return [
            (parameter.name, parameter.kind, parameter.default is parameter.empty)
            for parameter in inspect.signature(method).parameters.values()
        ]

    assert shape(ours) == shape(theirs)
    assert hasattr(ours, "__deprecated__") == hasattr(theirs, "__deprecated__")
    assert ours.__doc__


def test_deprecation_is_told_once_and_of_the_helper() -> None:
    with pytest.warns(DeprecationWarning, match="poll") as told:
        _clients(Slow("in_progress", "completed"))[0].videos.poll("v")
    assert len(told) == 1
    assert told[0].filename == __file__
