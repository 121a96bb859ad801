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
_SAME = {
    "data_retention": "the data retention settings",
    "external_storage": "an external storage",
    "live": "a live session",
    "speech": "speech",
    "spend_limit": "the spend limit",
    "service_tier_settings": "the service tier settings",
    "model_permissions": "the model permissions",
    "hosted_tool_permissions": "the hosted tool permissions",
    "content": "the content",
}
"""What one of a resource is, where that is not its name in the singular."""
_SINGULAR = {"batches": "batch", "file_batches": "file batch", "responses": "response", "images": "image"}
_SPECIAL = {"api": "API", "ip": "IP", "mcp": "MCP", "id": "ID"}
_VERBS = {"retrieve": "Get", "create": "Create", "update": "Change", "delete": "Delete"}
_LINES = {
    "admin.organization.certificates.activate": "Activate certificates of the organization.",
    "admin.organization.certificates.deactivate": "Deactivate certificates of the organization.",
    "admin.organization.projects.certificates.activate": "Activate certificates of a project.",
    "admin.organization.projects.certificates.deactivate": "Deactivate certificates of a project.",
    "admin.organization.projects.rate_limits.list_rate_limits": "List the rate limits of a project.",
    "admin.organization.projects.rate_limits.update_rate_limit": "Change a rate limit of a project.",
    "admin.organization.usage.costs": "What the organization spent, by span of time.",
    "audio.speech.create": "Speak a text: the answer is the sound.",
    "audio.transcriptions.create": "Write down what is said in a sound file.",
    "audio.translations.create": "Write down in English what is said in a sound file.",
    "beta.agents.sessions.artifacts.content": "Download an artifact of a session.",
    "beta.agents.sessions.events.stream": "Follow the events of a session as they happen.",
    "beta.chatkit.threads.list_items": "List the items of a ChatKit thread.",
    "beta.responses.compact": "Compact a conversation into a shorter one.",
    "beta.responses.create": "Have a model respond.",
    "beta.responses.input_tokens.count": "Count the tokens of an input.",
    "beta.threads.create_and_run": "Create a thread and run an assistant on it.",
    "beta.threads.runs.submit_tool_outputs": "Give a run the outputs of the tools it called.",
    "chat.completions.messages.list": "List the messages of a stored chat completion.",
    "embeddings.create": "Turn texts into vectors.",
    "files.content": "Download a file.",
    "files.create": "Upload a file.",
    "files.retrieve_content": "Download a file as text.",
    "fine_tuning.alpha.graders.run": "Grade a sample.",
    "fine_tuning.alpha.graders.validate": "Check the definition of a grader.",
    "fine_tuning.jobs.list_events": "List the events of a fine-tuning job.",
    "images.create_variation": "Draw variations of an image.",
    "images.edit": "Change an image as a prompt says.",
    "images.generate": "Draw images as a prompt says.",
    "live.sessions.download_recording": "Download the recording of a live session.",
    "live.sessions.hangup": "Hang up a live session.",
    "moderations.create": "Classify a text or an image by the harm in it.",
    "realtime.calls.create": "Begin a realtime call from an SDP offer; the answer is SDP.",
    "realtime.calls.hangup": "Hang up a realtime call.",
    "responses.compact": "Compact a conversation into a shorter one.",
    "responses.create": "Have a model respond.",
    "responses.input_tokens.count": "Count the tokens of an input.",
    "vector_stores.file_batches.list_files": "List the files of a file batch.",
    "vector_stores.files.content": "Get the parsed content of a file of a vector store.",
    "videos.create_character": "Create a character from a video.",
    "videos.download_content": "Download a video.",
    "videos.get_character": "Get a character.",
    "webhooks.rotate_secret": "Give a webhook endpoint a new secret.",
    "webhooks.test": "Send a test event to a webhook endpoint.",
}
"""Lines that the names do not give."""
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
    if name in _SINGULAR:
        return _SINGULAR[name]
    if name.endswith("ies"):
        return _words(name[:-3]) + "y"
    if name.endswith(("sses", "xes", "ches")):
        return _words(name[:-2])
    return _words(name).removesuffix("s")


def _a(noun: str) -> str:
    vowel = re.match(r"[aeio]|u[np](?!i)|API|MCP|IP|ID", noun)
    return f"an {noun}" if vowel else f"a {noun}"


def _owner(resource: str, path: str) -> str:
    """` of a run`, where the address goes through one."""
    *parents, own = resource.split(".")
    for parent in reversed(parents):
        key = _singular(parent).replace(" ", "_")
        if f"{{{key}_" in path and key != _singular(own).replace(" ", "_") and parent not in _ADJECTIVES:
            return f" of {_a(_singular(parent))}"
    return ""


def _kind(resource: str) -> str:
    parents = resource.split(".")[:-1]
    return next((f"{_ADJECTIVES[part]} " for part in reversed(parents) if part in _ADJECTIVES), "")


def _one(resource: str) -> str:
    own = resource.rpartition(".")[2]
    return _SAME.get(own) or _a(_kind(resource) + _singular(own))


def _all(resource: str) -> str:
    return _kind(resource) + _words(resource.rpartition(".")[2])


def operation_doc(resource: str, name: str, method: str, path: str) -> str:
    """Our line about an operation, its address and its place in the API reference."""
    line = _LINES.get(f"{resource}.{name}") or _line(resource, name, path)
    return f"{line}\n\n`{method} {path}`\n\n{_REFERENCE}/{_family(resource)}/{name.replace('_', '-')}"


def _line(resource: str, name: str, path: str) -> str:
    if resource.endswith(".usage"):
        return f"How much the organization used, by span of time: {_words(name)}."
    if name == "list":
        return f"List the {_all(resource)}{_owner(resource, path)}."
    assert "_" not in name, f"codegen/words.py has no line for {resource}.{name}"
    return f"{_VERBS.get(name, name.capitalize())} {_one(resource)}{_owner(resource, path)}."


def _family(resource: str) -> str:
    if resource in _FAMILIES:
        return _FAMILIES[resource]
    parts = [part for part in resource.split(".") if part not in _NAMESPACES]
    return "-".join(parts or resource.split(".")).replace("_", "-")


def resource_doc(resource: str) -> str:
    """One line about a resource."""
    return f"`client.{resource}`: {_all(resource)}."
