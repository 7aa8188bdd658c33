"""What a part of the ONNX graph says by itself: computed by ONNX's own reference, from what the runtime had there."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from validate.bisect.onnx_graph import OnnxGraph


def recompute(graph: OnnxGraph, tensor: str, captured: Mapping[str, Path]) -> np.ndarray | None:
    """A tensor from captured ones, as the graph says. None when it needs others, or an operator the reference lacks.

    captured: tensor -> .npy file; what makes the tensor is followed back as far as these.
    """
    needed, nodes, inputs = {tensor}, [], set()
    for node in reversed(graph.skeleton.graph.node):
        made = needed & set(node.output)
        if not made:
            continue
        if tensor not in made and made <= set(captured):
            inputs |= made
            continue
        needed |= set(node.input)
        nodes.append(node)
    if graph.input in needed:
        if graph.input not in captured:
            return None
        inputs.add(graph.input)
    constants = [numpy_helper.from_array(graph.array(name), name) for name in graph.initializers if name in needed]
    # What is captured is float32; where the graph has another type it is cast back.
    casts = [
        helper.make_node("Cast", [f"{name}.captured"], [name], to=graph.types.get(name, TensorProto.FLOAT))
        for name in sorted(inputs)
    ]
    part = helper.make_graph(
        casts + nodes[::-1],
        "part",
        [helper.make_tensor_value_info(f"{name}.captured", TensorProto.FLOAT, None) for name in sorted(inputs)],
        [helper.make_tensor_value_info(tensor, graph.types.get(tensor, TensorProto.FLOAT), None)],
        constants,
    )
    model = helper.make_model(part, opset_imports=graph.skeleton.opset_import)
    from onnx.reference import ReferenceEvaluator

    feeds = {f"{name}.captured": np.load(captured[name]).astype(np.float32) for name in inputs}
    try:
        with np.errstate(all="ignore"):
            (found,) = ReferenceEvaluator(model).run(None, feeds)
    except (NotImplementedError, onnx.onnx_cpp2py_export.checker.ValidationError, TypeError, ValueError, RuntimeError):
        return None
    return np.asarray(found, dtype=np.float32)
