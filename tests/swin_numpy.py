"""Swin once more, in float64 with numpy alone, as its paper has it: rolled, cut into windows and put back."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy.special import erf

from convert.families.swin import SwinTransformerSpec
from tests.vit_numpy import layers


def forward(spec: SwinTransformerSpec, state: Mapping[str, np.ndarray], images: np.ndarray) -> np.ndarray:
    """images (batch, 3, size, size) -> logits (batch, class_num), all float64. state: Linear weights (in, out)."""
    w = {name: array.astype(np.float64) for name, array in state.items()}
    batch, patch, window = len(images), spec.patch_size, spec.window_size
    side, tokens = spec.img_size // patch, window**2

    linear, norm = layers(w, spec.epsilon)

    def cut(x: np.ndarray) -> np.ndarray:
        """(any, side, side, values) -> (any, windows, tokens, values)."""
        across = x.shape[1] // window
        tiles = x.reshape(len(x), across, window, across, window, -1).transpose(0, 1, 3, 2, 4, 5)
        return tiles.reshape(len(x), across**2, tokens, -1)

    def put_back(x: np.ndarray) -> np.ndarray:
        across = int(x.shape[1] ** 0.5)
        tiles = x.reshape(len(x), across, across, window, window, -1).transpose(0, 1, 3, 2, 4, 5)
        return tiles.reshape(len(x), across * window, across * window, -1)

    def attend(x: np.ndarray, name: str, heads: int, shift: int) -> np.ndarray:
        side, dim = x.shape[1], x.shape[-1]
        packed = cut(linear(np.roll(x, (-shift, -shift), (1, 2)), f"{name}.qkv"))
        q, k, v = packed.reshape(batch, -1, tokens, 3, heads, dim // heads).transpose(3, 0, 1, 4, 2, 5)
        scores = q @ k.swapaxes(-1, -2) * (spec.qk_scale or (dim // heads) ** -0.5)
        for one in range(tokens):
            for other in range(tokens):
                down, right = one // window - other // window, one % window - other % window
                row = (down + window - 1) * (2 * window - 1) + right + window - 1
                scores[..., one, other] += w[f"{name}.relative_position_bias_table"][row]
        if shift:
            ends = [slice(0, -window), slice(-window, -shift), slice(-shift, None)]
            parts = np.zeros((1, side, side, 1))
            for number, (rows, columns) in enumerate((a, b) for a in ends for b in ends):
                parts[:, rows, columns] = number
            part = cut(parts)[0, :, :, 0]
            scores -= 100.0 * (part[:, None, :, None] != part[:, None, None, :])
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        mixed = ((weights / weights.sum(-1, keepdims=True)) @ v).swapaxes(2, 3).reshape(batch, -1, tokens, dim)
        return linear(np.roll(put_back(mixed), (shift, shift), (1, 2)), f"{name}.proj")

    tiles = images.astype(np.float64).reshape(batch, 3, side, patch, side, patch).transpose(0, 2, 4, 1, 3, 5)
    kernel = w["patch_embed.proj.weight"].reshape(spec.embed_dim, -1).T
    x = tiles.reshape(batch, side, side, -1) @ kernel + w["patch_embed.proj.bias"]
    x = norm(x, "patch_embed.norm")
    for i, (depth, heads) in enumerate(zip(spec.depths, spec.num_heads, strict=True)):
        for j in range(depth):
            block = f"layers.{i}.blocks.{j}"
            shifts = j % 2 and (spec.shift_single_window or x.shape[1] > window)
            x = x + attend(norm(x, f"{block}.norm1"), f"{block}.attn", heads, window // 2 if shifts else 0)
            hidden = linear(norm(x, f"{block}.norm2"), f"{block}.mlp.fc1")
            x = x + linear(hidden * 0.5 * (1 + erf(hidden / np.sqrt(2))), f"{block}.mlp.fc2")
        if i < len(spec.depths) - 1:
            four = [x[:, 0::2, 0::2], x[:, 1::2, 0::2], x[:, 0::2, 1::2], x[:, 1::2, 1::2]]
            x = linear(
                norm(np.concatenate(four, -1), f"layers.{i}.downsample.norm"), f"layers.{i}.downsample.reduction"
            )
    return linear(norm(x, "norm").mean((1, 2)), "head")
