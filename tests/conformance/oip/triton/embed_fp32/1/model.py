"""Vectors of unit length, 384 numbers that only the text decides."""

import hashlib

import numpy as np
import triton_python_backend_utils as pb


def vector(text):
    seed = int.from_bytes(hashlib.sha256(text).digest()[:8], "little")
    values = np.random.default_rng(seed).standard_normal(384)
    return values / np.linalg.norm(values)


class TritonPythonModel:
    def execute(self, requests):
        answers = []
        for request in requests:
            texts = pb.get_input_tensor_by_name(request, "text").as_numpy().reshape(-1)
            vectors = np.array([vector(text) for text in texts], dtype=np.float32)
            answers.append(pb.InferenceResponse(output_tensors=[pb.Tensor("embedding", vectors)]))
        return answers
