"""Speaks as Triton's vLLM backend does: says again what it was told, word by word.

In the prompt, `boom` fails before the first word and `midfail` at the third; `slow` takes its time with each, and a
word `mark-…` is written to the log when the request is cancelled, and when it began.
"""

import json
import os
import re
import threading
import time

import numpy as np
import triton_python_backend_utils as pb

FINAL = pb.TRITONSERVER_RESPONSE_COMPLETE_FINAL


def log(what, prompt):
    for mark in re.findall(r"mark-\w+", prompt):
        with open(os.environ["OIP_TEST_LOG"], "a") as file:
            file.write(f"{what} {mark}\n")


class TritonPythonModel:
    def execute(self, requests):
        for request in requests:
            threading.Thread(target=self.answer, args=(request, request.get_response_sender())).start()

    def answer(self, request, sender):
        def given(name):
            tensor = pb.get_input_tensor_by_name(request, name)
            return None if tensor is None else tensor.as_numpy().flatten()[0]

        def texts(name, values):
            return pb.Tensor(name, np.array([str(value).encode() for value in values], dtype=np.object_))

        def response(text, tokens, finish):
            outputs = [texts("text_output", [text])]
            if given("return_finish_reason"):
                outputs.append(texts("finish_reason", [finish]))
            if given("return_num_input_tokens"):
                outputs.append(pb.Tensor("num_input_tokens", np.array([len(prompt.split())], dtype=np.uint32)))
            if given("return_num_output_tokens"):
                outputs.append(pb.Tensor("num_output_tokens", np.array([tokens], dtype=np.uint32)))
            return pb.InferenceResponse(output_tensors=outputs)

        try:
            prompt = given("text_input").decode()
            stream = bool(given("stream") or False)
            sampling = given("sampling_parameters")
            params = json.loads(sampling.decode() if sampling is not None else request.parameters() or "{}")
            exclude = given("exclude_input_in_output")
            if exclude is None:
                exclude = stream
            elif stream and not exclude:
                raise ValueError("When streaming, `exclude_input_in_output` = False is not allowed.")
            if "boom" in prompt:
                raise ValueError("engine dead")
            log("began", prompt)
            said = ["Echo", ":", *(f" {word}" for word in prompt.split())]
            most = int(params.get("max_tokens", 16))
            finish = "length" if len(said) > most else "stop"
            said = said[:most]
            pause = 0.2 if "slow" in prompt else 0.002
            if not stream:
                for _ in range(40 if "slow" in prompt else 0):
                    time.sleep(0.05)
                    if sender.is_cancelled():
                        log("cancelled", prompt)
                        break
                text = "".join(said) if exclude else prompt + "".join(said)
                sender.send(response(text, len(said), finish), flags=FINAL)
                return
            for at, word in enumerate(said):
                time.sleep(pause)
                if sender.is_cancelled():
                    log("cancelled", prompt)
                    error = pb.TritonError("Request was cancelled", pb.TritonError.CANCELLED)
                    sender.send(pb.InferenceResponse(error=error), flags=FINAL)
                    return
                if "midfail" in prompt and at == 2:
                    raise ValueError("failed mid stream")
                last = at == len(said) - 1
                sender.send(response(word, 1, finish if last else None), flags=FINAL if last else 0)
        except Exception as error:
            failed = pb.InferenceResponse(
                output_tensors=[texts("text_output", ["N/A"])],
                error=pb.TritonError(f"Error generating stream: {error}"),
            )
            sender.send(failed, flags=FINAL)
