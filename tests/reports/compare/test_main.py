"""The command: what it prints where, and its exit status."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.reports import runs
from tests.reports.compare.comparing import one, run, stored


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Of a cell that got slower by a fifth."""
    return stored(tmp_path / "a", one(100.0)), stored(tmp_path / "b", one(120.0))


def test_a_regression_fails_and_is_named(folders: tuple[Path, Path]) -> None:
    result = run(*folders)
    assert result.exit_code == 1
    assert "slower" in result.stdout
    assert "1 regression; of 2 comparisons 1 slower, 1 no change" in result.stderr
    assert f"failed: a regression: {runs.MODEL} on ort-cpu fp32, batch 1: +" in result.stderr.replace("\n", " ")
    back = run(*reversed(folders))
    assert (back.exit_code, "no regression; of 2 comparisons 1 faster" in back.stderr) == (0, True)


def test_several_are_counted(tmp_path: Path) -> None:
    sides = [stored(tmp_path / name, [*one(t), one(t, batch=4)[1]]) for name, t in (("a", 100.0), ("b", 120.0))]
    result = run(*sides)
    assert result.exit_code == 1
    assert "failed: 3 regressions, the first: " in result.stderr


def test_thresholds_of_ones_own_take_the_place_of_the_usual(folders: tuple[Path, Path]) -> None:
    assert run(*folders, "--fail", "accuracy:1%").exit_code == 0
    assert run(*folders, "--fail", "median:50%").exit_code == 0


def test_json_stands_alone_on_standard_output(folders: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "comment.md"
    result = run(*folders, "--json", "--markdown", out, "--smallest", "30%")
    assert result.exit_code == 0, "a fifth is not certain to be more than 30 %"
    assert json.loads(result.stdout)["regressions"] == 0
    assert f"written: {out}" in result.stderr.replace("\n", "")
    assert "certain to be by more than 30 %" in out.read_text(encoding="utf-8")
    assert "written" not in run(*folders).stderr


def test_bad_input_is_one_line(folders: tuple[Path, Path], tmp_path: Path) -> None:
    here = folders[0]
    other = stored(tmp_path / "c", [runs.common("parity", model="another", passed=True)])
    for arguments, words in (
        ((here, tmp_path / "nowhere"), "nowhere"),
        ((here, other), "have no cell in common: nothing can be compared"),
        ((here, here, "--fail", "5%"), "--fail '5%'"),
        ((here, here, "--smallest", "x"), "--smallest 'x'"),
        ((here, here, "--markdown", tmp_path), f"--markdown {tmp_path}: cannot be written"),
    ):
        result = run(*arguments)
        assert result.exit_code == 2
        assert result.stderr.startswith("error: ")
        assert words in result.stderr
        assert result.stderr.count("\n") == 1
        assert not result.stdout
