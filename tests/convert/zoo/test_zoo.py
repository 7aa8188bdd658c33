"""The models by name: their specs and their published figures."""

from __future__ import annotations

from convert.families.vit import VisionTransformerSpec
from convert.zoo import DEFAULT_MODEL, HOSTED, LISTED, MODELS, PUBLISHED, SEVEN


def test_small_is_the_odd_one() -> None:
    small = MODELS["ViT_small_patch16_224"]
    assert isinstance(small, VisionTransformerSpec)
    assert (small.embed_dim, small.depth, small.num_heads, small.mlp_ratio) == (768, 8, 8, 3)
    assert (small.qkv_bias, small.epsilon) == (False, 1e-5)
    assert small.attention_scale == 768**-0.5
    assert "blocks.0.attn.qkv.bias" not in small.state_shapes()


def test_every_model_has_published_figures_and_its_preprocessing() -> None:
    assert list(PUBLISHED)[: len(MODELS)] == list(MODELS)
    for spec in (MODELS[name] for name in SEVEN):
        assert spec.preprocessing.resize_short == {224: 256, 384: 384}[spec.img_size]
        assert spec.preprocessing.mean == spec.preprocessing.std == (0.5, 0.5, 0.5)


def test_the_seven_come_first_and_are_what_all_stands_for() -> None:
    assert list(MODELS)[:7] == list(SEVEN)
    assert DEFAULT_MODEL in SEVEN


def test_a_deit_has_the_preprocessing_of_its_configuration() -> None:
    preprocessing = MODELS["DeiT_base_distilled_patch16_384"].preprocessing
    assert (preprocessing.resize_short, preprocessing.crop, preprocessing.interpolation) == (438, 384, "bicubic")
    assert preprocessing.backend == "pil"
    assert preprocessing.mean == (0.485, 0.456, 0.406)
    assert PUBLISHED["DeiT_base_distilled_patch16_384"].v100_ms == {1: 13.76, 4: 45.61, 8: 89.15}


def test_a_plain_deit_is_a_plain_vision_transformer_and_none_of_the_seven() -> None:
    assert MODELS["DeiT_tiny_patch16_224"].family == "vit"
    assert "DeiT_tiny_patch16_224" in LISTED["deit"]
    assert len(SEVEN) == 7


def test_hosted_models_have_what_their_configuration_says() -> None:
    assert not HOSTED.keys() & MODELS.keys()
    tnt, levit = HOSTED["TNT_small"], HOSTED["LeViT_128S"]
    assert tnt.preprocessing
    assert (tnt.preprocessing.resize_short, tnt.preprocessing.mean) == (248, (0.5, 0.5, 0.5))
    assert levit.published
    assert levit.published.gmacs == 0.305  # in M on its page
    assert all(bool(one.preprocessing) != bool(one.lacks) for one in HOSTED.values())
    assert all(one.published is None or 0.01 < one.published.gmacs < 200 for one in HOSTED.values())
    assert PUBLISHED["CSWinTransformer_tiny_224"].top1 == 0.8281
