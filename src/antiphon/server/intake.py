"""From the bytes of a request to its fields: JSON objects, forms and files.

The API reads `application/json`; operations that take files read `multipart/form-data` as well. Anything else
(`application/x-www-form-urlencoded` too) is refused with 400 and the code `unsupported_content_type`, as the API
does; it does not use 415. A body without a content type is read as JSON.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from ..kernel.errors import APIStatusError, BadRequestError
from .behaviour import UploadedFile

if TYPE_CHECKING:
    from ..kernel.multipart import Part
    from ..kernel.spool import Spooled

__all__ = ("is_form", "read_form", "read_json", "too_large", "unsupported")


def read_json(body: bytes) -> dict[str, Any]:
    """The JSON object in a body; an empty body is an empty one. Raises `BadRequestError` for anything else."""
    if not body:
        return {}
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise BadRequestError.because(
            "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your HTTP "
            "library correctly. The OpenAI API expects a JSON payload, but what was sent was not valid JSON. If you "
            "have trouble figuring out how to fix this, please contact us through our help center at help.openai.com.)"
        ) from None
    if value.__class__ is not dict:
        raise BadRequestError.because(
            f"Invalid type for the request body: expected an object, but got {_KINDS[type(value)]} instead.",
            code="invalid_type",
        )
    return value


_KINDS: dict[type, str] = {
    list: "an array",
    str: "a string",
    int: "an integer",
    float: "a decimal number",
    bool: "a boolean",
    type(None): "null",
}


def is_form(content_type: str) -> bool:
    """Whether a body of this type is read as a form."""
    return content_type.partition(";")[0].strip().lower() == "multipart/form-data"


def read_form(body: bytes | Spooled, content_type: str) -> list[tuple[str, str | UploadedFile]]:
    """The fields of a multipart body in order: text parts as strings, files as `UploadedFile`.

    Raises `BadRequestError` when the body is not what its content type says.
    """
    from ..kernel.multipart import decode

    try:
        parts = decode(content_type, body)
    except ValueError as error:
        raise BadRequestError.because(f"Could not parse multipart form: {error}.") from None
    return [(_clean(part.name), _value(part)) for part in parts]


def _value(part: Part) -> str | UploadedFile:
    if part.filename is None and isinstance(part.content, bytes):
        return part.content.decode("utf-8", "replace")
    return UploadedFile(_clean(part.filename or ""), part.content_type or "application/octet-stream", part.content)


def _clean(text: str) -> str:
    """Text without the halves of surrogates that stand for bytes which were no UTF-8."""
    return text if text.isascii() else text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def unsupported(content_type: str, accepted: str) -> APIStatusError:
    """The refusal of a content type."""
    kind = content_type.partition(";")[0].strip()
    return BadRequestError.because(
        f"Unsupported content type: '{kind}'. This API method only accepts {accepted} requests, but you specified "
        f"the header 'Content-Type: {content_type}'. Please try again with a supported content type.",
        code="unsupported_content_type",
    )


def too_large(limit: int, size: int) -> APIStatusError:
    """The refusal of a body over the limit, both in bytes."""
    return APIStatusError.because(
        f"Maximum content size limit ({limit}) exceeded ({size} bytes read)", status=413, code="content_too_large"
    )
