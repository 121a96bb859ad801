"""`antiphon lint` says what is wrong with rule files, with line and column."""

from __future__ import annotations

import argparse
import sys

from ._errors import FAILED, USAGE, Problem, clean

__all__ = ("configure", "run")


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    parser.description = (
        "Check files of rules and scripts (YAML, or JSON where the name ends in .json) without serving anything. "
        "What is wrong is told as FILE:LINE:COLUMN: what, and the exit code is 1."
    )
    parser.add_argument("files", nargs="*", metavar="FILE", help="a rule file, or its address")
    parser.add_argument("--schema", action="store_true", help="print the JSON Schema of rule files, for editors")


def run(options: argparse.Namespace) -> int:
    """Check them."""
    if options.schema:
        if options.files:
            raise Problem("--schema prints the schema and checks nothing: leave the files out", USAGE)
        import json

        from ..fake.schema import schema

        print(json.dumps(schema(), indent=2, ensure_ascii=False))
        return 0
    if not options.files:
        raise Problem("name the files to be checked, or --schema", USAGE)
    return max([_checked(path) for path in options.files])


def _checked(path: str) -> int:
    from ..fake.remote import source_of
    from ..fake.rulefile import faults

    try:
        found, told = faults(source_of(path))
    except OSError as error:
        print(clean(f"{path}: {error.strerror or error}"), file=sys.stderr)
        return FAILED
    for each in found:
        print(clean(f"{path}:{each.line}:{each.column}: {each.message}"))
    if not found:
        print(clean(f"{path}: {told}"))
    return FAILED if found else 0
