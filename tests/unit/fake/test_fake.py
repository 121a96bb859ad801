"""What `FakeOpenAI` puts together; what it answers is the contract's."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx2
import openai
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from antiphon import FakeOpenAI, NotFoundError
from antiphon.engines.text import Echo
from antiphon.hosting.run import PortInUse
from antiphon.server.clock import VirtualClock

HELLO: Any = [{"role": "user", "content": "hello"}]


def said(fake: FakeOpenAI, model: str = "gpt-5") -> str | None:
    return fake.client().chat.completions.create(model=model, messages=HELLO).choices[0].message.content


def test_engines_are_named_made_or_written() -> None:
    assert said(FakeOpenAI("echo")) == "hello"
    assert said(FakeOpenAI(engine="reverse")) == "olleh"
    assert said(FakeOpenAI(Echo())) == "hello"
    assert said(FakeOpenAI(lambda request: "I heard " + request.user_text)) == "I heard hello"
    assert (said(FakeOpenAI("lorem")) or "").startswith("Lorem ipsum")
    with pytest.raises(ValueError, match="there is no engine named 'magic'"):
        FakeOpenAI("magic")


def test_models_have_engines_of_their_own() -> None:
    fake = FakeOpenAI(engine="echo", engines={"gpt-4o": "reverse", "ft:*": lambda request: "tuned"})
    assert [said(fake, model) for model in ("gpt-4o", "ft:any:thing", "other")] == ["olleh", "tuned", "hello"]


def test_models_can_be_limited() -> None:
    fake = FakeOpenAI(models=["mine"])
    assert [model.id for model in fake.client().models.list()] == ["mine"]
    with pytest.raises(NotFoundError):
        said(fake, "yours")


def test_an_embedding_engine_for_some_models() -> None:
    fake = FakeOpenAI(embeddings={"tiny": lambda request: [[1.0, 0.0] for _ in request.inputs]})
    client = fake.client()
    assert client.embeddings.create(model="tiny", input="x").data[0].embedding == [1.0, 0.0]
    assert len(client.embeddings.create(model="text-embedding-3-small", input="x").data[0].embedding) == 1536


def test_latency_is_in_the_answer_and_takes_no_time_under_a_virtual_clock() -> None:
    clock = VirtualClock(1_000_000)
    fake = FakeOpenAI("echo", latency=(3.0, 0.5), clock=clock)
    assert said(fake) == "hello"
    assert clock.now() >= 1_000_003
    before = clock.now()
    stream = fake.client().chat.completions.create(
        model="gpt-5", messages=[{"role": "user", "content": "one two three"}], stream=True
    )
    assert "".join(chunk.choices[0].delta.content or "" for chunk in stream) == "one two three"
    assert clock.now() >= before + 4


def test_the_same_seed_says_the_same() -> None:
    one, two, other = FakeOpenAI(seed=1), FakeOpenAI(seed=1), FakeOpenAI(seed=2)
    answers = [said(fake) for fake in (one, two, other)]
    assert answers[0] == answers[1] != answers[2]
    ids = [fake.client().vector_stores.create().id for fake in (one, two, other)]
    assert ids[0] == ids[1] != ids[2]


def test_its_state_can_be_taken_and_put_back() -> None:
    fake = FakeOpenAI()
    client = fake.client()
    first = client.files.create(file=("a.txt", b"a"), purpose="user_data")
    state = fake.snapshot()
    second = client.files.create(file=("b.txt", b"b"), purpose="user_data")
    fake.restore(state)
    assert [file.id for file in client.files.list()] == [first.id]
    assert client.files.create(file=("b.txt", b"b"), purpose="user_data").id == second.id
    fake.reset()
    assert list(client.files.list()) == []
    assert client.files.create(file=("a.txt", b"a"), purpose="user_data").id == first.id


def test_what_is_no_snapshot_is_refused_and_changes_nothing() -> None:
    fake = FakeOpenAI()
    file = fake.client().files.create(file=("a", b"1"), purpose="assistants")
    for wrong in (None, {}, (1, 2, 3, 4)):
        with pytest.raises(TypeError, match="a snapshot is what `snapshot` gave"):
            fake.restore(wrong)
    assert fake.client().files.retrieve(file.id).id == file.id


def test_engines_by_model_are_a_mapping() -> None:
    wrong: Any = [Echo()]
    with pytest.raises(TypeError, match="engines is a mapping from models to engines, not a list"):
        FakeOpenAI(engines=wrong)


def test_two_fakes_share_nothing() -> None:
    one, two = FakeOpenAI(), FakeOpenAI()
    one.client().files.create(file=("a.txt", b"a"), purpose="user_data")
    assert list(two.client().files.list()) == []


async def test_async_clients_and_clients_of_the_official_package() -> None:
    fake = FakeOpenAI("echo")
    async with fake.async_client() as client:
        answer = await client.chat.completions.create(model="gpt-5", messages=HELLO)
    assert answer.choices[0].message.content == "hello"
    with httpx2.Client(transport=fake.official_transport()) as http:
        official = openai.OpenAI(api_key="any", base_url="http://fake.test/v1", http_client=http)
        theirs = await asyncio.to_thread(official.chat.completions.create, model="gpt-5", messages=HELLO)
    assert theirs.choices[0].message.content == "hello"


def test_on_a_port() -> None:
    fake = FakeOpenAI("echo")
    with fake.start(port=0) as server:
        client = fake.client(transport=None, base_url=server.base_url)
        assert client.chat.completions.create(model="gpt-5", messages=HELLO).choices[0].message.content == "hello"
        image = client.images.generate(model="dall-e-2", prompt="x", size="256x256")
        assert (image.data or [])[0].url.startswith(server.url)  # type: ignore[union-attr]
        with pytest.raises(PortInUse):
            FakeOpenAI().start(port=server.port)
        client.close()


async def test_within_an_asgi_application() -> None:
    app = Starlette(routes=[Mount("/openai", app=FakeOpenAI("echo").asgi())])
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://x") as http:
        client = openai.AsyncOpenAI(api_key="any", base_url="http://x/openai/v1", http_client=http)
        answer = await client.chat.completions.create(model="gpt-5", messages=HELLO)
        assert answer.choices[0].message.content == "hello"
        image = await client.images.generate(model="dall-e-2", prompt="x", size="256x256")
        assert image.data is not None
        assert image.data[0].url is not None
        assert image.data[0].url.startswith("http://x/openai/")
        assert (await http.get(image.data[0].url)).headers["content-type"] == "image/png"


def test_a_body_over_the_limit() -> None:
    fake = FakeOpenAI(max_body=10)
    with pytest.raises(Exception, match="413") as caught:
        said(fake)
    assert getattr(caught.value, "status_code", None) == 413
    assert "seed 0" in repr(fake)
