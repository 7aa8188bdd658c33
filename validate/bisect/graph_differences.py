"""What differs on paper: weights, epsilons, scales and the form of GELU, held against the Paddle program's."""

from __future__ import annotations

import numpy as np

from convert.artifact import Artifact
from convert.export import pdiparams_file as params
from convert.precision.table import CONVERTED, PRECISIONS
from validate.bisect.alignment import Alignment
from validate.bisect.onnx_graph import OnnxNode
from validate.bisect.paddle_program import PaddleOperator, PaddleProgram


def find(alignment: Alignment, artifact: Artifact) -> dict[str, list[str]]:
    """The output of every operator of the graph, in order, that is not Paddle's on paper -> what differs, in words.

    Weights are compared by their names.
    """
    graph, parameters = alignment.graph, _parameters(artifact, alignment.program)
    found: dict[str, list[str]] = {}
    for tensor, operator in alignment.own.items():
        nodes = alignment.region(tensor)
        names = [name for node in nodes for name in graph.fixed(node) if name in parameters]
        texts = [_epsilon(nodes, operator), _scale(alignment, nodes, operator), _gelu(nodes, operator)]
        texts += [_weight(name, graph.array(name), parameters[name]) for name in names]
        found[tensor] = [text for text in texts if text]
    return {tensor: texts for tensor, texts in found.items() if texts}


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
    approximate = "tanh" in (node.attributes.get("approximate") for node in nodes) or "Tanh" in kinds
    if approximate == bool(operator.attributes.get("approximate", False)):
        return None
    if approximate:
        return "it is GELU's tanh approximation instead of the exact one with erf"
    return "it is the exact GELU with erf instead of the tanh approximation"


def _parameters(artifact: Artifact, program: PaddleProgram) -> dict[str, np.ndarray]:
    """The Paddle parameters by name, mapped from their file, as far as it is of the form that pdiparams_file writes."""
    shapes = {name: program.shapes[value] for value, name in program.parameters.items()}
    found: dict[str, np.ndarray] = {}
    position = 0
    with artifact.paddle_params.open("rb") as stream:
        for name in sorted(shapes):
            header = params.tensor_header(np.broadcast_to(np.float32(0), shapes[name]))
            stream.seek(position)
            if stream.read(len(header)) != header:
                break
            found[name] = np.memmap(artifact.paddle_params, "<f4", "r", position + len(header), shapes[name])
            position += len(header) + found[name].nbytes
    return found


def _weight(name: str, found: np.ndarray, wanted: np.ndarray) -> str | None:
    """How the graph's weight differs from Paddle's; None when it does not, or has another shape or no such type."""
    if found.shape != wanted.shape or found.dtype.kind not in "fV":  # V: bfloat16
        return None
    rounding = {PRECISIONS[name].dtype: PRECISIONS[name].unit_roundoff for name in CONVERTED}.get(found.dtype.name, 0.0)
    found = found.astype(np.float32)
    apart = np.abs(found - wanted) > rounding * np.abs(wanted).max(initial=0)
    apart |= ~np.isfinite(found)
    count = int(apart.sum())
    if not count:
        return None
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = float(np.nanmax(np.abs(found / wanted - 1)[apart]))
    return f"{name} differs from Paddle's in {count} of {found.size} values, by up to {relative:.2%}"
