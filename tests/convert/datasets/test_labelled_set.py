"""What holds of a labelled set whatever its format."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convert.common.errors import InputError
from convert.datasets.labelled_set import LabelledSet, check_labels, choose, limited, whole
from convert.datasets.labels.class_order import ClassOrder


def numbers(labels: list[int], listed: int | None = None) -> LabelledSet:
    names = tuple(str(index) for index in range(len(labels)))
    return LabelledSet("x", tuple(labels), names, lambda i: b"%d" % i, listed or len(labels), "", "list")


@pytest.mark.parametrize(("count", "listed", "complete"), [(3, 3, True), (2, 3, False), (50_000, 50_000, True)])
def test_a_set_is_complete_when_all_of_it_is_in_use(count: int, listed: int, complete: bool) -> None:
    """However many that are: a user's own 500 are no part of ImageNet's 50,000."""
    assert numbers([0] * count, listed).complete is complete


def test_description_says_what_part_is_in_use() -> None:
    assert numbers([0, 1, 2]).description == "x, 3 images"
    assert numbers([0, 1, 2], listed=9).description == "x, 3 of 9 images"
    assert limited(numbers([0, 1, 2]), 2).description == "x, 2 of 3 images, evenly over its classes"
    assert limited(numbers([0, 1, 2]), 3).description == "x, 3 images"


def test_a_whole_set() -> None:
    order = ClassOrder("a test")
    found = whole("list", "n", ["a", "b"], [1, 0], lambda i: b"%d" % i, class_names={0: "x"}, notes=["y"], order=order)
    assert (found.names, found.labels, found.listed, found.format) == (("a", "b"), (1, 0), 2, "list")
    assert (found.class_names, found.notes, found.order, found.selection) == ({0: "x"}, ("y",), order, "")
    assert found.read(1) == b"1"
    assert whole("list", "n", ["a", "b"], [1, 0], found.read, 9).listed == 9
    hashes = {
        whole("list", "n", names, labels, found.read).sha256
        for names, labels in ((["a", "b"], [1, 0]), (["a", "b"], [0, 1]), (["a", "c"], [1, 0]), (["b", "a"], [0, 1]))
    }
    assert len(hashes) == 4
    assert found.sha256 in hashes
    assert whole("list", "n", ["a"], [0], found.read, sha256="1").sha256 == "1"


@pytest.mark.parametrize("limit", [None, 3, 4])
def test_a_limit_that_all_are_within_changes_nothing(limit: int | None) -> None:
    found = numbers([0, 1, 1])
    assert limited(found, limit) is found
    assert choose([0, 1, 1], limit) == [0, 1, 2]


@pytest.mark.parametrize(
    ("labels", "limit", "chosen"),
    [
        ([5, 3, 5, 3, 5, 3], 3, [0, 1, 3]),  # the one that is left goes to the first by label
        ([0, 1, 2, 3, 4], 2, [0, 2]),
        ([0, 0, 0, 1], 3, [0, 1, 3]),
        ([0, 0, 0, 1], 2, [0, 3]),
        ([10, 9, "b", "a"], 2, [1, 3]),  # numbers before words, 9 before 10
    ],
)
def test_which_are_chosen(labels: list[int | str], limit: int, chosen: list[int]) -> None:
    assert choose(labels, limit) == chosen


def test_a_limit_is_spread_over_the_classes_whatever_the_order() -> None:
    for labels in ([0] * 5 + [1] * 5 + [2] * 5, [0, 1, 2] * 5, [2] * 5 + [0, 1] * 5):
        part = limited(numbers(labels), 6)
        assert sorted(part.labels) == [0, 0, 1, 1, 2, 2]
        assert [int(name) for name in part.names] == sorted(map(int, part.names))


def test_fewer_images_than_classes_are_spread_too() -> None:
    assert list(limited(numbers(list(range(100))), 4).labels) == [0, 25, 50, 75]


def test_a_class_that_is_used_up_leaves_its_place_to_others() -> None:
    assert sorted(limited(numbers([0, 1, 1, 1, 1, 2]), 4).labels) == [0, 1, 1, 2]
    assert choose(["b", "a", "a"], 2) == [0, 1]


@given(st.lists(st.integers(0, 6), min_size=1, max_size=60), st.integers(1, 70))
def test_a_limit_keeps_order_and_what_belongs_together(labels: list[int], limit: int) -> None:
    part = limited(numbers(labels), limit)
    assert len(part.labels) == min(len(labels), limit)
    places = [int(name) for name in part.names]
    assert places == sorted(set(places))
    assert [int(part.read(i)) for i in range(len(places))] == places
    assert [labels[place] for place in places] == list(part.labels)
    taken, there = Counter(part.labels), Counter(labels)
    most = max(taken.values())
    assert all(taken[label] in (most, most - 1, count) for label, count in there.items())
    assert part.listed == len(labels)


@pytest.mark.parametrize(
    ("labels", "classes", "message"),
    [
        ([0, 10], 10, "place 1: label 10 is out of range: labels are 0-based, 0 to 9"),
        ([1, 10, 3], 10, "run from 1 to 10 and seem to count from 1: subtract 1 from each"),
        ([-1, -1], 10, "all are -1: this is a test split"),
        ([3, -1], None, "place 1: label -1 is out of range: labels are 0-based, 0 and above"),
    ],
)
def test_labels_out_of_range(labels: list[int], classes: int | None, message: str) -> None:
    with pytest.raises(InputError) as caught:
        check_labels(labels, classes, lambda index: f"place {index}")
    assert message in caught.value.message
    assert ("subtract" in caught.value.message) is ("subtract" in message)


@pytest.mark.parametrize(
    ("labels", "classes", "hint"),
    [
        ([2, 3], 3, "run from 2 to 3 and seem"),
        ([1, 4], 3, ""),
        ([0, 3], 3, ""),
        ([-1, 2], 3, ""),
        ([-2, -1], 3, ""),
        ([-1, -1, -1], None, "all are -1"),
        ([-2, -2], None, ""),
    ],
)
def test_the_mistake_that_it_looks_like(labels: list[int], classes: int | None, hint: str) -> None:
    with pytest.raises(InputError) as caught:
        check_labels(labels, classes, str)
    assert hint in caught.value.message
    assert (";" in caught.value.message) is bool(hint)


def test_the_last_label_and_the_first() -> None:
    check_labels([0, 9], 10, str)
    with pytest.raises(InputError, match=r"^0: label 10"):
        check_labels([10, 11], 10, str)


def test_labels_of_any_size_without_classes() -> None:
    check_labels([123_456], None, str)
