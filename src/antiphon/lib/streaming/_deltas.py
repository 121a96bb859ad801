"""What a stream has said so far, put together from its deltas without I/O, in time linear in what was said.

    told = Accumulated({})
    told.merge({"content": "Hel"})
    told.merge({"content": "lo"})
    told.settle()                     {"content": "Hello"}

Strings that grow are kept as their pieces and joined when somebody reads them: `settle` writes them into the object.
"""

from __future__ import annotations

from typing import Any

__all__ = ("Accumulated", "Growing", "accumulate_delta", "copied")

JSON = dict[str, Any]

_WHOLE = frozenset(("id", "index", "object", "role", "type"))
"""Keys whose values come whole, however often they are repeated."""


def copied(value: Any) -> Any:
    """A copy of JSON data, so that merging into it leaves the original as it is."""
    kind = value.__class__
    if kind is dict:
        return {key: copied(item) for key, item in value.items()}
    if kind is list:
        return [copied(item) for item in value]
    return value


class Growing:
    """A string of an object that pieces are added to."""

    __slots__ = ("_count", "_joined", "_settled", "holder", "key", "pieces")

    def __init__(self, holder: JSON, key: str) -> None:
        begun = holder.get(key)
        self.holder = holder
        self.key = key
        self.pieces: list[str] = [begun] if isinstance(begun, str) and begun else []
        self._joined = ""
        self._count = 0
        self._settled = len(self.pieces)

    def at(self, count: int) -> str:
        """The first `count` pieces, joined."""
        if count < self._count:
            return "".join(self.pieces[:count])
        if count > self._count:
            self._joined += "".join(self.pieces[self._count : count])
            self._count = count
        return self._joined

    def text(self) -> str:
        """All that was added so far."""
        return self.at(len(self.pieces))

    def settle(self) -> None:
        """Write the string into its object."""
        if self._settled < len(self.pieces):
            self._settled = len(self.pieces)
            self.holder[self.key] = self.text()


class Accumulated:
    """A JSON object that deltas are merged into, as the API sends them.

    Strings are appended to, numbers added, objects merged, and entries of lists merged by their `index`; `index`,
    `type`, `id` and the like are replaced. What hosts leave out is made up for: an entry without `index` goes to the
    entry with its `id`, else to the end.
    """

    __slots__ = ("_dirty", "_growing", "root")

    def __init__(self, root: JSON) -> None:
        self.root = root
        self._growing: dict[tuple[int, str], Growing] = {}
        self._dirty: list[Growing] = []

    def growing(self, holder: JSON, key: str) -> Growing:
        """The string under a key of an object inside the root, as one that grows."""
        place = (id(holder), key)  # the object stays where it is as long as its string is kept here
        found = self._growing.get(place)
        if found is None:
            found = self._growing[place] = Growing(holder, key)
        return found

    def grow(self, holder: JSON, key: str, piece: str) -> Growing:
        """Add to a string."""
        found = self.growing(holder, key)
        if piece:
            if found._settled == len(found.pieces):
                self._dirty.append(found)
            found.pieces.append(piece)
        return found

    def settle(self) -> JSON:
        """The root, with every string in it as long as it is now."""
        for each in self._dirty:
            each.settle()
        self._dirty.clear()
        return self.root

    def merge(self, delta: JSON, into: JSON | None = None) -> None:
        """Merge a delta into the root, or into an object inside it."""
        if into is None:
            into = self.root
        for key, value in delta.items():
            known = into.get(key)
            if known is None:
                if not _has_indexes(value):
                    into[key] = copied(value)
                    continue
                # One delta may have several pieces of the same entry.
                known = into[key] = []
            if value is None:
                continue
            if key in _WHOLE:
                if value != "":
                    into[key] = value
            elif isinstance(known, str):
                if isinstance(value, str):
                    self._say(into, key, known, value)
            elif isinstance(known, dict):
                if isinstance(value, dict):
                    self.merge(value, known)
            elif isinstance(known, list):
                if isinstance(value, list):
                    self._extend(known, value, key)
            elif isinstance(known, bool) or isinstance(value, bool):
                into[key] = value
            elif isinstance(value, (int, float)):
                into[key] = known + value

    def _say(self, into: JSON, key: str, known: str, value: str) -> None:
        if key == "name" and value == known:
            return  # some hosts repeat the name of a function with each piece of its arguments
        self.grow(into, key, value)

    def _extend(self, known: list[Any], delta: list[Any], key: str) -> None:
        for entry in delta:
            if not isinstance(entry, dict):
                known.append(entry)
                continue
            place = _place(known, entry, key)
            if place is None:
                _insert(known, copied(entry))
            else:
                self.merge(entry, known[place])


def _has_indexes(value: Any) -> bool:
    return value.__class__ is list and any(entry.__class__ is dict and "index" in entry for entry in value)


def _place(known: list[Any], entry: JSON, key: str) -> int | None:
    """Where in a list the entry is that another one belongs to."""
    index = entry.get("index")
    if isinstance(index, int):
        if 0 <= index < len(known) and isinstance(known[index], dict) and known[index].get("index", index) == index:
            return index
        found = (n for n, each in enumerate(known) if isinstance(each, dict) and each.get("index") == index)
        return next(found, None)
    identity = entry.get("id")
    if identity:
        found = (n for n, each in enumerate(known) if isinstance(each, dict) and each.get("id") == identity)
        return next(found, None)
    # More of the arguments of a call: only tool calls come in pieces.
    return len(known) - 1 if key == "tool_calls" and known and isinstance(known[-1], dict) else None


def _insert(known: list[Any], entry: JSON) -> None:
    index = entry.get("index")
    place = len(known)
    if isinstance(index, int):
        while place and isinstance(known[place - 1], dict) and _index(known[place - 1]) > index:
            place -= 1
    known.insert(place, entry)


def _index(entry: JSON) -> int:
    index = entry.get("index")
    return index if isinstance(index, int) else -1


def accumulate_delta(acc: JSON, delta: JSON) -> JSON:
    """Merge a delta into an object at once. Where there are many, an `Accumulated` is faster."""
    told = Accumulated(acc)
    told.merge(delta)
    return told.settle()
