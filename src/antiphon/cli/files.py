"""`antiphon files` lists, shows, fetches and deletes uploaded files."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ._client import connect, connection
from ._errors import USAGE, Problem
from ._output import check_target, json_line, show_json, show_table, shown_size, writing
from ._progress import Status
from .models import day

if TYPE_CHECKING:
    from ..client import OpenAI

__all__ = ("configure", "run")


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    parser.description = "List, show, fetch and delete uploaded files. `antiphon upload` uploads them."
    parser.epilog = (
        "actions:\n"
        "  list                what there is: id, size, day, purpose, name (the default)\n"
        "  show ID ...         what the API knows of it, as JSON\n"
        "  get ID [-o FILE]    what is in it\n"
        "  delete ID ...       delete it"
    )
    parser.add_argument("action", nargs="?", choices=_ACTIONS, default="list", metavar="ACTION", help="see below")
    parser.add_argument("ids", nargs="*", metavar="ID", help="the id of a file")
    parser.add_argument("-o", "--output", metavar="FILE", help="where `get` writes to; - for stdout")
    parser.add_argument("-p", "--purpose", metavar="NAME", help="list only those for a purpose")
    parser.add_argument("--json", action="store_true", help="the list as JSON, a line for each file")
    connection(parser)


def run(options: argparse.Namespace) -> int:
    """Do the action."""
    if (options.action == "list") == bool(options.ids):
        takes = "no id" if options.ids else "the id of a file"
        raise Problem(f"files {options.action} takes {takes}", USAGE)
    if options.action == "get":
        if len(options.ids) > 1:
            raise Problem("files get takes one id", USAGE)
        check_target(options.output)
    client, _ = connect(options)
    with client:
        _ACTIONS[options.action](client, options)
    return 0


def _list(client: OpenAI, options: argparse.Namespace) -> None:
    given: dict[str, Any] = {} if options.purpose is None else {"purpose": options.purpose}
    rows: list[list[str]] = []
    with Status("asking for the files") as status:
        for file in client.files.list(**given):
            if options.json:
                status.end()
                json_line(file)
                continue
            length: Any = file.bytes  # hosts may leave it out
            size = "" if length is None else shown_size(length)
            rows.append([str(file.id), size, day(file.created_at), str(file.purpose or ""), str(file.filename or "")])
    show_table(rows)


def _show(client: OpenAI, options: argparse.Namespace) -> None:
    for each in options.ids:
        show_json(client.files.retrieve(each))


def _get(client: OpenAI, options: argparse.Namespace) -> None:
    with Status("fetching") as status, writing(options.output) as out:
        with client.files.with_streaming_response.content(options.ids[0]) as response:
            for piece in response.iter_bytes():
                out.write(piece)
                status.done += len(piece)


def _delete(client: OpenAI, options: argparse.Namespace) -> None:
    for each in options.ids:
        client.files.delete(each)
        print(f"{each} deleted", flush=True)


_ACTIONS: dict[str, Callable[[OpenAI, argparse.Namespace], None]] = {
    "list": _list,
    "show": _show,
    "get": _get,
    "delete": _delete,
}
