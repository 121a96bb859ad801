"""Our client and the official one over the same bytes, and what their events have in common."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

import httpx2
import openai

import antiphon
from antiphon.kernel.http import Headers, Request, Response
from antiphon.kernel.view import View

EVENT_STREAM = "text/event-stream"
Recorded = list[tuple[str, dict[str, Any]]]


def sse(events: Iterable[Any], *, named: bool = False, done: bool = True) -> bytes:
    """Events as a stream; with `named`, pairs of a name and data."""
    text = ""
    for event in events:
        if named:
            name, data = event
            text += f"event: {name}\ndata: {json.dumps(data)}\n\n"
        else:
            text += f"data: {json.dumps(event)}\n\n"
    return (text + ("data: [DONE]\n\n" if done else "")).encode()


def answering(body: Any, requests: list[Any] | None = None) -> Callable[[Request], Response]:
    """A handler that answers every request alike."""
    stream = isinstance(body, bytes)
    content = body if isinstance(body, bytes) else json.dumps(body).encode()

    def handler(request: Request) -> Response:
        if requests is not None:
            requests.append(request)
        content_type = EVENT_STREAM if stream else "application/json"
        return Response(200, Headers({"content-type": content_type, "x-request-id": "req_1"}), content, request)

    return handler


def ours(body: Any, requests: list[Any] | None = None) -> antiphon.OpenAI:
    return antiphon.OpenAI(api_key="k", base_url="http://t/v1", transport=answering(body, requests), max_retries=0)


def ours_async(body: Any, requests: list[Any] | None = None) -> antiphon.AsyncOpenAI:
    return antiphon.AsyncOpenAI(api_key="k", base_url="http://t/v1", transport=answering(body, requests), max_retries=0)


def theirs(body: Any, requests: list[Any] | None = None) -> openai.OpenAI:
    content_type = EVENT_STREAM if isinstance(body, bytes) else "application/json"
    content = body if isinstance(body, bytes) else json.dumps(body).encode()

    def handler(request: httpx2.Request) -> httpx2.Response:
        if requests is not None:
            requests.append(request)
        return httpx2.Response(
            200, headers={"content-type": content_type, "x-request-id": "req_1"}, content=content, request=request
        )

    return openai.OpenAI(
        api_key="k",
        base_url="http://t/v1",
        http_client=httpx2.Client(transport=httpx2.MockTransport(handler)),
        max_retries=0,
    )


def plainly(value: Any) -> Any:
    """A value as JSON data; types that both sides parsed into stay as they are."""
    if isinstance(value, View):
        return plainly(value._data)
    if isinstance(value, openai.BaseModel):
        fields = {field.alias or name: name for name, field in type(value).model_fields.items()}
        return {key: plainly(getattr(value, fields.get(key, key))) for key in {*fields, *(value.model_extra or {})}}
    if isinstance(value, dict):
        return {key: plainly(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plainly(item) for item in value]
    return value


def agree(our: Any, their: Any, way: str = "") -> None:
    """What the official side has, ours has alike; what is absent is as good as `None`. Raises `AssertionError`."""
    if isinstance(their, dict) and isinstance(our, dict):
        for key, value in their.items():
            agree(our.get(key), value, f"{way}.{key}")
    elif isinstance(their, list) and isinstance(our, list):
        assert len(our) == len(their), (way, our, their)
        for number, (one, other) in enumerate(zip(our, their, strict=True)):
            agree(one, other, f"{way}[{number}]")
    else:
        assert our == their, (way, our, their)


def agree_on(our: Recorded, their: Recorded) -> None:
    """The same events in the same order, each as it was when it came."""
    assert [name for name, _ in our] == [name for name, _ in their]
    for (name, one), (_, other) in zip(our, their, strict=True):
        agree(one, other, name)


def record(events: Iterable[Any]) -> Recorded:
    return [(event.type, plainly(event)) for event in events]
