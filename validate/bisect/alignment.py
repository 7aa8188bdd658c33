"""Which tensor of the ONNX graph is which value of the Paddle program: by name, by structure, else by order."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from validate.bisect.onnx_graph import OnnxGraph, OnnxNode
from validate.bisect.paddle_program import PaddleOperator, PaddleProgram

# Paddle2ONNX calls output 0 of the fourth matmul `p2o.pd_op.matmul.3.0`, and element 2 of a list `….0_2`.
_NAME = re.compile(r"p2o\.pd_op\.(\w+)\.(\d+)\.(\d+)(?:_(\d+))?")

# ONNX operator -> the Paddle operators that it may stand for on its own, beside the one of its own name.
_ALSO = {
    "Conv": ("conv2d", "depthwise_conv2d"),
    "LayerNormalization": ("layer_norm",),
    "Mul": ("scale", "multiply"),
    "Div": ("divide", "scale"),
    "Sub": ("subtract",),
    "Reshape": ("flatten", "squeeze", "unsqueeze"),
    "Squeeze": ("slice",),
}
_COMMUTE = ("Add", "Mul")
# Of these the k-th of the graph is the k-th of the program, if there are as many.
_ANCHORS = ("Conv", "LayerNormalization", "MatMul", "Softmax")
# What may stand between two operators and hands on what it got, as far as Paddle's program is concerned.
PASSING = ("Cast", "Identity", "Gather", "GatherND", "Slice", "Dropout", "ReverseSequence", "Reshape", "ScatterND")


@dataclass(frozen=True)
class Alignment:
    """values: tensor -> value of the Paddle program. Several tensors may be one value, see `passing`.

    parts: tensor -> the axis along which it holds only the first of what Paddle's value has there. Where the head reads
    the class token alone, the last block need not compute the others.
    """

    graph: OnnxGraph
    program: PaddleProgram
    values: Mapping[str, int]
    parts: dict[str, int] = field(default_factory=dict)

    def learn(self, tensor: str, shape: tuple[int, ...]) -> None:
        """Take a shape from the runtime where the graph does not tell it: behind operators of no standard, as fused."""
        if tensor in self.values and tensor not in self.graph.shapes:
            axis = _part(shape, self.program.shapes.get(self.values[tensor]))
            if axis is not None:
                self.parts[tensor] = axis

    def part(self, tensor: str, value: np.ndarray) -> np.ndarray:
        """What a tensor has to be, of Paddle's whole value."""
        return value.take([0], self.parts[tensor]) if tensor in self.parts else value

    def whole(self, tensor: str, array: np.ndarray) -> np.ndarray:
        """A value for Paddle whose first part is this tensor: all are. What tensors are parts of mixes no tokens."""
        if tensor not in self.parts:
            return array
        axis = self.parts[tensor]
        return np.repeat(array, self.program.shapes[self.values[tensor]][axis], axis)

    @cached_property
    def passing(self) -> dict[str, str]:
        """Tensor -> the one that it has its value from, through an operator that Paddle's program does not have."""
        found: dict[str, str] = {}
        for node in self.graph.nodes:
            operands = self.graph.operands(node)
            if len(operands) == 1 and operands[0] in self.values:
                (source,) = operands
                if self.values[source] == self.values.get(node.outputs[0]):
                    found |= dict.fromkeys(node.outputs, source)
        return found

    @cached_property
    def own(self) -> dict[str, PaddleOperator]:
        """Tensor, in the graph's order -> the operator of Paddle's program that it comes from. One for each value."""
        found: dict[int, str] = {}
        for node in self.graph.nodes:
            for tensor in node.outputs:
                if self.values.get(tensor) in self.program.maker and tensor not in self.passing:
                    found.setdefault(self.values[tensor], tensor)
        return {tensor: self.program.maker[value] for value, tensor in found.items()}

    def name(self, tensor: str) -> str:
        """What people call the operator that a tensor comes from: its ONNX name; GELU, which may be written out."""
        operator = self.own.get(tensor)
        return "GELU" if operator and operator.kind == "gelu" else self._main(tensor).kind

    def _main(self, tensor: str) -> OnnxNode:
        """The node of a region that is the operator of Paddle's program; the last one where there is none."""
        nodes, operator = self.region(tensor), self.own.get(tensor)
        same = [node for node in nodes if operator and _stands_for(node, operator)]
        return (same or nodes)[-1]

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
        """The known tensor that a tensor, which only hands on a value, has it from; else the graph's input."""
        source = self.passing[tensor]
        while source not in known and source != self.graph.input:
            source = self.passing[source]
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
    for match in (matcher.by_name, matcher.by_structure, matcher.by_order, matcher.by_structure):
        match()
    return Alignment(graph, program, matcher.values, matcher.parts)


class _Matcher:
    def __init__(self, graph: OnnxGraph, program: PaddleProgram) -> None:
        self.graph, self.program = graph, program
        self.values: dict[str, int] = {graph.input: program.input, graph.output: program.output}
        self.parts: dict[str, int] = {}
        last = graph.maker.get(graph.output)
        # Values that an operator of the graph makes.
        self.taken = {program.output} if last and last.kind not in PASSING else set()

    def set(self, tensor: str, value: int) -> bool:
        """Take a tensor for a value, or for a part of it, if the shapes agree as far as both are known."""
        if tensor in self.values or value not in self.program.activations:
            return False
        mine, theirs = self.graph.shapes.get(tensor), self.program.shapes.get(value)
        if not _alike(mine, theirs):
            axis, node = _part(mine, theirs), self.graph.maker[tensor]
            # A Slice takes the first part if it starts at 0: DeiT's distillation token is the second.
            if axis is None or (node.kind == "Slice" and self.graph.scalar(node.inputs[1]) != 0):
                return False
            self.parts[tensor] = axis
        self.values[tensor] = value
        if self.graph.maker[tensor].kind not in PASSING:
            self.taken.add(value)
        return True

    def by_name(self) -> None:
        operators = {(one.label, one.number): one for one in self.program.operators}
        for tensor in self.graph.activations:
            if found := _NAME.fullmatch(tensor):
                label, number, output, element = found.groups()
                operator = operators.get((label, int(number)))
                position = int(element or output)
                if operator and position < len(operator.outputs):
                    self.set(tensor, operator.outputs[position])

    def by_structure(self) -> None:
        """Until nothing new is found: an operator whose operands are known is the one that has these operands."""
        nodes = [node for node in self.graph.nodes if self.graph.activations & set(node.outputs[:1])]
        while sum(self._step(node) for node in nodes):
            pass

    def by_order(self) -> None:
        for kind in _ANCHORS:
            nodes = [node for node in self.graph.nodes if node.kind == kind and self.graph.operands(node)]
            operators = [one for one in self.program.operators if nodes and _stands_for(nodes[0], one)]
            operators = [one for one in operators if self.program.operands(one)]
            if len(nodes) == len(operators):
                for node, operator in zip(nodes, operators, strict=True):
                    self.set(node.outputs[0], operator.outputs[0])

    def _step(self, node: OnnxNode) -> bool:
        tensor, operands = node.outputs[0], self.graph.operands(node)
        if tensor in self.values:
            return self._backward(node, self.program.maker.get(self.values[tensor]))
        operator = self._by_operands(node)
        if operator:
            self.taken.add(operator.outputs[0])
            return self.set(tensor, operator.outputs[0])
        if node.kind in PASSING and len(operands) == 1 and operands[0] in self.values:
            mine, theirs = self.graph.shapes.get(tensor), self.graph.shapes.get(operands[0])
            if node.kind == "Slice" or _alike(mine, theirs):
                return self.set(tensor, self.values[operands[0]])
        return False

    def _backward(self, node: OnnxNode, operator: PaddleOperator | None) -> bool:
        """The only operand of a known operator is that operator's operand."""
        if not operator or not _stands_for(node, operator):
            return False
        mine, theirs = self.graph.operands(node), self.program.operands(operator)
        return len(mine) == len(theirs) == 1 and self.set(mine[0], theirs[0])

    def _by_operands(self, node: OnnxNode) -> PaddleOperator | None:
        wanted = [self.values.get(tensor) for tensor in self.graph.operands(node)]
        for operator in self.program.users.get(wanted[0], ()) if wanted and wanted[0] is not None else ():
            theirs = list(self.program.operands(operator))
            same = Counter(theirs) == Counter(wanted) if node.kind in _COMMUTE else theirs == wanted
            if same and _stands_for(node, operator) and operator.outputs[0] not in self.taken:
                return operator
        return None


def _stands_for(node: OnnxNode, operator: PaddleOperator) -> bool:
    return operator.kind == node.kind.lower() or operator.kind in _ALSO.get(node.kind, ())


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
