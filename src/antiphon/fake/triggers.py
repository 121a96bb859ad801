"""Trigger phrases: what somebody who cannot touch the server writes to have a certain answer.

    call tool get_weather {"city": "Oslo"}
    raise error 429 rate_limit_exceeded Not so fast
    fake: reply with It is freezing.
    fake: refuse
    fake: wait 2

A phrase is a line of the last user message that begins with `fake:`; the first two need no `fake:` where they are the
whole message. Several are done one after the other: calls of tools that follow each other are made at once, and what
comes after them is done when the tools have answered. Outside of conversations it is `raise error` that is known.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from ..engines.functions import Saying
from ..kernel.errors import BadRequestError
from ..kernel.flow import Pause
from ..server.engine import text_of
from ..server.turns import Refusal
from . import answers
from .answers import CONVERSATIONS
from .asked import Asked, Conditions, shown
from .rules import Rule

__all__ = ("Trigger", "find")

_LINE: Final = re.compile(
    r"^[ \t]*fake:[ \t]*(?P<verb>call tool|raise error|reply with|refuse|wait)\b[ \t]*(?P<rest>.*)$",
    re.IGNORECASE | re.MULTILINE,
)
_WHOLE: Final = (
    re.compile(r"\s*(?P<verb>call tool)\s+(?P<rest>[\w.-]{1,128}(?:\s*\{.*\})?)\s*", re.IGNORECASE | re.DOTALL),
    re.compile(r"\s*(?P<verb>raise error)\s+(?P<rest>\{.*\}|[45]\d\d\b.*)\s*", re.IGNORECASE | re.DOTALL),
)
"""What needs no `fake:` where it is all there is: nobody says that to a model."""
_CALL: Final = re.compile(r"(?P<name>[\w.-]{1,128})\s*(?P<arguments>\{.*\})?\s*", re.DOTALL)
_ERROR: Final = re.compile(
    r"(?P<status>\d{3})(?:\s+(?P<code>[a-z0-9]+(?:_[a-z0-9]+)*)\b)?\s*(?P<message>.*)", re.DOTALL
)


_LONGEST: Final = 86_400


class Trigger(Rule):
    """A phrase that answered."""

    def __init__(self, text: str) -> None:
        super().__init__(Conditions({}), 0, None, "a message")
        self._text = text

    def __str__(self) -> str:
        return f"trigger {shown(self._text)}"


def find(asked: Asked, family: str) -> tuple[Rule, Any] | None:
    """The phrase that answers, and how; `None` where there is none.

    Raises `BadRequestError` for a phrase that lacks something, and whatever error a phrase asks for.
    """
    text = _text(asked)
    if "fake:" not in text.lower() and not text.lstrip()[:10].lower().startswith(("call tool", "raise erro")):
        return None
    whole = [found for pattern in _WHOLE if (found := pattern.fullmatch(text)) is not None]
    said = whole or list(_LINE.finditer(text))
    if family != CONVERSATIONS:
        said = [each for each in said if each["verb"].lower() == "raise error"]
    steps: list[list[Any]] = [[]]
    for each in said:
        verb = each["verb"].lower()
        if verb != "call tool" and steps[-1] and isinstance(steps[-1][-1], dict):
            steps.append([])
        steps[-1].append(_VERBS[verb](each["rest"].strip(), each.group().strip()))
    stage = _stage(asked)
    if not said or stage >= len(steps):
        return None
    pieces = steps[stage]
    raised = next((each for each in pieces if isinstance(each, Raised)), None)
    trigger = Trigger("; ".join(each.group().strip() for each in said))
    if raised is not None:
        return trigger, raised
    if isinstance(pieces[-1], Pause):
        raise _wrong(said[-1].group().strip(), "it is for what comes after it: write another phrase on the next line")
    return trigger, Saying(_lines(pieces))


class Raised:
    """An engine that answers with an error."""

    def __init__(self, make: Callable[[], Exception]) -> None:
        self._make = make

    def __call__(self, request: Any) -> Any:
        raise self._make()


def _text(asked: Asked) -> str:
    """What the user says last, each part of it on lines of its own."""
    for message in reversed(() if asked.chat is None else asked.chat.messages):
        content: Any = message.get("content")
        if message.get("role") == "user" and isinstance(content, list):
            parts: list[Any] = content
            return "\n".join(text_of({"content": [part]}) for part in parts)
        if message.get("role") == "user":
            break
    return asked.text


def _stage(asked: Asked) -> int:
    """How often the model has spoken since the user did."""
    count = 0
    for message in reversed(() if asked.chat is None else asked.chat.messages):
        if message.get("role") == "user":
            break
        count += message.get("role") == "assistant"
    return count


def _lines(pieces: list[Any]) -> list[Any]:
    """Pieces, texts that follow each other on lines of their own."""
    told: list[Any] = []
    for each in pieces:
        after = any(type(before) is str for before in told)
        told.append(f"\n{each}" if type(each) is str and after else each)
    return told


def _wrong(phrase: str, right: str) -> BadRequestError:
    return BadRequestError.because(
        f"The trigger phrase {shown(phrase)} is not complete: {right}", code="invalid_trigger"
    )


def _object(text: str, phrase: str, right: str) -> Mapping[str, Any]:
    import orjson

    try:
        found = orjson.loads(text)
    except ValueError as error:
        raise _wrong(phrase, f"{right} ({error})") from None
    return found if isinstance(found, dict) else {}


def _call(rest: str, phrase: str) -> dict[str, Any]:
    right = 'write: call tool NAME {"argument": "value"}'
    found = _CALL.fullmatch(rest)
    if found is None:
        raise _wrong(phrase, right)
    arguments = found["arguments"] or "{}"
    _object(arguments, phrase, right)
    return {"name": found["name"], "arguments": arguments}


def _raise(rest: str, phrase: str) -> Raised:
    right = 'write: raise error STATUS CODE MESSAGE, or raise error {"status": 429, "retry_after": 2}'
    if rest.startswith("{"):
        given: dict[str, Any] = dict(_object(rest, phrase, right))
    else:
        found = _ERROR.fullmatch(rest)
        if found is None:
            raise _wrong(phrase, right)
        given = {"status": int(found["status"]), "code": found["code"], "message": found["message"] or None}
    try:
        return Raised(answers.error(**given))
    except (TypeError, ValueError) as error:
        raise _wrong(phrase, f"{right} ({error})") from None


def _reply(rest: str, phrase: str) -> str:
    if not rest:
        raise _wrong(phrase, "write: reply with TEXT")
    return rest


def _refuse(rest: str, phrase: str) -> Refusal:
    return Refusal(rest or answers.REFUSED)


def _wait(rest: str, phrase: str) -> Pause:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(?:s|seconds?)?", rest)
    if found is None:
        raise _wrong(phrase, "write: wait SECONDS")
    seconds = float(found[1])
    if seconds > _LONGEST:
        raise _wrong(phrase, f"write: wait SECONDS, at most {_LONGEST}")
    return Pause(seconds)


_VERBS: Final[dict[str, Callable[[str, str], Any]]] = {
    "call tool": _call,
    "raise error": _raise,
    "reply with": _reply,
    "refuse": _refuse,
    "wait": _wait,
}
