"""Trees with a folder for each class."""

from __future__ import annotations

from pathlib import Path

import pytest

from convert.common.errors import InputError
from convert.datasets import load
from convert.datasets.formats.folders import load_flat, wordnet_id
from convert.datasets.request import SetRequest
from convert.datasets.trees import DiskTree
from tests.convert.datasets.written_sets import CLASSES, SYNSETS, make_photos, write_folder, write_list, write_set


def test_labels_are_the_sorted_places(tmp_path: Path) -> None:
    write_folder(tmp_path / "val", {"cat/b.png": b"1", "cat/a.jpg": b"2", "ant/z.JPEG": b"3", "bee/notes.txt": b"4"})
    dataset = load(tmp_path / "val", 3)
    assert dataset.names == ("ant/z.JPEG", "cat/a.jpg", "cat/b.png")
    assert dataset.labels == (0, 2, 2)  # bee is a class, without images
    assert [dataset.read(i) for i in range(3)] == [b"3", b"2", b"1"]
    assert dataset.format == "image folder"
    assert dataset.description == f"{tmp_path.name}/val, 3 images"
    assert dataset.class_names == {0: "ant", 1: "bee", 2: "cat"}
    assert str(dataset.order) == "assumed: sorted names of classes"
    assert dataset.notes == ("left out: 1 file that is no image: bee/notes.txt", "no images of 1 class: bee")


@pytest.mark.parametrize(("beside", "count"), [(["x.png"], "1 image"), (["y.jpg", "x.png"], "2 images")])
def test_images_beside_the_classes_are_said(tmp_path: Path, beside: list[str], count: str) -> None:
    write_folder(tmp_path, dict.fromkeys(["ant/a.png", "bee/b.png", *beside, "t.md"], b""))
    dataset = load(tmp_path, 2)
    assert dataset.names == ("ant/a.png", "bee/b.png")
    listed = ", ".join(sorted(beside))
    assert dataset.notes == (f"left out: {count} beside the folders of the classes: {listed}",)


@pytest.mark.parametrize(
    ("lines", "labels"),
    [
        ("bee\nant\n", {"bee/b.png": 0, "ant/a.png": 1}),
        ("bee\nant\ncow\n", {"ant/a.png": 0, "bee/b.png": 1}),  # of another number of classes
        ("bee\ncow\n", {"ant/a.png": 0, "bee/b.png": 1}),  # of other classes
        ("bee\nbee\n", {"ant/a.png": 0, "bee/b.png": 1}),  # damaged, and about something else perhaps
    ],
)
def test_a_label_file_beside_the_folder(tmp_path: Path, lines: str, labels: dict[str, int]) -> None:
    write_folder(tmp_path / "val", {"ant/a.png": b"", "bee/b.png": b""})
    (tmp_path / "label.txt").write_text(lines)
    (tmp_path / "classes.txt").write_text(lines if "cow" in lines else "x\n" if "bee\nbee" in lines else lines)
    dataset = load(tmp_path / "val", 2)
    assert dict(zip(dataset.names, dataset.labels, strict=True)) == labels
    (tmp_path / "val" / "labels.txt").write_text("bee\nant\n")  # in the folder itself
    assert load(tmp_path / "val", 2).labels == (0, 1)
    assert load(tmp_path / "val", 2).names == ("bee/b.png", "ant/a.png")
    (tmp_path / "order").write_text("ant\nbee\n")
    assert load(tmp_path / "val", 2, synsets=tmp_path / "order").names == ("ant/a.png", "bee/b.png")


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("val_1_n01751748.JPEG", "n01751748"),
        ("a/b-n01751748-7.x.jpg", "n01751748"),
        ("n01751748.png", "n01751748"),
        ("n01751748/1.png", None),
        ("xn01751748.png", None),
        ("n017517481.png", None),
        ("n01751748", None),
    ],
)
def test_ids_in_the_names_of_files(name: str, found: str | None) -> None:
    assert wordnet_id(name) == found


class TestFlat:
    def folder(self, tmp_path: Path, ids: list[str]) -> Path:
        return write_folder(tmp_path / "flat", {f"{i}_{name}.JPEG": b"%d" % i for i, name in enumerate(ids)})

    @pytest.mark.parametrize("place", ["flat", "."])
    def test_by_ids_and_the_file_of_their_order(self, tmp_path: Path, place: str) -> None:
        folder = self.folder(tmp_path, [SYNSETS[3], SYNSETS[0], SYNSETS[3]])
        (tmp_path / place / "synsets.txt").write_text("\n".join(SYNSETS))
        dataset = load(folder, CLASSES)
        assert (dataset.labels, dataset.format) == ((3, 0, 3), "flat")
        assert dataset.description == f"{tmp_path.name}/flat, 3 images"
        assert dataset.notes == ("labels of the WordNet ids in the names",)
        assert dataset.class_names == {0: SYNSETS[0], 3: SYNSETS[3]}
        assert str(dataset.order) == "proven: by synsets.txt"
        assert [dataset.read(i) for i in range(3)] == [b"0", b"1", b"2"]
        assert load(folder, CLASSES, 2).labels == (3, 0)
        (tmp_path / "given").write_text("\n".join(reversed(SYNSETS)))
        assert load(folder, CLASSES, synsets=tmp_path / "given").labels == (3, 6, 3)

    def test_a_ground_truth_that_is_given_goes_before_the_ids(self, tmp_path: Path) -> None:
        folder = self.folder(tmp_path, [SYNSETS[3], SYNSETS[0]])
        names = [f"{i}_{SYNSETS[label]}.JPEG" for i, label in ((1, 0), (0, 3))]
        truth = write_list(tmp_path / "truth.txt", names, [5, 2])
        dataset = load(folder, CLASSES, ground_truth=truth)
        assert (dataset.names, dataset.labels) == (tuple(names), (5, 2))
        assert dataset.description == f"{tmp_path.name}/flat with truth.txt, 2 images"
        assert [dataset.read(i) for i in range(2)] == [b"1", b"0"]
        assert load(folder, CLASSES, 1, ground_truth=truth).labels == (2,)

    def test_one_without_an_id_needs_a_ground_truth(self, tmp_path: Path) -> None:
        folder = self.folder(tmp_path, [SYNSETS[3], "x"])
        with pytest.raises(InputError, match="nothing that says their labels"):
            load(folder, CLASSES)
        write_list(tmp_path / "val.txt", ["1_x.JPEG", f"0_{SYNSETS[3]}.JPEG"], [5, 2])  # beside the folder
        names = [path.name for path in folder.iterdir()]
        assert load_flat(DiskTree(folder), names, SetRequest(CLASSES)).labels == (5, 2)

    def test_labels_that_are_words(self, tmp_path: Path) -> None:
        folder = write_folder(tmp_path / "flat", {"1.png": b"", "2.png": b""})
        (tmp_path / "truth.txt").write_text("1.png\tred fox\n2.png\telk\n")
        (tmp_path / "synset_words.txt").write_text("red fox\nelk\n")
        dataset = load(folder, 2, ground_truth=tmp_path / "truth.txt")
        assert dataset.labels == (0, 1)
        assert dataset.class_names == {0: "red fox", 1: "elk"}
        assert str(dataset.order) == "proven: by synset_words.txt"

    def test_images_that_git_lfs_has_not_fetched(self, tmp_path: Path) -> None:
        write_folder(tmp_path / "flat", {"a.png": b"version https://git-lfs.github.com/spec/v1\noid"})
        truth = write_list(tmp_path / "truth.txt", ["a.png"], [0])
        with pytest.raises(InputError, match=r"flat: 1 of 1 images are Git LFS pointers"):
            load(tmp_path / "flat", 1, ground_truth=truth)

    def test_more_labels_than_images(self, tmp_path: Path) -> None:
        names = [f"ILSVRC2012_val_{i:08d}.JPEG" for i in (2, 3)]
        write_folder(tmp_path / "flat", dict.fromkeys(names, b""))
        (tmp_path / "truth.txt").write_text("0\n1\n2\n0\n")
        dataset = load(tmp_path / "flat", 3, ground_truth=tmp_path / "truth.txt")
        assert dataset.labels == (1, 2)
        assert dataset.description == f"{tmp_path.name}/flat with truth.txt, 2 of 4 images"


def test_what_is_no_class_is_left_alone(tmp_path: Path) -> None:
    write_folder(
        tmp_path, {"ant/a.png": b"", "ant/._a.png": b"", ".git/x.png": b"", "__MACOSX/x.png": b"", "x.csv": b""}
    )
    assert load(tmp_path, 1).names == ("ant/a.png",)


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
