"""The protocol with a real KServe, over REST and over gRPC. It does not stream."""

from __future__ import annotations

import time
from typing import Any

import pytest

from antiphon.gateway.oip.messages import InferRequest, RepositoryEntry, Tensor
from antiphon.kernel.errors import APIStatusError, NotFoundError
from tests.conformance.oip.questions import Drive, awaiting, blocking, chat, of, text, whole
from tests.conformance.oip.servers import Server

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

ways = pytest.mark.parametrize("way", ["rest", "grpc"])
drives = pytest.mark.parametrize("drive", [blocking, awaiting])


@ways
@drives
def test_what_it_says_of_itself(kserve: Server, way: str, drive: Drive) -> None:
    oip = of(kserve, way)
    assert drive(oip.live())
    assert drive(oip.ready())
    assert drive(oip.ready("chat"))
    assert not drive(oip.ready("nope"))
    assert drive(oip.server())[:2] == ("kserve", "0.21.0")
    assert drive(oip.index()) == ([RepositoryEntry("chat"), RepositoryEntry("embed")] if way == "rest" else [])
    said = drive(oip.metadata("embed"))
    assert (said.inputs, said.outputs) == (
        (("input-0", "BYTES", (-1,), False),),
        (("output-0", "FP32", (-1, 8), False),),
    )
    with pytest.raises(NotFoundError, match="Model with name nope does not exist"):
        drive(oip.metadata("nope"))


@ways
@drives
def test_answers(kserve: Server, way: str, drive: Drive) -> None:
    oip = of(kserve, way)
    answer = drive(oip.infer(chat("one two", "chat", parameters={"a": {"b": 1}, "c": 1.5, "d": True})))
    assert text(answer, "content") == "echo: one two"
    assert answer.id
    for said in ('{"b":1}' if way == "rest" else '{\\"b\\":1}', "1.5", "'d'"):
        assert said in text(answer, "params")
    assert [text(part, "content") for part in drive(whole(oip, chat("one", "chat")))] == ["echo: one"]
    assert [text(part, "content") for part in drive(whole(oip, chat("two", "chat")))] == ["echo: two"]
    asked = InferRequest("embed", [Tensor.of("input-0", *(f"word {at}" for at in range(20)))])
    output = drive(oip.infer(asked)).output("output-0")
    assert output is not None
    assert list(output.shape) == [20, 8]
    assert sum(each * each for each in output.data[:8]) == pytest.approx(1, abs=1e-5)


@ways
@drives
def test_what_it_refuses(kserve: Server, way: str, drive: Drive) -> None:
    oip = of(kserve, way)

    def refused(flow: Any) -> APIStatusError:
        with pytest.raises(APIStatusError) as refusal:
            drive(flow)
        return refusal.value

    for flow in (oip.infer(chat("x", "nope")), whole(oip, chat("x", "nope"))):
        error = refused(flow)
        assert (error.status_code, error.code) == (404, "model_not_found")
    for flow in (oip.infer(chat("boom", "chat")), whole(oip, chat("boom", "chat"))):
        error = refused(flow)
        assert (error.status_code, error.code) == (400, "upstream_invalid_request")
        assert "bad prompt" in error.message
    error = refused(oip.infer(chat("crash", "chat")))
    assert (error.status_code, error.response.headers["x-should-retry"]) == (502, "false")
    time.sleep(0.05)  # it closes the connection of a crash after its answer
    if way == "rest":
        error = refused(oip.infer(chat("x", "chat", version="1")))
        assert (error.status_code, error.code) == (501, "upstream_unsupported")
