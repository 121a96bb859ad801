"""Rule files of a fake: loaded, and loaded again when they change.

Requests that come while a file is read are answered by the rules there were; from the next one on the new ones count.
Rules that stand in the file as before go on where they were. A file that is broken changes nothing, and is told of.
"""

from __future__ import annotations

import os
import sys
import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from .remote import Remote, source_of
from .rulefile import RuleFileError, counted, load, made

if TYPE_CHECKING:
    from .rules import Rule, Rules
    from .scripts import Script

__all__ = ("RuleFile", "Source", "add")

EVERY: Final = 0.2
"""Seconds between looks at a file that is watched."""

_STAY: Final = "The rules that were there stay in force."

_Stamp: TypeAlias = tuple[int, int, int]

Source: TypeAlias = "str | os.PathLike[str] | Mapping[str, Any] | Sequence[Any]"
"""Where rules come from: the path or the address of a file, what stands in one, or a list of paths."""


class RuleFile:
    """A file, of this machine or at an address, and the rules that came from it."""

    def __init__(self, rules: Rules, path: str | os.PathLike[str], *, kept: bool = False) -> None:
        self.path = source_of(path)
        self.problem: str | None = None
        """What is wrong with the file since it was changed; `None`: nothing."""
        self._rules = weakref.ref(rules)
        self._kept = kept
        self._stamp = self._now()
        self._over = threading.Event()
        self.entries: list[Rule | Script] = self._read(rules)
        """The rules and scripts that came from it."""
        rules.extend(self.entries)

    def _read(self, rules: Rules) -> list[Rule | Script]:
        found = load(rules, self.path)
        for each in found:
            each.kept = self._kept
        return found

    def _now(self) -> _Stamp | None:
        if isinstance(self.path, Remote):
            return None
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino

    def reload(self) -> bool:
        """Read the file again. Gives whether it could be; where not, `problem` says why and the rules stay."""
        rules = self._rules()
        if rules is None:
            return False
        try:
            found = self._read(rules)
        except (RuleFileError, ImportError) as error:
            self.problem = str(error)
            return False
        except OSError as error:
            self.problem = f"{self.path}: {error.strerror or error}"
            return False
        self.problem = None
        before = list(self.entries)
        entries: list[Rule | Script] = []
        for each in found:
            same = next((old for old in before if type(old) is type(each) and old.source == each.source), None)
            if same is not None:
                before.remove(same)
                same.where = each.where
            entries.append(each if same is None else same)
        rules.replace(self.entries, entries)
        self.entries = entries
        return True

    def watch(self, report: Callable[[str], object] | None = None, every: float = EVERY) -> RuleFile:
        """Read the file again whenever it has changed, until `stop` or until the fake is gone.

        `report` is told what came of it, in a sentence; without it, what is wrong is written to stderr. Raises
        `ValueError` for one at an address, which is read again by `reload` alone.
        """
        if isinstance(self.path, Remote):
            raise ValueError(f"files are watched, and {self.path} is an address: `reload` reads it again")
        told = _complain if report is None else report
        threading.Thread(target=self._watch, args=(told, every), name=f"rules of {self.path.name}", daemon=True).start()
        return self

    def stop(self) -> None:
        """Watch no longer."""
        self._over.set()

    def _watch(self, report: Callable[[str], object], every: float) -> None:
        seen = self._stamp
        while not self._over.wait(every) and self._rules() is not None:
            now = self._now()
            if now == self._stamp or now != seen:
                seen = now  # what is still being written is left to be written
                continue
            self._stamp = now
            if self.reload():
                report(f"{self.path} was read again: {counted(self.entries)}")
            else:
                report(f"{self.problem}\n{_STAY}")

    def __repr__(self) -> str:
        return f"<RuleFile {str(self.path)!r}, {counted(self.entries)}>"


def _complain(told: str) -> None:
    if told.endswith(_STAY):
        sys.stderr.write(f"{told}\n")


def add(rules: Rules, source: Source) -> list[RuleFile]:
    """Add what a fake is made with, so that it is there again after a reset. Gives the files among it.

    Raises `RuleError`, `OSError` or `ImportError` for what cannot be read.
    """
    if isinstance(source, (str, os.PathLike)):
        return [RuleFile(rules, source, kept=True)]
    if not isinstance(source, Mapping):
        paths = [each for each in source if isinstance(each, (str, os.PathLike))]
        if paths and len(paths) == len(source):
            return [RuleFile(rules, each, kept=True) for each in paths]
    found = made(rules, source, lambda path: "data", None)
    for each in found:
        each.kept = True
    rules.extend(found)
    return []
