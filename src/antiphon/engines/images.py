"""Images without a model: pictures drawn from the prompt, real files of the asked size and format.

    Engines(images=DrawnImages())
    Engines(images=ImageFunction(lambda prompt: my_png))

Needs pillow, which is part of `antiphon[server]`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from ..kernel.flow import Call
from ..server.pictures import decoded, encoded
from .scenes import Disc, Scene, compose
from .wrapping import Wrapped, wrapped

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from PIL.Image import Image

    from ..kernel.flow import Flow
    from ..server.engine import ImageEngine, ImageRequest

__all__ = ("DrawnImages", "ImageFunction", "captioned", "fitted", "image_engine", "painted")

Size: TypeAlias = tuple[int, int]

_INLINE = 300_000
"""Pixels that are drawn on the spot (about 8 ms); more than that goes to a thread."""

_DETAIL = {"low": 0.6, "standard": 0.8, "medium": 0.8, "high": 1.0, "hd": 1.1, "xhigh": 1.2, "max": 1.4}
"""How much there is in a picture, by the quality asked for."""


class DrawnImages:
    """Draws a landscape, a shore or an arrangement of discs, always the same for a prompt and a seed.

    Words in the prompt settle the colours, its text stands below the picture. Edits are drawn into the picture
    that was sent (where the mask is transparent, if there is one); variations are that picture in other colours.
    """

    never_blocks: ClassVar[bool] = True

    def __init__(self, seed: int | str = 0, *, caption: bool = True) -> None:
        """`caption`: whether the prompt is written on the picture."""
        self.seed = seed
        self.caption = caption

    def __call__(self, request: ImageRequest) -> list[bytes] | Flow[list[bytes]]:
        """`request.n` files. Raises `ValueError` for an uploaded picture that cannot be read."""
        if request.width * request.height * request.n <= _INLINE and not request.images:
            return self.draw(request)
        return _on_a_thread(lambda: self.draw(request))

    def draw(self, request: ImageRequest) -> list[bytes]:
        """The files, drawn here and now."""
        make = _DRAW[request.kind]
        frames = _frames(request)
        files: list[bytes] = []
        for index in range(request.n):
            if request.format == "svg":
                files.append(_svg(self._scene(request, index), (request.width, request.height), request.transparent))
                continue
            images = [make(self, request, index, frame) for frame in range(frames)]
            files.append(encoded(images, request.format, request.compression, _frame_time(request)))
        return files

    def _scene(self, request: ImageRequest, index: int) -> Scene:
        detail = _DETAIL.get(request.body.get("quality") or "", 1.0)
        seed = self.seed if index == 0 else f"{self.seed} {index}"
        return compose(request.prompt, seed, detail)

    def _generate(self, request: ImageRequest, index: int, frame: int) -> Image:
        size = (request.width, request.height)
        image = painted(self._scene(request, index), size, transparent=request.transparent, phase=frame)
        return captioned(image, request.prompt) if self.caption else image

    def _edit(self, request: ImageRequest, index: int, frame: int) -> Image:
        import PIL.Image

        size = (request.width, request.height)
        sources = [decoded(file.content) for file in request.images]
        base = fitted(sources[0], size)
        drawn = painted(self._scene(request, index), size, transparent=False, phase=frame).convert("RGBA")
        if request.mask is not None:
            mask = fitted(decoded(request.mask.content), size).getchannel("A")
            # Where the mask is transparent the picture is drawn anew; the rest stays as it was sent.
            edited = PIL.Image.composite(base, drawn, mask.point([0] * 128 + [255] * 128))
        else:
            edited = PIL.Image.blend(base, PIL.Image.alpha_composite(drawn, base.copy()), 0.5)
            edited = PIL.Image.blend(edited, drawn, 0.3)
        side = max(8, min(size) // 6)
        for at, other in enumerate(sources[1:]):
            edited.paste(fitted(other, (side, side)), (size[0] - (side + 8) * (at % 5 + 1), 8 + (at // 5) * (side + 8)))
        result = edited if request.transparent else _opaque(edited)
        # With a mask, the foot of the picture may be what is to be kept.
        return captioned(result, request.prompt) if self.caption and request.mask is None else result

    def _vary(self, request: ImageRequest, index: int, frame: int) -> Image:
        import PIL.Image
        from PIL import ImageOps

        base = fitted(decoded(request.images[0].content), (request.width, request.height))
        alpha = base.getchannel("A")
        hue, strength, light = base.convert("RGB").convert("HSV").split()
        turn = 24 + 37 * index + 9 * frame
        turned = PIL.Image.merge("HSV", (hue.point([(i + turn) % 256 for i in range(256)]), strength, light)).convert(
            "RGB"
        )
        changed = ImageOps.mirror(turned) if index % 2 == 0 else turned
        changed.putalpha(ImageOps.mirror(alpha) if index % 2 == 0 else alpha)
        return changed if request.transparent else _opaque(changed)


_DRAW: dict[str, Callable[[DrawnImages, ImageRequest, int, int], Image]] = {
    "generate": DrawnImages._generate,
    "edit": DrawnImages._edit,
    "variation": DrawnImages._vary,
}


def _on_a_thread(draw: Callable[[], list[bytes]]) -> Flow[list[bytes]]:
    files: list[bytes] = yield Call(draw)
    return files


def _frames(request: ImageRequest) -> int:
    return int(request.body.get("frame_count") or 9) if request.format == "gif" else 1


def _frame_time(request: ImageRequest) -> int:
    return int(request.body.get("frame_duration_ms") or 200)


# Painting


def painted(scene: Scene, size: Size, *, transparent: bool = False, phase: int = 0) -> Image:
    """A scene in pixels: RGB, or RGBA without its sky where it is to be transparent.

    `phase` moves what is in the sky a little, for pictures that move.
    """
    import PIL.Image
    from PIL import ImageDraw, ImageOps

    width, height = size
    if transparent:
        image = PIL.Image.new("RGBA", size, (0, 0, 0, 0))
    else:
        top, middle, bottom = (colour[:3] for colour in scene.sky)
        column = PIL.Image.linear_gradient("L").resize((1, height), PIL.Image.Resampling.BILINEAR)
        image = ImageOps.colorize(column, top, bottom, mid=middle).resize(size, PIL.Image.Resampling.NEAREST)
    draw = ImageDraw.Draw(image, "RGBA")
    unit, drift = min(width, height), phase * 0.012
    for shape in scene.shapes:
        if isinstance(shape, Disc):
            x, y, radius = (shape.x + drift) * width, shape.y * height, max(shape.radius * unit, 0.5)
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=shape.colour)
        else:
            draw.polygon([(x * width, y * height) for x, y in shape.points], fill=shape.colour)
    return image


def _svg(scene: Scene, size: Size, transparent: bool) -> bytes:
    width, height = size
    unit = min(size)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">'
    ]
    if not transparent:
        stops = "".join(
            f'<stop offset="{at}" stop-color="{_hex(colour)}"/>'
            for at, colour in zip((0, 0.5, 1), scene.sky, strict=True)
        )
        lines.append(f'<linearGradient id="sky" x2="0" y2="1">{stops}</linearGradient>')
        lines.append(f'<rect width="{width}" height="{height}" fill="url(#sky)"/>')
    for shape in scene.shapes:
        paint = f'fill="{_hex(shape.colour)}" fill-opacity="{shape.colour[3] / 255:.3g}"'
        if isinstance(shape, Disc):
            x, y, radius = shape.x * width, shape.y * height, shape.radius * unit
            lines.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" {paint}/>')
        else:
            points = " ".join(f"{x * width:.1f},{y * height:.1f}" for x, y in shape.points)
            lines.append(f'<polygon points="{points}" {paint}/>')
    return "\n".join([*lines, "</svg>\n"]).encode()


def _hex(colour: Sequence[int]) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour[:3])


def captioned(image: Image, prompt: str) -> Image:
    """The picture with the prompt on a dark strip along its foot, cut to three lines."""
    from PIL import ImageDraw, ImageFont

    words = prompt.split()
    if not words:
        return image
    width, height = image.size
    font = ImageFont.load_default(max(9, min(width, height) // 36))
    margin = max(4, width // 32)
    lines: list[str] = [""]
    for word in words:
        longer = f"{lines[-1]} {word}".strip()
        if not lines[-1] or font.getlength(longer) <= width - 2 * margin:
            lines[-1] = longer
        elif len(lines) == 3:
            lines[-1] += " …"
            break
        else:
            lines.append(word)
    draw = ImageDraw.Draw(image, "RGBA")
    text = "\n".join(lines)
    _, above, _, below = draw.multiline_textbbox((0, 0), text, font=font)
    top = height - margin - below
    draw.rectangle((0, top + above - margin // 2, width, height), fill=(0, 0, 0, 110))
    draw.multiline_text((margin, top), text, font=font, fill=(255, 255, 255, 235))
    return image


def fitted(image: Image, size: Size) -> Image:
    """The middle of a picture, as large as asked."""
    import PIL.Image
    from PIL import ImageOps

    return image if image.size == size else ImageOps.fit(image, size, PIL.Image.Resampling.BILINEAR)


def _opaque(image: Image) -> Image:
    import PIL.Image

    return PIL.Image.alpha_composite(PIL.Image.new("RGBA", image.size, (255, 255, 255, 255)), image).convert("RGB")


class ImageFunction(Wrapped):
    """An engine made of a function from a prompt to a picture: encoded bytes, or an image of pillow's.

    The function may block or be async, and is called once for each picture. One whose first parameter is named
    `request` gets the whole `ImageRequest` instead, is called once for all, and may give a list of pictures. Bytes
    are passed on as they are.
    """

    def __call__(self, request: ImageRequest) -> Flow[list[bytes]]:
        files: list[bytes] = []
        while len(files) < request.n:
            made = yield from self._asked(request, request.prompt)
            pictures: list[Any] = made if isinstance(made, list) else [made]
            if not pictures:
                raise ValueError("a function of pictures gave an empty list")
            files += [_file(picture, request) for picture in pictures]
            if self._takes_request:
                break
        return files


def _file(picture: Any, request: ImageRequest) -> bytes:
    return picture if isinstance(picture, bytes) else encoded([picture], request.format, request.compression)


def image_engine(source: Any = None, *, seed: int | str = 0) -> ImageEngine:
    """The engine that `source` stands for: an engine, a function of a prompt, or none for `DrawnImages`.

    What has a true attribute `never_blocks`, or yields steps, is an engine; any other callable is a function. Raises
    `TypeError` for what cannot be called.
    """
    if source is None:
        return DrawnImages(seed)
    return wrapped(source, ImageFunction, "an image engine is a function of a prompt")
