"""The items of a session's conversation: in order, and with the sound that events leave out."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from ....kernel.errors import BadRequestError
from ...sounds import Sound
from .audio import written

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ("Conversation", "inputs")

JSON: TypeAlias = dict[str, Any]


class Conversation:
    """What was said, and who said it."""

    def __init__(self, key: str) -> None:
        self.key = key
        self._items: list[JSON] = []
        self.sounds: dict[str, dict[int, Sound]] = {}
        """The sound of items, by their parts."""
        self.words: dict[str, dict[int, str]] = {}
        """What the sound says, as far as it is known; events tell it only where the session is set to."""

    def __iter__(self) -> Iterator[JSON]:
        return iter(list(self._items))

    @property
    def last(self) -> str | None:
        """The id of the last item."""
        return self._items[-1]["id"] if self._items else None

    def find(self, key: Any, what: str, code: str) -> JSON:
        """An item by its id. Raises `BadRequestError` where there is none."""
        for item in self._items:
            if item["id"] == key:
                return item
        raise BadRequestError.because(
            f"Error {what} item: the item with id '{key}' does not exist.", param="item_id", code=code
        )

    def add(self, item: JSON, after: str | None = None) -> str | None:
        """Put an item at the end, behind another, or first (`root`). Gives the id of the one before it.

        Raises `BadRequestError` where the other does not exist, or the item is there already.
        """
        if any(each["id"] == item["id"] for each in self._items):
            raise BadRequestError.because(
                f"Error adding item: an item with id '{item['id']}' already exists.",
                param="item.id",
                code="item_create_duplicate_id",
            )
        if after is None:
            place = len(self._items)
        elif after == "root":
            place = 0
        else:
            places = [at for at, each in enumerate(self._items) if each["id"] == after]
            if not places:
                raise BadRequestError.because(
                    f"Error inserting item: previous item with id '{after}' not found.",
                    param="previous_item_id",
                    code="item_create_invalid_previous_item_id",
                )
            place = places[0] + 1
        self._items.insert(place, item)
        return self._items[place - 1]["id"] if place else None

    def before(self, key: str) -> str | None:
        """The id of the item before another."""
        previous = None
        for item in self._items:
            if item["id"] == key:
                return previous
            previous = item["id"]
        return None

    def remove(self, key: str) -> None:
        """Forget an item."""
        self._items[:] = [item for item in self._items if item["id"] != key]
        self.sounds.pop(key, None)
        self.words.pop(key, None)

    def full(self, item: JSON, form: Mapping[str, Any] | None) -> JSON:
        """An item with its sound, in a format."""
        sounds = self.sounds.get(item["id"])
        if not sounds:
            return item
        content = [dict(part) for part in item["content"]]
        for place, sound in sounds.items():
            content[place]["audio"] = base64.b64encode(written(sound, form)).decode()
        return {**item, "content": content}

    def truncate(self, item: JSON, place: int, end_ms: int) -> None:
        """Forget what an item says behind a moment, and its transcript. Raises `BadRequestError`."""
        if item.get("role") != "assistant":
            raise BadRequestError.because(
                "Only model output audio messages can be truncated.", param="item_id", code="invalid_value"
            )
        sound = self.sounds.get(item["id"], {}).get(place)
        if sound is None:
            raise BadRequestError.because(
                f"Item '{item['id']}' has no audio at content index {place}.",
                param="content_index",
                code="invalid_value",
            )
        length = sound.seconds * 1000
        if end_ms < 0 or end_ms > length:
            raise BadRequestError.because(
                f"Audio content of {length:.0f}ms is already shorter than {end_ms}ms.",
                param="audio_end_ms",
                code="invalid_value",
            )
        self.sounds[item["id"]][place] = Sound(sound.samples[: end_ms * sound.rate // 1000], sound.rate)
        item["content"][place]["transcript"] = ""
        # The model goes on from about what was heard of it.
        words = self.words.get(item["id"], {}).get(place, "").split(" ")
        self.words.setdefault(item["id"], {})[place] = " ".join(words[: round(len(words) * end_ms / (length or 1))])


def inputs(items: Iterable[JSON], words: Callable[[JSON, int], str]) -> list[JSON]:
    """Items as the input of a Response. Calls that nobody has answered are left out, and answers to none."""
    items = list(items)
    called = {item.get("call_id") for item in items if item["type"] == "function_call"}
    answered = {item["call_id"] for item in items if item["type"] == "function_call_output"}
    whole = called & answered
    made: list[JSON] = []
    for item in items:
        if item["type"] == "message":
            made.append(_message(item, words))
        elif item["type"] not in ("function_call", "function_call_output") or item["call_id"] in whole:
            made.append({name: value for name, value in item.items() if name not in _OURS and value is not None})
    return made


_OURS = ("object", "status", "id")


def _message(item: JSON, words: Callable[[JSON, int], str]) -> JSON:
    if item["role"] == "assistant":
        said = (
            words(item, place) if part.get("type") in ("output_audio", "audio") else part.get("text") or ""
            for place, part in enumerate(item["content"])
        )
        return {"type": "message", "role": "assistant", "content": "".join(said)}
    content = [
        {"type": "input_text", "text": words(item, place)} if part.get("type") == "input_audio" else _part(part)
        for place, part in enumerate(item["content"])
    ]
    return {"type": "message", "role": item["role"], "content": content}


def _part(part: Mapping[str, Any]) -> JSON:
    if part.get("type") == "input_image":
        return {"type": "input_image", "image_url": part.get("image_url"), "detail": part.get("detail") or "auto"}
    return {"type": "input_text", "text": part.get("text") or ""}
