"""`python -m validate.choice`: what to ship within a budget."""

from __future__ import annotations

import functools
from pathlib import Path

import click

from convert import cli
from convert.common.boundary import BoundedCommand, results_in
from convert.common.console import print_table, printer, say, say_json
from convert.common.errors import CheckFailed, InputError
from convert.common.errors import told as in_words
from convert.datasets.options import SetOptions, set_options
from convert.model_options import ModelOptions
from convert.models import find_all
from runtimes.options import fresh_option, numbers, resume_option, session_flags, smooth_option
from runtimes.records import store
from runtimes.records.reading import to_table
from validate.choice import told
from validate.choice.budget import LATENCY, OBJECTIVES, parse
from validate.choice.candidates import Question
from validate.choice.run import MINUTES, PRECISIONS, ChoiceMade, choose
from validate.choice.runner import kind

_EPILOG = """\b
Examples:
  python -m validate.choice --model ViT_base_patch16_224 \\
      --images ilsvrc2012/val_list.txt \\
      --calibration ilsvrc2012/train_list.txt \\
      --budget "p99<50ms, top1>=-0.5, memory<1GB"
  python -m validate.choice --objective throughput --budget "images/s>=100"
  python -m validate.choice --objective cost --price 1.2 --budget "cost<=0.5"

Exit status: 0 something meets the budget; 1 nothing does, and the nearest is named; 2 the input or the usage is wrong.
"""
_THREADS = click.option("--threads", help="Threads inside one operator, comma-separated.  [default: every core, half]")


@click.command(cls=BoundedCommand, epilog=_EPILOG)
@click.option(
    "--budget",
    default="",
    metavar="LIMITS",
    help="Comma-separated: p50, p90, p95, p99 (p99<50ms), memory (memory<1GB), top1 in points below Paddle's FP32"
    " (top1>=-0.5) or as a part of it (top1>=99%, which holds without one), images/s (images/s>=100), cost in"
    " euros per million images (cost<=0.5).",
)
@click.option(
    "--objective", type=click.Choice(OBJECTIVES), default=LATENCY, show_default=True, help="What is the best."
)
@click.option("--price", type=float, metavar="EUROS_PER_HOUR", help="Of this machine, for --objective cost.")
@functools.partial(set_options, required=False)
@click.option(
    "--calibration",
    type=click.Path(path_type=Path),
    help="Images to calibrate int8 on, none of them among --images. [default: as the artifact that is there]",
)
@smooth_option
@functools.partial(cli.model_options, precision=",".join(PRECISIONS))
@functools.partial(session_flags, threads=_THREADS)
@click.option(
    "--minutes",
    type=click.FloatRange(min=0),
    default=MINUTES,
    show_default=True,
    help="Of the whole race; what it cost is said. 0: no end.",
)
@resume_option
@fresh_option
def main(
    models: str,
    chosen: ModelOptions,
    precision: str,
    root: Path,
    as_json: bool,
    budget: str,
    objective: str,
    price: float | None,
    labelled: SetOptions | None,
    calibration: Path | None,
    strengths: tuple[float, ...] | None,
    named: str | None,
    device: str | None,
    threads: str | None,
    streams: int | None,
    cache: Path | None,
    pairs: tuple[str, ...],
    minutes: float,
    out: Path | None,
    resume: bool,
    fresh: bool,
) -> None:
    """Choose what to ship within a budget: the runtime, the precision and the threads, and prove it.

    Each runtime in each precision takes part, with every core and with half of them, int8 smoothed and not. Who misses
    the budget or is beaten falls early, accuracies are measured only of those that are still in the race, and the last
    of them are measured side by side until the budget's percentile is carried. A budget is kept where a new measurement
    keeps it too.

    The results folder gets a record of kind `choice` with all who took part and why they fell, a folder to ship in
    shipped/, the chosen cell in gate/ as a base for `compare`, and hpi_config.yaml for PaddleX.
    """
    parse(budget, objective, price)  # what is wrong is found before a model is looked for
    if len(names := find_all(models)) != 1:
        raise InputError(f"--model {models}: one model at a time")
    counts = tuple(numbers("--threads", threads)) if threads else None
    folder = out or (store.newest_run() if resume else store.new_run())
    question = Question(
        *(names[0], chosen, precision, root, objective, named, device),
        *(counts, streams, cache, pairs, calibration, strengths, price),
    )
    results_in(folder)
    _tell(folder, choose(question, budget, labelled, minutes, folder, resume=resume, fresh=fresh), as_json)


def _tell(folder: Path, found: ChoiceMade, as_json: bool) -> None:
    made = found.record
    print_table(printer(), told.table(made), told.SENTENCES)
    for line in [*made.limited, *made.proof, *found.lines, f"records: {folder / store.RESULTS}"]:
        say(line)
    if as_json:
        say_json({"choice": to_table(made)})
    if made.status != "ok":
        raise CheckFailed(made.reason or "nothing meets the budget")
    if not as_json:
        name = kind(str(made.runtime), str(made.precision), made.smooth)
        click.echo(in_words(f"ship {name}, threads {made.threads}: {made.verdict}"))


if __name__ == "__main__":
    main(prog_name="python -m validate.choice")
