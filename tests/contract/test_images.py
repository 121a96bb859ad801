from __future__ import annotations

import base64
from io import BytesIO
from typing import Any

import pytest
from PIL import Image


def opened(data: bytes) -> Image.Image:
    image = Image.open(BytesIO(data))
    image.load()
    return image


def png(size: tuple[int, int] = (64, 64)) -> bytes:
    out = BytesIO()
    Image.new("RGBA", size, "red").save(out, "PNG")
    return out.getvalue()


async def test_an_image_is_fetched_from_its_url(api: Any) -> None:
    answer = await api.call("images.generate", model="dall-e-2", prompt="a red house", n=2, size="256x256")
    assert len(answer.data) == 2
    for each in answer.data:
        assert each.url.startswith(f"{api.url or 'http://fake.test'}/")
        got = api.raw("GET", each.url, key=False)
        assert (got.status, got.headers["content-type"]) == (200, "image/png")
        image = opened(got.body)
        assert (image.format, image.size) == ("PNG", (256, 256))


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp"])
async def test_images_come_in_every_format(api: Any, kind: str) -> None:
    answer = await api.call(
        "images.generate", model="gpt-image-1", prompt="a tree", size="1536x1024", output_format=kind
    )
    image = opened(base64.b64decode(answer.data[0].b64_json))
    assert (image.format, image.size) == (kind.upper(), (1536, 1024))


async def test_the_prompt_decides(api: Any) -> None:
    async def drawn(prompt: str) -> str:
        answer = await api.call(
            "images.generate", model="dall-e-2", prompt=prompt, size="256x256", response_format="b64_json"
        )
        data: str = answer.data[0].b64_json
        return data

    assert await drawn("a sea") == await drawn("a sea")
    assert await drawn("a sea") != await drawn("a wood")


async def test_a_transparent_background(api: Any) -> None:
    answer = await api.call(
        "images.generate", model="gpt-image-1", prompt="a logo", size="1024x1024", background="transparent"
    )
    assert opened(base64.b64decode(answer.data[0].b64_json)).convert("RGBA").getextrema()[3][0] == 0


async def test_edits_and_variations_take_a_file(api: Any) -> None:
    options = {"model": "dall-e-2", "size": "256x256", "response_format": "b64_json"}
    edited = await api.call("images.edit", image=("in.png", png()), prompt="a hat", **options)
    assert opened(base64.b64decode(edited.data[0].b64_json)).size == (256, 256)
    varied = await api.call("images.create_variation", image=("in.png", png()), n=2, **options)
    assert len(varied.data) == 2


async def test_a_size_that_does_not_exist(api: Any) -> None:
    with pytest.raises(api.errors.BadRequestError) as caught:
        await api.call("images.generate", model="dall-e-2", prompt="x", size="123x45")
    assert "size" in str(caught.value)
