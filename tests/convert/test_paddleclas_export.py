"""A folder that PaddleClas' own export wrote is the model that a spec describes, images included: needs a checkout."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import pytest

from convert.artifact import Artifact
from convert.build import Request, obtain
from convert.images.preprocess import preprocess

# PaddleClas' Engine as `tools/export_model.py` calls it. Imports that have no part in it (plots, progress bars, scores)
# are empty where they are not installed. Weights are noise on top of PaddleClas' own start, so that images differ.
EXPORT = """
import importlib.abc, importlib.machinery, os, sys, types
checkout, config, folder = sys.argv[1:]

class Absent(types.ModuleType):
    __path__ = []
    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {})

class Stubs(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("six", "easydict", "matplotlib", "sklearn", "scipy", "tqdm", "visualdl"):
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
    def create_module(self, spec):
        return Absent(spec.name)
    def exec_module(self, module):
        pass

sys.meta_path.append(Stubs())  # the last to be asked: what is installed is taken
sys.path.insert(0, checkout)
os.chdir(checkout)  # the configuration names its list of classes from there
import numpy as np, paddle
from ppcls.data import create_operators
from ppcls.engine.engine import Engine
from ppcls.utils import config as configs
overrides = [f"Global.save_inference_dir={folder}/exported", f"Global.output_dir={folder}/log", "Global.device=cpu",
             "Global.export_for_fd=True", "Global.pretrained_model=None"]
read = configs.get_config(config, overrides=overrides, show=False)
paddle.seed(5)
engine = Engine(read, mode="export")
rng = np.random.default_rng(5)
for parameter in engine.model.parameters():
    parameter.set_value(parameter.numpy() + 0.03 * rng.standard_normal(parameter.shape).astype("float32"))
engine.export()
paddle.save(engine.model.state_dict(), folder + "/state.pdparams")
images = []
for name in sorted(os.listdir(folder + "/photos")):
    image = open(f"{folder}/photos/{name}", "rb").read()
    for operator in create_operators(configs.get_config(config, show=False)["Infer"]["transforms"]):
        image = operator(image)
    images.append(image)
np.save(folder + "/images.npy", np.stack(images))
engine.model.eval()
np.save(folder + "/logits.npy", engine.model(paddle.to_tensor(np.stack(images))).numpy())
"""

SPEC = """
name = "own"
patch_size = 16
embed_dim = 192
depth = 12
num_heads = 3
mlp_ratio = 4
qkv_bias = true
epsilon = 1e-6
[preprocessing]
resize_short = 256
crop = 224
interpolation = "bicubic"
backend = "pil"
mean = [0.485, 0.456, 0.406]
std = [0.229, 0.224, 0.225]
"""


def answers(artifact: Artifact, folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """The images as the artifact's preprocessing makes them, and the logits."""
    images = np.stack([preprocess(file, artifact.preprocessing) for file in sorted(folder.iterdir())])
    session = onnxruntime.InferenceSession(str(artifact.onnx), providers=["CPUExecutionProvider"])
    return images, np.asarray(session.run(["logits"], {"x": images})[0])


def test_its_export_is_the_model_of_the_spec(tmp_path: Path) -> None:
    checkout = os.environ.get("PADDLECLAS")
    if not checkout:
        pytest.skip("PADDLECLAS names no checkout of PaddleClas")
    photos = tmp_path / "photos"
    photos.mkdir()
    for number, size in enumerate([(300, 400), (500, 333), (224, 224), (120, 90), (260, 777)]):
        small = np.random.default_rng(number).integers(0, 256, (7, 6, 3), dtype=np.uint8)
        pixels = cv2.resize(small, size, interpolation=cv2.INTER_CUBIC)
        assert cv2.imwrite(str(photos / f"{number}.jpg"), pixels)
    config = f"{checkout}/ppcls/configs/ImageNet/DeiT/DeiT_tiny_patch16_224.yaml"
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-c", EXPORT, checkout, config, str(tmp_path)]
    done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]

    exported, _ = obtain(Request(str(tmp_path / "exported"), root=tmp_path / "folder"), print)
    assert exported.manifest.preprocessing_source == "inference.yml"
    assert exported.manifest.class_names
    assert exported.manifest.class_names[1].startswith("goldfish")
    images, logits = answers(exported, photos)
    # PaddleClas' operators and its model on the same files: the images to the last bit.
    assert (images == np.load(tmp_path / "images.npy")).all()
    expected = np.load(tmp_path / "logits.npy")
    assert expected.std() > 0.1
    np.testing.assert_allclose(logits, expected, atol=1e-4)
    assert (logits.argmax(1) == expected.argmax(1)).all()
    assert len(set(expected.argmax(1))) > 1

    (tmp_path / "own.toml").write_text(SPEC)
    own, _ = obtain(
        Request(str(tmp_path / "own.toml"), str(tmp_path / "state.pdparams"), root=tmp_path / "toml"), print
    )
    assert own.preprocessing == exported.preprocessing
    same_images, same_logits = answers(own, photos)
    assert (same_images == images).all()
    assert (same_logits.argmax(1) == logits.argmax(1)).all()
