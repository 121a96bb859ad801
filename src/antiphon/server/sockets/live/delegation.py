"""Work that a live model gives to others: to the application, or to a model behind the Responses API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from ....kernel.errors import APIStatusError, BadRequestError
from ..replies import Reply

if TYPE_CHECKING:
    from ..talk import JSON, Said
    from .session import LiveSession

__all__ = ("TOOL", "Delegations")

TOOL: Final[dict[str, Any]] = {
    "type": "function",
    "name": "delegate",
    "description": "Give a task to somebody who can look things up and use tools.",
    "parameters": {"type": "object", "properties": {"task": {"type": "string"}}},
    "strict": False,
}
"""What a live model calls to delegate."""


_CALLS: Final = ("function_call", "custom_tool_call")


class Delegations:
    """The delegations of one session."""

    def __init__(self, session: LiveSession) -> None:
        self._session = session
        self._known: set[str] = set()
        self._items: list[JSON] = []
        """What the model behind has said and been told, beside the conversation."""
        self._last: str | None = None

    def check(self, key: str) -> None:
        """Raise `BadRequestError` for what is no delegation of the application's."""
        if self._setting["type"] != "client" or key not in self._known:
            raise BadRequestError.because(
                f"There is no client delegation '{key}'.", param="delegation_id", code="delegation_not_found"
            )

    @property
    def _setting(self) -> Mapping[str, Any]:
        return self._session.settings.get("delegation") or {"type": None}

    def made(self, call: Mapping[str, Any]) -> Said:
        """The model has called for somebody."""
        session, target = self._session, self._setting["type"]
        key = session.new("del_")
        self._known.add(key)
        about: JSON = {"id": key, "type": "delegation", "target": target}
        if target == "responses":
            self._last = key
            yield from self._answered(about)
            return
        session.say("session.delegation.created", delegation=about, offset_ms=session.now_ms)
        yield from session.flush()
        if target == "decisions":
            yield from session.decisions.asked(delegation_id=key)

    def add(self, item: Mapping[str, Any]) -> None:
        """Tell the model behind something. Raises `BadRequestError` where there is none."""
        self._needed()
        self._items.append(dict(item))

    def _needed(self) -> Mapping[str, Any]:
        if self._setting["type"] != "responses":
            raise BadRequestError.because(
                "The session does not delegate to Responses.", param="type", code="invalid_session_state"
            )
        found: Mapping[str, Any] = self._setting["responses"]
        return found

    def respond(self) -> Said:
        """Have the model behind answer, or go on."""
        try:
            self._needed()
            yield from self._answered(None)
        except APIStatusError as error:
            self._session.wrong(error, {})
        yield from self._session.flush()

    def _answered(self, about: JSON | None) -> Said:
        session, setting = self._session, self._needed()
        begun = about is None

        def seen(event: JSON) -> None:
            nonlocal begun
            if about is not None and not begun and "response" in event:
                begun = True
                delegation = {**about, "response_id": event["response"]["id"]}
                session.say("session.delegation.created", delegation=delegation, offset_ms=session.now_ms)
            item = event.get("item") or {}
            if event["type"] == "response.output_item.done" and item.get("type") in _CALLS:
                # Before it is told, for it may be answered at once.
                self._items.append({name: value for name, value in item.items() if value is not None})
            session.say("response.event", event=_small(event), delegation_id=self._last)

        reply = Reply(session, lambda delta: None, seen)
        body = {name: value for name, value in setting.items() if value is not None}
        yield from reply.said({**body, "input": [*session.history, *self._items]})
        yield from session.utter(reply.text)


def _small(event: JSON) -> JSON:
    """An event of a Response without what would make it large."""
    response = event.get("response")
    if not isinstance(response, dict):
        return event
    kept = {name: value for name, value in response.items() if name != "input"}
    return {**event, "response": {**kept, "instructions": None, "tools": [], "output": []}}
