"""`--fail FIGURE:PERCENT` as it is read."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convert.common.errors import InputError
from reports.compare import judge
from reports.compare.figures import FIGURES


@given(st.sampled_from([*FIGURES, "accuracy"]), st.decimals(0, 9999, places=3))
def test_a_threshold_is_read_as_it_is_written(figure: str, number: Any) -> None:
    found = judge.parse(f"{figure}:{number}%")
    assert (found.figure, found.share) == (figure, float(number) / 100)
    assert judge.parse(str(found)).share == pytest.approx(found.share, rel=1e-4)


@given(st.text(max_size=20).filter(lambda text: not re.fullmatch(r"\w+:[0-9.]+%", text)))
def test_anything_else_is_an_error(text: str) -> None:
    with pytest.raises(InputError, match="--fail"):
        judge.parse(text)


@pytest.mark.parametrize(
    "text",
    ["median", "median:", "median:5", "median:-5%", "median:5 %", "speed:5%", "median:nan%", "Median:5%", "median:٥%"],
)
def test_thresholds_are_strict(text: str) -> None:
    with pytest.raises(InputError, match="--fail"):
        judge.parse(text)


def test_one_threshold_for_each_figure() -> None:
    with pytest.raises(InputError, match="one for each figure"):
        judge.parse_all(["median:5%", "p90:1%", "median:2%"])
