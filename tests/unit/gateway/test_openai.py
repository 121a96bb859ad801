"""Models behind other servers of the API: a fake one, which the gateway stands in front of."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path
from typing import Any

import openai
import pytest
import trustme

from antiphon import APIStatusError, FakeOpenAI
from antiphon.gateway import Gateway, ModelConfig
from antiphon.hosting.run import TLS, Running, serve_in_background
from antiphon.kernel.http import Headers, Request, Response, json_response

ASK: Any = {"model": "llama", "messages": [{"role": "user", "content": "one two three"}]}
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


@pytest.fixture
def fake() -> FakeOpenAI:
    return FakeOpenAI("echo", models=["upstream"])


@pytest.fixture
def upstream(fake: FakeOpenAI) -> Iterator[Running]:
    with fake.start(port=0) as running:
        yield running


def config(url: str, **more: Any) -> ModelConfig:
    headers = {"Authorization": "Bearer secret"}
    return ModelConfig("llama", (url,), backend="openai", model="upstream", headers=headers, **more)


@pytest.fixture
def client(upstream: Running) -> Iterator[openai.OpenAI]:
    with Gateway(models={"llama": config(upstream.base_url)}).start(port=0) as running:
        with openai.OpenAI(base_url=running.base_url, api_key="mine", max_retries=0) as made:
            yield made


def test_what_its_server_understands_is_passed_on_untouched(client: openai.OpenAI, fake: FakeOpenAI) -> None:
    whole = client.chat.completions.create(**ASK, extra_body={"metadata": {"a": "b"}, "store": True})
    assert whole.choices[0].message.content == "one two three"
    (call,) = fake.journal
    assert call.body == {**ASK, "model": "upstream", "metadata": {"a": "b"}, "store": True}
    raw = client.chat.completions.with_raw_response.create(**ASK, stream=True)
    assert raw.http_response.read().endswith(b"data: [DONE]\n\n")
    chunks = list(client.chat.completions.create(**ASK, stream=True, stream_options={"include_usage": True}))
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == "one two three"
    assert chunks[-1].usage is not None
    assert client.completions.create(model="llama", prompt="a b").choices[0].text == "a b"
    assert len(client.embeddings.create(model="llama", input=["a", "b"]).data) == 2
    assert client.moderations.create(model="llama", input="hello").results[0].flagged is False
    assert client.images.generate(model="llama", prompt="a cat").data
    assert client.audio.speech.create(model="llama", voice="alloy", input="hello", response_format="wav").read()
    sound = client.audio.speech.create(model="llama", voice="alloy", input="hello", response_format="wav").read()
    assert client.audio.transcriptions.create(model="llama", file=("a.wav", BytesIO(sound))).text


def test_the_rest_is_asked_as_chat_completions(client: openai.OpenAI, fake: FakeOpenAI) -> None:
    first = client.responses.create(model="llama", input="one two")
    assert first.output_text == "one two"
    assert fake.journal[-1].path == "/v1/chat/completions"
    again = client.responses.create(model="llama", input="three", previous_response_id=first.id)
    assert again.output_text == "three"
    assert [m["content"] for m in fake.journal[-1].body["messages"]] == ["one two", "one two", "three"]
    with client.responses.stream(model="llama", input="a b c") as stream:
        deltas = [event.delta for event in stream if event.type == "response.output_text.delta"]
    assert "".join(deltas) == "a b c"
    assert len(deltas) > 1
    fake.when(text="Paris").call_tool("weather", city="Paris")
    called = client.responses.create(
        model="llama",
        input="Paris",
        tools=[{"type": "function", **WEATHER["function"], "strict": True}],  # type: ignore[dict-item,list-item]
    )
    assert called.output[0].type == "function_call"
    assert json.loads(called.output[0].arguments) == {"city": "Paris"}


def test_batches_and_vector_stores_over_it(client: openai.OpenAI) -> None:
    lines = [{"custom_id": str(n), "method": "POST", "url": "/v1/chat/completions", "body": ASK} for n in range(3)]
    file = client.files.create(file=BytesIO("\n".join(map(json.dumps, lines)).encode()), purpose="batch")
    batch = client.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h")
    while batch.status not in ("completed", "failed"):
        batch = client.batches.retrieve(batch.id)
    assert batch.request_counts is not None
    assert batch.request_counts.completed == 3
    assert batch.output_file_id is not None
    first = json.loads(client.files.content(batch.output_file_id).text.splitlines()[0])
    assert first["response"]["body"]["choices"][0]["message"]["content"] == "one two three"


def test_tools_come_one_after_the_other_however_their_chunks_do() -> None:
    def delta(*calls: Any, finish: str | None = None) -> Any:
        return {"choices": [{"index": 0, "delta": {"tool_calls": list(calls)}, "finish_reason": finish}]}

    def begun(index: int, name: str) -> Any:
        return {"index": index, "id": f"c{index}", "type": "function", "function": {"name": name, "arguments": ""}}

    def more(index: int, text: str) -> Any:
        return {"index": index, "function": {"arguments": text}}

    told = [delta(begun(0, "a"), begun(1, "b")), delta(more(1, "{"), more(0, "[")), delta(more(0, "]"), more(1, "}"))]
    end = [delta(finish="tool_calls"), {"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 3}}]

    def server(request: Request) -> Response:
        body = b"".join(b"data: " + json.dumps(each).encode() + b"\n\n" for each in [*told, *end]) + b"data: [DONE]\n\n"
        return Response(200, Headers({"content-type": "text/event-stream"}), iter([body[:99], body[99:]]))

    with serve_in_background(server) as running:
        gateway = Gateway(models={"llama": config(running.base_url)})
        with gateway.client().responses.stream(model="llama", input="x") as stream:
            final = stream.get_final_response()
        assert [(item.name, item.arguments) for item in final.output] == [("a", "[]"), ("b", "{}")]  # type: ignore[union-attr]
        assert final.usage is not None
        assert (final.usage.input_tokens, final.usage.output_tokens) == (7, 3)


def test_errors_of_its_server_are_its_own_words(upstream: Running, fake: FakeOpenAI) -> None:
    gateway = Gateway(models={"llama": config(upstream.base_url), "gone": config("http://127.0.0.1:9/v1")})
    with (
        gateway.start(port=0) as running,
        openai.OpenAI(base_url=running.base_url, api_key="mine", max_retries=0) as client,
    ):
        with pytest.raises(openai.BadRequestError, match="temperature") as refused:
            client.chat.completions.create(**ASK, temperature=7)
        assert refused.value.param == "temperature"
        fake.when(text="busy").fail(429, code="rate_limit_exceeded", retry_after=7)
        for stream in (False, True):
            with pytest.raises(openai.RateLimitError) as busy:
                client.chat.completions.create(
                    model="llama", messages=[{"role": "user", "content": "busy"}], stream=stream
                )
            assert busy.value.response.headers["retry-after"] == "7"
        with pytest.raises(openai.RateLimitError):
            client.responses.create(model="llama", input="busy")
        with pytest.raises(openai.InternalServerError, match="cannot be reached") as gone:
            client.chat.completions.create(**{**ASK, "model": "gone"})
        assert gone.value.status_code == 503
        with pytest.raises(openai.NotFoundError, match="does not exist"):
            client.chat.completions.create(**{**ASK, "model": "other"})


EVENT = b'data: {"id":"1","choices":[{"index":0,"delta":{"content":"one"}}]}\n\n'
CUT = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    b"%x\r\n%b\r\n10\r\n%b" % (len(EVENT), EVENT, EVENT[:16])
)


@contextmanager
def cut_off(answer: bytes = CUT) -> Iterator[str]:
    """A server that breaks off in the middle of its answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with connection:
                        connection.recv(65536)
                        connection.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        listener.shutdown(socket.SHUT_RDWR)
    thread.join()


@pytest.mark.parametrize("way", ["chat", "responses"])
def test_a_stream_that_breaks_off_is_an_error(way: str) -> None:
    with (
        cut_off() as url,
        Gateway(models={"llama": config(url)}).start(0) as ours,
        openai.OpenAI(base_url=ours.base_url, api_key="mine", max_retries=0) as client,
    ):
        if way == "chat":
            with pytest.raises(openai.APIError, match="broke off"):
                list(client.chat.completions.create(**ASK, stream=True))
        else:
            *_, last = client.responses.create(model="llama", input="x", stream=True)
            assert last.type in ("error", "response.failed")
            assert "broke off" in last.to_json()


def test_a_server_that_answers_in_no_envelope() -> None:
    def server(request: Request) -> Response:
        return json_response(500, {"detail": "out of memory"})

    with serve_in_background(server) as running:
        gateway = Gateway(models={"llama": config(running.base_url)})
        from antiphon import InternalServerError

        with pytest.raises(InternalServerError, match="out of memory") as failed:
            gateway.client(max_retries=0).chat.completions.create(**ASK)
        assert failed.value.response.headers["x-should-retry"] == "false"


@pytest.mark.parametrize("backend", ["openai", "oip"])
@pytest.mark.parametrize("stream", [False, True])
def test_an_error_that_breaks_off_is_an_error_of_the_api(backend: str, stream: bool) -> None:
    half = b'HTTP/1.1 500 Oops\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{"err'
    with cut_off(half) as url:
        model = ModelConfig("llama", (url,), backend=backend, convention="triton-vllm", stream="infer_stream")
        with (
            Gateway(models={"llama": model}).start(0) as ours,
            openai.OpenAI(base_url=ours.base_url, api_key="mine", max_retries=0) as client,
        ):
            with pytest.raises(openai.InternalServerError, match=r"the model `llama`|The model `llama`") as failed:
                client.chat.completions.create(**ASK, stream=stream)
            assert failed.value.status_code == 502
            assert failed.value.response.headers["x-should-retry"] == "false"


@pytest.mark.parametrize(
    "said", ["no JSON", None, {}, [], {"choices": [], "data": [], "results": []}, {"choices": [{}], "data": [{}]}]
)
def test_an_answer_that_makes_no_sense_is_told_once(said: Any) -> None:
    def server(request: Request) -> Response:
        return json_response(200, said)

    with serve_in_background(server) as running:
        client = Gateway(models={"llama": config(running.base_url)}).client(max_retries=0)
        from antiphon import InternalServerError

        for stream in (False, True):
            with pytest.raises(InternalServerError, match="broke off") as failed:
                client.responses.create(model="llama", input="x", stream=stream)
            assert failed.value.status_code == 502
            assert failed.value.response.headers["x-should-retry"] == "false"


def test_traces_and_named_headers_reach_its_server_whatever_is_asked(upstream: Running, fake: FakeOpenAI) -> None:
    model = config(upstream.base_url, forward_headers=("x-tenant",))
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    headers = {"traceparent": parent, "x-tenant": "a", "x-other": "b"}
    client = Gateway(models={"llama": model}).client()
    client.chat.completions.create(**ASK, extra_headers=headers)
    client.responses.create(model="llama", input="x", extra_headers=headers)
    for call in fake.journal:
        sent = call.headers
        assert (sent["traceparent"], sent["x-tenant"]) == (parent, "a")
        assert "x-other" not in sent
    assert len(fake.journal) == 2


def test_a_server_whose_certificate_is_told(fake: FakeOpenAI, tmp_path: Path) -> None:
    authority = trustme.CA()
    issued = authority.issue_cert("localhost", "127.0.0.1")
    roots, certificate, key = (tmp_path / name for name in ("roots.pem", "certificate.pem", "key.pem"))
    authority.cert_pem.write_to_path(str(roots))
    issued.cert_chain_pems[0].write_to_path(str(certificate))
    issued.private_key_pem.write_to_path(str(key))
    with serve_in_background(fake, tls=TLS(certificate, key)) as running:
        models = {"llama": config(running.base_url, roots=str(roots))}
        with Gateway(models=models) as gateway, gateway.start(0) as ours:
            with openai.OpenAI(base_url=ours.base_url, api_key="mine", max_retries=0) as client:
                chunks = list(client.chat.completions.create(**ASK, stream=True))
                assert "".join(c.choices[0].delta.content or "" for c in chunks) == "one two three"
                assert client.responses.create(model="llama", input="one").output_text == "one"
            assert gateway.client().chat.completions.create(**ASK).choices[0].message.content == "one two three"
        lost = Gateway(models={"llama": config(running.base_url)}).client(max_retries=0)
        with pytest.raises(APIStatusError, match="cannot be reached"):
            lost.chat.completions.create(**ASK)
