"""Sets that were read, held against what is known of the model's classes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from convert.common.errors import InputError
from convert.datasets.labelled_set import LabelledSet
from convert.datasets.labels import imagenet
from convert.datasets.labels.class_order import ClassOrder
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


def test_the_models_own_names_go_before_imagenets() -> None:
    """A model with ImageNet's classes in another order, told by its names."""
    own = [one.names for one in imagenet.classes()][::-1]
    found = settled(made([0, 1], {0: "tench", 1: "goldfish"}), 1000, own)
    assert found.labels == (999, 998)
    assert str(found.order).startswith("proven: the model's own class names, to which")
    own = [one.names for one in imagenet.classes()]
    found = settled(made([5, 6], {5: "n01440764", 6: "n01443537"}), 1000, own)  # ids that the model's names are not
    assert (found.labels, str(found.order)[:31]) == ((0, 1), "proven: ImageNet's class names,")


def test_the_models_own_order_holds_where_it_is_imagenets_but_for_two() -> None:
    own = [one.names for one in imagenet.classes()]
    own[0], own[1] = own[1], own[0]
    found = settled(made([0, 1], {0: "tench", 1: "goldfish"}), 1000, own)
    assert (found.labels, found.class_names) == ((1, 0), {1: "tench", 0: "goldfish"})


def test_images_whose_paths_tell_their_class_prove_the_order_of_a_list() -> None:
    names = [f"ILSVRC2012_val_{number:08d}.JPEG" for number in (9, 10, 11)]
    right = made([imagenet.VALIDATION[number] for number in (9, 10, 11)], names=names)
    assert str(settled(right, 1000).order).startswith("proven: 3 images of ImageNet")
    assumed = replace(right, order=ClassOrder("sorted names"))
    assert str(settled(assumed, 1000).order).startswith("proven: 3 images of ImageNet")
    unknown = replace(assumed, names=("a.png", "b.png", "c.png"))
    assert settled(unknown, 1000).order == assumed.order


def test_what_is_proven_already_is_left() -> None:
    proven = replace(made([0, 1], {0: "b", 1: "a"}), order=ClassOrder("a file", proven=True))
    assert settled(proven, 2, ["a", "b"]) == proven
    assumed = replace(proven, order=ClassOrder("sorted names"))
    assert settled(assumed, 2, ["a", "b"]).labels == (1, 0)
    assert settled(assumed, 2, ["x", "y"]).order == assumed.order
    assert settled(assumed, 2, ["a", "b", "c"]) == assumed  # names of another number of classes are not the model's
    assert settled(assumed, None, ["a", "b"]) == assumed
    wrong = replace(made([5], names=["ILSVRC2012_val_00000003.JPEG"]), order=ClassOrder("a file", proven=True))
    assert settled(wrong, 1000).labels == (5,)


@pytest.mark.parametrize("told", [{0: "a"}, {0: "a", 1: "a"}, {}])
def test_names_that_not_each_class_has_for_itself_tell_nothing(told: dict[int, str]) -> None:
    found = settled(made([0, 1], told), 2, ["b", "a"])
    assert found.labels == (0, 1)
    assert not str(found.order).startswith("proven")


@pytest.mark.parametrize(("same", "imagenets"), [(501, False), (502, True)])
def test_more_than_half_of_the_names_make_the_classes_imagenets(same: int, imagenets: bool) -> None:
    """`crane` alone tells nothing, since there are two."""
    own = [one.names if label < same else f"thing {label}" for label, one in enumerate(imagenet.classes())]
    wrong = made([5], names=["ILSVRC2012_val_00000003.JPEG"])
    if imagenets:
        with pytest.raises(InputError, match="contradict"):
            settled(wrong, 1000, own)
    else:
        assert settled(wrong, 1000, own).labels == (5,)


def test_labels_out_of_range_are_named_with_their_image() -> None:
    with pytest.raises(InputError, match=r"^s, 1\.png: label 3 is out of range"):
        settled(made([0, 3]), 3)


def test_five_classes_are_shown() -> None:
    assert shown(made([9, 7, 7, 1, 3, 5, 0]), 1000) == (
        "tench -> 0, goldfish -> 1, tiger shark -> 3, electric ray -> 5, cock -> 7"
    )
    assert shown(made([999, 64, 3]), 1000).endswith("-> 3, green mamba -> 64, toilet tissue -> 999")
    assert shown(made([2, 0], {0: "a", 2: "c"}), 3, ["x", "y", "z"]) == "a -> 0, c -> 2"
    assert shown(made([2, 0], {2: "c"}), 3) == "c -> 2"
    assert shown(made([1]), 2, ["x", "y, z"]) == "y -> 1"
    assert shown(made([1]), 3, ["x", "y, z"]) == ""


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
