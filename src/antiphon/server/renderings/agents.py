"""A model's turn as the items and events of an agent's session.

API reference: https://platform.openai.com/docs/api-reference/agents-sessions
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import orjson

from .. import tokens
from ..turns import Finish, Reasoning, Refusal, Text, ToolArguments, ToolCall, Usage, Whole
from .chunks import chunks
from .responses_request import responses_request

if TYPE_CHECKING:
    from ..engine import ChatRequest
    from ..ids import Ids
    from ..turns import Piece

__all__ = ("AgentTurn", "Tell", "agent_request", "user_items")

Item = dict[str, Any]
Tell = Callable[..., None]
"""Tells an event: its type without `agent.session.turn.`, and its fields."""


def agent_request(agent: Mapping[str, Any], items: Iterable[Item]) -> ChatRequest:
    """What an agent's model is asked, after everything that was said in the session."""
    body = {
        "instructions": agent.get("instructions"),
        "tools": [tool for tool in agent.get("tools") or () if tool.get("type") == "function"],
        "text": agent.get("text"),
        "reasoning": agent.get("reasoning"),
    }
    said = [{**item, "arguments": _as_text(item["arguments"])} if "arguments" in item else item for item in items]
    return responses_request(body, said, agent["model"], strict=False)


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()


class AgentTurn:
    """Takes the pieces of a model's turn; a sink. What they make is told, and is in `items`."""

    def __init__(self, request: ChatRequest, ids: Ids, turn_id: str, begin: int, tell: Tell) -> None:
        self.request = request
        self.items: list[Item] = []
        self.calls: list[Item] = []
        """Calls that wait for their results."""
        self._ids = ids
        self._turn_id = turn_id
        self._begin = begin
        self._tell = tell
        self._open: _Open | None = None
        self._asked: tuple[str, str, list[str]] | None = None
        self._said: list[str] = []
        self._usage = Usage()

    # The sink

    def feed(self, piece: Piece) -> bool:
        """Take one piece; whether the turn is over with it."""
        take = _TAKE.get(type(piece))
        if take is not None:
            take(self, piece)
        return isinstance(piece, (Finish, Whole))

    def whole(self, text: str) -> None:
        """Take the text of a turn that has nothing else."""
        for part in chunks(text):
            self._text(part)

    def end(self) -> None:
        """The turn has ended."""
        self._close()
        self._ask()

    @property
    def usage(self) -> dict[str, Any]:
        """The tokens of this turn of the model."""
        given, model = self._usage, self.request.model
        prompt, output = given.input_tokens, given.output_tokens
        if prompt is None:
            prompt = tokens.message_tokens(self.request.messages, model, self.request.body.get("tools"))
        if output is None:
            output = tokens.count("".join(self._said), model)
        return {
            "input_tokens": prompt,
            "input_tokens_details": {"cached_tokens": given.cached_tokens or 0},
            "output_tokens": output,
            "output_tokens_details": {"reasoning_tokens": given.reasoning_tokens or 0},
            "total_tokens": prompt + output,
        }

    # Pieces

    def _text(self, text: str) -> None:
        self._into(_Message).more(text)

    def _thought(self, piece: Reasoning) -> None:
        self._into(_Reasoning).more(piece.text)

    def _call(self, piece: ToolCall) -> None:
        self._close()
        self._ask()
        self._asked = (piece.id or self._ids.new("call_"), piece.name, [])

    def _arguments(self, piece: ToolArguments) -> None:
        if self._asked is not None:
            self._asked[2].append(piece.text)

    def _counts(self, piece: Usage) -> None:
        self._usage = piece

    def _given(self, piece: Whole) -> None:
        """A Response that is there already: its texts and calls."""
        for item in piece.body.get("output") or ():
            if item.get("type") == "message":
                for part in item.get("content") or ():
                    self._text(part.get("text") or "")
                self._close()
            elif item.get("type") == "function_call":
                self._call(ToolCall(item.get("call_id"), item.get("name", "")))
                self._arguments(ToolArguments(item.get("arguments", "")))

    def _into(self, kind: type[_Open]) -> _Open:
        if self._asked is not None:
            self._ask()
        if self._open is None or type(self._open) is not kind:
            self._close()
            item = {"id": self._ids.new(kind.prefix), "turn_id": self._turn_id, **kind.begun()}
            self._open = kind(item, self._place(), self._tell, self._said)
        return self._open

    def _place(self) -> int:
        return self._begin + len(self.items)

    def _close(self) -> None:
        if self._open is not None:
            self.items.append(self._open.done())
            self._open = None

    def _ask(self) -> None:
        """Tell a call, whose arguments are complete: who reads it runs the tool at once."""
        if self._asked is None:
            return
        (call_id, name, pieces), self._asked = self._asked, None
        text = "".join(pieces)
        self._said.append(name + text)
        item = {
            "id": self._ids.new("fc_"),
            "type": "function_call",
            "turn_id": self._turn_id,
            "call_id": call_id,
            "name": name,
            "arguments": _decoded(text),
            "status": "in_progress",
        }
        self._tell("item.added", item=item, output_index=self._place())
        self.items.append(item)
        self.calls.append(item)


def _decoded(text: str) -> Any:
    try:
        return orjson.loads(text or "{}")
    except ValueError:
        return text


_TAKE: Final[dict[type, Callable[[AgentTurn, Any], None]]] = {
    str: AgentTurn._text,
    Text: lambda turn, piece: turn._text(piece.text),
    Refusal: lambda turn, piece: turn._text(piece.text),
    Reasoning: AgentTurn._thought,
    ToolCall: AgentTurn._call,
    ToolArguments: AgentTurn._arguments,
    Usage: AgentTurn._counts,
    Whole: AgentTurn._given,
}
"""Pieces by kind. Others have no place in a session: citations, recordings, the traces of hosted tools."""


class _Open:
    """An item that is under way."""

    prefix: str
    part: str
    """What its events are named after, and the type of its one part."""
    text: str
    index: str

    def __init__(self, item: Item, place: int, tell: Tell, said: list[str]) -> None:
        self.item, self._place, self._tell, self._said = item, place, tell, said
        self._pieces: list[str] = []
        self._about = {"item_id": item["id"], "output_index": place, self.index: 0}
        tell("item.added", item=dict(item), output_index=place)
        tell(f"{self.part}.added", part=self._whole(""), **self._about)

    @classmethod
    def begun(cls) -> Item:
        """What the item is at first."""
        raise NotImplementedError

    def _whole(self, text: str) -> Item:
        raise NotImplementedError

    def _finished(self, part: Item) -> Item:
        raise NotImplementedError

    def more(self, piece: str) -> None:
        """Take a piece of its text."""
        if piece:
            self._pieces.append(piece)
            self._tell(f"{self.text}.delta", delta=piece, **self._about)

    def done(self) -> Item:
        """Tell that it is complete, and give it."""
        text = "".join(self._pieces)
        self._said.append(text)
        part = self._whole(text)
        self._tell(f"{self.text}.done", text=text, **self._about)
        self._tell(f"{self.part}.done", part=part, **self._about)
        self.item = {**self.item, **self._finished(part), "status": "completed"}
        self._tell("item.done", item=self.item, output_index=self._place)
        return self.item


class _Message(_Open):
    prefix, part, text, index = "msg_", "content_part", "output_text", "content_index"

    @classmethod
    def begun(cls) -> Item:
        return {
            "type": "message",
            "role": "assistant",
            "phase": "final_answer",
            "status": "in_progress",
            "content": [],
        }

    def _whole(self, text: str) -> Item:
        return {"type": "output_text", "text": text}

    def _finished(self, part: Item) -> Item:
        return {"content": [part]}


class _Reasoning(_Open):
    prefix, part, text, index = "rs_", "reasoning_summary_part", "reasoning_summary_text", "summary_index"

    @classmethod
    def begun(cls) -> Item:
        return {"type": "reasoning", "status": "in_progress", "summary": []}

    def _whole(self, text: str) -> Item:
        return {"type": "summary_text", "text": text}

    def _finished(self, part: Item) -> Item:
        return {"summary": [part]}


def user_items(messages: Sequence[Mapping[str, Any]] | str, ids: Ids, turn_id: str) -> list[Item]:
    """What a user says, as items of a session."""
    given = [{"role": "user", "content": messages}] if isinstance(messages, str) else messages
    return [
        {
            "id": ids.new("msg_"),
            "type": "message",
            "role": "user",
            "phase": None,
            "status": "completed",
            "turn_id": turn_id,
            "content": _parts(message.get("content") or []),
        }
        for message in given
    ]


def _parts(content: Any) -> list[Item]:
    return [{"type": "input_text", "text": content}] if isinstance(content, str) else [dict(each) for each in content]
