"""Names of classes held against lists, however they are written."""

from __future__ import annotations

import pytest

from convert.datasets.labels import imagenet
from convert.datasets.labels.matching import imagenet_places, is_imagenet, match, match_imagenet


def test_exact_names_go_before_similar_ones() -> None:
    assert match(["A-b", "a b"], [("a b",), ("A-b",)]).labels == {"A-b": 1, "a b": 0}


def test_two_names_never_mean_one_class() -> None:
    found = match(["Red Fox", "red_fox", "cat"], [("red fox",), ("cat",)])
    assert (found.labels, found.unknown) == ({"cat": 1}, ["Red Fox", "red_fox"])


@pytest.mark.parametrize(
    "name", ["great white shark", "Great_White_Shark", "white-shark", "n01484850", "n01484850_x y"]
)
def test_imagenets_names_in_any_spelling(name: str) -> None:
    assert match_imagenet([name]).labels == {name: 2}


def test_a_name_of_two_classes_goes_to_the_one_that_is_free() -> None:
    assert match_imagenet(["crane"]).unknown == ["crane"]
    assert match_imagenet(["crane", "crane bird"]).labels == {"crane bird": 134, "crane": 517}
    assert match_imagenet(["maillot", "maillot_tank_suit"]).labels == {"maillot_tank_suit": 639, "maillot": 638}


def test_all_of_imagenets_first_names_but_the_doubles() -> None:
    names = [one.names.split(", ")[0].replace(" ", "_") for one in imagenet.classes()]
    single = [name for name in names if names.count(name) == 1]
    found = match_imagenet(single)
    assert not found.unknown
    assert all(names[label] == name for name, label in found.labels.items())


@pytest.mark.parametrize(("names", "most"), [(["tench", "x"], True), (["tench", "x", "y"], False), ([], False)])
def test_most(names: list[str], most: bool) -> None:
    assert match_imagenet(names).most is most


def test_each_of_several_names_is_one() -> None:
    known = [("tench ,  Tinca tinca",), ("n2", "goldfish", "Carassius auratus")]
    for name, label in (("Tinca tinca", 0), ("tinca_tinca", 0), ("tench", 0), ("n2", 1), ("carassius auratus", 1)):
        assert match([name, "x"], known).labels == {name: label}
    assert match(["+", "x"], [("plus, + ",)]).labels == {"+": 0}
    assert match(["tench, Tinca tinca"], [("tench, tinca tinca",), ("tench, Tinca tinca",)]).labels == {
        "tench, Tinca tinca": 1
    }


def test_what_is_unknown_is_sorted_and_none_is_lost() -> None:
    found = match_imagenet(["zz", "tench", "aa", "n01443537 x", "n01443537"])
    assert found.labels == {"tench": 0, "n01443537 x": 1, "n01443537": 1}
    assert found.unknown == ["aa", "zz"]
    assert match(["zz", "b", "aa"], [("b",)]).unknown == ["aa", "zz"]


def test_names_of_signs_alone_are_names() -> None:
    assert match(["+", "-"], [("-",), ("+",)]).labels == {"-": 0, "+": 1}


def test_names_in_other_scripts() -> None:
    assert match(["猫", "狗"], [("狗",), ("猫",)]).labels == {"狗": 0, "猫": 1}


def test_whether_a_models_names_are_imagenets() -> None:
    names = [one.names for one in imagenet.classes()]
    same = {label: label for label in range(1000)}
    assert is_imagenet(None)
    assert is_imagenet(names)
    assert imagenet_places(None) == imagenet_places(names) == same
    firsts = [name.split(", ")[0] for name in names]  # two of them are there twice
    assert is_imagenet(firsts)
    assert imagenet_places(firsts) == same
    assert not is_imagenet(names[::-1])
    told = [label for label in same if names[label] != "crane"]  # two of them, so that the name alone tells nothing
    assert imagenet_places(names[::-1]) == {label: 999 - label for label in told}
    half = names[500:] + names[:500]
    assert not is_imagenet(half)
    assert imagenet_places(half) == {label: (label + 500) % 1000 for label in told}
    others = [f"thing {label}" for label in same]
    assert not is_imagenet(others)
    assert imagenet_places(others) == {}
    assert imagenet_places([*names[:400], *others[400:]]) == {}
    assert not is_imagenet(names[:0])
