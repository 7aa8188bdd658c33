"""Inference models of the kinds that people export, converted whole: the artifact computes what Paddle computes."""

from __future__ import annotations

import shlex
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from convert.artifact import Artifact
from convert.build import Request, obtain
from convert.common import worker
from convert.common.errors import GraphError, InputError
from convert.export import constants
from convert.images.inputs import seeded
from convert.model_options import ModelOptions
from tests.convert.export.toys import CLASSES, SIZE


def converted(toys: Path, root: Path, kind: str, size: int | None = None) -> Artifact:
    return obtain(Request(str(toys / kind), root=root, image_size=size), print)[0]


def logits(artifact: Artifact, images: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(str(artifact.onnx), providers=["CPUExecutionProvider"])
    found: np.ndarray = session.run(None, {"x": images})[0]
    return found


def expected(folder: Path, images: np.ndarray) -> np.ndarray:
    """What Paddle makes of images, as the folder has it."""
    np.save(folder / "images.npy", images)
    worker.call("tests.convert.export.toys:run", str(folder))
    found: np.ndarray = np.load(folder / "outputs.npy")
    return found


def test_a_part_that_no_image_changes(toys: Path, tmp_path: Path) -> None:
    """An integer parameter and a mask that Paddle2ONNX writes with branches and sequences."""
    artifact = converted(toys, tmp_path, "masked")
    images = seeded(artifact.preprocessing, 3).images
    np.testing.assert_allclose(logits(artifact, images), expected(toys / "masked", images), atol=1e-6)
    operators = {node.op_type for node in onnx.load(artifact.onnx).graph.node}
    assert not operators & {"If", "ConcatFromSequence", "SequenceConstruct", "SequenceMap", "Identity", "Constant"}
    assert artifact.manifest.macs.published == 16 * 3 * 4 * 4 * 8 + 8 * CLASSES


def test_pixels_go_in_as_they_are_where_the_normalisation_is_inside(toys: Path, tmp_path: Path) -> None:
    artifact = converted(toys, tmp_path, "bytes")
    pixels = np.random.default_rng(5).integers(0, 256, (2, 3, SIZE, SIZE)).astype(np.uint8)
    found = logits(artifact, pixels.astype(np.float32))
    np.testing.assert_allclose(found, expected(toys / "bytes", pixels.transpose(0, 2, 3, 1)), atol=1e-6)
    mean, std = (np.array(values) for values in (artifact.preprocessing.mean, artifact.preprocessing.std))
    np.testing.assert_allclose((np.array([0, 100, 255]) / 255 - mean) / std, [0, 100, 255], rtol=1e-12)


def test_a_fixed_batch(toys: Path, tmp_path: Path) -> None:
    artifact = converted(toys, tmp_path, "three")
    assert artifact.batch == 3
    assert artifact.manifest.inputs[0].shape == (3, 3, SIZE, SIZE)
    assert artifact.manifest.macs.published == 16 * 3 * 4 * 4 * 8 + 8 * CLASSES  # of one image
    assert artifact.no_batch(3) is None
    assert str(artifact.no_batch(3, 4)).startswith("exported with a fixed batch of 3: batch 4 is not possible")


def test_an_open_size_is_given_and_stays_with_the_artifact(toys: Path, tmp_path: Path) -> None:
    artifact = converted(toys, tmp_path, "any size", 24)
    assert artifact.manifest.inputs[0].shape == ("batch", 3, 24, 24)
    assert artifact.preprocessing.crop == 24
    assert artifact.arguments(ModelOptions())["image_size"] == 24
    assert "--image-size 24" in artifact.manifest.command
    folder = str(toys / "any size")
    for size in (24, None):  # it is known from the artifact
        again, reused = obtain(Request(folder, root=tmp_path, image_size=size), print)
        assert (reused, again.sha256) == (True, artifact.sha256)
    other, reused = obtain(Request(folder, root=tmp_path, image_size=32), print)
    assert (reused, other.image_shape) == (False, (32, 32))
    assert shlex.split(other.manifest.command)[-2:] == ["--image-size", "32"]


def test_a_size_that_is_fixed_is_no_other(toys: Path, tmp_path: Path, toy_toml: Path) -> None:
    assert converted(toys, tmp_path, "logits", SIZE).manifest.image_size is None
    assert obtain(Request(str(toys / "logits"), root=tmp_path, image_size=SIZE), print)[1]
    with pytest.raises(InputError, match="--image-size 20: it was exported for 16 pixels"):
        converted(toys, tmp_path, "logits", 20)
    with pytest.raises(InputError, match="--image-size 20: toy takes 32 pixels"):
        obtain(Request(str(toy_toml), root=tmp_path, image_size=20), print)


def test_images_that_are_no_squares(toys: Path, tmp_path: Path) -> None:
    artifact = converted(toys, tmp_path, "rectangle")
    assert artifact.image_shape == artifact.preprocessing.shape == (SIZE, 2 * SIZE)
    assert any("stretched to its size" in note for note in artifact.manifest.notes), "assumed, and said"
    images = seeded(artifact.preprocessing, 3).images
    np.testing.assert_allclose(logits(artifact, images), expected(toys / "rectangle", images), atol=1e-6)
    cut = Request(
        str(toys / "rectangle"), root=tmp_path, preprocessing=f"resize_short=40;crop=32;height={SIZE};keep_ratio=true"
    )
    assert obtain(cut, print)[0].preprocessing.keep_ratio
    with pytest.raises(InputError, match="takes 16 x 32 pixels, and the crop has 32"):
        obtain(Request(str(toys / "rectangle"), root=tmp_path, preprocessing="height=32"), print)
    for root in (tmp_path / "other", tmp_path):  # where the artifact is there already, too
        with pytest.raises(InputError, match="--image-size 32: it was exported for 16 x 32 pixels"):
            converted(toys, root, "rectangle", 32)


def test_a_size_that_it_does_not_run_at(toys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise GraphError("Add: 9 by 16")

    monkeypatch.setattr(constants, "shapes", fail)
    with pytest.raises(InputError, match=r"--image-size 12: the model does not run at that size"):
        converted(toys, tmp_path, "any size", 12)


def test_weights_that_are_no_numbers_are_found(toys: Path, tmp_path: Path) -> None:
    folder = tmp_path / "broken"
    folder.mkdir()
    (folder / "inference.json").write_bytes((toys / "logits" / "inference.json").read_bytes())
    whole = (toys / "logits" / "inference.pdiparams").read_bytes()
    (folder / "inference.pdiparams").write_bytes(whole[:-4] + np.float32(np.inf).tobytes())
    with pytest.raises(InputError, match=r"inference.pdiparams: the weight .* holds 1 values that are NaN or infinite"):
        converted(tmp_path, tmp_path / "out", "broken")


def test_multiply_accumulates_that_cannot_be_counted_are_no_reason_to_refuse(
    toys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise GraphError("no shape")

    monkeypatch.setattr("convert.export.counts.count_macs", fail)
    manifest = converted(toys, tmp_path, "logits").manifest
    assert (manifest.macs.published, manifest.macs.total, manifest.macs.computed) == (None, None, None)
    assert "multiply-accumulates are not counted: no shape" in manifest.notes


def test_an_operator_that_paddle2onnx_lacks_is_named_with_its_place(toys: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError) as raised:
        converted(toys, tmp_path, "folded")
    said = "Paddle2ONNX has no conversion for fold at the beginning: export the model without"
    assert raised.value.message.startswith(f"{toys / 'folded' / 'inference.json'}: {said}")
    assert not list(tmp_path.glob("folded/*"))


def test_a_rewrite_that_does_not_apply_is_said(toys: Path, tmp_path: Path) -> None:
    rewrites = converted(toys, tmp_path, "logits").manifest.rewrites
    assert rewrites == {
        "q, k and v by one Split": 0,
        "LayerNormalization over axis -1": 1,
        "the class token's shape": 0,
        "the last block for the class token alone": 0,
    }
