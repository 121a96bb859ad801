"""A conversation without colour: what is sent, what is remembered, and the rounds of tools, as one flow.

The flow yields steps, for whoever drives it, and pieces, for whoever listens; it returns the reply.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from ...api.chat.completions import Completions
from ...kernel.flow import Flow, Next, Step, through
from ...kernel.helper import Together
from ...kernel.view import plain
from ...lib._function_tool import FunctionTool, as_text
from .history import Message, Tokens, message, trimmed
from .pieces import Piece, Reply, Text, ToolCall, ToolResult, Usage
from .reading import Answered, Chunks, calls_of, read

if TYPE_CHECKING:
    import os

    from ...types.chat import ChatCompletionContentPartParam, ChatCompletionMessageParam

__all__ = ("Content", "Conversation", "Turn", "quiet")

if TYPE_CHECKING:
    Content: TypeAlias = (
        str
        | ChatCompletionContentPartParam
        | Iterable[str | ChatCompletionContentPartParam]
        | ChatCompletionMessageParam
    )
    """A question: text, a part such as a picture, several parts, or a whole message."""
else:
    Content = object

Turns: TypeAlias = Generator["Step[Any] | Piece", Any, Reply]

_VERSION: Final = 1
_BEGIN: Final = ("model", "system", "messages", "usage")


class Turn:
    """One question on its way to its answer."""

    __slots__ = ("content", "flow", "open", "options", "reply", "streamed")

    def __init__(self, content: Message, options: dict[str, Any], *, streamed: bool) -> None:
        self.content = content
        self.options = options
        self.streamed = streamed
        self.reply = Reply()
        self.open: Any = None
        """The stream that is being read, which whoever leaves early has to close."""
        self.flow: Turns


def quiet(turns: Turns) -> Flow[Reply]:
    """The steps of a turn without its pieces."""

    def each(item: Any) -> Flow[Any]:
        return (yield item) if isinstance(item, Step) else None

    return through(turns, each)


class Conversation:
    """What both chats are."""

    def __init__(
        self,
        client: Any,
        *,
        model: str,
        system: str | None,
        tools: Iterable[Callable[..., Any] | FunctionTool],
        history: Iterable[ChatCompletionMessageParam],
        history_messages: int | None,
        history_tokens: int | None,
        count_tokens: Callable[[str], int] | None,
        max_rounds: int,
        tools_at_once: int,
        tool_error: Callable[[ToolCall, Exception], str] | None,
        options: Mapping[str, Any],
    ) -> None:
        for name, limit in (("history_messages", history_messages), ("history_tokens", history_tokens)):
            if limit is not None and limit < 1:
                raise ValueError(f"{name} is at least 1, or None for no limit; it was {limit}")
        if max_rounds < 0 or tools_at_once < 1:
            raise ValueError("max_rounds cannot be negative, and tools_at_once is at least 1")
        self.client = client
        self.model = model
        self.system = system
        """The system prompt. It never leaves the conversation, and may be changed between questions."""
        self.history_messages = history_messages
        self.history_tokens = history_tokens
        self.max_rounds = max_rounds
        self.tools_at_once = tools_at_once
        self.tool_error = tool_error
        self.options: dict[str, Any] = _options(options)
        """What goes along with every completion."""
        self.usage = Usage()
        """What the conversation has cost so far."""
        self._tools: dict[str, FunctionTool] = {}
        self._tokens = Tokens(count_tokens)
        self._messages: list[Message] = [message(each) for each in history]
        self.register(*tools)

    # Tools

    @property
    def tools(self) -> dict[str, FunctionTool]:
        """The tools the model may call, by name."""
        return dict(self._tools)

    def register(self, *tools: Callable[..., Any] | FunctionTool) -> None:
        """Let the model call functions. One whose name is taken replaces the tool of that name.

        Raises `TypeError` where a function's parameters have no types that a model could be told of.
        """
        for each in tools:
            made = FunctionTool.of(each)
            self._tools[made.name] = made

    def unregister(self, *names: str) -> None:
        """Take tools away. Raises `KeyError` for one that is not there."""
        for name in names:
            del self._tools[name]

    # Memory

    @property
    def history(self) -> list[ChatCompletionMessageParam]:
        """The messages that are remembered, oldest first, without the system prompt. A copy: assign to change it."""
        from copy import deepcopy

        messages: Any = deepcopy(self._messages)
        return messages  # type: ignore[no-any-return]

    @history.setter
    def history(self, messages: Iterable[ChatCompletionMessageParam]) -> None:
        self._messages = [message(each) for each in messages]

    def clear(self) -> None:
        """Forget what was said. The system prompt and the tools stay."""
        self._messages = []

    def to_dict(self) -> dict[str, Any]:
        """The conversation as JSON data: the model, the system prompt, the history and the usage, no tools, no keys."""
        from dataclasses import asdict

        return {
            "version": _VERSION,
            "model": self.model,
            "system": self.system,
            "messages": self.history,
            "usage": asdict(self.usage),
        }

    def to_json(self) -> str:
        """`to_dict` as JSON text."""
        from json import dumps

        return dumps(self.to_dict(), ensure_ascii=False, indent=2)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the conversation to a file, whole or not at all."""
        import os
        from pathlib import Path

        target = Path(path)
        beside = target.with_name(f".{target.name}.{os.getpid()}")
        beside.write_text(self.to_json(), encoding="utf-8")
        beside.replace(target)

    def restore(self, saved: Mapping[str, Any] | str) -> None:
        """Go on where a conversation was saved: from `to_dict`, or the text of `to_json`.

        The tools, the client and the options stay what they are. Raises `ValueError` for anything else.
        """
        model, system, messages, usage = _restored(saved)
        self._messages = messages
        self.model = model or self.model
        self.system = system
        self.usage = usage

    # The flow

    def _turn(self, content: Any, options: Mapping[str, Any], *, streamed: bool) -> Turn:
        turn = Turn(_question(content), {**self.options, **_options(options)}, streamed=streamed)
        turn.flow = self._turns(turn)
        return turn

    def _turns(self, turn: Turn) -> Turns:
        reply = turn.reply
        pending: list[Message] = [turn.content]
        try:
            while True:
                more = reply.rounds < self.max_rounds
                body = self._body(pending, turn.options, reply.rounds, tools=more)
                answer = yield from self._streamed(body, turn) if turn.streamed else self._whole(body)
                spent = Usage.of(answer.usage)
                reply.usage += spent
                self.usage += spent
                self._tokens.learn(body["messages"], self._tool_words(), spent.prompt_tokens)
                reply.completion, reply.finish_reason = answer.completion, answer.finish_reason
                reply.text, reply.reasoning, reply.refusal = answer.text, answer.reasoning, answer.refusal
                sent, calls = calls_of(answer.message, sum(len(each.get("tool_calls") or ()) for each in pending))
                if not calls or not more:
                    break
                reply.rounds += 1
                # What the model thought goes back with its calls, and no further: hosts that think want it there.
                thought = {key: answer.message[key] for key in ("reasoning_content",) if answer.message.get(key)}
                pending.append({**message({**answer.message, "role": "assistant", "tool_calls": sent}), **thought})
                yield from calls
                results = yield from self._run(calls)
                reply.tools += results
                pending += [{"role": "tool", "tool_call_id": each.call.id, "content": each.text} for each in results]
                yield from results
        except Exception:
            raise
        except BaseException:
            # Whoever leaves while the answer is being said keeps what was said so far.
            if turn.streamed and reply.text:
                self._remember(reply, [*pending, {"role": "assistant", "content": reply.text}])
            raise
        said = {key: value for key, value in answer.message.items() if key != "tool_calls"}
        self._remember(reply, [*pending, message({**said, "role": "assistant"})])
        return reply

    def _whole(self, body: dict[str, Any]) -> Generator[Step[Any], Any, Answered]:
        answer = yield from self.client._ask(Completions.create, (), body)
        return read(answer.result)

    def _streamed(self, body: dict[str, Any], turn: Turn) -> Generator[Step[Any] | Piece, Any, Answered]:
        body["stream"] = True
        body.setdefault("stream_options", {"include_usage": True})
        answer = yield from self.client._ask(Completions.create, (), body)
        reply = turn.reply
        reply.text = reply.reasoning = reply.refusal = ""
        turn.open = answer.result
        chunks, step = Chunks(), Next(answer.result)
        said: list[str] = []
        try:
            while (chunk := (yield step)) is not None:
                for piece in chunks.add(chunk):
                    if isinstance(piece, Text):
                        said.append(piece.text)
                    yield piece
        finally:
            reply.text = "".join(said)
        turn.open = None
        return chunks.answered()

    def _run(self, calls: list[ToolCall]) -> Flow[list[ToolResult]]:
        if len(calls) == 1 or self.tools_at_once == 1:
            results: list[ToolResult] = []
            for call in calls:
                results.append((yield from self._made(call)))  # noqa: PERF401 (a comprehension cannot wait)
            return results
        together: list[ToolResult] = yield Together([self._made(call) for call in calls], self.tools_at_once)
        return together

    def _made(self, call: ToolCall) -> Flow[ToolResult]:
        """One call, and what came of it: an error is told to the model, which may try otherwise."""
        tool = self._tools.get(call.name)
        try:
            if tool is None:
                known = ", ".join(self._tools) or "none"
                raise LookupError(f"there is no tool named {call.name!r}; known are {known}")
            value = yield from tool.call(call.arguments)
            return ToolResult(call, as_text(value), value)
        except Exception as error:
            told = self.tool_error(call, error) if self.tool_error is not None else _told(error)
            return ToolResult(call, told, None, error)

    # What is sent

    def _body(self, pending: list[Message], options: dict[str, Any], rounds: int, *, tools: bool) -> dict[str, Any]:
        body = {**options, "model": self.model, "messages": self._context(pending)}
        if self._tools:
            body["tools"] = [each.to_param() for each in self._tools.values()]
            if not tools:
                body["tool_choice"] = "none"
            elif rounds and body.get("tool_choice") not in (None, "auto", "none"):
                # A call that was demanded has been made; demanding it again would never end.
                del body["tool_choice"]
        return body

    def _context(self, pending: Sequence[Message]) -> list[Message]:
        """The system prompt and as much of the history as fits, with the question under way whole."""
        prompt = self._prompt()
        return [*prompt, *trimmed([*self._messages, *pending], len(pending), self._fits)]

    def _prompt(self) -> list[Message]:
        return [] if self.system is None else [{"role": "system", "content": self.system}]

    def _fits(self, messages: Sequence[Message]) -> bool:
        if self.history_messages is not None and len(messages) > self.history_messages:
            return False
        if self.history_tokens is None:
            return True
        return self._tokens.of([*self._prompt(), *messages], self._tool_words()) <= self.history_tokens

    def _tool_words(self) -> str:
        if not self._tools:
            return ""
        from orjson import dumps

        return dumps([each.to_param() for each in self._tools.values()]).decode()

    def _remember(self, reply: Reply, messages: list[Message]) -> None:
        for each in messages:
            each.pop("reasoning_content", None)
        reply.messages = messages  # type: ignore[assignment]
        self._messages = trimmed([*self._messages, *messages], 0, self._fits)


def _options(given: Mapping[str, Any]) -> dict[str, Any]:
    for name in ("messages", "stream", "tools"):
        if name in given:
            raise TypeError(f"a chat gives `{name}` itself")
    known = Completions.create.parameters | {"extra_headers", "extra_query", "extra_body", "timeout"}
    for name in given:
        if name not in known:
            raise TypeError(f"a chat has no option '{name}', nor has chat.completions.create()")
    return dict(given)


def _question(content: Any) -> Message:
    if isinstance(content, str):
        return {"role": "user", "content": content}
    given = plain(content)
    if isinstance(given, Mapping):
        return message(given) if "role" in given else {"role": "user", "content": [dict(given)]}
    parts = [{"type": "text", "text": each} if isinstance(each, str) else plain(each) for each in _each(given)]
    if not parts or not all(isinstance(part, Mapping) and "type" in part for part in parts):
        raise TypeError(f"a question is text, a part, a list of texts and parts, or a message; not {content!r}")
    return {"role": "user", "content": parts}


def _each(given: Any) -> Iterator[Any]:
    if not isinstance(given, Iterable) or isinstance(given, (bytes, bytearray)):
        raise TypeError(f"a question is text, a part, a list of texts and parts, or a message; not {given!r}")
    return iter(given)


def _told(error: Exception) -> str:
    words = str(error)
    if isinstance(error, (LookupError, ValueError)) and words:
        return f"Error: {words}"
    return f"Error: {type(error).__name__}: {words}" if words else f"Error: {type(error).__name__}"


def _restored(saved: Any) -> tuple[str | None, str | None, list[Message], Usage]:
    from dataclasses import fields

    if isinstance(saved, str):
        from orjson import loads

        saved = loads(saved)
    if not isinstance(saved, Mapping) or not isinstance(saved.get("messages"), list):
        raise ValueError("this is no saved conversation: it has no list of messages")
    version = saved.get("version", _VERSION)
    if version != _VERSION:
        raise ValueError(f"this conversation was saved in version {version!r} of the form; version {_VERSION} is read")
    try:
        messages = [message(each) for each in saved["messages"]]
    except TypeError as error:
        raise ValueError(str(error)) from None
    known = {each.name for each in fields(Usage)}
    spent = saved.get("usage") if isinstance(saved.get("usage"), Mapping) else {}
    usage = Usage(**{name: int(value) for name, value in (spent or {}).items() if name in known})
    return saved.get("model"), saved.get("system"), messages, usage
