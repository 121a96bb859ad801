"""From the bytes of a request to the fields an operation asks for: JSON, forms and files, and the query.

The API reads `application/json`; operations that take files read `multipart/form-data` as well. Anything else
is refused with 400 and the code `unsupported_content_type`, as the API does; it does not use 415. A body without
a content type is read as JSON.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

import orjson

from ..kernel.errors import APIStatusError, BadRequestError
from .behaviour import UploadedFile

__all__ = ("nested", "read_form", "read_json", "read_query", "too_large", "unsupported")


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


def read_query(query: str) -> dict[str, Any]:
    """The fields of a query string, undone of their encoding: `a[]=1`, `a[b]=1` and repeated names nest."""
    return nested(parse_qsl(query, keep_blank_values=True))


def read_form(body: bytes, content_type: str) -> dict[str, Any]:
    """The fields of a multipart body: text parts as strings, files as `UploadedFile`.

    Raises `BadRequestError` when the body is not what its content type says.
    """
    boundary = _boundary(content_type)
    if not boundary:
        raise BadRequestError.because("Could not parse multipart form: the content type names no boundary.")
    fields: list[tuple[str, Any]] = []
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
        elif kind.startswith("application/json"):
            fields.append((name, orjson.loads(content)))
        else:
            fields.append((name, content.decode("utf-8", "replace")))
    return nested(fields)


def nested(fields: list[tuple[str, Any]]) -> dict[str, Any]:
    """Flat names with brackets made into nested objects and lists. A name given twice is a list."""
    result: dict[str, Any] = {}
    for name, value in fields:
        root, *path = name.replace("]", "").split("[") if name.endswith("]") and "[" in name else [name]
        _place(result, root, path, value)
    return result


def _place(target: dict[str, Any], key: str, path: list[str], value: Any) -> None:
    if not path:
        if key not in target:
            target[key] = value
        elif isinstance(target[key], list):
            target[key].append(value)
        else:
            target[key] = [target[key], value]
        return
    step, *rest = path
    if step == "" or step.isdigit():
        items = target.setdefault(key, [])
        if not isinstance(items, list):
            items = target[key] = [items]
        if not rest:
            items.append(value)
            return
        # `a[][b]=1`: a field that the last object has already begins the next one.
        last = items[-1] if items and isinstance(items[-1], dict) else None
        if last is None or (step == "" and len(rest) == 1 and rest[0] in last) or (step and int(step) >= len(items)):
            last = {}
            items.append(last)
        _place(last, rest[0], rest[1:], value)
        return
    inner = target.get(key)
    if not isinstance(inner, dict):
        inner = target[key] = {}
    _place(inner, step, rest, value)


def _boundary(content_type: str) -> bytes:
    return _parameters(content_type).get("boundary", "").encode("latin-1")


def _part_headers(head: bytes) -> dict[str, str]:
    headers: dict[str, str] = {}
    for line in head.split(b"\r\n"):
        name, colon, value = line.decode("utf-8", "replace").partition(":")
        if colon:
            headers[name.strip().lower()] = value.strip()
    return headers


def _parameters(value: str) -> dict[str, str]:
    """The parameters of a header: `form-data; name="a"; filename="b"`."""
    from email.message import Message

    message = Message()
    message["content-disposition"] = value
    found = message.get_params(header="content-disposition") or []
    return {name.lower(): text for name, text in found[1:] if isinstance(text, str)} | {
        name.lower(): text[2] for name, text in found[1:] if isinstance(text, tuple)
    }


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
