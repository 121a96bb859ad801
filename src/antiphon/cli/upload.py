"""`antiphon upload` uploads files, large ones in parts."""

from __future__ import annotations

import argparse
import io
from mimetypes import guess_type
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ._client import connect, connection, count
from ._errors import USAGE, Problem
from ._output import json_line
from ._progress import Status

if TYPE_CHECKING:
    from ..client import OpenAI

__all__ = ("configure", "run")

_LARGE = 512 * 1024 * 1024
"""Bytes the API takes in one piece."""
_PART = 64 * 1024 * 1024
_PURPOSES = ("assistants", "batch", "fine-tune", "vision", "user_data", "evals")


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    parser.description = (
        "Upload files. The id of each is printed once it is there. Those larger than 512 MiB are sent in parts."
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help="a file")
    parser.add_argument(
        "-p",
        "--purpose",
        metavar="NAME",
        default="user_data",
        help=f"what it is for: {', '.join(_PURPOSES)} (default: user_data)",
    )
    parser.add_argument(
        "--parts", type=count, metavar="MIB", help="send it in parts of so many MiB, however large it is"
    )
    parser.add_argument("--wait", action="store_true", help="wait until the API has looked at it")
    parser.add_argument("--json", action="store_true", help="the API's own object, a line of JSON for each file")
    connection(parser)


def run(options: argparse.Namespace) -> int:
    """Upload one file after the other. The first that fails ends it."""
    paths = [Path(file).expanduser() for file in options.files]
    for path in paths:
        if path.is_dir():
            raise Problem(f"{path} is a directory", USAGE)
        path.stat()  # what is not there is told of before anything is sent
    if options.parts is not None and not 1 <= options.parts <= 64:
        raise Problem("a part has from 1 to 64 MiB", USAGE)
    client, _ = connect(options)
    with client:
        for path in paths:
            file = _uploaded(client, path, options)
            if options.json:
                json_line(file)
            else:
                print(file.id, flush=True)
    return 0


def _uploaded(client: OpenAI, path: Path, options: argparse.Namespace) -> Any:
    with Status(path.name, delay=0.3) as status:
        if options.parts is not None or path.stat().st_size > _LARGE:
            file = _in_parts(client, path, options.purpose, (options.parts or 0) << 20 or _PART, status)
        else:
            file = client.files.create(file=status.file(path), purpose=options.purpose)
        if options.wait:
            status.what, status.total, status.done = f"{path.name} is being looked at", 0, 0
            file = client.files.wait_for_processing(file.id, poll_interval=1.0)
    if options.wait and file.status == "error":
        raise Problem(f"{path}: {file.status_details or 'the API cannot use it'} ({file.id})")
    return file


def _in_parts(client: OpenAI, path: Path, purpose: Any, size: int, status: Status) -> Any:
    mime_type = guess_type(path.name)[0] or "application/octet-stream"
    status.total = path.stat().st_size
    upload = client.uploads.create(bytes=status.total, filename=path.name, mime_type=mime_type, purpose=purpose)
    parts: list[str] = []
    try:
        with path.open("rb", buffering=0) as file:
            status.restart()
            while data := file.read(size):
                # The status counts what is read: a part that is sent again is counted again from where it began.
                part = client.uploads.parts.create(upload.id, data=_Part(data, status, file.tell() - len(data)))
                parts.append(part.id)
        done = client.uploads.complete(upload.id, part_ids=parts)
    except BaseException:
        _cancel(client, upload.id)
        raise
    if done.file is None:
        raise Problem(f"{path}: the API has put the upload {upload.id} together, but names no file")
    return done.file


class _Part(io.BytesIO):
    """A part of a file, which tells a status how far it has been sent."""

    def __init__(self, data: bytes, status: Status, begins: int) -> None:
        super().__init__(data)
        self.status = status
        self.begins = begins

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self.status.done = self.begins + self.tell()
        return data


def _cancel(client: OpenAI, upload: str) -> None:
    from contextlib import suppress

    from ..kernel.errors import OpenAIError

    with suppress(OpenAIError):  # it ends by itself within an hour
        client.with_options(timeout=5, max_retries=0).uploads.cancel(upload)
