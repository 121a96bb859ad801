"""Cassettes of vcrpy (and of what writes as it does) made into ours."""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Final, NoReturn

from ...kernel.http import Headers, Response
from .bodies import body_of, events_of, request_body
from .files import CassetteError, _reader, _text, _yaml, is_address, save
from .recording import Recording, kept_answer_headers, kept_request_headers, stamp
from .safety import clean
from .scrubbing import Scrubber
from .spread import gathered

__all__ = ("convert",)


def convert(path: str | os.PathLike[str], target: str | os.PathLike[str], scrub: Iterable[str] = ()) -> int:
    """Write what a cassette of vcrpy holds as one of ours, without secrets. Gives the number of its recordings.

    Raises `CassetteError` for a file that is none, `ValueError` for a pattern that is none, and `OSError`.
    """
    yaml = _yaml()
    try:
        value = yaml.load(_text(path), Loader=_reader())  # a safe loader, of ours
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        told = f"this is not YAML: {getattr(error, 'problem', None) or error}"
        raise CassetteError(path, 1 if mark is None else mark.line + 1, told) from None
    if not isinstance(value, dict) or not isinstance(value.get("interactions"), list):
        raise CassetteError(path, 1, "this is no cassette of vcrpy, which has a list of `interactions`")
    scrubber = Scrubber(scrub)
    recordings = [
        _Interaction(path, number, each, scrubber).recording() for number, each in enumerate(value["interactions"])
    ]
    save(Path(target), recordings, scrubber.patterns, append=False)
    return len(recordings)


class _Interaction:
    def __init__(self, path: str | os.PathLike[str], number: int, value: Any, scrubber: Scrubber) -> None:
        self._path = path
        self._number = number
        self._scrubber = scrubber
        request, response = (value.get(name) if isinstance(value, dict) else None for name in ("request", "response"))
        if not isinstance(request, dict) or not isinstance(response, dict):
            self._wrong("it has a request and a response")
        self._request: dict[str, Any] = request
        self._response: dict[str, Any] = response

    def _wrong(self, message: str) -> NoReturn:
        from .files import lines_of

        line, _ = lines_of(self._path)(("interactions", self._number))
        raise CassetteError(self._path, line, f"interactions[{self._number}]: {message}")

    def recording(self) -> Recording:
        scrubber = self._scrubber
        request = self._request
        url: Any = request.get("uri")
        if not is_address(url) or not isinstance(request.get("method"), str):
            self._wrong("a request has a `method` and a `uri`")
        headers = _headers(request.get("headers"))
        scrubber.learn(headers.pairs)
        asked: dict[str, Any] = {"method": request["method"].upper(), "url": scrubber.text(url)}
        kept = {name: scrubber.header(name, value) for name, value in kept_request_headers(headers).items()}
        if kept:
            asked["headers"] = kept
        content = headers.get("content-type") or ""
        asked.update(clean(scrubber, request_body(self._bytes(request.get("body"), "the request"), content)))
        told, at = self._answer()
        value: dict[str, Any] = {"request": asked, "answer": told}
        if at is not None:
            value["recorded"] = at
        return Recording(value)

    def _answer(self) -> tuple[dict[str, Any], str | None]:
        scrubber = self._scrubber
        headers = _headers(self._response.get("headers"))
        status = self._response.get("status")
        code: Any = status.get("code") if isinstance(status, Mapping) else self._response.get("status_code")
        if code.__class__ is not int or not 100 <= code <= 599:
            self._wrong("the response's status has a `code`, which is a number")
        body: Any = self._response.get("body", self._response.get("content"))
        data = self._plain(
            self._bytes(body.get("string") if isinstance(body, Mapping) else body, "the response"), headers
        )
        told: dict[str, Any] = {"status": code}
        kept = kept_answer_headers(Response(code, headers).headers)
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
        return told, _date(headers)

    def _bytes(self, body: Any, what: str) -> bytes:
        if body is None:
            return b""
        if isinstance(body, bytes):
            return body
        if isinstance(body, str):
            return body.encode()
        if isinstance(body, Mapping) and set(body) <= {"string", "base64_string"} and body:
            return self._bytes(next(iter(body.values())), what)
        return self._wrong(f"the body of {what} is a text or binary, not {type(body).__name__}")

    def _plain(self, data: bytes, headers: Headers) -> bytes:
        """What a body says, where it is compressed."""
        coding = (headers.get("content-encoding") or "").strip().lower()
        unpack = _CODINGS.get(coding)
        if not data or (coding == "gzip" and not data.startswith(b"\x1f\x8b")):
            return data  # vcrpy can be told to write it unpacked, and leaves the header
        if unpack is None:
            if coding and not _is_text(data):
                self._wrong(f"its body is compressed as {coding}, which cannot be read; there are gzip and deflate")
            return data
        try:
            return unpack(data)
        except (OSError, EOFError, zlib.error) as error:
            if _is_text(data):
                return data
            self._wrong(f"its body is not {coding}, as its header says: {error}")


_CODINGS: Final[Mapping[str, Callable[[bytes], bytes]]] = {
    "gzip": gzip.decompress,
    "deflate": lambda data: zlib.decompress(data, 15 if data[:1] == b"\x78" else -15),
}


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _headers(given: Any) -> Headers:
    def pairs() -> Iterator[tuple[str, str]]:
        for name, value in (given if isinstance(given, Mapping) else {}).items():
            for each in value if isinstance(value, list) else [value]:
                yield str(name), str(each)

    return Headers(pairs())


def _date(headers: Headers) -> str | None:
    date = headers.get("date")
    try:
        return None if date is None else stamp(parsedate_to_datetime(date).timestamp())
    except ValueError:
        return None
