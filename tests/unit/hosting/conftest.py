"""What tests of hosts share."""

from __future__ import annotations

from typing import Any

import pytest

from antiphon.hosting import run
from antiphon.hosting.rsgi import RSGI


class Waiting(RSGI):
    """Any handler, as one whose answers are mostly waited for."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.at_once = False


@pytest.fixture(params=["granian", "the loop"])
def host(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """What serves: the test is run with each."""
    if request.param == "the loop":
        monkeypatch.setattr(run, "RSGI", Waiting)
    name: str = request.param
    return name
