"""Recordings and rules of other programs, made into ours: a module for each kind of file, which knows it by sight.

Rules become rule files, recordings become cassettes without secrets. What cannot be carried over is told, with where
it is.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ...kernel.lazy import lazily

if TYPE_CHECKING:
    from .source import Converted, Left, Source

__all__ = ("FORMATS", "ConvertError", "Converted", "Left", "read", "write")

FORMATS: Final = {
    "vcr": "cassettes of vcrpy and pytest-recording, and of what writes as they do",
    "betamax": "cassettes of betamax and of Ruby's VCR",
    "har": "HAR files, as browsers and proxies export them",
    "aimock": "fixtures of aimock, written by hand or by its recorder",
    "stubllm": "fixtures of stubllm",
    "fakellm": "rules of fakellm",
    "mockllm": "responses of mockllm",
    "wiremock": "stubs of WireMock",
}
"""The kinds of files, in the order in which they are looked for; each is a module here."""

__getattr__, __dir__ = lazily(__name__, {"Converted": ".source", "Left": ".source"})


class ConvertError(ValueError):
    """A file that cannot be converted: what is wrong, and where."""

    def __init__(self, path: str | os.PathLike[str], line: int, message: str) -> None:
        super().__init__(f"{os.fspath(path)}:{line}: {message}")
        self.path = os.fspath(path)
        self.line = line
        self.message = message


def read(path: str | os.PathLike[str], scrub: Iterable[str] = ()) -> Converted:
    """What a file of another program holds, in our terms. `scrub` are patterns of what recordings are to be rid of.

    Raises `ConvertError` for a file of no known kind, `ValueError` for a pattern that is none, and `OSError`.
    """
    from .source import Source

    source = Source(path, scrub)
    for name in FORMATS:
        module: Any = import_module(f".{name}", __name__)
        if module.recognized(source.data):
            return source.converted(name, **_parts(module, source))
    kinds = "; ".join(FORMATS.values())
    raise ConvertError(path, 1, f"this is none of the files that can be converted: {kinds}")


def _parts(module: Any, source: Source) -> dict[str, Any]:
    if hasattr(module, "rules"):
        from .ruled import finished

        return {"rules": finished(source, module.rules(source), first_wins=module.FIRST_WINS)}
    return {"recordings": module.recordings(source)}


def write(path: str | os.PathLike[str], found: Sequence[Converted]) -> list[Left]:
    """Write what was read to one file: rules as a rule file, recordings as a cassette, replacing what is there.

    Gives the rules that are left out, since those of another file before theirs always answer.

    Raises `ConvertError` where there are rules and recordings, and `OSError`.
    """
    kinds = {each.kind for each in found}
    if len(kinds) > 1:
        other = next(each for each in found if each.kind != found[0].kind)
        told = f"these are {other.kind}, and those of {found[0].path} {found[0].kind}: one file has either"
        raise ConvertError(other.path, 1, told)
    if kinds == {"rules"}:
        from .ruled import document

        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        text, left = document(found)
        target.write_text(text, "utf-8", newline="\n")
        return left
    from ..cassettes.files import save

    recordings = [recording for each in found for recording in each.recordings]
    patterns = tuple(dict.fromkeys(pattern for each in found for pattern in each.scrub))
    save(path, recordings, patterns, append=False)
    return []
