"""What the paths of images prove of their labels."""

from __future__ import annotations

import pytest

from convert.common.errors import InputError
from convert.datasets.labels import imagenet
from convert.datasets.labels.class_order import ClassOrder, evidence

NUMBERS = (5, 12, 300, 50000)
NAMES = [f"v/ILSVRC2012_val_{number:08d}.JPEG" for number in NUMBERS]
LABELS = [imagenet.VALIDATION[number] for number in NUMBERS]


def test_labels_that_agree_are_proven() -> None:
    found = evidence([*NAMES, "other.png"], [*LABELS, 3], "set")
    assert str(found) == "proven: 4 images of ImageNet whose paths tell their class"
    assert str(ClassOrder("sorted names")) == "assumed: sorted names"


@pytest.mark.parametrize(
    ("count", "said"), [(1, "assumed: 1 image of"), (2, "assumed: 2 images of"), (3, "proven: 3 images of")]
)
def test_a_few_that_agree_prove_nothing(count: int, said: str) -> None:
    assert str(evidence(NAMES[:count], LABELS[:count], "set")).startswith(said)


def test_paths_that_tell_nothing() -> None:
    assert evidence(["a.png", "ILSVRC2012_val_00000021.JPEG"], [0, 1], "set") is None
    assert evidence([], [], "set") is None


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ([label + 1 for label in LABELS], "they count from 1: subtract 1"),
        ([label - 1 for label in LABELS], "they are one too low: add 1"),
        ([imagenet.classes()[label].number for label in LABELS], r"the ILSVRC devkit's numbers \(ILSVRC2012_ID\)"),
        ([imagenet.classes()[label].number - 1 for label in LABELS], "the ILSVRC devkit's numbers less 1"),
        ([7, 8, 9, 10], "it is 516, cradle: the labels are in another order"),
    ],
)
def test_labels_that_contradict_are_refused(labels: list[int], said: str) -> None:
    with pytest.raises(InputError, match=rf"^set: .*ILSVRC2012_val_00000005 \(516, here {labels[0]}\) and 3 .*{said}"):
        evidence(NAMES, labels, "set")


def test_one_that_was_corrected_is_no_contradiction() -> None:
    found = evidence(NAMES, [*LABELS[:3], 1], "set")
    assert str(found) == "proven: 3 of 4 images of ImageNet whose paths tell their class"


def test_half_of_them_are_too_many() -> None:
    labels = [1, 2, *LABELS[2:]]
    assert str(evidence([*NAMES, "n01443537_1.JPEG"], [*labels, 1], "set")).startswith("proven: 3 of 5 images")
    with pytest.raises(InputError, match=r"\(516, here 1\) and 1 other; it is 516"):
        evidence(NAMES, labels, "set")
    with pytest.raises(InputError, match=r"\(1, here 7\); it is 1, goldfish"):
        evidence(["n01443537_1.JPEG", "x.png"], [7, 3], "set")


def test_wordnet_ids_in_paths_count() -> None:
    assert evidence(["train/n01443537/a.jpg"], [1], "set")
    with pytest.raises(InputError, match="count from 1"):
        evidence(["train/n01443537/a.jpg", "n01440764_1.JPEG"], [2, 1], "set")


def test_a_mistake_is_named_only_where_it_explains_all_of_them() -> None:
    with pytest.raises(InputError, match="the labels are in another order"):
        evidence(NAMES, [LABELS[0] + 1, LABELS[1] + 1, LABELS[2] + 7, LABELS[3] + 1], "set")
