"""Searching what is in vector stores: the place where tools and endpoints ask.

    found = yield from search(server, ["vs_1"], ["opening hours"], limit=5)

A chunk is scored twice, by the words it shares with the query (`index.py`) and by how near its vector is to the
query's; the mean of the two is its score. Vectors come from the server's embedding engine. Of a store of up to 512
chunks all have one; of a larger store the chunks do that are best by their words.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from math import sqrt
from operator import mul
from types import GeneratorType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ..kernel.errors import BadRequestError, NotFoundError
from ..kernel.flow import Call, Pause
from .chunks import EMBEDDER, Text, chunked, strategy
from .engine import EmbeddingRequest
from .filtering import check
from .index import Filed, Index
from .readers import Unreadable, read
from .words import asked

if TYPE_CHECKING:
    from ..kernel.flow import Flow
    from .app import Server

__all__ = ("Found", "active", "check_ranking", "completed", "forget", "prepared", "search", "text_of")

_ALL: Final = 512
"""So many chunks of a store all have vectors."""
_CANDIDATES: Final = 20
"""Chunks of a larger store that get a vector for a query, or as many as are asked for."""
_EMBEDDED: Final = 30_000
"""Characters of such chunks after which there are enough of them, if there are as many as were asked for."""
_DIMENSIONS: Final = 256
_AT_ONCE: Final = 256
"""Texts that an engine is given at a time."""
_BRIEF: Final = 200_000
"""Bytes of files that are indexed on the spot; more than that is a matter for a thread."""
_WORDS_WEIGH: Final = 0.6
_PATIENCE: Final = 60.0
"""Seconds that a tool waits for files that are being read."""
_MOST_PREPARED: Final = 64
_LARGE: Final = 1_000_000
"""Characters of a text that is rather read again than kept until it is indexed."""
_INDEXES: Final = "vector_stores.indexes"
_PREPARED: Final = "vector_stores.prepared"


class Found(NamedTuple):
    """A stretch of a file that answers a query."""

    file_id: str
    filename: str
    score: float
    """From 0 to 1."""
    text: str
    attributes: dict[str, Any]


def search(
    server: Server,
    stores: Iterable[str],
    queries: Sequence[str],
    *,
    limit: int = 10,
    filters: Mapping[str, Any] | None = None,
    ranking: Mapping[str, Any] | None = None,
) -> Flow[list[Found]]:
    """What the files of some vector stores say to some queries, the best first.

    `filters` and `ranking` are the API's `filters` and `ranking_options`. Raises `BadRequestError` for filters and
    options that are none, and for a store that has expired.
    """
    if filters:
        check(filters, "filters")
    check_ranking(ranking)
    words_weigh, vectors_weigh = _weights(ranking or {})
    words = [asked(query) for query in queries]
    chunks: dict[tuple[str, str], _Candidate] = {}
    found: list[_Candidate]
    for store in dict.fromkeys(stores):
        _touch(server, store)
        index = _index(server, store)
        docs = server.store.list(_place(store))
        if index.stale(docs) and sum(doc["usage_bytes"] for doc in docs) > _BRIEF:
            found = yield Call(_candidates, server, store, index, words, limit, filters)
        else:
            found = _candidates(server, store, index, words, limit, filters)
        for candidate in found:
            chunks.setdefault((candidate.file.doc["id"], candidate.chunk), candidate)
    candidates = list(chunks.values())
    near = [[0.0] * len(candidates) for _ in queries]
    if vectors_weigh and candidates:
        near = yield from _nearness(server, queries, candidates)
    least = (ranking or {}).get("score_threshold") or 0.0
    ranked: list[tuple[float, str, int, _Candidate]] = []
    for at, each in enumerate(candidates):
        score = max(words_weigh * each.lexical[n] + vectors_weigh * near[n][at] for n in range(len(queries)))
        score = round(min(1.0, score), 4)
        if score >= least:
            ranked.append((-score, each.file.doc["id"], each.at, each))
    ranked.sort(key=lambda each: each[:3])
    return [_found(server, each, -score) for score, _, _, each in ranked[:limit]]


def check_ranking(given: Mapping[str, Any] | None, path: str = "ranking_options") -> None:
    """See that ranking options are such. Raises `BadRequestError`."""
    threshold = (given or {}).get("score_threshold")
    if threshold is not None and not 0 <= threshold <= 1:
        raise BadRequestError.because(
            f"Invalid '{path}.score_threshold': expected a number from 0 to 1, but got {threshold} instead.",
            param=f"{path}.score_threshold",
            code="invalid_value",
        )
    hybrid = (given or {}).get("hybrid_search")
    if hybrid:
        weights = (hybrid.get("embedding_weight", 0), hybrid.get("text_weight", 0))
        if min(weights) < 0 or not max(weights):
            raise BadRequestError.because(
                f"Invalid '{path}.hybrid_search': weights are not negative, and at least one is greater than 0.",
                param=f"{path}.hybrid_search",
                code="invalid_value",
            )


def _weights(ranking: Mapping[str, Any]) -> tuple[float, float]:
    """What words and vectors count."""
    if ranking.get("ranker") == "none":
        return 0.0, 1.0
    hybrid = ranking.get("hybrid_search")
    if not hybrid:
        return _WORDS_WEIGH, 1 - _WORDS_WEIGH
    words, vectors = hybrid.get("text_weight", 0), hybrid.get("embedding_weight", 0)
    return words / (words + vectors), vectors / (words + vectors)


# Stores and their indexes


def completed(server: Server, stores: Iterable[str]) -> Flow[None]:
    """Wait until the files of some stores have been read, for a minute at the most."""
    until = server.clock.now() + _PATIENCE
    while server.clock.now() < until:
        kept = (server.store.get("vector_stores", store) for store in stores)
        if all(store is None or store["status"] != "in_progress" for store in kept):
            return
        yield Pause(min(0.05, max(server.job_seconds, 0.001)) if server.job_seconds < 5 else server.job_seconds / 10)
        yield from server.jobs.running()


def _touch(server: Server, store: str) -> None:
    """Tell a store that it is used."""
    with server.lock:
        kept = server.store.get("vector_stores", store)
        if kept is None:
            return
        if kept["status"] == "expired":
            raise BadRequestError.because(f"Vector store {store} is expired.", param="vector_store_ids")
        now = int(server.clock.now())
        if kept["last_active_at"] != now:
            server.store.put("vector_stores", store, active(kept, now))


def active(store: Mapping[str, Any], now: int) -> dict[str, Any]:
    """A vector store that was used at a time, in Unix seconds."""
    after = store.get("expires_after")
    return {
        **store,
        "last_active_at": now,
        "expires_at": now + after["days"] * 86_400 if after else None,
    }


def _place(store: str) -> str:
    return f"vector_stores/{store}/files"


def _index(server: Server, store: str) -> Index:
    indexes: dict[str, Index] = server.derived.setdefault(_INDEXES, {})
    return indexes.setdefault(store, Index())


def forget(server: Server, store: str) -> None:
    """Drop what was indexed of a store that is deleted."""
    server.derived.get(_INDEXES, {}).pop(store, None)


def text_of(server: Server, doc: Mapping[str, Any]) -> Text:
    """The text of a file in a vector store, in chunks. Raises `Unreadable`."""
    file = server.store.get("files", doc["id"])
    blob = server.store.get_blob(doc["id"])
    if file is None or blob is None:
        raise Unreadable("server_error", "The file is gone.")
    return chunked(read(file["filename"], blob[0]), strategy(doc.get("chunking_strategy")))


def prepared(server: Server, store: str, file: str, text: Text) -> None:
    """Keep a text that was just read until it is indexed, so that it need not be read again."""
    texts: dict[tuple[str, str], Text] = server.derived.setdefault(_PREPARED, {})
    texts.pop((store, file), None)
    if len(texts) < _MOST_PREPARED and len(text.text) < _LARGE:
        texts[store, file] = text


def _reader(server: Server, store: str) -> Any:
    texts: dict[tuple[str, str], Text] = server.derived.get(_PREPARED, {})

    def read_file(doc: dict[str, Any]) -> Text:
        text = texts.pop((store, doc["id"]), None)
        if text is None:
            try:
                text = text_of(server, doc)
            except Unreadable:
                text = Text("", [])
        return text

    return read_file


# Chunks that may be the answer


class _Candidate(NamedTuple):
    file: Filed
    at: int
    lexical: list[float]
    """The score by its words for each query."""
    chunk: str


def _candidates(
    server: Server,
    store: str,
    index: Index,
    queries: Sequence[Sequence[str]],
    limit: int,
    filters: Mapping[str, Any] | None,
) -> list[_Candidate]:
    """The chunks whose score is worked out, those that are best by their words first."""
    with index.lock:
        # The files as they are now, whoever held the lock before.
        index.sync(server.store.list(_place(store)), _reader(server, store))
        within: list[Filed] | None = None
        if filters:
            within = index.passing(filters)
        small = len(index) <= _ALL
        scores = [index.lexical(words, max(_CANDIDATES, limit), within, all=small) for words in queries]
        if small:
            numbers = [n for file in (index.files if within is None else within) for n in range(file.first, file.end)]
        else:
            best = {number: max(each.get(number, 0.0) for each in scores) for each in scores for number in each}
            numbers = sorted(best, key=lambda number: (-best[number], number))
        found: list[_Candidate] = []
        length = 0
        for number in numbers:
            if not small and len(found) >= limit * len(queries) and length > _EMBEDDED:
                break
            file, at = index.place(number)
            found.append(_Candidate(file, at, [each.get(number, 0.0) for each in scores], file.chunk(at)))
            length += len(found[-1].chunk)
        return found


def _nearness(server: Server, queries: Sequence[str], candidates: Sequence[_Candidate]) -> Flow[list[list[float]]]:
    """How near each candidate is to each query, from 0 to 1."""
    embedder = server.embedder
    try:
        engine = None if embedder is None else server.engines.embeddings(embedder)
    except NotFoundError:  # whoever names the models that exist did not name one that embeds
        engine = None
    if embedder is None or engine is None:
        return [[0.0] * len(candidates) for _ in queries]
    new = [each for each in candidates if each.at not in each.file.vectors]
    texts = [*(query or " " for query in queries), *(each.chunk for each in new)]
    vectors: list[Sequence[float]] = []
    dimensions = _DIMENSIONS if embedder == EMBEDDER else None
    for first in range(0, len(texts), _AT_ONCE):
        made: Any = engine(EmbeddingRequest(embedder, texts[first : first + _AT_ONCE], dimensions))
        if isinstance(made, GeneratorType):
            made = yield from made
        if isinstance(made, dict):
            made = [each["embedding"] for each in made["data"]]
        vectors += map(_unit, made)
    if len(vectors) != len(texts):
        raise ValueError(f"the embedding engine gave {len(vectors)} vectors for {len(texts)} inputs")
    for each, vector in zip(new, vectors[len(queries) :], strict=True):
        each.file.vectors[each.at] = vector
    return [
        [max(0.0, sum(map(mul, query, each.file.vectors[each.at]))) for each in candidates]
        for query in vectors[: len(queries)]
    ]


def _unit(vector: Sequence[float]) -> array[float]:
    length = sqrt(sum(map(mul, vector, vector))) or 1.0
    return array("f", vector if abs(length - 1) < 1e-6 else [value / length for value in vector])


def _found(server: Server, each: _Candidate, score: float) -> Found:
    doc = each.file.doc
    file = server.store.get("files", doc["id"])
    name: str = doc["id"] if file is None else file["filename"]
    return Found(doc["id"], name, score, each.chunk, doc.get("attributes") or {})
