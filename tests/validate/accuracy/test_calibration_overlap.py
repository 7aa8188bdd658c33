"""int8 is not measured on what it was calibrated on."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from convert.artifact import Artifact
from convert.common.errors import InputError
from convert.datasets import LabelledSet
from convert.images.preprocess import UnreadableImage
from convert.manifest import CalibrationSet
from validate.accuracy import calibration_overlap

IMAGES = [b"first", b"second", b"third"]


def _read(index: int) -> bytes:
    if index == len(IMAGES):
        raise UnreadableImage("gone.png", "cannot be read")
    return IMAGES[index]


def _set(read: Callable[[int], bytes]) -> LabelledSet:
    names = ("a.png", "b.png", "c.png", "gone.png")
    return LabelledSet("photos", (0, 1, 2, 3), names, read, 4, "", "list")


def _calibrated(artifact: Artifact, *images: bytes) -> Artifact:
    digests = tuple(hashlib.sha256(image).hexdigest() for image in images)
    calibration = CalibrationSet("photos", len(images), "0", digests)
    return replace(artifact, manifest=replace(artifact.manifest, calibration=calibration))


def test_an_image_of_the_calibration_is_found_by_its_bytes(toy_artifact: Artifact) -> None:
    calibrated = _calibrated(toy_artifact, b"third", b"second", b"elsewhere")
    with pytest.raises(InputError, match=r"calibrated on 2 of these 4 images \(b.png\)"):
        calibration_overlap.refuse([toy_artifact, calibrated], _set(_read))


def test_other_images_are_no_overlap(toy_artifact: Artifact) -> None:
    calibration_overlap.refuse([_calibrated(toy_artifact, b"elsewhere")], _set(_read))


def test_nothing_is_read_where_nothing_was_calibrated(toy_artifact: Artifact) -> None:
    def unwanted(index: int) -> bytes:
        raise AssertionError(f"image {index} was read")

    calibration_overlap.refuse([toy_artifact], _set(unwanted))
    calibration_overlap.refuse([_calibrated(toy_artifact)], _set(unwanted))  # calibrated on drawn images


def test_the_command_looks_before_it_measures(
    run: Any, make_set: Any, make_runtime: Any, identity: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_set(range(10), range(10))
    checked: list[int] = []
    monkeypatch.setattr(
        calibration_overlap, "refuse", lambda artifacts, found: checked.append(len(list(artifacts)) + len(found.names))
    )
    result = run("--images", "set", "--out", "run", runtimes=[make_runtime("paddle", identity)])
    assert result.exit_code == 0, result.stderr
    assert checked == [1 + 10]
