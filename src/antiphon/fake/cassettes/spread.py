"""Secrets that a stream spells out over several events: none of these has one, all of them together do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from .scrubbing import SCRUBBED, Finding, Place, Scrubber

__all__ = ("gathered", "spread_secrets")

_PIECES: Final = frozenset(
    "content delta text arguments input refusal reasoning reasoning_content code transcript".split()
)
"""What fields are called that have a piece of a text."""

_OF: Final = ("type", "index", "item_id", "output_index", "content_index", "summary_index", "id")
"""What says of which text something is a piece."""


class _Piece(NamedTuple):
    event: int
    place: Place
    holder: Any
    """The object it is in, and under which name."""
    name: str

    @property
    def text(self) -> str:
        text: str = self.holder[self.name]
        return text


def gathered(scrubber: Scrubber, events: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """Events of a stream without the secrets that are spread over them. They are changed where there are any."""
    for pieces in _texts(events):
        for _ in range(20):  # what is left of one may, with what is beside it, look like another
            spans = scrubber.spans("".join(piece.text for piece in pieces))
            if not spans:
                break
            _cut(pieces, spans)
            for piece in pieces:
                piece.holder[piece.name] = scrubber.text(piece.text)
    return events


def _cut(pieces: Sequence[_Piece], spans: Sequence[tuple[int, int]]) -> None:
    """Put `SCRUBBED` where each span begins, and nothing where it goes on."""
    end = sum(len(piece.text) for piece in pieces)
    for piece in reversed(pieces):
        text, start = piece.text, end - len(piece.text)
        for begins, ends in reversed(spans):
            if begins < end and ends > start:
                mask = SCRUBBED if begins >= start else ""
                text = text[: max(0, begins - start)] + mask + text[min(len(piece.text), ends - start) :]
        piece.holder[piece.name] = text
        end = start


def spread_secrets(scrubber: Scrubber, events: Sequence[Mapping[str, Any]], place: Place) -> Iterator[Finding]:
    """The secrets that are in several events together, at the event in which each begins."""
    for pieces in _texts(events):
        whole = "".join(piece.text for piece in pieces)
        for begins, ends in scrubber.spans(whole):
            end = 0
            for piece in pieces:
                start, end = end, end + len(piece.text)
                if start <= begins < end:
                    if ends > end:  # otherwise it is found where it is
                        where = (*place, piece.event, *piece.place)
                        yield Finding(
                            where, "a secret that goes on in the events after", f"{whole[begins : begins + 6]}…"
                        )
                    break


def _texts(events: Sequence[Mapping[str, Any]]) -> Iterator[list[_Piece]]:
    """The texts that are told in pieces, each with those."""
    texts: dict[Any, list[_Piece]] = {}
    for number, event in enumerate(events):
        data = event.get("data")
        if isinstance(data, (dict, list)):
            for of, place, holder, name in _leaves(data, (), ("data",)):
                texts.setdefault((of, name), []).append(_Piece(number, place, holder, name))
    return (pieces for pieces in texts.values() if len(pieces) > 1)


def _leaves(value: Any, of: tuple[Any, ...], place: Place) -> Iterator[tuple[Any, Place, Any, str]]:
    if isinstance(value, list):
        for number, each in enumerate(value):
            yield from _leaves(each, of, (*place, number))
    elif isinstance(value, dict):
        whose = (*of, *((name, str(value[name])) for name in _OF if name in value))
        for name, each in value.items():
            if isinstance(each, str):
                if name in _PIECES and each:
                    yield whose, (*place, name), value, name
            else:
                yield from _leaves(each, (*whose, name), (*place, name))
