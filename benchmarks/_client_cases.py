"""One measurement of one client, in a process of its own: `_client_cases.py SUBJECT CASE PORT FILE` prints JSON.

    cpu     seconds of CPU of this process, its threads included, for one of the things a case does; the best of some
    wall    seconds until all was done, where many things are done at once
    memory  MB the process took at most, over what it had after a first, small one

Prints `null` where the subject has no such thing. What a subject answers is checked: nobody is measured who skips work.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import json
import resource
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeAlias

CHUNKS = 10_000
ITEMS = 100_000
IN_FLIGHT = 32
HELD = 1000
LONGEST = 3.0
"""Seconds of CPU after which no other round is begun."""

Figures: TypeAlias = dict[str, float]


def best(function: Callable[[], int], rounds: int) -> Figures:
    """CPU for one of the things a round does, the least of some rounds after one that is not counted."""
    begun = time.process_time()
    function()
    figures: list[float] = []
    for _ in range(rounds):
        start = time.process_time()
        count = function()
        end = time.process_time()
        figures.append((end - start) / count)
        if end - begun > LONGEST:
            break
    return {"cpu": min(figures)}


def once(function: Callable[[], int]) -> Figures:
    """Everything there is to say of something that is done once."""
    gc.collect()
    before = resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    wall, cpu = time.perf_counter(), time.process_time()
    count = function()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return {"cpu": cpu / count, "wall": wall, "memory": resident("VmHWM") - before}


def resident(what: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(what)).split()[1]) / 1024


def times(function: Callable[[], Any], count: int) -> Callable[[], int]:
    def some() -> int:
        for _ in range(count):
            function()
        return count

    return some


loop = asyncio.new_event_loop()


def awaited(function: Callable[[], Awaitable[int]]) -> Callable[[], int]:
    return lambda: loop.run_until_complete(function())


def checked(length: int) -> int:
    if length not in (-1, 5 * CHUNKS):  # -1: of who does not decode
        raise SystemExit(f"a stream of {5 * CHUNKS} characters had {length}")
    return CHUNKS


def construct(subject: Any, file: Path) -> Figures:
    return best(times(subject.construct, 50), 10)


def sync(subject: Any, file: Path) -> Figures:
    return best(times(subject.call, 300), 12)


def parse(subject: Any, file: Path) -> Figures:
    answer = subject.parse()
    if type(answer).__name__ != "Weather" or len(answer.days) != 5:
        raise SystemExit(f"not parsed: {answer!r}")
    return best(times(subject.parse, 200), 12)


def in_flight(subject: Any, file: Path) -> Figures:
    async def some() -> int:
        async def worker() -> None:
            for _ in range(20):
                await subject.acall()

        await asyncio.gather(*[worker() for _ in range(IN_FLIGHT)])
        return 20 * IN_FLIGHT

    return best(awaited(some), 8)


def held(subject: Any, file: Path) -> Figures:
    """As many calls as there are, none of which is answered before all are waiting."""
    _ = subject.acall
    loop.run_until_complete(subject.acall())

    async def all_at_once() -> int:
        await asyncio.gather(*[subject.acall(f"/held{HELD}") for _ in range(HELD)])
        return HELD

    return once(awaited(all_at_once))


def stream_each(subject: Any, file: Path) -> Figures:
    return best(lambda: checked(subject.stream("/each")), 4)


def stream_burst(subject: Any, file: Path) -> Figures:
    return best(lambda: checked(subject.stream("/burst")), 4)


def astream_each(subject: Any, file: Path) -> Figures:
    async def whole() -> int:
        return checked(await subject.astream("/each"))

    _ = subject.astream
    return best(awaited(whole), 4)


def astream_burst(subject: Any, file: Path) -> Figures:
    async def whole() -> int:
        return checked(await subject.astream("/burst"))

    _ = subject.astream
    return best(awaited(whole), 4)


def helper(subject: Any, file: Path) -> Figures:
    _ = subject.helper
    return best(lambda: checked(subject.helper("/burst")), 4)


def ahelper(subject: Any, file: Path) -> Figures:
    async def whole() -> int:
        return checked(await subject.ahelper("/burst"))

    _ = subject.ahelper
    return best(awaited(whole), 4)


def small(file: Path) -> Path:
    """What goes up first, so that connections and modules are there."""
    return file.with_suffix(".small")


def upload(subject: Any, file: Path) -> Figures:
    subject.upload(small(file))
    return once(times(lambda: subject.upload(file), 1))


def upload_path(subject: Any, file: Path) -> Figures:
    subject.upload_path(small(file))
    return once(times(lambda: subject.upload_path(file), 1))


def aupload(subject: Any, file: Path) -> Figures:
    loop.run_until_complete(subject.aupload(small(file)))

    async def whole() -> int:
        await subject.aupload(file)
        return 1

    return once(awaited(whole))


def counted(count: int) -> int:
    if count != ITEMS:
        raise SystemExit(f"{count} items instead of {ITEMS}")
    return count


def pages(subject: Any, file: Path) -> Figures:
    _ = subject.pages
    return best(lambda: counted(subject.pages()), 3)


def apages(subject: Any, file: Path) -> Figures:
    async def whole() -> int:
        return counted(await subject.apages())

    _ = subject.apages
    return best(awaited(whole), 3)


MODULES = {"openai": "package", "antiphon": "package"}


def main(name: str, case: str, port: str, file: str) -> None:
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    subject = importlib.import_module(f"_subjects.{MODULES.get(name, name)}").Subject(name, int(port))
    asyncio.set_event_loop(loop)
    try:
        figures: Figures | None = globals()[case](subject, Path(file))
    except AttributeError as error:
        if error.obj is not subject:
            raise
        figures = None
    print(json.dumps(figures), flush=True)
    time.sleep(0.05)  # pyreqwest's thread may abort an interpreter that ends at once


if __name__ == "__main__":
    main(*sys.argv[1:])
