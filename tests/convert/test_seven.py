"""All seven models, converted for real; their counts are the published ones to the last digit."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from convert.build import Request, obtain
from convert.zoo import MODELS, PUBLISHED

# GMACs with attention, and millions of parameters with pos_embed and cls_token.
TOTALS = {
    "ViT_small_patch16_224": (9.89, 48.75),
    "ViT_base_patch16_224": (17.56, 86.57),
    "ViT_base_patch16_384": (55.48, 86.86),
    "ViT_base_patch32_384": (13.04, 88.30),
    "ViT_large_patch16_224": (61.55, 304.33),
    "ViT_large_patch16_384": (191.07, 304.72),
    "ViT_large_patch32_384": (45.28, 306.63),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_model_converts_and_counts_as_published(tmp_path: Path, name: str) -> None:
    artifact, _ = obtain(Request(name, "seeded", root=tmp_path), print)
    macs, parameters = artifact.manifest["macs"], artifact.manifest["parameters"]
    assert f"{macs['published'] / 1e9:.2f}" == f"{PUBLISHED[name].gmacs:.2f}"
    assert f"{parameters['published'] / 1e6:.2f}" == f"{PUBLISHED[name].mparams:.2f}"
    assert (f"{macs['total'] / 1e9:.2f}", f"{parameters['total'] / 1e6:.2f}") == tuple(
        f"{value:.2f}" for value in TOTALS[name]
    )
    shutil.rmtree(tmp_path)  # up to 2.5 GB
