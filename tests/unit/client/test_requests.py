"""What goes over the wire, header by header and byte by byte, beside the official client."""

from __future__ import annotations

import asyncio
import datetime
import io
import json
import re
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

import antiphon
from tests.unit.client.wire import Received, Wire, reply

SETTINGS: dict[str, Any] = {
    "api_key": "sk-a",
    "admin_api_key": "sk-admin",
    "organization": "org-a",
    "project": "proj-a",
    "max_retries": 0,
    "default_headers": {"X-Default": "1"},
    "default_query": {"dq": "2"},
}
TURNS: Any = [{"role": "user", "content": 'héllo <&> \u2028 "q" 🎼'}]


def left_out(client: Any) -> Any:
    return openai.Omit() if type(client).__module__.startswith("openai") else antiphon.omit


def named(content: bytes, name: str) -> io.BytesIO:
    file = io.BytesIO(content)
    file.name = name
    return file


CALLS: dict[str, Callable[[Any], Any]] = {
    "json": lambda c: c.chat.completions.create(model="m", messages=TURNS),
    "json with a stream, null and numbers as keys": lambda c: c.chat.completions.create(
        model="m", messages=TURNS, stream=True, n=None, stop=["a"], logit_bias={1: 2}
    ),
    "json from an iterator": lambda c: c.chat.completions.create(model="m", messages=(turn for turn in TURNS)),
    "json with a date": lambda c: c.responses.create(
        model="m", input=[{"role": "user", "content": "x", "at": datetime.datetime(2024, 1, 2, 3, 4, 5)}]
    ),
    "an object where nothing is given": lambda c: c.beta.threads.create(),
    "no body": lambda c: c.responses.cancel("r"),
    "get": lambda c: c.models.list(),
    "get with a path to be quoted": lambda c: c.models.retrieve("a/b c:é?#%"),
    "delete": lambda c: c.models.delete("ft:x"),
    "query": lambda c: c.chat.completions.list(metadata={"a b": "c&d"}, limit=2, order="asc"),
    "query with lists": lambda c: c.admin.organization.usage.completions(
        start_time=1, group_by=["model", "user_id"], batch=False
    ),
    "query of a post": lambda c: c.beta.threads.runs.create("t", assistant_id="a", include=["x"]),
    "fixed query": lambda c: c.beta.responses.delete("r"),
    "header parameters": lambda c: c.beta.responses.retrieve(
        "r", betas=["responses_multi_agent=v1", "b"], include=["x"]
    ),
    "assistants": lambda c: c.beta.assistants.create(model="m"),
    "vector stores": lambda c: c.vector_stores.search("v", query=["a", "b"]),
    "chatkit": lambda c: c.beta.chatkit.sessions.create(user="u", workflow={"id": "w"}),
    "idempotency key": lambda c: c.beta.agents.environments.create(environment={"type": "x"}, idempotency_key="k"),
    "admin": lambda c: c.admin.organization.projects.list(limit=3),
    "embeddings": lambda c: c.embeddings.create(model="m", input="x"),
    "embeddings as floats": lambda c: c.embeddings.create(model="m", input=["x"], encoding_format="float"),
    "accept of binary answers": lambda c: c.files.content("f"),
    "accept of speech": lambda c: c.audio.speech.create(model="m", input="x", voice="alloy"),
    "renamed": lambda c: c.realtime.client_secrets.create(session={"type": "realtime", "model": "m"}),
    "a page by post": lambda c: c.fine_tuning.checkpoints.permissions.create("ft:x:y", project_ids=["a"]),
    "extra everything": lambda c: c.chat.completions.create(
        model="m",
        messages=TURNS,
        extra_headers={"X-A": "1", "Accept": "x/y"},
        extra_query={"q": 1, "list": [1, 2], "nested": {"k": True}, "none": None},
        extra_body={"model": "other", "z": {"a": [1]}},
    ),
    "extra body of a delete": lambda c: c.files.delete("f", extra_body={"a": 1}),
    "extra body of a get": lambda c: c.files.retrieve("f", extra_body={"a": 1}),
    "authorization left out": lambda c: c.models.retrieve("f", extra_headers={"Authorization": left_out(c)}),
    "authorization of the call": lambda c: c.models.retrieve("f", extra_headers={"authorization": "Bearer other"}),
    "a default header left out": lambda c: c.models.retrieve("f", extra_headers={"x-default": left_out(c)}),
    "form with bytes": lambda c: c.files.create(file=b"abc", purpose="fine-tune"),
    "form with a path": lambda c: c.files.create(
        file=PATH, purpose="fine-tune", expires_after={"anchor": "created_at", "seconds": 3600}
    ),
    "form with a file in memory": lambda c: c.files.create(file=io.BytesIO(b"abc"), purpose="fine-tune"),
    "form with a file with a name": lambda c: c.files.create(file=named(b"abc", "/x/y.jsonl"), purpose="fine-tune"),
    "form with a name to be quoted": lambda c: c.files.create(
        file=('naïve "x"\\\n.jsonl', b"abc"), purpose="fine-tune"
    ),
    "form with a content type": lambda c: c.files.create(
        file=("x.png", io.BytesIO(b"abc"), "image/x"), purpose="fine-tune"
    ),
    "form with headers": lambda c: c.files.create(file=("x.png", b"abc", "image/x", {"X-A": "b"}), purpose="fine-tune"),
    "form with a path in a tuple": lambda c: c.files.create(file=("x.png", PATH), purpose="fine-tune"),
    "form with a file without a name": lambda c: c.files.create(file=(None, b"abc"), purpose="fine-tune"),
    "form with several files": lambda c: c.images.edit(image=[b"a", ("b.png", b"b")], prompt="p", n=2, mask=b"m"),
    "form with one file": lambda c: c.images.edit(image=b"a", prompt="p", user=None),
    "form with lists and objects": lambda c: c.audio.transcriptions.create(
        file=b"a",
        model="whisper-1",
        timestamp_granularities=["word", "segment"],
        temperature=0.1,
        chunking_strategy={"type": "server_vad", "threshold": 0.5},
    ),
    "form without a file": lambda c: c.videos.create(prompt="x"),
    "json where a file might be": lambda c: c.containers.files.create("u", file_id="a"),
    "the same with the file": lambda c: c.containers.files.create("u", file=b"a"),
    "files in a list": lambda c: c.skills.create(files=[b"a", b"b"]),
    "files in no list": lambda c: c.skills.create(files=b"a"),
    "no files": lambda c: c.skills.create(),
    "a field that stands alone": lambda c: c.realtime.calls.create(sdp="v=0"),
    "fields that are parts": lambda c: c.realtime.calls.create(sdp="v=0", session={"type": "realtime", "model": "m"}),
}
PATH = Path(__file__).with_name("worlds.py")
OWN = {"host", "user-agent", "connection", "accept-encoding"}
"""Headers that are the HTTP library's affair, or say whose client it is."""


@pytest.fixture(scope="module")
def server() -> Iterator[Wire]:
    with Wire(lambda received: reply({"id": "x", "object": "list", "data": [{"embedding": [1.0]}]})) as server:
        yield server
        assert not server.problems


def seen(received: Received) -> tuple[Any, ...]:
    """A request as far as servers care: order of headers, of JSON's keys and of a form's fields apart."""
    headers = {
        name: value for name, value in received.headers if name not in OWN and not name.startswith("x-stainless")
    }
    body: Any = received.body
    kind, _, boundary = headers.get("content-type", "").partition("; boundary=")
    if boundary:
        headers.update({"content-type": kind, "content-length": "…"})
        body = sorted(re.split(rb"\r?\n?--" + boundary.encode() + rb"(?:--)?\r\n", body))
    elif kind == "application/json" and body:
        parsed = json.loads(body)
        # Compact, and nothing escaped that need not be.
        assert body == json.dumps(parsed, separators=(",", ":"), ensure_ascii=False).encode()
        body = parsed
    return received.method, received.target, headers, body


def ask(client: Any, call: Callable[[Any], Any]) -> None:
    result = call(client)
    if hasattr(result, "close"):
        result.close()


@pytest.mark.parametrize("name", CALLS)
def test_a_request_is_the_official_one(server: Wire, name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        for client in (
            openai.OpenAI(base_url=server.base, **SETTINGS),
            antiphon.OpenAI(base_url=server.base, **SETTINGS),
        ):
            with client:
                ask(client, CALLS[name])
        official, ours = map(seen, server.received[-2:])
        assert ours == official


@pytest.mark.parametrize("name", ["json", "query", "form with a path", "form with a file in memory", "no body"])
async def test_an_async_request_is_the_blocking_one(server: Wire, name: str) -> None:
    await asyncio.to_thread(lambda: CALLS[name](antiphon.OpenAI(base_url=server.base, **SETTINGS)))
    async with antiphon.AsyncOpenAI(base_url=server.base, **SETTINGS) as client:
        await CALLS[name](client)
    blocking, awaited = map(seen, server.received[-2:])
    assert awaited == blocking


def test_what_is_omitted_within_is_left_out(server: Wire) -> None:
    client = antiphon.OpenAI(base_url=server.base, **SETTINGS)
    turn: Any = {"role": "user", "content": antiphon.omit, "list": [1, antiphon.omit, antiphon.not_given]}
    client.responses.create(model="m", input=[turn], metadata={"a": antiphon.omit, "b": "c"}, user=antiphon.not_given)  # type: ignore[arg-type, dict-item]
    assert json.loads(server.received[-1].body) == {
        "model": "m",
        "input": [{"role": "user", "list": [1]}],
        "metadata": {"b": "c"},
    }


def test_a_form_takes_an_object_where_a_file_might_be(server: Wire) -> None:
    client = antiphon.OpenAI(base_url=server.base, **SETTINGS)
    with pytest.deprecated_call():
        client.videos.create(prompt="x", input_reference={"file_id": "file-1"})  # type: ignore[arg-type]
    assert b'name="input_reference[file_id]"\r\n\r\nfile-1\r\n' in server.received[-1].body


@pytest.mark.parametrize(
    "file",
    ["a.txt", 3, io.StringIO("text"), ("name", "text"), ("only",), ("a", b"b", "c", {}, "e")],
    ids=lambda value: type(value).__name__,
)
def test_what_is_no_file_is_refused_before_anything_is_sent(server: Wire, file: Any) -> None:
    before = len(server.received)
    with pytest.raises(TypeError, match="file"):
        antiphon.OpenAI(base_url=server.base, **SETTINGS).files.create(file=file, purpose="vision")
    assert len(server.received) == before


def test_the_client_says_who_it_is_and_nothing_of_the_machine(server: Wire) -> None:
    antiphon.OpenAI(base_url=server.base, **SETTINGS).models.list()
    received = server.received[-1]
    assert received.header("user-agent") == f"Antiphon/Python {antiphon.__version__}"
    assert not [name for name in received.names() if name.startswith("x-stainless")]
