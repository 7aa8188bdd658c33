"""Do runs of the same matrix agree, and is a model that is 5 % slower found? Half an hour on two cores at most.

    python scripts/repeatability.py

Runs `python -m runtimes.bench` ten times on a ViT-Ti/16 with 19 blocks, and three times on a model of the same name
with 20: a twentieth more work, so a model that really is slower, and by about 5 %. The thirteen are in random order, so
that drift of the machine falls on both alike. What was disturbed in a run is measured again, a few times at most. Then

1. of the equal runs' 95 % intervals at least nine in ten have to cover their cell's common median;
2. `reports.compare` has to say "no change" of each equal run and the next one;
3. and of each slower run against an equal one of about the same time that it is a regression.

Prints a table; exit status 1 when one of these does not hold, or when too many runs were disturbed. Runs are kept in
--out, one folder each: the same command goes on where it was interrupted.
"""

from __future__ import annotations

import itertools
import json
import math
import random
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

sys.path.insert(0, str(Path(__file__).parents[1]))  # the folder of `scripts`, which is not installed

from convert import cli
from convert.common.errors import CheckFailed, InputError
from convert.common.files import write_json
from reports.compare.compared import SAME, SLOWER
from runtimes.records.kinds import Latency
from runtimes.records.reading import from_table
from runtimes.system import environment
from scripts.common import Finding, conclude, show, verdict, vit_toml

# 5.2 % more multiply-accumulates: patches and head cost what a quarter of a block does.
BLOCKS = {"equal": 19, "slower": 20}
COVERED = 0.9
# Processes are what counts (docs/measuring.md). The minutes end a run that is disturbed all the time.
EFFORT = (
    *("--batch", "1", "--processes", "10", "--min-seconds", "8", "--max-seconds", "20", "--target", "3%"),
    *("--patience", "150", "--minutes", "4"),
)
RUNTIMES = "openvino,ort-cpu"
OUT, SETTINGS = Path("results/repeatability"), "settings.json"


@dataclass(frozen=True)
class MatrixRun:
    """One run of the bench. name: its kind (`equal`, `slower`) and a number. cells: by the runtime's name."""

    name: str
    cells: Mapping[str, Latency]

    @property
    def kind(self) -> str:
        return self.name.split("-")[0]

    @property
    def disturbed(self) -> list[str]:
        """What disturbed it, a clause for each cell."""
        return [f"{runtime}: {cell.disturbed}" for runtime, cell in self.cells.items() if cell.disturbed]

    @property
    def began(self) -> str:
        """When its first process began, in UTC."""
        return min(process.time_utc or "" for cell in self.cells.values() for process in cell.processes or ())


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


def measure(out: Path, name: str, words: Sequence[str]) -> MatrixRun:
    """A run, made or finished in its folder; where it is complete, only what was disturbed is measured again.

    InputError or CheckFailed, in the bench's own words, when a cell has no number.
    """
    kind = name.split("-")[0]
    spec = out / f"model-{kind}" / "model.toml"
    spec.parent.mkdir(parents=True, exist_ok=True)
    spec.write_text(vit_toml("vit_repeated", size=224, width=192, blocks=BLOCKS[kind], heads=3), encoding="utf-8")
    command = [
        *(sys.executable, "-m", "runtimes.bench", "--model", str(spec), "--weights", "seeded", "--json"),
        *("--artifacts", str(spec.parent / "artifacts"), "--out", str(out / name), "--resume", *words),
    ]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        said = (result.stderr.strip() or "no message").splitlines()[-1].partition(": ")[2]
        raise (InputError if result.returncode == InputError.exit_code else CheckFailed)(f"{name}: {said}")
    return MatrixRun(name, latencies(json.loads(result.stdout)["records"]))


def latencies(tables: Sequence[Mapping[str, Any]]) -> dict[str, Latency]:
    """The records of kind latency among those that the bench printed, by the runtime's name."""
    records = [from_table(table) for table in tables]
    return {record.runtime: record for record in records if isinstance(record, Latency)}


def gather(out: Path, names: Sequence[str], again: int, words: Sequence[str]) -> list[MatrixRun]:
    """All runs, in the order in which they were made. What was disturbed is measured again, `again` times in all."""
    waiting, runs = list(names), list[MatrixRun]()
    while waiting:
        name = waiting.pop(0)
        run = measure(out, name, words)
        told = ", ".join(f"{runtime} {cell.median_ms:.2f} ms" for runtime, cell in run.cells.items())
        why = "; ".join(run.disturbed)
        if run.disturbed and again:
            again -= 1
            waiting.append(name)
            why += ", to be measured again"
        else:
            runs.append(run)
        cli.say(f"{name}: {told}; {len(waiting)} to go{f'; disturbed ({why})' if why else ''}")
    return sorted(runs, key=lambda run: run.began)


def compare(out: Path, base: str, new: str) -> Judged:
    """What `reports.compare` says of two runs."""
    command = [sys.executable, "-m", "reports.compare", str(out / base), str(out / new), "--fail", "median:5%"]
    result = subprocess.run([*command, "--json"], capture_output=True, text=True, check=False)
    if result.returncode not in (0, 1):
        raise InputError(f"{new} against {base}: {result.stderr.strip().splitlines()[-1]}")
    judged = [cell for cell in json.loads(result.stdout)["cells"] if cell["kind"] in ("latency", "group")]
    return Judged(base, new, [(one["cell"], one["verdict"], one["change"]) for one in judged], result.returncode)


def against(names: Sequence[str]) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Which of some runs, in the order in which they were made, are held against which: an equal one and the next one;
    a slower one and the equal one that is nearest."""
    equal = [name for name in names if name.startswith("equal")]
    rest = [name for name in names if name not in equal]
    nearest = [min(equal, key=lambda one: abs(names.index(one) - names.index(name))) for name in rest]
    return list(itertools.pairwise(equal)), list(zip(nearest, rest, strict=True))


def medians(cells: Sequence[Latency]) -> list[float]:
    """In milliseconds. Each of these cells was measured: the bench's exit status said so."""
    return [cell.median_ms for cell in cells if cell.median_ms]


def covering(cells: Sequence[Latency]) -> int:
    """How many intervals of one cell in equal runs cover the median of their medians."""
    common = statistics.median(medians(cells))
    return sum(cell.ci95_ms[0] <= common <= cell.ci95_ms[1] for cell in cells if cell.ci95_ms)


def runs_cv(cells: Sequence[Latency]) -> float:
    """Standard deviation of one cell's (log) median between equal runs, beyond what their processes explain."""
    methods = [cell.interval for cell in cells if cell.interval]
    explained = statistics.mean((how.between_cv or 0.0) ** 2 / (how.processes or 1) for how in methods)
    return math.sqrt(max(0.0, statistics.variance(map(math.log, medians(cells))) - explained))


def judge(runs: Sequence[MatrixRun], same: Sequence[Judged], slower: Sequence[Judged]) -> list[Finding]:
    """What was found. same: of equal runs and the next ones. slower: of the slower runs."""
    equal = [run for run in runs if run.kind == "equal"]
    by_cell = {runtime: [run.cells[runtime] for run in equal] for runtime in equal[0].cells}
    covered, intervals = sum(map(covering, by_cell.values())), sum(map(len, by_cell.values()))
    quiet = sum(not run.disturbed for run in runs)
    agree, found = sum(one.same for one in same), sum(one.slower for one in slower)
    beyond = ", ".join(f"{runtime} {runs_cv(cells):.1%}" for runtime, cells in by_cell.items())

    def finding(subject: str, stated: str, good: int, of: int, holds: bool, details: str = "") -> Finding:
        return Finding("repeatability", subject, stated, f"{good} of {of}", "", details, verdict(holds))

    return [
        finding(
            *("intervals that cover the common median", "nine in ten", covered, intervals),
            covered >= COVERED * intervals,
            f"equal runs differ by {beyond} (standard deviation) beyond their processes",
        ),
        finding("equal runs compared", "no change", agree, len(same), agree == len(same)),
        finding("slower runs compared", "a regression", found, len(slower), found == len(slower)),
        finding("runs that were not disturbed", "all", quiet, len(runs), quiet == len(runs)),
    ]


def same_settings(out: Path, settings: Mapping[str, Any]) -> None:
    """InputError where the folder holds runs that were made otherwise, or on another machine."""
    file = out / SETTINGS
    if not any(out.glob("*/visits.jsonl")):
        write_json(file, settings)
    elif json.loads(file.read_text(encoding="utf-8")) != settings:
        raise InputError(f"{out} has runs with other options or of another machine: remove it, or take another --out")


def find(out: Path, runs: int, slower: int, again: int, words: Sequence[str]) -> list[Finding]:
    """Make all runs, or what is missing of them, and hold them against each other. words: for the bench."""
    same_settings(out, {"words": list(words), "machine": environment.setting_key(environment.describe())})
    return hold(out, gather(out, order(runs, slower), again, words))


def hold(out: Path, runs: Sequence[MatrixRun]) -> list[Finding]:
    """Runs, in the order in which they were made, held against each other."""
    same, slower = ([compare(out, *pair) for pair in pairs] for pairs in against([run.name for run in runs]))
    for one in (*same, *slower):
        cli.say(str(one))
    return judge(runs, same, slower)


@click.command(help=__doc__)
@click.option("--runtime", default=RUNTIMES, show_default=True, help="Comma-separated.")
@click.option("--runs", type=click.IntRange(min=2), default=10, show_default=True)
@click.option("--slower", type=click.IntRange(min=0), default=3, show_default=True, help="Runs of the slower model.")
@click.option("--again", type=click.IntRange(min=0), default=3, show_default=True, help="Disturbed ones, once more.")
@click.option("--out", type=click.Path(path_type=Path), default=OUT, show_default=True)
@click.argument("words", nargs=-1)
def main(runtime: str, runs: int, slower: int, again: int, out: Path, words: tuple[str, ...]) -> None:
    findings = find(out, runs, slower, again, ("--runtime", runtime, *EFFORT, *words))
    show(findings)
    conclude(findings)


if __name__ == "__main__":
    main()
