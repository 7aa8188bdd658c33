"""The command: what it prints where, and its exit status."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from reports.export.__main__ import main as export
from tests.reports import runs
from tests.reports.compare.comparing import Records, one, run, stored


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


BUSY: dict[str, Any] = {"disturbed": "other processes took 90% of the processor", "status": "unstable"}


@pytest.mark.parametrize(
    ("new", "arguments", "outcome", "sign", "status"),
    [
        (one(100.0, seed=2), (), "it holds", "✅", 0),
        (one(120.0), (), "a regression", "❌", 1),
        (one(400.0, **BUSY), (), "nothing can be said", "❔", 3),
        (one(32.0, speed_ms=4.25 * 8), (), "nothing can be said", "❔", 3),  # 8 times as slow by the probe
        ([*one(100.0, seed=2), one(400.0, batch=4, **BUSY)[1]], (), "nothing can be said", "❔", 3),  # of one of two
        (one(100.0, seed=2), ("--fail", "throughput:5%"), "nothing can be said", "❔", 3),
    ],
)
def test_three_outcomes_have_three_signs_and_exit_statuses(
    tmp_path: Path, new: Records, arguments: tuple[str, ...], outcome: str, sign: str, status: int
) -> None:
    base = [*one(100.0), *([one(100.0, batch=4)[1]] if len(new) > 2 else [])]
    folders, comment = (stored(tmp_path / "a", base), stored(tmp_path / "b", new)), tmp_path / "comment.md"
    strict = run(*folders, "--fail-unknown", "--json", "--markdown", comment, *arguments)
    assert (strict.exit_code, json.loads(strict.stdout)["outcome"]) == (status, outcome)
    assert comment.read_text(encoding="utf-8").startswith(f"### {sign} b against a: ")
    assert ("cannot tell: " in strict.stderr) == (status == 3)
    assert run(*folders, *arguments).exit_code == status % 3, "without the flag what is not known does not fail"


def test_what_an_export_leaves_out_is_no_difference(tmp_path: Path) -> None:
    environment = runs.ENVIRONMENT | {"variables": {"OMP_NUM_THREADS": "2"}}
    folder, packed = stored(tmp_path / "a", one(100.0), environment), tmp_path / "a.vitbench.json.gz"
    assert CliRunner().invoke(export, [str(folder), "--out", str(packed)]).exit_code == 0
    for sides in ((folder, packed), (packed, folder)):
        result = run(*sides)
        assert (result.exit_code, "Different" in result.stdout) == (0, False)
    changed = stored(tmp_path / "b", one(100.0), environment | {"variables": {}})
    assert "OMP_NUM_THREADS 2, now none" in run(folder, changed).stdout


def test_what_base_has_not_either_cannot_be_lost(tmp_path: Path) -> None:
    gone = one(100.0, batch=4)[1] | {"status": "refused", "reason": "no", "median_ms": None, "samples_ms": []}
    folders = [stored(tmp_path / name, [*one(100.0), gone]) for name in ("a", "b")]
    assert run(*folders, "--fail-unknown").exit_code == 0
    assert (
        run(folders[0], stored(tmp_path / "c", [*one(100.0), one(100.0, batch=4)[1]]), "--fail-unknown").exit_code == 0
    )
