"""Files: what is uploaded is kept, byte for byte, until it is deleted or its time is over.

API reference: https://platform.openai.com/docs/api-reference/files
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

import orjson

from ...api.files import Files
from ...kernel.errors import BadRequestError
from ...kernel.flow import Call as Called
from ...kernel.http import Headers, Response
from ...kernel.spool import pieces_of, size_of
from ..behaviour import Call, serves
from ..facts import made
from ..intake import too_large
from ..jobs import Job, job
from ..kept import family, now
from .vector_stores import detached

if TYPE_CHECKING:
    from ...kernel.flow import Flow
    from ...kernel.spool import Spooled
    from ..app import Server
    from ..behaviour import Reply

__all__ = ("checks_lines", "forget_file", "keep_file", "kept_for", "require_between", "require_objects")

MOST_BYTES: Final = 512 * 1024 * 1024
"""The largest file that is taken in one request."""

_LINES: Final = frozenset(("fine-tune", "batch", "evals"))
"""The purposes whose files are JSON objects, one a line."""

_UNQUOTABLE: Final = re.compile(r'[\x00-\x1f\x7f"\\]')
"""What a name of a file cannot have in a header."""

_DAY: Final = 86_400
_MOST_LISTED: Final = 10_000
_LONGEST_LINE: Final = 64 * 1024 * 1024


def keep_file(
    server: Server,
    content: bytes | Spooled,
    filename: str,
    purpose: str,
    *,
    at: int,
    expires_after: int | None = None,
) -> dict[str, Any]:
    """Keep bytes as a file made at a time, in Unix seconds, and answer its document.

    `expires_after` is in seconds; after them the file is gone.
    """
    facts = {
        "id": server.ids.new("file-"),
        "object": "file",
        "bytes": size_of(content),
        "created_at": at,
        "filename": filename,
        "status": "processed",
        "expires_at": None if expires_after is None else at + expires_after,
    }
    doc = made(server, family("files").schema, facts)
    doc["purpose"] = purpose  # the API takes more purposes than its type of a file names
    with server.lock:
        server.store.put_blob(doc["id"], content)
        server.store.put("files", doc["id"], doc)
        if expires_after is not None:
            server.jobs.schedule("files.expire", doc["id"], at=at + expires_after)
    return doc


def forget_file(server: Server, id: str) -> None:
    """Drop a file and its bytes, also where it is in vector stores."""
    with server.lock:
        server.jobs.cancel("files.expire", id)
        server.store.delete("files", id)
        server.store.delete_blob(id)
        detached(server, id)


@job("files.expire")
def expire(server: Server, due: Job) -> None:
    """The time of a file is over."""
    forget_file(server, due.subject)


def kept_for(call: Call) -> int | None:
    """How many seconds a file is kept; `None`: until it is deleted. Raises `BadRequestError` for too short or long."""
    after = call.body.get("expires_after")
    if after:
        seconds: int = after["seconds"]
        require_between(call, seconds, 3600, 30 * _DAY, "expires_after.seconds")
        return seconds
    return 30 * _DAY if call.body["purpose"] == "batch" else None


def require_between(call: Call, value: int, least: int, most: int, name: str) -> None:
    """See that a number is within bounds, where the server keeps to them. Raises `BadRequestError`."""
    if least <= value <= most or call.server.conjures:
        return
    low = value < least
    raise BadRequestError.because(
        f"Invalid '{name}': integer {'below minimum' if low else 'above maximum'} value. "
        f"Expected a value {f'>= {least}' if low else f'<= {most}'}, but got {value} instead.",
        param=name,
        code="integer_below_min_value" if low else "integer_above_max_value",
    )


# Lines


def checks_lines(server: Server, purpose: str) -> bool:
    """Whether the lines of a file are looked at when it is uploaded."""
    return purpose in _LINES and not server.conjures


def require_objects(data: bytes | Spooled) -> None:
    """See that every line is a JSON object; empty lines are passed over. Raises `BadRequestError`, naming the line."""
    if isinstance(data, bytes):
        _require_each(enumerate(data.split(b"\n"), 1))
        return
    begun: list[bytes] = []
    size, number = 0, 1
    for piece in pieces_of(data):
        first, *rest = piece.split(b"\n")
        begun.append(first)
        size += len(first)
        if size > _LONGEST_LINE:
            raise _not_lines(f"Line {number} is longer than {_LONGEST_LINE} bytes.")
        if rest:
            _require_each(enumerate([b"".join(begun), *rest[:-1]], number))
            number += len(rest)
            begun, size = [rest[-1]], len(rest[-1])
    _require_each([(number, b"".join(begun))])


def _require_each(lines: Iterable[tuple[int, bytes]]) -> None:
    for number, line in lines:
        if not line.strip():
            continue
        try:
            good = orjson.loads(line).__class__ is dict
        except orjson.JSONDecodeError:
            good = False
        if not good:
            begin = line[:20].decode("utf-8", "replace").strip()
            raise _not_lines(f'Line {number} is not a dictionary (HINT: line starts with: "{begin}...").')


def _not_lines(why: str) -> BadRequestError:
    return BadRequestError.because(
        f"Expected file to have JSONL format, where every line is a JSON dictionary. {why}", param="file"
    )


# Operations


@serves(Files.create)
def create(call: Call) -> Reply:
    """Keep an uploaded file. Raises `BadRequestError` for lines that are not as its purpose asks for."""
    file, seconds = call.body["file"], kept_for(call)
    if file.size > MOST_BYTES:
        raise too_large(MOST_BYTES, file.size)
    if checks_lines(call.server, call.body["purpose"]):
        if not isinstance(file.data, bytes):
            return _checked(call, seconds)
        require_objects(file.data)
    return _kept(call, seconds)


def _checked(call: Call, seconds: int | None) -> Flow[dict[str, Any]]:
    yield Called(require_objects, call.body["file"].data)
    return _kept(call, seconds)


def _kept(call: Call, seconds: int | None) -> dict[str, Any]:
    file, purpose = call.body["file"], call.body["purpose"]
    return keep_file(call.server, file.data, file.filename, purpose, at=now(call), expires_after=seconds)


@serves(Files.list)
def list_files(call: Call) -> Reply:
    """The files, page by page. Raises `BadRequestError` for pages of none, or of more than 10,000."""
    limit = call.query.get("limit")
    if isinstance(limit, int):
        require_between(call, limit, 1, _MOST_LISTED, "limit")
    listed: dict[str, Any] = family("files").list(call)
    return listed


@serves(Files.content, Files.retrieve_content)
def content(call: Call) -> Reply:
    """The bytes of a file, as they were sent."""
    doc = family("files").found(call)
    blob = call.server.store.open_blob(doc["id"])
    data = b"" if blob is None else blob.data
    name = _UNQUOTABLE.sub("_", str(doc["filename"])).encode("ascii", "replace").decode()
    headers = [
        ("content-type", "application/octet-stream"),
        ("content-disposition", f'attachment; filename="{name}"'),
        ("content-length", str(size_of(data))),
    ]
    return Response(200, Headers.of(headers), data)


@serves(Files.delete)
def delete(call: Call) -> Reply:
    """Forget a file and its bytes."""
    doc = family("files").found(call)
    forget_file(call.server, doc["id"])
    return {"id": doc["id"], "object": "file", "deleted": True}
