"""What a gateway is told: its models, and who may ask them. `loading` reads it from a file.

Everything here is a value that is not changed; a gateway that is told something else is given another one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

__all__ = ("NEVER", "GatewayConfig", "KeyConfig", "ModelConfig", "Patience", "TensorConfig")

NEVER: Final = None
"""A limit that is none."""


def _from(least: float, most: float | None = None) -> dict[str, Any]:
    """Between which numbers a setting may be, for those who read one."""
    return {"least": least, "most": most}


@dataclass(frozen=True, slots=True)
class Patience:
    """How long is waited, in seconds; `None` for ever."""

    connect: float | None = field(default=5.0, metadata=_from(0.001))
    """For a connection."""
    first: float | None = field(default=120.0, metadata=_from(0.001))
    """For the first piece of an answer, or for one that is not streamed."""
    between: float | None = field(default=60.0, metadata=_from(0.001))
    """For each further piece."""
    total: float | None = field(default=600.0, metadata=_from(0.001))
    """For the whole."""


@dataclass(frozen=True, slots=True)
class TensorConfig:
    """A tensor of the convention `custom`: what it is called, and where its content comes from or goes to."""

    name: str
    datatype: str = "BYTES"
    path: str = ""
    """Of an input: where in the request's body its content is, such as `temperature` or `messages[-1].content`; or
    `$prompt`. Of an output: what it is: `text`, `finish_reason`, `input_tokens`, `output_tokens`, `vectors` …"""
    shape: Sequence[int] | None = None
    default: Any = None
    """What is sent where the request says nothing; without one the tensor is left out."""


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """One model, as the gateway's callers know it."""

    name: str
    """What callers write as `model`."""
    urls: tuple[str, ...] = ()
    """Its servers: `http://host:8000`, `https://…`, `grpc://host:8001`, `grpcs://…`. Several are replicas of it."""
    backend: Literal["oip", "openai", "local"] | str = "oip"
    """What serves it: a server of the Open Inference Protocol, one of the OpenAI API, or a model of `gateway.local`."""
    model: str = field(default="", metadata={"path": ".gguf"})
    """What the server calls it; the same, unless told."""
    version: str | None = None
    pipeline: bool = False
    """Whether it is a pipeline of Seldon Core 2, at `/v2/pipelines/…`."""
    kinds: frozenset[str] = frozenset()
    """What it does: `chat`, `embeddings`, `images` …; empty: what its convention says."""
    convention: str = "auto"
    stream: Literal["auto", "infer", "infer_stream", "generate"] | str = "auto"
    """How a stream is asked for over REST; `auto`: as the server and the model want it. `infer`: the server does not
    stream, and its one answer is told piece by piece."""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    """Sent with every request to its servers."""
    roots: str | None = field(default=None, metadata={"path": True})
    """A PEM file with more certificates to trust, for servers at `https://` and `grpcs://`."""
    forward_headers: tuple[str, ...] = ()
    """Headers of callers that are passed on. `authorization` is passed on only where it is named here."""
    template: str | None = field(default=None, metadata={"path": "maybe"})
    """A chat template for conventions that take a prompt: a built-in style, the path of a file, or Jinja itself."""
    tool_parser: str | None = None
    """How calls of tools are written in the model's text."""
    stop: tuple[str, ...] = ()
    """Sent with those of the caller."""
    defaults: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Parameters of the API where the caller leaves them out, such as `max_tokens`."""
    parameters: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Parameters of the inference request, on top of those of the convention."""
    inputs: tuple[TensorConfig, ...] = ()
    outputs: tuple[TensorConfig, ...] = ()
    """Of the convention `custom`."""
    dimensions: int | None = field(default=None, metadata=_from(1))
    """How long its vectors are, where they may be cut shorter when a caller asks for it; `None`: never cut."""
    batch: int = field(default=0, metadata=_from(0))
    """Most texts in one request for vectors; 0: as many as the model says."""
    patience: Patience = Patience()
    concurrency: int | None = field(default=None, metadata=_from(1))
    """Most requests under way at a time for each server."""
    queue: int = field(default=100, metadata=_from(0))
    """Most requests that wait for a place; further ones get 429."""
    queue_seconds: float = field(default=30.0, metadata=_from(0))
    """Longest wait for a place; then 503."""
    fallbacks: tuple[str, ...] = ()
    """Models that are asked, in this order, where this one fails before it has said anything."""
    price: Mapping[str, float] = field(default_factory=dict[str, float])
    """What a million tokens cost, of `input` and of `output`."""

    @property
    def upstream_name(self) -> str:
        """What its servers call it."""
        return self.model or self.name


@dataclass(frozen=True, slots=True)
class KeyConfig:
    """Somebody who may ask."""

    name: str
    hash: str
    """`sha256:` and the key's SHA-256 in hexadecimal, as `antiphon gateway hash-key` prints it."""
    models: tuple[str, ...] = ("*",)
    """Names or patterns."""
    requests_per_minute: int | None = field(default=None, metadata=_from(1))
    tokens_per_minute: int | None = field(default=None, metadata=_from(1))
    """As the API counts: what is asked, and the most that may be answered."""


@dataclass(frozen=True, slots=True)
class GatewayConfig:
    """All a gateway is told."""

    models: Mapping[str, ModelConfig] = field(default_factory=dict[str, ModelConfig])
    """By the names that callers use."""
    keys: tuple[KeyConfig, ...] = ()
    open: bool | None = None
    """Whether anybody may ask; `None`: where there are no keys and it listens on this machine only."""
    host: str = "127.0.0.1"
    port: int = field(default=9000, metadata=_from(0, 65535))
    workers: int | Literal["auto"] = field(default=1, metadata=_from(1, 512))
    """Processes that answer; `auto`: one for each core. What is kept (files, Responses …) is with the first."""
    certificate: str | None = field(default=None, metadata={"path": True})
    private_key: str | None = field(default=None, metadata={"path": True})
    """Paths of PEM files, for TLS."""
    protocol: bool = False
    """Whether requests of the Open Inference Protocol itself are passed on."""
    discover: tuple[str, ...] = ()
    """Servers whose whole repository is served, each model by its own name."""
    discovered: ModelConfig = ModelConfig("*")
    """What the models found so are like, but for their names and servers; `[models."*"]` in a file."""
    embedder: str | None = None
    """The model by whose vectors vector stores are searched; without one they are searched by words."""
    ready: Literal["all", "any"] = "all"
    """When it is ready: when all of its models are, or when any is."""
    drain_seconds: float = field(default=25.0, metadata=_from(0))
    """How long answers under way may take when it is stopped."""
    log: Literal["line", "json", "off"] | str = "line"
    metrics: bool = True
    traces: bool = False
    organization: str = "org-gateway"
    max_body: int = field(default=64 * 1024 * 1024, metadata=_from(1024))
    """The largest request, in bytes."""
