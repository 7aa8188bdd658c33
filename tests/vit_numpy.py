"""The vision transformer once more, in float64 with numpy alone: a second opinion on what the converted model says."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from scipy.special import erf

from convert.families.vit import VisionTransformerSpec

Layer = Callable[[np.ndarray, str], np.ndarray]


def layers(w: Mapping[str, np.ndarray], epsilon: float) -> tuple[Layer, Layer]:
    """A linear layer and a LayerNorm, each of a name in a state dict."""

    def linear(x: np.ndarray, name: str) -> np.ndarray:
        return np.asarray(x @ w[f"{name}.weight"] + w.get(f"{name}.bias", 0.0))

    def norm(x: np.ndarray, name: str) -> np.ndarray:
        centred = x - x.mean(-1, keepdims=True)
        variance = (centred**2).mean(-1, keepdims=True)
        return np.asarray(centred / np.sqrt(variance + epsilon) * w[f"{name}.weight"] + w[f"{name}.bias"])

    return linear, norm


def forward(spec: VisionTransformerSpec, state: Mapping[str, np.ndarray], images: np.ndarray) -> np.ndarray:
    """images (batch, 3, size, size) -> logits (batch, class_num), all float64. state: Linear weights (in, out)."""
    w = {name: array.astype(np.float64) for name, array in state.items()}
    patch, dim, heads = spec.patch_size, spec.embed_dim, spec.num_heads
    side = spec.img_size // patch

    linear, norm = layers(w, spec.epsilon)

    tiles = images.astype(np.float64).reshape(-1, 3, side, patch, side, patch).transpose(0, 2, 4, 1, 3, 5)
    kernel = w["patch_embed.proj.weight"].reshape(dim, -1).T
    x = tiles.reshape(len(images), side * side, -1) @ kernel + w["patch_embed.proj.bias"]
    before = [np.repeat(w[name], len(images), 0) for name in spec.class_tokens]
    x = np.concatenate([*before, x], 1) + w["pos_embed"]
    for i in range(spec.depth):
        packed = linear(norm(x, f"blocks.{i}.norm1"), f"blocks.{i}.attn.qkv")
        q, k, v = packed.reshape(len(images), spec.tokens, 3, heads, dim // heads).transpose(2, 0, 3, 1, 4)
        scores = q @ k.swapaxes(-1, -2) * spec.attention_scale
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        mixed = (weights / weights.sum(-1, keepdims=True)) @ v
        x = x + linear(mixed.transpose(0, 2, 1, 3).reshape(len(images), spec.tokens, dim), f"blocks.{i}.attn.proj")
        hidden = linear(norm(x, f"blocks.{i}.norm2"), f"blocks.{i}.mlp.fc1")
        x = x + linear(hidden * 0.5 * (1 + erf(hidden / np.sqrt(2))), f"blocks.{i}.mlp.fc2")
    tokens = norm(x, "norm")
    return np.asarray(np.mean([linear(tokens[:, i], head) for i, head in enumerate(spec.heads)], axis=0))
