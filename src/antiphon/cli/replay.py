"""`antiphon replay` answers what a cassette has recorded."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

from ._errors import Problem
from .record import serve_cassette
from .serve import add_place

if TYPE_CHECKING:
    from ..fake.cassettes import Mode

__all__ = ("configure", "run")


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    parser.description = (
        "Answer requests as they are recorded in a cassette, until Ctrl-C. A request that is not recorded is answered "
        "with 404 and the recording that is nearest to it. Nothing is sent anywhere."
    )
    parser.add_argument("file", metavar="FILE", help="the cassette, such as cassettes/weather.yaml")
    parser.add_argument(
        "--speed",
        type=_speed,
        default=0.0,
        metavar="NUMBER",
        help="how fast recorded time passes: 1 as it did, 10 ten times as fast, 0 not at all (default: 0)",
    )
    parser.add_argument("--strict", action="store_true", help="play each recording once, and say what was not played")
    parser.add_argument(
        "--similarity",
        type=_similarity,
        metavar="NUMBER",
        help="how near what the user says last has to be to what is recorded, from 0 to 1 (default: the same)",
    )
    add_place(parser)


def run(options: argparse.Namespace) -> int:
    """Serve until a signal ends it."""
    if not os.path.exists(options.file):
        raise Problem(f"there is no cassette {options.file}; `antiphon record` makes one")
    mode: Mode = "strict" if options.strict else "none"
    return serve_cassette(
        options, options.file, mode, None, speed=options.speed, similarity=getattr(options, "similarity", None)
    )


def _similarity(text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = -1.0
    if not 0 < found <= 1:
        raise argparse.ArgumentTypeError(f"a number such as 0.8 was expected, not {text!r}")
    return found


def _speed(text: str) -> float:
    try:
        speed = float(text)
    except ValueError:
        speed = -1.0
    if not 0 <= speed < 1e9:
        raise argparse.ArgumentTypeError(f"a number such as 1 or 0.5 was expected, not {text!r}")
    return speed
