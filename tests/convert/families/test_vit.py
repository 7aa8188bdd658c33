"""The plain vision transformer's spec."""

from __future__ import annotations

from convert.families.vit import VisionTransformerSpec


def test_defaults_are_those_of_paddleclas() -> None:
    spec = VisionTransformerSpec("x")
    assert (spec.qkv_bias, spec.qk_scale, spec.epsilon, spec.mlp_ratio) == (False, None, 1e-5, 4)
