"""How two cassettes differ: which requests are in one only, and which answers are others now."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from .comparing import differences
from .matching import Likeness, Matcher
from .recording import Recording

__all__ = ("told_apart",)

_MOST: Final = 12


def told_apart(one: Sequence[Recording], other: Sequence[Recording]) -> list[str]:
    """What is different, in lines; nothing where they are the same but for ids, times and how long it took."""
    matcher = Matcher(Likeness())
    for each in other:
        matcher.add(each)
        each.played = 0
    lines: list[str] = []
    left: list[Recording] = []
    for number, recording in enumerate(one, 1):
        recording.number = number
        choice = matcher.choose(matcher.recorded(recording), again=False)
        if choice is None:
            left.append(recording)
        else:
            lines += _answers(recording, choice.recording, matcher)
    for recording in left:
        there = next((each for each in other if not each.played and _place(each) == _place(recording)), None)
        if there is None:
            lines.append(f"- {_called(recording)}: only in the first")
            continue
        there.played += 1
        then, now = (matcher.recorded(each).read["body"] for each in (recording, there))
        lines.append(f"! {_called(recording)}: the request is another")
        lines += _shortened(differences(then, now, ("first", "second")))
        lines += _answers(recording, there, matcher)
    lines += [f"+ {_called(each)}: only in the second" for each in other if not each.played]
    return lines


def _place(recording: Recording) -> tuple[str, str]:
    return recording.method, recording.path


def _called(recording: Recording) -> str:
    return f"{recording.number} {recording.method} {recording.path}"


def _answers(one: Recording, other: Recording, matcher: Matcher) -> list[str]:
    then, now = (_told(each, matcher) for each in (one, other))
    found = differences(then, now, ("first", "second"))
    what = "what is said" if one.is_dialogue or other.is_dialogue else "the answer"
    return [f"! {_called(one)}: {what} is another", *_shortened(found)] if found else []


def _shortened(found: list[str]) -> list[str]:
    more = [f"and {len(found) - _MOST} more"] if len(found) > _MOST else []
    return [f"    {line}" for line in (*found[:_MOST], *more)]


def _told(recording: Recording, matcher: Matcher) -> Any:
    """An answer, or a dialogue, without what is another each time."""
    if recording.is_dialogue:
        told: dict[str, Any] = {
            "messages": [{key: value for key, value in each.items() if key != "after"} for each in recording.messages],
            "closed": recording.closed,
        }
        return matcher.read(told, recording.recorded)
    answer = recording.answer
    told = {name: answer[name] for name in ("status", "json", "text", "base64", "each", "cut") if name in answer}
    if "events" in answer:
        told["events"] = [{key: value for key, value in each.items() if key != "after"} for each in answer["events"]]
    content = recording.headers.get("content-type")
    if content is not None:
        told["content-type"] = content
    return matcher.read(told, recording.recorded)
