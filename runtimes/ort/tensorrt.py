"""ONNX Runtime's TensorRT provider: what its engines are built for, where they are kept, and their types."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path

from convert.artifact import Artifact
from convert.common.disk.files import new_folder
from convert.common.errors import listing
from runtimes.base import Options, UnavailableError, cache_folder
from runtimes.gpu.cuda import DeviceInfo
from runtimes.ort.session import OrtSession, is_on
from runtimes.tensorrt.engine import EngineConfig

# With one of them TensorRT may choose types itself; without, its networks are strongly typed (kSTRONGLY_TYPED unless
# fp16_enable_ or int8_enable_, in the sources of the provider's plugin version), as TensorRT 11's always are.
_WEAKLY_TYPED = ("trt_fp16_enable", "trt_bf16_enable", "trt_int8_enable")
_SWITCHED_OFF = ("trt_fp16_enable", "trt_int8_enable")  # trt_bf16_enable is unknown to older versions, and off
_VARIABLES = "ORT_TENSORRT_"
_TIMING = "timing"
# A tensor as small as this may be a shape, which inference of types needs; weights it does not.
_SMALL_BYTES = 1024
_LIBRARY = "nvinfer_10.dll" if sys.platform == "win32" else "libnvinfer.so.10"


def provider_options(wanted: EngineConfig, name: str, image: tuple[int, ...], folder: Path) -> dict[str, str]:
    """The provider's options for an engine with one profile.

    Not dynamic: the batch dimension is fixed in the graph, so that no profile is needed. name, image: the input, and
    its shape without the batch. folder: for the provider's caches.
    """
    found = {
        **dict.fromkeys(_SWITCHED_OFF, "False"),  # this provider takes no 0 and 1 for switches
        "trt_builder_optimization_level": str(wanted.optimization_level),
        "trt_max_workspace_size": str(wanted.workspace_mib << 20),
        "trt_cuda_graph_enable": str(not wanted.dynamic),
        "trt_engine_cache_enable": "True",
        "trt_engine_cache_path": str(folder.resolve()),
        "trt_timing_cache_enable": "True",
        "trt_timing_cache_path": str((folder / _TIMING).resolve()),
    }
    if not wanted.dynamic:
        return found
    (sizes,) = wanted.profiles()
    return found | {
        f"trt_profile_{which}_shapes": f"{name}:{'x'.join(map(str, (batch, *image)))}"
        for which, batch in zip(("min", "opt", "max"), sizes, strict=True)
    }


def open_cached(
    wanted: EngineConfig,
    artifact: Artifact,
    options: Options,
    gpu: DeviceInfo,
    opened: Callable[[dict[str, str]], OrtSession],
) -> OrtSession:
    """What `opened` makes of the provider's options, with engine and timings from the cache or put there whole.

    The provider builds the engine and writes it when the session is made. UnavailableError when variables of the
    environment would change what it builds.
    """
    import onnxruntime as ort

    variables = sorted(name for name in os.environ if name.startswith(_VARIABLES))
    if variables:
        raise UnavailableError(f"{listing(variables)} would change what the TensorRT provider does: unset what is set")
    machine = (ort.__version__, tensorrt_version(), gpu.name, str(gpu.compute_capability))
    engine = cache_folder(artifact, options, "ort-tensorrt", *machine, json.dumps(asdict(wanted)))
    timing = cache_folder(artifact, options, "ort-tensorrt", *machine, _TIMING)
    entry = artifact.manifest.inputs[0]
    name, image = entry.name, tuple(int(size) for size in entry.shape[1:])
    if engine.is_dir():
        return opened(provider_options(wanted, name, image, engine))
    with new_folder(engine) as work:
        if timing.is_dir():
            shutil.copytree(timing, work / _TIMING)
        (work / _TIMING).mkdir(exist_ok=True)
        session = opened(provider_options(wanted, name, image, work))
        with new_folder(timing) as copy:
            shutil.copytree(work / _TIMING, copy, dirs_exist_ok=True)
    return session


def tensorrt_version() -> str:
    """Version of the TensorRT library that the provider uses, `10.13.3`. UnavailableError when it cannot be loaded."""
    try:
        number = int(ctypes.CDLL(_LIBRARY).getInferLibVersion())
    except (OSError, AttributeError) as error:
        raise UnavailableError(f"TensorRT does not tell its version: {error}") from None
    # NvInferVersion.h: major * 10000 + minor * 100 + patch
    return f"{number // 10000}.{number // 100 % 100}.{number % 100}"


def types(artifact: Artifact, found: Mapping[str, str]) -> dict[str, int]:
    """How many nodes compute in each type: those of the file, which a strongly typed network keeps.

    found: the provider's options as read back. ONNX Runtime shows an engine as one node, without its layers.
    UnavailableError when the network was not strongly typed.
    """
    weak = [name for name in _WEAKLY_TYPED if is_on(found, name)]
    if weak:
        raise UnavailableError(f"{listing(weak)} lets TensorRT choose types, and ONNX Runtime does not tell which")
    return declared_types(artifact.onnx)


def declared_types(path: Path) -> dict[str, int]:
    """How many nodes of the file write each type (`float`, `float16`, `int8`), quantization included.

    Where a type cannot be inferred it is `undefined`. Takes as much memory as the file, external data excluded.
    """
    import onnx
    from onnx import TensorProto, shape_inference

    model = onnx.load(path, load_external_data=False)
    for tensor in model.graph.initializer:
        if tensor.ByteSize() > _SMALL_BYTES:
            tensor.ClearField("raw_data")
    graph = shape_inference.infer_shapes(model).graph
    types = {
        value.name: TensorProto.DataType.Name(value.type.tensor_type.elem_type).lower()
        for value in (*graph.value_info, *graph.output)
    }
    written = [{types.get(name, "undefined") for name in node.output if name} for node in graph.node]
    return dict(Counter(name for names in written for name in names))
