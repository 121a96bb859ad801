"""What Seldon's own translator makes of requests (recorded from Seldon Core 2.10), and what the gateway makes of them.

The same, apart from what is written down here with its reason.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from antiphon import Gateway
from antiphon.gateway import GatewayConfig, ModelConfig
from antiphon.hosting.run import serve_in_background
from antiphon.kernel.http import Headers, Request, Response, json_response
from tests.conformance.oip.asking import posted

RECORDED: Any = json.loads(Path(__file__).with_name("seldon.json").read_text())
CHAT = "/v2/models/chatgpt/infer/chat/completions"

REFUSED = {
    "content_part_string_item": "a part of a content is an object: what is not is refused, and not lost without a word",
    "tool_calls_single_msg": "calls of tools have to be answered, as the API has it",
    "tool_choice_without_tools": "'parallel_tool_calls' goes with tools, as the API has it",
    "underscore_model_prefix_accepted": "'my' is not the name of the model 'my_model'",
    "float_formats": "a penalty is between -2 and 2, as the API has it",
    "emb_empty_list": "nothing is asked, so no model is: the API refuses an empty list",
}
"""What Seldon sends and the gateway refuses with 400."""

SENT: dict[str, tuple[str, Any]] = {
    "tool_calls_null": (
        "null is as good as nothing: clients send it when they give back what they were given",
        {"role": ["assistant", "user"], "content": [["x"], ["y"]], "type": [["text"], ["text"]]},
    ),
    "underscore_model": (
        "a name may have an underscore in it",
        {"role": ["user"], "content": ["x"], "type": ["text"]},
    ),
    "emb_tokens": ("tokens are turned into the text they stand for", {"input": ['"#$']}),
    "legacy_completions_passthrough": (
        "there are completions: a model that converses is asked as by its user",
        {"role": ["user"], "content": ["x"], "type": ["text"]},
    ),
    "trailing_slash": (
        "a slash at the end changes nothing",
        {"role": ["user"], "content": ["x"], "type": ["text"]},
    ),
}
"""What the gateway sends, where Seldon sends something else or refuses."""

PARAMETERS: dict[str, tuple[str, dict[str, Any]]] = {
    "params": ("whole numbers stay what they are", {"seed": 12345678901234567}),
    "emb_string": ("the gateway itself writes vectors as they are wanted: runtimes give numbers", {}),
    "emb_base64": ("the same: a runtime that does not know the parameter would fail", {}),
    "legacy_completions_passthrough": ("sixteen tokens are the API's default for completions", {"max_tokens": 16}),
}
"""Parameters that are others; for `params` among others."""

PATHS = {
    "version_path": "/v2/models/chatgpt/versions/2/infer",  # the version that is asked for is asked
    "query_string": "/v2/models/chatgpt/infer",  # a query is for the gateway
    "trailing_slash": "/v2/models/chatgpt/infer",
    "legacy_completions_passthrough": "/v2/models/chatgpt/infer",
    "underscore_model": "/v2/models/my_model/infer",
    "tool_calls_null": "/v2/models/chatgpt/infer",
    "emb_tokens": "/v2/models/emb/infer",
}


class Double:
    """A server that says what it is told to, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Any]] = []
        self.answer: tuple[int, str, Any] | None = None

    def __call__(self, request: Request) -> Response:
        if request.path == "/v2":
            return json_response(200, {"name": "mlserver", "version": "1.7.1", "extensions": []})
        if request.method == "GET":
            return json_response(200, {"name": "m", "platform": "", "inputs": [], "outputs": []})
        self.asked.append((request.path, json.loads(request.content())))
        status, media, body = self.answer or (200, "application/json", _default(request.path))
        headers = Headers({"content-type": media})
        if isinstance(body, list):
            return Response(status, headers, iter([part.encode() for part in body]))
        return Response(status, headers, body.encode() if isinstance(body, str) else json.dumps(body).encode())


def _default(path: str) -> Any:
    outputs = {
        "/v2/models/emb/infer": [{"name": "embedding", "datatype": "FP64", "shape": [1, 2], "data": [0.6, 0.8]}],
        "/v2/models/img/infer": [_text("output_all", json.dumps({"created": 1, "data": [{"b64_json": "AAAA"}]}))],
    }
    said = {
        "id": "1",
        "model_name": "m",
        "outputs": outputs.get(path, [_text("role", "assistant"), _text("content", "hi")]),
    }
    return [f"data: {json.dumps(said)}\n\n"] if path.endswith("_stream") else said


def _text(name: str, text: str) -> dict[str, Any]:
    return {"name": name, "datatype": "BYTES", "shape": [1, 1], "data": [text]}


@pytest.fixture
def double() -> Double:
    return Double()


@pytest.fixture
def gateway(double: Double) -> Iterator[str]:
    with serve_in_background(double) as server:
        conventions = {"emb": "seldon-embeddings", "img": "seldon-images"}
        models = {
            name: ModelConfig(name, (server.url,), convention=conventions.get(name, "seldon-chat"))
            for name in ("chatgpt", "my_model", "gpt-4.1", "emb", "img")
        }
        gateway = Gateway(GatewayConfig(models=models, protocol=True))
        with gateway.start(port=0, host="127.0.0.1") as running:
            yield running.url


def meaning(value: Any) -> Any:
    """A value with what is written as JSON in its texts."""
    if isinstance(value, dict):
        return {name: meaning(each) for name, each in value.items()}
    if isinstance(value, list):
        return [meaning(each) for each in value]
    if isinstance(value, str) and value[:1] in ("{", "["):
        return meaning(json.loads(value))
    return value


@pytest.mark.parametrize("recorded", RECORDED["requests"], ids=lambda each: str(each["name"]))
def test_requests(recorded: Any, gateway: str, double: Double) -> None:
    name, given = recorded["name"], recorded["body"]
    content = given if isinstance(given, str) else json.dumps(given)
    status, _, body = posted(gateway + recorded["path"], content)
    if name in REFUSED or (recorded["sent"] is None and name not in SENT):
        assert status == 400
        assert json.loads(body)["error"]["message"]
        assert double.asked == []
        return
    sent: Any = recorded["sent"] or {"path": "", "body": {"inputs": []}}
    path, asked = double.asked[0]
    # The double gives one choice: a further one that was asked for is asked for by itself.
    assert len(double.asked) == (2 if name == "params" else 1)
    assert path == PATHS.get(name, urlsplit(sent["path"]).path)
    if name == "pass_through_plain_oip":
        assert asked == given
        return
    inputs = {each["name"]: meaning(each["data"]) for each in asked["inputs"]}
    if name in SENT:
        assert inputs == SENT[name][1]
    else:
        assert inputs == {each["name"]: meaning(each["data"]) for each in sent["body"]["inputs"]}
        assert [each["shape"] for each in asked["inputs"]] == [each["shape"] for each in sent["body"]["inputs"]]
        assert {each["datatype"] for each in asked["inputs"]} == {"BYTES"}
    expected = dict(sent["body"].get("parameters") or {})
    if name in PARAMETERS:
        changes = PARAMETERS[name][1]
        told = ("llm_parameters", "embedding_parameters" if name.startswith("emb") else "kwargs")
        expected = {key: {**expected.get(key, {}), **changes} if changes and expected else changes for key in told}
        if name == "legacy_completions_passthrough":
            expected = dict.fromkeys(told, changes)
    if recorded["sent"] is not None and name != "trailing_slash":
        assert asked.get("parameters", {}) == expected


def test_nothing_is_excused_that_is_the_same() -> None:
    names = {each["name"] for each in RECORDED["requests"]}
    assert names >= {*REFUSED, *SENT, *PARAMETERS, *PATHS}


# Answers


def ask(gateway: str, recorded: Any, double: Double) -> tuple[int, Any]:
    double.answer = (recorded["status"], recorded["media"], recorded["body"])
    path: str = recorded["path"]
    body: dict[str, Any] = {"model": path.split("/")[3]}
    if path.endswith("/embeddings"):
        embeddings = isinstance(recorded["body"], dict) and recorded["body"]["outputs"][0]["shape"][0] == 2
        body["input"] = ["a", "b"] if embeddings else ["a"]
    elif path.endswith("/generations"):
        body["prompt"] = "x"
    else:
        body |= {"messages": [{"role": "user", "content": "x"}], "stream": "infer_stream" in path}
    status, _, content = posted(gateway + path, json.dumps(body))
    return status, content


WHOLE: dict[str, tuple[int, Any]] = {
    "local": (200, ("hi", "stop")),
    "local_no_id": (200, ("hi", "stop")),  # Seldon: 500
    "local_nested_data": (200, ("hi", "stop")),  # Seldon: 500
    "local_tool_calls_lost": (200, (None, "tool_calls")),  # Seldon loses the calls
    "empty_data": (502, "there is no output 'content'"),  # Seldon breaks the connection
    "upstream_400": (400, "model exploded"),  # Seldon: 500, after a second try, and the message is lost
    "upstream_500_text": (502, "Internal Server Error"),
    "emb_local": (200, [[0.1, 0.2], [0.3, 0.4]]),
    "emb_local_nested": (200, [[0.1, 0.2], [0.3, 0.4]]),  # Seldon breaks the connection
    "emb_local_wrong_name": (200, [[0.1, 0.2]]),  # Seldon: 500
    "img_no_output_all": (502, "picture"),
}


def _named(name: str) -> Any:
    return next(each for each in RECORDED["answers"] if each["name"] == name)


@pytest.mark.parametrize("name", WHOLE)
def test_answers(name: str, gateway: str, double: Double) -> None:
    status, content = ask(gateway, _named(name), double)
    expected, told = WHOLE[name]
    assert status == expected
    assert len(double.asked) == 1  # nothing is tried again where a model may have run
    body = json.loads(content)
    if status != 200:
        assert told in body["error"]["message"]
    elif "embeddings" in _named(name)["path"]:
        assert [each["embedding"] for each in body["data"]] == told
        assert body["usage"]["prompt_tokens"] > 0
    else:
        choice = body["choices"][0]
        assert (choice["message"]["content"], choice["finish_reason"]) == told
        assert body["created"] > 0
        assert body["usage"]["total_tokens"] > 0
        if name == "local_tool_calls_lost":
            assert choice["message"]["tool_calls"][0]["function"] == {"name": "w", "arguments": "{}"}


def test_the_providers_answer_is_the_answer(gateway: str, double: Double) -> None:
    recorded = _named("output_all")
    body = json.loads(recorded["body"]["outputs"][0]["data"][0])
    body["choices"] = [
        {"index": 0, "message": {"role": "assistant", "content": "x", "odd": 1}, "finish_reason": "stop"}
    ]
    told = {**recorded["body"], "outputs": [_text("output_all", json.dumps({**body, "further": {"a": 1}}, indent=2))]}
    status, content = ask(gateway, {**recorded, "body": told}, double)
    assert status == 200
    said = json.loads(content)
    assert said["id"] == "chatcmpl-1"
    assert said["further"] == {"a": 1}
    assert said["choices"] == body["choices"]


STREAMED = {
    "sse_local_spaced": "abc",
    "sse_local_coalesced": "abcd",  # Seldon loses b and c
    "sse_done_marker": "a",  # Seldon breaks off
    "sse_comment": "ab",  # Seldon breaks off
}


@pytest.mark.parametrize("name", STREAMED)
def test_streams(name: str, gateway: str, double: Double) -> None:
    status, content = ask(gateway, _named(name), double)
    assert status == 200
    events = [line.removeprefix("data: ") for line in content.decode().split("\n\n") if line]
    assert events[-1] == "[DONE]"
    chunks = [json.loads(each) for each in events[:-1]]
    assert "".join(each["choices"][0]["delta"].get("content") or "" for each in chunks) == STREAMED[name]
    assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
    assert all("role" not in each["choices"][0]["delta"] for each in chunks[1:])
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"


def test_an_empty_stream_is_an_error(gateway: str, double: Double) -> None:
    status, content = ask(gateway, _named("sse_empty"), double)
    assert status == 502
    assert json.loads(content)["error"]["code"] == "upstream_error"


def test_events_may_be_large(gateway: str, double: Double) -> None:
    """Seldon breaks off at 64 KiB."""
    text = "x" * 100_000
    chunk = {"id": "c", "choices": [{"index": 0, "delta": {"content": text}}]}
    event = {"id": "1", "model_name": "m", "outputs": [_text("output_all", json.dumps(chunk))]}
    recorded = {**_named("sse_comment"), "body": [f"data: {json.dumps(event)}\n\n"]}
    status, content = ask(gateway, recorded, double)
    assert status == 200
    assert text in content.decode()
