"""`python -m validate.accuracy`: the command line around the evaluations."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from convert import cli
from convert.cli import Asked
from convert.common.boundary import BoundedCommand, results_in
from convert.common.console import say_json
from convert.common.disk.folders import FolderToWrite
from convert.common.errors import InputError
from convert.datasets.options import SetOptions, set_options
from convert.model_options import ModelOptions
from runtimes.cluster import connect
from runtimes.options import fresh_option, precisions, resume_option, select, session_flags
from runtimes.records import store
from runtimes.records.reading import to_table
from validate.accuracy.cluster.nodes import ClusterNodes, joined
from validate.accuracy.cluster.spread import Spread
from validate.accuracy.console import Reporter
from validate.accuracy.evaluate import conclude, evaluate, possible, prepare
from validate.accuracy.evaluation import KEEP, Settings
from validate.accuracy.run import Storage

_EPILOG = """\b
Examples:
  python -m validate.accuracy --images ilsvrc2012/val_list.txt \\
      --model ViT_base_patch16_224 --runtime paddle,ort-cpu --limit 1000
  python -m validate.accuracy --images photos/ --preprocessing imagenet
  python -m validate.accuracy --images photos/ --cluster 10.0.0.1:6379

Exit status: 0 every top-1 reaches 99 % of Paddle's (where Paddle ran, and above chance level), 1 one does not or a
runtime failed, 2 the input or the usage is wrong, or a runtime asked for by name is not available. One that misses the
bar by no more than chance explains on these images is neither: "cannot tell", 0, and 3 with --fail-unknown.
"""


@click.command(cls=BoundedCommand, epilog=_EPILOG)
@set_options
@cli.model_options
@session_flags
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
    "--fail-unknown",
    is_flag=True,
    help="Exit status 3 where it cannot be told whether the part is reached; without it 0.",
)
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
@click.option(
    connect.CLUSTER,
    "address",
    help="Spread the images over the machines of a Ray cluster: auto (the one that runs here) or the HOST:PORT of its"
    " head. [default: this machine does all]",
)
@resume_option
@fresh_option
def main(
    models: str,
    chosen: ModelOptions,
    precision: str,
    root: Path,
    as_json: bool,
    labelled: SetOptions,
    batch: int,
    max_unreadable: int,
    keep: str,
    fail_unknown: bool,
    cache_images: Path | None,
    together: int | None,
    address: str | None,
    out: Path | None,
    resume: bool,
    fresh: bool,
    **session: Any,
) -> None:
    """Top-1 and top-5 of models on runtimes over a labelled set of images.

    Each image is decoded once for all of them; each model on a runtime has a process of its own, and they take turns.
    Paddle is the reference that the others are held against on the same images. What an image is taken for is stored as
    it comes, and `--resume` goes on after a kill. Records of kind `accuracy` are appended to results.jsonl in the
    results folder; the classes, their confusion and the images on which runtimes disagree are CSV files beside it.
    """
    report = Reporter()
    nodes = _nodes(address, {"--cache": session["cache"], "--cache-images": cache_images}, report)
    selection = select(**session, available=nodes.available if nodes else None)
    settings = Settings(selection, labelled, batch, max_unreadable, keep, cluster=nodes is not None)
    _ = settings.bar  # what is wrong is found before a long conversion, the list of images with it
    labelled.load(None)
    folder = out or (store.newest_run() if resume else store.new_run())
    with store.alone(folder):
        store.refuse_unfinished(folder, "accuracy", resume, fresh)
        results_in(folder)
        asked = _asked(models, chosen, precision, root, settings, report)
        evaluations = prepare(asked, settings, cli.named("batch"), report)
        spread = None
        if nodes:
            evaluations = nodes.versions(evaluations)
            spread = Spread(nodes, settings, report.say)
        records = evaluate(evaluations, settings, Storage(folder, resume, cache_images, together), report, spread)
    if as_json:
        say_json({"records": [to_table(record) for record in records]})
    conclude(records, selection.named, fail_unknown, report)


def _nodes(address: str | None, folders: Mapping[str, Path | None], report: Reporter) -> ClusterNodes | None:
    """The nodes of a cluster, ours until the command ends. folders: options that name one of this machine."""
    if address is None:
        return None
    for option, folder in folders.items():
        if folder:
            raise InputError(f"{option} beside {connect.CLUSTER}: it is a folder of this machine, and others compute")
    return click.get_current_context().with_resource(joined(address, report.say))


def _asked(
    models: str, chosen: ModelOptions, precision: str, root: Path, settings: Settings, report: Reporter
) -> list[tuple[str, Asked]]:
    """Precisions and artifacts; models are converted where they must be."""
    found = []
    for name in possible(precisions(precision), settings, report):
        for argument, artifact in cli.artifacts(models, chosen, name, root).items():
            cli.batches(artifact, (settings.batch,), cli.named("batch"))  # before the next one is converted
            found.append((name, Asked(argument, chosen, artifact)))
    return found


if __name__ == "__main__":
    main(prog_name="python -m validate.accuracy")
