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
