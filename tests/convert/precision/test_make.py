"""The toy in lower precisions: types of the graph, the same answers within their rounding, and what is refused."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime as ort
import pytest

from convert.artifact import Artifact
from convert.build import Request, obtain
from convert.common.errors import CheckFailed, InputError
from convert.images.inputs import seeded
from convert.manifest import LoweringOptions
from convert.precision import calibration_images, make
from convert.precision.operators import Operator
from convert.precision.portability import MAY_DIFFER, PORTABLE
from runtimes.system.processor import cpuinfo


def _variant(toy_toml: Path, root: Path, precision: str, **more: object) -> Artifact:
    return obtain(Request(str(toy_toml), "seeded:1", precision, root=root, **more), print)[0]  # type: ignore[arg-type]


def _logits(file: Path, images: np.ndarray, exact: str = "0") -> np.ndarray:
    """exact: "1" for sums in 32 bits on processors without VNNI too."""
    settings = ort.SessionOptions()
    settings.add_session_config_entry("session.x64quantprecision", exact)
    session = ort.InferenceSession(str(file), settings, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"x": images})[0])


def _int8_bound() -> float:
    """Without VNNI ONNX Runtime adds pairs of products of int8 in 16 bits, which saturate (its documentation on
    quantization, "reduce_range"): 0.081 was seen on a processor with AVX2 alone, and below 0.04 elsewhere."""
    flags = cpuinfo().get("flags", "")
    return 0.04 if "vnni" in flags else 0.12


@pytest.mark.parametrize(("precision", "bound"), [("fp16", 1e-3), ("int8", _int8_bound())])
def test_a_variant_is_the_same_model(
    toy_toml: Path, toy_root: Path, toy_artifact: Artifact, precision: str, bound: float
) -> None:
    variant = _variant(toy_toml, toy_root, precision)
    images = seeded(variant.preprocessing, 64, seed=7).images
    exact, found = (_logits(one.onnx, images) for one in (toy_artifact, variant))
    error = np.sqrt(np.square(found - exact).mean() / np.square(exact).mean())
    assert 0 < error < bound
    assert variant.base.sha256 == toy_artifact.sha256
    assert found.dtype == np.float32


def test_bf16_multiplies_in_bf16_and_normalises_in_fp32(toy_toml: Path, toy_root: Path) -> None:
    graph = onnx.shape_inference.infer_shapes(onnx.load(_variant(toy_toml, toy_root, "bf16").onnx)).graph
    types = {value.name: value.type.tensor_type.elem_type for value in (*graph.value_info, *graph.output)}
    kinds = Counter((node.op_type, types[node.output[0]]) for node in graph.node)
    assert kinds["MatMul", onnx.TensorProto.BFLOAT16] == 2 * 6 + 1
    assert kinds["Add", onnx.TensorProto.BFLOAT16] == 2 * 4 + 1  # biases; residuals are FP32
    for operator, count in (("LayerNormalization", 5), ("Softmax", 2), ("Erf", 2)):
        assert kinds[operator, onnx.TensorProto.FLOAT] == count


def test_int8_is_symmetric_and_keeps_what_it_is_told_to(toy_toml: Path, tmp_path: Path) -> None:
    variant = _variant(toy_toml, tmp_path, "int8", keep_fp32=("blocks.1.mlp.fc2",))
    graph = onnx.load(variant.onnx).graph
    stored = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    zero_points = [stored[node.input[2]] for node in graph.node if node.op_type.endswith("QuantizeLinear")]
    assert zero_points
    assert all(array.dtype == np.int8 and not array.any() for array in zero_points)
    assert stored["blocks.1.mlp.fc2.weight"].dtype == np.float32
    assert "blocks.0.mlp.fc2.weight" not in stored
    assert [entry.operator for entry in variant.manifest.kept_fp32 or ()] == ["blocks.1.mlp.fc2"]
    again, reused = obtain(Request(str(toy_toml), precision="int8", root=tmp_path), print)
    assert reused
    assert again.manifest.recipe == LoweringOptions(None, ("blocks.1.mlp.fc2",), "full", 0.5)


def test_how_much_is_smoothed_makes_another_artifact(toy_toml: Path, tmp_path: Path, shown: list[str]) -> None:
    usual = _variant(toy_toml, tmp_path, "int8")
    assert "--smooth 0.5" in usual.manifest.command
    assert usual.manifest.smoothed
    off = _variant(toy_toml, tmp_path, "int8", smooth=0.0)
    assert off.manifest.command.endswith("--smooth 0")
    assert off.manifest.smoothed == ()
    assert not [node for node in onnx.load(off.onnx).graph.node if "Smooth" in node.name]
    images = seeded(off.preprocessing, 16, seed=7).images
    exact, found = (_logits(one.onnx, images) for one in (_variant(toy_toml, tmp_path, "fp32"), off))
    assert np.square(found - exact).mean() / np.square(exact).mean() < _int8_bound() ** 2
    again, reused = obtain(Request(str(toy_toml), precision="int8", root=tmp_path), shown.append)
    assert (reused, again.sha256) == (True, off.sha256), "as the one that is there, which is none of 0.5"
    strong = _variant(toy_toml, tmp_path, "int8", smooth=0.75)
    assert len({usual.sha256, off.sha256, strong.sha256}) == 3
    back = _variant(toy_toml, tmp_path, "int8", smooth=0.5)
    assert back.sha256 == usual.sha256


def test_int8_says_whether_it_is_portable_and_is_made_so(toy_toml: Path, tmp_path: Path, shown: list[str]) -> None:
    full = _variant(toy_toml, tmp_path, "int8")
    assert full.manifest.saturation is not None
    assert full.manifest.saturation.result == MAY_DIFFER
    assert (full.manifest.saturation.up_to or 0) > 0
    portable = _variant(toy_toml, tmp_path, "int8", int8_range="portable")
    assert portable.sha256 != full.sha256
    assert portable.manifest.saturation is not None
    assert (portable.manifest.saturation.result, portable.manifest.saturation.any_input) == (PORTABLE, {})
    assert "--int8-range portable" in portable.manifest.command
    images = seeded(portable.preprocessing, 16, seed=7).images
    np.testing.assert_array_equal(_logits(portable.onnx, images), _logits(portable.onnx, images, "1"))
    again, reused = obtain(Request(str(toy_toml), precision="int8", root=tmp_path), shown.append)
    assert (reused, again.sha256) == (True, portable.sha256)


def test_an_int8_artifact_from_before_is_taken_up_and_looked_at(toy_toml: Path, tmp_path: Path) -> None:
    made = _variant(toy_toml, tmp_path, "int8")
    file = made.path / "manifest.json"
    table = json.loads(file.read_text())
    del table["saturation"], table["checksum"], table["recipe"]["int8_range"], table["recipe"]["smooth"]
    file.write_text(json.dumps(table))
    found, reused = obtain(Request(str(toy_toml), precision="int8", root=tmp_path), print)
    assert (reused, found.sha256) == (True, made.sha256)
    looked, known = found.manifest.saturation, made.manifest.saturation
    assert looked is not None
    assert known is not None
    assert (looked.any_input, looked.calibrated) == (known.any_input, None)
    assert obtain(Request(str(toy_toml), precision="int8", root=tmp_path, int8_range="full"), print)[1]
    assert obtain(Request(str(toy_toml), precision="int8", root=tmp_path, smooth=0.5), print)[1]
    assert not obtain(Request(str(toy_toml), precision="int8", root=tmp_path, smooth=0.0), print)[1]


def test_what_is_refused(toy_toml: Path, toy_root: Path, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    with pytest.raises(InputError, match="no images in it"):
        _variant(toy_toml, toy_root, "int8", calibration=tmp_path / "photos")
    (tmp_path / "photos" / "one.png").write_bytes(b"")
    with pytest.raises(InputError, match="1 image cannot show"):
        _variant(toy_toml, toy_root, "int8", calibration=tmp_path / "photos")
    with pytest.raises((InputError, CheckFailed), match="no such operator"):
        _variant(toy_toml, tmp_path, "fp16", keep_fp32=("blocks.9.mlp.fc2",))


def test_an_operator_that_int8_costs_too_much_stays_fp32(
    toy_artifact: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(make, "LEAST_CONVOLVED", 1)  # else the worst is the patch embedding, which is half of the toy
    job = {"base": str(toy_artifact.path), "folder": str(tmp_path), "precision": "int8", "calibration": None}
    noise = make.run_job({**job, "keep_fp32": None})["signal_to_noise_db"]
    worst, second, *_ = noise
    monkeypatch.setattr(make, "LEAST_DB", (noise[worst] + noise[second]) / 2)
    facts = make.run_job({**job, "keep_fp32": None})
    assert [entry["operator"] for entry in facts["kept_fp32"]] == [worst]
    assert make.run_job({**job, "keep_fp32": []})["kept_fp32"] == []


def test_a_depthwise_convolution_stays_fp32_and_a_dense_one_does_not() -> None:
    found = [Operator(name, "Conv", name, f"{name}.weight", 0, ("x",)) for name in ("dense", "depthwise")]
    found.append(Operator("fc", "MatMul", "fc", "fc.weight", 1, ("x",)))
    found.append(Operator("qk", "MatMul", "qk", None, 0, ("x", "x")))
    shapes = {"dense": (8, 4, 3, 3), "depthwise": (8, 1, 3, 3), "fc": (4, 1)}
    stored = {f"{name}.weight": np.zeros(shape, np.float32) for name, shape in shapes.items()}
    assert [one.name for one in make._worth_it(found, stored)] == ["dense", "fc"]


def test_it_is_made_again_for_other_images_and_from_another_model(
    toy_toml: Path, tmp_path: Path, shown: list[str]
) -> None:
    root, photos = tmp_path / "artifacts", tmp_path / "photos"
    photos.mkdir()
    for i in range(8):
        cv2.imwrite(str(photos / f"{i}.png"), np.random.default_rng(i).integers(0, 255, (40, 40, 3), np.uint8))
    request = Request(str(toy_toml), "seeded:1", "int8", root=root, calibration=photos)
    first, _ = obtain(request, shown.append)
    assert first.manifest.calibration
    assert first.manifest.calibration.images == 8
    assert obtain(request, shown.append)[1]
    cv2.imwrite(str(photos / "0.png"), np.zeros((40, 40, 3), np.uint8))
    second, reused = obtain(request, shown.append)
    assert not reused
    assert second.manifest.calibration
    assert second.manifest.calibration.sha256 != first.manifest.calibration.sha256
    obtain(Request(str(toy_toml), "seeded:2", root=root), shown.append)
    with pytest.raises(InputError, match="not what it was made from any more"):
        _ = second.base
    third, reused = obtain(Request(str(toy_toml), precision="int8", root=root), shown.append)
    assert not reused
    assert third.base.manifest.weights.source == "seeded:2"


@pytest.mark.parametrize("packed", [True, False])
def test_calibration_knows_images_by_their_bytes_wherever_they_lie(
    toy_artifact: Artifact, tmp_path: Path, packed: bool
) -> None:
    photos = [
        cv2.imencode(".png", np.random.default_rng(i).integers(0, 255, (40, 40, 3), np.uint8))[1].tobytes()
        for i in range(9)
    ]
    for i, data in enumerate(photos):
        (tmp_path / f"{i}.png").write_bytes(data)
    (tmp_path / "l.txt").write_text("".join(f".\\{i}.png\t{i % 2}\r\n" for i in range(9)))
    path = tmp_path / "l.txt"
    if packed:
        path = tmp_path / "a.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for i, data in enumerate(photos):
                archive.writestr(f"photos/{i}.png", data)
    inputs, hashes = calibration_images.preprocessed(path, toy_artifact)
    assert hashes == [hashlib.sha256(data).hexdigest() for data in photos]
    assert tuple(hashes) == calibration_images.hashes(calibration_images.choose(path))
    assert len(inputs.images) == 9


@pytest.fixture
def shown() -> list[str]:
    """What the user was told."""
    return []
