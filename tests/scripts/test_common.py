"""What the scripts share: verdicts, findings of rounds, and specs that are read as any other."""

from __future__ import annotations

from pathlib import Path

import pytest

from convert.models import find
from scripts.common import Verdict, compared, vit_toml, within
from scripts.interleaved import Ratio, Rounds


@pytest.mark.parametrize(
    ("ratio", "verdict"),
    [
        (Ratio(1.0, 0.9, 1.1), "holds"),
        (Ratio(1.03, 1.01, 1.05), "cannot tell"),
        (Ratio(1.03, 1.021, 1.04), "DOES NOT HOLD"),
        (Ratio(0.9, 0.8, 0.97), "DOES NOT HOLD"),
    ],
)
def test_a_range_is_broken_only_where_the_interval_does_not_reach_into_it(ratio: Ratio, verdict: Verdict) -> None:
    assert within(ratio, 0.98, 1.02) == verdict


def test_the_finding_of_rounds_has_medians_and_what_was_left_out() -> None:
    rounds = Rounds([{"ours": 9.0, "theirs": 10.0}, {"ours": 9.0, "theirs": 10.0}], 3)
    found = compared("graphs", "toy on mnn", "", rounds, ("ours", "theirs"))
    assert (found.found, found.interval, found.verdict) == ("0.900", "0.900 to 0.900", "")
    assert found.details == "9.00 / 10.00 ms, 2 rounds, 3 left out"
    few = compared("graphs", "toy on mnn", "", Rounds(rounds.times_ms[:1], 4), ("ours", "theirs"))
    assert (few.verdict, few.details) == ("cannot tell", "4 of 5 rounds left out")


def test_a_spec_of_a_vit(tmp_path: Path) -> None:
    file = tmp_path / "small.toml"
    file.write_text(vit_toml("small", size=32, width=16, blocks=3, heads=2))
    spec = find(str(file))
    assert spec.name == "small"
