"""What of a caller's parameters becomes the request of a runner, and which tools it lets the model use."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from ...kernel.omit import NotGiven, Omit
from ...kernel.view import plain
from .items import SERVER_TOOLS
from .shapes import JSON, owned

__all__ = ("Selection", "admit", "approval_rule", "declared", "rotated_idempotency_headers", "without_omitted")

OWN = frozenset("stream store background conversation previous_response_id tools input include tool_choice".split())
"""Parameters a runner sets or looks at, which `extra_body` therefore cannot."""
_LISTS = ("input", "tools", "include", "context_management")
_FREE = frozenset(("metadata", "parameters", "schema", "input_schema", "variables", "extra_body"))
"""Objects whose fields are the caller's own: leaving one out with `omit` means nothing there."""
_COMPUTERS = ("computer", "computer_use_preview")
_LOCAL = frozenset(("function", "computer", "computer_use", "computer_use_preview"))


def admit(params: Any, *, strict: bool, saved: bool, budgeted: bool) -> JSON:
    """A copy of the parameters that nobody else can change.

    With `strict` they have to be plain JSON, which can be written down and measured. Raises `ValueError` for what a
    runner cannot work with.
    """
    if strict:
        if type(params) is not dict:
            raise ValueError("the parameters of a run that is saved or budgeted are a plain dict")
        if saved:
            from ...types.responses.response_create_params import ResponseCreateParamsNonStreaming

            others = params.keys() - set(ResponseCreateParamsNonStreaming.__annotations__)
            if others:
                raise ValueError(f"a run that is saved takes parameters of the API alone, not {sorted(others)}")
        admitted: JSON = owned(without_omitted(params))
    else:
        lists = {name: list(params[name]) for name in _LISTS if _iterable(params.get(name))}
        admitted = deepcopy(plain({**params, **lists}))
    extra = admitted.get("extra_body")
    own = OWN | {"truncation", "context_management"} if budgeted else OWN
    if isinstance(extra, Mapping) and own.intersection(extra):
        raise ValueError(f"extra_body cannot set {sorted(own.intersection(extra))}, which the runner does")
    if admitted.get("input", "") is None:
        raise TypeError("the input of a run is text or a list of items, not None")
    if admitted.get("stream") or admitted.get("background"):
        raise ValueError("a runner waits for its responses: `stream` is an argument of run(), `background` is none")
    for name in ("conversation", "previous_response_id"):
        if not isinstance(admitted.get(name), (Omit, NotGiven, type(None))):
            raise ValueError(f"a runner sends its history itself, as `input`: it cannot go on from a {name}")
    if budgeted and (admitted.get("truncation") == "auto" or admitted.get("context_management")):
        raise ValueError("with a context_budget the history is not to be shortened by the server as well")
    return admitted


def _iterable(value: Any) -> bool:
    return value is not None and not isinstance(value, (str, Omit, NotGiven))


def without_omitted(value: Any) -> Any:
    """JSON without the fields that are left out with `omit` or `not_given`."""
    if type(value) is dict:
        return {
            key: item if key in _FREE else without_omitted(item)
            for key, item in value.items()
            if not isinstance(item, (Omit, NotGiven)) or key in _FREE
        }
    if type(value) is list:
        return [without_omitted(item) for item in value]
    return value


def declared(request: JSON, registered: list[JSON]) -> list[JSON]:
    """The tools of a run: those of the runner, and those of the server that the caller has declared."""
    tools = list(registered)
    has_computer, told = any(tool["type"] == "computer" for tool in tools), False
    for tool in request.get("tools") or ():
        if tool["type"] in _COMPUTERS:
            if not has_computer or told:
                raise ValueError("a computer is declared once, and registered with the runner as well")
            told = True
            tools = [each for each in tools if each["type"] != "computer"]
        elif tool["type"] not in SERVER_TOOLS:
            raise ValueError(
                f"`tools` takes tools of the server and a registered computer, not {tool['type']!r}: "
                "functions are registered with the runner"
            )
        tools.append(tool)
    labels = [tool["server_label"] for tool in tools if tool["type"] == "mcp"]
    if not all(type(label) is str and label for label in labels) or len(set(labels)) != len(labels):
        raise ValueError("the labels of MCP servers are not empty, and each is used once")
    if request.get("store") is False and any(tool["type"] == "image_generation" for tool in tools):
        raise ValueError("a generated image is only in stored responses: to go on after one, set `store` to true")
    return tools


class Selection:
    """The tools a `tool_choice` leaves to the model. Raises `ValueError` where it could never stop calling."""

    def __init__(self, choice: Any, tools: list[JSON]) -> None:
        if _never_ends(choice, tools):
            raise ValueError(
                "this tool_choice always requires a local tool, so that a run could not end: use 'auto', "
                "or responses.create() for the one call"
            )
        self.functions = {tool["name"] for tool in tools if tool["type"] == "function"}
        self.computer = any(tool["type"] in _COMPUTERS for tool in tools)
        self.everything = choice in (None, "auto", "required") or isinstance(choice, (Omit, NotGiven))
        self.mcp: list[tuple[str, str | None]] = []
        self.server: set[str] = set()
        if not self.everything:
            self.functions, self.computer = set(), False
            chosen: Any = choice
            chosen = chosen["tools"] if _kind(chosen) == "allowed_tools" else [chosen]
            for each in chosen:
                self._add(each)

    def _add(self, chosen: Any) -> None:
        kind, name = _kind(chosen), chosen.get("name") if isinstance(chosen, dict) else None
        if kind == "function" and isinstance(name, str):
            self.functions.add(name)
        elif kind in _LOCAL:
            self.computer = self.computer or kind != "function"
        elif kind == "mcp":
            label = chosen.get("server_label")
            if type(label) is str and (name is None or type(name) is str):
                self.mcp.append((label, name))
        elif kind in SERVER_TOOLS:
            self.server.add(kind)

    def takes_mcp(self, label: Any, name: Any) -> bool:
        """Whether a tool of an MCP server may be used."""
        return self.everything or any(label == server and tool in (None, name) for server, tool in self.mcp)

    def takes_server_item(self, tools: frozenset[str]) -> bool:
        """Whether one of these tools of the server may be used."""
        return self.everything or not tools.isdisjoint(self.server)


def _kind(value: Any) -> Any:
    kind = value.get("type") if isinstance(value, dict) else None
    return kind if isinstance(kind, str) else None


def _never_ends(choice: Any, tools: list[JSON]) -> bool:
    if choice == "required":
        return bool(tools) and all(tool["type"] in _LOCAL for tool in tools)
    if _kind(choice) == "allowed_tools" and choice.get("mode") == "required":
        return bool(choice["tools"]) and all(_kind(tool) in _LOCAL for tool in choice["tools"])
    return _kind(choice) in _LOCAL


def approval_rule(declaration: JSON, name: str) -> str | None:
    """What an MCP server's declaration says of approvals for a tool: `always`, `never`, or `None` for no saying."""
    policy = declaration.get("require_approval")
    if policy is None:
        return "always"
    if not isinstance(policy, dict):
        return policy if policy in ("always", "never") else None
    found: list[str] = []
    for rule in ("always", "never"):
        if rule not in policy:
            continue
        filtered = policy[rule]
        names: Any = filtered.get("tool_names") if isinstance(filtered, dict) else None
        # Which tools only read is known to the server alone.
        if not isinstance(filtered, dict) or "read_only" in filtered or ("tool_names" in filtered and not _list(names)):
            return None
        if "tool_names" not in filtered or name in names:
            found.append(rule)
    if found:
        return found[0] if len(found) == 1 else None
    named = [rule for rule in ("always", "never") if rule in policy]
    if len(named) != 1:
        return None
    return "never" if named == ["always"] else "always"


def _list(value: Any) -> bool:
    return isinstance(value, list)


def rotated_idempotency_headers(client: Any, extra: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The headers of a request that follows another one: under an idempotency key of its own where one is sent.

    Attempts at one request share its key. The next request of a run is another one, and the server would answer it
    with the first one's response.
    """
    from uuid import uuid4

    own = dict(extra or {})
    effective = {name.lower(): value for name, value in {**client._custom_headers, **own}.items()}
    effective.update((name.lower(), value) for name, value in own.items())
    key = effective.get("idempotency-key")
    if key is None or isinstance(key, Omit):
        return own if extra is not None else None
    rest = {name: value for name, value in own.items() if name.lower() != "idempotency-key"}
    return {**rest, "Idempotency-Key": f"antiphon-{uuid4()}"}
