"""Which tensor of the ONNX graph is which value of the Paddle program: by name, by structure, else by order."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from validate.bisect.onnx_graph import OnnxGraph, OnnxNode
from validate.bisect.paddle_program import PaddleOperator, PaddleProgram

# Paddle2ONNX calls output 0 of the fourth matmul `p2o.pd_op.matmul.3.0`, and element 2 of a list `….0_2`.
_NAME = re.compile(r"p2o\.pd_op\.(\w+)\.(\d+)\.(\d+)(?:_(\d+))?")

# ONNX operator -> the Paddle operators that it may stand for on its own.
_SAME = {
    "Conv": ("conv2d", "depthwise_conv2d"),
    "LayerNormalization": ("layer_norm",),
    "MatMul": ("matmul",),
    "Softmax": ("softmax",),
    "Gelu": ("gelu",),
    "Add": ("add",),
    "Mul": ("scale", "multiply"),
    "Div": ("divide", "scale"),
    "Sub": ("subtract",),
    "Reshape": ("reshape", "flatten", "squeeze", "unsqueeze"),
    "Flatten": ("flatten",),
    "Transpose": ("transpose",),
    "Concat": ("concat",),
    "Expand": ("expand",),
    "Squeeze": ("squeeze", "slice"),
    "Unsqueeze": ("unsqueeze",),
    "Slice": ("slice",),
    "Relu": ("relu",),
    "Tanh": ("tanh",),
    "Sigmoid": ("sigmoid",),
}
_COMMUTE = ("Add", "Mul")
# Of these the k-th of the graph is the k-th of the program, if there are as many.
_ANCHORS = ("Conv", "LayerNormalization", "MatMul", "Softmax")
# What may stand between two operators and hands on what it got, as far as Paddle's program is concerned.
PASSING = ("Cast", "Identity", "Gather", "GatherND", "Slice", "Dropout", "ReverseSequence", "Reshape", "ScatterND")


@dataclass(frozen=True)
class Alignment:
    """values: tensor -> value of the Paddle program. Several tensors may be one value, see `passes`.

    parts: tensor -> the axis along which it holds only the first of what Paddle's value has there. Where the head reads
    the class token alone, the last block need not compute the others.
    """

    graph: OnnxGraph
    program: PaddleProgram
    values: Mapping[str, int]
    parts: Mapping[str, int] = field(default_factory=dict)

    def part(self, tensor: str, value: np.ndarray) -> np.ndarray:
        """What a tensor has to be, of Paddle's whole value."""
        return value.take([0], self.parts[tensor]) if tensor in self.parts else value

    def whole(self, tensor: str, array: np.ndarray) -> np.ndarray:
        """A value for Paddle whose first part is this tensor: all are. What tensors are parts of mixes no tokens."""
        if tensor not in self.parts:
            return array
        axis = self.parts[tensor]
        return np.repeat(array, self.program.shapes[self.values[tensor]][axis], axis)

    def passes(self, node: OnnxNode) -> str | None:
        """The input of a node whose output is the same value to Paddle, which has no such operator; else None."""
        (source, *rest) = self.graph.operands(node) or (None,)
        if source is None or rest or source not in self.values:
            return None
        return source if self.values[source] == self.values.get(node.outputs[0]) else None

    def own(self) -> list[str]:
        """The tensors, in the graph's order, whose value comes from the operator before them. One for each value."""
        found: dict[int, str] = {}
        for node in self.graph.nodes:
            for tensor in node.outputs:
                if tensor in self.values and not self.passes(node):
                    found.setdefault(self.values[tensor], tensor)
        return list(found.values())

    @cached_property
    def _own(self) -> frozenset[str]:
        return frozenset(self.own())

    def is_own(self, tensor: str) -> bool:
        """Whether Paddle's program has the operator that a tensor comes from."""
        return tensor in self._own

    def name(self, tensor: str) -> str:
        """What people call the operator that a tensor comes from: its ONNX name; GELU, which may be written out."""
        maker = self.program.maker.get(self.values[tensor])
        return "GELU" if self.is_own(tensor) and maker and maker.kind == "gelu" else self._main(tensor).kind

    def _main(self, tensor: str) -> OnnxNode:
        """The node of a region that is the operator of Paddle's program; the last one where there is none."""
        nodes = self.region(tensor)
        maker = self.program.maker.get(self.values[tensor]) if self.is_own(tensor) else None
        kinds = [maker.kind in _SAME.get(node.kind, ()) if maker else False for node in nodes]
        return nodes[max((i for i, same in enumerate(kinds) if same), default=len(nodes) - 1)]

    def inputs(self, tensor: str) -> list[str]:
        """The activations that an operator takes, before they are cast to what it computes in."""
        if self.name(tensor) == "GELU":
            return self.sources(tensor)
        found = []
        for operand in self.graph.operands(self._main(tensor)):
            while (node := self.graph.maker.get(operand)) and node.kind == "Cast":
                (operand,) = self.graph.operands(node)
            found.append(operand)
        return list(dict.fromkeys(found))

    def before(self, tensor: str, known: Container[str]) -> str:
        """The known tensor that a tensor, which only hands on a value, has it from."""
        source = self.passes(self.graph.maker[tensor])
        while source is not None and source not in known and source != self.graph.input:
            source = self.passes(self.graph.maker[source])
        assert source is not None
        return source

    def region(self, tensor: str) -> list[OnnxNode]:
        """The nodes, in order, that make a tensor of tensors that are values too."""
        found: dict[int, OnnxNode] = {}
        waiting = [tensor]
        while waiting:
            node = self.graph.maker.get(waiting.pop())
            if node is None or node.index in found:
                continue
            found[node.index] = node
            for operand in self.graph.operands(node):
                source = self.graph.maker.get(operand)
                if operand not in self.values or (source and source.kind == "Cast"):
                    waiting.append(operand)
        return [found[index] for index in sorted(found)]

    def sources(self, tensor: str) -> list[str]:
        """The tensors that a region takes, in order."""
        nodes = self.region(tensor)
        made = {name for node in nodes for name in node.outputs}
        return list(dict.fromkeys(name for node in nodes for name in self.graph.operands(node) if name not in made))


def align(graph: OnnxGraph, program: PaddleProgram) -> Alignment:
    """Match a graph with the program that it was made from.

    Names tell most of it. What they do not tell (biases, scales, models whose tensors somebody has renamed) follows
    from the operands, and where even weights are called otherwise, from the order.
    """
    matcher = _Matcher(graph, program)
    matcher.by_name()
    matcher.by_structure()
    matcher.by_order()
    matcher.by_structure()
    return Alignment(graph, program, matcher.values, matcher.parts)


class _Matcher:
    def __init__(self, graph: OnnxGraph, program: PaddleProgram) -> None:
        self.graph, self.program = graph, program
        self.values: dict[str, int] = {graph.input: program.input, graph.output: program.output}
        self.parts: dict[str, int] = {}
        self.taken = {program.input}  # values that an operator of the graph has made
        self.number = {name: value for value, name in program.parameters.items()}

    def set(self, tensor: str, value: int) -> bool:
        """Take a tensor for a value, or for a part of it, if the shapes agree as far as both are known."""
        if tensor in self.values or value not in self.program.activations:
            return False
        mine, theirs = self.graph.shapes.get(tensor), self.program.shapes.get(value)
        if not _alike(mine, theirs):
            axis = _part(mine, theirs)
            if axis is None:
                return False
            self.parts[tensor] = axis
        self.values[tensor] = value
        return True

    def by_name(self) -> None:
        operators = {(one.label, one.number): one for one in self.program.operators}
        for tensor in self.graph.activations:
            found = _NAME.fullmatch(tensor)
            if not found:
                continue
            label, number, output, element = found.groups()
            operator = operators.get((label, int(number)))
            position = int(element or output)
            if operator and position < len(operator.outputs):
                self.set(tensor, operator.outputs[position])

    def by_structure(self) -> None:
        """Until nothing new is found: an operator whose operands are known is the one that has these operands."""
        while sum(self._step(node) for node in self.graph.nodes):
            pass

    def by_order(self) -> None:
        for kind in _ANCHORS:
            nodes = [n for n in self.graph.nodes if n.kind == kind and n.outputs[0] in self.graph.activations]
            operators = [
                one for one in self.program.operators if one.kind in _SAME[kind] and self.program.operands(one)
            ]
            if len(nodes) == len(operators):
                for node, operator in zip(nodes, operators, strict=True):
                    self.set(node.outputs[0], operator.outputs[0])

    def _step(self, node: OnnxNode) -> bool:
        if not node.outputs or node.outputs[0] not in self.graph.activations:
            return False
        value = self.values.get(node.outputs[0])
        if value is not None:
            return self._backward(node, self.program.maker.get(value))
        operator = self._by_parameter(node) or self._by_operands(node)
        if operator:
            self.taken.add(operator.outputs[0])
            return self.set(node.outputs[0], operator.outputs[0])
        operands = self.graph.operands(node)
        if node.kind in PASSING and len(operands) == 1 and operands[0] in self.values:
            shapes = [self.graph.shapes.get(tensor) for tensor in (node.outputs[0], operands[0])]
            if _alike(*shapes) or (_part(*shapes) is not None and self._takes_first(node)):
                return self.set(node.outputs[0], self.values[operands[0]])
        return False

    def _takes_first(self, node: OnnxNode) -> bool:
        """Whether a Slice starts at 0, so that it takes the first part along an axis."""
        return node.kind == "Slice" and self.graph.scalar(node.inputs[1]) == 0

    def _backward(self, node: OnnxNode, operator: PaddleOperator | None) -> bool:
        """The only operand of a known operator is that operator's operand."""
        if not operator or operator.kind not in _SAME.get(node.kind, ()):
            return False
        mine, theirs = self.graph.operands(node), self.program.operands(operator)
        return len(mine) == len(theirs) == 1 and self.set(mine[0], theirs[0])

    def _by_parameter(self, node: OnnxNode) -> PaddleOperator | None:
        names = [name for name in node.inputs if name in self.number]
        for operator in self._users(self.number[name] for name in names):
            if node.kind == "Gemm" and operator.kind == "matmul":
                return self._bias_of(operator)
            if operator.kind in _SAME.get(node.kind, ()) and self.program.operands(operator):
                return operator
        return None

    def _bias_of(self, operator: PaddleOperator) -> PaddleOperator | None:
        """The addition behind a matrix product: a Gemm is both."""
        users = self.program.users.get(operator.outputs[0], [])
        return users[0] if len(users) == 1 and users[0].kind == "add" else None

    def _by_operands(self, node: OnnxNode) -> PaddleOperator | None:
        operands = self.graph.operands(node)
        if not operands or any(tensor not in self.values for tensor in operands):
            return None
        wanted = [self.values[tensor] for tensor in operands]
        for operator in self._users(wanted):
            theirs = list(self.program.operands(operator))
            same = sorted(theirs) == sorted(wanted) if node.kind in _COMMUTE else theirs == wanted
            if same and operator.kind in _SAME.get(node.kind, ()) and not self._made(operator, node):
                return operator
        return None

    def _made(self, operator: PaddleOperator, node: OnnxNode) -> bool:
        value = operator.outputs[0]
        return value in self.taken or any(
            self.values.get(tensor) == value
            for other in self.graph.nodes
            if other.index != node.index
            for tensor in other.outputs
            if other.kind not in PASSING
        )

    def _users(self, values: Iterable[int]) -> list[PaddleOperator]:
        found = {one.index: one for value in values for one in self.program.users.get(value, ())}
        return [found[index] for index in sorted(found)]


def _alike(shape: tuple[int, ...] | None, other: tuple[int, ...] | None) -> bool:
    """Whether two shapes agree as far as both are known."""
    if shape is None or other is None:
        return True
    return len(shape) == len(other) and all(a == b or -1 in (a, b) for a, b in zip(shape, other, strict=True))


def _part(shape: tuple[int, ...] | None, whole: tuple[int, ...] | None) -> int | None:
    """The only axis along which a shape is 1 and the other is more; None where they differ otherwise."""
    if shape is None or whole is None or len(shape) != len(whole):
        return None
    apart = [axis for axis, (mine, theirs) in enumerate(zip(shape, whole, strict=True)) if mine == 1 < theirs]
    if len(apart) != 1:
        return None
    (axis,) = apart
    return axis if _alike(shape[:axis] + shape[axis + 1 :], whole[:axis] + whole[axis + 1 :]) else None
