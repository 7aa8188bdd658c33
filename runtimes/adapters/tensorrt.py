"""TensorRT, or TensorRT for RTX where only that is installed."""

from __future__ import annotations

import importlib
import json
from collections.abc import Sequence
from dataclasses import asdict

import numpy as np

from convert.artifact import Artifact
from convert.precision.table import BF16, FP16, FP32, INT8, TF32
from runtimes.base import (
    DeviceTimes,
    Effective,
    Options,
    Runtime,
    Session,
    Setting,
    TensorInfo,
    UnavailableError,
    cache_folder,
)
from runtimes.gpu import cuda, precision
from runtimes.gpu import io as gpu_io
from runtimes.records.parts import Arithmetic
from runtimes.tensorrt import cache as tensorrt_cache
from runtimes.tensorrt import engine as tensorrt_engine
from runtimes.tensorrt import layers as tensorrt_layers
from runtimes.tensorrt.cache import Cache


class _TensorRtSession(Session):
    def __init__(self, artifact: Artifact, options: Options) -> None:
        self._trt = importlib.import_module(TENSORRT.package)
        device = cuda.use(options.device)
        self._gpu = cuda.device_info(device)
        precision.check(artifact, options, self._gpu)
        dynamic = TENSORRT.setting(options, "profiles") == "range"
        self._wanted = tensorrt_engine.engine_config(TENSORRT, options, dynamic)
        machine = (self._trt.__name__, self._trt.__version__, self._gpu.name, str(self._gpu.compute_capability))
        cache = Cache(
            cache_folder(artifact, options, TENSORRT.name, *machine, json.dumps(asdict(self._wanted))),
            cache_folder(artifact, options, TENSORRT.name, *machine, "timing"),
        )
        self._loaded = tensorrt_cache.load(self._trt, artifact.onnx, self._wanted, device, cache)
        self._engine = self._loaded.engine
        self._context = tensorrt_engine.execution_context(self._trt, self._engine)
        names = [self._engine.get_tensor_name(index) for index in range(self._engine.num_io_tensors)]
        is_input = [self._engine.get_tensor_mode(name) == self._trt.TensorIOMode.INPUT for name in names]
        self.inputs = tuple(self._info(name) for name, given in zip(names, is_input, strict=True) if given)
        self.outputs = tuple(self._info(name) for name, given in zip(names, is_input, strict=True) if not given)
        self._input, self._output = self.inputs[0].name, self.outputs[0].name
        self._exchange = gpu_io.Exchange()
        self._wants_graph = TENSORRT.setting(options, "cuda_graph") == "on"
        self._graph: cuda.Graph | None = None
        self._shape: tuple[int, ...] | None = None  # what the context and the tensors are set for
        self._tensors = gpu_io.Tensors({}, {})
        self._replays = 0

    def _info(self, name: str) -> TensorInfo:
        kind = self._engine.get_tensor_dtype(name)
        return TensorInfo(name, kind.name, tuple(self._engine.get_tensor_shape(name)))

    def _run(self, images: np.ndarray) -> np.ndarray:
        self._infer(images, (self._output,))
        return self._tensors.host[self._output].astype(np.float32)

    def _run_all(self, images: np.ndarray) -> dict[str, np.ndarray]:
        names = [output.name for output in self.outputs]
        self._infer(images, names)
        return {name: self._tensors.host[name].copy() for name in names}

    def _infer(self, images: np.ndarray, outputs: Sequence[str]) -> None:
        if images.shape != self._shape:
            self._prepare(images.shape)
        self._exchange.run(self._tensors, self._input, images, self._compute, outputs)
        if self._wants_graph and not self._graph:
            # Only now: the first run after a change of shape does work that does not belong into the graph.
            try:
                self._graph = cuda.Graph(self._exchange.stream, self._enqueue)
            except cuda.CudaError as error:
                raise UnavailableError(f"cuda_graph=on: this engine cannot be captured ({error})") from None

    def _compute(self) -> None:
        if self._graph:
            self._graph.launch(self._exchange.stream)
            self._replays += 1
        else:
            self._enqueue()

    def _prepare(self, shape: tuple[int, ...]) -> None:
        """Profile, shape and buffers for another batch. A graph holds the old ones, so it goes first."""
        profile, stream = self._wanted.profile_of(shape[0]), self._exchange.stream
        self._release()
        if self._context.active_optimization_profile != profile:
            self._must(self._context.set_optimization_profile_async(profile, stream.handle), "take the profile")
            stream.synchronize()
        self._must(self._context.set_input_shape(self._input, shape), f"take an input of shape {shape}")
        names = [info.name for info in (*self.inputs, *self.outputs)]
        self._tensors = gpu_io.allocate({name: self._layout(name) for name in names})
        for name, buffer in self._tensors.device.items():
            self._must(self._context.set_tensor_address(name, buffer.pointer), "take a buffer")
        self._must(not self._context.infer_shapes(), "infer all shapes")
        self._shape = shape

    def _layout(self, name: str) -> tuple[tuple[int, ...], type]:
        """Shape and dtype of a tensor for the shape of input that is set."""
        return tuple(self._context.get_tensor_shape(name)), self._trt.nptype(self._engine.get_tensor_dtype(name))

    def _enqueue(self) -> None:
        self._must(self._context.execute_async_v3(self._exchange.stream.handle), "run")

    def _must(self, done: bool, what: str) -> None:
        if not done:
            raise UnavailableError(f"TensorRT did not {what}: {self._loaded.log.reason()}")

    def device_times(self) -> DeviceTimes | None:
        return self._exchange.times()

    def effective(self) -> Effective:
        if self._shape is None:
            raise UnavailableError("nothing has run yet: TensorRT tells types of layers only for shapes that are set")
        inspector = self._engine.create_engine_inspector()
        inspector.execution_context = self._context
        layers = tensorrt_layers.read(inspector.get_engine_information(self._trt.LayerInformationFormat.JSON))
        # TensorRT for RTX compiles layers when they run and may not list them: the typed network tells as much.
        declared = tensorrt_layers.names(self._loaded.facts["network_outputs_by_type"])
        number = self._tensors.device[self._input].device()
        details = {
            "read_from": "engine inspector" if layers.types else "types of the strongly typed network",
            "layers": layers.count,
            "layers_by_type": layers.types,
            "layers_with_tf32_kernels": len(layers.tf32),
            "gpu": self._gpu.name,
            "compute_capability": self._gpu.compute_capability,
            "cuda_graph_replays": self._replays,
            **self._loaded.facts,
        }
        found = tensorrt_layers.precision(layers.types or declared, bool(layers.tf32) or details["tf32_flag"])
        ran = Arithmetic(reason="TensorRT's inspector does not tell how much a layer multiplies; types are the file's")
        return Effective(found, f"GPU.{number}" if number else "GPU", details, ran)

    def _release(self) -> None:
        self._shape = None
        if self._graph:
            self._graph.close()
        self._graph = None
        self._tensors.close()

    def close(self) -> None:
        self._exchange.stream.synchronize()
        self._release()
        self._exchange.close()
        del self._context, self._engine, self._loaded


TENSORRT = Runtime(
    name="tensorrt",
    package=tensorrt_engine.flavour(),
    distributions=("tensorrt", "tensorrt-cu13", "tensorrt-cu12", "tensorrt-rtx"),
    precisions=(FP32, TF32, FP16, BF16, INT8),
    devices=cuda.devices,
    profiled="vitbench does not read TensorRT's own profiler, for which nothing here could try it",
    open_session=_TensorRtSession,
    settings={
        **tensorrt_engine.SETTINGS,
        "profiles": Setting("each", "one optimization profile for each batch size, or one range", ("each", "range")),
    },
    default_device="GPU",
    intermediate=True,
    writes_cache="always",
    order=20,
    colour=6,
)

RUNTIMES = (TENSORRT,)
