"""The half of TensorRT that needs a GPU, pretended on a pretended CUDA: ONNX Runtime computes what the engine would.

Everything here has a namesake in the real bindings, which `namesakes` says.
"""

from __future__ import annotations

import ctypes
import json
import math
import types
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

from tests.runtimes.fake_cuda import FakeCuda


class Pretence:
    """What the pretended TensorRT does, and what it was asked: tests set and read it.

    refuse: methods that answer False. io_type: of input and outputs. layers: what the inspector says.
    """

    def __init__(self, trt: Any, cuda: FakeCuda, onnx: Path) -> None:
        self.trt, self.cuda = trt, cuda
        self.model = ort.InferenceSession(str(onnx), providers=["CPUExecutionProvider"])
        self.refuse: set[str] = set()
        self.io_type = trt.DataType.FLOAT
        self.layers: list[Any] = [layer("gemm", "Float")]
        self.executed = 0
        self.strategy: Any = None
        self.profiles: list[tuple[int, int, int]] = []

    def module(self) -> Any:
        """The real module with a Runtime that needs no GPU."""
        copy = types.ModuleType(self.trt.__name__)
        copy.__dict__.update({**vars(self.trt), "Runtime": lambda logger: Runtime(self)})
        return copy


def layer(name: str, kind: str, tactic: str = "") -> dict[str, Any]:
    """A layer as the inspector describes it: what it takes and puts out, and the name of its kernel."""
    tensor = {"Name": "t", "Dimensions": [1], "Format/Datatype": kind}
    return {"Name": name, "LayerType": "gemm", "Inputs": [tensor], "Outputs": [tensor], "TacticName": tactic}


class Runtime:
    def __init__(self, pretence: Pretence) -> None:
        self._pretence = pretence

    def deserialize_cuda_engine(self, data: bytes) -> Engine | None:
        return Engine(self._pretence) if len(data) > 100_000 else None


class Engine:
    def __init__(self, pretence: Pretence) -> None:
        self._pretence = pretence
        given = pretence.model.get_inputs()[0]
        self._shapes: dict[str, tuple[int, ...]] = {given.name: (-1, *given.shape[1:])}
        self._shapes |= {answer.name: (-1, *answer.shape[1:]) for answer in pretence.model.get_outputs()}
        self._input = given.name

    @property
    def num_io_tensors(self) -> int:
        return len(self._shapes)

    def get_tensor_name(self, index: int) -> str:
        return list(self._shapes)[index]

    def get_tensor_mode(self, name: str) -> Any:
        modes = self._pretence.trt.TensorIOMode
        return modes.INPUT if name == self._input else modes.OUTPUT

    def get_tensor_dtype(self, name: str) -> Any:
        return self._pretence.io_type

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return self._shapes[name]

    def create_runtime_config(self) -> Any:
        return types.SimpleNamespace(dynamic_shapes_kernel_specialization_strategy=None)

    def create_execution_context(self, config: Any = None) -> Context:
        self._pretence.strategy = config and config.dynamic_shapes_kernel_specialization_strategy
        return Context(self, self._pretence)

    def create_engine_inspector(self) -> EngineInspector:
        return EngineInspector(self._pretence)


class Context:
    """Holds its shape until it is given another, and forgets it with the profile, as the real one does."""

    def __init__(self, engine: Engine, pretence: Pretence) -> None:
        self._engine, self._pretence = engine, pretence
        self.active_optimization_profile = 0
        self._shape: tuple[int, ...] | None = None
        self._addresses: dict[str, int] = {}

    def set_optimization_profile_async(self, profile_index: int, stream_handle: int) -> bool:
        self.active_optimization_profile, self._shape = profile_index, None
        return "set_optimization_profile_async" not in self._pretence.refuse

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        smallest, _, largest = self._pretence.profiles[self.active_optimization_profile]
        fits = smallest <= shape[0] <= largest and shape[1:] == self._engine.get_tensor_shape(name)[1:]
        self._shape = shape if fits else None
        return fits

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        assert self._shape is not None
        return (self._shape[0], *self._engine.get_tensor_shape(name)[1:])

    def set_tensor_address(self, name: str, memory: int) -> bool:
        self._addresses[name] = memory
        return "set_tensor_address" not in self._pretence.refuse

    def infer_shapes(self) -> list[str]:
        return [] if self._shape else [self._engine._input]

    def execute_async_v3(self, stream_handle: int) -> bool:
        assert self._shape is not None
        assert set(self._addresses) == set(self._engine._shapes)
        if "execute_async_v3" in self._pretence.refuse:
            return False
        addresses = dict(self._addresses)
        views = {name: self._view(name, address) for name, address in addresses.items()}
        given = views.pop(self._engine._input)

        def work() -> None:
            self._pretence.executed += 1
            found = self._pretence.model.run(list(views), {self._engine._input: given.astype(np.float32)})
            for view, values in zip(views.values(), found, strict=True):
                view[:] = values

        self._pretence.cuda.queue(stream_handle, work)
        return True

    def _view(self, name: str, address: int) -> np.ndarray:
        shape, kind = self.get_tensor_shape(name), np.dtype(self._pretence.trt.nptype(self._pretence.io_type))
        memory = (ctypes.c_byte * (math.prod(shape) * kind.itemsize)).from_address(address)
        return np.frombuffer(memory, kind).reshape(shape)


class EngineInspector:
    execution_context: Context | None = None

    def __init__(self, pretence: Pretence) -> None:
        self._pretence = pretence

    def get_engine_information(self, format: Any) -> str:
        assert format == self._pretence.trt.LayerInformationFormat.JSON
        assert self.execution_context is not None
        assert self.execution_context._shape is not None, "formats are unknown while shapes are"
        return json.dumps({"Layers": self._pretence.layers, "Bindings": []})


def namesakes(trt: Any) -> list[tuple[type, type]]:
    """Pretended classes and the real ones whose names they must have."""
    return [
        (Runtime, trt.Runtime),
        (Engine, trt.ICudaEngine),
        (Context, trt.IExecutionContext),
        (EngineInspector, trt.EngineInspector),
    ]
