"""The page that says what is behind every operation: `python -m antiphon.server.coverage` writes `docs/coverage.md`."""

from __future__ import annotations

import sys
from collections import Counter
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

from .behaviour import BEHAVIOURS
from .behaviours import HOMES
from .endpoint import LEGACY, Tier, endpoints

__all__ = ("PAGE", "check_homes", "page", "tiers")

PAGE = Path("docs/coverage.md")
"""Where the page is kept, from the root of the repository."""

_MEANING: dict[Tier, str] = {
    "behaves": "state and rules of its own",
    "generic": "created, retrieved, listed, updated and deleted in the store by the generic engine",
    "shape": "a valid answer made from the schema, which reflects the request",
}


def tiers() -> dict[str, Tier]:
    """The tier of every operation by name."""
    return {name: endpoint.open().tier for name, endpoint in endpoints().items()}


def page() -> str:
    """The page, as Markdown."""
    found = tiers()
    counts = Counter(found.values())
    lines = [
        "# What the server does for each operation",
        "",
        "Made by `python -m antiphon.server.coverage`; a test checks that it is up to date.",
        "",
        (
            f"All {len(found) - len(LEGACY)} operations of the API are served, and {len(LEGACY)} that it once had, "
            "each checked against its schema, in one of three tiers:"
        ),
        "",
        *(f"- **{tier}** ({counts[tier]}): {meaning}." for tier, meaning in _MEANING.items()),
        "",
        "| operation | address | tier |",
        "|---|---|---|",
    ]
    for name, tier in sorted(found.items()):
        endpoint = endpoints()[name]
        query = "".join(f"?{key}={value}" for key, value in endpoint.fixed_query.items())
        lines.append(f"| `{name}` | `{endpoint.method} {endpoint.path}{query}` | {tier} |")
    return "\n".join(lines) + "\n"


def served() -> dict[str, list[str]]:
    """The operations that each module of `behaviours` serves, found by importing them all."""
    package = import_module(".behaviours", __package__)
    for module in iter_modules(package.__path__):
        import_module(f".behaviours.{module.name}", __package__)
    found: dict[str, list[str]] = {}
    for name, behaviour in sorted(BEHAVIOURS.items()):
        found.setdefault(behaviour.__module__.rpartition(".")[2], []).append(name)
    return found


def check_homes() -> None:
    """See that `behaviours.HOMES` says what is so. Raises `ValueError` with how it has to be."""
    told = {module: sorted(names.split()) for module, names in HOMES.items()}
    found = served()
    wrong = [module for module in sorted({*told, *found}) if told.get(module) != found.get(module)]
    if wrong:
        lines = [f'"{module}": "{" ".join(found.get(module, ()))}"' for module in wrong]
        raise ValueError("behaviours.HOMES has to say:\n" + "\n".join(lines))


def main() -> None:
    """Write the page; with `--check` only say whether it is up to date."""
    check_homes()
    text = page()
    if "--check" in sys.argv[1:]:
        if not PAGE.exists() or PAGE.read_text(encoding="utf-8") != text:
            sys.exit(f"{PAGE} is not up to date: run `python -m antiphon.server.coverage`")
        return
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
