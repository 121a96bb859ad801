"""How models are asked and how they answer: which tensors there are, and what is in them. A file each.

A convention turns a question of the API into a request of the Open Inference Protocol, and the answers into pieces of a
turn, vectors or pictures. It does no I/O and knows no server.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

if TYPE_CHECKING:
    from ...server.engine import ChatRequest, EmbeddingRequest, ImageRequest
    from ...server.turns import Piece
    from ..config import ModelConfig
    from ..oip.messages import InferRequest, InferResponse, ModelMetadata

__all__ = ("ChatReader", "Convention", "convention", "conventions", "recognised")


class ChatReader(Protocol):
    """Reads the answers to one question; knows what came before."""

    def feed(self, response: InferResponse) -> Iterable[Piece]:
        """What an answer, or the next part of one, adds."""
        ...

    def end(self) -> Iterable[Piece]:
        """What is known at the end only: why it ended, and what it used."""
        ...


class Convention:
    """One way to lay out tensors. A subclass has `key`, what it can do in `kinds`, and the methods for these.

    It is made once for a model, with the model's configuration and what the model says of itself.
    """

    key: ClassVar[str]
    """Its name in configurations, such as `triton-vllm`."""
    kinds: ClassVar[frozenset[str]]
    """What models of it can do: `chat`, `embeddings`, `images`."""
    takes_prompt: ClassVar[bool] = False
    """Whether a conversation has to be written as one text first, by a chat template."""
    generates: ClassVar[bool] = False
    """Whether Triton's `generate_stream` can serve it, where the model is decoupled and REST is spoken."""

    def __init__(self, model: ModelConfig, metadata: ModelMetadata | None = None) -> None:
        self.model = model
        self.metadata = metadata

    @classmethod
    def fits(cls, metadata: ModelMetadata) -> bool:
        """Whether a model with these inputs and outputs follows this convention."""
        return False

    def ask(self, request: ChatRequest, prompt: str | None, *, stream: bool) -> InferRequest:
        """The request for a conversation; `prompt` is its text where the convention `takes_prompt`."""
        raise NotImplementedError

    def reader(self, request: ChatRequest, *, stream: bool) -> ChatReader:
        """What reads the answers to it."""
        raise NotImplementedError

    def ask_vectors(self, request: EmbeddingRequest, inputs: Sequence[str]) -> InferRequest:
        """The request for the vectors of some texts, at most `batch` of them."""
        raise NotImplementedError

    def vectors(self, response: InferResponse, count: int) -> list[Sequence[float]]:
        """The vectors in an answer. Raises `ValueError` for an answer that has not `count` of them."""
        raise NotImplementedError

    @property
    def batch(self) -> int:
        """How many texts may be in one request; 0 for any number."""
        return 0

    def ask_images(self, request: ImageRequest) -> InferRequest:
        """The request for pictures."""
        raise NotImplementedError

    def images(self, response: InferResponse, request: ImageRequest) -> list[bytes] | dict[str, Any]:
        """The files in an answer; or the whole body that the API is to answer with."""
        raise NotImplementedError


@cache
def conventions() -> dict[str, type[Convention]]:
    """Every convention by its key."""
    found: dict[str, type[Convention]] = {}
    for module in iter_modules(__path__):
        if not module.name.startswith("_"):
            for value in vars(import_module(f".{module.name}", __name__)).values():
                if isinstance(value, type) and issubclass(value, Convention) and "key" in vars(value):
                    found[value.key] = value
    return found


def convention(key: str) -> type[Convention]:
    """The convention of a key. Raises `ValueError`, which lists those there are."""
    known = conventions()
    if key not in known:
        raise ValueError(f"there is no convention {key!r}; there are {', '.join(sorted(known))}")
    return known[key]


def recognised(metadata: ModelMetadata) -> type[Convention] | None:
    """The convention that a model's inputs and outputs speak of; `None` where they speak of none."""
    return next((each for each in conventions().values() if each.fits(metadata)), None)
