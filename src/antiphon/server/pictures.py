"""Picture files in and out, by pillow, which is loaded when the first of them comes."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PIL.Image import Image

__all__ = ("Shape", "decoded", "encoded", "preview", "shape_of")


class Shape(NamedTuple):
    """What the head of a picture file says."""

    format: str
    """`PNG`, `JPEG`, `WEBP` …"""
    mode: str
    """`RGB`, `RGBA`, `L` …, or `P` for a palette."""
    width: int
    height: int

    @property
    def transparent(self) -> bool:
        """Whether its pixels can be transparent."""
        return self.mode in ("RGBA", "LA", "La", "PA", "RGBa")


def shape_of(data: bytes) -> Shape | None:
    """What kind of picture a file is; `None` when it is none. Its pixels are not read."""
    import PIL.Image

    try:
        with PIL.Image.open(BytesIO(data)) as image:
            mode = "RGBA" if image.mode == "P" and "transparency" in image.info else image.mode
            return Shape(image.format or "", mode, *image.size)
    except (OSError, SyntaxError, ValueError, PIL.Image.DecompressionBombError):
        return None


def decoded(data: bytes) -> Image:
    """A picture as RGBA, turned as its camera says. Raises `ValueError` when the file cannot be read."""
    import PIL.Image
    from PIL import ImageOps

    try:
        with PIL.Image.open(BytesIO(data)) as image:
            image.load()
            return ImageOps.exif_transpose(image).convert("RGBA")
    except (OSError, SyntaxError, ValueError, PIL.Image.DecompressionBombError) as error:
        raise ValueError("the file is not a picture that can be read") from error


def encoded(images: Sequence[Image], format: str, compression: int | None = None, frame_time: int = 200) -> bytes:
    """Pictures as one file: `png`, `jpeg`, `webp`, or a `gif` of them all with `frame_time` milliseconds for each.

    `compression` is the quality of a `jpeg` or `webp`, 0 to 100.
    """
    file = BytesIO()
    options: dict[str, Any] = dict(_OPTIONS[format])
    if "quality" in options and compression is not None:
        options["quality"] = compression
    if format == "gif":
        options |= {"append_images": list(images[1:]), "duration": frame_time}
    images[0].save(file, format, **options)
    return file.getvalue()


_OPTIONS: dict[str, dict[str, Any]] = {
    "png": {"compress_level": 1},  # half as large again as level 6, in less time
    "jpeg": {"quality": 95},
    "webp": {"quality": 95, "method": 0},
    "gif": {"save_all": True, "loop": 0, "optimize": False},
}
"""What pillow is told for each format."""


def preview(data: bytes, format: str, coarseness: int) -> bytes:
    """A picture as it looks half done: blurred, by 4 pixels times two to the power of `coarseness`."""
    import PIL.Image

    image = decoded(data)
    if format == "jpeg" or image.getchannel("A").getextrema()[0] == 255:
        image = image.convert("RGB")
    width, height = image.size
    step = 4 << coarseness
    small = image.resize((max(1, width // step), max(1, height // step)), PIL.Image.Resampling.BOX)
    return encoded([small.resize((width, height), PIL.Image.Resampling.BICUBIC)], format, 80)
