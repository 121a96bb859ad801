"""Uploads: files that come in parts."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

import antiphon
from antiphon import FakeOpenAI
from antiphon.server.clock import VirtualClock

MIB = 1024 * 1024
DATA = bytes(range(100))


async def begun(api: Any, size: int = len(DATA), purpose: str = "user_data", **options: Any) -> Any:
    options = {"filename": "big.txt", "mime_type": "text/plain", **options}
    return await api.call("uploads.create", bytes=size, purpose=purpose, **options)


async def part(api: Any, upload: Any, data: Any) -> Any:
    return await api.call("uploads.parts.create", upload.id, data=data)


async def content(api: Any, file: Any) -> bytes:
    data: bytes = await api.read(await api.call("files.content", file.id))
    return data


async def test_parts_become_a_file_in_the_order_asked_for(api: Any) -> None:
    upload = await begun(api)
    assert upload.id.startswith("upload_")
    assert (upload.object, upload.status, upload.bytes, upload.filename) == ("upload", "pending", 100, "big.txt")
    assert (upload.purpose, upload.expires_at, upload.file) == ("user_data", upload.created_at + 3600, None)
    second = await part(api, upload, DATA[60:])
    first = await part(api, upload, DATA[:60])
    unused = await part(api, upload, b"never asked for")
    assert first.id.startswith("part_")
    assert (first.object, first.upload_id) == ("upload.part", upload.id)
    done = await api.call("uploads.complete", upload.id, part_ids=[first.id, second.id])
    assert (done.id, done.status, done.file.object) == (upload.id, "completed", "file")
    assert (done.file.filename, done.file.bytes, done.file.purpose) == ("big.txt", 100, "user_data")
    assert await content(api, done.file) == DATA
    assert (await api.call("files.retrieve", done.file.id)).to_dict() == done.file.to_dict()
    assert [file.id for file in (await api.call("files.list")).data] == [done.file.id]
    for kept in (first, second, unused):
        assert api.fake.server.store.open_blob(kept.id) is None


async def test_large_parts_are_put_together_in_a_file(api: Any, tmp_path: Any) -> None:
    data = bytes(range(256)) * (5 * MIB // 256)
    path = tmp_path / "whole.bin"
    path.write_bytes(data)
    upload = await api.call(
        "uploads.upload_file_chunked",
        file=path,
        mime_type="application/octet-stream",
        purpose="user_data",
        part_size=2 * MIB,
        md5=hashlib.md5(data, usedforsecurity=False).hexdigest(),
    )
    assert (upload.status, upload.file.bytes) == ("completed", len(data))
    assert await content(api, upload.file) == data


async def test_what_does_not_add_up_is_refused_and_can_be_put_right(api: Any) -> None:
    upload = await begun(api)
    short, rest = await part(api, upload, DATA[:60]), await part(api, upload, DATA[60:])
    other = await part(api, await begun(api), DATA)
    wrong: list[tuple[list[str], dict[str, Any], str, str]] = [
        ([short.id], {}, "part_ids", "have 60 bytes, but 100 were announced"),
        ([short.id, rest.id, rest.id], {}, "part_ids", "have 140 bytes"),
        ([short.id, "part_none"], {}, "part_ids", "part_none"),
        ([other.id], {}, "part_ids", other.id),
        ([rest.id, short.id], {"md5": hashlib.md5(DATA, usedforsecurity=False).hexdigest()}, "md5", "checksum"),
    ]
    for parts, options, param, message in wrong:
        with pytest.raises(api.errors.BadRequestError, match=message) as caught:
            await api.call("uploads.complete", upload.id, part_ids=parts, **options)
        assert caught.value.param == param
    assert (await api.call("files.list")).data == []
    md5 = hashlib.md5(DATA, usedforsecurity=False).hexdigest().upper()
    done = await api.call("uploads.complete", upload.id, part_ids=[short.id, rest.id], md5=md5)
    assert done.status == "completed"


async def test_lines_are_checked_when_all_are_there(api: Any) -> None:
    upload = await begun(api, 20, "fine-tune", filename="a.jsonl", mime_type="text/jsonl")
    good, bad = await part(api, upload, b'{"a": 1}\n{"b'), await part(api, upload, b'": nope}')
    with pytest.raises(api.errors.BadRequestError, match="Line 2 is not a dictionary"):
        await api.call("uploads.complete", upload.id, part_ids=[good.id, bad.id])
    better = await part(api, upload, b'":   2 }')
    assert (await api.call("uploads.complete", upload.id, part_ids=[good.id, better.id])).status == "completed"


async def over(api: Any, upload: Any, state: str) -> None:
    """See that nothing more can be done with an upload."""
    for call in (
        part(api, upload, b"x"),
        api.call("uploads.complete", upload.id, part_ids=["part_x"]),
        api.call("uploads.cancel", upload.id),
    ):
        with pytest.raises(api.errors.BadRequestError, match=f"is {state}"):
            await call


async def test_an_upload_is_over_once(api: Any) -> None:
    upload = await begun(api)
    kept = await part(api, upload, DATA)
    cancelled = await api.call("uploads.cancel", upload.id)
    assert (cancelled.id, cancelled.status, cancelled.file) == (upload.id, "cancelled", None)
    assert api.fake.server.store.open_blob(kept.id) is None
    await over(api, upload, "cancelled")
    upload = await begun(api)
    kept = await part(api, upload, DATA)
    await api.call("uploads.complete", upload.id, part_ids=[kept.id])
    await over(api, upload, "completed")


@pytest.mark.fake(clock=VirtualClock())
async def test_an_upload_is_over_after_an_hour(api: Any) -> None:
    upload = await begun(api)
    kept = await part(api, upload, DATA)
    api.fake.clock.advance(3599)
    await part(api, upload, DATA)
    api.fake.clock.advance(1)
    await over(api, upload, "expired")
    assert api.fake.server.store.open_blob(kept.id) is None


@pytest.mark.fake(clock=VirtualClock())
async def test_the_file_is_kept_as_long_as_was_said(api: Any) -> None:
    upload = await begun(api, expires_after={"anchor": "created_at", "seconds": 7200})
    kept = await part(api, upload, DATA)
    api.fake.clock.advance(600)
    file = (await api.call("uploads.complete", upload.id, part_ids=[kept.id])).file
    assert file.expires_at == file.created_at + 7200 == upload.created_at + 7800
    api.fake.clock.advance(7199)
    assert await content(api, file) == DATA
    api.fake.clock.advance(1)
    with pytest.raises(api.errors.NotFoundError):
        await content(api, file)


async def test_what_cannot_begin(api: Any) -> None:
    for size, code in ((0, "integer_below_min_value"), (8 * 1024 * MIB + 1, "integer_above_max_value")):
        with pytest.raises(api.errors.BadRequestError) as caught:
            await begun(api, size)
        assert (caught.value.param, caught.value.code) == ("bytes", code)
    with pytest.raises(api.errors.BadRequestError) as caught:
        await begun(api, expires_after={"anchor": "created_at", "seconds": 5})
    assert caught.value.param == "expires_after.seconds"
    with pytest.raises(api.errors.BadRequestError) as caught:
        await begun(api, purpose="nonsense")
    assert caught.value.param == "purpose"
    for operation, options in (("cancel", {}), ("complete", {"part_ids": []}), ("parts.create", {"data": b"x"})):
        with pytest.raises(api.errors.NotFoundError, match="upload_none"):
            await api.call(f"uploads.{operation}", "upload_none", **options)


async def test_parts_have_a_size(api: Any, tmp_path: Any) -> None:
    if api.where == "on a port" or api.official:
        pytest.skip("the size of one is enough")
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.truncate(64 * MIB + 1)
    upload = await begun(api, 128 * MIB)
    with pytest.raises(api.errors.BadRequestError, match="at most 67108864 bytes") as caught:
        await part(api, upload, path)
    assert caught.value.param == "data"


# Whatever is done in whatever order


class UploadsMachine(RuleBasedStateMachine):
    """Uploads in process beside a model of them: a state, the parts, and the time they are over."""

    uploads: Bundle[str] = Bundle("uploads")
    parts: Bundle[str] = Bundle("parts")

    def __init__(self) -> None:
        super().__init__()
        self.clock = VirtualClock(1000)
        self.fake = FakeOpenAI(clock=self.clock)
        self.client = self.fake.client(max_retries=0)
        self.states: dict[str, str] = {}
        self.sizes: dict[str, int] = {}
        self.ends: dict[str, float] = {}
        self.bytes: dict[str, bytes] = {}
        self.owner: dict[str, str] = {}
        self.files: dict[str, bytes] = {}
        self.saved: Any = None

    def pending(self, upload: str) -> bool:
        return self.states[upload] == "pending"

    def refused(self, upload: str) -> Any:
        if self.states[upload] == "gone":
            return pytest.raises(antiphon.NotFoundError, match=upload)
        return pytest.raises(antiphon.BadRequestError, match=f"is {self.states[upload]}")

    @rule(target=uploads, size=st.integers(1, 12))
    def begin(self, size: int) -> str:
        made = self.client.uploads.create(bytes=size, filename="f", mime_type="text/plain", purpose="user_data")
        assert made.status == "pending"
        self.states[made.id], self.sizes[made.id], self.ends[made.id] = "pending", size, made.expires_at
        return str(made.id)

    @rule(target=parts, upload=uploads, data=st.binary(max_size=6))
    def add(self, upload: str, data: bytes) -> str:
        if not self.pending(upload):
            with self.refused(upload):
                self.client.uploads.parts.create(upload, data=data)
            return "part_none"
        made = self.client.uploads.parts.create(upload, data=data)
        self.bytes[made.id], self.owner[made.id] = data, upload
        return str(made.id)

    @rule(upload=uploads, chosen=st.lists(parts, max_size=4), right=st.booleans())
    def complete(self, upload: str, chosen: list[str], right: bool) -> None:
        mine = [part for part in chosen if part in self.bytes and self.owner[part] == upload]
        chosen = mine if right else chosen
        whole = b"".join(self.bytes.get(part, b"") for part in chosen)
        if self.pending(upload) and chosen == mine and len(whole) == self.sizes[upload]:
            md5 = hashlib.md5(whole, usedforsecurity=False).hexdigest()
            done = self.client.uploads.complete(upload, part_ids=chosen, md5=md5)
            assert done.status == "completed"
            assert done.file is not None
            self.states[upload], self.files[done.file.id] = "completed", whole
        else:
            with pytest.raises((antiphon.BadRequestError, antiphon.NotFoundError)):
                self.client.uploads.complete(upload, part_ids=chosen)

    @rule(upload=uploads)
    def complete_with_one(self, upload: str) -> None:
        if self.pending(upload):
            part = self.client.uploads.parts.create(upload, data=b"x" * self.sizes[upload]).id
            done = self.client.uploads.complete(upload, part_ids=[part])
            assert done.file is not None
            self.states[upload], self.files[done.file.id] = "completed", b"x" * self.sizes[upload]

    @rule(upload=uploads)
    def cancel(self, upload: str) -> None:
        if self.pending(upload):
            assert self.client.uploads.cancel(upload).status == "cancelled"
            self.states[upload] = "cancelled"
        else:
            with self.refused(upload):
                self.client.uploads.cancel(upload)

    @rule(seconds=st.sampled_from([1, 600, 1800, 3599, 3600]))
    def let_time_pass(self, seconds: int) -> None:
        self.clock.advance(seconds)
        for upload, end in self.ends.items():
            if self.pending(upload) and end <= self.clock.now():
                self.states[upload] = "expired"

    @rule()
    def save(self) -> None:
        self.saved = (self.fake.snapshot(), dict(self.states), dict(self.files), dict(self.bytes))

    @rule()
    def go_back(self) -> None:
        if self.saved is None:
            return
        state, states, files, pieces = self.saved
        self.fake.restore(state)
        # What was begun since is gone, until its id is given once more.
        self.states = {upload: states.get(upload, "gone") for upload in self.states}
        self.files, self.bytes = dict(files), dict(pieces)
        self.let_time_pass(1)

    @invariant()
    def what_is_kept_is_what_was_sent(self) -> None:
        kept = {file.id: self.client.files.content(file.id).read() for file in self.client.files.list()}
        assert kept == self.files
        store = self.fake.server.store
        for upload, state in self.states.items():
            doc = store.get("uploads", upload)
            assert (doc["status"] if doc else "gone") == state
        for part in self.bytes:
            assert (store.open_blob(part) is not None) == self.pending(self.owner[part])


TestUploads = UploadsMachine.TestCase
TestUploads.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
