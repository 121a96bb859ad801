"""What state costs the server: pages of a million objects, a batch of 10,000 lines, memory for each object.

    .venv/bin/python -m benchmarks.state [--objects 1000000] [--lines 10000]

In process, CPU time of this process; ratios are between pages of the same list.
"""

from __future__ import annotations

import argparse
import gc
import json
import resource
import time
from statistics import median
from typing import Any

from antiphon import FakeOpenAI
from antiphon.server.clock import VirtualClock

PAGE = 100


def rss() -> int:
    """Bytes of memory this process has now."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def pages(count: int) -> None:
    fake = FakeOpenAI()
    client = fake.client()
    sample = client.files.create(file=("a.txt", b"x"), purpose="assistants").to_dict()
    fake.reset()
    gc.collect()
    before = rss()
    names: list[str] = []
    for number in range(count):
        name = f"file-{number:022d}"
        names.append(name)
        fake.server.store.put("files", name, {**sample, "id": name, "filename": f"{number}.txt"})
    gc.collect()
    print(f"memory for each of {count:,} stored objects: {(rss() - before) / count:.0f} bytes")
    depths = {
        "the first page": None,
        "a tenth in": names[-count // 10],
        "the middle": names[count // 2],
        "the last": names[PAGE],
    }
    client.files.list(limit=PAGE)
    for title, after in depths.items():
        options: dict[str, Any] = {} if after is None else {"after": after}
        times: list[float] = []
        for _ in range(50):
            began = time.process_time()
            page = client.files.list(limit=PAGE, **options)
            times.append(time.process_time() - began)
            assert len(page.data) == PAGE
        print(f"{title:>15} of {PAGE}: {median(times) * 1e6:.0f} us")


def batch(count: int) -> None:
    fake = FakeOpenAI("echo", clock=VirtualClock())
    client = fake.client()
    rows = (
        json.dumps(
            {
                "custom_id": str(number),
                "method": "POST",
                "url": "/v1/chat/completions",
                "body": {"model": "gpt-5", "messages": [{"role": "user", "content": f"Number {number}"}]},
            }
        )
        for number in range(count)
    )
    file = client.files.create(file=("in.jsonl", "\n".join(rows).encode()), purpose="batch")
    client.chat.completions.create(model="gpt-5", messages=[{"role": "user", "content": "warm"}])
    batch = client.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h")
    fake.clock.advance(60)
    began = time.process_time()
    done = client.batches.retrieve(batch.id)
    spent = time.process_time() - began
    assert done.status == "completed", done.status
    assert done.request_counts is not None
    assert done.request_counts.completed == count
    print(f"a batch of {count:,} lines: {spent:.2f} s of CPU, {spent / count * 1e6:.0f} us a line")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--objects", type=int, default=1_000_000)
    parser.add_argument("--lines", type=int, default=10_000)
    options = parser.parse_args()
    pages(options.objects)
    batch(options.lines)


if __name__ == "__main__":
    main()
