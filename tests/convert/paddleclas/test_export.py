"""`--paddleclas`: with a stand-in for a checkout, whose engine is called as PaddleClas' own is; and with a real one."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from click.testing import CliRunner

from convert.__main__ import main
from convert.artifact import Artifact, load
from convert.common.errors import InputError
from convert.paddleclas import export

# What is imported and not installed has no part in an export.
ENGINE = """
import os
import easydict, tqdm.auto
from visualdl import LogWriter
import paddle

class Engine:
    def __init__(self, config, mode):
        assert mode == "export"
        self.config = config
        assert not config["Arch"]["pretrained"]
        print("made by", os.getcwd())
        if config["Arch"]["name"] == "Broken_8":
            raise KeyError("a fault of its own")
        self.model = paddle.nn.Sequential(
            paddle.nn.Flatten(), paddle.nn.Linear(192, 5), paddle.nn.Linear(5, config["Arch"]["class_num"])
        )
        self.model.register_buffer("index", paddle.arange(3))

    def export(self):
        assert self.config["Global"]["export_for_fd"]
        spec = paddle.static.InputSpec([None, 3, 8, 8], "float32")
        model = paddle.jit.to_static(paddle.nn.Sequential(self.model, paddle.nn.Softmax()), input_spec=[spec])
        model.eval()
        paddle.jit.save(model, self.config["Global"]["save_inference_dir"] + "/inference")
"""
CONFIG = """
import json
def get_config(name, show):
    return json.load(open(name))
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    root = tmp_path / "PaddleClas"
    for folder in ("ppcls/engine", "ppcls/utils", "ppcls/configs/ImageNet/Toy"):
        (root / folder).mkdir(parents=True)
    for package in ("ppcls", "ppcls/engine", "ppcls/utils"):
        (root / package / "__init__.py").touch()
    (root / "ppcls/engine/engine.py").write_text(ENGINE)
    (root / "ppcls/utils/config.py").write_text(CONFIG)
    for name in ("Toy_8", "Broken_8"):
        table = {"Global": {}, "Arch": {"name": name, "class_num": 4, "pretrained": True}}
        (root / f"ppcls/configs/ImageNet/Toy/{name}.yaml").write_text(json.dumps(table))
    return root


def state(classes: int = 4) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    shapes = {"1.weight": (192, 5), "1.bias": (5,), "2.weight": (5, classes), "2.bias": (classes,)}
    return {name: rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}


def convert(tmp_path: Path, tensors: dict[str, Any], *words: str) -> Any:
    (tmp_path / "own.pdparams").write_bytes(pickle.dumps(tensors, protocol=4))
    options = ["--weights", str(tmp_path / "own.pdparams"), "--out", str(tmp_path / "out"), *words]
    return CliRunner().invoke(main, ["Toy_8", *options], catch_exceptions=False)


def logits(artifact: Artifact, images: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(str(artifact.onnx), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(["logits"], {"x": images})[0])


@pytest.mark.parametrize("classes", [4, 9])
def test_the_weights_go_through_its_own_code(checkout: Path, tmp_path: Path, classes: int) -> None:
    """Another number of classes is read off the file."""
    tensors = state(classes)
    result = convert(tmp_path, tensors, "--paddleclas", str(checkout))
    assert result.exit_code == 0, result.output
    artifact = load(tmp_path / "out/Toy_8/fp32")
    images = np.random.default_rng(1).standard_normal((2, 3, 8, 8)).astype(np.float32)
    hidden = images.reshape(2, -1) @ tensors["1.weight"] + tensors["1.bias"]
    expected = hidden @ tensors["2.weight"] + tensors["2.bias"]
    np.testing.assert_allclose(logits(artifact, images), expected, atol=1e-4)
    (said,) = [note for note in artifact.manifest.notes if "PaddleClas' own code" in note]
    assert f"that of {checkout} (" in said
    assert f"of {tmp_path}/own.pdparams (sha256 " in said
    assert "as PaddleClas' code sets it: index" in said
    assert ("a head of 9 classes" in said) == (classes == 9)
    # The folder is a model as any other, and is exported once.
    folder = tmp_path / "out/paddleclas/Toy_8"
    before = folder.stat().st_ino
    assert "unchanged" in convert(tmp_path, tensors, "--paddleclas", str(checkout)).output
    assert folder.stat().st_ino == before
    assert not list(checkout.rglob("__pycache__"))


def test_other_code_or_weights_are_exported_again(checkout: Path, tmp_path: Path) -> None:
    file = tmp_path / "own.pdparams"
    file.write_bytes(pickle.dumps(state(), protocol=4))
    folder = export.export(checkout, "Toy_8", str(file), None, tmp_path)
    first = export.read(folder)
    assert first
    (checkout / "ppcls/engine/more.py").write_text("# new")
    export.export(checkout, "Toy_8", str(file), None, tmp_path)
    second = export.read(folder)
    assert second
    assert (first.sha256, first.code != second.code) == (second.sha256, True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"1.bias": None}, "missing 1.bias"),
        ({"3.weight": np.zeros(2, np.float32)}, "unexpected 3.weight"),
        ({"1.bias": np.zeros(6, np.float32)}, r"1.bias is \(6,\) instead of \(5,\)"),
        ({"1.bias": np.full(5, np.nan, np.float32)}, "1.bias holds NaN"),
    ],
)
def test_what_does_not_fit_is_named(
    checkout: Path, tmp_path: Path, change: dict[str, np.ndarray | None], message: str
) -> None:
    tensors = {name: array for name, array in {**state(), **change}.items() if array is not None}
    file = tmp_path / "own.pdparams"
    file.write_bytes(pickle.dumps(tensors, protocol=4))
    with pytest.raises(InputError, match=message):
        export.export(checkout, "Toy_8", str(file), None, tmp_path)
    assert not (tmp_path / "paddleclas/Toy_8").exists()


def test_what_is_no_checkout_or_fails_is_a_line(
    checkout: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "own.pdparams"
    file.write_bytes(pickle.dumps(state(), protocol=4))

    def failing(where: Path, model: str, weights: Path | None = file) -> str:
        with pytest.raises(InputError) as caught:
            export.export(where, model, str(weights) if weights else None, None, tmp_path)
        return caught.value.message

    assert failing(tmp_path, "Toy_8") == f"--paddleclas {tmp_path}: no checkout of PaddleClas (it has no ppcls/engine)"
    assert failing(checkout, "Toy_9").endswith("Toy_9.yaml in it; did you mean Toy_8?")
    assert "name the weights of Toy_8" in failing(checkout, "Toy_8", None)
    assert "there is no such file" in failing(checkout, "Toy_8", tmp_path / "none.pdparams")
    assert "its code fails on Broken_8 (KeyError: 'a fault of its own')" in failing(checkout, "Broken_8")
    assert f"made by {checkout}" in capsys.readouterr().err
    (tmp_path / "paddleclas/Toy_8").mkdir(parents=True)
    (tmp_path / "paddleclas/Toy_8/mine.txt").touch()
    assert "no export of --paddleclas: move it away" in failing(checkout, "Toy_8")


def test_a_model_with_a_layer_needs_none(checkout: Path, tmp_path: Path) -> None:
    words = ["ViT_base_patch16_224", "--paddleclas", str(checkout), "--out", str(tmp_path)]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 2
    assert "vitbench has a layer for ViT_base_patch16_224" in result.output


# PaddleClas' own class with noise on its weights: its state dict, images and logits.
SAVE = """
import sys
from convert.paddleclas import stand_ins
stand_ins.install()
sys.path.insert(0, sys.argv[1])
import numpy as np, paddle
from ppcls.arch import backbone
paddle.seed(7)
model = getattr(backbone, sys.argv[2])(class_num=10)
rng = np.random.default_rng(7)
for parameter in model.parameters():
    parameter.set_value(parameter.numpy() + 0.02 * rng.standard_normal(parameter.shape).astype("float32"))
model.eval()
images = rng.standard_normal((2, 3, 224, 224)).astype("float32")
paddle.save(model.state_dict(), sys.argv[3] + "/own.pdparams")
np.save(sys.argv[3] + "/images.npy", images)
np.save(sys.argv[3] + "/logits.npy", model(paddle.to_tensor(images)).numpy())
"""


def test_a_real_checkout_gives_its_own_logits(tmp_path: Path) -> None:
    real = os.environ.get("PADDLECLAS")
    if not real:
        pytest.skip("PADDLECLAS names no checkout of PaddleClas")
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", SAVE, real, "pcpvt_small", str(tmp_path)]
    subprocess.run(command, check=True, capture_output=True, env=environment)
    words = ["pcpvt_small", "--paddleclas", real, "--weights", str(tmp_path / "own.pdparams"), "--out", str(tmp_path)]
    result = CliRunner().invoke(main, words, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    artifact = load(tmp_path / "pcpvt_small/fp32")
    assert artifact.classes == 10
    assert artifact.manifest.preprocessing_source == "inference.yml"
    expected = np.load(tmp_path / "logits.npy")
    assert expected.std() > 0.1
    np.testing.assert_allclose(logits(artifact, np.load(tmp_path / "images.npy")), expected, atol=1e-4)
