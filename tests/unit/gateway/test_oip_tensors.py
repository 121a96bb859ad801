"""Elements of tensors as bytes, as JSON, and as Triton's flat JSON."""

from __future__ import annotations

import json
import math
from array import array
from contextlib import suppress
from struct import pack
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.gateway.errors import message_of, reason
from antiphon.gateway.oip.bodies import answer_of, binary_body, json_body, response_of
from antiphon.gateway.oip.datatypes import DATATYPES, decoded, encoded
from antiphon.gateway.oip.generate import generate_body, generated
from antiphon.gateway.oip.messages import InferRequest, ServerMetadata, Tensor, TensorSpec
from antiphon.gateway.oip.protocol import kind_of
from antiphon.gateway.oip.wire import answer_of as answer_of_stream
from antiphon.gateway.oip.wire import (
    configuration_of,
    fields,
    flag_of,
    index_of,
    infer_response,
    metadata_of,
    server_of,
)

ELEMENTS: dict[str, st.SearchStrategy[Any]] = {
    "BOOL": st.booleans(),
    **{f"UINT{bits}": st.integers(0, 2**bits - 1) for bits in (8, 16, 32, 64)},
    **{f"INT{bits}": st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) for bits in (8, 16, 32, 64)},
    "FP16": st.floats(width=16),
    "BF16": st.sampled_from([0.0, -0.0, 1.5, -2.0, 2.0**100, math.inf, math.nan]),
    "FP32": st.floats(width=32),
    "FP64": st.floats(),
    "BYTES": st.binary(max_size=300),
}


NO_DATA = {"outputs": [{"name": "x", "datatype": "BYTES", "shape": [1], "data": "text"}]}


def same(found: Any, wanted: Any) -> bool:
    return repr(list(found)) == repr(list(wanted))


def test_there_are_fourteen() -> None:
    assert ELEMENTS.keys() == DATATYPES.keys()


@pytest.mark.parametrize("name", ELEMENTS)
@given(data=st.data())
def test_there_and_back(name: str, data: st.DataObject) -> None:
    values = data.draw(st.lists(ELEMENTS[name], max_size=30))
    raw = encoded(name, values)
    if DATATYPES[name].size:
        assert len(raw) == DATATYPES[name].size * len(values)
    found = decoded(name, raw)
    assert same(found, array("f", values) if name == "FP32" else values)
    assert encoded(name, found) == raw
    held = Tensor("x", name, (len(values),))
    held.hold(raw)
    assert held.packed() == raw


def test_bytes_as_they_are_written_down() -> None:
    assert encoded("BYTES", ["a", "bé"]).hex() == "010000006103000000" + "62c3a9"
    assert encoded("FP32", array("f", [1.0])) == pack("<f", 1.0)
    assert encoded("FP64", array("f", [1.0])) == pack("<d", 1.0)
    assert encoded("BF16", [1.0]) == b"\x80\x3f"
    assert encoded("INT32", [True, 2]) == pack("<2i", 1, 2)


@pytest.mark.parametrize(
    ("name", "raw", "why"),
    [
        ("FP32", b"\0\0\0", "3 bytes are no whole number of FP32 elements of 4 bytes"),
        ("BYTES", b"\5\0\0\0abc", "an element of 5 bytes was announced, and 3 are there"),
        ("BYTES", b"\0\0", "2 bytes are left where the length of an element was expected"),
        ("STRING", b"", "'STRING' is no datatype of the protocol; there are BOOL, "),
    ],
)
def test_bytes_that_hold_no_elements(name: str, raw: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        decoded(name, raw)


@pytest.mark.parametrize(
    ("name", "values"),
    [("INT8", [200]), ("UINT8", [-1]), ("FP32", ["x"]), ("INT32", [1.5]), ("BYTES", [5]), ("BF16", [None]), ("X", [1])],
)
def test_elements_of_another_datatype(name: str, values: list[Any]) -> None:
    with pytest.raises(ValueError, match=r"not elements of|no datatype of"):
        encoded(name, values)


nested = st.recursive(st.integers(), lambda each: st.lists(each, min_size=1, max_size=3), max_leaves=20)


@given(st.lists(nested, max_size=4))
def test_nested_lists_are_flat(data: list[Any]) -> None:
    def leaves(value: Any) -> list[Any]:
        return [leaf for each in value for leaf in leaves(each)] if isinstance(value, list) else [value]

    # As the protocol has it, all elements lie at one depth; the first tells which.
    depths = {isinstance(each, list) for each in data}
    if len(depths) <= 1:
        assert list(Tensor("x", "INT64", (1,), data).data) == leaves(data)


@given(st.lists(st.text(), max_size=5), st.dictionaries(st.text(), st.one_of(st.integers(-(2**63), 2**63), st.text())))
def test_json_says_it(texts: list[str], parameters: dict[str, Any]) -> None:
    request = InferRequest("m", [Tensor.of("x", *texts)], id="1")
    said = json.loads(json_body(request, parameters))
    assert said["inputs"] == [{"name": "x", "shape": [len(texts)], "datatype": "BYTES", "data": texts}]
    assert said.get("parameters", {}) == parameters
    content, length = binary_body(request, {})
    answer = response_of(content.replace(b'"inputs"', b'"outputs"'), length + 1)
    assert answer.outputs[0].texts == texts


def test_texts_that_are_no_text() -> None:
    assert Tensor("x", "BYTES", (1,), [b"\xff!"]).texts == ["\ufffd!"]
    assert Tensor("x", "FP64", (2,), [1.5, 2.0]).texts == ["1.5", "2.0"]


def test_flat_json() -> None:
    inputs = [
        Tensor.of("text_input", "hello"),
        Tensor("stream", "BOOL", (1, 1), [[True]]),
        Tensor("stop", "BYTES", (2,), [b"a", "b"]),
        Tensor("numbers", "FP32", (3,), array("f", [1, 2, 3])),
    ]
    said = json.loads(generate_body(InferRequest("m", inputs, id="7", parameters={"a": 1, "b": [1], "c": None})))
    assert said == {
        "text_input": "hello",
        "stream": True,
        "stop": ["a", "b"],
        "numbers": [1, 2, 3],
        "parameters": {"a": 1, "b": "[1]"},
        "id": "7",
    }
    with pytest.raises(ValueError, match="cannot be said as JSON: 'utf-8' codec"):
        generate_body(InferRequest("m", [Tensor("x", "BYTES", (1,), [b"\xff"])]))


def test_flat_json_back() -> None:
    said = {"model_name": "m", "model_version": "1", "id": "7", "text": "hi", "n": 3, "p": [0.5, 1.5], "done": False}
    answer = generated(said, None)
    assert (answer.model, answer.version, answer.id) == ("m", "1", "7")
    assert [(each.name, each.datatype, list(each.data)) for each in answer.outputs] == [
        ("text", "BYTES", ["hi"]),
        ("n", "INT64", [3]),
        ("p", "FP64", [0.5, 1.5]),
        ("done", "BOOL", [False]),
    ]
    answer = generated(said, {"n": TensorSpec("n", "UINT32", (1,)), "p": TensorSpec("p", "FP32", (-1,))})
    assert [(each.name, each.datatype) for each in answer.outputs] == [("n", "UINT32"), ("p", "FP32")]
    assert answer.parameters == {"text": "hi", "done": False}


@pytest.mark.parametrize(
    "said", [[], {}, {"outputs": None}, {"outputs": [1]}, {"outputs": [{"name": "x"}]}, "x", 3, NO_DATA]
)
def test_json_that_is_no_answer(said: Any) -> None:
    with pytest.raises(ValueError, match="outputs have a name, a datatype, a shape and data"):
        answer_of(said)


broken = st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=20)), max_size=5).map(
    lambda parts: b"".join(bytes((tag, len(data))) + data for tag, data in parts)
)


@given(st.one_of(st.binary(max_size=60), broken))
def test_bytes_that_are_no_message_are_told(data: bytes) -> None:
    """Whatever comes, it is a message or a `ValueError`."""
    readers: list[Any] = [infer_response, flag_of, server_of, metadata_of, index_of, configuration_of]
    for read in (lambda data: list(fields(data)), lambda data: answer_of_stream(data, "m"), *readers):
        with suppress(ValueError):
            read(data)


@pytest.mark.parametrize(
    ("name", "extensions", "kind"),
    [
        ("triton", (), "triton"),
        ("OpenVINO Model Server", (), "ovms"),
        ("mlserver", (), "mlserver"),
        ("kserve", ("model_repository_extension",), "kserve"),
        ("ours", ("binary_tensor_data",), "triton"),
        ("ours", ("model_repository_extension",), "kserve"),
        ("ours", (), ""),
    ],
)
def test_which_server_it_is(name: str, extensions: tuple[str, ...], kind: str) -> None:
    assert kind_of(ServerMetadata(name, "1", extensions)) == kind


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"error": "no"}', "no"),
        (b'{"error": {"message": "no", "type": "x"}}', "no"),
        (
            b'{"detail": [{"loc": ["body", "inputs", 0], "msg": "is missing"}, "more"]}',
            "body.inputs.0: is missing; more",
        ),
        (b'data: {"error": "no"}\n\n', "no"),
        (b"Internal Server Error", "Internal Server Error"),
        (
            b'Traceback (most recent call last):\n  File "/secret/model.py", line 1\nValueError: hot\n',
            "ValueError: hot",
        ),
        (b"", ""),
        (b"\xff", "\ufffd"),
        (b'{"what": 1}', '{"what": 1}'),
    ],
)
def test_what_servers_say(content: bytes, message: str) -> None:
    assert message_of(content) == message


def test_reasons_have_no_addresses() -> None:
    error = ConnectionError("to http://10.0.0.7:80")
    error.__cause__ = ConnectionRefusedError(111, "Connect call failed ('10.0.0.7', 80)")
    assert reason(error) == "connection refused"
    assert (
        reason("failed to connect to all addresses; last error: ipv4:10.0.0.7:80: Connection refused")
        == "connection refused"
    )
    assert reason(OSError("10.0.0.7")) == "the connection failed"
