"""What a run is about, row by row: of a file, of the request, of stored completions, of stored Responses.

A row is a dict: `item`, and where something was said to it already, `sample` as the graders see it, and `told` as
output items tell it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import orjson

from ..context import CONTEXTS, RESPONSES, history
from ..fits import JSONSchema, fits
from ..prompts import text_of
from ..store import bytes_of
from .samples import of_chat, of_response, of_row

if TYPE_CHECKING:
    from ..app import Server

__all__ = ("STORED", "Row", "Unfit", "check_rows", "rows_of", "schema_of")

Row: TypeAlias = dict[str, Any]

STORED: Final = frozenset(("stored_completions", "responses"))
"""Sources of what this server has answered: something was said to their items."""
MOST_ROWS: Final = 100_000
_COMPLETIONS: Final = "chat/completions"


class Unfit(Exception):
    """A source has nothing, or something that is no row."""

    def __init__(self, code: str, message: str, row: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.row = row


def schema_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of the rows of an eval with such a `data_source_config`."""
    if config["type"] != "custom":
        item, sampled = {"type": "object"}, True
    else:
        item, sampled = config["item_schema"], bool(config.get("include_sample_schema"))
    properties = {"item": item, **({"sample": _SAMPLE} if sampled else {})}
    return {"type": "object", "properties": properties, "required": list(properties)}


_SAMPLE: Final = {
    "type": "object",
    "properties": {
        "model": {"type": "string"},
        "output_text": {"type": "string"},
        "output_json": {},
        "output_tools": {"type": "array", "items": {"type": "object"}},
        "choices": {"type": "array", "items": {"type": "object"}},
    },
    "required": ["output_text"],
}
"""What graders may name of a sample."""


def rows_of(server: Server, config: Mapping[str, Any], source: Mapping[str, Any]) -> list[Row]:
    """The rows of the `source` of a run, in order. Raises `Unfit` where there are none, or one is none."""
    found: list[Row] = []
    # A server that refuses nothing has kept schemas that may be none.
    schema: Any = True if server.conjures else config["schema"]["properties"]["item"]
    for number, row in enumerate(_SOURCES[source["type"]](server, config, source), 1):
        if number > MOST_ROWS:
            raise Unfit("too_many_items", f"The data source has more than {MOST_ROWS} items.")
        fault = _fault(row, schema)
        if fault is not None:
            raise Unfit("invalid_item", f"Row {number} of the data source: {fault}.", number)
        found.append(row)
    if not found:
        raise Unfit("no_items", "The data source has no items.")
    return found


def check_rows(config: Mapping[str, Any], source: Mapping[str, Any]) -> None:
    """See that the rows a request has in it are such. Raises `Unfit`."""
    schema = config["schema"]["properties"]["item"]
    for number, row in enumerate(source.get("content") or (), 1):
        fault = _fault(row, schema)
        if fault is not None:
            raise Unfit("invalid_item", fault, number)


def _fault(row: Any, schema: JSONSchema) -> str | None:
    if not isinstance(row, dict) or not isinstance(row.get("item"), dict):
        return "it is not an object with an object 'item'"
    if row.get("sample") is not None and not isinstance(row["sample"], dict):
        return "its 'sample' is not an object"
    try:
        orjson.dumps(row)
        return None if fits(row["item"], schema) else "'item' is not valid for the schema of the eval"
    except (RecursionError, orjson.JSONEncodeError):
        return "it is nested too deeply"


# Sources


def _content(server: Server, config: Mapping[str, Any], source: Mapping[str, Any]) -> Iterator[Any]:
    for row in source["content"]:
        yield _given(row)


def _file(server: Server, config: Mapping[str, Any], source: Mapping[str, Any]) -> Iterator[Any]:
    if server.store.get("files", source["id"]) is None:
        raise Unfit("file_not_found", f"The file '{source['id']}' is not there any more.")
    number = 0
    for line in bytes_of(server.store, source["id"]).split(b"\n"):
        if line.strip():
            number += 1
            try:
                row = orjson.loads(line)
            except orjson.JSONDecodeError:
                raise Unfit("invalid_file", f"Row {number} of the data source is not JSON.", number) from None
            yield _given(row)


def _given(row: Any) -> Any:
    if not isinstance(row, dict):
        return row
    kept: Row = {name: row[name] for name in ("item", "sample") if row.get(name) is not None}
    if isinstance(kept.get("sample"), dict):
        kept["told"] = of_row(kept["sample"])
    return kept


def _completions(server: Server, config: Mapping[str, Any], source: Mapping[str, Any]) -> Iterator[Row]:
    found = [
        each
        for each in server.store.list(_COMPLETIONS)
        if _within(each["created"], source)
        and source.get("model") in (None, each["model"])
        and _has(each.get("metadata"), config.get("metadata"), source.get("metadata"))
    ]
    limit = source.get("limit")
    for completion in found if limit is None else found[max(0, len(found) - max(0, limit)) :]:
        kept = server.store.list(f"{_COMPLETIONS}/{completion['id']}/messages")
        messages = [_message({**each, "content": each["content"] or each.get("content_parts")}) for each in kept]
        sampled = of_chat({**completion, "messages": messages}, completion)
        yield {"item": _item(messages), "sample": sampled.fields, "told": sampled.told}


def _responses(server: Server, config: Mapping[str, Any], source: Mapping[str, Any]) -> Iterator[Row]:
    for response in server.store.list(RESPONSES):
        if response["status"] != "completed" or not _selected(response, config, source):
            continue
        context = server.store.get(CONTEXTS, response["id"]) or {"items": [], "previous": None}
        before = history(server, context["previous"], strict=False) if context["previous"] else []
        messages = [_message(each) for each in (*before, *context["items"])]
        if response.get("instructions"):
            messages.insert(0, {"role": "system", "content": text_of(response["instructions"])})
        sampled = of_response({**response, "input": messages}, response)
        yield {"item": _item(messages), "sample": sampled.fields, "told": sampled.told}


def _selected(response: Mapping[str, Any], config: Mapping[str, Any], source: Mapping[str, Any]) -> bool:
    """Whether a Response is one of those a source asks for."""
    wanted = source.get("instructions_search")
    tools = {tool.get("name") or tool.get("type") for tool in response.get("tools") or ()}
    users = source.get("users")
    return (
        _within(response["created_at"], source)
        and _has(response.get("metadata"), config.get("metadata"), source.get("metadata"))
        and (not wanted or wanted.casefold() in text_of(response.get("instructions")).casefold())
        and set(source.get("tools") or ()) <= tools
        and (not users or response.get("user") in users)
        and source.get("reasoning_effort") in (None, (response.get("reasoning") or {}).get("effort"))
        and all(source.get(name) in (None, response.get(name)) for name in ("model", "temperature", "top_p"))
    )


def _within(created: float, source: Mapping[str, Any]) -> bool:
    after, before = source.get("created_after"), source.get("created_before")
    return (after is None or created >= after) and (before is None or created <= before)


def _has(metadata: Any, *wanted: Any) -> bool:
    known = metadata or {}
    pairs = [pair for each in wanted if isinstance(each, dict) for pair in each.items()]
    return all(known.get(name) == value for name, value in pairs)


_DROPPED: Final = frozenset(("id", "status", "content_parts"))


def _message(kept: Mapping[str, Any]) -> dict[str, Any]:
    """A message as it is given to a model: without what is only known of one that is kept."""
    message = {name: value for name, value in kept.items() if value is not None and name not in _DROPPED}
    content = message.get("content")
    if isinstance(content, list) and all(part.get("type") in _TEXTS for part in content):
        message["content"] = text_of(content)
    if message.get("type") == "message":
        del message["type"]
    return message


_TEXTS: Final = frozenset(("text", "input_text", "output_text"))


def _item(messages: list[dict[str, Any]]) -> dict[str, Any]:
    """The item of something that was answered: what it answered, by both names that the API has for it."""
    return {"input": messages, "input_trajectory": messages}


_SOURCES: Final[dict[str, Callable[[Any, Any, Any], Iterator[Any]]]] = {
    "file_content": _content,
    "file_id": _file,
    "stored_completions": _completions,
    "responses": _responses,
}
