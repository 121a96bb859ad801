"""`antiphon embed` turns texts into vectors."""

from __future__ import annotations

import argparse

from ._client import connect, connection, count, model_option
from ._errors import USAGE, Problem
from ._output import json_line, read_text, show_json
from ._progress import Status

__all__ = ("configure", "run")

_MODEL = "text-embedding-3-small"


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    parser.description = "Turn texts into vectors: a line with a JSON list of numbers for each text, in their order."
    parser.add_argument("texts", nargs="+", metavar="TEXT", help="a text; - for stdin")
    parser.add_argument("-l", "--lines", action="store_true", help="every line of a text is a text of its own")
    model_option(parser, _MODEL)
    parser.add_argument("-d", "--dimensions", type=count, metavar="N", help="how many numbers a vector has")
    parser.add_argument(
        "--json", action="store_true", help="the API's whole answer, with the model and the tokens used"
    )
    connection(parser)


def run(options: argparse.Namespace) -> int:
    """Embed them in one call."""
    from ..kernel.omit import omit

    texts = [read_text(text) for text in options.texts]
    if options.lines:
        texts = [line for text in texts for line in text.splitlines() if line.strip()]
    if options.dimensions == 0:
        raise Problem("a vector has at least one dimension", USAGE)
    client, model = connect(options, options.model, _MODEL)
    dimensions = omit if options.dimensions is None else options.dimensions
    with client, Status("embedding"):
        answer = client.embeddings.create(model=model, input=texts, dimensions=dimensions, encoding_format="float")
    if options.json:
        show_json(answer)
    else:
        for each in answer.data:
            json_line(each.embedding)
    return 0
