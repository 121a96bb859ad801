"""The server that clients are measured against: constant answers, in a process of its own. Prints its port.

POST /v1/…           a chat completion
POST /v1/parsed/…    a chat completion whose text is JSON that fits `Weather`
POST /v1/heldN/…     a chat completion, once N of them are waiting for one
POST /v1/each/…      a stream of chunks, one write and one HTTP chunk for each
POST /v1/burst/…     the same, 16 chunks to a write
POST /v1/hundred/…   a stream of 100 chunks, one write for each
POST /v1/paced/…     the same, 5 ms from one to the next
POST /v1/open/…      the beginning of a stream, and no more
POST /v1/files       takes whatever is uploaded, keeps nothing of it, answers a file
GET  /v1/files       100 files a page until there were ITEMS

It answers with bytes that were put together beforehand, on uvloop: it waits for the clients and not they for it.
"""

from __future__ import annotations

import asyncio
import json
import sys

import uvloop

CHUNKS = 10_000
ITEMS = 100_000
PAGE = 100
WORDS = [
    " " + word for word in "call ours over pipe wire node ring send wait loop task file page item text word".split()
]
"""Texts of chunks, five characters each: litellm takes a text that comes again and again for a fault."""
TEXT = "Hello! How can I assist you today?"
PARSED = {
    "city": "Paris",
    "degrees": 21.5,
    "conditions": ["sunny", "windy"],
    "days": [{"day": day, "high": 20 + day, "low": 10 + day, "summary": "Much as the day before."} for day in range(5)],
    "advice": None,
}


def completion(text: str) -> bytes:
    return json.dumps(
        {
            "id": "chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT",
            "object": "chat.completion",
            "created": 1741569952,
            "model": "gpt-4.1-2025-04-14",
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": text, "refusal": None, "annotations": []},
                    "logprobs": None,
                    "finish_reason": "stop",
                }
            ],
            "usage": {"prompt_tokens": 19, "completion_tokens": 10, "total_tokens": 29},
            "service_tier": "default",
            "system_fingerprint": "fp_1a2b3c",
        },
        separators=(",", ":"),
    ).encode()


def chunk(delta: str, finish: str = "null") -> bytes:
    return (
        'data: {"id":"chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT","object":"chat.completion.chunk","created":1741569952,'
        '"model":"gpt-4.1-2025-04-14","service_tier":"default","system_fingerprint":"fp_1a2b3c","choices":[{"index":0,'
        f'"delta":{{{delta}}},"logprobs":null,"finish_reason":{finish}}}],"usage":null,"obfuscation":"a1b2c3"}}\n\n'
    ).encode()


def file(number: int) -> str:
    return (
        f'{{"id":"file-{number:012d}","object":"file","bytes":{120000 + number},"created_at":1741569952,'
        '"expires_at":null,"filename":"training-data.jsonl","purpose":"fine-tune","status":"processed",'
        '"status_details":null}'
    )


def page(after: int) -> bytes:
    files = ",".join(map(file, range(after + 1, after + 1 + PAGE)))
    more = "true" if after + PAGE < ITEMS else "false"
    first, last = f"file-{after + 1:012d}", f"file-{after + PAGE:012d}"
    return f'{{"object":"list","data":[{files}],"first_id":"{first}","last_id":"{last}","has_more":{more}}}'.encode()


HEADERS = b"x-request-id: req_1\r\nopenai-version: 2020-10-01\r\nopenai-processing-ms: 3\r\n"


def whole(body: bytes) -> bytes:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n%scontent-length: %d\r\n\r\n" % (HEADERS, len(body))
    return head + body


def framed(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def writes(at_once: int, count: int = CHUNKS) -> list[bytes]:
    """What a stream is written in."""
    chunks = [chunk(f'"content":"{WORDS[i % len(WORDS)]}"') for i in range(count)]
    groups = [b"".join(chunks[start : start + at_once]) for start in range(0, count, at_once)]
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n%stransfer-encoding: chunked\r\n\r\n" % HEADERS
    first = head + framed(chunk('"role":"assistant","content":"","refusal":null'))
    last = framed(chunk("", '"stop"')) + framed(b"data: [DONE]\n\n") + b"0\r\n\r\n"
    return [first, *map(framed, groups), last]


ANSWER = whole(completion(TEXT))
PARSED_ANSWER = whole(completion(json.dumps(PARSED)))
FILE = whole(file(1).encode())
HUNDRED = writes(1, 100)
STREAMS = {b"each": writes(1), b"burst": writes(16), b"hundred": HUNDRED, b"paced": HUNDRED, b"open": HUNDRED[:2]}
PACES = {b"paced": 0.005}
"""Seconds from one write to the next."""
PAGES: dict[int, bytes] = {}
BUFFER = bytearray(1 << 20)
"""Into which every connection reads: what arrived is looked at before anything else is read."""


class Connection(asyncio.BufferedProtocol):
    transport: asyncio.Transport
    waiting: list[Connection] = []

    def __init__(self) -> None:
        self.head = b""
        self.method = self.path = b""
        self.left = 0
        """Bytes of the request's body that have not come."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def get_buffer(self, sizehint: int) -> bytearray:
        return BUFFER

    def buffer_updated(self, count: int) -> None:
        if count < self.left:
            self.left -= count
            return
        if self.left:
            piece, self.left = bytes(BUFFER[self.left : count]), 0
            self.respond()
        else:
            piece = bytes(BUFFER[:count])
        self.head += piece
        while self.head:
            head, blank, rest = self.head.partition(b"\r\n\r\n")
            if not blank:
                return
            lower = head.lower()
            at = lower.find(b"\r\ncontent-length: ")
            length = int(lower[at + 18 :].partition(b"\r\n")[0]) if at >= 0 else 0
            self.method, self.path, _ = head.split(b" ", 2)
            self.left = max(0, length - len(rest))
            self.head = rest[length:]
            if b"\r\nexpect: 100-continue" in lower:
                self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            if b"\r\ntransfer-encoding:" in lower:
                self.transport.write(b"HTTP/1.1 411 Length Required\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
                self.transport.close()
                return
            if self.left:
                return
            self.respond()

    def respond(self) -> None:
        way = self.path.split(b"/", 3)[2]
        if way in STREAMS:
            self.task = asyncio.ensure_future(self.stream(STREAMS[way], PACES.get(way, 0)))
        elif way.startswith(b"held"):
            self.waiting.append(self)
            if len(self.waiting) == int(way[4:]):
                for each in self.waiting:
                    each.transport.write(ANSWER)
                self.waiting.clear()
        elif way == b"parsed":
            self.transport.write(PARSED_ANSWER)
        elif way == b"files" and self.method == b"POST":
            self.transport.write(FILE)
        elif way.startswith(b"files"):
            self.transport.write(paged(int(self.path.partition(b"after=file-")[2][:12] or b"0")))
        else:
            self.transport.write(ANSWER)

    async def stream(self, pieces: list[bytes], pace: float) -> None:
        write, gone = self.transport.write, self.transport.is_closing
        for piece in pieces:
            if gone():
                return
            write(piece)
            await asyncio.sleep(pace)


def paged(after: int) -> bytes:
    if after not in PAGES:
        PAGES[after] = whole(page(after))
    return PAGES[after]


async def main() -> None:
    server = await asyncio.get_running_loop().create_server(Connection, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    try:
        uvloop.run(main())
    except KeyboardInterrupt:
        sys.exit(0)
