"""Images: `POST /images/generations`, `/images/edits` and `/images/variations`.

Requests are checked here against what the model's family takes; the pictures come from an engine. On a server
with `unknown_ids="conjure"`, which is for suites that send placeholders, parameters a model does not know and
files that are no pictures are passed over.
"""

from __future__ import annotations

from base64 import b64encode
from types import GeneratorType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import orjson

from ...api.images import Images
from ...kernel import sse
from ...kernel.errors import BadRequestError
from ...kernel.flow import Call as Run
from ...kernel.http import Headers, Response
from .. import tokens
from ..behaviour import Call, UploadedFile, serves
from ..blobs import link
from ..engine import ImageRequest
from ..image_models import UNLIMITED, Family, default_model, family
from ..pictures import Shape, preview, shape_of

if TYPE_CHECKING:
    from collections.abc import Generator

    from ...kernel.flow import Flow, Step
    from ..behaviour import Reply

MIB = 1024 * 1024
MEDIA = {
    "png": "image/png",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "gif": "image/gif",
    "svg": "image/svg+xml",
}
"""Content types of the formats."""

OUTPUT_TOKENS = {
    ("low", 1024, 1024): 272,
    ("low", 1024, 1536): 408,
    ("low", 1536, 1024): 400,
    ("medium", 1024, 1024): 1056,
    ("medium", 1024, 1536): 1584,
    ("medium", 1536, 1024): 1568,
    ("high", 1024, 1024): 4160,
    ("high", 1024, 1536): 6240,
    ("high", 1536, 1024): 6208,
}
"""Tokens of a picture by quality, width and height, as published; other sizes cost in proportion."""

PARTIAL_TOKENS = 100
"""What a picture shown half done costs beside."""

FACTORS = {"xhigh": 2, "max": 4}
"""How much dearer than `high` the qualities above it are."""


class _Plan(NamedTuple):
    """A checked request."""

    call: Call
    family: Family
    request: ImageRequest
    events: str
    """How the types of the events of a stream begin."""
    as_files: bool
    """Whether pictures are left at the server and only their addresses sent."""
    shapes: tuple[Shape, ...]
    """What the uploaded pictures are."""


@serves(Images.generate)
def generate(call: Call) -> Reply:
    """Pictures from a prompt.

    Follows https://developers.openai.com/api/reference/resources/images/methods/generate
    """
    return _answer(_plan(call, "generate", "image_generation"))


@serves(Images.edit)
def edit(call: Call) -> Reply:
    """Pictures from a prompt and pictures.

    Follows https://developers.openai.com/api/reference/resources/images/methods/edit
    """
    return _answer(_plan(call, "edit", "image_edit"))


@serves(Images.create_variation)
def create_variation(call: Call) -> Reply:
    """Pictures from a picture.

    Follows https://developers.openai.com/api/reference/resources/images/methods/create_variation
    """
    return _answer(_plan(call, "variation", "image_variation"))


# From the request to a plan


def _plan(call: Call, kind: Literal["generate", "edit", "variation"], events: str) -> _Plan:
    body = call.body
    lenient = call.server.conjures
    named: str | None = body.get("model")
    model = named or ("dall-e-2" if kind == "variation" else default_model(body))
    of = family(model) if call.server.published_limits else UNLIMITED
    of.check(body, lenient=lenient)
    files, mask = _uploads(body)
    shapes: tuple[Shape, ...] = ()
    try:
        shapes = tuple(_checked(file, at, named) for at, file in enumerate(files))
        if kind == "variation" and named is not None and shapes[0].width != shapes[0].height:
            raise BadRequestError.because("Uploaded image must be square.", param="image", code="invalid_image_file")
        _check_mask(body, mask, shapes, named)
    except BadRequestError:
        if not lenient:
            raise
        kind, files, mask, shapes = "generate", [], None, ()
    width, height = of.size(body.get("size"), (shapes[0].width, shapes[0].height) if shapes else None)
    transparent = body.get("background") == "transparent"
    if shapes and body.get("background") in (None, "auto") and kind != "generate":
        transparent = shapes[0].transparent and body.get("output_format") != "jpeg" and mask is None
    request = ImageRequest(
        model,
        body.get("prompt") or "",
        kind,
        body.get("n") or 1,
        width,
        height,
        body.get("output_format") or "png",
        body.get("output_compression"),
        transparent,
        files,
        mask,
        not body.get("stream"),
        body,
        call.request.headers,
    )
    _check_output(request, body, lenient=lenient)
    as_files = of.files and (body.get("response_format") or ("url" if of.links else "b64_json")) == "url"
    return _Plan(call, of, request, events, as_files, shapes)


def _uploads(body: dict[str, Any]) -> tuple[list[UploadedFile], UploadedFile | None]:
    given: Any = body.get("image")
    mask: Any = body.get("mask")
    files = given if isinstance(given, list) else [] if given is None else [given]
    return files, mask if isinstance(mask, UploadedFile) else None


def _checked(file: Any, at: int, named: str | None) -> Shape:
    """What an uploaded picture is. Raises `BadRequestError` where it is none, or none that the model takes."""
    if not isinstance(file, UploadedFile):
        raise _not_a_picture(at)
    shape = shape_of(file.content)
    if named == "dall-e-2":
        if shape is None or shape.format != "PNG" or len(file.content) > 4 * MIB:
            raise BadRequestError.because("Uploaded image must be a PNG and less than 4 MB.")
        return shape
    if shape is None and not file.content_type.startswith("image/"):
        raise BadRequestError.because(
            f"Invalid file 'image': unsupported mimetype ('{file.content_type}'). "
            "Supported file formats are 'image/jpeg', 'image/png', and 'image/webp'.",
            param="image",
            code="unsupported_file_mimetype",
        )
    if shape is None or shape.format not in ("PNG", "JPEG", "WEBP"):
        raise _not_a_picture(at)
    if len(file.content) > 50 * MIB:
        raise BadRequestError.because(
            "Invalid file 'image': file too large. Each image must be less than 50 MB.",
            param="image",
            code="file_too_large",
        )
    return shape


def _not_a_picture(at: int) -> BadRequestError:
    return BadRequestError.because(
        f"Invalid image file or mode for image {at + 1}, please check your image file.",
        param="image",
        code="invalid_image_file",
    )


def _check_mask(body: dict[str, Any], mask: UploadedFile | None, shapes: tuple[Shape, ...], named: str | None) -> None:
    if mask is not None and body.get("markup") is not None:
        raise BadRequestError.because("'markup' cannot be combined with 'mask'.", param="markup", code="invalid_value")
    if mask is None:
        if named == "dall-e-2" and shapes and "prompt" in body and not shapes[0].transparent:
            raise BadRequestError.because(
                f"Invalid input image - format must be in ['RGBA', 'LA', 'L'], got {shapes[0].mode}."
            )
        return
    shape = shape_of(mask.content)
    if shape is None or shape.format not in ("PNG", "WEBP"):
        raise BadRequestError.because(
            "Invalid mask image format - mask must be a PNG file.", param="mask", code="invalid_image_file"
        )
    if shape[2:] != shapes[0][2:]:
        raise BadRequestError.because(
            "Invalid mask image format - mask size does not match image size.",
            param="mask",
            code="invalid_image_file",
        )
    if not shape.transparent:
        raise BadRequestError.because(
            "Invalid mask image format - mask image missing alpha channel.", param="mask", code="invalid_image_file"
        )


def _check_output(request: ImageRequest, body: dict[str, Any], *, lenient: bool) -> None:
    compression = body.get("output_compression")
    if compression is not None and compression < 100 and request.format not in ("jpeg", "webp"):
        raise BadRequestError.because(
            f"Compression less than 100 is not supported for {request.format.upper()} output format.",
            param="output_compression",
            code=f"invalid_{request.format}_output_compression",
        )
    if request.transparent and request.format == "jpeg":
        raise BadRequestError.because(
            "Transparent background is not supported for JPEG output format.", param="background", code="invalid_value"
        )
    if not lenient:
        for name, needed in _NEEDS_FORMAT.items():
            if body.get(name) is not None and request.format != needed:
                raise BadRequestError.because(
                    f"'{name}' is only supported with output_format='{needed}'.", param=name, code="invalid_value"
                )
    frames = body.get("frame_count")
    if frames is not None and not 2 <= frames <= 16:
        raise BadRequestError.because(
            f"Invalid 'frame_count': expected a value between 2 and 16, but got {frames} instead.",
            param="frame_count",
            code="invalid_value",
        )
    if request.format in ("gif", "svg") and body.get("stream"):
        raise BadRequestError.because(
            f"Streaming is not supported with output_format='{request.format}'.", param="stream", code="invalid_value"
        )


_NEEDS_FORMAT = {"frame_count": "gif", "frame_duration_ms": "gif", "svg": "svg"}
"""Parameters that mean something for one format only."""


# From the plan to the answer


def _answer(plan: _Plan) -> Reply:
    found = plan.call.server.engines.images(plan.request.model)(plan.request)
    if plan.request.body.get("stream"):
        return Response(200, _EVENTS, _stream(plan, found))
    if isinstance(found, GeneratorType):
        return _when_drawn(plan, found)
    return _whole(plan, found)


_EVENTS = Headers.of([("content-type", "text/event-stream; charset=utf-8")])


def _when_drawn(plan: _Plan, files: Flow[Any]) -> Flow[dict[str, Any]]:
    return _whole(plan, (yield from _files(plan, files)))


def _files(plan: _Plan, found: Any) -> Flow[list[bytes]]:
    try:
        files: list[bytes] = (yield from found) if isinstance(found, GeneratorType) else found
        return files
    except ValueError as error:
        # A file whose head is that of a picture and whose rest is not.
        if plan.request.images:
            raise _not_a_picture(0) from error
        raise


def _whole(plan: _Plan, files: Any) -> dict[str, Any]:
    """The body of an answer that is sent in one piece."""
    if isinstance(files, dict):
        return files
    call, of, request = plan.call, plan.family, plan.request
    _counted(request, files)
    answer: dict[str, Any] = {"created": int(call.server.clock.now())}
    if of.gpt:
        answer["background"] = "transparent" if request.transparent else "opaque"
    answer["data"] = data = [
        {"url": link(call, file, MEDIA[request.format])} if plan.as_files else {"b64_json": _base64(file)}
        for file in files
    ]
    if of.revises:
        for item in data:
            item["revised_prompt"] = _revised(request)
    if of.gpt:
        answer |= _described(plan)
        answer["usage"] = _usage(plan, len(files))
        answer["usage"]["output_tokens_details"] = {
            "image_tokens": answer["usage"]["output_tokens"],
            "text_tokens": 0,
        }
        answer |= _safety(request)
    return answer


def _stream(plan: _Plan, found: Any) -> Generator[bytes | Step[Any], Any, None]:
    """The events of an answer that is sent picture by picture, each first half done."""
    request = plan.request
    files: list[bytes] = yield from _files(plan, found)
    _counted(request, files)
    partial: int = request.body.get("partial_images") or 0
    head: dict[str, Any] = {
        "created_at": int(plan.call.server.clock.now()),
        **_described(plan),
        "background": "transparent" if request.transparent else "opaque",
    }
    for file in files:
        for index in range(partial):
            half_done: Any = yield Run(_preview, file, request.format, partial - index)
            yield _event(f"{plan.events}.partial_image", half_done, {**head, "partial_image_index": index})
        ending = {**head, "usage": _usage(plan, 1, partial), **_safety(request)}
        yield _event(f"{plan.events}.completed", file, ending)


def _event(kind: str, file: bytes, fields: dict[str, Any]) -> bytes:
    return sse.encode(orjson.dumps({"type": kind, "b64_json": _base64(file), **fields}), kind)


def _preview(file: bytes, format: str, coarseness: int) -> bytes:
    try:
        return preview(file, format, coarseness)
    except ValueError:
        return file  # an engine of the user's may send what pillow does not read


def _counted(request: ImageRequest, files: list[bytes]) -> None:
    if len(files) != request.n:
        raise ValueError(f"the image engine of {request.model!r} gave {len(files)} files where {request.n} were asked")


def _base64(file: bytes) -> str:
    return b64encode(file).decode()


def _quality(request: ImageRequest) -> str:
    quality = request.body.get("quality")
    return "high" if quality in (None, "auto", "hd") else "medium" if quality == "standard" else quality


def _described(plan: _Plan) -> dict[str, Any]:
    request = plan.request
    return {
        "output_format": request.format,
        "quality": _quality(request),
        "size": f"{request.width}x{request.height}",
    }


def _usage(plan: _Plan, count: int, partial: int = 0) -> dict[str, Any]:
    request = plan.request
    quality = _quality(request)
    each = OUTPUT_TOKENS.get((quality, request.width, request.height))
    if each is None:
        square = OUTPUT_TOKENS["high" if quality in FACTORS else quality, 1024, 1024] * FACTORS.get(quality, 1)
        each = -(-square * request.width * request.height // 1024**2)
    text = tokens.count(request.prompt, request.model)
    seen = sum(map(_input_tokens, plan.shapes))
    made = count * (each + partial * PARTIAL_TOKENS)
    return {
        "input_tokens": text + seen,
        "input_tokens_details": {"image_tokens": seen, "text_tokens": text},
        "output_tokens": made,
        "total_tokens": text + seen + made,
    }


def _input_tokens(shape: Shape) -> int:
    """Tokens of an uploaded picture: 65, and 129 for each tile of 512 pixels once its shorter side is 512."""
    scale = 512 / max(1, min(shape.width, shape.height))
    wide, high = (-(-round(side * scale) // 512) for side in (shape.width, shape.height))
    return 65 + 129 * wide * high


def _safety(request: ImageRequest) -> dict[str, str]:
    body = request.body
    identifier = body.get("safety_identifier") or body.get("user")
    return {"safety_identifier": identifier} if identifier else {}


def _revised(request: ImageRequest) -> str:
    natural = request.body.get("style") == "natural"
    manner = "A natural, unposed picture" if natural else "A vivid, richly coloured picture"
    return f"{manner} of the following scene: {request.prompt.strip().rstrip('.')}."
