"""`python -m runtimes.bench`: latency of models on runtimes, each cell in a process of its own."""

from __future__ import annotations

import json
from pathlib import Path

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

from convert import cli
from convert.errors import CheckFailed
from runtimes import environment
from runtimes.asked import Asked, resume_option, session_options
from runtimes.bench import run, store
from runtimes.bench.cell import Effort
from runtimes.bench.store import Record
from runtimes.values import numbers, precisions


@click.command()
@cli.model_options
@session_options
@click.option("--batch", default="1,4,8", show_default=True, help="Batch sizes, comma-separated.")
@click.option(
    "--min-seconds",
    type=click.FloatRange(min=0),
    default=Effort.min_s,
    show_default=True,
    help="Measure a cell at least so long.",
)
@click.option(
    "--min-count",
    type=click.IntRange(min=1),
    default=Effort.min_count,
    show_default=True,
    help="... and at least so many inferences.",
)
@resume_option
def main(
    models: str,
    weights: str | None,
    precision: str,
    root: Path,
    as_json: bool,
    asked: Asked,
    batch: str,
    min_seconds: float,
    min_count: int,
    out: Path | None,
    resume: bool,
) -> None:
    """Measure latency: wall-clock time from images in memory to logits in memory, one request at a time.

    Parity is checked first, and a cell that fails it is refused. One record of kind `latency` per cell, with its raw
    samples, is appended to results.jsonl in the results folder. One measured while other processes took more than a
    tenth of the processor is flagged unstable. Exit status 1 when a cell was refused or failed.

    \b
    python -m runtimes.bench --model ViT_base_patch32_384 --runtime ort-cpu,openvino --batch 1,8
    """
    batches, names = numbers("--batch", batch), precisions(precision)
    folder = out or (store.newest_run() if resume else store.new_run())
    effort = Effort(min_s=min_seconds, min_count=min_count)
    matrices = [
        run.Matrix(cli.artifacts(models, weights, name, root), name, asked, batches, weights, root, effort)
        for name in names
    ]
    environment.save(folder)
    made = _measure(matrices, folder, resume)
    cli.say(f"records: {folder / store.RESULTS}")
    if as_json:
        click.echo(json.dumps({"records": made}, indent=2, ensure_ascii=False))
    bad = [f"{_name(r)} {r['status']}: {r['reason']}" for r in made if r["status"] not in ("ok", "unstable")]
    if bad:
        raise CheckFailed(f"{len(bad)} of {len(made)} cells have no numbers: {bad[0]}")


def _measure(matrices: list[run.Matrix], folder: Path, resume: bool) -> list[Record]:
    made: list[Record] = []
    console = cli.console()
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=sum(matrix.cells for matrix in matrices))

        def starting(text: str) -> None:
            progress.update(task, description=text)
            if not console.is_terminal:
                cli.say(text)

        for matrix in matrices:
            for record in run.run(matrix, folder, resume, starting):
                made.append(record)
                progress.advance(task)
                console.print(f"{_name(record)}: {_outcome(record)}", highlight=False, markup=False, soft_wrap=True)
    return made


def _name(record: Record) -> str:
    return f"{record['model']} {record['precision']} on {record['runtime']}, batch {record['batch']}"


def _outcome(record: Record) -> str:
    trouble = "" if record["status"] == "ok" else f"{record['status']}: {record['reason']}"
    if record["median_ms"] is None:
        return trouble
    interval = "[{:.1f}, {:.1f}]".format(*record["ci95_ms"]) if record["ci95_ms"] else "(too few for an interval)"
    return f"median {record['median_ms']:.1f} ms {interval}, {record['count']} samples{trouble and ', '}{trouble}"


if __name__ == "__main__":
    main(prog_name="python -m runtimes.bench")
