"""Decisions in a live session: questions that are put again and again, by the client or after every transcript."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import orjson

from ....kernel.errors import APIStatusError, BadRequestError

if TYPE_CHECKING:
    from ..talk import JSON, Said
    from .session import LiveSession

__all__ = ("Decisions",)


class Decisions:
    """The decisions of one session."""

    def __init__(self, session: LiveSession) -> None:
        self._session = session
        self._items: list[JSON] = []
        self._asked: set[str] = set()
        self._due: list[tuple[str, Iterable[JSON]]] = []

    def add(self, item: Mapping[str, Any]) -> None:
        """Something that decisions are to look at too."""
        self._setting()
        kept: JSON = {**item, "id": item.get("id") or self._session.new("item_")}
        if kept.get("role") is not None:
            kept["type"] = "message"
            if isinstance(kept["content"], str):
                kind = "output_text" if kept["role"] == "assistant" else "input_text"
                kept["content"] = [{"type": kind, "text": kept["content"]}]
        self._items.append(kept)
        self._session.say("decision.item.created", item=kept)

    def remove(self, key: str) -> None:
        """Forget it. Raises `BadRequestError` where it is not there."""
        if not any(item["id"] == key for item in self._items):
            raise BadRequestError.because(
                f"There is no decision item '{key}'.", param="item_id", code="decision_item_not_found"
            )
        self._items[:] = [item for item in self._items if item["id"] != key]
        self._session.say("decision.item.deleted", item_id=key)

    def _setting(self) -> Mapping[str, Any]:
        setting = self._session.settings.get("delegation") or {}
        if setting.get("type") != "decisions":
            raise BadRequestError.because(
                "The session does not delegate to Decisions.", param="type", code="invalid_session_state"
            )
        found: Mapping[str, Any] = setting["decisions"]
        return found

    def decide(self, event_id: str) -> Said:
        """Put the questions, once for each id of an event."""
        if event_id in self._asked:
            fault = BadRequestError.because(
                f"A decision was asked for by '{event_id}' already.", param="event_id", code="duplicate_event_id"
            )
            self._session.wrong(fault, {"event_id": event_id})
        else:
            self._asked.add(event_id)
            yield from self.asked(client_event_id=event_id)
        yield from self._session.flush()

    def triggered(self, kind: str) -> None:
        """A transcript was told: the questions that wait for it are due."""
        for trigger in self._session.settings.get("triggers") or ():
            if trigger["event_type"] == kind:
                self._due.append((kind, trigger["decisions"]["questions"]))

    def due(self) -> Said:
        """Put the questions that are due."""
        while self._due:
            kind, questions = self._due.pop(0)
            yield from self.asked(questions, source_event_type=kind)

    def asked(
        self, questions: Iterable[JSON] | None = None, *, client_event_id: str | None = None, **about: Any
    ) -> Said:
        """Put questions to the model that decides, and tell what it has decided."""
        session = self._session
        try:
            setting = self._setting()
            wanted = setting["questions"] if questions is None else questions
            put = [{name: value for name, value in each.items() if value is not None} for each in wanted]
            body = {"model": setting["model"], "questions": put, "input": [*session.history, *map(_asked, self._items)]}
            answer = yield from session.ask("/v1/decisions", body)
            decision = orjson.loads(answer.content)
            if answer.status >= 400:
                error = decision["error"]
                raise BadRequestError.because(error["message"], code=error.get("code"), type=error.get("type"))
        except APIStatusError as error:
            session.wrong(error, {"event_id": client_event_id})
        else:
            session.say("decision.event", event={"type": "decision.completed", "decision": decision}, **about)
        yield from session.flush()


def _asked(item: JSON) -> JSON:
    """An item as the input of a decision: messages have no ids there."""
    return {name: value for name, value in item.items() if name != "id" and value is not None}
