"""LiteLLM's package without a gateway: `python sdk.py UPSTREAM_PORT IN_FLIGHT SECONDS`. Prints answers a second."""

from __future__ import annotations

import asyncio
import json
import sys
import time

import litellm

litellm.suppress_debug_info = True
MODEL = "triton/meta-llama/Meta-Llama-3-8B-Instruct"  # its template comes with the package
MESSAGES = [
    {"role": "system", "content": "You answer in one sentence."},
    {"role": "user", "content": "What is the capital of France?"},
]


async def main() -> None:
    port, in_flight, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    base = f"http://127.0.0.1:{port}/v2/models/chat/generate"
    took: list[float] = []

    async def ask() -> None:
        began = time.perf_counter()
        answer = await litellm.acompletion(MODEL, MESSAGES, api_base=base)
        assert answer.choices[0].message.content
        took.append(time.perf_counter() - began)

    async def asking(until: float) -> None:
        while time.perf_counter() < until:
            await ask()

    await ask()
    took.clear()
    began = time.perf_counter()
    await asyncio.gather(*(asking(began + seconds) for _ in range(in_flight)))
    rate = len(took) / (time.perf_counter() - began)
    took.sort()
    print(json.dumps({"rate": rate, "p50": took[len(took) // 2], "p99": took[int(len(took) * 0.99)]}))


asyncio.run(main())
