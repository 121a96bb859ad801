"""What the gateway wants of a server of the protocol, whichever way it speaks with it.

Everything is a flow: nothing here sends by itself, and whoever drives it has a thread or an event loop.
Errors of the server are raised as `gateway.errors` maps them.
"""

from __future__ import annotations

from itertools import count
from secrets import token_hex
from typing import TYPE_CHECKING, Final, Protocol

from ..errors import broken

if TYPE_CHECKING:
    from ...kernel.flow import Flow
    from .messages import InferRequest, InferResponse, ModelMetadata, RepositoryEntry, ServerMetadata

__all__ = ("NOTHING", "Answers", "Oip", "One", "identified", "kind_of", "once")

NOTHING: Final = "there was nothing in it"
"""What is wrong with a stream that ends well, and has no answer in it."""


class Answers(Protocol):
    """A stream of answers that has been opened."""

    def more(self) -> Flow[list[InferResponse]]:
        """The answers that have come since, waiting for at least one; an empty list is the good end.

        Raises an error for a stream that broke off.
        """
        ...

    def close(self) -> None:
        """Leave: the server is told at once, and stops. After the end it does nothing. Never raises, never waits."""
        ...


class Oip(Protocol):
    """One server."""

    def infer(self, request: InferRequest) -> Flow[InferResponse]:
        """Ask once."""
        ...

    def open(self, request: InferRequest) -> Flow[Answers]:
        """Ask for a stream of answers, and wait for the first. Raises what the server answers in place of one.

        A server that cannot stream gives its one answer.
        """
        ...

    def live(self) -> Flow[bool]: ...

    def ready(self, model: str | None = None, version: str | None = None) -> Flow[bool]:
        """Whether the server is ready, or one of its models."""
        ...

    def server(self) -> Flow[ServerMetadata]: ...

    def metadata(self, model: str, version: str | None = None) -> Flow[ModelMetadata]: ...

    def index(self) -> Flow[list[RepositoryEntry]]:
        """The models of the server; an empty list where it does not tell."""
        ...

    def load(self, model: str) -> Flow[None]: ...

    def unload(self, model: str) -> Flow[None]: ...

    def close(self) -> None:
        """Let go of every connection."""
        ...


class One:
    """The answers of a server that answers once."""

    __slots__ = ("_left",)

    def __init__(self, answer: InferResponse) -> None:
        self._left = [answer]

    def more(self) -> Flow[list[InferResponse]]:
        yield from ()
        found, self._left = self._left, []
        return found

    def close(self) -> None:
        """There is nobody to leave."""


def once(answers: Answers, model: str) -> Flow[InferResponse]:
    """The answer of a stream that has to have one, and no more."""
    found: list[InferResponse] = []
    try:
        while len(found) < 2 and (more := (yield from answers.more())):
            found += more
    finally:
        answers.close()
    if len(found) > 1:
        raise broken(model, "it answered several times, and was asked for one answer: ask it for a stream")
    return found[0]


_NAMES: Final = {"triton": "triton", "openvino model server": "ovms", "mlserver": "mlserver", "kserve": "kserve"}


def kind_of(said: ServerMetadata) -> str:
    """Which server it is: `triton`, `ovms`, `mlserver`, `kserve`; empty for one that says neither its name nor more."""
    known = _NAMES.get(said.name.lower())
    if known is not None:
        return known
    if "binary_tensor_data" in said.extensions:
        return "triton"
    return "kserve" if "model_repository_extension" in said.extensions else ""


_SERIES: Final = token_hex(4)
_NUMBERS: Final = count(1)


def identified(request: InferRequest) -> InferRequest:
    """The request, with an id: KServe cannot answer one that has none."""
    if not request.id:
        request.id = f"{_SERIES}-{next(_NUMBERS):x}"
    return request
