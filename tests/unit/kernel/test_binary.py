"""Answers that are bytes."""

from __future__ import annotations

import pathlib
from typing import Any

import pytest

from antiphon.kernel.binary import HttpxBinaryResponseContent
from antiphon.kernel.http import Headers, Response


def binary(content: bytes, content_type: str | None = None) -> HttpxBinaryResponseContent:
    headers = Headers({"content-type": content_type} if content_type else {})
    return HttpxBinaryResponseContent(Response(200, headers, content))


def test_bytes_text_and_json() -> None:
    answer = binary('{"a":"é"}'.encode(), "application/json")
    assert answer.content == answer.read() == '{"a":"é"}'.encode()
    assert answer.text == '{"a":"é"}'
    assert answer.json() == {"a": "é"}
    assert repr(answer) == "<10 bytes of application/json>"
    assert repr(binary(b"")) == "<0 bytes of an unknown type>"
    with pytest.raises(ValueError):
        binary(b"{").json()
    answer.close()


@pytest.mark.parametrize(
    ("content_type", "charset", "text"),
    [
        (None, None, "\ufffd"),
        ("text/plain", None, "\ufffd"),
        ("text/plain; charset=latin-1", "latin-1", "ÿ"),
        ('text/plain; charset="latin-1"; x=y', "latin-1", "ÿ"),
        ("text/plain; charset=no-such", None, "\ufffd"),
    ],
)
def test_text_is_read_in_the_charset_of_the_content_type(
    content_type: str | None, charset: str | None, text: str
) -> None:
    answer = binary(b"\xff", content_type)
    assert answer.charset_encoding == charset
    assert answer.encoding == (charset or "utf-8")
    assert answer.text == text


def test_pieces() -> None:
    answer = binary("aé\nb\r\nc".encode())
    assert b"".join(answer.iter_bytes(2)) == answer.content
    assert list(answer.iter_bytes(5)) == [answer.content[:5], answer.content[5:]]
    assert list(answer.iter_raw()) == [answer.content]
    assert list(answer.iter_text(3)) == ["aé\n", "b\r\n", "c"]
    assert list(answer.iter_lines()) == ["aé", "b", "c"]


async def test_pieces_in_a_loop() -> None:
    answer: Any = binary("aé\nb".encode())
    assert await answer.aread() == answer.content
    assert [each async for each in await answer.aiter_bytes(3)] == list(answer.iter_bytes(3))
    assert [each async for each in await answer.aiter_raw()] == [answer.content]
    assert [each async for each in await answer.aiter_text(2)] == ["aé", "\nb"]
    assert [each async for each in await answer.aiter_lines()] == ["aé", "b"]
    await answer.aclose()


async def test_writing_to_files(tmp_path: pathlib.Path) -> None:
    answer = binary(b"x" * 200_000)
    answer.write_to_file(tmp_path / "a")
    answer.stream_to_file(tmp_path / "b", chunk_size=1000)
    await answer.astream_to_file(tmp_path / "c")
    assert {path.read_bytes() for path in tmp_path.iterdir()} == {answer.content}
    assert len(list(tmp_path.iterdir())) == 3
    with pytest.raises(OSError):
        answer.write_to_file(tmp_path / "no" / "where")
