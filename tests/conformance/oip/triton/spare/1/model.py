"""Says what it is told. It is not loaded from the beginning, for tests that load and unload a model."""

import triton_python_backend_utils as pb


class TritonPythonModel:
    def execute(self, requests):
        texts = [pb.get_input_tensor_by_name(request, "text").as_numpy() for request in requests]
        return [pb.InferenceResponse(output_tensors=[pb.Tensor("text_output", text)]) for text in texts]
