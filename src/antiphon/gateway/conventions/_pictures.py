"""Pictures in tensors, and in bodies of the API: as files of the format and size that were asked for."""

from __future__ import annotations

from base64 import b64decode
from binascii import Error as NotBase64
from io import BytesIO
from math import prod
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PIL.Image import Image as Picture

    from ...server.engine import ImageRequest
    from ..oip.messages import InferResponse, Tensor

__all__ = ("files_in", "picture_files", "sized")

_MAGIC: Final = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"RIFF", b"<svg", b"<?xml", b"BM")
_FORMATS: Final = {"png": "PNG", "jpeg": "JPEG", "webp": "WEBP", "gif": "GIF"}
_MODES: Final = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}


def sized(request: ImageRequest) -> bool:
    """Whether the caller asked for a size."""
    return request.body.get("size") not in (None, "auto")


def files_in(body: dict[str, Any], request: ImageRequest) -> list[bytes]:
    """The files of a body of the API. Raises `ValueError` where it has addresses only."""
    found: list[bytes] = []
    for item in body["data"]:
        told = item.get("b64_json")
        if not isinstance(told, str):
            raise ValueError("there is the address of a picture in it, and not the picture")
        found.append(_file(told, request))
    return found


def picture_files(response: InferResponse, request: ImageRequest) -> list[bytes]:
    """The pictures in the outputs: encoded files, their base64, or the samples of each pixel. Raises `ValueError`."""
    for tensor in response.outputs:
        if tensor.datatype == "BYTES" and tensor.name not in ("role", "content", "type"):
            return [_file(each, request) for each in tensor.data]
    for tensor in response.outputs:
        if tensor.datatype in ("UINT8", "FP32", "FP16", "FP64"):
            return [_encoded(image, request) for image in _drawn(tensor)]
    there = ", ".join(f"{each.name} {each.datatype}" for each in response.outputs) or "none"
    raise ValueError(f"none of its outputs has pictures in it; there are {there}")


def _file(told: str | bytes, request: ImageRequest) -> bytes:
    from PIL import Image, UnidentifiedImageError

    data = told.encode() if isinstance(told, str) else told
    if not data.startswith(_MAGIC):
        try:
            data = b64decode(data.partition(b",")[2] if data.startswith(b"data:") else data, validate=True)
        except NotBase64:
            raise ValueError("what it gave for a picture is neither a file of one nor base64") from None
    if request.format == "svg":
        return data
    try:
        image = Image.open(BytesIO(data))
        image.load()
    except (UnidentifiedImageError, OSError, ValueError) as error:
        raise ValueError(f"what it gave for a picture is none: {error}") from None
    if image.format == _FORMATS[request.format] and image.size == _size(image, request):
        return data
    return _encoded(image, request)


def _drawn(tensor: Tensor) -> list[Picture]:
    """The pictures of a tensor: `[n, h, w, c]`, `[n, c, h, w]`, `[h, w, c]`, `[c, h, w]` or `[h, w]`."""
    from PIL import Image

    shape = list(tensor.shape)
    if len(shape) == 2:
        shape = [1, *shape, 1]
    elif len(shape) == 3:
        shape = [1, *shape]
    if len(shape) != 4 or prod(shape) != len(tensor.data):
        raise ValueError(f"the output {tensor.name!r} of shape {list(tensor.shape)} is no picture")
    count, first, second, last = shape
    planes = last not in _MODES and first in _MODES
    channels, height, width = (first, second, last) if planes else (last, first, second)
    if channels not in _MODES:
        raise ValueError(f"the output {tensor.name!r} has pictures of {channels} channels")
    samples = _bytes_of(tensor)
    size = channels * height * width
    images: list[Picture] = []
    for at in range(0, count * size, size):
        pixels = samples[at : at + size]
        if planes:
            area = height * width
            parts = [Image.frombytes("L", (width, height), pixels[c * area : (c + 1) * area]) for c in range(channels)]
            images.append(parts[0] if channels == 1 else Image.merge(_MODES[channels], parts))
        else:
            images.append(Image.frombytes(_MODES[channels], (width, height), pixels))
    return images


def _bytes_of(tensor: Tensor) -> bytes:
    if tensor.datatype == "UINT8":
        return tensor.raw if tensor.raw is not None else bytes(tensor.data)
    data: Sequence[float] = tensor.data
    low = min(data, default=0.0)
    # Samples go from 0 to 1, or from -1 to 1, as models of diffusion have them, or are 0 to 255 already.
    scale, shift = (1.0, 0.0) if max(data, default=0.0) > 1.5 else (127.5, 1.0) if low < 0 else (255.0, 0.0)
    return bytes(min(255, max(0, round((value + shift) * scale))) for value in data)


def _size(image: Picture, request: ImageRequest) -> tuple[int, int]:
    """The size that was asked for, or else the picture's own."""
    return (request.width, request.height) if sized(request) else image.size


def _encoded(image: Picture, request: ImageRequest) -> bytes:
    from PIL import Image

    if request.format == "svg":
        raise ValueError("it draws pixels, which cannot be written as SVG")
    size = _size(image, request)
    if image.size != size:
        image = image.resize(size, Image.Resampling.LANCZOS)
    if request.format == "jpeg" and image.mode not in ("RGB", "L"):
        image = image.convert("RGB")
    elif image.mode not in ("RGB", "RGBA", "L", "LA"):
        image = image.convert("RGBA" if "transparency" in image.info else "RGB")
    out = BytesIO()
    quality = (
        {}
        if request.compression is None or request.format not in ("jpeg", "webp")
        else {"quality": request.compression}
    )
    image.save(out, _FORMATS[request.format], **quality)
    return out.getvalue()
