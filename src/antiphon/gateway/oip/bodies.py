"""The protocol's bodies over HTTP: JSON, and JSON with tensors as bytes behind it (the binary tensor extension)."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Any, Final

import orjson

from .messages import InferRequest, InferResponse, Tensor

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = (
    "LENGTH",
    "answer_body",
    "answer_of",
    "binary_body",
    "json_body",
    "pays",
    "request_of",
    "response_of",
    "scalars",
    "unsayable",
)

LENGTH: Final = "inference-header-content-length"
"""The header with the length of the JSON, where bytes follow it."""
_MANY: Final = 64
"""From so many numbers on, bytes are better: quicker, shorter, and exact."""
_SCALARS: Final = (str, bool, int, float)
_NO_JSON: Final = frozenset({"FP16", "BF16"})


def json_body(
    asked: InferRequest, parameters: Mapping[str, Any], *, base64: bool = False, binary: bool = False
) -> bytes:
    """A request as JSON. `base64` says what is no text in the way MLServer does; `binary` asks for answers as bytes.

    Raises `ValueError` for elements that JSON has no form for.
    """
    body = _head(asked, parameters, binary=binary)
    body["inputs"] = [_base64(each) if base64 and unsayable(each) else _tensor(each) for each in asked.inputs]
    try:
        return orjson.dumps(body, default=_plain)
    except orjson.JSONEncodeError as error:
        raise ValueError(f"it cannot be said as JSON: {error.__cause__ or error}") from None


def binary_body(asked: InferRequest, parameters: Mapping[str, Any]) -> tuple[bytes, int]:
    """A request with its tensors as bytes behind the JSON, and the length of the JSON. Answers are to be bytes too.

    Raises `ValueError` for elements that are not of their datatype.
    """
    blobs = [each.packed() for each in asked.inputs]
    body = _head(asked, parameters, binary=True)
    body["inputs"] = [_announced(each, len(blob)) for each, blob in zip(asked.inputs, blobs, strict=True)]
    head = orjson.dumps(body, default=_plain)
    return b"".join((head, *blobs)), len(head)


def _head(asked: InferRequest, parameters: Mapping[str, Any], *, binary: bool) -> dict[str, Any]:
    body: dict[str, Any] = {"id": asked.id} if asked.id else {}
    if binary and not asked.outputs:
        parameters = {**parameters, "binary_data_output": True}
    if parameters:
        body["parameters"] = parameters
    if asked.outputs:
        wanted = {"parameters": {"binary_data": True}} if binary else {}
        body["outputs"] = [{"name": name, **wanted} for name in asked.outputs]
    return body


def _tensor(tensor: Tensor) -> dict[str, Any]:
    value: dict[str, Any] = {
        "name": tensor.name,
        "shape": tensor.shape,
        "datatype": tensor.datatype,
        "data": tensor.data,
    }
    if tensor.parameters:
        value["parameters"] = tensor.parameters
    return value


def _announced(tensor: Tensor, size: int) -> dict[str, Any]:
    """A tensor whose elements follow the JSON, in so many bytes."""
    parameters = {**(tensor.parameters or {}), "binary_data_size": size}
    return {"name": tensor.name, "shape": tensor.shape, "datatype": tensor.datatype, "parameters": parameters}


def _base64(tensor: Tensor) -> dict[str, Any]:
    data = [b64encode(each.encode() if isinstance(each, str) else each).decode() for each in tensor.data]
    return {**_tensor(tensor), "data": data, "parameters": {**(tensor.parameters or {}), "content_type": "base64"}}


def _plain(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else list(value)


def unsayable(tensor: Tensor) -> bool:
    """Whether JSON has no form for its elements: half floats, and bytes that are no text."""
    if tensor.datatype != "BYTES":
        return tensor.datatype in _NO_JSON
    try:
        for each in tensor.data:
            if isinstance(each, bytes):
                each.decode()
    except UnicodeDecodeError:
        return True
    return False


def pays(tensor: Tensor) -> bool:
    """Whether it is better sent as bytes."""
    if tensor.datatype == "BYTES":
        return tensor.raw is not None or (bool(tensor.data) and isinstance(tensor.data[0], bytes) and unsayable(tensor))
    return tensor.raw is not None or tensor.datatype in _NO_JSON or len(tensor.data) >= _MANY


def scalars(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters for servers that take nothing but scalars: what is none is told as JSON."""
    return {
        name: value if isinstance(value, _SCALARS) else orjson.dumps(value, default=_plain).decode()
        for name, value in parameters.items()
        if value is not None
    }


def response_of(content: bytes, length: int | None = None) -> InferResponse:
    """An answer; `length` is that of its JSON, where bytes follow. Raises `ValueError` for what is none."""
    if length is None:
        return answer_of(orjson.loads(content))
    return answer_of(orjson.loads(content[:length]), content[length:])


def answer_of(said: Any, behind: bytes | None = None) -> InferResponse:
    """An answer that is decoded JSON, with the bytes behind it. Raises `ValueError` for what is none."""
    try:
        given: Sequence[Mapping[str, Any]] = said["outputs"]
        outputs = [_output(each) for each in given] if behind is None else _with_bytes(given, behind)
        parameters = said.get("parameters")
        if parameters:
            parameters.pop("headers", None)  # MLServer's are of no use to anybody else
        return InferResponse(
            said.get("model_name") or "", outputs, said.get("model_version"), said.get("id"), parameters or {}
        )
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"outputs have a name, a datatype, a shape and data, and here is {error!r}") from None


def _output(given: Mapping[str, Any]) -> Tensor:
    data = given["data"]
    if not isinstance(data, list):
        raise TypeError("data that is no list")
    return Tensor(given["name"], given["datatype"], given["shape"], data, parameters=given.get("parameters"))


def _with_bytes(given: Sequence[Mapping[str, Any]], behind: bytes) -> list[Tensor]:
    outputs: list[Tensor] = []
    at = 0
    for each in given:
        parameters = dict(each.get("parameters") or {})
        size = parameters.pop("binary_data_size", None)
        tensor = Tensor(each["name"], each["datatype"], each["shape"], each.get("data"), parameters=parameters)
        if size is not None:
            end = at + size
            if end > len(behind):
                raise ValueError(f"{size} bytes were announced for {tensor.name!r}, and {len(behind) - at} are there")
            tensor.hold(behind[at:end])
            at = end
        outputs.append(tensor)
    return outputs


def request_of(content: bytes, length: int | None, model: str, version: str | None) -> tuple[InferRequest, bool]:
    """What somebody asks for in a body of the protocol, and whether the answer is to be bytes.

    Raises `ValueError` for a body that is no request.
    """
    said = orjson.loads(content if length is None else content[:length])
    try:
        given: Sequence[Mapping[str, Any]] = said["inputs"]
        inputs = [_output(each) for each in given] if length is None else _with_bytes(given, content[length:])
        parameters = dict(said.get("parameters") or {})
        wanted = said.get("outputs") or ()
        binary = bool(parameters.pop("binary_data_output", False)) or any(
            (each.get("parameters") or {}).get("binary_data") for each in wanted
        )
        outputs = [each["name"] for each in wanted]
        return InferRequest(model, inputs, version, said.get("id"), parameters, outputs), binary
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"inputs have a name, a datatype, a shape and data, and here is {error!r}") from None


def answer_body(answer: InferResponse, *, binary: bool = False) -> tuple[bytes, int | None]:
    """The body of an answer; and the length of its JSON, where bytes follow.

    Raises `ValueError` for elements that JSON has no form for.
    """
    body: dict[str, Any] = {"model_name": answer.model}
    if answer.version:
        body["model_version"] = answer.version
    if answer.id:
        body["id"] = answer.id
    if answer.parameters:
        body["parameters"] = answer.parameters
    if binary:
        blobs = [each.packed() for each in answer.outputs]
        body["outputs"] = [_announced(each, len(blob)) for each, blob in zip(answer.outputs, blobs, strict=True)]
        head = orjson.dumps(body, default=_plain)
        return b"".join((head, *blobs)), len(head)
    body["outputs"] = [_tensor(each) for each in answer.outputs]
    try:
        return orjson.dumps(body, default=_plain), None
    except orjson.JSONEncodeError as error:
        raise ValueError(f"it cannot be said as JSON: {error.__cause__ or error}") from None
