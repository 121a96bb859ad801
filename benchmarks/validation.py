"""Validation of chat completion requests beside two libraries, in one run: `python benchmarks/validation.py`."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import fastjsonschema
import jsonschema_rs

from antiphon import schema
from antiphon.server.validation import compile_body

NAME = "chat.completions.create"
TURN = {"role": "user", "content": "What is the capital of France?"}
BODIES = {
    "one message": {"model": "gpt-5", "messages": [TURN]},
    "one message, five options": {
        "model": "gpt-5",
        "messages": [TURN],
        "temperature": 0.5,
        "max_tokens": 100,
        "n": 1,
        "stream": False,
        "user": "someone",
    },
    "ten messages": {"model": "gpt-5", "messages": [TURN, {"role": "assistant", "content": "Paris."}] * 5},
}


def microseconds(function: Callable[[Any], Any], value: Any, count: int = 20_000) -> float:
    """The best of five runs, per call."""
    best = float("inf")
    for _ in range(5):
        start = time.perf_counter()
        for _ in range(count):
            function(value)
        best = min(best, time.perf_counter() - start)
    return best / count * 1e6


def main() -> None:
    start = time.perf_counter()
    ours = compile_body(NAME)
    ours(BODIES["one message"])
    print(f"first request: schema loaded, compiled and checked in {(time.perf_counter() - start) * 1e3:.1f} ms")
    whole = schema.standalone(schema.operation(NAME).body or {})
    rust = jsonschema_rs.validator_for(whole)
    start = time.perf_counter()
    fast = fastjsonschema.compile(whole)
    print(f"fastjsonschema compiled in {(time.perf_counter() - start) * 1e3:.1f} ms")
    for label, body in BODIES.items():
        figures = {
            "ours": microseconds(ours, body),
            "jsonschema-rs is_valid": microseconds(rust.is_valid, body),
            "fastjsonschema": microseconds(fast, body, 2_000),
        }
        print(f"{label:28}" + "   ".join(f"{name} {figure:6.2f} µs" for name, figure in figures.items()))


if __name__ == "__main__":
    main()
