"""`antiphon cassettes` looks after recordings: secrets in them, what is in them, how two differ, those of others."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ._errors import FAILED, USAGE, Problem, clean

if TYPE_CHECKING:
    from ..fake.cassettes.safety import Files

__all__ = ("configure", "run")

_SHOWN = 3


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    parser.description = "Look after cassettes, the recordings of `antiphon record` and of tests."
    parser.epilog = (
        "actions:\n"
        "  verify [PATH ...]   see that no secret is in them; exit code 1 and a line for each that is\n"
        "  list [PATH ...]     what is in them\n"
        "  diff A B            how two differ; exit code 1 where they do\n"
        "  convert PATH ...    as `antiphon convert`, which makes cassettes and rules of those of other programs\n\n"
        "A path is a file, or a directory, of which all cassettes are meant; other files in it are passed over, and "
        "told. Without one it is the current directory."
    )
    parser.add_argument("action", choices=_ACTIONS, metavar="ACTION", help="see below")
    parser.add_argument("paths", nargs="*", metavar="PATH", help="a cassette, or a directory of them")
    parser.add_argument(
        "--scrub", action="append", metavar="REGEX", help="what else is a secret, besides keys and the like; repeatable"
    )
    parser.add_argument("-o", "--output", metavar="PATH", help="where `convert` writes to: a directory, or one file")
    parser.add_argument(
        "-v", "--verbose", action="store_true", help="have `convert` tell of each rule what is left out"
    )


def run(options: argparse.Namespace) -> int:
    """Do the action."""
    return _ACTIONS[options.action](options)


def _verify(options: argparse.Namespace) -> int:
    from ..fake.cassettes.files import CassetteError
    from ..fake.cassettes.safety import verified

    paths, others = _files(options.paths)
    bad = 0
    for path in paths:
        try:
            found = [str(each) for each in verified(path, options.scrub or ())]
        except CassetteError as error:
            found = [str(error)]
        except ValueError as error:
            raise Problem(str(error), USAGE) from None
        bad += bool(found)
        for line in found:
            print(clean(line))
    over = f"; {_passed_over(others)}" if others else ""
    if bad:
        told = f"antiphon: {bad} of {len(paths)} cassettes must not be committed as they are{over}"
        print(clean(told), file=sys.stderr)
        return FAILED
    print(clean(f"{len(paths)} cassette{'' if len(paths) == 1 else 's'}, no secrets found{over}"))
    return 0


def _list(options: argparse.Namespace) -> int:
    from ..fake.cassettes.files import CassetteError, load

    code = 0
    paths, others = _files(options.paths)
    for path in paths:
        try:
            recordings = load(path).recordings
        except CassetteError as error:
            print(f"antiphon: {clean(str(error))}", file=sys.stderr)
            code = FAILED
            continue
        print(f"{path}: {len(recordings)} recording{'' if len(recordings) == 1 else 's'}")
        for number, each in enumerate(recordings, 1):
            if each.is_dialogue:
                print(clean(f"  {number:>3} {str(each)[1:-1]}"))
                continue
            told = f"{len(each.answer['events'])} events" if each.is_stream else f"{len(each.body())} bytes"
            asked = each.asked.get("json")
            model = f" {asked['model']}" if isinstance(asked, dict) and isinstance(asked.get("model"), str) else ""
            print(clean(f"  {number:>3} {each.method} {each.path}{model} -> {each.status}, {told}"))
    if others:
        print(f"antiphon: {clean(_passed_over(others))}", file=sys.stderr)
    return code


def _diff(options: argparse.Namespace) -> int:
    from ..fake.cassettes.files import load
    from ..fake.cassettes.pairs import told_apart

    if len(options.paths) != 2:
        raise Problem("cassettes diff takes two cassettes", USAGE)
    try:
        one, other = (load(path).recordings for path in options.paths)
    except ValueError as error:
        raise Problem(str(error)) from None
    lines = told_apart(one, other)
    for line in lines:
        print(clean(line))
    return FAILED if lines else 0


def _convert(options: argparse.Namespace) -> int:
    from .convert import run as convert

    return convert(options)


def _files(paths: list[str]) -> Files:
    from ..fake.cassettes.safety import cassettes_in

    found = cassettes_in(paths or ["."])
    if not found.cassettes:
        over = f"; {_passed_over(found.others)}" if found.others else ""
        raise Problem(f"there are no cassettes in {', '.join(paths) or 'this directory'}{over}")
    return found


def _passed_over(others: list[Path]) -> str:
    """Say which files of directories are no cassettes; of many, the first ones."""
    more = f" and {len(others) - _SHOWN} more" if len(others) > _SHOWN else ""
    return f"passed over, since they are none: {', '.join(map(str, others[:_SHOWN]))}{more}"


_ACTIONS: dict[str, Callable[[argparse.Namespace], int]] = {
    "verify": _verify,
    "list": _list,
    "diff": _diff,
    "convert": _convert,
}
