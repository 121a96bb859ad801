"""Forms with files (RFC 7578), both ways, without I/O beyond reading the files that are sent.

`encode` writes fields and files as a body that is read from the files piece by piece, its length known
beforehand where theirs are; `Decoder` takes a body in any split and gives its parts back. `decode` does so for a
whole body, and leaves the files of one that is in a temporary file where they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import IO, TYPE_CHECKING, Any, Final, NamedTuple

from .http import Headers, Upload
from .spool import Spooled, pieces_of

if TYPE_CHECKING:
    from .files import FileTypes

__all__ = ("Content", "Decoder", "FilePart", "Opened", "Part", "boundary_of", "decode", "encode", "file_part")

_PIECE = 256 * 1024
"""What is read of a file at a time: with less, changing threads costs more than sending."""


class FilePart(NamedTuple):
    """A part of a form that is not a plain field."""

    name: str
    filename: str | None
    content: Any
    """Bytes, a path, or an open binary file."""
    content_type: str | None = None
    headers: Mapping[str, str] | None = None


def file_part(name: str, file: FileTypes) -> FilePart:
    """A file argument in any of its forms as a part. Raises `TypeError` for anything else."""
    import os

    if isinstance(file, tuple):
        if not 2 <= len(file) <= 4:
            raise TypeError(
                f"the file '{name}' is a tuple of {len(file)}: give (name, content[, content_type[, headers]])"
            )
        filename, content, *rest = file
        content_type: Any = rest[0] if rest else None
        headers: Any = rest[1] if len(rest) > 1 else None
        return FilePart(name, filename, _content(name, content), content_type, headers)
    if isinstance(file, os.PathLike):
        return FilePart(name, os.path.basename(os.fspath(file)), file)
    content = _content(name, file)
    known = getattr(content, "name", None)
    # An open descriptor has its number for a name.
    path = os.fspath(known) if isinstance(known, (str, os.PathLike)) else ""
    return FilePart(name, (os.path.basename(path) if isinstance(path, str) else os.fsdecode(path)) or "upload", content)


def _content(name: str, content: Any) -> Any:
    import os

    if isinstance(content, (bytes, os.PathLike)):
        return content
    if isinstance(content, (bytearray, memoryview)):
        return bytes(content)
    if isinstance(content, str):
        raise TypeError(
            f"the file '{name}' is a str: give its bytes, an open binary file, a path as pathlib.Path, "
            "or (name, content[, content_type[, headers]])"
        )
    if not hasattr(content, "read"):
        raise TypeError(
            f"the file '{name}' is of type {type(content).__name__}: give bytes, an open binary file, a path, "
            "or (name, content[, content_type[, headers]])"
        )
    import io

    if isinstance(content, io.TextIOBase):
        raise TypeError(f"the file '{name}' is open in text mode: open it with 'rb'")
    return content


# Encoding


def encode(
    fields: Iterable[tuple[str, str | bytes]], files: Iterable[FilePart] = (), *, boundary: str | None = None
) -> tuple[str, bytes | Upload]:
    """A form as its content type and its body.

    Where everything is in memory the body is bytes. Otherwise it is an `Upload` that reads the files 256 KiB at a
    time, from their beginning on every attempt; a file that cannot be sought can be sent once. Raises `ValueError`
    for a part header that cannot be sent, `OSError` for a path that cannot be opened.
    """
    import os

    boundary = boundary or os.urandom(16).hex()
    line = f"--{boundary}\r\n".encode()
    parts: list[bytes | Content] = []
    for name, value in fields:
        data = value.encode() if isinstance(value, str) else value
        parts += (line, b"Content-Disposition: form-data; ", _parameter("name", name), b"\r\n\r\n", data, b"\r\n")
    for part in files:
        content = part.content
        parts += (line, _head(part), content if isinstance(content, bytes) else Opened(content), b"\r\n")
    parts.append(f"--{boundary}--\r\n".encode())
    return f"multipart/form-data; boundary={boundary}", _body(_joined(parts))


class Content:
    """Bytes that are read when they are sent."""

    length: int | None = None
    at_hand: bool = False
    """Whether it is there at once when it is asked for."""

    @property
    def replayable(self) -> bool:
        """Whether it can be read (again)."""
        raise NotImplementedError

    def pieces(self) -> Iterator[bytes]:
        raise NotImplementedError


class Opened(Content):
    """The content of a file: a path, or a binary file that is open."""

    def __init__(self, file: Any) -> None:
        import io
        import os

        self.file = file
        if isinstance(file, os.PathLike):
            self.length = _size(os.stat(file))
            self.at_hand = self.length is not None
        else:
            self.length = _length(file)
            # Python's own files only: what others do when they are read is not known.
            self.at_hand = self.length is not None and type(file) in (io.BufferedReader, io.BufferedRandom, io.BytesIO)

    @property
    def replayable(self) -> bool:
        """A file that was closed, or cannot be sought, cannot be read again."""
        import os

        return isinstance(self.file, os.PathLike) or _seekable(self.file)

    def pieces(self) -> Iterator[bytes]:
        import os

        if isinstance(self.file, os.PathLike):
            with open(self.file, "rb") as opened:
                yield from _read(opened)
            return
        if self.replayable:
            self.file.seek(0)
        yield from _read(self.file)


def _read(file: IO[bytes]) -> Iterator[bytes]:
    while piece := file.read(_PIECE):
        yield piece


def _seekable(file: Any) -> bool:
    try:
        return bool(file.seekable()) if hasattr(file, "seekable") else hasattr(file, "seek")
    except (OSError, ValueError):
        return False


def _length(file: Any) -> int | None:
    """How many bytes an open file has, from its beginning."""
    import os

    try:
        return _size(os.fstat(file.fileno()))
    except (AttributeError, OSError):
        pass
    try:
        at = file.tell()
        end: Any = file.seek(0, os.SEEK_END)
        length: int = file.tell() if end is None else end  # files of other libraries may return nothing
        file.seek(at)
        return length
    except (AttributeError, OSError):
        return None


def _size(status: Any) -> int | None:
    import stat

    return status.st_size if stat.S_ISREG(status.st_mode) else None


def _joined(parts: list[bytes | Content]) -> list[bytes | Content]:
    """Neighbouring bytes as one."""
    joined: list[bytes | Content] = []
    run: list[bytes] = []
    for part in parts:
        if isinstance(part, bytes):
            run.append(part)
        else:
            joined += (b"".join(run), part)
            run = []
    joined.append(b"".join(run))
    return joined


def _body(parts: list[bytes | Content]) -> bytes | Upload:
    if len(parts) == 1 and isinstance(parts[0], bytes):
        return parts[0]
    lengths = [len(part) if isinstance(part, bytes) else part.length for part in parts]

    def pieces() -> Iterator[bytes]:
        for part in parts:
            if isinstance(part, bytes):
                yield part
            else:
                yield from part.pieces()

    return Upload(
        pieces,
        replayable=lambda: all(isinstance(part, bytes) or part.replayable for part in parts),
        length=None if None in lengths else sum(length or 0 for length in lengths),
        at_hand=all(isinstance(part, bytes) or part.at_hand for part in parts),
    )


_ESCAPES = {34: "%22", 92: "\\\\", **{code: f"%{code:02X}" for code in range(32) if code != 27}}
"""How names are quoted, as browsers and httpx do it (WHATWG HTML, "multipart/form-data")."""


def _parameter(key: str, value: str) -> bytes:
    return f'{key}="{value.translate(_ESCAPES)}"'.encode()


def _head(part: FilePart) -> bytes:
    headers = dict(part.headers or {})
    if not any("content-type" in name.lower() for name in headers):
        content_type = part.content_type or _guess(part.filename)
        if content_type is not None:
            headers["Content-Type"] = content_type
    head = b"Content-Disposition: form-data; " + _parameter("name", part.name)
    if part.filename:
        head += b"; " + _parameter("filename", part.filename)
    for name, value in headers.items():
        if not name or not name.isascii() or not all(char.isalnum() or char in "!#$%&'*+-.^_`|~" for char in name):
            raise ValueError(f"a part of a form cannot have a header named {name!r}")
        if any((ord(char) < 32 and char != "\t") or char == "\x7f" for char in value):
            raise ValueError(f"the header {name} of a part has a control character: {value!r}")
        head += f"\r\n{name}: {value}".encode()
    return head + b"\r\n\r\n"


def _guess(filename: str | None) -> str | None:
    if not filename:
        return None
    from mimetypes import guess_type

    return guess_type(filename)[0] or "application/octet-stream"


# Decoding


class Part(NamedTuple):
    """A part of a form that was read."""

    name: str
    filename: str | None
    """`None` for a plain field."""
    content_type: str | None
    headers: Headers
    content: bytes | Spooled = b""
    at: int = 0
    """Where its content begins, in bytes from the beginning of the body."""


_MAX_PARTS: Final = 10_000
_MAX_FIELDS: Final = 16 * 1024 * 1024


def decode(
    content_type: str, body: bytes | Spooled, *, max_parts: int = _MAX_PARTS, max_fields: int = _MAX_FIELDS
) -> list[Part]:
    """The parts of a form in order. Of a body in a temporary file, the files stay there, as `Spooled`.

    Raises `ValueError` when the body is not a form as its content type says, when it has more than `max_parts` parts,
    or more than `max_fields` bytes in those that are no files.
    """
    decoder = Decoder(boundary_of(content_type))
    parts: list[Part] = []
    pieces: list[bytes] = []
    size = fields = 0
    for piece in pieces_of(body):
        for event in decoder.feed(piece):
            if isinstance(event, bytes):
                size += len(event)
                if parts[-1].filename is None:
                    if fields + size > max_fields:
                        raise ValueError(f"the fields of the form that are no files have more than {max_fields} bytes")
                    pieces.append(event)
                elif isinstance(body, bytes):
                    pieces.append(event)
            elif event is None:
                part = parts[-1]
                if part.filename is None:
                    fields += size
                stays = isinstance(body, Spooled) and part.filename is not None
                parts[-1] = part._replace(content=body.part(part.at, size) if stays else b"".join(pieces))  # type: ignore[union-attr]
                size, pieces = 0, []
            elif len(parts) == max_parts:
                raise ValueError(f"the form has more than {max_parts} parts")
            else:
                parts.append(event)
    decoder.close()
    return parts


def boundary_of(content_type: str) -> str:
    """The boundary a content type names. Raises `ValueError` where there is none."""
    kind, parameters = _parameters(content_type)
    boundary = parameters.get("boundary")
    if kind != "multipart/form-data" or not boundary:
        raise ValueError(f"not a content type of a form with a boundary: {content_type!r}")
    return boundary


class Decoder:
    """Turns pieces of a body into events: a `Part` where one begins, its bytes, and `None` where it ends."""

    def __init__(self, boundary: str, *, max_head: int = 64 * 1024) -> None:
        self._mark = b"\r\n--" + boundary.encode("latin-1")
        self._max_head = max_head
        # The first boundary need not follow a line break: give it one.
        self._buffer = bytearray(b"\r\n")
        self._fed = 0
        self._step: Callable[[], tuple[bool, list[Part | bytes | None]]] = self._preamble

    def feed(self, piece: bytes) -> Iterator[Part | bytes | None]:
        """The events that `piece` completes. Raises `ValueError` where the body is malformed."""
        self._buffer += piece
        self._fed += len(piece)
        on = True
        while on:
            on, events = self._step()
            yield from events

    def close(self) -> Iterator[Part | bytes | None]:
        """The end of the body. Raises `ValueError` when the closing boundary has not come."""
        if self._step != self._epilogue:
            raise ValueError("the form ends before its closing boundary")
        return iter(())

    def _preamble(self) -> tuple[bool, list[Part | bytes | None]]:
        at = self._buffer.find(self._mark)
        if at < 0:
            del self._buffer[: max(0, len(self._buffer) - len(self._mark))]
            return False, []
        del self._buffer[: at + len(self._mark)]
        self._step = self._boundary
        return True, []

    def _boundary(self) -> tuple[bool, list[Part | bytes | None]]:
        """What follows a boundary: two dashes at the end of the form, else a line break and a part's head."""
        if self._buffer.startswith(b"--"):
            self._step = self._epilogue
            return True, []
        end = self._buffer.find(b"\r\n")
        if end < 0:
            if len(self._buffer) > self._max_head:
                raise ValueError("a boundary of the form is not followed by a line break")
            return False, []
        if self._buffer[:end].strip(b" \t"):
            raise ValueError("a boundary of the form is not followed by a line break")
        # The line break stays: a part without headers has its blank line right here.
        del self._buffer[:end]
        self._step = self._headers
        return True, []

    def _headers(self) -> tuple[bool, list[Part | bytes | None]]:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self._buffer) > self._max_head:
                raise ValueError(f"the head of a part of the form is longer than {self._max_head} bytes")
            return False, []
        part = _part(bytes(self._buffer[:end]))
        del self._buffer[: end + 2]
        # What is left begins with a line break, so that the boundary of an empty part is found too.
        self._step = self._begun
        return True, [part._replace(at=self._fed - len(self._buffer) + 2)]

    def _begun(self) -> tuple[bool, list[Part | bytes | None]]:
        if len(self._buffer) < len(self._mark):
            return False, []
        if self._buffer.startswith(self._mark):
            return self._end(0)
        del self._buffer[:2]
        self._step = self._content
        return True, []

    def _content(self) -> tuple[bool, list[Part | bytes | None]]:
        at = self._buffer.find(self._mark)
        if at >= 0:
            return self._end(at)
        ready = len(self._buffer) - len(self._mark)
        if ready <= 0:
            return False, []
        with memoryview(self._buffer) as view:
            piece = bytes(view[:ready])
        del self._buffer[:ready]
        return False, [piece]

    def _end(self, at: int) -> tuple[bool, list[Part | bytes | None]]:
        last: list[Part | bytes | None] = [bytes(self._buffer[:at])] if at else []
        del self._buffer[: at + len(self._mark)]
        self._step = self._boundary
        return True, [*last, None]

    def _epilogue(self) -> tuple[bool, list[Part | bytes | None]]:
        self._buffer.clear()
        return False, []


def _part(head: bytes) -> Part:
    headers = Headers.of([])
    for line in head.decode("utf-8", "surrogateescape").split("\r\n"):
        key, colon, value = line.partition(":")
        if colon:
            headers.pairs.append((key.strip().lower(), value.strip()))
        elif line.strip():
            raise ValueError(f"not a header of a part of the form: {line!r}")
    kind, parameters = _parameters(headers.get("content-disposition", ""))
    name = parameters.get("name")
    if kind != "form-data" or name is None:
        raise ValueError("a part of the form has no name")
    filename = parameters.get("filename*", parameters.get("filename"))
    return Part(name, filename, headers.get("content-type"), headers)


def _parameters(value: str) -> tuple[str, dict[str, str]]:
    """A header such as `form-data; name="a"; filename="b"` as its kind and its parameters."""
    kind, _, rest = value.partition(";")
    found: dict[str, str] = {}
    while rest:
        name, equals, rest = rest.lstrip("; \t").partition("=")
        if not equals:
            break
        name = name.strip().lower()
        rest = rest.lstrip()
        if rest[:1] == '"':
            text, rest = _quoted(rest)
        else:
            text, _, rest = rest.partition(";")
            text = text.strip()
        if name.endswith("*"):
            text = _extended(text)
        found.setdefault(name, text)
    return kind.strip().lower(), found


def _quoted(rest: str) -> tuple[str, str]:
    """The text of a quoted string at the beginning of `rest`, and what follows it."""
    text: list[str] = []
    index = 1
    while index < len(rest):
        char = rest[index]
        if char == '"':
            break
        # Browsers send Windows paths with single backslashes, so only what has to be escaped is an escape.
        if char == "\\" and rest[index + 1 : index + 2] in ('"', "\\"):
            index += 1
            char = rest[index]
        text.append(char)
        index += 1
    return "".join(text).replace("%22", '"').replace("%0D", "\r").replace("%0A", "\n"), rest[index + 1 :]


def _extended(text: str) -> str:
    """A parameter of the form `UTF-8''na%C3%AFve.txt` (RFC 8187)."""
    from urllib.parse import unquote

    charset, _, rest = text.partition("'")
    _, _, value = rest.partition("'")
    try:
        return unquote(value, charset or "utf-8", "replace")
    except LookupError:
        return value
