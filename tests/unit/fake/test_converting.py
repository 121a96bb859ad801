"""Recordings and rules of other programs: what they answer there is answered here, and what is lost is told."""

from __future__ import annotations

import base64
import gzip
import json
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

import antiphon
from antiphon import FakeOpenAI
from antiphon.fake.cassettes import Cassette
from antiphon.fake.cassettes.files import load
from antiphon.fake.cassettes.safety import verified
from antiphon.fake.converting import Converted, ConvertError, read, write
from antiphon.fake.rulefile import faults
from antiphon.kernel.http import Headers, Request
from antiphon.transports.handler import HandlerTransport

KEY = "sk-abcdefghijklmnopqrst"
HELLO = {"model": "gpt-5", "messages": [{"role": "user", "content": "Hello"}]}
ANSWER = {"choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}}], "key": KEY}


def converted(tmp_path: Path, data: Any, name: str = "theirs.json") -> tuple[Converted, Path]:
    """What a file is made into, and where that is written."""
    source, target = tmp_path / name, tmp_path / "ours.yaml"
    source.write_text(data if isinstance(data, str) else json.dumps(data, indent=1))
    found = read(source)
    write(target, [found])
    if found.kind == "rules":
        assert faults(target)[0] == []
    else:
        assert verified(target) == []
    return found, target


def left(found: Converted) -> list[str]:
    """What is told, without the name of the file."""
    return [str(each).partition("theirs.")[2].partition(":")[2] for each in found.left]


# Recordings


def interactions() -> list[dict[str, Any]]:
    request = {
        "method": "POST",
        "uri": "https://api.openai.com/v1/chat/completions",
        "headers": {"authorization": [f"Bearer {KEY}"], "content-type": ["application/json"]},
        "body": json.dumps(HELLO),
    }
    head = {
        "Content-Type": ["application/json"],
        "Content-Encoding": ["gzip"],
        "Date": ["Sat, 28 Nov 2026 16:20:00 GMT"],
    }
    stream = 'data: {"choices": []}\n\ndata: [DONE]\n\n'
    return [
        {"request": request, "response": {"status": {"code": 200, "message": "OK"}, "headers": head, "body": {"string": gzip.compress(orjson.dumps(ANSWER))}}},
        {
            "request": {**request, "body": '{"model": "gpt-5", "stream": true}'},
            "response": {"status": {"code": 200}, "headers": {"content-type": ["text/event-stream"]}, "body": {"string": stream}},
        },
        {"request": {"method": "GET", "uri": "https://api.openai.com/v1/models", "body": None, "headers": {}}, "response": {"status": {"code": 404}, "headers": {}, "body": {"string": ""}}},
    ]  # fmt: skip


def play(target: Path) -> None:
    """What has been recorded is answered, and all of it is."""
    cassette = Cassette(target, "strict")
    assert cassette.recordings[0].value["recorded"] == "2026-11-28T16:20:00Z"
    client = cassette.client(max_retries=0)
    said = client.chat.completions.create(model="gpt-5", messages=[{"role": "user", "content": "Hello"}])
    assert said.choices[0].message.content == "Hi"
    sent = Request("POST", "/v1/chat/completions", "", Headers({}), b'{"stream":true,"model":"gpt-5"}')
    assert HandlerTransport(cassette).send(sent, None, False).content == b'data: {"choices": []}\n\ndata: [DONE]\n\n'
    with pytest.raises(antiphon.NotFoundError):
        client.models.list()
    cassette.assert_all_played()


def test_cassettes_of_vcrpy(tmp_path: Path) -> None:
    text = yaml.safe_dump({"version": 1, "interactions": interactions()})
    found, target = converted(tmp_path, text, "theirs.yaml")
    assert (found.format, found.total, left(found)) == ("vcr", 3, [])
    play(target)


def test_cassettes_of_betamax(tmp_path: Path) -> None:
    theirs: list[dict[str, Any]] = []
    for each in interactions():
        request, response = each["request"], each["response"]
        data = response["body"]["string"]
        body = (
            {"base64_string": base64.b64encode(data).decode()}
            if isinstance(data, bytes)
            else {"string": data, "encoding": "utf-8"}
        )
        theirs.append(
            {
                "recorded_at": "2026-11-28T16:20:00",
                "request": {**request, "body": {"string": request["body"] or "", "encoding": "utf-8"}},
                "response": {**response, "headers": {k: v for k, v in response["headers"].items() if k != "Date"}, "body": body},
            }
        )  # fmt: skip
    found, target = converted(tmp_path, {"http_interactions": theirs, "recorded_with": "betamax/0.9"})
    assert (found.format, found.total, left(found)) == ("betamax", 3, [])
    play(target)


def entry(method: str, url: str, body: Any, status: int, kind: str, text: str, **more: Any) -> dict[str, Any]:
    posted = {"mimeType": "application/json", "text": json.dumps(body)} if body is not None else {}
    head = [{"name": "Content-Type", "value": "application/json"}, {"name": ":authority", "value": "x"}]
    head.append({"name": "Authorization", "value": f"Bearer {KEY}"})
    return {
        "startedDateTime": "2026-11-28T17:20:00.000+01:00",
        "time": 512.4,
        "timings": {"wait": 100.2},
        "request": {"method": method, "url": url, "headers": head, "postData": posted},
        "response": {
            "status": status,
            "headers": [{"name": "Content-Type", "value": kind}, {"name": "content-encoding", "value": "br"}],
            "content": {"mimeType": kind, "text": text, "size": len(text)},
        },
        **more,
    }


def test_har_files(tmp_path: Path) -> None:
    api = "https://api.openai.com/v1"
    encoded = base64.b64encode(orjson.dumps(ANSWER)).decode()
    first = entry("POST", f"{api}/chat/completions", HELLO, 200, "application/json", encoded)
    first["response"]["content"]["encoding"] = "base64"
    second = entry("POST", f"{api}/chat/completions", {"model": "gpt-5", "stream": True}, 200, "text/event-stream", 'data: {"choices": []}\n\ndata: [DONE]\n\n')  # fmt: skip
    third = entry("GET", f"{api}/models", None, 404, "application/json", "")
    page = entry("GET", "https://app.test/index.html", None, 200, "text/html", "<html>")
    empty = entry("GET", f"{api}/files", None, 200, "application/json", "")
    empty["response"]["content"] = {"mimeType": "application/json", "size": 4}
    socket = entry("GET", "wss://api.openai.com/v1/realtime?model=gpt-realtime", None, 101, "", "")
    bare = json.loads(json.dumps(socket))
    socket["_webSocketMessages"] = [
        {"type": "receive", "time": 1.0, "opcode": 1, "data": '{"type":"session.created"}'},
        {"type": "send", "time": 1.5, "opcode": 1, "data": json.dumps({"type": "session.update", "key": KEY})},
        {"type": "receive", "time": 2.75, "opcode": 2, "data": base64.b64encode(b"\xff\0").decode()},
    ]
    data = {"log": {"version": "1.2", "entries": [first, second, third, page, page, empty, bare, socket]}}
    found, target = converted(tmp_path, data)
    assert (found.format, found.total) == ("har", 4)
    assert [each.partition(": ")[2] for each in left(found)] == [
        "log.entries[3]: 2 requests to app.test are none of the API",
        "log.entries[5]: the answer's body is not in the file; it has to be exported with its content",
        "log.entries[6]: what was said over this websocket is not in the file",
    ]
    assert [each.whole for each in found.left] == [False, True, True]
    recordings = load(target).recordings
    assert [each.after for each in recordings] == [0.512, 0.1, 0.512, 0]
    dialogue = recordings[3]
    assert [(each["from"], each.get("after")) for each in dialogue.messages] == [
        ("server", None),
        ("client", 0.5),
        ("server", 1.25),
    ]
    assert dialogue.messages[1]["data"]["key"] == "SCRUBBED"
    target.write_text(target.read_text().partition("- request:\n    method: GET\n    url: wss")[0])
    play(target)


@pytest.mark.parametrize(
    ("messages", "says"),
    [
        ([], "nothing was said over this websocket in the file"),
        ([{"type": "send", "time": 1.0, "opcode": 1, "data": "{}"}], "the server said nothing over this websocket"),
    ],
)
def test_a_websocket_in_which_the_server_says_nothing_is_told(tmp_path: Path, messages: list[Any], says: str) -> None:
    socket = entry("GET", "wss://api.openai.com/v1/realtime?model=gpt-realtime", None, 101, "", "")
    socket["_webSocketMessages"] = messages
    found, target = converted(tmp_path, {"log": {"version": "1.2", "entries": [socket]}})
    assert [(says in each.message, each.place, each.whole) for each in found.left] == [(True, "log.entries[0]", False)]
    assert len(load(target).recordings) == 1


PIECES = st.lists(st.binary(max_size=20) | st.text(max_size=8).map(str.encode), max_size=3).map(b"".join)
KINDS = st.sampled_from(["application/json", "text/event-stream", "audio/mpeg", "text/plain; charset=utf-8"])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(KINDS, PIECES, st.integers(200, 599), st.booleans()), min_size=1, max_size=4))
def test_answers_of_a_har_file_are_given_to_the_byte(answers: list[Any]) -> None:
    entries = []
    for number, (kind, data, status, coded) in enumerate(answers):
        each = entry("GET", f"https://api.openai.com/v1/files/file-{number}/content", None, status, kind, "")
        each["response"]["headers"] = [{"name": "content-type", "value": kind}]
        content = each["response"]["content"]
        text = data.decode(errors="replace")
        coded = coded or "\ufffd" in text
        if coded:
            content |= {"encoding": "base64", "text": base64.b64encode(data).decode(), "size": len(data)}
        else:
            content |= {"text": text, "size": len(data)}
        entries.append(each)
    with tempfile.TemporaryDirectory() as directory:
        found, target = converted(Path(directory), {"log": {"entries": entries}})
        assert found.total == len(answers)
        transport = HandlerTransport(Cassette(target, "strict"))
        for number, (_, data, status, _) in enumerate(answers):
            told = transport.send(Request("GET", f"/v1/files/file-{number}/content"), None, False)
            assert (told.status, told.content) == (status, data)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("antiphon cassette: 1\nexchanges: []\n", r":1: this is none of the files that can be converted: cassettes of"),
        ("interactions:\n- request: 1\n", r":2: interactions\[0\]: it has a request and a response"),
        (
            "interactions:\n- request: {uri: 1}\n  response: {}\n",
            r":2: interactions\[0\]: a request has a method and an address",
        ),
        (
            "interactions:\n- request: {uri: 'http://a/', method: GET}\n  response: {status: {}}\n",
            "the response's status is a number from 100 to 599",
        ),
        (
            "http_interactions: [{request: {uri: 'http://a/', method: GET}, response: {body: {base64_string: '%'}}}]",
            "the body of the response is not base64",
        ),
        ("a: [", ":2: this is not YAML"),
        ('{"a": 1,\n}', ":2: this is not JSON"),
        ("log: {entries: [1]}", r"log.entries\[0\]: it has a request and a response"),
    ],
)
def test_what_is_none_of_them_is_refused_with_its_line(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(text)
    with pytest.raises(ConvertError, match=says):
        read(path)
    path.write_bytes(b"a\n\xff")
    with pytest.raises(ConvertError, match=":2: this is not UTF-8"):
        read(path)


# Rules


def ask(target: Path, text: str, **options: Any) -> Any:
    client: Any = FakeOpenAI(rules=str(target)).client(max_retries=0)
    messages = options.pop("messages", [{"role": "user", "content": text}])
    answer = client.chat.completions.create(**{"model": "gpt-5", "messages": messages, **options})
    return answer.choices[0].message


def test_fixtures_of_aimock(tmp_path: Path) -> None:
    fixtures: list[dict[str, Any]] = [
        {"match": {"endpoint": "transcription"}, "response": {"transcription": {"text": "Heard."}}},
        {"match": {"userMessage": "hello"}, "response": {"content": "Hello!"}},
        {"match": {"userMessage": "hell"}, "response": {"content": {"as": "JSON"}}},
        {"match": {"userMessage": "weather", "model": "gpt-5"}, "response": {"toolCalls": [{"name": "get_weather", "arguments": {"city": "Oslo"}}], "content": "Well."}},
        {"match": {"userMessage": "call", "systemMessage": ["one (1)", "two"]}, "response": {"toolCalls": [{"id": "call_abc", "name": "f", "arguments": '{"a":1}'}]}},
        {"match": {"userMessage": "joke", "sequenceIndex": 0}, "response": {"content": "first"}},
        {"match": {"userMessage": "joke", "sequenceIndex": 1}, "response": {"content": "second"}},
        {"match": {"userMessage": "joke"}, "response": {"content": "no more"}},
        {"match": {"userMessage": "fail"}, "response": {"error": {"message": "Slow down", "code": "rate_limit_exceeded"}, "status": 429, "retryAfter": 3}},
        {"match": {"inputText": "cat", "endpoint": "embedding"}, "response": {"embedding": [1, 0]}},
        {"match": {"context": "a", "userMessage": "where"}, "response": {"content": "Here."}},
        {"match": {"endpoint": "image", "userMessage": "sun"}, "response": {"image": {"b64Json": "aGk="}}},
        {"match": {"toolResultContains": "-4", "hasToolResult": True}, "response": {"content": "Freezing."}},
    ]  # fmt: skip
    found, target = converted(tmp_path, {"fixtures": fixtures})
    assert (found.format, found.total, left(found)) == ("aimock", 12, [])
    assert ask(target, "hello").content == "Hello!"  # the first there is
    assert json.loads(ask(target, "hell").content) == {"as": "JSON"}
    for model in ("gpt-5", "gpt-5-2025-08-07"):
        told = ask(target, "weather", model=model)
        assert told.content == "Well."
        assert json.loads(told.tool_calls[0].function.arguments) == {"city": "Oslo"}
    system = {"role": "system", "content": "two\nand one (1)"}
    told = ask(target, "", messages=[system, {"role": "user", "content": "call"}])
    assert (told.tool_calls[0].id, told.tool_calls[0].function.arguments) == ("call_abc", '{"a":1}')
    fake = FakeOpenAI(rules=str(target))
    client: Any = fake.client(max_retries=0)

    def said(text: str, **options: Any) -> str:
        return client.responses.create(model="gpt-5", input=text, **options).output_text

    assert [said("joke") for _ in range(4)] == ["first", "second", "no more", "no more"]
    with pytest.raises(antiphon.RateLimitError, match="Slow down") as failed:
        said("fail")
    assert failed.value.response.headers["retry-after"] == "3"
    vector = client.embeddings.create(model="text-embedding-3-small", input="a cat", encoding_format="float")
    assert vector.data[0].embedding == [1.0, 0.0]
    assert said("where", extra_headers={"x-aimock-context": "a"}) == "Here."
    assert said("where") != "Here."
    assert client.images.generate(prompt="the sun", model="gpt-image-1").data[0].b64_json == "aGk="
    call = {
        "role": "assistant",
        "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
    }
    result = [{"role": "user", "content": "x"}, call, {"role": "tool", "tool_call_id": "c", "content": "-4 °C"}]
    assert ask(target, "", messages=result).content == "Freezing."


def test_what_aimock_has_and_rules_have_not_is_told(tmp_path: Path) -> None:
    fixtures: list[Any] = [
        {"match": {"userMessage": "a"}, "response": {"content": "A", "usage": {"total_tokens": 3}}, "latency": 100},
        {"match": {"userMessage": "ab", "toolCallId": "call_1"}, "response": {"content": "B"}},
        {"match": {"userMessage": "a"}, "response": {"content": "never"}},
        {"match": {"endpoint": "openai-live"}, "response": {"live": {}}},
        {"match": {"userMessage": "v"}, "response": {"video": {"id": "v"}}},
        {"match": {"userMessage": "e"}, "response": {"error": {"message": "odd"}, "status": 200}},
        {"match": {"userMessage": "s", "sequenceIndex": 2}, "response": {"content": "S"}},
        {"match": {"userMessage": "t", "turnIndex": 1}, "response": {"content": "T", "reasoning": "Hm."}},
        {"match": {"userMessage": 3}, "response": {"content": "not a text"}},
        {"match": {"userMessage": "x", "colour": "red"}, "response": {"toolCalls": [{}]}},
        7,
        {"match": {"userMessage": "sun"}, "response": {"image": {"url": "https://a.test/sun.png"}}},
    ]
    found, target = converted(tmp_path, {"fixtures": fixtures})
    assert (found.total, sum(each.whole for each in found.left)) == (3, 9)
    told = [each.partition(": ")[2] for each in left(found)]
    assert told == [
        "fixtures[0]: fixtures[1], which says more, answers here where both fit; there it is this one",
        "fixtures[0].response.usage: the fake counts, names and dates its answers itself",
        "fixtures[0].latency: how long an answer takes is said of the fake, with latency=, and not of a rule",
        "fixtures[1].match.toolCallId: any tool's result is meant here: rules do not look at the id of the call",
        "fixtures[2]: it never answers: fixtures[0] has the same conditions",
        "fixtures[3].match.endpoint: 'openai-live' is nothing that the fake answers by rules",
        "fixtures[4].response: an answer of this kind (video) is not one of the API's, or not one of rules",
        "fixtures[5].response.status: an error with the status 200, which is none of an error",
        "fixtures[6].match.sequenceIndex: there is no fixture before it, so 2 never comes",
        "fixtures[7].match.turnIndex: a turn is the one that it says here, and not the nearest of those there are",
        "fixtures[7].response.reasoning: rule files have no reasoning; `fake.when(…).reply([Reasoning(…), …])` has",
        told[11],
        "fixtures[9].match.colour: there is no such thing here",
        "fixtures[9].response.toolCalls[0]: a call of a tool has a name",
        "fixtures[10]: a fixture has a match and a response",
        "fixtures[11].response: a picture is answered with its bytes (b64Json), and not with an address",
    ]
    assert told[11].startswith("fixtures[8]: it makes no rule: when.text: text is a text that is in what the user says")
    assert all(each.line > 1 for each in found.left)
    assert ask(target, "a").content == "A"


def test_fixtures_of_stubllm(tmp_path: Path) -> None:
    text = """
fixtures:
  - name: greeting
    match:
      provider: openai
      endpoint: /v1/chat/completions
      messages:
        - {role: user, content: {contains: hello}}
    response: {content: "Hello!", usage: {prompt_tokens: 1}}
  - name: tool
    match:
      messages: [{role: user, content: {regex: "weather in .*"}}, {role: system, content: pirate}]
      tools_present: true
    response:
      tool_calls: [{id: call_1, type: function, function: {name: get_weather, arguments: '{"city": "Oslo"}'}}]
  - match: {model: gpt-4o, headers: {x-case: a}}
    sequence:
      - {http_status: 429, error_message: Slow down}
      - {content: "Now."}
"""
    found, target = converted(tmp_path, text, "theirs.yaml")
    assert (found.format, found.total) == ("stubllm", 3)
    assert left(found) == [
        "9: fixtures[0].response.usage: the fake counts its tokens itself",
        "13: fixtures[1].match.tools_present: a rule asks for tools by their names, and not for any",
    ]
    assert ask(target, "HELLO there").content == "Hello!"
    messages = [{"role": "system", "content": "A Pirate"}, {"role": "user", "content": "The weather in Oslo"}]
    assert ask(target, "", messages=messages).tool_calls[0].function.name == "get_weather"
    client = FakeOpenAI(rules=str(target)).client(max_retries=0, default_headers={"x-case": "a"})
    with pytest.raises(antiphon.RateLimitError, match="Slow down"):
        client.responses.create(model="gpt-4o", input="x")
    assert client.responses.create(model="gpt-4o", input="x").output_text == "Now."


def test_rules_of_fakellm(tmp_path: Path) -> None:
    text = """
rules:
  - name: first
    when: {messages_contain: Weather, model_matches: "gpt-4*", turn_in: [1, 1], header.x-a: b}
    respond: {content: "Freezing."}
  - name: later
    when: {messages_contain: Weather, model_matches: "gpt-4*", turn_in: [1, 1], header.x-a: b, previous_message_role: user}
    respond: {content: "Never."}
  - name: broken
    when: {tool_result_contains: boom, tools_include: f}
    respond: {status: 503, error: Busy}
defaults: {content: "?"}
"""
    found, target = converted(tmp_path, text, "theirs.yaml")
    assert (found.format, found.total) == ("fakellm", 2)
    assert left(found) == [
        "4: rules[0].when.messages_contain: it is what the user says last that is looked at, and not all messages",
        "6: rules[1]: it never answers: rules[0] has the same conditions",
        "7: rules[1].when.previous_message_role: rules look at what was said last, and not at the message before",
        "12: defaults: what no rule answers is answered by the fake's engine",
    ]
    assert ask(target, "the WEATHER", model="gpt-4o", extra_headers={"x-a": "b"}).content == "Freezing."


def test_responses_of_mockllm(tmp_path: Path) -> None:
    text = "responses:\n  what is 1+1?: '2'\n  yes or no?: no\ndefaults:\n  unknown_response: Who knows.\nsettings: {lag_enabled: true}\n"
    found, target = converted(tmp_path, text, "theirs.yaml")
    assert (found.format, found.total) == ("mockllm", 3)
    assert left(found) == [
        "6: settings: how long an answer takes is said of the fake, with latency=, and not of a rule"
    ]
    assert [ask(target, text).content for text in ("what is 1+1?", "What is 1+1?")] == ["2", "Who knows."]


DELAY = (
    "mappings[0].response.fixedDelayMilliseconds: how long an answer takes is said of the fake, with latency=, and not of "
    "a rule"
)


def test_stubs_of_wiremock(tmp_path: Path) -> None:
    chat = {"choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}}]}
    other = {"choices": [{"index": 0, "message": {"role": "assistant", "content": "Bye"}}]}
    address = {"method": "POST", "urlPath": "/v1/chat/completions"}
    stubs: list[Any] = [
        {"request": {**address, "bodyPatterns": [{"contains": "hello"}]}, "response": {"status": 200, "jsonBody": chat, "fixedDelayMilliseconds": 100}},
        {"request": {**address, "bodyPatterns": [{"matchesJsonPath": {"expression": "$.messages[-1].content", "contains": "bye"}}, {"matchesJsonPath": "$[?(@.model == 'gpt-4o')]"}]}, "response": {"body": json.dumps(other)}},
        {"request": {**address, "headers": {"X-Case": {"equalTo": "busy"}}}, "response": {"status": 429, "jsonBody": {"error": {"message": "Slow down"}}}},
        {"name": "file", "request": {"method": "GET", "urlPattern": "/v1/files/[a-z-]+"}, "response": {"jsonBody": {"id": "file-x", "object": "file"}}},
        {"request": {"method": "GET", "url": "/elsewhere"}, "response": {"status": 200}},
        {"request": address, "response": {"status": 200, "body": "data: [DONE]"}, "priority": 5},
    ]  # fmt: skip
    found, target = converted(tmp_path, {"mappings": stubs})
    assert (found.format, found.total) == ("wiremock", 4)
    assert [each.partition(": ")[2] for each in left(found)] == [
        "mappings[0].request.bodyPatterns[0]: it is what the user says last that is looked at, and not the whole body",
        DELAY,
        "mappings[2]: mappings[1], which says more, answers here where both fit; there it is this one",
        "mappings[4].request.url: GET /elsewhere is no operation of the API",
        "mappings[5].response: a body that is no JSON object is none that a rule answers, such as a stream or a file",
    ]
    assert ask(target, "hello").content == "Hi"
    assert ask(target, "bye", model="gpt-4o").content == "Bye"
    client: Any = FakeOpenAI(rules=str(target)).client(max_retries=0)
    assert client.files.retrieve("file-abc").id == "file-x"
    with pytest.raises(antiphon.RateLimitError, match="Slow down"):
        ask(target, "x", extra_headers={"x-case": "busy"})
    alone, _ = converted(tmp_path, stubs[0])
    assert (alone.format, alone.total) == ("wiremock", 1)


def test_what_means_something_else_in_other_yaml_stays_what_it_is(tmp_path: Path) -> None:
    for text in ("1e3", "0o17", "no", "2026-11-28", "~", "# not a comment", "a: b"):
        _, target = converted(tmp_path, {"responses": {text: text}})
        assert ask(target, text).content == text


WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
VALUES = st.one_of(
    WORDS,
    st.none(),
    st.booleans(),
    st.integers(-3, 500),
    st.lists(WORDS, max_size=2),
    st.dictionaries(WORDS, WORDS, max_size=2),
)
MATCHES = st.dictionaries(
    st.sampled_from(
        "userMessage systemMessage inputText toolCallId toolResultContains toolName model responseFormat sequenceIndex turnIndex "
        "hasToolResult endpoint context odd".split()
    ),
    VALUES,
    max_size=4,
)  # fmt: skip
CALLS = st.lists(
    st.one_of(st.fixed_dictionaries({"name": WORDS}, optional={"arguments": VALUES, "id": VALUES}), VALUES), max_size=2
)
RESPONSES = st.one_of(
    st.fixed_dictionaries({}, optional={"content": VALUES, "toolCalls": st.one_of(CALLS, VALUES), "blocks": CALLS, "usage": VALUES}),
    st.fixed_dictionaries({"error": VALUES}, optional={"status": VALUES, "retryAfter": VALUES}),
    st.fixed_dictionaries({}, optional=dict.fromkeys("embedding image images audio transcription video".split(), VALUES)),
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.fixed_dictionaries({"match": MATCHES, "response": RESPONSES}, optional={"latency": VALUES}), VALUES
        ),
        max_size=5,
    )
)
def test_every_fixture_is_a_rule_that_can_be_loaded_or_is_told_to_be_none(fixtures: list[Any]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        found, target = converted(Path(directory), {"fixtures": fixtures})
        if found.format != "aimock":
            return
        lost = {each.place.split("]")[0] for each in found.left if each.whole}
        answers = sum(len(each.rule.get("answers", [0])) for each in found.rules)
        assert answers + len(lost) == len(fixtures)
        FakeOpenAI(rules=str(target))


NAMES = (
    "fixtures match response sequence messages role content exact contains regex tool_calls function name arguments endpoint model "
    "headers http_status error_message provider rules when respond status turn turn_in messages_contain header.a tools_include "
    "responses defaults unknown_response interactions http_interactions request uri url method body string code base64_string "
    "urlPath bodyPatterns matchesJsonPath expression equalTo jsonBody choices message "
    "log entries startedDateTime time timings wait _webSocketMessages type data opcode text encoding size mimeType value"
).split()
LEAVES = st.one_of(
    VALUES,
    st.sampled_from(
        [
            "https://api.openai.com/v1/models",
            "wss://api.openai.com/v1/responses",
            "GET",
            "POST",
            "user",
            "send",
            "receive",
        ]
    ),
    st.just("base64"),
)
TREES: Any = st.recursive(
    LEAVES, lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(st.sampled_from(NAMES), inner, max_size=4)), max_leaves=20
)  # fmt: skip
TOPS = st.one_of(
    st.fixed_dictionaries({"fixtures": st.lists(st.fixed_dictionaries({"match": TREES, "response": TREES}, optional={"sequence": TREES}), max_size=2)}),
    st.fixed_dictionaries({"mappings": st.lists(st.fixed_dictionaries({"request": TREES, "response": TREES}), max_size=2)}),
    st.fixed_dictionaries({"rules": st.lists(st.fixed_dictionaries({"when": TREES, "respond": TREES}), max_size=2)}),
    st.fixed_dictionaries({"responses": st.dictionaries(WORDS, TREES, max_size=2)}, optional={"defaults": TREES}),
    st.fixed_dictionaries({"log": st.fixed_dictionaries({"entries": st.lists(st.fixed_dictionaries({"request": TREES, "response": TREES}, optional={"_webSocketMessages": TREES, "timings": TREES, "time": TREES}), max_size=2)})}),
    *(
        st.fixed_dictionaries({name: st.lists(st.fixed_dictionaries({"request": TREES, "response": TREES}), max_size=2)})
        for name in ("interactions", "http_interactions")
    ),
    TREES,
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(TOPS)
def test_whatever_a_file_holds_it_is_converted_or_refused_in_words(data: Any) -> None:
    with tempfile.TemporaryDirectory() as directory, suppress(ConvertError):
        converted(Path(directory), data)
