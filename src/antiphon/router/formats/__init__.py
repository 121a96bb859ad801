"""Wire formats, a file each, found by their keys.

    lanarky   server-sent events named `completion` with raw text; frames `{"data", "event"}` on a websocket
    openai    the chunks of chat completions, and the events of Responses
    vercel    the UI message stream of the AI SDK
    ag-ui     the events of the Agent-User Interaction protocol
    text      the text and nothing else
    json      the whole answer as the API's object

A route has one format, and its caller may ask for another in `Accept`:

    application/json                      json
    text/plain                            text
    text/event-stream; format=vercel      the format of that name
    text/event-stream, */*, none          the route's own

A format of your own is a `Format`, given where a key may stand.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Final

from ..errors import Refused
from .base import Format, Writer

__all__ = ("KEYS", "Format", "Writer", "find", "negotiated")

_WHERE: Final = {
    "lanarky": ".lanarky",
    "openai": ".openai",
    "vercel": ".vercel",
    "ag-ui": ".ag_ui",
    "text": ".text",
    "json": ".json",
}
KEYS: Final = tuple(_WHERE)
"""The formats there are."""


def find(key: str | Format) -> Format:
    """The format with a key; a format as it is. Raises `ValueError` for a key there is no format of."""
    if isinstance(key, Format):
        return key
    home = _WHERE.get(key)
    if home is None:
        raise ValueError(f"there is no wire format {key!r}; there are {', '.join(KEYS)}")
    found: Format = import_module(home, __name__).FORMAT
    return found


def negotiated(accept: str | None, own: Format, allowed: Sequence[Format]) -> Format:
    """The format the caller asks for, of those that are allowed. Raises `Refused` with 406 where there is none."""
    if not accept or accept == "*/*" or accept == "text/event-stream":
        return own
    asked = sorted(_ranges(accept), key=lambda each: -each[2])
    for media, named, quality in asked:
        if quality <= 0:
            continue
        if named is not None:
            for each in allowed:
                if each.key == named and media in ("text/event-stream", "*/*", each.media_type):
                    return each
        elif _covers(media, own.media_type) or media in own.also:
            return own
        else:
            for each in allowed:
                if each.media_type == media and each.by_media_type:
                    return each
            if media == "text/event-stream":
                return own
    raise Refused(
        f"This route answers with {', '.join(_offers(own, allowed))}; Accept was {accept[:200]!r}.",
        status=406,
        code="not_acceptable",
    )


def _offers(own: Format, allowed: Sequence[Format]) -> list[str]:
    named = (each.media_type if each.by_media_type else f"{each.media_type};format={each.key}" for each in allowed)
    return list(dict.fromkeys((own.media_type, *named)))


def _covers(media: str, media_type: str) -> bool:
    """Whether a media range has a media type in it."""
    return media in ("*/*", media_type) or (media.endswith("/*") and media_type.startswith(media[:-1]))


def _ranges(accept: str) -> list[tuple[str, str | None, float]]:
    """Media ranges with the format they name and their quality."""
    found: list[tuple[str, str | None, float]] = []
    for part in accept.split(","):
        media, *parameters = (each.strip() for each in part.split(";"))
        named: str | None = None
        quality = 1.0
        for parameter in parameters:
            name, _, value = parameter.partition("=")
            if name.lower() == "q":
                try:
                    quality = float(value)
                except ValueError:
                    quality = 0.0
            elif name.lower() == "format":
                named = value.strip('"').lower()
        if media:
            found.append((media.lower(), named, quality))
    return found
