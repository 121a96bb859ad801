"""Spans of what a fake is asked, by the SDK of OpenTelemetry."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import httpx2
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from antiphon import APIError, FakeOpenAI, OpenAI
from antiphon.fake import Latency
from antiphon.server.clock import VirtualClock

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
ASK: Any = {"model": "gpt-5", "messages": [{"role": "user", "content": "a secret of mine"}]}


class Traced:
    """A fake, and the spans of it that have ended."""

    def __init__(self, engine: Any = "echo", **options: Any) -> None:
        self._exporter = InMemorySpanExporter()
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.fake = FakeOpenAI(engine, traces=provider, **options)
        self.client: Any = self.fake.client(max_retries=0)

    def spans(self) -> list[Any]:
        found = list(self._exporter.get_finished_spans())
        self._exporter.clear()
        return found

    def span(self) -> Any:
        (found,) = self.spans()
        return found


def test_a_question_is_a_span_with_its_model_tokens_and_reasons() -> None:
    traced = Traced()
    answer = traced.client.chat.completions.create(
        **ASK, temperature=0.5, max_completion_tokens=20, stop=["x"], n=2, seed=3
    )
    span = traced.span()
    assert (span.name, span.kind, span.parent) == ("chat gpt-5", SpanKind.SERVER, None)
    told = dict(span.attributes)
    assert told == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-5",
        "gen_ai.output.type": "text",
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.max_tokens": 20,
        "gen_ai.request.stop_sequences": ("x",),
        "gen_ai.request.choice.count": 2,
        "gen_ai.request.seed": 3,
        "gen_ai.response.id": answer.id,
        "gen_ai.response.model": "gpt-5",
        "gen_ai.response.finish_reasons": ("stop", "stop"),
        "gen_ai.usage.input_tokens": answer.usage.prompt_tokens,
        "gen_ai.usage.output_tokens": answer.usage.completion_tokens,
        "http.request.method": "POST",
        "http.response.status_code": 200,
        "url.path": "/v1/chat/completions",
        "server.address": "fake.test",
        "antiphon.operation": "chat.completions.create",
        "antiphon.answered_by": "Echo()",
    }
    assert span.status.status_code is StatusCode.UNSET
    assert "secret" not in span.to_json()


TOOL: Any = {"type": "function", "name": "look", "parameters": {"type": "object", "properties": {}}}


@pytest.mark.parametrize("stream", [False, True])
def test_responses_tell_why_they_end(stream: bool) -> None:
    traced = Traced(None)
    traced.fake.when(text="call").call_tool("look")

    def ask(asked: str, **options: Any) -> Any:
        answer = traced.client.responses.create(**{"model": "gpt-5", "input": asked, "stream": stream, **options})
        if stream:
            list(answer)
        return traced.span()

    assert ask("hello").attributes["gen_ai.response.finish_reasons"] == ("stop",)
    cut = ask("hello", max_output_tokens=16)
    assert cut.attributes["gen_ai.response.finish_reasons"] == ("length",)
    assert cut.attributes["gen_ai.usage.output_tokens"] == 16
    assert cut.attributes["gen_ai.response.id"].startswith("resp_")
    assert [event.name for event in cut.events] == ["gen_ai.first_token"] * stream
    called = ask("call it", tools=[TOOL])
    assert called.attributes["gen_ai.response.finish_reasons"] == ("tool_calls",)
    assert called.attributes["antiphon.answered_by"].startswith("rule 1")
    data = ask("hello", text={"format": {"type": "json_object"}}, instructions="JSON")
    assert data.attributes["gen_ai.output.type"] == "json"


def test_streams_of_chunks_are_over_with_their_last() -> None:
    traced = Traced("echo", latency=Latency(first=0.5, each=0.25), clock=VirtualClock(1000))
    stream = traced.client.chat.completions.create(**ASK, stream=True)
    next(iter(stream))
    assert traced.spans() == []
    list(stream)
    span = traced.span()
    assert span.attributes["gen_ai.response.finish_reasons"] == ("stop",)
    assert span.attributes["gen_ai.usage.output_tokens"] == traced.fake.journal[-1].tokens.output > 0
    assert (span.start_time, span.end_time) == (1000_000_000_000, 1001_250_000_000), "by the clock of the fake"
    assert span.start_time <= span.events[0].timestamp <= span.end_time


def test_other_things_that_models_do_and_what_no_model_does() -> None:
    traced = Traced()
    traced.client.embeddings.create(model="e", input="x")
    traced.client.completions.create(model="c", prompt="x")
    traced.client.images.generate(model="i", prompt="x", size="256x256")
    traced.client.audio.speech.create(model="s", input="x", voice="alloy").read()
    traced.client.moderations.create(input="x")
    traced.client.files.list()
    names = [span.name for span in traced.spans()]
    assert names == ["embeddings e", "text_completion c", "generate_content i", "speech s", "moderations", "files.list"]


def test_a_trace_goes_on_in_the_fake_and_beyond_it() -> None:
    seen: list[Any] = []

    def answer(request: Any) -> str:
        seen.append(request.headers["traceparent"])
        return "x"

    traced = Traced(answer)
    traced.client.chat.completions.create(**ASK, extra_headers={"traceparent": PARENT, "tracestate": "a=1"})
    span = traced.span()
    assert f"{span.parent.span_id:016x}" == PARENT.split("-")[2]
    assert f"{span.context.trace_id:032x}" == PARENT.split("-")[1]
    assert span.context.trace_state.get("a") == "1"
    assert seen == [f"00-{span.context.trace_id:032x}-{span.context.span_id:016x}-01"]
    traced.client.chat.completions.create(**ASK)
    assert traced.span().context.trace_id != span.context.trace_id


def test_what_went_wrong_is_said() -> None:
    traced = Traced()
    create = traced.client.chat.completions.create
    with pytest.raises(APIError):
        create(model="gpt-5", messages=[])
    span = traced.span()
    assert (span.attributes["error.type"], span.status.status_code) == ("empty_array", StatusCode.ERROR)
    assert "messages" in span.status.description
    with traced.fake.misbehave("status=503"), pytest.raises(APIError):
        create(**ASK)
    span = traced.span()
    assert span.attributes["http.response.status_code"] == 503
    assert span.attributes["antiphon.fault"] == "ReturnStatus(503)"
    assert span.status.status_code is StatusCode.ERROR
    with traced.fake.misbehave({"type": "refuse"}), pytest.raises(APIError):
        create(**ASK)
    span = traced.span()
    assert span.attributes["error.type"] == "severed"
    assert "http.response.status_code" not in span.attributes


def test_who_leaves_is_no_error_of_the_models() -> None:
    traced = Traced(latency=(0, 0.1), clock=VirtualClock())
    stream = traced.client.chat.completions.create(
        model="gpt-5", messages=[{"role": "user", "content": "one two three four"}], stream=True
    )
    next(iter(stream))
    stream.close()
    span = traced.span()
    assert span.attributes["error.type"] == "cancelled"
    assert span.status.status_code is StatusCode.UNSET


def test_an_error_within_a_stream_is_in_its_span() -> None:
    def breaks(request: Any) -> Iterator[str]:
        yield "one "
        raise RuntimeError("broken")

    traced = Traced(breaks)
    with suppress(APIError):
        list(traced.client.responses.create(model="gpt-5", input="x", stream=True))
    span = traced.span()
    assert span.attributes["error.type"] == "server_error"
    assert span.status.status_code is StatusCode.ERROR


def test_tokens_of_the_cache_are_told() -> None:
    traced = Traced(latency="cache=100, block=16, least=0")
    ask = {"model": "gpt-5", "messages": [{"role": "user", "content": "word " * 100}]}
    traced.client.chat.completions.create(**ask)
    usage = traced.client.chat.completions.create(**ask).usage
    first, second = traced.spans()
    assert "gen_ai.usage.cache_read.input_tokens" not in first.attributes
    assert second.attributes["gen_ai.usage.cache_read.input_tokens"] == usage.prompt_tokens_details.cached_tokens


def test_over_http_websockets_and_in_other_dialects() -> None:
    traced = Traced(journal=0)
    with traced.fake.start(port=0) as server, OpenAI(base_url=server.base_url, api_key="any") as client:
        client.chat.completions.create(**ASK)
        span = traced.span()
        assert (span.attributes["server.address"], span.attributes["server.port"]) == ("127.0.0.1", server.port)
        with client.responses.connect() as connection:
            connection.response.create(model="gpt-5", input="x")
            for event in connection:
                if event.type == "response.completed":
                    break
        assert traced.span().attributes["antiphon.operation"] == "responses.create"
        body = {"model": "gpt-5", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]}
        httpx2.post(f"{server.url}/v1/messages", json=body, headers={"x-api-key": "any"}).raise_for_status()
        assert traced.span().name == "chat gpt-5"
        httpx2.get(f"{server.url}/_antiphon/journal").raise_for_status()
        assert traced.spans() == [], "who looks at the fake is no request"


async def test_async_callers_are_traced_too() -> None:
    traced = Traced()
    async with traced.fake.async_client() as client:
        await client.chat.completions.create(**ASK)
    assert traced.span().name == "chat gpt-5"


def test_it_answers_as_without_traces() -> None:
    traced, plain = Traced(None), FakeOpenAI()
    one = traced.client.responses.create(model="gpt-5", input="x")
    two = plain.client().responses.create(model="gpt-5", input="x")
    assert (one.id, one.output_text) == (two.id, two.output_text)
    assert len(traced.fake.journal) == 1
    traced.fake.another().client().responses.create(model="gpt-5", input="x")
    assert len(traced.spans()) == 2, "one that is made as this one is traced, too"


def test_without_traces_nothing_of_opentelemetry_is_loaded() -> None:
    code = (
        "import sys; from antiphon import FakeOpenAI; "
        "FakeOpenAI().client().responses.create(model='gpt-5', input='x'); "
        "print([name for name in sys.modules if name.startswith('opentelemetry')])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"


@pytest.mark.parametrize("wrong", [None, "yes", 1])
def test_what_makes_no_traces_is_refused(wrong: Any) -> None:
    with pytest.raises(TypeError, match="traces is True, False or a tracer provider"):
        FakeOpenAI(traces=wrong)


# On the command line


@contextmanager
def collector() -> Generator[tuple[str, list[bytes], threading.Event]]:
    """What takes spans as OTLP over HTTP."""
    taken: list[bytes] = []
    some = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            taken.append(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()
            some.set()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", taken, some
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_the_command_sends_them_to_a_collector() -> None:
    with collector() as (url, taken, some):
        environment = {
            **os.environ,
            "OTEL_EXPORTER_OTLP_ENDPOINT": url,
            "OTEL_EXPORTER_OTLP_COMPRESSION": "none",
            "OTEL_SERVICE_NAME": "the-fake",
            "OTEL_BSP_SCHEDULE_DELAY": "100",
        }
        arguments = [sys.executable, "-m", "antiphon", "serve", "--port", "0", "--traces"]
        process = subprocess.Popen(
            arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
        )
        try:
            assert process.stdout is not None
            banner = process.stdout.readline()
            with OpenAI(base_url=f"{banner.rpartition(' ')[2].strip()}/v1", api_key="any") as client:
                client.chat.completions.create(**ASK)
            assert some.wait(60)
        finally:
            process.kill()
            process.communicate()
    assert b"the-fake" in taken[0]
    assert b"chat gpt-5" in taken[0]


def test_a_cassette_has_none() -> None:
    arguments = [sys.executable, "-m", "antiphon", "serve", "--replay", "c.yaml", "--traces"]
    found = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert found.returncode == 2
    assert "--traces is for the fake" in found.stderr
