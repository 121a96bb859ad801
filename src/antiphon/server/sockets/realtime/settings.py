"""What a session is set to: what it begins with, and how an update changes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from ....kernel.errors import BadRequestError

__all__ = ("LIFETIME", "begun", "merged", "updated")

JSON: TypeAlias = dict[str, Any]

LIFETIME: Final = 3600
"""Seconds that a session lasts."""

INSTRUCTIONS: Final = "You are a helpful voice assistant. Answer in the language you are spoken to, and be brief."
_PCM: Final = {"type": "audio/pcm", "rate": 24_000}
_VAD: Final = {
    "type": "server_vad",
    "threshold": 0.5,
    "prefix_padding_ms": 300,
    "silence_duration_ms": 500,
    "idle_timeout_ms": None,
    "create_response": True,
    "interrupt_response": True,
}
_SEMANTIC: Final = {
    "type": "semantic_vad",
    "eagerness": "auto",
    "create_response": True,
    "interrupt_response": True,
}
_DETECTIONS: Final = {"server_vad": _VAD, "semantic_vad": _SEMANTIC}
_WHOLE: Final = frozenset(
    ("turn_detection", "transcription", "format", "noise_reduction", "tracing", "prompt", "voice")
)
"""Settings that an update gives whole, however little of them it says."""


def begun(kind: str, key: str, model: str, now: float) -> JSON:
    """The settings of a new session of a kind: `realtime` or `transcription`."""
    heard: JSON = {
        "format": dict(_PCM),
        "transcription": None,
        "noise_reduction": None,
        "turn_detection": dict(_VAD),
    }
    about: JSON = {"object": "realtime.session", "id": key, "type": kind, "expires_at": int(now) + LIFETIME}
    if kind == "transcription":
        heard["turn_detection"] = {name: _VAD[name] for name in _HEARING}
        about["object"] = "realtime.transcription_session"
        return {**about, "audio": {"input": heard}, "include": None}
    return {
        **about,
        "model": model,
        "output_modalities": ["audio"],
        "instructions": INSTRUCTIONS,
        "tools": [],
        "tool_choice": "auto",
        "max_output_tokens": "inf",
        "tracing": None,
        "prompt": None,
        "truncation": "auto",
        "audio": {"input": heard, "output": {"format": dict(_PCM), "voice": "marin", "speed": 1.0}},
        "include": None,
    }


_HEARING: Final = ("type", "threshold", "prefix_padding_ms", "silence_duration_ms")


def merged(settings: Mapping[str, Any], change: Mapping[str, Any]) -> JSON:
    """Settings with a change: what it does not say stays as it is."""
    result: JSON = {**settings}
    for name, value in change.items():
        known = result.get(name)
        if isinstance(value, Mapping) and isinstance(known, Mapping) and name not in _WHOLE:
            result[name] = merged(known, value)
        elif name == "turn_detection" and isinstance(value, Mapping):
            result[name] = {**_DETECTIONS.get(value.get("type", "server_vad"), _VAD), **value}
        elif name == "format" and isinstance(value, Mapping) and value.get("type", "audio/pcm") == "audio/pcm":
            result[name] = {**_PCM, **value}
        else:
            result[name] = value
    return result


def updated(settings: JSON, change: Mapping[str, Any], *, has_spoken: bool = False) -> JSON:
    """Settings after `session.update`. Raises `BadRequestError` for what cannot change any more."""
    if change.get("type", settings["type"]) != settings["type"]:
        raise BadRequestError.because(
            f"A {settings['type']} session cannot be updated to be a {change['type']} session.",
            param="session.type",
            code="invalid_value",
        )
    model = change.get("model")
    if model is not None and model != settings.get("model"):
        raise BadRequestError.because(
            f"Cannot update a session's model: it is {settings.get('model')!r} since the session began.",
            param="session.model",
            code="cannot_update_model",
        )
    changed = merged(settings, change)
    if has_spoken and _voice(changed) != _voice(settings):
        raise BadRequestError.because(
            "Cannot update a conversation's voice if assistant audio is present.",
            param="session.audio.output.voice",
            code="cannot_update_voice",
        )
    modalities = changed.get("output_modalities")
    if modalities is not None and sorted(modalities) not in (["audio"], ["text"]):
        raise BadRequestError.because(
            f"Invalid modalities: {modalities}. Supported combinations are: ['text'] and ['audio'].",
            param="session.output_modalities",
            code="invalid_value",
        )
    return changed


def _voice(settings: Mapping[str, Any]) -> Any:
    return ((settings.get("audio") or {}).get("output") or {}).get("voice")
