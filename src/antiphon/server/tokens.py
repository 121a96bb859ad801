"""Tokens as OpenAI's models count them, from the real vocabularies (o200k and cl100k), without any download.

The vocabularies come inside the wheel of `toktok-rs`; each takes a quarter of a second of CPU and 68 MB to load. Until
one is loaded, common texts are told by a table of our own (`merging`), with the same result. So the vocabulary is
loaded only for a text in another script or a long one, or in the background once so much was told that it pays, or when
`preload` asks for it. Text that looks like a special token, such as `<|endoftext|>`, is counted as the ordinary text it
is, as the API does with what callers send.
"""

from __future__ import annotations

import os
import threading
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

if TYPE_CHECKING:
    from .merging import Table

__all__ = (
    "SETTLED",
    "Piece",
    "count",
    "counter",
    "decode",
    "encode",
    "encoding_name",
    "message_tokens",
    "pieces",
    "preload",
    "prepare",
    "published",
    "starts",
)

_CL100K = ("gpt-4-", "gpt-3.5", "gpt-35", "text-embedding-", "davinci-002", "babbage-002")
"""Beginnings of the names of models that use the older vocabulary; every other model uses o200k."""

SETTLED: Final = 2.0
"""Seconds after which a server that was started has answered its first requests, or has none yet."""

_LONG = 2048
"""Counts of texts longer than this (in characters) are not remembered, so that the cache stays small."""

_LONG_FOR_TABLE: Final = 1 << 15
"""Texts longer than this (in characters) are not told by a table, which takes a few milliseconds for so much: who sends
one will send more."""
_PAYS: Final = 1 << 19
"""After so many characters (a tenth of a second of CPU, for most) told by a table the vocabulary is loaded."""


class Piece(NamedTuple):
    """One token of a text.

    The `text`s of all tokens join to the text and their `bytes` to its UTF-8. A character that is split over
    several tokens stands in the `text` of the one that completes it.
    """

    id: int
    text: str
    bytes: bytes


class _Teller(Protocol):
    """What tells the tokens of a text: a vocabulary, or the table of one."""

    def count(self, text: str) -> int: ...
    def encode_ordinary(self, text: str) -> list[int]: ...
    def encode_with_offsets(self, text: str, unit: str = ...) -> tuple[list[int], list[tuple[int, int]]]: ...


class _Vocabulary(_Teller, Protocol):
    """The part of toktok's tokenizer that is used here."""

    @property
    def max_token_value(self) -> int: ...
    def decode(self, ids: list[int]) -> str: ...
    def decode_single_token_bytes(self, id: int) -> bytes: ...


_loaded: dict[str, _Vocabulary] = {}
_tables: dict[str, Table] = {}
"""What tells texts until the vocabulary is loaded."""
_loading = threading.Lock()

if hasattr(os, "register_at_fork"):
    # No process is forked while a thread loads: in the new one nobody would ever finish it.
    os.register_at_fork(before=_loading.acquire, after_in_parent=_loading.release, after_in_child=_loading.release)


def _vocabulary(name: str) -> _Vocabulary:
    found = _loaded.get(name)
    if found is None:
        with _loading:
            found = _loaded.get(name)
            if found is None:
                # The way to the whole tokenizer that toktok's README names; its public functions only count.
                found = _loaded[name] = import_module("toktok")._encoding(name)
                _tables.pop(name, None)
    return found


def _table(name: str) -> Table:
    found = _tables.get(name)
    if found is None:
        from .merging import table

        found = _tables[name] = table(name)
    return found


def _teller(name: str, text: str) -> _Teller:
    """What tells this text: the vocabulary where it is there or has to be, the table else."""
    if name in _loaded or len(text) > _LONG_FOR_TABLE:
        return _vocabulary(name)
    from .merging import tells

    if not tells(text):
        return _vocabulary(name)
    table = _table(name)
    if table.read > _PAYS:
        table.read = 0  # a thread that a fork has lost is started again after as much
        _load_in_background(name)
    return table


def _load_in_background(name: str, after: float = 0.0) -> None:
    thread = threading.Timer(after, _vocabulary, (name,))
    thread.name, thread.daemon = "antiphon-tokens", True
    thread.start()


@lru_cache(1024)
def encoding_name(model: str) -> str:
    """Name of the vocabulary a model uses: `o200k_base` or `cl100k_base`. Fine-tuned models are like their base."""
    base = model.removeprefix("ft:")
    return "cl100k_base" if base.startswith(_CL100K) or base.partition(":")[0] == "gpt-4" else "o200k_base"


def prepare(model: str = "") -> None:
    """Make the first count for a model quick, in a millisecond or two, without its vocabulary."""
    name = encoding_name(model)
    if name not in _loaded:
        _table(name)


def preload(model: str = "", after: float = 0.0) -> None:
    """Load the vocabulary of a model on a thread of its own, `after` so many seconds.

    For servers, whose first request in another script, or a long one, need not wait for it then.
    """
    if encoding_name(model) not in _loaded:
        _load_in_background(encoding_name(model), after)


_MERGED = {"cl100k_base": 100_256, "o200k_base": 199_998}
"""How many tokens of a vocabulary came of merging; those above are special ones."""


def published(name: str) -> bytes | None:
    """A vocabulary as OpenAI publishes it, for tiktoken; `None` for one that is not here.

    A line a token: its bytes in base64, a space, its number.
    """
    count = _MERGED.get(name)
    if count is None:
        return None
    bytes_of = _vocabulary(name).decode_single_token_bytes
    return b"".join(b"%s %d\n" % (b64encode(bytes_of(number)), number) for number in range(count))


@lru_cache(2)
def _counter(encoding: str) -> Callable[[str], int]:
    exact: Callable[[str], int]

    def early(text: str) -> int:
        nonlocal exact
        count = _teller(encoding, text).count
        if encoding in _loaded:
            exact = _loaded[encoding].count
        return count(text)

    exact = early

    def count_of(text: str) -> int:
        try:
            return exact(text)
        except UnicodeEncodeError:
            return exact(_valid(text))

    remembered = lru_cache(4096)(count_of)
    return lambda text: remembered(text) if len(text) <= _LONG else count_of(text)


def _valid(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


@lru_cache(1024)
def counter(model: str = "") -> Callable[[str], int]:
    """The function that counts tokens for a model: for callers that count much."""
    return _counter(encoding_name(model))


def count(text: str, model: str = "") -> int:
    """How many tokens a text has."""
    return counter(model)(text)


def encode(text: str, model: str = "") -> list[int]:
    """The ids of a text's tokens."""
    name = encoding_name(model)
    teller = _loaded.get(name) or _teller(name, text)
    try:
        return teller.encode_ordinary(text)
    except UnicodeEncodeError:
        return teller.encode_ordinary(_valid(text))


def decode(tokens: Sequence[int], model: str = "") -> str:
    """The text of tokens; bytes that are not UTF-8 become U+FFFD. Raises `ValueError` for an id no token has."""
    if not tokens:
        return ""
    vocabulary = _vocabulary(encoding_name(model))
    if min(tokens) < 0 or max(tokens) > vocabulary.max_token_value:
        wrong = next(token for token in tokens if not 0 <= token <= vocabulary.max_token_value)
        raise ValueError(f"{wrong} is not a token of {encoding_name(model)}")
    return vocabulary.decode(list(tokens))


def pieces(text: str, model: str = "") -> list[Piece]:
    """A text token by token."""
    name = encoding_name(model)
    teller = _loaded.get(name) or _teller(name, text)
    try:
        ids, spans = teller.encode_with_offsets(text)
    except UnicodeEncodeError:
        text = _valid(text)
        ids, spans = teller.encode_with_offsets(text)
    raw = text.encode()
    if len(raw) == len(text):
        return [Piece(token, text[a:b], raw[a:b]) for token, (a, b) in zip(ids, spans, strict=True)]
    from codecs import getincrementaldecoder

    read = getincrementaldecoder("utf-8")().decode
    return [Piece(token, read(raw[a:b]), raw[a:b]) for token, (a, b) in zip(ids, spans, strict=True)]


def starts(text: str, model: str = "") -> list[int]:
    """Where each token of a text begins, in characters. Raises `UnicodeEncodeError` for lone surrogates."""
    name = encoding_name(model)
    teller = _loaded.get(name) or _teller(name, text)
    return [start for start, _ in teller.encode_with_offsets(text, "char")[1]]


def message_tokens(
    messages: Iterable[Mapping[str, Any]], model: str = "", tools: Iterable[Mapping[str, Any]] | None = None
) -> int:
    """How many tokens a conversation costs as a prompt.

    By the rule the OpenAI cookbook publishes: three a message and what its fields say, one more for a `name`,
    and three for the beginning of the answer. Calls of tools, and `tools`, are counted as their JSON, images by
    their detail, audio by its length.
    """
    count_of = counter(model)
    total = 3
    for message in messages:
        total += 3
        for key, value in message.items():
            if value.__class__ is str:
                total += count_of(value)
                if key == "name":
                    total += 1
            elif value is not None:
                total += _content(value, count_of) if key == "content" else _json(value, count_of)
    if tools is not None:
        for tool in tools:
            total += _json(tool, count_of)
    return total


def _content(value: Any, count_of: Callable[[str], int]) -> int:
    if not isinstance(value, (list, tuple)):
        return _json(value, count_of)
    return sum(count_of(part) if isinstance(part, str) else _part(part, count_of) for part in value)


def _part(part: Any, count_of: Callable[[str], int]) -> int:
    if not isinstance(part, Mapping):
        return _json(part, count_of)
    text = part.get("text") or part.get("refusal")
    if isinstance(text, str):
        return count_of(text)
    known = _PARTS.get(part.get("type", ""))
    return _json(part, count_of) if known is None else known(part)


def _image(part: Mapping[str, Any]) -> int:
    image: Any = part.get("image_url")
    detail = image.get("detail") if isinstance(image, Mapping) else part.get("detail")
    return 85 if detail == "low" else 765  # 85, and 170 for each of four tiles where the detail is high


def _audio(part: Mapping[str, Any]) -> int:
    data: Any = (part.get("input_audio") or {}).get("data") or ""
    return len(data) // 6400 + 1  # ten tokens a second of 24 kHz, 16 bit, in base64


def _file(part: Mapping[str, Any]) -> int:
    file: Any = part.get("file") or part
    return len(file.get("file_data") or "") // 5 + 1


_PARTS: dict[str, Callable[[Mapping[str, Any]], int]] = {
    "image_url": _image,
    "input_image": _image,
    "input_audio": _audio,
    "file": _file,
    "input_file": _file,
}
"""Tokens of the parts of a message that are not text."""


def _json(value: Any, count_of: Callable[[str], int]) -> int:
    import orjson

    return count_of(orjson.dumps(value, default=str).decode())
