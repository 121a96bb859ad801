"""An async client under asyncio, uvloop and trio: calls, streams, pages, retries, uploads, helpers, cancelling."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import trio

from antiphon import APITimeoutError, AsyncOpenAI, Attempt, FakeOpenAI, Hooks, RateLimitError
from antiphon.kernel.loops import sleep
from tests.unit.client.wire import STREAM, Wire, chunk, reply, wire
from tests.unit.client.worlds import MODEL

HI: Any = [{"role": "user", "content": "Say hello."}]
Main = Callable[[], Coroutine[Any, Any, Any]]


def on_uvloop(main: Main) -> Any:
    uvloop = pytest.importorskip("uvloop")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main())


def on_asyncio(main: Main) -> Any:
    return asyncio.run(main())


WAYS = pytest.mark.parametrize(
    ("run", "library"),
    [
        (on_asyncio, None),
        (on_uvloop, None),
        (on_uvloop, httpx2.AsyncClient),
        (trio.run, httpx2.AsyncClient),
    ],
    ids=["asyncio", "uvloop", "uvloop-httpx2", "trio-httpx2"],
)


def made(library: Any, base: str, **options: Any) -> AsyncOpenAI:
    return AsyncOpenAI(api_key="k", base_url=base, http_client=None if library is None else library(), **options)


@pytest.fixture(scope="module")
def fake() -> Iterator[str]:
    with FakeOpenAI().start(port=0) as server:
        yield server.base_url


@WAYS
def test_what_one_does_with_a_client(run: Any, library: Any, fake: str, tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_bytes(b"x" * 200_000)

    async def main() -> None:
        async with made(library, fake) as client:
            completion = await client.chat.completions.create(model="gpt-4.1", messages=HI)
            assert completion.choices[0].message.content
            async with await client.chat.completions.create(model="gpt-4.1", messages=HI, stream=True) as stream:
                assert "".join([chunk.choices[0].delta.content or "" async for chunk in stream])
            async with client.chat.completions.stream(model="gpt-4.1", messages=HI) as events:
                assert (await events.get_final_completion()).choices[0].message.content
            assert len([model async for model in client.models.list()]) > 10
            uploaded = await client.files.create(file=file, purpose="assistants")
            assert uploaded.bytes == 200_000
            content = await client.files.content(uploaded.id)
            await content.astream_to_file(tmp_path / "read.txt")
            async with client.files.with_streaming_response.content(uploaded.id) as response:
                await response.stream_to_file(tmp_path / "streamed.txt")
            store = await client.vector_stores.create(name="s")
            files: Any = [(f"{n}.txt", b"text") for n in range(4)]
            batch = await client.vector_stores.file_batches.upload_and_poll(
                store.id, files=files, max_concurrency=2, poll_interval_ms=10
            )
            assert batch.file_counts.completed == 4

    run(main)
    assert (tmp_path / "read.txt").read_bytes() == (tmp_path / "streamed.txt").read_bytes() == file.read_bytes()


@WAYS
def test_waiting_between_attempts(run: Any, library: Any) -> None:
    async def hook(attempt: Attempt) -> None:
        await sleep(0.001)

    async def main() -> Any:
        async with made(library, server.base, hooks=Hooks(hook, hook)) as client:
            return (await client.models.retrieve("m")).id

    again = {"retry-after-ms": "30"}
    with wire(reply({}, 429, again), reply({}, 500, again), reply(MODEL)) as server:
        begin = time.monotonic()
        assert run(main) == "m"
        assert time.monotonic() - begin > 0.05


@WAYS
def test_what_goes_wrong(run: Any, library: Any) -> None:
    async def main() -> None:
        async with made(library, server.base, max_retries=0, timeout=0.2) as client:
            with pytest.raises(RateLimitError):
                await client.models.retrieve("m")
            with pytest.raises(APITimeoutError):
                await client.models.retrieve("m")

    with wire(reply({}, 429), (5.0,)) as server:
        run(main)


@WAYS
def test_a_stream_that_is_cancelled_closes_its_connection(run: Any, library: Any) -> None:
    async def main() -> None:
        async with made(library, server.base) as client:
            stream = await client.completions.create(model="m", prompt="p", stream=True)
            assert (await anext(stream)).id == "c"
            if run is trio.run:
                with trio.move_on_after(0.1):
                    await anext(stream)
            else:
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.1):
                        await anext(stream)
            begin = time.monotonic()
            while not server.closed and time.monotonic() - begin < 5:
                await sleep(0.01)
            assert server.closed

    with Wire(lambda received: (STREAM, chunk(b'data: {"id": "c"}\n\n'), 20.0)) as server:
        run(main)


def test_our_own_transport_says_what_it_needs_under_trio() -> None:
    async def main() -> None:
        client = AsyncOpenAI(api_key="k", base_url="http://127.0.0.1:9/v1")
        with pytest.raises(RuntimeError, match=r"httpx2\.AsyncClient"):
            await client.models.retrieve("m")
        with pytest.raises(RuntimeError, match=r"httpx2\.AsyncClient"):
            await client.completions.create(model="m", prompt="p", stream=True)

    trio.run(main)


async def test_and_raises_what_else_goes_wrong_as_it_is() -> None:
    client = AsyncOpenAI(api_key="k", base_url="http://127.0.0.1:9/v1")
    transport = client.transport
    await client.close()
    with pytest.raises(RuntimeError, match="closed"):
        await client.models.retrieve("m")
    with pytest.raises(RuntimeError, match="closed"):
        await AsyncOpenAI(api_key="k", transport=transport).models.retrieve("m")


def test_a_handler_under_trio() -> None:
    async def main() -> str | None:
        client = AsyncOpenAI(api_key="k", transport=FakeOpenAI())
        return (await client.chat.completions.create(model="gpt-4.1", messages=HI)).choices[0].message.content

    assert trio.run(main)
