"""The ONNX graph: names as users expect them, dead weight folded, and what must hold of it asserted by name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper, shape_inference

from convert.common.errors import GraphError, InputError, listing
from convert.export.rewrite.optimize import optimized
from convert.families.base import GraphFacts, ModelSpec

INPUT, OUTPUT, BATCH = "x", "logits", "batch"


def tidy(model: onnx.ModelProto, weights: Mapping[str, tuple[int, ...]], batch: int | None = None) -> onnx.ModelProto:
    """Input `x`, output `logits`, batch dimension `batch` unless one is fixed, constants folded, copies gone.

    The graph refers to float32 weights of the given names and shapes that are attached only when the file is written;
    meanwhile they are declared as inputs. GraphError when the graph does not have one input and one output.
    """
    graph = model.graph
    declare(model, weights)
    found = len(graph.input) - len(weights), len(graph.output)
    if found != (1, 1):
        raise GraphError(f"one input and one output expected, found {found[0]} and {found[1]}")
    _rename(graph, graph.input[0].name, INPUT)
    _rename(graph, graph.output[0].name, OUTPUT)
    for value in (graph.input[0], graph.output[0]):
        first = value.type.tensor_type.shape.dim[0]
        first.Clear()
        if batch is None:
            first.dim_param = BATCH
        else:
            first.dim_value = batch
    del graph.value_info[:]
    model = optimized(model)
    onnx.checker.check_model(model, full_check=True)
    return model


def declare(model: onnx.ModelProto, weights: Mapping[str, tuple[int, ...]]) -> None:
    """Make inputs of the weights that a graph refers to, those that are none yet."""
    known = {value.name for value in model.graph.input}
    model.graph.input.extend(
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in weights.items()
        if name not in known
    )


def detach_weights(model: onnx.ModelProto, names: Collection[str]) -> dict[str, np.ndarray]:
    """Take the float32 weights of the given names out of a graph, to be attached again when it is written.

    Paddle2ONNX puts them into Constant nodes. What is no float (indices, masks) stays a constant of the graph.
    InputError for a weight that holds NaN or an infinite value.
    """
    weights, nodes = {}, []
    for node in model.graph.node:
        name = node.output[0]
        if node.op_type == "Constant" and name in names and node.attribute[0].t.data_type == TensorProto.FLOAT:
            weights[name] = numpy_helper.to_array(node.attribute[0].t)
            if wrong := weights[name].size - int(np.isfinite(weights[name]).sum()):
                raise InputError(f"the weight {name} holds {wrong} values that are NaN or infinite: get the model anew")
        else:
            nodes.append(node)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return weights


def without_declared(model: onnx.ModelProto) -> onnx.ModelProto:
    """The graph as it is written: the weights are no inputs any more."""
    written = onnx.ModelProto()
    written.CopyFrom(model)
    del written.graph.input[1:]
    return written


def shapes_at_batch_one(model: onnx.ModelProto) -> dict[str, tuple[int, ...]]:
    """Shape of every tensor for one image, or for a batch that is fixed. GraphError when one cannot be inferred."""
    single = onnx.ModelProto()
    single.CopyFrom(model)
    batch = single.graph.input[0].type.tensor_type.shape.dim[0]
    batch.dim_value = batch.dim_value or 1
    del single.graph.value_info[:]
    try:
        inferred = shape_inference.infer_shapes(single, check_type=True, strict_mode=True, data_prop=True).graph
    except shape_inference.InferenceError as error:
        raise GraphError(f"shapes do not fit together: {' '.join(str(error).split())}") from None
    shapes = {tensor.name: tuple(tensor.dims) for tensor in inferred.initializer}
    for value in (*inferred.input, *inferred.value_info, *inferred.output):
        shapes[value.name] = tuple(
            dim.dim_value if dim.HasField("dim_value") else -1 for dim in value.type.tensor_type.shape.dim
        )
    return shapes


def check_spec(model: onnx.ModelProto, spec: ModelSpec) -> None:
    """Assert that the graph is the spec's architecture. GraphError names the first thing that is not as it must be."""
    facts, nodes = spec.graph_facts(), model.graph.node
    count = Counter(node.op_type for node in nodes)
    weights = {value.name for value in model.graph.input[1:]}
    matmuls = [node for node in nodes if node.op_type == "MatMul"]
    linear = sum(node.input[1] in weights for node in matmuls)
    expected = {
        "Conv": (count["Conv"], facts.convolutions),
        "LayerNormalization": (count["LayerNormalization"], facts.norms),
        "Softmax": (count["Softmax"], facts.softmaxes),
        "Erf (exact GELU)": (count["Erf"] + count["Gelu"], facts.gelus),
        "MatMul with a weight": (linear, facts.linear),
        "MatMul of attention": (len(matmuls) - linear, facts.products),
    }
    for what, (found, wanted) in expected.items():
        if found != wanted:
            raise GraphError(f"{spec.name}: {found} {what} instead of {wanted}")
    for node in nodes:
        if node.domain not in ("", "ai.onnx"):
            raise GraphError(f"{spec.name}: {node.op_type} of the non-standard domain {node.domain}")
        if node.op_type == "LayerNormalization":
            epsilon = next((a.f for a in node.attribute if a.name == "epsilon"), 1e-5)
            if np.float32(epsilon) != np.float32(facts.epsilon):
                raise GraphError(f"{spec.name}: {node.output[0]} has epsilon {epsilon:g} instead of {facts.epsilon:g}")
    _check_scales(model, spec.name, facts)
    unused = weights - {name for node in nodes for name in node.input}
    wrong = unused | weights ^ set(spec.state_shapes())
    if wrong:
        raise GraphError(f"{spec.name}: weights unused or missing: {listing(sorted(wrong))}")
    check_interface(model, spec.img_size, spec.class_num)


def check_form(model: onnx.ModelProto, spec: ModelSpec) -> None:
    """Assert the form that `rewrite` gives a spec's graph. GraphError names the first thing that is not as it must be.

    q, k and v from one Split in each block, every LayerNormalization over axis -1, GELU with erf, no class token's
    shape from a Max, and the queries of each block for the tokens that the family says.
    """
    facts = spec.graph_facts()
    count = Counter(node.op_type for node in model.graph.node)
    wanted_counts = {"Split": facts.softmaxes, "Squeeze": facts.squeezes, "Max": 0, "Erf": facts.gelus}
    for kind, wanted in wanted_counts.items():
        if count[kind] != wanted:
            raise GraphError(f"{spec.name}: {count[kind]} {kind} instead of {wanted}")
    for node in model.graph.node:
        axis = next((a.i for a in node.attribute if a.name == "axis"), -1)
        if node.op_type == "LayerNormalization" and axis != -1:
            raise GraphError(f"{spec.name}: {node.output[0]} is over axis {axis} instead of -1")
    shapes = shapes_at_batch_one(model)
    found = [shapes[node.output[0]] for node in model.graph.node if node.op_type == "Softmax"]
    for block, (one, other) in enumerate(zip(found, facts.attention, strict=True)):
        if one != other:
            raise GraphError(f"{spec.name}: attention of block {block} is {one} instead of {other}")


def _check_scales(model: onnx.ModelProto, name: str, facts: GraphFacts) -> None:
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    constants |= {
        node.output[0]: numpy_helper.to_array(node.attribute[0].t)
        for node in model.graph.node
        if node.op_type == "Constant" and node.attribute[0].name == "value"
    }
    scalars = {name: float(array.reshape(())) for name, array in constants.items() if array.size == 1}
    maker = {output: node for node in model.graph.node for output in node.output}
    softmaxes = [node for node in model.graph.node if node.op_type == "Softmax"]
    for softmax, wanted in zip(softmaxes, facts.scales, strict=True):
        scaling = maker[softmax.input[0]]
        if facts.biased:
            added = scaling
            scaling = next((maker[one] for one in added.input if one in maker and maker[one].op_type == "Mul"), added)
            if added.op_type != "Add":
                raise GraphError(f"{name}: {softmax.output[0]} has no bias")
        scale = next((scalars[name] for name in scaling.input if name in scalars), None)
        if scaling.op_type != "Mul" or scale is None or not np.isclose(scale, wanted, rtol=1e-6):
            raise GraphError(f"{name}: {softmax.output[0]} is scaled by {scale} instead of {wanted:.8g}")


def check_interface(
    model: onnx.ModelProto, image_size: int | None = None, classes: int | None = None, batch: int | None = None
) -> None:
    """Assert `x` (batch, 3, height, width) -> `logits` (batch, classes), float32; a square where its size is given.

    batch: where it is fixed.
    """
    x, logits, first = model.graph.input[0], model.graph.output[0], batch or BATCH
    for value, name, wanted in ((x, INPUT, [first, 3, image_size, image_size]), (logits, OUTPUT, [first, classes])):
        found = [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]
        fits = len(found) == len(wanted) and all(f if w is None else w == f for f, w in zip(found, wanted, strict=True))
        if not fits or value.name != name or value.type.tensor_type.elem_type != TensorProto.FLOAT:
            raise GraphError(f"{value.name} is {found} instead of float32 {name} {wanted}")
    height, width = (dim.dim_value for dim in x.type.tensor_type.shape.dim[2:])
    if not height or not width:
        raise GraphError(f"the image is {height or 'any'} x {width or 'any'}; a fixed size is needed")


def _rename(graph: onnx.GraphProto, old: str, new: str) -> None:
    for node in graph.node:
        for names in (node.input, node.output):
            for i, name in enumerate(names):
                if name == old:
                    names[i] = new
                elif name == new:
                    names[i] = f"{new}_"
    for value in (*graph.input, *graph.output):
        if value.name == old:
            value.name = new
