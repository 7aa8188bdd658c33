from __future__ import annotations

import subprocess
import sys
import time

import pytest

from runtimes.bench.disturbance import Counters, foreign_share, read


def test_by_hand() -> None:
    before = Counters(clock_s=10, busy_s=100, own_s=5, cores=4)
    # In 2 s on 4 cores 8 s could be computed: 5 were, 3 of them by us.
    assert foreign_share(before, Counters(12, 105, 8, 4)) == pytest.approx(0.25)
    assert foreign_share(before, Counters(12, 103, 8, 4)) == 0
    assert foreign_share(before, Counters(12, 102.99, 8, 4)) == 0, "ticks are coarse"
    assert foreign_share(before, Counters(10.5, 105, 8, 4)) is None, "too short to tell"


def test_another_process_is_noticed_and_ones_own_work_is_not() -> None:
    burner = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        time.sleep(0.3)
        before = read()
        end = time.process_time() + 1.5  # on a busy machine this takes longer by the clock
        while time.process_time() < end:
            pass
        found = foreign_share(before, read())
    finally:
        burner.kill()
        burner.wait()
    assert found is not None
    # Two busy processes on the cores that are ours: the other one has at most its share, and a good part of it.
    assert found > 0.5 * min(1 / before.cores, 0.5)
    assert read().own_s - before.own_s >= 1, "what this process did is told apart"
