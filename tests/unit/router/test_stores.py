"""Stores: what one keeps the other keeps, whoever asks at the same time."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from antiphon.router import MemoryStore, SQLiteStore, Store
from antiphon.router.stores.base import key

Make = Callable[..., Any]


@pytest.fixture(params=["memory", "sqlite"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Make]:
    made: list[SQLiteStore] = []

    def one(**settings: Any) -> Store:
        if request.param == "memory":
            return MemoryStore(**settings)
        made.append(SQLiteStore(tmp_path / "store.db", **settings))
        return made[-1]

    yield one
    for store in made:
        store.close()


KEYS = st.sampled_from(["a", "a/b", "a/c", "b", "a/b/c"])
SECONDS = st.none() | st.integers(1, 20)
AMOUNTS = st.dictionaries(st.sampled_from(["cost", "tokens"]), st.integers(-100, 100).map(float), max_size=2)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("get"), KEYS),
        st.tuples(st.just("set"), KEYS, st.binary(max_size=8), SECONDS),
        st.tuples(st.just("delete"), KEYS),
        st.tuples(st.just("keys"), st.sampled_from(["", "a", "a/", "c"])),
        st.tuples(st.just("add"), KEYS, AMOUNTS, SECONDS),
        st.tuples(st.just("claim"), KEYS, st.sampled_from(["me", "you"]), st.integers(1, 20)),
        st.tuples(st.just("release"), KEYS, st.sampled_from(["me", "you"])),
        st.tuples(st.just("wait"), st.integers(1, 15)),
    ),
    max_size=30,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STEPS)
def test_both_stores_answer_alike(steps: list[Any]) -> None:
    now = 1000.0

    async def run(store: Any) -> list[Any]:
        nonlocal now
        now = 1000.0
        answers: list[Any] = []
        for name, *arguments in steps:
            if name == "wait":
                now += arguments[0]
            else:
                answers.append(await getattr(store, name)(*arguments))
        return answers

    memory = asyncio.run(run(MemoryStore(clock=lambda: now)))
    with SQLiteStore(":memory:", clock=lambda: now) as store:
        assert asyncio.run(run(store)) == memory


async def test_counters_add_up_whoever_adds(make: Make) -> None:
    store = make()
    await asyncio.gather(*(store.add("k", {"n": 1, "cost": 0.5}) for _ in range(40)))
    assert await store.add("k", {}) == {"n": 40, "cost": 20}
    assert await store.add("other", {}) == {}


async def test_one_of_many_has_a_claim(make: Make) -> None:
    store = make()
    assert sum(await asyncio.gather(*(store.claim("k", str(n), 60) for n in range(20)))) == 1


async def test_a_claim_that_is_not_renewed_is_free(make: Make) -> None:
    now = 0.0
    store = make(clock=lambda: now)
    assert await store.claim("k", "dead", 30)
    now = 20.0
    assert not await store.claim("k", "next", 30)
    assert await store.claim("k", "dead", 30), "held for longer"
    now = 45.0
    assert not await store.claim("k", "next", 30)
    now = 50.0
    assert await store.claim("k", "next", 30)
    await store.release("k", "dead")
    assert not await store.claim("k", "third", 30), "only its owner lets go of it"


async def test_what_is_over_is_swept_away(make: Make, tmp_path: Path) -> None:
    now = 0.0
    store = make(clock=lambda: now)
    for number in range(10):
        await store.set(f"k/{number}", b"v", 5)
        await store.add(f"k/{number}", {"n": 1}, 5)
        await store.claim(f"k/{number}", "me", 5)
    now = 10.0
    for _ in range(1024):
        await store.set("again", b"v")
    if isinstance(store, MemoryStore):
        assert (len(store._values), len(store._counters), len(store._claims)) == (1, 0, 0)
    else:
        store.close()
        database = sqlite3.connect(tmp_path / "store.db")
        counts = [
            database.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            for table in ('"values"', "counters", "claims")
        ]
        database.close()
        assert counts == [1, 0, 0]


async def test_the_least_used_value_leaves_a_full_memory() -> None:
    store = MemoryStore(limit=2)
    await store.set("a", b"1")
    await store.set("b", b"2")
    await store.get("a")
    await store.set("c", b"3")
    assert await store.keys("") == ["a", "c"]
    with pytest.raises(ValueError, match="limit is at least 1"):
        MemoryStore(limit=0)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text(max_size=5), min_size=1, max_size=3), st.lists(st.text(max_size=5), min_size=1, max_size=3))
def test_keys_tell_all_texts_apart(one: list[str], other: list[str]) -> None:
    assert (key(*one) == key(*other)) == (one == other)
    assert key(*one).isascii() and key(*one).isprintable()


WORKER = """
import asyncio, sys
from antiphon.router import SQLiteStore

async def work(store):
    held = 0
    for number in range(25):
        await store.add("count", {"n": 1})
        while not await store.claim("turn", sys.argv[2] , 60):
            await asyncio.sleep(0.002)
        told = int(await store.get("told") or b"0")
        await store.set("told", str(told + 1).encode())
        await store.release("turn", sys.argv[2])

with SQLiteStore(sys.argv[1]) as store:
    asyncio.run(work(store))
"""


def test_several_processes_share_a_file(tmp_path: Path) -> None:
    path = tmp_path / "shared.db"
    workers = [
        subprocess.Popen([sys.executable, "-c", WORKER, str(path), str(n)], stderr=subprocess.PIPE) for n in range(3)
    ]
    for worker in workers:
        _, said = worker.communicate(timeout=120)
        assert worker.returncode == 0, said.decode()
    with SQLiteStore(path) as store:
        assert asyncio.run(store.add("count", {})) == {"n": 75}
        assert asyncio.run(store.get("told")) == b"75", "who holds the claim writes alone"


async def test_a_file_is_read_again_and_on_other_loops(tmp_path: Path) -> None:
    with SQLiteStore(tmp_path / "kept.db") as store:
        await store.set("k", b"v")
        found: list[Any] = []
        thread = threading.Thread(target=lambda: found.append(asyncio.run(store.get("k"))))
        thread.start()
        thread.join()
        assert found == [b"v"]
    store.close()
    with pytest.raises(ValueError, match="was closed"):
        await store.get("k")
    with SQLiteStore(tmp_path / "kept.db") as store:
        assert await store.get("k") == b"v"


async def test_a_file_that_is_no_database_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "letter.txt"
    path.write_text("Dear Ada, " * 100)
    with SQLiteStore(path) as store, pytest.raises(sqlite3.DatabaseError):
        await store.get("k")
    assert path.read_text() == "Dear Ada, " * 100
