"""Models for KServe: chat with Seldon's tensors, and vectors. Run as `kserve_models.py HTTP_PORT GRPC_PORT`.

KServe listens on every address, and has no option for another; here it is told to keep to this machine.
"""

import hashlib
import sys
from functools import partial

import numpy as np
import uvicorn
from grpc import aio
from kserve import InferOutput, InferResponse, Model, ModelServer
from kserve.errors import InvalidInput


def texts(tensor):
    elements = np.asarray(tensor.as_numpy()).reshape(-1).tolist()
    return [each.decode() if isinstance(each, bytes) else each for each in elements]


def output(name, values):
    made = InferOutput(name=name, shape=list(values.shape), datatype="BYTES" if values.dtype == np.object_ else "FP32")
    made.set_data_from_numpy(values, binary_data=False)
    return made


class Chat(Model):
    def __init__(self, name):
        super().__init__(name)
        self.ready = True

    async def get_input_types(self):
        return [{"name": name, "datatype": "BYTES", "shape": [-1]} for name in ("role", "content", "type")]

    async def predict(self, payload, headers=None, response_headers=None):
        text = texts(next(tensor for tensor in payload.inputs if tensor.name == "content"))[-1]
        if "boom" in text:
            raise InvalidInput("bad prompt")
        if "crash" in text:
            raise RuntimeError("crash")
        said = {"role": "assistant", "content": f"echo: {text}", "params": repr(payload.parameters)}
        outputs = [output(name, np.array([value.encode()], dtype=np.object_)) for name, value in said.items()]
        return InferResponse(response_id=payload.id, model_name=self.name, infer_outputs=outputs)


class Embeddings(Model):
    def __init__(self, name):
        super().__init__(name)
        self.ready = True

    async def get_input_types(self):
        return [{"name": "input-0", "datatype": "BYTES", "shape": [-1]}]

    async def get_output_types(self):
        return [{"name": "output-0", "datatype": "FP32", "shape": [-1, 8]}]

    async def predict(self, payload, headers=None, response_headers=None):
        digests = [hashlib.sha256(text.encode()).digest()[:8] for text in texts(payload.inputs[0])]
        rows = np.array([list(digest) for digest in digests], dtype=np.float32) - 127.5
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        return InferResponse(response_id=payload.id, model_name=self.name, infer_outputs=[output("output-0", rows)])


class Local(uvicorn.Config):
    def __init__(self, app, host, **options):
        super().__init__(app, host="127.0.0.1", **options)


def local_server(make, *args, **options):
    server = make(*args, **options)
    listen = server.add_insecure_port
    server.add_insecure_port = lambda address: listen(address.replace("[::]", "127.0.0.1"))
    return server


if __name__ == "__main__":
    uvicorn.Config = Local
    aio.server = partial(local_server, aio.server)
    http, grpc = map(int, sys.argv[1:3])
    sys.argv[1:] = []
    server = ModelServer(http_port=http, grpc_port=grpc, enable_grpc=True, workers=1, grace_period=1)
    server.start([Chat("chat"), Embeddings("embed")])
