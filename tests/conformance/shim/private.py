"""Private names of the official package that the suite uses, said with ours."""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Iterable
from pathlib import Path
from random import random
from typing import Annotated, Any, Literal, Union, get_args, get_origin
from unittest.mock import patch

import anyio
import httpx2

import antiphon
import antiphon.client.base
import antiphon.client.flow
import antiphon.kernel.files
import antiphon.kernel.flow
import antiphon.kernel.options
from antiphon.kernel.omit import NOT_GIVEN, NotGiven, Omit, not_given, omit
from antiphon.kernel.view import View, wrapper
from shim.matching import fields_of

__all__ = ("NOT_GIVEN", "NotGiven", "Omit", "not_given", "omit")

# _types

NoneType = type(None)

# _models

BaseModel = View


def construct_type(*, type_: Any, value: Any) -> Any:
    made = wrapper(type_)
    return value if made is None else made(value)


validate_type = construct_type


class PropertyInfo:
    """What the official package notes at the fields of its models."""

    def __init__(self, **facts: Any) -> None:
        self.discriminator = facts.get("discriminator")


# _compat

PYDANTIC_V1 = False


def parse_obj(model: type[Any], data: Any) -> Any:
    return model.model_validate(data)


def model_dump(model: Any, **options: Any) -> Any:
    return model.model_dump(**options)


def construct_type_unchecked(*, value: Any, type_: Any) -> Any:
    """A value as what its type says, whatever it is: what our views are made for."""
    return (wrapper(type_) or (lambda same: same))(value)


def model_copy(model: View, *, deep: bool = False) -> View:
    return model.model_copy(deep=deep)


def model_parse(model: type[Any], data: Any) -> Any:
    return model.model_validate(data)


def model_json_schema(model: type[Any]) -> Any:
    return model.model_json_schema()


def get_model_fields(model: type[View]) -> dict[str, Any]:
    return fields_of(model)


def field_outer_type(field: Any) -> Any:
    return field


# _utils


def is_dict(value: object) -> bool:
    return isinstance(value, dict)


def is_list(value: object) -> bool:
    return isinstance(value, list)


def is_literal_type(kind: Any) -> bool:
    return get_origin(kind) is Literal


def is_list_type(kind: Any) -> bool:
    return (get_origin(kind) or kind) is list


def is_sequence_type(kind: Any) -> bool:
    from collections.abc import Sequence

    return (get_origin(kind) or kind) is Sequence


def is_union_type(kind: Any) -> bool:
    return get_origin(kind) in (Union, types.UnionType)


def is_annotated_type(kind: Any) -> bool:
    return get_origin(kind) is Annotated


def is_type_alias_type(kind: Any) -> bool:
    return hasattr(kind, "__value__")


def extract_type_arg(kind: Any, index: int) -> Any:
    return get_args(kind)[index]


def assert_signatures_in_sync(
    source: Callable[..., Any],
    check: Callable[..., Any],
    *,
    exclude_params: Iterable[str] = (),
    description: str = "",
) -> None:
    """Every parameter of one is a parameter of the other, of the same type."""
    theirs, ours = inspect.signature(source).parameters, inspect.signature(check).parameters
    for name, parameter in theirs.items():
        if name in exclude_params:
            continue
        assert name in ours, f"{check} has no {name}{description}"
        assert _said(ours[name]) == _said(parameter), f"{name} has another type{description}"


def _said(parameter: inspect.Parameter) -> str:
    """The type of a parameter as it would be written where nothing hides the built-in names."""
    return str(parameter.annotation).replace("builtins.", "")


def consume_sync_iterator(iterator: Iterable[Any]) -> None:
    for _ in iterator:
        pass


async def consume_async_iterator(iterator: Any) -> None:
    async for _ in iterator:
        pass


class SensitiveHeadersFilter:
    """Keeps secrets out of logged headers. Ours are not logged at all."""


def asyncify(function: Callable[..., Any]) -> Callable[..., Any]:
    import asyncio

    async def in_thread(*args: Any, **kwargs: Any) -> Any:
        return await asyncio.to_thread(function, *args, **kwargs)

    return in_thread


def __getattr__(name: str) -> Any:
    # Names that belong elsewhere with us.
    for home in (antiphon, antiphon.client.base, antiphon.kernel.options, antiphon.kernel.files):
        if hasattr(home, name):
            return getattr(home, name)
    raise AttributeError(f"antiphon has nothing in the place of {name}")


# _base_client

HTTPX_DEFAULT_TIMEOUT = httpx2.Timeout(5.0)
DEFAULT_TIMEOUT = httpx2.Timeout(600.0, connect=5.0)


class FinalRequestOptions:
    """A request as the official client has it before it is one of the library's."""

    def __init__(self, *, method: str, url: str, **options: Any) -> None:
        self.method, self.url, self.options = method, url, options

    construct = classmethod(lambda cls, **options: cls(**options))


def make_request_options(
    *,
    query: Any = None,
    extra_headers: Any = None,
    extra_query: Any = None,
    extra_body: Any = None,
    timeout: Any = not_given,
    stream_mode: Any = None,
    synthesize_event_and_data: Any = None,
) -> dict[str, Any]:
    options = {
        "headers": extra_headers,
        "params": {**(query or {}), **(extra_query or {})},
        "extra_json": extra_body,
        "timeout": timeout,
        "stream_mode": stream_mode,
        "synthesize_event_and_data": synthesize_event_and_data,
    }
    return {name: value for name, value in options.items() if value not in (None, {}, not_given)}


def build_request(client: Any, options: FinalRequestOptions) -> httpx2.Request:
    """What our client sends for a request, as one of httpx2."""
    from antiphon.client.direct import _asked

    given = options.options
    asked = _asked(
        client,
        options.method.upper(),
        options.url,
        object,
        {name: given[name] for name in ("headers", "params", "extra_json", "timeout", "security") if name in given},
        given.get("json_data"),
        given.get("content"),
        given.get("files"),
    )
    request, timeout = asked.prepared.request, asked.prepared.timeout
    parts = ("connect", "read", "write", "pool")
    return httpx2.Request(
        request.method,
        request.url,
        headers=request.headers.pairs,
        content=request.content(),
        extensions={"timeout": {part: getattr(timeout, part, timeout) for part in parts}},
    )


class BaseClient:
    """Where the suite looks for the wait between attempts, to make it short."""

    def _calculate_retry_timeout(self, remaining: int, options: Any, headers: Any = None) -> float:
        return _backoff(max(options.options.get("max_retries", 2) - remaining, 0), headers)


_backoff = antiphon.client.flow.backoff

antiphon.kernel.flow.World.asleep = lambda self, seconds: anyio.sleep(seconds)  # type: ignore[method-assign,misc]


def _as_patched(taken: int, headers: Any) -> float:
    if BaseClient._calculate_retry_timeout is _calculated:
        # Cases put other functions in the place of these two.
        with patch("random.random", random):
            return _backoff(taken, headers)
    return BaseClient._calculate_retry_timeout(None, 0, None)  # type: ignore[arg-type]


_calculated = BaseClient._calculate_retry_timeout
antiphon.client.flow.backoff = _as_patched


class OtherPlatform:
    """The official client's word for a system it does not know. Ours says nothing of the system."""


def get_platform() -> Any:
    raise NotImplementedError


# _files: what the suite looks at is how a file argument is read. Ours is read as a part of a form.


def to_httpx_files(files: Any) -> Any:
    from antiphon.kernel.multipart import file_part

    def one(name: str, file: Any) -> Any:
        part = file_part(name, file)
        content = part.content if isinstance(part.content, bytes) else Path(part.content).read_bytes()
        rest = [each for each in (part.content_type, part.headers) if each is not None]
        return (part.filename, content, *rest)

    if isinstance(files, dict):
        return {name: one(name, file) for name, file in files.items()}
    return [(name, one(name, file)) for name, file in files]


async def async_to_httpx_files(files: Any) -> Any:
    return to_httpx_files(files)


def deepcopy_with_paths(value: Any, paths: Any) -> Any:
    raise NotImplementedError


def extract_files(value: Any, **paths: Any) -> Any:
    raise NotImplementedError


# _data_residency

_DATA_RESIDENCY_BASE_URLS = {
    region: antiphon.OpenAI(api_key="-", data_residency=region).base_url for region in ("global", "us", "eu", "jp")
}
