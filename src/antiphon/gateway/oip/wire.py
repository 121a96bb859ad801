"""The messages of the protocol as gRPC carries them (protocol buffers), written and read by hand.

There are few, they do not change, and most of a message is bytes that are handed on as they are: this takes no longer
than the runtime of protocol buffers does, which users would have to have in a version that suits everything else they
have (docs/decisions/0027).
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache, wraps
from struct import pack, unpack_from
from typing import Any, Final, ParamSpec, TypeVar

import orjson

from .datatypes import BIG_ENDIAN, datatype
from .messages import InferRequest, InferResponse, ModelMetadata, RepositoryEntry, ServerMetadata, Tensor, TensorSpec

__all__ = (
    "answer_of",
    "configuration_of",
    "fields",
    "flag_of",
    "index_of",
    "infer_request",
    "metadata_of",
    "named",
    "repository_request",
    "server_of",
)

P = ParamSpec("P")
T = TypeVar("T")
_SMALL: Final = [bytes((n,)) for n in range(128)]
_SHORT: Final = 256
"""Bytes of what is remembered; more would be something else each time."""
_INT64: Final = range(-(2**63), 2**63)


# Writing


def infer_request(asked: InferRequest, *, doubles: bool = True) -> bytes:
    """A `ModelInferRequest`. Without `doubles`, numbers with a fraction are sent as text among its parameters.

    Raises `ValueError` for elements that are not of their datatype.
    """
    raw = any(each.is_raw or datatype(each.datatype).contents is None for each in asked.inputs)
    parts = [_text(b"\x0a", asked.model)]
    if asked.version:
        parts.append(_text(b"\x12", asked.version))
    if asked.id:
        parts.append(_text(b"\x1a", asked.id))
    if asked.parameters:
        _parameters(parts, asked.parameters, doubles=doubles)
    parts += [_sized(b"\x2a", _tensor(each, doubles=doubles, contents=not raw)) for each in asked.inputs]
    parts += [_sized(b"\x32", _text(b"\x0a", name)) for name in asked.outputs]
    if raw:
        parts += [_sized(b"\x3a", each.packed()) for each in asked.inputs]
    return b"".join(parts)


def named(name: str, version: str | None = None) -> bytes:
    """A `ModelReadyRequest`, `ModelMetadataRequest` or `ModelConfigRequest`."""
    return _text(b"\x0a", name) + (_text(b"\x12", version) if version else b"")


def repository_request(model: str) -> bytes:
    """A `RepositoryModelLoadRequest` or `RepositoryModelUnloadRequest`: of KServe's, and of everybody else's."""
    return _text(b"\x0a", "") + _text(b"\x12", model)


def _varint(n: int) -> bytes:
    if n < 128:
        return _SMALL[n]
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    out.append(n)
    return bytes(out)


def _text(tag: bytes, text: str) -> bytes:
    data = text.encode()
    size = len(data)
    return tag + (_SMALL[size] if size < 128 else _varint(size)) + data


def _sized(tag: bytes, data: bytes) -> bytes:
    size = len(data)
    return tag + (_SMALL[size] if size < 128 else _varint(size)) + data


def _tensor(tensor: Tensor, *, doubles: bool, contents: bool) -> bytes:
    said = _head(tensor.name, tensor.datatype, tuple(tensor.shape))
    if tensor.parameters:
        parts = [said]
        _parameters(parts, tensor.parameters, doubles=doubles)
        said = b"".join(parts)
    return said + _sized(b"\x2a", _contents(tensor)) if contents else said


@lru_cache(1024)
def _head(name: str, datatype: str, shape: tuple[int, ...]) -> bytes:
    # The same for every request to a model, or nearly.
    lengths = b"".join([_varint(n & 0xFFFFFFFFFFFFFFFF) for n in shape])
    return _text(b"\x0a", name) + _text(b"\x12", datatype) + _sized(b"\x1a", lengths)


def _contents(tensor: Tensor) -> bytes:
    data = tensor.data
    if tensor.datatype == "BYTES":
        texts = [each if isinstance(each, bytes) else each.encode() for each in data]
        return _sized(b"\x42", texts[0]) if len(texts) == 1 else b"".join([_sized(b"\x42", each) for each in texts])
    if not data:
        return b""
    if tensor.datatype == "BOOL":
        return _sized(b"\x0a", bytes(map(bool, data)))
    tag, write = _CONTENTS[tensor.datatype]
    return _sized(tag, write(tensor))


def _varints(tensor: Tensor) -> bytes:
    try:
        return b"".join([_varint(int(each) & 0xFFFFFFFFFFFFFFFF) for each in tensor.data])
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"the tensor {tensor.name!r} has elements that are not of {tensor.datatype}: {error}"
        ) from None


_CONTENTS: Final[dict[str, tuple[bytes, Callable[[Tensor], bytes]]]] = {
    "INT8": (b"\x12", _varints),
    "INT16": (b"\x12", _varints),
    "INT32": (b"\x12", _varints),
    "INT64": (b"\x1a", _varints),
    "UINT8": (b"\x22", _varints),
    "UINT16": (b"\x22", _varints),
    "UINT32": (b"\x22", _varints),
    "UINT64": (b"\x2a", _varints),
    "FP32": (b"\x32", Tensor.packed),
    "FP64": (b"\x3a", Tensor.packed),
}


def _parameters(parts: list[bytes], given: Mapping[str, Any], *, doubles: bool) -> None:
    for name, value in given.items():
        if value is None:
            continue
        if isinstance(value, bool):
            said = b"\x08\x01" if value else b"\x08\x00"
        elif isinstance(value, str):
            said = _text(b"\x1a", value)
        elif isinstance(value, int):
            said = b"\x10" + _varint(value & 0xFFFFFFFFFFFFFFFF) if value in _INT64 else _text(b"\x1a", str(value))
        elif isinstance(value, float) and doubles:
            said = b"\x21" + pack("<d", value)
        else:  # nothing else can be said; who takes objects over REST is told them as JSON
            said = _text(b"\x1a", orjson.dumps(value, default=list).decode())
        parts.append(_sized(b"\x22", _text(b"\x0a", name) + _sized(b"\x12", said)))


# Reading


def fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """The fields of a message, by their number: integers of varints, and bytes of everything else.

    Raises `ValueError` for bytes that are no message.
    """
    at, end = 0, len(data)
    try:
        while at < end:
            tag = data[at]
            at += 1
            if tag > 127:
                tag, at = _long(data, at - 1)
            kind = tag & 7
            if kind == 2:
                size = data[at]
                at += 1
                if size > 127:
                    size, at = _long(data, at - 1)
                stop = at + size
                if stop > end:
                    raise ValueError("a field is longer than its message")
                yield tag >> 3, data[at:stop]
                at = stop
            elif kind == 0:
                value = data[at]
                at += 1
                if value > 127:
                    value, at = _long(data, at - 1)
                yield tag >> 3, value
            elif kind in (1, 5):
                stop = at + (8 if kind == 1 else 4)
                if stop > end:
                    raise ValueError("a field is longer than its message")
                yield tag >> 3, data[at:stop]
                at = stop
            else:
                raise ValueError(f"there is no field of kind {kind}")
    except IndexError:
        raise ValueError("the message ends within a field") from None


def _long(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while (byte := data[at]) > 127:
        value |= (byte & 127) << shift
        shift += 7
        at += 1
        if shift > 63:
            raise ValueError("a number has more than ten bytes")
    return value | byte << shift, at + 1


def _signed(value: int) -> int:
    return value - 2**64 if value >= 2**63 else value


def _integers(value: Any) -> list[int]:
    """One number that stands by itself, or several that are packed."""
    if isinstance(value, int):
        return [value]
    found: list[int] = []
    at, end = 0, len(value)
    while at < end:
        byte = value[at]
        if byte < 128:
            found.append(byte)
            at += 1
        else:
            number, at = _long(value, at)
            found.append(number)
    return found


def _reader(read: Callable[P, T]) -> Callable[P, T]:
    """A reader for which fields of another kind than they should be are bytes that are no message, too."""

    @wraps(read)
    def reading(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return read(*args, **kwargs)
        except (AttributeError, IndexError, KeyError, TypeError) as error:
            raise ValueError("a field is not of the kind it should be") from error

    return reading


@_reader
def infer_response(data: bytes) -> InferResponse:
    """A `ModelInferResponse`. Raises `ValueError` for bytes that are none."""
    model, version, identifier = "", None, None
    parameters: dict[str, Any] = {}
    outputs: list[bytes] = []
    raw: list[bytes] = []
    for number, value in fields(data):
        if number == 5:
            outputs.append(value)
        elif number == 6:
            raw.append(value)
        elif number == 1:
            model = value.decode()
        elif number == 2:
            version = value.decode()
        elif number == 3:
            identifier = value.decode()
        elif number == 4:
            name, said = _parameter(value)
            parameters[name] = said
    if not raw:
        tensors = [_output(each) for each in outputs]
    else:
        if len(raw) != len(outputs):
            raise ValueError(f"there are {len(outputs)} outputs, and raw bytes of {len(raw)}")
        tensors = []
        for head, each in zip(outputs, raw, strict=True):
            name, datatype, shape, given = _known(head) if len(head) < _SHORT else _read_head(head)
            tensor = Tensor(name, datatype, shape, parameters=given)
            tensor.hold(each)
            tensors.append(tensor)
    return InferResponse(model, tensors, version or None, identifier or None, parameters)


@_reader
def answer_of(data: bytes, model: str) -> InferResponse | str:
    """A message of `ModelStreamInfer`: an answer, or what went wrong.

    Its type is Triton's (an error in 1, an answer in 2), or the answer itself (the model in 1, its version in 2, and
    more in higher fields): which of the two it is, the message tells. Of one that has nothing but text in 1, the text
    is the name of the model that was asked, or it is an error.
    """
    first: bytes | None = None
    second: bytes | None = None
    for number, value in fields(data):
        if number == 1:
            first = value
        elif number == 2:
            second = value
        else:
            return infer_response(data)
    if first:
        said = first.decode("utf-8", "replace")
        return infer_response(data) if said == model else said
    return infer_response(second or b"")


def _read_head(data: bytes) -> tuple[str, str, tuple[int, ...], Mapping[str, Any] | None]:
    tensor = _output(data)
    return tensor.name, tensor.datatype, tuple(tensor.shape), tensor.parameters


_known = lru_cache(1024)(_read_head)
"""What comes before raw elements is the same in every message of a stream."""


def _output(data: bytes) -> Tensor:
    name = datatype = ""
    shape: list[int] = []
    parameters: dict[str, Any] | None = None
    contents = b""
    for number, value in fields(data):
        if number == 1:
            name = value.decode()
        elif number == 2:
            datatype = value.decode()
        elif number == 3:
            shape += _integers(value)
        elif number == 5:
            contents = value
        elif number == 4:
            key, said = _parameter(value)
            parameters = {**(parameters or {}), key: said}
    elements = _elements(datatype, contents) if contents else []
    return Tensor(name, datatype, shape, elements, parameters=parameters)


def _elements(datatype: str, contents: bytes) -> Sequence[Any]:
    if datatype == "BYTES":
        return [value for number, value in fields(contents) if number == 8]
    found: list[Any] = []
    for number, value in fields(contents):
        if number in (6, 7):
            code = "f" if number == 6 else "d"
            numbers = array(code)
            numbers.frombytes(value)
            if BIG_ENDIAN:
                numbers.byteswap()
            if not found and len(value) == len(contents):
                return numbers
            found += numbers
        elif number == 1:
            found += [each != 0 for each in _integers(value)]
        elif number in (2, 3):
            found += [_signed(each) for each in _integers(value)]
        elif number in (4, 5):
            found += _integers(value)
    return found


def _parameter(data: bytes) -> tuple[str, Any]:
    name, said = "", None
    for number, value in fields(data):
        if number == 1:
            name = value.decode()
        elif number == 2:
            for choice, given in fields(value):
                said = _CHOICES[choice](given) if choice in _CHOICES else None
    return name, said


_CHOICES: Final[dict[int, Callable[[Any], Any]]] = {
    1: bool,
    2: _signed,
    3: lambda value: value.decode("utf-8", "replace"),
    4: lambda value: unpack_from("<d", value)[0],
    5: int,
}


@_reader
def flag_of(data: bytes) -> bool:
    """The flag of a `ServerLiveResponse`, `ServerReadyResponse` or `ModelReadyResponse`."""
    return any(number == 1 and value for number, value in fields(data))


@_reader
def server_of(data: bytes) -> ServerMetadata:
    """A `ServerMetadataResponse`."""
    found: dict[int, list[str]] = {1: [""], 2: [""], 3: []}
    for number, value in fields(data):
        if number in found:
            found[number].append(value.decode())
    return ServerMetadata(found[1][-1], found[2][-1], tuple(found[3]))


@_reader
def metadata_of(data: bytes) -> ModelMetadata:
    """A `ModelMetadataResponse`."""
    name = platform = ""
    versions: list[str] = []
    tensors: dict[int, list[TensorSpec]] = {4: [], 5: []}
    for number, value in fields(data):
        if number == 1:
            name = value.decode()
        elif number == 2:
            versions.append(value.decode())
        elif number == 3:
            platform = value.decode()
        elif number in tensors:
            tensors[number].append(_spec(value))
    return ModelMetadata(name, tuple(tensors[4]), tuple(tensors[5]), platform, tuple(versions))


def _spec(data: bytes) -> TensorSpec:
    name = datatype = ""
    shape: list[int] = []
    for number, value in fields(data):
        if number == 1:
            name = value.decode()
        elif number == 2:
            datatype = value.decode()
        elif number == 3:
            shape += [_signed(each) for each in _integers(value)]
    return TensorSpec(name, datatype, tuple(shape))


@_reader
def index_of(data: bytes) -> list[RepositoryEntry]:
    """A `RepositoryIndexResponse`."""
    found: list[RepositoryEntry] = []
    for number, value in fields(data):
        if number == 1:
            said = {key: text.decode() for key, text in fields(value)}
            # MLServer says `State.READY`.
            state = said.get(3, "").rpartition(".")[2]
            found.append(RepositoryEntry(said.get(1, ""), said.get(2, ""), state, said.get(4, "")))
    return found


@_reader
def configuration_of(data: bytes) -> tuple[frozenset[str], bool, int]:
    """What Triton's `ModelConfigResponse` says: the optional inputs, whether it is decoupled, its largest batch."""
    optional: set[str] = set()
    decoupled = False
    batch = 0
    for number, value in fields(next((value for number, value in fields(data) if number == 1), b"")):
        if number == 4:
            batch = _signed(value)
        elif number == 5:
            said = dict(fields(value))
            if said.get(8):
                optional.add(said[1].decode())
        elif number == 19:
            decoupled = any(key == 1 and flag for key, flag in fields(value))
    return frozenset(optional), decoupled, batch
