"""The devkit's own order of classes: recognised by what is known of the first images, and mapped by meta.mat."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convert.common.errors import InputError
from convert.datasets import load
from convert.datasets.labels import imagenet
from convert.datasets.labels.devkit import first_id, in_synset_order, to_labels
from convert.datasets.labels.imagenet import image_number
from tests.convert.datasets.written_sets import CLASSES, IDS, SYNSETS, write_folder, write_list, write_meta

# Validation images 1 to 5, as in the devkit's ground truth and in PaddleClas' val_list.txt.
FIRST_IDS = {1: 490, 2: 361, 3: 171, 4: 822, 5: 297}
FIRST_LABELS = {1: 65, 2: 970, 3: 230, 4: 809, 5: 516}


def test_orders_are_told_apart() -> None:
    assert first_id(FIRST_IDS) == 1
    assert first_id({number: value - 1 for number, value in FIRST_IDS.items()}) == 0
    assert first_id(FIRST_LABELS) is None
    assert in_synset_order(FIRST_LABELS)
    assert not in_synset_order(FIRST_IDS)


def test_two_images_are_not_enough_and_one_that_differs_too_many() -> None:
    assert first_id({1: 490, 2: 361}) is None
    assert first_id({1: 490, 2: 361, 3: 171}) == 1, "three are enough"
    assert first_id(FIRST_IDS | {4: 800}) is None
    assert first_id(FIRST_IDS | {21: 3}) == 1


@given(st.dictionaries(st.integers(1, 20), st.integers(0, 1000), min_size=1))
def test_no_labels_have_two_orders(labels: dict[int, int]) -> None:
    assert not (in_synset_order(labels) and first_id(labels) is not None)


def test_real_photos_are_in_synset_order(shared_data: Path) -> None:
    dataset = load(shared_data / "ilsvrc_val_134", 1000)
    labels = {image_number(name) or 0: label for name, label in zip(dataset.names, dataset.labels, strict=True)}
    assert in_synset_order(labels)
    assert first_id(labels) is None


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("ILSVRC2012_val_00000017.JPEG", 17),
        ("n01440764/ILSVRC2012_val_00000293.JPEG", 293),
        ("ILSVRC2012_val_00000293_n01440764.JPEG", 293),
        ("ILSVRC2012_val_0000017.JPEG", None),
        ("ILSVRC2012_test_00000017.JPEG", None),
        ("a.png", None),
    ],
)
def test_image_number(name: str, number: int | None) -> None:
    assert image_number(name) == number


class TestLists:
    """A list of `path label` lines may be in the devkit's order too."""

    def write(self, folder: Path, labels: dict[int, int]) -> Path:
        names = [f"ILSVRC2012_val_{number:08d}.JPEG" for number in labels]
        write_folder(folder, dict.fromkeys(names, b"x"))
        return write_list(folder / "val_list.txt", names, list(labels.values()))

    def synsets(self, folder: Path) -> Path:
        """A meta.mat with ImageNet's 1000 classes."""
        return write_meta(folder / "meta.mat", {one.number: one.wordnet_id for one in imagenet.classes()})

    @pytest.mark.parametrize("less", [0, 1])
    def test_is_refused_without_meta_and_mapped_with_it(self, tmp_path: Path, less: int) -> None:
        file = self.write(tmp_path / "set", {number: value - less for number, value in FIRST_IDS.items()})
        with pytest.raises(InputError, match=r"val_list\.txt: the labels are in the class order of the ILSVRC devkit"):
            load(file, 1000)
        expected = tuple(FIRST_LABELS.values())
        assert load(file, 1000, synsets=self.synsets(tmp_path)).labels == expected
        self.synsets(tmp_path / "set")
        assert load(file, 1000).labels == expected

    def test_meta_of_another_number_of_classes(self, tmp_path: Path) -> None:
        file = self.write(tmp_path, FIRST_IDS)
        with pytest.raises(InputError, match=r"meta\.mat: 1000 classes, but the model has 500"):
            load(file, 500, synsets=self.synsets(tmp_path / "devkit"))

    def test_needs_no_synsets_in_synset_order(self, tmp_path: Path) -> None:
        file = self.write(tmp_path, FIRST_LABELS)
        assert load(file, 1000).labels == tuple(FIRST_LABELS.values())
        with pytest.raises(InputError, match="not in the devkit's order, which alone needs --synsets"):
            load(file, 1000, synsets=self.synsets(tmp_path / "devkit"))


def test_numbers_that_the_devkit_has_not(tmp_path: Path) -> None:
    from convert.datasets.labels.devkit import Meta

    data = write_meta(tmp_path / "meta.mat", dict(zip(IDS, SYNSETS, strict=True))).read_bytes()
    for first, number, last in ((1, 0, 7), (1, 8, 7), (0, 7, 6)):
        with pytest.raises(InputError, match=f"place 0: {number} is none of .*, {first} to {last}$"):
            to_labels([number], first, Meta(data, "meta.mat"), lambda i: f"place {i}", "truth", CLASSES, None)
