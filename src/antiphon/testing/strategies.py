"""Strategies for hypothesis: what a fake may do, shrunk to the least that breaks the code under test."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

from ..fake.fuzz.liberties import _MOST, Liberties

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

__all__ = ("liberties",)


def liberties(*names: str) -> SearchStrategy[Liberties]:
    """Liberties of the API, or of those named only; they shrink towards none. Needs `hypothesis`.

        @given(liberties())
        def test_my_client(liberty):
            fake = FakeOpenAI()
            fake.fuzz(liberty)

    Raises `ValueError` for a name of none.
    """
    from hypothesis import strategies

    known = {each.name for each in fields(Liberties)}
    unknown = sorted(set(names) - known)
    if unknown:
        raise ValueError(f"there is no liberty {', '.join(unknown)}; there are {', '.join(sorted(known))}")
    chosen: dict[str, Any] = {}
    for name in sorted(names or known):
        most = _MOST.get(name)
        chosen[name] = strategies.booleans() if most is None else strategies.integers(0, most)
    return strategies.builds(Liberties, **chosen)
