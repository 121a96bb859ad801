"""Rules for what is no conversation, as clients see their answers: ours and the official one."""

from __future__ import annotations

import io
from array import array
from base64 import b64decode
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest

import antiphon
from antiphon import FakeOpenAI
from antiphon.engines.moderation import CATEGORIES
from antiphon.fake import exactly
from antiphon.server.sounds import Sound, encoded

Client = Callable[[FakeOpenAI], Any]


def ours(fake: FakeOpenAI) -> Any:
    return fake.client(max_retries=0)


def official(fake: FakeOpenAI) -> Any:
    transport = httpx2.Client(transport=fake.official_transport())
    return openai.OpenAI(api_key="any", base_url="http://fake.test/v1", http_client=transport, max_retries=0)


@pytest.fixture(params=[ours, official])
def client(request: pytest.FixtureRequest) -> Client:
    return request.param  # type: ignore[no-any-return]


def vectors(client: Any, *texts: str, **options: Any) -> Any:
    made = client.embeddings.create(model="text-embedding-3-small", input=list(texts), **options)
    return [each.embedding for each in made.data]


def test_vectors_for_each_text(client: Client) -> None:
    fake = FakeOpenAI(embeddings=lambda texts: [[9.0] for _ in texts])
    fake.when(operation="embeddings.create", text=exactly("cat")).reply([1, 0])
    fake.when(operation="embeddings.create", text="dog").reply([[0, 1], [0.5, 0.5]])
    caller = client(fake)
    assert vectors(caller, "cat") == [[1, 0]]
    assert vectors(caller, "a dog", "bird", "cat", "dogs") == [[0, 1], [9], [1, 0], [0.5, 0.5]]
    assert [rule.calls for rule in fake.rules] == [2, 1]
    assert vectors(caller, "cat", dimensions=1) == [[1]]


def test_vectors_of_arrays_bodies_and_functions(client: Client) -> None:
    import numpy as np

    fake = FakeOpenAI()
    caller = client(fake)
    fake.when(model="text-embedding-*").reply(np.array([1.0, 2.0]))
    assert vectors(caller, "x") == [[1, 2]]
    fake.when(model="text-embedding-3-small").reply({"data": [{"embedding": [3]}, {"embedding": [4]}]})
    assert vectors(caller, "x", "y") == [[3], [4]]
    fake.when(model="text-embedding-3-small").reply(lambda request: [[len(text)] for text in request.inputs])
    assert vectors(caller, "x", "yy") == [[1], [2]]


def test_pictures(client: Client, tmp_path: Path) -> None:
    import PIL.Image

    drawn = PIL.Image.new("RGB", (4, 4), "red")
    file = io.BytesIO()
    drawn.save(file, "PNG")
    path = tmp_path / "cat.png"
    path.write_bytes(file.getvalue())
    fake = FakeOpenAI()
    caller = client(fake)

    def asked(prompt: str, n: int = 1) -> list[bytes]:
        made = caller.images.generate(model="gpt-image-1", prompt=prompt, n=n)
        return [b64decode(each.b64_json) for each in made.data]

    fake.when(text="a cat").reply(path)
    fake.when(text="two").reply([path, b"\x89PNG another"])
    fake.when(text="drawn").reply(drawn)
    fake.when(operation="images.*", text="any bytes").reply(b"no picture at all")
    fake.when(operation="images.generate", text="by name").reply(str(path))
    fake.when(operation="images.generate", text="function").reply(lambda request: [b"1", b"2"][: request.n])
    assert asked("a cat") == [path.read_bytes()]
    assert asked("two cats", 3) == [path.read_bytes(), b"\x89PNG another", path.read_bytes()]
    assert PIL.Image.open(io.BytesIO(asked("drawn")[0])).size == (4, 4)
    assert asked("any bytes") == [b"no picture at all"]
    assert asked("by name") == [path.read_bytes()]
    assert asked("function", 2) == [b"1", b"2"]
    fake.when(operation="images.generate", text="body").reply({"created": 1, "data": [{"b64_json": "aGk="}]})
    assert asked("body") == [b"hi"]
    with pytest.raises(TypeError, match="b64_json"):
        fake.when(operation="images.generate").reply({"created": 1, "data": [{"url": "https://a.test/b.png"}]})
    streamed = list(caller.images.generate(model="gpt-image-1", prompt="a cat", stream=True))
    assert b64decode(streamed[-1].b64_json) == path.read_bytes()


def test_sounds(client: Client, tmp_path: Path) -> None:
    fake = FakeOpenAI()
    caller = client(fake)

    def spoken(text: str, **options: Any) -> Any:
        return caller.audio.speech.create(**{"model": "gpt-4o-mini-tts", "voice": "alloy", "input": text, **options})

    tone = Sound(array("h", range(2400)))
    path = tmp_path / "hello.wav"
    path.write_bytes(encoded(tone, "wav"))
    fake.when(operation="audio.speech.create", text="bytes").reply(b"not a sound at all")
    fake.when(text="file").reply(path)
    fake.when(text="sound").reply(tone)
    assert spoken("bytes").read() == b"not a sound at all"
    assert spoken("file").read() == path.read_bytes()
    assert spoken("sound", response_format="pcm").read() == tone.little_endian()
    assert "speech.audio.done" in spoken("bytes", stream_format="sse").text


def test_transcripts(client: Client) -> None:
    fake = FakeOpenAI()
    caller = client(fake)
    fake.when(text="Hello").reply("only for conversations")
    wav = caller.audio.speech.create(model="tts-1", voice="alloy", input="Hello", response_format="wav").read()

    def heard(resource: Any = caller.audio.transcriptions, model: str = "whisper-1", **options: Any) -> str:
        return resource.create(model=model, file=("Hello.wav", wav), **options).text  # type: ignore[no-any-return]

    assert heard() == "Hello", "what the fake has spoken, it recognizes"
    fake.when(model="whisper-1").reply("by model")
    fake.when(operation="audio.translations.create").reply({"text": "translated"})
    fake.when(operation="audio.transcriptions.create", text="names").reply(lambda request: request.prompt.upper())
    assert heard() == "by model"
    with pytest.warns(DeprecationWarning, match="deprecated"):
        assert heard(caller.audio.translations) == "translated"
    assert heard(prompt="names") == "NAMES"
    assert heard(model="gpt-4o-transcribe") == "Hello"


def test_moderations_of_each_text(client: Client) -> None:
    fake = FakeOpenAI()
    caller = client(fake)
    fake.when(text="bad").reply({"violence": 0.9})
    fake.when(operation="moderations.create", text="worse").reply(["hate", "sexual"])
    fake.when(operation="moderations.create", text="fine").reply(False)
    found = caller.moderations.create(input=["bad words", "hello", "much worse", "kill, but fine"]).results
    assert [each.flagged for each in found] == [True, False, True, False]
    assert found[0].category_scores.violence == 0.9
    assert (found[2].categories.hate, found[2].categories.sexual, found[2].categories.violence) == (True, True, False)


def test_any_operation(client: Client, tmp_path: Path) -> None:
    fake = FakeOpenAI()
    caller = client(fake)
    fake.when(operation="files.create").fail(500, code="broken").reply({"id": "file-1", "object": "file"})
    fake.when(operation="files.retrieve", predicate=lambda asked: asked.path.endswith("/file-2")).reply({"id": "two"})
    fake.when(operation="files.content").reply(b"\x00bytes")
    fake.when(operation="files.delete").reply(lambda asked: {"id": asked.path.rpartition("/")[2], "deleted": True})
    fake.when(operation="batches.*", metadata={"run": "7"}).refuse("No batches.")
    with pytest.raises((openai.InternalServerError, antiphon.InternalServerError)) as broken:
        caller.files.create(file=b"x", purpose="batch")
    assert broken.value.code == "broken"
    assert caller.files.create(file=b"x", purpose="batch").id == "file-1"
    assert caller.files.retrieve("file-2").id == "two"
    assert caller.files.content("file-1").read() == b"\x00bytes"
    assert caller.files.delete("file-9").id == "file-9"
    batch = {"completion_window": "24h", "endpoint": "/v1/responses", "input_file_id": "file-1"}
    with pytest.raises((openai.BadRequestError, antiphon.BadRequestError), match="No batches"):
        caller.batches.create(**batch, metadata={"run": "7"})
    with pytest.raises((openai.NotFoundError, openai.BadRequestError, antiphon.APIStatusError)) as own:
        caller.batches.create(**batch)
    assert "No batches" not in str(own.value)
    with pytest.raises((openai.NotFoundError, antiphon.NotFoundError)):
        caller.files.retrieve("file-3")
    assert "files.retrieve" in fake.explain(fake.journal[-1])
    assert "the server does" in fake.explain(fake.journal[-1])
    path = tmp_path / "data.json"
    path.write_text('{"object": "list", "data": []}')
    fake.when(operation="models.list").reply(path)
    assert list(caller.models.list()) == []


def test_errors_and_refusals_everywhere(client: Client) -> None:
    fake = FakeOpenAI()
    caller = client(fake)
    fake.when(text="slow").fail(429, "rate_limit_exceeded", retry_after=7)
    fake.when(text="no", operation="*").refuse()
    limited, refused = (
        (openai.RateLimitError, antiphon.RateLimitError),
        (openai.BadRequestError, antiphon.BadRequestError),
    )
    asks: list[Callable[[str], Any]] = [
        lambda text: vectors(caller, text),
        lambda text: caller.images.generate(model="gpt-image-1", prompt=text),
        lambda text: caller.audio.speech.create(model="tts-1", voice="alloy", input=text),
        lambda text: caller.moderations.create(input=text),
    ]
    for ask in asks:
        with pytest.raises(limited) as slow:
            ask("slow")
        assert slow.value.response.headers["retry-after"] == "7"
        with pytest.raises(refused) as no:
            ask("no")
        assert no.value.code == "moderation_blocked"
    assert caller.responses.create(model="gpt-5", input="no").output[0].content[0].type == "refusal"


def test_refusals_without_an_operation_are_for_conversations_and_pictures() -> None:
    fake = FakeOpenAI()
    fake.when(text="no").refuse("No.")
    caller = ours(fake)
    assert not caller.moderations.create(input="no").results[0].flagged
    assert (
        caller.chat.completions.create(model="m", messages=[{"role": "user", "content": "no"}])
        .choices[0]
        .message.refusal
    )
    with pytest.raises(antiphon.BadRequestError, match="No"):
        caller.images.generate(prompt="no")


def test_templates_are_for_texts() -> None:
    fake = FakeOpenAI("echo")
    fake.when(text="x").template("{text}!")
    caller = ours(fake)
    assert len(vectors(caller, "x")[0]) > 1
    assert caller.responses.create(model="gpt-5", input="x").output_text == "x!"
    with pytest.raises(TypeError, match="templates are for what is answered with a text"):
        fake.when(operation="embeddings.create").template("{text}!")


def test_a_pattern_may_be_for_everything() -> None:
    fake = FakeOpenAI()
    fake.when(operation="*").fail(503)
    caller = ours(fake)
    for ask in (caller.models.list, lambda: vectors(caller, "x"), lambda: caller.moderations.create(input="x")):
        with pytest.raises(antiphon.InternalServerError):
            ask()


def test_what_fits_the_conversations_of_a_pattern_is_for_them() -> None:
    fake = FakeOpenAI()
    fake.when(operation="responses.*").reply("Hello")
    fake.when(operation="chat.*").reply(lambda request: request.user_text)
    caller = ours(fake)
    first = caller.responses.create(model="gpt-5", input="x")
    assert first.output_text == "Hello"
    assert caller.responses.retrieve(first.id).id == first.id
    assert list(caller.chat.completions.list()) == []
    fake.when(operation="files.content").reply("a text")
    assert caller.files.content("file-1").text == "a text"


def test_a_rule_without_an_operation_is_for_what_engines_answer() -> None:
    fake = FakeOpenAI("echo", embeddings=lambda texts: [[1.0] for _ in texts])
    fake.when(headers={"x-case": "one"}).fail(503)
    fake.when(system="brief").fail(500)
    caller = ours(fake)
    assert caller.models.list(extra_headers={"x-case": "one"}).data
    with pytest.raises(antiphon.InternalServerError):
        vectors(caller, "x", extra_headers={"x-case": "one"})
    assert vectors(caller, "brief") == [[1]]


def test_functions_see_request_and_state() -> None:
    fake = FakeOpenAI()

    def count(request: Any, state: Any) -> str:
        state.memory["seen"] = [*state.memory.get("seen", []), request.user_text]
        case = state.asked.headers.get("x-case")
        return f"{state.call} {case} {state.memory['seen']} {len(state.fake.journal)}"

    async def later(request: Any, state: Any) -> str:
        return f"{request.user_text} {state.call}"

    async def bit_by_bit(request: Any, state: Any) -> AsyncIterator[str]:
        yield f"{state.rule.number} "
        yield "bits"

    fake.when(text="count").reply(count)
    fake.when(text="later").reply(later)
    fake.when(text="bits").reply(bit_by_bit)
    fake.when(model="text-embedding-3-small").reply(lambda request, state: [[state.call]])
    caller = ours(fake)

    def say(text: str) -> str:
        answer = caller.responses.create(model="gpt-5", input=text, extra_headers={"x-case": "a"})
        return answer.output_text  # type: ignore[no-any-return]

    assert say("count") == "1 a ['count'] 1"
    assert say("count again") == "2 a ['count', 'count again'] 2"
    assert say("later") == "later 1"
    assert say("bits") == "3 bits"
    assert vectors(caller, "x") == [[1]]
    fake.reset()
    fake.when(text="count").reply(count)
    assert say("count") == "1 a ['count'] 1"


async def test_functions_of_media_are_awaited() -> None:
    async def look(request: Any) -> dict[str, float]:
        return {"violence": 0.8 if request.text == "x" else 0.1}

    fake = FakeOpenAI()
    fake.when(operation="moderations.create").reply(look)
    found = await fake.async_client().moderations.create(input=["x", "y"])
    assert [each.flagged for each in found.results] == [True, False]


def test_several_tools_are_called_at_once(client: Client) -> None:
    fake = FakeOpenAI()
    fake.when().call_tools(("get_weather", {"city": "Oslo"}), ("get_weather", {"city": "Bergen"}))
    tools = [{"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object"}}}]
    caller = client(fake)
    asked: Any = {"model": "gpt-5", "messages": [{"role": "user", "content": "x"}], "tools": tools}
    calls = caller.chat.completions.create(**asked).choices[0].message.tool_calls
    assert [call.function.arguments for call in calls] == ['{"city":"Oslo"}', '{"city":"Bergen"}']
    places = {
        delta.index: delta.function.name
        for chunk in caller.chat.completions.create(**asked, stream=True)
        for delta in chunk.choices[0].delta.tool_calls or ()
        if delta.function.name
    }
    assert places == {0: "get_weather", 1: "get_weather"}


def test_templates() -> None:
    import re

    fake = FakeOpenAI()
    fake.when(text=re.compile(r"weather in (?P<city>\w+)")).template("{city}, {1}: {text} ({model}, {{}})")
    assert ours(fake).responses.create(model="gpt-5", input="weather in Oslo?").output_text == (
        "Oslo, Oslo: weather in Oslo? (gpt-5, {})"
    )
    with pytest.raises(ValueError, match=r"there is no {town} in templates; there are {text}, "):
        fake.when(text="x").template("{town}")
    with pytest.raises(ValueError, match="is no template"):
        fake.when().template("{")


def test_what_the_body_has() -> None:
    fake = FakeOpenAI("echo")
    fake.when(body={"reasoning": {"effort": "high"}, "temperature": 1}).reply("thought")
    caller = ours(fake)

    def say(**options: Any) -> str:
        return caller.responses.create(model="gpt-5", input="x", **options).output_text  # type: ignore[no-any-return]

    assert say(reasoning={"effort": "high"}, temperature=1) == "thought"
    assert say(reasoning={"effort": "low"}, temperature=1) == "x"
    assert "body['reasoning']['effort'] is 'low', not 'high'" in fake.explain(fake.journal[-1])
    assert say(temperature=1) == "x"
    assert "body has no 'reasoning'" in fake.explain(fake.journal[-1])


def test_lines_of_a_batch_are_answered_by_rules() -> None:
    import orjson

    fake = FakeOpenAI(job_seconds=0)
    fake.when(operation="embeddings.create").reply([1, 2])
    caller = ours(fake)
    line = {
        "custom_id": "a",
        "method": "POST",
        "url": "/v1/embeddings",
        "body": {"model": "text-embedding-3-small", "input": "x"},
    }
    file = caller.files.create(file=("batch.jsonl", orjson.dumps(line)), purpose="batch")
    batch = caller.batches.create(completion_window="24h", endpoint="/v1/embeddings", input_file_id=file.id)
    done = caller.batches.retrieve(batch.id)
    answer = orjson.loads(caller.files.content(done.output_file_id).read())
    assert answer["response"]["body"]["data"][0]["embedding"] == [1, 2]


def test_strict_asks_for_rules_for_whatever_an_engine_answers() -> None:
    fake = FakeOpenAI(strict=True)
    fake.when(operation="embeddings.create", text="cat").reply([1])
    fake.when(text="cat").reply("Miaow")
    caller = ours(fake)
    with pytest.raises(antiphon.NotFoundError) as missed:
        vectors(caller, "cat", "dog")
    assert "No rule answers embeddings.create text-embedding-3-small 'dog'" in missed.value.message
    assert "the nearest is rule 1" in missed.value.message
    assert "but text is 'dog', which has no 'cat' in it" in missed.value.message
    for ask in (
        lambda: caller.moderations.create(input="x"),
        lambda: caller.images.generate(prompt="x"),
        lambda: caller.audio.speech.create(model="tts-1", voice="alloy", input="x"),
    ):
        with pytest.raises(antiphon.NotFoundError, match="No rule answers"):
            ask()
    store = caller.vector_stores.create(name="of the server's own")
    assert caller.vector_stores.retrieve(store.id).name == "of the server's own"


def test_explained_by_operation() -> None:
    fake = FakeOpenAI()
    fake.when(text="cat").reply([1, 0])
    told = fake.explain({"model": "m", "input": "a cat"}, "embeddings.create")
    assert told.startswith("embeddings.create m 'a cat'")
    assert told.endswith(": answers")
    told = fake.explain({"model": "m", "input": ["a cat", "a dog"]}, "embeddings.create")
    assert [line for line in told.splitlines() if not line.startswith(" ")] == [
        "embeddings.create m 'a cat'",
        "embeddings.create m 'a dog'",
    ]
    told = fake.explain({"model": "m", "input": "a cat"})
    assert "its answer, reply([1, 0]), is for embeddings, not for conversations" in told


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (lambda fake: fake.when(operation="embeddings.create").reply("x"), "embeddings are answered with a vector"),
        (lambda fake: fake.when(operation="embeddings.create").reply([]), "embeddings are answered with a vector"),
        (lambda fake: fake.when(operation="embeddings.create").reply([True]), "embeddings are answered with a vector"),
        (lambda fake: fake.when(operation="images.generate").reply(3), "images are answered with bytes"),
        (lambda fake: fake.when(operation="images.generate").reply("no.png"), "the file 'no.png' cannot be read: No"),
        (lambda fake: fake.when(operation="audio.speech.create").reply(3), "speech is answered with the bytes"),
        (lambda fake: fake.when(operation="audio.transcriptions.create").reply(b"x"), "transcriptions are answered"),
        (lambda fake: fake.when(operation="moderations.create").reply({"bad": 1}), "there is no category 'bad'"),
        (lambda fake: fake.when(operation="moderations.create").reply({"hate": 2}), "a score is between 0 and 1"),
        (lambda fake: fake.when(operation="moderations.create").reply(3), "moderations are answered with scores"),
        (lambda fake: fake.when(operation="embeddings.create").call_tool("x"), "tools are called in conversations"),
        (lambda fake: fake.when(operation="files.create").reply(object()), "an operation is answered with JSON"),
        (
            lambda fake: fake.when(operation="files.create", turn=1).reply(object()),
            "an operation is answered with JSON",
        ),
        (lambda fake: fake.when(operation="file.*"), "there is no operation as 'file.*' says"),
        (lambda fake: fake.when(body=3), "body is a mapping of fields"),
        (lambda fake: fake.when().call_tools(), "call_tools needs a call"),
        (lambda fake: fake.when().call_tools(("a", "b", "c")), "a call of a tool is a name and its arguments"),
    ],
)
def test_answers_that_do_not_fit_are_refused(wrong: Any, told: str) -> None:
    with pytest.raises((TypeError, ValueError)) as error:
        wrong(FakeOpenAI())
    assert told in str(error.value)


def test_the_categories_are_those_of_moderations() -> None:
    fake = FakeOpenAI()
    fake.when(text="x").reply(dict.fromkeys(CATEGORIES, 0.9))
    (result,) = ours(fake).moderations.create(input="x").results
    assert all(result.categories.to_dict().values())
