"""The last block for the class token alone, which is all that the head reads.

Behind its keys and values no operator mixes tokens: so queries, the output projection, the MLP and both norms behind
them are needed for token 0 only. That is 3/4 of the multiply-accumulates of the block's linear layers.
"""

from __future__ import annotations

from typing import Any

import onnx_ir as ir
from onnxscript.rewriter.pattern import RewriteRule, Var

from convert.export.rewrite.rules import again, constant, maker

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
        and all(maker(found[name]).attributes["axis"].as_int() == -1 for name in ("norm2", "norm"))
        and constant(found["axes"]) == [1]
    )


def _sizes(value: ir.Value) -> list[Any] | None:
    """Tokens and channels of (batch, tokens, channels)."""
    return None if value.shape is None else list(value.shape[1:])


def _rank(value: ir.Value) -> int | None:
    return None if value.shape is None else len(value.shape)


def _for_token_0(op: Any, x: ir.Value, q: ir.Value, **found: ir.Value) -> ir.Value:
    batch, _, dim = constant(found["joined"])
    zero, one, two = (op.Constant(value_ints=[i]) for i in range(3))
    # What stands in for a tensor of all tokens.
    made: dict[ir.Value | None, ir.Value] = {q: op.Slice(q, zero, one, two, one)}

    def remake(names: str) -> None:
        for value in (found[name] for name in names.split()):
            made[value] = again(op, value, *(made.get(read, read) for read in maker(value).inputs))

    remake("product scaled weights attended back")
    made[found["joined"]] = op.Constant(value_ints=[batch, 1, dim])
    remake("merged")
    made[x] = op.Slice(x, zero, one, one, one)
    remake("proj_product proj stream norm2 fc1_product fc1 divided erf sum whole gelu fc2_product fc2 end norm")
    return again(op, found["token"], made[found["norm"]], found["axes"])


def _linear(op: Any, x: Any, name: str) -> Any:
    product = op.MatMul(x, Var(f"{name}_weight"), _outputs=[f"{name}_product"])
    return op.Add(product, Var(f"{name}_bias"), _outputs=[name])


def _norm(op: Any, x: Any, name: str) -> Any:
    return op.LayerNormalization(x, Var(f"{name}_weight"), Var(f"{name}_bias"), _outputs=[name])


def _gelu(op: Any, x: Any) -> Any:
    """Exact GELU as Paddle2ONNX writes it out, at any opset."""
    erf = op.Erf(op.Div(x, Var("root"), _outputs=["divided"]), _outputs=["erf"])
    whole = op.Mul(x, op.Add(erf, Var("one"), _outputs=["sum"]), _outputs=["whole"])
    return op.Mul(whole, Var("half"), _outputs=["gelu"])
