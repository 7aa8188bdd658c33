"""Where in a vision transformer an operator stands: `blocks.7.attn.qkv`, whatever its weights are called."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from convert.families.base import ModelSpec
from validate.bisect.paddle_program import PaddleProgram

EMBEDDING, HEAD = "embedding", "head"
_DOTTED = re.compile(r".*\.\d+\..+\.\w+")  # blocks.7.attn.qkv.weight


@dataclass(frozen=True)
class Location:
    """block: `embedding`, `blocks.7` or `head`. layer: the block, or what of it: `blocks.7.attn.qkv`."""

    block: str
    layer: str


def locate(program: PaddleProgram, spec: ModelSpec | None = None) -> dict[int, Location]:
    """The place of each operator that works on activations, by its index. spec: None for a plain one's blocks.

    Blocks are counted: each has one LayerNorm for each of its parts and one Softmax. One LayerNorm more is the final
    one, and any more than that stand before the first block, but for those between blocks that the family names. A
    program without a Softmax is one block.
    """
    parts: Sequence[str] = spec.block_parts if spec else ModelSpec.block_parts
    count = len(parts)
    operators = [one for one in program.operators if program.operands(one)]
    between = {one.index: _between(program.parameters_of(one), spec) for one in operators if one.kind == "layer_norm"}
    norms = list(between.values()).count(None)
    depth = sum(one.kind == "softmax" for one in operators)
    if not depth or norms < count * depth:
        return {one.index: Location("model", _layer(program.parameters_of(one)) or "model") for one in operators}
    inside, found = -1 - max(norms - count * depth - 1, 0), {}  # how many parts of blocks have begun, less one
    aside: str | None = None  # the layer between blocks that this stands in
    for operator in operators:
        norm = operator.kind == "layer_norm"
        if norm:
            aside = between[operator.index]
            inside += aside is None
        parameters = program.parameters_of(operator)
        named = _layer(parameters)
        if aside is not None:
            block, layer = aside, named or aside
        elif not 0 <= inside < count * depth:
            block = EMBEDDING if inside < 0 else HEAD
            layer = named or block
        else:
            number = inside // count
            block = layer = spec.block_name(number) if spec else f"blocks.{number}"
            if norm:
                layer += f".norm{inside % count + 1}"
            elif operator.kind != "add" or len(program.operands(operator)) != 2:  # the residual is of no part
                layer += f".{parts[inside % count]}"
            if named:
                layer = named if _DOTTED.fullmatch(parameters[0]) else f"{layer} ({named})"
        found[operator.index] = Location(block, layer)
    return found


def _between(parameters: tuple[str, ...], spec: ModelSpec | None) -> str | None:
    """The layer between blocks that a LayerNorm is of; None for one of a block, and for the first and the last."""
    layer = (_layer(parameters) or "").rpartition(".")[0]
    return layer if spec and layer.endswith(spec.between_blocks) else None


def _layer(parameters: tuple[str, ...]) -> str | None:
    """The layer that parameters belong to: their name without its last part."""
    return parameters[0].rsplit(".", 1)[0] if parameters else None
