"""Does `vitbench ship` choose what measuring everything chooses, and in how much of its time?

Measures every cell hard and every accuracy, once, and takes for each budget the fastest that keeps it, from those
records alone. Then it runs the race for each budget, each in a folder of its own, and holds choice and time against
that. A choice that ties with the exhaustive one agrees. Models are converted and parity is checked before, by a short
run that counts for neither.

    python -m scripts.shipping --model vit.toml --images photos/ --calibration others/ \\
        --budget "p99<50ms" --budget "memory<200MB" --budget "top1>=-0.2" --out results/against

The same command goes on where it was interrupted: what a folder has is not measured again, and its time is that of the
run which measured it. On a machine that others use both sides are slower, not always alike: repeat it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import click

from convert.common.boundary import BoundedCommand
from convert.common.console import say
from convert.common.disk.files import write_json
from convert.common.errors import CheckFailed
from convert.precision.table import FP32, SMOOTH
from runtimes.base import usable_cores
from runtimes.options import precisions, select
from runtimes.records import store
from runtimes.records.kinds import Accuracy, Choice, Latency
from validate.accuracy.evaluation import REFERENCE
from validate.accuracy.outcomes import Predictions, holds
from validate.choice import figures
from validate.choice.budget import Limits, parse
from validate.choice.runner import Runner, miss
from validate.choice.steps import samples

TIMES = "seconds.json"  # in the folder of the exhaustive run
# As hard as the race measures its finalists.
_HARD = ("--target", "2%", "--max-seconds", "60")
_MINUTES_EACH = 0.5
SMOOTHED = ("--smooth", f"{SMOOTH:g}")  # both sides have the same int8, and one of it


@click.command(cls=BoundedCommand)
@click.option("--model", required=True)
@click.option("--weights")
@click.option("--artifacts", default="artifacts", show_default=True)
@click.option("--images", required=True)
@click.option("--calibration", required=True)
@click.option("--runtime", default="ort-cpu,openvino,paddle,mnn", show_default=True)
@click.option("--precision", default="fp32,int8", show_default=True)
@click.option("--budget", "budgets", multiple=True, required=True, help="Repeatable.")
@click.option("--repeats", type=click.IntRange(min=1), default=1, show_default=True, help="Races of the first budget.")
@click.option("--minutes", type=float, default=30.0, show_default=True, help="Of each race.")
@click.option("--out", type=click.Path(path_type=Path), required=True)
def main(
    model: str,
    weights: str | None,
    artifacts: str,
    images: str,
    calibration: str,
    runtime: str,
    precision: str,
    budgets: tuple[str, ...],
    repeats: int,
    minutes: float,
    out: Path,
) -> None:
    """Hold the choices within some budgets against those of an exhaustive run."""
    own = ["--model", model, "--artifacts", artifacts, "--runtime", runtime, "--precision", precision]
    own += ["--weights", weights] if weights else []
    judged = ["--images", images]
    count = max(samples(parse(budget).percentile) for budget in budgets)
    everything = _exhaustive(own, [*judged, "--calibration", calibration], count, out / "everything")
    records = store.read(out / "everything")
    failed = []
    for place, budget in enumerate(budgets):
        limits = parse(budget)
        best = exhaustive_choice(records, limits)
        say(f"{budget}: measuring everything ({everything:.0f} s) chooses {_names(best) or 'nothing'}")
        for number in range(repeats if place == 0 else 1):
            folder = out / f"race-{place}-{number}"
            words = [*own, *judged, "--calibration", calibration, *SMOOTHED]
            words += ["--budget", budget, "--minutes", str(minutes)]
            made = _race(words, folder)
            chosen = (made.runtime, made.precision, made.threads) if made.status == "ok" else None
            agrees = chosen in [(one.runtime, one.precision, one.threads) for one in best] if best else chosen is None
            share = (made.seconds or 0.0) / everything
            say(
                f"  {'agrees' if agrees else 'DIFFERS'}: {' '.join(map(str, chosen or ('nothing',)))}, in"
                f" {made.seconds:.0f} s, {share:.2f} of the time: {made.verdict}"
            )
            failed += [] if agrees else [budget]
    if failed:
        raise CheckFailed(f"another choice: {'; '.join(failed)}")


def exhaustive_choice(records: Sequence[Any], limits: Limits) -> list[Runner]:
    """The fastest that keeps a budget, and those that may be as fast as it; empty where nothing keeps it. records: of
    everything, the newest of a cell last."""
    accuracies = {(one.runtime, one.precision): one for one in records if isinstance(one, Accuracy)}
    cells = {(r.runtime, r.precision, r.threads): r for r in records if isinstance(r, Latency) and r.measured}
    found = []
    for (runtime, precision, threads), record in cells.items():
        one = Runner(runtime, precision, threads or usable_cores(), final=record)
        missed = miss(one, record, limits, lambda *both: not figures.surely_keeps(*both))
        if not missed and (precision == FP32 or _holds(accuracies, one, limits)):
            found.append(one)
    found.sort(key=lambda one: one.pace)
    tied = []
    for one in found:
        assert one.final
        assert found[0].final
        ratio = figures.slower(one.final, found[0].final)
        if one is found[0] or ratio is None or ratio.sign <= 0:
            tied.append(one)
    return tied


def _holds(accuracies: Mapping[tuple[str, str], Accuracy], one: Runner, limits: Limits) -> bool:
    paddle, own = accuracies[REFERENCE, FP32], accuracies.get((one.runtime, one.precision))
    if own is None or own.status != "ok":
        return False
    standard = Predictions(paddle.outcomes or "")
    right = Fraction(standard.right, standard.images)
    return holds(Predictions(own.outcomes or ""), right, limits.top1.keep(right))


def _names(runners: Sequence[Runner]) -> str:
    return " = ".join(one.name for one in runners)


def _exhaustive(own: Sequence[str], judged: Sequence[str], count: int, folder: Path) -> float:
    """Measure everything; the seconds that it took. count: of the samples of a cell, at least."""
    file = folder / TIMES
    if file.exists():
        return float(json.loads(file.read_text())["seconds"])
    half = max(1, usable_cores() // 2)
    cells = [*own, "--batch", "1", "--threads", ",".join(map(str, dict.fromkeys((usable_cores(), half))))]
    images, calibration = judged[:2], judged[2:]
    value = dict(zip(own[::2], own[1::2], strict=True))
    words = [value["--model"], "--artifacts", value["--artifacts"], "--precision", "int8", *SMOOTHED, *calibration]
    words += ["--weights", value["--weights"]] if "--weights" in value else []
    _run("convert", *words)
    short = ("--processes", "1", "--min-seconds", "0.1", "--min-count", "1", "--max-seconds", "1", "--patience", "0")
    _run("runtimes.bench", *cells, *short, "--repeats", "0", "--fresh", "--out", str(folder.with_name("before")))
    began, chosen = time.monotonic(), select(value["--runtime"])
    able = {name: [one.name for one in chosen.able(name)] for name in precisions(value["--precision"])}
    minutes = str(_MINUTES_EACH * 2 * sum(map(len, able.values())))
    hard = (*_HARD, "--min-count", str(count), "--minutes", minutes)
    _run("runtimes.bench", *cells, *hard, "--fresh", "--out", str(folder))
    for name, runtimes in able.items():
        having = ",".join(dict.fromkeys([REFERENCE, *runtimes] if name == FP32 else runtimes))
        one = {**value, "--runtime": having, "--precision": name}
        words = [word for pair in one.items() for word in pair]
        _run("validate.accuracy", *words, *images, "--keep", "0.01", "--resume", "--out", str(folder))
    seconds = time.monotonic() - began
    write_json(file, {"seconds": seconds})
    return seconds


def _race(words: Sequence[str], folder: Path) -> Choice:
    """The race's record; one that is there already is taken."""
    made = [one for one in store.known(folder) if isinstance(one, Choice)]
    if not made:
        _run("validate.choice", *words, "--fresh", "--out", str(folder))
        made = [one for one in store.known(folder) if isinstance(one, Choice)]
    if not made:
        raise CheckFailed(f"{folder}: the race left no choice")
    return made[-1]


def _run(module: str, *words: str) -> None:
    """Run a command; what it says goes to standard error. A failed check is looked at by its records."""
    done = subprocess.run([sys.executable, "-m", module, *words], stdout=subprocess.DEVNULL, check=False)
    if done.returncode not in (0, 1):
        raise CheckFailed(f"{module} ended with exit status {done.returncode}")


if __name__ == "__main__":
    main(prog_name="python -m scripts.shipping")
