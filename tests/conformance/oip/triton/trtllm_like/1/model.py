"""Speaks as TensorRT-LLM's ensemble does, and ends its streams with an answer that is empty."""

import threading

import numpy as np
import triton_python_backend_utils as pb

FINAL = pb.TRITONSERVER_RESPONSE_COMPLETE_FINAL


class TritonPythonModel:
    def execute(self, requests):
        for request in requests:
            threading.Thread(target=self.answer, args=(request, request.get_response_sender())).start()

    def answer(self, request, sender):
        def given(name):
            tensor = pb.get_input_tensor_by_name(request, name)
            return [] if tensor is None else tensor.as_numpy().flatten()

        def response(text, tokens):
            outputs = [
                pb.Tensor("text_output", np.array([[text.encode()]], dtype=np.object_)),
                pb.Tensor("cum_log_probs", np.array([[0.0]], dtype=np.float32)),
            ]
            if any(given("return_num_input_tokens")):
                outputs.append(pb.Tensor("num_input_tokens", np.array([[len(prompt.split())]], dtype=np.int32)))
            if any(given("return_num_output_tokens")):
                outputs.append(pb.Tensor("num_output_tokens", np.array([[tokens]], dtype=np.int32)))
            return pb.InferenceResponse(output_tensors=outputs)

        prompt = given("text_input")[0].decode()
        said = ["Echo:", *(f" {word}" for word in prompt.split())][: int(given("max_tokens")[0])]
        for stop in given("stop_words"):
            said = said[: next((at for at, word in enumerate(said) if stop and stop.decode() in word), len(said))]
        if any(given("stream")):
            for at, word in enumerate(said):
                sender.send(response(word, at + 1))
            sender.send(flags=FINAL)
        else:
            sender.send(response("".join(said), len(said)), flags=FINAL)
