"""What a reader sees of an HTML page: its title and its text, a line for each block."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Final

from . import plain

__all__ = ("text",)

_UNSEEN: Final = frozenset(("script", "style", "template", "noscript", "svg"))
_INLINE: Final = frozenset(
    "a abbr b bdi bdo cite code data dfn em font i kbd mark q s samp small span strong sub sup time u var wbr".split()
)
_CELLS: Final = frozenset(("td", "th"))
_SPACE: Final = re.compile(r"[^\S\n]+")
_LINES: Final = re.compile(r" ?\n[\s]*")


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._unseen = 0
        self._kept = 0
        """How many elements are open in which white space stands as it is."""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _UNSEEN:
            self._unseen += 1
        elif tag == "img":
            self.handle_data(dict(attrs).get("alt") or "")
        elif tag in _CELLS:
            self.parts.append(" ")
        elif tag not in _INLINE:
            self.parts.append("\n")
        self._kept += tag == "pre"

    def handle_endtag(self, tag: str) -> None:
        if tag in _UNSEEN:
            self._unseen = max(0, self._unseen - 1)
        elif tag not in _INLINE and tag not in _CELLS:
            self.parts.append("\n")
        if tag == "pre":
            self._kept = max(0, self._kept - 1)

    def handle_data(self, data: str) -> None:
        if not self._unseen:
            self.parts.append(data if self._kept else data.replace("\n", " "))


def text(data: bytes) -> str:
    page = _Page()
    page.feed(plain.text(data))
    page.close()
    return _LINES.sub("\n", _SPACE.sub(" ", "".join(page.parts))).strip()
