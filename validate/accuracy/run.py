"""From cells to records: what is already there, which cells go through the set together, and the files beside them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from convert.families.spec import Preprocessing
from runtimes.records import store
from runtimes.records.store import Record
from runtimes.system import environment
from validate.accuracy import passes
from validate.accuracy.cells import FOLDER, Cell, Settings, blank, images_key, stored
from validate.accuracy.console import Reporter
from validate.accuracy.crops import CropCache
from validate.accuracy.passes import Listener, Run
from validate.accuracy.ranked import file_name
from validate.accuracy.verdict import compare, counted

# What a loaded model takes: the file, and once more as the runtime packs it, with room for what it does while loading;
# and the runtime itself.
MEMORY_PER_BYTE = 3
MEMORY_PER_PROCESS = 512 << 20


@dataclass(frozen=True)
class Place:
    """Where results go and what is taken from earlier ones. cache: the folder of decoded images, None to keep none.

    together: cells in one pass at most; None takes as many as fit into memory.
    """

    folder: Path
    resume: bool = False
    cache: Path | None = None
    together: int | None = None


def measure(cells: Sequence[Cell], settings: Settings, place: Place, report: Reporter) -> Iterator[Record]:
    """Yield a record for each cell, in their order, stored as it is made.

    With `resume` a cell that has a good record is not run again; its record is held against a reference that came
    later. One that was interrupted goes on with the images that it lacks.
    """
    folder = place.folder
    earlier = store.read(folder) if place.resume and (folder / store.RESULTS).exists() else []
    known = {id(cell): found for cell in cells if (found := stored(cell, settings, earlier))}
    runs = [_prepare(cell, settings, place) for cell in cells if id(cell) not in known]
    packs = list(together(runs, place.together))
    done: dict[int, Run] = {}
    for cell in cells:
        if record := known.get(id(cell)):
            report.say(f"{cell.title}: already in {folder}")
            new = compare(record, earlier, cell, settings) if record["reference_top1"] is None else record
            if new == record:
                yield record
                continue
        else:
            if id(cell) not in done:
                pack = packs.pop(0)
                _go(pack, settings, place, report)
                done |= {id(run.cell): run for run in pack}
            new = _record(done[id(cell)], settings, folder, earlier)
        environment.save(folder)
        store.append(folder, new)
        earlier.append(new)
        yield new


def together(runs: Sequence[Run], limit: int | None) -> Iterator[list[Run]]:
    """Cut the cells into passes, in their order: as many in one as `limit` says, or as fit into memory."""
    room = 0.8 * psutil.virtual_memory().available
    pack: list[Run] = []
    taken = 0.0
    for run in runs:
        size = sum(entry.bytes for entry in run.cell.artifact.manifest.files.values())
        needed = MEMORY_PER_BYTE * size + MEMORY_PER_PROCESS
        if pack and (len(pack) >= limit if limit else taken + needed > room):
            yield pack
            pack, taken = [], 0.0
        pack.append(run)
        taken += needed
    if pack:
        yield pack


def _prepare(cell: Cell, settings: Settings, place: Place) -> Run:
    key = cell.key(settings)
    name = file_name(cell.artifact.model, cell.precision, cell.runtime.name, key)
    return Run(cell, place.folder / FOLDER / name, key, place.resume)


def _go(pack: list[Run], settings: Settings, place: Place, report: Reporter) -> None:
    dataset = pack[0].cell.dataset

    def opened(run: Run) -> None:
        if earlier := int(run.known.sum()):
            report.say(f"{run.cell.title}: {earlier} of {len(dataset.labels)} images are already in {place.folder}")

    def ended(run: Run, log: str) -> None:
        report.say(f"{run.cell.title}: {run.status}: {run.reason}", style="bold red")
        if log:
            report.say(log)

    caches: dict[Preprocessing, CropCache] = {}
    try:
        if place.cache:
            for one in {run.preprocessing for run in pack}:
                caches[one] = CropCache(place.cache, images_key(dataset), len(dataset.labels), one)
        with report.progress([run.cell.title for run in pack], len(dataset.labels)) as progress:
            listener = Listener(
                opened=opened,
                progress=lambda run: progress(run.cell.title, run.done),
                unreadable=lambda error: report.say(f"left out: {error}", style="yellow"),
                ended=ended,
            )
            passes.go(pack, settings.max_unreadable, caches, listener)
    finally:
        for cache in caches.values():
            cache.close()


def _record(run: Run, settings: Settings, folder: Path, earlier: list[Record]) -> Record:
    cell = run.cell
    record = blank(cell, settings) | {"effective": run.effective, "status": run.status, "reason": run.reason}
    if run.status != "ok" or run.ranked is None:
        return record
    outcomes = run.ranked.outcomes(cell.dataset.labels)
    names = [cell.dataset.names[position] for position in sorted(run.unreadable)]
    record = counted(cell, record, outcomes, names)
    record["ranked"] = f"{FOLDER}/{run.file.name}" if record["images"] else None
    return compare(record, earlier, cell, settings)
