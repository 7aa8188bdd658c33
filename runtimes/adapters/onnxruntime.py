"""ONNX Runtime on its CPU, CUDA and TensorRT providers."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from functools import partial

import numpy as np

from convert.artifact import Artifact
from convert.precision import table
from convert.precision.portability import PORTABLE
from convert.precision.table import BF16, FP16, FP32, INT8, TF32
from runtimes.base import MEASURED, Effective, Footprint, Options, Runtime, Session, lowest_precision
from runtimes.gpu import cuda
from runtimes.gpu.precision import TF32_OVERRIDE, tf32_forbidden
from runtimes.ort import libraries as ort_libraries
from runtimes.ort import session as ort_session
from runtimes.ort import tensorrt as ort_tensorrt
from runtimes.ort.gpu import GpuSession
from runtimes.ort.session import CPU, CUDA, TENSORRT, Node, OrtSession, is_on
from runtimes.profiled.layers import LayerTime, ProfiledSession
from runtimes.records import arithmetic
from runtimes.tensorrt import engine as tensorrt_engine

# What ONNX Runtime calls a node of its own when the plain name is taken, and one that it has laid out in its own way,
# which it calls by the tensor that it writes.
_NUMBERED, _LAID_OUT = re.compile(r".*_token_\d+"), "_nchwc"


class _CpuSession(Session):
    def __init__(self, artifact: Artifact, options: Options) -> None:
        saturation = artifact.manifest.saturation
        self._portable = saturation is not None and saturation.result == PORTABLE
        int8 = options.precision == INT8
        self._ort = OrtSession(artifact.onnx, CPU, options.thread_count(), int8=int8, portable=self._portable)
        self.inputs, self.outputs = self._ort.inputs, self._ort.outputs
        self._names = [self.outputs[0].name]
        self._input = self.inputs[0].name
        self._precision = options.precision
        self._artifact, self._images = artifact, 0  # of the first run, which the profile is of

    def _run(self, images: np.ndarray) -> np.ndarray:
        logits, self._images = self._later_run(images), len(images)
        self._ort.end_first_run()
        self._run = self._later_run  # type: ignore[method-assign]
        return logits

    def _later_run(self, images: np.ndarray) -> np.ndarray:
        logits: np.ndarray = self._ort.session.run(self._names, {self._input: images})[0]
        return logits

    def _run_all(self, images: np.ndarray) -> dict[str, np.ndarray]:
        if not self._ort.ran:
            self._images = len(images)
        return self._ort.run_all({self._input: images})

    def effective(self) -> Effective:
        nodes = self._ort.nodes()
        device, where = ort_session.placement(nodes, CPU)
        types = ort_session.types_computed(nodes)
        details = {"read_from": ort_session.PROFILE, **where, "types": types, "threads": self._ort.threads()}
        if self._precision == INT8:
            details["int8_sums"] = ort_session.sums_of_int8(self._portable)
        ran = arithmetic.shares(ort_session.products(nodes), self._artifact.macs(self._images))
        return Effective(lowest_precision(types), device, details, ran)

    def close(self) -> None:
        self._ort.close()


class _ProfiledCpuSession(_CpuSession, ProfiledSession):
    def _run(self, images: np.ndarray) -> np.ndarray:
        self._images = len(images)
        return self._later_run(images)  # the profile goes on

    def runs(self) -> list[list[LayerTime]]:
        self._ort.end_first_run()
        return [[_layer(node, ms) for node, ms in run] for run in self._ort.runs()]


def _layer(node: Node, ms: float) -> LayerTime:
    precision = "" if node.is_of_shapes else table.lowest(node.reads) or ""
    if node.name.endswith(_LAID_OUT):
        return LayerTime(node.name, node.operator, ms, precision, tensors=(node.name.removesuffix(_LAID_OUT),))
    names = () if _NUMBERED.fullmatch(node.name) else (node.name,)
    return LayerTime(node.name, node.operator, ms, precision, names)


class _CudaSession(GpuSession):
    def __init__(self, artifact: Artifact, options: Options) -> None:
        super().__init__(CUDA, artifact, options, ORT_CUDA.setting(options, "cuda_graph") == "on")

    def _open(self, batch: int | None) -> OrtSession:
        tf32, graph = self._options.precision == TF32, batch is not None
        return self._start({"use_tf32": str(int(tf32)), "enable_cuda_graph": str(int(graph))}, batch)

    def _types(self, nodes: list[Node], options: Mapping[str, str]) -> tuple[str, Mapping[str, int]]:
        return ort_session.PROFILE, ort_session.types_computed(nodes)

    def _may_use_tf32(self, options: Mapping[str, str]) -> bool:
        return is_on({"use_tf32": "1", **options}, "use_tf32") and not tf32_forbidden()  # on by default


class _TensorRtProviderSession(GpuSession):
    def __init__(self, artifact: Artifact, options: Options) -> None:
        # One range: its provider has one profile, and tunes for the largest batch.
        self._wanted = tensorrt_engine.engine_config(ORT_TENSORRT, options, dynamic=True)
        super().__init__(TENSORRT, artifact, options, ORT_TENSORRT.setting(options, "cuda_graph") == "on")

    def _check_batch(self, batch: int) -> None:
        self._wanted.profile_of(batch)

    def _open(self, batch: int | None) -> OrtSession:
        wanted = self._wanted
        if batch is not None:
            wanted = dataclasses.replace(wanted, batches=(batch,), dynamic=False)
        artifact, options = self._artifact, self._options
        return ort_tensorrt.open_cached(wanted, artifact, options, self._gpu, lambda found: self._start(found, batch))

    def _types(self, nodes: list[Node], options: Mapping[str, str]) -> tuple[str, Mapping[str, int]]:
        types = ort_tensorrt.types(self._artifact, options)
        return "profile of the first run; types of the strongly typed network", types

    def _may_use_tf32(self, options: Mapping[str, str]) -> bool:
        return not tf32_forbidden()


def _without_tf32(options: Options) -> dict[str, str]:
    # The TensorRT provider has no option for it, and the libraries read the variable once, when they are loaded.
    return {} if options.precision == TF32 else {TF32_OVERRIDE: "0"}


def _devices(provider: str) -> list[str]:
    ort_libraries.require_provider(provider)
    cuda.require_driver()
    ort_libraries.require_libraries(provider)
    return cuda.devices()


ORT_CPU = Runtime(
    name="ort-cpu",
    package="onnxruntime",
    distributions=("onnxruntime", "onnxruntime-gpu"),
    precisions=(FP32, INT8),  # its FP16 on x86 is FP32 between casts, and it has no bf16
    devices=lambda: ["CPU"],
    open_session=_CpuSession,
    profiled=_ProfiledCpuSession,
    loads=("cpp",),
    intermediate=True,
    footprint=Footprint(0.5, 3.5, 75 << 20, 1.5, 2.0, 38e9, source=MEASURED),
    order=10,
    colour=1,
)

ORT_CUDA = Runtime(
    name="ort-cuda",
    package="onnxruntime",
    distributions=("onnxruntime-gpu",),
    precisions=(FP32, TF32, FP16, BF16, INT8),
    devices=partial(_devices, CUDA),
    open_session=_CudaSession,
    profiled="its profile has the times in which kernels are launched, not those in which the GPU computes",
    settings={"cuda_graph": tensorrt_engine.SETTINGS["cuda_graph"]},
    default_device="GPU",
    intermediate=True,
    order=12,
    colour=4,
)

ORT_TENSORRT = Runtime(
    name="ort-tensorrt",
    package="onnxruntime",
    distributions=("onnxruntime-gpu",),
    precisions=(FP32, TF32, FP16, BF16, INT8),
    devices=partial(_devices, TENSORRT),
    open_session=_TensorRtProviderSession,
    profiled="in its profile the whole engine is one node",
    settings=tensorrt_engine.SETTINGS,
    default_device="GPU",
    intermediate=True,
    environment=_without_tf32,
    writes_cache="always",
    order=14,
    colour=5,
)

RUNTIMES = (ORT_CPU, ORT_CUDA, ORT_TENSORRT)
