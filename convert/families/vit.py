"""The plain vision transformer, as PaddleClas builds it.

Source: PaddleClas (snapshot of 2024-10-18), `ppcls/arch/backbone/model_zoo/vision_transformer.py`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from convert.families.base import GraphFacts, Layout, ModelSpec, Piece, Rewrite, mirrored, same
from convert.families.spec import MOST, positive_int, positive_number
from convert.weights.tensors import Array, Shape

_MOST_BLOCKS = 1000
_MOST_PARAMETERS = 10**11  # 400 GB in FP32


@dataclass(frozen=True)
class VisionTransformerSpec(ModelSpec):
    """A plain vision transformer in the terms of PaddleClas' `VisionTransformer`, whose defaults are the defaults here.

    Pre-norm blocks, exact (erf) GELU, class token first, head on the normalised class token, logits out.
    qk_scale: the attention scale, None for (embed_dim / num_heads) ** -0.5.
    """

    family: ClassVar[str] = "vit"
    class_tokens: ClassVar[tuple[str, ...]] = ("cls_token",)  # what stands before the patches
    heads: ClassVar[tuple[str, ...]] = ("head",)
    # The pooler and the mask token of transformers, which its classifier does not compute with.
    unused: ClassVar[tuple[str, ...]] = (
        *ModelSpec.unused,
        "pooler.dense.weight",
        "pooler.dense.bias",
        "embeddings.mask_token",
        "embeddings.position_ids",
    )

    patch_size: int = 16
    embed_dim: int = 768
    depth: int = 12
    num_heads: int = 12
    mlp_ratio: float = 4
    qkv_bias: bool = False
    qk_scale: float | None = None
    epsilon: float = 1e-5

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("patch_size", "embed_dim", "num_heads"):
            positive_int(name, getattr(self, name))
        positive_int("depth", self.depth, _MOST_BLOCKS)
        for name in ("mlp_ratio", "epsilon"):
            positive_number(name, getattr(self, name))
        if not isinstance(self.qkv_bias, bool):
            raise ValueError(f"qkv_bias must be true or false, not {self.qkv_bias!r}")
        if self.qk_scale is not None:
            positive_number("qk_scale", self.qk_scale)
        if self.img_size % self.patch_size:
            raise ValueError(f"img_size = {self.img_size} is no multiple of patch_size = {self.patch_size}")
        if self.embed_dim % self.num_heads:
            raise ValueError(f"embed_dim = {self.embed_dim} is no multiple of num_heads = {self.num_heads}")
        if not 1 <= self.embed_dim * self.mlp_ratio <= MOST:
            raise ValueError(f"mlp_ratio = {self.mlp_ratio}: embed_dim * mlp_ratio must be from 1 to {MOST}")
        count = sum(map(math.prod, self.state_shapes().values()))
        if count > _MOST_PARAMETERS:
            raise ValueError(f"these sizes make {count:.1e} parameters, and {_MOST_PARAMETERS:.0e} are possible")

    @property
    def patches(self) -> int:
        return (self.img_size // self.patch_size) ** 2

    @property
    def tokens(self) -> int:
        """Patches and what stands before them."""
        return self.patches + len(self.class_tokens)

    @property
    def mlp_dim(self) -> int:
        return int(self.embed_dim * self.mlp_ratio)

    @property
    def attention_scale(self) -> float:
        return self.qk_scale if self.qk_scale is not None else (self.embed_dim // self.num_heads) ** -0.5

    def state_shapes(self) -> dict[str, Shape]:
        dim, mlp, patch = self.embed_dim, self.mlp_dim, self.patch_size
        shapes: dict[str, Shape] = {"pos_embed": (1, self.tokens, dim)}
        shapes |= dict.fromkeys(self.class_tokens, (1, 1, dim))
        shapes |= {"patch_embed.proj.weight": (dim, 3, patch, patch), "patch_embed.proj.bias": (dim,)}
        for i in range(self.depth):
            block = f"blocks.{i}"
            shapes |= {f"{block}.norm1.weight": (dim,), f"{block}.norm1.bias": (dim,)}
            shapes[f"{block}.attn.qkv.weight"] = (dim, 3 * dim)
            if self.qkv_bias:
                shapes[f"{block}.attn.qkv.bias"] = (3 * dim,)
            shapes |= {f"{block}.attn.proj.weight": (dim, dim), f"{block}.attn.proj.bias": (dim,)}
            shapes |= {f"{block}.norm2.weight": (dim,), f"{block}.norm2.bias": (dim,)}
            shapes |= {f"{block}.mlp.fc1.weight": (dim, mlp), f"{block}.mlp.fc1.bias": (mlp,)}
            shapes |= {f"{block}.mlp.fc2.weight": (mlp, dim), f"{block}.mlp.fc2.bias": (dim,)}
        shapes |= {"norm.weight": (dim,), "norm.bias": (dim,)}
        for head in self.heads:
            shapes |= {f"{head}.weight": (dim, self.class_num), f"{head}.bias": (self.class_num,)}
        return shapes

    def paddle_layer(self) -> Any:
        from convert.families import paddle_layers

        class VisionTransformer(paddle_layers.Encoder):
            """(batch, 3, img_size, img_size) float32 -> logits (batch, class_num) float32."""

            def __init__(self, spec: VisionTransformerSpec) -> None:
                super().__init__(spec)
                self.head = paddle_layers.linear("head", spec.embed_dim, spec.class_num)

            def forward(self, x: Any) -> Any:
                return self.head(self.encode(x)[:, 0])

        return VisionTransformer(self)

    def graph_facts(self) -> GraphFacts:
        whole, one = (self._attention_shape(queries) for queries in (self.tokens, 1))
        return GraphFacts(
            convolutions=1,
            linear=4 * self.depth + 1,
            products=2 * self.depth,
            norms=2 * self.depth + 1,
            softmaxes=self.depth,
            gelus=self.depth,
            epsilon=self.epsilon,
            scales=(self.attention_scale,) * self.depth,
            attention=(whole,) * (self.depth - 1) + (one,),
            squeezes=1,
            rewrites={
                Rewrite.HEADS: self.depth,
                Rewrite.LAST_AXIS: 2 * self.depth + 1,
                Rewrite.CLASS_TOKEN: 1,
                Rewrite.LAST_BLOCK: 1,
            },
        )

    def _attention_shape(self, queries: int) -> Shape:
        return (1, self.num_heads, queries, self.tokens)

    def spread(self, name: str, shape: Shape) -> tuple[float, float]:
        """Rounded from a trained ViT-Tiny; its mlp.fc2 alone is wider, by a factor of two."""
        if name == "pos_embed":
            return 0.0, 0.47
        if name in self.class_tokens:
            return 0.0, 0.56
        layer, _, kind = name.rpartition(".")
        if kind == "bias":
            return 0.0, 0.004 if layer in self.heads else 0.3
        if len(shape) == 1:  # LayerNorm weights
            return (4.0, 0.6) if layer == "norm" else (1.2, 0.3)
        if len(shape) == 4:  # the patch convolution: (out, channels, height, width)
            return 0.0, 1.36 / math.sqrt(math.prod(shape[1:]))
        return 0.0, (0.49 if layer in self.heads else 0.8) / math.sqrt(shape[0])

    def widest(self) -> int:
        """The image, and a block's input, query, key and value, its MLP's hidden layer and each head's attention."""
        per_token = 4 * self.embed_dim + self.mlp_ratio * self.embed_dim + self.num_heads * self.tokens
        return int(3 * self.img_size**2 + self.tokens * per_token)

    def hints(self, shapes: Mapping[str, Shape]) -> list[str]:
        found = []
        match shapes.get("pos_embed"):
            case (1, tokens, self.embed_dim) if tokens != self.tokens:
                side = math.isqrt(max(tokens - len(self.class_tokens), 0))
                if side and side**2 + len(self.class_tokens) == tokens:
                    size = side * self.patch_size
                    found.append(f"the file is of img_size = {size}: set that in the .toml model spec, crop too")
        match shapes.get(f"{self.heads[0]}.bias"):
            case (classes,):
                found.append(
                    f"a head for {classes} classes: set class_num = {classes} in a .toml model spec, or convert a model"
                    f" of the zoo with --classes {classes}"
                )
        return found

    def huggingface_layouts(self) -> tuple[Layout, ...]:
        """`ViTForImageClassification`."""
        return (self._huggingface("vit", {"cls_token": "cls_token"}, {"head": "classifier"}),)

    def _huggingface(self, base: str, tokens: Mapping[str, str], heads: Mapping[str, str]) -> Layout:
        """The names of transformers' models/vit/modeling_vit.py: query, key and value are three Linear layers.

        base: what the encoder is called. tokens, heads: PaddleClas' names to theirs.
        """
        ours = mirrored(self.paddle_layout())
        layout: Layout = {}

        def take(name: str, key: str) -> None:
            (shape,) = ours[name].parts.values()
            layout[name] = Piece({key: shape}, ours[name].join)

        def layer(name: str, key: str) -> None:
            take(f"{name}.weight", f"{key}.weight")
            take(f"{name}.bias", f"{key}.bias")

        embeddings = f"{base}.embeddings"
        take("pos_embed", f"{embeddings}.position_embeddings")
        for name, key in tokens.items():
            take(name, f"{embeddings}.{key}")
        layer("patch_embed.proj", f"{embeddings}.patch_embeddings.projection")
        for i in range(self.depth):
            block, key = f"blocks.{i}", f"{base}.encoder.layer.{i}"
            for name, theirs in _HUGGINGFACE.items():
                layer(f"{block}.{name}", f"{key}.{theirs}")
            parts = [f"{key}.attention.attention.{part}" for part in ("query", "key", "value")]
            square = (self.embed_dim, self.embed_dim)
            layout[f"{block}.attn.qkv.weight"] = Piece({f"{x}.weight": square for x in parts}, _join_rows)
            if self.qkv_bias:
                pieces: dict[str, Shape] = {f"{x}.bias": square[:1] for x in parts}
                layout[f"{block}.attn.qkv.bias"] = Piece(pieces, _pack_biases)
        layer("norm", f"{base}.layernorm")
        for name, key in heads.items():
            layer(name, key)
        return layout

    def jax_layout(self) -> Layout | None:
        """The `.npz` files of google-research/vision_transformer.

        Names as Flax gives them to the modules of its `vit_jax/models_vit.py`. A Dense kernel is (in, out), a
        convolution's (height, width, in, out), and attention keeps its heads apart: (dim, heads, dim of a head) for
        query, key and value, (heads, dim of a head, dim) for out.
        """
        dim, heads, patch = self.embed_dim, self.num_heads, self.patch_size
        split = (heads, dim // heads)
        shapes = self.state_shapes()

        def plain(name: str, key: str) -> tuple[str, Piece]:
            return name, Piece({key: shapes[name]}, same)

        def affine(name: str, key: str, weight: str) -> list[tuple[str, Piece]]:
            return [plain(f"{name}.weight", f"{key}/{weight}"), plain(f"{name}.bias", f"{key}/bias")]

        pieces = [
            plain("pos_embed", "Transformer/posembed_input/pos_embedding"),
            plain("cls_token", "cls"),
            ("patch_embed.proj.weight", Piece({"embedding/kernel": (patch, patch, 3, dim)}, _convolution)),
            plain("patch_embed.proj.bias", "embedding/bias"),
        ]
        for i in range(self.depth):
            block, key = f"blocks.{i}", f"Transformer/encoderblock_{i}"
            attention = f"{key}/MultiHeadDotProductAttention_1"
            packed = [f"{attention}/{part}" for part in ("query", "key", "value")]
            weights: dict[str, Shape] = {f"{x}/kernel": (dim, *split) for x in packed}
            pieces += affine(f"{block}.norm1", f"{key}/LayerNorm_0", "scale")
            pieces.append((f"{block}.attn.qkv.weight", Piece(weights, _pack_weights)))
            if self.qkv_bias:
                pieces.append((f"{block}.attn.qkv.bias", Piece({f"{x}/bias": split for x in packed}, _pack_biases)))
            pieces.append((f"{block}.attn.proj.weight", Piece({f"{attention}/out/kernel": (*split, dim)}, _unsplit)))
            pieces.append(plain(f"{block}.attn.proj.bias", f"{attention}/out/bias"))
            pieces += affine(f"{block}.norm2", f"{key}/LayerNorm_2", "scale")
            pieces += affine(f"{block}.mlp.fc1", f"{key}/MlpBlock_3/Dense_0", "kernel")
            pieces += affine(f"{block}.mlp.fc2", f"{key}/MlpBlock_3/Dense_1", "kernel")
        pieces += affine("norm", "Transformer/encoder_norm", "scale")
        pieces += affine("head", "head", "kernel")
        return dict(pieces)


FAMILY = VisionTransformerSpec

_HUGGINGFACE = {
    "norm1": "layernorm_before",
    "attn.proj": "attention.output.dense",
    "norm2": "layernorm_after",
    "mlp.fc1": "intermediate.dense",
    "mlp.fc2": "output.dense",
}


def _join_rows(*weights: Array) -> Array:
    """q, k and v, each (out, in) -> (in, 3 * out)."""
    return np.concatenate(weights).T


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
