"""Timeouts, as the official package's: a default and four parts."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import httpx2
import pytest

from antiphon.kernel.options import Timeout


@pytest.mark.parametrize(
    ("args", "options"),
    [
        ((600,), {"connect": 5.0}),
        ((None,), {}),
        ((5,), {}),
        ((None,), {"read": 1}),
        ((), {"connect": 1, "read": 2, "write": 3, "pool": 4}),
        ((2.5,), {"pool": None}),
    ],
)
def test_a_timeout_is_that_of_httpx(args: Any, options: Any) -> None:
    timeout, theirs = Timeout(*args, **options), httpx2.Timeout(*args, **options)
    for name in ("connect", "read", "write", "pool"):
        assert getattr(timeout, name) == getattr(theirs, name)
    for again in (pickle.loads(pickle.dumps(timeout)), copy.deepcopy(timeout), Timeout(timeout)):
        assert again == timeout
        assert hash(again) == hash(timeout)
    assert repr(timeout) == repr(theirs).replace("timeout=", "")
    assert timeout != Timeout(77)
    assert timeout != 5


def test_a_timeout_is_whole_and_stays_as_it_is() -> None:
    with pytest.raises(TypeError, match="read is missing"):
        Timeout(connect=1)
    with pytest.raises(AttributeError):
        Timeout(5).read = 6
    assert Timeout(Timeout(5), read=1) == Timeout(5, read=1)
