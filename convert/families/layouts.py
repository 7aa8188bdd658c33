"""How other frameworks lay out a vision transformer's weights, and how PaddleClas' state dict is made from them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from convert.families.spec import ModelSpec
from convert.weights.tensors import Array, Shape


@dataclass(frozen=True)
class Piece:
    """One tensor of PaddleClas' state dict: what a file must hold for it (name: shape), and how that becomes it.

    join: arrays in the order of `parts` to the tensor; any strides, any float dtype.
    """

    parts: dict[str, Shape]
    join: Callable[..., Array]


Layout = dict[str, Piece]  # PaddleClas' name to what it is made of


def paddle(spec: ModelSpec) -> Layout:
    """PaddleClas' own: names and shapes of `spec.state_shapes()`."""
    return {name: Piece({name: shape}, _same) for name, shape in spec.state_shapes().items()}


def pytorch(spec: ModelSpec) -> Layout:
    """PaddleClas' names with Linear weights, the only matrices, as (out, in): pytorch-image-models' files."""
    return {
        name: Piece({name: shape[::-1]}, np.transpose) if len(shape) == 2 else Piece({name: shape}, _same)
        for name, shape in spec.state_shapes().items()
    }


def jax(spec: ModelSpec) -> Layout:
    """The `.npz` files of google-research/vision_transformer.

    Names as Flax gives them to the modules of its `vit_jax/models_vit.py`. A Dense kernel is (in, out), a convolution's
    (height, width, in, out), and attention keeps its heads apart: (dim, heads, dim of a head) for query, key and value,
    (heads, dim of a head, dim) for out.
    """
    dim, heads = spec.embed_dim, spec.num_heads
    split = (heads, dim // heads)
    shapes = spec.state_shapes()

    def plain(name: str, key: str) -> tuple[str, Piece]:
        return name, Piece({key: shapes[name]}, _same)

    def affine(name: str, key: str, weight: str) -> list[tuple[str, Piece]]:
        return [plain(f"{name}.weight", f"{key}/{weight}"), plain(f"{name}.bias", f"{key}/bias")]

    patch = spec.patch_size
    pieces = [
        plain("pos_embed", "Transformer/posembed_input/pos_embedding"),
        plain("cls_token", "cls"),
        ("patch_embed.proj.weight", Piece({"embedding/kernel": (patch, patch, 3, dim)}, _convolution)),
        plain("patch_embed.proj.bias", "embedding/bias"),
    ]
    for i in range(spec.depth):
        block, key = f"blocks.{i}", f"Transformer/encoderblock_{i}"
        attention = f"{key}/MultiHeadDotProductAttention_1"
        packed = [f"{attention}/{part}" for part in ("query", "key", "value")]
        pieces += affine(f"{block}.norm1", f"{key}/LayerNorm_0", "scale")
        pieces.append(
            (f"{block}.attn.qkv.weight", Piece({f"{x}/kernel": (dim, *split) for x in packed}, _pack_weights))
        )
        if spec.qkv_bias:
            pieces.append((f"{block}.attn.qkv.bias", Piece({f"{x}/bias": split for x in packed}, _pack_biases)))
        pieces.append((f"{block}.attn.proj.weight", Piece({f"{attention}/out/kernel": (*split, dim)}, _unsplit)))
        pieces.append(plain(f"{block}.attn.proj.bias", f"{attention}/out/bias"))
        pieces += affine(f"{block}.norm2", f"{key}/LayerNorm_2", "scale")
        pieces += affine(f"{block}.mlp.fc1", f"{key}/MlpBlock_3/Dense_0", "kernel")
        pieces += affine(f"{block}.mlp.fc2", f"{key}/MlpBlock_3/Dense_1", "kernel")
    pieces += affine("norm", "Transformer/encoder_norm", "scale")
    pieces += affine("head", "head", "kernel")
    return dict(pieces)


def _same(array: Array) -> Array:
    return array


def _convolution(kernel: Array) -> Array:
    """(height, width, in, out) -> (out, in, height, width)."""
    return kernel.transpose(3, 2, 0, 1)


def _pack_weights(*kernels: Array) -> Array:
    """q, k and v, each (dim, heads, dim of a head) -> (dim, 3 * dim)."""
    return np.concatenate([kernel.reshape(len(kernel), -1) for kernel in kernels], axis=1)


def _pack_biases(*biases: Array) -> Array:
    """q, k and v, each (heads, dim of a head) -> (3 * dim,)."""
    return np.concatenate([bias.reshape(-1) for bias in biases])


def _unsplit(kernel: Array) -> Array:
    """(heads, dim of a head, dim) -> (dim, dim)."""
    return kernel.reshape(-1, kernel.shape[-1])
