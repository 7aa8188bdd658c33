"""What a graph computes without the image: evaluated once, whatever its operators; and shapes seen in a run."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnx_ir.passes.common as passes
from onnx import TensorProto, helper, numpy_helper

from convert.common.errors import GraphError

_RANDOM = {"RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Multinomial", "Bernoulli"}


def evaluated(model: onnx.ModelProto) -> onnx.ModelProto:
    """The graph with an initializer for whatever depends neither on its input nor on detached weights.

    Swin's attention mask is such a thing: thousands of nodes, with branches and sequences that runtimes lack. Copies
    and Constant nodes go too, which matchers of patterns pay for. GraphError when it cannot be
    evaluated.
    """
    graph = model.graph
    known = {tensor.name for tensor in graph.initializer} | {""}
    constant, rest = list[onnx.NodeProto](), list[onnx.NodeProto]()
    for node in graph.node:
        if node.op_type not in _RANDOM and _reads(node) <= known:
            constant.append(node)
            known |= set(node.output)
        else:
            rest.append(node)
    needed = {name for node in rest for name in _reads(node)} | {value.name for value in graph.output}
    wanted = [name for node in constant for name in node.output if name in needed]
    given = {
        node.output[0]: numpy_helper.to_array(node.attribute[0].t)
        for node in constant
        if node.output[0] in needed and _states_a_tensor(node)
    }
    computed = [name for name in wanted if name not in given]
    values = _run(_part(model, _makers(constant, computed), computed), {}, computed) if computed else []
    given |= zip(computed, values, strict=True)
    found = {name: given[name] for name in wanted if isinstance(given[name], np.ndarray)}
    kept = _makers(constant, [name for name in wanted if name not in found])  # of sequences, which are no tensors
    made = {name for node in kept for name in node.output}
    del graph.node[:]
    graph.node.extend([*kept, *rest])
    graph.initializer.extend(numpy_helper.from_array(found[name], name) for name in found if name not in made)
    return _without_copies(model)


def _without_copies(model: onnx.ModelProto) -> onnx.ModelProto:
    """Without Identity and Constant nodes; a branch may need its own, to give what stands outside of it."""
    if any(_reads(node) != set(node.input) for node in model.graph.node):
        return model
    tidied = ir.passes.Sequential(
        passes.IdentityEliminationPass(),
        passes.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0),
        passes.RemoveUnusedNodesPass(),
    )(ir.from_proto(model)).model
    return ir.to_proto(tidied)


def shapes(model: onnx.ModelProto, names: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """The shapes that tensors have for one image (or a batch that is fixed), seen in a run on zeros.

    model: its weights are declared as inputs. GraphError when it cannot run.
    """
    part = onnx.ModelProto()
    part.CopyFrom(model)
    outputs = [f"{name}/shape" for name in names]
    part.graph.node.extend(
        helper.make_node("Shape", [name], [output]) for name, output in zip(names, outputs, strict=True)
    )
    del part.graph.output[:]
    part.graph.output.extend(helper.make_tensor_value_info(name, TensorProto.INT64, None) for name in outputs)
    feeds = {
        value.name: np.zeros([dim.dim_value or 1 for dim in value.type.tensor_type.shape.dim], np.float32)
        for value in part.graph.input
    }
    found = _run(part, feeds, outputs)
    return {name: tuple(int(size) for size in shape) for name, shape in zip(names, found, strict=True)}


def _part(model: onnx.ModelProto, nodes: Iterable[onnx.NodeProto], outputs: Sequence[str]) -> onnx.ModelProto:
    """A model of some nodes that need no input."""
    nodes = list(nodes)
    read = {name for node in nodes for name in _reads(node)}
    part = onnx.ModelProto(ir_version=model.ir_version, opset_import=model.opset_import, functions=model.functions)
    part.graph.name = model.graph.name
    part.graph.node.extend(nodes)
    part.graph.initializer.extend(tensor for tensor in model.graph.initializer if tensor.name in read)
    part.graph.output.extend(onnx.ValueInfoProto(name=name) for name in outputs)
    return part


def _run(model: onnx.ModelProto, feeds: dict[str, np.ndarray], outputs: Sequence[str]) -> list[Any]:
    try:
        import onnxruntime as ort
    except ImportError:
        return _run_plainly(model, feeds, outputs)
    settings = ort.SessionOptions()
    settings.log_severity_level = 4
    settings.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL  # it runs once
    try:
        session = ort.InferenceSession(model.SerializeToString(), settings, providers=["CPUExecutionProvider"])
        found: list[Any] = session.run(list(outputs), feeds)
    except Exception as error:  # it has classes of its own for each kind
        raise GraphError(f"ONNX Runtime does not run it: {' '.join(str(error).split())[:300]}") from None
    return found


def _run_plainly(model: onnx.ModelProto, feeds: dict[str, np.ndarray], outputs: Sequence[str]) -> list[Any]:
    """Without ONNX Runtime: by the reference implementation of the operators."""
    from onnx.reference import ReferenceEvaluator

    try:
        return list(ReferenceEvaluator(model).run(list(outputs), feeds))
    except Exception as error:
        raise GraphError(f"the reference implementation of ONNX does not run it: {error}") from None


def _states_a_tensor(node: onnx.NodeProto) -> bool:
    return node.op_type == "Constant" and node.attribute[0].name == "value"


def _makers(nodes: Sequence[onnx.NodeProto], names: Collection[str]) -> list[onnx.NodeProto]:
    """Those of some sorted nodes that are needed for some tensors."""
    needed, kept = set(names), list[onnx.NodeProto]()
    for node in reversed(nodes):
        if needed & set(node.output):
            kept.append(node)
            needed |= _reads(node)
    return kept[::-1]


def _reads(node: onnx.NodeProto) -> set[str]:
    """What a node reads, its branches and bodies included."""
    names = set(node.input)
    for attribute in node.attribute:
        for graph in (attribute.g, *attribute.graphs):
            inner = {name for one in graph.node for name in _reads(one)} | {value.name for value in graph.output}
            made = {name for one in graph.node for name in one.output} | {value.name for value in graph.input}
            names |= inner - made - {tensor.name for tensor in graph.initializer}
    return names
