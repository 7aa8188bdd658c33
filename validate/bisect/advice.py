"""Why an operator leaves its bound, and which precision would mend it, where one would."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from onnx import TensorProto

from validate.bisect.onnx_graph import OnnxGraph, OnnxNode

_FP16_LARGEST = 65504.0
_TYPES: dict[int, str] = {TensorProto.FLOAT16: "fp16", TensorProto.BFLOAT16: "bf16"}
# Their result needs the sum of many squares or exponentials, or leaves FP16 on the way.
_SQUARES = "LayerNormalization"


@dataclass(frozen=True)
class Evidence:
    """What is known of the operator at fault.

    operator: its name for people. nodes: what it consists of. asked, effective: precisions. nonfinite: it gave NaN or
    infinite values. input_range: the lowest and highest input value, among the finite ones. paper: what differs from
    Paddle's program on paper. rows: the image that each row holds, where they are in another order. extra: Paddle's
    program has no such operator. graph_agrees: the graph itself says what the runtime gave; None: not known.
    """

    runtime: str
    operator: str
    nodes: Sequence[OnnxNode]
    asked: str
    effective: str
    nonfinite: bool
    input_range: tuple[float, float]
    paper: Sequence[str]
    rows: Sequence[int] | None
    extra: bool
    graph_agrees: bool | None


@dataclass(frozen=True)
class Advice:
    """cause: a sentence, None where it is not known. mend: what to do, a sentence. precision: that would mend it."""

    cause: str | None
    mend: str
    precision: str | None = None


def advise(evidence: Evidence, graph: OnnxGraph) -> Advice:
    """The most certain explanation first."""
    low = _low_types(evidence.nodes, graph) or ([evidence.effective] if evidence.effective != "fp32" else [])
    if evidence.rows is not None:
        order = ", ".join(map(str, evidence.rows))
        cause = f"the rows of the batch are in another order: they hold the images {order}"
        return Advice(cause, f"no precision mends it: {_blame(evidence)}; batch 1 is not affected")
    if evidence.paper:
        mend = "no precision mends it: convert the model again, or undo what was changed in the graph"
        return Advice("; ".join(evidence.paper), mend)
    if evidence.nonfinite and "fp16" in low:
        return Advice(_overflow(evidence), f"keep this {evidence.operator} in FP32", "fp32")
    if evidence.extra:
        cause = f"Paddle's program has no {evidence.operator} here"
        return Advice(cause, "no precision mends it: take the operator out of the graph")
    if low:
        kind = low[0].upper()
        if evidence.asked == "fp32" and not _low_types(evidence.nodes, graph):
            cause = f"{evidence.runtime} computed in {evidence.effective} although fp32 was asked for"
            return Advice(cause, f"make {evidence.runtime} compute in FP32", "fp32")
        return Advice(f"it is computed in {kind}", f"keep this {evidence.operator} in FP32", "fp32")
    return Advice(None, f"no precision mends it, it is computed in FP32: {_blame(evidence)}")


def _low_types(nodes: Sequence[OnnxNode], graph: OnnxGraph) -> list[str]:
    types = [graph.types.get(name) for node in nodes for name in (*node.inputs, *node.outputs)]
    return list(dict.fromkeys(_TYPES[kind] for kind in types if kind in _TYPES))


def _overflow(evidence: Evidence) -> str:
    reach = max(abs(end) for end in evidence.input_range)
    if reach > _FP16_LARGEST:
        return f"FP16 overflows: it ends at {_FP16_LARGEST:.0f}, and the input reaches {reach:.3g}"
    if evidence.operator == _SQUARES and reach**2 > _FP16_LARGEST:
        return (
            f"FP16 overflows: it ends at {_FP16_LARGEST:.0f}, and squares of the input, which reaches {reach:.3g}, at"
            f" {reach**2:.3g}"
        )
    return f"FP16 overflows on the way: it ends at {_FP16_LARGEST:.0f}"


def _blame(evidence: Evidence) -> str:
    if evidence.graph_agrees is None:
        return f"either the graph or {evidence.runtime} is wrong"
    if evidence.graph_agrees:
        return "the graph itself says so, and Paddle's program does not"
    return f"the graph says otherwise, so {evidence.runtime} computes it wrongly"
