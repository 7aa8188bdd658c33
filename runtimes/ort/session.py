"""An ONNX Runtime session on one execution provider, and the proof of what it did: the profile of its first run."""

from __future__ import annotations

import json
import re
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from convert.common.disk import scratch
from convert.common.disk.files import writing
from convert.precision import table
from runtimes.base import TensorInfo, UnavailableError
from runtimes.probe import neighbours
from runtimes.records import arithmetic
from runtimes.records.arithmetic import Product

PROFILE = "profile of the first run"
_WHOLE_RUN = "model_run"  # what its profile calls the event of a whole run
CPU, CUDA, TENSORRT = "CPUExecutionProvider", "CUDAExecutionProvider", "TensorrtExecutionProvider"
_DEVICES = {CPU: "CPU", CUDA: "GPU", TENSORRT: "GPU"}
# Operators that only move or convert data say nothing about the arithmetic. An int8 model is full of them, and where a
# provider has no int8 operators they stand around a product in FP32.
_NO_ARITHMETIC = {
    "Cast", "Concat", "DequantizeLinear", "DynamicQuantizeLinear", "Expand", "Flatten", "Gather", "Identity",
    "MemcpyFromHost", "MemcpyToHost", "QuantizeLinear", "ReorderInput", "ReorderOutput", "Reshape", "Shape", "Slice",
    "Split", "Squeeze", "Tile", "Transpose", "Unsqueeze",
}  # fmt: skip
# Those that multiply, with contrib operators that ONNX Runtime makes of them.
_CONVOLUTIONS = {"Conv", "ConvInteger", "FusedConv", "NhwcConv", "NhwcFusedConv", "QLinearConv"}
_MATRICES = {
    "DynamicQuantizeMatMul", "FusedGemm", "FusedMatMul", "Gemm", "MatMul", "MatMulInteger", "MatMulIntegerToFloat",
    "QGemm", "QLinearMatMul", "TransposeMatMul",
}  # fmt: skip
_ATTENTION = {"Attention", "MultiHeadAttention", "QAttention"}
_OF_SHAPES = {"int64", "int32", "bool"}
_RECORD_ASSIGNMENT = "session.record_ep_graph_assignment_info"
# Processors with AVX2 and without VNNI add two products of u8 and s8 in 16 bits, which saturate: int8 would be another
# model there. With this ONNX Runtime computes with weights of u8 on those, and as ever on all others
# (kOrtSessionOptionsAvx2PrecisionMode in onnxruntime_session_options_config_keys.h). On a trained tiny ViT that took
# 1.12 times the CPU time; where the weights are such that no sum saturates it is left out.
_UNSATURATED = "session.x64quantprecision"
# It makes a Gemm of the MatMul and Add of two dimensions, as a head is, before it looks for int8, and has no int8 for a
# Gemm whose bias is float: with each image the head's weight was made FP32 anew, 1.2 of 21 ms of LeViT_128S.
_NOT_FOR_INT8 = ("optimization.disable_specified_optimizers", "MatMulAddFusion")


@dataclass(frozen=True)
class Node:
    """A node that ran: where, and the types (`float`, `int64`) and shapes of what it read and wrote. Weights that ONNX
    Runtime has packed are not among them."""

    name: str
    operator: str
    provider: str
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    read_shapes: tuple[tuple[int, ...], ...] = ()
    written_shapes: tuple[tuple[int, ...], ...] = ()

    @property
    def is_of_shapes(self) -> bool:
        """Whether it works on shapes, which live on the processor by design, and not on what the model computes."""
        return bool(self.writes) and set(self.writes) <= _OF_SHAPES


class OrtSession:
    """An `onnxruntime.InferenceSession` on one provider alone, that does not fall back.

    static: sizes for free dimensions, by their name. int8: whether it is a model in int8 for the CPU. portable: whether
    no sum of its int8 can saturate.
    UnavailableError when another provider takes the place of the one asked for: ONNX Runtime itself only logs that.
    """

    def __init__(
        self,
        onnx: Path,
        provider: str,
        threads: int,
        provider_options: Mapping[str, str] | None = None,
        static: Mapping[str, int] | None = None,
        int8: bool = False,
        portable: bool = False,
    ) -> None:
        import onnxruntime as ort

        settings = ort.SessionOptions()
        settings.intra_op_num_threads = threads
        settings.inter_op_num_threads = 1
        settings.log_severity_level = 3
        settings.add_session_config_entry(_RECORD_ASSIGNMENT, "1")
        settings.add_session_config_entry(_UNSATURATED, str(int(not portable)))
        if int8:
            settings.add_session_config_entry(*_NOT_FOR_INT8)
        for name, size in (static or {}).items():
            settings.add_free_dimension_override_by_name(name, size)
        # The profile of the first run names each node's provider and types: what ran, not what was asked for.
        self._folder = tempfile.TemporaryDirectory(prefix=scratch.prefix("vitbench-"))
        settings.enable_profiling = True
        settings.profile_file_prefix = str(Path(self._folder.name, "profile"))
        self.provider = provider
        self._profile: Path | None = None
        providers = [(provider, dict(provider_options or {}))]
        try:
            self.session = ort.InferenceSession(str(onnx), settings, providers=providers, enable_fallback=0)
        except Exception as error:  # ONNX Runtime's have no common type
            if provider == CPU:
                raise
            raise UnavailableError(f"ONNX Runtime could not start {provider}: {_essence(str(error))}") from None
        found = self.session.get_providers()
        if found[0] != provider:
            self.close()
            raise UnavailableError(
                f"ONNX Runtime could not start {provider} and fell back to {', '.join(found)}: its log says why"
            )
        self.inputs = tuple(TensorInfo(i.name, i.type, tuple(i.shape)) for i in self.session.get_inputs())
        self.outputs = tuple(TensorInfo(o.name, o.type, tuple(o.shape)) for o in self.session.get_outputs())

    def run_all(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Every output of the model by its name, from and to host memory."""
        names = [output.name for output in self.outputs]
        found = dict(zip(names, self.session.run(names, inputs), strict=True))
        self.end_first_run()
        return found

    def end_first_run(self) -> None:
        """Stop profiling, after a first run: to profile every run would take time from each of them."""
        if self._profile is None:
            self._profile = Path(self.session.end_profiling())

    @property
    def ran(self) -> bool:
        """Whether a first run is over."""
        return self._profile is not None

    def options(self) -> dict[str, str]:
        """The provider's options, as the session has them."""
        return dict(self.session.get_provider_options()[self.provider])

    def threads(self) -> int:
        return int(self.session.get_session_options().intra_op_num_threads)

    def nodes(self) -> list[Node]:
        """What ran in the first run. UnavailableError before it."""
        runs = self.runs()
        return [node for node, _ in (runs[0] if runs else [])]

    def runs(self) -> list[list[tuple[Node, float]]]:
        """The nodes of each run that was profiled, in their order, and the milliseconds that each took."""
        if self._profile is None:
            raise UnavailableError("nothing has run yet: ONNX Runtime tells what it did only after a first run")
        with writing(self._profile):  # ONNX Runtime says nothing of a disk that had no room for it
            events = json.loads(self._profile.read_text(encoding="utf-8"))
        found: list[list[tuple[Node, float]]] = [[]]
        for event in events:
            if event.get("name") == _WHOLE_RUN:  # it is written when its run is over
                found.append([])
            elif event.get("cat") == "Node" and "provider" in event.get("args", {}):
                found[-1].append((_node(event), event.get("dur", 0) / 1e3))
        return [run for run in found if run]

    def assigned(self) -> dict[str, int]:
        """How many nodes each provider took, before it fused them; nothing where ONNX Runtime is too old to tell."""
        read = getattr(self.session, "get_provider_graph_assignment_info", None)
        taken: Counter[str] = Counter()
        for part in read() if read else []:
            taken[part.ep_name] += len(part.get_nodes())
        return dict(taken)

    def close(self) -> None:
        self.end_first_run()  # which else would write its file later, and say so
        del self.session
        self._folder.cleanup()


def sums_of_int8(portable: bool) -> str:
    """How its provider for processors adds products of int8, with the settings that sessions here have."""
    import onnxruntime as ort

    settings = ort.SessionOptions()
    settings.intra_op_num_threads = 1
    settings.log_severity_level = 3
    settings.add_session_config_entry(_UNSATURATED, str(int(not portable)))
    probe = ort.InferenceSession(neighbours.model(), settings, providers=[CPU])
    return neighbours.read(np.asarray(probe.run(None, {"x": neighbours.INPUT})[0]))


def _essence(text: str) -> str:
    """What one of ONNX Runtime's messages says, without the places in its source that it begins with."""
    line = " ".join(text.split())
    for sign in (r"\w+ failure [0-9]+: [^;]+", r"(?<=FAIL : ).*", r"(?<=\[ERROR\] ).*"):
        if found := re.search(sign, line):
            return found.group().strip()
    return line


def is_on(options: Mapping[str, str], name: str) -> bool:
    """Whether a switch among a provider's options is on; off when it is not there. They write 1 or True."""
    return options.get(name, "0").lower() in ("1", "true")


def _node(event: Mapping[str, Any]) -> Node:
    found = event["args"]
    reads, writes = (
        tuple(name for tensor in found[key] for name in tensor) for key in ("input_type_shape", "output_type_shape")
    )
    shapes = (
        tuple(tuple(shape) for tensor in found[key] for shape in tensor.values())
        for key in ("input_type_shape", "output_type_shape")
    )
    return Node(event["name"].removesuffix("_kernel_time"), found["op_name"], found["provider"], reads, writes, *shapes)


def products(nodes: Iterable[Node]) -> list[Product]:
    """The nodes that multiply, with the precision of what they read."""
    found = []
    for node in nodes:
        precision = table.lowest(node.reads)
        if precision and not node.is_of_shapes and node.operator in _CONVOLUTIONS | _MATRICES | _ATTENTION:
            found.append(Product(node.name, precision, _macs(node)))
    return found


def _macs(node: Node) -> int | None:
    if node.operator in _ATTENTION or not (node.read_shapes and node.written_shapes):
        return None
    first, *others = node.read_shapes
    output = node.written_shapes[0]
    matrices = [shape for shape in others if len(shape) > 1]  # the others are scales, zero points and biases
    if node.operator in _CONVOLUTIONS:
        weight = next((shape for shape in matrices if len(shape) == len(output)), None)
        return None if weight is None else arithmetic.of_convolution(output, weight)
    return arithmetic.of_product(first, output, matrices[0] if matrices else None)


def types_computed(nodes: Iterable[Node]) -> dict[str, int]:
    """How many nodes read or write each type, among those that compute something else than shapes."""
    computing = [node for node in nodes if node.operator not in _NO_ARITHMETIC and not node.is_of_shapes]
    return dict(Counter(name for node in computing for name in {*node.reads, *node.writes}))


def placement(nodes: Iterable[Node], provider: str) -> tuple[str, dict[str, Any]]:
    """Device on which the nodes ran (`GPU`, or `CPU+GPU`), and details for records.

    Nodes that work on shapes may be on the processor: they are listed, and do not count. Any other there does.
    """
    nodes = list(nodes)
    elsewhere = [node for node in nodes if node.provider != provider]
    strays = [node for node in elsewhere if not node.is_of_shapes]
    counted = [node for node in nodes if node.provider == provider] + strays
    if not counted:
        raise UnavailableError(f"the profile of the first run names no node that ran on {provider}")
    details = {
        "nodes_by_provider": dict(Counter(node.provider for node in nodes)),
        "shape_nodes_elsewhere": [f"{node.operator} {node.name}" for node in elsewhere if node.is_of_shapes],
        "nodes_elsewhere": [f"{node.operator} {node.name} on {node.provider}" for node in strays],
    }
    return "+".join(sorted({_DEVICES.get(node.provider, node.provider) for node in counted})), details
