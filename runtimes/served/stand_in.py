"""A backend for Triton that runs `model.onnx` by ONNX Runtime in Python, where that in C++ is not installed.

It is copied to `backends/onnxruntime/model.py` and imported by Triton alone, in an environment of its own. A model
repository that is made for the ONNX Runtime backend loads with it as it is.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from typing import Any

# The interpreter inside Triton's stub is an isolated one and passes the variable over. Before NumPy: the stub of
# nvidia-pytriton 0.7.0 reads arrays of NumPy 2, which a system may have, as empty ones.
sys.path[:0] = os.environ.get("PYTHONPATH", "").split(os.pathsep)

import numpy as np  # noqa: E402


class TritonPythonModel:
    """Triton finds it by this name and calls its methods, as its Python backend asks for."""

    def initialize(self, args: dict[str, str]) -> None:
        """Load the model. args: as Triton gives them; `model_repository` is the folder of the model."""
        import onnxruntime

        config = json.loads(args["model_config"])
        options = onnxruntime.SessionOptions()
        threads = config["parameters"].get("intra_op_thread_count", {}).get("string_value", "0")
        options.intra_op_num_threads = int(threads)
        file = os.path.join(args["model_repository"], args["model_version"], "model.onnx")  # noqa: PTH118 - theirs
        self._session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
        self._input, self._output = config["input"][0]["name"], config["output"][0]["name"]
        self._triton = importlib.import_module("triton_python_backend_utils")

    def execute(self, requests: list[Any]) -> list[Any]:
        """One inference of the images of all requests together, and the answer to each."""
        triton = self._triton
        images = [triton.get_input_tensor_by_name(request, self._input).as_numpy() for request in requests]
        logits = self._session.run([self._output], {self._input: np.concatenate(images)})[0]
        ends = np.cumsum([len(one) for one in images])[:-1]
        return [
            triton.InferenceResponse([triton.Tensor(self._output, np.ascontiguousarray(rows))])
            for rows in np.split(logits, ends)
        ]
