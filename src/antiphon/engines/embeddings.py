"""Embeddings without a model: vectors made of hashed words and n-grams, and engines made of your own functions.

    Engines(embeddings=HashEmbeddings())
    Engines(embeddings=EmbeddingFunction(lambda texts: [[0.0, 1.0] for _ in texts]))

No package is needed: the vectors are made by the standard library, in about 0.3 ms for a sentence.
"""

from __future__ import annotations

import re
from array import array
from functools import lru_cache
from hashlib import shake_128
from math import log2, sqrt
from sys import byteorder
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias
from unicodedata import normalize
from zlib import crc32

from ..kernel.errors import BadRequestError
from ..kernel.flow import Call
from .wrapping import Wrapped, wrapped

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..kernel.flow import Flow
    from ..server.engine import EmbeddingEngine, EmbeddingRequest

__all__ = ("EmbeddingFunction", "HashEmbeddings", "embedding_engine", "shortened")

Vector: TypeAlias = list[float]
Vectors: TypeAlias = list[Vector]

DIMENSIONS = {"text-embedding-3-small": 1536, "text-embedding-3-large": 3072, "text-embedding-ada-002": 1536}
"""Lengths of the vectors of OpenAI's models."""

LONGEST = 4096
"""Longest vector that is made."""

_BUCKETS = 1024
_WORD = re.compile(r"\w+|[^\w\s]")
_INLINE_TEXTS, _INLINE_CHARACTERS = 16, 10_000
"""How much is embedded on the spot (about 6 ms of work); more than that goes to a thread."""


class HashEmbeddings:
    """Deterministic vectors of length 1 in which texts that share words, or parts of words, lie near each other.

    Words, pairs of words and runs of three letters are hashed with a sign into 1,024 counts, which a fixed random
    projection spreads over all dimensions. Case, width and white space make no difference. The first n dimensions
    of a vector, brought to length 1, are the vector for `dimensions=n`, as with the text-embedding-3 models.
    """

    never_blocks: ClassVar[bool] = True

    def __init__(self, dimensions: int = 1536) -> None:
        """`dimensions`: length of the vectors for models that are not OpenAI's."""
        self.dimensions = dimensions

    def __call__(self, request: EmbeddingRequest) -> Vectors | Flow[Vectors]:
        """A vector for each input. Raises `BadRequestError` for more dimensions than 4,096."""
        size = request.dimensions or DIMENSIONS.get(request.model, self.dimensions)
        if size > LONGEST:
            raise BadRequestError.because(
                f"Invalid value for 'dimensions' = {size}. Must be less than or equal to {LONGEST}."
            )
        if len(request.inputs) <= _INLINE_TEXTS and sum(map(len, request.inputs)) <= _INLINE_CHARACTERS:
            return [embed(text, size) for text in request.inputs]
        return _embed_on_a_thread(list(request.inputs), size)


def _embed_on_a_thread(texts: list[str], size: int) -> Flow[Vectors]:
    vectors: Vectors = yield Call(lambda: [embed(text, size) for text in texts])
    return vectors


def embed(text: str, size: int) -> Vector:
    """The vector of a text: `size` numbers that single precision can hold, of length 1."""
    features: dict[str, int] = {}
    before = ""
    for word in _WORD.findall(normalize("NFKC", text).casefold()):
        features[word] = features.get(word, 0) + 1
        pair = f"{before} {word}"
        features[pair] = features.get(pair, 0) + 1
        # Scripts that do not part their words are told apart by twos.
        edged, step = (f"<{word}>", 3) if word < "\u2e80" else (word, 2)
        for at in range(len(edged) - step + 1):
            run = "\0" + edged[at : at + step]
            features[run] = features.get(run, 0) + 1
        before = word
    counts = [0] * _BUCKETS
    counts[0] = 1  # so that a text without any feature has a direction too
    for feature, count in features.items():
        # Long words say more than short ones; the tenth time a word comes says less than the first.
        weight = min(len(feature), 9) + 1 if feature[0] != "\0" else 3
        amount = weight * 4 if count == 1 else int(weight * 4 * (1 + log2(count)))
        hashed = crc32(feature.encode("utf-8", "replace"))
        counts[hashed % _BUCKETS] += amount if hashed & 0x8000 else -amount
    return _projected(counts, size)


def _projected(counts: list[int], size: int) -> Vector:
    """A random projection to `size` dimensions.

    A row of the random matrix is one long integer with 32 bits for each dimension, so adding up rows is integer
    arithmetic over all dimensions at once. What counts for and what counts against are added up apart, because
    32 bits cannot borrow from their neighbours.
    """
    plus = minus = mass = 0
    for bucket, count in enumerate(counts):
        if count > 0:
            plus += count * _row(bucket, size)
            mass += count
        elif count < 0:
            minus -= count * _row(bucket, size)
            mass += count
    mean = 127.5 * mass  # of the bytes the rows are made of
    values = [p - m - mean for p, m in zip(_lanes(plus, size), _lanes(minus, size), strict=True)]
    return _unit(values)


@lru_cache(4 * _BUCKETS)
def _row(bucket: int, size: int) -> int:
    lanes = bytearray(4 * size)
    lanes[::4] = shake_128(b"antiphon embeddings %d" % bucket).digest(size)
    return int.from_bytes(lanes, "little")


def _lanes(value: int, size: int) -> array[int]:
    lanes = array("I", value.to_bytes(4 * size, "little"))
    if byteorder == "big":
        lanes.byteswap()
    return lanes


def _unit(values: Sequence[float]) -> Vector:
    length = sqrt(sum([value * value for value in values])) or 1.0
    # Rounded to single precision, so that what is sent as numbers is what is sent as base64.
    return array("f", [value / length for value in values]).tolist()


def shortened(vector: Sequence[float], dimensions: int | None) -> Sequence[float]:
    """The first `dimensions` numbers of a vector, brought to length 1."""
    return vector if dimensions is None or dimensions >= len(vector) else _unit(vector[:dimensions])


class EmbeddingFunction(Wrapped):
    """An engine made of a function from texts to vectors. It may block or be async.

    `function` gets the inputs of one request and gives a vector for each, in order. `dimensions` of a request are
    honoured by shortening the vectors; a function with a parameter `dimensions` is given them too (`None` for the
    model's own). A function whose first parameter is named `request` gets the whole `EmbeddingRequest` instead.
    """

    def __call__(self, request: EmbeddingRequest) -> Flow[Vectors]:
        options = {"dimensions": request.dimensions} if "dimensions" in self._parameters else {}
        vectors: Vectors = yield from self._asked(request, list(request.inputs), **options)
        return [list(shortened(vector, request.dimensions)) for vector in vectors]


def embedding_engine(source: Any = None) -> EmbeddingEngine:
    """The engine that `source` stands for: an engine, a function of texts, or none for `HashEmbeddings`.

    What has a true attribute `never_blocks`, or yields steps, is an engine; any other callable is a function. Raises
    `TypeError` for what cannot be called.
    """
    if source is None:
        return HashEmbeddings()
    return wrapped(source, EmbeddingFunction, "an embedding engine is a function of texts")
