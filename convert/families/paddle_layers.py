"""What vision transformers are built of as Paddle layers, inference only.

This file imports Paddle: families import it where a layer is made, and nowhere else.

Parameters carry the names of PaddleClas' state dict in the program too, not only in `state_dict()`, so that a tensor
has one name in the checkpoint, in the Paddle program and in the ONNX graph.
"""

from __future__ import annotations

from typing import Any

import paddle
import paddle.nn.functional as F  # noqa: N812 - the field's customary name
from paddle import ParamAttr, Tensor, nn
from paddle.nn.initializer import Constant

Spec = Any  # a `VisionTransformerSpec`, whose file imports this one

# Every parameter is filled from a state dict: drawing initial values would only cost time.
_ZERO = Constant(0.0)


def named(name: str) -> ParamAttr:
    """A parameter that is called so in the program too."""
    return ParamAttr(name=name, initializer=_ZERO)


def linear(name: str, inputs: int, outputs: int, bias: bool = True) -> nn.Linear:
    """A linear layer whose parameters are called `name`.weight and `name`.bias."""
    return nn.Linear(inputs, outputs, named(f"{name}.weight"), named(f"{name}.bias") if bias else False)


def layer_norm(name: str, dim: int, epsilon: float) -> nn.LayerNorm:
    """A LayerNorm whose parameters are called `name`.weight and `name`.bias."""
    return nn.LayerNorm(dim, epsilon=epsilon, weight_attr=named(f"{name}.weight"), bias_attr=named(f"{name}.bias"))


class PatchEmbed(nn.Layer):
    """(batch, 3, size, size) -> (batch, patches, dim)."""

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.shape = (-1, spec.embed_dim, spec.patches)
        self.proj = nn.Conv2D(
            3,
            spec.embed_dim,
            spec.patch_size,
            spec.patch_size,
            weight_attr=named("patch_embed.proj.weight"),
            bias_attr=named("patch_embed.proj.bias"),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.proj(x).reshape(self.shape).transpose((0, 2, 1))


class Attention(nn.Layer):
    """Multi-head self-attention with q, k and v packed into one projection."""

    def __init__(self, name: str, spec: Spec) -> None:
        super().__init__()
        dim = spec.embed_dim
        self.packed = (-1, spec.tokens, 3, spec.num_heads, dim // spec.num_heads)
        self.joined = (-1, spec.tokens, dim)
        self.scale = spec.attention_scale
        self.qkv = linear(f"{name}.qkv", dim, 3 * dim, spec.qkv_bias)
        self.proj = linear(f"{name}.proj", dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        # (3, batch, heads, tokens, dim / heads)
        q, k, v = self.qkv(x).reshape(self.packed).transpose((2, 0, 3, 1, 4)).unbind(0)
        attention = F.softmax(paddle.matmul(q, k, transpose_y=True) * self.scale, axis=-1)
        return self.proj(paddle.matmul(attention, v).transpose((0, 2, 1, 3)).reshape(self.joined))


class Mlp(nn.Layer):
    def __init__(self, name: str, dim: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = linear(f"{name}.fc1", dim, hidden)
        self.fc2 = linear(f"{name}.fc2", hidden, dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x)))


class Block(nn.Layer):
    def __init__(self, name: str, spec: Spec) -> None:
        super().__init__()
        self.norm1 = layer_norm(f"{name}.norm1", spec.embed_dim, spec.epsilon)
        self.attn = Attention(f"{name}.attn", spec)
        self.norm2 = layer_norm(f"{name}.norm2", spec.embed_dim, spec.epsilon)
        self.mlp = Mlp(f"{name}.mlp", spec.embed_dim, spec.mlp_dim)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class Encoder(nn.Layer):
    """All of a vision transformer but its head. All parameters are zero until they are set."""

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        dim = spec.embed_dim
        self.class_tokens = spec.class_tokens
        self.patch_embed = PatchEmbed(spec)
        self.pos_embed = self.create_parameter((1, spec.tokens, dim), attr=named("pos_embed"))
        for name in spec.class_tokens:
            self.add_parameter(name, self.create_parameter((1, 1, dim), attr=named(name)))
        self.blocks = nn.LayerList([Block(f"blocks.{i}", spec) for i in range(spec.depth)])
        self.norm = layer_norm("norm", dim, spec.epsilon)

    def encode(self, x: Tensor) -> Tensor:
        """(batch, 3, img_size, img_size) float32 -> normalised tokens (batch, tokens, dim)."""
        x = self.patch_embed(x)
        tokens = [getattr(self, name).expand((paddle.shape(x)[0], -1, -1)) for name in self.class_tokens]
        x = paddle.concat((*tokens, x), axis=1) + self.pos_embed
        for block in self.blocks:
            x = block(x)
        return self.norm(x)
