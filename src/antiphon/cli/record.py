"""`antiphon record` sends requests on to a server that speaks as OpenAI does, and writes a cassette of it."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

from ._errors import USAGE, Problem
from .serve import add_place, announce, serve_handler

if TYPE_CHECKING:
    from ..fake.cassettes import Mode

__all__ = ("configure", "run", "serve_cassette")

OPENAI = "https://api.openai.com/v1"
_MODES = ("once", "new", "all")


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    parser.description = (
        "Send what comes to a port on to a server that speaks as OpenAI does, and write requests and answers to a "
        "cassette, without secrets. `antiphon replay` plays it."
    )
    parser.epilog = (
        "modes:\n"
        "  once      records everything; where there is a cassette already, that is an error (the default)\n"
        "  new       plays what is recorded, and records the rest\n"
        "  all       records everything anew"
    )
    parser.add_argument("file", metavar="FILE", help="the cassette, such as cassettes/weather.yaml")
    parser.add_argument("--upstream", metavar="URL", default=OPENAI, help=f"what is recorded (default: {OPENAI})")
    parser.add_argument("--mode", choices=_MODES, default="once", help="what becomes of what is recorded, see below")
    parser.add_argument(
        "--key-env",
        metavar="NAME",
        help="the variable with the key for the upstream (default: the key that a request brings)",
    )
    parser.add_argument(
        "--scrub",
        action="append",
        metavar="REGEX",
        help="what is not to be written, besides keys and the like; repeatable",
    )
    add_place(parser)


def run(options: argparse.Namespace) -> int:
    """Serve until a signal ends it."""
    if options.mode == "once" and os.path.exists(options.file):
        raise Problem(
            f"{options.file} is there already; --mode new adds to it, --mode all records it anew, "
            "`antiphon replay` plays it"
        )
    return serve_cassette(options, options.file, options.mode, options.upstream)


def serve_cassette(
    options: argparse.Namespace,
    file: str,
    mode: Mode,
    upstream: str | None,
    *,
    speed: float = 0.0,
    similarity: float | None = None,
) -> int:
    """Serve a cassette on the port that the options name."""
    from ..fake.cassettes import Cassette, Upstream

    source = None
    if upstream is not None:
        name = getattr(options, "key_env", None)
        key = None if name is None else os.environ.get(name)
        if name is not None and not key:
            raise Problem(f"the environment has no {name}", USAGE)
        try:
            source = Upstream(upstream, api_key=key)
        except ValueError as error:
            raise Problem(str(error), USAGE) from None
    what = f"what {file} has recorded" if source is None else f"{upstream} as it is recorded in {file},"
    own = source is not None and getattr(options, "key_env", None) is None
    try:
        cassette = Cassette(
            file,
            mode,
            upstream=source,
            speed=speed,
            scrub=getattr(options, "scrub", None) or (),
            similarity=similarity,
            autosave=True,
        )
    except ValueError as error:
        raise Problem(str(error)) from None
    with cassette:
        code = serve_handler(
            options, lambda: cassette, lambda url, _: announce(url, what, key="<your own>" if own else "anything")
        )
    if mode == "strict" and not code and cassette.unplayed:
        left = ", ".join(f"{each.number} ({each.method} {each.path})" for each in cassette.unplayed)
        raise Problem(f"not played: {left}")
    return code
