"""What the comparison writes: the comment for a pull request, the terminal, and one line for bad input."""

from __future__ import annotations

from pathlib import Path

import pytest

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
