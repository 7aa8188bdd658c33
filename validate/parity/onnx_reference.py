"""What an ONNX file says of itself where no Paddle program does: its operators by ONNX's own reference, in float64.

Weights and constants stay the float32 values of the file; only what is computed of them is wider, as in `float64.py`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import onnx

_TYPED = {"Cast": "to", "RandomNormal": "dtype", "RandomUniform": "dtype", "EyeLike": "dtype"}


def write(file: Path, images: np.ndarray, rows: int, folder: Path) -> None:
    """Write the logits of `images`, one image at a time, into files of a folder: `float32` and `float64`.

    float32: by ONNX Runtime, which optimises nothing, on the CPU. float64: by ONNX's reference. images: (count, 3,
    height, width) float32. rows: of the batch that the file takes; the image stands in all of them, and the first one
    counts. Whatever the two raise where they do not know an operator.
    """
    import onnx
    import onnxruntime
    from onnx.reference import ReferenceEvaluator

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    plain = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    model = onnx.load(str(file))
    widen(model.graph)
    session: Any
    for name, session in (("float32", plain), ("float64", ReferenceEvaluator(model))):
        with (folder / name).open("wb") as stream:
            for i in range(len(images)):
                batch = np.ascontiguousarray(images[[i] * rows], dtype=name)
                (logits,) = session.run(None, {plain.get_inputs()[0].name: batch})
                if logits.dtype != name:
                    raise TypeError(f"ONNX's reference computed in {logits.dtype} instead of {name}")
                stream.write(np.ascontiguousarray(logits[:1]).data)


def widen(graph: onnx.GraphProto) -> None:
    """Make a graph compute in float64 wherever it computed in float32, in its branches and loops too."""
    from onnx import AttributeProto, TensorProto, helper, numpy_helper

    def wide(tensor: TensorProto) -> None:
        if tensor.data_type == TensorProto.FLOAT:
            values = numpy_helper.to_array(tensor).astype(np.float64)
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))

    for tensor in graph.initializer:
        wide(tensor)
    del graph.value_info[:]
    for port in (*graph.input, *graph.output):
        if port.type.tensor_type.elem_type == TensorProto.FLOAT:
            port.type.tensor_type.elem_type = TensorProto.DOUBLE
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == AttributeProto.TENSOR:
                wide(attribute.t)
            elif attribute.type == AttributeProto.GRAPH:
                widen(attribute.g)
            elif attribute.name == _TYPED.get(node.op_type) and attribute.i == TensorProto.FLOAT:
                attribute.i = TensorProto.DOUBLE
            elif node.op_type == "Constant" and attribute.name in ("value_float", "value_floats"):
                values = attribute.f if attribute.name == "value_float" else list(attribute.floats)
                # What the file holds is float32; written out in float64 it would be another number.
                tensor = numpy_helper.from_array(np.array(values, np.float32).astype(np.float64))
                attribute.CopyFrom(helper.make_attribute("value", tensor))
