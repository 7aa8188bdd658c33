"""PaddleClas' seven ViTs as model specs, with their published figures.

Source of the architectures, the preprocessing and the figures: PaddleClas (snapshot of 2024-10-18),
`ppcls/arch/backbone/model_zoo/vision_transformer.py`, `ppcls/configs/ImageNet/VisionTransformer/*.yaml` and its page on
ViT and DeiT. Nothing here imports Paddle.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from convert.families.spec import ModelSpec, Preprocessing


@dataclass(frozen=True)
class Published:
    """A model's row on PaddleClas' ViT page.

    Accuracies are fractions on the 50,000 images of ILSVRC 2012 validation; `reference_*` are those of the original
    authors. gmacs: the column "FLOPs (G)", which counts multiply-accumulates of convolutions and linear layers only.
    mparams: "Params (M)", without pos_embed and cls_token. v100_ms: batch -> ms, FP32, TensorRT 8.0.3.4 on a V100.
    """

    top1: float
    top5: float
    reference_top1: float
    reference_top5: float | None
    gmacs: float
    mparams: float
    v100_ms: dict[int, float]


def _paddleclas(name: str, img_size: int, patch_size: int, **changes: Any) -> ModelSpec:
    large = "large" in name
    # 224 models resize the short side to 256, 384 models to 384 (the training YAMLs, Eval.transform_ops).
    preprocessing = Preprocessing(resize_short=256 if img_size == 224 else img_size, crop=img_size)
    spec = ModelSpec(
        name=name,
        img_size=img_size,
        patch_size=patch_size,
        embed_dim=1024 if large else 768,
        depth=24 if large else 12,
        num_heads=16 if large else 12,
        qkv_bias=True,
        epsilon=1e-6,
        preprocessing=preprocessing,
    )
    return dataclasses.replace(spec, **changes)


# ViT_small is the odd one: 768 wide, 8 deep, no qkv bias, the constructor's epsilon, and scaled by the whole width.
MODELS: dict[str, ModelSpec] = {
    spec.name: spec
    for spec in (
        _paddleclas(
            "ViT_small_patch16_224",
            224,
            16,
            depth=8,
            num_heads=8,
            mlp_ratio=3,
            qkv_bias=False,
            qk_scale=768**-0.5,
            epsilon=1e-5,
        ),
        _paddleclas("ViT_base_patch16_224", 224, 16),
        _paddleclas("ViT_base_patch16_384", 384, 16),
        _paddleclas("ViT_base_patch32_384", 384, 32),
        _paddleclas("ViT_large_patch16_224", 224, 16),
        _paddleclas("ViT_large_patch16_384", 384, 16),
        _paddleclas("ViT_large_patch32_384", 384, 32),
    )
}

DEFAULT_MODEL = "ViT_base_patch32_384"

PUBLISHED: dict[str, Published] = {
    "ViT_small_patch16_224": Published(0.7769, 0.9342, 0.7785, 0.9342, 9.41, 48.60, {1: 3.81, 4: 8.65, 8: 15.80}),
    "ViT_base_patch16_224": Published(0.8195, 0.9617, 0.8178, 0.9613, 16.85, 86.42, {1: 5.93, 4: 15.46, 8: 27.14}),
    "ViT_base_patch16_384": Published(0.8414, 0.9717, 0.8420, 0.9722, 49.35, 86.42, {1: 13.78, 4: 45.59, 8: 88.65}),
    "ViT_base_patch32_384": Published(0.8176, 0.9613, 0.8166, 0.9613, 12.66, 88.19, {1: 5.29, 4: 12.33, 8: 22.44}),
    "ViT_large_patch16_224": Published(0.8323, 0.9650, 0.8306, 0.9644, 59.65, 304.12, {1: 15.57, 4: 49.66, 8: 91.45}),
    "ViT_large_patch16_384": Published(
        0.8513, 0.9736, 0.8517, 0.9736, 174.70, 304.12, {1: 38.67, 4: 142.57, 8: 282.87}
    ),
    "ViT_large_patch32_384": Published(0.8153, 0.9608, 0.815, None, 44.24, 306.48, {1: 12.07, 4: 34.53, 8: 65.81}),
}
