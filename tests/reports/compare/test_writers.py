"""What the comparison writes: the comment for a pull request, the terminal, and one line for bad input."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from reports.compare import writers
from reports.compare.change import Change
from reports.compare.compared import APART, BETTER, FASTER, SAME, SLOWER, UNKNOWN, WORSE, Compared
from reports.compare.judge import Comparison
from tests.reports import runs
from tests.reports.compare.comparing import Records, one, run, stored
from tests.reports.golden import DATA, check


def golden() -> dict[str, Records]:
    """Two runs between which openvino got slower, and mnn another model."""
    new = [*runs.matrix(2)[:8], *runs.matrix(2, slower=0.1)[8:12], *runs.matrix(2)[12:]]
    new[12] |= {"passed": False, "status": "failed", "reason": "logits differ | by 0.3"}
    return {"main": runs.matrix(0), "branch": new}


def test_markdown_to_the_letter(tmp_path: Path) -> None:
    folders = [stored(tmp_path / name, records) for name, records in golden().items()]
    out = tmp_path / "comment.md"
    result = run(*folders, "--markdown", out)
    assert result.exit_code == 1
    check(out.read_text(encoding="utf-8"), DATA / "compare.md")


def test_a_planted_slow_down_leads_the_comment(tmp_path: Path) -> None:
    """5 % on one runtime of four: the comment names it and nothing else, and the exit status is 1."""
    steady, out = {"between": 0.006}, tmp_path / "comment.md"
    new = [*runs.matrix(1, **steady)[:8], *runs.matrix(1, slower=0.05, **steady)[8:12], *runs.matrix(1, **steady)[12:]]
    folders = [stored(tmp_path / name, found) for name, found in (("main", runs.matrix(0, **steady)), ("branch", new))]
    result = run(*folders, "--fail", "median:5%", "--markdown", out)
    assert result.exit_code == 1
    assert "failed: 4 regressions, the first: openvino fp32, all 3 cells: " in result.stderr
    title, changed, *_ = out.read_text(encoding="utf-8").replace("<details>", "\n\n").split("\n\n")
    assert title == "### ❌ branch against main: 4 regressions; of 21 comparisons 4 slower, 17 no change"
    assert len(changed.splitlines()) == 2 + 4
    assert all("openvino" in row and "**slower: regression**" in row for row in changed.splitlines()[2:])
    assert "whose 95 % interval reaches median:5%; and always" in out.read_text(encoding="utf-8")


@pytest.mark.parametrize("seed", range(1, 11))
def test_the_comment_of_a_repeat_is_a_tick(tmp_path: Path, seed: int) -> None:
    out = tmp_path / "comment.md"
    folders = [stored(tmp_path / name, runs.matrix(draw)) for name, draw in (("main", 0), ("branch", seed))]
    result = run(*folders, "--fail", "median:5%", "--markdown", out)
    assert result.exit_code == 0, result.stderr
    assert out.read_text(encoding="utf-8").startswith("### ✅ branch against main: no regression; of 21 comparisons ")


def test_a_long_comment_is_cut(tmp_path: Path) -> None:
    records = [
        record | {"model": f"model_{n:03d}"} for n in range(700) for record in one(100.0, processes=2, samples=3)
    ]
    folder = stored(tmp_path / "a", records)
    assert run(folder, folder, "--markdown", tmp_path / "comment.md").exit_code == 0
    text = (tmp_path / "comment.md").read_text(encoding="utf-8")
    assert len(text) < 65_536
    assert "more." in text


def test_the_terminal_has_every_cell_and_the_notes(tmp_path: Path) -> None:
    folders = [stored(tmp_path / "a", one(100.0)), stored(tmp_path / "b", one(120.0))]
    result = run(*folders)
    assert result.exit_code == 1
    assert "slower" in result.stdout
    assert "failed: a regression: " in result.stderr


CHANGE = Change(0.25, 0.2, 0.3, 0.001)


def cell(verdict: str, figure: str = "median", **fields: Any) -> Compared:
    return Compared("latency", "m", f"m {verdict}", figure, verdict, **{"base": 8.0, "new": 100.0, **fields})


def comparison(*cells: Compared, **fields: Any) -> Comparison:
    empty: dict[str, Any] = {
        "notes": (),
        "only_base": (),
        "only_new": (),
        "rule": "The rule.",
        "asked": frozenset({"median"}),
    }
    return Comparison(cells, **{**empty, **fields})


def test_what_changed_comes_first_and_regressions_before_it() -> None:
    verdicts = [SAME, BETTER, APART, FASTER, WORSE, SLOWER, UNKNOWN]
    found = comparison(*map(cell, verdicts), cell(SLOWER, regression="reaches it"))
    changed, rest = writers.ordered(found)
    assert [one.verdict for one in changed] == [SLOWER, SLOWER, WORSE, FASTER, BETTER]
    assert changed[0].regression
    assert [one.verdict for one in rest] == [SAME, APART, UNKNOWN]
    assert writers.summary(found) == (
        "1 regression; of 8 comparisons 2 slower, 1 worse, 1 faster, 1 better, 1 no change, 1 cannot tell, "
        "1 not comparable"
    )
    assert writers.summary(comparison(cell(SAME))) == "no regression; of 1 comparison 1 no change"
    assert writers.summary(comparison(*[cell(WORSE, regression="x")] * 2)).startswith("2 regressions; of 2")


def test_the_terminal_marks_verdicts_and_sets_numbers_to_the_right() -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, color_system="standard", width=200)
    slower = cell(SLOWER, regression="reaches it", notes=("why",))
    writers.terminal(comparison(slower, cell(SLOWER, base=123456.0), cell(FASTER), notes=("A note.",)), console)
    rows = [line for line in out.getvalue().splitlines() if "m slower" in line or "m faster" in line]
    assert ["\x1b[1;31mslower" in row for row in rows] == [True, False, False]
    assert ["\x1b[31mslower" in row for row in rows] == [False, True, False]
    assert ["\x1b[32mfaster" in row for row in rows] == [False, False, True]
    cells = [re.sub(r"\x1b\[[0-9;]*m", "", row).split("│")[1:-1] for row in rows]
    assert [one[0].startswith(" m") for one in cells] == [True] * 3
    for place in (2, 3):
        assert all(one[place].endswith(" ms ") for one in cells), place
    assert cells[0][4].strip() == "-"
    assert cells[0][4].endswith("- ")
    assert cells[0][6].strip() == "why"
    assert "A note." in out.getvalue()


def test_the_document_has_ratios_of_what_has_them() -> None:
    found = comparison(
        cell(SLOWER, change=CHANGE, notes=("a",)),
        cell(WORSE, figure="accuracy", change=CHANGE, base=0.5, new=0.75),
        cell(APART),
        only_base=("x",),
        only_new=("y",),
        notes=("n",),
    )
    document = writers.document(found)
    one, accuracy, apart = document["cells"]
    assert (one["change"], one["change_ci95"], one["p"]) == (0.25, [0.2, 0.3], 0.001)
    assert (one["ratio"], one["ratio_ci95"], one["notes"]) == (1.25, [1.2, 1.3], ["a"])
    assert (accuracy["change"], accuracy["change_ci95"], accuracy["p"]) == (0.25, [0.2, 0.3], 0.001)
    assert (accuracy["ratio"], accuracy["ratio_ci95"]) == (None, None)
    names = ("change", "change_ci95", "p", "ratio", "ratio_ci95")
    assert [apart[name] for name in names] == [None] * 5
    assert (document["only_base"], document["only_new"], document["notes"]) == (["x"], ["y"], ["n"])
    assert (document["regressions"], document["rule"]) == (0, "The rule.")


@pytest.mark.parametrize(
    ("figure", "value", "change", "text"),
    [
        ("median", 5.123, None, "5.12 ms"),
        ("median", 5.123, Change(0.0, -0.2, 0.2, 1.0), "5.1 ms"),
        ("throughput", 512.3, None, "512 images/s"),
        ("qps_max", 51.23, None, "51.2 queries/s"),
        ("accuracy", 0.81234, None, "81.23 %"),
        ("parity", 4.14e-6, None, "4.1e-6"),
        ("median", None, None, "-"),
    ],
)
def test_a_value_has_its_unit_and_the_digits_of_its_change(
    figure: str, value: float | None, change: Change | None, text: str
) -> None:
    lines = writers.markdown(comparison(cell(SAME, figure, base=value, new=value, change=change)), "a", "b").split("\n")
    row = next(line for line in lines if "m no change" in line).split(" | ")
    assert row[2:4] == [text, text]


def test_of_many_alone_the_first_twenty_are_named() -> None:
    for count, more in ((20, None), (21, "and 1 more"), (25, "and 5 more")):
        text = writers.markdown(comparison(cell(SAME), only_new=tuple(f"c{n}" for n in range(count))), "a", "b")
        assert "; c19" in text
        assert "c20" not in text
        assert (more in text) if more else ("more" not in text)


def test_a_line_says_of_what_nothing_can_be_said() -> None:
    assert writers.summary(comparison(unanswered=("accuracy:1%",))).startswith("nothing can be said of accuracy:1%;")
    assert writers.summary(comparison()).startswith("nothing can be said of any cell;")
    lost = writers.summary(comparison(cell(UNKNOWN), lost=("a",)))
    assert lost.startswith("nothing can be said of 2 cells, 1 of them not in NEW;")
