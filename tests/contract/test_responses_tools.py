"""Tools that are no functions: the items and events they leave, what comes back for them, and who says no."""

from __future__ import annotations

import base64
from itertools import groupby
from typing import Any

import pytest

import antiphon
from antiphon.server.turns import (
    Citation,
    CodeInterpreter,
    ContainerCitation,
    FileSearch,
    Item,
    McpCall,
    McpListTools,
    Reasoning,
    Text,
    WebSearch,
)

MODEL = "gpt-5"
MCP = {"type": "mcp", "server_label": "wiki", "server_url": "https://wiki.test/mcp", "allowed_tools": ["ask", "read"]}
FREE_MCP = {**MCP, "require_approval": "never"}


async def respond(api: Any, given: Any, *tools: dict[str, Any], **options: Any) -> Any:
    return await api.call("responses.create", model=MODEL, input=given, tools=list(tools), **options)


async def told(api: Any, given: Any, *tools: dict[str, Any], **options: Any) -> list[Any]:
    """The events of a stream; what is said in them is what the Response says at the end."""
    events: list[Any] = await api.items(await respond(api, given, *tools, stream=True, **options))
    assert [event.sequence_number for event in events] == list(range(len(events)))
    final = events[-1].response
    done = [event for event in events if event.type == "response.output_item.done"]
    assert [event.output_index for event in done] == list(range(len(final.output)))
    assert [event.item.to_dict() for event in done] == [item.to_dict() for item in final.output]
    begun = [event for event in events if event.type == "response.output_item.added"]
    assert [event.item.id for event in begun] == [item.id for item in final.output]
    return events


def kinds(events: list[Any], of: Any) -> list[str]:
    """The types of the events of one item, each named once where it comes several times in a row."""
    found = [event.type for event in events if getattr(event, "item_id", None) == of.id or of.id == _item(event)]
    return [kind.removeprefix("response.") for kind, _ in groupby(found)]


def _item(event: Any) -> str | None:
    return event.item.id if event.type.startswith("response.output_item.") else None


def types(answer: Any) -> list[str]:
    return [item.type for item in answer.output]


async def test_the_web_is_searched_and_cited(api: Any) -> None:
    tool = {"type": "web_search", "filters": {"allowed_domains": ["cats.test"]}}
    answer = await respond(api, "use web_search to find cats", tool)
    search, message = answer.output
    assert (search.type, search.status, search.action.type, search.action.query) == (
        "web_search_call",
        "completed",
        "search",
        "find cats",
    )
    assert search.id.startswith("ws_")
    assert "sources" not in search.action.to_dict()
    cited = message.content[0].annotations[0]
    assert cited.type == "url_citation"
    assert cited.url.startswith("https://cats.test/")
    assert answer.output_text[cited.start_index : cited.end_index] == cited.url
    answer = await respond(api, "use web_search", tool, include=["web_search_call.action.sources"])
    assert answer.output[0].action.sources[0].type == "url"
    events = await told(api, "use web_search to find cats", tool)
    assert kinds(events, events[-1].response.output[0]) == [
        "output_item.added",
        "web_search_call.in_progress",
        "web_search_call.searching",
        "web_search_call.completed",
        "output_item.done",
    ]
    assert "response.output_text.annotation.added" in [event.type for event in events]


async def test_files_are_searched_and_cited(api: Any) -> None:
    file = await api.call("files.create", file=("hours.md", b"The cafe closes at five."), purpose="assistants")
    other = await api.call("files.create", file=("cats.md", b"Cats sleep all day."), purpose="assistants")
    store = await api.call("vector_stores.create", file_ids=[other.id, file.id])
    tool = {"type": "file_search", "vector_store_ids": [store.id]}
    include = ["file_search_call.results"]
    # Nothing but a search is offered: it is made though nobody named it.
    answer = await respond(api, "When does the cafe close?", tool, include=include)
    search, message = answer.output
    assert (search.type, search.queries, search.status) == (
        "file_search_call",
        ["When does the cafe close?"],
        "completed",
    )
    best = search.results[0]
    assert (best.file_id, best.filename, best.text) == (file.id, "hours.md", "The cafe closes at five.")
    assert 1 >= best.score >= search.results[1].score >= 0
    cited = message.content[0].annotations[0]
    assert (cited.type, cited.file_id, cited.filename) == ("file_citation", file.id, "hours.md")
    assert "The cafe closes at five." in answer.output_text[: cited.index]
    one = await respond(api, "cafe", {**tool, "max_num_results": 1}, include=include)
    assert len(one.output[0].results) == 1
    best_only = await respond(api, "cafe", {**tool, "ranking_options": {"score_threshold": 0.5}}, include=include)
    assert [each.file_id for each in best_only.output[0].results] == [file.id]


async def test_results_are_shown_to_those_who_ask(api: Any) -> None:
    file = await api.call("files.create", file=("a.txt", b"about cats"), purpose="assistants")
    store = await api.call("vector_stores.create", file_ids=[file.id])
    tools: list[dict[str, Any]] = [
        {"type": "file_search", "vector_store_ids": [store.id]},
        {"type": "code_interpreter", "container": {"type": "auto"}},
    ]
    answer = await respond(api, "file_search cats, then code_interpreter 2+3", *tools)
    assert (answer.output[0].results, answer.output[1].outputs) == (None, None)
    again = await api.call("responses.retrieve", answer.id)
    assert again.to_dict() == answer.to_dict()
    include = ["file_search_call.results", "code_interpreter_call.outputs"]
    full = await api.call("responses.retrieve", answer.id, include=include)
    assert full.output[0].results[0].text == "about cats"
    assert full.output[1].outputs[0].logs == "5\n"


async def test_files_are_searched_by_their_attributes(api: Any) -> None:
    store = await api.call("vector_stores.create")
    for name in ("one", "two"):
        file = await api.call("files.create", file=(f"{name}.txt", b"cats"), purpose="assistants")
        await api.call("vector_stores.files.create", store.id, file_id=file.id, attributes={"name": name})
    only = {"type": "eq", "key": "name", "value": "two"}
    tool = {"type": "file_search", "vector_store_ids": [store.id], "filters": only}
    answer = await respond(api, "cats", tool, include=["file_search_call.results"])
    found = answer.output[0].results
    assert [(each.filename, each.attributes) for each in found] == [("two.txt", {"name": "two"})]


@pytest.mark.parametrize(
    ("tool", "error", "message", "param"),
    [
        (
            {"type": "file_search", "vector_store_ids": ["vs_no"]},
            "NotFoundError",
            "Vector store with id 'vs_no' not found",
            "tools",
        ),
        (
            {"type": "code_interpreter", "container": "cntr_no"},
            "NotFoundError",
            "Container with id 'cntr_no' not found",
            "tools",
        ),
        ({"type": "mcp", "server_label": "wiki"}, "BadRequestError", "server_url", "tools[0]"),
        ({"type": "image_generation", "size": "7x7"}, "BadRequestError", "Invalid size '7x7'", "tools[0].size"),
    ],
    ids=["file_search", "code_interpreter", "mcp", "image_generation"],
)
async def test_tools_that_cannot_be_used(api: Any, tool: Any, error: str, message: str, param: str) -> None:
    with pytest.raises(getattr(api.errors, error), match=message) as caught:
        await respond(api, "x", tool)
    assert caught.value.param == param


async def test_code_is_run_in_a_container(api: Any) -> None:
    tool = {"type": "code_interpreter", "container": {"type": "auto"}}
    events = await told(api, "use code_interpreter to compute 6 * 7", tool, include=["code_interpreter_call.outputs"])
    run, message = events[-1].response.output
    assert (run.type, run.code, run.outputs[0].logs) == ("code_interpreter_call", "print(6 * 7)", "42\n")
    assert "42" in message.content[0].text
    assert (await api.call("containers.retrieve", run.container_id)).status == "running"
    assert kinds(events, run) == [
        "output_item.added",
        "code_interpreter_call.in_progress",
        "code_interpreter_call_code.delta",
        "code_interpreter_call_code.done",
        "code_interpreter_call.interpreting",
        "code_interpreter_call.completed",
        "output_item.done",
    ]
    code = "".join(event.delta for event in events if event.type == "response.code_interpreter_call_code.delta")
    assert code == run.code
    # A conversation keeps its container.
    before = events[-1].response.id
    following = await respond(api, "code_interpreter again", tool, previous_response_id=before)
    assert following.output[0].container_id == run.container_id
    named = await respond(api, "code_interpreter", {**tool, "container": run.container_id})
    assert named.output[0].container_id == run.container_id


async def test_a_picture_is_drawn_bit_by_bit(api: Any) -> None:
    tool = {"type": "image_generation", "partial_images": 2, "output_format": "jpeg", "size": "1024x1536"}
    events = await told(api, "use image_generation for a cat", tool)
    item = events[-1].response.output[0]
    assert (item.type, item.output_format, item.size, item.revised_prompt) == (
        "image_generation_call",
        "jpeg",
        "1024x1536",
        "a cat",
    )
    assert base64.b64decode(item.result)[:3] == b"\xff\xd8\xff"
    partial = [event for event in events if event.type == "response.image_generation_call.partial_image"]
    assert [event.partial_image_index for event in partial] == [0, 1]
    assert all(base64.b64decode(event.partial_image_b64)[:3] == b"\xff\xd8\xff" for event in partial)
    assert kinds(events, item) == [
        "output_item.added",
        "image_generation_call.in_progress",
        "image_generation_call.generating",
        "image_generation_call.partial_image",
        "image_generation_call.completed",
        "output_item.done",
    ]


def blocked(prompt: str) -> bytes:
    raise antiphon.BadRequestError.because("Your request was blocked.", code="moderation_blocked")


@pytest.mark.fake(images=blocked)
async def test_a_picture_that_cannot_be_made(api: Any) -> None:
    events = await told(api, "use image_generation", {"type": "image_generation"})
    item = events[-1].response.output[0]
    assert (item.status, item.result, item.error.code) == ("failed", None, "moderation_blocked")
    assert kinds(events, item)[-2:] == ["image_generation_call.generating", "output_item.done"]


async def test_a_shell_in_a_container(api: Any) -> None:
    tool = {"type": "shell", "environment": {"type": "container_auto"}}
    events = await told(api, "use the shell: `ls /tmp`", tool)
    call, output, message = events[-1].response.output
    assert (call.type, call.action.commands, call.environment.type) == (
        "shell_call",
        ["ls /tmp"],
        "container_reference",
    )
    assert (output.type, output.call_id, output.output[0].outcome.exit_code) == ("shell_call_output", call.call_id, 0)
    assert message.type == "message"
    commands = [event.type for event in events if event.type.startswith("response.shell_call_command")]
    assert commands[0] == "response.shell_call_command.added"
    assert commands[-1] == "response.shell_call_command.done"
    assert kinds(events, output)[-2:] == ["shell_call_output_content.done", "output_item.done"]


SCREEN = {"type": "computer_screenshot", "image_url": "data:image/png;base64,iVBORw0KGgo="}
OWN = [
    ("computer", {"type": "computer"}, "computer_call", {"output": SCREEN}),
    (
        "computer_use_preview",
        {"type": "computer_use_preview", "display_width": 800, "display_height": 600, "environment": "browser"},
        "computer_call",
        {"output": SCREEN},
    ),
    ("local_shell", {"type": "local_shell"}, "local_shell_call", {"output": "ok"}),
    (
        "shell",
        {"type": "shell", "environment": {"type": "local"}},
        "shell_call",
        {"output": [{"stdout": "ok", "stderr": "", "outcome": {"type": "exit", "exit_code": 0}}]},
    ),
    ("apply_patch", {"type": "apply_patch"}, "apply_patch_call", {"status": "completed"}),
]
"""What the caller does itself: the tool, its call, and what is said back."""


@pytest.mark.parametrize(("name", "tool", "kind", "result"), OWN, ids=[each[0] for each in OWN])
async def test_what_the_caller_does_is_due_in_the_next_request(
    api: Any, name: str, tool: Any, kind: str, result: Any
) -> None:
    answer = await respond(api, f"use {name}", tool)
    assert types(answer) == [kind]
    call = answer.output[0]
    words = kind.replace("_", " ")
    with pytest.raises(api.errors.BadRequestError, match=f"No tool output found for {words} {call.call_id}") as caught:
        await respond(api, "Well?", tool, previous_response_id=answer.id)
    assert caught.value.param == "input"
    output = {"type": f"{kind}_output", "call_id": call.call_id, **result}
    following = await respond(api, [output], tool, previous_response_id=answer.id)
    assert types(following) == ["message"]
    if kind == "local_shell_call":  # the types have but the id here
        output = {"type": f"{kind}_output", "id": call.call_id, **result}
        following = await respond(api, [output], tool, previous_response_id=answer.id)
        assert types(following) == ["message"]
    with pytest.raises(api.errors.BadRequestError, match=f"No tool call found for {words} output with call_id"):
        await respond(api, [output], tool)


async def test_the_tools_of_an_mcp_server_are_listed_once_and_called(api: Any) -> None:
    events = await told(api, "ask the wiki", FREE_MCP)
    listed, call, message = events[-1].response.output
    assert (listed.type, listed.server_label) == ("mcp_list_tools", "wiki")
    assert [tool.name for tool in listed.tools] == ["ask", "read"]
    assert (call.type, call.name, call.server_label, call.error) == ("mcp_call", "ask", "wiki", None)
    assert call.output
    assert message.type == "message"
    assert kinds(events, listed)[1:3] == ["mcp_list_tools.in_progress", "mcp_list_tools.completed"]
    assert kinds(events, call)[1:-1] == [
        "mcp_call.in_progress",
        "mcp_call_arguments.delta",
        "mcp_call_arguments.done",
        "mcp_call.completed",
    ]
    following = await respond(api, "read on", FREE_MCP, previous_response_id=events[-1].response.id)
    assert types(following) == ["mcp_call", "message"]
    assert following.output[0].name == "read"
    unused = await respond(api, "Hello", FREE_MCP)
    assert types(unused) == ["mcp_list_tools", "message"]


async def test_an_mcp_call_waits_for_approval(api: Any) -> None:
    answer = await respond(api, "ask the wiki", MCP)
    assert types(answer) == ["mcp_list_tools", "mcp_approval_request"]
    request = answer.output[1]
    assert (request.name, request.server_label) == ("ask", "wiki")
    yes = {"type": "mcp_approval_response", "approval_request_id": request.id, "approve": True}
    done = await respond(api, [yes], MCP, previous_response_id=answer.id)
    assert types(done) == ["mcp_call", "message"]
    call = done.output[0]
    assert (call.approval_request_id, call.arguments) == (request.id, request.arguments)
    refused = await respond(api, [{**yes, "approve": False}], MCP, previous_response_id=answer.id)
    assert types(refused) == ["message"]
    # An approval is good for one call.
    again = await respond(api, "ask the wiki again", MCP, previous_response_id=done.id)
    assert types(again) == ["mcp_approval_request"]
    one = {**MCP, "require_approval": {"never": {"tool_names": ["read"]}}}
    assert types(await respond(api, "read it", one))[-1] == "message"
    assert types(await respond(api, "ask it", one))[-1] == "mcp_approval_request"


async def test_a_custom_tool_takes_text(api: Any) -> None:
    grammar = {"type": "grammar", "syntax": "regex", "definition": "[a-c]{3}"}
    tool = {"type": "custom", "name": "code", "format": grammar}
    events = await told(api, "use code", tool)
    call = events[-1].response.output[0]
    assert (call.type, call.name) == ("custom_tool_call", "code")
    assert set(call.input) <= set("abc")
    assert len(call.input) == 3
    result = {"type": "custom_tool_call_output", "call_id": call.call_id, "output": "fine"}
    following = await respond(api, [result], tool, previous_response_id=events[-1].response.id)
    assert types(following) == ["message"]


async def test_the_choice_of_a_tool(api: Any) -> None:
    search, code = {"type": "web_search"}, {"type": "code_interpreter", "container": {"type": "auto"}}
    forced = await respond(api, "Hello", search, code, tool_choice={"type": "code_interpreter"})
    assert types(forced) == ["code_interpreter_call", "message"]
    some = {"type": "allowed_tools", "mode": "required", "tools": [{"type": "code_interpreter"}]}
    assert types(await respond(api, "Hello", search, code, tool_choice=some))[0] == "code_interpreter_call"
    assert types(await respond(api, "web_search", search, tool_choice="none")) == ["message"]
    with pytest.raises(api.errors.BadRequestError, match="Tool choice 'file_search' not found in 'tools' parameter"):
        await respond(api, "Hello", search, tool_choice={"type": "file_search"})


async def test_tools_are_used_in_the_order_of_their_mention(api: Any) -> None:
    weather = {"type": "function", "name": "weather", "parameters": None, "strict": False}
    code = {"type": "code_interpreter", "container": {"type": "auto"}}
    answer = await respond(api, "use code_interpreter, then weather", weather, {"type": "web_search"}, code)
    assert types(answer) == ["code_interpreter_call", "function_call"]
    one = await respond(api, "web_search, then code_interpreter", {"type": "web_search"}, code, max_tool_calls=1)
    assert types(one) == ["web_search_call", "message"]


def scripted(request: Any) -> Any:
    yield McpListTools("wiki", [{"name": "ask", "input_schema": {"type": "object"}, "description": "Asks"}])
    yield Reasoning("I should look it up.")
    (found,) = yield FileSearch(["cats"], [{"file_id": "file-1", "filename": "a.txt", "score": 0.5, "text": "meow"}])
    yield WebSearch("cats", ["https://cats.test/"])
    yield WebSearch(url="https://cats.test/")
    yield WebSearch(url="https://cats.test/", pattern="meow")
    (run,) = yield CodeInterpreter("plot()", "drawn", ["https://files.test/plot.png"])
    yield McpCall("wiki", "ask", '{"q":1}', error="The wiki is down.")
    yield Item({"type": "compaction", "encrypted_content": "eA=="})
    yield Text(f"They say {found['results'][0]['text']}.")
    yield Citation("https://cats.test/", "Cats", 0, 4)
    yield ContainerCitation(run["container_id"], "cfile_1", "plot.png", 0, 4)


async def ascripted(request: Any) -> Any:
    found = yield FileSearch(["cats"], [])
    yield f"{len(found)} search"


@pytest.mark.fake(engine=scripted, engines={"async": ascripted})
async def test_an_engine_says_what_tools_did(api: Any) -> None:
    options = {"include": ["code_interpreter_call.outputs"], "reasoning": {"effort": "low", "summary": "auto"}}
    events = await told(api, "Hello", FREE_MCP, **options)
    listed, reasoning, files, web, opened, find, code, call, compaction, message = events[-1].response.output
    assert reasoning.summary[0].text == "I should look it up."
    assert (files.queries, files.results) == (["cats"], None)
    assert [each.action.type for each in (web, opened, find)] == ["search", "open_page", "find_in_page"]
    assert [each.type for each in code.outputs] == ["logs", "image"]
    assert [tool.description for tool in listed.tools] == ["Asks"]
    assert (call.status, call.output, call.error.to_dict()["content"][0]["text"]) == (
        "failed",
        None,
        "The wiki is down.",
    )
    assert kinds(events, call)[-2] == "mcp_call.failed"
    assert compaction.encrypted_content == "eA=="
    assert message.content[0].text == "They say meow."
    assert [each.type for each in message.content[0].annotations] == ["url_citation", "container_file_citation"]
    plain = await api.call("responses.create", model="async", input="Hello")
    assert types(plain) == ["file_search_call", "message"]
    assert plain.output_text == "1 search"
    # Where there are no such items, what was said is said all the same.
    asked = [{"role": "user", "content": "Hello"}]
    chat = await api.call("chat.completions.create", model="async", messages=asked)
    assert chat.choices[0].message.content == "0 search"
