"""Chunks of chat completions, as other servers of the API send them, read as pieces of a turn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..server.turns import Citation, Finish, Reasoning, Refusal, Text, ToolArguments, ToolCall, Usage

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ..server.turns import FinishReason, Piece

__all__ = ("ChunkReader", "usage_of")


class ChunkReader:
    """Reads the chunks of one choice.

    Of several calls of tools the first is told as it comes, and the others at the end: chunks may go back to a call
    that was begun before, and pieces cannot.
    """

    __slots__ = ("_calls", "_finish", "_open", "_usage", "finished")

    def __init__(self) -> None:
        self._calls: dict[int, list[Piece]] = {}
        self._open: int | None = None
        self._finish: FinishReason | None = None
        self._usage: Usage | None = None
        self.finished = False
        """Whether a chunk has said why the answer ends."""

    def feed(self, chunk: Mapping[str, Any]) -> Iterator[Piece]:
        """What a chunk adds."""
        used = chunk.get("usage")
        if used:
            self._usage = usage_of(used)
        for choice in chunk.get("choices") or ():
            yield from self._delta(choice, choice.get("delta") or {})
            reason = choice.get("finish_reason")
            if reason is not None:
                self.finished = True
                self._finish = "tool_calls" if reason == "function_call" else reason
            break  # each choice is asked for by itself

    def _delta(self, choice: Mapping[str, Any], delta: Mapping[str, Any]) -> Iterator[Piece]:
        content = delta.get("content")
        if content:
            logprobs: Any = choice.get("logprobs") or {}
            yield Text(content, logprobs.get("content"))
        reasoning = delta.get("reasoning_content") or delta.get("reasoning")
        if isinstance(reasoning, str) and reasoning:
            yield Reasoning(reasoning)
        if delta.get("refusal"):
            yield Refusal(delta["refusal"])
        for annotation in delta.get("annotations") or ():
            cited = annotation.get("url_citation")
            if cited:
                yield Citation(cited["url"], cited["title"], cited["start_index"], cited["end_index"])
        for call in delta.get("tool_calls") or ():
            yield from self._call(call)
        function = delta.get("function_call")
        if function:
            yield from self._call({"index": 0, "function": function})

    def _call(self, call: Mapping[str, Any]) -> Iterator[Piece]:
        custom = call.get("custom")
        said: Mapping[str, Any] = custom or call.get("function") or {}
        index = call.get("index")
        if index is None:  # some servers tell whole calls and do not count them
            index = len(self._calls)
        new = index not in self._calls
        pieces: list[Piece] = []
        if new:
            self._calls[index] = []
            pieces.append(ToolCall(call.get("id"), said.get("name") or "", custom is not None))
        arguments = said.get("input" if custom is not None else "arguments")
        if arguments:
            pieces.append(ToolArguments(arguments))
        if self._open is None:
            self._open = index
        if index == self._open:
            yield from pieces
        else:
            self._calls[index] += pieces

    def end(self) -> Iterator[Piece]:
        """What is known at the end only."""
        for pieces in self._calls.values():
            yield from pieces
        if self._usage is not None:
            yield self._usage
        if self._finish is not None:
            yield Finish(self._finish)


def usage_of(used: Mapping[str, Any]) -> Usage:
    """The `usage` of a chat completion as a piece."""
    given: Any = used.get("prompt_tokens_details") or {}
    made: Any = used.get("completion_tokens_details") or {}
    return Usage(
        used.get("prompt_tokens"),
        used.get("completion_tokens"),
        made.get("reasoning_tokens"),
        given.get("cached_tokens"),
    )
