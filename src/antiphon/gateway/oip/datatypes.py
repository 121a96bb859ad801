"""The datatypes of tensors, and their elements as bytes: packed, little-endian, row by row.

An element of `BYTES` is its length in four bytes and the bytes themselves.
"""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Callable, Sequence
from struct import pack, unpack_from
from typing import Any, Final, NamedTuple

__all__ = ("BIG_ENDIAN", "DATATYPES", "Datatype", "datatype", "decoded", "encoded", "flat")


class Datatype(NamedTuple):
    """How elements look on the wire."""

    size: int
    """Bytes an element; 0: each has its own length."""
    code: str
    """The type code of `array` or `struct`."""
    contents: str | None
    """The field of gRPC's `InferTensorContents` for it; `None`: raw bytes only."""


DATATYPES: Final[dict[str, Datatype]] = {
    "BOOL": Datatype(1, "?", "bool_contents"),
    "UINT8": Datatype(1, "B", "uint_contents"),
    "UINT16": Datatype(2, "H", "uint_contents"),
    "UINT32": Datatype(4, "I", "uint_contents"),
    "UINT64": Datatype(8, "Q", "uint64_contents"),
    "INT8": Datatype(1, "b", "int_contents"),
    "INT16": Datatype(2, "h", "int_contents"),
    "INT32": Datatype(4, "i", "int_contents"),
    "INT64": Datatype(8, "q", "int64_contents"),
    "FP16": Datatype(2, "e", None),
    "BF16": Datatype(2, "", None),
    "FP32": Datatype(4, "f", "fp32_contents"),
    "FP64": Datatype(8, "d", "fp64_contents"),
    "BYTES": Datatype(0, "", "bytes_contents"),
}
BIG_ENDIAN: Final = sys.byteorder == "big"


def datatype(name: str) -> Datatype:
    """The datatype of a name. Raises `ValueError`, which lists those there are, for a name of none."""
    known = DATATYPES.get(name)
    if known is None:
        raise ValueError(f"{name!r} is no datatype of the protocol; there are {', '.join(DATATYPES)}")
    return known


def decoded(name: str, raw: bytes) -> Sequence[Any]:
    """The elements in raw bytes. Raises `ValueError` for bytes that do not hold such elements."""
    if name == "BYTES":
        return _strings(raw)
    known = datatype(name)
    if len(raw) % known.size:
        raise ValueError(f"{len(raw)} bytes are no whole number of {name} elements of {known.size} bytes")
    if name == "BF16":
        # The upper half of an FP32.
        return decoded("FP32", b"".join([b"\0\0" + raw[at : at + 2] for at in range(0, len(raw), 2)]))
    if known.code in "?e":
        return unpack_from(f"<{len(raw) // known.size}{known.code}", raw)
    elements = array(known.code)
    elements.frombytes(raw)
    if BIG_ENDIAN:
        elements.byteswap()
    return elements


def _strings(raw: bytes) -> list[bytes]:
    elements: list[bytes] = []
    at, end = 0, len(raw)
    while at < end:
        if at + 4 > end:
            raise ValueError(f"{end - at} bytes are left where the length of an element was expected")
        length = int.from_bytes(raw[at : at + 4], "little")
        at += 4 + length
        if at > end:
            raise ValueError(f"an element of {length} bytes was announced, and {length - (at - end)} are there")
        elements.append(raw[at - length : at])
    return elements


def encoded(name: str, data: Sequence[Any]) -> bytes:
    """Elements as raw bytes. Raises `ValueError` for elements that are not of the datatype."""
    known = datatype(name)
    encode = _ENCODERS.get(name)
    try:
        if encode is not None:
            return encode(data)
        if not BIG_ENDIAN and isinstance(data, array) and data.typecode == known.code:
            return data.tobytes()
        return pack(f"<{len(data)}{known.code}", *data)
    except (AttributeError, OverflowError, struct.error, TypeError) as error:
        raise ValueError(f"not elements of {name}: {error}") from None


def _of_strings(data: Sequence[Any]) -> bytes:
    parts: list[bytes] = []
    for each in data:
        element = each if isinstance(each, bytes) else each.encode()
        parts.append(len(element).to_bytes(4, "little"))
        parts.append(element)
    return b"".join(parts)


def _of_bf16(data: Sequence[Any]) -> bytes:
    wide = pack(f"<{len(data)}f", *data)
    return b"".join([wide[at + 2 : at + 4] for at in range(0, len(wide), 4)])


_ENCODERS: Final[dict[str, Callable[[Sequence[Any]], bytes]]] = {"BYTES": _of_strings, "BF16": _of_bf16}


def flat(data: Sequence[Any]) -> list[Any]:
    """Nested lists as one list, row by row."""
    out: list[Any] = []
    for each in data:
        if isinstance(each, (list, tuple)):
            out.extend(flat(each))
        else:
            out.append(each)
    return out
