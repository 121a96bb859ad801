"""The playground, as whoever sits before it sees it."""

from __future__ import annotations

import json
import threading
from typing import Annotated, Any

import pytest
from fastapi import Cookie, Depends, FastAPI, Header, Query, Request
from fastapi.security import HTTPBearer

import antiphon
from antiphon import FakeOpenAI
from antiphon.router import (
    AgentResource,
    Asked,
    ChatCompletionResource,
    Citation,
    Finish,
    Memory,
    OpenAIAPIRouter,
    Reasoning,
    ResponsesResource,
    Text,
    ToolCall,
)
from antiphon.router.formats import KEYS, Format, Writer
from antiphon.server.turns import ToolArguments
from tests.browser.chromium import Page
from tests.browser.conftest import Serve, Upstream

ANSWERED = "[...document.querySelectorAll('article')].at(-1)?.ariaBusy === 'false'"


def weather(city: str) -> dict[str, Any]:
    """How the weather is.

    Args:
        city: Its name.
    """
    if city == "Atlantis":
        raise LookupError("it has sunk")
    return {"city": city, "sky": "rain"}


def tenant(x_tenant: Annotated[str, Header()]) -> str:
    return x_tenant


@pytest.fixture
def app(upstream: Upstream) -> FastAPI:
    router = OpenAIAPIRouter(client=FakeOpenAI(engine=upstream).async_client(max_retries=0))

    @router.post("/chat")
    def chat() -> ChatCompletionResource:
        return ChatCompletionResource(stream=True)

    @router.websocket("/ws")
    def talk() -> ChatCompletionResource:
        return ChatCompletionResource(stream=True)

    @router.post("/agent")
    def agent() -> AgentResource:
        return AgentResource(stream=True, tools=[weather])

    @router.post("/tools")
    def tools() -> ChatCompletionResource:
        return ChatCompletionResource(stream=True, tools=[weather])

    @router.post("/responses")
    def responses() -> ResponsesResource:
        return ResponsesResource(stream=True)

    @router.get("/asked")
    def asked() -> ChatCompletionResource:
        return ChatCompletionResource(stream=True)

    router.playground("/")
    app = FastAPI()
    app.include_router(router)
    return app


def ask(page: Page, text: str, *, wait: bool = True) -> None:
    before = page.count("article")
    page.type(text, "#question")
    page.key("Enter")
    page.until(f"document.querySelectorAll('article').length > {before}")
    if wait:
        page.until(ANSWERED)


# Talking


def test_an_answer_appears_as_it_is_written_and_as_markdown(
    app: FastAPI, page: Page, serve: Serve, upstream: Upstream
) -> None:
    gate = threading.Event()
    upstream.says = ["# Rain\n\nIt is **we", "t**.\n\n", gate, "- one\n- two\n\n```py\nx = '<b>'\n```\n"]
    address = serve(app)
    page.open(f"{address}/")
    ask(page, "How is it?", wait=False)
    page.until("document.querySelector('.answer strong')?.innerText === 'wet'")
    assert page.text("h3.level-1") == "Rain"
    assert page.evaluate("document.querySelector('article').ariaBusy") == "true"
    assert not upstream.finished, "the beginning is seen before the end is written"
    gate.set()
    page.until(ANSWERED)
    assert page.evaluate("[...document.querySelectorAll('.answer li')].map((each) => each.innerText)") == ["one", "two"]
    assert page.text(".answer pre code") == "x = '<b>'"
    assert page.text(".asked").endswith("How is it?")
    facts = page.text(".facts")
    assert "tokens in" in facts
    assert "out" in facts
    assert "tokens in" in page.text("#totals")
    ask(page, "And now?")
    said = upstream.asked
    assert [role for role, _ in said] == ["user", "assistant", "user"], "the conversation goes on"
    assert said[1][1].startswith("# Rain")
    assert page.complaints == []
    assert page.requests
    assert all(each.startswith((address, "data:")) for each in page.requests), "nothing but the server is asked"


def test_what_a_model_says_is_never_html(app: FastAPI, page: Page, serve: Serve, upstream: Upstream) -> None:
    evil = (
        "<img src=x onerror=\"document.title='evil'\"> <script>document.title='evil'</script>\n\n"
        "<iframe srcdoc=hello></iframe>\n\n[a](javascript:document.title='evil') [b](data:text/html,evil) "
        '[c](https://example.com/"onclick="evil) ![p](https://example.com/p.png) '
        "<https://example.com/x> https://example.com/y.\n\n| <b>x</b> | y |\n|---|---|\n| <i>1</i> | 2 |\n\n"
        "```<script>\n</script><b>\n```\n\n<svg/onload=alert(1)>&lt;b&gt;"
    )
    upstream.says = [evil[at : at + 7] for at in range(0, len(evil), 7)]
    page.open(f"{serve(app)}/")
    ask(page, "<b>Hello</b>")
    assert page.text(".asked").endswith("<b>Hello</b>")
    kinds = page.evaluate("[...document.querySelectorAll('.answer *')].map((each) => each.localName)")
    allowed = {"div", "p", "a", "table", "thead", "tbody", "tr", "th", "td", "pre", "code", "span", "button"}
    assert set(kinds) <= allowed
    attributes = page.evaluate(
        "[...new Set([...document.querySelectorAll('.answer *')].flatMap((each) => each.getAttributeNames()))]"
    )
    assert not [each for each in attributes if each.startswith("on") or each in ("style", "src", "srcdoc")]
    links = page.evaluate(
        "[...document.querySelectorAll('.answer a')].map((each) => [each.href, each.rel, each.target])"
    )
    assert [href for href, _, _ in links] == [
        "https://example.com/%22onclick=%22evil",
        "https://example.com/p.png",
        "https://example.com/x",
        "https://example.com/y",
    ]
    assert all("noopener" in rel and target == "_blank" for _, rel, target in links)
    assert "<script>document.title='evil'</script>" in page.text(".answer")
    assert "[a](javascript:" in page.text(".answer")
    assert page.evaluate("document.title") == "Playground"
    assert page.complaints == []


@pytest.mark.parametrize("transport", ["POST /chat", "WS /ws", "POST /responses"])
def test_every_format_is_read(app: FastAPI, page: Page, serve: Serve, upstream: Upstream, transport: str) -> None:
    upstream.says = ["One\n\n", "**two**", " three"]
    page.open(f"{serve(app)}/")
    page.choose("#route", transport)
    assert page.evaluate("document.querySelector('#format').value") == "vercel"
    for number, key in enumerate(KEYS, 1):
        page.choose("#format", key)
        ask(page, f"In {key}")
        assert page.count("article") == number
        assert page.html(".answer .markdown") == "<p>One</p><p><strong>two</strong> three</p>", key
        assert page.count(".failure") == 0
        if key in ("vercel", "ag-ui", "openai", "json"):
            assert "tokens in" in page.text(".facts"), key
    assert len([each for each in page.requests if each.startswith("ws:")]) == (6 if transport == "WS /ws" else 0)
    assert page.complaints == []


def test_a_get_route_is_asked_in_its_query(app: FastAPI, page: Page, serve: Serve, upstream: Upstream) -> None:
    page.open(f"{serve(app)}/")
    page.choose("#route", "GET /asked")
    ask(page, "Hello & goodbye?")
    assert page.text(".answer") == "Hello there."
    assert upstream.asked == [("user", "Hello & goodbye?")]


def test_a_route_that_has_one_format(page: Page, serve: Serve, upstream: Upstream) -> None:
    router = OpenAIAPIRouter(client=FakeOpenAI(engine=upstream), formats=["lanarky"])

    @router.post("/only")
    def only() -> ChatCompletionResource:
        """Told in its own way."""
        return ChatCompletionResource(stream=True)

    router.playground("/try")
    app = FastAPI()
    app.include_router(router)
    page.open(f"{serve(app)}/try")
    assert page.evaluate("[...document.querySelector('#format').options].map((each) => each.value)") == ["lanarky"]
    assert page.text("#route-hint") == "Told in its own way."
    upstream.says = ["Line one\nline", " two\n\n", "End"]
    ask(page, "Hello")
    assert page.text(".answer") == "Line one line two\n\nEnd"
    assert page.complaints == []


class Shouting(Writer):
    def write(self, events: Any) -> bytes:
        return "".join(each.text.upper() for each in events if isinstance(each, Text)).encode()

    def frames(self, events: Any) -> list[str]:
        return [each.text.upper() for each in events if isinstance(each, Text)]


class Loud(Format):
    key = "loud"
    media_type = "text/x-loud"

    def writer(self, asked: Asked, dialect: str | None) -> Writer:
        return Shouting()


def test_a_format_of_the_applications_own_is_shown_as_it_comes(page: Page, serve: Serve, upstream: Upstream) -> None:
    router = OpenAIAPIRouter(client=FakeOpenAI(engine=upstream), format=Loud(), formats=[])

    @router.post("/loud")
    def loud() -> ChatCompletionResource:
        return ChatCompletionResource(stream=True)

    router.playground()
    app = FastAPI()
    app.include_router(router)
    page.open(f"{serve(app)}/")
    ask(page, "Hello")
    assert page.text(".answer") == "HELLO THERE."


# What else answers consist of


@pytest.mark.parametrize("key", ["vercel", "ag-ui", "openai"])
def test_tools_that_the_server_runs(app: FastAPI, page: Page, serve: Serve, upstream: Upstream, key: str) -> None:
    gate = threading.Event()
    upstream.rounds = [
        ["I ask.", ToolCall("call_1", "weather"), ToolArguments('{"city": "Lisbon"}')],
        [ToolCall("call_2", "weather"), ToolArguments('{"city": "Atlantis"}')],
        [gate, "It rains."],
    ]
    page.open(f"{serve(app)}/")
    page.choose("#route", "POST /agent")
    page.choose("#format", key)
    ask(page, "Is it raining in Lisbon?", wait=False)
    states = "[...document.querySelectorAll('.call .state')].map((each) => each.innerText)"
    page.until(f"{states}.length === 2 && {states}[1] !== 'called'")
    # AG-UI does not say of a result whether the tool failed.
    assert page.evaluate(states) == ["done", "done" if key == "ag-ui" else "failed"]
    assert page.text(".answer > .markdown") == "I ask.", "calls are seen before the answer is written"
    page.evaluate("document.querySelector('.call summary').click()")
    shown = "JSON.parse(document.querySelector('{}').innerText)"
    assert page.evaluate(shown.format(".call > pre")) == {"city": "Lisbon"}
    assert page.evaluate(shown.format(".call div pre")) == {"city": "Lisbon", "sky": "rain"}
    gate.set()
    page.until(ANSWERED)
    assert page.text(".answer > .markdown") == "It rains."
    ask(page, "Thanks")
    roles = [each["role"] for each in upstream.bodies[-1]["messages"]]
    assert roles == ["user", "assistant", "tool", "assistant", "tool", "assistant", "user"]
    assert page.complaints == []


def test_tools_that_are_the_callers_to_run(app: FastAPI, page: Page, serve: Serve, upstream: Upstream) -> None:
    upstream.says = ["Let me see. ", ToolCall("call_1", "weather"), ToolArguments('{"city":"Oslo"}')]
    page.open(f"{serve(app)}/")
    page.choose("#route", "POST /tools")
    ask(page, "How is Oslo?")
    assert page.text(".call .state") == "yours to make"
    assert "waits for results of tools" in page.text(".facts")
    upstream.says = ["Cold."]
    page.type("-4 degrees", ".call textarea")
    page.click("footer button:not(.quiet)")
    page.until(f"document.querySelectorAll('article').length === 2 && {ANSWERED}")
    assert page.text(".answer") == "Cold."
    sent = upstream.bodies[-1]["messages"]
    assert [each["role"] for each in sent] == ["user", "assistant", "tool"]
    assert sent[1]["tool_calls"][0]["function"] == {"name": "weather", "arguments": '{"city":"Oslo"}'}
    assert sent[2] == {"role": "tool", "tool_call_id": "call_1", "content": "-4 degrees"}
    assert page.text("article:first-child .call .state") == "answered"
    ask(page, "Thanks")
    assert [each["role"] for each in upstream.bodies[-1]["messages"]][-2:] == ["assistant", "user"]


def test_a_call_that_nobody_answered_is_left_out(app: FastAPI, page: Page, serve: Serve, upstream: Upstream) -> None:
    upstream.says = [ToolCall("call_1", "weather"), ToolArguments('{"city":"Oslo"}')]
    page.open(f"{serve(app)}/")
    page.choose("#route", "POST /tools")
    ask(page, "How is Oslo?")
    upstream.says = ["As you like."]
    ask(page, "Never mind")
    assert upstream.asked == [("user", "How is Oslo?"), ("user", "Never mind")]
    assert page.text("article:first-child .call .state") == "not made"


def test_reasoning_sources_and_why_an_answer_ends(page: Page, serve: Serve, upstream: Upstream) -> None:
    upstream.says = [
        Reasoning("Rain, then."),
        "It rains.",
        Citation("https://example.com/rain", "Rain", 0, 2),
        Finish("length"),
    ]
    router = OpenAIAPIRouter(client=FakeOpenAI(engine=upstream))

    @router.post("/responses")
    def responses() -> ResponsesResource:
        return ResponsesResource(stream=True, reasoning={"summary": "auto"})

    router.playground()
    app = FastAPI()
    app.include_router(router)
    page.open(f"{serve(app)}/")
    for key in ("vercel", "ag-ui", "openai"):
        page.choose("#format", key)
        ask(page, "Is it raining?")
        assert (
            page.evaluate("[...document.querySelectorAll('.reasoning')].at(-1).textContent") == "ReasoningRain, then."
        )
        assert page.evaluate("[...document.querySelectorAll('.reasoning')].at(-1).open") is False
        assert page.evaluate("[...document.querySelectorAll('.sources a')].at(-1).href") == "https://example.com/rain"
        assert "cut off" in page.text(".facts")


# Stopping, retrying, errors


def test_escape_stops_the_upstream(app: FastAPI, page: Page, serve: Serve, upstream: Upstream) -> None:
    upstream.says = ["Once ", ...]
    page.open(f"{serve(app)}/")
    ask(page, "Tell", wait=False)
    page.until("document.querySelector('.answer').innerText.includes('word3')")
    assert page.evaluate("document.querySelector('#send').hidden && !document.querySelector('#stop').hidden")
    page.key("Escape")
    page.until(ANSWERED)
    assert upstream.left.wait(20)
    assert not upstream.finished
    assert "stopped" in page.text(".facts")
    assert page.text("#status") == "Stopped."
    assert page.count(".failure") == 0
    upstream.says = ["All of it."]
    page.click(".retry")
    page.until(f"{ANSWERED} && document.querySelector('.answer').innerText === 'All of it.'")
    assert page.count("article") == 1
    assert upstream.asked == [("user", "Tell")], "what was stopped is no part of the conversation"
    assert page.complaints == []


def test_stop_on_a_websocket_keeps_it(app: FastAPI, page: Page, serve: Serve, upstream: Upstream) -> None:
    page.open(f"{serve(app)}/")
    page.choose("#route", "WS /ws")
    for key in ("vercel", "ag-ui", "openai", "lanarky", "text"):
        page.choose("#format", key)
        upstream.says = ["Once ", ...]
        upstream.left.clear()
        ask(page, "Tell", wait=False)
        page.until("[...document.querySelectorAll('.answer')].at(-1).innerText.includes('word3')")
        page.click("#stop")
        page.until(ANSWERED)
        assert upstream.left.wait(20)
        assert "stopped" in page.text(".facts"), key
        upstream.says = ["Goodbye."]
        ask(page, "Thank you")
        assert page.text(".answer") == "Goodbye.", key
    assert not upstream.finished - 5
    assert len([each for each in page.requests if each.startswith("ws:")]) == 5, "one connection a format"
    assert page.complaints == []


@pytest.mark.parametrize("transport", ["POST /chat", "WS /ws"])
def test_errors_are_told_and_may_be_retried(
    app: FastAPI, page: Page, serve: Serve, upstream: Upstream, transport: str
) -> None:
    page.open(f"{serve(app)}/")
    page.choose("#route", transport)
    for key in ("vercel", "ag-ui", "openai", "lanarky"):
        page.choose("#format", key)
        upstream.says = [antiphon.RateLimitError.because("Slow down.", code="rate_limit_exceeded")]
        ask(page, "Hello")
        failure = page.text(".failure")
        # The API's own events, which are all that a websocket has in `openai`, do not say the status.
        assert ("429" in failure) == ((key, transport) != ("openai", "WS /ws")), key
        assert "rate_limit_exceeded" in failure
        assert "Slow down." in failure
        assert "request req_" in failure
        upstream.says = ["Better."]
        before = page.count("article")
        page.click(".retry")
        page.until(f"{ANSWERED} && [...document.querySelectorAll('.answer')].at(-1).innerText === 'Better.'")
        assert page.count("article") == before


def test_an_error_on_the_way_ends_the_answer(app: FastAPI, page: Page, serve: Serve, upstream: Upstream) -> None:
    page.open(f"{serve(app)}/")
    for key in ("vercel", "ag-ui", "openai", "lanarky"):
        page.choose("#format", key)
        upstream.says = ["It began", antiphon.InternalServerError.because("It broke.", code="server_error")]
        ask(page, "Hello")
        assert page.text(".answer .markdown") == "It began"
        assert "It broke." in page.text(".failure"), key


def test_what_the_application_refuses_is_shown(page: Page, serve: Serve, upstream: Upstream) -> None:
    router = OpenAIAPIRouter(client=FakeOpenAI(engine=upstream))

    @router.post("/short")
    def short(word: Annotated[str, Query(max_length=3)]) -> ChatCompletionResource:
        return ChatCompletionResource(stream=True)

    @router.websocket("/short")
    def shortly(word: Annotated[str, Query(max_length=3)]) -> ChatCompletionResource:
        return ChatCompletionResource(stream=True)

    router.playground()
    app = FastAPI()
    app.include_router(router)
    page.open(f"{serve(app)}/")
    page.type("Hello", "#question")
    page.key("Enter")
    assert page.count("article") == 0, "what is required is asked for first"
    assert page.evaluate("document.activeElement.id") == "field-query-word"
    page.type("toolong")
    page.evaluate("document.querySelector('#question').focus()")
    page.key("Enter")
    page.until(f"document.querySelector('article') && {ANSWERED}")
    assert "422" in page.text(".failure")
    assert "query.word" in page.text(".failure")
    page.choose("#route", "WS /short")
    page.type("toolong", "#field-query-word")
    ask(page, "Hello")
    assert "websocket" in page.text(".failure")


def test_what_no_header_can_have_is_said(page: Page, serve: Serve, upstream: Upstream) -> None:
    router = OpenAIAPIRouter(client=FakeOpenAI(engine=upstream))

    @router.post("/chat")
    def chat(owner: Annotated[str, Depends(tenant)]) -> ChatCompletionResource:
        return ChatCompletionResource(stream=True)

    router.playground()
    app = FastAPI()
    app.include_router(router)
    page.open(f"{serve(app)}/")
    page.type("Ada 東京", "#field-header-x-tenant")
    ask(page, "Hello")
    assert "x-tenant has characters that headers cannot have" in page.text(".failure")
    assert page.complaints == []


def test_a_server_that_is_gone(app: FastAPI, page: Page, upstream: Upstream) -> None:
    from tests.browser.conftest import serving

    with serving(app) as address:
        page.open(f"{address}/")
    for transport, words in (("POST /chat", "cannot be reached"), ("WS /ws", "refused")):
        page.choose("#route", transport)
        ask(page, "Hello")
        assert words in page.text(".failure")


# What may be filled in


def test_what_is_filled_in_arrives(page: Page, serve: Serve, upstream: Upstream) -> None:
    seen: dict[str, Any] = {}
    router = OpenAIAPIRouter(client=FakeOpenAI(engine=upstream))

    @router.post(
        "/rooms/{room}",
        roles=("system", "user", "assistant", "tool"),
        parameters=("temperature", "stop"),
        dependencies=[Depends(HTTPBearer())],
    )
    def room(
        request: Request,
        room: str,
        owner: Annotated[str, Depends(tenant)],
        tags: Annotated[list[str], Query()],
        count: Annotated[int, Query(ge=1, le=9, description="How many.")] = 3,
        loud: bool = False,
        mark: Annotated[str | None, Cookie()] = None,
    ) -> ChatCompletionResource:
        key = request.headers["authorization"]
        seen.update(room=room, owner=owner, tags=tags, count=count, loud=loud, key=key)
        return ChatCompletionResource(stream=True)

    router.playground("/")
    app = FastAPI()
    app.include_router(router, prefix="/v1")
    page.open(f"{serve(app)}/v1/")
    assert page.evaluate("document.querySelector('#field-cookie-mark').disabled")
    assert page.evaluate("document.querySelector('#field-header-Authorization').type") == "password"
    page.type("Be terse.", "#field-system-system")
    page.type("top secret", "#field-header-Authorization")
    page.type("hall 1", "#field-path-room")
    page.type("Ada", "#field-header-x-tenant")
    page.type("a&b\nc", "#field-query-tags")
    page.type("5", "#field-query-count")
    page.choose("#field-query-loud", "true")
    page.type("0.5", "#field-option-temperature")
    page.type("END", "#field-option-stop")
    ask(page, "Hello")
    assert seen == {
        "room": "hall 1",
        "owner": "Ada",
        "tags": ["a&b", "c"],
        "count": 5,
        "loud": True,
        "key": "Bearer top secret",
    }
    assert upstream.asked[0] == ("system", "Be terse.")
    assert upstream.bodies[-1]["temperature"] == 0.5
    assert upstream.bodies[-1]["stop"] == "END"
    page.click(".raw summary")
    assert "top secret" not in page.text(".raw")
    assert "hall%201" in page.text(".raw")
    # It is all there when the page is loaded anew, but for what is secret.
    page.evaluate("location.reload()")
    page.until("document.readyState === 'complete' && document.querySelectorAll('article').length === 0")
    filled = "[...document.querySelectorAll('#own :is(input, select, textarea)')].map((each) => each.value)"
    assert page.until(filled) == ["Be terse.", "", "hall 1", "a&b\nc", "5", "true", "Ada", "", "END", "0.5"]


def test_routes_are_found_behind_prefixes_and_proxies(page: Page, serve: Serve, upstream: Upstream) -> None:
    inner = OpenAIAPIRouter(prefix="/rooms", client=FakeOpenAI(engine=upstream))

    @inner.post("/chat")
    def chat() -> ChatCompletionResource:
        return ChatCompletionResource(stream=True)

    @inner.websocket("/ws")
    def talk() -> ChatCompletionResource:
        return ChatCompletionResource(stream=True)

    outer = OpenAIAPIRouter(prefix="/v1")
    outer.include_router(inner, prefix="/inner")
    outer.playground("/try/it")
    app = FastAPI()
    app.include_router(outer, prefix="/{tenant}")
    whole = FastAPI()
    whole.mount("/deep", app)
    page.open(f"{serve(whole, root_path='/proxied')}/deep/ada/v1/try/it")
    for transport in ("POST /v1/inner/rooms/chat", "WS /v1/inner/rooms/ws"):
        page.choose("#route", transport)
        ask(page, "Hello")
        assert page.text(".answer") == "Hello there."
    assert any(each.endswith("/deep/ada/v1/inner/rooms/chat") for each in page.requests)


def test_only_what_is_new_is_sent_where_that_is_wanted(
    app: FastAPI, page: Page, serve: Serve, upstream: Upstream
) -> None:
    page.open(f"{serve(app)}/")
    ask(page, "One")
    page.click("#memory")
    ask(page, "Two")
    assert upstream.asked == [("user", "Two")]


@pytest.mark.parametrize("where", [None, "header:x-talk", "cookie:talk", "query:talk", "body:talk"])
def test_routes_that_remember(page: Page, serve: Serve, upstream: Upstream, where: str | None) -> None:
    memory = Memory() if where is None else Memory(session=where)
    router = OpenAIAPIRouter(client=FakeOpenAI(engine=upstream), layers=[memory])

    @router.post("/chat")
    def chat() -> ChatCompletionResource:
        return ChatCompletionResource(stream=True)

    @router.websocket("/ws")
    def talk() -> ChatCompletionResource:
        return ChatCompletionResource(stream=True)

    router.playground()
    app = FastAPI()
    app.include_router(router)
    page.open(f"{serve(app)}/")
    for transport in ("POST /chat", "WS /ws"):
        page.choose("#route", transport)
        assert page.evaluate("document.querySelector('#memory').checked")
        if (where, transport) == ("cookie:talk", "WS /ws"):
            continue  # it has the cookie of the route before
        ask(page, "One")
        ask(page, "Two")
        assert [text for _, text in upstream.asked] == ["One", "Hello there.", "Two"], transport
        page.click(".raw summary")
        assert "One" not in page.text(".raw pre")
    if where != "cookie:talk":
        page.choose("#route", "POST /chat")
        page.click("#new")
        ask(page, "Three")
        assert upstream.asked == [("user", "Three")]


# Events, keys, and those who do not see or hear


def test_raw_events_and_the_request(app: FastAPI, page: Page, serve: Serve, upstream: Upstream) -> None:
    page.open(f"{serve(app)}/")
    page.choose("#format", "openai")
    ask(page, "Hello")
    page.click(".raw summary")
    page.until("document.querySelector('.raw li') !== null")
    events = page.evaluate("[...document.querySelectorAll('.raw li code')].map((each) => each.textContent)")
    assert page.text(".raw summary") == f"Request and raw events ({len(events)})"
    assert events[-1] == "[DONE]"
    assert json.loads(events[0])["object"] == "chat.completion.chunk"
    request = page.text(".raw pre")
    assert request.startswith("POST /chat\naccept: text/event-stream; format=openai\n")
    assert json.loads(request[request.index("{") :])["messages"] == [{"role": "user", "content": "Hello"}]
    page.choose("#format", "lanarky")
    ask(page, "Hello")
    page.click(".raw summary")
    assert page.until("document.querySelector('article:last-child .raw li b')?.textContent") == "completion"


def test_keys(app: FastAPI, page: Page, serve: Serve, upstream: Upstream) -> None:
    page.open(f"{serve(app)}/")
    assert page.evaluate("document.activeElement.id") == "question", "one may write at once"
    page.type("One")
    page.key("Enter", shift=True)
    page.type("line")
    assert page.evaluate("document.querySelector('#question').value") == "One\nline"
    page.key("Enter")
    page.until(f"document.querySelector('article') && {ANSWERED}")
    assert upstream.asked == [("user", "One\nline")]
    assert page.evaluate("document.activeElement.id") == "question"
    page.key("Enter")
    assert page.count("article") == 1, "nothing is not a question"
    page.key("ArrowUp")
    assert page.evaluate("document.querySelector('#question').value") == "One\nline"
    page.evaluate("document.querySelector('.raw summary').focus()")
    page.key("Enter")
    page.until("document.querySelector('.raw').open")
    page.click("#new")
    assert page.count("article") == 0
    assert page.evaluate("document.activeElement.id") == "question"


CONTRAST = """(() => {
    const light = (text) => {
        const parts = text.match(/[\\d.]+/g).slice(0, 3).map((each) => each / 255)
            .map((each) => (each <= 0.04045 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4));
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
    };
    const behind = (each) => {
        for (; each !== null; each = each.parentElement) {
            const color = getComputedStyle(each).backgroundColor;
            if (color !== 'rgba(0, 0, 0, 0)') return color;
        }
    };
    const low = [];
    for (const each of document.querySelectorAll('body *:not(:disabled)')) {
        const said = [...each.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
        if (!said || !each.checkVisibility() || ['SCRIPT', 'OPTION'].includes(each.tagName)) continue;
        const [one, two] = [light(getComputedStyle(each).color), light(behind(each))].sort((a, b) => b - a);
        const ratio = (one + 0.05) / (two + 0.05);
        if (ratio < 4.5) low.push([each.outerHTML.slice(0, 80), ratio]);
    }
    return low;
})()"""
UNNAMED = """[...document.querySelectorAll('button, select, input, textarea, a, pre[tabindex], [role=region]')].filter((each) =>
    each.checkVisibility() && !each.labels?.length && !each.ariaLabel && !each.innerText.trim()).map((each) => each.outerHTML)"""


def test_it_may_be_used_without_eyes_and_in_the_dark(
    app: FastAPI, page: Page, serve: Serve, upstream: Upstream
) -> None:
    page.open(f"{serve(app)}/")
    gate = threading.Event()
    upstream.says = [
        "Hello `there`,\n\n> said\n\n```js\ncode\n```\n\n[a](https://example.com)\n\n- [ ] to do\n",
        gate,
        "\nEnd.",
    ]
    ask(page, "Hello", wait=False)
    page.until("document.querySelector('.answer').innerText.includes('code')")
    log = page.evaluate("(({role, ariaLive}) => [role, ariaLive])(document.querySelector('#log'))")
    assert log == ["log", "off"], "an answer is not read out piece by piece"
    assert page.evaluate("document.querySelector('#status').role") == "status"
    assert page.text("#status") == "Answering."
    gate.set()
    page.until(ANSWERED)
    said = page.evaluate("document.querySelector('#status').textContent")
    assert said.startswith("Answer: Hello there,"), "but when it is there"
    upstream.says = [ToolCall("call_1", "weather"), ToolArguments('{"city":"Oslo"}')]
    page.choose("#route", "POST /tools")
    ask(page, "How is Oslo?")
    upstream.says = [antiphon.RateLimitError.because("Slow down.", code="rate_limit_exceeded")]
    ask(page, "Hello")
    assert page.evaluate("document.querySelector('.failure').role") == "alert"
    page.click(".raw summary")
    assert page.evaluate(UNNAMED) == []
    assert page.evaluate("document.documentElement.lang") == "en"
    for scheme in ("light", "dark"):
        page.media(prefers_color_scheme=scheme)
        assert page.evaluate(CONTRAST) == [], scheme
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.media(prefers_color_scheme="light")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != dark


def test_nothing_moves_for_those_who_want_that(app: FastAPI, page: Page, serve: Serve, upstream: Upstream) -> None:
    gate = threading.Event()
    upstream.says = [gate, "Hello"]
    page.open(f"{serve(app)}/")
    ask(page, "Hello", wait=False)
    assert page.evaluate("document.getAnimations().length") == 1, "that it waits is seen"
    page.media(prefers_reduced_motion="reduce")
    assert page.evaluate("document.getAnimations().length") == 0
    gate.set()
    page.until(ANSWERED)


def test_on_a_small_screen(app: FastAPI, page: Page, serve: Serve, upstream: Upstream) -> None:
    page.call("Emulation.setDeviceMetricsOverride", width=360, height=640, deviceScaleFactor=1, mobile=True)
    upstream.says = ["A " + "long" * 60 + "\n\n```\n" + "wide " * 60 + "\n```\n\n| " + " | ".join("abcdefghij") * 3]
    page.open(f"{serve(app)}/")
    assert page.evaluate("document.querySelector('#settings').open") is False
    ask(page, "Hello" * 40)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert page.evaluate("document.querySelector('#send').getBoundingClientRect().right") <= 360


def test_a_reader_who_goes_back_is_left_there(app: FastAPI, page: Page, serve: Serve, upstream: Upstream) -> None:
    gate = threading.Event()
    upstream.says = ["line\n\n" * 80, gate, "line\n\n" * 80]
    page.open(f"{serve(app)}/")
    ask(page, "Much", wait=False)
    page.until("document.querySelectorAll('.answer p').length === 80")
    where = "(({scrollTop, scrollHeight, clientHeight}) => scrollHeight - clientHeight - scrollTop)(document.querySelector('#log'))"
    page.until(f"{where} < 80")
    page.evaluate("document.querySelector('#log').scrollTop = 100")
    gate.set()
    page.until(ANSWERED)
    assert page.count(".answer p") == 160
    assert page.evaluate("document.querySelector('#log').scrollTop") == 100
