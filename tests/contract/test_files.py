from __future__ import annotations

from typing import Any

import pytest

DATA = b'{"a": "caf\xc3\xa9"}\n' * 20


async def upload(api: Any, name: str = "notes.jsonl", data: bytes = DATA, purpose: str = "fine-tune") -> Any:
    return await api.call("files.create", file=(name, data), purpose=purpose)


async def test_a_file_is_kept_byte_for_byte(api: Any) -> None:
    made = await upload(api)
    assert made.id.startswith("file-")
    assert (made.object, made.filename, made.bytes, made.purpose) == ("file", "notes.jsonl", len(DATA), "fine-tune")
    assert (await api.call("files.retrieve", made.id)).to_dict() == made.to_dict()
    assert await api.read(await api.call("files.content", made.id)) == DATA
    gone = await api.call("files.delete", made.id)
    assert (gone.id, gone.deleted) == (made.id, True)
    for operation in ("files.retrieve", "files.content", "files.delete"):
        with pytest.raises(api.errors.NotFoundError):
            await api.call(operation, made.id)


async def test_files_of_every_kind_of_argument(api: Any, tmp_path: Any) -> None:
    path = tmp_path / "on disk.txt"
    path.write_bytes(b"from disk")
    made = await api.call("files.create", file=path, purpose="user_data")
    assert (made.filename, made.bytes) == ("on disk.txt", 9)
    with path.open("rb") as stream:
        made = await api.call("files.create", file=stream, purpose="user_data")
    assert await api.read(await api.call("files.content", made.id)) == b"from disk"
    made = await api.call("files.create", file=("caf\u00e9.txt", b"x", "text/plain"), purpose="user_data")
    assert made.filename == "caf\u00e9.txt"


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


async def test_a_page_knows_the_next(api: Any) -> None:
    made = [(await upload(api, f"{n}.jsonl")).id for n in range(3)]
    first = await api.call("files.list", limit=2, order="asc")
    second = await api.settled(first.get_next_page())
    assert [file.id for file in second.data] == made[2:]
    assert not second.has_next_page()


async def test_what_is_missing_is_named(api: Any) -> None:
    with pytest.raises(api.errors.BadRequestError) as caught:
        await api.call("files.create", file=("a.txt", b"x"), purpose="nonsense")
    assert caught.value.param == "purpose"


async def test_an_upload_in_parts(api: Any) -> None:
    data = b"0123456789" * 10
    upload = await api.call(
        "uploads.create", filename="big.txt", bytes=len(data), purpose="user_data", mime_type="text/plain"
    )
    assert upload.status == "pending"
    parts = [await api.call("uploads.parts.create", upload.id, data=piece) for piece in (data[:60], data[60:])]
    done = await api.call("uploads.complete", upload.id, part_ids=[part.id for part in parts])
    assert done.status == "completed"
    assert await api.read(await api.call("files.content", done.file.id)) == data
