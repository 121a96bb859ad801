"""The whole answer as the API's object."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..answers import Asked
from .base import Format, Writer, json_body
from .openai import FORMAT as CHUNKS

if TYPE_CHECKING:
    from ..answers import Answer

__all__ = ("FORMAT",)


class _JSON(Format):
    key = "json"
    media_type = "application/json"
    by_media_type = True
    streams = False
    summary = "The whole answer: a chat completion, or a Response."

    def writer(self, asked: Asked, dialect: str | None) -> Writer:
        return CHUNKS.writer(asked, dialect)

    async def whole(self, answer: Answer, asked: Asked) -> tuple[bytes, str]:
        return await json_body(answer)


FORMAT = _JSON()
