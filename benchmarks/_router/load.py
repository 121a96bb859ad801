"""Callers of a route: `python load.py WAY PORT PATH COUNT [SECONDS]`. Prints what it saw as JSON.

rate       asks on COUNT connections for so many seconds, until the last has its answer: streams, and how long it took
first      streams one after the other: until the first event, and from one event to the next, in seconds
streams    opens COUNT streams, waits for the first event of each, and keeps them until a line comes
sockets    opens COUNT websockets as a browser does, and keeps them until a line comes
"""

from __future__ import annotations

import asyncio
import json
import resource
import statistics
import sys
import time
from itertools import pairwise

import uvloop

BODY = json.dumps({"messages": [{"role": "user", "content": "Say a hundred words."}]}).encode()
AT_ONCE = 50
"""How many connections are opened together."""


def asking(path: str) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\naccept: text/event-stream\r\ncontent-type: application/json\r\n"
    return f"{head}content-length: {len(BODY)}\r\n\r\n".encode() + BODY


def upgrading(path: str) -> bytes:
    key = "dGhlIHNhbXBsZSBub25jZQ=="
    return (
        f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
        f"sec-websocket-version: 13\r\nsec-websocket-key: {key}\r\n"
        "sec-websocket-extensions: permessage-deflate; client_max_window_bits\r\n\r\n"
    ).encode()


class Caller(asyncio.Protocol):
    """Asks again when an answer has ended, until it is time to stop."""

    def __init__(self, asked: bytes, until: float) -> None:
        self.asked, self.until = asked, until
        self.answered = self.pieces = 0
        self.tail = b""
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.WriteTransport = transport  # type: ignore[assignment]
        self.transport.write(self.asked)

    def data_received(self, data: bytes) -> None:
        self.pieces += 1
        if not self.tail and not data.startswith(b"HTTP/1.1 200 "):
            self.done.set_exception(RuntimeError(data[:300].decode("latin-1")))
            return
        self.tail = (self.tail + data)[-7:] if len(data) < 7 else data[-7:]
        if self.tail == b"\r\n0\r\n\r\n":
            self.answered += 1
            self.tail = b""
            if time.perf_counter() < self.until:
                self.transport.write(self.asked)
            else:
                self.done.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(error or ConnectionError("the server hung up"))


async def rate(port: int, path: str, count: int, seconds: float) -> dict[str, float]:
    loop, asked = asyncio.get_running_loop(), asking(path)
    began = time.perf_counter()
    made = [loop.create_connection(lambda: Caller(asked, began + seconds), "127.0.0.1", port) for _ in range(count)]
    callers = [caller for _, caller in await asyncio.gather(*made)]
    await asyncio.gather(*(caller.done for caller in callers))
    took = time.perf_counter() - began
    for caller in callers:
        caller.transport.close()
    streams = sum(caller.answered for caller in callers)
    return {"streams": streams, "seconds": took, "pieces": sum(caller.pieces for caller in callers) / streams}


async def first(port: int, path: str, count: int) -> dict[str, float]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    waits: list[float] = []
    gaps: list[float] = []
    for _ in range(count + 1):
        began = time.perf_counter()
        writer.write(asking(path))
        await reader.readuntil(b"\r\n\r\n")
        arrived: list[float] = []
        while length := int(await reader.readline(), 16):
            events = (await reader.readexactly(length + 2)).count(b"data: ")
            arrived += [time.perf_counter()] * events
        await reader.readexactly(2)
        waits.append(arrived[0] - began)
        gaps += [after - before for before, after in pairwise(arrived)]
    writer.close()
    gaps = gaps[len(gaps) // (count + 1) :]
    together = sum(gap < 0.001 for gap in gaps) / len(gaps)
    return {"first": statistics.median(waits[1:]), "gap": statistics.median(gaps), "together": together}


async def opened(port: int, asked: bytes, until: bytes) -> asyncio.StreamWriter:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(asked)
    got = await reader.readuntil(until)
    assert b" 200 " in got or b" 101 " in got, got
    return writer


async def held(port: int, asked: bytes, until: bytes, count: int) -> None:
    kept: list[asyncio.StreamWriter] = []
    while len(kept) < count:
        some = min(AT_ONCE, count - len(kept))
        kept += await asyncio.gather(*(opened(port, asked, until) for _ in range(some)))
    print(json.dumps({"open": len(kept)}), flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    for writer in kept:
        writer.transport.abort()


async def main() -> None:
    way, port, path, count = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if way == "rate":
        print(json.dumps(await rate(port, path, count, float(sys.argv[5]))))
    elif way == "first":
        print(json.dumps(await first(port, path, count)))
    elif way == "streams":
        await held(port, asking(path), b"data: ", count)
    else:
        await held(port, upgrading(path), b"\r\n\r\n", count)


if __name__ == "__main__":
    uvloop.run(main())
