"""What the gateway wants of a server of the protocol, whichever way it speaks with it.

Everything is a flow: nothing here sends by itself, and whoever drives it has a thread or an event loop.
Errors of the server are raised as `gateway.errors` maps them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from ...kernel.flow import Flow
    from .messages import InferRequest, InferResponse, ModelMetadata, RepositoryEntry, ServerMetadata

__all__ = ("Answers", "Oip")


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
        """Ask for a stream of answers. Raises what the server answers in place of one."""
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
