"""The official SDK, and bare requests, on a server in process."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

import httpx2
import openai

from antiphon.engines.functions import engine as as_engine
from antiphon.kernel.flow import iterate, run
from antiphon.kernel.http import Headers, Request, Response
from antiphon.server.app import Server
from antiphon.server.clock import VirtualClock
from antiphon.server.engine import Engines
from antiphon.transports.httpx2 import HandlerTransport

HEADERS = Headers({"authorization": "Bearer test", "content-type": "application/json"})


def serve(engine: Any = None, **options: Any) -> Server:
    """A server with one chat engine for every model, under a clock that stands still."""
    options.setdefault("clock", VirtualClock())
    engines = engine if isinstance(engine, Engines) else Engines(chat=as_engine(engine))
    return Server(engines, **options)


def official(server: Server, **options: Any) -> openai.OpenAI:
    client = httpx2.Client(transport=HandlerTransport(server))
    return openai.OpenAI(api_key="test", base_url="http://test/v1", http_client=client, max_retries=0, **options)


def official_async(server: Server, **options: Any) -> openai.AsyncOpenAI:
    client = httpx2.AsyncClient(transport=HandlerTransport(server))
    return openai.AsyncOpenAI(api_key="test", base_url="http://test/v1", http_client=client, max_retries=0, **options)


class Answer(NamedTuple):
    status: int
    headers: Headers
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def events(self) -> list[dict[str, Any]]:
        """The data of a stream's events, without `[DONE]`."""
        found = [line[6:] for line in self.body.decode().split("\n") if line.startswith("data: ")]
        return [json.loads(data) for data in found if data != "[DONE]"]


def ask(server: Server, method: str, path: str, body: Any = None) -> Answer:
    """One request, its body read whole."""
    path, _, query = path.partition("?")
    content = b"" if body is None else json.dumps(body).encode()
    response: Any = server(Request(method, "/v1" + path, query, HEADERS, content))
    if not isinstance(response, Response):
        response = run(response, server.world)
    read = response.body
    return Answer(
        response.status, response.headers, read if isinstance(read, bytes) else b"".join(iterate(read, server.world))
    )


def chat(server: Server, content: str = "Hello", **options: Any) -> Answer:
    """`POST /chat/completions` with one user message."""
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": content}], **options}
    return ask(server, "POST", "/chat/completions", body)


def tool(name: str, description: str = "", **properties: Any) -> dict[str, Any]:
    """A function tool of a chat."""
    schema = {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}
    return {"type": "function", "function": {"name": name, "description": description, "parameters": schema}}


Engine = Callable[[Any], Any]
