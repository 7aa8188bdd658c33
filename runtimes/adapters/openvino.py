"""OpenVINO."""

from __future__ import annotations

import copy
import threading
from collections import Counter
from typing import Any

import numpy as np

from convert.artifact import OPENVINO_FILE, Artifact
from convert.precision import table
from convert.precision.table import BF16, FP16, FP32, INT8
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
from runtimes.probe import instruction_set, neighbours
from runtimes.profiled.layers import LayerTime, ProfiledSession
from runtimes.records import arithmetic
from runtimes.records.arithmetic import Product
from runtimes.records.parts import Arithmetic

# Without the hint OpenVINO computes an FP32 model in bf16 on processors that can (openvino#27795).
HINTS = {FP32: "f32", FP16: "f16", BF16: "bf16"}
_PARTITIONER = "TBB_PARTITIONER"
# Layers that only move or convert data say nothing about the arithmetic.
_NO_ARITHMETIC = {
    "Broadcast", "Concatenation", "Const", "Convert", "FakeQuantize", "Input", "Output", "Reorder", "Reshape", "Split",
    "Transpose",
}  # fmt: skip
_MATRICES = {"FullyConnected", "Gemm", "MatMul"}
# Fused attention is one of these, with the names of what it was made of.
_FUSED, _ATTENTION = {"MHA", "ScaledDotProductAttention", "ScaledDotProductAttentionWithKVCache", "Subgraph"}, "MatMul"


class _OpenVinoSession(Session):
    _profiled = False

    def __init__(self, artifact: Artifact, options: Options) -> None:
        import openvino as ov

        self._isa, self._precision = OPENVINO.setting(options, "isa"), options.precision
        instruction_set.require(self._isa)
        self._core = core = ov.Core()
        able = list(core.get_property(options.device, "OPTIMIZATION_CAPABILITIES"))
        # A device that does not say so of itself computes in something else than the hint.
        if options.precision != FP32 and options.precision.upper() not in able:
            raise UnavailableError(f"{options.device} has no {options.precision} for OpenVINO, only {', '.join(able)}")
        settings: dict[str, Any] = {
            "INFERENCE_PRECISION_HINT": HINTS[_rest(options, able)],
            "PERFORMANCE_HINT": "LATENCY",
        }
        if options.device == "CPU":
            settings["INFERENCE_NUM_THREADS"] = options.thread_count()
        partitioner = _partitioner(options)
        if partitioner and _PARTITIONER in core.get_property(options.device, "SUPPORTED_PROPERTIES"):
            settings[_PARTITIONER] = partitioner
        if options.streams:
            settings["NUM_STREAMS"] = options.streams
        if self._profiled:
            settings["PERF_COUNT"] = True
        if options.cache:
            settings["CACHE_DIR"] = options.cache
        # FP16 and bf16 are OpenVINO's own switch on the FP32 model; the types of a lowered file only add conversions.
        self._file = artifact.onnx if options.precision == INT8 else artifact.fp32.onnx
        if artifact.form == "openvino":
            self._file = artifact.path / OPENVINO_FILE
        self._artifact, self._device, self._settings = artifact, options.device, settings
        self._static = OPENVINO.setting(options, "shapes") == "static"
        self._compiled_for: dict[int, Any] = {}
        self._lock = threading.Lock()
        model = core.read_model(str(self._file))
        self.inputs = tuple(_info(port) for port in model.inputs)
        self.outputs = tuple(_info(port) for port in model.outputs)
        self._requests: dict[int, Any] = {}
        self._last = self._request(next(iter(options.batches), 1), model)

    def _request(self, batch: int, model: Any = None) -> Any:
        """A request of what was compiled for a batch size, from `model` or the file: shapes known are time saved."""
        size = batch if self._static else 0
        if size not in self._requests:
            with self._lock:
                if size not in self._compiled_for:
                    self._compiled_for[size] = self._compile(size, model or self._core.read_model(str(self._file)))
            self._requests[size] = self._compiled_for[size].create_infer_request()
        self._last = self._requests[size]
        return self._last

    def _compile(self, batch: int, model: Any) -> Any:
        """model: as read; it becomes one of fixed shape where there is a batch size."""
        if batch:
            (port,) = model.inputs
            model.reshape([batch, *port.partial_shape[1:]])
        with instruction_set.kernels_of(self._isa):
            return self._core.compile_model(model, self._device, self._settings)

    def _run(self, images: np.ndarray) -> np.ndarray:
        logits: np.ndarray = self._request(len(images)).infer(images, share_inputs=True)[0]
        return logits

    def _run_all(self, images: np.ndarray) -> dict[str, np.ndarray]:
        found = self._request(len(images)).infer(images, share_inputs=True)
        return {info.name: found[i] for i, info in enumerate(self.outputs)}

    def effective(self) -> Effective:
        compiled = self._last.get_compiled_model()
        layers: Counter[str] = Counter()
        kernels: Counter[str] = Counter()
        products: list[Product] = []
        for operation in compiled.get_runtime_model().get_ops():
            info = operation.get_rt_info()
            if "runtimePrecision" in info and info["layerType"].astype(str) not in _NO_ARITHMETIC:
                layers[info["runtimePrecision"].astype(str)] += 1
                kernels[info["primitiveType"].astype(str)] += 1
                products += _product(operation, info)
        devices = list(compiled.get_property("EXECUTION_DEVICES"))
        details = {
            "read_from": "compiled model",
            "layers_by_precision": dict(layers),
            "INFERENCE_PRECISION_HINT": compiled.get_property("INFERENCE_PRECISION_HINT").to_string(),
            "input_shape": compiled.inputs[0].partial_shape.to_string(),
            "partitioner": _property(compiled, _PARTITIONER, str),
            "threads": _property(compiled, "INFERENCE_NUM_THREADS"),
            "streams": _property(compiled, "NUM_STREAMS"),
        }
        sums = self._sums_of_int8() if self._precision == INT8 and self._device == "CPU" else None
        details |= instruction_set.details(self._isa, kernels, self._precision, sums)
        dimension = compiled.inputs[0].partial_shape[0]
        if dimension.is_dynamic:
            ran = Arithmetic(
                reason="compiled for any batch, which leaves its shapes open; openvino.shapes=static tells"
            )
        else:
            ran = arithmetic.shares(products, self._artifact.macs(dimension.get_length()))
        return Effective(lowest_precision(layers), "+".join(devices), details, ran)

    def _sums_of_int8(self) -> str:
        probe = self._core.read_model(neighbours.model(), b"")
        settings = {name: value for name, value in self._settings.items() if name != "CACHE_DIR"}
        return neighbours.read(self._core.compile_model(probe, self._device, settings)(neighbours.INPUT)[0])

    def twin(self) -> Session:
        # A compiled model shares its streams among the requests that are in flight.
        other = copy.copy(self)
        other._requests = {}
        return other

    def close(self) -> None:
        self._requests.clear()
        self._compiled_for.clear()
        del self._last


class _ProfiledOpenVinoSession(_OpenVinoSession, ProfiledSession):
    _profiled = True

    def __init__(self, artifact: Artifact, options: Options) -> None:
        super().__init__(artifact, options)
        self._ran = self._not_counted = 0
        self._before: dict[str, float] = {}

    def _run(self, images: np.ndarray) -> np.ndarray:
        self._ran += 1
        return super()._run(images)

    def begin(self) -> None:
        self._not_counted = self._ran
        self._before = {name: ms for name, (_, ms) in self._sums().items()}

    def _sums(self) -> dict[str, tuple[str, float]]:
        """Layer -> its kind, and milliseconds of all runs so far. OpenVINO tells the mean over these as that of one."""
        found: dict[str, tuple[str, float]] = {}
        for one in self._last.profiling_info:
            if one.status == one.Status.EXECUTED:
                ms = 1e3 * one.real_time.total_seconds() * self._ran
                found[one.node_name] = one.node_type, found.get(one.node_name, ("", 0.0))[1] + ms
        return found

    def runs(self) -> list[list[LayerTime]]:
        operations = self._last.get_compiled_model().get_runtime_model().get_ops()
        known = {operation.get_friendly_name(): operation for operation in operations}
        count = self._ran - self._not_counted
        return [
            [
                _layer(name, kind, max(0.0, ms - self._before.get(name, 0.0)) / count, known.get(name))
                for name, (kind, ms) in self._sums().items()
            ]
        ]


def _layer(name: str, kind: str, ms: float, operation: Any) -> LayerTime:
    """operation: that of the compiled model, None for one that only runs."""
    if operation is None:
        return LayerTime(name, kind, ms)
    info = operation.get_rt_info()
    made_of = info["originalLayersNames"].astype(str)
    if kind == "Subgraph" and _ATTENTION in made_of:
        kind = f"{kind} with {_ATTENTION}"
    names = tuple(one for one in made_of.split(",") if one)
    feeds = tuple(
        port.get_node().get_friendly_name() for output in operation.outputs() for port in output.get_target_inputs()
    )
    precision = table.lowest([info["runtimePrecision"].astype(str)]) or ""
    # OpenVINO calls an operation by its node's name, or by the tensor's where that is an output.
    return LayerTime(name, kind, ms, precision, names, names, feeds)


def _product(operation: Any, info: Any) -> list[Product]:
    """A layer of the compiled model where it multiplies. Of what was fused the sizes are not told."""
    kind, precision = info["layerType"].astype(str), table.lowest([info["runtimePrecision"].astype(str)])
    names = info["originalLayersNames"].astype(str)
    fused = kind in _FUSED and (kind != "Subgraph" or _ATTENTION in names)
    if precision is None or not (fused or kind in _MATRICES or kind == "Convolution"):
        return []
    first, *others = (_shape(port) for port in operation.inputs())
    output, macs = _shape(operation.outputs()[0]), None
    if first and others and others[0] and output and not fused:
        if kind == "Convolution":
            macs = arithmetic.of_convolution(output, others[0])
        else:
            macs = arithmetic.of_product(first, output, others[0])
    name = next((one for one in names.split(",") if _ATTENTION in one), names.split(",")[0])
    return [Product(name or operation.get_friendly_name(), precision, macs)]


def _shape(port: Any) -> tuple[int, ...]:
    """Nothing where it is not fixed."""
    found = port.get_partial_shape()
    return () if found.is_dynamic else tuple(found.to_shape())


def _partitioner(options: Options) -> str:
    """How layers are cut up for the threads; empty for OpenVINO's own choice."""
    asked = OPENVINO.setting(options, "partitioner")
    if asked == "fastest":
        # Pieces that threads take from one another were a tenth faster in bf16 and int8 on two cores, and not in FP32.
        return "" if options.precision == FP32 else "AUTO"
    return "" if asked == "default" else asked.upper()


def _property(compiled: Any, name: str, kind: type = int) -> Any:
    return kind(compiled.get_property(name)) if name in compiled.get_property("SUPPORTED_PROPERTIES") else None


def _rest(options: Options, able: list[str]) -> str:
    """The precision of what is not int8, and for the other precisions that of the whole model."""
    if options.precision != INT8:
        return options.precision
    rest = OPENVINO.setting(options, "int8_rest")
    if rest == "auto":
        return BF16 if BF16.upper() in able else FP32
    if rest == BF16 and BF16.upper() not in able:
        raise UnavailableError(f"openvino.int8_rest=bf16: {options.device} has no bf16, only {', '.join(able)}")
    return rest


def _info(port: Any) -> TensorInfo:
    shape = tuple(-1 if dim.is_dynamic else dim.get_length() for dim in port.partial_shape)
    return TensorInfo(port.any_name, port.element_type.to_string(), shape)


def _devices() -> list[str]:
    import openvino as ov

    return list(ov.Core().available_devices)


def _environment(options: Options) -> dict[str, str]:
    return instruction_set.environment(OPENVINO.setting(options, "isa"))


def _lacks() -> dict[str, str]:
    """Which of the hints no device has arithmetic for; int8's operators run everywhere."""
    import openvino as ov

    core = ov.Core()
    devices = list(core.available_devices)
    able = {name for device in devices for name in core.get_property(device, "OPTIMIZATION_CAPABILITIES")}
    why = f"OpenVINO finds no arithmetic for it on {', '.join(devices)}"
    return {name: why for name in HINTS if name.upper() not in able}


OPENVINO = Runtime(
    name="openvino",
    package="openvino",
    distributions=("openvino",),
    precisions=(*HINTS, INT8),
    devices=_devices,
    lacks=_lacks,
    open_session=_OpenVinoSession,
    profiled=_ProfiledOpenVinoSession,
    settings={
        "int8_rest": Setting(
            default="auto",
            help="int8: what the other layers compute in; auto: bf16 where the device has it, as OpenVINO itself does",
            values=("auto", FP32, BF16),
        ),
        "partitioner": Setting(
            default="fastest",
            help="how TBB shares out a layer: static, auto, OpenVINO's default; fastest: auto in bf16 and int8",
            values=("fastest", "default", "static", "auto"),
        ),
        "isa": instruction_set.SETTING,
        "shapes": Setting(
            default="static",
            help="static: compiled for each batch size that comes, the first one while loading; dynamic: once for all",
            values=("static", "dynamic"),
        ),
    },
    environment=_environment,
    streams=True,
    loads=("openvino", "cpp"),
    intermediate=True,
    writes_cache="where given",
    footprint=Footprint(0.7, 5.5, 125 << 20, 2.1, 1.5, 42e9, source=MEASURED),
    order=40,
    colour=2,
)

RUNTIMES = (OPENVINO,)
