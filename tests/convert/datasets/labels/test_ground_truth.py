"""Labels apart from their images: a list by name, or the devkit's by number."""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convert.common.errors import InputError
from convert.datasets import load
from convert.datasets.labels import imagenet
from convert.datasets.labels.ground_truth import parse_numbers
from tests.convert.datasets.written_sets import (
    CLASSES,
    Photos,
    write_devkit,
    write_folder,
    write_list,
    write_meta,
    write_tar,
)

TRUTH = "ILSVRC2012_validation_ground_truth.txt"


@pytest.fixture
def flat(tmp_path: Path, photos: Photos) -> Path:
    return write_folder(tmp_path / "set" / "images", dict(zip(photos.names, photos.data, strict=True)))


def numbers(file: Path, labels: list[int]) -> Path:
    file.write_text("".join(f"{label}\n" for label in labels))
    return file


def test_the_devkit_is_mapped_however_it_is_given(tmp_path: Path, flat: Path, photos: Photos) -> None:
    devkit = write_devkit(tmp_path / "elsewhere", photos.labels)
    archive = tmp_path / "devkit.tar.gz"
    with tarfile.open(archive, "w:gz") as packed:
        packed.add(devkit, "ILSVRC2012_devkit_t12")
    for given_truth in (devkit, devkit.parent, devkit / "data", devkit / "data" / TRUTH, archive):
        assert load(flat, CLASSES, ground_truth=given_truth).labels == tuple(photos.labels)


@pytest.mark.parametrize("place", [".", ".."])
@pytest.mark.parametrize("packed", [False, True])
def test_the_devkit_is_found_beside_the_images(flat: Path, photos: Photos, place: str, packed: bool) -> None:
    devkit = write_devkit(flat / place, photos.labels)
    if packed:
        with tarfile.open(devkit.parent / f"{devkit.name}.tar.gz", "w:gz") as archive:
            archive.add(devkit, devkit.name)
        shutil.rmtree(devkit)
    assert load(flat, CLASSES).labels == tuple(photos.labels)


def test_the_devkits_order_is_refused_without_meta(tmp_path: Path, flat: Path, photos: Photos) -> None:
    devkit = write_devkit(tmp_path, photos.labels, meta=False)
    with pytest.raises(InputError, match=r"class order of the ILSVRC devkit .*put the devkit's meta\.mat beside it"):
        load(flat, CLASSES, ground_truth=devkit)
    meta = write_devkit(tmp_path / "other", photos.labels) / "data" / "meta.mat"
    assert load(flat, CLASSES, ground_truth=devkit, synsets=meta).labels == tuple(photos.labels)


def test_the_devkits_numbers_are_known_under_another_name(tmp_path: Path, flat: Path, photos: Photos) -> None:
    """By the classes of the first images, whichever file they are in."""
    known = [imagenet.VALIDATION.get(number, 7) for number in range(1, 25)]
    ids = [imagenet.classes()[label].number for label in known]
    assert ids[:10] == [490, 361, 171, 822, 297, 482, 13, 704, 599, 164]
    file = numbers(tmp_path / "gt.txt", ids)
    with pytest.raises(InputError, match="class order of the ILSVRC devkit"):
        load(flat, 1000, ground_truth=file)
    meta = write_meta(tmp_path / "meta.mat", {one.number: one.wordnet_id for one in imagenet.classes()})
    assert load(flat, 1000, ground_truth=file).labels == tuple(known)
    meta.unlink()
    assert load(flat, 1000, ground_truth=numbers(file, known)).labels == tuple(known)


def test_numbers_from_one_on_of_an_own_set(tmp_path: Path, flat: Path, photos: Photos) -> None:
    file = numbers(tmp_path / "gt.txt", [label + 1 for label in photos.labels])
    with pytest.raises(InputError, match=r"label 7 is out of range.*run from 1 to 7 and seem to count from 1"):
        load(flat, CLASSES, ground_truth=file)


def test_numbers_from_zero_on_are_labels(tmp_path: Path, flat: Path, photos: Photos) -> None:
    file = numbers(tmp_path / "gt.txt", photos.labels)
    assert load(flat, CLASSES, ground_truth=file).labels == tuple(photos.labels)
    with pytest.raises(InputError, match=r"line 24: label 6 is out of range"):
        load(flat, 6, ground_truth=numbers(tmp_path / "out.txt", [0] * 23 + [6]))


def test_an_order_that_cannot_be_told(tmp_path: Path, flat: Path) -> None:
    file = numbers(tmp_path / "gt.txt", [1, 2, 3, 4] * 6)
    with pytest.raises(InputError, match=r"gt\.txt: its labels are 1 to 4, and whether .* cannot be told"):
        load(flat, CLASSES, ground_truth=file)


def test_images_find_their_line_by_their_number(tmp_path: Path, flat: Path, photos: Photos) -> None:
    (flat / photos.names[0]).unlink()
    (flat / photos.names[10]).unlink()
    file = numbers(tmp_path / "gt.txt", photos.labels)
    dataset = load(flat, CLASSES, ground_truth=file)
    assert dataset.names == tuple(photos.names[1:10] + photos.names[11:])
    assert dataset.labels == tuple(photos.labels[1:10] + photos.labels[11:])
    assert dataset.description == "set/images with gt.txt, 22 of 24 images"


def test_names_without_a_suffix_are_those_of_images_with_one(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "photos", {"a.png": b"1", "b.c.jpg": b"2"})
    truth = write_list(tmp_path / "truth.txt", ["b.c", "a"], [0, 1])
    assert load(folder, 2, ground_truth=truth).names == ("b.c.jpg", "a.png")
    (folder / "a.jpg").touch()
    with pytest.raises(InputError, match=r"a\.(png|jpg) and a\.(png|jpg) have the same name"):
        load(folder, 2, ground_truth=truth)
    truth = write_list(tmp_path / "truth.txt", ["a.png", "a.jpg", "b.c.jpg"], [0, 1, 1])
    assert load(folder, 2, ground_truth=truth).names == ("a.png", "a.jpg", "b.c.jpg")


def test_the_first_image_without_a_line_is_that_of_the_lowest_number(tmp_path: Path) -> None:
    names = [f"ILSVRC2012_val_{number:08d}.JPEG" for number in (9, 3, 1, 7, 0)]
    archive = write_tar(tmp_path / "a.tar", dict.fromkeys(names, b"x"))
    file = numbers(tmp_path / "gt.txt", [0, 1, 0])
    with pytest.raises(InputError, match=r"gt\.txt: 3 labels, and 3 of 5 images of .* first is .*_00000000\.JPEG"):
        load(archive, 2, ground_truth=file)


def test_images_without_a_number(tmp_path: Path, flat: Path, photos: Photos) -> None:
    file = numbers(tmp_path / "gt.txt", photos.labels)
    (flat / "cat.jpg").touch()
    with pytest.raises(InputError, match=r"cat\.jpg has no number"):
        load(flat, CLASSES, ground_truth=file)
    (flat / "cat.jpg").rename(flat / "ILSVRC2012_val_00000001.png")
    with pytest.raises(InputError, match=r"_00000001\.JPEG and .*_00000001\.png are both image 1"):
        load(flat, CLASSES, ground_truth=file)


def test_lines_with_names_are_the_set(tmp_path: Path, flat: Path, photos: Photos) -> None:
    file = write_list(tmp_path / "part.txt", [f"val/{photos.names[i]}" for i in (5, 2)], [6, 0])
    dataset = load(flat, CLASSES, ground_truth=file)
    assert dataset.names == (photos.names[5], photos.names[2])
    assert dataset.labels == (6, 0)
    assert dataset.read(0) == photos.data[5]
    assert dataset.description == "set/images with part.txt, 2 images"


def test_lines_whose_images_are_missing(tmp_path: Path, flat: Path, photos: Photos) -> None:
    file = write_list(tmp_path / "list.txt", [photos.names[0], "x.JPEG", "y.JPEG"], [0, 1, 2])
    with pytest.raises(InputError, match=r"list\.txt, line 2: 2 of 3 images are not in .*, the first is x\.JPEG"):
        load(flat, CLASSES, ground_truth=file)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the list is empty"),
        ("0\n\n1\n", "line 2: a blank line is no label"),
        ("0\n \t\n1\n", "line 2: a blank line is no label"),
        ("\n0\n1\n", "line 1: a blank line is no label"),
        ("0\none\n", "line 2: 'one' is no label"),
        ("a.JPEG 0\n1\n", "line 2: '1' is not `path label`"),
        ("ILSVRC2012_val_00000001.JPEG 7\n", "line 1: label 7 is out of range"),
        ("ILSVRC2012_val_00000001.JPEG 1\nval/ILSVRC2012_val_00000001.JPEG 1\n", "line 2: 'ILSVRC2012_val_00000001"),
        ("version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
    ],
)
def test_bad_ground_truths(tmp_path: Path, flat: Path, text: str, message: str) -> None:
    file = tmp_path / "gt.txt"
    file.write_text(text)
    with pytest.raises(InputError) as caught:
        load(flat, CLASSES, ground_truth=file)
    assert message in caught.value.message
    assert str(file) in caught.value.message
    assert "\n" not in caught.value.message


def test_no_ground_truth(tmp_path: Path, flat: Path) -> None:
    with pytest.raises(InputError, match="images without labels; give --ground-truth"):
        load(flat, CLASSES)
    with pytest.raises(InputError, match="holds no ILSVRC2012_validation_ground_truth"):
        load(flat, CLASSES, ground_truth=tmp_path)
    with pytest.raises(InputError, match="a ground truth cannot be read"):
        load(flat, CLASSES, ground_truth=tmp_path / "absent.txt")
    broken = tmp_path / "devkit.tar.gz"
    broken.write_bytes(b"\x1f\x8b no archive")
    with pytest.raises(InputError, match="the devkit's archive cannot be read"):
        load(flat, CLASSES, ground_truth=broken)


@given(st.lists(st.integers(-5, 10**17), min_size=1), st.sampled_from(["\n", "\r\n", " \n"]))
def test_what_is_written_is_read_back(labels: list[int], end: str) -> None:
    assert parse_numbers("".join(f"{label}{end}" for label in labels), "list") == labels


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        labels = parse_numbers(text, "list")
    except InputError as error:
        assert error.message.startswith("list, line ")  # noqa: PT017 - what matters is that nothing else is raised
    else:
        assert len(labels) == len(text.rstrip().split("\n"))
