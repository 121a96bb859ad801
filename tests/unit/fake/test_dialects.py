"""Anthropic's and Google's APIs, spoken by the same fake. Their own packages are tried in tests/conformance/frameworks."""

from __future__ import annotations

import json
from typing import Any

import pytest

from antiphon import FakeOpenAI
from antiphon.fake.faults import Truncate
from antiphon.kernel.http import Headers, Request
from antiphon.transports.handler import HandlerTransport

MESSAGES: Any = {"model": "claude", "max_tokens": 50, "messages": [{"role": "user", "content": "one two"}]}
CONTENTS: Any = {"contents": [{"role": "user", "parts": [{"text": "one two"}]}]}
GEMINI = "/v1beta/models/gemini"


def ask(fake: FakeOpenAI, path: str, body: Any, method: str = "POST", query: str = "", key: str = "any") -> Any:
    headers = Headers({"x-api-key": key, "x-goog-api-key": key, "authorization": f"Bearer {key}"} if key else {})
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return HandlerTransport(fake).send(
        Request(method, path, query, headers, content, "http://fake.test"), None, stream=False
    )


@pytest.mark.parametrize("prefix", ["", "/anthropic"])
def test_messages(prefix: str) -> None:
    fake = FakeOpenAI("echo")
    told = ask(fake, f"{prefix}/v1/messages", MESSAGES).json()
    assert told["content"] == [{"type": "text", "text": "one two", "citations": None}]
    (call,) = fake.journal
    assert (call.operation, call.model, call.text) == ("chat.completions.create", "claude", "one two")


@pytest.mark.parametrize("prefix", ["", "/gemini"])
def test_contents(prefix: str) -> None:
    fake = FakeOpenAI("echo")
    told = ask(fake, f"{prefix}{GEMINI}:generateContent", CONTENTS).json()
    assert told["candidates"][0]["content"] == {"role": "model", "parts": [{"text": "one two"}]}
    array = ask(fake, f"{prefix}{GEMINI}:streamGenerateContent", CONTENTS).json()
    assert "".join(each["candidates"][0]["content"]["parts"][0]["text"] for each in array) == "one two"
    events = ask(fake, f"{prefix}{GEMINI}:streamGenerateContent", CONTENTS, query="alt=sse").text
    assert events.count("data: ") == len(array)


def test_the_same_rules_faults_and_scripts() -> None:
    fake = FakeOpenAI()
    fake.when(model="claude", system="brief").reply("Yes.")
    assert ask(fake, "/v1/messages", {**MESSAGES, "system": "Be brief."}).json()["content"][0]["text"] == "Yes."
    fake.misbehave(Truncate(after=2))
    cut = ask(fake, "/v1/messages", {**MESSAGES, "stream": True}).text
    assert "message_start" in cut


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{", "no JSON"),
        (b"[]", "a JSON object"),
        ({**MESSAGES, "messages": []}, "at least one message"),
        ({**MESSAGES, "messages": [{"role": "system", "content": "x"}]}, "messages.0.role"),
        ({**MESSAGES, "messages": [{"role": "user", "content": 5}]}, "messages.0.content"),
        ({**MESSAGES, "messages": [{"role": "user", "content": [{"type": "x"}]}]}, "messages.0.content.0.type"),
        ({**MESSAGES, "max_tokens": "5"}, "max_tokens"),
        ({**MESSAGES, "messages": [{"role": "user", "content": [{"type": ["x"]}]}]}, "messages.0.content.0.type"),
        ({**MESSAGES, "messages": [{"role": "user", "content": [{"type": "image", "source": "x"}]}]}, "source"),
        ({**MESSAGES, "system": 5}, "system"),
        ({**MESSAGES, "system": [{"text": 5}]}, "system"),
        ({**MESSAGES, "stop_sequences": 5}, "stop_sequences"),
        ({**MESSAGES, "tools": 5}, "tools"),
        ({**MESSAGES, "tools": [{"input_schema": {}}]}, "name: Field required"),
        ({**MESSAGES, "tool_choice": "auto"}, "tool_choice"),
        ({key: value for key, value in MESSAGES.items() if key != "max_tokens"}, "max_tokens: Field required"),
        ({key: value for key, value in MESSAGES.items() if key != "model"}, "model: Field required"),
    ],
)
def test_what_anthropic_refuses(body: Any, words: str) -> None:
    told = ask(FakeOpenAI(), "/v1/messages", body)
    assert told.status == 400
    assert told.json()["type"] == "error"
    assert told.json()["error"]["type"] == "invalid_request_error"
    assert words in told.json()["error"]["message"]


@pytest.mark.parametrize(
    ("path", "body", "status", "words"),
    [
        (":generateContent", b"{", 400, "no JSON"),
        (":generateContent", {}, 400, "contents"),
        (":generateContent", {"contents": []}, 400, "contents is not specified"),
        (":generateContent", {"contents": [{"parts": 5}]}, 400, "contents[0].parts"),
        (":generateContent", {"contents": [{"parts": [{"inlineData": 5}]}]}, 400, "contents[0].parts[0].inlineData"),
        (":generateContent", {**CONTENTS, "generationConfig": 5}, 400, "generationConfig"),
        (":generateContent", {**CONTENTS, "systemInstruction": 5}, 400, "systemInstruction"),
        (":generateContent", {**CONTENTS, "tools": [5]}, 400, "tools[0]"),
        (":generateContent", {**CONTENTS, "tools": [{"functionDeclarations": [{}]}]}, 400, "name"),
        (":generateContent", {**CONTENTS, "toolConfig": 5}, 400, "toolConfig"),
        (":generateContent", {"contents": [{"role": "x", "parts": []}]}, 400, "valid role"),
        (":batchEmbedContents", {}, 400, "requests"),
        (":sing", {}, 404, "no method 'sing'"),
    ],
)
def test_what_gemini_refuses(path: str, body: Any, status: int, words: str) -> None:
    told = ask(FakeOpenAI(), GEMINI + path, body)
    assert told.json()["error"]["code"] == told.status == status
    assert words in told.json()["error"]["message"]


def test_keys_and_addresses() -> None:
    fake = FakeOpenAI()
    assert ask(fake, "/v1/messages", MESSAGES, key="").json()["error"]["type"] == "authentication_error"
    assert ask(fake, f"{GEMINI}:generateContent", CONTENTS, key="").json()["error"]["status"] == "UNAUTHENTICATED"
    assert ask(fake, f"{GEMINI}:generateContent", CONTENTS, key="", query="key=mine").status == 200
    assert ask(fake, "/anthropic/v1/nothing", {}).status == 404
    assert ask(fake, "/v1/messagesx", {}).json()["error"]["message"].startswith("Invalid URL")
    assert ask(fake, "/anthropic/v1/models", b"", "GET").json()["data"][0]["type"] == "model"
    assert ask(fake, "/v1beta/models", b"", "GET").json()["models"][0]["name"].startswith("models/")
    assert ask(fake, "/v1beta/openai/models", b"", "GET").status == 200  # Google's own address for OpenAI's clients


def test_several_calls_and_pictures() -> None:
    fake = FakeOpenAI()
    fake.when(tools="go").call_tools(("go", {"to": "a"}), ("go", {"to": "b"}))
    tool = {"name": "go", "parameters": {"type": "OBJECT", "properties": {"to": {"type": "STRING"}}}}
    asked = {**CONTENTS, "tools": [{"functionDeclarations": [tool]}]}
    told = ask(fake, f"{GEMINI}:generateContent", asked).json()
    calls = [part["functionCall"] for part in told["candidates"][0]["content"]["parts"]]
    assert [call["args"] for call in calls] == [{"to": "a"}, {"to": "b"}]
    results = [{"functionResponse": {"name": "go", "response": {"ok": True}}} for _ in calls]
    turns = [*CONTENTS["contents"], told["candidates"][0]["content"], {"role": "user", "parts": results}]
    assert ask(fake, f"{GEMINI}:generateContent", {**asked, "contents": turns}).status == 200
    sent = fake.journal[-1].body["messages"]
    assert [each["role"] for each in sent] == ["user", "assistant", "tool", "tool"]
    picture = {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}
    ask(fake, f"{GEMINI}:generateContent", {"contents": [{"parts": [picture, {"text": "What?"}]}]})
    assert fake.journal[-1].body["messages"][0]["content"][0]["image_url"]["url"] == "data:image/png;base64,AAAA"
