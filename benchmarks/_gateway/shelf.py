"""The least a gateway can be on what this package is made of: granian, pyreqwest and orjson, and nothing in between.

python shelf.py UPSTREAM_PORT      prints its port
"""

from __future__ import annotations

import asyncio
import socket
import sys
from typing import Any

import orjson
import uvloop
from granian.constants import HTTPModes, Interfaces
from granian.server.embed import Server
from pyreqwest.client import ClientBuilder

JSON = [("content-type", "application/json")]
EVENTS = [("content-type", "text/event-stream")]


def chunk(said: Any) -> bytes:
    choice = {"index": 0, "delta": {"content": said["text_output"]}, "finish_reason": None}
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1741569952, "model": "chat"}
    return b"data: %s\n\n" % orjson.dumps({**head, "choices": [choice]})


class App:
    def __init__(self, port: str) -> None:
        self.origin = f"http://127.0.0.1:{port}/v2/models"
        self.client: Any = None

    async def __rsgi__(self, scope: Any, protocol: Any) -> None:
        if self.client is None:
            self.client = ClientBuilder().pool_max_idle_per_host(1024).build()
        asked = orjson.loads(await protocol())
        prompt = "\n".join(f"{message['role']}: {message['content']}" for message in asked["messages"])
        if asked.get("stream") is True:
            body = orjson.dumps({"text_input": prompt, "stream": True})
            request = self.client.post(f"{self.origin}/{asked['model']}/generate_stream").headers(JSON).body_bytes(body)
            async with request.streamed_read_buffer_limit(0).build_streamed() as response:
                read, rest = response.body_reader.read_chunk, b""
                out = protocol.response_stream(200, EVENTS)
                while (piece := await read()) is not None:
                    *events, rest = (rest + piece.to_bytes()).split(b"\n\n")
                    if events:
                        await out.send_bytes(b"".join(chunk(orjson.loads(event[6:])) for event in events))
                await out.send_bytes(b"data: [DONE]\n\n")
            return
        text = {"name": "text_input", "datatype": "BYTES", "shape": [1], "data": [prompt]}
        body = orjson.dumps({"id": "1", "inputs": [text]})
        answer = await self.client.post(f"{self.origin}/chat/infer").headers(JSON).body_bytes(body).build().send()
        said = orjson.loads((await answer.bytes()).to_bytes())
        found, reason, read_, written = (output["data"][0] for output in said["outputs"])
        message = {"role": "assistant", "content": found}
        usage = {"prompt_tokens": read_, "completion_tokens": written, "total_tokens": read_ + written}
        head = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1741569952, "model": "chat"}
        choices = [{"index": 0, "message": message, "finish_reason": reason}]
        protocol.response_bytes(200, JSON, orjson.dumps({**head, "choices": choices, "usage": usage}))


async def main() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server: Any = Server(
        App(sys.argv[1]),
        address="127.0.0.1",
        port=port,
        interface=Interfaces.RSGI,
        http=HTTPModes.auto,
        log_enabled=False,
    )
    serving = asyncio.ensure_future(server.serve())
    while True:
        await asyncio.sleep(0.05)
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            continue
        break
    print(port, flush=True)
    await serving


if __name__ == "__main__":
    import resource

    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    uvloop.run(main())
