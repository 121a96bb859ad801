"""Forms with files: written for any server, read in any split."""

from __future__ import annotations

import io
import os
import pathlib
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.kernel import multipart
from antiphon.kernel.http import Upload
from antiphon.kernel.multipart import Decoder, FilePart, Part, boundary_of, decode, encode, file_part
from antiphon.kernel.spool import Spool, Spooled


def body_of(encoded: tuple[str, bytes | Upload]) -> bytes:
    return encoded[1] if isinstance(encoded[1], bytes) else encoded[1].read()


# Writing


def test_a_form_of_bytes_is_bytes() -> None:
    content_type, body = encode(
        [("purpose", "é"), ("raw", b"\xff")],
        [FilePart("file", "a.txt", b"hi"), FilePart("x", None, b"{}", "application/json")],
        boundary="B",
    )
    assert content_type == "multipart/form-data; boundary=B"
    assert body == (
        b'--B\r\nContent-Disposition: form-data; name="purpose"\r\n\r\n\xc3\xa9\r\n'
        b'--B\r\nContent-Disposition: form-data; name="raw"\r\n\r\n\xff\r\n'
        b'--B\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\nContent-Type: text/plain\r\n\r\nhi\r\n'
        b'--B\r\nContent-Disposition: form-data; name="x"\r\nContent-Type: application/json\r\n\r\n{}\r\n'
        b"--B--\r\n"
    )


def test_boundaries_differ() -> None:
    assert encode([("a", "b")])[0] != encode([("a", "b")])[0]


def test_files_are_read_when_they_are_sent(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "big.bin"
    path.write_bytes(os.urandom(200_000))
    parts = [FilePart("path", "big.bin", path), FilePart("open", "o", io.BytesIO(b"abc"))]
    content_type, body = encode([("a", "b")], parts, boundary="B")
    assert isinstance(body, Upload)
    assert body.replayable
    assert body.length == len(body.read()) == len(body.read())
    found = decode(content_type, body.read())
    assert [part.content for part in found] == [b"b", path.read_bytes(), b"abc"]


def test_an_open_file_is_sent_from_its_beginning(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"0123456789")
    with path.open("rb") as file:
        file.read(5)
        body = encode([], [FilePart("f", "a", file)])[1]
        assert isinstance(body, Upload)
        assert b"0123456789" in body.read()
        assert body.length == len(body.read())


class Pipe:
    """A file that cannot be sought."""

    def __init__(self, data: bytes) -> None:
        self.data = io.BytesIO(data)

    def read(self, size: int = -1) -> bytes:
        return self.data.read(size)

    def seekable(self) -> bool:
        return False


class Closed(Pipe):
    def seekable(self) -> bool:
        raise ValueError("closed")


class Strange:
    """A file of another library: it can seek, but says little about it."""

    def __init__(self, data: bytes) -> None:
        self.data = io.BytesIO(data)

    def read(self, size: int = -1) -> bytes:
        return self.data.read(size)

    def seek(self, at: int, whence: int = 0) -> None:
        self.data.seek(at, whence)

    def tell(self) -> int:
        return self.data.tell()


@pytest.mark.parametrize("file", [Pipe(b"abc"), Closed(b"abc")])
def test_a_file_that_cannot_be_sought_is_sent_once(file: Any) -> None:
    body = encode([], [FilePart("f", "a", file)])[1]
    assert isinstance(body, Upload)
    assert not body.replayable
    assert body.length is None
    assert b"abc" in body.read()


def test_files_of_other_libraries_are_measured() -> None:
    body = encode([], [FilePart("f", "a", Strange(b"abc"))])[1]
    assert isinstance(body, Upload)
    assert body.replayable
    assert body.length == len(body.read())


def test_a_pipe_of_the_system_has_no_length() -> None:
    reading, writing = os.pipe()
    os.write(writing, b"abc")
    os.close(writing)
    with os.fdopen(reading, "rb") as file:
        body = encode([], [FilePart("f", "a", file)])[1]
        assert isinstance(body, Upload)
        assert body.length is None
        assert b"abc" in body.read()


def test_a_path_of_a_pipe_has_no_length(tmp_path: pathlib.Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    body = encode([], [FilePart("f", "a", tmp_path / "fifo")])[1]
    assert isinstance(body, Upload)
    assert body.length is None
    assert not body.at_hand


def test_files_of_a_disk_are_at_hand_and_what_may_be_slow_is_not(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"abc")

    class Slow(io.BytesIO):
        pass

    def at_hand(*files: Any) -> bool:
        body = encode([("a", "b")], [FilePart("f", "a", file) for file in files])[1]
        assert isinstance(body, Upload)
        return body.at_hand

    with path.open("rb") as opened:
        assert at_hand(path)
        assert at_hand(opened, io.BytesIO(b"abc"))
        assert not at_hand(Slow(b"abc"))
        assert not at_hand(path, Pipe(b"abc"))
        assert not Upload(lambda: iter([b"a"])).at_hand


@pytest.mark.parametrize(
    ("file", "part"),
    [
        (b"x", FilePart("f", "upload", b"x")),
        (bytearray(b"x"), FilePart("f", "upload", b"x")),
        (memoryview(b"x"), FilePart("f", "upload", b"x")),
        (pathlib.Path("a/b.txt"), FilePart("f", "b.txt", pathlib.Path("a/b.txt"))),
        (("n", b"x"), FilePart("f", "n", b"x")),
        ((None, b"x", "text/x"), FilePart("f", None, b"x", "text/x")),
        (("n", b"x", None, {"A": "b"}), FilePart("f", "n", b"x", None, {"A": "b"})),
    ],
)
def test_what_a_call_takes_as_a_file(file: Any, part: FilePart) -> None:
    assert file_part("f", file) == part


def test_an_open_file_has_the_name_of_its_path(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "song.mp3"
    path.write_bytes(b"x")
    with path.open("rb") as file:
        assert file_part("f", file).filename == "song.mp3"
    with os.fdopen(os.open(path, os.O_RDONLY), "rb") as descriptor:
        assert file_part("f", descriptor).filename == "upload"
    assert file_part("f", io.BytesIO()).filename == "upload"


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("text", "is a str: give its bytes"),
        (5, "of type int: give bytes"),
        (("n",), "a tuple of 1"),
        (("n", b"", None, {}, 1), "a tuple of 5"),
        (io.StringIO("x"), "open in text mode"),
        (("n", "text"), "is a str"),
    ],
)
def test_what_is_no_file_is_refused(file: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        file_part("f", file)


def test_headers_of_parts() -> None:
    body = body_of(encode([], [FilePart("f", "a.bin", b"", headers={"X-A": "é", "content-type": "a/b"})], boundary="B"))
    assert body.count(b"ontent-") == 2
    assert "X-A: é\r\n".encode() in body
    for headers in ({"a b": "c"}, {"": "c"}, {"é": "c"}, {"a": "b\r\nc"}, {"a": "\x7f"}):
        with pytest.raises(ValueError, match="header"):
            encode([], [FilePart("f", "a", b"", headers=headers)])
    encode([], [FilePart("f", "a", b"", headers={"a": "b\tc"})])


names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=10)


@given(names, st.none() | names)
def test_names_are_quoted_as_httpx_does_it(name: str, filename: str | None) -> None:
    part = FilePart(name, filename, b"x", "a/b")
    request = httpx2.Request("POST", "http://x", files=[(name, (filename, b"x", "a/b"))])
    boundary = request.headers["content-type"].partition("boundary=")[2]
    assert body_of(encode([], [part], boundary=boundary)) == request.read()


# Reading

contents = st.binary(max_size=40) | st.sampled_from([b"\r\n", b"--B", b"\r\n--B", b"\r\n--", b"\r\n--Bx", b"-" * 20])
quotable = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="%"), min_size=1, max_size=8)
fields = st.lists(st.tuples(quotable, st.none() | quotable, contents), max_size=4)


def cut(body: bytes, data: Any) -> Iterator[bytes]:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=8)))
    for a, b in zip([0, *cuts], [*cuts, len(body)], strict=True):
        yield body[a:b]


@given(fields, st.data())
def test_what_is_written_is_read_back_in_any_split(
    given_fields: list[tuple[str, str | None, bytes]], data: Any
) -> None:
    boundary = "Bb0undary"
    plain = [(name, content) for name, filename, content in given_fields if filename is None]
    files = [FilePart(name, filename, content) for name, filename, content in given_fields if filename is not None]
    expected = [(name, None, content) for name, content in plain] + [(f.name, f.filename, f.content) for f in files]
    content_type, _ = encode(plain, files, boundary=boundary)
    body = body_of(encode(plain, files, boundary=boundary))
    assert [(part.name, part.filename, part.content) for part in decode(content_type, body)] == expected
    decoder = Decoder(boundary)
    found: list[list[Any]] = []
    for event in (*(event for piece in cut(body, data) for event in decoder.feed(piece)), *decoder.close()):
        if isinstance(event, Part):
            found.append([event.name, event.filename, b""])
        elif event is not None:
            found[-1][2] += event
    assert [tuple(each) for each in found] == expected


def in_file(pieces: Iterator[bytes]) -> Spooled:
    """A body in a temporary file, however small."""
    with Spool(0) as spool:
        for piece in pieces:
            spool.write(piece)
        return spool.finish()


class Split(Spooled):
    """A body in a file that is read in other pieces."""

    cuts: list[bytes]

    def pieces(self) -> Iterator[bytes]:
        return iter(self.cuts)

    def part(self, start: int, size: int) -> Spooled:
        return in_file(iter([b"".join(self.cuts)[start : start + size]]))


@given(fields, st.data())
def test_a_body_in_a_file_has_the_parts_it_has_in_memory(
    given_fields: list[tuple[str, str | None, bytes]], data: Any
) -> None:
    plain = [(name, content) for name, filename, content in given_fields if filename is None]
    files = [FilePart(name, filename, content) for name, filename, content in given_fields if filename is not None]
    content_type, encoded = encode(plain, files)
    body = encoded if isinstance(encoded, bytes) else encoded.read()
    split = Split(None, 0, len(body))
    split.cuts = list(cut(body, data))
    whole = decode(content_type, body)
    for other in (in_file(iter([body])), split):
        found = decode(content_type, other)
        for part, expected in zip(found, whole, strict=True):
            if part.filename is None:
                assert part == expected
            else:
                assert isinstance(part.content, Spooled)
                assert part._replace(content=part.content.read()) == expected
    for part in whole:
        assert body[part.at :].startswith(part.content)  # type: ignore[arg-type]


@given(st.binary(max_size=200), st.data())
def test_garbage_in_a_file_is_refused_as_garbage_in_memory(body: bytes, data: Any) -> None:
    full = b'--B\r\ncontent-disposition: form-data; name="a"; filename="f"\r\n\r\n' + body
    split = Split(None, 0, len(full))
    split.cuts = list(cut(full, data))
    outcomes: list[Any] = []
    for each in (full, split):
        try:
            parts = decode("multipart/form-data; boundary=B", each)
            outcomes.append([p.content if isinstance(p.content, bytes) else p.content.read() for p in parts])
        except ValueError as error:
            outcomes.append(str(error))
    assert outcomes[0] == outcomes[1]


@pytest.mark.parametrize("held", [lambda body: body, lambda body: in_file(iter([body]))])
def test_forms_have_limits(held: Any) -> None:
    content_type, body = encode([("a", b"12345"), ("b", b"12345")], [FilePart("f", "f", b"x" * 100)], boundary="B")
    assert [part.name for part in decode(content_type, held(body), max_parts=3, max_fields=10)] == ["a", "b", "f"]
    with pytest.raises(ValueError, match="more than 2 parts"):
        decode(content_type, held(body), max_parts=2)
    with pytest.raises(ValueError, match="more than 9 bytes"):
        decode(content_type, held(body), max_fields=9)


def test_a_form_is_read_byte_by_byte() -> None:
    content_type, body = encode([("a", "1"), ("empty", "")], [FilePart("f", None, b"x\r\n--"), FilePart("g", "", b"")])
    assert isinstance(body, bytes)
    whole = decode(content_type, body)
    assert [(part.name, part.filename, part.content_type) for part in whole[2:]] == [
        ("f", None, None),
        ("g", None, None),
    ]
    decoder = Decoder(boundary_of(content_type))
    events = [event for at in range(len(body)) for event in decoder.feed(body[at : at + 1])]
    names = [event.name for event in events if isinstance(event, Part)]
    assert names == [part.name for part in whole] == ["a", "empty", "f", "g"]
    assert b"".join(event for event in events if isinstance(event, bytes)) == b"1x\r\n--"


@pytest.mark.parametrize(
    ("disposition", "name", "filename"),
    [
        ('form-data; name="a"', "a", None),
        ("Form-Data; name=a; filename=b.txt", "a", "b.txt"),
        ('form-data; filename="x"; name="a"; name="b"', "a", "x"),
        ('form-data; name="a\\"b\\\\c"', 'a"b\\c', None),
        ('form-data; name="a%22b"', 'a"b', None),
        ('form-data; name="a"; filename="C:\\dir\\f.txt"', "a", "C:\\dir\\f.txt"),
        ('form-data; name="a"; filename="x"; filename*=UTF-8\'\'na%C3%AFve.txt', "a", "naïve.txt"),
        ("form-data; name=\"a\"; filename*=odd-8''x%41", "a", "x%41"),
        ('form-data; name="a"; flag', "a", None),
        ('form-data; name="a', "a", None),
    ],
)
def test_dispositions(disposition: str, name: str, filename: str | None) -> None:
    [part] = decode(
        "multipart/form-data; boundary=B", f"--B\r\nContent-Disposition: {disposition}\r\n\r\nx\r\n--B--".encode()
    )
    assert (part.name, part.filename, part.content) == (name, filename, b"x")


def test_what_stands_around_the_parts_is_passed_over() -> None:
    body = b'preamble\r\n--B  \r\nX: y\r\ncontent-disposition: form-data; name="a"\r\ncontent-type: t/x\r\n\r\n1\r\n--B--epilogue\r\n--B'
    [part] = decode('multipart/form-data; charset=utf-8; boundary="B"', body)
    assert (part.content, part.content_type, part.headers["x"]) == (b"1", "t/x", "y")
    assert decode("multipart/form-data; boundary=B", b"--B--") == []
    # A part whose blank line is the line break before the next boundary is empty.
    [part] = decode("multipart/form-data; boundary=B", b'--B\r\ncontent-disposition: form-data; name="a"\r\n\r\n--B--')
    assert part.content == b""


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "ends before its closing boundary"),
        (b'--B\r\ncontent-disposition: form-data; name="a"\r\n\r\nx', "ends before"),
        (b"--Bx\r\n\r\n", "not followed by a line break"),
        (b"--B" + b" " * 70_000, "not followed by a line break"),
        (b"--B\r\nno header\r\n\r\n", "not a header"),
        (b"--B\r\nX: y\r\n\r\n\r\n--B--", "has no name"),
        (b"--B\r\n\r\nx\r\n--B--", "has no name"),
        (b"--B\r\nX: " + b"y" * 70_000, "longer than"),
    ],
)
def test_malformed_bodies_are_refused(body: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        decode("multipart/form-data; boundary=B", body)


@pytest.mark.parametrize("content_type", ["", "application/json", "multipart/form-data", "multipart/mixed; boundary=B"])
def test_a_content_type_without_boundary_is_refused(content_type: str) -> None:
    with pytest.raises(ValueError, match="not a content type of a form"):
        boundary_of(content_type)


@given(st.binary(max_size=200))
def test_nothing_but_value_errors_comes_of_garbage(body: bytes) -> None:
    for full in (body, b"--B\r\n" + body, b'--B\r\ncontent-disposition: form-data; name="a"\r\n\r\n' + body):
        try:
            parts = decode("multipart/form-data; boundary=B", full)
        except ValueError:
            continue
        assert all(isinstance(part, Part) for part in parts)


def test_content_is_an_outline_for_what_is_read_when_it_is_sent() -> None:
    with pytest.raises(NotImplementedError):
        multipart.Content().pieces()
