"""Logging, on the logger `antiphon`: what is sent where and how it ends, never a header or a body.

`OPENAI_LOG` or `ANTIPHON_LOG`, set to `debug`, `info`, `warning`, `error` or `critical` when a client is made,
turns it on; so does `logging.getLogger("antiphon").setLevel(...)`.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from logging import Logger

__all__ = ("logger", "set_up")

_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}
_logger: Logger | None = None


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
