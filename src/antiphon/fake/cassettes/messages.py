"""What is said over a websocket as a cassette has it: messages in the order in which they went, of both sides.

messages:
- {from: client, data: {type: response.create, …}}
- {from: server, after: 0.31, data: {type: response.created, …}}
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

from .bodies import _json, _laid_out, _text_or_binary, _written

__all__ = ("CLIENT", "SERVER", "WEBSOCKET", "Heard", "compared", "message_of", "messages_of", "said_of")

WEBSOCKET: Final = "WEBSOCKET"
"""What stands in the place of a method where a websocket is opened."""

CLIENT: Final = "client"
SERVER: Final = "server"


class Heard(NamedTuple):
    """A message that has passed by."""

    at: float
    """Seconds since the connection was opened."""
    by: str
    data: bytes


def message_of(data: bytes) -> dict[str, Any]:
    """A client's message by what it is: `data` where it is JSON, else `text` or `base64`."""
    found = _json(data)
    return {"data": found} if found is not None else _text_or_binary(data) or {"text": ""}


def messages_of(heard: Iterable[Heard], clean: Callable[[Any], Any]) -> dict[str, Any]:
    """A dialogue, and how the server's JSON is laid out. `clean` scrubs."""
    every = list(heard)
    found = (_laid_out(each.data) for each in every if each.by == SERVER)
    layout = next((each[1] for each in found if each is not None), "compact")
    messages: list[dict[str, Any]] = []
    last = 0.0
    for at, by, data in every:
        message: dict[str, Any] = {"from": by}
        seconds = round(at - last, 3)
        if seconds > 0:
            message["after"] = seconds
            last = at
        told = message_of(data)
        if by == SERVER and "data" in told:
            value = _laid_out(data)
            if value is None or value[1] != layout:
                told = _text_or_binary(data)
        messages.append({**message, **clean(told)})
    return {"messages": messages} if layout == "compact" else {"layout": layout, "messages": messages}


def said_of(message: Mapping[str, Any], layout: str) -> bytes:
    """A message's bytes."""
    if "data" in message:
        return _written(message["data"], layout)
    if "base64" in message:
        return base64.b64decode(message["base64"])
    text: str = message["text"]
    return text.encode()


def compared(message: Mapping[str, Any]) -> dict[str, Any]:
    """A message as bodies of requests are compared."""
    names = {"data": "json", "text": "text", "base64": "base64"}
    return {name: message[key] for key, name in names.items() if key in message}
