"""The server both clients are measured against: constant answers over raw asyncio. Prints its port.

POST /v1/…           a chat completion
POST /v1/each/…      a stream of N chunks, one write and one HTTP chunk for each
POST /v1/burst/…     the same, 16 chunks to a write
"""

from __future__ import annotations

import asyncio
import sys

CHUNKS = 1000
USAGE = b'"usage":{"prompt_tokens":19,"completion_tokens":10,"total_tokens":29}'
COMPLETION = (
    b'{"id":"chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT","object":"chat.completion","created":1741569952,'
    b'"model":"gpt-4.1-2025-04-14","choices":[{"index":0,"message":{"role":"assistant","content":"Hello! How can I '
    b'assist you today?","refusal":null,"annotations":[]},"logprobs":null,"finish_reason":"stop"}],'
    + USAGE
    + b',"service_tier":"default","system_fingerprint":"fp_1a2b3c"}'
)
CHUNK = (
    b'data: {"id":"chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT","object":"chat.completion.chunk","created":1741569952,'
    b'"model":"gpt-4.1-2025-04-14","service_tier":"default","system_fingerprint":"fp_1a2b3c","choices":[{"index":0,'
    b'"delta":{"content":" word"},"logprobs":null,"finish_reason":null}],"usage":null,"obfuscation":"a1b2c3"}\n\n'
)
HEADERS = b"x-request-id: req_1\r\nopenai-version: 2020-10-01\r\nopenai-processing-ms: 3\r\n"
ANSWER = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n%scontent-length: %d\r\n\r\n" % (HEADERS, len(COMPLETION))
    + COMPLETION
)
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n%stransfer-encoding: chunked\r\n\r\n" % HEADERS
END = b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"


def framed(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


class Connection(asyncio.Protocol):
    transport: asyncio.Transport
    buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while True:
            head, blank, rest = self.buffer.partition(b"\r\n\r\n")
            if not blank:
                return
            at = head.lower().find(b"content-length: ")
            length = int(head[at + 16 :].partition(b"\r\n")[0]) if at >= 0 else 0
            if len(rest) < length:
                return
            self.buffer = rest[length:]
            path = head.split(b" ", 2)[1]
            if path.startswith(b"/v1/each"):
                self.task = asyncio.ensure_future(self.stream(1))
            elif path.startswith(b"/v1/burst"):
                self.task = asyncio.ensure_future(self.stream(16))
            else:
                self.transport.write(ANSWER)

    async def stream(self, at_once: int) -> None:
        self.transport.write(HEAD)
        for start in range(0, CHUNKS, at_once):
            self.transport.write(framed(CHUNK * min(at_once, CHUNKS - start)))
            await asyncio.sleep(0)
        self.transport.write(END)


async def main() -> None:
    server = await asyncio.get_running_loop().create_server(Connection, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        sys.exit(0)
