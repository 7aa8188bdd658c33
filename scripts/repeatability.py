"""Do runs of the same matrix agree, and is a model that is 5 % slower found? Half an hour on two cores at most.

    python scripts/repeatability.py

Runs `python -m runtimes.bench` ten times on a ViT-Ti/16 with 19 blocks, and three times on a model of the same name
with 20: a twentieth more work, so a model that really is slower, and by about 5 %. The thirteen are in random order, so
that drift of the machine falls on both alike. A run that was disturbed is made again, a few times at most. Then

1. of the equal runs' 95 % intervals at least nine in ten have to cover their cell's common median;
2. `reports.compare` has to say "no change" of each equal run and the next one;
3. and of each slower run against an equal one of about the same time that it is a regression.

Prints a table and the verdict; exit status 1 when one of these does not hold, or when too many runs were disturbed.
Runs are kept in --out, one folder each: the same command goes on where it was interrupted.
"""

from __future__ import annotations

import itertools
import json
import math
import random
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from convert import cli
from convert.common.errors import CheckFailed, InputError
from convert.common.files import write_json
from reports.compare.compared import SAME, SLOWER
from runtimes.system import environment

SPEC = """
name = "vit_repeated"
img_size = 224
patch_size = 16
class_num = 1000
embed_dim = 192
depth = {depth}
num_heads = 3
mlp_ratio = 4
qkv_bias = true
epsilon = 1e-6
[preprocessing]
resize_short = 256
crop = 224
mean = [0.5, 0.5, 0.5]
std = [0.5, 0.5, 0.5]
"""
# 5.2 % more multiply-accumulates: patches and head cost what a quarter of a block does.
DEPTHS = {"equal": 19, "slower": 20}
COVERED = 0.9
# Processes are what counts (docs/measuring.md). The minutes end a run that is disturbed all the time.
EFFORT = (
    *("--batch", "1", "--processes", "10", "--min-seconds", "8", "--max-seconds", "20", "--target", "3%"),
    *("--patience", "150", "--minutes", "4"),
)
SETTINGS, RECORDS, INTERRUPTED = "settings.json", "records.json", 130  # 128 + SIGINT, as shells have it

Record = Mapping[str, Any]


@dataclass(frozen=True)
class Run:
    """One run of the bench. records: of its cells."""

    name: str
    records: Sequence[Record]

    @property
    def kind(self) -> str:
        return self.name.split("-")[0]

    @property
    def disturbed(self) -> str | None:
        return next((f"{r['runtime']}: {r['disturbed']}" for r in self.records if r["disturbed"]), None)


@dataclass(frozen=True)
class Judged:
    """What `reports.compare` said of two runs. cells: name, verdict and relative change of each, and of all as one."""

    base: str
    new: str
    cells: Sequence[tuple[str, str, float | None]]
    status: int

    @property
    def same(self) -> bool:
        return self.status == 0 and {verdict for _, verdict, _ in self.cells} == {SAME}

    @property
    def slower(self) -> bool:
        return self.status == 1 and SLOWER in {verdict for _, verdict, _ in self.cells}

    def __str__(self) -> str:
        said = (f"{name}: {verdict} ({'unknown' if by is None else f'{by:+.1%}'})" for name, verdict, by in self.cells)
        return f"{self.new} against {self.base} (exit status {self.status}): {'; '.join(said)}"


def order(runs: int, slower: int) -> list[str]:
    """The names of all runs, in an order that looks random and is the same each time."""
    names = [f"{kind}-{i}" for kind, count in (("equal", runs), ("slower", slower)) for i in range(count)]
    return random.Random(0).sample(names, len(names))  # noqa: S311 - only shuffles


def measure(out: Path, name: str, words: Sequence[str]) -> Run:
    """A run, made or finished in its folder; taken from there where it is complete.

    InputError or CheckFailed, in the bench's own words, when a cell has no number.
    """
    folder, done = out / name, out / name / RECORDS
    if not done.exists():
        kind = name.split("-")[0]
        spec = out / f"model-{kind}" / "model.toml"
        spec.parent.mkdir(parents=True, exist_ok=True)
        spec.write_text(SPEC.format(depth=DEPTHS[kind]), encoding="utf-8")
        command = [
            *(sys.executable, "-m", "runtimes.bench", "--model", str(spec), "--weights", "seeded", "--json"),
            *("--artifacts", str(spec.parent / "artifacts"), "--out", str(folder), "--resume", *words),
        ]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode:
            said = (result.stderr.strip() or "no message").splitlines()[-1].partition(": ")[2]
            raise (InputError if result.returncode == InputError.exit_code else CheckFailed)(f"{name}: {said}")
        write_json(done, json.loads(result.stdout))
    return Run(name, json.loads(done.read_text(encoding="utf-8"))["records"])


def compare(out: Path, base: str, new: str) -> Judged:
    """What `reports.compare` says of two runs."""
    command = [sys.executable, "-m", "reports.compare", str(out / base), str(out / new), "--fail", "median:5%"]
    result = subprocess.run([*command, "--json"], capture_output=True, text=True, check=False)
    if result.returncode not in (0, 1):
        raise InputError(f"{new} against {base}: {result.stderr.strip().splitlines()[-1]}")
    judged = [cell for cell in json.loads(result.stdout)["cells"] if cell["kind"] in ("latency", "group")]
    return Judged(base, new, [(one["cell"], one["verdict"], one["change"]) for one in judged], result.returncode)


@dataclass
class Cell:
    """One cell over all runs, by the run's name.

    Median and interval in milliseconds; the median's relative standard error by the variation between the processes.
    """

    medians: dict[str, float] = field(default_factory=dict)
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)
    errors: dict[str, float] = field(default_factory=dict)

    def of(self, kind: str) -> list[float]:
        return [median for name, median in self.medians.items() if name.startswith(kind)]

    @property
    def common(self) -> float:
        """Median of the equal runs' medians, in milliseconds."""
        return statistics.median(self.of("equal"))

    @property
    def runs_cv(self) -> float:
        """Standard deviation between equal runs (of log medians) beyond what their processes explain."""
        explained = statistics.mean(error**2 for name, error in self.errors.items() if name.startswith("equal"))
        return math.sqrt(max(0.0, statistics.variance(map(math.log, self.of("equal"))) - explained))

    @property
    def covering(self) -> list[str]:
        """The equal runs whose interval covers the common median."""
        inside = (name for name, (low, high) in self.intervals.items() if low <= self.common <= high)
        return [name for name in inside if name.startswith("equal")]


def cell_name(record: Record) -> str:
    """What tells a cell from the others of the matrix."""
    return f"{record['runtime']}, batch {record['batch']}"


def cells(runs: Sequence[Run]) -> dict[str, Cell]:
    """The cells of some runs, by their names."""
    found: dict[str, Cell] = defaultdict(Cell)
    for run in runs:
        for record in run.records:
            found[cell_name(record)].medians[run.name] = record["median_ms"]
            found[cell_name(record)].intervals[run.name] = tuple(record["ci95_ms"] or (math.nan, math.nan))
            how = record["interval"]
            found[cell_name(record)].errors[run.name] = (how["between_cv"] or 0.0) / math.sqrt(how["processes"])
    return found


def covered(found: Mapping[str, Cell]) -> tuple[int, int]:
    """How many intervals of equal runs cover their cell's common median, and how many equal runs of cells there are."""
    return sum(len(cell.covering) for cell in found.values()), sum(len(cell.of("equal")) for cell in found.values())


def shortcomings(
    runs: Sequence[Run], found: Mapping[str, Cell], same: Sequence[Judged], slower: Sequence[Judged]
) -> list[str]:
    """What does not hold, a clause each; empty where all does."""
    covering, intervals = covered(found)
    differing, missed = sum(not one.same for one in same), sum(not one.slower for one in slower)
    disturbed = sum(1 for run in runs if run.disturbed)
    clauses = {
        f"{covering} of {intervals} intervals cover the common median": covering < COVERED * intervals,
        f"{differing} of {len(same)} comparisons of equal runs do not say 'no change'": differing > 0,
        f"{missed} of {len(slower)} slower runs are not found": missed > 0,
        f"{disturbed} of {len(runs)} runs were disturbed (the same command makes these again)": disturbed > 0,
    }
    return [clause for clause, wrong in clauses.items() if wrong]


def against(names: Sequence[str]) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Which of some runs, in the order in which they were made, are held against which: an equal one and the next one;
    a slower one and the equal one that is nearest."""
    equal = [name for name in names if name.startswith("equal")]
    rest = [name for name in names if name not in equal]
    nearest = [min(equal, key=lambda one: abs(names.index(one) - names.index(name))) for name in rest]
    return list(itertools.pairwise(equal)), list(zip(nearest, rest, strict=True))


def gather(out: Path, names: Sequence[str], again: int, words: Sequence[str]) -> list[Run]:
    """All runs, in the order in which they were made. Those that were disturbed are made anew, `again` in all."""
    waiting, runs, seconds = list(names), list[Run](), list[float]()
    while waiting:
        name, started = waiting.pop(0), time.monotonic()
        stored = (out / name / RECORDS).exists()
        run = measure(out, name, words)
        if not stored:
            seconds.append(time.monotonic() - started)
        note = f"; disturbed ({run.disturbed})" if run.disturbed else ""
        crashes = (f"{r['runtime']}: {one}" for r in run.records for one in r.get("crashes") or ())
        note += "".join(f"; a process crashed ({one})" for one in crashes)
        if run.disturbed and again:
            again -= 1
            (out / name).rename(out / f"disturbed-{len(list(out.glob('disturbed-*')))}-{name}")
            waiting.append(name)
            note += ", to be made again"
        else:
            runs.append(run)
        told = ", ".join(f"{r['runtime']} {r['median_ms']:.2f} ms" for r in run.records)
        left = f"{len(waiting)} to go"
        if waiting and seconds:
            left += f", about {len(waiting) * statistics.mean(seconds) / 60:.0f} min"
        cli.say(f"{name}: {told}{' (stored)' if stored else f', {seconds[-1]:.0f} s'}; {left}{note}")
    return sorted(runs, key=lambda run: min(str(p["time_utc"]) for r in run.records for p in r["processes"]))


def table(runs: Sequence[Run], found: Mapping[str, Cell]) -> Table:
    """A row for each cell of each run."""
    shown = Table("run", "cell", "median, ms", "95 % interval", "covers", "processes", "status", "disturbed")
    for run in runs:
        for record, cell in ((record, found[cell_name(record)]) for record in run.records):
            low, high = cell.intervals[run.name]
            covers = ("yes" if run.name in cell.covering else "NO") if run.kind == "equal" else ""
            row = (run.name, cell_name(record), f"{record['median_ms']:.2f}", f"{low:.2f} to {high:.2f}", covers)
            shown.add_row(*row, str(len(record["processes"])), record["status"], record["disturbed"])
    return shown


def report(out: Path, runs: Sequence[Run]) -> None:
    """Print what was found. CheckFailed where something does not hold."""
    found = cells(runs)
    equal_pairs, slower_pairs = against([run.name for run in runs])
    same, slower = ([compare(out, *pair) for pair in pairs] for pairs in (equal_pairs, slower_pairs))
    console = cli.console(stderr=False)
    console.print(table(runs, found))
    lines = ["{} of {} intervals cover the common median of their cell".format(*covered(found))]
    for name, cell in found.items():
        ratio = statistics.median(cell.of("slower")) / cell.common - 1 if cell.of("slower") else math.nan
        between = f"equal runs differ by {cell.runs_cv:.1%} (standard deviation) beyond their processes"
        lines.append(f"{name}: common median {cell.common:.2f} ms; {between}; the slower model {ratio:+.1%}")
    for line in [*lines, *(f"equal: {one}" for one in same), *(f"slower: {one}" for one in slower)]:
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    if wrong := shortcomings(runs, found, same, slower):
        raise CheckFailed("; ".join(wrong))
    console.print("It holds: runs agree, and the slower model is found.")


def same_settings(out: Path, settings: Mapping[str, Any]) -> None:
    """InputError where the folder holds runs that were made otherwise, or on another machine."""
    file = out / SETTINGS
    if not any(out.glob("*/visits.jsonl")):
        write_json(file, settings)
    elif json.loads(file.read_text(encoding="utf-8")) != settings:
        raise InputError(f"{out} has runs with other options or of another machine: remove it, or take another --out")


@click.command()
@click.option("--runtime", default="openvino,ort-cpu", show_default=True, help="Comma-separated.")
@click.option("--runs", type=click.IntRange(min=2), default=10, show_default=True)
@click.option("--slower", type=click.IntRange(min=0), default=3, show_default=True, help="Runs of the slower model.")
@click.option("--again", type=click.IntRange(min=0), default=3, show_default=True, help="Disturbed runs, made anew.")
@click.option("--out", type=click.Path(path_type=Path), default="results/repeatability", show_default=True)
@click.argument("words", nargs=-1)
def main(runtime: str, runs: int, slower: int, again: int, out: Path, words: tuple[str, ...]) -> None:
    """Repeat a matrix, and hold runs against each other. WORDS after -- go to runtimes.bench."""
    every = ("--runtime", runtime, *EFFORT, *words)
    same_settings(out, {"words": list(every), "machine": environment.setting_key(environment.describe())})
    try:
        report(out, gather(out, order(runs, slower), again, every))
    except KeyboardInterrupt:
        cli.say("interrupted; the same command goes on")
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
