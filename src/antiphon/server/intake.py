"""From the bytes of a request to its fields: JSON objects, forms and files.

The API reads `application/json`; operations that take files read `multipart/form-data` as well. Anything else
is refused with 400 and the code `unsupported_content_type`, as the API does; it does not use 415. A body without
a content type is read as JSON.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote

import orjson

from ..kernel.errors import APIStatusError, BadRequestError
from .behaviour import UploadedFile

__all__ = ("read_form", "read_json", "too_large", "unsupported")


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


def read_form(body: bytes, content_type: str) -> list[tuple[str, str | UploadedFile]]:
    """The fields of a multipart body in order: text parts as strings, files as `UploadedFile`.

    Raises `BadRequestError` when the body is not what its content type says.
    """
    boundary = _boundary(content_type)
    if not boundary:
        raise BadRequestError.because("Could not parse multipart form: the content type names no boundary.")
    fields: list[tuple[str, str | UploadedFile]] = []
    sections = (b"\r\n" + body).split(b"\r\n--" + boundary)
    if len(sections) < 2 or not sections[-1].startswith(b"--"):
        raise BadRequestError.because("Could not parse multipart form: the closing boundary is missing.")
    for section in sections[1:-1]:
        head, blank, content = section.partition(b"\r\n\r\n")
        if not blank:
            raise BadRequestError.because("Could not parse multipart form: a part has no headers.")
        headers = _part_headers(head)
        disposition = _parameters(headers.get("content-disposition", ""))
        name = disposition.get("name")
        if name is None:
            raise BadRequestError.because("Could not parse multipart form: a part has no name.")
        filename = disposition.get("filename")
        kind = headers.get("content-type", "")
        if filename is not None:
            fields.append((name, UploadedFile(filename, kind or "application/octet-stream", content)))
        else:
            fields.append((name, content.decode("utf-8", "replace")))
    return fields


def _boundary(content_type: str) -> bytes:
    return _parameters(content_type).get("boundary", "").encode("latin-1")


def _part_headers(head: bytes) -> dict[str, str]:
    headers: dict[str, str] = {}
    for line in head.split(b"\r\n"):
        name, colon, value = line.decode("utf-8", "replace").partition(":")
        if colon:
            headers[name.strip().lower()] = value.strip()
    return headers


_PARAMETER = re.compile(r';\s*([^\s=;]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;]*))')
_ESCAPED = re.compile(r"\\(.)|%(22|0[AaDd])")
"""How clients write quotes and line breaks within quotes: with a backslash, or as browsers do, percent-encoded."""


def _parameters(value: str) -> dict[str, str]:
    """The parameters of a header: `form-data; name="a"; filename="b"`. `filename*=UTF-8''…` wins over `filename=`."""
    found: dict[str, str] = {}
    extended: dict[str, str] = {}
    for name, quoted, bare in _PARAMETER.findall(value):
        text = _ESCAPED.sub(_unescaped, quoted) if quoted else bare.strip()
        if name.endswith("*"):
            charset, _, encoded = text.partition("'")
            extended[name[:-1].lower()] = unquote(encoded.partition("'")[2], charset or "utf-8")
        else:
            found.setdefault(name.lower(), text)
    return found | extended


def _unescaped(match: re.Match[str]) -> str:
    return match[1] or chr(int(match[2], 16))


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
