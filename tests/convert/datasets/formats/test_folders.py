"""Trees with a folder for each class."""

from __future__ import annotations

from pathlib import Path

import pytest

from convert.common.errors import InputError
from convert.datasets import load
from tests.convert.datasets.written_sets import CLASSES, SYNSETS, make_photos, write_folder, write_set


def test_labels_are_the_sorted_places(tmp_path: Path) -> None:
    write_folder(tmp_path / "val", {"cat/b.png": b"1", "cat/a.jpg": b"2", "ant/z.JPEG": b"3", "bee/notes.txt": b"4"})
    dataset = load(tmp_path / "val", 3)
    assert dataset.names == ("ant/z.JPEG", "cat/a.jpg", "cat/b.png")
    assert dataset.labels == (0, 2, 2)  # bee is a class, without images
    assert [dataset.read(i) for i in range(3)] == [b"3", b"2", b"1"]
    assert dataset.format == "image folder"
    assert dataset.description == f"{tmp_path.name}/val, 3 images"


def test_what_is_no_class_is_left_alone(tmp_path: Path) -> None:
    write_folder(
        tmp_path, {"ant/a.png": b"", "ant/._a.png": b"", ".git/x.png": b"", "__MACOSX/x.png": b"", "x.csv": b""}
    )
    assert load(tmp_path, 1).names == ("ant/a.png",)


def test_a_part_of_the_synsets_needs_their_list(tmp_path: Path) -> None:
    write_folder(tmp_path / "val", {f"{SYNSETS[5]}/a.JPEG": b"", f"{SYNSETS[2]}/b.JPEG": b""})
    with pytest.raises(InputError, match=r"val: 2 classes, but the model has 7: .*--synsets"):
        load(tmp_path / "val", CLASSES)
    (tmp_path / "synsets.txt").write_text("\n".join(SYNSETS))
    dataset = load(tmp_path / "val", CLASSES, synsets=tmp_path / "synsets.txt")
    assert dataset.labels == (2, 5)


def test_another_order_of_the_list_orders_the_images(tmp_path: Path) -> None:
    write_folder(tmp_path / "val", {"a/1.png": b"", "b/2.png": b""})
    (tmp_path / "classes.txt").write_text("b\na\n")
    dataset = load(tmp_path / "val", 2, synsets=tmp_path / "classes.txt")
    assert dataset.names == ("b/2.png", "a/1.png")
    assert dataset.labels == (0, 1)


def test_a_limit_takes_every_class(tmp_path: Path) -> None:
    dataset = load(write_set("image folder", tmp_path, make_photos(3 * CLASSES)), CLASSES, limit=CLASSES)
    assert dataset.labels == tuple(range(CLASSES))
    assert dataset.description == f"{tmp_path.name}/val, 7 of 21 images, evenly over its classes"
    assert dataset.sha256 == load(tmp_path / "val", CLASSES).sha256


def test_splits_are_not_classes(tmp_path: Path) -> None:
    write_folder(tmp_path, {"train/ant/a.png": b"", "val/ant/b.png": b""})
    with pytest.raises(InputError, match=r"did you mean .*val\?"):
        load(tmp_path, 2)


def test_a_folder_where_an_image_should_be(tmp_path: Path) -> None:
    write_folder(tmp_path, {"ant/a.png": b"", "ant/b.png/c.txt": b""})
    with pytest.raises(InputError, match=r"b\.png is a folder, not an image"):
        load(tmp_path, 1)


def test_images_in_folders_below_a_class_are_of_that_class(tmp_path: Path) -> None:
    write_folder(tmp_path, {"ant/b.png": b"", "ant/2024/a.png": b"", "bee/c.png": b"", "ant/2024/._a.png": b""})
    dataset = load(tmp_path, 2)
    assert dataset.names == ("ant/2024/a.png", "ant/b.png", "bee/c.png")
    assert dataset.labels == (0, 0, 1)
    assert dataset.class_names == {0: "ant", 1: "bee"}


def test_images_that_git_lfs_has_not_fetched(tmp_path: Path) -> None:
    write_folder(tmp_path, {"ant/a.png": b"version https://git-lfs.github.com/spec/v1\noid"})
    with pytest.raises(InputError, match="1 of 1 images are Git LFS pointers"):
        load(tmp_path, 1)
