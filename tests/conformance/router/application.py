"""The application that the JavaScript clients talk to: a route in each wire format, with a fake behind it on a port.

What is asked decides about the answer: `hello`, `think`, `weather` and `lost` (which call a tool), `busy` (refused
before its first word), `broken` (in the middle) and `endless`.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from fastapi import FastAPI

import antiphon
from antiphon import AsyncOpenAI, FakeOpenAI
from antiphon.kernel.flow import Pause
from antiphon.kernel.http import Headers, Request, Response
from antiphon.router import AgentResource, ChatCompletionResource, OpenAIAPIRouter, ResponsesResource
from antiphon.server.turns import Reasoning, ToolArguments, ToolCall, Usage


def weather(city: str) -> dict[str, Any]:
    """How the weather is."""
    if city == "Atlantis":
        raise LookupError("there is no such city any more")
    return {"city": city, "sky": "grey"}


class Journal:
    """A model, and what became of its answers."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        """The messages of every question."""
        self.left = threading.Event()
        """An endless answer was left."""

    def __call__(self, request: Any) -> Iterator[Any]:
        self.asked.append(request.messages)
        return getattr(self, request.user_text.partition(" ")[0].rstrip("?!."), self.hello)(request)

    never_blocks = True

    def hello(self, request: Any) -> Iterator[Any]:
        for word in ("Grüße", " an", " 🌍", "\n", "“all”"):
            yield word
            yield Pause(0.001)
        yield Usage(7, 5)

    def think(self, request: Any) -> Iterator[Any]:
        yield Reasoning("Let me see.")
        yield "Forty"
        yield "-two."

    def weather(self, request: Any, city: str = "Porto") -> Iterator[Any]:
        if request.answers_tool:
            yield f"So: {request.messages[-1]['content']}"
        else:
            yield "I look."
            yield ToolCall("call_w", "weather")
            yield ToolArguments('{"city":')
            yield ToolArguments(f'"{city}"}}')

    def lost(self, request: Any) -> Iterator[Any]:
        return self.weather(request, "Atlantis")

    def busy(self, request: Any) -> Iterator[Any]:
        raise antiphon.RateLimitError.because("Slow down.", code="rate_limit_exceeded")

    def broken(self, request: Any) -> Iterator[Any]:
        yield "Half"
        yield " a sentence"
        yield Pause(0.05)
        raise antiphon.InternalServerError.because("The model fell over.", code="model_fell")

    def endless(self, request: Any) -> Iterator[Any]:
        try:
            for number in range(100_000):
                yield f"word{number} "
                yield Pause(0.005)
        finally:
            self.left.set()


def thinks(request: Request) -> Response:
    """A host that tells its thoughts in chat completions, as many do beside OpenAI."""
    deltas: list[dict[str, Any]] = [
        {"role": "assistant", "reasoning_content": "Let me see."},
        {"content": "Forty-two."},
    ]
    chunks = [{"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m", "unheard_of": True}
    lines = [*(json.dumps({**head, **chunk}) for chunk in chunks), "[DONE]"]
    body = "".join(f"data: {line}\n\n" for line in lines)
    return Response(200, Headers({"content-type": "text/event-stream"}), body.encode())


@contextmanager
def application(journal: Journal) -> Iterator[FastAPI]:
    """The application, over an upstream that is stopped with it."""
    with FakeOpenAI(engine=journal).start(port=0) as upstream:
        client = AsyncOpenAI(api_key="sk-secret-of-the-upstream", base_url=upstream.base_url, max_retries=0)
        router = OpenAIAPIRouter(client=client)

        @router.post("/vercel", format="vercel")
        @router.post("/ag-ui", format="ag-ui")
        def agent() -> AgentResource:
            return AgentResource(stream=True, tools=[weather])

        @router.post("/vercel/tools", format="vercel")
        @router.post("/ag-ui/tools", format="ag-ui")
        def tools() -> ChatCompletionResource:
            return ChatCompletionResource(stream=True, tools=[weather])  # which the caller runs

        @router.post("/vercel/responses", format="vercel")
        @router.post("/ag-ui/responses", format="ag-ui")
        def thinking() -> ResponsesResource:
            return ResponsesResource(stream=True, reasoning={"summary": "auto"})

        @router.post("/v1/chat/completions", format="openai", parameters=("tools",))
        def chat() -> ChatCompletionResource:
            return ChatCompletionResource()

        @router.post("/v1/responses", format="openai", parameters=("tools", "reasoning"))
        def responses() -> ResponsesResource:
            return ResponsesResource()

        @router.post("/agent/chat/completions", format="openai")
        def compatible_agent() -> AgentResource:
            return AgentResource(tools=[weather])

        @router.post("/thinks/chat/completions", format="openai")
        @router.post("/vercel/thinks", format="vercel")
        def host() -> ChatCompletionResource:
            return ChatCompletionResource(stream=True, client=thinks)

        app = FastAPI()
        app.include_router(router)
        yield app


@contextmanager
def serving(app: FastAPI) -> Iterator[str]:
    """The address of the application while it is served."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="critical"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        for _ in range(2000):
            if server.started:
                break
            time.sleep(0.01)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(30)
