"""Every body and every event is valid by the API's own schemas, whatever is asked for."""

from __future__ import annotations

from functools import cache
from typing import Any

import jsonschema_rs
import pytest

from antiphon import schema
from antiphon.server.turns import (
    ApplyPatch,
    Citation,
    CodeInterpreter,
    Computer,
    ContainerCitation,
    FileCitation,
    FileSearch,
    ImageGeneration,
    LocalShell,
    McpCall,
    McpListTools,
    Reasoning,
    Refusal,
    Shell,
    ToolArguments,
    ToolCall,
    WebSearch,
)
from tests.unit.server.sdk import ask, serve, tool
from tests.unit.server.test_responses import CLOCK, WEATHER


@cache
def validator(part: str, name: str) -> Any:
    return jsonschema_rs.validator_for(schema.standalone(getattr(schema.operation(name), part)))


def check(part: str, name: str, value: Any) -> None:
    validator(part, name).validate(value)


TOOLS = [tool("get_weather", city={"type": "string"}), tool("get_time", zone={"enum": ["utc"]})]
USER = [{"role": "user", "content": "get_weather and get_time, json"}]
CHATS: list[dict[str, Any]] = [
    {},
    {"n": 3, "max_tokens": 3},
    {"logprobs": True, "top_logprobs": 2},
    {"tools": TOOLS},
    {"functions": [TOOLS[0]["function"]]},
    {"response_format": {"type": "json_object"}},
    {"reasoning_effort": "high", "service_tier": "flex"},
    {"modalities": ["text", "audio"], "audio": {"voice": "alloy", "format": "pcm16"}},
    {"web_search_options": {}},
    {"messages": [{"role": "user", "content": "please refuse"}]},
    {"store": True, "metadata": {"a": "b"}},
]


@pytest.mark.parametrize("options", CHATS)
def test_chat_completions(options: dict[str, Any]) -> None:
    body = {"model": "gpt-4o", "messages": USER, **options}
    check("response", "chat.completions.create", ask(serve(), "POST", "/chat/completions", body).json)
    answer = ask(
        serve(), "POST", "/chat/completions", {**body, "stream": True, "stream_options": {"include_usage": True}}
    )
    assert len(answer.events) > 2
    for event in answer.events:
        check("event", "chat.completions.create", event)


def test_stored_chat_completions() -> None:
    server = serve()
    body = {"model": "gpt-4o", "messages": USER, "store": True, "tools": TOOLS}
    made = ask(server, "POST", "/chat/completions", body).json
    path = f"/chat/completions/{made['id']}"
    check("response", "chat.completions.list", ask(server, "GET", "/chat/completions").json)
    check("response", "chat.completions.retrieve", ask(server, "GET", path).json)
    listed = ask(server, "GET", path + "/messages").json
    for message in listed["data"]:
        assert message["role"] == "user"
        message["role"] = "assistant"  # the types foresee no other, the API tells whose it is
    check("response", "chat.completions.messages.list", listed)
    check("response", "chat.completions.delete", ask(server, "DELETE", path).json)


@pytest.mark.parametrize("options", [{}, {"n": 2, "logprobs": 2}, {"prompt": ["a", "b"], "max_tokens": 1}])
def test_completions(options: dict[str, Any]) -> None:
    body = {"model": "gpt-3.5-turbo-instruct", "prompt": "a", **options}
    check("response", "completions.create", ask(serve(), "POST", "/completions", body).json)
    for event in ask(serve(), "POST", "/completions", {**body, "stream": True}).events:
        for choice in event["choices"]:
            choice["finish_reason"] = choice["finish_reason"] or "stop"  # null until the end, which the types forget
        check("event", "completions.create", event)


def everything(request: Any) -> Any:
    yield Reasoning("Let me see.")
    yield "Look here."
    yield Citation("https://example.com/", "Example", 0, 4)
    yield ToolCall(None, "f")
    yield ToolArguments("{}")
    yield ToolCall(None, "c", True)
    yield ToolArguments("text")
    yield Refusal("No more.")


def every_tool(request: Any) -> Any:
    yield WebSearch("cats", ["https://example.com/"])
    yield WebSearch(url="https://example.com/")
    yield WebSearch(url="https://example.com/", pattern="cats")
    yield FileSearch(["cats"])
    yield FileSearch(["cats"], [{"file_id": "file-1", "filename": "a", "score": 0.5, "text": "b", "attributes": None}])
    yield CodeInterpreter("1", "1", ["https://example.com/"])
    yield ImageGeneration("a cat")
    yield Shell(["ls", "pwd"], [("a", "", 0), ("", "b", 1)])
    yield McpListTools("s", [{"name": "f", "input_schema": {}}])
    yield McpListTools("s", error="gone")
    yield McpCall("s", "f", "{}", "done")
    yield McpCall("s", "f", "{}", error="gone")
    yield "All of it."
    yield FileCitation("file-1", "a", 3)
    yield ContainerCitation("cntr_1", "cfile_1", "a", 0, 3)
    yield Computer([{"type": "click", "button": "left", "x": 1, "y": 2}], [{"id": "1", "code": "c", "message": "m"}])
    yield LocalShell(["ls"])
    yield ApplyPatch("delete_file", "a")
    yield ApplyPatch("update_file", "a", "+b")


EVERY_TOOL: list[dict[str, Any]] = [
    {"type": "web_search"},
    {"type": "code_interpreter", "container": {"type": "auto"}},
    {"type": "image_generation", "partial_images": 1, "size": "1024x1024"},
    {"type": "shell", "environment": {"type": "container_auto"}},
    {"type": "mcp", "server_label": "s", "server_url": "https://example.com", "require_approval": "never"},
    {"type": "computer"},
    {"type": "local_shell"},
    {"type": "apply_patch"},
]
INCLUDE = ["web_search_call.action.sources", "file_search_call.results", "code_interpreter_call.outputs"]

RESPONSES: list[dict[str, Any]] = [
    {},
    {"tools": [WEATHER, CLOCK], "tool_choice": "required", "reasoning": {"effort": "low", "summary": "auto"}},
    {"tools": [{"type": "custom", "name": "code"}], "instructions": "i", "metadata": {"a": "b"}},
    {"text": {"format": {"type": "json_object"}, "verbosity": "low"}},
    {"max_output_tokens": 16, "include": ["message.output_text.logprobs"], "top_logprobs": 1},
    {"background": True},
    {"input": "please refuse"},
    {"tools": EVERY_TOOL, "include": INCLUDE},
    {"tools": [{**EVERY_TOOL[4], "require_approval": "always"}], "input": "mcp"},
    {"tools": [{"type": "computer_use_preview", "display_width": 9, "display_height": 9, "environment": "mac"}]},
]


@pytest.mark.parametrize("engine", [None, everything, every_tool])
@pytest.mark.parametrize("options", RESPONSES)
def test_responses(engine: Any, options: dict[str, Any]) -> None:
    body = {"model": "gpt-5", "input": "get_weather, get_time, json", **options}
    server = serve(engine)
    made = ask(server, "POST", "/responses", body).json
    check("response", "responses.create", made)
    check("response", "beta.responses.create", made)
    check("response", "responses.retrieve", ask(server, "GET", f"/responses/{made['id']}").json)
    check("response", "responses.input_items.list", ask(server, "GET", f"/responses/{made['id']}/input_items").json)
    answer = ask(server, "POST", "/responses", {**body, "stream": True})
    assert len(answer.events) > 6
    for event in answer.events:
        check("event", "responses.create", event)


def test_what_else_there_is_about_responses() -> None:
    server = serve()
    body = {"model": "gpt-5", "input": "x"}
    check("response", "responses.input_tokens.count", ask(server, "POST", "/responses/input_tokens", body).json)
    conversation = ask(server, "POST", "/conversations", {"items": [{"role": "user", "content": "x"}]}).json
    path = f"/conversations/{conversation['id']}/items"
    made = ask(server, "POST", "/responses", {**body, "conversation": conversation["id"]}).json
    check("response", "responses.create", made)
    listed = ask(server, "GET", path).json
    assert len(listed["data"]) == 3
    check("response", "conversations.items.list", listed)
    check(
        "response",
        "conversations.items.create",
        ask(server, "POST", path, {"items": [{"role": "user", "content": "y"}]}).json,
    )
    check("response", "conversations.items.delete", ask(server, "DELETE", f"{path}/{listed['first_id']}").json)
