"""What goes into a parity check: images like photos, photos, edge cases; and paths that are neither."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from convert.common.errors import InputError
from convert.families.spec import Preprocessing
from convert.images import inputs
from convert.images.inputs import Inputs


def test_seeded_images_look_like_images() -> None:
    preprocessing = Preprocessing(64, 64)
    found = inputs.seeded(preprocessing, 4)
    assert found.images.shape == (4, 3, 64, 64)
    assert found.images.dtype == np.float32
    assert -1 <= found.images.min() < -0.5 < 0.5 < found.images.max() <= 1
    spectrum = np.abs(np.fft.rfft(found.images, axis=-1)).mean((0, 1, 2))
    assert spectrum[1:4].mean() > 5 * spectrum[-8:].mean()
    assert np.corrcoef(found.images[0, 0].ravel(), found.images[0, 1].ravel())[0, 1] > 0.5
    assert found.sha256 == inputs.seeded(preprocessing, 4).sha256 != inputs.seeded(preprocessing, 4, 1).sha256
    assert (found.source, found.names[3]) == ("4 seeded images", "seeded 3")


def test_edge_cases_hold_the_ends_of_the_range_and_nothing_else() -> None:
    preprocessing = Preprocessing(64, 48, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
    found = inputs.edge_cases(preprocessing)
    assert found.names == ("all black", "all white", "one hot pixel", "checkerboard", "random extremes")
    assert found.images.shape == (5, 3, 48, 48)
    assert found.images.dtype == np.float32
    whites = [48 * 48 * share for share in (0, 1, 1 / (48 * 48), 0.5)]
    for channel in range(3):
        black = np.float32((0 - preprocessing.mean[channel]) / preprocessing.std[channel])
        white = np.float32((1 - preprocessing.mean[channel]) / preprocessing.std[channel])
        assert set(np.unique(found.images[:, channel])) == {black, white}
        assert [(image[channel] == white).sum() for image in found.images[:4]] == whites
    board = found.images[3, 0]
    assert (board[:, 1:] != board[:, :-1]).all()
    assert (board[1:] != board[:-1]).all()
    drawn = found.images[4] > 0
    assert not (drawn[0] == drawn[1]).all(), "each value for itself"
    assert found.sha256 == inputs.edge_cases(preprocessing).sha256


def test_inputs_add_up() -> None:
    preprocessing = Preprocessing(32, 32)
    found = inputs.seeded(preprocessing, 2) + inputs.edge_cases(preprocessing)
    assert found.images.shape == (7, 3, 32, 32)
    assert found.source == "2 seeded images and 5 edge cases"
    assert found.names[1:3] == ("seeded 1", "all black")
    with pytest.raises(ValueError, match="1 names for 2 images"):
        Inputs(found.images[:2], "two", ("one",))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for i, name in enumerate(["a b.png", "c.png", "d.png"]):
        cv2.imwrite(str(folder / name), np.full((40, 50, 3), 40 * i, np.uint8))
    (folder / "list.txt").write_text("\ufeffd.png 3\r\na b.png 1\n\nc.png\n", encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("name", "count", "expected"),
    [
        (".", 8, {"a b.png": 0, "c.png": 40, "d.png": 80}),
        (".", 2, {"a b.png": 0, "c.png": 40}),
        (".", 0, {"a b.png": 0, "c.png": 40, "d.png": 80}),
        ("list.txt", 8, {"d.png": 80, "a b.png": 0, "c.png": 40}),
        ("c.png", 8, {"c.png": 40}),
    ],
)
def test_photos(photos: Path, name: str, count: int, expected: dict[str, int]) -> None:
    told: list[str] = []
    found = inputs.photos(photos / name, Preprocessing(32, 32), count, say=told.append)
    levels = [round((image.mean() + 1) * 127.5) for image in found.images]
    assert dict(zip(found.names, levels, strict=True)) == expected
    used = {1: "1 photo", 2: "2 of 3 photos", 3: "3 photos"}[len(expected)]
    assert found.source == f"{used} of {(photos / name).resolve().name}"
    said = f"--inputs {photos}: 2 of its 3 images are looked at; --limit 0 takes all"
    assert (said in told) == (count == 2)


def test_more_photos_than_memory_should_hold(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inputs, "_MOST_BYTES", 2 * 12 * 32**2)
    assert len(inputs.photos(photos, Preprocessing(32, 32), 2).images) == 2
    with pytest.raises(InputError, match="3 images take 0 GiB of memory: give --limit"):
        inputs.photos(photos, Preprocessing(32, 32), 0)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("empty", "no images in it"),
        ("empty.txt", "no images in it"),
        ("missing", "no such file or folder"),
        ("a\0b", "no such file or folder|cannot be read"),
        ("x" * 300, "no such file or folder|cannot be read"),
        ("broken", r"z\.png cannot be decoded"),
        ("folder.txt", "no images in it"),
        ("binary.txt", "no UTF-8 text"),
        ("absent.txt", r"absent\.txt, line 1: 1 of 1 images are missing.*nowhere\.png"),
        ("photo.gif.png", "is empty"),
    ],
)
def test_what_are_no_photos(tmp_path: Path, name: str, message: str) -> None:
    for folder in ("empty", "broken", "folder.txt"):
        (tmp_path / folder).mkdir()
    (tmp_path / "empty.txt").write_text("\n \n")
    (tmp_path / "broken" / "z.png").write_bytes(b"no image")
    (tmp_path / "binary.txt").write_bytes(b"\x00\x89\xff\xfe")
    (tmp_path / "absent.txt").write_text("nowhere.png 3\n")
    (tmp_path / "photo.gif.png").touch()
    with pytest.raises(InputError, match=message):
        inputs.photos(tmp_path / name, Preprocessing(32, 32), 8)
