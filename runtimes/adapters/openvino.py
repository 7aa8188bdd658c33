"""OpenVINO."""

from __future__ import annotations

import copy
from collections import Counter
from typing import Any

import numpy as np

from convert.artifact import Artifact
from runtimes.base import Effective, Options, Runtime, Session, TensorInfo, lowest_precision

# Without the hint OpenVINO computes an FP32 model in bf16 on processors that can (openvino#27795).
_HINTS = {"fp32": "f32"}
# Layers that only move or convert data say nothing about the arithmetic.
_NO_ARITHMETIC = {"Const", "Input", "Output", "Reorder", "Reshape", "Transpose", "Split", "Concatenation", "Broadcast"}


class _OpenVinoSession(Session):
    def __init__(self, artifact: Artifact, options: Options) -> None:
        import openvino as ov

        settings: dict[str, Any] = {
            "INFERENCE_PRECISION_HINT": _HINTS[options.precision],
            "PERFORMANCE_HINT": "LATENCY",
        }
        if options.device == "CPU":
            settings["INFERENCE_NUM_THREADS"] = options.thread_count()
        if options.streams:
            settings["NUM_STREAMS"] = options.streams
        if options.cache:
            settings["CACHE_DIR"] = options.cache
        self._compiled = ov.Core().compile_model(str(artifact.onnx), options.device, settings)
        self.inputs = tuple(_info(port) for port in self._compiled.inputs)
        self.outputs = tuple(_info(port) for port in self._compiled.outputs)
        self._request = self._compiled.create_infer_request()

    def _run(self, images: np.ndarray) -> np.ndarray:
        return self._request.infer(images, share_inputs=True)[0]

    def _run_all(self, images: np.ndarray) -> dict[str, np.ndarray]:
        found = self._request.infer(images, share_inputs=True)
        return {info.name: found[i] for i, info in enumerate(self.outputs)}

    def effective(self) -> Effective:
        layers: Counter[str] = Counter()
        for operation in self._compiled.get_runtime_model().get_ops():
            info = operation.get_rt_info()
            if "runtimePrecision" in info and info["layerType"].astype(str) not in _NO_ARITHMETIC:
                layers[info["runtimePrecision"].astype(str)] += 1
        devices = list(self._compiled.get_property("EXECUTION_DEVICES"))
        details = {
            "read_from": "compiled model",
            "layers_by_precision": dict(layers),
            "INFERENCE_PRECISION_HINT": self._compiled.get_property("INFERENCE_PRECISION_HINT").to_string(),
            "threads": self._property("INFERENCE_NUM_THREADS"),
            "streams": self._property("NUM_STREAMS"),
        }
        return Effective(lowest_precision(layers), "+".join(devices), details)

    def _property(self, name: str) -> int | None:
        return (
            int(self._compiled.get_property(name))
            if name in self._compiled.get_property("SUPPORTED_PROPERTIES")
            else None
        )

    def twin(self) -> Session:
        # A compiled model shares its streams among the requests that are in flight.
        other = copy.copy(self)
        other._request = self._compiled.create_infer_request()
        return other

    def close(self) -> None:
        del self._request, self._compiled


def _info(port: Any) -> TensorInfo:
    shape = tuple(-1 if dim.is_dynamic else dim.get_length() for dim in port.partial_shape)
    return TensorInfo(port.any_name, port.element_type.to_string(), shape)


def _devices() -> list[str]:
    import openvino as ov

    return list(ov.Core().available_devices)


OPENVINO = Runtime(
    name="openvino",
    package="openvino",
    distributions=("openvino",),
    precisions=tuple(_HINTS),
    devices=_devices,
    open_session=_OpenVinoSession,
    streams=True,
    intermediate=True,
    order=40,
)

RUNTIMES = (OPENVINO,)
