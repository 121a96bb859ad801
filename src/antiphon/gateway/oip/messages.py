"""What is said in the Open Inference Protocol (v2), whichever way it travels.

Protocol reference: https://github.com/kserve/open-inference-protocol
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

from .datatypes import decoded, encoded, flat

__all__ = (
    "InferRequest",
    "InferResponse",
    "ModelMetadata",
    "Parameter",
    "RepositoryEntry",
    "ServerMetadata",
    "Tensor",
    "TensorSpec",
)

Parameter: TypeAlias = Any
"""A string, number or boolean. MLServer takes any JSON over REST."""


class Tensor:
    """A named array. Its elements are in `data`, flat and row by row, or still in `raw`, as they came over the wire.

    Elements of a `BYTES` tensor are `str` where they came as JSON, and `bytes` otherwise.
    """

    __slots__ = ("_data", "datatype", "name", "parameters", "raw", "shape")

    def __init__(
        self,
        name: str,
        datatype: str,
        shape: Sequence[int],
        data: Sequence[Any] | None = None,
        *,
        raw: bytes | None = None,
        parameters: Mapping[str, Parameter] | None = None,
    ) -> None:
        self.name = name
        self.datatype = datatype
        self.shape = shape
        self.raw = raw
        self.parameters = parameters
        self._data = flat(data) if data and isinstance(data[0], (list, tuple)) else data

    @classmethod
    def of(cls, name: str, *texts: str, shape: Sequence[int] | None = None) -> Tensor:
        """A `BYTES` tensor of texts; its shape is how many there are, unless told."""
        return cls(name, "BYTES", (len(texts),) if shape is None else shape, texts)

    @property
    def data(self) -> Sequence[Any]:
        """The elements, flat."""
        data = self._data
        if data is None:
            data = self._data = decoded(self.datatype, self.raw or b"")
        return data

    @property
    def is_raw(self) -> bool:
        """Whether it is held as bytes, as they are on the wire."""
        return self.raw is not None

    def hold(self, raw: bytes) -> None:
        """Its elements are in these bytes. Raises `ValueError` for bytes that do not hold such elements."""
        self.raw = raw
        self._data = decoded(self.datatype, raw)

    def packed(self) -> bytes:
        """The elements as bytes. Raises `ValueError` for elements that are not of the datatype."""
        if self.raw is not None:
            return self.raw
        try:
            return encoded(self.datatype, self.data)
        except ValueError as error:
            raise ValueError(f"the tensor {self.name!r}: {error}") from None

    @property
    def texts(self) -> list[str]:
        """The elements of a `BYTES` tensor as text; of another one as they are written in Python."""
        return [each if isinstance(each, str) else _text(each) for each in self.data]

    def text(self, place: int = 0) -> str | None:
        """The element at a place, as `texts` has it; `None` where there are not so many."""
        data = self.data
        if place >= len(data):
            return None
        each = data[place]
        return each if isinstance(each, str) else _text(each)

    def __repr__(self) -> str:
        return f"Tensor({self.name!r}, {self.datatype!r}, {list(self.shape)}, {list(self.data)!r})"


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


@dataclass(slots=True)
class InferRequest:
    """A model is asked."""

    model: str
    inputs: list[Tensor]
    version: str | None = None
    id: str | None = None
    parameters: Mapping[str, Parameter] = field(default_factory=dict[str, Parameter])
    outputs: Sequence[str] = ()
    """The outputs that are wanted; none named: all."""
    headers: Sequence[tuple[str, str]] = ()
    """Sent along with it, names in lower case: as headers, or as metadata of gRPC."""
    notes: dict[str, Any] | None = None
    """Where the log wants to know about it: `upstream` is the address that is asked."""


@dataclass(slots=True)
class InferResponse:
    """A model answers; or, of a stream, a part of its answer."""

    model: str
    outputs: list[Tensor]
    version: str | None = None
    id: str | None = None
    parameters: Mapping[str, Parameter] = field(default_factory=dict[str, Parameter])

    def output(self, name: str) -> Tensor | None:
        """The output of this name."""
        for tensor in self.outputs:
            if tensor.name == name:
                return tensor
        return None

    def text(self, name: str, place: int = 0) -> str | None:
        """An element of the output of this name, as text; `None` where there is no such output, or no such place."""
        tensor = self.output(name)
        return None if tensor is None else tensor.text(place)

    def number(self, name: str, place: int = 0) -> int | None:
        """A whole number in the output of this name; the first, where it has none at this place."""
        tensor = self.output(name)
        data = None if tensor is None else tensor.data
        return int(data[place if place < len(data) else 0]) if data else None


class TensorSpec(NamedTuple):
    """What a model says of an input or an output. -1 in the shape is any length."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    optional: bool = False


class ModelMetadata(NamedTuple):
    """What a model says of itself."""

    name: str
    inputs: tuple[TensorSpec, ...] = ()
    outputs: tuple[TensorSpec, ...] = ()
    platform: str = ""
    versions: tuple[str, ...] = ()
    decoupled: bool | None = None
    """Whether it answers any number of times, as Triton's configuration says; `None` where nobody says."""
    max_batch_size: int = 0
    """How many rows the first dimension may have, where it is one of batches; 0 where it is none, or nobody says."""


class ServerMetadata(NamedTuple):
    """What a server says of itself."""

    name: str
    version: str = ""
    extensions: tuple[str, ...] = ()


class RepositoryEntry(NamedTuple):
    """A model of a server's repository."""

    name: str
    version: str = ""
    state: str = ""
    reason: str = ""
