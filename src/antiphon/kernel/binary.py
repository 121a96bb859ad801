"""Answers that are bytes rather than JSON: files, speech, video."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any

from .http import Response

if TYPE_CHECKING:
    from os import PathLike

__all__ = ("HttpxBinaryResponseContent",)

_PIECE = 64 * 1024


class HttpxBinaryResponseContent:
    """The bytes of an answer, read whole.

    Named as in the official package, so that annotations move over; there is no httpx in it.
    """

    __slots__ = ("response",)
    response: Response
    """The response the bytes came in."""

    def __init__(self, response: Response) -> None:
        self.response = response

    @property
    def content(self) -> bytes:
        """The bytes."""
        return self.response.content

    @property
    def text(self) -> str:
        """The bytes as text, in the charset of the content type, UTF-8 where it names none."""
        return self.content.decode(self.encoding or "utf-8", "replace")

    @property
    def encoding(self) -> str | None:
        """The charset for reading the bytes as text: UTF-8 where the content type names none or an unknown one."""
        return self.charset_encoding or "utf-8"

    @property
    def charset_encoding(self) -> str | None:
        """The charset of the content type; `None` where it names none or an unknown one."""
        _, _, after = self.response.headers.get("content-type", "").partition("charset=")
        charset: str = after.partition(";")[0].strip().strip("\"'")
        if not charset:
            return None
        import codecs

        try:
            codecs.lookup(charset)
        except LookupError:
            return None
        return charset

    def json(self, **ignored: Any) -> Any:
        """The bytes decoded as JSON. Raises `ValueError` when they are not."""
        return self.response.json()

    def read(self) -> bytes:
        """The bytes."""
        return self.content

    def iter_bytes(self, chunk_size: int | None = None) -> Iterator[bytes]:
        """The bytes, `chunk_size` at a time."""
        content, size = self.content, chunk_size or _PIECE
        for start in range(0, len(content), size):
            yield content[start : start + size]

    def iter_raw(self, chunk_size: int | None = None) -> Iterator[bytes]:
        """The same as `iter_bytes`: content encodings were undone by the transport."""
        return self.iter_bytes(chunk_size)

    def iter_text(self, chunk_size: int | None = None) -> Iterator[str]:
        """The text, `chunk_size` characters at a time."""
        text, size = self.text, chunk_size or _PIECE
        for start in range(0, len(text), size):
            yield text[start : start + size]

    def iter_lines(self) -> Iterator[str]:
        """The lines of the text, without their ends."""
        yield from self.text.splitlines()

    def write_to_file(self, file: str | PathLike[str]) -> None:
        """Write the bytes to a file, which is made or replaced. Raises `OSError`."""
        with open(file, "wb") as opened:
            opened.write(self.content)

    def stream_to_file(self, file: str | PathLike[str], *, chunk_size: int | None = None) -> None:
        """Write the bytes to a file, `chunk_size` at a time. Raises `OSError`."""
        with open(file, "wb") as opened:
            opened.writelines(self.iter_bytes(chunk_size))

    def close(self) -> None:
        """Nothing is left to close: the bytes have been read."""

    async def aread(self) -> bytes:
        """The bytes."""
        return self.content

    async def aiter_bytes(self, chunk_size: int | None = None) -> AsyncIterator[bytes]:
        """The bytes, `chunk_size` at a time. Await the call for the iterator."""
        return _aiter(self.iter_bytes(chunk_size))

    async def aiter_raw(self, chunk_size: int | None = None) -> AsyncIterator[bytes]:
        """The same as `aiter_bytes`."""
        return _aiter(self.iter_bytes(chunk_size))

    async def aiter_text(self, chunk_size: int | None = None) -> AsyncIterator[str]:
        """The text, `chunk_size` characters at a time. Await the call for the iterator."""
        return _aiter(self.iter_text(chunk_size))

    async def aiter_lines(self) -> AsyncIterator[str]:
        """The lines of the text, without their ends. Await the call for the iterator."""
        return _aiter(self.iter_lines())

    async def astream_to_file(self, file: str | PathLike[str], *, chunk_size: int | None = None) -> None:
        """Write the bytes to a file on a worker thread. Raises `OSError`."""
        from .loops import in_thread

        await in_thread(self.stream_to_file, file, chunk_size=chunk_size)

    async def aclose(self) -> None:
        """Nothing is left to close: the bytes have been read."""

    def __repr__(self) -> str:
        return f"<{len(self.content)} bytes of {self.response.headers.get('content-type', 'an unknown type')}>"


async def _aiter(items: Iterator[Any]) -> AsyncIterator[Any]:
    for item in items:
        yield item
