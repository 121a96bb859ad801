"""The table of rivals: every row is there, and what it names exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "testing" / "rivals.md"
LINK = re.compile(r"\[[^]]+\]\(([^)]+)\)")
ROWS = [
    [cell.strip() for cell in line.strip().removeprefix("|").removesuffix("|").split("|")]
    for line in PAGE.read_text().splitlines()
    if re.match(r"\| \d+ \|", line)
]


def test_every_row_of_the_union_is_there_once() -> None:
    assert [int(row[0]) for row in ROWS] == list(range(1, 69))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_a_row_says_whether_it_is_here_where_that_is_told_and_what_proves_it(row: list[str]) -> None:
    _, what, _, here, told, proved = row
    assert what
    answer, _, more = here.partition(":")
    assert answer.split(",")[0].split(";")[0] in ("yes", "partly", "no"), here
    assert answer.startswith("yes") or more.strip(), "what is missing is said"
    for target in LINK.findall(told):
        name, _, anchor = target.partition("#")
        page = (PAGE.parent / name).resolve()
        headings = [re.sub(r"[^\w\- ]", "", line.lstrip("# ")).lower() for line in page.read_text().splitlines()]
        assert not anchor or anchor in [heading.replace(" ", "-") for heading in headings], target
    tests = [(PAGE.parent / target).resolve() for target in LINK.findall(proved)]
    assert tests
    for test in tests:
        assert test.is_relative_to(ROOT / "tests"), test
        assert "\ndef test_" in test.read_text() or "\nasync def test_" in test.read_text(), test
