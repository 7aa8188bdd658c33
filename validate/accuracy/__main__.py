"""`python -m validate.accuracy`: the command line around the cells."""

from __future__ import annotations

import json
from pathlib import Path

import click

from convert import cli
from convert.artifact import Artifact
from convert.errors import CheckFailed, InputError
from runtimes import environment, registry
from runtimes.base import Runtime
from runtimes.bench import store
from runtimes.options import precisions, resume_option, run_options
from validate.accuracy.cells import REFERENCE, REFERENCE_PRECISION, Cell, Settings, compare, measure, stored
from validate.accuracy.console import Reporter
from validate.imagenet import LabelledSet, load_labelled
from validate.preprocess import UnreadableImage

_EPILOG = """\b
Example:
  python -m validate.accuracy --images ilsvrc2012/val_list.txt --model ViT_base_patch16_224 \\
      --runtime paddle,ort-cpu --limit 1000

Exit status: 0 every top-1 reaches 99 % of Paddle's (where Paddle ran), 1 one does not or a runtime failed, 2 the input
or the usage is wrong, or a runtime asked for by name is not available.
"""


@click.command(epilog=_EPILOG)
@click.option(
    "--images",
    metavar="LIST_OR_FOLDER",
    required=True,
    help="A list of `path label` lines (0-based), or a folder with val_list.txt.",
)
@cli.model_options
@run_options
@click.option("--batch", type=click.IntRange(min=1), default=8, show_default=True, help="Images in one inference.")
@click.option("--limit", type=click.IntRange(min=1), help="Only the first so many images of the list.")
@click.option(
    "--max-unreadable",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Go on without up to so many images that cannot be decoded; they leave the denominator.",
)
@resume_option
def main(
    models: str,
    weights: str | None,
    precision: str,
    root: Path,
    as_json: bool,
    images: str,
    chosen: str | None,
    batch: int,
    threads: int | None,
    limit: int | None,
    max_unreadable: int,
    out: Path | None,
    resume: bool,
) -> None:
    """Top-1 and top-5 of models on runtimes over a labelled set of images.

    Paddle runs first where it is among the runtimes; the others are held against it on the same images. Records of kind
    `accuracy` are appended to results.jsonl in the results folder as they are made.
    """
    report = Reporter()
    settings = Settings(images, weights, batch, threads, limit, max_unreadable)
    # The reference runs first, in its precision first: the others are held against it.
    runtimes = sorted(registry.select(chosen), key=lambda selected: selected.name != REFERENCE)
    asked = sorted(precisions(precision), key=lambda name: name != REFERENCE_PRECISION)
    _dataset(settings, None)  # a bad list is found before a long conversion
    folder = out or (store.newest_run() if resume else store.new_run())
    earlier = store.read(folder) if resume and (folder / store.RESULTS).exists() else []
    records = []
    try:
        for cell in _cells(models, root, runtimes, asked, settings, report):
            record = _answer(cell, settings, earlier, folder, report)
            earlier.append(record)
            records.append(record)
    finally:
        if records:
            report.table(records)
            report.say(f"records: {folder / store.RESULTS}")
    if as_json:
        click.echo(json.dumps({"records": records}, indent=2, ensure_ascii=False))
    _finish(records, named=chosen is not None)


def _dataset(settings: Settings, classes: int | None) -> LabelledSet:
    if not settings.images.strip():
        raise InputError("--images is empty; give a list of `path label` lines, or a folder with val_list.txt")
    return load_labelled(Path(settings.images), classes, settings.limit)


def _cells(
    models: str, root: Path, runtimes: list[Runtime], asked: list[str], settings: Settings, report: Reporter
) -> list[Cell]:
    """Every model, precision and runtime, in the order in which they run; models are converted where they must be."""
    artifacts: dict[tuple[str, str], tuple[str, Artifact]] = {}
    for precision in asked:
        for argument, artifact in cli.artifacts(models, settings.weights, precision, root).items():
            artifacts.setdefault((artifact.model, precision), (argument, artifact))
    datasets = {classes: _dataset(settings, classes) for classes in {a.classes for _, a in artifacts.values()}}
    for warning in dict.fromkeys(cli.drawn_weights_warning(artifact) for _, artifact in artifacts.values()):
        if warning:
            report.say(warning, style="bold red")
    return [
        Cell(artifact, argument, runtime, precision, datasets[artifact.classes])
        for model in dict.fromkeys(model for model, _ in artifacts)
        for precision in asked
        for argument, artifact in [artifacts[model, precision]]
        for runtime in runtimes
    ]


def _answer(
    cell: Cell, settings: Settings, earlier: list[store.Record], folder: Path, report: Reporter
) -> store.Record:
    """The cell's record: a new one, or one already stored, brought up to a newer reference. What is new is stored."""
    if known := stored(cell, settings, earlier):
        record = compare(known, earlier, cell, settings) if known["reference_top1"] is None else known
        report.say(f"{cell.title}: already in {folder}")
        if record != known:
            store.append(folder, record)
        return record

    def name_it(error: UnreadableImage) -> None:
        report.say(f"{cell.title}: left out: {error}", style="yellow")

    with report.progress(cell.title, len(cell.dataset.entries)) as on_progress:
        record = measure(cell, settings, earlier, on_progress, name_it)
    if record["status"] != "ok":
        report.say(f"{cell.title}: {record['status']}: {record['reason']}", style="bold red")
    environment.save(folder)
    store.append(folder, record)
    return record


def _finish(records: list[store.Record], named: bool) -> None:
    """End with the exit status that the records call for."""
    bad = [_verdict(record) for record in records if record["passed"] is False or record["status"] == "failed"]
    if bad:
        raise CheckFailed(f"accuracy: {'; '.join(bad[:3])}{f'; and {len(bad) - 3} more' if len(bad) > 3 else ''}")
    refused = [_verdict(record) for record in records if record["status"] == "refused"]
    if refused and (named or len(refused) == len(records)):
        raise InputError("; ".join(refused))


def _verdict(record: store.Record) -> str:
    title = f"{record['model']} {record['precision']} on {record['runtime']}"
    if record["status"] != "ok":
        return f"{title} {record['status']}: {record['reason']}"
    return f"{title} has top-1 {record['top1']:.4f}, below 99 % of {record['reference_top1']:.4f} on {REFERENCE}"


if __name__ == "__main__":
    main(prog_name="python -m validate.accuracy")
