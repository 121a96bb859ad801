"""The playground's page as it is served: what it is told, and what it may do. In a browser: tests/browser."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from enum import Enum
from typing import Annotated, Any, Literal

import pytest
from fastapi import Body, Depends, FastAPI, HTTPException, Query
from fastapi.security import APIKeyHeader, HTTPBasic
from fastapi.testclient import TestClient

from antiphon import FakeOpenAI
from antiphon.router import ChatCompletionResource, EmbeddingsResource, OpenAIAPIRouter, ResponsesResource


class Mood(Enum):
    KIND = "kind"
    SOBER = "sober"


def guarded() -> None:
    raise HTTPException(401, "Who are you?")


def made(**settings: Any) -> OpenAIAPIRouter:
    router = OpenAIAPIRouter(client=FakeOpenAI(engine="echo"), **settings)

    @router.post("/chat")
    def chat() -> ChatCompletionResource:
        """Talk.

        At length.
        """
        return ChatCompletionResource(stream=True)

    @router.websocket("/ws")
    def talk() -> ChatCompletionResource:
        return ChatCompletionResource(stream=True)

    @router.post("/embed")
    def embed() -> EmbeddingsResource:
        return EmbeddingsResource()

    @router.get("/health")
    def health() -> dict[str, bool]:
        return {"ok": True}

    return router


def served(router: OpenAIAPIRouter, prefix: str = "") -> TestClient:
    app = FastAPI()
    app.include_router(router, prefix=prefix)
    return TestClient(app)


def told(page: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="told">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    result: dict[str, Any] = json.loads(found[1])
    return result


def test_the_page_and_the_conversations_it_lists() -> None:
    router = made(format="openai", formats=["vercel"], roles=["developer", "user"], parameters=["model"])
    router.playground("/")
    client = served(router)
    response = client.get("/")
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert told(response.text)["page"] == "/"
    chat, talk = told(response.text)["routes"]
    assert (chat["method"], chat["path"], chat["summary"]) == ("POST", "/chat", "Talk.")
    assert (talk["method"], talk["path"], talk["summary"]) == ("WS", "/ws", "")
    assert chat["format"] == "openai"
    assert list(chat["formats"]) == ["openai", "vercel"]
    assert chat["formats"]["vercel"] == "text/event-stream; format=vercel"
    assert chat["system"] == "developer"
    assert chat["options"] == ["model"]
    assert client.get("/openapi.json").json()["paths"].keys() == {"/chat", "/embed", "/health"}


def test_every_format_is_answered_as_the_page_asks_for_it() -> None:
    router = made()
    router.playground("/")
    client = served(router)
    hello = {"messages": [{"role": "user", "content": "Hello"}]}
    formats = told(client.get("/").text)["routes"][0]["formats"]
    assert len(formats) == 6
    for key, accept in formats.items():
        response = client.post("/chat", json=hello, headers={"accept": accept})
        assert response.status_code == 200, key
        assert response.headers["content-type"].startswith(accept.partition(";")[0]), key


def test_the_policy_lets_it_run_what_is_in_it_and_ask_its_server() -> None:
    router = made()
    router.playground("/")
    response = served(router).get("/")
    policy = dict(each.split(" ", 1) for each in response.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["form-action"] == policy["base-uri"] == "'none'"
    for directive, tag in (("script-src", '<script type="module">'), ("style-src", "<style>")):
        text = response.text.split(tag)[1].split("</")[0] if tag == "<style>" else response.text.rpartition(tag)[2]
        digest = hashlib.sha256(text.removesuffix("</script>\n</body>\n</html>\n").encode()).digest()
        assert policy[directive] == f"'sha256-{base64.b64encode(digest).decode()}'"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert "unsafe" not in response.headers["content-security-policy"]
    addresses = set(re.findall(r"(?:src|href)=[\"']?(?!data:|#)\w+:?[^\s>]*", response.text))
    assert addresses == set(), "nothing is fetched"


def test_titles_and_routes_cannot_break_out_of_their_place() -> None:
    router = OpenAIAPIRouter()

    @router.post("/chat")
    def chat(word: Annotated[str, Query(description="</script><script>evil()</script>")]) -> ChatCompletionResource:
        return ChatCompletionResource()

    title = "</title><script>evil()</script>"
    router.playground("/", title=title)
    page = served(router).get("/").text
    assert "<script>evil" not in page
    assert page.count(html.escape(title)) == 2
    assert told(page)["routes"][0]["fields"][0]["description"] == "</script><script>evil()</script>"


def test_fields_are_what_the_factory_takes() -> None:
    router = OpenAIAPIRouter(dependencies=[Depends(HTTPBasic(auto_error=False))])

    @router.get("/rooms/{room}", dependencies=[Depends(APIKeyHeader(name="x-key"))])
    def room(
        room: str,
        mood: Mood,
        tone: Literal["low", "high"] | None = None,
        count: Annotated[int, Query(ge=1, le=9, description="How many.")] = 3,
        tags: Annotated[list[str], Query()] = [],  # noqa: B006 as FastAPI has it
    ) -> ChatCompletionResource:
        return ChatCompletionResource()

    router.playground("/")
    fields = {each["name"]: each for each in told(served(router).get("/").text)["routes"][0]["fields"]}
    assert list(fields) == ["Authorization", "x-key", "room", "mood", "tone", "count", "tags"]
    assert fields["Authorization"]["scheme"] == "Basic"
    assert fields["Authorization"]["secret"]
    assert fields["x-key"]["secret"]
    assert (fields["room"]["in"], fields["room"]["required"]) == ("path", True)
    assert fields["mood"]["enum"] == ["kind", "sober"]
    assert (fields["tone"]["enum"], fields["tone"]["required"]) == (["low", "high"], False)
    assert fields["count"]["default"] == 3
    assert (fields["count"]["minimum"], fields["count"]["maximum"]) == (1, 9)
    assert fields["count"]["description"] == "How many."
    assert fields["tags"]["type"] == "array"


def test_a_body_of_several_parts() -> None:
    router = OpenAIAPIRouter(client=FakeOpenAI(engine="echo"))

    @router.post("/chat")
    def chat(mood: Annotated[str, Body()]) -> ResponsesResource:
        return ResponsesResource(stream=True, system=mood)

    router.playground("/")
    client = served(router)
    (route,) = told(client.get("/").text)["routes"]
    assert route["embedded"]
    assert [(each["name"], each["in"], each["required"]) for each in route["fields"]] == [("mood", "body", True)]
    body = {"body": {"messages": [{"role": "user", "content": "Hello"}]}, "mood": "kind"}
    assert client.post("/chat", json=body, headers={"accept": route["formats"]["text"]}).text == "Hello"


def test_routes_may_be_chosen_and_those_there_are_not_are_named() -> None:
    router = made(prefix="/v1")
    router.playground("/one", routes=["/ws"])
    router.playground("/two", routes=["/v1/chat", "/char"])
    client = served(router)
    one, two = told(client.get("/v1/one").text), told(client.get("/v1/two").text)
    assert one["page"] == "/v1/one"
    assert [each["path"] for each in one["routes"]] == ["/v1/ws"]
    assert one["missing"] == []
    assert [each["path"] for each in two["routes"]] == ["/v1/chat"]
    assert two["missing"] == ["/char"]


def test_routes_that_come_later_and_those_of_included_routers_are_listed() -> None:
    outer = OpenAIAPIRouter(prefix="/v1")
    outer.playground("/")
    outer.include_router(made(prefix="/inner"), prefix="/more")

    @outer.put("/late")
    def late() -> ChatCompletionResource:
        return ChatCompletionResource()

    client = served(outer, prefix="/api")
    listed = told(client.get("/api/v1/").text)["routes"]
    assert [each["path"] for each in listed] == ["/v1/late", "/v1/more/inner/chat", "/v1/more/inner/ws"]
    assert listed[0]["method"] == "PUT"


def test_the_page_may_be_guarded() -> None:
    router = made(dependencies=[Depends(guarded)])
    router.playground("/open")
    router.playground("/shut", dependencies=[Depends(guarded)])
    client = served(router)
    assert client.get("/open").status_code == 200
    assert client.get("/shut").status_code == 401


def test_a_path_begins_with_a_slash() -> None:
    with pytest.raises(ValueError, match="begins with '/'"):
        OpenAIAPIRouter().playground("try")
