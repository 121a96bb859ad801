"""A chat completion put together from its chunks, and the events that follow from each. No I/O, no colour."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, Generic

from ....kernel.errors import ContentFilterFinishReasonError, LengthFinishReasonError
from ....kernel.omit import NotGiven, Omit, omit
from ..._late import late
from ..._parsing._completions import (
    has_parseable_input,
    parse_arguments,
    parse_chat_completion,
    parse_content,
    rich,
)
from ..._partial import partial_json
from ..._variables import ResponseFormatT
from .._deltas import Accumulated, Growing, copied
from .._sound import CallNumbers, sound_choices
from ._events import (
    ChunkEvent,
    ContentDeltaEvent,
    ContentDoneEvent,
    FunctionToolCallArgumentsDeltaEvent,
    FunctionToolCallArgumentsDoneEvent,
    LogprobsContentDeltaEvent,
    LogprobsContentDoneEvent,
    LogprobsRefusalDeltaEvent,
    LogprobsRefusalDoneEvent,
    RefusalDeltaEvent,
    RefusalDoneEvent,
)

if TYPE_CHECKING:
    from ....types.chat.chat_completion_chunk import ChatCompletionChunk
    from ....types.chat.chat_completion_tool_union_param import ChatCompletionToolUnionParam
    from ....types.chat.completion_create_params import ResponseFormat
    from ....types.chat.parsed_chat_completion import ParsedChatCompletion
    from ._events import ChatCompletionStreamEvent, ParsedChatCompletionSnapshot

__all__ = ("ChatCompletionStreamState",)

JSON = dict[str, Any]

_OF_THE_CHUNK = frozenset(("choices", "object", "obfuscation"))
"""What a chunk has and a completion has not, or not so."""
_LOGPROBS = (
    ("content", LogprobsContentDeltaEvent, LogprobsContentDoneEvent),
    ("refusal", LogprobsRefusalDeltaEvent, LogprobsRefusalDoneEvent),
)


class _Choice:
    """One of the choices, as far as it has come."""

    __slots__ = ("content", "content_done", "data", "done_calls", "done_logprobs", "message", "refusal_done", "tool")

    def __init__(self, data: JSON) -> None:
        self.data = data
        self.message: JSON = data["message"]
        self.content: Growing | None = None
        self.content_done = False
        self.refusal_done = False
        self.done_logprobs: set[str] = set()
        self.done_calls: set[int] = set()
        self.tool: int | None = None
        """The place of the call whose arguments are coming."""


class ChatCompletionStreamState(Generic[ResponseFormatT]):
    """Takes the chunks of a stream one by one: events come out, and in the end the completion.

    state = ChatCompletionStreamState()
    for chunk in client.chat.completions.create(..., stream=True):
        for event in state.handle_chunk(chunk): ...
    completion = state.get_final_completion()
    """

    def __init__(
        self,
        *,
        input_tools: Iterable[ChatCompletionToolUnionParam] | Omit = omit,
        response_format: type[ResponseFormatT] | ResponseFormat | Omit = omit,
    ) -> None:
        self._tools: list[Any] = [] if isinstance(input_tools, (Omit, NotGiven)) else list(input_tools)
        self._format: Any = response_format
        self._rich = rich(response_format)
        self._parses = has_parseable_input(response_format=response_format, input_tools=self._tools)
        self._strict = {tool["function"]["name"] for tool in self._tools if _is_strict(tool)}
        self._told: Accumulated | None = None
        self._choices: dict[int, _Choice] = {}
        self._calls: dict[int, CallNumbers] = {}

    @property
    def current_completion_snapshot(self) -> ParsedChatCompletionSnapshot:
        """The completion so far. Raises `RuntimeError` before the first chunk."""
        from ....types.chat.parsed_chat_completion import ParsedChatCompletion

        return ParsedChatCompletion.of(self._snapshot())

    def get_final_completion(self) -> ParsedChatCompletion[ResponseFormatT]:
        """The completion, parsed. Whether all chunks have come is for the caller to know.

        Raises `LengthFinishReasonError` and `ContentFilterFinishReasonError` for an answer that was cut off, and what
        the types raise for one they do not take.
        """
        snapshot: Any = self.current_completion_snapshot
        return parse_chat_completion(
            chat_completion=snapshot,
            response_format=self._format if self._rich else omit,
            input_tools=self._tools,
        )

    def handle_chunk(self, chunk: ChatCompletionChunk) -> list[ChatCompletionStreamEvent[ResponseFormatT]]:
        """Add a chunk; the events that follow from it.

        Raises `LengthFinishReasonError` and `ContentFilterFinishReasonError` when an answer that is to be parsed is
        cut off, and what the types raise for one they do not take.
        """
        data: JSON = chunk._data
        told = self._told
        if told is None:
            told = self._told = Accumulated({"system_fingerprint": None, "choices": [], "object": "chat.completion"})
        for key, value in data.items():
            if key not in _OF_THE_CHUNK and (value is not None or key not in told.root):
                told.root[key] = value
        events: list[Any] = [late(ChunkEvent, {"type": "chunk", "chunk": data}, {"snapshot": self._snapshot})]
        for index, part in sound_choices(data, self._calls):
            choice = self._add(told, index, part)
            self._tell(told, choice, part, events)
        return events

    # Accumulating

    def _snapshot(self) -> JSON:
        told = self._told
        if told is None:
            raise RuntimeError("the stream has not begun: there is no completion yet")
        data = told.settle()
        for choice in self._choices.values():
            message = choice.message
            if self._rich and not choice.content_done and message.get("content") and not message.get("refusal"):
                message["parsed"] = _partial(message["content"])
            for place, call in enumerate(message.get("tool_calls") or ()):
                function = call.get("function")
                if function and place not in choice.done_calls and function.get("name") in self._strict:
                    function["parsed_arguments"] = _partial(function.get("arguments") or "")
        return data

    def _add(self, told: Accumulated, index: int, part: JSON) -> _Choice:
        delta = part.get("delta") or {}
        choice = self._choices.get(index)
        if choice is None:
            given = {key: copied(value) for key, value in part.items() if key not in ("delta", "logprobs")}
            choice = self._choices[index] = _Choice({**given, "message": {}})
            choices: list[JSON] = told.root["choices"]
            after = sum(1 for each in self._choices if each < index)
            choices.insert(after, choice.data)
        else:
            for key, value in part.items():
                if value is not None and key not in ("delta", "logprobs", "index"):
                    choice.data[key] = copied(value)
        content = delta.get("content")
        if len(delta) == 1 and choice.content is not None and isinstance(content, str):
            told.grow(choice.message, "content", content)  # what nearly every delta is
        else:
            told.merge(delta, choice.message)
            if isinstance(content, str) and isinstance(choice.message.get("content"), str):
                choice.content = told.growing(choice.message, "content")
        _add_logprobs(choice.data, part.get("logprobs"))
        reason = part.get("finish_reason")
        if self._parses and reason in ("length", "content_filter"):
            snapshot = self.current_completion_snapshot
            if reason == "length":
                raise LengthFinishReasonError(completion=snapshot)
            raise ContentFilterFinishReasonError(completion=snapshot)
        return choice

    # Events

    def _tell(self, told: Accumulated, choice: _Choice, part: JSON, events: list[Any]) -> None:
        delta = part.get("delta") or {}
        message = choice.message
        content = delta.get("content")
        if content is not None and choice.content is not None:
            makers: dict[str, Callable[[], Any]] = _so_far("snapshot", choice.content)
            if self._rich and not message.get("refusal"):
                makers["parsed"] = partial(_partial_at, choice.content, len(choice.content.pieces))
            known = {"type": "content.delta", "delta": content}
            if len(makers) == 1:
                known["parsed"] = None
            events.append(late(ContentDeltaEvent, known, makers))
        if delta.get("refusal") is not None and message.get("refusal") is not None:
            refusal = told.growing(message, "refusal")
            known = {"type": "refusal.delta", "delta": delta["refusal"]}
            events.append(late(RefusalDeltaEvent, known, _so_far("snapshot", refusal)))
        calls = delta.get("tool_calls")
        if calls:
            self._tell_calls(told, choice, calls, events)
        self._tell_logprobs(choice, part.get("logprobs"), events)
        if calls:
            for call in calls:
                self._begin_call(choice, _place(message["tool_calls"], call), told, events)
        if choice.data.get("finish_reason"):
            self._end_content(told, choice, events)
            if choice.tool is not None:
                self._end_call(told, choice, choice.tool, events)

    def _tell_calls(self, told: Accumulated, choice: _Choice, calls: list[JSON], events: list[Any]) -> None:
        for delta in calls:
            place = _place(choice.message["tool_calls"], delta)
            function = choice.message["tool_calls"][place].get("function")
            if not isinstance(function, dict):
                continue
            name = function.get("name")
            arguments = told.growing(function, "arguments")
            makers = _so_far("arguments", arguments)
            known: JSON = {
                "type": "tool_calls.function.arguments.delta",
                "name": name,
                "index": delta.get("index", place),
                "arguments_delta": (delta.get("function") or {}).get("arguments") or "",
            }
            if name in self._strict:
                makers["parsed_arguments"] = partial(_partial_at, arguments, len(arguments.pieces))
            else:
                known["parsed_arguments"] = None
            events.append(late(FunctionToolCallArgumentsDeltaEvent, known, makers))

    def _tell_logprobs(self, choice: _Choice, delta: JSON | None, events: list[Any]) -> None:
        for key, kind, _ in _LOGPROBS if delta else ():
            added = (delta or {}).get(key)
            if added:
                all_: list[Any] = choice.data["logprobs"][key]
                known = {"type": f"logprobs.{key}.delta", key: added}
                events.append(late(kind, known, {"snapshot": partial(_first, all_, len(all_))}))

    def _begin_call(self, choice: _Choice, place: int, told: Accumulated, events: list[Any]) -> None:
        if choice.tool == place:
            return
        self._end_content(told, choice, events)
        if choice.tool is not None:
            self._end_call(told, choice, choice.tool, events)
        choice.tool = place

    def _end_content(self, told: Accumulated, choice: _Choice, events: list[Any]) -> None:
        message = told.settle() and choice.message
        if message.get("content") and not choice.content_done:
            choice.content_done = True
            parsed = message["parsed"] = parse_content(self._format, message)
            known = {"type": "content.done", "content": message["content"], "parsed": parsed}
            events.append(late(ContentDoneEvent, known, {}))
        if message.get("refusal") is not None and not choice.refusal_done:
            choice.refusal_done = True
            events.append(late(RefusalDoneEvent, {"type": "refusal.done", "refusal": message["refusal"]}, {}))
        logprobs = choice.data.get("logprobs") or {}
        for key, _, kind in _LOGPROBS:
            if logprobs.get(key) is not None and key not in choice.done_logprobs:
                choice.done_logprobs.add(key)
                events.append(late(kind, {"type": f"logprobs.{key}.done", key: logprobs[key]}, {}))

    def _end_call(self, told: Accumulated, choice: _Choice, place: int, events: list[Any]) -> None:
        if place in choice.done_calls:
            return
        choice.done_calls.add(place)
        told.settle()
        call = choice.message["tool_calls"][place]
        function = call.get("function")
        if not isinstance(function, dict):
            return
        name, arguments = function.get("name"), function.get("arguments") or ""
        parsed = function["parsed_arguments"] = parse_arguments(self._tools, name, arguments)
        known = {
            "type": "tool_calls.function.arguments.done",
            "index": call.get("index", place),
            "name": name,
            "arguments": arguments,
            "parsed_arguments": parsed,
        }
        events.append(late(FunctionToolCallArgumentsDoneEvent, known, {}))


def _is_strict(tool: Any) -> bool:
    return tool["type"] == "function" and bool(tool["function"].get("strict"))


def _add_logprobs(choice: JSON, added: JSON | None) -> None:
    if added is None:
        return
    if choice.get("logprobs") is None:
        choice["logprobs"] = {key: None for key, _, _ in _LOGPROBS}
    known: JSON = choice["logprobs"]
    for key, values in added.items():
        if isinstance(values, list) and isinstance(known.get(key), list):
            known[key] += values
        elif values is not None:
            known[key] = list(values) if isinstance(values, list) else values


def _place(calls: list[JSON], delta: JSON) -> int:
    """Where in the calls of a message the one is that a delta went to."""
    index, identity = delta.get("index"), delta.get("id")
    for place, call in enumerate(calls):
        if (index is not None and call.get("index") == index) or (
            index is None and identity and call.get("id") == identity
        ):
            return place
    return len(calls) - 1


def _so_far(key: str, text: Growing) -> dict[str, Callable[[], Any]]:
    return {key: partial(text.at, len(text.pieces))}


def _first(values: list[Any], count: int) -> list[Any]:
    return values[:count]


def _partial(text: str) -> Any:
    try:
        return partial_json(text)
    except ValueError:
        return None


def _partial_at(text: Growing, count: int) -> Any:
    return _partial(text.at(count))
