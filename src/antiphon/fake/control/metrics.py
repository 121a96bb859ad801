"""The numbers, for Prometheus."""

from __future__ import annotations

from typing import Any, Final

from ...kernel.http import Headers, Response
from ..courses import NAMES
from ..meters import CONTENT_TYPE, SET
from .operations import Call, operation, refused

__all__ = ()

_VALUE: Final[dict[str, Any]] = {
    "anyOf": [
        {"type": "number", "minimum": 0},
        {
            "type": "object",
            "description": f'what changes by itself, such as {{"ramp": [0, 12], "seconds": 60}}: {", ".join(NAMES)}',
        },
        {"type": "null"},
    ]
}


@operation("metrics.get", "GET", "/metrics", returns="the text format of Prometheus", media="text/plain")
def metrics_get(call: Call) -> Any:
    """Numbers about what was asked: requests, seconds, tokens, costs, faults, and those that vLLM has, by its names."""
    return Response(200, Headers({"content-type": CONTENT_TYPE}), call.fake.meters.text())


@operation(
    "metrics.set",
    "PUT",
    "/metrics",
    body={
        "type": "object",
        "properties": {
            "model": {"type": "string", "minLength": 1},
            "values": {
                "type": "object",
                "properties": dict.fromkeys(SET, _VALUE),
                "additionalProperties": False,
                "description": "what they are from now on; null: what they are in truth",
            },
        },
        "required": ["model", "values"],
        "additionalProperties": False,
    },
    example={
        "model": "gpt-5",
        "values": {"vllm:num_requests_waiting": 7, "vllm:kv_cache_usage_perc": {"ramp": [0, 0.9], "seconds": 60}},
    },
    returns="the text format of Prometheus",
    media="text/plain",
)
def metrics_set(call: Call) -> Any:
    """Have gauges of a model say something else than is true, for what scales or routes by them."""
    try:
        call.fake.meters.set(call.body["model"], call.body["values"])
    except ValueError as error:
        raise refused(str(error), param="values") from None
    return metrics_get(call)
