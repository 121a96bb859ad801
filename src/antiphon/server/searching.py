"""Searching what is in vector stores: the place where tools and endpoints ask, whoever answers.

    for found in search(server, ["vs_1"], ["opening hours"], limit=5): …

A vector store that ranks by meaning takes this function's place; it may answer a flow, since embedding engines may.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import log
from operator import eq, ge, gt, le, lt, ne
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from ..kernel.flow import Flow
    from .app import Server

__all__ = ("Found", "search")


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
) -> list[Found] | Flow[list[Found]]:
    """What the files of some vector stores say to some queries, the best first.

    `filters` and `ranking` are the API's `filters` and `ranking_options`.
    """
    parts = [part for store in stores for part in _parts(server, store, filters)]
    rarity = _rarity(words for _, _, words in parts)
    asked = [set(_words(query)) for query in queries]
    least = (ranking or {}).get("score_threshold") or 0.0
    found: list[Found] = []
    for file, text, words in parts:
        score = max((_score(wanted, words, rarity) for wanted in asked), default=0.0)
        if score >= least:
            found.append(Found(file["id"], file["filename"], round(score, 4), text, file["attributes"]))
    found.sort(key=lambda each: -each.score)
    return found[:limit]


_WORD: Final = re.compile(r"\w+")
_PARAGRAPH: Final = re.compile(r"\n\s*\n")
_PART: Final = 2000
"""Most characters of a part of a file, unless one paragraph is longer."""


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def _parts(
    server: Server, store: str, filters: Mapping[str, Any] | None
) -> Iterator[tuple[dict[str, Any], str, set[str]]]:
    """The parts of the files in a store, each with its file and its words."""
    for attached in server.store.list(f"vector_stores/{store}/files"):
        blob = server.store.get_blob(attached["id"])
        if blob is None or attached.get("status") != "completed":
            continue
        attributes = attached.get("attributes") or {}
        if filters and not _passes(filters, attributes):
            continue
        file = server.store.get("files", attached["id"]) or {}
        about = {"id": attached["id"], "filename": file.get("filename", attached["id"]), "attributes": attributes}
        text = blob[0].decode("utf-8", "replace")
        for part in _split(text):
            yield about, part, set(_words(part))


def _split(text: str) -> Iterator[str]:
    gathered = ""
    for paragraph in _PARAGRAPH.split(text.strip()):
        if gathered and len(gathered) + len(paragraph) > _PART:
            yield gathered
            gathered = ""
        gathered = f"{gathered}\n\n{paragraph}" if gathered else paragraph
    if gathered:
        yield gathered


def _rarity(parts: Iterable[set[str]]) -> dict[str, float]:
    """How much each word says: the fewer parts have it, the more."""
    listed = list(parts)
    counts = Counter(word for words in listed for word in words)
    return {word: log(1 + (len(listed) + 1) / count) for word, count in counts.items()}


def _score(wanted: set[str], words: set[str], rarity: Mapping[str, float]) -> float:
    unknown = max(rarity.values(), default=1.0)
    total = sum(rarity.get(word, unknown) for word in wanted)
    return sum(rarity[word] for word in wanted & words) / total if total else 0.0


def _passes(given: Mapping[str, Any], attributes: Mapping[str, Any]) -> bool:
    kind = given.get("type", "")
    if kind in _ALL_OR_ANY:
        return _ALL_OR_ANY[kind](_passes(each, attributes) for each in given.get("filters") or ())
    held: Any = attributes.get(given.get("key", ""))
    value: Any = given.get("value")
    if kind in ("in", "nin"):
        return bool((held in (value or ())) == (kind == "in"))
    compare = _COMPARES.get(kind, eq)
    try:
        return bool(compare(held, value))
    except TypeError:  # a number and a text, or nothing
        return False


_ALL_OR_ANY: Final = {"and": all, "or": any}
_COMPARES: Final = {"eq": eq, "ne": ne, "gt": gt, "gte": ge, "lt": lt, "lte": le}
