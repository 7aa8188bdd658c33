"""Facts of ImageNet's classes and images, which labels are held against."""

from __future__ import annotations

from pathlib import Path

import pytest

from convert.common.disk.files import sha256_json
from convert.datasets import load
from convert.datasets.labels import imagenet
from convert.datasets.labels.imagenet import image_number, known_label


def test_the_classes_are_in_the_order_of_their_wordnet_ids() -> None:
    classes = imagenet.classes()
    ids = [one.wordnet_id for one in classes]
    assert len(set(ids)) == 1000
    assert ids == sorted(ids)
    assert sorted(one.number for one in classes) == list(range(1, 1001))
    assert [classes[label].names.split(",")[0] for label in (0, 1, 207, 999)] == [
        "tench",
        "goldfish",
        "golden retriever",
        "toilet tissue",
    ]


def test_the_table_of_validation_images_is_as_it_was_compared_with_the_list() -> None:
    assert len(imagenet.VALIDATION) == 43
    digest = "4d55020bbf5ef8d3d19122b98af27367d07e9f1768779bd0bba1d2191a391d81"
    assert sha256_json([[number, label] for number, label in imagenet.VALIDATION.items()]) == digest


def test_aliases_and_tables_by_id_and_number() -> None:
    tench = imagenet.classes()[0]
    assert tench.aliases == ("n01440764", "tench, Tinca tinca")
    assert imagenet.classes()[134].aliases[2:] == ("crane bird",)
    for label, one in enumerate(imagenet.classes()):
        assert imagenet.by_wordnet_id()[one.wordnet_id] == imagenet.by_number()[one.number] == label


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("val/ILSVRC2012_val_00000001.JPEG", 65),
        ("val\\ILSVRC2012_val_00050000.JPEG", 355),
        ("ILSVRC2012_val_00000021.JPEG", None),  # one of those that the table leaves out
        ("train/n01443537/x.jpg", 1),
        ("n01443537_10007.JPEG", 1),
        ("ILSVRC2012_val_00000021_n01443537.JPEG", 1),
        ("n00000001/x.jpg", None),
        ("x n01443537.jpg", None),
        ("photo.png", None),
    ],
)
def test_paths_that_tell_their_class(name: str, label: int | None) -> None:
    assert known_label(name) == label


def test_the_validation_images_agree_with_real_lists(shared_data: Path) -> None:
    found = load(shared_data / "ilsvrc_val_134")
    labels = {image_number(name): label for name, label in zip(found.names, found.labels, strict=True)}
    both = set(labels) & set(imagenet.VALIDATION)
    assert len(both) >= 16
    assert all(labels[number] == imagenet.VALIDATION[number] for number in both if number)
