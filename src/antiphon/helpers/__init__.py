"""The microphone and the loudspeaker of this machine, for programs that listen and speak.

They need `pip install "antiphon[voice_helpers]"`: numpy, and sounddevice with the PortAudio library. Nothing of that is
loaded before one of them is made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..kernel.lazy import lazily

if TYPE_CHECKING:
    from .local_audio_player import LocalAudioPlayer
    from .microphone import Microphone

__all__ = ("LocalAudioPlayer", "Microphone")

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazily(__name__, {"LocalAudioPlayer": ".local_audio_player", "Microphone": ".microphone"})
