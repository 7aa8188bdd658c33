from __future__ import annotations

from pathlib import Path

import pytest

from convert.common.errors import InputError
from convert.weights import resolve as weights
from convert.weights.locate import Located, locate
from tests.convert.weights.checkpoint_files import TOY, assert_same, drawn, save


def touch(folder: Path, *names: str) -> None:
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).write_bytes(b"x")


def test_a_file_is_itself_whatever_its_name(tmp_path: Path) -> None:
    touch(tmp_path, "weights", "weights.pdparams", "odd.name")
    for name in ("weights", "weights.pdparams", "odd.name"):
        assert locate(str(tmp_path / name), "") == Located(tmp_path / name)


@pytest.mark.parametrize("suffix", [".pdparams", ".pdema", ".pth.tar", ".npz"])
def test_a_name_without_its_suffix(tmp_path: Path, suffix: str) -> None:
    touch(tmp_path, f"epoch_30{suffix}", "epoch_30.pdopt")
    found = locate(str(tmp_path / "epoch_30"), "")
    assert found.path == tmp_path / f"epoch_30{suffix}"
    assert found.said.startswith(f"epoch_30{suffix} was taken for epoch_30")
    assert ("those that are not averaged to .pdema" in found.said) == (suffix == ".pdema")


def test_paddleclas_also_makes_a_folder_of_that_name(tmp_path: Path) -> None:
    touch(tmp_path, "best_model.pdparams", "best_model.pdema")
    touch(tmp_path / "best_model", "model.pdparams")
    assert locate(str(tmp_path / "best_model"), "").path == tmp_path / "best_model.pdparams"


def test_a_folder_with_one_checkpoint(tmp_path: Path) -> None:
    touch(tmp_path / "run", "latest.pdparams", "latest.pdopt", "latest.pdstates", "train.log")
    found = locate(str(tmp_path / "run"), "")
    assert found == Located(tmp_path / "run" / "latest.pdparams", "it is the one file of weights in run")
    touch(tmp_path / "run", "b.safetensors")
    with pytest.raises(InputError, match=r"several files of weights: name one of b\.safetensors, latest\.pdparams$"):
        locate(str(tmp_path / "run"), "")
    touch(tmp_path / "empty", "notes.txt")
    with pytest.raises(InputError, match="a folder without a file of weights"):
        locate(str(tmp_path / "empty"), "")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("a.pdopt", "the state of an optimizer, no weights"),
        ("a.pdstates", "the metrics of a training"),
        ("a.PDIPARAMS", "the parameters of an inference model: give its folder as MODEL"),
        ("a.onnx", "an ONNX model"),
    ],
)
def test_what_stands_beside_weights(tmp_path: Path, name: str, words: str) -> None:
    touch(tmp_path, name)
    with pytest.raises(InputError, match=words):
        locate(str(tmp_path / name), "")


def test_what_was_taken_is_said_and_is_what_is_hashed(tmp_path: Path) -> None:
    file = save(tmp_path / "toy.pdparams", drawn())
    state = weights.resolve(str(tmp_path / "toy"), TOY)
    assert_same(state, drawn())
    assert state.notes == ("toy.pdparams: toy.pdparams was taken for toy",)
    assert state.origin.source == file
    assert weights.fingerprint(str(tmp_path / "toy"), TOY) == weights.fingerprint(str(tmp_path), TOY) == state.origin
