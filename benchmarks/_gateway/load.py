"""Callers of a gateway: `python load.py WAY PORT PATH COUNT SECONDS [HEADERS]`. Prints what it saw as JSON.

whole      asks for answers on COUNT connections for so many seconds: answers a second, and how long each took
streams    the same for streamed ones, which are read to their end: streams, and events a second
held       opens COUNT streams, waits for the first event of each, and keeps them until a line comes
count      asks COUNT times on 32 connections

For `infer` and `generate_stream` in the path it asks as the protocol has it, otherwise as the OpenAI API has it: with
the model `chat`, or `open` for streams that are held. HEADERS is JSON.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import time

import uvloop

MESSAGES = [
    {"role": "system", "content": "You answer in one sentence."},
    {"role": "user", "content": "What is the capital of France?"},
]
PROMPT = "What is the capital of France?"
AT_ONCE = 50


def body_of(path: str, model: str, stream: bool) -> bytes:
    if path.endswith("/infer"):
        text = {"name": "text_input", "datatype": "BYTES", "shape": [1], "data": [PROMPT]}
        value: object = {"id": "1", "inputs": [text]}
    elif path.endswith("/generate_stream"):
        value = {"text_input": PROMPT, "stream": True}
    else:
        value = {"model": model, "messages": MESSAGES, **({"stream": True} if stream else {})}
    return json.dumps(value, separators=(",", ":")).encode()


def asking(path: str, model: str, headers: dict[str, str], stream: bool) -> bytes:
    body = body_of(path, model, stream)
    lines = [f"POST {path} HTTP/1.1", "host: 127.0.0.1", "content-type: application/json"]
    lines += [f"{name}: {value}" for name, value in {"authorization": "Bearer sk-none", **headers}.items()]
    return "\r\n".join([*lines, f"content-length: {len(body)}", "", ""]).encode() + body


class Caller(asyncio.Protocol):
    """Asks again when an answer has ended, until it is told to stop."""

    def __init__(self, asked: bytes, more: More, stream: bool) -> None:
        self.asked, self.more, self.stream = asked, more, stream
        self.held = b""
        self.began = 0.0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.WriteTransport = transport  # type: ignore[assignment]
        self.ask()

    def ask(self) -> None:
        if not self.more.another():
            self.done.set_result(None)
            return
        self.began = time.perf_counter()
        self.transport.write(self.asked)

    def data_received(self, data: bytes) -> None:
        if not self.held and not data.startswith(b"HTTP/1.1 200 "):
            self.done.set_exception(RuntimeError(data[:600].decode("latin-1")))
            return
        if self.stream:
            self.more.events += data.count(b"data: ")
            self.held = (self.held + data)[-7:]
            if self.held != b"\r\n0\r\n\r\n":
                return
        else:
            self.held = self.held + data if self.held else data
            end = self.held.find(b"\r\n\r\n")
            if end < 0:
                return
            head = self.held[:end].lower()
            at = head.find(b"\r\ncontent-length:")
            if at >= 0:
                if len(self.held) < end + 4 + int(head[at + 17 :].partition(b"\r\n")[0]):
                    return
            elif not self.held.endswith(b"\r\n0\r\n\r\n"):
                return
        self.held = b""
        self.more.took.append(time.perf_counter() - self.began)
        self.ask()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(error or ConnectionError("the server hung up"))


class More:
    """Whether there is to be another, and what came of those there were."""

    def __init__(self, until: float, count: float) -> None:
        self.until, self.left = until, count
        self.took: list[float] = []
        self.events = 0

    def another(self) -> bool:
        self.left -= 1
        return self.left >= 0 and time.perf_counter() < self.until


async def rate(asked: bytes, port: int, connections: int, more: More, stream: bool) -> dict[str, float]:
    loop = asyncio.get_running_loop()
    began = time.perf_counter()
    made = [loop.create_connection(lambda: Caller(asked, more, stream), "127.0.0.1", port) for _ in range(connections)]
    callers = [caller for _, caller in await asyncio.gather(*made)]
    await asyncio.gather(*(caller.done for caller in callers))
    seconds = time.perf_counter() - began
    for caller in callers:
        caller.transport.close()
    took = sorted(more.took)
    return {
        "rate": len(took) / seconds,
        "events": more.events / seconds,
        "p50": took[len(took) // 2],
        "p99": took[int(len(took) * 0.99)],
        "seconds": seconds,
    }


async def opened(port: int, asked: bytes) -> asyncio.StreamWriter:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(asked)
    got = await reader.readuntil(b"data: ")
    assert b" 200 " in got, got
    return writer


async def held(port: int, asked: bytes, count: int) -> None:
    kept: list[asyncio.StreamWriter] = []
    while len(kept) < count:
        some = min(AT_ONCE, count - len(kept))
        kept += await asyncio.gather(*(opened(port, asked) for _ in range(some)))
    print(json.dumps({"open": len(kept)}), flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    for writer in kept:
        writer.transport.abort()


async def main() -> None:
    way, port, path, count, seconds = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4]), float(sys.argv[5])
    headers: dict[str, str] = json.loads(sys.argv[6]) if len(sys.argv) > 6 else {}
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    stream = way in ("streams", "held")
    asked = asking(path, "open" if way == "held" else "chat", headers, stream)
    if way == "held":
        await held(port, asked, count)
    elif way == "count":
        print(json.dumps(await rate(asked, port, 32, More(time.perf_counter() + 3600, count), stream)))
    else:
        more = More(time.perf_counter() + seconds, float("inf"))
        print(json.dumps(await rate(asked, port, count, more, stream)))


if __name__ == "__main__":
    uvloop.run(main())
