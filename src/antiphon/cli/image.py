"""`antiphon image` draws a picture."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ._client import connect, connection, count, model_option
from ._errors import REFUSED, USAGE, Problem
from ._output import check_target, read_text, writing
from ._progress import Status

if TYPE_CHECKING:
    from ..client import OpenAI

__all__ = ("configure", "run")

_MODEL = "gpt-image-1"
_FORMATS = {".jpg": "jpeg", ".jpeg": "jpeg", ".webp": "webp"}
"""What a file's name asks for. PNG is what comes unasked, and older models draw nothing else."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    parser.description = (
        "Draw a picture from a description, and write it to a file. The names of the files are printed."
    )
    parser.add_argument("prompt", metavar="PROMPT", help="what to draw; - for stdin")
    parser.add_argument("-o", "--output", metavar="FILE", help="where to; several become FILE-1, FILE-2; - for stdout")
    model_option(parser, _MODEL)
    parser.add_argument("-n", type=count, metavar="N", default=1, help="how many (default: 1)")
    parser.add_argument("-s", "--size", metavar="WxH", help="such as 1024x1024, 1536x1024 or auto")
    parser.add_argument("-q", "--quality", metavar="NAME", help="such as low, medium or high")
    parser.add_argument(
        "-f",
        "--format",
        choices=("png", "jpeg", "webp"),
        help="the kind of file (default: as FILE is called, else png)",
    )
    parser.add_argument("--background", choices=("transparent", "opaque", "auto"), help="what is behind the picture")
    connection(parser)


def run(options: argparse.Namespace) -> int:
    """Draw, and write every picture there is."""
    prompt = read_text(options.prompt)
    if not 1 <= options.n <= 10:
        raise Problem("-n is a number from 1 to 10", USAGE)
    to_stdout = options.output in (None, "-")
    if to_stdout and options.n > 1:
        raise Problem("several pictures need files: name them with -o", USAGE)
    paths = [None] if to_stdout else _paths(options.output, options.n)
    for target in paths:
        check_target(target)  # what cannot be written is told of before it is paid for
    suffix = Path(paths[0] or "").suffix.lower()
    given = {
        "size": options.size,
        "quality": options.quality,
        "background": options.background,
        "output_format": options.format or _FORMATS.get(suffix),
        "n": options.n if options.n > 1 else None,
    }
    client, model = connect(options, options.model, _MODEL)
    with client, Status("drawing"):
        extra: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        answer = client.images.generate(model=model, prompt=prompt, **extra)
        pictures = _pictures(answer, client)
    if not pictures:
        raise Problem("there is no picture in the answer", REFUSED)
    for path, data in zip(paths, pictures, strict=False):
        with writing(path) as out:
            out.write(data)
        if path is not None:
            print(path)
    return 0


def _paths(target: str, n: int) -> list[str | None]:
    path = Path(target)
    if n == 1:
        return [target]
    return [str(path.with_name(f"{path.stem}-{number}{path.suffix}")) for number in range(1, n + 1)]


def _pictures(answer: object, client: OpenAI) -> list[bytes]:
    """The pictures of an answer, downloaded where it only says where they are."""
    from ..client import media
    from ..kernel.flow import run as perform
    from ..kernel.view import plain

    return [perform(media._content(source), client._world) for source in media._pictures(plain(answer))]
