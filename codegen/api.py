"""Writes `antiphon.api`: a module for each resource, a decorated signature for each operation."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from .annotations import Annotations
from .overlay import HELPERS, LOCAL_PARAMETERS
from .resources import Operation, Resource, parameters, resources
from .source import Ref
from .types import HEADER, Imports, indent, lazy_table, ours, relative
from .words import operation_doc, resource_doc

__all__ = ("generate",)

_KERNEL = {
    "Body": "options",
    "Headers": "options",
    "Query": "options",
    "Timeout": "options",
    "FileTypes": "files",
    "Stream": "stream",
    "AsyncStream": "stream",
    "HttpxBinaryResponseContent": "binary",
}
"""Names of the official package that our kernel has."""
_LIB = {
    "AgentSessionEventStream": "beta.agents",
    "AsyncAgentSessionEventStream": "beta.agents",
    "OutputT": "beta.agents._result",
    "ToolHandler": "streaming.agents",
    "AsyncToolHandler": "streaming.agents",
}
"""Names of the official package that our `lib` has."""
_is_stream = re.compile(r"\w*Stream\[").match
_VARIABLE = "OutputT"
"""The type variable of calls that are generic: each of their voices has a protocol of its own."""
_OPTIONS = (
    "extra_headers: Headers | None = None, extra_query: Query | None = None, extra_body: Body | None = None, "
    "timeout: float | Timeout | None | NotGiven = not_given"
)
_TYPING = ("Any", "Literal")
_VOICED = {"with_raw_response": "Raw", "with_streaming_response": "Streaming", "with_result": "Result"}
_ANSWERS = ("InRaw", "InAsyncRaw", "InStreaming", "InAsyncStreaming", "InResult", "InAsyncResult")
"""What a call returns in the further voices, as the kernel names it."""
_VARIABLES = ("R1_co", "R2_co", "R3_co", "R4_co", "R5_co")


def generate() -> Iterator[tuple[str, str]]:
    """Every module as its path below `antiphon/` and its text."""
    found = resources()
    for path, resource in found.items():
        if path:
            parent = any(child.startswith(f"{path}.") for child in found)
            where = path.replace(".", "/")
            yield f"api/{where}/__init__.py" if parent else f"api/{where}.py", _Writer(resource, found, parent).text()
    yield "api/__init__.py", _root(found)
    yield "api/_index.py", _index(found)


def _index(found: dict[str, Resource]) -> str:
    rows = [
        f"    ({operation.full_name!r}, {path!r}, {resource.class_name!r}, {operation.method!r}, {operation.path!r}),"
        for path, resource in found.items()
        for operation in resource.operations
    ]
    return (
        f"{HEADER}from __future__ import annotations\n\n__all__ = ('OPERATIONS',)\n\n"
        "OPERATIONS: tuple[tuple[str, str, str, str, str], ...] = (\n" + "\n".join(sorted(rows)) + "\n)\n"
        '"""Every operation: its name, the path of its resource, the class, the method and the address."""\n'
    )


def _root(found: dict[str, Resource]) -> str:
    root = found[""]
    children = [_child(name, target, found, "antiphon.api") for name, target in root.children.items()]
    imports = Imports()
    for target in root.children.values():
        imports.add(f".{target}", found[target].class_name)
    return f'''{HEADER}"""Every operation of the API, as resources in one voice. Importing this imports none of them."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from antiphon.kernel import operation as op
from antiphon.kernel.operation import Resource, V

if TYPE_CHECKING:
    from typing import Any

    from antiphon.kernel.operation import AnyOperation
{indent(*imports.lines())}

__all__ = ("API", "operations")


class API(Resource[V]):
    """The root resources."""

{indent(*children, _voices("API"), _AROUND)}

def operations() -> dict[str, AnyOperation]:
    """Every operation by its name, such as `chat.completions.create`, in the order of the names. Imports them all."""
    from importlib import import_module

    from ._index import OPERATIONS

    return {{
        name: getattr(getattr(import_module(f"{{__name__}}.{{path}}"), owner), name.rpartition(".")[2])
        for name, path, owner, _, _ in OPERATIONS
    }}
'''


_AROUND = """def _around(self, core: Any) -> API[Any]:
    return API(core)

"""
"""Of the root: the client is a subclass, whose voices are none."""


def _voices(class_name: str) -> str:
    """The types of a resource in the further voices; the kernel has what makes them."""
    lines = [
        f"{name}: op.Voiced[{class_name}[op.Sync{voice}], {class_name}[op.Async{voice}]] = op.voiced"
        for name, voice in _VOICED.items()
    ]
    return f"if TYPE_CHECKING:\n{indent(*lines)}\n"


def _child(name: str, target: str, found: dict[str, Resource], package: str) -> str:
    class_name = found[target].class_name
    where = relative(f"antiphon.api.{target}", package)
    return (
        f"@cached_property\ndef {name}(self) -> {class_name}[V]:\n"
        f"    from {where} import {class_name}\n\n    return {class_name}(self._core)\n\n"
    )


def _bases(path: str) -> list[tuple[str, str]]:
    """The bases of a resource's class, each with the module it comes from."""
    helpers = [each.partition(":") for each in HELPERS.get(path, "").split()]
    if not helpers:
        return [("antiphon.kernel.operation", "Resource")]
    return [(f"antiphon.api{home if home[0] == '.' else f'._helpers.{home}'}", name) for home, _, name in helpers]


class _Writer:
    """The module of one resource."""

    def __init__(self, resource: Resource, found: dict[str, Resource], parent: bool) -> None:
        self.resource = resource
        self.found = found
        self.module = f"antiphon.api.{resource.path}"
        self.package = self.module if parent else self.module.rpartition(".")[0]
        self.annotations = Annotations(resource.home)
        self.shadowed = frozenset([*resource.children, *(operation.name for operation in resource.operations)])
        self.protocols: list[str] = []
        self.variables = 0
        self.specs: list[str] = []

    def text(self) -> str:
        resource = self.resource
        members = [_child(name, target, self.found, self.package) for name, target in resource.children.items()]
        members += [self._operation(operation) for operation in resource.operations]
        body = indent(f'"""{resource_doc(resource.path)}"""\n\n', *members, _voices(resource.class_name))
        bases = ", ".join(f"{name}[V]" for _, name in _bases(resource.path))
        return self._assemble(f"class {resource.class_name}({bases}):\n{body}")

    # Operations

    def _operation(self, operation: Operation) -> str:
        streams = "streams" in operation.how
        doc = operation_doc(operation.resource, operation.name, operation.method, operation.path.partition("?")[0])
        docstring = f'"""{doc}\n"""'
        leaves = self._leaves(operation.spec)
        answers = leaves if streams else [leaf for leaf in leaves if not _is_stream(leaf)]
        decorator = f"@op.{operation.method.lower()}{'_page' if operation.paged else ''}({self._how(operation)})"
        signature = self._signature(operation.spec, self.shadowed)
        spec = (
            f"{decorator}\ndef {operation.name}({signature}) -> {' | '.join(answers)}:\n"
            f"{indent(docstring)}    raise NotImplementedError\n"
        )
        if not operation.overloads and not streams:
            return f"{spec}\n"
        protocol, typed = self._protocol(operation)
        self.protocols.append(protocol)
        declared = indent(f"{operation.name}: {typed} = op.overloaded", docstring)
        return f"if TYPE_CHECKING:\n{declared}else:\n{indent(spec)}\n"

    def _how(self, operation: Operation) -> str:
        parts = [f'"{operation.path}"']
        for name, value in operation.how.items():
            if name == "events":
                self.annotations.used.add(str(value).partition("[")[0])
            parts.append(f"{name}={value!r}")
        return ", ".join(parts)

    def _signature(self, spec: ast.FunctionDef, shadowed: frozenset[str]) -> str:
        text = ["self"]
        keyword_only = False
        for argument, positional, required in parameters(spec):
            if not positional and not keyword_only:
                keyword_only = True
                text.append("*")
            assert argument.annotation is not None
            members = self.annotations.members(argument.annotation, shadowed=shadowed)
            # Older signatures say `NOT_GIVEN` where newer ones say `omit`; to a parameter of the API both are one.
            annotation = " | ".join(dict.fromkeys("Omit" if each == "NotGiven" else each for each in members))
            local = argument.arg in LOCAL_PARAMETERS
            assert required == ("Omit" not in annotation) or local, (self.module, spec.name, argument.arg)
            text.append(f"{argument.arg}: {annotation}{'' if required else ' = None' if local else ' = omit'}")
        if not keyword_only:
            text.append("*")
        return ", ".join([*text, _OPTIONS])

    def _leaves(self, spec: ast.FunctionDef) -> list[str]:
        """The members of the union a method returns."""
        assert spec.returns is not None
        return self.annotations.members(spec.returns, shadowed=self.shadowed)

    def _protocol(self, operation: Operation) -> tuple[str, str]:
        """The type of a call whose answer depends on its arguments, and the attribute's type made of it."""
        name = "_" + "".join(part.capitalize() for part in operation.name.split("_"))
        leaves = self._leaves(operation.spec)
        seen = [leaf for each in operation.overloads for leaf in self._leaves(each)]
        leaves = [leaf for leaf in leaves if leaf in seen or not seen]
        assert set(seen) <= set(leaves), operation
        in_async = [f"Async{leaf}" if _is_stream(leaf) else leaf for leaf in leaves]
        self.annotations.used |= {leaf.partition("[")[0] for leaf in in_async if _is_stream(leaf)}
        voices = [leaves, [f"Coroutine[Any, Any, {leaf}]" for leaf in in_async]]
        for answer in _ANSWERS:
            each = in_async if "Async" in answer else leaves
            voices.append([f"op.{answer}[{leaf}]" for leaf in each])
        if any(_VARIABLE in leaf for leaf in leaves):
            return self._generic(operation, name, [dict(zip(leaves, each, strict=True)) for each in voices])
        variables = dict(zip(leaves, _VARIABLES, strict=False))
        assert len(variables) == len(leaves), operation
        self.variables = max(self.variables, len(leaves))
        calls: list[str] = []
        for each in operation.overloads or [operation.spec]:
            answer = " | ".join(variables[leaf] for leaf in self._leaves(each))
            mark = "@overload\n" if operation.overloads else ""
            calls.append(f"{mark}def __call__({self._signature(each, frozenset())}) -> {answer}: ...")
        text = f"class {name}(Protocol[{', '.join(variables.values())}]):\n{indent(*calls)}"
        calls = [f"{name}[{', '.join(each)}]" for each in voices]
        return text, f"op.Overloaded[{', '.join(calls)}]"

    def _generic(self, operation: Operation, name: str, voices: list[dict[str, str]]) -> tuple[str, str]:
        """The same for a call that is generic: what its variable stands for is known only in the call."""
        texts: list[str] = []
        names = [f"{name}{kind.removeprefix('In')}" for kind in ("Sync", "Async", *_ANSWERS)]
        for each, answers in zip(names, voices, strict=True):
            calls: list[str] = []
            for overload in operation.overloads:
                answer = " | ".join(answers[leaf] for leaf in self._leaves(overload))
                signature = self._signature(overload, frozenset())
                if "Async" in each:
                    signature = signature.replace("ToolHandler", "AsyncToolHandler")
                calls.append(f"@overload\ndef __call__({signature}) -> {answer}: ...")
            texts.append(f"class {each}(Protocol):\n{indent(*calls)}")
        self.annotations.used.add("AsyncToolHandler")
        return "\n".join(texts), f"op.Overloaded[{', '.join(names)}]"

    # The whole

    def _assemble(self, body: str) -> str:
        resource = self.resource
        used = set(self.annotations.used)
        at_run_time, checked = Imports(), Imports()
        lazy: dict[str, str] = {}
        for home, base in _bases(resource.path):
            at_run_time.add(home, base)
        at_run_time.add("antiphon.kernel.operation", "V")
        typing: set[str] = {"TYPE_CHECKING"}
        at_run_time.add("antiphon.kernel", "operation as op")
        if resource.operations:
            used |= {"Body", "Headers", "Query", "Timeout"}
            omitted = ("Omit", "omit") if " = omit" in body else ()
            at_run_time.add("antiphon.kernel.omit", "NotGiven", "not_given", *omitted)
        if resource.children:
            at_run_time.add("functools", "cached_property")
            for target in resource.children.values():
                checked.add(relative(f"antiphon.api.{target}", self.package), self.found[target].class_name)
        if self.protocols:
            typing |= {"Any", "Protocol"} | ({"TypeVar"} if self.variables else set())
            typing |= {"overload"} if any("@overload" in text for text in self.protocols) else set()
            checked.add("collections.abc", "Coroutine")
        typing |= used.intersection(_TYPING)
        used -= {*_TYPING, "builtins", "Omit", "NotGiven"}
        for name in sorted(used):
            if name in ("Iterable", "Sequence", "Mapping"):
                at_run_time.add("collections.abc", name)
            else:
                # The type of events may be named in the declaration alone, as text.
                said = re.search(rf"(?<!['\"])\b{name}\b", body + "".join(self.protocols))
                self._import(name, checked if said else Imports(), lazy)
        if lazy:
            at_run_time.add("antiphon.kernel.lazy", "lazily")
        at_run_time.add("typing", *typing)
        protocols = "".join(
            f"{name} = TypeVar({name!r}, covariant=True)\n" for name in _VARIABLES[: self.variables]
        ) + "\n".join(self.protocols)
        parts = [f"{HEADER}from __future__ import annotations\n"]
        if "builtins" in self.annotations.used:
            parts.append("import builtins")
        parts += at_run_time.lines()
        parts.append(f"\nif TYPE_CHECKING:\n{indent(*checked.lines(), protocols)}" if checked.names else "")
        parts.append(f"\n__all__ = ({resource.class_name!r},)\n\n{body}")
        if lazy:
            parts.append(f"\nif not TYPE_CHECKING:\n{indent(lazy_table(lazy))}")
        return "\n".join(parts) + "\n"

    def _import(self, name: str, checked: Imports, lazy: dict[str, str]) -> None:
        if name in _KERNEL:
            where = f"antiphon.kernel.{_KERNEL[name]}"
            checked.add(where, name)
            lazy[name] = where
            return
        if name in _LIB:
            where = f"antiphon.lib.{_LIB[name]}"
            checked.add(where, name)
            lazy[name] = where
            return
        ref = self._ref(name)
        if ref.module == "openai.pagination":
            where = "antiphon.kernel.pages"
            checked.add(where, name)
            lazy[name] = where
            return
        assert ref.module.startswith("openai.types"), (self.module, name, ref)
        target = ours(ref.module)
        where = relative(target, self.package)
        if ref.name:
            checked.add(where, name if ref.name == name else f"{ref.name} as {name}")
            lazy[name] = where if ref.name == name else f"{where}:{ref.name}"
            return
        parent, _, last = target.rpartition(".")
        checked.add(relative(parent, self.package), last if last == name else f"{last} as {name}")
        lazy[name] = f"{where}:"

    def _ref(self, name: str) -> Ref:
        homes = [self.resource.home, *(operation.home for operation in self.resource.operations)]
        for home in homes:
            if name in home.imports:
                return home.origin(name)
        if name == "AgentSessionEvent":
            return Ref("openai.types.beta.agent_session_event", name)
        raise LookupError(f"{self.module}: {name}")
