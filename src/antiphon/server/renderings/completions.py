"""Turns as legacy completions: one body, or chunks.

API reference: https://platform.openai.com/docs/api-reference/completions/object
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import orjson

from .. import tokens
from .chat import Answer, Choice
from .chunks import chunks
from .logprobs import token_logprobs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..turns import Citation, ToolCall

__all__ = ("StreamedText", "TextAnswer", "TextChoice")


class TextAnswer(Answer):
    """What all choices of one completion share."""

    __slots__ = ()
    prefix: ClassVar[str] = "cmpl-"

    @staticmethod
    def candidates(body: Mapping[str, Any]) -> int | None:
        """`logprobs` is here the number of candidates itself."""
        found: int | None = body.get("logprobs")
        return found

    def text_completion(self, choices: list[dict[str, Any]], usage: dict[str, int] | None) -> dict[str, Any]:
        """The body, or one chunk."""
        return {
            "id": self.id,
            "object": "text_completion",
            "created": self.created,
            "model": self.model,
            "choices": choices,
            "usage": usage,
            "system_fingerprint": self.fingerprint,
        }

    def text_usage(self, prompt: int, choices: Sequence[TextChoice]) -> dict[str, int]:
        """Tokens of the prompts, and of all that was generated."""
        told = choices[0].usage.input_tokens if choices else None
        prompt = prompt if told is None else told
        output = sum(choice.counts()[0] for choice in choices)
        return {"prompt_tokens": prompt, "completion_tokens": output, "total_tokens": prompt + output}


class TextChoice(Choice):
    """A sink that gathers one choice. There is only text here: a refusal is text as well, calls are passed over."""

    __slots__ = ("echo",)

    def __init__(self, answer: TextAnswer, index: int, echo: str = "") -> None:
        super().__init__(answer, index)
        self.echo = echo

    def on_refusal(self, text: str) -> None:
        self.on_text(text)

    def on_call(self, call: ToolCall) -> None:
        pass

    def on_arguments(self, text: str) -> None:
        pass

    def on_citation(self, citation: Citation) -> None:
        pass

    def end(self) -> None:
        """The turn has ended."""
        if self.finish is None:
            self.finish = "stop"

    def to_dict(self) -> dict[str, Any]:
        """The choice of an answer that is not streamed."""
        said = self._echoed() + self.logprobs if self.answer.logprobs is not None else None
        logprobs = None if said is None else _legacy(said, 0, self.answer.logprobs, first_unknown=self._first_unknown)
        return {"text": self.echo + self.text, "index": self.index, "logprobs": logprobs, "finish_reason": self.finish}

    @property
    def _first_unknown(self) -> bool:
        """Whether the first token has no probability. The types do not foresee it, so strict suites refuse it."""
        return bool(self.echo) and not self.answer.server.conjures

    def _echoed(self) -> list[dict[str, Any]]:
        return token_logprobs(self.echo, self.answer.model, self.answer.logprobs or 0) if self.echo else []


class StreamedText(TextChoice):
    """A sink that gathers one choice and writes its chunks."""

    __slots__ = ("_head", "_offset", "_tail", "out")

    def __init__(self, answer: TextAnswer, index: int, out: list[bytes], echo: str = "", *, usage: bool) -> None:
        super().__init__(answer, index, echo)
        self.out = out
        self._offset = 0
        whole = orjson.dumps(answer.text_completion([], None))
        before, after = whole.split(b'"choices":[]', 1)
        self._head = b'data: %b"choices":[{"index":%d,"text":' % (before, index)
        # Only a stream that ends in a chunk with the usage mentions it in the others.
        self._tail = after if usage else after.replace(b',"usage":null', b"", 1)
        if echo:
            self._say(echo, self._echoed() if answer.logprobs is not None else None)

    def whole(self, text: str) -> None:
        """Take the text of a turn that has nothing else."""
        if self.answer.logprobs is None:
            for part in chunks(text):
                self.on_text(part)
        else:
            for piece in tokens.pieces(text, self.answer.model):
                if piece.text:
                    self.on_text(piece.text)

    def on_text(self, text: str, known: list[dict[str, Any]] | None = None) -> list[dict[str, Any]] | None:
        told = super().on_text(text, known)
        self._say(text, told)
        return told

    def end(self) -> None:
        """The turn has ended."""
        super().end()
        reason = orjson.dumps(self.finish)
        self.out.append(b'%b"","logprobs":null,"finish_reason":%b}]%b\n\n' % (self._head, reason, self._tail))

    def _say(self, text: str, told: list[dict[str, Any]] | None) -> None:
        logprobs = b"null"
        if told is not None:
            unknown = self._first_unknown and self._offset == 0
            logprobs = orjson.dumps(_legacy(told, self._offset, self.answer.logprobs, first_unknown=unknown))
        self._offset += len(text)
        said = orjson.dumps(text)
        self.out.append(b'%b%b,"logprobs":%b,"finish_reason":null}]%b\n\n' % (self._head, said, logprobs, self._tail))


def _legacy(
    items: Sequence[dict[str, Any]], offset: int, candidates: int | None, *, first_unknown: bool
) -> dict[str, Any]:
    """Log probabilities in the older shape. The first token of a prompt has none: nothing came before it."""
    offsets: list[int] = []
    for item in items:
        offsets.append(offset)
        offset += len(item["token"])
    logprobs: list[float | None] = [item["logprob"] for item in items]
    tops: list[dict[str, float] | None] = [
        {candidate["token"]: candidate["logprob"] for candidate in item["top_logprobs"]} for item in items
    ]
    if first_unknown and items:
        logprobs[0] = tops[0] = None
    return {
        "tokens": [item["token"] for item in items],
        "token_logprobs": logprobs,
        "top_logprobs": tops if candidates else None,
        "text_offset": offsets,
    }
