"""An onnxruntime with GPU providers on a pretended GPU: the real package computes, on the processor, what they should.

Names are the real ones, since everything goes through the real classes. What the providers do beside computing is
pretended here: they queue work on the stream they are given, and tell options, providers and a profile of their own.
"""

from __future__ import annotations

import ctypes
import json
import types
from collections import Counter
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import onnxruntime as real

from tests.runtimes.fake_cuda import FakeCuda

CUDA, TENSORRT, CPU = "CUDAExecutionProvider", "TensorrtExecutionProvider", "CPUExecutionProvider"
# What each provider takes, and what it says when nothing is asked for (all of them as in onnxruntime-gpu 1.31.1).
DEFAULTS = {
    CUDA: {"device_id": "0", "use_tf32": "1", "enable_cuda_graph": "0", "user_compute_stream": "0"},
    TENSORRT: {
        "device_id": "0",
        "user_compute_stream": "0",
        "trt_fp16_enable": "0",
        "trt_bf16_enable": "0",
        "trt_int8_enable": "0",
        "trt_max_workspace_size": "0",
        "trt_builder_optimization_level": "3",
        "trt_cuda_graph_enable": "0",
        "trt_engine_cache_enable": "0",
        "trt_engine_cache_path": "",
        "trt_timing_cache_enable": "0",
        "trt_timing_cache_path": "",
        "trt_profile_min_shapes": "",
        "trt_profile_opt_shapes": "",
        "trt_profile_max_shapes": "",
    },
}


_load = ctypes.CDLL


def loader(missing: Collection[str] = ()) -> Callable[..., Any]:
    """Stands in for `ctypes.CDLL`: every library is there but those, and this process itself (None) is the real one."""

    def load(name: str | None, *rest: Any, **named: Any) -> Any:
        if name in missing:
            raise OSError(f"{name}: cannot open shared object file: No such file or directory")
        return _load(None) if name is None else None

    return load


class Pretence:
    """What the pretended GPU providers do, and what they saw.

    falls_back: they do not start, and the processor takes their place, silently. strays: operators that they leave to
    the processor. ignores: options that they do not take over. writes: types that nodes write, told instead of the real
    ones. built: engines that TensorRT built.
    """

    def __init__(self, cuda: FakeCuda) -> None:
        self.cuda = cuda
        self.falls_back = False
        self.strays: set[str] = set()
        self.ignores: set[str] = set()
        self.writes: dict[str, str] = {}
        self.built = 0
        self.timings_found = 0
        self.opened: list[dict[str, str]] = []
        self.addresses: list[tuple[int, ...]] = []
        self.providers = [TENSORRT, CUDA, CPU]
        self.open = Counter[str]()

    def module(self, folder: Path) -> Any:
        """Stands in for `onnxruntime`. folder: where its libraries seem to be."""
        for provider in ("cuda", "tensorrt"):
            file = folder / "capi" / f"libonnxruntime_providers_{provider}.so"
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(b"no ELF file, so that it needs nothing")
        found = types.ModuleType("onnxruntime")
        found.__dict__.update({name: getattr(real, name) for name in ("SessionOptions", "RunOptions", "__version__")})
        found.__dict__.update(
            __file__=str(folder / "__init__.py"),
            cuda_version="13.0",
            get_available_providers=lambda: list(self.providers),
            preload_dlls=lambda: print("what it does not find, it prints"),
            InferenceSession=lambda *given, **named: Session(self, *given, **named),
        )
        return found


class _Binding(real.IOBinding):
    """Device memory is host memory here."""

    addresses: tuple[int, ...] = ()

    def bind_input(self, name: str, device: str, number: int, kind: Any, shape: Any, pointer: int) -> None:
        assert device == "cuda"
        self.addresses += (pointer,)
        super().bind_input(name, "cpu", 0, kind, shape, pointer)

    def bind_output(self, name: str, device: str, number: int, kind: Any, shape: Any, pointer: int) -> None:
        assert device == "cuda"
        self.addresses += (pointer,)
        super().bind_output(name, "cpu", 0, kind, shape, pointer)


class Session(real.InferenceSession):
    """A session on a GPU provider."""

    def __init__(self, pretence: Pretence, path: str, settings: Any, providers: Any, enable_fallback: int) -> None:
        ((self.name, given),) = providers
        assert enable_fallback == 0, "the real one would print a line and take another provider"
        self._parse(given)
        self.pretence = pretence
        self.told = DEFAULTS[self.name] | {key: given[key] for key in given if key not in pretence.ignores}
        self.told = {key: {"True": "1", "False": "0"}.get(value, value) for key, value in self.told.items()}
        self.told["has_user_compute_stream"] = str(int(self.told["user_compute_stream"] != "0"))
        pretence.opened.append(self.told)
        pretence.open["sessions"] += 1
        super().__init__(path, settings, providers=[CPU], enable_fallback=0)
        self.graph = "1" in (self.told.get("enable_cuda_graph"), self.told.get("trt_cuda_graph_enable"))
        # The real one may take a free batch, too: with the shape nodes that it has then left on the processor.
        if self.graph and not isinstance(self.get_inputs()[0].shape[0], int):
            raise RuntimeError("This session cannot use the graph capture feature as requested by the user")
        if self.told.get("trt_engine_cache_enable") == "1":
            self._engine(Path(self.told["trt_engine_cache_path"]), Path(self.told["trt_timing_cache_path"]))

    def _parse(self, given: dict[str, str]) -> None:
        unknown = set(given) - set(DEFAULTS[self.name])
        if unknown:
            raise RuntimeError(f"Unknown provider option: {unknown}")
        for key, value in given.items():
            # Tried with the real libraries: the CUDA provider takes 1 and True, the TensorRT provider only True.
            if key.startswith("trt_") and key.endswith("_enable") and value not in ("True", "False"):
                raise RuntimeError(f"[ERROR] [TensorRT] The value for the key '{key}' should be 'True' or 'False'.")

    def _engine(self, folder: Path, timing: Path) -> None:
        assert folder.is_dir()
        assert timing.is_dir()
        if not list(folder.glob("*.engine")):
            self.pretence.built += 1
            self.pretence.timings_found += len(list(timing.glob("*.timing")))
            (folder / "TensorrtExecutionProvider_TRTKernel_graph.engine").write_bytes(b"engine")
            (timing / "TensorrtExecutionProvider_cache_sm89.timing").write_bytes(b"timings")

    def get_providers(self) -> list[str]:
        return [CPU] if self.pretence.falls_back else [self.name, CPU]

    def get_provider_options(self) -> dict[str, dict[str, str]]:
        return {self.name: dict(self.told), CPU: {}}

    def io_binding(self) -> _Binding:
        return _Binding(self)

    def run_with_iobinding(self, binding: Any, run_options: Any = None) -> None:
        self.pretence.addresses.append(binding.addresses)
        run = super().run_with_iobinding
        self.pretence.cuda.queue(int(self.told["user_compute_stream"]), lambda: run(binding, run_options))

    def _provider_of(self, operator: str, shapes_only: bool) -> str:
        return CPU if shapes_only or operator in self.pretence.strays else self.name

    def get_provider_graph_assignment_info(self) -> list[Any]:
        found = super().get_provider_graph_assignment_info()
        nodes = [node for part in found for node in part.get_nodes()]
        return [
            types.SimpleNamespace(ep_name=self._provider_of(node.op_type, False), get_nodes=lambda node=node: [node])
            for node in nodes
        ]

    def end_profiling(self) -> str:
        path = Path(super().end_profiling())
        self.pretence.open["sessions"] -= 1
        events = json.loads(path.read_text())
        nodes = [event for event in events if event.get("cat") == "Node" and "provider" in event.get("args", {})]
        for event in nodes:
            told = event["args"]
            types = {name for tensor in told["output_type_shape"] for name in tensor}
            told["provider"] = self._provider_of(told["op_name"], types == {"int64"})
            if told["op_name"] in self.pretence.writes:
                told["output_type_shape"] = [{self.pretence.writes[told["op_name"]]: []}]
        if self.name == TENSORRT:
            fused = [event for event in nodes if event["args"]["provider"] == TENSORRT]
            for event in fused[1:]:
                events.remove(event)
            if fused:
                fused[0]["name"] = fused[0]["args"]["op_name"] = "TRTKernel_graph"
        path.write_text(json.dumps(events))
        return str(path)
