"""Making a picture, by the image engine."""

from __future__ import annotations

from base64 import b64encode
from types import GeneratorType
from typing import TYPE_CHECKING, Any, Final

from ...kernel.errors import APIStatusError
from ..engine import ImageRequest
from ..image_models import UNLIMITED, family

if TYPE_CHECKING:
    from ...kernel.flow import Flow
    from ..turns import ImageGeneration
    from . import Bench

__all__ = ("items",)

DEFAULT_MODEL: Final = "gpt-image-2.6-sunburst"
"""The model that draws where the tool names none."""


def items(use: ImageGeneration, bench: Bench) -> Flow[list[dict[str, Any]]]:
    """The item of a picture. One that cannot be made has failed, and says why."""
    tool = bench.tool("image_generation")
    item: dict[str, Any] = {
        "id": bench.new("ig_"),
        "type": "image_generation_call",
        "status": "completed",
        "action": "generate",
        "background": "transparent" if tool.get("background") == "transparent" else "opaque",
        "output_format": tool.get("output_format") or "png",
        "quality": _chosen(tool.get("quality"), "high"),
        "result": None,
        "revised_prompt": use.prompt,
        "size": _chosen(tool.get("size"), "1024x1024"),
    }
    try:
        file = use.image
        if file is None:
            file = yield from _drawn(use.prompt, dict(tool), bench)
        item["result"] = b64encode(file).decode()
    except APIStatusError as error:
        item["status"] = "failed"
        item["error"] = {
            "type": error.type or "image_generation_error",
            "code": error.code,
            "message": error.message,
            "param": error.param,
        }
    return [item]


def _chosen(asked: str | None, otherwise: str) -> str:
    return otherwise if asked is None or asked == "auto" else asked


def _drawn(prompt: str, tool: dict[str, Any], bench: Bench) -> Flow[bytes]:
    model: str = tool.get("model") or DEFAULT_MODEL
    width, height = (family(model) if bench.server.published_limits else UNLIMITED).size(tool.get("size"))
    request = ImageRequest(
        model,
        prompt,
        width=width,
        height=height,
        format=tool.get("output_format") or "png",
        compression=tool.get("output_compression"),
        transparent=tool.get("background") == "transparent",
        body=tool,
    )
    found: Any = bench.server.engines.images(model)(request)
    files: list[bytes] = (yield from found) if isinstance(found, GeneratorType) else found
    return files[0]
