"""A Paddle program in float64: the same model to twelve digits, and a damaged one is named."""

from __future__ import annotations

import json
import shutil
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from convert.artifact import Artifact
from convert.build import Request, obtain
from convert.common.errors import InputError
from convert.export import pdiparams_file as params
from convert.export import retype
from convert.families.vit import VisionTransformerSpec
from convert.weights import seeded
from tests.vit_numpy import forward
from validate.parity import float64, reference

CONVERTED = Path(__file__).parents[2] / "convert" / "data"


def logits(artifact: Artifact, folder: Path, images: np.ndarray) -> np.ndarray:
    program, parameters = float64.write(artifact, folder)
    out = folder / "out"
    out.mkdir()
    reference._forward(program, parameters, images, "float64", out)
    return np.fromfile(out / "float64").reshape(len(images), -1)


def test_it_is_the_model_to_twelve_digits(toy_artifact: Artifact, tmp_path: Path) -> None:
    images = np.random.default_rng(0).standard_normal((3, 3, 32, 32), dtype=np.float32)
    spec = toy_artifact.spec
    assert isinstance(spec, VisionTransformerSpec)
    # As they stand in the program and in the ONNX file.
    spec = replace(spec, qk_scale=float(np.float32(spec.attention_scale)), epsilon=float(np.float32(spec.epsilon)))
    state = {name: tensor.read() for name, tensor in seeded.tensors(1, spec).items()}
    expected = forward(spec, state, images)
    np.testing.assert_allclose(logits(toy_artifact, tmp_path, images), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ["pir", "pdmodel"])
def test_a_converted_inference_model_too(tmp_path: Path, name: str) -> None:
    artifact, _ = obtain(Request(str(CONVERTED / name), root=tmp_path), print)
    images = np.sin(np.arange(2 * 3 * 32 * 32)).reshape(2, 3, 32, 32).astype(np.float32)
    wide, out = tmp_path / "wide", tmp_path / "narrow"
    wide.mkdir()
    out.mkdir()
    found = logits(artifact, wide, images)
    reference._forward(artifact.paddle_program, artifact.paddle_params, images, "float32", out)
    narrow = np.fromfile(out / "float32", np.float32).reshape(2, -1)
    np.testing.assert_allclose(narrow, found, atol=1e-6)
    assert np.abs(found - found.astype(np.float32)).max() > 0, "these are float32 values"


def test_no_float32_is_left(toy_artifact: Artifact, tmp_path: Path) -> None:
    program, parameters = float64.write(toy_artifact, tmp_path)
    text = program.read_text()
    assert '"0.t_f32"' not in text
    assert '"float32"' not in text
    before = toy_artifact.paddle_program.read_text()
    assert text.count('"0.t_f64"') == before.count('"0.t_f32"') > 100
    assert text.count('"0.t_i64"') == before.count('"0.t_i64"') > 0
    assert parameters.stat().st_size > 1.9 * toy_artifact.paddle_params.stat().st_size


def tensors(path: Path) -> list[np.ndarray]:
    """The tensors of a parameter file of FP64 or INT64."""
    found, data = [], path.read_bytes()
    while data:
        length = struct.unpack_from("<i", data, 16)[0]
        data_type, sizes = retype._describe(data[20 : 20 + length])
        dtype = {6: "<f8", 3: "<i8"}[data_type]
        size = int(np.prod(sizes, dtype=np.int64)) * 8
        data = data[20 + length :]
        found.append(np.frombuffer(data[:size], dtype).reshape(sizes))
        data = data[size:]
    return found


@pytest.fixture
def parameters_only(tmp_path: Path) -> Artifact:
    """A program of three parameters and nothing else, and their file."""
    artifact = Artifact(tmp_path / "artifact", {})  # type: ignore[arg-type]
    artifact.paddle_program.parent.mkdir(parents=True)
    artifact.paddle_program.write_text(json.dumps({"program": {"ops": [{"#": "p"}] * 3}}))
    arrays: dict[str, np.ndarray] = {
        "a": np.arange(300, dtype=np.float32).reshape(3, 100) / 7,
        "b": np.empty(0, np.float32),
        "c": np.array(2.5, np.float32),
    }
    params.write(artifact.paddle_params, {name: array.shape for name, array in arrays.items()}, arrays.__getitem__)
    return artifact


def test_parameters_are_copied_in_pieces(
    parameters_only: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retype, "_CHUNK", 7)
    found = tensors(float64.write(parameters_only, tmp_path)[1])
    expected = (np.arange(300, dtype=np.float32) / 7).reshape(3, 100)
    for array, other in zip(found, [expected, np.empty(0), np.array(2.5)], strict=True):
        np.testing.assert_array_equal(array, other)
        assert array.shape == other.shape


def test_what_is_not_float32_stays(parameters_only: Artifact, tmp_path: Path) -> None:
    whole = parameters_only.paddle_params.read_bytes()
    indices = np.array([3, -4])
    description = bytes([0x08, 3, 0x10, 2])
    header = struct.pack("<IQIi", 0, 0, 0, len(description)) + description
    parameters_only.paddle_params.write_bytes(whole + header + indices.tobytes())
    parameters_only.paddle_program.write_text(json.dumps([{"#": "p"}] * 4))
    np.testing.assert_array_equal(tensors(float64.write(parameters_only, tmp_path)[1])[3], indices)


class TestDamage:
    @pytest.fixture
    def copied(self, toy_artifact: Artifact, tmp_path: Path) -> Artifact:
        shutil.copytree(toy_artifact.path / "paddle", tmp_path / "copied" / "paddle")
        return Artifact(tmp_path / "copied", toy_artifact.manifest)

    def test_a_cut_is_found_wherever_it_is(self, copied: Artifact, tmp_path: Path) -> None:
        whole = copied.paddle_params.read_bytes()
        first = 20 + 5 + 7 * 4  # the head's bias: a preamble, a description, seven values
        for size in (0, 3, 19, 22, 40, first, first + 1, len(whole) - 1):
            copied.paddle_params.write_bytes(whole[:size])
            with pytest.raises(InputError, match=r"is damaged .*; convert the model again"):
                float64.write(copied, tmp_path)

    @pytest.mark.parametrize("position", [0, 4, 12, 20, 21])
    def test_another_format_is_none(self, copied: Artifact, tmp_path: Path, position: int) -> None:
        data = bytearray(copied.paddle_params.read_bytes())
        data[position] = 0x77
        copied.paddle_params.write_bytes(data)
        with pytest.raises(InputError, match="is damaged"):
            float64.write(copied, tmp_path)

    def test_a_program_that_is_none(self, copied: Artifact, tmp_path: Path) -> None:
        copied.paddle_program.write_text("no program")
        with pytest.raises(InputError, match="is damaged"):
            float64.write(copied, tmp_path)
        copied.paddle_program.unlink()
        with pytest.raises(InputError, match="is damaged"):
            float64.write(copied, tmp_path)
