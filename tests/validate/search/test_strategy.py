"""What a search finds, and how often it asks."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from validate.search.strategy import Judge, Kept, search

NAMES = tuple("abcdefghijklmnopqrst")


def _judge(needed: Iterable[str], evaluations: int = 1000) -> Judge:
    wanted = set(needed)
    return Judge(lambda kept: wanted <= set(kept), evaluations)


@given(st.sets(st.sampled_from(NAMES)), st.integers(0, len(NAMES)), st.integers(0, len(NAMES)))
def test_what_is_needed_is_found_and_nothing_else(needed: set[str], start: int, most: int) -> None:
    found = search(NAMES, start, most, _judge(needed))
    if needed <= set(NAMES[:most]):
        assert found is not None
        assert set(found) == needed
    else:
        assert found is None


@given(st.sets(st.sampled_from(NAMES)), st.integers(0, len(NAMES)), st.integers(1, 30))
def test_a_budget_is_kept_and_what_it_found_is_true(needed: set[str], start: int, evaluations: int) -> None:
    judge = _judge(needed, evaluations)
    found = search(NAMES, start, len(NAMES), judge)
    assert len(judge.verdicts) <= evaluations
    assert found is None or needed <= set(found)
    assert (found is None) == (not any(judge.verdicts.values()))


@pytest.mark.parametrize(
    ("needed", "start", "asked"),
    [
        ("", 0, [""]),
        ("a", 1, ["a", ""]),
        ("", 1, ["a", ""]),
        ("ac", 0, ["", "a", "abc", "ab", "ac", "c"]),
        ("d", 1, ["a", "ab", "abcd", "abc", "abd", "ad", "d"]),
    ],
)
def test_few_questions(needed: str, start: int, asked: list[str]) -> None:
    judge = _judge(needed)
    search(NAMES, start, 10, judge)
    assert ["".join(kept) for kept in judge.verdicts] == asked


def test_the_same_question_is_asked_once() -> None:
    questions: list[Kept] = []

    def holds(kept: Kept) -> bool:
        questions.append(kept)
        return False

    judge = Judge(holds, 10)
    assert not judge(("a",))
    assert not judge(("a",))
    assert questions == [("a",)]
