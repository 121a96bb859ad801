"""Embeddings: `POST /embeddings`. Tokens are counted and limited here, the vectors come from an engine."""

from __future__ import annotations

from array import array
from base64 import b64decode, b64encode
from sys import byteorder
from types import GeneratorType
from typing import TYPE_CHECKING, Any, NamedTuple

from ...api.embeddings import Embeddings
from ...kernel.errors import BadRequestError
from .. import tokens
from ..behaviour import Call, serves
from ..engine import EmbeddingRequest, Vectors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...kernel.flow import Flow
    from ..behaviour import Reply

INPUT_TOKENS = 8192
REQUEST_TOKENS = 300_000

FIXED_LENGTH = frozenset({"text-embedding-ada-002"})
"""Models that do not know `dimensions`."""

LENGTHS = {"text-embedding-3-small": 1536, "text-embedding-3-large": 3072}
"""Most dimensions of models whose vectors can be shortened."""


class _Inputs(NamedTuple):
    texts: list[str]
    tokens: int


@serves(Embeddings.create)
def create(call: Call) -> Reply:
    """A vector for each input.

    Follows https://developers.openai.com/api/reference/resources/embeddings/methods/create
    """
    body = call.body
    model: str = body["model"]
    engine = call.server.engines.embeddings(model)
    limited = call.server.published_limits
    dimensions = _dimensions(body, model) if limited else body.get("dimensions")
    texts, used = _inputs(body["input"], model, limited=limited)
    found = engine(EmbeddingRequest(model, texts, dimensions, body, call.request.headers))
    # The official client asks for base64 on its own and, when it validates strictly, refuses it.
    encode = body.get("encoding_format") == "base64" and not call.server.conjures
    if isinstance(found, GeneratorType):
        return _when_ready(found, model, len(texts), used, encode)
    return _answer(found, model, len(texts), used, encode)


def _when_ready(vectors: Flow[Any], model: str, expected: int, used: int, encode: bool) -> Flow[dict[str, Any]]:
    return _answer((yield from vectors), model, expected, used, encode)


def _answer(vectors: Any, model: str, expected: int, used: int, encode: bool) -> dict[str, Any]:
    if isinstance(vectors, dict):
        return _as_asked(vectors, encode)
    if isinstance(vectors, Vectors):
        used = vectors.tokens
    if len(vectors) != expected:
        raise ValueError(f"the embedding engine of {model!r} gave {len(vectors)} vectors for {expected} inputs")
    return {
        "object": "list",
        "data": [
            {"object": "embedding", "index": index, "embedding": _packed(vector) if encode else vector}
            for index, vector in enumerate(vectors)
        ],
        "model": model,
        "usage": {"prompt_tokens": used, "total_tokens": used},
    }


def _as_asked(body: dict[str, Any], encode: bool) -> dict[str, Any]:
    """A whole body of an engine's, with its vectors in the encoding that was asked for."""
    for each in body["data"]:
        vector = each["embedding"]
        if isinstance(vector, str) is not encode:
            each["embedding"] = _packed(vector) if encode else unpacked(vector)
    return body


def unpacked(text: str) -> list[float]:
    numbers = array("f", b64decode(text))
    if byteorder == "big":
        numbers.byteswap()
    return numbers.tolist()


def _packed(vector: Sequence[float]) -> str:
    numbers = array("f", vector)
    if byteorder == "big":
        numbers.byteswap()
    return b64encode(numbers.tobytes()).decode()


def _dimensions(body: dict[str, Any], model: str) -> int | None:
    dimensions: int | None = body.get("dimensions")
    if dimensions is None:
        return None
    if model in FIXED_LENGTH:
        raise BadRequestError.because("This model does not support specifying dimensions.")
    longest = LENGTHS.get(model, dimensions)
    if dimensions > longest:
        raise BadRequestError.because(
            f"Invalid value for 'dimensions' = {dimensions}. Must be less than or equal to {longest}."
        )
    return dimensions


def _inputs(given: Any, model: str, *, limited: bool) -> _Inputs:
    """The texts of a request and how many tokens they have. Raises `BadRequestError` for what is over a limit."""
    items: list[Any] = given if isinstance(given, list) else [given]
    if items[0].__class__ is int:
        items = [items]
    texts: list[str] = []
    total = 0
    for item in items:
        if isinstance(item, str):
            texts.append(item)
            count = tokens.count(item, model)
        else:
            texts.append(_decoded(item, model))
            count = len(item)
        if not texts[-1]:
            raise _invalid()
        if limited and count > INPUT_TOKENS:
            raise BadRequestError.because(
                f"This model's maximum context length is {INPUT_TOKENS} tokens, however you requested {count} tokens "
                f"({count} in your prompt; 0 for the completion). Please reduce your prompt; or completion length."
            )
        total += count
    if limited and total > REQUEST_TOKENS:
        raise BadRequestError.because(
            f"Requested {total} tokens, max {REQUEST_TOKENS} tokens per request",
            type="max_tokens_per_request",
            code="max_tokens_per_request",
        )
    return _Inputs(texts, total)


def _decoded(item: list[int], model: str) -> str:
    try:
        return tokens.decode(item, model)
    except (TypeError, ValueError) as error:
        raise _invalid() from error


def _invalid() -> BadRequestError:
    return BadRequestError.because(
        "'$.input' is invalid. Please check the API reference: https://platform.openai.com/docs/api-reference."
    )
