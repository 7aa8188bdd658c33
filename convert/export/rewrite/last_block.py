"""The last block for the class token alone, which is all that the head reads.

Behind its keys and values no operator mixes tokens: so queries, the output projection, the MLP and both norms behind
them are needed for token 0 only. That is 3/4 of the multiply-accumulates of the block's linear layers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import onnx_ir as ir
from onnxscript.rewriter.pattern import RewriteRule, Var

from convert.export.rewrite.rules import again, attributes, constant

Found = Mapping[str, ir.Value]
_MATRICES = ("proj_weight", "fc1_weight", "fc2_weight")


def last_block() -> list[RewriteRule]:
    """Token 0 is taken right after the last keys and values instead of after the last norm.

    The tensors in between keep their names and have one token: (batch, heads, 1, tokens) or (batch, 1, dim).
    """
    return [RewriteRule(_pattern, _for_token_0, _is_alike_for_all_tokens)]


def _pattern(op: Any, x: Any, q: Any, turned: Any, v: Any, scale: Any, joined: Any, axes: Any) -> Any:
    scaled = op.Mul(op.MatMul(q, turned, _outputs=["product"]), scale, _outputs=["scaled"])
    attended = op.MatMul(op.Softmax(scaled, axis=-1, _outputs=["weights"]), v, _outputs=["attended"])
    back = op.Transpose(attended, perm=[0, 2, 1, 3], _outputs=["back"])
    stream = op.Add(x, _linear(op, op.Reshape(back, joined, _outputs=["merged"]), "proj"), _outputs=["stream"])
    hidden = _linear(op, _norm(op, stream, "norm2"), "fc1")
    end = op.Add(stream, _linear(op, _gelu(op, hidden), "fc2"), _outputs=["end"])
    return op.Squeeze(op.Slice(_norm(op, end, "norm"), [0], [1], [1], [1]), axes, _outputs=["token"])


def _is_alike_for_all_tokens(context: Any, x: ir.Value, q: ir.Value, **found: ir.Value) -> bool:
    """Whether the head reads token 0, and nothing on the way depends on which token it is: no bias, scale or norm."""
    vectors = [value for name, value in found.items() if name.endswith(("_weight", "_bias")) and name not in _MATRICES]
    scalars = [found[name] for name in ("scale", "root", "one", "half")]
    return (
        (_rank(x), _rank(q), len(constant(found["joined"]))) == (3, 4, 3)
        and _sizes(x) == _sizes(found["stream"])  # x is not broadcast
        and all(_rank(value) == 1 for value in vectors)
        and all(_rank(found[name]) == 2 for name in _MATRICES)
        and all(len(constant(value)) == 1 for value in scalars)
        and all(attributes(found[name])["axis"].as_int() == -1 for name in ("norm2", "norm"))
        and constant(found["axes"]) == [1]
    )


def _sizes(value: ir.Value) -> list[Any] | None:
    """Tokens and channels of (batch, tokens, channels)."""
    return None if value.shape is None else list(value.shape[1:])


def _rank(value: ir.Value) -> int | None:
    return None if value.shape is None else len(value.shape)


def _for_token_0(op: Any, x: ir.Value, q: ir.Value, turned: ir.Value, v: ir.Value, **found: ir.Value) -> ir.Value:
    batch, _, dim = constant(found["joined"])
    zero, one, two = (op.Constant(value_ints=[i]) for i in range(3))
    product = again(op, found["product"], op.Slice(q, zero, one, two, one), turned)
    weights = again(op, found["weights"], again(op, found["scaled"], product, found["scale"]))
    back = again(op, found["back"], again(op, found["attended"], weights, v))
    merged = again(op, found["merged"], back, op.Constant(value_ints=[batch, 1, dim]))
    token = op.Slice(x, zero, one, one, one)
    stream = again(op, found["stream"], token, _linear_again(op, merged, "proj", found))
    hidden = _linear_again(op, _norm_again(op, stream, "norm2", found), "fc1", found)
    end = again(op, found["end"], stream, _linear_again(op, _gelu_again(op, hidden, found), "fc2", found))
    return again(op, found["token"], _norm_again(op, end, "norm", found), found["axes"])


def _linear(op: Any, x: Any, name: str) -> Any:
    product = op.MatMul(x, Var(f"{name}_weight"), _outputs=[f"{name}_product"])
    return op.Add(product, Var(f"{name}_bias"), _outputs=[name])


def _linear_again(op: Any, x: ir.Value, name: str, found: Found) -> ir.Value:
    product = again(op, found[f"{name}_product"], x, found[f"{name}_weight"])
    return again(op, found[name], product, found[f"{name}_bias"])


def _norm(op: Any, x: Any, name: str) -> Any:
    return op.LayerNormalization(x, Var(f"{name}_weight"), Var(f"{name}_bias"), _outputs=[name])


def _norm_again(op: Any, x: ir.Value, name: str, found: Found) -> ir.Value:
    return again(op, found[name], x, found[f"{name}_weight"], found[f"{name}_bias"])


def _gelu(op: Any, x: Any) -> Any:
    """Exact GELU as Paddle2ONNX writes it out, at any opset."""
    erf = op.Erf(op.Div(x, Var("root"), _outputs=["divided"]), _outputs=["erf"])
    whole = op.Mul(x, op.Add(erf, Var("one"), _outputs=["sum"]), _outputs=["whole"])
    return op.Mul(whole, Var("half"), _outputs=["gelu"])


def _gelu_again(op: Any, x: ir.Value, found: Found) -> ir.Value:
    erf = again(op, found["erf"], again(op, found["divided"], x, found["root"]))
    whole = again(op, found["whole"], x, again(op, found["sum"], erf, found["one"]))
    return again(op, found["gelu"], whole, found["half"])
