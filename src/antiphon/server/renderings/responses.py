"""Turns as Responses: one object, or typed events.

API reference: https://platform.openai.com/docs/api-reference/responses/object and …/responses-streaming
"""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Any, Final

import orjson

from ...kernel.errors import APIStatusError
from .. import tokens
from ..turns import (
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
from .chunks import chunks
from .logprobs import token_logprobs
from .response_items import begun, progress, said, shown
from .sinks import driven
from .usage import responses_usage, service_tier

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping, Sequence

    from ...kernel.flow import Step
    from ..app import Server
    from ..engine import ChatRequest
    from ..turns import Piece, Turn
    from .sinks import Sink

__all__ = ("ResponseTurn", "events", "replayed", "response_pieces", "skeleton")

_DEFAULTS: Final[dict[str, Any]] = {
    "error": None,
    "incomplete_details": None,
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "safety_identifier": None,
    "temperature": 1.0,
    "tool_choice": "auto",
    "top_logprobs": 0,
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
}
"""Fields of a Response that repeat the request, and what they are where it does not say."""

_REFLECTED: Final = frozenset(_DEFAULTS) | {"prompt", "prompt_cache_retention"}

_NOTHING: Final = Usage()


def skeleton(server: Server, body: Mapping[str, Any], model: str, conversation: str | None = None) -> dict[str, Any]:
    """A Response before anything is said, with what it repeats of the request."""
    said = {name: value for name, value in body.items() if value is not None and name in _REFLECTED}
    form = body.get("text") or {}
    reasoning = body.get("reasoning") or {}
    return {
        "id": server.ids.new("resp_"),
        "object": "response",
        "created_at": int(server.clock.now()),
        "status": "in_progress",
        "background": bool(body.get("background")),
        "completed_at": None,
        **_DEFAULTS,
        **said,
        "conversation": None if conversation is None else {"id": conversation},
        "model": model,
        "output": [],
        "reasoning": {"effort": None, "summary": None, **reasoning},
        "service_tier": service_tier(body.get("service_tier")),
        "store": body.get("store") is not False,
        "text": {"format": {"type": "text"}, "verbosity": "medium", **form},
        "tools": [_shown(tool) for tool in body.get("tools") or ()],
        "usage": None,
    }


def _shown(tool: dict[str, Any]) -> dict[str, Any]:
    if tool.get("type") != "function":
        return tool
    shown = {"description": None, "parameters": None, **tool}
    if shown.get("strict") is None:
        shown["strict"] = True
    return shown


class ResponseTurn:
    """A sink that gathers one Response and, given `out`, writes its events, an entry each.

    Items of the output are begun by the pieces that need them and ended by the next piece that does not belong.
    """

    __slots__ = (
        "_end_part",
        "_include",
        "_item",
        "_known",
        "_logprobs",
        "_original",
        "_part",
        "_stretch",
        "_texts",
        "_visible",
        "finish",
        "full",
        "order",
        "out",
        "reasoning",
        "request",
        "response",
        "server",
        "usage",
        "whole_body",
    )

    def __init__(
        self,
        server: Server,
        request: ChatRequest,
        response: dict[str, Any],
        out: list[bytes] | None = None,
        known: Iterator[dict[str, Any]] | None = None,
    ) -> None:
        body = request.body
        self.server = server
        self.request = request
        self.response = response
        self.out = out
        self.order = 0
        """The `sequence_number` of the next event."""
        self.usage = _NOTHING
        self.finish: str | None = None
        self.reasoning = ""
        self.whole_body: dict[str, Any] | None = None
        self.full: dict[str, dict[str, Any]] = {}
        """Items of which not all is shown, in full, by id."""
        self._known = known
        """The items that the turn is known to make, where it is told again."""
        self._original: dict[str, Any] = {}
        self._item: dict[str, Any] | None = None
        self._part: dict[str, Any] | None = None
        self._texts: list[str] = []
        self._stretch = (b"", b"", b"")
        """Of the deltas of the part that is written: what is before the number, before the text, behind the text."""
        self._end_part: Callable[[str], None] = self._end_text
        self._include: Sequence[str] = body.get("include") or ()
        with_logprobs = "message.output_text.logprobs" in self._include or bool(body.get("top_logprobs"))
        self._logprobs: int | None = (body.get("top_logprobs") or 0) if with_logprobs else None
        self._visible = bool((body.get("reasoning") or {}).get("summary"))

    # Sink

    def feed(self, piece: Piece) -> bool:
        """Take one piece; whether the turn is over with it."""
        if not self.order:
            self.begin()
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
        if not self.order:
            self.begin()
        if self.out is None:
            self.on_text(text)
        elif self._logprobs is None:
            self._open("message", "output_text")
            before, middle, after = self._stretch
            out, order, dumps = self.out, self.order, orjson.dumps
            for part in chunks(text):
                out.append(b"%b%d%b%b%b" % (before, order, middle, dumps(part), after))
                order += 1
            self.order = order
            self._texts.append(text)
        else:
            for piece in tokens.pieces(text, self.request.model):
                if piece.text:
                    self.on_text(piece.text)
        if not text:
            self._open("message", "output_text")

    def end(self) -> None:
        """The turn has ended: the Response is complete."""
        if not self.order:
            self.begin()
        if not self.response["output"] and not (self.finish == "length" and self.reasoning):
            self._open("message", "output_text")
        reason = _INCOMPLETE.get(self.finish or "stop")
        self._close("completed" if reason is None else "incomplete")
        response = self.response
        if self.whole_body is not None:
            response.clear()
            response.update(self.whole_body)
        else:
            response["status"] = "completed" if reason is None else "incomplete"
            response["incomplete_details"] = None if reason is None else {"reason": reason}
            response["completed_at"] = int(self.server.clock.now()) if reason is None else None
            response["usage"] = self._usage()
        self.emit(f"response.{response['status']}", response=response)

    def fail(self, error: APIStatusError) -> None:
        """The engine failed in the middle of the turn."""
        self._close("incomplete")
        self.response["status"] = "failed"
        self.response["error"] = {"code": error.code or _FAILURES.get(error.status_code, "server_error")}
        self.response["error"]["message"] = error.message
        self.emit("response.failed", response=self.response)

    def begin(self) -> None:
        """The first events."""
        if self.out is None:
            self.order = 1
            return
        queued = self.response["background"]
        first = {**self.response, "status": "queued"} if queued else self.response
        self.emit("response.created", response=first)
        if queued:
            self.emit("response.queued", response=first)
        self.emit("response.in_progress", response=self.response)

    # Pieces

    def on_text(self, text: str, known: list[dict[str, Any]] | None = None) -> None:
        self._open("message", "output_text")
        self._texts.append(text)
        logprobs: list[dict[str, Any]] | None = None
        if self._logprobs is not None:
            kept: list[dict[str, Any]] = self._part["logprobs"]  # type: ignore[index]
            if known is None:
                known = token_logprobs(text, self.request.model, self._logprobs, len(kept))
            logprobs = known
            kept += logprobs
        self._delta(text, logprobs)

    def on_refusal(self, text: str) -> None:
        self._open("message", "refusal")
        self._texts.append(text)
        self._delta(text)

    def on_citation(self, citation: Citation | FileCitation | ContainerCitation) -> None:
        self._open("message", "output_text")
        cited = _CITED[citation.__class__](citation)
        annotations: list[Any] = self._part["annotations"]  # type: ignore[index]
        annotations.append(cited)
        place = self._place()
        self.emit(
            "response.output_text.annotation.added", **place, annotation_index=len(annotations) - 1, annotation=cited
        )

    def on_reasoning(self, text: str) -> None:
        self.reasoning += text
        self._open("reasoning", "summary_text" if self._visible else "")
        if self._visible:
            self._texts.append(text)
            self._delta(text)

    def on_call(self, call: ToolCall) -> None:
        self._close()
        kind = "custom_tool_call" if call.custom else "function_call"
        item: dict[str, Any] = {"id": self._new("ctc_" if call.custom else "fc_"), "type": kind}
        if not call.custom:
            item["status"] = "in_progress"
        item["call_id"] = call.id or self.server.ids.new("call_")
        item["name"] = call.name
        item["input" if call.custom else "arguments"] = ""
        self._add(item)
        self._begin_deltas(_DELTAS[kind], {"item_id": item["id"], "output_index": len(self.response["output"]) - 1})

    def on_arguments(self, text: str) -> None:
        if self._item is None or self._item["type"] not in _DELTAS:
            raise ValueError("an engine gave arguments of a tool before it began a call with ToolCall")
        self._texts.append(text)
        self._delta(text)

    def on_item(self, body: dict[str, Any]) -> None:
        self._close()
        item = {"id": self._new("item_"), **body} if not body.get("id") else body
        seen = shown(item, self._include)
        if seen is not item:
            self.full[item["id"]] = item
        output = self.response["output"]
        place = len(output)
        output.append(begun(seen))
        self.emit("response.output_item.added", output_index=place, item=output[-1])
        if self.out is not None:
            for kind, fields in progress(item, self.response.get("tools") or ()):
                self.emit(f"response.{kind}", output_index=place, **fields)
        output[-1] = seen
        self.emit("response.output_item.done", output_index=place, item=seen)

    def on_audio(self, audio: Audio) -> None:
        self.on_text(audio.transcript)

    def on_usage(self, usage: Usage) -> None:
        known = (new if new is not None else old for old, new in zip(self.usage, usage, strict=True))
        self.usage = Usage(*known)

    def on_finish(self, reason: str) -> None:
        self.finish = reason

    def on_whole(self, body: dict[str, Any]) -> None:
        if self.out is None:
            self.whole_body = body
        for piece in response_pieces(body):
            self.feed(piece)

    # Items and their parts

    def _new(self, prefix: str) -> str:
        if self._known is None:
            return self.server.ids.new(prefix)
        self._original = next(self._known, {})
        known: str | None = self._original.get("id")
        return self.server.ids.new(prefix) if known is None else known

    def _open(self, kind: str, part: str) -> None:
        """Make the item and the part that are being written those of this kind."""
        item, open_part = self._item, self._part
        if item is not None and item["type"] == kind:
            if (open_part["type"] if open_part is not None else "") == part:
                return
            self._close_part()
        else:
            self._close()
            self._add({"id": self._new(_IDS[kind]), **_copied(_ITEMS[kind])})
        if part:
            self._add_part(_copied(_PARTS[part]))

    def _add(self, item: dict[str, Any]) -> None:
        self._item = item
        self._texts = []
        self.response["output"].append(item)
        self.emit("response.output_item.added", output_index=len(self.response["output"]) - 1, item=item)

    def _add_part(self, part: dict[str, Any]) -> None:
        assert self._item is not None
        self._part = part
        self._texts = []
        self._item[_HOLDERS[self._item["type"]]].append(part)
        if part["type"] == "summary_text":
            self._end_part = self._end_summary
            self.emit("response.reasoning_summary_part.added", **self._place(), part=part)
            self._begin_deltas("response.reasoning_summary_text.delta", self._place())
        else:
            self._end_part = self._end_text if part["type"] == "output_text" else self._end_refusal
            self.emit("response.content_part.added", **self._place(), part=part)
            self._begin_deltas(f"response.{part['type']}.delta", self._place())

    def _close_part(self) -> None:
        if self._part is not None:
            self._end_part("".join(self._texts))
            self._part = None

    def _close(self, status: str = "completed") -> None:
        """End the item that is being written."""
        item = self._item
        if item is None:
            return
        if item["type"] in _DELTAS:
            self._end_arguments("".join(self._texts))
        else:
            self._close_part()
        if "status" in item:
            item["status"] = status
        if item["type"] == "reasoning" and "reasoning.encrypted_content" in self._include:
            item["encrypted_content"] = b64encode(self.reasoning.encode()).decode()
        item.update(self._original)
        self._item = None
        self.emit("response.output_item.done", output_index=len(self.response["output"]) - 1, item=item)

    def _end_text(self, text: str) -> None:
        assert self._part is not None
        self._part["text"] = text
        place = self._place()
        self.emit("response.output_text.done", **place, text=text, logprobs=self._part["logprobs"])
        self.emit("response.content_part.done", **place, part=self._part)

    def _end_refusal(self, text: str) -> None:
        assert self._part is not None
        self._part["refusal"] = text
        place = self._place()
        self.emit("response.refusal.done", **place, refusal=text)
        self.emit("response.content_part.done", **place, part=self._part)

    def _end_summary(self, text: str) -> None:
        assert self._part is not None
        self._part["text"] = text
        place = self._place()
        self.emit("response.reasoning_summary_text.done", **place, text=text)
        self.emit("response.reasoning_summary_part.done", **place, part=self._part)

    def _end_arguments(self, text: str) -> None:
        item = self._item
        assert item is not None
        field = "input" if item["type"] == "custom_tool_call" else "arguments"
        item[field] = text
        place = {"item_id": item["id"], "output_index": len(self.response["output"]) - 1}
        self.emit(_DELTAS[item["type"]].replace(".delta", ".done"), **place, **{field: text})

    # Events

    def emit(self, kind: str, **fields: Any) -> None:
        """Write an event."""
        if self.out is not None:
            data = orjson.dumps({"type": kind, "sequence_number": self.order, **fields})
            self.out.append(b"event: %b\ndata: %b\n\n" % (kind.encode(), data))
            self.order += 1

    def _place(self) -> dict[str, Any]:
        """Where the part is that is being written."""
        assert self._item is not None
        holder = _HOLDERS[self._item["type"]]
        return {
            "item_id": self._item["id"],
            "output_index": len(self.response["output"]) - 1,
            _INDEXES[holder]: len(self._item[holder]) - 1,
        }

    def _begin_deltas(self, kind: str, place: dict[str, Any]) -> None:
        """Make ready what is the same in all deltas of the part that is begun."""
        if self.out is not None:
            name = kind.encode()
            self._stretch = (
                b'event: %b\ndata: {"type":"%b","sequence_number":' % (name, name),
                b"," + orjson.dumps(place)[1:-1] + b',"delta":',
                b',"logprobs":[]}\n\n' if kind == "response.output_text.delta" else b"}\n\n",
            )

    def _delta(self, text: str, logprobs: list[dict[str, Any]] | None = None) -> None:
        if self.out is None:
            return
        before, middle, after = self._stretch
        if logprobs:
            after = b',"logprobs":%b}\n\n' % orjson.dumps(logprobs)
        self.out.append(b"%b%d%b%b%b" % (before, self.order, middle, orjson.dumps(text), after))
        self.order += 1

    # Usage

    def _usage(self) -> dict[str, Any]:
        told, request = self.usage, self.request
        prompt = told.input_tokens
        if prompt is None:
            prompt = tokens.message_tokens(request.messages, request.model, request.body.get("tools"))
        count = tokens.counter(request.model)
        reasoning = told.reasoning_tokens
        if reasoning is None:
            reasoning = count(self.reasoning) if self.reasoning else 0
        output = told.output_tokens
        if output is None:
            output = reasoning + sum(_tokens(item, count) for item in self.response["output"])
        cached, written = told.cached_tokens or 0, told.cache_write_tokens or 0
        return responses_usage(prompt, output, reasoning=reasoning, cached=cached, written=written)


def _tokens(item: dict[str, Any], count: Callable[[str], int]) -> int:
    """Tokens of an output item."""
    known = _COUNTS.get(item["type"])
    if known is not None:
        return known(item, count)
    written = said(item)
    return count(written) + _CALL_TOKENS if written else 0


_CALL_TOKENS: Final = 3

_COUNTS: Final[dict[str, Callable[[dict[str, Any], Callable[[str], int]], int]]] = {
    "message": lambda item, count: sum(
        count(part.get("text") or part.get("refusal") or "") for part in item["content"]
    ),
    "function_call": lambda item, count: count(item["name"]) + count(item["arguments"]) + _CALL_TOKENS,
    "custom_tool_call": lambda item, count: count(item["name"]) + count(item["input"]) + _CALL_TOKENS,
    "reasoning": lambda item, count: 0,  # counted as reasoning, whether it is shown or not
}
"""Tokens of the items that are made of pieces."""

_CITED: Final[dict[type, Callable[[Any], dict[str, Any]]]] = {
    Citation: lambda piece: {
        "type": "url_citation",
        "url": piece.url,
        "title": piece.title,
        "start_index": piece.start,
        "end_index": piece.end,
    },
    FileCitation: lambda piece: {
        "type": "file_citation",
        "file_id": piece.file_id,
        "filename": piece.filename,
        "index": piece.at,
    },
    ContainerCitation: lambda piece: {
        "type": "container_file_citation",
        "container_id": piece.container_id,
        "file_id": piece.file_id,
        "filename": piece.filename,
        "start_index": piece.start,
        "end_index": piece.end,
    },
}
_CITATIONS: Final[dict[str, Callable[[Mapping[str, Any]], Piece]]] = {
    "url_citation": lambda cited: Citation(cited["url"], cited["title"], cited["start_index"], cited["end_index"]),
    "file_citation": lambda cited: FileCitation(cited["file_id"], cited["filename"], cited["index"]),
    "container_file_citation": lambda cited: ContainerCitation(
        cited["container_id"], cited["file_id"], cited["filename"], cited["start_index"], cited["end_index"]
    ),
}

_TAKES: Final[dict[type, Callable[[Any, Any], None]]] = {
    Text: lambda turn, piece: turn.on_text(piece.text, piece.logprobs),
    ToolCall: lambda turn, piece: turn.on_call(piece),
    ToolArguments: lambda turn, piece: turn.on_arguments(piece.text),
    Refusal: lambda turn, piece: turn.on_refusal(piece.text),
    Citation: lambda turn, piece: turn.on_citation(piece),
    FileCitation: lambda turn, piece: turn.on_citation(piece),
    ContainerCitation: lambda turn, piece: turn.on_citation(piece),
    Item: lambda turn, piece: turn.on_item(piece.body),
    Audio: lambda turn, piece: turn.on_audio(piece),
    Reasoning: lambda turn, piece: turn.on_reasoning(piece.text),
    Usage: lambda turn, piece: turn.on_usage(piece),
    Finish: lambda turn, piece: turn.on_finish(piece.reason),
    Whole: lambda turn, piece: turn.on_whole(piece.body),
    Origin: lambda turn, piece: None,
}

_DELTAS: Final = {
    "function_call": "response.function_call_arguments.delta",
    "custom_tool_call": "response.custom_tool_call_input.delta",
}
_IDS: Final = {"message": "msg_", "reasoning": "rs_"}
_ITEMS: Final[dict[str, dict[str, Any]]] = {
    "message": {"type": "message", "status": "in_progress", "content": [], "role": "assistant"},
    "reasoning": {"type": "reasoning", "summary": []},
}
_PARTS: Final[dict[str, dict[str, Any]]] = {
    "output_text": {"type": "output_text", "annotations": [], "logprobs": [], "text": ""},
    "refusal": {"type": "refusal", "refusal": ""},
    "summary_text": {"type": "summary_text", "text": ""},
}
_HOLDERS: Final = {"message": "content", "reasoning": "summary"}
_INDEXES: Final = {"content": "content_index", "summary": "summary_index"}
_INCOMPLETE: Final = {"length": "max_output_tokens", "content_filter": "content_filter"}
_ENDS: Final = ("completed", "incomplete", "failed")
"""What a Response ends as with an event of its own; one that was cancelled has none."""
_FAILURES: Final = {429: "rate_limit_exceeded", 400: "invalid_prompt"}
"""Codes of a failed Response where the error has none."""


def _copied(template: dict[str, Any]) -> dict[str, Any]:
    return {key: [] if value.__class__ is list else value for key, value in template.items()}


def events(
    turn: Turn, sink: Sink, response: ResponseTurn, out: list[bytes], kept: Callable[[], None]
) -> Generator[bytes | Step[Any], Any, None]:
    """The body of a streamed Response. `kept` is called when it is complete or has failed.

    An engine that fails before it says anything is an error of the request; later, it is a failed Response.
    """
    try:
        yield from driven([(turn, sink)], out)
    except APIStatusError as error:
        if not response.order:
            raise
        response.fail(error)
        yield b"".join(out)
        out.clear()
    kept()


def replayed(server: Server, request: ChatRequest, response: dict[str, Any]) -> list[bytes]:
    """The events of a Response again, an entry each; those of one that has not ended go as far as it has come."""
    out: list[bytes] = []
    known = (item for item in response["output"] if item["type"] in _COUNTS)
    unfinished = {
        **response,
        "status": "in_progress",
        "output": [],
        "usage": None,
        "error": None,
        "incomplete_details": None,
        "completed_at": None,
    }
    turn = ResponseTurn(server, request, unfinished, out, known)
    turn.begin()
    for piece in response_pieces(response):
        turn.feed(piece)
    turn._close("completed" if response["status"] == "completed" else "incomplete")
    if response["status"] in _ENDS:
        turn.emit(f"response.{response['status']}", response=response)
    return out


def response_pieces(body: Mapping[str, Any]) -> Iterator[Piece]:
    """A Response taken apart into pieces, its texts in deltas."""
    for item in body.get("output") or ():
        read = _READERS.get(item.get("type", ""))
        if read is not None:
            yield from read(item)
        else:
            yield Item(item)
    used: Mapping[str, Any] = body.get("usage") or {}
    if used:
        details: Mapping[str, Any] = used.get("output_tokens_details") or {}
        yield Usage(used.get("input_tokens"), used.get("output_tokens"), details.get("reasoning_tokens"))
    reason = (body.get("incomplete_details") or {}).get("reason")
    if reason is not None:
        yield Finish("length" if reason == "max_output_tokens" else "content_filter")


def _message_pieces(item: Mapping[str, Any]) -> Iterator[Piece]:
    for part in item.get("content") or ():
        if part.get("type") == "refusal":
            yield from map(Refusal, chunks(part["refusal"]))
            continue
        known = part.get("logprobs")
        if known:
            for each in known:
                yield Text(each["token"], [each])
        else:
            yield from chunks(part.get("text", ""))
        for cited in part.get("annotations") or ():
            read = _CITATIONS.get(cited.get("type", ""))
            if read is not None:
                yield read(cited)


def _call_pieces(item: Mapping[str, Any]) -> Iterator[Piece]:
    custom = item["type"] == "custom_tool_call"
    yield ToolCall(item.get("call_id"), item["name"], custom)
    yield from map(ToolArguments, chunks(item["input" if custom else "arguments"]))


def _reasoning_pieces(item: Mapping[str, Any]) -> Iterator[Piece]:
    shown = [part["text"] for part in item.get("summary") or ()]
    for text in shown or [""]:
        yield from map(Reasoning, chunks(text) or ("",))


_READERS: Final[dict[str, Callable[[Mapping[str, Any]], Iterator[Piece]]]] = {
    "message": _message_pieces,
    "function_call": _call_pieces,
    "custom_tool_call": _call_pieces,
    "reasoning": _reasoning_pieces,
}
