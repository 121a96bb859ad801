"""A file that is converted: what is in it, where, and what of it could not be carried over."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, NoReturn

from ..cassettes.files import _reader, _yaml, lines_of, shown_place
from ..cassettes.scrubbing import Scrubber
from . import ConvertError

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..cassettes.recording import Recording
    from ..cassettes.scrubbing import Place
    from .ruled import Told

__all__ = ("Converted", "Left", "Source")

_LARGE: Final = 4 * 1024 * 1024
"""Bytes of a file above which lines are not looked for; the place says where something is all the same."""


class Left(NamedTuple):
    """Something that was not carried over, and why."""

    path: str
    line: int
    place: str
    message: str
    whole: bool
    """Whether it is a whole rule or recording, and not a part of one."""

    def __str__(self) -> str:
        where = f"{self.place}: " if self.place else ""
        return f"{self.path}:{self.line}: {where}{self.message}"


class Converted(NamedTuple):
    """What was made of a file: rules or recordings."""

    path: str
    format: str
    kind: str
    """`rules` or `recordings`."""
    rules: Sequence[Told]
    """As they stand in rule files, with where they come from, the first of the file at the end."""
    recordings: Sequence[Recording]
    scrub: Sequence[str]
    left: Sequence[Left]
    """What was not carried over."""

    @property
    def total(self) -> int:
        """How many rules or recordings there are."""
        return len(self.rules) + len(self.recordings)


class Source:
    """A file that is read. Raises `ConvertError` where it is neither JSON nor YAML, and `OSError`."""

    def __init__(self, path: str | os.PathLike[str], scrub: Iterable[str] = ()) -> None:
        self.path = os.fspath(path)
        self.scrubber = Scrubber(scrub)
        self._left: list[Left] = []
        self._lines: Callable[[Place], tuple[int, bool]] | None = None
        self.data: Any = None
        data = Path(path).read_bytes()
        self._large = len(data) > _LARGE
        try:
            self._text = data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise ConvertError(path, data.count(b"\n", 0, error.start) + 1, "this is not UTF-8") from None
        if self._text.lstrip()[:1] in ("{", "["):
            self._read_json()
        else:
            self._read_yaml()

    def _read_json(self) -> None:
        import json

        try:
            self.data = json.loads(self._text)
        except json.JSONDecodeError as error:
            raise ConvertError(self.path, error.lineno, f"this is not JSON: {error.msg}") from None
        except (ValueError, RecursionError) as error:
            raise ConvertError(self.path, 1, f"this is not JSON: {error}") from None

    def _read_yaml(self) -> None:
        yaml = _yaml()
        try:
            self.data = yaml.load(self._text, Loader=_reader())  # a safe loader, of ours
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            told = f"this is not YAML: {getattr(error, 'problem', None) or error}"
            raise ConvertError(self.path, 1 if mark is None else mark.line + 1, told) from None
        except (ValueError, RecursionError) as error:
            raise ConvertError(self.path, 1, f"this is not YAML: {error}") from None

    def line(self, place: Place) -> int:
        """The line at which something stands."""
        if self._large:
            return 1
        if self._lines is None:
            try:
                self._lines = lines_of(self.path, self._text)
            except _yaml().YAMLError:  # JSON that is no YAML, for its tabs
                self._large = True
                return 1
        return self._lines(place)[0]

    def leave(self, place: Place, message: str, *, whole: bool = False) -> None:
        """Tell what is not carried over."""
        self._left.append(Left(self.path, self.line(place), shown_place(place), message, whole))

    def wrong(self, place: Place, message: str) -> NoReturn:
        """The file is not what it seems. Raises `ConvertError`."""
        where = shown_place(place)
        raise ConvertError(self.path, self.line(place), f"{where}: {message}" if where else message)

    def converted(
        self, format: str, rules: Sequence[Told] = (), recordings: Sequence[Recording] | None = None
    ) -> Converted:
        """What was made of it."""
        kind = "rules" if recordings is None else "recordings"
        left = sorted(dict.fromkeys(self._left), key=lambda each: each.line)
        return Converted(self.path, format, kind, rules, recordings or (), self.scrubber.patterns, left)
