"""What counts as an image: whatever the OpenCV here reads."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from convert.datasets import load
from convert.datasets.image_kinds import is_image, is_image_data, is_image_name, is_junk_path, left_out, without_images
from convert.datasets.unlabelled import load_images
from tests.convert.datasets.written_sets import write_folder

WRITTEN = [".jpg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".jp2", ".gif", ".avif", ".ppm", ".pgm", ".pbm", ".pam"]


def encoded(suffix: str) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    if suffix in (".pgm", ".pbm"):
        pixels = pixels[..., 0]
    return cv2.imencode(suffix, pixels.astype(np.float32) if suffix == ".hdr" else pixels)[1].tobytes()


@pytest.mark.parametrize("suffix", [*WRITTEN, ".hdr", ".ras"])
def test_what_opencv_reads_is_an_image_by_its_name_and_by_its_bytes(suffix: str) -> None:
    data = encoded(suffix)
    assert cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) is not None
    assert is_image_name("a" + suffix)
    assert is_image_name("a" + suffix.upper())
    assert is_image_data(data[:32])


@pytest.mark.parametrize(
    "start", [b"", b"BM is a word", b"P1 is one too", b"<html>", b"version https://git-lfs", b"II"]
)
def test_other_bytes_are_none(start: bytes) -> None:
    assert not is_image_data(start)


@pytest.mark.parametrize("path", ["a/.DS_Store", "__MACOSX/a/b.png", "a/._b.png", "a/Thumbs.db", "@eaDir/b.png"])
def test_what_operating_systems_leave_behind(path: str) -> None:
    assert is_junk_path(path)


def test_what_is_said_of_files_and_classes() -> None:
    assert left_out([]) == without_images([]) == []
    assert left_out(["a"]) == ["left out: 1 file that is no image: a"]
    assert left_out(list("abcd")) == ["left out: 4 files that are no images: a, b, c and 1 more"]
    assert without_images(iter("ab")) == ["no images of 2 classes: a, b"]
    assert without_images(iter("a")) == ["no images of 1 class: a"]


@pytest.mark.parametrize(
    ("name", "start", "found"),
    [
        ("a.png", b"", True),
        ("x/a.PNG", b"", True),
        ("a.dat", b"GIF89a", True),
        ("a", b"GIF89a", True),
        ("a.dat", b"GIF88a", False),
        ("a.txt", b"GIF89a", False),
        ("x/a.Txt", b"GIF89a", False),
        (".a.png", b"GIF89a", False),
        ("x/.a", b"GIF89a", False),
        ("Thumbs.db", b"GIF89a", False),
        (".x/a", b"GIF89a", True),
    ],
)
def test_the_name_goes_before_the_first_bytes(name: str, start: bytes, found: bool) -> None:
    assert is_image(name, lambda: start) is found


@pytest.mark.parametrize(
    ("path", "junk"), [("./a/../b.png", False), ("a/.b/c", True), (".", False), ("a/b.png", False)]
)
def test_hidden_parts_of_a_path(path: str, junk: bool) -> None:
    assert is_junk_path(path) is junk


def test_a_class_of_any_suffix_or_none(tmp_path: Path) -> None:
    files = {
        "a/1.JPG": encoded(".jpg"),
        "b/2.tif": encoded(".tif"),
        "c/3": encoded(".webp"),
        "c/4.dat": encoded(".png"),
    }
    junk = {"c/notes": b"x", "c/b.txt": b"x", "d/e.csv": b"x", "c/._3": b"x", "c/Thumbs.db": b"x", "top.png": b"x"}
    dataset = load(write_folder(tmp_path, files | junk), 4)
    assert dataset.names == ("a/1.JPG", "b/2.tif", "c/3", "c/4.dat")
    assert dataset.labels == (0, 1, 2, 2)
    assert dataset.notes == (
        "left out: 3 files that are no images: c/b.txt, c/notes, d/e.csv",
        "no images of 1 class: d",
        "left out: 1 image beside the folders of the classes: top.png",
    )
    found = load_images(tmp_path, "--calibration", lambda total, words: range(total))
    assert found.names == (*dataset.names, "top.png")
    assert found.notes == dataset.notes[:1]
