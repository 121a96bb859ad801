"""Turns as chat completions: one body, or chunks.

API reference: https://platform.openai.com/docs/api-reference/chat/object and …/chat/streaming
"""

from __future__ import annotations

from base64 import b64encode
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, Final
from zlib import crc32

import orjson

from .. import tokens
from ..turns import (
    TOOL_USES,
    Audio,
    Citation,
    ContainerCitation,
    FileCitation,
    Finish,
    Item,
    Origin,
    Reasoning,
    Refusal,
    Text,
    ToolArguments,
    ToolCall,
    Usage,
    Whole,
)
from .chunks import json_chunks
from .logprobs import token_logprobs
from .usage import chat_usage, service_tier

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from ..app import Server
    from ..engine import ChatRequest
    from ..turns import Piece

__all__ = ("Answer", "Choice", "StreamedChoice", "completion_pieces", "fingerprint")

_AUDIO_LIFE: Final = 3600
"""Seconds until a spoken answer can no longer be referred to."""


@lru_cache(1024)
def fingerprint(model: str, seed: int | str) -> str:
    """`system_fingerprint`: what made the answer, which is the model and the server's seed."""
    first = crc32(f"{model} {seed}".encode())
    return f"fp_{first:08x}{crc32(model.encode(), first) & 0xFF:02x}"


class Answer:
    """What all choices of one chat completion share."""

    __slots__ = (
        "body",
        "calls_functions",
        "created",
        "fingerprint",
        "id",
        "logprobs",
        "model",
        "request",
        "server",
        "tier",
        "whole",
    )

    prefix: ClassVar[str] = "chatcmpl-"

    def __init__(self, server: Server, request: ChatRequest) -> None:
        body = request.body
        self.server = server
        self.request = request
        self.body = body
        self.model = request.model
        self.id = server.ids.new(self.prefix)
        self.created = int(server.clock.now())
        self.fingerprint = fingerprint(self.model, server.seed)
        self.tier = service_tier(body.get("service_tier"))
        self.logprobs = self.candidates(body)
        """How many candidates to tell for each token; `None` where no log probabilities are asked for."""
        self.calls_functions = "functions" in body and "tools" not in body
        """Whether calls are answered in the deprecated form, `function_call`."""
        self.whole: dict[str, Any] | None = None
        """The body where the engine gave it whole."""

    def completion(self, choices: Sequence[Choice]) -> dict[str, Any]:
        """The body of an answer that is not streamed."""
        if self.whole is not None:
            return self.whole
        return {
            "id": self.id,
            "object": "chat.completion",
            "created": self.created,
            "model": self.model,
            "choices": [choice.to_dict() for choice in choices],
            "usage": self.usage(choices),
            "service_tier": self.tier,
            "system_fingerprint": self.fingerprint,
        }

    def usage(self, choices: Sequence[Choice]) -> dict[str, Any]:
        """Tokens of the prompt, and of all choices together."""
        told = choices[0].usage
        prompt = told.input_tokens
        if prompt is None:
            body = self.body
            tools = body.get("tools") or body.get("functions")
            prompt = tokens.message_tokens(self.request.messages, self.model, tools)
        prediction = self.body.get("prediction")
        if prediction is not None or len(choices) > 1:
            return self._summed(choices, prompt, prediction)
        output, reasoning, audio = choices[0].counts()
        cached, written = told.cached_tokens or 0, told.cache_write_tokens
        return chat_usage(prompt, output, reasoning=reasoning, cached=cached, written=written, audio=audio)

    def _summed(self, choices: Sequence[Choice], prompt: int, prediction: Any) -> dict[str, Any]:
        counts = [choice.counts() for choice in choices]
        output, reasoning, audio = (sum(column) for column in zip(*counts, strict=True))
        accepted = rejected = 0
        if prediction is not None:
            accepted, rejected = _predicted(prediction, choices, self.model)
        return chat_usage(
            prompt,
            output + rejected,
            reasoning=reasoning,
            cached=choices[0].usage.cached_tokens or 0,
            written=choices[0].usage.cache_write_tokens,
            audio=audio,
            accepted=accepted,
            rejected=rejected,
        )

    @staticmethod
    def candidates(body: Mapping[str, Any]) -> int | None:
        """How many candidates the request wants to see for each token; `None`: it wants no log probabilities."""
        return (body.get("top_logprobs") or 0) if body.get("logprobs") else None

    # Chunks

    def chunk(self, choices: list[dict[str, Any]], usage: dict[str, Any] | None) -> dict[str, Any]:
        """A chunk as a dict, for those that come once in a stream."""
        return {
            "id": self.id,
            "object": "chat.completion.chunk",
            "created": self.created,
            "model": self.model,
            "service_tier": self.tier,
            "system_fingerprint": self.fingerprint,
            "choices": choices,
            **({} if usage is None else {"usage": usage}),
        }

    def head(self) -> bytes:
        """The bytes of every chunk up to the choices."""
        return b"data: " + orjson.dumps(self.chunk([], None))[:-2]


def _predicted(prediction: Any, choices: Sequence[Choice], model: str) -> tuple[int, int]:
    """How many tokens of the predicted output came true, and how many did not."""
    from difflib import SequenceMatcher

    from ..engine import text_of

    predicted = tokens.encode(text_of(prediction), model)
    accepted = rejected = 0
    for choice in choices:
        said = tokens.encode(choice.text, model)
        matches = SequenceMatcher(None, predicted, said, autojunk=False).get_matching_blocks()
        same = sum(block.size for block in matches)
        accepted += same
        rejected += len(predicted) - same
    return accepted, rejected


_NOTHING: Final = Usage()


class Choice:
    """A sink that gathers one choice."""

    __slots__ = (
        "annotations",
        "answer",
        "audio",
        "calls",
        "finish",
        "index",
        "logprobs",
        "reasoning",
        "refusals",
        "texts",
        "usage",
    )

    def __init__(self, answer: Answer, index: int) -> None:
        self.answer = answer
        self.index = index
        self.texts: list[str] = []
        self.refusals: list[str] = []
        self.calls: list[_Call] = []
        self.annotations: list[dict[str, Any]] = []
        self.audio: list[Audio] = []
        self.reasoning = ""
        self.usage = _NOTHING
        self.finish: str | None = None
        self.logprobs: list[dict[str, Any]] = []

    # Sink

    def feed(self, piece: Piece) -> bool:
        """Take one piece; whether the turn is over with it."""
        if type(piece) is str:
            self.on_text(piece)
            return False
        take = _TAKES.get(piece.__class__)
        if take is None:
            if isinstance(piece, str):
                self.on_text(str(piece))
                return False
            raise TypeError(f"an engine's turn has pieces of antiphon.server.turns in it, not {piece!r}")
        take(self, piece)
        return self.finish is not None

    def whole(self, text: str) -> None:
        """Take the text of a turn that has nothing else."""
        self.on_text(text)

    def end(self) -> None:
        """The turn has ended."""
        if self.finish is None:
            self.finish = "tool_calls" if self.calls else "stop"

    # Pieces

    def on_text(self, text: str, known: list[dict[str, Any]] | None = None) -> list[dict[str, Any]] | None:
        self.texts.append(text)
        if self.answer.logprobs is None:
            return None
        if known is None:
            known = token_logprobs(text, self.answer.model, self.answer.logprobs, len(self.logprobs))
        self.logprobs += known
        return known

    def on_call(self, call: ToolCall) -> None:
        self.calls.append(_Call(call.id or self.answer.server.ids.new("call_"), call.name, call.custom))

    def on_arguments(self, text: str) -> None:
        if not self.calls:
            raise ValueError("an engine gave arguments of a tool before it began a call with ToolCall")
        self.calls[-1].arguments += text

    def on_refusal(self, text: str) -> None:
        self.refusals.append(text)

    def on_citation(self, citation: Citation) -> None:
        url, title, start, end = citation
        cited = {"end_index": end, "start_index": start, "title": title, "url": url}
        self.annotations.append({"type": "url_citation", "url_citation": cited})

    def on_audio(self, audio: Audio) -> None:
        self.audio.append(audio)

    def on_reasoning(self, text: str) -> None:
        self.reasoning += text

    def on_usage(self, usage: Usage) -> None:
        if self.usage is not _NOTHING:
            usage = Usage(*(old if new is None else new for old, new in zip(self.usage, usage, strict=True)))
        self.usage = usage

    def on_finish(self, reason: str) -> None:
        self.finish = reason

    def on_origin(self, origin: Origin) -> None:
        answer = self.answer
        answer.id = origin.id or answer.id
        answer.model = origin.model or answer.model
        answer.fingerprint = origin.fingerprint or answer.fingerprint

    def on_whole(self, body: dict[str, Any]) -> None:
        self.answer.whole = body
        for piece in completion_pieces(body):
            self.feed(piece)

    # Results

    @property
    def text(self) -> str:
        """The content so far."""
        texts = self.texts
        return texts[0] if len(texts) == 1 else "".join(texts)

    def counts(self) -> tuple[int, int, int]:
        """Tokens said, those of them reasoned, those of them spoken."""
        _, output, reasoning, *_ = self.usage
        count = tokens.counter(self.answer.model)
        if reasoning is None:
            reasoning = count(self.reasoning) if self.reasoning else 0
        audio = sum([count(piece.transcript) for piece in self.audio]) * 4 if self.audio else 0
        if output is None:
            output = reasoning + audio
            if self.texts:
                output += count(self.text)
            if self.refusals:
                output += count("".join(self.refusals))
            for call in self.calls:
                output += count(call.name) + count(call.arguments) + _CALL_TOKENS
        return output, reasoning, audio

    def to_dict(self) -> dict[str, Any]:
        """The choice of an answer that is not streamed."""
        finish, logprobs = self.finish, None
        if self.answer.logprobs is not None:
            logprobs = {"content": self.logprobs, "refusal": None}
        if finish == "tool_calls" and self.answer.calls_functions:
            finish = "function_call"
        return {"index": self.index, "message": self.message(), "logprobs": logprobs, "finish_reason": finish}

    def message(self) -> dict[str, Any]:
        """The assistant's message."""
        text = self.text
        message: dict[str, Any] = {
            "role": "assistant",
            "content": text if text or not (self.calls or self.refusals or self.audio) else None,
            "refusal": "".join(self.refusals) if self.refusals else None,
            "annotations": self.annotations,
        }
        if self.calls:
            if self.answer.calls_functions:
                message["function_call"] = self.calls[0].function()
            else:
                message["tool_calls"] = [call.to_dict() for call in self.calls]
        if self.audio:
            message["audio"] = {
                "id": self.answer.server.ids.new("audio_"),
                "data": b64encode(b"".join(piece.data for piece in self.audio)).decode(),
                "expires_at": self.answer.created + _AUDIO_LIFE,
                "transcript": "".join(piece.transcript for piece in self.audio),
            }
        return message


_CALL_TOKENS: Final = 3
"""Tokens that frame a call, beside its name and arguments."""

_TAKES: Final[dict[type, Callable[[Any, Any], None]]] = {
    Text: lambda choice, piece: choice.on_text(piece.text, piece.logprobs),
    ToolCall: lambda choice, piece: choice.on_call(piece),
    ToolArguments: lambda choice, piece: choice.on_arguments(piece.text),
    Refusal: lambda choice, piece: choice.on_refusal(piece.text),
    Citation: lambda choice, piece: choice.on_citation(piece),
    Audio: lambda choice, piece: choice.on_audio(piece),
    Reasoning: lambda choice, piece: choice.on_reasoning(piece.text),
    Usage: lambda choice, piece: choice.on_usage(piece),
    Finish: lambda choice, piece: choice.on_finish(piece.reason),
    Origin: lambda choice, piece: choice.on_origin(piece),
    Whole: lambda choice, piece: choice.on_whole(piece.body),
    # A chat completion has no place for what tools left.
    **dict.fromkeys((Item, FileCitation, ContainerCitation, *TOOL_USES), lambda choice, piece: None),
}


class _Call:
    """A call of a tool being gathered."""

    __slots__ = ("arguments", "custom", "id", "name")

    def __init__(self, id: str, name: str, custom: bool) -> None:
        self.id = id
        self.name = name
        self.custom = custom
        self.arguments = ""

    def function(self) -> dict[str, Any]:
        return {"name": self.name, "arguments": self.arguments}

    def to_dict(self) -> dict[str, Any]:
        if self.custom:
            return {"id": self.id, "type": "custom", "custom": {"name": self.name, "input": self.arguments}}
        return {"id": self.id, "type": "function", "function": self.function()}


class StreamedChoice(Choice):
    """A sink that gathers one choice and writes its chunks."""

    __slots__ = ("_begun", "_head", "_tail", "_usage", "out")

    def __init__(self, answer: Answer, index: int, out: list[bytes], head: bytes, *, usage: bool) -> None:
        super().__init__(answer, index)
        self.out = out
        self._begun = False
        self._usage = b',"usage":null' if usage else b""
        """With `include_usage` every chunk says that it does not know the usage yet."""
        self._head = b'%b{"index":%d,"delta":' % (head, index)
        self._tail = b',"logprobs":null,"finish_reason":null}]%b}\n\n' % self._usage

    def whole(self, text: str) -> None:
        """Take the text of a turn that has nothing else."""
        if self.answer.logprobs is None:
            self.texts.append(text)
            self._begin(b'""')
            parts = json_chunks(text)
            if parts:
                before, after = self._head + b'{"content":', b"}" + self._tail
                self.out.append(before + (after + before).join(parts) + after)
        else:
            for piece in tokens.pieces(text, self.answer.model):
                if piece.text:
                    self.on_text(piece.text)

    def end(self) -> None:
        """The turn has ended."""
        super().end()
        self._begin(b'""')
        if self.audio:
            self._delta({"audio": {"expires_at": self.answer.created + _AUDIO_LIFE}})
        finish = self.finish
        if finish == "tool_calls" and self.answer.calls_functions:
            finish = "function_call"
        reason = orjson.dumps(finish)
        self.out.append(b'%b{},"logprobs":null,"finish_reason":%b}]%b}\n\n' % (self._head, reason, self._usage))

    def on_text(self, text: str, known: list[dict[str, Any]] | None = None) -> list[dict[str, Any]] | None:
        told = super().on_text(text, known)
        if not self._begun:
            self._begin(b'""')
        tail = self._tail
        if told is not None:
            logprobs = orjson.dumps({"content": told, "refusal": None})
            tail = b',"logprobs":%b,"finish_reason":null}]%b}\n\n' % (logprobs, self._usage)
        self.out.append(self._head + b'{"content":' + orjson.dumps(text) + b"}" + tail)
        return told

    def on_call(self, call: ToolCall) -> None:
        super().on_call(call)
        made = self.calls[-1]
        if self.answer.calls_functions:
            self._delta({"function_call": {"name": made.name, "arguments": ""}})
        else:
            self._delta({"tool_calls": [{"index": len(self.calls) - 1, **made.to_dict()}]})

    def on_arguments(self, text: str) -> None:
        super().on_arguments(text)
        if self.answer.calls_functions:
            self._delta({"function_call": {"arguments": text}})
            return
        part = {"custom": {"input": text}} if self.calls[-1].custom else {"function": {"arguments": text}}
        self._delta({"tool_calls": [{"index": len(self.calls) - 1, **part}]})

    def on_refusal(self, text: str) -> None:
        super().on_refusal(text)
        self._delta({"refusal": text})

    def on_citation(self, citation: Citation) -> None:
        super().on_citation(citation)
        self._delta({"annotations": self.annotations[-1:]})

    def on_audio(self, audio: Audio) -> None:
        super().on_audio(audio)
        if len(self.audio) == 1:
            self._delta({"audio": {"id": self.answer.server.ids.new("audio_"), "transcript": audio.transcript}})
        elif audio.transcript:
            self._delta({"audio": {"transcript": audio.transcript}})
        if audio.data:
            self._delta({"audio": {"data": b64encode(audio.data).decode()}})

    def on_origin(self, origin: Origin) -> None:
        super().on_origin(origin)
        self._head = b'%b{"index":%d,"delta":' % (self.answer.head(), self.index)

    def on_whole(self, body: dict[str, Any]) -> None:
        for piece in completion_pieces(body):
            self.feed(piece)

    def _begin(self, content: bytes = b"null") -> None:
        """The chunk with the role, before all others."""
        if not self._begun:
            self._begun = True
            delta = b'{"role":"assistant","content":%b,"refusal":null}' % content
            self.out.append(self._head + delta + self._tail)

    def _delta(self, delta: dict[str, Any]) -> None:
        self._begin()
        self.out.append(self._head + orjson.dumps(delta) + self._tail)


def completion_pieces(body: dict[str, Any]) -> Iterator[Piece]:
    """A chat completion taken apart into the pieces of its first choice."""
    choice = body["choices"][0]
    yield from message_pieces(choice["message"])
    used: dict[str, Any] = body.get("usage") or {}
    details: dict[str, Any] = used.get("completion_tokens_details") or {}
    if used:
        yield Usage(used.get("prompt_tokens"), used.get("completion_tokens"), details.get("reasoning_tokens"))
    finish = choice.get("finish_reason")
    if finish is not None:
        yield Finish("tool_calls" if finish == "function_call" else finish)


def message_pieces(message: dict[str, Any]) -> Iterator[Piece]:
    """An assistant's message taken apart into pieces."""
    if message.get("content"):
        yield message["content"]
    if message.get("refusal"):
        yield Refusal(message["refusal"])
    for call in message.get("tool_calls") or ():
        custom = call.get("custom")
        if custom is not None:
            yield ToolCall(call.get("id"), custom["name"], True)
            yield ToolArguments(custom.get("input", ""))
        else:
            called = call.get("function", call)  # an engine may give name and arguments without the shell
            yield ToolCall(call.get("id"), called["name"])
            yield ToolArguments(_arguments(called.get("arguments", "{}")))
    function = message.get("function_call")
    if function:
        yield ToolCall(None, function["name"])
        yield ToolArguments(_arguments(function.get("arguments", "{}")))
    for annotation in message.get("annotations") or ():
        cited = annotation.get("url_citation")
        if cited:
            yield Citation(cited["url"], cited["title"], cited["start_index"], cited["end_index"])


def _arguments(given: Any) -> str:
    """Arguments as JSON text; a mapping is taken as the object it stands for."""
    return given if isinstance(given, str) else orjson.dumps(given).decode()
