"""HTTP/1.1 as a server reads and writes it, for libraries that are given a connection which is none."""

from __future__ import annotations

from ..kernel.http import Headers, Request, Response

__all__ = ("CONTINUE", "LAST", "Incoming", "chunk", "head")

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
LAST = b"0\r\n\r\n"
"""The end of a body in chunks."""

_FRAMING = frozenset(("connection", "content-length", "transfer-encoding"))


class Incoming:
    """Bytes of a request in any split, until it is whole."""

    def __init__(self, origin: str) -> None:
        self._origin = origin
        self._data = bytearray()
        self._body = bytearray()
        self._request: Request | None = None
        self._left: int | None = None
        """Bytes of the body that have not come; `None` where it comes in chunks."""
        self.waits = False
        """Whether the sender waits to be told to go on with the body; to be set back by who tells it."""

    def feed(self, data: bytes) -> Request | None:
        """The request, once its last byte is there. Raises `ValueError` for what is not HTTP/1.1."""
        self._data += data
        if self._request is None:
            end = self._data.find(b"\r\n\r\n")
            if end < 0:
                return None
            self._request = self._opened(bytes(self._data[:end]).decode("latin-1"))
            del self._data[: end + 4]
        if not (self._chunks() if self._left is None else self._counted()):
            return None
        return self._request._replace(body=bytes(self._body))

    def _opened(self, text: str) -> Request:
        line, *lines = text.split("\r\n")
        method, target, _ = line.split(" ", 2)
        pairs: list[tuple[str, str]] = []
        for each in lines:
            name, _, value = each.partition(":")
            pairs.append((name.strip().lower(), value.strip()))
        headers = Headers.of(pairs)
        if "chunked" not in headers.get("transfer-encoding", ""):
            self._left = int(headers.get("content-length", "0"))
        self.waits = headers.get("expect", "").lower() == "100-continue"
        if not target.startswith("/") and "://" in target:  # as a proxy is asked
            target = "/" + target.partition("://")[2].partition("/")[2]
        path, _, query = target.partition("?")
        return Request(method, path, query, headers, b"", self._origin)

    def _counted(self) -> bool:
        left = self._left or 0
        taken = self._data[:left]
        self._body += taken
        del self._data[: len(taken)]
        self._left = left - len(taken)
        return self._left == 0

    def _chunks(self) -> bool:
        while True:
            end = self._data.find(b"\r\n")
            if end < 0:
                return False
            size = int(bytes(self._data[:end]).partition(b";")[0], 16)
            if len(self._data) < end + 2 + size + 2:
                return False
            self._body += self._data[end + 2 : end + 2 + size]
            del self._data[: end + 2 + size + 2]
            if size == 0:
                return True


def head(response: Response) -> tuple[bytes, bool]:
    """The head of an answer, and whether its body goes in chunks. The connection serves no second request."""
    from http import HTTPStatus

    try:
        phrase = HTTPStatus(response.status).phrase
    except ValueError:
        phrase = ""
    lines = [f"HTTP/1.1 {response.status} {phrase}"]
    lines += [f"{name}: {value}" for name, value in response.headers.pairs if name.lower() not in _FRAMING]
    body = response.body
    asked = response.request
    bodiless = response.status in (204, 304) or (asked is not None and asked.method == "HEAD")
    chunked = not bodiless and not isinstance(body, bytes)
    if chunked:
        lines.append("transfer-encoding: chunked")
    elif isinstance(body, bytes) and response.status not in (204, 304):
        length = response.headers.get("content-length") if bodiless else None
        lines.append(f"content-length: {len(body) if length is None else length}")
    lines.append("connection: close")
    return "\r\n".join([*lines, "", ""]).encode("latin-1"), chunked


def chunk(piece: bytes) -> bytes:
    """A piece of a body, framed. An empty one would end the body, so it must not be empty."""
    return b"%x\r\n%s\r\n" % (len(piece), piece)
