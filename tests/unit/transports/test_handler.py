"""A handler in process: steps are taken, time is the handler's own, bodies are streamed or joined."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import pytest

from antiphon import APITimeoutError, AsyncOpenAI, FakeOpenAI, NotFoundError, OpenAI, Timeout
from antiphon.kernel.flow import Await, Call, Flow, Pause, World, run
from antiphon.kernel.http import Headers, Request, Response, Upload, json_response
from antiphon.kernel.spool import Spooled
from antiphon.server.clock import VirtualClock
from antiphon.transports import AsyncTransport, Transport, async_transport, transport
from antiphon.transports.handler import HandlerTransport
from tests.unit.client.worlds import MODEL, OK, Virtual, both

KINDS = pytest.mark.parametrize("kind", [OpenAI, AsyncOpenAI])
GET = Request("GET", "/v1/models/m")


def sent(handler: Any, request: Request = GET, timeout: Any = None, stream: bool = False) -> list[Response]:
    """The response in either colour."""
    made = HandlerTransport(handler)
    return [made.send(request, timeout, stream), asyncio.run(made.asend(request, timeout, stream))]


def test_flows_are_driven() -> None:
    async def later() -> str:
        await asyncio.sleep(0)
        return "awaited"

    def handler(request: Request) -> Flow[Response]:
        yield Pause(0.001)
        awaited = yield Await(later())
        called = yield Call(str.upper, "called")
        return json_response(200, [awaited, called])

    assert [response.json() for response in sent(handler)] == [["awaited", "CALLED"]] * 2


def test_bodies_in_pieces_are_joined_unless_streamed() -> None:
    def handler(request: Request) -> Response:
        return Response(200, Headers({"x": "y"}), iter([b"a", Pause(0.001), b"b"]))

    for response in sent(handler):
        assert (response.content, response.headers["x"], response.request) == (b"ab", "y", GET)
    made = HandlerTransport(handler)
    assert list(made.send(GET, None, True).body) == [b"a", b"b"]  # type: ignore[comparison-overlap]


def test_uploads_are_joined() -> None:
    def handler(request: Request) -> Response:
        assert isinstance(request.body, bytes)
        return Response(200, body=request.body)

    upload = Request("POST", "/", body=Upload(lambda: iter([b"a", b"b"])))
    assert [response.content for response in sent(handler, upload)] == [b"ab"] * 2


class Clocked:
    """A handler with a world, which takes its time."""

    def __init__(self, *pauses: float, streamed: bool = False, callable_world: bool = False) -> None:
        self.virtual = Virtual()
        self.pauses, self.streamed = pauses, streamed
        self.world: Any = (lambda: self.virtual) if callable_world else self.virtual

    def __call__(self, request: Request) -> Any:
        def body() -> Iterator[Any]:
            for pause in self.pauses:
                yield Pause(pause)
            yield b"{}"

        def flow() -> Flow[Response]:
            for pause in self.pauses:
                yield Pause(pause)
            return OK

        return Response(200, body=body()) if self.streamed else flow()


@pytest.mark.parametrize("callable_world", [False, True])
@pytest.mark.parametrize("streamed", [False, True])
def test_time_passes_in_the_handler_s_world(streamed: bool, callable_world: bool) -> None:
    handler = Clocked(1000, 2000, streamed=streamed, callable_world=callable_world)
    start = time.monotonic()
    sent(handler)
    assert handler.virtual.slept == [1000, 2000] * 2
    assert time.monotonic() - start < 1


@KINDS
@pytest.mark.parametrize("streamed", [False, True])
def test_patience_ends_at_the_read_timeout(kind: Any, streamed: bool) -> None:
    for timeout in (5, Timeout(100, read=5)):
        handler = Clocked(3, 4, streamed=streamed)
        client = kind(api_key="k", transport=handler, timeout=timeout, max_retries=0)
        (error,) = both(lambda c: c.models.retrieve("m"), client)
        assert isinstance(error, APITimeoutError)
        assert handler.virtual.slept == [3, 2]
        assert error.request.path == "/v1/models/m"
    handler = Clocked(3, 4, streamed=streamed)
    both(lambda c: c.models.retrieve("m"), kind(api_key="k", transport=handler, timeout=None))
    assert handler.virtual.slept == [3, 4]


def test_what_is_a_transport() -> None:
    class Mine:
        def send(self, request: Request, timeout: Any, stream: bool) -> Response:
            return OK

        def close(self) -> None: ...

    mine = Mine()
    assert transport(mine) is mine
    assert isinstance(transport(lambda request: OK), HandlerTransport)
    assert isinstance(async_transport(lambda request: OK), HandlerTransport)
    assert isinstance(HandlerTransport(lambda request: OK), Transport)
    assert isinstance(HandlerTransport(lambda request: OK), AsyncTransport)
    assert "HandlerTransport(" in repr(HandlerTransport(lambda request: OK))
    with pytest.raises(TypeError, match="transport="):
        async_transport(mine)


async def test_a_world_of_its_own_can_send() -> None:
    class Upstream(World):
        def send(self, request: Request, timeout: Any, stream: bool) -> Response:
            return json_response(200, {**MODEL, "id": "upstream"})

        async def asend(self, request: Request, timeout: Any, stream: bool) -> Response:
            return self.send(request, timeout, stream)

    class Gateway:
        world = Upstream()

        def __call__(self, request: Request) -> Flow[Response]:
            from antiphon.kernel.flow import Send

            return (yield Send(request))

    gateway = Gateway()
    assert OpenAI(api_key="k", transport=gateway).models.retrieve("m").id == "upstream"
    assert (await AsyncOpenAI(api_key="k", transport=gateway).models.retrieve("m")).id == "upstream"


async def test_the_fake_is_a_handler_as_any_other() -> None:
    fake = FakeOpenAI()
    client = OpenAI(api_key="any", transport=fake)
    answer = client.chat.completions.create(model="gpt-5", messages=[{"role": "user", "content": "hello"}])
    assert answer.choices[0].message.content
    stream = client.chat.completions.create(model="gpt-5", messages=[{"role": "user", "content": "hello"}], stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)
    with pytest.raises(NotFoundError):
        client.files.retrieve("file-none")
    awaited = AsyncOpenAI(api_key="any", transport=fake)
    file = await awaited.files.create(file=("a.jsonl", b"{}"), purpose="batch")
    assert [each.id async for each in awaited.files.list()] == [file.id]
    assert (await awaited.files.content(file.id)).content == b"{}"


def test_bodies_that_are_made_as_they_go_come_whole_and_large_ones_in_a_file() -> None:
    seen: list[Any] = []

    def handler(request: Request) -> Response:
        seen.append(request.body)
        return json_response(200, len(request.content()))

    for count in (3, 3000):
        body = Upload(lambda count=count: iter([b"x" * 1000] * count))  # type: ignore[misc]
        assert [answer.json() for answer in sent(handler, Request("POST", "/", body=body))] == [count * 1000] * 2
    assert [isinstance(body, Spooled) for body in seen] == [False, False, True, True]


def test_no_more_of_a_body_is_read_than_the_handler_takes() -> None:
    read: list[int] = []

    def endless() -> Iterator[bytes]:
        while True:
            read.append(1000)
            yield b"x" * 1000

    fake = FakeOpenAI(max_body=5000)
    headers = Headers({"authorization": "Bearer x", "content-type": "multipart/form-data; boundary=B"})
    for answer in sent(fake, Request("POST", "/v1/files", "", headers, Upload(endless))):
        assert (answer.status, answer.json()["error"]["code"]) == (413, "content_too_large")
    assert sum(read) < 2 * 1024 * 1024  # threads read a little ahead
    read.clear()
    for answer in sent(fake, Request("POST", "/v1/files", "", headers, Upload(endless, length=10**12))):
        assert answer.status == 413
    assert read == []


def test_a_server_reads_a_body_in_pieces_by_itself() -> None:
    form = b'--B\r\ncontent-disposition: form-data; name="%s"%s\r\n\r\n%s\r\n'
    data = bytes(range(256)) * 10_000
    pieces = [form % (b"purpose", b"", b"user_data"), form % (b"file", b'; filename="f"', data), b"--B--"]
    headers = Headers({"authorization": "Bearer x", "content-type": "multipart/form-data; boundary=B"})
    fake = FakeOpenAI()
    flow: Any = fake(Request("POST", "/v1/files", "", headers, Upload(lambda: iter(pieces))))
    made = run(flow, fake.world).json()
    assert fake.client().files.content(made["id"]).content == data


@pytest.mark.parametrize("stream", [False, True])
def test_a_fake_that_is_too_slow_times_out_instead_of_answering_that_it_failed(
    stream: bool, caplog: pytest.LogCaptureFixture
) -> None:
    client = FakeOpenAI(latency=60, clock=VirtualClock()).client(timeout=1, max_retries=0)
    with pytest.raises(APITimeoutError):
        list(client.chat.completions.create(model="gpt-5", messages=[{"role": "user", "content": "hi"}], stream=stream))
    assert not caplog.records
