"""Histories that have grown too large for a request: how large they are, what may be left out, what is sent then.

The run keeps its whole history. A request is made from what fits, with a note of the calls that were left out.
"""

from __future__ import annotations

from json import JSONEncoder
from typing import Any

from .history import Pairs
from .ledger import LAST_REVISION
from .shapes import JSON, owned, text

__all__ = ("Budget", "measure")

_ENCODER = JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)
_LIMITS = {"max_input_bytes": 1, "max_input_images": 0, "keep_recent_screenshots": 1}
"""The limits of a budget, and the least each can be."""
_OUTPUTS = ("function_call_output", "computer_call_output")
_CALLS = ("function_call", "computer_call")


def measure(history: list[JSON]) -> tuple[int, int]:
    """The bytes of a history as JSON, and the images in it."""
    size = sum(len(piece.encode()) for piece in _ENCODER.iterencode(history))
    return size, sum(_images(item) for item in history)


def _images(item: JSON) -> int:
    kind = item.get("type", "message")
    if kind == "computer_call_output":
        return 1
    blocks = item.get({"message": "content", "function_call_output": "output"}.get(kind, ""))
    return sum(_is_image(block) for block in blocks) if type(blocks) is list else 0


def _is_image(block: Any) -> bool:
    return type(block) is dict and block.get("type") == "input_image"


class Budget:
    """The limits of one run's requests. Raises `ValueError` for limits that are none."""

    def __init__(self, settings: Any, browser_names: frozenset[str]) -> None:
        if type(settings) is not dict or settings.keys() - {*_LIMITS, "compact"}:
            raise ValueError(f"a context_budget is a dict of {', '.join((*_LIMITS, 'compact'))}")
        limits = {"keep_recent_screenshots": 1, **settings}
        for name, least in _LIMITS.items():
            limit = limits.get(name)
            if type(limit) is not int or not least <= limit <= LAST_REVISION:
                raise ValueError(f"the {name} of a context_budget is a whole number of at least {least}")
        if "compact" in settings and not callable(settings["compact"]):
            raise ValueError("the compact of a context_budget is a function")
        self.bytes: int = limits["max_input_bytes"]
        self.images: int = limits["max_input_images"]
        self.keep: int = limits["keep_recent_screenshots"]
        self.compact: Any = settings.get("compact")
        self.browser_names = browser_names

    def exceeded(self, history: list[JSON]) -> JSON | None:
        """What is to be told of a history that is too large; `None` for one that fits."""
        size, images = measure(history)
        if size <= self.bytes and images <= self.images:
            return None
        return {
            "history": owned(history),
            "eligible_call_ids": self._eligible(history),
            "input_bytes": size,
            "input_images": images,
        }

    def _eligible(self, history: list[JSON]) -> list[str]:
        """The calls that may be left out: not the last of a browser or a computer, not what was checked, and not
        what is still to be seen.
        """
        calls = {item["call_id"]: item for item in history if item.get("type") in _CALLS}
        kept: set[str] = set()
        pictures: list[str] = []
        latest: dict[str, str] = {}
        for item in history:
            kind, call_id = item.get("type"), item.get("call_id")
            if kind == "computer_call":
                latest["computer"] = item["call_id"]
            elif kind == "function_call" and item.get("name") in self.browser_names:
                latest["browser"] = item["call_id"]
            if item.get("pending_safety_checks") or item.get("acknowledged_safety_checks"):
                kept.add(item["call_id"])
            if kind == "computer_call_output" or (kind == "function_call_output" and self._shows(calls, item)):
                pictures.append(str(call_id))
        kept.update(pictures[-self.keep :], latest.values())
        return [call_id for call_id in calls if call_id not in kept]

    def _shows(self, calls: dict[str, JSON], output: JSON) -> bool:
        name = calls[output["call_id"]].get("name")
        return (
            name in ("browser_screenshot", "browser_zoom")
            and name in self.browser_names
            and isinstance(output.get("output"), list)
            and any(_is_image(block) for block in output["output"])
        )

    def shortened(self, history: list[JSON], eligible: list[str], decision: Any) -> list[JSON]:
        """The history without what a decision leaves out. Raises `ValueError` for a decision that is none."""
        if type(decision) is not dict or decision.keys() - {"drop_call_ids", "summary"}:
            raise ValueError("the decision of a context_budget is a dict of drop_call_ids and summary")
        dropped = decision.get("drop_call_ids")
        if (
            type(dropped) is not list
            or not all(text(call_id) and call_id in eligible for call_id in dropped)
            or len(set(dropped)) != len(dropped)
        ):
            raise ValueError("a context_budget can only drop calls that are eligible, each once")
        if "summary" in decision and not text(decision["summary"]):
            raise ValueError("the summary of a context_budget is text")
        gone = set(dropped)
        kept = [item for item in history if not (item.get("type") in (*_CALLS, *_OUTPUTS) and item["call_id"] in gone)]
        receipts = [
            {"call_id": item["call_id"], "kind": item["type"], **({"name": item["name"]} if "name" in item else {})}
            for item in history
            if item.get("type") in _CALLS and item["call_id"] in gone
        ]
        notes: list[str] = []
        if "summary" in decision:
            notes.append(f"What earlier tool calls gave, as the application sums it up: {decision['summary']}")
        if receipts:
            notes.append(
                f"Earlier tool calls that were completed and are left out here: {_ENCODER.encode(receipts)}. Their "
                "outputs are kept elsewhere; whether they had the effect that was wanted is not known from this."
            )
        return [*({"role": "user", "content": note} for note in notes), *kept]

    def check(self, shortened: list[JSON], tools: list[JSON], *, references: bool) -> bool:
        """Whether what is left fits. Raises `ValueError` where it cannot be sent."""
        Pairs(shortened, tools, references=references)
        size, images = measure(shortened)
        return size <= self.bytes and images <= self.images
