"""The text of a file, whatever its format: what vector stores index.

    read("handbook.pdf", data)      # the words of its pages; raises `Unreadable` where there is no text to be had

The format is told by the file's extension and read by the module of that name, which has `text(data)`. Everything but
PDF (pypdf) is read with the standard library.
"""

from __future__ import annotations

from importlib import import_module
from typing import Final

__all__ = ("FORMATS", "Unreadable", "read")

_CODE = """
    bash bat bib c cc cfg clj conf cpp cs css cxx dart diff env erl ex exs fs go gradle graphql groovy h hpp hs ini
    ipynb java jl js jsonl jsx kt less lisp lua m mjs ml ndjson nim patch php pl proto ps1 py r rb rs sass scala scss sh
    sol sql srt svelte swift tex toml ts tsx vb vtt vue yaml yml zig
"""

FORMATS: Final[dict[str, str]] = {
    **dict.fromkeys(["txt", "text", "md", "markdown", "rst", "log", *_CODE.split()], "plain"),
    **dict.fromkeys(["html", "htm", "xhtml"], "html"),
    **dict.fromkeys(["csv", "tsv"], "table"),
    **dict.fromkeys(["docx", "pptx"], "office"),
    "xml": "plain",
    "json": "json",
    "pdf": "pdf",
}
"""Extensions that are read, and the module that reads each."""


class Unreadable(Exception):
    """A file has no text that can be indexed. `code` is the API's: `unsupported_file`, `invalid_file` …"""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def read(name: str, data: bytes) -> str:
    """The text of a file of that name. Raises `Unreadable`."""
    dot, extension = name.rpartition(".")[1:]
    kind = FORMATS.get(extension.lower()) if dot else None
    if kind is None:
        what = f"with the extension '.{extension}'" if dot else "without an extension"
        raise Unreadable("unsupported_file", f"Files {what} cannot be searched.")
    if not data:
        raise Unreadable("invalid_file", "The file is empty.")
    found: str = import_module(f".{kind}", __package__).text(data)
    if not found.strip():
        raise Unreadable("invalid_file", "There is no text in the file.")
    return found
