"""A history as calls and their outputs: whether each has its other half, and which approvals are still unused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .items import (
    SERVER_ITEMS,
    arguments_of,
    computer_fault,
    describes_function_call,
    describes_function_output,
    function_output,
    is_compaction,
    is_input_message,
    is_reasoning,
    is_screenshot_output,
    server_fault,
)
from .shapes import JSON, flag, maybe, record, text

__all__ = ("Pairs", "approved_requests", "native_ids", "observed", "use_approval")


class Pairs:
    """Reads a history item by item. Raises `ValueError` for an item that cannot be sent again, or stands alone.

    `references` lets items through that only name one the API has kept, and a trigger of compaction at the end.
    """

    def __init__(self, history: list[JSON], tools: list[JSON], *, references: bool = False) -> None:
        native_ids(history)
        self.tools = tools
        self.references = references
        self.last = len(history) - 1
        self.functions = {tool["name"] for tool in tools if tool["type"] == "function"}
        self.computer = any(tool["type"] in ("computer", "computer_use_preview") for tool in tools)
        self.calls: dict[str, str] = {}
        self.returned: set[str] = set()
        self.requests: dict[str, JSON] = {}
        self.answered: set[str] = set()
        self.approved: dict[str, JSON] = {}
        for index, item in enumerate(history):
            if type(item) is not dict:
                raise ValueError(f"a history has items that are objects, not {type(item).__name__}")
            self._read(index, item)
        if self.calls.keys() != self.returned or self.requests.keys() != self.answered:
            raise ValueError("a history for a request has no call without its output")

    @property
    def ids(self) -> set[str]:
        """The ids of all calls, and of all requests for approval."""
        return {*self.calls, *self.requests}

    def _read(self, index: int, item: JSON) -> None:
        kind = item.get("type", "message")
        if self.references and _refers(item):
            if not text(item.get("id")):
                raise ValueError("a reference to an item has its id")
        elif self.references and kind == "compaction_trigger":
            if index != self.last:
                raise ValueError("a trigger of compaction is the last item")
        elif kind in SERVER_ITEMS:
            self._server_item(kind, item)
        else:
            read = _READERS.get(kind) if type(kind) is str else None
            if read is None:
                raise ValueError("a history has an item that cannot be sent again")
            read(self, item)

    def _new_id(self, value: Any) -> str:
        if type(value) is not str or not value or value in self.calls or value in self.requests:
            raise ValueError("a history has a call whose id is missing or used twice")
        return value

    def _call(self, item: JSON) -> None:
        call_id = item.get("call_id")
        if type(call_id) is not str or call_id in self.calls or call_id in self.requests:
            raise ValueError("a history has a call whose id is missing or used twice")
        if item.get("status") not in (None, "completed"):
            raise ValueError("a history has a call that did not complete")
        self.calls[call_id] = item["type"]

    def _function_call(self, item: JSON) -> None:
        self._call(item)
        if not (
            text(item.get("name"))
            and item["name"] in self.functions
            and text(item.get("arguments"))
            and describes_function_call(item)
        ):
            raise ValueError("a history has a call of a function that is not registered")
        arguments_of(item)

    def _computer_call(self, item: JSON) -> None:
        self._call(item)
        if not self.computer or item.get("status") != "completed" or computer_fault(item):
            raise ValueError("a history has a call of a computer that cannot be sent again")

    def _output(self, item: JSON) -> None:
        call_id = item.get("call_id")
        if type(call_id) is not str or call_id in self.returned or self.calls.get(call_id) != item["type"][:-7]:
            raise ValueError("a history has an output without its call")
        self.returned.add(call_id)

    def _function_output(self, item: JSON) -> None:
        self._output(item)
        if not describes_function_output(item):
            raise ValueError("a history has an output of a function with fields the API does not take")
        function_output(item.get("output"))

    def _computer_output(self, item: JSON) -> None:
        self._output(item)
        if not is_screenshot_output(item):
            raise ValueError("a history has an output of a computer without its screenshot")

    def _approval(self, item: JSON) -> None:
        request_id = item.get("approval_request_id")
        if (
            type(request_id) is not str
            or request_id not in self.requests
            or request_id in self.answered
            or not _APPROVAL(item)
        ):
            raise ValueError("a history has an approval without its one request")
        self.answered.add(request_id)
        if item["approve"]:
            self.approved[request_id] = self.requests[request_id]

    def _server_item(self, kind: str, item: JSON) -> None:
        fault = server_fault(item, self.tools)
        if fault is not None:
            raise ValueError(fault)
        if kind == "mcp_approval_request":
            self.requests[self._new_id(item.get("id"))] = item
        elif kind == "mcp_call":
            use_approval(item, self.approved)

    def _update(self, item: JSON) -> None:
        """Settings that change in the middle of a history: there is nothing to pair."""


_APPROVAL = record({"approve": flag}, {"id": maybe(text), "reason": maybe(text)})


def _checked(shape: Callable[[JSON], bool], what: str) -> Callable[[Pairs, JSON], None]:
    def read(pairs: Pairs, item: JSON) -> None:
        if not shape(item):
            raise ValueError(f"a history has {what} with fields that are not the API's")

    return read


_READERS: dict[str, Callable[[Pairs, JSON], None]] = {
    "function_call": Pairs._function_call,
    "computer_call": Pairs._computer_call,
    "function_call_output": Pairs._function_output,
    "computer_call_output": Pairs._computer_output,
    "mcp_approval_response": Pairs._approval,
    "configuration_update": Pairs._update,
    "compaction": _checked(is_compaction, "a compaction"),
    "reasoning": _checked(is_reasoning, "reasoning"),
    "message": _checked(is_input_message, "a message"),
}


def _refers(item: JSON) -> bool:
    kind = item.get("type")
    return kind == "item_reference" or (kind is None and "id" in item and "role" not in item and "content" not in item)


def native_ids(history: list[JSON]) -> set[str]:
    """The ids the API gave to the items. Raises `ValueError` where two items have the same."""
    given: set[str] = set()
    named: set[str] = set()
    for item in history:
        own = item.get("id") if type(item) is dict else None
        if type(own) is not str or not own:
            continue
        if not _refers(item):
            if own in given:
                raise ValueError("a history has the same item ID twice")
            given.add(own)
        named.add(own)
    return named


def use_approval(call: JSON, approved: dict[str, JSON]) -> None:
    """Take the approval a call was made with; it cannot be used again.

    Raises `ValueError` where what was approved is something else.
    """
    request_id = call.get("approval_request_id")
    if request_id is None:
        return
    request = approved.get(request_id) if type(request_id) is str else None
    if request is None or any(request.get(name) != call.get(name) for name in ("server_label", "name", "arguments")):
        raise ValueError("an MCP call was made with no approval of its own")
    del approved[request_id]


def approved_requests(history: list[JSON]) -> dict[str, JSON]:
    """The requests that were approved and not used yet, by their ids."""
    waiting: dict[str, JSON | None] = {}
    approved: dict[str, JSON] = {}
    for item in history:
        kind = item.get("type")
        if kind == "mcp_approval_request" and text(item.get("id")):
            waiting.setdefault(item["id"], item)
        elif kind == "mcp_approval_response" and flag(item.get("approve")) and text(item.get("approval_request_id")):
            request = waiting.get(item["approval_request_id"])
            if request is not None:
                waiting[item["approval_request_id"]] = None
                if item["approve"]:
                    approved[item["approval_request_id"]] = request
        elif kind == "mcp_call":
            use_approval(item, approved)
    return approved


def observed(history: list[JSON]) -> bool:
    """Whether a user says anything in it."""
    for item in history:
        if type(item) is not dict or item.get("type", "message") != "message" or item.get("role") != "user":
            continue
        content: Any = item.get("content")
        if text(content) and content.strip():
            return True
        try:
            blocks = function_output(content) if type(content) is list else ()
        except ValueError:
            continue
        if any(block["type"] != "input_text" or block["text"].strip() for block in blocks):
            return True
    return False
