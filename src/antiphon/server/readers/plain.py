"""Text as it stands: prose, Markdown, code. In UTF-8, or in UTF-16 with a byte order mark, as the API wants it."""

from __future__ import annotations

import codecs

from . import Unreadable

__all__ = ("text",)


def text(data: bytes) -> str:
    """The characters, with line breaks that are line feeds."""
    wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        found = data.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise Unreadable(
            "invalid_file", f"The file is not text in UTF-8 or UTF-16: byte {error.start} cannot be read."
        ) from None
    if "\0" in found:
        raise Unreadable("invalid_file", "The file is not text: it has NUL characters.")
    return found.replace("\r\n", "\n").replace("\r", "\n")
