"""What a fake writes down of what it is asked, and what tests say of it."""

from __future__ import annotations

import re
import threading
from typing import Any

import pytest

from antiphon import FakeOpenAI, NotFoundError
from antiphon.fake import exactly, journal
from antiphon.kernel.http import Headers, Request
from antiphon.server.clock import VirtualClock
from antiphon.transports.handler import HandlerTransport

HELLO: Any = [{"role": "system", "content": "Be brief"}, {"role": "user", "content": "Hello there"}]


def ask(fake: FakeOpenAI, text: str = "Hello there", **options: Any) -> Any:
    messages: Any = [{"role": "user", "content": text}]
    create: Any = fake.client().chat.completions.create
    return create(**{"model": "gpt-5", "messages": messages, **options})


def test_an_exchange_tells_the_request_and_the_answer() -> None:
    fake = FakeOpenAI("echo")
    completion = fake.client(api_key="sk-secret").chat.completions.create(model="gpt-5", messages=HELLO)
    (call,) = fake.journal
    assert (call.operation, call.method, call.path) == ("chat.completions.create", "POST", "/v1/chat/completions")
    assert (call.model, call.text, call.system) == ("gpt-5", "Hello there", "Be brief")
    assert call.body == {"model": "gpt-5", "messages": HELLO}
    assert call.status == 200
    assert call.answer["id"] == completion.id
    assert call.output_text == "Hello there"
    assert completion.usage is not None
    assert call.tokens == (completion.usage.prompt_tokens, completion.usage.completion_tokens, 0)
    assert call.headers["authorization"] == "<masked>"
    assert "sk-secret" not in f"{call!r} {call.headers!r}"
    assert call.request_id == completion._request_id
    assert call.ended is not None
    assert not call.left_early


def test_times_are_those_of_the_clock_and_pieces_have_theirs() -> None:
    fake = FakeOpenAI(lambda request: iter(["one ", "two"]), latency=(3.0, 0.5), clock=VirtualClock(1_000_000))
    for _ in ask(fake, stream=True):
        pass
    call = fake.journal[-1]
    assert call.began == 1_000_000
    assert call.seconds == 3.5
    assert [at for at, data in call.pieces if b"one" in data or b"two" in data] == [3.0, 3.5]
    assert call.events[-1] == "[DONE]"
    assert call.output_text == "one two"


def test_a_stream_that_is_left_says_so() -> None:
    fake = FakeOpenAI(lambda request: iter(["a", "b", "c"]))
    stream = ask(fake, stream=True)
    next(iter(stream))
    assert fake.journal[-1].ended is None
    stream.close()
    assert fake.journal[-1].left_early
    assert fake.journal[-1].output_text == "a"
    ask(fake, stream=True).close()  # before anything was read
    assert fake.journal[-1].left_early
    for _ in ask(fake, stream=True):
        pass
    assert not fake.journal[-1].left_early


def test_tool_calls_are_told_streamed_or_not_and_by_responses() -> None:
    tools: Any = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]
    fake = FakeOpenAI(lambda request: {"name": "weather", "arguments": '{"city": "Oslo"}'})
    ask(fake, tools=tools)
    for _ in ask(fake, tools=tools, stream=True):
        pass
    flat: Any = [{"type": "function", "name": "weather", "parameters": {"type": "object"}, "strict": False}]
    fake.client().responses.create(model="gpt-5", input="Weather?", tools=flat)
    for _ in fake.client().responses.create(model="gpt-5", input="Weather?", tools=flat, stream=True):
        pass
    assert [call.tool_calls for call in fake.journal] == [[("weather", '{"city": "Oslo"}')]] * 4
    assert len(fake.journal.calls(tool="weather")) == 4
    assert fake.journal.calls(tool="other") == []
    fake.assert_called(tool="weather", tools=["weather"], text="Weather?", times=2)


def test_other_operations_have_a_text_too() -> None:
    fake = FakeOpenAI()
    client = fake.client()
    client.embeddings.create(model="text-embedding-3-small", input=["one", "two"])
    client.moderations.create(input="be nice")
    client.images.generate(prompt="a fox", size="256x256", model="dall-e-2")
    client.completions.create(model="gpt-3.5-turbo-instruct", prompt="Once")
    client.audio.transcriptions.create(model="whisper-1", file=("speech.wav", _wav()))
    client.models.retrieve("gpt-5")
    assert [call.text for call in fake.journal] == ["one\ntwo", "be nice", "a fox", "Once", "speech.wav", ""]
    assert fake.journal.calls(operation="embeddings.*")[0].body["input"] == ["one", "two"]


def _wav() -> bytes:
    import io
    import wave

    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(1600))
    return out.getvalue()


def test_refusals_are_written_down() -> None:
    fake = FakeOpenAI(models=["mine"])
    with pytest.raises(NotFoundError):
        ask(fake)
    assert fake.journal[-1].status == 404
    assert fake.journal[-1].answer["error"]["code"] == "model_not_found"
    with pytest.raises(NotFoundError):
        fake.client().get("/nowhere", cast_to=object)
    assert fake.journal[-1].operation == ""
    assert fake.journal.calls(status=404) == list(fake.journal)


def test_over_http_and_over_a_websocket() -> None:
    from antiphon import OpenAI

    fake = FakeOpenAI("echo")
    with fake.start(port=0) as server:
        client = OpenAI(base_url=server.base_url, api_key="any")
        client.responses.create(model="gpt-5", input="over HTTP")
        with client.responses.connect() as connection:
            connection.response.create(model="gpt-5", input="over a websocket")
            next(event for event in connection if event.type == "response.completed")
    with fake.client().responses.connect() as connection:
        connection.response.create(model="gpt-5", input="in process")
        next(event for event in connection if event.type == "response.completed")
    texts = ["over HTTP", "over a websocket", "in process"]
    assert [call.text for call in fake.journal] == texts
    assert [call.output_text for call in fake.journal] == texts
    fake.assert_called_in_order(*({"text": text} for text in texts))


def test_its_size_is_bounded_by_number_and_by_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeOpenAI("echo", journal=3)
    for number in range(5):
        ask(fake, f"number {number}")
    assert [call.text for call in fake.journal] == ["number 2", "number 3", "number 4"]
    assert [call.text for call in fake.journal[:2]] == ["number 2", "number 3"]
    monkeypatch.setattr(journal, "MOST_BYTES", 100_000)
    for _ in range(3):
        ask(fake, "x" * 30_000)
    assert [call.text[:9] for call in fake.journal] == ["x" * 9]
    for number in range(5):
        ask(fake, f"number {number}")  # those that are gone by their number are not counted any more
    ask(fake, "y" * 30_000)
    assert [call.text[:9] for call in fake.journal] == ["number 3", "number 4", "y" * 9]
    fake.journal.clear()
    assert len(fake.journal) == 0
    with pytest.raises(IndexError, match="the journal has 0 exchanges"):
        fake.journal[-1]
    none = FakeOpenAI(journal=0)
    ask(none)
    assert len(none.journal) == 0
    with pytest.raises(ValueError, match="number of exchanges"):
        FakeOpenAI(journal=-1)


def test_a_reset_forgets() -> None:
    fake = FakeOpenAI()
    ask(fake)
    fake.reset()
    fake.assert_not_called()


def test_threads_write_into_one_journal() -> None:
    fake = FakeOpenAI("echo", journal=10_000)
    threads = [threading.Thread(target=lambda: [ask(fake) for _ in range(50)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(fake.journal) == 200
    assert {call.output_text for call in fake.journal} == {"Hello there"}


def test_queries() -> None:
    fake = FakeOpenAI("echo")
    ask(fake, "Hello there")
    ask(fake, "Goodbye", model="gpt-4o", metadata={"user": "ann"}, store=True)
    one, two = fake.journal
    assert fake.journal.calls(text="Hello") == [one]
    assert fake.journal.calls(text=exactly("Hello")) == []
    assert fake.journal.calls(text=re.compile("^good", re.IGNORECASE)) == [two]
    assert fake.journal.calls(model="gpt-4*", metadata={"user": "ann"}) == [two]
    assert fake.journal.calls(turn=1, predicate=lambda asked: asked.model == "gpt-5") == [one]
    with pytest.raises(TypeError, match="there is no condition 'txt'; there are operation, model"):
        fake.journal.calls(txt="Hello")


def test_asserts_show_what_was_asked_instead() -> None:
    fake = FakeOpenAI("echo")
    with pytest.raises(AssertionError, match=r"and there were none.\nThe fake was asked nothing."):
        fake.assert_called()
    ask(fake, "Hello there")
    fake.assert_called(model="gpt-5", times=1)
    with pytest.raises(AssertionError) as failed:
        fake.assert_called(model="gpt-4o", text="weather", times=2)
    assert str(failed.value) == (
        "expected 2 requests with model='gpt-4o', text='weather', and there were none.\n"
        "The fake was asked:\n"
        "  [0] <chat.completions.create gpt-5 'Hello there' -> 200 'Hello there'>\n"
        "        model is 'gpt-5', not 'gpt-4o'\n"
        "        text is 'Hello there', which has no 'weather' in it"
    )
    with pytest.raises(AssertionError, match="expected no request with text='Hello', and there were 1"):
        fake.assert_not_called(text="Hello")
    ask(fake, "Goodbye")
    with pytest.raises(AssertionError, match=r"request 2 of the order, with text='Hello' after \[1\]"):
        fake.assert_called_in_order({"text": "Goodbye"}, {"text": "Hello"})
    with pytest.raises(TypeError, match=r"a query is a mapping of conditions, such as .*, not 'Hello'"):
        fake.assert_called_in_order("Hello")  # type: ignore[arg-type]
    fake.assert_tokens_at_most(1000)
    with pytest.raises(AssertionError, match="expected 1 tokens at most with text='Hello'"):
        fake.assert_tokens_at_most(1, text="Hello")


def test_a_failure_does_not_tell_a_key() -> None:
    fake = FakeOpenAI("echo")
    ask(fake)
    with pytest.raises(AssertionError) as failed:
        fake.assert_called(headers={"authorization": "Bearer sk-other"})
    assert "sk-other" not in str(failed.value)
    fake.assert_called(headers={"authorization": "Bearer fake"})


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("chat/completions", b"\xff{"),
        ("chat/completions", b'{"messages": 3, "model": [], "metadata": 4}'),
        ("chat/completions", b'{"messages": [3], "model": "gpt-5", "tools": 5}'),
        ("responses", b'{"input": [3, {"text": 4}], "tools": [null]}'),
        ("completions", b'{"prompt": 4}'),
        ("embeddings", b'{"input": {"a": 3}}'),
        ("embeddings", b"[]"),
    ],
)
def test_a_body_that_is_refused_is_written_down_all_the_same(path: str, body: bytes) -> None:
    fake = FakeOpenAI()
    answer = HandlerTransport(fake).send(
        Request("POST", f"/v1/{path}", headers=Headers({"authorization": "Bearer x"}), body=body), None, stream=False
    )
    assert answer.status == 400
    call = fake.journal[-1]
    assert call.operation.endswith("create")
    assert "-> 400>" in repr(call)
    assert call.tokens.total == 0
    assert fake.journal.calls(text="x", model="y", tools="z", turn=2, metadata={"a": "b"}, tool_result=True) == []
    assert fake.explain(call).startswith(f"answered by server\n{call.operation}")


def test_engines_that_were_made_when_asked_are_told_by_name() -> None:
    fake = FakeOpenAI()
    fake.client().embeddings.create(model="text-embedding-3-small", input="x")
    fake.client().moderations.create(input="x")
    assert [each.answered_by for each in fake.journal] == ["HashEmbeddings", "WordListModeration"]
