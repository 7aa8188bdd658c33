"""Swin (Liu et al. 2021, arXiv 2103.14030), as PaddleClas builds it: attention in windows, which shift, in stages.

Source: PaddleClas (snapshot of 2024-10-18), `ppcls/arch/backbone/legendary_models/swin_transformer.py`. Its windows are
cut out, rolled and put back around each attention. Here the tokens of a stage lie in the order of windows, and one
Gather stands where that order changes: nothing but attention depends on it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from convert.families.base import GraphFacts, Layout, ModelSpec, Rewrite, mirrored
from convert.families.spec import MOST, positive_int, positive_number
from convert.weights.tensors import Shape

_MOST_BLOCKS, _MOST_STAGES, _MOST_SIDE = 1000, 10, 4096  # _MOST_SIDE: patches
_TABLE = "attn.relative_position_bias_table"


@dataclass(frozen=True)
class Stage:
    """A stage of a Swin: `side` x `side` tokens of `dim` values, in `windows` windows."""

    dim: int
    side: int
    depth: int
    heads: int
    windows: int


@dataclass(frozen=True)
class SwinTransformerSpec(ModelSpec):
    """In the terms of PaddleClas' `SwinTransformer`, whose defaults are the defaults here.

    Pre-norm blocks, exact (erf) GELU, a normalised patch embedding without positions, head on the mean of the
    normalised tokens, logits out. Windows shift by half a window in every second block. depths, num_heads: of each
    stage. qk_scale: None for (dim of a head) ** -0.5. shift_single_window: whether that holds too where one window is
    the whole stage. It does in PaddleClas since 2023-10-18 (its commit e1a784081); there is no such shift in PaddleClas
    before that and in the authors' own model, of which the published weights and accuracies are.
    """

    family: ClassVar[str] = "swin"
    between_blocks: ClassVar[tuple[str, ...]] = ("downsample",)
    # Constants that PaddleClas and PyTorch store beside the table that a bias is taken from.
    unused: ClassVar[tuple[str, ...]] = (
        *ModelSpec.unused,
        "attn.relative_position_index",
        "attn.relative_position_bias",
        "attn_mask",
    )

    patch_size: int = 4
    embed_dim: int = 96
    depths: tuple[int, ...] = (2, 2, 6, 2)
    num_heads: tuple[int, ...] = (3, 6, 12, 24)
    window_size: int = 7
    mlp_ratio: float = 4
    qkv_bias: bool = True
    qk_scale: float | None = None
    epsilon: float = 1e-5
    shift_single_window: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("patch_size", "embed_dim", "window_size"):
            positive_int(name, getattr(self, name))
        for name in ("depths", "num_heads"):
            values = getattr(self, name)
            if not isinstance(values, (tuple, list)) or not 1 <= len(values) <= _MOST_STAGES:
                raise ValueError(f"{name} must be whole numbers, one for each of 1 to {_MOST_STAGES} stages")
            for value in values:
                positive_int(f"each of {name}", value, _MOST_BLOCKS)
            object.__setattr__(self, name, tuple(values))
        if len(self.depths) != len(self.num_heads):
            raise ValueError(f"depths are of {len(self.depths)} stages, and num_heads of {len(self.num_heads)}")
        for name in ("mlp_ratio", "epsilon"):
            positive_number(name, getattr(self, name))
        for name in ("qkv_bias", "shift_single_window"):
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"{name} must be true or false, not {getattr(self, name)!r}")
        if self.qk_scale is not None:
            positive_number("qk_scale", self.qk_scale)
        self._check_sizes()

    def _check_sizes(self) -> None:
        last = 2 ** (len(self.depths) - 1)
        whole = self.patch_size * self.window_size * last
        if self.img_size % whole:
            raise ValueError(
                f"img_size = {self.img_size} is no multiple of {whole}, which is patch_size x window_size x {last}: "
                "windows that would have to be filled up are not supported"
            )
        if self.img_size // self.patch_size > _MOST_SIDE:
            raise ValueError(f"img_size = {self.img_size} makes more than {_MOST_SIDE} patches a side")
        for stage in self.stages:
            if stage.dim % stage.heads:
                raise ValueError(f"num_heads: the {stage.dim} values of a stage are no multiple of {stage.heads} heads")
        if not (self.embed_dim * self.mlp_ratio >= 1 and self.embed_dim * last * self.mlp_ratio <= MOST):
            raise ValueError(f"mlp_ratio = {self.mlp_ratio}: the hidden layers must have 1 to {MOST} values")
        if sum(map(math.prod, self.state_shapes().values())) > 10**11:
            raise ValueError("these sizes make more than 1e+11 parameters")

    @property
    def stages(self) -> list[Stage]:
        side = self.img_size // self.patch_size
        return [
            Stage(self.embed_dim * 2**i, side >> i, depth, heads, ((side >> i) // self.window_size) ** 2)
            for i, (depth, heads) in enumerate(zip(self.depths, self.num_heads, strict=True))
        ]

    @property
    def blocks(self) -> Iterator[tuple[str, Stage, int]]:
        """Name, stage and shift of each block."""
        for i, stage in enumerate(self.stages):
            for j in range(stage.depth):
                shifts = j % 2 == 1 and (stage.windows > 1 or self.shift_single_window)
                yield f"layers.{i}.blocks.{j}", stage, self.window_size // 2 if shifts else 0

    @property
    def patches(self) -> int:
        return (self.img_size // self.patch_size) ** 2

    @property
    def window_tokens(self) -> int:
        return self.window_size**2

    def attention_scale(self, stage: Stage) -> float:
        return self.qk_scale if self.qk_scale is not None else (stage.dim // stage.heads) ** -0.5

    def mlp_dim(self, stage: Stage) -> int:
        return int(stage.dim * self.mlp_ratio)

    def state_shapes(self) -> dict[str, Shape]:
        def affine(name: str, *weight: int) -> dict[str, Shape]:
            return {f"{name}.weight": weight, f"{name}.bias": weight[-1:]}

        dim, patch = self.embed_dim, self.patch_size
        shapes: dict[str, Shape] = {"patch_embed.proj.weight": (dim, 3, patch, patch), "patch_embed.proj.bias": (dim,)}
        shapes |= affine("patch_embed.norm", dim)
        for block, stage, _ in self.blocks:
            dim, mlp = stage.dim, self.mlp_dim(stage)
            shapes |= affine(f"{block}.norm1", dim)
            shapes[f"{block}.{_TABLE}"] = ((2 * self.window_size - 1) ** 2, stage.heads)
            shapes |= affine(f"{block}.attn.qkv", dim, 3 * dim)
            if not self.qkv_bias:
                del shapes[f"{block}.attn.qkv.bias"]
            shapes |= affine(f"{block}.attn.proj", dim, dim) | affine(f"{block}.norm2", dim)
            shapes |= affine(f"{block}.mlp.fc1", dim, mlp) | affine(f"{block}.mlp.fc2", mlp, dim)
        for i, stage in enumerate(self.stages[:-1]):
            shapes[f"layers.{i}.downsample.reduction.weight"] = (4 * stage.dim, 2 * stage.dim)
            shapes |= affine(f"layers.{i}.downsample.norm", 4 * stage.dim)
        return shapes | affine("norm", self.stages[-1].dim) | affine("head", self.stages[-1].dim, self.class_num)

    def pytorch_layout(self) -> Layout:
        """The authors' files: the tables lie as Paddle's do."""
        tables = {name: piece for name, piece in self.paddle_layout().items() if name.endswith(_TABLE)}
        return mirrored(self.paddle_layout()) | tables

    def paddle_layer(self) -> Any:
        from convert.families import swin_layers

        return swin_layers.SwinTransformer(self)

    def graph_facts(self) -> GraphFacts:
        blocks, merges = list(self.blocks), len(self.depths) - 1
        norms = 2 * len(blocks) + merges + 2
        return GraphFacts(
            convolutions=1,
            linear=4 * len(blocks) + merges + 1,
            products=2 * len(blocks),
            norms=norms,
            softmaxes=len(blocks),
            gelus=len(blocks),
            epsilon=self.epsilon,
            scales=tuple(self.attention_scale(stage) for _, stage, _ in blocks),
            attention=tuple(self._attention_shape(stage, shift) for _, stage, shift in blocks),
            squeezes=0,
            rewrites={Rewrite.LAST_AXIS: norms},
            biased=True,
        )

    def _attention_shape(self, stage: Stage, shift: int) -> Shape:
        shape = (stage.windows, stage.heads, self.window_tokens, self.window_tokens)
        return (1, *shape) if shift and stage.windows > 1 else shape

    def spread(self, name: str, shape: Shape) -> tuple[float, float]:
        """Chosen so that drawn weights answer images as trained ones do: attention is neither flat nor one token."""
        layer, _, kind = name.rpartition(".")
        if name.endswith(_TABLE):
            return 0.0, 0.5
        if kind == "bias":
            return 0.0, 0.004 if layer == "head" else 0.2
        if len(shape) == 1:
            return 1.0, 0.25
        if len(shape) == 4:  # the patch convolution: (out, channels, height, width)
            return 0.0, 1.36 / math.sqrt(math.prod(shape[1:]))
        return 0.0, 0.8 / math.sqrt(shape[0])

    def widest(self) -> int:
        """The image, and a block's input, query, key and value, its MLP's hidden layer and each head's attention."""
        inside = (
            stage.side**2 * (4 * stage.dim + self.mlp_dim(stage) + stage.heads * self.window_tokens)
            for stage in self.stages
        )
        return 3 * self.img_size**2 + max(inside)

    def hints(self, shapes: Mapping[str, Shape]) -> list[str]:
        found = []
        match shapes.get("head.bias"):
            case (classes,) if classes != self.class_num:
                found.append(
                    f"a head for {classes} classes: set class_num = {classes} in a .toml model spec, or convert a model"
                    f" of the zoo with --classes {classes}"
                )
        match shapes.get(f"layers.0.blocks.0.{_TABLE}"):
            case (rows, _) if rows != (2 * self.window_size - 1) ** 2:
                side = math.isqrt(rows)
                if side % 2 and side**2 == rows:
                    found.append(f"a table for windows of {(side + 1) // 2}: set window_size, and img_size with it")
        return found

    def block_name(self, number: int) -> str:
        return [name for name, _, _ in self.blocks][number]

    def remarks(self) -> list[str]:
        if self.shift_single_window and any(shift and stage.windows == 1 for _, stage, shift in self.blocks):
            return [
                "the windows of the last stage shift, as in PaddleClas since 2023-10-18; the published weights and "
                "accuracies are of a model where they do not (a spec says that with shift_single_window = false)"
            ]
        return []


FAMILY = SwinTransformerSpec
