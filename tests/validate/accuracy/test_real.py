"""The whole command on trained weights and real photos, against the counts that Paddle gave for them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest


def records(shared_data: Path, folder: Path, images: str, *arguments: str) -> tuple[list[dict[str, Any]], str]:
    """What the command gives for the trained tiny ViT, and what it says."""
    weights = shared_data / "vit_tiny" / "vit_tiny_patch16_224.safetensors"
    for needed in (shared_data / images, weights):
        if not needed.exists():
            pytest.skip(f"no real data: {needed.name} is not in {shared_data}")
    model = ["--model", str(weights.with_suffix(".toml")), "--weights", str(weights)]
    command = [sys.executable, "-m", "validate.accuracy", "--images", str(shared_data / images), *model, "--json"]
    result = subprocess.run([*command, *arguments], cwd=folder, capture_output=True, text=True, timeout=600)
    assert result.returncode == 0, result.stderr[-2000:]
    made: list[dict[str, Any]] = json.loads(result.stdout)["records"]  # nothing else is there, of no library
    return made, result.stderr


# Right of all with this model, through Paddle, Paddle2ONNX and ONNX Runtime on another machine. One image lies so near
# that another processor's rounding may turn it.
@pytest.mark.parametrize(
    ("images", "arguments", "count", "first", "five"),
    [
        ("ilsvrc_val_134", ["--device", "CPU"], 134, 104, 124),
        ("ilsvrc_val_134", ["--preprocessing", "imagenet", "--runtime", "paddle,ort-cpu,openvino"], 134, 62, 96),
    ],
)
def test_a_trained_model_on_real_photos(
    shared_data: Path, tmp_path: Path, images: str, arguments: list[str], count: int, first: int, five: int
) -> None:
    made, said = records(shared_data, tmp_path, images, *arguments)
    assert made
    for record in made:
        assert record["images"] == count
        assert record["subset"] is False
        assert abs(record["top1"] * count - first) <= 1.001, record["runtime"]
        assert abs(record["top5"] * count - five) <= 1.001, record["runtime"]
        assert record["passed"] is not False
        assert record["published_top1"] is None
        assert record["labels"].startswith("proven: 20 images of ImageNet")
        assert record["doubt"] is None
        assert record["preprocessing_is_models"] is ("--preprocessing" not in arguments)
    assert ("the preprocessing is not the model's" in said) is ("--preprocessing" in arguments)
