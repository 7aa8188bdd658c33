"""Rules for operators that stand in every block, and for the class token.

Each rule is one pattern that is replaced as a whole. Tensors that remain keep their names, by which a converted model
is compared with its Paddle program.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import onnx_ir as ir
from onnxscript.rewriter.pattern import RewriteRule


def constant(value: ir.Value) -> list[Any]:
    """The elements of a constant of the graph as a flat list, empty where it is none (a weight is none either)."""
    return [] if value.const_value is None else list(value.const_value.numpy().reshape(-1).tolist())


def again(op: Any, value: ir.Value, *inputs: ir.Value | None) -> ir.Value:
    """The operator that made `value`, with the same attributes and name, on other inputs."""
    node = maker(value)
    return _made(op.op(node.op_type, *inputs, _outputs=[value.name], **node.attributes))


def maker(value: ir.Value) -> ir.Node:
    node = value.producer()
    assert node is not None
    return node


def _made(value: Any) -> ir.Value:
    assert isinstance(value, ir.Value)
    return value


def heads() -> list[RewriteRule]:
    """q, k and v out of one linear layer: by one Split of the heads.

    Paddle has (batch, tokens, 3, heads, dim) -> (3, batch, heads, tokens, dim), takes that apart along the first axis
    and drops the axis three times: by `unbind` here, by indices in PaddleClas. Now 3 x heads stay one axis: (batch,
    tokens, 3 heads, dim) -> (batch, 3 heads, tokens, dim), which one Split takes apart.
    """
    return [RewriteRule(_attention(parts), _split_heads, _packs_three) for parts in (_unbound, _indexed)]


def _unbound(op: Any, packed: Any) -> list[Any]:
    three = op.Split(packed, [1, 1, 1], axis=0, _outputs=3)
    return [op.Squeeze(one, [0], _outputs=[name]) for one, name in zip(three, "qkv", strict=True)]


def _indexed(op: Any, packed: Any) -> list[Any]:
    sliced = (op.Slice(packed, [i], [i + 1], [0], [1]) for i in range(3))
    return [op.Squeeze(one, [0], _outputs=[name]) for one, name in zip(sliced, "qkv", strict=True)]


def _attention(parts: Callable[[Any, Any], list[Any]]) -> Callable[..., Any]:
    def pattern(op: Any, x: Any, shape: Any, scale: Any) -> Any:
        q, k, v = parts(op, op.Transpose(op.Reshape(x, shape), perm=[2, 0, 3, 1, 4]))
        turned = op.Transpose(k, perm=[0, 1, 3, 2], _outputs=["turned"])
        scaled = op.Mul(op.MatMul(q, turned, _outputs=["product"]), scale, _outputs=["scaled"])
        return op.MatMul(op.Softmax(scaled, axis=-1, _outputs=["weights"]), v, _outputs=["attended"])

    return pattern


def _packs_three(context: Any, shape: ir.Value, **_: Any) -> bool:
    sizes = constant(shape)
    return len(sizes) == 5 and sizes[2] == 3 and sizes[3] > 0


def _split_heads(op: Any, x: ir.Value, shape: ir.Value, scale: ir.Value, **found: ir.Value) -> ir.Value:
    batch, tokens, _, count, dim = constant(shape)
    flat = op.Reshape(x, op.Constant(value_ints=[batch, tokens, 3 * count, dim]))
    names, sizes = [found[name].name for name in "qkv"], op.Constant(value_ints=[count] * 3)
    q, k, v = op.Split(op.Transpose(flat, perm=[0, 2, 1, 3]), sizes, axis=1, _outputs=names)
    product = again(op, found["product"], q, again(op, found["turned"], k))
    weights = again(op, found["weights"], again(op, found["scaled"], product, scale))
    return again(op, found["attended"], weights, v)


def last_axis() -> list[RewriteRule]:
    """LayerNormalization over the last axis says so: -1 instead of its number.

    MNN 3.6 makes its own LayerNorm of that only, and writes any other out in nine operators.
    """

    def pattern(op: Any, x: Any, weight: Any, bias: Any) -> Any:
        return op.LayerNormalization(x, weight, bias, _outputs=["normed"])

    def check(context: Any, x: ir.Value, normed: ir.Value, **_: Any) -> bool:
        axis = maker(normed).attributes.get("axis")
        return x.shape is not None and axis is not None and axis.as_int() == len(x.shape) - 1

    def replace(op: Any, x: ir.Value, weight: ir.Value, bias: ir.Value, normed: ir.Value) -> ir.Value:
        return _made(
            op.LayerNormalization(x, weight, bias, _outputs=[normed.name], **{**maker(normed).attributes, "axis": -1})
        )

    return [RewriteRule(pattern, replace, check)]


def class_token() -> list[RewriteRule]:
    """A class token is expanded to (batch, 1, dim) without a detour over the larger of two shapes.

    Several tokens share that detour, so it is left to the removal of what nobody reads any more.
    """

    def pattern(op: Any, token: Any, patches: Any, least: Any) -> Any:
        batch = op.Unsqueeze(op.Squeeze(op.Slice(op.Shape(patches), [0], [1], [0], [1]), [0]), [0])
        return op.Expand(token, op.Max(least, op.Concat(batch, [-1], [-1], axis=0)), _outputs=["expanded"])

    def check(context: Any, token: ir.Value, least: ir.Value, **_: Any) -> bool:
        return token.shape is not None and constant(least) == list(token.shape) and token.shape[0] == 1

    def replace(op: Any, token: ir.Value, patches: ir.Value, least: ir.Value, expanded: ir.Value) -> ir.Value:
        zero, one = (op.Constant(value_ints=[i]) for i in range(2))
        rest = op.Constant(value_ints=constant(least)[1:])
        return again(op, expanded, token, op.Concat(op.Slice(op.Shape(patches), zero, one, zero), rest, axis=0))

    return [RewriteRule(pattern, replace, check, remove_nodes=False)]
