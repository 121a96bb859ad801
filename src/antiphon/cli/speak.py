"""`antiphon speak` turns text into speech."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ._client import connect, connection, model_option
from ._errors import USAGE, Problem
from ._output import check_target, read_text, writing
from ._progress import Status

__all__ = ("configure", "run")

_MODEL = "gpt-4o-mini-tts"
_FORMATS = ("mp3", "opus", "aac", "flac", "wav", "pcm")


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    parser.description = "Turn text into speech. It is written as it arrives: to a file, or on to a player."
    parser.epilog = "example:\n  antiphon speak 'Good morning' --format wav | aplay"
    parser.add_argument("text", metavar="TEXT", help="what to say; - for stdin")
    parser.add_argument("-o", "--output", metavar="FILE", help="where to; - for stdout")
    model_option(parser, _MODEL)
    parser.add_argument("--voice", metavar="NAME", default="alloy", help="who speaks (default: alloy)")
    parser.add_argument(
        "-f", "--format", choices=_FORMATS, help="the kind of sound (default: as FILE is called, else mp3)"
    )
    parser.add_argument("--speed", type=float, metavar="X", help="from 0.25 to 4 (default: 1)")
    parser.add_argument("--instructions", metavar="TEXT", help="how to speak")
    connection(parser)


def run(options: argparse.Namespace) -> int:
    """Speak."""
    text = read_text(options.text)
    path = check_target(options.output)
    if options.speed is not None and not 0.25 <= options.speed <= 4:
        raise Problem("--speed is a number from 0.25 to 4", USAGE)
    suffix = "" if path is None else Path(path).suffix.lower().removeprefix(".")
    given = {
        "response_format": options.format or (suffix if suffix in _FORMATS else None),
        "speed": options.speed,
        "instructions": options.instructions,
    }
    client, model = connect(options, options.model, _MODEL)
    extra: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    calls = client.audio.speech.with_streaming_response
    with client, Status("speaking") as status, writing(options.output) as out:
        with calls.create(model=model, input=text, voice=options.voice, **extra) as response:
            for piece in response.iter_bytes():
                out.write(piece)
                out.flush()
                status.done += len(piece)
    return 0
