"""Runtimes with the tensors of Seldon's LLM module: chat as its API runtime and its local one, vectors, pictures.

In the last message `boom` is an error before the first word, `crash` a bug, `midfail` an error at the third word;
`slow` takes its time with each, and a word `mark-…` is logged when the request begins and when it is cancelled.
"""

import asyncio
import hashlib
import json
import math
import os
import re
import time

from mlserver import MLModel
from mlserver.codecs import StringCodec
from mlserver.errors import InferenceError
from mlserver.types import InferenceResponse, Parameters, ResponseOutput, TensorData


def texts(tensor):
    return [each.decode() if isinstance(each, bytes) else each for each in tensor.data]


def log(what, prompt):
    for mark in re.findall(r"mark-\w+", prompt):
        with open(os.environ["OIP_TEST_LOG"], "a") as file:
            file.write(f"{what} {mark}\n")


def messages_of(request):
    """The messages of a request. Of a single one the elements are its own, of several each has a list as JSON."""
    tensors = {tensor.name: texts(tensor) for tensor in request.inputs}
    roles = tensors["role"]
    if len(roles) == 1:
        parts = zip(tensors.get("type", ["text"]), tensors.get("content", [""]), strict=False)
        return [{"role": roles[0], "content": list(parts), "tool_calls": tensors.get("tool_calls", [])}], tensors
    messages = []
    for at, role in enumerate(roles):

        def of(name, at=at):
            element = tensors[name][at] if name in tensors else ""
            return json.loads(element) if element else []

        messages.append(
            {"role": role, "content": list(zip(of("type"), of("content"), strict=True)), "tool_calls": of("tool_calls")}
        )
    return messages, tensors


class Chat(MLModel):
    async def load(self):
        self.whole = (self.settings.parameters.extra or {}).get("output_all", False)
        return True

    def prompt(self, request):
        messages, tensors = messages_of(request)
        text = " ".join(value for kind, value in messages[-1]["content"] if kind == "text")
        if "boom" in text:
            raise InferenceError("model exploded on purpose")
        if "crash" in text:
            raise RuntimeError("unexpected crash")
        log("began", text)
        given = request.parameters.model_dump() if request.parameters else {}
        options = given.get("llm_parameters" if self.whole else "kwargs") or {}
        return text, tensors, json.loads(options) if isinstance(options, str) else options

    def response(self, text, whole):
        outputs = [
            StringCodec.encode_output(n, [v]) for n, v in (("role", "assistant"), ("content", text), ("type", "text"))
        ]
        if self.whole:
            outputs.append(StringCodec.encode_output("output_all", [json.dumps(whole)]))
        return InferenceResponse(model_name=self.name, model_version=self.version, outputs=outputs)

    async def predict(self, request):
        text, tensors, options = self.prompt(request)
        try:
            for _ in range(40 if "slow" in text else 0):
                await asyncio.sleep(0.05)
        except asyncio.CancelledError:
            log("cancelled", text)
            raise
        message = {"role": "assistant", "content": " ".join(f"echo: {text}".split(" ")[: options.get("max_tokens")])}
        finish = "stop"
        if "tools" in tensors and "weather" in text:
            tool = json.loads(tensors["tools"][0])["function"]["name"]
            call = {"id": "call_1", "type": "function", "function": {"name": tool, "arguments": '{"city":"Paris"}'}}
            message |= {"content": None, "tool_calls": [call]}
            finish = "tool_calls"
        whole = {
            "id": "chatcmpl-upstream",
            "object": "chat.completion",
            "created": int(time.time()),
            "model": "upstream-model",
            "choices": [{"index": 0, "message": message, "finish_reason": finish, "logprobs": None}],
            "usage": {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8},
        }
        return self.response(message["content"] or "", whole)

    async def predict_stream(self, payloads):
        requests = [each async for each in payloads]
        text, _, options = self.prompt(requests[0])
        try:
            for at, word in enumerate(re.findall(r"\S+\s*", f"echo: {text}")[: options.get("max_tokens")]):
                await asyncio.sleep(0.2 if "slow" in text else 0.002)
                if "midfail" in text and at == 2:
                    raise InferenceError("failed mid stream")
                chunk = {
                    "id": "chatcmpl-upstream",
                    "object": "chat.completion.chunk",
                    "created": int(time.time()),
                    "model": "upstream-model",
                    "choices": [{"index": 0, "delta": {"role": "assistant", "content": word}, "finish_reason": None}],
                }
                yield self.response(word, chunk)
        except (asyncio.CancelledError, GeneratorExit):
            log("cancelled", text)
            raise


class Embeddings(MLModel):
    async def load(self):
        return True

    async def predict(self, request):
        rows = []
        words = texts(request.inputs[0])
        for word in words:
            numbers = [byte - 127.5 for byte in hashlib.sha256(word.encode()).digest()[:8]]
            length = math.sqrt(sum(number * number for number in numbers))
            rows += [number / length for number in numbers]
        output = ResponseOutput(
            name="embedding",
            datatype="FP64",
            shape=[len(words), 8],
            data=TensorData(root=rows),
            parameters=Parameters(content_type="np"),
        )
        return InferenceResponse(model_name=self.name, outputs=[output])


class Images(MLModel):
    async def load(self):
        return True

    async def predict(self, request):
        prompt = texts(request.inputs[0])[0]
        # A picture of one dot.
        dot = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
        whole = {"created": int(time.time()), "data": [{"b64_json": dot, "revised_prompt": prompt}]}
        outputs = [StringCodec.encode_output("output_all", [json.dumps(whole)])]
        return InferenceResponse(model_name=self.name, outputs=outputs)


class Echo(MLModel):
    """Gives back the elements it gets, as they are."""

    async def load(self):
        return True

    async def predict(self, request):
        outputs = [
            ResponseOutput(name=tensor.name, datatype=tensor.datatype, shape=tensor.shape, data=tensor.data)
            for tensor in request.inputs
        ]
        return InferenceResponse(model_name=self.name, model_version=self.version, outputs=outputs)
