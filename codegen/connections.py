"""Writes `antiphon.api.connections`: what a websocket connection of each kind can be sent, and what it is answered.

The official package writes every sender four times over (class and method, in two colours); what there is to know is
the name of the event, its fields and their types. One class of ours, generic in the voice, says that once.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from .annotations import Annotations
from .source import Module, module, unparse
from .types import HEADER, Imports, indent, lazy_table, ours

__all__ = ("CONNECTIONS", "generate")

CONNECTIONS = {
    "realtime": ("realtime.realtime", "realtime", ""),
    "realtime_translations": ("realtime.translations.translations", "realtime.translations", ""),
    "live": ("live.live", "live", ""),
    "live_sideband": ("live.sideband", "live.sideband", ""),
    "live_forks": ("live.forks", "live.forks", ""),
    "responses": ("responses.responses", "responses", ""),
    "beta_realtime": ("beta.realtime.realtime", "beta.realtime", "Beta"),
    "beta_responses": ("beta.responses.responses", "beta.responses", "Beta"),
}
"""By the name of our module: the official module, the path of the resource, and what tells its class names apart."""

_SKIPPED_ITEMS = ("TYPE_CHECKING", "Any", "Literal")


def generate() -> Iterator[tuple[str, str]]:
    """Every module as its path below `antiphon/` and its text."""
    homes: dict[str, str] = {}
    for name, (official, path, prefix) in CONNECTIONS.items():
        writer = _Writer(module(f"openai.resources.{official}"), path)
        yield f"api/connections/{name}.py", writer.text()
        homes.update({f"{prefix}{each}": f".{name}:{each}" if prefix else f".{name}" for each in writer.names})
    checked = Imports()
    for public, home in homes.items():
        where, _, original = home.partition(":")
        checked.add(where, f"{original or public} as {public}")
    yield "api/connections/__init__.py", _package(homes, checked)


def _package(homes: dict[str, str], checked: Imports) -> str:
    about = "The websocket connections and what makes them, to annotate with."
    return (
        f'{HEADER}"""{about} Those of `client.beta` begin with `Beta` here."""\n\n'
        "from __future__ import annotations\n\nfrom typing import TYPE_CHECKING\n\n"
        f"from antiphon.kernel.lazy import lazily\n\nif TYPE_CHECKING:\n{indent(*checked.lines())}\n"
        f"__all__ = {tuple(sorted(homes))!r}\n\n"
        f"if not TYPE_CHECKING:\n{indent(lazy_table(homes))}"
    )


class _Writer:
    """The module of one connection."""

    def __init__(self, home: Module, path: str) -> None:
        self.home = home
        self.path = path
        self.annotations = Annotations(home)
        name = next(each for each in home.definitions if each.endswith("Connection") and not each.startswith("Async"))
        self.connection = name
        self.names = (name, f"Async{name}", f"{name}Manager", f"Async{name}Manager")
        self.senders: dict[str, str] = {}
        self.attributes: list[str] = []

    def text(self) -> str:
        sent, received = self._events()
        accessors: list[str] = []
        for each in self._class(self.connection).body:
            if isinstance(each, ast.AnnAssign) and unparse(each.annotation).endswith("Resource"):
                attribute = unparse(each.target)
                accessors.append(self._accessor(attribute, unparse(each.annotation), attribute, "self"))
        name = self.connection
        group = f"{name}Senders"
        client = f"client.{self.path}"
        doc = indent(self._quote("What the connection can be sent, by resources."))
        parts = [*self.senders.values(), f"class {group}(Senders[V]):\n{doc}\n{indent(*accessors)}"]
        for colour, voice in (("", "Sync"), ("Async", "Async")):
            made = f"{colour}{name}"
            parts.append(
                f'class {made}({group}[{voice}], {colour or "Sync"}Connection["{sent}", "{received}"]):\n'
                f"{indent(self._quote(f'An open connection of `{client}.connect()`.'))}\n"
                f'    _received = "{received}"\n'
            )
            parts.append(
                f'class {made}Manager({colour or "Sync"}ConnectionManager[{made}, "{sent}"]):\n'
                f"{indent(self._quote(f'Makes the connection of `{client}.connect()`, and closes it.'))}\n"
                f"    _connection = {made}\n"
            )
        return self._assemble("\n\n".join(parts))

    def _quote(self, line: str) -> str:
        return f'"""{line}"""'

    def _class(self, name: str) -> ast.ClassDef:
        found = self.home.definitions[name]
        assert isinstance(found, ast.ClassDef), name
        return found

    def _events(self) -> tuple[str, str]:
        """The types of what is sent and of what arrives."""
        methods = {each.name: each for each in self._class(self.connection).body if isinstance(each, ast.FunctionDef)}
        sent = methods["send"].args.args[1].annotation
        received = methods["recv"].returns
        assert sent is not None
        assert received is not None
        return self.annotations.text(sent), self.annotations.text(received)

    def _accessor(self, attribute: str, class_name: str, way: str, connection: str) -> str:
        if class_name not in self.senders:
            self.senders[class_name] = ""  # so that the order is that of first mention
            self.senders[class_name] = self._sender(class_name, way)
        return f"@cached_property\ndef {attribute}(self) -> {class_name}[V]:\n    return {class_name}({connection})\n\n"

    def _sender(self, class_name: str, way: str) -> str:
        node = self._class(class_name)
        functions = [each for each in node.body if isinstance(each, ast.FunctionDef)]
        shadowed = frozenset(each.name for each in functions)
        members = [self._member(each, way, shadowed) for each in functions]
        return f"class {class_name}(Sender[V]):\n{indent(self._quote(f'`connection.{way}`.'), '', *members)}"

    def _member(self, spec: ast.FunctionDef, way: str, shadowed: frozenset[str]) -> str:
        if any(unparse(each) == "cached_property" for each in spec.decorator_list):
            assert spec.returns is not None
            return self._accessor(spec.name, unparse(spec.returns), f"{way}.{spec.name}", "self._connection")
        event = self._event(spec)
        text = ["self", "*"] if spec.args.kwonlyargs else ["self"]
        for argument, default in zip(spec.args.kwonlyargs, spec.args.kw_defaults, strict=True):
            assert argument.annotation is not None
            members = self.annotations.members(argument.annotation, shadowed=shadowed)
            annotation = " | ".join(dict.fromkeys("Omit" if each == "NotGiven" else each for each in members))
            assert (default is None) == ("Omit" not in annotation), (self.home, spec.name, argument.arg)
            text.append(f"{argument.arg}: {annotation}{'' if default is None else ' = omit'}")
        doc = indent(self._quote(f"Send `{event}`."))
        return f'@event("{event}")\ndef {spec.name}({", ".join(text)}) -> None:\n{doc}    raise NotImplementedError\n\n'

    def _event(self, spec: ast.FunctionDef) -> str:
        """The `type` of the event that a method sends, whose other keys are its parameters."""
        names = {argument.arg for argument in spec.args.kwonlyargs}
        for each in ast.walk(spec):
            if not isinstance(each, ast.Dict):
                continue
            keys = zip(each.keys, each.values, strict=True)
            fields = {str(key.value): value for key, value in keys if isinstance(key, ast.Constant)}
            kind = fields.pop("type", None)
            if isinstance(kind, ast.Constant):
                assert set(fields) == names, (self.home, spec.name)
                assert all(unparse(value) == key for key, value in fields.items()), (self.home, spec.name)
                return str(kind.value)
        raise LookupError(f"{self.home}: {spec.name} sends nothing")

    def _assemble(self, body: str) -> str:
        used = self.annotations.used - {"Omit", "NotGiven", "builtins"}
        at_run_time, checked = Imports(), Imports()
        at_run_time.add("functools", "cached_property")
        at_run_time.add("typing", "TYPE_CHECKING", *used.intersection(_SKIPPED_ITEMS))
        at_run_time.add("antiphon.kernel.lazy", "lazily")
        at_run_time.add("antiphon.kernel.operation", "Async", "Sync", "V")
        at_run_time.add("antiphon.kernel.omit", *(("Omit", "omit") if " = omit" in body else ()))
        at_run_time.add(
            "antiphon.api._helpers.sockets",
            "AsyncConnection",
            "AsyncConnectionManager",
            "Sender",
            "Senders",
            "SyncConnection",
            "SyncConnectionManager",
            "event",
        )
        lazy: dict[str, str] = {}
        for name in sorted(used.difference(_SKIPPED_ITEMS)):
            if name in ("Iterable", "Sequence", "Mapping"):
                at_run_time.add("collections.abc", name)
                continue
            ref = self.home.origin(name)
            assert ref.module.startswith("openai.types"), (self.home, name, ref)
            target = ours(ref.module)
            if ref.name:
                checked.add(target, name if ref.name == name else f"{ref.name} as {name}")
                lazy[name] = target if ref.name == name else f"{target}:{ref.name}"
            else:
                parent, _, last = target.rpartition(".")
                checked.add(parent, last if last == name else f"{last} as {name}")
                lazy[name] = f"{target}:"
        builtins = "import builtins\n" if "builtins" in self.annotations.used else ""
        lines = [f"{HEADER}from __future__ import annotations\n\n{builtins}", *at_run_time.lines()]
        lines.append(f"\nif TYPE_CHECKING:\n{indent(*checked.lines())}")
        lines.append(f"\n__all__ = {tuple(sorted(self.names))!r}\n\n{body}")
        lines.append(f"\nif not TYPE_CHECKING:\n{indent(lazy_table(lazy))}")
        return "\n".join(lines) + "\n"
