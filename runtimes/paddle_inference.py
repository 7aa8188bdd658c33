"""Paddle Inference on the CPU: with oneDNN as one deploys it, or with Paddle's plain kernels as the reference."""

from __future__ import annotations

import os
from collections import Counter

import numpy as np

from convert.artifact import Artifact
from runtimes.base import Effective, Options, Runtime, Session, TensorInfo, UnavailableError

# oneDNN computes FP32 primitives in a lower precision when this is set (oneDNN: "Primitive attributes: fpmath mode").
_FPMATH = "ONEDNN_DEFAULT_FPMATH_MODE"


class _PaddleSession(Session):
    def __init__(self, artifact: Artifact, options: Options) -> None:
        import paddle.inference as paddle

        if os.environ.get(_FPMATH, "STRICT").upper() != "STRICT":
            raise UnavailableError(f"{_FPMATH}={os.environ[_FPMATH]} is set: FP32 would not be FP32; unset it")
        for file in (artifact.paddle_program, artifact.paddle_params):
            # Paddle itself runs without its parameters, and answers NaN.
            if not file.is_file():
                raise UnavailableError(f"{file} is missing; convert the model again")
        config = paddle.Config(str(artifact.paddle_program), str(artifact.paddle_params))
        config.disable_gpu()
        config.disable_glog_info()
        config.set_cpu_math_library_num_threads(options.thread_count())
        if options.extra.get("kernels", "onednn") == "plain":
            config.disable_mkldnn()
            config.switch_ir_optim(False)
        else:
            config.enable_mkldnn()
        self._config, self._size = config, artifact.image_size
        self._predictor = paddle.create_predictor(config)
        (input_name,), (output_name,) = self._predictor.get_input_names(), self._predictor.get_output_names()
        self._input = self._predictor.get_input_handle(input_name)
        self._output = self._predictor.get_output_handle(output_name)
        self.inputs = (TensorInfo(input_name, self._input.type().name, (-1, 3, self._size, self._size)),)
        self.outputs = (TensorInfo(output_name, self._output.type().name, (-1, artifact.classes)),)

    def _run(self, images: np.ndarray) -> np.ndarray:
        self._input.copy_from_cpu(images)
        self._predictor.run()
        return self._output.copy_to_cpu()

    def effective(self) -> Effective:
        # A hook is called with each operator that runs; on a clone, so that the session itself stays without one.
        operators: Counter[str] = Counter()
        clone = self._predictor.clone()
        clone.register_output_hook(lambda operator, name, tensor: operators.update([operator.split(":")[0]]))
        clone.get_input_handle(self.inputs[0].name).copy_from_cpu(np.zeros((1, 3, self._size, self._size), np.float32))
        clone.run()
        # In bf16 and int8 oneDNN's operators stand between quantize and dequantize; in FP32 there is neither.
        lower = [name for name in operators if "quantize" in name]
        details = {
            "read_from": "operators of one run",
            "operators_by_library": dict(Counter(name.split(".")[0] for name in operators.elements())),
            "lower_precision_operators": lower,
            "onednn": self._config.mkldnn_enabled(),
            "threads": self._config.cpu_math_library_num_threads(),
        }
        return Effective("bf16 or int8" if lower else "fp32", "CPU", details)

    def close(self) -> None:
        del self._input, self._output, self._predictor


PADDLE = Runtime(
    name="paddle",
    package="paddle.inference",
    distribution="paddlepaddle",
    precisions=("fp32",),
    devices=lambda: ["CPU"],
    open_session=_PaddleSession,
    options=("kernels",),
)
