"""Every Python block of the README and of the guides runs, in order, each page in a namespace of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from sybil.document import Document
from sybil.parsers.markdown import PythonCodeBlockParser

from antiphon import FakeOpenAI

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with FakeOpenAI().start(port=0) as running:
        yield running.base_url


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_block_of_a_page_runs(page: Path, server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", server)
    monkeypatch.setenv("OPENAI_API_KEY", "anything")
    document = Document.parse(str(page), PythonCodeBlockParser())
    document.namespace["__name__"] = page.stem
    monkeypatch.chdir(tmp_path)
    before = dict(os.environ)
    try:
        for example in document.examples():
            example.evaluate()
    finally:  # what a page puts into the environment is not there for the tests that follow
        os.environ.clear()
        os.environ.update(before)


def test_the_guides_and_the_readme_have_blocks() -> None:
    assert {"README.md", "client.md", "fake.md"} <= {page.name for page in PAGES}
    for name in (
        "README.md",
        "docs/client.md",
        "docs/fake.md",
        "docs/chat.md",
        "docs/from-kotlin.md",
        "docs/from-4d.md",
        "docs/from-lanarky.md",
        "docs/router.md",
    ):
        assert list(Document.parse(str(ROOT / name), PythonCodeBlockParser()).examples()), name


def test_links_between_pages_lead_somewhere() -> None:
    import re

    for page in PAGES:
        for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}, which is not there"
    assert os.path.isdir(ROOT / "docs" / "decisions")
