"""One measurement of one client, in a process of its own: `_client_cases.py SUBJECT CASE PORT` prints microseconds.

The figures are CPU time of this process, its threads included, per call, client or chunk; the best of some rounds.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

MESSAGES: list[Any] = [{"role": "user", "content": "Say hello."}]
IN_FLIGHT = 32


def best(function: Callable[[], int], rounds: int) -> float:
    """Microseconds of CPU for one of the things a round does."""
    function()
    figures: list[float] = []
    for _ in range(rounds):
        start = time.process_time()
        count = function()
        figures.append((time.process_time() - start) / count * 1e6)
    return min(figures)


class Package:
    """A package with `OpenAI` and `AsyncOpenAI`."""

    def __init__(self, name: str, port: int) -> None:
        self.module: Any = __import__(name)
        self.url = f"http://127.0.0.1:{port}/v1"

    def client(self, path: str = "", kind: str = "OpenAI") -> Any:
        return getattr(self.module, kind)(api_key="sk-measured", base_url=self.url + path)

    def construct(self) -> float:
        def some() -> int:
            for _ in range(50):
                self.client()
            return 50

        return best(some, 10)

    def sync(self) -> float:
        client = self.client()

        def some() -> int:
            for _ in range(300):
                answer = client.chat.completions.create(model="gpt-4.1", messages=MESSAGES)
                _ = answer.choices[0].message.content
            return 300

        return best(some, 12)

    def in_flight(self) -> float:
        client = self.client(kind="AsyncOpenAI")

        async def one() -> None:
            answer = await client.chat.completions.create(model="gpt-4.1", messages=MESSAGES)
            _ = answer.choices[0].message.content

        return concurrently(one)

    def stream(self, path: str) -> float:
        client = self.client(path)

        def some() -> int:
            count = 0
            for chunk in client.chat.completions.create(model="gpt-4.1", messages=MESSAGES, stream=True):
                count += len(chunk.choices[0].delta.content) // 5
            return count

        return best(some, 8)

    def astream(self, path: str) -> float:
        client = self.client(path, "AsyncOpenAI")

        async def some() -> int:
            count = 0
            async for chunk in await client.chat.completions.create(model="gpt-4.1", messages=MESSAGES, stream=True):
                count += len(chunk.choices[0].delta.content) // 5
            return count

        loop = asyncio.new_event_loop()
        return best(lambda: loop.run_until_complete(some()), 8)


class Bare(Package):
    """pyreqwest and orjson, with the least that makes a call."""

    def __init__(self, name: str, port: int) -> None:
        import orjson
        from pyreqwest.client import ClientBuilder, SyncClientBuilder

        self.dumps, self.loads = orjson.dumps, orjson.loads
        self.blocking, self.awaited = SyncClientBuilder, ClientBuilder
        self.url = f"http://127.0.0.1:{port}/v1"
        self.headers = [
            ("authorization", "Bearer sk-measured"),
            ("accept", "application/json"),
            ("content-type", "application/json"),
            ("user-agent", "bare"),
        ]

    def construct(self) -> float:
        return best(lambda: self.blocking().build() and 1, 10)

    def sync(self) -> float:
        client, url = self.blocking().build(), f"{self.url}/chat/completions"

        def some() -> int:
            for _ in range(300):
                body = self.dumps({"model": "gpt-4.1", "messages": MESSAGES})
                answer = client.post(url).headers(self.headers).body_bytes(body).build().send()
                self.loads(answer.bytes().to_bytes())["choices"][0]["message"]["content"]
            return 300

        return best(some, 12)

    def in_flight(self) -> float:
        client, url = self.awaited().build(), f"{self.url}/chat/completions"

        async def one() -> None:
            body = self.dumps({"model": "gpt-4.1", "messages": MESSAGES})
            answer = await client.post(url).headers(self.headers).body_bytes(body).build().send()
            _ = self.loads((await answer.bytes()).to_bytes())["choices"][0]["message"]["content"]

        return concurrently(one)

    def stream(self, path: str) -> float:
        client, url = self.blocking().build(), f"{self.url}{path}/chat/completions"

        def some() -> int:
            request = client.post(url).headers(self.headers).body_bytes(b"{}").streamed_read_buffer_limit(0)
            with request.build_streamed() as answer:
                read = answer.body_reader.read_chunk
                while read() is not None:
                    pass
            return 1000

        return best(some, 8)

    def astream(self, path: str) -> float:
        client, url = self.awaited().build(), f"{self.url}{path}/chat/completions"

        async def some() -> int:
            request = client.post(url).headers(self.headers).body_bytes(b"{}").streamed_read_buffer_limit(0)
            async with request.build_streamed() as answer:
                read = answer.body_reader.read_chunk
                while await read() is not None:
                    pass
            return 1000

        loop = asyncio.new_event_loop()
        return best(lambda: loop.run_until_complete(some()), 8)


def concurrently(one: Callable[[], Awaitable[None]]) -> float:
    async def some() -> int:
        async def worker() -> None:
            for _ in range(20):
                await one()

        await asyncio.gather(*[worker() for _ in range(IN_FLIGHT)])
        return 20 * IN_FLIGHT

    loop = asyncio.new_event_loop()
    return best(lambda: loop.run_until_complete(some()), 8)


CASES: dict[str, Callable[[Package], float]] = {
    "construct": Package.construct,
    "sync": Package.sync,
    "in_flight": Package.in_flight,
    "stream_each": lambda subject: subject.stream("/each"),
    "stream_burst": lambda subject: subject.stream("/burst"),
    "astream_each": lambda subject: subject.astream("/each"),
    "astream_burst": lambda subject: subject.astream("/burst"),
}

if __name__ == "__main__":
    name, case, port = sys.argv[1:]
    subject = Bare(name, int(port)) if name == "bare" else Package(name, int(port))
    figure = getattr(subject, case)() if hasattr(Package, case) else CASES[case](subject)
    print(figure, flush=True)
    time.sleep(0.05)  # pyreqwest's thread may abort an interpreter that ends at once
