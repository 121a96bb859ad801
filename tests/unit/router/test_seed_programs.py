"""The programs of Lanarky's guide, with nothing but their import lines changed, as processes of their own.

A server under uvicorn, a streaming client and a websocket client; the model is a fake on a port. Where the guide has
`add-your-openai-api-key-here` it stays: the fake takes any key. The guide's port, 8000, may be taken where tests run: a
launcher gives the clients' default address another one.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from antiphon import FakeOpenAI

SERVER = """\
import os

from lanarky import Lanarky
from lanarky.adapters.openai.resources import ChatCompletionResource
from lanarky.adapters.openai.routing import OpenAIAPIRouter

os.environ["OPENAI_API_KEY"] = "add-your-openai-api-key-here"


app = Lanarky()
router = OpenAIAPIRouter()


@router.post("/chat")
def chat(stream: bool = True) -> ChatCompletionResource:
    system = "You are a sassy assistant"
    return ChatCompletionResource(stream=stream, system=system)


app.include_router(router)
"""

SOCKET_SERVER = SERVER.replace('@router.post("/chat")', '@router.websocket("/ws")').replace(
    """def chat(stream: bool = True) -> ChatCompletionResource:
    system = "You are a sassy assistant"
    return ChatCompletionResource(stream=stream, system=system)""",
    """def chat() -> ChatCompletionResource:
    system = "You are a sassy assistant"
    return ChatCompletionResource(stream=True, system=system)""",
)

STREAMING_CLIENT = """\
import click

from lanarky.clients import StreamingClient


@click.command()
@click.option("--input", required=True)
@click.option("--stream", is_flag=True)
def main(input: str, stream: bool):
    client = StreamingClient()
    for event in client.stream_response(
        "POST",
        "/chat",
        params={"stream": str(stream).lower()},
        json={"messages": [dict(role="user", content=input)]},
    ):
        print(f"{event.event}: {event.data}")


if __name__ == "__main__":
    main()
"""

SOCKET_CLIENT = """\
from lanarky.clients import WebSocketClient


def main():
    client = WebSocketClient()
    with client.connect() as session:
        messages = []
        while True:
            user_input = input("\\nEnter a message: ")
            messages.append(dict(role="user", content=user_input))
            session.send(dict(messages=messages))
            print("Received: ", end="")
            assistant_message = dict(role="assistant", content="")
            for chunk in session.stream_response():
                print(chunk["data"], end="", flush=True)
                assistant_message["content"] += chunk["data"]
            messages.append(assistant_message)


if __name__ == "__main__":
    main()
"""

IMPORTS = {
    "from lanarky import Lanarky": "from fastapi import FastAPI as Lanarky",
    "from lanarky.adapters.openai.resources import": "from antiphon.router import",
    "from lanarky.adapters.openai.routing import": "from antiphon.router import",
    "from lanarky.clients import": "from antiphon.router import",
}


def migrated(program: str) -> str:
    """The program with its import lines changed; the rest is as it was."""
    lines = program.splitlines()
    changed = [
        next((line.replace(old, new) for old, new in IMPORTS.items() if line.startswith(old)), line) for line in lines
    ]
    assert all(old == new or old.startswith("from lanarky") for old, new in zip(lines, changed, strict=True))
    assert "lanarky" not in re.sub("Lanarky", "", "\n".join(changed))
    return "\n".join(changed) + "\n"


def environment(**more: str) -> dict[str, str]:
    return {**{name: value for name, value in os.environ.items() if not name.startswith("OPENAI_")}, **more}


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def served(program: str, where: Path, base_url: str) -> Iterator[int]:
    """The program under `uvicorn app:app`, at a free port."""
    where.mkdir()
    (where / "app.py").write_text(migrated(program))
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", "app:app", "--port", str(port), "--log-level", "warning"],
        cwd=where,
        env=environment(OPENAI_BASE_URL=base_url),
    )
    try:
        until = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < until:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                time.sleep(0.05)
        assert process.poll() is None, "the server has ended"
        yield port
    finally:
        process.terminate()
        process.wait(30)


LAUNCHER = """\
import functools, os, runpy
import antiphon.router

for name in ("StreamingClient", "WebSocketClient"):
    scheme, path = ("http", "") if name == "StreamingClient" else ("ws", "/ws")
    address = f"{scheme}://localhost:{os.environ['PORT']}{path}"
    setattr(antiphon.router, name, functools.partial(getattr(antiphon.router, name), address))
runpy.run_path("client.py", run_name="__main__")
"""


def talked(program: str, where: Path, port: int, *arguments: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    """The client's process, ended."""
    (where / "client.py").write_text(migrated(program))
    return subprocess.run(
        [sys.executable, "-c", LAUNCHER, *arguments],
        cwd=where,
        env=environment(PORT=str(port), PYTHONWARNINGS="error::ResourceWarning"),
        input=typed,
        capture_output=True,
        text=True,
        timeout=90,
    )


class Model:
    """Says what it was asked last, backwards, and notes what it was asked."""

    def __init__(self) -> None:
        self.bodies: list[Any] = []

    def __call__(self, request: Any) -> str:
        self.bodies.append(request.body)
        return str(request.user_text)[::-1]


@pytest.fixture
def model() -> Model:
    return Model()


@pytest.fixture
def base_url(model: Model) -> Iterator[str]:
    with FakeOpenAI(engine=model).start(port=0) as running:
        yield running.base_url


def test_the_server_and_the_streaming_client(base_url: str, model: Model, tmp_path: Path) -> None:
    with served(SERVER, tmp_path / "server", base_url) as port:
        whole = talked(STREAMING_CLIENT, tmp_path, port, "--input", "hi there")
        assert (whole.returncode, whole.stderr) == (0, "")
        assert whole.stdout == "completion: ereht ih\n"
        pieces = talked(STREAMING_CLIENT, tmp_path, port, "--input", "hi there", "--stream")
        assert (pieces.returncode, pieces.stderr) == (0, "")
        lines = pieces.stdout.splitlines()
        assert len(lines) > 2
        assert all(line.startswith("completion: ") for line in lines)
        assert "".join(line.removeprefix("completion: ") for line in lines) == "ereht ih"
    first, second = model.bodies
    assert first["messages"] == [
        {"role": "system", "content": "You are a sassy assistant"},
        {"role": "user", "content": "hi there"},
    ]
    assert (first.get("stream", False), second["stream"]) == (False, True)


def test_the_server_and_the_websocket_client(base_url: str, model: Model, tmp_path: Path) -> None:
    with served(SOCKET_SERVER, tmp_path / "server", base_url) as port:
        done = talked(SOCKET_CLIENT, tmp_path, port, typed="hi\nwho am i?\n")
    assert done.stdout.split("\nEnter a message: ") == ["", "Received: ih", "Received: ?i ma ohw", ""]
    assert done.stderr.rstrip().endswith("EOFError: EOF when reading a line")  # as the program itself has it
    assert [[each["content"] for each in body["messages"]] for body in model.bodies] == [
        ["You are a sassy assistant", "hi"],
        ["You are a sassy assistant", "hi", "ih", "who am i?"],
    ]
