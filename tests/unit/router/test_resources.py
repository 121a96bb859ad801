"""Agents, the resources that pass on what the API answers, and completions as dependencies."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

import antiphon
from antiphon import FakeOpenAI
from antiphon.kernel.http import Headers, Request, Response, json_response
from antiphon.router import (
    AgentResource,
    Answer,
    Asked,
    ChatCompletionResource,
    Depends,
    EmbeddingsResource,
    Finish,
    ImagesResource,
    OpenAIAPIRouter,
    Opening,
    ResponsesResource,
    SpeechResource,
    Start,
    Step,
    Text,
    ToolArguments,
    ToolCall,
    ToolResult,
    TranscriptionResource,
    Usage,
)
from antiphon.server.turns import Reasoning as Thought
from antiphon.server.turns import ToolArguments as Arguments
from antiphon.server.turns import ToolCall as Call
from antiphon.types.chat import ChatCompletion

from .conftest import HELLO, Caller, Upstream, app_of, chunk, events_of, silence


def weather(city: str) -> str:
    """How the weather is."""
    if city == "Atlantis":
        raise LookupError("there is no such city any more")
    return f"grey in {city}"


async def tides(city: str, *, days: int = 1) -> dict[str, int]:
    """How high the sea is."""
    await asyncio.sleep(0)
    return {"days": days}


def model(request: Any) -> Any:
    """Thinks, calls both tools, and says what came of it."""
    if request.answers_tool:
        results = [each["content"] for each in request.messages if each["role"] == "tool"]
        return f"So: {'; '.join(results)}"
    return [
        Thought("Hm."),
        Call("c1", "weather"),
        Arguments('{"city":"Porto"}'),
        Call("c2", "tides"),
        Arguments('{"city":"Porto"}'),
    ]


def agent(**options: Any) -> AgentResource:
    return AgentResource(**{"stream": True, "tools": [weather, tides], **options})


async def test_an_agent_runs_its_tools_and_tells() -> None:
    resource = agent(client=FakeOpenAI(engine=model))
    events = [event async for event in resource.events(HELLO["messages"])]
    kinds = [type(event) for event in events]
    assert kinds[0] is Start
    assert kinds.count(Start) == 1
    results = [event for event in events if isinstance(event, ToolResult)]
    assert [(each.id, each.name, each.text) for each in results] == [
        ("c1", "weather", "grey in Porto"),
        ("c2", "tides", '{"days":1}'),
    ]
    assert events[kinds.index(Step)] == Step(1)
    assert [event.id for event in events if isinstance(event, ToolCall)] == ["c1", "c2"]
    assert (
        "".join(event.text for event in events if isinstance(event, ToolArguments) and event.id == "c1")
        == '{"city":"Porto"}'
    )
    assert "".join(event.text for event in events if isinstance(event, Text)) == 'So: grey in Porto; {"days":1}'
    usage = [event for event in events if isinstance(event, Usage)]
    assert len(usage) == 1
    assert events[-1] == Finish("stop")


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("format", ["lanarky", "openai", "vercel", "ag-ui", "text", "json"])
async def test_an_agent_answers_in_every_format(format: str, stream: bool) -> None:
    app = app_of(FakeOpenAI(engine=model), format=format, resource=lambda: agent(stream=stream))
    caller = await Caller(app, "/chat").start().wait()
    assert caller.status == 200
    said = caller.text.replace("\\", "")
    if format == "lanarky":
        said = "".join(events_of(caller.text)) if stream else said
    elif format in ("openai", "vercel", "ag-ui") and stream:
        assert "c1" in said
    assert "grey in Porto" in said
    if format in ("vercel", "ag-ui"):
        assert "tides" in said
    if format == "json" or (format == "openai" and not stream):
        whole = orjson.loads(caller.text)
        assert whole["choices"][0]["finish_reason"] == "stop"
        assert [each["name"] for each in whole["tool_results"]] == ["weather", "tides"]


async def test_what_a_tool_cannot_do_is_told_to_the_model() -> None:
    def lost(request: Any) -> Any:
        if request.answers_tool:
            return request.messages[-1]["content"]
        return [Call("c1", request.user_text), Arguments('{"city":"Atlantis"}')]

    resource = agent(client=FakeOpenAI(engine=lost))
    for name, told in (("weather", "there is no such city any more"), ("nothing", "there is no tool named 'nothing'")):
        events = [event async for event in resource.events([{"role": "user", "content": name}])]
        result = next(event for event in events if isinstance(event, ToolResult))
        assert result.failed
        assert told in result.text


async def test_rounds_have_a_limit() -> None:
    asked: list[Any] = []

    def stubborn(request: Any) -> Any:
        asked.append(request.tool_choice.mode)
        if request.tool_choice.mode == "none":
            return "Enough."
        return [Call(None, "weather"), Arguments('{"city":"Porto"}')]

    events = [
        event async for event in agent(client=FakeOpenAI(engine=stubborn), max_rounds=2).events(HELLO["messages"])
    ]
    assert asked == ["auto", "auto", "none"]
    assert sum(isinstance(event, Step) for event in events) == 2
    assert "".join(event.text for event in events if isinstance(event, Text)) == "Enough."


async def test_calls_of_the_callers_tools_end_the_answer() -> None:
    def paint(request: Any) -> Any:
        return [Call("c1", "paint"), Arguments("{}")]

    theirs: Any = {
        "type": "function",
        "function": {"name": "paint", "parameters": {"type": "object", "properties": {}}},
    }
    resource = agent(client=FakeOpenAI(engine=paint), tools=[weather, theirs])
    events = [event async for event in resource.events(HELLO["messages"])]
    assert events[-1] == Finish("tool_calls")
    assert not any(isinstance(event, ToolResult) for event in events)


async def test_an_agent_that_fails_on_the_way() -> None:
    rounds = 0

    def failing(request: Any) -> Any:
        nonlocal rounds
        rounds += 1
        if request.answers_tool:
            raise antiphon.RateLimitError.because("Slow down.", code="rate_limit_exceeded")
        return [Call("c1", "weather"), Arguments('{"city":"Porto"}')]

    fake = FakeOpenAI(engine=failing).async_client(max_retries=0)
    app = app_of(fake, format="vercel", resource=agent)
    caller = await Caller(app, "/chat").start().wait()
    parts = [each for each in events_of(caller.text) if each != "[DONE]"]
    assert parts[-1] == {"type": "error", "errorText": "Slow down."}
    assert parts[-2]["data"]["status"] == 429
    whole = await Caller(app, "/chat", headers={"accept": "application/json"}).start().wait()
    assert whole.status == 429


async def test_leaving_an_agent_stops_the_upstream_and_its_tools() -> None:
    upstream = Upstream([chunk({"role": "assistant", "content": "Wait"}), silence])
    caller = Caller(app_of(upstream, resource=agent), "/chat").start()
    await caller.until(2)
    caller.left.set()
    await asyncio.wait_for(upstream.closed.wait(), 10)
    await caller.wait()

    began, stopped = asyncio.Event(), asyncio.Event()

    async def slow(city: str) -> str:
        """Takes its time."""
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()
        return ""

    def calls(request: Any) -> Any:
        return [Call("c1", "slow"), Arguments('{"city":"Porto"}')]

    caller = Caller(app_of(FakeOpenAI(engine=calls), resource=lambda: agent(tools=[slow])), "/chat").start()
    await asyncio.wait_for(began.wait(), 10)
    caller.left.set()
    await asyncio.wait_for(stopped.wait(), 10)
    await caller.wait()


async def test_an_agent_as_a_call() -> None:
    resource = AgentResource(client=FakeOpenAI(engine=model))

    @resource.tool
    def weather(city: str) -> str:
        """How the weather is."""
        return "fine"

    resource.tool(tides)
    completion = await resource(HELLO["messages"])
    assert isinstance(completion, ChatCompletion)
    assert completion.choices[0].message.content == 'So: fine; {"days":1}'


# What is passed on


@pytest.fixture
def client() -> Any:
    router = OpenAIAPIRouter(client=FakeOpenAI())

    @router.post("/embeddings", parameters=["dimensions"])
    def embeddings() -> EmbeddingsResource:
        return EmbeddingsResource(dimensions=8)

    @router.post("/images")
    def images(stream: bool = False) -> ImagesResource:
        return ImagesResource(stream=stream, size="1024x1024", partial_images=1 if stream else None)

    @router.post("/speech")
    def speech() -> SpeechResource:
        return SpeechResource(response_format="wav")

    @router.post("/transcripts")
    def transcripts(stream: bool = False, format: str = "json") -> TranscriptionResource:
        return TranscriptionResource(stream=stream, response_format=format)  # type: ignore[arg-type]

    app = FastAPI()
    app.include_router(router)
    return TestClient(app)


def test_embeddings(client: TestClient) -> None:
    response = client.post("/embeddings", json={"input": ["Hello", "World"]})
    assert [len(each["embedding"]) for each in response.json()["data"]] == [8, 8]
    assert len(client.post("/embeddings", json={"input": "Hi", "dimensions": 4}).json()["data"][0]["embedding"]) == 4
    assert client.post("/embeddings", json={"input": ""}).status_code == 422
    assert client.post("/embeddings", json={}).status_code == 422


def test_images(client: TestClient) -> None:
    assert client.post("/images", json={"prompt": "A lighthouse"}).json()["data"][0]["b64_json"]
    response = client.post("/images?stream=true", json={"prompt": "A lighthouse"})
    assert response.headers["content-type"].startswith("text/event-stream")
    kinds = [each["type"] for each in events_of(response.text)]
    assert kinds[-1] == "image_generation.completed"


def test_speech_and_transcripts(client: TestClient) -> None:
    response = client.post("/speech", json={"input": "Hello"})
    assert response.headers["content-type"].startswith("audio/")
    sound = response.content
    assert sound
    as_form = client.post("/transcripts", files={"file": ("hello.wav", sound, "audio/wav")})
    assert "text" in as_form.json()
    assert "text" in client.post("/transcripts", content=sound, headers={"content-type": "audio/wav"}).json()
    streamed = client.post("/transcripts?stream=true", files={"file": ("hello.wav", sound, "audio/wav")})
    assert events_of(streamed.text)[-1]["type"] == "transcript.text.done"
    for bad in ({"content": b""}, {"data": {"x": "y"}, "files": {"other": ("a", b"b")}}):
        assert client.post("/transcripts", **bad).status_code == 422  # type: ignore[arg-type]


async def test_texts_are_passed_on_as_what_they_are() -> None:
    def subtitles(request: Request) -> Response:
        assert b'filename="recording.mp3"' in request.content()
        return Response(200, Headers({"content-type": "text/plain; charset=utf-8"}), b"1\n00:00 Hello")

    def transcripts() -> TranscriptionResource:
        return TranscriptionResource(response_format="srt")

    router = OpenAIAPIRouter(client=subtitles)
    router.post("/srt")(transcripts)
    app = FastAPI()
    app.include_router(router)
    response = TestClient(app).post("/srt", content=b"sound", headers={"content-type": "audio/mp3"})
    assert (response.headers["content-type"], response.text) == ("text/plain; charset=utf-8", "1\n00:00 Hello")


def test_what_is_passed_on_is_described(client: TestClient) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    assert "multipart/form-data" in paths["/transcripts"]["post"]["requestBody"]["content"]
    assert "audio/mpeg" in paths["/speech"]["post"]["responses"]["200"]["content"]
    assert "EmbeddingRequest" in str(paths["/embeddings"]["post"]["requestBody"])


async def test_errors_of_what_is_passed_on() -> None:
    def refusing(request: Request) -> Response:
        return json_response(
            401, {"error": {"message": "Incorrect API key provided: sk-abcdefgh.", "code": "invalid_api_key"}}
        )

    for resource in (EmbeddingsResource(), ImagesResource(stream=True), SpeechResource()):
        app = app_of(refusing)
        kind = type(resource)

        def made(resource: Any = resource) -> Any:
            return resource

        app.state.router.post(f"/{kind.__name__}", resource=kind)(lambda: made())
        fresh = FastAPI()
        fresh.include_router(app.state.router)
        caller = await Caller(fresh, f"/{kind.__name__}", {"input": "x", "prompt": "x"}).start().wait()
        assert caller.status == 401
        assert orjson.loads(caller.text)["error"]["message"] == "Incorrect API key provided: [secret]."


def test_layers_see_what_is_spent_on_what_is_passed_on() -> None:
    seen: list[Any] = []
    asked_of: list[Any] = []

    async def counting(asked: Asked, ask: Opening) -> Answer:
        asked_of.append(asked.body["input"])
        answer = await ask(asked)
        answer.watch(seen.extend)
        return answer

    router = OpenAIAPIRouter(client=FakeOpenAI(), layers=[counting])

    @router.post("/embeddings")
    def embeddings() -> EmbeddingsResource:
        return EmbeddingsResource()

    @router.post("/speech")
    def speech() -> SpeechResource:
        return SpeechResource()

    app = FastAPI()
    app.include_router(router)
    client = TestClient(app)
    tokens = client.post("/embeddings", json={"input": "Hello"}).json()["usage"]["prompt_tokens"]
    assert seen == [Usage(tokens), Finish("stop")]
    client.post("/speech", json={"input": "Hi"})
    assert (asked_of, len(seen)) == (["Hello", "Hi"], 3)


def test_what_cannot_be_asked_that_way() -> None:
    router = OpenAIAPIRouter()

    def embeddings() -> EmbeddingsResource:
        return EmbeddingsResource()

    with pytest.raises(TypeError, match="is asked with a body"):
        router.get("/x")(embeddings)
    with pytest.raises(TypeError, match="has no conversation"):
        router.websocket("/x")(embeddings)


# Depends


def test_a_completion_as_a_dependency() -> None:
    fake = FakeOpenAI(engine=lambda request: f"{request.instructions} {request.user_text}")

    def summary(mood: str = "good") -> ChatCompletionResource:
        return ChatCompletionResource(client=fake, system=mood)

    def response() -> ResponsesResource:
        return ResponsesResource(client=fake)

    app = FastAPI()

    @app.post("/summary")
    async def summarized(completion: ChatCompletion = Depends(summary)) -> str:
        return completion.choices[0].message.content or ""

    @app.post("/response")
    async def responded(answer: Any = Depends(response)) -> str:
        return str(answer.output_text)

    client = TestClient(app)
    assert client.post("/summary?mood=bad", json=HELLO).json() == "bad Hello"
    assert client.post("/response", json={"input": "Hello"}).json() == " Hello"
    schema = client.get("/openapi.json").json()["paths"]["/summary"]["post"]
    assert [each["name"] for each in schema["parameters"]] == ["mood"]
    assert "ChatRequest" in str(schema["requestBody"])
    refused = client.post("/summary", json={"messages": [{"role": "system", "content": "x"}]})
    assert (refused.status_code, refused.json()["detail"]["code"]) == (422, "role_not_allowed")
    with pytest.raises(TypeError, match="does not say that it returns a resource"):
        Depends(lambda: None)


def test_errors_of_a_dependency_have_the_status_of_the_upstream() -> None:
    def busy(request: Any) -> Any:
        raise antiphon.RateLimitError.because("Slow down.", code="rate_limit_exceeded", headers={"retry-after": "3"})

    def factory() -> ChatCompletionResource:
        return ChatCompletionResource()

    app = FastAPI()

    @app.post("/x")
    async def endpoint(
        completion: ChatCompletion = Depends(factory, client=FakeOpenAI(engine=busy).async_client(max_retries=0)),
    ) -> str:
        raise AssertionError("not called")

    response = TestClient(app).post("/x", json=HELLO)
    assert (response.status_code, response.headers["retry-after"]) == (429, "3")
    assert response.json()["detail"]["code"] == "rate_limit_exceeded"
