"""Factories: their parameters, when they are called, and what FastAPI makes of them."""

from __future__ import annotations

import subprocess
import sys
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Cookie, FastAPI, Header, HTTPException, Path, Query, Security
from fastapi import Depends as FastAPIDepends
from fastapi.security import HTTPBearer
from fastapi.testclient import TestClient
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware

from antiphon import FakeOpenAI, FunctionTool
from antiphon.router import (
    Answer,
    Asked,
    ChatCompletionResource,
    Event,
    Finish,
    Limits,
    OpenAIAPIRouter,
    Opening,
    Refused,
    ResponsesResource,
    Usage,
)

from .conftest import HELLO, WORDS, Upstream


def served(router: APIRouter, **options: Any) -> TestClient:
    app = FastAPI()
    app.include_router(router, **options)
    return TestClient(app)


def echoing(**settings: Any) -> OpenAIAPIRouter:
    return OpenAIAPIRouter(client=FakeOpenAI(engine=lambda request: request.instructions), format="text", **settings)


def test_every_kind_of_parameter() -> None:
    router = echoing()

    def tenant(x_tenant: Annotated[str, Header()]) -> str:
        return x_tenant.upper()

    @router.post("/{room}")
    async def chat(
        room: Annotated[str, Path(min_length=2)],
        mood: str,
        times: Annotated[int, Query(ge=1)] = 1,
        classic: str = Header("none"),
        session: str | None = Cookie(None),
        owner: str = FastAPIDepends(tenant),
    ) -> ChatCompletionResource:
        return ChatCompletionResource(stream=True, system=f"{room} {mood} {times} {classic} {session} {owner}")

    client = served(router)
    client.cookies.set("session", "s1")
    headers = {"x-tenant": "acme", "classic": "yes"}
    assert client.post("/hall?mood=good&times=2", json=HELLO, headers=headers).text == "hall good 2 yes s1 ACME"
    for bad in ("/hall", "/h?mood=good", "/hall?mood=good&times=0"):
        assert client.post(bad, json=HELLO, headers=headers).status_code == 422
    assert client.post("/hall?mood=good", json={"messages": "Hello"}, headers=headers).status_code == 422
    assert client.post("/hall?mood=good", headers=headers).status_code == 422


def test_a_factory_is_called_for_each_request_and_never_before() -> None:
    router = echoing()
    calls: list[int] = []

    @router.post("/chat")
    def chat(need: int) -> ChatCompletionResource:
        calls.append(need)
        return ChatCompletionResource(stream=True, system=str(need))

    client = served(router)
    client.get("/openapi.json")
    assert calls == []
    assert client.post("/chat?need=1", json=HELLO).text == "1"
    assert calls == [1]
    assert chat(3).system == "3", "the function is still itself"


def test_nothing_is_needed_at_import() -> None:
    code = """
import os
for name in list(os.environ):
    if name.startswith("OPENAI"):
        del os.environ[name]
from antiphon.router import ChatCompletionResource, OpenAIAPIRouter
router = OpenAIAPIRouter()
@router.post("/chat")
def chat(required: str) -> ChatCompletionResource:
    raise AssertionError("called")
@router.websocket("/ws")
def talk(required: str) -> ChatCompletionResource:
    raise AssertionError("called")
from fastapi import FastAPI
app = FastAPI()
app.include_router(router)
app.openapi()
"""
    assert subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True).stderr == ""


def test_without_fastapi_it_says_what_is_missing() -> None:
    code = """
import sys
sys.modules["fastapi"] = None
try:
    from antiphon.router import OpenAIAPIRouter
except ImportError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "the router needs FastAPI: install `antiphon[router]`\n", done.stderr


def test_openapi() -> None:
    router = echoing(tags=["talk"])

    @router.post("/chat", summary="Talk", limits=Limits(messages=5))
    def chat(mood: str, x_tenant: Annotated[str, Header()]) -> ChatCompletionResource:
        """Say something."""
        raise NotImplementedError

    @router.get("/ask")
    def ask() -> ChatCompletionResource:
        raise NotImplementedError

    @router.post("/respond")
    def respond() -> ResponsesResource:
        raise NotImplementedError

    schema = served(router, prefix="/v1").get("/openapi.json").json()
    operation = schema["paths"]["/v1/chat"]["post"]
    assert (operation["summary"], operation["description"], operation["tags"]) == ("Talk", "Say something.", ["talk"])
    assert {(each["name"], each["in"], each["required"]) for each in operation["parameters"]} == {
        ("mood", "query", True),
        ("x-tenant", "header", True),
    }
    body = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
    assert schema["components"]["schemas"][body]["properties"]["messages"]["type"] == "array"
    assert set(operation["responses"]) == {"200", "406", "413", "422", "429", "502", "503", "504"}
    assert set(operation["responses"]["200"]["content"]) == {"text/event-stream", "text/plain", "application/json"}
    asked = schema["paths"]["/v1/ask"]["get"]
    assert {each["name"] for each in asked["parameters"]} == {"message", "messages"}
    assert "requestBody" not in asked
    assert "ResponsesRequest" in str(schema["paths"]["/v1/respond"]["post"]["requestBody"])


def test_questions_in_the_query() -> None:
    router = OpenAIAPIRouter(client=FakeOpenAI(engine="echo"), format="text")

    @router.get("/ask")
    def ask() -> ChatCompletionResource:
        return ChatCompletionResource(stream=True)

    client = served(router)
    assert client.get("/ask", params={"message": "Hello"}).text == "Hello"
    assert client.get("/ask", params={"messages": '[{"role": "user", "content": "Hi"}]'}).text == "Hi"
    for bad in ({}, {"messages": "no json"}, {"messages": "[1]"}, {"message": "a", "messages": "[]"}):
        response = client.get("/ask", params=bad)
        assert (response.status_code, response.json()["error"]["param"]) == (422, "messages")


def test_it_is_an_ordinary_router() -> None:
    bearer = HTTPBearer()

    def known(credentials: Any = Security(bearer)) -> None:
        if credentials.credentials != "good":
            raise HTTPException(403, "Who are you?")

    router = echoing(prefix="/ai", dependencies=[FastAPIDepends(known)])

    @router.post("/chat")
    def chat() -> ChatCompletionResource:
        return ChatCompletionResource(stream=True, system="ok")

    @router.get("/health")
    def health() -> dict[str, bool]:
        return {"ok": True}

    @router.api_route("/both", methods=["POST", "PUT"])
    def both() -> ChatCompletionResource:
        return ChatCompletionResource(stream=True, system="both")

    outer = APIRouter(prefix="/v2")
    outer.include_router(router)
    app = FastAPI()
    app.include_router(outer)
    app.add_middleware(CORSMiddleware, allow_origins=["*"])
    app.add_middleware(GZipMiddleware, minimum_size=1)

    async def through(request: Any, call_next: Any) -> Any:
        response = await call_next(request)
        response.headers["x-through"] = "yes"
        return response

    app.add_middleware(BaseHTTPMiddleware, dispatch=through)
    client = TestClient(app)
    good = {"authorization": "Bearer good", "origin": "http://x.test"}
    assert client.post("/v2/ai/chat", json=HELLO).status_code == 401
    assert client.post("/v2/ai/chat", json=HELLO, headers={"authorization": "Bearer bad"}).status_code == 403
    response = client.post("/v2/ai/chat", json=HELLO, headers=good)
    assert response.text == "ok"
    assert (response.headers["x-through"], response.headers["access-control-allow-origin"]) == ("yes", "*")
    assert client.get("/v2/ai/health", headers=good).json() == {"ok": True}
    assert client.put("/v2/ai/both", json=HELLO, headers=good).text == "both"
    overridden = FastAPI()
    overridden.include_router(router)
    overridden.dependency_overrides[known] = lambda: None
    assert TestClient(overridden).post("/ai/chat", json=HELLO).text == "ok"


def test_functions_that_forget_to_say_what_they_return() -> None:
    router = echoing()

    @router.post("/chat")
    def chat():  # type: ignore[no-untyped-def]
        return ChatCompletionResource(stream=True)

    @router.post("/other")
    async def other():  # type: ignore[no-untyped-def]
        return {"fine": True}

    @router.post("/named", resource=ChatCompletionResource)
    def named():  # type: ignore[no-untyped-def]
        return ChatCompletionResource(stream=True, system="named")

    @router.post("/wrong")
    def wrong() -> ChatCompletionResource:
        return "a text"  # type: ignore[return-value]

    client = served(router)
    with pytest.raises(TypeError, match=r"write `def chat\(…\) -> ChatCompletionResource:`"):
        client.post("/chat", json=HELLO)
    assert client.post("/other").json() == {"fine": True}
    assert client.post("/named", json=HELLO).text == "named"
    with pytest.raises(TypeError, match=r"wrong\(\) is to return a ChatCompletionResource; it returned a str"):
        client.post("/wrong", json=HELLO)
    with pytest.raises(TypeError, match="format belongs to a factory"):
        router.post("/x", format="text")(lambda: None)


def test_options_are_checked_where_they_are_written() -> None:
    with pytest.raises(TypeError, match="has no option 'temprature'; did you mean 'temperature'"):
        ChatCompletionResource(temprature=1)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="gives `messages` itself"):
        ChatCompletionResource(messages=[])  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="ResponsesResource has no option 'stop'"):
        ResponsesResource(stop="x")  # type: ignore[call-arg]


def test_what_is_sent() -> None:
    upstream = Upstream(WORDS)
    router = OpenAIAPIRouter(client=upstream)

    def weather(city: str) -> str:
        """How the weather is."""
        return city

    theirs = {"type": "function", "function": {"name": "theirs", "parameters": {"type": "object"}}}

    @router.post("/chat", parameters=["seed"], roles=["system", "user"])
    def chat() -> ChatCompletionResource:
        return ChatCompletionResource(
            model="m",
            stream=True,
            system="Be brief.",
            tools=[weather, theirs, FunctionTool(weather, name="again")],
            temperature=0.5,
            stream_options={"include_usage": False},
        )

    messages = [{"role": "system", "content": "Theirs."}, {"role": "user", "content": "Hello"}]
    assert served(router).post("/chat", json={"messages": messages, "seed": 7, "model": "x"}).status_code == 200
    sent = upstream.bodies[0]
    assert [each["function"]["name"] for each in sent.pop("tools")] == ["weather", "theirs", "again"]
    assert sent == {
        "model": "m",
        "stream": True,
        "temperature": 0.5,
        "seed": 7,
        "stream_options": {"include_usage": False},
        "messages": [{"role": "system", "content": "Be brief."}, *messages],
    }


def test_what_a_response_is_asked() -> None:
    fake = FakeOpenAI()
    seen: list[Any] = []

    def noting(handler: Any) -> Any:
        def noted(request: Any) -> Any:
            import orjson

            seen.append(orjson.loads(request.content()))
            return handler(request)

        return noted

    router = OpenAIAPIRouter(client=noting(fake), format="json")

    @router.post("/respond", parameters=["previous_response_id"])
    def respond() -> ResponsesResource:
        return ResponsesResource(system="Be brief.", max_output_tokens=50)

    client = served(router)
    first = client.post("/respond", json={"input": "Hello"}).json()
    assert first["object"] == "response"
    again = client.post("/respond", json={"input": "And?", "previous_response_id": first["id"]})
    assert again.json()["previous_response_id"] == first["id"]
    conversation = [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "Look"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}},
            ],
        },
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
        },
        {"role": "tool", "tool_call_id": "c", "content": "grey"},
        {"role": "assistant", "content": "Grey."},
    ]
    assert client.post("/respond", json={"messages": conversation}).status_code == 200
    assert seen[0]["instructions"] == "Be brief."
    assert seen[-1]["input"] == [
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": "Look"},
                {"type": "input_image", "image_url": "data:image/png;base64,iVBORw0KGgo=", "detail": "auto"},
            ],
        },
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": "grey"},
        {"role": "assistant", "content": "Grey."},
    ]
    assert client.post("/respond", json={}).status_code == 422
    refused = client.post("/respond", json={"input": [{"role": "developer", "content": "x"}]})
    assert refused.json()["error"]["code"] == "role_not_allowed"


# Layers


def test_layers_see_questions_and_answers_in_every_format() -> None:
    told: list[str] = []
    ends: list[str] = []

    async def outer(asked: Asked, ask: Opening) -> Answer:
        told.append(f"outer {asked.messages[-1]['content']}")
        if asked.messages[-1]["content"] == "secret":
            raise Refused("Not that.", status=403, code="forbidden")
        return await ask(asked)

    async def counting(asked: Asked, ask: Opening) -> Answer:
        assert asked.connection is not None
        told.append(f"inner {asked.connection.headers['x-user']}")
        asked.messages.append({"role": "user", "content": "World"})
        answer = await ask(asked)
        seen: list[Event] = []

        async def ended() -> None:
            ends.append(
                f"{sum(isinstance(each, Finish) for each in seen)} {sum(isinstance(each, Usage) for each in seen)}"
            )

        answer.watch(seen.extend, ended)
        return answer

    router = OpenAIAPIRouter(client=FakeOpenAI(engine="echo"), layers=[outer, counting])

    @router.post("/chat")
    def chat(stream: bool = True) -> ChatCompletionResource:
        return ChatCompletionResource(stream=stream)

    client = served(router)
    headers = {"x-user": "ada"}
    for accept in ("lanarky", "openai", "vercel", "ag-ui"):
        named = {**headers, "accept": f"text/event-stream; format={accept}"}
        assert "World" in client.post("/chat", json=HELLO, headers=named).text
    assert "World" in client.post("/chat", json=HELLO, headers={**headers, "accept": "application/json"}).text
    assert "World" in client.post("/chat?stream=false", json=HELLO, headers=headers).text
    assert told[:2] == ["outer Hello", "inner ada"]
    assert ends == ["1 1"] * 6
    refused = client.post("/chat", json={"messages": [{"role": "user", "content": "secret"}]}, headers=headers)
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "forbidden")
