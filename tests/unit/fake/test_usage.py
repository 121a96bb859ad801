"""Usage and costs of the organization are those of the requests that were made."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import openai
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from antiphon import APIStatusError, BadRequestError, FakeOpenAI
from antiphon.fake import Price
from antiphon.server.clock import VirtualClock
from antiphon.server.turns import CodeInterpreter, WebSearch

BEGAN = 1_800_000_000 - 1_800_000_000 % 86_400
DAY = 86_400


@pytest.fixture
def fake() -> FakeOpenAI:
    """Two days: three conversations on the first, one on the second, and other things."""
    fake = FakeOpenAI("echo", clock=VirtualClock(BEGAN + 3600), prices={"gpt-5": Price(input=1.0, output=10.0)})
    with fake.client() as client:
        for model in ("gpt-5", "gpt-5", "gpt-5-mini"):
            client.chat.completions.create(model=model, messages=[{"role": "user", "content": "one two three"}])
        list(client.responses.create(model="gpt-5", input="a b", stream=True))
        with pytest.raises(BadRequestError):
            client.chat.completions.create(model="gpt-5", messages=[])
        client.embeddings.create(model="text-embedding-3-small", input="one two")
        client.moderations.create(input="one two")
        client.images.generate(model="gpt-image-1", prompt="a boat", n=2, size="1024x1024")
        sound = client.audio.speech.create(model="tts-1", voice="alloy", input="Hello", response_format="wav").read()
        client.audio.transcriptions.create(model="whisper-1", file=("a.wav", sound))
        fake.clock.advance("24h")
        fake.when(operation="responses.create").reply([WebSearch("boats"), "Found."])
        client.responses.create(model="gpt-5", input="x", tools=[{"type": "web_search"}])
    return fake


@pytest.fixture(params=["ours", "official"])
def usage(request: pytest.FixtureRequest, fake: FakeOpenAI) -> Any:
    if request.param == "ours":
        return fake.client(admin_api_key="admin").admin.organization.usage
    http = httpx2.Client(transport=fake.official_transport())
    made = openai.OpenAI(api_key="any", admin_api_key="admin", base_url="http://fake.test/v1", http_client=http)
    return made.admin.organization.usage


def test_tokens_by_day_and_model(usage: Any) -> None:
    first, second = usage.completions(start_time=BEGAN).data
    assert (first.start_time, first.end_time) == (BEGAN, BEGAN + DAY)
    assert first.results[0].num_model_requests == 4  # and not the one that was refused
    assert first.results[0].input_tokens > 10
    assert second.results[0].num_model_requests == 1
    (day,) = usage.completions(start_time=BEGAN, end_time=BEGAN + DAY, group_by=["model"]).data
    assert {each.model: each.num_model_requests for each in day.results} == {"gpt-5": 3, "gpt-5-mini": 1}
    (day,) = usage.completions(start_time=BEGAN, end_time=BEGAN + DAY, models=["gpt-5-mini"]).data
    assert day.results[0].num_model_requests == 1


def test_spans_and_pages(usage: Any) -> None:
    page = usage.completions(start_time=BEGAN, bucket_width="1h", limit=2)
    assert [len(each.results) for each in page.data] == [0, 1]
    assert page.has_more
    further = usage.completions(start_time=BEGAN, bucket_width="1h", limit=2, page=page.next_page)
    assert further.data[0].start_time == BEGAN + 7200
    last = usage.completions(start_time=BEGAN, limit=5)
    assert not last.has_more
    assert last.next_page is None


def test_everything_else(usage: Any) -> None:
    def of(kind: str, **more: Any) -> Any:
        return getattr(usage, kind)(start_time=BEGAN, end_time=BEGAN + 2 * DAY, **more).data

    assert of("embeddings")[0].results[0].input_tokens == 2
    assert of("moderations")[0].results[0].num_model_requests == 1
    (image,) = of("images", group_by=["size", "source"])[0].results
    assert (image.images, image.size, image.source) == (2, "1024x1024", "image.generation")
    assert of("audio_speeches")[0].results[0].characters == 5
    assert of("audio_transcriptions")[0].results[0].seconds >= 0
    assert of("web_search_calls")[1].results[0].num_requests == 1
    assert [day.results for day in of("vector_stores")] == [[], []]


def test_costs_are_those_of_the_journal(usage: Any, fake: FakeOpenAI) -> None:
    found = usage.costs(start_time=BEGAN, end_time=BEGAN + 2 * DAY, group_by=["line_item"]).data
    told = {each.line_item: each.amount.value for each in found[0].results if each.line_item == "gpt-5"}
    asked = [each.cost or 0 for each in fake.journal if each.model == "gpt-5" and each.began < BEGAN + DAY]
    assert told == {"gpt-5": pytest.approx(sum(asked))}


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"end_time": BEGAN - 1}, "end_time"),
        ({"end_time": 10**30}, "end_time"),
        ({"end_time": 10**15}, "no Unix time"),
        ({"page": "page_x"}, "there is no page"),
        ({"limit": 32}, "more than the 31"),
    ],
)
def test_what_cannot_be_asked(usage: Any, query: Any, words: str) -> None:
    with pytest.raises(Exception, match=words) as refused:
        usage.completions(start_time=BEGAN, **query)
    assert refused.value.status_code == 400  # type: ignore[attr-defined]


# What is kept


def bytes_by_span(fake: FakeOpenAI, start: float, width: str = "1d", **query: Any) -> list[list[tuple[Any, int]]]:
    usage = fake.client(admin_api_key="admin").admin.organization.usage
    page = usage.vector_stores(start_time=int(start), bucket_width=width, **query)  # type: ignore[arg-type]
    return [[(each.project_id, each.usage_bytes) for each in span.results] for span in page.data]  # type: ignore[union-attr]


def test_vector_stores_take_up_bytes_while_they_are_there() -> None:
    fake = FakeOpenAI(clock=VirtualClock(BEGAN), job_seconds=60)
    theirs = fake.client(project="proj_other")
    with fake.client() as client:
        file = client.files.create(file=("a.txt", b"one two three " * 50), purpose="assistants").id
        mine = client.vector_stores.create(file_ids=[file], expires_after={"anchor": "last_active_at", "days": 2})
        theirs.vector_stores.create(file_ids=[file])
        assert bytes_by_span(fake, BEGAN) == [[]]  # nothing was read yet
        fake.clock.advance(60)
        size = client.vector_stores.retrieve(mine.id).usage_bytes
        assert size > 0
        assert bytes_by_span(fake, BEGAN) == [[(None, 2 * size)]]
        apart = bytes_by_span(fake, BEGAN, group_by=["project_id"])
        assert apart == [[("proj_default", size), ("proj_other", size)]]
        assert bytes_by_span(fake, BEGAN, project_ids=["proj_other"]) == [[(None, size)]]
        assert bytes_by_span(fake, BEGAN, "1m", end_time=BEGAN + 300) == [[], [(None, 2 * size)], [], [], []]
        state = fake.snapshot()
        fake.clock.advance(3 * DAY)
        # The third day it expires; what has been stays as it was.
        assert bytes_by_span(fake, BEGAN) == [[(None, 2 * size)]] * 2 + [[(None, size)]] * 2
        client.vector_stores.delete(mine.id)
        client.files.delete(file)
        assert bytes_by_span(fake, BEGAN) == [[(None, 2 * size)]] * 2 + [[(None, size)], []]
        fake.restore(state)
        assert bytes_by_span(fake, BEGAN + 3 * DAY) == [[(None, size)]]
        for store in client.vector_stores.list():
            client.vector_stores.delete(store.id)
        assert bytes_by_span(fake, BEGAN + 3 * DAY) == [[]]
        assert not fake.server.store.list("vector_stores/projects")
    theirs.close()


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["make", "add", "take", "drop", "forget", "wait", "long"]),
            st.integers(0, 3),
            st.integers(0, 3),
        ),
        max_size=14,
    )
)
@settings(max_examples=25, deadline=None)
def test_the_account_is_that_of_the_stores(deeds: list[tuple[str, int, int]]) -> None:
    fake = FakeOpenAI(clock=VirtualClock(BEGAN), job_seconds=30)
    with fake.client(max_retries=0) as client:
        files = [client.files.create(file=(f"{n}.txt", b"word " * 9**n), purpose="assistants").id for n in range(4)]
        stores: list[str] = []
        for deed, one, other in deeds:
            store, file = stores[one % len(stores)] if stores else "vs_none", files[other]
            try:
                if deed == "make":
                    many: Any = {"anchor": "last_active_at", "days": 1} if one % 2 else None
                    stores.append(client.vector_stores.create(file_ids=files[:other], expires_after=many).id)
                elif deed == "add":
                    client.vector_stores.files.create(store, file_id=file)
                elif deed == "take":
                    client.vector_stores.files.delete(file, vector_store_id=store)
                elif deed == "drop":
                    client.vector_stores.delete(store)
                elif deed == "forget":
                    client.files.delete(file)
                else:
                    fake.clock.advance({"wait": 40, "long": DAY}[deed])
            except APIStatusError as error:
                assert error.status_code < 500  # noqa: PT017
            now = fake.clock.now()
            kept = [each.usage_bytes for each in client.vector_stores.list() if each.status != "expired"]
            (told,) = bytes_by_span(fake, now, "1m")
            assert told == ([(None, sum(kept))] if sum(kept) else [])


def test_jobs_use_what_they_ask_models() -> None:
    fake = FakeOpenAI("echo", clock=VirtualClock(BEGAN), job_seconds=60)
    usage = fake.client(admin_api_key="admin").admin.organization.usage
    client = fake.client()

    def told(kind: str = "completions", **query: Any) -> Any:
        (day,) = getattr(usage, kind)(start_time=BEGAN, end_time=BEGAN + DAY, **query).data
        return day.results

    body = {"model": "gpt-5", "messages": [{"role": "user", "content": "Hello there"}]}
    lines = [{"custom_id": str(n), "method": "POST", "url": "/v1/chat/completions", "body": body} for n in range(3)]
    data = b"\n".join(json.dumps(line).encode() for line in lines)
    file = client.files.create(file=("in.jsonl", data), purpose="batch").id
    batch = client.batches.create(input_file_id=file, endpoint="/v1/chat/completions", completion_window="24h")
    fake.clock.advance(60)
    spent = client.batches.retrieve(batch.id).usage
    (one,) = told(batch=True)
    assert spent is not None
    assert (one.num_model_requests, one.input_tokens) == (3, spent.input_tokens)
    assert told(batch=False) == []

    later = client.responses.create(model="gpt-6", input="one two", background=True)
    fake.clock.advance(60)
    known = client.responses.retrieve(later.id).usage
    (one,) = told(models=["gpt-6"])
    assert known is not None
    assert (one.input_tokens, one.output_tokens) == (known.input_tokens, known.output_tokens)
    assert one.output_tokens > 0

    near: Any = {"type": "text_similarity", "name": "n", "evaluation_metric": "cosine", "pass_threshold": 0}
    near |= {"input": "{{sample.output_text}}", "reference": "x"}
    config: Any = {"type": "custom", "item_schema": {"type": "object"}, "include_sample_schema": True}
    of = client.evals.create(data_source_config=config, testing_criteria=[near])
    rows: Any = {"type": "file_content", "content": [{"item": {"q": "a b"}}, {"item": {"q": "c"}}]}
    asks: Any = {"type": "template", "template": [{"role": "user", "content": "{{item.q}}"}]}
    source: Any = {"type": "completions", "model": "gpt-4o", "source": rows, "input_messages": asks}
    client.evals.runs.create(of.id, data_source=source)
    fake.clock.advance(60)
    (one,) = told(models=["gpt-4o"])
    assert (one.num_model_requests, one.output_tokens) == (2, 3)
    (one,) = told("embeddings")
    assert one.num_model_requests == 2

    question: Any = {"type": "predicate", "name": "q", "instructions": "Is it?"}
    decided = client.decisions.create(model="gpt-7", input="x", questions=[question])
    (one,) = told("decisions")
    assert (one.num_model_requests, one.input_tokens) == (1, decided.usage.input_tokens)


def test_sessions_of_code_are_containers() -> None:
    fake = FakeOpenAI(clock=VirtualClock(BEGAN))
    usage = fake.client(admin_api_key="admin").admin.organization.usage
    client = fake.client()
    box = client.containers.create(name="box")
    fake.when(operation="responses.create").reply([CodeInterpreter("1 + 1"), CodeInterpreter("2 + 2"), "Done."])
    for container in (box.id, box.id, {"type": "auto"}):
        tool: Any = {"type": "code_interpreter", "container": container}
        client.responses.create(model="gpt-5", input="x", tools=[tool])
    (day,) = usage.code_interpreter_sessions(start_time=BEGAN, end_time=BEGAN + DAY).data
    assert day.results[0].num_sessions == 2  # type: ignore[union-attr]
