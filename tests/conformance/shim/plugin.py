"""The plugin: `python -m pytest -p shim.plugin`."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from .exceptions import reason_for
from .finder import StandIn, official_modules

sys.meta_path.insert(0, StandIn())


def pytest_configure(config: pytest.Config) -> None:
    from tests.lib import utils as library_utils

    from tests import utils

    from . import looks, matching, sockets, wording  # noqa: F401

    config.addinivalue_line("filterwarnings", f"ignore:{wording.UNSAID}:DeprecationWarning")
    library_utils.print_obj = looks.print_obj
    utils.assert_matches_type = matching.assert_matches_type
    utils.assert_matches_model = matching.assert_matches_model
    wording.translate()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        reason = reason_for(item.nodeid)
        if reason is not None:
            item.add_marker(pytest.mark.xfail(reason=reason, strict=True))


def pytest_sessionfinish(session: Any) -> None:
    loaded = official_modules()
    assert not loaded, f"the official package was loaded: {loaded}"
