"""Logging, on the logger `antiphon`: what is sent where and how it ends, never a body.

    info     how every attempt ended: its status, its time, its request id; and what is tried again, and when
    debug    what is sent, too, and the headers both ways

`OPENAI_LOG` or `ANTIPHON_LOG`, set to `debug`, `info`, `warning`, `error` or `critical` when a client is made,
turns it on; so does `logging.getLogger("antiphon").setLevel(...)`. Of headers and parameters of the query the values
are shown where they are known to be harmless; all others are masked, whoever thought of them.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from logging import Logger

    from ..kernel.http import Headers, Request, Response

__all__ = ("answered", "failed", "logger", "sent", "set_up")

_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}
_logger: Logger | None = None


MASK = "<masked>"
_HARMLESS = frozenset(
    """
    accept accept-encoding cache-control connection content-encoding content-length content-type date host openai-beta
    openai-organization openai-processing-ms openai-project openai-version retry-after retry-after-ms server
    transfer-encoding user-agent x-request-id x-should-retry apim-request-id x-ms-region
    """.split()
)
_HARMLESS_BEGINNINGS = ("x-ratelimit-", "x-stainless-", "openai-poll-")
_HARMLESS_PARAMETERS = frozenset("after api-version before include include[] limit order purpose stream".split())


def sent(log: Logger, request: Request, number: int) -> None:
    """An attempt is about to be sent."""
    if log.isEnabledFor(10):
        shown = _shown(request.headers)
        log.debug("HTTP request: %s %s, attempt %d, headers %s", request.method, _url(request), number, shown)


def answered(log: Logger, request: Request, response: Response, seconds: float) -> None:
    """An attempt was answered."""
    identity = response.headers.get("x-request-id")
    log.info("HTTP response: %s %s %d in %.3f s, %s", request.method, _url(request), response.status, seconds, identity)
    if log.isEnabledFor(10):
        log.debug("HTTP response headers: %s", _shown(response.headers))


def failed(log: Logger, request: Request, error: BaseException, seconds: float) -> None:
    """An attempt came to nothing."""
    log.info("HTTP request failed: %s %s %s in %.3f s", request.method, _url(request), type(error).__name__, seconds)


def _url(request: Request) -> str:
    """The address of a request without what might be a secret."""
    scheme, _, authority = request.origin.partition("://")
    address = f"{scheme}://{authority.rpartition('@')[2]}{request.path}"
    if not request.query:
        return address
    pairs = (pair.partition("=") for pair in request.query.split("&"))
    return f"{address}?{'&'.join(f'{n}={v if n.lower() in _HARMLESS_PARAMETERS else MASK}' for n, _, v in pairs)}"


def _shown(headers: Headers) -> dict[str, str]:
    return {
        name: value if name in _HARMLESS or name.startswith(_HARMLESS_BEGINNINGS) else MASK
        for name, value in headers.pairs
    }


def set_up() -> None:
    """Do what the environment says. Records go to stderr where the application has no handler of its own."""
    level = _LEVELS.get((os.environ.get("ANTIPHON_LOG") or os.environ.get("OPENAI_LOG") or "").lower())
    if level is None:
        return
    import logging

    log = logging.getLogger("antiphon")
    log.setLevel(level)
    if not log.hasHandlers():
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("[%(asctime)s - %(name)s:%(lineno)d - %(levelname)s] %(message)s"))
        log.addHandler(handler)


def logger() -> Logger | None:
    """The logger, where anybody listens. As long as nobody has imported `logging`, nobody does."""
    global _logger
    log = _logger
    if log is None:
        logging: Any = sys.modules.get("logging")
        if logging is None:
            return None
        log = _logger = logging.getLogger("antiphon")
    return log if log.isEnabledFor(20) else None
