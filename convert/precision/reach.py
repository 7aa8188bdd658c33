"""Whether FP16 or bf16 can hold the numbers that a graph computes, found out before a GPU does.

No runtime on a CPU shows it: they compute FP16 graphs in FP32. So the FP32 graph is run on images, and each tensor that
would be stored in the lower type is asked what it reaches; and the graph that was made of it is run with each of these
tensors really rounded, as a GPU stores them. Sums inside of a product are FP32 there, as in tensor cores.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import ml_dtypes
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from convert.common.errors import GraphError, listing
from convert.families.spec import Preprocessing
from convert.images.inputs import Inputs, edge_cases, seeded
from convert.manifest import Lowering
from convert.precision import half
from convert.precision.operators import Operator
from convert.precision.table import FP16, PRECISIONS

_SEEDED = 4
# What reaches this share of where the type ends is said: other images may go beyond it.
NEAR = 0.25
_INLINE = 1024  # numbers; a longer weight is handed to a session beside the graph, which protobuf limits to 2 GiB


@dataclass(frozen=True)
class TensorReach:
    """A tensor over all images. largest: its largest absolute value. lost: what rounding to the lower type takes from
    it, relative, in the Frobenius norm."""

    largest: float
    lost: float


@dataclass(frozen=True)
class OperatorReach:
    """An operator in a lower type. reason: why the type cannot hold its numbers, None where it can."""

    largest: float
    reason: str | None


def images(preprocessing: Preprocessing) -> Inputs:
    """What the numbers are looked at for: images like photos, and the ends of what pixels can be."""
    return seeded(preprocessing, _SEEDED) + edge_cases(preprocessing)


def observe(model: onnx.ModelProto, precision: str, inputs: Inputs) -> dict[str, TensorReach]:
    """What each tensor of an FP32 graph reaches that may become one of a lower type, weights included.

    GraphError where a number is none in FP32 already.
    """
    dtype, kind = np.dtype(PRECISIONS[precision].dtype), _kind(precision)
    floats = half.float_tensors(model)
    owned = half.owners(model, precision, (), floats)
    tensors = list(dict.fromkeys(name for node in _lowered(model, owned) for name in _touched(node, floats)))
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    found = {name: _of_weight(numpy_helper.to_array(stored[name]), dtype) for name in tensors if name in stored}
    seen = [name for name in tensors if name not in stored]
    nodes, outputs = [], []
    for i, name in enumerate(seen):
        made = _reach_nodes(name, f"reach_{i}", kind)
        nodes += made
        outputs += [node.output[0] for node in made if node.op_type.startswith("Reduce")]
    run = _Scalars(model, [*model.graph.node, *nodes], outputs)
    rows = np.array([run(image) for image in inputs.images], np.float64).reshape(len(inputs.images), len(seen), 3)
    for i, name in enumerate(seen):
        lost, whole = rows[:, i, 1:].sum(axis=0)
        largest = math.nan if math.isnan(whole) else float(rows[:, i, 0].max())  # ReduceMax passes over what is none
        found[name] = TensorReach(largest, _relative(lost, whole))
    broken = next((name for name, reach in found.items() if not math.isfinite(reach.largest)), None)
    if broken is not None:
        raise GraphError(f"{broken} is no finite number in FP32 already, on {inputs.source}")
    return found


def by_operator(
    model: onnx.ModelProto,
    precision: str,
    kept: Collection[str],
    reaches: Mapping[str, TensorReach],
    operators: Iterable[Operator],
) -> dict[str, OperatorReach]:
    """What the operators reach, by their names, that are lowered when those that write `kept` stay FP32."""
    floats = set(reaches)
    owned = half.owners(model, precision, kept, floats)
    stored = {tensor.name for tensor in model.graph.initializer}
    names = {operator.output: operator.name for operator in operators}
    found: dict[str, OperatorReach] = {}
    for node in _lowered(model, owned):
        operator = names[next(owned[name] for name in node.output if name in owned)]
        for tensor in _touched(node, floats):
            reach = reaches[tensor]
            reason = _reason(precision, reach, _role(tensor, tensor in stored, tensor in node.input))
            known = found.get(operator, OperatorReach(0.0, None))
            found[operator] = OperatorReach(max(known.largest, reach.largest), known.reason or reason)
    return found


def verify(model: onnx.ModelProto, inputs: Inputs, operators: Iterable[Operator]) -> None:
    """Run a graph with FP16 tensors, each of them really rounded, on the first and the last image.

    GraphError names the first operator that gives infinities or what is no number, and how many.
    """
    halves, owner = {tensor.name for tensor in model.graph.initializer if tensor.data_type == TensorProto.FLOAT16}, ""
    names = {operator.output: operator.name for operator in operators}
    nodes: list[onnx.NodeProto] = []
    counted: dict[str, str] = {}
    for original in model.graph.node:
        node = onnx.NodeProto()
        node.CopyFrom(original)
        nodes.append(node)
        lower = node.op_type == "Cast" and node.attribute[0].i == TensorProto.FLOAT16
        if not lower and (node.op_type == "Cast" or not any(name in halves for name in node.input)):
            continue
        name = node.output[0]
        halves.update(node.output)
        owner = names.get(name.removesuffix(f"_{FP16}"), name)
        # ONNX Runtime would compute the next operator from the FP32 numbers; what moves FP16 numbers has to be FP16.
        node.output[0] = f"{name}_exact"
        nodes.append(helper.make_node("Identity", [node.output[0]], [name]))
        count = f"broken_{len(counted)}"
        nodes += _count_nodes(name, count)
        counted[count] = owner
    run = _Scalars(model, nodes, list(counted))
    for i in dict.fromkeys((0, len(inputs.images) - 1)):
        for operator, broken in zip(counted.values(), run(inputs.images[i]), strict=True):
            if broken:
                raise GraphError(
                    f"{operator} gives {broken:.0f} numbers that are infinite or none in true FP16, on the image "
                    f"{inputs.names[i]!r}"
                )


def notes(precision: str, lowering: Lowering) -> list[str]:
    """What is close to where a precision ends, in a line."""
    if lowering.largest is None:
        return []
    (end, _), kept = _ends(precision), {entry.operator for entry in lowering.kept_fp32 or ()}
    near = [f"{n} reaches {value:.3g}" for n, value in lowering.largest.items() if value > NEAR * end and n not in kept]
    if not near:
        return []
    return [f"close to where {precision.upper()} ends ({end:g}): {listing(near)}; --keep-fp32 keeps them in FP32"]


class _Scalars:
    """A session of a graph's nodes, which gives some scalars for an image (3, size, size)."""

    def __init__(self, model: onnx.ModelProto, nodes: Sequence[onnx.NodeProto], outputs: Sequence[str]) -> None:
        import onnxruntime as ort

        (source,) = model.graph.input
        small = [tensor for tensor in model.graph.initializer if math.prod(tensor.dims) <= _INLINE]
        large = [tensor for tensor in model.graph.initializer if math.prod(tensor.dims) > _INLINE]
        graph = helper.make_graph(
            nodes,
            "reach",
            [source, *(helper.make_tensor_value_info(one.name, one.data_type, one.dims) for one in large)],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, []) for name in outputs],
            small,
        )
        settings = ort.SessionOptions()
        settings.log_severity_level = 3
        # Otherwise two casts that follow each other, which are the rounding, are taken out.
        settings.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        watched = helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)
        self._session = ort.InferenceSession(watched.SerializeToString(), settings, providers=["CPUExecutionProvider"])
        self._source, self._outputs = source.name, list(outputs)
        self._batch = source.type.tensor_type.shape.dim[0].dim_value or 1  # some models are exported with a fixed one
        self._weights = {one.name: ort.OrtValue.ortvalue_from_numpy(numpy_helper.to_array(one)) for one in large}
        self._value = ort.OrtValue.ortvalue_from_numpy

    def __call__(self, image: np.ndarray) -> list[float]:
        given = {**self._weights, self._source: self._value(np.stack([image] * self._batch))}
        return [float(value.numpy()) for value in self._session.run_with_ort_values(self._outputs, given)]


def _kind(precision: str) -> int:
    return int(TensorProto.DataType.Value(PRECISIONS[precision].onnx_types[0]))


def _ends(precision: str) -> tuple[float, float]:
    """The largest number of a precision and the least above zero."""
    numbers = ml_dtypes.finfo(np.dtype(PRECISIONS[precision].dtype))  # type: ignore[no-untyped-call]
    return float(numbers.max), float(numbers.smallest_subnormal)


def _lowered(model: onnx.ModelProto, owned: Collection[str]) -> list[onnx.NodeProto]:
    return [node for node in model.graph.node if any(name in owned for name in node.output)]


def _touched(node: onnx.NodeProto, floats: Collection[str]) -> list[str]:
    """A node's weights and what it reads and writes."""
    return [name for name in (*node.input, *node.output) if name in floats]


def _of_weight(values: np.ndarray, dtype: np.dtype[np.generic]) -> TensorReach:
    with np.errstate(over="ignore"):
        lost = values - values.astype(dtype).astype(np.float32)
    squares = (float(np.square(one, dtype=np.float64).sum()) for one in (lost, values))
    return TensorReach(float(np.abs(values).max(initial=0)), _relative(*squares))


def _relative(lost: float, whole: float) -> float:
    return math.sqrt(lost / whole) if 0 < whole < math.inf else 0.0


def _reach_nodes(name: str, prefix: str, kind: int) -> list[onnx.NodeProto]:
    """Nodes of which the three that reduce give the largest absolute value, and the sums of squares of what rounding
    takes away and of all."""
    make = helper.make_node
    return [
        make("Abs", [name], [f"{prefix}_abs"]),
        make("ReduceMax", [f"{prefix}_abs"], [f"{prefix}_largest"], keepdims=0),
        make("Cast", [name], [f"{prefix}_lower"], to=kind),
        make("Cast", [f"{prefix}_lower"], [f"{prefix}_rounded"], to=TensorProto.FLOAT),
        make("Sub", [name, f"{prefix}_rounded"], [f"{prefix}_error"]),
        make("ReduceSumSquare", [f"{prefix}_error"], [f"{prefix}_lost"], keepdims=0),
        make("ReduceSumSquare", [name], [f"{prefix}_whole"], keepdims=0),
    ]


def _count_nodes(name: str, count: str) -> list[onnx.NodeProto]:
    """Nodes that count the infinities and what is no number: either minus itself is none."""
    make = helper.make_node
    return [
        make("Cast", [name], [f"{count}_fp32"], to=TensorProto.FLOAT),
        make("Sub", [f"{count}_fp32", f"{count}_fp32"], [f"{count}_zero"]),
        make("IsNaN", [f"{count}_zero"], [f"{count}_is"]),
        make("Cast", [f"{count}_is"], [f"{count}_one"], to=TensorProto.FLOAT),
        make("ReduceSum", [f"{count}_one"], [count], keepdims=0),
    ]


def _role(tensor: str, stored: bool, read: bool) -> str:
    return f"its weight {tensor}" if stored else "what it reads" if read else "what it gives"


def _reason(precision: str, reach: TensorReach, what: str) -> str | None:
    """Why a type cannot hold a tensor; None where it can."""
    name, (end, step) = precision.upper(), _ends(precision)
    if reach.largest > end:
        return f"{what} reaches {reach.largest:.3g}, and {name} ends at {end:g}"
    if reach.lost > PRECISIONS[precision].product_error:
        return f"{what} loses {reach.lost:.0%}: {name} has no number between 0 and {step:.1g}"
    return None
