from __future__ import annotations

import asyncio
import io
from typing import Any

import pytest

from antiphon.server.clock import VirtualClock

DATA = b'{"a": "caf\xc3\xa9"}\n' * 20
MIB = 1024 * 1024
TIMED: dict[str, Any] = {"anchor": "created_at", "seconds": 3600}


async def upload(api: Any, name: str = "notes.jsonl", data: bytes = DATA, purpose: str = "fine-tune") -> Any:
    return await api.call("files.create", file=(name, data), purpose=purpose)


async def content(api: Any, file: Any) -> bytes:
    data: bytes = await api.read(await api.call("files.content", file.id))
    return data


async def test_a_file_is_kept_byte_for_byte(api: Any) -> None:
    made = await upload(api)
    assert made.id.startswith("file-")
    assert (made.object, made.filename, made.bytes, made.purpose) == ("file", "notes.jsonl", len(DATA), "fine-tune")
    assert (made.status, made.expires_at) == ("processed", None)
    assert (await api.call("files.retrieve", made.id)).to_dict() == made.to_dict()
    assert await content(api, made) == DATA
    gone = await api.call("files.delete", made.id)
    assert (gone.id, gone.object, gone.deleted) == (made.id, "file", True)
    for operation in ("files.retrieve", "files.content", "files.delete"):
        with pytest.raises(api.errors.NotFoundError, match=f"No such File object: {made.id}"):
            await api.call(operation, made.id)


async def test_files_of_every_kind_of_argument(api: Any, tmp_path: Any) -> None:
    path = tmp_path / "on disk.txt"
    path.write_bytes(b"from disk")
    made = await api.call("files.create", file=path, purpose="user_data")
    assert (made.filename, made.bytes) == ("on disk.txt", 9)
    with path.open("rb") as stream:
        made = await api.call("files.create", file=stream, purpose="user_data")
    assert await content(api, made) == b"from disk"
    made = await api.call("files.create", file=("caf\u00e9.txt", b"x", "text/plain"), purpose="user_data")
    assert made.filename == "caf\u00e9.txt"
    made = await api.call("files.create", file=("empty", b""), purpose="user_data")
    assert (made.bytes, await content(api, made)) == (0, b"")


@pytest.mark.parametrize("purpose", ["assistants", "batch", "fine-tune", "vision", "user_data", "evals"])
async def test_every_purpose_is_kept_as_it_was_given(api: Any, purpose: str) -> None:
    made = await upload(api, purpose=purpose)
    assert made.purpose == purpose
    assert (await api.call("files.retrieve", made.id)).purpose == purpose
    assert [file.id for file in (await api.call("files.list", purpose=purpose)).data] == [made.id]
    kept = made.expires_at
    assert kept == (made.created_at + 30 * 86_400 if purpose == "batch" else None)


async def test_large_files_come_and_go_in_pieces(api: Any, tmp_path: Any) -> None:
    data = bytes(range(256)) * (5 * MIB // 256) + b"\r\n--"
    path = tmp_path / "large.bin"
    path.write_bytes(data)
    from_disk = await api.call("files.create", file=path, purpose="user_data")
    from_memory = await upload(api, "large.bin", data, "user_data")
    opened = await api.call("files.create", file=("large.bin", io.BytesIO(data)), purpose="user_data")
    for file in (from_disk, from_memory, opened):
        assert (file.bytes, file.filename) == (len(data), "large.bin")
        assert await content(api, file) == data
    if not api.is_async:
        with api.client.files.with_streaming_response.content(opened.id) as response:
            assert response.headers["content-length"] == str(len(data))
            assert b"".join(response.iter_bytes()) == data
    await api.call("files.delete", from_disk.id)
    assert await content(api, from_memory) == data
    state = api.fake.snapshot()
    await api.call("files.delete", from_memory.id)
    api.fake.restore(state)
    assert await content(api, from_memory) == data


LARGE = b'{"a": 1}\n' * (2 * MIB // 9)


@pytest.mark.parametrize("purpose", ["fine-tune", "batch", "evals"])
@pytest.mark.parametrize(
    ("data", "line", "begin"),
    [
        (b'{"a": 1}\n{not json}\n', 2, "{not json}"),
        (b'{"a": 1}\n\n[1, 2]', 3, "[1, 2]"),
        (b'"text"', 1, '"text"'),
        (b'{"a": 1}\n\xff\xfe', 2, "\ufffd\ufffd"),
        (LARGE + b'{"a": ', LARGE.count(b"\n") + 1, '{"a":'),
    ],
)
async def test_lines_are_objects_where_the_purpose_asks_for_them(
    api: Any, purpose: str, data: bytes, line: int, begin: str
) -> None:
    with pytest.raises(api.errors.BadRequestError) as caught:
        await upload(api, data=data, purpose=purpose)
    message = str(caught.value)
    assert f"Line {line} is not a dictionary" in message
    assert begin in message
    assert caught.value.param == "file"
    assert (await api.call("files.list")).data == []
    for good in (b'{"a": 1}\r\n\r\n{"b": 2}', LARGE):
        assert (await upload(api, data=good, purpose=purpose)).bytes == len(good)
    assert (await upload(api, data=data, purpose="user_data")).bytes == len(data)


@pytest.mark.fake(unknown_ids="conjure")
async def test_suites_of_mocks_may_upload_anything(api: Any) -> None:
    assert (await upload(api, data=b"raw bytes")).bytes == 9


@pytest.mark.fake(clock=VirtualClock())
async def test_files_are_gone_when_their_time_is_over(api: Any) -> None:
    short = await api.call("files.create", file=("a.txt", b"x"), purpose="user_data", expires_after=TIMED)
    assert short.expires_at == short.created_at + 3600
    batch, other = await upload(api, purpose="batch"), await upload(api)
    api.fake.clock.advance(3599)
    assert await content(api, short) == b"x"
    api.fake.clock.advance(1)
    for operation in ("files.retrieve", "files.content", "files.delete"):
        with pytest.raises(api.errors.NotFoundError):
            await api.call(operation, short.id)
    assert [file.id for file in (await api.call("files.list", order="asc")).data] == [batch.id, other.id]
    api.fake.clock.advance("30d")
    assert [file.id for file in (await api.call("files.list")).data] == [other.id]
    assert api.fake.server.store.open_blob(batch.id) is None


@pytest.mark.fake(clock=VirtualClock())
async def test_a_file_that_is_deleted_does_not_expire_as_well(api: Any) -> None:
    made = await upload(api, purpose="batch")
    await api.call("files.delete", made.id)
    state = api.fake.snapshot()
    kept = await upload(api, purpose="batch")
    api.fake.restore(state)
    api.fake.clock.advance("31d")
    assert (await api.call("files.list")).data == []
    with pytest.raises(api.errors.NotFoundError):
        await api.call("files.retrieve", kept.id)


async def test_files_are_listed_page_by_page(api: Any) -> None:
    made = [(await upload(api, f"{n}.jsonl", purpose="batch" if n % 2 else "fine-tune")).id for n in range(7)]
    page = await api.call("files.list", limit=3)
    assert len(page.data) == 3
    assert page.has_next_page()
    assert [file.id for file in await api.items(page)] == made[::-1]
    ascending = await api.call("files.list", limit=2, order="asc")
    assert [file.id for file in await api.items(ascending)] == made
    assert [file.id for file in (await api.call("files.list", order="asc", after=made[4])).data] == made[5:]
    batches = await api.items(await api.call("files.list", purpose="batch", order="asc"))
    assert [file.id for file in batches] == made[1::2]
    assert (await api.call("files.list", purpose="vision")).data == []


async def test_a_page_knows_the_next(api: Any) -> None:
    made = [(await upload(api, f"{n}.jsonl")).id for n in range(3)]
    first = await api.call("files.list", limit=2, order="asc")
    second = await api.settled(first.get_next_page())
    assert [file.id for file in second.data] == made[2:]
    assert not second.has_next_page()


@pytest.mark.parametrize(
    ("limit", "code"),
    [(0, "integer_below_min_value"), (-1, "integer_below_min_value"), (10_001, "integer_above_max_value")],
)
async def test_pages_have_a_size(api: Any, limit: int, code: str) -> None:
    with pytest.raises(api.errors.BadRequestError, match="Invalid 'limit'") as caught:
        await api.call("files.list", limit=limit)
    assert (caught.value.param, caught.value.code) == ("limit", code)


async def test_what_is_missing_is_named(api: Any) -> None:
    with pytest.raises(api.errors.BadRequestError) as caught:
        await api.call("files.create", file=("a.txt", b"x"), purpose="nonsense")
    assert caught.value.param == "purpose"
    for seconds in (3599, 2_592_001):
        with pytest.raises(api.errors.BadRequestError) as caught:
            await api.call("files.create", file=DATA, purpose="batch", expires_after={**TIMED, "seconds": seconds})
        assert caught.value.param == "expires_after.seconds"
    assert (await api.call("files.list")).data == []


@pytest.mark.fake(max_body=3 * MIB)
async def test_what_is_over_the_limit_is_refused(api: Any, tmp_path: Any) -> None:
    path = tmp_path / "large.bin"
    path.write_bytes(b"x" * (4 * MIB))
    for file in (path, path.read_bytes()):
        with pytest.raises(api.errors.APIStatusError) as caught:
            await api.call("files.create", file=file, purpose="user_data")
        assert caught.value.status_code == 413
    path.write_bytes(b"x" * (2 * MIB))
    assert (await api.call("files.create", file=path, purpose="user_data")).bytes == 2 * MIB


async def test_several_at_a_time_do_not_mix(api: Any) -> None:
    if not api.is_async:
        pytest.skip("one after the other is the other tests")
    many = [bytes([n]) * (MIB + n) for n in range(6)]
    files = await asyncio.gather(*(upload(api, f"{n}", data, "user_data") for n, data in enumerate(many)))
    assert await asyncio.gather(*(content(api, file) for file in files)) == many
