"""A gateway's access log, as lines or as JSON: who asked which model for how much, never with what key."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from time import localtime, strftime, time
from typing import TYPE_CHECKING, Any

import orjson

from ..hosting.access import detailed

if TYPE_CHECKING:
    from ..hosting.access import Details
    from ..kernel.http import Filter, Headers

__all__ = ("access_log",)

Names = Callable[["Headers"], "str | None"]
"""The name of the key in some headers."""

_QUIET = frozenset({"/health/live", "/health/ready", "/healthz", "/readyz", "/metrics"})
"""Pages that are asked for every few seconds; they are logged where they fail."""


def access_log(kind: str, names: Names) -> list[Filter]:
    """The filters of a log: `line`, `json` or `off`. Raises `ValueError` for another kind."""
    if kind not in _KINDS:
        raise ValueError(f"a log is line, json or off, not {kind!r}")
    make = _KINDS[kind]
    return [] if make is None else [detailed(make(names))]


def _lines(names: Names) -> Callable[[Details], None]:
    def note(details: Details) -> None:
        entry = details.entry
        if entry.path in _QUIET and entry.status < 400:
            return
        parts = [_clock(int(time())), entry.method, entry.path, str(entry.status), f"{entry.seconds * 1000:.1f} ms"]
        if details.first_seconds is not None:
            parts.append(f"first {details.first_seconds * 1000:.1f} ms")
        if details.model is not None:
            parts.append(_plain(details.model))
        read, written = _used(details)
        if read is not None or written is not None:
            parts.append(f"{read or 0}+{written or 0} tokens")
        told = (names(details.request.headers), details.notes.get("upstream"), entry.request_id)
        parts += [str(each) for each in told if each is not None]
        _write(" ".join(parts) + ("\n" if entry.whole else " (cut off)\n"))

    return note


def _json(names: Names) -> Callable[[Details], None]:
    def note(details: Details) -> None:
        entry = details.entry
        if entry.path in _QUIET and entry.status < 400:
            return
        read, written = _used(details)
        told: dict[str, Any] = {
            "time": time(),
            "method": entry.method,
            "path": entry.path,
            "status": entry.status,
            "seconds": round(entry.seconds, 6),
            "first_seconds": None if details.first_seconds is None else round(details.first_seconds, 6),
            "model": details.model,
            "input_tokens": read,
            "output_tokens": written,
            "upstream": details.notes.get("upstream"),
            "key": names(details.request.headers),
            "request_id": entry.request_id,
            "whole": entry.whole,
        }
        _write(orjson.dumps(told, default=str).decode() + "\n")

    return note


def _used(details: Details) -> tuple[int | None, int | None]:
    """Tokens read and written: those the answer tells, else those the model told the gateway."""
    usage, notes = details.usage, details.notes
    return usage.get("input", notes.get("input_tokens")), usage.get("output", notes.get("output_tokens"))


@lru_cache(maxsize=1)
def _clock(second: int) -> str:
    return strftime("%H:%M:%S", localtime(second))


def _plain(name: str) -> str:
    """A name of a caller's, which drives no terminal."""
    return "".join(c if c.isprintable() and c != " " else "?" for c in name[:100])


def _write(line: str) -> None:
    with suppress(OSError):  # whoever read the log has gone; the gateway is for others
        sys.stdout.write(line)
        sys.stdout.flush()


_KINDS: dict[str, Callable[[Names], Callable[[Details], None]] | None] = {"line": _lines, "json": _json, "off": None}
