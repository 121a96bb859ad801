"""`antiphon convert` makes cassettes and rule files of the recordings and rules of other programs."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ._errors import FAILED, USAGE, Problem, clean

if TYPE_CHECKING:
    from ..fake.converting import Converted, Left

__all__ = ("configure", "run")

_SUFFIXES = (".yaml", ".yml", ".json", ".har")
_ONE = (".yaml", ".yml")


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    from ..fake.converting import FORMATS

    kinds = "\n".join(f"  {name:<9}{what}" for name, what in FORMATS.items())
    parser.description = (
        "Make cassettes of the recordings of other programs, and rule files of their rules. What a file is shows in "
        "it. Recordings are rid of secrets. What cannot be carried over is told on stderr as FILE:LINE: where: why; "
        "the exit code is 1 where that is a whole rule, recording or file."
    )
    parser.epilog = f"what is read:\n{kinds}"
    parser.add_argument("paths", nargs="+", metavar="PATH", help="a file, or a directory, of which all files are meant")
    parser.add_argument(
        "-o",
        "--output",
        metavar="PATH",
        help="a directory to write to, or a file NAME.yaml that everything is written to; otherwise each is written "
        "beside its source, as NAME.antiphon.yaml",
    )
    parser.add_argument(
        "-v",
        "--verbose",
        action="store_true",
        help="tell of each rule what is not carried over, not of the first alone",
    )
    parser.add_argument(
        "--scrub", action="append", metavar="REGEX", help="what else is a secret in recordings; repeatable"
    )


def run(options: argparse.Namespace) -> int:
    """Convert them."""
    from ..fake.cassettes.scrubbing import Scrubber
    from ..fake.converting import ConvertError, Left, read, write

    if not options.paths:
        raise Problem("name the files to be converted, or a directory of them", USAGE)
    try:
        Scrubber(options.scrub or ())
    except ValueError as error:
        raise Problem(str(error), USAGE) from None
    paths = _files(options.paths)
    one = Path(options.output) if options.output and Path(options.output).suffix in _ONE else None
    targets = [one or _target(path, options.output) for path in paths]
    for number, target in enumerate(targets):
        if target.exists():
            raise Problem(f"{target} is there already")
        if one is None and target in targets[:number]:
            raise Problem(f"{target} would be of {paths[targets.index(target)]} and of {paths[number]}")
    left: list[Left] = []
    found: list[tuple[Path, Converted]] = []
    for path, target in zip(paths, targets, strict=True):
        try:
            found.append((target, read(path, options.scrub or ())))
        except ConvertError as error:
            if str(path) in options.paths:
                raise Problem(str(error)) from None
            told = error.message.partition(": ")[0] if error.line == 1 else error.message
            left.append(Left(error.path, error.line, "", told, True))
    groups = [(target, [each]) for target, each in found] if one is None else [(one, [each for _, each in found])]
    for target, each in groups:
        if not each:
            break
        try:
            never = write(target, each)
        except ConvertError as error:
            raise Problem(str(error)) from None
        left += [one for converted in each for one in converted.left]
        left += never
        print(clean(f"{target}: {_counted(each, sum(converted.total for converted in each) - len(never))}"))
    _tell(left, every=options.verbose)
    return FAILED if any(each.whole for each in left) else 0


def _tell(left: list[Left], *, every: bool) -> None:
    """Say what was not carried over; what is the same of many rules once, with their number."""
    alike: dict[str, list[Left]] = {}
    for each in left:
        alike.setdefault(str(each) if each.whole or every else each.message, []).append(each)
    for first, *others in alike.values():
        more = f" (and {len(others)} more like it: -v)" if others else ""
        print(clean(f"{first}{more}"), file=sys.stderr)


def _counted(found: list[Converted], count: int) -> str:
    what = f"{count} {found[0].kind[:-1]}{'' if count == 1 else 's'}"
    return f"{what} of {', '.join(dict.fromkeys(each.format for each in found))}"


def _target(path: Path, output: str | None) -> Path:
    return Path(output) / f"{path.stem}.yaml" if output else path.with_name(f"{path.stem}.antiphon.yaml")


def _files(paths: list[str]) -> list[Path]:
    found: list[Path] = []
    for path in map(Path, paths):
        if path.is_dir():
            inside = [each for each in path.rglob("*") if each.suffix in _SUFFIXES and each.is_file()]
            found += sorted(each for each in inside if not each.stem.endswith(".antiphon"))
        elif path.exists():
            found.append(path)
        else:
            raise FileNotFoundError(2, "there is no such file or directory", str(path))
    if not found:
        raise Problem(f"there are no files to be converted in {', '.join(paths)}; they end in {', '.join(_SUFFIXES)}")
    return found
