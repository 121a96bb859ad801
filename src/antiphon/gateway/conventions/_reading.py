"""What readers of answers share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson

from ...server.turns import Finish, Text, Usage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ...server.turns import FinishReason, Piece
    from ..oip.messages import InferResponse

__all__ = ("TextReader", "finish_of", "json_object", "logprobs_of")

FINISHES: Final[Mapping[str, FinishReason]] = {
    "stop": "stop",
    "eos": "stop",
    "eos_token": "stop",
    "stop_sequence": "stop",
    "end_id": "stop",
    "stop_words": "stop",
    "length": "length",
    "max_tokens": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
}
"""Why models end, as servers say it and as the API does."""


def finish_of(said: str) -> FinishReason | None:
    """A reason to end in the words of the API; `None` for one that is none yet, such as the text `None`."""
    return FINISHES.get(said.lower())


def json_object(text: str) -> dict[str, Any] | None:
    """The object that a text is; `None` where it is none."""
    try:
        value: Any = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None


class TextReader:
    """Reads answers that have one text for each choice, and tensors that tell of it."""

    text: str = "text_output"
    finish: str = "finish_reason"
    read: Sequence[str] = ("num_input_tokens",)
    said: Sequence[str] = ("num_output_tokens",)
    logprobs: str = "logprobs"
    counts_rise: bool = False
    """Whether parts may tell of all tokens so far, and not of their own."""
    silent: bool = True
    _so_far: str = ""
    _input: int | None = None
    _output: int | None = None
    _total: int = 0
    _last: int = 0
    _rising: bool = False
    _finish: FinishReason | None = None

    def __init__(
        self,
        place: int = 0,
        *,
        prompt: str | None = None,
        limit: int | None = None,
        cumulative: bool | None = False,
        candidates: int = 0,
    ) -> None:
        self.place = place
        self.limit = limit
        """Most tokens of the answer, for servers that do not say why they end."""
        self._prompt = prompt
        """The prompt, where the server may repeat it before the answer."""
        self._cumulative = cumulative
        """Whether each part is the whole text so far; `None`: that is to be found out."""
        self._candidates = candidates
        """How many candidates are told for each token."""

    def feed(self, response: InferResponse) -> Sequence[Piece]:
        """What an answer adds."""
        told: Sequence[Piece] = ()
        said = response.text(self.text, self.place)
        if said is not None:
            self.silent = False
            text = said if self._cumulative is False and self._prompt is None else self._new(said)
            if text:
                told = (self._told(text, response),)
        elif self.place == 0 and response.output(self.text) is None:
            self._missing(response)
        self._note(response)
        return told

    def _missing(self, response: InferResponse) -> None:
        if response.outputs and not any(response.output(name) for name in (self.finish, *self.read, *self.said)):
            there = ", ".join(each.name for each in response.outputs)
            raise ValueError(f"there is no output {self.text!r} in it, but {there}")

    def _new(self, text: str) -> str:
        prompt = self._prompt
        if prompt is not None:
            self._prompt = None
            text = text.removeprefix(prompt)
        if self._cumulative is False:
            return text
        before = self._so_far
        longer = len(text) > len(before) and text.startswith(before)
        if before and self._cumulative is None and not longer:
            self._cumulative = False
            return text
        self._so_far = text
        if self._cumulative:
            return text.removeprefix(before)
        return text[len(before) :] if longer else ""

    def _told(self, text: str, response: InferResponse) -> Piece:
        tensor = response.output(self.logprobs)
        if tensor is not None and tensor.datatype == "BYTES":
            said = tensor.text(self.place)
            known = None if said is None else logprobs_of(said, text, self._candidates)
            if known is not None:
                return Text(text, known)
        return text

    def _note(self, response: InferResponse) -> None:
        reason = response.text(self.finish, self.place)
        if reason is not None:
            self._finish = finish_of(reason) or self._finish
        for name in self.read:
            read = response.number(name)
            if read is not None:
                self._input = read
        for name in self.said:
            said = response.number(name, self.place)
            if said is not None:
                # Parts tell of their own tokens, or of all so far: then each says more than the one before it.
                self._rising = self._output is None or (self._rising and said > self._last)
                self._total += said
                self._last = said
                self._output = said if self._rising and self.counts_rise else self._total

    def end(self) -> Sequence[Piece]:
        """What it used, and why it ended."""
        finish = self._finish
        if finish is None and self.limit is not None and self._output is not None and self._output >= self.limit:
            finish = "length"
        ended = Finish(finish or "stop")
        if self._output is None and self._input is None:
            return (ended,)
        # What was read is told once, by the first choice.
        return Usage(self._input if self.place == 0 else None, self._output), ended


def logprobs_of(told: str, text: str, count: int) -> list[dict[str, Any]] | None:
    """Log probabilities as vLLM's backend tells them, with `count` candidates each, in the form of the API.

    It tells a list of `{token id: {"logprob", "rank", "decoded_token"}}`. `None` where the text is something else.
    """
    try:
        tokens: Any = orjson.loads(told)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(tokens, list):
        return None
    items: list[dict[str, Any]] = []
    rest = text
    for candidates in tokens:
        if not isinstance(candidates, dict) or not candidates:
            continue
        told_of = [_candidate(each) for each in candidates.values()]
        # The one that was taken comes first, or else the text tells which.
        taken = next((each for each in told_of if each["token"] and rest.startswith(each["token"])), told_of[0])
        rest = rest.removeprefix(taken["token"])
        ranked = sorted(told_of, key=lambda each: -each["logprob"])
        items.append({**taken, "top_logprobs": ranked[:count]})
    return items


def _candidate(told: Mapping[str, Any]) -> dict[str, Any]:
    token = told.get("decoded_token") or ""
    return {"token": token, "logprob": float(told.get("logprob") or 0.0), "bytes": list(token.encode())}
