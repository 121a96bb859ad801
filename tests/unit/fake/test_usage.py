"""Usage and costs of the organization are those of the requests that were made."""

from __future__ import annotations

from typing import Any

import httpx2
import openai
import pytest

from antiphon import BadRequestError, FakeOpenAI
from antiphon.fake import Price
from antiphon.server.clock import VirtualClock
from antiphon.server.turns import WebSearch

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
    assert of("vector_stores") is not None


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
        ({"limit": 181}, "more than the 180"),
    ],
)
def test_what_cannot_be_asked(usage: Any, query: Any, words: str) -> None:
    with pytest.raises(Exception, match=words) as refused:
        usage.completions(start_time=BEGAN, **query)
    assert refused.value.status_code == 400  # type: ignore[attr-defined]
