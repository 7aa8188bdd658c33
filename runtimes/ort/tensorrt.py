"""ONNX Runtime's TensorRT provider: what its engines are built for, where they are kept, and their types."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from convert.artifact import Artifact
from convert.common.errors import listing
from convert.common.files import new_folder
from convert.precision.table import TF32
from runtimes import onnx_types
from runtimes.base import Options, UnavailableError, cache_folder
from runtimes.gpu.cuda import DeviceInfo
from runtimes.ort.session import OrtSession, is_on

# With one of them TensorRT may choose types itself; without, its networks are strongly typed (kSTRONGLY_TYPED unless
# fp16_enable_ or int8_enable_, in the sources of the provider's plugin version), as TensorRT 11's always are.
_WEAKLY_TYPED = ("trt_fp16_enable", "trt_bf16_enable", "trt_int8_enable")
_SWITCHED_OFF = ("trt_fp16_enable", "trt_int8_enable")  # trt_bf16_enable is unknown to older versions, and off
_VARIABLES = "ORT_TENSORRT_"
_TIMING = "timing"
_LIBRARY = "nvinfer_10.dll" if sys.platform == "win32" else "libnvinfer.so.10"


@dataclass(frozen=True)
class ProviderEngine:
    """What an engine is built for.

    smallest, largest: batch sizes that may come; TensorRT tunes for the largest. static: the batch dimension is fixed
    in the graph, so that no optimization profile is needed. workspace_mib: scratch memory for a layer; 0: all there is.
    """

    smallest: int
    largest: int
    static: bool
    optimization_level: int
    workspace_mib: int

    def check(self, batch: int) -> None:
        """UnavailableError for a batch that the engine is not built for: it would be built again in the run."""
        if not self.smallest <= batch <= self.largest:
            raise UnavailableError(
                f"the engine was built for batch {self.smallest} to {self.largest}; batch {batch} came"
            )

    def provider_options(self, name: str, image: tuple[int, ...], folder: Path) -> dict[str, str]:
        """The provider's options. name, image: the input, and its shape without the batch. folder: for its caches."""
        found = {
            **dict.fromkeys(_SWITCHED_OFF, "False"),  # this provider takes no 0 and 1 for switches
            "trt_builder_optimization_level": str(self.optimization_level),
            "trt_max_workspace_size": str(self.workspace_mib << 20),
            "trt_cuda_graph_enable": str(self.static),
            "trt_engine_cache_enable": "True",
            "trt_engine_cache_path": str(folder.resolve()),
            "trt_timing_cache_enable": "True",
            "trt_timing_cache_path": str((folder / _TIMING).resolve()),
        }
        if self.static:
            return found
        shapes = {"min": self.smallest, "opt": self.largest, "max": self.largest}
        return found | {
            f"trt_profile_{which}_shapes": f"{name}:{'x'.join(map(str, (batch, *image)))}"
            for which, batch in shapes.items()
        }


def open_cached(
    wanted: ProviderEngine,
    artifact: Artifact,
    options: Options,
    gpu: DeviceInfo,
    opened: Callable[[dict[str, str]], OrtSession],
) -> OrtSession:
    """What `opened` makes of the plan's provider options, with engine and timings from the cache or put there whole.

    The provider builds the engine and writes it when the session is made. UnavailableError when variables of the
    environment would change what it builds.
    """
    import onnxruntime as ort

    variables = sorted(name for name in os.environ if name.startswith(_VARIABLES))
    if variables:
        raise UnavailableError(f"{listing(variables)} would change what the TensorRT provider does: unset what is set")
    machine = (ort.__version__, tensorrt_version(), gpu.name, str(gpu.compute_capability))
    own = json.dumps({"tf32": options.precision == TF32, **asdict(wanted)})
    engine = cache_folder(artifact, options, "ort-tensorrt", *machine, own)
    timing = cache_folder(artifact, options, "ort-tensorrt", *machine, _TIMING)
    entry = artifact.manifest.inputs[0]
    name, image = entry.name, tuple(int(size) for size in entry.shape[1:])
    if engine.is_dir():
        return opened(wanted.provider_options(name, image, engine))
    with new_folder(engine) as work:
        if timing.is_dir():
            shutil.copytree(timing, work / _TIMING)
        (work / _TIMING).mkdir(exist_ok=True)
        session = opened(wanted.provider_options(name, image, work))
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
    return onnx_types.declared(artifact.onnx)
