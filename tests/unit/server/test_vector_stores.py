"""Vector stores by a clock that stands still: when files are read, when stores expire, what a snapshot has."""

from __future__ import annotations

import threading
from functools import cache
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, multiple, rule

import antiphon
from antiphon import FakeOpenAI
from antiphon.server import searching
from antiphon.server.clock import VirtualClock
from tests.unit.server.door import ask

DAY = 86_400


class Scene:
    def __init__(self, **options: Any) -> None:
        self.clock = VirtualClock()
        self.fake = FakeOpenAI(clock=self.clock, **{"job_seconds": 10, **options})
        self.client = self.fake.client(max_retries=0)
        self.stores = self.client.vector_stores

    def file(self, text: bytes | str = "about cats", name: str = "a.txt") -> str:
        data = text if isinstance(text, bytes) else text.encode()
        return self.client.files.create(file=(name, data), purpose="assistants").id

    def store(self, *files: str, **options: Any) -> str:
        return self.stores.create(file_ids=list(files), **options).id

    def counts(self, store: str) -> dict[str, int]:
        found: dict[str, int] = self.stores.retrieve(store).file_counts.to_dict()
        return {status: count for status, count in found.items() if count}

    def found(self, store: str, query: str, **options: Any) -> list[tuple[str, float]]:
        return [(each.file_id, each.score) for each in self.stores.search(store, query=query, **options).data]


def test_files_are_read_one_after_the_other() -> None:
    scene = Scene()
    files = [scene.file(f"text {n}") for n in range(4)]
    store = scene.store(*files)
    seen = []
    for _ in range(5):
        seen.append((scene.stores.retrieve(store).status, scene.counts(store).get("completed", 0)))
        scene.clock.advance(2.5)
    assert seen == [*(("in_progress", n) for n in range(4)), ("completed", 4)]
    assert scene.stores.files.retrieve(files[3], vector_store_id=store).status == "completed"


def test_what_is_not_read_yet_is_not_found() -> None:
    scene = Scene()
    first, second = scene.file("cats"), scene.file("more cats")
    store = scene.store(first, second)
    assert scene.found(store, "cats") == []
    scene.clock.advance(5)
    assert [file for file, _ in scene.found(store, "cats")] == [first]
    scene.clock.advance(5)
    assert {file for file, _ in scene.found(store, "cats")} == {first, second}


def test_a_tool_waits_until_the_files_are_read() -> None:
    scene = Scene()
    store = scene.store(scene.file("The cafe closes at five."))
    tool: Any = {"type": "file_search", "vector_store_ids": [store]}
    answer = scene.client.responses.create(model="gpt-5", input="When does the cafe close?", tools=[tool])
    assert "The cafe closes at five." in answer.output_text


def test_a_file_added_again_is_read_anew() -> None:
    scene = Scene()
    file = scene.file(" ".join(f"word{n}" for n in range(550)))
    store = scene.store(file)
    scene.clock.advance(10)
    before = scene.stores.retrieve(store).usage_bytes
    sizes: Any = {"type": "static", "static": {"max_chunk_size_tokens": 100, "chunk_overlap_tokens": 0}}
    assert len(scene.found(store, "word7", max_num_results=50)) == 2
    scene.stores.files.create(store, file_id=file, chunking_strategy=sizes, attributes={"a": 1})
    assert scene.counts(store) == {"in_progress": 1, "total": 1}
    assert scene.stores.retrieve(store).usage_bytes == 0
    scene.clock.advance(10)
    assert scene.counts(store) == {"completed": 1, "total": 1}
    assert 0 < scene.stores.retrieve(store).usage_bytes != before
    assert len(scene.found(store, "word7", max_num_results=50)) > 5


def test_a_store_that_nobody_uses_expires() -> None:
    scene = Scene()
    file = scene.file()
    store = scene.store(file, expires_after={"anchor": "last_active_at", "days": 2})
    began = scene.stores.retrieve(store).created_at
    scene.clock.advance(DAY)
    assert len(scene.found(store, "cats")) == 1
    told = scene.stores.retrieve(store)
    assert (told.last_active_at, told.expires_at) == (began + DAY, began + 3 * DAY)
    scene.clock.advance(2 * DAY - 1)
    assert scene.stores.retrieve(store).status == "completed"
    scene.clock.advance(1)
    assert scene.stores.retrieve(store).status == "expired"
    with pytest.raises(antiphon.BadRequestError, match="is expired"):
        scene.found(store, "cats")
    with pytest.raises(antiphon.BadRequestError, match="is expired"):
        scene.stores.files.create(store, file_id=file)
    tool: Any = {"type": "file_search", "vector_store_ids": [store]}
    with pytest.raises(antiphon.BadRequestError, match="is expired"):
        scene.client.responses.create(model="gpt-5", input="cats", tools=[tool])
    # What was in it can be read, so that another can be made of it.
    assert [each.id for each in scene.stores.files.list(store)] == [file]


def test_expiry_is_changed_and_taken_back() -> None:
    scene = Scene()
    store = scene.store()
    scene.stores.update(store, expires_after={"anchor": "last_active_at", "days": 1})
    scene.stores.update(store, expires_after=None)
    scene.clock.advance(10 * DAY)
    assert scene.stores.retrieve(store).status == "completed"
    scene.stores.update(store, expires_after={"anchor": "last_active_at", "days": 1})
    assert scene.stores.retrieve(store).status == "expired"  # it was last used ten days ago


def test_the_index_follows_a_snapshot() -> None:
    scene = Scene()
    cats, dogs = scene.file("about cats"), scene.file("about dogs")
    store = scene.store(cats)
    scene.clock.advance(10)
    state = scene.fake.snapshot()
    before = scene.found(store, "cats")
    scene.stores.files.create(store, file_id=dogs, attributes={"n": 1})
    scene.clock.advance(10)
    scene.stores.files.update(cats, vector_store_id=store, attributes={"n": 2})
    assert [file for file, _ in scene.found(store, "about", filters={"type": "eq", "key": "n", "value": 2})] == [cats]
    assert len(scene.found(store, "dogs")) == 2
    scene.fake.restore(state)
    assert scene.found(store, "cats") == before
    assert scene.found(store, "cats", filters={"type": "eq", "key": "n", "value": 2}) == []
    scene.fake.reset()
    other = scene.file("about mice")
    assert other == cats  # ids begin anew, and the same id is another file
    store = scene.store(other)
    scene.clock.advance(10)
    assert scene.stores.search(store, query="mice").data[0].content[0].text == "about mice"


def test_vectors_come_from_the_engine_of_embeddings() -> None:
    asked: list[str] = []

    def embed(texts: list[str]) -> list[list[float]]:
        asked.extend(texts)
        return [[3.0 * ("king" in text or "monarch" in text), 1.0] for text in texts]

    scene = Scene(embeddings=embed)
    king, other = scene.file("the king sleeps", "k.txt"), scene.file("the table stands", "t.txt")
    store = scene.store(king, other)
    scene.clock.advance(10)
    assert scene.found(store, "monarch", ranking_options={"ranker": "none"})[0] == (king, 1.0)
    assert scene.found(store, "monarch")[0][0] == king
    assert sorted(asked) == ["monarch", "monarch", "the king sleeps", "the table stands"]  # chunks once


def test_a_large_store_is_searched_by_words_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(searching, "_ALL", 3)
    scene = Scene()
    files = [scene.file(f"note {n} about cats and number{n}") for n in range(12)]
    store = scene.store(*files)
    scene.clock.advance(10)
    assert scene.found(store, "number7")[0][0] == files[7]
    assert [file for file, _ in scene.found(store, "number7")] == [files[7]]
    assert len(scene.found(store, "cats", max_num_results=50)) == 12
    assert scene.found(store, "nothing of it") == []


def test_deleting_a_store_ends_what_was_to_be_read() -> None:
    scene = Scene()
    store = scene.store(scene.file())
    scene.stores.file_batches.create(store, file_ids=[scene.file()])
    scene.stores.delete(store)
    scene.clock.advance(100)
    assert list(scene.stores.list()) == []
    assert scene.fake.server.store.list("jobs") == []


def test_searches_from_many_threads_while_files_come_and_go() -> None:
    client = FakeOpenAI(job_seconds=0).client()
    store = client.vector_stores.create().id
    wrong: list[BaseException] = []

    def work(who: int) -> None:
        try:
            for n in range(6):
                file = client.files.create(file=(f"{n}.txt", f"from{who} shared".encode()), purpose="assistants")
                client.vector_stores.files.create(store, file_id=file.id)
                found = client.vector_stores.search(store, query=f"from{who}").data
                assert f"from{who}" in found[0].content[0].text
                if n % 2:
                    client.files.delete(file.id)
        except BaseException as error:
            wrong.append(error)

    threads = [threading.Thread(target=work, args=(who,)) for who in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert client.vector_stores.retrieve(store).file_counts.completed == 12
    assert len(client.vector_stores.search(store, query="shared", max_num_results=50).data) == 12


@cache
def asked() -> tuple[Scene, str, str]:
    """A store that is asked all sorts of things, and the file in it."""
    scene = Scene(job_seconds=0)
    file = scene.file()
    return scene, scene.store(file), file


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-1000, 5000)
    | st.floats()
    | st.sampled_from(["", "auto", "static", "eq", "a"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                "type static key value filters max_chunk_size_tokens chunk_overlap_tokens file_id days".split()
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=6,
)
FIELDS = (
    "query filters ranking_options max_num_results rewrite_query file_ids files file_id attributes chunking_strategy "
    "expires_after name metadata"
).split()
PLACES = ("", "/{id}", "/{id}/search", "/{id}/files", "/{id}/file_batches", "/{id}/files/{file}")


@given(
    place=st.sampled_from(PLACES), body=st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=4), some=st.booleans()
)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_is_asked_is_answered_or_refused(place: str, body: dict[str, Any], some: bool) -> None:
    if some:
        body = {"query": "cats", **body}
    scene, store, file = asked()
    address = place.format(id=store, file=file)
    answer = ask(scene.fake, "POST", f"/v1/vector_stores{address}", body)
    assert answer.status in (200, 400, 404), answer.body
    assert answer.status == 200 or answer.error["message"]


class Files(RuleBasedStateMachine):
    """However files come and go, time passes and batches are cancelled: all counts are those of what is there."""

    files = Bundle("files")
    batches = Bundle("batches")

    @initialize(target=files)
    def begin(self) -> Any:
        self.scene = Scene()
        self.id = self.scene.store()
        self.names = [self.scene.file(f"text {n}") for n in range(5)] + [self.scene.file("x", "a.bin")]
        self.bad = self.names[-1]
        self.inside: set[str] = set()
        self.made: dict[str, set[str]] = {}
        self.ended: dict[str, Any] = {}
        return multiple(*self.names)

    @rule(file=files)
    def add(self, file: str) -> None:
        assert self.scene.stores.files.create(self.id, file_id=file).status == "in_progress"
        self.inside.add(file)

    @rule(target=batches, several=st.lists(files, min_size=1, max_size=4))
    def add_several(self, several: list[str]) -> str:
        batch = self.scene.stores.file_batches.create(self.id, file_ids=several)
        assert batch.file_counts.total == batch.file_counts.in_progress == len(set(several))
        self.inside |= set(several)
        self.made[batch.id] = set(several)
        return batch.id

    @rule(batch=batches)
    def cancel(self, batch: str) -> None:
        over = batch in self.ended or self.status(batch) != "in_progress"
        try:
            told = self.scene.stores.file_batches.cancel(batch, vector_store_id=self.id)
        except antiphon.BadRequestError:
            assert over
        else:
            assert not over
            assert (told.status, told.file_counts.in_progress) == ("cancelled", 0)

    @rule(file=files)
    def remove(self, file: str) -> None:
        try:
            self.scene.stores.files.delete(file, vector_store_id=self.id)
        except antiphon.NotFoundError:
            assert file not in self.inside
        self.inside.discard(file)

    @rule(file=consumes(files))
    def forget(self, file: str) -> None:
        self.scene.client.files.delete(file)
        self.inside.discard(file)
        self.names.remove(file)

    @rule(seconds=st.sampled_from([0.5, 3, 10]))
    def wait(self, seconds: float) -> None:
        self.scene.clock.advance(seconds)

    @rule()
    def go_back(self) -> None:
        self.scene.fake.restore(self.scene.fake.snapshot())

    def status(self, batch: str) -> str:
        return self.scene.stores.file_batches.retrieve(batch, vector_store_id=self.id).status

    @invariant()
    def counts_add_up(self) -> None:
        stores = self.scene.stores
        listed = {each.id: each for each in stores.files.list(self.id, limit=100)}
        assert listed.keys() == self.inside
        store = stores.retrieve(self.id)
        for status in ("in_progress", "completed", "failed", "cancelled"):
            assert getattr(store.file_counts, status) == sum(each.status == status for each in listed.values())
        assert store.file_counts.total == len(listed)
        assert store.status == ("in_progress" if store.file_counts.in_progress else "completed")
        assert store.usage_bytes == sum(each.usage_bytes for each in listed.values())
        for id, each in listed.items():
            assert (each.status == "failed") == (each.last_error is not None)
            assert each.status != ("completed" if id == self.bad else "failed")
        for id, several in self.made.items():
            batch = stores.file_batches.retrieve(id, vector_store_id=self.id)
            counts = batch.file_counts.to_dict()
            assert counts.pop("total") == sum(counts.values()) == len(several)
            assert min(counts.values()) >= 0
            if batch.status != "in_progress":
                assert counts["in_progress"] == 0
                assert self.ended.setdefault(id, (batch.status, counts)) == (batch.status, counts)
            inside = {each.id for each in stores.file_batches.list_files(id, vector_store_id=self.id)}
            assert inside == several & self.inside
        done = {id for id, each in listed.items() if each.status == "completed"}
        found = stores.search(self.id, query="text", max_num_results=50).data
        assert {each.file_id for each in found} == done


TestFiles = Files.TestCase
TestFiles.settings = settings(max_examples=25, stateful_step_count=15, deadline=None)
