"""`antiphon chat`: a conversation at a terminal, one answer elsewhere."""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import ExitStack
from typing import Any

from ._client import connect, connection, count
from ._errors import USAGE, Problem
from ._output import read_text

__all__ = ("configure", "run")

_MODEL = "gpt-5"
_EPILOG = """\
at a terminal:
  Ctrl-C          stops the answer, and keeps what was said; at the prompt it drops the line
  Ctrl-D          ends the conversation, as /exit does
  \\ at the end of a line goes on in the next, and so does everything between two lines of \"\"\"
  /help           lists the commands: /attach, /clear, /model, ...
elsewhere, the question is read from stdin and the answer alone is printed:
  git diff | antiphon chat --system 'Write a commit message'
  antiphon chat -p 'What is this?' --attach cat.png"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    parser.description = "Talk with a model. It answers as it thinks, and remembers what was said."
    parser.epilog = _EPILOG
    parser.add_argument(
        "model",
        nargs="?",
        metavar="MODEL",
        help=f"the model, or provider:model (default: ANTIPHON_MODEL, else {_MODEL})",
    )
    parser.add_argument("-p", "--prompt", metavar="TEXT", help="ask this, print the answer, and end; - for stdin")
    parser.add_argument("-s", "--system", metavar="TEXT", help="how the model is to behave")
    parser.add_argument(
        "-a",
        "--attach",
        action="append",
        default=[],
        metavar="FILE",
        help="a picture, a recording, a text or a PDF that goes along with the first question; repeat for more",
    )
    parser.add_argument("--temperature", type=float, metavar="X", help="how freely it answers, from 0 to 2")
    parser.add_argument("--max-tokens", type=count, metavar="N", help="the most it may say, in tokens")
    parser.add_argument("--reasoning-effort", metavar="NAME", help="how long it thinks, such as low or high")
    parser.add_argument("--load", metavar="FILE", help="go on with a conversation that /save has written")
    connection(parser)


def _question(prompt: str | None) -> str:
    text = read_text("-", "there is no question: give it with -p, or on stdin") if prompt is None else read_text(prompt)
    return text.strip("\n")


def run(options: argparse.Namespace) -> int:
    """Talk, or answer the one question there is."""
    from ..client.chat import Chat
    from ._attach import attachment

    once = options.prompt is not None or sys.stdin is None or not sys.stdin.isatty()
    parts = [attachment(source) for source in options.attach]
    question = _question(options.prompt) if once else None
    client, model = connect(options, options.model or os.environ.get("ANTIPHON_MODEL"), _MODEL)
    given = {
        "temperature": options.temperature,
        "max_completion_tokens": options.max_tokens,
        "reasoning_effort": options.reasoning_effort,
    }
    settings: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    with ExitStack() as clients:
        clients.enter_context(client)
        chat = Chat(client, model=model, system=options.system, **settings)
        if options.load is not None:
            _load(chat, options.load)
            if options.model is not None:
                chat.model = model
            if options.system is not None:
                chat.system = options.system
        if question is None:
            from ._talk import Talk

            def reach(name: str) -> None:
                chat.client, chat.model = connect(options, name)
                clients.enter_context(chat.client)

            return Talk(chat, parts, reach).run()
        return _once(chat, [*parts, question] if parts else question)


def _load(chat: Any, path: str) -> None:
    from pathlib import Path

    try:
        chat.restore(Path(path).expanduser().read_text(encoding="utf-8"))
    except ValueError as error:
        raise Problem(f"{path}: {error}", USAGE) from None


def _once(chat: Any, content: Any) -> int:
    """Print one answer as it is said."""
    from ..client.chat import Refusal, Text
    from ._errors import REFUSED
    from ._progress import Status
    from ._talk import Words

    words = Words(sys.stdout)
    with Status("thinking") as status, chat.stream(content) as pieces:
        try:
            for piece in pieces:
                if isinstance(piece, (Text, Refusal)):
                    status.end()
                    words.say(piece.text)
        finally:
            words.end()
    if pieces.reply.finish_reason == "length":
        print("antiphon: the answer was cut off at its limit of tokens", file=sys.stderr)
    return REFUSED if pieces.reply.refusal and not pieces.reply.text else 0
