"""Gives back what it gets, of every datatype: `in_FP32` as `out_FP32`."""

import triton_python_backend_utils as pb


class TritonPythonModel:
    def execute(self, requests):
        answers = []
        for request in requests:
            outputs = []
            for tensor in request.inputs():
                name = tensor.name().replace("in_", "out_")
                if name.endswith("BF16"):
                    outputs.append(pb.Tensor.from_dlpack(name, tensor.to_dlpack()))
                else:
                    outputs.append(pb.Tensor(name, tensor.as_numpy()))
            answers.append(pb.InferenceResponse(output_tensors=outputs))
        return answers
