"""The toy, converted for real: what is made, found again, made again and never left half-made."""

from __future__ import annotations

import dataclasses
import gc
import json
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import safetensors.numpy

from convert import artifact as artifacts
from convert import build, earlier
from convert.artifact import Artifact
from convert.build import Request, obtain
from convert.common import worker
from convert.common.errors import CheckFailed, GraphError, InputError
from convert.families.base import load_spec
from convert.families.vit import VisionTransformerSpec
from convert.manifest import Counts, MacCounts, Port, RequestedWeights
from convert.weights import seeded
from convert.zoo import HOSTED, MODELS
from tests.conftest import TOY_TOML
from tests.vit_numpy import forward

DATA = Path(__file__).parent / "data"
# PaddleClas' own VisionTransformer in Paddle 2.6.2 (image 32, patch 16, width 8, one block, two heads, 7 classes,
# weights 0.3 x default_rng(0) normal), on sin(0), sin(1), ... as three images.
PADDLECLAS_LOGITS = [
    [-0.1832376, 0.4710943, -0.6108636, 0.1710637, 0.9745200, -0.9712786, -0.2856909],
    [-0.1860759, 0.4695763, -0.6127391, 0.1735424, 0.9737999, -0.9671202, -0.2889000],
    [-0.1979326, 0.4750235, -0.6187021, 0.1767671, 0.9650527, -0.9596031, -0.2965325],
]


def logits(artifact: Artifact, images: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(str(artifact.onnx), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(["logits"], {"x": images})[0])


@pytest.fixture
def copied(toy_artifact: Artifact, toy_root: Path, tmp_path: Path) -> Path:
    """A copy of the artifacts folder that a test may damage."""
    return Path(shutil.copytree(toy_root, tmp_path / "copied"))


def test_the_manifest(toy_artifact: Artifact, toy_toml: Path) -> None:
    manifest = toy_artifact.manifest
    assert (manifest.format, manifest.model, manifest.precision, manifest.opset) == (2, "toy", "fp32", 17)
    assert manifest.weights.kind == "seeded"
    assert manifest.weights.source == manifest.weights.requested == "seeded:1"
    assert manifest.inputs == (Port("x", "float32", ("batch", 3, 32, 32)),)
    assert manifest.outputs == (Port("logits", "float32", ("batch", 7)),)
    assert manifest.preprocessing.resize_short == 36
    # 16 patches of 192 values; two blocks of qkv, proj, fc1 and fc2 over 17 tokens; the head; then both products.
    layers = 16 * 192 * 16 + 2 * 17 * (16 * 48 + 16 * 16 + 2 * 16 * 48) + 16 * 7
    total = layers + 2 * 2 * 17 * 17 * 16
    # The last block has one token behind its keys and values.
    spared = 16 * (16 * 16 + 2 * 16 * 48) + 2 * 16 * 17 * 16
    assert manifest.macs == MacCounts(published=layers, total=total, computed=total - spared)
    total = sum(int(np.prod(shape)) for shape in load_spec(toy_toml).state_shapes().values())
    assert manifest.parameters == Counts(published=total - 17 * 16 - 16, total=total)
    assert set(manifest.files) == {"model.onnx", "paddle/inference.json", "paddle/inference.pdiparams"}
    place = f"--artifacts {toy_artifact.path.parents[1]}"
    assert manifest.command == f"python -m convert {toy_toml} --precision fp32 {place} --weights seeded:1"
    assert toy_artifact.damage() is None
    assert {path.name for path in toy_artifact.path.iterdir()} >= {"model.onnx", "manifest.json", "paddle"}


@pytest.mark.parametrize("change", [{}, {"qkv_bias": "false", "epsilon": "1e-5", "qk_scale": "0.25"}])
def test_the_model_is_the_vision_transformer(tmp_path: Path, change: dict[str, str]) -> None:
    text = TOY_TOML.replace("qkv_bias = true\nepsilon = 1e-6", "qkv_bias = true\nepsilon = 1e-6\nqk_scale = 0.5")
    for name, value in change.items():
        line = next(line for line in text.splitlines() if line.startswith(name))
        text = text.replace(line, f"{name} = {value}")
    path = tmp_path / "toy.toml"
    path.write_text(text)
    artifact, _ = obtain(Request(str(path), "seeded:2", root=tmp_path), print)
    spec = load_spec(path)
    assert isinstance(spec, VisionTransformerSpec)
    state = {name: tensor.read() for name, tensor in seeded.tensors(2, spec).items()}
    images = np.random.default_rng(0).standard_normal((3, 3, 32, 32), dtype=np.float32)
    expected = forward(spec, state, images)
    np.testing.assert_allclose(logits(artifact, images), expected, atol=2e-5 * np.abs(expected).max())


def test_it_is_found_again_without_paddle(toy_toml: Path, toy_artifact: Artifact, toy_root: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from convert.build import Request, obtain\n"
        f"artifact, reused = obtain(Request({str(toy_toml)!r}, 'seeded:1', root=Path({str(toy_root)!r})), print)\n"
        "print(reused, artifact.sha256, 'paddle' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split() == ["True", toy_artifact.sha256, "False"]


def test_without_weights_those_that_are_there_stay(toy_toml: Path, toy_artifact: Artifact, toy_root: Path) -> None:
    artifact, reused = obtain(Request(str(toy_toml), None, root=toy_root), print)
    assert reused
    assert artifact.sha256 == toy_artifact.sha256


@pytest.mark.parametrize("damage", ["flip", "cut", "remove", "manifest"])
def test_a_damaged_artifact_is_noticed_and_made_again(
    toy_toml: Path, toy_artifact: Artifact, copied: Path, damage: str
) -> None:
    folder = copied / "toy" / "fp32"
    file = folder / "manifest.json" if damage == "manifest" else folder / "model.onnx"
    content = file.read_bytes()
    if damage == "remove":
        file.unlink()
    elif damage == "flip":
        middle = len(content) // 2
        file.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
    else:
        file.write_bytes(content[: len(content) // 2])
    said: list[str] = []
    artifact, reused = obtain(Request(str(toy_toml), "seeded:1", root=copied), said.append)
    assert not reused
    assert len(said) == 1
    assert file.name in said[0]
    assert "converting again" in said[0]
    assert artifact.sha256 == toy_artifact.sha256
    assert artifact.damage() is None


@pytest.mark.parametrize("change", [{"weights": "seeded:3"}, {"opset": 18}, {"opset": build.OPSETS[-1]}])
def test_other_inputs_make_another_artifact(
    toy_toml: Path, toy_artifact: Artifact, copied: Path, change: dict[str, Any]
) -> None:
    request = dataclasses.replace(Request(str(toy_toml), "seeded:1", root=copied), **change)
    artifact, reused = obtain(request, print)
    assert not reused
    assert artifact.manifest.opset == change.get("opset", 17)
    assert artifact.sha256 != toy_artifact.sha256
    assert obtain(request, print)[1]


@pytest.mark.parametrize("name", ["pir", "pdmodel"])
def test_an_inference_model_of_paddleclas(tmp_path: Path, name: str) -> None:
    artifact, _ = obtain(Request(str(DATA / name), root=tmp_path), print)
    assert any("Softmax was cut" in note for note in artifact.manifest.notes)
    assert any("the preprocessing is assumed" in note for note in artifact.manifest.notes)
    assert artifact.manifest.spec is None
    assert artifact.manifest.macs.published == 4 * 768 * 8 + 5 * (8 * 24 + 8 * 8 + 2 * 8 * 32) + 8 * 7
    # Its blocks are recognised as well: q, k and v by indices, and a head that reads the class token.
    kinds = Counter(node.op_type for node in onnx.load(artifact.onnx).graph.node)
    assert kinds["Split"] == 1
    assert (artifact.manifest.macs.total or 0) - (artifact.manifest.macs.computed or 0) == 4 * (
        8 * 8 + 2 * 8 * 32
    ) + 2 * 4 * 5 * 8
    images = np.sin(np.arange(3 * 3 * 32 * 32)).reshape(3, 3, 32, 32).astype(np.float32)
    np.testing.assert_allclose(logits(artifact, images), PADDLECLAS_LOGITS, atol=1e-5)
    assert obtain(Request(str(DATA / name), root=tmp_path), print)[1]


def test_an_inference_model_brings_its_own_weights(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="brings its own"):
        obtain(Request(str(DATA / "pir"), "seeded", root=tmp_path), print)


@pytest.mark.parametrize("suffix", [".json", ".pdmodel"])
def test_a_folder_with_garbage_is_one_clear_line(tmp_path: Path, suffix: str) -> None:
    folder = tmp_path / "garbage"
    folder.mkdir()
    (folder / f"inference{suffix}").write_bytes(b"no program")
    (folder / "inference.pdiparams").write_bytes(b"no parameters")
    out = tmp_path / "out"
    command = [sys.executable, "-m", "convert", str(folder), "--out", str(out)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 2, result.stderr
    assert len(result.stderr.strip().splitlines()) == 1, result.stderr
    assert "cannot read" in result.stderr
    assert not [file for file in out.rglob("*") if file.is_file()]


def test_a_conversion_that_fails_leaves_nothing(
    toy_toml: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise worker.JobError("the process was ended by SIGSEGV", "its log")

    monkeypatch.setattr(worker, "call", fail)
    said: list[str] = []
    with pytest.raises(CheckFailed, match="SIGSEGV"):
        obtain(Request(str(toy_toml), "seeded", root=tmp_path), said.append)
    assert said == []
    assert "| its log" in capsys.readouterr().err
    assert not (tmp_path / "toy").exists()
    assert gc.isenabled()


def test_a_graph_that_is_not_the_model_is_no_artifact(
    toy_toml: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def differ(*_: object) -> None:
        raise GraphError("toy: 1 Softmax instead of 2")

    monkeypatch.setattr("convert.export.graph.check_spec", differ)
    with pytest.raises(CheckFailed, match="1 Softmax instead of 2"):
        obtain(Request(str(toy_toml), "seeded", root=tmp_path), print)
    assert not (tmp_path / "toy").exists()


def test_what_cannot_be_asked_for() -> None:
    with pytest.raises(InputError, match="precision int4"):
        Request("toy", precision="int4")
    with pytest.raises(InputError, match="fp16 needs no images"):
        Request("toy", precision="fp16", calibration=Path("photos"))
    with pytest.raises(InputError, match="all of an fp32 artifact"):
        Request("toy", keep_fp32=("head",))
    with pytest.raises(InputError, match="--int8-range: it says how int8 rounds weights, and bf16 is asked for"):
        Request("toy", precision="bf16", int8_range="portable")
    with pytest.raises(InputError, match="--int8-range narrow: choose from full, portable"):
        Request("toy", precision="int8", int8_range="narrow")
    with pytest.raises(InputError, match="--smooth: it says how int8 treats outliers, and bf16 is asked for"):
        Request("toy", precision="bf16", smooth=0.0)
    for wrong in (-0.1, 1.1, float("nan")):
        with pytest.raises(InputError, match=r"--smooth .*: choose from 0 \(nothing is smoothed\) to 1$"):
            Request("toy", precision="int8", smooth=wrong)
    with pytest.raises(InputError, match=r"opset 16: choose one from 17 to 21$"):
        Request("toy", opset=16)
    with pytest.raises(InputError, match=r"opset 22: choose one from 17 to 21, the last that Paddle2ONNX writes$"):
        Request("toy", opset=22)


def test_an_earlier_auto_does_not_ask_the_network_again(
    toy_artifact: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With no network, `auto` came to seeded weights; the next call takes them without waiting for the network."""
    spec = load_spec(_toml(tmp_path))
    weights = RequestedWeights(kind="seeded", source="seeded:0", sha256="s", note="why", requested="auto")
    present = Artifact(tmp_path, dataclasses.replace(toy_artifact.manifest, weights=weights))
    monkeypatch.setattr(earlier, "fingerprint", lambda weights, model, key: None)
    found = earlier.fingerprint_of(spec, "auto", "auto", present)
    assert found is not None
    assert (found.kind, found.note) == ("seeded", "why")
    assert earlier.fingerprint_of(spec, "pretrained", "pretrained", present) is None


def _toml(folder: Path) -> Path:
    path = folder / "toy.toml"
    path.write_text(TOY_TOML)
    return path


def test_the_command(toy_toml: Path, toy_artifact: Artifact, toy_root: Path, tmp_path: Path) -> None:
    def convert(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "convert", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    result = convert(str(toy_toml), "--weights", "seeded:1", "--out", str(toy_root), "--json")
    manifest = json.loads(result.stdout)
    assert result.returncode == 0
    assert artifacts.load(Path(manifest["path"])).sha256 == toy_artifact.sha256
    result = convert("ViT_base_patch32_385", "--out", str(tmp_path))
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("error: unknown model ViT_base_patch32_385: did you mean ViT_base_patch32_384?")
    result = convert("--list")
    assert [line.split()[0] for line in result.stdout.splitlines() if line[0] == " "] == [*MODELS, *HOSTED]


def test_what_is_left_open_comes_from_the_artifact_that_is_there(tmp_path: Path) -> None:
    """Also when the file that its weights came from is gone: they are in the artifact."""
    spec = load_spec(_toml(tmp_path))
    file = tmp_path / "toy.safetensors"
    tensors = {name: tensor.read() for name, tensor in seeded.tensors(5, spec).items()}
    linear = {name: np.ascontiguousarray(array.T) if array.ndim == 2 else array for name, array in tensors.items()}
    safetensors.numpy.save_file(linear, file)
    toml = str(tmp_path / "toy.toml")
    first, _ = obtain(Request(toml, str(file), opset=18, root=tmp_path), print)
    assert first.manifest.command.endswith(f"--weights {file} --opset 18")
    assert first.weights_option() == str(file)
    file.unlink()
    again, reused = obtain(Request(toml, root=tmp_path), print)
    assert (reused, again.sha256, again.manifest.opset) == (True, first.sha256, 18)
    with pytest.raises(InputError, match="no such file"):
        obtain(Request(toml, str(file), root=tmp_path), print)


@pytest.mark.parametrize("name", ["notes.txt", "paddle/inference.yml", "model.onnx.bak"])
def test_a_folder_with_files_of_the_user_is_not_replaced(toy_toml: Path, tmp_path: Path, name: str) -> None:
    target = tmp_path / "toy" / "fp32"
    (target / name).parent.mkdir(parents=True)
    (target / name).write_text("mine")
    with pytest.raises(InputError, match=f"it holds {name}, which is no part of an artifact"):
        obtain(Request(str(toy_toml), "seeded:1", root=tmp_path), print)
    assert (target / name).read_text() == "mine"


def test_what_vitbench_keeps_beside_an_artifact_goes_with_it(toy_artifact: Artifact, tmp_path: Path) -> None:
    copy = tmp_path / "fp32"
    shutil.copytree(toy_artifact.path, copy)
    for name in ("cache/mnn/x/toy.mnn", "reference/a.npz", "parity.jsonl"):
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).touch()
    artifacts.refuse_others_files(copy)
    (copy / artifacts.MANIFEST).write_text("damaged")
    artifacts.refuse_others_files(copy)
    (copy / "linked").symlink_to(tmp_path)
    with pytest.raises(InputError, match="linked"):
        artifacts.refuse_others_files(copy)


def test_one_that_waited_for_another_takes_what_that_one_made(toy_toml: Path, tmp_path: Path) -> None:
    request = Request(str(toy_toml), "seeded:1", root=tmp_path)
    command = [sys.executable, "-m", "convert", str(toy_toml), "--weights", "seeded:1", "--out", str(tmp_path)]
    said: list[str] = []
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as other:
        while not (tmp_path / "toy" / ".fp32.lock").exists():
            assert other.poll() is None
        artifact, reused = obtain(request, said.append)
        assert other.wait() == 0
    assert reused
    assert artifact.damage() is None
    assert [path.name for path in (tmp_path / "toy").iterdir()] == ["fp32"]
