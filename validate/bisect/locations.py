"""Where in a vision transformer an operator stands: `blocks.7.attn.qkv`, whatever its weights are called."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from convert.families.base import ModelSpec
from validate.bisect.paddle_program import PaddleOperator, PaddleProgram

EMBEDDING, HEAD = "embedding", "head"
_DOTTED = re.compile(r".*\.\d+\..+\.\w+")  # blocks.7.attn.qkv.weight


@dataclass(frozen=True)
class Location:
    """block: `embedding`, `blocks.7` or `head`. layer: the block, or what of it: `blocks.7.attn.qkv`."""

    block: str
    layer: str


def locate(program: PaddleProgram, parts: Sequence[str] = ModelSpec.block_parts) -> dict[int, Location]:
    """The place of each operator that works on activations, by its index. parts: of a block, as its family says.

    Blocks are counted: each has one LayerNorm for each of its parts and one Softmax. One LayerNorm more is the final
    one, and any more than that stand before the first block. A program without a Softmax is one block.
    """
    count = len(parts)
    operators = [one for one in program.operators if program.operands(one)]
    norms = sum(one.kind == "layer_norm" for one in operators)
    depth = sum(one.kind == "softmax" for one in operators)
    if not depth or norms < count * depth:
        return {one.index: Location("model", _layer(program.parameters_of(one)) or "model") for one in operators}
    first = max(norms - count * depth - 1, 0)
    seen, part, found = 0, EMBEDDING, {}
    for operator in operators:
        parameters = program.parameters_of(operator)
        if operator.kind == "layer_norm":
            seen += 1
            inside = seen - 1 - first
            if inside >= 0:
                part = HEAD if inside >= count * depth else f"blocks.{inside // count}"
        block = part
        inside = seen - 1 - first
        layer = block
        named = _layer(parameters)
        if named and (_dotted(parameters) or block in (EMBEDDING, HEAD)):
            layer = named
        elif block.startswith("blocks"):
            if operator.kind == "layer_norm":
                layer = f"{block}.norm{inside % count + 1}"
            elif not _residual(program, operator):
                layer = f"{block}.{parts[inside % count]}"
            if named:
                layer += f" ({named})"
        found[operator.index] = Location(block, layer)
    return found


def _layer(parameters: tuple[str, ...]) -> str | None:
    """The layer that parameters belong to: their name without its last part."""
    return parameters[0].rsplit(".", 1)[0] if parameters else None


def _dotted(parameters: tuple[str, ...]) -> bool:
    return bool(parameters) and _DOTTED.fullmatch(parameters[0]) is not None


def _residual(program: PaddleProgram, operator: PaddleOperator) -> bool:
    return operator.kind == "add" and len(program.operands(operator)) == 2
