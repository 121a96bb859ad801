"""The numbers, for Prometheus."""

from __future__ import annotations

from typing import Any

from ...kernel.http import Headers, Response
from ..meters import CONTENT_TYPE, SET
from .operations import Call, operation, refused

__all__ = ()


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
                "properties": {name: {"anyOf": [{"type": "number", "minimum": 0}, {"type": "null"}]} for name in SET},
                "additionalProperties": False,
                "description": "what they are from now on; null: what they are in truth",
            },
        },
        "required": ["model", "values"],
        "additionalProperties": False,
    },
    example={"model": "gpt-5", "values": {"vllm:num_requests_waiting": 7, "vllm:kv_cache_usage_perc": 0.9}},
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
