"""The command line. `antiphon COMMAND --help` says what each command does.

Each command is a module of this package with two functions, `configure(parser)` and `run(options)`. Only the module
of the command that was named is loaded, so that `--help` and mistakes are answered at once.

Exit codes: 0 done, 1 not done for a reason on this machine, 2 arguments that make no sense, 3 the API answered with
an error, 4 the API could not be reached, 130 interrupted by Ctrl-C, 141 nobody reads the output any more.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from io import TextIOWrapper
from typing import Any

from ..version import __version__

__all__ = ("main",)

PROGRAM = "antiphon"
COMMANDS = {
    "chat": "talk with a model, or ask it one question",
    "models": "list the models there are",
    "embed": "turn texts into vectors",
    "image": "draw a picture",
    "speak": "turn text into speech",
    "transcribe": "turn speech into text",
    "files": "list, show, fetch and delete uploaded files",
    "upload": "upload files",
    "api": "call any operation of the API; JSON out",
    "serve": "serve a fake OpenAI",
    "gateway": "serve the API in front of models on servers of your own",
    "record": "pass requests on to a real OpenAI, and write a cassette of it",
    "replay": "answer what a cassette has recorded",
    "cassettes": "look for secrets in cassettes, list, compare and convert them",
    "convert": "make cassettes and rules of those of other programs",
    "lint": "say what is wrong with files of rules",
    "new": "write a small project to begin with",
}
_EPILOG = (
    "The key is read from OPENAI_API_KEY and the address from OPENAI_BASE_URL, or see --provider of a command.\n"
    "exit codes: 0 done, 1 failed here, 2 bad arguments, 3 the API said no, 4 the API was not reached,\n"
    "            130 Ctrl-C, 141 nobody reads the output"
)
INTERRUPTED, UNREAD = 130, 141


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and give its exit code. Errors become a line on stderr, whatever they are."""
    try:
        try:
            return _run(arguments)
        finally:
            sys.stdout.flush()  # here, where an error can still be answered
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read the output has gone. What is left in the buffer goes nowhere, without a word at exit.
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), sys.stdout.fileno())
        return UNREAD
    except Exception as error:
        from ._errors import report

        return report(error)


def _run(arguments: Sequence[str] | None) -> int:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal that cannot show a letter shows its number
    given = sys.argv[1:] if arguments is None else list(arguments)
    if given and given[0] in COMMANDS:  # the parser of one command is made sooner than those of all
        options = _command(given[0]).parse_args(given[1:])
    else:
        options = _parser().parse_args(given)
    run: Callable[[argparse.Namespace], int] = options.run
    return run(options)


def _command(name: str) -> argparse.ArgumentParser:
    return _Command(prog=f"{PROGRAM} {name}", formatter_class=_Formatter, allow_abbrev=False, module=name)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="The OpenAI API in Python, in both voices.",
        epilog=_EPILOG,
        formatter_class=_Formatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"antiphon {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True, parser_class=_Command)
    for name, what in COMMANDS.items():
        commands.add_parser(name, help=what, formatter_class=_Formatter, allow_abbrev=False, module=name)
    return parser


class _Command(argparse.ArgumentParser):
    """The parser of one command, which its module completes once it is needed."""

    def __init__(self, *, module: str, **how: Any) -> None:
        super().__init__(**how)
        self.module = module

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:  # type: ignore[override]
        module = import_module(f".{self.module}", __package__)
        module.configure(self)
        parse = getattr(module, "parse", None)
        if parse is not None:
            return parse(self, args), []
        self.set_defaults(run=module.run)
        return super().parse_known_args(args, namespace)


class _Formatter(argparse.RawDescriptionHelpFormatter):
    def __init__(self, prog: str, **how: Any) -> None:
        super().__init__(prog, **{"max_help_position": 32, "width": _width(), **how})
        # argparse does not count how far the names of commands are indented.
        self._action_max_length = max(map(len, COMMANDS)) + 4


def _width() -> int:
    """Columns for help, as argparse counts them, which would load a module of many others to do it."""
    try:
        columns = int(os.environ["COLUMNS"])
    except (KeyError, ValueError):
        columns = 0
    if columns <= 0:
        try:
            columns = os.get_terminal_size(sys.__stdout__.fileno()).columns  # type: ignore[union-attr]
        except (AttributeError, ValueError, OSError):
            columns = 80
    return (columns or 80) - 2
