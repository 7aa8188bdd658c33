"""The claims are run one after another, one that ends with an error stops no other, and the exit status follows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from convert.common.errors import CheckFailed
from scripts import check_claims, variants
from scripts.common import ClaimOptions, Finding, Verdict

README = Path(__file__).parents[2] / "README.md"


def check(
    monkeypatch: pytest.MonkeyPatch, *verdicts: Verdict, fails: bool = False, words: tuple[str, ...] = ()
) -> Result:
    """The command on two claims: `first` finds these, `second` holds."""

    def first(options: ClaimOptions) -> Iterator[Finding]:
        for number, one in enumerate(verdicts):
            yield Finding("first", f"cell {number}", "below 1", "1.030", "1.010 to 1.050", verdict=one)
        if fails:
            raise CheckFailed("benchmark_app did not run")

    def second(options: ClaimOptions) -> list[Finding]:
        return [Finding("second", "quick" if options.quick else "whole", "", "2.5", verdict="holds")]

    monkeypatch.setattr(check_claims, "CLAIMS", {"first": first, "second": second})
    return CliRunner().invoke(check_claims.main, words, env={"COLUMNS": "200"})


@pytest.mark.parametrize(
    ("verdicts", "fails", "status", "told"),
    [
        (("holds", ""), False, 0, ""),
        (("holds", "DOES NOT HOLD"), False, 1, "failed: does not hold: first, cell 1: 1.030"),
        (("cannot tell",), False, 2, "error: cannot tell: first, cell 0: 1.030"),
        (("cannot tell", "DOES NOT HOLD"), False, 1, "failed: does not hold: first, cell 1: 1.030"),
        (("holds",), True, 2, "error: cannot tell: first, : benchmark_app did not run"),
    ],
)
def test_the_exit_status(
    monkeypatch: pytest.MonkeyPatch, verdicts: tuple[Verdict, ...], fails: bool, status: int, told: str
) -> None:
    result = check(monkeypatch, *verdicts, fails=fails)
    assert result.exit_code == status, result.output
    assert told in result.stderr
    rows = [line for line in result.stdout.splitlines() if line.startswith("│")]
    assert len(rows) == len(verdicts) + fails + 1, "the second claim is checked in any case"
    assert "1.010 to 1.050" in rows[0]


def test_some_of_the_claims_and_a_look(monkeypatch: pytest.MonkeyPatch) -> None:
    result = check(monkeypatch, "DOES NOT HOLD", words=("--only", "second", "--quick"))
    assert result.exit_code == 0, result.output
    assert "quick" in result.stdout


@pytest.mark.parametrize("only", ["third", "first,third", ","])
def test_a_claim_that_there_is_not(monkeypatch: pytest.MonkeyPatch, only: str) -> None:
    result = check(monkeypatch, words=("--only", only))
    assert result.exit_code == 2
    assert "choose from first, second" in result.stderr


def test_every_claim_is_told_of_in_the_help() -> None:
    told = CliRunner().invoke(check_claims.main, ["--help"]).output.splitlines()
    named = [line.split()[0] for line in told if line.split() and line.split()[0] in check_claims.CLAIMS]
    assert named == list(check_claims.CLAIMS)


def test_what_is_stated_of_variants_stands_in_the_readme() -> None:
    lines = README.read_text(encoding="utf-8").splitlines()
    for name, times in variants.STATED.items():
        assert any(line.startswith(f"| {name.replace(':', ' ')} | {times:.2f} (") for line in lines), name
