"""Large files: how long they take to a served fake and back, and how much memory that costs it.

    make bench            or: python benchmarks/files.py [--size 512] [--limit 64]

The fake runs in a process of its own, its client in this one. For each way of sending `--size` MiB the benchmark tells
the seconds, and by how much the peak of the server's resident memory grew over what it had when it had answered a small
request; the client's the same way. It fails where the server's grows by more than `--limit` MiB, or the bytes that come
back are not those that were sent. Needs Linux, whose `/proc` tells the peaks.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

MIB = 1024 * 1024
SERVE = """
import sys
from antiphon import FakeOpenAI
server = FakeOpenAI().start(port=0)
print(server.base_url, flush=True)
sys.stdin.read()
server.stop()
"""


def peak(pid: int | str, *, anew: bool = False) -> float:
    """The most resident memory a process had, in MiB; `anew`: from now on."""
    if anew:
        Path(f"/proc/{pid}/clear_refs").write_text("5")
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return int(fields["VmHWM"].split()[0]) / 1024


@contextmanager
def served() -> Generator[tuple[str, int]]:
    """A fake in a process of its own: where it is, and the process."""
    process = subprocess.Popen([sys.executable, "-c", SERVE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip(), process.pid
    finally:
        process.communicate(timeout=30)


def written(path: Path, size: int) -> str:
    """Fill a file with that many MiB of JSON lines and give their checksum."""
    line = b'{"messages": [{"role": "user", "content": "' + b"x" * 970 + b'"}]}'
    block = (line + b" " * (1023 - len(line)) + b"\n") * 1024
    seen = hashlib.md5(usedforsecurity=False)
    with path.open("wb") as file:
        for _ in range(size):
            file.write(block)
            seen.update(block)
    return seen.hexdigest()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=512, help="of the file, in MiB")
    parser.add_argument("--limit", type=int, default=64, help="what the server's memory may grow by, in MiB")
    asked = parser.parse_args()
    if not os.path.exists("/proc/self/clear_refs"):
        print("passed over: there is no /proc here")
        return 0

    from antiphon import OpenAI

    failed = False
    with tempfile.TemporaryDirectory() as folder, served() as (url, pid):
        path = Path(folder, "large.jsonl")
        md5 = written(path, asked.size)
        client = OpenAI(api_key="sk-bench", base_url=url, timeout=600)
        client.files.create(file=("small", b"x"), purpose="user_data")
        last: list[Any] = []

        def create(purpose: str) -> Callable[[], bool]:
            def run() -> bool:
                last[:] = [client.files.create(file=path, purpose=purpose)]  # type: ignore[arg-type]
                return bool(last[0].bytes == asked.size * MIB)

            return run

        def download() -> bool:
            seen = hashlib.md5(usedforsecurity=False)
            with client.files.with_streaming_response.content(last[0].id) as response:
                for piece in response.iter_bytes():
                    seen.update(piece)
            return seen.hexdigest() == md5

        def slowly() -> bool:
            with client.files.with_streaming_response.content(last[0].id) as response:
                pieces = response.iter_bytes()
                next(pieces)
                time.sleep(2)  # a server that sends regardless has all of it in memory by now
                return next(pieces) != b""

        def parts() -> bool:
            last[:] = [
                client.uploads.upload_file_chunked(file=path, mime_type="text/jsonl", purpose="fine-tune", md5=md5)
            ]
            return bool(last[0].status == "completed")

        ways: list[tuple[str, Callable[[], bool]]] = [
            ("a file, any bytes", create("user_data")),
            ("its content, as fast as it goes", download),
            ("its content, to a slow client", slowly),
            ("a file of checked JSON lines", create("fine-tune")),
            ("an upload in parts of 64 MiB, checked", parts),
        ]
        print(f"{asked.size} MiB{'':<35}{'seconds':>9}{'server, MiB':>13}{'client, MiB':>13}")
        for name, run in ways:
            before, own = peak(pid, anew=True), peak("self", anew=True)
            began = time.perf_counter()
            good = run()
            seconds = time.perf_counter() - began
            grown = peak(pid) - before
            print(f"{name:<42}{seconds:>9.2f}{grown:>13.1f}{peak('self') - own:>13.1f}")
            if not good or grown > asked.limit:
                failed = True
                print("  failed: " + (f"more than {asked.limit} MiB" if good else "not what was sent"))
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
