"""The page: one document with its style and its script inside, made of the files beside this one."""

from __future__ import annotations

from base64 import b64encode
from functools import cache
from hashlib import sha256
from html import escape
from importlib.resources import files
from typing import Final

from ...kernel.http import Headers, Response
from ...version import __version__
from ..door import PREFIX
from .operations import OPERATIONS, Operation

__all__ = ("page",)

_TITLES: Final = {
    "journal": "Journal",
    "assert": "Assertions",
    "verdict": "Verdict on the client",
    "clock": "Clock",
    "seed": "Seed",
    "latency": "Latency",
    "metrics": "Metrics",
    "rules": "Rules",
    "scripts": "Scripts",
    "faults": "Faults",
    "sessions": "Sessions",
    "state": "State",
    "about": "About",
}


@cache
def page() -> Response:
    """The page as a response."""
    home = files("antiphon.fake.control")
    style = (home / "page.css").read_text("utf-8")
    script = (home / "page.js").read_text("utf-8")
    groups: dict[str, list[Operation]] = {}
    for each in OPERATIONS:
        if each.path and each.name != "about.page":
            groups.setdefault(each.group, []).append(each)
    shown = "".join(
        f"<section><h3>{_TITLES.get(name, name)}</h3>{''.join(map(_shown, several))}</section>"
        for name, several in sorted(groups.items(), key=lambda group: [*_TITLES].index(group[0]))
    )
    html = (home / "page.html").read_text("utf-8")
    parts = {"style": style, "script": script, "operations": shown, "version": escape(__version__)}
    for name, text in parts.items():
        html = html.replace(f"@{name}@", text)
    policy = (
        f"default-src 'none'; script-src '{_digest(script)}'; style-src '{_digest(style)}'; connect-src 'self'; "
        "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    headers = {
        "content-type": "text/html; charset=utf-8",
        "cache-control": "no-cache",
        "content-security-policy": policy,
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
    }
    return Response(200, Headers(headers), html.encode())


def _shown(each: Operation) -> str:
    import orjson

    address = f"{PREFIX}{each.path}"
    inputs = "".join(
        f'<label>{escape(name)}<input name="{escape(name)}" data-in="{place}" autocomplete="off"></label>'
        for place, names in (("path", each.parameters), ("query", each.query))
        for name in names
    )
    body = ""
    if each.body is not None:
        example = orjson.dumps(each.example, option=orjson.OPT_INDENT_2).decode() if each.example is not None else ""
        body = f'<textarea aria-label="Body" spellcheck="false" rows="{min(12, example.count(chr(10)) + 1)}">'
        body += f"{escape(example)}</textarea>"
    return (
        f'<details class="operation" data-method="{each.method}" data-path="{escape(address)}">'
        f'<summary><b class="{each.method.lower()}">{each.method}</b> <code>{escape(address)}</code>'
        f"<span>{_code(each.summary)}</span></summary>"
        f'<form>{inputs}{body}<p class="returns">Answers {_code(each.returns)}.</p>'
        f"<button>Try it</button></form><output></output></details>"
    )


def _code(text: str) -> str:
    """A text with what stands between backticks as code."""
    parts = escape(text, quote=False).split("`")
    return "".join(f"<code>{part}</code>" if number % 2 else part for number, part in enumerate(parts))


def _digest(text: str) -> str:
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"
