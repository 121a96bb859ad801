"""Pictures, sounds and files in conversations, and pictures to disk.

    chat.ask(["What is this?", media.image("cat.png")])
    media.save_images(client.images.generate(prompt="a cat"), "pictures", client=client)

A source is an address (`https:`, `data:`), a path, bytes, or an open binary file. What it holds is told from its
first bytes, then from its name.
"""

from __future__ import annotations

import os
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, Literal, TypeAlias
from urllib.parse import unquote_to_bytes, urlsplit

from ..kernel.errors import from_response
from ..kernel.flow import Flow, Send, arun, run
from ..kernel.http import Headers, Request, Response
from ..kernel.options import Timeout
from ..kernel.view import plain

if TYPE_CHECKING:
    from ..types.chat.chat_completion_content_part_image_param import ChatCompletionContentPartImageParam
    from ..types.chat.chat_completion_content_part_input_audio_param import ChatCompletionContentPartInputAudioParam
    from ..types.chat.chat_completion_content_part_param import File
    from ..types.chat.chat_completion_content_part_text_param import ChatCompletionContentPartTextParam
    from ..types.images_response import ImagesResponse
    from ..types.responses import Response as ModelResponse
    from ..types.responses.response_input_file_param import ResponseInputFileParam
    from ..types.responses.response_input_image_param import ResponseInputImageParam
    from .client import AsyncOpenAI, OpenAI

__all__ = (
    "asave_images",
    "audio",
    "data_url",
    "file",
    "image",
    "input_file",
    "input_image",
    "save_images",
    "sniff",
    "text",
)

Source: TypeAlias = str | bytes | bytearray | memoryview | os.PathLike[str] | IO[bytes]

_UNKNOWN: Final = "application/octet-stream"
_DOWNLOAD: Final = Timeout(120.0, connect=10.0)

_MAGIC: Final[tuple[tuple[int, bytes, str], ...]] = (
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF8", "image/gif"),
    (8, b"WEBP", "image/webp"),
    (8, b"WAVE", "audio/wav"),
    (0, b"BM", "image/bmp"),
    (0, b"II*\x00", "image/tiff"),
    (0, b"MM\x00*", "image/tiff"),
    (4, b"ftypavif", "image/avif"),
    (4, b"ftypheic", "image/heic"),
    (4, b"ftypM4A", "audio/mp4"),
    (4, b"ftyp", "video/mp4"),
    (0, b"%PDF-", "application/pdf"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"fLaC", "audio/flac"),
    (0, b"OggS", "audio/ogg"),
    (0, b"\x1aE\xdf\xa3", "video/webm"),
    (0, b"PK\x03\x04", "application/zip"),
    (0, b"\x1f\x8b", "application/gzip"),
)
"""Where in a file which bytes say what it is."""

_SUFFIXES: Final = {
    "image/png": ".png",
    "image/jpeg": ".jpg",
    "image/gif": ".gif",
    "image/webp": ".webp",
    "image/bmp": ".bmp",
    "image/tiff": ".tiff",
    "image/avif": ".avif",
    "image/heic": ".heic",
    "image/svg+xml": ".svg",
}

_SOUNDS: Final = {"audio/wav": "wav", "audio/mpeg": "mp3", "audio/flac": "flac", "audio/ogg": "ogg", "audio/mp4": "m4a"}


# What a source holds


def sniff(data: bytes, name: str | None = None) -> str:
    """The media type of data: by its first bytes, else by its name, else whether it is text."""
    for offset, magic, kind in _MAGIC:
        if data[offset : offset + len(magic)] == magic and (offset != 8 or data[:4] == b"RIFF"):
            return _within_zip(name) or kind if kind == "application/zip" else kind
    if data[:1] == b"\xff" and len(data) > 1 and data[1] & 0xE0 == 0xE0:
        return "audio/mpeg"  # a frame without a tag before it
    by_name = _by_name(name)
    if by_name is not None:
        return by_name
    start = bytes(data[:1024]).lstrip()
    if start.startswith(b"<svg") or (start.startswith(b"<?xml") and b"<svg" in start):
        return "image/svg+xml"
    try:
        bytes(data).decode()
    except UnicodeDecodeError:
        return _UNKNOWN
    return "text/plain" if data and b"\0" not in data[:1024] else _UNKNOWN


def _by_name(name: str | None) -> str | None:
    if not name:
        return None
    from mimetypes import guess_type

    return guess_type(name)[0]


def _within_zip(name: str | None) -> str | None:
    """Documents of office programs are archives: only their name says which."""
    return _by_name(name)


def _read(source: Source) -> tuple[bytes, str | None]:
    """The bytes of a source that is no address, and its name."""
    if isinstance(source, (bytes, bytearray, memoryview)):
        return bytes(source), None
    if isinstance(source, (str, os.PathLike)):
        path = Path(source).expanduser()
        return path.read_bytes(), path.name
    data: Any = source.read()
    if not isinstance(data, bytes):
        raise TypeError("the file has to be opened in binary mode")
    name = getattr(source, "name", None)
    return data, os.path.basename(name) if isinstance(name, str) else None


def _is_address(source: Any) -> bool:
    return isinstance(source, str) and source.partition(":")[0].lower() in ("http", "https", "data", "gs", "s3")


def data_url(source: Source, media_type: str | None = None) -> str:
    """A source as a `data:` URL, which holds all of it; an address as it is.

    Raises `OSError` for a file that cannot be read.
    """
    if _is_address(source):
        return str(source)
    data, name = _read(source)
    return f"data:{media_type or sniff(data, name)};base64,{b64encode(data).decode()}"


# Parts of a message of chat completions


def text(words: str) -> ChatCompletionContentPartTextParam:
    """Words."""
    return {"type": "text", "text": words}


def image(
    source: Source, *, detail: Literal["auto", "low", "high", "original"] | None = None
) -> ChatCompletionContentPartImageParam:
    """A picture. `detail` says how closely the model looks at it, and what that costs.

    Raises `ValueError` for a file that is no picture, `OSError` for one that cannot be read.
    """
    url = _picture(source)
    return {"type": "image_url", "image_url": {"url": url} if detail is None else {"url": url, "detail": detail}}


def _picture(source: Source) -> str:
    url = data_url(source)
    if url[:5].lower() == "data:" and not url[5:11].lower() == "image/":
        raise ValueError(f"this is no picture but {url[5:].partition(';')[0].partition(',')[0] or 'text/plain'}")
    return url


def audio(
    source: Source, *, format: Literal["wav", "mp3"] | str | None = None
) -> ChatCompletionContentPartInputAudioParam:
    """A sound. The API takes WAV and MP3; other hosts take more.

    Raises `ValueError` for a file that is no sound, `OSError` for one that cannot be read.
    """
    if _is_address(source):
        kind, data = _opened(str(source))
    else:
        data, name = _read(source)
        kind = sniff(data, name)
    found = format or _SOUNDS.get(kind)
    if found is None:
        raise ValueError(f"this is no sound the API knows but {kind}; give `format=` if it is one")
    return {"type": "input_audio", "input_audio": {"data": b64encode(data).decode(), "format": found}}  # type: ignore[typeddict-item]


def file(source: Source | None = None, *, name: str | None = None, id: str | None = None) -> File:
    """A file, such as a PDF: its content, or the `id` of one that was uploaded.

    Raises `TypeError` unless one of both is given, `OSError` for a file that cannot be read.
    """
    if (source is None) == (id is None):
        raise TypeError("file() takes either a source or the id of an uploaded file")
    if id is not None or source is None:
        return {"type": "file", "file": {"file_id": id or ""}}
    url, found = _named(source)
    return {"type": "file", "file": {"filename": name or found, "file_data": url}}


def _named(source: Source) -> tuple[str, str]:
    if _is_address(source):
        if str(source)[:5].lower() != "data:":
            raise ValueError("chat completions take no address of a file; give the file, or input_file() to a response")
        return str(source), "file" + _suffix(_opened(str(source))[0])
    data, name = _read(source)
    kind = sniff(data, name)
    return f"data:{kind};base64,{b64encode(data).decode()}", name or "file" + _suffix(kind)


def _suffix(kind: str) -> str:
    from mimetypes import guess_extension

    return _SUFFIXES.get(kind) or guess_extension(kind) or ""


# Parts of the input of the Responses API


def input_image(
    source: Source | None = None, *, id: str | None = None, detail: Literal["auto", "low", "high", "original"] = "auto"
) -> ResponseInputImageParam:
    """A picture for `responses.create`: its content, its address, or the `id` of an uploaded file."""
    if (source is None) == (id is None):
        raise TypeError("input_image() takes either a source or the id of an uploaded file")
    if source is None:
        return {"type": "input_image", "detail": detail, "file_id": id}
    return {"type": "input_image", "detail": detail, "image_url": _picture(source)}


def input_file(
    source: Source | None = None, *, name: str | None = None, id: str | None = None
) -> ResponseInputFileParam:
    """A file for `responses.create`: its content, its address, or the `id` of an uploaded file."""
    if (source is None) == (id is None):
        raise TypeError("input_file() takes either a source or the id of an uploaded file")
    if source is None:
        return {"type": "input_file", "file_id": id}
    if _is_address(source) and str(source)[:5].lower() != "data:":
        return {"type": "input_file", "file_url": str(source)}
    url, found = _named(source)
    return {"type": "input_file", "filename": name or found, "file_data": url}


# Pictures to disk


def save_images(
    pictures: ImagesResponse | ModelResponse | Iterable[Any],
    directory: str | os.PathLike[str],
    *,
    prefix: str = "image",
    client: OpenAI | None = None,
) -> list[Path]:
    """Write the pictures of an answer to a directory, which is made; their paths, in the answer's order.

    Takes what `client.images` answers, a Response in which the model drew, or pictures from either. They are called
    `image-1.png` and so on, by what they are; a file that is there already is left alone and its number passed over.
    Those the answer only gives the address of are downloaded, with `client`'s transport where it is given; its key is
    not sent along. Raises `ValueError` where there is no picture, `APIError` where one cannot be downloaded.
    """
    flow = _saving(pictures, Path(directory), prefix)
    if client is not None:
        return run(flow, client._world)
    from ..transports import transport
    from .base import ClientWorld

    made = transport(None)
    try:
        return run(flow, ClientWorld(made))
    finally:
        made.close()


async def asave_images(
    pictures: ImagesResponse | ModelResponse | Iterable[Any],
    directory: str | os.PathLike[str],
    *,
    prefix: str = "image",
    client: AsyncOpenAI | None = None,
) -> list[Path]:
    """`save_images` with downloads that are awaited."""
    flow = _saving(pictures, Path(directory), prefix)
    if client is not None:
        return await arun(flow, client._world)
    from ..transports import async_transport
    from .base import ClientWorld

    made = async_transport(None)
    try:
        return await arun(flow, ClientWorld(made))
    finally:
        await made.aclose()


def _saving(pictures: Any, directory: Path, prefix: str) -> Flow[list[Path]]:
    found = list(_pictures(plain(pictures)))
    if not found:
        raise ValueError("there is no picture in this")
    directory.mkdir(parents=True, exist_ok=True)
    paths: list[Path] = []
    number = 0
    for source in found:
        data = yield from _content(source)
        suffix = _suffix(sniff(data)) or ".bin"
        while True:
            number += 1
            path = directory / f"{prefix}-{number}{suffix}"
            try:
                with path.open("xb") as out:
                    out.write(data)
            except FileExistsError:
                continue
            paths.append(path)
            break
    return paths


def _pictures(given: Any) -> Iterator[str]:
    """The addresses and the base64 texts of pictures, wherever in an answer they are."""
    if isinstance(given, Mapping):
        for key in ("b64_json", "url", "result"):
            value = given.get(key)
            if isinstance(value, str) and value and (key != "result" or given.get("type") == "image_generation_call"):
                yield value if key != "b64_json" else f"data:;base64,{value}"
                return
        for key in ("data", "output"):
            if isinstance(given.get(key), list):
                yield from _pictures(given[key])
    elif isinstance(given, (list, tuple)) or (isinstance(given, Iterable) and not isinstance(given, (str, bytes))):
        for each in given:
            yield from _pictures(plain(each))


def _content(source: str) -> Flow[bytes]:
    if source[:5].lower() == "data:":
        return _opened(source)[1]
    if not _is_address(source):
        return b64decode(source)
    parts = urlsplit(source)
    request = Request(
        "GET",
        parts.path or "/",
        parts.query,
        Headers.of([("accept", "image/*,*/*;q=0.5")]),
        b"",
        f"{parts.scheme}://{parts.netloc}",
    )
    response: Response = yield Send(request, _DOWNLOAD)
    if not 200 <= response.status < 300:
        raise from_response(response)
    assert isinstance(response.body, bytes)
    return response.body


def _opened(url: str) -> tuple[str, bytes]:
    """The media type and the content of a `data:` URL."""
    if url[:5].lower() != "data:":
        raise ValueError("a sound is given by its content, not by an address")
    head, comma, body = url[5:].partition(",")
    if not comma:
        raise ValueError("this data: URL has no content")
    encoded = head.rpartition(";")[2].lower() == "base64"
    return head.partition(";")[0] or "text/plain", b64decode(body) if encoded else unquote_to_bytes(body)
