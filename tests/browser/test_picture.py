"""The pictures of the guide can be taken anew."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from tests.browser.chromium import Browser
from tests.browser.picture import IMAGES, take


def test_pictures(chromium: Browser, tmp_path: Path) -> None:
    taken = take(chromium, tmp_path)
    assert sorted(path.name for path in taken) == sorted(path.name for path in IMAGES.glob("playground-*.png"))
    light, dark = (Image.open(path).convert("L").resize((1, 1)).getpixel((0, 0)) for path in taken)
    assert isinstance(light, int)
    assert isinstance(dark, int)
    assert light > 128 > dark
