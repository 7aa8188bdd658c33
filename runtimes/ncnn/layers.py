"""An ONNX graph in ncnn's layers: what each operator becomes.

Numbers of parameters are those of ncnn's docs/developer-guide/operators.md, the order and form of weights those of its
docs/developer-guide/operation-param-weight-table.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import onnx_ir as ir

from runtimes.ncnn.graph import Constant, ImageGraph, Shape, sizes
from runtimes.ncnn.net import UnknownError

_BINARY = {"Add": 0, "Sub": 1, "Mul": 2, "Div": 3}
_REVERSED = {"Add": 0, "Sub": 7, "Mul": 2, "Div": 8}  # the constant on the left
_UNARY = {"Erf": "Erf", "Tanh": "TanH"}
# Permute's order_type -> where the new w, h, d, c come from.
_ORDERS = {
    2: "WH HW",
    3: "WHC HWC WCH CWH HCW CHW",
    4: "WHDC HWDC WDHC DWHC HDWC DHWC WHCD HWCD WCHD CWHD HCWD CHWD "
    "WDCH DWCH WCDH CWDH DCWH CDWH HDCW DHCW HCDW CHDW DCHW CDHW",
}
_AXES = {2: "HW", 3: "CHW", 4: "CDHW"}  # in ONNX's order
_SHAPE_KEYS = ((), (0,), (0, 1), (0, 1, 2), (0, 1, 11, 2))  # of Input, MemoryData and Reshape: w, h, d, c by dimensions


@dataclass(frozen=True)
class Weight:
    """One array of the .bin. turned: transposed as it is written. tagged: after a zero that says float32."""

    array: Constant
    turned: bool = False
    tagged: bool = False


@dataclass
class Layer:
    """A line of the .param. params: number -> value; lists stand for arrays."""

    kind: str
    name: str
    bottoms: list[str]
    tops: list[str]
    params: dict[int, int | float | list[int]] = field(default_factory=dict)
    weights: tuple[Weight, ...] = ()


def layers(graph: ImageGraph) -> list[Layer]:
    """The layers that compute the graph, the input first. UnknownError names the operator that there is none for."""
    walk = _Walk(graph)
    for node in graph.nodes:
        if node not in walk.done:
            rule = _RULES.get(node.op_type) if node.domain in ("", "ai.onnx") else None
            if rule is None:
                raise UnknownError(f"the operator {node.domain}{'.' * bool(node.domain)}{node.op_type}")
            rule(walk, node)
    return walk.made


def _shape_params(shape: Shape) -> dict[int, int | float | list[int]]:
    return dict(zip(_SHAPE_KEYS[len(shape)], reversed(shape), strict=True))


def _name(value: ir.Value | None) -> str:
    return "" if value is None else str(value.name)


def _reader(value: ir.Value) -> ir.Node | None:
    """The operator that reads a value, where it is the only one and nobody asked for the value itself."""
    users = {node for node, _ in value.uses()}
    return users.pop() if len(users) == 1 and not value.is_graph_output() else None


def _only(node: ir.Node | None, kind: str) -> ir.Node | None:
    return node if node is not None and node.op_type == kind else None


class _Walk:
    """made: the layers so far. done: operators that an earlier layer took in."""

    def __init__(self, graph: ImageGraph) -> None:
        self.graph = graph
        self.made = [Layer("Input", graph.input, [], [graph.input], _shape_params(graph.shapes[graph.input]))]
        self.done: set[ir.Node] = set()

    def is_constant(self, value: ir.Value | None) -> bool:
        return _name(value) in self.graph.constants

    def shape(self, value: ir.Value | None) -> Shape:
        return self.graph.shapes[_name(value)]

    def add(
        self,
        kind: str,
        bottoms: Sequence[str],
        tops: Sequence[ir.Value],
        params: dict[int, int | float | list[int]] | None = None,
        *weights: Weight,
    ) -> None:
        names = [str(value.name) for value in tops]
        self.made.append(Layer(kind, names[0], list(bottoms), names, params or {}, weights))

    def memory(self, name: str, array: np.ndarray) -> str:
        """A constant as a blob."""
        blob = f"{name} for layer {len(self.made)}"
        self.made.append(Layer("MemoryData", name, [], [blob], _shape_params(array.shape), (Weight(array),)))
        return blob

    def operand(self, value: ir.Value | None, rank: int) -> tuple[str, Shape]:
        """A blob of `rank` dimensions, for what images change or for a constant, and its shape."""
        if self.is_constant(value):
            array = self.graph.constant(_name(value), rank)
            return self.memory(_name(value), array), array.shape
        return _name(value), self.shape(value)

    def scalar(self, value: ir.Value | None) -> float | None:
        """The one element of a float32 constant."""
        if not self.is_constant(value):
            return None
        one, two = map(np.asarray, self.graph.constants[_name(value)])
        plain = one.size == 1 and one.dtype == np.float32 and np.array_equal(one, two)
        return float(one.reshape(())) if plain else None

    def bias(self, value: ir.Value, axis: int) -> tuple[ir.Value, list[Weight]]:
        """A constant that is added to each element along one axis, taken in; and the sum, else the value itself."""
        adds, shape = _only(_reader(value), "Add"), self.shape(value)
        constants = [one for one in adds.inputs if self.is_constant(one)] if adds else []
        if not adds or len(constants) != 1:
            return value, []
        array = self.graph.constant(_name(constants[0]), len(shape))
        if array.shape != tuple(size if i == axis % len(shape) else 1 for i, size in enumerate(shape)):
            return value, []
        self.done.add(adds)
        return adds.outputs[0], [Weight(array.reshape(-1))]


def _axis(node: ir.Node, value: int, rank: int) -> int:
    """An axis of an ONNX tensor as one of an image's `rank` dimensions. UnknownError for that of the images."""
    axis = value if value >= 0 else value + rank + 1
    if axis == 0:
        raise UnknownError(f"{node.op_type} along the images ({_name(node.outputs[0])})")
    return axis - 1


def _attribute(node: ir.Node, name: str, default: int) -> int:
    attribute = node.attributes.get(name)
    return default if attribute is None else attribute.as_int()


def _convolution(walk: _Walk, node: ir.Node) -> None:
    x, weight = node.inputs[:2]
    numbers = {
        name: [int(i) for i in node.attributes[name].as_ints()] if name in node.attributes else default
        for name, default in {"strides": [1, 1], "dilations": [1, 1], "pads": [0] * 4}.items()
    }
    auto = node.attributes.get("auto_pad")
    plain = auto is None or auto.as_string() == "NOTSET"
    if not walk.is_constant(weight) or len(walk.shape(x)) != 3 or _attribute(node, "group", 1) != 1 or not plain:
        raise UnknownError(f"Conv that is grouped, padded by itself or without constant weights ({_name(weight)})")
    array = walk.graph.weight(_name(weight))
    out, _, height, width = shape = sizes(array.shape)
    top, left, bottom, right = numbers["pads"]
    if len(node.inputs) > 2:
        end, bias = node.outputs[0], [Weight(walk.graph.weight(_name(node.inputs[2])))]
    else:
        end, bias = walk.bias(node.outputs[0], 0)
    params: dict[int, int | float | list[int]] = {
        **{0: out, 1: width, 11: height, 2: numbers["dilations"][1], 12: numbers["dilations"][0]},
        **{3: numbers["strides"][1], 13: numbers["strides"][0], 4: left, 14: top, 15: right, 16: bottom},
        **{5: len(bias), 6: math.prod(shape)},
    }
    walk.add("Convolution", [_name(x)], [end], params, Weight(array, tagged=True), *bias)


def _product(walk: _Walk, node: ir.Node) -> None:
    left, right = node.inputs
    if walk.is_constant(left):
        raise UnknownError(f"MatMul with a constant on its left ({_name(left)})")
    shape = walk.shape(left)
    if not walk.is_constant(right):
        other = walk.shape(right)
        if len(shape) < 2 or len(shape) != len(other) or shape[:-2] != other[:-2]:
            raise UnknownError(f"MatMul of {shape} and {other} ({_name(node.outputs[0])})")
        turns = _only(right.producer(), "Transpose") if right is not None else None
        if turns in walk.done and turns is not None:
            walk.add("MatMul", [_name(left), _name(turns.inputs[0])], node.outputs, {0: 1})
        else:
            walk.add("MatMul", [_name(left), _name(right)], node.outputs, {0: 0})
        return
    array = walk.graph.weight(_name(right))
    other = sizes(array.shape)
    if len(other) != 2 or len(shape) > 2:
        raise UnknownError(f"MatMul of {shape} with a constant of {other} ({_name(right)})")
    k, n = other
    end, bias = walk.bias(node.outputs[0], -1)
    weight = Weight(array, turned=True, tagged=True)
    if len(shape) == 1:
        walk.add("InnerProduct", [_name(left)], [end], {0: n, 1: len(bias), 2: n * k}, weight, *bias)
        return
    # B constant and turned; C constant, one value for each column, or none.
    params: dict[int, int | float | list[int]] = {2: 0, 3: 1, 4: 0, 5: 1, 6: 1, 7: shape[0], 8: n, 9: k}
    params[10] = 4 if bias else -1
    walk.add("Gemm", [_name(left)], [end], params, weight, *(Weight(one.array, tagged=True) for one in bias))


def _binary(walk: _Walk, node: ir.Node) -> None:
    if node.op_type == "Div" and _gelu(walk, node):
        return
    left, right = node.inputs
    out = walk.shape(node.outputs[0])
    for value, other, codes in ((right, left, _BINARY), (left, right, _REVERSED)):
        number = walk.scalar(value)
        if number is not None and walk.shape(other) == out:
            walk.add("BinaryOp", [_name(other)], node.outputs, {0: codes[node.op_type], 1: 1, 2: number})
            return
    (a, first), (b, second) = (walk.operand(value, len(out)) for value in (left, right))
    if not len(first) == len(second) == len(out):
        raise UnknownError(f"{node.op_type} of {first} and {second} ({_name(node.outputs[0])})")
    walk.add("BinaryOp", [a, b], node.outputs, {0: _BINARY[node.op_type]})


def _gelu(walk: _Walk, divides: ir.Node) -> bool:
    """GELU as `0.5 (x (1 + erf(x / sqrt(2))))`, as Paddle2ONNX writes it at any opset: one layer, the one with erf."""
    x, root = divides.inputs
    erf = _only(_reader(divides.outputs[0]), "Erf")
    adds = _only(_reader(erf.outputs[0]), "Add") if erf else None
    whole = _only(_reader(adds.outputs[0]), "Mul") if adds else None
    halves = _only(_reader(whole.outputs[0]), "Mul") if whole else None
    if not (erf and adds and whole and halves) or set(whole.inputs) != {x, adds.outputs[0]}:
        return False
    one, half = ([walk.scalar(value) for value in node.inputs if walk.is_constant(value)] for node in (adds, halves))
    if walk.scalar(root) != float(np.float32(math.sqrt(2))) or one != [1.0] or half != [0.5]:
        return False
    walk.done |= {erf, adds, whole, halves}
    walk.add("GELU", [_name(x)], halves.outputs, {0: 0})
    return True


def _norm(walk: _Walk, node: ir.Node) -> None:
    """ncnn normalises the rows of images of at most three dimensions, with a number for each place of a row."""
    x, *affine = node.inputs
    shape = walk.shape(x)
    last = _axis(node, _attribute(node, "axis", -1), len(shape)) == len(shape) - 1 and len(shape) <= 3
    if not last or len(affine) != 2 or not all(walk.is_constant(value) for value in affine) or len(node.outputs) > 1:
        raise UnknownError(f"LayerNormalization over several axes or without constants ({_name(node.outputs[0])})")
    epsilon = node.attributes["epsilon"].as_float() if "epsilon" in node.attributes else 1e-5
    weights = [Weight(walk.graph.weight(_name(value))) for value in affine]
    if any(np.size(weight.array) != shape[-1] for weight in weights):
        raise UnknownError(f"LayerNormalization whose scale or bias is spread over its axis ({_name(node.outputs[0])})")
    walk.add("LayerNorm", [_name(x)], node.outputs, {0: shape[-1], 1: epsilon, 2: 1}, *weights)


def _reshape(walk: _Walk, node: ir.Node) -> None:
    """The elements lie as they did: whatever the operator, the new shape says it all."""
    walk.add("Reshape", [_name(node.inputs[0])], node.outputs, _shape_params(walk.shape(node.outputs[0])))


def _transpose(walk: _Walk, node: ir.Node) -> None:
    order = list(node.attributes["perm"].as_ints())
    rank, end = len(order) - 1, node.outputs[0]
    if order[0] != 0:
        raise UnknownError(f"Transpose of the images' dimension ({_name(end)})")
    product = _only(_reader(end), "MatMul")
    last_two = [*range(rank - 1), rank, rank - 1]
    if product and order == last_two and product.inputs[1] is end and product.inputs[0] is not end and rank > 1:
        walk.done.add(node)  # MatMul takes it as it is
    elif rank == 1:
        _reshape(walk, node)
    else:
        axes = _AXES[rank]
        source = "".join(axes[i - 1] for i in reversed(order[1:]))
        walk.add("Permute", [_name(node.inputs[0])], node.outputs, {0: _ORDERS[rank].split().index(source)})


def _concat(walk: _Walk, node: ir.Node) -> None:
    rank = len(walk.shape(node.outputs[0]))
    axis = _axis(node, _attribute(node, "axis", 0), rank)
    walk.add("Concat", [walk.operand(value, rank)[0] for value in node.inputs], node.outputs, {0: axis})


def _split(walk: _Walk, node: ir.Node) -> None:
    axis = _axis(node, _attribute(node, "axis", 0), len(walk.shape(node.inputs[0])))
    sizes = [walk.shape(value)[axis] for value in node.outputs]
    walk.add("Slice", [_name(node.inputs[0])], node.outputs, {0: sizes, 1: axis})


def _slice(walk: _Walk, node: ir.Node) -> None:
    shape, out = walk.shape(node.inputs[0]), walk.shape(node.outputs[0])
    starts, ends, axes, steps = (walk.graph.whole_numbers(node, index) for index in range(1, 5))
    if starts is None or ends is None or any(step != 1 for step in steps or ()):
        raise UnknownError(f"Slice with steps ({_name(node.outputs[0])})")
    found = [_axis(node, axis, len(shape)) for axis in (range(len(starts)) if axes is None else axes)]
    first = [start if start >= 0 else max(start + shape[i], 0) for start, i in zip(starts, found, strict=True)]
    last = [start + out[i] for start, i in zip(first, found, strict=True)]
    walk.add("Crop", [_name(node.inputs[0])], node.outputs, {9: first, 10: last, 11: found})


def _softmax(walk: _Walk, node: ir.Node) -> None:
    axis = _axis(node, _attribute(node, "axis", -1), len(walk.shape(node.inputs[0])))
    walk.add("Softmax", [_name(node.inputs[0])], node.outputs, {0: axis, 1: 1})


def _unary(walk: _Walk, node: ir.Node) -> None:
    walk.add(_UNARY[node.op_type], [_name(node.inputs[0])], node.outputs)


_RULES: dict[str, Callable[[_Walk, ir.Node], None]] = {
    "Conv": _convolution,
    "MatMul": _product,
    "LayerNormalization": _norm,
    "Transpose": _transpose,
    "Concat": _concat,
    "Split": _split,
    "Slice": _slice,
    "Softmax": _softmax,
    **dict.fromkeys(_BINARY, _binary),
    **dict.fromkeys(_UNARY, _unary),
    **dict.fromkeys(("Reshape", "Squeeze", "Unsqueeze", "Flatten", "Identity"), _reshape),
}
