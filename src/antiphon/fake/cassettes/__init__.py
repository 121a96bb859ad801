"""Record and replay: what a model's host has answered, in files beside the tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...kernel.lazy import lazily

if TYPE_CHECKING:
    from .cassette import MODES, Cassette, Miss, Mode
    from .files import CassetteError
    from .recording import Recording
    from .scrubbing import Scrubber
    from .upstream import Upstream

__all__ = ("MODES", "Cassette", "CassetteError", "Miss", "Mode", "Recording", "Scrubber", "Upstream")

__getattr__, __dir__ = lazily(
    __name__,
    {
        "MODES": ".cassette",
        "Cassette": ".cassette",
        "CassetteError": ".files",
        "Miss": ".cassette",
        "Mode": ".cassette",
        "Recording": ".recording",
        "Scrubber": ".scrubbing",
        "Upstream": ".upstream",
    },
)
