from __future__ import annotations

import hashlib
import math

import numpy as np
import pytest

from convert import zoo
from convert.families.vit import VisionTransformerSpec
from convert.weights import seeded
from convert.weights.tensors import Shape

BASE = zoo.MODELS["ViT_base_patch32_384"]

# The sha256 of a few tensors, little-endian float32, as drawn when the recipe was written down. A difference means that
# every seeded artifact and measurement made before is no longer reproducible: count up seeded.RECIPE instead.
GOLDEN = {
    (0, "blocks.0.attn.qkv.weight", (8, 24)): "4277c3a4bf8df589cce76adcb33adb591c8fc20eb9c00968678f18a3b954c99c",
    (0, "patch_embed.proj.weight", (8, 3, 16, 16)): "d799cc75b0e698744814d0d2cc764678cd1f3fe1e156094b4173cff8b4f31a1b",
    (0, "norm.weight", (8,)): "12c336d7b1164ad03e568405c4cb54047a933f53a4ad3d9316c8ce9542e86bff",
    (7, "pos_embed", (1, 5, 8)): "b96257cb57016b0c3973921392af6cd8fabe364b531087c32106683472cb2501",
    (123456789012345678, "head.bias", (40000,)): "84116bcaf72595e9fd8e87a9a557f6ff826636ba314b62b0187fefbd6d9eee7d",
}


@pytest.mark.parametrize(("drawn", "sha256"), GOLDEN.items())
def test_the_same_bits_everywhere(drawn: tuple[int, str, Shape], sha256: str) -> None:
    _, name, shape = drawn
    array = seeded.draw(*drawn, *BASE.spread(name, shape))
    assert hashlib.sha256(array.astype("<f4").tobytes()).hexdigest() == sha256


def test_the_recipe_in_whole_numbers() -> None:
    """The arithmetic once more, value by value in Python's integers and one float32 operation at a time."""
    digest = hashlib.sha256(b"1:5:cls_token").digest()
    words = np.random.Philox(key=int.from_bytes(digest[:16], "little")).random_raw(16)
    sums = [sum(int(word) >> shift & 0xFFFF for shift in (0, 16, 32, 48)) - 131070 for word in words]
    scale = np.float32(0.56 / math.sqrt(4 * (65536**2 - 1) / 12))
    expected = [np.float32(value) * scale + np.float32(0) for value in sums]
    assert seeded.draw(5, "cls_token", (1, 1, 16), 0, 0.56).ravel().tolist() == [float(value) for value in expected]


def test_a_tensor_depends_on_seed_and_name_and_on_nothing_drawn_before() -> None:
    spec = VisionTransformerSpec("narrow", embed_dim=64, depth=2, num_heads=2)
    tensors = seeded.tensors(0, spec)
    second, first = tensors["blocks.1.norm1.bias"].read(), tensors["blocks.0.norm1.bias"].read()
    assert np.array_equal(first, tensors["blocks.0.norm1.bias"].read())
    assert not np.array_equal(first, second)
    assert not np.array_equal(first, seeded.tensors(1, spec)["blocks.0.norm1.bias"].read())


def test_how_many_values_are_drawn_at_once_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = seeded.draw(0, "pos_embed", (1, 197, 192), 0, 0.47)
    monkeypatch.setattr(seeded, "_CHUNK", 1000)
    assert np.array_equal(whole, seeded.draw(0, "pos_embed", (1, 197, 192), 0, 0.47))


@pytest.mark.parametrize(
    ("name", "mean", "deviation"),
    [
        ("pos_embed", 0, 0.47),
        ("cls_token", 0, 0.56),
        ("patch_embed.proj.weight", 0, 1.36 / math.sqrt(3 * 32 * 32)),
        ("patch_embed.proj.bias", 0, 0.3),
        ("blocks.3.norm2.weight", 1.2, 0.3),
        ("blocks.3.attn.qkv.weight", 0, 0.8 / math.sqrt(768)),
        ("blocks.11.mlp.fc2.weight", 0, 0.8 / math.sqrt(3072)),
        ("norm.weight", 4, 0.6),
        ("head.weight", 0, 0.49 / math.sqrt(768)),
        ("head.bias", 0, 0.004),
    ],
)
def test_spread_is_that_of_a_trained_model(name: str, mean: float, deviation: float) -> None:
    shape = BASE.state_shapes()[name]
    array = seeded.tensors(0, BASE)[name].read()
    error = 5 / math.sqrt(array.size)  # five standard errors of the mean, in standard deviations
    assert array.dtype == np.float32
    assert array.shape == shape
    assert array.flags.c_contiguous
    assert abs(array.mean() - mean) < error * deviation
    assert array.std() == pytest.approx(deviation, rel=error)
    assert abs(array - mean).max() < 3.47 * deviation


def test_recipe_hash_tells_seed_names_and_shapes_apart() -> None:
    shapes = {"norm.bias": (8,)}
    hashes = {
        seeded.recipe_sha256(0, shapes),
        seeded.recipe_sha256(1, shapes),
        seeded.recipe_sha256(0, {"norm.bias": (9,)}),
        seeded.recipe_sha256(0, {"norm.weight": (8,)}),
    }
    assert len(hashes) == 4
    assert seeded.recipe_sha256(0, shapes) == seeded.recipe_sha256(0, dict(shapes))
