"""A plan as people and programs read it before anything runs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.table import Table

from convert.cli import estimated_bytes
from convert.common.console import plain
from convert.common.errors import listing
from runtimes.bench.describe import duration, size
from runtimes.bench.plan.matrix import Cell
from runtimes.bench.plan.plan import CellCost, Plan
from runtimes.bench.worker.server import needed

PLAN = "plan.json"  # in the results folder: what the last command planned, and the seed of its order


def table(plan: Plan) -> Table:
    """A row for each model, runtime, precision, device, threads and mode, with the batches that it has."""
    rows: dict[tuple[str, ...], list[tuple[Cell, CellCost]]] = {}
    for cell, cost in zip(plan.cells, plan.estimate.costs, strict=True):
        rows.setdefault(_row(cell), []).append((cell, cost))
    shown = Table("model", "runtime", "precision", "device", "threads", "mode", "batch", "time", "memory")
    for row, found in rows.items():
        seconds = sum(cost.seconds for _, cost in found)
        batches = ", ".join(_batches(cell) for cell, _ in found)
        memory = max(cost.memory_bytes for _, cost in found)
        named = map(plain, row)
        if all(cost.source == "stored" for _, cost in found):
            shown.add_row(*named, batches, "stored", "-")
        else:
            shown.add_row(*named, batches, duration(seconds), size(memory))
    return shown


def _row(cell: Cell) -> tuple[str, ...]:
    options = cell.options
    settings = "".join(f", {name}={value}" for name, value in sorted(options.extra.items()))
    streams = f", {options.streams} stream{'s' * (options.streams != 1)}" if options.streams else ""
    threads = str(options.threads or f"all ({options.thread_count()})")
    runtime = f"{cell.runtime.name}{streams}{settings}"
    return (cell.artifact.model, runtime, cell.made, options.device, threads, cell.mode)


def _batches(cell: Cell) -> str:
    if cell.mode == "throughput":
        return "among " + ", ".join(map(str, cell.mode_options["batches"]))
    return str(cell.batch)


def totals(plan: Plan) -> list[str]:
    """The sums under the table, and a line for each cell that does not fit."""
    estimate = plan.estimate
    known = sum(cost.source != "rate" for cost in estimate.costs)
    count, took, memory = len(plan.cells), duration(estimate.seconds), size(estimate.memory_bytes)
    if estimate.parity_s:
        took = f"{took}, {duration(estimate.parity_s)} of it for parity"
    if known:
        took = f"{took} ({known} of {count} known from earlier records)"
    free = f" of {size(estimate.free_memory_bytes)} free" if estimate.free_memory_bytes is not None else ""
    visits = min((cost.visits for cost in estimate.costs), default=plan.effort.processes)
    clauses = [
        f"{count} cell{'s' * (count != 1)}, {visits} process{'es' * (visits != 1)} each at least: about {took}",
        f"at the peak {memory} of memory{free}",
        f"{size(estimate.disk_bytes)} more on disk" if estimate.disk_bytes else "",
    ]
    sums = ["; ".join(filter(None, clauses))]
    refused = [f"refused: {cell.name}: {reason}" for cell, reason in plan.refused]
    refused += [f"left out: {why}" for why in (*plan.left_out, *plan.unmade)]
    return [*(sums if count or not plan.unconverted else []), *_percentiles(plan), *refused, *_unconverted(plan)]


def _percentiles(plan: Plan) -> list[str]:
    """What the percentiles of mode server take, whether there is time for them, and how far the time is known."""
    costs = [(cell, cost) for cell, cost in zip(plan.cells, plan.estimate.costs, strict=True) if cell.mode == "server"]
    asked = {int(cell.mode_options["percentile"]) for cell, _ in costs}
    lines = []
    for percentile in sorted(asked):
        count, most_s = needed(percentile), plan.effort.most_s
        line = f"server: p{percentile} needs {count} requests at each rate"
        limit = f"in {most_s:g} s it is carried from {count / most_s:.3g} requests/s on (--max-seconds)"
        lines.append(line if plan.effort.max_s is None else f"{line}; {limit}")
    guessed = [cell.name.removesuffix(", server") for cell, cost in costs if cost.source == "rate"]
    if guessed:
        lines.append(
            f"server: how fast {listing(guessed)} is, and so how long it takes, is guessed from its operations: it may"
            " take ten times as long; a latency in batch 1 that was measured before tells better"
        )
    return lines


def _unconverted(plan: Plan) -> list[str]:
    lines = [
        f"not converted yet: {request.model} {request.precision}, which will take about"
        f" {size(estimated_bytes(request))} in {request.root}; its cells are in none of the sums"
        for request in plan.unconverted
    ]
    if len(lines) > 1:
        lines.append(f"all of them: about {size(sum(map(estimated_bytes, plan.unconverted)))}")
    return lines


def as_dict(plan: Plan) -> dict[str, Any]:
    """The plan for programs: JSON's types only."""
    estimate = {name: value for name, value in asdict(plan.estimate).items() if name != "costs"}
    costs = zip(plan.cells, plan.estimate.costs, strict=True)
    return {
        "cells": [{**cell_table(cell), "estimate": asdict(cost)} for cell, cost in costs],
        "refused": [{**cell_table(cell), "reason": reason} for cell, reason in plan.refused],
        "effort": asdict(plan.effort),
        "estimate": estimate,
        "left_out": [*plan.left_out, *plan.unmade],
        "seed": plan.seed,
        "unconverted": [
            {"model": one.model, "precision": one.precision, "bytes": estimated_bytes(one)} for one in plan.unconverted
        ],
    }


def left_behind(file: Path, plan: Plan) -> str:
    """What the run that is gone on with was to measure and this plan is not, in a sentence; empty for nothing."""
    try:
        before = json.loads(file.read_text(encoding="utf-8"))["cells"]
        names = {_named(cell): None for cell in before}
    except (OSError, ValueError, TypeError, KeyError):
        return ""
    lost = [name for name in names if name not in {_named(cell_table(cell)) for cell in plan.cells}]
    return (
        f"of the run that this goes on with, {len(lost)} cell{'s are' if len(lost) > 1 else ' is'} not asked for now: "
        f"{listing(lost)}"
        if lost
        else ""
    )


def _named(cell: Mapping[str, Any]) -> str:
    return f"{cell['model']} {cell['precision']} on {cell['runtime']}, {cell['mode']}, batch {cell['batch']}"


def cell_table(cell: Cell) -> dict[str, Any]:
    """What a cell is, on any machine; JSON's types only."""
    options = cell.options
    return {
        "model": cell.artifact.model,
        "artifact": cell.artifact.sha256,
        "runtime": cell.runtime.name,
        "precision": cell.precision,
        "device": options.device,
        "threads": options.thread_count(),
        "streams": options.streams,
        "settings": dict(options.extra),
        "mode": cell.mode,
        "mode_options": dict(cell.mode_options),
        "batch": cell.batch,
    }
