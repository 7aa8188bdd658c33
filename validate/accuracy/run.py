"""From evaluations to records: which are there already, which go through the set together, and what comes of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil

from convert.common.console import say_log
from runtimes.records import store
from runtimes.records.kinds import Accuracy
from runtimes.system import environment
from validate.accuracy.cluster.nodes import machine, memory
from validate.accuracy.cluster.origin import attributed, strangers
from validate.accuracy.cluster.spread import Spread
from validate.accuracy.console import Reporter
from validate.accuracy.evaluation import FOLDER, Evaluation, Settings, blank, stored
from validate.accuracy.feeding import passes
from validate.accuracy.feeding.crop_cache import CropCache
from validate.accuracy.feeding.passes import Listener, Measurement
from validate.accuracy.top5_file import file_name
from validate.accuracy.verdict import compare, counted, doubted

# What a loaded model takes: the file, and once more as the runtime packs it, with room for what it does while loading;
# and the runtime itself.
MEMORY_PER_BYTE = 3
MEMORY_PER_PROCESS = 512 << 20


@dataclass(frozen=True)
class Storage:
    """Where results go and what is taken from earlier ones. cache: the folder of decoded images, None to keep none.

    together: evaluations in one pass at most; None takes as many as fit into memory.
    """

    folder: Path
    resume: bool = False
    cache: Path | None = None
    together: int | None = None


def measure(
    evaluations: Sequence[Evaluation],
    settings: Settings,
    storage: Storage,
    report: Reporter,
    spread: Spread | None = None,
) -> Iterator[Accuracy]:
    """Yield a record for each evaluation, in their order, stored as it is made.

    With `resume` an evaluation that has a good record is not run again; its record is held against a reference that
    came later. One that was interrupted goes on with the images that it lacks. spread: the nodes of a cluster that do
    it in place of this machine.
    """
    folder = storage.folder
    resumed = storage.resume and (folder / store.RESULTS).exists()
    earlier = [one for one in store.read(folder) if isinstance(one, Accuracy)] if resumed else []
    known = {id(one): found for one in evaluations if (found := stored(one, settings, earlier))}
    described = environment.describe()
    nodes = [place.node.environment for place in spread.nodes.places] if spread else []
    waiting = [_prepare(one, settings, storage, described) for one in evaluations if id(one) not in known]
    passes_left = list(together(waiting, storage.together, memory(spread.nodes.places) if spread else None))
    done: dict[int, Measurement] = {}
    for evaluation in evaluations:
        if record := known.get(id(evaluation)):
            report.say(f"{evaluation.title}: already in {folder}")
            if others := strangers(record, evaluation, folder, nodes or [described]):
                report.say(f"{evaluation.title}: answered on {'; '.join(others)}; --fresh measures anew")
            judged = record.reference_top1 is not None and record.keep == float(settings.bar)
            new = record if judged else compare(record, earlier, evaluation, settings)
            if new == record:
                yield record
                continue
        else:
            if id(evaluation) not in done:
                measurements = passes_left.pop(0)
                _go(measurements, settings, storage, report, spread)
                done |= {id(one.evaluation): one for one in measurements}
            environment.save(folder)
            images = _images(done[id(evaluation)], spread)
            new = _record(done[id(evaluation)], settings, earlier, spread)
            new = attributed(new, folder, images, [described, *nodes])
        store.append(folder, new)
        earlier.append(new)
        yield new


def together(
    measurements: Sequence[Measurement], limit: int | None, free: int | None = None
) -> Iterator[list[Measurement]]:
    """Cut the evaluations into passes of one batch size, in their order: as many in one as `limit` says, or as fit into
    memory. free: bytes of it; None looks here."""
    room = 0.8 * (psutil.virtual_memory().available if free is None else free)
    group: list[Measurement] = []
    taken = 0.0
    for one in measurements:
        size = sum(entry.bytes for entry in one.evaluation.artifact.manifest.files.values())
        needed = MEMORY_PER_BYTE * size + MEMORY_PER_PROCESS
        full = len(group) >= limit if limit else taken + needed > room
        if group and (full or one.evaluation.batch != group[0].evaluation.batch):
            yield group
            group, taken = [], 0.0
        group.append(one)
        taken += needed
    if group:
        yield group


def _prepare(evaluation: Evaluation, settings: Settings, storage: Storage, described: Mapping[str, Any]) -> Measurement:
    key = evaluation.key(settings)
    name = file_name(evaluation.artifact.model, evaluation.precision, evaluation.runtime.name, key)
    machine = environment.answering(described, evaluation.options.thread_count())
    return Measurement(evaluation, storage.folder / FOLDER / name, key, storage.resume, machine=machine)


def _go(
    measurements: list[Measurement], settings: Settings, storage: Storage, report: Reporter, spread: Spread | None
) -> None:
    dataset = measurements[0].evaluation.dataset

    def opened(one: Measurement) -> None:
        if earlier := int(one.known.sum()):
            count = f"{earlier} of {len(dataset.labels)} images are already in {storage.folder}"
            report.say(f"{one.evaluation.title}: {count}")

    def ended(one: Measurement, log: str) -> None:
        report.say(f"{one.evaluation.title}: {one.status}: {one.reason}", style="bold red")
        say_log(log)

    used = {one.preprocessing for one in measurements}
    caches = {one: CropCache(storage.cache, one) for one in used} if storage.cache else {}
    titles = [one.evaluation.title for one in measurements]
    with report.progress(titles, len(dataset.labels)) as progress:
        listener = Listener(
            opened=opened,
            progress=lambda one: progress(one.evaluation.title, one.done),
            unreadable=lambda error: report.say(f"left out: {error}", style="yellow"),
            ended=ended,
        )
        if spread:
            spread.go(measurements, listener)
        else:
            passes.go(measurements, settings.max_unreadable, caches, listener)


def _images(measurement: Measurement, spread: Spread | None) -> dict[str, int]:
    """How many images each machine answered; where it ended early, none on each that it was asked of."""
    if measurement.status == "ok":
        return measurement.ranked.shares() if measurement.ranked else {}
    nodes = [machine(place.node, measurement.evaluation) for place in spread.nodes.places] if spread else []
    return dict.fromkeys(nodes or filter(None, [measurement.machine]), 0)


def _record(measurement: Measurement, settings: Settings, earlier: list[Accuracy], spread: Spread | None) -> Accuracy:
    evaluation = measurement.evaluation
    record = replace(
        blank(evaluation, settings),
        effective=measurement.effective,
        status=measurement.status,
        reason=measurement.reason,
    )
    if spread:
        record = replace(record, threads=spread.nodes.threads(evaluation))
    if measurement.status != "ok" or measurement.ranked is None:
        return record
    outcomes = measurement.ranked.outcomes(evaluation.dataset.labels)
    names = [evaluation.dataset.names[position] for position in sorted(measurement.unreadable)]
    record = doubted(evaluation, counted(evaluation, record, outcomes, names), measurement.ranked.top[:, 0])
    record = replace(record, ranked=f"{FOLDER}/{measurement.file.name}" if measurement.file and record.images else None)
    return compare(record, earlier, evaluation, settings)
