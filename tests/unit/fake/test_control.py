"""The control API of a fake: what tests in any language do with it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx2
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from antiphon import AuthenticationError, FakeOpenAI, OpenAI
from antiphon.fake.control.operations import OPERATIONS, Operation
from antiphon.fake.door import Door, is_loopback
from antiphon.kernel.flow import run
from antiphon.kernel.http import Headers, Request, Response
from antiphon.server.clock import VirtualClock


def call(fake: Any, method: str, path: str, body: Any = None, *, status: int = 200, **headers: str) -> Any:
    """What a fake answers in process, decoded; the address may have a query."""
    told = {"content-type": "application/json"} if body is not None else {}
    path, _, query = path.partition("?")
    given = Headers({**told, **{name.replace("_", "-"): value for name, value in headers.items()}})
    data = body if isinstance(body, bytes) else b"" if body is None else orjson.dumps(body)
    answer: Any = fake(Request(method, f"/_antiphon{path}", query, given, data, "http://127.0.0.1:1"))
    if not isinstance(answer, Response):
        answer = run(answer, fake.world)
    assert answer.status == status, answer.body
    if answer.headers.get("content-type") == "application/json":
        return answer.json()
    return answer


def refusal(fake: Any, method: str, path: str, body: Any = None, *, status: int = 400, **headers: str) -> str:
    """The message of an error, whose envelope is looked at."""
    error = call(fake, method, path, body, status=status, **headers)["error"]
    assert set(error) == {"message", "type", "param", "code"}
    return str(error["message"])


def ask(fake: FakeOpenAI, text: str = "Hello", **options: Any) -> Any:
    return fake.client(max_retries=0).responses.create(model="gpt-5", input=text, **options)


# The journal


def test_the_journal_is_listed_searched_looked_into_and_cleared() -> None:
    fake = FakeOpenAI("echo")
    fake.when(text="rain").reply("Wet")
    for text in ("Hello", "rain today", "Hello again"):
        ask(fake, text)
    whole = call(fake, "GET", "/journal")
    assert (whole["object"], whole["total"], whole["has_more"]) == ("list", 3, False)
    assert [each["text"] for each in whole["data"]] == ["Hello", "rain today", "Hello again"]
    assert [each["rule"] for each in whole["data"]] == [None, 1, None]
    first = whole["data"][0]
    assert (first["operation"], first["model"], first["status"]) == ("responses.create", "gpt-5", 200)
    assert first["tokens"]["total"] == first["tokens"]["input"] + first["tokens"]["output"]
    assert first["cost"] > 0
    assert first["body"] == {"model": "gpt-5", "input": "Hello"}
    assert first["answer"]["id"].startswith("resp_")
    assert "headers" not in first

    page = call(fake, "GET", "/journal?text=Hello&limit=1")
    assert ([each["place"] for each in page["data"]], page["has_more"]) == ([0], True)
    rest = call(fake, "GET", "/journal?text=Hello&after=0&status=200&model=gpt-*&turn=1")
    assert [each["place"] for each in rest["data"]] == [2]
    found = call(fake, "POST", "/journal/search", {"query": {"text": {"matches": "^hello$", "ignore_case": True}}})
    assert [each["place"] for each in found["data"]] == [0]

    one = call(fake, "GET", "/journal/-1")
    assert (one["place"], one["headers"]["authorization"]) == (2, "<masked>")
    assert one == call(fake, "GET", f"/journal/{one['request_id']}")
    assert call(fake, "DELETE", "/journal") == {"deleted": 3}
    assert call(fake, "GET", "/journal")["data"] == []
    assert refusal(fake, "GET", "/journal/0", status=404) == "The journal has 0 exchanges, and none at '0'."


def test_streams_files_and_bytes_are_json_in_it() -> None:
    fake = FakeOpenAI("echo")
    client = fake.client()
    for _ in client.responses.create(model="gpt-5", input="Hello", stream=True):
        pass
    client.files.create(file=("a.bin", b"\xff\x00"), purpose="assistants")
    client.audio.speech.create(model="tts-1", input="Hello", voice="alloy", response_format="wav")
    stream, file, speech = (call(fake, "GET", f"/journal/{place}") for place in range(3))
    assert stream["events"][-1]["type"] == "response.completed"
    assert stream["pieces"][0]["data"].startswith("event: response.created")
    assert file["body"]["file"] == {"filename": "a.bin", "content_type": "application/octet-stream", "bytes": 2}
    assert speech["answer"]["bytes"] > 44


def test_nothing_of_the_control_api_is_in_the_journal() -> None:
    fake = FakeOpenAI()
    call(fake, "GET", "/health")
    call(fake, "GET", "/journal")
    assert len(fake.journal) == 0


# Assertions


def test_assertions_hold_or_say_why_not() -> None:
    fake = FakeOpenAI("echo")
    fake.when(text="rain").reply("Wet")
    ask(fake, "Hello")
    ask(fake, "rain")
    passed = {"passed": True}
    assert call(fake, "POST", "/assert/called", {"query": {"text": "Hello"}, "times": 1}) == passed
    assert call(fake, "POST", "/assert/called") == passed
    assert call(fake, "POST", "/assert/not_called", {"query": {"operation": "files.*"}}) == passed
    assert call(fake, "POST", "/assert/called_in_order", {"queries": [{"text": "Hello"}, {"text": "rain"}]}) == passed
    assert call(fake, "POST", "/assert/tokens_at_most", {"most": 100}) == passed
    assert call(fake, "POST", "/assert/cost_at_most", {"most": 0.01}) == passed
    assert call(fake, "POST", "/assert/all_rules_used") == passed
    assert call(fake, "POST", "/assert/nothing_unexpected", {"expected": [{"text": "Hello"}]}) == passed
    assert call(fake, "POST", "/assert/well_behaved", {"ignore": ["retry_storm"], "warnings": True}) == passed

    message = refusal(fake, "POST", "/assert/called", {"query": {"model": "gpt-4o"}, "times": 2}, status=422)
    assert message.startswith("expected 2 requests with model='gpt-4o', and there were none.\nThe fake was asked:")
    assert "model is 'gpt-5', not 'gpt-4o'" in message
    failed = call(fake, "POST", "/assert/nothing_unexpected", status=422)["error"]
    assert failed["code"] == "assertion_failed"
    assert "the nearest is rule 1" in failed["message"]
    assert "3 queries" not in refusal(
        fake, "POST", "/assert/called_in_order", {"queries": [{"text": "rain"}, {"text": "Hello"}]}, status=422
    )
    assert "was $" in refusal(fake, "POST", "/assert/cost_at_most", {"most": 0}, status=422)


def test_a_failed_assertion_is_not_tried_again_by_clients() -> None:
    fake = FakeOpenAI()
    answer: Any = fake(Request("POST", "/_antiphon/assert/called", origin="http://127.0.0.1"))
    assert (answer.status, answer.headers["x-should-retry"]) == (422, "false")


def test_the_verdict() -> None:
    fake = FakeOpenAI("echo", clock=VirtualClock())
    fake.when(text="x", times=1).fail(401)
    with pytest.raises(AuthenticationError):
        ask(fake, "x")
    ask(fake, "x")
    told = call(fake, "GET", "/verdict")
    assert (told["ok"], told["calls"], told["retries"]) == (False, 1, 1)
    assert told["findings"][0]["code"] == "retried_final"
    assert told["findings"][0]["exchanges"] == [0, 1]
    assert "it asked again after a 401" in told["report"]
    assert "it asked again after a 401" in refusal(fake, "POST", "/assert/well_behaved", {}, status=422)
    assert "no finding 'nonsense'" in refusal(fake, "POST", "/assert/well_behaved", {"ignore": ["nonsense"]})


# Rules and faults


def test_rules_are_added_listed_explained_and_removed() -> None:
    fake = FakeOpenAI("echo")
    added = call(fake, "POST", "/rules", {"when": {"text": "weather"}, "reply": "Sunny", "times": 5}, status=201)
    assert added["data"][0]["when"] == {"text": "weather"}
    call(
        fake,
        "POST",
        "/rules",
        {
            "rules": [
                {"when": {"model": {"matches": "^o"}}, "fail": 503},
                {"when": {"system": {"exactly": "x"}}, "reply": "y"},
            ]
        },
        status=201,
    )
    assert ask(fake, "How is the weather?").output_text == "Sunny"
    rules = call(fake, "GET", "/rules")["data"]
    assert [(each["number"], each["calls"], each["times"]) for each in rules] == [(1, 1, 5), (2, 0, None), (3, 0, None)]
    assert [each["when"] for each in rules[1:]] == [{"model": {"matches": "^o"}}, {"system": {"exactly": "x"}}]
    told = call(fake, "POST", "/rules/explain", {"body": {"model": "gpt-5", "input": "The weather"}})
    assert re.search(r"rule 1, when\(text='weather'\), of POST /_antiphon/rules: answers", told["text"])
    assert call(fake, "POST", "/rules/explain", {"place": 0})["text"].startswith("answered by rule 1")
    assert call(fake, "GET", "/rules/1")["calls"] == 1
    assert call(fake, "DELETE", "/rules/1")["deleted"] is True
    assert ask(fake, "weather").output_text == "weather"
    assert call(fake, "DELETE", "/rules") == {"deleted": 2}
    assert refusal(fake, "DELETE", "/rules/1", status=404) == "There is no rule '1'."


def test_scripts_are_added_and_say_who_followed_them() -> None:
    fake = FakeOpenAI("echo")
    legs = [{"user": "go", "reply": "Where to?"}, {"user": "home", "reply": "There."}]
    (added,) = call(fake, "POST", "/rules", {"scripts": [{"name": "trip", "legs": legs}]}, status=201)["data"]
    assert (added["object"], added["name"], added["begun"]) == ("script", "trip", 0)
    call(fake, "POST", "/rules", {"when": {"text": "x"}, "reply": "y"}, status=201)
    create: Any = fake.client().responses.create
    first = create(model="gpt-5", input="go")
    assert create(model="gpt-5", input="away", previous_response_id=first.id).output_text == "away"
    call(fake, "DELETE", "/rules/1")
    (script,) = call(fake, "GET", "/scripts")["data"]
    assert (script["begun"], script["played"]) == (1, 0)
    assert [leg["calls"] for leg in script["legs"]] == [1, 0]
    assert "text is 'away', which has no 'home' in it" in script["departures"][0]


def test_legs_of_scripts_are_told_apart_from_rules() -> None:
    fake = FakeOpenAI("echo")
    call(fake, "POST", "/rules", {"scripts": [{"name": "talk", "legs": [{"user": "hi", "reply": "ho"}]}]}, status=201)
    assert ask(fake, "hi").output_text == "ho"
    told = call(fake, "GET", "/journal/0")
    assert (told["rule"], told["script"]) == (None, {"number": 1, "leg": 1})
    assert "script 'talk'" in told["answered_by"]


def test_rules_that_are_wrong_are_refused_with_the_place_and_nothing_is_added() -> None:
    fake = FakeOpenAI()
    assert refusal(fake, "POST", "/rules", {"when": {"txt": "a"}, "reply": "b"}).startswith(
        "when.txt: there is no 'txt'"
    )
    wrong = [{"when": {}, "reply": "b"}, {"when": {"turn": 0}, "reply": "b"}]
    assert "[1].when.turn" in refusal(fake, "POST", "/rules", {"rules": wrong})
    assert len(fake.rules) == 0
    assert "either the body" in refusal(fake, "POST", "/rules/explain", {}).lower()
    assert "none at 7" in refusal(fake, "POST", "/rules/explain", {"place": 7}, status=404)


def test_faults_are_added_listed_and_removed() -> None:
    fake = FakeOpenAI("echo")
    added = call(fake, "POST", "/faults", {"type": "status", "status": 503, "when": {"type": "once"}}, status=201)
    assert (added["number"], added["strikes"]) == (1, 0)
    call(fake, "POST", "/faults", "status=429; model=o3", status=201)
    with pytest.raises(Exception, match="503"):
        ask(fake)
    assert ask(fake).output_text == "Hello"
    assert [each["strikes"] for each in call(fake, "GET", "/faults")["data"]] == [1, 0]
    assert "ReturnStatus(503)" in call(fake, "GET", "/journal/0")["fault"]
    assert call(fake, "DELETE", "/faults/1")["fault"]["type"] == "status"
    assert call(fake, "DELETE", "/faults") == {"deleted": 1}
    assert refusal(fake, "DELETE", "/faults/1", status=404) == "There is no fault '1'."
    assert "nonsense" in refusal(fake, "POST", "/faults", {"type": "nonsense"})


# State, clock, seed, latency


def test_state_is_looked_at_kept_and_restored() -> None:
    fake = FakeOpenAI()
    client = fake.client()
    file = client.files.create(file=b"one", purpose="assistants")
    assert call(fake, "GET", "/state")["collections"]["files"] == 1
    assert call(fake, "GET", "/state/documents?collection=files")["data"][0]["id"] == file.id
    assert call(fake, "POST", "/state/snapshots", {"id": "before"}, status=201)["id"] == "before"
    assert call(fake, "POST", "/state/snapshots", status=201)["id"] == "snapshot_1"
    client.files.delete(file.id)
    for _ in range(2):
        assert call(fake, "POST", "/state/snapshots/before/restore")["id"] == "before"
        assert client.files.retrieve(file.id).id == file.id
    assert [each["id"] for each in call(fake, "GET", "/state/snapshots")["data"]] == ["before", "snapshot_1"]
    assert call(fake, "DELETE", "/state/snapshots/before")["deleted"] is True
    assert "no snapshot 'before'" in refusal(fake, "POST", "/state/snapshots/before/restore", status=404)
    assert "no collection 'nonsense'" in refusal(fake, "GET", "/state/documents?collection=nonsense", status=404)
    assert "collection says which" in refusal(fake, "GET", "/state/documents").lower()


def test_everything_or_a_part_begins_anew() -> None:
    fake = FakeOpenAI()
    fake.when().reply("x")
    fake.misbehave("status=503; model=o3")
    ask(fake)
    fake.client().files.create(file=b"one", purpose="assistants")
    assert call(fake, "POST", "/reset", {"only": ["journal"]})["reset"] == ["journal"]
    assert (len(fake.journal), len(fake.rules), len(fake.faults)) == (0, 1, 1)
    assert call(fake, "GET", "/state")["collections"]["files"] == 1
    assert call(fake, "POST", "/reset")["reset"] == ["state", "journal", "rules", "faults"]
    assert (len(fake.rules), len(fake.faults)) == (0, 0)
    assert call(fake, "GET", "/state")["collections"] == {}
    assert "nonsense" in refusal(fake, "POST", "/reset", {"only": ["nonsense"]})
    assert "leave out only" in refusal(fake, "POST", "/reset", {"only": ["state"], "seed": 3})


def test_the_clock_goes_forward_and_what_is_due_is_done() -> None:
    fake = FakeOpenAI(clock=VirtualClock(1_000_000), job_seconds=60)
    assert call(fake, "GET", "/clock") == {
        "object": "clock",
        "kind": "virtual",
        "now": 1_000_000,
        "iso": "1970-01-12T13:46:40+00:00",
    }
    response = ask(fake, background=True)
    assert call(fake, "POST", "/clock/advance", {"by": "2m"})["now"] == 1_000_120
    (document,) = call(fake, "GET", "/state/documents?collection=responses")["data"]
    assert (document["id"], document["status"]) == (response.id, "completed")
    assert call(fake, "PUT", "/clock", {"now": "1971-01-01"})["iso"] == "1971-01-01T00:00:00+00:00"
    assert call(fake, "PUT", "/clock", {"now": 31_536_001})["now"] == 31_536_001
    assert "does not go back" in refusal(fake, "PUT", "/clock", {"now": 5})
    assert "'24h'" in refusal(fake, "POST", "/clock/advance", {"by": "soon"})
    assert "not 'soon'" in refusal(fake, "PUT", "/clock", {"now": "soon"})
    assert call(FakeOpenAI(), "GET", "/clock")["kind"] == "real"


def test_a_seed_makes_it_the_fake_of_that_seed() -> None:
    one, two = FakeOpenAI(seed=1), FakeOpenAI(seed=2)
    ask(one, "something before")
    assert call(one, "PUT", "/seed", {"seed": 2}) == {"object": "seed", "seed": 2}
    first, second = ask(one, "Tell me"), ask(two, "Tell me")
    assert (first.id, first.output_text) == (second.id, second.output_text)
    assert call(one, "GET", "/seed")["seed"] == 2


def test_latency() -> None:
    fake = FakeOpenAI("echo", clock=VirtualClock())
    assert call(fake, "PUT", "/latency", {"first": 2, "each": 0.5})["each"] == 0.5
    ask(fake, "Hello there")
    assert fake.journal[-1].seconds == 2.5
    assert call(fake, "GET", "/latency")["first"] == 2.0
    assert call(fake, "PUT", "/latency", {})["first"] == 0.0
    refusal(fake, "PUT", "/latency", {"first": -1})


# What is refused


def test_what_is_wrong_with_a_request_is_said_in_the_envelope() -> None:
    fake = FakeOpenAI()
    assert "/_antiphon/nowhere" in refusal(fake, "GET", "/nowhere", status=404)
    assert "takes GET, PUT, and not POST" in refusal(fake, "POST", "/clock", {}, status=405)
    assert "'x'; there are operation, model" in refusal(fake, "GET", "/journal?x=1")
    assert refusal(fake, "GET", "/journal?status=high") == "Status is a whole number, not 'high'."
    assert refusal(fake, "GET", "/journal?limit=0") == "Limit is a number from 1 to 1000, not 0."
    assert "true or false" in refusal(fake, "GET", "/journal?whole=perhaps")
    assert refusal(fake, "POST", "/clock/advance", b"{").startswith("The body is no JSON")
    assert "content-type: application/json" in refusal(fake, "POST", "/rules", b"{}", content_type="text/plain")
    assert "by" in refusal(fake, "POST", "/clock/advance", {})
    assert "Unknown parameter: 'then'" in refusal(fake, "POST", "/clock/advance", {"by": 1, "then": 2})
    assert refusal(fake, "POST", "/assert/called", {"query": {"txt": "x"}}).startswith("query.txt: there is no 'txt'")
    assert "query.status is a number" in refusal(fake, "POST", "/assert/called", {"query": {"status": "high"}})
    assert "regular expression" in refusal(fake, "POST", "/assert/called", {"query": {"text": {"matches": "("}}})


def test_an_error_nobody_foresaw_is_told_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    fake = FakeOpenAI()
    monkeypatch.setattr(fake, "verdict", None)
    message = refusal(fake, "GET", "/verdict", status=500)
    assert message == "The fake could not answer GET /_antiphon/verdict: TypeError. Its log says more."
    assert "Traceback" in caplog.text


NAMES = ["when", "reply", "type", *{name for each in OPERATIONS for name in (each.body or {}).get("properties", {})}]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 2**40) | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4),
    max_leaves=8,
)


@settings(max_examples=60)
@given(st.sampled_from(OPERATIONS), JSON, st.text(min_size=1, max_size=5), st.text(max_size=8))
def test_whatever_is_sent_is_answered_or_refused(each: Operation, body: Any, param: str, query: str) -> None:
    fake = FakeOpenAI("echo", clock=VirtualClock())
    door = Door(fake, True)
    ask(fake)
    path = re.sub(r"\{\w+\}", lambda found: quote(param, safe=""), each.path)
    headers = Headers({"content-type": "application/json"})
    data = b"" if each.body is None else orjson.dumps(body)
    for asked in (quote(query), "&".join(f"{name}={quote(query)}" for name in each.query)):
        answer: Any = door(Request(each.method, f"/_antiphon{path}", asked, headers, data, "http://127.0.0.1"))
        if not isinstance(answer, Response):
            answer = run(answer, fake.world)
        assert answer.status < 500, answer.body


def test_pages_of_other_origins_are_refused() -> None:
    fake = FakeOpenAI()
    assert "evil.example" in refusal(fake, "GET", "/journal", status=403, origin="https://evil.example")
    assert "null" in refusal(fake, "GET", "/journal", status=403, origin="null")
    call(fake, "GET", "/journal", origin="http://127.0.0.1:1")
    assert call(fake, "OPTIONS", "/journal", status=405)["error"]


def test_it_can_be_switched_off_and_is_for_this_machine_unless_asked_for() -> None:
    off = FakeOpenAI(control=False)
    assert "switched off" in refusal(off, "GET", "/journal", status=403)
    assert call(off, "GET", "/health")["status"] == "ok"
    fake = FakeOpenAI()
    assert [fake.door(host).control for host in ("127.0.0.1", "::1", "localhost", "0.0.0.0", "192.168.1.5", "")] == [
        None,
        None,
        None,
        False,
        False,
        False,
    ]
    assert FakeOpenAI(control=True).door("0.0.0.0").control is True
    assert FakeOpenAI(control=False).door("127.0.0.1").control is False
    assert is_loopback("[::1]")
    rebound = fake.door("127.0.0.1")(Request("GET", "/_antiphon/journal", origin="http://evil.example:45674"))
    assert isinstance(rebound, Response)
    assert rebound.status == 403


# On a port


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[FakeOpenAI, httpx2.Client, str]]:
    fake = FakeOpenAI("echo")
    with fake.start(port=0) as server, httpx2.Client(base_url=f"{server.url}/_antiphon") as http:
        yield fake, http, server.base_url


def test_over_http(served: tuple[FakeOpenAI, httpx2.Client, str]) -> None:
    fake, http, base = served
    fake.reset()
    assert http.get("/health").json()["status"] == "ok"
    assert http.post("/rules", json={"when": {"text": "weather"}, "reply": "Sunny"}).status_code == 201
    client = OpenAI(base_url=base, api_key="any")
    assert client.responses.create(model="gpt-5", input="The weather?").output_text == "Sunny"
    assert http.get("/journal", params={"text": "weather"}).json()["data"][0]["rule"] == 1
    assert http.head("/journal").status_code == 200
    root = http.get(f"{base.removesuffix('/v1')}/_antiphon")
    assert (root.status_code, root.headers["location"][-11:]) == (308, "/_antiphon/")


def test_sessions_do_not_meet(served: tuple[FakeOpenAI, httpx2.Client, str]) -> None:
    fake, http, base = served
    fake.reset()
    rules = [{"when": {"text": "who"}, "reply": "A session"}]
    one = http.post("/sessions", json={"seed": 7, "clock": "virtual", "latency": 30, "rules": rules}).json()
    two = http.post("/sessions", json={"key": "my-test"}).json()
    assert (one["seed"], one["clock"], two["key"]) == (7, "virtual", "my-test")
    first = OpenAI(base_url=base, api_key=one["key"], max_retries=0)
    second = OpenAI(base_url=base, api_key="any", default_headers=two["headers"], max_retries=0)
    other = OpenAI(base_url=base, api_key="any", max_retries=0)
    assert (
        first.responses.create(model="gpt-5", input="who").output_text == "A session"
    )  # at once: its clock is virtual
    assert second.responses.create(model="gpt-5", input="who").output_text == "who"
    assert other.responses.create(model="gpt-5", input="who else").output_text == "who else"
    events = list(first.responses.create(model="gpt-5", input="who", stream=True))
    assert events[-1].type == "response.completed"
    file = first.files.create(file=b"one", purpose="assistants")
    with pytest.raises(Exception, match="404"):
        second.files.retrieve(file.id)
    texts = {
        name: [each["text"] for each in http.get("/journal", headers=headers).json()["data"] if each["text"]]
        for name, headers in {"one": one["headers"], "two": {"authorization": "Bearer my-test"}, "main": {}}.items()
    }
    assert texts == {"one": ["who", "who", "upload"], "two": ["who"], "main": ["who else"]}
    assert [each["requests"] for each in http.get("/sessions").json()["data"]] == [3, 2]

    with first.responses.connect() as connection:
        connection.response.create(model="gpt-5", input="who")
        done = next(event for event in connection if event.type == "response.completed")
    assert done.response.output_text == "A session"

    assert http.delete(f"/sessions/{one['key']}").json()["deleted"] is True
    with pytest.raises(AuthenticationError, match="has ended"):
        first.responses.create(model="gpt-5", input="late")
    assert http.get("/journal", headers=one["headers"]).status_code == 200  # the control API stays within reach
    assert http.delete("/sessions").json() == {"deleted": 1}
    assert "leads to another" not in http.post("/sessions", json={"key": "my-test"}).text
    taken = http.post("/sessions", json={"key": "my-test"})
    assert (taken.status_code, "leads to another session" in taken.text) == (400, True)
    wrong = http.post("/sessions", json={"rules": [{"reply": 3}]})
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (400, "invalid_rule")
    assert http.post("/sessions", json={"clock": "later"}).status_code == 400
    assert http.post("/sessions", json={"engine": "nonsense"}).status_code == 400
    http.delete("/sessions")


def test_the_server_of_a_session_of_tests_leads_to_the_test_s_own_fake() -> None:
    from antiphon.hosting.run import serve_in_background
    from antiphon.testing.shared import Shared

    shared, one, two = Shared(), FakeOpenAI("echo"), FakeOpenAI("echo")
    with serve_in_background(shared) as server, httpx2.Client(base_url=f"{server.url}/_antiphon") as http:
        assert http.get("/health").json()["status"] == "ok"  # without a key, and without a test
        with shared.lent(one) as first, shared.lent(two) as second:
            for key, reply in ((first, "first"), (second, "second")):
                keyed = {"authorization": f"Bearer {key}"} if reply == "first" else {"x-antiphon-test": key}
                assert http.post("/rules", json={"when": {}, "reply": reply}, headers=keyed).status_code == 201
                client = OpenAI(base_url=server.base_url, api_key=key)
                assert client.responses.create(model="gpt-5", input="Hello").output_text == reply
                assert http.get("/journal", headers=keyed).json()["total"] == 1
            assert http.get("/journal").status_code == 401  # whose?
        assert (len(one.rules), len(two.rules)) == (1, 1)


def test_sessions_are_for_ports() -> None:
    assert "a fake on a port" in refusal(FakeOpenAI(), "POST", "/sessions", {}, status=404)


def test_in_an_asgi_application_it_is_there_when_asked_for() -> None:
    for control, status in ((None, 403), (True, 200)):
        fake = FakeOpenAI(control=control)
        transport = httpx2.ASGITransport(app=fake.asgi())

        async def get(transport: Any = transport) -> int:
            async with httpx2.AsyncClient(transport=transport, base_url="http://app.example") as http:
                return (await http.get("/_antiphon/journal")).status_code

        import asyncio

        assert asyncio.run(get()) == status


# The document and the page


def test_the_document_describes_every_operation() -> None:
    import jsonschema_rs

    fake = FakeOpenAI()
    document = call(fake, "GET", "/openapi.json")
    assert document["openapi"] == "3.1.0"
    described = {
        (method.upper(), path): told for path, methods in document["paths"].items() for method, told in methods.items()
    }
    assert set(described) == {(each.method, each.path) for each in OPERATIONS if each.path}
    assert len({told["operationId"] for told in described.values()}) == len(described)
    components = document["components"]
    for (_, path), told in described.items():
        assert told["summary"]
        named = {each["name"] for each in told["parameters"] if each.get("in") == "path"}
        assert named == set(re.findall(r"\{(\w+)\}", path))
        if "requestBody" in told:
            content = told["requestBody"]["content"]["application/json"]
            schema = {**content["schema"], "components": components}
            jsonschema_rs.validator_for(schema).validate(content["example"])
    references = re.findall(r'"\$ref":"#/([^"]+)"', orjson.dumps(document).decode())
    for reference in references:
        found: Any = document
        for part in reference.split("/"):
            found = found[part]


def test_every_example_of_the_document_is_taken() -> None:
    fake = FakeOpenAI()
    ask(fake, "Hello")
    for each in OPERATIONS:
        if each.example is None or each.group == "sessions":
            continue
        data = orjson.dumps(each.example)
        headers = Headers({"content-type": "application/json"})
        answer: Any = fake(Request(each.method, f"/_antiphon{each.path}", headers=headers, body=data))
        assert answer.status in (each.status, 422), (each.name, answer.body)


def test_the_page_is_whole_and_fetches_nothing_from_elsewhere() -> None:
    page = call(FakeOpenAI(), "GET", "/")
    html = page.body.decode()
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "@" not in re.sub(r"@media", "", html)  # no part was left out
    assert not re.search(r"(?:src|href)=\"(?!openapi\.json|data:,)", html)
    for each in OPERATIONS:
        if each.path and each.name != "about.page":
            assert f'data-method="{each.method}" data-path="/_antiphon{each.path}"' in html


# The command


def test_serve_says_where_it_is_and_can_leave_it_out() -> None:
    def started(*options: str) -> tuple[str, int]:
        process = subprocess.Popen(
            [sys.executable, "-m", "antiphon", "serve", "--port", "0", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            assert process.stdout is not None
            said = ""
            while "Ctrl-C" not in said:
                line = process.stdout.readline()
                assert line, said
                said += line
            url = re.search(r"on (http://\S+)", said)
            assert url is not None
            return said, httpx2.get(f"{url[1]}/_antiphon/journal").status_code
        finally:
            process.terminate()
            process.wait(20)
            process.stdout.close()  # type: ignore[union-attr]

    said, status = started()
    assert ("/_antiphon/" in said, status) == (True, 200)
    said, status = started("--no-control")
    assert ("/_antiphon/" in said, status) == (False, 403)
    said, status = started("--host", "0.0.0.0")
    assert ("/_antiphon/" in said, status) == (False, 403)


def test_a_door_is_told() -> None:
    assert repr(Door(FakeOpenAI(), None)) == "<Door of <FakeOpenAI, seed 0>>"
    assert json.loads(json.dumps(call(FakeOpenAI(), "GET", "/seed"))) == {"object": "seed", "seed": 0}
