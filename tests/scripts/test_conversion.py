"""What a command costs, and the ratios of costs that are made up."""

from __future__ import annotations

import sys

import pytest

from convert.common.errors import CheckFailed
from scripts.conversion import ConversionCost, judge, run


def test_a_command_has_its_seconds_and_its_memory_not_the_memory_of_this_process() -> None:
    ours = b"x" * 700_000_000
    cost = run(sys.executable, "-c", "import time; held = b'x' * 200_000_000; time.sleep(0.2)")
    assert cost.seconds > 0.2
    assert 0.2 < cost.gigabytes < len(ours) / 1e9


def test_a_command_that_fails_shows_what_it_printed() -> None:
    with pytest.raises(CheckFailed, match="out of luck"):
        run(sys.executable, "-c", "raise SystemExit('out of luck')")


def test_ours_has_to_take_less() -> None:
    pairs = [
        {"ours": ConversionCost(5.0, 0.3), "baseline": ConversionCost(10.0, 0.29)},
        {"ours": ConversionCost(5.2, 0.3), "baseline": ConversionCost(10.0, 0.29)},
    ]
    time, memory = judge("vit", pairs)
    assert (time.subject, time.found, time.verdict) == ("vit, wall time", "0.510", "holds")
    assert time.details == "5.10 / 10.0 s, 2 runs"
    assert (memory.subject, memory.found, memory.verdict) == ("vit, peak memory", "1.034", "DOES NOT HOLD")
