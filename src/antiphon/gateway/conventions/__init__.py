"""How models are asked and how they answer: which tensors there are, and what is in them. A file each.

A convention turns a question of the API into a request of the Open Inference Protocol, and the answers into pieces of a
turn, vectors or pictures. It does no I/O and knows no server.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from ..oip.datatypes import DATATYPES
from ..oip.messages import InferRequest, ServerMetadata, Tensor

if TYPE_CHECKING:
    from ...server.engine import ChatRequest, EmbeddingRequest, ImageRequest
    from ...server.turns import Piece
    from ..config import ModelConfig
    from ..oip.messages import InferResponse, ModelMetadata, TensorSpec

__all__ = ("ChatReader", "Convention", "Question", "convention", "conventions", "recognised")


@dataclass(slots=True)
class Question:
    """What a model is asked, and how."""

    request: ChatRequest
    options: dict[str, Any]
    """Parameters of chat completions, whichever endpoint was called: `temperature`, `max_tokens`, `top_k` …; none is
    null, and those that say what is asked (`messages`, `tools` …) are not among them."""
    prompt: str | None = None
    """The conversation as one text, where the convention `takes_prompt`."""
    images: Sequence[str] = ()
    """Pictures of the conversation in base64, where it is one text."""
    stream: bool = False
    """Whether the answer is to come in parts."""
    n: int = 1
    """How many answers are to be given to this one request."""
    whole: bool = False
    """Whether one body may be given for all choices: a chat completion was asked for, not streamed."""
    schema: Mapping[str, Any] | None = None
    """JSON Schema of what is to be answered, where the backend can be held to one. An empty one is any JSON."""
    special: bool = False
    """Whether tokens that are no text are to be told, since a call of a tool may be among them."""

    @property
    def limit(self) -> int | None:
        """Most tokens to answer with."""
        options = self.options
        found: int | None = options.get("max_completion_tokens", options.get("max_tokens"))
        return found

    @property
    def stop(self) -> list[str]:
        """Strings that end the answer."""
        given = self.options.get("stop")
        if not given:
            return []
        return [given] if isinstance(given, str) else [each for each in given if each]

    @property
    def seed(self) -> int | None:
        """The seed; another one for each choice that is asked for by itself, since they would all be the same."""
        seed: int | None = self.options.get("seed")
        return seed if seed is None or self.n > 1 else seed + self.request.choice


class ChatReader(Protocol):
    """Reads the answers to one question for one choice; knows what came before."""

    silent: bool
    """Whether there was nothing for the choice in what came so far."""

    def feed(self, response: InferResponse) -> Iterable[Piece]:
        """What an answer, or the next part of one, adds. Raises `ValueError` for one that makes no sense."""
        ...

    def end(self) -> Iterable[Piece]:
        """What is known at the end only: what it used, and why it ended."""
        ...


class Convention:
    """One way to lay out tensors. A subclass has `key`, what it can do in `kinds`, and the methods for these.

    It is made once for a model, with the model's configuration and what the model and its server say of themselves.
    """

    key: ClassVar[str]
    """Its name in configurations, such as `triton-vllm`."""
    rank: ClassVar[int] = 0
    """Conventions are recognised in the order of their ranks; what is the more special comes first. 0: never."""
    kinds: frozenset[str]
    """What models of it can do: `chat`, `embeddings`, `images`."""
    takes_prompt: bool = False
    """Whether a conversation has to be written as one text first, by a chat template."""
    generates: ClassVar[bool] = False
    """Whether Triton's `generate_stream` can serve it, where the model is decoupled and REST is spoken."""
    streams: bool = True
    """Whether its servers can answer in parts."""
    several: bool = False
    """Whether one request can have several choices for an answer."""
    limits: bool = True
    """Whether its servers keep to `max_tokens`."""
    reads_images: bool = False
    """Whether it can show pictures beside a prompt."""
    guides: bool = False
    """Whether its servers can be held to a JSON Schema."""
    shortens: bool = False
    """Whether its servers give vectors of the length that is asked for."""

    def __init__(
        self, model: ModelConfig, metadata: ModelMetadata | None = None, server: ServerMetadata | None = None
    ) -> None:
        self.model = model
        self.metadata = metadata
        self.inputs: dict[str, TensorSpec] = {} if metadata is None else {each.name: each for each in metadata.inputs}
        self.outputs: dict[str, TensorSpec] = {} if metadata is None else {each.name: each for each in metadata.outputs}
        self.strict = _strict(metadata, server or ServerMetadata(""))
        """Whether the server refuses tensors that the model does not declare."""

    @classmethod
    def fits(cls, metadata: ModelMetadata) -> bool:
        """Whether a model with these inputs and outputs follows this convention."""
        return False

    # For subclasses

    def takes(self, name: str) -> bool:
        """Whether an input may be sent."""
        return name in self.inputs or not (self.strict and self.inputs)

    def declares(self, name: str) -> bool:
        """Whether the model has said that it has this input."""
        return name in self.inputs

    def tensor(self, name: str, datatype: str, *values: Any) -> Tensor:
        """A tensor of the datatype and with the dimensions that the model declares for it, or else flat."""
        spec = self.inputs.get(name)
        if spec is None:
            return Tensor(name, datatype, (len(values),), values)
        if spec.datatype != datatype and spec.datatype in DATATYPES:
            values = tuple(_converted(value, spec.datatype) for value in values)
            datatype = spec.datatype
        ones = len(spec.shape) - 1
        return Tensor(name, datatype, (len(values),) if ones < 1 else (*(1,) * ones, len(values)), values)

    def asking(self, inputs: list[Tensor], parameters: Mapping[str, Any] | None = None) -> InferRequest:
        """A request with these inputs, and with the parameters of the configuration on top of these."""
        model = self.model
        told = {**(parameters or {}), **model.parameters}
        return InferRequest(model.upstream_name, inputs, model.version, None, told)

    # Chat

    def ask(self, question: Question) -> InferRequest:
        """The request for a conversation."""
        raise NotImplementedError

    def reader(self, question: Question, place: int) -> ChatReader:
        """What reads the answers to it, for one of its choices."""
        raise NotImplementedError

    # Vectors

    def ask_vectors(self, request: EmbeddingRequest, inputs: Sequence[str]) -> InferRequest:
        """The request for the vectors of some texts, at most `batch` of them."""
        raise NotImplementedError

    def vectors(self, response: InferResponse, count: int) -> Sequence[Sequence[float]] | dict[str, Any]:
        """The vectors in an answer, as `Vectors` where it tells of tokens; or the whole body that the API answers with.

        Raises `ValueError` for an answer that has not `count` of them.
        """
        raise NotImplementedError

    @property
    def batch(self) -> int:
        """How many texts may be in one request; 0 for any number."""
        return 0

    # Pictures

    def ask_images(self, request: ImageRequest) -> InferRequest:
        """The request for pictures."""
        raise NotImplementedError

    def images(self, response: InferResponse, request: ImageRequest) -> list[bytes] | dict[str, Any]:
        """The files in an answer; or the whole body that the API is to answer with."""
        raise NotImplementedError


def _strict(metadata: ModelMetadata | None, server: ServerMetadata) -> bool:
    if metadata is not None and (metadata.platform or metadata.decoupled is not None):
        return True
    return bool(server.extensions) or server.name in ("triton", "kserve")


def _converted(value: Any, datatype: str) -> Any:
    """A value as an element of a datatype. Raises `ValueError` for one that cannot be one."""
    if datatype == "BYTES":
        return value if isinstance(value, (str, bytes)) else _json(value)
    if datatype == "BOOL":
        return bool(value)
    return float(value) if datatype[:1] in "FB" else int(value)


def _json(value: Any) -> str:
    import orjson

    return orjson.dumps(value).decode()


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


@cache
def _ranked() -> tuple[type[Convention], ...]:
    return tuple(sorted((each for each in conventions().values() if each.rank), key=lambda each: each.rank))


def recognised(metadata: ModelMetadata) -> type[Convention] | None:
    """The convention that a model's inputs and outputs speak of; `None` where they speak of none."""
    return next((each for each in _ranked() if each.fits(metadata)), None)
