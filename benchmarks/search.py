"""What a search in a vector store costs: 1,000, 10,000 and 100,000 chunks, in CPU time of the server, in process.

    .venv/bin/python -m benchmarks.search [--queries 200] [--sizes 1000 10000 100000]

A store is filled with files of 100 chunks each, of 256 tokens (some 75 words), made of words that are as rare and as
common as in English (by Zipf's law, over 50,000 words). Every query is a new one of one to eight words, common and rare
ones mixed, asked at `POST /vector_stores/{id}/search` for ten results. Said are the time to index the store, which is
done at its first search, and of the queries the median, the 99th part of a hundred, and the longest.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import time
from itertools import accumulate
from random import Random
from typing import Any

from antiphon.engines import embedding_engine
from antiphon.kernel.flow import run
from antiphon.kernel.http import Headers, Request, Response
from antiphon.server.app import Server
from antiphon.server.behaviours.files import keep_file
from antiphon.server.chunks import Strategy, chunked
from antiphon.server.clock import VirtualClock
from antiphon.server.engine import Engines

WORDS = 50_000
PER_FILE = 100
HEADERS = Headers({"authorization": "Bearer sk-bench", "content-type": "application/json"})


class Scribe:
    """Writes texts of words that are spread as in English."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        syllables = [a + b for a in "bcdfghklmnprstvw" for b in ("a", "e", "i", "o", "u", "ar", "en", "il")]
        makes = Random(0)
        self.words = ["".join(makes.choices(syllables, k=1 + rank // 128 % 3 + (rank > 400))) for rank in range(WORDS)]
        self.weights = list(accumulate(1 / (rank + 2.7) for rank in range(WORDS)))

    def text(self, count: int) -> str:
        return " ".join(self.random.choices(self.words, cum_weights=self.weights, k=count))


def ask(server: Server, method: str, path: str, body: Any = None) -> Any:
    answer: Any = server(Request(method, path, "", HEADERS, b"" if body is None else json.dumps(body).encode()))
    if not isinstance(answer, Response):
        answer = run(answer, server.world)
    told = json.loads(answer.content)
    if answer.status != 200:
        raise SystemExit(told)
    return told


def filled(server: Server, scribe: Scribe, chunks: int) -> str:
    """A store with so many chunks."""
    store: str = ask(server, "POST", "/v1/vector_stores", {"name": "bench"})["id"]
    strategy = {"type": "static", "static": {"max_chunk_size_tokens": 256, "chunk_overlap_tokens": 0}}
    made = 0
    while made < chunks:
        text = chunked(scribe.text(90 * PER_FILE), Strategy(256, 0))
        spans = text.spans[: min(PER_FILE, chunks - made)]
        made += len(spans)
        data = text.text[: spans[-1][1]].encode()
        file = keep_file(server, data, f"{made}.txt", "assistants", at=0)
        body = {"file_id": file["id"], "chunking_strategy": strategy, "attributes": {"part": made // PER_FILE % 10}}
        ask(server, "POST", f"/v1/vector_stores/{store}/files", body)
    server.clock.advance(60)
    told = ask(server, "GET", f"/v1/vector_stores/{store}")
    assert told["status"] == "completed", told
    return store


def measure(chunks: int, queries: int) -> None:
    server = Server(Engines(embeddings=embedding_engine()), clock=VirtualClock())
    store = filled(server, Scribe(chunks), chunks)
    path = f"/v1/vector_stores/{store}/search"
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.process_time()
    ask(server, "POST", path, {"query": "first"})
    indexed = time.process_time() - began
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    asks = Scribe(chunks + 1)
    lines: list[tuple[str, list[float]]] = []
    for name, more in (
        ("", {}),
        (", a tenth of the files by a filter", {"filters": {"type": "eq", "key": "part", "value": 3}}),
    ):
        took: list[float] = []
        for number in range(queries):
            body = {"query": asks.text(1 + number % 8), **more}
            began = time.process_time()
            ask(server, "POST", path, body)
            took.append((time.process_time() - began) * 1000)
        lines.append((name, took))
    for name, took in lines:
        ranked = sorted(took)
        print(
            f"{chunks:>8,} chunks{name}: median {statistics.median(took):.1f} ms, "
            f"99 of 100 within {ranked[len(ranked) * 99 // 100 - 1]:.1f} ms, longest {ranked[-1]:.1f} ms"
        )
    print(f"{'':>8} indexed in {indexed:.1f} s of CPU, {indexed / chunks * 1e6:.0f} µs a chunk, {grown:.0f} MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 10_000, 100_000])
    options = parser.parse_args()
    for size in options.sizes:
        measure(size, options.queries)


if __name__ == "__main__":
    main()
