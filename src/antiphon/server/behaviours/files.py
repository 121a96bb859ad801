"""Files and uploads: their bytes are kept and come back as they were sent.

API reference: https://platform.openai.com/docs/api-reference/files and …/uploads
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...api.files import Files
from ...api.uploads import Uploads
from ...api.uploads.parts import Parts
from ...kernel.errors import BadRequestError
from ...kernel.http import Headers, Response
from ..behaviour import Call, serves
from ..facts import made
from ..kept import check_parents, family, now

if TYPE_CHECKING:
    from ..app import Server
    from ..behaviour import Reply

__all__ = ("keep_file",)

_DAY = 86_400


def keep_file(
    server: Server, content: bytes, filename: str, purpose: str, *, at: int, expires_after: int | None = None
) -> dict[str, Any]:
    """Keep bytes as a file made at a time, in Unix seconds, and answer its document. `expires_after` is in seconds."""
    facts = {
        "id": server.ids.new("file-"),
        "object": "file",
        "bytes": len(content),
        "created_at": at,
        "filename": filename,
        "status": "processed",
        "expires_at": None if expires_after is None else at + expires_after,
    }
    doc = made(server, family("files").schema, facts)
    doc["purpose"] = purpose  # the API takes more purposes than its type of a file names
    server.store.put("files", doc["id"], doc)
    server.store.put_blob(doc["id"], content)
    return doc


@serves(Files.create)
def create(call: Call) -> Reply:
    """Keep an uploaded file."""
    file, after = call.body["file"], call.body.get("expires_after")
    seconds = after["seconds"] if after else 30 * _DAY if call.body["purpose"] == "batch" else None
    return keep_file(
        call.server, file.content, file.filename, call.body["purpose"], at=now(call), expires_after=seconds
    )


@serves(Files.content, Files.retrieve_content)
def content(call: Call) -> Reply:
    """The bytes of a file, as they were sent."""
    doc = family("files").found(call)
    blob = call.server.store.get_blob(doc["id"])
    data = blob[0] if blob is not None else b""
    name = str(doc["filename"]).replace("\\", "_").replace('"', "_").encode("ascii", "replace").decode()
    headers = [("content-type", "application/octet-stream"), ("content-disposition", f'attachment; filename="{name}"')]
    return Response(200, Headers.of(headers), data)


@serves(Files.delete)
def delete(call: Call) -> Reply:
    """Forget a file and its bytes."""
    doc = family("files").found(call)
    call.server.store.delete("files", doc["id"])
    call.server.store.delete_blob(doc["id"])
    return {"id": doc["id"], "object": "file", "deleted": True}


@serves(Parts.create)
def add_part(call: Call) -> Reply:
    """Keep one part of an upload. Raises `BadRequestError` when the upload is not pending."""
    check_parents(call)
    upload = _upload(call)
    _require_pending(call, upload)
    doc = family("uploads.parts").add(call, call.params, {})
    call.server.store.put_blob(doc["id"], call.body["data"].content)
    return doc


@serves(Uploads.complete)
def complete(call: Call) -> Reply:
    """Put the parts together, in the order asked for, and keep them as a file.

    Raises `BadRequestError` for a part that is not the upload's, and where size or checksum are not as announced.
    """
    server, upload = call.server, _upload(call)
    _require_pending(call, upload)
    place = f"uploads/{upload['id']}/parts"
    pieces: list[bytes] = []
    for part in call.body["part_ids"]:
        blob = server.store.get_blob(part) if server.store.get(place, part) is not None else None
        if blob is None and not server.conjures:
            raise BadRequestError.because(f"No part found with id '{part}' in this upload.", param="part_ids")
        pieces.append(b"" if blob is None else blob[0])
    data = b"".join(pieces)
    _check(call, upload, data)
    file = keep_file(server, data, upload["filename"], upload["purpose"], at=now(call))
    with server.lock:
        doc = {**upload, "status": "completed", "file": file}
        server.store.put("uploads", upload["id"], doc)
    for part in call.body["part_ids"]:
        server.store.delete_blob(part)
    return doc


@serves(Uploads.cancel)
def cancel(call: Call) -> Reply:
    """Give an upload up. Raises `BadRequestError` when it is not pending."""
    upload = _upload(call)
    _require_pending(call, upload)
    return family("uploads").changed(call, {"status": "cancelled"})


def _upload(call: Call) -> dict[str, Any]:
    return family("uploads").get(call, call.params, call.params["upload_id"])


def _require_pending(call: Call, upload: dict[str, Any]) -> None:
    if upload["status"] != "pending" and not call.server.conjures:
        raise BadRequestError.because(f"Upload '{upload['id']}' is {upload['status']}, so this cannot be done.")


def _check(call: Call, upload: dict[str, Any], data: bytes) -> None:
    if call.server.conjures:
        return
    if len(data) != upload["bytes"]:
        raise BadRequestError.because(
            f"The parts of the upload have {len(data)} bytes, but {upload['bytes']} were announced.", param="part_ids"
        )
    md5 = call.body.get("md5")
    if md5:
        from hashlib import md5 as digest

        if digest(data, usedforsecurity=False).hexdigest() != md5.lower():
            raise BadRequestError.because("The checksum of the parts is not the one given.", param="md5")
