"""From a method and a path to the operation that serves it.

Addresses without parameters are looked up in a dict, the others walk a trie of segments in which a segment
that is written out wins over a parameter. The API answers under several prefixes:

    /v1/…   /…   /v1beta/openai/…   /openai/v1/…   /openai/…   /openai/deployments/{deployment}/…

The last three are Azure's; a deployment in the address stands for the model.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Generic, NamedTuple, Protocol, TypeVar
from urllib.parse import unquote

from ..kernel.errors import APIStatusError, NotFoundError

__all__ = ("Address", "Match", "Routes", "not_allowed", "stripped")


class Address(Protocol):
    """What a route needs to know of an operation."""

    @property
    def method(self) -> str: ...
    @property
    def path(self) -> str:
        """Such as `/files/{file_id}`."""
        ...

    @property
    def fixed_query(self) -> Mapping[str, str]:
        """Query parameters that are part of the address, such as `beta=true`."""
        ...


A = TypeVar("A", bound=Address)

PREFIXES = ("", "/v1", "/v1beta/openai", "/openai/v1", "/openai")
_STRIPPED = ("/v1beta/openai/", "/v1/", "/openai/v1/")
_DEPLOYMENTS = "/openai/deployments/"


class Match(NamedTuple, Generic[A]):
    """The operation an address belongs to, and what the address says beside it."""

    target: A
    params: dict[str, str]
    deployment: str | None


class _Methods(dict[str, list[A]], Generic[A]):
    """The operations at one address, by method."""


class _Node(Generic[A]):
    __slots__ = ("methods", "parameter", "written")

    def __init__(self) -> None:
        self.written: dict[str, _Node[A]] = {}
        self.parameter: _Node[A] | None = None
        self.methods: _Methods[A] | None = None


class Routes(Generic[A]):
    """All addresses of the API.

    Of several operations at one address and method the first one listed serves, except where a fixed query tells
    them apart.
    """

    def __init__(self, operations: Iterable[A]) -> None:
        self._root: _Node[A] = _Node()
        self._static: dict[str, _Methods[A]] = {}
        self._names: dict[int, tuple[str, ...]] = {}
        self._bare: dict[str, dict[str, A]] = {}
        self._plain: dict[str, dict[str, A]] = {}
        for operation in operations:
            self._add(operation)
        for path, methods in self._static.items():
            # The common case: two dict look-ups. With a query, only where no fixed query has a say in it.
            bare = {m: each for m, found in methods.items() for each in found[::-1] if not each.fixed_query}
            plain = {m: found[0] for m, found in methods.items() if not found[0].fixed_query}
            for prefix in PREFIXES:
                self._bare[prefix + path] = bare
                self._plain[prefix + path] = plain

    def _add(self, operation: A) -> None:
        segments = operation.path.strip("/").split("/")
        node = self._root
        names: list[str] = []
        for segment in segments:
            if segment[:1] == "{":
                names.append(segment[1:-1])
                if node.parameter is None:
                    node.parameter = _Node()
                node = node.parameter
            else:
                node = node.written.setdefault(segment, _Node())
        if node.methods is None:
            node.methods = _Methods()
        found = node.methods.setdefault(operation.method, [])
        found.append(operation)
        # A fixed query is the narrower address: it is asked first. The sort is stable.
        found.sort(key=lambda each: not each.fixed_query)
        self._names[id(operation)] = tuple(names)
        if not names:
            self._static[operation.path] = node.methods

    def match(self, method: str, path: str, query: str) -> Match[A]:
        """The operation at an address.

        Raises `NotFoundError` where there is none and a 405 `APIStatusError` where there is one for another
        method only.
        """
        target = self.direct(method, path, query)
        if target is not None:
            return Match(target, {}, None)
        rest, deployment = stripped(path)
        return self._walk(method, path, rest, deployment, query)

    def direct(self, method: str, path: str, query: str) -> A | None:
        """The operation at an address that needs no second look; `None` when `match` has to decide."""
        methods = (self._plain if query else self._bare).get(path)
        return None if methods is None else methods.get(method)

    def _walk(self, method: str, path: str, rest: str, deployment: str | None, query: str) -> Match[A]:
        segments = rest.split("/")[1:]
        reached: list[tuple[_Methods[A], list[str]]] = []
        _reach(self._root, segments, 0, [], reached)
        for methods, values in reached:
            found = methods.get(method)
            if found is not None:
                target = found[0] if len(found) == 1 and not found[0].fixed_query else _by_query(found, query)
                if target is not None:
                    names = self._names[id(target)]
                    return Match(target, {n: unquote(v) for n, v in zip(names, values, strict=True)}, deployment)
        if reached:
            raise not_allowed(method, path, {name for methods, _ in reached for name in methods})
        raise NotFoundError.because(f"Invalid URL ({method} {path})")

    def methods(self, path: str) -> set[str]:
        """The methods an address answers to; empty for no address of the API."""
        rest, _ = stripped(path)
        reached: list[tuple[_Methods[A], list[str]]] = []
        _reach(self._root, rest.split("/")[1:], 0, [], reached)
        return {name for methods, _ in reached for name in methods}


def stripped(path: str) -> tuple[str, str | None]:
    """A path below the API's version, and the deployment that an address of Azure's names."""
    for prefix in _STRIPPED:
        if path.startswith(prefix):
            return path[len(prefix) - 1 :], None
    if path.startswith(_DEPLOYMENTS):
        deployment, slash, rest = path[len(_DEPLOYMENTS) :].partition("/")
        if deployment and slash:
            return "/" + rest, unquote(deployment)
    if path.startswith("/openai/"):
        return path[7:], None
    return path, None


def _reach(
    node: _Node[A], segments: list[str], at: int, values: list[str], reached: list[tuple[_Methods[A], list[str]]]
) -> None:
    """Collect the addresses that fit, the most written-out first."""
    if at == len(segments):
        if node.methods is not None:
            reached.append((node.methods, list(values)))
        return
    segment = segments[at]
    written = node.written.get(segment)
    if written is not None:
        _reach(written, segments, at + 1, values, reached)
    if node.parameter is not None and segment:
        values.append(segment)
        _reach(node.parameter, segments, at + 1, values, reached)
        values.pop()


def _by_query(found: list[A], query: str) -> A | None:
    given = query.split("&")
    for operation in found:
        if all(f"{name}={value}" in given for name, value in operation.fixed_query.items()):
            return operation
    return None


def not_allowed(method: str, path: str, allowed: Iterable[str]) -> APIStatusError:
    """The 405 for an address that exists, but not for this method."""
    names: set[Any] = {*allowed, "OPTIONS"}
    if "GET" in names:
        names.add("HEAD")
    return APIStatusError.because(
        f"Not allowed to {method} on {path}. (HINT: Perhaps you meant to use a different HTTP method?)",
        status=405,
        headers={"allow": ", ".join(sorted(names))},
    )
