"""Drawn images: what is in them, and where the work is done."""

from __future__ import annotations

import asyncio
import io
import threading
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from antiphon.engines.images import DrawnImages, ImageFunction, image_engine, painted
from antiphon.engines.scenes import Disc, Scene, compose
from antiphon.kernel.flow import Call, World, arun, run
from antiphon.server.behaviour import UploadedFile
from antiphon.server.engine import ImageRequest


def opened(file: bytes) -> Any:
    image = Image.open(io.BytesIO(file))
    image.load()
    return image


def draw(prompt: str = "a hill", **options: Any) -> Any:
    options = {"width": 96, "height": 96, **options}
    [file] = DrawnImages().draw(ImageRequest("m", prompt, **options))
    return opened(file)


def mean(image: Any) -> tuple[int, int, int]:
    found: tuple[int, int, int] = image.convert("RGB").resize((1, 1), Image.Resampling.BOX).getpixel((0, 0))
    return found


def test_small_pictures_are_drawn_on_the_spot_and_large_ones_on_a_thread() -> None:
    engine = DrawnImages()
    assert isinstance(engine(ImageRequest("m", "x", width=256, height=256)), list)
    flow = engine(ImageRequest("m", "x", width=1024, height=1024))
    assert not isinstance(flow, list)
    [step] = [next(flow)]
    flow.close()
    seen: list[str] = []
    step.function, inner = lambda: seen.append(threading.current_thread().name) or inner(), step.function  # type: ignore[attr-defined, func-returns-value]
    files = asyncio.run(step.aperform(World()))
    assert opened(files[0]).size == (1024, 1024)
    assert seen != [threading.main_thread().name]


@pytest.mark.parametrize(
    ("prompt", "channel"), [("a red car", 0), ("a green forest", 1), ("deep blue sea", 2), ("an ocean", 2)]
)
def test_words_settle_the_colours(prompt: str, channel: int) -> None:
    colours = [
        mean(opened(DrawnImages(seed, caption=False).draw(ImageRequest("m", prompt, width=64, height=64))[0]))
        for seed in range(6)
    ]
    day = [colour for colour in colours if sum(colour) > 200]
    assert day
    assert sum(max(colour) == colour[channel] for colour in day) > len(day) / 2


def test_nights_are_dark() -> None:
    assert sum(mean(draw("the night sky"))) < 200 < sum(mean(draw("a golden desert")))


def test_the_prompt_is_written_at_the_foot() -> None:
    plain = opened(DrawnImages(caption=False).draw(ImageRequest("m", "some words", width=256, height=256))[0])
    written = opened(DrawnImages().draw(ImageRequest("m", "some words", width=256, height=256))[0])
    top, foot = (0, 0, 256, 200), (0, 200, 256, 256)
    assert plain.crop(top).tobytes() == written.crop(top).tobytes()
    assert plain.crop(foot).tobytes() != written.crop(foot).tobytes()
    assert draw(" ").size == (96, 96)
    assert draw("word " * 500).size == (96, 96)
    assert draw("x" * 500, width=1000, height=20).size == (1000, 20)


def test_quality_is_how_much_there_is_in_a_picture() -> None:
    assert len(compose("x y", detail=0.6).shapes) < len(compose("x y", detail=1.4).shapes)


@given(st.text(max_size=30), st.integers(0, 3))
@settings(max_examples=60, deadline=None)
def test_every_prompt_has_a_scene_that_can_be_painted(prompt: str, seed: int) -> None:
    scene = compose(prompt, seed)
    assert scene == compose(prompt, seed)
    assert scene.shapes
    assert painted(scene, (16, 8)).size == (16, 8)
    assert all(0 <= part <= 255 for shape in scene.shapes for part in shape.colour)


def test_a_scene_is_painted_as_it_says() -> None:
    scene = Scene(((255, 0, 0, 255), (255, 0, 0, 255), (255, 0, 0, 255)), [Disc(0.5, 0.5, 0.25, (0, 0, 255, 255))])
    image = painted(scene, (100, 50))
    assert image.getpixel((50, 25)) == (0, 0, 255)
    assert image.getpixel((30, 25)) == (255, 0, 0)
    clear = painted(scene, (100, 50), transparent=True)
    assert clear.getpixel((50, 25)) == (0, 0, 255, 255)
    assert clear.getpixel((5, 5)) == (0, 0, 0, 0)


def test_pictures_of_phones_are_turned_as_the_camera_says() -> None:
    image = Image.new("RGB", (60, 40), "black")
    image.paste("white", (0, 0, 30, 40))  # the left half
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned to the right: what was left comes up
    file = io.BytesIO()
    image.save(file, "JPEG", exif=exif)
    upload = UploadedFile("a.jpg", "image/jpeg", file.getvalue())
    varied = draw(kind="variation", images=[upload], width=40, height=60)
    assert sum(varied.getpixel((20, 10))) > 600 > 200 > sum(varied.getpixel((20, 50)))


def test_other_pictures_are_laid_into_the_first() -> None:
    def upload(colour: str) -> UploadedFile:
        file = io.BytesIO()
        Image.new("RGB", (40, 40), colour).save(file, "PNG")
        return UploadedFile("a.png", "image/png", file.getvalue())

    image = draw(kind="edit", images=[upload("white"), upload("blue")], width=192, height=192, prompt="")
    assert image.getpixel((192 - 20, 20)) == (0, 0, 255)


def test_functions_in_both_colours() -> None:
    async def later(prompt: str) -> bytes:
        return prompt.encode()

    request = ImageRequest("m", "p", n=2)
    for function in (later, lambda prompt: prompt.encode()):
        for blocks in (True, False):
            engine = ImageFunction(function, blocks=blocks)
            assert run(engine(request), World()) == [b"p", b"p"]
            assert asyncio.run(arun(engine(request), World())) == [b"p", b"p"]


@pytest.mark.parametrize("blocks", [True, False])
def test_a_function_without_pictures_is_told_so_and_not_asked_for_ever(blocks: bool) -> None:
    with pytest.raises(ValueError, match="empty list"):
        run(ImageFunction(lambda prompt: [], blocks=blocks)(ImageRequest("m", "p", n=2)), World())


def test_what_stands_for_an_engine() -> None:
    def whole(request: ImageRequest) -> list[Any]:
        return [b"%d" % at for at in range(request.n)]

    def steps(request: ImageRequest) -> Any:
        return (yield Call(lambda: [b"x"]))

    assert isinstance(image_engine(seed=3), DrawnImages)
    assert image_engine(steps) is steps
    made = image_engine(whole)
    assert run(made(ImageRequest("m", "p", n=2)), World()) == [b"0", b"1"]  # type: ignore[arg-type]
    assert repr(made) == "ImageFunction('whole')"
    assert image_engine(made) is made
    with pytest.raises(TypeError, match="not 'png'"):
        image_engine("png")


def test_functions_are_engines_of_a_fake() -> None:
    from antiphon.fake import FakeOpenAI

    fake = FakeOpenAI(embeddings={"mine": lambda texts: [[1.0, 2.0]]}, images=lambda prompt: prompt.encode())
    with fake.client() as client:
        assert client.embeddings.create(model="mine", input="x").data[0].embedding == [1.0, 2.0]
        assert len(client.embeddings.create(model="other", input="x").data[0].embedding) == 1536
        [item] = client.images.generate(prompt="p", response_format="b64_json").data or []
        assert item.b64_json == "cA=="
