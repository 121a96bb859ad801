"""`antiphon models` lists the models of a host."""

from __future__ import annotations

import argparse
from datetime import UTC

from ._client import connect, connection
from ._errors import FAILED
from ._output import show_json, show_table
from ._progress import Status

__all__ = ("configure", "run")


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    parser.description = "List the models there are: name, day they were made, owner."
    parser.add_argument("words", nargs="*", metavar="WORD", help="only those whose name has this in it")
    parser.add_argument("--json", action="store_true", help="the API's own objects, as JSON")
    connection(parser)


def run(options: argparse.Namespace) -> int:
    """List them. Exit code 1 where words were given and nothing fits."""
    client, _ = connect(options)
    with client, Status("asking for the models"):
        models = [model for model in client.models.list() if all(word in str(model.id) for word in options.words)]
    models.sort(key=lambda model: str(model.id))
    if options.json:
        show_json(models)
    else:
        show_table([[str(model.id), day(model.created), str(model.owned_by or "")] for model in models])
    return FAILED if options.words and not models else 0


def day(timestamp: object) -> str:
    """A Unix time as a day; nothing for what is none."""
    from datetime import datetime

    try:
        return datetime.fromtimestamp(float(timestamp), UTC).strftime("%Y-%m-%d")  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError, OSError):
        return ""
