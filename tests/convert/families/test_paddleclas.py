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

# Runs PaddleClas' file as it is, but for its one relative import, which only fetches pretrained weights.
SAVE = """
import re, sys, types
import numpy as np, paddle
source = open(sys.argv[1] + "/ppcls/arch/backbone/model_zoo/vision_transformer.py").read()
source = re.sub(r"from \\.\\.\\.\\.utils\\.save_load import load_dygraph_pretrain", "", source)
module = types.ModuleType("vision_transformer")
exec(compile(source, "vision_transformer.py", "exec"), module.__dict__)
paddle.seed(7)
model = getattr(module, sys.argv[2])(use_ssld=False, class_num=1000)
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


@pytest.mark.parametrize("name", ["ViT_small_patch16_224", "ViT_base_patch32_384", "ViT_large_patch16_224"])
def test_its_own_state_dict_gives_its_own_logits(tmp_path: Path, name: str) -> None:
    checkout = os.environ.get("PADDLECLAS")
    if not checkout:
        pytest.skip("PADDLECLAS names no checkout of PaddleClas")
    subprocess.run([sys.executable, "-c", SAVE, checkout, name], cwd=tmp_path, check=True, capture_output=True)
    artifact, _ = obtain(Request(name, str(tmp_path / "state.pdparams"), root=tmp_path), print)
    session = onnxruntime.InferenceSession(str(artifact.onnx), providers=["CPUExecutionProvider"])
    found = session.run(["logits"], {"x": np.load(tmp_path / "images.npy")})[0]
    expected = np.load(tmp_path / "logits.npy")
    assert expected.std() > 0.1
    np.testing.assert_allclose(found, expected, atol=1e-5)
