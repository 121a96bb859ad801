"""The text of Word and PowerPoint files: archives of XML, a line for each paragraph."""

from __future__ import annotations

import re
from io import BytesIO
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree as ET
from zipfile import BadZipFile, ZipFile
from zlib import error as ZlibError  # noqa: N812

from . import Unreadable

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ("text",)

_LARGEST: Final = 64 * 1024 * 1024
"""Bytes of text that an archive may unpack to."""
_PARTS: Final = re.compile(r"word/(?:document|footnotes|endnotes)\.xml|ppt/slides/slide(\d+)\.xml")
_BREAKS: Final = {"br": "\n", "cr": "\n", "tab": "\t"}


def text(data: bytes) -> str:
    try:
        with ZipFile(BytesIO(data)) as archive:
            found = [(info, named) for info in archive.infolist() if (named := _PARTS.fullmatch(info.filename))]
            if sum(info.file_size for info, _ in found) > _LARGEST:
                raise Unreadable("invalid_file", f"The document unpacks to more than {_LARGEST} bytes.")
            found.sort(key=lambda each: (int(each[1][1] or 0), each[0].filename))
            return "\n\n".join(filter(None, ("\n".join(_lines(archive.read(info))) for info, _ in found)))
    except (BadZipFile, ZlibError, ET.ParseError, NotImplementedError, RuntimeError, EOFError) as error:
        raise Unreadable("invalid_file", f"The document cannot be read: {error}.") from None


def _lines(xml: bytes) -> Iterator[str]:
    """The paragraphs, those that are not empty."""
    if b"<!DOCTYPE" in xml or b"<!ENTITY" in xml:
        raise Unreadable("invalid_file", "The document declares entities, which none of its kind does.")
    line: list[str] = []
    for event, element in ET.iterparse(BytesIO(xml), ("start", "end")):  # noqa: S314  no entities, as seen above
        name = element.tag.rpartition("}")[2]
        if event == "start":
            line.append(_BREAKS.get(name, ""))
        elif name == "t":
            line.append(element.text or "")
        elif name == "p":
            found = "".join(line).strip()
            line = []
            if found:
                yield found
