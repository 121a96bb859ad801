"""The tests that docs/testing/pytest.md shows are run, each in a directory of its own."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

GUIDE = (Path(__file__).parents[3] / "docs" / "testing" / "pytest.md").read_text()
SHOWN = re.findall(r"<!-- test( fails)?: (\w+\.py)(?:: (.*?))? -->\n```py\n(.*?)```", GUIDE, re.DOTALL)


def test_the_guide_shows_tests() -> None:
    assert len(SHOWN) >= 4
    assert GUIDE.count("```py\n") == len(SHOWN)


@pytest.mark.parametrize(("fails", "name", "says", "source"), SHOWN, ids=[each[1] for each in SHOWN])
def test_a_test_of_the_guide(pytester: pytest.Pytester, fails: str, name: str, says: str, source: str) -> None:
    pytester.makepyfile(**{name.removesuffix(".py"): source})
    result = pytester.runpytest_subprocess(
        "-p", "no:antiphon", "-p", "antiphon.testing.plugin", "-p", "no:cacheprovider"
    )
    if fails:
        result.assert_outcomes(failed=1)
        result.stdout.fnmatch_lines([f"*{says}*"])
    else:
        outcomes = result.parseoutcomes()
        assert set(outcomes) == {"passed"}
