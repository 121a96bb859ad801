"""The index of one vector store: which chunks have which words, and the vectors of those it was worth making them for.

    index.sync(docs, read)                          # the store's files as they are now; what is indexed stays
    index.lexical(["close", "cafe"], most=50)       # {17: 0.81, …}: numbers of chunks, scores from 0 to 1

It is derived from the store's documents and the files' bytes and made when first asked: no snapshot has it. Words are
weighed by BM25. A word that few chunks have is followed to all of them; of one that very many have, only the chunks
that have it most often are looked at, so that what a search costs does not grow with the store.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from heapq import nlargest
from itertools import islice
from math import log, sqrt
from re import finditer
from threading import RLock
from typing import Any, Final, TypeAlias

import orjson

from .chunks import Text
from .filtering import passes
from .words import terms

__all__ = ("Filed", "Index")

Doc: TypeAlias = dict[str, Any]
Read: TypeAlias = Callable[[Doc], Text]

_K: Final = 1.2
"""How much more it says when a word is in a chunk again."""
_B: Final = 0.75
"""How much it says less in a long chunk."""
_FEW: Final = 4096
"""Chunks that are all looked at when they have a word."""
_CHAMPIONS: Final = 256
"""Chunks that are looked at of those with a word that more than `_FEW` have."""
_FILTERS: Final = 16
"""Filters whose files are remembered."""
_CONTENDERS: Final = 512
"""Chunks whose score is worked out to the end."""


class Filed:
    """A file in the index. Its chunks have numbers in a row."""

    __slots__ = ("doc", "first", "text", "vectors")

    def __init__(self, doc: Doc, text: Text, first: int) -> None:
        self.doc = doc
        """The document of the file in the store, as it was last seen."""
        self.text = text
        self.first = first
        self.vectors: dict[int, Sequence[float]] = {}
        """Vectors of chunks, by their place in the file."""

    @property
    def end(self) -> int:
        return self.first + len(self.text.spans)

    def chunk(self, at: int) -> str:
        """The text of a chunk by its place in the file."""
        start, end = self.text.spans[at]
        return self.text.text[start:end]


class _Posting:
    """The chunks that have a word, in rising order, and how often each has it (up to 255)."""

    __slots__ = ("numbers", "times")

    def __init__(self) -> None:
        self.numbers = array("I")
        self.times = bytearray()

    def often(self, most: int) -> list[int]:
        """The places of about `most` chunks that have the word most often."""
        counts = [0] * 256
        left = len(self.times)
        for value in range(1, 256):
            counts[value] = self.times.count(value)
            left -= counts[value]
            if not left:
                break
        least, found = 255, 0
        while least > 1 and found + counts[least] <= most:
            found += counts[least]
            least -= 1
        places = [match.start() for match in finditer(b"[\\x%02x-\\xff]" % (least + 1), self.times)] if found else []
        # Very many may have it the next number of times: the first ones will do.
        places += [match.start() for match in islice(finditer(b"\\x%02x" % least, self.times), most - found)]
        return places


class Index:
    """The chunks of one vector store. `lock` is held while they are counted and looked up, never for long."""

    __slots__ = (
        "_count",
        "_docs",
        "_end",
        "_files",
        "_firsts",
        "_lengths",
        "_norms",
        "_order",
        "_passing",
        "_postings",
        "_words",
        "lock",
    )

    def __init__(self) -> None:
        self.lock = RLock()
        self._docs: list[Doc] = []
        self._passing: dict[bytes, list[Filed]] = {}
        self._clear()

    def _clear(self) -> None:
        self._files: dict[str, Filed] = {}
        self._order: list[Filed] = []
        """The files by their first numbers."""
        self._firsts: list[int] = []
        self._postings: dict[str, _Posting] = {}
        self._lengths = array("I")
        """How many words each chunk has; of a chunk that is gone none."""
        self._norms: array[float] | None = None
        self._words = 0
        self._count = 0
        self._end = 0
        """The number of the next chunk."""

    def __len__(self) -> int:
        return self._count

    @property
    def files(self) -> list[Filed]:
        """The files, in the order they were indexed."""
        return self._order

    # What is in it

    def stale(self, docs: list[Doc]) -> bool:
        """Whether there is something to be done for `sync`."""
        return docs != self._docs  # quick where they are the very same documents

    def sync(self, docs: list[Doc], read: Read) -> None:
        """Have in the index the files that are completed. `read` gives the text of one."""
        with self.lock:
            if not self.stale(docs):
                return
            wanted = {doc["id"]: doc for doc in docs if doc["status"] == "completed"}
            for key, file in list(self._files.items()):
                doc = wanted.get(key)
                if doc is None or not _same(doc, file.doc):
                    self._remove(file)
                else:
                    file.doc = doc
            if self._end > 2 * self._count + _FEW:
                self._rebuild()
            for key, doc in wanted.items():
                if key not in self._files:
                    self._add(doc, read(doc))
            self._docs = docs
            self._passing.clear()

    def _rebuild(self) -> None:
        """Number the chunks anew, once most numbers are of chunks that are gone."""
        files = self._order
        self._clear()
        for file in files:
            self._add(file.doc, file.text).vectors = file.vectors

    def _add(self, doc: Doc, text: Text) -> Filed:
        file = Filed(doc, text, self._end)
        postings = self._postings
        for number, chunk in enumerate(text.chunks, self._end):
            words = terms(chunk)
            self._lengths.append(len(words))
            self._words += len(words)
            for word, times in Counter(words).items():
                posting = postings.get(word)
                if posting is None:
                    posting = postings[word] = _Posting()
                posting.numbers.append(number)
                posting.times.append(min(times, 255))
        self._end = file.end
        self._count += len(text.spans)
        self._files[doc["id"]] = file
        self._order.append(file)
        self._firsts.append(file.first)
        self._norms = None
        return file

    def _remove(self, file: Filed) -> None:
        del self._files[file.doc["id"]]
        at = self._order.index(file)
        del self._order[at], self._firsts[at]
        for word in {word for chunk in file.text.chunks for word in terms(chunk)}:
            posting = self._postings[word]
            start = bisect_left(posting.numbers, file.first)
            end = bisect_left(posting.numbers, file.end, start)
            del posting.numbers[start:end], posting.times[start:end]
            if not posting.times:
                del self._postings[word]
        for number in range(file.first, file.end):
            self._words -= self._lengths[number]
            self._lengths[number] = 0
        self._count -= len(file.text.spans)
        self._norms = None

    def place(self, number: int) -> tuple[Filed, int]:
        """The file of a chunk, and the chunk's place in it."""
        file = self._order[bisect_left(self._firsts, number + 1) - 1]
        return file, number - file.first

    # What is found in it

    def passing(self, filters: Mapping[str, Any]) -> list[Filed]:
        """The files that pass a filter. Remembered, since programs ask for the same again."""
        key = orjson.dumps(filters)
        found = self._passing.get(key)
        if found is None:
            found = [file for file in self._order if passes(filters, file.doc.get("attributes") or {})]
            if len(self._passing) >= _FILTERS:
                self._passing.clear()
            self._passing[key] = found
        return found

    def lexical(
        self, query: Sequence[str], most: int, within: Sequence[Filed] | None = None, *, all: bool = False
    ) -> dict[int, float]:
        """The chunks that have the words of a query, with scores from 0 to 1: the best `most`, or `all` that have any.

        `within` are the files to look at, where it is not all of them. 1 stands for a short chunk that is made of
        nothing but the words of the query.
        """
        count = len(self)
        words = sorted(set(query))
        if not count or not words:
            return {}
        rarity = {word: self._rarity(word, count) for word in words}
        total = sum(rarity.values())
        known = [(posting, rarity[word]) for word in words if (posting := self._postings.get(word)) is not None]
        known.sort(key=lambda each: len(each[0].times))  # the rarest first, in the order of the alphabet
        if within is not None and (all or sum(len(file.text.spans) for file in within) <= _CONTENDERS):
            found = self._finished({}, known, [number for file in within for number in range(file.first, file.end)])
        else:
            found = self._raced(known, within, every=all)
        if not all and len(found) > most:
            found = _best(most, found)
        return {number: sqrt(score / total) for number, score in found.items()}

    def _rarity(self, word: str, count: int) -> float:
        """How much a word says: the fewer chunks have it, the more."""
        posting = self._postings.get(word)
        having = 0 if posting is None else len(posting.times)
        return log(1 + (count - having + 0.5) / (having + 0.5))

    def _raced(
        self, known: list[tuple[_Posting, float]], within: Sequence[Filed] | None, *, every: bool
    ) -> dict[int, float]:
        """The scores of the chunks that could be among the best."""
        norms = self._normed()
        few = [pair for pair in known if every or len(pair[0].times) <= _FEW]
        scores: dict[int, float] = {}
        get = scores.get
        for posting, weight in few:
            for number, times in zip(posting.numbers, posting.times, strict=True):
                scores[number] = get(number, 0.0) + weight * times / (times + norms[number])
        many = known[len(few) :]
        if within is not None:
            ranges = [(file.first, file.end) for file in within]
            firsts = [first for first, _ in ranges]

            def inside(number: int) -> bool:
                at = bisect_left(firsts, number + 1) - 1
                return at >= 0 and number < ranges[at][1]

            scores = {number: score for number, score in scores.items() if inside(number)}
        else:
            inside = _always
        if not many:
            return scores
        if len(scores) > _CONTENDERS:
            scores = _best(_CONTENDERS, scores)
        more: set[int] = set()
        for posting, _ in many:
            more.update(number for at in posting.often(_CHAMPIONS) if inside(number := posting.numbers[at]))
        # Those that come in by a common word may have the rare ones too, but were not among the best by these.
        finished = self._finished({}, few, [number for number in more if number not in scores])
        return self._finished({**finished, **scores}, many, sorted(more | scores.keys()))

    def _finished(
        self, scores: dict[int, float], known: Iterable[tuple[_Posting, float]], numbers: Sequence[int]
    ) -> dict[int, float]:
        """What some words add to the scores of some chunks."""
        norms = self._normed()
        for posting, weight in known:
            having, often = posting.numbers, posting.times
            size = len(often)
            for number in numbers:
                at = bisect_left(having, number)
                if at < size and having[at] == number:
                    times = often[at]
                    scores[number] = scores.get(number, 0.0) + weight * times / (times + norms[number])
        return scores

    def _normed(self) -> array[float]:
        """For each chunk, how much its length holds its words back."""
        if self._norms is None:
            mean = self._words / max(1, len(self)) or 1.0
            flat, steep = _K * (1 - _B), _K * _B / mean
            self._norms = array("d", [flat + steep * length for length in self._lengths])
        return self._norms


def _always(number: int) -> bool:
    return True


def _best(most: int, scores: dict[int, float]) -> dict[int, float]:
    """The highest scores; of equal ones those of the first chunks."""
    least = nlargest(most, scores.values())[-1]
    kept = {number: score for number, score in scores.items() if score > least}
    even = sorted(number for number, score in scores.items() if score == least)
    return kept | dict.fromkeys(even[: most - len(kept)], least)


def _same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two documents of a file have the same chunks: they may differ in attributes."""
    return one is other or all(one.get(key) == other.get(key) for key in ("created_at", "chunking_strategy"))
