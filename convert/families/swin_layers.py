"""A Swin as Paddle layers, inference only. This file imports Paddle, as `paddle_layers.py` does."""

from __future__ import annotations

from typing import Any

import numpy as np
import paddle
import paddle.nn.functional as F  # noqa: N812 - the field's customary name
from paddle import Tensor, nn

from convert.families import windows
from convert.families.paddle_layers import Mlp, PatchEmbed, layer_norm, linear, named

Spec = Any  # a `SwinTransformerSpec`, whose file imports this one
Stage = Any  # one of its stages
_FAR = -100.0  # what PaddleClas adds where a query must not see a key


class WindowAttention(nn.Layer):
    """Multi-head self-attention inside of windows: (batch, tokens, dim) in the order of windows, likewise out."""

    def __init__(self, name: str, spec: Spec, stage: Stage, shift: int) -> None:
        super().__init__()
        tokens, heads, dim = spec.window_tokens, stage.heads, stage.dim
        self.tokens, self.scale = tokens, spec.attention_scale(stage)
        self.index = windows.relative_index(spec.window_size)
        self.regions = windows.regions(stage.side, spec.window_size, shift) if shift else None
        # Windows that are all alike are a larger batch; those that are not have an axis of their own.
        axes = (stage.windows,) if shift and stage.windows > 1 else ()
        self.packed = (-1, *axes, tokens, 3 * heads, dim // heads)
        first = len(axes) + 1
        self.turn = (*range(first), first + 1, first, first + 2)
        self.joined = (-1, stage.side**2, dim)
        self.heads_axis = first
        self.relative_position_bias_table = self.create_parameter(
            ((2 * spec.window_size - 1) ** 2, heads), attr=named(f"{name}.relative_position_bias_table")
        )
        self.qkv = linear(f"{name}.qkv", dim, 3 * dim, spec.qkv_bias)
        self.proj = linear(f"{name}.proj", dim, dim)

    def bias(self) -> Tensor:
        """What is added to attention: (heads, tokens, tokens), for each window (windows, heads, tokens, tokens)."""
        bias = paddle.gather(self.relative_position_bias_table, paddle.to_tensor(self.index))
        bias = bias.reshape((self.tokens, self.tokens, -1)).transpose((2, 0, 1))
        if self.regions is None:
            return bias
        number = paddle.to_tensor(self.regions.astype("float32"))
        apart = (number.unsqueeze(1) - number.unsqueeze(2)).abs().clip(0.0, 1.0)
        return bias + (apart * _FAR).unsqueeze(1)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).reshape(self.packed).transpose(self.turn).split(3, self.heads_axis)
        attention = F.softmax(paddle.matmul(q, k, transpose_y=True) * self.scale + self.bias(), axis=-1)
        return self.proj(paddle.matmul(attention, v).transpose(self.turn).reshape(self.joined))


class WindowBlock(nn.Layer):
    """A block, before which the tokens are put into the order of its windows."""

    def __init__(self, name: str, spec: Spec, stage: Stage, shift: int) -> None:
        super().__init__()
        self.norm1 = layer_norm(f"{name}.norm1", stage.dim, spec.epsilon)
        self.attn = WindowAttention(f"{name}.attn", spec, stage, shift)
        self.norm2 = layer_norm(f"{name}.norm2", stage.dim, spec.epsilon)
        self.mlp = Mlp(f"{name}.mlp", stage.dim, spec.mlp_dim(stage))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class Merge(nn.Layer):
    """Each four tokens that follow on each other become one of twice as many values."""

    def __init__(self, name: str, spec: Spec, stage: Stage) -> None:
        super().__init__()
        self.joined = (-1, stage.side**2 // 4, 4 * stage.dim)
        self.norm = layer_norm(f"{name}.norm", 4 * stage.dim, spec.epsilon)
        self.reduction = linear(f"{name}.reduction", 4 * stage.dim, 2 * stage.dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.reduction(self.norm(x.reshape(self.joined)))


class SwinTransformer(nn.Layer):
    """(batch, 3, img_size, img_size) float32 -> logits (batch, class_num) float32."""

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.patch_embed = PatchEmbed(spec)
        self.patch_norm = layer_norm("patch_embed.norm", spec.embed_dim, spec.epsilon)
        stages, blocks, window = spec.stages, list(spec.blocks), spec.window_size
        now = np.arange(stages[0].side ** 2)
        self.orders, self.steps = [], nn.LayerList()
        for i, stage in enumerate(stages):
            for name, _, shift in [one for one in blocks if one[0].startswith(f"layers.{i}.")]:
                then = windows.window_order(stage.side, window, shift)
                self.orders.append(windows.between(now, then))
                self.steps.append(WindowBlock(name, spec, stage, shift))
                now = then
            if stage is not stages[-1]:
                after = windows.window_order(stage.side // 2, window, 0)
                self.orders.append(windows.between(now, windows.merge_order(stage.side, after)))
                self.steps.append(Merge(f"layers.{i}.downsample", spec, stage))
                now = after
        self.norm = layer_norm("norm", stages[-1].dim, spec.epsilon)
        self.head = linear("head", stages[-1].dim, spec.class_num)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch_norm(self.patch_embed(x))
        for order, step in zip(self.orders, self.steps, strict=True):
            if order is not None:
                x = paddle.gather(x, paddle.to_tensor(order), axis=1)
            x = step(x)
        return self.head(self.norm(x).mean(1))
