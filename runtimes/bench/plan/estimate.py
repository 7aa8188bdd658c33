"""What a plan will take, before anything runs: time, memory and disk; and what does not fit and so is left out.

Times are those of an earlier record of the same cell where there is one, else they come from multiply-accumulates and
the rates below: right within a factor of two or so on an x86 server, and of ten on a GPU.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence
from pathlib import Path

from convert.artifact import Artifact
from convert.common.errors import InputError
from runtimes.base import usable_cores
from runtimes.bench.describe import GIB
from runtimes.bench.plan.matrix import Cell, key
from runtimes.bench.plan.plan import CellCost, Plan, PlanEstimate
from runtimes.bench.plan.settings import Policy
from runtimes.bench.schedule import parity
from runtimes.bench.schedule.climb import stream_counts
from runtimes.bench.worker import server
from runtimes.bench.worker.job import Effort
from runtimes.records import store
from runtimes.records.blank import start
from runtimes.records.kinds import Latency, Record, Server, TimedRecord
from runtimes.records.parity_gate import gate
from runtimes.system import capacity
from runtimes.system.capacity import Capacity

# Multiply-accumulates per second of a whole device that is no CPU: an order of magnitude only.
_DEVICE_RATE = 3e12
# Inferences of a warm-up that are not kept (the times that show that it is over are): few on a CPU.
_WARMUP_COUNT = 2
# A parity check: images per batch size on each runtime, and images of the reference in float64 with its rate on two
# cores (measured: 13 s a runtime at three batch sizes and 18 s for the reference, ViT_base_patch32_384).
_PARITY_IMAGES, _REFERENCE_IMAGES, _REFERENCE_RATE, _PARITY_START_S = 24, 14, 5e9, 2.0
# Of what a model without a spec may need: that of the seven which needs the most for the pixels it has.
_ACTIVATIONS_PER_IMAGE_BYTE = 24
# Mode server halves the gap around the highest rate that meets the bound: about here, as a share of what it answers
# back to back, where the bound is three medians.
_NEAR_THE_BOUND = 0.7
# Of ViT_base_patch16_224: 17.5 G and 86 M.
_MACS_PER_PARAMETER = 200
# Results folders in which earlier records are looked for, the newest first.
_FOLDERS = 20


def plan(
    cells: Sequence[Cell],
    policy: Policy,
    machine: str,
    folder: Path,
    seed: int = 0,
    resume: bool = False,
    free: Capacity | None = None,
) -> Plan:
    """The plan for some cells: those that fit, with what they cost, and those that do not, with the reason.

    machine: as in keys. folder: for the results; with `resume` cells that have a number there cost nothing.
    """
    free = free or capacity.look()
    stored = _records(folder)
    old = earlier(folder.parent) | store.measured(stored)
    done = store.done(stored, {key(cell, machine) for cell in cells}) if resume else {}
    fitting: list[tuple[Cell, CellCost]] = []
    refused: list[tuple[Cell, str]] = []
    written: dict[Path, int] = {}
    for cell in cells:
        name = key(cell, machine)
        before = old.get(name) or old.get(key(_one_at_a_time(cell), machine))
        found = CellCost(0.0, 0.0, 0, 0, "stored") if name in done else cost(cell, policy, before)
        target = kept_in(cell)
        disk = 0 if target in written else found.disk_bytes
        # A search does without the points that turn out to be too large.
        least = _at(cell, 1, 1) if cell.mode == "throughput" else found.memory_bytes
        reason = cell.impossible or _too_large(least, disk, sum(written.values()), target, free)
        if reason:
            refused.append((cell, reason))
            continue
        if disk:
            written[target] = disk
        fitting.append((cell, found))
    pending = [cell for cell, found in fitting if found.source != "stored"]
    parity_s = _parity_s(pending, stored, machine)
    costs = tuple(found for _, found in fitting)
    estimate = PlanEstimate(
        costs,
        parity_s,
        parity_s + sum(one.seconds for one in costs),
        max((one.memory_bytes for one in costs), default=0),
        sum(written.values()),
        free.memory_bytes,
        free.disk_bytes(cells[0].artifact.path) if cells else None,
    )
    return Plan(tuple(cell for cell, _ in fitting), tuple(refused), policy, estimate, seed)


def cost(cell: Cell, policy: Policy, old: TimedRecord | None = None) -> CellCost:
    """What a cell takes. old: an earlier record of the same cell, whose times and memory are better than any guess; of
    mode server also the latency of one image, which says how many of them are answered in a second."""
    footprint, gigabytes = cell.runtime.footprint, model_bytes(cell.artifact) / 1e9
    latency_s, source = _latency_s(cell), "rate"
    fixed_s = footprint.load_s * gigabytes + latency_s
    if isinstance(old, Latency) and old.median_ms:
        latency_s, source = old.median_ms / 1e3, "record"
        fixed_s = ((old.load_ms or 0) + (old.first_ms or 0)) / 1e3
    measured_s = max(policy.min_s, policy.min_count * latency_s)
    processes = 1 if cell.mode == "server" else policy.processes
    if isinstance(old, Latency) and old.target == policy.target:
        measured_s = max(measured_s, sum(old.samples_ms) / 1e3)
    measured_s = min(measured_s, max(policy.most_s, policy.processes * latency_s))
    if cell.mode == "throughput":
        # Each point of the search takes a visit, and then the best is measured as in mode latency.
        visits = len(cell.mode_options["batches"]) + len(stream_counts(cell.options.thread_count())) - 1
        more = 1 + visits / policy.processes
        measured_s, fixed_s = more * policy.min_s, more * (footprint.start_s + fixed_s) - footprint.start_s
    elif cell.mode == "server":
        if isinstance(old, Server) and old.capacity_qps:
            latency_s, source = 1 / old.capacity_qps, "record"
        measured_s = _server_s(int(cell.mode_options["percentile"]), 1 / latency_s, policy.visit(cell.mode))
    guess = memory_bytes(cell)
    disk = 0 if _is_kept(cell) else _written_bytes(cell)
    known = (old and old.peak_memory_bytes) or 0
    converting = int(footprint.converter_copies * model_bytes(cell.artifact)) if disk else 0
    return CellCost(
        footprint.start_s + fixed_s + _WARMUP_COUNT * latency_s,
        measured_s,
        (known or guess) + converting,
        disk,
        source,
        processes,
    )


def _one_at_a_time(cell: Cell) -> Cell:
    """A cell of mode server, which is asked for one image at a time, as mode latency measures it; another as it is."""
    return dataclasses.replace(cell, mode="latency", mode_options={}) if cell.mode == "server" else cell


def _server_s(percentile: int, capacity: float, effort: Effort) -> float:
    """Seconds of all rates of mode server (server.py) on a cell that answers `capacity` requests per second.

    Few requests come at a low rate, so that what a percentile needs takes long there; above the capacity as many take
    as long as they take to be answered.
    """
    seconds = 0.0
    for load in (*server.LOADS, *[_NEAR_THE_BOUND] * server.HALVINGS):
        least_s, count = server.extent(load * capacity, percentile, effort)
        seconds += max(least_s, count / (load * capacity)) * max(1.0, load)
    return seconds


def model_bytes(artifact: Artifact) -> int:
    """Size of the model on disk: of the ONNX file with what lies beside it; of all files of another form."""
    files = artifact.manifest.files
    of_onnx = sum(files[name].bytes for name in artifact.onnx_files)
    return of_onnx or sum(entry.bytes for entry in files.values())


def memory_bytes(cell: Cell) -> int:
    """Peak of the memory of a cell's process, its images included; in mode throughput at the largest of what it may
    try, where each stream of a runtime without streams is a session of its own."""
    if cell.mode != "throughput":
        return _at(cell, cell.batch, 1)
    streams = cell.options.streams or cell.options.thread_count()
    return _at(cell, streams * max(cell.mode_options["batches"]), 1 if cell.runtime.streams else streams)


def _at(cell: Cell, images: int, sessions: int) -> int:
    footprint, each_image = cell.runtime.footprint, _activations(cell.artifact)
    model = footprint.copies * model_bytes(cell.artifact)
    processes = sessions if cell.runtime.holds_lock else 1
    return int(processes * footprint.base_bytes + sessions * model + footprint.activations * each_image * images)


def _activations(artifact: Artifact) -> int:
    """Bytes of one image and of the widest block that it goes through, in FP32."""
    spec = artifact.spec
    if spec is None:
        return 4 * 3 * math.prod(artifact.image_shape) * _ACTIVATIONS_PER_IMAGE_BYTE
    return 4 * spec.widest()


def _latency_s(cell: Cell) -> float:
    cores = min(cell.options.thread_count(), usable_cores())
    rate = cell.runtime.footprint.rate * cores if cell.options.device == "CPU" else _DEVICE_RATE
    return _macs(cell.artifact) * cell.batch / rate


def _macs(artifact: Artifact) -> float:
    """Multiply-accumulates for one image; where they were not counted, as many as a ViT of its parameters has, and
    where those were not counted either, of its size in FP32."""
    manifest = artifact.manifest
    counted = manifest.macs.total
    parameters = manifest.parameters.total or model_bytes(artifact) / 4
    return float(parameters * _MACS_PER_PARAMETER if counted is None else counted)


def _written_bytes(cell: Cell) -> int:
    writes = cell.runtime.writes_cache
    return model_bytes(cell.artifact) if writes == "always" or (writes == "where given" and cell.options.cache) else 0


def kept_in(cell: Cell) -> Path:
    """The folder that a runtime keeps its form of an artifact in (base.cache_folder), without the hash in its name."""
    root = Path(cell.options.cache) if cell.options.cache else cell.artifact.path / "cache"
    return root / cell.runtime.name / cell.artifact.model


def _is_kept(cell: Cell) -> bool:
    """Whether a form that is no older than the artifact is there. Its exact name takes the runtime's import."""
    target, manifest = kept_in(cell), cell.artifact.path / "manifest.json"
    found = target.parent.glob(f"{target.name}-*") if target.parent.is_dir() else ()
    made = manifest.stat().st_mtime if manifest.exists() else 0.0
    return any(folder.stat().st_mtime >= made for folder in found)


def _too_large(memory: int, disk: int, written: int, target: Path, free: Capacity) -> str | None:
    """Why a cell does not fit, in a sentence; None when it does. written: what others before it will have written."""
    if free.memory_bytes is not None and memory > free.memory_bytes:
        return f"it needs about {memory / GIB:.1f} GiB of memory, and {free.memory_bytes / GIB:.1f} GiB are free here"
    left = free.disk_bytes(target)
    if disk and left is not None and written + disk > left:
        return (
            f"its runtime writes about {disk / GIB:.1f} GiB, and {max(0, left - written) / GIB:.1f} GiB are free there:"
            f" make room, or take another folder with --cache"
        )
    return None


def _parity_s(cells: Iterable[Cell], stored: Sequence[Record], machine: str) -> float:
    """Seconds of the parity checks that are neither in the results folder nor kept beside the artifact."""
    lacking: dict[tuple[object, ...], Cell] = {}
    for cell in cells:
        record = start(Latency, cell.artifact, cell.runtime, cell.options, batch=cell.batch)
        if gate(record, parity.of(stored)).passed is None and not parity.recall(cell, record, machine):
            lacking.setdefault((cell.artifact.sha256, cell.runtime.name, cell.precision, cell.options.device), cell)
    seconds = 0.0
    for cell in lacking.values():
        footprint, images = cell.runtime.footprint, _PARITY_IMAGES * len(cell.options.batches)
        seconds += footprint.start_s + footprint.load_s * model_bytes(cell.artifact) / 1e9
        seconds += images * _latency_s(cell) / cell.batch
    for artifact in {cell.artifact.sha256: cell.artifact for cell in lacking.values()}.values():
        seconds += _PARITY_START_S
        if not (artifact.path / "reference").is_dir():
            seconds += _REFERENCE_IMAGES * _macs(artifact) / (_REFERENCE_RATE * usable_cores())
    return seconds


def earlier(root: Path) -> dict[str, TimedRecord]:
    """Records with numbers in the newest results folders under `root`, the newest of each key. Damaged ones count for
    nothing here."""
    files = sorted(root.glob(f"*/{store.RESULTS}"), key=lambda file: file.stat().st_mtime)[-_FOLDERS:]
    return {k: r for file in files for k, r in store.measured(_records(file.parent)).items()}


def _records(folder: Path) -> list[Record]:
    try:
        return store.known(folder)
    except InputError:
        return []
