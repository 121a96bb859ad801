"""The names of models: those the engines know, and those the API's types name."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

if TYPE_CHECKING:
    from .app import Server

__all__ = ("known_models", "model_ids")

_ALIASES = (
    ("shared.all_models", "AllModels"),
    ("image_model", "ImageModel"),
    ("audio_model", "AudioModel"),
    ("audio.speech_model", "SpeechModel"),
    ("embedding_model", "EmbeddingModel"),
    ("moderation_model", "ModerationModel"),
    ("video_model", "VideoModel"),
)


@cache
def known_models() -> tuple[str, ...]:
    """Every model the API's types name, in their order."""
    from ..kernel.lazy import evaluate

    names: dict[str, None] = {}
    for module, alias in _ALIASES:
        place = f"antiphon.types.{module}"
        __import__(place)
        names |= dict.fromkeys(_literals(evaluate(alias, place)))
    return tuple(names)


def _literals(annotation: Any) -> Iterator[str]:
    if get_origin(annotation) is Literal:
        yield from get_args(annotation)
    else:
        for member in get_args(annotation):
            yield from _literals(member)


def model_ids(server: Server) -> list[str]:
    """The models of a server: those it was told of, by name or pattern, or else those of its engines and of the API."""
    allowed = server.models if server.models is not None else server.engines.models
    if allowed is None:
        return list(dict.fromkeys([*server.engines.names, *known_models()]))
    patterns = [name for name in allowed if _is_pattern(name)]
    exact = [name for name in allowed if not _is_pattern(name)]
    fitting = [name for name in known_models() if any(fnmatchcase(name, pattern) for pattern in patterns)]
    return list(dict.fromkeys([*exact, *fitting]))


def _is_pattern(name: str) -> bool:
    return any(character in "*?[" for character in name)
