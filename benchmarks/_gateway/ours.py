"""Our gateway in a process of its own: `python ours.py UPSTREAM_PORT BACKEND`. Prints its port."""

from __future__ import annotations

import resource
import sys

from antiphon.gateway import Gateway, ModelConfig
from antiphon.hosting.run import bind, serve_until_signalled

_, most = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
origin = f"http://127.0.0.1:{sys.argv[1]}"
if sys.argv[2] == "openai":
    models = {name: ModelConfig(name, (f"{origin}/v1",), "openai") for name in ("chat", "open")}
else:
    oip = {"convention": "triton-vllm", "template": "chatml", "stream": "generate"}
    models = {name: ModelConfig(name, (origin,), **oip) for name in ("chat", "open")}
gateway = Gateway(models=models)
listener = bind("127.0.0.1", 0)
print(listener.getsockname()[1], flush=True)
serve_until_signalled(gateway, listener, world=gateway.world, max_body=gateway.max_body)
