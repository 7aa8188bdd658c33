"""Sets that were read, held against what is known of the model's classes."""

from __future__ import annotations

from pathlib import Path

import pytest

from convert.common.errors import InputError
from convert.datasets.labelled_set import LabelledSet
from convert.datasets.labels import imagenet
from convert.datasets.labels.settle import settled, shown
from convert.datasets.load import load
from tests.convert.datasets.written_sets import write_folder, write_list


def made(labels: list[int], class_names: dict[int, str] | None = None, names: list[str] | None = None) -> LabelledSet:
    paths = tuple(names or [f"{i}.png" for i in range(len(labels))])
    return LabelledSet("s", tuple(labels), paths, lambda i: b"", len(labels), "", "list", class_names=class_names)


def test_a_list_of_numbers_is_assumed() -> None:
    found = settled(made([4, 2]), 10)
    assert (found.labels, str(found.order)) == ((4, 2), "assumed: its labels are the model's, counted from 0")
    assert shown(found, 10) == ""
    assert shown(found, 10, [f"class {i}" for i in range(10)]) == "class 2 -> 2, class 4 -> 4"


def test_names_of_the_set_bring_its_labels_to_the_models() -> None:
    """As Imagenette's: ten classes with labels of their own, for a model with ImageNet's thousand."""
    found = settled(made([0, 1, 1], {0: "n01440764", 1: "n02102040"}), 1000)
    assert found.labels == (0, 217, 217)
    assert str(found.order) == "proven: ImageNet's class names, to which the labels of the set were brought"
    assert shown(found, 1000) == "n01440764 -> 0, n02102040 -> 217"
    found = settled(made([0, 1], {0: "cat", 1: "dog"}), 3, ["dog", "eel", "cat"])
    assert (found.labels, found.class_names) == ((2, 0), {2: "cat", 0: "dog"})


def test_names_that_agree_are_a_proof_and_others_are_none() -> None:
    assert str(settled(made([0, 1], {0: "a", 1: "b"}), 2, ["A", "B"]).order) == "proven: the model's own class names"
    assert not str(settled(made([0, 1], {0: "a", 1: "b"}), 2, ["x", "y"]).order).startswith("proven")
    agree = settled(made([0, 1, 2], {0: "a", 1: "b", 2: "see"}), 3, ["a", "b", "c"])
    assert str(agree.order) == "proven: the model's own class names (2 of 3 agree)"
    with pytest.raises(InputError, match="1 of 3 classes are none or several of the model's own class names: see"):
        settled(made([0, 1, 2], {0: "b", 1: "a", 2: "see"}), 3, ["a", "b", "c"])


def test_a_model_with_a_thousand_other_classes_is_not_held_against_imagenets() -> None:
    name = ["ILSVRC2012_val_00000003.JPEG"]
    with pytest.raises(InputError, match="contradict"):
        settled(made([5], names=name), 1000)
    assert settled(made([5], names=name), 1000, [f"thing {i}" for i in range(1000)]).labels == (5,)
    assert settled(made([5], names=name), 10).labels == (5,)
    english = [one.names.split(",")[0] for one in imagenet.classes()]
    with pytest.raises(InputError, match="contradict"):
        settled(made([5], names=name), 1000, english)


def test_lists_that_count_from_one(tmp_path: Path) -> None:
    names = [f"ILSVRC2012_val_{number:08d}.JPEG" for number in (9, 10, 11)]
    write_folder(tmp_path, dict.fromkeys(names, b"x"))
    file = write_list(tmp_path / "val_list.txt", names, [imagenet.VALIDATION[n] + 1 for n in (9, 10, 11)])
    with pytest.raises(
        InputError, match=r"val_list\.txt: .*ILSVRC2012_val_00000009 \(674, here 675\) and 2 others; th"
    ):
        load(file, 1000)
    assert load(file).labels[0] == 675  # where no model says how many classes there are, nothing is known


def test_folders_with_a_label_file(tmp_path: Path) -> None:
    write_folder(tmp_path / "val", {"good/1.png": b"x", "bad/2.png": b"x", "labels.txt": b"good\nbad\n"})
    found = load(tmp_path / "val", 2)
    assert dict(zip(found.names, found.labels, strict=True)) == {"good/1.png": 0, "bad/2.png": 1}
    assert str(found.order) == "proven: by labels.txt"
    assert shown(found, 2) == "good -> 0, bad -> 1"
    (tmp_path / "val/labels.txt").rename(tmp_path / "label.txt")  # beside val/
    assert str(load(tmp_path / "val", 2).order) == "proven: by label.txt"
    (tmp_path / "label.txt").write_text("other\nwords\n")  # of something else
    assert str(load(tmp_path / "val", 2).order) == "assumed: sorted names of classes"
    assert load(tmp_path / "val", 2, own=["good", "bad"]).labels == (0, 1)
