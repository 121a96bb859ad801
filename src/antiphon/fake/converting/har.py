"""HAR files, as browsers and proxies export them: what is in them of the API, websockets included."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode, urlsplit

from ...kernel.http import Headers
from ...server.endpoint import routes
from ...server.routes import stripped
from ...server.sockets import ADDRESSES
from ..cassettes.messages import CLIENT, SERVER, Heard, messages_of
from ..cassettes.recording import Recording, stamp
from ..cassettes.safety import clean
from ..cassettes.spread import gathered
from .exchanges import METHODS, Exchange
from .vcr import base64_of

if TYPE_CHECKING:
    from .source import Source

__all__ = ("recognized", "recordings")

_UPGRADED: Final = 101
_SOCKETS: Final = [re.compile(re.sub(r"\{\w+\}", "[^/]+", path)) for path in ADDRESSES]


def recognized(data: Any) -> bool:
    """Whether this is a HAR file."""
    log = data.get("log") if isinstance(data, Mapping) else None
    return isinstance(log, Mapping) and isinstance(log.get("entries"), list)


def recordings(source: Source) -> list[Recording]:
    """Its entries as recordings: those that are requests of the API. How many others there are is told."""
    found: list[Recording] = []
    others: Counter[str] = Counter()
    first: dict[str, int] = {}
    for number, each in enumerate(source.data["log"]["entries"]):
        exchange = Exchange(source, ("log", "entries", number))
        request, response = (each.get(name) if isinstance(each, Mapping) else None for name in ("request", "response"))
        if not isinstance(request, Mapping) or not isinstance(response, Mapping):
            source.wrong(exchange.place, "it has a request and a response")
        url = str(request.get("url") or "")
        socket = "_webSocketMessages" in each or response.get("status") == _UPGRADED
        if not _is_ours(str(request.get("method")), url, socket=socket):
            host = urlsplit(url).netloc or "nowhere"
            others[host] += 1
            first.setdefault(host, number)
            continue
        recording = _recording(exchange, each, request, response)
        if recording is not None:
            found.append(recording)
    for host, count in others.items():
        told = f"{count} request{'' if count == 1 else 's'} to {host} {'is' if count == 1 else 'are'} none of the API"
        source.leave(("log", "entries", first[host]), told)
    return found


def _is_ours(method: str, url: str, *, socket: bool) -> bool:
    """Whether a request is one of the API, wherever it is served: by its path."""
    path = urlsplit(url).path
    at = path.find("/v1/")
    path = path[at:] if at >= 0 else path
    if socket:
        return any(pattern.fullmatch(stripped(path)[0].rstrip("/")) for pattern in _SOCKETS)
    return method in METHODS and method in routes().methods(path)


def _recording(
    exchange: Exchange, entry: Mapping[str, Any], request: Mapping[str, Any], response: Mapping[str, Any]
) -> Recording | None:
    headers = _headers(request.get("headers"))
    recorded = _stamp(entry.get("startedDateTime"))
    if isinstance(entry.get("_webSocketMessages"), list):
        return _dialogue(exchange, entry, request, headers, recorded)
    if response.get("status") == _UPGRADED:
        exchange.source.leave(exchange.place, "what was said over this websocket is not in the file", whole=True)
        return None
    if not response.get("status"):
        exchange.source.leave(exchange.place, "there was no answer", whole=True)
        return None
    asked = exchange.asked(request.get("method"), request.get("url"), headers, _posted(exchange, request, headers))
    content = response.get("content")
    content = content if isinstance(content, Mapping) else {}
    text = content.get("text")
    size = content.get("size")
    if text is None and isinstance(size, int) and size > 0:
        told = "the answer's body is not in the file; it has to be exported with its content"
        exchange.source.leave(exchange.place, told, whole=True)
        return None
    data = (
        base64_of(exchange, text, "the response") if content.get("encoding") == "base64" else str(text or "").encode()
    )
    answered = _headers(response.get("headers"))
    kind = content.get("mimeType")
    if answered.get("content-type") is None and isinstance(kind, str) and kind and data:
        answered = Headers([*answered.pairs, ("content-type", kind)])
    answer = exchange.told(response.get("status"), answered, exchange.plain(data, answered))
    return exchange.recording(asked, answer, recorded, _seconds(entry, whole="events" not in answer))


def _seconds(entry: Mapping[str, Any], *, whole: bool) -> float:
    """How long the answer took: until its end, or, of a stream, until it began."""
    timings = entry.get("timings")
    given = entry.get("time") if whole or not isinstance(timings, Mapping) else timings.get("wait")
    return given / 1000 if isinstance(given, (int, float)) and given > 0 else 0.0


def _posted(exchange: Exchange, request: Mapping[str, Any], headers: Headers) -> bytes:
    posted = request.get("postData")
    if not isinstance(posted, Mapping):
        return b""
    text = posted.get("text")
    if posted.get("encoding") == "base64":
        return base64_of(exchange, text, "the request")
    if text:
        return str(text).encode()
    params = posted.get("params")
    if isinstance(params, list) and params:
        if (headers.get("content-type") or "").startswith("multipart/"):
            exchange.source.leave((*exchange.place, "request", "postData"), "the files of a form are not in the file")
        fields = [(str(each.get("name")), str(each.get("value", ""))) for each in params if isinstance(each, Mapping)]
        return urlencode(fields).encode()
    return b""


def _dialogue(
    exchange: Exchange, entry: Mapping[str, Any], request: Mapping[str, Any], headers: Headers, recorded: str | None
) -> Recording:
    """A websocket with what was said over it."""
    scrubber = exchange.scrubber
    asked = exchange.asked("GET", request.get("url"), headers, b"")
    scheme, _, where = asked["url"].partition("://")
    heard: list[Heard] = []
    began: float | None = None
    for number, each in enumerate(entry["_webSocketMessages"]):
        if not isinstance(each, Mapping) or each.get("type") not in ("send", "receive"):
            exchange.source.wrong((*exchange.place, "_webSocketMessages", number), "a message is sent or received")
        at = each.get("time")
        at = float(at) if isinstance(at, (int, float)) else 0.0
        began = at if began is None else began
        data = each.get("data")
        message = base64_of(exchange, data, "a message") if each.get("opcode") == 2 else str(data or "").encode()
        heard.append(Heard(max(0.0, at - began), CLIENT if each["type"] == "send" else SERVER, message))
    if not any(each.by == SERVER for each in heard):
        what = "nothing was said over this websocket" if not heard else "the server said nothing over this websocket"
        exchange.source.leave(
            exchange.place, f"{what} in the file: whoever waits is told so, and the connection closed"
        )
    told = messages_of(heard, lambda message: clean(scrubber, message))
    gathered(scrubber, told["messages"])
    value: dict[str, Any] = {
        "request": {"method": "GET", "url": f"{'wss' if scheme in ('wss', 'https') else 'ws'}://{where}"},
        "dialogue": told,
    }
    if recorded is not None:
        value["recorded"] = recorded
    return Recording(value)


def _headers(given: Any) -> Headers:
    """Headers of an entry; names that begin with a colon are those of HTTP/2 itself."""
    return Headers(
        (str(each["name"]).lower(), str(each.get("value", "")))
        for each in (given if isinstance(given, list) else ())
        if isinstance(each, Mapping) and not str(each.get("name", ":")).startswith(":")
    )


def _stamp(value: Any) -> str | None:
    try:
        return stamp(datetime.fromisoformat(str(value)).timestamp())
    except ValueError:
        return None
