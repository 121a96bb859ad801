"""`antiphon transcribe` turns speech into text."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ._client import connect, connection
from ._output import print_text, read_stdin, show_json
from ._progress import Status

__all__ = ("configure", "run")

_MODELS = {
    "text": "gpt-4o-transcribe",
    "json": "gpt-4o-transcribe",
    "srt": "whisper-1",
    "vtt": "whisper-1",
    "verbose_json": "whisper-1",
    "diarized_json": "gpt-4o-transcribe-diarize",
}
"""The forms an answer may have, and the model that gives it where none is named."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    parser.description = "Turn speech into text."
    parser.add_argument("file", metavar="FILE", help="a recording; - for stdin, whose kind --name says")
    parser.add_argument(
        "-f", "--format", choices=_MODELS, default="text", help="the form of the answer (default: text)"
    )
    parser.add_argument(
        "-m", "--model", metavar="NAME", help="the model, or provider:model (default: one that gives the format)"
    )
    parser.add_argument("-l", "--language", metavar="CODE", help="the language that is spoken, such as en or pt")
    parser.add_argument("-p", "--prompt", metavar="TEXT", help="words that may occur, or what came before")
    parser.add_argument("--name", metavar="NAME", default="audio.wav", help="what stdin is called (default: audio.wav)")
    connection(parser)


def run(options: argparse.Namespace) -> int:
    """Send the recording, and print what is heard in it."""
    file = options.file
    with Status(f"sending {Path(file).name}" if file != "-" else "sending") as status:
        source = status.file(Path(file).expanduser()) if file != "-" else (options.name, read_stdin())
        client, model = connect(options, options.model, _MODELS[options.format])
        given = {"language": options.language, "prompt": options.prompt}
        extra: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        with client:
            answer: Any = client.audio.transcriptions.create(
                file=source,
                model=model,
                # Newer models answer in JSON alone, in which the text is.
                response_format="json" if options.format == "text" else options.format,
                **extra,
            )
    if isinstance(answer, str):
        text = answer
    elif options.format == "text":
        text = answer.text or ""
    else:
        show_json(answer)
        return 0
    print_text(text)
    return 0
