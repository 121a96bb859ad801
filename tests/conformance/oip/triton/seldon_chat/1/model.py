"""The tensors of Seldon's chat models on Triton; answers once, with the last message and the parameters it got."""

import numpy as np
import triton_python_backend_utils as pb


def texts(name, *values):
    return pb.Tensor(name, np.array(values, dtype=np.object_))


class TritonPythonModel:
    def execute(self, requests):
        answers = []
        for request in requests:
            content = pb.get_input_tensor_by_name(request, "content").as_numpy()
            if b"boom" in content[-1]:
                answers.append(pb.InferenceResponse(error=pb.TritonError("model exploded on purpose")))
                continue
            outputs = [
                texts("role", b"assistant"),
                texts("content", b"echo: " + content[-1]),
                texts("params", (request.parameters() or "{}").encode()),
            ]
            answers.append(pb.InferenceResponse(output_tensors=outputs))
        return answers
