"""`python -m validate.accuracy`: the command line around the evaluations."""

from __future__ import annotations

from pathlib import Path

import click

from convert import cli
from convert.artifact import Artifact
from convert.common.boundary import BoundedCommand, results_in
from convert.common.console import say_json
from convert.common.disk.folders import FolderToWrite
from convert.common.errors import CheckFailed, InputError
from convert.datasets.options import SetOptions, set_options
from convert.model_options import ModelOptions
from convert.precision.table import INT8
from runtimes.options import Selection, fresh_option, precisions, resume_option, session_options
from runtimes.records import store
from runtimes.records.kinds import Accuracy
from runtimes.records.reading import to_table
from validate.accuracy import calibration_overlap, run, tables
from validate.accuracy.console import Reporter
from validate.accuracy.dataset import classes_of, load_for
from validate.accuracy.evaluation import KEEP, REFERENCE, REFERENCE_PRECISION, Evaluation, Settings, make
from validate.accuracy.verdict import below

_EPILOG = """\b
Examples:
  python -m validate.accuracy --images ilsvrc2012/val_list.txt \\
      --model ViT_base_patch16_224 --runtime paddle,ort-cpu --limit 1000
  python -m validate.accuracy --images photos/ --preprocessing imagenet

Exit status: 0 every top-1 reaches 99 % of Paddle's (where Paddle ran, and above chance level), 1 one does not or a
runtime failed, 2 the input or the usage is wrong, or a runtime asked for by name is not available.
"""


@click.command(cls=BoundedCommand, epilog=_EPILOG)
@set_options
@cli.model_options
@session_options
@click.option("--batch", type=click.IntRange(min=1), default=8, show_default=True, help="Images in one inference.")
@click.option(
    "--max-unreadable",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Go on without up to so many images that cannot be decoded; they leave the denominator.",
)
@click.option("--keep", default=KEEP, show_default=True, help="The part of FP32's top-1 that must be reached.")
@click.option(
    "--cache-images",
    "cache_images",
    type=FolderToWrite(),
    help="Keep the decoded images in this folder: the next run on the same set need not decode them.",
)
@click.option(
    "--together",
    type=click.IntRange(min=1),
    help="Models and runtimes in one pass over the images. [default: as many as fit into memory]",
)
@resume_option
@fresh_option
def main(
    models: str,
    chosen: ModelOptions,
    precision: str,
    root: Path,
    as_json: bool,
    selection: Selection,
    labelled: SetOptions,
    batch: int,
    max_unreadable: int,
    keep: str,
    cache_images: Path | None,
    together: int | None,
    out: Path | None,
    resume: bool,
    fresh: bool,
) -> None:
    """Top-1 and top-5 of models on runtimes over a labelled set of images.

    Each image is decoded once for all of them; each model on a runtime has a process of its own, and they take turns.
    Paddle is the reference that the others are held against on the same images. What an image is taken for is stored as
    it comes, and `--resume` goes on after a kill. Records of kind `accuracy` are appended to results.jsonl in the
    results folder; the classes, their confusion and the images on which runtimes disagree are CSV files beside it.
    """
    report = Reporter()
    settings = Settings(selection, labelled, chosen, batch, max_unreadable, keep)
    _ = settings.bar  # what is wrong is found before a long conversion, the list of images with it
    labelled.load(None)
    folder = out or (store.newest_run() if resume else store.new_run())
    click.get_current_context().with_resource(store.alone(folder))
    store.refuse_unfinished(folder, "accuracy", resume, fresh)
    results_in(folder)
    evaluations = _evaluations(models, root, precision, settings, report)
    storage = run.Storage(folder, resume, cache_images, together)
    records: list[Accuracy] = []
    try:
        with store.until_finished(folder, "accuracy"):
            for record in run.measure(evaluations, settings, storage, report):
                records.append(record)
    finally:
        if records:
            report.table(records)
            report.say(f"records: {folder / store.RESULTS}")
            for line in tables.write_all(evaluations[: len(records)], records, folder):
                report.say(line)
    if as_json:
        say_json({"records": [to_table(record) for record in records]})
    _finish(records, named=selection.named)


def _evaluations(models: str, root: Path, precision: str, settings: Settings, report: Reporter) -> list[Evaluation]:
    """Every model, precision and runtime, in the order of their records; models are converted where they must be.

    The reference comes first, in its precision first: the others are held against it.
    """
    selection = sorted(precisions(precision), key=lambda name: name != REFERENCE_PRECISION)
    artifacts: dict[tuple[str, str], tuple[str, Artifact]] = {}
    for name in selection:
        if not settings.selection.having(name):
            raise InputError(f"--precision {name}: no runtime here has it; `python -m runtimes` shows which do")
        for argument, artifact in cli.artifacts(models, settings.chosen, name, root).items():
            cli.batches(artifact, (settings.batch,), cli.named("batch"))
            artifacts.setdefault((artifact.model, name), (argument, artifact))
    datasets = {}
    for _, artifact in artifacts.values():
        if classes_of(artifact) not in datasets:
            datasets[classes_of(artifact)] = load_for(artifact, settings, report)
    calibration_overlap.refuse((artifact for _, artifact in artifacts.values()), next(iter(datasets.values())))
    evaluations = [
        make(artifact, argument, runtime, name, datasets[classes_of(artifact)], settings)
        for model in dict.fromkeys(model for model, _ in artifacts)
        for name in selection
        for argument, artifact in [artifacts[model, name]]
        for runtime in sorted(settings.selection.having(name, artifact), key=lambda one: one.name != REFERENCE)
    ]
    warnings = [cli.drawn_weights_warning(artifact) for _, artifact in artifacts.values()]
    for note in dict.fromkeys(note for dataset in datasets.values() for note in dataset.notes):
        report.say(f"--images {settings.labelled.images}: {note}")
    for warning in dict.fromkeys(filter(None, warnings)):
        report.say(warning, style="bold red")
    return evaluations


def _finish(records: list[Accuracy], named: bool) -> None:
    """End with the exit status that the records call for."""
    bad = [_verdict(record) for record in records if record.passed is False or record.status == "failed"]
    if bad:
        raise CheckFailed(f"accuracy: {'; '.join(bad[:3])}{f'; and {len(bad) - 3} more' if len(bad) > 3 else ''}")
    refused = [_verdict(record) for record in records if record.status == "refused"]
    if refused and (named or len(refused) == len(records)):
        raise InputError("; ".join(refused))


def _verdict(record: Accuracy) -> str:
    title = f"{record.model} {record.precision} on {record.runtime}"
    if record.status != "ok":
        return f"{title} {record.status}: {record.reason}"
    advice = "; python -m validate.search finds what to keep in FP32" if record.precision == INT8 else ""
    return f"{title} {below(record)}{advice}"


if __name__ == "__main__":
    main(prog_name="python -m validate.accuracy")
