"""Turns as the steps, messages and events of an assistant's run.

API reference: https://platform.openai.com/docs/api-reference/assistants-streaming/events
"""

from __future__ import annotations

from base64 import b64decode
from binascii import Error as NotBase64
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from .. import tokens
from ..turns import (
    Audio,
    ContainerCitation,
    FileCitation,
    Finish,
    Item,
    Reasoning,
    Refusal,
    Text,
    ToolArguments,
    ToolCall,
    Usage,
    Whole,
)
from .chat import completion_pieces
from .chunks import chunks
from .responses import response_pieces

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from ..app import Server
    from ..engine import ChatRequest
    from ..turns import Piece

__all__ = ("Event", "RunTurn", "added", "shown")

Doc = dict[str, Any]


class Event(NamedTuple):
    """Something that happens in a run."""

    after: float
    """Seconds from the beginning of the turn."""
    name: str
    data: Doc


class RunTurn:
    """Takes the pieces of a model's turn; a sink. What happens is in `events`; times are set by who keeps them."""

    def __init__(self, server: Server, request: ChatRequest, run: Doc, keep: Callable[[bytes, str], str]) -> None:
        self.server = server
        self.keep = keep
        """Keeps a picture under a filename and gives the id of the file."""
        self.request = request
        self.run = run
        self.events: list[Event] = []
        self.spent = 0.0
        """Seconds the engine has taken so far."""
        self.calls: list[Doc] = []
        """Calls of functions that wait for their outputs."""
        self.finish: str | None = None
        self.usage: dict[str, Doc] = {}
        """Tokens by step."""
        self._told = Usage()
        self._step: Doc | None = None
        """The step that is under way."""
        self.called: Doc | None = None
        """The step of the calls that wait for their outputs."""
        self._message: Doc | None = None
        self._said: list[str] = []
        """What the step that is under way said, for its tokens."""
        self._thought: list[str] = []
        self._pictures: list[str] = []
        """Files of pictures that code drew, for the message that follows."""
        self._cited = 0

    # The sink

    def feed(self, piece: Piece) -> bool:
        """Take one piece; whether the turn is over with it."""
        if isinstance(piece, str):
            self._text(piece)
            return False
        take = _TAKES.get(type(piece))
        if take is not None:
            take(self, piece)
        return self.finish is not None

    def whole(self, text: str) -> None:
        """Take the text of a turn that has nothing else."""
        for part in chunks(text) or ("",):
            self._text(part)

    def end(self) -> None:
        """The turn has ended. Functions that were called leave their step open."""
        self._leave("completed", _CUT.get(self.finish or ""))
        if self.finish in _CUT and self.called is not None:
            self._step, self.called, self.calls = self.called, None, []  # cut short, they are no calls
            self._leave("cancelled")
        self._settle()

    # Pieces

    def _text(self, text: str) -> None:
        message = self._speaking()
        if text or not message["content"]:
            self._more({"type": "text", "text": {"value": text, "annotations": []}})
            self._said.append(text)

    def _refusal(self, piece: Refusal) -> None:
        self._speaking()
        self._more({"type": "refusal", "refusal": piece.text})
        self._said.append(piece.text)

    def _reasoning(self, piece: Reasoning) -> None:
        self._thought.append(piece.text)

    def _citation(self, piece: FileCitation) -> None:
        """A mark in the text. What was told cannot be changed, so it stands at the end of what there is."""
        at = len(_text_of(self._speaking()))
        mark = f"【{len(self.usage)}:{self._cited}†{piece.filename}】"
        self._cited += 1
        cited = {"type": "file_citation", "file_citation": {"file_id": piece.file_id}}
        self._annotated(mark, {**cited, "text": mark, "start_index": at, "end_index": at + len(mark)})

    def _path(self, piece: ContainerCitation) -> None:
        text = _text_of(self._speaking())[piece.start : piece.end]
        named = {"type": "file_path", "file_path": {"file_id": piece.file_id}}
        self._annotated("", {**named, "text": text, "start_index": piece.start, "end_index": piece.end})

    def _annotated(self, value: str, annotation: Doc) -> None:
        content: list[Doc] = self._speaking()["content"]
        known = sum(len(part["text"]["annotations"]) for part in content if part["type"] == "text")
        self._more({"type": "text", "text": {"value": value, "annotations": [{"index": known, **annotation}]}})

    def _call(self, piece: ToolCall) -> None:
        if self.called is None:
            self._begin_step({"type": "tool_calls", "tool_calls": []})
            self.called = self._step
        elif self._step is not self.called:
            self._leave("completed")
            self._step = self.called
        call: Doc = {
            "id": piece.id or self.server.ids.new("call_"),
            "type": "function",
            "function": {"name": piece.name, "arguments": "", "output": None},
        }
        self.calls.append(call)
        self._details()["tool_calls"].append(call)
        self._said.append(piece.name)
        self._step_delta({**call, "function": dict(call["function"])}, len(self.calls) - 1)

    def _arguments(self, piece: ToolArguments) -> None:
        if not self.calls:
            raise ValueError("an engine gave arguments of a tool before it began a call with ToolCall")
        if piece.text:
            self.calls[-1]["function"]["arguments"] += piece.text
            self._said.append(piece.text)
            self._step_delta({"type": "function", "function": {"arguments": piece.text}}, len(self.calls) - 1)

    def _item(self, piece: Item) -> None:
        take = _ITEMS.get(piece.body.get("type", ""))
        if take is not None:
            self._leave("completed")
            self._begin_step({"type": "tool_calls", "tool_calls": []})
            take(self, piece.body)
            self._leave("completed")

    def _search(self, item: Doc) -> None:
        options = next((tool.get("ranking_options") for tool in self.request.hosted_tools), None) or {}
        ranking = {"ranker": options.get("ranker") or "auto", "score_threshold": options.get("score_threshold") or 0.0}
        results = [
            {
                "file_id": each.get("file_id", ""),
                "file_name": each.get("filename", ""),
                "score": each.get("score", 0.0),
                "content": [{"type": "text", "text": each.get("text", "")}],
            }
            for each in item.get("results") or ()
        ]
        self._said += item.get("queries") or ()
        call = {"id": self.server.ids.new("call_"), "type": "file_search"}
        self._step_delta({**call, "file_search": {}}, 0)
        searched = {"ranking_options": ranking, "results": results}
        self._details()["tool_calls"].append({**call, "file_search": searched})

    def _code(self, item: Doc) -> None:
        key = self.server.ids.new("call_")
        self._step_delta({"id": key, "type": "code_interpreter", "code_interpreter": {"input": "", "outputs": []}}, 0)
        for part in chunks(item.get("code") or ""):
            self._step_delta({"type": "code_interpreter", "code_interpreter": {"input": part}}, 0)
        outputs = [self._output(each) for each in item.get("outputs") or ()]
        for place, output in enumerate(outputs):
            told = {"outputs": [{"index": place, **output}]}
            self._step_delta({"type": "code_interpreter", "code_interpreter": told}, 0)
        self._said.append(item.get("code") or "")
        ran = {"input": item.get("code") or "", "outputs": outputs}
        self._details()["tool_calls"].append({"id": key, "type": "code_interpreter", "code_interpreter": ran})

    def _output(self, output: Mapping[str, Any]) -> Doc:
        if output["type"] != "image":
            return {"type": "logs", "logs": output.get("logs", "")}
        head, _, data = output["url"].partition(";base64,")
        try:
            picture = b64decode(data, validate=True) if head.startswith("data:image/") else b""
        except NotBase64:
            picture = b""
        if not picture:  # pictures are files here, and what is elsewhere is none
            return {"type": "logs", "logs": f"{output['url']}\n"}
        name = f"{self.server.ids.new('image-', 8)}.{head.removeprefix('data:image/')}"
        self._pictures.append(self.keep(picture, name))
        return {"type": "image", "image": {"file_id": self._pictures[-1]}}

    def _counts(self, piece: Usage) -> None:
        known = (new if new is not None else old for old, new in zip(self._told, piece, strict=True))
        self._told = Usage(*known)

    def _end(self, piece: Finish) -> None:
        self.finish = piece.reason

    def _given(self, piece: Whole) -> None:
        body = piece.body
        for part in completion_pieces(body) if "choices" in body else response_pieces(body):
            self.feed(part)
        self.finish = self.finish or "stop"

    # Steps

    def _speaking(self) -> Doc:
        """The message that is under way."""
        if self._message is None:
            key = self.server.ids.new("msg_")
            self._begin_step({"type": "message_creation", "message_creation": {"message_id": key}})
            self._message = {
                "id": key,
                "object": "thread.message",
                "created_at": None,
                "assistant_id": self.run["assistant_id"],
                "thread_id": self.run["thread_id"],
                "run_id": self.run["id"],
                "status": "in_progress",
                "incomplete_details": None,
                "incomplete_at": None,
                "completed_at": None,
                "role": "assistant",
                "content": [],
                "attachments": [],
                "metadata": {},
            }
            for state in ("created", "in_progress"):
                self._emit(f"thread.message.{state}", {**self._message, "content": []})
            for picture in self._pictures:
                self._more({"type": "image_file", "image_file": {"file_id": picture, "detail": "auto"}})
            self._pictures = []
        return self._message

    def _more(self, part: Doc) -> None:
        """A piece of the message."""
        message = self._speaking()
        part = {"index": _place(message["content"], part["type"]), **part}
        message["content"] = added(message["content"], part)
        told = {"id": message["id"], "object": "thread.message.delta", "delta": {"content": [part]}}
        self._emit("thread.message.delta", told)

    def _begin_step(self, details: Doc) -> None:
        self._leave("completed")
        self._step = {
            "id": self.server.ids.new("step_"),
            "object": "thread.run.step",
            "created_at": None,
            "run_id": self.run["id"],
            "assistant_id": self.run["assistant_id"],
            "thread_id": self.run["thread_id"],
            "type": details["type"],
            "status": "in_progress",
            "cancelled_at": None,
            "completed_at": None,
            "expired_at": None,
            "failed_at": None,
            "last_error": None,
            "metadata": {},
            "step_details": details,
            "usage": None,
        }
        for state in ("created", "in_progress"):
            self._emit(f"thread.run.step.{state}", {**self._step, "step_details": _copied(details)})

    def _details(self) -> Doc:
        assert self._step is not None, "a call belongs to a step"
        details: Doc = self._step["step_details"]
        return details

    def _step_delta(self, call: Doc, index: int) -> None:
        assert self._step is not None, "a call belongs to a step"
        details = {"type": "tool_calls", "tool_calls": [{"index": index, **call}]}
        told = {"id": self._step["id"], "object": "thread.run.step.delta", "delta": {"step_details": details}}
        self._emit("thread.run.step.delta", told)

    def _measure(self) -> None:
        """Count the tokens of the step that is under way."""
        if self._step is None:
            return
        key, model = self._step["id"], self.request.model
        count = tokens.counter(model)
        said = count("".join(self._said)) + count("".join(self._thought))
        known = self.usage.get(key)
        if known is not None:
            self.usage[key] = _usage(known["prompt_tokens"], known["completion_tokens"] + said)
        else:
            self.usage[key] = _usage(self._prompt(), said)
        self._said, self._thought = [], []

    def _prompt(self) -> int:
        """Tokens the model has read for a step: the whole conversation, unless the engine told of another number."""
        told = self._told.input_tokens
        if told is not None:
            return 0 if self.usage else told  # it is the number of the whole turn
        return tokens.message_tokens(self.request.messages, self.request.model, self.request.body.get("tools"))

    def _settle(self) -> None:
        """Let the tokens be as many as the engine told, where it did."""
        output = self._told.output_tokens
        if output is None or not self.usage:
            return
        last = next(reversed(self.usage))
        others = sum(each["completion_tokens"] for key, each in self.usage.items() if key != last)
        self.usage[last] = _usage(self.usage[last]["prompt_tokens"], max(0, output - others))
        for place, event in enumerate(self.events):
            if event.data.get("usage") is not None and event.data["id"] == last:
                self.events[place] = event._replace(data={**event.data, "usage": self.usage[last]})

    def _leave(self, status: str, reason: str | None = None) -> None:
        """End the step that is under way, and its message, which is incomplete where there is a reason."""
        if self._step is None:
            return
        self._measure()
        if self._step is self.called:
            self._step = None  # it waits for the outputs
            return
        message, self._message = self._message, None
        if message is not None:
            state = "completed" if reason is None else "incomplete"
            details = None if reason is None else {"reason": reason}
            self._emit(f"thread.message.{state}", {**message, "status": state, "incomplete_details": details})
        step, self._step = self._step, None
        self._emit(f"thread.run.step.{status}", {**step, "status": status, "usage": self.usage[step["id"]]})

    def _emit(self, name: str, data: Doc) -> None:
        self.events.append(Event(self.spent, name, data))

    def required(self) -> Doc:
        """The action that the calls require."""
        calls = [{**call, "function": {k: call["function"][k] for k in ("name", "arguments")}} for call in self.calls]
        return {"type": "submit_tool_outputs", "submit_tool_outputs": {"tool_calls": calls}}


_CUT: Final = {"length": "max_tokens", "content_filter": "content_filter"}
"""Why a message is incomplete, by why the turn ended."""

_TAKES: Final[dict[type, Callable[[RunTurn, Any], None]]] = {
    Text: lambda turn, piece: turn._text(piece.text),
    Audio: lambda turn, piece: turn._text(piece.transcript),
    Refusal: RunTurn._refusal,
    Reasoning: RunTurn._reasoning,
    FileCitation: RunTurn._citation,
    ContainerCitation: RunTurn._path,
    ToolCall: RunTurn._call,
    ToolArguments: RunTurn._arguments,
    Item: RunTurn._item,
    Usage: RunTurn._counts,
    Finish: RunTurn._end,
    Whole: RunTurn._given,
}
"""Pieces by kind. Others have no place in a run: citations of the web."""

_ITEMS: Final[dict[str, Callable[[RunTurn, Doc], None]]] = {
    "file_search_call": RunTurn._search,
    "code_interpreter_call": RunTurn._code,
}
"""What tools of the server's left, by type. Runs have steps for no others."""


def _usage(prompt: int, completion: int) -> Doc:
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def _copied(details: Doc) -> Doc:
    return {**details, "tool_calls": list(details["tool_calls"])} if "tool_calls" in details else details


def _text_of(message: Doc) -> str:
    """What the part of a message says that is being written."""
    content: list[Doc] = message["content"]
    return content[-1]["text"]["value"] if content and content[-1]["type"] == "text" else ""


def _place(content: list[Doc], kind: str) -> int:
    """Where a piece of this kind goes: on with the last part, or to a new one."""
    return len(content) - 1 if content and content[-1]["type"] == kind != "image_file" else len(content)


def added(content: Iterable[Doc], piece: Doc) -> list[Doc]:
    """The content of a message with a piece from a delta added to it."""
    parts = list(content)
    place, kind = piece["index"], piece["type"]
    if place == len(parts):
        new = {name: value for name, value in piece.items() if name != "index"}
        if kind == "text":
            new["text"] = {"value": piece["text"]["value"], "annotations": _plain(piece["text"]["annotations"])}
        parts.append(new)
    elif kind == "text":
        old, more = parts[place]["text"], piece["text"]
        annotations = [*old["annotations"], *_plain(more["annotations"])]
        parts[place] = {**parts[place], "text": {"value": old["value"] + more["value"], "annotations": annotations}}
    else:
        parts[place] = {**parts[place], "refusal": parts[place]["refusal"] + piece["refusal"]}
    return parts


def _plain(annotations: Iterable[Doc]) -> list[Doc]:
    return [{name: value for name, value in each.items() if name != "index"} for each in annotations]


def shown(data: Doc, include: Iterable[str] | None) -> Doc:
    """What is told of a step: the texts that a search found are told on demand. Anything else is told as it is."""
    if data["object"] != "thread.run.step" or data["type"] != "tool_calls" or CONTENT in (include or ()):
        return data
    details = data["step_details"]
    return {**data, "step_details": {**details, "tool_calls": [_short(call) for call in details["tool_calls"]]}}


CONTENT: Final = "step_details.tool_calls[*].file_search.results[*].content"
"""What `include` names to have the texts that a search found."""


def _short(call: Doc) -> Doc:
    if call["type"] != "file_search" or "results" not in call["file_search"]:
        return call
    results = [{k: v for k, v in each.items() if k != "content"} for each in call["file_search"]["results"]]
    return {**call, "file_search": {**call["file_search"], "results": results}}
