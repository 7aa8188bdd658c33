"""Do runs of the same matrix agree, and is a model that is 5 % slower found? Half an hour on two cores at most.

Runs `python -m runtimes.bench` ten times on a ViT-Ti/16 with 19 blocks, and three times on a model of the same name
with 20: a twentieth more work, so a model that really is slower, and by about 5 %. The thirteen are in random order, so
that drift of the machine falls on both alike. What was disturbed in a run is measured again, once. Then

1. of the equal runs' 95 % intervals at least nine in ten have to cover their cell's common median;
2. `reports.compare` has to say "no change" of each equal run and the next one;
3. and of each slower run against an equal one of about the same time that it is a regression.

Runs are kept in results/repeatability, one folder each: the same command goes on where it was interrupted.
"""

from __future__ import annotations

import itertools
import random
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from convert.common.console import say
from convert.common.errors import CheckFailed, InputError
from reports.compare import judge, writers
from reports.compare.compared import SAME, SLOWER
from reports.compare.judge import Comparison, parse_all
from reports.load import results
from reports.load.results import Results
from runtimes.records.kinds import Latency
from scripts.common import ClaimOptions, Finding, verdict, vit_toml

# 5.2 % more multiply-accumulates: patches and head cost what a quarter of a block does.
BLOCKS = {"equal": 19, "slower": 20}
RUNS = {"equal": 10, "slower": 3}
QUICK_RUNS = {"equal": 3, "slower": 1}
COVERED = 0.9
SMALLEST = 0.01  # change that counts: the default of `reports.compare`
# Processes are what counts (docs/measuring.md). The minutes end a run that is disturbed all the time.
EFFORT = (
    *("--processes", "10", "--min-seconds", "8", "--max-seconds", "20", "--target", "3%"),
    *("--patience", "150", "--minutes", "4"),
)
QUICK_EFFORT = ("--processes", "2", "--min-seconds", "0.5", "--max-seconds", "1", "--patience", "1")
RUNTIMES = "openvino,ort-cpu"
OUT, QUICK_OUT = Path("results/repeatability"), Path("results/repeatability-quick")


def find(options: ClaimOptions) -> Iterator[Finding]:
    """Make all runs, or what is missing of them, and hold them against each other."""
    out, counts, effort = (QUICK_OUT, QUICK_RUNS, QUICK_EFFORT) if options.quick else (OUT, RUNS, EFFORT)
    names = order({**counts, "equal": options.rounds or counts["equal"]})
    yield from hold([run(out, name, effort, again=not options.quick) for name in names])


def order(counts: dict[str, int]) -> list[str]:
    """The names of all runs, in an order that looks random and is the same each time. counts: of each kind."""
    names = [f"{kind}-{number}" for kind, count in counts.items() for number in range(count)]
    return random.Random(0).sample(names, len(names))  # noqa: S311 - only shuffles


def run(out: Path, name: str, effort: Sequence[str], again: bool = True) -> Results:
    """A run, made or finished in its folder. again: what was disturbed is measured again, once."""
    made = bench(out, name, effort)
    if again and disturbed(made):
        say(f"{name}: disturbed ({disturbed(made)}), measured again")
        made = bench(out, name, effort)
    say(f"{name}: {', '.join(f'{cell.runtime} {cell.median_ms or 0:.2f} ms' for cell in made.of(Latency))}")
    return made


def bench(out: Path, name: str, effort: Sequence[str]) -> Results:
    """What the bench measures of a run; where it is complete, only what was disturbed is measured again.

    InputError or CheckFailed, in the bench's own words, when a cell has no number.
    """
    kind = name.split("-")[0]
    spec = out / f"model-{kind}" / "model.toml"
    spec.parent.mkdir(parents=True, exist_ok=True)
    spec.write_text(vit_toml("vit_repeated", size=224, width=192, blocks=BLOCKS[kind], heads=3), encoding="utf-8")
    command = [
        *(sys.executable, "-m", "runtimes.bench", "--model", str(spec), "--weights", "seeded", "--runtime", RUNTIMES),
        *("--artifacts", str(spec.parent / "artifacts"), "--out", str(out / name), "--resume", "--batch", "1", *effort),
    ]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        said = (ended.stderr.strip() or "no message").splitlines()[-1].partition(": ")[2]
        raise (InputError if ended.returncode == InputError.exit_code else CheckFailed)(f"{name}: {said}")
    return results.load(out / name)


def disturbed(run: Results) -> str:
    """What disturbed a run, a clause for each cell; empty where nothing did."""
    return "; ".join(f"{cell.runtime}: {cell.disturbed}" for cell in run.of(Latency) if cell.disturbed)


def hold(runs: Sequence[Results]) -> Iterator[Finding]:
    """Runs, in the order in which they were made, held against each other. A run's name begins with its kind."""
    same, slower = ([compare(*pair) for pair in pairs] for pairs in against(runs))
    cells = list(zip(*(run.of(Latency) for run in runs if run.name.startswith("equal")), strict=True))
    covered, intervals = sum(map(covering, cells)), sum(map(len, cells))
    quiet, agree, found = sum(not disturbed(run) for run in runs), sum(map(agrees, same)), sum(map(regressed, slower))
    for subject, stated, good, of, share in (
        ("intervals that cover the common median", "nine in ten", covered, intervals, COVERED),
        ("equal runs compared", "no change", agree, len(same), 1),
        ("slower runs compared", "a regression", found, len(slower), 1),
        ("runs that were not disturbed", "all", quiet, len(runs), 1),
    ):
        holds = verdict(good >= share * of)
        yield Finding("repeatability", subject, stated, f"{good} of {of}", verdict=holds)


def against(runs: Sequence[Results]) -> tuple[list[tuple[Results, Results]], list[tuple[Results, Results]]]:
    """Which of some runs, in the order in which they were made, are held against which: an equal one and the next one;
    a slower one and the equal one that is nearest."""
    equal, slower = ([(at, run) for at, run in enumerate(runs) if run.name.startswith(kind)] for kind in RUNS)
    nearest = [(min(equal, key=lambda one: abs(one[0] - at))[1], run) for at, run in slower]
    return list(itertools.pairwise(run for _, run in equal)), nearest


def compare(base: Results, new: Results) -> Comparison:
    """What `reports.compare` says of two runs."""
    found = judge.compare(base, new, parse_all(["median:5%"]), SMALLEST)
    say(f"{new.name} against {base.name}: {writers.summary(found)}")
    return found


def agrees(found: Comparison) -> bool:
    """Whether nothing changed: "cannot tell" is another verdict."""
    return not found.regressions and _verdicts(found) == {SAME}


def regressed(found: Comparison) -> bool:
    """Whether a slow-down was found that fails the comparison."""
    return bool(found.regressions) and SLOWER in _verdicts(found)


def _verdicts(found: Comparison) -> set[str]:
    """Of the latencies, and of those that are judged as one."""
    return {cell.verdict for cell in found.cells if cell.kind in ("latency", "group")}


def covering(cells: Sequence[Latency]) -> int:
    """How many intervals of one cell in equal runs cover the median of their medians.

    Each of these cells was measured: the bench's exit status said so.
    """
    common = statistics.median(cell.median_ms for cell in cells if cell.median_ms)
    return sum(cell.ci95_ms[0] <= common <= cell.ci95_ms[1] for cell in cells if cell.ci95_ms)
