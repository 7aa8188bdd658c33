"""Does the bench give the answer of a quiet machine on one that is used?

`python -m scripts.busy_machine [--load a,b,c,d,e,f] [--runs N]` plants a load, runs the default bench at batch 1 beside
it, and holds what it says against runs of the quiet machine: the fastest and the gains over Paddle against all of them,
the medians against the one of the same round. Run it on a machine that does nothing else; it takes about two minutes
for each load and run. Exit status 1 where the answers are not those of the quiet machine, nine times in ten.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from convert.common.console import say
from convert.common.errors import CheckFailed
from reports import faster
from reports.load.results import Results, load
from reports.tables import standing
from runtimes.records.kinds import Latency

# What `make bench` does (Makefile, EFFORT).
EFFORT = ("--target", "10%", "--min-count", "6", "--max-seconds", "12", "--patience", "10")
_GAIN, _MEDIAN = 0.05, 0.05  # how far an answer may be from the quiet one
_NINE_IN_TEN = 0.9
_C = "".join(
    f"int f{n}(int *a, int n) {{ int s = 0; for (int i = 0; i < n; i++) {{ s += a[i] * {n} + (a[i] >> 3);"
    " if (s % 7 == 0) s ^= a[i]; } return s; }\n"
    for n in range(2000)
)
_BURSTS = """
import time
while True:
    end = time.perf_counter() + 0.2
    while time.perf_counter() < end: {work}
    time.sleep(0.2 / 0.3 - 0.2)
"""
_EVERY_TEN = """
import os, time
os.fork()
while True:
    if time.time() % 10 < 2:
        end = time.perf_counter() + 0.01
        while time.perf_counter() < end: pass
    else: time.sleep(0.01)
"""
LOADS = {
    "a": "30 % of a core in bursts of 0.2 s",
    "b": "two cores for 2 s of each 10",
    "c": "memory bandwidth, 30 % of a core",
    "d": "a compiler in a loop at nice 10",
    "e": "none",
    "f": "four busy loops",
}


def _commands(load: str, folder: Path) -> list[list[str]]:
    python = [sys.executable, "-c"]
    if load == "a":
        return [[*python, _BURSTS.format(work="pass")]]
    if load == "b":
        return [[*python, _EVERY_TEN]]
    if load == "c":
        copy = "import numpy as np\na, b = np.zeros(1 << 24), np.zeros(1 << 24)\n"
        return [[*python, copy + _BURSTS.format(work="a[:] = b")]]
    if load == "d":
        source = folder / "load.c"
        source.write_text(_C, encoding="ascii")
        return [["nice", "-n", "10", "sh", "-c", f"while true; do gcc -O2 -c {source} -o {source}.o; done"]]
    return [[*python, "while True: pass"]] * (4 if load == "f" else 0)


@contextmanager
def planted(load: str) -> Iterator[None]:
    """Have a load while the block lasts. Its processes stay in our session: under Linux's autogroups a nice value means
    nothing to those of another."""
    with tempfile.TemporaryDirectory() as folder:
        running = [
            subprocess.Popen(words, preexec_fn=os.setpgrp, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            for words in _commands(load, Path(folder))
        ]
        try:
            yield
        finally:
            for process in running:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


@dataclass(frozen=True)
class Answer:
    """What a run says. gains: over Paddle, by runtime; medians and intervals in ms, of a quiet machine; None where it
    says that it does not know."""

    verdict: str
    winners: tuple[str, ...]
    gains: dict[str, float | None]
    medians: dict[str, float | None]
    intervals: dict[str, tuple[float, float]]


def bench(model: str, runtimes: str, folder: Path, minutes: float) -> Results:
    """The results of a bench at batch 1."""
    words = ["--model", model, "--runtime", runtimes, "--batch", "1", *EFFORT, "--minutes", f"{minutes:g}"]
    command = [sys.executable, "-m", "vitbench", "bench", *words, "--out", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CheckFailed(f"{' '.join(command)}: {done.stderr.strip().splitlines()[-1:]}")
    return load([folder])


def answer(results: Results) -> Answer:
    """What the report of a bench says."""
    cells = [cell for cell in results.of(Latency) if cell.measured]
    verdict, winners = standing.ranking(results, cells)
    base = next((cell for cell in cells if cell.runtime == "paddle"), None)
    if base is None:
        raise CheckFailed(f"{results.name}: paddle has no number")
    gains = {cell.runtime: faster.faster(base, cell) for cell in cells if cell is not base}
    return Answer(
        verdict,
        tuple(cell.runtime for cell in winners),
        {name: gain.value if gain else None for name, gain in gains.items()},
        # In the slow one of the machine's two states a median is that of the state.
        {cell.runtime: None if cell.disturbed or standing.busy(cell) else cell.median_ms for cell in cells},
        {cell.runtime: cell.ci95_ms for cell in cells if cell.ci95_ms and not cell.disturbed},
    )


def truth(quiet: Sequence[Answer]) -> Answer:
    """What quiet runs say together."""
    names = list(quiet[0].medians)
    medians = {name: _median([one.medians[name] for one in quiet]) for name in names}
    gains = {name: _median([one.gains[name] for one in quiet]) for name in quiet[0].gains}
    best = max(gains, key=lambda name: gains[name] or 0.0)
    return Answer("fastest", (best if (gains[best] or 0) > 1 else "paddle",), gains, medians, {})


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


@dataclass
class Score:
    """How often something held of how often it was asked."""

    held: int = 0
    asked: int = 0

    def add(self, holds: bool) -> None:
        self.held += holds
        self.asked += 1

    @property
    def enough(self) -> bool:
        return self.asked > 0 and self.held >= _NINE_IN_TEN * self.asked

    def __str__(self) -> str:
        return f"{self.held}/{self.asked}"


def scores(found: Sequence[Answer], true: Answer, beside: Sequence[Answer]) -> dict[str, Score]:
    """How often runs gave the quiet machine's answer. A median that is said to be unknown is not asked for.

    beside: the quiet run of the same round as each, whose medians count: those of an hour before are of another state
    of the machine.
    """
    named = ("the fastest, or a tie with it", "gains within 5 %", "medians within 5 %", "intervals cover")
    of = {name: Score() for name in named}
    for one, quiet in zip(found, beside, strict=False):
        of[named[0]].add(true.winners[0] in one.winners)
        for name, gain in true.gains.items():
            if (mine := one.gains[name]) and gain:
                of[named[1]].add(abs(mine / gain - 1) <= _GAIN)
        for name, median in quiet.medians.items():
            if (mine := one.medians[name]) and median:
                of[named[2]].add(abs(mine / median - 1) <= _MEDIAN)
            if median and name in one.intervals:
                low, high = one.intervals[name]
                of[named[3]].add(low <= median <= high)
    return of


def main() -> int:
    """Print a table row for each load."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="ViT_base_patch32_384")
    parser.add_argument("--runtime", default="paddle,ort-cpu,openvino", help="paddle must be among them")
    parser.add_argument("--load", default=",".join(LOADS), help="; ".join(f"{k}: {v}" for k, v in LOADS.items()))
    parser.add_argument("--runs", type=int, default=10, help="of each load")
    parser.add_argument("--minutes", type=float, default=1.5, help="of each run (bench --minutes)")
    parser.add_argument("--out", type=Path, default=Path("results/busy"), help="runs that are there are taken up")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # a load that is planted must not outlive us
    loads = ["e", *(one for one in given.load.split(",") if one != "e")]
    found: dict[str, list[Answer]] = {one: [] for one in loads}
    # Loads in turn, so that the machine's own states fall on all of them.
    for run in range(given.runs):
        for load_ in random.sample(loads, len(loads)):
            folder = given.out / f"{load_}-{run}"
            if not (folder / "done").exists():
                with planted(load_):
                    results = bench(given.model, given.runtime, folder, given.minutes)
                (folder / "done").touch()
            else:
                results = load([folder])
            found[load_].append(answer(results))
            say(f"{load_}-{run}: {found[load_][-1]}")
    true = truth(found["e"])
    print(f"quiet: {true.winners[0]}, gains {_rounded(true.gains)}, medians {_rounded(true.medians)}\n")
    holds = True
    for load_ in loads:
        row = scores(found[load_], true, found["e"])
        unknown = sum(value is None for one in found[load_] for value in one.medians.values())
        told = ", ".join(f"{name} {score}" for name, score in row.items())
        verdicts = sorted({one.verdict for one in found[load_]})
        print(f"{load_} ({LOADS[load_]}): {told}; medians unknown {unknown}; verdicts: {'; '.join(verdicts)}")
        # Beside four busy loops there is no answer, and to say so is right.
        holds &= all(score.enough for score in row.values()) or (load_ == "f" and verdicts == ["cannot tell"])
    return 0 if holds else 1


def _rounded(values: dict[str, float | None]) -> dict[str, str]:
    return {name: f"{value:.3g}" for name, value in values.items() if value}


if __name__ == "__main__":
    sys.exit(main())
