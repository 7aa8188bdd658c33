"""FP16 and bf16 as types of the graph itself, which is what TensorRT and every GPU provider go by.

LayerNormalization, Softmax and GELU stay in FP32, and so do the sums that lead to them: squares and exponentials leave
FP16's range there (TensorRT issues 2709, 2564, 4493, 4723), and bf16 has 8 bits for a mean over hundreds of numbers.
Inputs and outputs stay FP32. onnxruntime's converter for FP16 knows no bf16 and casts around each operator that it
keeps instead of once per tensor; so both precisions go through this one pass.
"""

from __future__ import annotations

from collections.abc import Collection

import ml_dtypes
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from convert.common.errors import GraphError
from convert.precision.operators import MULTIPLY
from convert.precision.table import BF16, PRECISIONS

# Beside what multiplies, its bias is computed in the lower precision; what only moves numbers keeps their type.
_MOVE = {
    "Concat",
    "Expand",
    "Flatten",
    "Gather",
    "Identity",
    "Reshape",
    "Slice",
    "Split",
    "Squeeze",
    "Transpose",
    "Unsqueeze",
}
_LARGEST_FP16 = float(np.finfo(np.float16).max)
# bf16 is allowed for Conv since this opset (onnx, docs/Operators.md), which Paddle2ONNX 2.1.0 does not write yet.
BF16_CONV_OPSET = 22


def float_tensors(model: onnx.ModelProto) -> set[str]:
    """Every tensor of a graph that is FP32."""
    graph = onnx.shape_inference.infer_shapes(model).graph
    values = {
        value.name: value.type.tensor_type.elem_type for value in (*graph.input, *graph.value_info, *graph.output)
    }
    values |= {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    return {name for name, kind in values.items() if kind == TensorProto.FLOAT}


def owners(model: onnx.ModelProto, precision: str, kept: Collection[str], floats: Collection[str]) -> dict[str, str]:
    """The tensors that nodes of a lower type write, and the output of the multiplying operator that each follows.

    kept: outputs of operators that stay FP32. floats: the graph's FP32 tensors.
    """
    opset = next(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))
    multiply = set(MULTIPLY) - ({"Conv"} if precision == BF16 and opset < BF16_CONV_OPSET else set())
    stored = {tensor.name for tensor in model.graph.initializer}
    found: dict[str, str] = {}
    for node in model.graph.node:
        owner = None
        if node.op_type in multiply and node.output[0] not in kept:
            owner = node.output[0]
        elif node.op_type in _MOVE or (node.op_type == "Add" and any(name in stored for name in node.input)):
            owner = next((found[name] for name in node.input if name in found), None)
        if owner is not None:
            found |= {name: owner for name in node.output if name in floats}
    return found


def lower(model: onnx.ModelProto, precision: str, kept: Collection[str]) -> list[str]:
    """Give a graph's multiplying operators a lower type, in place; kept: outputs of nodes that stay FP32.

    Returns the outputs of those that were lowered. GraphError for a weight that FP16 cannot hold, and for another
    precision than FP16 and bf16.
    """
    graph, wanted = model.graph, TensorProto.DataType.Value(PRECISIONS[precision].onnx_types[0])
    stored = {tensor.name: tensor for tensor in graph.initializer}
    floats = float_tensors(model)
    owned = owners(model, precision, kept, floats)
    types = {name: wanted if name in owned else TensorProto.FLOAT for name in floats}
    nodes: list[onnx.NodeProto] = []
    casts: dict[tuple[str, int], str] = {}

    def typed(name: str, kind: int) -> str:
        """The name under which a float tensor has a type; a weight is stored in it, anything else cast once."""
        if name not in floats or types[name] == kind:
            return name
        if (name, kind) not in casts:
            new = casts[name, kind] = f"{name}_{'fp32' if kind == TensorProto.FLOAT else precision}"
            if name in stored:
                graph.initializer.append(_as_type(stored[name], new, kind))
            else:
                nodes.append(helper.make_node("Cast", [name], [new], name=f"{new}_Cast", to=kind))
        return casts[name, kind]

    for node in graph.node:
        kind = wanted if any(name in owned for name in node.output) else TensorProto.FLOAT
        for i, name in enumerate(node.input):
            node.input[i] = typed(name, kind)
        nodes.append(node)
    for name in (value.name for value in graph.output if types.get(value.name) == wanted):
        maker = next(node for node in nodes if name in node.output)
        maker.output[list(maker.output).index(name)] = f"{name}_{precision}"
        nodes.append(
            helper.make_node("Cast", [f"{name}_{precision}"], [name], name=f"{name}_Cast", to=TensorProto.FLOAT)
        )
    del graph.node[:]
    graph.node.extend(nodes)
    used = {name for node in nodes for name in node.input}
    left = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.initializer[:]
    graph.initializer.extend(left)
    del graph.value_info[:]
    return list(dict.fromkeys(owned.values()))


def _as_type(tensor: onnx.TensorProto, name: str, kind: int) -> onnx.TensorProto:
    values = numpy_helper.to_array(tensor)
    if kind == TensorProto.FLOAT16:
        if values.size and float(np.abs(values).max()) > _LARGEST_FP16:
            raise GraphError(f"weight {tensor.name} reaches {np.abs(values).max():.3g}; FP16 ends at {_LARGEST_FP16:g}")
        return numpy_helper.from_array(values.astype(np.float16), name)
    if kind != TensorProto.BFLOAT16:
        raise GraphError(
            f"no weight can be stored as {TensorProto.DataType.Name(kind)}: only FP16 and bf16 are made here"
        )
    raw = values.astype(ml_dtypes.bfloat16).tobytes()
    return onnx.TensorProto(name=name, dims=values.shape, data_type=kind, raw_data=raw)
