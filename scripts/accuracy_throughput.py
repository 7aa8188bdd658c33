"""How busy `python -m validate.accuracy` keeps the runtime, as ratios; and whether its memory grows with the images.

    python scripts/accuracy_throughput.py --images photos/val_list.txt --model ViT_base_patch16_224 --runtime ort-cpu

Rate: images per second of the accuracy run, from its first answer to its last, over those of a bare loop of the bench
on tensors in memory; same runtime, batch and threads, in turn, each round with the other one first. A set that is too
small goes round. Memory: the most that the command and its worker have resident together, for N images and for 4 N.
"""

from __future__ import annotations

import statistics
import tempfile
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
import psutil
from rich.table import Table

from convert import cli
from convert.artifact import Artifact
from convert.common.errors import CheckFailed
from runtimes.base import Runtime
from runtimes.bench.schedule.executor import Local
from runtimes.bench.worker.job import Effort, Job
from runtimes.options import Asked, session_options
from validate.accuracy import passes
from validate.accuracy.cells import Cell, Settings, make
from validate.accuracy.crops import CropCache
from validate.accuracy.passes import Listener, Run
from validate.datasets import LabelledSet, load
from validate.datasets.options import dataset_options

_SAMPLE_S = 0.02  # between two looks at the memory


@dataclass(frozen=True)
class Measured:
    """Images per second from the first answer to the last, and the most resident bytes of all processes together.

    resident: 0 where nobody looked. Looking takes a good part of a core, so a rate is measured without.
    """

    images_per_s: float
    resident: int


def repeated(dataset: LabelledSet, count: int) -> LabelledSet:
    """`count` images, the set again from its start where it ends."""
    own = len(dataset.labels)
    places = [index % own for index in range(count)]
    return replace(
        dataset,
        labels=tuple(dataset.labels[i] for i in places),
        names=tuple(dataset.names[i] for i in places),
        read=lambda index: dataset.read(places[index]),
        listed=count,
    )


def accuracy(cell: Cell, settings: Settings, cache: Path | None, watched: bool = False) -> Measured:
    """One pass of the accuracy command over the cell's set."""
    moments: list[tuple[float, int]] = []
    most = 0
    over = threading.Event()

    def watch() -> None:
        nonlocal most
        own = psutil.Process()
        while not over.wait(_SAMPLE_S):
            most = max(most, resident(own))

    with tempfile.TemporaryDirectory(prefix="vitbench-") as folder:
        count = len(cell.dataset.labels)
        file = Path(folder, "answers.top5")
        run = Run(cell, file, cell.key(settings))
        used = cell.preprocessing.used
        caches = {used: CropCache(cache, "throughput", count, used)} if cache else {}
        listener = Listener(progress=lambda run: moments.append((time.perf_counter(), run.done)))
        watcher = threading.Thread(target=watch)
        if watched:
            watcher.start()
        try:
            passes.go([run], settings.max_unreadable, caches, listener)
        finally:
            over.set()
            if watched:
                watcher.join()
            for one in caches.values():
                one.close()
    if run.status != "ok":
        raise click.ClickException(f"{cell.title} {run.status}: {run.reason}")
    (start, before), (end, after) = moments[0], moments[-1]
    return Measured((after - before) / (end - start), most)


def resident(process: psutil.Process) -> int:
    """Resident bytes of a process and those that it started; memory that they share counts in each."""
    total = 0
    for one in [process, *process.children(recursive=True)]:
        try:
            total += one.memory_info().rss
        except psutil.Error:
            continue  # it has just ended
    return total


def bare(cell: Cell, seconds: float) -> float:
    """Images per second of the bench's loop on tensors in memory."""
    effort = Effort(min_s=seconds, max_s=10 * seconds)
    job = Job(str(cell.artifact.path), cell.runtime.name, cell.batch, cell.options, effort=effort)
    (outcome,) = Local(probe=None).run([job])
    if outcome.numbers is None:
        raise CheckFailed(f"{cell.runtime.name}: {outcome.failure}")
    samples = outcome.numbers["samples_ms"]
    return 1e3 * cell.batch * len(samples) / sum(samples)


@click.command(help=__doc__)
@dataset_options
@cli.model_options
@session_options
@click.option("--batch", type=click.IntRange(min=1), default=8, show_default=True, help="Images in one inference.")
@click.option("--count", type=click.IntRange(min=32), default=1000, show_default=True, help="Images in a pass.")
@click.option("--rounds", type=click.IntRange(min=1), default=5, show_default=True, help="Of each, in turn.")
@click.option("--cache-images", "cached", is_flag=True, help="Take the images of every pass from the cache.")
def main(
    models: str,
    weights: str | None,
    precision: str,
    root: Path,
    asked: Asked,
    images: Path,
    ground_truth: Path | None,
    synsets: Path | None,
    images_root: Path | None,
    limit: int | None,
    batch: int,
    count: int,
    rounds: int,
    cached: bool,
    **_: Any,
) -> None:
    dataset = load(images, None, limit, ground_truth=ground_truth, synsets=synsets, root=images_root)
    settings = Settings(asked, {"images": images}, weights, batch, max_unreadable=count)
    rates = Table(
        "model", "runtime", "batch", "bare, images/s", "accuracy, images/s", "accuracy / bare", "of each round"
    )
    memory = Table("model", "runtime", "images", "resident, MB")

    def cell(artifact: Artifact, argument: str, runtime: Runtime, size: int) -> Cell:
        return make(artifact, argument, runtime, precision, repeated(dataset, size), settings)

    with tempfile.TemporaryDirectory(prefix="vitbench-") as folder:
        cache = Path(folder) if cached else None
        for argument, artifact in cli.artifacts(models, weights, precision, root).items():
            for runtime in asked.having(precision):
                whole = cell(artifact, argument, runtime, count)
                quarter = cell(artifact, argument, runtime, count // 4)
                small = accuracy(quarter, settings, cache, watched=True)  # warms up what is read from disk, too
                large = accuracy(whole, settings, cache, watched=True)
                for one, found in ((quarter, small), (whole, large)):
                    number = len(one.dataset.labels)
                    memory.add_row(artifact.model, runtime.name, str(number), f"{found.resident / 1e6:.0f}")
                pairs = [_pair(whole, settings, cache, count / large.images_per_s, number) for number in range(rounds)]
                rates.add_row(artifact.model, runtime.name, str(whole.batch), *_summary(pairs))
    console = cli.console(stderr=False)
    console.print(rates)
    console.print(memory)


def _pair(cell: Cell, settings: Settings, cache: Path | None, seconds: float, number: int) -> tuple[float, float]:
    """Bare and accuracy, in images per second."""
    cli.say(f"{cell.title}: round {number + 1}")
    if number % 2:
        found = accuracy(cell, settings, cache).images_per_s
        return bare(cell, seconds), found
    return bare(cell, seconds), accuracy(cell, settings, cache).images_per_s


def _summary(pairs: list[tuple[float, float]]) -> list[str]:
    ratios = [ours / theirs for theirs, ours in pairs]
    medians = [statistics.median(column) for column in zip(*pairs, strict=True)]
    each = ", ".join(f"{ratio:.3f}" for ratio in ratios)
    return [*(f"{median:.1f}" for median in medians), f"{statistics.median(ratios):.3f}", each]


if __name__ == "__main__":
    main()
