"""The protocol with a real Triton, over REST and over gRPC."""

from __future__ import annotations

import asyncio
import uuid
from array import array
from typing import Any

import pytest

from antiphon.gateway.oip.messages import InferRequest, RepositoryEntry, Tensor
from antiphon.kernel.errors import APIStatusError, NotFoundError
from antiphon.kernel.flow import arun
from antiphon.kernel.portal import wait_for
from tests.conformance.oip.questions import WORLD, Drive, awaiting, blocking, chat, of, refusing, text, vllm, whole
from tests.conformance.oip.servers import Server

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

ways = pytest.mark.parametrize("way", ["rest", "grpc"])
drives = pytest.mark.parametrize("drive", [blocking, awaiting])


@ways
@drives
def test_what_it_says_of_itself(triton: Server, way: str, drive: Drive) -> None:
    oip = of(triton, way)
    assert drive(oip.live())
    assert drive(oip.ready())
    assert drive(oip.ready("vllm_like"))
    assert drive(oip.ready("vllm_like", "1"))
    assert not drive(oip.ready("nope"))
    said = drive(oip.server())
    assert (said.name, said.version) == ("triton", "2.51.0")
    assert "binary_tensor_data" in said.extensions
    index = drive(oip.index())
    assert RepositoryEntry("vllm_like", "1", "READY") in index

    vllm_like = drive(oip.metadata("vllm_like"))
    assert vllm_like.decoupled
    assert vllm_like.max_batch_size == 0
    inputs = {each.name: each for each in vllm_like.inputs}
    assert not inputs["text_input"].optional
    assert inputs["stream"] == ("stream", "BOOL", (1,), True)
    embedder = drive(oip.metadata("embed_fp32", "1"))
    assert embedder.decoupled is False
    assert embedder.max_batch_size == 16
    assert embedder.outputs == (("embedding", "FP32", (-1, 384), False),)
    with pytest.raises(NotFoundError, match="`called`: Request for unknown model: 'nope' is not found"):
        drive(oip.metadata("nope"))


@pytest.mark.parametrize(("way", "drive"), [("rest", blocking), ("grpc", awaiting)])
def test_models_are_loaded_and_unloaded(triton: Server, way: str, drive: Drive) -> None:
    oip = of(triton, way)
    asked = InferRequest("spare", [Tensor.of("text", "hello")])
    drive(oip.load("spare"))
    assert text(drive(oip.infer(asked)), "text_output") == "hello"
    drive(oip.unload("spare"))
    with pytest.raises(NotFoundError) as refusal:
        drive(oip.infer(asked))
    assert refusal.value.code == "model_not_found"
    with pytest.raises(APIStatusError, match="failed to load 'nope'"):
        drive(oip.load("nope"))


@ways
@drives
def test_answers_and_streams_of_a_decoupled_model(triton: Server, way: str, drive: Drive) -> None:
    oip = of(triton, way)
    answer = drive(oip.infer(vllm("one two", stream=False, id="abc")))
    assert text(answer, "text_output") == "Echo: one two"
    assert text(answer, "finish_reason") == "stop"
    assert answer.id == "abc"
    assert answer.version == "1"

    parts = drive(whole(oip, vllm("one two", stream=True, parameters={"max_tokens": 3})))
    assert [text(part, "text_output") for part in parts] == ["Echo", ":", " one"]
    assert [text(part, "finish_reason") for part in parts] == ["None", "None", "length"]
    assert [part.output("num_output_tokens").data[0] for part in parts] == [1, 1, 1]  # type: ignore[union-attr]
    assert parts[0].output("num_output_tokens").datatype == "UINT32"  # type: ignore[union-attr]


@ways
@drives
def test_a_stream_that_ends_with_an_empty_answer(triton: Server, way: str, drive: Drive) -> None:
    oip = of(triton, way)
    inputs = [Tensor.of("text_input", "a b", shape=(1, 1)), Tensor("max_tokens", "INT32", (1, 1), [10])]
    once = drive(oip.infer(InferRequest("trtllm_like", inputs, version="1")))
    assert text(once, "text_output") == "Echo: a b"
    streamed = [*inputs, Tensor("stream", "BOOL", (1, 1), [True])]
    parts = drive(whole(oip, InferRequest("trtllm_like", streamed, version="1")))
    assert [text(part, "text_output") for part in parts] == ["Echo:", " a", " b"]


@ways
@drives
def test_a_model_that_does_not_stream(triton: Server, way: str, drive: Drive) -> None:
    oip = of(triton, way)
    options = {"temperature": 0.5, "top_k": 3, "echo": False, "name": "é", "stop": ["a"], "none": None}
    asked = chat("hello", "seldon_chat", parameters=options)
    answer = drive(oip.infer(asked))
    assert text(answer, "content") == "echo: hello"
    params = text(answer, "params")
    for said in ('"temperature":0.5', '"top_k":3', '"echo":false', '"stop":"[\\"a\\"]"'):
        assert said in params
    assert "none" not in params
    assert [text(part, "content") for part in drive(whole(oip, asked))] == ["echo: hello"]
    wanted = drive(oip.infer(chat("hello", "seldon_chat", outputs=("role",))))
    assert [output.name for output in wanted.outputs] == ["role"]


@ways
@drives
def test_what_it_refuses(triton: Server, way: str, drive: Drive) -> None:
    oip = of(triton, way)

    refused = refusing(drive)
    for flow in (oip.infer(chat("x", "nope")), whole(oip, chat("x", "nope"))):
        error = refused(flow)
        assert (error.status_code, error.code, error.param) == (404, "model_not_found", "model")
    error = refused(oip.infer(chat("x", "embed_fp32")))
    assert error.status_code == 400
    assert "expected 1 inputs but got 3" in error.message
    error = refused(oip.infer(chat("boom", "seldon_chat")))
    assert (error.status_code, error.code) == (502, "upstream_error")
    assert error.response.headers["x-should-retry"] == "false"
    assert "model exploded on purpose" in error.message
    for asked in (vllm("boom", stream=True), vllm("boom", stream=False)):
        error = refused(whole(oip, asked))
        assert error.status_code == 400
        assert "engine dead" in error.message
    assert refused(oip.infer(vllm("boom", stream=False))).status_code == 400


@ways
@drives
def test_a_stream_that_fails_midway(triton: Server, way: str, drive: Drive) -> None:
    oip = of(triton, way)
    answers = drive(oip.open(vllm("a midfail b", stream=True))) if drive is blocking else None
    if answers is not None:
        assert text(drive(answers.more())[0], "text_output") == "Echo"
        answers.close()
    with pytest.raises(APIStatusError, match=r"broke off: .*failed mid stream") as failure:
        drive(whole(oip, vllm("a midfail b", stream=True)))
    assert failure.value.status_code == 502
    assert failure.value.response.headers["x-should-retry"] == "false"


@ways
def test_leaving_cancels_at_once(triton: Server, way: str) -> None:
    oip = of(triton, way)
    mark = f"mark-{uuid.uuid4().hex}"
    answers = blocking(oip.open(vllm(f"slow {mark} " + "word " * 200, stream=True, parameters={"max_tokens": 500})))
    assert blocking(answers.more())
    answers.close()
    answers.close()
    assert triton.saw(f"cancelled {mark}")

    async def leave() -> str:
        mark = f"mark-{uuid.uuid4().hex}"
        asked = vllm(f"slow {mark} " + "word " * 200, stream=True, parameters={"max_tokens": 500})
        answers = await arun(oip.open(asked), WORLD)
        assert await arun(answers.more(), WORLD)
        reading = asyncio.create_task(arun(answers.more(), WORLD))
        await asyncio.sleep(0.01)
        reading.cancel()  # in the middle of waiting, as a server does whose caller leaves
        with pytest.raises(asyncio.CancelledError):
            await reading
        answers.close()
        await asyncio.sleep(0.05)
        return mark

    assert triton.saw(f"cancelled {wait_for(leave())}")


def test_a_question_is_given_up(triton: Server) -> None:
    """Over HTTP Triton notices only when it has something to write."""
    oip = of(triton, "grpc")

    async def leave() -> str:
        mark = f"mark-{uuid.uuid4().hex}"
        await arun(oip.metadata("vllm_like"), WORLD)
        asking = asyncio.create_task(arun(oip.infer(vllm(f"slow {mark}", stream=False)), WORLD))
        await asyncio.to_thread(triton.saw, f"began {mark}")
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        return mark

    assert triton.saw(f"cancelled {wait_for(leave())}")


VALUES: dict[str, list[Any]] = {
    "BOOL": [True, False, True, True],
    "UINT8": [0, 1, 200, 255],
    "UINT16": [0, 1, 2, 2**16 - 1],
    "UINT32": [0, 1, 2, 2**32 - 1],
    "UINT64": [0, 1, 2, 2**64 - 1],
    "INT8": [-128, -1, 0, 127],
    "INT16": [-(2**15), -1, 0, 2**15 - 1],
    "INT32": [-(2**31), -1, 0, 2**31 - 1],
    "INT64": [-(2**63), -1, 0, 2**63 - 1],
    "FP16": [0.0, -1.5, 2.0, 65504.0],
    "BF16": [0.0, -1.5, 2.0, 3.0],
    "FP32": [0.0, -1.5, 2.0, 0.25],
    "FP64": [0.0, -1.5, 0.1, 1e300],
}


@ways
@pytest.mark.parametrize("datatype", VALUES)
@pytest.mark.parametrize("nested", [False, True])
def test_every_datatype(triton: Server, way: str, datatype: str, nested: bool) -> None:
    oip = of(triton, way)
    values = VALUES[datatype]
    data: list[Any] = [values[:2], values[2:]] if nested else values
    name = datatype
    asked = InferRequest("echo", [Tensor(f"in_{name}", datatype, (2, 2), data)])
    output = blocking(oip.infer(asked)).output(f"out_{name}")
    assert output is not None
    assert list(output.shape) == [2, 2]
    assert output.datatype == datatype
    assert list(output.data) == values


@ways
def test_bytes_of_every_kind(triton: Server, way: str) -> None:
    oip = of(triton, way)
    values = [b"\0\xff\x00", "é".encode(), b"", b"x" * 100_000]
    asked = InferRequest("echo", [Tensor("in_STRING", "BYTES", (2, 2), values)])
    output = blocking(oip.infer(asked)).output("out_STRING")
    assert output is not None
    assert [each.encode() if isinstance(each, str) else each for each in output.data] == values


@ways
def test_many_numbers(triton: Server, way: str) -> None:
    """The first answer over REST is text; the next ones are bytes, and say the same."""
    oip = of(triton, way)
    asked = InferRequest("embed_fp32", [Tensor.of("text", "one", "two", shape=(2, 1))])
    found = [blocking(oip.infer(asked)).output("embedding") for _ in range(3)]
    assert all(each is not None and list(each.shape) == [2, 384] for each in found)
    first, second, third = (each.data for each in found if each is not None)
    assert isinstance(second, array)
    assert list(second) == list(third) == pytest.approx(list(first), abs=1e-7)
    large = array("f", range(300_000))
    sent = InferRequest("echo", [Tensor("in_FP32", "FP32", (3, 100_000), large)])
    output = blocking(oip.infer(sent)).output("out_FP32")
    assert output is not None
    assert output.data == large
