"""What is recorded without its secrets, and whether there are any in a file."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from .bodies import binary
from .files import has_key, lines_of, load, shown_place
from .scrubbing import Finding, Place, Scrubber
from .spread import spread_secrets

__all__ = ("Files", "Secret", "cassettes_in", "clean", "secrets_in", "verified")


def clean(scrubber: Scrubber, value: Any) -> Any:
    """A body, an event or a field, as it is recorded, without secrets. What is base64 is looked into."""
    if isinstance(value, Mapping):
        cleaned: dict[str, Any] = {}
        for name, each in value.items():
            if name == "base64" and isinstance(each, str):
                data = base64.b64decode(each)
                scrubbed = scrubber.data(data)
                cleaned[name] = each if scrubbed is data else binary(scrubbed)
            elif name == "form":
                cleaned[name] = [_field(scrubber, field) for field in each]
            else:
                cleaned[name] = scrubber.scrubbed(each)
        return cleaned
    return scrubber.scrubbed(value)


def _field(scrubber: Scrubber, field: Mapping[str, Any]) -> dict[str, Any]:
    """A field of a form. Of one whose name says that it is a secret, nothing is kept."""
    cleaned: dict[str, Any] = clean(scrubber, field)
    if "text" in cleaned and isinstance(field.get("name"), str):
        cleaned["text"] = scrubber.scrubbed({field["name"]: cleaned["text"]})[cleaned["name"]]
    return cleaned


def secrets_in(scrubber: Scrubber, recording: Mapping[str, Any], place: Place = ()) -> Iterator[Finding]:
    """The secrets in a recording as it is written."""
    for name in ("request", "answer", "dialogue"):
        part: Mapping[str, Any] = recording.get(name, {})
        yield from scrubber.findings(
            {key: value for key, value in part.items() if key not in ("base64", "form", "events", "messages")},
            (*place, name),
        )
        yield from _in_binary(scrubber, part, (*place, name))
        for key in ("events", "messages"):
            yield from spread_secrets(scrubber, part.get(key, ()), (*place, name, key))
        for key in ("form", "events", "messages"):
            for number, each in enumerate(part.get(key, ())):
                where = (*place, name, key, number)
                yield from scrubber.findings({k: v for k, v in each.items() if k != "base64"}, where)
                yield from _in_binary(scrubber, each, where)
                if key == "form" and isinstance(each.get("text"), str):
                    yield from (
                        found._replace(place=(*where, "text"))
                        for found in scrubber.findings({each["name"]: each["text"]})
                        if found.what.startswith("what is named")
                    )


def _in_binary(scrubber: Scrubber, part: Mapping[str, Any], place: Place) -> Iterator[Finding]:
    if isinstance(part.get("base64"), str):
        data = base64.b64decode(part["base64"]).decode("latin-1")
        for found in scrubber.findings(data, (*place, "base64")):
            yield found._replace(line=0)


class Secret(NamedTuple):
    """A secret in a file."""

    path: str
    line: int
    place: str
    what: str
    text: str

    def __str__(self) -> str:
        where = f"{self.place}: " if self.place else ""
        return f"{self.path}:{self.line}: {where}{self.what}, {self.text}"


def verified(path: str | os.PathLike[str], patterns: Iterable[str] = ()) -> list[Secret]:
    """The secrets in a cassette, by the rules that recordings are scrubbed by: those everybody has, those that the
    cassette names, and `patterns`. Raises `CassetteError` for what is no cassette, `OSError`, and `ValueError`.
    """
    contents = load(path)
    scrubber = Scrubber((*contents.scrub, *patterns))
    told = os.fspath(path)
    found: list[Secret] = []
    findings = [
        finding
        for number, recording in enumerate(contents.recordings)
        for finding in secrets_in(scrubber, recording.value, ("exchanges", number))
    ]
    if findings:
        line = lines_of(path)
        for each in findings:
            at, literal = line(each.place)
            found.append(
                Secret(told, at + (each.line if literal else 0), shown_place(each.place), each.what, each.text)
            )
    known = {(each.line, each.text) for each in found}
    for number, text in enumerate(Path(path).read_text("utf-8-sig").splitlines(), start=1):
        if any(pattern in text for pattern in contents.scrub):
            continue  # the pattern itself
        found += [
            Secret(told, number, "", each.what, each.text)
            for each in scrubber.in_line(text)
            if (number, each.text) not in known
        ]
    return sorted(set(found), key=lambda each: (each.line, each.place))


class Files(NamedTuple):
    """What paths stand for."""

    cassettes: list[Path]
    others: list[Path]
    """Files of directories that are no cassettes, such as rule files, and were passed over."""


def cassettes_in(paths: Iterable[str]) -> Files:
    """The files of paths: themselves, and in directories all that are in directories named `cassettes`, or, where
    there are none, all `.yaml` and `.yml`; of those, what has no key of a cassette is passed over. Raises
    `FileNotFoundError` for what is not there, and `OSError`.
    """
    found = Files([], [])
    for each in map(Path, paths):
        if each.is_dir():
            inside = sorted(path for path in each.rglob("*") if path.suffix in (".yaml", ".yml") and path.is_file())
            named = [path for path in inside if "cassettes" in path.parts]
            for path in named or inside:
                (found.cassettes if has_key(path) else found.others).append(path)
        elif each.exists():
            found.cassettes.append(each)
        else:
            raise FileNotFoundError(2, "there is no such file or directory", str(each))
    return found
