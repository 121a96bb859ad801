"""From the arguments of a call to the bytes of a request."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import NoneType
from typing import TYPE_CHECKING, Any

from ..kernel.omit import NotGiven, Omit
from ..kernel.query import pairs
from ..kernel.view import View

if TYPE_CHECKING:
    from ..kernel.http import Upload
    from ..kernel.operation import AnyOperation

__all__ = ("form", "to_json")


class _Omitted(Exception):
    """An omitted value was met where it cannot be left out in passing."""


def to_json(value: Any) -> bytes:
    """JSON, compact, UTF-8 unescaped. Raises `TypeError` for what has no JSON.

    Views, pydantic's models, dataclasses, enums, dates and any iterable are written as what they hold; omitted
    values in objects and lists are left out.
    """
    try:
        return _dumps(value, _default)
    except TypeError:
        return _thorough(value)


def _first_dumps(value: Any, default: Any) -> bytes:
    # Importing orjson costs more than the rest of a client together: it waits for the first request.
    global _dumps
    from orjson import dumps

    _dumps = dumps
    return dumps(value, default)


_dumps: Callable[[Any, Any], bytes] = _first_dumps


def _default(value: Any) -> Any:
    if isinstance(value, View):
        return value._sent()
    if isinstance(value, type):
        raise TypeError(
            f"{value.__name__} is a class, which has no JSON: as the type of an answer it goes to `parse` or `stream`"
        )
    dump = getattr(value, "model_dump", None)
    if dump is not None:
        return dump(mode="json", by_alias=True, exclude_unset=True)
    if isinstance(value, (Omit, NotGiven)):
        raise _Omitted
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Iterable) and not isinstance(value, (bytes, bytearray, memoryview)):
        return list(value)
    raise TypeError(f"a value of type {type(value).__name__} has no JSON: {value!r}")


def _thorough(value: Any) -> bytes:
    """What orjson alone cannot write: omitted values within, keys that are not strings, integers over 64 bits."""
    import orjson

    cleaned = _cleaned(value)
    try:
        return orjson.dumps(cleaned, _default, orjson.OPT_NON_STR_KEYS)
    except TypeError as error:
        import json

        try:
            return json.dumps(
                cleaned, default=_default, ensure_ascii=False, separators=(",", ":"), allow_nan=False
            ).encode()
        except (TypeError, ValueError):
            raise TypeError(str(error.__cause__ or error)) from error.__cause__


def _cleaned(value: Any) -> Any:
    if isinstance(value, View):
        return value._sent()
    if isinstance(value, Mapping):
        return {key: _cleaned(item) for key, item in value.items() if not isinstance(item, (Omit, NotGiven))}
    if isinstance(value, (str, bytes, bytearray, memoryview)) or hasattr(value, "model_dump"):
        return value
    if isinstance(value, Iterable):
        return [_cleaned(item) for item in value if not isinstance(item, (Omit, NotGiven))]
    return value


def form(
    operation: AnyOperation, body: dict[str, Any], boundary: str | None = None
) -> tuple[str, bytes | Upload] | None:
    """A body as a form: its content type and its bytes; `None` where the operation sends JSON this time.

    Fields are flattened (`a[]`, `a[b]`), files are parts of their own, and fields named in the operation's `parts`
    are one part each with a content type of its own. A field that may stand `alone` is then the body itself.
    """
    parts = operation.parts or {}
    if operation.alone is not None and set(body) == {operation.alone}:
        return parts[operation.alone], str(body[operation.alone]).encode()
    from ..kernel.multipart import FilePart, encode, file_part

    fields: dict[str, Any] = {}
    files: list[FilePart] = []
    apart: list[FilePart] = []
    for name, value in body.items():
        if name in operation.files and not isinstance(value, (Omit, NotGiven, Mapping, NoneType)):
            if isinstance(value, list):
                files += [file_part(f"{name}[]", each) for each in value]
            else:
                files.append(file_part(name, value))
        elif name in parts:
            data = value.encode() if isinstance(value, str) else to_json(value)
            apart.append(FilePart(name, None, data, parts[name]))
        else:
            fields[name] = value
    if not files and operation.json_without_files:
        return None
    return encode(pairs(_cleaned_form(fields)), [*files, *apart], boundary=boundary)


def _cleaned_form(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: _plain(value) for name, value in fields.items()}


def _plain(value: Any) -> Any:
    """Views and models within as the dicts they hold."""
    if isinstance(value, View):
        return value._sent()
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json", by_alias=True, exclude_unset=True)
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value
