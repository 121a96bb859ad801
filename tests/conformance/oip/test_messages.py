"""The messages of gRPC as we write and read them, and as Triton's own client does."""

from __future__ import annotations

import json
import math
import subprocess
from array import array
from base64 import b64decode, b64encode
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from antiphon.gateway.oip import wire
from antiphon.gateway.oip.datatypes import encoded
from antiphon.gateway.oip.messages import InferRequest, Tensor
from tests.conformance.environments import HERE, environment, skip_if_told

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

INTEGERS = {
    "UINT8": (0, 8), "UINT16": (0, 16), "UINT32": (0, 32), "UINT64": (0, 64),
    "INT8": (1, 8), "INT16": (1, 16), "INT32": (1, 32), "INT64": (1, 64),
}  # fmt: skip
CONTENTS = {
    "BOOL": "bool_contents", "INT8": "int_contents", "INT16": "int_contents", "INT32": "int_contents",
    "INT64": "int64_contents", "UINT8": "uint_contents", "UINT16": "uint_contents", "UINT32": "uint_contents",
    "UINT64": "uint64_contents", "FP32": "fp32_contents", "FP64": "fp64_contents", "BYTES": "bytes_contents",
}  # fmt: skip


class Peer:
    """Triton's own messages."""

    def __init__(self) -> None:
        python = environment("triton") / "bin" / "python"
        self.process = subprocess.Popen(
            [str(python), str(HERE / "peer.py")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def _ask(self, *what: Any) -> Any:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(what) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def read(self, message: str, data: bytes) -> Any:
        return self._ask("read", message, data.hex())

    def write(self, message: str, what: Any) -> bytes:
        return bytes.fromhex(self._ask("write", message, what))


@pytest.fixture(scope="module")
def peer() -> Iterator[Peer]:
    skip_if_told("triton")
    peer = Peer()
    yield peer
    assert peer.process.stdin is not None
    assert peer.process.stdout is not None
    peer.process.stdin.close()
    peer.process.wait(10)
    peer.process.stdout.close()


names = st.text(min_size=1, max_size=12)


@st.composite
def elements(draw: st.DrawFn) -> tuple[str, list[Any]]:
    datatype = draw(st.sampled_from([*CONTENTS, "FP16", "BF16"]))
    if datatype in INTEGERS:
        signed, bits = INTEGERS[datatype]
        each: Any = st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else st.integers(0, 2**bits - 1)
    elif datatype == "BOOL":
        each = st.booleans()
    elif datatype == "BYTES":
        each = st.binary(max_size=200)
    elif datatype == "BF16":
        each = st.sampled_from([0.0, 1.5, -2.0, math.inf])
    else:
        each = st.floats(width=int(datatype[2:]), allow_nan=False)  # type: ignore[arg-type]
    return datatype, draw(st.lists(each, max_size=40))


parameters = st.dictionaries(
    names,
    st.one_of(st.booleans(), st.integers(-(2**63), 2**63 - 1), st.text(max_size=200), st.floats(allow_nan=False)),
    max_size=4,
)
kinds = {"bool": "bool_param", "int": "int64_param", "str": "string_param", "float": "double_param"}


def said_of(given_parameters: Any) -> dict[str, Any]:
    """Parameters as the JSON of protocol buffers has them."""
    found: dict[str, Any] = {}
    for name, value in given_parameters.items():
        if isinstance(value, float) and math.isinf(value):
            said: Any = "Infinity" if value > 0 else "-Infinity"
        else:
            said = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
        found[name] = {kinds[type(value).__name__]: said}
    return found


def said_as_json(datatype: str, values: Any) -> list[Any]:
    """Elements as the JSON of protocol buffers has them."""
    if datatype == "BYTES":
        return [b64encode(each).decode() for each in values]
    if datatype in ("INT64", "UINT64"):
        return [str(each) for each in values]
    if datatype.startswith("FP"):
        return [("Infinity" if each > 0 else "-Infinity") if math.isinf(each) else each for each in values]
    return list(values)


@settings(max_examples=300)
@given(st.lists(st.tuples(names, elements()), max_size=3), names, st.text(max_size=9), parameters, st.booleans())
def test_requests_say_what_they_are(
    peer: Peer, tensors: list[Any], model: str, identifier: str, given_parameters: Any, held: bool
) -> None:
    inputs = [Tensor(name, datatype, (len(values),), values) for name, (datatype, values) in tensors]
    if held and inputs:
        inputs[0].hold(encoded(inputs[0].datatype, inputs[0].data))
    request = InferRequest(model, inputs, id=identifier, parameters=given_parameters, outputs=("a", "b"))
    said = peer.read("ModelInferRequest", wire.infer_request(request))
    assert said["model_name"] == model
    assert said.get("id", "") == identifier
    assert json.dumps(said.get("parameters", {}), sort_keys=True) == json.dumps(
        said_of(given_parameters), sort_keys=True
    )
    assert [each["name"] for each in said["outputs"]] == ["a", "b"]
    raw = said.get("raw_input_contents", [])
    assert len(raw) == (len(inputs) if raw else 0)
    for at, (name, (datatype, values)) in enumerate(tensors):
        tensor = said["inputs"][at]
        assert (tensor["name"], tensor["datatype"]) == (name, datatype)
        assert [int(each) for each in tensor["shape"]] == [len(values)]
        if raw:
            assert "contents" not in tensor
            assert b64decode(raw[at]) == encoded(datatype, values)
        else:
            found = tensor["contents"].get(CONTENTS[datatype], [])
            if datatype in ("FP32", "FP64"):
                assert [float(each) for each in found] == pytest.approx(values)
            else:
                assert found == said_as_json(datatype, values)


@settings(max_examples=300)
@given(st.lists(st.tuples(names, elements()), max_size=3), names, parameters, st.booleans(), st.booleans())
def test_answers_are_read_as_they_were_written(
    peer: Peer, tensors: list[Any], model: str, given_parameters: Any, raw: bool, streamed: bool
) -> None:
    raw = raw or any(datatype in ("FP16", "BF16") for _, (datatype, _) in tensors)
    outputs: list[Any] = []
    for name, (datatype, values) in tensors:
        output = {"name": name, "datatype": datatype, "shape": [len(values), 1]}
        if not raw:
            output["contents"] = {CONTENTS[datatype]: said_as_json(datatype, values)}
        outputs.append(output)
    said: dict[str, Any] = {
        "model_name": model,
        "model_version": "1",
        "id": "i",
        "parameters": said_of(given_parameters),
    }
    said["outputs"] = outputs
    if raw:
        said["raw_output_contents"] = [b64encode(encoded(d, v)).decode() for _, (d, v) in tensors]
    if streamed:
        answer: Any = wire.answer_of(peer.write("ModelStreamInferResponse", {"infer_response": said}), model)
    else:
        data = peer.write("ModelInferResponse", said)
        answer = wire.answer_of(data, model)
        assert repr(answer) == repr(wire.infer_response(data))
    assert (answer.model, answer.version, answer.id, answer.parameters) == (model, "1", "i", given_parameters)
    assert len(answer.outputs) == len(tensors)
    for output, (name, (datatype, values)) in zip(answer.outputs, tensors, strict=True):
        assert (output.name, output.datatype, list(output.shape)) == (name, datatype, [len(values), 1])
        assert list(output.data) == list(array("f", values) if datatype == "FP32" else values)


def test_which_of_the_two_streams_it_is(peer: Peer) -> None:
    failure = peer.write("ModelStreamInferResponse", {"error_message": "went wrong"})
    assert wire.answer_of(failure, "m") == "went wrong"
    both = {"error_message": "went wrong", "infer_response": {"model_name": "m", "id": "1"}}
    assert wire.answer_of(peer.write("ModelStreamInferResponse", both), "m") == "went wrong"
    empty = peer.write("ModelInferResponse", {"model_name": "m", "model_version": "1"})
    answer: Any = wire.answer_of(empty, "m")
    assert (answer.model, answer.version, answer.outputs) == ("m", "1", [])
    last = {"infer_response": {"parameters": {"triton_final_response": {"bool_param": True}}}}
    answer = wire.answer_of(peer.write("ModelStreamInferResponse", last), "m")
    assert answer.parameters == {"triton_final_response": True}


def test_everything_else(peer: Peer) -> None:
    assert peer.read("ModelMetadataRequest", wire.named("é", "2")) == {"name": "é", "version": "2"}
    assert peer.read("ModelReadyRequest", wire.named("m")) == {"name": "m"}
    assert peer.read("RepositoryModelLoadRequest", wire.repository_request("m")) == {"model_name": "m"}
    assert wire.flag_of(peer.write("ServerLiveResponse", {"live": True}))
    assert not wire.flag_of(peer.write("ModelReadyResponse", {"ready": False}))
    said = {"name": "triton", "version": "2", "extensions": ["a", "b"]}
    assert wire.server_of(peer.write("ServerMetadataResponse", said)) == ("triton", "2", ("a", "b"))
    tensor = {"name": "x", "datatype": "FP32", "shape": ["-1", "3", "70000"]}
    metadata = {"name": "m", "versions": ["1", "2"], "platform": "p", "inputs": [tensor], "outputs": [tensor, tensor]}
    found = wire.metadata_of(peer.write("ModelMetadataResponse", metadata))
    assert found[:5] == (
        "m",
        (("x", "FP32", (-1, 3, 70000), False),),
        (("x", "FP32", (-1, 3, 70000), False),) * 2,
        "p",
        ("1", "2"),
    )
    index = {
        "models": [
            {"name": "a", "version": "1", "state": "READY", "reason": "r"},
            {"name": "b", "state": "State.READY"},
        ]
    }
    assert wire.index_of(peer.write("RepositoryIndexResponse", index)) == [
        ("a", "1", "READY", "r"),
        ("b", "", "READY", ""),
    ]
    inputs = [{"name": "a", "optional": True, "dims": ["-1"]}, {"name": "b", "dims": ["1"]}]
    config = {
        "config": {"name": "m", "max_batch_size": 8, "input": inputs, "model_transaction_policy": {"decoupled": True}}
    }
    assert wire.configuration_of(peer.write("ModelConfigResponse", config)) == (frozenset({"a"}), True, 8)
    assert wire.configuration_of(peer.write("ModelConfigResponse", {"config": {"name": "m"}})) == (
        frozenset(),
        False,
        0,
    )
