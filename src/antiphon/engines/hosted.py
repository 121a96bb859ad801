"""How the default engine uses tools that are no functions: a plausible use of each, and words about what came of it.

A use is a generator: it yields the piece, is sent the items, and yields what the model says about them. It returns
whether the turn goes on; where the caller has to do something first (a computer, a shell of its own, a patch) it ends.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Generator, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from ..server.hosted.mcp_list_tools import offered
from ..server.renderings.responses_request import tool_family
from ..server.turns import (
    ApplyPatch,
    Citation,
    CodeInterpreter,
    Computer,
    FileCitation,
    FileSearch,
    ImageGeneration,
    LocalShell,
    McpCall,
    Shell,
    WebSearch,
)

if TYPE_CHECKING:
    from ..server.engine import ChatRequest

__all__ = ("Use", "approved", "hosted_uses", "mcp_call", "unasked")

_JOINTS: Final = re.compile(
    r"^(?:[\s,;:.!]|(?:to|for|and|then)\b)+|(?:[\s,;:.!]|\b(?:and|then|use|call)\b)+$", re.IGNORECASE
)
"""What joins the name of a tool to what it is for, and that to the next name."""

Said: TypeAlias = Generator[Any, Any, bool]


class Use:
    """A tool that may be used, and how it is."""

    __slots__ = ("_make", "names", "tool")

    def __init__(self, names: tuple[str, ...], tool: Mapping[str, Any], make: Callable[..., Said]) -> None:
        self.names = names
        """What the user may call it."""
        self.tool = tool
        self._make = make

    def __call__(self, request: ChatRequest, about: str = "") -> Said:
        """Use it. `about` is what the user said behind its name; without that, the whole message counts."""
        return self._make(self.tool, request, _JOINTS.sub("", about) or request.user_text)


def hosted_uses(request: ChatRequest) -> list[Use]:
    """The uses that the tool choice allows."""
    choice: Any = request.body.get("tool_choice")
    tools = request.hosted_tools if request.tool_choice.mode != "none" else ()
    found: list[Use] = []
    for tool in tools:
        family = tool_family(tool.get("type", ""))
        make = _USES.get(family)
        if make is not None and _allowed(tool, family, choice):
            found += make(family, tool, choice)
    return found


def _allowed(tool: Mapping[str, Any], family: str, choice: Any) -> bool:
    if not isinstance(choice, Mapping):
        return True
    named = choice.get("tools") or () if choice.get("type") == "allowed_tools" else (choice,)
    return any(
        tool_family(each.get("type", "")) == family
        and (each.get("server_label") is None or each["server_label"] == tool.get("server_label"))
        for each in named
    )


def unasked(uses: list[Use]) -> list[Use]:
    """Of tools that nobody named, those that are used all the same: searches."""
    return [use for use in uses if use.names[0] in ("web_search", "file_search")][:1]


def approved(request: ChatRequest) -> list[Mapping[str, Any]] | None:
    """The calls the user approved in answer to the last Response; `None` where it was not asked to."""
    answers: dict[str, bool] = {}
    for item in reversed(request.items):
        if item.get("type") == "mcp_approval_response":
            answers[item["approval_request_id"]] = bool(item["approve"])
        elif answers or item.get("role") == "user":
            break
    if not answers:
        return None
    asked = [item for item in request.items if item.get("type") == "mcp_approval_request"]
    return [item for item in asked if answers.get(item.get("id", ""))]


# Uses of tools


_QUOTED: Final = re.compile(r"`{3}(?:\w+\n)?(.+?)`{3}|`([^`]+)`", re.DOTALL)


def _quoted(about: str) -> str:
    """What the user put between backticks, which is taken literally."""
    found = _QUOTED.search(about)
    return (found[1] or found[2]).strip() if found else ""


def _web_search(tool: Mapping[str, Any], request: ChatRequest, about: str) -> Said:
    domains = ((tool.get("filters") or {}).get("allowed_domains")) or ["example.com"]
    words = re.findall(r"[^\W_]+", about.lower())[:6]
    urls = [f"https://{domains[at % len(domains)]}/{'-'.join(words) or 'page'}-{at + 1}" for at in range(2)]
    yield WebSearch(about, urls)
    first = f"Here is what I found on the web about it ({urls[0]})."
    yield first
    at = first.index(urls[0])
    yield Citation(urls[0], " ".join(words).capitalize() or "Example Domain", at, at + len(urls[0]))
    return True


def _file_search(tool: Mapping[str, Any], request: ChatRequest, about: str) -> Said:
    items = yield FileSearch([about])
    results = items[0]["results"] if items else []
    if not results:
        yield "I found nothing about it in the files."
        return True
    best = results[0]
    quote = " ".join(best["text"].split())
    quote = quote if len(quote) <= 200 else quote[:200].rpartition(" ")[0] + "…"
    text = f"According to {best['filename']}: {quote}"
    yield text
    yield FileCitation(best["file_id"], best["filename"], len(text))
    return True


def _code_interpreter(tool: Mapping[str, Any], request: ChatRequest, about: str) -> Said:
    code = _quoted(about)
    sums = [code] if code else [found[0].strip() for found in _SUM.finditer(about)]
    value = next((value for each in sums if (value := _calculated(each)) is not None), None)
    if value is not None:
        yield CodeInterpreter(code or f"print({sums[0]})", f"{value}\n")
        yield f"The result is {value}."
        return True
    yield CodeInterpreter(code or "print('Hello from the container')", "" if code else "Hello from the container\n")
    yield "The code ran without an error."
    return True


def _image_generation(tool: Mapping[str, Any], request: ChatRequest, about: str) -> Said:
    items = yield ImageGeneration(about or "A picture")
    failed = bool(items) and items[0]["status"] == "failed"
    yield "The picture could not be made." if failed else "Here is the picture."
    return True


def _shell(tool: Mapping[str, Any], request: ChatRequest, about: str) -> Said:
    commands = _quoted(about).splitlines() or ["ls -la"]
    environment: Any = tool.get("environment") or {}
    yield Shell(commands)
    if environment.get("type") in ("container_auto", "container_reference"):
        yield "The commands ran without an error."
        return True
    return False


def _local_shell(tool: Mapping[str, Any], request: ChatRequest, about: str) -> Said:
    yield LocalShell((_quoted(about) or "ls -la").split())
    return False


def _computer(tool: Mapping[str, Any], request: ChatRequest, about: str) -> Said:
    yield Computer([{"type": "screenshot"}])
    return False


def _apply_patch(tool: Mapping[str, Any], request: ChatRequest, about: str) -> Said:
    yield ApplyPatch("create_file", _quoted(about) or "notes.txt", "+Hello\n")
    return False


def mcp_call(call: Mapping[str, Any], request: ChatRequest, about: str) -> Said:
    """A call of a tool of an MCP server, as the item of one says it. Where it needs approval, the turn ends."""
    label, name = call["server_label"], call["name"]
    items = yield McpCall(label, name, call["arguments"], f"{name} found something.")
    if items and items[-1].get("output"):
        yield f"{label} says: {items[-1]['output']}"
    return True


def _mcp(name: str) -> Callable[..., Said]:
    def use(tool: Mapping[str, Any], request: ChatRequest, about: str) -> Said:
        import orjson

        arguments = orjson.dumps({"query": about}).decode()
        call = {"server_label": tool["server_label"], "name": name, "arguments": arguments}
        return (yield from mcp_call(call, request, about))

    return use


def _one(use: Callable[..., Said]) -> Callable[[str, Mapping[str, Any], Any], list[Use]]:
    return lambda family, tool, choice: [Use((family, *_ALIASES.get(family, ())), tool, use)]


def _tools_of(family: str, tool: Mapping[str, Any], choice: Any) -> list[Use]:
    """The tools of an MCP server, each by its name; the server's own name stands for its first."""
    label = tool["server_label"]
    names = offered(tool)
    wanted = choice.get("name") if isinstance(choice, Mapping) else None
    names = [name for name in names if wanted is None or name == wanted]
    return [Use((name, *((label, "mcp") if not at else ())), tool, _mcp(name)) for at, name in enumerate(names)]


_ALIASES: Final[Mapping[str, tuple[str, ...]]] = {
    "web_search": ("web_search_preview", "search the web"),
    "file_search": ("search the files",),
    "code_interpreter": ("python",),
    "image_generation": ("generate_image", "draw"),
    "computer": ("computer_use_preview", "computer_use"),
}
_USES: Final[Mapping[str, Callable[[str, Mapping[str, Any], Any], list[Use]]]] = {
    "web_search": _one(_web_search),
    "file_search": _one(_file_search),
    "code_interpreter": _one(_code_interpreter),
    "image_generation": _one(_image_generation),
    "shell": _one(_shell),
    "local_shell": _one(_local_shell),
    "computer": _one(_computer),
    "apply_patch": _one(_apply_patch),
    "mcp": _tools_of,
}


# Sums


_SUM: Final = re.compile(r"[\d(][\d\s.()+\-*/%]*[\d)]")
_OPERATORS: Final[Mapping[type, Callable[[Any, Any], Any]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}


def _calculated(text: str) -> int | float | None:
    """The value of a sum such as `2 * (3 + 4)`, also of one that is printed; `None` for anything else."""
    if len(text) > 200:
        return None
    printed = re.fullmatch(r"print\((.*)\)", text.strip(), re.DOTALL)
    try:
        body = ast.parse(printed[1] if printed else text, mode="eval").body
        return _value(body) if isinstance(body, ast.BinOp) else None
    except (SyntaxError, ValueError, ArithmeticError):
        return None


def _value(node: ast.expr) -> Any:
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        return node.value
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_value(node.operand)
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        return _OPERATORS[type(node.op)](_value(node.left), _value(node.right))
    raise ValueError("not a sum")
