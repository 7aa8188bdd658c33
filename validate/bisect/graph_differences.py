"""What differs on paper: weights, epsilons, scales and the form of GELU, held against the Paddle program's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from convert.artifact import Artifact
from convert.export import pdiparams_file as params
from validate.bisect.alignment import Alignment
from validate.bisect.onnx_graph import OnnxGraph, OnnxNode
from validate.bisect.paddle_program import PaddleOperator

_ROUNDING = {"float16": 2.0**-11, "bfloat16": 2.0**-8}


@dataclass(frozen=True)
class GraphDifference:
    """tensor: output of the operator that differs. text: what differs, in a sentence's words."""

    tensor: str
    text: str


def find(alignment: Alignment, artifact: Artifact) -> list[GraphDifference]:
    """Every operator of the graph, in order, that is not Paddle's on paper. Weights are compared by their names."""
    reference = _Parameters(artifact, alignment)
    found = []
    for tensor in alignment.own():
        operator = alignment.program.maker[alignment.values[tensor]]
        nodes = alignment.region(tensor)
        texts = [_epsilon(nodes, operator), _scale(alignment, nodes, operator), _gelu(nodes, operator)]
        texts += [reference.difference(name) for node in nodes for name in alignment.graph.fixed(node)]
        found += [GraphDifference(tensor, text) for text in texts if text]
    return found


def _epsilon(nodes: list[OnnxNode], operator: PaddleOperator) -> str | None:
    wanted = operator.attributes.get("epsilon")
    for node in nodes:
        if operator.kind == "layer_norm" and node.kind == "LayerNormalization" and wanted is not None:
            epsilon = node.attributes.get("epsilon", 1e-5)  # ONNX's default
            if np.float32(epsilon) != np.float32(wanted):
                return f"its epsilon is {epsilon:.6g} instead of {wanted:.6g}"
    return None


def _scale(alignment: Alignment, nodes: list[OnnxNode], operator: PaddleOperator) -> str | None:
    if operator.kind != "scale":
        return None
    wanted = next((alignment.program.constants[v] for v in operator.inputs if v in alignment.program.constants), None)
    factor, seen = 1.0, False
    for node in nodes:
        for name in node.inputs:
            value = alignment.graph.scalar(name)
            if value and node.kind in ("Mul", "Div"):
                factor, seen = (factor * value if node.kind == "Mul" else factor / value), True
    if wanted is None or not seen or np.isclose(factor, wanted, rtol=1e-6):
        return None
    return f"it scales by {factor:.6g} instead of {wanted:.6g}"


def _gelu(nodes: list[OnnxNode], operator: PaddleOperator) -> str | None:
    if operator.kind != "gelu":
        return None
    kinds = {node.kind for node in nodes}
    approximate = b"tanh" in (node.attributes.get("approximate") for node in nodes) or "Tanh" in kinds
    if approximate == bool(operator.attributes.get("approximate", False)):
        return None
    return (
        "it is GELU's tanh approximation instead of the exact one with erf"
        if approximate
        else ("it is the exact GELU with erf instead of the tanh approximation")
    )


class _Parameters:
    """The Paddle parameters by name, mapped from their file, as far as it is of the form that params.py writes."""

    def __init__(self, artifact: Artifact, alignment: Alignment) -> None:
        self.graph: OnnxGraph = alignment.graph
        self.path = artifact.paddle_params
        program = alignment.program
        self.shapes = {name: program.shapes[value] for value, name in program.parameters.items()}
        self.offsets: dict[str, int] = {}
        position = 0
        with self.path.open("rb") as stream:
            for name in sorted(self.shapes):
                header = params.tensor_header(np.broadcast_to(np.float32(0), self.shapes[name]))
                stream.seek(position)
                if stream.read(len(header)) != header:
                    return
                self.offsets[name] = position + len(header)
                position = self.offsets[name] + 4 * int(np.prod(self.shapes[name], dtype=np.int64))

    def difference(self, name: str) -> str | None:
        """How the graph's weight of that name differs from Paddle's; None when it does not, or has another shape."""
        if name not in self.graph.constants or name not in self.offsets:
            return None
        found = self.graph.array(name)
        wanted = np.memmap(self.path, "<f4", "r", self.offsets[name], self.shapes[name])
        if found.shape != wanted.shape or found.dtype.kind not in "fV":
            return None
        rounding = _ROUNDING.get(found.dtype.name, 0.0)
        found = found.astype(np.float32)
        apart = np.abs(found - wanted) > rounding * np.abs(wanted).max(initial=0)
        apart |= ~np.isfinite(found)
        count = int(apart.sum())
        if not count:
            return None
        with np.errstate(divide="ignore", invalid="ignore"):
            relative = float(np.nanmax(np.abs(found / wanted - 1)[apart]))
        return f"{name} differs from Paddle's in {count} of {found.size} values, by up to {relative:.2%}"
