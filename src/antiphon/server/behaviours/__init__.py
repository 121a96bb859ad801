"""What the server does for operations with rules of their own: a module for each family.

`HOMES` says which module serves what, so that a server imports only what it is asked for. `python -m
antiphon.server.coverage` says how it has to be where it is wrong.
"""

from __future__ import annotations

from typing import Final

__all__ = ("HOMES",)

HOMES: Final[dict[str, str]] = {
    "agents": (
        "beta.agents.environments.files.create beta.agents.sessions.artifacts.content "
        "beta.agents.sessions.create beta.agents.sessions.events.create beta.agents.sessions.events.stream "
        "beta.agents.sessions.update "
    ),
    "assistants": ("beta.assistants.create beta.assistants.update "),
    "audio": ("audio.speech.create audio.transcriptions.create audio.translations.create "),
    "batches": ("batches.cancel batches.create "),
    "chat": (
        "chat.completions.create chat.completions.delete chat.completions.list chat.completions.messages.list "
        "chat.completions.retrieve chat.completions.update "
    ),
    "completions": ("completions.create "),
    "contents": ("containers.files.content.retrieve skills.content.retrieve skills.versions.content.retrieve "),
    "conversations": (
        "conversations.create conversations.delete conversations.items.create conversations.items.delete "
        "conversations.items.list conversations.items.retrieve conversations.retrieve conversations.update "
    ),
    "decisions": ("decisions.create "),
    "embeddings": ("embeddings.create "),
    "evals": (
        "evals.create evals.delete evals.list evals.runs.cancel evals.runs.create evals.runs.delete "
        "evals.runs.list evals.runs.output_items.list evals.update "
    ),
    "files": ("files.content files.create files.delete files.list files.retrieve_content "),
    "fine_tuning": ("fine_tuning.jobs.cancel fine_tuning.jobs.create fine_tuning.jobs.pause fine_tuning.jobs.resume "),
    "graders": ("fine_tuning.alpha.graders.run fine_tuning.alpha.graders.validate "),
    "images": ("images.create_variation images.edit images.generate "),
    "legacy": (
        "edits.create fine_tunes.cancel fine_tunes.create fine_tunes.list fine_tunes.list_events fine_tunes.retrieve "
    ),
    "live": (
        "live.create live.sessions.accept live.sessions.fork live.sessions.hangup live.sessions.refer "
        "live.sessions.reject "
    ),
    "models": ("models.delete models.list models.retrieve "),
    "moderations": ("moderations.create "),
    "realtime": (
        "realtime.calls.accept realtime.calls.create realtime.calls.hangup realtime.calls.refer "
        "realtime.calls.reject realtime.client_secrets.create realtime.translations.client_secrets.create "
    ),
    "responses": (
        "beta.responses.cancel beta.responses.compact beta.responses.create beta.responses.delete "
        "beta.responses.input_items.list beta.responses.input_tokens.count beta.responses.retrieve "
        "responses.cancel responses.compact responses.create responses.delete responses.input_items.list "
        "responses.input_tokens.count responses.retrieve "
    ),
    "runs": (
        "beta.threads.create_and_run beta.threads.runs.cancel beta.threads.runs.create "
        "beta.threads.runs.steps.list beta.threads.runs.steps.retrieve beta.threads.runs.submit_tool_outputs "
    ),
    "threads": ("beta.threads.create beta.threads.messages.create beta.threads.update "),
    "uploads": ("uploads.cancel uploads.complete uploads.create uploads.parts.create "),
    "usage": (
        "admin.organization.usage.audio_speeches admin.organization.usage.audio_transcriptions "
        "admin.organization.usage.code_interpreter_sessions admin.organization.usage.completions "
        "admin.organization.usage.costs admin.organization.usage.decisions admin.organization.usage.embeddings "
        "admin.organization.usage.file_search_calls admin.organization.usage.images "
        "admin.organization.usage.moderations admin.organization.usage.vector_stores "
        "admin.organization.usage.web_search_calls "
    ),
    "vector_stores": (
        "vector_stores.create vector_stores.delete vector_stores.file_batches.cancel "
        "vector_stores.file_batches.create vector_stores.file_batches.list_files vector_stores.files.content "
        "vector_stores.files.create vector_stores.files.delete vector_stores.files.update "
        "vector_stores.search vector_stores.update "
    ),
    "videos": ("videos.download_content "),
    "webhooks": ("webhooks.event_types.list "),
}
"""The operations of each module, separated by spaces."""
