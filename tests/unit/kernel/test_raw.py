"""Responses whose bodies are read when they are asked for, in both colours, by hand-made bodies."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import pydantic
import pytest

from antiphon.kernel.binary import HttpxBinaryResponseContent
from antiphon.kernel.body import AsyncPieces, Pieces, StreamAlreadyConsumed
from antiphon.kernel.http import Headers, Request, Response
from antiphon.kernel.raw import (
    APIResponse,
    AsyncAPIResponse,
    AsyncResponseContextManager,
    AsyncStreamedBinaryAPIResponse,
    LegacyAPIResponse,
    ResponseContextManager,
    StreamedBinaryAPIResponse,
    read_as,
)
from antiphon.kernel.stream import AsyncStream, Stream
from antiphon.types import Model

REQUEST = Request("GET", "/v1/models/m", "a=b", origin="http://host")
JSON = {"content-type": "application/json", "x-request-id": "req_1"}
MODEL = b'{"id":"m","object":"model"}'
TEXT = "première\nzwei\r\ndrei"


class Body:
    """Pieces that remember how they were left."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = iter(pieces)
        self.left: list[str] = []

    def __iter__(self) -> Iterator[bytes]:
        return self.pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self.pieces:
            yield piece

    def close(self) -> None:
        self.left.append("closed")

    def release(self) -> None:
        self.left.append("released")

    async def aclose(self) -> None:
        self.close()

    async def arelease(self) -> None:
        self.release()


def response(body: Any = MODEL, headers: dict[str, str] = JSON, status: int = 200) -> Response:
    return Response(status, Headers(headers), body, REQUEST)


def parts(data: bytes) -> list[bytes]:
    return [data[start : start + 3] for start in range(0, len(data), 3)]


class Both:
    """An unread response in one colour, asked in the same words."""

    def __init__(self, kind: Any, data: bytes, headers: dict[str, str] = JSON, **options: Any) -> None:
        self.body = Body(*parts(data))
        pieces: Any = Pieces(self.body) if kind is APIResponse else AsyncPieces(self.body)
        self.raw: Any = kind(response(pieces, headers), lambda r, to: read_as(r, to or Model), **options)

    def do(self, act: Callable[[Any], Any]) -> Any:
        if isinstance(self.raw, APIResponse):
            return act(self.raw)

        async def awaited() -> Any:
            return await act(self.raw)

        return asyncio.run(awaited())

    def all(self, act: Callable[[Any], Any]) -> list[Any]:
        if isinstance(self.raw, APIResponse):
            return list(act(self.raw))

        async def awaited() -> list[Any]:
            return [each async for each in act(self.raw)]

        return asyncio.run(awaited())


KINDS = pytest.mark.parametrize("kind", [APIResponse, AsyncAPIResponse])


def test_what_is_known_without_the_body() -> None:
    raw: LegacyAPIResponse[Model] = LegacyAPIResponse(response(), lambda r, to: read_as(r, to or Model), 2, False, 1, 3)
    assert (raw.status_code, raw.url, raw.method) == (200, "http://host/v1/models/m?a=b", "GET")
    assert (raw.request_id, raw.http_version, raw.retries_taken) == ("req_1", "HTTP/1.1", 2)
    assert raw.headers["Content-Type"] == "application/json"
    assert raw.http_request is REQUEST
    assert raw.elapsed == timedelta(seconds=2)
    assert raw.is_closed
    assert (raw.content, raw.text, raw.json()) == (MODEL, MODEL.decode(), {"id": "m", "object": "model"})
    assert raw.parse() is raw.parse()
    assert raw.parse().id == "m"
    assert raw.parse(to=dict) == {"id": "m", "object": "model"}
    assert repr(raw) == "<LegacyAPIResponse 200 of GET /v1/models/m>"
    assert repr(LegacyAPIResponse(Response(204), read_as)) == "<LegacyAPIResponse 204>"


@KINDS
def test_a_body_is_read_once_and_kept(kind: Any) -> None:
    both = Both(kind, MODEL, began=0.0)
    assert not both.raw.is_closed
    before = both.raw.elapsed
    assert both.do(lambda raw: raw.parse()).id == "m"
    assert both.do(lambda raw: raw.read()) == MODEL
    assert both.do(lambda raw: raw.text()) == MODEL.decode()
    assert both.do(lambda raw: raw.json())["id"] == "m"
    assert both.all(lambda raw: raw.iter_bytes()) == [MODEL]
    assert both.raw.is_closed
    assert both.raw.elapsed >= before
    assert both.raw.elapsed == both.raw.elapsed
    both.do(lambda raw: raw.close())
    assert both.body.left == []


@KINDS
def test_a_body_as_it_arrives(kind: Any) -> None:
    data = TEXT.encode()
    plain = {"content-type": "text/plain; charset=utf-8"}
    assert Both(kind, data, plain).all(lambda raw: raw.iter_bytes()) == parts(data)
    assert Both(kind, data, plain).all(lambda raw: raw.iter_bytes(8)) == [data[:8], data[8:16], data[16:]]
    assert Both(kind, data, plain).all(lambda raw: raw.iter_text(5)) == ["premi", "ère\nz", "wei\r\n", "drei"]
    assert "".join(Both(kind, data, plain).all(lambda raw: raw.iter_text())) == TEXT
    assert Both(kind, data, plain).all(lambda raw: raw.iter_lines()) == ["première", "zwei", "drei"]
    cut = Both(kind, "é".encode()[:1], plain)
    assert cut.all(lambda raw: raw.iter_text()) == ["\N{REPLACEMENT CHARACTER}"]


@KINDS
def test_a_body_that_is_gone(kind: Any) -> None:
    both = Both(kind, MODEL)
    assert b"".join(both.all(lambda raw: raw.iter_bytes())) == MODEL
    assert both.raw.is_closed
    assert both.raw.elapsed == both.raw.elapsed
    with pytest.raises(StreamAlreadyConsumed, match="piece by piece"):
        both.do(lambda raw: raw.read())


@KINDS
def test_bodies_are_written_to_files(kind: Any, tmp_path: Path) -> None:
    both = Both(kind, MODEL)
    both.do(lambda raw: raw.stream_to_file(tmp_path / "a", chunk_size=5))
    assert (tmp_path / "a").read_bytes() == MODEL
    with pytest.raises(OSError, match="nowhere"):
        Both(kind, MODEL).do(lambda raw: raw.write_to_file(tmp_path / "nowhere" / "a"))


@KINDS
def test_leaving_closes(kind: Any) -> None:
    both = Both(kind, MODEL)
    if kind is APIResponse:
        with ResponseContextManager(lambda: both.raw) as raw:
            assert raw is both.raw
    else:

        async def entered() -> None:
            async def ask() -> Any:
                return both.raw

            async with AsyncResponseContextManager(ask) as raw:
                assert raw is both.raw

        asyncio.run(entered())
    assert both.body.left == ["closed"]
    assert both.raw.is_closed
    with pytest.raises(StreamAlreadyConsumed):
        both.do(lambda raw: raw.read())


def test_a_call_that_fails_has_nothing_to_close() -> None:
    def fail() -> Any:
        raise OSError

    async def afail() -> Any:
        raise OSError

    async def aenter() -> None:
        async with AsyncResponseContextManager(afail):
            pass

    with pytest.raises(OSError), ResponseContextManager(fail):
        pass
    with pytest.raises(OSError):
        asyncio.run(aenter())
    ResponseContextManager(fail).__exit__(None, None, None)
    asyncio.run(AsyncResponseContextManager(afail).__aexit__(None, None, None))


@KINDS
def test_bodies_are_released_and_end(kind: Any) -> None:
    both = Both(kind, MODEL)
    pieces = both.raw.http_response.body
    if kind is APIResponse:
        pieces.release()
        assert list(pieces) == []
    else:

        async def released() -> list[bytes]:
            await pieces.arelease()
            return [piece async for piece in pieces]

        assert asyncio.run(released()) == []
    assert both.body.left == ["released"]


@KINDS
def test_a_stream_is_given_unread(kind: Any) -> None:
    both = Both(kind, MODEL, streams=True)
    both.raw._read = lambda response, to: response.body
    assert both.do(lambda raw: raw.parse()) is both.raw.http_response.body
    assert not both.raw.is_closed


def test_binary_responses_are_responses() -> None:
    assert issubclass(StreamedBinaryAPIResponse, APIResponse)
    assert issubclass(AsyncStreamedBinaryAPIResponse, AsyncAPIResponse)
    whole = asyncio.run(AsyncAPIResponse(response(b"abc"), read_as).read())
    assert whole == b"abc"

    async def pieces() -> list[bytes]:
        return [piece async for piece in AsyncAPIResponse(response(b"abc"), read_as).iter_bytes()]

    assert asyncio.run(pieces()) == [b"abc"]


# Reading as a type


class Shape(pydantic.BaseModel):
    id: str


@pytest.mark.parametrize(
    ("body", "to", "read"),
    [
        (b"", None, None),
        (b"", type(None), None),
        (b"abc", str, "abc"),
        (b"abc", bytes, b"abc"),
        (b"12", int, 12),
        (b"1.5", float, 1.5),
        (b" True\n", bool, True),
        (b"no", bool, False),
        (b"[1,2]", list[int], [1, 2]),
        (b'{"a":1}', dict[str, int], {"a": 1}),
        (b'{"a":1}', object, {"a": 1}),
        (MODEL, Model, Model.of({"id": "m", "object": "model"})),
        (MODEL, Annotated[Model, "which"], Model.of({"id": "m", "object": "model"})),
        (b"[%b]" % MODEL, list[Model], [Model.of({"id": "m", "object": "model"})]),
        (b"null", Model | None, None),
        (MODEL, Shape, Shape(id="m")),
        (b"[%b]" % MODEL, list[Shape], [Shape(id="m")]),
        (b'{"a":[%b]}' % MODEL, dict[str, list[Shape]], {"a": [Shape(id="m")]}),
        (b"null", Shape | None, None),
    ],
)
def test_types_to_read_as(body: bytes, to: Any, read: Any) -> None:
    assert read_as(response(body), to) == read


def test_an_alias_is_read_as_what_it_stands_for() -> None:
    class Alias:
        __value__ = list[int]

    assert read_as(response(b"[1]"), Alias()) == [1]


def test_views_know_the_request() -> None:
    assert read_as(response(), Model)._request_id == "req_1"
    assert read_as(response(), Response) == response()
    assert read_as(response(b"abc"), HttpxBinaryResponseContent).read() == b"abc"


def test_what_does_not_say_it_is_json() -> None:
    plain = {"content-type": "text/html"}
    assert read_as(response(MODEL, plain), Model).id == "m"
    assert read_as(response(b"<html>", plain), Model) == "<html>"
    assert read_as(response(b"<html>", plain), Shape) == "<html>"
    assert read_as(response(b"[1]", plain), list[int]) == "[1]"
    with pytest.raises(ValueError, match="unexpected"):
        read_as(response(b"<html>"), Model)


def test_what_nothing_is_read_as() -> None:
    with pytest.raises(TypeError, match="needs a call with a stream"):
        read_as(response(), Stream[Model])
    with pytest.raises(TypeError, match="needs a call with a stream"):
        read_as(response(), AsyncStream)
    with pytest.raises(TypeError, match="cannot be read as"):
        read_as(response(), set)
