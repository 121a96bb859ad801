"""The protocol with a real MLServer, over REST and over gRPC."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from array import array
from typing import Any

import pytest

from antiphon.gateway.oip.messages import InferRequest, RepositoryEntry, Tensor
from antiphon.kernel.errors import APIStatusError, NotFoundError
from antiphon.kernel.flow import arun
from antiphon.kernel.portal import wait_for
from tests.conformance.oip.questions import WORLD, Drive, awaiting, blocking, chat, of, refusing, text, whole
from tests.conformance.oip.servers import Server

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

ways = pytest.mark.parametrize("way", ["rest", "grpc"])
drives = pytest.mark.parametrize("drive", [blocking, awaiting])


@ways
@drives
def test_what_it_says_of_itself(mlserver: Server, way: str, drive: Drive) -> None:
    oip = of(mlserver, way)
    assert drive(oip.live())
    assert drive(oip.ready())
    assert drive(oip.ready("chat-api"))
    assert not drive(oip.ready("nope"))
    assert drive(oip.server()) == ("mlserver", "1.7.1", ())
    assert RepositoryEntry("chat-api", "v1", "READY") in drive(oip.index())
    said = drive(oip.metadata("chat-api"))
    assert said.inputs[0] == ("role", "BYTES", (-1,), False)
    assert said.decoupled is None
    with pytest.raises(NotFoundError, match="nope"):
        drive(oip.metadata("nope"))


@ways
@drives
def test_answers(mlserver: Server, way: str, drive: Drive) -> None:
    oip = of(mlserver, way)
    answer = drive(oip.infer(chat("one two", "chat-local", id="abc")))
    assert answer.id == "abc"
    assert text(answer, "content") == "echo: one two"
    assert list(answer.output("content").shape) == [1, 1]  # type: ignore[union-attr]
    assert drive(oip.infer(chat("one", "chat-local"))).id
    for parameters in ({"kwargs": {"max_tokens": 2}}, {"kwargs": {"max_tokens": 2}, "temperature": 0.5, "no": None}):
        cut = drive(oip.infer(chat("one two", "chat-local", parameters=parameters)))
        assert text(cut, "content") == "echo: one"
    versioned = drive(oip.infer(chat("one", "chat-local", version="v1")))
    assert text(versioned, "content") == "echo: one"


@ways
@drives
def test_streams(mlserver: Server, way: str, drive: Drive) -> None:
    parts = drive(whole(of(mlserver, way), chat("one two three", "chat-api")))
    assert [text(part, "content") for part in parts] == ["echo: ", "one ", "two ", "three"]
    assert json.loads(text(parts[1], "output_all"))["object"] == "chat.completion.chunk"
    assert all("headers" not in part.parameters for part in parts)


@ways
@drives
def test_vectors(mlserver: Server, way: str, drive: Drive) -> None:
    words = [f"word {at}" for at in range(20)]
    output = drive(of(mlserver, way).infer(InferRequest("embed", [Tensor.of("input", *words)]))).output("embedding")
    assert output is not None
    assert (output.datatype, list(output.shape)) == ("FP64", [20, 8])
    assert len(output.data) == 160
    assert sum(each * each for each in output.data[:8]) == pytest.approx(1)


@ways
@drives
def test_what_it_refuses(mlserver: Server, way: str, drive: Drive) -> None:
    oip = of(mlserver, way)

    refused = refusing(drive)
    for flow in (oip.infer(chat("x", "nope")), whole(oip, chat("x", "nope"))):
        error = refused(flow)
        assert (error.status_code, error.code, error.param) == (404, "model_not_found", "model")
        assert "nope" in error.message
    error = refused(oip.infer(chat("boom", "chat-api")))
    assert (error.status_code, error.code) == (400, "upstream_invalid_request")
    assert error.message == "The model `called` refused the request: model exploded on purpose"
    error = refused(whole(oip, chat("boom", "chat-api")))
    # Over REST it breaks off, and keeps the reason to itself.
    assert error.status_code == (400 if way == "grpc" else 502)
    assert ("on purpose" if way == "grpc" else "did not say why") in error.message
    error = refused(oip.infer(chat("crash", "chat-api")))
    assert (error.status_code, error.code) == (502, "upstream_error")
    assert error.response.headers["x-should-retry"] == "false"
    assert "unexpected crash" in error.message
    assert "Traceback" not in error.message
    time.sleep(0.05)  # it closes the connection of a crash after its answer


@ways
@drives
def test_a_stream_that_fails_midway(mlserver: Server, way: str, drive: Drive) -> None:
    oip = of(mlserver, way)

    def heard() -> Any:
        answers = yield from oip.open(chat("one midfail two", "chat-local"))
        said: list[str] = []
        try:
            while more := (yield from answers.more()):
                said += [text(part, "content") for part in more]
        except APIStatusError as error:
            return said, error
        raise AssertionError("it ended well")

    said, error = drive(heard())
    assert said == ["echo: ", "one "]
    assert (error.status_code, error.code) == (502, "upstream_error")
    assert error.response.headers["x-should-retry"] == "false"
    assert error.message.startswith("The answer of the model `called` broke off: ")


@ways
def test_leaving_cancels_at_once(mlserver: Server, way: str) -> None:
    oip = of(mlserver, way)
    mark = f"mark-{uuid.uuid4().hex}"
    answers = blocking(oip.open(chat(f"slow {mark} " + "word " * 100, "chat-local")))
    assert blocking(answers.more())
    answers.close()
    assert mlserver.saw(f"cancelled {mark}")

    async def leave() -> str:
        mark = f"mark-{uuid.uuid4().hex}"
        answers = await arun(oip.open(chat(f"slow {mark} " + "word " * 100, "chat-local")), WORLD)
        assert await arun(answers.more(), WORLD)
        reading = asyncio.create_task(arun(answers.more(), WORLD))
        await asyncio.sleep(0.01)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        answers.close()
        await asyncio.sleep(0.05)
        return mark

    assert mlserver.saw(f"cancelled {wait_for(leave())}")


def test_bytes_that_are_no_text_and_numbers(mlserver: Server) -> None:
    """It knows no binary tensors over REST, and has a way of its own for bytes."""
    oip = of(mlserver, "rest")
    values = [b"\xff\0", b"text"]
    answer = blocking(oip.infer(InferRequest("echo", [Tensor("it", "BYTES", (2,), values)])))
    assert text(answer, "it") == "/wA="
    numbers = array("d", [0.1] * 100)
    output = blocking(oip.infer(InferRequest("echo", [Tensor("it", "FP64", (10, 10), numbers)]))).output("it")
    assert output is not None
    assert list(output.data) == list(numbers)
    for way in ("rest", "grpc"):
        nested = InferRequest("echo", [Tensor("it", "INT32", (2, 2), [[1, -2], [3, 4]])])
        output = blocking(of(mlserver, way).infer(nested)).output("it")
        assert output is not None
        assert list(output.data) == [1, -2, 3, 4]
    raw = blocking(of(mlserver, "grpc").infer(InferRequest("echo", [Tensor("it", "BYTES", (2,), values)]))).output("it")
    assert raw is not None
    assert raw.data == values
    kept = Tensor("it", "FP32", (2,), raw=array("f", [1.5, 2.5]).tobytes())
    output = blocking(of(mlserver, "grpc").infer(InferRequest("echo", [kept]))).output("it")
    assert output is not None
    assert list(output.data) == [1.5, 2.5]
