"""The text and nothing else. A last line `[error 502] …`, as our routes write it, is an error."""

from __future__ import annotations

import re
from typing import Final

from ...events import Error, Event, Text
from .base import AnswerReader

__all__ = ("READER",)

_ERROR: Final = re.compile(r"\n\[error (\d{3})\] ([^\n]*)\n\Z")
_MARK: Final = "\n[error "


class TextReader(AnswerReader):
    key = "text"
    silent = True

    def __init__(self) -> None:
        super().__init__()
        self._held = ""
        """What may be the last line."""

    def feed(self, name: str | None, data: str) -> None:
        text = self._held + data
        held = _held_from(text)
        self._held = text[held:]
        if held:
            self.say(Text(text[:held]))

    def read_frame(self, frame: str) -> list[Event]:
        if not frame:
            self.over = self.bare = True
            return self.close()
        return self.read(None, frame)

    def end(self) -> None:
        match = _ERROR.fullmatch(self._held)
        if match is not None:
            self.fail(Error(match[2], int(match[1])))
            return
        if self._held:
            self.say(Text(self._held))
        self.finish("stop")


def _held_from(text: str) -> int:
    """Where that begins which may be the last line, in whole or in part."""
    at = text.rfind("\n", 0, -1) if text.endswith("\n") else text.rfind("\n")
    if at == -1:
        return len(text) - 1 if text.endswith("\n") else len(text)
    line = text[at:]
    if _MARK.startswith(line) or (line.startswith(_MARK) and "\n" not in line[1:-1]):
        return at
    return len(text) - 1 if text.endswith("\n") else len(text)


READER: Final = TextReader
