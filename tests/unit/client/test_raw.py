"""`with_raw_response` and `with_streaming_response`, result by result beside the official client."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import openai
import pydantic
import pytest

import antiphon
from antiphon import AsyncOpenAI, FakeOpenAI, OpenAI
from antiphon.api import API, operations
from antiphon.api.models import Models
from antiphon.kernel.body import StreamAlreadyConsumed
from antiphon.kernel.flow import Flow, Pause
from antiphon.kernel.helper import ask, helper
from antiphon.kernel.http import Headers, Request, Response, json_response
from antiphon.kernel.operation import Resource
from antiphon.kernel.pages import AsyncPage, SyncPage
from antiphon.kernel.raw import AsyncStreamedBinaryAPIResponse, LegacyAPIResponse, StreamedBinaryAPIResponse
from antiphon.types import CreateEmbeddingResponse, Model
from antiphon.types.chat import ChatCompletion, ChatCompletionChunk
from tests.unit.client.wire import END, STREAM, Received, Wire, chunk, reply, wire
from tests.unit.client.worlds import MODEL, OK, Scripted, Virtual, both, failure

TURNS: Any = [{"role": "user", "content": "Say hello."}]
ANSWER = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "héllo"}}],
}
EVENTS = [b'data: {"id":"a","choices":[]}\n\n', b'data: {"id":"b","choices":[]}\n\n', b"data: [DONE]\n\n"]


def served(received: Received) -> bytes:
    headers = {"x-request-id": "req_1", "x-a": "1"}
    if "/audio/speech" in received.target or received.target.endswith("/content"):
        return reply(b"\x00\x01\x02" * 1000, headers={**headers, "content-type": "audio/mpeg"})
    if b'"stream":true' in received.body:
        return STREAM + b"".join(chunk(each) for each in EVENTS) + END
    if "/chat/completions" in received.target:
        return reply(ANSWER, headers={**headers, "content-type": "application/json; charset=utf-8"})
    if "/containers/" in received.target:
        return reply(b"", headers=headers)
    if received.target.endswith("/models"):
        return reply({"object": "list", "data": [MODEL, {**MODEL, "id": "n"}]}, headers=headers)
    if received.target.endswith("/nothing"):
        return reply({"error": {"message": "no", "code": "model_not_found"}}, 404, headers)
    return reply(MODEL, headers=headers)


@pytest.fixture(scope="module")
def server() -> Iterator[Wire]:
    with Wire(served) as running:
        yield running
        assert not running.problems


def clients(server: Wire) -> tuple[OpenAI, AsyncOpenAI, openai.OpenAI, openai.AsyncOpenAI]:
    settings: dict[str, Any] = {"api_key": "k", "base_url": server.base, "max_retries": 0}
    return (
        OpenAI(**settings),
        AsyncOpenAI(**settings),
        openai.OpenAI(**settings),
        openai.AsyncOpenAI(**settings),
    )


def plain(value: Any) -> Any:
    """A result as data, whoever made it."""
    if hasattr(value, "to_dict"):
        return value.to_dict()
    return value.content if hasattr(value, "content") else value


CALLS: dict[str, Callable[[Any], Any]] = {
    "an object": lambda c: c.models.with_raw_response.retrieve("m"),
    "by the client's own": lambda c: c.with_raw_response.models.retrieve("m"),
    "a child of a resource": lambda c: c.chat.with_raw_response.completions.create(model="m", messages=TURNS),
    "a completion": lambda c: c.chat.completions.with_raw_response.create(model="m", messages=TURNS),
    "a page": lambda c: c.models.with_raw_response.list(),
    "nothing": lambda c: c.containers.with_raw_response.delete("c"),
    "bytes": lambda c: c.audio.speech.with_raw_response.create(model="m", voice="alloy", input="x"),
    "headers of its own": lambda c: c.models.with_raw_response.retrieve("m", extra_headers={"X-B": "2"}),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_raw_responses_are_the_official_ones(server: Wire, call: Callable[[Any], Any]) -> None:
    def facts(answer: Any) -> dict[str, Any]:
        return {
            "status": answer.status_code,
            "headers": {name: answer.headers[name] for name in ("content-type", "x-request-id", "x-a")},
            "request_id": answer.request_id,
            "retries": answer.retries_taken,
            "content": answer.content,
            "text": answer.text,
            "url": str(answer.url),
            "method": answer.method,
            "version": answer.http_version,
            "closed": answer.is_closed,
            "response": answer.http_response.status_code,
            "request": answer.http_request.method,
            "result": plain(answer.parse()),
            "kind": type(answer).__name__,
        }

    def asked(client: Any) -> Any:
        if isinstance(client, (OpenAI, openai.OpenAI)):
            return call(client)

        async def awaited() -> Any:
            async with client:
                return await call(client)

        return asyncio.run(awaited())

    ours, theirs = [], []
    for client in clients(server):
        answer = asked(client)
        sent = server.received[-1]
        (ours if isinstance(client, (OpenAI, AsyncOpenAI)) else theirs).append(
            (facts(answer), sent.target, sent.header("x-stainless-raw-response"), sent.header("x-b"))
        )
        assert isinstance(answer.elapsed, timedelta)
        assert timedelta() < answer.elapsed < timedelta(seconds=30)
    assert ours[0] == ours[1] == theirs[0] == theirs[1]
    assert ours[0][2] == "true"


def test_a_raw_page_goes_on_as_any_page() -> None:
    pages = {
        "": {"data": [{"id": "a"}], "has_more": True},
        "after=a": {"data": [{"id": "b"}], "has_more": False},
    }
    asked: list[Request] = []

    def handler(request: Request) -> Response:
        asked.append(request)
        return json_response(200, pages[request.query])

    page = OpenAI(api_key="k", transport=handler).files.with_raw_response.list().parse()
    assert [file.id for file in page] == ["a", "b"]
    assert [request.headers.get("x-stainless-raw-response") for request in asked] == ["true", None]

    async def asynchronously() -> list[str]:
        page = (await AsyncOpenAI(api_key="k", transport=handler).files.with_raw_response.list()).parse()
        return [file.id async for file in page]

    assert asyncio.run(asynchronously()) == ["a", "b"]


def test_every_operation_of_the_official_voices_is_in_ours() -> None:
    theirs = openai.OpenAI(api_key="k", admin_api_key="k")
    ours = OpenAI(api_key="k", admin_api_key="k", transport=lambda _: OK)
    known = operations()
    seen = 0
    for voice in ("with_raw_response", "with_streaming_response"):
        holders: list[tuple[str, Any, Any, Any]] = [("", theirs, getattr(theirs, voice), getattr(ours, voice))]
        while holders:
            path, plain_one, wrapped, mine = holders.pop()
            for name in [each for each in vars(wrapped) if not each.startswith("_")]:
                call = getattr(mine, name, None)
                full = f"{path}.{name}".lstrip(".").replace("beta.chat.", "chat.")
                if full in known:
                    assert call.operation is known[full], (voice, full)
                    assert type(call._core).__name__ == {"with_raw": "_Raw", "with_str": "_Streaming"}[voice[:8]]
                    seen += 1
                else:
                    assert name == "parse", (voice, full)
            for name in dir(type(plain_one)):
                child = getattr(type(wrapped), name, None)
                if name.startswith(("_", "with_")) or child is None or not hasattr(mine, name):
                    continue
                if not isinstance(getattr(mine, name), Resource):
                    continue
                # A child reached from the wrapped parent, and wrapped by itself, are the same.
                alone = getattr(getattr(plain_one, name), voice)
                assert type(getattr(mine, name)._core) is type(mine._core)
                holders.append((f"{path}.{name}", getattr(plain_one, name), alone, getattr(mine, name)))
    assert seen > 600


def test_every_resource_has_every_voice() -> None:
    client = FakeOpenAI().client()
    found: list[Resource[Any]] = [client]
    names = ("with_raw_response", "with_streaming_response", "with_result")
    count = 0
    while found:
        resource = found.pop()
        count += 1
        for name in names:
            other = getattr(resource, name)
            assert other is getattr(resource, name)
            assert type(other) is (API if resource is client else type(resource))
            with pytest.raises(AttributeError):
                getattr(other, names[0])
        for kind in type(resource).__mro__:
            children = [name for name, value in vars(kind).items() if type(value).__name__ == "cached_property"]
            found += [each for name in children if isinstance(each := getattr(resource, name), Resource)]
    assert count > 120


@pytest.mark.parametrize("kind", [OpenAI, AsyncOpenAI])
def test_what_is_wrong_with_a_call_raises_as_ever(kind: Any) -> None:
    handler = Scripted(failure(404, {"x-request-id": "req_9"}))
    client = kind(api_key="k", transport=handler, max_retries=0)
    (error,) = both(lambda c: c.models.with_raw_response.retrieve("m"), client)
    assert isinstance(error, antiphon.NotFoundError)
    assert error.request_id == "req_9"
    (error,) = both(lambda c: c.models.with_raw_response.retrieve(), client)
    assert isinstance(error, TypeError)
    (error,) = both(lambda c: c.models.with_raw_response.retrieve("m", modle=1), client)
    assert isinstance(error, TypeError)


@pytest.mark.parametrize("kind", [OpenAI, AsyncOpenAI])
def test_retries_are_counted(kind: Any) -> None:
    def counted(answers: list[Response], **options: Any) -> Any:
        client = kind(api_key="k", transport=Scripted(*answers), max_retries=4)
        (answer,) = both(lambda c: c.models.with_raw_response.retrieve("m", **options), client)
        return answer.retries_taken

    assert counted([OK]) == 0
    assert counted([failure(500), failure(429), OK]) == 2
    assert counted([failure(500), OK], extra_headers={"x-stainless-retry-count": "9"}) == 1
    assert counted([failure(500), OK], extra_headers={"x-stainless-retry-count": antiphon.omit}) == 1


class Card(pydantic.BaseModel):
    id: str
    created: int


def test_bodies_are_read_as_other_types(server: Wire) -> None:
    ours, _, theirs, _ = clients(server)
    raw, official = ours.models.with_raw_response.retrieve("m"), theirs.models.with_raw_response.retrieve("m")
    assert raw.parse(to=str) == official.parse(to=str) == json.dumps(MODEL)
    assert raw.parse(to=dict) == official.parse(to=dict) == MODEL
    assert raw.parse(to=object) == official.parse(to=object) == MODEL
    assert raw.parse(to=bytes) == json.dumps(MODEL).encode()
    assert raw.parse(to=Card) == Card(id="m", created=1)
    assert raw.parse(to=Response) is raw.http_response
    assert raw.parse(to=type(None)) is None
    assert raw.parse(to=CreateEmbeddingResponse).model is None
    assert raw.parse(to=dict[str, Any]) == MODEL  # type: ignore[arg-type]
    assert isinstance(raw.parse(to=Model | None), Model)  # type: ignore[arg-type]
    assert raw.parse(to=Model)._request_id == "req_1"
    assert raw.parse() is raw.parse()
    assert raw.json() == MODEL
    for wrong in (Path, set, antiphon.Stream[Model]):
        with pytest.raises(TypeError):
            raw.parse(to=wrong)  # type: ignore[arg-type]
    assert raw.http_response.json() == MODEL
    assert "200" in repr(raw)
    assert "/v1/models/m" in repr(raw)


@pytest.mark.parametrize(
    ("text", "to", "value"), [(b"12", int, 12), (b"1.5", float, 1.5), (b" True\n", bool, True), (b"no", bool, False)]
)
def test_plain_values(text: bytes, to: type[Any], value: Any) -> None:
    response = Response(200, Headers({"content-type": "text/plain"}), text)
    client = OpenAI(api_key="k", transport=lambda _: response)
    assert client.models.with_raw_response.retrieve("m").parse(to=to) == value
    with client.models.with_streaming_response.retrieve("m") as streamed:
        assert streamed.parse(to=to) == value


def test_what_is_no_json_is_read_as_text() -> None:
    response = Response(200, Headers({"content-type": "text/html"}), b"<html>")
    client = OpenAI(api_key="k", transport=lambda _: response)
    raw = client.models.with_raw_response.retrieve("m")
    assert raw.parse() == "<html>"  # type: ignore[comparison-overlap]
    assert raw.parse(to=Model) == "<html>"  # type: ignore[comparison-overlap]
    assert raw.parse(to=dict) == "<html>"  # type: ignore[comparison-overlap]


def test_text_is_in_the_charset_of_the_content_type() -> None:
    response = Response(200, Headers({"content-type": "text/plain; charset=latin-1"}), "é\r\nü".encode("latin-1"))
    client = OpenAI(api_key="k", transport=lambda _: response)
    assert client.models.with_raw_response.retrieve("m").text == "é\r\nü"
    with client.models.with_streaming_response.retrieve("m") as streamed:
        assert list(streamed.iter_lines()) == ["é", "ü"]


def test_streams_in_raw_responses(server: Wire) -> None:
    ours, ours_async, theirs, _ = clients(server)
    raw = ours.chat.completions.with_raw_response.create(model="m", messages=TURNS, stream=True)
    official = theirs.chat.completions.with_raw_response.create(model="m", messages=TURNS, stream=True)
    assert raw.is_closed is official.is_closed is False
    with pytest.raises(TypeError):
        raw.content  # noqa: B018
    assert [each.id for each in raw.parse()] == [each.id for each in official.parse()] == ["a", "b"]
    assert raw.is_closed
    assert raw.request_id == official.request_id == "req_s"
    again = ours.chat.completions.with_raw_response.create(model="m", messages=TURNS, stream=True)
    models = list(again.parse(to=antiphon.Stream[Model]))
    assert [type(each) for each in models] == [Model, Model]
    with pytest.raises(TypeError, match=r"Stream\[…\]"):
        again.parse(to=Model)

    async def asynchronously() -> list[str]:
        raw = await ours_async.chat.completions.with_raw_response.create(model="m", messages=TURNS, stream=True)
        with pytest.raises(TypeError, match=r"AsyncStream\[…\]"):
            raw.parse(to=antiphon.Stream[Model])
        ids = [each.id async for each in raw.parse()]
        assert raw.is_closed
        await ours_async.close()
        return ids

    assert asyncio.run(asynchronously()) == ["a", "b"]


# Bodies that have not been read

READERS: dict[str, Callable[[Any], Any]] = {
    "read": lambda answer: answer.read(),
    "text": lambda answer: answer.text(),
    "json": lambda answer: answer.json(),
    "parse": lambda answer: answer.parse(),
    "bytes": lambda answer: answer.iter_bytes(),
    "bytes by size": lambda answer: answer.iter_bytes(7),
    "text in pieces": lambda answer: answer.iter_text(),
    "text by size": lambda answer: answer.iter_text(5),
    "lines": lambda answer: answer.iter_lines(),
}


def read_blocking(manager: Any, reader: Callable[[Any], Any]) -> Any:
    with manager as answer:
        before = answer.is_closed
        result = reader(answer)
        result = list(result) if hasattr(result, "__next__") else plain(result)
        return before, result, answer.is_closed, answer.request_id, answer.status_code, answer.retries_taken


async def read_async(manager: Any, reader: Callable[[Any], Any]) -> Any:
    async with manager as answer:
        before = answer.is_closed
        result = reader(answer)
        result = [each async for each in result] if hasattr(result, "__anext__") else plain(await result)
        return before, result, answer.is_closed, answer.request_id, answer.status_code, answer.retries_taken


STREAMING: dict[str, Callable[[Any], Any]] = {
    "a completion": lambda c: c.chat.completions.with_streaming_response.create(model="m", messages=TURNS),
    "by the client's own": lambda c: c.with_streaming_response.models.retrieve("m"),
    "a page": lambda c: c.models.with_streaming_response.list(),
}


@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
@pytest.mark.parametrize("call", STREAMING.values(), ids=STREAMING)
def test_streamed_responses_are_the_official_ones(
    server: Wire, call: Callable[[Any], Any], reader: Callable[[Any], Any]
) -> None:
    ours, ours_async, theirs, _ = clients(server)
    official = read_blocking(call(theirs), reader)
    assert server.received[-1].header("x-stainless-raw-response") == "stream"
    mine = read_blocking(call(ours), reader)
    assert server.received[-1].header("x-stainless-raw-response") == "stream"

    async def asynchronously() -> Any:
        try:
            return await read_async(call(ours_async), reader)
        finally:
            await ours_async.close()

    in_loop = asyncio.run(asynchronously())
    for found in (mine, in_loop):
        if isinstance(official[1], list) and reader in (READERS["bytes"], READERS["text in pieces"]):
            # Where the pieces of the network begin and end is nobody's promise.
            empty: Any = official[1][0][:0]
            assert empty.join(found[1]) == empty.join(official[1])
        else:
            assert found[1] == official[1]
        assert (found[0], *found[2:]) == (official[0], *official[2:])


@pytest.mark.parametrize(
    "ask",
    [
        lambda c: c.audio.speech.with_streaming_response.create(model="m", voice="alloy", input="x"),
        lambda c: c.files.with_streaming_response.content("f"),
    ],
    ids=["speech", "files"],
)
def test_binary_answers_are_streamed_to_a_file(server: Wire, ask: Callable[[Any], Any], tmp_path: Path) -> None:
    ours, ours_async, theirs, _ = clients(server)
    with ask(theirs) as official:
        kind = type(official).__name__
        expected = official.read()
        assert official.parse() == expected
    with ask(ours) as answer:
        assert type(answer) is StreamedBinaryAPIResponse
        assert type(answer).__name__ == kind
        assert answer.parse() == expected
        assert answer.read() == expected
    with ask(ours) as answer:
        answer.stream_to_file(tmp_path / "a", chunk_size=100)
        assert answer.is_closed
        with pytest.raises(StreamAlreadyConsumed):
            answer.read()
    assert (tmp_path / "a").read_bytes() == expected

    async def asynchronously() -> None:
        async with ask(ours_async) as answer:
            assert type(answer) is AsyncStreamedBinaryAPIResponse
            await answer.stream_to_file(tmp_path / "b")
            with pytest.raises(StreamAlreadyConsumed):
                await answer.parse()
        async with ask(ours_async) as answer:
            assert await answer.parse() == expected
        await ours_async.close()

    asyncio.run(asynchronously())
    assert (tmp_path / "b").read_bytes() == expected


def test_a_streamed_body_is_read_once_or_kept(server: Wire) -> None:
    ours, _, theirs, _ = clients(server)
    for client, gone in ((ours, StreamAlreadyConsumed), (theirs, openai._response.StreamAlreadyConsumed)):
        manager: Any = client.models.with_streaming_response.retrieve("m")
        with manager as answer:
            assert b"".join(answer.iter_bytes())
            with pytest.raises(gone):
                answer.read()
        with client.models.with_streaming_response.retrieve("m") as answer:
            content = answer.read()
            assert b"".join(answer.iter_bytes()) == content
            assert answer.read() == content
            assert answer.parse().id == "m"
            assert answer.json() == MODEL


def test_events_of_a_stream_through_a_streamed_response(server: Wire) -> None:
    ours, ours_async, theirs, _ = clients(server)
    ask: Any = lambda c: c.chat.completions.with_streaming_response.create(  # noqa: E731
        model="m", messages=TURNS, stream=True
    )
    with ask(theirs) as answer:
        official = [each.id for each in answer.parse()]
    with ask(ours) as answer:
        stream = answer.parse()
        assert isinstance(stream, antiphon.Stream)
        events = list(stream)
        assert answer.is_closed
    assert [each.id for each in events] == official
    assert [type(each) for each in events] == [ChatCompletionChunk] * 2
    with ask(theirs) as answer:
        lines = list(answer.iter_lines())
    with ask(ours) as answer:
        assert list(answer.iter_lines()) == lines

    async def asynchronously() -> list[str]:
        async with ask(ours_async) as answer:
            stream = await answer.parse()
            ids = [each.id async for each in stream]
        await ours_async.close()
        return ids

    assert asyncio.run(asynchronously()) == official


def test_nothing_is_sent_before_the_block_is_entered_and_errors_come_then() -> None:
    handler = Scripted(failure(404))
    client = OpenAI(api_key="k", transport=handler, max_retries=0)
    manager = client.models.with_streaming_response.retrieve("m")
    assert handler.requests == []
    with pytest.raises(antiphon.NotFoundError), manager:
        pass
    assert len(handler.requests) == 1
    asynchronous = AsyncOpenAI(api_key="k", transport=handler, max_retries=0)

    async def entered() -> None:
        # A manager that is never entered leaves no coroutine behind.
        asynchronous.models.with_streaming_response.retrieve("m")
        async with asynchronous.models.with_streaming_response.retrieve("m"):
            pass

    with pytest.raises(antiphon.NotFoundError):
        asyncio.run(entered())


def test_leaving_a_streamed_response_closes_its_connection() -> None:
    slow = [STREAM, chunk(EVENTS[0]), 5.0, chunk(EVENTS[1]), END]
    with wire(slow, slow) as server:
        client = OpenAI(api_key="k", base_url=server.base)
        ask: Any = {"model": "m", "messages": TURNS, "stream": True}
        with client.chat.completions.with_streaming_response.create(**ask) as answer:
            assert next(answer.iter_bytes())
            assert not answer.is_closed
        assert answer.is_closed
        assert server.wait_closed(1)

        async def asynchronously() -> None:
            async with AsyncOpenAI(api_key="k", base_url=server.base) as client:
                async with client.chat.completions.with_streaming_response.create(**ask) as answer:
                    async for _ in answer.iter_bytes():
                        break
                    assert not answer.is_closed
                assert answer.is_closed

        asyncio.run(asynchronously())
        assert server.wait_closed(2)


def test_a_streamed_body_that_is_cut_off_raises() -> None:
    cut = [b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{", 0.05, b""]
    with wire(cut, cut) as server:
        client = OpenAI(api_key="k", base_url=server.base, max_retries=0)
        with client.models.with_streaming_response.retrieve("m") as answer:
            with pytest.raises(antiphon.APIConnectionError):
                answer.read()
            assert answer.is_closed

        async def asynchronously() -> None:
            async with AsyncOpenAI(api_key="k", base_url=server.base, max_retries=0) as client:
                async with client.models.with_streaming_response.retrieve("m") as answer:
                    with pytest.raises(antiphon.APIConnectionError):
                        await answer.read()

        asyncio.run(asynchronously())


def test_elapsed_goes_on_until_the_body_is_read() -> None:
    client = OpenAI(api_key="k", transport=lambda _: OK)
    with client.models.with_streaming_response.retrieve("m") as answer:
        first = answer.elapsed
        assert answer.elapsed > first
        answer.read()
        assert answer.elapsed == answer.elapsed


def test_embeddings_are_floats_in_every_voice() -> None:
    client = FakeOpenAI().client()
    raw = client.embeddings.with_raw_response.create(model="text-embedding-3-small", input="x")
    assert isinstance(raw.json()["data"][0]["embedding"], str)
    vector = raw.parse().data[0].embedding
    assert len(vector) == 1536
    with client.embeddings.with_streaming_response.create(model="text-embedding-3-small", input="x") as answer:
        assert answer.parse().data[0].embedding == vector
    assert client.embeddings.with_result.create(model="text-embedding-3-small", input="x").unwrap().data[
        0
    ].embedding == pytest.approx(vector)


def test_the_fake_beside_the_official_client() -> None:
    with FakeOpenAI().start(port=0) as running:
        settings: dict[str, Any] = {"api_key": "k", "base_url": running.base_url}
        ours, theirs = OpenAI(**settings), openai.OpenAI(**settings)
        for ask in (
            lambda c: c.models.with_raw_response.list(),
            lambda c: c.chat.completions.with_raw_response.create(model="gpt-5", messages=TURNS),
            lambda c: c.responses.with_raw_response.create(model="gpt-5", input="hello"),
            lambda c: c.files.with_raw_response.create(file=("a.txt", b"text"), purpose="user_data"),
            lambda c: c.vector_stores.with_raw_response.create(name="v"),
        ):
            mine, official = ask(ours), ask(theirs)
            assert (mine.status_code, mine.method, str(mine.url)) == (
                official.status_code,
                official.method,
                str(official.url),
            )
            assert set(mine.headers) - {"date", "content-length"} == set(official.headers) - {"date", "content-length"}
            assert mine.request_id.startswith("req_")
            assert mine.parse().to_dict().keys() == official.parse().to_dict().keys()
            assert mine.headers["x-ratelimit-limit-requests"] == official.headers["x-ratelimit-limit-requests"]
        ours.close()


def test_pages_keep_their_colour() -> None:
    fake = FakeOpenAI()
    assert isinstance(fake.client().models.with_raw_response.list().parse(), SyncPage)
    (raw,) = both(lambda c: c.models.with_raw_response.list(), fake.async_client())
    assert isinstance(raw, LegacyAPIResponse)
    assert isinstance(raw.parse(), AsyncPage)


# Helpers


def test_helpers_answer_with_their_last_response() -> None:
    states = iter(["in_progress", "completed"] * 3)

    class Handler:
        world = Virtual()
        asked: list[Request] = []

        def __call__(self, request: Request) -> Response:
            self.asked.append(request)
            number = len(self.asked)
            return json_response(200, {"id": "vf_1", "status": next(states)}, [("x-request-id", f"req_{number}")])

    handler = Handler()
    client = OpenAI(api_key="k", transport=handler)
    raw = client.vector_stores.files.with_raw_response.poll("vf_1", vector_store_id="vs_1")
    assert isinstance(raw, LegacyAPIResponse)
    assert (raw.request_id, raw.parse().status, raw.json()["status"]) == ("req_2", "completed", "completed")
    assert {request.headers.get("x-stainless-raw-response") for request in handler.asked} == {"true"}
    with client.vector_stores.files.with_streaming_response.poll("vf_1", vector_store_id="vs_1") as streamed:
        assert streamed.parse().status == "completed"
        assert streamed.request_id == "req_4"
    outcome = client.vector_stores.files.with_result.poll("vf_1", vector_store_id="vs_1")
    assert outcome.unwrap().status == "completed"
    assert outcome.request_id == "req_6"


def test_the_type_of_a_completion_in_a_raw_response() -> None:
    raw = FakeOpenAI().client().chat.completions.with_raw_response.create(model="gpt-5", messages=TURNS)
    assert isinstance(raw.parse(), ChatCompletion)
    assert raw.parse()._request_id == raw.request_id


class Helping(Resource[Any]):
    @helper
    def strict(self) -> Flow[str]:
        """One request, whose answer the helper cannot make anything of."""
        yield from ask(self, Models.retrieve, "m")
        raise ValueError("not what was asked for")

    @helper
    def wrong(self) -> Flow[str]:
        """No request."""
        yield Pause(0)
        raise ValueError("a mistake")

    @helper
    def idle(self) -> Flow[str]:
        """No request, and no mistake."""
        yield Pause(0)
        return "idle"


def test_an_answer_a_helper_cannot_read_is_an_answer() -> None:
    client = OpenAI(api_key="k", transport=Scripted(OK))
    voices = {name: Helping(client._in_voice(name)) for name in ("raw", "streaming", "result")}
    raw = voices["raw"].strict()
    assert raw.json() == MODEL
    with pytest.raises(ValueError, match="not what was asked for"):
        raw.parse()
    with voices["streaming"].strict() as answer:
        assert answer.read() == raw.content
        with pytest.raises(ValueError, match="not what was asked for"):
            answer.parse()
    outcome = voices["result"].strict()
    assert (outcome.failure.message, outcome.status) == ("not what was asked for", 200)
    for name in ("raw", "result"):
        with pytest.raises(ValueError, match="a mistake"):
            voices[name].wrong()
    assert voices["result"].idle().unwrap() == "idle"
    with pytest.raises(RuntimeError, match="no response"):
        voices["raw"].idle()

    async def asynchronously() -> None:
        client = AsyncOpenAI(api_key="k", transport=Scripted(OK))
        raw = await Helping(client._in_voice("raw")).strict()
        with pytest.raises(ValueError, match="not what was asked for"):
            raw.parse()
        async with Helping(client._in_voice("streaming")).strict() as answer:
            assert await answer.json() == MODEL
        outcome = await Helping(client._in_voice("result")).strict()
        assert outcome.status == 200

    asyncio.run(asynchronously())


def test_the_voices_cost_nothing_until_they_are_used() -> None:
    code = (
        "import sys; from antiphon import OpenAI; from antiphon.kernel.http import json_response;"
        "client = OpenAI(api_key='k', transport=lambda _: json_response(200, {}));"
        "client.models.list(); client.chat.completions;"
        "print(*[name for name in sys.modules if name.startswith('antiphon.')])"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "antiphon.client.calls" in loaded
    assert not {
        "antiphon.client.voices",
        "antiphon.kernel.raw",
        "antiphon.kernel.result",
        "antiphon.kernel.body",
    } & set(loaded)


def test_the_version_of_http_is_the_transports(server: Wire) -> None:
    raw = OpenAI(api_key="k", base_url=server.base).models.with_raw_response.retrieve("m")
    assert raw.http_version == "HTTP/1.1"
    assert dict(raw.headers)
    assert raw.http_version == "HTTP/1.1"
    assert Headers().http_version == "HTTP/1.1"
