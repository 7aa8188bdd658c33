"""The smallest DeiT and Swin by name, with drawn weights: converted, counted as published, held on four runtimes."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from convert.artifact import load
from convert.build import Request, obtain
from convert.zoo import PUBLISHED
from runtimes import registry
from tests.convert.families.test_swin import TOY
from validate.parity.__main__ import main

# GMACs as PaddleClas' page counts them, which says 4.5 of Swin; in all; millions of parameters in all.
COUNTED = {
    "DeiT_tiny_patch16_224": (1.07, 1.25, 5.72),
    "DeiT_tiny_distilled_patch16_224": (1.08, 1.26, 5.91),
    "SwinTransformer_tiny_patch4_window7_224": (4.49, 4.49, 28.29),
}


def parity(model: str, root: Path) -> None:
    """On each of the four that is here, at batch 1 and 4; fails where a runtime does not pass."""
    wanted = [one for one in ("paddle", "ort-cpu", "openvino", "mnn") if registry.get(one).unavailable() is None]
    words = ["--model", model, "--weights", "seeded", "--artifacts", str(root), "--out", str(root / "results")]
    words += ["--runtime", ",".join(wanted), "--batch", "1,4", "--limit", "1"]
    result = CliRunner().invoke(main, words, catch_exceptions=False)
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize("name", COUNTED)
def test_a_model_by_name_is_converted_and_counted_as_published(name: str, tmp_path: Path) -> None:
    if name.startswith("DeiT"):
        parity(name, tmp_path)
    else:  # its parity takes minutes on two cores: that of a small one is below
        obtain(Request(name, "seeded", root=tmp_path), print)
    manifest, published = load(tmp_path / name / "fp32").manifest, PUBLISHED[name]
    assert manifest.macs.total
    assert manifest.parameters.total
    counted = manifest.macs.total if published.with_attention else manifest.macs.published
    assert counted
    figures = (counted / 1e9, manifest.macs.total / 1e9, manifest.parameters.total / 1e6)
    assert tuple(f"{value:.2f}" for value in figures) == tuple(f"{value:.2f}" for value in COUNTED[name])
    assert figures[0] == pytest.approx(published.gmacs, abs=0.05)
    assert figures[2] == pytest.approx(published.mparams, abs=0.5)


def test_a_small_swin_is_the_same_on_each_runtime(tmp_path: Path) -> None:
    (tmp_path / "toy.toml").write_text(TOY)
    parity(str(tmp_path / "toy.toml"), tmp_path)
