"""Videos of the fake, downloaded by the official package and by ours, decoded by FFmpeg."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from PIL import Image, ImageChops, ImageStat

from antiphon import FakeOpenAI, OpenAI
from antiphon.engines.videos import DrawnVideos
from antiphon.server.engine import VideoRequest

HERE = Path(__file__).parent
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(400),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
SIZES = ["720x1280", "1280x720", "1024x1792", "1792x1024"]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with FakeOpenAI(job_seconds=0).start(port=0) as server:
        yield server.base_url


def decoded(*files: Path) -> list[dict[str, Any]]:
    """What FFmpeg finds in each."""
    done = subprocess.run(
        [sys.executable, "-W", "error", str(HERE / "decoding.py"), *map(str, files)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def shown(file: Path, which: int, size: tuple[int, int]) -> Image.Image:
    """The brightness of the first frame of a decoded file, of one in the middle, or of the last."""
    return Image.frombytes("L", size, Path(f"{file}.{which}").read_bytes())


def brightness(picture: Path) -> Image.Image:
    """That of a picture, as videos tell it."""
    with Image.open(picture) as image:
        scale = 219 / 255
        return image.convert("RGB").convert("L", (0.2126 * scale, 0.7152 * scale, 0.0722 * scale, 16))


def apart(one: Image.Image, other: Image.Image) -> float:
    mean: float = ImageStat.Stat(ImageChops.difference(one, other)).mean[0]
    return mean


@pytest.mark.parametrize("client", [OpenAI, openai.OpenAI], ids=["ours", "official"])
def test_what_was_downloaded_plays_and_shows_what_its_pictures_do(client: Any, address: str, tmp_path: Path) -> None:
    asking = client(base_url=address, api_key="any")
    made = {}
    for size, seconds in zip(SIZES, ("4", "8", "12", "4"), strict=True):
        video = asking.videos.create_and_poll(prompt=f"A lighthouse, {size}", size=size, seconds=seconds)
        asking.videos.download_content(video.id).write_to_file(tmp_path / f"{size}.mp4")
        for variant, ending in (("thumbnail", "webp"), ("spritesheet", "jpg")):
            asking.videos.download_content(video.id, variant=variant).write_to_file(tmp_path / f"{size}.{ending}")
        made[size] = int(seconds)
    files = [tmp_path / f"{size}.mp4" for size in made]
    for (size, seconds), file, told in zip(made.items(), files, decoded(*files), strict=True):
        width, height = map(int, size.split("x"))
        assert told == {
            "frames": [seconds * 24, seconds * 24],
            "keys": [0],
            "rate": 24.0,
            "seconds": float(seconds),
            "size": [width, height],
            "profile": "Constrained Baseline",
            "streams": 1,
            "colours": [1, 1],
        }
        first, *later = (shown(file, which, (width, height)) for which in range(3))
        thumbnail = brightness(file.with_suffix(".webp"))
        assert thumbnail.size == (width, height)
        assert apart(first, thumbnail) < 4
        # The ball is what moves, and it moves to the right.
        places = []
        for frame in later:
            changed = ImageChops.difference(first, frame).point([0] * 48 + [255] * 208).getbbox()
            assert changed is not None
            places.append(changed[2] / width)
            assert 0 < apart(first, frame) < 2
        assert 0.4 < places[0] < 0.7 < places[1]
        with Image.open(file.with_suffix(".jpg")) as sheet:
            assert sheet.format == "JPEG"
            assert sheet.width * height * -(-2 * seconds // 5) == pytest.approx(sheet.height * width * 5, rel=0.02)
        assert file.stat().st_size < 120_000


def test_videos_that_were_made_of_others(address: str, tmp_path: Path) -> None:
    client = OpenAI(base_url=address, api_key="any")
    first = client.videos.create_and_poll(prompt="A lighthouse at night", size="1280x720", seconds="4")
    begun = [
        client.videos.remix(first.id, prompt="In the desert"),
        client.videos.edit(prompt="In a green forest", video={"id": first.id}),
        client.videos.extend(prompt="In a golden field", seconds="8", video={"id": first.id}),
    ]
    files = []
    for video in (first, *begun):
        files.append(tmp_path / f"{video.id}.mp4")
        client.videos.download_content(client.videos.poll(video.id).id).write_to_file(files[-1])
    found = decoded(*files)
    assert [(told["seconds"], told["keys"]) for told in found] == [(4, [0]), (4, [0]), (4, [0]), (12, [0, 96])]
    begins, ends = ([shown(file, which, (1280, 720)) for file in files] for which in (0, 2))
    assert begins[0].tobytes() == begins[3].tobytes()  # what was extended is as it was
    assert all(apart(begins[0], other) > 5 for other in begins[1:3])
    assert all(apart(ends[0], other) > 5 for other in ends[1:])
    again = client.videos.edit(prompt="Once more", video=files[3])
    assert (again.seconds, again.size) == ("12", "1280x720")


@pytest.mark.parametrize("size", [(16, 16), (34, 50), (854, 480), (1920, 1080), (4096, 2304)])
def test_any_even_size(size: tuple[int, int], tmp_path: Path) -> None:
    file = tmp_path / "a.mp4"
    file.write_bytes(DrawnVideos().draw(VideoRequest("any", "Orbs of every colour", 1, *size)))
    [told] = decoded(file)
    assert (told["size"], told["frames"]) == ([*size], [24, 24])


def test_a_picture_to_begin_with(address: str, tmp_path: Path) -> None:
    """Nothing in it is even, so that each macroblock is another and levels are large."""
    picture = Image.effect_noise((720, 1280), 120).convert("RGB")
    picture.save(tmp_path / "noise.png")
    client = OpenAI(base_url=address, api_key="any")
    video = client.videos.create_and_poll(prompt="", input_reference=tmp_path / "noise.png")
    client.videos.download_content(video.id).write_to_file(tmp_path / "a.mp4")
    client.videos.download_content(video.id, variant="thumbnail").write_to_file(tmp_path / "a.webp")
    [told] = decoded(tmp_path / "a.mp4")
    assert told["frames"] == [96, 96]
    small = (90, 160)
    seen = shown(tmp_path / "a.mp4", 0, (720, 1280)).resize(small, Image.Resampling.BOX)
    assert apart(seen, brightness(tmp_path / "a.webp").resize(small, Image.Resampling.BOX)) < 4
