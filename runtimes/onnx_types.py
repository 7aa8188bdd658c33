"""Which types an ONNX file says that its nodes compute in: what a runtime does that keeps to them and shows no more."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

# A tensor as small as this may be a shape, which inference needs; weights it does not.
_SMALL_BYTES = 1024


def declared(path: Path) -> dict[str, int]:
    """How many nodes of the file write each type (`float`, `float16`, `int8`), quantization included.

    Where a type cannot be inferred it is `undefined`. Takes as much memory as the file, external data excluded.
    """
    import onnx
    from onnx import TensorProto, shape_inference

    model = onnx.load(path, load_external_data=False)
    for tensor in model.graph.initializer:
        if tensor.ByteSize() > _SMALL_BYTES:
            tensor.ClearField("raw_data")
    graph = shape_inference.infer_shapes(model).graph
    types = {
        value.name: TensorProto.DataType.Name(value.type.tensor_type.elem_type).lower()
        for value in (*graph.value_info, *graph.output)
    }
    written = [{types.get(name, "undefined") for name in node.output if name} for node in graph.node]
    return dict(Counter(name for names in written for name in names))
