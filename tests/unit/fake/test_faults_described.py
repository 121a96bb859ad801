"""Faults told as JSON, in a line, in a header, on the command line's behalf and over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import Any, cast

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

import antiphon
from antiphon import FakeOpenAI
from antiphon.fake.faults import Fault, ReturnStatus, Truncate, fault_of, once
from antiphon.fake.faults.described import BEHAVIOURS
from antiphon.fake.faults.schema import schema
from antiphon.server.clock import VirtualClock

LINES = [
    ("status=503", "ReturnStatus(503)"),
    ("status", "ReturnStatus(500)"),
    ("status=503; once", "ReturnStatus(503), when once()"),
    (
        "status=429, retry_after=2, code=slow; percentage=20, seed=7; model=gpt-4o*",
        "ReturnStatus(429, code='slow', retry_after=2.0), when percentage(20.0, seed=7) & matching(model='gpt-4o*')",
    ),
    ("Status=503".lower() + " ; ; once ;", "ReturnStatus(503), when once()"),
    ("status=503; until=2; then truncate=3", "ReturnStatus(503), when until(2); then Truncate(3)"),
    ("status=503; once; then status=429; once; repeat",
     "again and again: ReturnStatus(503), when once(); then ReturnStatus(429), when once()"),
    ("latency=500ms; until=1m", "Delay(0.5), when until('1m')"),
    ("latency=1, most=3", "Delay(1.0, most=3.0)"),
    ("truncate, after_bytes=100", "Truncate(after_bytes=100)"),
    ("reset=after, events=2; nth=2 5", "ResetConnection('after', events=2), when nth(2, 5)"),
    ("latency=1; status=503", "Delay(1.0) & ReturnStatus(503)"),
    ("refusal='No, not; that'", "Decline('No, not; that')"),
    ('status=500, message="a=b, c"', "ReturnStatus(500, message='a=b, c')"),
    ("status; not once; not model=gpt-5", "ReturnStatus(500), when ~once() & ~matching(model='gpt-5')"),
    ("status; text=/^He/, turn=2, stream=yes",
     "ReturnStatus(500), when matching(text=re.compile('^He'), turn=2, stream=True)"),
    ("status; text==Hello, tool_result=false",
     "ReturnStatus(500), when matching(text=exactly('Hello'), tool_result=False)"),
    ("slow-first-token=2", "SlowFirstToken(2.0)"),
    ("rate_limit=20, limit=tokens; attempt=1", "RateLimit(20.0, limit='tokens'), when attempt(1)"),
    ("status; between=22:00, end=06:00", "ReturnStatus(500), when between('22:00', end='06:00')"),
    ("content_type=text/plain, body=Hello", "WrongContentType('text/plain', body='Hello')"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "told"), LINES)
def test_a_line_tells_a_fault(line: str, told: str) -> None:
    fault = fault_of(line)
    assert str(fault) == told
    assert fault_of(fault.to_dict()) == fault


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("", "a fault is a text such as 'status=503; once', not ''"),
        (";", "a fault is a text such as 'status=503; once'"),
        ("once", "'once' has no behaviour in it"),
        ("stauts=503", "there is no 'stauts' in a fault; did you mean 'status'?"),
        ("status=abc", "status: status is a whole number, from 200 to 599, not 'abc'"),
        ("status=503, retry=2", "status has no setting 'retry'; it has status, message, code"),
        ("status=503, code", "'code' has no value: a setting is told as name=value"),
        ("status; once=3", "once takes no value, and '3' was given"),
        ("status; model", "'model' has no value: a condition is told as name=value"),
        ("status; text=/(/", "'(' is no pattern"),
        ("status; text=a, modle=b", "there is no condition 'modle'; did you mean 'model'?"),
        ("status; percentage=many", "percentage: percent is a number, from 0 to 100, not 'many'"),
        ("status, message='open", "a quote is not closed"),
        ("refusal='open", "a quote is not closed in \"refusal='open\""),
        ("latency=soon", "latency: seconds is a number of seconds from 0 to 86400, not 'soon'"),
        ("nth; status", "nth needs 'n'"),
        ("kill", "a fake may share its process with the tests, so it does not kill it"),
        (5, "a fault is an object with a type, a list of them, or a text, not 5"),
        ([], "a list of faults, one after the other, is empty"),
        ({}, "a fault has a type. There are latency, status"),
        ({"type": []}, "a type is a text, not []"),
        ({"type": "status", "when": {"type": {}}}, "a type is a text, not {}"),
        ({"type": "stat"}, "there is no fault 'stat'; did you mean 'status'? There are latency, status"),
        ({"type": "status", "status": "503"}, "status: status is a whole number, from 200 to 599, not '503'"),
        ({"type": "status", "foo": 1}, "status has no setting 'foo'; it has status, message"),
        ({"type": "status", "when": {"type": "sometimes"}}, "there is no trigger 'sometimes'"),
        ({"type": "status", "when": 5}, "a trigger is an object with a type, a list of them, or a text, not 5"),
        ({"type": "status", "when": {"modle": "x"}}, "modle"),
        ({"type": "status", "when": {"text": {"matches": "("}}}, "no regular expression"),
        ({"type": "status", "when": {"type": "all", "triggers": []}}, "triggers are a list of objects"),
        ({"type": "status", "when": {"type": "not"}}, "the trigger of 'not' is missing"),
        ({"type": "several", "behaviours": {}}, "behaviours are a list of objects"),
        ({"type": "repeat"}, "stages are a list of faults, not None"),
        ({"type": "trigger", "trigger": {"type": "always"}}, "a behaviour is an object with a type, not None"),
        ({"type": "latency", "min": "PT1S", "low": 1}, "latency has no setting 'low'; it has min and max"),
        ({"type": "latency", "min": []}, "a duration is a text such as 'PT0.5S' or '500ms', not []"),
        ({"type": "status", "when": {"type": "countdown"}}, "count is missing"),
    ],
)  # fmt: skip
def test_what_tells_no_fault_is_refused(given: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError)) as caught:
        fault_of(given)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (
            {
                "type": "trigger",
                "behaviour": {"type": "status", "status": 418},
                "trigger": {"type": "always"},
                "until": {"type": "countdown", "count": "1"},
            },
            "ReturnStatus(418), until after(1)",
        ),
        (
            [
                {"type": "wait", "until": {"type": "delay", "period": "PT1M0.5S"}},
                {
                    "type": "trigger",
                    "behaviour": {"type": "latency", "min": "PT0.1S", "max": "PT0.3S"},
                    "trigger": {"type": "request", "method": "get", "path": ".*bob", "queries": {"q": ".*"}},
                },
            ],
            (
                "Nothing(), until after('60.5s'); then Delay(0.1, most=0.3), "
                "when addressed('get', path='.*bob', queries={'q': '.*'})"
            ),
        ),
        (
            {
                "type": "repeat",
                "stages": [
                    {
                        "type": "trigger",
                        "behaviour": {"type": "throw", "message": "Oh"},
                        "trigger": {"type": "once", "trigger": {"type": "percentage", "percentage": 30}},
                    },
                ],
            },
            "again and again: ReturnStatus(500, message='Oh'), when percentage(30) & once()",
        ),
        ({"type": "body", "when": {"type": "deadline", "endTime": "2027-01-01T00:00:00Z"}},
         "EmptyBody(), when after('2027-01-01T00:00:00Z')"),
        ({"type": "snip"}, "Truncate()"),
        ({"type": "sniprequest"}, "SnipRequest()"),
        ({"type": "block"}, "Delay(86400.0)"),
        ({"type": "none"}, "Nothing()"),
    ],
)  # fmt: skip
def test_the_json_of_http4k_is_read(given: Any, told: str) -> None:
    assert str(fault_of(given)) == told


def test_everything_has_its_name_and_its_page_in_the_schema() -> None:
    told = schema()["$defs"]["behaviour"]["oneOf"]
    by_name = {each["properties"]["type"]["const"]: each for each in told}
    for name, kind in BEHAVIOURS.items():
        each = by_name[name]
        assert each["properties"].keys() == {"type", *(field.name for field in fields(cast("Any", kind)))}
        assert each["description"]


@given(st.sampled_from(sorted(BEHAVIOURS)), st.lists(st.sampled_from(sorted(BEHAVIOURS)), max_size=2))
def test_faults_can_be_told_as_json(name: str, others: list[str]) -> None:
    fault = fault_of("; ".join([name, *others]))
    assert fault_of(fault.to_dict()) == fault
    longer = fault.until(3).then(Truncate(after=1).when(once())).repeated()
    assert fault_of(longer.to_dict()) == longer
    assert isinstance(longer, Fault)


@given(st.text())
def test_any_line_is_a_fault_or_an_error(line: str) -> None:
    refused = ""
    try:
        fault_of(line)
    except ValueError as error:
        refused = str(error)
    assert refused or line.strip()


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["type", "when", "stages", "status", "until", "trigger", "n", "x"]), inner)
    ),
)


@given(st.sampled_from(["status", "trigger", "repeat", "several", "latency", "wait", "matching", "truncate"]), json)
def test_any_json_is_a_fault_or_an_error(kind: str, value: Any) -> None:
    for given_value in (value, {"type": kind, "when": value}, {"type": kind, "stages": value, "until": value}):
        try:
            made = fault_of(given_value)
        except (TypeError, ValueError) as error:
            assert "unhashable" not in str(error)  # noqa: PT017
            assert "object is not" not in str(error)  # noqa: PT017
        else:
            assert str(made)


# In a header


def answers(fake: FakeOpenAI, line: str, times: int = 3, **options: Any) -> list[int | None]:
    client = fake.client(max_retries=0)
    before = len(fake.journal)
    for _ in range(times):
        try:
            client.responses.create(
                model="gpt-5", input="Hi", extra_headers={"x-antiphon-fault": line}, **options
            ).to_dict()
        except antiphon.APIError:
            continue
    return [each.status for each in fake.journal[before:]]


def test_a_header_is_looked_at_where_it_may_ask() -> None:
    assert answers(FakeOpenAI("echo"), "status=503") == [200] * 3
    fake = FakeOpenAI("echo", fault_header=True)
    assert answers(fake, "status=503") == [503] * 3
    assert answers(fake, "status=429; once") == [429, 200, 200]
    assert answers(fake, "status=429; once") == [200] * 3  # it counts over all requests that carry the same
    fake.behave()
    assert answers(fake, "status=429; once", 2) == [429, 200]
    assert answers(fake, "refuse") == [None] * 3
    fake.misbehave(ReturnStatus(500), when=once())
    assert answers(fake, "latency=0") == [500, 200, 200]
    assert str(fake.journal[-1].fault) == "Delay(0.0)"
    assert client_says(fake) == 200


def client_says(fake: FakeOpenAI) -> int | None:
    fake.client().models.list()
    return fake.journal[-1].status


def test_a_header_that_tells_no_fault_is_refused() -> None:
    fake = FakeOpenAI("echo", fault_header=True)
    with pytest.raises(antiphon.BadRequestError, match="did you mean 'status'") as caught:
        fake.client().models.list(extra_headers={"x-antiphon-fault": "stauts=503"})
    assert (caught.value.param, caught.value.code) == ("x-antiphon-fault", "invalid_fault")


def test_a_client_that_tries_again_carries_the_same_header() -> None:
    fake = FakeOpenAI("echo", clock=VirtualClock(), fault_header=True)
    client = fake.client(default_headers={"x-antiphon-fault": "status=503; until=2"})
    assert client.responses.create(model="gpt-5", input="Hi").output_text == "Hi"
    assert [each.status for each in fake.journal] == [503, 503, 200]


# Over HTTP, as http4k has it


@pytest.fixture(params=["in process", "on a port"])
def chaos(request: pytest.FixtureRequest) -> Iterator[tuple[FakeOpenAI, httpx2.Client]]:
    fake = FakeOpenAI("echo")
    if request.param == "in process":
        with httpx2.Client(transport=fake.official_transport(), base_url="http://fake.test") as client:
            yield fake, client
        return
    with fake.start(port=0) as server, httpx2.Client(base_url=server.url) as client:
        yield fake, client


NONE = {"chaos": "none"}
KEY = {"authorization": "Bearer x"}


def test_chaos_over_http(chaos: tuple[FakeOpenAI, httpx2.Client]) -> None:
    fake, client = chaos

    def models() -> int:
        return client.get("/v1/models", headers=KEY).status_code

    assert client.get("/chaos/status").json() == NONE
    assert models() == 200
    assert client.post("/chaos/activate").json() == {"chaos": "ReturnStatus(500)"}
    assert (models(), client.get("/v1/models").status_code) == (500, 500)
    assert client.get("/chaos/status").json() == {"chaos": "ReturnStatus(500)"}
    assert client.post("/chaos/deactivate").json() == NONE
    assert models() == 200
    teapot = [
        {"type": "trigger", "trigger": {"type": "always"}, "behaviour": {"type": "status", "status": 418}},
    ]
    assert client.post("/chaos/activate/new", json=teapot).json() == {"chaos": "ReturnStatus(418)"}
    assert models() == 418
    assert client.post("/chaos/toggle").json() == NONE
    assert client.post("/chaos/toggle").json() == {"chaos": "ReturnStatus(418)"}
    assert client.post("/chaos/activate/new", json="refuse").json() == {"chaos": "RefuseConnection()"}
    with pytest.raises(httpx2.TransportError):
        models()
    assert client.post("/chaos/deactivate").json() == NONE  # never hit by itself
    assert models() == 200
    assert client.post("/chaos/activate").json() == {"chaos": "RefuseConnection()"}  # what was set last
    fake.behave()
    assert client.get("/chaos/status").json() == NONE
    assert {each.path for each in fake.journal} == {"/v1/models"}


def test_chaos_says_what_it_is(chaos: tuple[FakeOpenAI, httpx2.Client]) -> None:
    _, client = chaos
    page = client.get("/chaos").json()
    assert page["openapi"].startswith("3.")
    assert {"/chaos/status", "/chaos/activate", "/chaos/activate/new", "/chaos/deactivate", "/chaos/toggle"} == set(
        page["paths"]
    )
    assert "fault" in page["components"]["schemas"]
    assert client.options("/chaos/activate").headers["access-control-allow-methods"] == "POST, OPTIONS"
    assert client.get("/chaos/status").headers["access-control-allow-origin"] == "*"


def test_what_chaos_does_not_know_it_refuses(chaos: tuple[FakeOpenAI, httpx2.Client]) -> None:
    _, client = chaos
    for request, status, said in (
        (("POST", "/chaos/foo", b""), 404, "There are GET /chaos, GET /chaos/status"),
        (("GET", "/chaos/activate", b""), 404, "Invalid URL (GET /chaos/activate)"),
        (("POST", "/chaos/activate/new", b"{"), 400, "The body is not JSON"),
        (("POST", "/chaos/activate/new", b'{"type": "stat"}'), 400, "did you mean 'status'?"),
        (("POST", "/chaos/activate/new", b'{"type": "kill"}'), 400, "does not kill it"),
    ):
        answer = client.request(request[0], request[1], content=request[2])
        assert answer.status_code == status
        assert said in answer.json()["error"]["message"]
    assert client.get("/chaosx", headers=KEY).status_code == 404
    assert client.get("/chaos/status").json() == NONE


def test_chaos_is_for_whom_the_control_api_is_for() -> None:
    for control, host, status in (
        (None, "http://fake.test", 200),
        (None, "http://127.0.0.1:1234", 200),
        (None, "http://evil.example", 403),
        (True, "http://evil.example", 200),
        (False, "http://fake.test", 403),
    ):
        fake = FakeOpenAI("echo", control=control)
        with httpx2.Client(transport=fake.official_transport(), base_url=host) as client:
            assert client.get("/chaos/status").status_code == status
