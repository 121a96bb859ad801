"""Tools that are no functions: what becomes of an engine's use of one, a module for each kind of use.

    for piece in performed(engine(request), Bench(call, request)): …      # `Item`s in place of the uses

A module is found by the name of the piece (`FileSearch`: `file_search.py`) and has `items(piece, bench)`, which gives
the items of the output: what the engine left open is filled in here, from the state of the server. It may answer a
flow, for what needs the outside.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from functools import cache
from importlib import import_module
from types import GeneratorType
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from ...kernel.flow import Step
from ..turns import TOOL_USES, Item, McpListTools, Reasoning, Usage

if TYPE_CHECKING:
    from ...kernel.flow import Flow
    from ..app import Server
    from ..engine import ChatRequest
    from ..turns import Piece, Turn

__all__ = ("LOOK", "PATIENCE", "Bench", "being_read", "performed", "texts")

Items: TypeAlias = list[dict[str, Any]]

_USES: Final = frozenset(TOOL_USES)
_END: Final = object()


class Bench:
    """Where the tools of one Response are used: the server, the request, and what came of it so far."""

    __slots__ = ("made", "most", "request", "server", "used")

    def __init__(self, server: Server, request: ChatRequest) -> None:
        self.server = server
        self.request = request
        self.made: Items = []
        """The items of uses in this Response."""
        self.most: int | None = request.body.get("max_tool_calls")
        self.used = 0

    def tool(self, *types: str, **fields: Any) -> Mapping[str, Any]:
        """The tool of the request of one of these types and with these fields; an empty one where there is none."""
        for tool in self.tools(*types):
            if all(tool.get(name) == value for name, value in fields.items()):
                return tool
        return {}

    def tools(self, *types: str) -> list[Mapping[str, Any]]:
        """The tools of the request of these types."""
        return [tool for tool in self.request.hosted_tools if tool.get("type") in types]

    def new(self, prefix: str) -> str:
        """A new id."""
        return self.server.ids.new(prefix)

    def known(self, type: str) -> Iterable[Mapping[str, Any]]:
        """The items of a type, of the conversation so far and of this Response, the latest first."""
        for items in (self.made, self.request.items):
            for item in reversed(items):
                if item.get("type") == type:
                    yield item


def performed(turn: Turn, bench: Bench) -> Turn:
    """The turn with `Item`s in place of the uses of tools; the engine is sent them.

    Uses beyond `max_tool_calls` are passed over. A use that has to be approved first ends the turn.
    """
    if not bench.request.hosted_tools or not bench.tools("mcp"):
        if isinstance(turn, str):
            return turn
        if isinstance(turn, (list, tuple)) and not any(piece.__class__ in _USES for piece in turn):
            return turn
    return _performing((turn,) if isinstance(turn, str) else turn, bench)


def _performing(turn: Iterable[Piece | Step[Any]], bench: Bench) -> Generator[Piece | Step[Any], Any, None]:
    pieces = iter(turn)
    send: Any = getattr(pieces, "send", None)
    asked = not bench.tools("mcp")
    try:
        piece: Any = next(pieces, _END)
        while True:
            if isinstance(piece, Step):
                piece = yield from _stepped(piece, pieces, send)
                continue
            if not asked and not isinstance(piece, (McpListTools, Reasoning, Usage)):
                asked = True
                yield from _listed(bench)
            if piece is _END:
                return
            sent: Items | None = None
            if piece.__class__ in _USES:
                sent = yield from _used(piece, bench)
                if any(item["type"] == "mcp_approval_request" for item in sent):
                    return
            else:
                yield piece
            piece = next(pieces, _END) if send is None or sent is None else _sent(send, sent)
    finally:
        close = getattr(pieces, "close", None)
        if close is not None:
            close()


def _stepped(step: Step[Any], pieces: Any, send: Any) -> Generator[Step[Any], Any, Any]:
    """What comes after a step."""
    try:
        result = yield step
    except GeneratorExit:
        raise
    except BaseException as error:
        throw = getattr(pieces, "throw", None)
        if throw is None:
            raise
        try:
            return throw(error)
        except StopIteration:
            return _END
    return next(pieces, _END) if send is None else _sent(send, result)


def _sent(send: Any, result: Any) -> Any:
    try:
        return send(result)
    except StopIteration:
        return _END


def _used(piece: Any, bench: Bench) -> Generator[Any, Any, Items]:
    """The items of a use, yielded as pieces and given."""
    if not isinstance(piece, McpListTools):
        if bench.most is not None and bench.used >= bench.most:
            return []
        bench.used += 1
    made: Any = _maker(piece.__class__)(piece, bench)
    items: Items = (yield from made) if isinstance(made, GeneratorType) else made
    bench.made += items
    yield from map(Item, items)
    return items


def _listed(bench: Bench) -> Generator[Any, Any, None]:
    """The tools of the MCP servers whose lists are not in the conversation yet."""
    known = {item.get("server_label") for item in bench.known("mcp_list_tools")}
    for tool in bench.tools("mcp"):
        if tool["server_label"] not in known:
            yield from _used(McpListTools(tool["server_label"]), bench)


@cache
def _maker(use: type) -> Callable[[Any, Bench], Items | Flow[Items]]:
    name = re.sub(r"(?<!^)(?=[A-Z])", "_", use.__name__).lower()
    made: Callable[[Any, Bench], Items | Flow[Items]] = import_module(f".{name}", __package__).items
    return made


PATIENCE: Final = 60
"""Seconds for which jobs wait for files to be read before they are searched."""
LOOK: Final = 0.02
"""Seconds between two looks at them."""


def being_read(server: Server, tools: Iterable[Mapping[str, Any]]) -> bool:
    """Whether files that are to be searched are still being read into their vector stores.

    Jobs ask before they begin: no clock goes on while they are done.
    """
    stores = (server.store.get("vector_stores", key) for tool in tools for key in tool.get("vector_store_ids") or ())
    return any(store is not None and store["status"] == "in_progress" for store in stores)


def texts(values: Sequence[str]) -> list[str]:
    """What an engine gave as a list of texts, also where it gave but one."""
    return [values] if isinstance(values, str) else list(values)
