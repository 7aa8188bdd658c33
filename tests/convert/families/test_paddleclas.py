"""A state dict that PaddleClas saved gives the logits that PaddleClas gives: needs a checkout of PaddleClas."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from convert.build import Request, obtain

# Imports that have no part in it are empty where they are not installed.
SAVE = """
import sys
from convert.paddleclas import stand_ins
stand_ins.install()
sys.path.insert(0, sys.argv[1])
import numpy as np, paddle
from ppcls.arch import backbone
paddle.seed(7)
model = getattr(backbone, sys.argv[2])(class_num=1000)
rng = np.random.default_rng(7)
for parameter in model.parameters():  # zeros and ones would hide which bias or norm is which
    parameter.set_value(parameter.numpy() + 0.02 * rng.standard_normal(parameter.shape).astype("float32"))
model.eval()
size = model.patch_embed.img_size[0]
images = rng.standard_normal((2, 3, size, size)).astype("float32")
paddle.save(model.state_dict(), "state.pdparams")
np.save("images.npy", images)
np.save("logits.npy", model(paddle.to_tensor(images)).numpy())
"""


NAMES = (
    *("ViT_small_patch16_224", "ViT_base_patch32_384", "ViT_large_patch16_224"),
    *("DeiT_tiny_patch16_224", "DeiT_tiny_distilled_patch16_224"),
    *("SwinTransformer_tiny_patch4_window7_224", "SwinTransformer_base_patch4_window12_384"),
)


@pytest.mark.parametrize("name", NAMES)
def test_its_own_state_dict_gives_its_own_logits(tmp_path: Path, name: str) -> None:
    checkout = os.environ.get("PADDLECLAS")
    if not checkout:
        pytest.skip("PADDLECLAS names no checkout of PaddleClas")
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", SAVE, checkout, name]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, env=environment)
    artifact, _ = obtain(Request(name, str(tmp_path / "state.pdparams"), root=tmp_path), print)
    session = onnxruntime.InferenceSession(str(artifact.onnx), providers=["CPUExecutionProvider"])
    found = session.run(["logits"], {"x": np.load(tmp_path / "images.npy")})[0]
    expected = np.load(tmp_path / "logits.npy")
    assert expected.std() > 0.1
    np.testing.assert_allclose(found, expected, atol=1e-5)
