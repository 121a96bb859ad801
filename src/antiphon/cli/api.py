"""`antiphon api` calls any operation: its fields are the options, JSON is the output."""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ._client import connect, connection
from ._errors import USAGE, Problem
from ._output import check_target, json_line, print_text, show_json, show_table, writing

if TYPE_CHECKING:
    from ..client import OpenAI
    from ._catalogue import Named
    from ._fields import Files
    from ._progress import Status

__all__ = ("configure", "parse", "run")

_DESCRIPTION = """\
Call an operation of the API. Its answer is printed as JSON, that of a stream as a line of JSON for each event.

  antiphon api                                  the resources there are
  antiphon api chat.completions                 the operations of one
  antiphon api chat.completions.create --help   its fields
  antiphon api files.retrieve file-abc          a call"""
_EPILOG = """\
a value is
  text              where a string is taken
  12, 0.5           where a number is taken
  true, false       where a boolean is taken; --store is --store true, --no-store is --store false
  null              where nothing may stand
  '{...}', '[...]'  JSON, where an object or a list is taken; a list is also a field given more than once
  @FILE, @-         a file to upload, or the text of a file; - is stdin, and @@ an @ that means nothing
and --metadata.key VALUE sets one field of an object."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    parser.usage = "antiphon api [OPERATION] [ARGUMENT ...] [--field VALUE ...] [options]"
    parser.description = _DESCRIPTION
    parser.epilog = _EPILOG
    _options(parser)


def _options(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.add_argument(
        "--body", metavar="JSON", help="an object of fields, which --field adds to; @FILE for one in a file"
    )
    parser.add_argument("--page-all", action="store_true", help="every item of every page of a list, as lines of JSON")
    parser.add_argument("-o", "--output", metavar="FILE", help="where to write an answer that is no JSON; - for stdout")
    connection(parser)
    return parser


def parse(parser: argparse.ArgumentParser, arguments: Sequence[str]) -> argparse.Namespace:
    """Tell the fields of the operation from the options of the command. Raises `Problem`."""
    words = _Words(arguments)
    words.read()
    if words.help and words.resource is None:
        parser.print_help()
        parser.exit()
    options = words.options.parse_args(words.rest)
    options.words, options.run = words, run
    return options


class _Words:
    """The arguments of the command, sorted."""

    def __init__(self, arguments: Sequence[str]) -> None:
        self.left = list(arguments)
        self.options = _options(argparse.ArgumentParser(prog="antiphon api", add_help=False, allow_abbrev=False))
        self.rest: list[str] = []
        """What is not the operation's."""
        self.resource: str | None = None
        self.named: Named | None = None
        self.positional: list[str] = []
        self.fields: dict[tuple[str, ...], tuple[Any, list[str]]] = {}
        """The schema and the words of each field, by the way to it."""
        self.help = False

    def read(self) -> None:
        while self.left:
            word = self.left.pop(0)
            if word == "--":
                for each in self.left:
                    self._plain(each)
                return
            if word in ("-h", "--help"):
                self.help = True
            elif not word.startswith("-") or word == "-" or word[1:2].isdigit():
                self._plain(word)
            else:
                self._option(word)

    def _plain(self, word: str) -> None:
        if self.resource is not None:
            self.positional.append(word)
            return
        from ._catalogue import completed, find

        self.resource = completed(word)
        self.named = find(self.resource)

    def _option(self, word: str) -> None:
        flag, equals, value = word.partition("=")
        given = value if equals else None
        actions = self.options._option_string_actions
        if flag.startswith("--") and self.named is not None and self.named.has(flag[2:]):
            self._field(flag[2:], given)
        elif flag in actions:
            self.rest.append(word)
            if actions[flag].nargs != 0 and not equals:
                self.rest += [self._value(flag)]
        elif flag[1] != "-" and word[:2] in actions:
            self.rest.append(word)
        elif self.named is not None and flag.startswith("--no-") and self.named.has(flag[5:]) and not equals:
            self._field(flag[5:], "false")
        elif self.named is not None:
            self.named.locate(flag.lstrip("-"), [each[2:] for each in actions if each.startswith("--")])
        else:
            from ._fields import nearest

            hint = nearest(flag, [*actions]) or "; options of an operation come after its name"
            raise Problem(f"there is no option {flag}{hint}", USAGE)

    def _field(self, name: str, value: str | None) -> None:
        from ._fields import shape_of

        assert self.named is not None
        way, schema = self.named.locate(name)
        if value is None and shape_of(schema).kinds <= {"boolean", "null"}:
            value = self.left.pop(0) if self.left and self.left[0] in ("true", "false", "null") else "true"
        if value is None:
            value = self._value(f"--{name}")
        self.fields.setdefault(way, (schema, []))[1].append(value)

    def _value(self, flag: str) -> str:
        following = self.left[0].partition("=")[0] if self.left else None
        known = (
            following is not None
            and following.startswith("--")
            and (
                following in self.options._option_string_actions
                or (self.named is not None and self.named.has(following[2:]))
            )
        )
        if following is None or known:
            raise Problem(f"{flag} needs a value", USAGE)
        return self.left.pop(0)


def run(options: argparse.Namespace) -> int:
    """Call the operation, or say what there is."""
    words: _Words = options.words
    if words.named is None:
        from ._catalogue import listed

        if words.positional or words.fields:
            raise Problem(
                f"{words.resource} is a resource; `antiphon api {words.resource}` lists what it can do", USAGE
            )
        show_table(listed(words.resource or ""))
        return 0
    if words.help:
        print(words.named.help(shutil.get_terminal_size().columns))
        return 0
    from ._progress import Status

    named = words.named
    if options.page_all and not named.operation.paged:
        raise Problem(f"{named.name} answers no list: --page-all does not apply", USAGE)
    if named.binary:
        check_target(options.output)
    with Status("waiting") as status:
        arguments = _arguments(words, options.body, status)
        given = arguments.get("model")
        client, model = connect(options, given if isinstance(given, str) else None)
        if model:
            arguments["model"] = model  # without the provider before it
        with client:
            if named.binary:
                _write(client, named, arguments, options.output, status)
            else:
                answer = client._call(named.operation, (), arguments)
                _show(answer, options, status)
    return 0


def _arguments(words: _Words, body: str | None, status: Status) -> dict[str, Any]:
    """The arguments of the call."""
    from ._fields import Files, read

    named = words.named
    assert named is not None
    files = Files(status)
    arguments: dict[str, Any] = {}
    if body is not None:
        arguments = _split(named, _object(body, files))
    taken = named.operation.positional
    if len(words.positional) > len(taken):
        wanted = f"takes {' '.join(each.upper() for each in taken)}" if taken else "takes no arguments but --field"
        raise Problem(f"{named.name} {wanted}; {words.positional[len(taken)]!r} is one too many", USAGE)
    for name, text in zip(taken, words.positional, strict=False):
        arguments[name] = read(name, [text], named.fields[name], files)
    # Whole fields first: those within them add to them.
    for way, (schema, texts) in sorted(words.fields.items(), key=lambda each: len(each[0])):
        _put(arguments, way, read(".".join(way), texts, schema, files))
    missing = [name for name in named.required if name not in arguments]
    if missing:
        needs = " and ".join(each.upper() if each in taken else f"--{each}" for each in missing)
        raise Problem(f"{named.name} needs {needs}; see antiphon api {named.name} --help", USAGE)
    return arguments


def _put(arguments: dict[str, Any], way: tuple[str, ...], value: Any) -> None:
    *outer, last = way
    place: Any = arguments
    for key in outer:
        place = place.setdefault(key, {})
        if not isinstance(place, dict):
            raise Problem(f"--{'.'.join(way)}: {key} is no object", USAGE)
    place[last] = value


def _object(text: str, files: Files) -> dict[str, Any]:
    if text == "-" or text.startswith("@"):
        text = files.text(text.removeprefix("@"))
    try:
        value = json.loads(text)
    except ValueError as error:
        raise Problem(f"--body is not JSON: {error}", USAGE) from None
    if not isinstance(value, dict):
        raise Problem("--body takes an object in JSON", USAGE)
    return value


def _split(named: Named, body: dict[str, Any]) -> dict[str, Any]:
    """The fields of a body that are known as arguments, the others as they are."""
    arguments = {name: value for name, value in body.items() if name in named.fields}
    rest = {name: value for name, value in body.items() if name not in named.fields}
    return {**arguments, "extra_body": rest} if rest else arguments


def _write(client: OpenAI, named: Named, arguments: dict[str, Any], target: str | None, status: Status) -> None:
    with writing(target) as out, client._in_voice("streaming")._call(named.operation, (), arguments) as response:
        status.sent()
        for piece in response.iter_bytes():
            out.write(piece)
            status.done += len(piece)


def _show(answer: Any, options: argparse.Namespace, status: Status) -> None:
    from ..kernel.stream import Stream

    if isinstance(answer, Stream) or options.page_all:
        with answer if isinstance(answer, Stream) else status:
            for each in answer:
                status.end()
                json_line(each)
        return
    status.end()
    if isinstance(answer, str):
        print_text(answer)
    elif answer is not None:
        show_json(answer)
