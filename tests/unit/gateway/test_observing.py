"""What a gateway tells of itself: numbers at `/metrics`, spans, and traces that go through it."""

from __future__ import annotations

import json
import multiprocessing
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from antiphon.gateway import Gateway, GatewayConfig, ModelConfig
from antiphon.gateway.config import TensorConfig
from antiphon.gateway.metrics import FIRST, QUEUED, REQUESTS, UP, Metrics, ModelMeters
from antiphon.kernel.errors import APIStatusError
from antiphon.kernel.flow import run
from antiphon.kernel.http import Headers, Request, Response, json_response
from tests.unit.gateway.upstream import EVENTS, Upstream, said, serving

ASK: Any = {"model": "chat", "messages": [{"role": "user", "content": "hello"}]}
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def model(*urls: str, **options: Any) -> ModelConfig:
    return ModelConfig("chat", urls, convention="seldon-chat", **options)


def numbers(gateway: Any) -> dict[str, float]:
    """The samples of a page, by name and labels."""
    page = gateway(Request("GET", "/metrics"))
    assert page.headers["content-type"].startswith("text/plain; version=0.0.4")
    return parsed(page.text)


def parsed(text: str) -> dict[str, float]:
    found: dict[str, float] = {}
    known: set[str] = set()
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            known.add(line.split()[2])
        elif not line.startswith("#"):
            name, _, value = line.rpartition(" ")
            assert name not in found
            base = re.sub(r"(_bucket|_sum|_count)?(\{.*)?$", "", name)
            assert base in known, line
            found[name] = float(value)
    return found


def test_requests_are_counted_whatever_becomes_of_them() -> None:
    upstream = Upstream()
    with serving(upstream) as (running,):
        gateway = Gateway(models={"chat": model(running.url, price={"input": 2_000_000, "output": 1_000_000})})
        client = gateway.client(max_retries=0)
        client.chat.completions.create(**ASK)
        upstream.pause = 0.03
        for _ in client.chat.completions.create(**ASK, stream=True):
            pass
        upstream.pause = 0.0
        upstream.answer = lambda request: json_response(500, {"error": "crashed"})
        with pytest.raises(APIStatusError):
            client.chat.completions.create(**ASK)
        with pytest.raises(APIStatusError):
            client.chat.completions.create(**{**ASK, "model": "nobody"})
        upstream.answer = None
        stream = client.chat.completions.create(**ASK, stream=True)
        next(iter(stream))
        stream.close()
        client.models.list()
        found = numbers(gateway)
        operation = 'operation="chat.completions.create"'
        assert found[f'antiphon_requests_total{{model="chat",{operation},status="200"}}'] == 2
        assert found[f'antiphon_requests_total{{model="chat",{operation},status="502"}}'] == 1
        assert found[f'antiphon_requests_total{{model="chat",{operation},status="499"}}'] == 1
        assert found[f'antiphon_requests_total{{model="",{operation},status="404"}}'] == 1
        assert found['antiphon_requests_total{model="",operation="models.list",status="200"}'] == 1
        assert found[f'antiphon_request_seconds_count{{model="chat",{operation}}}'] == 4
        assert found["antiphon_requests_under_way"] == 0
        assert found['antiphon_first_token_seconds_count{model="chat"}'] == 2
        assert found['antiphon_between_tokens_seconds_count{model="chat"}'] >= 1
        read = found['antiphon_tokens_total{model="chat",direction="input"}']
        written = found['antiphon_tokens_total{model="chat",direction="output"}']
        assert read > 0
        assert written > 0
        assert found['antiphon_cost_total{model="chat"}'] == pytest.approx(2 * read + written)
        assert found['antiphon_upstream_errors_total{model="chat",kind="upstream_error"}'] == 1
        assert found[f'antiphon_upstream_in_flight{{model="chat",server="{running.url}"}}'] == 0
        assert found[f'antiphon_upstream_up{{model="chat",server="{running.url}"}}'] == 1
    with pytest.raises(APIStatusError):
        client.chat.completions.create(**ASK)
    assert numbers(gateway)[f'antiphon_upstream_up{{model="chat",server="{running.url}"}}'] == 0


@pytest.mark.parametrize("n", [1, 2])
def test_tokens_that_no_model_counts_are_those_of_the_answer(n: int) -> None:
    with serving(Upstream()) as (running,):
        gateway = Gateway(models={"chat": model(running.url)})
        client = gateway.client(max_retries=0)

        def counted() -> tuple[float, float]:
            found = numbers(gateway)
            name = 'antiphon_tokens_total{model="chat",direction='
            return found.get(f'{name}"input"}}', 0), found.get(f'{name}"output"}}', 0)

        usage = client.chat.completions.create(**ASK, n=n).usage
        assert usage is not None
        each = (usage.prompt_tokens, usage.completion_tokens)
        assert min(each) > 0
        assert counted() == each
        for _ in client.chat.completions.create(**ASK, n=n, stream=True):
            pass
        assert counted() == (2 * each[0], 2 * each[1])
        for _ in client.chat.completions.create(**ASK, n=n, stream=True, stream_options={"include_usage": True}):
            pass
        assert counted() == (3 * each[0], 3 * each[1])
        with client.chat.completions.create(**ASK, stream=True) as stream:
            next(iter(stream))
        read, written = counted()
        assert read == 4 * each[0]
        assert 3 * each[1] < written <= 3 * each[1] + each[1] / n


def test_servers_that_are_out_and_models_that_stand_in_are_told() -> None:
    upstream = Upstream()
    with serving(upstream) as (running,), serving(Upstream()) as (gone,):
        gone.stop(0.0)
        config = {
            "chat": model(gone.url, running.url, fallbacks=("spare",)),
            "spare": ModelConfig("spare", (running.url,), convention="seldon-chat"),
        }
        gateway = Gateway(models=config)
        client = gateway.client(max_retries=0)
        client.chat.completions.create(**ASK)
        upstream.answer = lambda request: json_response(
            *((500, {"error": "x"}) if "/chat/" in request.path else (200, said("spare")))
        )
        assert client.chat.completions.create(**ASK).choices[0].message.content == "spare"
        found = numbers(gateway)
        assert found[f'antiphon_upstream_up{{model="chat",server="{gone.url}"}}'] == 0
        assert found[f'antiphon_upstream_ejections_total{{model="chat",server="{gone.url}"}}'] == 1
        assert found['antiphon_upstream_errors_total{model="chat",kind="upstream_unreachable"}'] == 1
        assert found['antiphon_fallbacks_total{model="chat",to="spare"}'] == 1


def test_what_is_passed_on_is_counted_too() -> None:
    chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": []}
    usage = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}

    def answer(request: Request) -> Response:
        if b'"stream":true' not in request.content():
            return json_response(200, {**chunk, "object": "chat.completion", "usage": usage})
        events = [{**chunk, "usage": None}, {**chunk, "usage": usage}]
        return Response(
            200, EVENTS, iter([*(b"data: " + json.dumps(e).encode() + b"\n\n" for e in events), b"data: [DONE]\n\n"])
        )

    upstream = Upstream()
    upstream.answer = answer
    with serving(upstream) as (running,):
        gateway = Gateway(models={"chat": ModelConfig("chat", (f"{running.url}/v1",), "openai")})
        client = gateway.client(max_retries=0)
        client.chat.completions.create(**ASK)
        list(client.chat.completions.create(**ASK, stream=True))
        found = numbers(gateway)
        assert found['antiphon_requests_total{model="chat",operation="chat.completions.create",status="200"}'] == 2
        assert found['antiphon_tokens_total{model="chat",direction="input"}'] == 6
        assert found['antiphon_tokens_total{model="chat",direction="output"}'] == 8
        assert found['antiphon_first_token_seconds_count{model="chat"}'] == 1


def test_without_metrics_there_is_no_page_and_no_counting() -> None:
    gateway = Gateway(GatewayConfig(metrics=False), models={"chat": model("http://nobody.test")})
    assert gateway.observer is None
    page: Any = gateway(Request("GET", "/metrics"))
    assert page.status == 404


def test_labels_and_buckets_as_prometheus_reads_them() -> None:
    metrics = Metrics()
    metrics.counter(REQUESTS, 'a"b\\c\nd', "chat", "200").add(3)
    meters = ModelMeters(metrics, "m")
    for seconds in (0.001, 0.2, 1000.0):
        meters.first(seconds)
    text = metrics.text().decode()
    assert r'antiphon_requests_total{model="a\"b\\c\nd",operation="chat",status="200"} 3' in text
    found = parsed(text)
    assert found['antiphon_first_token_seconds_bucket{model="m",le="0.0025"}'] == 1
    assert found['antiphon_first_token_seconds_bucket{model="m",le="0.25"}'] == 2
    assert found['antiphon_first_token_seconds_bucket{model="m",le="+Inf"}'] == 3
    assert found['antiphon_first_token_seconds_sum{model="m"}'] == pytest.approx(1000.201)


def _work(directory: str, number: int) -> None:
    metrics = Metrics(directory)
    metrics.counter(REQUESTS, "m", "chat", "200").add(number)
    metrics.counter(QUEUED, "m").set(number)
    metrics.counter(UP, "m", "s").set(0)
    metrics.histogram(FIRST, "m").observe(0.2)


def test_processes_beside_each_other_are_added_up(tmp_path: Path) -> None:
    mine = Metrics(tmp_path)
    mine.counter(REQUESTS, "m", "chat", "200").add(1)
    mine.counter(QUEUED, "m").set(5)
    mine.counter(UP, "m", "s").set(1)
    context = multiprocessing.get_context("spawn")
    for number in (10, 20):
        process = context.Process(target=_work, args=(str(tmp_path), number))
        process.start()
        process.join()
        assert process.exitcode == 0
    found = parsed(mine.text().decode())
    assert found['antiphon_requests_total{model="m",operation="chat",status="200"}'] == 31
    assert found['antiphon_first_token_seconds_count{model="m"}'] == 2
    # How things are now is told by those who live.
    assert found['antiphon_queue_requests{model="m"}'] == 5
    assert found['antiphon_upstream_up{model="m",server="s"}'] == 1
    mine.close()


def test_more_labels_than_there_is_room_for_do_no_harm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("antiphon.gateway.metrics._CELLS", 64)
    for metrics in (Metrics(tmp_path), Metrics()):
        for number in range(100):
            metrics.counter(REQUESTS, f"m{number}", "chat", "200").add()
        found = parsed(metrics.text().decode())
        assert found['antiphon_requests_total{model="m0",operation="chat",status="200"}'] == 1
        assert len([name for name in found if name.startswith("antiphon_requests_total")]) >= 32


# Traces


@pytest.mark.parametrize("traces", [False, True])
def test_a_trace_goes_through_to_the_server(traces: bool, spans: Any) -> None:
    upstream, other = Upstream(), Upstream()
    other.answer = lambda request: json_response(
        200, {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": []}
    )
    with serving(upstream, other) as (running, passing):
        models = {
            "chat": model(running.url, forward_headers=("X-Tenant",)),
            "other": ModelConfig("other", (passing.url,), "openai"),
        }
        client = Gateway(GatewayConfig(traces=traces), models=models).client(max_retries=0)
        headers = {"traceparent": PARENT, "tracestate": "a=1", "x-tenant": "t", "x-other": "o"}
        client.chat.completions.create(**ASK, extra_headers=headers)
        client.chat.completions.create(**{**ASK, "model": "other"}, extra_headers=headers)
        client.chat.completions.create(**ASK)
    sent = upstream.asked[0].headers
    assert sent["traceparent"].split("-")[1] == PARENT.split("-")[1]
    assert (sent["traceparent"] == PARENT) is not traces
    assert sent["tracestate"] == "a=1"
    assert sent["x-tenant"] == "t"
    assert "x-other" not in sent
    assert "authorization" not in sent
    assert other.asked[0].headers["traceparent"].split("-")[1] == PARENT.split("-")[1]
    assert ("traceparent" in upstream.asked[1].headers) is traces
    if traces:
        assert sent["traceparent"].split("-")[2] == f"{spans()[0].context.span_id:016x}"


@pytest.fixture
def spans() -> Iterator[Any]:
    """The spans that have ended, by the SDK of OpenTelemetry."""
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    provider = trace.get_tracer_provider()
    if not isinstance(provider, TracerProvider):
        provider = TracerProvider(shutdown_on_exit=False)
        trace.set_tracer_provider(provider)
    exporter = InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    yield exporter.get_finished_spans
    exporter.shutdown()


def test_spans_speak_the_conventions_of_generative_ai(spans: Any) -> None:
    upstream = Upstream()
    with serving(upstream) as (running,):
        gateway = Gateway(GatewayConfig(traces=True), models={"chat": model(running.url)})
        client = gateway.client(max_retries=0)
        client.chat.completions.create(
            **ASK, temperature=0.5, max_tokens=7, stop=["x"], extra_headers={"traceparent": PARENT}
        )
        for _ in client.chat.completions.create(**ASK, stream=True):
            pass
        upstream.answer = lambda request: json_response(500, {"error": "crashed"})
        with pytest.raises(APIStatusError):
            client.chat.completions.create(**ASK)
        upstream.answer = None
        stream = client.chat.completions.create(**ASK, stream=True)
        next(iter(stream))
        stream.close()
        host, port = "127.0.0.1", running.port
    whole, streamed, failed, left = spans()
    assert whole.name == "chat chat"
    assert whole.kind.name == "CLIENT"
    assert f"{whole.parent.span_id:016x}" == PARENT.split("-")[2]
    assert dict(whole.attributes) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "oip",
        "gen_ai.request.model": "chat",
        "gen_ai.output.type": "text",
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.max_tokens": 7,
        "gen_ai.request.stop_sequences": ("x",),
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.input_tokens": 8,
        "gen_ai.usage.output_tokens": 3,
        "server.address": host,
        "server.port": port,
    }
    assert streamed.parent is None
    assert [event.name for event in streamed.events] == ["gen_ai.first_token"]
    assert failed.attributes["error.type"] == "upstream_error"
    assert failed.status.status_code.name == "ERROR"
    assert left.attributes["error.type"] == "cancelled"


def test_a_stream_that_has_said_that_it_ends_is_not_cancelled(spans: Any) -> None:
    upstream = Upstream()
    answer = said("hello")
    answer["outputs"].append({"name": "reason", "shape": [1], "datatype": "BYTES", "data": ["length"]})
    upstream.answer = lambda request: json_response(200, answer)
    with serving(upstream) as (running,):
        custom = ModelConfig(
            "chat",
            (running.url,),
            convention="custom",
            inputs=(TensorConfig("content", path="$text"),),
            outputs=(TensorConfig("content", path="text"), TensorConfig("reason", path="finish_reason")),
            stream="infer",
        )
        client = Gateway(GatewayConfig(traces=True), models={"chat": custom}).client(max_retries=0)
        assert [each.choices[0].finish_reason for each in client.chat.completions.create(**ASK, stream=True)][-1]
    (span,) = spans()
    assert span.attributes["gen_ai.response.finish_reasons"] == ("length",)
    assert "error.type" not in span.attributes


@pytest.mark.parametrize("backend", ["oip", "openai"])
def test_who_leaves_before_anything_is_read_is_counted(backend: str) -> None:
    upstream = Upstream()
    upstream.pause = 0.02
    with serving(upstream) as (running,):
        options: Any = {"convention": "seldon-chat"} if backend == "oip" else {"backend": "openai"}
        gateway = Gateway(models={"chat": ModelConfig("chat", (running.url,), **options)})
        if backend == "openai":
            upstream.answer = lambda request: Response(200, EVENTS, iter([b"data: {}\n\n"]))
        body = json.dumps({**ASK, "stream": True}).encode()
        request = Request("POST", "/v1/chat/completions", "", Headers({"authorization": "Bearer x"}), body)
        answer: Any = gateway(request)
        answer.close()  # nobody asked anything yet
        answer = run(cast("Any", gateway(request)), gateway.world)
        assert answer.status == 200
        answer.close()  # the answer is there, and nobody has read of it
        del answer
        found = numbers(gateway)
        assert found["antiphon_requests_under_way"] == 0
        counted = {name: number for name, number in found.items() if name.startswith("antiphon_requests_total")}
        assert sum(counted.values()) == 2
        assert all('status="499"' in name for name in counted)
        server = f'{{model="chat",server="{running.url}"}}'
        assert found[f"antiphon_upstream_in_flight{server}"] == 0
