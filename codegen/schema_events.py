"""What websockets can be sent: the schema of each event that a client may say, by connection.

The names are those of `antiphon.api.connections`; the types are the parameters of the official package.
"""

from __future__ import annotations

import importlib
import typing
from typing import Any

EVENTS: dict[str, tuple[str, ...]] = {
    "realtime": (
        "realtime.realtime_client_event_param.RealtimeClientEventParam",
        # The same event once more, whose input may also name items of the conversation.
        "realtime.response_create_event_with_references_param.ResponseCreateEventWithReferencesParam",
    ),
    "realtime_translations": ("realtime.realtime_translation_client_event_param.RealtimeTranslationClientEventParam",),
    "beta_realtime": ("beta.realtime.realtime_client_event_param.RealtimeClientEventParam",),
    "live": ("live.client_event_param.ClientEventParam",),
    "live_forks": ("live.fork_client_event_param.ForkClientEventParam",),
    "live_sideband": ("live.connect_client_event_param.ConnectClientEventParam",),
}


def tables(converter: Any) -> dict[str, dict[str, Any]]:
    """The events of each connection, by their type."""
    return {name: _events(converter, paths) for name, paths in EVENTS.items()}


def _events(converter: Any, paths: tuple[str, ...]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for path in paths:
        module, _, name = path.rpartition(".")
        union = getattr(importlib.import_module(f"openai.types.{module}"), name)
        for cls in typing.get_args(union) or (union,):
            schema = converter.typed_dict(cls)
            found[schema["properties"]["type"]["const"]] = schema
    return found
