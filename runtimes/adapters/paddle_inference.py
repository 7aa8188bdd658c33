"""Paddle Inference: with oneDNN on the CPU as one deploys it, with plain kernels as the reference, or on a GPU."""

from __future__ import annotations

import functools
import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from convert.artifact import Artifact
from convert.common.disk import scratch
from convert.common.disk.files import writing
from convert.precision.table import BF16, FP32
from runtimes.base import (
    MEASURED,
    Effective,
    Footprint,
    Options,
    Runtime,
    Session,
    Setting,
    TensorInfo,
    UnavailableError,
    lowest_precision,
)
from runtimes.gpu.precision import TF32_OVERRIDE
from runtimes.profiled.layers import LayerTime, ProfiledSession
from runtimes.records.parts import Arithmetic

# oneDNN computes FP32 primitives in a lower precision when this is set (oneDNN: "Primitive attributes: fpmath mode").
_FPMATH = "ONEDNN_DEFAULT_FPMATH_MODE"
# Operators that say where the work is done and in what; shapes are computed on the CPU wherever the rest runs. In bf16
# and int8 oneDNN's operators stand between quantize and dequantize; in FP32 there is neither.
_ARITHMETIC = ("conv", "matmul", "linear", "fc", "gemm", "norm", "softmax", "gelu", "attention", "quantize")
_RUN = "vitbench run"  # what a run is called in a profile
_FIRST_GPU_MEMORY_MB = 256  # of Paddle's memory pool, which grows


class _PaddleSession(Session):
    def __init__(self, artifact: Artifact, options: Options) -> None:
        if os.environ.get(_FPMATH, "STRICT").upper() != "STRICT":
            raise UnavailableError(f"{_FPMATH}={os.environ[_FPMATH]} is set: FP32 would not be FP32; unset it")
        if options.precision == BF16 and (reason := _no_bf16(options)):
            raise UnavailableError(reason)
        program, params = artifact.base.paddle_program, artifact.base.paddle_params
        for file in (program, params):
            # Paddle itself runs without its parameters, and answers NaN.
            if not file.is_file():
                raise UnavailableError(f"{file} is missing; convert the model again")
        self._config, self._predictor = predictor(program, params, options)
        image = (3, *artifact.image_shape)
        self._example = (artifact.batch or 1, *image)
        (input_name,), (output_name,) = self._predictor.get_input_names(), self._predictor.get_output_names()
        self._input = self._predictor.get_input_handle(input_name)
        self._output = self._predictor.get_output_handle(output_name)
        self.inputs = (TensorInfo(input_name, self._input.type().name, (artifact.batch or -1, *image)),)
        self.outputs = (TensorInfo(output_name, self._output.type().name, (artifact.batch or -1, artifact.classes)),)

    def _run(self, images: np.ndarray) -> np.ndarray:
        self._input.copy_from_cpu(images)
        self._predictor.run()
        logits: np.ndarray = self._output.copy_to_cpu()
        return logits

    def effective(self) -> Effective:
        operators, types, places = self._heard
        details = {
            "read_from": "operators of one run",
            "outputs_by_type": dict(types),
            "operators_by_library": dict(Counter(name.split(".")[0] for name in operators.elements())),
            "operators": dict(operators),  # what the passes made of the program
            "outputs_by_place": dict(places),
            "onednn": self._config.mkldnn_enabled(),
            "threads": self._config.cpu_math_library_num_threads(),
        }
        ran = Arithmetic(reason="Paddle tells of its operators what they give, and not what they read")
        return Effective(lowest_precision(types), _device(places), details, ran)

    @functools.cached_property
    def _heard(self) -> tuple[Counter[str], Counter[str], Counter[str]]:
        """How often each operator ran in one more run; as what type, and where, those that compute left their outputs.

        Told by a hook, which stays: nothing is timed after `effective`. It is on the session's own predictor, since a
        clone lays out all weights anew for its one run.
        """
        listening = True
        operators: Counter[str] = Counter()
        types: Counter[str] = Counter()
        places: Counter[str] = Counter()

        def hear(operator: str, name: str, tensor: Any) -> None:
            if not listening:
                return
            operators.update([operator.split(":")[0]])
            if any(word in operator for word in _ARITHMETIC):
                types.update([str(tensor.dtype).removeprefix("paddle.")])
                places.update([str(tensor.place)])

        self._predictor.register_output_hook(hear)
        self._input.copy_from_cpu(np.zeros(self._example, np.float32))
        self._predictor.run()
        listening = False
        return operators, types, places

    def close(self) -> None:
        del self._input, self._output, self._predictor


class _ProfiledPaddleSession(_PaddleSession, ProfiledSession):
    def __init__(self, artifact: Artifact, options: Options) -> None:
        super().__init__(artifact, options)
        from paddle import profiler

        self._mark = profiler.RecordEvent
        # Told nothing it writes into profiler_log/ of the current folder when it stops.
        self._profiler = profiler.Profiler(targets=[profiler.ProfilerTarget.CPU], on_trace_ready=lambda finished: None)
        self._profiler.start()

    def _run(self, images: np.ndarray) -> np.ndarray:
        with self._mark(_RUN):
            return super()._run(images)

    def runs(self) -> list[list[LayerTime]]:
        """Paddle's operators have no names of their own, only their order."""
        self._profiler.stop()
        with scratch.folder() as folder, writing(folder):
            self._profiler.export(str(folder / "profile.json"), format="json")
            events = json.loads((folder / "profile.json").read_text(encoding="utf-8"))["traceEvents"]
        events = sorted((one for one in events if one.get("ph") == "X"), key=lambda one: float(one["ts"]))
        found: list[list[LayerTime]] = []
        for event in events:
            name = event["name"].partition("[")[0]  # behind it stands how long it took
            if name == _RUN:
                found.append([])
            elif found and event.get("cat") == "Operator":
                found[-1].append(LayerTime(name, name, event["dur"] / 1e3))
        return found


def predictor(program: Path, params: Path, options: Options) -> tuple[Any, Any]:
    """Paddle's configuration for some options, and its predictor of a program."""
    import paddle.inference as paddle

    config = paddle.Config(str(program), str(params))
    config.disable_glog_info()
    config.set_cpu_math_library_num_threads(options.thread_count())
    if options.device.startswith("GPU"):
        config.enable_use_gpu(_FIRST_GPU_MEMORY_MB, int(options.device.partition(".")[2] or 0))
    else:
        config.disable_gpu()
    if PADDLE.setting(options, "kernels") == "plain":
        config.disable_mkldnn()
        config.switch_ir_optim(False)
    elif not config.use_gpu():
        config.enable_mkldnn()
        if options.precision == BF16:
            config.enable_mkldnn_bfloat16()
    return config, paddle.create_predictor(config)


def _no_bf16(options: Options) -> str:
    """Why Paddle would not compute in bf16; empty where it does."""
    from paddle.base import core

    if options.device.startswith("GPU") or PADDLE.setting(options, "kernels") == "plain":
        return "Paddle Inference has bf16 with oneDNN alone: on the CPU, with paddle.kernels=default"
    if not core.supports_bfloat16_fast_performance():
        return "this processor has no bf16: oneDNN would only convert to it and back"
    return ""


def _lacks() -> dict[str, str]:
    reason = _no_bf16(Options(BF16))
    return {BF16: reason} if reason else {}


def _device(places: Counter[str]) -> str:
    """CPU, GPU.0 or a mixture, from places as Paddle writes them: Place(cpu), Place(gpu:0)."""
    devices = {place[len("Place(") : -1].upper().replace(":", ".") for place in places}
    return "+".join(sorted(devices))


def _devices() -> list[str]:
    import paddle

    count = paddle.device.cuda.device_count() if paddle.device.is_compiled_with_cuda() else 0
    return ["CPU", *(["GPU"] if count == 1 else [f"GPU.{i}" for i in range(count)])]


def _environment(options: Options) -> dict[str, str]:
    # Else cuDNN or cuBLAS compute FP32 in TF32, which of them depends on the version of Paddle (Paddle#75476, #77781).
    return {TF32_OVERRIDE: "0"} if options.device.startswith("GPU") else {}


PADDLE = Runtime(
    name="paddle",
    package="paddle.inference",
    distributions=("paddlepaddle-gpu", "paddlepaddle"),
    precisions=(FP32, BF16),  # bf16 is oneDNN's own, on the FP32 program
    devices=_devices,
    lacks=_lacks,
    open_session=_PaddleSession,
    profiled=_ProfiledPaddleSession,
    settings={
        "kernels": Setting(
            "default", "plain: without oneDNN and graph optimisations, as the model was trained", ("default", "plain")
        )
    },
    environment=_environment,
    reference=True,
    reads="paddle",
    loads=("cpp",),
    holds_lock=True,
    footprint=Footprint(1.5, 5.0, 350 << 20, 2.1, 5.0, 38e9, source=MEASURED),
    order=0,
    colour=0,  # grey
)

RUNTIMES = (PADDLE,)
