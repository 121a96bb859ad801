"""A response of a session: asked of the server as a Response is, and told in the events of the realtime API.

So rules, scripts, faults, limits and the journal are those of `POST /v1/responses`; each event of its stream is
told by the method that is found by its type.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from math import ceil
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import orjson

from ....kernel.dialogue import messages_of
from ....kernel.errors import APIStatusError
from ... import tokens
from ...sounds import Sound
from ..talk import through
from .audio import pieces
from .conversation import inputs
from .settings import merged
from .speech import heard, spoken

if TYPE_CHECKING:
    from array import array

    from ....kernel.flow import Step
    from ....kernel.http import Response
    from ..talk import Said
    from .session import Session

__all__ = ("Answer",)

JSON: TypeAlias = dict[str, Any]

_LEAST_TOKENS: Final = 16
"""Fewer than so many tokens cannot be asked of a Response."""

_SETTINGS: Final = (
    "audio instructions max_output_tokens output_modalities parallel_tool_calls prompt reasoning tool_choice tools"
).split()
"""What a response may be told otherwise than its session."""


class Answer:
    """A response, from `response.create` to `response.done`."""

    def __init__(self, session: Session, asked: JSON) -> None:
        self.session = session
        self.asked = asked
        own = {name: asked[name] for name in _SETTINGS if asked.get(name) is not None}
        self.settings = merged(session.settings, own)
        self.id = session.new("resp_")
        self.aside = asked.get("conversation") == "none"
        """Whether it is out of the conversation."""
        self.stopped: str | None = None
        """Why it says no more."""
        self.output: list[JSON] = []
        self._item: JSON | None = None
        self._part: JSON | None = None
        self._words = ""
        self._samples: array[int] | None = None
        self.seconds = 0.0
        """How long what was spoken takes to be played."""
        self._usage: JSON = {}
        self._tokens_heard = 0
        self._seconds_heard = 0.0
        self._ended: tuple[str, JSON | None] | None = None
        limit = self.settings.get("max_output_tokens")
        self._limit = limit if isinstance(limit, int) else None

    @property
    def aloud(self) -> bool:
        """Whether it is spoken."""
        return "audio" in (self.settings.get("output_modalities") or ())

    def stop(self, reason: str) -> None:
        """Say no more, as soon as that is noticed."""
        self.stopped = self.stopped or reason

    def _silent(self) -> bool:
        return self.stopped is not None

    # What is told

    def said(self) -> Said:
        """The events of the response, and the steps between them."""
        session = self.session
        session.say("response.created", response=self._told("in_progress", None))
        yield from session.flush()
        try:
            if self.stopped is None:
                yield from self._asked()
        except APIStatusError as error:
            self._failed(error.status_code, error.body)
        finally:
            session.over(self)
        yield from self._close()
        status, details = self._outcome()
        session.say("response.done", response=self._told(status, details))
        yield from session.flush()

    def _asked(self) -> Said:
        body = yield from self._body()
        answer: Response = yield from self.session.ask("/v1/responses", body)
        self._limits(answer)
        yield from self.session.flush()
        if answer.status >= 400:
            self._failed(answer.status, orjson.loads(answer.content))
            return
        yield from through(messages_of(answer.body, lambda data: data), self._heard, self._silent)

    def _heard(self, data: bytes) -> Said:
        try:
            event = orjson.loads(data)
        except ValueError:
            if data != b"[DONE]":
                yield data  # a fault: it is not ours to mend
            return
        told = _TOLD.get(event.get("type", "error"))
        if told is not None:
            more = told(self, event)
            yield from self.session.flush()
            if more is not None:
                yield from more

    def _outcome(self) -> tuple[str, JSON | None]:
        if self.stopped == "max_output_tokens":
            return "incomplete", {"type": "incomplete", "reason": self.stopped}
        if self.stopped is not None:
            return "cancelled", {"type": "cancelled", "reason": self.stopped}
        if self._ended is None:
            error = {"type": "server_error", "code": "incomplete_answer", "message": "The answer broke off."}
            return "failed", {"type": "failed", "error": error}
        return self._ended

    def _failed(self, status: int, body: Any) -> None:
        error = body.get("error", body) if isinstance(body, dict) else {"message": str(body)}
        about = {name: error.get(name) for name in ("type", "code", "message")}
        self._ended = "failed", {"type": "failed", "error": {**about, "type": about["type"] or "server_error"}}

    def _told(self, status: str, details: JSON | None) -> JSON:
        """The response as events have it."""
        done = status != "in_progress"
        output = self.settings["audio"]["output"]
        limit = self.settings.get("max_output_tokens")
        return {
            "object": "realtime.response",
            "id": self.id,
            "status": status,
            "status_details": details,
            "output": self.output if done else [],
            "conversation_id": None if self.aside else self.session.conversation.key,
            "output_modalities": self.settings.get("output_modalities"),
            "max_output_tokens": "inf" if limit is None else limit,
            "audio": {"output": {"format": output.get("format"), "voice": _voice_name(output.get("voice"))}},
            "usage": self._counted() if done else None,
            "metadata": self.asked.get("metadata"),
        }

    def _counted(self) -> JSON:
        """Its usage: what was heard costs ten tokens a second, what was spoken twenty."""
        sound_in, sound_out = ceil(self._seconds_heard * 10), ceil(self.seconds * 20)
        text_in = max(0, int(self._usage.get("input_tokens") or 0) - self._tokens_heard)
        said = (
            part.get("text") or part.get("transcript") or "" for item in self.output for part in item.get("content", ())
        )
        text_out = int(self._usage.get("output_tokens") or sum(map(tokens.count, said)))
        cached = {"text_tokens": 0, "audio_tokens": 0, "image_tokens": 0}
        return {
            "total_tokens": text_in + sound_in + text_out + sound_out,
            "input_tokens": text_in + sound_in,
            "output_tokens": text_out + sound_out,
            "input_token_details": {
                "text_tokens": text_in,
                "audio_tokens": sound_in,
                "image_tokens": 0,
                "cached_tokens": 0,
                "cached_tokens_details": cached,
            },
            "output_token_details": {"text_tokens": text_out, "audio_tokens": sound_out},
        }

    def _limits(self, answer: Response) -> None:
        """Tell what is left of the limits, as the headers of an answer do."""
        found: list[JSON] = []
        for name in ("requests", "tokens"):
            limit = answer.headers.get(f"x-ratelimit-limit-{name}")
            left = answer.headers.get(f"x-ratelimit-remaining-{name}")
            if limit is not None and left is not None:
                reset = _seconds(answer.headers.get(f"x-ratelimit-reset-{name}", "0s"))
                found.append({"name": name, "limit": int(limit), "remaining": int(left), "reset_seconds": reset})
        if found:
            self.session.say("rate_limits.updated", rate_limits=found)

    # What is asked

    def _body(self) -> Generator[Step[Any], Any, JSON]:
        """The body of the Response."""
        session, settings = self.session, self.settings
        own = self.asked.get("input")
        items: list[JSON] = list(session.conversation if own is None else session.given(own))
        for item in items:
            yield from self._listened(item)
        body: JSON = {
            "model": settings["model"],
            "input": inputs(items, session.words),
            "stream": True,
            "store": False,
        }
        for name in ("instructions", "prompt", "reasoning", "parallel_tool_calls"):
            if settings.get(name) is not None:
                body[name] = settings[name]
        tools = [_tool(tool) for tool in settings.get("tools") or ()]
        if tools:
            body |= {"tools": tools, "tool_choice": settings.get("tool_choice") or "auto"}
        if self._limit is not None:
            body["max_output_tokens"] = max(_LEAST_TOKENS, self._limit)
        if self.asked.get("metadata"):
            body["metadata"] = self.asked["metadata"]
        return body

    def _listened(self, item: JSON) -> Generator[Step[Any], Any, None]:
        """Hear what is said in an item, where that is not known yet, and what it costs."""
        session = self.session
        for place, sound in session.conversation.sounds.get(item["id"], {}).items():
            words = session.conversation.words.setdefault(item["id"], {})
            if place not in words:
                setting = session.settings["audio"]["input"].get("transcription")
                words[place] = yield from heard(session.server, sound, setting, self.settings["model"])
            self._seconds_heard += sound.seconds * (2 if item.get("role") == "assistant" else 1)
            self._tokens_heard += tokens.count(words[place], self.settings["model"])

    # Events of the Response, and how they are told

    def _where(self, **more: Any) -> JSON:
        assert self._item is not None
        return {"response_id": self.id, "item_id": self._item["id"], "output_index": len(self.output) - 1, **more}

    def _item_added(self, event: JSON) -> None:
        made = _ITEMS.get(event["item"].get("type", ""))
        self._item = None
        if made is None:
            return  # such as reasoning, which sessions do not tell
        session = self.session
        item: JSON = {"id": session.new("item_"), "object": "realtime.item", "status": "in_progress"}
        item |= made(event["item"])
        self._item = item
        self.output.append(item)
        session.say("response.output_item.added", response_id=self.id, output_index=len(self.output) - 1, item=item)
        if not self.aside:
            previous = session.conversation.add(item)
            session.say("conversation.item.added", previous_item_id=previous, item=item)

    def _part_added(self, event: JSON) -> None:
        if self._item is None or self._item["type"] != "message":
            return
        self._words, self._samples = "", None
        self._part = {"type": "output_audio", "transcript": ""} if self.aloud else {"type": "output_text", "text": ""}
        self._item["content"].append(self._part)
        self.session.say("response.content_part.added", **self._part_where(), part=self._shown())

    def _part_where(self) -> JSON:
        assert self._item is not None
        return self._where(content_index=len(self._item["content"]) - 1)

    def _shown(self) -> JSON:
        return {"type": "audio", "transcript": self._words} if self.aloud else {"type": "text", "text": self._words}

    def _text(self, event: JSON) -> None:
        if self._part is None:
            return
        delta: str = event["delta"]
        if self._limit is not None and self._limit < _LEAST_TOKENS:
            left = self._limit - tokens.count(self._words)
            whole = tokens.pieces(delta)
            if len(whole) > left:
                delta = "".join(piece.text for piece in whole[:left])
                self.stop("max_output_tokens")
        self._words += delta
        kind = "output_audio_transcript" if self.aloud else "output_text"
        if delta:
            self.session.say(f"response.{kind}.delta", **self._part_where(), delta=delta)

    def _text_done(self, event: JSON) -> Said | None:
        return self._spoken() if self._part is not None and self.aloud and self._words.strip() else None

    def _spoken(self) -> Said:
        """Speak what was said, piece by piece, until it is stopped."""
        assert self._item is not None
        output = self.settings["audio"]["output"]
        sound = yield from spoken(
            self.session.server, self._words, self.settings["model"], output.get("voice"), output.get("speed")
        )
        self.session.has_spoken = True
        self._keep(sound)
        for piece in pieces(sound, output.get("format")):
            self.session.say("response.output_audio.delta", **self._part_where(), delta=piece)
            yield from self.session.flush()
            if self.stopped is not None:
                return

    def _keep(self, sound: Sound) -> None:
        assert self._item is not None
        self.seconds += sound.seconds
        place = len(self._item["content"]) - 1
        if not self.aside:
            self.session.conversation.sounds.setdefault(self._item["id"], {})[place] = sound

    def _part_done(self, event: JSON) -> None:
        if self._part is None or self._item is None:
            return
        where = self._part_where()
        if self.aloud:
            self._part["transcript"] = self._words
            self.session.say("response.output_audio.done", **where)
            self.session.say("response.output_audio_transcript.done", **where, transcript=self._words)
            self.session.conversation.words.setdefault(self._item["id"], {})[where["content_index"]] = self._words
        else:
            self._part["text"] = self._words
            self.session.say("response.output_text.done", **where, text=self._words)
        self.session.say("response.content_part.done", **where, part=self._shown())
        self._part = None

    def _arguments(self, event: JSON) -> None:
        if self._item is None:
            return
        self._item["arguments"] = self._item.get("arguments", "") + event["delta"]
        self.session.say(event["type"], **self._where(**self._called()), delta=event["delta"])

    def _arguments_done(self, event: JSON) -> None:
        if self._item is None:
            return
        self._item["arguments"] = event["arguments"]
        about = {**self._called(), **({"name": self._item["name"]} if self._called() else {})}
        self.session.say(event["type"], **self._where(**about), arguments=event["arguments"])

    def _called(self) -> JSON:
        assert self._item is not None
        return {"call_id": self._item["call_id"]} if "call_id" in self._item else {}

    def _progress(self, event: JSON) -> None:
        """What goes on at a server of tools."""
        if self._item is not None:
            self.session.say(event["type"], item_id=self._item["id"], output_index=len(self.output) - 1)

    def _listing(self, event: JSON) -> None:
        if self._item is not None:
            self.session.say(event["type"].removeprefix("response."), item_id=self._item["id"])

    def _item_done(self, event: JSON) -> None:
        if self._item is None:
            return
        self._part_done(event)
        made = _ITEMS[event["item"]["type"]](event["item"])
        if self._item["type"] != "message":
            self._item |= made
        self._finish("completed" if event["item"].get("status") != "incomplete" else "incomplete")

    def _finish(self, status: str) -> None:
        item, self._item = self._item, None
        if item is None:
            return
        item["status"] = status
        session = self.session
        if not self.aside:
            session.say("conversation.item.done", previous_item_id=session.conversation.before(item["id"]), item=item)
        session.say("response.output_item.done", response_id=self.id, output_index=len(self.output) - 1, item=item)

    def _close(self) -> Said:
        """End what was begun and is not going on."""
        self._part_done({})
        self._finish("incomplete")
        yield from self.session.flush()

    def _completed(self, event: JSON) -> None:
        self._usage = event["response"].get("usage") or {}
        self._ended = "completed", None

    def _incomplete(self, event: JSON) -> None:
        self._usage = event["response"].get("usage") or {}
        reason = (event["response"].get("incomplete_details") or {}).get("reason") or "max_output_tokens"
        self._ended = "incomplete", {"type": "incomplete", "reason": reason}

    def _broken(self, event: JSON) -> None:
        response = event.get("response") or {}
        self._usage = response.get("usage") or {}
        self._failed(500, {"error": response.get("error") or event.get("error") or event})


_TOLD: Final[dict[str, Callable[[Answer, JSON], Said | None]]] = {
    "response.output_item.added": Answer._item_added,
    "response.content_part.added": Answer._part_added,
    "response.output_text.delta": Answer._text,
    "response.refusal.delta": Answer._text,
    "response.output_text.done": Answer._text_done,
    "response.refusal.done": Answer._text_done,
    "response.content_part.done": Answer._part_done,
    "response.function_call_arguments.delta": Answer._arguments,
    "response.function_call_arguments.done": Answer._arguments_done,
    "response.mcp_call_arguments.delta": Answer._arguments,
    "response.mcp_call_arguments.done": Answer._arguments_done,
    **{f"response.mcp_call.{name}": Answer._progress for name in ("in_progress", "completed", "failed")},
    **{f"response.mcp_list_tools.{name}": Answer._listing for name in ("in_progress", "completed", "failed")},
    "response.output_item.done": Answer._item_done,
    "response.completed": Answer._completed,
    "response.incomplete": Answer._incomplete,
    "response.failed": Answer._broken,
    "error": Answer._broken,
}
"""Events of a Response, and what is told of them; of the others nothing is."""


def _message(item: JSON) -> JSON:
    return {"type": "message", "role": "assistant", "content": []}


def _call(item: JSON) -> JSON:
    return {name: item.get(name, "") for name in ("type", "name", "call_id", "arguments")}


def _as_it_is(item: JSON) -> JSON:
    return {name: value for name, value in item.items() if name not in ("id", "status")}


_ITEMS: Final[dict[str, Callable[[JSON], JSON]]] = {
    "message": _message,
    "function_call": _call,
    "mcp_call": _as_it_is,
    "mcp_list_tools": _as_it_is,
    "mcp_approval_request": _as_it_is,
}
"""Items of a Response that are items of a session too."""


def _tool(tool: JSON) -> JSON:
    """A tool of a session as one of a Response."""
    if tool.get("type") != "function":
        return tool
    return {
        "type": "function",
        "name": tool.get("name", ""),
        "description": tool.get("description"),
        "parameters": tool.get("parameters") or {"type": "object", "properties": {}},
        "strict": False,
    }


def _voice_name(voice: Any) -> Any:
    return voice.get("id") if isinstance(voice, dict) else voice


def _seconds(duration: str) -> float:
    """The seconds in a duration such as `1m2.5s` or `6ms`."""
    import re

    units = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
    return sum(float(number) * units[unit] for number, unit in re.findall(r"([\d.]+)(ms|s|m|h)", duration))
