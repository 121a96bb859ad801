"""What a response has said so far, of the events of its lane."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon import FakeOpenAI
from antiphon.lib.responses_websocket import ResponsesWebSocketAccumulator, ResponsesWebSocketError
from antiphon.types.responses.responses_server_event import ResponseWsCreated


def event(kind: str, **fields: Any) -> Any:
    return {"type": f"response.{kind}", **fields}


def live(kind: str, **fields: Any) -> Any:
    return event(kind, response={"id": "resp_1", "status": kind, **fields})


def of(lane: Any, event: dict[str, Any]) -> Any:
    return {**event, "stream_id": lane}


def fed(*events: Any) -> ResponsesWebSocketAccumulator:
    accumulator = ResponsesWebSocketAccumulator()
    for each in events:
        before = copy.deepcopy(each)
        accumulator.add_event(each)
        assert each == before
    return accumulator


def at(item: str = "i", output: int = 0, **more: Any) -> dict[str, Any]:
    return {"item_id": item, "output_index": output, **more}


def added(kind: str, output: int = 0, **fields: Any) -> Any:
    return event("output_item.added", output_index=output, item={"type": kind, "id": "i", **fields})


def detail(accumulator: ResponsesWebSocketAccumulator, index: int = 0) -> Any:
    return accumulator.detailed_snapshot()["output"][index]


# Text and inputs


def test_text_grows_and_is_settled() -> None:
    accumulator = fed(
        live("created", output=[]),
        event("output_text.delta", **at(content_index=1), delta="Hel"),
        event("output_text.delta", **at(content_index=1), delta="lo"),
    )
    snapshot = accumulator.snapshot()
    assert (snapshot.output_text, snapshot.response_id, snapshot.terminal_type) == ("Hello", "resp_1", None)
    assert snapshot.output[0].text == ((1, "Hello"),)
    accumulator.add_event(event("output_text.done", **at(content_index=1), text="Bye"))
    assert accumulator.snapshot().output_text == "Bye"
    assert snapshot.output_text == "Hello"
    assert len({snapshot, accumulator.snapshot()}) == 2
    with pytest.raises(RuntimeError, match="not ended"):
        accumulator.get_final_response()
    accumulator.add_event(live("completed", text={"format": {"type": "text"}}))
    assert accumulator.snapshot().terminal_type == "response.completed"
    final = accumulator.get_final_response()
    assert (final.id, "output" in final) == ("resp_1", False)
    final["id"] = "other"
    assert accumulator.get_final_response().id == "resp_1"


@pytest.mark.parametrize(
    ("name", "field", "item"),
    [
        ("function_call_arguments", "arguments", "function_call"),
        ("mcp_call_arguments", "arguments", "mcp_call"),
        ("custom_tool_call_input", "input", "custom_tool_call"),
    ],
)
def test_inputs_of_tools(name: str, field: str, item: str) -> None:
    accumulator = fed(
        added(item, 0, **{"name": "f", "call_id": "c", field: ""}),
        event(f"{name}.delta", **at(), delta='{"a"'),
        event(f"{name}.delta", **at(), delta=":1}"),
    )
    shown = accumulator.snapshot().output[0]
    assert (shown.name, shown.call_id, shown.type, getattr(shown, field)) == ("f", "c", item, '{"a":1}')
    assert detail(accumulator)["item"][field] == '{"a":1}'
    accumulator.add_event(event(f"{name}.done", **at(), **{field: "{}"}))
    assert getattr(accumulator.snapshot().output[0], field) == "{}"


def test_an_item_that_is_sent_whole_takes_the_place_of_what_was_said() -> None:
    accumulator = fed(
        event("output_text.delta", **at("old", content_index=0), delta="draft"),
        event("output_item.done", output_index=0, item={"type": "message", "id": "new", "content": []}),
        event("output_text.delta", **at("old", content_index=0), delta=" late"),
    )
    assert accumulator.snapshot().output_text == ""
    assert accumulator.snapshot().output[0].item_id == "new"
    accumulator.add_event(event("output_text.delta", **at("newer", content_index=0), delta="again"))
    assert accumulator.snapshot().output[0].item_id == "newer"
    accumulator.add_event(live("in_progress", output=[]))
    assert accumulator.snapshot().output == ()


def test_refusals_logprobs_and_annotations_are_details() -> None:
    accumulator = fed(
        live("created", metadata={"a": "b"}),
        event("output_text.delta", **at(content_index=0), delta="x", logprobs=[{"token": "x"}]),
        event("output_text.delta", **at(content_index=0), delta="y", logprobs=[{"token": "y"}]),
        event("output_text.annotation.added", **at(content_index=0, annotation_index=3), annotation={"title": "t"}),
        event("output_text.annotation.added", **at(content_index=0, annotation_index=-1), annotation={"title": "no"}),
        event("output_text.annotation.added", **at("other", content_index=0, annotation_index=0), annotation={}),
        event("refusal.delta", **at(content_index=2), delta="I "),
        event("refusal.delta", **at(content_index=2), delta="won't"),
    )
    row = detail(accumulator)
    assert row["content"] == [
        {
            "content_index": 0,
            "part": {
                "text": "xy",
                "logprobs": [{"token": "x"}, {"token": "y"}],
                "annotations": [{"annotation_index": 3, "annotation": {"title": "t"}}],
            },
        },
        {"content_index": 2, "part": {"refusal": "I won't"}},
    ]
    assert accumulator.detailed_snapshot()["response"] == {
        "id": "resp_1",
        "status": "created",
        "metadata": {"a": "b"},
    }
    row["content"].clear()
    assert len(detail(accumulator)["content"]) == 2
    part = {"type": "output_text", "text": "z", "annotations": [{"title": "u"}]}
    accumulator.add_event(event("content_part.done", **at(content_index=0), part=part))
    shown = detail(accumulator)["content"][0]["part"]
    assert shown == {**part, "annotations": [{"annotation_index": 0, "annotation": {"title": "u"}}]}


def test_reasoning_code_and_status() -> None:
    accumulator = fed(
        added("reasoning", summary=[]),
        event("reasoning_summary_part.added", **at(summary_index=0), part={"type": "summary_text", "text": ""}),
        event("reasoning_summary_text.delta", **at(summary_index=0), delta="So "),
        event("reasoning_summary_text.delta", **at(summary_index=0), delta="what"),
        event("content_part.added", **at(content_index=0), part={"type": "reasoning_text", "text": ""}),
        event("reasoning_text.delta", **at(content_index=0), delta="Hm"),
        event("output_item.added", output_index=1, item={"type": "code_interpreter_call", "id": "c", "code": None}),
        event("code_interpreter_call.in_progress", **at("c", 1)),
        event("code_interpreter_call_code.delta", **at("c", 1), delta="1+"),
        event("code_interpreter_call_code.done", **at("c", 1), code="1+1"),
        event("code_interpreter_call.completed", **at("nobody", 1)),
    )
    reasoning, code = detail(accumulator), detail(accumulator, 1)
    assert reasoning["item"]["summary"] == [{"type": "summary_text", "text": "So what"}]
    assert reasoning["item"]["content"] == [{"type": "reasoning_text", "text": "Hm"}]
    assert (code["item"]["code"], code["item"]["status"]) == ("1+1", "in_progress")
    assert accumulator.snapshot().output_text == ""
    with pytest.raises(ValueError, match="missing"):
        accumulator.add_event(event("reasoning_summary_text.delta", **at(summary_index=4), delta="x"))
    with pytest.raises(ValueError, match="missing"):
        accumulator.add_event(event("reasoning_text.delta", **at(content_index=4), delta="x"))


def test_commands_of_a_shell_and_what_they_put_out() -> None:
    accumulator = fed(
        added("shell_call", call_id="c", action={"commands": []}),
        event("shell_call_command.added", output_index=0, command_index=0, command=""),
        event("shell_call_command.delta", output_index=0, command_index=0, delta="ls"),
        event("shell_call_command.delta", output_index=0, command_index=0, delta=" -l"),
        event("output_item.added", output_index=1, item={"type": "shell_call_output", "id": "o", "call_id": "c"}),
        event("shell_call_output_content.delta", **at("o", 1, command_index=0), delta={"stdout": "a"}),
        event("shell_call_output_content.delta", **at("o", 1, command_index=0), delta={"stdout": "b", "stderr": "!"}),
    )
    assert detail(accumulator)["item"]["action"]["commands"] == ["ls -l"]
    assert detail(accumulator, 1)["shell_output"] == [{"command_index": 0, "data": {"stdout": "ab", "stderr": "!"}}]
    with pytest.raises(ValueError, match="missing its command"):
        accumulator.add_event(
            event("shell_call_output_content.delta", **at("o", 1, command_index=1), delta={"stdout": "a"})
        )
    output = [{"stdout": "x", "stderr": ""}]
    accumulator.add_event(event("shell_call_output_content.done", **at("o", 1, command_index=0), output=output))
    assert detail(accumulator, 1)["shell_output"] == [{"command_index": 0, "data": {"output": output}}]


# Whose events, and which


def test_events_of_others_and_after_the_end() -> None:
    accumulator = fed(of("a", live("created")))
    cases: list[tuple[Any, str]] = [
        (live("in_progress"), "another WebSocket lane"),
        ({**event("in_progress", response={"id": "resp_2"}), "stream_id": "a"}, "another response"),
        (of(3, live("in_progress")), "stream_id"),
        ({**event("in_progress"), "stream_id": "a"}, "response"),
        ({**event("output_text.delta", **at(content_index=-1), delta="x"), "stream_id": "a"}, "content_index"),
        (
            {**event("output_text.delta", **at(output=True, content_index=0), delta="x"), "stream_id": "a"},
            "output_index",
        ),
        ({**event("output_text.delta", **at(content_index=0), delta=3), "stream_id": "a"}, "delta"),
    ]
    for wrong, match in cases:
        with pytest.raises(ValueError, match=match):
            accumulator.add_event(wrong)
    accumulator.add_event(event("future", stream_id=[]))  # what is unknown is passed over
    accumulator.add_event("nothing")  # type: ignore[arg-type]
    assert accumulator.snapshot().output == ()
    accumulator.add_event(of("a", live("completed")))
    with pytest.raises(RuntimeError, match="reset"):
        accumulator.add_event(of("a", live("created")))
    accumulator.reset()
    accumulator.add_event(live("created"))
    assert accumulator.snapshot().stream_id is None


def test_errors_are_kept() -> None:
    accumulator = ResponsesWebSocketAccumulator()
    said = {"type": "error", "error": {"message": "no"}}
    with pytest.raises(ResponsesWebSocketError) as raised:
        accumulator.add_event(said)  # type: ignore[arg-type]
    assert raised.value.event is said
    assert "no" not in str(raised.value).replace("not", "").split()
    with pytest.raises(ResponsesWebSocketError):
        accumulator.get_final_response()
    accumulator.reset()
    with pytest.raises(ValueError, match="output"):
        accumulator.add_event(live("completed", output=3))
    with pytest.raises(ValueError, match="output"):
        accumulator.get_final_response()


def test_a_view_is_as_good_as_an_object() -> None:
    accumulator = fed(ResponseWsCreated.of(live("created", output=[])))
    assert accumulator.snapshot().response_id == "resp_1"


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.text(max_size=5)), max_size=40))
def test_texts_are_the_pieces_in_their_places(pieces: list[tuple[int, int, str]]) -> None:
    accumulator = ResponsesWebSocketAccumulator()
    expected: dict[tuple[int, int], str] = {}
    for output, part, text in pieces:
        accumulator.add_event(event("output_text.delta", **at(str(output), output, content_index=part), delta=text))
        expected[output, part] = expected.get((output, part), "") + text
    shown = {(item.output_index, place): text for item in accumulator.snapshot().output for place, text in item.text}
    assert shown == expected
    assert list(shown) == sorted(shown)
    assert json.dumps(accumulator.detailed_snapshot())


def test_it_takes_what_a_server_says() -> None:
    accumulator = ResponsesWebSocketAccumulator()
    with FakeOpenAI(engine="lorem").client().responses.connect() as connection:
        connection.response.create(model="gpt-5", input="Hello", stream_id="a")
        for each in connection:
            accumulator.add_event(each)
            if each.type == "response.completed":
                break
    final = accumulator.get_final_response()
    assert accumulator.snapshot().output_text == final.output_text
    assert accumulator.snapshot().stream_id == "a"
