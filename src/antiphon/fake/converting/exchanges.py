"""Requests and answers of other recordings as ours, without secrets."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final

from ...kernel.http import Headers, Response
from ..cassettes.bodies import body_of, events_of, request_body
from ..cassettes.files import is_address
from ..cassettes.recording import Recording, kept_answer_headers, kept_request_headers, stamp
from ..cassettes.safety import clean
from ..cassettes.spread import gathered

if TYPE_CHECKING:
    from ..cassettes.scrubbing import Place, Scrubber
    from .source import Source

__all__ = ("Exchange", "dated", "headers_of", "is_text")

METHODS: Final = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")


class Exchange:
    """One request and its answer, as another program has written them down."""

    def __init__(self, source: Source, place: Place) -> None:
        self.source = source
        self.place = place
        self.scrubber: Scrubber = source.scrubber

    def recording(
        self, request: dict[str, Any], answer: dict[str, Any], recorded: str | None, after: float = 0.0
    ) -> Recording:
        """A recording of a request and an answer as `asked` and `told` give them."""
        if round(after, 3) > 0:
            answer = {"status": answer.pop("status"), "after": round(after, 3), **answer}
        value: dict[str, Any] = {"request": request, "answer": answer}
        if recorded is not None:
            value["recorded"] = recorded
        return Recording(value)

    def asked(self, method: Any, url: Any, headers: Headers, body: bytes) -> dict[str, Any]:
        """A request. Raises `ConvertError` where it has no method or address."""
        if not is_address(url) or not isinstance(method, str) or method.upper() not in METHODS:
            self.source.wrong(self.place, "a request has a method and an address")
        scrubber = self.scrubber
        scrubber.learn(headers.pairs)
        asked: dict[str, Any] = {"method": method.upper(), "url": scrubber.text(url)}
        kept = {name: scrubber.header(name, value) for name, value in kept_request_headers(headers).items()}
        if kept:
            asked["headers"] = kept
        asked.update(clean(scrubber, request_body(body, headers.get("content-type") or "")))
        return asked

    def told(self, status: Any, headers: Headers, data: bytes) -> dict[str, Any]:
        """An answer. Raises `ConvertError` where its status is none."""
        if status.__class__ is not int or not 100 <= status <= 599:
            self.source.wrong(self.place, "the response's status is a number from 100 to 599")
        scrubber = self.scrubber
        told: dict[str, Any] = {"status": status}
        kept = kept_answer_headers(Response(status, headers).headers)
        if kept:
            told["headers"] = {
                name: [scrubber.header(name, each) for each in value]
                if isinstance(value, list)
                else scrubber.header(name, value)
                for name, value in kept.items()
            }
        if (headers.get("content-type") or "").startswith("text/event-stream"):
            told.update(events_of([(0.0, data)], lambda event: clean(scrubber, event)))
            gathered(scrubber, told["events"])
        else:
            told.update(clean(scrubber, body_of(data)))
        return told

    def plain(self, data: bytes, headers: Headers) -> bytes:
        """What a body says, where it is compressed. Raises `ConvertError` where that cannot be found out."""
        coding = (headers.get("content-encoding") or "").strip().lower()
        unpack = _CODINGS.get(coding)
        if not data or (coding == "gzip" and not data.startswith(b"\x1f\x8b")):
            return data  # it may have been written unpacked, with the header left as it was
        if unpack is None:
            if coding and not is_text(data):
                told = f"its body is compressed as {coding}, which cannot be read; there are gzip and deflate"
                self.source.wrong(self.place, told)
            return data
        try:
            return unpack(data)
        except (OSError, EOFError, zlib.error) as error:
            if is_text(data):
                return data
            self.source.wrong(self.place, f"its body is not {coding}, as its header says: {error}")


_CODINGS: Final[Mapping[str, Callable[[bytes], bytes]]] = {
    "gzip": gzip.decompress,
    "deflate": lambda data: zlib.decompress(data, 15 if data[:1] == b"\x78" else -15),
}


def is_text(data: bytes) -> bool:
    """Whether bytes are UTF-8."""
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def headers_of(given: Any) -> Headers:
    """Headers from a mapping of names to texts or lists of them."""

    def pairs() -> Iterator[tuple[str, str]]:
        for name, value in (given if isinstance(given, Mapping) else {}).items():
            for each in value if isinstance(value, list) else [value]:
                yield str(name), str(each)

    return Headers(pairs())


def dated(headers: Headers) -> str | None:
    """When an answer was given, by its header, as a cassette has it."""
    date = headers.get("date")
    try:
        return None if date is None else stamp(parsedate_to_datetime(date).timestamp())
    except ValueError:
        return None
