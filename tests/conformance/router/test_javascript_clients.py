"""The wire formats of the router, read by JavaScript clients that others wrote: `useChat`'s of the AI SDK, `HttpAgent` of
AG-UI, the official package for node. Each runs a script of many questions; what it made of the answers is looked at here.

Needs node and npm: without them it is skipped, or fails where CI is set. `ANTIPHON_SKIP_NODE=1` does without.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest

from tests.conformance.router import javascript
from tests.conformance.router.application import Journal, application, serving

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

HELLO = "Grüße an 🌍\n“all”"
GREY = {"city": "Porto", "sky": "grey"}
SO = 'So: {"city":"Porto","sky":"grey"}'
PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
CALL = {"id": "call_w", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Porto"}'}}


class Told(NamedTuple):
    """What a script said, question by question, and what became of them upstream."""

    said: dict[str, Any]
    journal: Journal

    def __getitem__(self, name: str) -> Any:
        return self.said[name]


def told_by(script: str) -> Callable[[], Iterator[Told]]:
    """A fixture: one run of a script for all the tests of what it said."""

    @pytest.fixture(scope="module", name=script.partition(".")[0])
    def run() -> Iterator[Told]:
        if os.environ.get(javascript.SKIP) == "1":
            pytest.skip(f"{javascript.SKIP} is set")
        missing = javascript.missing()
        if missing is not None:  # where everything has to run it fails; a newcomer's machine may do without
            (pytest.fail if os.environ.get("CI") else pytest.skip)(missing)
        journal = Journal()
        with application(journal) as app, serving(app) as base:
            said = javascript.run(script, base)
            journal.left.wait(20)
            yield Told(said, journal)

    return run  # type: ignore[return-value]


vercel = told_by("vercel.mjs")
ag_ui = told_by("ag_ui.mjs")
openai = told_by("openai.mjs")


def test_the_lock_names_no_registry() -> None:
    lock = json.loads((javascript.HERE / "package-lock.json").read_text())
    packages = {name: package for name, package in lock["packages"].items() if name}
    assert packages
    assert all(package["integrity"].startswith("sha512-") for package in packages.values())
    assert not any("resolved" in package for package in packages.values())


def test_what_is_missing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert "node and npm not found: install Node.js" in (javascript.missing() or "")


# The AI SDK


def parts(chat: dict[str, Any], kind: str = "") -> list[dict[str, Any]]:
    """The parts of the last message of a chat."""
    return [part for part in chat["messages"][-1]["parts"] if part["type"] == kind or not kind]


FINISHED = {"isAbort": False, "isError": False, "isDisconnect": False, "finishReason": "stop"}


def test_a_chat_reads_text_and_usage(vercel: Told) -> None:
    chat = vercel["hello"]
    assert parts(chat) == [{"type": "step-start"}, {"type": "text", "text": HELLO, "state": "done"}]
    metadata = chat["messages"][-1]["metadata"]
    assert (metadata["finishReason"], metadata["usage"]["totalTokens"]) == ("stop", 12)
    assert (metadata["usage"]["inputTokens"], metadata["usage"]["outputTokens"]) == (7, 5)
    assert chat["messages"][-1]["id"].startswith("chatcmpl-")
    assert chat["statuses"] == ["submitted", "streaming", "ready"]
    assert (chat["finishes"], chat["errors"]) == ([FINISHED], [])


@pytest.mark.parametrize("name", ["think", "host_thinks"])
def test_a_chat_reads_reasoning(vercel: Told, name: str) -> None:
    reasoning, text = parts(vercel[name])[1:]
    assert (reasoning["type"], reasoning["text"], reasoning["state"]) == ("reasoning", "Let me see.", "done")
    assert (text["type"], text["text"]) == ("text", "Forty-two.")


@pytest.mark.parametrize("name", ["read", "read_6"])
def test_a_message_grows_with_what_an_agent_does(vercel: Told, name: str) -> None:
    read = vercel[name]
    assert [part["type"] for part in read["last"]["parts"]] == [
        "step-start",
        "text",
        "dynamic-tool",
        "step-start",
        "text",
    ]
    call = read["last"]["parts"][2]
    assert (call["state"], call["toolName"], call["toolCallId"]) == ("output-available", "weather", "call_w")
    assert (call["input"], call["output"]) == ({"city": "Porto"}, GREY)
    assert read["last"]["parts"][-1]["text"] == SO
    assert (read["failed"], read["count"] > 5) == (None, True)


def test_a_chat_goes_on_with_what_an_agent_did(vercel: Told) -> None:
    chat = vercel["weather"]
    assert [message["role"] for message in chat["messages"]] == ["user", "assistant"] * 2
    assert chat["finishes"] == [FINISHED] * 2
    assert [
        {"role": "user", "content": "weather?"},
        {"role": "assistant", "content": "I look.", "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "call_w", "content": '{"city":"Porto","sky":"grey"}'},
        {"role": "assistant", "content": SO},
        {"role": "user", "content": "hello again"},
    ] in vercel.journal.asked


def test_a_chat_reads_that_a_tool_failed(vercel: Told) -> None:
    (call,) = parts(vercel["lost"], "dynamic-tool")
    assert (call["state"], call["errorText"]) == ("output-error", "Error: there is no such city any more")
    assert vercel["lost"]["status"] == "ready"


def test_a_chat_runs_a_tool_of_its_own(vercel: Told) -> None:
    chat = vercel["called"]
    assert [(call["toolName"], call["input"]) for call in chat["calls"]] == [("weather", {"city": "Porto"})]
    assert [message["role"] for message in chat["messages"]] == ["user", "assistant"], "one answer, not two"
    assert [part["type"] for part in parts(chat)] == ["step-start", "text", "dynamic-tool", "step-start", "text"]
    assert parts(chat)[-1]["text"] == 'So: {"sky":"blue"}'


def test_a_chat_is_told_what_was_refused(vercel: Told) -> None:
    chat = vercel["busy"]
    (error,) = chat["errors"]
    assert json.loads(error)["error"]["code"] == "rate_limit_exceeded"
    assert (chat["status"], chat["finishes"][0]["isError"]) == ("error", True)


def test_a_chat_is_told_what_broke(vercel: Told) -> None:
    chat = vercel["broken"]
    assert (chat["status"], chat["errors"]) == ("error", ["The model fell over."])
    assert parts(chat, "text")[0]["text"] == "Half a sentence"
    (told,) = chat["data"]
    assert (told["data"]["code"], told["data"]["request_id"][:4]) == ("model_fell", "req_")
    assert vercel["read_broken"]["failed"] == "The model fell over."


def test_a_chat_shows_a_picture(vercel: Told) -> None:
    assert [{"role": "user", "content": [PICTURE, {"type": "text", "text": "hello picture"}]}] in vercel.journal.asked
    assert parts(vercel["picture"], "text")[0]["text"] == HELLO


def test_stopping_a_chat_stops_the_upstream(vercel: Told) -> None:
    assert (vercel["stopped"]["status"], vercel["stopped"]["finishes"]) == ("ready", [True])
    assert vercel["stopped"]["message"]["parts"][1]["text"].startswith("word0 word1 ")
    assert vercel.journal.left.is_set()


# AG-UI


def test_an_agent_reads_text_and_usage(ag_ui: Told) -> None:
    run = ag_ui["hello"]
    assert run["types"][:2] == ["RUN_STARTED", "TEXT_MESSAGE_START"]
    assert run["types"][-2:] == ["TEXT_MESSAGE_END", "RUN_FINISHED"]
    assert [message["content"] for message in run["messages"]] == ["hello", HELLO]
    (finished,) = run["events"]["RUN_FINISHED"]
    assert (finished["threadId"], finished["runId"]) == ("thread-1", "run-0")
    assert (finished["usage"][0]["inputTokens"], finished["usage"][0]["outputTokens"]) == (7, 5)
    assert (run["result"], run["outcomes"], run["failed"]) == ({"finishReason": "stop"}, ["success"], [])


def test_an_agent_reads_reasoning(ag_ui: Told) -> None:
    said = [(message["role"], message["content"]) for message in ag_ui["think"]["messages"]]
    assert said == [("user", "think"), ("reasoning", "Let me see."), ("assistant", "Forty-two.")]


def test_an_agent_reads_what_ours_did_and_goes_on(ag_ui: Told) -> None:
    run = ag_ui["weather"]
    roles = [message["role"] for message in run["messages"]]
    assert roles == ["user", "assistant", "tool", "assistant", "user", "assistant"]
    assert run["messages"][1]["toolCalls"] == [CALL]
    assert (run["messages"][2]["toolCallId"], json.loads(run["messages"][2]["content"])) == ("call_w", GREY)
    assert run["messages"][3]["content"] == SO
    assert run["types"].index("STEP_STARTED") < run["types"].index("STEP_FINISHED") < run["types"].index("RUN_FINISHED")
    assert run["outcomes"] == ["success"] * 2
    (asked,) = [each for each in ag_ui.journal.asked if each[-1]["content"] == "hello again"]
    assert [message["role"] for message in asked] == ["user", "assistant", "tool", "assistant", "user"]
    assert asked[1]["tool_calls"] == [CALL]


def test_an_agent_reads_that_a_tool_failed(ag_ui: Told) -> None:
    (result,) = ag_ui["lost"]["events"]["TOOL_CALL_RESULT"]
    assert result["content"] == "Error: there is no such city any more"
    assert ag_ui["lost"]["outcomes"] == ["success"]


def test_an_agent_runs_a_tool_of_its_own(ag_ui: Told) -> None:
    run = ag_ui["called"]
    assert run["pending"] == [["call_w"], []]
    assert [message["role"] for message in run["messages"]] == ["user", "assistant", "tool", "assistant"]
    assert run["messages"][-1]["content"] == 'So: {"sky":"blue"}'


def test_an_agent_is_told_what_was_refused(ag_ui: Told) -> None:
    raised = ag_ui["busy"]["raised"]
    assert (raised["status"], raised["payload"]["error"]["code"]) == (429, "rate_limit_exceeded")


def test_an_agent_is_told_what_broke(ag_ui: Told) -> None:
    (error,) = ag_ui["broken"]["events"]["RUN_ERROR"]
    assert (error["message"], error["code"]) == ("The model fell over.", "model_fell")
    assert ag_ui["broken"]["messages"][-1]["content"] == "Half a sentence"


def test_an_agent_shows_a_picture(ag_ui: Told) -> None:
    assert [{"role": "user", "content": [{"type": "text", "text": "hello picture"}, PICTURE]}] in ag_ui.journal.asked


def test_aborting_an_agent_stops_the_upstream(ag_ui: Told) -> None:
    assert ag_ui["aborted"]["messages"][-1]["content"].startswith("word0 word1 ")
    assert ag_ui.journal.left.is_set()


# The official package


def test_chunks_are_read(openai: Told) -> None:
    chunks = openai["hello"]
    assert (chunks["text"], chunks["failed"]) == (HELLO, {})
    assert {chunk["object"] for chunk in chunks["seen"]} == {"chat.completion.chunk"}
    assert chunks["seen"][-1]["usage"]["total_tokens"] == 12
    helped = openai["helped"]
    assert (helped["completion"]["choices"][0]["message"]["content"], "".join(helped["deltas"])) == (HELLO, HELLO)
    assert helped["usage"]["total_tokens"] == 12


def test_what_only_some_hosts_say_is_passed_on(openai: Told) -> None:
    first = openai["think"]["seen"][0]
    assert first["choices"][0]["delta"]["reasoning_content"] == "Let me see."
    assert first["unheard_of"] is True
    assert openai["think"]["text"] == "Forty-two."


def test_calls_are_put_together(openai: Told) -> None:
    for name in ("helped_tools", "helped_agent"):
        (choice,) = openai[name]["completion"]["choices"]
        assert choice["message"]["tool_calls"] == [CALL]
    assert openai["helped_tools"]["completion"]["choices"][0]["finish_reason"] == "tool_calls"
    assert openai["helped_agent"]["completion"]["choices"][0]["finish_reason"] == "stop"


def test_an_agents_chunks_have_the_results_beside_them(openai: Told) -> None:
    chunks = openai["agent"]
    assert chunks["text"] == f"I look.{SO}"
    (result,) = [chunk["tool_result"] for chunk in chunks["seen"] if "tool_result" in chunk]
    assert (result["tool_call_id"], json.loads(result["content"]), result["failed"]) == ("call_w", GREY, False)
    whole = openai["whole_agent"]
    assert whole["choices"][0]["message"]["content"] == SO
    assert json.loads(whole["tool_results"][0]["content"]) == GREY


def test_an_answer_that_is_not_streamed_is_read(openai: Told) -> None:
    whole = openai["whole"]
    assert whole["completion"]["choices"][0]["message"]["content"] == HELLO
    assert whole["completion"]["usage"]["total_tokens"] == 12
    assert re.match("req_", whole["requestID"])
    assert (openai["response"]["output_text"], openai["response"]["status"]) == (HELLO, "completed")


@pytest.mark.parametrize("name", ["busy", "events_busy", "whole_busy"])
def test_the_official_client_is_told_what_was_refused(openai: Told, name: str) -> None:
    error = openai[name].get("failed", openai[name])
    assert (error["kind"], error["status"], error["code"]) == ("RateLimitError", 429, "rate_limit_exceeded")
    assert error["requestID"].startswith("req_")


def test_the_official_client_is_told_what_broke(openai: Told) -> None:
    chunks = openai["broken"]
    assert chunks["text"] == "Half a sentence"
    assert (chunks["failed"]["message"], chunks["failed"]["code"]) == ("The model fell over.", "model_fell")
    last = openai["events_broken"]["last"]
    assert (last["type"], last["response"]["error"]["code"]) == ("response.failed", "model_fell")


def test_events_of_responses_are_read(openai: Told) -> None:
    events = openai["events"]
    assert (events["types"][0], events["types"][-1]) == ("response.created", "response.completed")
    deltas = [event["delta"] for event in events["seen"] if event["type"] == "response.output_text.delta"]
    assert "".join(deltas) == HELLO
    assert events["last"]["response"]["usage"]["total_tokens"] == 12
    assert openai["streamed_response"]["output_text"] == HELLO


def test_calls_and_reasoning_of_responses_are_read(openai: Told) -> None:
    (call,) = [item for item in openai["events_tools"]["last"]["response"]["output"] if item["type"] == "function_call"]
    assert (call["call_id"], call["name"], call["arguments"]) == ("call_w", "weather", '{"city":"Porto"}')
    assert "response.function_call_arguments.done" in openai["events_tools"]["types"]
    thought = openai["events_think"]["last"]["response"]["output"][0]
    assert (thought["type"], thought["summary"][0]["text"]) == ("reasoning", "Let me see.")


def test_aborting_a_stream_stops_the_upstream(openai: Told) -> None:
    assert (openai["aborted"]["text"][:12], openai["aborted"]["aborted"]) == ("word0 word1 ", True)
    assert openai.journal.left.is_set()
