"""How often `reports.compare` sees a slow-down, by simulation: `python -m tests.reports.compare.simulation`.

Prints the table of docs/comparing.md: by how far processes vary and by the number of processes per cell, the share of
comparisons that say "slower" or "faster" although nothing changed, that fail `median:5%` although nothing changed, and
that fail when every cell, or one cell alone, got slower. Two runs of twelve cells each. What they differ in beyond
their processes is drawn too: the machine's speed, of which a probe tells most, and what it does not tell.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from reports.compare import machine_speed
from reports.compare.change import SIGNIFICANCE, Change, LogEstimate, change, estimate, mean, together
from runtimes.statistics import ASSUMED_RUNS_CV, BEYOND_PROBE_CV, noise

SMALLEST, THRESHOLD = 0.01, 0.05
CELLS = 12
GROUPS = ([*range(12)], *([*range(place, place + 3)] for place in range(0, 12, 3)))
NOTHING = [0.0] * CELLS
# Readings of the probe around the processes of a cell: how many per process, and their relative standard deviation.
READINGS, READINGS_CV = 2, 0.015


def changes(chance: np.random.Generator, processes: int, between: float, slower: Sequence[float]) -> list[Change]:
    """Of each cell, and then of each group: the statistics of reports/compare on drawn medians of processes.

    between: standard deviation of their logarithms. slower: of each cell, 0.05 is 5 %.
    """
    machine = chance.normal(0, ASSUMED_RUNS_CV, 2)
    base = _run(chance, machine[0], processes, between, NOTHING)
    new = _run(chance, machine[1], processes, between, slower)
    readings = [one + chance.normal(0, READINGS_CV, READINGS * processes * CELLS) for one in machine]
    shift = machine_speed.shift(*(np.exp(one).tolist() for one in readings))
    return [change(one, other, SMALLEST, (shift.log, shift.error)) for one, other in zip(base, new, strict=True)]


def _run(
    chance: np.random.Generator, machine: float, processes: int, between: float, slower: Sequence[float]
) -> list[LogEstimate]:
    run = machine + chance.normal(0, BEYOND_PROBE_CV)
    levels = [np.exp(run + math.log1p(one) + chance.normal(0, between, processes)).tolist() for one in slower]
    cells = []
    for place, level in enumerate(levels):
        others = noise([other for number, other in enumerate(levels) if number != place])
        found = estimate(float(np.exp(np.log(level).mean())), level, others)
        assert found
        cells.append(found)
    return [*cells, *(mean([cells[place] for place in group]) for group in GROUPS)]


def said(found: Sequence[Change]) -> bool:
    """Whether any is said to be faster or slower."""
    return min(together([one.p for one in found])) <= SIGNIFICANCE


def fails(found: Sequence[Change]) -> bool:
    """Whether any fails `median:5%`."""
    adjusted = together([one.p for one in found])
    return any(
        p <= SIGNIFICANCE and one.amount > 0 and one.high >= THRESHOLD for p, one in zip(adjusted, found, strict=True)
    )


def rate(
    judge: Callable[[Sequence[Change]], bool],
    processes: int,
    between: float,
    slower: Sequence[float],
    repeats: int = 200,
    seed: int = 0,
) -> float:
    """The share of comparisons of which `judge` says yes."""
    chance = np.random.default_rng(seed)
    return sum(judge(changes(chance, processes, between, slower)) for _ in range(repeats)) / repeats


def main() -> None:
    one = NOTHING[1:]
    print("| processes vary by | processes | nothing: said | nothing: fails | all +5 % | one +5 % | one +10 % |")
    print("|--:|--:|--:|--:|--:|--:|--:|")
    for between in (0.005, 0.01, 0.02):
        for processes in (2, 3, 5, 10):
            cases = ((said, NOTHING), (fails, NOTHING), (fails, [0.05] * CELLS), (fails, [0.05, *one]))
            shares = [rate(judge, processes, between, slower) for judge, slower in (*cases, (fails, [0.10, *one]))]
            print(f"| {between:.1%} | {processes} | {' | '.join(f'{share:.1%}' for share in shares)} |", flush=True)


if __name__ == "__main__":
    main()
