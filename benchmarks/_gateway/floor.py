"""The least a gateway can be, by hand: uvloop, httptools and orjson on both sides. Nothing is checked, no error told.

python floor.py UPSTREAM_PORT      prints its port
"""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from typing import Any

import httptools
import orjson
import uvloop


class Server(asyncio.Protocol):
    """A connection to the server, for one request at a time."""

    def __init__(self, idle: deque[Server]) -> None:
        self.idle = idle

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def ask(self, caller: Caller, request: bytes, stream: bool) -> None:
        self.caller, self.stream = caller, stream
        self.body: list[bytes] = []
        self.rest = b""
        self.parser = httptools.HttpResponseParser(self)
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_body(self, data: bytes) -> None:
        if not self.stream:
            self.body.append(data)
            return
        *events, self.rest = (self.rest + data).split(b"\n\n")
        for event in events:
            self.caller.piece(orjson.loads(event[6:]))

    def on_message_complete(self) -> None:
        caller = self.caller
        self.idle.append(self)
        if self.stream:
            caller.ended()
        else:
            caller.whole(orjson.loads(b"".join(self.body)))


class Caller(asyncio.Protocol):
    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.parser = httptools.HttpRequestParser(self)
        self.body: list[bytes] = []

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_body(self, data: bytes) -> None:
        self.body.append(data)

    def on_message_complete(self) -> None:
        asked = orjson.loads(b"".join(self.body))
        self.body = []
        self.parser = httptools.HttpRequestParser(self)
        stream = asked.get("stream") is True
        prompt = "\n".join(f"{message['role']}: {message['content']}" for message in asked["messages"])
        if stream:
            path = b"/v2/models/%s/generate_stream" % asked["model"].encode()
            body = orjson.dumps({"text_input": prompt, "stream": True})
            self.begun = False
        else:
            path = b"/v2/models/chat/infer"
            text = {"name": "text_input", "datatype": "BYTES", "shape": [1], "data": [prompt]}
            body = orjson.dumps({"id": "1", "inputs": [text]})
        head = b"POST %s HTTP/1.1\r\nhost: upstream\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
        request = head % (path, len(body)) + body
        idle = self.gateway.idle
        if idle:
            idle.popleft().ask(self, request, stream)
        else:
            self.gateway.connect(self, request, stream)

    def whole(self, said: Any) -> None:
        text, reason, read, written = (output["data"][0] for output in said["outputs"])
        body = orjson.dumps(
            {
                "id": "chatcmpl-1",
                "object": "chat.completion",
                "created": 1741569952,
                "model": "chat",
                "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": reason}],
                "usage": {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written},
            }
        )
        head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
        self.transport.write(head % len(body) + body)

    def piece(self, said: Any) -> None:
        delta = {"content": said["text_output"]}
        choice = {"index": 0, "delta": delta, "finish_reason": None}
        data = b"data: %s\n\n" % orjson.dumps(
            {
                "id": "chatcmpl-1",
                "object": "chat.completion.chunk",
                "created": 1741569952,
                "model": "chat",
                "choices": [choice],
            }
        )
        framed = b"%x\r\n%s\r\n" % (len(data), data)
        if not self.begun:
            self.begun = True
            head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
            framed = head + framed
        self.transport.write(framed)

    def ended(self) -> None:
        self.transport.write(b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n")


class Gateway:
    def __init__(self, port: int) -> None:
        self.port = port
        self.idle: deque[Server] = deque()

    def connect(self, caller: Caller, request: bytes, stream: bool) -> None:
        async def connected() -> None:
            loop = asyncio.get_running_loop()
            _, server = await loop.create_connection(lambda: Server(self.idle), "127.0.0.1", self.port)
            server.ask(caller, request, stream)

        asyncio.ensure_future(connected())  # noqa: RUF006 (it is over at once)


async def main() -> None:
    gateway = Gateway(int(sys.argv[1]))
    server = await asyncio.get_running_loop().create_server(lambda: Caller(gateway), "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    import resource

    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    uvloop.run(main())
