"""The files of cassettes: YAML that is read by people, compared line by line, and refused where it is wrong.

    antiphon cassette: 1
    exchanges:
    - request:
        method: POST
        url: https://api.openai.com/v1/chat/completions
        json: {…}
      answer:
        status: 200
        json: {…}

Only plain values are read: a file makes no objects and runs nothing.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn
from urllib.parse import urlsplit

import orjson

from .bodies import LAYOUTS
from .messages import CLIENT, SERVER
from .recording import Recording
from .scrubbing import Scrubber

if TYPE_CHECKING:
    from .scrubbing import Place

__all__ = ("VERSION", "CassetteError", "Contents", "document", "has_key", "lines_of", "load", "save", "shown_place")

VERSION: Final = 1
_TITLE: Final = "antiphon cassette"
_KEY: Final = re.compile(
    rb"""^(?:\xef\xbb\xbf)?(?:\{\s*)?["']?(?:antiphon cassette|exchanges)["']?\s*:""", re.MULTILINE
)
_BODIES: Final = ("json", "form", "text", "base64", "digest")
_METHODS: Final = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")


class CassetteError(ValueError):
    """A cassette that cannot be used: what is wrong, where, and what would be right."""

    def __init__(self, path: str | os.PathLike[str], line: int, message: str) -> None:
        super().__init__(f"{os.fspath(path)}:{line}: {message}")
        self.path = os.fspath(path)
        self.line = line
        self.message = message


class Contents:
    """What is in a cassette."""

    def __init__(self, recordings: list[Recording], scrub: Sequence[str] = ()) -> None:
        self.recordings = recordings
        self.scrub = tuple(scrub)
        """Patterns of the user's own for what is not to be recorded."""


# YAML


def _yaml() -> Any:
    try:
        import yaml
    except ImportError:
        raise ImportError("cassettes are YAML, which needs PyYAML: pip install 'antiphon[test]'") from None
    return yaml


_made: dict[str, Any] = {}


def _reader() -> Any:
    """A loader of plain values; what looks like a date is a text, as in JSON."""
    found = _made.get("reader")
    if found is None:
        yaml = _yaml()
        base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

        class Reader(base):  # type: ignore[misc]
            pass

        Reader.yaml_implicit_resolvers = {
            first: [pair for pair in pairs if pair[0] != "tag:yaml.org,2002:timestamp"]
            for first, pairs in base.yaml_implicit_resolvers.items()
        }
        found = _made["reader"] = Reader
    return found


class OneLine(dict[str, Any]):
    """A mapping that is written on one line."""


def _writer() -> Any:
    found = _made.get("writer")
    if found is None:
        yaml = _yaml()
        base: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)

        class Writer(base):  # type: ignore[misc]
            def ignore_aliases(self, data: Any) -> bool:
                return True

        def text(writer: Any, value: str) -> Any:
            style = "|" if "\n" in value.rstrip("\n") and _reads_well(value) else None
            return writer.represent_scalar("tag:yaml.org,2002:str", value, style=style)

        def one_line(writer: Any, value: OneLine) -> Any:
            return writer.represent_mapping("tag:yaml.org,2002:map", dict(value), flow_style=True)

        Writer.add_representer(str, text)
        Writer.add_representer(OneLine, one_line)
        found = _made["writer"] = Writer
    return found


def _reads_well(text: str) -> bool:
    """Whether a text can be written as it is, line by line. After empty lines at its end nothing could be added."""
    return text.replace("\n", "").isprintable() and text[0] not in " \n" and not text.endswith("\n\n")


def dumped(value: Any) -> str:
    """A value as YAML."""
    text: str = _yaml().dump(
        value, Dumper=_writer(), sort_keys=False, allow_unicode=True, width=1_000_000, default_flow_style=False
    )
    return text


def document(recordings: Sequence[Recording], scrub: Sequence[str] = ()) -> str:
    """A cassette as the text of its file."""
    head: dict[str, Any] = {_TITLE: VERSION}
    if scrub:
        head["scrub"] = list(scrub)
    if not recordings:
        return dumped({**head, "exchanges": []})
    return dumped(head) + "exchanges:\n" + _listed(recordings)


def _listed(recordings: Sequence[Recording]) -> str:
    return "".join(dumped([_in_lines(each.value)]) for each in recordings)


def _in_lines(value: dict[str, Any]) -> dict[str, Any]:
    """A recording with each event of its stream, and each message of its dialogue, on one line."""
    if "dialogue" in value:
        told = value["dialogue"]
        return {**value, "dialogue": {**told, "messages": [OneLine(each) for each in told["messages"]]}}
    answer = value["answer"]
    if "events" not in answer:
        return value
    inner: dict[str, Any] = {**answer, "events": [OneLine(event) for event in answer["events"]]}
    if "each" in inner:
        inner["each"] = OneLine(inner["each"])
    return {**value, "answer": inner}


# Reading


def has_key(path: str | os.PathLike[str]) -> bool:
    """Whether a file may be a cassette, a broken one too: it has a line with a cassette's first key or its list."""
    return _KEY.search(Path(path).read_bytes()) is not None


def load(path: str | os.PathLike[str]) -> Contents:
    """Read a cassette. Raises `CassetteError` for a file that is none, and `OSError` for one that cannot be read."""
    text = _text(path)
    yaml = _yaml()
    try:
        value = yaml.load(text, Loader=_reader())  # a safe loader, of ours
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or str(error).split("\n", 1)[0]
        raise CassetteError(path, 1 if mark is None else mark.line + 1, f"this is not YAML: {problem}") from None
    except ValueError as error:  # a number or a date that looks like one and is none
        raise CassetteError(path, 1, f"this is not YAML: {error}") from None
    return _Check(path, text).contents(value)


def _text(path: str | os.PathLike[str]) -> str:
    if Path(path).is_dir():
        raise CassetteError(path, 1, "this is a directory, and a cassette is a file in it, such as weather.yaml")
    data = Path(path).read_bytes()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise CassetteError(path, line, "this is not UTF-8") from None


def lines_of(path: str | os.PathLike[str], text: str | None = None) -> Callable[[Place], tuple[int, bool]]:
    """A function that says at which line of a file something is, the first being 1, and whether as lines of its own.

    Only asked where something is wrong: it reads the file again, remembering where everything is.
    """
    yaml = _yaml()
    root: Any = yaml.compose(_text(path) if text is None else text, Loader=_reader())

    def line(place: Place) -> tuple[int, bool]:
        found: Any
        node: Any
        node = found = root
        for step in place:
            if node is None:
                break
            inner = None
            if isinstance(node, yaml.MappingNode):
                for key, value in node.value:
                    if key.value == str(step):
                        found, inner = key, value
            elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
                found = inner = node.value[step]
            node = inner
        if node is not None and node.__class__ is yaml.ScalarNode and node.style == "|":
            return node.start_mark.line + 2, True
        return (1 if found is None else found.start_mark.line + 1), False

    return line


def shown_place(place: Place) -> str:
    """A place as it is read: `exchanges[0].request.json.model`."""
    told = ""
    for step in place:
        told += f"[{step}]" if isinstance(step, int) else f".{step}" if told else str(step)
    return told


class _Check:
    """Sees that a file is a cassette."""

    def __init__(self, path: str | os.PathLike[str], text: str) -> None:
        self._path = path
        self._text = text

    def _wrong(self, place: Place, message: str) -> NoReturn:
        line, _ = lines_of(self._path, self._text)(place) if self._text.strip() else (1, False)
        where = shown_place(place)
        raise CassetteError(self._path, line, f"{where}: {message}" if where else message)

    def contents(self, value: Any) -> Contents:
        if not isinstance(value, dict) or _TITLE not in value:
            self._wrong((), f"this is no cassette: one begins with the line `{_TITLE}: {VERSION}`")
        if value[_TITLE] != VERSION or isinstance(value[_TITLE], bool):
            self._wrong((_TITLE,), f"this version reads cassettes of version {VERSION}, not {value[_TITLE]!r}")
        self._names(value, (), (_TITLE, "scrub", "exchanges"))
        scrub = value.get("scrub", [])
        if not isinstance(scrub, list) or not all(isinstance(each, str) for each in scrub):
            self._wrong(("scrub",), f"a list of regular expressions was expected, not {_kind(scrub)}")
        for number, each in enumerate(scrub):
            try:
                Scrubber([each], environment=False)
            except ValueError as error:
                self._wrong(("scrub", number), str(error))
        if _size(value, {}) > max(_MOST, len(self._text)):
            self._wrong((), f"with all its aliases this is more than {_MOST} values")
        exchanges = value.get("exchanges")
        if not isinstance(exchanges, list):
            self._wrong(("exchanges",), f"a list of exchanges was expected, not {_kind(exchanges)}")
        for number, each in enumerate(exchanges):
            self._exchange(each, ("exchanges", number))
        return Contents([Recording(each) for each in exchanges], scrub)

    def _exchange(self, value: Any, place: Place) -> None:
        self._mapping(value, place, "request and answer")
        self._names(value, place, ("request", "answer", "dialogue", "recorded"))
        if "answer" in value and "dialogue" in value:
            self._wrong((*place, "dialogue"), "there is an answer or a dialogue, not both")
        for name in ("request", "dialogue" if "dialogue" in value else "answer"):
            if name not in value:
                self._wrong(place, f"the {name} is missing")
            self._mapping(value[name], (*place, name), "what was sent")
        self._request(value["request"], (*place, "request"))
        if "dialogue" in value:
            self._dialogue(value, place)
        else:
            self._answer(value["answer"], (*place, "answer"))
        if "recorded" in value:
            try:
                datetime.fromisoformat(value["recorded"])
            except (ValueError, TypeError):
                told = f"a time such as '2026-11-28T16:20:00Z' was expected, not {value['recorded']!r}"
                self._wrong((*place, "recorded"), told)

    def _request(self, value: dict[str, Any], place: Place) -> None:
        self._names(value, place, ("method", "url", "headers", *_BODIES))
        if value.get("method") not in _METHODS:
            self._expected(value, place, "method", f"one of {', '.join(_METHODS)}")
        if not is_address(value.get("url")):
            self._expected(value, place, "url", "an address such as https://api.openai.com/v1/models")
        self._headers(value, place)
        self._body(value, place, _BODIES)
        self._form(value, place)

    def _dialogue(self, value: dict[str, Any], place: Place) -> None:
        if not value["request"]["url"].startswith(("ws://", "wss://")):
            told = "a websocket's address was expected, such as wss://api.openai.com/v1/responses"
            self._wrong((*place, "request", "url"), f"{told}, not {value['request']['url']!r}")
        place = (*place, "dialogue")
        value = value["dialogue"]
        self._names(value, place, ("layout", "messages", "closed"))
        self._laid_out(value, place)
        if value.get("closed", "server") != "server":
            self._wrong((*place, "closed"), f"'server' was expected, which has closed it, not {value['closed']!r}")
        messages = value.get("messages")
        if not isinstance(messages, list):
            self._wrong((*place, "messages"), f"a list of messages was expected, not {_kind(messages)}")
        for number, message in enumerate(messages):
            where = (*place, "messages", number)
            self._mapping(message, where, "from, and data or text")
            self._names(message, where, ("from", "after", "data", "text", "base64"))
            if message.get("from") not in (CLIENT, SERVER):
                self._expected(message, where, "from", f"{CLIENT!r} or {SERVER!r}")
            self._seconds(message, where)
            self._body(message, where, ("data", "text", "base64"))
            if not message.keys() & {"data", "text", "base64"}:
                self._wrong(where, "a message has data, text or base64")

    def _form(self, value: dict[str, Any], place: Place) -> None:
        if "form" not in value:
            return
        if not isinstance(value["form"], list):
            self._wrong((*place, "form"), f"a list of fields was expected, not {_kind(value['form'])}")
        for number, field in enumerate(value["form"]):
            where = (*place, "form", number)
            self._mapping(field, where, "name, and text, base64 or digest")
            self._names(field, where, ("name", "filename", "type", "text", "base64", "digest"))
            if not isinstance(field.get("name"), str):
                self._wrong(where, "a field has a name, which is a text")
            for name in ("filename", "type"):
                if not isinstance(field.get(name, ""), str):
                    self._wrong((*where, name), f"a text was expected, not {_kind(field[name])}; put it in quotes")
            self._body(field, where, ("text", "base64", "digest"))

    def _answer(self, value: dict[str, Any], place: Place) -> None:
        allowed = (
            "status",
            "after",
            "headers",
            "json",
            "text",
            "base64",
            "each",
            "events",
            "layout",
            "line_ends",
            "cut",
        )
        self._names(value, place, (*allowed, "cut"))
        status: Any = value.get("status")
        if status.__class__ is not int or not 100 <= status <= 599:
            self._expected(value, place, "status", "a number from 100 to 599")
        self._seconds(value, place)
        self._headers(value, place)
        self._body(value, place, ("json", "text", "base64", "events"))
        self._laid_out(value, place)
        if value.get("line_ends", "lf") not in ("lf", "crlf"):
            self._wrong((*place, "line_ends"), f"'lf' or 'crlf' was expected, not {value['line_ends']!r}")
        if not isinstance(value.get("cut", ""), str):
            self._wrong((*place, "cut"), "a text was expected, which says why the stream ends here")
        if not isinstance(value.get("each", {}), dict):
            self._wrong(
                (*place, "each"), f"a mapping was expected, of what is in each event, not {_kind(value['each'])}"
            )
        self._is_json(value, place, "each")
        if "events" in value:
            self._events(value["events"], (*place, "events"))

    def _events(self, events: Any, place: Place) -> None:
        if not isinstance(events, list):
            self._wrong(place, f"a list of events was expected, not {_kind(events)}")
        for number, event in enumerate(events):
            where = (*place, number)
            self._mapping(event, where, "data, or text")
            self._names(event, where, ("after", "event", "data", "text", "raw", "base64"))
            self._seconds(event, where)
            if not isinstance(event.get("event", ""), str):
                self._wrong((*where, "event"), f"the name of an event is a text, not {_kind(event['event'])}")
            self._body(event, where, ("data", "text", "raw", "base64"))

    # Parts

    def _laid_out(self, value: dict[str, Any], place: Place) -> None:
        if value.get("layout", "compact") not in LAYOUTS:
            told = f"one of {', '.join(LAYOUTS)} was expected, not {value['layout']!r}"
            self._wrong((*place, "layout"), told)

    def _expected(self, value: dict[str, Any], place: Place, name: str, what: str) -> NoReturn:
        if name in value:
            self._wrong((*place, name), f"{what} was expected, not {value[name]!r}")
        self._wrong(place, f"the {name} is missing: {what}")

    def _mapping(self, value: Any, place: Place, what: str) -> None:
        if not isinstance(value, dict):
            self._wrong(place, f"a mapping was expected ({what}), not {_kind(value)}")

    def _names(self, value: dict[Any, Any], place: Place, allowed: Sequence[str]) -> None:
        for name in value:
            if name not in allowed:
                self._wrong((*place, name), f"there is no {name!r} here; there are {', '.join(allowed)}")

    def _seconds(self, value: dict[str, Any], place: Place) -> None:
        after = value.get("after", 0)
        if isinstance(after, bool) or not isinstance(after, (int, float)) or not 0 <= after < 1e9:
            self._wrong((*place, "after"), f"a number of seconds was expected, not {after!r}")

    def _headers(self, value: dict[str, Any], place: Place) -> None:
        headers = value.get("headers", {})
        if not isinstance(headers, dict):
            self._wrong((*place, "headers"), f"a mapping of names to texts was expected, not {_kind(headers)}")
        for name, each in headers.items():
            texts = each if isinstance(each, list) else [each]
            if not isinstance(name, str) or not all(isinstance(text, str) for text in texts):
                told = f"a header is a text, or a list of texts, not {_kind(each)}; put it in quotes"
                self._wrong((*place, "headers", name), told)

    def _body(self, value: dict[str, Any], place: Place, kinds: Sequence[str]) -> None:
        given = [name for name in kinds if name in value]
        if len(given) > 1:
            self._wrong((*place, given[1]), f"there is one body: {given[0]} or {given[1]}, not both")
        for name in given:
            if name in ("text", "raw", "base64", "digest") and not isinstance(value[name], str):
                self._wrong((*place, name), f"a text was expected, not {_kind(value[name])}; put it in quotes")
        for name in ("json", "data"):
            self._is_json(value, place, name)
        if "base64" in given:
            try:
                base64.b64decode("".join(value["base64"].split()), validate=True)
            except (binascii.Error, ValueError):
                self._wrong((*place, "base64"), "this is not base64")

    def _is_json(self, value: dict[str, Any], place: Place, name: str) -> None:
        try:
            orjson.dumps(value.get(name))
        except TypeError as error:
            self._wrong((*place, name), f"this cannot be JSON: {error}; put what is a name in quotes")


_MOST: Final = 100_000
"""Values that aliases may come to. Without them a file has fewer values than letters."""


def _size(value: Any, known: dict[int, int]) -> int:
    """How many values are in a value, those behind aliases counted again and again."""
    if not isinstance(value, (dict, list)):
        return 1
    size = known.get(id(value))
    if size is None:
        known[id(value)] = 1  # where it contains itself
        size = known[id(value)] = 1 + sum(
            _size(each, known) for each in (value.values() if isinstance(value, dict) else value)
        )
    return size


def is_address(url: Any) -> bool:
    """Whether something is the address of a request."""
    try:
        return isinstance(url, str) and "://" in url and urlsplit(url).hostname is not None
    except ValueError:
        return False


def _kind(value: Any) -> str:
    if value is None:
        return "nothing"
    names = {
        dict: "a mapping",
        list: "a list",
        str: "a text",
        bool: "true or false",
        int: "a number",
        float: "a number",
    }
    return names.get(type(value), f"a {type(value).__name__}")


# Writing


Mark = tuple[int, int]
"""What a file is known by: when it was changed, and its size."""


def save(
    path: str | os.PathLike[str],
    recordings: Sequence[Recording],
    scrub: Sequence[str] = (),
    *,
    append: bool,
    known: Mark | None = None,
) -> Mark:
    """Write recordings to a file, in the place of what is there or after it. Directories are made.

    Others may read and write the same file meanwhile: it is replaced as a whole, and of two that add to it, in whatever
    processes, one waits for the other. `known` is what an earlier call gave: a file that is still that is not looked
    into again. Raises `OSError`, and `CassetteError` where there is something else to add to.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    with _alone(target.parent):
        if append and target.exists():
            text = _added(target, recordings, scrub, trusted=known is not None and known == _mark(target))
        else:
            text = document(recordings, scrub)
        _replace(target, text)
        return _mark(target)


def _mark(target: Path) -> Mark:
    told = target.stat()
    return told.st_mtime_ns, told.st_size


def _added(target: Path, recordings: Sequence[Recording], scrub: Sequence[str], *, trusted: bool) -> str:
    """What is there and the recordings after it: as it stands, comments too, where that makes a whole."""
    text = _text(target)
    joined = text + ("" if text.endswith("\n") else "\n") + _listed(recordings)
    if trusted:
        return joined
    there = load(target)
    patterns = (*there.scrub, *(each for each in scrub if each not in there.scrub))
    yaml = _yaml()
    with suppress(yaml.YAMLError):
        value = yaml.load(joined, Loader=_reader())  # a safe loader, of ours
        if len(value["exchanges"]) == len(there.recordings) + len(recordings) and patterns == there.scrub:
            return joined
    return document([*there.recordings, *recordings], patterns)


def _replace(target: Path, text: str) -> None:
    from secrets import token_hex

    beside = target.with_name(f".{target.name[:40]}.{token_hex(6)}.tmp")
    try:
        with open(beside, "x", encoding="utf-8", newline="\n") as file:
            file.write(text)
        if target.exists():
            os.chmod(beside, target.stat().st_mode & 0o777)
        os.replace(beside, target)
    except BaseException:
        with suppress(OSError):
            os.unlink(beside)
        raise


@contextmanager
def _alone(directory: Path) -> Generator[None]:
    """With nobody else writing in a directory, where the system can lock one; elsewhere the last who writes wins."""
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        with suppress(OSError):  # file systems of networks may have no locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
