"""Agents: a chat completion whose tools are run here, round after round, until the model answers in words."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Unpack

from ...client.chat.conversation import Conversation
from ...client.chat.options import ChatOptions
from ...client.chat.reading import Chunks, calls_of
from ...kernel.flow import World, arun
from ..answers import Answer, Asked, ComposedAnswer
from ..errors import scrubbed
from ..events import Error, Event, Finish, Start, Step, ToolResult, Usage
from ..upstream.chat import ChatReader
from .base import messages_of
from .chat import MODEL, ChatCompletionResource, Tools

if TYPE_CHECKING:
    from ...client.chat.pieces import ToolCall
    from ...types.chat import ChatCompletion

__all__ = ("AgentResource",)


class AgentResource(ChatCompletionResource):
    """A chat completion that runs its tools.

    `tools` are typed functions, plain or coroutines: the model is told their docstrings and types, they are run (as
    many as `tools_at_once` at the same time, on threads where they may block), and it is given what they return, or
    why they failed, which `tool_error` may say in other words. After `max_rounds` rounds it has to answer in words.
    Tools given as the API has them are the caller's to run: their calls end the answer. Callers are told calls and
    results as they happen, in the formats that have a place for them. Every other argument is as in
    `ChatCompletionResource`.
    """

    def __init__(
        self,
        *,
        client: Any = None,
        model: str = MODEL,
        stream: bool = False,
        system: str | None = None,
        tools: Tools = (),
        max_rounds: int = 10,
        tools_at_once: int = 8,
        tool_error: Callable[[ToolCall, Exception], str] | None = None,
        **options: Unpack[ChatOptions],
    ) -> None:
        super().__init__(client=client, model=model, stream=stream, system=system, **options)
        self.tools = given = tuple(tools)
        self.theirs = [dict(each) for each in given if isinstance(each, Mapping)]
        """Tools that callers run."""
        self._loop = Conversation(
            None,
            model=model,
            system=system,
            tools=[each for each in given if not isinstance(each, Mapping)],
            history=(),
            history_messages=None,
            history_tokens=None,
            count_tokens=None,
            max_rounds=max_rounds,
            tools_at_once=tools_at_once,
            tool_error=tool_error,
            options={},
        )

    def tool(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Register a function, as a decorator."""
        self._loop.register(function)
        return function

    async def open(self, asked: Asked) -> Answer:
        """Ask. Raises the client's errors where the upstream says no to the first question."""
        messages = list(messages_of(asked))
        stream = self.stream if asked.stream is None else asked.stream
        reader = _Reader(0)
        first = await self._ask(asked, messages, 0, reader, stream)
        rounds = self._rounds(asked, messages, first, reader, stream)
        answer = _AgentAnswer(rounds, secrets=self.caller().secrets, streamed=stream)
        answer.opened = first
        answer.request_id = first.request_id
        return answer

    async def __call__(self, messages: Sequence[Mapping[str, Any]]) -> ChatCompletion:
        """The last completion as a whole, with the usage of all rounds. Raises the client's errors, and `Failed`."""
        from orjson import loads

        from ...types.chat import ChatCompletion as Completion

        answer = await self.open(Asked([dict(each) for each in messages], False))
        try:
            return Completion.of(loads(await answer.body()))
        finally:
            await answer.close()

    async def _ask(
        self, asked: Asked, messages: list[dict[str, Any]], rounds: int, reader: _Reader, stream: bool
    ) -> Answer:
        options = {**self.options, **asked.options}
        if stream:
            options.setdefault("stream_options", {"include_usage": True})
        else:
            options.pop("stream_options", None)
        body = self._loop._body(messages, options, rounds, tools=rounds < self._loop.max_rounds)
        if "model" in asked.options:
            body["model"] = asked.options["model"]
        theirs = [*self.theirs, *(asked.options.get("tools") or ())]
        if theirs:
            own = [each.to_param() for each in self._loop.tools.values()]
            body["tools"] = [*own, *theirs]
        caller = self.caller()
        return await (caller.stream if stream else caller.whole)(self.path, body, reader)

    async def _rounds(
        self, asked: Asked, messages: list[dict[str, Any]], answer: Answer, reader: _Reader, stream: bool
    ) -> AsyncIterator[list[Event]]:
        rounds = taken = 0
        spent = Usage()
        world = World()
        secrets = self.caller().secrets
        while True:
            try:
                while (events := await answer.next()) is not None:
                    told: list[Event] = []
                    for event in events:
                        if isinstance(event, Usage):
                            spent = _sum(spent, event)
                        elif isinstance(event, Error):
                            yield [*told, *([spent] if spent != Usage() else ()), event]
                            return
                        elif not isinstance(event, Finish) and not (rounds and isinstance(event, Start)):
                            told.append(event)
                    if told:
                        yield told
            finally:
                await answer.close()
            answered = reader.chunks.answered()
            sent, calls = calls_of(answered.message, taken)
            ours = self._loop.tools
            foreign = {_name(each) for each in (*self.theirs, *(asked.options.get("tools") or ()))} - ours.keys()
            if not calls or rounds >= self._loop.max_rounds or any(call.name in foreign for call in calls):
                reason: Any = answered.finish_reason or ("tool_calls" if calls else "stop")
                yield [spent, Finish(reason)] if spent != Usage() else [Finish(reason)]
                return
            taken += len(calls)
            rounds += 1
            kept = {key: answered.message[key] for key in ("reasoning_content",) if answered.message.get(key)}
            content = answered.message.get("content")
            messages.append({"role": "assistant", "content": content, "tool_calls": sent, **kept})
            results = await arun(self._loop._run(calls), world)
            messages += [{"role": "tool", "tool_call_id": each.call.id, "content": each.text} for each in results]
            yield [
                *(
                    ToolResult(each.call.id, each.call.name, scrubbed(each.text, secrets), each.error is not None)
                    for each in results
                ),
                Step(rounds),
            ]
            reader = _Reader(taken)
            answer = await self._ask(asked, messages, rounds, reader, stream)


class _AgentAnswer(ComposedAnswer):
    """The answer of an agent. What was opened before anybody listened is closed with it."""

    opened: Answer

    async def close(self) -> None:
        await super().close()
        await self.opened.close()


class _Reader(ChatReader):
    """Reads one round, and puts its message together for the next."""

    __slots__ = ("chunks",)

    def __init__(self, taken: int) -> None:
        super().__init__()
        self.base = taken
        self.chunks = Chunks()

    def feed(self, value: dict[str, Any], out: list[Event]) -> None:
        for _ in self.chunks.add(value):
            pass
        super().feed(value, out)


def _name(tool: Mapping[str, Any]) -> str:
    kind = tool.get("type")
    of = tool.get(kind) if isinstance(kind, str) else None
    return str((of if isinstance(of, Mapping) else tool).get("name") or "")


def _sum(one: Usage, other: Usage) -> Usage:
    pairs = zip(one, other, strict=True)
    return Usage(*(None if a is None and b is None else (a or 0) + (b or 0) for a, b in pairs))
