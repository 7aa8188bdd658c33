"""Specs of models: read from TOML, checked, and of the family that they name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from convert.common.errors import InputError
from convert.families import base
from convert.families.base import load_spec
from convert.families.spec import Preprocessing
from convert.families.vit import VisionTransformerSpec
from tests.conftest import TOY_TOML


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "spec.toml"
    path.write_text(text)
    return path


def test_a_spec_from_a_file(toy_toml: Path) -> None:
    spec = load_spec(toy_toml)
    assert isinstance(spec, VisionTransformerSpec)
    assert (spec.tokens, spec.mlp_dim, spec.attention_scale) == (17, 48, 8**-0.5)
    assert spec.preprocessing == Preprocessing(36, 32, "bilinear", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("depth = 2", "depht = 2", "unknown field depht"),
        ('name = "toy"', "", "missing field name"),
        ('name = "toy"', 'name = "../toy"', "name"),
        ("num_heads = 2", "num_heads = 3", "no multiple of num_heads = 3"),
        ("patch_size = 8", "patch_size = 7", "no multiple of patch_size = 7"),
        ("depth = 2", "depth = 0", "depth must be a whole number above zero"),
        ("depth = 2", "depth = true", "depth must be a whole number above zero"),
        ("depth = 2", "depth = 1000000000", "depth must be 1000 at most"),
        ("class_num = 7", f"class_num = {10**30}", "class_num must be 1000000 at most"),
        ("class_num = 7", f"class_num = {'7' * 5000}", "cannot be read as TOML .Exceeds the limit"),
        ("mlp_ratio = 3", "mlp_ratio = 0.05", "mlp_ratio = 0.05: embed_dim . mlp_ratio must be from 1 to 1000000"),
        ("mlp_ratio = 3", "mlp_ratio = 1e308", "mlp_ratio = 1e.308: embed_dim . mlp_ratio must be"),
        ("mlp_ratio = 3", f"mlp_ratio = {10**400}", "mlp_ratio must be a number above zero"),
        ("embed_dim = 16", "embed_dim = 300000", "parameters, and 1e.11 are possible"),
        ("mean = [0.5, 0.5, 0.5]", f"mean = [{10**400}, 0.5, 0.5]", "mean must be three numbers"),
        ("depth = 2", f"depth = {'[' * 5000}", "cannot be read as TOML .maximum recursion depth exceeded"),
        ("epsilon = 1e-6", "epsilon = nan", "epsilon must be a number above zero"),
        ("qkv_bias = true", "qkv_bias = 1", "qkv_bias must be true or false"),
        ("crop = 32", "crop = 36", "is not img_size = 32"),
        ("resize_short = 36", "resize_short = 30", "does not fit"),
        ("mean = [0.5, 0.5, 0.5]", "mean = [0.5, 0.5]", "mean must be three numbers"),
        ("std = [0.5, 0.5, 0.5]", "std = [0.5, 0, 0.5]", "std must be above zero"),
        ("crop = 32", 'crop = 32\ninterpolation = "cubic"', "interpolation = 'cubic' is none of"),
        ("depth = 2", 'depth = 2\nfamily = "resnet"', "family = 'resnet' is none of deit, swin, vit"),
        ("depth = 2", "depth 2", "cannot be read as TOML"),
        ("[preprocessing]", "[processing]", r"a \[preprocessing\] table is needed"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in TOY_TOML
    with pytest.raises(InputError, match=message) as error:
        load_spec(write(tmp_path, TOY_TOML.replace(old, new)))
    assert "\n" not in error.value.message.strip()


def test_families_are_the_files_that_there_are() -> None:
    assert {name: family.__name__ for name, family in base.known().items()} == {
        "vit": "VisionTransformerSpec",
        "deit": "DistilledVisionTransformerSpec",
        "swin": "SwinTransformerSpec",
    }


def test_a_spec_survives_a_journey_through_a_manifest() -> None:
    for family in base.known().values():
        spec = family("x", class_num=3)
        assert base.from_spec_table(json.loads(json.dumps(spec.table()))) == spec


def test_a_spec_without_a_family_is_a_plain_one() -> None:
    assert base.from_spec_table({"name": "x"}) == VisionTransformerSpec("x")
