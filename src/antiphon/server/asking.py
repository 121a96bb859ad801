"""Requests of the server's own: what it asks itself, as a batch asks for its lines and a grader for its judge."""

from __future__ import annotations

from types import GeneratorType
from typing import TYPE_CHECKING, Any

import orjson

from ..kernel.http import Request
from .dispatch import JSON

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..kernel.flow import Flow
    from ..kernel.http import Response
    from .app import Server

__all__ = ("asked",)


def asked(server: Server, path: str, body: Mapping[str, Any], origin: str = "http://localhost") -> Flow[Response]:
    """What this server answers to a `POST`, once it is there; a refusal is an answer, too.

    `origin` is where the caller reached the server, for the links in an answer.
    """
    answer: Any = server.inner(Request("POST", path, "", JSON, orjson.dumps(body), origin))
    if isinstance(answer, GeneratorType):
        answer = yield from answer
    found: Response = answer
    return found
