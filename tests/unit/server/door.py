"""Bare requests to a server in process, and what it answered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson

from antiphon.kernel.flow import World, iterate, run
from antiphon.kernel.http import Handler, Headers, Request, Response

KEY = {"authorization": "Bearer test"}
PNG = b"\x89PNG\r\n\x1a\n" + bytes.fromhex(
    "0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6364f8cf500f0003860180"
    "5a347d6b0000000049454e44ae426082"
)
"""A picture of one pixel."""


class Said(NamedTuple):
    """An answer, its body read whole."""

    status: int
    headers: Headers
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)

    @property
    def error(self) -> Any:
        return self.json["error"]

    @property
    def events(self) -> list[Any]:
        """The data of server-sent events, decoded where it is JSON."""
        data = [line[6:] for line in self.body.split(b"\n") if line.startswith(b"data: ")]
        return [each.decode() if each == b"[DONE]" else orjson.loads(each) for each in data]


def ask(
    server: Handler,
    method: str,
    path: str,
    body: Any = None,
    *,
    headers: Mapping[str, str] = KEY,
    query: str = "",
    world: World | None = None,
) -> Said:
    """Send a request. A body that is not bytes is sent as JSON."""
    path, _, given = path.partition("?")
    content = b"" if body is None else body if isinstance(body, bytes) else orjson.dumps(body)
    if body is not None and "content-type" not in headers:
        headers = {**headers, "content-type": "application/json"}
    request = Request(method, path, query or given, Headers(headers), content)
    answer = server(request)
    world = world or getattr(server, "world", None) or World()
    answer = answer if isinstance(answer, Response) else run(answer, world)
    whole = answer.body if isinstance(answer.body, bytes) else b"".join(iterate(answer.body, world))
    return Said(answer.status, answer.headers, whole)


def form(fields: list[tuple[str, Any]], boundary: str = "xYzZY") -> tuple[bytes, dict[str, str]]:
    """A multipart body and its headers. A value that is a pair is a file: its name and its bytes."""
    parts: list[bytes] = []
    for name, value in fields:
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"'
        if isinstance(value, tuple):
            parts.append(f'{head}; filename="{value[0]}"\r\n\r\n'.encode() + value[1] + b"\r\n")
        else:
            parts.append(f"{head}\r\n\r\n{value}\r\n".encode())
    body = b"".join(parts) + f"--{boundary}--\r\n".encode()
    return body, {**KEY, "content-type": f"multipart/form-data; boundary={boundary}"}


def fields(prefix: str, value: Any) -> list[tuple[str, Any]]:
    """The fields of a form that say what a JSON value says. Files are pairs, as `form` takes them."""
    if isinstance(value, dict):
        return [pair for name, item in value.items() for pair in fields(f"{prefix}[{name}]" if prefix else name, item)]
    if isinstance(value, list):
        return [pair for item in value for pair in fields(f"{prefix}[]", item)]
    return [(prefix, str(value).lower() if isinstance(value, bool) else value)]
