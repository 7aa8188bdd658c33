"""`--fail FIGURE:PERCENT` as it is read."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convert.common.errors import InputError
from reports.compare import judge
from reports.compare.figures import FIGURES
from reports.load import results
from tests.reports import runs
from tests.reports.compare.comparing import Records, one, stored


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


@pytest.fixture
def judged(tmp_path: Path) -> Callable[..., judge.Comparison]:
    def both(base: Records, new: Records, *fails: str, smallest: float = 0.01) -> judge.Comparison:
        old, now = (results.load(stored(tmp_path / name, found)) for name, found in (("base", base), ("new", new)))
        return judge.compare(old, now, judge.parse_all(fails or judge.DEFAULT), smallest)

    return both


@pytest.mark.parametrize(
    ("slower", "fail", "regressions"),
    [(1.2, "median:5%", 1), (1.2, "median:50%", 0), (1.2, "throughput:5%", 0), (0.8, "median:5%", 0)],
)
def test_a_regression_reaches_the_threshold_of_its_figure(
    judged: Any, slower: float, fail: str, regressions: int
) -> None:
    found = judged(one(100.0), one(100.0 * slower), fail)
    assert len(found.regressions) == regressions
    assert [cell.figure for cell in found.cells] == ["median", "parity"]
    for cell in found.regressions:
        assert (cell.figure, cell.verdict) == ("median", "slower")
        assert (
            cell.regression == f"+20.0 % [+{100 * cell.change.low:.1f}, +{100 * cell.change.high:.1f}] reaches {fail}"
        )
    assert found.notes == ()
    text = "Slower or faster: certain to be by more than 1 %. Regression: a change for the worse whose 95 % interval {}"
    assert found.rule.startswith(text.format(f"reaches {fail}; and always"))


def test_what_broke_is_a_regression_without_a_number(judged: Any) -> None:
    crashed = one(100.0)
    crashed[1] |= {"status": "failed", "reason": "killed", "median_ms": None, "samples_ms": []}
    found = judged(one(100.0), crashed, "accuracy:1%")
    assert [cell.regression for cell in found.regressions] == ["NEW: failed: killed"]
    assert judged(crashed, one(100.0)).regressions == []


@pytest.mark.parametrize(("cells", "words"), [(1, "1 cell"), (2, "2 cells")])
def test_what_could_not_be_seen_is_said(judged: Any, cells: int, words: str) -> None:
    def noisy(low: float, high: float) -> Records:
        latencies = [runs.latency([[low] * 9, [high] * 9], batch=batch) for batch in (1, 4)[:cells]]
        return [one(100.0)[0], *latencies]

    found = judged(noisy(90.0, 110.0), noisy(95.0, 114.0), "median:5%", "p99:5%")
    assert found.regressions == []
    assert found.notes == (f"median:5% cannot be excluded in {words}: measure more processes to see it.",)
    steady = judged(one(100.0), one(100.0, seed=2), "median:5%")
    assert steady.notes == ()


def test_percentiles_are_looked_at_where_they_are_asked_for(judged: Any) -> None:
    found = judged(one(100.0), one(100.0), "p90:5%", "accuracy:1%")
    assert [cell.figure for cell in found.cells] == ["median", "p90", "parity"]
    assert [cell.figure for cell in judged(one(100.0), one(100.0)).cells] == ["median", "parity"]


def test_the_machines_own_change_is_said_first_and_what_is_alone_is_named(judged: Any) -> None:
    found = judged([*one(100.0), one(100.0, batch=8)[1]], [*one(107.0, speed_ms=4.25 * 1.07), one(9.0, batch=4)[1]])
    assert found.notes[0] == (
        "Speed probe: the machine itself was 7.0% slower in NEW, which is taken out of the change."
    )
    assert found.only_base == (f"{runs.MODEL} on ort-cpu fp32, batch 8",)
    assert found.only_new == (f"{runs.MODEL} on ort-cpu fp32, batch 4",)


def test_a_threshold_without_a_colon_says_what_is_needed() -> None:
    with pytest.raises(InputError, match="FIGURE:NUMBER% is needed, as in median:5%"):
        judge.parse("median")


def test_a_cell_that_new_lacks_keeps_the_verdict_open_where_its_figure_may_fail_it(judged: Any) -> None:
    both, alone = one(100.0), [one(100.0)[0]]
    lost = judged(both, alone)
    assert (lost.outcome, lost.lost) == (judge.OPEN, (f"{runs.MODEL} on ort-cpu fp32, batch 1",))
    assert judged(both, alone, "accuracy:1%").lost == (), "nobody asked for a speed"
    assert judged(alone, both).lost == ()


def test_what_was_asked_for_by_name_has_to_be_there(judged: Any) -> None:
    assert judged(one(100.0), one(100.0)).unanswered == ()
    assert judged(one(100.0), one(100.0), "accuracy:1%").unanswered == ("accuracy:1%",)
    assert judged(one(100.0), one(100.0), "median:5%").unanswered == ()
