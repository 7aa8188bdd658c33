"""What holds of a labelled set whatever its format."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convert.common.errors import InputError
from convert.datasets.labelled_set import LabelledSet, check_labels, choose, limited


def numbers(labels: list[int], listed: int | None = None) -> LabelledSet:
    names = tuple(str(index) for index in range(len(labels)))
    return LabelledSet("x", tuple(labels), names, lambda i: b"%d" % i, listed or len(labels), "", "list")


@pytest.mark.parametrize(("count", "complete"), [(49_999, False), (50_000, True), (50_001, False)])
def test_complete_is_exactly_fifty_thousand(count: int, complete: bool) -> None:
    assert numbers([0] * count).complete is complete


def test_description_says_what_part_is_in_use() -> None:
    assert numbers([0, 1, 2]).description == "x, 3 images"
    assert numbers([0, 1, 2], listed=9).description == "x, 3 of 9 images"
    assert limited(numbers([0, 1, 2]), 2).description == "x, 2 of 3 images, evenly over its classes"
    assert limited(numbers([0, 1, 2]), 3).description == "x, 3 images"


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


def test_labels_of_any_size_without_classes() -> None:
    check_labels([123_456], None, str)
