"""Chat models of Seldon's LLM module, behind its API runtime (`output_all`) and its local runtime.

A conversation is the tensors `role`, `content`, `type`, `tool_calls` and `tool_call_id`. Of one message they have what
is in it as elements; of several an element for each, and what is a list there is JSON.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, ClassVar
from uuid import uuid4

import orjson

from ...kernel.errors import BadRequestError
from ...server.turns import Finish, Origin, Reasoning, Refusal, ToolArguments, ToolCall, Usage, Whole
from ..chunks import ChunkReader
from ..errors import broken
from ..oip.messages import Tensor
from . import Convention
from ._options import tool_choice_of, tools_of
from ._reading import finish_of, json_object

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ...server.engine import Message
    from ...server.turns import FinishReason, Piece
    from ..oip.messages import InferRequest, InferResponse, ModelMetadata
    from . import Question

__all__ = ("SeldonChat",)


class SeldonChat(Convention):
    """An element a message; all other parameters as `llm_parameters` for one runtime and as `kwargs` for the other."""

    key: ClassVar[str] = "seldon-chat"
    rank: ClassVar[int] = 10
    kinds: frozenset[str] = frozenset({"chat"})
    several: bool = True

    @classmethod
    def fits(cls, metadata: ModelMetadata) -> bool:
        return {"role", "content"} <= {each.name for each in metadata.inputs}

    def ask(self, question: Question) -> InferRequest:
        inputs = self._conversation(question.request.messages)
        tools = tools_of(question.request)
        if tools and self.takes("tools"):
            inputs.append(Tensor.of("tools", *map(_dumped, tools)))
            body = question.request.body
            parallel = body.get("parallel_tool_calls")
            if parallel is not None and self.takes("parallel_tool_calls"):
                inputs.append(Tensor.of("parallel_tool_calls", "true" if parallel else "false"))
            choice = tool_choice_of(question.request)
            if choice is not None and self.takes("tool_choice"):
                inputs.append(Tensor.of("tool_choice", choice if isinstance(choice, str) else _dumped(choice)))
        elif tools and question.request.tool_choice.mode == "required":
            raise BadRequestError.because(f"The model `{self.model.name}` takes no tools.", param="tools")
        options = question.options
        if question.n == 1 and (options.get("n") or 1) > 1:
            options = {name: value for name, value in options.items() if name != "n"}
        if bool(options.get("stream")) is not question.stream:
            options = {**options, "stream": question.stream}
        return self.asking(inputs, dict.fromkeys(("llm_parameters", "kwargs"), options))

    def reader(self, question: Question, place: int) -> _Reader:
        return _Reader(question, place, self.model.name)

    def _conversation(self, messages: Sequence[Message]) -> list[Tensor]:
        roles = [_role(message, at) for at, message in enumerate(messages)]
        parts = [_parts(message, at) for at, message in enumerate(messages)]
        fields: dict[str, list[Any]] = {
            "role": roles,
            "content": [[value for _, value in each] for each in parts],
            "type": [[kind for kind, _ in each] for each in parts],
            "tool_calls": [[_dumped(call) for call in message.get("tool_calls") or ()] for message in messages],
            "tool_call_id": [message.get("tool_call_id") or "" for message in messages],
        }
        if self.declares("name"):
            fields["name"] = [message.get("name") or "" for message in messages]
        made: list[Tensor] = []
        for name, values in fields.items():
            elements = _elements(values)
            if not self.takes(name):
                continue
            if any(elements):
                made.append(Tensor.of(name, *elements))
            elif self.strict and name in ("role", "content", "type") and not self.inputs[name].optional:
                made.append(Tensor.of(name, *([""] * len(messages))))
        return made


def _elements(values: list[Any]) -> list[str]:
    if len(values) == 1:
        return values[0] if isinstance(values[0], list) else values
    return [value if isinstance(value, str) else orjson.dumps(value).decode() if value else "" for value in values]


def _role(message: Message, at: int) -> str:
    role = message.get("role")
    if not isinstance(role, str):
        raise BadRequestError.because(f"Missing required parameter: 'messages[{at}].role'.", param=f"messages[{at}]")
    return role


def _parts(message: Message, at: int) -> list[tuple[str, str]]:
    """Types and values of what a message says."""
    content: Any = message.get("content")
    if content is None:
        return [("text", "")]
    if isinstance(content, str):
        return [("text", content)]
    parts: list[tuple[str, str]] = []
    for part in content:
        if isinstance(part, str):
            parts.append(("text", part))
            continue
        kind = part.get("type") or "text"
        value = part.get(kind)
        if value is None:
            place = f"messages[{at}].content"
            raise BadRequestError.because(
                f"Invalid '{place}': a part of type '{kind}' has no '{kind}' in it.", param=place
            )
        parts.append((kind, value if isinstance(value, str) else _dumped(value)))
    return parts


def _dumped(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


class _Reader:
    """Reads the provider's whole answer where it is there, and the tensors otherwise."""

    __slots__ = ("_chunks", "_counts", "_finish", "_model", "_place", "_question", "silent")

    def __init__(self, question: Question, place: int, model: str) -> None:
        self.silent = True
        self._question = question
        self._place = place
        self._model = model
        self._chunks: ChunkReader | None = None
        self._finish: FinishReason | None = None
        self._counts: list[int | None] = [None, None]

    def feed(self, response: InferResponse) -> Iterator[Piece]:
        told = response.output("output_all")
        if told is not None and told.data:
            body = json_object(told.texts[0])
            if body is not None and "error" in body and "choices" not in body:
                raise broken(self._model, _said(body["error"]))
            if body is not None and isinstance(body.get("choices"), list):
                yield from self._provider(body)
                return
        yield from self._tensors(response)

    # The provider's answer

    def _provider(self, body: dict[str, Any]) -> Iterator[Piece]:
        question = self._question
        choices: list[dict[str, Any]] = body["choices"]
        if question.whole and not question.stream and len(choices) >= question.n:
            self.silent = False
            if self._place == 0:
                yield Whole(_completed(body, question.request.model))
            return
        mine = [each for at, each in enumerate(choices) if each.get("index", at) == self._place]
        if choices and not mine:
            return
        # What was to be streamed may have come in one piece.
        mine = [each if "delta" in each else {**each, "delta": each.get("message") or {}} for each in mine]
        body = {**body, "choices": mine}
        if self._chunks is None:
            self._chunks = ChunkReader()
            if question.request.dialect == "chat":
                yield Origin(*(_text(body.get(name)) for name in ("id", "model", "system_fingerprint")))
        if body["choices"]:
            self.silent = False
        yield from self._chunks.feed(body)

    # The tensors

    def _tensors(self, response: InferResponse) -> Iterator[Piece]:
        role, content = response.output("role"), response.output("content")
        calls = response.output("tool_calls")
        if content is None and calls is None:
            there = ", ".join(each.name for each in response.outputs) or "none"
            raise ValueError(f"there is no output 'content' in it; there are {there}")
        several = role is not None and len(role.data) > 1
        if self._place and not several:
            return
        self.silent = False
        thought = response.output("reasoning_content") or response.output("reasoning")
        if thought is not None and thought.data and thought.texts[0]:
            yield Reasoning("".join(thought.texts))
        if content is not None:
            yield from self._contents(content.texts, response.output("type"), several=several)
        if calls is not None:
            texts = calls.texts[self._place : self._place + 1] if several else calls.texts
            yield from _calls(texts)
        reason = response.output("finish_reason")
        if reason is not None and reason.data:
            self._finish = finish_of(reason.texts[min(self._place, len(reason.data) - 1)]) or self._finish
        for at, names in enumerate(_COUNTS):
            found = next((each for name in names if (each := response.number(name)) is not None), None)
            if found is not None:
                self._counts[at] = found

    def _contents(self, texts: list[str], types: Tensor | None, *, several: bool) -> Iterator[Piece]:
        kinds = [] if types is None else types.texts
        if several:
            texts, kinds = texts[self._place : self._place + 1], kinds[self._place : self._place + 1]
        for at, text in enumerate(texts):
            if not text:
                continue
            if at < len(kinds) and kinds[at] == "refusal":
                yield Refusal(text)
            else:
                yield text

    def end(self) -> Iterator[Piece]:
        if self._chunks is not None:
            yield from self._chunks.end()
            return
        if self._counts != [None, None]:
            yield Usage(*self._counts)
        if self._finish is not None:
            yield Finish(self._finish)


_COUNTS = (
    ("prompt_tokens", "input_tokens", "num_input_tokens"),
    ("completion_tokens", "output_tokens", "num_output_tokens"),
)
"""What outputs that count tokens may be called: those of the prompt, and those of the answer."""


def _completed(body: dict[str, Any], model: str) -> dict[str, Any]:
    """A chat completion with what has to be in one."""
    for place, choice in enumerate(body["choices"]):
        choice.setdefault("index", place)
        choice.setdefault("finish_reason", "stop")
        choice.setdefault("message", {}).setdefault("role", "assistant")
    if not body.get("id"):
        body["id"] = f"chatcmpl-{uuid4().hex}"
    body.setdefault("object", "chat.completion")
    body.setdefault("created", int(time.time()))
    body.setdefault("model", model)
    return body


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _calls(texts: Sequence[str]) -> Iterator[Piece]:
    """Calls of tools: each element is one as JSON, or a list of them."""
    for text in texts:
        if not text:
            continue
        try:
            value: Any = orjson.loads(text)
        except orjson.JSONDecodeError:
            raise ValueError(f"the output 'tool_calls' has an element that is no JSON: {text[:80]!r}") from None
        for each in value if isinstance(value, list) else [value]:
            call: Any = orjson.loads(each) if isinstance(each, str) else each
            function = call.get("function") or call
            arguments = function.get("arguments") or "{}"
            yield ToolCall(call.get("id"), function["name"])
            yield ToolArguments(arguments if isinstance(arguments, str) else orjson.dumps(arguments).decode())


def _said(error: Any) -> str:
    found = error.get("message") if isinstance(error, dict) else error
    return str(found)
