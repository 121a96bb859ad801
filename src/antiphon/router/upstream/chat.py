"""Chat completions, whole and in chunks, as events. Whatever hosts do to them is borne with."""

from __future__ import annotations

from typing import Any, Final

from ...client.chat import pieces
from ...client.chat.reading import _pieces
from ...client.chat.reading import _said as said
from ...lib.streaming._sound import CallNumbers, sound_choices
from ..errors import told
from ..events import Citation, Error, Event, Finish, Reasoning, Refusal, Start, Text, ToolArguments, ToolCall, Usage
from .reader import Reader

__all__ = ("ChatReader", "usage_of")

_NUMBER: Final = (int, float)
_WORDS: Final[dict[type, Any]] = {pieces.Text: Text, pieces.Reasoning: Reasoning, pieces.Refusal: Refusal}


class ChatReader(Reader):
    """Reads one answer. Only the first choice is told; the others travel where chunks pass through as they are."""

    __slots__ = ("_calls", "_chose", "_finish", "_ids", "_started", "_usage", "base")
    dialect = "chat"

    def __init__(self) -> None:
        super().__init__()
        self.base = 0
        """How many calls went before: calls that have no id of the host's are numbered on."""
        self._started = False
        self._chose = False
        self._finish: str | None = None
        self._usage: Any = None
        self._calls: dict[int, CallNumbers] = {}
        self._ids: dict[int, str] = {}

    def feed(self, value: dict[str, Any], out: list[Event]) -> None:
        """The events of one chunk."""
        if not self._started:
            self._begin(value, out)
        choices: Any = value.get("choices")
        if choices.__class__ is list and len(choices) == 1:
            choice = choices[0]
            # What nearly every chunk is: a word, and nothing beside it.
            try:
                delta = choice["delta"]
                content = delta["content"]
                if (
                    len(delta) == 1
                    and content.__class__ is str
                    and not choice["index"]
                    and choice.get("finish_reason") is None
                ):
                    out.append(Text(content))
                    self._chose = True
                    if "usage" in value:
                        self._spent(value)
                    return
            except (KeyError, TypeError):
                pass
        if value.get("error"):
            self.failed = told(value["error"], self.secrets, self.request_id)
            return
        self._spent(value)
        for index, sound in sound_choices(value, self._calls):
            if index == 0:
                self._choice(value, sound, out)

    def _begin(self, value: dict[str, Any], out: list[Event]) -> None:
        self._started = True
        identity, model, created = value.get("id"), value.get("model"), value.get("created")
        out.append(
            Start(
                identity if isinstance(identity, str) else "",
                model if isinstance(model, str) else "",
                int(created) if isinstance(created, _NUMBER) else 0,
            )
        )

    def _spent(self, value: dict[str, Any]) -> None:
        usage = value.get("usage")
        if usage.__class__ is dict:
            self._usage = usage

    def _choice(self, value: dict[str, Any], sound: dict[str, Any], out: list[Event]) -> None:
        self._chose = True
        self._finish = sound.get("finish_reason") or self._finish
        # Parts of parts lose their kind where a choice is made sound: words are read from what the host sent.
        choices = value["choices"]
        given = next((each for each in choices if isinstance(each, dict) and not each.get("index")), None)
        delta = said(given) if given is not None else {}
        if delta.get("content") == "":
            out.append(Text(""))
        out.extend(_WORDS[type(piece)](piece.text) for piece in _pieces(delta))
        for annotation in delta.get("annotations") or ():
            cited = annotation.get("url_citation") if isinstance(annotation, dict) else None
            if isinstance(cited, dict) and isinstance(cited.get("url"), str):
                out.append(
                    Citation(
                        cited["url"],
                        str(cited.get("title") or ""),
                        _whole(cited, "start_index"),
                        _whole(cited, "end_index"),
                    )
                )
        entries: Any = sound["delta"].get("tool_calls") or ()
        legacy = sound["delta"].get("function_call")
        if legacy:
            entries = [*entries, {"index": 0, "function": legacy}]
        for entry in entries:
            self._call(entry, out)

    def _call(self, entry: dict[str, Any], out: list[Event]) -> None:
        number: int = entry["index"]
        custom = entry.get("custom")
        function: Any = custom if isinstance(custom, dict) else entry.get("function") or {}
        identity = self._ids.get(number)
        if identity is None:
            identity = self._ids[number] = str(entry.get("id") or f"call_{self.base + number}")
            out.append(ToolCall(identity, str(function.get("name") or ""), isinstance(custom, dict)))
        words = function.get("input" if isinstance(custom, dict) else "arguments")
        if words:
            out.append(ToolArguments(identity, words if isinstance(words, str) else str(words)))

    def end(self, out: list[Event]) -> None:
        """What is known only when all has come."""
        if self.failed is None and not self._chose:
            self.failed = Error(
                "The model's host sent no answer.", 502, code="empty_answer", request_id=self.request_id
            )
        elif self.failed is None and self.cut and self._finish is None:
            self.failed = self.broken()
        if self._usage is not None:
            out.append(usage_of(self._usage))
        if self.failed is not None:
            out.append(self.failed)
        else:
            out.append(Finish(self._finish or ("tool_calls" if self._ids else "stop")))  # type: ignore[arg-type]


def _whole(given: dict[str, Any], name: str) -> int:
    value = given.get(name)
    return int(value) if isinstance(value, _NUMBER) else 0


def usage_of(usage: dict[str, Any]) -> Usage:
    """Token counts in either API's words."""
    prompt: Any = usage.get("prompt_tokens_details") or usage.get("input_tokens_details")
    output: Any = usage.get("completion_tokens_details") or usage.get("output_tokens_details")
    return Usage(
        _count(usage, "prompt_tokens", "input_tokens"),
        _count(usage, "completion_tokens", "output_tokens"),
        _count(output, "reasoning_tokens"),
        _count(prompt, "cached_tokens"),
        _count(prompt, "cache_write_tokens"),
    )


def _count(given: Any, *names: str) -> int | None:
    if isinstance(given, dict):
        for name in names:
            value = given.get(name)
            if isinstance(value, _NUMBER) and value == value and abs(value) < 1e15:
                return int(value)
    return None
