"""Questions for the models of the real servers, and ways to ask them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import pytest

from antiphon.gateway import ModelConfig
from antiphon.gateway.oip.connect import connect
from antiphon.gateway.oip.messages import InferRequest, InferResponse, Tensor
from antiphon.gateway.oip.protocol import Oip
from antiphon.gateway.world import NetworkWorld
from antiphon.kernel.errors import APIStatusError
from antiphon.kernel.flow import Flow, arun, run
from antiphon.kernel.portal import wait_for
from tests.conformance.oip.servers import Server

T = TypeVar("T")
Drive = Callable[[Flow[Any]], Any]

WORLD = NetworkWorld()


def blocking(flow: Flow[T]) -> T:
    return run(flow, WORLD)


def awaiting(flow: Flow[T]) -> T:
    return wait_for(arun(flow, WORLD))


def refusing(drive: Drive) -> Callable[[Flow[Any]], APIStatusError]:
    """What tells the error that a question ends in, which says nothing of where the server is."""

    def refused(flow: Flow[Any]) -> APIStatusError:
        with pytest.raises(APIStatusError) as refusal:
            drive(flow)
        assert "127.0.0.1" not in refusal.value.message
        return refusal.value

    return refused


def of(server: Server, way: str, **config: Any) -> Oip:
    """The server, spoken with over `rest` or `grpc`. Its models are called `called` in errors."""
    url = getattr(server, way)
    return connect(url, ModelConfig("called", (url,), **config))


def flag(name: str, value: bool) -> Tensor:
    return Tensor(name, "BOOL", (1,), [value])


def vllm(text: str, *, stream: bool, model: str = "vllm_like", **more: Any) -> InferRequest:
    inputs = [Tensor.of("text_input", text), flag("stream", stream), flag("exclude_input_in_output", True)]
    wanted = ("return_finish_reason", "return_num_input_tokens", "return_num_output_tokens")
    return InferRequest(model, inputs + [flag(name, True) for name in wanted], **more)


def chat(text: str, model: str, **more: Any) -> InferRequest:
    inputs = [Tensor.of("role", "user"), Tensor.of("content", text), Tensor.of("type", "text")]
    return InferRequest(model, inputs, **more)


def whole(oip: Oip, request: InferRequest) -> Flow[list[InferResponse]]:
    """Every answer of a stream."""
    answers = yield from oip.open(request)
    found: list[InferResponse] = []
    while more := (yield from answers.more()):
        found += more
    assert (yield from answers.more()) == []
    return found


def text(response: InferResponse, name: str) -> str:
    output = response.output(name)
    assert output is not None
    return output.texts[0]
