"""Which images int8 is calibrated on."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from convert.artifact import Artifact
from convert.common.errors import InputError
from convert.images import inputs
from convert.precision.calibration_images import choose, hashes, preprocessed


def _folder(folder: Path, count: int) -> Path:
    """Files that nobody decodes."""
    folder.mkdir()
    for i in range(count):
        (folder / f"{i:03d}.png").write_bytes(b"%d" % i)
    return folder


@pytest.mark.parametrize(("count", "words"), [(1, "1 image cannot"), (2, "2 images cannot"), (7, "7 images cannot")])
def test_too_few(tmp_path: Path, count: int, words: str) -> None:
    with pytest.raises(InputError, match=f"{words} show what activations reach: give 8 or more, better 128"):
        choose(_folder(tmp_path / "photos", count))


def test_one_image_is_too_few_and_none_are_named(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "photos", 8)
    with pytest.raises(InputError, match=r"000\.png: 1 image cannot show"):
        choose(folder / "000.png")
    with pytest.raises(InputError, match=r"^--calibration .*none: no images in it"):
        choose(_folder(tmp_path / "none", 0))


@pytest.mark.parametrize("count", [8, 127, 128])
def test_all_of_a_small_set(tmp_path: Path, count: int) -> None:
    found = choose(_folder(tmp_path / "photos", count))
    assert found.names == tuple(f"{i:03d}.png" for i in range(count))
    assert hashes(found)[-1] == hashlib.sha256(b"%d" % (count - 1)).hexdigest()


@pytest.mark.parametrize("count", [130, 200, 301])
def test_of_a_large_set_128_from_its_begin_to_its_end(tmp_path: Path, count: int) -> None:
    places = [int(name[:3]) for name in choose(_folder(tmp_path / "photos", count)).names]
    assert len(places) == 128
    steps = np.diff(places)
    assert places[0] == 0
    assert max(steps) - min(steps) <= 1
    assert count - places[-1] <= max(steps)


def test_an_image_that_is_gone(tmp_path: Path) -> None:
    found = choose(_folder(tmp_path / "photos", 8))
    (tmp_path / "photos" / "003.png").unlink()
    with pytest.raises(InputError, match=r"^--calibration: .*003\.png cannot be read.*replace it or leave it out"):
        hashes(found)


def test_images_go_through_the_models_preprocessing(toy_artifact: Artifact, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    for i in range(9):
        cv2.imwrite(str(tmp_path / "photos" / f"{i}.png"), np.full((40, 40, 3), 20 * i, np.uint8))
    found, digests = preprocessed(tmp_path / "photos" / "..", toy_artifact)
    assert found.source == f"9 images of {tmp_path.resolve().name}"
    assert [round((image.mean() + 1) * 127.5) for image in found.images] == [20 * i for i in range(9)]
    assert tuple(digests) == hashes(choose(tmp_path / "photos"))
    (tmp_path / "photos" / "5.png").write_bytes(b"broken")
    with pytest.raises(InputError, match=r"^--calibration .*photos: image 5\.png cannot be decoded"):
        preprocessed(tmp_path / "photos", toy_artifact)


def test_drawn_weights_take_drawn_images_and_trained_ones_do_not(toy_artifact: Artifact) -> None:
    found, digests = preprocessed(None, toy_artifact)
    assert digests == []
    assert found.sha256 == inputs.seeded(toy_artifact.preprocessing, 8).sha256
    weights = replace(toy_artifact.manifest.weights, kind="file")
    trained = Artifact(toy_artifact.path, replace(toy_artifact.manifest, weights=weights))
    with pytest.raises(InputError, match=r"int8 of .* needs 8 or more images to calibrate on.*--calibration FOLDER"):
        preprocessed(None, trained)
    with pytest.raises(InputError, match="--precision int8 --int8-range portable --calibration FOLDER"):
        preprocessed(None, trained, " --int8-range portable")
