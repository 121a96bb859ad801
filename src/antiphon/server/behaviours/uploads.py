"""Uploads: a large file that comes in parts, each at most 64 MiB, and is put together when all are there.

An upload is pending until it is completed, cancelled, or an hour old; only a pending one takes parts.

API reference: https://platform.openai.com/docs/api-reference/uploads
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import md5 as digest
from typing import TYPE_CHECKING, Any, Final

from ...api.uploads import Uploads
from ...api.uploads.parts import Parts
from ...kernel.errors import BadRequestError
from ...kernel.flow import Call as Called
from ...kernel.spool import IN_MEMORY, Spool, pieces_of, size_of
from ..behaviour import Call, serves
from ..jobs import Job, job
from ..kept import family, now
from .files import checks_lines, keep_file, kept_for, require_between, require_objects

if TYPE_CHECKING:
    from ...kernel.flow import Flow
    from ...kernel.spool import Spooled
    from ..app import Server
    from ..behaviour import Reply

MOST_BYTES: Final = 8 * 1024**3
"""The largest file that can come in parts."""

PART_BYTES: Final = 64 * 1024**2
"""The largest part."""


@serves(Uploads.create)
def create(call: Call) -> Reply:
    """Begin an upload. Raises `BadRequestError` for a size that no file can have."""
    server = call.server
    require_between(call, call.body["bytes"], 1, MOST_BYTES, "bytes")
    kept = {"kept_for": kept_for(call)}
    with server.lock:
        doc: dict[str, Any] = family("uploads").create(call)
        # How long the file is kept is no part of the upload's document: the job remembers it while it waits.
        server.jobs.schedule("uploads.expire", doc["id"], at=doc["expires_at"], data=kept)
    return doc


@serves(Parts.create)
def add_part(call: Call) -> Reply:
    """Keep one part of an upload. Raises `BadRequestError` for one too many or too large."""
    server, data = call.server, call.body["data"].data
    upload = _pending(call)
    if not server.conjures:
        if size_of(data) > PART_BYTES:
            raise BadRequestError.because(
                f"The part has {size_of(data)} bytes. Parts may have at most {PART_BYTES} bytes (64 MB).", param="data"
            )
        held = sum(_sizes(server, upload["id"]))
        if held + size_of(data) > MOST_BYTES:
            raise BadRequestError.because(
                f"The parts of the upload would have more than {MOST_BYTES} bytes (8 GB).", param="data"
            )
    with server.lock:
        _pending(call)
        doc = family("uploads.parts").add(call, call.params, {})
        server.store.put_blob(doc["id"], data)
    return doc


@serves(Uploads.complete)
def complete(call: Call) -> Flow[dict[str, Any]]:
    """Put the parts together, in the order asked for, and keep them as a file.

    Raises `BadRequestError` for a part that is not the upload's, where size or checksum are not as announced, and
    for lines that are not as the purpose asks for.
    """
    server = call.server
    upload = _pending(call)
    parts = [_part(server, upload["id"], part) for part in call.body["part_ids"]]
    size = sum(map(size_of, parts))
    if size != upload["bytes"] and not server.conjures:
        raise BadRequestError.because(
            f"The parts of the upload have {size} bytes, but {upload['bytes']} were announced.", param="part_ids"
        )
    if size > IN_MEMORY:
        data = yield Called(_assembled, call, upload, parts)
    else:
        data = _assembled(call, upload, parts)
    with server.lock:
        upload = _pending(call)
        begun = server.jobs.waiting("uploads.expire", upload["id"])
        seconds = None if begun is None else begun.data["kept_for"]
        file = keep_file(server, data, upload["filename"], upload["purpose"], at=now(call), expires_after=seconds)
        return _ended(server, {**upload, "status": "completed", "file": file})


@serves(Uploads.cancel)
def cancel(call: Call) -> Reply:
    """Give an upload up. Raises `BadRequestError` when it is not pending."""
    with call.server.lock:
        return _ended(call.server, {**_pending(call), "status": "cancelled"})


@job("uploads.expire")
def expire(server: Server, due: Job) -> None:
    """The hour of an upload is over."""
    with server.lock:
        upload = server.store.get("uploads", due.subject)
        if upload is not None and upload["status"] == "pending":
            _ended(server, {**upload, "status": "expired"})


def _pending(call: Call) -> dict[str, Any]:
    """The upload, as long as something can be done with it."""
    upload = family("uploads").get(call, call.params, call.params["upload_id"])
    if upload["status"] != "pending" and not call.server.conjures:
        raise BadRequestError.because(f"Upload '{upload['id']}' is {upload['status']}, so this cannot be done.")
    return upload


def _ended(server: Server, upload: dict[str, Any]) -> dict[str, Any]:
    """Put an upload into its last state. Its parts are not needed any more."""
    place = _parts(upload["id"])
    server.jobs.cancel("uploads.expire", upload["id"])
    server.store.put("uploads", upload["id"], upload)
    for part in server.store.list(place):
        server.store.delete_blob(part["id"])
        server.store.delete(place, part["id"])
    return upload


def _parts(upload: str) -> str:
    return f"uploads/{upload}/parts"


def _sizes(server: Server, upload: str) -> list[int]:
    blobs = [server.store.open_blob(part["id"]) for part in server.store.list(_parts(upload))]
    return [blob.size for blob in blobs if blob is not None]


def _part(server: Server, upload: str, id: str) -> bytes | Spooled:
    blob = server.store.open_blob(id) if server.store.get(_parts(upload), id) is not None else None
    if blob is not None:
        return blob.data
    if server.conjures:
        return b""
    raise BadRequestError.because(f"No part found with id '{id}' in this upload.", param="part_ids")


def _assembled(call: Call, upload: dict[str, Any], parts: Sequence[bytes | Spooled]) -> bytes | Spooled:
    """The parts as one, after the checks that have to read them."""
    seen = digest(usedforsecurity=False)
    with Spool() as spool:
        for part in parts:
            for piece in pieces_of(part):
                seen.update(piece)
                spool.write(piece)
                if spool.full:
                    spool.flush()
        data = spool.done()
    wanted = call.body.get("md5")
    if wanted and not call.server.conjures and seen.hexdigest() != wanted.lower():
        raise BadRequestError.because("The checksum of the parts is not the one given.", param="md5")
    if checks_lines(call.server, upload["purpose"]):
        require_objects(data)
    return data
