"""What the opening handshake of a websocket says."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

if TYPE_CHECKING:
    from ...kernel.http import Request

__all__ = ("query_of",)


def query_of(request: Request) -> dict[str, str]:
    """The query of a handshake, the last value of each name."""
    return dict(parse_qsl(request.query, keep_blank_values=True))
