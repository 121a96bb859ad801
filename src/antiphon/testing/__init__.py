"""Tests of code that calls OpenAI: the plugin of pytest, and what it is made of for those who use something else.

    def test_summary(fake_openai):          # the environment points at the fake, and so does api.openai.com
        assert summarize("…")

    with intercepted(FakeOpenAI()):         # the same without pytest
        summarize("…")

With pytest there is nothing to import and nothing to configure: the fixtures are there once `antiphon[test]` is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..kernel.lazy import lazily

if TYPE_CHECKING:
    from .interception import EscapedRequest, Interception, intercepted
    from .shared import ServerOfTest
    from .strategies import liberties

__all__ = ("EscapedRequest", "Interception", "ServerOfTest", "intercepted", "liberties")

__getattr__, __dir__ = lazily(
    __name__,
    {
        "EscapedRequest": ".interception",
        "Interception": ".interception",
        "ServerOfTest": ".shared",
        "intercepted": ".interception",
        "liberties": ".strategies",
    },
)
