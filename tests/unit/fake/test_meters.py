"""Numbers for Prometheus: what was asked, counted, and gauges that are set."""

from __future__ import annotations

import re
from typing import Any

import httpx2
import pytest

from antiphon import FakeOpenAI, OpenAI
from antiphon.fake.meters import SET
from antiphon.kernel.http import Headers, Request
from antiphon.server.clock import VirtualClock

SAMPLE = re.compile(r'([a-z0-9_:]+)(\{[a-z_]+="(?:[^"\\\n]|\\["\\n])*"(?:,[a-z_]+="(?:[^"\\\n]|\\["\\n])*")*\}) (\S+)')


def read(fake: FakeOpenAI) -> dict[str, float]:
    """The samples, by their names with labels; every line is looked at."""
    answer: Any = fake(Request("GET", "/_antiphon/metrics", "", Headers(), b"", "http://127.0.0.1:1"))
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    found: dict[str, float] = {}
    family = ""
    for line in answer.body.decode().splitlines():
        if line.startswith("# TYPE "):
            family = line.split()[2]
        elif not line.startswith("# HELP "):
            sample = SAMPLE.fullmatch(line)
            assert sample, line
            assert sample[1].startswith(family)
            assert sample[1] + sample[2] not in found
            found[sample[1] + sample[2]] = float(sample[3])
    return found


def test_requests_tokens_costs_faults_and_times_are_counted_once() -> None:
    fake = FakeOpenAI("echo", latency=(0.5, 0.02), clock=VirtualClock(0), prices={"m": (1.0, 2.0)})
    client = fake.client(max_retries=0)
    assert [name for name in read(fake) if "total" in name] == []
    client.responses.create(model="m", input="one two three")
    list(client.chat.completions.create(model="m", messages=[{"role": "user", "content": "one two"}], stream=True))
    client.files.create(file=b"x", purpose="user_data")
    with fake.misbehave("status=503"), pytest.raises(Exception, match="503"):
        client.responses.create(model="m", input="one")
    first = read(fake)
    assert first == read(fake)
    for operation, model, status in (
        ("responses.create", "m", 200),
        ("responses.create", "m", 503),
        ("chat.completions.create", "m", 200),
        ("files.create", "", 200),
    ):
        labels = f'{{operation="{operation}",model="{model}",status="{status}"}}'
        assert first[f"antiphon_requests_total{labels}"] == 1
    tokens = [each.tokens for each in fake.journal if each.model and each.status == 200]
    assert first['antiphon_tokens_total{model="m",direction="input"}'] == sum(each.input for each in tokens) > 0
    assert first['vllm:generation_tokens_total{model_name="m"}'] == sum(each.output for each in tokens) > 0
    cost = sum(each.input + 2 * each.output for each in tokens) / 1_000_000
    assert first['antiphon_cost_total{model="m"}'] == pytest.approx(cost)
    assert first['antiphon_faults_total{fault="ReturnStatus(503)"}'] == 1
    assert first['vllm:e2e_request_latency_seconds_count{model_name="m"}'] == 2
    assert first['vllm:time_to_first_token_seconds_count{model_name="m"}'] == 1
    assert first['antiphon_request_seconds_bucket{operation="responses.create",model="m",le="0.25"}'] == 1
    assert first['antiphon_request_seconds_bucket{operation="responses.create",model="m",le="1.0"}'] == 2
    assert first['antiphon_request_seconds_bucket{operation="responses.create",model="m",le="+Inf"}'] == 2
    fake.journal.clear()
    client.responses.create(model="m", input="one")
    assert read(fake)['antiphon_requests_total{operation="responses.create",model="m",status="200"}'] == 2
    fake.reset()
    assert [name for name in read(fake) if "total" in name] == []


def test_what_is_under_way_is_running() -> None:
    fake = FakeOpenAI("echo", latency=(0.0, 0.01), clock=VirtualClock(0))
    stream = fake.client().chat.completions.create(
        model="m", messages=[{"role": "user", "content": "one two three"}], stream=True
    )
    next(stream)
    assert read(fake)['vllm:num_requests_running{model_name="m"}'] == 1
    list(stream)
    assert read(fake)['vllm:num_requests_running{model_name="m"}'] == 0


def test_gauges_are_set_and_are_what_they_are_again() -> None:
    fake = FakeOpenAI("echo")
    with fake.start(port=0) as server, httpx2.Client(base_url=f"{server.url}/_antiphon") as control:
        OpenAI(base_url=server.base_url, api_key="any").responses.create(model="gpt-5", input="Hello")
        values: dict[str, Any] = {"vllm:num_requests_waiting": 7, "vllm:kv_cache_usage_perc": 0.5}
        told = control.put("/metrics", json={"model": 'a "b"\n', "values": values})
        assert 'vllm:num_requests_waiting{model_name="a \\"b\\"\\n"} 7\n' in told.text
        found = read(fake)
        assert found['vllm:kv_cache_usage_perc{model_name="a \\"b\\"\\n"}'] == 0.5
        assert found['vllm:num_requests_waiting{model_name="gpt-5"}'] == 0
        control.put("/metrics", json={"model": "gpt-5", "values": {"vllm:num_requests_waiting": 3}})
        assert read(fake)['vllm:num_requests_waiting{model_name="gpt-5"}'] == 3
        control.put("/metrics", json={"model": "gpt-5", "values": {"vllm:num_requests_waiting": None}})
        assert read(fake)['vllm:num_requests_waiting{model_name="gpt-5"}'] == 0
        for wrong in (
            {"model": "gpt-5", "values": {"vllm:nonsense": 1}},
            {"model": "gpt-5", "values": {"vllm:num_requests_waiting": "7"}},
            {"model": "gpt-5", "values": {"vllm:num_requests_waiting": -1}},
            {"values": {}},
        ):
            refused = control.put("/metrics", json=wrong)
            assert refused.status_code == 400, wrong
            assert refused.json()["error"]["param"]
    with pytest.raises(ValueError, match=f"there is no gauge 'x'; there are {SET[0]}"):
        fake.meters.set("gpt-5", {"x": 1})


def waiting(fake: FakeOpenAI) -> float:
    return read(fake)['vllm:num_requests_waiting{model_name="m"}']


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ({"ramp": [0, 12], "seconds": 60}, [0, 3, 6, 9, 12, 12, 12]),
        ({"ramp": [12, 0], "seconds": "1m"}, [12, 9, 6, 3, 0, 0, 0]),
        ({"saw": [0, 12], "seconds": 60}, [0, 3, 6, 9, 0, 3, 6]),
        ({"sine": [0, 12], "seconds": 60}, [0, 6, 12, 6, 0, 6, 12]),
        ({"square": [2, 8], "seconds": 60}, [2, 2, 8, 8, 2, 2, 8]),
        ({"steps": [1, 5, 3], "seconds": 15}, [1, 5, 3, 1, 5, 3, 1]),
        ({"steps": [1, 5, 3], "seconds": 15, "repeat": False}, [1, 5, 3, 3, 3, 3, 3]),
        (lambda seconds: seconds / 15, [0, 1, 2, 3, 4, 5, 6]),
    ],
)
def test_gauges_change_by_themselves_by_the_clock(value: Any, told: list[float]) -> None:
    fake = FakeOpenAI(clock=VirtualClock(1000))
    fake.meters.set("m", {"vllm:num_requests_waiting": value})
    found = []
    for _ in told:
        found.append(waiting(fake))
        assert found[-1] == waiting(fake), "it is the clock that goes on, and not who looks"
        fake.clock.advance(15)
    assert found == told
    fake.meters.set("m", {"vllm:num_requests_waiting": None})
    assert 'vllm:num_requests_waiting{model_name="m"}' not in read(fake)


def test_numbers_of_requests_are_whole_and_shares_are_not() -> None:
    fake = FakeOpenAI(clock=VirtualClock(0))
    course = {"ramp": [0, 1], "seconds": 60}
    fake.meters.set("m", {"vllm:num_requests_running": course, "vllm:kv_cache_usage_perc": course})
    fake.clock.advance(45)
    found = read(fake)
    assert found['vllm:num_requests_running{model_name="m"}'] == 1
    assert found['vllm:kv_cache_usage_perc{model_name="m"}'] == 0.75


def test_courses_are_set_over_http() -> None:
    with FakeOpenAI(clock=VirtualClock(0)).start(port=0) as server, httpx2.Client(base_url=server.url) as http:
        values = {"vllm:num_requests_waiting": {"ramp": [0, 10], "seconds": "10s"}}
        http.put("/_antiphon/metrics", json={"model": "m", "values": values}).raise_for_status()
        http.post("/_antiphon/clock/advance", json={"by": 7}).raise_for_status()
        assert 'vllm:num_requests_waiting{model_name="m"} 7\n' in http.get("/_antiphon/metrics").text
        for wrong, message in (
            ({"ramp": [0, 10]}, "seconds of a value is a number of them above 0"),
            ({"ramp": [0, 10], "seconds": 0}, "above 0"),
            ({"ramp": [0, 10], "seconds": "soon"}, "above 0"),
            ({"ramp": [0], "seconds": 1}, "ramp has two numbers"),
            ({"steps": [], "seconds": 1}, "steps has a list of numbers"),
            ({"steps": [1, -1], "seconds": 1}, "from 0 on, not -1"),
            ({"steps": [1], "seconds": 1, "repeat": 2}, "repeat of a value is true or false"),
            ({"ramp": [0, 1], "sine": [0, 1], "seconds": 1}, "it is of one kind"),
            ({"seconds": 1}, "it is of one kind"),
            ({"rampe": [0, 1], "seconds": 1}, "there is no 'rampe' in it"),
            ({"ramp": [0, 1], "seconds": 1, "repeat": True}, "there is no 'repeat' in it"),
        ):
            bad = {"vllm:num_requests_waiting": wrong, "vllm:num_requests_running": 3}
            refused = http.put("/_antiphon/metrics", json={"model": "m", "values": bad})
            assert refused.status_code == 400, wrong
            assert message.lower() in refused.json()["error"]["message"].lower()
        found = http.get("/_antiphon/metrics").text
        assert 'vllm:num_requests_running{model_name="m"} 0\n' in found, "what is refused changes nothing"
