"""The server that gateways are measured in front of: constant answers, in a process of its own. Prints its port.

It is a Triton with the contract of the vLLM backend, as far as it is asked, and a server of the OpenAI API beside it:

GET  /v2…                                  metadata of the server and of any model; ready
POST /v2/models/…/infer, …/generate        one answer
POST /v2/models/…/generate_stream          a stream of 100 answers, one write for each
POST /v2/models/open/generate_stream       the beginning of a stream, and no more
POST /v1/chat/completions                  a chat completion, or with `"stream":true` 100 chunks

It answers with bytes that were put together beforehand, on uvloop: it waits for gateways and not they for it.
"""

from __future__ import annotations

import asyncio
import json
import sys

import uvloop

COUNT = 100
WORDS = [f" {word}" for word in "call ours over pipe wire node ring send wait loop task file page item text".split()]
TEXT = "The capital of France is Paris."
MODEL = {
    "name": "chat",
    "versions": ["1"],
    "platform": "vllm",
    "inputs": [
        {"name": "text_input", "datatype": "BYTES", "shape": [1]},
        {"name": "stream", "datatype": "BOOL", "shape": [1]},
        {"name": "sampling_parameters", "datatype": "BYTES", "shape": [1]},
        {"name": "exclude_input_in_output", "datatype": "BOOL", "shape": [1]},
        {"name": "return_finish_reason", "datatype": "BOOL", "shape": [1]},
        {"name": "return_num_input_tokens", "datatype": "BOOL", "shape": [1]},
        {"name": "return_num_output_tokens", "datatype": "BOOL", "shape": [1]},
    ],
    "outputs": [
        {"name": "text_output", "datatype": "BYTES", "shape": [-1]},
        {"name": "finish_reason", "datatype": "BYTES", "shape": [-1]},
        {"name": "num_input_tokens", "datatype": "UINT32", "shape": [1]},
        {"name": "num_output_tokens", "datatype": "UINT32", "shape": [-1]},
    ],
}
CONFIG = {
    "name": "chat",
    "backend": "vllm",
    "max_batch_size": 0,
    "input": [
        {"name": each["name"], "data_type": f"TYPE_{each['datatype']}", "dims": each["shape"], "optional": at > 0}
        for at, each in enumerate(MODEL["inputs"])  # type: ignore[var-annotated, arg-type, index]
    ],
    "output": [],
    "model_transaction_policy": {"decoupled": True},
}
SERVER = {
    "name": "triton",
    "version": "2.51.0",
    "extensions": ["model_repository", "model_configuration", "binary_tensor_data", "parameters"],
}


def whole(value: object) -> bytes:
    body = value if isinstance(value, bytes) else json.dumps(value, separators=(",", ":")).encode()
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)


def framed(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def event(value: object) -> bytes:
    return framed(b"data: " + json.dumps(value, separators=(",", ":")).encode() + b"\n\n")


def generated(text: str, reason: str, tokens: int) -> dict[str, object]:
    return {
        "finish_reason": reason,
        "model_name": "chat",
        "model_version": "1",
        "num_input_tokens": 9,
        "num_output_tokens": tokens,
        "text_output": text,
    }


def tensor(name: str, datatype: str, value: object) -> dict[str, object]:
    return {"name": name, "datatype": datatype, "shape": [1], "data": [value]}


INFER = whole(
    {
        "id": "1",
        "model_name": "chat",
        "model_version": "1",
        "outputs": [
            tensor("text_output", "BYTES", TEXT),
            tensor("finish_reason", "BYTES", "stop"),
            tensor("num_input_tokens", "UINT32", 9),
            tensor("num_output_tokens", "UINT32", 7),
        ],
    }
)
GENERATE = whole(generated(TEXT, "stop", 7))
STREAM = [
    HEAD + event(generated(WORDS[0], "None", 1)),
    *(event(generated(WORDS[at % len(WORDS)], "None", 1)) for at in range(1, COUNT - 1)),
    event(generated(WORDS[-1], "stop", 1)) + b"0\r\n\r\n",
]


def completion(choice: dict[str, object], kind: str) -> dict[str, object]:
    choices = [{"index": 0, "logprobs": None, **choice}]
    return {"id": "chatcmpl-1", "object": kind, "created": 1741569952, "model": "chat", "choices": choices}


USAGE = {"prompt_tokens": 9, "completion_tokens": 7, "total_tokens": 16}
COMPLETION = whole(
    {
        **completion({"finish_reason": "stop", "message": {"role": "assistant", "content": TEXT}}, "chat.completion"),
        "usage": USAGE,
    }
)
CHUNK = "chat.completion.chunk"
CHUNKS = [
    HEAD + event(completion({"finish_reason": None, "delta": {"role": "assistant", "content": WORDS[0]}}, CHUNK)),
    *(
        event(completion({"finish_reason": None, "delta": {"content": WORDS[at % len(WORDS)]}}, CHUNK))
        for at in range(1, COUNT - 1)
    ),
    event(completion({"finish_reason": "stop", "delta": {"content": WORDS[-1]}}, CHUNK))
    + framed(b"data: [DONE]\n\n")
    + b"0\r\n\r\n",
]
GETS = {b"/v2": whole(SERVER), b"config": whole(CONFIG), b"ready": whole(b"")}


class Answering(asyncio.Protocol):
    def __init__(self) -> None:
        self.held = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.WriteTransport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        data = self.held + data if self.held else data
        end = data.find(b"\r\n\r\n")
        if end < 0:
            self.held = data
            return
        length = 0
        head = data[:end].lower()
        at = head.find(b"\r\ncontent-length:")
        if at >= 0:
            length = int(head[at + 17 :].partition(b"\r\n")[0])
        if len(data) < end + 4 + length:
            self.held = data
            return
        self.held = b""
        path = data[: data.find(b" HTTP/")].partition(b" ")[2]
        self.answer(path, data[:4] == b"GET ", data, end)

    def answer(self, path: bytes, get: bool, data: bytes, end: int) -> None:
        write = self.transport.write
        if get:
            write(GETS.get(path if path == b"/v2" else path.rpartition(b"/")[2]) or whole(MODEL))
        elif path.endswith(b"/generate_stream"):
            if b"/open/" in path:
                write(STREAM[0])
            else:
                self.stream(STREAM)
        elif path.endswith(b"/infer"):
            write(INFER)
        elif path.endswith(b"/generate"):
            write(GENERATE)
        elif b'"stream":true' in data or b'"stream": true' in data:
            if b'"model":"open"' in data:
                write(CHUNKS[0])
            else:
                self.stream(CHUNKS)
        else:
            write(COMPLETION)

    def stream(self, pieces: list[bytes]) -> None:
        asyncio.ensure_future(self.written(pieces))  # noqa: RUF006 (it is over at once)

    async def written(self, pieces: list[bytes]) -> None:
        for piece in pieces:
            if self.transport.is_closing():
                return
            self.transport.write(piece)
            await asyncio.sleep(0)


async def main() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Answering, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    import resource

    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    sys.exit(uvloop.run(main()))
