"""What a search finds, and how often it asks."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from validate.search.strategy import Judge, Kept, Recipe, Strength, search

NAMES = tuple("abcdefghijklmnopqrst")
FAILS = ("0.5 ", "0 ", "0.5 a", "0.5 abc", "0.5 abcd")  # what is asked where 0.5 never holds, nor 0 unasked


def _judge(needed: Iterable[str], evaluations: int = 1000) -> Judge:
    wanted = set(needed)
    return Judge(lambda recipe: wanted <= set(recipe.kept), evaluations)


def found_by(start: int, most: int, judge: Judge) -> Kept | None:
    """What of one strength of the smoothing is kept."""
    found = search([Strength(0.5, NAMES, start, most)], judge)
    return found and found.kept


@given(st.sets(st.sampled_from(NAMES)), st.integers(0, len(NAMES)), st.integers(0, len(NAMES)))
def test_what_is_needed_is_found_and_nothing_else(needed: set[str], start: int, most: int) -> None:
    found = found_by(start, most, _judge(needed))
    if needed <= set(NAMES[:most]):
        assert found is not None
        assert set(found) == needed
    else:
        assert found is None


@given(st.sets(st.sampled_from(NAMES)), st.integers(0, len(NAMES)), st.integers(1, 30))
def test_a_budget_is_kept_and_what_it_found_is_true(needed: set[str], start: int, evaluations: int) -> None:
    judge = _judge(needed, evaluations)
    found = found_by(start, len(NAMES), judge)
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
    found_by(start, 10, judge)
    assert ["".join(recipe.kept) for recipe in judge.verdicts] == asked


def test_the_same_question_is_asked_once() -> None:
    questions: list[Recipe] = []

    def holds(recipe: Recipe) -> bool:
        questions.append(recipe)
        return False

    judge = Judge(holds, 10)
    assert not judge(Recipe(0.5, ("a",)))
    assert not judge(Recipe(0.5, ("a",)))
    assert not judge(Recipe(0, ("a",)))
    assert questions == [Recipe(0.5, ("a",)), Recipe(0, ("a",))]


@pytest.mark.parametrize(
    ("needed", "found", "asked"),
    [
        # Each is a strength of the smoothing and what is kept in FP32.
        ({0.5: "", 0: ""}, "0.5 ", ["0.5 "]),
        ({0.5: "abc", 0: ""}, "0 ", ["0.5 ", "0 "]),
        ({0.5: "ab", 0: "d"}, "0 d", ["0.5 ", "0 ", "0.5 a", "0.5 abc", "0.5 ab", "0.5 b", "0 d"]),
        ({0.5: "b", 0: "ba"}, "0.5 b", ["0.5 ", "0 ", "0.5 a", "0.5 abc", "0.5 ab", "0.5 b"]),
        ({0.5: None, 0: "c"}, "0 c", [*FAILS, "0 d", "0 dcb", "0 dc", "0 c"]),
        ({0.5: None, 0: None}, None, [*FAILS, "0 d", "0 dcb", "0 dcba"]),
    ],
)
def test_another_smoothing_is_tried_where_it_may_need_fewer(
    needed: dict[float, str | None], found: str | None, asked: list[str]
) -> None:
    """needed: of each strength the operators that have to stay FP32; None where it never holds."""
    judge = Judge(
        lambda one: needed[one.smooth] is not None and set(needed[one.smooth] or "") <= set(one.kept), evaluations=99
    )
    best = search([Strength(0.5, "abcd", 0, 4), Strength(0, "dcba", 0, 4)], judge)
    assert [f"{one.smooth:g} {''.join(one.kept)}" for one in judge.verdicts] == asked
    assert (best and f"{best.smooth:g} {''.join(best.kept)}") == found
