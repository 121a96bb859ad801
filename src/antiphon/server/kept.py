"""Families of objects that are created, retrieved, listed, updated and deleted, each kept by a one-line description.

    Kept("vector_stores", "vs_", new={"status": "completed"})

reads: the operations of the resource `vector_stores` keep documents whose ids begin with `vs_`; a new one has the
status `completed`, whatever the request says by the names of the response's fields, and for the rest what the
response's schema asks for. Addresses, parents (`/vaults/{vault_id}/credentials`), page styles and the shapes of the
answers follow from the operations and their schemas. The descriptions are in `families/`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from ..kernel.errors import NotFoundError
from .endpoint import endpoint, endpoints
from .facts import deleted, fitted, made, properties
from .ids import Ids
from .paging import page_of
from .samples import stream

if TYPE_CHECKING:
    from ..schema import Schema
    from .app import Server
    from .behaviour import Behaviour, Call
    from .endpoint import Endpoint

__all__ = ("Kept", "Single", "Value", "amend", "check_parents", "families", "family", "kept", "later", "now")

Value: TypeAlias = "Any | Callable[[Call], Any]"
"""A value of a field, or a function that gives it for the call."""

Doc: TypeAlias = dict[str, Any]

_NONE: Mapping[str, Any] = {}
_CRUD = ("create", "retrieve", "update", "list", "delete")
_PAGING = frozenset(("limit", "order", "after", "before", "page", "include"))


def amend(server: Server, place: str, id: str, **fields: Any) -> None:
    """Set fields of a document anew, whatever else has changed in it since it was read; nothing where it is gone."""
    with server.lock:
        doc = server.store.get(place, id)
        if doc is not None:
            server.store.put(place, id, {**doc, **fields})


def now(call: Call) -> int:
    """The time of the call, in whole seconds."""
    return int(call.server.clock.now())


def later(seconds: int) -> Callable[[Call], int]:
    """So many seconds after the call."""
    return lambda call: int(call.server.clock.now()) + seconds


def _values(call: Call, values: Mapping[str, Value]) -> Doc:
    return {name: value(call) if callable(value) else value for name, value in values.items()}


class Kept(NamedTuple):
    """One family of documents."""

    resource: str
    """The resource whose operations these are, such as `vector_stores.files`."""
    prefix: str = ""
    """What new ids begin with."""
    noun: str = ""
    """What the API calls one of them in its messages; made from the resource's name where it is empty."""
    missing: str = "No {noun} found with id '{id}'."
    """The message of the 404 for an unknown id."""
    code: str | None = None
    """The code of that 404."""
    key: str = "id"
    """The field of a document that is its id."""
    given: str = ""
    """The field of the request that names the id of a new document, where it is not made up."""
    new: Mapping[str, Value] = _NONE
    """Fields of a new document, where the request does not say otherwise."""
    forced: Mapping[str, Value] = _NONE
    """Fields of a new document whatever the request says."""
    names: Mapping[str, str] = _NONE
    """Fields of the request whose name in the document differs."""
    once: Mapping[str, Value] = _NONE
    """Fields told in answer to the creation and never again: secrets."""
    actions: Mapping[str, Mapping[str, Value]] = _NONE
    """Further operations, and what they change. The answer is the document where its schema is the answer's."""
    ops: Mapping[str, str] = _NONE
    """Operations that stand elsewhere, by role: `{"list": "fine_tuning.jobs.list_events"}`."""
    filters: Mapping[str, str] = _NONE
    """Query parameters that select by a field of another name."""
    refers: Mapping[str, str] = _NONE
    """Fields of the request that hold ids of another family, and its resource."""
    order: str = "desc"
    """The order of a list when the request does not say."""
    limit: int = 20
    seeds: Callable[[Server, Mapping[str, str]], Iterable[Doc]] | None = None
    """Documents that were there before the first request: fields of each, for the server and the address."""
    answers: Mapping[str, Callable[[Call, Doc], Doc]] = _NONE
    """For operations that answer something else than the document: the fields of that answer."""
    others: Mapping[str, Behaviour] = _NONE
    """Operations of the resource with a behaviour of their own."""
    home: str = ""
    """The resource whose collection new documents go to, where it is not this one's."""
    hidden: Callable[[Call, Doc], bool] | None = None
    """Which documents a list leaves out."""
    created: Callable[[Call, Doc], None] | None = None
    """What else happens when a document is made."""
    removed: Callable[[Call, Doc], None] | None = None
    """What else happens when a document is deleted."""

    # Addresses

    @property
    def title(self) -> str:
        return self.noun or _singular(self.resource)

    def operations(self) -> dict[str, tuple[str, Endpoint]]:
        """The operations of the family by name, each with its role: one of the five, or its own name for an action."""
        found: dict[str, tuple[str, Endpoint]] = {}
        for each in _by_resource().get(self.resource, ()):
            method = each.name.rpartition(".")[2]
            known = method in _CRUD or method in self.actions or method in self.answers
            if known and method not in self.others:
                found[each.name] = (method, each)
        return found | {name: (role, endpoints()[name]) for role, name in self.ops.items()}

    @property
    def list_path(self) -> str:
        """The address of the collection."""
        for role, each in self.operations().values():
            if role in ("create", "list"):
                return each.path
        return self.item_path.rpartition("/")[0]

    @property
    def item_path(self) -> str:
        """The address of one document; empty where they have none."""
        for role, each in self.operations().values():
            if role in ("retrieve", "update", "delete") and each.path.endswith("}"):
                return each.path
        for role, each in self.operations().values():
            if role not in _CRUD and each.path.count("{"):
                return each.path.rpartition("}")[0] + "}"
        return ""

    def behaviours(self) -> dict[str, Behaviour]:
        """The behaviour of each operation."""
        keeper = keepers()[self.resource]
        own = {f"{self.resource}.{method}": behaviour for method, behaviour in self.others.items()}
        return {name: keeper.behaviour(role) for name, (role, _) in self.operations().items()} | own


class Single(NamedTuple):
    """One document at a fixed address: a setting. It exists from the start, unless `absent` says it has to be made."""

    resource: str
    new: Mapping[str, Value] = _NONE
    names: Mapping[str, str] = _NONE
    absent: str = ""
    """The message of the 404 before it is set and after it is deleted; empty where it is always there."""

    def behaviours(self) -> dict[str, Behaviour]:
        """The behaviour of each operation."""
        names = [each.name for each in _by_resource()[self.resource]]
        roles: dict[str, Callable[[Call], Any]] = {
            "retrieve": self._retrieve,
            "update": self._update,
            "delete": self._delete,
        }
        return {name: roles[name.rpartition(".")[2]] for name in names}

    def _place(self, call: Call) -> tuple[str, str]:
        check_parents(call)
        parent, _, name = call.operation.path.strip("/").format_map(call.params).rpartition("/")
        return parent, name

    def _found(self, call: Call) -> Doc:
        doc = call.server.store.get(*self._place(call))
        if doc is not None:
            return doc
        if self.absent and not call.server.conjures:
            raise NotFoundError.because(self.absent, code="not_found")
        return made(call.server, f"{self.resource}.retrieve", {**call.params, **_values(call, self.new)})

    def _retrieve(self, call: Call) -> Doc:
        return self._found(call)

    def _update(self, call: Call) -> Doc:
        place = self._place(call)
        with call.server.lock:
            kept = call.server.store.get(*place) or {}
            known = {**call.params, **_values(call, self.new), **kept, **_renamed(call.body, self.names)}
            doc = made(call.server, call.operation.name, known)
            call.server.store.put(*place, doc)
        return doc

    def _delete(self, call: Call) -> Doc:
        self._found(call)
        call.server.store.delete(*self._place(call))
        return deleted(call, {})


class Keeper:
    """The behaviours of one family."""

    __slots__ = ("collection", "each", "id_param", "item", "schema")

    def __init__(self, each: Kept) -> None:
        self.each = each
        self.collection = each.list_path.strip("/")
        self.item = each.item_path
        self.id_param = self.item.rpartition("{")[2].rstrip("}") if self.item else ""
        self.schema = _document(each)

    def behaviour(self, role: str) -> Behaviour:
        """What serves one of the five, or an action."""
        found: Behaviour = getattr(self, role) if role in _CRUD else self.act
        return found

    # The five

    def create(self, call: Call) -> Any:
        check_parents(call)
        each = self.each
        for field, resource in each.refers.items():
            check_reference(call, field, resource)
        self.seed(call.server, call.params)
        doc = self.document(call, None)
        call.server.store.put(self.place(call.params), str(doc[each.key]), doc)
        if each.created is not None:
            each.created(call, doc)
            doc = call.server.store.get(self.place(call.params), str(doc[each.key])) or doc
        return self.answer(call, doc, _values(call, each.once))

    def add(self, call: Call, params: Mapping[str, str], facts: Mapping[str, Any]) -> Doc:
        """Keep a new document that another operation brings about. `facts` are fields it has."""
        each = self.each
        known = {**params, **_values(call, each.new), each.key: facts.get(each.key) or call.server.ids.new(each.prefix)}
        doc = made(call.server, self.schema, {**known, **facts})
        call.server.store.put(self.place(params), str(doc[each.key]), doc)
        return doc

    def retrieve(self, call: Call) -> Any:
        return self.answer(call, self.found(call), _NONE)

    def update(self, call: Call) -> Any:
        check_parents(call)
        for field, resource in self.each.refers.items():
            check_reference(call, field, resource)
        changes = _renamed(call.body, self.each.names)
        return self.answer(call, self.changed(call, changes), _NONE)

    def list(self, call: Call) -> Any:
        check_parents(call)
        each = self.each
        server = call.server
        self.seed(server, call.params)
        hidden = each.hidden
        wanted = [
            (each.filters.get(name, name), value)
            for name, value in call.query.items()
            if name not in _PAGING and value is not None
        ]

        def keep(doc: Doc) -> bool:
            if hidden is not None and hidden(call, doc):
                return False
            return all(_selected(doc, field, value) for field, value in wanted)

        found = page_of(
            server.store,
            self.place(call.params),
            call.query,
            keep=keep if wanted or hidden is not None else None,
            order=each.order,
            limit=each.limit,
            key=each.key,
            style=page_style(call),
            lenient=server.conjures,
        )
        items = endpoint(call.operation.name).schema.response
        item = items and properties(items)["data"].get("items")
        if item is not None and not _same(item, self.schema):
            found["data"] = [made(call.server, item, doc) for doc in found["data"]]
        return found

    def delete(self, call: Call) -> Any:
        doc = self.found(call)
        call.server.store.delete(self.place(call.params), call.params[self.id_param])
        if self.each.removed is not None:
            self.each.removed(call, doc)
        fields = self.each.answers.get("delete")
        return (
            deleted(call, doc, self.each.key)
            if fields is None
            else made(call.server, call.operation.name, fields(call, doc))
        )

    def act(self, call: Call) -> Any:
        method = call.operation.name.rpartition(".")[2]
        changes = self.each.actions.get(method)
        doc = self.found(call) if not changes else self.changed(call, _values(call, changes))
        return self.answer(call, doc, _NONE)

    # What they share

    def place(self, params: Mapping[str, str]) -> str:
        """The collection an address is in."""
        if self.each.home:
            return keepers()[self.each.home].place(params)
        return self.collection.format_map(params) if "{" in self.collection else self.collection

    def found(self, call: Call) -> Doc:
        """The document the address names. Raises `NotFoundError`."""
        check_parents(call)
        return self.get(call, call.params, call.params[self.id_param])

    def get(self, call: Call, params: Mapping[str, str], id: str) -> Doc:
        """A document by its id. Raises `NotFoundError`, or makes one up where the server conjures."""
        doc = self.lookup(call.server, params, id)
        if doc is not None:
            return doc
        if call.server.conjures:
            return self.document(call, id)
        raise NotFoundError.because(
            self.each.missing.format(noun=self.each.title, id=id, Noun=_capital(self.each.title)), code=self.each.code
        )

    def lookup(self, server: Server, params: Mapping[str, str], id: str) -> Doc | None:
        self.seed(server, params)
        return server.store.get(self.place(params), id)

    def changed(self, call: Call, changes: Doc) -> Doc:
        """Put the document back with some fields set anew, those that the document has."""
        with call.server.lock:
            doc = self.found(call)
            fields = properties(self.schema)
            doc = {**doc, **{k: fitted(fields[k], v) for k, v in changes.items() if k in fields}}
            if "updated_at" in doc:
                doc["updated_at"] = now(call)
            call.server.store.put(self.place(call.params), str(doc[self.each.key]), doc)
        return doc

    def document(self, call: Call, id: str | None) -> Doc:
        """A new document; with an `id`, one made up for it."""
        each = self.each
        known = {**call.params, **_values(call, each.new)}
        if id is None:
            known |= _renamed(call.body, each.names) | _values(call, each.forced)
            if each.key not in each.forced:
                given = call.body.get(each.given) if each.given else None
                known[each.key] = call.server.ids.new(each.prefix) if given is None else given
        else:
            known[each.key] = id
        # What is made up for an id is the same every time.
        ids = None if id is None else Ids(f"{call.server.seed} {id}")
        return made(call.server, self.schema, known, ids)

    def answer(self, call: Call, doc: Doc, once: Mapping[str, Any]) -> Any:
        """What the operation says about a document: the document itself, where that is what its schema asks for."""
        at = endpoint(call.operation.name)
        method = call.operation.name.rpartition(".")[2]
        if at.schema.event is not None and call.body.get("stream"):
            return stream(call, doc)
        if at.schema.response is None:
            return None
        fields = self.each.answers.get(method)
        if fields is not None:
            return made(call.server, at.schema.response, {**call.params, **fields(call, doc)})
        if once or not _same(at.schema.response, self.schema):
            return made(call.server, at.schema.response, {**call.params, **call.body, **doc, **once})
        return doc

    def seed(self, server: Server, params: Mapping[str, str]) -> None:
        """Put the documents that were there before the first request, once."""
        seeds = self.each.seeds
        if seeds is None:
            return
        place = self.place(params)
        with server.lock:
            if server.store.get("seeded", place) is None:
                server.store.put("seeded", place, {"id": place})
                for fields in seeds(server, params):
                    doc = made(server, self.schema, {**params, **fields})
                    server.store.put(place, str(doc[self.each.key]), doc)


def _document(each: Kept) -> Schema:
    """The schema of a family's documents: that of retrieval, of an item of the list, or of the creation."""
    roles = dict(each.operations().values())
    from ..schema import operation

    for role in ("retrieve", "update", "create", "list", *each.actions):
        at = roles.get(role)
        response = operation(at.name).response if at is not None else None
        if response is not None:
            items: Schema | None = response.get("properties", {}).get("data", {}).get("items")
            return response if items is None or role in each.actions else items
    raise LookupError(f"no operation of {each.resource} answers a document")


def page_style(call: Call) -> str:
    """Which style of page an operation answers with."""
    fields = properties(endpoint(call.operation.name).schema.response or {})
    return "next" if "next" in fields else "ids" if "has_more" in fields else "plain"


def check_parents(call: Call) -> None:
    """See that what the address lies under exists. Raises `NotFoundError`."""
    if call.params and not call.server.conjures:
        for keeper, param in _parents(call.operation.path):
            keeper.get(call, call.params, call.params[param])


def check_reference(call: Call, field: str, resource: str) -> None:
    """See that the ids in a field of the body name something. Raises `NotFoundError`."""
    named = call.body.get(field)
    if named is not None and not call.server.conjures:
        keeper = keepers()[resource]
        for each in named if isinstance(named, list) else [named]:
            keeper.get(call, call.params, each)


@cache
def _parents(path: str) -> tuple[tuple[Keeper, str], ...]:
    """The families along an address, each with the parameter that names its document; not the last parameter's."""
    by_item = {_blank(keeper.item): keeper for keeper in keepers().values() if keeper.item}
    parts = path.strip("/").split("/")
    found: list[tuple[Keeper, str]] = []
    for at, part in enumerate(parts[:-1]):
        if part[:1] == "{":
            place = _blank("/" + "/".join(parts[: at + 1]))
            keeper = by_item.get(place) or by_item.get("/organization" + place)
            if keeper is not None:
                found.append((keeper, part[1:-1]))
    return tuple(found)


def _blank(path: str) -> str:
    return "/".join("{}" if part[:1] == "{" else part for part in path.split("/"))


def _renamed(body: Mapping[str, Any], names: Mapping[str, str]) -> Doc:
    return {names.get(name, name): value for name, value in body.items()} if names else dict(body)


def _selected(doc: Doc, field: str, value: Any) -> bool:
    """Whether a document has a value, or one of the values, in a field. A field it does not have selects all."""
    if field not in doc and isinstance(value, list) and field.endswith("s"):
        field = field[:-1]
    if field not in doc:
        return True
    held = doc[field]
    if isinstance(value, list):
        return held in value
    if isinstance(value, dict) and isinstance(held, dict):
        return all(held.get(name) == each for name, each in value.items())
    return bool(held == value)


def _singular(resource: str) -> str:
    word = resource.rpartition(".")[2].replace("_", " ")
    return word[:-3] + "y" if word.endswith("ies") else word[:-2] if word.endswith("ches") else word.removesuffix("s")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _same(one: Schema, other: Schema) -> bool:
    return one == other or properties(one) == properties(other)


# The registry


@cache
def _by_resource() -> dict[str, list[Endpoint]]:
    found: dict[str, list[Endpoint]] = {}
    for name, each in endpoints().items():
        found.setdefault(name.rpartition(".")[0], []).append(each)
    return found


@cache
def families() -> tuple[Kept | Single, ...]:
    """Every description in `families/`."""
    package = import_module(".families", __package__)
    modules = [import_module(f".families.{module.name}", __package__) for module in iter_modules(package.__path__)]
    return tuple(each for module in modules for each in module.FAMILIES)


@cache
def keepers() -> dict[str, Keeper]:
    """The keepers by resource."""
    return {each.resource: Keeper(each) for each in families() if isinstance(each, Kept)}


def family(resource: str) -> Keeper:
    """The keeper of a resource, for behaviours that work with its documents. Raises `KeyError`."""
    return keepers()[resource]


@cache
def kept() -> dict[str, Behaviour]:
    """The generic behaviours by operation name."""
    return {name: behaviour for each in families() for name, behaviour in each.behaviours().items()}
