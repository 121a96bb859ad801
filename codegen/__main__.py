"""`python -m codegen [--check] [types] [api] [schema] [server/merges]`: write it, or say what is out of date."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from itertools import chain
from pathlib import Path

from . import api, connections, files, helpers, merges, schemas, types

ROOT = Path(__file__).parent.parent / "src" / "antiphon"
TARGETS: dict[str, Callable[[], Iterable[tuple[str, files.Content]]]] = {
    "types": types.generate,
    "api": lambda: chain(api.generate(), connections.generate(), helpers.generate()),
    "schema": schemas.generate,
    "server/merges": merges.generate,
}


def main(arguments: list[str]) -> int:
    check = "--check" in arguments
    wanted = [name for name in TARGETS if name in arguments] or list(TARGETS)
    made = files.formatted(each for name in wanted for each in TARGETS[name]())
    if not check:
        print(f"{len(made)} files, {files.write(made, ROOT, wanted)} changed")
        return 0
    differences = files.compare(made, ROOT, wanted)
    for line in differences[:40]:
        print(line)
    if differences:
        print(f"{len(differences)} of {len(made)} generated files are out of date: run `python -m codegen`")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
