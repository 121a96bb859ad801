"""Packages that only these helpers need, imported when something of them is."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from ..kernel.errors import OpenAIError

__all__ = ("SAMPLE_RATE", "numpy", "sounddevice")

SAMPLE_RATE = 24_000
"""Samples a second, of one channel: what the API takes and gives."""


class _Extra:
    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        try:
            module = import_module(self._name)
        except (ImportError, OSError) as error:
            # sounddevice raises OSError where it does not find PortAudio.
            raise OpenAIError(
                f"the helpers for sound need {self._name} ({error}): install `antiphon[voice_helpers]`, and PortAudio "
                "where your system has none (`apt-get install libportaudio2`)"
            ) from error
        return getattr(module, attribute)


numpy: Any = _Extra("numpy")
sounddevice: Any = _Extra("sounddevice")
