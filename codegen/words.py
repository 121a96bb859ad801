"""Docstrings: plain words made from the names of resources and methods, and where the API reference has them."""

from __future__ import annotations

import re

__all__ = ("operation_doc", "resource_doc")

_REFERENCE = "https://platform.openai.com/docs/api-reference"
_NAMESPACES = frozenset(
    ("beta", "admin", "organization", "checkpoints", "alpha", "chatkit", "safety", "live", "realtime")
)
"""Parts of a path that say where an operation is kept rather than what it is about."""
_ADJECTIVES = {
    "chat": "chat",
    "audio": "audio",
    "fine_tuning": "fine-tuning",
    "chatkit": "ChatKit",
    "realtime": "realtime",
    "live": "live",
}
_SAME = frozenset(
    ("content", "speech", "audio", "usage", "data_retention", "spend_limit", "sideband", "realtime", "live")
)
_SINGULAR = {"batches": "batch", "file_batches": "file batch", "responses": "response", "images": "image"}
_SPECIAL = {"api": "API", "ip": "IP", "mcp": "MCP", "id": "ID"}
_VERBS = {"retrieve": "Get", "create": "Create", "update": "Change", "delete": "Delete", "list": "List"}
_FAMILIES = {
    "chat.completions": "chat",
    "chat.completions.messages": "chat",
    "batches": "batch",
    "beta.threads.messages": "messages",
    "beta.threads.runs": "runs",
    "beta.threads.runs.steps": "run-steps",
    "audio.speech": "audio",
    "audio.transcriptions": "audio",
    "audio.translations": "audio",
    "containers.files": "container-files",
    "containers.files.content": "container-files",
    "fine_tuning.jobs": "fine-tuning",
    "fine_tuning.jobs.checkpoints": "fine-tuning",
    "fine_tuning.checkpoints.permissions": "fine-tuning",
    "vector_stores.file_batches": "vector-stores-file-batches",
    "responses.input_items": "responses",
    "responses.input_tokens": "responses",
    "uploads.parts": "uploads",
    "evals.runs": "evals",
    "evals.runs.output_items": "evals",
    "conversations.items": "conversations",
}


def _words(name: str) -> str:
    return " ".join(_SPECIAL.get(word, word) for word in name.split("_"))


def _singular(name: str) -> str:
    if name in _SAME:
        return _words(name)
    if name in _SINGULAR:
        return _SINGULAR[name]
    if name.endswith("ies"):
        return _words(name[:-3]) + "y"
    if name.endswith(("sses", "xes", "ches")):
        return _words(name[:-2])
    return _words(name).removesuffix("s")


def _a(noun: str) -> str:
    vowel = re.match(r"[aeio]|un(?!i)|API|MCP|IP|ID", noun) and not noun.startswith("one")
    return f"an {noun}" if vowel else f"a {noun}"


def _owner(resource: str, path: str) -> str:
    """` of a run`, where the address goes through one."""
    parts = resource.split(".")
    for parent in reversed(parts[:-1]):
        if "{" + parent.removesuffix("s") in path or "{" + _singular(parent).replace(" ", "_") in path:
            return f" of {_a(_singular(parent))}"
    return ""


def _noun(resource: str) -> str:
    parts = resource.split(".")
    kind = next((_ADJECTIVES[part] for part in reversed(parts[:-1]) if part in _ADJECTIVES), "")
    return f"{kind} {_singular(parts[-1])}".strip()


def _plural(resource: str) -> str:
    parts = resource.split(".")
    kind = next((_ADJECTIVES[part] for part in reversed(parts[:-1]) if part in _ADJECTIVES), "")
    return f"{kind} {_words(parts[-1])}".strip()


def operation_doc(resource: str, name: str, method: str, path: str) -> str:
    """Our line about an operation, its address and its place in the API reference."""
    owner = _owner(resource, path)
    noun = _noun(resource)
    if name == "list":
        line = f"List the {_plural(resource)}{owner}."
    elif name in _VERBS:
        last = resource.rpartition(".")[2]
        line = f"{_VERBS[name]} {noun if last in _SAME else _a(noun)}{owner}."
    else:
        line = f"{_words(name).capitalize()}: {_plural(resource)}{owner}."
    return f"{line}\n\n`{method} {path}`\n\n{_REFERENCE}/{_family(resource)}/{name.replace('_', '-')}"


def _family(resource: str) -> str:
    if resource in _FAMILIES:
        return _FAMILIES[resource]
    parts = [part for part in resource.split(".") if part not in _NAMESPACES]
    return "-".join(parts or resource.split(".")).replace("_", "-")


def resource_doc(resource: str) -> str:
    """One line about a resource."""
    return f"`client.{resource}`: {_plural(resource)}."
