"""Tables as CSV or TSV: each row with the names of its columns, so that a chunk says what it is about."""

from __future__ import annotations

import csv

from . import Unreadable, plain

__all__ = ("text",)


def text(data: bytes) -> str:
    found = plain.text(data)
    lines = found.split("\n")
    try:
        dialect = csv.Sniffer().sniff("\n".join(lines[:20])[:4096], delimiters=",;\t|")
    except csv.Error:
        return found  # one column
    try:
        rows = [row for row in csv.reader(lines, dialect) if any(map(str.strip, row))]
    except csv.Error as error:
        raise Unreadable("invalid_file", f"The table cannot be read: {error}.") from None
    if len(rows) < 2:
        return found
    names = rows[0]
    return "\n".join(
        ", ".join(
            f"{names[at]}: {cell}" if at < len(names) and names[at] else cell for at, cell in enumerate(row) if cell
        )
        for row in rows[1:]
    )
