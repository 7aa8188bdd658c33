"""What holds of a labelled set whatever its format."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convert.common.errors import InputError
from convert.datasets.labelled_set import LabelledSet, by_class, check_labels, limited


def numbers(labels: list[int], listed: int | None = None) -> LabelledSet:
    names = tuple(str(index) for index in range(len(labels)))
    return LabelledSet("x", tuple(labels), names, lambda i: b"%d" % i, listed or len(labels), "", "list")


@pytest.mark.parametrize(("count", "complete"), [(49_999, False), (50_000, True), (50_001, False)])
def test_complete_is_exactly_fifty_thousand(count: int, complete: bool) -> None:
    assert numbers([0] * count).complete is complete


def test_description_says_what_part_is_in_use() -> None:
    assert numbers([0, 1, 2]).description == "x, 3 images"
    assert numbers([0, 1, 2], listed=9).description == "x, 3 of 9 images"
    assert limited(numbers([0, 1, 2]), 2).description == "x, first 2 of 3 images"
    assert limited(numbers([0, 1, 2]), 2, spread=True).description == "x, evenly spread 2 of 3 images"
    assert limited(numbers([0, 1, 2]), 3).description == "x, 3 images"


def test_a_spread_limit_takes_every_class_of_a_sorted_set() -> None:
    part = limited(numbers([label for label in range(10) for _ in range(5)]), 10, spread=True)
    assert part.labels == tuple(range(10))
    assert part.names == tuple(str(5 * label) for label in range(10))


@given(st.integers(1, 300), st.integers(1, 300), st.booleans())
def test_a_limit_keeps_order_and_what_belongs_together(total: int, limit: int, spread: bool) -> None:
    part = limited(numbers(list(range(total))), limit, spread)
    assert len(part.labels) == min(total, limit)
    assert list(part.labels) == sorted(set(part.labels))
    assert [int(part.read(i)) for i in range(len(part.labels))] == list(part.labels) == [int(n) for n in part.names]
    gaps = {after - before for before, after in zip(part.labels, part.labels[1:], strict=False)}
    assert max(gaps, default=0) - min(gaps, default=0) <= 1
    assert part.listed == total


@pytest.mark.parametrize(
    ("labels", "expected"),
    [([0, 0, 1, 1], True), ([2, 2, 0, 1], True), ([0, 1, 0, 1], False), ([0, 1, 2], False), ([3, 3], False)],
)
def test_by_class(labels: list[int], expected: bool) -> None:
    assert by_class(labels) is expected


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
