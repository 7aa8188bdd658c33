"""DeiT with its distillation token (Touvron et al. 2020, arXiv 2012.12877), as PaddleClas builds it.

Source: PaddleClas, `ppcls/arch/backbone/model_zoo/distilled_vision_transformer.py`, class
`DistilledVisionTransformer`. It is the plain vision transformer with a second token behind the class token, and a
second head that reads it: the logits are the mean of both heads. (DeiT without that token is a plain ViT, and the plain
family takes it.)
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from convert.families.base import GraphFacts, Layout, Piece, Rewrite
from convert.families.vit import VisionTransformerSpec
from convert.weights.tensors import Shape


@dataclass(frozen=True)
class DistilledVisionTransformerSpec(VisionTransformerSpec):
    """In the terms of PaddleClas' `DistilledVisionTransformer`, which are those of the plain one."""

    family: ClassVar[str] = "deit"
    class_tokens: ClassVar[tuple[str, ...]] = ("cls_token", "dist_token")
    heads: ClassVar[tuple[str, ...]] = ("head", "head_dist")

    def paddle_layer(self) -> Any:
        from convert.families import paddle_layers

        class DistilledVisionTransformer(paddle_layers.Encoder):
            """(batch, 3, img_size, img_size) float32 -> logits (batch, class_num) float32."""

            def __init__(self, spec: DistilledVisionTransformerSpec) -> None:
                super().__init__(spec)
                self.head, self.head_dist = (
                    paddle_layers.linear(name, spec.embed_dim, spec.class_num) for name in spec.heads
                )

            def forward(self, x: Any) -> Any:
                x = self.encode(x)
                return (self.head(x[:, 0]) + self.head_dist(x[:, 1])) / 2

        return DistilledVisionTransformer(self)

    def graph_facts(self) -> GraphFacts:
        """Two heads on two tokens: so the last block is needed for both, and keeps all of its tokens."""
        plain = super().graph_facts()
        return dataclasses.replace(
            plain,
            linear=plain.linear + 1,
            attention=(self._attention_shape(self.tokens),) * self.depth,
            squeezes=2,
            rewrites={**plain.rewrites, Rewrite.CLASS_TOKEN: 2, Rewrite.LAST_BLOCK: 0},
        )

    def huggingface_layouts(self) -> tuple[Layout, ...]:
        """`DeiTForImageClassificationWithTeacher`, and `DeiTForImageClassification`, which has the token but one head.

        That one's logits are the mean of two heads of which the first is twice its own and the second is zero: exactly,
        as doubling and halving do not round.
        """
        tokens = {"cls_token": "cls_token", "dist_token": "distillation_token"}
        one = self._huggingface("deit", tokens, {"head": "classifier"})
        shapes = self.state_shapes()
        for name in ("head.weight", "head.bias"):
            one[name] = _twice(one[name])
        for name in ("head_dist.weight", "head_dist.bias"):
            one[name] = _zeros(shapes[name])
        heads = {"head": "cls_classifier", "head_dist": "distillation_classifier"}
        return self._huggingface("deit", tokens, heads), one

    def jax_layout(self) -> Layout | None:
        """Its authors publish PyTorch's files only."""
        return None


def _twice(piece: Piece) -> Piece:
    return Piece(piece.parts, lambda *arrays: 2 * piece.join(*arrays))


def _zeros(shape: Shape) -> Piece:
    return Piece({}, lambda: np.zeros(shape, np.float32))


FAMILY = DistilledVisionTransformerSpec
