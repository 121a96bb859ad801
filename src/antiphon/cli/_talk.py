"""A conversation at a terminal: lines are read with their history, answers shown as they are said."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from ._errors import Problem, clean, report
from ._output import Paint, is_terminal
from ._progress import Status

if TYPE_CHECKING:
    from ..client.chat import Chat

__all__ = ("Talk", "Words")

_PROMPT, _MORE = "> ", ". "
_KEPT = 1000
"""Lines that are remembered from one conversation to the next."""
_BLOCK = '"""'


class Words:
    """An answer as it is written: a line break is at its end, and nothing in it drives the terminal."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self._clean = stream.isatty()
        self._last = "\n"

    def say(self, text: str) -> None:
        if self._clean:
            text = clean(text)
        if text:
            self.stream.write(text)
            self.stream.flush()
            self._last = text[-1]

    def end(self) -> None:
        if self._last != "\n":
            self.stream.write("\n")
            self.stream.flush()
            self._last = "\n"


class Talk:
    """The questions of a person, and a chat that answers them."""

    def __init__(self, chat: Chat, parts: list[Any], reach: Callable[[str], None]) -> None:
        self.chat = chat
        self.reach = reach
        """Has the chat go on with another model, wherever that is."""
        self.parts = parts
        """What goes along with the next question."""
        self.paint = Paint(sys.stdout)
        # Where the answers go to a file, the prompts are for the person all the same.
        self.screen = sys.stdout if sys.stdout.isatty() else sys.stderr
        self.over = False

    def run(self) -> int:
        """Talk until the person ends it."""
        lines = _history()
        self._note(f"{self.chat.model} · /help for help, Ctrl-D to end")
        while not self.over:
            try:
                question = self._question()
            except KeyboardInterrupt:
                self.screen.write("\n")
                self._note("Ctrl-D ends the conversation")
                continue
            except EOFError:
                self.screen.write("\n")
                break
            except UnicodeDecodeError:
                self._note("that was not UTF-8")
                continue
            if question.startswith("/") and "\n" not in question:
                self._command(question)
            elif question.strip():
                self._answer(question)
                self._space()
        lines()
        return 0

    def _space(self) -> None:
        # A blank line parts what was said from what is asked next; in a file there is nothing to part.
        self.screen.write("\n")
        self.screen.flush()

    def _note(self, text: str) -> None:
        paint = Paint(self.screen)
        self.screen.write(paint.dim(clean(text)) + "\n")
        self.screen.flush()

    # Questions

    def _question(self) -> str:
        line = self._line(_PROMPT)
        if line.strip().startswith(_BLOCK):
            return self._block(line.strip()[len(_BLOCK) :])
        whole = [line]
        while whole[-1].endswith("\\"):
            whole[-1] = whole[-1][:-1]
            whole.append(self._line(_MORE))
        return "\n".join(whole)

    def _block(self, first: str) -> str:
        whole = [first] if first else []
        while not (whole and whole[-1].rstrip().endswith(_BLOCK)):
            whole.append(self._line(_MORE))
        whole[-1] = whole[-1].rstrip()[: -len(_BLOCK)]
        return "\n".join(whole).strip("\n")

    def _line(self, prompt: str) -> str:
        if self.screen is sys.stdout:
            # Between the two marks is what readline is not to count.
            line = input(f"\001\033[1m\002{prompt}\001\033[0m\002" if self.paint.on else prompt)
        else:
            self.screen.write(prompt)
            self.screen.flush()
            line = sys.stdin.readline()
            if not line:
                raise EOFError
            line = line.removesuffix("\n")
        # What a terminal sends that is no text must not end the conversation later.
        return line.encode("utf-8", "replace").decode()

    # Answers

    def _answer(self, question: str) -> None:
        from ..client.chat import Reasoning, Refusal, Text
        from ..kernel.errors import OpenAIError

        content: Any = [*self.parts, question] if self.parts else question
        words, thoughts = Words(sys.stdout), Words(self.screen)
        paint = Paint(self.screen)
        pieces = self.chat.stream(content)
        try:
            with Status("thinking", delay=0.4) as status, pieces:
                for piece in pieces:
                    status.end()
                    if isinstance(piece, Reasoning):
                        thoughts.say(piece.text) if not paint.on else self._dimmed(thoughts, piece.text)
                    elif isinstance(piece, (Text, Refusal)):
                        thoughts.end()
                        words.say(piece.text)
        except KeyboardInterrupt:
            words.end()
            self._note("stopped" if pieces.reply.text else "stopped before it began; the question is forgotten")
        except (OpenAIError, OSError) as error:
            if isinstance(error, BrokenPipeError):
                raise
            words.end()
            report(error)
            return  # what was to go along goes along with the next attempt
        else:
            words.end()
            if pieces.reply.finish_reason == "length":
                self._note("cut off at the limit of tokens")
        self.parts = []

    def _dimmed(self, thoughts: Words, text: str) -> None:
        thoughts.stream.write("\033[2m")
        thoughts.say(text)
        thoughts.stream.write("\033[0m")
        thoughts.stream.flush()

    # Commands

    def _command(self, line: str) -> None:
        name, _, argument = line[1:].strip().partition(" ")
        from ..kernel.errors import OpenAIError

        found = _COMMANDS.get(name)
        if found is None:
            from ._fields import nearest

            hint = nearest(f"/{name}", [f"/{each}" for each in _COMMANDS]) or "; /help lists the commands"
            self._note(f"there is no /{name}{hint}")
            return
        try:
            found[0](self, argument.strip())
        except (Problem, OpenAIError, OSError, ValueError) as error:
            report(error)

    def _help(self, argument: str) -> None:
        width = max(len(name) + len(takes) for name, (_, takes, _) in _COMMANDS.items()) + 2
        for name, (_, takes, what) in _COMMANDS.items():
            self._note(f"/{f'{name} {takes}'.ljust(width)} {what}")

    def _attach(self, argument: str) -> None:
        from ._attach import attachment

        if not argument:
            raise Problem("/attach takes the name of a file")
        names = [argument] if Path(argument).expanduser().exists() else _split(argument)
        for name in names:
            self.parts.append(attachment(name))
            self._note(f"{name} goes along with the next question")

    def _system(self, argument: str) -> None:
        if argument:
            self.chat.system = argument
        self._note(f"system: {self.chat.system or '(none)'}")

    def _model(self, argument: str) -> None:
        if argument:
            self.reach(argument)
        self._note(f"model: {self.chat.model}")

    def _clear(self, argument: str) -> None:
        self.chat.clear()
        self.parts = []
        self._note("forgotten")

    def _save(self, argument: str) -> None:
        if not argument:
            raise Problem("/save takes the name of a file")
        self.chat.save(Path(argument).expanduser())
        self._note(f"saved; `antiphon chat --load {argument}` goes on with it")

    def _usage(self, argument: str) -> None:
        used = self.chat.usage
        self._note(f"{used.prompt_tokens} tokens read, {used.completion_tokens} written, {used.requests} requests")

    def _exit(self, argument: str) -> None:
        self.over = True


_COMMANDS: dict[str, tuple[Callable[[Talk, str], None], str, str]] = {
    "attach": (Talk._attach, "FILE", "send a picture, a recording, a text or a PDF along with the next question"),
    "system": (Talk._system, "[TEXT]", "how the model is to behave from now on"),
    "model": (Talk._model, "[NAME]", "who answers from now on"),
    "clear": (Talk._clear, "", "forget what was said"),
    "save": (Talk._save, "FILE", "write the conversation to a file"),
    "usage": (Talk._usage, "", "what it has cost so far"),
    "help": (Talk._help, "", "this list"),
    "exit": (Talk._exit, "", "end, as Ctrl-D does"),
}


def _split(words: str) -> list[str]:
    import shlex

    return shlex.split(words)


def _history() -> Callable[[], None]:
    """Edit lines and remember them. Gives what writes them down at the end."""
    if not (sys.stdin.isatty() and is_terminal(sys.stdout)):
        return lambda: None
    try:
        import readline

        readline.parse_and_bind("set enable-bracketed-paste on")
    except ImportError:  # Windows, where the terminal edits lines itself
        return lambda: None
    path = Path(os.environ.get("XDG_STATE_HOME") or "~/.local/state").expanduser() / "antiphon" / "history"
    with suppress(OSError):
        readline.read_history_file(path)
    readline.set_history_length(_KEPT)

    def write() -> None:
        with suppress(OSError):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.touch(mode=0o600)
            readline.write_history_file(path)

    return write
